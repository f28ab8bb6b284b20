"""Integrators as SciPy's solvers: SciPy's own tests run on them, and tests of what SciPy's leave out.

SciPy's test_ivp.py is loaded from the installed SciPy, once for each method, with methods in the places of the solvers it names. A
method takes the place of the solver of its name or kind, and that of the default, RK45, wherever a test names none. All tests that reach a
solver there are run; the two tables below say which do not apply, to which methods and why. A method named there must fail (xfail is
strict), so the tables cannot outlive their reasons. One that has no place takes those of its kind, in tests without bounds on errors and
work, which are those of SciPy's solvers.
"""

from __future__ import annotations

import functools
import importlib.util
import inspect
import itertools
import math
import types
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.integrate
from scipy.sparse import csc_matrix

import mflow
import mflow.scipy
from mflow.base.extras import numbers
from support.oracles.tableaus import weight_of_slopes
from support.problems import Array, decay_cfunc, waves

CLASSES = [getattr(mflow.scipy, name) for name in mflow.scipy.__all__ if name not in ("MethodSolver", "MethodDenseOutput", "AUTO")]
FIXED = [cls for cls in CLASSES if "embedded" not in cls.record.flags]
CONTROLLED = [cls for cls in CLASSES if "embedded" in cls.record.flags]
IMPLICIT = [cls for cls in CLASSES if "implicit" in cls.record.flags]

# ---- SciPy's own tests ---------------------------------------------------------------------------------------------------------------

PLACES = {  # of methods whose error estimate and order are those of the solver
    "bs32": ["RK23"], "dopri5": ["RK45"], "tsit5": ["RK45"], "dop853": ["DOP853"], "rkc2": ["RK23"], "esdirk43": ["Radau", "BDF"],
    "radau5": ["Radau", "BDF"], "rodas5p": ["Radau", "BDF"], "bdf": ["BDF", "Radau"],
}  # fmt: skip

STRUCTURE = [  # no bound on an error or on work
    "test_event_terminal_integer", "test_no_integration", "test_no_integration_class", "test_empty", "test_integration_zero_rhs",
    "test_zero_interval", "test_tbound_respected_small_interval", "test_tbound_respected_oscillator",
]  # fmt: skip
HELPERS = {  # no solver is made: they are about SciPy's helpers
    "test_OdeSolution", "test_ConstantDenseOutput", "test_num_jac", "test_num_jac_sparse", "test_inital_maxstep",
}  # fmt: skip
OF_IMPLICIT = {  # of solvers that take a Jacobian, and silently so
    "test_integration_sparse_difference", "test_integration_const_jac", "test_integration_stiff", "test_args",
    "test_event_dense_output_LSODA", "test_integration_complex_sparse",
}  # fmt: skip

