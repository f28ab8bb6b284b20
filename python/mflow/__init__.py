"""mflow: optimization as motion.

Gradient flow c' = -grad f(c) is an ODE; steepest descent is forward Euler on it, and a learning rate is a time step. So one library
holds integrators, optimizers and the analysis that says which step is safe and why.

    solve_ivp, gradient_flow, minimize     drivers; solve_ivp_batch, solve_dynamics_batch, minimize_batch: many
    solve_dynamics                         M x'' = F(t, x, v); modes, response_spectrum: vibrations
    ImplicitSGD                            linear models, one sample at a time
    train                                  epochs, batches, validation, checkpoints
    lr_find, sweep                         which learning rate, and where each method diverges
    optim, schedules, Stepper, minibatches parts for a loop of your own
    curve_fit, least_squares, line_search  nonlinear fits, within bounds, a million at once; steps along a direction
    check_gradient, check_jacobian         is it the derivative of this function?
    objectives                             compiled costs: regressions, test problems
    stability_limit, max_stable_dt, ...    which step is safe
    posedness, basins, explain, certificate what a problem does with small errors, and which method and step to take
    methods, get_method                    what there is

Every integrator has a class here (`mflow.RK4`), every optimizer in `mflow.optim`.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any

from mflow_core._levels import VERSION
from mflow_core.problems.problem import Recoverable

from mflow import optim
from mflow.base.methods import Method, classes, get_method, methods
from mflow.base.result import ANALYSES, DynamicsResult, IVPResult, OptimizeResult
from mflow.base.threads import threads
from mflow.derivatives.remainder import GradientWarning
from mflow.dynamics.solve import solve_dynamics
from mflow.integrate.control import Event
from mflow.integrate.curvature import StiffnessWarning
from mflow.integrate.dense import DenseOutput
from mflow.integrate.flow import gradient_flow
from mflow.integrate.ivp import solve_ivp
from mflow.integrate.stepper import Stepper
from mflow.optimize.minimize import minimize
from mflow.problems.compiled import Compiled, compile
from mflow.solvers.nonlinear import FixedPoint, Newton, NewtonKrylov

if TYPE_CHECKING:  # what stands in _LATER
    from mflow import data as data
    from mflow import nonlinear as nonlinear
    from mflow import objectives, schedules
    from mflow import plot as plot
    from mflow import testproblems as testproblems
    from mflow.adapters.sklearn_estimators import ImplicitSGDClassifier as ImplicitSGDClassifier
    from mflow.adapters.sklearn_estimators import ImplicitSGDRegressor as ImplicitSGDRegressor
    from mflow.analysis.basins import basins
    from mflow.analysis.certificate import Certificate, certificate
    from mflow.analysis.explain import explain
    from mflow.analysis.families import family
    from mflow.analysis.posedness import posedness, posedness_along
    from mflow.base._records import *  # noqa: F403
    from mflow.data.rows import minibatches
    from mflow.derivatives.gradients import DerivativeReport, check_grad, check_gradient, check_jacobian
    from mflow.dynamics.batch import DynamicsBatchResult, solve_dynamics_batch
    from mflow.dynamics.contact import Contact, Friction
    from mflow.dynamics.symmetric import SymmetricSteps
    from mflow.equations.consistency import consistency
    from mflow.equations.convergence import convergence, explicit_vs_implicit
    from mflow.equations.energy import EnergyLedger, energy_ledger
    from mflow.experiments.lr_find import LRFindResult, lr_find
    from mflow.experiments.sweep import SweepResult, sweep
    from mflow.experiments.tasks import Descent, Training
    from mflow.fitting.batch import LeastSquaresBatchResult, least_squares_batch
    from mflow.fitting.curve_fit import curve_fit
    from mflow.fitting.fitted import CurveFit
    from mflow.fitting.least_squares import LeastSquaresResult, least_squares
    from mflow.implicit.linear import ImplicitSGD
    from mflow.implicit.softmax import SoftmaxSGD
    from mflow.integrate.batch import IVPBatchResult, solve_ivp_batch
    from mflow.optimize.linesearch import LineSearch, LineSearchResult, line_search
    from mflow.optimize.minimize_batch import MinimizeBatchResult, minimize_batch
    from mflow.prepared.solver import CompiledSolver, compile_solver
    from mflow.problems.curves import starting_values
    from mflow.problems.first_order import first_order_system
    from mflow.problems.symbolic import compiled_from_sympy
    from mflow.stability.amplification import amplification
    from mflow.stability.conditions import order_from_conditions, principal_error_norm
    from mflow.stability.facts import is_a_stable, is_l_stable, limit_at_infinity, ssp_coefficient, stability_function
    from mflow.stability.limits import max_stable_dt, stability_limit
    from mflow.stability.oscillation import dispersion, dissipation, oscillation
    from mflow.stability.quadratic import best_parameters, convergence_rate, parameter_region
    from mflow.stability.region import stability_region
    from mflow.training.train import TrainResult, train
    from mflow.vibration.modal import Modes, modes
    from mflow.vibration.spectrum import ResponseSpectrum, response_spectrum

__version__ = VERSION

_INTEGRATORS = {cls.__name__: cls for cls in classes().values() if cls.record.kind in ("step", "direction")}
globals().update(_INTEGRATORS)

# What is imported when it is first asked for, by its module: most programs use little of it, and start twice as fast without.
_LATER = {
    "analysis.basins": "basins",
    "analysis.certificate": "Certificate certificate",
    "analysis.explain": "explain",
    "analysis.families": "family",
    "analysis.posedness": "posedness posedness_along",
    "data.rows": "minibatches",
    "derivatives.gradients": "DerivativeReport check_grad check_gradient check_jacobian",
    "dynamics.batch": "DynamicsBatchResult solve_dynamics_batch",
    "dynamics.contact": "Contact Friction",
    "dynamics.symmetric": "SymmetricSteps",
    "equations.consistency": "consistency",
    "equations.convergence": "convergence explicit_vs_implicit",
    "equations.energy": "EnergyLedger energy_ledger",
    "experiments.lr_find": "LRFindResult lr_find",
    "experiments.sweep": "SweepResult sweep",
    "experiments.tasks": "Descent Training",
    "fitting.batch": "LeastSquaresBatchResult least_squares_batch",
    "fitting.curve_fit": "curve_fit",
    "fitting.fitted": "CurveFit",
    "fitting.least_squares": "LeastSquaresResult least_squares",
    "implicit.linear": "ImplicitSGD",
    "implicit.softmax": "SoftmaxSGD",
    "integrate.batch": "IVPBatchResult solve_ivp_batch",
    "optimize.linesearch": "LineSearch LineSearchResult line_search",
    "optimize.minimize_batch": "MinimizeBatchResult minimize_batch",
    "prepared.solver": "CompiledSolver compile_solver",
    "problems.curves": "starting_values",
    "problems.first_order": "first_order_system",
    "problems.symbolic": "compiled_from_sympy",
    "stability.amplification": "amplification",
    "stability.conditions": "order_from_conditions principal_error_norm",
    "stability.facts": "is_a_stable is_l_stable limit_at_infinity ssp_coefficient stability_function",
    "stability.limits": "max_stable_dt stability_limit",
    "stability.oscillation": "dispersion dissipation oscillation",
    "stability.quadratic": "best_parameters convergence_rate parameter_region",
    "stability.region": "stability_region",
    "training.train": "TrainResult train",
    "vibration.modal": "Modes modes",
    "vibration.spectrum": "ResponseSpectrum response_spectrum",
}
_PLACES = {name: module for module, names in _LATER.items() for name in names.split()}


def _analysis(name: str, module: str) -> Callable[..., Any]:
    """The method of a result that imports its analysis, which then stands in its place."""

    def analysed(result: Any, **options: Any) -> Any:
        import_module(f"mflow.{module}")
        return ANALYSES[name](result, **options)

    return analysed


for _name in ("certificate", "posedness"):
    ANALYSES.setdefault(_name, _analysis(_name, f"analysis.{_name}"))

# Modules that users know by name. `__getattr__` imports one when it is first asked for: some need more than NumPy.
_MODULES = ("data", "nonlinear", "objectives", "optim", "plot", "schedules", "scipy", "testproblems", "torch")
_ESTIMATORS = ("ImplicitSGDClassifier", "ImplicitSGDRegressor")  # these need scikit-learn

__all__ = [  # noqa: PLE0604
    "Certificate",
    "Compiled",
    "CompiledSolver",
    "Contact",
    "CurveFit",
    "DenseOutput",
    "DerivativeReport",
    "Descent",
    "DynamicsBatchResult",
    "DynamicsResult",
    "EnergyLedger",
    "Event",
    "FixedPoint",
    "Friction",
    "GradientWarning",
    "IVPBatchResult",
    "IVPResult",
    "ImplicitSGD",
    "LeastSquaresBatchResult",
    "LeastSquaresResult",
    "LineSearch",
    "LineSearchResult",
    "LRFindResult",
    "Method",
    "MinimizeBatchResult",
    "Modes",
    "Newton",
    "NewtonKrylov",
    "OptimizeResult",
    "Recoverable",
    "ResponseSpectrum",
    "Stepper",
    "SoftmaxSGD",
    "StiffnessWarning",
    "SweepResult",
    "SymmetricSteps",
    "TrainResult",
    "Training",
    "amplification",
    "basins",
    "best_parameters",
    "certificate",
    "check_grad",
    "check_gradient",
    "check_jacobian",
    "consistency",
    "convergence",
    "convergence_rate",
    "curve_fit",
    "dispersion",
    "dissipation",
    "energy_ledger",
    "explain",
    "explicit_vs_implicit",
    "family",
    "compile",
    "compile_solver",
    "compiled_from_sympy",
    "first_order_system",
    "get_method",
    "gradient_flow",
    "is_a_stable",
    "is_l_stable",
    "limit_at_infinity",
    "least_squares",
    "least_squares_batch",
    "line_search",
    "lr_find",
    "max_stable_dt",
    "methods",
    "minibatches",
    "minimize",
    "minimize_batch",
    "modes",
    "objectives",
    "optim",
    "schedules",
    "order_from_conditions",
    "oscillation",
    "parameter_region",
    "posedness",
    "posedness_along",
    "principal_error_norm",
    "response_spectrum",
    "solve_dynamics",
    "solve_dynamics_batch",
    "solve_ivp",
    "solve_ivp_batch",
    "ssp_coefficient",
    "stability_function",
    "starting_values",
    "stability_limit",
    "sweep",
    "threads",
    "train",
    "stability_region",
    *sorted(_INTEGRATORS),
]


def __dir__() -> list[str]:
    return sorted({*__all__, *_MODULES})


if not TYPE_CHECKING:  # a type checker reads the names above, and finds those that are not there

    def __getattr__(name: str) -> Any:
        """Imports what few programs need when it is asked for; for a name that does not exist, the error gives those near to it."""
        if name in _PLACES:
            value = globals()[name] = getattr(import_module(f"mflow.{_PLACES[name]}"), name)
            return value
        if name in _MODULES or name in _ESTIMATORS:
            return import_module(f"mflow.{name}") if name in _MODULES else getattr(import_module("mflow.adapters.sklearn_estimators"), name)
        from mflow_core.registry import unknown

        record = getattr(getattr(optim, name, None), "method_record", None)
        if record is not None:
            raise AttributeError(
                f"mflow has no {name!r}: the class is mflow.optim.{name}; drivers take the name {record.name!r}, or get_method of it"
            )
        raise AttributeError(unknown("mflow has no", name, __all__))
