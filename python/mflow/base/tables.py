"""Tables and reports in plain text and as HTML for notebooks, and tables as pandas' frames."""

from __future__ import annotations

import html
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mflow.base.extras import need

__all__ = ["Readable", "Table", "fields", "frame", "from_frame", "short", "shortened"]

FEW = 20  # numbers of an array, and entries of a list, that are printed whole
INSIDE = 6  # numbers of an array in a list or dict, and entries of a dict, that are printed whole
MOST = 24  # rows of a table that is printed whole


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


@dataclass(frozen=True)
class Table:
    """A table of words: ``str`` of it is plain text, the first column to the left and the others to the right; `html` is for a notebook.

    Examples
    --------
    >>> from mflow.base.tables import Table
    >>> print(Table(["dt", "order"], [["0.1", "2.00"]]))
    dt   order
    0.1   2.00
    """

    heads: list[str]
    rows: list[list[str]]

    def __str__(self) -> str:
        lines = [self.heads, *self.rows]
        widths = [max(len(line[k]) for line in lines) for k in range(len(self.heads))]
        return "\n".join(
            "  ".join(text.ljust(w) if k == 0 else text.rjust(w) for k, (text, w) in enumerate(zip(line, widths, strict=True))).rstrip()
            for line in lines
        )

    def html(self) -> str:
        """The table for a notebook."""
        lines = [("th", self.heads), *(("td", row) for row in self.rows)]
        rows = ("".join(_cell(tag, k, text) for k, text in enumerate(row)) for tag, row in lines)
        return "<table>" + "".join(f"<tr>{row}</tr>" for row in rows) + "</table>"


def _cell(tag: str, place: int, text: str) -> str:
    return f'<{tag} style="text-align: {"right" if place else "left"}">{html.escape(text)}</{tag}>'


def shortened(rows: list[list[str]]) -> list[list[str]]:
    """The rows of a table, of a long one the first and last ten around a row of dots.

    Examples
    --------
    >>> from mflow.base.tables import shortened
    >>> len(shortened([["1"]] * 24)), len(shortened([["1"]] * 1000))
    (24, 21)
    """
    return rows if len(rows) <= MOST else [*rows[:10], ["..."] * len(rows[0]), *rows[-10:]]


class Readable:
    """What reads as lines of text and tables: ``str`` of it in plain text, and in a notebook as HTML.

    Classes say their `_parts`, or have a `text`.
    """

    text: str

    if not TYPE_CHECKING:  # a type checker finds what is not there

        def __getattr__(self, name: str) -> Any:
            entries = getattr(super(), "__getattr__", None)
            if entries is not None:  # of a result, which is a dict too
                return entries(name)
            from mflow.base.foreign import no_field

            raise no_field(type(self).__name__, self, name)

    def _parts(self) -> list[str | Table]:
        return [self.text]

    def __str__(self) -> str:
        return "\n".join(map(str, self._parts()))

    def table(self) -> str:
        """``str()`` of it."""
        return str(self)

    def _repr_html_(self) -> str:
        """For notebooks: paragraphs, between empty lines, and tables."""
        out, lines = [], list[str]()
        for part in [*self._parts(), ""]:
            if lines and (part == "" or isinstance(part, Table)):
                out.append("<p>" + "<br>".join(lines) + "</p>")
                lines = []
            if isinstance(part, Table):
                out.append(part.html())
            elif part:
                lines += [html.escape(line) for line in part.split("\n")]
        return "<div>" + "".join(out) + "</div>"


def fields(name: str, entries: Mapping[str, Any]) -> str:
    """The entries of a result as a table in HTML, under its name and how it ended."""
    rows = []
    for key, value in entries.items():
        kind = f"{value.dtype} {value.shape}" if isinstance(value, np.ndarray) else ""
        cell = f'<pre style="margin: 0">{html.escape(short(value))}</pre>'
        rows.append(f'<tr>{_cell("th", 0, key)}<td style="text-align: left">{cell}</td><td>{kind}</td></tr>')
    reason = entries.get("reason")
    title = f"{name}: {reason.replace('_', ' ')}" if isinstance(reason, str) and reason else name
    return f'<table><caption style="text-align: left">{html.escape(title)}</caption>' + "".join(rows) + "</table>"


def short(value: Any) -> str:
    """Text of an entry; of a long array, list or dict, such as the reasons and messages of a batch, the first and last entries.

    Of long arrays in a list or a dict, as a network's parameters are, the type and the shape.

    Examples
    --------
    >>> import numpy as np
    >>> from mflow.base.tables import short
    >>> short({"W": np.ones((40, 3)), "b": np.zeros(3)})
    "{'W': float64 (40, 3), 'b': array([0., 0., 0.])}"
    """
    if isinstance(value, np.ndarray):
        return np.array2string(value, threshold=FEW, edgeitems=3)
    if type(value) in (list, tuple):
        entries = _ends([*map(_inside, value)], FEW)
        return f"[{', '.join(entries)}]" if type(value) is list else f"({', '.join(entries)}{',' * (len(entries) == 1)})"
    if type(value) is dict:
        return f"{{{', '.join(_ends([f'{key!r}: {_inside(entry)}' for key, entry in value.items()], INSIDE))}}}"
    return str(value)


def _ends(entries: list[str], most: int) -> list[str]:
    return entries if len(entries) <= most else [*entries[:3], "...", *entries[-3:]]


def _inside(value: Any) -> str:
    """An entry of a list or a dict."""
    if isinstance(value, np.ndarray):
        return f"{value.dtype} {value.shape}" if value.size > INSIDE else repr(value)
    return short(value) if type(value) in (list, tuple, dict) else repr(value)
