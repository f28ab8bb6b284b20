"""Right-hand sides that take many states at once, as columns: SciPy's ``vectorized=True``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from mflow_core.problems.signatures import is_compiled

from mflow.base.checks import Array, shown

__all__ = ["columns_of"]


def columns_of(
    fun: Any, shape: tuple[int, ...], args: tuple[Any, ...], inplace: bool = False
) -> tuple[Callable[..., Array], Callable[[float, Array], Array]]:
    """``fun(t, y, *args)``, and f at every column of Y as the rows of a C-contiguous array, for ``(t, Y)``.

    Parameters
    ----------
    fun : callable
        ``fun(t, Y, *args)`` returns an array of the shape of Y, (n, k), for any k.
    shape : tuple
        The state's shape, (n,).
    args : tuple
    inplace : bool
        Whether fun fills an array: that goes with one state alone.

    Raises
    ------
    TypeError, ValueError
        fun cannot be one that takes columns; the text says why. The functions raise them where fun returns another shape.

    Examples
    --------
    >>> import numpy as np
    >>> from mflow.problems.vectorized import columns_of
    >>> one, many = columns_of(lambda t, Y: -2.0 * Y, (2,), ())
    >>> one(0.0, np.ones(2)).tolist(), many(0.0, np.ones((2, 3))).shape
    ([-2.0, -2.0], (3, 2))
    """
    if inplace or is_compiled(fun):
        raise TypeError(
            "vectorized: expected a Python function that returns its slopes, got a compiled one or inplace=True; remove one of them"
        )
    if not callable(fun):
        raise TypeError(f"fun: expected a function, got {shown(fun)}")
    if len(shape) != 1:
        raise ValueError(f"vectorized: expected a state of shape (n,), whose columns stand side by side, got shape {shape}; flatten it")

    def evaluated(t: float, columns: Array, more: tuple[Any, ...]) -> Array:
        out = np.asarray(fun(t, columns, *more))
        if out.dtype.kind not in "biuf":
            raise TypeError(f"fun: expected a return value of real numbers (float64), got dtype {out.dtype}")
        if out.shape != columns.shape:
            raise ValueError(f"fun: expected a return value of shape {columns.shape}, as vectorized=True says, got shape {out.shape}")
        return out

    def one(t: float, y: Array, *more: Any) -> Array:
        return evaluated(t, y[:, None], more)[:, 0]

    def many(t: float, columns: Array) -> Array:
        return np.ascontiguousarray(evaluated(t, columns, args).T, dtype=np.float64)

    return one, many
