"""How a batch is computed: the work of all trajectories, here, on threads, or in pieces on an executor; and the columns that it fills.

A `Task` holds everything that a trajectory needs, and pickles; a piece of it (`Task.part`) is a task again. `Columns` are the results, an
entry for each trajectory; those of a piece are pasted into those of the whole. Trajectories do not know of each other, so neither pieces
nor threads change the numbers.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import math
import threading
from _thread import start_new_thread
from collections.abc import Callable
from concurrent import futures
from concurrent.futures import ThreadPoolExecutor  # with this module: a fork never meets a thread that is importing it
from dataclasses import dataclass, field, replace
from itertools import repeat
from queue import Empty, SimpleQueue
from typing import Any, Self

import numpy as np
from mflow_core.lanes import lanes as core
from mflow_core.problems import problem, signatures
from mflow_core.stepping import stepper
from numpy.typing import NDArray

from mflow.base.checks import Array, check_number
from mflow.base.executors import Lost, in_pieces, portable
from mflow.base.methods import Method, as_method
from mflow.base.progress import Progress
from mflow.base.telling import counted, tell
from mflow.base.threads import processors
from mflow.course.agenda import check_breaks, listed_doses
from mflow.course.past_step import Seen, edge_of, has_limit, look_back
from mflow.integrate.control import (
    ABOVE_0,
    ATOL,
    MANY,
    MISSING_DT,
    ROUNDING,
    RTOL,
    check_events,
    check_first_step,
    check_max_step,
    check_min_step,
    check_tolerances,
    default_method,
    whole_or,
)
from mflow.integrate.endings import blow_up_time
from mflow.integrate.ivp import solve_ivp
from mflow.walls.crossed import crossed_words
from mflow.walls.poles import pole_words

__all__ = ["EXTRAS", "BlockFunction", "Columns", "Task", "ask_of_ends", "look_at_course", "look_at_steps", "run_here", "run_on"]

POLL = 0.02  # seconds between looks at the threads, so that Ctrl-C is answered
MEASURED = 8  # trajectories of a function for blocks whose steps are measured
LOOKED = 64  # trajectories of a function for blocks that are asked whether they run off
CONTROLS = ("first_step", "max_step", "min_step", "max_steps")  # what a function for blocks takes of solve_ivp's options
REFUSED = {"inplace", "jac", "jac_sparsity", "lband", "uband", "solver", "dense_output", "callback", "breaks", "doses", "nonnegative",
           "outputs", "until"}  # and what not  # fmt: skip
EXTRAS = ("sol", "t_events", "y_events", "y_after", "outputs")  # of a trajectory, where asked for
COUNTS = ("nfev", "ncheck", "njev", "nlu", "nsteps", "nrejected")
REASONS = {0: "finished", core.WAITING: "interrupted", stepper.NON_FINITE: "non_finite", core.TOO_SMALL: "step_too_small",
           core.TOO_MANY: "max_steps"}  # fmt: skip


class BlockFunction:
    """A compiled right-hand side for blocks of trajectories, with its address. It pickles where the function does."""

    def __init__(self, fun: Any) -> None:
        address = problem.compiled_address(fun, "fun", signatures.RHS_LANES_SIGNATURE)
        if address is None:
            raise TypeError(
                "fun: expected with batch=True a compiled function (LowLevelCallable, numba cfunc, ctypes function or PyCapsule) with the "
                f"signature {signatures.RHS_LANES_SIGNATURE!r}, got {type(fun).__name__}"
            )
        self.fun, self.address = fun, address

    def __reduce__(self) -> tuple[Any, ...]:
        return BlockFunction, (self.fun,)


@dataclass(frozen=True)
class Task:
    """Trajectories to integrate: arrays with an entry for each, and what is common to them."""

    fun: Any
    starts: Array
    t0: Array
    t1: Array
    own_spans: bool  # whether each trajectory has its own span
    extra: Any  # the trajectories' own arguments: an array (m, p), a list of tuples, or None
    method: str | Method | None
    times: Array | None
    dt: float | str | None
    args: tuple[Any, ...]
    options: dict[str, Any]

    @property
    def compiled(self) -> bool:
        """Whether fun runs without the GIL."""
        return isinstance(self.fun, BlockFunction) or problem.compiled_address(self.fun, "fun", problem.RHS_SIGNATURE) is not None

    def part(self, first: int, last: int) -> Self:
        """The trajectories first ... last - 1."""
        extra = None if self.extra is None else self.extra[first:last]
        return replace(self, starts=self.starts[first:last], t0=self.t0[first:last], t1=self.t1[first:last], extra=extra)


@dataclass
class Columns:
    """Results, an entry for each trajectory."""

    t: Array
    y: Array
    reached: NDArray[np.int64]
    status: NDArray[np.int64]
    counts: NDArray[np.int64]
    reason: list[str]
    messages: dict[int, str] = field(default_factory=dict)
    errors: dict[int, Exception] = field(default_factory=dict)
    last: Array | None = None  # states where trajectories of a function for blocks ended, where y holds those at given times
    extras: dict[str, list[Any]] = field(default_factory=dict)  # of `EXTRAS`
    doubts: dict[int, tuple[str, ...]] = field(default_factory=dict)
    seen: dict[int, Array] = field(default_factory=dict)  # of trajectories of a function for blocks whose steps were beyond the edge

    @classmethod
    def of(cls, task: Task) -> Self:
        """Nothing computed yet: every trajectory is at its start."""
        count, shape = len(task.starts), task.starts.shape[1:]
        if task.times is None:
            y, reached = task.starts.copy(), np.ones(count, np.int64)
        else:
            y, reached = np.full((count, *shape, len(task.times)), np.nan), np.zeros(count, np.int64)
        events = task.options.get("events") is not None
        acts = any(action is not None for *_, action in check_events(task.options.get("events")))
        asked = {"sol": task.options.get("dense_output"), "t_events": events, "y_events": events, "y_after": acts}
        asked["outputs"] = task.options.get("outputs") is not None
        extras: dict[str, list[Any]] = {name: [None] * count for name, keep in asked.items() if keep}
        counts = np.zeros((count, len(COUNTS)), np.int64)
        out = cls(task.t0.copy(), y, reached, np.full(count, -1, np.int64), counts, ["interrupted"] * count, extras=extras)
        if task.times is not None and isinstance(task.fun, BlockFunction):
            out.last = task.starts.copy()
        return out

    def put(self, k: int, r: Any, at_times: bool) -> None:
        """The IVPResult of trajectory k."""
        if at_times:
            self.reached[k] = r.t.size
            self.y[k, ..., : r.t.size] = r.y
        else:
            self.t[k], self.y[k] = r.t[-1], r.y[..., -1]
        self.status[k], self.reason[k] = r.status, r.reason
        self.counts[k] = [r[name] for name in COUNTS]
        if r.reason != "finished" or r.doubts:
            self.messages[k] = r.message
        if r.doubts:
            self.doubts[k] = r.doubts
        for name, column in self.extras.items():
            column[k] = r.get(name)

    def fail(self, k: int, reason: str, message: str, error: Exception | None = None) -> None:
        """A trajectory that ends without a result of its own."""
        self.status[k], self.reason[k], self.messages[k] = -1, reason, message
        if error is not None:
            self.errors[k] = error

    def paste(self, first: int, piece: Columns) -> None:
        """The results of the trajectories from `first` on."""
        last = first + len(piece.reason)
        for name in ("t", "y", "reached", "status", "counts", "reason"):
            getattr(self, name)[first:last] = getattr(piece, name)
        if self.last is not None:
            self.last[first:last] = piece.last
        for name, column in self.extras.items():
            column[first:last] = piece.extras[name]
        self.messages |= {first + k: text for k, text in piece.messages.items()}
        self.doubts |= {first + k: words for k, words in piece.doubts.items()}
        self.seen |= {first + k: row for k, row in piece.seen.items()}
        self.errors |= {first + k: error for k, error in piece.errors.items()}


# ---- trajectories of solve_ivp ----------------------------------------------------------------------------------------------------------


def run_trajectory(task: Task, columns: Columns, k: int) -> None:
    """One trajectory by `solve_ivp`. What its function raises is kept; an error before the first step is one of all."""
    options = dict(task.options)
    if task.dt is not None:
        options["dt"] = task.dt
    options |= {"t_eval": task.times} if task.times is not None else {} if options.get("dense_output") else {"save": "last"}
    if task.own_spans:
        options |= _within(options, float(task.t0[k]), float(task.t1[k]))
    args = task.args if task.extra is None else (*task.args, *task.extra[k])
    if args:
        options["args"] = args
    try:
        r = solve_ivp(task.fun, (float(task.t0[k]), float(task.t1[k])), task.starts[k], task.method, **options)
    except BaseException as error:
        partial = getattr(error, "partial_result", None)
        if partial is None:
            error.add_note(f"in trajectory {k} of the batch")
            raise
        columns.put(k, partial, task.times is not None)
        if not isinstance(error, Exception):
            raise
        with contextlib.suppress(AttributeError):
            del error.partial_result  # type: ignore[attr-defined]
        columns.errors[k] = error
    else:
        columns.put(k, r, task.times is not None)


def _within(options: dict[str, Any], t0: float, t1: float) -> dict[str, Any]:
    """Breaks and doses inside a trajectory's own span: those of others are outside of it, and no mistake."""
    low, high = min(t0, t1), max(t0, t1)
    out: dict[str, Any] = {}
    if options.get("breaks") is not None:
        out["breaks"] = check_breaks(options["breaks"], "breaks", t0, t1, inside=True)
    if options.get("doses") is not None:
        out["doses"] = [dose for dose in listed_doses(options["doses"]) if not (dose[0] < low or dose[0] > high)]
    return out


