"""How often fixed explicit steps past their stability limit are told of, and whether runs within it ever are.

    python bench/past_limit.py FIRST LAST          (problems, by the seeds of their draws)

Random problems of two kinds, smooth ones (kinetics, oscillators, chaos, reaction and diffusion, flows that saturate) and switches, whose
Jacobian is large in a thin layer alone. The oracle shares no code with mflow: the eigenvalues of analytic Jacobians along the steps that
were returned, closed forms of the methods' polynomials, and SciPy's LSODA at 1e-9. A run is

    wrong    where it is off by a tenth of a component's size for three tenths of the way, and either so much of it is past the limit, or
             one step past the limit leads elsewhere than LSODA does from where that step began
    right    where it is nowhere off by a fiftieth, or never past the limit and off by less than a twentieth

and the table counts both, told and silent. What lies between is counted apart.
"""

from __future__ import annotations

import collections
import sys
import warnings

import numpy as np
from scipy.integrate import solve_ivp as reference

import mflow

TAYLOR = [1, 1, 1 / 2, 1 / 6, 1 / 24]
POLYNOMIALS = {
    "euler": TAYLOR[:2], "heun": TAYLOR[:3], "midpoint": TAYLOR[:3], "rk3": TAYLOR[:4], "tvd_rk3": TAYLOR[:4], "rk4": TAYLOR,
    "dopri5": [*TAYLOR, 1 / 120, 1 / 600],
}  # fmt: skip
LIMITS = {"euler": 2.0, "heun": 2.0, "midpoint": 2.0, "rk3": 2.5127, "tvd_rk3": 2.5127, "rk4": 2.7853, "dopri5": 3.3066}


def enzyme(rng):
    binds, off, cat, total = 10 ** rng.uniform(0, 3), 10 ** rng.uniform(-1, 2), 10 ** rng.uniform(-1, 2), 10 ** rng.uniform(-3, 0)

    def f(t, y):
        v = binds * y[0] * (total - y[1])
        return np.array([-v + off * y[1], v - (off + cat) * y[1], cat * y[1]])

    def J(t, y):
        a, b = binds * (total - y[1]), binds * y[0]
        return np.array([[-a, b + off, 0], [a, -b - off - cat, 0], [0, cat, 0]])

    return f, J, np.array([10 ** rng.uniform(-1, 0.5), 0, 0])


def saturating_flow(rng):
    n = rng.integers(1, 6)
    W, a = rng.normal(size=(n + 1, n)), 10 ** rng.uniform(0, 2)
    return lambda t, y: -a * W.T @ np.tanh(W @ y), lambda t, y: -a * W.T @ ((1 / np.cosh(W @ y) ** 2)[:, None] * W), rng.normal(size=n) * 3


def logistic(rng):
    r, K = 10 ** rng.uniform(-1, 2), 10 ** rng.uniform(-1, 1)
    return lambda t, y: r * y * (1 - y / K), lambda t, y: np.array([[r * (1 - 2 * y[0] / K)]]), np.array([K * 10 ** rng.uniform(-2, -0.2)])


def predators(rng):
    a, b, c, d = 10 ** rng.uniform(-0.5, 0.5, 4)
    return (
        lambda t, y: np.array([a * y[0] - b * y[0] * y[1], -c * y[1] + d * y[0] * y[1]]),
        lambda t, y: np.array([[a - b * y[1], -b * y[0]], [d * y[1], -c + d * y[0]]]),
        10 ** rng.uniform(-0.3, 0.5, 2),
    )


def vdp(rng):
    m = 10 ** rng.uniform(-1, 2)
    return (
        lambda t, y: np.array([y[1], m * (1 - y[0] ** 2) * y[1] - y[0]]),
        lambda t, y: np.array([[0, 1], [-2 * m * y[0] * y[1] - 1, m * (1 - y[0] ** 2)]]),
        rng.normal(size=2) * 2,
    )


