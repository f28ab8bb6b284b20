"""Integrators as SciPy's solvers: `scipy.integrate.solve_ivp(fun, t_span, y0, method=mflow.scipy.DOPRI5)`.

One class for each method, made here at import and named as in `mflow` itself; each is a `scipy.integrate.OdeSolver`, so that
`solve_ivp`, and whatever else drives those, drives a method as well. The solver owns a run of the core and takes one step of it at a time
towards t_bound; the steps are those of `mflow.solve_ivp` with dense_output=True, bit for bit. SciPy's conventions hold, where they differ:
rtol below 100 eps is raised and arguments without effect are named, both with a warning; nfev leaves out the differences behind a
Jacobian; a constant Jacobian counts as none; fun gets an array of its own each time.

The methods as custom methods of `scipy.optimize.minimize`, ``mflow.scipy.minimize_adam`` and so on, are in
`mflow.adapters.scipy_minimizers`.

This module needs SciPy, and `import mflow` does not import it. Inside it `scipy` means SciPy: imports are absolute.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
from mflow_core import registry
from mflow_core.problems.problem import rhs_problem
from mflow_core.problems.signatures import JACOBIAN_SIGNATURE, RHS_SIGNATURE, compiled_address
from mflow_core.stepping import stepper as core
from mflow_core.stepping.last_step import LastStep
from mflow_core.stepping.watch.asked import read_inside
from scipy.integrate import DenseOutput, OdeSolver
from scipy.integrate._ivp.common import validate_tol, warn_extraneous  # the documentation of OdeSolver tells subclasses to use them

from mflow.base.checks import Array, as_number, check_flags, check_number, check_vector, real_array
from mflow.base.methods import Method, get_method
from mflow.base.telling import counted, knows_other_words
from mflow.course.legs import CALM, Pair, pair_for, two_methods
from mflow.course.past_limit import PastLimit
from mflow.integrate.control import ATOL, ROUNDING, RTOL, check_first_step, check_max_step, check_min_step, check_tolerances, resolved
from mflow.integrate.curvature import stable_end
from mflow.integrate.dense import DenseOutput as Extension
from mflow.integrate.endings import Ending
from mflow.integrate.ivp import solve_ivp
from mflow.problems.complexes import ComplexOutput, Pairs, is_complex
from mflow.solvers import nonlinear
from mflow.stability import spectrum

__all__ = ["MethodDenseOutput", "MethodSolver"]

USAGE = """{doc}

    {formula}

Order {order}.

Parameters
----------
fun, t0, y0, t_bound, vectorized
    As in every `scipy.integrate.OdeSolver`; `solve_ivp` hands them over. fun may be compiled, as in `mflow.solve_ivp`. A vectorized
    one is called with one column.
dt : float
    {dt}
{control}{implicit}{parameters}
Raises
------
TypeError, ValueError
    An argument does not fit; the text names it.

See Also
--------
mflow.{name}, mflow.solve_ivp

Examples
--------
>>> import mflow.scipy
>>> from scipy.integrate import solve_ivp
>>> r = solve_ivp(lambda t, y: -y, (0, 1), [1.0], method=mflow.scipy.{name}, {call})
>>> r.success, bool(abs(r.y[0, -1] - 0.36787944117) < {error})
(True, True)

References
----------
{reference}
"""

CONTROL = """rtol, atol : float or array_like (n,)
    Error control (default 1e-3, 1e-6).
first_step, max_step, min_step : float
    Bounds of the step; by default there are none, and the first step is chosen.
"""
FIXED = """rtol, atol, first_step, max_step, min_step
    Of methods with an estimate; given here, they have no effect, which a warning says.
"""

IMPLICIT = """jac : callable, array_like (n, n) or sparse matrix
    ``jac(t, y)`` or a constant; where it is missing, finite differences.
jac_sparsity : array_like or sparse matrix (n, n); lband, uband : int
    Where the Jacobian may be other than 0. With a band, jac may return SciPy's packed form.
solver : name or instance
    How implicit steps are solved: see `mflow.nonlinear`.
