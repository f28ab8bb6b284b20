"""Many small cases in one test: pytest takes some milliseconds for each test that it counts, more than such a case takes to run."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable
from typing import Any


def for_all(argument: str | tuple[str, ...], values: Iterable[Any]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """As `pytest.mark.parametrize(argument, values)`, in one test: the first case that fails ends it, and the report names its value.

    Not for tests that skip some of the values: a skip would leave out the others.
    """
    cases = list(values)
    names = (argument,) if isinstance(argument, str) else argument
    assert cases

    def decorate(test: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(test)
        def run(**given: Any) -> None:
            for value in cases:
                try:
                    test(**given, **dict(zip(names, (value,) if isinstance(argument, str) else value, strict=True)))
                except Exception as error:
                    error.add_note(f"in the case {', '.join(names)} = {value!r}")
                    raise

        own = inspect.signature(test)
        run.__signature__ = own.replace(parameters=[p for p in own.parameters.values() if p.name not in names])  # type: ignore[attr-defined]
        return run

    return decorate