def brusselator(rng):
    A, B = 10 ** rng.uniform(-0.3, 0.3), 10 ** rng.uniform(-0.3, 0.7)
    return (
        lambda t, y: np.array([A + y[0] ** 2 * y[1] - (B + 1) * y[0], B * y[0] - y[0] ** 2 * y[1]]),
        lambda t, y: np.array([[2 * y[0] * y[1] - B - 1, y[0] ** 2], [B - 2 * y[0] * y[1], -(y[0] ** 2)]]),
        10 ** rng.uniform(-0.5, 0.5, 2),
    )


def linear(rng):
    n = rng.integers(1, 5)
    Q = np.linalg.qr(rng.normal(size=(n, n)))[0]
    A, b, w = Q @ np.diag(-(10 ** rng.uniform(-1, 1.5, n))) @ Q.T, rng.normal(size=n) * rng.choice([0, 1]), 10 ** rng.uniform(-1, 0.5)
    return lambda t, y: A @ y + b * np.sin(w * t), lambda t, y: A, rng.normal(size=n)


def oscillator(rng):
    w, g = 10 ** rng.uniform(-1, 1.5), 10 ** rng.uniform(-2, 1)
    A = np.array([[0, 1], [-w * w, -2 * g]])
    return lambda t, y: A @ y, lambda t, y: A, rng.normal(size=2)


def pendulum(rng):
    w, g = 10 ** rng.uniform(-0.5, 1), 10 ** rng.uniform(-2, 0.5)
    return (
        lambda t, y: np.array([y[1], -w * w * np.sin(y[0]) - g * y[1]]),
        lambda t, y: np.array([[0, 1], [-w * w * np.cos(y[0]), -g]]),
        rng.normal(size=2),
    )


def lorenz(rng):
    s, r, b = 10, 28, 8 / 3
    return (
        lambda t, y: np.array([s * (y[1] - y[0]), y[0] * (r - y[2]) - y[1], y[0] * y[1] - b * y[2]]),
        lambda t, y: np.array([[-s, s, 0], [r - y[2], -1, -y[0]], [y[1], y[0], -b]]),
        rng.normal(size=3) * 5,
    )


def growth(rng):
    a = 10 ** rng.uniform(-1, 1)
    return lambda t, y: a * y, lambda t, y: np.array([[a]]), np.array([1.0])


def fisher(rng):
    n, D, r = rng.integers(10, 30), 10 ** rng.uniform(-1, 1), 10 ** rng.uniform(0, 1)
    L = D * (np.diag(-2 * np.ones(n)) + np.diag(np.ones(n - 1), 1) + np.diag(np.ones(n - 1), -1))
    if rng.choice(2):
        return lambda t, y: L @ y + r * (y - y**3), lambda t, y: L + r * np.diag(1 - 3 * y * y), rng.uniform(-1, 1, n)
    return lambda t, y: L @ y + r * y * (1 - y), lambda t, y: L + r * np.diag(1 - 2 * y), rng.uniform(0, 1, n)


def hill(rng):
    k, p, d, g = 10 ** rng.uniform(0, 2), rng.integers(1, 5), 10 ** rng.uniform(-1, 1), 10 ** rng.uniform(0, 2)
    return (
        lambda t, y: np.array([k / (1 + abs(y[1]) ** p) - d * y[0], g * (y[0] - y[1])]),
        lambda t, y: np.array([[-d, -k * p * abs(y[1]) ** (p - 1) * np.sign(y[1]) / (1 + abs(y[1]) ** p) ** 2], [g, -g]]),
        10 ** rng.uniform(-1, 1, 2),
    )


# ---- switches ---------------------------------------------------------------------------------------------------------------------------


def covalent(rng):
    """Goldbeter and Koshland: zero-order kinetics of modification."""
    v, k = rng.uniform(0.3, 2), 10 ** rng.uniform(-3, -0.5)
    return (
        lambda t, y: v * (1 - y) / (k + 1 - y) - y / (k + y),
        lambda t, y: np.array([[-v * k / (k + 1 - y[0]) ** 2 - k / (k + y[0]) ** 2]]),
        np.array([rng.uniform(0.05, 0.95)]),
    )