def run_serially(task: Task, columns: Columns, bar: Progress) -> None:
    """All trajectories in order, in this thread."""
    for k in range(len(task.starts)):
        run_trajectory(task, columns, k)
        bar.update(k + 1)


class Threads:
    """The trajectories of a compiled function, shared out to threads one by one."""

    def __init__(self, task: Task, columns: Columns) -> None:
        self.task, self.columns = task, columns
        self.lock, self.next, self.done, self.stopped = threading.Lock(), 0, 0, False
        self.inside: set[int] = set()

    def work(self) -> None:
        """Takes trajectories until none is left."""
        with self.lock:
            self.inside.add(threading.get_ident())
        try:
            while not self.stopped:
                with self.lock:
                    k, self.next = self.next, self.next + 1
                if k >= len(self.task.starts):
                    break
                run_trajectory(self.task, self.columns, k)
                self.done += 1
        except KeyboardInterrupt:
            if not self.stopped:
                raise
        finally:
            with self.lock:
                self.inside.discard(threading.get_ident())

    def stop(self) -> None:
        """No further trajectory; those at work are interrupted between two pieces of their loops."""
        self.stopped = True
        with self.lock:
            for thread in self.inside:
                ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), ctypes.py_object(KeyboardInterrupt))


def on_threads(work: Callable[[], None], stop: Callable[[], None], done: Callable[[], int], count: int, bar: Progress) -> None:
    """`work` on so many threads, to its end; on an error or Ctrl-C they are stopped first.

    The thread that asks waits, so that it hears Ctrl-C. Bare threads, which say themselves when they end: an executor, or a `Thread` that
    is waited for at its start and its end, takes longer than a small batch.
    """
    begun: list[int] = []
    failed: list[BaseException] = []
    ended: list[None] = []
    woken: SimpleQueue[None] = SimpleQueue()

    def run() -> None:
        try:
            work()
        except BaseException as error:
            failed.append(error)
        finally:  # what is counted by the thread that ends no Ctrl-C can leave uncounted; the queue only wakes
            ended.append(None)
            woken.put(None)

    try:
        begun.extend(map(start_new_thread, repeat(run, count), repeat(())))  # in C: no Ctrl-C between a start and its count
        while len(ended) < len(begun) and not failed:
            with contextlib.suppress(Empty):
                woken.get(timeout=POLL)
            bar.update(done())
        if failed:
            raise failed[0]
    except BaseException:
        stop()
        while len(ended) < len(begun):
            woken.get()
        raise


