"""SciPy's own tests of `least_squares` and `curve_fit`, run against ours through thin adapters.

An adapter gives SciPy's defaults, calls every method by ours, and turns our warnings into SciPy's. Tests that do not apply are named with
the reason, and must fail; a name that SciPy has no longer fails.
"""

from __future__ import annotations

import functools
import inspect
import math
import warnings

import pytest
import scipy.optimize
import scipy.sparse.linalg

import mflow
from mflow.base.extras import numbers

if numbers(scipy.__version__) < (1, 16):
    pytest.skip("the tables below are about the tests of SciPy 1.16 and later", allow_module_level=True)
theirs = pytest.importorskip("scipy.optimize.tests.test_least_squares")
curves = pytest.importorskip("scipy.optimize.tests.test_minpack")


EVERYWHERE = (-math.inf, math.inf)


def least_squares(fun, x0, jac="2-point", bounds=EVERYWHERE, method="trf", ftol=1e-8, xtol=1e-8, gtol=1e-8, **more):
    """`scipy.optimize.least_squares` by ours."""
    if method not in ("trf", "dogbox", "lm"):
        raise ValueError("`method` must be 'trf', 'dogbox' or 'lm'.")
    more.pop("workers", None)  # how SciPy takes differences: ours are one by one
    if more.get("tr_solver") == "lsmr":  # for sparse Jacobians: ours is the exact one
        more.pop("tr_solver")
    # Left out on purpose: they tell lsmr how near to the exact step it comes, and ours is that. Others go on to ours, which refuses them.
    known = {"regularize", *inspect.signature(scipy.sparse.linalg.lsmr).parameters}
    more["tr_options"] = {name: value for name, value in more.pop("tr_options", {}).items() if name not in known}
    if jac not in ("2-point", "3-point"):
        more.pop("jac_sparsity", None)
    named = "lm" if method == "lm" else None
    try:
        found = mflow.least_squares(fun, x0, jac, bounds, named, ftol, xtol, gtol, check_gradient=False, **more)
        if method == "lm":
            found.njev = None  # MINPACK's; ours counts Jacobians
        return found
    except TypeError as error:
        raise (ValueError(str(error)) if "expected real numbers" in str(error) else error) from None
    except ValueError as error:
        kind = TypeError if str(error).startswith("tr_options: ") else ValueError  # SciPy hands them to a function that lacks the name
        raise kind(in_their_words(str(error))) from error


def curve_fit(f, xdata, ydata, p0=None, sigma=None, absolute_sigma=False, check_finite=None, bounds=EVERYWHERE, method=None, jac=None,
              **more):  # fmt: skip
    """`scipy.optimize.curve_fit` by ours."""
    if method not in (None, "trf", "dogbox", "lm"):
        raise ValueError("`method` must be 'trf', 'dogbox' or 'lm'.")
    if method == "lm" and bounds is not EVERYWHERE:
        raise ValueError("Method 'lm' only works for unconstrained problems.")  # ours takes bounds
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        try:
            named = "lm" if method == "lm" else None
            out = mflow.curve_fit(f, xdata, ydata, p0, sigma, absolute_sigma, check_finite, bounds, named, jac, **more)
        except (TypeError, ValueError) as error:
            kind = ValueError if str(error).startswith("args: ") else type(error)  # ours is that of every name which a driver does not take
            raise kind(in_their_words(str(error))) from error
    bounded = bounds is not EVERYWHERE
    for one in told:
        if bounded and "covariance of the parameters could not" in str(one.message):
            continue  # SciPy's bounded methods take the pseudoinverse, and do not warn
        kind = scipy.optimize.OptimizeWarning if "covariance of the parameters could not" in str(one.message) else one.category
        text = str(one.message).replace("curve_fit: the covariance", "Covariance")
        warnings.warn(text, kind, stacklevel=2)
    return out


