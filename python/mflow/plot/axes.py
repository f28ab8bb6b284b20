"""Axes of pictures: where to draw, labels and scales, legends. Every picture is made with these functions.

Nothing here touches pyplot or the backend in use.
"""

from __future__ import annotations

import functools
import io
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from mflow.base.checks import check_fields
from mflow.base.extras import need

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

__all__ = ["axes_for", "drawn_by", "dress", "figure_of", "legend", "new_figure", "row_of_axes"]

# The function of mflow.plot that is made for what a driver returns, by the kind of that.
PICTURES = {
    "CurveFit": "fit", "DynamicsResult": "displacements", "IVPResult": "solution", "LRFindResult": "lr_find", "OptimizeResult": "paths",
    "ResponseSpectrum": "spectrum", "SweepResult": "sweep", "TrainResult": "history",
}  # fmt: skip
# Where a legend stands. Sizes of the text and frames are the same for all.
PLACES: dict[str, dict[str, Any]] = {
    "inside": {},
    "beside": {"loc": "center left", "bbox_to_anchor": (1.01, 0.5), "handlelength": 3.2},
    "above": {"loc": "lower center", "bbox_to_anchor": (0.5, 1.0), "ncols": 4},
}


def drawn_by(result: Any) -> str:
    """Words on the picture that is made for such a result, for the end of an error text; "" where there is none.

    Examples
    --------
    >>> import mflow
    >>> from mflow.plot.axes import drawn_by
    >>> drawn_by(mflow.minimize(lambda x: x @ x, [1.0]))
    '; mflow.plot.paths draws an OptimizeResult'
    """
    kind = type(result).__name__
    return f"; mflow.plot.{PICTURES[kind]} draws a{'n' * (kind[0] in 'IO')} {kind}" if kind in PICTURES else ""


def new_figure(size: tuple[float, float], layout: Literal["constrained", "compressed"] = "constrained") -> Figure:
    """A figure that no window and no global state know of. Raises ImportError without matplotlib."""
    figure: Figure = need("matplotlib.figure", "a picture").Figure(figsize=size, layout=layout)
    need("matplotlib.backends.backend_agg", "a picture").FigureCanvasAgg(figure)
    vars(figure)["_repr_png_"] = functools.partial(_png, figure)
    return figure


def _png(figure: Figure) -> bytes:
    """What a notebook shows of a figure; its own way needs pyplot to have been imported."""
    data = io.BytesIO()
    figure.savefig(data, format="png", bbox_inches="tight")
    return data.getvalue()


def axes_for(ax: Axes | None, size: tuple[float, float] = (6.4, 4.4)) -> Axes:
    """The user's axes, or those of a new figure."""
    if ax is not None:
        check_axes(ax, "ax")
        return ax
    axes: Axes = new_figure(size, "compressed").add_subplot()  # constrained, and it knows of axes of equal scales
    return axes


def row_of_axes(axes: Any, count: int, size: tuple[float, float], **options: Any) -> list[Axes]:
    """The user's axes, so many, or those of a new figure, side by side."""
    if axes is None:
        return list(np.atleast_1d(new_figure(size).subplots(1, count, **options)))
    given = list(np.ravel(np.asarray(axes, dtype=object)))
    if len(given) != count:
        raise ValueError(f"axes: expected {count} axes, got {len(given)}")
    return [check_axes(one, "axes") for one in given]


def check_axes(ax: Any, argument: str) -> Any:
    """Matplotlib's axes, or something else with their drawing methods. Raises TypeError otherwise."""
    return check_fields(ax, argument, ("plot", "set_xlabel", "figure"), "Matplotlib axes")


def figure_of(ax: Any) -> Figure:
    """The figure of some axes."""
    figure: Figure = ax.figure
    return figure


def dress(ax: Axes, x: str, y: str, *, keep: bool = False, log: str = "", grid: bool = True) -> None:
    """Labels, scales, a light grid, and no spines above and to the right.

    Parameters
    ----------
    ax : matplotlib Axes
    x, y : str
        The labels.
    keep : bool
        Whether labels that the axes have already stay.
    log : "", "x", "y" or "xy"
        Axes that are logarithmic and need numbers between powers of ten. Call this function when everything is drawn.
    grid : bool
    """
    ax.set_xlabel((keep and ax.get_xlabel()) or x)
    ax.set_ylabel((keep and ax.get_ylabel()) or y)
    if "x" in log:
        ax.set_xscale("log")
        _label_steps(ax.xaxis)
    if "y" in log:
        ax.set_yscale("log")
        _label_steps(ax.yaxis)
    if grid:
        ax.grid(True, which="major", linewidth=0.5, alpha=0.35)
    else:
        ax.grid(False)
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)


def _label_steps(axis: Axis) -> None:
    """Numbers at 1, 2 and 5, or closer, where powers of ten alone would leave a logarithmic axis nearly bare."""
    from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, StrMethodFormatter

    low, high = sorted(axis.get_view_interval())
    axis.set_minor_formatter(NullFormatter())
    if low > 0.0 and high < 200.0 * low:
        axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)) if high > 8.0 * low else MaxNLocator(4))
        axis.set_major_formatter(StrMethodFormatter("{x:g}"))


def legend(ax: Axes, place: str = "beside", **options: Any) -> None:
    """A legend without a frame. place: "inside", "beside" (to the right) or "above"; options: as of matplotlib's `legend`."""
    ax.legend(**{"fontsize": "small", "frameon": False, **PLACES[place], **options})
