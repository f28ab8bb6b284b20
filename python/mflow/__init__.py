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

import os
from collections import Counter
from importlib import import_module
from threading import Condition, Lock, get_ident
from typing import TYPE_CHECKING, Any

from mflow_core._levels import VERSION

if TYPE_CHECKING:  # what stands in _LATER, and what comes from the records
    from mflow_core.problems.signatures import Recoverable as Recoverable

    from mflow import data as data
    from mflow import nonlinear as nonlinear
    from mflow import objectives as objectives
    from mflow import optim as optim
    from mflow import plot as plot
    from mflow import schedules as schedules
    from mflow import testproblems as testproblems
    from mflow.adapters.sklearn_estimators import ImplicitSGDClassifier as ImplicitSGDClassifier
    from mflow.adapters.sklearn_estimators import ImplicitSGDRegressor as ImplicitSGDRegressor
    from mflow.analysis.basins import basins as basins
    from mflow.analysis.certificate import Certificate as Certificate
    from mflow.analysis.certificate import certificate as certificate
    from mflow.analysis.families import family as family
    from mflow.analysis.posedness import posedness as posedness
    from mflow.analysis.posedness import posedness_along as posedness_along
    from mflow.base._records import *  # noqa: F403
    from mflow.base.methods import Method as Method
    from mflow.base.methods import get_method as get_method
    from mflow.base.methods import methods as methods
    from mflow.base.result import DynamicsResult as DynamicsResult
    from mflow.base.result import IVPResult as IVPResult
    from mflow.base.result import OptimizeResult as OptimizeResult
    from mflow.base.threads import threads as threads
    from mflow.data.rows import minibatches as minibatches
    from mflow.derivatives.gradients import DerivativeReport as DerivativeReport
    from mflow.derivatives.gradients import check_grad as check_grad
    from mflow.derivatives.gradients import check_gradient as check_gradient
    from mflow.derivatives.gradients import check_jacobian as check_jacobian
    from mflow.derivatives.remainder import GradientWarning as GradientWarning
    from mflow.dynamics.batch import DynamicsBatchResult as DynamicsBatchResult
    from mflow.dynamics.batch import solve_dynamics_batch as solve_dynamics_batch
    from mflow.dynamics.obstacles import Contact as Contact
    from mflow.dynamics.obstacles import Friction as Friction
    from mflow.dynamics.solve import solve_dynamics as solve_dynamics
    from mflow.dynamics.symmetric import SymmetricSteps as SymmetricSteps
    from mflow.equations.consistency import consistency as consistency
    from mflow.equations.convergence import convergence as convergence
    from mflow.equations.convergence import explicit_vs_implicit as explicit_vs_implicit
    from mflow.equations.energy import EnergyLedger as EnergyLedger
    from mflow.equations.energy import energy_ledger as energy_ledger
    from mflow.experiments.lr_find import LRFindResult as LRFindResult
    from mflow.experiments.lr_find import lr_find as lr_find
    from mflow.experiments.sweep import SweepResult as SweepResult
    from mflow.experiments.sweep import sweep as sweep
    from mflow.experiments.tasks import Descent as Descent
    from mflow.experiments.tasks import Training as Training
    from mflow.explaining.explain import explain as explain
    from mflow.fitting.batch import LeastSquaresBatchResult as LeastSquaresBatchResult
    from mflow.fitting.batch import least_squares_batch as least_squares_batch
    from mflow.fitting.curve_fit import curve_fit as curve_fit
    from mflow.fitting.fitted import CurveFit as CurveFit
    from mflow.fitting.least_squares import LeastSquaresResult as LeastSquaresResult
    from mflow.fitting.least_squares import least_squares as least_squares
    from mflow.implicit.linear import ImplicitSGD as ImplicitSGD
    from mflow.implicit.softmax import SoftmaxSGD as SoftmaxSGD
    from mflow.integrate.batch import IVPBatchResult as IVPBatchResult
    from mflow.integrate.batch import solve_ivp_batch as solve_ivp_batch
    from mflow.integrate.control import Event as Event
    from mflow.integrate.curvature import StiffnessWarning as StiffnessWarning
    from mflow.integrate.dense import DenseOutput as DenseOutput
    from mflow.integrate.flow import gradient_flow as gradient_flow
    from mflow.integrate.ivp import solve_ivp as solve_ivp
    from mflow.integrate.stepper import Stepper as Stepper
    from mflow.optimize.linesearch import LineSearch as LineSearch
    from mflow.optimize.linesearch import LineSearchResult as LineSearchResult
    from mflow.optimize.linesearch import line_search as line_search
    from mflow.optimize.minimize import minimize as minimize
    from mflow.optimize.minimize_batch import MinimizeBatchResult as MinimizeBatchResult
    from mflow.optimize.minimize_batch import minimize_batch as minimize_batch
    from mflow.prepared.fit import CompiledFit as CompiledFit
    from mflow.prepared.fit import compile_fit as compile_fit
    from mflow.prepared.solver import CompiledSolver as CompiledSolver
    from mflow.prepared.solver import compile_solver as compile_solver
    from mflow.problems.compiled import Compiled as Compiled
    from mflow.problems.compiled import compile as compile
    from mflow.problems.curves import starting_values as starting_values
    from mflow.problems.first_order import first_order_system as first_order_system
    from mflow.problems.symbolic import compiled_from_sympy as compiled_from_sympy
    from mflow.solvers.nonlinear import FixedPoint as FixedPoint
    from mflow.solvers.nonlinear import Newton as Newton
    from mflow.solvers.nonlinear import NewtonKrylov as NewtonKrylov
    from mflow.stability.amplification import amplification as amplification
    from mflow.stability.conditions import order_from_conditions as order_from_conditions
    from mflow.stability.conditions import principal_error_norm as principal_error_norm
    from mflow.stability.facts import is_a_stable as is_a_stable
    from mflow.stability.facts import is_l_stable as is_l_stable
    from mflow.stability.facts import limit_at_infinity as limit_at_infinity
    from mflow.stability.facts import ssp_coefficient as ssp_coefficient
    from mflow.stability.facts import stability_function as stability_function
    from mflow.stability.limits import max_stable_dt as max_stable_dt
    from mflow.stability.limits import stability_limit as stability_limit
    from mflow.stability.oscillation import dispersion as dispersion
    from mflow.stability.oscillation import dissipation as dissipation
    from mflow.stability.oscillation import oscillation as oscillation
    from mflow.stability.quadratic import best_parameters as best_parameters
    from mflow.stability.quadratic import convergence_rate as convergence_rate
    from mflow.stability.quadratic import parameter_region as parameter_region
    from mflow.stability.region import stability_region as stability_region
    from mflow.training.train import TrainResult as TrainResult
    from mflow.training.train import train as train
    from mflow.vibration.modal import Modes as Modes
    from mflow.vibration.modal import modes as modes
    from mflow.vibration.spectrum import ResponseSpectrum as ResponseSpectrum
    from mflow.vibration.spectrum import response_spectrum as response_spectrum