def cascade(rng):
    """A switch of steep slope, driven by one that moves slowly, and read by a third."""
    p, s, d = rng.integers(4, 13), 10 ** rng.uniform(0, 1.7), 10 ** rng.uniform(0, 1.3)
    w = 10 ** rng.uniform(-0.5, 0.5)

    def f(t, y):
        q = abs(y[0]) ** p
        return np.array([w * (1 - y[0]), s * q / (q + 0.5**p) - d * y[1], y[1] - y[2]])

    def J(t, y):
        q = abs(y[0]) ** p
        steep = s * p * abs(y[0]) ** (p - 1) * np.sign(y[0]) * 0.5**p / (q + 0.5**p) ** 2
        return np.array([[-w, 0, 0], [steep, -d, 0], [0, 1, -1]])

    return f, J, np.array([rng.uniform(0, 0.4), 0.0, 0.0])


def toggle(rng):
    """Two that switch each other off."""
    p, a, d = rng.integers(2, 9), 10 ** rng.uniform(0, 2), 10 ** rng.uniform(-0.5, 1)
    g = lambda x: 1 / (1 + abs(x) ** p)  # noqa: E731
    dg = lambda x: -p * abs(x) ** (p - 1) * np.sign(x) / (1 + abs(x) ** p) ** 2  # noqa: E731
    return (
        lambda t, y: np.array([a * g(y[1]) - d * y[0], a * g(y[0]) - d * y[1]]),
        lambda t, y: np.array([[-d, a * dg(y[1])], [a * dg(y[0]), -d]]),
        rng.uniform(0, 2, 2),
    )


def feedback(rng):
    """One that is fed back through a steep switch: it oscillates, or rests."""
    p, s, d, g = rng.integers(4, 13), 10 ** rng.uniform(1, 2), 10 ** rng.uniform(0.5, 1.3), 10 ** rng.uniform(-0.5, 1)

    def f(t, y):
        q = abs(y[0]) ** p
        return np.array([g * (1 - y[0]) - g * y[1], s * q / (q + 0.5**p) - d * y[1]])

    def J(t, y):
        q = abs(y[0]) ** p
        return np.array([[-g, -g], [s * p * abs(y[0]) ** (p - 1) * np.sign(y[0]) * 0.5**p / (q + 0.5**p) ** 2, -d]])

    return f, J, np.array([rng.uniform(0, 1), 0.0])


def arctangent(rng):
    a, w, b = 10 ** rng.uniform(0, 2), 10 ** rng.uniform(-2, 0), rng.uniform(0, 2)
    return (
        lambda t, y: -a * np.arctan(y - b * np.cos(w * t)),
        lambda t, y: np.diag(-a / (1 + (y - b * np.cos(w * t)) ** 2)),
        rng.normal(size=1) * 5,
    )


SMOOTH = [enzyme, saturating_flow, logistic, predators, vdp, brusselator, linear, oscillator, pendulum, lorenz, growth, fisher, hill]
SWITCHES = [covalent, cascade, toggle, feedback, arctangent]


def modes(jacobian):
    """Its eigenvalues; where it overflows, one that every step is past the limit for."""
    return np.linalg.eigvals(jacobian) if np.all(np.isfinite(jacobian)) else np.array([-1e300 + 0j])


def outside(method, z):
    """How much these modes grow by in a step, over what the solution lets them grow by."""
    return np.abs(np.polynomial.polynomial.polyval(z, POLYNOMIALS[method])) / np.maximum(1.0, np.exp(np.minimum(z.real, 700)))


