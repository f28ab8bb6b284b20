"""Observed order: errors of a method as its step shrinks, and work of explicit and implicit methods as stiffness grows.

The error of a method of order p is about dt^(p+1) after one step from the exact state and dt^p at the end. Rounding bends the line at
its lower end, steps that are too long at its upper end; the slope is that of the part between.
"""

from __future__ import annotations

import contextlib
import math
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np
from numpy.typing import ArrayLike

from mflow.base.checks import Array, check_function, check_number, check_start, check_vector
from mflow.base.methods import Method, as_method
from mflow.base.telling import knows_other_words
from mflow.dynamics.solve import solve_dynamics
from mflow.equations.results import ConvergenceResult, StiffnessResult
from mflow.integrate.ivp import solve_ivp
from mflow.problems.testproblems import InitialValueProblem, get_problem
from mflow.stability.criterion import order_on_oscillators

if TYPE_CHECKING:
    from mflow.base._records import ConvergenceOptions

__all__ = ["convergence", "explicit_vs_implicit", "slope_of"]

HALVINGS = 8
ROUNDING = 1000.0 * 2.0**-52  # errors below this share of the solution are rounding
POINTS = 4  # that a slope is fitted to
ITERATED = 1e-9  # share of the solution below which the tolerance of implicit steps may bend the line, too
BENT = 0.75  # of the usual slope: the line bends


def slope_of(dt: Array, errors: Array, size: float = 1.0) -> float:
    """Order from errors at falling steps: the slope of the last points that neither rounding nor the tolerance of implicit steps reaches;
    nan with fewer than two."""
    good = np.flatnonzero(np.isfinite(errors) & (errors > ROUNDING * size))
    if good.size < 2:
        return math.nan
    x, y = np.log(dt[good]), np.log(errors[good])
    slopes = np.diff(y) / np.diff(x)
    bent = (errors[good[1:]] < ITERATED * size) & (slopes < BENT * np.median(slopes))
    last = good.size - int(np.argmin(bent[::-1])) if not bent.all() else good.size
    return float(np.polyfit(x[:last][-POINTS:], y[:last][-POINTS:], 1)[0])


def _circle(t: float, y: Array) -> Array:
    """Around the unit circle: nonlinear, and dependent on t; its solution from (1, 0) is `_on_circle`."""
    speed = float(y @ y) * (1.0 + 0.5 * math.cos(t))
    return np.array([-speed * y[1], speed * y[0]])


def _on_circle(t: float) -> Array:
    angle = t + 0.5 * math.sin(t)
    return np.array([math.cos(angle), math.sin(angle)])


def _swing(t: float, x: Array, v: Array) -> Array:
    """x'' = -2 x + sin(t) - v/5, from (1, 0)."""
    return np.asarray(-2.0 * x + math.sin(t) - 0.2 * v)


def _undamped(t: float, x: Array, v: Array) -> Array:
    return np.asarray(-2.0 * x + math.sin(t))


