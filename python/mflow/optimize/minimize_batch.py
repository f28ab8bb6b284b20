"""`minimize_batch`: many minimisations by one optimizer, each from its own start, over its own data if given, with its own ending.

All of it runs in the core (`mflow_core.lanes.lane_descent`), without Python and without the GIL. Here are the arguments and the result.
"""

from __future__ import annotations

import inspect
import math
import threading
from concurrent import futures
from typing import TYPE_CHECKING, Any, NamedTuple, Unpack, overload

import numpy as np
from mflow_core.lanes import lane_descent, line_lanes
from mflow_core.objectives.objective import Objective
from mflow_core.optimize import line_descent as searches
from mflow_core.problems.signatures import is_compiled
from numpy.typing import NDArray

from mflow.base.checks import Array, as_array, check_flags, check_instance, check_number, check_whole, shown
from mflow.base.executors import Lost, check_executor, in_pieces
from mflow.base.methods import Method, as_method, refuse_unknown
from mflow.base.progress import Progress
from mflow.base.result import OptimizeResult, Result, attach
from mflow.base.tables import frame
from mflow.base.telling import Told, counted, heard, tell_of_members
from mflow.base.threads import processors
from mflow.curvature.landscape import GTOL, gradient_of
from mflow.derivatives.differences import FALL, SLOPED, STEEP, UNLIKE
from mflow.derivatives.own_units import allows
from mflow.implicit.batch import Implicit, ImplicitDescents, check_squares, data_of
from mflow.implicit.linear import RECORD, is_implicit_sgd
from mflow.integrate.ensemble import on_threads
from mflow.optimize.directions import OWN, direction_of, lengths_of, minimizers
from mflow.optimize.doubts import Doubts
from mflow.optimize.line_descent import overflow_text
from mflow.optimize.linesearch import LineSearch
from mflow.optimize.minimize import minimize
from mflow.optimize.step_size import resolve

if TYPE_CHECKING:
    from mflow.base._records import MinimizeBatchOptions

__all__ = ["MinimizeBatchResult", "minimize_batch"]

PIECE = 256  # members that a thread takes at a time
OVERFLOWED = lane_descent.ENDINGS["overflowed"]
REASONS = {**{code: name for name, code in lane_descent.ENDINGS.items()}, OVERFLOWED: "non_finite"}
STATUS = {"converged": 0, "max_iter": 1}


