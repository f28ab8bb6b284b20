"""Implicit methods through the drivers: every way to solve gives the same solution, what it costs, steady states and proximal points."""

import math
import warnings
from typing import Any

import numpy as np
import pytest
from mflow_core import registry
from mflow_core.problems import problem
from mflow_core.solvers.solver import Solver
from mflow_core.stepping import stepper
from scipy import sparse
from scipy.linalg import expm

import mflow
from mflow.nonlinear import FixedPoint, Newton, NewtonKrylov
from mflow.testproblems import get_problem
from support.levels import ITERATED, first_order
from support.problems import RHS_C, Array

IMPLICIT = [
    record.name
    for record in registry.records()
    if record.kind == "step" and "implicit" in record.flags and "second_order" not in record.flags
]

# ---- a chain of springs whose Jacobian is a band: y_i' = y_(i-1) - 2 y_i + y_(i+1) - y_i^3 ------------------------------------------

N = 30
BAND = (np.abs(np.subtract.outer(np.arange(N), np.arange(N))) <= 1).astype(float)
START = np.sin(np.arange(1.0, N + 1.0))


def chain(t: float, y: Array) -> Array:
    padded = np.concatenate(([0.0], y, [0.0]))
    return 4.0 * (padded[:-2] - 2.0 * y + padded[2:]) - y**3


def chain_jac(t: float, y: Array) -> Array:
    return 4.0 * (BAND - 3.0 * np.eye(N)) - np.diag(3.0 * y**2)


def sparse_jac(t: float, y: Array) -> Any:
    return sparse.csc_matrix(chain_jac(t, y))


