"""The non-stiff DETEST problems, classes A to E: T. E. Hull, W. H. Enright, B. M. Fellen and A. E. Sedgwick, SIAM J. Numer. Anal. 9 (1972).

Single equations (A), small systems (B), moderate ones (C), orbits of eccentricity 0.1 to 0.9 (D), equations of higher order (E); t from 0
to 20. Their end values are computed when they are asked for, by SciPy's DOP853 at a relative tolerance of 1e-12.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import integrate

T_END = 20.0
Fun = Callable[[float, Any], Any]

# Outer planets: mass, position, velocity; units of the sun's mass, astronomical units and 100 days.
_SUN, _GRAVITY = 1.00000597682, 2.95912208286
_MASS = np.array([0.954786104043e-3, 0.285583733151e-3, 0.437273164546e-4, 0.517759138449e-4, 0.277777777778e-5])
_PLACE = np.array([
    [3.42947415189, 3.35386959711, 1.35494901715], [6.64145542550, 5.97156957878, 2.18231499728],
    [11.2630437207, 14.6952576794, 6.27960525067], [-30.1552268759, 1.65699966404, 1.43785752721],
    [-21.1238353380, 28.4465098142, 15.3882659679],
])  # fmt: skip
_SPEED = np.array([
    [-0.557160570446, 0.505696783289, 0.230578543901], [-0.415570776342, 0.365682722812, 0.169143213293],
    [-0.325325669158, 0.189706021964, 0.0877265322780], [-0.0240476254170, -0.287659532608, -0.117219543175],
    [-0.176860753121, -0.216393453025, -0.0148647893090],
])  # fmt: skip


def _planets(t: float, y: Any) -> Any:
    x, v = y.reshape(2, 5, 3)
    r3 = np.sum(x * x, axis=1) ** 1.5
    apart = x[None] - x[:, None]
    d3 = np.sum(apart * apart, axis=2) ** 1.5 + np.eye(5)
    pull = np.einsum("k,jkc->jc", _MASS, apart / d3[..., None])
    sun = np.sum(_MASS[:, None] * x / r3[:, None], axis=0) - _MASS[:, None] * x / r3[:, None]
    return np.concatenate([v, _GRAVITY * (-(_SUN + _MASS)[:, None] * x / r3[:, None] + pull - sun)]).ravel()


def _orbit(t: float, y: Any) -> Any:
    r3 = (y[0] * y[0] + y[1] * y[1]) ** 1.5
    return np.array([y[2], y[3], -y[0] / r3, -y[1] / r3])


def _b4(t: float, y: Any) -> Any:
    r = math.hypot(y[0], y[1])
    return np.array([-y[1] - y[0] * y[2] / r, y[0] - y[1] * y[2] / r, y[0] / r])


def _linear(matrix: Any) -> Fun:
    return lambda t, y: matrix @ y


def _decays(rates: Any) -> Fun:
    """A chain: what leaves one enters the next; the last keeps it."""
    n = len(rates) + 1
    matrix = np.zeros((n, n))
    matrix[range(n - 1), range(n - 1)] = -rates
    matrix[range(1, n), range(n - 1)] = rates
    return _linear(matrix)


def _diffusion(n: int) -> Fun:
    return _linear(np.diag(np.full(n, -2.0)) + np.diag(np.ones(n - 1), 1) + np.diag(np.ones(n - 1), -1))


def _unit(n: int) -> Any:
    return np.eye(n)[0]


def _pair(second: Callable[[float, float, float], float]) -> Fun:
    """y'' = second(t, y, y')."""
    return lambda t, y: np.array([y[1], second(t, y[0], y[1])])


PROBLEMS: dict[str, tuple[Fun, Any]] = {
    "A1": (lambda t, y: -y, np.ones(1)),
    "A2": (lambda t, y: -0.5 * y**3, np.ones(1)),
    "A3": (lambda t, y: y * math.cos(t), np.ones(1)),
    "A4": (lambda t, y: 0.25 * y * (1.0 - 0.05 * y), np.ones(1)),
    "A5": (lambda t, y: (y - t) / (y + t), np.array([4.0])),
    "B1": (lambda t, y: np.array([2.0 * (y[0] - y[0] * y[1]), y[0] * y[1] - y[1]]), np.array([1.0, 3.0])),
    "B2": (_linear(np.array([[-1.0, 1.0, 0.0], [1.0, -2.0, 1.0], [0.0, 1.0, -1.0]])), np.array([2.0, 0.0, 1.0])),
    "B3": (lambda t, y: np.array([-y[0], y[0] - y[1] * y[1], y[1] * y[1]]), _unit(3)),
    "B4": (_b4, np.array([3.0, 0.0, 0.0])),
    "B5": (lambda t, y: np.array([y[1] * y[2], -y[0] * y[2], -0.51 * y[0] * y[1]]), np.array([0.0, 1.0, 1.0])),
    "C1": (_decays(np.ones(9)), _unit(10)),
    "C2": (_decays(np.arange(1.0, 10.0)), _unit(10)),
    "C3": (_diffusion(10), _unit(10)),
    "C4": (_diffusion(51), _unit(51)),
    "C5": (_planets, np.concatenate([_PLACE, _SPEED]).ravel()),
    **{
        f"D{k + 1}": (_orbit, np.array([1.0 - e, 0.0, 0.0, math.sqrt((1.0 + e) / (1.0 - e))]))
        for k, e in enumerate((0.1, 0.3, 0.5, 0.7, 0.9))
    },
    "E1": (
        _pair(lambda t, y, v: -(v / (t + 1.0) + (1.0 - 0.25 / (t + 1.0) ** 2) * y)),
        np.array([0.6713967071418030, 0.09540051444747446]),
    ),
    "E2": (_pair(lambda t, y, v: (1.0 - y * y) * v - y), np.array([2.0, 0.0])),
    "E3": (_pair(lambda t, y, v: y**3 / 6.0 - y + 2.0 * math.sin(2.78535 * t)), np.zeros(2)),
    "E4": (_pair(lambda t, y, v: 0.032 - 0.4 * v * v), np.array([30.0, 0.0])),
    "E5": (_pair(lambda t, y, v: math.sqrt(1.0 + v * v) / (25.0 - t)), np.zeros(2)),
}


def end_of(name: str) -> Any:
    """The solution at T_END."""
    fun, y0 = PROBLEMS[name]
    return integrate.solve_ivp(fun, (0.0, T_END), y0, "DOP853", rtol=1e-12, atol=1e-14).y[:, -1]
