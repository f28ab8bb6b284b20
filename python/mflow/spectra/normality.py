"""Where eigenvalues say too much: the numerical range of a matrix that is far from normal, and growth within the stability limit.

Below the limit of its eigenvalues every error fades in the end. Before that, errors of a matrix whose eigenvectors are nearly dependent may
grow by orders of magnitude. Where the numerical range W = {x* J x : |x| = 1}, times the step, lies in the stability region, |R(dt J)|
stays below a small constant (11.08 for any function, by Crouzeix; 1 + sqrt(2) by Crouzeix and Palencia).

Where W reaches into the growing half-plane though every eigenvalue decays, as of x' = v, v' = -w^2 x - c v, solutions grow for a while by
themselves, and so do errors. There is another inner product, <x, P y> with (J - s)^T P + P (J - s) = -1, in which they do not: s is just
above the largest real part. With its numerical range inside the stability region |R(dt J)^k| stays below 1 + sqrt(2) times the root of P's
condition number, which is about what solutions grow by themselves. P is found from the sign of a matrix, by Newton's method.

References
----------
L. N. Trefethen and M. Embree, Spectra and Pseudospectra (2005), 14 and 31; M. Crouzeix and C. Palencia, SIAM J. Matrix Anal. Appl. 38
(2017) 649-655; C. R. Johnson, SIAM J. Numer. Anal. 15 (1978) 595-602; J. D. Roberts, Int. J. Control 32 (1980) 677-687.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from mflow_core.problems.problem import rhs_problem
from mflow_core.stepping import stepper
from numpy.typing import NDArray

from mflow.base.checks import Array
from mflow.base.methods import Method
from mflow.spectra import krylov
from mflow.spectra.similar import balancing

__all__ = ["Inside", "Range", "growth_words", "inside_of", "numerical_range", "transient_growth", "warning_of", "warning_of_products"]

Product = Callable[[Array], Array]
Points = NDArray[np.complex128]
NORMAL = 1e-3  # |J^T J - J J^T|, relative, up to which nothing is looked at
SHORTER = 0.97  # steps of the numerical range above this share of the limit are as good as it
BEYOND = 0.02  # of the largest |x* J x|: the numerical range reaches into the growing half-plane
GROWN = 10.0  # growth that is told
ANGLES = 16  # from 0 to pi
SMALL = 100  # rows up to which eigenvectors are computed, beyond that Ritz vectors
VECTORS = 40
STEPS, FEW_STEPS = 4000, 1000  # of the run that measures growth, the second from products of the user
WORK = 10**9  # products of numbers in the run that measures growth
CONSTANT = 1.0 + math.sqrt(2.0)
SHARES = (0.95, 0.7, 0.5, 0.35, 0.25)  # of the limit of the eigenvalues: where growth is measured
DENSE = 400  # rows up to which another inner product is looked for
ABOVE = 1e-3  # of the spectral radius: s above the largest real part
NEWTON, SIGN = 100, 1e-10  # iterations for the sign of a matrix, and how far from it they may end
TIMES = 40  # at which the growth of solutions is looked at, each twice the one before


class Range(NamedTuple):
    """What a numerical range tells of a matrix that is not normal.

    points : about the upper half of its boundary; in another inner product where it reaches into the growing half-plane in the usual one.
    reach : how far it does in the usual one, 0 where it does not. own : the factor by which a random vector grows in
    exp(t J), 1 where reach is 0. bound : that of errors in steps within the range is at most `CONSTANT` times it, nan where no inner
    product was found.
    """

    points: Points
    reach: float
    own: float
    bound: float


class Inside(NamedTuple):
    """About the largest step with which errors grow as solutions do, nan where none is known; bound: `CONSTANT` times that of a `Range`, or
    nan where growth within the step was measured alone."""

    step: float
    bound: float


def _radius(times: Product, n: int) -> float:
    """About the spectral radius, from above."""
    _, H, _ = krylov.basis(times, krylov.random_vector(n, 73), min(VECTORS, n))
    return 1.05 * float(np.max(np.abs(np.linalg.eigvals(H)), initial=0.0))


def warning_of(method: Method, times: Product, back: Product, n: int, dt: float, entries: int, limiting: Any) -> str:
    """What is to be said of a stable step, or "": times, back: v -> J v, J^T v; entries: of J; limiting(values) -> (dt, value)."""
    found = numerical_range(times, back, n)
    if found is None:
        return ""
    return growth_words(method, times, n, dt, entries, found, inside_of(method, times, n, dt, entries, found, limiting))


def inside_of(method: Method, times: Product, n: int, dt: float, entries: int, found: Range, limiting: Any) -> Inside:
    """The step with which the numerical range is inside the stability region; dt: the limit of the eigenvalues.

    In another inner product that is a proof, and often far from the longest such step: of few rows, one in which a run grows as solutions
    do is taken where it is longer.
    """
    if math.isnan(found.bound):
        return Inside(math.nan, math.nan)
    points = found.points
    chain = np.concatenate([points, *(s * points[:-1] + (1.0 - s) * points[1:] for s in (0.25, 0.5, 0.75))])
    decaying = chain[chain.real < 0.0]
    step = float(limiting(decaying)[0]) if decaying.size else 0.0
    if found.reach > 0.0 and n <= SMALL and not method.is_implicit and 0.0 < dt < math.inf:
        for share in SHARES:
            if share * dt <= step:
                break
            if transient_growth(method, times, n, share * dt, entries) <= CONSTANT * found.own:
                return Inside(share * dt, math.nan)
    return Inside(step, CONSTANT * found.bound)


def growth_words(method: Method, times: Product, n: int, dt: float, entries: int, found: Range, inside: Inside) -> str:
    """The same as `warning_of` of a matrix that is not normal."""
    if inside.step >= SHORTER * dt:
        return ""
    grown = math.nan if method.is_implicit else transient_growth(method, times, n, 0.95 * dt, entries)
    if not grown >= GROWN * found.own:
        return ""
    text = "jac is far from normal (transient growth): errors may grow by orders of magnitude, though each eigenvalue is within the limit"
    if math.isfinite(grown):
        text += f", in a run with 0.95 of this step from a random start by {grown:.2g}"
    elif grown == math.inf:
        text += ", and a run with 0.95 of this step from a random start leaves the finite numbers"
    step = f"up to about dt = {inside.step:.4g}"
    if found.reach == 0.0:
        return f"{text}; its numerical range is inside the stability region of {method.name} {step}"
    text += f"; its numerical range reaches to about {found.reach:.3g} in the growing half-plane, so that solutions grow by themselves"
    if math.isnan(inside.step):
        return f"{text}, and no safe step is known"
    least = f"by at most {inside.bound:.2g}" if math.isfinite(inside.bound) else "by about as much, as was measured"
    return f"{text} for a while, from that start by {found.own:.2g}; {step} errors of {method.name} grow {least}"


def warning_of_products(method: Method, times: Product, n: int, dt: float) -> str:
    """The warning of errors that grow for a while, where J^T v is not known."""
    grown = math.nan if method.is_implicit else transient_growth(method, times, n, 0.95 * dt, WORK // FEW_STEPS)
    if not grown >= GROWN:
        return ""
    by = f"grows by {grown:.2g}" if math.isfinite(grown) else "leaves the finite numbers"
    text = f"a run with 0.95 of this step from a random start {by}: jac is far from normal (transient growth), or the limit is not known"
    return f"{text}; give jac as a matrix, or with products J^T v, for the step of its numerical range"


def _departure(times: Product, back: Product, n: int) -> float:
    """|J^T J v - J J^T v| relative to both, at most over two random vectors."""
    seen = krylov.commutators(times, back, n, (51, 52))
    return max(0.0, *(apart / max(one, other) if max(one, other) > 0.0 else 0.0 for apart, one, other in seen))


def numerical_range(times: Product, back: Product, n: int) -> Range | None:
    """What it tells; None of a matrix that is normal, whose eigenvalues say all."""
    if _departure(times, back, n) <= NORMAL:
        return None
    points = _boundary(times, back, n)
    reach = float(np.max(points.real))
    if reach <= BEYOND * float(np.max(np.abs(points))):
        return Range(points, 0.0, 1.0, 1.0)
    unknown = Range(points, reach, 1.0, math.nan)
    if n > DENSE:
        return unknown
    J = _columns(times, n)
    other = calm(J)
    if other is None:
        return unknown
    calmed = _boundary(lambda v: other[0] @ v, lambda v: other[0].T @ v, n)
    if float(np.max(calmed.real)) > BEYOND * float(np.max(np.abs(calmed))):
        return unknown
    return Range(calmed, reach, own_growth(J), other[1])


def _columns(times: Product, n: int) -> Array:
    return np.stack([times(unit) for unit in np.eye(n)], axis=1)


def calm(J: Array) -> tuple[Array, float] | None:
    """(the matrix of J in an inner product in which solutions do not grow, the root of that one's condition number), or None where rounding
    hides it; of a J with eigenvalues that grow, those of J less the fastest growth."""
    with np.errstate(all="ignore"):
        values = np.linalg.eigvals(J)
        fastest = max(float(np.max(values.real)), 0.0)
        shift = fastest + ABOVE * float(np.max(np.abs(values)))
        for d in (np.ones(len(J)), balancing(J)):  # components in other units hide it
            own = J * d / d[:, None]
            try:
                P = _lyapunov(own - shift * np.eye(len(J)))
                root = None if P is None else np.linalg.cholesky(P)
                if root is None:
                    continue
                other = np.linalg.solve(root, (root.T @ (own - fastest * np.eye(len(J)))).T).T
                sizes = np.linalg.svd(root / d[:, None], compute_uv=False)
            except np.linalg.LinAlgError:
                continue
            if np.all(np.isfinite(other)) and sizes[-1] > 0.0:
                return np.ascontiguousarray(other), float(sizes[0] / sizes[-1])
    return None


def _lyapunov(start: Array) -> Array | None:
    """P of A^T P + P A = -1 for a matrix A whose eigenvalues have real parts below 0; None where rounding spoils it."""
    unit = np.eye(len(start))
    A, P = start, unit
    for _ in range(NEWTON):
        inverse = np.linalg.inv(A)
        c = math.sqrt(float(np.linalg.norm(A)) / float(np.linalg.norm(inverse)))
        P, A = 0.5 * (P / c + c * (inverse.T @ P @ inverse)), 0.5 * (A / c + c * inverse)
        if not np.all(np.isfinite(A)) or float(np.linalg.norm(A + unit)) <= SIGN * math.sqrt(len(A)):
            break
    P = 0.25 * (P + P.T)
    off = float(np.linalg.norm(start.T @ P + P @ start + unit))
    return P if off <= NORMAL * math.sqrt(len(P)) else None


def own_growth(J: Array) -> float:
    """The factor by which the random vector of `transient_growth` grows in exp(t J), at times that grow by a third or a half."""
    v = krylov.random_vector(len(J), 71)
    A = J / max(float(np.linalg.norm(J)), math.ulp(0.0))
    E, term, between = np.eye(len(J)) + A, A, v
    for k in range(2, 20):  # |A| is 1
        term = term @ A / k
        E = E + term
    grown = 1.0
    with np.errstate(all="ignore"):
        for _ in range(TIMES):
            then = E @ v
            sizes = float(np.linalg.norm(then)), float(np.linalg.norm(E @ between))
            if not max(sizes) < math.inf or float(np.linalg.norm(E)) < NORMAL:
                break
            grown, between = max(grown, *sizes), then
            E = E @ E
    return grown


def _boundary(times: Product, back: Product, n: int) -> Points:
    """Points x* J x of the upper half of the numerical range's boundary, or a little inside where x is a Ritz vector."""
    dense = _columns(times, n) if n <= SMALL else None
    out = []
    for angle in np.linspace(0.0, math.pi, ANGLES + 1):
        turn = complex(math.cos(angle), -math.sin(angle))
        if dense is not None:
            turned = turn * dense
            x = np.linalg.eigh(0.5 * (turned + turned.conj().T))[1][:, -1]
        else:
            x = _top_vector(times, back, n, turn)
        image = times(np.ascontiguousarray(x.real)) + 1j * times(np.ascontiguousarray(x.imag))
        z = complex(np.vdot(x, image))
        out.append(complex(z.real, abs(z.imag)))
    return np.array(out)


def _top_vector(times: Product, back: Product, n: int, turn: complex) -> Any:
    """About the vector of the largest eigenvalue of the Hermitian part of turn J, as real and imaginary parts one above the other."""

    def product(v: Array) -> Array:
        a, b = v[:n], v[n:]
        forth, other = times(a), times(b)
        down, up = back(a), back(b)
        real = turn.real * (forth + down) - turn.imag * (other - up)
        imaginary = turn.real * (other + up) + turn.imag * (forth - down)
        return np.asarray(0.5 * np.concatenate([real, imaginary]))

    Q, H, _ = krylov.basis(product, krylov.random_vector(2 * n, 61), min(VECTORS, 2 * n))
    v = np.linalg.eigh(0.5 * (H + H.T))[1][:, -1] @ Q
    v /= np.linalg.norm(v)
    return v[:n] + 1j * v[n:]


def transient_growth(method: Method, times: Product, n: int, dt: float, entries: int) -> float:
    """The factor by which a random vector grows at most in a run of an explicit method; inf where it leaves the finite numbers."""
    v = krylov.random_vector(n, 71)
    run = stepper.Run(method.record, rhs_problem(lambda t, y: times(y), (n,)), v, 0.0, dt, method.numbers)
    radius = _radius(times, n) if "needs_rho" in method.flags else math.nan
    count = min(STEPS, 200 + 4 * n, max(200, WORK // max(entries, 1)))
    grown, gap = 1.0, max(1, count // 100)
    with np.errstate(all="ignore"):
        for _ in range(0, count, gap):
            goal = run.k + gap
            while run.k < goal:
                status = run.fixed(goal - run.k)
                if status == stepper.RHO_DUE:  # of a method that takes its stages by the step
                    run.rho = radius
                elif status != 0:
                    return math.inf
            grown = max(grown, float(np.linalg.norm(run.y)))
    return grown
