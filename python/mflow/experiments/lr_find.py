"""`lr_find`: a learning rate from one run.

The rate rises geometrically, a step each, until the loss blows up; where the loss fell fastest is a good rate to start with.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np

from mflow.base.checks import Array, check_flags, check_number, check_whole
from mflow.base.result import Result
from mflow.experiments.tasks import Training
from mflow.training.train import TrainResult, train

if TYPE_CHECKING:
    from mflow.base._records import LRFindOptions

__all__ = ["LRFindResult", "lr_find"]

SURE = 4.0  # by how many standard errors a line must fall (as a normal quantile; Student's is computed for the points of the line)
ORDERED = 7  # points that noise alone puts in falling order once in 5040 times
WINDOWS = (0.1, 0.2, 0.3)  # half their widths, as parts of the rates
TAKEN = ("lr", "epochs", "max_steps", "step_callback", "check_gradient")  # arguments of `mflow.train` that it gives itself


class LRFindResult(Result):
    """Result of `mflow.lr_find`.

    lr, loss, smooth : float64 arrays, an entry a step: the rates tried, the loss of their batches, and its moving average.
    suggestion : the rate at which the loss fell fastest against log(lr), before the minimum of the average: the steepest line through a
        fifth of the rates (two or three fifths where single batches differ more) that falls by more than their noise explains; nan where
        there is none.
    minimum : the rate with the least average, the last one tried where the loss only fell; nan where no rate was tried.
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
    suggestion: float
    minimum: float
    success: bool
    status: int
    reason: str
    message: str


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
    low = check_number(lr_min, "lr_min", low=0.0, open_low=True)
    high = check_number(lr_max, "lr_max", f"a finite number above lr_min = {low:g}", low=low, open_low=True)
    count = check_whole(steps, "steps", 3)
    check_number(smooth, "smooth", low=0.0, high=1.0, open_high=True)
    check_number(stop_at, "stop_at", low=1.0, open_low=True)
    if "lr" in given:
        raise TypeError("lr: lr_find tries rates of its own; give their range with lr_min and lr_max")
    if "check_gradient" in given:
        raise TypeError("check_gradient: lr_find does not look at the gradient: omit it; mflow.check_gradient does")
    for taken in TAKEN:
        if taken in given:
            raise TypeError(f"{taken}: each rate takes one step here; give their number with steps=")
    if jac is None:
        raise ValueError("jac: expected True (fun returns (loss, gradient)) or a function (the gradient; fun is the loss), got None")
    rates: Array = np.geomspace(low, high, count)
    watch = _Watch(smooth, stop_at)
    once = hasattr(data, "__next__")
    with np.errstate(all="ignore"):  # the loss is meant to blow up
        run = train(
            fun, params, data, optimizer, 1 if once else count, batch_size, jac=jac, seed=seed, max_steps=count,
            step_callback=watch, progress=progress, lr=_EachRate(rates), check_gradient=False, **given,
        )  # fmt: skip
    return _result(rates, watch, run)


class _Watch:
    """Follows the loss; stops where it has left its range."""

    def __init__(self, smooth: float, stop_at: float) -> None:
        self.smooth, self.stop_at = smooth, stop_at
        self.loss: list[float] = []
        self.average: list[float] = []
        self.sum = 0.0

    def __call__(self, state: Any) -> bool:
        self.loss.append(float(state.loss))
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


def _fastest(x: Array, y: Array, end: int, reach: int) -> int | None:
    """Where the least-squares line through the points up to `reach` away on both sides falls most steeply, of the lines before `end` whose
    fall noise does not explain: it is sure, or each point lies below the one before. None where there is none."""
    best, steepest = None, 0.0
    for i in range(end):
        part = slice(max(0, i - reach), min(end, i + reach) + 1)
        shifted, values = x[part] - x[part].mean(), y[part] - y[part].mean()
        scale = float(np.max(np.abs(values)))
        if shifted.size < 3 or not 0.0 < scale < math.inf:
            continue
        spread = float(shifted @ shifted)
        slope = float(shifted @ values) / spread
        off = (values - slope * shifted) / scale
        free = shifted.size - 2
        error = scale * math.sqrt(float(off @ off) / free / spread)
        sure = slope < -_student(SURE, free) * error or (shifted.size >= min(ORDERED, len(y)) and bool(np.all(np.diff(y[part]) < 0.0)))
        if sure and slope < steepest:
            best, steepest = i, slope
    return best


def _least(smooth: Array, weight: float) -> int:
    """Where the average is least; its first entries, which are of few batches, only count where there are no others."""
    first = min(int(1.0 / (1.0 - weight)), len(smooth) - 1)
    return first + int(np.argmin(smooth[first:])) if first < len(smooth) // 2 else int(np.argmin(smooth))


def _result(rates: Array, watch: _Watch, run: TrainResult) -> LRFindResult:
    tried = rates[: len(watch.loss)]
    smooth, loss = np.array(watch.average), np.array(watch.loss)
    suggestion = minimum = math.nan
    if len(smooth):
        minimum = float(tried[int(np.argmin(smooth))])
    if len(smooth) >= 3:
        end = _least(smooth, watch.smooth)
        for part in WINDOWS:  # a short window finds the place best, a long one tells a slow fall from noise
            best = _fastest(np.log(tried), loss, end, max(2, round(part * len(rates))))
            if best is not None:
                suggestion = float(tried[best])
                break
    reason = {"callback": "diverged", "max_steps": "finished"}.get(run.reason, run.reason)
    ended = run.reason == "finished" and len(tried) < len(rates)
    reason = "data_ended" if ended else reason
    text = {
        "finished": f"all of {len(tried)} rates were tried, and the loss stayed in its range: raise lr_max to see where it diverges",
        "diverged": f"the loss left its range at lr = {tried[-1]:.3g}" if len(tried) else run.message,
        "data_ended": f"the data ended after {len(tried)} of {len(rates)} rates: give data that can be iterated over again",
    }.get(reason, run.message)
    good = not math.isnan(suggestion)
    few = len(smooth) < 3
    failed = (
        "; these are too few rates to say where it fell fastest: lower lr_min"
        if few
        else "; it never fell by more than single batches differ: give a larger batch_size or more steps, lower lr_min, or look at the "
        "gradient"
    )
    text += f"; it fell fastest at {suggestion:.3g}" if good else failed
    return LRFindResult(
        lr=tried, loss=np.array(watch.loss), smooth=smooth, suggestion=suggestion, minimum=minimum,
        success=good, status=0 if good else -1, reason=reason, message=text,
    )  # fmt: skip
