"""Jacobians and Hessians that are not those of the function: they are named, early, and no method or flow is blamed in their place."""

from __future__ import annotations

import functools
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mflow

Array = np.ndarray
A = np.array([[-1.0, 500.0, 0.0], [0.0, -2000.0, 30.0], [1.0, 0.0, -1e5]])
TOLERANCES = {"rtol": 1e-5, "atol": 1e-8}
WRONG = {"sign": -A, "zero": 0.0 * A}


@pytest.mark.parametrize("name", WRONG)
def test_auto_names_the_jacobian_and_says_nothing_of_stiffness_by_it(name: str) -> None:
    """The eigenvalues of A are -1, -2000 and -1e5 throughout: no leg ends because the problem is not stiff any more."""
    with pytest.warns(RuntimeWarning, match="jac is not the derivative of fun") as told:
        r = mflow.solve_ivp(lambda t, y: A @ y, (0, 0.01), [1.0, 1.0, 1.0], "auto", jac=WRONG[name], **TOLERANCES)
    assert len([one for one in told if "jac" in str(one.message)]) == 1
    assert r.switches > 0
    assert "jac is not the derivative of fun" in r.message
    assert "not stiff any more" not in r.message
    assert "not stiff any more" not in mflow.solve_ivp(lambda t, y: A @ y, (0, 0.01), [1.0, 1.0, 1.0], "auto", jac=A, **TOLERANCES).message


@pytest.mark.parametrize("method", ["radau5", "bdf", "esdirk43", "rodas5p", "auto"])
def test_a_run_that_is_ended_on_the_way_has_named_the_jacobian(method: str) -> None:
    calls = [0]

    def fun(t: float, y: Array) -> Array:
        calls[0] += 1
        if calls[0] >= 20_000:  # looks for words may meet it, too
            raise RuntimeError("enough")
        return A @ y

    with pytest.warns(RuntimeWarning, match="jac is not the derivative of fun"), pytest.raises(RuntimeError) as caught:
        mflow.solve_ivp(fun, (0, 0.1), [1.0, 1.0, 1.0], method, jac=-A, **TOLERANCES)
    partial: Any = caught.value.partial_result  # type: ignore[attr-defined]
    assert "jac is not the derivative of fun" in partial.message


FLOWS = {"sign": -2.0, "zero": 0.0, "ten times": 20.0}


class Called:
    """An object that is called as the function is."""

    def __init__(self, fun: Any) -> None:
        self.fun = fun

    def __call__(self, x: Array) -> Any:
        return self.fun(x)


KINDS = {"def": lambda fun: fun, "partial": functools.partial, "object": Called, "method": lambda fun: Called(fun).__call__}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("pair", [True, False])
@pytest.mark.parametrize("name", FLOWS)
def test_a_wrong_hessian_is_named_and_not_the_flow(name: str, pair: bool, kind: str) -> None:
    """The flow of x'x is x' = -2 x, which rests at 0."""
    calls = [0]

    def slope(x: Array) -> Array:
        calls[0] += 1
        return 2.0 * x

    fun: Any = (lambda x: (float(x @ x), slope(x))) if pair else (lambda x: float(x @ x))
    jac: Any = True if pair else KINDS[kind](slope)
    fun = KINDS[kind](fun)
    r = mflow.minimize(fun, np.ones(8), jac=jac, hess=FLOWS[name] * np.eye(8), method="backward_euler", dt=np.inf)
    assert (r.reason, r.nit) == ("solve_failed", 0)
    assert "-hess is not the derivative of the gradient's negative" in r.message
    assert "flow" not in r.message
    assert calls[0] < 6000
    right = mflow.minimize(fun, np.ones(8), jac=jac, hess=2.0 * np.eye(8), method="backward_euler", dt=np.inf)
    assert right.success
    assert np.abs(right.x).max() < 1e-5


def test_a_wrong_jacobian_on_the_way_to_rest_is_named() -> None:
    r = mflow.solve_ivp(lambda t, y: -2.0 * y, (0, np.inf), np.ones(3), "backward_euler", dt=np.inf, jac=-20.0 * np.eye(3))
    assert r.reason == "solve_failed"
    assert "jac is not the derivative of fun" in r.message


@pytest.mark.parametrize("method", ["dopri5", "tsit5", "dop853", "bs32"])
def test_counts_after_a_resume_where_stiffness_is_told(method: str, tmp_path: Path) -> None:
    def fun(t: float, y: Array) -> Array:
        return np.array([y[1], 20.0 * (1.0 - y[0] ** 2) * y[1] - y[0]])

    given = {"rtol": 1e-5, "atol": 1e-7}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        full = mflow.solve_ivp(fun, (0, 30.0), [2.0, 0.0], method, **given)
        for stop in (40, 50, 60, 80, 150):
            seen = [0]

            def callback(t: float, y: Array, seen: list[int] = seen, stop: int = stop) -> bool:
                seen[0] += 1
                return seen[0] >= stop

            path = tmp_path / f"{stop}.mf"
            mflow.solve_ivp(fun, (0, 30.0), [2.0, 0.0], method, callback=callback, checkpoint=path, checkpoint_every=5, **given)
            rest = mflow.solve_ivp(fun, (0, 30.0), [2.0, 0.0], method, resume=path, **given)
            assert (rest.nfev, rest.nsteps, rest.nrejected) == (full.nfev, full.nsteps, full.nrejected)
            assert rest.y.tobytes() == full.y.tobytes()


@pytest.mark.parametrize("kind", ["dok_array", "dok_matrix", "lil_array", "dia_array", "bsr_array", "coo_array"])
@pytest.mark.parametrize("method", ["bdf", "radau5", "esdirk43", "rodas5p"])
def test_every_sparse_format_may_hold_a_jacobian(kind: str, method: str) -> None:
    """As a matrix, and from a function; an entry that is not finite is named, or ends the run."""
    sparse = pytest.importorskip("scipy.sparse")
    make = getattr(sparse, kind)
    J = -np.diag([1.0, 100.0, 1e4])
    full = mflow.solve_ivp(lambda t, y: J @ y, (0, 1), np.ones(3), method, jac=J)
    for jac in (make(J), lambda t, y: make(J)):
        r = mflow.solve_ivp(lambda t, y: J @ y, (0, 1), np.ones(3), method, jac=jac)
        assert r.success
        np.testing.assert_allclose(r.y[:, -1], full.y[:, -1], rtol=1e-9, atol=1e-12)
    bad = J.copy()
    bad[1, 2] = np.nan
    with pytest.raises(ValueError, match="jac"):
        mflow.solve_ivp(lambda t, y: J @ y, (0, 1), np.ones(3), method, jac=make(bad))