__version__ = VERSION

# Every name is imported when it is first asked for, by its module: a program loads only what it uses.
_LATER = {
    "mflow_core.problems.signatures": "Recoverable",
    "mflow.analysis.basins": "basins",
    "mflow.analysis.certificate": "Certificate certificate",
    "mflow.explaining.explain": "explain",
    "mflow.analysis.families": "family",
    "mflow.analysis.posedness": "posedness posedness_along",
    "mflow.base.methods": "Method get_method methods",
    "mflow.base.result": "DynamicsResult IVPResult OptimizeResult",
    "mflow.base.threads": "threads",
    "mflow.data.rows": "minibatches",
    "mflow.derivatives.gradients": "DerivativeReport check_grad check_gradient check_jacobian",
    "mflow.derivatives.remainder": "GradientWarning",
    "mflow.dynamics.batch": "DynamicsBatchResult solve_dynamics_batch",
    "mflow.dynamics.obstacles": "Contact Friction",
    "mflow.dynamics.solve": "solve_dynamics",
    "mflow.dynamics.symmetric": "SymmetricSteps",
    "mflow.equations.consistency": "consistency",
    "mflow.equations.convergence": "convergence explicit_vs_implicit",
    "mflow.equations.energy": "EnergyLedger energy_ledger",
    "mflow.experiments.lr_find": "LRFindResult lr_find",
    "mflow.experiments.sweep": "SweepResult sweep",
    "mflow.experiments.tasks": "Descent Training",
    "mflow.fitting.batch": "LeastSquaresBatchResult least_squares_batch",
    "mflow.fitting.curve_fit": "curve_fit",
    "mflow.fitting.fitted": "CurveFit",
    "mflow.fitting.least_squares": "LeastSquaresResult least_squares",
    "mflow.implicit.linear": "ImplicitSGD",
    "mflow.implicit.softmax": "SoftmaxSGD",
    "mflow.integrate.batch": "IVPBatchResult solve_ivp_batch",
    "mflow.integrate.control": "Event",
    "mflow.integrate.curvature": "StiffnessWarning",
    "mflow.integrate.dense": "DenseOutput",
    "mflow.integrate.flow": "gradient_flow",
    "mflow.integrate.ivp": "solve_ivp",
    "mflow.integrate.stepper": "Stepper",
    "mflow.optimize.linesearch": "LineSearch LineSearchResult line_search",
    "mflow.optimize.minimize": "minimize",
    "mflow.optimize.minimize_batch": "MinimizeBatchResult minimize_batch",
    "mflow.prepared.fit": "CompiledFit compile_fit",
    "mflow.prepared.solver": "CompiledSolver compile_solver",
    "mflow.problems.compiled": "Compiled compile",
    "mflow.problems.curves": "starting_values",
    "mflow.problems.first_order": "first_order_system",
    "mflow.problems.symbolic": "compiled_from_sympy",
    "mflow.solvers.nonlinear": "FixedPoint Newton NewtonKrylov",
    "mflow.stability.amplification": "amplification",
    "mflow.stability.conditions": "order_from_conditions principal_error_norm",
    "mflow.stability.facts": "is_a_stable is_l_stable limit_at_infinity ssp_coefficient stability_function",
    "mflow.stability.limits": "max_stable_dt stability_limit",
    "mflow.stability.oscillation": "dispersion dissipation oscillation",
    "mflow.stability.quadratic": "best_parameters convergence_rate parameter_region",
    "mflow.stability.region": "stability_region",
    "mflow.training.train": "TrainResult train",
    "mflow.vibration.modal": "Modes modes",
    "mflow.vibration.spectrum": "ResponseSpectrum response_spectrum",
}
_PLACES = {name: module for module, names in _LATER.items() for name in names.split()}
# Modules that make the kinds of a class which it chooses among.
_KINDS = {"Stepper": ("mflow.integrate.flow", "mflow.dynamics.stepper")}