def leaps(f, J, r, h, method, k):
    """Whether step k is past the limit on its way, and leads elsewhere than the solution."""
    y, end = r.y[:, k], r.y[:, k + 1]
    if not any(np.any(outside(method, h * modes(J(r.t[k], y + s * (end - y)))) > 1.005) for s in (0, 0.25, 0.5, 0.75, 1)):
        return False
    right = reference(f, (r.t[k], r.t[k + 1]), y, "LSODA", rtol=1e-9, atol=1e-12)
    if not right.success:
        return False
    z = right.y[:, -1]
    apart, way = abs(end - z), np.maximum(abs(end - y), abs(z - y))
    return bool(np.any((apart > 0.2 * way) & (apart > 0.01 * np.maximum(np.maximum(abs(y), abs(end)), abs(z)))))


def examine(seed, families):
    """(kind, told, what it was) of one draw; None where there is no reference or the run overflowed."""
    rng = np.random.default_rng(seed)
    family = families[seed % len(families)]
    f, J, y0 = family(rng)
    method, share, end = rng.choice(list(POLYNOMIALS)), 10 ** rng.uniform(-1, 0.6), 10 ** rng.uniform(-1, 1.2)
    right = reference(f, (0, end), y0, "LSODA", rtol=1e-9, atol=1e-11, dense_output=True)
    if not right.success:
        return None
    rho = max(np.max(abs(np.linalg.eigvals(J(t, right.sol(t))))) for t in np.linspace(0, end, 60))
    h = share * LIMITS[method] / rho if rho else end / 10
    h = end / 10 if end / h < 10 else max(h, end / 4000)
    r = mflow.solve_ivp(f, (0, end), y0, method=method, dt=h)
    if r.reason != "finished":
        return None
    told = "exceeds the stability limit" in r.message
    exact = right.sol(r.t)
    size = np.max(abs(exact), axis=1, keepdims=True) + 1e-9 * np.max(abs(exact))
    off = np.max(abs(r.y - exact) / size, axis=0)
    places = np.unique(np.linspace(0, r.nsteps - 1, min(r.nsteps, 150)).astype(int))
    past, decays = [], False
    for k in places:
        each = [h * modes(J(r.t[k], y)) for y in (r.y[:, k], 0.5 * (r.y[:, k] + r.y[:, k + 1]))]
        past.append(any(np.any(outside(method, z) > 1 + 1e-6) for z in each))
        decays |= any(np.any((outside(method, z) > 1.005) & (z.real < -0.3 * abs(z))) for z in each)
    wrong, share_past, chaotic = np.mean(off > 0.1) > 0.3, np.mean(past), family is lorenz
    kind = "between"
    if wrong and not chaotic and decays and share_past > 0.3:
        kind = "wrong"
    elif wrong and not chaotic and any(leaps(f, J, r, h, method, k) for k in range(min(r.nsteps - 1, 400))):
        kind = "wrong by a leap"
    elif np.max(off) < 0.02 or (not any(past) and max(np.median(off), off[-1]) < 0.05):
        kind = "right"
    facts = family.__name__, method, f"h {h:.3g}", f"steps {r.nsteps}", f"off {np.max(off):.2g}", f"past {share_past:.2g}"
    return kind, told, facts, r.ncheck, r.nfev


def study(first, last, families):
    table, words = collections.Counter(), []
    for seed in range(first, last):
        seen = examine(seed, families)
        if seen is None:
            table["no reference, or overflowed"] += 1
            continue
        kind, told, facts, beside, calls = seen
        table[f"{kind}, {'told' if told else 'silent'}"] += 1
        if kind == "right":
            table["right, measured"] += beside > 0
            table["right, evaluations beside"] += beside
            table["right, evaluations"] += calls
        if (kind == "right" and told) or (kind.startswith("wrong") and not told):
            words.append((seed, kind, *facts))
    for name in sorted(table):
        print(f"    {name:32} {table[name]}")
    for line in words:
        print("   ", *line)


if __name__ == "__main__":
    start, stop = map(int, sys.argv[1:3])
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        for title, kinds in (("smooth", SMOOTH), ("switches", SWITCHES)):
            print(title)
            study(start, stop, kinds)
