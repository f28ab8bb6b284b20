"""What a call that resumes must have in common with the one before: its arguments, by their checksums."""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np
from mflow_core.dynamics.matrices import is_function
from mflow_core.problems.sparse import check_sparse

from mflow.base.pace import interruptible

__all__ = ["checksum"]


def checksum(value: Any, name: str) -> Any:
    """Of numbers, arrays and sequences of them; of functions and other objects, which cannot be compared, what kind they are."""
    if value is None or isinstance(value, str):
        return value
    if is_function(value):  # before it is taken for a tuple, which SciPy's LowLevelCallable is
        return "function"
    if isinstance(value, tuple | list) and any(callable(part) or part is None or np.ndim(part) for part in value):
        return [checksum(part, name) for part in value]
    if hasattr(value, "tocsr"):
        rows = check_sparse(value, name).tocsr(copy=True)
        rows.sum_duplicates()
        return [checksum(part, name) for part in (np.array(rows.shape), rows.indptr, rows.indices, rows.data)]
    try:
        numbers = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        return "function" if callable(value) else type(value).__name__
    start = zlib.crc32(repr(numbers.shape).encode())
    return interruptible(8.0 * numbers.size, zlib.crc32, np.ascontiguousarray(numbers), start)
