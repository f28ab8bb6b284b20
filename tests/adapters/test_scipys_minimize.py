"""SciPy's own tests of `minimize` for BFGS, L-BFGS-B, CG and trust-ncg, run on mflow.minimize.

test_optimize.py is loaded from the installed SciPy, with an adapter in the place of `scipy.optimize.minimize`: it hands these four methods,
and calls without a method, to `mflow.minimize`, translates SciPy's options, and leaves all others to SciPy. Every test that names one of
them is run. The table says which do not apply and why: they must fail, so it cannot outlive its reasons.
"""

from __future__ import annotations

import importlib.util
import inspect
import itertools
import re
import warnings
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import scipy.optimize

import mflow

OURS = {"bfgs": "bfgs", "cg": "cg", "l-bfgs-b": "lbfgs", "trust-ncg": "trust_ncg"}
IGNORED = {"disp", "return_all", "iprint", "maxfev", "workers"}  # printing, and limits that iterations stand for here

WORDS = {  # ours: SciPy's
    "c1, c2: expected": "'c1' and 'c2'",
    "fun: expected a single real number": "The user-provided objective function must return a scalar value.",
    "bounds.lb: expected": "The number of bounds is not compatible with the length of `x0`.",
    "bounds: expected lower <= upper": "An upper bound is less than the corresponding lower bound.",
}  # fmt: skip
COUNTS = "counts and iterates to the last digit are those of SciPy 0.7.0's own line search"
FIRST_STEP = "the first trial of SciPy's BFGS and CG has length 1.01, with |g| as a bound; ours has length 1, as L-BFGS-B's"
NO_HESSIAN = "trust_ncg makes differences of gradients where SciPy wants a Hessian"
NO_INVERSE = "there is no first inverse Hessian to be given: it is scaled by the first step"
DOES_NOT_APPLY: dict[str, str] = {
    "TestOptimizeWrapperNoDisp.test_cg": COUNTS,
    "TestOptimizeWrapperNoDisp.test_bfgs": COUNTS,
    "TestOptimizeWrapperNoDisp.test_bfgs_c1": "which c1 takes more evaluations from one start is a matter of SciPy's line search",
    "TestOptimizeWrapperNoDisp.test_bfgs_hess_inv0_neg": NO_INVERSE,
    "TestOptimizeWrapperNoDisp.test_bfgs_hess_inv0_sanity": NO_INVERSE,
    "TestOptimizeWrapperNoDisp.test_bfgs_hess_inv0_semipos": NO_INVERSE,
    "TestOptimizeWrapperNoDisp.test_bfgs_infinite": "the point returned is the lowest that is finite, where SciPy's has the value -inf",
    "TestOptimizeSimple.test_finite_differences_hess": NO_HESSIAN,
    "TestOptimizeSimple.test_initial_step_scaling": FIRST_STEP,
    "TestOptimizeSimple.test_minimize_warnings_gh1953": "an iteration limit is in the result's reason and message, not a warning",
    "test_all_bounds_equal": "the cost is evaluated with its differences, and looked at around x",
    "test_x_overwritten_user_function": "the x that a cost receives is read-only: writing to it is an error at once",
}


def scipys_tests() -> Any:
    """A module of SciPy's tests of its own, whose `optimize` is the adapter; None where it ships without them."""
    try:
        found = importlib.util.find_spec("scipy.optimize.tests.test_optimize")
    except ModuleNotFoundError:
        return None
    if found is None or found.origin is None:
        return None
    spec = importlib.util.spec_from_file_location("scipys_test_optimize", found.origin)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    strict, pytest.mark._config = pytest.mark._config, None  # SciPy's own marks are not in our list
    try:
        spec.loader.exec_module(module)
    finally:
        pytest.mark._config = strict
    names = {name: getattr(scipy.optimize, name) for name in dir(scipy.optimize) if not name.startswith("__")}
    module.optimize = SimpleNamespace(**{**names, "minimize": minimize})  # type: ignore[attr-defined]
    return module


calls = [0]


def minimize(
    fun: Any, x0: Any, args: Any = (), method: Any = None, jac: Any = None, hess: Any = None, hessp: Any = None, bounds: Any = None,
    constraints: Any = (), tol: Any = None, callback: Any = None, options: Any = None,
) -> Any:  # fmt: skip
    """As SciPy's; the four methods, and the default of a problem without constraints, are mflow's."""
    ours = OURS.get(str(method).lower()) if method is not None else "lbfgs" if not constraints else None
    if ours is None:
        return scipy.optimize.minimize(fun, x0, args, method, jac, hess, hessp, bounds, constraints, tol, callback, options)
    calls[0] += 1
    given = {name: value for name, value in (options or {}).items() if name not in IGNORED}
    if "gtol" not in given and tol is None and ours == "lbfgs":
        given["gtol"] = 1e-5
    for name in ("eps", "finite_diff_rel_step"):
        if given.pop(name, None) is not None and not callable(jac):
            pytest.fail(f"{name} is not translated")
    if "maxiter" in given:
        given["maxiter"] = int(given["maxiter"])
    if hess is not None and ours != "trust_ncg":
        hess = None  # SciPy warns that it does not use it
    jac = None if jac is False else jac
    if isinstance(hess, str):
        hess = "2-point"  # differences, of gradients
    if callback is not None and "intermediate_result" in inspect.signature(callback).parameters:
        told = callback
        callback = lambda intermediate_result: told(intermediate_result=scipy.optimize.OptimizeResult(intermediate_result))  # noqa: E731
    try:
        result = mflow.minimize(
            fun, np.atleast_1d(x0), args, ours, jac, hess, hessp, bounds, tol=tol, callback=callback, check_gradient=False, options=given
        )
    except (TypeError, ValueError) as error:
        raise ValueError(next((theirs for words, theirs in WORDS.items() if str(error).startswith(words)), str(error))) from error
    if result.reason == "max_iter":
        result.message = LIMIT
    if result.reason == "callback":
        result.status, result.message = 99, "`callback` raised `StopIteration`."
    return scipy.optimize.OptimizeResult(result)


