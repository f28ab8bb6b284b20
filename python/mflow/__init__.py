"""mflow: optimization as motion.

Gradient flow c' = -grad f(c) is an ODE; steepest descent is forward Euler on it, and a learning rate is a time step. So one library
holds integrators, optimizers and the analysis that says which step is safe and why.

    solve_ivp, solve_ivp_batch, gradient_flow, minimize     drivers
    solve_dynamics                         M x'' = F(t, x, v)
    optim, Stepper, minibatches            parts for a loop of your own
    stability_limit, max_stable_dt, ...    which step is safe
    methods, get_method                    what there is

Every integrator has a class here (`mflow.RK4`), every optimizer in `mflow.optim`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mflow_core._levels import VERSION
from mflow_core.problem import Recoverable

from mflow import optim
from mflow.batch import IVPBatchResult, solve_ivp_batch
from mflow.control import Event
from mflow.data import minibatches
from mflow.dense import DenseOutput
from mflow.dynamics import solve_dynamics
from mflow.flow import gradient_flow
from mflow.ivp import solve_ivp
from mflow.methods import Method, classes, get_method, methods
from mflow.minimize import minimize
from mflow.nonlinear import FixedPoint, Newton, NewtonKrylov
from mflow.order import first_order_system
from mflow.result import DynamicsResult, IVPResult, OptimizeResult
from mflow.stability import amplification, max_stable_dt, stability_limit
from mflow.stepper import Stepper

if TYPE_CHECKING:
    from mflow._integrators import *  # noqa: F403

__version__ = VERSION

_INTEGRATORS = {cls.__name__: cls for cls in classes().values() if cls.row.kind == "step"}
globals().update(_INTEGRATORS)

__all__ = [  # noqa: PLE0604
    "DenseOutput",
    "DynamicsResult",
    "Event",
    "FixedPoint",
    "IVPBatchResult",
    "IVPResult",
    "Method",
    "Newton",
    "NewtonKrylov",
    "OptimizeResult",
    "Recoverable",
    "Stepper",
    "amplification",
    "first_order_system",
    "get_method",
    "gradient_flow",
    "max_stable_dt",
    "methods",
    "minibatches",
    "minimize",
    "optim",
    "solve_dynamics",
    "solve_ivp",
    "solve_ivp_batch",
    "stability_limit",
    *sorted(_INTEGRATORS),
]


def __getattr__(name: str) -> Any:
    """Classes of rows are found above; `mflow.scipy` is imported by who asks for it; else this names what is near."""
    if name == "scipy":
        from importlib import import_module

        return import_module("mflow.scipy")
    from mflow_core.registry import unknown

    raise AttributeError(unknown("mflow has no", name, __all__))
