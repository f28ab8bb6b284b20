"""Costs in joules over metres, whose gradients gtol = 1e-5 allows at the start: the minima are known in closed form."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import mflow

Array = NDArray[np.float64]
D, A, R = 7e-19, 2e10, 1.1e-10


def morse(r: Array) -> float:
    return float(D * (1 - np.exp(-A * (r[0] - R))) ** 2)


def force(r: Array) -> Array:
    e = np.exp(-A * (r[0] - R))
    return np.array([2 * D * (1 - e) * e * A])


def charges(at: Array) -> float:
    """Thomson's problem of six, which end at the corners of an octahedron."""
    th, ph = at.reshape(-1, 2).T
    x = np.c_[np.sin(th) * np.cos(ph), np.sin(th) * np.sin(ph), np.cos(th)]
    i, j = np.triu_indices(6, 1)
    return float(2.3e-18 * np.sum(1.0 / np.linalg.norm(x[i] - x[j], axis=1)))


START = np.array([1.293, 3.81, 2.049, 0.104, 1.489, 5.1, 1.6, 3.81, 1.2, 1.1, 0.6, 5.8])


@pytest.mark.filterwarnings("ignore:overflow|invalid value")
@pytest.mark.parametrize("jac", [None, force])
@pytest.mark.parametrize("method", ["lbfgs", "bfgs", "cg"])
def test_a_bond_in_joules_and_metres(method: str, jac: Any) -> None:
    """It was "converged" at 1.5e-10 after no iteration, with 9 times the energy of a step of a tenth of the way."""
    out = mflow.minimize(morse, [1.5e-10], jac=jac, method=method)
    assert (out.success, out.reason) == (True, "converged")
    assert abs(out.x[0] - R) < 1e-6 * R
    assert "gtol = 1e-05 allows a gradient along which the cost falls by" in out.message
    assert "went on to 1.4e-14" in out.message


@pytest.mark.parametrize("method", ["lbfgs", "bfgs", "cg", "trust_ncg"])
def test_charges_in_joules(method: str) -> None:
    out = mflow.minimize(charges, START, method=method)
    assert out.success
    octahedron = 2.3e-18 * (12 / np.sqrt(2) + 3 / 2)
    assert abs(out.fun - octahedron) < 1e-7 * octahedron


def test_bounds_and_callbacks_hold_where_it_goes_on() -> None:
    seen = []
    out = mflow.minimize(morse, [1.5e-10], jac=force, bounds=[(1.2e-10, 2e-10)], callback=lambda x: seen.append(x.copy()))
    assert abs(out.x[0] - 1.2e-10) < 1e-16
    assert all(1.2e-10 <= x[0] <= 2e-10 for x in seen)
    few = mflow.minimize(charges, START, maxiter=2)
    assert (few.success, few.reason, few.nit) == (False, "max_iter", 2)


def test_other_methods_say_it() -> None:
    """Their steps are those that were asked for; with a gtol that was given it is met."""
    with pytest.warns(RuntimeWarning, match=r"minimize: gtol = 1e-05 allows a gradient .* give gtol=1e-14, or cost and x in other units"):
        out = mflow.minimize(morse, [1.5e-10], jac=force, method="adam", lr=1e-12)
    assert (out.success, out.status, out.reason) == (False, -1, "not_a_minimum")
    for how in ({"gtol": 1e-5}, {"tol": 1e-5}, {"options": {"gtol": 1e-5}}):
        given: Any = mflow.minimize(morse, [1.5e-10], jac=force, **how)  # type: ignore[arg-type]
        assert (given.success, given.nit) == (True, 0)
        assert "give gtol=1e-14" in given.message
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert mflow.minimize(morse, [1.5e-10], jac=force, method="adam", lr=1e-12, check_gradient=False).nit == 0


