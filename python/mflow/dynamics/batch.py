"""`solve_dynamics_batch`: many motions, each with its own matrices, loads, steps and events; or a compiled force for blocks of them."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from concurrent import futures
from concurrent.futures import ThreadPoolExecutor  # with this module: a fork never meets a thread that is importing it
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Unpack, overload

import numpy as np
from mflow_core.lanes import motion_lanes as core
from mflow_core.lanes.lanes import WAITING
from mflow_core.problems.signatures import compiled_address
from mflow_core.stepping import probe, stepper
from numpy.typing import NDArray

from mflow.base.checks import Array, as_array, check_flags, check_start, check_times, check_whole, length_of, real_array, shown
from mflow.base.executors import Lost, check_executor, in_pieces, portable
from mflow.base.methods import Method, as_method, refuse_unknown
from mflow.base.progress import Progress
from mflow.base.result import DynamicsResult, Result, attach
from mflow.base.telling import Told, counted, heard, tell, tell_of_errors, tell_of_members
from mflow.base.threads import processors
from mflow.dynamics.forces import no_motion
from mflow.dynamics.limits import gains_energy
from mflow.dynamics.solve import ARGUMENTS as ONE
from mflow.dynamics.solve import OWN, of_second_order, solve_dynamics
from mflow.integrate.control import check_span, check_step
from mflow.structures.supports import check_speed

if TYPE_CHECKING:
    from mflow.base._records import MotionBatchOptions

__all__ = ["DynamicsBatchResult", "solve_dynamics_batch"]

NAMED = 5  # motions that a message names
POLL = 0.02  # seconds between looks at the threads
COUNTS = ("nfev", "nsteps", "nrejected")
EVENTS = ("t_events", "x_events", "v_events")
EXTRAS = (*EVENTS, "x_after", "v_after", "outputs", "switches", "multipliers")  # of a motion, where asked for; and its energy
MATRICES = ("mass", "damping", "stiffness")
DONE = "in mflow.solve_dynamics_batch; .partial_result holds the motions that were done"
ENDINGS = {stepper.NON_FINITE: ("non_finite", "the next state is not finite"), WAITING: ("interrupted", "it was stopped")}
KEPT = {"save", "save_every", "dense_output", "checkpoint", "checkpoint_every", "resume", "progress", "t_eval", "callback"}


class DynamicsBatchResult(Result):
    """Result of `mflow.solve_dynamics_batch`, of m motions. ``result[k]`` is motion k as a DynamicsResult, without accelerations.

    t : float64 array (n_points,), the times of ``t_eval``; without it (m,), where each motion ended.
    x, v : float64 arrays (m, *shape, n_points), NaN from where a motion ended early; without ``t_eval`` (m, *shape), the last good states.
    reached : int array (m,): how many of the times each motion has (1 without ``t_eval``).
    success : whether every motion reached its end or was stopped by an event. status : int array (m,), as in `DynamicsResult`.
    reason : list of str, one for each motion. message : what happened, in words. messages : dict, of each that did not simply finish.
    doubts : dict, what speaks against a motion, in a tuple, where there is something; see `DynamicsResult`.
    errors : dict, the exception of each motion whose functions raised one.
    nfev, nsteps, nrejected : int arrays (m,).
    t_events, x_events, v_events : lists, an entry for each motion; None where not asked for. x_after, v_after, outputs,
    switches, multipliers, and energy with ``energy=True`` : the same, where there are some.

    See Also
    --------
    mflow.solve_dynamics_batch, mflow.DynamicsResult

    Examples
    --------
    >>> import mflow
    >>> r = mflow.solve_dynamics_batch(mass=1.0, stiffness=4.0, t_span=(0, 1), x0=[[1.0], [2.0]], method="newmark", dt=0.1)
    >>> r.x.shape, r.reason
    ((2, 1), ['finished', 'finished'])
    """

    t: Array
    x: Array
    v: Array
    reached: NDArray[np.int64]
    at_times: bool
    success: bool
    status: NDArray[np.int64]
    reason: list[str]
    message: str
    messages: dict[int, str]
    doubts: dict[int, tuple[str, ...]]
    errors: dict[int, BaseException]
    nfev: NDArray[np.int64]
    nsteps: NDArray[np.int64]
    nrejected: NDArray[np.int64]
    t_events: list[Any] | None
    x_events: list[Any] | None
    v_events: list[Any] | None
    x_after: list[Any]
    v_after: list[Any]
    outputs: Any
    switches: list[Any]
    multipliers: Any
    energy: Any

    @overload
    def __getitem__(self, key: int) -> DynamicsResult: ...
    @overload
    def __getitem__(self, key: str) -> Any: ...
    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, (int, np.integer)) and not isinstance(key, bool):
            return self._motion(int(key))
        return super().__getitem__(key)

    def _motion(self, k: int) -> DynamicsResult:
        count = len(self.reason)
        if not -count <= k < count:
            raise IndexError(f"result[{k}]: the batch has {count} motions, counted from 0")
        k %= count
        if self.at_times:
            points = int(self.reached[k])
            t, x, v = self.t[:points], self.x[k][..., :points], self.v[k][..., :points]
        else:
            t, x, v = self.t[k : k + 1], self.x[k][..., None], self.v[k][..., None]
        extras = {"energy": None} | {name: self[name] and self[name][k] for name in (*EXTRAS, "energy") if name in self}
        counts = {name: int(self[name][k]) for name in COUNTS}
        status, reason = int(self.status[k]), self.reason[k]
        message = self.messages.get(k, f"reached the end in {counted(counts['nsteps'], 'step')}")
        return DynamicsResult(
            t=t, x=x, v=v, **extras, **counts, status=status, reason=reason, message=message, doubts=self.doubts.get(k, ()),
            success=status >= 0,
        )  # fmt: skip


def solve_dynamics_batch(
    mass: Any = None,
    damping: Any = None,
    stiffness: Any = None,
    load: Any = None,
    t_span: Sequence[float] | None = None,
    x0: Any = None,
    v0: Any = None,
    method: str | Method = "newmark",
    t_eval: Any = None,
    *,
    each: dict[str, Sequence[Any]] | None = None,
    dt: float | None = None,
    force: Any = None,
    batch: bool = False,
    batch_args: Any = None,
    velocity_free: bool = False,
    threads: int | None = None,
    progress: bool = False,
    executor: futures.Executor | None = None,
    **options: Unpack[MotionBatchOptions],
) -> DynamicsBatchResult:
    """Integrate Newton's second law from many starts, each motion with its own matrices, loads, steps and events.

    Parameters
    ----------
    mass, damping, stiffness, load, t_span, method, dt, force, velocity_free
        As in `mflow.solve_dynamics`, common to all motions.
    x0, v0 : array_like of real numbers (m, *shape)
        The starts; one of shape (n,) serves all where ``each`` or ``batch_args`` says how many there are.
    t_eval : array_like (n_points,), optional
        Times to save at, common to all motions. Without it the last state of each is kept.
    each : dict, optional
        What each motion has of its own: ``{argument: m entries}``, as ``each={"stiffness": [K1, K2], "dt": [1e-2, 1e-3]}``, with any
        argument of `mflow.solve_dynamics`. An entry stands in place of the common one.
    batch : bool
        Whether force is a compiled function for blocks of motions, called without the GIL, or there is none (None):
        ``int (const double *t, const double *x, const double *v, double *f, ptrdiff_t n, ptrdiff_t lanes, void *ctx)``; component i of
        motion l is ``x[i*lanes + l]``, `lanes` a multiple of 8. This is the fast way: the inner loop over l vectorises. Steps are fixed,
        on a common span; mass, damping and stiffness are diagonals, numbers of shape (n,) or (m, n); loads are part of the force. Methods
        that would need Newton's iteration for the force are refused: explicit ones take any, staggered and central_difference one with
        ``velocity_free=True`` beside damping, and all of them matrices alone.
    batch_args : array_like (m, p), optional
        With ``batch=True`` numbers of each motion: parameter j of motion l is ``x[(n + j)*lanes + l]``.
    threads : int, optional
        Threads for ``batch=True``. Default: the processors that this process may use. Results do not depend on it.
    progress : bool
        A progress bar on stderr, where tqdm is installed; blocks (``batch=True``) show none.
    executor : concurrent.futures.Executor, optional
        Where pieces of a batch with ``batch=False`` are run; what they need is pickled. The motions of a piece that is lost end with
        ``reason="executor_failed"``.
    **options
        What else `mflow.solve_dynamics` takes (``events``, ``rtol``, ``rayleigh``, ``fixed``, ...), and the method's parameters.

    Returns
    -------
    DynamicsBatchResult
        An exception that a function raises ends its motion, with ``reason="rhs_failed"`` and the exception in ``errors``; others go on.
        One that an event raises does so with ``reason="event_failed"``.

    Raises
    ------
    TypeError, ValueError
        An argument does not fit; the message names it. KeyboardInterrupt comes through, with ``partial_result``.

    See Also
    --------
    solve_dynamics, solve_ivp_batch

    Notes
    -----
    The equations, and their sources, are those of the method that is named, as in `mflow.solve_dynamics`.

    Examples
    --------
    >>> import mflow
    >>> r = mflow.solve_dynamics_batch(1.0, t_span=(0, 1), x0=[[1.0], [1.0]], dt=0.01, each={"stiffness": [1.0, 4.0]})
    >>> r.success, r.x[:, 0].round(4).tolist()
    (True, [0.5403, -0.4161])
    """
    refuse_unknown("solve_dynamics_batch", options, method, ARGUMENTS, OWN)
    check_flags(batch=batch, progress=progress, velocity_free=velocity_free)
    check_executor(executor)
    if t_span is None and not (each and "t_span" in each):
        raise TypeError("t_span is missing: expected (t0, t_end)")
    own = _own(each, batch)
    _refuse_one_matrix(own, x0, v0)
    starts, speeds = _starts(x0, v0, own, batch_args)
    refused = KEPT & (set(options) | set(own))
    if refused:
        fix = "t_eval says what to keep"
        if min(refused) == "callback":
            fix = "t_eval says what to keep; a spring that keeps its state by a callback takes a loop over solve_dynamics, or friction="
        raise TypeError(f"{min(refused)}: a batch does not take it; {fix}")
    if batch:
        if executor is not None:
            raise ValueError("executor: blocks of motions (batch=True) run on threads of this process: omit executor, or batch")
        if options.keys() - set(as_method(method, {}).parameters):
            raise TypeError(f"{min(options)}: a force for blocks (batch=True) does not take it; omit it")
        chosen = as_method(method, options, fits=of_second_order)
        blocks = _Blocks(starts, speeds, (mass, damping, stiffness), load, t_span, chosen, dt, force)
        return blocks.solve(velocity_free, batch_args, t_eval, threads)
    if batch_args is not None:
        raise ValueError(
            "batch_args: it belongs to batch=True; each={'args': ...} gives the force= of each motion arguments of its own, and "
            "each={'load': [...]} each motion a load"
        )
    common = {"mass": mass, "damping": damping, "stiffness": stiffness, "load": load, "t_span": t_span, "method": method, "dt": dt}
    common |= {"force": force, "velocity_free": velocity_free, **options}
    task = _Task(starts, speeds, common, own, None if t_eval is None else real_array(t_eval, "t_eval"))
    told: dict[Told, list[int]] = {}
    note = f"{{:.0f}} of {len(starts)} motions".format
    try:
        with Progress(0.0, float(len(starts)), "solve_dynamics_batch", note=note, shown=progress) as bar:
            out = _one_by_one(task, bar, told) if executor is None else _on_executor(executor, task, bar, told)
    finally:  # after Ctrl-C, too, for the motions that are done
        tell_of_members(told, "motion")
    tell_of_errors(out.errors, "motion", out.nsteps)
    return out


ARGUMENTS = (*(name for name in inspect.signature(solve_dynamics_batch).parameters if name != "options"), *ONE)


def _own(each: Any, batch: bool) -> dict[str, Sequence[Any]]:
    """What motions have of their own, all of one length."""
    if each is None:
        return {}
    if not isinstance(each, dict):
        raise TypeError(f"each: expected a dict {{argument: an entry for each motion}}, got {shown(each)}")
    if batch:
        raise ValueError("each: a force for blocks (batch=True) takes numbers of each motion as batch_args, and matrices of shape (m, n)")
    for name, entries in each.items():
        if name in ("x0", "v0"):
            raise ValueError(f"each[{name!r}]: give {name} itself, of shape (m, n)")
        if name not in ONE:
            raise TypeError(f"each[{name!r}]: solve_dynamics has no argument of this name; expected one of {', '.join(ONE)}")
        if not hasattr(entries, "__len__") or hasattr(entries, "toarray"):
            raise TypeError(f"each[{name!r}]: expected a sequence with an entry for each motion, got {type(entries).__name__}")
    lengths = {name: len(entries) for name, entries in each.items()}
    if len(set(lengths.values())) > 1:
        raise ValueError("each: expected as many entries for every argument, got " + ", ".join(f"{k}: {n}" for k, n in lengths.items()))
    return dict(each)


def _refuse_one_matrix(own: dict[str, Sequence[Any]], x0: Any, v0: Any) -> None:
    """ValueError where a single matrix stands in each, whose rows would be diagonals, and nothing else says how many motions there are."""
    if not own or x0 is None or as_array(x0, "x0").ndim != 1 or (v0 is not None and as_array(v0, "v0").ndim > 1):
        return
    n = len(x0)
    single = [name for name in own if name in MATRICES and isinstance(own[name], np.ndarray) and np.shape(own[name]) == (n, n)]
    if single and len(single) == len(own):
        raise ValueError(
            f"each[{single[0]!r}]: got one array of shape ({n}, {n}): give a list of matrices, [K1, K2, ...], one a motion; or diagonals "
            f"of shape (m, {n}) with x0 of shape (m, {n})"
        )


def _starts(x0: Any, v0: Any, own: dict[str, Sequence[Any]], batch_args: Any) -> tuple[Array, Array]:
    """x0 and v0 of shape (m, *shape)."""
    if x0 is None:
        raise TypeError("x0 is missing: expected starts of shape (m, n)")
    starts = check_start(x0, "x0")
    count = len(next(iter(own.values()))) if own else length_of(batch_args, "batch_args") if batch_args is not None else None
    if starts.ndim == 1 and count is not None:
        starts = np.repeat(starts[None], count, axis=0)
    if starts.ndim < 2:
        raise ValueError(f"x0: expected starts of shape (m, n), got shape {starts.shape}; one start for all needs each= or batch_args=")
    if count is not None and len(starts) != count:
        raise ValueError(f"each, batch_args: expected {len(starts)} entries, one for each motion of x0, got {count}")
    speed = None if v0 is None else as_array(v0, "v0")
    if speed is not None and speed.shape in ((), starts.shape[1:]):  # one for all
        speed = np.broadcast_to(speed, starts.shape)
    return starts, check_speed(speed, starts)


# ---- one by one ------------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Task:
    """Motions of `solve_dynamics`: what they have in common, and of their own."""

    starts: Array
    speeds: Array
    common: dict[str, Any]
    own: dict[str, Sequence[Any]]
    times: Array | None
    first: int = 0  # the number of the first of them in the whole batch

    def part(self, some: slice) -> _Task:
        """Some of the motions."""
        own: dict[str, Sequence[Any]] = {name: [entries[k] for k in range(some.start, some.stop)] for name, entries in self.own.items()}
        return replace(self, starts=self.starts[some], speeds=self.speeds[some], own=own, first=self.first + some.start)

    def lists(self) -> dict[str, list[Any]]:
        """What has an entry of any kind for each motion."""
        asked = ("energy",) if self.common.get("energy") or "energy" in self.own else ()
        return {name: [None] * len(self.starts) for name in (*EXTRAS, *asked)}


def _one_by_one(task: _Task, bar: Progress, told: dict[Told, list[int]]) -> DynamicsBatchResult:
    """told : gets what is to be warned of, with the numbers of the motions."""
    out, parts, times = _empty(task.starts, task.speeds, task.times), task.lists(), task.times
    try:
        for k in range(len(task.starts)):
            arguments = task.common | {name: entries[k] for name, entries in task.own.items()}
            keep = {"save": "last"} if times is None else {"t_eval": times}
            with heard() as words:
                try:
                    r = solve_dynamics(**arguments, x0=task.starts[k], v0=task.speeds[k], **keep)
                except Exception as error:
                    if not hasattr(error, "partial_result"):
                        raise  # an argument does not fit
                    out.errors[k], r = error, error.partial_result
                finally:
                    for one in words:
                        told.setdefault(one, []).append(task.first + k)
            _put(out, k, r, times is not None)
            for name, entries in parts.items():
                entries[k] = r.get(name)
            bar.update(float(k + 1))
    except BaseException as error:
        attach(error, lambda: _finished(out, parts), DONE)
        raise
    return _finished(out, parts)


def _piece(task: _Task, foreign: bool) -> tuple[DynamicsBatchResult, dict[Told, list[int]]]:
    """The work of a worker of an executor, and what is to be warned of. foreign: the results are pickled."""
    told: dict[Told, list[int]] = {}
    out = _one_by_one(task, Progress(0.0, 0.0, shown=False), told)
    if foreign:
        out.errors = {k: portable(error) for k, error in out.errors.items()}
    return out, told


def _on_executor(executor: futures.Executor, task: _Task, bar: Progress, told: dict[Told, list[int]]) -> DynamicsBatchResult:
    out, parts = _empty(task.starts, task.speeds, task.times), task.lists()
    work = functools.partial(_piece, foreign=not isinstance(executor, ThreadPoolExecutor))
    try:
        for part, answer in in_pieces(executor, work, task.part, len(task.starts), bar):
            if isinstance(answer, Lost):
                for k in range(part.start, part.stop):
                    out.reason[k], out.messages[k], out.errors[k] = "executor_failed", answer.message, answer.error
                continue
            piece, words = answer
            for one, members in words.items():
                told.setdefault(one, []).extend(members)
            for name in ("x", "v", "reached", "status", *COUNTS, *(("t",) if task.times is None else ())):
                out[name][part] = piece[name]
            out.reason[part] = piece.reason
            out.messages |= {part.start + k: text for k, text in piece.messages.items()}
            out.doubts |= {part.start + k: doubts for k, doubts in piece.doubts.items()}
            out.errors |= {part.start + k: error for k, error in piece.errors.items()}
            for name, entries in parts.items():
                entries[part] = piece.get(name) or [None] * (part.stop - part.start)
    except BaseException as error:
        attach(error, lambda: _finished(out, parts), DONE)
        raise
    return _finished(out, parts)


def _empty(starts: Array, speeds: Array, times: Array | None) -> DynamicsBatchResult:
    count, shape = len(starts), starts.shape[1:]
    x, v = (starts.copy(), speeds.copy()) if times is None else np.full((2, count, *shape, times.size), np.nan)
    return DynamicsBatchResult(
        t=np.full(count, np.nan) if times is None else times, x=x, v=v, reached=np.full(count, times is None, dtype=np.int64),
        at_times=times is not None, success=False, status=np.full(count, -1, dtype=np.int64), reason=["interrupted"] * count,
        message="", messages={}, doubts={}, errors={},
        **{name: np.zeros(count, dtype=np.int64) for name in COUNTS},
    )  # fmt: skip


def _put(out: DynamicsBatchResult, k: int, r: Any, at_times: bool) -> None:
    if at_times:
        out.reached[k] = r.t.size
        out.x[k, ..., : r.t.size], out.v[k, ..., : r.t.size] = r.x, r.v
    else:
        out.t[k], out.x[k], out.v[k] = r.t[-1], r.x[..., -1], r.v[..., -1]
    out.status[k], out.reason[k] = r.status, r.reason
    if r.reason != "finished" or r.doubts:
        out.messages[k] = r.message
    if r.doubts:
        out.doubts[k] = r.doubts
    for name in COUNTS:
        out[name][k] = r[name]


def _finished(out: DynamicsBatchResult, parts: dict[str, list[Any]]) -> DynamicsBatchResult:
    for name, entries in parts.items():
        if any(entry is not None for entry in entries):
            out[name] = entries
        elif name in EVENTS:
            out[name] = None
    return _told(out)


def _told(out: DynamicsBatchResult) -> DynamicsBatchResult:
    """With the batch in words: how many motions finished, and which did not, by reason."""
    count = len(out.reason)
    reasons: dict[str, list[int]] = {}
    for k, reason in enumerate(out.reason):
        reasons.setdefault(reason, []).append(k)
    words = [f"{len(reasons.pop('finished', []))} of {count} motions finished"]
    for reason, members in reasons.items():
        named = ", ".join(map(str, members[:NAMED])) + (", ..." if len(members) > NAMED else "")
        first = out.messages.get(members[0], "not begun")
        words.append(f"{len(members)} {reason} (motion{'s' if len(members) > 1 else ''} {named}: {first})")
    out.message, out.success = "; ".join(words), bool(np.all(out.status >= 0))
    return out


# ---- blocks ----------------------------------------------------------------------------------------------------------------------------


class _Blocks:
    """Motions of a compiled force for blocks, in fixed steps on a common span."""

    def __init__(
        self, starts: Array, speeds: Array, matrices: tuple[Any, Any, Any], load: Any, t_span: Any, method: Method, dt: Any, force: Any
    ) -> None:
        if starts.ndim != 2:
            raise ValueError(f"x0: expected an array of shape (m, n) with batch=True, got shape {starts.shape}")
        if load is not None:
            raise ValueError("load: a force for blocks (batch=True) holds the load itself: omit load")
        if "second_order" not in method.flags:
            raise ValueError(no_motion(method))
        if dt is None:
            raise ValueError("dt: expected the size of the steps, which are fixed with batch=True, got None")
        self.starts, self.speeds, self.method = starts, speeds, method
        self.t0, self.t1 = check_span(t_span, dt)
        self.step = check_step(method, dt, self.t0, self.t1)
        if words := gains_energy(method):
            tell(f"solve_dynamics_batch: {words}")
        self.address = None
        if force is not None:
            self.address = compiled_address(force, "force", core.FORCE_LANES_SIGNATURE)
            if self.address is None:
                raise TypeError(
                    "force: expected with batch=True a compiled function (LowLevelCallable, numba cfunc, ctypes function or PyCapsule) "
                    f"with the signature {core.FORCE_LANES_SIGNATURE!r}, got {type(force).__name__}"
                )
        self.force = force
        self.diagonals = [self._diagonal(value, name) for value, name in zip(matrices, MATRICES, strict=True)]
        if self.diagonals[0] is not None and not np.all(self.diagonals[0] > 0.0):
            raise ValueError(f"mass: expected masses above 0, got {self.diagonals[0].min():g}")

    def _diagonal(self, value: Any, name: str) -> Array | None:
        """(m, n) numbers."""
        if value is None:
            return None
        count, n = self.starts.shape
        given = check_start(value, name)
        if given.shape not in ((), (n,), (count, n)):
            raise ValueError(f"{name}: expected a number, {n} numbers or an array of shape ({count}, {n}), got shape {given.shape}")
        return np.ascontiguousarray(np.broadcast_to(given, (count, n)))

    def solve(self, velocity_free: bool, batch_args: Any, t_eval: Any, threads: Any) -> DynamicsBatchResult:
        """All blocks, on threads."""
        method = self.method
        of_x, of_v = probe.implicit_shares(method.record, method.numbers)
        if self.force is not None and (of_x or (of_v and not velocity_free)):
            raise ValueError(
                f"method: {method.name} is implicit in the force, which blocks of motions do not iterate for: use an explicit method, "
                "staggered or central_difference with velocity_free=True, or batch=False"
            )
        extra = None if batch_args is None else np.ascontiguousarray(check_start(batch_args, "batch_args").reshape(len(self.starts), -1))
        times = None if t_eval is None else check_times(t_eval, self.t0, self.t1)
        steps = max(int(np.ceil((self.t1 - self.t0) / self.step * (1.0 - 1e-12))), 0) if self.t1 != self.t0 else 0
        lanes = core.MotionLanes(
            method.record, self.address, np.ascontiguousarray(self.starts), np.ascontiguousarray(self.speeds), self.t0, self.t1, self.step,
            steps, parameters=method.numbers, mass=self.diagonals[0], damping=self.diagonals[1], stiffness=self.diagonals[2], args=extra,
            t_eval=times, velocity_free=velocity_free or self.force is None,
        )  # fmt: skip
        try:
            _work(lanes, processors() if threads is None else check_whole(threads, "threads", 1))
        except BaseException as error:
            lanes.stop()
            attach(error, lambda: self._result(lanes, times), "in mflow.solve_dynamics_batch; .partial_result holds what was done")
            raise
        return self._result(lanes, times)

    def _result(self, lanes: core.MotionLanes, times: Array | None) -> DynamicsBatchResult:
        out = _empty(self.starts, self.speeds, times)
        if times is None:
            out.t, out.x, out.v = lanes.t_last, lanes.x_last, lanes.v_last
        else:
            out.x, out.v, out.reached = lanes.x, lanes.v, lanes.saved
        out.nfev, out.nsteps = lanes.nfev, lanes.nsteps
        out.status = np.where(lanes.code == 0, 0, -1)
        out.reason = ["finished"] * len(lanes.code)
        for k in np.flatnonzero(lanes.code).tolist():
            code = int(lanes.code[k])
            out.reason[k], why = ENDINGS.get(code, ("rhs_failed", f"the force returned code {code}"))
            out.messages[k] = (
                f"{why}: it stands at t = {lanes.t_last[k]:g} after {counted(int(lanes.nsteps[k]), 'step')} of {self.method.name}"
            )
        out.t_events = out.x_events = out.v_events = None
        return _told(out)


def _work(lanes: core.MotionLanes, threads: int) -> None:
    """`lanes.work` on threads; Ctrl-C is answered in between."""
    run: Callable[[], None] = lanes.work
    with ThreadPoolExecutor(threads) as pool:
        waiting = [pool.submit(run) for _ in range(threads)]
        try:
            while futures.wait(waiting, POLL).not_done:
                pass
        except BaseException:
            lanes.stop()
            raise
    for one in waiting:
        one.result()
