"""Whether a point is a minimum as far as rounding tells: what a search that finds no lower point asks where its gradient is not small.

In units far from 1, or beside a large offset, no gradient reaches gtol: that of the nearest numbers to the minimum is about eps |H| |x|,
and values of the cost tell apart no points between which it changes by less than its rounding. So, in lengths s of each parameter's own
size, with M = s H s by differences of the gradient g,

    convex      the cost rises to both sides by what M says, and M is the same over another length (at a kink, or with a gradient that is
                not the cost's, it is not), and no direction of the Krylov space of s g curves down
    at rest     |s g| <= ROUNDED eps |M v|, entry by entry, or Newton's step lowers the cost by at most a few times what its values are off
                by beside x

Where there are values alone, M is of these, in lengths over which they rise far above their rounding, and both are asked of it.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import numpy as np

from mflow.base.checks import Array
from mflow.derivatives.differences import EPS, along
from mflow.spectra import krylov

__all__ = ["rests", "rests_by_values"]

Both = Callable[[Array], tuple[float, Array]]
NEAR, FAR = 1e-6, 1e-2  # of a parameter's size: the length of differences of the gradient, and the largest
LEAST = 1e-12  # of the largest size: a parameter below it is rounding
RISE = 1e6  # times the rounding of the cost: by how much it rises where that is held against M
ALIKE = 0.3  # relative: of two measures of one curvature
ROUNDED = 16.0  # times eps: of the gradient beside |H| |x|
VALUES = 10.0  # times eps: of the cost, within which a search judges by slopes
ROUGH = 1e-12  # of the cost, or of what it has come down by: rounding is below it
SOME = 4.0  # times what a few values beside x show: their rounding may be so much larger elsewhere
ULPS = (3.0, 17.0, -5.0, -29.0)  # of each parameter: points beside x between which a cost changes by its rounding alone
MOST = 40  # products of M
NOISE = 1e-9  # of a product: what is left of one that differences over `NEAR` do not tell
SHOWN = 1e4  # times what values are off by: the rise over which they tell a curvature
REACHES = tuple(10.0**k for k in np.arange(-8.0, -1.0, 0.5))  # of a parameter's size: lengths that are tried for it
SURE = 100.0  # times that: the least curvature over such lengths that counts as one
LEFT = 0.3  # of the gradient: what a Newton step leaves where it is not known further


def rests(both: Both, x: Array, value: float, grad: Array, start: Array, began: float) -> bool:
    """Whether x, flat, is a minimum to rounding. both: cost and gradient at a flat point. start, began: where the run began, and at what
    cost."""
    sizes = np.maximum(np.abs(x), np.abs(start))
    top = float(np.max(sizes, initial=0.0))
    if not (top > 0.0 and math.isfinite(value) and np.isfinite(grad).all()):
        return False
    sizes = np.maximum(sizes, LEAST * top)
    with np.errstate(all="ignore"):
        return _rests(_Scaled(both, x, value, sizes), sizes * grad, max(abs(value), abs(began - value)))


class _Scaled:
    """The cost around x in units of `sizes`."""

    def __init__(self, both: Both, x: Array, value: float, sizes: Array) -> None:
        self.both, self.x, self.value, self.sizes = both, x, value, sizes

    def beside(self, v: Array) -> tuple[float, Array]:
        """(by how much the cost differs at x + v, the gradient there)."""
        value, grad = self.both(self.x + self.sizes * v)
        return value - self.value, self.sizes * grad.ravel()

    def across(self, v: Array, h: float) -> tuple[float, float, Array]:
        """(the mean rise over h to both sides of x along v, half of what they are apart by, M v by that difference)."""
        (up, ahead), (down, behind) = self.beside(h * v), self.beside(-h * v)
        return 0.5 * (up + down), 0.5 * (up - down), (ahead - behind) / (2.0 * h)

    def rounding(self, grad: Array) -> float:
        """By how much values beside x are off, as far as some points show it; NaN where one has no value."""
        ways = [ulps * EPS * np.sqrt(self.x.size) * along(self.x.size) for ulps in ULPS]
        return float(np.max([abs(self.beside(v)[0] - float(grad @ v)) for v in ways]))


def _rests(near: _Scaled, grad: Array, size: float) -> bool:
    n = near.x.size
    ways = [math.sqrt(n) * along(n), math.sqrt(n) * krylov.random_vector(n)]  # an error of the gradient may be across one by chance
    first = near.across(ways[0], NEAR)
    noise = float(np.maximum(VALUES * EPS * abs(near.value), near.rounding(grad)))
    if not all(_curves_up(near, grad, v, first if k == 0 else near.across(v, NEAR), noise) for k, v in enumerate(ways[:n])):
        return False
    if np.all(np.abs(grad) <= ROUNDED * EPS * np.abs(first[2])):
        return True
    # values differ by more than rounding between points that are farther apart
    rough = abs(first[0] - 0.5 * NEAR * NEAR * float(ways[0] @ first[2])) > ROUGH * size
    return not rough and noise <= ROUGH * size and _gain(near, grad) <= SOME * noise


def _curves_up(near: _Scaled, grad: Array, v: Array, first: tuple[float, float, Array], noise: float) -> bool:
    """Whether the cost rises to both sides of x along v as the gradient says; first: what it does over `NEAR`."""
    product = first[2]
    curved, largest = float(v @ product), float(np.max(np.abs(product)))
    if not (curved > 0.0 and math.isfinite(largest) and noise < math.inf):
        return False
    far = min(max(math.sqrt(2.0 * RISE * noise / curved), 10.0 * NEAR), FAR)
    rise, tilt, second = near.across(v, far)
    foreseen = 0.5 * far * far * float(v @ second)
    off = max(abs(rise - foreseen), abs(tilt - far * float(grad @ v)))  # a gradient that is not the cost's is off by a slope
    return bool(off <= ALIKE * foreseen + 4.0 * noise and np.max(np.abs(second - product)) <= ALIKE * largest)


def _gain(near: _Scaled, grad: Array) -> float:
    """By how much Newton's step lowers the cost, as its Krylov space tells; inf where it curves down, or ends too soon."""
    size = float(np.linalg.norm(grad))

    def over(H: Array, k: int) -> bool:
        return not H[k, k - 1] > NOISE * float(np.linalg.norm(H[: k + 1, k - 1])) or _bends_down(H[:k, :k])

    try:
        _, H, following = krylov.basis(lambda v: near.across(v, NEAR)[2], grad / size, min(MOST, grad.size), over)
    except FloatingPointError:  # the cost has no value, or no slope, in that direction
        return math.inf
    if _bends_down(H):
        return math.inf
    step = np.linalg.solve(0.5 * (H + H.T), size * np.eye(len(H), 1)).ravel()
    return 0.5 * size * float(step[0]) if following * abs(float(step[-1])) <= LEFT * size else math.inf