@pytest.mark.parametrize("start", [[1.0 + 1e-9, 1.0], [3.0, -2.0], [1.0, 1.0]])
def test_ordinary_ends_are_not_asked(start: list[float]) -> None:
    """At a minimum, or beside it, where x does not move by a thousandth of itself, nothing is said."""
    cost = lambda x: 1e-3 + (x[0] - 1.0) ** 2 + (x[1] - 1.0) ** 2  # noqa: E731
    out = mflow.minimize(cost, start, jac=lambda x: 2.0 * (x - 1.0))
    assert out.success
    assert "allows a gradient" not in out.message


def valley(z: Array) -> tuple[float, Array]:
    lift = z[1] - z[0] ** 2
    return float((1 - z[0]) ** 2 + 100 * lift**2), np.array([-2 * (1 - z[0]) - 400 * z[0] * lift, 200 * lift])


def bowl(z: Array) -> tuple[float, Array]:
    stiff = np.array([1.0, 10.0, 100.0])
    return float(7 + 0.5 * stiff @ (z - 1) ** 2), stiff * (z - 1)


@pytest.mark.parametrize("method", ["lbfgs", "bfgs", "cg", "trust_ncg", "lbfgsb"])
@pytest.mark.parametrize(("cost", "start"), [(valley, [-1.2, 1.0]), (bowl, [3.0, 3.0, 3.0])])
@pytest.mark.parametrize(("f", "u"), [(1e-6, 1.0), (1.0, 1e6), (1e-12, 1e-6)])
def test_valleys_that_the_gradient_does_not_lead_along(f: float, u: float, cost: Any, start: list[float], method: str) -> None:
    """They were "converged" after some iterations, 2 units away from 1, as steps along the gradient lower the cost by little."""
    scaled = lambda x: (f * cost(x / u)[0], f / u * cost(x / u)[1])  # noqa: E731
    out = mflow.minimize(scaled, u * np.array(start), jac=True, method=method)
    assert out.success
    assert np.max(np.abs(out.x / u - 1.0)) < 1e-3


def test_three_iterations_more_that_gain_little_are_an_end() -> None:
    cost = lambda x: (1e-3 + float(np.sum((x - 1.0) ** 2 + 30.0 * (x - 1.0) ** 4)), 2.0 * (x - 1.0) + 120.0 * (x - 1.0) ** 3)  # noqa: E731
    out = mflow.minimize(cost, [1.001, 1.002], jac=True)
    assert (out.success, out.reason) == (True, "converged")
    assert "at most gtol = 1e-05" in out.message
    assert "allows a gradient" not in out.message


@pytest.mark.parametrize("tail", [(valley, 1e-6, 1.0), (valley, 7e-19, 1e-10)])
def test_a_run_from_a_file_goes_on_to_the_same_gtol(tail: Any, tmp_path: Any) -> None:
    """It ended at once where it was saved, as the usual gtol allows."""
    cost, f, u = tail
    scaled = lambda x: (f * cost(x / u)[0], f / u * cost(x / u)[1])  # noqa: E731
    start, file = u * np.array([-1.2, 1.0]), tmp_path / "run"
    whole = mflow.minimize(scaled, start, jac=True)
    for k in range(1, whole.nit):
        mflow.minimize(scaled, start, jac=True, maxiter=k, checkpoint=file)
        out = mflow.minimize(scaled, start, jac=True, resume=file)
        assert (out.x.tobytes(), out.nit, out.reason, out.message) == (whole.x.tobytes(), whole.nit, whole.reason, whole.message)


@pytest.mark.parametrize("method", ["lbfgs", "bfgs", "cg", "trust_ncg"])
@pytest.mark.parametrize("f", [1e-6, 1e-12])
def test_a_start_at_0_where_the_cost_is_0_has_no_size(f: float, method: str) -> None:
    """As of linear models, which start there: "converged" after no iteration."""
    stiff, b = np.array([1.0, 10.0, 100.0]), np.array([1.0, 2.0, 3.0])
    out = mflow.minimize(lambda x: (f * float(0.5 * stiff @ x**2 - b @ x), f * (stiff * x - b)), np.zeros(3), jac=True, method=method)
    assert out.success
    np.testing.assert_allclose(out.x, b / stiff, atol=1e-4)


H, G = np.diag([2e-9, 3e-9]), np.array([1e-9, 2e-9])


