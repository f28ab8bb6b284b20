"""Losses of linear predictors, written from their formulas for NumPy and mpmath alike: oracles of the losses in the core."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import mpmath
import numpy as np

mpf = mpmath.mpf
SMOOTH = ("squared", "huber", "logistic", "poisson", "gamma")
KINKED = ("absolute", "quantile", "hinge")


def far_exp(t: Any) -> Any:
    """exp(t), held at e^(+-1e6), beside which no double counts: mpmath takes tens of milliseconds for the exponential of 1e300."""
    return mpmath.exp(max(-1_000_000, min(1_000_000, t)))


def slope(loss: str, t: Any, y: Any, shape: Any = 0, exp: Callable[[Any], Any] = far_exp) -> Any:
    """l'(t); at a kink, 0 or the value to its right."""
    if loss == "squared":
        return t - y
    if loss == "huber":
        return max(-shape, min(shape, t - y))
    if loss == "absolute":
        return 1 if t >= y else -1
    if loss == "quantile":
        return 1 - shape if t >= y else -shape
    if loss == "hinge":
        return 0 if y * t >= 1 else -y
    if loss == "logistic":
        return -y / (1 + exp(y * t))
    return exp(t) - y if loss == "poisson" else 1 - y * exp(-t)


def curvature(loss: str, t: Any, y: Any, shape: Any = 0) -> Any:
    if loss == "squared":
        return mpf(1)
    if loss == "huber":
        return mpf(1) if abs(t - y) <= shape else mpf(0)
    if loss == "logistic":
        return 1 / ((1 + far_exp(t)) * (1 + far_exp(-t)))
    return far_exp(t) if loss == "poisson" else y * far_exp(-t) if loss == "gamma" else mpf(0)


def value(loss: str, t: float, y: float, shape: float = 0.0) -> float:
    """l(t) - inf l."""
    e = abs(t - y)
    if loss in ("squared", "absolute"):
        return 0.5 * e * e if loss == "squared" else e
    if loss == "huber":
        return 0.5 * e * e if e <= shape else shape * (e - 0.5 * shape)
    if loss == "quantile":
        return max(shape * (y - t), (shape - 1.0) * (y - t))
    if loss == "hinge":
        return max(0.0, 1.0 - y * t)
    if loss == "logistic":
        return float(np.logaddexp(0.0, -y * t))
    if loss == "poisson":
        return math.exp(t) - y * t - (y - y * math.log(y) if y > 0 else 0.0)
    return t + y * math.exp(-t) - 1.0 - math.log(y)
