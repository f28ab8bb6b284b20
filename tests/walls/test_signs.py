"""Components that are kept at 0 or above. Oracles: closed forms, and the same run without the promise."""

import gc
import math

import numpy as np
import pytest

import mflow
from mflow.testproblems import get_problem
from support.levels import first_order

PAIRS = first_order("embedded")
IMPLICIT = first_order("embedded", "implicit")


def chain(rates):
    """What leaves one enters the next; the last keeps it: (fun that refuses what is below 0, matrix)."""
    n = len(rates) + 1
    J = np.zeros((n, n))
    J[range(n - 1), range(n - 1)] = -np.asarray(rates)
    J[range(1, n), range(n - 1)] = rates

    def fun(t, y):
        assert np.all(y >= 0.0)
        return J @ y

    return fun, J


@pytest.mark.parametrize("method", IMPLICIT)
@pytest.mark.parametrize("rates", [[1e4], [1e6, 1.0], [1.0, 1e5, 1e2, 1e4]])
@pytest.mark.parametrize("given", [True, False])
def test_stiff_decay_costs_what_it_costs_without_the_promise(method, rates, given):
    fun, J = chain(rates)
    start, options = np.eye(len(J))[0], {"rtol": 1e-5, "atol": 1e-8, **({"jac": J} if given else {})}
    plain = mflow.solve_ivp(lambda t, y: J @ y, (0, 20), start, method, **options)
    kept = mflow.solve_ivp(fun, (0, 20), start, method, nonnegative=True, **options)
    assert kept.reason == "finished"
    assert np.min(kept.y) >= 0.0
    assert kept.nsteps + kept.nrejected <= 1.3 * (plain.nsteps + plain.nrejected) + 10
    values, vectors = np.linalg.eig(J)
    exact = (vectors @ (np.exp(values * 20.0) * np.linalg.solve(vectors, start))).real
    np.testing.assert_allclose(kept.y[:, -1], exact, atol=1e-4)
    np.testing.assert_allclose(kept.y.sum(axis=0), 1.0, rtol=1e-6)  # the way back is along the columns of J


@pytest.mark.parametrize("method", PAIRS)
def test_what_is_asked_and_what_is_kept_is_never_below_zero(method):
    fun, _ = chain([50.0, 1.0])
    r = mflow.solve_ivp(fun, (0, 5), [1.0, 0.0, 0.0], method, nonnegative=True, rtol=1e-4, atol=1e-6)
    assert r.success
    assert np.min(r.y) >= 0.0
    assert r.nsteps < 3000


@pytest.mark.parametrize("method", IMPLICIT)
@pytest.mark.parametrize("name", ["robertson", "hires"])
def test_chemistry_keeps_its_signs(method, name):
    p = get_problem(name)
    options = {"rtol": 1e-6, "atol": 1e-9, "jac": p.jac, "save": "all"}
    plain = mflow.solve_ivp(p.fun, p.t_span, p.y0, method, **options)
    kept = mflow.solve_ivp(p.fun, p.t_span, p.y0, method, nonnegative=True, **options)
    assert kept.success
    assert np.min(kept.y) >= 0.0
    assert kept.nsteps <= 1.3 * plain.nsteps + 10
    np.testing.assert_allclose(kept.y[:, -1], p.y_end, rtol=1e-3, atol=1e-8)


@pytest.mark.parametrize("method", PAIRS)
def test_a_solution_that_crosses_zero_says_so(method):
    """y = 1 - t, and beside it a fast decay, which comes to rest at 0 and does not leave."""
    r = mflow.solve_ivp(lambda t, y: [-1.0, -100.0 * y[1]], (0, 3), [1.0, 1.0], method, nonnegative=True, rtol=1e-4, atol=1e-6)
    assert r.reason == "left_domain"
    assert "component 0" in r.message
    assert abs(r.t[-1] - 1.0) < 2e-6
    assert np.min(r.y) >= 0.0


