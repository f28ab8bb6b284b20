"""Natural modes of structures: frequencies, shapes, what share of the mass they carry, and motion as a sum of them."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from mflow_core.dynamics import matrices
from numpy.typing import NDArray

from mflow.base.checks import Array, check_whole, length_of, real_array
from mflow.base.extras import need
from mflow.base.pace import interruptible
from mflow.base.result import Result
from mflow.base.tables import Readable, Table, frame, shortened
from mflow.base.telling import knows_other_words, tell
from mflow.spectra.condensed import condensed, part, rows_without
from mflow.spectra.definite import full
from mflow.structures.supports import Supports
from mflow.vibration.spectrum import recursion, tell_of_percent

__all__ = ["Modes", "modes"]

DENSE = 500  # degrees of freedom up to which sparse matrices are made full, for most of the modes, or where the matrices are small
AT_ONCE = 500  # degrees of freedom up to which the modes of dense matrices take some ten milliseconds, and Ctrl-C can wait
SHIFT = 1e-4  # of the mean of K's diagonal over M's: by how much eigenvalues are shifted, so that rigid motions can be factored
ROUNDING = 1e-24  # of the total mass: an effective mass that is rounding, and printed as 0
EVEN = 1e-9  # of an interval: intervals that differ by less are one


@knows_other_words
@dataclass(frozen=True, eq=False)
class Modes(Readable):
    """Natural modes of M x'' + K x = 0, the slowest first. ``print`` shows them as a table, a notebook too.

    Attributes
    ----------
    omega : ndarray (k,)
        Angular frequencies, rad/s; 0 for rigid motions.
    shapes : ndarray (n, k)
        Columns with shape' M shape = 1, their largest entry positive.
    participation : ndarray (k,)
        shape' M r, r the direction of the ground's motion.
    mass : array
        M as it was given, checked.
    total_mass : float
        r' M r.

    See Also
    --------
    mflow.modes, mflow.response_spectrum, mflow.solve_dynamics

    Examples
    --------
    >>> import mflow
    >>> m = mflow.modes(2.0, 8.0)
    >>> m.omega.round(12).tolist(), m.shapes.shape
    ([2.0], (1, 1))
    """

    omega: Array
    shapes: Array
    participation: Array
    mass: Any
    total_mass: float

    @property
    def frequencies(self) -> Array:
        """omega/(2 pi), Hz."""
        return self.omega / (2.0 * math.pi)

    @property
    def periods(self) -> Array:
        """Natural periods, s; inf for rigid motions."""
        with np.errstate(divide="ignore"):
            out: Array = 2.0 * math.pi / self.omega
        return out

    @property
    def effective_masses(self) -> Array:
        """Squares of the participation factors; over all modes they add up to the total mass."""
        return self.participation**2

    def to_frame(self) -> Any:
        """A pandas DataFrame with a row a mode, without the shapes. ImportError without pandas."""
        return frame(self._columns())

    def _columns(self) -> dict[str, Any]:
        part = self.effective_masses / self.total_mass if self.total_mass > 0.0 else np.full(self.omega.size, np.nan)
        return {
            "mode": np.arange(1, self.omega.size + 1), "period": self.periods, "frequency": self.frequencies, "omega": self.omega,
            "participation": self.participation, "effective_mass": self.effective_masses, "share": part, "sum": np.cumsum(part),
        }  # fmt: skip

    def _parts(self) -> list[str | Table]:
        heads = ["mode", "period s", "frequency Hz", "omega rad/s", "participation", "effective mass", "share %", "sum %"]
        *numbers, share, total = list(self._columns().values())[1:]
        numbers[3:] = (np.where(share < ROUNDING, 0.0, column) for column in numbers[3:])
        rows = [
            [str(j + 1), *(f"{column[j]:.5g}" for column in numbers), f"{100.0 * share[j]:.2f}", f"{100.0 * total[j]:.2f}"]
            for j in range(self.omega.size)
        ]
        found = f"{self.omega.size} of {len(self.shapes)} modes"
        return [
            Table(heads, shortened(rows)),
            "",
            f"{found}; total mass {self.total_mass:.6g}, in them {np.sum(self.effective_masses):.6g}",
        ]

    def damping_matrix(self, zeta: Any) -> Array:
        """The damping matrix (n, n) with which each of these modes has the damping ratio zeta, a number or one a mode; others have none.

        It goes to ``solve_dynamics(damping=...)``. A ratio above 1 is taken after a RuntimeWarning, as five per cent are 0.05. The matrix
        is full, whatever K is: of 20 000 degrees of freedom it takes 3.2 GB; see `damping_function`.
        """
        across, weights = self._damping(zeta, "damping_matrix")
        return np.asarray((across * weights) @ across.T)

    def damping_function(self, zeta: Any) -> Callable[[Array], Array]:
        """v -> C v of `damping_matrix` without the matrix, from k columns of n numbers: for large sparse K and few modes.

        It goes to ``solve_dynamics(damping=...)`` as well, which solves equations with it by conjugate gradients.
        """
        across, weights = self._damping(zeta, "damping_function")

        def damping(v: Array) -> Array:
            return np.asarray(across @ (weights * (across.T @ v)))

        return damping

    def _damping(self, zeta: Any, asked: str) -> tuple[Array, Array]:
        """M shapes, and what weighs them."""
        return _times(self.mass, self.shapes), 2.0 * self._ratios(zeta, asked) * self.omega

    def response(self, times: Any, load: Any, damping: Any = 0.05, *, x0: Any = None, v0: Any = None) -> Result:
        """The motion under a load as a sum of these modes, exact for a load that is linear between the times.

        Parameters
        ----------
        times : array_like (m,)
            Increasing; the motion begins at the first.
        load : array_like (n, m), or (pattern, values) of n and m numbers, or a table as in `mflow.solve_dynamics`
            Tables are (times, values), values of shape (n, times), or (times, values, pattern).
            ``(-mass_of_each, ground.a)`` is a moving ground, and so is ``(ground.t, ground.a, -mass_of_each)``, a table of times of its
            own, linear between them and zero after its end.
        damping : float or array_like (k,)
            Damping ratios of the modes; above 1 after a RuntimeWarning.
        x0, v0 : array_like (n,), optional
            Start; zeros where not given.

        Returns
        -------
        Result
            ``t``, ``x``, ``v``, ``a`` of shape (n, m), and ``q`` (k, m), the modes' own coordinates.
        """
        t, p = self._load(times, load)
        zeta, count = self._ratios(damping, "response"), self.omega.size
        across = _times(self.mass, self.shapes).T
        q, u = np.zeros((count, t.size)), np.zeros((count, t.size))
        for row, given, name in ((q, x0, "x0"), (u, v0, "v0")):
            if given is not None:
                row[:, 0] = across @ self._column(given, name)
        known: dict[float, Array] = {}
        for j in range(t.size - 1):
            h = float(t[j + 1] - t[j])
            near = next((k for k in known if abs(k - h) <= EVEN * h), None)
            if near is None:
                known[h] = recursion(h, self.omega, zeta).T
                near = h
            e_xx, e_xu, e_ux, e_uu, b_x, c_x, b_u, c_u = known[near]
            x, v, now, change = q[:, j], near * u[:, j], p[:, j], p[:, j + 1] - p[:, j]
            q[:, j + 1] = x + (e_xx * x + e_xu * v + b_x * now + c_x * change)
            u[:, j + 1] = (v + (e_ux * x + e_uu * v + b_u * now + c_u * change)) / near
        a = p - (2.0 * zeta * self.omega)[:, None] * u - (self.omega**2)[:, None] * q
        return Result(t=t, x=self.shapes @ q, v=self.shapes @ u, a=self.shapes @ a, q=q)

    def _ratios(self, zeta: Any, asked: str) -> Array:
        given = np.atleast_1d(real_array(zeta, "damping"))
        expected = f"damping: expected a finite ratio from 0 on, or {self.omega.size}, one for each mode, got"
        if given.shape not in ((1,), self.omega.shape):
            raise ValueError(f"{expected} shape {given.shape}")
        if (wrong := given[~(np.isfinite(given) & (given >= 0.0))]).size:
            raise ValueError(f"{expected} {wrong[0]:g}")
        tell_of_percent(f"Modes.{asked}", float(np.max(given, initial=0.0)))
        return np.array(np.broadcast_to(given, self.omega.shape), dtype=np.float64)

    def _column(self, given: Any, name: str) -> Array:
        column = real_array(given, name)
        if column.shape != (len(self.shapes),):
            raise ValueError(f"{name}: expected {len(self.shapes)} numbers, one for each degree of freedom, got shape {column.shape}")
        return column

    def _load(self, times: Any, load: Any) -> tuple[Array, Array]:
        """Times, and the load on each mode (k, m)."""
        t = real_array(times, "times")
        if t.ndim != 1 or t.size < 2 or not np.all(np.diff(t) > 0):
            raise ValueError(f"times: expected two or more numbers that increase, got shape {t.shape}")
        if isinstance(load, tuple) and len(load) == 3:
            at, given = real_array(load[0], "load[0], its times"), real_array(load[1], "load[1], its values")
            if at.ndim != 1 or at.size < 2 or given.shape != at.shape or not np.all(np.diff(at) > 0):
                raise ValueError(
                    f"load: expected (times, values, pattern) with two or more times that increase and as many values, got shapes "
                    f"{at.shape} and {given.shape}"
                )
            load = load[2], np.interp(t, at, given, left=0.0, right=0.0)
        if isinstance(load, tuple) and len(load) == 2 and np.ndim(load[1]) == 2:
            load = self._between(t, *(real_array(one, "load, a table") for one in load))
        if isinstance(load, tuple) and len(load) == 2:
            values = real_array(load[1], "load[1]")
            if values.shape != t.shape:
                raise ValueError(f"load: expected one value a time beside a pattern, shape {t.shape}, got shape {values.shape}")
            pattern = self._column(load[0], "load[0], its pattern")
            self._refuse_on_massless(pattern)
            return t, np.outer(self.shapes.T @ pattern, values)
        values = real_array(load, "load")
        if values.shape != (len(self.shapes), t.size):
            raise ValueError(f"load: expected shape ({len(self.shapes)}, {t.size}), or (pattern, values), got shape {values.shape}")
        self._refuse_on_massless(np.max(np.abs(values), axis=1))
        return t, self.shapes.T @ values

    def _between(self, t: Array, at: Array, given: Array) -> Array:
        """The load (n, m) at t of a table of times and values (n, times), zero outside."""
        if at.ndim != 1 or at.size < 2 or not np.all(np.diff(at) > 0) or given.shape != (len(self.shapes), at.size):
            raise ValueError(
                f"load: expected (times, values) with two or more times that increase and values of shape ({len(self.shapes)}, times), got "
                f"shapes {at.shape} and {given.shape}"
            )
        return np.array([np.interp(t, at, row, left=0.0, right=0.0) for row in given])

    def _refuse_on_massless(self, load: Array) -> None:
        """ValueError where one acts on a degree of freedom without mass: what it does to that one by itself is in no mode."""
        bad = np.flatnonzero(rows_without(self.mass) & (load != 0.0))
        if bad.size:
            raise ValueError(
                f"load: expected none at degree of freedom {bad[0]}, which has no mass and follows its load at once, as no mode does; use "
                "mflow.solve_dynamics"
            )


@knows_other_words
def modes(mass: Any, stiffness: Any, k: int | None = None, *, direction: Any = None, fixed: Any = None) -> Modes:
    """Natural modes of a structure, by SciPy's eigensolvers.

    Parameters
    ----------
    mass, stiffness : a number, n numbers (a diagonal), or a dense or SciPy sparse matrix (n, n), symmetric
        The mass is positive definite, the stiffness may leave rigid motions. None as mass: 1 for each degree of freedom. Degrees of
        freedom whose rows of the mass are 0 are condensed, as in `mflow.solve_dynamics`, and follow the others statically.
    k : int, optional
        How many, from the slowest on; all where not given, one for each degree of freedom with mass.
    direction : array_like (n,), optional
        How the degrees of freedom go along with a ground that moves by 1, for participation factors; ones where not given: of a model with
        rotations, or with motion in two directions, it is 1 where the ground's motion carries the degree of freedom along, and else 0.
    fixed : indices, or a mask of True and False, optional
        Degrees of freedom that do not move, as in `mflow.solve_dynamics`; shapes are 0 there.

    Returns
    -------
    Modes
        ``omega``, ``frequencies``, ``periods``, ``shapes``, ``participation``, ``effective_masses``, ``total_mass``, and the methods
        ``damping_matrix(zeta)``, ``damping_function(zeta)`` and ``response(times, load, damping)``, modal superposition.

    Raises
    ------
    TypeError, ValueError
        A matrix does not fit, is not symmetric, or the mass is not positive definite.

    Warns
    -----
    UserWarning
        The matrices look as if they were given in the other order.

    See Also
    --------
    mflow.solve_dynamics : the motion by steps.
    mflow.response_spectrum : the peaks of oscillators of these periods.

    References
    ----------
    A. Chopra, Dynamics of Structures (2012), chapters 10, 12 and 13.

    Examples
    --------
    >>> import mflow
    >>> m = mflow.modes([2.0, 1.0], [[6.0, -2.0], [-2.0, 4.0]])
    >>> (m.omega**2).round(12).tolist(), m.effective_masses.round(12).tolist()
    ([2.0, 5.0], [3.0, 0.0])
    """
    n = max(length_of(A, name) for name, A in (("mass", mass), ("stiffness", stiffness))) or 1
    M = matrices.checked_matrix(np.ones(n) if mass is None else mass, "mass", n)
    K = matrices.checked_matrix(stiffness, "stiffness", n)
    for name, A in (("mass", M), ("stiffness", K)):
        if not matrices.is_symmetric(A):
            raise ValueError(f"{name}: expected a symmetric matrix, got one that differs from its transpose")
    if fixed is not None:
        return _free_modes(M, K, k, direction, Supports(np.zeros(n), fixed).free)
    _tell_of_order(M, K)
    diagonal = np.asarray(M if M.ndim == 1 else M.diagonal())
    without = rows_without(M)
    if np.any((diagonal <= 0.0) & ~without) or np.all(without):
        j = int(np.flatnonzero(diagonal <= 0.0)[0])
        raise ValueError(f"mass: expected a mass above 0, or a row of zeros, at every degree of freedom, got {diagonal[j]:g} at {j}")
    kept = np.flatnonzero(~without)
    count = kept.size if k is None else check_whole(k, "k", low=1, high=kept.size)
    values, shapes = _solved(M, K, n, count) if kept.size == n else _condensed_modes(M, K, kept, count)
    largest = np.argmax(np.abs(shapes), axis=0)
    shapes = shapes * np.where(shapes[largest, np.arange(count)] < 0.0, -1.0, 1.0)
    values = np.where(np.abs(values) <= 1e-12 * np.max(np.abs(values), initial=0.0), 0.0, values)
    if np.any(values < 0.0):
        raise ValueError(
            f"stiffness: expected a positive semidefinite matrix, got one with the eigenvalue {float(values.min()):g} against the mass"
        )
    r = _direction(direction, n)
    along = _times(M, r)
    return Modes(np.sqrt(values), shapes, shapes.T @ along, M, float(r @ along))


def _direction(direction: Any, n: int) -> Array:
    r = np.ones(n) if direction is None else real_array(direction, "direction")
    if r.shape != (n,):
        raise ValueError(
            f"direction: expected {n} numbers, one for each degree of freedom, got shape {r.shape}; of a model of (x, y, rotation) at "
            "each of its nodes, np.tile([1, 0, 0], nodes) is a motion along x"
        )
    return r


def _free_modes(M: Any, K: Any, k: int | None, direction: Any, free: NDArray[np.intp]) -> Modes:
    """Modes of the degrees of freedom that move, with zeros for the others."""
    n = K.shape[0]
    if not free.size:
        raise ValueError(f"fixed: expected degrees of freedom that leave some to move, got all {n}")
    inner = modes(part(M, free), part(K, free), k, direction=_direction(direction, n)[free])
    shapes = np.zeros((n, inner.omega.size))
    shapes[free] = inner.shapes
    return Modes(inner.omega, shapes, inner.participation, M, inner.total_mass)


def _tell_of_order(M: Any, K: Any) -> None:
    """Warns where the mass is coupled as springs are, and the stiffness is a diagonal, as masses are."""
    if M.ndim == 1 or K.ndim != 1 or M.shape[0] < 2:
        return
    dense = full(M) if M.shape[0] <= DENSE else M
    diagonal = np.asarray(dense.diagonal())
    beside = np.asarray(dense.sum(axis=1)).ravel() - diagonal
    if np.all(beside < 0.0) and np.all(beside >= -1.0001 * diagonal):
        tell(
            "modes: the mass has entries below 0 beside its diagonal, as springs between neighbours have, and the stiffness is a diagonal: "
            "the order is modes(mass, stiffness)",
            UserWarning,
        )


def _solved(M: Any, K: Any, n: int, count: int) -> tuple[Array, Array]:
    return _sparse(M, K, n, count) if hasattr(K, "tocsr") and n > DENSE and 4 * count < n else _dense(M, K, n, count)


def _condensed_modes(M: Any, K: Any, kept: NDArray[np.intp], count: int) -> tuple[Array, Array]:
    """Modes of the degrees of freedom that have mass, with what follows them statically."""
    n = K.shape[0]
    found = condensed(K, np.setdiff1d(np.arange(n), kept))
    values, inner = _solved(part(M, kept), part(found.K, kept), kept.size, count)
    shapes = np.zeros((n, count))
    shapes[kept] = inner
    shapes[found.index] = found.follow @ shapes[found.reach]
    return values, shapes


def _times(A: Any, x: Array) -> Array:
    out: Array = np.asarray((A[:, None] * x if x.ndim == 2 else A * x) if A.ndim == 1 else A @ x)
    return out


def _dense(M: Any, K: Any, n: int, count: int) -> tuple[Array, Array]:
    linalg = need("scipy.linalg", "modes")
    try:
        if n > AT_ONCE:
            return _interruptible_dense(full(K), full(M), count)
        values, shapes = linalg.eigh(full(K), full(M), subset_by_index=[0, count - 1])
    except np.linalg.LinAlgError:
        raise ValueError("mass: expected a positive definite matrix, got one that is not") from None
    return np.asarray(values), np.asarray(shapes)


def _interruptible_dense(K: Array, M: Array, count: int) -> tuple[Array, Array]:
    """By NumPy, whose routines let other threads run, so that Ctrl-C is answered; SciPy's take fewer modes in less time."""
    work = float(len(M)) ** 3
    L = interruptible(work, np.linalg.cholesky, M)
    half = interruptible(3.0 * work, np.linalg.solve, L, K)
    reduced = interruptible(3.0 * work, np.linalg.solve, L, half.T)
    values, shapes = interruptible(9.0 * work, np.linalg.eigh, 0.5 * (reduced + reduced.T))
    return values[:count], interruptible(work, np.linalg.solve, L.T, shapes[:, :count])


def _sparse(M: Any, K: Any, n: int, count: int) -> tuple[Array, Array]:
    """By Lanczos' method around a shift below 0."""
    sparse, linalg = need("scipy.sparse", "modes"), need("scipy.sparse.linalg", "modes")
    full = [sparse.diags_array(A) if A.ndim == 1 else A for A in (K, M)]
    K, M = (sparse.csc_array(A) for A in full)
    shift = -SHIFT * float(np.mean(K.diagonal()) / np.mean(M.diagonal()))
    values, shapes = linalg.eigsh(K, count, M, sigma=shift, v0=np.cos(1.0 + np.arange(n)))
    order = np.argsort(values)
    return np.asarray(values[order]), np.asarray(shapes[:, order])
