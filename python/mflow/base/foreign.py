"""Words of other libraries (SciPy, scikit-learn, torch, Keras, JAX, MATLAB, Julia), and what there is here in their place.

A word has one answer in every driver that has what it asks for. A driver adds only the sentences that are true of it alone, as its `own`.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

import numpy as np
from mflow_core import registry

__all__ = [
    "ARGUMENTS",
    "ELSEWHERE",
    "FIELDS",
    "METHODS",
    "MINIMIZERS",
    "NAMES",
    "ONE_BY_ONE",
    "OWN",
    "SEEN",
    "SWITCHING",
    "asks_nothing",
    "no_argument",
    "no_argument_of",
    "no_field",
    "no_name",
    "other_scale",
    "own_method",
    "refuse",
    "refuse_method",
    "wrong_order",
]

MINIMIZE = "mflow.minimize, whose method= names the algorithm"
MEANS = "mflow.optim.SWA and mflow.optim.EMA, means of the parameters beside an optimizer"
BATCHES = "mflow.minibatches(X, y, batch_size=32, epochs=5, seed=0), or data=(X, y) of mflow.train"
ARGUMENTS_OF_FITS = "p0=, bounds= and fixed= of mflow.curve_fit, by the names of the model's arguments"
FIT = "mflow.curve_fit(model, x, y), with a function as the model"
PEAK = 'mflow.curve_fit("gaussian_peak", x, y), with its height a, centre m, width s and a constant c'
REPORT = "print(fit), of what mflow.curve_fit returned"
# Functions and classes, by what they are here.
NAMES = {
    "odeint": "mflow.solve_ivp", "ode": "mflow.Stepper", "diffeqsolve": "mflow.solve_ivp", "leastsq": "mflow.least_squares",
    "fmin": "mflow.minimize", **dict.fromkeys(("fmin_l_bfgs_b", "fmin_bfgs", "fmin_cg", "fmin_ncg", "fmin_tnc", "fmin_powell"), MINIMIZE),
    **dict.fromkeys(("swa_utils", "AveragedModel"), MEANS), **dict.fromkeys(("DataLoader", "TensorDataset", "Dataset"), BATCHES),
    "zero_grad": "not needed, as a step takes its gradient as its argument; optimizers have opt.zero_grad() for torch's tensors",
    "get_last_lr": "opt.rates of an optimizer, the rates of its next step", "no_grad": "not needed: nothing is recorded",
    **dict.fromkeys(("Parameters", "Parameter", "create_params"), ARGUMENTS_OF_FITS), **dict.fromkeys(("Model", "Minimizer"), FIT),
    **dict.fromkeys(("report_fit", "fit_report"), REPORT), "conf_interval": "fit.intervals(0.95), of what mflow.curve_fit returned",
    "root": 'mflow.solve_ivp with until="steady", or mflow.least_squares', "fsolve": "mflow.least_squares",
    "clip_grad_norm_": "clip_norm= of every optimizer and of mflow.train", "clip_grad_value_": "clip_value=, in the same places",
    "lr_scheduler": "mflow.schedules, and lr= takes one",
    **dict.fromkeys(("GaussianModel", "gaussian"), PEAK), "ExponentialModel": 'mflow.curve_fit("exponential", x, y), with a constant c',
    "SineModel": 'mflow.curve_fit("sine", x, y), with a constant c', "PowerLawModel": 'mflow.curve_fit("power_law", x, y)',
    "LBFGS": 'method="lbfgs" of mflow.train and mflow.minimize, as its line search asks for more gradients',
}  # fmt: skip
SLOWLY = "mflow.solve_dynamics with a load that grows slowly, as load=lambda t: t * pattern; a linear structure: numpy.linalg.solve(K, f)"
GRADIENTS = "a function of yours, by hand or of a package that differentiates; mflow.compiled_from_sympy makes one from symbols"
WARMED = "mflow.schedules.SequentialLR([mflow.schedules.LinearLR(...), mflow.schedules.CosineAnnealingLR(...)], milestones=[...])"
ESTIMATORS = "mflow.ImplicitSGDClassifier, an estimator of scikit-learn's kind, or mflow.SoftmaxSGD"
# optax, JAX, torch.nn, scikit-learn, and what is asked of any package.
NAMES |= {
    **dict.fromkeys(("warmup_cosine_decay_schedule", "warmup_exponential_decay_schedule", "join_schedules"), WARMED),
    "cosine_decay_schedule": "mflow.schedules.CosineAnnealingLR(lr, T_max=decay_steps)",
    "cosine_onecycle_schedule": "mflow.schedules.OneCycleLR(max_lr, total_steps=...)",
    "linear_onecycle_schedule": 'mflow.schedules.OneCycleLR(max_lr, total_steps=..., anneal_strategy="linear")',
    "exponential_decay": "mflow.schedules.ExponentialLR(lr, gamma=decay_rate**(1/transition_steps))",
    "constant_schedule": "the number itself, lr=0.1",
    "linear_schedule": "mflow.schedules.LinearLR(lr, start_factor=1.0, end_factor=..., total_iters=...)",
    "polynomial_schedule": "mflow.schedules.PolynomialLR(lr, total_iters=..., power=...)",
    "piecewise_constant_schedule": "mflow.schedules.MultiStepLR(lr, milestones=[...], gamma=...)",
    "clip_by_global_norm": "clip_norm= of every optimizer and of mflow.train",
    **dict.fromkeys(("chain", "apply_updates"), "opt.step(gradient) of one optimizer, which has clip_norm= and weight_decay= itself"),
    "lbfgs": 'method="lbfgs" of mflow.train and mflow.minimize',
    **dict.fromkeys(("LRScheduler", "_LRScheduler"), "mflow.schedules.Schedule, or any function of the step"),
    **dict.fromkeys(("grad", "value_and_grad", "jacfwd", "jacrev", "hessian", "autograd"), GRADIENTS),
    "jacobian": 'jac= of the drivers; where it is missing, they take differences',
    **dict.fromkeys(("vmap", "ensemble"), "mflow.solve_ivp_batch, mflow.minimize_batch and their like"),
    **dict.fromkeys(("LogisticRegression", "SGDClassifier", "Perceptron"), ESTIMATORS), "SGDRegressor": "mflow.ImplicitSGDRegressor",
    "datasets": "mflow.data", "load_dataset": "mflow.data, whose load_... read the tables that come with mflow",
    **dict.fromkeys(("version", "show_config", "show_versions"), "mflow.__version__; the command mflow doctor shows the rest"),
    "test": "the command mflow doctor, which compares the bits of all methods",
    **dict.fromkeys(("ode15s", "ode45", "ode23", "ode23s", "ode23t"), "mflow.solve_ivp, whose method= names the algorithm"),
    **dict.fromkeys(("fit", "curvefit"), FIT), "lsqnonlin": "mflow.least_squares",
    **dict.fromkeys(("pushover", "solve_static", "static"), SLOWLY), "fminunc": "mflow.minimize",
    **dict.fromkeys(("eig", "eigh"), "mflow.modes(mass, stiffness) of a structure; numpy.linalg has it for a matrix"),
}  # fmt: skip
FIELD = "mflow.plot.direction_field, with plane=True the phase plane of two components"
FIGURE = 'the .figure of the axes that each function returns, as in plot.solution(r).figure.savefig("r.png"), or ax= with axes of yours'
# Pictures, by the function of mflow.plot that draws them.
PICTURES = {
    **dict.fromkeys(("phase_portrait", "phase_plane", "phase", "phaseplot", "streamplot", "stream", "quiver", "vector_field"), FIELD),
    **dict.fromkeys(("slope_field", "slopes", "nullclines"), FIELD), **dict.fromkeys(("show", "savefig", "figure", "subplots"), FIGURE),
    **dict.fromkeys(("plot", "time_series", "timeseries", "components", "trajectory"), "mflow.plot.solution"),
    **dict.fromkeys(("contour", "contourf", "heatmap"), "mflow.plot.contours"), "animation": "mflow.plot.animate, which writes a GIF",
    **dict.fromkeys(("region", "stability", "stability_region"), "mflow.plot.stability_regions"),
    **dict.fromkeys(("residuals", "bands"), "mflow.plot.fit, of what mflow.curve_fit returned"),
    **dict.fromkeys(("loss", "learning_curve", "learning_curves", "training"), "mflow.plot.history, of what mflow.train returned"),
    **dict.fromkeys(("response_spectrum", "response_spectra"), "mflow.plot.spectrum"),
    **dict.fromkeys(("displacement", "motion"), "mflow.plot.displacements"),
}  # fmt: skip
# What SciPy has and mflow has not, by SciPy's module.
ELSEWHERE = {
    "integrate": "solve_bvp quad quad_vec dblquad tplquad nquad simpson trapezoid cumulative_trapezoid cumulative_simpson romb",
    "optimize": "basinhopping differential_evolution dual_annealing shgo direct brute brentq brenth bisect ridder toms748 root_scalar "
    "minimize_scalar fminbound brent golden fixed_point lsq_linear nnls linprog milp linear_sum_assignment isotonic_regression "
    "quadratic_assignment LinearConstraint NonlinearConstraint",
    "interpolate": "interp1d CubicSpline make_interp_spline PchipInterpolator UnivariateSpline",
}
# Attributes of objects of other libraries, by the class of ours that stands in their place.
FIELDS: dict[str, dict[str, str]] = {
    "Average": {
        **dict.fromkeys(("update_parameters", "step"), "mean.update(), which looks at the arrays that it was made with"),
        **dict.fromkeys(("module", "shadow", "parameters"), "mean.params"),
        **dict.fromkeys(("apply_shadow", "copy_to", "swap"), "mean.copy_to_params()"),
    },
    "Schedule": {
        "step": "not needed: the optimizer that it is the lr of calls it with the number of its steps; remove the line",
        **dict.fromkeys(("get_last_lr", "get_lr"), "opt.rates of the optimizer, or schedule(step)"),
        "optimizer": "the other way round: the optimizer has the schedule, as lr",
    },
    "Optimizer": {
        "state": "opt.state_dict()", "defaults": "opt.param_groups", "get_last_lr": "opt.rates",
        **dict.fromkeys(("minimize", "apply_gradients", "update"), "opt.step(gradient)"),
        "learning_rate": "opt.lr",
    },
    "GroundMotion": {
        **dict.fromkeys(("dt", "delta", "time_step"), "rec.spacing, s"), "npts": "rec.t.size",
        **dict.fromkeys(("pga", "PGA"), "rec.peak, m/s^2"), "duration": "rec.t[-1], s",
        **dict.fromkeys(("times", "time"), "rec.t, s"), **dict.fromkeys(("acc", "accel", "acceleration", "data"), "rec.a, m/s^2"),
        **dict.fromkeys(("units", "unit"), "always m/s^2 and s"),
    },
    "Modes": {
        "period": "modes.periods, s", **dict.fromkeys(("frequency", "freq", "f", "Hz"), "modes.frequencies, Hz"),
        **dict.fromkeys(("omega_n", "w", "natural_frequencies", "angular_frequencies"), "modes.omega, rad/s"),
        **dict.fromkeys(("phi", "Phi", "mode_shapes", "eigenvectors", "vectors"), "modes.shapes, one column for each mode"),
        **dict.fromkeys(("participation_factors", "gamma", "Gamma"), "modes.participation"),
        **dict.fromkeys(("effective_mass", "modal_mass", "mass_participation"), "modes.effective_masses"),
        **dict.fromkeys(("eigenvalues", "lam"), "modes.omega**2"),
    },
    "ResponseSpectrum": {
        **dict.fromkeys(("Sa", "SA", "acceleration"), "spectrum.sa"),
        **dict.fromkeys(("Sv", "SV", "velocity"), "spectrum.sv"),
        **dict.fromkeys(("Sd", "SD", "displacement"), "spectrum.sd"), **dict.fromkeys(("T", "period"), "spectrum.periods, s"),
        "PSA": "spectrum.psa", "PSV": "spectrum.psv", **dict.fromkeys(("pga", "PGA"), "spectrum.peak"),
        **dict.fromkeys(("zeta", "xi"), "spectrum.damping"),
    },
    "DynamicsResult": {
        **dict.fromkeys(("u", "q", "y", "disp", "displacement", "displacements"), "s.x"),
        **dict.fromkeys(("u_dot", "xdot", "vel", "velocity"), "s.v"), **dict.fromkeys(("acc", "accel", "acceleration"), "s.a"),
        **dict.fromkeys(("time", "times"), "s.t"),
    },
    "IVPResult": {
        **dict.fromkeys(("x", "u", "ys", "states"), "r.y, one row for each component"), **dict.fromkeys(("time", "times", "ts"), "r.t"),
        "nfe": "r.nfev",
    },
    "OptimizeResult": {
        **dict.fromkeys(("xopt", "params", "solution"), "r.x"), **dict.fromkeys(("fopt", "loss", "cost"), "r.fun"),
        **dict.fromkeys(("g", "grad", "gradient"), "r.jac"), **dict.fromkeys(("niter", "iterations"), "r.nit"),
    },
    "TrainResult": {
        **dict.fromkeys(("model", "weights", "best_params", "x"), "result.params, the best of the run; result.last_params are the last"),
        **dict.fromkeys(("losses", "loss", "train_loss"), "result.history.loss"), "val_loss": "result.history.val_loss",
        "predict": "your own function, of result.params",
    },
    "CurveFit": {
        **dict.fromkeys(("best_values", "params", "x"), "fit.popt, in the order of fit.names; dict(zip(fit.names, fit.popt))"),
        **dict.fromkeys(("fit_report", "summary"), "print(fit), or str(fit)"),
        **dict.fromkeys(("r_squared", "r2", "R2"), "fit.rsquared"), **dict.fromkeys(("perr", "errors", "std"), "fit.stderr"),
        **dict.fromkeys(("chi2", "chisq", "chisqr", "ssr"), "2*fit.cost"), "redchi": "2*fit.cost/fit.dof",
        "nfree": "fit.dof", "df_resid": "fit.dof",
        **dict.fromkeys(("aic", "bic"), "not there; with m data of normal errors m*np.log(2*fit.cost/m) + 2*n, or n*np.log(m) for 2*n"),
        **dict.fromkeys(("eval", "predict"), "fit(x)"), "best_fit": "fit(), the curve at xdata", "fittedvalues": "fit(), at xdata",
        "conf_int": "fit.intervals(0.95)", "conf_interval": "fit.intervals(0.95)", "ci_report": "fit.intervals(0.95)",
        "eval_uncertainty": "fit.confidence_band(x)", "bse": "fit.stderr", "covar": "fit.pcov", "cov_params": "fit.pcov",
        "residual": "fit.residuals", "resid": "fit.residuals", "to_csv": "fit.to_frame().to_csv(path)", "plot": "mflow.plot.fit(fit)",
        "plot_fit": "mflow.plot.fit(fit)", "init_values": "p0= of curve_fit",
    },
}  # fmt: skip
# Other names of methods that are here, in plain names, that nearer ones of other methods would be offered for.
SYNONYMS = {
    "euler": "expliciteuler eulerexplicit rungekutta1",
    "symplectic_euler": "eulercromer",
    "rk4": "rungekutta rungekutta4 classicalrungekutta",
    "dopri5": "ode45 dp5",
    "bs32": "ode23 bs3",
}
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
    "is for constraints; minimize takes bounds= alone, with 'lbfgs'": "slsqp trustconstr cobyla cobyqa",
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
    "constant_acceleration": ("linearacceleration", "it is mflow.Newmark(beta=1/6)"),
    "hht": ("alphaos alphaosgeneralized hhtexplicit hhtgeneralizedexplicit", "'hht' is the implicit one"),
}
SWITCHING = ("lsoda", "lsodar", "autotsit5", "autovern7")  # an explicit method where that will do, else an implicit one
# Arguments, by ours that mean the same.
ARGUMENTS = {
    "workers": "executor threads", "n_jobs": "threads executor", "num_workers": "executor threads", "hmax": "max_step",
    "hmin": "min_step", "h0": "first_step", "mxstep": "max_steps", "dt_max": "max_step", "Dfun": "jac", "ml": "lband", "mu": "uband",
    "tcrit": "breaks", "tstops": "breaks", "saveat": "t_eval", "abstol": "atol", "reltol": "rtol", "tolerance": "rtol tol ftol",
    "learning_rate": "lr lrs dt", "random_state": "seed", "rng": "seed", "verbose": "progress",
    "disp": "progress", "iprint": "progress", "schedule": "lr", "scheduler": "lr", "lr_scheduler": "lr",
    "callbacks": "callback", "early_stopping": "patience", "val_data": "validation", "validation_data": "validation",
    "validation_split": "validation", "max_norm": "clip_norm", "max_grad_norm": "clip_norm", "clipnorm": "clip_norm",
    "clipvalue": "clip_value", "test_size": "test_fraction", "eps": "diff_step", "finite_diff_rel_step": "diff_step",
    "ema": "average", "ema_decay": "average", "swa": "average", "accumulation_steps": "accumulate", "accumulate_grad_batches": "accumulate",
    "gradient_clip_val": "clip_norm", "clip_grad_norm": "clip_norm", "bs": "batch_size",
    "return_all": "path", "wd": "weight_decay", **dict.fromkeys(("b1", "b2", "beta1", "beta2", "beta_1", "beta_2"), "betas"),
    "tspan": "t_span", "t0": "t_span", "t1": "t_span t_end", "t_bound": "t_span t_end", "ts": "t_eval", "t": "t_eval",
    "dt0": "first_step dt", **dict.fromkeys(("h", "stepsize", "step_size"), "dt lr"), "dt": "lr", "stepsize_controller": "rtol",
    "T": "periods", **dict.fromkeys(("zeta", "xi"), "damping"), **dict.fromkeys(("yerr", "y_err", "dy"), "sigma"),
    **dict.fromkeys(("xdot0", "dx0", "velocity0"), "v0"), "tol": "rtol ftol",
    "optimizer": "method methods", "method": "optimizer methods", "epsilon": "eps diff_step",
    **dict.fromkeys(("solver", "algorithm", "alg"), "method optimizer"),
    "y0": "x0 c0 starts params", "x0": "y0 c0 starts params p0", "p0": "x0", "params": "x0", "jac": "grad",
    "grad": "jac", "gradient": "jac grad", **dict.fromkeys(("jacobian", "fprime"), "jac"),
    **dict.fromkeys(("func", "f", "rhs", "ode", "fun"), "fun f grad force"),
    **dict.fromkeys(
        ("max_iter", "maxiter", "maxit", "max_iterations", "niter", "n_iter"), "maxiter max_steps max_nfev epochs steps max_evaluations"
    ),
    **dict.fromkeys(("num_steps", "nsteps", "n_steps", "max_steps"), "max_steps maxiter epochs steps"),
    **dict.fromkeys(("n_epochs", "num_epochs"), "epochs maxiter"), "epochs": "maxiter max_steps",
    **dict.fromkeys(("max_nfev", "maxfev", "maxfun"), "max_nfev maxiter max_evaluations max_steps"),
}  # fmt: skip
_SLOWED = (
    "a rigid stop takes speed by restitution=; a dashpot beside the spring is a force of yours, force=(t, x, v) of mflow.solve_dynamics, "
    "which is 0 where there is no contact"
)
_NORMAL = "give force=, in the unit of forces: the coefficient of friction times the normal force"
_ESTIMATORS = {
    "alpha": "the weight of the penalty is l2=, of absolute values l1=", "penalty": "give its weight, l2= or l1=; an elastic net has both",
    "l1_ratio": "give both weights, l1= and l2=", "learning_rate": "a rate that decays is lr, lr_decay and lr_power",
    "eta0": "here it is lr=", "power_t": "here it is lr_power=",
}  # fmt: skip
# Sentences that are true of one function or class alone, by its public name.
OWN: dict[str, dict[str, str]] = {
    "ImplicitSGDClassifier": _ESTIMATORS, "ImplicitSGDRegressor": _ESTIMATORS,
    "Contact": {
        **dict.fromkeys(("damping", "c", "viscous"), _SLOWED),
        "friction": "mflow.Friction(dof, force), in friction= of mflow.solve_dynamics",
        **dict.fromkeys(("k", "K", "spring", "penalty"), "the stiffness of its spring is stiffness="),
        **dict.fromkeys(("e", "cor", "bounce"), "the speed behind an impact on a rigid stop is restitution="),
    },
    "train": {
        **dict.fromkeys(("restore_best", "restore_best_weights", "save_best"), "not needed: params of the result are the best of the run"),
        "device": "not needed: mflow computes on the CPU", "sample_weight": "give one more array of rows, (X, y, w), which fun takes",
    },
    "Friction": {**dict.fromkeys(("mu", "coefficient", "normal", "N", "fn"), _NORMAL), "yield_force": "give force=, what it slips at"},
    "Event": {
        **dict.fromkeys(("event", "function", "condition", "g"), "the function of (t, y) is fun=, or the first argument"),
        **dict.fromkeys(("affect", "affect_neg", "reset", "jump"), "what changes the state there is action="),
        **dict.fromkeys(("stop", "isterminal"), "a run ends there with terminal=True"),
    },
}  # fmt: skip
# Values that ask for what happens anyway, beside None and what is empty.
NOTHING: dict[str, tuple[Any, ...]] = {
    "workers": (1,), "n_jobs": (1,), "verbose": (0,), "disp": (False, 0), "iprint": (-1,), "ftol": (0,), "xrtol": (0,), "norm": (math.inf,),
    "return_all": (False,), "inexact": (True,), "tr_solver": ("exact",), "col_deriv": (0,),
}  # fmt: skip
FEW = 40  # names that are listed
NEAREST, LISTED = 4, 16  # arguments that are named where none is near, and how many a list of all may have
SEEN = "print the result, or its message; callback= sees each step"  # what `verbose` is told where there is no bar
ONE_BY_ONE = "differences are taken one after the other; omit it"  # what `workers` is told where functions are differenced


def no_name(module: str, name: str, known: Iterable[str]) -> AttributeError:
    """What a module says of a name that it has not: what there is here, where it is in SciPy, or the names near to it.

    All names are listed where they are few. What only a module of pictures is asked for is in `PICTURES`.

    Examples
    --------
    >>> from mflow.base.foreign import no_name
    >>> no_name("mflow", "brentq", ["Newton"])
    AttributeError("mflow has no 'brentq'; SciPy has it: scipy.optimize.brentq")
    """
    here = NAMES if module != "mflow.plot" else PICTURES
    if name in here:
        return AttributeError(f"{module} has no {name!r}: here it is {here[name]}")
    for place, theirs in ELSEWHERE.items():
        if name in theirs.split():
            return AttributeError(f"{module} has no {name!r}; SciPy has it: scipy.{place}.{name}")
    names = [*known]
    near = [one for one in names if one.lower() == name.lower()]
    near += [one for text in (name, name.lower()) for one in difflib.get_close_matches(text, names, n=3, cutoff=0.6)]
    few = f"there are: {', '.join(names)}" if len(names) <= FEW else f"dir({module}) lists what there is"
    offer = f"did you mean {' or '.join(map(repr, [*dict.fromkeys(near)][:3]))}?" if near else few
    return AttributeError(f"{module} has no {name!r}; {offer}")


def no_field(kind: str, instance: Any, name: str) -> AttributeError:
    """What an object says of an attribute that it has not; kind: of `FIELDS`."""
    here = FIELDS.get(kind, {}).get(name)
    owner = type(instance).__name__
    return AttributeError(f"{owner!r} object has no attribute {name!r}" + (f": here it is {here}" if here else ""), name=name, obj=instance)


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


def no_argument(problem: str, name: str, known: Collection[str]) -> str:
    """An error text for an argument that is not among the known: what it is called here, or the nearest names.

    Examples
    --------
    >>> from mflow.base.foreign import no_argument
    >>> no_argument("adam: no parameter", "learning_rate", ["lr", "betas"])
    'learning_rate: here it is lr='
    """
    ours = [one for one in ARGUMENTS.get(name, "").split() if one in known]
    return f"{name}: here it is {' or '.join(f'{one}=' for one in ours)}" if ours else registry.unknown(problem, name, known)


def own_method(name: str, record: Any) -> str:
    """An error text for a parameter of which a method is named, as torch's SGD has momentum= and nesterov=; "" for all others.

    Examples
    --------
    >>> from mflow_core import registry
    >>> from mflow.base.foreign import own_method
    >>> own_method("nesterov", registry.find("momentum"))
    "nesterov: momentum has none, as nesterov is a method of its own: give 'nesterov' in place of 'momentum'"
    """
    other = next((one for one in registry.records() if one.name == name), None)
    if other is None or other.kind != record.kind or "linear" not in record.flags & other.flags:
        return ""
    return f"{name}: {record.name} has none, as {name} is a method of its own: give {name!r} in place of {record.name!r}"


def no_argument_of(driver: str, name: str, known: Collection[str]) -> str:
    """An error text for an argument that a function has not; where it has many, and none is near, the nearest of them all the same.

    Examples
    --------
    >>> from mflow.base.foreign import no_argument_of
    >>> no_argument_of("f", "xyz", ["a", "b"])
    "f has no argument 'xyz'; there are: a, b"
    """
    if not known:
        return f"{driver} has no argument {name!r}; it has none that is given by name"
    text = registry.unknown(f"{driver} has no argument", name, known)
    if len(known) <= LISTED or "; did you mean " in text:
        return text
    alike = sorted(known, key=lambda one: -difflib.SequenceMatcher(None, name.lower(), one.lower()).ratio())[:NEAREST]
    nearest = ", ".join(map(repr, alike))
    return f"{driver} has no argument {name!r}; the nearest of its {len(known)} are {nearest}; help(mflow.{driver}) has all"


def refuse_method(name: str, plain: str, argument: str, fits: Callable[[Any], int] | None, auto: str) -> None:
    """ValueError for another name of a method, or that of another library's, by what is made for the same problems. plain : the name
    as names are compared. auto : which drivers take two methods by turns."""

    def has(ours: str) -> bool:
        return fits is None or bool(fits(registry.find(ours)))

    for ours, theirs in SYNONYMS.items():
        if plain in theirs.split() and has(ours):
            raise ValueError(f"{argument}: no method {name!r}; here it is {ours!r}")
    if plain in SWITCHING and has("bdf"):
        raise ValueError(f"{argument}: no method {name!r}, which is another library's; 'auto' is made for the same problems: {auto}")
    for ours, theirs in METHODS.items():
        if plain in theirs.split() and has(ours):
            of_motions = next((f"; {words}" for _, (names, words) in MOTIONS.items() if fits is None and plain in names.split()), "")
            raise ValueError(
                f"{argument}: no method {name!r}, which is another library's; {ours!r} is made for the same problems{of_motions}"
            )
    for ours, (theirs, words) in MOTIONS.items():
        if plain in theirs.split() and has(ours):
            raise ValueError(f"{argument}: no method {name!r}, which is one of structural dynamics; {words}")
    for words, theirs in MINIMIZERS.items():
        if plain in theirs.split() and has("lbfgs"):
            raise ValueError(f"{argument}: no method {name!r}, which is another library's and {words}")


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
_MODAL = "mflow.modes(mass, stiffness).damping_matrix(ratio), for damping="
_PEAKS = (
    "NumPy's: with m = mflow.modes(mass, stiffness) and sd = mflow.response_spectrum(record, m.periods, ratio).sd the peaks of the modes "
    "are m.shapes * m.participation * sd, and np.sqrt((peaks**2).sum(1)) is SRSS; m.response has the history"
)
STRUCTURES = {
    "rayleigh": "rayleigh=(a, b) of mflow.solve_dynamics, for a M + b K; mflow.modes(mass, stiffness).damping_matrix(ratio) has a ratio",
    "eigen": "mflow.modes(mass, stiffness, k=n)", "modal": "mflow.modes(mass, stiffness)",
    "analyze": "mflow.solve_dynamics, with t_span=(0, n * dt) and dt=dt",
    "recorder": "the result of mflow.solve_dynamics: s.t, s.x, s.v, s.a, one row for each degree of freedom",
    "timeSeries": "a load (times, values, pattern) of mflow.solve_dynamics", "UniformExcitation": "load=(rec.t, rec.a, -masses)",
    "uniaxialMaterial": _HYSTERESIS, "Steel01": _HYSTERESIS, "Steel02": _HYSTERESIS, "ElasticPP": _HYSTERESIS, "BoucWen": _HYSTERESIS,
    **dict.fromkeys(("Bilinear", "bilinear", "Hysteretic", "ElastomericBearing"), _HYSTERESIS), "modal_damping": _MODAL,
    **dict.fromkeys(("modal_damping_matrix", "damping_matrix"), _MODAL), **dict.fromkeys(("srss", "SRSS", "cqc", "CQC"), _PEAKS),
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


def wrong_order(values: Mapping[str, float]) -> str:
    """Words on Newmark's parameters where their steps add energy, gamma < 1/2, and where they seem to be exchanged; else "".

    Examples
    --------
    >>> from mflow.base.foreign import wrong_order
    >>> wrong_order({"beta": 0.25, "gamma": 0.5})
    ''
    >>> wrong_order({"beta": 0.5, "gamma": 0.25})[-78:]
    "OpenSees' Newmark 0.5 0.25, gamma first, is Newmark(beta=0.25, gamma=0.5) here"
    """
    beta, gamma = values["beta"], values["gamma"]
    if gamma >= 0.5:
        return ""
    theirs = f"; OpenSees' Newmark {beta:g} {gamma:g}, gamma first, is Newmark(beta={gamma:g}, gamma={beta:g}) here" if beta >= 0.5 else ""
    return (
        f"Newmark(beta={beta:g}, gamma={gamma:g}) has negative damping, as gamma is below 1/2: where omega dt is small its steps take "
        f"{0.5 * (0.5 - gamma):g} omega dt from the damping ratio of a mode of omega; give gamma=0.5{theirs}"
    )
