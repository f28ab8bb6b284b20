"""What steers a run from outside the core: its settings, tolerances, bounds on the step, events.

Every argument is checked here before the first step, with an error that names the argument, what was expected, what was given and the fix.
"""

from __future__ import annotations

import functools
import math
import sys
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from mflow_core.arithmetic.starts import largest

from mflow.base.checks import Array, as_array, as_number, check_choice, check_number, check_vector, check_whole, shown
from mflow.base.methods import Method
from mflow.base.pace import MANY
from mflow.base.progress import ask
from mflow.base.telling import knows_other_words, tell
from mflow.course.agenda import ROUNDING, check_count, count_steps

if TYPE_CHECKING:
    from mflow.course.legs import Pair
    from mflow.course.steady import Rest

__all__ = [
    "ABOVE_0",
    "ATOL",
    "MANY",
    "MISSING_DT",
    "OF_RUNS",
    "ROUNDING",
    "RTOL",
    "Event",
    "GivenSteps",
    "Settings",
    "check_events",
    "check_first_step",
    "check_max_step",
    "check_min_step",
    "check_mode",
    "check_span",
    "check_step",
    "check_tolerances",
    "count_steps",
    "kept_every",
    "refuse_of_runs",
    "rest_of",
    "sizes_of",
    "tolerances_of_run",
    "warn_of_small",
    "whole_or",
]  # fmt: skip

RTOL, ATOL = 1e-3, 1e-6  # SciPy's
SMALL = 0.1  # of atol: a start below it is lost in the errors that are allowed
SMALLEST = 20.0 * ATOL  # states that are all below it are told of
LEAST_ATOL = 1e-300  # in place of 0, until a start tells more: no difference of a component at 0 has no length
LEAST_SHARE = 1e-40  # of the largest component of the start: in place of 0 for one that begins at 0
ROUNDED = 1e4 * float(np.finfo(np.float64).eps)  # of the largest component: an atol below it may be below rounding in algebraic equations
LEAST_RTOL = 100 * float(np.finfo(np.float64).eps)  # below it rounding, not the method, decides the measured error
SAMPLES = 16
MOST_TIMES = 2**31 - 1
PLAIN, LARGE = (float, int), 0.5 * sys.float_info.max  # two times below it have a finite distance
ABOVE_0 = "a finite step above 0 (it takes the sign of t_end - t0)"
MISSING_DT = "dt: expected the size of the fixed steps of {}, got None; give dt=... (mflow.max_stable_dt says how large it may be)"
# What belongs to a whole run, which a stepper is not.
OF_RUNS = frozenset({
    "t_span", "t_eval", "save", "save_every", "dense_output", "max_steps", "callback", "progress", "checkpoint", "checkpoint_every",
    "resume", "outputs", "nonnegative", "until",
})  # fmt: skip


# ---- settings -------------------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Settings:
    """What the user of a driver may set besides the problem and the method; the names are those of `mflow.solve_ivp`.

    Drivers give the first twenty by position, in this order: by name they would cost three times as much, a twentieth of a short call.
    """

    dt: Any = None
    rtol: Any = None
    atol: Any = None
    t_eval: Any = None
    save: str = "all"
    save_every: Any = None
    dense_output: bool = False
    events: Any = None
    event_args: tuple[Any, ...] = ()
    progress: Any = False
    callback: Any = None
    first_step: Any = None
    max_step: Any = None
    min_step: Any = None
    max_steps: Any = None
    checkpoint: Any = None
    checkpoint_every: Any = None
    resume: Any = None
    breaks: Any = None
    outputs: Any = None
    solver: Any = None
    own_breaks: Any = None  # those that the function knows itself
    doses: Any = None
    nonnegative: Any = None
    until: Any = None
    steady_rtol: Any = None
    steady_atol: Any = None
    mass: Any = None  # the checksum of the matrix of M y' = f
    algebraic: Any = None  # M with what is asked of its null space
    project: Callable[[float, Array], Array] | None = None  # a state that algebraic equations allow
    pair: Pair | None = None  # the two methods of "auto", the first of which is the run's
    symmetric: bool = False  # whether the Jacobian is: along gradient flow
    rtol_v: Any = None  # of the velocity, in second order
    atol_v: Any = None


