"""An ODE of order k as a first-order system."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from mflow.base.checks import Array, check_whole
from mflow.base.telling import knows_other_words

__all__ = ["first_order_system"]


@knows_other_words
def first_order_system(fun: Callable[..., Any], order: int) -> Callable[..., Array]:
    """The right-hand side of y' = f(t, y) for an ODE that gives the highest derivative of x.

    Parameters
    ----------
    fun : callable
        ``fun(t, x, x', ..., *args)`` returns the derivative of x of this order, given x and all lower derivatives.
    order : int
        From 1 on.

    Returns
    -------
    callable
        ``f(t, y, *args)`` for `mflow.solve_ivp`. y holds x, then its first derivative, and so on: of shape (order, \\*shape of x), or
        flat (order n,) for x with n components; a scalar x is the flat case with n = 1.

    Raises
    ------
    TypeError, ValueError
        order is no whole number from 1 on. In a call: y cannot be split, or fun returns another shape.

    See Also
    --------
    mflow.solve_ivp, mflow.solve_dynamics

    Examples
    --------
    >>> import mflow
    >>> f = mflow.first_order_system(lambda t, x, v: -x, 2)
    >>> r = mflow.solve_ivp(f, (0, 3.141592653589793), [1.0, 0.0], rtol=1e-9, atol=1e-12)
    >>> bool(abs(r.y[0, -1] + 1.0) < 1e-7)
    True

    References
    ----------
    E. Hairer, S. Norsett and G. Wanner, Solving Ordinary Differential Equations I (1993), I.1.
    """
    if not callable(fun):
        raise TypeError(f"fun: expected a function of t, x and its derivatives, got {type(fun).__name__}")
    k = check_whole(order, "order", 1)

    def slope(t: float, y: Array, *args: Any) -> Array:
        if y.ndim == 0 or (y.ndim == 1 and y.size % k) or (y.ndim > 1 and len(y) != k):
            raise ValueError(f"y: expected x and its derivatives below order {k}, {k} arrays of one shape, got shape {y.shape}")
        parts = y.reshape(k, -1) if y.ndim == 1 else y
        highest = np.asarray(fun(t, *parts, *args), dtype=np.float64)
        if highest.shape != parts[0].shape and highest.size != parts[0].size:
            raise ValueError(f"fun: expected it to return shape {parts[0].shape}, as x has, got shape {highest.shape}")
        out: Array = np.concatenate([parts[1:], highest.reshape(1, *parts[0].shape)]).reshape(y.shape)
        return out

    return slope
