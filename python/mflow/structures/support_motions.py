"""Motions of supports, given by functions or tables: place, velocity and acceleration at a time.

A table is followed by a cubic spline through its values (not-a-knot at its ends), whose derivatives are the velocity and the
acceleration; of two or three values by the polynomial through them. It must cover the run; parts of a step that lie beside the run, as
those of yoshida4 do, by less than two steps, follow its first or last cubic on. A function that returns the place alone is differenced:

    v = (u(-2d) - 8 u(-d) + 8 u(d) - u(2d)) / (12 d),    a = (-u(-2d) + 16 u(-d) - 30 u + 16 u(d) - u(2d)) / (12 d^2)
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
from mflow_core.problems.sparse import check_unmasked

from mflow.base.checks import Array, as_array, shown
from mflow.base.extras import need
from mflow.derivatives.remainder import jacobian_model, quick

__all__ = ["SupportMotions", "differenced", "is_given", "step_of_differences"]

LOOKS = (0.237, 0.519, 0.871)  # of the run: where a velocity and an acceleration are compared with the place
INSIDE = 1e-12  # of a table's span: a run that leaves it by less stays in it


def is_given(fixed: Any) -> bool:
    """Whether supports are given with their motions."""
    return isinstance(fixed, dict)


def differenced(of: Callable[[float], Array], t: float, delta: float) -> Array:
    """(3, k): a function (k,) of t, its first and its second derivative."""
    far_back, back, here, ahead, far_ahead = (of(t + j * delta) for j in (-2, -1, 0, 1, 2))
    first = (far_back - 8.0 * back + 8.0 * ahead - far_ahead) / (12.0 * delta)
    return np.stack([here, first, (16.0 * (back + ahead) - (far_back + far_ahead) - 30.0 * here) / (12.0 * delta**2)])


class SupportMotions:
    """The motions of some of n degrees of freedom.

    given : {index or tuple of indices: a function of t, or a table (times, values)}. span : (t0, t_end), which tables must cover.
    delta : what functions are differenced with.
    """

    def __init__(self, given: dict[Any, Any], n: int, span: tuple[float, float], delta: float) -> None:
        self.delta, self.span = delta, span
        self.parts: list[tuple[slice, Callable[[float], Array]]] = []
        index: list[int] = []
        for key, motion in given.items():
            own = [self._number(one, n) for one in (key if isinstance(key, tuple) else (key,))]
            where = slice(len(index), len(index) + len(own))
            index.extend(own)
            name = f"fixed[{key!r}]"
            if callable(motion):
                self.parts.append((where, self._of_function(motion, len(own), name)))
            elif motion is not None:
                self.parts.append((where, self._of_table(motion, len(own), name)))
        if len(set(index)) < len(index):
            twice = next(k for k in index if index.count(k) > 1)
            raise ValueError(f"fixed: degree of freedom {twice} is given twice: one motion for each")
        moving = [k for where, _ in self.parts for k in range(where.start, where.stop)]
        self.all_held = np.array(index, dtype=np.intp)
        self.index = self.all_held[moving]  # those that move, in the order of the parts

    @property
    def any(self) -> bool:
        """Whether one of them moves."""
        return bool(self.parts)

    def at(self, t: Any) -> Array:
        """Place, velocity and acceleration of what moves: (3, k) at a time, (3, m, k) at m times."""
        times = np.asarray(t, dtype=np.float64)
        if times.ndim:
            rows = [self.at(float(one)) for one in times]
            return np.stack(rows, axis=1) if rows else np.empty((3, 0, self.index.size))
        return np.concatenate([of(float(times)) for _, of in self.parts], axis=1)

    @staticmethod
    def _number(key: Any, n: int) -> int:
        if isinstance(key, bool) or not isinstance(key, int | np.integer) or not -n <= key < n:
            raise ValueError(f"fixed: expected degrees of freedom from 0 to {n - 1} as keys, or tuples of them, got {key!r}")
        return int(key) % n

    def _of_function(self, motion: Callable[[float], Any], count: int, name: str) -> Callable[[float], Array]:
        def row(value: Any, t: float) -> Array:
            numbers = as_array(value, name)
            if numbers.dtype.kind not in "biuf" or numbers.size not in (1, count):
                raise ValueError(
                    f"{name}: expected a function of t that returns the place of {count} degrees of freedom, or (place, velocity, "
                    f"acceleration), got {shown(value)} at t = {t:g}"
                )
            out = np.empty(count)
            out[:] = numbers.ravel()
            if not np.isfinite(out).all():
                raise ValueError(f"{name}: expected finite numbers, got {shown(value)} at t = {t:g}")
            return out

        def at(t: float) -> Array:
            value = motion(t)
            if isinstance(value, tuple) and len(value) == 3:
                return np.stack([row(part, t) for part in value])
            return differenced(lambda s: row(motion(s), s), t, self.delta)

        at(self.span[0])
        self._refuse_contradictions(motion, row, name)
        return at

    def _refuse_contradictions(self, motion: Callable[[float], Any], row: Callable[[Any, float], Array], name: str) -> None:
        """ValueError where a function gives a velocity, or an acceleration, that its place, or its velocity, does not have."""

        def part(j: int, at: Any) -> Any:
            t = float(np.ravel(at)[0])
            value = motion(t)
            return row(value[j], t) if isinstance(value, tuple) and len(value) == 3 else None

        for share in LOOKS:
            t = self.span[0] + share * (self.span[1] - self.span[0])
            for j, (word, of) in enumerate((("a velocity", "place"), ("an acceleration", "velocity"))):
                slope = part(j + 1, t)
                if slope is None:
                    return
                model = jacobian_model(functools.partial(part, j), np.array([t]), part(j, t), slope[:, None])
                verdict = quick(model, np.array([self.delta]))
                if verdict.kind == "wrong":
                    said, seen = verdict.claimed / self.delta, verdict.measured / self.delta
                    raise ValueError(
                        f"{name}: expected {word} that is the derivative of its {of}, got {said:g} at t = {t:g}, where the {of} changes by "
                        f"{seen:g} in a unit of time; give the place alone for differences"
                    )

    def _of_table(self, table: Any, count: int, name: str) -> Callable[[float], Array]:
        for part in table if isinstance(table, tuple | list) else ():
            check_unmasked(part, name)
        try:
            times, values = (np.asarray(part, dtype=np.float64) for part in table)
        except (TypeError, ValueError):
            raise TypeError(
                f"{name}: expected a function of t that returns the place, a table (times, places) or None, got {shown(table)}; where the "
                "ground's acceleration is known, solve relative to it: load=(times, accelerations, -masses)"
            ) from None
        if times.ndim != 1 or times.size < 2 or not np.all(np.diff(times) > 0) or not np.all(np.isfinite(times)):
            raise ValueError(f"{name}: expected a table of two or more finite times that increase, got times of shape {times.shape}")
        if values.shape not in ((times.size,), (count, times.size)) or not np.all(np.isfinite(values)):
            raise ValueError(f"{name}: expected finite values of shape {(count, times.size)} in its table, got shape {values.shape}")
        low, high = min(self.span), max(self.span)
        slack = INSIDE * (abs(low) + abs(high) + float(times[-1] - times[0]))
        if low < times[0] - slack or high > times[-1] + slack:
            end = f"begins at t = {times[0]:g}, after" if low < times[0] - slack else f"ends at t = {times[-1]:g}, before"
            edge = low if low < times[0] - slack else high
            raise ValueError(f"{name}: its table {end} the run's {edge:g}: where the support goes is not known there; give more of it")
        of = _through(times, np.broadcast_to(np.atleast_2d(values), (count, times.size)))
        # parts of a step of some methods lie beside the step, and so beside the run: the spline's ends go on there
        beside = 16.0 * self.delta if high > low else 0.0

        def at(t: float) -> Array:
            inside = times[0] - slack <= t <= times[-1] + slack
            if not inside and not (low - beside <= t < low or high < t <= high + beside):  # a stepper that has gone farther
                raise ValueError(
                    f"{name}: its table goes from t = {times[0]:g} to {times[-1]:g}, and t = {t:g} is asked for: give more of it"
                )
            return of(t)

        return at


def _through(times: Array, rows: Array) -> Callable[[float], Array]:
    """The spline, or the polynomial through two or three values."""
    if times.size <= 3:
        middle, scale = float(times[0]), float(times[-1] - times[0])
        powers = [np.polynomial.Polynomial.fit(times, row, times.size - 1, domain=[middle, middle + scale]) for row in rows]
        return lambda t: np.array([[p.deriv(k)(t) if k else p(t) for p in powers] for k in range(3)])
    spline = need("scipy.interpolate", "a table of a support's motion").CubicSpline(times, rows, axis=1)
    return lambda t: np.stack([spline(t, k) for k in range(3)])


def step_of_differences(dt: Any, span: tuple[float, float]) -> float:
    """What functions of t are differenced with: an eighth of a step, or some thousandth of the run."""
    whole = abs(span[1] - span[0]) or 1.0
    return abs(dt) / 8.0 if isinstance(dt, int | float) and 0.0 < abs(dt) < 1e300 else whole / 4096.0
