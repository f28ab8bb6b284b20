"""The largest stable step for a set of eigenvalues, given where a method is stable.

    dt = min over eigenvalues of (limit along the eigenvalue's ray)/|eigenvalue|

A limit along a ray needs a scan of hundreds of points. So all rays are scanned coarsely at once, and only those that could be the first to
fail are computed to the last digit. The eigenvalues are those of a matrix, or Ritz values where only its products with vectors are known.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from mflow_core.problems.sparse import check_sparse
from numpy.typing import NDArray

from mflow.base.checks import Array, as_array, check_whole
from mflow.base.pace import interruptible
from mflow.base.telling import tell
from mflow.spectra import krylov
from mflow.spectra.learned import learn, offsets_of, scipy_sparse
from mflow.spectra.similar import blocks, is_symmetric

if TYPE_CHECKING:
    from mflow.spectra.inclusion import Inclusion

__all__ = ["CANDIDATES", "FIRST", "bisect", "both_products", "eigenvalues_of", "first_to_fail"]

Unstable = Callable[[NDArray[np.complex128]], NDArray[np.bool_]]
Product = Callable[[Array], Array]
Values = NDArray[np.complex128]
DENSE = 1000  # rows up to which all eigenvalues of a matrix are computed
ITERATIONS = 400
MANY = 30  # rows from which a matrix of which more than half is 0 is looked at for blocks
WELL = 0.01  # of the limit, beyond which it is told as an interval
LEARNED = 1e-14  # of products with a matrix that was learned from others, relative: smaller entries than that may decide far from normal
SAME = 1e-13  # entries across the diagonal that are one, relative to the largest
FEW = 200  # rows up to which a matrix of few entries is multiplied as it is
NUMBERS = 10**8  # entries that a Krylov basis may have
CLOSE = 2e-3  # error of the eigenvalue that limits the step, relative to it, where J is normal
ASYMMETRY = 1e-8  # of a matrix that is said to be symmetric, relative to it: the error of differences and rounding
NOISE = 1e-14  # of an eigenvalue against the largest
COARSE = 0.1
FINER = 8  # halvings of that, for those that may be the first to fail
BEYOND = 1.5  # of the first step that fails: what a coarse scan may miss
CANDIDATES = 24
TOGETHER = 4  # halvings whose middles are tried at once
FIRST = 0.05  # scans along a ray begin here; on an axis a method that is unstable here has limit 0


def bisect(unstable: Callable[[float], bool], lower: float, upper: float, tolerance: float = 4e-16) -> float:
    """The last stable number between a stable and an unstable one, to a relative tolerance."""
    while upper - lower > tolerance * upper:
        middle = 0.5 * (lower + upper)
        if middle in (lower, upper):
            break
        if unstable(middle):
            upper = middle
        else:
            lower = middle
    return lower


def first_to_fail(
    values: Values,
    unstable: Unstable,
    ray: Callable[[complex], float],
    noise: float = NOISE,
    candidates: int = CANDIDATES,
    most: float = 1e4,
) -> tuple[float, complex]:
    """(the largest step, the eigenvalue that limits it).

    Values with a positive real part, of solutions that grow by themselves, set no limit.

    Parameters
    ----------
    values : complex128 array
    unstable : callable
        ``unstable(z)`` -> bool array: where |R(z)| > 1.
    ray : callable
        ``ray(direction)`` -> the limit on |z| along a unit vector, exactly -1 or 1j on an axis.
    noise : float
        Parts smaller than this, relative to the largest eigenvalue, are taken for rounding.
    candidates : int
        How many of the values are computed to the last digit, where there are more.
    most : float
        Where the search for limits in |z| ends.
    """
    tiny = noise * float(np.max(np.abs(values), initial=0.0))
    limiting = values[(np.abs(values) > tiny) & (values.real <= tiny)]
    limiting = np.unique(np.where(limiting.imag < 0.0, limiting.conj(), limiting))  # a limit is the same for a conjugate
    if not limiting.size:
        return math.inf, 0j
    directions = np.array([_direction(complex(v), tiny) for v in limiting])
    farthest = np.lexsort((-np.abs(limiting), directions.imag, directions.real))  # along a ray the largest is the first to fail
    directions, first = np.unique(directions[farthest], return_index=True)
    limiting = limiting[farthest[first]]
    if limiting.size > candidates:
        rough = _coarse(directions, np.abs(limiting), unstable, most)
        pick = np.argsort(rough, kind="stable")[:candidates]
        limiting, directions = limiting[pick], directions[pick]
    limits = [ray(complex(d)) / float(abs(v)) for d, v in zip(directions, limiting, strict=True)]
    k = int(np.argmin(limits))
    return limits[k], complex(limiting[k])


def bisect_together(
    unstable: Callable[[Array], NDArray[np.bool_]], lower: float, upper: float, halvings: int = TOGETHER, tolerance: float = 4e-16
) -> float:
    """`bisect`, to the bit, for a condition that takes many numbers in little more time than one: it has all middles that the next
    halvings may come to."""
    while upper - lower > tolerance * upper:
        points = middles(np.array([lower]), np.array([upper]), halvings)[0]
        bad = unstable(points[1:-1])
        left, right = 0, points.size - 1
        while right - left > 1:
            at = (left + right) // 2
            middle = float(points[at])
            if not upper - lower > tolerance * upper or middle in (lower, upper):
                return lower
            if bad[at - 1]:
                upper, right = middle, at
            else:
                lower, left = middle, at
    return lower


def middles(low: Array, high: Array, halvings: int) -> Array:
    """(count, 2^halvings + 1): each interval's ends and all middles between them, each as half the sum of its neighbours."""
    points = np.stack([low, high], axis=1)
    for _ in range(halvings):
        finer = np.empty((len(points), 2 * points.shape[1] - 1))
        finer[:, ::2], finer[:, 1::2] = points, 0.5 * (points[:, :-1] + points[:, 1:])
        points = finer
    return points


