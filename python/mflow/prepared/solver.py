"""`compile_solver`: y' = f(t, y, args), prepared once and integrated again and again, from Python, numba, Cython or C.

What depends on the function, the method and its settings is done when the solver is made; a call moves numbers and takes steps, in the
core (`mflow_core.prepared`). That is for models inside a loss, where one evaluation integrates thousands of short spans.
"""

from __future__ import annotations

import ctypes
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NoReturn, Unpack

import numpy as np
from mflow_core.prepared import Prepared, error_text
from mflow_core.problems.problem import rhs_problem
from mflow_core.problems.signatures import RHS_SIGNATURE, code_text, compiled_address
from mflow_core.stepping import stepper

from mflow.base.checks import Array, check_flags, check_number, check_whole
from mflow.base.methods import Method, as_method, refuse_unknown
from mflow.base.telling import counted, tell
from mflow.course.past_step import Seen, affordable, edge_of, has_limit, look_back
from mflow.integrate.control import (
    ABOVE_0,
    ATOL,
    MANY,
    RTOL,
    Settings,
    check_first_step,
    check_max_step,
    check_min_step,
    check_mode,
    check_tolerances,
    default_method,
    whole_or,
)  # fmt: skip
from mflow.problems.compiled import compile_with_args

if TYPE_CHECKING:
    from mflow.base._records import CompileSolverOptions

__all__ = ["CompiledSolver", "compile_solver"]

NATIVE = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.c_void_p, ctypes.c_double, ctypes.c_double, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p
)


class CompiledSolver(Prepared):
    """A prepared solver, as `mflow.compile_solver` makes it: ``solver((t0, t_end), y0, args)`` is y at t_end, an array (n,).

    One thread at a time; ``copy.copy(solver)`` is another one, for another thread.

    Attributes
    ----------
    n, n_args : int
        How many numbers y0 and args hold.
    t, nfev, nsteps, nrejected
        Of the last call: the time that it reached, evaluations of fun, accepted and rejected steps.
    method : Method
    handle, address : int
        The struct of ``mflow/ivp.h``, and its function ``int (mf_ivp *, double t0, double t_end, const double *y0, const double *args,
        double *y)``, for compiled code; both are good while the solver lives. `function` is the latter for numba and ctypes.

    See Also
    --------
    mflow.compile_solver, mflow.Compiled, mflow.solve_ivp

    Examples
    --------
    >>> import mflow
    >>> decay = mflow.compile_solver(lambda t, y, rate: -rate * y, 1, rtol=1e-9, atol=1e-12)
    >>> decay((0.0, 1.0), [1.0], [2.0]).round(8), decay((0.0, 1.0), [1.0], [3.0]).round(8)
    (array([0.13533528]), array([0.04978707]))
    """

    method: Method

    def __init__(self, *_: Any, method: Method, made: dict[str, Any], **__: Any) -> None:
        self.method, self._made = method, made
        self._told = False  # of steps past the limit
        self._looked, self._asked = 0, 0  # evaluations for looks back, and those of the calls that were steep

    @property
    def function(self) -> Any:
        """The C function as a ctypes object, which numba calls without Python: ``solve(handle, t0, t_end, y0, args, y)``, arrays by their
        addresses, as in ``y.ctypes.data``."""
        return NATIVE(self.address)

    def look(self, start: Array, args: Array | None) -> None:
        """Warns, once, where steps of the last call were past the stability limit."""
        self._asked += self.nfev
        if self._told or not affordable(self._looked, self._asked):
            return
        text, calls = look_back(self.method, lambda t, y: self.slope(t, y, args), start, Seen(*self.seen))
        self._looked, self._told = self._looked + calls, bool(text)
        if text:
            tell(f"compile_solver: {text}")

    def refuse(self, status: int, t_end: float, out: Array) -> NoReturn:
        """Raises the error of a call that ended before its end."""
        text = error_text(status) if status <= -1000 else f"fun gave up with {code_text(status)}"
        kind = FloatingPointError if status == stepper.NON_FINITE else RuntimeError
        error: Any = kind(
            f"{self.method.name} stopped at t = {self.t:g} after {counted(self.nsteps, 'step')}, before t_end = {t_end:g}: {text}"
        )
        error.partial_result = self.t, out
        raise error

    def __copy__(self) -> CompiledSolver:
        return _make(**self._made)

    def __reduce__(self) -> Any:
        raise TypeError("a CompiledSolver holds addresses of this process and cannot be pickled: make it anew there with compile_solver")

    def __repr__(self) -> str:
        return f"<mflow CompiledSolver {self.method!r}: n = {self.n}, n_args = {self.n_args}>"


