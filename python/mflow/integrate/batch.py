"""`solve_ivp_batch`: many trajectories of one equation, each with its own step, events and ending.

Three ways to the same result. A Python function: lane after lane, each a run of `solve_ivp`. A compiled one: the same, on threads. A
compiled function for lanes: blocks of lanes through the core's vectorised loops, on threads. An executor takes any of them to other
processes or machines, in pieces that are pickled. Here are the arguments and the result; the work is in ensemble.py.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent import futures
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mflow.base.checks import Array, check_number, check_start, check_times
from mflow.base.methods import Method
from mflow.base.result import IVPResult, Result, attach
from mflow.integrate.ensemble import COUNTS, Bar, Columns, LaneFunction, Task, run_here, run_on

__all__ = ["IVPBatchResult", "solve_ivp_batch"]

NAMED = 5  # lanes that a message names


class IVPBatchResult(Result):
    """Result of `mflow.solve_ivp_batch`. ``result[l]`` is lane l as an IVPResult.

    t : float64 array (m,), the times of ``t_eval``; without it (lanes,), where each lane ended.
    y : float64 array (lanes, *shape, m), NaN from where a lane ended early; without ``t_eval`` (lanes, *shape), the last good states.
    reached : int array (lanes,): how many of the times each lane has (1 without ``t_eval``).
    success : whether every lane reached its end or was stopped by an event.
    status : int array (lanes,), as in `IVPResult`. reason : list of str, a lane each.
    message : what happened to the batch, in words. messages : dict, the words of each lane that did not simply finish.
    errors : dict, the exception of each lane whose function raised one.
    nfev, njev, nlu, nsteps, nrejected : int arrays (lanes,).
    t_events, y_events, sol : lists, a lane each, as in `IVPResult`; None where not asked for.
    """

    t: Array
    y: Array
    reached: NDArray[np.int64]
    success: bool
    status: NDArray[np.int64]
    reason: list[str]
    message: str
    messages: dict[int, str]
    errors: dict[int, BaseException]
    nfev: NDArray[np.int64]
    njev: NDArray[np.int64]
    nlu: NDArray[np.int64]
    nsteps: NDArray[np.int64]
    nrejected: NDArray[np.int64]

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, (int, np.integer)) and not isinstance(key, bool):
            return self._lane(int(key))
        return super().__getitem__(key)

    def _lane(self, lane: int) -> IVPResult:
        count = len(self.reason)
        if not -count <= lane < count:
            raise IndexError(f"lane {lane} of a batch of {count}")
        lane %= count
        if self.at_times:
            points = int(self.reached[lane])
            t, y = self.t[:points], self.y[lane][..., :points]
        else:
            t, y = self.t[lane : lane + 1], self.y[lane][..., None]
        own = {name: self[name] and self[name][lane] for name in ("sol", "t_events", "y_events")}
        counts = {name: int(self[name][lane]) for name in COUNTS}
        status, reason = int(self.status[lane]), self.reason[lane]
        message = self.messages.get(lane, f"reached the end in {counts['nsteps']} steps")
        return IVPResult(t=t, y=y, **own, **counts, status=status, reason=reason, message=message, success=status >= 0)


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
    **options: Any,
) -> IVPBatchResult:
    """Integrate y' = fun(t, y) from many starts. Every lane owns its step, its events and its ending.

    Parameters
    ----------
    fun : callable
        As in `mflow.solve_ivp`, for the state of one lane: a Python function (lanes run one after the other), or a compiled one (lanes
        run on threads). With ``batch=True``, a compiled function for a whole block of lanes, called without the GIL:
        ``int (const double *t, const double *y, double *dydt, ptrdiff_t n, ptrdiff_t lanes, void *ctx)``, where component i of lane l
        is ``y[i*lanes + l]`` and its time ``t[l]``; `lanes` is a multiple of 8, and some columns may be copies of others. It is the
        fast way: the inner loop over l vectorises. It must be safe to call from several threads. A lane in a place where there is
        no slope says so by NaN; a code other than 0 ends every lane of the block with ``reason="rhs_failed"``.
    t_span : (t0, t_end), or array_like (lanes, 2)
        One span for all, or one for each.
    y0 : array_like of real numbers (lanes, *shape)
        (lanes, n) where ``batch=True``. One start (n,) serves all lanes where ``batch_args`` says how many there are.
    method : name or instance
        As in `mflow.solve_ivp`: "dopri5" under error control and "rk4" where dt is given, if left away.
    t_eval : array_like (m,), optional
        Times to save at, common to all lanes. Without it the last state of each lane is kept.
    args : tuple
        Further arguments, the same for every lane.
    batch_args : sequence with an entry a lane, optional
        Its own further arguments, after ``args``: ``fun(t, y, *args, *batch_args[l])``; an entry that is no sequence counts as one
        argument. With ``batch=True`` numbers, an array (lanes, p): parameter j of lane l stands behind the state, at
        ``y[(n + j)*lanes + l]``.
    dt, rtol, atol, events
        As in `mflow.solve_ivp`. Functions for lanes take no events.
    batch : bool
        Whether fun is a compiled function for lanes; never guessed.
    threads : int, optional
        Threads for compiled functions; the processor's number of cores if not given. Results do not depend on it.
    executor : concurrent.futures.Executor, optional
        A process pool, Dask's ``client.get_executor()``, mpi4py's ``MPIPoolExecutor``: lanes go there in pieces, and what they need is
        pickled. Lanes of a piece that is lost, with a worker for instance, end with ``reason="executor_failed"``; the others stay.
    progress : bool
        A progress bar on stderr, where tqdm is installed.
    **options
        What else `mflow.solve_ivp` takes (``inplace``, ``jac``, ``first_step``, ``max_steps``, ...), and the method's parameters.

    Returns
    -------
    IVPBatchResult
        An exception that fun raises ends its lane, with ``reason="rhs_failed"`` and the exception in ``errors``; the other lanes go on.

    Raises
    ------
    TypeError, ValueError
        An argument does not fit; the text names it. KeyboardInterrupt comes through, with what was computed as its ``partial_result``.

    Notes
    -----
    A lane's bits do not depend on the number of lanes, their order, or threads. With fixed steps on a common span a function for lanes
    gives the bits that the same formula gives in `solve_ivp`; with steps of their own, lanes round differently (K = h f).

    Examples
    --------
    >>> import mflow, numpy as np
    >>> r = mflow.solve_ivp_batch(lambda t, y, k: -k * y, (0, 1), [[1.0], [1.0]], "rk4", dt=0.01, batch_args=[1.0, 2.0])
    >>> r.success, np.round(r.y[:, 0], 6).tolist()
    (True, [0.367879, 0.135335])
    """
    starts, extra = _starts(y0, batch_args, batch)
    t0, t1, own = _spans(t_span, len(starts))
    times = None if t_eval is None else _times(t_eval, t0, t1)
    if batch and (starts.ndim != 2 or args):
        if args:
            raise TypeError("args: a function for lanes is compiled; put what is common into its user data, what differs into batch_args")
        raise ValueError(f"y0: shape {starts.shape} came; with batch=True (lanes, n) is wanted")
    if threads is not None and (isinstance(threads, bool) or int(threads) != threads or threads < 1):
        raise ValueError(f"threads = {threads!r}: a whole number from 1 on is wanted")
    if executor is not None and not callable(getattr(executor, "submit", None)):
        raise TypeError(f"executor: a concurrent.futures.Executor is wanted (something with submit), not {type(executor).__name__}")
    taken = {"save", "save_every", "checkpoint", "checkpoint_every", "resume"} & set(options)
    if taken:
        raise TypeError(f"{min(taken)}: a batch does not take it; t_eval says what to keep")
    options |= {name: value for name, value in (("rtol", rtol), ("atol", atol), ("events", events)) if value is not None}
    args = tuple(args) if isinstance(args, (tuple, list)) else (args,)
    task = Task(LaneFunction(fun) if batch else fun, starts, t0, t1, own, extra, method, times, dt, args, options)
    columns = Columns.of(task)
    try:
        with Bar(len(starts), progress) as bar:
            if executor is not None:
                run_on(executor, task, columns, bar)
            else:
                run_here(task, columns, threads, bar)
    except BaseException as error:
        attach(error, _result(task, columns), "in mflow.solve_ivp_batch; .partial_result holds the lanes that were done")
        raise
    return _result(task, columns)


# ---- arguments --------------------------------------------------------------------------------------------------------------------------


def _starts(y0: Any, batch_args: Any, batch: bool) -> tuple[Array, Any]:
    """Starts (lanes, *shape), and each lane's own arguments: an (lanes, p) array for a function for lanes, else tuples."""
    starts = check_start(y0, "y0")
    extra: Any = None
    if batch_args is not None:
        try:
            count = len(batch_args)
        except TypeError:
            raise TypeError(f"batch_args: a sequence with an entry a lane is wanted, not {type(batch_args).__name__}") from None
        if starts.ndim == 1:
            starts = np.repeat(starts[None], count, axis=0)
        if starts.ndim and count != len(starts):
            raise ValueError(f"batch_args has {count} entries, y0 {len(starts)} lanes: one entry a lane is wanted")
        if batch:
            extra = check_start(batch_args, "batch_args")
            if extra.ndim not in (1, 2):
                raise ValueError(f"batch_args: shape {extra.shape} came; with batch=True (lanes, p) is wanted")
            extra = extra.reshape(count, -1) if count else np.empty((0, 0))
        else:
            extra = [tuple(one) if isinstance(one, (tuple, list, np.ndarray)) and np.ndim(one) else (one,) for one in batch_args]
    if starts.ndim < 2:
        fix = "for one number a lane give y0[:, None]" if starts.ndim else "one start for all lanes needs batch_args"
        raise ValueError(f"y0: shape {starts.shape} came; (lanes, n) is wanted: {fix}")
    return starts, extra