FAR_OUT = "continues the polynomial of the last step over 2000 of its lengths; SciPy's own DOP853 and BDF fail here as well"
OF_RADAU = "the bound is what Radau reaches; SciPy's RK23, RK45, DOP853 and LSODA fail here as well"
ORDER_2 = "an error below 5 tolerances at rtol = 1e-3 on a problem that multiplies errors by 10: RKC has second order, and 10.8"
IN_PLACE_OF_RK45 = "the default is meant, RK45: its error at rtol = 1e-3, which SciPy's RK23 and BDF do not reach either"
ONE_JACOBIAN = "exactly one Jacobian is what SciPy's BDF takes there; SciPy's Radau is not asked"
DOES_NOT_APPLY: dict[tuple[str, str], str] = {
    ("bs32", "test_args_single_value"): IN_PLACE_OF_RK45,
    ("rkc2", "test_args_single_value"): IN_PLACE_OF_RK45,
    ("rkc2", "test_integration"): ORDER_2,
    ("rkc2", "test_integration_complex"): "below 25 evaluations is what methods of order 3 and more take",
    ("esdirk43", "test_integration_complex"): ONE_JACOBIAN,
    ("radau5", "test_integration_complex"): ONE_JACOBIAN,
    ("rodas5p", "test_integration_complex"): ONE_JACOBIAN,
    ("bdf", "test_integration_complex"): "it allows one Jacobian, and one is renewed here where the step has grown fourfold: an old one "
    "lets wrong stages pass; and 24 evaluations: 26, of which two are for the extension inside of the first step",
    ("tsit5", "test_duplicate_timestamps"): FAR_OUT,
    ("dop853", "test_duplicate_timestamps"): FAR_OUT,
    ("esdirk43", "test_duplicate_timestamps"): FAR_OUT,
    ("dop853", "test_array_rtol"): "one step is exact enough for rtol = 0.1 and 1e-14 alike; SciPy's own DOP853 fails here as well",
    ("rodas5p", "test_duplicate_timestamps"): FAR_OUT,
    ("rodas5p", "test_integration"): "it allows less than 3 Jacobians, and each step of a Rosenbrock method takes one",
    ("rodas5p", "test_integration_stiff"): "stages of a first step that is rejected overflow in the test's own function, which NumPy says",
    ("esdirk43", "test_integration"): "it allows less than 3 Jacobians, and a method whose three steps grow tenfold each takes 3",
    ("radau5", "test_integration"): "it allows less than 3 Jacobians and 40 evaluations; with Jacobians renewed as seldom as in SciPy, "
    "or equations solved as far, it takes more evaluations at equal error on the stiff set (1.23, 1.03; medical Akzo Nobel 4.4)",
    ("bdf", "test_args_single_value"): IN_PLACE_OF_RK45,
    ("bdf", "test_args"): "the bound is what Radau reaches; SciPy's own BDF fails here as well",
    ("bdf", "test_integration"): "it allows less than 3 Jacobians; renewed as seldom as in SciPy, it takes 1.48 times the evaluations at "
    "equal error on the stiff set, and does not reach the end of all of it",
    ("esdirk43", "test_t_eval"): "errors below 5 tolerances between steps so long (three for the span) are Radau's and RK45's",
    ("esdirk43", "test_event_dense_output_LSODA"): "errors below 5 tolerances are LSODA's; SciPy's RK23 fails here as well, ours has 10",
    ("esdirk43", "test_args"): OF_RADAU,
    ("esdirk43", "test_integration_const_jac"): OF_RADAU,
    ("esdirk43", "test_integration_sparse_difference"): "1 % of 2.3e-4 is two tolerances; after 24 Jacobians' steps the error is 9",
}


@functools.cache
def code_of_scipys_tests() -> Any:
    """Compiled once, or None where SciPy ships without them, or with those of before 1.15: the tables are of later ones."""
    if numbers(scipy.__version__) < (1, 15):
        return None
    try:
        found = importlib.util.find_spec("scipy.integrate._ivp.tests.test_ivp")
    except ModuleNotFoundError:
        return None
    if found is None or found.origin is None:
        return None
    return compile(Path(found.origin).read_text(encoding="utf-8"), found.origin, "exec")


def scipys_tests() -> Any:
    """A module of SciPy's tests of its own: one is changed without the others."""
    module = types.ModuleType("scipys_test_ivp")
    exec(code_of_scipys_tests(), vars(module))
    return module


def arguments(test: Any) -> Iterator[dict[str, Any]]:
    """The cases of a parametrised test; `num_parallel_threads` is a fixture of SciPy's."""
    lines = []
    for mark in getattr(test, "pytestmark", []):
        if mark.name == "parametrize":
            names = [name.strip() for name in mark.args[0].split(",")]
            lines.append([dict(zip(names, v if len(names) > 1 else (v,), strict=True)) for v in mark.args[1]])
    threads = {"num_parallel_threads": 1} if "num_parallel_threads" in inspect.signature(test).parameters else {}
    for case in itertools.product(*lines):
        yield dict(itertools.chain.from_iterable(part.items() for part in case)) | threads