def check_span(t_span: Sequence[float], dt: Any = None) -> tuple[float, float]:
    """(t0, t_end); t_end may be infinite where dt is: one implicit step to the steady state. Raises TypeError or ValueError."""
    if type(t_span) is tuple and len(t_span) == 2:
        first, last = t_span
        if type(first) in PLAIN and type(last) in PLAIN and -LARGE < first < LARGE and -LARGE < last < LARGE:
            return float(first), float(last)
    try:
        first, last = t_span
    except (TypeError, ValueError):
        count = len(t_span) if isinstance(t_span, list | tuple) else getattr(t_span, "size", 0)
        fix = "; give (t[0], t[-1]), and the times as t_eval" if count > 2 else ""
        raise ValueError(f"t_span: expected two numbers (t0, t_end), got {shown(t_span)}{fix}") from None
    t0 = check_number(first, "t_span[0]")
    top = sys.float_info.max
    if isinstance(last, int | float) and not isinstance(last, bool) and abs(last) <= top and abs(last - t0) > top:
        raise ValueError(f"t_span: expected times whose distance is a finite number, got ({t0!r}, {shown(last)})")
    if isinstance(dt, float) and dt == math.inf and last == math.inf:
        return t0, math.inf
    expected = "a finite number (of a run until a steady state too: give one that is surely late enough; inf goes with dt = inf alone)"
    return t0, check_number(last, "t_span[1]", expected)


def default_method(dt: Any) -> str:
    """The method where none is given: under error control, or for fixed steps."""
    return "dopri5" if dt is None else "rk4"


def check_mode(method: Method, settings: Settings, estimated: str) -> str:
    """ "fixed", "auto" (fixed, of a step chosen from the stability limit), "given" (one by one) or "adaptive". Raises ValueError.

    estimated: methods with an error estimate, for messages.
    """
    dt = settings.dt
    controlled = not (settings.rtol is None and settings.atol is None and settings.rtol_v is None and settings.atol_v is None)
    if dt is not None and controlled:
        names = ", ".join(name for name in ("rtol", "atol", "rtol_v", "atol_v") if getattr(settings, name) is not None)
        raise ValueError(f"dt, {names}: dt gives fixed steps, and {names} error control: give one of them")
    if dt is None:
        if "staged" in method.flags and method.parameters["stages"] == 2:
            raise ValueError(f"stages: the error estimate of {method.name} needs 3 or more of them, or 0; give dt for fixed steps")
        if "embedded" in method.flags:
            return "adaptive"
        if controlled:
            raise ValueError(
                f"rtol, atol: {method.name} has no error estimate and takes fixed steps; give dt in their place, or a method with an "
                f"estimate, such as {estimated}"
            )
        raise ValueError(MISSING_DT.format(method.name))
    if type(dt) is float:
        return "fixed"
    if callable(dt) or isinstance(dt, list | tuple) or np.ndim(dt):
        return "given"
    if not isinstance(dt, str):
        return "fixed"
    if dt != "auto":
        raise ValueError(f'dt: expected a step above 0, steps one by one or "auto", got {dt!r}')
    if "linear" not in method.flags or method.is_implicit:
        raise ValueError(f'dt = "auto" follows the stability limit of an explicit method, and {method.name} has none: give dt or rtol')
    return "auto"


