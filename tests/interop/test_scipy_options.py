"""Options of SciPy's in minimize: those that are here, by their numbers; those that name ours; those that ask for nothing."""

import re
from typing import Any

import numpy as np
import pytest

import mflow
from mflow.curvature.inverse import InverseHessian


@pytest.mark.parametrize(
    ("options", "fix"),
    [
        ({"maxfev": 100}, "maxiter="),
        ({"norm": 2}, "largest entry"),
        ({"hess_inv0": np.eye(1)}, "omit it"),
        ({"workers": 2}, "one after the other"),
        ({"eps": 1e-8}, "diff_step="),
        ({"return_all": True}, "path="),
        ({"disp": True}, "message; callback="),
        ({"iprint": 1}, "message; callback="),
    ],
)
def test_options_of_scipys_name_ours(options: dict[str, Any], fix: str) -> None:
    with pytest.raises(TypeError, match=f"^{next(iter(options))}: .*{fix}"):
        mflow.minimize(lambda x: x @ x, [1.0], method="L-BFGS-B", options=options)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *[(name, True) for name in ("disp", "iprint", "verbose")],
        *[("max_iter", 3), ("eps", 1e-8), ("finite_diff_rel_step", 1e-8), ("callbacks", print), ("return_all", True)],
    ],
)
def test_what_is_offered_in_place_of_an_argument_is_taken(name: str, value: Any) -> None:
    """By the default, which has a line search, without further arguments."""
    with pytest.raises(TypeError, match=f"^{name}: ") as told:
        mflow.minimize(lambda x: x @ x, [1.0], **{name: value})
    offered = re.findall(r"\b(\w+)=", str(told.value))
    assert offered
    for ours in offered:
        assert mflow.minimize(lambda x: x @ x, [1.0], **{ours: (lambda *_: None) if ours == "callback" else value}).nfev > 0, ours


def test_scipys_further_ends() -> None:
    """Where its own test says so, the run of SciPy's option is the plain one, cut there."""

    def cost(x: Any) -> Any:
        return 100 * (x[1] - x[0] ** 2) ** 2 + (1 - x[0]) ** 2

    def grad(x: Any) -> Any:
        return np.array([-400 * x[0] * (x[1] - x[0] ** 2) - 2 * (1 - x[0]), 200 * (x[1] - x[0] ** 2)])

    start = [-1.2, 1.0]
    path = mflow.minimize(cost, start, jac=grad, path=True).path
    for ftol in (1e-1, 1e-3, 1e-6):
        r = mflow.minimize(cost, start, jac=grad, options={"ftol": ftol})
        fell = path.fun[:-1] - path.fun[1:] <= ftol * np.maximum(1.0, np.maximum(abs(path.fun[:-1]), abs(path.fun[1:])))
        assert (r.reason, r.nit, r.success) == ("converged", 1 + np.argmax(fell), True)
        assert "ftol" in r.message
    for xrtol in (0.3, 1e-2):
        r = mflow.minimize(cost, start, jac=grad, options={"xrtol": xrtol})
        short = np.linalg.norm(np.diff(path.x, axis=0), axis=1) <= xrtol * (xrtol + np.linalg.norm(path.x[1:], axis=1))
        assert (r.reason, r.nit) == ("converged", 1 + np.argmax(short))
    r = mflow.minimize(cost, start, jac=grad, options={"maxfun": 7})
    assert (r.reason, r.success, r.status) == ("max_nfev", False, 1)
    assert 7 <= r.nfev < 12
    with pytest.raises(ValueError, match=r"ftol: .* got -1"):
        mflow.minimize(cost, start, jac=grad, options={"ftol": -1.0})
    with pytest.raises(TypeError, match="ftol: without a line search"):
        mflow.minimize(cost, start, jac=grad, method="adam", lr=0.1, options={"ftol": 1e-3})


def test_scipys_numbers_of_the_search() -> None:
    """c1, c2 and maxls are those of the strong Wolfe rule."""
    start, rule = np.full(4, -1.0), mflow.LineSearch("strong_wolfe", c1=0.1, c2=0.3, max_evaluations=9)

    def cost(x: Any) -> Any:
        return np.sum(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)

    a = mflow.minimize(cost, start, method="BFGS", options={"c1": 0.1, "c2": 0.3, "maxls": 9})
    b = mflow.minimize(cost, start, method="BFGS", line_search=rule)
    assert (a.nit, a.nfev, a.fun) == (b.nit, b.nfev, b.fun)
    assert a.line_search == rule
    with pytest.raises(TypeError, match="c1: give line_search"):
        mflow.minimize(cost, start, line_search="strong_wolfe", options={"c1": 0.1})


@pytest.mark.parametrize("n", [1, 2, 8, 13])
def test_the_inverse_hessian_of_bfgs_is_that_of_its_products(n: int) -> None:
    Q = np.random.default_rng(n).normal(size=(n, n))
    A = Q @ Q.T + np.eye(n)
    for limit in (0, 1, 4, 50):
        r = mflow.minimize(lambda x: (0.5 * x @ A @ x - x.sum(), A @ x - 1.0), np.zeros(n), jac=True, method="bfgs", maxiter=limit)
        descent = vars(r)["_later"]["hess_inv"].__self__
        assert np.array_equal(r.hess_inv, InverseHessian(descent.run, n, ()).todense())
        assert np.array_equal(r.hess_inv, r.hess_inv.T)


def test_options_that_ask_for_nothing_are_taken() -> None:
    nothing = {"disp": False, "maxiter": 50, "norm": np.inf, "return_all": False, "workers": None, "xrtol": 0, "eps": None}
    res = mflow.minimize(lambda x: x @ x, [1.0], method="BFGS", constraints=(), options=nothing)  # type: ignore[call-arg]
    assert res.success
    assert mflow.minimize(lambda x: x @ x, [1.0], method="adam", lr=0.1, eps=1e-9, maxiter=3).nit == 3