class Substitution:
    """SciPy's tests with a method in some places; `solvers` counts how many solvers of it were made."""

    def __init__(self, cls: type[Any], places: list[str]) -> None:
        self.solvers = 0
        counting = self

        class Counted(cls):  # type: ignore[misc]
            def __init__(self, *args: Any, **options: Any) -> None:
                counting.solvers += 1
                super().__init__(*args, **options)

        def solve(fun: Any, t_span: Any, y0: Any, method: Any = Counted, **options: Any) -> Any:
            return scipy.integrate.solve_ivp(fun, t_span, y0, method=Counted if method in places else method, **options)

        self.module = scipys_tests()
        self.module.solve_ivp = solve
        for place in places:
            setattr(self.module, place, Counted)


needs_scipys_tests = pytest.mark.skipif(
    code_of_scipys_tests() is None, reason="this SciPy is older than 1.15, or ships without scipy/integrate/_ivp/tests"
)


def cases() -> list[Any]:
    if code_of_scipys_tests() is None:
        return []
    module, out = scipys_tests(), []
    names = [name for name in vars(module) if name.startswith("test_")]
    for cls in CONTROLLED:
        implicit = "implicit" in cls.record.flags
        places = PLACES.get(cls.record.name, ["Radau", "BDF"] if implicit else ["RK45"])
        for name in names:
            if name in HELPERS or (name in OF_IMPLICIT and not implicit) or not (cls.record.name in PLACES or name in STRUCTURE):
                continue
            there = ["LSODA"] if name == "test_event_dense_output_LSODA" else places
            for case in arguments(getattr(module, name)):
                if case.get("method", there[0]) not in there:
                    continue
                marks = []
                if (cls.record.name, name) in DOES_NOT_APPLY:
                    raised = RuntimeWarning if "overflow" in DOES_NOT_APPLY[cls.record.name, name] else AssertionError
                    marks = [pytest.mark.xfail(reason=DOES_NOT_APPLY[cls.record.name, name], raises=raised, strict=True)]
                label = "-".join([cls.record.name, name, *(str(v) for k, v in case.items() if k != "num_parallel_threads")])
                out.append(pytest.param(cls, there, name, case, id=label, marks=marks))
    return out


@needs_scipys_tests
@pytest.mark.parametrize(("cls", "places", "name", "case"), cases())
def test_scipys_own(cls: type[Any], places: list[str], name: str, case: dict[str, Any]) -> None:
    substitution = Substitution(cls, places)
    test = getattr(substitution.module, name)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        test(**case)
    assert substitution.solvers > 0, "the test has not used the method"


ACCURACY = ["test_events", "test_t_eval", "test_t_eval_dense_output", "test_t_eval_early_event"]  # orders from 3 on


@needs_scipys_tests
@pytest.mark.parametrize("name", [*STRUCTURE, *ACCURACY])
@pytest.mark.parametrize("cls", FIXED, ids=lambda cls: cls.record.name)
def test_scipys_own_with_fixed_steps(cls: type[Any], name: str) -> None:
    if name in ACCURACY and cls.order < 3:
        pytest.skip("SciPy's bounds are in tolerances, and a fixed step of this order would have to be tiny")

    class Steps(cls):  # type: ignore[misc]
        def __init__(self, fun: Any, t0: float, y0: Any, t_bound: float, **options: Any) -> None:
            for idle in ("rtol", "atol", "jac", "max_step"):
                options.pop(idle, None)
            span = abs(t_bound - t0)
            super().__init__(fun, t0, y0, t_bound, dt=span / 150 if 0 < span < math.inf else 0.1, **options)

    places = ["RK23", "RK45", "DOP853", "Radau", "BDF", "LSODA"]
    substitution = Substitution(Steps, places)
    test = getattr(substitution.module, name)
    for case in arguments(test):
        test(**case)
    assert substitution.solvers > 0


# ---- the same steps as mflow's own driver --------------------------------------------------------------------------------------------


def options_of(cls: type[Any], dt: float = 0.07) -> dict[str, Any]:
    return {"rtol": 1e-5, "atol": [1e-8, 1e-9, 1e-7]} if cls in CONTROLLED else {"dt": dt}


