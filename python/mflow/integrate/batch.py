"""`solve_ivp_batch`: many trajectories of one equation, each with its own step, events and ending.

Three ways to the same result. A Python function: one trajectory after the other, each a run of `solve_ivp`. A compiled one: the same, on
threads. A compiled function for blocks: blocks of trajectories through the core's vectorised loops, on threads. An executor takes any of
them to other processes or machines, in pieces that are pickled. Here are the arguments and the result; the work is in ensemble.py.
"""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Callable
from concurrent import futures
from typing import TYPE_CHECKING, Any, Unpack, overload

import numpy as np
from mflow_core.problems.signatures import check_size
from numpy.typing import NDArray

from mflow.base.checks import (
    Array,
    as_tuple,
    check_flags,
    check_number,
    check_start,
    check_times,
    check_whole,
    real_array,
    shown,
)
from mflow.base.executors import check_executor
from mflow.base.methods import Method, refuse_unknown
from mflow.base.progress import Progress
from mflow.base.result import IVPResult, Result, attach, pending
from mflow.base.telling import counted, tell_of_errors
from mflow.integrate.ensemble import (
    COUNTS,
    EXTRAS,
    BlockFunction,
    Columns,
    Task,
    ask_of_ends,
    look_at_course,
    look_at_steps,
    run_here,
    run_on,
)
from mflow.integrate.ivp import ARGUMENTS, real_form
from mflow.problems.complexes import ComplexOutput, Pairs, is_complex

if TYPE_CHECKING:
    from mflow.base._records import IVPBatchOptions

__all__ = ["IVPBatchResult", "solve_ivp_batch"]

NAMED = 5  # trajectories that a message names


class IVPBatchResult(Result):
    """Result of `mflow.solve_ivp_batch`, of m trajectories. ``result[k]`` is trajectory k as an IVPResult.

    t : float64 array (n_points,), the times of ``t_eval``; without it (m,), where each trajectory ended.
    y : float64 array (m, *shape, n_points), NaN from where a trajectory ended early; without ``t_eval`` (m, *shape), the last good states.
    reached : int array (m,): how many of the times each trajectory has (1 without ``t_eval``).
    success : whether every trajectory reached its end or was stopped by an event.
    status : int array (m,), as in `IVPResult`. reason : list of str, one for each trajectory.
    message : what happened to the batch, in words. messages : dict, the words of each trajectory that did not simply finish.
    doubts : dict, what speaks against a trajectory, in a tuple, where there is something; see `IVPResult`.
    errors : dict, the exception of each trajectory whose function raised one.
    nfev, ncheck, njev, nlu, nsteps, nrejected : int arrays (m,), as in `IVPResult`.
    t_events, y_events, sol : lists, an entry for each trajectory, as in `IVPResult`; None where not asked for. y_after, outputs : the same,
    where asked for.

    See Also
    --------
    mflow.solve_ivp_batch, mflow.IVPResult

    Examples
    --------
    >>> import mflow
    >>> r = mflow.solve_ivp_batch(lambda t, y: -y, (0, 1), [[1.0], [2.0]], t_eval=[0.0, 0.5, 1.0])
    >>> r.y.shape, r.reason, bool(abs(r[1].y[0, -1] - 0.7358) < 1e-3)
    ((2, 1, 3), ['finished', 'finished'], True)
    """

    t: Array
    y: Array
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
    ncheck: NDArray[np.int64]
    njev: NDArray[np.int64]
    nlu: NDArray[np.int64]
    nsteps: NDArray[np.int64]
    nrejected: NDArray[np.int64]
    t_events: list[Any] | None
    y_events: list[Any] | None
    y_after: list[Any]
    sol: list[Any] | None
    outputs: Any

    @overload
    def __getitem__(self, key: int) -> IVPResult: ...
    @overload
    def __getitem__(self, key: str) -> Any: ...
    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, (int, np.integer)) and not isinstance(key, bool):
            return self._trajectory(int(key))
        return super().__getitem__(key)

    def _trajectory(self, k: int) -> IVPResult:
        count = len(self.reason)
        if not -count <= k < count:
            raise IndexError(f"result[{k}]: the batch has {count} trajectories, counted from 0")
        k %= count
        if self.at_times:
            points = int(self.reached[k])
            t, y = self.t[:points], self.y[k][..., :points]
        else:
            t, y = self.t[k : k + 1], self.y[k][..., None]
        extras = {name: self[name] and self[name][k] for name in EXTRAS if name in self}
        counts = {name: int(self[name][k]) for name in COUNTS}
        status, reason = int(self.status[k]), self.reason[k]
        message = self.messages.get(k, f"reached the end in {counted(counts['nsteps'], 'step')}")
        return IVPResult(t=t, y=y, **extras, **counts, status=status, reason=reason, message=message,
                         doubts=self.doubts.get(k, ()), success=status >= 0)  # fmt: skip


