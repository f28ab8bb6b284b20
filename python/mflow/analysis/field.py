"""F of y' = F(t, y) and its Jacobian, in any form that the user gives them, with the error of the Jacobian."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from mflow_core.problems.sparse import check_sparse, is_sparse

from mflow.base.checks import Array, as_tuple, dense_array, real_array, shown
from mflow.derivatives.agreement import BENDS, agreeing
from mflow.derivatives.differences import EPS, Digits, along, central_jacobian, digits_of, fitting_length
from mflow.spectra import krylov
from mflow.spectra.learned import Offsets, learn, offsets_of
from mflow.spectra.outer import MOST_PRODUCTS, ROUNDING, Linear, Outer, is_narrow, known, outer_values, range_bound

__all__ = ["Field", "NotFiniteError"]

DIFFERENCE = 6e-6  # root of rounding for central differences
TRUNCATED = 1e-8  # of differences, against the Jacobian
UNITS = (1e-3, 1e-6, 1e-9, 1e-12, 1e-15)  # in which a state of zeros may be meant
NOISE = 1e-6  # of the largest entry of a column, from differences of one: more tells nothing of whether fun bends in between
FULL = 1000  # components up to which those of one that is symmetric are, where its products do not tell enough
COLUMNS = 2000  # components up to which all columns of a Jacobian that is not symmetric are differenced


class NotFiniteError(ValueError):
    """The Jacobian at a time t is not finite."""

    def __init__(self, t: float) -> None:
        super().__init__(f"jac: expected a finite Jacobian at t = {t:g}, got NaN or inf; y may lie outside the domain of fun")
        self.t = t


class Field:
    """F and its Jacobian at any time and state."""

    def __init__(self, fun: Any, t: float, y: Array, jac: Any, args: tuple[Any, ...]) -> None:
        self.fun, self.jac, self.args, self.n = fun, jac, as_tuple(args, fun), y.size
        args = self.args
        if jac is None and (fun is None or isinstance(fun, str | bytes | bool)):
            raise TypeError(f"fun: expected a function of (t, y), or its Jacobian, got {shown(fun)}")
        self.named = "jac" if jac is not None else "fun"  # the argument that gives the Jacobian, where one does
        self.sign = 1.0  # -1 where time runs backward: errors that fade forward grow
        if jac is None and (not callable(fun) or hasattr(fun, "matvec")):  # a SciPy LinearOperator can be called, too
            self.fun, self.jac = None, fun
        elif jac is None:
            first = fun(t, y.copy(), *args)
            if (getattr(first, "ndim", 0) == 2 or (y.ndim == 1 and np.ndim(first) == 2)) and np.shape(first) == (y.size, y.size):
                self.fun, self.jac = None, fun  # fun is the Jacobian
        if self.fun is not None and not callable(self.fun):
            raise TypeError(f"fun: expected a function of (t, y), got {shown(self.fun)}")
        self.shape = y.shape
        self.full = False  # too many entries to be looked for again
        self.offsets: Offsets | None = None  # where the entries of the Jacobian were, seen at an earlier point
        self.digits: Digits | None = None  # what slopes carry, at the first look at them

    def slope(self, t: float, y: Array) -> Array:
        """F, flat, from a flat y."""
        if self.fun is None:
            return np.zeros(self.n)
        out = real_array(self.fun(t, y.reshape(self.shape).copy(), *self.args), "fun")
        if out.size != self.n:
            raise ValueError(f"fun: expected the shape {self.shape} of y returned, got shape {out.shape}")
        return out.ravel()

    def _given(self, t: float, y: Array) -> Any:
        """The user's Jacobian in any form; of a sparse matrix the structure has been looked at."""
        function = callable(self.jac) and not hasattr(self.jac, "matvec")
        J = self.jac(t, y.reshape(self.shape).copy(), *self.args) if function else self.jac
        return check_sparse(J, self.named) if is_sparse(J) else J

    def matrix(self, t: float, y: Array) -> tuple[Array, float]:
        """(J, its error in norm)."""
        J, error = self.entries(t, y)
        return J, float(np.linalg.norm(error))

    def entries(self, t: float, y: Array) -> tuple[Array, Array]:
        """(J, the error of each entry)."""
        if self.jac is not None:
            J = self._given(t, y)
            J = dense_array(J.matmat(np.eye(self.n)) if hasattr(J, "matmat") else J, self.named)
            if J.shape != (self.n, self.n):
                raise ValueError(f"{self.named}: expected shape ({self.n}, {self.n}), got shape {J.shape}")
            error = 4.0 * self.n * 2.0**-52 * np.abs(J)
        else:
            J, error = self._differenced(t, y)
        if not np.all(np.isfinite(J)):
            raise NotFiniteError(t)
        return J, error

    def _look(self, t: float, y: Array) -> Digits:
        """What the slopes carry: all of float64, or the digits of float32 or of rounded values."""
        if self.digits is None:
            aside = DIFFERENCE * np.maximum(1.0, np.abs(y)) * along(self.n)  # no short numbers, whose slopes may be short, too
            with np.errstate(over="ignore", invalid="ignore"):
                values = [self.slope(t, y + sign * aside) for sign in (1.0, -1.0)]
            self.digits = digits_of(values) or Digits(2.0**-52, "float64")
        return self.digits

    def _differenced(self, t: float, y: Array) -> tuple[Array, Array]:
        """(J, the error of each entry) by central differences. Where a component is below 1 its own size tells a shorter length: an
        entry that differs by more than rounding explains is that of the shorter one, as the function bends in between."""
        digits = self._look(t, y)
        truncated = max(TRUNCATED, digits.step**2)
        h = digits.step * np.maximum(1.0, np.abs(y))
        with np.errstate(over="ignore", invalid="ignore"):  # what is not finite is said by the caller
            h = self._fitting(t, y, h, digits)
            J = central_jacobian(lambda x: self.slope(t, x), y, h)
            rounding = 4.0 * digits.eps * (np.abs(self.slope(t, y)) + np.nan_to_num(np.abs(J) @ np.abs(y), posinf=0.0))
            largest, error = float(np.max(np.abs(y), initial=0.0)), truncated * np.abs(J) + rounding[:, None] / h
            for j in range(self.n):
                column = float(np.max(np.abs(J[:, j])))
                for length in _shorter_lengths(digits.step, abs(y[j]), largest, float(np.max(rounding)), column):
                    if length >= h[j]:
                        continue
                    ahead, behind = y.copy(), y.copy()
                    ahead[j], behind[j] = y[j] + length, y[j] - length
                    shorter = (self.slope(t, ahead) - self.slope(t, behind)) / (ahead[j] - behind[j])
                    apart, lost = np.abs(shorter - J[:, j]), truncated * np.abs(shorter) + rounding / length
                    bends = ~(apart <= 2.0 * lost) & np.isfinite(shorter)
                    J[bends, j], error[bends, j] = shorter[bends], lost[bends]
                    alike = ~bends & (lost <= NOISE * column)  # else rounding alone sets them apart
                    error[alike, j] = np.maximum(error[alike, j], np.minimum(2.0 * apart, lost)[alike])
                    if largest == 0.0 and not bends.any():
                        break
        return J, np.asarray(error)

    def _fitting(self, t: float, y: Array, usual: Array, digits: Digits) -> Array:
        """The lengths of differences, where y is large and may be so by an offset: the usual ones, unless shorter ones show another slope
        along all components at once; then each component has its own."""
        most = float(np.max(np.abs(y), initial=0.0))
        if most <= 1.0 or digits.eps > EPS:
            return usual

        def along_move(move: Array) -> Callable[[float], Array]:
            return lambda share: np.asarray((self.slope(t, y + share * move) - self.slope(t, y - share * move)) / (2.0 * share))

        lost = 4.0 * EPS * float(np.linalg.norm(self.slope(t, y)))
        whole = along_move(usual * along(self.n))
        if agreeing(whole, 1.0, 1.0 / digits.step, BENDS, rounding=lambda share: lost / share).length == 1.0:
            return usual
        shares = [agreeing(along_move(usual * unit), 1.0, abs(y[j]) / usual[j], BENDS) for j, unit in enumerate(np.eye(self.n))]
        out: Array = usual * np.array([one.length for one in shares])
        return out

    def product(self, t: float, y: Array) -> Callable[[Array], Array]:
        """v -> J v."""
        if self.jac is not None:
            J = self._given(t, y)
            J = np.asarray(J) if isinstance(J, (list, tuple)) else J
            return lambda v: np.asarray(J @ v, dtype=np.float64).reshape(-1)
        h = self._length(t, y)

        def times(v: Array) -> Array:
            return self._along(t, y, v, h)

        return times

    def _along(self, t: float, y: Array, v: Array, h: float) -> Array:
        """J v by differences over this length."""
        size = float(np.linalg.norm(v))
        if size == 0.0:
            return np.zeros(self.n)
        step = h / size * v
        return np.asarray((self.slope(t, y + step) - self.slope(t, y - step)) * (size / (2.0 * h)), dtype=np.float64)

    def _length(self, t: float, y: Array) -> float:
        """The length of differences along any direction, as of those of a component."""
        digits, unit = self._look(t, y), float(np.linalg.norm(y))
        v = krylov.random_vector(self.n, 13)
        if not 0.0 < unit < 1.0:
            usual = digits.step * max(1.0, unit)
            large = unit > 1.0 and digits.eps <= EPS
            return agreeing(lambda h: self._along(t, y, v, h), usual, float(np.max(np.abs(y))), BENDS).length if large else usual
        rounding = 4.0 * digits.eps * float(np.linalg.norm(self.slope(t, y))) / (digits.step * unit)
        bent = max(TRUNCATED, digits.step**2)
        return fitting_length(lambda h: self._along(t, y, v, h), digits.step, unit, near=digits.step, rounding=rounding, bent=bent)

    def linear(self, t: float, y: Array, symmetric: bool | None, budget: float = 1.0, columns: bool = True) -> tuple[Linear, bool]:
        """(the Jacobian of many components, whether it is symmetric): its entries where they are given, or few, or with `columns`
        not too many to be differenced; else its products."""
        times = self.product(t, y)
        given = None if self.jac is None else self._given(t, y)
        probes = [krylov.random_vector(self.n, k) for k in (11, 12)]
        images = [times(v) for v in probes]
        size = max(float(np.linalg.norm(w)) for w in images)
        if not np.isfinite(size):
            raise NotFiniteError(t)
        if symmetric is None:
            symmetric = abs(float(probes[0] @ images[1] - probes[1] @ images[0])) <= 1e-7 * size
        if given is not None:
            return self._given_linear(given, times, t, budget), symmetric
        digits = self._look(t, y)
        truncated = max(TRUNCATED, digits.step**2)
        rest = 4.0 * digits.eps * float(np.max(np.abs(self.slope(t, y)))) / self._length(t, y)
        matrix = self._learned(times)
        if matrix is None and columns and not symmetric and self.n <= COLUMNS:
            matrix, rest = self.matrix(t, y)
        if matrix is None:
            return Linear(self.n, times, times if symmetric else None, None, 3.0 * truncated * size + rest, budget), symmetric
        return known(matrix, truncated * float(np.max(abs(matrix).sum(axis=1))) + rest, budget), symmetric

    def _given_linear(self, given: Any, times: Callable[[Array], Array], t: float, budget: float) -> Linear:
        """Of a Jacobian that the user gives, as a matrix or an operator."""
        if hasattr(given, "matvec") or not (hasattr(given, "tocsr") or isinstance(given, (np.ndarray, list, tuple))):
            back = getattr(given, "rmatvec", None)
            try:
                if back is not None:
                    back(np.zeros(self.n))
            except (NotImplementedError, TypeError, ValueError):  # an operator that has no adjoint
                back = None
            return Linear(self.n, times, None if back is None else lambda v: np.asarray(back(v), dtype=np.float64), None, 0.0, budget)
        matrix = given.tocsr() if hasattr(given, "tocsr") else real_array(given, self.named)
        if tuple(matrix.shape) != (self.n, self.n):
            raise ValueError(f"{self.named}: expected shape ({self.n}, {self.n}), got shape {tuple(matrix.shape)}")
        if not np.all(np.isfinite(matrix.data if hasattr(given, "tocsr") else matrix)):
            raise NotFiniteError(t)
        return known(matrix, 0.0, budget)

    def _learned(self, times: Callable[[Array], Array]) -> Any:
        """The Jacobian as a sparse matrix where its entries stand on few diagonals, else None."""
        if self.full:
            return None
        matrix = learn(times, self.n, self.offsets)
        if matrix is None:  # the first time, or where entries that were 0 are not so here
            self.offsets = offsets_of(times, self.n)
            self.full = self.offsets is None
            matrix = learn(times, self.n, self.offsets)
        return matrix

    def outer(self, t: float, y: Array, symmetric: bool | None, budget: float) -> tuple[Outer, tuple[float, float], float, bool]:
        """(outer eigenvalues, bounds of the numerical range's abscissa, error of the Jacobian, whether it is symmetric), with the sign of
        time."""
        J, symmetric = self.linear(t, y, symmetric, budget)
        if self.sign < 0.0:
            J = _negated(J)
        try:
            if symmetric and J.matrix is None and J.n <= FULL:
                J = _with_entries(J)
            out = outer_values(J, symmetric)
            ends = (out.low, out.high) if symmetric else range_bound(J)
        except FloatingPointError:
            raise NotFiniteError(t) from None
        scale = float(np.max(np.abs(out.values), initial=0.0))
        return out, ends, max(J.noise, ROUNDING * scale), symmetric


