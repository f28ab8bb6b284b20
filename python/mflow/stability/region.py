"""Stability regions: |R(z)| of an integrator over a piece of the complex plane, in the probe's compiled loop."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np

from mflow.base.checks import Array, as_array, check_range, check_whole, shown
from mflow.base.methods import Method, as_method
from mflow.stability.amplification import STEP_TOLERANCE, farthest_radius, stability_values
from mflow.stability.results import StabilityRegion

if TYPE_CHECKING:
    from mflow.base._records import MethodOptions

__all__ = ["grid_shape", "stability_region"]

PIECE = 100_000  # points between looks at signals


def stability_region(
    method: str | Method,
    re: Sequence[float] = (-6.0, 2.0),
    im: Sequence[float] = (-4.0, 4.0),
    shape: Sequence[int] = (400, 400),
    **parameters: Unpack[MethodOptions],
) -> StabilityRegion:
    """The stability region of an integrator: |R(z)| on a grid of z = lambda dt.

    Parameters
    ----------
    method : name or instance of an integrator of y' = f(t, y)
        One that chooses its stages at run time takes as many as the farthest point of the grid needs, unless ``stages=`` is given.
    re, im : (lower, upper)
        Ranges of the real and the imaginary part.
    shape : (rows, columns)
    **parameters
        Parameters of the method.

    Returns
    -------
    StabilityRegion
        ``z`` complex128 (rows, columns), ``abs_R`` float64 and ``stable`` bool of that shape.

    Raises
    ------
    ValueError
        A range is empty, or the method is no integrator of y' = f(t, y); the message says what to use instead.

    See Also
    --------
    mflow.stability_limit, mflow.plot.stability_regions

    Examples
    --------
    >>> import mflow
    >>> region = mflow.stability_region("euler", re=(-2.5, 0.5), im=(-1.5, 1.5), shape=(301, 301))
    >>> round(float(region.stable.mean()) * 9, 1)  # the area of a circle of radius 1
    3.1

    References
    ----------
    E. Hairer and G. Wanner, Solving Ordinary Differential Equations II (1996), IV.2.
    """
    method = as_method(method, parameters)
    if method.kind != "step" or "second_order" in method.flags:
        use = "mflow.oscillation" if "second_order" in method.flags else "mflow.parameter_region"
        raise ValueError(f"method: {method.name} has no stability region in the plane of lambda dt; use {use}")
    (x0, x1), (y0, y1) = check_range(re, "re"), check_range(im, "im")
    rows, columns = grid_shape(shape, 2)
    z, abs_R, stable = _allocate((rows, columns))
    radius = farthest_radius(method, np.array([complex(x, y) for x in (x0, x1) for y in (y0, y1)]))
    real, imaginary = np.linspace(x0, x1, columns), np.linspace(y0, y1, rows)
    height = max(1, PIECE // columns)  # Ctrl-C is answered between pieces
    for first in range(0, rows, height):
        piece = slice(first, first + height)
        z[piece] = real[None, :] + 1j * imaginary[piece, None]
        np.abs(stability_values(method, z[piece], radius), out=abs_R[piece])
        np.less_equal(abs_R[piece], 1.0 + STEP_TOLERANCE, out=stable[piece])
    return StabilityRegion(method, z, abs_R, stable, (x0, x1), (y0, y1))


def _allocate(shape: tuple[int, int]) -> tuple[Any, Array, Any]:
    """Room for the grid. Raises ValueError where there is not as much memory."""
    try:
        return np.empty(shape, dtype=np.complex128), np.empty(shape), np.empty(shape, dtype=np.bool_)
    except (MemoryError, ValueError):
        raise ValueError(f"shape: no memory for a grid of {shape[0]} x {shape[1]} points; take fewer") from None


def grid_shape(shape: Sequence[int], low: int) -> tuple[int, int]:
    """(rows, columns) of a grid, whole numbers of at least `low`. Raises TypeError or ValueError."""
    if as_array(shape, "shape").shape != (2,):
        raise ValueError(f"shape: expected (rows, columns), got {shown(shape)}")
    return check_whole(shape[0], "shape[0]", low), check_whole(shape[1], "shape[1]", low)