def fun(t: float, y: Array) -> Array:
    return np.array([y[1], -y[0] - 0.1 * y[1], math.sin(t) - y[2]])


START = [1.0, 0.5, -0.25]


@pytest.mark.parametrize("span", [(0.5, 3.0), (3.0, 0.5)])
@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.record.name)
def test_same_bits_as_mflow(cls: type[Any], span: tuple[float, float]) -> None:
    how = options_of(cls)
    r = scipy.integrate.solve_ivp(fun, span, START, method=cls, dense_output=True, **how)
    own = mflow.solve_ivp(fun, span, START, cls.record.name, dense_output=True, **how)
    assert (r.status, own.reason) == (0, "finished")
    assert np.array_equal(r.t, own.t)
    assert np.array_equal(r.y, own.y)
    assert r.t[-1] == span[1]
    assert np.array_equal(r.sol(r.t), r.y)
    between = np.linspace(*span, 57)[1:-1]
    assert np.array_equal(r.sol(between), own.sol(between))
    assert (r.njev, r.nlu) == (own.njev, own.nlu)
    t_eval = scipy.integrate.solve_ivp(fun, span, START, method=cls, t_eval=between, **how)
    assert np.array_equal(t_eval.y, own.sol(between))


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.record.name)
def test_dt_is_taken_by_every_method(cls: type[Any]) -> None:
    r = scipy.integrate.solve_ivp(fun, (0.0, 1.0), START, method=cls, dt=0.03)
    own = mflow.solve_ivp(fun, (0.0, 1.0), START, cls.record.name, dt=0.03)
    assert len(r.t) == 35
    assert np.array_equal(r.t, own.t)
    assert np.array_equal(r.y, own.y)


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.record.name)
def test_evaluations_are_counted(cls: type[Any]) -> None:
    """All calls of fun, but those for differences, which SciPy leaves out."""
    calls = []

    def counted(t: float, y: Array) -> Array:
        calls.append(t)
        return fun(t, y)

    solver = cls(counted, 0.0, START, 2.0, jac=None, **options_of(cls))
    while solver.status == "running":
        solver.step()
    solver.dense_output()
    differences = solver._solver.counters["n_rhs_jac"] if cls in IMPLICIT else 0
    assert solver.nfev + differences == len(calls)
    assert (solver.njev > 0, solver.nlu > 0) == ((True, True) if cls in IMPLICIT else (False, False))
    assert differences >= 3 * solver.njev


def test_facts_of_the_classes() -> None:
    for cls in CLASSES:
        assert issubclass(cls, scipy.integrate.OdeSolver)
        assert cls.__name__ == cls.record.class_name
        assert getattr(mflow, cls.__name__).record.name == cls.record.name
        assert cls.record.formula in cls.__doc__
    orders = {cls.record.name: cls.error_estimator_order for cls in CONTROLLED}
    for name, solver in {"bs32": "RK23", "dopri5": "RK45", "dop853": "DOP853"}.items():
        assert orders[name] == getattr(scipy.integrate, solver).error_estimator_order
    assert mflow.scipy.RKC2(fun, 0, START, 1, stages=7).method.parameters["stages"] == 7


# ---- dense output --------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.record.name)
def test_dense_output_outlives_the_next_steps(cls: type[Any]) -> None:
    solver = cls(fun, 0.0, START, 2.0, **options_of(cls))
    kept = []
    while solver.status == "running":
        y_old = solver.y.copy()
        solver.step()
        sol = solver.dense_output()
        assert isinstance(sol, scipy.integrate.DenseOutput)
        assert (sol.t_old, sol.t, sol.t_min, sol.t_max) == (solver.t_old, solver.t, solver.t_old, solver.t)
        times = np.linspace(solver.t_old, solver.t, 5)
        kept.append((sol, times, sol(times), y_old, solver.y.copy()))
    for sol, times, values, y_old, y in kept:
        assert np.array_equal(sol(times), values)
        assert np.array_equal(values[:, 0], y_old)
        assert np.array_equal(values[:, -1], y)
        assert np.array_equal(sol(times[2]), values[:, 2])
    assert len(kept) > 1
    with pytest.raises(ValueError, match="1-D"):
        sol(np.zeros((2, 2)))