@knows_other_words
def convergence(
    method: str | Method,
    problem: Any = None,
    exact: Callable[[float], Any] | None = None,
    *,
    dt: ArrayLike | None = None,
    jac: Any = None,
    **parameters: Unpack[ConvergenceOptions],
) -> ConvergenceResult:
    """Observed local and global order of an integrator.

    Parameters
    ----------
    method : name or instance
        An integrator of y' = f(t, y), or a second-order method.
    problem : (fun, t_span, y0), `mflow.testproblems.InitialValueProblem` or its name; optional
        For a second-order method (accel, t_span, (x0, v0)) with ``accel(t, x, v)``. By default the unit circle at
        varying speed (nonlinear), and for second-order methods a driven oscillator, damped where the method allows for it.
    exact : callable, optional
        ``exact(t)`` -> the solution; (x, v) for second-order methods. By default computed by dop853 with tight tolerances.
    dt : array_like (k,), optional
        Steps; by default a sixth of the span and 7 halvings of it.
    jac : callable, optional
        Jacobian ``jac(t, y)`` for implicit methods.
    **parameters
        Parameters of the method.

    Returns
    -------
    ConvergenceResult
        ``table()``, ``local_order``, ``global_order``, and the errors: largest difference of a component at the end, and after one step.

    Raises
    ------
    TypeError, ValueError
        The method is no integrator (for optimizers: `mflow.consistency`), or the problem is not in one of the forms above.

    See Also
    --------
    mflow.consistency, mflow.plot.convergence

    Examples
    --------
    >>> import mflow
    >>> c = mflow.convergence("rk4")
    >>> round(c.global_order, 1), round(c.local_order, 1)
    (4.0, 5.0)

    References
    ----------
    E. Hairer, S. Norsett and G. Wanner, Solving Ordinary Differential Equations I (1993), II.3.
    """
    method = as_method(method, parameters)
    if method.kind != "step":
        raise ValueError(f"method: expected an integrator, got {method.name}; mflow.consistency finds the ODE that it converges to")
    second = "second_order" in method.flags
    if exact is not None:
        check_function(exact, "exact", "the solution, a function of t")
    fun, (t0, t1), start, exact, jac = _problem(problem, exact, jac, second, method)
    span = t1 - t0
    steps = check_vector(dt if dt is not None else span / 6.0 / 2.0 ** np.arange(HALVINGS), "dt")
    if steps.size < 2 or np.any(steps * span <= 0.0):
        raise ValueError(f"dt: expected at least two steps in the direction of t_span, got {steps.tolist()}")
    steps = np.sort(np.abs(steps))[::-1]
    run = _second_run if second else _first_run
    truth = _reference(fun, t0, start, second) if exact is None else exact
    end = _stacked(truth(t1), second)
    local, total = np.empty(steps.size), np.empty(steps.size)
    for k, h in enumerate(steps):
        near = t0 + math.copysign(h, span)
        total[k] = _distance(run(method, fun, (t0, t1), start, float(h), jac), end)
        local[k] = _distance(run(method, fun, (t0, near), start, float(h), jac), _stacked(truth(near), second))
    size = float(np.max(np.abs(end), initial=0.0))
    return ConvergenceResult(method, steps, local, total, slope_of(steps, local, size), slope_of(steps, total, size), method.sizes["order"])


def _problem(problem: Any, exact: Any, jac: Any, second: bool, method: Method) -> tuple[Any, tuple[float, float], Any, Any, Any]:
    """(fun, span, start, exact, jac) of any form of a problem."""
    if problem is None:
        if second:
            loses = method.stages > 1 and order_on_oscillators(method, True) < method.order  # with forces of v
            swing = _undamped if loses or method.parameters.get("damping") == "none" else _swing
            return swing, (0.0, 3.0), (np.ones(1), np.zeros(1)), exact, jac
        return _circle, (0.0, 3.0), np.array([1.0, 0.0]), exact or _on_circle, jac
    if isinstance(problem, str):
        try:
            problem = get_problem(problem)
        except ValueError as error:
            raise ValueError(f"problem: {error}") from None
    if isinstance(problem, InitialValueProblem):
        problem, jac = (problem.fun, problem.t_span, problem.y0), jac or problem.jac
    try:
        fun, (t0, t1), start = problem
    except (TypeError, ValueError):
        raise TypeError(f"problem: expected (fun, (t0, t_end), y0), a test problem or its name, got {type(problem).__name__}") from None
    check_function(fun, "problem[0]", "the right-hand side")
    span = check_number(t0, "t_span[0]"), check_number(t1, "t_span[1]")
    if span[0] == span[1]:
        raise ValueError(f"problem: expected a t_span with t0 and t_end apart, got ({span[0]:g}, {span[1]:g})")
    if second:
        x0, v0 = start
        return fun, span, (check_start(x0, "x0").ravel(), check_start(v0, "v0").ravel()), exact, jac
    return fun, span, check_start(start, "y0"), exact, jac


def _stacked(state: Any, second: bool) -> Array:
    if second:
        return np.concatenate([np.asarray(part, dtype=np.float64).ravel() for part in state])
    return np.asarray(state, dtype=np.float64).ravel()


