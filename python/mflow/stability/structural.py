"""Modes of a structure, for the stability limits of second-order methods.

M x'' + C v + K x = 0 has

    diagonal matrices            each degree of freedom by itself
    no damping, or a M + b K     eigenvalues of M^-1 K (all of them up to `SMALL`, the largest by Lanczos' method beyond)
    any other damping            see `Coupled`
"""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Callable
from typing import Any

import numpy as np
from mflow_core.dynamics import matrices, structure
from mflow_core.stepping import probe, stepper
from numpy.typing import NDArray

from mflow.base.checks import Array, check_vector, length_of
from mflow.base.extras import need
from mflow.base.methods import Method
from mflow.base.pace import interruptible, pieces
from mflow.spectra import definite, krylov
from mflow.stability.criterion import criterion_of
from mflow.stability.modes import EXACT, START, STILL, Growing, GrowingModes, Modes, top_eigenvalue

__all__ = ["assembled", "may_grow", "outer_bound", "structure_modes"]

SMALL = 400
DENSE = 200  # all eigenvalues of steps with several forces are computed, where the damping couples the modes; of others, up to `SMALL`
MANY = 600  # all eigenvalues of the structure are
CUTS = 20  # of the region of k and c
REACH = 1e-6  # of an eigenvalue: to which the reach of the region is looked for
SHARP = 1e-5  # of the largest k and c: to which the region is cut
KNOWN = 2e-3  # of a limit: to which it must be known, to be called that
UNSURE = 1e-3  # of the largest: what Lanczos may be off by at the lower end
FINE = 1e-10  # the same where it is computed from dense matrices
STEPS = 400  # twice, the second time for the growth: GROWTH there is a spectral radius of 1.006
GROWTH = 10.0
NEAR = 0.02  # relative distance of a step that grows from one at which growth is not seen
ROUNDING = 1e-12  # of the largest k and c: what is below 0 by less does not grow
SHIFT = 1e-10  # of the largest entry of a matrix, that rounding hides of what is below 0
RATIOS = 1000  # damping ratios that are told apart where there are many modes
LANCZOS = 300


def structure_modes(n: int, mass: Any, damping: Any, stiffness: Any) -> Modes:
    """Modes of M x'' + C v + K x = 0.

    Parameters
    ----------
    n : degrees of freedom
    mass, damping, stiffness : None, a number, n numbers (a diagonal), or a dense or SciPy sparse matrix (n, n)

    Raises
    ------
    ValueError
        A matrix does not fit, or the mass is not positive definite; the text names it.
    """
    if isinstance(damping, str):
        raise TypeError(
            f"damping: expected a matrix, got {damping!r}; give the method's own damping to an instance, as in mflow.Staggered(...)"
        )
    M = np.ones(n) if mass is None else matrices.checked_matrix(mass, "mass", n)
    C, K = (None if a is None else matrices.checked_matrix(a, name, n) for a, name in ((damping, "damping"), (stiffness, "stiffness")))
    C, K = (None if matrices.is_zero(a) else a for a in (C, K))
    if K is not None and not matrices.smallest(M if M.ndim == 1 else np.ascontiguousarray(M.diagonal())) > 0.0:
        M, C, K = _with_mass(n, M, C, K)
        n = len(M) if M.ndim == 1 else M.shape[0]
    _check_mass(M)
    if K is None and C is None:
        return Modes(np.zeros(0), np.zeros(0))
    if all(a is None or a.ndim == 1 for a in (M, C, K)):
        with np.errstate(over="ignore"):
            k, c = (np.zeros(n) if a is None else a / M for a in (K, C))
        if not (np.isfinite(k).all() and np.isfinite(c).all()):
            raise ValueError(f"mass: expected numbers by which stiffness and damping can be divided, got {float(np.min(M)):g}")
        return _limiting_modes(k, c)
    share = None if C is None else _rayleigh(n, M, C, K)
    if C is not None and share is None:
        return _coupled(n, M, C, K)
    k = _eigenvalues(M, K, n)
    a, b = share or (0.0, 0.0)
    if n > SMALL:
        k = k[-1] * np.append(np.geomspace(1e-8, 1.0, 65), 0.0)
    c = a + b * k
    c[np.abs(c) <= EXACT * (abs(a) + np.abs(b * k))] = 0.0  # a mode that the damping leaves alone
    return _limiting_modes(k, c)