def solve_ivp_batch(
    fun: Callable[..., Any] | Any,
    t_span: Any,
    y0: Any,
    method: str | Method | None = None,
    t_eval: Any = None,
    *,
    args: tuple[Any, ...] = (),
    batch_args: Any = None,
    dt: float | str | None = None,
    rtol: Any = None,
    atol: Any = None,
    events: Any = None,
    batch: bool = False,
    threads: int | None = None,
    executor: futures.Executor | None = None,
    progress: bool = False,
    **options: Unpack[IVPBatchOptions],
) -> IVPBatchResult:
    """Integrate y' = fun(t, y) from many starts. Every trajectory has its own step, events and ending.

    Parameters
    ----------
    fun : callable
        As in `mflow.solve_ivp`, for the state of one trajectory: a Python function (trajectories run one after the other), or a compiled
        one (they run on threads). With ``batch=True``, a compiled function for a whole block of trajectories, called without the GIL:
        ``int (const double *t, const double *y, double *dydt, ptrdiff_t n, ptrdiff_t lanes, void *ctx)``; `mflow.compiled_from_sympy`
        writes one, ``mflow.compile(kind="block")`` compiles one. `lanes` is the number of trajectories in the block, a multiple of 8, of
        which some may be copies of others; component i of trajectory l is ``y[i*lanes + l]``, its time ``t[l]``. This is the fast way:
        the inner loop over l vectorises. The function must be safe to call from several threads. It marks a trajectory that is where no
        slope exists by NaN; a code other than 0 ends every trajectory of the block with ``reason="rhs_failed"``.
    t_span : (t0, t_end), or array_like (m, 2)
        One span for all m trajectories, or one for each.
    y0 : array_like of real or complex numbers (m, *shape); complex ones as in `mflow.solve_ivp`, compiled functions are of the pairs
        (m, n) where ``batch=True``. One start (n,) serves all trajectories where ``batch_args`` says how many there are.
    method : name or instance
        As in `mflow.solve_ivp`. Default: "dopri5" under error control, "rk4" where dt is given.
    t_eval : array_like (n_points,), optional
        Times to save at, common to all trajectories. Without it the last state of each is kept.
    args : tuple
        Further arguments, the same for every trajectory.
    batch_args : sequence of m entries, optional
        Each trajectory's own further arguments, after ``args``: ``fun(t, y, *args, *batch_args[l])``; an entry that is no sequence counts
        as one argument. With ``batch=True`` numbers, an array (m, p): in the block, parameter j of trajectory l stands behind the state,
        at ``y[(n + j)*lanes + l]``.
    dt, rtol, atol, events
        As in `mflow.solve_ivp`. Functions for blocks take no events.
    batch : bool
        Whether fun is a compiled function for blocks of trajectories; this is never guessed.
    threads : int, optional
        Threads for compiled functions. Default: the processors that this process may use. Results do not depend on it.
    executor : concurrent.futures.Executor, optional
        A process pool, Dask's ``client.get_executor()``, mpi4py's ``MPIPoolExecutor``: trajectories go there in pieces, and what they need
        is pickled. Where a piece is lost, with its worker for instance, its trajectories end with ``reason="executor_failed"``; the
        others stay.
    progress : bool
        A progress bar on stderr, where tqdm is installed.
    **options
        What else `mflow.solve_ivp` takes (``inplace``, ``jac``, ``first_step``, ``max_steps``, ``breaks``, ``doses``, ...), and the
        method's parameters. Where trajectories have spans of their own, each takes the breaks and doses inside its own.

    Returns
    -------
    IVPBatchResult
        An exception that fun raises ends its trajectory, with ``reason="rhs_failed"`` and the exception in ``errors``; the others go on.
        One that an event raises does so with ``reason="event_failed"``.

    Raises
    ------
    TypeError, ValueError
        An argument does not fit; the message names it. KeyboardInterrupt comes through, with what was computed as its ``partial_result``.

    See Also
    --------
    mflow.solve_ivp, mflow.sweep

    Notes
    -----
    The bits of a trajectory do not depend on the number of trajectories, their order, or threads. With fixed steps on a common span a
    function for blocks gives the bits that the same formula gives in `solve_ivp`; with steps of their own, trajectories of a block round
    differently (K = h f).

    Under error control, of the trajectories of a function for blocks that could not go on, the first 64 are followed backwards to see
    whether they run off in finite time (``reason="diverged"``). Further ones keep "non_finite" or "step_too_small"; their message says so.

    Nothing keeps trajectories of a function for blocks from going over a pole in time, or over 0 where no solution crosses it, as
    `mflow.solve_ivp` does (and a batch of functions of one trajectory). ``doubts`` and a warning tell of it at the end: of the first 64
    trajectories that have changed a sign, and of poles of the forcing in the span of the first one.

    ``messages`` and ``doubts`` tell of fixed steps past the stability limit, trajectory by trajectory, where the solution stays finite. Of
    a function for blocks only the first trajectory of each block is looked at, if all have one span, and at most 8 of these are measured.

    Examples
    --------
    >>> import mflow, numpy as np
    >>> r = mflow.solve_ivp_batch(lambda t, y, k: -k * y, (0, 1), [[1.0], [1.0]], "rk4", dt=0.01, batch_args=[1.0, 2.0])
    >>> r.success, np.round(r.y[:, 0], 6).tolist()
    (True, [0.367879, 0.135335])
    """
    if not isinstance(method, type):
        refuse_unknown("solve_ivp_batch", options, method, BATCH_ARGUMENTS)
    check_flags(batch=batch, progress=progress)
    if is_complex(y0):
        same: dict[str, Any] = {"t_span": t_span, "method": method, "t_eval": t_eval, "args": args, "batch_args": batch_args}
        same |= {"batch": batch, "threads": threads, "executor": executor, "progress": progress}
        return _of_pairs(y0, same, {"fun": fun, "dt": dt, "rtol": rtol, "atol": atol, "events": events, **options})
    starts, extra = _starts(y0, batch_args, batch)
    t0, t1, own_spans = _spans(t_span, len(starts))
    times = None if t_eval is None else _times(t_eval, t0, t1)
    if batch and (starts.ndim != 2 or args):
        if args:
            raise TypeError("args: a function for blocks is compiled: put what is common into its user data, what differs into batch_args")
        raise ValueError(f"y0: expected an array of shape (m, n) with batch=True, got shape {starts.shape}")
    if batch:
        _check_block(fun, starts, extra)
    if threads is not None:
        threads = check_whole(threads, "threads", 1)
    check_executor(executor)
    refused = {"save", "save_every", "checkpoint", "checkpoint_every", "resume"} & set(options)
    if refused:
        raise TypeError(f"{min(refused)}: a batch does not take it; t_eval says what to keep")
    given = dict(options) | {name: value for name, value in (("rtol", rtol), ("atol", atol), ("events", events)) if value is not None}
    task = Task(BlockFunction(fun) if batch else fun, starts, t0, t1, own_spans, extra, method, times, dt, as_tuple(args, fun), given)
    columns = Columns.of(task)
    try:
        note = f"{{:.0f}} of {len(starts)} trajectories".format
        with Progress(0.0, float(len(starts)), "solve_ivp_batch", note=note, shown=progress) as bar:
            if executor is not None:
                run_on(executor, task, columns, bar)
            else:
                run_here(task, columns, threads, bar)
        ask_of_ends(task, columns)
        look_at_steps(task, columns)
        look_at_course(task, columns)
    except BaseException as error:
        attach(error, lambda: _result(task, columns), "in mflow.solve_ivp_batch; .partial_result holds the trajectories that were done")
        raise
    tell_of_errors(columns.errors, "trajectory", columns.counts[:, COUNTS.index("nsteps")])
    return _result(task, columns)


