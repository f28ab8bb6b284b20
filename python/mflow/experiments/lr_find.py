"""`lr_find`: a learning rate from one run.

The rate rises geometrically, a step each, until the loss blows up; where the loss fell fastest is a good rate to start with. Batches
differ by more than the loss falls in a step, so that it is followed on rows that stay the same.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple, Unpack

import numpy as np
from mflow_core.objectives.objective import Objective

from mflow.base.checks import Array, as_tuple, check_flags, check_number, check_whole
from mflow.base.methods import as_method
from mflow.base.result import Result
from mflow.base.tables import frame
from mflow.curvature.frozen import rescales
from mflow.derivatives.elsewhere import with_batch_derivative
from mflow.experiments.tasks import Training
from mflow.implicit.linear import is_implicit_sgd
from mflow.training.binding import in_groups
from mflow.training.feeds import ROWS, Args, Cost, Rows, Stream, feed_of, index_sets
from mflow.training.train import TrainResult, train
from mflow.training.train_directions import direction_of
from mflow.training.train_implicit import Residuals

if TYPE_CHECKING:
    from mflow.base._records import LRFindOptions

__all__ = ["LRFindResult", "lr_find"]

SURE = 4.0  # by how many standard errors a line must fall (as a normal quantile; Student's is computed for the points of the line)
ORDERED = 7  # points that noise alone puts in falling order once in 5040 times
WINDOWS = (0.1, 0.2, 0.3)  # half their widths, as parts of the rates
SAMPLE = 256  # rows on which the loss is followed, where batches have fewer
RISE, NOISY = 0.05, 6.0  # a clear rise: by this share of all that the loss falls, and so many times the noise of single values
MOVED = 0.1  # of what batches differ by: a lesser fall is none that training would show
STEEP = 0.5  # of the steepest slope
THEIRS = {"start_lr": "lr_min", "end_lr": "lr_max", "num_iter": "steps", "min_lr": "lr_min", "max_lr": "lr_max", "num_training": "steps"}
TAKEN = ("lr", "epochs", "max_steps", "step_callback", "check_gradient")  # arguments of `mflow.train` that it gives itself


class LRFindResult(Result):
    """Result of `mflow.lr_find`.

    lr, loss, smooth : float64 arrays, an entry a step: the rates tried, the loss of their batches, and its moving average.
    sample_loss : float64 array, likewise: the loss of one sample of rows, the same after each step; `loss` where a batch is all the data.
    suggestion : the rate at which `sample_loss` fell fastest against log(lr), before its first clear rise: the steepest line through a
        fifth of the rates (two or three fifths where the loss itself is noisy) that falls by more than noise explains; nan where there is
        none.
    interval : (low, high), the rates between which it fell at least half as fast; where the line is longer than a fifth, its ends: noise
        hides where between them the loss fell fastest. (nan, nan) where there is no suggestion.
    minimum : the rate with the least `sample_loss`, the last one tried where it only fell; nan where no rate was tried.
    success, status : whether there is a suggestion; 0, or -1.
    reason : "finished" (all rates tried), "diverged" (the loss left its range), "data_ended", "non_finite". message : in words.

    See Also
    --------
    mflow.lr_find, mflow.sweep, mflow.plot.lr_find

    Examples
    --------
    >>> import numpy as np, mflow
    >>> r = mflow.lr_find(lambda c: (c @ c, 2 * c), np.array([1.0, 2.0]))
    >>> r.success, r.lr.shape == r.loss.shape, r.lr.min() < r.suggestion < 1.0
    (True, True, True)
    """

    lr: Array
    loss: Array
    smooth: Array
    sample_loss: Array
    suggestion: float
    interval: tuple[float, float]
    minimum: float
    success: bool
    status: int
    reason: str
    message: str

    def to_frame(self) -> Any:
        """A pandas DataFrame with a row a rate: lr, loss, smooth, sample_loss. ImportError without pandas."""
        return frame({name: self[name] for name in ("lr", "loss", "smooth", "sample_loss")})


class _EachRate:
    """A schedule that takes one rate after another."""

    def __init__(self, rates: Array) -> None:
        self.rates = rates

    def __call__(self, step: int) -> float:
        return float(self.rates[min(step, len(self.rates) - 1)])


def lr_find(
    fun: Callable[..., Any] | Training,
    params: Any = None,
    data: Any = None,
    optimizer: Any = "sgd",
    *,
    jac: Any = True,
    lr_min: float = 1e-6,
    lr_max: float = 10.0,
    steps: int = 100,
    batch_size: int | None = None,
    seed: int | None = 0,
    smooth: float = 0.9,
    stop_at: float = 4.0,
    progress: bool = False,
    **parameters: Unpack[LRFindOptions],
) -> LRFindResult:
    """Find a learning rate by raising it from step to step until the loss blows up.

    The loss of batches differs by more than it falls in a step. So it is evaluated after each step once more, on rows that are the same
    throughout: 256 rows (or a batch, where that is more) spread over arrays, the first batch of an iterable; not where a batch is all the
    data. What is suggested is where that loss fell fastest, between the rates of ``interval``.

    Parameters
    ----------
    fun, params, data, optimizer, jac, batch_size, seed, **parameters
        As in `mflow.train`; there must be a loss, and lr is not among the parameters. ``params`` do not change. Or fun is a
        `mflow.Training`, as in `mflow.sweep`, which holds the cost, params, data, jac, batch_size and options.
    lr_min, lr_max : float, default 1e-6 and 10
    steps : int, default 100
        Rates between them, geometrically, a step each.
    smooth : float in [0, 1), default 0.9
        Of the moving average of the loss.
    stop_at : float above 1, default 4
        The run ends where the average exceeds this many times its least.
    progress : bool

    Returns
    -------
    LRFindResult
        `mflow.plot.lr_find` draws it.

    Raises
    ------
    TypeError, ValueError
        An argument does not fit.

    See Also
    --------
    mflow.train, mflow.sweep, mflow.plot.lr_find

    References
    ----------
    L. N. Smith, Cyclical Learning Rates for Training Neural Networks (2017), section 3.3.

    Examples
    --------
    >>> import numpy as np, mflow
    >>> X = np.random.default_rng(0).normal(size=(500, 3))
    >>> y = X @ [1.0, -2.0, 0.5]
    >>> def cost(w, X, y):
    ...     r = X @ w - y
    ...     return 0.5 * np.mean(r**2), X.T @ r / len(y)
    >>> result = mflow.lr_find(cost, np.zeros(3), (X, y))
    >>> 0.01 < result.suggestion < 2.0  # steps above 2 diverge
    True
    """
    check_flags(progress=progress)
    given: dict[str, Any] = dict(parameters)
    if isinstance(fun, Training):
        if params is not None or data is not None or batch_size is not None:
            raise TypeError("params, data, batch_size: the Training holds them; omit them here")
        task = fun
        fun, params, data, jac, batch_size = task.fun, task.params, task.data, task.jac, task.batch_size
        given = {**{k: v for k, v in task.options.items() if k != "check_gradient"}, **given}
    elif params is None:
        raise TypeError("params: expected where to start, got None; or give a mflow.Training as the first argument")
    rates = _rates(lr_min, lr_max, steps)
    smooth = check_number(smooth, "smooth", low=0.0, high=1.0, open_high=True)
    stop_at = check_number(stop_at, "stop_at", low=1.0, open_low=True)
    _check(given, jac)
    if (direction := direction_of(optimizer)) is not None:
        raise TypeError(f"optimizer: {direction.name} takes the length of its steps from a search along the line: there is no rate to find")
    for g in (g for g, group in enumerate(params if in_groups(params) else ()) if "lr" in group):
        raise TypeError(f"params: group {g} has an lr of its own, and lr_find tries rates for all groups; omit it there")
    once = hasattr(data, "__next__")
    sample = _Sample(fun, params, data, optimizer, jac, batch_size)
    watch = _Watch(smooth, stop_at, sample)
    with np.errstate(all="ignore"):  # the loss is meant to blow up
        run = train(
            fun, params, sample.data, optimizer, 1 if once else len(rates), batch_size, jac=jac, seed=seed, max_steps=len(rates),
            step_callback=watch, progress=progress, lr=_EachRate(rates), check_gradient=False, **given,
        )  # fmt: skip
    return _result(rates, watch, run)


def _rates(lr_min: Any, lr_max: Any, steps: Any) -> Array:
    """The rates to try. Raises TypeError or ValueError."""
    low = check_number(lr_min, "lr_min", low=0.0, open_low=True)
    high = check_number(lr_max, "lr_max", f"a finite number above lr_min = {low:g}", low=low, open_low=True)
    return np.geomspace(low, high, check_whole(steps, "steps", 3))


def _check(given: dict[str, Any], jac: Any) -> None:
    """Raises TypeError for what does not fit; given: arguments of `train`."""
    if "lr" in given:
        raise TypeError("lr: lr_find tries rates of its own; give their range with lr_min and lr_max")
    if "check_gradient" in given:
        raise TypeError("check_gradient: lr_find does not look at the gradient: omit it; mflow.check_gradient does")
    for theirs, ours in THEIRS.items():
        if theirs in given:
            raise TypeError(f"{theirs}: here it is {ours}=")
    for taken in TAKEN:
        if taken in given:
            raise TypeError(f"{taken}: each rate takes one step here; give their number with steps=")
    if jac is None:
        raise ValueError("jac: expected True (fun returns (loss, gradient)) or a function (the gradient; fun is the loss), got None")


class _Sample:
    """The loss on rows that stay the same from step to step.

    data : what `train` is given in place of the data. exact : whether a batch is all the data, so that its own loss serves.
    """

    def __init__(self, fun: Any, params: Any, data: Any, optimizer: Any, jac: Any, batch_size: int | None) -> None:
        self.asked = fun, params, jac, is_implicit_sgd(optimizer)
        self.batch_size, self.data, self.exact = batch_size, data, False
        self.args: Args | None = None
        self.model: Any = None
        self.part: Objective | None = None
        if isinstance(data, Iterable) and not isinstance(data, (str, bytes, dict)) and isinstance(_feed(data), Stream):
            self.data = self._held(data) if hasattr(data, "__next__") else lambda epoch: self._held(data)
        elif callable(data):
            self.data = lambda epoch: self._held(batches) if isinstance(batches := data(epoch), Iterable) else batches

    def _held(self, batches: Iterable[Any]) -> Iterator[Any]:
        """The batches as they are; the first of all is kept."""
        for batch in batches:
            if self.args is None:
                self.args = tuple(np.array(a) if isinstance(a, np.ndarray) else a for a in as_tuple(batch))
            yield batch

    def prepare(self) -> None:
        """Takes the rows; `train` has checked the arguments by now."""
        fun, params, jac, implicit = self.asked
        size = ROWS if self.batch_size is None else self.batch_size
        if isinstance(fun, Objective):
            sets = index_sets(fun, None, None, None, None, False, False)
            rows = sets.rows or 1
            self.exact = rows <= size
            self.part = fun if rows <= max(SAMPLE, size) else fun.batch(_sampled(np.arange(rows), max(SAMPLE, size))[0])
            return
        self.model = (Residuals if implicit else Cost)(*with_batch_derivative(fun, jac, params, implicit))
        feed = _feed(self.data)
        if isinstance(feed, Rows):
            self.exact, self.args = (feed.rows or 1) <= size, _sampled(self.data, max(SAMPLE, size))
        elif not isinstance(feed, Stream):
            self.exact = True

    def loss(self, params: Any) -> float:
        """At parameters that `train` is at."""
        if self.part is not None:
            return float(self.part(params))
        return float(self.model.loss(params, self.args or ()))


def _feed(data: Any) -> Any:
    return feed_of(data, None, None, False, False)


def _sampled(data: Any, size: int) -> Args:
    """So many rows of arrays, spread over all; all where there are fewer."""
    rows = _feed(data).rows
    return feed_of(data, min(size, rows), None, False, False).some() or ()


class _Watch:
    """Follows the loss; stops where it has left its range."""

    def __init__(self, smooth: float, stop_at: float, sample: _Sample) -> None:
        self.smooth, self.stop_at, self.sample = smooth, stop_at, sample
        self.loss: list[float] = []
        self.sampled: list[float] = []
        self.average: list[float] = []
        self.sum = 0.0

    def __call__(self, state: Any) -> bool:
        if not self.loss:
            self.sample.prepare()
        self.loss.append(float(state.loss))
        self.sampled.append(self.loss[-1] if self.sample.exact else self.sample.loss(state.params))
        self.sum = self.smooth * self.sum + (1.0 - self.smooth) * self.loss[-1]
        self.average.append(self.sum / (1.0 - self.smooth ** len(self.loss)))
        least = min(self.average)
        scale = max(abs(least), self.loss[0] - least)
        return max(self.average[-1], self.loss[-1] / self.stop_at) > least + (self.stop_at - 1.0) * scale


def _student(z: float, free: int) -> float:
    """Student's quantile with `free` degrees of freedom where the normal one is z (Abramowitz and Stegun 1964, 26.7.5, to 1/free^3)."""
    terms = (
        z**3 + z,
        (5.0 * z**5 + 16.0 * z**3 + 3.0 * z) / 6.0,
        (3.0 * z**7 + 19.0 * z**5 + 17.0 * z**3 - 15.0 * z) / 24.0,
    )
    return z + sum(term / (4.0 * free) / (4.0 * free) ** k for k, term in enumerate(terms))