def _bends_down(H: Array) -> bool:
    """Whether the cost curves down in the space that H is the Hessian of."""
    return bool(np.linalg.eigvalsh(0.5 * (H + H.T))[0] <= 0.0)


def rests_by_values(values: Callable[[Array], float], x: Array, value: float) -> bool:
    """The same of a cost without a gradient, by some 5 n + n^2 values; what they tell does not depend on where a run began."""
    sizes = np.abs(x)
    top = float(np.max(sizes, initial=0.0))
    if not (top > 0.0 and math.isfinite(value)):
        return False
    sizes = np.maximum(sizes, LEAST * top)

    def rise(v: Array) -> tuple[float, float]:
        """(the mean rise to both sides of x, half of what they are apart by)."""
        up, down = values(x + v) - value, values(x - v) - value
        return 0.5 * (up + down), 0.5 * (up - down)

    with np.errstate(all="ignore"):
        way = sizes * math.sqrt(x.size) * along(x.size)
        seen = max(abs(rise(ulps * EPS * way)[0]) for ulps in ULPS)
        if seen == 0.0:  # values move in jumps
            seen = next((jump for h in REACHES if (jump := abs(rise(h * way)[0])) > 0.0), 0.0)
        noise = max(EPS * abs(value), seen)
        if not 0.0 < noise <= ROUGH * max(abs(value), abs(rise(0.5 * way)[0])) < math.inf:
            return False
        model = _model(rise, sizes, noise)
        if model is None:
            return False
        lengths, tilts, M = model
        for v in (np.sqrt(x.size) * along(x.size), krylov.random_vector(x.size)):
            foreseen = 0.5 * float(v @ M @ v)
            if not abs(rise(lengths * v)[0] - foreseen) <= ALIKE * foreseen + SOME * noise:
                return False
        return bool(np.linalg.eigvalsh(M)[0] > SURE * noise and 0.5 * float(tilts @ np.linalg.solve(M, tilts)) <= SOME * noise)


def _model(rise: Callable[[Array], tuple[float, float]], sizes: Array, noise: float) -> tuple[Array, Array, Array] | None:
    """(lengths of the parameters, the slopes and the Hessian over these); None where the cost does not bend up alike over twice of one."""
    n = sizes.size
    lengths, tilts, M = np.zeros(n), np.zeros(n), np.zeros((n, n))
    for j in range(n):
        unit = sizes[j] * (np.arange(n) == j)
        found = next(((h, *seen) for h in REACHES if not (seen := rise(h * unit))[0] < SHOWN * noise), None)
        if found is None:
            return None
        h, up, tilt = found
        twice, tilt_twice = rise(2.0 * h * unit)
        if not abs(twice - 4.0 * up) <= ALIKE * twice:
            return None
        lengths[j], tilts[j], M[j, j] = h * sizes[j], (8.0 * tilt - tilt_twice) / 6.0, 2.0 * up
    for i, j in itertools.combinations(range(n), 2):
        both, _ = rise(lengths * ((np.arange(n) == i) | (np.arange(n) == j)))
        M[i, j] = M[j, i] = both - 0.5 * (M[i, i] + M[j, j])
    return (lengths, tilts, M) if np.isfinite(M).all() and np.isfinite(tilts).all() else None
