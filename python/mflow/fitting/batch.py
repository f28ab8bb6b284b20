"""`least_squares_batch`: many fits of compiled residuals, each from its own start, over its own data if given, with its own ending.

All of it runs in the core (`mflow_core.fitting.many`), without Python and without the GIL. Here are the arguments and the result.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from concurrent import futures
from typing import Any

import numpy as np
from mflow_core.fitting import fit, many
from mflow_core.objectives.objective import Objective
from numpy.typing import NDArray

from mflow.base.checks import Array, check_flags, check_list, check_number, check_whole, shown
from mflow.base.executors import Lost, check_executor, in_pieces
from mflow.base.progress import Progress
from mflow.base.result import Result, attach
from mflow.base.tables import frame
from mflow.base.telling import knows_other_words
from mflow.base.threads import processors
from mflow.fitting.bounds import EVERYWHERE, check_fixed, sides
from mflow.fitting.compiled import check_sigma, compiled_residuals
from mflow.fitting.robust import Robust, loss_of
from mflow.fitting.run import STATUS, counted_ftol
from mflow.integrate.ensemble import on_threads
from mflow.optimize.minimize_batch import data_for_batch, starts_of_batch

__all__ = ["LeastSquaresBatchResult", "least_squares_batch"]

PIECE = 1024  # fits that a thread takes at a time
AT_ONCE = 2e-3  # seconds: some times what it takes to begin and end a thread
WORDS = {**fit.ENDINGS, **many.ENDINGS}


class LeastSquaresBatchResult(Result):
    """Result of `mflow.least_squares_batch`. ``result[k]`` is fit k by itself, a Result of its entries.

    x : float64 array (fits, n), the best point of each (its start, where the residuals are not finite there).
    cost, optimality : float64 arrays (fits,), half the sum of squares and the largest entry of its gradient in parameters that may move.
    errors : float64 array (fits, n), standard errors as from `curve_fit`, where they were asked for, else (0, n); inf where the data do not
        determine them.
    nit, nfev : int arrays (fits,).
    reason : list of str: "converged", "max_nfev", "step_too_small", "non_finite", "insensitive", "rhs_failed",
        "executor_failed", "interrupted".
    status : int array (fits,): as in `least_squares`. success : whether every fit converged. message : what happened to the batch.

    See Also
    --------
    mflow.least_squares_batch, mflow.LeastSquaresResult

    Examples
    --------
    >>> import numpy as np, mflow
    >>> t = np.linspace(0.0, 1.0, 9)
    >>> Y = 2.0 * np.exp(-np.outer([1.0, 3.0], t)) + 0.5
    >>> r = mflow.least_squares_batch(mflow.objectives.curve("exponential", t, Y[0]), np.ones((2, 3)), batch_data={"y": Y})
    >>> r.x.shape, r.reason, r[1].x.round(6).tolist()
    ((2, 3), ['converged', 'converged'], [2.0, 3.0, 0.5])
    """

    x: Array
    cost: Array
    optimality: Array
    errors: Array
    nit: NDArray[np.int64]
    nfev: NDArray[np.int64]
    reason: list[str]
    status: NDArray[np.int64]
    success: bool
    message: str

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, (int, np.integer)) and not isinstance(key, bool):
            return self._fit(range(len(self.reason))[int(key)])
        return super().__getitem__(key)

    def _fit(self, k: int) -> Result:
        return Result(
            x=self.x[k].copy(), cost=float(self.cost[k]), optimality=float(self.optimality[k]),
            errors=self.errors[k].copy() if len(self.errors) else None, nit=int(self.nit[k]), nfev=int(self.nfev[k]),
            reason=self.reason[k], status=int(self.status[k]), success=bool(self.status[k] > 0),
        )  # fmt: skip

    def to_frame(self, names: Sequence[str] | None = None) -> Any:
        """The fits as a pandas DataFrame.

        Parameters
        ----------
        names : sequence of str, optional
            Of the parameters; "x[0]", "x[1]", ... if not given.

        Returns
        -------
        pandas.DataFrame
            A row a fit: a column for each parameter, "stderr " before its name for its standard error where these were asked for, then
            ``cost``, ``optimality``, ``nit``, ``nfev``, ``reason`` and ``success``. ImportError without pandas.

        Raises
        ------
        ValueError
            There are more or fewer names than parameters, or two are the same.

        Examples
        --------
        >>> import numpy as np, mflow
        >>> t = np.linspace(0.0, 1.0, 9)
        >>> Y = 2.0 * np.exp(-np.outer([1.0, 3.0], t)) + 0.5
        >>> r = mflow.least_squares_batch(mflow.objectives.curve("exponential", t, Y[0]), np.ones((2, 3)), batch_data={"y": Y})
        >>> r.to_frame(["a", "k", "c"])["k"].round(6).tolist()
        [1.0, 3.0]
        """
        n = self.x.shape[1]
        words = [f"x[{j}]" for j in range(n)] if names is None else list(map(str, check_list(names, "names", "texts")))
        further = {"cost": self.cost, "optimality": self.optimality, "nit": self.nit, "nfev": self.nfev, "reason": self.reason}
        table = dict(zip(words, self.x.T, strict=False))
        if len(self.errors):
            table |= {f"stderr {name}": column for name, column in zip(words, self.errors.T, strict=False)}
        if len(words) != n or len({*words, *further, "success"}) != n + len(further) + 1:
            raise ValueError(f"names: expected {n} different names, none of them that of another column, got {shown(names)}")
        return frame({**table, **further, "success": self.status > 0})


@knows_other_words
def least_squares_batch(
    fun: Any,
    starts: Any,
    *,
    batch_data: dict[str, Any] | None = None,
    jac: bool = True,
    bounds: Any = EVERYWHERE,
    ftol: float | None = None,
    xtol: float | None = None,
    gtol: float | None = 1e-11,
    max_nfev: int | None = None,
    sigma: Any = None,
    fixed: Any = None,
    errors: bool = False,
    m: int | None = None,
    threads: int | None = None,
    progress: bool = False,
    executor: futures.Executor | None = None,
    loss: str = "linear",
    f_scale: float = 1.0,
) -> LeastSquaresBatchResult:
    """Fit compiled residuals from many starts, or one model to many sets of data.

    Parameters
    ----------
    fun : `mflow.objectives.Objective` that is a sum of squares, or a compiled function
        As in `least_squares`, with fewer residuals than parameters, too; a compiled function fills its Jacobian, and must be safe to
        call from several threads.
    starts : array_like (fits, n)
        ``np.broadcast_to(x0, (fits, n))`` for one in common.
    batch_data : dict of array_like (fits, ...), optional
        Data of an objective, a set for each fit: ``{"y": Y}``, Y (fits, m), and ``{"X": ...}`` likewise. A model of your own is fitted
        to one set after the other by `mflow.compile_fit`.
    jac : True
        Compiled functions give their Jacobian.
    bounds, ftol, xtol, gtol, max_nfev, sigma, fixed, m
        As in `least_squares`, the same for all fits. ftol = 1e-8 is enough for most data, and a fifth faster than gtol.
    errors : bool
        Whether to compute standard errors.
    threads : int, optional
        The processors that this process may use if not given. Results do not depend on it.
    progress : bool
        A progress bar on stderr, where tqdm is installed.
    executor : concurrent.futures.Executor, optional
        Where pieces of the batch are run; what they need is pickled. A piece that is lost ends with ``reason="executor_failed"``.
    loss, f_scale
        As in `least_squares`, a loss by its name.

    Returns
    -------
    LeastSquaresBatchResult

    Raises
    ------
    TypeError, ValueError
        An argument does not fit; the text names it. KeyboardInterrupt is passed on, with the fits that were done as its
        ``partial_result``.

    See Also
    --------
    least_squares, minimize_batch, mflow.compile_fit

    Examples
    --------
    >>> import mflow, numpy as np
    >>> t = np.linspace(0, 4, 30)
    >>> rates = np.array([0.5, 1.0, 2.0])
    >>> Y = 2.0 * np.exp(-rates[:, None] * t) + 0.5
    >>> f = mflow.objectives.curve("exponential", t, Y[0])
    >>> r = mflow.least_squares_batch(f, np.ones((3, 3)), batch_data={"y": Y})
    >>> r.success, r.x[:, 1].round(8).tolist()
    (True, [0.5, 1.0, 2.0])

    References
    ----------
    K. Levenberg, Quart. Appl. Math. 2 (1944) 164-168; D. Marquardt, SIAM J. 11 (1963) 431-441; J. More, Lecture Notes in Math. 630
    (1978) 105-116.
    """
    check_flags(progress=progress, errors=errors)
    check_executor(executor)
    if jac is not True:
        raise ValueError(f"jac: expected True, as compiled residuals of a batch give their Jacobian, got {shown(jac)}")
    points = starts_of_batch(starts)
    if points.ndim != 2:
        raise ValueError(f"starts: expected an array of shape (fits, n), got shape {points.shape}")
    n = points.shape[1]
    compiled = compiled_residuals(fun, True, n, m, check_sigma(sigma))
    if compiled is None:
        raise TypeError(
            f"fun: expected a compiled sum of squares (mflow.objectives, numba cfunc, LowLevelCallable), got {type(fun).__name__}; fit a "
            "Python function to one set of data after the other with mflow.least_squares"
        )
    given = {"ftol": ftol, "xtol": xtol, "gtol": gtol}
    tolerances = [0.0 if one is None else check_number(one, name, low=0.0) for name, one in given.items()]
    limit = 500 * (n + 1) if max_nfev is None else check_whole(max_nfev, "max_nfev", 1)
    if batch_data is not None and not isinstance(fun, Objective):
        raise TypeError(
            "batch_data: expected None beside a compiled function, which knows its data itself; fit one set after the other, each by "
            "mflow.least_squares with a function that holds it, or by mflow.compile_fit, which compiles the model, or take a curve of "
            "mflow.objectives, whose data are exchanged"
        )
    X, y = data_for_batch(fun if isinstance(fun, Objective) else None, batch_data, len(points))
    lower, upper = sides(bounds, n)
    outside = np.flatnonzero(((points < lower) | (points > upper)).any(axis=1))
    if outside.size:
        raise ValueError(f"starts: expected starts within bounds, got start {outside[0]} outside of them")
    box = (None, None) if np.isneginf(lower).all() and np.isposinf(upper).all() else (lower, upper)
    tests = (counted_ftol(tolerances[0]), tolerances[1], tolerances[2], limit)
    robust = loss_of(loss, f_scale)
    if isinstance(robust, Robust):
        raise TypeError(f"loss: expected a name, as a batch runs without Python, got {shown(loss)}; use mflow.least_squares for each fit")
    core = many.Fits(compiled.functions[2], points, *tests, X, y, box[0], box[1], check_fixed(fixed, n), errors, robust)
    workers = processors() if threads is None else check_whole(threads, "threads", 1)
    note = f"{{:.0f}} of {len(points)} fits".format
    with Progress(0.0, float(len(points)), "least_squares_batch", note=note, shown=progress) as bar:
        if executor is None:
            return _run(core, len(points), workers, bar)
        alike = {
            "fun": fun, "bounds": bounds, "ftol": ftol, "xtol": xtol, "gtol": gtol, "max_nfev": max_nfev, "sigma": sigma, "fixed": fixed,
            "errors": errors, "m": m, "loss": loss, "f_scale": f_scale,
        }  # fmt: skip
        return _on_executor(executor, alike, points, batch_data, core, bar)


def _run(core: many.Fits, count: int, workers: int, bar: Progress) -> LeastSquaresBatchResult:
    """Piece after piece: at once while that takes no longer than to begin a thread, then on threads."""
    lock, done = threading.Lock(), [0]
    taken = [0]

    def work() -> None:
        while True:
            with lock:
                first = taken[0]
                taken[0] = last = min(first + PIECE, count)
            if first >= count:
                return
            core.work(first, last)
            with lock:
                done[0] += last - first

    def stop() -> None:
        with lock:
            taken[0] = count
        core.stop()

    try:
        taken[0] = done[0] = _at_once(core, count)
        pieces = -(-(count - taken[0]) // PIECE)
        if pieces:
            on_threads(work, stop, lambda: done[0], min(workers, pieces), bar)
    except BaseException as error:
        attach(error, lambda: _result(core), "in mflow.least_squares_batch; .partial_result holds the fits that were done")
        raise
    return _result(core)


def _at_once(core: many.Fits, count: int) -> int:
    """How many fits were done here: 1, 2, 4 ... at a time, so that Ctrl-C is answered between them."""
    first, some, end = 0, 1, time.perf_counter() + AT_ONCE
    while first < count and time.perf_counter() < end:
        last = min(first + some, count)
        core.work(first, last)
        first, some = last, 2 * some
    return first


def _piece(task: dict[str, Any]) -> LeastSquaresBatchResult:
    """The work of a worker of an executor."""
    return least_squares_batch(**task, threads=1)


def _on_executor(
    executor: futures.Executor, alike: dict[str, Any], points: Array, batch_data: dict[str, Any] | None, core: many.Fits, bar: Progress
) -> LeastSquaresBatchResult:
    """The fits in pieces; core: the batch before any of them, whose arrays are filled."""
    out, data = _result(core), {name: np.asarray(value) for name, value in (batch_data or {}).items()}

    def task(part: slice) -> dict[str, Any]:
        return {**alike, "starts": points[part], "batch_data": {name: value[part] for name, value in data.items()} or None}

    try:
        for part, piece in in_pieces(executor, _piece, task, len(points), bar):
            if isinstance(piece, Lost):
                out.reason[part] = ["executor_failed"] * (part.stop - part.start)
                continue
            for name in ("x", "cost", "optimality", "nit", "nfev", "status", *(("errors",) if len(out.errors) else ())):
                out[name][part] = piece[name]
            out.reason[part] = piece.reason
    except BaseException as error:
        attach(error, lambda: _told(out), "in mflow.least_squares_batch; .partial_result holds the fits that were done")
        raise
    return _told(out)


def _result(core: many.Fits) -> LeastSquaresBatchResult:
    endings = [WORDS.get(code, "rhs_failed") for code in core.code.tolist()]
    status = np.array([STATUS.get(one, -1) for one in endings], dtype=np.int64)
    reason = ["converged" if code > 0 else one for one, code in zip(endings, status.tolist(), strict=True)]
    return _told(LeastSquaresBatchResult(
        x=core.x, cost=core.cost, optimality=core.optimality, errors=core.errors, nit=core.nit, nfev=core.nfev, reason=reason,
        status=status,
    ))  # fmt: skip


def _told(out: LeastSquaresBatchResult) -> LeastSquaresBatchResult:
    """With what happened to the batch: how many fits ended by which reason."""
    counts = {one: out.reason.count(one) for one in dict.fromkeys(out.reason)}
    out.success, out.message = bool(np.all(out.status > 0)), ", ".join(f"{k} {one}" for one, k in counts.items()) or "no fits"
    return out