def check_step(method: Method, dt: Any, t0: float, t1: float) -> float:
    """A fixed dt with the sign of the span; NaN for "auto", which is chosen along the way. Raises TypeError or ValueError."""
    if type(dt) is float and 0.0 < dt < math.inf:
        step = dt
    elif isinstance(dt, str) and dt == "auto":
        return math.nan
    elif isinstance(dt, float) and dt == math.inf and t1 == math.inf:
        if not method.is_one_equation:
            only = "an implicit method of one stage alone goes to the steady state in one step"
            raise ValueError(f"dt: expected a finite step, got inf; {only}, and {method.name} is none")
        return dt
    elif isinstance(dt, float) and dt == math.inf and method.is_one_equation:
        end = f"got inf and t_end = {t1:g}"
        raise ValueError(f"dt: expected a finite step, or inf with t_end = inf for one step to the state of rest, {end}")
    else:
        step = check_number(dt, "dt", ABOVE_0, low=0.0, open_low=True)
    signed = math.copysign(step, t1 - t0)
    if t1 != t0 and t0 + signed == t0:
        raise ValueError(f"dt: expected a step that moves t = {t0:g}, got {dt!r}, which is lost in rounding: t + dt == t")
    if not abs(t1 - t0) / step <= 2.0**53:
        check_count(t0, t1, signed)
    return signed


def kept_every(save: str, save_every: Any, at_times: bool) -> int:
    """k: every k-th state is kept; 0: the last one alone, and those of t_eval. Raises TypeError or ValueError."""
    check_choice(save, "save", ("all", "last"))
    if (save == "last") + (save_every is not None) + at_times > 1:
        raise ValueError("save, save_every, t_eval: they are three ways to say what to keep: give one of them")
    if save_every is None:
        return 0 if save == "last" or at_times else 1
    return whole_or(save_every, "save_every", 1)


def whole_or(value: Any, argument: str, default: int) -> int:
    """A number of steps of at least 1; the default where it is None. Raises TypeError or ValueError."""
    return default if value is None else min(check_whole(value, argument, 1), MANY)


# ---- steps one by one -------------------------------------------------------------------------------------------------------------


class GivenSteps:
    """Fixed steps of the user's own sizes: a sequence, or a function of the step's number, the time and the state.

    Their ends are a compensated sum: t and `lost`, what t alone cannot hold of it. The step that would pass t_end ends there; one that
    ends short of it by rounding alone does, too.
    """

    def __init__(self, dt: Any, t0: float, t1: float) -> None:
        self.t0, self.t1, self.sign, self.lost = t0, t1, math.copysign(1.0, t1 - t0), 0.0
        if math.isinf(t1):
            raise ValueError("dt: expected inf with t_end = inf, got steps one by one; give a finite t_end")
        self.function = dt if callable(dt) else None
        self.asked: tuple[int, float, float, float] | None = None  # (k, h, end, lost) of the last call of the function
        self.sizes, self.ends = (np.zeros(0), np.zeros(0)) if callable(dt) else self._of(check_vector(dt, "dt"))

    def _of(self, dt: Array) -> tuple[Array, Array]:
        """(sizes, ends) of a sequence, up to t_end. Raises ValueError where it ends before."""
        t, sizes, ends = self.t0, np.empty(dt.size), np.empty(dt.size)
        for k, step in enumerate(dt.tolist()):
            if t == self.t1:
                return sizes[:k].copy(), ends[:k].copy()
            sizes[k], ends[k], self.lost = self._end(f"dt[{k}]", step, t)
            t = float(ends[k])
        if t != self.t1:
            raise ValueError(f"dt: expected steps that reach t_end = {self.t1!r}, got {dt.size} that end at {t!r}; give more of them")
        return sizes, ends

    def _end(self, name: str, step: Any, t: float) -> tuple[float, float, float]:
        """(h, t, lost) of a step from t: Knuth's two-sum, and what was lost before. Raises TypeError or ValueError."""
        h = self.sign * check_number(step, name, ABOVE_0, low=0.0, open_low=True)
        total = t + h
        part = total - t
        rest = ((t - (total - part)) + (h - part)) + self.lost
        end = total + rest
        lost = rest - (end - total)
        if self.sign * (self.t1 - end) <= ROUNDING * abs(self.t1 - self.t0):
            return (h if end == self.t1 else self.t1 - t), self.t1, 0.0
        if end == t:
            raise ValueError(f"{name}: expected a step that moves t = {t:g}, got {step!r}, which is lost in rounding: t + dt == t")
        return h, end, lost

    def ahead(self, k: int, t: float, count: int, state: tuple[Array, ...]) -> tuple[Array, Array]:
        """(sizes, ends) of up to `count` steps from step k on, where the run stands."""
        if self.function is None:
            return self.sizes[k : k + count], self.ends[k : k + count]
        if self.asked is None or self.asked[0] != k:  # once a step, whatever had its turn between
            name = f"dt(q, t, {', '.join('xv' if len(state) > 1 else 'y')}) at q = {k}, t = {t:g}"
            function = self.function
            self.asked = k, *ask("dt", lambda: self._end(name, function(k, t, *state), t))
        return np.array([self.asked[1]]), np.array([self.asked[2]])

    def took(self, k: int) -> None:
        """Step number k - 1 was taken."""
        if self.asked is not None and self.asked[0] == k - 1:
            self.lost = self.asked[3]

    @property
    def facts(self) -> Any:
        """What must be the same in the call that resumes."""
        return "a function" if self.function is not None else [self.sizes.size, zlib.crc32(self.sizes.tobytes())]

    def misfit(self, k: int, t: float, grid: tuple[float, int, float], lost: float) -> str:
        """Why a saved run cannot have come to this place by these steps; "" where it can."""
        if k and (grid[1] != k - 1 or not grid[0] * self.sign > 0.0):
            return f"grid: expected the last step before step {k}, got {grid}"
        if self.function is None:
            last = (self.sizes[k - 1], self.ends[k - 1]) if 0 < k <= self.sizes.size else (grid[0], self.t0)
            return "" if k <= self.sizes.size and (grid[0], t) == last else f"t: expected {last[1]!r} after {k} steps, got {t!r}"
        return "" if t + lost == t and (k or lost == 0.0) else f"lost: expected what rounds away beside t = {t!r}, got {lost!r}"


