"""Values computed from t and the state where states are saved."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from mflow.base.checks import Array
from mflow.base.result import Result, attach

__all__ = ["add_outputs", "check_outputs", "outputs_at"]


def check_outputs(outputs: Any) -> Callable[..., Any]:
    """A function. Raises TypeError."""
    if not callable(outputs):
        raise TypeError(f"outputs: expected a function outputs(t, y), or of motion outputs(t, x, v), got {type(outputs).__name__}")
    checked: Callable[..., Any] = outputs
    return checked


def outputs_at(fun: Callable[..., Any], t: Array, states: tuple[Array, ...], args: tuple[Any, ...]) -> Array:
    """fun(t, *state, *args) at every saved point: (*its shape, m), m times t (m,) and states (*shape, m): y, or x and v.

    Raises TypeError or ValueError where its values have no common shape of real or complex numbers.
    """
    rows = [np.moveaxis(y, -1, 0) for y in states]
    values: list[Any] = []
    for k, time in enumerate(t.tolist()):
        value = np.asarray(fun(time, *(row[k].copy() for row in rows), *args))
        if value.dtype.kind not in "biufc":
            raise TypeError(f"outputs: expected numbers, got {value.dtype} at t = {time:g}")
        if values and value.shape != values[0].shape:
            raise ValueError(f"outputs: expected the shape {values[0].shape} that the first values have, got {value.shape} at t = {time:g}")
        values.append(value)
    if not values:
        return np.empty((0,))
    return np.ascontiguousarray(np.moveaxis(np.stack(values), 0, -1))


def add_outputs(out: Result, fun: Callable[..., Any], states: tuple[Array, ...], args: tuple[Any, ...], name: str) -> None:
    """Puts them into the result of a driver of this name, if there are any to be had: an exception's partial result holds what is known."""
    if out["reason"] in ("rhs_failed", "event_failed", "callback_failed", "interrupted"):
        return
    try:
        out["outputs"] = outputs_at(fun, out["t"], states, args)
    except Exception as error:
        attach(error, lambda: out, f"in outputs of mflow.{name}; .partial_result holds the run without them")
        raise
