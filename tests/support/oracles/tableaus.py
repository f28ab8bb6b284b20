"""Oracles of the Runge-Kutta rows: order conditions from rooted trees, and steps as the textbooks and the families' files write them.

Everything reads the coefficients of a record, exactly, and shares no code with the kernels.
"""

import functools
import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import mpmath
import numpy as np

Array = Any

TEXTBOOK: dict[str, Callable[..., Array]] = {}


def textbook(*names: str) -> Callable[[Any], Any]:
    def register(fun: Any) -> Any:
        TEXTBOOK.update(dict.fromkeys(names, fun))
        return fun

    return register


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


Matrix = list[list[Fraction]]


class Conditions:
    """The order conditions of a tableau, computed exactly; B is that of Rosenbrock methods.

    A tree is made of smaller ones: the weights of each, and the sums that a branch takes of them, are worked out once.
    """

    def __init__(self, A: Matrix, b: list[Fraction], B: Matrix | None = None) -> None:
        self.A, self.b, self.B = A, b, B
        self.sums: dict[tuple[Tree, bool], list[Fraction]] = {}

    def _sums(self, branch: Tree, single: bool) -> list[Fraction]:
        if (branch, single) not in self.sums:
            inner, lines = self.weights(branch), self.B if single and self.B is not None else self.A
            self.sums[branch, single] = [sum((a * w for a, w in zip(line, inner, strict=True) if a and w), Fraction(0)) for line in lines]
        return self.sums[branch, single]

    def weights(self, tree: Tree) -> list[Fraction]:
        """For each stage, the product over the branches of sum_j A_ij weight_j; with B, B_ij for a single branch."""
        out = [Fraction(1)] * len(self.A)
        for branch in tree:
            sums = self._sums(branch, len(tree) == 1)
            out = [value * total if total else total for value, total in zip(out, sums, strict=True)]
        return out

    def side(self, tree: Tree) -> Fraction:
        """sum_i b_i weight_i."""
        return sum((x * w for x, w in zip(self.b, self.weights(tree), strict=True)), Fraction(0))

    def residual(self, tree: Tree) -> float:
        """How far the order condition of this tree is from being met."""
        return abs(float(self.side(tree) - Fraction(1, density(tree))))

    def sizes(self) -> "Conditions":
        """Those of the sizes of the coefficients: the rounding of a condition, in stored coefficients, is in proportion to their side."""
        A, B = ([[abs(a) for a in line] for line in M] if M is not None else None for M in (self.A, self.B))
        assert A is not None
        return Conditions(A, [abs(x) for x in self.b], B)


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


def is_rosenbrock(row: Any) -> bool:
    """Whether the stages of a row are linear equations."""
    return "G" in (row.tableau or {})


def beta_of(row: Any) -> Matrix | None:
    """alpha_ij + gamma_ij of a Rosenbrock method, exactly as they are stored; None for others."""
    if not is_rosenbrock(row):
        return None
    return [
        [Fraction(a) + Fraction(g) for a, g in zip(*lines, strict=True)] for lines in zip(row.tableau["A"], row.tableau["G"], strict=True)
    ]


def is_coupled(row: Any) -> bool:
    """Whether the stages of a row are solved together."""
    return "A_inv" in (row.tableau or {})


def solved(M: list[list[Any]], b: list[Any]) -> list[Any]:
    """x of M x = b for numbers of any kind, by elimination."""
    lines = [[*line, value] for line, value in zip(M, b, strict=True)]
    for j in range(len(lines)):
        best = max(range(j, len(lines)), key=lambda i: abs(lines[i][j]))
        lines[j], lines[best] = lines[best], lines[j]
        lines[j] = [value / lines[j][j] for value in lines[j]]
        for i, line in enumerate(lines):
            if i != j:
                lines[i] = [value - line[j] * pivot for value, pivot in zip(line, lines[j], strict=True)]
    return [line[-1] for line in lines]


def identity_minus(x: Any, A: list[list[Any]]) -> list[list[Any]]:
    return [[(i == j) - x * a for j, a in enumerate(line)] for i, line in enumerate(A)]