def compile_solver(
    fun: Callable[..., Any] | Any,
    n: int,
    method: str | Method | None = None,
    *,
    n_args: int | None = None,
    dt: float | None = None,
    rtol: Any = None,
    atol: Any = None,
    first_step: float | None = None,
    max_step: float | None = None,
    min_step: float | None = None,
    max_steps: int | None = None,
    inplace: bool = False,
    **parameters: Unpack[CompileSolverOptions],
) -> CompiledSolver:
    """Prepare an integration of y' = fun(t, y, args) that is called many times, for about a microsecond beside its steps.

    Parameters
    ----------
    fun : callable
        A Python function ``fun(t, y, *args)``, each of args a number, which numba compiles (`mflow.compile` says what it takes); with
        ``inplace=True`` ``fun(t, y, out, *args)``. Or compiled already, as in `mflow.solve_ivp`: then its user data, ``void *ctx``, is
        the address of args where ``n_args`` is above 0, and its own else.
    n : int
        How many numbers y holds.
    method : name or instance
        An explicit one. Default: "dopri5", "rk4" where dt is given.
    n_args : int, optional
        How many numbers args holds. Default: as many as the Python function takes, none of a compiled one.
    dt, rtol, atol, first_step, max_step, min_step, max_steps
        As in `mflow.solve_ivp`; dt and max_step are numbers.
    inplace : bool
        Whether the Python function fills ``out``.
    **parameters
        The method's own.

    Returns
    -------
    CompiledSolver
        ``solver(t_span, y0, args)`` is y at the end of t_span, with the bits of `mflow.solve_ivp` on the same compiled
        function. It raises FloatingPointError where a state or a slope is not finite, RuntimeError where the run ends
        early for another reason, with the message saying where, and
        ``partial_result``, (t, y). It does not warn of stiffness. A call from Python warns of fixed steps past the stability limit, once
        for each solver; a call from compiled code does not.

    Raises
    ------
    TypeError, ValueError
        An argument does not fit, or is beyond it: implicit methods, those that measure the Jacobian (rkc2), dt = "auto".
    ImportError
        A Python function without numba.

    See Also
    --------
    solve_ivp : everything else: trajectories, events, implicit methods.
    solve_ivp_batch : many trajectories in one call.

    Examples
    --------
    >>> import numpy as np, mflow
    >>> def lotka(t, y, a, b, c, d):
    ...     return np.array([a * y[0] - b * y[0] * y[1], d * y[0] * y[1] - c * y[1]])
    >>> solver = mflow.compile_solver(lotka, 2, rtol=1e-8, atol=1e-10)
    >>> solver((0.0, 1.0), [1.0, 1.0], [1.5, 1.0, 3.0, 1.0]).round(6)
    array([2.772851, 0.258711])

    From numba, without Python inside the loop:

    >>> import numba
    >>> solve, handle = solver.function, solver.handle
    >>> @numba.njit
    ... def loss(handle, starts, args, out):
    ...     total = 0.0
    ...     for y0 in starts:
    ...         if solve(handle, 0.0, 1.0, y0.ctypes.data, args.ctypes.data, out.ctypes.data) != 0:
    ...             return np.nan
    ...         total += out[0] ** 2
    ...     return total
    >>> round(loss(handle, np.ones((3, 2)), np.array([1.5, 1.0, 3.0, 1.0]), np.empty(2)), 4)
    23.0661

    References
    ----------
    Those of `mflow.solve_ivp`.
    """
    check_flags(inplace=inplace)
    size = check_whole(n, "n", 1)
    refuse_unknown("compile_solver", parameters, method, ARGUMENTS)
    chosen_method = as_method(method if method is not None else default_method(dt), parameters)
    _check_method(chosen_method)
    if dt is not None and (callable(dt) or not np.isscalar(dt) or isinstance(dt, str)):
        raise TypeError(f"dt: expected a number, the size of fixed steps, got {dt!r}; solve_ivp takes others")
    mode = check_mode(chosen_method, Settings(dt=dt, rtol=rtol, atol=atol), f"{default_method(None)}")
    options: dict[str, Any] = {"max_steps": whole_or(max_steps, "max_steps", MANY)}
    if mode == "adaptive":
        options |= _control(rtol, atol, first_step, max_step, min_step, size)
    elif any(value is not None for value in (first_step, max_step, min_step)):
        raise ValueError("first_step, min_step, max_step: they belong to error control, and dt gives fixed steps: omit them, or dt")
    else:
        options["dt"] = check_number(dt, "dt", ABOVE_0, low=0.0, open_low=True)
        options["edge"] = edge_of(chosen_method) if has_limit(chosen_method.record) else 0.0
    if compiled_address(fun, "fun", RHS_SIGNATURE) is None:
        fun, n_args = compile_with_args(fun, None if n_args is None else check_whole(n_args, "n_args"), inplace)
    elif inplace:
        raise TypeError("inplace: it is for Python functions, got a compiled one; omit it")
    else:
        n_args = 0 if n_args is None else check_whole(n_args, "n_args")
    return _make(fun, size, n_args, chosen_method, options)