# ---- functions for blocks of trajectories -----------------------------------------------------------------------------------------------


def _control(method: Method, options: dict[str, Any], task: Task) -> dict[str, Any]:
    """What the core wants to know of error control."""
    shape = task.starts.shape[1:]
    tolerances = check_tolerances(options.get("rtol", RTOL), options.get("atol", ATOL), shape)
    rtol, atol = (np.ascontiguousarray(np.broadcast_to(one, shape)) for one in tolerances)
    max_step = check_max_step(options.get("max_step"))
    if callable(max_step):
        raise TypeError("max_step: expected a number, got a function, which a function for blocks cannot ask on its way")
    out = {"rtol": rtol, "atol": atol, "max_step": max_step, "min_step": check_min_step(options.get("min_step"), max_step)}
    spans = np.abs(task.t1 - task.t0)
    first = check_first_step(options.get("first_step"), 0.0, float(np.min(spans[spans > 0], initial=math.inf)))
    return out | {"first_step": first or 0.0}


def _fixed(task: Task) -> dict[str, Any]:
    """Fixed steps: dt with the sign of the spans, and how many steps each trajectory takes."""
    given = check_number(task.dt, "dt", ABOVE_0, low=0.0, open_low=True)
    t0 = task.t0 if task.own_spans else task.t0[:1]  # one stands for all
    length = (task.t1 if task.own_spans else task.t1[:1]) - t0
    if np.any(length < 0) and np.any(length > 0):
        raise ValueError("t_span: expected spans of one direction, with dt and a function for blocks, got some forwards and some backwards")
    step = -given if np.any(length < 0) else given
    if np.any((t0 + step == t0) & (length != 0)):
        raise ValueError(f"dt: expected a step that moves t, got {task.dt!r}, which is lost in rounding at the start: t + dt == t")
    if np.any(np.abs(length) / given > 2.0**53):
        raise ValueError(f"dt: expected at most 2^53 steps, got dt = {task.dt!r}")
    steps = np.ceil(length / step * (1.0 - ROUNDING)).astype(np.int64)
    return {"dt": step, "steps": steps if task.own_spans else np.repeat(steps, len(task.starts))}


