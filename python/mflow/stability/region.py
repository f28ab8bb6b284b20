"""Stability regions: |R(z)| of an integrator over a piece of the complex plane, in the probe's compiled loop."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mflow.base.methods import Method, as_method
from mflow.stability.amplification import STEP_TOLERANCE, amplification
from mflow.stability.results import StabilityRegion

__all__ = ["stability_region"]


def stability_region(
    method: str | Method,
    re: Sequence[float] = (-6.0, 2.0),
    im: Sequence[float] = (-4.0, 4.0),
    shape: Sequence[int] = (400, 400),
    **parameters: Any,
) -> StabilityRegion:
    """Where an integrator is stable: |R(z)| on a grid of z = lambda dt.

    Parameters
    ----------
    method : name or instance of an integrator of y' = f(t, y)
        One that chooses its stages at run time takes as many as the farthest point of the grid needs, unless ``stages=`` is given.
    re, im : (lower, upper)
        Ranges of the real and the imaginary part.
    shape : (rows, columns)
    **parameters
        The method's own.

    Returns
    -------
    StabilityRegion
        ``z`` complex128 (rows, columns), ``abs_R`` float64 and ``stable`` bool of that shape.

    Raises
    ------
    ValueError
        A range is empty, or the method is no integrator of y' = f(t, y); the text says what to use instead.

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
    chosen = as_method(method, parameters)
    if chosen.kind != "step" or "second_order" in chosen.flags:
        use = "mflow.oscillation" if "second_order" in chosen.flags else "mflow.parameter_region"
        raise ValueError(f"{chosen.name} has no stability region in the plane of lambda dt: use {use}")
    (x0, x1), (y0, y1) = (_range(values, name) for values, name in ((re, "re"), (im, "im")))
    if len(shape) != 2 or any(isinstance(k, bool) or int(k) != k or k < 2 for k in shape):
        raise ValueError(f"shape = {shape!r}: (rows, columns), whole numbers from 2 on, are wanted")
    rows, columns = (int(k) for k in shape)
    z = np.linspace(x0, x1, columns)[None, :] + 1j * np.linspace(y0, y1, rows)[:, None]
    abs_R = np.abs(amplification(chosen, z))
    return StabilityRegion(chosen, z, abs_R, abs_R <= 1.0 + STEP_TOLERANCE, (x0, x1), (y0, y1))


def _range(values: Sequence[float], name: str) -> tuple[float, float]:
    try:
        low, high = (float(v) for v in values)
    except (TypeError, ValueError):
        raise ValueError(f"{name} = {values!r}: two numbers (lower, upper) are wanted") from None
    if not (np.isfinite(low) and np.isfinite(high) and low < high):
        raise ValueError(f"{name} = {values!r}: two finite numbers, the lower one first, are wanted")
    return low, high
