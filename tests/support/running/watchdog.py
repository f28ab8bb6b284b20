"""A test that hangs shows the stack of every thread, and ends the process that runs it, so that the others are still reported."""

from __future__ import annotations

import faulthandler
import math
import os
import sys
import time
from typing import Any

import pytest

LIMIT = 300.0  # seconds that every test has


class Watchdog:
    """One timer for the tests of `spare` seconds: a test ends the process where it takes longer than `limit` to `limit + spare`.

    It does what pytest's `faulthandler_timeout` does. That starts a thread before each test and waits for its end after it; where all
    processors are busy, the wait for one that lets it end took longer than most of the tests themselves.
    """

    def __init__(self, limit: float = LIMIT, spare: float = 60.0) -> None:
        self.limit, self.spare, self.started = limit, spare, -math.inf
        try:
            number = sys.stderr.fileno()
        except (AttributeError, ValueError, OSError):  # a worker's standard error is no file
            number = 2
        self.file = os.dup(number)  # tests have theirs captured

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item: Any, nextitem: Any) -> None:  # called where tests run, not where workers are counted
        now = time.monotonic()
        if now - self.started > self.spare:
            faulthandler.dump_traceback_later(self.limit + self.spare, exit=True, file=self.file)
            self.started = now

    def pytest_exception_interact(self, node: Any, call: Any, report: Any) -> None:
        self.started = -math.inf  # pytest stops the timer at a failure: the next test starts it again

    def pytest_enter_pdb(self, config: Any, pdb: Any) -> None:
        self.started = -math.inf

    def pytest_unconfigure(self, config: Any) -> None:
        faulthandler.cancel_dump_traceback_later()
        os.close(self.file)
