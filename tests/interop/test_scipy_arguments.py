"""Every argument of SciPy's `minimize`, `least_squares` and `curve_fit`, and every option of the methods we share, is ours or is answered.

The lists are read from SciPy's signatures: an argument that SciPy gains makes a test fail until it is taken or named.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import mflow
from support.places import ROOT

optimize = pytest.importorskip("scipy.optimize")

METHODS = ("BFGS", "CG", "L-BFGS-B", "trust-ncg")
# A value of each argument that asks for something, where one is needed to be answered.
ASKING: dict[str, Any] = {
    "tr_solver": "lsmr", "tr_options": {"maxiter": 3}, "verbose": 2, "workers": 2, "constraints": [{"type": "eq", "fun": lambda x: x[0]}],
    "norm": 2, "disp": True, "iprint": 1, "return_all": True, "eps": 1e-6, "finite_diff_rel_step": 1e-6, "hess_inv0": np.eye(2),
    "inexact": False, "subproblem": object(), "subproblem_maxiter": 3, "factor": 10.0, "col_deriv": 1, "full_output": True, "Dfun": abs,
    "args": (1,), "kwargs": {"a": 1},
}  # fmt: skip
# A value of each argument that is taken.
TAKEN: dict[str, Any] = {
    "gtol": 1e-6, "maxiter": 90, "xrtol": 1e-3, "c1": 1e-3, "c2": 0.5, "maxcor": 5, "ftol": 1e-6, "maxfun": 90, "maxls": 30,
    "initial_trust_radius": 0.5, "max_trust_radius": 10.0, "eta": 0.1, "xtol": 1e-6, "x_scale": 2.0, "loss": "soft_l1", "f_scale": 2.0,
    "max_nfev": 90, "maxfev": 90, "diff_step": 1e-6, "jac_sparsity": np.ones((5, 2)), "epsfcn": 1e-12, "diag": [1.0, 2.0],
    "callback": lambda x: None,
}  # fmt: skip
HANDED = {"fun", "func", "x0", "args", "jac", "hess", "hessp", "bounds", "callback", "unknown_options", "options"}  # by minimize itself
POSITIONAL = {"method", "jac", "bounds", "full_output"}  # of curve_fit itself
T = np.linspace(0.0, 1.0, 5)


def names_of(function: Any) -> list[str]:
    return list(inspect.signature(function).parameters)


def options_of(method: str) -> list[str]:
    """Of one of SciPy's methods."""
    from scipy.optimize import _lbfgsb_py, _optimize, _trustregion

    functions = {
        "BFGS": _optimize._minimize_bfgs, "CG": _optimize._minimize_cg, "L-BFGS-B": _lbfgsb_py._minimize_lbfgsb,
        "trust-ncg": _trustregion._minimize_trust_region,
    }  # fmt: skip
    return [name for name in names_of(functions[method]) if name not in HANDED]


def cost(x: Any) -> Any:
    return (x[0] - 1) ** 2 + 10 * (x[1] - x[0] ** 2) ** 2


def model(t: Any, a: float, k: float) -> Any:
    return a * np.exp(-k * t)


def every_option() -> Iterator[tuple[str, str]]:
    return ((method, name) for method in METHODS for name in options_of(method))


@pytest.mark.parametrize(("method", "name"), list(every_option()))
def test_options_of_minimize(method: str, name: str) -> None:
    if name in TAKEN:
        r = mflow.minimize(cost, [0.0, 0.0], method=method, options={name: TAKEN[name]})
        assert r.success
        assert abs(r.x - 1.0).max() < (0.5 if name in ("ftol", "xrtol") else 1e-3)
        return
    with pytest.raises(TypeError, match=f"^{name}: [a-z].*"):
        mflow.minimize(cost, [0.0, 0.0], method=method, options={name: ASKING[name]})


def test_arguments_of_minimize() -> None:
    ours = names_of(mflow.minimize)
    for name in names_of(optimize.minimize):
        if name not in ours:
            with pytest.raises(TypeError, match=f"^{name}: "):
                mflow.minimize(cost, [0.0, 0.0], **{name: ASKING[name]})
    assert ours.index("args") == 2
    assert ours[:8] == [name for name in names_of(optimize.minimize) if name in ours][:8]
    assert mflow.minimize(cost, [0.0, 0.0], constraints=()).success  # type: ignore[call-arg]
    told: list[Any] = []
    assert mflow.minimize(cost, [0.0, 0.0], callback=lambda intermediate_result: told.append(intermediate_result.fun)).nit == len(told)
    with pytest.raises(ValueError, match=r"hess: .* '3-point'"):
        mflow.minimize(cost, [0.0, 0.0], method="trust-ncg", hess="3-point")
    assert mflow.minimize(cost, [0.0, 0.0], method="trust-ncg", hess="2-point").success
    for method in ("SLSQP", "Nelder-Mead", "trust-constr", "TNC"):
        with pytest.raises(ValueError, match=f"method: no method '{method}', which is another library's.* 'lbfgs'"):
            mflow.minimize(cost, [0.0, 0.0], method=method)


