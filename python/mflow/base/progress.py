"""Reports of a run in progress: the callback after each step, and the progress bar."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from mflow.base.checks import Array

__all__ = ["REFRESH", "Progress", "Watcher", "ask", "asks_to_stop", "reason_of", "says_stop"]

REFRESH = 0.1  # seconds between two lines of the plain progress printer
CALLS = {  # the core's calls of what is no right-hand side, as tracebacks name them: reason of a run that they end, and words
    "mflow_core.events.events.evaluate_python": ("event_failed", "an event raised "),
    "mflow_core.events.actions.act": ("event_failed", "the action of an event raised "),
}


def says_stop(answer: Any) -> bool:
    """Whether the answer of a minimiser's callback means stop: True does, Python's or NumPy's; other objects go on.

    Examples
    --------
    >>> import numpy as np
    >>> from mflow.base.progress import says_stop
    >>> says_stop(np.float64(1.0) > 0.5), says_stop(None), says_stop(1.0)
    (True, False, False)
    """
    return isinstance(answer, (bool, np.bool_)) and bool(answer)


def ask(name: str, function: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
    """Call a function that a driver asks between steps, such as a callback: `reason_of` tells by `name` what was raised in it."""
    return function(*arguments, **named)


def reason_of(error: BaseException) -> tuple[str, str]:
    """(reason, words that name the function) of a run that an exception ended: "interrupted"; "callback_failed" where it was raised in a
    function that `ask` had called; "event_failed" in an event or its action; else "rhs_failed"."""
    if isinstance(error, KeyboardInterrupt):
        return "interrupted", ""
    trace = error.__traceback__
    while trace is not None:
        code = trace.tb_frame.f_code
        if code.co_name in CALLS:
            return CALLS[code.co_name]
        if code is ask.__code__ and trace.tb_next is not None:
            return "callback_failed", f"in {trace.tb_frame.f_locals['name']}, "
        trace = trace.tb_next
    return "rhs_failed", ""


def asks_to_stop(callback: Callable[..., Any], *arguments: Any, name: str = "callback") -> bool:
    """Call a driver's callback; whether it asks to stop: it returns True or raises StopIteration. None and False go on. name: the argument.

    Raises TypeError where it returns anything else, so that a state returned by mistake does not end a run.
    """
    return bool(ask(f"the {name}", _answer, name, callback, *arguments))


def _answer(name: str, callback: Callable[..., Any], *arguments: Any) -> bool:
    try:
        answer = callback(*arguments)
    except StopIteration:
        return True
    if answer is None or isinstance(answer, bool | np.bool_):
        return bool(answer)
    raise TypeError(f"{name}: expected it to return True (stop) or None (go on), got {type(answer).__name__}")


class Watcher:
    """The user's ``callback(t, y)`` after each accepted step; ``watcher(t, y)`` returns whether to stop. In second order: (t, x, v).

    The user gets y as a read-only view of the array that is passed in. That must be a copy of the state, which the user may keep. The
    callback returns True to stop, None or False to go on; raising StopIteration stops as well. Anything else is a TypeError, so that a
    state returned by mistake does not end a run.
    """

    def __init__(self, callback: Callable[..., Any]) -> None:
        if not callable(callback):
            raise TypeError(f"callback: expected a function callback(t, y), got {type(callback).__name__}")
        self.callback = callback

    def __call__(self, t: float, *states: Array) -> bool:
        """Whether the user wants to stop at (t, y)."""
        views = [y.view() for y in states]
        for view in views:
            view.flags.writeable = False
        return asks_to_stop(self.callback, t, *views)


class Progress:
    """How far a run has got from t0 to t1, on stderr: by tqdm where that is installed, else in a line of plain text.

    `update` may be called at any rate; the line is written at most ten times a second. ``note(t)`` is the text
    beside the bar; with ``shown=False`` nothing is written. Use it as a context manager, or `close` it.
    """

    def __init__(
        self, t0: float, t1: float, label: str = "solve_ivp", *, note: Callable[[float], str] | None = None, plain: bool = False,
        shown: bool = True,
    ) -> None:  # fmt: skip
        self.t0, self.t1, self.label = t0, t1, label
        self.note = note or "t = {:.6g}".format
        self._length = abs(t1 - t0)
        self._share = 0.0
        self._bar: Any = None
        self._last = -math.inf
        self._width = 0
        self._shown = shown
        if shown and not plain:
            try:
                from tqdm import tqdm
            except ImportError:
                pass  # the plain line does as well
            else:
                form = "{desc}: {percentage:3.0f}%|{bar}| {elapsed}<{remaining}{postfix}"
                self._bar = tqdm(total=1.0, desc=label, file=sys.stderr, bar_format=form)

    @property
    def share(self) -> float:
        """The part of the span that is done, from 0 to 1; it never goes back."""
        return self._share

    def update(self, t: float) -> None:
        """The run has reached t."""
        share = min(1.0, abs(t - self.t0) / self._length) if self._length > 0 else 1.0
        gain, self._share = max(0.0, share - self._share), max(share, self._share)
        if not self._shown:
            return
        if self._bar is not None:
            now = time.monotonic()
            if now - self._last >= REFRESH or share >= 1.0:
                self._bar.set_postfix_str(self.note(t), refresh=False)
                self._last = now
            self._bar.update(gain)
            return
        now = time.monotonic()
        if now - self._last >= REFRESH:
            self._last = now
            self._write(t)

    def _write(self, t: float) -> None:
        line = f"{self.label}: {100 * self._share:3.0f}%, {self.note(t)}"
        sys.stderr.write("\r" + line.ljust(self._width))
        sys.stderr.flush()
        self._width = len(line)

    def close(self, t: float | None = None) -> None:
        """Writes the last line; t is where the run ended. A second call does nothing."""
        if t is not None and self._last != math.inf:
            self._last = -math.inf
            self.update(t)
        if self._bar is not None:
            self._bar.close()
        elif self._last != math.inf and self._width:
            sys.stderr.write("\n")
        self._last = math.inf

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