"""
EXPLICIT = """jac, jac_sparsity, lband, uband, solver
    Of implicit methods; given here, they have no effect, which a warning says.
"""


@knows_other_words
class MethodDenseOutput(DenseOutput):  # type: ignore[misc]
    """The solution inside one step: the method's continuous extension, or the cubic Hermite one. It owns all it needs.

    Parameters
    ----------
    t_old, t : float
        Both ends of the step.
    y_old, y : array_like (n,)
        The states there, which come back bit for bit.
    D : array_like (degree, n)
        The extension in powers of theta = (t - t_old)/step, without the constant.

    See Also
    --------
    mflow.scipy.MethodSolver, mflow.DenseOutput

    Examples
    --------
    >>> import mflow.scipy
    >>> line = mflow.scipy.MethodDenseOutput(0.0, 2.0, [1.0], [5.0], [[4.0]])
    >>> line(0.5), line([0.0, 1.0, 2.0])
    (array([2.]), array([[1., 3., 5.]]))

    References
    ----------
    E. Hairer, S. Norsett and G. Wanner, Solving Ordinary Differential Equations I (1993), II.6.
    """

    def __init__(self, t_old: float, t: float, y_old: Any, y: Any, D: Any) -> None:
        t_old, t = check_number(t_old, "t_old"), check_number(t, "t")
        before, after, powers = (real_array(value, name) for value, name in ((y_old, "y_old"), (y, "y"), (D, "D")))
        for array, name in ((before, "y_old"), (after, "y")):
            if array.ndim != 1:
                raise ValueError(f"{name}: expected an array of shape (n,), got shape {array.shape}")
        if before.shape != after.shape:
            raise ValueError(f"y: expected as many numbers as y_old has, {before.size}, got {after.size}")
        if powers.ndim != 2 or powers.shape[1:] != after.shape or not len(powers):
            raise ValueError(f"D: expected an array of shape (degree, {after.size}), got shape {powers.shape}")
        super().__init__(t_old, t)
        self._extension = Extension([t_old, t], [before], [powers], after)

    def _call_impl(self, t: Any) -> Array:
        return self._extension(t)


class PairsDenseOutput(DenseOutput):  # type: ignore[misc]
    """The same of complex states, carried as pairs of real numbers."""

    def __init__(self, parts: MethodDenseOutput, pairs: Pairs) -> None:
        super().__init__(parts.t_old, parts.t)
        self._extension = ComplexOutput(parts._extension, pairs)

    def _call_impl(self, t: Any) -> Any:
        return self._extension(t)


class MethodSolver(OdeSolver):  # type: ignore[misc]
    """What the classes of this module share: see `mflow.scipy.DOPRI5` for their arguments.

    Attributes
    ----------
    record : the record of the class's method. order, n_stages, error_estimator_order : its facts, the last where it has an estimate.
    method : the method with the values of its parameters.
    n, status, t_bound, direction, t, y, t_old, step_size, nfev, njev, nlu : as in `scipy.integrate.OdeSolver`.

    See Also
    --------
    mflow.scipy.DOPRI5, mflow.scipy.Radau5, mflow.solve_ivp

    Examples
    --------
    >>> import mflow.scipy
    >>> solver = mflow.scipy.RK4(lambda t, y: -y, 0.0, [1.0], 1.0, dt=0.5)
    >>> isinstance(solver, mflow.scipy.MethodSolver), solver.step(), solver.t
    (True, None, 0.5)
    """

    record: ClassVar[Any] = None
    order: ClassVar[int]
    n_stages: ClassVar[int]
    error_estimator_order: ClassVar[int]
    t: float
    y: Array

    def __init__(
        self,
        fun: Callable[..., Any] | Any,
        t0: float,
        y0: Any,
        t_bound: float,
        max_step: float = math.inf,
        rtol: Any = None,
        atol: Any = None,
        vectorized: bool = False,
        first_step: float | None = None,
        *,
        min_step: float = 0.0,
        dt: float | None = None,
        jac: Any = None,
        jac_sparsity: Any = None,
        lband: int | None = None,
        uband: int | None = None,
        solver: Any = None,
        **options: Any,
    ) -> None:
        if self.record is None:
            raise TypeError("MethodSolver: take one of its classes, such as mflow.scipy.DOPRI5")
        known = {p[0].partition("[")[0] for p in self.record.parameters_}
        self._pair = pair = self._pair_for(y0, rtol, dt)
        self.method: Method = pair.calm if pair else get_method(self.record.name, **{k: v for k, v in options.items() if k in known})
        self._solved = pair.stiff if pair else self.method  # whose equations there are, if it is implicit
        linear = {"jac": jac, "jac_sparsity": jac_sparsity, "lband": lband, "uband": uband}
        bounds = {"max_step": max_step, "min_step": min_step, "first_step": first_step}
        idle = [name for name in options if name not in known]
        if not self._solved.is_implicit:
            idle += [name for name, value in {**linear, "solver": solver}.items() if value is not None]
        if dt is not None or "embedded" not in self.record.flags:
            free = {"max_step": math.inf, "min_step": 0.0}
            given = {**bounds, "rtol": rtol, "atol": atol}
            idle += [name for name, value in given.items() if value is not None and not (name in free and value == free[name])]
        _check_foreign([name for name in options if name not in known])
        warn_extraneous(idle)
        check_flags(vectorized=vectorized)
        super().__init__(fun, check_number(t0, "t0"), y0, _bound(t_bound), vectorized, support_complex=True)
        self._slopes = _of_columns(fun) if vectorized else fun
        self._pairs = Pairs(self.y) if is_complex(self.y) else None
        self.dt = _check_dt(self.method, dt, self.t, self.t_bound)
        self._start, self._t0, self._status, self._unmeasured = self._carried(self.y), self.t, 0, ""
        if self.dt is None:
            self._tol = tolerances = self._tolerances(rtol, atol)
            self._bounds(**bounds)
        if self.n == 0 or self.t == self.t_bound:
            return  # the base class handles these, and there is nothing to run
        self._constant = jac is not None and not callable(jac) and compiled_address(jac, "jac", JACOBIAN_SIGNATURE) is None
        compiled = compiled_address(fun, "fun", RHS_SIGNATURE) is not None
        if self._pairs is None:
            linear["jac"] = self._jacobian(jac)
        else:
            linear = {"jac": self._jacobian(self._pairs.jacobian(jac, lband, uband)), "jac_sparsity": self._pairs.pattern(jac_sparsity),
                      "lband": self._pairs.band(lband), "uband": self._pairs.band(uband)}  # fmt: skip
        shape = self._start.shape
        rhs = rhs_problem(fun if compiled else self._own_copy, shape, jac=linear["jac"])
        start = (self.t, self._start)
        self._solver = nonlinear.make_solver(solver, rhs, shape, start, **linear) if self._solved.is_implicit else None
        control = self.dt is None and tolerances[0].size > 1
        step = math.nan if self.dt is None else self.direction * self.dt
        self._run: Any
        if pair is not None:
            self._run = two_methods(pair, self._solver, rhs, self._start, self.t, control=control)
        else:
            self._run = core.Run(
                self.record, rhs, self._start, self.t, step, self.method.numbers, dense=True, control=control, solver=self._solver
            )
        self._past = None if self.dt is None else PastLimit.of(self._run, self.method, self._start)
        read_inside(self._run)  # SciPy may ask for dense_output() of each step
        self._hand_out(self._run.y)
        if self.dt is None:
            self._begin(*tolerances)

    # ---- arguments -------------------------------------------------------------------------------------------------------------------

    def _pair_for(self, y0: Any, rtol: Any, dt: Any) -> Pair | None:
        """The two methods of a solver that goes on with the other where one should not."""
        return None

    def _own_copy(self, t: float, y: Array) -> Any:
        """fun, with an array that it may keep and change."""
        if self._pairs is None:
            return self._slopes(t, y.copy())  # SciPy's `fun_single` would make real numbers of complex ones
        return self._pairs.real(self.fun_single(t, self._pairs.state(y.copy())), "fun")

    def _carried(self, y: Any) -> Array:
        """A state as the run carries it: a copy, of real numbers."""
        return check_vector(y, "y", self.n) if self._pairs is None else self._pairs.real(y, "y").copy()

    def _jacobian(self, jac: Any) -> Any:
        """jac as the core takes it: SciPy's may return a number where there is one component."""
        if jac is None or not self._solved.is_implicit:
            return None
        if compiled_address(jac, "jac", JACOBIAN_SIGNATURE) is not None:
            return jac
        if callable(jac) and not hasattr(jac, "tocsc"):
            return lambda t, y: _matrix(jac(t, y.copy()))
        return _matrix(jac)

    def _tolerances(self, rtol: Any, atol: Any) -> tuple[Array, Array]:
        """SciPy's way with small ones (a warning), then one number each, or n."""
        rtol = np.asarray(RTOL if rtol is None else rtol)
        if rtol.dtype.kind in "iuf":
            rtol, _ = validate_tol(rtol, 0.0, self.n)
        relative, absolute = check_tolerances(rtol.item() if rtol.ndim == 0 else rtol, ATOL if atol is None else atol, (self.n,))
        if self._pairs is not None:
            relative, absolute = (one if one.size == 1 else np.repeat(one, 2) for one in (relative, absolute))  # one number is for all
        absolute = resolved(absolute, self._start)
        count = (max(relative.size, absolute.size),)
        return np.ascontiguousarray(np.broadcast_to(relative, count)), np.ascontiguousarray(np.broadcast_to(absolute, count))

    def _bounds(self, max_step: Any, min_step: Any, first_step: Any) -> None:
        largest = check_max_step(max_step)
        if callable(largest):
            raise TypeError("max_step: expected a number here, got a function; mflow.solve_ivp takes functions of (t, y)")
        self.max_step, self.min_step = largest, check_min_step(min_step, largest)
        self.first_step = check_first_step(first_step, self.t, self.t_bound)

    def _begin(self, rtol: Array, atol: Array) -> None:
        """The first slope and the first step's length, as SciPy's solvers have them from their start."""
        self._run.control(rtol, atol, self.max_step, self.min_step)
        self._run.look_for_stiffness(stable_end(self.method.record))
        far = self.direction * min(abs(self.t_bound), 1e300) if math.isinf(self.t_bound) else self.t_bound
        self._status = int(self._run.begin(far, self.direction * (self.first_step or 0.0)))
        self._count()

    # ---- what OdeSolver asks for -----------------------------------------------------------------------------------------------------

    def _hand_out(self, y: Array) -> None:
        """The state is the run's: what is written into this array would be lost, so nothing can be; another array is a new start."""
        z: Any = y if self._pairs is None else self._pairs.state(y)
        z.setflags(write=False)
        self.y = self._handed = z

    def _take_over(self) -> None:
        """``solver.y = ...``, between two steps."""
        self._run.restart(self._run.t, self._carried(self.y))
        if self.dt is None:
            self._begin(*self._tol)

    def _step_impl(self) -> tuple[bool, str | None]:
        if self.y is not self._handed:
            self._take_over()
        run, status = self._run, self._status
        k = run.k
        while status == 0 and run.k == k:
            status = self._advance()
            if status == core.RHO_DUE:
                status = self._radius()
            elif self._past is not None and self._past.heeds(status, self.method.name):
                status = 0
        self._count()
        if status != 0:
            return False, self._why(status)
        self.t = run.t
        self._hand_out(run.y)
        return True, None

    def _advance(self) -> int:
        """One step of the run; the status."""
        run = self._run
        if self.dt is not None:
            span = abs(self.t_bound - self._t0)
            last = math.isfinite(span) and run.k + 1 >= math.ceil(span / self.dt * (1.0 - ROUNDING))
            return int(run.fixed(1, self.t_bound if last else math.nan))
        # as SciPy's, the first step moves t even where max_step is lost in rounding; the second then fails
        run.max_step = max(self.max_step, 10 * float(np.spacing(abs(self.t)))) if run.k == 0 else self.max_step
        return int(run.adaptive(1, self.t_bound))

    def _radius(self) -> int:
        """Gives the run the spectral radius that its method needs; a code where it cannot be measured, for the reason in `_unmeasured`."""
        radius, self._unmeasured = spectrum.upper_radius(self._run.slope, self._run.t, self._run.y)
        if self._unmeasured:
            return int(core.NON_FINITE)
        self._run.rho = radius
        return 0

    def _why(self, status: int) -> str:
        run = self._run
        where = f"at t = {run.t:g} after {counted(run.k, 'step')}"
        if self._unmeasured:
            return f"{self.method.name} measures the Jacobian along the way, and {where} {self._unmeasured}"
        mode, step = ("adaptive", run.h) if self.dt is None else ("fixed", self.dt)
        method = self.method if self._pair is None else run.in_charge
        reason, message = Ending(run, method, mode, step, self._start, self._t0, where).explain(status)
        return f"{self.TOO_SMALL_STEP.rstrip('.')}: {message}" if reason == "step_too_small" else message

    def _dense_output_impl(self) -> MethodDenseOutput | PairsDenseOutput:
        t_old, y_old, D = LastStep(self._run).extension()
        self._count()
        if self._pairs is None:
            return MethodDenseOutput(t_old, self.t, y_old, self.y, D)
        return PairsDenseOutput(MethodDenseOutput(t_old, self.t, y_old, self._carried(self.y), D), self._pairs)

    def _count(self) -> None:
        self.nfev = int(self._run.nfev) + int(self._run.nlooks) + (0 if self._past is None else self._past.evaluations)
        if self._solver is not None:
            counters = self._solver.counters
            self.nfev -= int(counters["n_rhs_jac"])
            self.njev = 0 if self._constant else int(counters["njev"])
            self.nlu = int(counters["nlu"])