@pytest.mark.parametrize("how", ["compiled", "gradient", "differences", "batch"])
@pytest.mark.parametrize("method", ["lbfgs", "bfgs", "cg"])
def test_a_small_cost_of_0_at_0_goes_on(method: str, how: str) -> None:
    """Neither cost nor x has a size there: it was "converged" at x0 but with a gradient from Python."""
    f: Any = mflow.objectives.Quadratic(H, G)
    best = np.linalg.solve(H, G)
    if how == "batch":
        x = mflow.minimize_batch(f, [[0.0, 0.0]], method)[0].x
    elif how == "compiled":
        x = mflow.minimize(f, [0.0, 0.0], method=method).x
    else:
        jac = (lambda x: H @ x - G) if how == "gradient" else None
        x = mflow.minimize(lambda x: 0.5 * x @ H @ x - G @ x, [0.0, 0.0], method=method, jac=jac).x
    np.testing.assert_allclose(x, best, rtol=1e-4)


@pytest.mark.parametrize("method", ["adam", "momentum", "sgd"])
def test_optimizers_do_not_end_there(method: str) -> None:
    f = mflow.objectives.Quadratic(H, G)
    with pytest.warns(RuntimeWarning, match="gtol = 1e-05 allows a gradient"):
        out = mflow.minimize(f, [0.0, 0.0], method=method, lr=1e-3)
    assert (out.success, out.reason) == (False, "not_a_minimum")
    assert mflow.minimize_batch(f, [[0.0, 0.0]], method, lr=1e-3).reason == ["not_a_minimum"]
    given = mflow.minimize(f, [0.0, 0.0], method=method, lr=1e-3, gtol=1e-5)
    assert (given.success, given.nit) == (True, 0)


def test_a_minimum_near_0_of_a_cost_of_0_there_has_converged() -> None:
    """Its gradient promises far more along a step of 1 than the cost falls by."""
    for slope in (1e-6, 1e-9, -1e-12):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            out = mflow.minimize(lambda x, s=slope: (float(x @ x + s * x[0]), 2 * x + [s, 0.0]), [0.0, 0.0], jac=True, method="adam")
        assert (out.success, out.nit, out.x.tolist()) == (True, 0, [0.0, 0.0])


def bowl(z: Array) -> float:
    return float((z - [1.0, -2.0]) @ (z - [1.0, -2.0]))


def valley(z: Array) -> float:
    return float(100.0 * (z[1] + 2.0 * z[0] ** 2) ** 2 + (z[0] - 1.0) ** 2)


@pytest.mark.parametrize("fun", [bowl, valley])
@pytest.mark.parametrize(("size", "unit"), [(1e-10, 1e-18), (1e-11, 1e-18), (1e-9, 1e-18)])
@pytest.mark.parametrize("jac", [None, "3-point"])
def test_differences_at_0_find_the_size_of_x(fun: Any, size: float, unit: float, jac: Any) -> None:
    """Over 1.5e-8 of 1 they told no slope of x: it was "converged" at 0, or line_search_failed."""
    out = mflow.minimize(lambda x: unit * fun(x / size), [0.0, 0.0], jac=jac)
    assert out.success, out.message
    np.testing.assert_allclose(out.x / size, [1.0, -2.0], rtol=1e-2)


def test_differences_at_a_minimum_at_0_are_looked_at_briefly() -> None:
    for offset in (0.0, 1.0):
        out = mflow.minimize(lambda x, c=offset: float(x @ x) + c, np.zeros(2))
        assert (out.reason, out.nit, out.x.tolist()) == ("converged", 0, [0.0, 0.0])
        assert out.nfev <= 25


def test_optimizers_by_differences_do_not_converge_at_0_by_them() -> None:
    out = mflow.minimize(lambda x: 1e-18 * bowl(x / 1e-10), [0.0, 0.0], method="adam", lr=1e-12)
    assert (out.success, out.reason) == (False, "wrong_gradient")
    assert "differences are longer than the lengths over which the cost bends at x = 0" in out.message
