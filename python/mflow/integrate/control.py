"""What steers a run from outside the core: tolerances, bounds on the step, events.

Everything a user hands over is checked here before the first step, with an error that names the argument, what came and the fix.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from mflow.base.checks import Array, check_number

__all__ = [
    "Event", "check_events", "check_first_step", "check_max_step", "check_min_step", "check_tolerances",
]  # fmt: skip

LEAST_RTOL = 100 * float(np.finfo(np.float64).eps)  # below it rounding, not the method, decides the measured error
SAMPLES = 16


# ---- tolerances -----------------------------------------------------------------------------------------------------------------


def check_tolerances(rtol: Any, atol: Any, shape: tuple[int, ...], of: str = "") -> tuple[Array, Array]:
    """(rtol, atol), each a float64 array of one number for all components, or of one for each.

    Parameters
    ----------
    rtol, atol : float or array_like
        A number, or one for each component: of the state's shape, or flat. The local error of component i is held to
        atol_i + rtol_i |y_i|. An infinite atol_i leaves its component out.
    shape : the state's.
    of : "_v" for those of a velocity, which may be left out as a whole; the names in messages end so.

    Raises
    ------
    TypeError
        Something else than real numbers.
    ValueError
        rtol below 100 eps = 2.22e-14 (SciPy would raise it with a warning), atol below 0, NaN, a shape that does not fit, or nothing
        left that is controlled.
    """
    relative, absolute = _tolerance(rtol, "rtol" + of, shape), _tolerance(atol, "atol" + of, shape)
    bad = np.flatnonzero(~(relative >= LEAST_RTOL) | ~np.isfinite(relative))
    if bad.size:
        raise ValueError(
            f"{_entry('rtol' + of, relative, bad[0])}: a finite number from 100 eps = {LEAST_RTOL:.3g} on is wanted, below which rounding "
            "decides the measured error; ask for more digits in atol, or take rtol=1e-13"
        )
    bad = np.flatnonzero(~(absolute >= 0.0))
    if bad.size:
        raise ValueError(
            f"{_entry('atol' + of, absolute, bad[0])}: a number from 0 on is wanted; with 0 the error is measured against |y| alone"
        )
    if not of and absolute.size and np.all(np.isinf(absolute)):
        raise ValueError("atol is infinite for every component: no error would be controlled; give dt=... for fixed steps")
    return relative, absolute


def _tolerance(value: Any, name: str, shape: tuple[int, ...]) -> Array:
    array = np.asarray(value)
    if array.dtype.kind not in "iuf":
        raise TypeError(f"{name} = {value!r}: a real number is wanted, or one for each component")
    if array.ndim and array.shape != shape and array.shape != (math.prod(shape),):
        raise ValueError(f"{name} has shape {array.shape}, the state {shape}: give one number, or one for each component")
    return np.array(array, dtype=np.float64, order="C").reshape(-1)


def _entry(name: str, array: Array, k: Any) -> str:
    return f"{name}[{k}] = {float(array[k])!r}" if array.size > 1 else f"{name} = {float(array[k])!r}"


# ---- bounds on the step -----------------------------------------------------------------------------------------------------------


def check_first_step(first_step: Any, t0: float, t1: float) -> float | None:
    """A first step above 0 and within the span; None: chosen from the slopes. Raises TypeError or ValueError."""
    if first_step is None:
        return None
    step = check_number(first_step, "first_step", "a step above 0 (or None)")
    if step <= 0:
        raise ValueError(f"first_step = {first_step!r}: a step above 0 is wanted; it takes the sign of t_end - t0 by itself")
    if step > abs(t1 - t0) > 0:
        raise ValueError(f"first_step = {first_step!r} is longer than t_span = ({t0!r}, {t1!r})")
    return step


def check_max_step(max_step: Any) -> float | Callable[[float, Array], float]:
    """A number above 0 (inf: no bound), or a function of (t, y) whose values are checked each time. Raises TypeError or ValueError."""
    if max_step is None:
        return math.inf
    if not callable(max_step):
        return _bound(max_step, "max_step")

    def bound(t: float, y: Array) -> float:
        return _bound(max_step(t, y), f"max_step(t, y) at t = {t:g}")

    return bound


def _bound(value: Any, name: str) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise TypeError(f"{name} = {value!r}: a step above 0 is wanted, inf for no bound, or a function of (t, y)") from None
    if not number > 0.0:
        raise ValueError(f"{name} = {number!r}: a step above 0 is wanted; inf: no bound")
    return number


def check_min_step(min_step: Any, max_step: float | Callable[[float, Array], float] = math.inf) -> float:
    """A step from 0 on, not above max_step where that is a number. Raises TypeError or ValueError."""
    if min_step is None:
        return 0.0
    step = check_number(min_step, "min_step", "a step from 0 on")
    if step < 0:
        raise ValueError(f"min_step = {min_step!r}: a step from 0 on is wanted")
    if not callable(max_step) and step > max_step:
        raise ValueError(f"min_step = {min_step!r} is above max_step = {max_step!r}")
    return step


# ---- events -------------------------------------------------------------------------------------------------------------------------


class Event(NamedTuple):
    """A function with how to watch it, for compiled functions and others that cannot carry attributes.

    Parameters
    ----------
    fun : callable
        ``fun(t, y, *args)`` -> float, or compiled with the signature of a right-hand side; its value goes into ``dydt[0]``.
    terminal : bool or int
        True: the run ends there. k: at the k-th time.
    direction : float
        Above 0: where the value goes upward along the integration; below 0: downward; 0: both.
    samples : int
        Each step is looked at in this many equal pieces; two crossings inside one piece are missed.

    Examples
    --------
    >>> import mflow.integrate.control
    >>> mflow.Event(lambda t, y: y[0] - 1.0, terminal=True).direction
    0.0

    References
    ----------
    L. F. Shampine, I. Gladwell and R. W. Brankin, ACM TOMS 17 (1991) 11-25.
    """

    fun: Any
    terminal: bool | int = False
    direction: float = 0.0
    samples: int = SAMPLES


def check_events(events: Any) -> list[tuple[Any, int, int, int]]:
    """(function, stop after, direction, samples) of each event: what `mflow_core.stepping.events.Events` is made of.

    Parameters
    ----------
    events : None, a callable, an `Event`, or a sequence of these
        Settings are read from the attributes ``terminal``, ``direction`` and ``samples`` of the function, as SciPy has them.

    Raises
    ------
    TypeError, ValueError
        An event is no callable, or a setting does not fit; the text names it.
    """
    if events is None:
        return []
    if isinstance(events, Event) or callable(events) or not isinstance(events, Sequence) or _is_low_level(events):
        events = [events]
    return [_event(event, f"events[{j}]" if len(events) > 1 else "events") for j, event in enumerate(events)]


def _is_low_level(value: Any) -> bool:
    """SciPy's LowLevelCallable is a tuple."""
    return type(value).__name__ == "LowLevelCallable"


