"""Newton-Krylov with a preconditioner. Oracles: the banded solver, counts of what is called."""

from typing import Any

import numpy as np
import pytest
import scipy.linalg
import scipy.sparse
import scipy.sparse.linalg

import mflow
from mflow.nonlinear import NewtonKrylov

N = 200
RATE = 4e4


def fun(t: float, y: Any) -> Any:
    wide = np.concatenate([[1.0], y, [0.0]])
    return RATE * (wide[:-2] - 2.0 * y + wide[2:]) + y - y**3


def sparse_jac(t: float, y: Any) -> Any:
    ones = np.full(N - 1, RATE)
    return scipy.sparse.diags_array([ones, 1.0 - 2.0 * RATE - 3.0 * y**2, ones], offsets=[-1, 0, 1]).tocsc()


def band(t: float, y: Any, gamma: float) -> Any:
    """The band of I - gamma J of the linear part."""
    rows = np.empty((3, N))
    rows[0] = rows[2] = -gamma * RATE
    rows[1] = 1.0 + 2.0 * gamma * RATE
    return rows


class Asked:
    """A preconditioner of the linear part, in one of the forms that are taken."""

    def __init__(self, form: str) -> None:
        self.form, self.count, self.applied = form, 0, 0

    def __call__(self, t: float, y: Any, gamma: float) -> Any:
        assert y.shape == (N,)
        assert not y.flags.writeable
        self.count += 1
        rows = band(t, y, gamma)

        def apply(b: Any) -> Any:
            self.applied += 1
            return scipy.linalg.solve_banded((1, 1), rows, b)

        if self.form == "solve":
            return scipy.sparse.linalg.splu(scipy.sparse.identity(N, format="csc") - gamma * sparse_jac(t, y))
        return apply if self.form == "function" else scipy.sparse.linalg.LinearOperator((N, N), matvec=apply)


START = np.sin(np.arange(N) / 9.0)
SETTINGS: dict[str, Any] = {"rtol": 1e-6, "atol": 1e-8, "save": "last"}


@pytest.mark.parametrize("method", ["bdf", "esdirk43"])
def test_it_comes_to_the_end_of_the_banded_solver_in_few_calls(method: str) -> None:
    exact = mflow.solve_ivp(fun, (0, 1), START, "radau5", lband=1, uband=1, rtol=1e-9, atol=1e-11, save="last").y[:, -1]
    by_band = mflow.solve_ivp(fun, (0, 1), START, method, lband=1, uband=1, **SETTINGS)
    plain = mflow.solve_ivp(fun, (0, 1), START, method, solver="newton_krylov", **SETTINGS)
    for form in ("function", "operator", "solve"):
        asked = Asked(form)
        r = mflow.solve_ivp(fun, (0, 1), START, method, solver=NewtonKrylov(prec=asked), **SETTINGS)
        assert r.reason == "finished"
        np.testing.assert_allclose(r.y[:, -1], exact, atol=2e-5)
        assert r.nfev < 2.5 * by_band.nfev
        assert r.nfev < 0.4 * plain.nfev
        assert 0 < asked.count <= r.nlu <= r.nsteps
    r = mflow.solve_ivp(fun, (0, 1), START, method, solver=NewtonKrylov(prec="ilu"), jac=sparse_jac, **SETTINGS)
    np.testing.assert_allclose(r.y[:, -1], exact, atol=2e-5)
    assert r.nfev < 2.5 * by_band.nfev


def test_fixed_steps_take_it() -> None:
    want = mflow.solve_ivp(fun, (0, 0.1), START, "backward_euler", dt=0.01, lband=1, uband=1).y[:, -1]
    for given in ({"solver": NewtonKrylov(prec=Asked("function"))}, {"solver": NewtonKrylov(prec="ilu"), "jac": sparse_jac}):
        r = mflow.solve_ivp(fun, (0, 0.1), START, "backward_euler", dt=0.01, **given)
        np.testing.assert_allclose(r.y[:, -1], want, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("method", ["bdf", "esdirk43"])
def test_a_resumed_run_has_the_same_bits(method: str, tmp_path: Any) -> None:
    path = tmp_path / "state"

    def solved(**more: Any) -> Any:
        settings = {**SETTINGS, "save": "all", **more}
        return mflow.solve_ivp(fun, (0, 1), START, method, solver=NewtonKrylov(prec=Asked("function")), **settings)

    whole = solved()
    for steps in (1, 7, 20):
        solved(max_steps=steps, checkpoint=path)
        again = solved(resume=path)
        np.testing.assert_array_equal(again.y, whole.y)
        assert (again.nfev, again.nlu) == (whole.nfev, whole.nlu)


BAD: list[tuple[Any, dict[str, Any], type[Exception], str]] = [
    (3, {}, TypeError, "^prec: expected a function"),
    ("lu", {}, TypeError, "^prec: expected a function"),
    ("ilu", {}, ValueError, "^prec: expected jac with 'ilu'.* got none; give it$"),
    ("ilu", {"jac": lambda t, y: np.eye(N)}, ValueError, "^prec: expected jac with 'ilu'.* got one that is not sparse; make it"),
    (lambda t, y, gamma: None, {}, TypeError, "^prec: expected it to return"),
    (lambda t, y, gamma: lambda b: b[1:], {}, ValueError, f"^prec: expected {N} real numbers"),
    (Asked("function"), {"method": "radau5"}, ValueError, "^prec: expected a method whose stages"),
    (Asked("function"), {"jac": sparse_jac}, ValueError, "^jac: NewtonKrylov uses no Jacobian"),
]


@pytest.mark.parametrize(("prec", "more", "error", "words"), BAD)
def test_bad_input_is_told(prec: Any, more: dict[str, Any], error: type[Exception], words: str) -> None:
    method = more.pop("method", "bdf")
    with pytest.raises(error, match=words):
        mflow.solve_ivp(fun, (0, 1), START, method, solver=NewtonKrylov(prec=prec), **more)


def test_an_error_in_it_comes_through() -> None:
    def prec(t: float, y: Any, gamma: float) -> Any:
        raise RuntimeError("no inverse")

    with pytest.raises(RuntimeError, match="no inverse"):
        mflow.solve_ivp(fun, (0, 1), START, "bdf", solver=NewtonKrylov(prec=prec))


def test_motions_take_none() -> None:
    with pytest.raises(ValueError, match=r"^prec: expected none for accelerations"):
        mflow.solve_dynamics(
            force=lambda t, x, v: -(x**3),
            mass=1.0,
            t_span=(0, 1),
            x0=[1.0],
            dt=0.1,
            method="newmark",
            solver=NewtonKrylov(prec=Asked("function")),
        )