# ---- tolerances -----------------------------------------------------------------------------------------------------------------


def check_tolerances(rtol: Any, atol: Any, shape: tuple[int, ...], of: str = "", before: str = "") -> tuple[Array, Array]:
    """(rtol, atol), each a float64 array of one number for all components, or of one for each.

    Parameters
    ----------
    rtol, atol : float or array_like
        A number, or one for each component: of the state's shape, or flat. The local error of component i is held to
        atol_i + rtol_i |y_i|. An infinite atol_i leaves its component out.
    shape : the state's.
    of : "_v" for those of a velocity, which may be left out as a whole; the names in messages end so. before : what they begin with.

    Raises
    ------
    TypeError
        Something else than real numbers.
    ValueError
        rtol below 100 eps = 2.22e-14 (SciPy would raise it with a warning), atol below 0, NaN, a shape that does not fit, or nothing
        left that is controlled.
    """
    if type(rtol) is float and type(atol) is float and LEAST_RTOL <= rtol < math.inf and 0.0 <= atol < math.inf:
        return _pair(rtol, max(atol, LEAST_ATOL))
    relative, absolute = _tolerance(rtol, before + "rtol" + of, shape), _tolerance(atol, before + "atol" + of, shape)
    bad = np.flatnonzero(~(relative >= LEAST_RTOL) | ~np.isfinite(relative))
    if bad.size:
        raise ValueError(
            _entry(before + "rtol" + of, relative, bad[0], f"a finite number of at least 100 eps = {LEAST_RTOL:.3g}")
            + "; below it rounding decides the measured error: ask for more digits in atol, or take rtol=1e-13"
        )
    bad = np.flatnonzero(~(absolute >= 0.0))
    if bad.size:
        text = _entry(before + "atol" + of, absolute, bad[0], "a number of at least 0")
        raise ValueError(f"{text}; with 0 the error is measured against |y| alone")
    if not of and absolute.size and np.all(np.isinf(absolute)):
        fix = "give dt=... for fixed steps"
        raise ValueError(f"{before}atol: expected a finite number for a component at least, got infinities alone; {fix}")
    return relative, np.maximum(absolute, LEAST_ATOL)