def assembled(mass: Any, damping: Any, stiffness: Any, fixed: Any, rayleigh: Any) -> tuple[int, Any, Any, Any]:
    """(n, M, C, K) of what moves, with the damping a M + b K beside any other. fixed, rayleigh : as those of `solve_dynamics`; or None."""
    n = max(length_of(A, name) for name, A in (("mass", mass), ("stiffness", stiffness), ("damping", damping))) or 1
    if fixed is rayleigh is None:
        return n, mass, damping, stiffness
    M: Any = matrices.checked_matrix(np.ones(n) if mass is None else mass, "mass", n)
    C, K = (None if A is None else matrices.checked_matrix(A, name, n) for A, name in ((damping, "damping"), (stiffness, "stiffness")))
    if rayleigh is not None:
        a, b = check_vector(rayleigh, "rayleigh", 2)
        if b and K is None:
            raise ValueError(f"rayleigh: expected b = 0 without a stiffness, which b multiplies, got ({a:g}, {b:g})")
        terms = [(a, M), (b, K), (1.0, C)]
        C = _sum([factor * A for factor, A in terms if A is not None])
    if fixed is None:
        return n, M, C, K
    index = np.asarray(list(fixed) if isinstance(fixed, dict) else fixed)
    index = np.flatnonzero(index) if index.dtype == bool and index.size == n else np.atleast_1d(index)
    if index.size and (index.dtype.kind not in "iu" or index.ndim != 1 or index.min() < -n or index.max() >= n):
        given = repr(fixed) if index.size <= 10 and index.ndim < 2 else f"an array of {index.dtype} of shape {index.shape}"
        among = f"indices of degrees of freedom from 0 to {n - 1}, or a mask of {n} of True and False"
        raise ValueError(f"fixed: expected {among}, got {given}")
    free = np.delete(np.arange(n), index.astype(np.intp))
    if not free.size:
        raise ValueError(f"fixed: expected degrees of freedom that leave some to move, got all {n}")
    from mflow.spectra.condensed import part

    return free.size, part(M, free), part(C, free), part(K, free)


def _sum(terms: list[Any]) -> Any:
    """Of diagonals and matrices."""
    if all(A.ndim == 1 for A in terms):
        return sum(terms)
    if not any(hasattr(A, "tocsr") for A in terms):
        return sum(np.diag(A) if A.ndim == 1 else A for A in terms)
    sparse = need("scipy.sparse", "a sparse matrix")
    return functools.reduce(operator.add, [sparse.csr_array(sparse.diags_array(A) if A.ndim == 1 else A) for A in terms])


def _with_mass(n: int, M: Any, C: Any, K: Any) -> tuple[Any, Any, Any]:
    """The matrices of the degrees of freedom that have mass, the others condensed."""
    from mflow.spectra.condensed import DASHPOT, condensed, part, rows_without  # few programs need it

    without = rows_without(M)
    index = np.flatnonzero(without)
    if not index.size or index.size == n:
        return M, C, K
    kept = np.flatnonzero(~without)
    share = None if C is None or np.all(rows_without(C)[index]) else _rayleigh(n, M, C, K)
    if C is not None and share is None and not np.all(rows_without(C)[index]):
        raise ValueError(DASHPOT.format(index[~rows_without(C)[index]][0], "a * mass + b * stiffness"))
    M, C, K = part(M, kept), part(C, kept), part(condensed(K, index).K, kept)
    if share is not None:
        a, b = share
        C = definite.full(a * M) + definite.full(b * K) if M.ndim != K.ndim else a * M + b * K
    return M, C, K