def stability_function(row: Any, z: float) -> float:
    """R(z) = 1 + z b (I - z A)^-1 1, by elimination in fractions."""
    A, b, _ = butcher(row)
    A = beta_of(row) or A
    K: list[Fraction] = []
    x = Fraction(z)
    if is_coupled(row):
        K = solved(identity_minus(x, A), [Fraction(1)] * len(A))
    for i, line in enumerate(A if not K else []):
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
        if is_coupled(row):  # p (I + x A) = x line
            p = solved([list(column) for column in zip(*identity_minus(-x, A), strict=True)], [x * a for a in line])
        for j in [] if is_coupled(row) else range(min(i, len(A) - 1), -1, -1):
            p[j] = x * (line[j] - sum((p[k] * A[k][j] for k in range(j + 1, len(A))), Fraction(0))) / (1 + x * A[j][j])
        if min(*p, 1 - sum(p)) < -1e-13 * max(1.0, r):
            return False
    return True


def weight_of_slopes(row: Any, stages: int | None = None) -> float:
    """How much of the rounding of y a sum of slopes brings in: an implicit one, (z - r)/(h A_jj), has that of y divided by h A_jj.
    The differences of a multistep method add up values with binomial weights."""
    if "multistep" in row.flags:
        return 2.0 ** int(row.order)
    A, b, _ = butcher(row, stages)
    if is_coupled(row):
        return sum(map(abs, row.tableau["A_inv"][-1]))
    if is_rosenbrock(row):  # of the published numbers, in u_i = sum_j gamma_ij k_j
        return float(np.sum(np.abs(np.linalg.inv(np.array(row.tableau["G"])))))
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
    if is_coupled(row) or "multistep" in row.flags:
        return 0
    if is_rosenbrock(row):
        return steps * s
    if "implicit" in row.flags:
        return int(begins_explicitly(row)) + steps * sum(line[i] == 0 for i, line in enumerate(butcher(row)[0]) if i)
    if "fsal" not in row.flags:
        return steps * s
    return 1 + steps * (s - last_is_first(row))


def solves(row: Any, steps: int) -> int:
    """Equations that an implicit method hands to the problem."""
    A = butcher(row)[0]
    if is_coupled(row) or is_rosenbrock(row):
        return steps
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
    """One step of carried vectors in plain NumPy, in the written order of association. problem: rhs and, for implicit methods, solve or
    system."""
    if is_coupled(row):
        return documented_coupled(row, problem, t, x, h)
    if is_rosenbrock(row):
        return documented_rosenbrock(row, problem, t, x, h)
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


def documented_coupled(row: Any, problem: Any, t: float, x: Array, h: float) -> Array:
    """The formulas at the head of radau.pyx; carried are y, the slope at the end and the stages."""
    Z, last, scale = problem.system(row, t, h, x[0]), row.tableau["A_inv"][-1], 1.0 / h
    slope = ((last[0] * scale) * Z[0] + (last[1] * scale) * Z[1]) + (last[2] * scale) * Z[2]
    return np.stack([x[0] + Z[-1], slope, *Z])


def documented_rosenbrock(row: Any, problem: Any, t: float, x: Array, h: float) -> Array:
    """The formulas at the head of rosenbrock.pyx in k_i, from the tableau: not to the bit. Solves with I - gamma h J are all there is, so
    with s = sum_j gamma_ij/gamma k_j the equation is (I - gamma h J) (k_i + s) = h (f + h gamma_i f_t) + s."""
    A, G, b, c = (np.array(row.tableau[name]) for name in ("A", "G", "b", "c"))
    gamma, K = float(G[0, 0]), []
    slope_by_time = problem.by_time(t, x[0])
    for i in range(len(b)):
        s = sum((G[i, j] / gamma * K[j] for j in range(i)), start=np.zeros_like(x[0]))
        f = problem.rhs(t + c[i] * h, x[0] + sum((A[i, j] * K[j] for j in range(i)), start=np.zeros_like(x[0])))
        K.append(problem.lsolve(t, gamma * h, h * (f + h * float(G[i].sum()) * slope_by_time) + s) - s)
    return (x[0] + sum(w * k for w, k in zip(b, K, strict=True)))[None]


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
