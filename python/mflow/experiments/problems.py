"""The problems of `mflow compare`: costs with a start, their curvature there, and the rows to draw minibatches from.

The library's own by name (`problem`), and one from a function of the user's (`custom_problem`).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from mflow_core.registry import unknown

from mflow.base.checks import Array, check_number, check_start
from mflow.data.rows import standardize, train_test_split
from mflow.data.tables import load_engel, load_longley, load_nist, load_penguins, nist_names
from mflow.derivatives.gradients import check_gradient
from mflow.problems import objectives
from mflow.stability.amplification import spectral_radius

__all__ = ["Problem", "custom_problem", "problem", "problem_names"]

DECAY = 1e-3  # L2 on the weights of the classification: small, but the minimum is then at a finite place
ROWS_A_BATCH = 32


@dataclass(frozen=True, eq=False)
class Problem:
    """A cost to be minimised.

    Attributes
    ----------
    name, description : str
    start : float64 array of any shape
    cost : callable
        ``cost(x)`` returns (value, gradient), or the value alone where ``has_gradient`` is False.
    curvature : float
        Largest curvature of the cost, at the start if it is not the same everywhere; nan where it could not be found.
    curvature_source : str
        "exact" or "measured at the start".
    start_loss : float
    score : callable or None
        ``score(x)``, called ``score_name`` in tables.
    rows : tuple of arrays (n_rows, ...)
        The arrays that minibatches are drawn from (in the library's own problems, row numbers); empty where the cost is no mean over
        rows.
    batch_cost : callable or None
        ``batch_cost(x, *batch)`` returns (value, gradient) for some of the rows.
    objective : `mflow.objectives.Objective` or None
        The same cost compiled, where it is: drivers take it as it is.
    fault : str
        What is wrong with the gradient at the start, in words; "" where nothing was found.
    """

    name: str
    description: str
    start: Array
    cost: Callable[[Array], Any]
    has_gradient: bool
    curvature: float
    curvature_source: str
    start_loss: float
    score: Callable[[Array], float] | None = None
    score_name: str = "score"
    rows: tuple[Array, ...] = ()
    batch_cost: Callable[..., tuple[float, Array]] | None = None
    objective: objectives.Objective | None = None
    fault: str = ""

    @property
    def batch_size(self) -> int:
        """Rows in a minibatch by default: 32, or a quarter of a small set; 0 where there are no rows."""
        return min(ROWS_A_BATCH, max(1, len(self.rows[0]) // 4)) if self.rows else 0


def _with_bias(X: Array) -> Array:
    return np.hstack([X, np.ones((len(X), 1))])


def _of_rows(f: objectives.Objective) -> dict[str, Any]:
    """The fields of a problem whose cost is a compiled mean over rows: minibatches are drawn from the rows' numbers."""
    start = f.x0
    return {
        "start": start, "cost": f.value_and_grad, "has_gradient": True, "start_loss": f(start), "rows": (np.arange(f.m),),
        "batch_cost": lambda c, rows: f.batch(rows).value_and_grad(c), "objective": f,
    }  # fmt: skip


def _measured(gradient: Callable[[Array], Array], start: Array) -> float:
    with np.errstate(all="ignore"):
        return spectral_radius(gradient, start)


def _penguins(seed: int) -> Problem:
    birds = load_penguins()
    X, X_test, y, y_test = train_test_split(birds.X, birds.y, seed=seed, stratify=True)
    scaled, scaled_test = standardize(X, X_test)
    test = _with_bias(scaled_test)
    f = objectives.Softmax(scaled, y, len(birds.target_names), DECAY, intercept=True)
    return Problem(
        name="penguins",
        description=f"logistic regression of {len(birds.target_names)} species on {scaled.shape[1]} body measurements, "
        f"{len(y)} birds to train on, {len(y_test)} held out",
        curvature=_measured(f.grad, f.x0),
        curvature_source="measured at the start",
        score=lambda c: float(np.mean(np.argmax(test @ c, axis=1) == y_test)),
        score_name="accuracy",
        **_of_rows(f),
    )


def _regression(name: str, seed: int) -> Problem:
    """Linear least squares on standardised columns; y is measured from its training mean in its standard deviations."""
    table = load_longley() if name == "longley" else load_engel()
    X, X_test, y, y_test = train_test_split(table.X, table.y, seed=seed)
    scaled, scaled_test = standardize(X, X_test)
    test = _with_bias(scaled_test)
    target, target_test = ((part - y.mean()) / y.std() for part in (y, y_test))
    f = objectives.LeastSquares(scaled, target, intercept=True)
    spread = float(np.sum((target_test - target_test.mean()) ** 2))
    return Problem(
        name=name,
        description=f"linear least squares of {table.target_names[0]} on {len(table.feature_names)} "
        f"column{'s' if len(table.feature_names) > 1 else ''}, {len(y)} rows to train on, {len(y_test)} held out",
        curvature=float(np.linalg.eigvalsh(f.hess(f.x0))[-1]),
        curvature_source="exact",
        score=lambda c: 1.0 - float(np.sum((test @ c - target_test) ** 2)) / spread,
        score_name="R2",
        **_of_rows(f),
    )


def _plain(name: str, description: str, f: objectives.Objective, answer: Array, exact: float) -> Problem:
    """A problem without rows whose answer is known; ``exact`` is its curvature, nan where it is to be measured."""
    start = f.x0
    scale = np.where(answer == 0.0, 1.0, np.abs(answer))
    measure = math.isnan(exact)
    return Problem(
        name=name,
        description=description,
        start=start,
        cost=f.value_and_grad,
        has_gradient=True,
        curvature=_measured(f.grad, start) if measure else exact,
        curvature_source="measured at the start" if measure else "exact",
        start_loss=f(start),
        score=lambda x: float(np.max(np.abs(x - answer) / scale)),
        score_name="error",
        objective=f,
    )


def _rosenbrock(seed: int) -> Problem:
    text = "Rosenbrock's valley from (-1.2, 1); the answer is (1, 1)"
    return _plain("rosenbrock", text, objectives.Rosenbrock(2), np.ones(2), math.nan)


def _quadratic(seed: int) -> Problem:
    text = "sum of L_i x_i^2/2 in 20 directions, L_i from 0.01 to 10"
    return _plain("quadratic", text, objectives.Quadratic(np.geomspace(1e-2, 10.0, 20)), np.zeros(20), 10.0)


def _nist(name: str) -> Problem:
    study = load_nist(name)
    text = f"NIST nonlinear regression, {study.level} difficulty, {len(study.y)} observations, from the nearer start"
    return _plain(study.name, text, study.objective, study.certified_parameters, math.nan)


_PROBLEMS: dict[str, Callable[[int], Problem]] = {
    "penguins": _penguins,
    "longley": lambda seed: _regression("longley", seed),
    "engel": lambda seed: _regression("engel", seed),
    "rosenbrock": _rosenbrock,
    "quadratic": _quadratic,
}


def problem_names() -> tuple[str, ...]:
    """Names that `problem` takes."""
    return (*_PROBLEMS, *nist_names())


def problem(name: str, seed: int = 0) -> Problem:
    """A problem of the library by name.

    ``name`` is one of `problem_names()`, in any case of letters; ``seed`` draws the rows that are held out. Raises ValueError, with
    the nearest names, where no problem has this name.

    Examples
    --------
    >>> from mflow.experiments.problems import problem
    >>> problem("rosenbrock").start
    array([-1.2,  1. ])
    """
    by_lower_case = {known.lower(): known for known in problem_names()}
    known = by_lower_case.get(name.lower())
    if known is None:
        raise ValueError(unknown("no problem", name, problem_names()))
    return _PROBLEMS[known](seed) if known in _PROBLEMS else _nist(known)


def custom_problem(name: str, function: Callable[[Array], Any], x0: Any) -> Problem:
    """A problem from a cost of the user's.

    Parameters
    ----------
    name : str
    function : callable
        ``function(x)`` returns the cost, or the pair (cost, gradient). Without a gradient, differences stand in for it.
    x0 : array_like of real numbers, any shape

    Returns
    -------
    Problem
        Without rows: full batch only.

    Raises
    ------
    TypeError, ValueError
        ``x0`` does not fit, or the function returns something else at x0. What it raises itself is passed on.

    Examples
    --------
    >>> from mflow.experiments.problems import custom_problem
    >>> round(custom_problem("bowl", lambda x: (x @ x, 2 * x), [1.0, 2.0]).curvature, 6)
    2.0
    """
    start = check_start(x0, "x0")
    first = function(start.copy())
    has_gradient = isinstance(first, tuple)
    if has_gradient and (len(first) != 2 or np.shape(first[1]) != start.shape):
        got = f"a tuple of {len(first)}" if len(first) != 2 else f"a gradient of shape {np.shape(first[1])}"
        raise ValueError(f"{name}(x0) returned {got}: expected the cost, or (cost, gradient of shape {start.shape})")
    value = check_number(first[0] if has_gradient else first, f"{name}(x0)")

    def gradient(x: Array) -> Array:
        return np.asarray(function(x)[1], dtype=np.float64) if has_gradient else _central_differences(function, x)

    return Problem(
        name=name,
        description=f"your cost of {start.size} number{'s' if start.size != 1 else ''}"
        + ("" if has_gradient else "; without a gradient: finite differences"),
        start=start,
        cost=function,
        has_gradient=has_gradient,
        curvature=_measured(gradient, start),
        curvature_source="measured at the start",
        start_loss=value,
        fault=_fault(function, start) if has_gradient else "",
    )


def _fault(function: Callable[[Array], Any], start: Array) -> str:
    """What `mflow.check_gradient` says of a wrong gradient."""
    report = check_gradient(lambda x: function(x)[0], start, lambda x: function(x)[1])
    return f"The gradient is {report.text}" if report.verdict == "wrong" else ""


def _central_differences(function: Callable[[Array], Any], x: Array) -> Array:
    """Gradient for measuring curvature: the wide step keeps rounding small, as differences of this are taken again."""
    out = np.empty_like(x)
    for i in range(x.size):
        values = []
        width = 1e-4 * max(1.0, abs(float(x.flat[i])))
        for sign in (1.0, -1.0):
            moved = x.copy()
            moved.flat[i] += sign * width
            values.append(float(function(moved)))
        out.flat[i] = (values[0] - values[1]) / (2.0 * width)
    return out