def resolved(absolute: Array, start: Array, rounding: Callable[[], Array] | None = None) -> Array:
    """atol of a run from this start: what begins at 0 has no size, and is nothing but error after the first step, however short. No
    tolerance is below what rounding leaves open of an algebraic component.

    rounding : what is lost to rounding in each component, of algebraic equations; it is asked where atol is 0 or next to that.
    """
    if rounding is None and absolute.size == 1 and absolute[0] > LEAST_ATOL:
        return absolute
    unset, flat, size = absolute <= LEAST_ATOL, start.ravel(), largest(start) or 1.0
    lost = rounding() if rounding is not None and np.any(absolute < ROUNDED * size) else np.zeros(1)
    if np.all(lost <= absolute) and (not np.any(unset) or np.all(flat)):
        return absolute
    least = np.where(flat == 0.0, LEAST_SHARE * size, LEAST_ATOL)
    return np.where(unset, np.maximum(np.maximum(least, lost), LEAST_ATOL), np.maximum(absolute, lost))


def tolerances_of_run(
    name: str, rtol: Any, atol: Any, start: Array, rounding: Callable[[], Array] | None = None, speed: Array | None = None
) -> tuple[Array, Array]:
    """(rtol, atol) of a run from this start, of one size: 1, or a number for each component; None: the defaults. A start far below the
    default atol is warned of. rounding: as in `resolved`. speed: the other half of a start of second order."""
    if type(rtol) is float and type(atol) is float and LEAST_RTOL <= rtol < math.inf and LEAST_ATOL < atol < math.inf and rounding is None:
        return _pair(rtol, atol)
    relative, absolute = check_tolerances(RTOL if rtol is None else rtol, ATOL if atol is None else atol, start.shape)
    if atol is None:
        warn_of_small(name, start, start if speed is None else speed)
    absolute = resolved(absolute, start, rounding)
    if relative.size == absolute.size:
        return relative, absolute
    shape = (max(relative.size, absolute.size),)
    return np.ascontiguousarray(np.broadcast_to(relative, shape)), np.ascontiguousarray(np.broadcast_to(absolute, shape))


def sizes_of(y: Array, tolerances: tuple[Any, Any] | None) -> Array:
    """What is small for each component of a start: (rtol, atol) as they were given, or, in fixed steps, 1e-10 of its size."""
    flat = y.ravel()
    if tolerances is None:
        top = float(np.max(np.abs(flat), initial=0.0)) or 1.0
        return np.asarray(1e-10 * np.maximum(np.abs(flat), 1e-3 * top))
    rtol, atol = tolerances
    relative, absolute = check_tolerances(RTOL if rtol is None else rtol, ATOL if atol is None else atol, y.shape)
    return np.asarray(np.where(np.isfinite(absolute), resolved(absolute, y), ATOL) + relative * np.abs(flat))


@functools.lru_cache(maxsize=64)
def _pair(rtol: float, atol: float) -> tuple[Array, Array]:
    """Two numbers as arrays, which calls share."""
    both = np.array([rtol]), np.array([atol])
    for one in both:
        one.flags.writeable = False
    return both


def _tolerance(value: Any, argument: str, shape: tuple[int, ...]) -> Array:
    array = as_array(value, argument)
    if array.dtype.kind not in "iuf":
        raise TypeError(f"{argument}: expected a real number, or one for each component, got {shown(value)}")
    if array.ndim and array.shape != shape and array.shape != (math.prod(shape),):
        raise ValueError(f"{argument}: expected one number, or one for each component of a state of shape {shape}, got shape {array.shape}")
    if not array.size:  # of a state that has no components
        return np.ones(1)
    return np.array(array, dtype=np.float64, order="C").reshape(-1)


def warn_of_small(name: str, *starts: Array) -> None:
    """Warns of a start so far below the default atol that no digit of it is controlled; 0 is the start of many a problem."""
    size = max(map(largest, starts))
    if 0.0 < size < SMALL * ATOL:
        text = f"{name}: atol: the start is at most {size:.3g}, and errors of the default {ATOL:g} are allowed: give atol="
        tell(text)


