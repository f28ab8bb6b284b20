"""Matrices with the same eigenvalues that are nearer to normal: blocks of the strong components, scaled by diagonals.

A matrix that is triangular but for the order of its rows and columns has the eigenvalues of its diagonal blocks. A matrix D^-1 J D with a
diagonal D has those of J; D is chosen such that entries across the diagonal have one size, as far as that is possible, and where their
signs agree the result is symmetric. Only ratios of entries of D are used, in logarithms, so that none overflows: the eigenvectors of
differences of an advection of a thousand points differ by 10^500 in size.

References
----------
E. E. Osborne, J. ACM 7 (1960) 338-345; B. N. Parlett and C. Reinsch, Numer. Math. 13 (1969) 293-304; L. N. Trefethen and M. Embree, Spectra
and Pseudospectra (2005), 3 and 12.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mflow.base.checks import Array
from mflow.spectra.learned import scipy_sparse

__all__ = ["balancing", "blocks", "is_symmetric"]

SWEEPS = 30  # of balancing, which needs a few
SAME = 1e-8  # sizes of entries across the diagonal that are one, relative


def is_symmetric(A: Any, tolerance: float) -> bool:
    """Whether no entry of a dense or sparse matrix differs from that across the diagonal by more than the tolerance."""
    off = abs(A - A.T)
    return bool((off.max() if min(A.shape) else 0.0) <= tolerance)


def balancing(A: Array) -> Array:
    """Powers of two D, shape (n,): in A D_j/D_i the rows and columns of one index have about one size, as far as zeros allow."""
    off, d = np.abs(A), np.ones(len(A))
    np.fill_diagonal(off, 0.0)
    for _ in range(SWEEPS):
        still = True
        for i in range(len(A)):
            row, column = float(np.sum(off[i] * d)) / d[i], float(off[:, i] @ (1.0 / d)) * d[i]
            if not (0.0 < row < np.inf and 0.0 < column < np.inf):
                continue
            factor = 2.0 ** np.round(0.5 * np.log2(row / column))
            if (row / factor + column * factor) < 0.95 * (row + column):
                d[i], still = d[i] * factor, False
        if still:
            break
    return d


def blocks(A: Any, noise: float) -> tuple[Array, list[Any]]:
    """(eigenvalues of the blocks of size 1, the other blocks as SciPy CSR arrays, scaled); without SciPy the matrix or its diagonal.

    noise : the error of an entry. Entries below it are kept, as they are no less true than others: exact zeros alone make blocks.
    """
    sparse = scipy_sparse()
    if sparse is None:
        triangular = not (np.any(np.tril(A, -1)) and np.any(np.triu(A, 1)))
        return (np.array(np.diag(A), dtype=np.float64), []) if triangular else (np.empty(0), [A])
    matrix = sparse.csr_array(A)
    matrix.eliminate_zeros()
    count, label = sparse.csgraph.connected_components(matrix, directed=True, connection="strong")
    if count == 1:
        return np.empty(0), [_scaled(sparse, matrix, noise)]
    sizes = np.bincount(label, minlength=count)
    alone = sizes[label] == 1
    single = np.asarray(matrix.diagonal())[alone]
    order = np.argsort(label, kind="stable")
    starts = np.concatenate([[0], np.cumsum(sizes)])
    out = []
    for k in np.flatnonzero(sizes > 1):
        chosen = np.sort(order[starts[k] : starts[k + 1]])
        out.append(_scaled(sparse, matrix[chosen][:, chosen], noise))
    return np.asarray(single, dtype=np.float64), out


def _scaled(sparse: Any, A: Any, noise: float) -> Any:
    """D^-1 A D, where that makes entries across the diagonal equal in size; else A."""
    entries = A.tocoo()
    rows, columns, values = entries.row, entries.col, entries.data
    across = np.asarray(sparse.csr_array(A.T)[rows, columns]).ravel()
    if np.any(across == 0.0):
        return A  # an entry without one across it
    apart = 0.5 * (np.log(np.abs(across)) - np.log(np.abs(values)))  # d_column - d_row
    pattern = sparse.csr_array((apart, (rows, columns)), shape=A.shape)
    logs = _along_tree(sparse, A, pattern)
    left = np.abs(logs[columns] - logs[rows] - apart)
    if np.any(left > SAME + noise / np.abs(values) + noise / np.abs(across)):
        return A
    return sparse.csr_array((values * np.exp(apart), (rows, columns)), shape=A.shape)


def _along_tree(sparse: Any, A: Any, apart: Any) -> Array:
    """Logarithms of D, from the differences along a tree that reaches all rows."""
    order, before = sparse.csgraph.breadth_first_order(A, 0, directed=False)
    steps = np.zeros(A.shape[0])
    later = order[1:]
    steps[later] = np.asarray(apart[before[later], later]).ravel()
    out = np.zeros(A.shape[0])
    for node in later.tolist():
        out[node] = out[before[node]] + steps[node]
    return out
