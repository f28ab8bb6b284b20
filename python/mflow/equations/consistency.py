"""The ODE to which a method converges as its step goes to 0.

An integrator converges to the equation that it integrates. For an optimizer, after t/lr steps from c0, the candidates are

    sgd                               c' = -g
    momentum, Nesterov, fixed mu      c' = -g/(1 - mu): the memory of the velocity, a few steps long, shrinks to nothing
    consistent_momentum               c'' = -friction c' - beta_hat g, Newton's law, from rest
    RMSprop, Adam, ..., fixed betas   c_i' = -g_i/(|g_i| + eps): the averages follow the gradient and leave its sign, once steps are so
                                      small that their memory (1000 steps where a beta is 0.999) is short compared with the motion

All that apply are compared with the method at falling steps. The result is the one with the least error, among those whose error falls.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np
from numpy.typing import ArrayLike

from mflow import optim
from mflow.base.checks import Array, check_flags, check_function, check_number, check_start, check_vector, shown
from mflow.base.methods import Method, as_method
from mflow.dynamics.solve import solve_dynamics
from mflow.equations.convergence import slope_of
from mflow.equations.results import ConsistencyResult
from mflow.equations.rules import Modified, Rule, exact_of, kind_of_rule, modified_of, walk_rule
from mflow.integrate.flow import gradient_flow
from mflow.integrate.ivp import solve_ivp

if TYPE_CHECKING:
    from mflow.base._records import ConsistencyOptions

__all__ = ["consistency"]

Gradient = Callable[[Array], Array]
EQUATIONS = {
    "flow": "c' = -g",
    "scaled flow": "c' = -g/(1 - momentum)",
    "newton": "c'' = -friction c' - beta_hat g",
    "sign flow": "c' = -g/(|g| + eps)",
}
MOST_STEPS = 5000
LEAST = 0.5  # a lower order means no convergence


def _quartic(c: Array) -> Array:
    """Gradient of c1^2/2 + 2 c2^2 + |c|^4/4."""
    return np.asarray(np.array([1.0, 4.0]) * c + float(c @ c) * c)


def consistency(
    method: str | Method | Rule,
    problem: Any = None,
    *,
    t_end: float | None = None,
    dt: ArrayLike | None = None,
    friction: float = 1.0,
    symbols: bool = False,
    **parameters: Unpack[ConsistencyOptions],
) -> ConsistencyResult:
    """The ODE that a method converges to as dt -> 0, with the observed order.

    Parameters
    ----------
    method : name or instance
        An optimizer (lr is dt), an integrator on gradient flow, or a second-order method on x'' = -g - friction x'. Or a rule of your
        own: ``update(c, state, g, lr)`` returns the new c; g is the gradient at c, state a dict, empty at first, for what the rule keeps.
    problem : (grad, c0), optional
        ``grad(c)`` returns the gradient. By default that of c1^2/2 + 2 c2^2 + |c|^4/4 from (1, -0.5).
    t_end : float, optional
        The time at which solutions are compared; by default 1; with fixed momentum 1 - momentum, as that flow is faster by this factor;
        1/4 where the method may follow the sign of the gradient.
    dt : array_like (k,), optional
        Steps; by default t_end/16 (integrators t_end/4), with momentum (1 - momentum) times that, and 5 halvings of it.
    friction : float
        Of second-order methods; `consistent_momentum` has a parameter of this name.
    symbols : bool
        For a rule: derive its modified equation exactly, with sympy; the rule is then called with symbols.
    **parameters
        Parameters of the method, as ``momentum=0.9``.

    Returns
    -------
    ConsistencyResult
        ``name`` ("flow", "scaled flow", "newton", "sign flow", or "" where it converges to none of them), ``equation``, ``order``, and
        the errors against each of them; ``kappa`` and ``modified``, the next term of the equation that it follows; ``table()``.

    Raises
    ------
    TypeError, ValueError
        The method neither integrates nor follows a gradient, or the problem does not fit.

    See Also
    --------
    mflow.convergence, mflow.order_from_conditions

    Examples
    --------
    >>> import mflow
    >>> c = mflow.consistency("momentum", momentum=0.5)
    >>> c.equation, round(c.order)
    ("c' = -g/(1 - momentum)", 1)
    >>> mflow.consistency("consistent_momentum").equation
    "c'' = -friction c' - beta_hat g"
    >>> def descent(c, state, g, lr):
    ...     return c - lr * g
    >>> rule = mflow.consistency(descent)
    >>> rule.equation, round(rule.order), round(rule.kappa, 6), rule.modified
    ("c' = -g", 1, 0.25, "c' = -g - lr 0.25 grad |g|^2")

    References
    ----------
    D. Barrett and B. Dherin, Implicit gradient regularization, ICLR 2021.
    W. Su, S. Boyd and E. Candes, J. Mach. Learn. Res. 17 (2016) 1-43; N. Kovachki and A. Stuart, J. Mach. Learn. Res. 22 (2021) 1-40.
    """
    check_flags(symbols=symbols)
    if not isinstance(method, str | Method | type) and callable(method):
        return _of_rule(method, problem, t_end, dt, {**parameters}, symbols)
    if symbols:
        raise ValueError("symbols: expected False for a built-in method; write it as a rule, update(c, state, g, lr)")
    method = _with_friction(as_method(method, {}), check_number(friction, "friction", low=0.0), {**parameters})
    if method.kind not in ("step", "update"):
        raise ValueError(f"method: expected an integrator or an optimizer, got {method.name}, which follows single samples")
    grad, start = _problem(problem)
    slow = 1.0 - float(method.parameters.get("momentum") or 0.0) if "sign flow" not in _equations(method) else 0.25
    end = check_number(max(slow, 0.01) if t_end is None else t_end, "t_end", low=0.0, open_low=True)
    steps, counts = _grid(end, end * max(slow, 0.01) / (4.0 if method.kind == "step" else 16.0), dt)
    ends = [_walk(method, grad, start, float(h), int(k), friction) for h, k in zip(steps, counts, strict=True)]
    best, found = _compare(_candidates(method, grad, friction), steps, ends, start, end)
    factor = 1.0
    if best == "scaled flow":
        factor = (1.0 - float(method.parameters.get("dampening") or 0.0)) / (1.0 - float(method.parameters["momentum"]))
    return _result(method, best, EQUATIONS, steps, found, factor, modified_of(method, best, factor, method.order))


def _with_friction(method: Method, friction: float, parameters: dict[str, Any]) -> Method:
    """The method with its parameters, and a friction where it has one."""
    if "friction" in [p.name for p in method.parameters_] and "friction" not in method.given:
        parameters = {"friction": friction, **parameters}
    return as_method(method, parameters)


def _problem(problem: Any) -> tuple[Gradient, Array]:
    """(grad, start). Raises TypeError or ValueError."""
    try:
        grad, c0 = (_quartic, np.array([1.0, -0.5])) if problem is None else problem
    except (TypeError, ValueError):
        raise TypeError(f"problem: expected (grad, c0), got {shown(problem)}") from None
    return check_function(grad, "problem[0]", "the gradient, a function of c"), check_start(c0, "c0")


def _grid(end: float, first: float, dt: Any) -> tuple[Array, Any]:
    """(steps, their numbers), each a whole number of times in t_end. Raises TypeError or ValueError."""
    steps = check_vector(first / 2.0 ** np.arange(6) if dt is None else dt, "dt")
    if steps.size < 2 or not np.all((steps > 0.0) & (steps <= end)):
        raise ValueError(f"dt: expected at least two steps above 0 and up to t_end = {end:g}, got {steps.tolist()}")
    counts = np.unique(np.maximum(1, np.round(end / steps)).astype(int))
    return end / counts, counts


def _compare(
    candidates: dict[str, Any], steps: Array, ends: list[Array], start: Array, end: float
) -> tuple[str, tuple[dict[str, Array], dict[str, float]]]:
    """The name of the ODE with the least error among those whose error falls ("" for none), and (errors, orders) against each."""
    errors, orders = {}, {}
    for name, slope in candidates.items():
        truth = _solution(slope, start, end, name == "newton")
        if truth is None:
            continue
        errors[name] = np.array([float(np.max(np.abs(c - truth))) for c in ends])
        orders[name] = slope_of(steps, errors[name], float(np.max(np.abs(truth))))
    falling = [name for name, order in orders.items() if order >= LEAST or errors[name][-1] < 1e-12]
    return min(falling, key=lambda name: float(errors[name][-1]), default=""), (errors, orders)


def _result(
    method: Any, best: str, equations: dict[str, str], steps: Array, found: Any, factor: float, term: Modified, exact: Any = None
) -> ConsistencyResult:
    errors, orders = found
    equation = equations[best] if best else "none of these, at the steps tried"
    return ConsistencyResult(
        method, best, equation, orders[best] if best else math.nan, steps, errors, orders, {name: equations[name] for name in errors},
        factor if best in ("flow", "scaled flow") else math.nan, term.kappa, term.order, term.remainder, _words(factor, term), exact,
    )  # fmt: skip


def _words(factor: float, term: Modified) -> str:
    """The modified equation; "" where it is not known."""
    if math.isnan(term.remainder):
        return ""
    flow = "c' = -g" if factor == 1.0 else f"c' = -{factor:.6g} g"
    if term.shift:
        flow = f"c' = -({factor:.6g} {'-' if term.shift > 0.0 else '+'} {abs(term.shift):.6g} lr) g"
    if term.order == 1.0:
        return f"{flow} {'-' if term.kappa >= 0.0 else '+'} lr {abs(term.kappa):.6g} grad |g|^2"
    if term.remainder == 0.0:  # of higher order where f is quadratic
        return f"{flow} + O(lr^{term.order:g})"
    return f"{flow} + O(lr^{term.order:g}), on f = L c^2/2 {term.remainder:.{term.digits}g} lr^{term.order:g} L^{term.order + 1:g} c"


def _of_rule(update: Rule, problem: Any, t_end: Any, dt: Any, parameters: dict[str, Any], symbols: bool) -> ConsistencyResult:
    """The consistency of a rule of the user's own."""
    if parameters:
        raise TypeError(f"{next(iter(parameters))}: expected no parameters beside a rule, which has its own; write them into it")
    check_flags(symbols=symbols)
    grad, start = _problem(problem)
    kind = kind_of_rule(update)
    factor = kind.factor if kind.name in ("flow", "scaled flow") else 1.0
    factor = 1.0 if abs(factor - 1.0) < 1e-6 else factor
    slow = 0.25 if kind.name == "sign flow" else min(1.0, 1.0 / factor)
    end = check_number(slow if t_end is None else t_end, "t_end", low=0.0, open_low=True)
    steps, counts = _grid(end, end * slow / 16.0, dt)
    known = zip(steps, counts, strict=True) if kind.name else ()
    ends = [walk_rule(update, grad, start, float(h), int(k)) for h, k in known]

    def g(c: Array) -> Array:
        return np.asarray(grad(c), dtype=np.float64)

    candidates: dict[str, Any] = {
        "flow": lambda t, c: -g(c),
        "scaled flow": lambda t, c: -factor * g(c),
        "newton": lambda t, x, v: -kind.friction * v - kind.factor * g(x),
        "sign flow": lambda t, c: -np.sign(g(c)),
    }
    equations = {
        **EQUATIONS, "scaled flow": f"c' = -{factor:.6g} g", "newton": f"c'' = -{kind.friction:.6g} c' - {kind.factor:.6g} g",
        "sign flow": "c' = -sign(g)",
    }  # fmt: skip
    best, found = _compare({kind.name: candidates[kind.name]} if kind.name else {}, steps, ends, start, end)
    return _result(update, best, equations, steps, found, factor, modified_of(update, best, factor), exact_of(update) if symbols else None)


