"""Short NumPy oracles of the optimizer rows, written from the papers and from the formulas of torch.optim.

An oracle is given the parameters of the method and a vector of zeros, and returns a function: from the next gradient to what is taken off
the parameters. It shares no code and no order of operations with the kernels. All arithmetic is NumPy's long double, so that on most
machines the rounding seen in a comparison is the kernel's alone. A method record of kind "update" without an oracle fails the battery.

Weight decay, clipping and maximize, which all rows share, are in `Follow`. For the Runge-Kutta rows: order conditions from rooted trees,
and steps as the textbooks write them.
"""

import functools
import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import mpmath
import numpy as np

Array = Any
Oracle = Callable[[dict[str, float], Array], Callable[[Array], Array]]
Rate = Callable[[dict[str, float], int], float]

ORACLES: dict[str, Oracle] = {}
RATES: dict[str, Rate] = {}
SETTINGS: dict[str, dict[str, Any]] = {}
LIMIT_FLOWS: dict[str, Callable[[dict[str, float], float, float], float]] = {}
TEXTBOOK: dict[str, Callable[..., Array]] = {}


def oracle(*names: str, lr: Rate = lambda p, t: p["lr"], settings: dict[str, Any] | None = None) -> Callable[[Oracle], Oracle]:
    """lr(p, t): the learning rate of step t = 0, 1, ..., by which decoupled weight decay is multiplied. settings: parameters with which
    the method finds a minimum, where it does not with a learning rate of 0.3 that falls by 0.1 % a step."""

    def register(fun: Oracle) -> Oracle:
        ORACLES.update(dict.fromkeys(names, fun))
        RATES.update(dict.fromkeys(names, lr))
        SETTINGS.update(dict.fromkeys(names, settings or {}))
        return fun

    return register


def limit_flow(*names: str) -> Callable[[Any], Any]:
    """Where a method goes for lr -> 0 on f = L c^2/2 from c = 1, after the time T."""

    def register(fun: Any) -> Any:
        LIMIT_FLOWS.update(dict.fromkeys(names, fun))
        return fun

    return register


def textbook(*names: str) -> Callable[[Any], Any]:
    def register(fun: Any) -> Any:
        TEXTBOOK.update(dict.fromkeys(names, fun))
        return fun

    return register


class Follow:
    """An oracle beside a kernel's walk: from the kernel's own points c, so that nothing feeds rounding back but the method's vectors."""

    def __init__(self, name: str, parameters: dict[str, float], start: Array, number: Any = np.longdouble) -> None:
        self.p = {key: number(value) for key, value in parameters.items()}
        self.minus, self.rate = ORACLES[name](self.p, np.zeros(start.shape, dtype=number)), RATES[name]
        self.number, self.k = number, 0

    def step(self, c: Array, g: Array, gscale: float = 1.0) -> Array:
        """The point after c, for the gradient g."""
        c, p = c.astype(self.number), self.p
        g = np.clip(gscale * g.astype(self.number), -p["clip_value"], p["clip_value"])
        decay = p["weight_decay"]
        after = c - self.minus(g if p["decoupled_weight_decay"] else g + decay * c)
        if p["decoupled_weight_decay"]:
            after = after - self.rate(p, self.k) * decay * c
        self.k += 1
        return after


@oracle("sgd")
def sgd(p: dict[str, float], zero: Array) -> Callable[[Array], Array]:
    return lambda g: p["lr"] * g


@oracle("momentum")
def momentum(p: dict[str, float], zero: Array) -> Callable[[Array], Array]:
    buffer = None

    def step(g: Array) -> Array:  # torch.optim.SGD: the buffer starts as the first gradient
        nonlocal buffer
        buffer = g if buffer is None else p["momentum"] * buffer + (1 - p["dampening"]) * g
        return p["lr"] * buffer

    return step


