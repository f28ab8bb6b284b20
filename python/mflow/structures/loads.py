"""Loads on structures, as the core takes them: numbers, functions of t and tables, with the pull of displaced supports."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable
from typing import Any

import numpy as np
from mflow_core.dynamics import supports as core_supports
from mflow_core.problems.signatures import LOAD_SIGNATURE, compiled_address

from mflow.base.checks import Array, as_array, check_choice, real_array, shown
from mflow.structures.load_tables import ended
from mflow.structures.supports import Supports

__all__ = ["is_table", "load_on", "table_on", "table_until"]


ADDED = "records in several directions add up to one table of all forces: (t, np.outer(pattern1, values1) + np.outer(pattern2, values2))"


def is_table(load: Any) -> bool:
    """(times, values) or (times, values, pattern). Two or three numbers in a tuple are n numbers as in a list."""
    return isinstance(load, tuple) and len(load) in (2, 3) and np.ndim(load[0]) == 1


def table_until(load: Any, after: Any) -> Any:
    """The load; a table with zeros outside its times where after is "zero". Raises ValueError where there is no such ending, or nothing
    that ends."""
    if after is None:
        return load
    check_choice(after, "after", ("hold", "zero"))
    if not is_table(load):
        raise ValueError(f"after: expected a table as load, whose end it describes, got load = {shown(load)}; omit after")
    if after == "hold":
        return load
    return (*ended(*(real_array(part, "load") for part in load[:2])), *load[2:])


def _numbers(load: Any, supports: Supports, argument: str) -> Array:
    """n numbers, in x0's shape if the user likes, or one number for all."""
    if isinstance(load, list | tuple) and load and all(is_table(part) for part in load):
        raise ValueError(f"{argument}: expected one table, got {len(load)} of them; {ADDED}")
    if isinstance(load, list | tuple) and len({as_array(part, argument).shape for part in load}) > 1:
        raise ValueError(
            f"{argument}: expected numbers, or a table in a tuple (times, values), got parts of shapes "
            + ", ".join(str(np.shape(part)) for part in load[:3])
            + ("; a step in place of times is no table: dt * np.arange(len(values)) are times" if np.ndim(load[0]) == 0 else "")
        )
    given = as_array(load, argument)
    if hasattr(load, "a") and hasattr(load, "t"):
        raise TypeError(
            f"{argument}: expected numbers, a function of t, or a table, got a {type(load).__name__}: the load of a record rec on masses "
            "is the table (rec.t, rec.a, -masses)"
        )
    if given.dtype.kind not in "biuf":
        raise TypeError(f"{argument}: expected real numbers, got {given.dtype}")
    if given.size not in (1, supports.n) or (given.ndim > 1 and given.shape != supports.shape):
        raise ValueError(
            f"{argument}: expected {supports.n} numbers, one for each degree of freedom, a function of t, or a table (times, values) or "
            f"(times, values, pattern), got shape {given.shape}"
        )
    out: Array = np.array(np.broadcast_to(given.ravel(), (supports.n,)), dtype=np.float64)
    bad = np.flatnonzero(~np.isfinite(out))
    if bad.size:
        raise ValueError(f"{argument}: expected finite numbers, got {out[bad[0]]} in entry {bad[0]}")
    return out


def load_on(load: Any, supports: Supports, pull: Array) -> Any:
    """The load on the free degrees of freedom, and what springs to displaced supports pull with."""
    n, free = supports.n, supports.free
    if load is None:
        return pull[free]
    compiled = compiled_address(load, "load", LOAD_SIGNATURE) is not None
    if not compiled and not callable(load):
        return (_numbers(load, supports, "load") + pull)[free]
    if not supports.any:
        return load
    if compiled:
        return core_supports.of_all("load", load, free, supports.place, pull)

    def on_free(t: float) -> Array:
        value = as_array(load(t), "load")
        if value.size != n:
            raise ValueError(f"load returned shape {value.shape}, but there are {n} degrees of freedom")
        return np.asarray((value.reshape(n) + pull)[free])

    return on_free


