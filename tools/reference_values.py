#!/usr/bin/env python3
"""Computes the end values of mflow.testproblems and writes python/mflow/problems/testvalues.py.

    python tools/reference_values.py [--check] [NAME ...]        (needs gmpy2, mpmath and SciPy; a few minutes)

No method of mflow takes part. Problems that are not stiff are integrated by Taylor series of order 40 in 40 digits: the right-hand side
is called once with symbols that record the formula, and each operation then has its recurrence for Taylor coefficients. Stiff ones are
integrated by Radau IIA collocation with 11 stages (order 21) in 40 digits, the Newton matrix in double precision. Every value is then
computed a second time: stiff ones with a tolerance 1000 times smaller and by SciPy's Radau, the others by SciPy's DOP853; the table
shows how far these lie apart. Published values, where there are some, are compared too.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import gmpy2
import mpmath
import numpy as np
from gmpy2 import mpfr
from scipy.integrate import solve_ivp

from mflow.testproblems import InitialValueProblem, get_problem, problem_names

TARGET = Path(__file__).resolve().parents[1] / "python" / "mflow" / "problems" / "testvalues.py"
BITS = 140
ORDER = 40
STAGES = 11

# F. Mazzia and C. Magherini, Test Set for Initial Value Problem Solvers 2.4 (2008): chapters on HIRES and Van der Pol.
# W. Enright and J. Pryce, ACM Trans. Math. Software 13 (1987) 1-27: the end values that Algorithm 648 compares with.
PUBLISHED = {
    "hires": (
        0.7371312573325668e-3, 0.1442485726316185e-3, 0.5888729740967575e-4, 0.1175651343283149e-2,
        0.2386356198831331e-2, 0.6238968252742796e-2, 0.2849998395185769e-2, 0.2850001604814231e-2,
    ),
    "vdp_eps": (0.1706167732170483e1, -0.8928097010247975e0),
    "A5": (-0.7887826688964196,),
    "B1": (0.6761876008576667, 0.1860816099640036),
    "B2": (1.000000001030576, 1.0, 0.9999999989694235),
    "B3": (2.061153488557776e-09, 5.257228022048349e-02, 0.9474277177183630),
    "B4": (0.9826950928005993, 2.198447081694832, 0.9129452507276399),
    "B5": (-0.9396570798729192, -0.3421177754000779, 0.7414126596199957),
    "C1": (2.061153622240064e-09, 4.122307244619555e-08, 4.122307244716968e-07, 2.748204829855288e-06, 1.374102414941961e-05,
           5.496409659803266e-05, 1.832136553274552e-04, 5.234675866508716e-04, 1.308668966628220e-03, 9.979127409508656e-01),
    "C2": (2.061153577984930e-09, 2.061153573736588e-09, 2.061153569488245e-09, 2.061153565239902e-09, 2.061153560991560e-09,
           2.061153556743217e-09, 2.061153552494874e-09, 2.061153548246532e-09, 2.061153543998189e-09, 9.999999814496180e-01),
    "C3": (2.948119211022058e-03, 5.635380154844266e-03, 7.829072515926013e-03, 9.348257908594937e-03, 1.007943610301970e-02,
           9.982674171429909e-03, 9.088693332766085e-03, 7.489115195185912e-03, 5.322964130953349e-03, 2.762434379029886e-03),
    "C5": (-4.792730224323733, -2.420550725448973, -9.212509306014886e-01, -4.217310404035213, 7.356202947498970, 3.223785985421212,
           4.035559443262270, 1.719865528670555e01, 7.478910794233703, -2.998759326324844e01, -4.107310937550929,
           -9.277008321754407e-01, -2.442125302518482e01, 2.381459045746554e01, 1.492096306951359e01),
    "D1": (2.198835352008397e-01, 9.427076846341813e-01, -9.787659841058176e-01, 3.287977990962036e-01),
    "D2": (-1.777027357140412e-01, 9.467784719905892e-01, -1.030294163192969, 1.211074890053952e-01),
    "D3": (-5.780432953035361e-01, 8.633840009194193e-01, -9.595083730380727e-01, -6.504915126712089e-02),
    "D4": (-9.538990293416394e-01, 6.907409024219432e-01, -8.212674270877433e-01, -1.539574259125825e-01),
    "D5": (-1.295266250987574, 4.003938963792321e-01, -6.775390924707566e-01, -1.270838154278686e-01),
    "E1": (1.456723600728308e-01, -9.883500195574063e-02),
    "E2": (2.008149762174948, -4.250887527320057e-02),
    "E3": (-1.004178858647128e-01, 2.411400132095954e-01),
    "E4": (3.395091444646555e01, 2.767822659672869e-01),
    "E5": (1.411797390542629e01, 2.4),
}  # fmt: skip


# ---- Taylor series ---------------------------------------------------------------------------------------------------------------------


class Node:
    """One operation of a recorded formula, with the Taylor coefficients of its value in c."""

    tape: list[Node]

    def __init__(self, kind: str, *of: Any) -> None:
        self.kind, self.of = kind, of
        self.c: list[Any] = []
        Node.tape.append(self)

    def __add__(self, other: Any) -> Node:
        return Node("add", self, node(other))

    def __sub__(self, other: Any) -> Node:
        return Node("sub", self, node(other))

    def __rsub__(self, other: Any) -> Node:
        return Node("sub", node(other), self)

    def __mul__(self, other: Any) -> Node:
        return Node("mul", self, other) if isinstance(other, Node) else Node("scale", self, mpfr(float(other)))

    def __truediv__(self, other: Any) -> Node:
        return Node("div", self, node(other))

    def __rtruediv__(self, other: Any) -> Node:
        return Node("div", node(other), self)

    def __neg__(self) -> Node:
        return Node("scale", self, mpfr(-1))

    def __pow__(self, power: float) -> Node:
        assert power == 1.5
        return self * self.sqrt()

    __radd__, __rmul__ = __add__, __mul__

    def sqrt(self) -> Node:
        """What np.sqrt calls; so with the two below."""
        return Node("sqrt", self)

    def sin(self) -> Node:
        """The sine, with its cosine beside it."""
        return Node("sin", self, Node("partner"))

    def cos(self) -> Node:
        """The cosine, with its sine beside it."""
        return Node("cos", self, Node("partner"))

    def extend(self, k: int) -> None:
        """The k-th coefficient, from those of the operands."""
        a = self.of[0].c if self.of and isinstance(self.of[0], Node) else []
        b = self.of[1].c if len(self.of) > 1 and isinstance(self.of[1], Node) else []
        c = self.c
        if self.kind in ("y", "partner"):
            return
        if self.kind == "t":
            c.append(self.of[0] if k == 0 else mpfr(k == 1))
        elif self.kind == "constant":
            c.append(self.of[0] if k == 0 else mpfr(0))
        elif self.kind == "add":
            c.append(a[k] + b[k])
        elif self.kind == "sub":
            c.append(a[k] - b[k])
        elif self.kind == "scale":
            c.append(a[k] * self.of[1])
        elif self.kind == "mul":
            c.append(sum((a[j] * b[k - j] for j in range(k + 1)), mpfr(0)))
        elif self.kind == "div":
            c.append((a[k] - sum((b[j] * c[k - j] for j in range(1, k + 1)), mpfr(0))) / b[0])
        elif self.kind == "sqrt":
            inner = sum((c[j] * c[k - j] for j in range(1, k)), mpfr(0))
            c.append(gmpy2.sqrt(a[0]) if k == 0 else (a[k] - inner) / (2 * c[0]))
        else:
            self.wave(k, a, b)

    def wave(self, k: int, u: list[Any], other: list[Any]) -> None:
        """sin and cos, each with the other beside it."""
        first, second = (gmpy2.sin, gmpy2.cos) if self.kind == "sin" else (gmpy2.cos, gmpy2.sin)
        sign = 1 if self.kind == "sin" else -1
        if k == 0:
            self.c.append(first(u[0]))
            other.append(second(u[0]))
            return
        mine = sum((j * u[j] * other[k - j] for j in range(1, k + 1)), mpfr(0)) / k
        its = sum((j * u[j] * self.c[k - j] for j in range(1, k + 1)), mpfr(0)) / k
        self.c.append(sign * mine)
        other.append(-sign * its)


def node(value: Any) -> Node:
    """A number as a constant."""
    return value if isinstance(value, Node) else Node("constant", mpfr(float(value)))


def taylor(problem: InitialValueProblem, tolerance: str = "1e-34") -> list[Any]:
    """The end value, from Taylor series; steps such that the last terms stay below the tolerance."""
    Node.tape = []
    time, y = Node("t", mpfr(0)), [Node("y") for _ in problem.y0]
    symbols = np.array(y, dtype=object)
    slopes = [node(value) for value in problem.fun(time, symbols)]
    tape = Node.tape
    t, end = mpfr(problem.t_span[0]), mpfr(problem.t_span[1])
    state = [mpfr(float(value)) for value in problem.y0]
    while t < end:
        for entry in tape:
            entry.c = []
        time.of = (t,)
        for variable, value in zip(y, state, strict=True):
            variable.c = [value]
        for k in range(ORDER):
            for entry in tape:
                entry.extend(k)
            for variable, slope in zip(y, slopes, strict=True):
                variable.c.append(slope.c[k] / (k + 1))
        size = 1 + max(abs(value) for value in state)
        h = end - t
        for k in (ORDER - 1, ORDER):
            last = max(abs(variable.c[k]) for variable in y)
            if last > 0:
                h = min(h, (mpfr(tolerance) * size / last) ** (mpfr(1) / k))
        state = []
        for variable in y:
            value = mpfr(0)
            for c in reversed(variable.c):
                value = value * h + c
            state.append(value)
        t += h
    return state


# ---- Radau collocation -----------------------------------------------------------------------------------------------------------------


def radau_table() -> tuple[Any, Any, Any, Any]:
    """(c, A, weights of the top Legendre coefficient of a polynomial through the nodes, A in double precision)."""
    mpmath.mp.prec = 2 * BITS
    s = STAGES
    x = mpmath.polyroots(polynomial(s), maxsteps=500, extraprec=400)
    c = sorted((1 + mpmath.re(value)) / 2 for value in x)
    powers = mpmath.matrix(s, s)
    integrals = mpmath.matrix(s, s)
    for i in range(s):
        for k in range(s):
            powers[i, k] = c[i] ** k
            integrals[i, k] = c[i] ** (k + 1) / (k + 1)
    inverse = powers**-1
    table = integrals * inverse
    top = [inverse[s - 1, j] / mpmath.binomial(2 * s - 2, s - 1) for j in range(s)]
    mpmath.mp.prec = BITS

    def exact(value: Any) -> Any:
        return mpfr(mpmath.nstr(value, 50))

    nodes = np.array([exact(value) for value in c], dtype=object)
    matrix = np.array([[exact(table[i, j]) for j in range(s)] for i in range(s)], dtype=object)
    return nodes, matrix, np.array([exact(value) for value in top], dtype=object), matrix.astype(float)


def polynomial(s: int) -> list[Any]:
    """Coefficients, the highest first, of P_s - P_(s-1): its roots are the nodes of Radau IIA on [-1, 1]."""
    previous, current = [mpmath.mpf(1)], [mpmath.mpf(1), mpmath.mpf(0)]
    for n in range(1, s):
        raised = [(2 * n + 1) * value / (n + 1) for value in current] + [mpmath.mpf(0)]
        lowered = [mpmath.mpf(0)] * 2 + [n * value / (n + 1) for value in previous]
        previous, current = current, [a - b for a, b in zip(raised, lowered, strict=True)]
    return [a - b for a, b in zip(current, [mpmath.mpf(0), *previous], strict=True)]


def radau(problem: InitialValueProblem, tolerance: float) -> list[Any]:
    """The end value, by collocation; steps such that the top Legendre coefficient of the slope stays below the tolerance."""
    nodes, matrix, top, rough = radau_table()
    t, end = mpfr(problem.t_span[0]), mpfr(problem.t_span[1])
    y = np.array([mpfr(float(value)) for value in problem.y0], dtype=object)
    h, steps = (end - t) * mpfr("1e-9"), 0
    scale = np.abs(problem.y0)
    while t < end:
        h = min(h, end - t)
        found = collocate(problem, t, y, h, nodes, matrix, rough)
        if found is None:
            h /= 4
            continue
        z, slopes = found
        scale = np.maximum(scale, np.abs(z).max(axis=0).astype(float))
        estimate = max(float(np.max(np.abs(h * (top @ slopes)).astype(float) / np.maximum(scale, 1e-30))), 1e-40)
        factor = 0.8 * (tolerance / estimate) ** (1.0 / STAGES)
        if estimate <= 2.0 * tolerance:
            t, y, steps = t + h, z[-1], steps + 1
        h *= mpfr(min(4.0, max(0.1, factor)))
    print(f"    {problem.name}: {steps} steps of Radau IIA with {STAGES} stages", file=sys.stderr)
    return list(y)


def collocate(problem: InitialValueProblem, t: Any, y: Any, h: Any, nodes: Any, matrix: Any, rough: Any) -> Any:
    """(values at the nodes, slopes), or None where Newton's iteration does not go to the last digit."""
    s, n = STAGES, y.size
    z = np.array([y] * s, dtype=object)
    before = np.inf
    for _ in range(40):
        slopes = np.array([problem.fun(t + c * h, row) for c, row in zip(nodes, z, strict=True)], dtype=object)
        residual = z - y - h * (matrix @ slopes)
        jacobian = np.array([problem.jac(float(t + c * h), row.astype(float)) for c, row in zip(nodes, z, strict=True)])
        system = np.eye(s * n).reshape(s, n, s, n) - float(h) * np.einsum("ij,jkl->ikjl", rough, jacobian)
        size = float(np.max(np.abs(residual)))
        if size == 0.0:
            return z, slopes
        step = np.linalg.solve(system.reshape(s * n, s * n), (residual / mpfr(size)).astype(float).ravel()).reshape(s, n)
        change = float(np.max(np.abs(step) / (1e-30 + np.maximum(np.abs(z.astype(float)).max(axis=0), 0)))) * size
        z = z - step.astype(object) * mpfr(size)
        if change < 1e-34:
            return z, slopes
        if not np.isfinite(change) or change > 1e3 * before or change > 1e10:
            return None
        before = min(before, change)
    return None


