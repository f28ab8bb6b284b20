"""`gradient_flow`: c' = -grad f(c), the ODE that steepest descent follows."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import fields
from typing import Any

from mflow_core.problems import problem
from mflow_core.problems.signatures import companion

from mflow.base.checks import as_tuple, check_number, check_start
from mflow.base.methods import Method, as_method
from mflow.base.result import IVPResult
from mflow.integrate.control import Settings
from mflow.integrate.drive import Drive, follow
from mflow.solvers import nonlinear

__all__ = ["gradient_flow"]

SOLVING = {"solver", "jac_sparsity", "lband", "uband"}  # what goes to mflow.nonlinear


def gradient_flow(
    grad: Callable[..., Any] | Any,
    c0: Any,
    t_end: float,
    method: str | Method = "euler",
    t_eval: Any = None,
    *,
    dt: float | str | Sequence[float] | Callable[..., float] | None = None,
    args: tuple[Any, ...] = (),
    hess: Any = None,
    save: str = "all",
    save_every: int | None = None,
    **options: Any,
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
        How long to flow; below 0 it climbs. inf with dt = inf and an implicit method of one stage (backward_euler): the steady state.
    hess : callable or array_like (n, n)
        For implicit methods: the Hessian ``hess(c, *args)``; where it is missing, differences of gradients.
    method, t_eval, dt, save, save_every, **options
        As in `mflow.solve_ivp`, its other options (rtol, atol, events, ...) and the method's own parameters among them.

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
    if not (isinstance(t_end, float) and t_end == math.inf):
        check_number(t_end, "t_end")
    names = {field.name for field in fields(Settings)} - {"dt", "save", "save_every", "t_eval", "solver", "symmetric", "event_args"}
    chosen_method = as_method(method, {k: v for k, v in options.items() if k not in names | SOLVING})
    if chosen_method.is_implicit:
        hess = companion(grad, "hess", hess)
    equation = problem.objective_problem(None, grad, start.shape, args, hess if chosen_method.is_implicit else None)
    extra = as_tuple(args)
    linear = {name: options.get(name) for name in SOLVING}
    solver = nonlinear.solver_for(chosen_method, equation, 0.0, start, jac=hess, hess=True, args=extra, **linear)
    settings = Settings(
        dt=dt, t_eval=t_eval, save=save, save_every=save_every, solver=solver, symmetric=True, event_args=extra,
        **{k: v for k, v in options.items() if k in names},
    )  # fmt: skip
    result: IVPResult = follow(Drive(equation, (0.0, t_end), start, chosen_method, settings, "gradient_flow"))
    return result