def _check_mass(M: Any) -> None:
    """ValueError where a checked mass cannot be one; whether a matrix is positive definite is seen later."""
    diagonal = np.asarray(M if M.ndim == 1 else M.diagonal())
    bad = np.flatnonzero(~(diagonal > 0.0))
    if bad.size:
        raise ValueError(f"mass: expected a mass above 0 at every degree of freedom, got {diagonal[bad[0]]:g} at {bad[0]}")
    if M.ndim == 2 and not matrices.is_symmetric(M):
        raise ValueError("mass: expected a symmetric matrix, got one that differs from its transpose")


def outer_bound(n: int, mass: Any, damping: Any, stiffness: Any) -> Modes | None:
    """Modes outside all others, from row sums of checked matrices; None where the mass is no diagonal."""
    if mass is not None and mass.ndim != 1:
        return None
    M = np.ones(n) if mass is None else mass
    k, c = (
        0.0 if A is None else float(np.max((np.abs(A) if A.ndim == 1 else np.asarray(abs(A).sum(axis=1)).ravel()) / M, initial=0.0))
        for A in (stiffness, damping)
    )
    return Modes(np.array([k, k, 0.0]), np.array([c, 0.0, c]), exact=False)


def may_grow(n: int, mass: Any, damping: Any, stiffness: Any) -> bool:
    """Whether checked matrices push away from rest, or feed motion: then implicit steps have a limit too. Not known beyond `SMALL`, but for
    diagonals."""
    return n > 0 and ((stiffness is not None and _pushes(stiffness, n)) or (damping is not None and _pushes(damping, n)))


def _pushes(A: Any, n: int) -> bool:
    """Whether x' A x is below 0 for some x, by more than rounding."""
    if A.ndim == 1:
        least: float = matrices.smallest(A)
        return least < 0.0 and bool(least < -ROUNDING * np.max(np.abs(A)))
    if n > SMALL:
        return False
    dense = definite.full(A)
    diagonal = dense.diagonal()
    if diagonal.min() < -SHIFT * np.max(np.abs(diagonal)):
        return True
    shifted = dense + dense.T  # twice
    if np.all(4.0 * diagonal >= np.abs(shifted).sum(axis=1)):
        return False  # as the rows of frames and chains, at a small part of what a factorization takes
    shifted.flat[:: n + 1] += SHIFT * max(dense.max(), -dense.min()) or 1.0
    try:
        np.linalg.cholesky(shifted)
    except np.linalg.LinAlgError:
        return True
    return False


def _limiting_modes(k: Array, c: Array) -> Modes:
    """Those that set the limit, with those that grow by themselves."""
    growing = (k < -ROUNDING * np.max(np.abs(k), initial=0.0)) | (c < -ROUNDING * np.max(np.abs(c), initial=0.0))
    rest, grown = _outermost(k[~growing], c[~growing]), np.flatnonzero(growing)
    if not grown.size:
        return rest
    return GrowingModes(rest, k[grown], c[grown])


def _outermost(k: Array, c: Array) -> Modes:
    """The modes that can set the limit: of each damping ratio the fastest, as limits are inversely proportional to the frequency."""
    if k.size <= 2 * RATIOS:
        return Modes(k, c)
    swings, slides = np.flatnonzero(k > 0.0), np.flatnonzero((k <= 0.0) & (c > 0.0))
    kept = [slides[np.argmax(c[slides])]] if slides.size else []
    if swings.size:
        zeta = np.maximum(0.5 * np.abs(c[swings]) / np.sqrt(k[swings]), 1e-4)  # smaller ones change a limit by less than that
        place = np.log(zeta)
        bins = ((RATIOS - 1) * (place - place.min()) / max(float(np.ptp(place)), 1e-300)).astype(np.intp)
        order = np.lexsort((k[swings], bins))
        last = np.append(np.diff(bins[order]) > 0, True)
        kept += swings[order[last]].tolist()
    return Modes(k[kept], c[kept])


