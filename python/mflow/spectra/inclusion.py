"""Where the eigenvalue that limits a step may lie, from Arnoldi's products alone, however far from normal the matrix is.

Let w be a left eigenvector of length 1 of the eigenvalue z, and p a polynomial. Then w p(J) v = p(z) (w v), so that

    |p(z)| <= |p(J) v| / |w v|

The characteristic polynomial of H, whose roots are the Ritz values, makes |p(J) v| the least of all monic ones: the product of H's entries
below the diagonal. Of a random unit vector v of n components |w v| is below s with a probability of at most 2 s sqrt((n - 1)/pi): w is
complex, and turned such that its real part is at least 1/sqrt(2) long. So one eigenvalue, whichever it is, lies inside a level line of |p|
but for that probability. Nothing of this kind tells from products J v that there is an eigenvalue near a Ritz value: a nilpotent matrix and
a ring of eigenvalues look alike until the products are as many as rows. Of a normal matrix there is one within the residual.

Some matrices tell their kind. Where |J q|^2 = 2 a (q J q) + c^2 - a^2 for each vector q of the basis, (J - a)/c is orthogonal, and all
eigenvalues lie on the circle |z - a| = c: a circulant's, which Ritz values approach slowly and from inside. Where H is symmetric, so is J.

References
----------
Y. Saad, Numerical Methods for Large Eigenvalue Problems (2011), 6.2 and 6.7; L. N. Trefethen and D. Bau, Numerical Linear Algebra (1997),
lecture 34 (Arnoldi's lemniscates).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mflow.base.checks import Array
from mflow.spectra.krylov import MISS

__all__ = ["Inclusion", "circle_of", "inclusion"]

Points = NDArray[np.complex128]
Limiting = Callable[[Points], tuple[float, complex]]
ANGLES = 91  # directions from the imaginary axis to the negative real one, beside those of Ritz values
RADII = 80
CIRCLE = 721  # points of half a circle
EXACT = 1e-10  # of a circle's equation, or of symmetry, relative
FAR = 0.5  # of the farthest point: nearer ones move the lower end, but are no reason to speak of it
AROUND = np.exp(2j * math.pi * np.arange(8) / 8.0)


@dataclass(frozen=True, eq=False)
class Inclusion:
    """The limit of a step as an interval.

    values : complex128 array, the eigenvalues to take: Ritz values, or where all lie on a circle its points. low : no eigenvalue but with
    probability `krylov.MISS` limits the step below it. far : the same of eigenvalues that are large. high : of a normal matrix alone, above
    which one does; inf for others. kind : "circle", "symmetric", or "".
    """

    values: Points
    low: float
    far: float
    high: float
    kind: str


def circle_of(H: Array) -> tuple[float, float] | None:
    """(a, c) if all eigenvalues lie on |z - a| = c; H : (k + 1, k), Arnoldi's."""
    k = H.shape[1]
    squares, doubled = np.sum(H**2, axis=0), 2.0 * np.diag(H)
    if k < 8:
        return None
    (a, rest), *_ = np.linalg.lstsq(np.stack([doubled, np.ones(k)], axis=1), squares, rcond=None)
    c2 = float(rest + a * a)
    size = float(np.max(squares))
    if not c2 > EXACT * size or np.max(np.abs(squares - a * doubled - rest)) > EXACT * size:
        return None
    return float(a), math.sqrt(c2)


def inclusion(
    H: Array, values: Points, residuals: Array, n: int, limiting: Limiting, normal: bool = False, miss: float = MISS
) -> Inclusion:
    """From Arnoldi's H (k + 1, k) and its Ritz values, the largest residual of each if J is normal, and limiting(values) -> (dt, value)."""
    k = H.shape[1]
    below = np.abs(np.diag(H, -1)[:k])
    if not np.all(below > 0.0):
        dt = limiting(values)[0]
        return Inclusion(values, dt, dt, dt, "")
    level = float(np.sum(np.log(below))) - math.log(miss / (2.0 * math.sqrt(max(n - 1, 1) / math.pi)))
    circle = circle_of(H)
    symmetric = bool(np.max(np.abs(H[:k] - H[:k].T)) <= EXACT * np.max(np.abs(H)))
    ritz, given = values, values
    roots = np.linalg.eigvals(H[:k].astype(np.complex128)).astype(np.complex128)
    if circle is None:
        points = np.concatenate([_outermost(values, level, symmetric), values])
    else:
        ritz, values = _on_circle(values, *circle), _of_circle(*circle)
        values = points = values[_logs(values, roots) <= level]
        residuals = residuals + np.abs(ritz - given)
    points = points[points.real <= 0.0]
    far = points[np.abs(points) >= FAR * np.max(np.abs(points), initial=0.0)]
    low, part = (limiting(some)[0] if some.size else math.inf for some in (points, far))
    dt, value = limiting(values)
    known = normal or symmetric or circle is not None
    high = _highest(ritz, residuals, value, limiting, circle, symmetric) if known and value else math.inf
    return Inclusion(values, min(low, dt), min(part, dt), max(high, dt), "circle" if circle else "symmetric" if symmetric else "")


