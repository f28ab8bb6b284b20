"""A rule of the user's own, `def update(c, state, g, lr)`: the ODE it tends to, and the next term of its modified equation.

Which ODE it is shows where the gradient g is constant. After some hundred steps a rule whose memory is a number of steps long moves by
lr S(g) a step, whatever lr is: S = -s g is gradient flow, s times as fast, S(2 g) = S(g) the flow of signs. Where the motion depends on
the time lr k instead, its first differences give Newton's law c'' = -friction c' - beta_hat g.

A method that is linear in g follows, next to its ODE, c' = -s g - lr kappa grad |g|^2 + O(lr^2): for gradients the only elementary
differential of this order is g'g = grad |g|^2/2. So kappa follows from f = L c^2/2, where a step multiplies c by lambda in the long run:

    log(lambda)/lr = -s L - 2 kappa lr L^2 + O(lr^2)

For gradient descent kappa is 1/4 (Barrett and Dherin 2021). An integrator of order p has its first term at lr^p; `remainder` is its
coefficient at L = 1, from the tableau.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from mflow.base.checks import Array
from mflow.base.extras import need
from mflow.base.methods import Method
from mflow.stability.amplification import amplification
from mflow.stability.conditions import coefficients, on_linear

__all__ = ["Modified", "Rule", "exact_of", "kind_of_rule", "modified_of", "walk_rule"]

Rule = Callable[[Any, dict[str, Any], Any, Any], Any]
STEPS = 600  # memories are shorter
SAME = 1e-6  # relative
NEAR = 0.05  # likewise, of moves at two steps: what is proportional to lr may differ
G = np.array([1.0, 0.3])
LEVELS = 5  # halvings, from which the limit is extrapolated
MEASURED = 2  # digits of a term of high order: the difference of rates that are nearly equal


class Kind(NamedTuple):
    """name: "flow", "scaled flow", "newton", "sign flow" or "" (none of them). factor: s, or beta_hat; friction."""

    name: str
    factor: float
    friction: float


class Modified(NamedTuple):
    """order: the power of lr of the first term beyond the ODE. remainder: its coefficient in log(lambda)/lr at L = 1. kappa: of
    grad |g|^2 where order is 1, else 0. shift: of lr g, where a rule's speed depends on lr. All NaN where they are not known. digits: of
    remainder, that are sure."""

    order: float
    remainder: float
    kappa: float
    shift: float = 0.0
    digits: int = 6


NOT_KNOWN = Modified(math.nan, math.nan, math.nan)


def one_step(update: Rule, c: Array, state: dict[str, Any], g: Array, lr: float) -> Array:
    """The point that the rule moves to. Raises TypeError or ValueError where it returns something else."""
    out = update(c.copy(), state, g.copy(), lr)
    if out is None:
        raise TypeError("update returned None: expected the new parameters, as in return c - lr * g")
    new = np.asarray(out)
    if new.dtype.kind not in "fiu" or new.shape != c.shape:
        raise TypeError(f"update returned shape {new.shape} and dtype {new.dtype}: expected real numbers of shape {c.shape}")
    return np.asarray(new, dtype=np.float64)


def _moves(update: Rule, g: Array, lr: float, steps: int) -> Array:
    """The moves of the steps under a constant gradient, over lr."""
    state: dict[str, Any] = {}
    c, out = np.zeros_like(g), np.empty((steps, g.size))
    for k in range(steps):
        new = one_step(update, c, state, g, lr)
        out[k] = (new - c) / lr
        c = new
    return out


def _close(a: Array, b: Array, within: float = SAME) -> bool:
    return bool(
        np.all(np.isfinite(a)) and np.all(np.isfinite(b)) and np.all(np.abs(a - b) <= within * np.maximum(np.abs(a), np.abs(b)) + 1e-12)
    )


def kind_of_rule(update: Rule) -> Kind:
    """Which of the ODEs the rule may tend to, from its moves under constant gradients."""
    with np.errstate(all="ignore"):
        first, finer, twice = _moves(update, G, 1e-3, STEPS), _moves(update, G, 1e-4, STEPS), _moves(update, 2.0 * G, 1e-3, STEPS)
    if not (np.all(np.isfinite(first)) and np.all(np.isfinite(finer)) and np.all(np.isfinite(twice))):
        return Kind("", math.nan, math.nan)
    if _close(first[-1], finer[-1], NEAR) and _close(first[-1], first[-2]):
        if _close(first[-1], twice[-1], 1e-3) and _close(np.abs(first[-1]), np.ones(2), 1e-3):
            return Kind("sign flow", 1.0, math.nan)
        factor = float(-(10.0 * finer[-1, 0] - first[-1, 0]) / (9.0 * G[0]))  # at lr = 0
        linear = _close(2.0 * first[-1], twice[-1]) and _close(first[-1], first[-1, 0] / G[0] * G)
        return Kind(("flow" if abs(factor - 1.0) < SAME else "scaled flow") if linear and factor > 0.0 else "", factor, math.nan)
    fine = _moves(update, G, 1e-4, 4)
    kicks = np.diff(np.vstack([np.zeros(2), fine]), axis=0)  # changes of the velocity
    beta = -kicks[0] / (1e-4 * G)
    with np.errstate(all="ignore"):
        friction = (1.0 - kicks[2] / kicks[1]) / 1e-4
    if _close(beta, np.full(2, beta[0])) and _close(friction, np.full(2, friction[0]), 1e-3) and beta[0] > 0.0:
        return Kind("newton", float(beta[0]), float(round(friction[0], 9)))
    return Kind("", math.nan, math.nan)


def walk_rule(update: Rule, grad: Callable[[Array], Any], start: Array, lr: float, count: int) -> Array:
    """The point after `count` steps."""
    state: dict[str, Any] = {}
    c = start.copy()
    for _ in range(count):
        c = one_step(update, c, state, np.asarray(grad(c), dtype=np.float64), lr)
    return c


# ---- the modified equation --------------------------------------------------------------------------------------------------------------


def _rule_rate(update: Rule, L: float) -> Callable[[float], float]:
    """log(lambda)/lr of a rule on L c^2/2: from the second half of a run that has lost its memory of the start."""

    def rate(lr: float) -> float:
        state: dict[str, Any] = {}
        c, marks = np.ones(1), []
        steps = 2 * STEPS
        for k in range(steps + 1):
            if k in (STEPS, steps):
                marks.append(abs(float(c[0])))
            c = one_step(update, c, state, L * c, lr)
        return math.log(marks[1] / marks[0]) / (STEPS * lr) if min(marks) > 0.0 else math.nan

    return rate


def _method_rate(method: Method) -> Callable[[float], float]:
    """Likewise of a built-in method, from the matrix of its step."""

    def rate(lr: float) -> float:
        if method.kind == "update":
            values = np.linalg.eigvals(amplification(type(method)(**{**method.given, "lr": lr}), curvature=1.0))
            return math.log(float(values.real[np.argmin(np.abs(values - 1.0))])) / lr
        return math.log(abs(complex(amplification(method, -lr)))) / lr

    return rate


def _limit(values: Array) -> float:
    """The value at lr = 0 of a function at lr, lr/2, lr/4, ... (Neville's polynomial extrapolation)."""
    table = values.copy()
    for k in range(1, table.size):
        table = (2.0**k * table[1:] - table[:-1]) / (2.0**k - 1.0) if table.size > 1 else table
    return float(table[0])


def modified_of(method: Method | Rule, kind: str, factor: float, order: int = 1) -> Modified:
    """The first term beyond the ODE, for methods that follow gradient flow; order: that of an integrator."""
    if kind not in ("flow", "scaled flow"):
        return NOT_KNOWN
    builtin = isinstance(method, Method)
    if builtin and ("linear" not in method.flags or "needs_rho" in method.flags):  # type: ignore[union-attr]
        return NOT_KNOWN
    first = 0.2 if builtin and method.kind == "step" else 1.6e-2 / factor**2  # type: ignore[union-attr]
    if isinstance(method, Method) and method.butcher is not None:
        A, b, _ = coefficients(method)
        remainder = _of_tableau(on_linear(method, A), b, order)
        twice = 4.0 * remainder
    elif isinstance(method, Method):
        remainder = _term(_method_rate(method), first, factor, order)
        twice = 4.0 * remainder if order == 1 else math.nan
    else:  # the speed of a rule may depend on lr: two curvatures tell
        remainder, twice = (_term(_rule_rate(method, L), 0.1 * first, L * factor, 1) for L in (1.0, 2.0))
    if not math.isfinite(remainder):
        return NOT_KNOWN
    kappa, shift = (-0.25 * (twice - 2.0 * remainder), 2.0 * remainder - 0.5 * twice) if order == 1 else (0.0, 0.0)
    small = 1e-6 * factor**3
    digits = MEASURED if order > 1 and isinstance(method, Method) and method.butcher is None else 6
    return Modified(float(order), remainder, kappa if abs(kappa) > small else 0.0, shift if abs(shift) > small else 0.0, digits)


def _of_tableau(A: Any, b: Any, order: int) -> float:
    """R(z) = e^z + E z^(p+1) + ... with E = b A^p 1 - 1/(p+1)!, and log R(-lr L)/lr = -L + (-1)^(p+1) E lr^p L^(p+1).
    What is rounding alone is 0."""
    moment = np.ones(len(b))
    for _ in range(order):
        moment = A @ moment
    off = float(b @ moment) - 1.0 / math.factorial(order + 1)
    return (-1.0) ** (order + 1) * off if abs(off) > 1e-14 else 0.0


def _term(rate: Callable[[float], float], first: float, flow: float, order: int) -> float:
    """The limit of (rate(lr) + flow)/lr^order."""
    lr = first / 2.0 ** np.arange(LEVELS)
    with np.errstate(all="ignore"):
        return _limit(np.array([(rate(float(h)) + flow) / h**order for h in lr]))


# ---- from symbols -----------------------------------------------------------------------------------------------------------------------


def exact_of(update: Rule) -> Any:
    """c' to first order in lr, as a sympy expression: of a rule without memory for any f(c) of one variable; of one with memory that is
    linear in c, state and g, on f = L c^2/2.

    Raises ImportError without sympy, ValueError where the rule does not take symbols or is not linear.
    """
    sympy = need("sympy", "symbols: an exact expansion")
    lr, L, c = sympy.Symbol("lr", positive=True), sympy.Symbol("L", positive=True), sympy.Symbol("c", real=True)
    kept: dict[str, Any] = {}
    one_step(update, np.ones(1), kept, np.ones(1), 0.1)
    try:
        if not kept:
            f = sympy.Function("f")(c)
            new = sympy.sympify(update(c, {}, f.diff(c), lr))
            flow = sympy.simplify(new.diff(lr).subs(lr, 0))
            return sympy.simplify(flow + lr * (new.diff(lr, 2).subs(lr, 0) / 2 - flow * flow.diff(c) / 2))
        names = sorted(kept)
        carried = [sympy.Symbol(f"s{k}", real=True) for k in range(len(names))]
        state = dict(zip(names, carried, strict=True))
        new = [sympy.sympify(update(c, state, L * c, lr)), *(sympy.sympify(state[name]) for name in names)]
        A = sympy.Matrix(new).jacobian([c, *carried])
    except (TypeError, AttributeError, ValueError) as error:
        raise ValueError(f"symbols: the rule does not take sympy's symbols ({error}); write it with +, -, * and / alone") from error
    if A.atoms(sympy.Symbol) & {c, *carried}:
        raise ValueError("symbols: expected a rule that is linear in c, its state and g, got one that is not")
    return _slow_mode(sympy, A, lr) * c


def _slow_mode(sympy: Any, A: Any, lr: Any) -> Any:
    """log(lambda)/lr to first order, of the eigenvalue that tends to 1."""
    a1, a2, z = sympy.symbols("a1 a2 z")
    p = sympy.expand(A.charpoly(z).as_expr().subs(z, 1 + a1 * lr + a2 * lr**2))
    series = [sympy.simplify(p.coeff(lr, k)) for k in range(3)]
    if series[0] != 0:
        raise ValueError("symbols: no eigenvalue of a step tends to 1: the rule has no flow")
    first = list(sympy.solve(series[1], a1)) if series[1] != 0 else []
    if len(first) != 1:
        raise ValueError("symbols: two eigenvalues of a step tend to 1: the rule follows a second-order ODE, which has no such term")
    second = sympy.solve(series[2].subs(a1, first[0]), a2)
    return sympy.simplify(first[0]) + lr * sympy.factor(second[0] - first[0] ** 2 / 2)
