"""How much small perturbations of the start have grown along a path: the largest singular value of the propagator of d' = J d.

    up to `FOLLOWED` components   the propagator itself, from exp of Magnus' series of fourth order, in substeps that are halved until
                                  their halves give the same
    more, with products J^T v     Lanczos' method on (propagator)^T (propagator), forward along the path and back: an interval, whose
                                  upper end holds but for a small probability (`mflow.spectra.krylov`); for the points before the end
                                  as below
    more, without them            a block of random vectors, followed forward. No vector grows more than the fastest, which is a bound from
                                  below. The fastest has a part in the span of the block, which is small with a small probability only,
                                  and that is one from above, larger by about the root of the number of components over that of vectors

Where J is not constant, the pieces of the path have the error of Magnus' series of fourth order, with J at Gauss' points; of many
components it is split into two exponentials without commutators (S. Blanes and P. C. Moan, Appl. Numer. Math. 56 (2006) 1519-1537). The
bounds do not contain this error. Stiff Jacobians need their entries: from products alone their exponentials take too many, and the growth
is not known, nan.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from mflow.analysis.field import Field
from mflow.base.checks import Array
from mflow.spectra import krylov
from mflow.spectra.exponentials import Exponential, OutOfReachError
from mflow.spectra.outer import Linear, combined

__all__ = ["Growth", "growth_along"]

ALL_EXPONENTS = 60  # components up to which all Lyapunov exponents are computed
FOLLOWED = 150  # components up to which the propagator is a matrix
LEADING, SPARE = 6, 6  # exponents of more components, and vectors that help them
SUBSTEPS = 400  # at least, where a halved one tells how well they follow
HALVINGS = 20_000  # of substeps, of up to 10 components, or two for each point of the path
SMOOTH, SAME = 1e-3, 1e-4  # the change of J over a substep that needs no halving; the difference that halves may make
APART = 8.0  # sum of the sizes of exponents up to which propagators are multiplied
DIFFERENCED = 400  # components up to which all columns of a Jacobian that is not symmetric are differenced on the way
BLOCK = 12  # random vectors
PRODUCTS = 30  # with the propagator and its transpose
CLOSE = 1e-2  # relative width of the interval of a squared singular value that is narrow enough
GAUSS = math.sqrt(3.0) / 6.0  # of Gauss' points from the middle, relative to the step
HEAVY, LIGHT = 0.25 + GAUSS, 0.25 - GAUSS  # weights of the nearer and the farther point
KEPT = 3 * 10**7  # entries of Jacobians that are kept between passes

Path = Callable[[float], Array]


class Growth(NamedTuple):
    """factors, low, high : (m,), low <= largest singular value of the propagator <= high; factors the best estimates. exponents : (p,).
    exact : whether low and high differ by rounding alone. probability : of the upper bounds."""

    factors: Array
    low: Array
    high: Array
    exponents: Array
    exact: bool
    probability: float


def growth_along(field: Field, path: Path, marks: Array, symmetric: bool | None, points: int) -> Growth:
    """The growth of the fastest growing perturbation up to each mark, along a path of so many points."""
    share = SUBSTEPS if field.n <= 10 else max(SUBSTEPS * 10 // field.n, 40)
    per_mark = max(1, share // max(1, len(marks) - 1))
    span = abs(float(marks[-1] - marks[0]))
    if field.n <= FOLLOWED:
        return _of_matrices(_Halved(field, path, points), marks, per_mark, span)
    return _of_products(_Pieces(field, path, marks, per_mark, symmetric), span)


# ---- few components ---------------------------------------------------------------------------------------------------------------------


def _of_matrices(steps: _Halved, marks: Array, per_mark: int, span: float) -> Growth:
    state = np.eye(steps.field.n)
    logs, growth, factors = 0.0, [0.0], []
    for a, b in pairwise(marks):
        h = float(b - a) / per_mark
        pieces = _joined(step for k in range(per_mark) for step in steps(float(a) + k * h, h))
        factors += pieces
        for piece in pieces:
            state = piece @ state
            size = float(np.linalg.norm(state, 2)) if np.all(np.isfinite(state)) else math.inf
            if not 0.0 < size < math.inf:
                break
            state, logs = state / size, logs + math.log(size)
        else:
            growth.append(logs)
            continue
        growth += [math.copysign(math.inf, size - 1.0)] * (len(marks) - len(growth))
        break
    exponents = np.array([growth[-1] / span])
    if math.isfinite(growth[-1]):
        exponents = _singular_logs(factors, steps.field.n) / span
    with np.errstate(over="ignore"):
        out = np.exp(np.array(growth))
    resolved = steps.left > 0
    high = out.copy() if resolved else np.full(out.size, math.inf)
    return Growth(out, out.copy() if resolved else np.zeros(out.size), high, exponents, resolved, 1.0)


class _Step(NamedTuple):
    """A substep of the variational equation. propagator : its matrix. size : of its exponent, the distance of directions to each other at
    most. trace : of the exponent. rough : how much the Jacobian changes over it."""

    propagator: Array
    size: float
    trace: float
    rough: float


class _Halved:
    """Substeps of the variational equation, each halved until its halves give the same. left : of the halvings that are allowed."""

    def __init__(self, field: Field, path: Path, points: int) -> None:
        self.field, self.path = field, path
        self.left = max(HALVINGS, 2 * points) * 10 // max(10, field.n)

    def __call__(self, t: float, h: float) -> list[_Step]:
        return self._halved(self._step(t, h), t, h)

    def _halved(self, whole: _Step, t: float, h: float) -> list[_Step]:
        if whole.rough <= SMOOTH or self.left <= 0:
            return [whole]
        self.left -= 1
        first, second = self._step(t, 0.5 * h), self._step(t + 0.5 * h, 0.5 * h)
        with np.errstate(over="ignore", invalid="ignore"):
            both = second.propagator @ first.propagator
            off = float(np.linalg.norm(both - whole.propagator)) / max(float(np.linalg.norm(both)), math.ulp(0.0))
        if off <= SAME and abs(first.trace + second.trace - whole.trace) <= SAME * max(1.0, whole.size):
            return [first, second]
        return self._halved(first, t, 0.5 * h) + self._halved(second, t + 0.5 * h, 0.5 * h)

    def _step(self, t: float, h: float) -> _Step:
        """exp of Magnus' series, Gauss' points, fourth order."""
        first, second = (t + (0.5 + s * GAUSS) * h for s in (-1.0, 1.0))
        A, B = (self.field.matrix(at, self.path(at))[0] for at in (first, second))
        turn = math.sqrt(3.0) / 12.0 * h * h * (B @ A - A @ B)
        exponent = 0.5 * h * (A + B) + turn
        rough = abs(h) * float(np.linalg.norm(B - A)) + float(np.linalg.norm(turn))
        return _Step(krylov.exponential(exponent), float(np.linalg.norm(exponent)), float(np.trace(exponent)), rough)


def _joined(steps: Iterable[_Step]) -> list[Array]:
    """Products of neighbours, of so few that none loses its least singular value to rounding."""
    out: list[Array] = []
    size = math.inf
    for step in steps:
        if size + step.size > APART:
            out.append(step.propagator)
            size = step.size
        else:
            out[-1] = step.propagator @ out[-1]
            size += step.size
    return out


def _singular_logs(factors: list[Array], n: int) -> Array:
    """Logarithms of the singular values of a product, falling: by subspace iteration back and forth, which loses none to rounding; of many
    components the leading ones."""
    Q = np.linalg.qr(krylov.random_vector(n * n, 22).reshape(n, n))[0]
    if n > ALL_EXPONENTS:
        Q = Q[:, : LEADING + SPARE]
    logs = np.zeros(Q.shape[1])
    for _ in range(12):
        before, logs = logs, np.zeros(Q.shape[1])
        for chain in (factors, [f.T for f in reversed(factors)]):
            for factor in chain:
                Q, R = np.linalg.qr(factor @ Q)
                with np.errstate(divide="ignore"):
                    logs += np.log(np.abs(np.diag(R)))
        if np.all(np.abs(logs - before) <= 1e-9 * np.max(np.abs(logs))):
            break
    return np.sort(0.5 * logs)[::-1][: n if n <= ALL_EXPONENTS else LEADING]


# ---- many components --------------------------------------------------------------------------------------------------------------------


class _Pieces:
    """The propagators from mark to mark, as maps of vectors."""

    def __init__(self, field: Field, path: Path, marks: Array, per_mark: int, symmetric: bool | None) -> None:
        self.field, self.path, self.symmetric, self.n = field, path, symmetric, field.n
        self.constant = field.jac is not None and (not callable(field.jac) or hasattr(field.jac, "matvec"))
        per_mark = 1 if self.constant else per_mark
        self.steps = [
            (float(a) + k * float(b - a) / per_mark, float(b - a) / per_mark) for a, b in pairwise(marks) for k in range(per_mark)
        ]
        self.per_mark, self.count = per_mark, len(marks) - 1
        self.kept: dict[tuple[int, float], tuple[Exponential, ...]] = {}
        self.entries = 0

    def step(self, k: int) -> tuple[Exponential, ...]:
        """The exponentials of a substep, in the order of time."""
        t, h = self.steps[k]
        key = (0, h) if self.constant else (k, h)
        if key in self.kept:
            return self.kept[key]
        parts: tuple[Exponential, ...]
        if self.constant:
            parts = (Exponential(self._jacobian(t), h),)
        else:
            first, second = (self._jacobian(t + (0.5 + s * GAUSS) * h) for s in (-1.0, 1.0))
            pairs = ((0.5, 0.5),) if _same(first, second) else ((HEAVY, LIGHT), (LIGHT, HEAVY))
            parts = tuple(Exponential(combined(a, first, b, second), h) for a, b in pairs)
        size = sum(0 if part.J.matrix is None else part.J.entries for part in parts)
        if self.entries + size <= KEPT:
            self.kept[key], self.entries = parts, self.entries + size
        return parts

    def _jacobian(self, t: float) -> Linear:
        return self.field.linear(t, self.path(t), self.symmetric, columns=self.n <= DIFFERENCED)[0]

    def times(self, k: int, v: Array, back: bool = False) -> Array:
        """A vector after a substep."""
        parts = self.step(k)
        for part in reversed(parts) if back else parts:
            v = part.times(v, back)
        return v

    @property
    def has_back(self) -> bool:
        """Whether products with the transpose are known, at the start."""
        return all(part.has_back for part in self.step(0))

    def forward(self, v: Array) -> tuple[Array, float]:
        """(the image of a vector at the end, of length 1, the logarithm of its length)."""
        return self._chain(v, range(len(self.steps)), False)

    def backward(self, v: Array) -> tuple[Array, float]:
        """The same by the transpose."""
        return self._chain(v, reversed(range(len(self.steps))), True)

    def _chain(self, v: Array, order: Any, back: bool) -> tuple[Array, float]:
        logs = 0.0
        for k in order:
            v = self.times(k, v, back)
            size = float(np.linalg.norm(v))
            if not 0.0 < size < math.inf:
                return v, math.copysign(math.inf, size - 1.0)
            v, logs = v / size, logs + math.log(size)
        return v, logs


def _same(A: Linear, B: Linear) -> bool:
    """Whether two Jacobians differ by their errors alone."""
    if A.matrix is None or B.matrix is None:
        return False
    return float(abs(A.matrix - B.matrix).max()) <= A.noise + B.noise


def _of_products(pieces: _Pieces, span: float) -> Growth:
    """Bounds at all marks from a block, and where there is a transpose closer ones at the end."""
    try:
        has_back = pieces.has_back
        best, end = None, None
        if has_back:
            best, end = _at_end(pieces)
        low, high = _of_block(pieces, best)
    except FloatingPointError as error:
        raise ValueError(str(error)) from None
    except OutOfReachError:
        unknown = np.full(pieces.count + 1, math.nan)
        return Growth(unknown, np.zeros(unknown.size), np.full(unknown.size, math.inf), np.array([math.nan]), False, 1.0)
    if end is not None:
        low[-1], high[-1] = max(low[-1], end[0]), max(low[-1], min(high[-1], end[1]))
    with np.errstate(over="ignore"):
        factors, lower, upper = np.exp(low), np.exp(low), np.exp(high)
    return Growth(factors, lower, upper, np.array([low[-1] / span]), False, 1.0 - krylov.MISS)


def _at_end(pieces: _Pieces) -> tuple[Array, tuple[float, float]]:
    """(about the vector that grows most up to the end, bounds of the logarithm of its growth)."""
    v, unit = pieces.forward(krylov.random_vector(pieces.n, 21))
    if not math.isfinite(unit):
        return v, (unit, math.inf)
    v, more = pieces.backward(v)
    unit = 0.5 * (unit + more)  # nearer to the largest

    def product(u: Array) -> Array:
        w, forth = pieces.forward(u)
        w, back = pieces.backward(w)
        return np.asarray(math.exp(min(forth + back - 2.0 * unit, 600.0)) * w)

    def enough(ritz: krylov.Ritz) -> bool:
        return ritz.bounds[1] <= (1.0 + CLOSE) * float(np.max(ritz.values.real))

    ritz = krylov.lanczos(product, pieces.n, PRODUCTS, enough, nothing=1e-9)
    top = float(np.max(ritz.values.real))
    if not top > 0.0:
        return v, (-math.inf, math.inf)
    w, _ = pieces.backward(pieces.forward(v)[0])
    ends = unit + 0.5 * math.log(top), unit + 0.5 * math.log(ritz.bounds[1] + 1e-9 * top)
    return w, ends


def _of_block(pieces: _Pieces, best: Array | None) -> tuple[Array, Array]:
    """Logarithms of (low, high) at all marks, from random vectors, and the best one that is known."""
    count = min(BLOCK, pieces.n)
    block = np.linalg.qr(np.stack([krylov.random_vector(pieces.n, 31 + k) for k in range(count)], axis=1))[0]
    small = _least_part(pieces.n, count, krylov.MISS)
    columns = block if best is None else np.column_stack([block, best])
    turn = np.eye(columns.shape[1])  # columns = the block now @ turn, times exp(logs)
    gram = np.linalg.cholesky(columns.T @ columns).T if best is not None else turn
    low, high, logs = [0.0], [0.0], 0.0
    for mark in range(pieces.count):
        for k in range(mark * pieces.per_mark, (mark + 1) * pieces.per_mark):
            columns = np.stack([pieces.times(k, v) for v in columns.T], axis=1)
        columns, R = np.linalg.qr(columns) if np.all(np.isfinite(columns)) else (columns, np.full_like(turn, math.inf))
        turn = R @ turn
        size = float(np.linalg.norm(turn))
        if not 0.0 < size < math.inf:  # beyond the numbers, or below the least of them
            low += [-math.inf if size == 0.0 else math.inf] * (pieces.count - mark)
            high += [-math.inf if size == 0.0 else math.inf] * (pieces.count - mark)
            break
        turn, logs = turn / size, logs + math.log(size)
        low.append(logs + math.log(float(np.linalg.norm(np.linalg.solve(gram.T, turn.T), 2))))
        high.append(logs + math.log(float(np.linalg.norm(turn[:, :count], 2)) / small))
    return np.array(low), np.array(high)


def _least_part(n: int, count: int, miss: float) -> float:
    """The length of a unit vector's part in a random space of `count` dimensions is below this with a probability of at most `miss`."""
    if count >= n:
        return 1.0
    log = math.log(miss) + math.lgamma(0.5 * count + 1.0) + math.lgamma(0.5 * (n - count)) - math.lgamma(0.5 * n)
    return min(1.0, math.exp(log / count))