@oracle("nesterov")
def nesterov(p: dict[str, float], zero: Array) -> Callable[[Array], Array]:
    v = zero

    def step(g: Array) -> Array:
        nonlocal v
        v = p["momentum"] * v - g
        return -p["lr"] * v if p["form"] else -p["lr"] * (p["momentum"] * v - g)

    return step


@oracle("consistent_momentum")
def consistent_momentum(p: dict[str, float], zero: Array) -> Callable[[Array], Array]:
    v = zero

    def step(g: Array) -> Array:
        nonlocal v
        v = v + p["lr"] * (-p["friction"] * v - p["beta_hat"] * g)
        return -p["lr"] * v

    return step


def falling_lr(p: dict[str, float], t: int) -> float:
    return p["lr"] / (1 + t * p["lr_decay"])


@oracle("adagrad", lr=falling_lr)
def adagrad(p: dict[str, float], zero: Array) -> Callable[[Array], Array]:
    s, t = zero + p["initial_accumulator_value"], 0

    def step(g: Array) -> Array:
        nonlocal s, t
        s = s + g**2
        lr = falling_lr(p, t)
        t += 1
        return lr * g / (np.sqrt(s) + p["eps"])

    return step


@oracle("adadelta", settings={"lr": 1.0, "eps": 1e-3})
def adadelta(p: dict[str, float], zero: Array) -> Callable[[Array], Array]:
    v, u = zero, zero

    def step(g: Array) -> Array:
        nonlocal v, u
        v = v + (1 - p["rho"]) * (g**2 - v)
        d = np.sqrt(u + p["eps"]) / np.sqrt(v + p["eps"]) * g
        u = u + (1 - p["rho"]) * (d**2 - u)
        return p["lr"] * d

    return step


@oracle("rmsprop")
def rmsprop(p: dict[str, float], zero: Array) -> Callable[[Array], Array]:
    v, mean, buffer = zero, zero, zero

    def step(g: Array) -> Array:
        nonlocal v, mean, buffer
        v = v + (1 - p["alpha"]) * (g**2 - v)
        mean = mean + (1 - p["alpha"]) * (g - mean)
        spread = v - mean**2 if p["centered"] else v
        buffer = p["momentum"] * buffer + g / (np.sqrt(spread) + p["eps"])
        return p["lr"] * buffer

    return step


@oracle("adam", "adamw")
def adam(p: dict[str, float], zero: Array) -> Callable[[Array], Array]:
    m, v, top, t = zero, zero, zero, 0
    b1, b2 = p["betas[0]"], p["betas[1]"]

    def step(g: Array) -> Array:
        nonlocal m, v, top, t
        t += 1
        m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g**2
        top = np.maximum(top, v)
        m_hat, v_hat = m / (1 - b1**t), (top if p["amsgrad"] else v) / (1 - b2**t)
        return p["lr"] * m_hat / (np.sqrt(v_hat) + p["eps"])

    return step


@oracle("adamax")
def adamax(p: dict[str, float], zero: Array) -> Callable[[Array], Array]:
    m, u, t = zero, zero, 0
    b1, b2 = p["betas[0]"], p["betas[1]"]

    def step(g: Array) -> Array:
        nonlocal m, u, t
        t += 1
        m, u = b1 * m + (1 - b1) * g, np.maximum(b2 * u, abs(g) + p["eps"])
        return p["lr"] / (1 - b1**t) * m / u

    return step


@oracle("nadam")
def nadam(p: dict[str, float], zero: Array) -> Callable[[Array], Array]:
    m, v, t, product = zero, zero, 0, 1
    b1, b2 = p["betas[0]"], p["betas[1]"]

    def mu(t: int) -> Any:
        return b1 * (1 - (type(b1)(96) / 100) ** (t * p["momentum_decay"]) / 2)

    def step(g: Array) -> Array:
        nonlocal m, v, t, product
        t += 1
        product = product * mu(t)
        m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g**2
        d = np.sqrt(v / (1 - b2**t)) + p["eps"]
        m_hat = mu(t + 1) * m / (1 - product * mu(t + 1)) + (1 - mu(t)) * g / (1 - product)
        return p["lr"] * m_hat / d

    return step