@pytest.mark.parametrize("method", PAIRS)
def test_a_solution_that_leaves_slowly_or_backwards_says_so_too(method):
    r = mflow.solve_ivp(lambda t, y: [1e-3 - t], (0, 3), [1e-7], method, nonnegative=True, rtol=1e-4, atol=1e-6, max_step=0.1)
    assert r.reason == "left_domain"
    r = mflow.solve_ivp(lambda t, y: [1.0], (0, -3), [1.0], method, nonnegative=True, rtol=1e-4, atol=1e-6)
    assert r.reason == "left_domain"
    assert abs(r.t[-1] + 1.0) < 2e-6


def test_a_banded_and_a_sparse_jacobian_know_the_way_back_too():
    sparse = pytest.importorskip("scipy.sparse")
    fun, J = chain(list(10.0 ** np.array([4.0, 1.0, 5.0, 2.0])))
    dense = mflow.solve_ivp(fun, (0, 9), np.eye(5)[0], "rodas5p", nonnegative=True, jac=J)
    for how in ({"jac": J, "lband": 1, "uband": 0}, {"jac": sparse.csc_array(J)}, {"jac_sparsity": (J != 0).astype(float)}):
        r = mflow.solve_ivp(fun, (0, 9), np.eye(5)[0], "rodas5p", nonnegative=True, **how)
        assert r.success
        assert np.min(r.y) >= 0.0
        assert abs(r.nsteps - dense.nsteps) <= 2
        np.testing.assert_allclose(r.y.sum(axis=0), 1.0, rtol=1e-6)


