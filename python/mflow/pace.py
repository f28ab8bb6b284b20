"""Long compiled loops in pieces, so that Ctrl-C is answered between them."""

from __future__ import annotations

import time
from collections.abc import Iterator

__all__ = ["pieces"]

SECONDS = 0.02  # a piece should take about this long
FIRST = 64  # steps of a short state to try before the clock has said how long one takes


def pieces(total: int, n: int) -> Iterator[tuple[int, bool]]:
    """(count, whether it is the last) of pieces that make ``total`` steps of a state of n numbers; results do not depend on the cut."""
    size = max(1, min(FIRST, 200_000 // (n + 1)))
    done = 0
    while done < total:
        count = min(size, total - done)
        began = time.perf_counter()
        yield count, done + count == total
        took = time.perf_counter() - began
        done += count
        size = max(1, min(4 * size, int(count * SECONDS / max(took, 1e-9))))
