"""Short NumPy oracles of the optimizer rows, written from the papers and from the formulas of torch.optim.

An oracle is a generator: it is given the parameters of the row and the start, and for each gradient sent to it gives the next point.
It shares no code and no order of operations with the kernels. All arithmetic is NumPy's long double, so that on most machines the
rounding seen in a comparison is the kernel's alone. A row of kind "update" without an oracle fails the battery.
"""

from collections.abc import Callable, Generator
from typing import Any

import numpy as np

Array = Any
Oracle = Callable[[dict[str, float], Array], Generator[Array, Array, None]]

ORACLES: dict[str, Oracle] = {}
LIMIT_FLOWS: dict[str, Callable[[dict[str, float], float, float], float]] = {}
TEXTBOOK: dict[str, Callable[..., Array]] = {}


def oracle(*names: str) -> Callable[[Oracle], Oracle]:
    def register(fun: Oracle) -> Oracle:
        ORACLES.update(dict.fromkeys(names, fun))
        return fun

    return register


def limit_flow(*names: str) -> Callable[[Any], Any]:
    """Where a row goes for lr -> 0 on f = L c^2/2 from c = 1, after the time T."""

    def register(fun: Any) -> Any:
        LIMIT_FLOWS.update(dict.fromkeys(names, fun))
        return fun

    return register


def textbook(*names: str) -> Callable[[Any], Any]:
    def register(fun: Any) -> Any:
        TEXTBOOK.update(dict.fromkeys(names, fun))
        return fun

    return register


def run(name: str, parameters: dict[str, float], start: Array, grads: Array, maximize: bool = False, scale: float = 1.0) -> Array:
    """Every point of an oracle's run: (steps + 1, n) in long double."""
    wide = {key: np.longdouble(value) for key, value in parameters.items()}
    c = np.array(start, dtype=np.longdouble)
    walk = ORACLES[name](wide, c)
    next(walk)
    points = [c]
    for g in grads:
        g = np.clip(np.asarray(g, np.longdouble) * scale * (-1 if maximize else 1), -parameters["clip_value"], parameters["clip_value"])
        decay = wide["weight_decay"]
        if not parameters["decoupled_weight_decay"]:
            g = g + decay * points[-1]
        after = walk.send(g)
        if parameters["decoupled_weight_decay"]:
            after = after - current_lr(wide, len(points) - 1) * decay * points[-1]
        points.append(after)
        walk.send(after)
    return np.array(points)


def current_lr(p: dict[str, float], t: int) -> float:
    return p["lr"] / (1 + t * p.get("lr_decay", np.longdouble(0)))


def each(step: Callable[[Array], Array], c: Array) -> Generator[Array, Array, None]:
    """Asks for a gradient, gives the next point, is told the point that decay has made of it."""
    while True:
        g = yield c
        c = yield c - step(g)


@oracle("sgd")
def sgd(p: dict[str, float], c: Array) -> Generator[Array, Array, None]:
    return each(lambda g: p["lr"] * g, c)


@oracle("momentum")
def momentum(p: dict[str, float], c: Array) -> Generator[Array, Array, None]:
    buffer = None

    def step(g: Array) -> Array:  # torch.optim.SGD: the buffer starts as the first gradient
        nonlocal buffer
        buffer = g if buffer is None else p["momentum"] * buffer + (1 - p["dampening"]) * g
        return p["lr"] * buffer

    return each(step, c)


@oracle("nesterov")
def nesterov(p: dict[str, float], c: Array) -> Generator[Array, Array, None]:
    v = np.zeros_like(c)

    def step(g: Array) -> Array:
        nonlocal v
        v = p["momentum"] * v - g
        return -p["lr"] * v if p["form"] else -p["lr"] * (p["momentum"] * v - g)

    return each(step, c)


