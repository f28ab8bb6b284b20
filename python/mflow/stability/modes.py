"""Stability limits of second-order methods: their amplification of oscillators, probed from the kernel, and the modes of a structure.

A mode is a pair (k, c) of x'' = -k x - c v: k = omega^2, c = 2 zeta omega. The modes of a structure:

    diagonal matrices            each degree of freedom by itself
    no damping, or a M + b K     eigenvalues of M^-1 K (all of them up to `SMALL`, the largest by Lanczos' method beyond)
    any other damping            up to `WHOLE`: the matrix of a step of the whole structure; up to `RUN`: the growth of a vector without
                                 special direction in `STEPS` steps; beyond: the largest k and the largest c together and each alone,
                                 which errs on the safe side

Growth of the structure itself, from negative stiffness or damping, sets no limit. Where runs cannot tell it from instability, the outer
modes are used.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from mflow_core.dynamics import matrices, structure
from mflow_core.stepping import probe, stepper
from numpy.typing import NDArray

from mflow.base.checks import Array
from mflow.base.methods import Method, as_method
from mflow.stability.eigenvalues import bisect

__all__ = ["Modes", "force_modes", "limit_of_frequency", "oscillator_matrix", "outer_bound", "radii", "structure_modes"]

TOLERANCE = 1e-12  # the spectral radius may exceed 1 by this: rounding
OWN = 1.25  # a step may multiply a structure that grows by itself as this many of its length would
BOUNDARY = 3e-7  # and by this where eigenvalues meet on the unit circle, as they do at a limit: they are good to the root of rounding
SMALL = 400
WHOLE = 60
RUN = 5000
STEPS = 400  # twice, the second time for the growth: GROWTH there is a spectral radius of 1.006
GROWTH = 10.0
FINE = 2e-3  # to which such a limit is looked for
RATIOS = 1000  # damping ratios that are told apart where there are many modes
LANCZOS = 300
CALLS = 25  # of a force, for its largest frequency
MANY_CALLS = 90  # where a step is chosen by it
DIFFERENCE = 1e-7  # of its arguments
RATIO = 1.02  # of the steps that a search tries


def oscillator_matrix(method: Method, k: Array, c: Array) -> Array:
    """(count, n_vec, n_vec): the matrices by which a step of 1 multiplies the carried vectors on x'' = -k x - c v."""
    k, c = (np.ascontiguousarray(v, dtype=np.float64) for v in (k, c))
    with np.errstate(all="ignore"):
        out: Array = probe.oscillator_matrices(method.record, method.numbers, k, c)
    return out


def radii(matrix: Array) -> NDArray[np.float64]:
    """Spectral radii of matrices (..., n, n); inf where an entry is not finite."""
    good = np.all(np.isfinite(matrix), axis=(-2, -1))
    out = np.full(good.shape, math.inf)
    if np.any(good):
        out[good] = np.max(np.abs(np.linalg.eigvals(matrix[good])), axis=-1)
    return out


class Modes:
    """Modes (k, c), and whether a step of dt is stable for all of them.

    whole : the structure itself, where its modes do not decide; k and c then bound all modes that it has. exact : False where k and c are
    bounds alone.
    """

    def __init__(self, k: Array, c: Array, whole: structure.Structure | None = None, exact: bool = True) -> None:
        order = np.argsort(k, kind="stable")
        self.k, self.c, self.whole, self.exact = k[order], c[order], whole, exact
        self.growth = 0.0  # of the structure itself: the largest real part of its eigenvalues, where they are computed
        moves = (self.k > 0.0) | ((self.k == 0.0) & (self.c > 0.0))
        self.k, self.c = self.k[moves], self.c[moves]

    @property
    def omega(self) -> float:
        """The largest frequency."""
        return math.sqrt(float(np.max(self.k, initial=0.0)))

    def stable(self, method: Method, dt: float) -> bool:
        """Whether steps of dt make nothing grow but what grows by itself."""
        if self.whole is not None and self.whole.n > WHOLE:
            return self.stays(method, dt)
        if self.whole is not None:
            matrix = probe.system_matrix(method.record, method.numbers, self.whole, dt)
            return math.log(max(float(radii(matrix[None])[0]), 1.0)) <= OWN * self.growth * dt + BOUNDARY
        if not self.k.size:
            return True
        return bool(np.all(radii(oscillator_matrix(method, self.k * dt * dt, self.c * dt)) <= 1.0 + TOLERANCE))

    def limit(self, method: Method) -> float:
        """The largest dt up to which every step is stable: 0 where none is, inf where none was found to be unstable."""
        fastest = max(self.omega, float(np.max(self.c, initial=0.0)))
        if fastest == 0.0:
            return math.inf
        if self.whole is not None and self.whole.n > WHOLE:
            return self._limit_of_runs(method)
        ratio = RATIO if self.whole is None else 1.2
        return first_failure(lambda dt: not self.stable(method, dt), 0.02 / fastest, 1e4 / fastest, ratio)

    def stays(self, method: Method, dt: float) -> bool:
        """Whether steps of dt keep a vector without special direction within bounds."""
        problem = self.whole
        assert problem is not None
        x = np.cos(1.0 + np.arange(problem.n, dtype=np.float64))
        run = stepper.Run(method.record, problem, x, 0.0, dt, method.numbers, v0=np.cos(2.5 * np.arange(problem.n)) / dt)
        with np.errstate(all="ignore"):
            sizes = []
            for _ in range(2):
                if run.fixed(STEPS) != 0:
                    return False
                sizes.append(float(np.linalg.norm(run.y)) + dt * float(np.linalg.norm(run.vector(1))))
        return sizes[1] <= GROWTH * sizes[0]

    def _limit_of_runs(self, method: Method) -> float:
        """The limit, searched from that of the outer modes: upward, or downward where that one is too large."""
        lower = Modes(self.k, self.c).limit(method)
        if not 0.0 < lower < math.inf:
            return lower
        while not self.stays(method, lower):
            lower *= 0.8
        upper = 1.1 * lower
        while self.stays(method, upper):
            lower, upper = upper, 1.1 * upper
            if upper > 1e4 / max(self.omega, float(np.max(self.c))):
                return math.inf
        return bisect(lambda dt: not self.stays(method, dt), lower, upper, FINE)


def first_failure(unstable: Callable[[float], bool], lower: float, far: float, ratio: float) -> float:
    """The last stable number before the first unstable one, searched upward from `lower`."""
    least = 1e-3 * lower  # below it growth is lost in rounding: gamma below 1/2 and no damping
    while unstable(lower):
        lower *= 0.5
        if lower < least:
            return 0.0
    upper = lower
    while not unstable(upper):
        lower, upper = upper, upper * ratio
        if upper > far:
            return math.inf
    return bisect(unstable, lower, upper, 1e-12)


def limit_of_frequency(method: Method, zeta: float) -> float:
    """The limit on omega dt of an oscillator with the damping ratio zeta."""
    return Modes(np.ones(1), np.full(1, 2.0 * zeta)).limit(method)


# ---- modes of matrices ------------------------------------------------------------------------------------------------------------------


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
    _check_mass(M)
    C, K = (None if a is None else matrices.checked_matrix(a, name, n) for a, name in ((damping, "damping"), (stiffness, "stiffness")))
    C, K = (None if matrices.is_zero(a) else a for a in (C, K))
    if K is None and C is None:
        return Modes(np.zeros(0), np.zeros(0))
    if all(a is None or a.ndim == 1 for a in (M, C, K)):
        k, c = (np.zeros(n) if a is None else a / M for a in (K, C))
        return _outermost(k, c)
    share = None if C is None else _rayleigh(n, M, C, K)
    if C is not None and share is None and n <= WHOLE:
        k, c = _eigenvalues(M, K, n), _eigenvalues(M, C, n)
        modes = Modes(np.full(1, k.max(initial=0.0)), np.full(1, c.max(initial=0.0)), structure.Structure(n, mass, damping, stiffness))
        modes.growth = _growth(M, C, K, n)
        return modes
    k = _eigenvalues(M, K, n)
    if share is not None or C is None:
        a, b = share or (0.0, 0.0)
        if n > SMALL:
            k = k[-1] * np.append(np.geomspace(1e-8, 1.0, 65), 0.0)
        return _outermost(k, np.maximum(a + b * k, 0.0))
    k_max, c_max = float(k.max(initial=0.0)), float(_eigenvalues(M, C, n).max(initial=0.0))
    outside = np.array([k_max, k_max, 0.0]), np.array([c_max, 0.0, c_max])
    if n > RUN:
        return Modes(*outside, exact=False)
    modes = Modes(*outside, structure.Structure(n, mass, damping, stiffness))
    fastest = max(modes.omega, c_max)
    if fastest > 0.0 and not modes.stays(as_method("newmark", {}), 2.0 / fastest):  # average acceleration grows with the structure alone
        return Modes(*outside, exact=False)
    return modes


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


def force_modes(accel: Callable[[Array, Array], Array], x: Array, v: Array, velocity_free: bool, calls: int = CALLS) -> Modes:
    """The outermost modes of a force at one state, from differences of the force.

    accel takes x and v, each (n,), and is called ``calls`` times at most: directions are all unit vectors, or those of Arnoldi's method,
    whose largest value is a lower bound. Each of the two modes has the k and c that belong to one direction. Exceptions of accel are
    passed on; ValueError where it is not finite.
    """
    base = accel(x, v)
    length = DIFFERENCE * max(1.0, float(np.max(np.abs(x), initial=0.0)), float(np.max(np.abs(v), initial=0.0)))

    def tangent(on_x: float, on_v: float) -> Callable[[Array], Array]:
        def times(unit: Array) -> Array:
            step = length / max(float(np.max(np.abs(unit))), 1e-300) * unit
            out = (base - accel(x + on_x * step, v + on_v * step)) * (float(np.max(np.abs(unit))) / length)
            if not np.all(np.isfinite(out)):
                raise ValueError("force: expected finite values near the start, got NaN or an infinity")
            return out

        return times

    springs, dashpots = tangent(1.0, 0.0), tangent(0.0, 1.0)
    pairs = []
    slow = calls // 3
    k, direction = _top(springs, x.size, calls - slow - 3)
    pairs.append((k, 0.0 if velocity_free else float(direction @ dashpots(direction))))
    if not velocity_free:
        c, direction = _top(dashpots, x.size, slow - 1)
        pairs.append((float(direction @ springs(direction)), c))
    return Modes(np.array([max(k, 0.0) for k, _ in pairs]), np.array([max(c, 0.0) for _, c in pairs]))


def _top(times: Callable[[Array], Array], n: int, count: int) -> tuple[float, Array]:
    """The largest real eigenvalue of a matrix that is given by its products, at most `count` of them, and its vector of length 1."""
    count = min(count, n)
    basis, H = np.zeros((count, n)), np.zeros((count + 1, count))
    u = np.eye(n)[0] if n <= count else np.cos(1.0 + np.arange(n, dtype=np.float64))
    used = 0
    for j in range(count):
        basis[j] = u / np.linalg.norm(u)
        u = times(basis[j])
        scale = float(np.linalg.norm(u))
        for _ in range(2):
            part = basis[: j + 1] @ u
            H[: j + 1, j] += part
            u = u - part @ basis[: j + 1]
        H[j + 1, j] = np.linalg.norm(u)
        used = j + 1
        if H[j + 1, j] <= 1e-6 * scale:
            if n > count or used == n:
                break
            H[j + 1, j] = 0.0  # the rest of a small space: any direction in it
            rest = np.eye(n) - basis[:used].T @ basis[:used]
            u = rest[:, int(np.argmax(np.abs(rest).max(axis=0)))]
    values, vectors = np.linalg.eig(H[:used, :used])
    best = int(np.argmax(values.real))
    direction = vectors[:, best].real @ basis[:used]
    size = float(np.linalg.norm(direction))
    return float(values[best].real), direction / size if size > 0.0 else basis[0]


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
        bins = 2 * bins + (c[swings] < 0.0)
        order = np.lexsort((k[swings], bins))
        last = np.append(np.diff(bins[order]) > 0, True)
        kept += swings[order[last]].tolist()
    return Modes(k[kept], c[kept])


def _times(A: Any, x: Array) -> Array:
    y: Array = A * x if A.ndim == 1 else A @ x
    return y


def _rayleigh(n: int, M: Any, C: Any, K: Any) -> tuple[float, float] | None:
    """(a, b) with C = a M + b K, tested with two vectors without special direction; None where there are none."""
    vectors = [np.cos(1.0 + s * np.arange(n, dtype=np.float64)) for s in (1.0, 2.5)]
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
        return np.array([_largest(M, A, n)])
    if n > SMALL:
        solve = _mass_solver(M)
        return np.array([_top(lambda x: solve(_times(A, x)), n, LANCZOS)[0]])
    dense = [np.diag(B) if B.ndim == 1 else B.toarray() if hasattr(B, "toarray") else B for B in (M, A)]
    try:
        L = np.linalg.cholesky(dense[0])
    except np.linalg.LinAlgError:
        raise ValueError("mass: expected a positive definite matrix, got one that is not") from None
    reduced: Array = np.asarray(np.linalg.solve(L, np.linalg.solve(L, dense[1]).T).T, dtype=np.float64)
    if matrices.is_symmetric(dense[1]):
        values = np.asarray(np.linalg.eigvalsh(0.5 * (reduced + reduced.T)), dtype=np.float64)
    else:
        values = np.asarray(np.linalg.eigvals(reduced).real, dtype=np.float64)
    values[np.abs(values) <= 1e-13 * np.abs(values).max(initial=0.0)] = 0.0
    return values


def _growth(M: Any, C: Any, K: Any, n: int) -> float:
    """The largest real part of s with s^2 M + s C + K singular; 0 where that is rounding alone."""
    mass, damping, stiffness = (
        np.zeros((n, n)) if A is None else np.diag(A) if A.ndim == 1 else A.toarray() if hasattr(A, "toarray") else A for A in (M, C, K)
    )
    lower = -np.linalg.solve(mass, np.hstack([stiffness, damping]))
    values = np.linalg.eigvals(np.vstack([np.eye(n, 2 * n, n), lower]))
    growth = float(values.real.max())
    return growth if growth > 1e-7 * float(np.abs(values).max()) else 0.0


def _largest(M: Any, A: Any, n: int) -> float:
    """The largest eigenvalue of M^-1 A from above, by Lanczos' method in M's inner product, without keeping the basis."""
    solve = _mass_solver(M)
    v = np.cos(1.0 + np.arange(n, dtype=np.float64))
    v /= math.sqrt(v @ _times(M, v))
    before, beta = np.zeros(n), 0.0
    alphas: list[float] = []
    betas: list[float] = []
    top = rest = 0.0
    for k in range(min(LANCZOS, n)):
        w = solve(_times(A, v)) - beta * before
        Mv = _times(M, v)
        alphas.append(float(w @ Mv))
        w = w - alphas[-1] * v
        beta = math.sqrt(max(float(w @ _times(M, w)), 0.0))
        if k % 10 == 9 or beta <= 1e-14 * abs(alphas[0]) or k == min(LANCZOS, n) - 1:
            T = np.diag(alphas) + np.diag(betas, 1) + np.diag(betas, -1)
            values, vectors = np.linalg.eigh(T)
            top, rest = float(values[-1]), beta * abs(float(vectors[-1, -1]))
            if rest <= 1e-3 * abs(top):
                break
        betas.append(beta)
        before, v = v, w / beta
    return top + rest


def _mass_solver(M: Any) -> Callable[[Array], Array]:
    if M.ndim == 1:
        return lambda b: b / M
    if hasattr(M, "tocsc"):
        import scipy.sparse.linalg

        factors = scipy.sparse.linalg.splu(M.tocsc())
        return lambda b: np.asarray(factors.solve(b))
    inverse = np.linalg.inv(M)
    return lambda b: inverse @ b
