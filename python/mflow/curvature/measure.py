"""The largest and the least curvature at a point, as intervals, from few products of the Hessian with vectors.

    largest     [a, b]: a is a Ritz value, which the largest eigenvalue is not below but for the error of products; b is the bound of
                Lanczos' method from a start that is random in part (`mflow.spectra.krylov`): it holds but for a stated probability
    least       the same of the other end

Along a run the vector found last is where the next measurement starts, so that it needs a fifth of the products, in the same confidence;
and a tenth where it is only followed (`Meter.follow`), with a measurement in between.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from mflow.base.checks import Array
from mflow.spectra import krylov

__all__ = ["ACCURACY", "PRODUCTS", "Curvature", "Meter", "curvature_of", "in_own_units"]

Product = Callable[[Array], Array]
PRODUCTS = 30  # at most, where nothing is known
AGAIN = 7  # at most, where the vector of the last measurement is
ACCURACY = 1e-3  # of the largest curvature, relative to it, at which a measurement is done
ROUGHLY = 0.02  # of the largest: a residual above it is too large for gaps between values to be believed
FEWEST = 4  # products, before which no Ritz value is believed
FOLLOW, SEARCH, TOLD = 3, 4, 5e-3  # products along the last vector; how often it is looked for anew; relative accuracy
SHARE = 0.3  # of a start vector that is random
NUMBERS = 10**8  # that a basis may hold
TRUSTED = 4.0  # errors, in those that two lengths show
ROUNDING = 1e-14  # of eigenvalues, against the largest


@dataclass(frozen=True, eq=False)
class Curvature:
    """What is known of the eigenvalues of a Hessian (or of one in the metric of a method that rescales).

    least, largest : (lower, upper), intervals of the two at the ends. probability : that each upper end of `largest` and lower end of
    `least` holds, over random starts; 1 where all eigenvalues are known. estimate : of the largest. directions : (2, n), unit vectors of
    the two. products : number of products H v. noise : error of a product. values : float64 array (k,), Ritz values, or all eigenvalues.
    residual, low_residual : of the estimate, and of the least value, within which an eigenvalue lies. matrix : (n, n) where all eigenvalues
    are known, else None.
    """

    least: tuple[float, float]
    largest: tuple[float, float]
    probability: float
    estimate: float
    directions: Array
    products: int
    noise: float
    values: Array
    residual: float = 0.0
    low_residual: float = 0.0
    matrix: Array | None = None


def curvature_of(
    times: Product, n: int, products: int = PRODUCTS, *, start: Array | None = None, stream: int = 0, noise: float = 0.0,
    accuracy: float = ACCURACY, both: bool = False, miss: float = krylov.MISS,
) -> Curvature:  # fmt: skip
    """The curvatures at the ends of the spectrum of a symmetric matrix that is known by its products.

    Parameters
    ----------
    times : callable
        v -> H v, of float64 arrays (n,).
    products : int
        At most; with n products or more all eigenvalues are computed.
    start : float64 array (n,), optional
        Where the vector of the largest curvature is thought to be.
    stream : int
        Of the random part of the start; another one for each measurement along a run.
    noise : float
        Error of a product with a unit vector, by which the intervals are widened.
    accuracy : float
        Relative to the largest curvature: it ends early where that is known so well.
    both : bool
        Whether the least curvature is asked for, too, so that it does not end before.
    miss : float
        Probability with which a bound may fail.

    Raises
    ------
    FloatingPointError
        A product is not finite.

    Examples
    --------
    >>> import numpy as np
    >>> from mflow.curvature.measure import curvature_of
    >>> found = curvature_of(lambda v: np.linspace(1.0, 3.0, 2000) * v, 2000)
    >>> 2.97 < found.estimate <= 3.0 <= found.largest[1] < 3.3
    True
    """
    if n <= products:
        return _dense(times, n, noise)
    first = krylov.random_vector(n, stream)
    share = 1.0
    if start is not None:
        mixed = math.sqrt(1.0 - SHARE**2) * start + SHARE * first
        share = SHARE / float(np.linalg.norm(mixed))
        first = mixed / float(np.linalg.norm(mixed))

    def settled(values: Array, residuals: Array, k: int) -> bool:
        """Whether the value at an end is known: by its residual, and the square of it over the gap to the next."""
        size, gap = max(abs(values[-1]), abs(values[0])), abs(values[k] - values[1 if k == 0 else -2])
        if residuals[k] > max(ROUGHLY * size, noise):
            return False
        return bool(residuals[k] <= max(accuracy * size, noise) or residuals[k] ** 2 <= max(accuracy * size, noise) * gap)

    def enough(values: Array, residuals: Array) -> bool:
        return len(values) >= FEWEST and settled(values, residuals, -1) and (not both or settled(values, residuals, 0))

    found = krylov.ends(times, first, min(products, max(2, NUMBERS // n)), enough, share=share, miss=miss)
    low, high = float(found.values[0]), float(found.values[-1])
    error = noise + ROUNDING * max(abs(low), abs(high))
    least, largest = (found.bounds[0] - error, low + error), (high - error, found.bounds[1] + error)
    residuals = float(found.residuals[-1]), float(found.residuals[0])
    return Curvature(least, largest, 1.0 - miss, high, found.vectors, found.products, noise, found.values, *residuals)


def _dense(times: Product, n: int, noise: float) -> Curvature:
    """All eigenvalues, from n products."""
    if n == 0:
        return Curvature((0.0, 0.0), (0.0, 0.0), 1.0, 0.0, np.zeros((2, 0)), 0, 0.0, np.empty(0))
    H = np.stack([times(unit) for unit in np.eye(n)], axis=1)
    if not np.all(np.isfinite(H)):
        raise FloatingPointError("expected finite products of the Hessian with vectors, got NaN or an infinity")
    H = 0.5 * (H + H.T)
    values, vectors = np.linalg.eigh(H)
    low, high = float(values[0]), float(values[-1])
    error = noise + ROUNDING * max(abs(low), abs(high))
    ends = vectors[:, [0, -1]].T.copy()
    return Curvature((low - error, low + error), (high - error, high + error), 1.0, high, ends, n, noise, values, matrix=H)


def in_own_units(found: Curvature, errors: Array | None) -> Curvature:
    """The same with a narrower interval of the least curvature, where the errors of entries tell more than that of products.

    With D the roots of H's diagonal, H is positive definite where D^-1 H D^-1 is, whose entries are at most 1: what is lost along one
    parameter does not hide another. The least curvature is above the least one there times the least entry of the diagonal, and not above
    that entry.
    """
    if found.matrix is None or errors is None or not np.all(np.diagonal(found.matrix) > 0.0):
        return found
    diagonal, root = np.diagonal(found.matrix), np.sqrt(np.diagonal(found.matrix))
    with np.errstate(all="ignore"):
        H, E = (M / root[:, None] / root for M in (found.matrix, errors))
        lost = TRUSTED * float(np.linalg.norm(E)) + len(root) * ROUNDING
    low = float(np.linalg.eigvalsh(H)[0]) - lost
    if not low > 0.0:
        return found
    j = int(np.argmin(diagonal))
    high = float(diagonal[j]) * (1.0 + lost)
    return replace(found, least=(max(found.least[0], low * float(diagonal[j])), min(found.least[1], high)))


class Meter:
    """Measurements of the largest curvature along a run, each from where the last one ended."""

    def __init__(self, products: int = PRODUCTS, again: int = AGAIN, accuracy: float = ACCURACY) -> None:
        self.products, self.again, self.accuracy = products, again, accuracy
        self.vector: Array | None = None
        self.count = 0

    def measure(self, times: Product, n: int, start: Array | None = None) -> Curvature:
        """start : a vector that is rich in the largest curvature, as a gradient is, for the first measurement.

        Raises FloatingPointError where a product is not finite.
        """
        warm = self.vector is not None and n > self.products
        most = self.again if warm else self.products
        found = curvature_of(times, n, most, start=self.vector if warm else start, stream=self.count, accuracy=self.accuracy)
        self.vector, self.count = found.directions[1], self.count + 1
        return found

    def follow(self, times: Product, n: int) -> float:
        """The estimate alone: in a few products from the last vector where these still tell it, without a random part but in every
        `SEARCH`-th measurement, so that another direction that has become the largest is found then at the latest.

        Raises FloatingPointError where a product is not finite.
        """
        if self.vector is not None and n > self.products and self.count % SEARCH:
            Q, H, left = krylov.basis(times, self.vector, FOLLOW, lambda H, k: _is_told(H[:k, :k], float(H[k, k - 1])))
            values, vectors = np.linalg.eigh(0.5 * (H + H.T))
            self.vector = vectors[:, -1] @ Q
            self.vector /= float(np.linalg.norm(self.vector))
            if _is_told(H, left):
                self.count += 1
                return float(values[-1])
        return self.measure(times, n).estimate


def _is_told(H: Array, left: float) -> bool:
    """Whether the largest Ritz value of a projection is an eigenvalue to `TOLD`: by its residual, or the square of it over the gap."""
    values, vectors = np.linalg.eigh(0.5 * (H + H.T))
    residual, size = left * abs(float(vectors[-1, -1])), TOLD * abs(float(values[-1]))
    return residual <= size or (len(values) > 1 and residual**2 <= size * float(values[-1] - values[-2]))
