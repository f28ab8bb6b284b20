"""Which step keeps a structure stable: a second-order row's amplification of oscillators, probed from its kernel, and a structure's modes.

A mode is a pair (k, c) of x'' = -k x - c v: k = omega^2, c = 2 zeta omega. What a structure's modes are:

    diagonal matrices            each degree of freedom by itself
    no damping, or a M + b K     eigenvalues of M^-1 K (all of them up to `SMALL`, the largest by Lanczos' method beyond)
    any other damping            up to `WHOLE`: the step's matrix of the whole structure; beyond: the largest k and the largest c
                                 together and each alone, which errs on the safe side

Growth that a structure has by itself, negative stiffness, sets no limit.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from mflow_core import matrices, probe, structure
from numpy.typing import NDArray

from mflow.arrays import Array
from mflow.methods import Method

__all__ = ["Modes", "limit_of_frequency", "oscillator_matrix", "outer_bound", "structure_modes"]

TOLERANCE = 1e-12  # the spectral radius may exceed 1 by this: rounding
BOUNDARY = 3e-7  # and by this where eigenvalues meet on the unit circle, as they do at a limit: they are good to the root of rounding
SMALL = 400
WHOLE = 60
SAMPLES = 64
LANCZOS = 300
RATIO = 1.02  # of the steps that a search tries


def oscillator_matrix(method: Method, k: Array, c: Array) -> Array:
    """(count, n_vec, n_vec): what a step of 1 multiplies the vectors that the method carries with, on x'' = -k x - c v."""
    k, c = (np.ascontiguousarray(v, dtype=np.float64) for v in (k, c))
    with np.errstate(all="ignore"):
        out: Array = probe.oscillator_matrices(method.row, method._values, k, c)
    return out


def _radius(matrix: Array) -> NDArray[np.float64]:
    """Spectral radii; inf where an entry is not finite."""
    good = np.all(np.isfinite(matrix), axis=(-2, -1))
    out = np.full(good.shape, math.inf)
    if np.any(good):
        out[good] = np.max(np.abs(np.linalg.eigvals(matrix[good])), axis=-1)
    return out


class Modes:
    """Modes (k, c), and whether a step of dt is stable for all of them. whole: the structure itself, where modes do not tell."""

    def __init__(self, k: Array, c: Array, whole: structure.Structure | None = None, exact: bool = True) -> None:
        order = np.argsort(k, kind="stable")
        self.k, self.c, self.whole, self.exact = k[order], c[order], whole, exact
        moves = (self.k > 0.0) | ((self.k == 0.0) & (self.c > 0.0))
        self.k, self.c = self.k[moves], self.c[moves]

    @property
    def omega(self) -> float:
        """The largest frequency."""
        return math.sqrt(float(np.max(self.k, initial=0.0)))

    def stable(self, method: Method, dt: float) -> bool:
        """Whether nothing grows that does not grow by itself."""
        if self.whole is not None:
            matrix = probe.system_matrix(method.row, method._values, self.whole, dt)
            return bool(_radius(matrix[None])[0] <= 1.0 + BOUNDARY)
        if not self.k.size:
            return True
        return bool(np.all(_radius(oscillator_matrix(method, self.k * dt * dt, self.c * dt)) <= 1.0 + TOLERANCE))

    def limit(self, method: Method) -> float:
        """The largest dt up to which every step is stable: 0 where none is, inf where none was found to be unstable."""
        fastest = max(self.omega, float(np.max(self.c, initial=0.0)))
        if fastest == 0.0:
            return math.inf
        ratio = RATIO if self.whole is None else 1.2
        return first_failure(lambda dt: not self.stable(method, dt), 0.02 / fastest, 1e4 / fastest, ratio)


def first_failure(unstable: Callable[[float], bool], lower: float, far: float, ratio: float) -> float:
    """The last stable number before the first unstable one, searched upward from `lower`."""
    least = 1e-4 * lower
    while unstable(lower):
        lower *= 0.5
        if lower < least:
            return 0.0
    upper = lower
    while not unstable(upper):
        lower, upper = upper, upper * ratio
        if upper > far:
            return math.inf
    while upper - lower > 1e-12 * upper:
        middle = 0.5 * (lower + upper)
        lower, upper = (lower, middle) if unstable(middle) else (middle, upper)
    return lower


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
    M = np.ones(n) if mass is None else matrices.checked_matrix(mass, "mass", n)
    C, K = (None if a is None else matrices.checked_matrix(a, name, n) for a, name in ((damping, "damping"), (stiffness, "stiffness")))
    C, K = (None if matrices.is_zero(a) else a for a in (C, K))
    if K is None and C is None:
        return Modes(np.zeros(0), np.zeros(0))
    if all(a is None or a.ndim == 1 for a in (M, C, K)):
        k, c = (np.zeros(n) if a is None else a / M for a in (K, C))
        return _sampled(k, c)
    share = None if C is None else _rayleigh(n, M, C, K)
    if C is not None and share is None and n <= WHOLE:
        k, c = _eigenvalues(M, K, n), _eigenvalues(M, C, n)
        return Modes(np.full(1, k.max(initial=0.0)), np.full(1, c.max(initial=0.0)), structure.Structure(n, mass, damping, stiffness))
    k = _eigenvalues(M, K, n)
    if share is not None or C is None:
        a, b = share or (0.0, 0.0)
        if n > SMALL:
            k = np.concatenate([k * s for s in (1.0, 0.5, 0.1, 0.01, 1e-4, 0.0)])
        return _sampled(k, np.maximum(a + b * k, 0.0))
    k_max, c_max = float(k.max(initial=0.0)), float(_eigenvalues(M, C, n).max(initial=0.0))
    return Modes(np.array([k_max, k_max, 0.0]), np.array([c_max, 0.0, c_max]), exact=False)


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


def _sampled(k: Array, c: Array) -> Modes:
    """The outermost modes and some between."""
    if k.size <= 2 * SAMPLES:
        return Modes(k, c)
    pick = np.unique(np.linspace(0, k.size - 1, SAMPLES).astype(np.intp))
    chosen = np.unique(np.concatenate([np.argsort(k)[pick], np.argsort(c)[pick]]))
    return Modes(k[chosen], c[chosen])


def _times(A: Any, x: Array) -> Array:
    y: Array = A * x if A.ndim == 1 else A @ x
    return y


def _rayleigh(n: int, M: Any, C: Any, K: Any) -> tuple[float, float] | None:
    """(a, b) where C = a M + b K, as products with two vectors without special direction tell; None where it is not."""
    vectors = [np.cos(1.0 + s * np.arange(n, dtype=np.float64)) for s in (1.0, 2.5)]
    columns = [np.concatenate([_times(A, v) for v in vectors]) for A in ((M,) if K is None else (M, K))]
    wanted = np.concatenate([_times(C, v) for v in vectors])
    basis = np.stack(columns, axis=1)
    found = np.linalg.lstsq(basis, wanted, rcond=None)[0]
    if np.linalg.norm(basis @ found - wanted) > 1e-9 * np.linalg.norm(wanted):
        return None
    return float(found[0]), float(found[1]) if len(found) > 1 else 0.0


def _eigenvalues(M: Any, A: Any, n: int) -> Array:
    """Of M^-1 A: all, or the largest one; real parts where A is not symmetric."""
    if A is None:
        return np.zeros(1)
    if n > SMALL:
        return np.array([_largest(M, A, n)])
    dense = [np.diag(B) if B.ndim == 1 else B.toarray() if hasattr(B, "toarray") else B for B in (M, A)]
    try:
        L = np.linalg.cholesky(dense[0])
    except np.linalg.LinAlgError:
        raise ValueError("mass: it is not positive definite") from None
    reduced: Array = np.asarray(np.linalg.solve(L, np.linalg.solve(L, dense[1]).T).T, dtype=np.float64)
    if matrices.is_symmetric(dense[1]):
        values = np.asarray(np.linalg.eigvalsh(0.5 * (reduced + reduced.T)), dtype=np.float64)
    else:
        values = np.asarray(np.linalg.eigvals(reduced).real, dtype=np.float64)
    values[np.abs(values) <= 1e-13 * np.abs(values).max(initial=0.0)] = 0.0
    return values


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
