"""Stability regions: |R(z)| of an integrator over a piece of the complex plane, in the probe's compiled loop."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mflow.base.checks import check_range, check_whole
from mflow.base.methods import Method, as_method
from mflow.stability.amplification import STEP_TOLERANCE, amplification
from mflow.stability.results import StabilityRegion

__all__ = ["grid_shape", "stability_region"]


def stability_region(
    method: str | Method,
    re: Sequence[float] = (-6.0, 2.0),
    im: Sequence[float] = (-4.0, 4.0),
    shape: Sequence[int] = (400, 400),
    **parameters: Any,
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
    z = np.linspace(x0, x1, columns)[None, :] + 1j * np.linspace(y0, y1, rows)[:, None]
    abs_R = np.abs(amplification(method, z))
    return StabilityRegion(method, z, abs_R, abs_R <= 1.0 + STEP_TOLERANCE, (x0, x1), (y0, y1))


def grid_shape(shape: Sequence[int], low: int) -> tuple[int, int]:
    """(rows, columns) of a grid, whole numbers of at least `low`. Raises TypeError or ValueError."""
    if np.ndim(shape) != 1 or len(shape) != 2:
        raise ValueError(f"shape: expected (rows, columns), got {shape!r}")
    return check_whole(shape[0], "shape[0]", low), check_whole(shape[1], "shape[1]", low)
