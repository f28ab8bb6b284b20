"""Starts and supports: where the degrees of freedom begin, and which of them stay there or go elsewhere."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import numpy as np
from mflow_core.dynamics import matrices

from mflow.base.checks import Array, as_array, check_start, length_of
from mflow.structures.support_motions import SupportMotions, is_given, step_of_differences

if TYPE_CHECKING:
    from mflow.structures.massless import Massless

__all__ = ["Supports", "as_diagonal", "check_speed", "check_starts", "free_part"]


class Supports:
    """Which of n degrees of freedom move by the equations; the others keep the places that x0 gives them, go where `fixed` says (a dict of
    motions), or have no mass and follow.

    States of a run hold the free ones, in the run's order. which : 0 of places, 1 of velocities, 2 of accelerations.
    """

    any = False  # whether some are not free
    moves: SupportMotions | None = None
    massless: Massless | None = None
    held = np.arange(0)

    def __init__(self, x0: Array, fixed: Any, span: tuple[float, float] = (0.0, 1.0), dt: Any = None) -> None:
        self.shape, self.n, self.place = x0.shape, x0.size, x0.reshape(-1)
        self.dt, self.span = dt, span
        if fixed is not None:
            self._hold(fixed)

    @functools.cached_property
    def free(self) -> Any:
        """The numbers of those that are, in the run's order."""
        return np.arange(self.n)

    @property
    def delta(self) -> float:
        """What functions of t are differenced with."""
        return step_of_differences(self.dt, self.span)

    def _hold(self, fixed: Any) -> None:
        """Holds the degrees of freedom that `fixed` names."""
        held = np.zeros(self.n, dtype=bool)
        if is_given(fixed):
            motions = SupportMotions(fixed, self.n, self.span, self.delta)
            held[motions.all_held] = True
            if motions.any:
                self.moves, self.place = motions, self.place.copy()
                self.place[motions.index] = motions.at(self.span[0])[0]
        else:
            held[_index_of(fixed, self.shape, self.n)] = True
        self.free, self.held = np.flatnonzero(~held), np.flatnonzero(held)
        self.any = bool(self.held.size)

    def check_rest(self, speed: Array) -> None:
        """ValueError where a fixed degree of freedom that does not move has a velocity."""
        if not self.any:
            return
        still = self.held if self.moves is None else np.setdiff1d(self.held, self.moves.index)
        moving = still[speed.ravel()[still] != 0]
        if moving.size:
            value, k = speed.ravel()[moving[0]], moving[0]
            raise ValueError(f"v0: expected 0 at every fixed degree of freedom, got {value} at degree of freedom {k}")

    def refuse_motion(self, name: str, why: str) -> None:
        """ValueError about an argument that does not go with supports that move."""
        if self.moves is not None:
            raise ValueError(f"{name}: {why} does not go with supports that move (fixed= with motions)")

    def reorder(self, order: Any) -> None:
        """The run takes the degrees of freedom that move in this order, in which matrices are narrower."""
        self.free, self.any = self.free[order], True

    def condense(self, massless: Massless) -> None:
        """From here on these follow the others."""
        self.massless, self.any = massless, True
        self.free = self.free[~np.isin(self.free, massless.index)]

    def reduced(self, vector: Array) -> Array:
        """The free part of n numbers, in the state's shape where all are free."""
        return np.ascontiguousarray(vector.ravel()[self.free]) if self.any else vector

    def whole(self, rows: Array, which: int = 1, t: Any = None) -> Array:
        """(..., free) as (..., n), at a time, or (m, free) at m times."""
        if not self.any:
            return rows
        out = np.zeros((*rows.shape[:-1], self.n))
        if which == 0:
            out[..., self.held] = self.place[self.held]
        out[..., self.free] = rows
        if self.moves is not None:
            out[..., self.moves.index] = self.moves.at(t)[which]
        if self.massless is not None:
            forced = self._forced(t)[which]
            out[..., self.massless.index] = out[..., self.massless.reach] @ self.massless.follow.T + forced
        return out

    def _forced(self, t: Any) -> Array:
        assert self.massless is not None
        if np.ndim(t) == 0:
            return self.massless.forced(float(t))
        rows = [self.massless.forced(float(one)) for one in t]
        return np.stack(rows, axis=1) if rows else np.empty((3, 0, self.massless.index.size))

    def polynomials(self, D: Array, which: int, t: Array) -> Array:
        """Coefficients (m, q, free) of theta, theta^2, ... in the steps between m + 1 times, as (m, q, n): what is given between steps is
        followed by cubics."""
        if not self.any:
            return D
        out = np.zeros((*D.shape[:-1], self.n))
        out[..., self.free] = D
        if self.moves is not None:
            out[:, :3, self.moves.index] = _cubics(self.moves.at(t)[which : which + 2], t)
        if self.massless is not None:
            out[..., self.massless.index] = out[..., self.massless.reach] @ self.massless.follow.T
            out[:, :3, self.massless.index] += _cubics(self._forced(t)[which : which + 2], t)
        return out

    def state(self, vector: Array, which: int = 1, t: Any = None) -> Array:
        """A state of the run as its user knows it."""
        return self.whole(vector.reshape(-1), which, t).reshape(self.shape) if self.any else vector