def _make(fun: Any, n: int, n_args: int, method: Method, options: dict[str, Any]) -> CompiledSolver:
    made = {"fun": fun, "n": n, "n_args": n_args, "method": method, "options": options}
    problem = rhs_problem(fun, (n,), (), False)
    return CompiledSolver(method.record, problem, method.numbers, n_args, method=method, made=made, **options)


def _check_method(method: Method) -> None:
    """Raises ValueError for a method that cannot be prepared."""
    if method.kind != "step" or "second_order" in method.flags:
        raise ValueError(f"method: {method.name} is no integrator of y' = f(t, y): see mflow.methods(family='runge_kutta')")
    if method.is_implicit:
        raise ValueError(f"method: {method.name} is implicit, and a prepared solver solves no equations; take mflow.solve_ivp, or dopri5")
    if "needs_rho" in method.flags:
        raise ValueError(f"method: {method.name} measures the Jacobian along the way, which a prepared solver does not; take dopri5")


def _control(rtol: Any, atol: Any, first_step: Any, max_step: Any, min_step: Any, n: int) -> dict[str, Any]:
    """What error control needs, checked."""
    if callable(max_step):
        raise TypeError("max_step: expected a number, got a function; mflow.solve_ivp takes functions")
    relative, absolute = check_tolerances(RTOL if rtol is None else rtol, ATOL if atol is None else atol, (n,))
    if relative.size != absolute.size:
        relative, absolute = (np.ascontiguousarray(np.broadcast_to(one, (n,))) for one in (relative, absolute))
    longest = check_max_step(max_step)
    return {
        "rtol": relative, "atol": absolute, "first_step": check_first_step(first_step, -math.inf, math.inf) or 0.0,
        "max_step": longest, "min_step": check_min_step(min_step, longest),
    }  # fmt: skip


ARGUMENTS = (
    "fun", "n", "method", "n_args", "dt", "rtol", "atol", "first_step", "max_step", "min_step", "max_steps", "inplace",
)  # fmt: skip
