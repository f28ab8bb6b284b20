"""Fixed inputs whose bits are the same on every machine.

Numbers come from an integer recurrence. Callbacks use + - * / and elementwise NumPy alone: no function of libm, no sum or product of
NumPy, whose order of association follows the processor.
"""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Callable
from typing import Any

import numpy as np

Array = np.ndarray
SIZES = (1, 2, 3, 7, 12, 13, 100, 1001)  # below, at and above the sizes at which kernels change their path

_DOUBLES = ctypes.POINTER(ctypes.c_double)
RHS_C = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_double, _DOUBLES, _DOUBLES, ctypes.c_ssize_t, ctypes.c_void_p)
LANES_C = ctypes.CFUNCTYPE(ctypes.c_int, _DOUBLES, _DOUBLES, _DOUBLES, ctypes.c_ssize_t, ctypes.c_ssize_t, ctypes.c_void_p)
FORCE_C = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_double, _DOUBLES, _DOUBLES, _DOUBLES, ctypes.c_ssize_t, ctypes.c_void_p)


@functools.cache
def _numbers(count: int, seed: int) -> Array:
    state, out = 2 * seed + 1, np.empty(count)
    for i in range(-8, count):  # the first few depend on the seed too plainly
        state = (6364136223846793005 * state + 1442695040888963407) % 2**64
        if i >= 0:
            out[i] = (state >> 11) / 2**52 - 1.0
    return out


def numbers(shape: int | tuple[int, ...], seed: int = 0, low: float = -1.0, high: float = 1.0) -> Array:
    """Pseudo-random numbers in [low, high)."""
    count = shape if isinstance(shape, int) else int(np.prod(shape))
    return (low + (high - low) * (_numbers(count, seed) + 1.0) / 2.0).reshape(shape)


def total(values: Any) -> float:
    """A sum from left to right."""
    out = 0.0
    for value in np.asarray(values).ravel().tolist():
        out += value
    return out


class Field:
    """y' = F(t, y): a chain whose links pull with a force that saturates, and a load that comes and goes."""

    def __init__(self, n: int) -> None:
        self.n = n
        self.rate, self.load = numbers(n, 1, 0.5, 2.5), numbers(n, 2)
        self.y0 = numbers(n, 3)

    def __call__(self, t: float, y: Array) -> Array:
        out = self.load * (t / (1.0 + t * t)) - self.rate * y / (1.0 + 0.5 * y * y)
        out[1:] += 0.25 * y[:-1]
        out[:-1] -= 0.375 * y[1:]
        return np.asarray(out)

    def diagonal(self, y: Array) -> Array:
        """dF_i/dy_i."""
        under = 1.0 + 0.5 * y * y
        return np.asarray(-self.rate * (1.0 - 0.5 * y * y) / (under * under))

    def jac(self, t: float, y: Array) -> Array:
        """The Jacobian."""
        J = np.zeros((self.n, self.n))
        i = np.arange(self.n)
        J[i, i] = self.diagonal(y)
        J[i[1:], i[:-1]], J[i[:-1], i[1:]] = 0.25, -0.375
        return J

    def compiled(self) -> Any:
        """The same as a C function pointer."""

        def rhs(t: float, y: Any, out: Any, n: int, ctx: Any) -> int:
            np.ctypeslib.as_array(out, (n,))[:] = self(t, np.ctypeslib.as_array(y, (n,)))
            return 0

        return RHS_C(rhs)


def _lanes(t: Any, y: Any, out: Any, n: int, lanes: int, ctx: Any) -> int:
    times, states = np.ctypeslib.as_array(t, (lanes,)), np.ctypeslib.as_array(y, (n, lanes))
    for i in range(n):
        other = states[(i + 1) % n]
        np.ctypeslib.as_array(out, (n, lanes))[i] = times / (1.0 + times * times) - (1.0 + 0.5 * i) * states[i] / (1.0 + other * other)
    return 0


LANES = LANES_C(_lanes)


def over(t: float, y: Array) -> float:
    """An event."""
    return float(y.flat[0]) - 0.125


