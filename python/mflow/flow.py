"""`gradient_flow`: c' = -grad f(c), the ODE that steepest descent follows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mflow_core import problem

from mflow.arrays import check_number, check_start
from mflow.ivp import integrate
from mflow.methods import Method, as_method
from mflow.result import IVPResult

__all__ = ["gradient_flow"]


def gradient_flow(
    grad: Callable[..., Any] | Any,
    c0: Any,
    t_end: float,
    method: str | Method = "euler",
    t_eval: Any = None,
    *,
    dt: float | None = None,
    args: tuple[Any, ...] = (),
    save: str = "all",
    save_every: int | None = None,
    **parameters: Any,
) -> IVPResult:
    """Follow c' = -grad(c) from c0 for the time t_end.

    With ``method="euler"`` each step is one of steepest descent with learning rate dt, bit for bit what ``minimize(method="sgd")``
    and ``optim.SGD`` do.

    Parameters
    ----------
    grad : callable
        ``grad(c, *args)`` returns the gradient, an array of c's shape; or compiled, with the signature
        ``int (const double *c, double *value, double *grad, ptrdiff_t n, void *ctx)``, where value may be NULL.
    c0 : array_like of real numbers, any shape
    t_end : float
        How long to flow; below 0 it climbs.
    method, t_eval, dt, save, save_every, **parameters
        As in `mflow.solve_ivp`.

    Returns
    -------
    IVPResult
        As `mflow.solve_ivp`; ``nfev`` counts gradients.

    Raises
    ------
    TypeError, ValueError
        As `mflow.solve_ivp`.

    Examples
    --------
    >>> import numpy as np, mflow
    >>> r = mflow.gradient_flow(lambda c: 2 * c, np.ones(2), t_end=5.0, method="tvd_rk3", dt=0.01)
    >>> bool(abs(r.y[0, -1] - np.exp(-10)) < 1e-9)
    True

    References
    ----------
    A. Cauchy, C. R. Acad. Sci. 25 (1847) 536-538.
    """
    start = check_start(c0, "c0")
    chosen = as_method(method, parameters)
    end = check_number(t_end, "t_end")
    what = problem.objective_problem(None, grad, start.shape, args)
    return integrate(what, (0.0, end), start, chosen, t_eval, dt=dt, save=save, save_every=save_every)
