"""How many threads a step on long vectors is shared out to (`mflow_core.pool`)."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from mflow_core import pool

from mflow.base.checks import check_whole
from mflow.base.telling import knows_other_words

__all__ = ["MOST", "processors", "shared_among", "threads"]


MOST = 64  # also where there are no POSIX threads, and the core uses one


@knows_other_words
class threads:
    """Share out steps on long vectors, and sums over many rows of data, to so many threads, within a ``with`` block.

    What is shared out: the updates of optimizers, and steps of `solve_ivp` with ``elementwise=True``, from some 50 000 numbers on; values,
    gradients and Hessian products of compiled regressions (`mflow.objectives`), from 131 072 numbers of data and 512 rows on, never over
    sparse rows. Bits do not depend on the number of threads. The setting
    belongs to the thread that makes it; the default is 1, or the environment variable MFLOW_THREADS.

    Parameters
    ----------
    number : int
        At least 1, at most 64. Where there are no POSIX threads one is used.

    Raises
    ------
    TypeError, ValueError
        It is no such number.

    See Also
    --------
    mflow.solve_ivp_batch, mflow.minimize_batch

    Examples
    --------
    >>> import numpy as np, mflow
    >>> c = np.ones(100_000)
    >>> opt = mflow.optim.Adam(c)
    >>> with mflow.threads(2):
    ...     opt.step(c.copy())
    """

    def __init__(self, number: int) -> None:
        self.number = check_whole(number, "number", 1, MOST)
        self._before: list[int] = []

    def __enter__(self) -> threads:
        self._before.append(pool.set_threads(self.number))
        return self

    def __exit__(self, *_: Any) -> None:
        pool.set_threads(self._before.pop())


def processors() -> int:
    """How many processors this process may use: those that a queue or a container has bound it to, where the system tells, else all.

    Examples
    --------
    >>> from mflow.base.threads import processors
    >>> processors() >= 1
    True
    """
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


_AS_IT_IS = nullcontext()


def shared_among(number: int | None) -> AbstractContextManager[Any]:
    """`threads`, for the argument of a driver; None: as the thread has it."""
    return _AS_IT_IS if number is None else threads(check_whole(number, "threads", 1, MOST))
