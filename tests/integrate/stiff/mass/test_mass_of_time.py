"""M(t) y' = f(t, y): closed forms, the transformed explicit problem, singular M(t), and what refuses it."""

import math
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse
from mflow_core import registry

import mflow
from mflow.solvers.mass import mass_of
from support.problems import Array

TOL = {"rtol": 1e-8, "atol": 1e-10}
TAKES = [record.name for record in registry.records() if "mass_at" in record.flags]
REFUSES = [record.name for record in registry.records() if "mass" in record.flags and "mass_at" not in record.flags]


def turned(t: float, by: float = 1.0) -> Array:
    c, s = math.cos(by * t), math.sin(by * t)
    return np.array([[c, -s], [s, c]])


def wanted(t: float) -> Array:
    return np.array([2.0 + math.sin(t), math.cos(t)])


def slope(t: float) -> Array:
    return np.array([math.cos(t), -math.sin(t)])


def rank_one(t: float) -> Array:
    """Its null spaces, on both sides, turn with different speed."""
    return np.outer(turned(t)[:, 0], turned(t, 0.5)[:, 0])


def beside(mass: Any, k: float) -> Any:
    """f of a problem whose solution is `wanted`, or goes there."""
    return lambda t, y: mass(t) @ slope(t) - k * (np.asarray(y) - wanted(t))


def test_both_are_known() -> None:
    assert {"radau5", "bdf"} <= set(TAKES)
    assert REFUSES


@pytest.mark.parametrize("method", TAKES)
def test_diagonal(method: str) -> None:
    r = mflow.solve_ivp(lambda t, y: [y[0], -y[1]], (0.0, 2.0), [1.0, 1.0], method, mass=lambda t: [1.0 + t, math.exp(t)], **TOL)
    assert np.allclose(r.y[:, -1], [3.0, math.exp(math.exp(-2.0) - 1.0)], rtol=1e-6, atol=0)


@pytest.mark.parametrize("method", TAKES)
def test_against_the_explicit_problem(method: str) -> None:
    def mass(t: float, a: float) -> Array:
        return np.array([[2.0 + math.sin(t), a * t], [math.cos(t), 3.0]])

    def fun(t: float, y: Array, a: float) -> list[float]:
        return [y[1], -(y[0] ** 3) - 100.0 * (y[1] - math.cos(t))]

    def explicit(t: float, y: Array, a: float) -> Array:
        return np.linalg.solve(mass(t, a), fun(t, y, a))

    r = mflow.solve_ivp(fun, (0.0, 3.0), [1.0, 0.0], method, mass=mass, args=(0.3,), **TOL)
    exact = mflow.solve_ivp(explicit, (0.0, 3.0), [1.0, 0.0], "dop853", rtol=1e-12, atol=1e-13, args=(0.3,))
    assert np.allclose(r.y[:, -1], exact.y[:, -1], rtol=1e-6, atol=0)


@pytest.mark.parametrize("method", TAKES)
@pytest.mark.parametrize("k", [1.0, 1e4, -0.5])
def test_singular_with_null_spaces_that_turn(method: str, k: float) -> None:
    r = mflow.solve_ivp(beside(rank_one, k), (0.0, 2.0), wanted(0.0) + np.array([0.0, 0.01]), method, mass=rank_one, **TOL)
    assert r.success, r.message
    assert np.max(np.abs(r.y0 - wanted(0.0))) < 1e-12  # moved to where the algebraic equation holds
    assert np.max(np.abs(r.y[:, -1] - wanted(2.0))) < 2e-6


@pytest.mark.parametrize("method", TAKES)
def test_singular_at_one_time(method: str) -> None:
    def fun(t: float, y: Array) -> list[float]:
        return [-y[0], t * math.cos(t) - (y[1] - math.sin(t)) - 3.0 * (y[0] - math.exp(-t))]

    r = mflow.solve_ivp(fun, (0.0, 2.0), [1.0, 0.0], method, mass=lambda t: [1.0, t], **TOL)
    assert np.allclose(r.y[:, -1], [math.exp(-2.0), math.sin(2.0)], rtol=1e-6, atol=0)


