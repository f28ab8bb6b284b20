"""Short NumPy oracles of the optimizer rows, written from the papers and from the formulas of torch.optim.

An oracle is given the parameters of the method and a vector of zeros, and returns a function: from the next gradient to what is taken off
the parameters. It shares no code and no order of operations with the kernels. All arithmetic is NumPy's long double, so that on most
machines the rounding seen in a comparison is the kernel's alone. A method record of kind "update" without an oracle fails the battery.

Weight decay, clipping and maximize, which all rows share, are in `Follow`. The Runge-Kutta rows have their oracles in `tableaus`.
"""

from collections.abc import Callable
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


def ulps(got: float, exact: Any) -> float:
    return float(abs(mpmath.mpf(float(got)) - exact) / mpmath.mpf(float(np.spacing(abs(float(exact))))))