def _times(A: Any, x: Array) -> Array:
    y: Array = A * x if A.ndim == 1 else A @ x
    return y


def _rayleigh(n: int, M: Any, C: Any, K: Any) -> tuple[float, float] | None:
    """(a, b) with C = a M + b K, tested with two random vectors, from fixed seeds; None where there are none."""
    vectors = [krylov.random_vector(n, START + k) for k in (1, 2)]
    columns = [np.concatenate([_times(A, v) for v in vectors]) for A in ((M,) if K is None else (M, K))]
    target = np.concatenate([_times(C, v) for v in vectors])
    basis = np.stack(columns, axis=1)
    weights = np.linalg.lstsq(basis, target, rcond=None)[0]
    if np.linalg.norm(basis @ weights - target) > 1e-9 * np.linalg.norm(target):
        return None
    return float(weights[0]), float(weights[1]) if len(weights) > 1 else 0.0


def _eigenvalues(M: Any, A: Any, n: int) -> Array:
    """Eigenvalues of M^-1 A: all, or the largest. Where A is not symmetric, real parts, the largest from below by Arnoldi's method."""
    if A is None:
        return np.zeros(1)
    if n > SMALL and matrices.is_symmetric(A):
        return np.array([sum(largest(M, lambda x: _times(A, x), n))])
    if n > SMALL:
        solve = _mass_solver(M)
        return np.array([top_eigenvalue(lambda x: solve(_times(A, x)), n, LANCZOS)[0]])
    dense = [definite.full(B) for B in (M, A)]
    try:
        L = np.linalg.cholesky(dense[0])
    except np.linalg.LinAlgError:
        raise ValueError("mass: expected a positive definite matrix, got one that is not") from None
    reduced: Array = np.asarray(np.linalg.solve(L, np.linalg.solve(L, dense[1]).T).T, dtype=np.float64)
    if matrices.is_symmetric(dense[1]):
        values = np.asarray(interruptible(float(n) ** 3, np.linalg.eigvalsh, 0.5 * (reduced + reduced.T)), dtype=np.float64)
    else:
        values = np.asarray(interruptible(10.0 * n**3, np.linalg.eigvals, reduced).real, dtype=np.float64)
    values[np.abs(values) <= 1e-13 * np.abs(values).max(initial=0.0)] = 0.0
    return values


def largest(
    M: Any, times: Callable[[Array], Array], n: int, accuracy: float = 1e-3, solve: Callable[[Array], Array] | None = None
) -> tuple[float, float]:
    """The largest eigenvalue of M^-1 A, A symmetric and given by its products, and how much larger it may be, by Lanczos' method in M's
    inner product, without keeping the basis. solve: with M, where that is at hand."""
    solve = solve or _mass_solver(M)
    v = krylov.random_vector(n, START)
    v /= math.sqrt(v @ _times(M, v))
    before, beta = np.zeros(n), 0.0
    alphas: list[float] = []
    betas: list[float] = []
    top = rest = 0.0
    for k in range(min(LANCZOS, n)):
        w = solve(times(v)) - beta * before
        Mv = _times(M, v)
        alphas.append(float(w @ Mv))
        w = w - alphas[-1] * v
        beta = math.sqrt(max(float(w @ _times(M, w)), 0.0))
        if k % 10 == 9 or beta <= 1e-14 * abs(alphas[0]) or k == min(LANCZOS, n) - 1:
            T = np.diag(alphas) + np.diag(betas, 1) + np.diag(betas, -1)
            values, vectors = np.linalg.eigh(T)
            top, rest = float(values[-1]), beta * abs(float(vectors[-1, -1]))
            if rest <= accuracy * abs(top):
                break
        betas.append(beta)
        before, v = v, w / beta
    return top, rest