def block_run(task: Task) -> core.Lanes:
    """The core's run of a function for blocks."""
    options = dict(task.options)
    if options.pop("events", None) is not None:
        raise TypeError("events: a function for blocks takes none; give a function of one trajectory, compiled or not")
    refused = REFUSED & set(options)
    if refused:
        raise TypeError(f"{min(refused)}: a function for blocks does not take it; it is for functions of one trajectory")
    if task.dt is not None and {"rtol", "atol", *CONTROLS} - {"max_steps"} & set(options):
        raise ValueError("dt, rtol, atol: expected fixed steps (dt) or error control (rtol, atol, first_step, ...), got both")
    control = {name: options.pop(name) for name in ("rtol", "atol", *CONTROLS) if name in options}
    limit = control.pop("max_steps", None)
    method = as_method(task.method or default_method(task.dt), options)
    if task.dt is None and "embedded" not in method.flags:
        raise ValueError(MISSING_DT.format(method.name))
    how = _fixed(task) if task.dt is not None else _control(method, control, task)
    if task.dt is not None and has_limit(method.record):
        how["edge"] = edge_of(method)
    if limit is not None:
        how["max_steps"] = whole_or(limit, "max_steps", MANY)
    return core.Lanes(method.record, task.fun.address, task.starts, task.t0, task.t1, parameters=method.numbers, args=task.extra,
                      t_eval=task.times, own=task.own_spans, **how)  # fmt: skip


