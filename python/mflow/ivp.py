"""`solve_ivp`: y' = fun(t, y) from t0 to t_end, by steps of a Runge-Kutta row."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from mflow_core import problem, stepper

from mflow import stability
from mflow.arrays import Array, check_number, check_start, check_times
from mflow.methods import Method, as_method
from mflow.pace import pieces
from mflow.result import IVPResult, attach

__all__ = ["integrate", "solve_ivp"]

ROUNDING = 1e-12  # a remainder this small against the whole span is no step of its own
GROWTH = 1e6  # a state that ends this much larger than it began is looked at again


def solve_ivp(
    fun: Callable[..., Any] | Any,
    t_span: Sequence[float],
    y0: Any,
    method: str | Method = "rk4",
    t_eval: Any = None,
    *,
    dt: float | None = None,
    args: tuple[Any, ...] = (),
    inplace: bool = False,
    save: str = "all",
    save_every: int | None = None,
    **parameters: Any,
) -> IVPResult:
    """Integrate y' = fun(t, y) with fixed steps.

    Parameters
    ----------
    fun : callable
        ``fun(t, y, *args)`` returns the slopes, an array of y's shape; with ``inplace=True``, ``fun(t, y, out, *args)`` fills
        ``out``. y is read-only. Or compiled, called without the GIL: a SciPy LowLevelCallable, numba cfunc, ctypes function
        pointer or PyCapsule with the signature ``int (double t, const double *y, double *dydt, ptrdiff_t n, void *ctx)``; it
        returns 0 to go on, a positive code where only a smaller step could help, a negative one to give up.
    t_span : (t0, t_end)
        t_end may lie before t0: integration runs backwards. t_end = t0 returns the start.
    y0 : array_like of real numbers, any shape
    method : name or instance
        See `mflow.methods`. n = ceil((t_end - t0)/dt (1 - 1e-12)) steps, at times t0 + k dt without accumulated error; the last one
        lands on t_end.
    t_eval : array_like (m,), optional
        Times to save at, in order, inside the span; between steps by the cubic Hermite interpolant (two more slopes a step that
        holds such a time).
    dt : float
        The step, above 0 (its sign follows the span).
    save : "all" or "last"
        "last" keeps the end alone: constant memory.
    save_every : int
        Keep every k-th step, and both ends.
    **parameters
        The method's own.

    Returns
    -------
    IVPResult
        ``t``, ``y`` of shape (n, n_points) or (*shape, n_points), ``success``, ``status``, ``reason``, ``message``, ``nfev``,
        ``nsteps``. A state that is not finite ends the run with ``reason="non_finite"`` and the trajectory up to the last good step.

    Raises
    ------
    TypeError, ValueError
        An argument does not fit; the text names it. An exception raised by ``fun`` comes through as it is, with the time in a note
        and what was computed so far as its ``partial_result``; so does KeyboardInterrupt.

    Examples
    --------
    >>> import mflow
    >>> r = mflow.solve_ivp(lambda t, y: -y, (0, 1), [1.0], method="rk4", dt=0.1)
    >>> r.reason, bool(abs(r.y[0, -1] - 0.36787944117) < 1e-6)
    ('finished', True)

    References
    ----------
    E. Hairer, S. Norsett and G. Wanner, Solving Ordinary Differential Equations I (1993), II.1.
    """
    start = check_start(y0, "y0")
    if {"rtol", "atol"} & set(parameters):
        raise ValueError(f"rtol, atol: {as_method(method, {}).name} takes fixed steps: give dt in their place")
    chosen = as_method(method, parameters)
    what = problem.rhs_problem(fun, start.shape, args, inplace)
    return integrate(what, t_span, start, chosen, t_eval, dt=dt, save=save, save_every=save_every)


def integrate(
    what: problem.Problem,
    t_span: Sequence[float],
    start: Array,
    method: Method,
    t_eval: Any = None,
    *,
    dt: float | None,
    save: str = "all",
    save_every: int | None = None,
) -> IVPResult:
    """`solve_ivp` for a problem that is made already."""
    t0, t1 = _span(t_span)
    if method.kind != "step" or "second_order" in method.flags:
        raise ValueError(f"method: {method.name} is no integrator of y' = f(t, y): see mflow.methods(family='runge_kutta')")
    step = _step(method, dt, t0, t1)
    steps = math.ceil((t1 - t0) / step * (1.0 - ROUNDING)) if t1 != t0 else 0
    times = None if t_eval is None else check_times(t_eval, t0, t1)
    every = _every(save, save_every, times is not None)
    run = stepper.Run(method.row, what, start, t0, step, method._values, dense=times is not None)
    record = _Record(run, start, t0, steps, every, times)
    try:
        status = _drive(run, record, steps, t1)
    except BaseException as error:
        record.close()
        message = f"{type(error).__name__} at t = {run.t:g} after {run.k} steps: {error}"
        partial = _result(run, record, -1, "interrupted" if isinstance(error, KeyboardInterrupt) else "rhs_failed", message)
        attach(error, partial, f"in mflow.solve_ivp, in the step from t = {run.t:g} (step {run.k}); .partial_result holds all before")
        raise
    record.close()
    if status == 0:
        message = f"reached t = {t1:g} in {run.k} steps of {method.name}"
        return _result(run, record, 0, "finished", message + _growth(run, method, step, start, t0))
    reason, message = _ending(run, method, status, step, start, t0)
    return _result(run, record, -1, reason, message)


def _span(t_span: Sequence[float]) -> tuple[float, float]:
    try:
        first, last = t_span
    except (TypeError, ValueError):
        raise ValueError(f"t_span = {t_span!r}: two numbers (t0, t_end) are wanted") from None
    return check_number(first, "t_span[0]"), check_number(last, "t_span[1]")


def _step(method: Method, dt: float | None, t0: float, t1: float) -> float:
    """dt with the sign of the span."""
    if dt is None:
        raise ValueError(f"dt is missing: {method.name} takes fixed steps; give dt=... (mflow.max_stable_dt says how large it may be)")
    step = check_number(dt, "dt", "a step above 0")
    if step <= 0:
        raise ValueError(f"dt = {dt!r}: a step above 0 is wanted; it takes the sign of t_end - t0 by itself")
    if t1 != t0 and t0 + math.copysign(step, t1 - t0) == t0:
        raise ValueError(f"dt = {dt!r} is lost in rounding at t = {t0:g}: t + dt == t")
    if abs(t1 - t0) / step > 2.0**53:
        raise ValueError(f"dt = {dt!r}: more than 2^53 steps from t = {t0:g} to {t1:g}")
    return math.copysign(step, t1 - t0)


def _every(save: str, save_every: int | None, at_times: bool) -> int:
    """0: the last state alone."""
    if save not in ("all", "last"):
        raise ValueError(f'save = {save!r}: "all" or "last" is wanted')
    if sum((save == "last", save_every is not None, at_times)) > 1:
        raise ValueError("save, save_every and t_eval are three ways to say what to keep: give one of them")
    if save_every is None:
        return 0 if save == "last" else 1
    if isinstance(save_every, bool) or int(save_every) != save_every or save_every < 1:
        raise ValueError(f"save_every = {save_every!r}: a whole number from 1 on is wanted")
    return min(int(save_every), 2**62)


class _Record:
    """The rows that a run writes: one a saved state."""

    def __init__(self, run: stepper.Run, start: Array, t0: float, steps: int, every: int, times: Array | None) -> None:
        self.run, self.every, self.times, self.shape = run, every, times, start.shape
        rows = len(times) if times is not None else 1 + -(-steps // every) + 1 if every else 1
        try:
            self.y = np.empty((rows, start.size))
            self.t = np.empty(rows)
        except (MemoryError, ValueError):
            fewer = "keep fewer, with save_every=, t_eval= or save='last'"
            raise MemoryError(f"no memory for {rows} states of {start.size} numbers: {fewer}") from None
        self.rows = self.done = 0
        if times is None and every:
            self.put(t0, start)
        elif times is not None and len(times) and times[0] == t0:
            self.put(t0, start)
            self.done = 1

    def put(self, t: float, y: Array) -> None:
        self.y[self.rows], self.t[self.rows] = y.ravel(), t
        self.rows += 1

    def advance(self, count: int, t_last: float) -> int:
        """`count` more steps; their status."""
        if self.times is None and not self.every:
            status: int = self.run.fixed(count, t_last)[0]
            return status
        before = self.rows
        try:
            status = self.run.fixed(count, t_last, self.every, self.y[before:], self.t[before:], self.times, self.done)[0]
        finally:
            written = self.run.rows_written
            self.rows += written
            self.done += written
        return status

    def close(self) -> None:
        """The last good state is always there."""
        if self.times is None and (self.rows == 0 or self.t[self.rows - 1] != self.run.t):
            self.put(self.run.t, self.run.y)

    def arrays(self) -> tuple[Array, Array]:
        t, y = self.t[: self.rows], self.y[: self.rows]
        if self.rows < len(self.t) // 2:  # let go of what was never used
            t, y = t.copy(), y.copy()
        return t, np.moveaxis(y.reshape(self.rows, *self.shape), 0, -1)


def _drive(run: stepper.Run, record: _Record, steps: int, t1: float) -> int:
    """All steps; the status of the last piece."""
    for count, last in pieces(steps):
        status = record.advance(count, t1 if last else math.nan)
        if status != 0:
            return status
    return 0


def _growth(run: stepper.Run, method: Method, step: float, start: Array, t0: float) -> str:
    """A word of warning where the state has grown by orders of magnitude past a stability limit, yet stayed finite."""
    first, last = (float(np.max(np.abs(y), initial=0.0)) for y in (start, run.y))
    if run.k < 2 or not last > GROWTH * max(1.0, first):
        return ""
    why = stability.explain_step(run, method, abs(step), start, t0)
    if "exceeds" not in why:
        return ""
    warnings.warn(f"solve_ivp: the state grew from {first:.3g} to {last:.3g}: {why}", RuntimeWarning, stacklevel=4)
    return f"; but the state grew from {first:.3g} to {last:.3g}: {why}"


def _ending(run: stepper.Run, method: Method, status: int, step: float, start: Array, t0: float) -> tuple[str, str]:
    """(reason, message) of a run that could not go on."""
    where = f"at t = {run.t:g} after {run.k} steps"
    if status == stepper.NON_FINITE:
        hint = stability.explain_step(run, method, abs(step), start, t0)
        return "non_finite", f"non-finite state {where}: {hint}"
    if status > 0:
        fixed = f"{method.name} takes fixed ones: lower dt"
        return "rhs_failed", f"the right-hand side asked for a smaller step {where} (code {status}), and {fixed}"
    return "rhs_failed", f"the right-hand side gave up {where} with code {status}"


def _result(run: stepper.Run, record: _Record, status: int, reason: str, message: str) -> IVPResult:
    t, y = record.arrays()
    return IVPResult(
        t=t, y=y, sol=None, t_events=None, y_events=None, nfev=run.nfev, njev=0, nlu=0, nsteps=run.k, nrejected=0,
        status=status, reason=reason, message=message, success=status >= 0,
    )  # fmt: skip