def _mass_solver(M: Any) -> Callable[[Array], Array]:
    if M.ndim == 1:
        return lambda b: b / M
    if hasattr(M, "tocsc"):
        factors = need("scipy.sparse.linalg", "a sparse mass").splu(M.tocsc())
        return lambda b: np.asarray(factors.solve(b))
    inverse = interruptible(2.0 * float(len(M)) ** 3, np.linalg.inv, M)
    return lambda b: inverse @ b


# ---- damping that couples the modes ----------------------------------------------------------------------------------------------------


class Coupled(Growing):
    """A structure whose damping is no a M + b K.

    An eigenvector u of a step has Rayleigh quotients k = u'K u, c = u'C u (u'M u = 1). All pairs that vectors have fill a convex region; a
    polygon around it is cut where the limit of a corner is the smallest, along the condition that ends it, as far as the region reaches.
    Where the criterion is linear, the smallest limit of the corners is a bound of the structure's limit, and the limit itself where the
    condition is that of the factor -1, whose eigenvector has the corner's k and c. The matrices of a symmetric structure are asked first
    (`_exact`). Where they do not tell the limit, and the bound is not the limit, the eigenvalues of steps are computed: up to `SMALL`
    degrees of freedom, or `DENSE` where a step evaluates several forces.
    """

    def __init__(self, n: int, M: Any, C: Any, K: Any, symmetric: bool) -> None:
        self.n, self.matrices = n, (M, C, K)
        self.dense = _reduced(M, C, K) if n <= SMALL else None
        self.solve = None if self.dense is not None else _mass_solver(M)
        self.size = np.ones(2)
        k_top, c_top = (max(sum(self._reach(np.array(d))), 0.0) for d in ((1.0, 0.0), (0.0, 1.0)))
        super().__init__(np.array([k_top, k_top, 0.0]), np.array([c_top, 0.0, c_top]), exact=False)
        self.size = np.array([k_top or 1.0, c_top or 1.0])
        low = [-sum(self._reach(np.array(d))) for d in ((-1.0, 0.0), (0.0, -1.0))]
        self.symmetric = symmetric
        self.grows = not symmetric or min(low) < -(UNSURE if self.dense is None else FINE)  # by itself, perhaps
        k, c = np.clip(low, 0.0, 1.0)
        k_top, c_top = float(k_top > 0.0), float(c_top > 0.0)
        self.polygon = np.array([[k, c], [k_top, c], [k_top, c_top], [k, c_top]])
        for d in ((1.0, 1.0), (1.0, -1.0), (-1.0, 1.0)):
            self._cut(np.array(d) / math.sqrt(2.0))
        self.limits: dict[Method, tuple[float, str]] = {}
        self.bounds: dict[Method, tuple[float, bool]] = {}
        self.ends: dict[Method, float] = {}  # steps at which something grows

    @functools.cached_property
    def reduced(self) -> tuple[Array, Array]:
        """Dense C and K, in coordinates in which the mass is 1."""
        return self.dense or _reduced(*self.matrices)

    @functools.cached_property
    def eigenvalues(self) -> NDArray[np.complex128]:
        """All eigenvalues of the structure."""
        C, K = self.reduced
        return _roots([K, C, np.eye(self.n)])

    @property
    def fastest(self) -> float:
        """The largest rate; where velocities are turned, how fast they turn."""
        return super().fastest if self.symmetric else float(np.max(np.abs(self.eigenvalues)))

    def gain(self, method: Method, dt: float) -> float:
        """By how much of itself a step of dt makes the fastest growing mode larger, beyond what grows by itself."""
        return math.expm1(dt * max(self._margin(method, dt), 0.0)) if self._computes(method) else super().gain(method, dt)

    def kind(self, method: Method) -> str:
        """What `limit` is."""
        self.limit(method)
        return self.limits[method][1] if method in self.limits else "limit"

    def stable(self, method: Method, dt: float) -> bool:
        """Whether steps of dt make nothing grow but what grows by itself; beyond `DENSE`, whether limit or bound says so."""
        if criterion_of(method).always and not self.grows:
            return True
        if self.n <= DENSE and self._computes(method):
            return self._margin(method, dt) <= 0.0
        sure = criterion_of(method).linear and not self.grows and dt <= self._bound(method)[0]  # the limit may take long to find
        return sure or dt <= self.limit(method)

    def grows_at(self, method: Method) -> float:
        """A step at which a run of the structure was seen to grow, near the shortest one; inf where none was. Slow growth is not seen."""
        limit, end = self.limit(method), self.ends.get(method, math.inf)
        problem = structure.Structure(self.n, *self.matrices)
        lower = limit if 0.0 < limit < math.inf else 1e-3 / max(self.omega, float(np.max(self.c, initial=0.0)))
        upper, far = 2.0 * lower, 1e6 * lower
        while _stays(problem, method, upper):
            lower, upper = upper, 2.0 * upper
            if upper > min(far, end):
                return end
        while upper > (1.0 + NEAR) * lower:
            middle = math.sqrt(lower * upper)
            lower, upper = (middle, upper) if _stays(problem, method, middle) else (lower, middle)
        return min(upper, end)

    def limit(self, method: Method) -> float:
        """The largest dt up to which every step is stable, or a bound of it, or an estimate: see `kind`."""
        if criterion_of(method).always and not self.grows:
            return math.inf
        exact = None if method in self.limits else self._exact(method)
        if exact is not None:
            self.limits[method] = exact, "limit"
        if method not in self.limits:
            linear = criterion_of(method).linear
            bound, sharp = self._bound(method)
            kind = "limit" if sharp or bound == math.inf else "bound"
            if not linear or self.grows:
                bound, kind = self._estimate(method, bound), "estimate"
            if kind != "limit" and self._computes(method):
                bound, kind = self._search(method, bound), "limit"
            self.limits[method] = bound, kind
        return self.limits[method][0]

    # ---- many degrees of freedom ---------------------------------------------------------------------------------------------------------

    def _exact(self, method: Method) -> float | None:
        """The limit of a structure that does not grow by itself, or None where its matrices do not tell it.

        Where each factor of a step belongs to an eigenvalue z of the structure, these are the modes: |z|^2 and -2 Re z. Else the matrices
        B_i of the criterion are looked at, where they are symmetric. A step is stable while all are definite, and something grows as soon
        as the last one, which falls with h, is not: then det(sum B_i s^i) has a zero for real s > 0, as the sum is definite at s = 0 and
        not for large s.
        """
        criterion = criterion_of(method)
        if not criterion.linear or criterion.order != 2:
            return None
        if criterion.of_eigenvalues and self.n <= MANY and not (self.grows and self.growth > 0.0):
            return self._own_modes.limit(method)
        if criterion.of_eigenvalues or self.grows:
            return None
        *others, (r, p, q) = criterion.matrices(1.0)
        if not (r > 0.0 and p <= 0.0 and q <= 0.0):
            return None
        M, C, K = self.matrices
        low, high = definite.last_definite(M, C, K, (r, -p, -q), min(criterion.limit(k, c)[0] for k, c in zip(self.k, self.c, strict=True)))
        if high < math.inf:
            self.ends[method] = high
        sharp = low == high or high - low <= FINE * high
        for r, p, q in others if sharp else ():
            sharp = sharp and (
                min(r, p, q) >= 0.0 or (high < math.inf and definite.is_definite([(r, M), (q * low, C), (p * low * low, K)]))
            )
        return low if sharp else None

    @functools.cached_property
    def _own_modes(self) -> Modes:
        """Of the eigenvalues, without what is rigid and what damps by rounding alone."""
        z = self.eigenvalues
        size = float(np.max(np.abs(z)))
        z = z[np.abs(z) > STILL * size]
        c = np.where(-z.real > EXACT * size, -z.real, 0.0)
        swings = z.imag != 0.0
        return Modes(np.where(swings, np.abs(z) ** 2, 0.0), np.where(swings, 2.0 * c, c))

    # ---- the region of k and c -----------------------------------------------------------------------------------------------------------

    def _reach(self, d: Array) -> tuple[float, float]:
        """How far the region reaches in a direction, and how much farther it may: the largest eigenvalue of d_0 K + d_1 C, in units of the
        largest k and c."""
        d = d / self.size
        if self.dense is not None:
            C, K = self.dense
            S = d[0] * K + d[1] * C
            return float(np.linalg.eigvalsh(0.5 * (S + S.T))[-1]), 0.0
        M, C, K = self.matrices
        return largest(M, lambda x: d[0] * _times(K, x) + d[1] * _times(C, x), self.n, REACH, self.solve)

    def _cut(self, d: Array) -> tuple[float, float]:
        """Cut the polygon along the line where the region ends in the direction d; how much farther the polygon reached, and by how much
        the line may lie outside."""
        reach, rest = self._reach(d)
        reach, along = reach + rest, self.polygon @ d
        over = float(np.max(along)) - reach
        if over > 0.0 and np.any(along < reach):
            points = []
            for p, q, at_p, at_q in zip(self.polygon, np.roll(self.polygon, -1, axis=0), along, np.roll(along, -1), strict=True):
                if at_p <= reach:
                    points.append(p)
                if (at_p - reach) * (at_q - reach) < 0.0:
                    points.append(p + (reach - at_p) / (at_q - at_p) * (q - p))
            self.polygon = np.array(points)
        return over, rest

    def _bound(self, method: Method) -> tuple[float, bool]:
        """The smallest limit of the polygon's corners, and whether it is the limit of the structure."""
        if method not in self.bounds:
            self.bounds[method] = self._corner(method)
        return self.bounds[method]

    def _corner(self, method: Method) -> tuple[float, bool]:
        criterion = criterion_of(method)
        limit_at = functools.cache(criterion.limit)  # a cut leaves most corners where they are
        for _ in range(CUTS):
            limits = [limit_at(*(self.size * corner).tolist()) for corner in self.polygon]
            worst = min(range(len(limits)), key=lambda i: limits[i][0])
            limit, which = limits[worst]
            if limit == math.inf or not criterion.linear or which > criterion.order:
                return limit, False
            corner, count = self.polygon[worst], len(self.polygon)
            if limit > 0.0:
                d = -np.array(criterion.slope(which, limit)) * self.size
            else:  # between the sides that meet there
                sides = [corner - self.polygon[worst - 1], self.polygon[(worst + 1) % count] - corner]
                d = np.sum([np.array([e[1], -e[0]]) / max(float(np.linalg.norm(e)), 1e-300) for e in sides], axis=0)
            length = float(np.linalg.norm(d))
            if not length > 0.0:
                return limit, False
            over, rest = self._cut(d / length)
            if over <= (SHARP if self.dense is None else FINE):
                inner = self.size * np.maximum(corner - (max(over, 0.0) + rest) * d / length, 0.0)
                sharp = which == criterion.order and limit > 0.0 and criterion.limit(*inner.tolist())[0] <= (1.0 + KNOWN) * limit
                return limit, sharp
        return limit, False

    def _estimate(self, method: Method, limit: float) -> float:
        """A limit that runs of the structure keep, where the region tells none."""
        if self._computes(method) or not 0.0 < limit < math.inf:
            return limit
        M, C, K = self.matrices
        problem = structure.Structure(self.n, M, C, K)
        while not _stays(problem, method, limit):
            limit *= 0.8
        return limit

    # ---- all eigenvalues of a step -------------------------------------------------------------------------------------------------------

    def _computes(self, method: Method) -> bool:
        return criterion_of(method).order == 2 and self.n <= (SMALL if method.record.stages <= 1 else DENSE)

    def _rates(self, method: Method, dt: float) -> tuple[NDArray[np.complex128], float]:
        criterion, n = criterion_of(method), self.n
        if criterion.linear:
            one, (C, K) = np.eye(n), self.reduced
            b = [r * one + p * K + q * C for r, p, q in criterion.matrices(dt)]
            return _roots([b[0] / dt**2, b[1] / (2.0 * dt), 0.25 * b[2]]), 0.0
        M, C, K = self.matrices
        A = probe.system_matrix(method.record, method.numbers, structure.Structure(n, M, C, K), dt)
        if method.record.stages <= 1:  # those with several forces a step need not leave a = M^-1 F
            solve = _mass_solver(M)
            a = -np.column_stack([solve(column) for column in np.hstack([definite.full(K), definite.full(C)]).T])
            A = A[: 2 * n, : 2 * n] + A[: 2 * n, 2 * n : 3 * n] @ a
        if not np.all(np.isfinite(A)):
            return np.array([math.inf + 0j]), 1.0
        factors = interruptible(80.0 * n**3, np.linalg.eigvals, A).astype(np.complex128)
        with np.errstate(divide="ignore", invalid="ignore"):
            return (2.0 / dt) * (factors - 1.0) / (factors + 1.0), 1.0

    def _of_modes(self, method: Method) -> float:
        """The limit of the modes without damping, each with its own share of the damping: right where the damping is light."""
        C, K = self.reduced
        k, u = np.linalg.eigh(0.5 * (K + K.T))
        return Modes(k, np.einsum("ij,ij->j", u, C @ u)).limit(method)