def run_blocks(task: Task, columns: Columns, threads: int, bar: Progress) -> None:
    """A function for blocks, block by block."""
    run = block_run(task)
    blocks = -(-len(task.starts) // core.BLOCK)
    try:
        if blocks:
            on_threads(run.work, run.stop, lambda: int(np.count_nonzero(run.code != core.WAITING)), min(threads, blocks), bar)
    finally:
        columns.y = run.y_last if task.times is None else run.y
        columns.t = run.t_last
        columns.last = None if task.times is None else run.y_last
        columns.reached = run.saved if task.times is not None else columns.reached
        columns.status = np.where(run.code == 0, 0, -1)
        columns.reason = [REASONS[0]] * len(run.code)
        for name in ("nfev", "nsteps", "nrejected"):
            columns.counts[:, COUNTS.index(name)] = getattr(run, name)
        columns.seen = {core.BLOCK * int(k): run.seen[k] for k in np.flatnonzero(run.seen[:, 0])}
        for k in np.flatnonzero(run.code).tolist():
            columns.reason[k] = REASONS.get(int(run.code[k]), "rhs_failed")
            columns.messages[k] = _words(columns.reason[k], int(run.code[k]), run.t_last[k], run.nsteps[k])


def look_at_steps(task: Task, columns: Columns) -> None:
    """Whether fixed steps of a function for blocks are past the stability limit, where nothing overflows: the first trajectory of each
    block is looked at in passing, and the first `MEASURED` of those that were steep are measured. Warns once."""
    if not columns.seen:
        return
    method = as_method(task.method or default_method(task.dt), {k: v for k, v in task.options.items() if k not in CONTROLS})
    n, told = task.starts.shape[1], ""
    states = columns.y if columns.last is None else columns.last
    for k in sorted(columns.seen)[:MEASURED]:
        if columns.reason[k] != "finished":
            continue
        steep, t, h, kept, t_after = columns.seen[k][:5].tolist()
        y, after = columns.seen[k][5 : 5 + n], columns.seen[k][5 + n :]
        behind = (t_after, after) if kept else (float(columns.t[k]), states[k])
        slope = LaneSlope(task, k)
        text, _ = look_back(method, slope, task.starts[k], Seen(t, y, h, steep, *behind))
        columns.counts[k, COUNTS.index("ncheck")] += slope.calls
        if text:
            _doubt(columns, k, text)
            told = told or f"solve_ivp_batch: trajectory {k}, the first of its block, of which no other is looked at: {text}"
    if told:
        tell(told)


def ask_of_ends(task: Task, columns: Columns) -> None:
    """Whether trajectories of a function for blocks that could not go on run off in finite time, by the evidence of a run alone
    (`mflow.integrate.endings`). That takes hundreds of calls for each, so only the first `LOOKED` are looked at, whatever the pieces."""
    if task.dt is not None or not isinstance(task.fun, BlockFunction):
        return
    failed = [k for k, reason in enumerate(columns.reason) if reason in ("non_finite", "step_too_small")]
    states = columns.y if columns.last is None else columns.last
    for k in failed[:LOOKED]:
        slope, t, t0 = LaneSlope(task, k), float(columns.t[k]), float(task.t0[k])
        span = float(task.t1[k]) - t0
        h = math.copysign(float(np.spacing(max(abs(t), abs(t0), 1e-3 * abs(span)))), span)  # the last one was some of these long
        if blow_up_time(slope, t, states[k], t0, h, task.starts[k], columns.reason[k] == "step_too_small") is not None:
            columns.reason[k] = "diverged"
            columns.messages[k] = _words("diverged", 0, t, int(columns.counts[k, COUNTS.index("nsteps")]))
        columns.counts[k, COUNTS.index("nfev")] += slope.calls
    for k in failed[LOOKED:]:
        columns.messages[k] += f"; only the first {LOOKED} of such trajectories are asked whether they run off in finite time"


def look_at_course(task: Task, columns: Columns) -> None:
    """Whether trajectories of a function for blocks, under error control, have gone where no solution goes: nothing keeps them on their way
    as it keeps those of `solve_ivp`. The first `LOOKED` of those that have changed a sign are looked at, and of poles in time that do not
    depend on the state the span of the first trajectory. Warns once."""
    if task.dt is not None or not isinstance(task.fun, BlockFunction):
        return
    states = columns.y if columns.last is None else columns.last
    finished = np.array([reason == "finished" for reason in columns.reason])
    moved = np.flatnonzero(finished & np.any(states * task.starts < 0.0, axis=1))
    told = ""
    for k in moved[:LOOKED].tolist():
        slope = LaneSlope(task, k)
        text = crossed_words(slope, float(task.t0[k]), float(columns.t[k]), states[k], task.starts[k])
        columns.counts[k, COUNTS.index("ncheck")] += slope.calls
        if text:
            told = told or f"solve_ivp_batch: trajectory {k}: {text}"
            _doubt(columns, k, text)
    if finished[:1].any():
        slope = LaneSlope(task, 0)
        at = (task.starts[0], states[0], 0.0 * states[0])
        found = {pole_words(slope, float(task.t0[0]), float(task.t1[0]), state) for state in at}
        columns.counts[0, COUNTS.index("ncheck")] += slope.calls
        if len(found) == 1 and (text := found.pop()):
            told = told or f"solve_ivp_batch: trajectory 0: {text}"
            _doubt(columns, 0, text)
    if told:
        tell(told)


def _doubt(columns: Columns, k: int, text: str) -> None:
    """What speaks against a trajectory that has finished."""
    steps, doubts = int(columns.counts[k, COUNTS.index("nsteps")]), (*columns.doubts.get(k, ()), text)
    columns.messages[k] = f"reached the end in {counted(steps, 'step')}; but {'; '.join(doubts)}"
    columns.doubts[k] = doubts


class LaneSlope:
    """The slope of one trajectory of a function for blocks, all columns of a block being its copies; NaNs where the function gives up."""

    def __init__(self, task: Task, k: int) -> None:
        address, self.ctx = task.fun.address
        size = ctypes.c_ssize_t
        self.fun = ctypes.CFUNCTYPE(ctypes.c_int, *[ctypes.POINTER(ctypes.c_double)] * 3, size, size, ctypes.c_void_p)(address)
        self.extra = np.zeros(0) if task.extra is None else np.asarray(task.extra[k], dtype=np.float64)
        self.calls = 0

    def __call__(self, t: float, y: Array) -> Array:
        self.calls += 1
        times, out = np.full(core.BLOCK, t), np.empty((y.size + self.extra.size, core.BLOCK))
        state = np.repeat(np.concatenate([y, self.extra])[:, None], core.BLOCK, axis=1)
        pointers = (array.ctypes.data_as(ctypes.POINTER(ctypes.c_double)) for array in (times, state, out))
        status = self.fun(*pointers, y.size, core.BLOCK, self.ctx or None)
        return out[: y.size, 0].copy() if status == 0 else np.full(y.size, math.nan)


def _words(reason: str, code: int, t: float, steps: int) -> str:
    where = f"at t = {t:g} after {counted(steps, 'step')}"
    return {
        "interrupted": f"stopped {where}, by an error or an interrupt",
        "non_finite": f"non-finite state or slope {where}",
        "step_too_small": f"the step that the tolerances need is too small to move t {where}",
        "diverged": f"the solution runs off in finite time {where}",
        "max_steps": f"the limit on the number of steps was reached {where}",
        "rhs_failed": f"the function for blocks returned {code} {where}, for the block that this trajectory is in",
    }[reason]


# ---- where the work is done -------------------------------------------------------------------------------------------------------------


def run_here(task: Task, columns: Columns, threads: int | None, bar: Progress) -> None:
    """The whole task in this process."""
    count = threads or processors()
    if isinstance(task.fun, BlockFunction):
        run_blocks(task, columns, count, bar)
    elif task.compiled and min(count, len(task.starts)) > 1:
        shared = Threads(task, columns)
        on_threads(shared.work, shared.stop, lambda: shared.done, min(count, len(task.starts)), bar)
    else:
        run_serially(task, columns, bar)


def run_piece(task: Task, foreign: bool) -> Columns:
    """What a worker of an executor does. foreign: the results are pickled."""
    columns = Columns.of(task)
    run_here(task, columns, 1, Progress(0.0, 0.0, shown=False))
    if foreign:
        columns.errors = {k: portable(error) for k, error in columns.errors.items()}
    return columns


def run_on(executor: futures.Executor, task: Task, columns: Columns, bar: Progress) -> None:
    """The task in pieces on an executor. The trajectories of a piece that is lost end with reason "executor_failed"."""
    work = functools.partial(run_piece, foreign=not isinstance(executor, ThreadPoolExecutor))
    multiple = core.BLOCK if isinstance(task.fun, BlockFunction) else 1
    for part, piece in in_pieces(executor, work, lambda one: task.part(one.start, one.stop), len(task.starts), bar, multiple):
        if isinstance(piece, Lost):
            for k in range(part.start, part.stop):
                columns.fail(k, "executor_failed", piece.message, piece.error)
        else:
            columns.paste(part.start, piece)