@oracle("consistent_momentum")
def consistent_momentum(p: dict[str, float], c: Array) -> Generator[Array, Array, None]:
    v = np.zeros_like(c)

    def step(g: Array) -> Array:
        nonlocal v
        v = v + p["lr"] * (-p["friction"] * v - p["beta_hat"] * g)
        return -p["lr"] * v

    return each(step, c)


@oracle("adagrad")
def adagrad(p: dict[str, float], c: Array) -> Generator[Array, Array, None]:
    s, t = np.full_like(c, p["initial_accumulator_value"]), 0

    def step(g: Array) -> Array:
        nonlocal s, t
        s = s + g**2
        lr = current_lr(p, t)
        t += 1
        return lr * g / (np.sqrt(s) + p["eps"])

    return each(step, c)


@oracle("adadelta")
def adadelta(p: dict[str, float], c: Array) -> Generator[Array, Array, None]:
    v, u = np.zeros_like(c), np.zeros_like(c)

    def step(g: Array) -> Array:
        nonlocal v, u
        v = v + (1 - p["rho"]) * (g**2 - v)
        d = np.sqrt(u + p["eps"]) / np.sqrt(v + p["eps"]) * g
        u = u + (1 - p["rho"]) * (d**2 - u)
        return p["lr"] * d

    return each(step, c)


@oracle("rmsprop")
def rmsprop(p: dict[str, float], c: Array) -> Generator[Array, Array, None]:
    v, mean, buffer = np.zeros_like(c), np.zeros_like(c), np.zeros_like(c)

    def step(g: Array) -> Array:
        nonlocal v, mean, buffer
        v = v + (1 - p["alpha"]) * (g**2 - v)
        mean = mean + (1 - p["alpha"]) * (g - mean)
        spread = v - mean**2 if p["centered"] else v
        buffer = p["momentum"] * buffer + g / (np.sqrt(spread) + p["eps"])
        return p["lr"] * buffer

    return each(step, c)


@oracle("adam", "adamw")
def adam(p: dict[str, float], c: Array) -> Generator[Array, Array, None]:
    m, v, top, t = np.zeros_like(c), np.zeros_like(c), np.zeros_like(c), 0
    b1, b2 = p["betas[0]"], p["betas[1]"]

    def step(g: Array) -> Array:
        nonlocal m, v, top, t
        t += 1
        m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g**2
        top = np.maximum(top, v)
        m_hat, v_hat = m / (1 - b1**t), (top if p["amsgrad"] else v) / (1 - b2**t)
        return p["lr"] * m_hat / (np.sqrt(v_hat) + p["eps"])

    return each(step, c)


@oracle("adamax")
def adamax(p: dict[str, float], c: Array) -> Generator[Array, Array, None]:
    m, u, t = np.zeros_like(c), np.zeros_like(c), 0
    b1, b2 = p["betas[0]"], p["betas[1]"]

    def step(g: Array) -> Array:
        nonlocal m, u, t
        t += 1
        m, u = b1 * m + (1 - b1) * g, np.maximum(b2 * u, abs(g) + p["eps"])
        return p["lr"] / (1 - b1**t) * m / u

    return each(step, c)


@oracle("nadam")
def nadam(p: dict[str, float], c: Array) -> Generator[Array, Array, None]:
    m, v, t, product = np.zeros_like(c), np.zeros_like(c), 0, np.longdouble(1)
    b1, b2 = p["betas[0]"], p["betas[1]"]

    def mu(t: int) -> Any:
        return b1 * (1 - np.longdouble(0.5) * (np.longdouble(96) / 100) ** (t * p["momentum_decay"]))

    def step(g: Array) -> Array:
        nonlocal m, v, t, product
        t += 1
        product = product * mu(t)
        m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g**2
        d = np.sqrt(v / (1 - b2**t)) + p["eps"]
        m_hat = mu(t + 1) * m / (1 - product * mu(t + 1)) + (1 - mu(t)) * g / (1 - product)
        return p["lr"] * m_hat / d

    return each(step, c)


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