WAYS: dict[str, dict[str, Any]] = {
    "differences": {},
    "analytic": {"jac": chain_jac},
    "sparse": {"jac": sparse_jac},
    "banded": {"lband": 1, "uband": 1},
    "banded analytic": {"lband": 1, "uband": 1, "jac": chain_jac},
    "coloured": {"jac_sparsity": BAND},
    "coloured sparse": {"jac_sparsity": sparse.csr_matrix(BAND), "solver": Newton(linear_solver="sparse")},
    "full": {"solver": Newton(full=True)},
    "krylov": {"solver": "newton_krylov"},
    "short krylov": {"solver": NewtonKrylov(dim=5, cycles=20)},
    "fixed point": {"solver": FixedPoint(max_iter=500)},
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("method", ITERATED)
def test_every_solver_gives_the_same_solution_with_fixed_steps(method: str, way: str) -> None:
    want = mflow.solve_ivp(chain, (0, 1), START, method, dt=0.04)
    r = mflow.solve_ivp(chain, (0, 1), START, method, dt=0.04, **WAYS[way])
    assert r.reason == "finished", r.message
    np.testing.assert_allclose(r.y, want.y, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("way", WAYS)
def test_every_solver_gives_the_same_solution_under_error_control(way: str) -> None:
    exact = mflow.solve_ivp(chain, (0, 1), START, "dop853", rtol=1e-12, atol=1e-14).y[:, -1]
    for tol in (1e-4, 1e-7):
        r = mflow.solve_ivp(chain, (0, 1), START, "esdirk43", rtol=tol, atol=tol, **WAYS[way])
        assert r.reason == "finished", r.message
        assert np.max(np.abs(r.y[:, -1] - exact)) <= 10 * tol


def test_what_each_way_costs() -> None:
    """Differences of a dense Jacobian cost n calls each, coloured and banded ones 3, analytic ones none; a short
    krylov makes no matrix."""
    runs = {way: mflow.solve_ivp(chain, (0, 1), START, "esdirk43", rtol=1e-5, atol=1e-5, **WAYS[way]) for way in WAYS}
    nfev = {way: r.nfev for way, r in runs.items()}
    for way in ("banded", "coloured", "coloured sparse"):
        assert nfev[way] < nfev["differences"] - runs["differences"].njev * (N - 4), way
    for way in ("analytic", "sparse", "banded analytic"):
        assert nfev[way] <= nfev["banded"] - 3 * runs["banded"].njev + 2, way
        assert runs[way].njev > 0
    for way in ("short krylov", "fixed point"):
        assert runs[way].nlu == 0
        assert nfev[way] > nfev["analytic"]
    assert 0 < runs["krylov"].nlu < runs["full"].nlu  # as many unknowns as its basis holds
    assert runs["full"].nlu >= runs["full"].njev > runs["differences"].njev
    assert 0 < runs["differences"].njev <= runs["differences"].nlu < runs["differences"].nsteps


def test_counts_are_calls() -> None:
    calls = {"fun": 0, "jac": 0}

    def fun(t: float, y: Array) -> Array:
        calls["fun"] += 1
        return chain(t, y)

    def jac(t: float, y: Array) -> Array:
        calls["jac"] += 1
        return chain_jac(t, y)

    for way in ({"jac": jac}, {}, {"lband": 1, "uband": 1}, {"jac_sparsity": BAND}, {"solver": "newton_krylov"}):
        for mode in ({"rtol": 1e-5}, {"dt": 0.1}):
            calls.update(fun=0, jac=0)
            r = mflow.solve_ivp(fun, (0, 1), START, "esdirk43", **mode, **way)
            assert r.nfev + r.ncheck == calls["fun"], (way, mode)
            if "jac" in way:
                assert r.njev == calls["jac"]  # the one that sees what it returns among them


def test_a_constant_jacobian_is_taken_once() -> None:
    A = np.array([[-100.0, 99.0], [0.0, -1.0]])
    for form in (A, A.tolist(), sparse.csr_matrix(A)):
        r = mflow.solve_ivp(lambda t, y: A @ y, (0, 1), [1.0, 2.0], "esdirk43", rtol=1e-7, atol=1e-9, jac=form)
        np.testing.assert_allclose(r.y[:, -1], expm(A) @ [1.0, 2.0], rtol=1e-6)
        fixed = mflow.solve_ivp(lambda t, y: A @ y, (0, 1), [1.0, 2.0], "sdirk2", dt=0.1, jac=form)
        assert (fixed.nlu, fixed.reason) == (1, "finished")


def test_a_wrong_jacobian_costs_steps_and_not_accuracy() -> None:
    right = mflow.solve_ivp(chain, (0, 1), START, "esdirk43", rtol=1e-6, atol=1e-8, jac=chain_jac)
    wrong = mflow.solve_ivp(chain, (0, 1), START, "esdirk43", rtol=1e-6, atol=1e-8, jac=lambda t, y: 0.7 * chain_jac(t, y))
    assert wrong.reason == "finished"
    np.testing.assert_allclose(wrong.y[:, -1], right.y[:, -1], rtol=1e-4, atol=1e-5)


# ---- compiled ------------------------------------------------------------------------------------------------------------------------


def compiled_robertson() -> tuple[Any, Any]:
    numba = pytest.importorskip("numba")
    double_p = numba.types.CPointer(numba.types.float64)
    signature = numba.types.int32(numba.types.float64, double_p, double_p, numba.types.intp, numba.types.voidptr)

    @numba.cfunc(signature)
    def fun(t, y, dydt, n, ctx):  # type: ignore[no-untyped-def]
        dydt[0] = -0.04 * y[0] + 1e4 * y[1] * y[2]
        dydt[2] = 3e7 * y[1] * y[1]
        dydt[1] = -dydt[0] - dydt[2]
        return 0

    @numba.cfunc(signature)
    def jac(t, y, J, n, ctx):  # type: ignore[no-untyped-def]
        J[0], J[1], J[2] = -0.04, 1e4 * y[2], 1e4 * y[1]
        J[6], J[7], J[8] = 0.0, 6e7 * y[1], 0.0
        for k in range(3):
            J[3 + k] = -J[k] - J[6 + k]
        return 0

    return fun, jac


@pytest.mark.parametrize("method", IMPLICIT)
def test_compiled_problems_give_the_bits_of_python_ones(method: str) -> None:
    fun, jac = compiled_robertson()

    def slope(t: float, y: Array) -> Array:
        a, c = -0.04 * y[0] + 1e4 * y[1] * y[2], 3e7 * y[1] * y[1]
        return np.array([a, -a - c, c])

    def matrix(t: float, y: Array) -> Array:
        a, c = np.array([-0.04, 1e4 * y[2], 1e4 * y[1]]), np.array([0.0, 6e7 * y[1], 0.0])
        return np.array([a, -a - c, c])

    modes: list[tuple[float, dict[str, Any]]] = [(0.05, {"dt": 1e-4}), *([(1.0, {"dt": 0.01})] if method in ITERATED else [])]
    modes += [(1.0, {"rtol": 1e-6, "atol": 1e-10})] if "embedded" in registry.find(method).flags else []
    for t_end, mode in modes:
        for one, other in (((fun, None), (slope, None)), ((fun, jac), (slope, matrix))):
            a, b = (mflow.solve_ivp(f, (0, t_end), [1.0, 0.0, 0.0], method, jac=J, **mode) for f, J in (one, other))
            assert a.reason == b.reason
            assert a.reason == "finished" or mode == {"dt": 0.01}  # a large fixed step may be more than Newton's iteration can do
            assert (a.t.tobytes(), a.y.tobytes()) == (b.t.tobytes(), b.y.tobytes())
            probes = other[1] is not None  # a Python function is called once to see what it returns
            assert (a.njev + probes, a.nlu, a.nfev) == (b.njev, b.nlu, b.nfev)


def test_stiff_problems_with_few_steps() -> None:
    for name in ("robertson", "hires", "vdp"):
        case = get_problem(name)
        r = mflow.solve_ivp(case.fun, case.t_span, case.y0, "esdirk43", rtol=1e-5, atol=1e-9, jac=case.jac, save="last")
        assert r.reason == "finished", r.message
        assert r.nsteps < 3000
        np.testing.assert_allclose(r.y[:, -1], case.y_end, rtol=1e-2, atol=1e-6)


def test_guesses_of_stages_use_the_step_before() -> None:
    """With the polynomials of one step alone it was 6393 evaluations; the end is that of the Test Set for IVP Solvers."""
    case = get_problem("hires")
    r = mflow.solve_ivp(case.fun, case.t_span, case.y0, "esdirk43", rtol=1e-8, atol=1e-12, jac=case.jac, save="last")
    assert r.nfev < 5800
    np.testing.assert_allclose(r.y[:, -1], case.y_end, rtol=1e-7)


# ---- steady states and proximal points -----------------------------------------------------------------------------------------------


def rosenbrock_like(c: Array) -> Array:
    """Gradient of sum cosh(c_i - i) + |c|^2/4."""
    return np.sinh(c - np.arange(c.size)) + 0.5 * c


def hessian(c: Array) -> Array:
    return np.diag(np.cosh(c - np.arange(c.size)) + 0.5)


@pytest.mark.parametrize(
    "more", [{}, {"hess": hessian}, {"solver": "newton_krylov"}, {"lband": 0}], ids=["differences", "hess", "krylov", "band"]
)
def test_infinite_step_is_the_steady_state(more: dict[str, Any]) -> None:
    r = mflow.gradient_flow(rosenbrock_like, np.full(4, 5.0), math.inf, "backward_euler", dt=math.inf, **more)
    assert (r.reason, r.nsteps, r.t.tolist()) == ("finished", 1, [0.0, math.inf])
    assert np.max(np.abs(rosenbrock_like(r.y[:, -1]))) < 1e-12
    slow = mflow.gradient_flow(rosenbrock_like, np.full(4, 5.0), 100.0, "esdirk43", rtol=1e-10, atol=1e-12, save="last")
    np.testing.assert_allclose(r.y[:, -1], slow.y[:, -1], rtol=1e-8, atol=1e-12)
    both = {**more, "jac": rosenbrock_like}
    best = mflow.minimize(
        lambda c: float(np.sum(np.cosh(c - np.arange(4))) + c @ c / 4), np.full(4, 5.0), method="backward_euler", dt=math.inf, **both
    )
    assert (best.reason, best.nit) == ("converged", 1)
    np.testing.assert_allclose(best.x, r.y[:, -1], rtol=1e-10, atol=1e-12)


def test_infinite_step_of_other_rows_is_refused(step_method: Any) -> None:
    if step_method.name == "backward_euler":
        with pytest.raises(ValueError, match="or inf with t_end = inf for one step to the state of rest, got inf and t_end = 3"):
            mflow.solve_ivp(lambda t, y: -y, (0, 3), [1.0], step_method.name, dt=math.inf)
        return
    with pytest.raises(ValueError, match="dt"):
        mflow.gradient_flow(rosenbrock_like, np.ones(2), math.inf, step_method.name, dt=math.inf)
    with pytest.raises(ValueError, match="dt"):
        mflow.minimize(rosenbrock_like, np.ones(2), method=step_method.name, dt=math.inf)


@pytest.mark.parametrize("more", [{"t_eval": [1.0]}, {"events": lambda t, y: y[0]}, {"dense_output": True}])
def test_an_infinite_step_has_nothing_between(more: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="dt = inf goes to t = inf in one step"):
        mflow.gradient_flow(rosenbrock_like, np.ones(2), math.inf, "backward_euler", dt=math.inf, **more)


def test_no_steady_state_is_a_failed_solve() -> None:
    r = mflow.gradient_flow(np.exp, np.zeros(2), math.inf, "backward_euler", dt=math.inf)
    assert r.reason in ("solve_failed", "non_finite")
    assert not r.success
    assert r.y.shape == (2, 1)


@pytest.mark.parametrize("method", ["backward_euler", "sdirk2", "esdirk43"])
def test_proximal_point_on_an_ill_conditioned_quadratic(method: str) -> None:
    """Condition 1e8: a few proximal steps reach what gradient descent would need 1e8 for."""
    scales = np.logspace(-4, 4, 12)
    target = np.cos(np.arange(12.0))

    def cost(x: Array) -> tuple[float, Array]:
        d = x - target
        return float(0.5 * d @ (scales * d)), scales * d

    res = mflow.minimize(cost, np.zeros(12), jac=True, method=method, dt=1e5, gtol=1e-10, maxiter=100, hess=lambda x: np.diag(scales))
    assert res.reason == "converged", res.message
    np.testing.assert_allclose(res.x, target, atol=1e-5)
    again = mflow.minimize(cost, np.zeros(12), jac=True, method=method, dt=1e5, gtol=1e-10, maxiter=100)
    assert again.reason == "converged"
    assert again.nit <= 60


def test_gradient_flow_with_a_hessian_in_every_form() -> None:
    want = mflow.gradient_flow(rosenbrock_like, np.full(4, 2.0), 1.0, "esdirk43", rtol=1e-8, atol=1e-10)
    for hess in (hessian, lambda c: sparse.csc_matrix(hessian(c)), lambda c: hessian(c).tolist()):
        r = mflow.gradient_flow(rosenbrock_like, np.full(4, 2.0), 1.0, "esdirk43", rtol=1e-8, atol=1e-10, hess=hess)
        np.testing.assert_allclose(r.y[:, -1], want.y[:, -1], rtol=1e-7)
        assert r.njev > 0
        assert r.nfev < want.nfev
    A = np.array([[3.0, 1.0], [1.0, 2.0]])
    r = mflow.gradient_flow(lambda c: A @ c, [1.0, -1.0], 1.0, "sdirk2", dt=0.01, hess=A)
    np.testing.assert_allclose(r.y[:, -1], expm(-A) @ [1.0, -1.0], rtol=1e-3)


# ---- what does not fit -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "more", [{"jac": np.eye(1)}, {"jac_sparsity": np.eye(1)}, {"lband": 0}, {"solver": "newton"}], ids=lambda m: next(iter(m))
)
def test_explicit_rows_say_that_it_has_no_effect(more: dict[str, Any]) -> None:
    with pytest.warns(UserWarning, match=f"{next(iter(more))}: without effect, as rk4 is explicit"):
        r = mflow.solve_ivp(lambda t, y: -y, (0, 1), [1.0], "rk4", dt=0.1, **more)
    assert r.reason == "finished"
    with pytest.warns(UserWarning, match="without effect"):
        mflow.gradient_flow(lambda c: c, [1.0], 1.0, dt=0.1, hess=np.eye(1))


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"jac": np.eye(3)}, ValueError, r"jac: expected shape .* 2 components, got shape \(3, 3\)"),
        ({"jac": lambda t, y: np.eye(3)}, ValueError, r"jac: expected shape \(2, 2\), .*, got shape \(3, 3\)"),
        ({"jac": lambda t, y: None}, TypeError, "jac: expected real numbers .*, got None"),
        ({"jac": lambda t, y: np.eye(2) * 1j}, TypeError, "jac: expected real numbers .*, got dtype complex128"),
        ({"jac": "x"}, TypeError, "jac"),
        ({"jac": np.array([[math.nan, 0], [0, 1]])}, ValueError, "jac"),
        ({"jac_sparsity": np.eye(3)}, ValueError, r"jac_sparsity: expected .*, got shape \(3, 3\)"),
        ({"jac_sparsity": np.eye(2), "jac": np.eye(2)}, ValueError, "jac_sparsity: expected none with jac"),
        ({"lband": -1}, ValueError, "lband: expected .*, got -1"),
        ({"uband": 1.5}, ValueError, r"uband: expected .*, got 1\.5"),
        ({"solver": "newtonn"}, ValueError, "solver: expected .*, got 'newtonn'"),
        ({"solver": Newton}, TypeError, r"Newton\(\)"),
        ({"solver": "fixed_point", "jac": np.eye(2)}, ValueError, "jac: FixedPoint uses no Jacobian"),
        ({"solver": 7}, TypeError, "solver: expected .*, got int"),
    ],
)
def test_arguments_that_do_not_fit(arguments: dict[str, Any], error: type[Exception], words: str) -> None:
    for mode in ({"rtol": 1e-3}, {"dt": 0.1}):
        with pytest.raises(error, match=words):
            mflow.solve_ivp(lambda t, y: -y, (0, 1), [1.0, 2.0], "esdirk43", **mode, **arguments)