# ---- arguments -----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.record.name)
def test_complex_states_are_carried_in_pairs(cls: type[Any]) -> None:
    how = {"rtol": 1e-6, "atol": 1e-8} if cls in CONTROLLED else {"dt": 0.01}
    ask = {"t_eval": [0.3, 1.0], "dense_output": True, **how}
    there = mflow.solve_ivp(lambda t, z: (1j - 1) * z, (0, 1), [1j, 2.0], cls.record.name, **ask)
    r = scipy.integrate.solve_ivp(lambda t, z: (1j - 1) * z, (0, 1), [1j, 2.0], method=cls, **ask)
    assert r.y.dtype == r.sol(0.3).dtype == np.complex128
    assert r.y[:, 1].tobytes() == there.y[:, 1].tobytes()
    np.testing.assert_allclose(r.y, there.y, rtol=1e-12)
    np.testing.assert_allclose(r.y, np.array([[1j], [2.0]]) * np.exp((1j - 1) * r.t), rtol=2e-2)


@pytest.mark.parametrize(
    ("cls", "options", "kind", "text"),
    [
        (mflow.scipy.RK4, {}, ValueError, "dt: expected the size of the fixed steps of rk4, got None"),
        (mflow.scipy.RK4, {"dt": -0.1}, ValueError, "dt: expected a finite number above 0, got -0.1"),
        (mflow.scipy.RK4, {"dt": "auto"}, TypeError, "dt: .* got 'auto'"),
        (mflow.scipy.RK4, {"dt": math.inf}, ValueError, "dt: .* got inf"),
        (mflow.scipy.RK4, {"t0": 1.0, "t_bound": 2.0, "dt": 1e-17}, ValueError, "lost in rounding"),
        (mflow.scipy.DOPRI5, {"rtol": "x"}, TypeError, "rtol: .*, got 'x'"),
        (mflow.scipy.DOPRI5, {"atol": -1.0}, ValueError, "atol"),
        (mflow.scipy.DOPRI5, {"atol": [1e-6, 1e-6]}, ValueError, r"atol: .*, got shape \(2,\)"),
        (mflow.scipy.DOPRI5, {"max_step": 0}, ValueError, "max_step"),
        (mflow.scipy.DOPRI5, {"max_step": lambda t, y: 0.1}, TypeError, "max_step: expected a number"),
        (mflow.scipy.DOPRI5, {"min_step": -1}, ValueError, "min_step"),
        (mflow.scipy.DOPRI5, {"first_step": 2}, ValueError, "first_step"),
        (mflow.scipy.DOPRI5, {"t_bound": math.nan}, ValueError, "t_bound"),
        (mflow.scipy.DOPRI5, {"t0": math.inf}, ValueError, "t0"),
        (mflow.scipy.RKC2, {"stages": 1.5}, ValueError, "stages"),
        (mflow.scipy.ESDIRK43, {"jac": np.eye(2)}, ValueError, "jac"),
        (mflow.scipy.ESDIRK43, {"solver": "newtn"}, ValueError, "solver"),
        (mflow.scipy.MethodSolver, {}, TypeError, "one of its classes"),
    ],
)
def test_arguments_that_do_not_fit(cls: type[Any], options: dict[str, Any], kind: Any, text: str) -> None:
    options = dict(options)
    t0, t_bound = options.pop("t0", 0.0), options.pop("t_bound", 1.0)
    with pytest.raises(kind, match=text):
        cls(fun, t0, START, t_bound, **options)


def test_names_that_are_not_there() -> None:
    with pytest.raises(AttributeError, match="DOPRI5"):
        mflow.scipy.DOPRI


