"""Orders of methods for x'' = f(x), as power series in the step: all conditions of an order at once, in high precision.

f is -grad of a polynomial of degree 5 in two variables with random coefficients. A step of a method is carried out with x, v and f as
truncated series in h, with mpmath, and compared with the series of the solution: a method of order p agrees in the powers up to p, and no
further where a condition of order p + 1 is not met.
"""

from __future__ import annotations

import functools
import itertools
from typing import Any

import mpmath as mp
import numpy as np

Array = np.ndarray
DEGREE = 5


def times(a: Array, b: Array) -> Array:
    out = np.full(len(a), mp.mpf(0), dtype=object)
    for i in np.flatnonzero(a != 0):
        out[i:] += a[i] * b[: len(a) - i]
    return out


def by_h(a: Array, power: int = 1) -> Array:
    """h^power a."""
    out = np.full(len(a), mp.mpf(0), dtype=object)
    out[power:] = a[: len(a) - power]
    return out


class Problem:
    """x'' = f(x) from random starts, to the powers of h below `length`."""

    def __init__(self, length: int) -> None:
        rng = np.random.default_rng(0)
        self.length = length
        powers = itertools.product(range(DEGREE + 1), repeat=2)
        self.terms = [(p, q, mp.mpf(float(rng.uniform(-1, 1)))) for p, q in powers if 0 < p + q <= DEGREE]
        self.start = [self.constant(float(s)) for s in rng.uniform(-0.5, 0.5, 4)]

    def constant(self, value: Any) -> Array:
        out = np.full(self.length, mp.mpf(0), dtype=object)
        out[0] = mp.mpf(value)
        return out

    def force(self, x: list[Array]) -> list[Array]:
        of = [list(itertools.accumulate([s] * DEGREE, times, initial=self.constant(1))) for s in x]
        product = functools.cache(lambda p, q: times(of[0][p], of[1][q]))
        out = [self.constant(0), self.constant(0)]
        for p, q, c in self.terms:
            if p:
                out[0] -= c * p * product(p - 1, q)
            if q:
                out[1] -= c * q * product(p, q - 1)
        return out

    @functools.cached_property
    def solution(self) -> list[Array]:
        """x and v."""
        x = [self.start[i] + by_h(self.start[2 + i]) for i in range(2)]
        for k in range(self.length - 2):
            f = self.force(x)
            for i in range(2):
                x[i][k + 2] = f[i][k] / ((k + 1) * (k + 2))
        v = [self.start[2 + i] + by_h(np.array([f / (k + 1) for k, f in enumerate(self.force(x)[i])], dtype=object)) for i in range(2)]
        return [*x, *v]

    def step(self, c: Array, A: Array, b: Array, d: Array) -> list[Array]:
        """x+ = x + h v + h^2 sum b k and v+ = v + h sum d k, k = f(x + c h v + h^2 A k)."""
        x, v = self.start[:2], self.start[2:]
        k: list[list[Array]] = []
        for i in range(len(c)):
            at = [x[m] + mp.mpf(c[i]) * by_h(v[m]) for m in range(2)]
            for j in np.flatnonzero(A[i]):
                at = [at[m] + mp.mpf(A[i, j]) * by_h(k[j][m], 2) for m in range(2)]
            k.append(self.force(at))
        end = [x[m] + by_h(v[m]) for m in range(2)] + list(v)
        for j in range(len(c)):
            end = [end[m] + mp.mpf(b[j]) * by_h(k[j][m], 2) for m in range(2)] + [
                end[2 + m] + mp.mpf(d[j]) * by_h(k[j][m]) for m in range(2)
            ]
        return end

    def order(self, state: list[Array], rounding: float) -> int:
        """The power of h up to which a state agrees with the solution to rounding."""
        error = np.max(np.abs(np.array(state) - np.array(self.solution)), axis=0)
        wrong = np.flatnonzero(error > rounding)
        return int(wrong[0]) - 1 if wrong.size else self.length - 1
