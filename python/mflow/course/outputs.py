"""Values computed from t and the state where states are saved."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from mflow.base.checks import Array

__all__ = ["check_outputs", "outputs_at"]


def check_outputs(outputs: Any) -> Callable[..., Any] | None:
    """A function, or None. Raises TypeError."""
    if outputs is not None and not callable(outputs):
        raise TypeError(f"outputs: expected a function outputs(t, y), got {type(outputs).__name__}")
    checked: Callable[..., Any] | None = outputs
    return checked


def outputs_at(fun: Callable[..., Any], t: Array, y: Array, args: tuple[Any, ...]) -> Array:
    """fun(t, y, *args) at every saved point: (*its shape, m), m times t (m,) and states y (*shape, m).

    Raises TypeError or ValueError where its values have no common shape of real or complex numbers.
    """
    states = np.moveaxis(y, -1, 0)
    values: list[Any] = []
    for k, time in enumerate(t.tolist()):
        value = np.asarray(fun(time, states[k].copy(), *args))
        if value.dtype.kind not in "biufc":
            raise TypeError(f"outputs: expected numbers, got {value.dtype} at t = {time:g}")
        if values and value.shape != values[0].shape:
            raise ValueError(f"outputs: expected the shape {values[0].shape} that the first values have, got {value.shape} at t = {time:g}")
        values.append(value)
    if not values:
        return np.empty((0,))
    return np.ascontiguousarray(np.moveaxis(np.stack(values), 0, -1))
