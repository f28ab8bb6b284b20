"""Starts of curve fits without p0: the sizes of a model's parameters in the units of its data, by how the model scales with them; a search
over decades; and the fits that begin there where that from 1 is poor."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from mflow.base.checks import Array
from mflow.base.progress import reason_of
from mflow.derivatives.differences import tried
from mflow.fitting.fitted import share_explained
from mflow.fitting.least_squares import inverse_at
from mflow.fitting.robust import cost_of_median, wider
from mflow.fitting.run import Run
from mflow.problems.curves import starting_values

__all__ = ["POOR", "Again", "Search", "calls_of", "explained", "is_poor", "likeness_of_residuals", "sizes_in_units", "surely_explains"]

POOR = 0.5  # of the variance of the data: what a poor fit explains less than
FAIR = 0.999  # a fair one leaves the rest, if not as noise;
FEW, DOUBTFUL = 30, 0.99  # data that are so few tell no noise from a curve: what a fit of them explains less than, noise or not
CLEARLY, BEYOND_NOISE = 0.99, 0.1  # of a cost: a fit is better that leaves so much of it; of one that leaves noise, which others may follow
UNITS = (1.0, 0.25)  # of the largest |x|, in which starting values are 1
UNLIKE = 10.0  # times 1, or below it: starting values that are others

WAVES = 1000  # residuals, up to which a periodogram is that of their places
BY_CHANCE = 1e-3  # how often noise has so large a share of one frequency

SHARE = 1e-4  # of x and of each parameter: how far they are moved
EXACT = 1e-6  # of what is to be made: what is left where the model scales so
WHOLE = 1e-3  # an exponent nearer to half a whole number is one


def sizes_in_units(model: Callable[..., Any], x: Any, y: Array, n: int, shares: tuple[float, ...]) -> tuple[list[Array], int]:
    """(what parameters of 1 become where x is measured in these shares of its largest value and y in its largest, evaluations); none where
    the model does not tell.

    With units X and Y, a fit over x/X of y/Y is one in other units where f(c x, c^a p) = f(x, p) and f(x, c^b p) = c f(x, p), powers by
    parameters, for all c; then p_j = 1 there is X^a_j Y^b_j here. The exponents are those of Euler's relations, for which
    x f_x + sum a_j p_j f_pj = 0 and sum b_j p_j f_pj = f, by least squares at p = 1: exactly those of rates, widths, places, amplitudes and
    offsets. Where one of the two does not hold, as for a model with units of its own, its exponents are 0.
    """
    X, Y = (float(np.max(np.abs(one), initial=0.0)) if isinstance(one, np.ndarray) and one.dtype.kind == "f" else 0.0 for one in (x, y))
    if not (0.0 < X < math.inf and 0.0 < Y < math.inf) or x.ndim != 1:
        return [], 0
    at, ones = x / X, np.ones(n)

    def values(move: tuple[float, Array]) -> Array:
        return np.broadcast_to(np.asarray(model(move[0] * at, *move[1]), dtype=np.float64).ravel(), y.ravel().shape)

    def slope(of_x: float, of_p: Array) -> Any:
        ends = [tried(values, (1.0 + sign * SHARE * of_x, 1.0 + sign * SHARE * of_p)) for sign in (1.0, -1.0)]
        return None if ends[0] is None or ends[1] is None else (ends[0] - ends[1]) / (2.0 * SHARE)

    found = [tried(values, (1.0, ones)), slope(1.0, 0.0 * ones), *(slope(0.0, one) for one in np.eye(n))]
    calls = 2 * n + 3
    if any(one is None or not np.isfinite(one).all() for one in found):
        return [], calls
    here, of_x, columns = found[0], found[1], np.stack(found[2:], axis=1)
    of_x, of_y = _exponents(columns, -of_x), _exponents(columns, here)
    with np.errstate(all="ignore"):
        sizes = [(share * X) ** of_x * Y**of_y for share in shares]
    return [one for one in sizes if np.all((one > 0.0) & (one < math.inf))], calls


def _exponents(columns: Array, aim: Array) -> Array:
    """By which the columns make `aim`; 0 where they do not."""
    found: Array = np.asarray(np.linalg.lstsq(columns, aim, rcond=EXACT)[0], dtype=np.float64)
    if not np.linalg.norm(columns @ found - aim) <= EXACT * np.linalg.norm(aim):
        return np.zeros(found.size)
    half = np.round(2.0 * found) / 2.0
    return np.asarray(np.where(np.abs(found - half) < WHOLE, half, found), dtype=np.float64)


# ---- a search over decades ---------------------------------------------------------------------------------------------------------------


DECADES = 30  # to each side of a size
SLOW = 50_000  # calls of functions within one of the model's: where it makes more, as it may solve an equation, it is not searched
LONG, LARGE = 0.5, 500_000  # seconds of this thread, where a model takes long without calls; data
DRAWN, CLIMBED, SWEEPS = 60, 3, 3  # drawn points, a parameter; the best of all, that are improved; how often
MOST_CALLS = 400  # a parameter: what a search may take
BETWEEN = 15  # values from one bound to the other
FACTORS = tuple(10.0 ** (sign * k) for k in (0.25, 0.5, 1.0, 2.0, 3.0) for sign in (1.0, -1.0))
FLAT = 1e-10  # of a curve: variations that are rounding
GAIN, GAIN_OF_ALL = 1e-6, 1e-3  # of the share that is explained: what a change must bring, and a sweep
WIDER, STEPS = 10.0, 3  # times f_scale: the loss by which shapes are looked at, as a narrow one sees none that is a little off; its steps
HOPELESS = 0.1  # a share of a curve whose parameters tell nothing one by one
SHARE_LEFT = 0.9  # of a misfit: a start whose shape is at least so much better is worth a fit


class Search:
    """Starts for a fit whose parameters may have any size: curves whose shape is that of the data.

    The shape of a curve is what is left of it when its height and its level do not count: the square of its correlation with the data,
    which is the share of their variance that a f + b explains. It is looked at with each parameter over decades, at points drawn from
    these, and from places, widths and rates that the data tell (of a peak, a sine, an exponential); then parameters are changed one by one.

    x, y : float64 arrays (m,). weights : (m,), one over the standard deviations. base : sizes of the parameters, n numbers other than 0.
    box : lower and upper bounds, or None: nothing is asked outside them. loss : of the fit, or None; shares are then those of the robust
    cost of the data's median, after a few steps of the weights that it gives.
    """

    def __init__(
        self, model: Callable[..., Any], x: Array, y: Array, weights: Array, base: Array, box: tuple[Array, Array] | None = None,
        loss: Any = None,
    ) -> None:  # fmt: skip
        self.model, self.x, self.y, self.weights, self.box = model, x, y, weights, box
        self.base = self._inside(base)
        self.level = weights / np.linalg.norm(weights)
        self.aim = self._shape(y)
        self.told = _told_by_data(x, y)
        self.seen: dict[bytes, float] = {}
        self.turned: list[bytes] = []  # of them, where the curve is upside down
        self.loss = loss
        self.whole = 0.0 if loss is None else cost_of_median(loss, y, weights)

    calls, slow = 0, False  # the latter: whether the model takes long somewhere
    upright = False  # whether a curve upside down is none

    @staticmethod
    def can(x: Any, y: Array) -> bool:
        """Whether the data are a curve's, and vary."""
        vector = isinstance(x, np.ndarray) and x.ndim == 1 and x.dtype.kind == "f" and x.size == y.size > 2
        return bool(vector and x.size <= LARGE and np.isfinite(x).all() and np.isfinite(y).all() and np.ptp(x) > 0.0 and np.ptp(y) > 0.0)

    def starts(self, explained: float) -> list[Array]:
        """Some, the best first, whose shape is nearer to the data than a curve that explains so much of their variance."""
        lists = [self._decades(j) for j in range(self.base.size)]
        if self.slow:
            return []
        if self.box is not None:
            self._turns_over()
        draws = np.random.default_rng(0)
        for _ in range(DRAWN * self.base.size):
            picks = [self.told if self.told and len(one) > 1 and draws.random() < 0.5 else one for one in lists]
            self._explains(np.array([one[draws.integers(len(one))] for one in picks]))
        ends = [self._improved(at) for at in self._best()]
        worth = [(share, end) for share, end in ends if 1.0 - share < SHARE_LEFT * (1.0 - explained)]
        worth.sort(key=lambda one: -one[0])
        return [self._with_heights(end) for _, end in worth]

    def _turns_over(self) -> None:
        """Whether a curve upside down counts within the bounds, as it does where some parameter makes one of it."""
        best, share = max(self.seen.items(), key=lambda one: one[1])
        base = np.frombuffer(best)
        here = self._values(base)
        if here is None or share <= 0.0:
            return
        for j in range(base.size):
            at = self._inside(np.where(np.arange(base.size) == j, -base, base))
            turned = self._values(at) if at[j] * base[j] < 0.0 else None
            if turned is not None and float(self._shape(turned) @ self._shape(here)) < GAIN - 1.0:
                return
        self.upright = True
        self.seen.update(dict.fromkeys(self.turned, 0.0))

    def _best(self) -> list[Array]:
        """Points whose shapes are nearest to the data's, and others."""
        out: list[Array] = []
        last = math.inf
        for key, share in sorted(self.seen.items(), key=lambda one: -one[1]):
            if len(out) < CLIMBED and share < last - GAIN_OF_ALL:
                out.append(np.frombuffer(key).copy())
                last = share
        return out

    def _inside(self, at: Array) -> Array:
        return at if self.box is None else np.clip(at, *self.box)

    def _values(self, at: Array) -> Any:
        """The curve there; None where it is not finite."""
        self.calls += 1
        shape = self.y.shape
        found = tried(lambda p: np.broadcast_to(np.asarray(self.model(self.x, *p), dtype=np.float64).ravel(), shape), self._inside(at))
        return found if found is not None and np.isfinite(found).all() else None

    def _shape(self, values: Array) -> Array:
        """Of length 1; 0 where there is none."""
        top = float(np.max(np.abs(values)))
        weighted = values / top * self.weights if top > 0.0 else 0.0 * values
        out = weighted - self.level * float(self.level @ weighted)
        length = float(np.linalg.norm(out))
        return np.asarray(out / length if length > FLAT * float(np.linalg.norm(weighted)) else 0.0 * values)

    def _explains(self, at: Array) -> float:
        """The share of the data's variance that a curve of this shape does; below 0 where there is none."""
        at = self._inside(at)
        key = at.tobytes()
        if key not in self.seen:
            values = self._values(at)
            with np.errstate(all="ignore"):
                shape = np.zeros(0) if values is None else self._shape(values)
                over = bool(shape.any()) and float(shape @ self.aim) < 0.0
                if over:
                    self.turned.append(key)
                if over and self.upright:
                    self.seen[key] = 0.0
                elif self.loss is None or not shape.any():
                    self.seen[key] = float(shape @ self.aim) ** 2 if shape.any() else -1.0
                else:
                    self.seen[key] = 1.0 - float(self.loss.cost(self._left_by(shape))) / self.whole
        return self.seen[key]

    def _left_by(self, shape: Array) -> Array:
        """What a shape, at the best height and level under the loss, leaves of the data over their deviations."""
        columns, aim = np.stack([shape, self.level], axis=1), self.y * self.weights
        left = aim - columns @ (columns.T @ aim)  # which are orthonormal
        for _ in range(STEPS):
            weighted = columns * self.loss.weights(left)[:, None]
            left = aim - columns @ np.linalg.lstsq(weighted.T @ columns, weighted.T @ aim, rcond=None)[0]
        return left

    def _decades(self, j: int) -> list[float]:
        """Values of a parameter; its size alone where it is seen to change no shape, as a height or a level. Nothing more is asked of a
        model that takes long, which it may do the longer the farther a parameter goes."""
        out, here = [0.0], self._explains(self.base)
        changes = here < 0.0
        for value in self._over(j):
            at = self.base.copy()
            at[j] = value
            if self._takes_long(at):
                self.slow = True
                return out
            share = self._explains(at)
            changes = changes or (share >= 0.0 and abs(share - here) > GAIN)
            out.append(float(at[j]))
        return out if changes or (self.box is not None and here < HOPELESS) else [float(self.base[j])]

    def _over(self, j: int) -> list[float]:
        """Values of a parameter over decades of its size, within its bounds; over these where it has both and they are not far apart."""
        wide = [float(self.base[j] * 10.0 ** (sign * k)) for sign in (1.0, -1.0) for k in range(DECADES + 1)]
        if self.box is None:
            return wide
        low, high = float(self.box[0][j]), float(self.box[1][j])
        inside = [one for one in wide if low <= one <= high]
        if not (math.isfinite(low) and math.isfinite(high)):
            return inside
        if low * high > 0.0:
            return inside + [float(one) for one in np.geomspace(low, high, BETWEEN)]
        return inside + [float(one) for one in np.linspace(low, high, BETWEEN)]

    def _takes_long(self, at: Array) -> bool:
        """Whether a call of the model makes many of functions, of Python or C: a count, as a clock would be the machine's. A clock ends
        calls that are far longer, of compiled code; and a count that something else keeps is left alone."""
        count, before, began = 0, sys.getprofile(), time.thread_time()

        def one_more(*_: Any) -> None:
            nonlocal count
            count += 1

        if before is None:
            sys.setprofile(one_more)
        try:
            self._explains(at)
        finally:
            if before is None:
                sys.setprofile(None)
        return count > SLOW or time.thread_time() - began > LONG

    def _improved(self, at: Array) -> tuple[float, Array]:
        """(what it explains, the parameters), one parameter changed after the other; those that change no shape have their size."""
        best = self._explains(at)
        for _ in range(SWEEPS):
            before = best
            for j in range(at.size):
                for value in [at[j] * factor for factor in FACTORS] + [*self.told, -at[j]]:
                    other = np.where(np.arange(at.size) == j, value, at)
                    share = self._explains(other)
                    if share > best + GAIN:
                        best, at = share, other
            if best < before + GAIN_OF_ALL:
                break
        for j in range(at.size):
            other = np.where(np.arange(at.size) == j, self.base, at)
            at = other if self._explains(other) > best - GAIN else at
        return best, at

    def _with_heights(self, at: Array) -> Array:
        """The parameters, those that change no shape where the misfit is least if the curve is linear in them, where that lowers it."""
        share, each, here = self._explains(at), np.eye(at.size), self._values(at)
        some = [j for j in range(at.size) if abs(self._explains(at + at * each[j]) - share) <= GAIN]
        without = [self._values(np.where(each[j] > 0.0, 0.0, at)) for j in some]
        if not some or here is None or any(one is None for one in without):
            return self._inside(at)
        parts = np.stack([here - one for one in without], axis=1)
        weights = self.weights if self.loss is None else self.weights * np.sqrt(self.loss.weights(self._left_by(self._shape(here))))
        rest, weighted = (self.y - here + parts.sum(axis=1)) * weights, parts * weights[:, None]
        if not (np.isfinite(rest).all() and np.isfinite(weighted).all()):
            return self._inside(at)
        shares = np.linalg.lstsq(weighted, rest, rcond=None)[0]
        other = at * (1.0 + (shares - 1.0) @ each[some])
        values = self._values(other)
        lower = values is not None and np.linalg.norm((values - self.y) * weights) < np.linalg.norm((here - self.y) * weights)
        return self._inside(other) if lower else at


