"""The solution between the steps: `DenseOutput`, a function of t made of each step's continuous extension.

Over step i, from ts[i] on, with theta = (t - ts[i])/h[i]:

    y(t) = y0[i] + theta (D[i, 0] + theta (D[i, 1] + ... ))

in this order of association, which is the core's, so that both give the same bits.
"""

from __future__ import annotations

import bisect
import functools
import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mflow.base.checks import Array, check_list, check_whole, real_array
from mflow.base.telling import knows_other_words

__all__ = ["DenseOutput"]

CHUNK = 1 << 18  # numbers worked on at once


@knows_other_words
class DenseOutput:
    """The solution as a function of t, as SciPy's OdeSolution.

    Parameters
    ----------
    ts : array_like (N + 1,)
        Ends of the steps, ascending or descending. Equal neighbours mark a jump.
    y0 : array_like (N, n)
        State at the start of each step.
    D : array_like (N, degree, n)
        Each step's extension in powers of theta, without the constant.
    y_end : array_like (n,)
        State at ts[-1].
    h : array_like (N,), optional
        Length of each step, with its sign, that theta counts against; it differs from ts[i + 1] - ts[i] where an event cut a step
        short. Default: the differences.
    shape : tuple, optional
        The state's shape; default (n,).

    Attributes
    ----------
    t_min, t_max : float, ends of the span. ts : float64 array (N + 1,).

    Raises
    ------
    ValueError
        Arrays that do not fit together; a t that is not finite; a t outside a span of no length.

    See Also
    --------
    mflow.solve_ivp, mflow.IVPResult, mflow.Stepper

    Notes
    -----
    At the steps' ends the stored states come back bit for bit; at a jump, the state behind it. Outside the span the first or the last
    step's polynomial is continued, as SciPy does: good for a fraction of that step, without meaning far away.

    Examples
    --------
    >>> import mflow.integrate.dense
    >>> line = mflow.DenseOutput([0.0, 2.0], [[1.0]], [[[4.0]]], [5.0])
    >>> line(0.5), line([0.0, 1.0, 2.0]), line.derivative(1.0)
    (array([2.]), array([[1., 3., 5.]]), array([2.]))

    References
    ----------
    E. Hairer, S. Norsett and G. Wanner, Solving Ordinary Differential Equations I (1993), II.6.
    """

    def __init__(
        self, ts: ArrayLike, y0: ArrayLike, D: ArrayLike, y_end: ArrayLike, h: ArrayLike | None = None, shape: tuple[int, ...] | None = None
    ) -> None:
        self.ts: Array = np.array(real_array(ts, "ts"), ndmin=1)
        if self.ts.ndim != 1 or not self.ts.size:
            raise ValueError(f"ts: expected an array of shape (steps + 1,), got shape {self.ts.shape}")
        self._y_end: Array = np.array(real_array(y_end, "y_end")).reshape(-1)
        steps, n = len(self.ts) - 1, self._y_end.size
        self._y0: Array = _of_size(y0, "y0", (steps, n))
        self._D: Array = np.ascontiguousarray(real_array(D, "D"))
        if steps == 0:
            self._D = self._D.reshape(0, 1, n)
        if self.ts.ndim != 1 or self._D.ndim != 3 or self._D.shape[0] != steps or self._D.shape[2] != n or self._D.shape[1] < 1:
            shapes = f"ts {self.ts.shape}, y0 {self._y0.shape}, D {self._D.shape}, y_end ({n},)"
            raise ValueError(f"ts, y0, D, y_end: expected shapes that fit together, got {shapes}")
        self._h: Array = np.diff(self.ts) if h is None else _of_size(h, "h", (steps,))
        sides = [n] if shape is None else check_list(shape, "shape", "the shape of a state, a tuple of whole numbers")
        self._shape = tuple(check_whole(side, f"shape[{k}]") for k, side in enumerate(sides))
        if math.prod(self._shape) != n:
            raise ValueError(f"shape: expected one of {n} numbers, as y_end has, got {self._shape}")
        gaps = np.diff(self.ts)
        self._ascending = bool(self.ts[-1] >= self.ts[0])
        if not np.all(np.isfinite(self.ts)) or np.any(gaps < 0 if self._ascending else gaps > 0):
            raise ValueError("ts: expected finite times, ascending or descending")
        if np.any((self._h == 0) & (gaps != 0)) or np.any(self._h * gaps < 0):
            raise ValueError("h: expected the length of each step, with its sign")

    @property
    def t_min(self) -> float:
        """The earlier end of the span."""
        return float(min(self.ts[0], self.ts[-1]))

    @property
    def t_max(self) -> float:
        """The later end of the span."""
        return float(max(self.ts[0], self.ts[-1]))

    def __repr__(self) -> str:
        return f"DenseOutput({len(self.ts) - 1} steps from t = {self.ts[0]:g} to {self.ts[-1]:g}, state of shape {self._shape})"

    def __call__(self, t: ArrayLike) -> Array:
        """The state at t, of shape (*shape, *t.shape); t in any order."""
        if isinstance(t, float) and math.isfinite(t) and self.ts[0] != self.ts[-1]:
            return self._alone(float(t))
        return self._evaluate(t, derivative=False)

    def derivative(self, t: ArrayLike) -> Array:
        """dy/dt of the extension at t, of shape (*shape, *t.shape); at a step's end, that of the step behind it."""
        return self._evaluate(t, derivative=True)

    def _evaluate(self, t: ArrayLike, *, derivative: bool) -> Array:
        given = np.asarray(t)
        if given.dtype.kind not in "biuf":
            raise TypeError(f"t: expected real numbers, got dtype {given.dtype}")
        at = np.array(given, dtype=np.float64).reshape(-1)
        bad = np.flatnonzero(~np.isfinite(at))
        if bad.size:
            raise ValueError(f"t: expected finite times, got {at[bad[0]]} in entry {bad[0]}")
        n = self._y_end.size
        out = np.empty((at.size, n))
        if len(self.ts) == 1 or self.ts[0] == self.ts[-1]:
            self._no_span(at, out, derivative)
        else:
            index = self._step_of(at)
            rows = max(1, CHUNK // max(1, n))
            for first in range(0, at.size, rows):
                piece = slice(first, first + rows)
                out[piece] = (self._slopes if derivative else self._states)(at[piece], index[piece])
        return np.moveaxis(out.reshape(at.size, *self._shape), 0, -1).reshape((*self._shape, *given.shape))

    @functools.cached_property
    def _begins(self) -> tuple[Array, list[float], Any]:
        """When the steps of some length begin, rising, as an array and a list, and which they are."""
        steps = np.flatnonzero(self._h)
        times = (1.0 if self._ascending else -1.0) * self.ts[steps]
        return times, times.tolist(), steps

    def _alone(self, t: float) -> Array:
        """The same at one time, by the same operations."""
        _, times, steps = self._begins
        i = steps[max(bisect.bisect_right(times, t if self._ascending else -t) - 1, 0)]
        if t == self.ts[-1]:
            return self._y_end.reshape(self._shape).copy()
        with np.errstate(all="ignore"):
            theta = (t - self.ts[i]) / self._h[i]
            if theta == 0.0:
                return np.array(self._y0[i].reshape(self._shape))
            powers = self._D[i]
            value: Array = powers[-1]
            for k in range(len(powers) - 2, -1, -1):
                value = powers[k] + theta * value
            value = self._y0[i] + theta * value
        return value.reshape(self._shape)

    def _no_span(self, at: Array, out: Array, derivative: bool) -> None:
        if derivative:
            raise ValueError(f"derivative: the span has no length (t = {self.ts[0]:g} alone)")
        outside = np.flatnonzero(at != self.ts[0])
        if outside.size:
            raise ValueError(f"t: expected {float(self.ts[0])!r}, since nothing was integrated, got {float(at[outside[0]])!r}")
        out[:] = self._y_end

    def _step_of(self, at: Array) -> NDArray[np.intp]:
        """The step of some length that begins at or before each time; the first or last one outside."""
        times, _, steps = self._begins
        index = np.searchsorted(times, at if self._ascending else -at, side="right") - 1
        nearest: NDArray[np.intp] = steps[np.clip(index, 0, len(steps) - 1)]
        return nearest

    def _states(self, at: Array, index: NDArray[np.intp]) -> Array:
        with np.errstate(all="ignore"):
            theta = ((at - self.ts[index]) / self._h[index])[:, None]
            value: Array = self._D[index, -1]
            for k in range(self._D.shape[1] - 2, -1, -1):
                value = self._D[index, k] + theta * value
            value = self._y0[index] + theta * value
        value[theta[:, 0] == 0.0] = self._y0[index[theta[:, 0] == 0.0]]  # 0 times infinity, and -0
        value[at == self.ts[-1]] = self._y_end
        return value

    def _slopes(self, at: Array, index: NDArray[np.intp]) -> Array:
        degree = self._D.shape[1]
        with np.errstate(all="ignore"):
            theta = ((at - self.ts[index]) / self._h[index])[:, None]
            value: Array = degree * self._D[index, -1]
            for k in range(degree - 2, -1, -1):
                value = (k + 1) * self._D[index, k] + theta * value
            value /= self._h[index][:, None]
        return value


def _of_size(value: Any, argument: str, shape: tuple[int, ...]) -> Array:
    """Numbers, contiguous, in this shape. Raises TypeError or ValueError."""
    array = np.ascontiguousarray(real_array(value, argument))
    if array.size != math.prod(shape):
        raise ValueError(f"{argument}: expected an array of shape {shape}, got shape {array.shape}")
    return array.reshape(shape)