def _direction(value: complex, tiny: float) -> complex:
    """The unit vector towards an eigenvalue, exactly on an axis where only rounding has moved it."""
    if abs(value.real) <= tiny:
        return 1j
    return -1.0 if abs(value.imag) <= tiny else value / abs(value)


def _coarse(directions: Values, sizes: Array, unstable: Unstable, most: float) -> Array:
    """About the step at which each eigenvalue fails; inf where that is far beyond the first of them, or nowhere up to |z| = most."""
    out = np.full(directions.size, math.inf)
    low = FIRST * np.ones(directions.size)
    failing = unstable(FIRST * directions)
    for _ in range(30):  # close to the imaginary axis a limit may lie anywhere below
        low = np.where(failing, 0.5 * low, low)
        failing = failing & unstable(low * directions)
        if not np.any(failing):
            break
    below = low < FIRST
    out[below] = np.where(failing[below], 0.0, low[below] / sizes[below])
    x = np.concatenate([np.arange(FIRST, 16.0, COARSE), np.geomspace(16.0, most, 200)])
    left, stable = np.flatnonzero(~below), np.zeros(directions.size)
    for part in np.array_split(x, len(x) // 12):
        left = left[part[0] / sizes[left] <= BEYOND * np.min(out)]
        bad = unstable(np.multiply.outer(directions[left], part).ravel()).reshape(left.size, part.size)
        first, hit = np.argmax(bad, axis=1), np.any(bad, axis=1)
        out[left[hit]] = part[first[hit]] / sizes[left[hit]]
        stable[left[hit]] = part[np.maximum(first[hit] - 1, 0)] / sizes[left[hit]]
        left = left[~hit]
    near = np.flatnonzero((stable > 0.0) & (stable <= np.min(out)))  # of those, any may be the first
    for _ in range(FINER):
        middle = 0.5 * (stable[near] + out[near])
        bad = unstable(middle * sizes[near] * directions[near])
        out[near], stable[near] = np.where(bad, middle, out[near]), np.where(bad, stable[near], middle)
    return out


def eigenvalues_of(jac: Any, n: int | None, symmetric: bool | None, limiting: Callable[[Values], tuple[float, complex]]) -> Values:
    """The eigenvalues that can limit the step.

    Parameters
    ----------
    jac : array_like (n, n), SciPy sparse matrix or LinearOperator, or callable v -> J v
    n : int
        Where jac is callable: its size.
    symmetric : bool or None
        None: looked up in the matrix; for products, False.
    limiting : callable
        values -> (dt, the eigenvalue that limits it).

    Raises
    ------
    TypeError, ValueError
        jac is not square, or not finite, or n is missing.
    """
    if hasattr(jac, "tocsr"):
        return _of_sparse(_in_floats(check_sparse(jac, "jac", "biufc").tocsr()), symmetric, limiting)
    if hasattr(jac, "matvec") or callable(jac):
        size: Any = getattr(jac, "shape", (n, n))
        if n is None and not hasattr(jac, "shape"):
            raise TypeError("n: expected the length of v, got None; jac is a function v -> J v")
        if not hasattr(jac, "shape"):
            n = check_whole(n, "n", 0, expected="the length of v, a whole number of at least 0")
            size = n, n
        if size[0] != size[1] or isinstance(size[0], bool) or int(size[0]) != size[0] or size[0] < 0:
            raise ValueError(f"jac: expected a square operator, got shape {size}")
        return _of_products(jac, int(size[0]), bool(symmetric), limiting)
    matrix = as_array(jac, "jac")
    if matrix.dtype.kind not in "biufc" or matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
        raise ValueError(f"jac: expected a square matrix of finite numbers, got shape {matrix.shape}")
    _check_finite(matrix)
    if symmetric is None:
        symmetric = bool(np.array_equal(matrix, matrix.conj().T))
    elif symmetric and float(np.linalg.norm(matrix - matrix.conj().T)) > ASYMMETRY * float(np.linalg.norm(matrix)):
        raise ValueError("symmetric: expected a symmetric jac, got one that is not; omit symmetric")
    if not symmetric and matrix.dtype.kind != "c" and len(matrix) > MANY and 2 * np.count_nonzero(matrix) < matrix.size:
        parts = _of_blocks(matrix, limiting)
        if parts is not None:
            return parts
    if matrix.shape[0] <= DENSE or matrix.dtype.kind == "c":
        work = (1.0 if symmetric else 10.0) * float(len(matrix)) ** 3
        values: Values = interruptible(work, np.linalg.eigvalsh if symmetric else np.linalg.eigvals, matrix).astype(np.complex128)
        return values
    return _of_krylov(lambda v: matrix @ v, len(matrix), symmetric, limiting, lambda v: matrix.T @ v)


def _in_floats(matrix: Any) -> Any:
    """Bools have no differences, and those of unsigned numbers are wrong below 0."""
    return matrix.astype(np.float64) if matrix.dtype.kind in "biu" else matrix


def both_products(jac: Any, n: int | None = None) -> tuple[Callable[[Array], Array], Callable[[Array], Array] | None, int, int] | None:
    """(v -> J v, v -> J^T v or None, rows, entries) of a checked real jac that is not symmetric; None of others."""
    if hasattr(jac, "tocsr"):
        matrix: Any = _in_floats(jac.tocsr())
        if matrix.dtype.kind == "c" or not np.any((matrix != matrix.T).data):
            return None
        turned = matrix.T
        return lambda v: matrix @ v, lambda v: turned @ v, matrix.shape[0], int(matrix.nnz)
    if hasattr(jac, "matvec") or callable(jac):
        size = int(jac.shape[0]) if hasattr(jac, "shape") else int(n or 0)
        try:
            jac.rmatvec(np.zeros(size))
        except (AttributeError, NotImplementedError, TypeError, ValueError):  # an operator without its adjoint
            forth = jac.matvec if hasattr(jac, "matvec") else jac
            return lambda v: np.asarray(forth(v), dtype=np.float64), None, size, size * size
        return lambda v: np.asarray(jac.matvec(v)), lambda v: np.asarray(jac.rmatvec(v)), size, size * size
    dense = np.asarray(jac)
    if dense.dtype.kind == "c" or np.array_equal(dense, dense.T):
        return None
    dense = dense.astype(np.float64)
    sparse = scipy_sparse()
    if sparse is not None and len(dense) > FEW and np.count_nonzero(dense) < 0.05 * dense.size:
        return both_products(sparse.csr_array(dense))
    return lambda v: dense @ v, lambda v: dense.T @ v, len(dense), dense.size


def _check_finite(entries: Values | Array) -> None:
    bad = entries[~np.isfinite(entries)]
    if bad.size:
        raise ValueError(f"jac: expected a square matrix of finite numbers, got {bad.size} that are not finite, the first {bad[0]}")


def _of_sparse(matrix: Any, symmetric: bool | None, limiting: Callable[[Values], tuple[float, complex]]) -> Values:
    if matrix.shape[0] != matrix.shape[1]:
        raise ValueError(f"jac: expected a square matrix of finite numbers, got shape {matrix.shape}")
    if matrix.dtype.kind == "c" and matrix.shape[0] > DENSE:
        raise ValueError(
            f"jac: expected at most {DENSE} rows in a complex matrix, got {matrix.shape[0]}; give eigenvalues=, or real and imaginary parts"
        )
    _check_finite(matrix.data)
    if symmetric is None:
        symmetric = not np.any((matrix != matrix.conj().T).data)
    elif symmetric and np.max(np.abs((matrix - matrix.conj().T).data), initial=0.0) > ASYMMETRY * np.max(np.abs(matrix.data), initial=0.0):
        raise ValueError("symmetric: expected a symmetric jac, got one that is not; omit symmetric")
    if matrix.shape[0] <= DENSE:
        return eigenvalues_of(matrix.toarray(), None, symmetric, limiting)
    parts = None if symmetric else _of_blocks(matrix, limiting)
    if parts is not None:
        return parts
    turned = matrix.T.tocsr()
    return _of_krylov(lambda v: matrix @ v, matrix.shape[0], symmetric, limiting, lambda v: turned @ v)


def _of_blocks(matrix: Any, limiting: Callable[[Values], tuple[float, complex]]) -> Values | None:
    """The same of a similar matrix nearer to normal, in blocks (`mflow.spectra.similar`); None where that is no other matrix."""
    single, parts = blocks(matrix, 0.0)
    known = [is_symmetric(part, SAME * float(abs(part).max())) for part in parts]
    if not single.size and len(parts) == 1 and not known[0]:
        return None
    out = [single.astype(np.complex128)]
    for part, symmetric in zip(parts, known, strict=True):
        size = part.shape[0]
        if size <= DENSE:
            dense = part.toarray()
            work = (1.0 if symmetric else 10.0) * float(size) ** 3
            eigenvalues, some = (np.linalg.eigvalsh, 0.5 * (dense + dense.T)) if symmetric else (np.linalg.eigvals, dense)
            out.append(interruptible(work, eigenvalues, some).astype(np.complex128))
        else:
            out.append(_of_krylov(part.__matmul__, size, symmetric, limiting, part.T.tocsr().__matmul__))
    return np.concatenate(out)


def _of_products(operator: Any, n: int, symmetric: bool, limiting: Callable[[Values], tuple[float, complex]]) -> Values:
    product = operator.matvec if hasattr(operator, "matvec") else operator

    def checked(v: Array) -> Array:
        out = np.asarray(product(v))
        if out.dtype.kind == "c":
            raise ValueError("jac: expected real products J v, got complex ones; give eigenvalues=, or stack real and imaginary parts")
        out = np.asarray(out, dtype=np.float64)
        if out.shape != v.shape:
            raise ValueError(f"jac: expected products J v of shape {v.shape}, got shape {out.shape}")
        if not np.all(np.isfinite(out)):
            raise ValueError("jac: expected finite products J v, got one that is not finite")
        return out

    if not symmetric:
        matrix = learn(checked, n, offsets_of(checked, n), LEARNED) if n > MANY else None
        if matrix is not None:
            return _of_sparse(matrix, None, limiting)
        if n <= DENSE:
            dense = np.stack([checked(unit) for unit in np.eye(n)], axis=1) if n else np.empty((0, 0))
            return eigenvalues_of(dense, None, None, limiting)
    return _of_krylov(checked, n, symmetric, limiting, getattr(operator, "rmatvec", None), "Give jac as a matrix, or take")


def _of_krylov(
    product: Product, n: int, symmetric: bool, limiting: Callable[[Values], tuple[float, complex]], back: Product | None = None,
    fix: str = "Take",
) -> Values:  # fmt: skip
    """Outer Ritz values; back: v -> J^T v; fix: the words before the step to take, where the limit is an interval."""
    last = [math.nan, math.nan]

    def rest(ritz: krylov.Ritz) -> float:
        dt, value = limiting(ritz.values)
        last[0], last[1] = last[1], dt
        at = int(np.argmin(np.minimum(np.abs(ritz.values - value), np.abs(ritz.values.conj() - value))))
        off = float(ritz.residuals[at])
        if symmetric and value.real == np.min(ritz.values.real):  # an eigenvalue beyond it may be missed
            off = max(off, value.real - ritz.bounds[0])
        return off / max(abs(value), 1e-300) if value else math.inf

    def enough(ritz: krylov.Ritz) -> bool:
        if not (rest(ritz) <= CLOSE and abs(last[1] - last[0]) <= CLOSE * last[1]):
            return False
        return symmetric or lies(ritz).far >= (1.0 - WELL) * last[1]

    def lies(ritz: krylov.Ritz) -> Inclusion:
        from mflow.spectra.inclusion import inclusion  # seldom needed

        assert ritz.H is not None
        return inclusion(ritz.H, ritz.values, ritz.residuals, n, limiting, is_normal)

    is_normal = not symmetric and back is not None and _is_normal(product, back, n)

    try:
        if symmetric:
            ritz = krylov.lanczos(product, n, ITERATIONS, enough)
        else:
            ritz = krylov.arnoldi(product, n, min(ITERATIONS, max(40, NUMBERS // max(n, 1))), enough)
    except FloatingPointError:
        raise ValueError("jac: expected finite products J v, got one that is not finite") from None
    if ritz.complete or not ritz.values.size or not np.any(ritz.residuals > 0.0):
        return ritz.values
    off = rest(ritz)
    if symmetric:
        if 0.01 < off < math.inf:
            text = f"the eigenvalue that limits the step is known to {100 * off:.2g} % only, after {ritz.products} products J v"
            tell(f"max_stable_dt: {text}; keep a margin of that size")
        return ritz.values
    found = lies(ritz)
    dt = limiting(found.values)[0]
    if found.far < (1.0 - WELL) * dt or (1.0 + WELL) * dt < found.high < math.inf or (not found.kind and off > WELL):
        _tell_interval(found, dt, ritz.products, fix)
    return found.values


def _is_normal(product: Product, back: Product, n: int) -> bool:
    try:
        seen = list(krylov.commutators(product, back, n, (57, 58)))
    except (NotImplementedError, TypeError, ValueError):  # an operator without its adjoint
        return False
    return all(apart <= SAME * (one + other) for apart, one, other in seen)


def _tell_interval(found: Inclusion, dt: float, products: int, fix: str) -> None:
    ends = f"it is at least {found.low:.4g} and at most {found.high:.4g}; {dt:.4g} is the estimate"
    if found.high == math.inf:
        ends = f"it is at least {found.low:.4g}, without an upper end; {dt:.4g} is the estimate, the limit where jac is normal"
    text = f"max_stable_dt: after {products} products J v the limit is known as an interval only: {ends}"
    tell(f"{text}. {fix} a step of at most {found.low:.4g}")
