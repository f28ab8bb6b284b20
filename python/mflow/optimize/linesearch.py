"""Line searches: how far to go along a direction. Each keeps the best point seen, counts its evaluations and says why it ended.

`line_search` is all of them by name; `exact`, `backtracking`, `armijo`, `strong_wolfe` and `barzilai_borwein` are one each. The searches
run in `mflow_core.optimize.linesearch`, without Python where the cost is compiled.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from mflow_core import registry
from mflow_core.optimize import linesearch
from mflow_core.problems.signatures import code_text

from mflow.base.checks import Array, as_number, check_number, check_start, check_whole, shown
from mflow.base.result import Result
from mflow.base.telling import counted, knows_other_words
from mflow.derivatives.cost_look import cost_problem
from mflow.derivatives.elsewhere import with_gradient

__all__ = ["LineSearch", "LineSearchResult", "armijo", "backtracking", "barzilai_borwein", "exact", "line_search", "strong_wolfe"]

KINDS = (*linesearch.KINDS, "barzilai_borwein")
REASONS = {
    0: "converged",
    1: "no_descent",
    2: "step_too_small",
    3: "max_evaluations",
    4: "unbounded",
    5: "step_too_small",
    -1005: "non_finite",
}


@knows_other_words
@dataclass(frozen=True)
class LineSearch:
    """How `mflow.minimize` searches along a direction: ``line_search=mflow.LineSearch("armijo", c1=0.1)``.

    Parameters
    ----------
    kind : {"strong_wolfe", "armijo", "backtracking", "exact", "barzilai_borwein"}
    initial : float, default None
        The first step that every search tries; None: the length of the step before is the guide.
    c1, c2, shrink, tol, max_step, max_evaluations, form
        As in `line_search`; c2 = None is what suits the method: 0.4 for "cg", 0.9 for all others.
    memory : int from 1 to 64, default 10
        Values that barzilai_borwein looks back on: a step may end as high as the largest of them.

    Raises
    ------
    TypeError, ValueError
        An argument does not fit; the text names it.

    See Also
    --------
    mflow.line_search, mflow.minimize

    Examples
    --------
    >>> import mflow
    >>> mflow.LineSearch("armijo", c1=0.1).c1
    0.1

    References
    ----------
    Those of `line_search`.
    """

    kind: str = "strong_wolfe"
    initial: float | None = None
    c1: float = 1e-4
    c2: float | None = None
    shrink: float = 0.5
    tol: float = 1e-10
    max_step: float = math.inf
    max_evaluations: int = 60
    memory: int = 10
    form: int = 1

    def __post_init__(self) -> None:
        _check_kind(self.kind)
        first = 1.0 if self.initial is None else self.initial
        _checked(first, self.c1, 0.9 if self.c2 is None else self.c2, self.shrink, self.tol, self.max_step, self.max_evaluations)
        _check_form(self.form)
        check_whole(self.memory, "memory", 1, 64)

    @classmethod
    def of(cls, given: Any) -> LineSearch:
        """From what ``line_search=`` may be: a name, an instance, or a dict of its arguments."""
        if isinstance(given, cls):
            return given
        if isinstance(given, str):
            if given not in KINDS:
                raise ValueError(registry.unknown("line_search: no line search", given, list(KINDS)))
            return _named(given)
        if isinstance(given, dict):
            unknown = set(given) - set(cls.__dataclass_fields__)
            if unknown:
                raise TypeError(registry.unknown("line_search: no option", min(unknown), list(cls.__dataclass_fields__)))
            return cls(**given)
        raise TypeError(f"line_search: expected a name, an mflow.LineSearch or a dict of its arguments, got {type(given).__name__}")

    def rule(self) -> dict[str, Any]:
        """The numbers as the core takes them: 0 stands for a first step that the core chooses."""
        return {
            "c1": self.c1, "c2": self.c2 or 0.0, "shrink": self.shrink, "tol": self.tol, "form": self.form,
            "max_step": as_number(self.max_step, "max_step", "a number above 0"), "initial": self.initial or 0.0,
            "limit": int(self.max_evaluations), "memory": int(self.memory),
        }  # fmt: skip


@functools.lru_cache(maxsize=32)
def _named(kind: str) -> LineSearch:
    """The search of this name with the usual numbers."""
    return LineSearch(kind)


class LineSearchResult(Result):
    """Where a line search ended.

    alpha, x, fun, jac : the step that meets the search's rule, its point, value and gradient (None where it was not evaluated: rules of
        values alone). Where no step met the rule: the lowest value seen, alpha = 0 being the start.
    best_alpha, best_fun : the lowest value seen, whatever the rule says of it.
    slope : derivative along the direction at alpha, NaN where the gradient was not evaluated. slope0 : at 0.
    success : whether the rule is met. reason : "converged", "no_descent", "step_too_small", "max_evaluations", "unbounded",
        "non_finite", "rhs_failed". message : what happened, in words.
    nfev, njev : evaluations of the cost and of its gradient, that of the start among them if it was made here.

    See Also
    --------
    mflow.line_search, mflow.LineSearch

    Examples
    --------
    >>> import mflow
    >>> r = mflow.line_search(lambda x: x @ x, [1.0], [-1.0], jac=lambda x: 2 * x)
    >>> r.success, r.fun < 1.0, bool(r.x[0] == 1.0 - r.alpha)
    (True, True, True)
    """

    alpha: float
    x: Array
    fun: float
    jac: Array | None
    best_alpha: float
    best_fun: float
    slope: float
    slope0: float
    success: bool
    reason: str
    message: str
    nfev: int
    njev: int


def _check_kind(kind: Any) -> None:
    if not isinstance(kind, str):
        raise TypeError(f"kind: expected one of {', '.join(map(repr, KINDS))}, got {shown(kind)}")
    if kind not in KINDS:
        raise ValueError(registry.unknown("kind: no line search", kind, list(KINDS)))


@knows_other_words
def line_search(
    fun: Callable[..., Any] | Any, x: Any, d: Any, kind: str = "strong_wolfe", jac: Callable[..., Any] | bool | str | None = None,
    args: tuple[Any, ...] = (), *, initial: float = 1.0, c1: float = 1e-4, c2: float = 0.9, shrink: float = 0.5, tol: float = 1e-10,
    max_step: float = math.inf, max_evaluations: int = 60, fun0: float | None = None, jac0: Any = None,
    previous: tuple[Any, Any] | None = None, history: Sequence[float] = (), form: int = 1,
) -> LineSearchResult:  # fmt: skip
    """Search along d from x for a step that lowers the cost enough.

    Parameters
    ----------
    fun, jac, args
        As in `mflow.minimize`: the cost and its gradient, Python or compiled.
    x, d : array_like, one shape
        Where to start, and the direction; it must lead down.
    kind : {"strong_wolfe", "armijo", "backtracking", "exact", "barzilai_borwein"}
        backtracking: f(x + a d) <= f(x) + c1 a d.grad, a shrunk until it holds. armijo: the same, a by interpolation.
        strong_wolfe: that, and |slope| <= c2 |slope0|; where f has no digits left, |f(x + a d) - f(x)| <= 10 eps |f(x)|,
        slope <= (2 c1 - 1) slope0 stands for the first rule. exact: |slope| <= tol |slope0| and f(x + a d) <= f(x); where the
        slope changes sign within 1e-10 of a step (tol, if that is less) and the rule fails, as at a kink, the reason is "step_too_small".
        barzilai_borwein: the first a is Barzilai and Borwein's, then as armijo, compared with the largest of `history` and f(x).
    initial : float
        The first a (of barzilai_borwein: where the curvature is not above 0, or without a point before).
    c1, c2, shrink, tol : float
        0 < c1 <= c2 < 1, 0 < shrink < 1, 0 < tol < 1.
    max_step : float
        The largest a.
    max_evaluations : int
    fun0, jac0 : float, array_like
        The cost and its gradient at x, where they are known.
    previous : (x, jac)
        The point before and its gradient, for barzilai_borwein.
    history : sequence of float
        Values of the points before, for barzilai_borwein (10 are usual).
    form : {1, 2}
        s's/s'y or s'y/y'y, for barzilai_borwein.

    Returns
    -------
    LineSearchResult

    Raises
    ------
    TypeError, ValueError
        An argument does not fit; the text names it. What ``fun`` raises is passed on.

    See Also
    --------
    mflow.minimize, mflow.LineSearch

    Examples
    --------
    >>> import numpy as np, mflow
    >>> def cost(x):
    ...     return float(x @ x), 2 * x
    >>> r = mflow.line_search(cost, np.array([3.0, 4.0]), np.array([-6.0, -8.0]), "exact", jac=True)
    >>> r.alpha, r.fun, r.nfev
    (0.5, 0.0, 3)

    References
    ----------
    J. Nocedal and S. Wright, Numerical Optimization (2006), algorithms 3.1, 3.5 and 3.6; W. Hager and H. Zhang, SIAM J. Optim. 16 (2005)
    170-192 (the rule where values have no digits left); J. Barzilai and J. Borwein, IMA J. Numer. Anal. 8 (1988) 141-148; M. Raydan,
    SIAM J. Optim. 7 (1997) 26-33.
    """
    _check_kind(kind)
    start = check_start(x, "x")
    direction = _like(d, start, "d")
    if fun is None:
        raise TypeError("fun: expected a cost f(x), got None")
    settings = _checked(initial, c1, c2, shrink, tol, max_step, max_evaluations)
    fun, jac = with_gradient(fun, jac)
    problem, _ = cost_problem(fun, jac, start.shape, args)
    f0 = math.nan if fun0 is None else check_number(fun0, "fun0")
    g0 = None if jac0 is None else _like(jac0, start, "jac0")
    reference = None
    if kind == "barzilai_borwein":
        _check_form(form)
        if math.isnan(f0) or g0 is None:
            raise TypeError("fun0, jac0: barzilai_borwein needs the cost and its gradient at x, got None; give both")
        settings["initial"] = min(_bb_length(start, g0, previous, form, settings["initial"]), settings["max_step"])
        reference = max([f0, *(check_number(value, "history") for value in history)])
    rule = linesearch.KINDS.get(kind, linesearch.KINDS["armijo"])
    limits = (settings[name] for name in ("c1", "c2", "shrink", "tol", "max_step", "max_evaluations"))
    end = linesearch.search(problem, start, direction, rule, settings["initial"], f0, g0, reference, *limits)
    return _result(end, start, direction)


def _checked(
    initial: float, c1: float, c2: float, shrink: float, tol: float, max_step: float, max_evaluations: int
) -> dict[str, Any]:  # fmt: skip
    c1, c2 = check_number(c1, "c1"), check_number(c2, "c2")
    if not 0.0 < c1 <= c2 < 1.0:
        raise ValueError(f"c1, c2: expected 0 < c1 <= c2 < 1, got c1 = {c1!r} and c2 = {c2!r}")
    longest = as_number(max_step, "max_step", "a number above 0")
    if not longest > 0.0:  # it may be infinite
        raise ValueError(f"max_step: expected a number above 0, got {shown(max_step)}")
    return {
        "c1": c1, "c2": c2, "max_step": longest,
        "shrink": check_number(shrink, "shrink", low=0.0, high=1.0, open_low=True, open_high=True),
        "tol": check_number(tol, "tol", low=0.0, high=1.0, open_low=True, open_high=True),
        "initial": check_number(initial, "initial", low=0.0, open_low=True),
        "max_evaluations": check_whole(max_evaluations, "max_evaluations", 1),
    }  # fmt: skip


def _check_form(form: Any) -> None:
    if isinstance(form, bool) or not isinstance(form, int | np.integer) or form not in (1, 2):
        raise ValueError(f"form: expected 1 (s's/s'y) or 2 (s'y/y'y), got {shown(form)}")


def _like(value: Any, start: Array, argument: str) -> Array:
    array = check_start(value, argument)
    if array.shape != start.shape:
        raise ValueError(f"{argument}: expected an array of shape {start.shape}, as x has, got shape {array.shape}")
    return array


def _bb_length(x: Array, g: Array, previous: tuple[Any, Any] | None, form: int, otherwise: float) -> float:
    if previous is None:
        return otherwise
    older, older_g = _like(previous[0], x, "previous[0]"), _like(previous[1], x, "previous[1]")
    length = linesearch.barzilai_borwein_step(x, older, g, older_g, form)
    return otherwise if math.isnan(length) else length


def _result(end: dict[str, Any], start: Array, direction: Array) -> LineSearchResult:
    status, a = end["status"], end["a"]
    reason = REASONS.get(status, "rhs_failed")
    grad = None if end["grad"] is None else end["grad"].reshape(start.shape)
    message = {
        "converged": f"a step of {a:.6g}, after {counted(end['nfev'], 'evaluation')}",
        "no_descent": f"the slope along d is {end['slope0']:.3g}, not below 0: d does not lead down",
        "step_too_small": f"no step along d was found that moves x and meets the rule (slope {end['slope0']:.3g})",
        "max_evaluations": f"no step met the rule in {counted(end['nfev'], 'evaluation')}; the lowest value seen is at {a:.6g}",
        "unbounded": f"the cost still falls at the largest step, {a:.6g}",
        "non_finite": _not_finite(end["f"], end["slope0"]),
        "rhs_failed": f"the cost function gave up with {code_text(status)}",
    }[reason]
    if status == linesearch._CLOSED:
        message = f"the slope jumps over the range that the rule allows, near {end['edge']:.6g}: a kink, or slopes that are rounding"
    return LineSearchResult(
        alpha=a, x=start + a * direction, fun=end["f"], jac=grad, best_alpha=end["best_a"], best_fun=end["best_f"],
        slope=math.nan if grad is None else float(np.vdot(grad, direction)), slope0=end["slope0"], success=status == 0, reason=reason,
        message=message, nfev=end["nfev"], njev=end["njev"],
    )  # fmt: skip


def _not_finite(f: float, slope0: float) -> str:
    """Why there is no search."""
    if not math.isfinite(f) or math.isnan(slope0):
        return "the cost or its gradient is not finite at x"
    return f"the slope along d is {slope0}: the gradient at x is not finite, or its product with d overflows; then scale the cost, or d"


def exact(fun: Any, x: Any, d: Any, jac: Any = None, args: tuple[Any, ...] = (), **options: Any) -> LineSearchResult:
    """`line_search` with kind="exact": the slope along d is 0. On a quadratic the second trial is the answer."""
    return line_search(fun, x, d, "exact", jac, args, **options)


def backtracking(fun: Any, x: Any, d: Any, jac: Any = None, args: tuple[Any, ...] = (), **options: Any) -> LineSearchResult:
    """`line_search` with kind="backtracking": Armijo's rule, the step shrunk by a fixed factor."""
    return line_search(fun, x, d, "backtracking", jac, args, **options)


def armijo(fun: Any, x: Any, d: Any, jac: Any = None, args: tuple[Any, ...] = (), **options: Any) -> LineSearchResult:
    """`line_search` with kind="armijo": Armijo's rule, the step from parabolas and cubics."""
    return line_search(fun, x, d, "armijo", jac, args, **options)


def strong_wolfe(fun: Any, x: Any, d: Any, jac: Any = None, args: tuple[Any, ...] = (), **options: Any) -> LineSearchResult:
    """`line_search` with kind="strong_wolfe": enough descent, and a slope that has flattened."""
    return line_search(fun, x, d, "strong_wolfe", jac, args, **options)


def barzilai_borwein(fun: Any, x: Any, d: Any, jac: Any = None, args: tuple[Any, ...] = (), **options: Any) -> LineSearchResult:
    """`line_search` with kind="barzilai_borwein": the step from the last change of the gradient, guarded by values of the past."""
    return line_search(fun, x, d, "barzilai_borwein", jac, args, **options)