def defaults(row: Any, **changed: float) -> dict[str, float]:
    return {p[0]: p[1] for p in row.parameters_} | changed


def another(value: float, lower: float, upper: float, kind: str) -> float:
    """A value of a parameter that is not its default, inside its bounds."""
    if kind in ("bool", "choice"):
        return float(value == 0.0)
    if kind == "int":
        return value + 1.0 if value < upper else value - 1.0
    tries = (0.25 if value in (0.0, upper) else 0.75 * value, 1.25 * value, 0.5 * (value + lower), 0.5 * (value + upper))
    return next(x for x in tries if lower < x < upper and x != value)


def variants(row: Any) -> list[dict[str, float]]:
    """The defaults at a large lr, each parameter away from its default in turn, and all away at once."""
    base = defaults(row, lr=0.125)
    away: dict[str, float] = {}
    for name, value, lower, upper, kind, _, _, _ in row.parameters_:
        if name == "lr":
            continue
        away[name] = 0.5 if name == "clip_value" else another(value, lower, upper, kind)
    both = {"weight_decay": 0.25, "decoupled_weight_decay": 1.0}
    return [base, *({**base, name: value} for name, value in away.items()), {**base, **both}, {**base, **away}]


# ---- cases in which torch.optim must make the same steps

PARITY = [
    ("SGD", {}),
    ("SGD", {"momentum": 0.9, "dampening": 0.25, "weight_decay": 0.01}),
    ("SGD", {"momentum": 0.9, "nesterov": True}),
    ("SGD", {"momentum": 0.9, "maximize": True}),
    ("Adagrad", {}),
    ("Adagrad", {"lr_decay": 0.05, "initial_accumulator_value": 0.5, "weight_decay": 0.01}),
    ("Adadelta", {}),
    ("Adadelta", {"rho": 0.5, "weight_decay": 0.01, "maximize": True}),
    ("RMSprop", {}),
    ("RMSprop", {"momentum": 0.9, "alpha": 0.9}),
    ("RMSprop", {"centered": True}),
    ("RMSprop", {"centered": True, "momentum": 0.5, "weight_decay": 0.01}),
    ("Adam", {}),
    ("Adam", {"amsgrad": True, "weight_decay": 0.01, "maximize": True}),
    ("AdamW", {}),
    ("AdamW", {"amsgrad": True, "betas": (0.5, 0.75), "weight_decay": 0.1}),
    ("Adamax", {}),
    ("Adamax", {"weight_decay": 0.01, "maximize": True}),
    ("NAdam", {}),
    ("NAdam", {"weight_decay": 0.01, "decoupled_weight_decay": True, "momentum_decay": 1.0}),
]


# ---- limits for lr -> 0 --------------------------------------------------------------------------------------------------------------


@limit_flow("sgd")
def _(p: dict[str, float], L: float, T: float) -> float:
    return float(np.exp(-L * T))


@limit_flow("momentum", "nesterov")
def _(p: dict[str, float], L: float, T: float) -> float:
    return float(np.exp(-L * T / (1 - p["momentum"])))


@limit_flow("consistent_momentum")
def _(p: dict[str, float], L: float, T: float) -> float:
    """c'' = -friction c' - beta_hat L c from rest, underdamped."""
    half = p["friction"] / 2
    w = np.sqrt(p["beta_hat"] * L - half**2)
    return float(np.exp(-half * T) * (np.cos(w * T) + half / w * np.sin(w * T)))


# ---- Runge-Kutta steps as the textbooks write them: y+ = step(f, t, y, h) -------------------------------------------------------------


@textbook("euler")
def _(f: Any, t: float, y: Array, h: float) -> Array:
    return y + h * f(t, y)


