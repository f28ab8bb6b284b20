"""Starts of M y' = f(t, y) with a singular M: the algebraic equations U' f(t0, y0) = 0 must hold, and U' J V must be regular (index 1)."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from mflow.base.checks import Array
from mflow.base.extras import need
from mflow.base.pace import interruptible
from mflow.derivatives.differences import tried
from mflow.solvers.mass import Mass

__all__ = ["Found", "consistent_start", "fold_words", "lost_to_rounding"]

EPS = float(np.finfo(np.float64).eps)
ROOT_EPS = math.sqrt(EPS)
MOST, FEW = 2000, 200  # algebraic equations that a dense matrix is made for; where J is sparse
SHOWN = 4  # components in words
SMALL = 500  # unknowns whose pencil is looked at
SVD = 4.0  # multiplications of singular values, of the number of unknowns cubed
ITERATIONS, HALVINGS = 100, 60
AGAIN, SHRUNK = 10, 0.9  # iterations, in which updates that find a solution come down to that part at least
ROUNDED = 1e-9  # of the state: updates below it that no longer shrink are rounding in f
RESOLVED = 32.0 * EPS  # of the terms of an algebraic equation: what steps can tell from rounding
FOLD = 0.02  # of the state: how far a fold is looked for
ROUNDING = 64.0 * EPS  # a start is left as it is where it would move by less than this


class Found(NamedTuple):
    """The start that is taken; what to say of it: "" where it is the one that was given; the sign of det(U' J V) there, 0: not known."""

    y: Array
    words: str
    sign: float = 0.0


class _Equations:
    """g(y) = U' f(t0, y) with its derivative along V: U' J V."""

    def __init__(
        self, mass: Mass, t0: float, y0: Array, slope: Callable[[Array], Array], jacobian: Callable[[Array], Any] | None, size: Array
    ) -> None:
        beside = ROOT_EPS * max(EPS, 1e-5 * float(np.max(np.abs(y0), initial=0.0)))  # less is lost where components are added up
        self.mass, self.t0, self.slope, self.jacobian, self.least = mass, t0, slope, jacobian, np.maximum(1e-3 * size, beside)
        self.exact = jacobian is not None

    def at(self, y: Array) -> Array:
        """g(y)."""
        return self.mass.left.times(self.slope(y))

    def full(self, y: Array) -> Array:
        """U' J V, an array."""
        G = self.derivative(y)
        return np.asarray(G.toarray() if hasattr(G, "tocsc") else G)

    def derivative(self, y: Array) -> Any:
        """U' J V, an array or a sparse matrix; what is rounding in the sums of it is 0."""
        left, right = self.mass.left, self.mass.right
        J: Any = self.jacobian(y) if self.jacobian is not None else None
        if hasattr(J, "tocsc"):
            U, V = left.sparse(), right.sparse().T
            G = U @ J @ V
            return _without_rounding(G.toarray(), (abs(U) @ abs(J) @ abs(V)).toarray()) if left.height <= FEW else G.tocsc()
        if left.height > MOST:
            raise ValueError(f"jac: expected a sparse matrix where mass= leaves {left.height} algebraic equations, got none; give jac")
        if J is not None:
            U, J, V = left.full(), np.asarray(J), right.full().T
            return _without_rounding(U @ J @ V, np.abs(U) @ np.abs(J) @ np.abs(V))
        f, out = self.slope(y), np.empty((left.height, right.height))
        terms, absolute = np.empty_like(out), left._replace(values=np.abs(left.values))
        for k in range(right.height):
            part = slice(right.indptr[k], right.indptr[k + 1])
            place, direction = right.indices[part], right.values[part]
            step = max(ROOT_EPS * float(np.max(np.abs(y[place]))), float(np.min(self.least[place])))
            moved = y.copy()
            moved[place] += step * direction
            change = (self.slope(moved) - f) / step
            out[:, k], terms[:, k] = left.times(change), absolute.times(np.abs(change))
        return _without_rounding(out, terms)


def _without_rounding(G: Array, terms: Array) -> Array:
    """Entries that are no more than the rounding of the sums of these terms are 0: U and V are known to that alone."""
    return np.where(np.abs(G) <= RESOLVED * terms, 0.0, G)


def consistent_start(
    mass: Mass,
    t0: float,
    y0: Array,
    slope: Callable[[Array], Array],
    jacobian: Callable[[Array], Any] | None,
    how: str,
    size: Array,
) -> Found:
    """The start that the algebraic equations allow, and whether the problem is of index 1 there.

    Parameters
    ----------
    mass : Mass
    t0 : float
    y0 : float64 array (n,)
    slope : callable
        f(t0, y).
    jacobian : callable or None
        J at (t0, y), an array or sparse matrix; None: differences.
    how : "project" or "check"
        "project": y0 moves in the directions of the null space of M, which leaves M y0 as it is, until the equations hold.
        "check": it stays, and is an error where the equations would move it by more than `size`.
    size : float64 array (n,)
        What is small for each component: the tolerances, or rounding.

    Raises
    ------
    ValueError
        The slope is not finite at y0, the pencil (M, J) is singular, the index is above 1, or the start is not consistent.

    Examples
    --------
    >>> import numpy as np
    >>> from mflow.solvers.consistent import consistent_start
    >>> from mflow.solvers.mass import mass_of
    >>> M = mass_of([1.0, 0.0], 2)
    >>> f = lambda y: np.array([-y[0], y[0] ** 2 - y[1]])
    >>> consistent_start(M, 0.0, np.array([2.0, 0.0]), f, None, "project", np.full(2, 1e-6)).y.round(12).tolist()
    [2.0, 4.0]
    """
    equations = _Equations(mass, t0, y0, slope, jacobian, size)
    f = slope(y0)
    if not np.all(np.isfinite(f)):
        where = int(np.flatnonzero(~np.isfinite(f))[0])
        raise ValueError(f"y0: expected a start where fun is finite, got {f[where]} in component {where} at t = {t0:g}")
    if not mass.n_algebraic:
        return Found(y0, "")
    solve, sign = _solver_of(equations, y0)
    first = mass.right.back(solve(-mass.left.times(f)))
    if how == "check":
        off = math.sqrt(float(np.mean((first / size) ** 2)))
        if not off <= 1.0:
            where = int(np.argmax(np.abs(first / size)))
            raise ValueError(
                f"y0: expected a start that satisfies the algebraic equations, got one that would have to move by {first[where]:.3g} in "
                f'component {where}, {off:.3g} times the tolerances; correct it, or pass consistent="project"'
            )
        return Found(y0, "", sign)
    if np.all(np.abs(first) <= ROUNDING * np.max(np.abs(y0), initial=0.0)):
        return Found(y0, "", sign)
    y, sign = _project(equations, y0, solve, sign)
    where = int(np.argmax(np.abs(y - y0) / size))
    words = f"the start moved by {y[where] - y0[where]:.3g} in component {where} to satisfy the algebraic equations"
    return Found(y, words, sign)


def lost_to_rounding(
    mass: Mass, t0: float, y: Array, slope: Callable[[Array], Array], jacobian: Callable[[Array], Any] | None, size: Array
) -> Array:
    """What rounding leaves open of each component at a consistent start: 0 outside the null space of M.

    A component that an algebraic equation makes of others, as the rest of a sum that is 1, has no digits below those of its terms. They are
    seen where y moves by a small share, of either sign. Arguments as in `consistent_start`.

    Examples
    --------
    >>> import numpy as np
    >>> from mflow.solvers.consistent import lost_to_rounding
    >>> from mflow.solvers.mass import mass_of
    >>> f = lambda y: np.array([-y[0], y[0] + y[1] - 1.0])
    >>> lost = lost_to_rounding(mass_of([1.0, 0.0], 2), 0.0, np.array([1.0, 0.0]), f, None, np.full(2, 1e-9))
    >>> float(lost[0]), bool(1e-15 < lost[1] < 1e-14)
    (0.0, True)
    """
    equations = _Equations(mass, t0, y, slope, jacobian, size)
    rng = np.random.default_rng(0)
    share = ROOT_EPS * rng.uniform(0.5, 1.5, y.size) * rng.choice([-1.0, 1.0], y.size)
    lost = mass.right.back(_solver_of(equations, y)[0](equations.at(y + share * y) - equations.at(y)))
    return np.abs(lost) * (RESOLVED / ROOT_EPS)


def fold_words(
    mass: Mass, slope: Callable[[Array], Array], jacobian: Callable[[Array], Any] | None, y: Array, start: Found, size: Array
) -> str:  # fmt: skip
    """Words, where the determinant of U' J V changes its sign next to y, at which a run from `start` cannot go on, or has changed it
    before; "" otherwise. Beside y functions may have no value. Arguments as in `consistent_start`.

    Examples
    --------
    >>> import numpy as np
    >>> from mflow.solvers.consistent import Found, fold_words
    >>> from mflow.solvers.mass import mass_of
    >>> f = lambda y: np.array([-1.0, y[1] ** 2 - y[0]])
    >>> y = np.array([1e-8, 1e-4])
    >>> fold_words(mass_of([1.0, 0.0], 2), f, None, y, Found(np.ones(2), ""), np.full(2, 1e-6))[:50]
    '; the algebraic equations fold back next to y = [1'
    """
    equations = _Equations(mass, math.nan, y, slope, jacobian, size)
    if mass.n_algebraic > FEW:
        return ""
    here = tried(equations.full, y)
    if here is None or not np.all(np.isfinite(here)):
        return ""
    if start.sign * np.linalg.slogdet(here)[0] < 0.0:
        return (
            "; the determinant of U' J V (U and V the left and right null spaces of M) has another sign than at the start: steps have led "
            "over a fold or a pole of the algebraic equations, where the solution ends or jumps; lower rtol and atol to see where"
        )
    along = mass.right.back(np.linalg.svd(here)[2][-1])
    reach = FOLD * float(np.max(np.maximum(np.abs(y), np.abs(start.y))[along != 0.0], initial=0.0)) / float(np.max(np.abs(along)))
    beside = [tried(equations.full, y + side * reach * along) for side in (1.0, -1.0)]
    signs = [float(np.linalg.slogdet(G)[0]) for G in (here, *beside) if G is not None and np.all(np.isfinite(G))]
    if signs[0] * min(signs[1:], key=lambda sign: sign * signs[0], default=signs[0]) >= 0.0:
        return ""
    where = f"y = [{', '.join(f'{value:.4g}' for value in y)}]" if y.size <= SHOWN else "this state"
    return (
        f"; the algebraic equations fold back next to {where}: the determinant of U' J V (U and V the left and right null spaces of M) "
        "changes its sign, and a solution ends there or jumps, unless branches cross; let an event end the run before, or give these "
        "equations a small mass"
    )


def _project(equations: _Equations, y0: Array, solve: Callable[[Array], Array], sign: float) -> tuple[Array, float]:
    """Newton's iteration in the null space of M, damped, with the matrix at hand while that contracts: where it comes to, and the sign of
    the determinant of the last matrix. Raises ValueError."""
    y, g, back, fresh, mark = y0, equations.at(y0), equations.mass.right.back, True, math.inf
    for k in range(ITERATIONS):
        step = back(solve(-g))
        before, length = float(np.max(np.abs(step))), 1.0
        if k % AGAIN == 0:
            if before > SHRUNK * mark:
                break
            mark = before
        top = float(np.max(np.abs(y), initial=0.0))
        if before <= 4.0 * EPS * top:
            return y + step, sign
        for _try in range(HALVINGS):
            trial = y + length * step
            new = equations.at(trial)
            after = float(np.max(np.abs(back(solve(-new))))) if np.all(np.isfinite(new)) else math.inf
            if after <= (1.0 - 0.25 * length) * before:
                break
            length *= 0.5
        else:
            if before <= ROUNDED * top:
                return y, sign
            if fresh:
                break
        if after < before:
            y, g = trial, new
        if before <= ROUNDED * top and after > 0.5 * before:
            return y, sign
        fresh = not after <= 0.1 * before
        if fresh:
            solve, sign = _solver_of(equations, y)
    left = float(np.max(np.abs(g)))
    raise ValueError(
        f"y0: expected a start near one that satisfies the algebraic equations, got one from which Newton's iteration finds none (a "
        f"residual of {left:.3g} is left at t = {equations.t0:g}); give a better start"
    )


def _solver_of(equations: _Equations, y: Array) -> tuple[Callable[[Array], Array], float]:
    """(x = (U' J V)^-1 b as a function of b, the sign of the determinant). Raises ValueError where the matrix is singular."""
    G = equations.derivative(y)
    if hasattr(G, "tocsc"):
        try:
            factors = need("scipy.sparse.linalg", "a sparse Jacobian").splu(G)
        except RuntimeError:
            raise ValueError(_words(equations, y)) from None
        from mflow.solvers.assembly import Super  # few equations are sparse

        return factors.solve, 1.0 if Super(factors, np.arange(y.size)).has_positive_sign() else -1.0
    if not np.all(np.isfinite(G)):
        raise ValueError(f"jac: expected finite entries at the start, t = {equations.t0:g}, got NaN or an infinity")
    rows = np.max(np.abs(G), axis=1, keepdims=True)
    columns = np.max(np.abs(G / np.where(rows > 0.0, rows, 1.0)), axis=0)
    if np.any(rows == 0.0) or np.any(columns == 0.0):
        raise ValueError(_words(equations, y))
    s = interruptible(SVD * float(len(G)) ** 3, np.linalg.svd, G / rows / columns, compute_uv=False)
    if s[-1] <= (len(s) * 16.0 * EPS if equations.exact else ROOT_EPS) * s[0]:
        raise ValueError(_words(equations, y))
    return lambda b: interruptible(float(len(G)) ** 3, np.linalg.solve, G, b), float(np.linalg.slogdet(G)[0])


def _words(equations: _Equations, y: Array) -> str:
    """Why U' J V is singular: the pencil is, or the index is above 1."""
    mass, J = equations.mass, None
    count = f"{mass.n_algebraic} algebraic equation{'s' if mass.n_algebraic > 1 else ''}"
    if mass.n <= SMALL:
        J = _full_jacobian(equations, y)
    if J is not None and _pencil_is_singular(mass.rows.full(), J):
        return (
            f"mass: expected a regular pencil (M, J), got one that is singular at the start: M - c J has no inverse for any c, so that fun "
            f"and mass do not determine y; one of the {count} is missing, or follows from the others"
        )
    return (
        f"mass: expected a problem of index 1, got one of a higher index at the start: the {count} "
        f"{'do' if mass.n_algebraic > 1 else 'does'} not determine the part of y in the null space of M (U' J V is singular, U and V the "
        f"left and right null spaces of M); differentiate with respect to t until that is so, as the position constraint of a pendulum "
        f"is replaced by that of its acceleration"
    )


def _full_jacobian(equations: _Equations, y: Array) -> Array:
    """J as an n x n array: the user's, or by differences."""
    if equations.jacobian is not None:
        J = equations.jacobian(y)
        return np.asarray(J.toarray() if hasattr(J, "tocsc") else J)
    f, out = equations.slope(y), np.empty((y.size, y.size))
    for k in range(y.size):
        moved = y.copy()
        moved[k] += max(ROOT_EPS * abs(float(y[k])), float(equations.least[k]))
        out[:, k] = (equations.slope(moved) - f) / (moved[k] - y[k])
    return out


def _pencil_is_singular(M: Array, J: Array) -> bool:
    """Whether M - c J is singular for several c of either sign, of the size where both weigh the same."""
    scale = (float(np.max(np.abs(M), initial=0.0)) or 1.0) / (float(np.max(np.abs(J), initial=0.0)) or 1.0)
    for c in (0.7320508, -1.6180339, 0.0271828, -31.415926):
        A = M - c * scale * J
        rows = np.max(np.abs(A), axis=1, keepdims=True)
        if np.any(rows == 0.0):
            continue
        A = A / rows
        columns = np.max(np.abs(A), axis=0)
        if np.any(columns == 0.0):
            continue
        s = interruptible(SVD * float(len(A)) ** 3, np.linalg.svd, A / columns, compute_uv=False)
        if s[-1] > ROOT_EPS * s[0]:
            return False
    return True