def _index_of(fixed: Any, shape: tuple[int, ...], n: int) -> Array:
    """The numbers of degrees of freedom that indices or a mask name."""
    index = as_array(fixed, "fixed")
    if index.dtype == bool and index.shape in (shape, (n,)):
        index = np.flatnonzero(index)
    index = np.atleast_1d(index)
    if index.size and (index.dtype.kind not in "iu" or index.ndim != 1 or index.min() < -n or index.max() >= n):
        given = repr(fixed) if index.size <= 10 and index.ndim < 2 else f"an array of {index.dtype} of shape {index.shape}"
        raise ValueError(
            f"fixed: expected indices of degrees of freedom from 0 to {n - 1}, or a mask of True and False of shape {shape}, got {given}"
        )
    return index.astype(np.intp)


def _cubics(values: Array, t: Array) -> Array:
    """(m, 3, k) from values and slopes (2, m + 1, k) at m + 1 times: Hermite's cubics in each step."""
    (start, end), h = (values[:, :-1], values[:, 1:]), np.diff(t)[:, None]
    change = end[0] - start[0]
    return np.stack([h * start[1], 3.0 * change - h * (2.0 * start[1] + end[1]), h * (start[1] + end[1]) - 2.0 * change], axis=1)


def free_part(A: Any, supports: Supports) -> Any:
    """The free rows and columns of a checked matrix."""
    if A is None or not supports.any:
        return A
    free = supports.free
    return A[free] if A.ndim == 1 else A[free][:, free]


def as_diagonal(value: Any, shape: tuple[int, ...]) -> Any:
    """Masses and the like of a state of several axes, one for each number or for each entry of its first axis, as n numbers; anything else
    as it is."""
    if value is None or len(shape) < 2 or hasattr(value, "tocsr") or callable(value) or np.ndim(value) == 0:
        return value
    given, n = np.asarray(value), int(np.prod(shape))
    if given.shape == shape and given.shape != (n, n):
        return given.ravel()
    if given.shape == shape[:1] and shape[0] != n:
        return np.repeat(given, n // shape[0])
    return value


def check_starts(x0: Any, v0: Any, given: tuple[Any, ...], load: Any) -> tuple[Array, Array]:
    """x0 and v0; where neither is given, zeros, as many as the matrices have rows. Raises TypeError or ValueError."""
    if x0 is None and v0 is None:
        sizes = _sizes(given)
        if not sizes and isinstance(load, list | np.ndarray):
            sizes = [np.size(load)]
        x0 = np.zeros(max(sizes, default=1))
    name = "v0" if x0 is None else "x0"
    start = check_start(v0 if x0 is None else x0, name)
    start = start if start.ndim else start.reshape(1)
    sizes = _sizes(given) if start.ndim == 1 else []
    if len(sizes) > 1 and len(set(sizes)) == 1 and sizes[0] not in (1, start.size):
        raise ValueError(f"{name}: expected {sizes[0]} numbers, one for each degree of freedom of the matrices, got shape {start.shape}")
    if x0 is None:
        return np.zeros(start.shape), start
    return start, check_speed(v0 if v0 is None else np.atleast_1d(as_array(v0, "v0")), start)


def check_speed(v0: Any, start: Array) -> Array:
    """One velocity for each position of a start; zeros where v0 is None. Raises TypeError or ValueError."""
    if v0 is None:
        return np.zeros(start.shape)
    speed = check_start(v0, "v0")
    if speed.shape != start.shape:
        raise ValueError(f"v0: expected one velocity for each position, of x0's shape {start.shape}, got shape {speed.shape}")
    return speed


def _sizes(given: tuple[Any, ...]) -> list[int]:
    """How many rows the matrices and diagonals among them have; functions have none."""
    sizes = []
    for one in given:
        if one is not None and type(one) is not float and not matrices.is_function(one):
            sizes.append(length_of(one, "mass, damping, stiffness, load"))
    return [n for n in sizes if n] if sizes else sizes
