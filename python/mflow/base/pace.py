"""Long compiled loops in pieces, so that Ctrl-C is answered between them."""

from __future__ import annotations

import time
from collections.abc import Iterator

__all__ = ["Pace", "pieces"]

SECONDS = 0.02  # a piece should take about this long


class Pace:
    """How many steps the next piece should have, from how long the last one took. Results do not depend on the cut."""

    def __init__(self) -> None:
        self.size = self.count = 1
        self.began = 0.0

    def take(self, limit: int) -> int:
        """The steps of the next piece, at most ``limit``; its clock starts."""
        self.count = min(self.size, limit)
        self.began = time.perf_counter()
        return self.count

    def done(self) -> None:
        """The piece is over."""
        seconds = time.perf_counter() - self.began
        self.size = max(1, min(4 * max(self.size, 1), int(self.count * SECONDS / max(seconds, 1e-9))))


def pieces(total: int) -> Iterator[tuple[int, bool]]:
    """(count, whether it is the last) of pieces that make ``total`` steps."""
    pace, done = Pace(), 0
    while done < total:
        count = pace.take(total - done)
        yield count, done + count == total
        pace.done()
        done += count
