"""Which limit a descent has passed that has left the finite numbers: the curvature at a point where the cost is finite still."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from mflow_core.registry import MethodRecord

from mflow.base.checks import Array
from mflow.curvature.frozen import LATE, bearing, largest_lr
from mflow.curvature.hessian import Hessian
from mflow.curvature.measure import curvature_of

__all__ = ["Passed", "passed_limit"]

SURE = 0.1  # of the curvature: a residual above it, or noise, leaves it unknown


class Passed(NamedTuple):
    """curvature : the largest at x. limit : of lr, for it. taken : gradients and products that it took."""

    curvature: float
    limit: float
    taken: int

    def words(self, lr: float, name: str, where: str) -> str:
        """What a message says of it."""
        return f"lr = {lr:g} exceeds the stability limit {self.limit:.4g} of {name} for the measured curvature {self.curvature:.4g} {where}"


def passed_limit(
    record: MethodRecord, parameters: dict[str, float], lr: float, x: Array, gradient: Callable[[Array], Array],
    product: Callable[[Array], Array] | None = None, longer: float = 1.0,
) -> Passed | int:  # fmt: skip
    """The limit of a method that does not rescale, where lr is above it by the curvature at x; else what the measurement took.

    Parameters
    ----------
    record, parameters
        The method, and all its numbers.
    lr : float
        The largest that the run has had.
    x : float64 array (n,)
    gradient, product
        As `mflow.curvature.hessian.Hessian` takes them; what they raise counts as not known, as the run has ended before.
    longer : float
        Likewise.

    Examples
    --------
    >>> import numpy as np
    >>> from mflow.base.methods import as_method
    >>> from mflow.curvature.passed import passed_limit
    >>> sgd = as_method("sgd", {})
    >>> found = passed_limit(sgd.record, sgd.all_numbers, 0.5, np.ones(2), lambda x: np.array([1.0, 8.0]) * x)
    >>> round(found.curvature, 5), round(found.limit, 5)
    (8.0, 0.25)
    """
    if "linear" not in record.flags or not x.size or not lr > 0.0 or not np.all(np.isfinite(x)):
        return 0
    taken = 0

    def counted(z: Array) -> Array:
        nonlocal taken
        taken += 1
        return gradient(z)

    try:
        with np.errstate(all="ignore"):
            grad = counted(x)
            if not np.all(np.isfinite(grad)):
                return taken
            hessian = Hessian(x, counted, product, base=grad, longer=longer)
            found = curvature_of(hessian, x.size, noise=hessian.noise())
    except Exception:  # the cost's own, at a point that only the measurement asks for
        return taken
    taken += hessian.evaluations if product is not None else 0
    if hessian.unknown or not found.estimate > 0.0 or not found.residual + found.noise <= SURE * found.estimate:
        return taken
    numbers = {**parameters, "lr": lr}
    borne = bearing(record, numbers, LATE, None, [np.ones(1)] * (record.sizes(numbers)["n_vec"] - 1), np.zeros(1))
    if not found.estimate + borne.decay > borne.limit:
        return taken
    return Passed(found.estimate, largest_lr(record, numbers, found.estimate + borne.decay), taken)