def _entry(argument: str, array: Array, k: Any, expected: str) -> str:
    """Words for one entry that does not fit."""
    return f"{argument}{f'[{k}]' if array.size > 1 else ''}: expected {expected}, got {float(array[k])!r}"


# ---- bounds on the step -----------------------------------------------------------------------------------------------------------


def check_first_step(first_step: Any, t0: float, t1: float) -> float | None:
    """A first step above 0 and within the span; None: chosen from the slopes. Raises TypeError or ValueError."""
    if first_step is None:
        return None
    step = check_number(first_step, "first_step", ABOVE_0, low=0.0, open_low=True)
    if step > abs(t1 - t0) > 0:
        raise ValueError(f"first_step: expected a step inside t_span = ({t0!r}, {t1!r}), got {first_step!r}")
    return step


def check_max_step(max_step: Any, t0: float = 0.0, t1: float = 0.0) -> float | Callable[[float, Array], float]:
    """A number above 0 (inf: no bound), or a function of (t, y) whose values are checked each time. Raises TypeError or ValueError.

    t0, t1 : of the run, which 2^53 steps must be able to cross; one that does not move t0 ends it at once, in words.
    """
    if max_step is None:
        return math.inf
    if not callable(max_step):
        bounded = _bound(max_step, "max_step")
        least = abs(t1 - t0) * 2.0**-53
        if bounded < least < math.inf and t0 + bounded != t0:
            raise ValueError(f"max_step: expected at least {least:.3g}, a 2^53rd of the run, got {max_step!r}")
        return bounded

    def bound(t: float, y: Array) -> float:
        return float(ask("max_step", lambda: _bound(max_step(t, y), f"max_step(t, y) at t = {t:g}")))

    return bound


def _bound(value: Any, argument: str) -> float:
    number = as_number(value, argument, "a step above 0, inf for no bound, or a function of (t, y)")
    if not number > 0.0:
        raise ValueError(f"{argument}: expected a step above 0, or inf for no bound, got {number!r}")
    return number


def check_min_step(min_step: Any, max_step: float | Callable[[float, Array], float] = math.inf) -> float:
    """A step of at least 0, not above max_step where that is a number. Raises TypeError or ValueError."""
    if min_step is None:
        return 0.0
    step = check_number(min_step, "min_step", low=0.0)
    if not callable(max_step) and step > max_step:
        raise ValueError(f"min_step: expected a step of at most max_step = {max_step!r}, got {min_step!r}")
    return step


# ---- events -------------------------------------------------------------------------------------------------------------------------


@knows_other_words
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
    action : callable, optional
        The state behind the root: see ``events`` of `mflow.solve_ivp`.

    See Also
    --------
    mflow.solve_ivp, mflow.solve_dynamics, mflow.Stepper

    Examples
    --------
    >>> import mflow
    >>> mflow.Event(lambda t, y: y[0] - 1.0, terminal=True).direction
    0.0
    >>> bounce = mflow.Event(lambda t, y: y[0], direction=-1, action=lambda t, y: [y[0], -0.5 * y[1]])
    >>> r = mflow.solve_ivp(lambda t, y: [y[1], -2.0], (0, 1.5), [1.0, 0.0], events=bounce)
    >>> bool(abs(r.t_events[0][0] - 1.0) < 1e-12), r.y_after[0].round(9).tolist()
    (True, [[0.0, 1.0]])

    References
    ----------
    L. F. Shampine, I. Gladwell and R. W. Brankin, ACM TOMS 17 (1991) 11-25.
    """

    fun: Any
    terminal: bool | int = False
    direction: float = 0.0
    samples: int = SAMPLES
    action: Any = None


def check_events(events: Any) -> list[tuple[Any, int, int, int, Any]]:
    """(function, stop after, direction, samples, action) of each event: what `mflow_core.events.events.Events` is made of.

    Parameters
    ----------
    events : None, a callable, an `Event`, or a sequence of these
        Settings are read from the attributes ``terminal``, ``direction``, ``samples`` and ``action`` of the function, the first two as
        SciPy has them.

    Raises
    ------
    TypeError, ValueError
        An event is no callable, or a setting does not fit; the message names it.
    """
    events = listed_events(events)
    return [_event(event, f"events[{j}]" if len(events) > 1 else "events") for j, event in enumerate(events)]


def listed_events(events: Any) -> list[Any]:
    """What a driver's ``events`` holds: none, the one, or those of a sequence."""
    if events is None:
        return []
    if isinstance(events, Event) or callable(events) or not isinstance(events, Sequence) or _is_low_level(events):
        return [events]
    return list(events)


