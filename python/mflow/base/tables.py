"""Tables in plain text."""

from __future__ import annotations

__all__ = ["columns"]


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
