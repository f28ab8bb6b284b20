"""The threads of a batch: an error ends it when all that were begun have ended."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from mflow.base.progress import Progress
from mflow.integrate import ensemble


class Work:
    """Goes on until it is stopped; what each thread does last is seen in `ended`."""

    def __init__(self, fails: bool = False) -> None:
        self.stopped, self.fails = threading.Event(), fails
        self.begun = self.ended = 0
        self.lock = threading.Lock()

    def __call__(self) -> None:
        with self.lock:
            self.begun += 1
            first = self.begun == 1
        if self.fails and first:
            raise ArithmeticError("the first")
        assert self.stopped.wait(30.0)
        time.sleep(0.05)
        with self.lock:
            self.ended += 1


def run(work: Work, count: int) -> None:
    with Progress(0.0, 1.0, "test") as bar:
        ensemble.on_threads(work, work.stopped.set, lambda: 0, count, bar)


def test_an_error_stops_the_others_and_waits_for_them() -> None:
    work = Work(fails=True)
    with pytest.raises(ArithmeticError, match="the first"):
        run(work, 3)
    assert work.ended == 2


def test_a_thread_that_cannot_begin(monkeypatch: pytest.MonkeyPatch) -> None:
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