def _with_entries(J: Linear) -> Linear:
    """A symmetric Jacobian of not too many components with its entries, where as many products do not tell the end of its spectrum."""
    few = Linear(J.n, J.times, J.back, None, J.noise, min(J.budget, J.n / MOST_PRODUCTS))
    first = outer_values(few, True)
    if is_narrow(first.low, first.high, J.noise):
        return few
    matrix = np.stack([J.times(unit) for unit in np.eye(J.n)], axis=1)
    matrix = 0.5 * (matrix + matrix.T)
    return known(matrix, J.noise, J.budget)


def _negated(J: Linear) -> Linear:
    times, back = J.times, J.back
    backward = None if back is None else lambda v: -back(v)
    return Linear(J.n, lambda v: -times(v), backward, None if J.matrix is None else -J.matrix, J.noise, J.budget)


def _shorter_lengths(step: float, own: float, largest: float, rounding: float, column: float) -> list[float]:
    """Lengths of differences for a component of size `own` (0: of the largest one), the longest first; where rounding hides the entries
    at its own length, one at which they are known comes before it."""
    if largest == 0.0:
        return [step * unit for unit in UNITS]
    length = step * (own or largest)
    known = rounding / (NOISE * column) if column > 0.0 else 0.0
    return [known, length] if known > length else [length]
