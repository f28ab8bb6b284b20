"""Starts and supports: where the degrees of freedom begin, and which of them stay there."""

from __future__ import annotations

from typing import Any

import numpy as np
from mflow_core.dynamics import matrices

from mflow.base.checks import Array, check_start

__all__ = ["Supports", "check_speed", "check_starts", "free_part"]


class Supports:
    """Which of n degrees of freedom move; the others keep the places that x0 gives them."""

    def __init__(self, x0: Array, fixed: Any) -> None:
        self.shape, self.n = x0.shape, x0.size
        self.place = x0.ravel().copy()
        self.any = False
        self.free, self.held = np.arange(self.n), np.arange(0)
        if fixed is not None:
            held = np.zeros(self.n, dtype=bool)
            index = np.asarray(fixed)
            if index.dtype == bool and index.shape in (self.shape, (self.n,)):
                index = np.flatnonzero(index)
            index = np.atleast_1d(index)
            if index.size and (index.dtype.kind not in "iu" or index.ndim != 1 or index.min() < -self.n or index.max() >= self.n):
                given = repr(fixed) if index.size <= 10 and index.ndim < 2 else f"an array of {index.dtype} of shape {index.shape}"
                raise ValueError(
                    f"fixed: expected indices of degrees of freedom from 0 to {self.n - 1}, or a mask of True and False of shape "
                    f"{self.shape}, got {given}"
                )
            held[index.astype(np.intp)] = True
            self.free, self.held = np.flatnonzero(~held), np.flatnonzero(held)
            self.any = bool(self.held.size)

    def check_rest(self, speed: Array) -> None:
        """ValueError where a fixed degree of freedom has a velocity."""
        if not self.held.size:
            return
        moving = self.held[speed.ravel()[self.held] != 0]
        if moving.size:
            value, k = speed.ravel()[moving[0]], moving[0]
            raise ValueError(f"v0: expected 0 at every fixed degree of freedom, got {value} at degree of freedom {k}")

    def reorder(self, order: Any) -> None:
        """The run takes the degrees of freedom that move in this order, in which matrices are narrower."""
        self.free, self.any = self.free[order], True

    def reduced(self, vector: Array) -> Array:
        """The free part of n numbers, in the state's shape where all are free."""
        return np.ascontiguousarray(vector.ravel()[self.free]) if self.any else vector

    def whole(self, rows: Array, at_place: bool = False) -> Array:
        """(..., free) as (..., n): places or zeros where it is fixed."""
        if not self.any:
            return rows
        out = np.zeros((*rows.shape[:-1], self.n))
        if at_place:
            out[...] = self.place
        out[..., self.free] = rows
        return out

    def state(self, vector: Array, at_place: bool = False) -> Array:
        """A state of the run as its user knows it."""
        return self.whole(vector.reshape(-1), at_place).reshape(self.shape) if self.any else vector


def free_part(A: Any, supports: Supports) -> Any:
    """The free rows and columns of a checked matrix."""
    if A is None or not supports.any:
        return A
    free = supports.free
    return A[free] if A.ndim == 1 else A[free][:, free]


def check_starts(x0: Any, v0: Any, given: tuple[Any, ...], load: Any) -> tuple[Array, Array]:
    """x0 and v0; where neither is given, zeros, as many as the matrices have rows. Raises TypeError or ValueError."""
    if x0 is None and v0 is None:
        sizes = _sizes(given)
        if not sizes and isinstance(load, list | np.ndarray):
            sizes = [np.size(load)]
        x0 = np.zeros(max(sizes, default=1))
    name = "v0" if x0 is None else "x0"
    start = np.atleast_1d(check_start(v0 if x0 is None else x0, name))
    sizes = _sizes(given)
    if len(sizes) > 1 and len(set(sizes)) == 1 and sizes[0] not in (1, start.size) and start.ndim == 1:
        raise ValueError(f"{name}: expected {sizes[0]} numbers, one for each degree of freedom of the matrices, got shape {start.shape}")
    return (np.zeros_like(start), start) if x0 is None else (start, check_speed(v0 if v0 is None else np.atleast_1d(v0), start))


def check_speed(v0: Any, start: Array) -> Array:
    """One velocity for each position of a start; zeros where v0 is None. Raises TypeError or ValueError."""
    speed = np.zeros_like(start) if v0 is None else check_start(v0, "v0")
    if speed.shape != start.shape:
        raise ValueError(f"v0: expected one velocity for each position, of x0's shape {start.shape}, got shape {speed.shape}")
    return speed


def _sizes(given: tuple[Any, ...]) -> list[int]:
    """How many rows the matrices and diagonals among them have; functions have none."""
    arrays = (a for a in given if a is not None and not matrices.is_function(a))
    return [np.shape(a)[0] for a in arrays if hasattr(a, "tocsr") or np.ndim(a) > 0]