@textbook("rk2", "tvd_rk2")
def _(f: Any, t: float, y: Array, h: float) -> Array:
    k = f(t, y)
    return y + h / 2 * (k + f(t + h, y + h * k))


@textbook("midpoint")
def _(f: Any, t: float, y: Array, h: float) -> Array:
    return y + h * f(t + h / 2, y + h / 2 * f(t, y))


@textbook("rk3")
def _(f: Any, t: float, y: Array, h: float) -> Array:
    k1 = f(t, y)
    k2 = f(t + h / 2, y + h / 2 * k1)
    return y + h / 6 * (k1 + 4 * k2 + f(t + h, y - h * k1 + 2 * h * k2))


@textbook("rk4")
def _(f: Any, t: float, y: Array, h: float) -> Array:
    k1 = f(t, y)
    k2 = f(t + h / 2, y + h / 2 * k1)
    k3 = f(t + h / 2, y + h / 2 * k2)
    return y + h / 6 * (k1 + 2 * k2 + 2 * k3 + f(t + h, y + h * k3))


@textbook("tvd_rk3")
def _(f: Any, t: float, y: Array, h: float) -> Array:
    y1 = y + h * f(t, y)
    y2 = (3 * y + y1 + h * f(t + h, y1)) / 4
    return (y + 2 * y2 + 2 * h * f(t + h / 2, y2)) / 3


@textbook("ssprk104")
def _(f: Any, t: float, y: Array, h: float) -> Array:
    """Ketcheson (2008), pseudocode 3: two registers."""
    q1, q2 = y, y
    for i in range(5):
        q1 = q1 + h / 6 * f(t + i * h / 6, q1)
    q2 = q2 / 25 + 9 * q1 / 25
    q1 = 15 * q2 - 5 * q1
    for i in range(5, 9):
        q1 = q1 + h / 6 * f(t + (i - 3) * h / 6, q1)
    return q2 + 3 * q1 / 5 + h / 10 * f(t + h, q1)


# ---- tableaus

Tree = tuple[Any, ...]


@functools.cache
def trees_of(order: int) -> list[Tree]:
    """All rooted trees with that many vertices: a tree is the sorted tuple of its branches."""

    def forests(total: int, largest: int) -> list[list[Tree]]:
        if total == 0:
            return [[]]
        out = []
        for size in range(min(total, largest), 0, -1):
            for tree in trees_of(size):
                for rest in forests(total - size, size):
                    if not rest or len_of(rest[0]) < size or rest[0] <= tree:
                        out.append([tree, *rest])
        return out

    return [tuple(forest) for forest in forests(order - 1, order - 1)]


def len_of(tree: Tree) -> int:
    return 1 + sum(map(len_of, tree))


def density(tree: Tree) -> int:
    return len_of(tree) * math.prod(map(density, tree))


def weights(tree: Tree, A: list[list[Fraction]]) -> list[Fraction]:
    """For each stage, the product over the branches of sum_j A_ij weight_j."""
    out = [Fraction(1)] * len(A)
    for branch in tree:
        inner = weights(branch, A)
        out = [value * sum((a * w for a, w in zip(line, inner, strict=True)), Fraction(0)) for value, line in zip(out, A, strict=True)]
    return out


def magnitude(tree: Tree, A: list[list[Fraction]], b: list[Fraction]) -> float:
    """The size of what is added up in an order condition: its rounding, in stored coefficients, is in proportion."""
    sizes = [[abs(a) for a in line] for line in A]
    return float(sum((abs(x) * w for x, w in zip(b, weights(tree, sizes), strict=True)), Fraction(0)))


def residual(tree: Tree, A: list[list[Fraction]], b: list[Fraction]) -> float:
    """How far the order condition of this tree is from being met, computed exactly."""
    return abs(float(sum((x * w for x, w in zip(b, weights(tree, A), strict=True)), Fraction(0)) - Fraction(1, density(tree))))