def _equations(method: Method) -> list[str]:
    """Names of the candidates."""
    out, values = ["flow"], method.parameters
    if method.kind == "update" and 0.0 < float(values.get("momentum") or 0.0) < 1.0:
        out.append("scaled flow")
    if method.kind == "update" or "second_order" in method.flags:
        out.append("newton")
    return [*out, "sign flow"] if "eps" in values else out


def _candidates(method: Method, grad: Gradient, friction: float) -> dict[str, Any]:
    """Right-hand sides of the candidates by name; Newton's takes (t, x, v)."""
    values = method.parameters
    beta, rub, eps = (float(values.get(name, other)) for name, other in (("beta_hat", 1.0), ("friction", friction), ("eps", 0.0)))
    mu = float(values.get("momentum") or 0.0)
    share = (1.0 - float(values.get("dampening") or 0.0)) / (1.0 - mu) if mu < 1.0 else math.nan

    def signs(t: float, c: Array) -> Array:
        g = np.asarray(grad(c), dtype=np.float64)
        return np.asarray(-g / (np.abs(g) + eps))

    all_of_them: dict[str, Any] = {
        "flow": lambda t, c: -np.asarray(grad(c), dtype=np.float64),
        "scaled flow": lambda t, c: -share * np.asarray(grad(c), dtype=np.float64),
        "newton": lambda t, x, v: -rub * v - beta * np.asarray(grad(x), dtype=np.float64),
        "sign flow": signs,
    }
    return {name: all_of_them[name] for name in _equations(method)}


