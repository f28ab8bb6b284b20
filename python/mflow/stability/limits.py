"""The largest stable step for a set of eigenvalues, given where a method is stable.

    dt = min over eigenvalues of (limit along the eigenvalue's ray)/|eigenvalue|

A limit along a ray costs a scan of hundreds of points. So all rays are scanned coarsely at once, and the ones that could be the first to
fail are done to the last digit. The eigenvalues are those of a matrix, or Ritz values of one that is known by its products with vectors.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mflow.base.checks import Array
from mflow.solvers import krylov

__all__ = ["NOISE", "eigenvalues_of", "first_to_fail", "step_of_eigenvalues"]

Unstable = Callable[[NDArray[np.complex128]], NDArray[np.bool_]]
Values = NDArray[np.complex128]
DENSE = 1000  # rows up to which all eigenvalues of a matrix are computed
ITERATIONS = 400
NUMBERS = 10**8  # that a Krylov basis may take
CLOSE = 2e-3  # residual of the eigenvalue that limits the step, against it
ASYMMETRY = 1e-8  # of a matrix that is called symmetric, against it: what differences and rounding leave
NOISE = 1e-14  # of an eigenvalue against the largest
COARSE = 0.1
BEYOND = 1.5  # of the first step that fails: what a coarse scan may miss
CANDIDATES = 24
FIRST = 0.05


def step_of_eigenvalues(values: Values, unstable: Unstable, ray: Callable[[complex], float], noise: float = NOISE) -> float:
    """The largest step; values with a positive real part, of solutions that grow by themselves, set no limit.

    Parameters
    ----------
    values : complex128 array
    unstable : callable
        ``unstable(z)`` -> bool array: where |R(z)| > 1.
    ray : callable
        ``ray(direction)`` -> the limit on |z| along a unit vector, exactly -1 or 1j on an axis.
    noise : float
        Against the largest eigenvalue: smaller parts are taken for rounding.
    """
    return first_to_fail(values, unstable, ray, noise)[0]


def first_to_fail(
    values: Values,
    unstable: Unstable,
    ray: Callable[[complex], float],
    noise: float = NOISE,
    candidates: int = CANDIDATES,
    most: float = 1e4,
) -> tuple[float, complex]:
    """(the largest step, the eigenvalue that limits it); of many values so many `candidates` are done to the last digit. `most`: up to
    which |z| limits are looked for."""
    tiny = noise * float(np.max(np.abs(values), initial=0.0))
    chosen = values[(np.abs(values) > tiny) & (values.real <= tiny)]
    chosen = np.unique(np.where(chosen.imag < 0.0, chosen.conj(), chosen))  # a limit is the same for a conjugate
    if not chosen.size:
        return math.inf, 0j
    directions = np.array([_direction(complex(v), tiny) for v in chosen])
    if chosen.size > candidates:
        rough = _coarse(directions, np.abs(chosen), unstable, most)
        pick = np.argsort(rough, kind="stable")[:candidates]
        chosen, directions = chosen[pick], directions[pick]
    limits = [ray(complex(d)) / float(abs(v)) for d, v in zip(directions, chosen, strict=True)]
    k = int(np.argmin(limits))
    return limits[k], complex(chosen[k])


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
    left = np.flatnonzero(~below)
    for part in np.array_split(x, len(x) // 12):
        left = left[part[0] / sizes[left] <= BEYOND * np.min(out)]
        bad = unstable(np.multiply.outer(directions[left], part).ravel()).reshape(left.size, part.size)
        first, hit = np.argmax(bad, axis=1), np.any(bad, axis=1)
        out[left[hit]] = part[first[hit]] / sizes[left[hit]]
        left = left[~hit]
    return out


def eigenvalues_of(jac: Any, n: int | None, symmetric: bool | None, limiting: Callable[[Values], tuple[float, complex]]) -> Values:
    """Eigenvalues that decide over the step.

    Parameters
    ----------
    jac : array_like (n, n), SciPy sparse matrix or LinearOperator, or callable v -> J v
    n : int
        Where jac is callable: its size.
    symmetric : bool or None
        None: as the matrix is; False for products.
    limiting : callable
        values -> (dt, the eigenvalue that limits it).

    Raises
    ------
    TypeError, ValueError
        jac is not square, or not finite, or n is missing.
    """
    if hasattr(jac, "tocsr"):
        return _of_sparse(jac.tocsr(), symmetric, limiting)
    if hasattr(jac, "matvec") or callable(jac):
        size: Any = getattr(jac, "shape", (n, n))
        if n is None and not hasattr(jac, "shape"):
            raise TypeError("n: it is missing; jac is a function v -> J v, and n says how long v is")
        if size[0] != size[1] or isinstance(size[0], bool) or int(size[0]) != size[0] or size[0] < 0:
            raise ValueError(f"jac: a square operator is wanted, shape {size} came")
        return _of_products(jac.matvec if hasattr(jac, "matvec") else jac, int(size[0]), bool(symmetric), limiting)
    matrix = np.asarray(jac)
    if matrix.dtype.kind not in "biufc" or matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
        raise ValueError(f"jac: a square matrix of finite numbers is wanted, shape {matrix.shape} came")
    _check_finite(matrix)
    if symmetric is None:
        symmetric = bool(np.array_equal(matrix, matrix.conj().T))
    elif symmetric and float(np.linalg.norm(matrix - matrix.conj().T)) > ASYMMETRY * float(np.linalg.norm(matrix)):
        raise ValueError("symmetric = True, but jac is not symmetric: leave symmetric away")
    if matrix.shape[0] <= DENSE or matrix.dtype.kind == "c":
        values: Values = (np.linalg.eigvalsh(matrix) if symmetric else np.linalg.eigvals(matrix)).astype(np.complex128)
        return values
    return _of_products(lambda v: matrix @ v, len(matrix), symmetric, limiting)


def _check_finite(entries: Values | Array) -> None:
    bad = entries[~np.isfinite(entries)]
    if bad.size:
        raise ValueError(f"jac: a square matrix of finite numbers is wanted, {bad.size} entries are not finite, the first is {bad[0]}")


def _of_sparse(matrix: Any, symmetric: bool | None, limiting: Callable[[Values], tuple[float, complex]]) -> Values:
    if matrix.shape[0] != matrix.shape[1]:
        raise ValueError(f"jac: a square matrix of finite numbers is wanted, shape {matrix.shape} came")
    if matrix.dtype.kind == "c" and matrix.shape[0] > DENSE:
        raise ValueError(
            f"jac: a complex matrix of {matrix.shape[0]} rows, {DENSE} at most; give eigenvalues=, or real and imaginary parts"
        )
    _check_finite(matrix.data)
    if symmetric is None:
        symmetric = not np.any((matrix != matrix.conj().T).data)
    elif symmetric and np.max(np.abs((matrix - matrix.conj().T).data), initial=0.0) > ASYMMETRY * np.max(np.abs(matrix.data), initial=0.0):
        raise ValueError("symmetric = True, but jac is not symmetric: leave symmetric away")
    if matrix.shape[0] <= DENSE:
        return eigenvalues_of(matrix.toarray(), None, symmetric, limiting)
    return _of_products(lambda v: matrix @ v, matrix.shape[0], symmetric, limiting)


def _of_products(product: Any, n: int, symmetric: bool, limiting: Callable[[Values], tuple[float, complex]]) -> Values:
    def checked(v: Array) -> Array:
        out = np.asarray(product(v))
        if out.dtype.kind == "c":
            raise ValueError("jac: a product J v is complex: give eigenvalues=, or stack real and imaginary parts")
        out = np.asarray(out, dtype=np.float64)
        if out.shape != v.shape:
            raise ValueError(f"jac: J v has shape {out.shape}, v has shape {v.shape}: they must be equal")
        return out

    last = [math.nan, math.nan]

    def rest(found: krylov.Ritz) -> float:
        dt, value = limiting(found.values)
        last[0], last[1] = last[1], dt
        at = int(np.argmin(np.minimum(np.abs(found.values - value), np.abs(found.values.conj() - value))))
        return float(found.residuals[at]) / max(abs(value), 1e-300) if value else math.inf

    def enough(found: krylov.Ritz) -> bool:
        return rest(found) <= CLOSE and abs(last[1] - last[0]) <= CLOSE * last[1]

    try:
        if symmetric:
            found = krylov.lanczos(checked, n, ITERATIONS, enough)
        else:
            found = krylov.arnoldi(checked, n, min(ITERATIONS, max(40, NUMBERS // max(n, 1))), enough)
    except FloatingPointError:
        raise ValueError("jac: a product J v is not finite") from None
    if not found.complete and found.values.size and np.any(found.residuals > 0.0):
        off = rest(found)
        if 0.01 < off < math.inf:
            text = f"max_stable_dt: the eigenvalue that limits the step is known to {100 * off:.2g} % only, after {found.products} products"
            warnings.warn(f"{text} J v; keep a margin of that size", RuntimeWarning, stacklevel=5)
    return found.values