def test_a_run_that_goes_on_has_the_same_bits(tmp_path):
    fun, J = chain([1e5, 1e3, 1e4])
    path, options = tmp_path / "run", {"nonnegative": True, "jac": J, "rtol": 1e-5, "atol": 1e-8}
    for method in IMPLICIT:
        whole = mflow.solve_ivp(fun, (0, 9), np.eye(4)[0], method, **options)
        for k in (1, 3, whole.nsteps // 2, whole.nsteps - 1):
            mflow.solve_ivp(fun, (0, 9), np.eye(4)[0], method, checkpoint=path, max_steps=k, **options)
            again = mflow.solve_ivp(fun, (0, 9), np.eye(4)[0], method, resume=path, **options)
            assert (again.y.tobytes(), again.nfev) == (whole.y.tobytes(), whole.nfev)


def test_what_reaches_zero_and_stays_is_followed():
    """y' = -sqrt(y): y = (1 - t/2)^2 until 2, then 0."""
    r = mflow.solve_ivp(lambda t, y: -np.sqrt(y), (0, 4), [1.0], "radau5", nonnegative=True, rtol=1e-6, atol=1e-8)
    assert r.reason in ("finished", "left_domain")
    at = r.t < 1.9
    np.testing.assert_allclose(r.y[0, at], (1.0 - 0.5 * r.t[at]) ** 2, atol=1e-5)
    assert math.isclose(r.t[-1], 4.0) or r.t[-1] > 1.9


def test_a_stabilized_method_damps_below_zero_too():
    fun, J = chain([1e4])
    plain = mflow.solve_ivp(lambda t, y: J @ y, (0, 20), [1.0, 0.0], "rkc2", rtol=1e-4, atol=1e-7)
    kept = mflow.solve_ivp(fun, (0, 20), [1.0, 0.0], "rkc2", rtol=1e-4, atol=1e-7, nonnegative=True)
    assert kept.nsteps <= 1.5 * plain.nsteps
    assert np.min(kept.y) >= 0.0


@pytest.mark.filterwarnings("ignore::mflow.StiffnessWarning")
@pytest.mark.parametrize("method", ["bs32", "dopri5", "tsit5", "dop853", "rkc2", "esdirk43", "radau5", "rodas5p", "bdf", "auto"])
@pytest.mark.parametrize("rates", [
    [[0.0, 967.09, 0.92], [0.0, 0.0, 0.0], [146.95, 0.0, 0.0]], [[0.0, 0.0, 0.0], [61.2, 0.0, 4.1], [5.7, 1759.0, 0.0]],
])  # fmt: skip
def test_a_sum_that_slopes_keep_is_kept(method, rates):
    """Ends below 0 were moved there alone by explicit pairs, thousands of times by a part of the tolerance: .19 in the end."""
    K = np.array(rates)
    A = K.T - np.diag(K.sum(axis=1))
    r = mflow.solve_ivp(lambda t, y: A @ y, (0, 5), [1.0, 0.5, 0.0], method, rtol=1e-3, atol=1e-5, nonnegative=True)
    assert r.success
    assert r.y.min() >= 0.0
    np.testing.assert_allclose(r.y.sum(axis=0), 1.5, rtol=0, atol=1e-5)


@pytest.mark.parametrize("rates", [(1e6, 1e2, 1e4, 0.1), (1e7, 1e2, 1e5, 0.1), (1e6, 1e4, 1e4, 1.0)], ids=str)
@pytest.mark.parametrize("rtol", [1e-3, 1e-6])
def test_two_methods_see_that_an_enzyme_is_stiff_where_its_signs_are_kept(rates, rtol):
    """Steps that are shortened for the sign stay below the stability limit of the explicit method. A + E <-> C -> P + E, P -> D."""
    bind, free, turn, decay = rates

    def fun(t, y):
        a, e, c, p, _ = y
        bound = bind * a * e - free * c
        return [-bound, turn * c - bound, bound - turn * c, turn * c - decay * p, decay * p]

    given = {"rtol": rtol, "atol": 1e-3 * rtol, "max_steps": 3000}
    kept = mflow.solve_ivp(fun, (0, 10), [1.0, 1e-3, 0.0, 0.0, 0.0], "auto", nonnegative=True, **given)
    plain = mflow.solve_ivp(fun, (0, 10), [1.0, 1e-3, 0.0, 0.0, 0.0], "auto", **given)
    assert kept.reason == "finished"
    assert np.min(kept.y) >= 0.0
    assert kept.nfev < 1.5 * plain.nfev
    assert kept.steps_by_method["tsit5"] < 50
    np.testing.assert_allclose(kept.y[:, -1], plain.y[:, -1], rtol=30 * rtol, atol=rtol)


def test_two_methods_keep_signs_of_what_is_not_stiff_with_the_explicit_one():
    kept = mflow.solve_ivp(lambda t, y: [y[0] * (1 - y[1]), y[1] * (y[0] - 1)], (0, 50), [2.0, 1.0], "auto", nonnegative=True)
    assert kept.switches == 0
    alone = mflow.solve_ivp(lambda t, y: [y[0] * (1 - y[1]), y[1] * (y[0] - 1)], (0, 50), [2.0, 1.0], "tsit5", nonnegative=True)
    assert kept.y.tobytes() == alone.y.tobytes()


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
def test_a_result_outlives_the_jacobian_of_its_run() -> None:
    """Analyses asked f below 0, which took the Jacobian of a run that was gone."""
    r = mflow.solve_ivp(lambda t, h: 0.25 * (1.0 + np.cos(t)) - np.sqrt(h), (0, 12), [1.0], "radau5", rtol=1e-6, nonnegative=True)
    gc.collect()
    assert "from t = 0" in str(r.posedness())


@pytest.mark.parametrize("bound", [2.0, -3.0, 100.0])
@pytest.mark.parametrize("method", ["dopri5", "dop853", "bs32", "radau5", "rodas5p", "bdf"])
def test_the_event_of_a_wall_is_met_where_the_solution_comes_to_rest(method, bound):
    """h = bound + (1 - t/2)^2 until t = 2, at other numbers than 0: it was told where the run ended."""

    def at_wall(t, h):
        return h[0] - bound

    with np.errstate(invalid="ignore"):
        r = mflow.solve_ivp(lambda t, h: -np.sqrt(h - bound), (0, 6), [bound + 1.0], method, rtol=1e-6, atol=1e-9, events=at_wall)
    assert r.success, r.message
    within = 2.0 * np.sqrt(1e-6 * abs(bound) + 1e-9)
    np.testing.assert_allclose(r.t_events[0], 2.0, atol=1.5 * within)
    assert r.t_events[0].size >= 1
