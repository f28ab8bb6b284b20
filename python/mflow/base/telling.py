"""Words for users: warnings that point at the line of theirs that called mflow, however deep in the library they come up; counts."""

from __future__ import annotations

import sys
import warnings
from typing import Any

__all__ = ["LIBRARIES", "counted", "tell", "tell_of_order"]

# Whose frames are not the user's code.
LIBRARIES = ("mflow", "mflow_core", "numpy", "scipy", "matplotlib", "sklearn", "torch", "contextlib", "threading", "concurrent")


def counted(count: int | str, noun: str) -> str:
    """A number, or one as it is written, with its noun.

    Examples
    --------
    >>> from mflow.base.telling import counted
    >>> counted(1, "step"), counted(0, "step"), counted("1.5", "step")
    ('1 step', '0 steps', '1.5 steps')
    """
    return f"{count} {noun}{'' if str(count) == '1' else 's'}"


def tell(text: str, category: type[Warning] = RuntimeWarning) -> None:
    """Warns at the nearest line outside of the libraries; the core calls back from any depth, so that nobody counts frames by hand.

    category : RuntimeWarning for what a run has met; UserWarning for a doubt whether an argument is meant as it is given.
    """
    level, frame = 1, sys._getframe(0)
    while frame.f_back is not None and str(frame.f_globals.get("__name__", "")).partition(".")[0] in LIBRARIES:
        level, frame = level + 1, frame.f_back
    warnings.warn(text, category, stacklevel=level)


def tell_of_order(fun: Any, argument: str, expected: str) -> None:
    """Warns of a Python function that names its parameters with the time behind the state, as SciPy's `odeint` calls it.

    Called with the time first it would be another equation, whose numbers look like an answer. expected: how it is called, "t, y".

    Examples
    --------
    >>> from mflow.base.telling import tell_of_order
    >>> tell_of_order(lambda t, y, k: -k * y, "fun", "t, y")
    """
    code = getattr(fun, "__code__", None)
    if code is None:
        return
    own = getattr(fun, "__self__", None) is not None  # of a method, whose first parameter is its object
    names, last = code.co_varnames[own : code.co_argcount], expected.count(",")
    if len(names) > last and names[last] == "t" != names[0]:
        given = ", ".join(names[: last + 1])
        tell(
            f"{argument}: called as {argument}({expected}), but its parameters are named ({given}), the time last as odeint has it; "
            f"write ({expected}), or rename t if it is no time",
            UserWarning,
        )