def _bound(t_bound: Any) -> float:
    """t_bound may be infinite."""
    number = as_number(t_bound, "t_bound", "a number, which may be infinite")
    if math.isnan(number):
        raise ValueError(f"t_bound: expected a number, which may be infinite, got {t_bound!r}")
    return number


def _check_dt(method: Method, dt: Any, t0: float, t_bound: float) -> float | None:
    """A step above 0; None: error control."""
    if dt is None:
        if "embedded" not in method.flags:
            raise ValueError(
                f"dt: expected the size of the fixed steps of {method.name}, got None; mflow.max_stable_dt says how large it may be"
            )
        return None
    step = check_number(dt, "dt", low=0.0, open_low=True)
    if t_bound != t0 and t0 + math.copysign(step, t_bound - t0) == t0:
        raise ValueError(f"dt: expected a step that moves t = {t0:g}, got {dt!r}, which is lost in rounding")
    return step


def _check_foreign(names: list[str]) -> None:
    """TypeError where one of these is an argument of `mflow.solve_ivp` alone: without it, as with `mass`, another problem is solved."""
    for name in names:
        if name in inspect.signature(solve_ivp).parameters:
            raise TypeError(f"{name}: a solver of SciPy's takes none; call mflow.solve_ivp, which does, or omit it")