class _Fall(NamedTuple):
    """Where a loss fell fastest, and between which points."""

    best: int
    first: int
    last: int


def _line(x: Array, y: Array, i: int, reach: int) -> tuple[float, bool]:
    """(slope of the least-squares line through the points up to `reach` away from i, whether noise does not explain that it falls)."""
    part = slice(i - reach, i + reach + 1)
    shifted, values = x[part] - x[part].mean(), y[part] - y[part].mean()
    scale = float(np.max(np.abs(values)))
    if not 0.0 < scale < math.inf:
        return 0.0, False
    spread = float(shifted @ shifted)
    slope = float(shifted @ values) / spread
    off = (values - slope * shifted) / scale
    free = shifted.size - 2
    error = scale * math.sqrt(float(off @ off) / free / spread)
    ordered = shifted.size >= min(ORDERED, (len(y) - 1) // 2 * 2 + 1) and bool(np.all(np.diff(y[part]) < 0.0))
    return slope, slope < -_student(SURE, free) * error or ordered


def _fastest(x: Array, y: Array, end: int, reach: int, sharp: bool) -> _Fall | None:
    """Where the line through 2 reach + 1 points falls most steeply, of those up to `end` whose fall noise does not explain; None where
    there is none.

    sharp: whether the fall is placed by the slopes of the lines nearby, else no better than by the ends of its line.
    """
    reach = min(reach, end // 2)
    if reach < 1:
        return None
    lines = {i: _line(x, y, i, reach) for i in range(reach, end - reach + 1)}  # whole ones: a shorter one at an end is a steeper one
    sure = [i for i, (slope, falls) in lines.items() if falls and slope < 0.0]
    if not sure:
        return None
    best = min(sure, key=lambda i: lines[i][0])
    if not sharp:
        return _Fall(best, best - reach, best + reach)
    half = max(1, reach // 2)
    near = [_line(x, y, i, min(reach, i, end - i))[0] if half <= i <= end - half else 0.0 for i in range(end + 1)]
    slow = [i for i, slope in enumerate(near) if slope > STEEP * lines[best][0]]
    return _Fall(best, max((i for i in slow if i < best), default=-1) + 1, min((i for i in slow if i > best), default=end + 1) - 1)


def _least(y: Array) -> int:
    """Where a loss is least before its first clear rise."""
    lowest = np.minimum.accumulate(y)
    noise = float(np.median(np.abs(np.diff(y, 2)))) / (0.6745 * math.sqrt(6.0))  # their deviation, were they independent
    risen = np.flatnonzero(y - lowest > RISE * (y[0] - lowest[-1]) + NOISY * noise)
    risen = risen[lowest[risen] < y[0]]  # it has fallen before
    return int(np.argmin(y[: risen[0]])) if risen.size else int(np.argmin(y))


def _result(rates: Array, watch: _Watch, run: TrainResult) -> LRFindResult:
    tried = rates[: len(watch.loss)]
    smooth, loss, sampled = np.array(watch.average), np.array(watch.loss), np.array(watch.sampled)
    finite = np.flatnonzero(~np.isfinite(sampled))
    known = sampled[: finite[0]] if finite.size else sampled
    suggestion, interval, minimum, fall, part = math.nan, (math.nan, math.nan), math.nan, None, 0.0
    if len(known):
        minimum = float(tried[int(np.argmin(known))])
    if len(known) >= 3:
        end = _least(known)
        apart = float(np.std((loss - sampled)[: end + 1]))  # a batch from the sample
        fell = float(known[0] - known[end])
        for part in WINDOWS if fell > MOVED * apart else ():  # a short window finds the place best, a long one tells a slow fall from noise
            fall = _fastest(np.log(tried), known, end, max(2, round(part * len(rates))), part == WINDOWS[0])
            if fall is not None:
                suggestion, interval = float(tried[fall.best]), (float(tried[fall.first]), float(tried[fall.last]))
                break
    reason = {"callback": "diverged", "max_steps": "finished"}.get(run.reason, run.reason)
    ended = run.reason == "finished" and len(tried) < len(rates)
    reason = "data_ended" if ended else reason
    text = {
        "finished": f"all of {len(tried)} rates were tried, and the loss stayed in its range: {_beyond(run)}",
        "diverged": f"the loss left its range at lr = {tried[-1]:.3g}" if len(tried) else run.message,
        "data_ended": f"the data ended after {len(tried)} of {len(rates)} rates: give data that can be iterated over again",
    }.get(reason, run.message)
    good = fall is not None
    return LRFindResult(
        lr=tried, loss=loss, smooth=smooth, sample_loss=sampled, suggestion=suggestion, interval=interval, minimum=minimum,
        success=good, status=0 if good else -1, reason=reason, message=f"{text}; {_where(suggestion, interval, part, len(known))}",
    )  # fmt: skip


def _beyond(run: TrainResult) -> str:
    """What a loss that stayed in its range says of rates above lr_max."""
    record = getattr(run.optimizer, "record", None)
    if record is not None and rescales(record, as_method(record.name, {}).all_numbers):
        return (
            f"steps of {record.name} are divided by the size of its gradients, so that the loss need not leave it at any rate, too large "
            "ones included"
        )
    return "raise lr_max to see where it diverges"


def _where(suggestion: float, interval: tuple[float, float], part: float, count: int) -> str:
    """Where the loss fell fastest, in words."""
    if math.isnan(suggestion):
        return (
            "these are too few rates to say where it fell fastest: lower lr_min" if count < 3 else
            "it never fell by more than single batches differ: give a larger batch_size or more steps, lower lr_min, or look at the "
            "gradient"
        )  # fmt: skip
    low, high = interval
    if part == WINDOWS[0]:
        return f"it fell fastest at {suggestion:.3g}, and at least half as fast between {low:.3g} and {high:.3g}"
    return (
        f"it fell fastest somewhere between {low:.3g} and {high:.3g}, and its noise hides where: {suggestion:.3g} is their middle; give a "
        "larger batch_size or more steps"
    )