def _sizes_within(lower: Array, upper: Array) -> Array:
    """Sizes of parameters with bounds: their middle, by decades where both have one sign; 1 with the sign that one of them allows."""
    out = np.where(upper <= 0.0, -1.0, 1.0)
    for j, (low, high) in enumerate(zip(lower, upper, strict=True)):
        if math.isfinite(low) and math.isfinite(high):
            middle = math.copysign(math.sqrt(abs(low)) * math.sqrt(abs(high)), low) if low * high > 0.0 else 0.5 * (low + high)
            out[j] = middle or (high - low) / 4.0 or 1.0
    return np.clip(out, lower, upper)


def _told_by_data(x: Array, y: Array) -> list[float]:
    """Places, lengths, and one over lengths, along x, of what may be in the data."""
    _, place, width, _ = starting_values("gaussian_peak", x, y)
    w, rate = starting_values("sine", x, y)[1], starting_values("exponential", x, y)[1]
    top = x[int(np.argmax(np.abs(y - np.median(y))))]
    with np.errstate(all="ignore"):
        found = [place, top, x.mean(), width, np.ptp(x), 1.0 / width, w, w / (2.0 * math.pi), 1.0 / w, 2.0 * math.pi / w, rate, 1.0 / rate]
    return [float(one) for one in found if math.isfinite(one) and one]


