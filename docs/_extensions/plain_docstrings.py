"""Docstrings are written to be read in a terminal: |x| is an absolute value there, and *shape an unpacked tuple. Here they stay so."""

from __future__ import annotations

import re
from typing import Any

from sphinx.application import Sphinx

LITERAL = re.compile(r"(``.*?``|`[^`]*`)")
FIELD = re.compile(r"^[a-z]\w*(, \w+)* : ")
NEXT = re.compile(r"(?<=[.;:]) (?=[a-z]\w*(?:, \w+)* : )")
INITIAL = re.compile(r"^(\s*[A-Z])(?=\. )")  # "D. Knoll" at the head of a line is an author, and no entry of a list
NAME = re.compile(r"^\*{1,2}\w+$")  # the head of a parameter, which numpydoc escapes itself


def plain(line: str) -> str:
    """The line with the signs of reStructuredText's emphasis and substitutions escaped, outside of literals."""
    if line.lstrip().startswith((">>>", "...")) or NAME.match(line):
        return line
    parts = LITERAL.split(INITIAL.sub(r"\1\\", line))
    parts[::2] = [re.sub(r"(?<!\\)[|*]", r"\\\g<0>", part) for part in parts[::2]]
    return "".join(parts)


def fields_as_lines(lines: list[str]) -> list[str]:
    """The fields of a result, "name, name : what it is. name : ...", each as a line of its own; up to the sections."""
    out, inside = [], False
    for place, line in enumerate(lines):
        if line.startswith("---"):
            return [*out[:-1], *lines[place - 1 :]]
        inside = bool(line.strip()) and (inside or FIELD.match(line) is not None)
        parts = NEXT.split(line.strip()) if inside else [line]
        out += [f"{'|' if FIELD.match(part) else ' '} {part}" if inside else part for part in parts]
    return out


def process(app: Sphinx, kind: str, name: str, item: Any, options: Any, lines: list[str]) -> None:
    """Escape, in place; and keep the lines of fields that stand before the sections."""
    lines[:] = [plain(line) for line in lines]
    if kind == "class":
        lines[:] = fields_as_lines(lines)


def setup(app: Sphinx) -> dict[str, Any]:
    """Run before numpydoc, whose own handler has the default priority."""
    app.connect("autodoc-process-docstring", process, priority=100)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