def _of_pairs(y0: Any, same: dict[str, Any], given: dict[str, Any]) -> IVPBatchResult:
    """Complex starts, solved in real and imaginary parts. same : what is as it is for real ones."""
    z = np.array(y0, dtype=np.complex128)
    one = z.ndim < 2 and same["batch_args"] is not None
    pairs = Pairs(z if one else np.zeros(z.shape[1:], dtype=np.complex128))
    starts = pairs.start if one else np.ascontiguousarray(z).reshape(len(z) if z.ndim else 1, -1).view(np.float64)
    if z.ndim < 2 and not one:
        starts = starts.reshape(-1)  # for its words
    real = real_form(given, pairs)
    if same["batch"]:
        real["fun"] = given["fun"]

    def seen(found: IVPBatchResult) -> IVPBatchResult:
        out, y = IVPBatchResult(**found), np.empty((len(found.y), pairs.size, *found.y.shape[2:]), dtype=np.complex128)
        y.real, y.imag = found.y[:, 0::2], found.y[:, 1::2]
        out["y"] = y.reshape(len(y), *pairs.shape, *y.shape[2:])
        for name in ("y_events", "y_after"):
            if found.get(name) is not None:
                out[name] = [None if each is None else [pairs.rows(states) for states in each] for each in found[name]]
        if found.get("sol") is not None:
            out["sol"] = [None if sol is None else ComplexOutput(sol, pairs) for sol in found["sol"]]
        return out

    try:
        return seen(solve_ivp_batch(y0=starts, **same, **real))
    except BaseException as error:
        partial_result = getattr(error, "partial_result", None)
        if partial_result is not None:
            error.partial_result = pending(IVPBatchResult, lambda: seen(partial_result))  # type: ignore[attr-defined]
        raise


