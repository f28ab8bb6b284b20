"""Equal steps: how many of them there are."""

from __future__ import annotations

import math

__all__ = ["ROUNDING", "count_steps"]

ROUNDING_OF_TIMES = 4.5e-16  # of both times: what the core takes for the end of a grid
ROUNDING = 1e-12  # a remainder this small against the whole span is no step of its own


def count_steps(t0: float, t1: float, step: float) -> int:
    """Equal steps from t0 to t1, the last of which may be shorter."""
    if t1 == t0:
        return 0
    if not math.isfinite(step):
        return 1
    lost = ROUNDING_OF_TIMES * (abs(t0) + abs(t1)) / abs(step)  # far from 0: no step is as short as rounding of t, where the core lands
    return max(1, math.ceil((t1 - t0) / step * (1.0 - ROUNDING) - min(lost, 0.5)))
