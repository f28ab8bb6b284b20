"""Whether a negative curvature is one of the stationary point, or made by the gradient that is left.

A descent ends a little way s beside the stationary point that it nears, and there the curvature along v is another one, by the third
derivative times s. In a curved valley (a matrix factorisation) that is all there is: its floor is level, and beside it the cost curves down
along the valley by about |g|. So Newton steps are taken among the directions that curve up clearly, to where s is small, and the
curvatures are looked at there.

References
----------
R. Dembo and T. Steihaug, Math. Programming 26 (1983) 190-212 (conjugate gradients that end where the curvature is not clearly above 0).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from mflow.base.checks import Array
from mflow.curvature.hessian import Hessian
from mflow.curvature.landscape import Landscape
from mflow.curvature.measure import Curvature, curvature_of

__all__ = ["made_by_gradient"]

NEWTON, INNER = 3, 100  # steps, and products in each
CLEAR = 10.0  # times the negative curvature: what curves up by more is stepped along
CHANGED = 0.5  # of the negative curvature: a lesser change on the way leaves it as it is
LOST = 1e-4  # of the negative curvature: where no more is left, nothing is
ROOM = 10.0  # times what the rest of the way can still change


def made_by_gradient(land: Landscape, hessian: Hessian, grad: Array, found: Curvature, moves: NDArray[np.intp], most: int) -> bool:
    """Whether the least curvature, which is below 0, is not told from 0 where the gradient has gone.

    `grad`, `found`: of the entries `moves` at land.x. Evaluations are counted by `hessian`.
    """
    way, low = found.directions[0], 0.5 * (found.least[0] + found.least[1])
    step = first = _newton(hessian, grad, CLEAR * abs(low))
    if not np.any(first):
        return False
    x, before = land.x.copy(), float(np.linalg.norm(grad))
    for k in range(NEWTON):
        x[moves] += step
        if land.box is not None:
            x = np.clip(x, *land.box)
        there = _beside(land, x).hessian(moves)
        slope = land.gradient(x)[moves]
        if not float(np.linalg.norm(slope)) <= 2.0 * before:  # a Newton step leads elsewhere
            return False
        if k == 0:
            change = float(way @ there(way)) - low
        step = _newton(there, slope, CLEAR * abs(low))
        hessian.evaluations += there.evaluations + 1
        if not change > CHANGED * abs(low):
            return False
    there.evaluations = 0
    noise = there.noise()
    if not noise < abs(low):  # products tell nothing here
        return False
    after = curvature_of(there, moves.size, most, noise=noise, both=True, accuracy=1e-6)
    hessian.evaluations += there.evaluations
    rest = ROOM * change * float(np.linalg.norm(step)) / float(np.linalg.norm(first))
    return after.least[1] + rest >= -LOST * abs(low)


def _beside(land: Landscape, x: Array) -> Landscape:
    """The cost near another point, where differences alone give products."""
    return Landscape(x.copy(), land.gradient, None, longer=land.longer, box=land.box, lengths=land.lengths)


def _newton(hessian: Hessian, grad: Array, clear: float) -> Array:
    """-H^-1 g by conjugate gradients, which end where a direction's curvature is not above `clear`."""
    out, rest = np.zeros(grad.size), -grad
    p, size = rest.copy(), float(rest @ rest)
    goal = 1e-12 * size
    for _ in range(min(INNER, grad.size)):
        if not size > goal:
            break
        q = hessian(p)
        curved = float(p @ q)
        if not curved > clear * float(p @ p) or not math.isfinite(curved):
            break
        out += (size / curved) * p
        rest = rest - (size / curved) * q
        size, last = float(rest @ rest), size
        p = rest + (size / last) * p
    return out
