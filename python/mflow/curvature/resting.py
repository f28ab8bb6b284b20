"""Whether a point is a minimum as far as rounding tells: what a search that finds no lower point asks where its gradient is not small.

In units far from 1, or beside a large offset, no gradient reaches gtol: that of the nearest numbers to the minimum is about eps |H| |x|,
and values of the cost tell apart no points between which it changes by less than its rounding. So, in lengths s of each parameter's own
size, with M = s H s by differences of the gradient g,

    convex      the cost rises to both sides by what M says, and M is the same over another length (at a kink, or with a gradient that is
                not the cost's, it is not), and no direction of the Krylov space of s g curves down
    at rest     |s g| <= ROUNDED eps |M v|, entry by entry, or Newton's step lowers the cost by at most a few times what its values are off
                by beside x
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from mflow.base.checks import Array
from mflow.derivatives.differences import EPS, along
from mflow.spectra import krylov

__all__ = ["rests"]

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
