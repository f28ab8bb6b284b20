"""Where a second-order method is stable on x'' = -k x - c v, for every frequency and every damping: no search, no window.

A step of h multiplies the carried vectors by a matrix whose characteristic polynomial, times the divisor of the step's implicit equation,
is a polynomial in K = k h^2 and C = c h. Its coefficients are read off the kernel: the matrices at a few points (K, C) determine them, and
what is below the rounding of that is zero. With w = (1 + s)/(1 - s) the unit disc becomes the half-plane of s with real parts below 0, and
the step is stable where

    b_0 + b_1 s + ... + b_n s^n        has no root with a real part above 0:        b_i >= 0, and Hurwitz' determinants are >= 0

(A. Hurwitz, Math. Ann. 46 (1895) 273-284). Each b_i is a polynomial in K and C, so each condition is one in h for a given oscillator, and
the limit is the first of their roots beyond which one is negative.

Where every b_i has the form r + p K + q C, as for all methods with one force a step, the same holds for matrices: an eigenvector of a step
of a structure has Rayleigh quotients k and c, with which the polynomial has the eigenvalue of the step as its root.

The polynomial of a method with several forces a step is of their number's degree: there the conditions are looked at step by step, outward
(`Scanned`). A method that is not symplectic has factors of modulus 1 + O(h^(p+1)), which is below rounding for small h: where the first
steps that can be told from 1 are unstable, none is called stable.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Iterator

import numpy as np
from mflow_core.stepping import probe
from numpy.typing import NDArray

from mflow.base.checks import Array
from mflow.base.methods import Method
from mflow.spectra.eigenvalues import TOGETHER, middles

__all__ = ["Criterion", "criterion_of", "keeps_order", "order_on_oscillators", "oscillator_matrix"]

POINTS = np.arange(7.0) / 2.0  # of K and of C, at which the polynomial is read off
DEGREE = 3  # to which it is looked for
ROUNDING = 1e-13  # of the largest coefficient: what is below is zero
CLOSE = 1e-12  # of the sum of its terms: where a condition is met to rounding
NEARLY_REAL = 1e-5  # of its modulus: the imaginary part of a root that may be a double real one
HALVINGS = 80
FEW = 8  # oscillators whose next middles are tried at once
FROM = 0.5  # where a scan begins, in units of the oscillator's own time: a method that fails there without damping has no stable step
AT_ONCE = 50  # steps that are looked at at once
SCANNED = 1000  # steps between there and what few methods reach: 2 for each of their forces
FAR = 1e6  # where a scan ends
DIPS = 0.01  # of a condition, by which it is less at a step than at those beside it
CLOSER, BETWEEN = 4, 13  # times such a place is looked at more closely, and steps each time
SEEN = 1e-11  # what is left of an error when its order is looked for: below is rounding


def oscillator_matrix(method: Method, k: Array, c: Array) -> Array:
    """(count, n_vec, n_vec): the matrices by which a step of 1 multiplies the carried vectors on x'' = -k x - c v."""
    k, c = (np.ascontiguousarray(v, dtype=np.float64) for v in (k, c))
    with np.errstate(all="ignore"):
        out: Array = probe.oscillator_matrices(method.record, method.numbers, k, c)
    return out


@functools.lru_cache(maxsize=256)
def criterion_of(method: Method) -> Criterion:
    """The criterion of a method with its parameters."""
    return Criterion(method) if method.record.stages <= 1 else Scanned(method)


@functools.lru_cache(maxsize=256)
def order_on_oscillators(method: Method, damped: bool) -> int:
    """The order of a method on an oscillator, at most its own by default: from the factors of a step of the kernel, beside those of the
    solution, at two steps."""
    zeta = 0.3 if damped else 0.0
    root = complex(-zeta, math.sqrt(1.0 - zeta * zeta))

    def error(h: float) -> float:
        factors = np.linalg.eigvals(oscillator_matrix(method, np.array([h * h]), np.array([2.0 * zeta * h]))[0])
        return float(np.min(np.abs(factors - np.exp(root * h))))

    h = 0.02
    while method.record.stages > 1 and error(0.5 * h) < SEEN and h < 1.0:  # errors of high order are below rounding there
        h *= 2.0
    return min(round(math.log2(error(h) / error(0.5 * h))) - 1, int(method.record.order))


@functools.lru_cache(maxsize=256)
def keeps_order(method: Method) -> bool:
    """Whether the method is of its own order on oscillators, damped ones too."""
    return min(order_on_oscillators(method, damped) for damped in (False, True)) >= int(method.record.order)


class Criterion:
    """Conditions for a stable step.

    b : array (n + 1, terms), the coefficients of b_0 ... b_n. powers : (terms, 2), the powers of K and C. linear : each b_i is
    r + p K + q C.
    """

    def __init__(self, method: Method) -> None:
        self.powers, of_w = _characteristic(method)
        b = _half_plane(of_w.T)
        b[np.abs(b) <= ROUNDING * np.max(np.abs(of_w))] = 0.0
        self.b = b
        self.order = b.shape[0] - 1
        self.linear = not np.any(b[:, self.powers.sum(axis=1) > 1])

    def stable(self, K: Array, C: Array) -> NDArray[np.bool_]:
        """Whether a step with these K = k h^2, C = c h is stable, to rounding."""
        with np.errstate(over="ignore", invalid="ignore"):
            terms = (K[:, None] ** self.powers[:, 0]) * (C[:, None] ** self.powers[:, 1])
            values, sizes = terms @ self.b.T, np.abs(terms) @ np.abs(self.b.T)
            good = np.all(values >= -CLOSE * sizes, axis=1)
            for d in self._determinants([*values.T], np.multiply) if self.order > 2 else ():
                good &= ~(d < 0.0)
        out: NDArray[np.bool_] = good
        return out

    @functools.cached_property
    def always(self) -> bool:
        """Whether every step is stable for every oscillator."""
        k = np.concatenate([[0.0], np.geomspace(1e-12, 1e24, 73)])
        zeta = np.concatenate([[0.0], np.geomspace(1e-8, 1e8, 65)])
        K, C = np.repeat(k, zeta.size), (2.0 * np.sqrt(k)[:, None] * zeta).ravel()
        C[: zeta.size] = zeta
        return bool(np.all(self.stable(K, C)))

    def limit(self, k: float, c: float) -> tuple[float, int]:
        """The largest h up to which all steps are stable for this oscillator, inf where none is not; and which condition ends it: the i of
        b_i, n + 1 and more for determinants, -1 for none."""
        limits = [_first_below_zero(g) for g in self._conditions(k, c)]
        first = int(np.argmin(limits))
        return limits[first], first if limits[first] < math.inf else -1

    def shortest(self, k: Array, c: Array) -> float:
        """The least limit of these oscillators."""
        return min((self.limit(*pair)[0] for pair in zip(k.tolist(), c.tolist(), strict=True)), default=math.inf)

    def slope(self, which: int, h: float) -> tuple[float, float]:
        """Of a linear b_i at h: what a unit of k and of c adds to it."""
        of = {(int(i), int(j)): float(v) for (i, j), v in zip(self.powers, self.b[which], strict=True)}
        return of.get((1, 0), 0.0) * h * h, of.get((0, 1), 0.0) * h

    def matrices(self, h: float) -> list[tuple[float, float, float]]:
        """(r, p h^2, q h) of each b_i, by which M, K and C go into its matrix."""
        zero = int(np.flatnonzero(self.powers.sum(axis=1) == 0)[0])
        return [(float(self.b[i, zero]), *self.slope(i, h)) for i in range(self.order + 1)]

    @functools.cached_property
    def of_eigenvalues(self) -> bool:
        """Whether each factor of a step belongs to one of the structure's own eigenvalues: the sum of b_i s^i is M a^2 + h C a b +
        h^2 K b^2 with two polynomials a and b of s, one of which is h times the eigenvalue times the other."""
        if not self.linear:
            return False
        r, p, q = np.array(self.matrices(1.0)).T
        return bool(np.max(np.abs(np.convolve(r, p) - np.convolve(q, q))) <= ROUNDING * float(np.max(np.abs(self.b))) ** 2)

    def _conditions(self, k: float, c: float) -> Iterator[Array]:
        """Polynomials in h, the constant first, that must not be negative."""
        degree = self.powers[:, 0] * 2 + self.powers[:, 1]
        with np.errstate(over="ignore", invalid="ignore", under="ignore"):
            factor = (k ** self.powers[:, 0].astype(float)) * (c ** self.powers[:, 1].astype(float))
        polynomials = []
        for row in self.b:
            g = np.zeros(int(degree.max()) + 1)
            np.add.at(g, degree, np.where(row == 0.0, 0.0, row * factor))
            polynomials.append(g)
        yield from polynomials
        yield from self._determinants(polynomials)

    def _determinants(self, b: list[Array], times: Callable[[Array, Array], Array] = np.convolve) -> Iterator[Array]:
        """Hurwitz' determinants between the first and the last, which follow from the b_i: polynomials, or with times = `np.multiply` their
        values."""
        n = self.order
        for size in range(2, n):
            rows = [[b[n - 2 * j - 1 + i] if 0 <= n - 2 * j - 1 + i <= n else np.zeros(1) for j in range(size)] for i in range(size)]
            value, terms = _determinant(rows, times), _determinant([[np.abs(entry) for entry in row] for row in rows], times, 1.0)
            yield np.where(np.abs(value) <= CLOSE * terms, 0.0, value)


class Scanned(Criterion):
    """Conditions of a method with several forces a step, which carries x, v and a: see `_margins`."""

    linear, order = False, 2

    def __init__(self, method: Method) -> None:
        self.method = method
        self.known: dict[tuple[float, float], float] = {}  # limits in the oscillators' own times

    def _margins(self, K: Array, C: Array) -> Array:
        """(count, 3): what must not be negative for w^3 + p w^2 + q w + r, to rounding (E. Jury, Theory and Application of the z-Transform
        Method (1964))."""
        A = oscillator_matrix(self.method, K, C)
        with np.errstate(all="ignore"):
            p = -np.trace(A, axis1=1, axis2=2)
            q = 0.5 * (p * p - np.trace(A @ A, axis1=1, axis2=2))
            r = -np.linalg.det(A)
            values = np.stack([1.0 + p + q + r, 1.0 - p + q - r, 1.0 - r * r - np.abs(r * p - q)], axis=1)
            size = 1.0 + np.abs(p) + np.sum(A * A, axis=(1, 2))
            return np.where(np.isfinite(values), values + CLOSE * size[:, None], -math.inf)

    def stable(self, K: Array, C: Array) -> NDArray[np.bool_]:
        """Whether a step with these K = k h^2, C = c h is stable: it is at most the limit."""
        K, C = (np.asarray(v, dtype=np.float64) for v in (K, C))
        return self._in_units(K, C, np.sqrt(np.abs(K)) + np.abs(C)) >= 1.0

    def shortest(self, k: Array, c: Array) -> float:
        """The least limit of these oscillators."""
        return float(np.min(self._in_units(k, c, np.full(k.shape, math.inf)), initial=math.inf))

    def _in_units(self, k: Array, c: Array, step: Array) -> Array:
        """Limits. step : as of `_limits`."""
        fast = np.sqrt(np.abs(k)) + np.abs(c)
        out, moves = np.full(k.shape, math.inf), np.flatnonzero(fast)
        if moves.size:
            own = np.array([_in_own_time(*one) for one in zip(k[moves].tolist(), c[moves].tolist(), fast[moves].tolist(), strict=True)])
            out[moves] = self._limits(own[:, 0], own[:, 1], step[moves]) / fast[moves]
        return out

    @functools.cached_property
    def always(self) -> bool:
        """Whether every step is stable for every oscillator."""
        return self.limit(1.0, 0.0)[0] == math.inf and self.limit(1.0, 2.0)[0] == math.inf

    def limit(self, k: float, c: float) -> tuple[float, int]:
        """The largest h up to which all steps are stable for this oscillator."""
        fast = math.sqrt(abs(k)) + abs(c)
        if fast == 0.0:
            return math.inf, -1
        pair = _in_own_time(k, c, fast)
        if pair not in self.known:
            self.known[pair] = float(self._limits(np.array([pair[0]]), np.array([pair[1]]), np.array([math.inf]))[0])
        return self.known[pair] / fast, 3 if self.known[pair] < math.inf else -1

    def _limits(self, k: Array, c: Array, step: Array) -> Array:
        """The limits of oscillators in their own times; 0 where it is below `FROM` and no damping has made it so short. step : where it is
        finite a number on the limit's side of it will do."""
        reach = 2.0 * self.method.record.stages + 1.0
        far = np.concatenate([np.linspace(FROM, reach, SCANNED), np.geomspace(reach, FAR, SCANNED)])
        low, high = self._first_bad(k, c, far, step)
        short = np.flatnonzero((high == FROM) & (c > 0.0))  # damping has made it so short
        if short.size:
            low[short], high[short] = self._first_bad(k[short], c[short], FROM * np.geomspace(1e-12, 1.0, SCANNED), step[short])
        between = (low > 0.0) & (high < math.inf) & (np.isinf(step) | ((low < step) & (step < high)))
        if np.any(between):
            low[between] = self._between(k[between], c[between], low[between], high[between])
        return np.where(high == math.inf, math.inf, low)

    def _first_bad(self, k: Array, c: Array, h: Array, step: Array) -> tuple[Array, Array]:
        """As `_around`, with bands of steps that are not stable between two of h: where a condition is least at one of them it is looked at
        more closely. A resonance makes such a place, and a step at which what damps has no solution."""
        low, high, places = self._around(k, c, h, step)
        of, which = places[:, 0].astype(int), places[:, 1].astype(int)
        left, right = places[:, 2], places[:, 3]
        for _ in range(CLOSER):
            before = right <= low[of]  # those beyond the first that was found do not count
            of, which, left, right = of[before], which[before], left[before], right[before]
            if not of.size:
                break
            inside = left[:, None] + np.linspace(0.0, 1.0, BETWEEN) * (right - left)[:, None]
            own = np.repeat(k[of], BETWEEN), np.repeat(c[of], BETWEEN)
            there = self._margins(own[0] * inside.ravel() ** 2, own[1] * inside.ravel()).reshape(*inside.shape, 3)
            bad = np.any(there < 0.0, axis=2)
            for i in np.flatnonzero(np.any(bad, axis=1)):
                j = int(np.argmax(bad[i]))
                if j > 0 and inside[i, j] < high[of[i]]:
                    low[of[i]], high[of[i]] = inside[i, j - 1], inside[i, j]
            each = np.arange(of.size)
            at = np.clip(np.argmin(there[each, :, which], axis=1), 1, BETWEEN - 2)
            left, right = inside[each, at - 1], inside[each, at + 1]
        return low, high

    def _between(self, k: Array, c: Array, low: Array, high: Array) -> Array:
        halvings = TOGETHER if k.size <= FEW else 1
        each, middle = np.arange(k.size), 2**halvings // 2
        for _ in range(HALVINGS // halvings):
            points = middles(low, high, halvings)
            if not np.any((low < points[:, middle]) & (points[:, middle] < high)):
                break
            inner = points[:, 1:-1]
            own = np.repeat(k, inner.shape[1]), np.repeat(c, inner.shape[1])
            good = self._good(*own, inner.ravel()).reshape(inner.shape)
            left, width = np.zeros(k.size, dtype=np.intp), middle
            while width:
                left = np.where(good[each, left + width - 1], left + width, left)
                width //= 2
            low, high = points[each, left], points[each, left + 1]
        return low

    def _good(self, k: Array, c: Array, h: Array) -> NDArray[np.bool_]:
        """Whether each step is stable for its oscillator."""
        out: NDArray[np.bool_] = np.min(self._margins(k * h * h, c * h), axis=1) >= 0.0
        return out

    def _around(self, k: Array, c: Array, h: Array, step: Array) -> tuple[Array, Array, Array]:
        """Of steps h, for each oscillator, the last one before the first that is not stable (0: none), and that one (inf: none); and the
        places between them where a condition is least: (oscillator, condition, a step before, one behind). Those far beyond `step` are not
        looked at."""
        low, high = np.full(k.size, h[-1]), np.full(k.size, math.inf)
        left, places = np.arange(k.size), [np.empty((0, 4))]
        count = max(AT_ONCE, SCANNED // k.size)
        for begin in range(0, h.size, count):
            start = max(0, begin - 2)  # so that each step but the first has one on either side
            part = h[start : begin + count]
            values = self._margins(*(np.outer(own, power).ravel() for own, power in ((k[left], part * part), (c[left], part))))
            values = values.reshape(left.size, part.size, 3)
            bad = np.any(values < 0.0, axis=2)
            met, first = np.any(bad, axis=1), start + np.argmax(bad, axis=1)
            low[left[met]], high[left[met]] = np.where(first > 0, h[first - 1], 0.0)[met], h[first[met]]
            one, at, which = _least(values)
            before = ~met[one] | (start + at + 1 < first[one])
            one, at, which = one[before], at[before], which[before]
            places.append(np.stack([left[one], which, part[at - 1], part[at + 1]], axis=1))
            left = left[~met & (step[left] > part[-1])]
            if not left.size:
                break
        return low, high, np.concatenate(places)


def _least(values: Array) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]:
    """Where along the middle axis they are less than on either side."""
    inner, below, above = values[:, 1:-1], np.minimum(values[:, :-2], values[:, 2:]), np.maximum(values[:, :-2], values[:, 2:])
    one, at, which = np.nonzero((inner < below) & (above - inner > DIPS * above))
    return one, at + 1, which


def _in_own_time(k: float, c: float, fast: float) -> tuple[float, float]:
    """An oscillator with its own time as the unit."""
    return round(k / fast / fast, 12), round(c / fast, 12)


def _characteristic(method: Method) -> tuple[NDArray[np.intp], Array]:
    """Powers of K and C (terms, 2), and the characteristic polynomial of a step, times its divisor: (terms, n + 1), the highest power of w
    first, without the eigenvalues that are always 0."""
    K, C = (grid.ravel() for grid in np.meshgrid(POINTS, POINTS))
    A = oscillator_matrix(method, K, C)
    p, q = probe.implicit_shares(method.record, method.numbers)
    size = A.shape[-1]
    polynomial, M = [np.ones(K.size)], np.broadcast_to(np.eye(size), A.shape).copy()
    for j in range(1, size + 1):  # Faddeev and LeVerrier
        M = A @ M
        polynomial.append(-np.trace(M, axis1=1, axis2=2) / j)
        M += polynomial[-1][:, None, None] * np.eye(size)
    wanted = np.stack(polynomial, axis=1) * (1.0 + p * K + q * C)[:, None]
    for degree in range(1, DEGREE + 1):
        powers = np.array([(i, j) for i in range(degree + 1) for j in range(degree + 1 - i)])
        basis = K[:, None] ** powers[:, 0] * C[:, None] ** powers[:, 1]
        coefficients = np.linalg.lstsq(basis, wanted, rcond=None)[0]
        scale = float(np.max(np.abs(coefficients)))
        if np.max(np.abs(basis @ coefficients - wanted)) <= 1e3 * ROUNDING * float(np.max(np.abs(wanted))):
            coefficients[np.abs(coefficients) <= ROUNDING * scale] = 0.0
            return powers, coefficients[:, : int(np.max(np.flatnonzero(np.any(coefficients != 0.0, axis=0)))) + 1]
    raise ValueError(f"method: the step of {method.name} on an oscillator is no polynomial of degree {DEGREE} over one divisor")


def _half_plane(of_w: Array) -> Array:
    """The coefficients b of sum b_i s^i = (1 - s)^n p((1 + s)/(1 - s)); p with the highest power first."""
    n = len(of_w) - 1
    out = np.zeros_like(of_w)
    for j, row in enumerate(of_w):
        factor = np.polynomial.polynomial.polymul(
            np.polynomial.polynomial.polypow([1.0, 1.0], n - j), np.polynomial.polynomial.polypow([1.0, -1.0], j)
        )
        out += np.outer(factor, row)
    return out


def _determinant(rows: list[list[Array]], times: Callable[[Array, Array], Array], sign: float = -1.0) -> Array:
    """Of a small matrix, along its first row; with sign = 1 the sum of the same products."""
    if len(rows) == 1:
        return rows[0][0]
    minors = [_determinant([row[:j] + row[j + 1 :] for row in rows[1:]], times, sign) for j in range(len(rows))]
    parts = [sign**j * times(entry, minor) for j, (entry, minor) in enumerate(zip(rows[0], minors, strict=True))]
    total = np.zeros(max(part.size for part in parts))
    for part in parts:
        total[: part.size] += part
    return total


def _value(g: Array, h: float) -> float:
    """g(h), and 0 where that is rounding of its terms."""
    value = size = 0.0
    for a in g[::-1]:
        value, size = value * h + float(a), size * h + abs(float(a))
    return value if abs(value) > CLOSE * size else 0.0


def _first_below_zero(g: Array) -> float:
    """The first h > 0 beyond which the polynomial g is negative: 0 where that is at once, inf where it never is."""
    places = np.flatnonzero(g)
    if not places.size:
        return math.inf
    g = g[places[0] : places[-1] + 1]
    if g[0] < 0.0:
        return 0.0
    if np.all(g >= 0.0):
        return math.inf
    degree = g.size - 1
    unit = math.exp((math.log(abs(g[0])) - math.log(abs(g[-1]))) / degree)  # in which the roots have the geometric mean 1
    scaled = np.array([math.copysign(math.exp(math.log(abs(a)) + i * math.log(unit)), a) if a else 0.0 for i, a in enumerate(g)])
    scaled /= np.max(np.abs(scaled))
    roots = np.roots(scaled[::-1])
    real = np.sort(roots.real[(roots.real > 0.0) & (np.abs(roots.imag) <= NEARLY_REAL * np.abs(roots))])
    if not real.size:
        return math.inf
    between = [0.5 * float(real[0]), *np.sqrt(real[:-1] * real[1:]).tolist(), 2.0 * float(real[-1])]
    for lower, upper in itertools.pairwise(between):
        if _value(scaled, upper) < 0.0:
            low, high = lower, upper
            for _ in range(HALVINGS):
                middle = math.sqrt(low * high)
                if not low < middle < high:
                    break
                value = float(np.polynomial.polynomial.polyval(middle, scaled))
                low, high = (low, middle) if value < 0.0 else (middle, high)
            return float(unit * low)
    return math.inf
