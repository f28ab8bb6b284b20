"""Results that say which equation a method follows: plain NumPy arrays, and a text."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from mflow.base.checks import Array
from mflow.base.tables import Readable, Table

__all__ = ["ConsistencyResult", "ConvergenceResult", "StiffnessResult"]


@dataclass(frozen=True, eq=False)
class ConvergenceResult(Readable):
    """Errors of a method as its step shrinks: `mflow.convergence`.

    method : Method. dt : float64 array (k,), falling. local_error, global_error : float64 arrays (k,), of one step from the exact state,
    and at the end. local_order, global_order : floats, slopes of the part of the lines where neither rounding nor large steps
    dominate; nan where there is no such part. In theory they are order + 1 and order. expected : int, the order of the method.
    """

    method: Any
    dt: Array
    local_error: Array
    global_error: Array
    local_order: float
    global_order: float
    expected: int

    def _parts(self) -> list[str | Table]:
        rows = []
        for k, dt in enumerate(self.dt):
            row = [f"{dt:.4g}"]
            for errors in (self.local_error, self.global_error):
                row += [f"{errors[k]:.3e}", _order_between(self.dt, errors, k)]
            rows.append(row)
        foot = f"{self.method.name}: global order {self.global_order:.3f}, local order {self.local_order:.3f} (method: {self.expected})"
        return [Table(["dt", "local error", "order", "global error", "order"], rows), foot]


def _order_between(dt: Array, errors: Array, k: int) -> str:
    if k == 0 or not (errors[k - 1] > 0.0 and errors[k] > 0.0):
        return ""
    return f"{math.log(errors[k - 1] / errors[k]) / math.log(dt[k - 1] / dt[k]):.2f}"


@dataclass(frozen=True, eq=False)
class ConsistencyResult(Readable):
    """The ODE to which a method converges as dt -> 0: `mflow.consistency`.

    method : Method. equation : str, the ODE of the smallest error, or "none" where no error falls. name : its short name, "flow",
    "scaled flow" or "newton" (or "" for none). order : float, observed. dt : float64 array (k,), falling.
    errors : dict of name -> float64 array (k,), against each ODE's exact solution. orders : dict of name -> float.
    equations : dict of name -> str.
    factor : float, s of c' = -s g. kappa : float, of the next term of the modified equation, c' = -s g - lr kappa grad |g|^2; 0 where the
    first term is of higher order in lr, NaN where it is not known. modified : str, that equation. remainder_order, remainder : the power
    of lr of its first term, and its coefficient C on f = L c^2/2: c' = -s L c + C lr^p L^(p+1) c.
    exact : with ``symbols=True`` c' to first order in lr, a sympy expression.
    """

    method: Any
    name: str
    equation: str
    order: float
    dt: Array
    errors: dict[str, Array]
    orders: dict[str, float]
    equations: dict[str, str]
    factor: float = math.nan
    kappa: float = math.nan
    remainder_order: float = math.nan
    remainder: float = math.nan
    modified: str = ""
    exact: Any = None

    def _parts(self) -> list[str | Table]:
        rows = [[f"{dt:.4g}", *(f"{e[k]:.3e}" for e in self.errors.values())] for k, dt in enumerate(self.dt)]
        rows.append(["order", *(f"{p:.2f}" for p in self.orders.values())])
        name = getattr(self.method, "name", None) or getattr(self.method, "__name__", "the rule")
        words = [f"{name} converges to {self.equation}"]
        words += [f"to the next order it follows {self.modified}"] if self.modified else []
        return [Table(["dt", *self.errors], rows), *words]


@dataclass(frozen=True, eq=False)
class StiffnessResult(Readable):
    """Work at equal error as stiffness grows: `mflow.explicit_vs_implicit`.

    explicit, implicit : Method. error : float, the error that both had to meet. stiffness : float64 array (k,).
    explicit_dt, implicit_dt : float64 arrays (k,), the largest steps that met it; nan where none did.
    explicit_work, implicit_work : float64 arrays (k,), evaluations of the right-hand side, those for Jacobians and solves included.
    crossover : float, the stiffness from where on the implicit method is cheaper: nan where the lines do not cross.
    """

    explicit: Any
    implicit: Any
    error: float
    stiffness: Array
    explicit_dt: Array
    implicit_dt: Array
    explicit_work: Array
    implicit_work: Array
    crossover: float
    text: str

    def _parts(self) -> list[str | Table]:
        rows = [
            [f"{s:.4g}", f"{a:.3g}", f"{w:.0f}", f"{b:.3g}", f"{v:.0f}"]
            for s, a, w, b, v in zip(
                self.stiffness, self.explicit_dt, self.explicit_work, self.implicit_dt, self.implicit_work, strict=True
            )
        ]
        heads = ["stiffness", f"dt {self.explicit.name}", "work", f"dt {self.implicit.name}", "work"]
        return [Table(heads, rows), self.text]
