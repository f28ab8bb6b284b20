"""Losses of residuals that let outliers count less: SciPy's names and formulas for `mflow.least_squares`.

    cost = sum f_scale^2 rho(z)/2,  z = (f/f_scale)^2          gradient J' (rho'(z) f)

Every rho here is concave, so that f |-> f^2 rho'(z0)/2 and a constant lies above the loss and touches it at f0: a Gauss-Newton step with
the residuals and their derivatives weighed by sqrt(rho'(z0)) descends wherever the residuals are linear. It is iteratively reweighted
least squares, and leaves rho'' out, whose terms would make the matrix singular where Huber's loss is straight.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mflow.base.checks import Array, check_number, shown
from mflow.curvature.landscape import OF_DIFFERENCES, Landscape
from mflow.fitting.residuals import Residuals

__all__ = ["LOSSES", "Robust", "landscape_of", "loss_of"]

Loss = tuple[Array, Array, Array]  # rho, its slope and its second derivative


def soft_l1(z: Array) -> Loss:
    """2 (sqrt(1 + z) - 1): a smooth absolute value."""
    root = np.sqrt(1.0 + z)
    return 2.0 * z / (root + 1.0), 1.0 / root, -0.5 / (root * (1.0 + z))


def huber(z: Array) -> Loss:
    """z up to 1, then 2 sqrt(z) - 1."""
    root = np.sqrt(np.maximum(z, 1.0))
    return np.where(z <= 1.0, z, 2.0 * root - 1.0), 1.0 / root, np.where(z <= 1.0, 0.0, -0.5 / (root * np.maximum(z, 1.0)))


def cauchy(z: Array) -> Loss:
    """log(1 + z)."""
    return np.log1p(z), 1.0 / (1.0 + z), -1.0 / ((1.0 + z) * (1.0 + z))


def arctan(z: Array) -> Loss:
    """arctan(z): a residual costs no more than so much."""
    return np.arctan(z), 1.0 / (1.0 + z * z), -2.0 * z / ((1.0 + z * z) * (1.0 + z * z))


LOSSES: dict[str, Callable[[Array], Loss]] = {"soft_l1": soft_l1, "huber": huber, "cauchy": cauchy, "arctan": arctan}


class Robust:
    """One loss with its scale.

    Examples
    --------
    >>> import numpy as np
    >>> from mflow.fitting.robust import loss_of
    >>> loss = loss_of("huber", 2.0)
    >>> loss.cost(np.array([1.0, 10.0])), loss.weights(np.array([1.0, 10.0])).tolist()
    (18.5, [1.0, 0.2])
    """

    def __init__(self, rho: Callable[[Array], Any], f_scale: float) -> None:
        self.rho, self.f_scale = rho, f_scale

    def both(self, f: Array) -> tuple[Array, Array]:
        """rho and rho' at each residual. Raises ValueError where the user's loss returns something else."""
        rho = self.rho((f / self.f_scale) ** 2)
        if not isinstance(rho, (np.ndarray, tuple, list)) or len(np.atleast_1d(np.asarray(rho, dtype=object))) < 2:
            raise TypeError(f"loss: expected a function of z that returns rho(z) and rho'(z) as its first rows, got {shown(rho)}")
        value, slope = np.asarray(rho[0], dtype=np.float64), np.asarray(rho[1], dtype=np.float64)
        if value.shape != f.shape or slope.shape != f.shape:
            raise ValueError(f"loss returned shapes {value.shape} and {slope.shape}: expected rho(z) and rho'(z), each of shape {f.shape}")
        return value, slope

    def cost(self, f: Array) -> float:
        """Half the sum of f_scale^2 rho."""
        return 0.5 * self.f_scale**2 * float(np.sum(self.both(f)[0]))

    def curvature(self, f: Array) -> Array:
        """rho' + 2 z rho'' at each residual, no less than SciPy's 2^-52: what a residual counts in the Hessian of the cost."""
        z = (f / self.f_scale) ** 2
        rho = self.rho(z)
        bend = np.asarray(rho[2], dtype=np.float64) if len(rho) > 2 else np.zeros(z.shape)
        out: Array = np.maximum(self.both(f)[1] + 2.0 * z * bend, 2.0**-52)
        return out

    def weights(self, f: Array) -> Array:
        """rho' at each residual, from 0 on."""
        return np.maximum(self.both(f)[1], 0.0)


def loss_of(loss: Any, f_scale: Any) -> Robust | None:
    """The loss of this name, or of the user's function z |-> (rho, rho', ...); None for plain squares. Raises ValueError."""
    scale = check_number(f_scale, "f_scale", low=0.0, open_low=True)
    if callable(loss):
        return Robust(loss, scale)
    if isinstance(loss, str) and loss == "linear":
        return None
    if not isinstance(loss, str) or loss not in LOSSES:
        raise ValueError(f'loss: expected "linear", {", ".join(map(repr, LOSSES))} or a function of z, got {shown(loss)}')
    return Robust(LOSSES[loss], scale)


def landscape_of(
    residuals: Residuals, loss: Robust | None, x: Array, converged: bool, box: tuple[Array, Array] | None, held: NDArray[np.bool_] | None
) -> Landscape:
    """The cost around a point, for its certificate."""
    if held is not None:
        lower, upper = box or (np.full(x.size, -np.inf), np.full(x.size, np.inf))
        box = np.where(held, x, lower), np.where(held, x, upper)

    return Landscape(
        x.copy(),
        lambda at: residuals.gradient(at, loss),
        converged=converged,
        longer=OF_DIFFERENCES if residuals.differences else 1.0,
        box=box,
    )