# ---- all of it -------------------------------------------------------------------------------------------------------------------------


def distance(problem: InitialValueProblem, values: Any, others: Any) -> float:
    """Largest relative difference; components far below the largest are measured against a 1e-6 of it."""
    count = min(len(values), len(others))
    a, b = (np.array([float(x) for x in list(v)[:count]]) for v in (values, others))
    return float(np.max(np.abs(a - b) / np.maximum(np.abs(a), 1e-6 * np.max(np.abs(a)))))


def check(problem: InitialValueProblem, values: list[Any]) -> str:
    """How far other ways to the same end lie apart."""
    method = "Radau" if problem.stiff else "DOP853"
    jac = {"jac": problem.jac} if problem.stiff else {}
    r = solve_ivp(problem.fun, problem.t_span, problem.y0, method, rtol=3e-14, atol=1e-18 if problem.stiff else 1e-15, **jac)
    text = f"{problem.name:10} {method} {distance(problem, values, r.y[:, -1]):.1e}"
    if problem.stiff:
        text += f"  Radau IIA again {distance(problem, values, radau(problem, 1e-18)):.1e}"
    if problem.name in PUBLISHED:
        text += f"  published {distance(problem, values, PUBLISHED[problem.name]):.1e}"
    return text


def literal(values: list[Any]) -> str:
    """Numbers as they stand in the file."""
    numbers = [repr(float(value)) for value in values]
    lines = [", ".join(numbers[k : k + 5]) + "," for k in range(0, len(numbers), 5)]
    return lines[0].removesuffix(",") + "," * (len(numbers) == 1) if len(lines) == 1 else "\n        " + "\n        ".join(lines) + "\n    "


def main() -> int:
    """Compute, compare, write."""
    parser = argparse.ArgumentParser(description="End values of mflow.testproblems.")
    parser.add_argument("names", nargs="*", help="only these; the file is then left alone")
    parser.add_argument("--check", action="store_true", help="compare with the file, do not write it")
    arguments = parser.parse_args()
    gmpy2.get_context().precision = BITS
    found = {}
    for name in arguments.names or problem_names():
        problem = get_problem(name)
        found[name] = radau(problem, 1e-15) if problem.stiff else taylor(problem)
        print(check(problem, found[name]), flush=True)
    if arguments.check:
        return int(any(distance(get_problem(name), values, get_problem(name).y_end) > 1e-15 for name, values in found.items()))
    if not arguments.names:
        lines = [f'    "{name}": ({literal(values)}),' for name, values in found.items()]
        TARGET.write_text(HEAD + "\n".join(lines) + "\n}  # fmt: skip\n", encoding="utf-8")
    return 0


HEAD = '''"""End values of `mflow.testproblems`, rounded to float64; tools/reference_values.py writes them."""

END_VALUES: dict[str, tuple[float, ...]] = {
'''


if __name__ == "__main__":
    sys.exit(main())
