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
Oracle = Callable[[dict[str, float], Array], Callable[..., Array]]
Rate = Callable[[dict[str, float], int], float]

ORACLES: dict[str, Oracle] = {}
RATES: dict[str, Rate] = {}
SETTINGS: dict[str, dict[str, Any]] = {}
SEEING: set[str] = set()
LIMIT_FLOWS: dict[str, Callable[[dict[str, float], float, float], float]] = {}


def oracle(
    *names: str, lr: Rate = lambda p, t: p["lr"], settings: dict[str, Any] | None = None, sees: bool = False
) -> Callable[[Oracle], Oracle]:  # fmt: skip
    """lr(p, t): the learning rate of step t = 0, 1, ..., by which decoupled weight decay is multiplied. settings: parameters with which
    the method finds a minimum, where it does not with a learning rate of 0.3 that falls by 0.1 % a step. sees: the function takes the
    point c beside the gradient, and does all weight decay itself."""

    def register(fun: Oracle) -> Oracle:
        ORACLES.update(dict.fromkeys(names, fun))
        RATES.update(dict.fromkeys(names, lr))
        SETTINGS.update(dict.fromkeys(names, settings or {}))
        SEEING.update(names if sees else ())
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
        self.number, self.k, self.sees = number, 0, name in SEEING

    def step(self, c: Array, g: Array, gscale: float = 1.0) -> Array:
        """The point after c, for the gradient g."""
        c, p = c.astype(self.number), self.p
        g = np.clip(gscale * g.astype(self.number), -p["clip_value"], p["clip_value"])
        if self.sees:
            return c - self.minus(g, c)
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


@oracle("radam")
def radam(p: dict[str, float], zero: Array) -> Callable[[Array], Array]:
    m, v, t = zero, zero, 0
    b1, b2 = p["betas[0]"], p["betas[1]"]
    most = 2 / (1 - b2) - 1

    def step(g: Array) -> Array:
        nonlocal m, v, t
        t += 1
        m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g**2
        m_hat, rho = m / (1 - b1**t), most - 2 * t * b2**t / (1 - b2**t)
        if rho <= 5:
            return p["lr"] * m_hat
        r = np.sqrt((rho - 4) * (rho - 2) * most / ((most - 4) * (most - 2) * rho))
        return p["lr"] * m_hat * r * np.sqrt(1 - b2**t) / (np.sqrt(v) + p["eps"])

    return step


@oracle("adabelief")
def adabelief(p: dict[str, float], zero: Array) -> Callable[[Array], Array]:
    m, s, top, t = zero, zero, zero, 0
    b1, b2 = p["betas[0]"], p["betas[1]"]

    def step(g: Array) -> Array:
        nonlocal m, s, top, t
        t += 1
        m = b1 * m + (1 - b1) * g
        s = b2 * s + (1 - b2) * (g - m) ** 2 + p["eps"]
        top = np.maximum(top, s)
        m_hat, s_hat = m / (1 - b1**t), (top if p["amsgrad"] else s) / (1 - b2**t)
        return p["lr"] * m_hat / (np.sqrt(s_hat) + p["eps"])

    return step


@oracle("sparse_adam")
def sparse_adam(p: dict[str, float], zero: Array) -> Callable[[Array], Array]:
    m, v, t = zero, zero, 0
    b1, b2 = p["betas[0]"], p["betas[1]"]

    def step(g: Array) -> Array:
        nonlocal m, v, t
        t += 1
        m, v = m + (g - m) * (1 - b1), v + (g**2 - v) * (1 - b2)
        return p["lr"] * np.sqrt(1 - b2**t) / (1 - b1**t) * m / (np.sqrt(v) + p["eps"])

    return step


@oracle("lion")
def lion(p: dict[str, float], zero: Array) -> Callable[[Array], Array]:
    m = zero
    b1, b2 = p["betas[0]"], p["betas[1]"]

    def step(g: Array) -> Array:
        nonlocal m
        u = np.sign(b1 * m + (1 - b1) * g)
        m = b2 * m + (1 - b2) * g
        return p["lr"] * u

    return step


@oracle("rprop")
def rprop(p: dict[str, float], zero: Array) -> Callable[[Array], Array]:
    before, length = zero, zero + p["lr"]

    def step(g: Array) -> Array:
        nonlocal before, length
        same = np.sign(g) * np.sign(before)
        factor = np.where(same > 0, p["etas[1]"], np.where(same < 0, p["etas[0]"], 1))
        length = np.clip(length * factor, p["step_sizes[0]"], p["step_sizes[1]"])
        before = np.where(same < 0, 0, g)
        return length * np.sign(before)

    return step


def falling_eta(p: dict[str, float], t: int) -> float:
    return p["lr"] / (1 + p["lambd"] * p["lr"] * t) ** p["alpha"]


@oracle("asgd", sees=True, settings={"lambd": 0.0})
def asgd(p: dict[str, float], zero: Array) -> Callable[..., Array]:
    t = 0

    def step(g: Array, c: Array) -> Array:
        nonlocal t
        eta = falling_eta(p, t)
        t += 1
        return eta * (g + p["weight_decay"] * c) + p["lambd"] * eta * c

    return step


@oracle("schedule_free_adamw", sees=True)
@oracle("schedule_free_sgd", sees=True, settings={"lr": lambda k: 1e-4 * 1.001 ** min(k, 8800)})  # late points count more
def schedule_free(p: dict[str, float], zero: Array) -> Callable[..., Array]:
    """The sequences x, y, z of the paper: x is what the kernel has as c."""
    z, v, total, t = None, zero, 0, 0
    b, b2 = (p["betas[0]"], p["betas[1]"]) if "betas[0]" in p else (p["momentum"], None)

    def step(g: Array, x: Array) -> Array:
        nonlocal z, v, total, t
        t += 1
        z = x if z is None else z
        y = (1 - b) * z + b * x
        beside = p["weight_decay"] * y if p["decoupled_weight_decay"] else 0
        g = g if p["decoupled_weight_decay"] else g + p["weight_decay"] * y
        if b2 is not None:
            v = b2 * v + (1 - b2) * g**2
            g = g / (np.sqrt(v / (1 - b2**t)) + p["eps"])
        z = z - p["lr"] * (g + beside)
        total = total + p["lr"] ** p["weight_lr_power"]
        return p["lr"] ** p["weight_lr_power"] / total * (x - z)

    return step


def defaults(row: Any, **changed: float) -> dict[str, float]:
    return {p[0]: p[1] for p in row.parameters_} | changed


def looks_ahead(row: Any) -> bool:
    """Whether a method by itself takes its gradient elsewhere than at c: the others do so by a parameter."""
    return bool(row.asks) and not {"form", "lookahead"} & {p[0] for p in row.parameters_}


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
    ("RAdam", {}),
    ("RAdam", {"betas": (0.5, 0.75), "weight_decay": 0.01, "maximize": True}),
    ("RAdam", {"weight_decay": 0.1, "decoupled_weight_decay": True}),
    ("Rprop", {}),
    ("Rprop", {"etas": (0.25, 1.5), "step_sizes": (1e-3, 0.5), "maximize": True}),
    ("ASGD", {}),
    ("ASGD", {"lr": 0.1, "lambd": 0.01, "alpha": 0.6, "t0": 20, "weight_decay": 0.01}),
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