def _event(event: Any, name: str) -> tuple[Any, int, int, int]:
    fun = event.fun if isinstance(event, Event) else event
    if not callable(fun) and not _is_low_level(fun) and type(fun).__name__ != "PyCapsule":
        wanted = "a callable event(t, y), of second order event(t, x, v), is wanted (or a compiled function, or an Event)"
        raise TypeError(f"{name}: {wanted}, not {type(fun).__name__}")
    terminal = _whole(getattr(event, "terminal", False), f"{name}.terminal", 0, "True, False, or the number of times from 0 on")
    samples = _whole(getattr(event, "samples", SAMPLES), f"{name}.samples", 1, "a whole number from 1 on")
    direction = getattr(event, "direction", 0.0)
    try:
        sign = float(direction)
    except (TypeError, ValueError):
        raise TypeError(f"{name}.direction = {direction!r}: a number is wanted, whose sign counts") from None
    if math.isnan(sign):
        raise ValueError(f"{name}.direction = {direction!r}: a number is wanted, whose sign counts")
    return fun, terminal, (sign > 0) - (sign < 0), samples


def _whole(value: Any, name: str, least: int, what: str) -> int:
    if value is None and least == 0:
        return 0
    try:
        number = int(value)
        whole = number == value
    except (TypeError, ValueError, OverflowError):
        raise TypeError(f"{name} = {value!r}: {what} is wanted") from None
    if not whole or number < least or number >= 2**31:
        raise ValueError(f"{name} = {value!r}: {what} is wanted")
    return number
