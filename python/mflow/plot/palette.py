"""Colours, dashes and markers of all pictures.

Curves differ in colour (Okabe and Ito's palette, safe for the colour-blind), line
style and marker, so they can be told apart in grey too.
"""

from __future__ import annotations

from typing import Any

__all__ = [
    "COLOURS",
    "DASHES",
    "HATCHES",
    "MARKERS",
    "SHADE",
    "STROKES",
    "faint_hatches",
    "shade",
    "stroke",
    "style",
]

# M. Okabe and K. Ito, Color Universal Design (2008), without yellow, which is too pale for a line on white.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#000000", "#E69F00", "#56B4E9")
DASHES: tuple[Any, ...] = ("-", (0, (5, 1.5)), (0, (1.2, 1.2)), (0, (6, 1.5, 1.2, 1.5)))
MARKERS = ("o", "s", "^", "D", "v", "P", "<", "*", ">", "h", "p")
STROKES: tuple[Any, ...] = (*DASHES, (0, (9, 2)), (0, (3, 1.2, 1, 1.2, 1, 1.2)))  # for curves without markers
HATCHES = ("", "//", "..", "\\\\", "xx", "--", "oo")
SHADE = "#a8a8a8"  # what lies behind: fields, contours, guides


def style(index: int) -> dict[str, Any]:
    """Colours, dashes and markers run with different periods, so that no two of 300 curves look alike."""
    return {
        "color": COLOURS[index % len(COLOURS)],
        "linestyle": DASHES[index // len(COLOURS) % len(DASHES)],
        "marker": MARKERS[index % len(MARKERS)],
    }


def stroke(index: int) -> dict[str, Any]:
    """The look of a curve without markers: here neighbours differ in their dashes too."""
    return {"color": COLOURS[index % len(COLOURS)], "linestyle": STROKES[index % len(STROKES)]}


def shade(index: int) -> tuple[float, float, float]:
    """The pale colour of an area: neighbours differ in lightness too."""
    colour = COLOURS[index % len(COLOURS)]
    white = (0.84, 0.56, 0.70)[index % 3]
    red, green, blue = (white + (1.0 - white) * int(colour[i : i + 2], 16) / 255.0 for i in (1, 3, 5))
    return red, green, blue


def faint_hatches(filled: Any) -> None:
    """Hatches of a `contourf` in a pale tone, so that what is drawn over them can be read."""
    areas = [filled] if hasattr(filled, "set_edgecolor") else filled.collections  # matplotlib before 3.8 has one for each level
    for area in areas:
        area.set(edgecolor="#00000040", linewidth=0.0)
