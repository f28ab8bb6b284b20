"""What every picture of mflow shares: colours, dashes, markers, and the dress of an axis.

Nothing here touches pyplot or the backend in use. Curves differ in colour (Okabe and Ito's palette, safe for the colour-blind), line
style and marker, so they can be told apart in grey too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis

__all__ = ["COLOURS", "DASHES", "MARKERS", "dress", "label_steps", "style"]

# M. Okabe and K. Ito, Color Universal Design (2008), without yellow, which is too pale for a line on white.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#000000", "#E69F00", "#56B4E9")
DASHES: tuple[Any, ...] = ("-", (0, (5, 1.5)), (0, (1.2, 1.2)), (0, (6, 1.5, 1.2, 1.5)))
MARKERS = ("o", "s", "^", "D", "v", "P", "<", "*", ">", "h", "p")


def style(index: int) -> dict[str, Any]:
    """Colours, dashes and markers run with different periods, so that no two of 300 curves look alike."""
    return {
        "color": COLOURS[index % len(COLOURS)],
        "linestyle": DASHES[index // len(COLOURS) % len(DASHES)],
        "marker": MARKERS[index % len(MARKERS)],
    }


def dress(axis: Axes) -> None:
    """A light grid, and no spines above and to the right."""
    axis.grid(True, which="major", linewidth=0.5, alpha=0.35)
    for side in ("top", "right"):
        axis.spines[side].set_visible(False)


def label_steps(axis: Axis) -> None:
    """Numbers at 1, 2 and 5, or closer, where powers of ten alone would leave a logarithmic axis nearly bare."""
    from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, StrMethodFormatter

    low, high = sorted(axis.get_view_interval())
    axis.set_minor_formatter(NullFormatter())
    if low > 0.0 and high < 200.0 * low:
        axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)) if high > 8.0 * low else MaxNLocator(4))
        axis.set_major_formatter(StrMethodFormatter("{x:g}"))
