"""Quantiles of Student's t and of the normal distribution, for intervals of fits, and tails of chi^2."""

from __future__ import annotations

import math

__all__ = ["chi_square_tails", "student_quantile"]

MANY = 10_000


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


def chi_square_tails(x: float, dof: int) -> tuple[float, float]:
    """The probabilities that the sum of so many squares of normal numbers is at most x >= 0, and that it is above; by an approximation
    above `MANY` degrees of freedom (Wilson and Hilferty, PNAS 17 (1931) 684).

    Examples
    --------
    >>> from mflow.fitting.quantiles import chi_square_tails
    >>> [round(p, 6) for p in chi_square_tails(3.841459, 1)], [round(p, 6) for p in chi_square_tails(0.0, 3)]
    ([0.95, 0.05], [0.0, 1.0])
    """
    if dof > MANY:
        z = ((x / dof) ** (1 / 3) - 1.0 + 2.0 / (9.0 * dof)) / math.sqrt(2.0 / (9.0 * dof))
        return 0.5 * math.erfc(-z / math.sqrt(2.0)), 0.5 * math.erfc(z / math.sqrt(2.0))
    a, half = 0.5 * dof, 0.5 * x
    if not 0.0 < half < math.inf:
        return (0.0, 1.0) if half == 0.0 else (1.0, 0.0)
    front = math.exp(a * math.log(half) - half - math.lgamma(a))
    if half < a + 1.0:
        term = total = 1.0 / a
        while term > 1e-17 * total:
            a += 1.0
            term *= half / a
            total += term
        return front * total, 1.0 - front * total
    b, c = half + 1.0 - a, 1e300  # the continued fraction of the upper tail, by Lentz
    total = d = 1.0 / b
    for k in range(1, 10 * MANY):
        b += 2.0
        d, c = 1.0 / (k * (a - k) * d + b or 1e-300), b + k * (a - k) / c or 1e-300
        total *= c * d
        if abs(c * d - 1.0) < 1e-15:
            break
    return 1.0 - front * total, front * total