class Cost:
    """f(c) = sum a (c - b)^2/2 + (c - b)^4/4 + links (c_i - c_(i+1))^2/8, its gradient and Hessian."""

    def __init__(self, n: int) -> None:
        self.n = n
        self.a, self.b, self.c0 = numbers(n, 4, 0.25, 3.0), numbers(n, 5), numbers(n, 6, -1.5, 1.5)

    def grad(self, c: Array) -> Array:
        """The gradient."""
        d = c - self.b
        out = self.a * d + d * d * d
        gap = 0.25 * (c[1:] - c[:-1])
        out[1:] += gap
        out[:-1] -= gap
        return np.asarray(out)

    def value(self, c: Array) -> float:
        """The cost."""
        d = c - self.b
        return total(0.5 * self.a * d * d + 0.25 * (d * d) * (d * d)) + 0.125 * total((c[1:] - c[:-1]) * (c[1:] - c[:-1]))

    def both(self, c: Array) -> tuple[float, Array]:
        """(cost, gradient)."""
        return self.value(c), self.grad(c)

    def hess(self, c: Array) -> Array:
        """The Hessian."""
        d = c - self.b
        H = np.zeros((self.n, self.n))
        i = np.arange(self.n)
        H[i, i] = self.a + 3.0 * d * d
        H[i[1:], i[1:]] += 0.25
        H[i[:-1], i[:-1]] += 0.25
        H[i[1:], i[:-1]] = H[i[:-1], i[1:]] = -0.25
        return H


class Rows:
    """A table with labels for regressions."""

    def __init__(self, m: int, p: int, seed: int = 20) -> None:
        self.X = numbers((m, p), seed)
        slope = numbers(p, seed + 1, -2.0, 2.0)
        self.line = np.array([total(row * slope) for row in self.X]) + 0.5 + 0.25 * numbers(m, seed + 2)
        self.signs = np.where(self.line > 0.0, 1.0, -1.0)
        self.counts = np.floor(2.0 + 1.5 * numbers(m, seed + 3) + 0.5 * self.signs)
        self.classes = np.floor(numbers(m, seed + 4, 0.0, 3.0))
        self.positive = 0.25 + self.line * self.line
        self.weights = numbers(m, seed + 5, 0.0, 2.0)

    def labels(self, loss: str) -> Array:
        """What the loss of this name takes."""
        return {"hinge": self.signs, "logistic": self.signs, "poisson": self.counts, "gamma": self.positive}.get(loss, self.line)


def squares(w: Array, X: Array, y: Array) -> tuple[float, Array]:
    """Mean of squares over a batch and its gradient, row by row."""
    value, grad = 0.0, np.zeros_like(w)
    for row, label in zip(X, y, strict=True):
        r = total(row * w) - float(label)
        value += 0.5 * r * r
        grad += r * row
    return value / len(y), grad / len(y)


def changed(parameter: Any) -> list[Any]:
    """Other values that a method's parameter may have, by its own bounds: every other choice, or one other number."""
    default = parameter.default
    if parameter.choices:
        return [choice for choice in parameter.choices if choice != default]
    if parameter.bounds == "bool":
        return [not default]
    if isinstance(default, tuple):
        return [tuple(0.75 * value for value in default)]
    if parameter.kinds[0] == "int":
        upper = float(parameter.bounds.rpartition(", ")[2].strip("])"))
        return [default + 5 if default + 5 <= upper else default - 2]
    return [0.125 if not default else 0.75 * default]


def variants(method: Any, *but: str) -> list[tuple[str, dict[str, Any]]]:
    """(name, parameters): each parameter changed by itself, and all at once."""
    out: list[tuple[str, dict[str, Any]]] = []
    parameters = [p for p in method.parameters_ if p.name not in but]
    for p in parameters:
        out += [(f"{p.name}={value}", {p.name: value}) for value in changed(p)]
    if len(parameters) > 1:
        out.append(("all", {p.name: changed(p)[0] for p in parameters}))
    return out


def hidden(function: Any, name: str) -> Callable[..., Any]:
    """A function that stands beside a public one, wherever that is kept."""
    import sys

    return getattr(sys.modules[function.__module__], name)  # type: ignore[no-any-return]
