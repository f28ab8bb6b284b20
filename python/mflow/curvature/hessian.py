"""Products of a cost's Hessian with vectors: exact ones where the cost has them, else differences of its gradient.

    forward differences     H v = (g(x + h v) - g(x))/h, one gradient a product, to some 1e-5 of the largest curvature
    central differences     H v = (g(x + h v) - g(x - h v))/(2 h), two, to some 1e-9

The usual length is a share of |x|. It is held against a much shorter one, and where they disagree (an offset, parameters of different
sizes) each parameter has a length of its own (`mflow.derivatives.agreement`).

No difference says how far it is to be trusted, so one product is taken over two lengths: they differ by what is lost.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable

import numpy as np

from mflow.base.checks import Array
from mflow.derivatives.agreement import BENDS, MUCH, agreeing
from mflow.spectra.krylov import random_vector

__all__ = ["Hessian"]

Map = Callable[[Array], Array]
FORWARD, CENTRAL = 3e-6, 2e-5  # lengths of differences, relative to max(1, |x|), or to what agrees with shorter ones
TRUST = 4.0  # errors of a product in the worst direction, in those that a random one shows
STREAM = 5  # of that direction
AXES = 1000  # parameters up to which each may have a length of its own
WHOLE = 30  # up to which any product is one with the matrix of theirs, and each is looked at where no length along all of them agrees
OWN = 1e-3  # of the usual length: a parameter below it is looked at over shares of itself,
LARGE = 1e-2  # where another one is at least so large


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
    lengths : float64 array (n,), optional
        Of differences along each parameter, where they are known.
    like : Hessian, optional
        At another point nearby, whose lengths are taken without a comparison.
    compare : bool
        Whether lengths are held against each other.
    """

    other = False  # whether the length along any direction is not the usual one
    unknown = False  # whether there is a direction along which no two lengths agree
    room: Array | float = math.inf  # of a length, along each parameter

    def __init__(
        self, x: Array, gradient: Map, product: Map | None = None, base: Array | None = None, central: bool = False, longer: float = 1.0,
        lengths: Array | None = None, like: Hessian | None = None, compare: bool = True,
    ) -> None:  # fmt: skip
        self.x, self.gradient, self.product, self.base, self.central = x, gradient, product, base, central
        self.step, self.compare = longer * (CENTRAL if central else FORWARD), compare and like is None
        self.much = MUCH if longer == 1.0 else BENDS
        self.evaluations = self.looked = 0
        self.columns: dict[int, tuple[float, Array]] = {}  # (length, product) of each parameter that has a length of its own
        self.own = np.full(x.size, lengths is not None)  # which have one
        self.known = dict(enumerate(() if lengths is None else lengths.tolist()))  # lengths that need not be looked for
        if like is not None and (like.own.any() or like.other):
            self.length, self.own, self.known = like.length, like.own, {j: column[0] for j, column in like.columns.items()}

    @functools.cached_property
    def length(self) -> float:
        """Of differences along any direction, found at the first of them."""
        usual = min(self.step * max(1.0, float(np.linalg.norm(self.x))), float(np.min(self.room, initial=math.inf)))
        if not self.compare or not self.n or self.own.any():
            return usual
        before, sizes = self.evaluations, np.abs(self.x)
        v = random_vector(self.n, STREAM)
        found = agreeing(lambda h: self._difference(v, h), usual, float(np.max(sizes)), self.much, self.step * float(np.linalg.norm(sizes)))
        none = math.isnan(found.apart)
        self.unknown = none and self.n > WHOLE
        small = (sizes < OWN * usual) & (sizes > 0.0)
        if self.n <= (WHOLE if none else AXES) and (none or found.length != usual):
            self.own[:] = True
        elif self.n <= AXES and small.any() and float(np.max(sizes)) > LARGE and not none:
            least = self.step * float(np.min(sizes[small]))
            other = agreeing(lambda h: self._difference(v * small, h), usual, float(np.max(sizes[small])), self.much, least)
            self.own = small & (other.length != usual)
        self.looked += self.evaluations - before
        self.other = found.length != usual
        return found.length

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
        length, moved = self.length, np.flatnonzero(v)
        if moved.size == 1 and self.own[moved[0]]:
            return np.asarray(self._column(int(moved[0]))[1] * v[moved[0]])
        if self.n <= WHOLE and self.own.any():
            columns = [self._column(j)[1] if self.own[j] else self._difference(unit, length) for j, unit in enumerate(np.eye(self.n))]
            return np.asarray(np.stack(columns, axis=1) @ v)
        return self._difference(v, length)

    def _column(self, j: int) -> tuple[float, Array]:
        """(the length of differences along parameter j, that column of H)."""
        if j not in self.columns:
            unit, size, before = 1.0 * (np.arange(self.n) == j), abs(float(self.x[j])), self.evaluations
            length = self.known.get(j, 0.0)
            if not length:
                usual = min(self.step * max(1.0, size), float(np.broadcast_to(self.room, self.n)[j]))
                found = agreeing(lambda h: self._difference(unit, h), usual, size, self.much, self.step * size)
                length, self.unknown = found.length, self.unknown or math.isnan(found.apart)
            self.looked += self.evaluations - before
            self.columns[j] = length, self._difference(unit, length)
        return self.columns[j]

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

    @functools.cached_property
    def errors(self) -> Array | None:
        """About the error of each entry of H, where each parameter has a length of its own; else None."""
        if self.exact or not self.n or not self.length > 0.0 or not self.own.any():
            return None
        out = np.zeros((self.n, self.n))
        for j, unit in enumerate(np.eye(self.n)):
            length, column = self._column(j) if self.own[j] else (self.length, self._difference(unit, self.length))
            out[:, j] = column - self._difference(unit, 2.0 * length)
        return out

    def noise(self) -> float:
        """About the error of a product with a unit vector; nan where gradients near x are not finite."""
        if self.exact or not self.n:
            return 0.0
        v = random_vector(self.n, STREAM)
        with np.errstate(all="ignore"):
            each = self.errors
            if each is not None:
                apart = float(np.linalg.norm(each @ v))
            else:
                apart = float(np.linalg.norm(self._difference(v, self.length) - self._difference(v, 2.0 * self.length)))
            if self.unknown:  # no length is trusted
                apart = max(apart, float(np.linalg.norm(self._difference(v, self.length) - self._difference(v, 0.1 * self.length))))
        return TRUST * apart if math.isfinite(apart) else math.nan