# ---- arguments --------------------------------------------------------------------------------------------------------------------------


BATCH_ARGUMENTS = (*(name for name in inspect.signature(solve_ivp_batch).parameters if name != "options"), *ARGUMENTS)


def _starts(y0: Any, batch_args: Any, batch: bool) -> tuple[Array, Any]:
    """Starts (m, *shape), and each trajectory's own arguments: an array (m, p) for a function for blocks, else tuples."""
    starts = check_start(y0, "y0")
    extra: Any = None
    if batch_args is not None:
        try:
            count = len(batch_args)
        except TypeError:
            raise TypeError(f"batch_args: expected a sequence with an entry for each trajectory, got {type(batch_args).__name__}") from None
        if starts.ndim == 1:
            starts = np.repeat(starts[None], count, axis=0)
        if starts.ndim and count != len(starts):
            raise ValueError(f"batch_args: expected {len(starts)} entries, one for each trajectory of y0, got {count}")
        if batch:
            extra = check_start(batch_args, "batch_args")
            if extra.ndim not in (1, 2):
                raise ValueError(f"batch_args: expected an array of shape (m, p) with batch=True, got shape {extra.shape}")
            extra = extra.reshape(count, -1) if count else np.empty((0, 0))
        else:
            extra = [tuple(one) if isinstance(one, (tuple, list, np.ndarray)) and np.ndim(one) else (one,) for one in batch_args]
    if starts.ndim < 2:
        fix = "for one number a trajectory give y0[:, None]" if starts.ndim else "one start for all trajectories needs batch_args"
        raise ValueError(f"y0: expected an array of shape (m, n), got shape {starts.shape}; {fix}")
    return starts, extra


def _check_block(fun: Any, starts: Array, extra: Any) -> None:
    """A function for blocks that knows its sizes reads past the block where they are others."""
    check_size(fun, "fun", starts.shape[1])
    n_args = getattr(fun, "n_args", None)
    given = 0 if extra is None else extra.shape[1]
    if n_args is not None and given != n_args:
        raise ValueError(f"batch_args: expected {n_args} for each trajectory, as the function has them, got {given}")