def test_a_jacobian_that_raises_comes_through() -> None:
    def jac(t: float, y: Array) -> Array:
        if t > 0.3:
            raise KeyError("here")
        return -np.diag(np.exp(y))

    with pytest.raises(KeyError, match="here") as info:
        mflow.solve_ivp(lambda t, y: -np.exp(y), (0, 1), [1.0, 2.0], "esdirk43", rtol=1e-8, atol=1e-10, jac=jac, solver=Newton(full=True))
    assert info.value.partial_result.nsteps > 0  # type: ignore[attr-defined]


def test_no_warning_where_all_is_well() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        mflow.solve_ivp(lambda t, y: -y, (0, 1), [1.0], "esdirk43", jac=[[-1.0]])


def test_a_compiled_jacobian_with_codes() -> None:
    @RHS_C
    def jac(t: float, y: Any, J: Any, n: int, ctx: int | None) -> int:
        J[0] = -1.0
        return -7 if t > 0.5 else 0

    r = mflow.solve_ivp(lambda t, y: -y, (0, 1), [1.0], "backward_euler", dt=0.1, jac=jac, solver=Newton(full=True))
    assert r.reason == "rhs_failed"
    assert "-7" in r.message


# ---- a solver has one owner -------------------------------------------------------------------------------------------------------------


