"""Tables in plain text, and as pandas' frames."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from mflow.base.extras import need

__all__ = ["columns", "frame", "from_frame"]


def frame(table: Mapping[str, Any]) -> Any:
    """A pandas DataFrame of columns of one length. Raises ImportError where pandas is not installed.

    Examples
    --------
    >>> from mflow.base.tables import frame
    >>> frame({"dt": [0.1, 0.2], "order": [2, 2]}).shape
    (2, 2)
    """
    return need("pandas", "to_frame()").DataFrame({name: list(values) for name, values in table.items()})


def from_frame(value: Any) -> Any:
    """float64 of a pandas frame or column of nullable numbers, NaN where one is missing; anything else as it is.

    NumPy makes arrays of objects of them, which are no numbers to anybody.
    """
    if not (hasattr(value, "to_numpy") and hasattr(value, "iloc")):
        return value
    kinds = list(value.dtypes) if value.ndim == 2 else [value.dtype]
    if all(isinstance(kind, np.dtype) for kind in kinds) or not all(kind.kind in "biuf" for kind in kinds):
        return value
    return value.to_numpy(dtype=np.float64, na_value=np.nan)


def columns(heads: list[str], rows: list[list[str]]) -> str:
    """A table in plain text: the first column to the left, the others to the right.

    Examples
    --------
    >>> from mflow.base.tables import columns
    >>> print(columns(["dt", "order"], [["0.1", "2.00"]]))
    dt   order
    0.1   2.00
    """
    lines = [heads, *rows]
    widths = [max(len(line[k]) for line in lines) for k in range(len(heads))]
    return "\n".join(
        "  ".join(text.ljust(w) if k == 0 else text.rjust(w) for k, (text, w) in enumerate(zip(line, widths, strict=True))).rstrip()
        for line in lines
    )
