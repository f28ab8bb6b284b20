"""The threads of a batch: an error ends it when all that were begun have ended."""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any

import pytest

from mflow.base.progress import Progress
from mflow.integrate import ensemble


class Work:
    """Goes on until it is stopped and waited for; what each thread does last is seen in `ended`."""

    def __init__(self, fails: bool = False) -> None:
        self.stopped, self.waited, self.fails = threading.Event(), threading.Event(), fails
        self.begun = self.ended = 0
        self.lock = threading.Lock()

    def __call__(self) -> None:
        with self.lock:
            self.begun += 1
            first = self.begun == 1
        if self.fails and first:
            raise ArithmeticError("the first")
        assert self.stopped.wait(30.0)
        assert self.waited.wait(30.0)
        with self.lock:
            self.ended += 1


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Calls `on_threads`. interrupts : Ctrl-C comes when a thread that has ended was heard of, and nothing is done about it yet."""

    def call(work: Work, count: int, interrupts: bool = False) -> None:
        class Queue:
            def __init__(self) -> None:
                self.queue: SimpleQueue[Any] = SimpleQueue()
                self.put = self.queue.put

            def get(self, timeout: float = 30.0) -> Any:
                if work.stopped.is_set():
                    work.waited.set()
                found = self.queue.get(timeout=timeout)  # a wait for one that never comes fails here
                if interrupts and not work.stopped.is_set():
                    raise KeyboardInterrupt
                return found

        monkeypatch.setattr(ensemble, "SimpleQueue", Queue)
        with Progress(0.0, 1.0, "test") as bar:
            ensemble.on_threads(work, work.stopped.set, lambda: 0, count, bar)

    return call


def test_an_error_stops_the_others_and_waits_for_them(run: Callable[..., None]) -> None:
    work = Work(fails=True)
    with pytest.raises(ArithmeticError, match="the first"):
        run(work, 3)
    assert work.ended == 2


def test_an_interrupt_while_the_end_of_a_thread_is_heard_of(run: Callable[..., None]) -> None:
    """That thread was waited for once more, without end."""
    work = Work(fails=True)
    with pytest.raises(KeyboardInterrupt):
        run(work, 3, interrupts=True)
    assert work.ended == 2


def test_a_thread_that_cannot_begin(run: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that have begun are stopped and waited for, and nobody waits for the one that has not."""
    begin, begun = ensemble.start_new_thread, []

    def start(function: Callable[..., Any], arguments: tuple[Any, ...]) -> int:
        if len(begun) == 2:
            raise RuntimeError("can't start new thread")
        begun.append(function)
        return begin(function, arguments)

    monkeypatch.setattr(ensemble, "start_new_thread", start)
    work = Work()
    with pytest.raises(RuntimeError, match="can't start"):
        run(work, 3)
    assert work.ended == 2