def load_function(load: Any, supports: Supports, why: str) -> tuple[Callable[[float], Array], Callable[[float], Array] | None]:
    """The load of all n degrees of freedom at a time; and its slope, where that is known."""
    n = supports.n
    if load is None:
        return lambda t: np.zeros(n), lambda t: np.zeros(n)
    if is_table(load):
        times, values, pattern = table_on(load, _All(supports), np.zeros(n))
        rows = values if pattern is None else np.outer(values, pattern)  # of each time
        slopes, since = np.diff(rows, axis=0) / np.diff(times)[:, None], times.tolist()

        def at_time(t: float) -> Array:
            """As np.interp of each column."""
            k = bisect_right(since, t) - 1
            if 0 <= k < len(slopes):
                return np.asarray(slopes[k] * (t - since[k]) + rows[k])
            return np.array(rows[max(k, 0)]) if not math.isnan(t) else np.full(n, math.nan)

        def slope(t: float) -> Array:
            k = bisect_right(since, t) - 1
            return np.asarray(slopes[k]) if 0 <= k < len(slopes) else np.zeros(n)

        return at_time, slope
    if compiled_address(load, "load", LOAD_SIGNATURE) is not None:
        raise ValueError(f"load: a compiled function does not go with {why}: give a Python function or a table")
    if not callable(load):
        numbers = _numbers(load, supports, "load")
        return lambda t: numbers, lambda t: np.zeros(n)

    def at(t: float) -> Array:
        value = as_array(load(t), "load")
        if value.size != n:
            raise ValueError(f"load returned shape {value.shape}, but there are {n} degrees of freedom")
        return np.asarray(value.reshape(n), dtype=np.float64)

    return at, None


class _All(Supports):
    """As if all degrees of freedom were free."""

    def __init__(self, of: Supports) -> None:
        super().__init__(np.zeros(of.shape), None)


def moving_load(load: Any, supports: Supports, pull: Array, matrices: tuple[Any, Any, Any]) -> Callable[[float], Array]:
    """The load of all degrees of freedom with what supports that move pull with, by (K, C, M) between them and the others."""
    moves = supports.moves
    assert moves is not None
    at, _ = load_function(load, supports, "supports that move")
    columns: list[Any] = [None if A is None or A.ndim == 1 else A[:, moves.index] for A in matrices]
    columns = [A.toarray() if hasattr(A, "toarray") else A for A in columns]
    _tell_massless(supports, load)

    def with_pull(t: float) -> Array:
        f = _passed(supports, at(t)) + pull
        for A, motion in zip(columns, moves.at(t), strict=True):
            if A is not None:
                f = f - A @ motion
        return f

    return with_pull


def load_with_massless(load: Any, supports: Supports, pull: Array) -> Any:
    """The load with what degrees of freedom without mass hand on to the others, as numbers, a table or a function of all."""
    _tell_massless(supports, load)
    if is_table(load):
        times, values, pattern = table_on(load, _All(supports), np.zeros(supports.n))
        rows = values.T if pattern is None else np.outer(pattern, values)
        return times, np.ascontiguousarray(_passed(supports, rows.T).T + pull[:, None])
    if load is None:
        return pull if np.any(pull) else None
    at, _ = load_function(load, supports, "degrees of freedom without mass")
    if not callable(load):
        return _passed(supports, at(0.0)) + pull
    return lambda t: _passed(supports, at(t)) + pull


def _passed(supports: Supports, f: Array) -> Array:
    return f if supports.massless is None else supports.massless.passed(f)


def _tell_massless(supports: Supports, load: Any) -> None:
    """Degrees of freedom without mass learn the load that they follow."""
    if supports.massless is not None and load is not None:
        supports.massless.take_load(*load_function(load, supports, "degrees of freedom without mass"), supports.delta)


def table_on(table: tuple[Any, ...], supports: Supports, pull: Array) -> tuple[Any, ...]:
    """(times, values, pattern) as the core takes them."""
    times, values = real_array(table[0], "load"), real_array(table[1], "load")
    n, free = supports.n, supports.free
    for name, array in (("times", times), ("values", values)):
        if not np.all(np.isfinite(array)):
            place = np.argwhere(~np.isfinite(array))[0]
            raise ValueError(f"load: expected a table of finite numbers, got {array[tuple(place)]} in {name}{place.tolist()}")
    if len(table) == 3:
        if np.ndim(table[2]) == 2 and np.shape(table[2]) != supports.shape and len(table[2]) == len(np.atleast_2d(table[1])):
            raise ValueError(f"load: expected one pattern of {supports.n} numbers in a table, got shape {np.shape(table[2])}; {ADDED}")
        pattern = _numbers(table[2], supports, "load, its pattern")
        if values.shape != times.shape:
            raise ValueError(f"load: expected one value a time in a table with a pattern, of shape {times.shape}, got shape {values.shape}")
        if not np.any(pull):
            return times, values, pattern[free]
        values = np.outer(pattern, values)
    if values.ndim == 1 and n == 1:
        values = values[None]
    if values.shape != (n, times.size):
        also = f"; one value a time goes with a pattern of {n} numbers: (times, values, pattern)" if values.shape == times.shape else ""
        raise ValueError(
            f"load: expected values of shape ({n}, {times.size}) in a table of {times.size} times for {n} degrees of freedom, got shape "
            f"{values.shape}{also}"
        )
    return times, np.ascontiguousarray((values + pull[:, None])[free].T), None