WORDS = {
    "method: 'lm' takes at least as many residuals": (
        "Method 'lm' doesn't work when the number of residuals is less than the number of variables"
    ),
    "nan_policy: expected None, 'raise' or 'omit', got 'propagate'": "`nan_policy='propagate'` is not supported by this function.",
    "nan_policy: expected None, 'raise' or 'omit', got": "nan_policy must be one of {None, 'raise', 'omit'}, not",
    "nan_policy: the data have": "The input contains nan values:",
    "p0: expected at most": "The number of func parameters= must be at most",
    "p0: expected starting values within bounds": "Initial guess is outside of provided bounds",
}


def in_their_words(text):
    """Our message as SciPy's tests expect it."""
    for ours_, theirs_ in WORDS.items():
        text = text.replace(ours_, theirs_)
    return text


LEFT_OUT = {
    "TestLM.test_bounds_not_supported": "our lm has bounds",
    "TestLM.test_loss": "our lm has losses",
    "TestLM.test_sparse_not_supported": "our lm takes sparse Jacobians, and makes them dense",
    "test_exact_tr_solver": "our exact solver takes sparse Jacobians and jac_sparsity, which SciPy's refuses",
    "test_linear_operator": "a Jacobian that is an operator is an error here, which says that a matrix is taken",
    "test_solver_selection": "jac of our result is dense where a sparse one was given",
    "test_error_raised_when_all_tolerances_below_eps": "without tolerances our run goes on to rounding, which is an end",
    "test_small_tolerances_for_lm": "MINPACK cannot test below rounding; ours goes on to it, which is an end",
}


def reason_for(name, test):
    """Why a test of this class, or of the module, must fail; None. `test_jac` is one of the losses', and of curve_fit another."""
    return LEFT_OUT.get(f"{name}.{test}", None if name == "TestCurveFit" else LEFT_OUT.get(test))


def test_what_is_left_out_is_there():
    for one in LEFT_OUT:
        name, _, test = one.rpartition(".")
        owners = [getattr(curves if name == "TestCurveFit" else theirs, name)] if name else [theirs.TestTRF, theirs]
        assert any(hasattr(owner, test) for owner in owners), one


def marked(function, reason):
    """The test, which must fail where there is a reason, so that the table cannot outlive it."""

    @functools.wraps(function)
    def run(*args, **kwargs):
        return function(*args, **kwargs)

    return pytest.mark.xfail(reason=reason, strict=True)(run)


def chosen(source, name):
    """A copy of a class of SciPy's tests."""
    body = {}
    for one, function in inspect.getmembers(source, inspect.isfunction):
        if one.startswith("test_"):
            reason = reason_for(name, one)
            body[one] = marked(function, reason) if reason else function
    for base in reversed(source.__mro__[:-1]):
        body.update({key: value for key, value in vars(base).items() if not key.startswith(("test_", "__"))})
    return type(name, (), body)


@pytest.fixture(autouse=True)
def ours(monkeypatch):
    monkeypatch.setattr(theirs, "least_squares", least_squares)
    monkeypatch.setattr(curves, "curve_fit", curve_fit)
    monkeypatch.setattr(curves.optimize, "curve_fit", curve_fit)


TestLeastSquaresLM = chosen(theirs.TestLM, "TestLM")
TestLeastSquaresTRF = chosen(theirs.TestTRF, "TestTRF")
TestLeastSquaresDogbox = chosen(theirs.TestDogbox, "TestDogbox")
TestCurveFit = chosen(curves.TestCurveFit, "TestCurveFit")
OF_THE_MODULE = [name for name, _ in inspect.getmembers(theirs, inspect.isfunction) if name.startswith("test_")]


@pytest.mark.parametrize("name", OF_THE_MODULE)
def test_of_the_module(name, request):
    if name in LEFT_OUT:
        request.applymarker(pytest.mark.xfail(reason=LEFT_OUT[name], strict=True))
    getattr(theirs, name)()