class MinimizeBatchResult(Result):
    """Result of `mflow.minimize_batch`. ``result[k]`` is member k as an OptimizeResult.

    x : float64 array (members, *shape), the last point of each member whose cost and gradient were finite (its start, if there was none).
    fun, gmax : float64 arrays (members,), the cost there and the largest entry of its gradient (times x_scale where that is given); NaN if
        there was none.
    nit, nfev : int arrays (members,); nfev counts all evaluations of a member that was begun again alone, as its note says then.
    reason : list of str, one a member: "converged", "max_iter", "non_finite", "diverged", "line_search_failed", "rhs_failed",
        "executor_failed", "interrupted", and what `mflow.minimize` says of a member that it took further.
    notes : dict of str, its message by the member's number.
    overflowed : bool array (members,), where it is the square of a gradient in the method that is not finite.
    status : int array (members,): 0 converged, 1 iteration limit, -1 the rest.
    success : whether every member converged. message : what happened to the batch, in words.
    method : the Method.

    See Also
    --------
    mflow.minimize_batch, mflow.OptimizeResult

    Examples
    --------
    >>> import mflow
    >>> f = mflow.objectives.Rosenbrock(2)
    >>> r = mflow.minimize_batch(f, [[-1.2, 1.0], [0.0, 0.0]], "lbfgs")
    >>> r.x.shape, r.reason, r[0].reason
    ((2, 2), ['converged', 'converged'], 'converged')
    """

    x: Array
    fun: Array
    gmax: Array
    nit: NDArray[np.int64]
    nfev: NDArray[np.int64]
    reason: list[str]
    notes: dict[int, str]
    overflowed: NDArray[np.bool_]
    status: NDArray[np.int64]
    success: bool
    message: str
    method: Method

    @overload
    def __getitem__(self, key: int) -> OptimizeResult: ...
    @overload
    def __getitem__(self, key: str) -> Any: ...
    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, (int, np.integer)) and not isinstance(key, bool):
            return self._member(range(len(self.reason))[int(key)])
        return super().__getitem__(key)

    def to_frame(self) -> Any:
        """A pandas DataFrame with a row a member: x[0], x[1], ..., fun, gmax, nit, nfev, reason. ImportError without pandas."""
        x = self.x.reshape(len(self.reason), -1)
        points = {f"x[{j}]": x[:, j] for j in range(x.shape[1])}
        return frame({**points, **{name: self[name] for name in ("fun", "gmax", "nit", "nfev", "reason")}})

    def _member(self, k: int) -> OptimizeResult:
        status, reason = int(self.status[k]), self.reason[k]
        nit, gmax = int(self.nit[k]), float(self.gmax[k])
        message = self.notes.get(k, f"{reason} after {counted(nit, 'iteration')}")
        message = overflow_text(self.method, nit, gmax) if self.overflowed[k] else message
        return OptimizeResult(
            x=self.x[k].copy(), fun=float(self.fun[k]), gmax=gmax, nit=nit,
            nfev=int(self.nfev[k]), success=status == 0, status=status, reason=reason,
            message=message, method=self.method,
        )  # fmt: skip


