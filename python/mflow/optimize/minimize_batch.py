"""`minimize_batch`: many minimisations by one optimizer, each from its own start, over its own data if given, with its own ending.

All of it runs in the core (`mflow_core.lanes.lane_descent`), without Python and without the GIL. Here are the arguments and the result.
"""

from __future__ import annotations

import inspect
import math
import threading
from concurrent import futures
from typing import TYPE_CHECKING, Any, Unpack, overload

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
from mflow.base.telling import counted
from mflow.base.threads import processors
from mflow.curvature.landscape import gradient_of
from mflow.derivatives.differences import FALL, SLOPED, STEEP
from mflow.derivatives.own_units import allows
from mflow.implicit.batch import Implicit, ImplicitDescents, check_squares, data_of
from mflow.implicit.linear import RECORD, is_implicit_sgd
from mflow.integrate.ensemble import on_threads
from mflow.optimize.directions import OWN, direction_of, minimizers
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
USUAL = 1e-5  # gtol


class MinimizeBatchResult(Result):
    """Result of `mflow.minimize_batch`. ``result[k]`` is member k as an OptimizeResult.

    x : float64 array (members, *shape), the last point of each member whose cost and gradient were finite (its start, if there was none).
    fun, gmax : float64 arrays (members,), the cost there and the largest entry of its gradient; NaN if there was none.
    nit, nfev : int arrays (members,).
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
    asked = method, line_search, dict(parameters)
    if is_implicit_sgd(method):
        method, search, tables = _implicit(method, line_search, {**parameters}, fun, batch_data, points, **rows)
    else:
        _refuse_rows(fun, method, rows)
        method, search, schedule = _chosen(method, line_search, {**parameters})
        rates = None if schedule is None else np.array([check_number(schedule(k), f"lr({k})") for k in range(limit)])
    if tables is None:
        tables = data_for_batch(fun, batch_data, len(points))
    asked = (gtol is None, *(asked if isinstance(search, dict) else (None, None, {})))
    problem = (method, search, fun, points, limit, check_number(USUAL if gtol is None else gtol, "gtol"), tables, rates, asked)
    note = f"{{:.0f}} of {len(points)} members".format
    with Progress(0.0, float(len(points)), "minimize_batch", note=note, shown=progress) as bar:
        if executor is not None:
            return _on_executor(executor, problem, bar)
        return _here(problem, workers, bar)


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


class Work:
    """The members, and the next ones to be taken by a thread."""

    def __init__(self, problem: tuple[Any, ...]) -> None:
        method, search, fun, points, maxiter, gtol, tables, rates, self.asked = problem
        self.method, self.shape, self.fun, self.tables, self.starts = method, points.shape, fun, tables, points
        self.limit, self.gtol, self.searches = maxiter, gtol, isinstance(search, dict)
        self.reasons: dict[int, str] = {}
        self.notes: dict[int, str] = {}
        self.lock, self.next, self.done = threading.Lock(), 0, 0
        costs = list(fun) if isinstance(fun, (list, tuple)) else fun
        flat = points.reshape(len(points), math.prod(points.shape[1:]))
        self.core: lane_descent.Descents | line_lanes.LineDescents | ImplicitDescents
        if isinstance(search, Implicit):
            self.core = ImplicitDescents(costs, search, points, maxiter, gtol, tables)
            return
        table, labels = tables
        if search is None:
            self.core = lane_descent.Descents(method.record, costs, flat, maxiter, gtol, method.numbers, table, labels, rates)
        else:
            self.core = line_lanes.LineDescents(method.record, costs, flat, maxiter, gtol, method.numbers, **search, X=table, y=labels)

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
        share = SLOPED if self.searches else STEEP
        small = (code == lane_descent.ENDINGS["converged"]) & (gmax >= share * first) & (gmax > 0.0) & self.asked[0]
        failed = (code == lane_descent.ENDINGS["line_search_failed"]) & (self.gtol > 0.0)
        for k in (lo + np.flatnonzero(small | failed)).tolist():
            if self.searches:
                self._alone(core, k)
            else:
                self._doubt(core, k)

    def _cost(self, k: int) -> Any:
        """The cost of member k."""
        cost, (table, labels) = self.fun[k] if isinstance(self.fun, (list, tuple)) else self.fun, self.tables
        if table is None and labels is None:
            return cost
        return cost._on(None if table is None else table[k], None if labels is None else labels[k])

    def _alone(self, core: Any, k: int) -> None:
        """Member k by `minimize`, which goes the same way and on from there."""
        usual, method, line_search, parameters = self.asked
        gtol = None if usual else self.gtol
        one = minimize(self._cost(k), self.starts[k], method=method, line_search=line_search, maxiter=self.limit, gtol=gtol, **parameters)
        core.x[k], core.fun[k], core.gmax[k] = one.x.ravel(), one.fun, np.max(np.abs(one.jac), initial=0.0)
        core.nit[k], core.extra[k] = one.nit, one.nfev - one.nit - 1
        self.reasons[k], self.notes[k] = one.reason, one.message

    def _doubt(self, core: Any, k: int) -> None:
        """Member k has ended where gtol allows a gradient along which its cost falls."""
        doubts = Doubts(self._cost(k), core.x[k].reshape(self.shape[1:]), (), None, None, True)
        doubts.gtol = self.gtol
        grad = gradient_of(doubts.problem(), doubts.start)(core.x[k])
        finer = doubts.finer_gtol(core.x[k], float(core.fun[k]), grad)
        core.extra[k] += finer.calls + 1
        if finer.fall > FALL:
            self.reasons[k] = "not_a_minimum"
            self.notes[k] = f"{allows(self.gtol, finer.fall)}: give gtol={finer.gtol:.1g}, or cost and x in other units"

    def stop(self) -> None:
        """No further piece; threads at work end between two iterations."""
        with self.lock:
            self.next = self.shape[0]
        self.core.stop()

    def result(self) -> MinimizeBatchResult:
        """The result so far."""
        core = self.core
        reason = [self.reasons.get(k, REASONS.get(code, "rhs_failed")) for k, code in enumerate(core.code.tolist())]
        evaluated = np.where(core.code == lane_descent.ENDINGS["interrupted"], 0, core.nit + 1 + core.extra)
        return _result(
            self.method, core.x.reshape(self.shape), core.fun, core.gmax, core.nit, evaluated, reason, core.code == OVERFLOWED, self.notes
        )


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


def _here(problem: tuple[Any, ...], threads: int, bar: Progress) -> MinimizeBatchResult:
    work = Work(problem)
    pieces = -(-work.shape[0] // PIECE)
    if not pieces:
        return work.result()
    try:
        on_threads(work.work, work.stop, lambda: work.done, min(threads, pieces), bar)
    except BaseException as error:
        attach(error, work.result, "in mflow.minimize_batch; .partial_result holds the members that were done")
        raise
    return work.result()


def _piece(problem: tuple[Any, ...]) -> MinimizeBatchResult:
    """The work of a worker of an executor."""
    return _here(problem, 1, Progress(0.0, 0.0, shown=False))


def _on_executor(executor: futures.Executor, problem: tuple[Any, ...], bar: Progress) -> MinimizeBatchResult:
    method, search, fun, points, maxiter, gtol, data, rates, asked = problem
    members = len(points)
    out = _result(
        method, points.copy(), np.full(members, np.nan), np.full(members, np.nan), np.zeros(members, np.int64), np.zeros(members, np.int64),
        ["interrupted"] * members, np.zeros(members, np.bool_), {},
    )  # fmt: skip
    reason = out.reason

    def task(part: slice) -> tuple[Any, ...]:
        costs = fun[part] if isinstance(fun, (list, tuple)) else fun
        some = tuple(None if one is None else one[part] for one in data)
        return (method, search, costs, points[part], maxiter, gtol, some, rates, asked)

    def made() -> MinimizeBatchResult:
        return _result(method, out.x, out.fun, out.gmax, out.nit, out.nfev, reason, out.overflowed, out.notes)

    try:
        for part, piece in in_pieces(executor, _piece, task, members, bar):
            if isinstance(piece, Lost):
                reason[part] = ["executor_failed"] * (part.stop - part.start)
                continue
            for name in ("x", "fun", "gmax", "nit", "nfev", "overflowed"):
                out[name][part] = piece[name]
            reason[part] = piece.reason
            out.notes.update({part.start + k: note for k, note in piece.notes.items()})
    except BaseException as error:
        attach(error, made, "in mflow.minimize_batch")
        raise
    return made()
