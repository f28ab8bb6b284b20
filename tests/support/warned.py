"""What a call warns of."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any


def told(call: Callable[[], Any]) -> tuple[Any, list[str]]:
    """What it returns, and the words of its warnings."""
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        result = call()
    return result, [str(one.message) for one in seen]