def _spans(t_span: Any, count: int) -> tuple[Array, Array, bool]:
    """Start and end of every lane, and whether each has its own."""
    try:
        spans = np.asarray(t_span, dtype=np.float64)
    except (TypeError, ValueError):
        raise TypeError(f"t_span = {t_span!r}: two numbers (t0, t_end), or an array (lanes, 2), are wanted") from None
    if spans.shape == (2,):
        first, last = (check_number(value, f"t_span[{k}]") for k, value in enumerate(spans))
        return np.full(count, first), np.full(count, last), False
    if spans.shape != (count, 2):
        raise ValueError(f"t_span: shape {spans.shape} came; (t0, t_end), or one span a lane, ({count}, 2), is wanted")
    if not np.all(np.isfinite(spans)):
        raise ValueError("t_span: every time must be finite")
    return spans[:, 0].copy(), spans[:, 1].copy(), True


def _times(t_eval: Any, t0: Array, t1: Array) -> Array:
    """``t_eval``, inside every lane's span and in its direction."""
    if not t0.size:
        return np.array(t_eval, dtype=np.float64)
    if np.all(t0 == t0[0]) and np.all(t1 == t1[0]):
        return check_times(t_eval, float(t0[0]), float(t1[0]))
    back = bool(np.any(t1 < t0))
    if back and np.any(t1 > t0):
        raise ValueError("t_eval: some lanes run forwards and some backwards; times for all need one direction")
    first, last = (float(t0.min()), float(t1.max())) if back else (float(t0.max()), float(t1.min()))
    if (last < first) != back and last != first:
        raise ValueError("t_eval: the lanes' spans have no time in common")
    return check_times(t_eval, first, last)


