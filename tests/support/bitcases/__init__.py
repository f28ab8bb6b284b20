"""Every method and driver on fixed inputs: what `tools/bits.py` runs and `bits.json` records."""

from __future__ import annotations

from collections.abc import Iterator

from . import analysis, costs, dynamics, fits, integrate, optimize, outside, training
from .record import Case, Outcome, outcome

__all__ = ["Case", "Outcome", "cases", "outcome"]


def cases() -> Iterator[Case]:
    """All cases."""
    for module in (integrate, optimize, dynamics, training, costs, fits, analysis, outside):
        yield from module.cases()
