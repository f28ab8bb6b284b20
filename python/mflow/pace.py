"""Long compiled loops in pieces, so that Ctrl-C is answered between them."""

from __future__ import annotations

import time
from collections.abc import Iterator

__all__ = ["pieces"]

SECONDS = 0.02  # a piece should take about this long


def pieces(total: int) -> Iterator[tuple[int, bool]]:
    """(count, whether it is the last) of pieces that make ``total`` steps; results do not depend on the cut."""
    size, done = 1, 0
    while done < total:
        count = min(size, total - done)
        began = time.perf_counter()
        yield count, done + count == total
        took = time.perf_counter() - began
        done += count
        size = max(1, min(4 * size, int(count * SECONDS / max(took, 1e-9))))
