"""A sparse matrix from a few of its products with vectors, where its entries stand on a few diagonals.

Products with unit vectors show where the entries of some columns are, at the ends, in the middle and at random places. If all columns have
entries at the same distances from the diagonal, as those of differences on a grid have, columns j, j + g, j + 2 g, ... share no row for a
suitable g, and one product serves them all. Two random vectors then tell whether the matrix has other entries: products that agree
with those of the matrix are chance with probability 0, but for entries below the tolerance.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from mflow.base.checks import Array
from mflow.spectra.krylov import random_vector

__all__ = ["Offsets", "learn", "offsets_of", "scipy_sparse"]

Product = Callable[[Array], Array]
Offsets = tuple[int, ...]
SAMPLES = 9  # columns that are looked at
MOST_OFFSETS = 40
MOST_GROUPS = 200
AGREE = 1e-6  # of products, relative


def scipy_sparse() -> Any:
    """scipy.sparse with its linalg and csgraph, or None where SciPy is not installed."""
    try:
        import scipy.sparse
        import scipy.sparse.csgraph
        import scipy.sparse.linalg
    except ImportError:
        return None
    return scipy.sparse


def offsets_of(product: Product, n: int) -> Offsets | None:
    """Distances (row - column) of the entries of some columns; None where there are too many."""
    rng = np.random.default_rng(n)
    columns = {0, 1, n // 2, n - 2, n - 1, *rng.integers(0, n, SAMPLES - 5).tolist()}
    offsets: set[int] = set()
    for column in sorted(columns):
        unit = np.zeros(n)
        unit[column] = 1.0
        offsets |= set((np.flatnonzero(product(unit)) - column).tolist())
        if len(offsets) > MOST_OFFSETS:
            return None
    return tuple(sorted(offsets))


def learn(product: Product, n: int, offsets: Offsets | None, tolerance: float = AGREE) -> Any:
    """The matrix as a SciPy CSR array, or None where it has entries elsewhere, or SciPy is not installed."""
    sparse = scipy_sparse()
    if sparse is None or offsets is None:
        return None
    shifts = np.array(offsets or (0,), dtype=np.int64)
    apart = np.abs(np.subtract.outer(shifts, shifts))
    apart = np.unique(apart[apart > 0])
    groups = next((g for g in range(1, MOST_GROUPS + 1) if np.all(apart % g)), None)
    if groups is None:
        return None
    rows, columns, entries = [], [], []
    for group in range(groups):
        v = np.zeros(n)
        v[group::groups] = 1.0
        w = product(v)
        for shift in shifts:
            some = np.arange(group, n, groups)
            some = some[(some + shift >= 0) & (some + shift < n)]
            rows.append(some + shift)
            columns.append(some)
            entries.append(w[some + shift])
    matrix = sparse.csr_array((np.concatenate(entries), (np.concatenate(rows), np.concatenate(columns))), shape=(n, n))
    matrix.eliminate_zeros()
    for stream in (101, 102):
        v = random_vector(n, stream)
        w = product(v)
        if not float(np.linalg.norm(matrix @ v - w)) <= tolerance * float(np.linalg.norm(w)):
            return None
    return matrix
