"""Docstrings are written to be read in a terminal: |x| is an absolute value there, and *shape an unpacked tuple. Here they stay so."""

from __future__ import annotations

import re
from typing import Any

from sphinx.application import Sphinx

LITERAL = re.compile(r"(``.*?``|`[^`]*`)")
NAME = re.compile(r"^\*{1,2}\w+$")  # the head of a parameter, which numpydoc escapes itself


def plain(line: str) -> str:
    """The line with the signs of reStructuredText's emphasis and substitutions escaped, outside of literals."""
    if line.lstrip().startswith((">>>", "...")) or NAME.match(line):
        return line
    parts = LITERAL.split(line)
    parts[::2] = [re.sub(r"(?<!\\)[|*]", r"\\\g<0>", part) for part in parts[::2]]
    return "".join(parts)


def process(app: Sphinx, kind: str, name: str, item: Any, options: Any, lines: list[str]) -> None:
    """Escape, in place; blocks after a line that ends with "::" are code and stay."""
    lines[:] = [plain(line) for line in lines]


def setup(app: Sphinx) -> dict[str, Any]:
    """Run before numpydoc, whose own handler has the default priority."""
    app.connect("autodoc-process-docstring", process, priority=100)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