@pytest.mark.parametrize(
    ("cls", "options", "idle"),
    [
        (mflow.scipy.DOPRI5, {"jac": np.eye(3), "colour": 1}, "`colour`, `jac`"),
        (mflow.scipy.DOPRI5, {"stages": 3}, "`stages`"),
        (mflow.scipy.RK4, {"dt": 0.1, "rtol": 1e-3, "max_step": 0.5}, "`max_step`, `rtol`"),
        (mflow.scipy.DOPRI5, {"dt": 0.1, "atol": [1e-6] * 3, "first_step": 0.1}, "`first_step`, `atol`"),
    ],
)
def test_arguments_without_effect_are_named(cls: type[Any], options: dict[str, Any], idle: str) -> None:
    with pytest.warns(UserWarning, match=f"no effect for a chosen solver: {idle}"):
        cls(fun, 0.0, START, 1.0, **options)


def test_what_has_its_default_is_not_named() -> None:
    cls = mflow.scipy.RK4
    cls(fun, 0.0, START, 1.0, np.inf, dt=0.1, jac=None, min_step=0.0, first_step=None)


def test_small_rtol_is_raised_as_by_scipy() -> None:
    with pytest.warns(UserWarning, match="rtol"):
        solver = mflow.scipy.DOPRI5(fun, 0.0, START, 1.0, rtol=1e-17)
    assert solver.step() is None


# ---- functions -----------------------------------------------------------------------------------------------------------------------


def test_fun_may_keep_and_change_its_array() -> None:
    """SciPy's solvers hand out a new array each time."""
    kept = []

    def careless(t: float, y: Array) -> Array:
        kept.append(y)
        slope = fun(t, y)
        y *= 0.0
        return slope

    for cls in CLASSES:
        kept.clear()
        r = scipy.integrate.solve_ivp(careless, (0, 1), START, method=cls, **options_of(cls))
        assert np.array_equal(r.y, scipy.integrate.solve_ivp(fun, (0, 1), START, method=cls, **options_of(cls)).y)
        assert len({id(y) for y in kept}) == len(kept)


def test_vectorized_functions() -> None:
    def columns(t: float, y: Array) -> Array:
        assert y.ndim == 2
        return np.stack([y[1], -y[0] - 0.1 * y[1], math.sin(t) - y[2]])

    for cls in CLASSES:
        r = scipy.integrate.solve_ivp(columns, (0, 1), START, method=cls, vectorized=True, **options_of(cls))
        assert np.array_equal(r.y, scipy.integrate.solve_ivp(fun, (0, 1), START, method=cls, **options_of(cls)).y)


