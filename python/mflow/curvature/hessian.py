"""Products of a cost's Hessian with vectors: exact ones where the cost has them, else differences of its gradient.

    forward differences     H v = (g(x + h v) - g(x))/h, one gradient a product, to some 1e-5 of the largest curvature
    central differences     H v = (g(x + h v) - g(x - h v))/(2 h), two, to some 1e-9

No difference says how far it is to be trusted, so one product is taken over two lengths: they differ by what is lost.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable

import numpy as np

from mflow.base.checks import Array
from mflow.derivatives.differences import fitting_length
from mflow.spectra.krylov import random_vector

__all__ = ["Hessian"]

Map = Callable[[Array], Array]
FORWARD, CENTRAL = 3e-6, 2e-5  # lengths of differences, relative to max(1, |x|), or to |x| where that tells more
TRUST = 4.0  # errors of a product in the worst direction, in those that a random one shows
STREAM = 5  # of that direction


class Hessian:
    """v -> H v at a flat x. `evaluations` counts gradients; exact products are one each. `looked`: those of them that found the length.

    Parameters
    ----------
    x : float64 array (n,)
    gradient : callable
        ``gradient(x)`` -> float64 array (n,), flat.
    product : callable, optional
        ``product(v)`` -> H v at x, exactly; ``gradient`` is not called then.
    base : float64 array (n,), optional
        The gradient at x, for forward differences, where it is known.
    central : bool
    longer : float
        Times the usual length, where gradients carry fewer digits.
    """

    def __init__(
        self, x: Array, gradient: Map, product: Map | None = None, base: Array | None = None, central: bool = False, longer: float = 1.0
    ) -> None:
        self.x, self.gradient, self.product, self.base, self.central = x, gradient, product, base, central
        self.step = longer * (CENTRAL if central else FORWARD)
        self.evaluations = self.looked = 0

    @functools.cached_property
    def length(self) -> float:
        """Of differences, found at the first of them."""
        v, before = random_vector(self.n, STREAM), self.evaluations
        length = fitting_length(lambda h: self._difference(v, h), self.step, float(np.linalg.norm(self.x)))
        self.looked = self.evaluations - before
        return length

    @property
    def n(self) -> int:
        """The number of parameters."""
        return int(self.x.size)

    @property
    def exact(self) -> bool:
        """Whether only rounding is against a product."""
        return self.product is not None

    def __call__(self, v: Array) -> Array:
        """H v."""
        if self.product is not None:
            self.evaluations += 1
            return self.product(v)
        return self._difference(v, self.length)

    def _difference(self, v: Array, length: float) -> Array:
        size = float(np.linalg.norm(v))
        if size == 0.0:
            return np.zeros(self.n)
        step = (length / size) * v
        if self.central:
            self.evaluations += 2
            return (self.gradient(self.x + step) - self.gradient(self.x - step)) * (size / (2.0 * length))
        if self.base is None:
            self.evaluations += 1
            self.base = self.gradient(self.x)
        self.evaluations += 1
        return (self.gradient(self.x + step) - self.base) * (size / length)

    def noise(self) -> float:
        """About the error of a product with a unit vector; nan where gradients near x are not finite."""
        if self.exact or not self.n:
            return 0.0
        v = random_vector(self.n, STREAM)
        with np.errstate(all="ignore"):
            apart = float(np.linalg.norm(self._difference(v, self.length) - self._difference(v, 2.0 * self.length)))
        return TRUST * apart if math.isfinite(apart) else math.nan