def _of_columns(fun: Callable[..., Any]) -> Callable[..., Any]:
    """A vectorized function, for one state."""
    return lambda t, y: np.ravel(fun(t, y[:, None]))


def _matrix(value: Any) -> Any:
    return value if hasattr(value, "tocsc") else np.atleast_2d(value)


# ---- the classes ------------------------------------------------------------------------------------------------------------------------


def _document(record: Any) -> str:
    """The method's docstring, with the arguments of a solver and an example."""
    embedded, implicit = "embedded" in record.flags, "implicit" in record.flags
    parameters = "".join(f"{p.name} : {p.bounds}, default {p.default!r}\n    {p.doc}\n" for p in get_method(record.name).parameters_)
    return USAGE.format(
        name=record.class_name,
        doc=record.doc,
        formula=record.formula,
        order=record.order,
        reference=record.reference,
        dt="Fixed steps of this size, the last of which lands on t_bound, in place of error control."
        if embedded
        else "The size of the steps, the last of which lands on t_bound. It must be given: there is no error estimate.",
        control=CONTROL if embedded else FIXED,
        implicit=IMPLICIT if implicit else EXPLICIT,
        parameters=parameters,
        call="rtol=1e-6, atol=1e-9" if embedded else "dt=0.01",
        error="1e-2" if record.order == 1 else "1e-4" if record.order == 2 else "1e-5",
    )