def test_arguments_of_least_squares() -> None:
    ours = inspect.signature(mflow.least_squares).parameters
    theirs = inspect.signature(optimize.least_squares).parameters
    assert set(theirs) <= set(ours)
    first = list(theirs)[:4]
    assert list(ours)[:4] == first
    for name, parameter in theirs.items():  # SciPy's own defaults ask for nothing that is refused
        if parameter.default is not inspect.Parameter.empty and name != "method":
            assert mflow.least_squares(lambda b: model(T, *b) - 2 * np.exp(-T), [1.0, 0.5], **{name: parameter.default}).success, name
    for name in ("tr_solver", "tr_options", "verbose", "workers"):
        with pytest.raises(ValueError, match=f"^{name}: [a-z].*, got "):
            mflow.least_squares(lambda b: b, [1.0, 0.5], **{name: ASKING[name]})
    page = (ROOT / "docs" / "uses.md").read_text()
    assert '"trf" and "dogbox" are a\nValueError, as are verbose, workers, tr_solver and tr_options that ask' in page
    for method in ("trf", "dogbox"):
        with pytest.raises(ValueError, match=f"method: expected 'lm' .* got '{method}'"):
            mflow.least_squares(lambda b: b, [1.0, 0.5], method=method)
    exact = mflow.least_squares(lambda b: b, [1.0, 0.5], tr_solver="exact", tr_options={}, workers=1, x_scale=None)
    assert exact.success


def test_arguments_of_curve_fit() -> None:
    """Its own, and those that it hands on to leastsq and least_squares."""
    assert names_of(optimize.curve_fit)[:-1] == names_of(mflow.curve_fit)[: len(names_of(optimize.curve_fit)) - 1]
    y = model(T, 2.0, 1.0)
    own = {"fun", "func", "x0", *POSITIONAL}
    for name in sorted({*names_of(optimize.leastsq), *names_of(optimize.least_squares)} - own):
        if name in TAKEN:
            assert np.allclose(mflow.curve_fit(model, T, y, [1.0, 0.5], **{name: TAKEN[name]})[0], [2.0, 1.0], atol=1e-2), name
        else:
            value = ASKING.get(name, 1e-6)
            if name == "gtol":
                assert mflow.curve_fit(model, T, y, gtol=value).success
                continue
            with pytest.raises(TypeError, match=f"^{name}: [a-z].*"):
                mflow.curve_fit(model, T, y, **{name: value})


def test_minpacks_names_are_ours() -> None:
    """epsfcn is the square of diff_step, diag the inverse of x_scale: the same fit to the last bit."""
    y = model(T, 2.0, 1.0) + 0.01 * np.cos(9 * T)
    a, b = (mflow.curve_fit(model, T, y, [1.0, 0.5], **how) for how in ({"epsfcn": 1e-10}, {"diff_step": 1e-10**0.5}))
    assert np.array_equal(a[0], b[0])
    assert not np.array_equal(a[0], mflow.curve_fit(model, T, y, [1.0, 0.5])[0])
    a, b = (mflow.curve_fit(model, T, y, [1.0, 0.5], **how) for how in ({"diag": [4.0, 0.5]}, {"x_scale": [0.25, 2.0]}))
    assert np.array_equal(a[0], b[0])
    assert a.calls == b.calls
    with pytest.raises(TypeError, match="diag, x_scale: they are one thing"):
        mflow.curve_fit(model, T, y, diag=[1.0, 1.0], x_scale=[1.0, 1.0])
    for diag in ([1.0], [1.0, -1.0], [1.0, math.nan]):
        with pytest.raises(ValueError, match="diag: expected 2 numbers above 0"):
            mflow.curve_fit(model, T, y, diag=diag)
    with pytest.raises(ValueError, match="epsfcn: "):
        mflow.curve_fit(model, T, y, epsfcn=-1.0)