def minimize_batch(
    fun: Any,
    starts: Any,
    method: str | Method = "adam",
    *,
    batch_data: dict[str, Any] | None = None,
    line_search: str | LineSearch | dict[str, Any] | None = None,
    maxiter: int = 10_000,
    gtol: float | None = None,
    x_scale: Any = None,
    threads: int | None = None,
    executor: futures.Executor | None = None,
    progress: bool = False,
    jac: Any = None,
    data: Any = None,
    batch_size: int = 1,
    shuffle: bool = True,
    seed: Any = None,
    **parameters: Unpack[MinimizeBatchOptions],
) -> MinimizeBatchResult:
    """Minimise a compiled cost from many starts, or many costs of one family.

    Parameters
    ----------
    fun : `mflow.objectives.Objective`, another compiled cost, or a list of them, one a member
        As in `mflow.minimize`. A function must be safe to call from several threads.
    starts : array_like (members, *shape)
        The start of each member; ``np.broadcast_to(f.x0, (members, f.n))`` for one in common.
    method : name or instance
        An optimizer; its parameters by name. lr may be a function of the iteration number. Or "lbfgs", "bfgs", "cg", "trust_ncg". Or
        "implicit_sgd" for nonlinear least squares: a member is ``ImplicitSGD(residual=fun, **parameters)`` from its own start, an
        iteration one pass over the data, and the cost the mean of r^2/2 and the penalties l1 and l2.
    line_search
        As in `mflow.minimize`.
    batch_data : dict of array_like (members, ...), optional
        Data of an objective, a set for each member, by the names of its arguments: ``{"y": Y}`` fits one table X to many labels, Y
        (members, m);
        ``{"X": ..., "y": ...}``; for `Quadratic` ``{"A": ..., "b": ...}``; for a function that returns residuals ``{"data": ...}``.
    maxiter, gtol
        As in `mflow.minimize`, for each member: where gtol (1e-5) was not given and is too large for the units of cost and x, members with
        a search go on, and others end as "not_a_minimum". gtol = 0 or below never converges but at a gradient of exactly 0.
    x_scale
        As in `mflow.minimize`, of all members; where it is not given, a member whose search fails is taken further as there.
    threads : int, optional
        The processors that this process may use if not given. Results do not depend on it.
    executor : concurrent.futures.Executor, optional
        Where pieces of the batch are run; what they need is pickled. A piece that is lost ends with ``reason="executor_failed"``.
    progress : bool
        A progress bar on stderr, where tqdm is installed.
    jac, data : callable or name, and an array or a tuple of arrays whose first axis is samples
        For "implicit_sgd" alone, where fun is no objective: as in `mflow.train`, fun(params, *batch) returns the residuals (b,) of a batch
        of rows, and jac their Jacobian (b, n), or is "jax", "autograd", "torch" or "cs". Of a function from
        ``mflow.compile(kind="residual")``, which has its Jacobian, data alone.
    batch_size, shuffle, seed
        For "implicit_sgd": rows in a step, and the order of each pass, which is the same for every member, whatever seed is; as
        `mflow.ImplicitSGD.fit`.
    **parameters
        The method's own.

    Returns
    -------
    MinimizeBatchResult
        A member has the bits that `mflow.minimize` gives it alone, or for "implicit_sgd" `mflow.ImplicitSGD`.

    Raises
    ------
    TypeError, ValueError
        An argument does not fit; the text names it. KeyboardInterrupt is passed on, with the members that were done as its
        ``partial_result``.

    See Also
    --------
    mflow.minimize, mflow.sweep

    Examples
    --------
    >>> import mflow, numpy as np
    >>> f = mflow.objectives.Rosenbrock(2)
    >>> r = mflow.minimize_batch(f, np.random.default_rng(0).uniform(-2, 2, (100, 2)), "adam", lr=0.05, gtol=1e-4)
    >>> r.success, bool(np.max(np.abs(r.x - 1)) < 1e-3)
    (True, True)
    >>> valley = mflow.objectives.mgh("rosenbrock_valley")  # two residuals in a batch, whatever lr is
    >>> starts = np.random.default_rng(0).uniform(-2, 2, (100, 2))
    >>> r = mflow.minimize_batch(valley, starts, "implicit_sgd", lr=1e3, batch_size=2)
    >>> r.success, bool(np.max(np.abs(r.x - 1)) < 1e-3)
    (True, True)
    """
    check_flags(progress=progress)
    if not isinstance(batch_data, dict | None):
        raise TypeError(f"batch_data: expected a dict of arrays by name, got {shown(batch_data)}")
    points = starts_of_batch(starts)
    limit = check_whole(maxiter, "maxiter")
    workers = processors() if threads is None else check_whole(threads, "threads", 1)
    check_executor(executor)
    if isinstance(fun, (list, tuple)) and len(fun) != len(points):
        raise ValueError(f"fun: expected one cost for each of the {len(points)} starts, got {len(fun)}")
    rows = {"jac": jac, "data": data, "batch_size": batch_size, "shuffle": shuffle, "seed": seed}
    tables: Any = None
    search: Any
    rates = None
    given = method, line_search, {**parameters, "x_scale": x_scale}
    if is_implicit_sgd(method):
        method, search, tables = _implicit(method, line_search, {**parameters}, fun, batch_data, points, **rows)
    else:
        _refuse_rows(fun, method, rows)
        method, search, schedule = _chosen(method, line_search, {**parameters})
        rates = None if schedule is None else np.array([check_number(schedule(k), f"lr({k})") for k in range(limit)])
    scale = lengths_of(x_scale, np.empty(points.shape[1:]), method, isinstance(search, dict))
    if isinstance(search, dict):
        search["scale"] = None if scale is None else scale.ravel()
    if tables is None:
        tables = data_for_batch(fun, batch_data, len(points))
    threshold = check_number(GTOL if gtol is None else gtol, "gtol")
    alone = given if isinstance(search, dict) else None
    task = _Task(method, search, fun, points, limit, threshold, gtol is None, tables, rates, alone)
    note = f"{{:.0f}} of {len(points)} members".format
    with Progress(0.0, float(len(points)), "minimize_batch", note=note, shown=progress) as bar:
        if executor is not None:
            return _on_executor(executor, task, bar)
        return _here(task, workers, bar)