def _class_of(record: Any) -> type[MethodSolver]:
    facts = {"record": record, "order": record.order, "n_stages": record.stages, "__doc__": _document(record), "__module__": "mflow.scipy"}
    if "embedded" in record.flags:  # two estimates combine to one of the order before the method's (dop853)
        facts["error_estimator_order"] = min(record.order, record.order_hat) if record.sizes({})["n_err"] == 1 else record.order - 1
    return type(record.class_name, (MethodSolver,), facts)


class AUTO(MethodSolver):
    """Two methods, an explicit and an implicit one, each where it is the better: ``method="auto"`` of `mflow.solve_ivp`.

    Parameters
    ----------
    fun, t0, y0, t_bound, vectorized
        As in every `scipy.integrate.OdeSolver`; `solve_ivp` hands them over. fun may be compiled, as in `mflow.solve_ivp`.
    rtol, atol : float or array_like (n,)
        Error control (default 1e-3, 1e-6).
    first_step, max_step, min_step, dt, jac, jac_sparsity, lband, uband, solver
        As in `mflow.scipy.Radau5`; dt must be None, as the steps are chosen.

    Attributes
    ----------
    turns : list of tuple
        Why, when and at which step it went on with the other method.
    method : Method
        The explicit one, also while the implicit one goes on.

    Raises
    ------
    TypeError, ValueError
        An argument does not fit; the text names it.

    See Also
    --------
    mflow.solve_ivp : ``method="auto"``, with which two methods it takes.
    mflow.scipy.Radau5, mflow.scipy.Tsit5

    Examples
    --------
    >>> import mflow.scipy
    >>> from scipy.integrate import solve_ivp
    >>> r = solve_ivp(lambda t, y: -1e4 * (y - t), (0, 9), [1.0], method=mflow.scipy.AUTO, rtol=1e-6, atol=1e-9)
    >>> r.success, bool(abs(r.y[0, -1] - 8.9999) < 1e-6), r.t.size < 60
    (True, True, True)

    References
    ----------
    L. R. Petzold, SIAM J. Sci. Stat. Comput. 4 (1983) 136-148; E. Hairer and G. Wanner, Solving Ordinary Differential Equations II
    (1996), IV.2.
    """

    record = registry.find(CALM[0])
    order, n_stages, error_estimator_order = record.order, record.stages, int(record.order_hat or 0)

    def _pair_for(self, y0: Any, rtol: Any, dt: Any) -> Pair:
        return pair_for(np.size(y0) * (1 + is_complex(y0)), rtol, RTOL, dt=dt)

    @property
    def turns(self) -> list[tuple[int, float, int, float]]:
        """Each end of a leg: why, t, step, h times the spectral radius."""
        turns: list[tuple[int, float, int, float]] = self._run.turns
        return turns


_CLASSES = {
    record.class_name: _class_of(record) for record in registry.records() if record.kind == "step" and "second_order" not in record.flags
}
globals().update(_CLASSES)
__all__ += ["AUTO"]
__all__ += sorted(_CLASSES)  # noqa: PLE0605


def __getattr__(name: str) -> Any:
    """`minimize_` and a method's name; the classes stand above. For any other name the error tells the nearest ones."""
    if name.startswith("minimize_"):
        from mflow.adapters.scipy_minimizers import MINIMIZERS

        if name in MINIMIZERS:
            return MINIMIZERS[name]
        raise AttributeError(registry.unknown("mflow.scipy has no", name, list(MINIMIZERS)))
    raise AttributeError(registry.unknown("mflow.scipy has no", name, __all__))


def __dir__() -> list[str]:
    from mflow.adapters.scipy_minimizers import MINIMIZERS

    return sorted({*globals(), *MINIMIZERS})