IN_WORDS = re.search(r"STOP: TOTAL NO\. of ITERATIONS REACHED LIMIT", inspect.getsource(scipy.optimize._lbfgsb_py))  # of older versions
LIMIT = IN_WORDS[0] if IN_WORDS else "STOP: TOTAL NO. OF ITERATIONS REACHED LIMIT"
TESTS = scipys_tests()
CLASSES = ("TestOptimizeWrapperNoDisp", "TestOptimizeSimple", "TestLBFGSBBounds")
ELSEWHERE = ("fmin", "brent", "golden", "bracket")  # SciPy's older functions, which are not minimize


def cases_of(test: Any) -> Iterator[dict[str, Any]]:
    """The cases of a parametrised test."""
    lines = []
    for mark in getattr(test, "pytestmark", []):
        if mark.name == "parametrize":
            names = mark.args[0] if isinstance(mark.args[0], (list, tuple)) else [name.strip() for name in mark.args[0].split(",")]
            lines.append([dict(zip(names, v if len(names) > 1 else (v,), strict=True)) for v in mark.args[1]])
    for case in itertools.product(*lines):
        yield dict(itertools.chain.from_iterable(part.items() for part in case))


def reaches_us(test: Any, case: dict[str, Any]) -> bool:
    """Whether the test names one of the methods, or none."""
    if "method" in case:
        return str(case["method"]).lower() in OURS
    source = inspect.getsource(test).lower()
    return "minimize(" in source and any(f"'{name}'" in source or f'"{name}"' in source for name in OURS)


def all_tests() -> Iterator[tuple[str, Any, Any, dict[str, Any]]]:
    """(name, class or None, function, case)."""
    if TESTS is None:
        return
    owners = [(name, getattr(TESTS, name)) for name in CLASSES]
    functions = [(f"{owner}.{name}", cls, f) for owner, cls in owners for name, f in inspect.getmembers(cls, inspect.isfunction)]
    functions += [(name, None, f) for name, f in inspect.getmembers(TESTS, inspect.isfunction) if f.__module__ == TESTS.__name__]
    for name, cls, function in functions:
        if not name.rpartition(".")[2].startswith("test"):
            continue
        for case in cases_of(function):
            if reaches_us(function, case):
                words = "-".join(str(value).lower() if isinstance(value, (str, int, float)) else "x" for value in case.values())
                yield f"{name}[{words}]" if case else name, cls, function, case


@pytest.mark.skipif(TESTS is None, reason="SciPy is installed without its tests")
@pytest.mark.parametrize(("cls", "function", "case"), [pytest.param(*rest, id=name) for name, *rest in all_tests()])
def test_scipys_own(request: pytest.FixtureRequest, cls: Any, function: Any, case: dict[str, Any]) -> None:
    name = request.node.callspec.id
    reason = DOES_NOT_APPLY.get(name) or DOES_NOT_APPLY.get(name.partition("[")[0])
    if reason is not None:
        request.applymarker(pytest.mark.xfail(reason=reason, strict=True))
    calls[0] = 0
    if "num_parallel_threads" in inspect.signature(function).parameters:  # a fixture of SciPy's
        case = {**case, "num_parallel_threads": 1}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if cls is None:
            function(**case)
        else:
            instance = cls()
            instance.setup_method()
            function(instance, **case)
    if not calls[0]:
        pytest.skip("none of the four methods is reached")


def test_the_table_names_tests_that_exist() -> None:
    names = {name for name, *_ in all_tests()}
    names |= {name.partition("[")[0] for name in names}
    assert TESTS is None or (set(DOES_NOT_APPLY) <= names and len(names) > 40)


def test_scipys_spelling_is_ours() -> None:
    for theirs, ours in OURS.items():
        assert mflow.get_method(theirs).name == mflow.get_method(theirs.upper()).name == ours
    x = mflow.minimize(scipy.optimize.rosen, np.array([1.3, 0.7]), method="L-BFGS-B", jac=scipy.optimize.rosen_der).x
    np.testing.assert_allclose(x, 1.0, atol=1e-4)