# Modules that users know by name; some need more than NumPy.
_ROOMS = ("data", "nonlinear", "objectives", "optim", "schedules")  # those whose names have pages of their own, and are looked for
_MODULES = (*_ROOMS, "plot", "scipy", "testproblems", "torch")
_ESTIMATORS = ("ImplicitSGDClassifier", "ImplicitSGDRegressor")  # these need scikit-learn


def _integrators() -> dict[str, Any]:
    """The classes of methods that drivers take, by name."""
    from mflow.base.methods import classes

    return {cls.__name__: cls for cls in classes().values() if cls.record.kind in ("step", "direction")}


def _all() -> list[str]:
    return sorted([*_PLACES, *_integrators(), "objectives", "optim", "schedules"])


def __dir__() -> list[str]:
    return sorted({*_all(), *_MODULES})


# A fork waits until no other thread is importing, as the child would wait for that thread, which it does not have, for ever. Imports do
# not wait for each other here: each has the locks of its modules. A fork waits for none of its own thread, and not for ever: another may
# wait for a lock that the thread that forks holds.
_IMPORTING, _IN, _LONGEST = Condition(Lock()), Counter[int](), 10.0


def _before_fork() -> None:
    _IMPORTING.acquire()
    if (me := get_ident()) not in _IN:
        _IMPORTING.wait_for(lambda: not _IN.keys() - {me}, _LONGEST)


def _in_child() -> None:
    for other in _IN.keys() - {get_ident()}:
        del _IN[other]
    _IMPORTING.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_IMPORTING.release, after_in_child=_in_child)


def _loaded(name: str) -> Any:
    """The module of this name."""
    me = get_ident()
    with _IMPORTING:
        _IN[me] += 1
    try:
        return import_module(name)
    finally:
        with _IMPORTING:
            _IN[me] -= 1
            if not _IN[me]:
                del _IN[me]
            _IMPORTING.notify_all()


if not TYPE_CHECKING:  # a type checker reads the names above, and finds those that are not there

    def __getattr__(name: str) -> Any:
        """Imports what is asked for; for a name that does not exist, the error gives those near to it."""
        if name in _PLACES:
            for kinds in _KINDS.get(name, ()):
                _loaded(kinds)
            value = globals()[name] = getattr(_loaded(_PLACES[name]), name)
            return value
        if name in _MODULES or name in _ESTIMATORS:
            return _loaded(f"mflow.{name}") if name in _MODULES else getattr(_loaded("mflow.adapters.sklearn_estimators"), name)
        if name == "__all__":
            return _all()
        if name.startswith("_"):  # what Python and its tools ask any module for needs no records
            raise AttributeError(f"module 'mflow' has no attribute {name!r}")
        found = _integrators()
        globals().update(found)
        if name in found:
            return found[name]
        from mflow.base.foreign import SWITCHING, no_name
        from mflow.base.methods import classes, plain_name

        plain = plain_name(name)
        for cls in classes().values():
            if plain in map(plain_name, (cls.record.class_name, cls.record.name, *cls.record.aliases)):
                room = "mflow.optim." if cls.record.kind == "update" else "mflow."
                raise AttributeError(
                    f"mflow has no {name!r}: the class is {room}{cls.record.class_name}; drivers take the name {cls.record.name!r}, or "
                    "get_method of it"
                )
        if plain in SWITCHING:
            raise AttributeError(f'mflow has no {name!r}: here it is mflow.solve_ivp with method="auto"')
        for room in _ROOMS:
            if name in _loaded(f"mflow.{room}").__all__:
                raise AttributeError(f"mflow has no {name!r}: it is mflow.{room}.{name}")
        raise no_name("mflow", name, _all())