def chebyshev(s: int) -> tuple[list[list[Fraction]], list[Fraction], list[Fraction]]:
    """The tableau of RKC with s stages, to 50 digits: T_j(w0) = cosh(j arccosh w0), and T_j'' from Chebyshev's equation."""
    with mpmath.workdps(60 + s // 20):
        w0 = 1 + mpmath.mpf(2) / 13 / s**2
        angle = mpmath.acosh(w0)
        T = [mpmath.cosh(j * angle) for j in range(s + 1)]
        d1 = [j * mpmath.sinh(j * angle) / mpmath.sinh(angle) for j in range(s + 1)]
        d2 = [(w0 * d1[j] - j**2 * T[j]) / (1 - w0**2) for j in range(s + 1)]
        w1 = d1[s] / d2[s]
        b = [d2[2] / d1[2] ** 2, 1 / w0, *(d2[j] / d1[j] ** 2 for j in range(2, s + 1))]
        lines = [[mpmath.mpf(0)] * s, [b[1] * w1] + [mpmath.mpf(0)] * (s - 1)]
        for j in range(2, s + 1):
            mu, nu, m = 2 * b[j] * w0 / b[j - 1], -b[j] / b[j - 2], 2 * b[j] * w1 / b[j - 1]
            line = [mu * x + nu * y for x, y in zip(lines[j - 1], lines[j - 2], strict=True)]
            line[j - 1] += m
            line[0] -= (1 - b[j - 1] * T[j - 1]) * m
            lines.append(line)
        exact = [[Fraction(int(mpmath.nint(x * 10**50)), 10**50) for x in line] for line in lines]
    return exact[:s], exact[s], [sum(line, Fraction(0)) for line in exact[:s]]


def butcher(row: Any, stages: int | None = None) -> tuple[list[list[Fraction]], list[Fraction], list[Fraction]]:
    """The tableau as exact fractions of the stored doubles; Shu-Osher rows expanded here, not by the library; RKC with its least s."""
    if "staged" in row.flags:
        return chebyshev(stages or row.stages)
    tableau = row.tableau
    c = [Fraction(v) for v in tableau["c"]]
    s = len(c)
    if "A" in tableau:
        return [[Fraction(v) for v in line] for line in tableau["A"]], [Fraction(v) for v in tableau["b"]], c
    lines = [[Fraction(0)] * s]
    for i in range(1, s + 1):
        alpha, beta = tableau["alpha"][i], tableau["beta"][i]
        lines.append([sum((Fraction(alpha[k]) * lines[k][j] for k in range(i)), Fraction(beta[j])) for j in range(s)])
    return lines[:s], lines[s], c


def stability_function(row: Any, z: float) -> float:
    """R(z) = 1 + z b (I - z A)^-1 1, by elimination in fractions of a lower triangular A."""
    A, b, _ = butcher(row)
    K: list[Fraction] = []
    x = Fraction(z)
    for i, line in enumerate(A):
        K.append((1 + x * sum((a * k for a, k in zip(line, K, strict=False)), Fraction(0))) / (1 - x * line[i]))
    return float(1 + x * sum((w * k for w, k in zip(b, K, strict=True)), Fraction(0)))


def monotone(row: Any, r: float) -> bool:
    """Whether a step of h is made of Euler steps of h/r by averages alone, in exact fractions but for the rounding of what is stored.

    Stage i as u_i = v_i y + sum_j p_ij (u_j + h/r f(u_j)), and y+ as one more: the p_ij from the last column to the first.
    """
    A, b, _ = butcher(row)
    x, K = Fraction(r), [*A, b]
    for i, line in enumerate(K):
        p = [Fraction(0)] * len(A)
        for j in range(min(i, len(A) - 1), -1, -1):
            p[j] = x * (line[j] - sum((p[k] * A[k][j] for k in range(j + 1, len(A))), Fraction(0))) / (1 + x * A[j][j])
        if min(*p, 1 - sum(p)) < -1e-13 * max(1.0, r):
            return False
    return True


def weight_of_slopes(row: Any, stages: int | None = None) -> float:
    """How much of the rounding of y a sum of slopes brings in: an implicit one, (z - r)/(h A_jj), has that of y divided by h A_jj."""
    A, b, _ = butcher(row, stages)
    each = [1 / line[j] if line[j] else Fraction(0) for j, line in enumerate(A)]
    sums = [sum((abs(a) * w for a, w in zip(line[:i], each, strict=False)), Fraction(0)) for i, line in enumerate([*A, b])]
    return float(max(sums))


def rough_between(row: Any) -> bool:
    """Whether the continuous extension, a cubic, is much worse than the step: a high order takes steps too long for it."""
    return bool(row.sizes()["n_dense"] == 3 and row.order > 5)


def last_is_first(row: Any) -> bool:
    """Whether the last slope of a step is that of the next one's start: c = 1 there but for rounding, and that stage is the result."""
    A, b, c = butcher(row)
    return abs(c[-1] - 1) < 1e-14 and A[-1] == b


def stages_at(row: Any, h: float, rho: float) -> int:
    """Stages of a step: the row's own, or the fewest whose stability reaches |h| rho, from 0.65 (s^2 - 1) >= |h| rho (Sommeijer)."""
    return max(int(row.stages), 1 + math.isqrt(int(1.54 * abs(h) * rho + 1))) if "needs_rho" in row.flags else int(row.stages)


def begins_explicitly(row: Any) -> bool:
    return butcher(row)[0][0][0] == 0


def evaluations(row: Any, steps: int, stages: int | None = None) -> int:
    """Calls of the right-hand side that a method makes itself in its first steps; a carried slope is made once and then comes with each
    step. The other stages of an implicit method are `solves`."""
    s = stages or int(row.stages)
    if "implicit" in row.flags:
        return int(begins_explicitly(row)) + steps * sum(line[i] == 0 for i, line in enumerate(butcher(row)[0]) if i)
    if "fsal" not in row.flags:
        return steps * s
    return 1 + steps * (s - last_is_first(row))


def solves(row: Any, steps: int) -> int:
    """Equations that an implicit method hands to the problem."""
    A = butcher(row)[0]
    return steps * sum(A[i][i] != 0 for i in range(len(A)))


def times_of(row: Any, t0: float, h: float, steps: int, stages: int | None = None) -> list[float]:
    """Where those evaluations and solves are."""
    c = [float(v) for v in butcher(row, stages)[2]]
    if "fsal" not in row.flags:
        return [t0 + (k + v) * h for k in range(steps) for v in c]
    first = [t0] if begins_explicitly(row) else []
    later = c[len(first) :] if last_is_first(row) else [*c[1:], 1.0]
    return [*first, *(t0 + (k + v) * h for k in range(steps) for v in later)]


def combined(y: Array, h: float, terms: list[tuple[float, Array]]) -> Array:
    """y + (((w0 k0 + w1 k1) + (w2 k2 + w3 k3)) + w4 k4) ...: the order that vec.pxd promises."""
    parts = [(h * w) * k for w, k in terms]
    if len(parts) > 1:
        total = parts[0] + parts[1]
        if len(parts) > 3:
            total = total + (parts[2] + parts[3])
            rest = parts[4:]
        else:
            rest = parts[2:]
        for part in rest:
            total = total + part
        return y + total
    return y + parts[0] if parts else y.copy()


def documented_step(row: Any, problem: Any, t: float, x: Array, h: float, stages: int) -> Array:
    """One step of carried vectors in plain NumPy, in the written order of association. problem: rhs and, for implicit methods, solve."""
    if "implicit" in row.flags:
        return documented_implicit(row, problem, t, x, h)
    f, y = problem.rhs, x[0]
    if "staged" in row.flags:
        return documented_chebyshev(stages, f, t, y, h)[None]
    tableau = row.tableau
    c, s = tableau["c"], row.stages
    if "A" in tableau:
        K: list[Array] = []
        for i in range(s):
            K.append(f(t + c[i] * h, combined(y, h, [(a, k) for a, k in zip(tableau["A"][i], K, strict=False) if a != 0])))
        return combined(y, h, [(w, k) for w, k in zip(tableau["b"], K, strict=True) if w != 0])[None]
    u, slopes = [y], []
    for i in range(1, s + 1):
        slopes.append(f(t + c[i - 1] * h, u[-1]))
        alpha, beta = tableau["alpha"][i], tableau["beta"][i]
        terms = [alpha[j] * (u[j] + (h * (beta[j] / alpha[j])) * slopes[j]) for j in range(i) if alpha[j] != 0]
        total = terms[0]
        for term in terms[1:]:
            total = total + term
        u.append(total)
    return u[-1][None]


def documented_implicit(row: Any, problem: Any, t: float, x: Array, h: float) -> Array:
    """The formulas at the head of implicit.pyx; (y, slope) carried, or y alone at the start."""
    A, c = row.tableau["A"], row.tableau["c"]
    K: list[Array] = []
    for i, line in enumerate(A):
        if line[i] == 0.0 and i == 0:
            K.append(x[1] if len(x) > 1 else problem.rhs(t, x[0]))
            continue
        r, gh = combined(x[0], h, [(a, k) for a, k in zip(line[:i], K, strict=True) if a != 0]), line[i] * h
        if gh == 0.0:
            z = r
            K.append(problem.rhs(t + c[i] * h, z))
            continue
        z = problem.solve(t + c[i] * h, gh, r, r)
        K.append((z - r) * (1.0 / gh))
    return np.stack([z, K[-1]])


def documented_chebyshev(s: int, f: Any, t: float, y: Array, h: float) -> Array:
    """RKC by increments, the polynomials by their differences: the formulas at the head of chebyshev.pyx."""
    delta = 2.0 / 13.0 / (float(s) * float(s))
    T, d1, d2 = [1.0, 1.0 + delta], [0.0, 1.0], [0.0, 0.0]
    by = [delta, 1.0, 0.0]
    for j in range(1, s):
        by = [by[0] + 2.0 * delta * T[j], by[1] + (2.0 * delta * d1[j] + 2.0 * T[j]), by[2] + (2.0 * delta * d2[j] + 4.0 * d1[j])]
        for values, growth in zip((T, d1, d2), by, strict=True):
            values.append(values[-1] + growth)
    w0, w1 = T[1], d1[s] / d2[s]
    b = [1.0 / (4.0 * w0 * w0), 1.0 / w0, *(d2[j] / (d1[j] * d1[j]) for j in range(2, s + 1))]
    a = [0.0, 0.0, *(1.0 - b[j] * T[j] for j in range(2, s + 1))]
    F0 = f(t, y)
    nodes, Z = [0.0, b[1] * w1], [np.zeros_like(y), h * (b[1] * w1) * F0]
    for j in range(2, s + 1):
        mu, nu, m = 2.0 * b[j] * w0 / b[j - 1], -b[j] / b[j - 2], 2.0 * b[j] * w1 / b[j - 1]
        g = -a[j - 1] * m
        F = f(t + nodes[j - 1] * h, y + Z[j - 1])
        nodes.append((mu * nodes[j - 1] + nu * nodes[j - 2]) + (m + g))
        Z.append((mu * Z[j - 1] + nu * Z[j - 2]) + ((h * m) * F + (h * g) * F0))
    return y + Z[s]


def ulps(got: float, exact: Any) -> float:
    return float(abs(mpmath.mpf(float(got)) - exact) / mpmath.mpf(float(np.spacing(abs(float(exact))))))