def _is_low_level(value: Any) -> bool:
    """SciPy's LowLevelCallable is a tuple."""
    return type(value).__name__ == "LowLevelCallable"


def refuse_of_runs(parameters: Any, driver: str, names: frozenset[str] = OF_RUNS) -> None:
    """TypeError for an argument that belongs to a whole run, with the function that makes one."""
    for name in parameters:
        if name in names:
            raise TypeError(f"{name}: a stepper does not take it, its owner goes step by step; mflow.{driver} has it")


def _is_function(value: Any) -> bool:
    """Whether it is a function, of Python or compiled."""
    return callable(value) or _is_low_level(value) or type(value).__name__ == "PyCapsule"


def _event(event: Any, argument: str) -> tuple[Any, int, int, int, Any]:
    fun = event.fun if isinstance(event, Event) else event
    if not _is_function(fun):
        expected = "a callable event(t, y), or of second order event(t, x, v), a compiled function or an Event"
        raise TypeError(f"{argument}: expected {expected}, got {type(fun).__name__}")
    terminal = getattr(event, "terminal", False)
    if terminal is None or isinstance(terminal, bool | np.bool_):
        stop_after = int(bool(terminal))
    else:
        stop_after = check_whole(terminal, f"{argument}.terminal", 0, MOST_TIMES, "True, False, or a number of times of at least 0")
    samples = check_whole(getattr(event, "samples", SAMPLES), f"{argument}.samples", 1, MOST_TIMES)
    direction = getattr(event, "direction", 0.0)
    try:
        sign = float(direction)
    except (TypeError, ValueError):
        raise TypeError(f"{argument}.direction: expected a number, whose sign counts, got {direction!r}") from None
    if math.isnan(sign):
        raise ValueError(f"{argument}.direction: expected a number, whose sign counts, got {direction!r}")
    action = getattr(event, "action", None)
    if action is not None and not _is_function(action):
        expected = "a function action(t, y) -> new y, or of second order action(t, x, v) -> (x, v)"
        raise TypeError(f"{argument}.action: expected {expected}, got {type(action).__name__}")
    return fun, stop_after, (sign > 0) - (sign < 0), samples, action


def rest_of(s: Settings, run: Any, t1: float, shape: tuple[int, ...], tolerances: tuple[Array, ...]) -> Rest | None:
    """The test whether a run to t1 has come to rest, where it is asked for. tolerances : of a run under error control, else none."""
    from mflow.course.steady import Rest, check_until  # few runs need it

    if s.until is None:
        raise ValueError('steady_rtol, steady_atol: they belong to until="steady"; give it as well, or omit them')
    if s.mass is not None:
        raise ValueError('until: expected none with mass=, for "steady" looks at the eigenvalues of J alone; omit it')
    if not check_until(s.until, math.prod(shape)):
        return None
    plain = [float(one[0]) if one.size == 1 else one for one in tolerances[:2] or (np.array([RTOL]), np.array([ATOL]))]
    rtol, atol = plain[0] if s.steady_rtol is None else s.steady_rtol, plain[1] if s.steady_atol is None else s.steady_atol
    fed = bool(tolerances) and s.max_step is None
    return Rest(run, t1, *check_tolerances(rtol, atol, shape, before="steady_"), fed)
