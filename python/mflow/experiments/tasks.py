"""The runs of a sweep: what `mflow.sweep` calls with a method, a rate and a seed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
from mflow_core.objectives.objective import Objective

from mflow.base.checks import check_instance
from mflow.base.methods import Method, as_method, refuse_unknown
from mflow.base.result import Result
from mflow.base.telling import knows_other_words
from mflow.derivatives.elsewhere import with_batch_derivative
from mflow.experiments.problems import Problem
from mflow.experiments.problems import problem as named_problem
from mflow.optimize.minimize import minimize
from mflow.training.feeds import Cost
from mflow.training.monitor import mean_loss
from mflow.training.train import train

__all__ = ["Descent", "Training", "task_of"]

FIELDS = ("fun", "params", "data", "jac", "epochs", "batch_size")  # arguments of `mflow.train` that are fields of `Training`


@knows_other_words
@dataclass
class Training:
    """A problem for `sweep`: minibatches by `mflow.train`.

    Parameters
    ----------
    fun, params, data, jac, epochs, batch_size
        As in `mflow.train`; there must be a loss. Compiled objectives train in threads side by side, without the GIL.
    options : dict
        More arguments of `mflow.train`.
    schedule : callable, optional
        ``schedule(lr)`` returns the lr of `mflow.train`, such as `mflow.schedules.InverseSqrtLR`; the number itself if not given.

    See Also
    --------
    mflow.Descent, mflow.sweep, mflow.lr_find

    Examples
    --------
    >>> import numpy as np, mflow
    >>> task = mflow.Training(lambda w, x: (float(w @ w), 2 * w), np.ones(2), np.zeros((8, 1)), epochs=3)
    >>> mflow.sweep(task, ["sgd"], [0.1, 10.0]).reason[0, :, 0].tolist()
    ['finished', 'diverged']
    """

    fun: Callable[..., Any]
    params: Any
    data: Any = None
    jac: Any = True
    epochs: int = 10
    batch_size: int | None = None
    options: dict[str, Any] = field(default_factory=dict)
    schedule: Callable[[float], Any] | None = None

    def __post_init__(self) -> None:
        check_instance(self.options, "options", dict, "a dict of arguments of train")
        for name, instead in (("lr", "lrs= of sweep, or schedule="), ("seed", "seeds= of sweep"), *((n, f"{n}=") for n in FIELDS)):
            if name in self.options:
                raise TypeError(f"options: {name} is no option here; give {instead}")

    def __call__(self, method: Method, lr: float, seed: int) -> Result:
        """One run; ``loss`` and ``start_loss`` are over all the data."""
        if method.kind != "update":
            raise ValueError(f"methods: {method.name} is no optimizer, and minibatches are for optimizers")
        rate = lr if self.schedule is None else self.schedule(lr)
        given = {**{k: v for k, v in method.given.items() if k != "lr"}, "lr": rate}
        run = train(
            self.fun,
            self.params,
            self.data,
            method.name,
            self.epochs,
            self.batch_size,
            jac=self.jac,
            seed=seed,
            **{"check_gradient": False, **self.options},
            **given,
        )
        start, end = self._loss(self.params), self._loss(run.last_params)
        return Result(loss=end, start_loss=start, reason=run.reason, message=run.message, nit=run.nit, curve=run.history.loss)

    def _loss(self, params: Any) -> float:
        if isinstance(self.fun, Objective):
            return self.fun(params)
        return mean_loss(Cost(*with_batch_derivative(self.fun, self.jac, params, False)), params, self.data, "data")


@knows_other_words
@dataclass
class Descent:
    """A problem for `sweep`: the whole cost at once, by `mflow.minimize`. lr is dt for integrators.

    Parameters
    ----------
    fun, x0, jac, maxiter
        As in `mflow.minimize`.
    options : dict
        More arguments of `mflow.minimize`.

    See Also
    --------
    mflow.Training, mflow.sweep, mflow.lr_find

    Examples
    --------
    >>> import numpy as np, mflow
    >>> task = mflow.Descent(lambda x: (float(x @ x), 2 * x), np.ones(2), maxiter=100)
    >>> mflow.sweep(task, ["sgd", "rk4"], [0.1, 1.2]).reason[:, :, 0].tolist()
    [['converged', 'diverged'], ['converged', 'converged']]
    """

    fun: Any
    x0: Any
    jac: Any = True
    maxiter: int = 1000
    options: dict[str, Any] = field(default_factory=dict)

    def __call__(self, method: Method, lr: float, seed: int) -> Result:
        """One run."""
        given = {k: v for k, v in method.given.items() if k not in ("lr", "dt")}
        bare = as_method(method.name, given)
        options = {"check_gradient": False, **self.options}
        run = minimize(self.fun, self.x0, method=bare, jac=self.jac, maxiter=self.maxiter, lr=lr, **options)
        start = minimize(self.fun, self.x0, method="sgd", jac=self.jac, maxiter=0, check_gradient=False).fun
        return Result(loss=run.fun, start_loss=start, reason=run.reason, message=run.message, nit=run.nit, curve=np.empty(0))


@dataclass
class _Named:
    """A problem of `mflow compare` by name, made where it is run: so only its name is sent to another process."""

    name: str
    options: dict[str, Any]

    def __call__(self, method: Method, lr: float, seed: int) -> Result:
        out: Result = _task_of_problem(named_problem(self.name), self.options)(method, lr, seed)
        return out


def _task_of_problem(problem: Problem, options: dict[str, Any]) -> Training | Descent:
    """Minibatches where the problem has rows, else the whole cost."""
    if problem.objective is not None and problem.rows:
        return _made(Training, {"batch_size": problem.batch_size, **options}, problem.objective, problem.start)
    if problem.objective is not None:
        return _made(Descent, options, problem.objective, problem.start, None)
    if problem.rows:
        return _made(Training, {"batch_size": problem.batch_size, **options}, problem.batch_cost, problem.start, problem.rows)
    return _made(Descent, options, problem.cost, problem.start, problem.has_gradient or None)


def _made(kind: type[Training] | type[Descent], options: dict[str, Any], *given: Any) -> Training | Descent:
    """A task of a sweep from its options. Raises TypeError for a name that no field has."""
    refuse_unknown("sweep", options, None, [one.name for one in fields(kind)])
    return kind(*given, **options)


def task_of(problem: Any, options: dict[str, Any]) -> Callable[..., Any]:
    """The callable ``task(method, lr, seed)`` of a sweep's problem. Raises TypeError or ValueError where it is none."""
    if isinstance(problem, str):
        try:
            named = named_problem(problem)
        except ValueError as error:
            raise ValueError(f"problem: {error}") from None
        _task_of_problem(named, options)  # so that mistakes are reported here, and not in each cell
        return _Named(problem, options)
    if isinstance(problem, Problem):
        return _task_of_problem(problem, options)
    if not callable(problem):
        raise TypeError(f"problem: expected an mflow.Training, an mflow.Descent, a name or a callable, got {type(problem).__name__}")
    if "params" in options or "x0" in options:
        return _made(Training if "params" in options else Descent, options, problem)
    if options:
        raise TypeError(f"{', '.join(options)}: options are for problems given by name; put them into the problem")
    return problem  # type: ignore[no-any-return]
