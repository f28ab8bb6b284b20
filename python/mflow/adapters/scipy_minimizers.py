"""Methods as SciPy's minimizers: `scipy.optimize.minimize(fun, x0, jac=grad, method=mflow.scipy.minimize_adam, options={"lr": 0.1})`.

One function for each method that `mflow.minimize` takes, made here at import: `minimize_` and the method's name or alias. Each has the
form of SciPy's custom methods, hands its arguments to `mflow.minimize`, and returns SciPy's `OptimizeResult`. Arguments that a method
cannot honour (bounds, constraints, Hessian-vector products) are refused, never ignored.

`mflow.scipy` shows these functions as its own; this module needs SciPy and is imported only from there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from mflow_core import registry
from scipy.optimize import OptimizeResult

from mflow.base.methods import get_method
from mflow.base.telling import tell
from mflow.optimize.minimize import minimize

__all__: list[str] = []

USAGE = """{doc}

    {formula}

A custom method of `scipy.optimize.minimize`: give it as ``method=mflow.scipy.{function}``, and arguments that are not SciPy's in
``options``. It may be called by itself, too.

Parameters
----------
fun, x0, args, jac, hess, callback, tol
    As in `scipy.optimize.minimize`. fun may be compiled, as in `mflow.minimize`.
maxiter, gtol, disp
    Limit on iterations (10 000), the largest entry of the gradient at the end (tol, else 1e-5), whether the ending is printed.
{parameters}**options
    More arguments of `mflow.minimize`, such as ``line_search="strong_wolfe"`` for optimizers.

Returns
-------
scipy.optimize.OptimizeResult
    With mflow's ``reason`` beside SciPy's fields.

Raises
------
TypeError, ValueError
    An argument does not fit; bounds, constraints or hessp were given, which this method cannot honour.

Examples
--------
>>> import mflow.scipy, scipy.optimize
>>> def cost(x):
...     return ((x - 3) ** 2).sum(), 2 * (x - 3)
>>> res = scipy.optimize.minimize(cost, [0.0, 0.0], jac=True, method=mflow.scipy.{function}, options={options})
>>> type(res).__name__, bool(res.fun < 18.0)  # less than at the start
('OptimizeResult', True)

References
----------
{reference}
"""


def _bounded(bounds: Any) -> bool:
    """Whether any of the bounds, in either of SciPy's forms, is finite."""
    if bounds is None:
        return False
    if hasattr(bounds, "lb"):
        return bool(np.any(np.isfinite(bounds.lb)) or np.any(np.isfinite(bounds.ub)))
    return any(b is not None and np.isfinite(b) for pair in bounds for b in pair)


def _refuse(record: Any, bounds: Any, constraints: Any, hess: Any, hessp: Any) -> None:
    if _bounded(bounds) and record.kind != "update" and not record.takes_bounds:
        raise ValueError(f"bounds: {record.name} minimises without any; change variables, or take mflow.scipy.minimize_lbfgs")
    if constraints is not None and np.size(constraints) > 0:
        raise ValueError(f"constraints: {record.name} minimises without any; add a penalty to fun, or take SciPy's SLSQP")
    if hessp is not None and "trust_region" not in record.flags:
        raise ValueError(f"hessp: {record.name} takes no Hessian-vector products; omit it")
    if hess is not None and not record.flags & {"implicit", "trust_region"}:
        tell(f"Method {record.name} does not use Hessian information (hess).")


def _minimizer(record: Any) -> Callable[..., OptimizeResult]:
    name = record.name
    takes_hess = bool(record.flags & {"implicit", "trust_region"})

    def minimizer(
        fun: Any, x0: Any, args: tuple[Any, ...] = (), jac: Any = None, hess: Any = None, hessp: Any = None, bounds: Any = None,
        constraints: Any = (), callback: Any = None, *, tol: float | None = None, disp: bool = False, **options: Any,
    ) -> OptimizeResult:  # fmt: skip
        _refuse(record, bounds, constraints, hess, hessp)
        options = {"check_gradient": False, **options}  # SciPy's count of evaluations is the user's
        result = minimize(
            fun, x0, args, name, jac, hess if takes_hess else None, hessp, bounds if _bounded(bounds) else None, tol=tol, callback=callback,
            **options,
        )  # fmt: skip
        if disp:
            print(f"{name}: {result.message}")
        return OptimizeResult(result)

    parameters = "".join(f"{p.name} : {p.bounds}, default {p.default!r}\n    {p.doc}\n" for p in get_method(name).parameters_)
    options = {"step": '{"dt": 0.2}', "update": '{"lr": 0.1}', "direction": '{"maxiter": 100}'}[record.kind]
    minimizer.__name__ = minimizer.__qualname__ = f"minimize_{name}"
    minimizer.__module__ = "mflow.scipy"
    minimizer.__doc__ = USAGE.format(
        doc=record.doc,
        formula=record.formula,
        function=f"minimize_{name}",
        parameters=parameters,
        options=options,
        reference=record.reference,
    )
    return minimizer


MINIMIZERS: dict[str, Callable[..., OptimizeResult]] = {}
for _record in registry.records():
    if _record.kind in ("update", "step", "direction"):
        _function = _minimizer(_record)
        MINIMIZERS.update(dict.fromkeys((f"minimize_{name}" for name in (_record.name, *_record.aliases)), _function))