ARGUMENTS = (*(name for name in inspect.signature(minimize_batch).parameters if name != "parameters"), "lr", "dt", "friction")


# ---- arguments --------------------------------------------------------------------------------------------------------------------------


def starts_of_batch(value: Any) -> Array:
    """(members, *shape), real; a member whose start is not finite ends at once, as the others may be sound."""
    points = as_array(value, "starts")
    if points.dtype.kind not in "biuf":
        raise TypeError(f"starts: expected real numbers, got dtype {points.dtype}")
    if points.ndim < 2:
        raise ValueError(f"starts: expected an array of shape (members, n), got shape {points.shape}")
    return np.ascontiguousarray(points, dtype=np.float64)


def _chosen(method: str | Method, line_search: Any, parameters: dict[str, Any]) -> tuple[Method, dict[str, Any] | None, Any]:
    """(method, the search's kind and rule as the core takes them or None, schedule of lr or None)."""
    method = as_method(method, {}, fits=minimizers)
    refuse_unknown("minimize_batch", parameters, method, ARGUMENTS, OWN)
    for name in ("lr", "dt", "momentum", "friction"):
        if isinstance(parameters.get(name), str):
            raise ValueError(
                f"{name}: expected a number{' or a function of the iteration' if name in ('lr', 'dt') else ''} in a batch, got "
                f'{parameters[name]!r}; mflow.minimize measures along the way with lr="auto", one start at a time'
            )
    if method.kind == "direction" or line_search is not None:
        chosen = LineSearch.of("strong_wolfe" if line_search is None else line_search)
        method, first = direction_of(method, parameters, chosen.kind)
        return method, {"kind": searches.KINDS[chosen.kind], "rule": {**chosen.rule(), "first_try": first}}, None
    method, _, schedule = resolve(method, parameters)
    if method.kind != "update":
        raise ValueError(f"method: expected an optimizer of mflow.optim, got {method.name}, which is no optimizer")
    return method, None, schedule


def _implicit(
    method: str | Method, line_search: Any, parameters: dict[str, Any], fun: Any, batch_data: dict[str, Any] | None, points: Array, *,
    jac: Any, data: Any, batch_size: int, shuffle: bool, seed: Any,
) -> tuple[Method, Implicit, Any]:  # fmt: skip
    """(implicit SGD, what `ImplicitDescents` wants to know, the data of a function, a set for each member; None of objectives)."""
    if line_search is not None:
        raise TypeError(f"line_search: expected none for {RECORD.name}, whose steps are solved; omit it")
    given = {**(method.given if isinstance(method, Method) else {}), **parameters}
    known = {p[0] for p in RECORD.parameters_}
    common, tables = None, None
    if isinstance(fun, (list, tuple, Objective)):
        if data is not None or jac is not None:
            raise TypeError("data, jac: expected none, as objectives hold their data and have their Jacobian; omit them")
        check_squares(fun, points)
    else:
        common, tables = data_of(fun, jac, data, batch_data, len(points))
    chosen = as_method(RECORD.name, {k: v for k, v in given.items() if k in known})
    return chosen, Implicit.checked(given, jac, common, batch_size, shuffle, seed), tables


def _refuse_rows(fun: Any, method: str | Method, rows: dict[str, Any]) -> None:
    """TypeError for arguments of implicit SGD beside another method."""
    usual = {"data": None, "jac": None, "batch_size": 1, "shuffle": True, "seed": None}
    given = [name for name, value in usual.items() if rows[name] is not value]
    if given and not isinstance(fun, (list, tuple, Objective)) and callable(fun) and not is_compiled(fun):
        raise TypeError(
            f"fun: expected a compiled cost (mflow.objectives, numba cfunc, LowLevelCallable), got {type(fun).__name__}; minimise a Python "
            "function from one start after the other with mflow.minimize, which takes jac"
        )
    if given:
        raise TypeError(f'{given[0]}: it belongs to method="{RECORD.name}", got method {method!r}; omit it')