def _spans(t_span: Any, count: int) -> tuple[Array, Array, bool]:
    """Start and end of every trajectory, and whether each has its own."""
    try:
        spans = real_array(t_span, "t_span")
    except (TypeError, ValueError):
        raise TypeError(f"t_span: expected two numbers (t0, t_end), or an array of shape (m, 2), got {shown(t_span)}") from None
    if spans.shape == (2,):
        first, last = (check_number(value, f"t_span[{k}]") for k, value in enumerate(spans))
        return np.full(count, first), np.full(count, last), False
    if spans.shape != (count, 2):
        raise ValueError(f"t_span: expected (t0, t_end), or a span for each trajectory, of shape ({count}, 2), got shape {spans.shape}")
    if not np.all(np.isfinite(spans)):
        raise ValueError("t_span: expected finite times, got NaN or an infinity")
    return spans[:, 0].copy(), spans[:, 1].copy(), True


def _times(t_eval: Any, t0: Array, t1: Array) -> Array:
    """``t_eval``, inside every trajectory's span and in its direction."""
    if not t0.size:
        return np.array(t_eval, dtype=np.float64)
    if np.all(t0 == t0[0]) and np.all(t1 == t1[0]):
        return check_times(t_eval, float(t0[0]), float(t1[0]))
    back = bool(np.any(t1 < t0))
    if back and np.any(t1 > t0):
        raise ValueError("t_eval: expected spans of one direction, got some forwards and some backwards")
    first, last = (float(t0.min()), float(t1.max())) if back else (float(t0.max()), float(t1.min()))
    if (last < first) != back and last != first:
        raise ValueError("t_eval: expected spans with a time in common, got none")
    return check_times(t_eval, first, last)


# ---- the result -------------------------------------------------------------------------------------------------------------------------


def _result(task: Task, columns: Columns) -> IVPBatchResult:
    at_times = task.times is not None
    extras = {name: columns.extras.get(name) for name in EXTRAS if name in columns.extras or name in EXTRAS[:3]}
    counts = {name: columns.counts[:, k] for k, name in enumerate(COUNTS)}
    return IVPBatchResult(
        t=task.times if at_times else columns.t, y=columns.y, reached=columns.reached, success=bool(np.all(columns.status >= 0)),
        status=columns.status, reason=columns.reason, message=_summary(task, columns), messages=columns.messages, doubts=columns.doubts,
        errors=columns.errors, **counts, **extras, at_times=at_times,
    )  # fmt: skip


def _summary(task: Task, columns: Columns) -> str:
    """The batch in words: how many trajectories finished, and which did not, by reason."""
    total = len(columns.reason)
    tally = Counter(columns.reason) if columns.reason.count("finished") < total else Counter(finished=total)
    if total and tally["event"] == total:
        return f"{total} of {total} trajectories ended at an event (trajectory 0: {columns.messages[0]})"
    parts = [f"{tally.pop('finished', 0)} of {total} trajectories finished"]
    for reason, count in tally.items():
        members = [k for k, one in enumerate(columns.reason) if one == reason]
        named = ", ".join(map(str, members[:NAMED])) + (", ..." if count > NAMED else "")
        which = f"trajector{'ies' if count > 1 else 'y'} {named}"
        parts.append(f"{count} {reason} ({which}: {columns.messages.get(members[0], 'not begun')})")
    if failed := [k for k in columns.errors if columns.reason[k] == "finished"]:
        error, which = columns.errors[failed[0]], f"trajector{'ies' if len(failed) > 1 else 'y'} {', '.join(map(str, failed[:NAMED]))}"
        parts.append(f"{len(failed)} without outputs ({which}{', ...' if len(failed) > NAMED else ''}: {type(error).__name__}: {error})")
    if tally["rhs_failed"] == total > 1 and _one_each(task):
        parts.append("args= goes to every trajectory as it is; give what each has of its own by batch_args=, one entry a trajectory")
    return "; ".join(parts)


def _one_each(task: Task) -> bool:
    """Whether the arguments that are common to all look like one for each trajectory."""
    count = len(task.starts)
    return len(task.args) == count or any(np.shape(one)[:1] == (count,) for one in task.args if isinstance(one, list | tuple | np.ndarray))