def _coupled(n: int, M: Any, C: Any, K: Any) -> Modes:
    """Modes of a structure whose damping C is no a M + b K."""
    symmetric = all(A is None or matrices.is_symmetric(A) for A in (C, K))
    if symmetric or n <= DENSE:
        return Coupled(n, M, C, np.zeros(n) if K is None else K, symmetric)
    k, c = (float(_eigenvalues(M, A, n).max(initial=0.0)) for A in (K, C))
    return Modes(np.array([k, k, 0.0]), np.array([c, 0.0, c]), exact=False)


def _reduced(M: Any, C: Any, K: Any) -> tuple[Array, Array]:
    """C and K, dense, in coordinates in which the mass is 1."""
    try:
        L = np.linalg.cholesky(definite.full(M))
    except np.linalg.LinAlgError:
        raise ValueError("mass: expected a positive definite matrix, got one that is not") from None
    out = [np.linalg.solve(L, np.linalg.solve(L, definite.full(A)).T).T for A in (C, K)]
    return out[0], out[1]


def _roots(b: list[Array]) -> NDArray[np.complex128]:
    """The z for which b_0 + b_1 z + b_2 z^2 is singular; infinite ones where b_2 is."""
    n = len(b[0])
    try:
        lower = -np.linalg.solve(b[2], np.hstack([b[0], b[1]]))
    except np.linalg.LinAlgError:
        return np.array([math.inf + 0j])
    companion = np.vstack([np.eye(n, 2 * n, n), lower])
    values: NDArray[np.complex128] = interruptible(80.0 * n**3, np.linalg.eigvals, companion).astype(np.complex128)
    return values


def _stays(problem: structure.Structure, method: Method, dt: float) -> bool:
    """Whether steps of dt keep a random vector, from a fixed seed, within bounds."""
    x, v = krylov.random_vector(problem.n, START + 3), krylov.random_vector(problem.n, START + 4) / dt
    run = stepper.Run(method.record, problem, x, 0.0, dt, method.numbers, v0=v)
    with np.errstate(all="ignore"):
        sizes = []
        for _ in range(2):
            for count, _ in pieces(STEPS):
                if run.fixed(count) != 0:
                    return False
            sizes.append(float(np.linalg.norm(run.y)) + dt * float(np.linalg.norm(run.vector(1))))
    return sizes[1] <= GROWTH * sizes[0]
