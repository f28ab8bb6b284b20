"""What is looked at of a cost whose gradient is made by differences: its digits, derivatives of exactly 0, noise, and slopes unseen."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from mflow_core.problems.problem import Problem, objective_problem
from numpy.typing import NDArray

from mflow.base.checks import Array, as_tuple, shown
from mflow.derivatives.agreement import agreeing
from mflow.derivatives.differences import (
    APART,
    ASIDE,
    EACH,
    EPS,
    OWN,
    TINY,
    Digits,
    along,
    check_diff_step,
    digits_of,
    falls_anywhere,
    moves_from,
    number_tried,
    scan,
    tried,
    verdict_of,
)  # fmt: skip

__all__ = ["BENT", "BENT_AT_0", "REACHES", "UNSEEN", "CostLook", "FewDigitsError", "cost_problem"]

FORWARD, CENTRAL = 4, 5  # modes of the core's callbacks
MODES = {FORWARD: "forward", CENTRAL: "central"}
NOISY = 1e-12  # relative: an error of values that rounding does not make
FEW = 8  # of those whose differences are 0 at x0, where others' are not
SHORTEST = 2e-8  # about the usual length
LARGE = 1e3  # a parameter that may be so by an offset
SHORTER = 1e-3  # of the lengths of differences, over which slopes are looked at again there
BESIDE = 1e-4  # relative length over which an end is looked at for slopes that differences do not see
SCALES = (1e-7, 1e-6, 1e-5, 1e-4)  # relative distances of points, on which a kink looks alike, and noise does not
ROUNDED, LEAST = 10.0, 1e-60  # times the rounding of x, and at x = 0: lengths that are not shortened
AT_0, LAST = 1e-10, 1e-10  # the longest length over which x = 0 is looked at for slopes, and the shortest as a share of it
POINTS = 6  # of them on each side
KINKS = (1e-4, 1e-5, 1e-6)  # relative lengths of second differences that tell one
BENT = (
    "differences are longer than small numbers x, over shares of which the cost has slopes above gtol: give jac=, or diff_step=, or "
    "parameters in other units"
)
BENT_AT_0 = (
    "differences are longer than the lengths over which the cost bends at x = 0, and shorter ones show other slopes: give jac=, or "
    "diff_step=, or parameters in other units"
)
UNSEEN = (
    "the cost has slopes above gtol that differences do not see, as a part of its values moves in jumps that are longer (float32 inside?): "
    "return float64, or give jac=, or diff_step="
)
REACHES = (
    "differences reach over lengths within which the cost bends, as x is large beside them, and shorter ones show slopes above gtol: give "
    "jac=, or diff_step=, or take such a parameter's difference from an offset"
)
SMOOTHED = "; smooth it, as by sqrt(x**2 + eps**2) for abs(x), or write a parameter as u - v with bounds (0, None) and its abs as u + v"


def _is_kink(values: Callable[[Array], Any], x: Array, move: Array) -> bool:
    """Whether slopes over short steps from x along `move` differ because of a kink, and not of noise.

    Values beside a kink turn once at most, and their curvature changes its sign there alone, whatever the distance of the points. Noise
    that makes slopes differ changes both again and again at some short distance; rounded values stand still.
    """
    parts = np.arange(-POINTS, POINTS + 1)
    for h in SCALES:
        seen = [tried(values, x + part * h * move) for part in parts.tolist()]
        if any(one is None for one in seen):
            return False
        line = np.array([float(np.asarray(one, dtype=np.float64).reshape(())) for one in seen])
        change = np.diff(line)
        rounding = 16.0 * EPS * (float(np.max(np.abs(line))) + float(np.max(np.abs(change))) / h)
        turns = _changes(change, rounding), _changes(np.diff(change), rounding)
        if not np.isfinite(line).all() or np.sum(change == 0.0) > POINTS or turns[0] > 1 or turns[1] > 2:
            return False
    return True


def _changes(values: Array, rounding: float) -> int:
    """How often the sign changes, of those that are more than rounding."""
    signs = np.sign(values[np.abs(values) > rounding])
    return int(np.sum(signs[1:] != signs[:-1]))


class FewDigitsError(Exception):
    """A cost carries few digits, where its user refuses one that does."""


class CostLook:
    """The look at the first gradient of a cost, and at differences that are all 0: the `look` of a callback of the core.

    digits : what the cost's values carry, where that is less than float64. verdict : of the point `at` where all differences are 0, "flat",
    "minimum", "maximum" or "level". check : called once with (x, value, gradient) where the gradient is the user's. refuses : whether few
    digits raise FewDigitsError. kink : whether what looked like noise is a kink.
    """

    def __init__(self, fun: Any, args: tuple[Any, ...], shape: tuple[int, ...], given: bool, check: Callable[..., Any] | None) -> None:
        self.fun, self.args, self.shape, self.given, self.check = fun, args, shape, given, check

    digits: Digits | None = None
    step, noise = 0.0, 0.0  # noise: relative, of the cost, where it was looked for
    verdict, at, first = "", np.zeros(0), math.nan
    still: NDArray[np.intp] = np.zeros(0, np.intp)
    held: NDArray[np.bool_] | None = None  # entries of x that may not move: their derivatives are 0 by themselves
    within: tuple[Any, Any] = (-np.inf, np.inf)
    calls = 0  # evaluations that asked for kinks
    noisy: tuple[Array, Array] | None = None  # where noise was seen, and in which direction
    known = refuses = kink = False
    asked = FORWARD  # the mode of differences at the beginning
    short, compared = False, np.zeros(0)  # differences are taken over shorter lengths that agree; where that was asked last
    shrunk = False  # whether that is as the cost is not finite over longer ones
    scaled = False  # the lengths of differences are shares of those that x_scale says
    units: Any = 1.0  # those, or sizes that small numbers had, n of them: of what is longer, these or x, differences take shares
    own, settled = False, np.zeros(0)  # differences are taken over shares of small numbers themselves; an end that was looked at
    sighted, rises = np.zeros(0), 0  # an end at which slopes that differences do not see were looked for; 1 where it rises on both sides
    # of it, in `along`, -1 where it falls, 0 where it does neither

    def __call__(self, callback: Any, x: Array, value: float, grad: Array) -> bool:
        """Whether it has set other steps."""
        if callback.mode < FORWARD:
            if self.check is not None:
                check, self.check = self.check, None  # its owner has this look: nothing is left for the collector of cycles
                check(x, value, grad)
            return False
        if not np.isfinite(grad).all():
            return self._shrink(callback, x, grad)
        seen, callback.seen = callback.seen, None
        if not self.known:
            self.known, self.first = True, value
            self.digits = self._digits(callback, x, seen or [])
            if self.digits is not None and self.refuses:
                raise FewDigitsError
            if self.digits is not None and not self.given:
                return self._lengthen(callback, self.digits.step, x.size)
            if not self.given and (self._bends(callback, x, grad) or self.reaches(callback, x, value, grad)):
                return True
            if grad.all():
                return False
            return self._confirm(callback, x, value, grad)
        if grad.any() or np.isnan(grad).any() or np.array_equal(self.at, x):
            return False
        return self._confirm(callback, x, value, grad)

    def _digits(self, callback: Any, x: Array, seen: list[Any]) -> Digits | None:
        """Where values have few digits, one more, as short numbers x may be the reason."""
        if digits_of(seen) is None:
            return None
        callback.nfev += 1
        aside = tried(self._clipped, x + ASIDE * np.maximum(1.0, np.abs(x)) * along(x.size))
        return None if aside is None else digits_of([*seen, aside])

    def _lengthen(self, callback: Any, step: float, n: int) -> bool:
        self.step = step
        callback.scales, callback.mode = np.full(n, step), CENTRAL
        return True

    def _bends(self, callback: Any, x: Array, grad: Array) -> bool:
        """At the start: whether small numbers show other slopes over shares of themselves, which are then taken."""
        u = self._small(callback, x)
        if not (u.any() and np.isfinite(grad).all()):
            return False
        slope, noise = self._slope(callback, x, u * along(x.size))
        if not abs(slope - float(grad @ (u * along(x.size)))) > APART * abs(slope) + 2.0 * noise:
            return False
        return self._shorten(callback, x, grad, 0.0, u)

    def reaches(self, callback: Any, x: Array, value: float, grad: Array, gtol: float = 0.0) -> bool:
        """Beside a parameter that may be large by an offset: whether shorter differences show another slope above gtol than those that
        were taken, and agree with each other; they are taken then. Two evaluations where there is none."""
        off = callback.mode < FORWARD or self.own or self.short or self.given or self.digits or not float(np.max(np.abs(x))) >= LARGE
        if off or np.array_equal(self.compared, x) or not np.isfinite(grad).all():
            return False
        value = self._change(callback, x, np.zeros(x.size), 0.0) if math.isnan(value) else value
        if not math.isfinite(value):
            return False
        self.compared, size = x.copy(), np.maximum(1.0, np.abs(x))
        free = np.ones(x.size, bool) if self.held is None else ~self.held
        usual = (EPS**0.5 if callback.mode == FORWARD else OWN) if callback.scales is None else callback.scales
        step = SHORTER * usual * size * along(x.size) * free
        ends = self._change(callback, x, step, value), -self._change(callback, x, -step, value)
        seen = ends[1] if math.isnan(ends[0]) else ends[0] if math.isnan(ends[1]) else 0.5 * (ends[0] + ends[1])
        noise, foreseen = 8.0 * EPS * abs(value), float(grad @ step)
        if not abs(seen - foreseen) > APART * abs(seen) + noise + 10.0 * gtol * float(np.sum(np.abs(step))):
            return False
        found = OWN * size
        for j in np.flatnonzero(free)[:EACH]:
            unit = 1.0 * (np.arange(x.size) == j)

            def slope(h: float, unit: Array = unit) -> Array:
                return np.array([(self._change(callback, x, h * unit, value) - self._change(callback, x, -h * unit, value)) / (2.0 * h)])

            found[j] = agreeing(slope, float(found[j]), abs(float(x[j])), SHORTER, rounding=lambda h: noise / h).length
        if np.array_equal(found, OWN * size):
            return False
        self.short = True
        callback.scales, callback.mode = found / size, CENTRAL
        return True

    def _change(self, callback: Any, x: Array, step: Array, value: float) -> float:
        """Of the cost along a step, counted; NaN where it has no value."""
        callback.nfev += 1
        lower, upper = callback.within if callback.within is not None else (-np.inf, np.inf)
        return number_tried(self._value, x + step) - value if np.all((x + step >= lower) & (x + step <= upper)) else math.nan

    def steeper(self, callback: Any, x: Array, grad: Array, gtol: float) -> bool:
        """At an end: whether a small number shows a slope above gtol over shares of itself, which are then taken; or the cost one over the
        usual lengths, where it was not finite over these."""
        if self.shrunk and not np.array_equal(self.settled, x):
            self.settled = x.copy()
            return self._restored(callback, x, grad, gtol)
        if callback.mode < FORWARD or self.given or self.short or self.step or np.array_equal(self.settled, x):
            return False
        u, self.settled = self._small(callback, x), x.copy()
        if not x.any() and np.isfinite(grad).all():
            return self._bends_at_0(callback, x, grad)
        if not (u.any() and np.isfinite(grad).all()):
            return False
        slope, noise = self._slope(callback, x, u * along(x.size))
        return abs(slope) > gtol * float(np.sum(u)) + 2.0 * noise and self._shorten(callback, x, grad, gtol, u)

    def _bends_at_0(self, callback: Any, x: Array, grad: Array) -> bool:
        """At an end x = 0, which tells no size: whether far shorter differences show another slope, as in SI units, and agree with each
        other; shares of such a length are taken then. Two evaluations where there is none."""
        lower, upper = callback.within if callback.within is not None else (-np.inf, np.inf)
        free = (lower <= -AT_0) & (upper >= AT_0) & (np.ones(x.size, bool) if self.held is None else ~self.held)
        way, length = free * along(x.size), AT_0
        slope, noise = self._slope(callback, x, way, length)
        if not (abs(slope) > 2.0 * noise and abs(slope - float(grad @ way)) > APART * abs(slope) + 2.0 * noise):
            return False
        while length > AT_0 * LAST:
            before, length = slope, 0.1 * length
            slope, noise = self._slope(callback, x, way, length)
            if abs(slope - before) <= APART * abs(slope) and noise <= APART * abs(slope):
                return self._shorten(callback, x, grad, 0.0, free * (0.01 * length / OWN))
        return False

    def _small(self, callback: Any, x: Array) -> Array:
        """|x_j| of small numbers whose differences are longer than a share of them and that may move to both sides; else 0."""
        size = np.abs(x)
        usual = EPS**0.5 if callback.mode == FORWARD else OWN
        lengths = (usual if callback.scales is None else _shares(callback)) * np.maximum(self.units, size)
        small = (size < TINY) & (lengths > 2.0 * OWN * size) & (size > 0.0)
        if callback.within is not None:
            lower, upper = callback.within
            small &= (x - 10.0 * OWN * size >= lower) & (x + 10.0 * OWN * size <= upper)
        return np.where(small, size, 0.0)

    def _slope(self, callback: Any, x: Array, move: Array, share: float = OWN) -> tuple[float, float]:
        """The slope along `move` over a share of it, and its rounding; to one side where bounds leave no room to the other."""
        lower, upper = callback.within if callback.within is not None else (-np.inf, np.inf)
        sides = [sign for sign in (1.0, -1.0) if np.all((lower <= x + sign * share * move) & (x + sign * share * move <= upper))]
        if not sides:
            return math.nan, math.inf
        sides = sides if len(sides) == 2 else [*sides, 0.0]
        up, down = (tried(self._value, x + sign * share * move) for sign in sides)
        callback.nfev += 2
        if up is None or down is None:
            return math.nan, math.inf
        ends, far = [float(np.asarray(end, dtype=np.float64).reshape(())) for end in (up, down)], (sides[0] - sides[1]) * share
        return (ends[0] - ends[1]) / far, 4.0 * EPS * max(abs(end) for end in ends) / abs(far)

    def _shorten(self, callback: Any, x: Array, grad: Array, gtol: float, sizes: Array) -> bool:
        """Takes shares of those sizes that show another slope, and the same over a share ten times as long, as noise does not; then of all
        that show this, as central differences are longer than forward ones. Numbers that are 0 are taken to be of the largest size."""
        shares, units = self._lengths(callback, np.where(np.abs(x) < TINY, EPS**0.5, OWN))
        free = np.ones(x.size, bool) if self.held is None else ~self.held
        sizes, found = np.where((x == 0.0) & free & (sizes == 0.0), np.max(sizes), sizes), False
        for j in np.flatnonzero(sizes)[:EACH]:
            move = sizes[j] * (np.arange(x.size) == j)
            slope, noise = self._slope(callback, x, move)
            longer, _ = self._slope(callback, x, move, 10.0 * OWN)
            was = float(grad[j]) * float(sizes[j])
            agree, bent = abs(slope - longer) <= APART * abs(slope), abs(slope - was) > APART * abs(slope) + 2.0 * noise
            if agree and abs(slope) > gtol * float(sizes[j]) + 2.0 * noise:
                shares[j], units[j], found = OWN, sizes[j], found or bent
        if found:
            self.own = True
            self._take_over(callback, shares, units)
        return found

    def _shrink(self, callback: Any, x: Array, grad: Array) -> bool:
        """Where a difference reaches to where the cost is not finite, as it is at x: whether shorter ones tell slopes, which are taken."""
        wrong, size = np.flatnonzero(~np.isfinite(grad)), np.abs(x)
        if self.given or wrong.size > EACH or not math.isfinite(self._change(callback, x, np.zeros(x.size), 0.0)):
            return False
        shares, units = self._lengths(callback, np.full(x.size, OWN if callback.mode == CENTRAL else EPS**0.5))
        for j in wrong:
            unit, shortest, before = 1.0 * (np.arange(x.size) == j), max(ROUNDED * EPS * float(size[j]), LEAST), math.nan
            length = float(shares[j] * max(units[j], size[j]))
            while length > shortest:
                length *= 0.1
                slope, noise = self._slope(callback, x, unit, length)
                if abs(slope - before) <= APART * abs(slope) and noise <= APART * abs(slope):
                    break
                before = slope
            else:
                return False
            if 0.0 < size[j] < TINY:
                units[j] = size[j]
            shares[j] = min(OWN, length / float(max(units[j], size[j])))
        self.own, self.short, self.shrunk = False, True, True
        self._take_over(callback, shares, units)
        return True

    def _restored(self, callback: Any, x: Array, grad: Array, gtol: float) -> bool:
        """Whether the usual lengths are taken again, as the cost is finite over them by now and shows another slope above gtol."""
        sizes, way = np.maximum(1.0, np.abs(x)), along(x.size) * (1.0 if self.held is None else ~self.held)
        slope, noise = self._slope(callback, x, sizes * way)
        each = [self._slope(callback, x, sizes * (np.arange(x.size) == j))[0] for j in np.flatnonzero(way)[:EACH]]
        if self.scaled or not np.all(np.isfinite([slope, *each])) or abs(slope) <= gtol * float(np.sum(np.abs(sizes * way))) + 2.0 * noise:
            return False
        self.short = self.shrunk = False
        self.units, callback.scales, callback.mode = 1.0, None, CENTRAL
        return True

    def _lengths(self, callback: Any, usual: Array) -> tuple[Array, Array]:
        """(shares, units) of the lengths of differences: shares of what is longer, x or the units. usual: if nothing is known."""
        shares = usual if callback.scales is None else _shares(callback).copy()
        return shares, np.broadcast_to(self.units, shares.shape).copy()

    def _take_over(self, callback: Any, shares: Array, units: Array) -> None:
        """Central differences over these lengths."""
        self.units = units
        callback.scales, callback.mode = np.stack([shares, units]), CENTRAL

    def longer(self, callback: Any, x: Array, value: float) -> bool:
        """Once, where no step along differences lowers the cost: whether it has noise, beyond rounding, that longer ones pass over."""
        if callback.mode < FORWARD or self.own or self.short or self.step or self.noise or not math.isfinite(value):
            return False
        scans = [scan(self._clipped, x, move, value) for move in moves_from(x)]
        callback.nfev += sum(one.calls for one in scans)
        sloped = [one for one in scans if one.kind == "slope"]
        self.noise = max((one.noise for one in sloped), default=0.0)
        if not self.noise > NOISY:
            return False
        self.noisy = x.copy(), moves_from(x)[[one.noise for one in scans].index(self.noise)]
        return self._lengthen(callback, max(one.step for one in sloped), x.size)

    def measure_by(self, callback: Any, sizes: Array) -> None:
        """Central differences over shares of these sizes, or of x where it is longer."""
        if not self.step:
            self.own = self.scaled = True
            self._take_over(callback, np.full(sizes.size, OWN), sizes)

    def sharpen(self, callback: Any) -> bool:
        """Whether differences were forward ones of the usual lengths; they are central ones now."""
        if callback.mode != FORWARD or self.given or callback.scales is not None:
            return False
        callback.mode = CENTRAL
        return True

    def blunt(self, callback: Any) -> None:
        """Forward differences again."""
        callback.mode = FORWARD

    def blind(self, callback: Any, x: Array, value: float, grad: Array, gtol: float) -> bool:
        """At an end: whether the cost has a slope above gtol that differences do not see, as a part of it moves in jumps that are longer
        (float32 beside float64). Longer differences are taken then. Two evaluations where there is none."""
        if self.reaches(callback, x, value, grad, gtol):
            return True
        fixed = (
            self.short
            or callback.mode < FORWARD
            or self.own
            or self.step
            or self.given
            or self.noise
            or self.digits
            or np.array_equal(self.sighted, x)
        )
        if fixed or not math.isfinite(value) or not np.isfinite(grad).all():
            return False
        self.sighted, self.rises = x.copy(), 0
        d = np.maximum(1.0, np.abs(x)) * along(x.size) * (1.0 if self.held is None else ~self.held)
        lower, upper = callback.within if callback.within is not None else (-np.inf, np.inf)
        far = BESIDE * np.abs(d)
        d[(x - far < lower) | (x + far > upper)] = 0.0  # what stands at a bound
        if not d.any():
            return False
        slope, bend, rise = self._across(callback, x, d, BESIDE, value)
        self.rises = int(rise[0] > 8.0 * EPS * abs(value)) - int(rise[1] < -8.0 * EPS * abs(value))
        off, size = abs(slope - float(grad @ d)), float(np.sum(np.abs(d)))
        if not off > 0.25 * bend + 10.0 * gtol * size + 32.0 * EPS * abs(value) / BESIDE:
            return False
        shorter = BESIDE  # until the slope is lost: jumps are about so long
        while shorter > SHORTEST:
            shorter *= 0.1
            if abs(self._across(callback, x, d, shorter, value)[0] - slope) > 0.3 * abs(slope):
                break
        self.noise = abs(slope) * shorter / max(abs(value), abs(slope) * BESIDE)
        self.noisy = x.copy(), d
        return self._lengthen(callback, min(max(self.noise, NOISY) ** (1 / 3), 0.1), x.size)

    def _across(self, callback: Any, x: Array, d: Array, h: float, value: float) -> tuple[float, float, tuple[float, float]]:
        """The slope of the cost over x - h d ... x + h d, how far those on both sides are apart, and by how much it rises at least and at
        most; NaN where it has no value. Counted."""
        callback.nfev += 2
        seen = [tried(self._value, end) for end in (x + h * d, x - h * d)]
        if any(one is None for one in seen):
            return math.nan, math.nan, (math.nan, math.nan)
        up, down = (float(np.asarray(one, dtype=np.float64).reshape(())) - value for one in seen)
        return (up - down) / (2.0 * h), abs(up + down) / (2.0 * h), (min(up, down), max(up, down))

    def ask_for_kink(self) -> int:
        """After the run, where its cost seemed to have noise; the evaluations."""
        if self.noisy is None:
            return 0
        before = self.calls
        self.kink = _is_kink(self._inside, *self.noisy)
        return self.calls - before

    def kink_at(self, x: Array, value: float) -> tuple[str, int]:
        """Where a search failed: (that the cost has a kink at x along a parameter, and what to do, in words; else empty, evaluations). A
        second difference over h is a slope's jump times h there, over whatever h."""
        free = np.ones(x.size, bool) if self.held is None else ~self.held
        scale, found, before, rises = np.maximum(1.0, np.abs(x)), (0.0, -1), self.calls, x.size <= EACH
        for j in np.flatnonzero(free)[:EACH]:
            move, jumps = scale * (np.arange(x.size) == j), []
            for h in KINKS:
                up, down = (number_tried(self._inside, x + sign * h * move) for sign in (1.0, -1.0))
                jumps.append((up - value + down - value) / (h * float(scale[j])))
                rises = rises and not (up < value or down < value)
            alike = min(map(abs, jumps)) > 0.5 * max(map(abs, jumps)) and min(jumps) * max(jumps) > 0.0
            if alike and abs(jumps[0]) > abs(found[0]):
                found = jumps[0], int(j)
        jump, j = found
        if j < 0 or not _is_kink(self._inside, x, scale * (np.arange(x.size) == j)):
            return "", self.calls - before
        words = f"the cost has a kink at x along x[{j}], where its slope jumps by {jump:.3g}: no gradient tells a minimum there"
        words += f", but the cost falls along no single parameter, by steps of {KINKS[-1]:g} to {KINKS[0]:g}" if rises else ""
        words += SMOOTHED if jump > 0.0 else ""
        return words, self.calls - before

    def _clipped(self, x: Array) -> Any:
        """The cost at the nearest point within the bounds."""
        return self._value(np.clip(x, *self.within))

    def _inside(self, x: Array) -> Any:
        """The cost within the bounds, counted in `calls`; NaN outside, where it is not asked."""
        if not np.all((self.within[0] <= x) & (x <= self.within[1])):
            return math.nan
        self.calls += 1
        return self._value(x)

    def peaked(
        self, x: Array, value: float, small: NDArray[np.bool_], slight: NDArray[np.bool_], fits: Callable[[Array], bool]
    ) -> tuple[str, int]:
        """`falls_anywhere`, of this cost."""
        eps = EPS if self.digits is None else self.digits.eps
        return falls_anywhere(self._value, x, value, small, slight, max(eps, self.noise), fits)

    def _confirm(self, callback: Any, x: Array, value: float, grad: Array) -> bool:
        """Looks at derivatives of exactly 0 again; those of small numbers over shares of themselves first."""
        if not self.own and self.steeper(callback, x, grad, 0.0):
            return True
        free = np.ones(x.size, bool) if self.held is None else ~self.held
        zero = np.flatnonzero((grad == 0.0) & free)
        scale, n = np.maximum(1.0, np.abs(x)), x.size
        whole = zero.size == np.sum(free)
        if not zero.size:
            return False
        moves = (
            [move * free for move in moves_from(x) if np.any(move * free)] if whole else [scale * (np.arange(n) == j) for j in zero[:FEW]]
        )
        at = self._value(x) if math.isnan(value) else value
        eps = EPS if self.digits is None else self.digits.eps
        scans = [scan(self._clipped, x, move, at, eps) for move in moves]
        callback.nfev += sum(one.calls for one in scans) + math.isnan(value)
        self.at = x
        sloped = [one for one in scans if one.kind == "slope"]
        steps = [one.step for one in sloped]
        if sloped and max(one.noise for one in sloped) <= NOISY and self.sharpen(callback):
            self.at = np.zeros(0)  # rounding alone hid them: they are looked at again where central ones of usual lengths are 0, too
            return True
        if steps and max(steps) > self.step and not self.own and not self.short:
            self.digits = self.digits or self._digits(callback, x, [raw for one in scans for raw in one.seen])
            return self._lengthen(callback, max([*steps, self.digits.step if self.digits else 0.0]), n)
        if whole:
            self.verdict = verdict_of(scans)
        else:
            self.still = zero[: len(scans)][[one.kind == "flat" for one in scans]]
        return False

    def kept(self, callback: Any) -> tuple[dict[str, Any], dict[str, Array]]:
        """What a run that goes on elsewhere has to know, for `take`: facts that JSON can hold, and arrays of n numbers."""
        facts = {
            "asked": self._asked_in_words, "mode": MODES[callback.mode], "digits": None if self.digits is None else list(self.digits),
            "step": float(self.step), "noise": float(self.noise), "own": self.own, "short": self.short, "shrunk": self.shrunk,
            "verdict": self.verdict, "first": float(self.first), "rises": self.rises, "still": self.still.tolist(),
        }  # fmt: skip
        arrays = {"at": self.at, "compared": self.compared, "settled": self.settled, "sighted": self.sighted}
        if self.own or self.short:
            arrays |= {"scales": _shares(callback), "units": np.broadcast_to(self.units, _shares(callback).shape)}
        return facts, arrays | ({} if self.noisy is None else {"noisy": self.noisy[0], "way": self.noisy[1]})

    def take(self, callback: Any, facts: dict[str, Any], arrays: dict[str, Array]) -> bool:
        """Goes on as `kept` says; False, with nothing changed, where it was of differences that were asked for otherwise."""
        if facts["asked"] != self._asked_in_words:
            return False
        self.digits = None if facts["digits"] is None else Digits(*facts["digits"])
        self.step, self.noise, self.own, self.short = float(facts["step"]), float(facts["noise"]), facts["own"], facts["short"]
        self.shrunk = facts["shrunk"]
        self.verdict, self.first, self.rises = facts["verdict"], float(facts["first"]), facts["rises"]
        self.still, none = np.array(facts["still"], np.intp), np.zeros(0)
        self.at, self.compared = arrays.get("at", none), arrays.get("compared", none)
        self.settled, self.sighted = arrays.get("settled", none), arrays.get("sighted", none)
        self.noisy = (arrays["noisy"], arrays["way"]) if "noisy" in arrays else None
        self.known, callback.seen, callback.mode = True, None, next(mode for mode, name in MODES.items() if name == facts["mode"])
        if self.step > 0.0:
            self._lengthen(callback, self.step, math.prod(self.shape))
        elif "scales" in arrays:
            self._take_over(callback, arrays["scales"], arrays["units"])
        return True

    @property
    def _asked_in_words(self) -> str:
        return "own lengths" if self.given else MODES[self.asked]

    def _value(self, x: Array) -> Any:
        return self.fun(x.reshape(self.shape).copy(), *self.args)

    def note(self) -> str:
        """What is to be said of the differences in a result's message."""
        if self.scaled:
            return f"; differences are taken over {OWN:.2g} of x_scale, or of x"
        if self.own:
            return f"; differences are taken over {OWN:.2g} of small numbers x themselves, as the cost bends within longer ones"
        if self.short:
            why = "is not finite within those" if self.shrunk else "bends within a share of a number x that is large"
            return f"; differences are taken over shorter lengths than usual, as the cost {why}"
        if self.digits is not None:
            over = f", so differences are taken over {self.step:.2g} of x" if self.step else ""
            return f"; the cost's values carry {self.digits.text}{over}"
        why = f"the cost's values have noise of about {self.noise:.1g} of them" if self.noise > NOISY else "they vanish over shorter steps"
        why = "the cost has a kink near x" if self.kink else why
        return f"; differences are taken over {self.step:.2g} of x, as {why}" if self.step else ""


