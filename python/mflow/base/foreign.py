"""Words of other libraries (SciPy, scikit-learn, torch, Keras, JAX, MATLAB, Julia), and what there is here in their place.

A word has one answer in every driver that has what it asks for. A driver adds only the sentences that are true of it alone, as its `own`.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np

__all__ = ["ARGUMENTS", "METHODS", "MINIMIZERS", "NAMES", "ONE_BY_ONE", "SEEN", "SWITCHING", "asks_nothing", "other_scale", "refuse"]

# Functions and classes, by what they are here.
NAMES = {
    "odeint": "mflow.solve_ivp", "ode": "mflow.Stepper", "diffeqsolve": "mflow.solve_ivp", "leastsq": "mflow.least_squares",
    "fmin": "mflow.minimize", "root": 'mflow.solve_ivp with until="steady", or mflow.least_squares', "fsolve": "mflow.least_squares",
    "clip_grad_norm_": "clip_norm= of every optimizer and of mflow.train", "clip_grad_value_": "clip_value=, in the same places",
    "lr_scheduler": "mflow.schedules, and lr= takes one",
    "LBFGS": 'method="lbfgs" of mflow.train and mflow.minimize, as its line search asks for more gradients',
}  # fmt: skip
# Algorithms that are not here, in plain names, by the method that is made for the same problems.
METHODS = {
    "bdf": "lsode vode zvode dvode cvode cvodes ida qndf fbdf ode15s ode15i",
    "radau5": "arkode kvaerno5 seulex",
    "rodas5p": "rodas4 rodas5 rosenbrock23 ode23s",
    "esdirk43": "ode23t ode23tb kvaerno3 kvaerno4 kencarp4 trbdf2",
    "dop853": "ode113 ode78 ode89 vern7 vern8 vern9 adams vcabm odex",
    "lbfgs": "tnc",
    "trust_ncg": "newtoncg trustkrylov trustexact dogleg",
}
# Minimizers of problems that none of ours is made for, by what "lbfgs" does with those that it can take.
MINIMIZERS = {
    "takes no derivatives; for a smooth cost 'lbfgs' makes them by differences where no jac is given": "neldermead powell",
    "is for constraints; there are bounds here, which 'lbfgs' takes": "slsqp trustconstr cobyla cobyqa",
}
# Methods of structural dynamics, by what is made for the same problems; and the words on it.
MOTIONS = {
    "newmark": (
        "wilson wilsontheta houbolt collocation trapezoidalmotion",
        "'newmark' is made for the same M x'' = F, and 'generalized_alpha' where fast vibrations are to fade, as they do there",
    ),
    "bathe": ("trbdf2 trbdf3", "'bathe' is the trapezoidal rule followed by BDF2 for M x'' = F"),
    "generalized_alpha": (
        "kralphaexplicit kralphaexplicittp",
        "'generalized_alpha' has the same damping of fast vibrations, and is implicit; 'central_difference' is explicit and has a limit",
    ),
    "hht": ("alphaos alphaosgeneralized hhtexplicit hhtgeneralizedexplicit", "'hht' is the implicit one"),
}
SWITCHING = ("lsoda", "lsodar", "autotsit5", "autovern7")  # an explicit method where that will do, else an implicit one
# Arguments, by ours that mean the same.
ARGUMENTS = {
    "workers": "executor threads", "n_jobs": "threads executor", "num_workers": "executor threads", "hmax": "max_step",
    "hmin": "min_step", "h0": "first_step", "mxstep": "max_steps", "dt_max": "max_step", "Dfun": "jac", "ml": "lband", "mu": "uband",
    "tcrit": "breaks", "tstops": "breaks", "saveat": "t_eval", "abstol": "atol", "reltol": "rtol", "step_size": "dt lr",
    "learning_rate": "lr", "max_iter": "maxiter max_steps epochs", "random_state": "seed", "rng": "seed", "verbose": "progress",
    "disp": "progress", "iprint": "progress", "schedule": "lr", "scheduler": "lr", "lr_scheduler": "lr", "n_epochs": "epochs",
    "epochs": "maxiter", "callbacks": "callback", "early_stopping": "patience", "val_data": "validation", "validation_data": "validation",
    "validation_split": "validation", "max_norm": "clip_norm", "max_grad_norm": "clip_norm", "clipnorm": "clip_norm",
    "clipvalue": "clip_value", "grad": "jac", "test_size": "test_fraction", "eps": "diff_step", "finite_diff_rel_step": "diff_step",
    "return_all": "path",
}  # fmt: skip
# Values that ask for what happens anyway, beside None and what is empty.
NOTHING: dict[str, tuple[Any, ...]] = {
    "workers": (1,), "n_jobs": (1,), "verbose": (0,), "disp": (False, 0), "iprint": (-1,), "ftol": (0,), "xrtol": (0,), "norm": (math.inf,),
    "return_all": (False,), "inexact": (True,), "tr_solver": ("exact",), "col_deriv": (0,),
}  # fmt: skip
SEEN = "print the result, or its message; callback= sees each step"  # what `verbose` is told where there is no bar
ONE_BY_ONE = "differences are taken one after the other; omit it"  # what `workers` is told where functions are differenced


def asks_nothing(name: str, value: Any) -> bool:
    """Whether an argument of another library's asks for what happens anyway.

    Examples
    --------
    >>> from mflow.base.foreign import asks_nothing
    >>> asks_nothing("disp", False), asks_nothing("workers", 2)
    (True, False)
    """
    if value is None or isinstance(value, (list, tuple, dict)):
        return not value
    return bool(np.ndim(value) == 0 and value in NOTHING.get(name, ()))


def refuse(driver: str, given: Any, known: Collection[str], own: Mapping[str, str]) -> None:
    """TypeError, with what there is here, for the first word in the dict `given` that asks for something; those that do not are taken out.

    known : what the driver takes. own : its own sentences, which come before the general answer.
    """
    for name in [one for one in given if one not in known]:
        ours = [one for one in ARGUMENTS.get(name, "").split() if one in known]
        nothing = asks_nothing(name, given[name])
        if name not in own and not ours and not (nothing and name in NOTHING):
            continue
        if not nothing:
            here = f"here it is {' or '.join(f'{one}=' for one in ours)}; see help(mflow.{driver})"
            raise TypeError(f"{name}: {own.get(name, here)}")
        del given[name]


# ---- structural dynamics -------------------------------------------------------------------------------------------------------------

_HYSTERESIS = 'a force with memory, in "a spring that yields" of the how-to on motion; mflow.Friction for a slider'
STRUCTURES = {
    "rayleigh": "rayleigh=(a, b) of mflow.solve_dynamics, for a M + b K; mflow.modes(mass, stiffness).damping_matrix(ratio) has a ratio",
    "eigen": "mflow.modes(mass, stiffness, k=n)", "modal": "mflow.modes(mass, stiffness)",
    "analyze": "mflow.solve_dynamics, with t_span=(0, n * dt) and dt=dt",
    "recorder": "the result of mflow.solve_dynamics: s.t, s.x, s.v, s.a, one row for each degree of freedom",
    "timeSeries": "a load (times, values, pattern) of mflow.solve_dynamics", "UniformExcitation": "load=(rec.t, rec.a, -masses)",
    "uniaxialMaterial": _HYSTERESIS, "Steel01": _HYSTERESIS, "Steel02": _HYSTERESIS, "ElasticPP": _HYSTERESIS, "BoucWen": _HYSTERESIS,
    "spectrum": "mflow.response_spectrum(record, periods, damping)", "fix": "fixed= of mflow.solve_dynamics",
    "integrator": "method= of mflow.solve_dynamics",
}  # fmt: skip
NAMES |= STRUCTURES


def other_scale(method: str, values: Mapping[str, float]) -> str:
    """Words on a parameter that another program counts otherwise, where a value seems to be meant so; else "".

    Examples
    --------
    >>> from mflow.base.foreign import other_scale
    >>> other_scale("hht", {"alpha": 0.9})
    "; OpenSees' 0.9 is alpha = -0.1 here"
    """
    alpha = values.get("alpha", 0.0)
    return f"; OpenSees' {alpha:g} is alpha = {alpha - 1.0:g} here" if method == "hht" and 2.0 / 3.0 <= alpha <= 1.0 else ""
