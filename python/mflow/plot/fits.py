"""Fitted curves with their data, bands and residuals."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from mflow.base.checks import Array, check_instance, check_number
from mflow.fitting.fitted import CurveFit
from mflow.plot.axes import dress, figure_of, legend, row_of_axes
from mflow.plot.palette import COLOURS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["fit"]

POINTS = 400  # of the curve


def fit(result: CurveFit, axes: Any = None, *, level: float = 0.95) -> Figure:
    """A fit: the data with the curve, its confidence band and its prediction band; and the residuals over sigma.

    Parameters
    ----------
    result : CurveFit
        From `mflow.curve_fit`, whose xdata are a vector of numbers.
    axes : two matplotlib Axes, optional
        A new figure if not given.
    level : float
        Of both bands. They are left out where the data do not determine all parameters; that of predictions, with a word in the legend,
        where the data have different sigma at the same x.

    Returns
    -------
    matplotlib.figure.Figure
        Its ``axes[0]`` has the curve and ``axes[1]`` the residuals: ``set(xlabel="U / V", ylabel="I / mA", xscale="log")`` labels one.

    Raises
    ------
    TypeError, ValueError
        No fit, not two axes, or data over something else than a vector.

    See Also
    --------
    mflow.curve_fit

    Examples
    --------
    >>> import numpy as np, mflow
    >>> x = np.linspace(0, 5, 30)
    >>> fitted = mflow.curve_fit("exponential", x, 2 * np.exp(-x) + 0.1 * np.cos(9 * x))
    >>> figure = mflow.plot.fit(fitted)
    """
    check_instance(result, "result", CurveFit, "what mflow.curve_fit returns")
    level = check_number(level, "level", low=0.0, high=1.0, open_low=True, open_high=True)
    x = result.xdata
    if not isinstance(x, np.ndarray) or x.ndim != 1:
        raise ValueError("result: expected a fit over a vector of numbers, got other xdata; draw it by result(x) yourself")
    if x.size != result.ydata.size:
        sizes = f"got {result.ydata.size} data over {x.size} of xdata"
        raise ValueError(f"result: expected a fit of one datum for each of xdata, {sizes}; draw the parts of result(x) yourself")
    above, below = row_of_axes(axes, 2, (9.6, 4.0), width_ratios=(3, 2)) if axes is None else row_of_axes(axes, 2, (9.6, 4.0))
    fine = np.linspace(float(x.min()), float(x.max()), POINTS)
    low, high = result.confidence_band(fine, level)
    if np.isfinite(low).all():
        _prediction(above, result, fine, level)
        above.fill_between(fine, low, high, color=COLOURS[0], alpha=0.35, linewidth=0, label=f"{100 * level:g} % confidence")
    above.plot(fine, result(fine), color=COLOURS[0], label="fit")
    sigma = result.sigma if result.sigma is not None and result.sigma.size in (1, x.size) else None
    above.errorbar(x, result.ydata, yerr=sigma, fmt="o", markersize=3.5, color=COLOURS[4], elinewidth=0.8, label="data")
    dress(above, "x", "y", keep=True)
    legend(above, "inside")
    below.axhline(0.0, color=COLOURS[0], linewidth=1.0)
    below.plot(x, result.residuals, "o", markersize=3.5, color=COLOURS[4])
    dress(below, "x", "residual" if result.sigma is None else "residual over sigma", keep=True)
    return figure_of(above)


def _prediction(ax: Axes, result: CurveFit, x: Array, level: float) -> None:
    """The band of predictions, or in the legend why there is none."""
    try:
        low, high = result.prediction_band(x, level)
    except ValueError:  # sigma is not known between the data
        ax.plot([], [], " ", label="no prediction band: sigma differs at one x")
        return
    if np.isfinite(low).all():
        ax.fill_between(x, low, high, color=COLOURS[0], alpha=0.12, linewidth=0, label=f"{100 * level:g} % prediction")