def test_a_solver_belongs_to_one_run() -> None:
    """The second run would free what the first one solves with."""
    record, solver = registry.find("backward_euler"), Solver("dense")
    first = problem.rhs_problem(lambda t, y: -y, (3,))
    run = stepper.Run(record, first, np.ones(3), 0.0, 0.1, {}, solver=solver)
    other = problem.rhs_problem(lambda t, y: -y, (50,))
    with pytest.raises(ValueError, match="make a new one"):
        stepper.Run(record, other, np.ones(50), 0.0, 0.1, {}, solver=solver)
    with pytest.raises(ValueError, match="make a new one"):
        solver.bind(other)
    with pytest.raises(ValueError, match="got the solver of a run"):
        solver.solve(0.0, 0.1, np.ones(3), np.ones(3))
    assert run.step(0.1) == 0
    np.testing.assert_allclose(run.y, np.full(3, 1.0 / 1.1), rtol=1e-14)


@pytest.mark.parametrize("method", first_order("implicit", "embedded"))
@pytest.mark.parametrize("atol", [0.0, [1e-6, 0.0, 0.0]])
@pytest.mark.parametrize("given", [True, False])
def test_components_that_fill_from_zero_without_an_absolute_tolerance(method, atol, given):
    """Increments of differences and norms do not follow from a tolerance that is 0."""
    chain = np.array([[-1.0, 0.0, 0.0], [1.0, -1.0, 0.0], [0.0, 1.0, -1.0]])
    jac = {"jac": chain} if given else {}
    r = mflow.solve_ivp(lambda t, y: chain @ y, (0.0, 10.0), [1.0, 0.0, 0.0], method, rtol=1e-5, atol=atol, max_steps=2000, **jac)
    assert r.success, r.message
    exact = math.exp(-10.0) * np.array([1.0, 10.0, 50.0])
    np.testing.assert_allclose(r.y[:, -1], exact, rtol=2e-3)