def test_compiled_functions() -> None:
    r = scipy.integrate.solve_ivp(decay_cfunc(), (0, 1), [1.0, 2.0], method=mflow.scipy.DOPRI5, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(r.y[:, -1], np.exp(-1.0) * np.array([1.0, 2.0]), rtol=1e-8)


def test_exceptions_pass() -> None:
    class Boom(Exception):
        pass

    def fails(t: float, y: Array) -> Array:
        if t > 0.5:
            raise Boom
        return fun(t, y)

    for cls in CLASSES:
        with pytest.raises(Boom):
            scipy.integrate.solve_ivp(fails, (0, 1), START, method=cls, **options_of(cls))


# ---- Jacobians -----------------------------------------------------------------------------------------------------------------------

J = np.array([[0.0, 1.0, 0.0], [-1.0, -0.1, 0.0], [0.0, 0.0, -1.0]])
PACKED = np.array([[0.0, 1.0, 0.0], [0.0, -0.1, -1.0], [-1.0, 0.0, 0.0]])  # SciPy's: entry (i, j) in row i - j + uband


@pytest.mark.parametrize("cls", IMPLICIT, ids=lambda cls: cls.record.name)
@pytest.mark.parametrize(
    "jac",
    [
        {"jac": lambda t, y: J}, {"jac": lambda t, y: csc_matrix(J)}, {"jac": J}, {"jac": J.tolist()}, {"jac": csc_matrix(J)},
        {"jac": lambda t, y: PACKED, "lband": 1, "uband": 1}, {"lband": 1, "uband": 1}, {"jac_sparsity": csc_matrix(J != 0)},
        {"solver": "newton_krylov"}, {"solver": "fixed_point"},
    ],
    ids=["dense", "sparse", "constant", "list", "constant-sparse", "packed", "band", "pattern", "krylov", "fixed-point"],
)  # fmt: skip
def test_jacobians_of_every_kind(cls: type[Any], jac: dict[str, Any]) -> None:
    how = {"rtol": 1e-8, "atol": 1e-10} if cls in CONTROLLED else {"dt": 0.01}
    r = scipy.integrate.solve_ivp(fun, (0, 1), START, method=cls, **how, **jac)
    plain = mflow.solve_ivp(fun, (0, 1), START, cls.record.name, **how)
    assert r.success
    solved = 1e-12 * max(1.0, weight_of_slopes(cls.record) / 8)  # what Newton's iteration leaves in each slope
    np.testing.assert_allclose(r.y[:, -1], plain.y[:, -1], rtol=1e-7 if cls in CONTROLLED else solved)
    solved_for = jac.get("solver") != "fixed_point"  # newton_krylov has a matrix of few unknowns
    assert (r.njev > 0) == (callable(jac.get("jac")) or (jac.get("jac") is None and solved_for))
    assert (r.nlu > 0) == solved_for


def test_a_jacobian_of_one_component_may_be_a_number() -> None:
    def relax(t: float, y: Array) -> Array:
        return -50.0 * (y - math.cos(t))

    for jac in (lambda t, y: -50.0, lambda t, y: [-50.0], -50.0):
        r = scipy.integrate.solve_ivp(relax, (0, 1), [0.0], method=mflow.scipy.ESDIRK43, jac=jac, rtol=1e-6)
        assert abs(r.y[0, -1] - (2500 * math.cos(1) + 50 * math.sin(1)) / 2501) < 1e-5


# ---- endings -------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.record.name)
def test_nan_ends_as_a_failure(cls: type[Any]) -> None:
    def leaves(t: float, y: Array) -> Array:
        return fun(t, y) if t < 0.5 else y * math.nan

    r = scipy.integrate.solve_ivp(leaves, (0, 1), START, method=cls, **options_of(cls))
    assert (r.status, r.success) == (-1, False)
    assert np.all(np.isfinite(r.y))
    assert 0.2 < r.t[-1] < 0.57
    assert "finite" in r.message or "not solved" in r.message
    solver = cls(lambda t, y: y * math.nan, 0.0, START, 1.0, **options_of(cls))
    assert "finite" in (solver.step() or "") or cls in IMPLICIT
    assert solver.status == "failed"
    with pytest.raises(RuntimeError):
        solver.step()


@pytest.mark.parametrize("cls", CONTROLLED, ids=lambda cls: cls.record.name)
def test_a_singularity_ends_as_a_failure(cls: type[Any]) -> None:
    r = scipy.integrate.solve_ivp(lambda t, y: y * y, (0, 2), [1.0], method=cls, rtol=1e-6)
    assert r.status == -1
    assert abs(r.t[-1] - 1.0) < 1e-2
    assert "finite time" in r.message


def test_infinite_bounds() -> None:
    solver = mflow.scipy.RK4(waves, 0.0, [1.0, 2.0], -math.inf, dt=0.25)
    for _ in range(40):
        solver.step()
    assert (solver.t, solver.status) == (-10.0, "running")
    own = mflow.solve_ivp(waves, (0.0, -10.0), [1.0, 2.0], "rk4", dt=0.25)
    assert np.array_equal(solver.y, own.y[:, -1])


def test_stiff_step_sizes_follow_the_spectral_radius() -> None:
    r = scipy.integrate.solve_ivp(lambda t, y: -1e4 * (y - math.cos(t)), (0, 1), [1.0], method=mflow.scipy.RKC2, rtol=1e-4)
    assert r.success
    assert abs(r.y[0, -1] - (1e8 * math.cos(1) + 1e4 * math.sin(1)) / (1e8 + 1)) < 1e-3
    fixed = scipy.integrate.solve_ivp(lambda t, y: -1e4 * (y - math.cos(t)), (0, 1), [1.0], method=mflow.scipy.RKC2, dt=0.02)
    assert abs(fixed.y[0, -1] - (1e8 * math.cos(1) + 1e4 * math.sin(1)) / (1e8 + 1)) < 1e-3


# ---- another state in the middle --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_a_state_that_is_set_is_taken(cls: Any) -> None:
    """SciPy's solvers go on from `solver.y`. Into the array itself nothing can be written: it would be lost."""
    how: dict[str, Any] = {"dt": 0.01} if cls in FIXED else {"rtol": 1e-8, "atol": 1e-10}
    start = np.array([1.0, 2.0])
    solver = cls(lambda t, y: -y, 0.0, start, 1.0, **how)
    solver.y = solver.y + 3.0
    while solver.t < 0.5:
        solver.step()
    with pytest.raises(ValueError, match="read-only"):
        solver.y[0] += 100.0
    half, solver.y = solver.t, [10.0, 20.0]
    while solver.status == "running":
        solver.step()
    np.testing.assert_allclose(solver.y, np.array([10.0, 20.0]) * math.exp(half - 1.0), rtol=1e-2 if cls.record.order == 1 else 1e-4)
    assert start.flags.writeable
    assert start.tolist() == [1.0, 2.0]
    solver = cls(lambda t, y: -y, 0.0, start, 1.0, **how)
    solver.y = [1.0]
    with pytest.raises(ValueError, match=r"y: expected an array of shape \(2,\)"):
        solver.step()


def test_two_methods_in_turn() -> None:
    def chase(t: float, y: Any) -> Any:
        return -1e4 * (y - math.cos(t))

    options: dict[str, Any] = {"rtol": 1e-6, "atol": 1e-9}
    there = mflow.solve_ivp(chase, (0, 3), [0.0], "auto", dense_output=True, **options)
    r = scipy.integrate.solve_ivp(chase, (0, 3), [0.0], method=mflow.scipy.AUTO, dense_output=True, **options)
    assert r.success
    assert r.t.tobytes() == there.t.tobytes()
    assert r.y.tobytes() == there.y.tobytes()
    np.testing.assert_allclose(r.sol(r.t), r.y, rtol=1e-12)
    solver = mflow.scipy.AUTO(chase, 0.0, [0.0], 3.0, **options)
    while solver.status == "running":
        solver.step()
    assert len(solver.turns) == there.switches == 1
    assert scipy.integrate.solve_ivp(lambda t, y: y * y, (0, 2), [1.0], method=mflow.scipy.AUTO).status == -1
    with pytest.raises(ValueError, match="method, dt: 'auto'"):
        scipy.integrate.solve_ivp(chase, (0, 3), [0.0], method=mflow.scipy.AUTO, dt=0.1)


@pytest.mark.parametrize("name", ["mass", "breaks", "doses", "nonnegative"])
def test_arguments_that_change_the_problem_are_not_left_out(name: str) -> None:
    with pytest.raises(TypeError, match=f"{name}: a solver of SciPy's takes none"):
        scipy.integrate.solve_ivp(lambda t, y: -y, (0.0, 1.0), [1.0, 1.0], method=mflow.scipy.Radau5, **{name: [1.0, 0.0]})


@pytest.mark.parametrize("vectorized", [False, True])
@pytest.mark.parametrize("name", ["Radau5", "DOPRI5", "AUTO"])
def test_complex_slopes_of_a_real_start_lose_no_imaginary_part(name: str, vectorized: bool) -> None:
    method = getattr(mflow.scipy, name)
    with pytest.raises(TypeError, match=r"fun: .*complex128; for complex slopes pass a complex y0"):
        scipy.integrate.solve_ivp(lambda t, y: -1j * y, (0.0, 1.0), [1.0, 2.0], method=method, vectorized=vectorized)
