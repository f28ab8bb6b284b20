"""Equal steps: how many of them there are."""

from __future__ import annotations

import math

__all__ = ["ROUNDING", "count_steps"]

ROUNDING = 1e-12  # a remainder this small against the whole span is no step of its own


def count_steps(t0: float, t1: float, step: float) -> int:
    """Equal steps from t0 to t1, the last of which may be shorter."""
    if t1 == t0:
        return 0
    return max(1, math.ceil((t1 - t0) / step * (1.0 - ROUNDING))) if math.isfinite(step) else 1
