"""Names of the cases of a parametrized test: the same in every process, and in words where pytest would count (`change17`).

pytest-xdist runs a test by its name, so all workers must find the same names. A name with an address in it, as in
`<function f at 0x7f...>`, differs from process to process.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable
from typing import Any

import numpy as np

ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")
LONGEST = 60  # characters; cases whose names are cut to the same text get numbers from pytest


def case_name(value: Any) -> str | None:
    """The name of a value of `pytest.mark.parametrize`, or None where pytest's own name says it, or nothing better is known."""
    if value is None or isinstance(value, (str, bytes, int, float, complex, type)):
        return None
    text = _text(value)
    return text if len(text) <= LONGEST else text[: LONGEST - 3] + "..."


def addresses(names: Iterable[str]) -> list[str]:
    """Those of the names that hold an address."""
    return [name for name in names if ADDRESS.search(name)]


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return ",".join(f"{_text(key)}={_text(entry)}" for key, entry in value.items()) or "nothing"
    if isinstance(value, (list, tuple)) and not hasattr(value, "_fields"):
        return "[" + ",".join(map(_text, value)) + "]"
    if isinstance(value, (set, frozenset)):
        return "{" + ",".join(sorted(map(_text, value))) + "}"
    if isinstance(value, np.ndarray):
        return f"array{list(value.shape)}" if value.size > 4 else _text(value.tolist())
    if isinstance(value, str):
        return value
    if isinstance(value, functools.partial):
        return f"{_text(value.func)}({_text({**dict(enumerate(value.args)), **value.keywords})})"
    name = getattr(value, "__name__", None) or getattr(value, "name", None)
    if isinstance(name, str):
        return name.strip("<>")
    text = ADDRESS.sub("", repr(value))
    return type(value).__name__ if text.startswith("<") else text
