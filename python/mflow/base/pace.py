"""Long compiled loops in pieces, so that Ctrl-C is answered between them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from mflow.base.checks import MOST_WHOLE

__all__ = ["MANY", "Pace", "by_rows", "interruptible", "joined", "pieces", "unknown"]

MANY = MOST_WHOLE  # no limit on a number of steps
SECONDS = 0.02  # a piece should take about this long
LONG_WORK = 2e7  # multiplications that one call may make before it is waited for
LOOK = 0.02  # seconds from one look at signals to the next while it is waited for
PIECE_BYTES = 1 << 23
FIRST_ROWS = 1000  # of a piece whose speed is not known yet


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


def interruptible(work: float, fun: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """The result of one call of a compiled routine that releases the GIL, such as LAPACK's, and answers Ctrl-C on the way.

    A call of more than `LONG_WORK` multiplications runs in a thread of its own, where the main thread waits for it and for signals. After
    an interrupt the routine ends by itself, and nobody looks at its result. A routine that keeps the GIL, such as SciPy's SuperLU, gains
    nothing: Ctrl-C waits for its end.

    work : float
        About how many multiplications the call makes.

    Examples
    --------
    >>> import numpy as np
    >>> from mflow.base.pace import interruptible
    >>> float(interruptible(1e9, np.linalg.norm, np.ones(4)))
    2.0
    """
    if work < LONG_WORK or threading.current_thread() is not threading.main_thread():
        return fun(*args, **kwargs)
    done, state = threading.Event(), np.geterr()
    results: list[Any] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            with np.errstate(**state):
                results.append(fun(*args, **kwargs))
        except BaseException as error:
            errors.append(error)
        finally:
            done.set()

    threading.Thread(target=run, daemon=True, name=f"mflow {getattr(fun, '__name__', 'call')}").start()
    while not done.wait(LOOK):  # a signal that another thread was given does not end the wait
        pass
    if errors:
        raise errors[0]
    return results[0]


def by_rows(fun: Callable[..., Any], *arrays: Any) -> Any:
    """fun of arrays with one number of rows each, which it treats row by row: in pieces, between which signals are looked at.

    Examples
    --------
    >>> import numpy as np
    >>> from mflow.base.pace import by_rows
    >>> by_rows(np.linalg.det, np.ones((2, 1, 1))).tolist()
    [1.0, 1.0]
    """
    total, first, out = len(arrays[0]), 0, None
    if total <= FIRST_ROWS:
        return fun(*arrays)
    pace = Pace()
    pace.size = FIRST_ROWS
    while first < total:
        last = first + pace.take(total - first)
        part = fun(*(a[first:last] for a in arrays))
        if out is None:
            out = np.empty((total, *part.shape[1:]), dtype=part.dtype)
        out[first:last] = part
        pace.done()
        first = last
    return out


def joined(parts: list[Any]) -> Any:
    """Arrays one below another, copied in pieces between which signals are looked at. A single one is returned itself."""
    if len(parts) == 1:
        return parts[0]
    out = np.empty((sum(map(len, parts)), *parts[0].shape[1:]), dtype=parts[0].dtype)
    at = 0
    for part in parts:
        rows = max(1, PIECE_BYTES // max(1, part[:1].nbytes))
        for first in range(0, len(part), rows):
            piece = part[first : first + rows]
            out[at : at + len(piece)] = piece
            at += len(piece)
    return out


def unknown(rows: int, columns: int) -> Any:
    """An array of NaN, written in pieces between which signals are looked at.

    Examples
    --------
    >>> from mflow.base.pace import unknown
    >>> unknown(1, 2).tolist()
    [[nan, nan]]
    """
    out = np.empty((rows, columns))
    step = max(1, PIECE_BYTES // max(1, 8 * columns))
    for first in range(0, rows, step):
        out[first : first + step] = np.nan
    return out
