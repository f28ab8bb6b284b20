"""What tableaus are made of when a family is imported: weights of interpolation, forms of coefficients, slots of stages.

The families are compiled once for each instruction set, these functions not at all: they run once, and would be a large part of each.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Iterable
from fractions import Fraction
from math import fsum

__all__ = ["added", "convex", "guess_of", "of_gamma", "share_slots", "through", "values_of"]

Rows = list[list[float]]


def through(nodes: list[float], at: float) -> list[float]:
    """Weights of values at the nodes in their interpolating polynomial at a point."""
    weights = []
    for i, x in enumerate(nodes):
        w = Fraction(1)
        for k, other in enumerate(nodes):
            if k != i:
                w *= (Fraction(at) - Fraction(other)) / (Fraction(x) - Fraction(other))
        weights.append(float(w))
    return weights


def guess_of(c: list[float], known: list[int], stage: int, fresh: bool) -> list[float]:
    """Weights over K_1 ... K_s and the carried slope, whose node is 0, of the slope expected at a stage."""
    s = len(c)
    out = [0.0] * (s + 1)
    used = [k for k in known if not (fresh and k == s)]
    if used:
        for k, w in zip(used, through([0.0 if k == s else c[k] for k in used], c[stage]), strict=True):
            out[k] = w
    return out


def values_of(c: list[float], A: list[list[float]], known: list[int], stage: int, first: int) -> list[float]:
    """Weights over k_1 ... k_s of the value expected at a stage: the polynomial through the start and the values of known stages."""
    s = len(c)
    used = [k for k in known if first <= k < s]
    weights = through([0.0, *(c[k] for k in used)], c[stage])
    out = [0.0] * s
    for k, weight in zip(used, weights[1:], strict=True):
        for m in range(first, k + 1):
            out[m] += weight * A[k][m]
    return out


def of_gamma(gamma: float, C: Rows, a: Rows, m: list[float]) -> tuple[Rows, Rows, list[float]]:
    """(alpha, Gamma, b) from gamma, C, a and m, in exact fractions: Gamma is the inverse of I/gamma - C, alpha = a Gamma, b = m Gamma."""
    s = len(m)
    G = [[Fraction(0)] * s for _ in range(s)]
    for j in range(s):  # column j of the inverse, by forward substitution
        for i in range(j, s):
            known = sum((Fraction(C[i][k]) * G[k][j] for k in range(j, i)), Fraction(i == j))
            G[i][j] = Fraction(gamma) * known

    def times(line: list[float]) -> list[float]:
        return [float(sum((Fraction(x) * G[k][j] for k, x in enumerate(line)), Fraction(0))) for j in range(s)]

    return [times(line) for line in a], [[float(x) for x in line] for line in G], times(m)


def added(terms: Iterable[float]) -> float:
    """Their sum, one after the other: Python's own `sum` compensates for rounding from 3.12 on, and coefficients are the same on all."""
    return functools.reduce(operator.add, terms, 0.0)


def convex(row: list[float], name: str) -> list[float]:
    """Weights that add up to 1. Published digits may be off by some roundings, which would scale a constant solution in each step."""
    total = fsum(row)
    if abs(total - 1.0) > 1e-12:
        raise ValueError(f"{name}: expected rows of alpha that add up to 1, got {total}")
    if total != 1.0:
        last = max(j for j, a in enumerate(row) if a != 0)
        row[last] = 1.0 - added(row[:last])
    return row


def share_slots(terms: list[list[tuple[int, float, float]]]) -> tuple[list[int], list[int], int]:
    """Slots of `work` for the vectors u_j and f(u_j), each free again after its last use; u_0 is y (-1).

    A row of one term overwrites its u if that is not used again; all others write to a slot that they do not read.
    """
    s = len(terms)
    last: dict[tuple[str, int], int] = {}
    for i, row in enumerate(terms):
        last["u", i] = last["f", i] = i  # u_i is read, and its slope made, when row i begins
        for j, _, ratio in row:
            last["u", j] = i
            if ratio != 0:
                last["f", j] = i
    free: list[int] = []
    taken: dict[tuple[str, int], int] = {}
    slot_of, n_slots = {("u", 0): -1}, 0
    for i, row in enumerate(terms):
        for vector in (("f", i), ("u", i + 1)):
            source = ("u", row[0][0])
            if vector == ("u", s):
                slot_of[vector] = -1  # the result goes to x1
            elif vector[0] == "u" and len(row) == 1 and source in taken and last[source] == i:
                slot_of[vector] = taken[vector] = taken.pop(source)
            else:
                if not free:
                    free.append(n_slots)
                    n_slots += 1
                slot_of[vector] = taken[vector] = free.pop()
        for vector in [w for w in taken if last.get(w, s) <= i]:
            free.append(taken.pop(vector))
    return [slot_of["u", i] for i in range(s + 1)], [slot_of["f", i] for i in range(s)], n_slots
