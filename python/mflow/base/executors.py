"""Work in pieces on any `concurrent.futures.Executor`: threads, processes, Dask's, joblib's, MPI's. A lost piece loses nothing else."""

from __future__ import annotations

import contextlib
import io
import pickle
import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent import futures
from concurrent.futures import ThreadPoolExecutor  # with this module: a fork never meets a thread that is importing it
from dataclasses import dataclass
from typing import Any, TypeVar

from mflow.base.checks import shown
from mflow.base.progress import Progress
from mflow.base.threads import processors

__all__ = ["Lost", "as_they_end", "call_off", "check_executor", "check_pickles", "in_pieces", "portable"]

PIECES = 4  # for each worker: a slow piece must not keep the others waiting
POLL = 0.05  # seconds between looks at the pieces: a signal that the system gives to another thread does not wake this one

Answer = TypeVar("Answer")
Raised = TypeVar("Raised", bound=BaseException)


@dataclass(frozen=True)
class Lost:
    """In place of the results of a piece that the executor lost, with its worker for instance: what it said."""

    error: Exception

    @property
    def message(self) -> str:
        """In words."""
        return f"the executor lost it: {type(self.error).__name__}: {self.error}"


@dataclass(frozen=True)
class _Raised:
    """What the work of a piece raised, to be raised where the pieces come together."""

    error: Exception


def check_executor(executor: Any) -> None:
    """An object with submit, or None. Raises TypeError, which names the argument."""
    if isinstance(executor, type):
        raise TypeError(f"executor: expected a concurrent.futures.Executor, got the class {executor.__name__}; write {executor.__name__}()")
    if executor is not None and not callable(getattr(executor, "submit", None)):
        raise TypeError(f"executor: expected a concurrent.futures.Executor (an object with submit), got {shown(executor)}")


def in_pieces(
    executor: futures.Executor, work: Callable[[Any], Answer], task: Callable[[slice], Any], count: int, bar: Progress, multiple: int = 1
) -> Iterator[tuple[slice, Answer | Lost]]:
    """Parts of `count` entries with the answers of ``work(task(part))``, each when it is there.

    Parameters
    ----------
    work : callable
        Runs on a worker, so it must be importable there. What it raises is raised here.
    task : callable
        What `work` is given for a slice of the entries; it is pickled where workers are processes.
    bar : Progress
        Counts the entries that are done.
    multiple : int
        The length of pieces is a multiple of it.

    Yields
    ------
    part : slice
    answer : Any or `Lost`

    Raises
    ------
    TypeError
        The work cannot be sent to another process. Pieces that wait are called off, as where anything else is raised.
    """
    workers = getattr(executor, "_max_workers", None) or getattr(executor, "num_workers", None) or processors()
    size = -(-max(1, -(-count // (PIECES * int(workers)))) // multiple) * multiple
    foreign = not isinstance(executor, ThreadPoolExecutor)
    waiting: dict[futures.Future[Answer | _Raised], slice] = {}
    done = 0
    try:
        for first in range(0, count, size):
            part = slice(first, min(first + size, count))
            piece = task(part)
            check_pickles(executor, (work, piece))
            try:
                waiting[executor.submit(_guarded, work, piece, foreign)] = part
            except futures.BrokenExecutor as error:
                done += part.stop - part.start
                bar.update(float(done))
                yield part, Lost(error)
        for future in as_they_end(waiting):
            part = waiting[future]
            answer = _answer(future)
            if isinstance(answer, _Raised):
                raise answer.error
            done += part.stop - part.start
            bar.update(float(done))
            yield part, answer
    finally:
        call_off(executor, waiting)


def call_off(executor: futures.Executor, waiting: Iterable[futures.Future[Any]]) -> None:
    """Cancels what has not begun.

    A process pool takes a cancelled piece off its list when it next has work to hand out, and where it is told to shut down before that,
    it waits for ever (Python 3.11 to 3.13 at least): so it is handed something.
    """
    cancelled = [future for future in waiting if future.cancel()]
    if cancelled and isinstance(executor, futures.ProcessPoolExecutor):
        with contextlib.suppress(RuntimeError):  # it is broken, or shut down already
            executor.submit(_nothing)


def _nothing() -> None:
    """On a worker."""


def check_pickles(executor: futures.Executor, sent: Any) -> None:
    """Raises TypeError for what a pool of processes cannot be sent, before it is submitted; the pickler is the pool's own.

    The thread of a pool that finds this out by itself may wait for ever with the one that shuts the pool down (Python 3.11 to 3.13 at
    least). Arrays are not copied for this look.
    """
    process = sys.modules.get("concurrent.futures.process")  # imported where there is such a pool
    if process is not None and isinstance(executor, process.ProcessPoolExecutor):
        from multiprocessing.reduction import ForkingPickler  # as the pool has

        try:
            ForkingPickler(io.BytesIO(), 5, True, lambda buffer: None).dump(sent)
        except Exception as error:
            raise _not_sent(error) from error


def _not_sent(error: Exception) -> TypeError:
    return TypeError(
        f"executor: fun, events, jac, args or another argument cannot be sent to another process ({error}); functions must be "
        "defined at the top level of a module that the workers can import"
    )


def as_they_end(waiting: Iterable[futures.Future[Answer]]) -> Iterator[futures.Future[Answer]]:
    """Each future when it is done."""
    left = set(waiting)
    while left:
        ended, left = futures.wait(left, timeout=POLL, return_when=futures.FIRST_COMPLETED)
        yield from ended


def portable(error: Raised) -> Raised | RuntimeError:
    """The exception, or one that says the same where it does not pickle."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error


def _guarded(work: Callable[[Any], Answer], task: Any, foreign: bool) -> Answer | _Raised:
    """On a worker."""
    try:
        return work(task)
    except Exception as error:
        return _Raised(portable(error) if foreign else error)


def _answer(future: futures.Future[Answer | _Raised]) -> Answer | _Raised | Lost:
    """Of a piece that ended; the work's own errors come as an answer, so what is raised here is the executor's."""
    try:
        return future.result()
    except Exception as error:
        if isinstance(error, (pickle.PicklingError, AttributeError, TypeError)) and "pickle" in str(error).lower():
            raise _not_sent(error) from error
        return Lost(error)