def data_for_batch(fun: Any, given: dict[str, Any] | None, members: int) -> tuple[Array | None, Array | None]:
    """The arrays that replace the objective's X and y, a set for each member."""
    if given is None:
        return None, None
    check_instance(given, "batch_data", dict, "a dict of arrays that replace the objective's, a set for each member")
    if not given:
        return None, None
    if not isinstance(fun, Objective):
        raise TypeError(f"batch_data: it is for one objective of mflow.objectives, got {type(fun).__name__}; give a list of costs instead")
    return fun.data_for_batch(given, members)


# ---- the work ---------------------------------------------------------------------------------------------------------------------------


class _Task(NamedTuple):
    """What the members are to do. usual : whether nobody gave gtol. data : the arrays that replace the objective's X and y. alone : the
    method, the search and the parameters that `minimize` takes a member further with, where there is a search."""

    method: Method
    search: Any
    fun: Any
    starts: Array
    limit: int
    gtol: float
    usual: bool
    data: Any
    rates: Array | None
    alone: tuple[Any, Any, dict[str, Any]] | None

    def part(self, part: slice) -> _Task:
        """The same for some of the members."""
        costs = self.fun[part] if isinstance(self.fun, (list, tuple)) else self.fun
        data = tuple(None if one is None else one[part] for one in self.data)
        return self._replace(fun=costs, starts=self.starts[part], data=data)