def _shares(callback: Any) -> Array:
    """Lengths of differences, relative to what is longer, the units or x."""
    shares: Array = callback.scales if callback.scales.ndim == 1 else callback.scales[0]
    return shares


def cost_problem(
    fun: Any, jac: Any, shape: tuple[int, ...], args: Any = (), hess: Any = None, diff_step: Any = None,
    check: Callable[..., Any] | None = None,
) -> tuple[Problem, CostLook | None]:  # fmt: skip
    """A cost with its gradient for the core, and the look at its differences, or at its gradient; None for a compiled cost."""
    problem = objective_problem(fun, jac, shape, args, hess)
    callback = problem.callback
    if callback is None and diff_step is None:
        return problem, None
    n = math.prod(shape)
    steps = None if diff_step is None else check_diff_step(diff_step, n)
    if steps is not None and (callback is None or callback.mode < FORWARD):
        raise ValueError(f"diff_step: expected None beside a gradient, which needs no differences, got {shown(diff_step)}; omit it")
    if callback is None or fun is None or not n:
        return problem, None
    values = (lambda *given: fun(*given)[0]) if jac is True else fun
    look = CostLook(values, args if type(args) is tuple else as_tuple(args, fun), shape, steps is not None, check)
    callback.look = look
    if callback.mode >= FORWARD:
        callback.seen, callback.scales, look.asked = [], steps, callback.mode
    return problem, look