# ---- the result -------------------------------------------------------------------------------------------------------------------------


def _result(task: Task, columns: Columns) -> IVPBatchResult:
    at_times = task.times is not None
    extras = {name: columns.extras.get(name) for name in ("sol", "t_events", "y_events")}
    counts = {name: columns.counts[:, k] for k, name in enumerate(COUNTS)}
    return IVPBatchResult(
        t=task.times if at_times else columns.t, y=columns.y, reached=columns.reached, success=bool(np.all(columns.status >= 0)),
        status=columns.status, reason=columns.reason, message=_summary(columns), messages=columns.messages, errors=columns.errors,
        **counts, **extras, at_times=at_times,
    )  # fmt: skip


def _summary(columns: Columns) -> str:
    """The batch in words: how many lanes finished, and which did not, by reason."""
    count = len(columns.reason)
    reasons: dict[str, list[int]] = {}
    for lane, reason in enumerate(columns.reason):
        reasons.setdefault(reason, []).append(lane)
    parts = [f"{len(reasons.pop('finished', []))} of {count} lanes finished"]
    for reason, those in reasons.items():
        named = ", ".join(map(str, those[:NAMED])) + (", ..." if len(those) > NAMED else "")
        parts.append(f"{len(those)} {reason} (lane{'s' if len(those) > 1 else ''} {named}: {columns.messages.get(those[0], 'not begun')})")
    return "; ".join(parts)