class Work:
    """The members, and the next ones to be taken by a thread."""

    def __init__(self, task: _Task) -> None:
        self.task, self.shape = task, task.starts.shape
        self.reasons: dict[int, str] = {}
        self.notes: dict[int, str] = {}
        self.told: dict[Told, list[int]] = {}
        self.lock, self.next, self.done, self.stopped = threading.Lock(), 0, 0, False
        record, costs = task.method.record, list(task.fun) if isinstance(task.fun, (list, tuple)) else task.fun
        flat = task.starts.reshape(len(task.starts), math.prod(self.shape[1:]))
        self.core: lane_descent.Descents | line_lanes.LineDescents | ImplicitDescents
        if isinstance(task.search, Implicit):
            self.core = ImplicitDescents(costs, task.search, task.starts, task.limit, task.gtol, task.data)
            return
        (table, labels), numbers = task.data, task.method.numbers
        if task.search is None:
            self.core = lane_descent.Descents(record, costs, flat, task.limit, task.gtol, numbers, table, labels, task.rates)
        else:
            self.core = line_lanes.LineDescents(record, costs, flat, task.limit, task.gtol, numbers, **task.search, X=table, y=labels)

    def work(self) -> None:
        """Piece after piece, until none is left or `stop` is called."""
        while True:
            with self.lock:
                first, self.next = self.next, min(self.next + PIECE, self.shape[0])
            if first >= self.shape[0]:
                return
            self.core.work(first, min(first + PIECE, self.shape[0]))
            if not isinstance(self.core, ImplicitDescents):
                self._look(self.core, first, min(first + PIECE, self.shape[0]))
            with self.lock:
                self.done += min(PIECE, self.shape[0] - first)

    def _look(self, core: Any, lo: int, hi: int) -> None:
        """At members whose ending `minimize` may not leave as it is: searches that failed, and where nobody gave gtol, gradients that are
        small and were hardly larger at the start."""
        code, gmax, first = (values[lo:hi] for values in (core.code, core.gmax, core.first))
        share = STEEP if self.task.alone is None else SLOPED
        small = (code == lane_descent.ENDINGS["converged"]) & (gmax >= share * first) & (gmax > 0.0) & self.task.usual
        failed = (code == lane_descent.ENDINGS["line_search_failed"]) & (self.task.gtol > 0.0)
        units = np.zeros(hi - lo, bool)
        if self.task.usual and self.task.alone is not None:
            sizes = np.abs(core.x[lo:hi])
            most, least = np.max(sizes, axis=1, initial=0.0), np.min(np.where(sizes > 0.0, sizes, math.inf), axis=1, initial=math.inf)
            apart = (most >= UNLIKE * least) | ~((most > 1.0 / UNLIKE) & (most < UNLIKE))
            units = (code == lane_descent.ENDINGS["converged"]) & apart & (gmax > 0.0) & ~small
        for k in (lo + np.flatnonzero(small | failed | units)).tolist():
            if self.stopped:
                self.reasons[k] = "interrupted"
                continue
            if units[k - lo] and not self._pulls(core, k):
                continue
            with heard() as words:
                if self.task.alone is None:
                    self._doubt(core, k)
                else:
                    self._alone(core, k, *self.task.alone)
            with self.lock:
                for one in words:
                    self.told.setdefault(one, []).append(k)

    def _cost(self, k: int) -> Any:
        """The cost of member k."""
        fun, (table, labels) = self.task.fun, self.task.data
        cost = fun[k] if isinstance(fun, (list, tuple)) else fun
        if table is None and labels is None:
            return cost
        return cost._on(None if table is None else table[k], None if labels is None else labels[k])

    def _alone(self, core: Any, k: int, method: Any, line_search: Any, parameters: dict[str, Any]) -> None:
        """Member k by `minimize`, which goes the same way and on from there."""
        before = int(core.nit[k] + 1 + core.extra[k])
        one = minimize(
            self._cost(k), self.task.starts[k], method=method, line_search=line_search, maxiter=self.task.limit,
            gtol=None if self.task.usual else self.task.gtol, callback=lambda intermediate_result: self.stopped, **parameters,
        )  # fmt: skip
        if one.reason == "callback":
            self.reasons[k] = "interrupted"
            core.extra[k] += one.nfev
            return
        units = 1.0 if parameters["x_scale"] is None else one["x_scale"]
        core.x[k], core.fun[k], core.gmax[k] = one.x.ravel(), one.fun, np.max(np.abs(units * one.jac), initial=0.0)
        core.nit[k], core.extra[k] = one.nit, before + one.nfev - one.nit - 1
        self.reasons[k] = one.reason
        self.notes[k] = f"{one.message}; it was begun again alone, and nfev counts the {counted(before, 'evaluation')} before that, too"

    def _pulls(self, core: Any, k: int) -> bool:
        """Whether member k, whose parameters may be of different units, ended where its cost falls along one of them, or its gradient is
        large beside the cost."""
        doubts = Doubts(self._cost(k), core.x[k].reshape(self.shape[1:]), (), None, None, True)
        grad, value = gradient_of(doubts.problem(), doubts.start)(core.x[k]), float(core.fun[k])
        falls = doubts.falls_alone(core.x[k], value, grad, math.nan) > 0.0
        core.extra[k] += 1 + doubts.beside
        return falls or float(np.max(np.abs(core.x[k] * grad))) > FALL * abs(value) or not np.all(self.task.starts[k])

    def _doubt(self, core: Any, k: int) -> None:
        """Member k has ended where gtol allows a gradient along which its cost falls."""
        gtol = self.task.gtol
        doubts = Doubts(self._cost(k), core.x[k].reshape(self.shape[1:]), (), None, None, True)
        doubts.gtol = gtol
        grad = gradient_of(doubts.problem(), doubts.start)(core.x[k])
        finer = doubts.finer_gtol(core.x[k], float(core.fun[k]), grad)
        core.extra[k] += finer.calls + 1
        if finer.fall > FALL:
            self.reasons[k] = "not_a_minimum"
            self.notes[k] = f"{allows(gtol, finer.fall)}: give gtol={finer.gtol:.1g}, or cost and x in other units"

    def stop(self) -> None:
        """No further piece; threads at work end between two iterations."""
        with self.lock:
            self.next, self.stopped = self.shape[0], True
        self.core.stop()

    def result(self) -> MinimizeBatchResult:
        """The result so far."""
        core = self.core
        reason = [self.reasons.get(k, REASONS.get(code, "rhs_failed")) for k, code in enumerate(core.code.tolist())]
        evaluated = np.where(core.code == lane_descent.ENDINGS["interrupted"], 0, core.nit + 1 + core.extra)
        x, overflowed = core.x.reshape(self.shape), core.code == OVERFLOWED
        return _result(self.task.method, x, core.fun, core.gmax, core.nit, evaluated, reason, overflowed, self.notes)