def _distance(a: Array, b: Array) -> float:
    with np.errstate(invalid="ignore"):
        return float(np.max(np.abs(a - b), initial=0.0)) if np.all(np.isfinite(a)) else math.nan


def _first_run(method: Method, fun: Any, span: tuple[float, float], start: Array, h: float, jac: Any) -> Array:
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore", RuntimeWarning)  # a step that is too long is a result here
        r = solve_ivp(fun, span, start, method, dt=h, jac=jac if method.is_implicit else None, save="last")
    return r.y[..., -1].ravel() if r.success else np.full(start.size, math.nan)


def _second_run(method: Method, fun: Any, span: tuple[float, float], start: Any, h: float, jac: Any) -> Array:
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore", RuntimeWarning)
        r = solve_dynamics(force=fun, t_span=span, x0=start[0], v0=start[1], method=method, dt=h, save="last")
    return np.concatenate([r.x[..., -1], r.v[..., -1]]) if r.success else np.full(2 * start[0].size, math.nan)


def _reference(fun: Any, t0: float, start: Any, second: bool) -> Callable[[float], Any]:
    """The solution by dop853 with tight tolerances."""
    if second:
        n = start[0].size
        slope: Any = lambda t, y: np.concatenate([y[n:], np.asarray(fun(t, y[:n], y[n:]), dtype=np.float64).ravel()])  # noqa: E731
        begin = np.concatenate(start)
    else:
        slope, begin = fun, start

    def truth(t: float) -> Any:
        r = solve_ivp(slope, (t0, t), begin, "dop853", rtol=1e-13, atol=1e-15, save="last")
        if not r.success:
            raise ValueError(f"problem: no reference solution up to t = {t:g} ({r.message}); give exact=")
        end = r.y[..., -1]
        return (end[: begin.size // 2], end[begin.size // 2 :]) if second else end

    return truth


# ---- explicit against implicit ----------------------------------------------------------------------------------------------------------


def _relaxation(stiffness: float) -> tuple[Any, Any, tuple[float, float], Array, Any]:
    """y' = -s (y - cos t) - sin t from 1, whose solution is cos t whatever the stiffness s; with it a slow, nonlinear component.

    A. Prothero and A. Robinson, Math. Comp. 28 (1974) 145-162.
    """

    def fun(t: float, y: Array) -> Array:
        return np.array([-stiffness * (y[0] - math.cos(t)) - math.sin(t), -y[1] * y[1]])

    def jac(t: float, y: Array) -> Array:
        return np.array([[-stiffness, 0.0], [0.0, -2.0 * y[1]]])

    return fun, jac, (0.0, 2.0), np.array([1.0, 1.0]), np.array([math.cos(2.0), 1.0 / 3.0])


@knows_other_words
def explicit_vs_implicit(
    explicit: str | Method = "rk4",
    implicit: str | Method = "sdirk2",
    *,
    error: float = 1e-3,
    stiffness: ArrayLike | None = None,
    problem: Callable[[float], Any] | None = None,
) -> StiffnessResult:
    """Work of an explicit and an implicit method at equal error, as stiffness grows.

    Parameters
    ----------
    explicit, implicit : name or instance
        Integrators of y' = f(t, y).
    error : float
        The largest error of a component at the end that both methods may have.
    stiffness : array_like (k,), optional
        In rising order; by default from 1 to 10^4.
    problem : callable, optional
        ``problem(stiffness)`` -> (fun, jac, t_span, y0, y_end), y_end the exact state at the end, or None. By default Prothero and
        Robinson's y' = -s (y - cos t) - sin t beside y' = -y^2.

    Returns
    -------
    StiffnessResult
        ``table()``; ``explicit_work`` and ``implicit_work`` (k,), evaluations at the largest step that meets the error: those of fun, and
        n for each Jacobian; ``crossover``.

    Raises
    ------
    ValueError
        explicit is implicit, or the reverse; or stiffness does not rise.

    See Also
    --------
    mflow.solve_ivp, mflow.convergence

    Examples
    --------
    >>> import mflow
    >>> r = mflow.explicit_vs_implicit("rk4", "sdirk2", stiffness=[1, 30, 1000])
    >>> bool(r.explicit_work[0] < r.implicit_work[0]), bool(r.explicit_work[-1] > r.implicit_work[-1]), 1 < r.crossover < 1000
    (True, True, True)

    References
    ----------
    E. Hairer and G. Wanner, Solving Ordinary Differential Equations II (1996), IV.10.
    """
    methods = as_method(explicit, {}, "explicit"), as_method(implicit, {}, "implicit")
    if problem is not None:
        check_function(problem, "problem", "a function of the stiffness")
    for method, is_implicit, name in ((methods[0], False, "explicit"), (methods[1], True, "implicit")):
        if method.kind != "step" or "second_order" in method.flags or method.is_implicit != is_implicit:
            raise ValueError(f"{name}: expected an {name} integrator of y' = f(t, y), got {method.name}")
    error = check_number(error, "error", low=0.0, open_low=True)
    values = check_vector(np.geomspace(1.0, 1e4, 9) if stiffness is None else stiffness, "stiffness")
    if values.size < 2 or np.any(np.diff(values) <= 0.0):
        raise ValueError(f"stiffness: expected at least two rising numbers, got {values.tolist()}")
    cheapest = np.array([[_cheapest(m, error, (problem or _relaxation)(float(s))) for m in methods] for s in values])
    dts, work = cheapest[..., 0], cheapest[..., 1]
    crossover = _crossing(values, work[:, 0], work[:, 1])
    a, b = methods[0].name, methods[1].name
    if math.isnan(crossover):
        text = f"no crossing: the same method is cheaper from stiffness {values[0]:g} to {values[-1]:g}, {a} against {b}"
    else:
        text = f"below stiffness {crossover:.3g} the many steps of {a} cost less than the solves of {b}; above it they cost more"
    return StiffnessResult(
        methods[0], methods[1], error, values, dts[:, 0], dts[:, 1], work[:, 0], work[:, 1], crossover, f"{text} (error {error:g})"
    )


def _cheapest(method: Method, error: float, problem: Any) -> tuple[float, float]:
    """(the largest step that meets the error, its work): halvings of the span, then between the last two."""
    fun, jac, span, y0, y_end = problem
    start = check_start(y0, "y0")
    if y_end is None:
        y_end = _reference(fun, span[0], start, False)(span[1])

    def attempt(count: int) -> tuple[bool, float]:
        with warnings.catch_warnings(), np.errstate(all="ignore"), contextlib.suppress(OverflowError):
            warnings.simplefilter("ignore", RuntimeWarning)
            h = abs(span[1] - span[0]) / count
            r = solve_ivp(fun, span, start, method, dt=h, jac=jac if method.is_implicit else None, save="last", max_steps=count + 1)
            ok = r.success and _distance(r.y[..., -1].ravel(), np.asarray(y_end, dtype=np.float64).ravel()) <= error
            return ok, float(r.nfev + start.size * r.njev)
        return False, math.nan

    low, high = 0, 1
    ok, work = attempt(high)
    while not ok:
        low, high = high, 2 * high
        if high > 1 << 17:
            return math.nan, math.nan
        ok, work = attempt(high)
    while high - low > max(1, high // 16):
        middle = (low + high) // 2
        ok, cost = attempt(middle)
        if ok:
            high, work = middle, cost
        else:
            low = middle
    return abs(span[1] - span[0]) / high, work


def _crossing(x: Array, first: Array, second: Array) -> float:
    """Where the first line rises above the second for good, on logarithmic axes; nan where it does not."""
    above = first > second
    if not above[-1] or above.all():
        return math.nan
    k = int(np.flatnonzero(~above)[-1])
    a, b = (math.log(first[i] / second[i]) for i in (k, k + 1))
    return float(math.exp(math.log(x[k]) + (math.log(x[k + 1]) - math.log(x[k])) * a / (a - b)))