def _solution(slope: Any, start: Array, end: float, second: bool) -> Array | None:
    """The exact state at the end, by dop853 with tight tolerances; None where it takes too many steps (signs that jump)."""
    tight: dict[str, Any] = {"rtol": 1e-13, "atol": 1e-15, "save": "last", "max_steps": MOST_STEPS}
    if not second:
        r = solve_ivp(slope, (0.0, end), start, "dop853", **tight)
        return r.y[..., -1] if r.success else None
    n = start.size

    def system(t: float, y: Array) -> Array:
        x, v = y[:n].reshape(start.shape), y[n:].reshape(start.shape)
        return np.concatenate([y[n:], slope(t, x, v).ravel()])

    begin = np.concatenate([start.ravel(), np.zeros(n)])
    r = solve_ivp(system, (0.0, end), begin, "dop853", **tight)
    return r.y[:n, -1].reshape(start.shape) if r.success else None


def _walk(method: Method, grad: Gradient, start: Array, h: float, count: int, friction: float) -> Array:
    """The state after `count` steps."""
    if method.kind == "update":
        c = start.copy()
        stepper = getattr(optim, method.record.class_name)(c, **{**method.given, "lr": h})
        for _ in range(count):
            at = stepper.ask() if method.record.asks and hasattr(stepper, "ask") else c
            stepper.step(np.asarray(grad(at), dtype=np.float64))
        return c
    if "second_order" in method.flags:
        r = solve_dynamics(
            force=lambda t, x, v: -np.asarray(grad(x), dtype=np.float64) - friction * v,
            t_span=(0.0, h * count), x0=start, v0=np.zeros_like(start), method=method, dt=h, save="last",
        )  # fmt: skip
        return r.x[..., -1]
    return gradient_flow(grad, start, h * count, method, dt=h, save="last").y[..., -1]