def _result(
    method: Method, x: Array, fun: Array, gmax: Array, nit: NDArray[np.int64], nfev: NDArray[np.int64], reason: list[str],
    overflowed: NDArray[np.bool_], notes: dict[int, str],
) -> MinimizeBatchResult:  # fmt: skip
    status = np.array([STATUS.get(one, -1) for one in reason], dtype=np.int64)
    counts = {one: reason.count(one) for one in dict.fromkeys(reason)}
    message = ", ".join(f"{count} {one}" for one, count in counts.items()) or "no members"
    return MinimizeBatchResult(
        x=x, fun=fun, gmax=gmax, nit=nit, nfev=nfev, reason=reason, notes=notes, overflowed=overflowed, status=status,
        success=not np.any(status), message=message, method=method,
    )  # fmt: skip


def _here(task: _Task, threads: int, bar: Progress) -> MinimizeBatchResult:
    work = Work(task)
    try:
        return _run(work, threads, bar)
    finally:
        tell_of_members(work.told, "member")


def _run(work: Work, threads: int, bar: Progress) -> MinimizeBatchResult:
    """The members on so many threads, to their ends."""
    pieces = -(-work.shape[0] // PIECE)
    if not pieces:
        return work.result()
    try:
        on_threads(work.work, work.stop, lambda: work.done, min(threads, pieces), bar)
    except BaseException as error:
        attach(error, work.result, "in mflow.minimize_batch; .partial_result holds the members that were done")
        raise
    return work.result()


def _piece(task: _Task) -> tuple[MinimizeBatchResult, dict[Told, list[int]]]:
    """The work of a worker of an executor, and the warnings that it leaves to its caller."""
    work = Work(task)
    return _run(work, 1, Progress(0.0, 0.0, shown=False)), work.told


def _on_executor(executor: futures.Executor, task: _Task, bar: Progress) -> MinimizeBatchResult:
    method, members = task.method, len(task.starts)
    out = _result(
        method, task.starts.copy(), np.full(members, np.nan), np.full(members, np.nan), np.zeros(members, np.int64),
        np.zeros(members, np.int64), ["interrupted"] * members, np.zeros(members, np.bool_), {},
    )  # fmt: skip
    reason = out.reason
    told: dict[Told, list[int]] = {}

    def made() -> MinimizeBatchResult:
        return _result(method, out.x, out.fun, out.gmax, out.nit, out.nfev, reason, out.overflowed, out.notes)

    try:
        for part, answer in in_pieces(executor, _piece, task.part, members, bar):
            if isinstance(answer, Lost):
                reason[part] = ["executor_failed"] * (part.stop - part.start)
                continue
            piece, words = answer
            for name in ("x", "fun", "gmax", "nit", "nfev", "overflowed"):
                out[name][part] = piece[name]
            reason[part] = piece.reason
            out.notes.update({part.start + k: note for k, note in piece.notes.items()})
            for one, some in words.items():
                told.setdefault(one, []).extend(part.start + k for k in some)
    except BaseException as error:
        attach(error, made, "in mflow.minimize_batch")
        raise
    finally:
        tell_of_members({one: sorted(some) for one, some in told.items()}, "member")
    return made()