@pytest.mark.parametrize(("method", "order"), [("radau5", 5), ("bdf", 5)])
def test_order_of_fixed_steps(method: str, order: int) -> None:
    def mass(t: float) -> Array:
        return turned(t) * (1.0 + t)

    errors = []
    for n in (10, 20, 40):
        r = mflow.solve_ivp(lambda t, y: mass(t) @ [[-1.0, 2.0], [-2.0, -1.0]] @ y, (0.0, 1.0), [1.0, 0.0], method, dt=1.0 / n, mass=mass)
        exact = math.exp(-1.0) * np.array([math.cos(2.0), -math.sin(2.0)])
        errors.append(np.max(np.abs(r.y[:, -1] - exact)))
    assert abs(math.log2(errors[1] / errors[2]) - order) < 0.5


@pytest.mark.parametrize("method", TAKES)
def test_forms_resume_and_stepper(method: str, tmp_path: Path) -> None:
    fun = beside(rank_one, 2.0)
    whole = mflow.solve_ivp(fun, (0.0, 1.0), wanted(0.0), method, mass=rank_one, **TOL)
    for stop in (3, whole.nsteps // 2):
        part: dict[str, Any] = {"mass": rank_one, "checkpoint": tmp_path / "c", **TOL}
        mflow.solve_ivp(fun, (0.0, 1.0), wanted(0.0), method, max_steps=stop, **part)
        again = mflow.solve_ivp(fun, (0.0, 1.0), wanted(0.0), method, resume=tmp_path / "c", mass=rank_one, **TOL)
        assert np.array_equal(again.y, whole.y)
        assert (again.nfev, again.nlu) == (whole.nfev, whole.nlu)
    st = mflow.Stepper(method, fun, wanted(0.0), mass=rank_one, **TOL)
    st.advance_to(1.0)
    assert np.array_equal(st.y, whole.y[:, -1])
    sparse = pytest.importorskip("scipy.sparse")
    for form in (lambda t: sparse.csr_matrix(rank_one(t) + 1e-300), lambda t: rank_one(t).tolist()):
        assert np.array_equal(mflow.solve_ivp(fun, (0.0, 1.0), wanted(0.0), method, mass=form, **TOL).y, whole.y)


@pytest.mark.parametrize("method", TAKES)
@pytest.mark.parametrize("how", ["band", "sparse", "newton_krylov", "ilu"])
def test_a_band_a_sparse_matrix_and_none(method: str, how: str) -> None:
    n = 40

    def mass(t: float) -> Array:
        return np.vstack([np.full(n, 0.1 * math.sin(t + 0.5)), np.full(n, 2.0 + t), np.full(n, 0.1 * math.cos(t))])

    def full(t: float) -> Array:
        band = mass(t)
        return np.diag(band[1]) + np.diag(band[0, 1:], 1) + np.diag(band[2, :-1], -1)

    def fun(t: float, y: Array) -> Array:
        return np.diff(np.concatenate([[0.0], y, [0.0]]), 2) * 50.0

    laplace = scipy.sparse.diags_array([50.0, -100.0, 50.0], offsets=[-1, 0, 1], shape=(n, n))
    given: dict[str, Any] = {
        "band": {"mass": mass, "lband": 1, "uband": 1},
        "sparse": {"mass": lambda t: scipy.sparse.csr_array(full(t)), "jac": laplace, "solver": mflow.Newton(linear_solver="sparse")},
        "newton_krylov": {"mass": full, "solver": "newton_krylov"},
        "ilu": {"mass": lambda t: scipy.sparse.csr_array(full(t)), "jac": laplace, "solver": mflow.NewtonKrylov(prec="ilu")},
    }
    y0 = np.sin(np.arange(1, n + 1) * math.pi / (n + 1))
    if how == "ilu" and method == "radau5":
        with pytest.raises(ValueError, match="prec"):
            mflow.solve_ivp(fun, (0.0, 1.0), y0, method, **given[how], **TOL)
        return
    r = mflow.solve_ivp(fun, (0.0, 1.0), y0, method, **given[how], **TOL)
    exact = mflow.solve_ivp(lambda t, y: np.linalg.solve(full(t), fun(t, y)), (0.0, 1.0), y0, "radau5", rtol=1e-11, atol=1e-13)
    assert np.allclose(r.y[:, -1], exact.y[:, -1], rtol=1e-6, atol=1e-9)


RANKS = {
    "through zero": (lambda t: [1.0, 1.0 - t], 1.0),
    "falls": (lambda t: [1.0, max(0.0, 1.0 - t)], 1.0),
    "rises": (lambda t: [1.0, max(0.0, t - 1.0)], 1.0),
    "of a block": (lambda t: [[1.0, 1.0], [1.0, 2.0 - t]], 1.0),
}


@pytest.mark.parametrize("method", TAKES)
@pytest.mark.parametrize("name", RANKS)
def test_a_rank_that_changes_ends_the_run(method: str, name: str) -> None:
    mass, at = RANKS[name]
    given: dict[str, Any] = {"mass": mass, **TOL}
    r = mflow.solve_ivp(lambda t, y: [-y[0], math.cos(t) - y[1]], (0.0, 3.0), [1.0, 1.0], method, **given)
    assert (r.reason, r.success) == ("solve_failed", False)
    assert "the rank of mass changes before t = 1" in r.message
    assert 0.9 < r.t[-1] <= at
    assert r.t.size > 3
    st = mflow.Stepper(method, lambda t, y: [-y[0], math.cos(t) - y[1]], [1.0, 1.0], **given)
    with pytest.raises(RuntimeError, match="the rank of mass changes"):
        st.advance_to(3.0)


@pytest.mark.parametrize("method", TAKES)
def test_a_mass_that_jumps_at_a_break(method: str) -> None:
    """Its rank may change there: the second component is algebraic until 1."""

    def mass(t: float) -> list[float]:
        return [2.0, 0.0] if t < 1.0 else [1.0, 1.0]

    def fun(t: float, y: Array) -> list[float]:
        return [-2.0 * y[0], y[0] - y[1]]

    tight = {"rtol": 1e-9, "atol": 1e-11}
    r = mflow.solve_ivp(fun, (0.0, 2.0), [1.0, 1.0], method, mass=mass, breaks=[1.0], **tight)
    assert r.success, r.message
    half = math.exp(-1.0)  # y0' = -y0 before, -2 y0 after; y1 = y0 before, y1' = y0 - y1 after
    assert np.allclose(r.y[:, -1], [half * math.exp(-2.0), half * (2.0 * math.exp(-1.0) - math.exp(-2.0))], rtol=1e-7, atol=0)
    st = mflow.Stepper(method, fun, [1.0, 1.0], mass=mass, breaks=[1.0], **tight)
    st.advance_to(2.0)
    assert np.allclose(st.y, r.y[:, -1], rtol=1e-8, atol=0)


def test_what_does_not_go_is_said() -> None:
    for method in REFUSES:
        with pytest.raises(ValueError, match=f"constant matrix for {method}.*bdf, radau5|constant matrix for {method}.*radau5, bdf"):
            mflow.solve_ivp(lambda t, y: -y, (0.0, 1.0), [1.0], method, mass=lambda t: [1.0])
    with pytest.raises(ValueError, match="exclude_algebraic"):
        mflow.solve_ivp(lambda t, y: -y, (0.0, 1.0), [1.0], "bdf", mass=lambda t: [1.0], exclude_algebraic=True)
    with pytest.raises(ValueError, match=r"shape \(1,\)"):
        mflow.solve_ivp(lambda t, y: -y, (0.0, 1.0), [1.0], "bdf", mass=lambda t: [1.0, 2.0])

    def breaks_down(t: float) -> list[float]:
        if t > 0.5:
            raise KeyError("no mass")
        return [1.0]

    for method in TAKES:
        with pytest.raises(KeyError, match="no mass") as caught:
            mflow.solve_ivp(lambda t, y: -y, (0.0, 1.0), [1.0], method, mass=breaks_down, **TOL)
        assert 0.0 < caught.value.partial_result.t[-1] <= 0.5  # type: ignore[attr-defined]
        with pytest.raises(ValueError, match="finite entries"):
            mflow.solve_ivp(lambda t, y: -y, (0.0, 1.0), [1.0], method, mass=lambda t: [1.0 if t < 0.5 else math.nan], **TOL)
    with pytest.raises(ValueError, match="others at t"):
        mflow.solve_ivp(
            lambda t, y: -y, (0.0, 1.0), [1.0, 1.0], "bdf", mass=lambda t: [1.0, 1.0] if t == 0.0 else [[1.0, t], [0.0, 1.0]], **TOL
        )


def test_a_sparse_mass_is_never_made_dense() -> None:
    n = 20_000
    moving = mass_of(lambda t: scipy.sparse.diags_array(np.full(n, 1.0 + t)).tocsr(), n, 1, 1)
    tracemalloc.start()
    try:
        values = moving.values(0.5)  # type: ignore[attr-defined]
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    np.testing.assert_array_equal(values, np.full(n, 1.5))
    assert peak < 200 * n  # all entries are 3.2 GB


def test_sparse_entries_go_to_their_places() -> None:
    """Duplicates are summed, zeros may be anywhere, a diagonal may follow a sparse matrix, and entries elsewhere are refused."""

    def mass(t: float) -> Any:
        if t == 1.0:
            return scipy.sparse.coo_array(([1.0, 2.0, 5.0, 0.0], ([0, 0, 1, 1], [1, 1, 1, 0])), shape=(2, 2))
        if t == 2.0:
            return [3.0, 4.0]
        if t == 3.0:
            return scipy.sparse.coo_array(([1.0], ([1], [0])), shape=(2, 2))
        return scipy.sparse.csr_array([[1.0, 1.0], [0.0, 1.0]])

    moving: Any = mass_of(mass, 2)
    assert moving.values(1.0).tolist() == [0.0, 3.0, 5.0]
    assert moving.values(2.0).tolist() == [3.0, 0.0, 4.0]
    with pytest.raises(ValueError, match="others at t = 3"):
        moving.values(3.0)


@pytest.mark.parametrize(("mass", "args"), [(lambda t, y: [1.0], ()), (lambda t, y, k: [k], (2.0,))])
def test_a_mass_that_depends_on_y_is_told_the_way(mass: Any, args: tuple[float, ...]) -> None:
    with pytest.raises(TypeError, match=r"mass: expected a function of t and args, got one that takes one more.*M\(t, y\) v = f"):
        mflow.solve_ivp(lambda t, y, *more: -y, (0.0, 1.0), [1.0], "bdf", mass=mass, args=args, **TOL)


def test_a_type_error_inside_of_a_mass_stays_what_it_is() -> None:
    with pytest.raises(TypeError, match="unsupported operand"):
        mflow.solve_ivp(lambda t, y: -y, (0.0, 1.0), [1.0], "bdf", mass=lambda t: [t + "1"], **TOL)  # type: ignore[operator]


@pytest.mark.parametrize("form", ["csr", "csc", "coo", "dense"])
@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_entries_that_are_not_finite_name_the_mass(form: str, bad: float) -> None:
    M = scipy.sparse.random(6, 6, 0.5, format="lil", random_state=0) + scipy.sparse.eye(6, format="lil")  # one block, whose rank is asked
    M = M.tolil()
    M[0, 0] = bad
    given = M.toarray() if form == "dense" else M.asformat(form)
    with pytest.raises(ValueError, match="mass: expected finite entries, got NaN or an infinity"):
        mflow.solve_ivp(lambda t, y: -y, (0, 1), np.ones(6), "radau5", mass=lambda t: given)
