"""Where eigenvalues say too much: the numerical range of a matrix that is far from normal, and growth within the stability limit.

Below the limit of its eigenvalues every error fades in the end. Before that, errors of a matrix whose eigenvectors are nearly dependent may
grow by orders of magnitude. Where the numerical range W = {x* J x : |x| = 1}, times the step, lies in the stability region, |R(dt J)|
stays below a small constant (11.08 for any function, by Crouzeix; 1 + sqrt(2) by Crouzeix and Palencia).

References
----------
L. N. Trefethen and M. Embree, Spectra and Pseudospectra (2005), 14 and 31; M. Crouzeix and C. Palencia, SIAM J. Matrix Anal. Appl. 38
(2017) 649-655; C. R. Johnson, SIAM J. Numer. Anal. 15 (1978) 595-602.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from mflow_core.problems.problem import rhs_problem
from mflow_core.stepping import stepper
from numpy.typing import NDArray

from mflow.base.checks import Array
from mflow.base.methods import Method
from mflow.spectra import krylov

__all__ = ["growth_words", "numerical_range", "range_step", "transient_growth", "warning_of", "warning_of_products"]

Product = Callable[[Array], Array]
Points = NDArray[np.complex128]
NORMAL = 1e-3  # |J^T J - J J^T|, relative, up to which nothing is looked at
SHORTER = 0.8  # steps of the numerical range above this share of the limit are as good as it
BEYOND = 0.02  # of the largest |x* J x|: the numerical range reaches into the growing half-plane
GROWN = 10.0  # growth that is told
ANGLES = 16  # from 0 to pi
SMALL = 100  # rows up to which eigenvectors are computed, beyond that Ritz vectors
VECTORS = 40
STEPS, FEW_STEPS = 4000, 1000  # of the run that measures growth, the second from products of the user
WORK = 10**9  # products of numbers in the run that measures growth


def _radius(times: Product, n: int) -> float:
    """About the spectral radius, from above."""
    _, H, _ = krylov.basis(times, krylov.random_vector(n, 73), min(VECTORS, n))
    return 1.05 * float(np.max(np.abs(np.linalg.eigvals(H)), initial=0.0))


def warning_of(method: Method, times: Product, back: Product, n: int, dt: float, entries: int, limiting: Any) -> str:
    """What is to be said of a stable step, or "": times, back: v -> J v, J^T v; entries: of J; limiting(values) -> (dt, value)."""
    points = numerical_range(times, back, n)
    return "" if points is None else growth_words(method, times, n, dt, entries, *range_step(points, limiting))


def growth_words(method: Method, times: Product, n: int, dt: float, entries: int, inside: float, reach: float) -> str:
    """The same of a matrix that is not normal; inside, reach: see `range_step`."""
    if reach <= 0.0 and inside >= SHORTER * dt:
        return ""
    grown = math.nan if method.is_implicit else transient_growth(method, times, n, 0.95 * dt, entries)
    if grown < GROWN:
        return ""
    text = "jac is far from normal (transient growth): errors may grow by orders of magnitude, though each eigenvalue is within the limit"
    if math.isfinite(grown):
        text += f", in a run with 0.95 of this step from a random start by {grown:.2g}"
    elif grown == math.inf:
        text += ", and a run with 0.95 of this step from a random start leaves the finite numbers"
    if reach > 0.0:
        return f"{text}; its numerical range reaches to about {reach:.3g} in the growing half-plane, so no step is inside"
    return f"{text}; its numerical range is inside the stability region of {method.name} up to about dt = {inside:.4g}"


def warning_of_products(method: Method, times: Product, n: int, dt: float) -> str:
    """The same where J^T v is not known."""
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


def numerical_range(times: Product, back: Product, n: int) -> Points | None:
    """About the upper half of its boundary; None for a matrix that is normal, whose eigenvalues say all."""
    return _boundary(times, back, n) if _departure(times, back, n) > NORMAL else None


def range_step(points: Points, limiting: Any) -> tuple[float, float]:
    """(about the largest step for which the numerical range is stable, how far it reaches into the growing half-plane)."""
    size = float(np.max(np.abs(points)))
    reach = float(np.max(points.real))
    if reach > BEYOND * size:
        return 0.0, reach
    chain = np.concatenate([points, *(s * points[:-1] + (1.0 - s) * points[1:] for s in (0.25, 0.5, 0.75))])
    inside = chain[chain.real < 0.0]
    return float(limiting(inside)[0]) if inside.size else 0.0, 0.0


def _boundary(times: Product, back: Product, n: int) -> Points:
    """Points x* J x of the upper half of the numerical range's boundary, or a little inside where x is a Ritz vector."""
    dense = np.stack([times(unit) for unit in np.eye(n)], axis=1) if n <= SMALL else None
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
