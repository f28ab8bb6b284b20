"""Quantiles of Student's t and of the normal distribution, for intervals of fits."""

from __future__ import annotations

import math

__all__ = ["student_quantile"]


def beta_share(a: float, b: float, x: float) -> float:
    """The regularised incomplete beta function I_x(a, b), by Lentz's continued fraction."""
    if x <= 0.0 or x >= 1.0:
        return 0.0 if x <= 0.0 else 1.0
    if x > (a + 1.0) / (a + b + 2.0):
        return 1.0 - beta_share(b, a, 1.0 - x)
    front = math.exp(math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)) / a
    tiny, c = 1e-300, 1.0
    d = 1.0 / (1.0 - (a + b) * x / (a + 1.0) or tiny)
    total = d
    for m in range(1, 10_000):
        for factor in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d = 1.0 / (1.0 + factor * d or tiny)
            c = 1.0 + factor / c or tiny
            total *= c * d
        if abs(c * d - 1.0) < 1e-16:
            break
    return front * total


def above(t: float, dof: float) -> float:
    """The probability that |T| is larger than t >= 0."""
    if math.isinf(dof):
        return math.erfc(t / math.sqrt(2.0))
    return beta_share(0.5 * dof, 0.5, dof / (dof + t * t))


def student_quantile(level: float, dof: float) -> float:
    """The t that |T| exceeds with probability 1 - level only; dof may be infinite. By bisection, to rounding.

    Examples
    --------
    >>> from mflow.fitting.quantiles import student_quantile
    >>> round(student_quantile(0.95, 10), 4), round(student_quantile(0.95, float("inf")), 4)
    (2.2281, 1.96)
    """
    if not dof > 0.0:
        return math.nan
    low, high = 0.0, 1.0
    while above(high, dof) > 1.0 - level and high < 1e300:
        high *= 2.0
    for _ in range(200):
        middle = 0.5 * (low + high)
        if middle in (low, high):
            break
        low, high = (middle, high) if above(middle, dof) > 1.0 - level else (low, middle)
    return 0.5 * (low + high)