def _of_circle(a: float, c: float) -> Points:
    """Points of the upper half, and where it leaves the half-plane of decay."""
    points = a + c * np.exp(1j * np.linspace(0.0, math.pi, CIRCLE))
    return np.append(points, complex(0.0, math.sqrt(c * c - a * a))) if abs(a) < c else points


def _on_circle(values: Points, a: float, c: float) -> Points:
    away = values - a
    return np.asarray(a + c * np.where(away != 0.0, away / np.where(away != 0.0, np.abs(away), 1.0), 1.0))


def _highest(
    ritz: Points, residuals: Array, value: complex, limiting: Limiting, circle: tuple[float, float] | None, real: bool
) -> float:  # fmt: skip
    """A normal matrix has an eigenvalue within the residual of each Ritz value: the least of the largest limits of some of them."""
    near = np.argsort(np.minimum(np.abs(ritz - value), np.abs(ritz.conj() - value)), kind="stable")[:3]
    out = math.inf
    for k in {*near.tolist(), *np.argsort(residuals, kind="stable")[:3].tolist()}:
        z, r = complex(ritz[k]), float(residuals[k])
        if circle is not None:
            a, c = circle
            around = a + (z - a) * np.exp(2j * math.asin(min(1.0, 0.5 * r / c)) * np.linspace(-1.0, 1.0, 5))
        else:
            around = np.append(z + r * (np.array([-1.0, 1.0]) if real else AROUND), z)
        if np.max(around.real) < 0.0:
            out = min(out, max(limiting(np.array([p]))[0] for p in around))
    return out


def _logs(points: Points, roots: Points) -> Array:
    """log |p| of a monic polynomial."""
    out = np.empty(points.size)
    with np.errstate(divide="ignore"):
        for some in np.array_split(np.arange(points.size), max(1, points.size * roots.size // 10**6)):
            out[some] = np.sum(np.log(np.abs(points[some, None] - roots)), axis=1)
    return out


def _outermost(roots: Points, level: float, real: bool) -> Points:
    """On rays from 0 in the upper left quarter of the plane, the farthest points with log |p| <= level."""
    folded = np.where(roots.imag < 0.0, roots.conj(), roots)
    own = folded[folded.real < 0.0]
    own = own[np.abs(own.imag) <= EXACT * np.abs(own)] if real else own
    angles = np.concatenate([np.array([math.pi]) if real else np.linspace(0.5 * math.pi, math.pi, ANGLES), np.angle(own)])
    rays = np.exp(1j * angles)
    inside = np.concatenate([np.zeros(angles.size - own.size), np.abs(own)])  # of a ray through a root: the root
    reach = float(np.max(np.abs(roots))) + math.exp(level / roots.size)  # beyond it |p| is larger everywhere
    outside = np.full(angles.size, reach)
    open_ = np.ones(angles.size, dtype=np.bool_)
    for radius in np.linspace(reach, 0.0, RADII + 1)[1:]:
        some = np.flatnonzero(open_ & (radius > inside))
        if not some.size:
            break
        found = _logs(radius * rays[some], roots) <= level
        inside[some[found]], open_[some[found]] = radius, False
        outside[some[~found]] = radius
    for _ in range(40):
        middle = 0.5 * (inside + outside)
        is_in = _logs(middle * rays, roots) <= level
        inside, outside = np.where(is_in, middle, inside), np.where(is_in, outside, middle)
    points = outside * rays
    grown = outside[angles.size - own.size :] - np.abs(own)  # of the piece around a root, to its sides
    turned = [] if real else [own + 1j * sign * grown * rays[angles.size - own.size :] for sign in (-1.0, 1.0)]
    return np.concatenate([points, *turned])