# ---- a fit that begins again -------------------------------------------------------------------------------------------------------------


Fitted = tuple[Run, dict[str, Any], str]  # a run, what its result tells of the data, its ending


def is_poor(run: Run, ending: str, told: dict[str, Any]) -> bool:
    """Whether a fit from SciPy's start failed, does not tell its parameters apart, or explains little of the data's variance: less than
    half of it, or less than all but a thousandth, where what it leaves is no noise, or may be none, as the data are few."""
    if ending == "callback" or run.problem.wrong or (ending == "max_nfev" and run.how["limited"]):  # another start does not change it
        return False
    if run.outcome(ending)[0] <= 0 or inverse_at(run, None)[0] is None:
        return True
    if surely_explains(run, told, FAIR):
        return False
    share = explained(run, told)
    few = run.core.m <= FEW and share < DOUBTFUL
    return share < POOR or few or (share < FAIR and likeness_of_residuals(run, told) != "")


def surely_explains(run: Run, told: dict[str, Any], share: float) -> bool:
    """A cheap look at whether a fit explains so much of the data's variance, of which the difference of any two is a part; True as well of
    fits of which that is not asked."""
    if told["deviations"] is not None and run.problem.sigma is None:  # of a covariance matrix
        return True
    if run.loss is not None or run.problem.sigma is not None:
        return False
    y, left = told["ydata"], 4.0 * run.core.cost
    three = (y.item(0), y.item(y.size // 2), y.item(-1))
    return bool(left <= (1.0 - share) * (max(three) - min(three)) ** 2 or left <= (1.0 - share) * float(y.max() - y.min()) ** 2)


def explained(run: Run, told: dict[str, Any]) -> float:
    """The share of the data's variance that a fit explains, `rsquared`: below 0 where it is farther from them than their mean; 1 where they
    do not vary. Under a loss, of the robust cost of their median."""
    if run.loss is not None:
        y = np.ravel(told["ydata"])
        weights = 1.0 if run.problem.sigma is None else 1.0 / run.problem.sigma.ravel()
        whole = cost_of_median(run.loss, y, weights)
        return 1.0 - float(run.core.cost) / whole if 0.0 < whole < math.inf else 1.0
    share = share_explained(2.0 * float(run.core.cost), told["ydata"], run.problem.sigma)
    return 1.0 if math.isnan(share) else share


def likeness_of_residuals(run: Run, told: dict[str, Any]) -> str:
    """Words on residuals along x that are not as those of noise; empty where they are, or nothing tells which are beside one another.

    Neighbours are alike, or alternate, where von Neumann's ratio, which is 2 for noise, with a standard deviation of 2/sqrt(m), is 3 of
    them below or above it. Residuals oscillate where one frequency has more of them than noise has in a thousand draws, by Fisher's test.
    """
    x, r = told["xdata"], run.core.f
    if run.loss is not None:  # what counts of them
        r = run.loss.weights(r) * r
    if not (isinstance(x, np.ndarray) and x.ndim == 1 and x.size == r.size):
        return ""
    order = np.argsort(x, kind="stable")
    x, r = x[order], r[order] - r.mean()
    ratio, far = float(np.sum(np.diff(r) ** 2)), 3.0 / math.sqrt(r.size)
    size = 2.0 * float(r @ r)
    if ratio < (1.0 - far) * size:
        return "neighbouring residuals are alike"
    if ratio > (1.0 + far) * size:
        return "neighbouring residuals alternate"
    return "residuals oscillate along x" if _oscillates(x, r) else ""


def _oscillates(x: Array, r: Array) -> bool:
    """By R. A. Fisher, Proc. R. Soc. A 125 (1929) 54-59: the largest share of a periodogram of noise."""
    count = (r.size - 1) // 2
    span = float(np.ptp(x)) * r.size / max(1, r.size - 1)
    if count < 3 or not 0.0 < span < math.inf:
        return False
    if r.size > WAVES:
        power = np.abs(np.fft.rfft(r)[1 : count + 1]) ** 2
    else:
        power = np.abs(np.exp(-2j * math.pi * np.outer(np.arange(1, count + 1), (x - x[0]) / span)) @ r) ** 2
    total = float(power.sum())
    return total > 0.0 and count * (1.0 - float(power.max()) / total) ** (count - 1) < BY_CHANCE


def calls_of(run: Run) -> int:
    """How often the model was called in a run."""
    if run.problem.calls is not None:
        return int(run.problem.calls.count) + run.aside
    return 1 if run.core is None else int(run.core.counts[3]) + run.problem.looked + run.aside


class Again:
    """Fits from other starts than 1. anew(start): the run from there, and what its result tells.

    spent : evaluations of all fits so far. searched : calls of the model for the starts.
    """

    def __init__(self, begun: Fitted, anew: Callable[[Array], tuple[Run, dict[str, Any]]]) -> None:
        self.best, self.first, self.anew = begun, begun[0], anew
        self.runs, self.spent, self.searched = [self.first], self.first.nfev, 0

    @property
    def calls(self) -> int:
        """Calls of the model, of all fits and searches so far; fits are asked for more when they are judged."""
        return self.searched + sum(calls_of(run) for run in self.runs)

    def go(self) -> Fitted:
        """The fit from 1 in the units of the data, or from the best that is found over decades, where these lead to a better one; else the
        one at hand."""
        for start, words in self._starts():
            if self._left(1) and self._ends_with(start, words):
                break
        run = self.best[0]
        run.after = self.spent - run.nfev
        run.aside += self.calls - calls_of(run)
        return self.best

    def _left(self, count: int) -> bool:
        """Whether limits of the user's own leave so many calls."""
        how = self.first.how
        evaluations, calls = how["limit"] - self.spent, how["calls"] - self.calls
        return not how["limited"] or (evaluations >= count and (not how["calls"] or calls >= count))

    def _starts(self) -> Iterator[tuple[Array, str]]:
        """Starting values, and words on them; the next ones are looked for where those before did not do."""
        told, n = self.best[1], self.first.x.size
        x, y = told["xdata"], told["ydata"]
        box = self.first.box
        near = box is None or bool(np.all(box[0] <= 1.0 - SHARE) and np.all(box[1] >= 1.0 + SHARE))  # where it looks
        sizes, calls = sizes_in_units(told["f"], x, y, n, UNITS) if near else ([], 0)
        if box is not None:
            sizes = [one for one in sizes if np.all((box[0] <= one) & (one <= box[1]))]
        self.searched += calls
        for start in sizes if sizes and np.max(np.abs(np.log(sizes[0]))) > math.log(UNLIKE) else []:
            yield start, "at 1 in units of the data"
        if not Search.can(x, y) or not self._left(MOST_CALLS * n):
            return
        sigma = self.first.problem.sigma
        weights = np.ones(y.size) if sigma is None else np.broadcast_to(1.0 / sigma.ravel(), (y.size,))
        base = sizes[0] if sizes else np.ones(n) if box is None else _sizes_within(*box)
        loss = None if self.first.loss is None else wider(self.first.loss, WIDER)
        search = Search(told["f"], x, y.ravel(), weights, base, box, loss)
        run, ending = self.best[0], self.best[2]
        known = explained(run, told) if run.loss is None and run.outcome(ending)[0] > 0 and math.isfinite(run.core.cost) else 0.0
        starts = search.starts(max(known, 0.0))
        self.searched += search.calls
        for start in starts if box is None else [np.clip(one, *box) for one in starts]:
            yield start, f"where, of {search.calls} curves with parameters over decades, the shape is nearest to the data's"

    def _ends_with(self, start: Array, words: str) -> bool:
        """A fit from there; whether no other start is needed."""
        run, told = self.anew(start)
        most = self.first.how["calls"]
        run.spent, run.how["calls"] = self.spent, most and most - self.calls
        run.how["limit"] += 0 if run.how["limited"] else self.spent
        values = ", ".join(f"{value:.3g}" for value in start)
        run.origin = f"; p0 was not given, the fit from 1 was poor, and this one began {words}, ({values})"
        ending = _gone(run)
        self.runs.append(run)
        self.spent = run.nfev if run.core is not None else self.spent + 1
        won = bool(ending and run.outcome(ending)[0] > 0 and _is_better(run, *self.best))
        if ending != "callback" and not won:
            return False
        told["_given"], self.best = False, (run, told, ending)
        return ending == "callback" or not is_poor(run, ending, told)


def _gone(run: Run) -> str:
    """The name of the test that ended it; empty where f raised, as it may far from where its user has it evaluated."""
    try:
        return run.go()
    except Exception as error:
        if reason_of(error)[0] != "rhs_failed":
            raise
        return ""


def _is_better(other: Run, run: Run, told: dict[str, Any], ending: str) -> bool:
    """Whether a fit that converged is clearly better than another one, or tells parameters apart where that one does not, or failed. One
    that leaves noise counts as the truth: others that are a little better may follow the noise."""
    if not math.isfinite(run.core.cost):
        return True
    if run.outcome(ending)[0] <= 0 or inverse_at(run, None)[0] is None:
        return bool(other.core.cost <= run.core.cost)
    noise = run.loss is None and explained(run, told) >= POOR and not likeness_of_residuals(run, told)
    return bool(other.core.cost <= run.core.cost * (BEYOND_NOISE if noise else CLEARLY))
