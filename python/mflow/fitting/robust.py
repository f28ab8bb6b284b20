"""Losses of residuals that let outliers count less, as `mflow.least_squares` takes them: those of the core by name, and functions.

    cost = sum f_scale^2 rho(z)/2,  z = (f/f_scale)^2          gradient J' (rho'(z) f)

`mflow_core.fitting.robust` has the formulas, and says how a step is made of them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from mflow_core.fitting.robust import LOSSES, CompiledLoss
from numpy.typing import NDArray

from mflow.base.checks import Array, check_number, shown
from mflow.curvature.landscape import OF_DIFFERENCES, Landscape
from mflow.fitting.residuals import Residuals

__all__ = ["LOSSES", "Robust", "cost_of_median", "landscape_of", "loss_of", "wider"]


class Robust:
    """A loss that the user wrote, with its scale; what a `CompiledLoss` of the core can do.

    Examples
    --------
    >>> import numpy as np
    >>> from mflow.fitting.robust import loss_of
    >>> loss = loss_of(lambda z: (z, np.ones_like(z), np.zeros_like(z)), 2.0)
    >>> loss.cost(np.array([1.0, 3.0])), loss.weights(np.array([1.0, 3.0])).tolist()
    (5.0, [1.0, 1.0])
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


def loss_of(loss: Any, f_scale: Any) -> Robust | CompiledLoss | None:
    """The loss of this name, or of the user's function z |-> (rho, rho', ...); None for plain squares. Raises ValueError."""
    scale = check_number(f_scale, "f_scale", low=0.0, open_low=True)
    if callable(loss):
        return Robust(loss, scale)
    if isinstance(loss, str) and loss == "linear":
        return None
    if not isinstance(loss, str) or loss not in LOSSES:
        raise ValueError(f'loss: expected "linear", {", ".join(map(repr, LOSSES))} or a function of z, got {shown(loss)}')
    return CompiledLoss(loss, scale)


def wider(loss: Robust | CompiledLoss, factor: float) -> Robust | CompiledLoss:
    """The same loss with `factor` times its scale."""
    scale = loss.f_scale * factor
    return Robust(loss.rho, scale) if isinstance(loss, Robust) else CompiledLoss(loss.name, scale)


def cost_of_median(loss: Robust | CompiledLoss, y: Array, weights: Array | float) -> float:
    """The cost of data whose model is their median, weighted: what a fit's is a share of, as outliers do not move it."""
    return float(loss.cost(np.ascontiguousarray((y - np.median(y)) * weights)))


def landscape_of(
    residuals: Residuals,
    loss: Robust | CompiledLoss | None,
    x: Array,
    converged: bool,
    box: tuple[Array, Array] | None,
    held: NDArray[np.bool_] | None,
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
