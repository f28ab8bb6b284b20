"""Second-order methods step by step through the C API, oscillators to try them on, and each method's formula in NumPy.

Oracles solve M x'' = f(t) - C v - K x with NumPy's dense algebra and write the methods down as their papers do.
"""

import ctypes
import functools
import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
from mflow_core import registry

from mflow.stability.criterion import order_on_oscillators
from support.kernels import FRESH, CFrame, CProblem, api_step

Array = np.ndarray
VELOCITY_FREE = 1

_P = ctypes.c_void_p
_DOUBLES = ctypes.POINTER(ctypes.c_double)
ACCEL = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_double, _DOUBLES, _DOUBLES, _DOUBLES, ctypes.c_ssize_t, _P)
SOLVE_ACCEL = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.c_double, ctypes.c_double, _DOUBLES, _DOUBLES, ctypes.c_double, ctypes.c_double, _DOUBLES, _DOUBLES,
    ctypes.c_ssize_t, _P,
)  # fmt: skip


class Oscillators:
    """M x'' + C v + K x = load(t), dense."""

    def __init__(self, M: Any, C: Any, K: Any, load: Callable[[float], Array] | None = None) -> None:
        self.M, self.C, self.K = (np.atleast_2d(np.asarray(a, dtype=float)) for a in (M, C, K))
        self.n = len(self.M)
        self.load = load or (lambda t: np.zeros(self.n))

    def accel(self, t: float, x: Array, v: Array) -> Array:
        return np.linalg.solve(self.M, self.load(t) - self.C @ v - self.K @ x)

    def solve_accel(self, t: float, w: float, xp: Array, vp: Array, bx: float, bv: float, q: Array | None, guess: Array) -> Array:
        known = 0.0 if q is None else self.M @ q
        return np.linalg.solve(self.M + w * bv * self.C + w * bx * self.K, w * (self.load(t) - self.C @ vp - self.K @ xp) + known)

    def exact(self, t: float, x0: Array, v0: Array) -> tuple[Array, Array]:
        """The free motion, by the exponential of the first-order system."""
        n, power = self.n, np.eye(2 * self.n)
        A = np.block([[np.zeros((n, n)), np.eye(n)], [-np.linalg.solve(self.M, self.K), -np.linalg.solve(self.M, self.C)]]) * t
        halvings = max(0, math.ceil(math.log2(max(np.abs(A).max(), 1e-300))) + 4)
        term, A = np.eye(2 * n), A / 2**halvings
        for k in range(1, 25):
            term = term @ A / k
            power = power + term
        for _ in range(halvings):
            power = power @ power
        z = power @ np.concatenate([x0, v0])
        return z[:n], z[n:]


def chain(n: int, damping: float = 0.1, seed: int = 0) -> Oscillators:
    """A chain of masses between walls, under a load that changes."""
    rng = np.random.default_rng(seed + n)
    K = 2.0 * np.eye(n) - np.eye(n, k=1) - np.eye(n, k=-1)
    phase = rng.uniform(0, 6, n)
    return Oscillators(np.diag(rng.uniform(1, 2, n)), damping * (K + 0.5 * np.eye(n)), K, lambda t: np.cos(t + phase))


class MotionKernel:
    """A method on a problem with accel and solve_accel, with its own buffers."""

    def __init__(self, row: Any, what: Any, parameters: dict[str, float] | None = None, velocity_free: bool = False,
                 without: tuple[str, ...] = ()) -> None:  # fmt: skip
        self.record, self.what, self.n = row, what, what.n
        self.sizes = row.sizes(parameters)
        self.ld = (self.n + 7) // 8 * 8 or 8
        self.work = np.full((self.sizes["n_work"] + 1, self.ld), np.nan)
        self.err = np.full((self.sizes["n_err"] + 1, self.ld), np.nan)
        self.scal = np.zeros((2, self.sizes["n_scal"] + 1))
        self.scal[:, -1] = np.nan
        self.values = np.array([(parameters or {}).get(p[0], p[1]) for p in row.parameters_], dtype=float)
        self.calls: list[Any] = []
        self.fail_at, self.fail_with = -1, 0
        self.accel, self.solve = ACCEL(self._accel), SOLVE_ACCEL(self._solve)
        self.problem = CProblem(size=ctypes.sizeof(CProblem), flags=VELOCITY_FREE if velocity_free else 0, n=self.n)
        if "accel" not in without:
            self.problem.accel = ctypes.cast(self.accel, _P)
        if "solve_accel" not in without:
            self.problem.solve_accel = ctypes.cast(self.solve, _P)
        self.frame = CFrame(size=ctypes.sizeof(CFrame), n=self.n, ld=self.ld, par=self.values.ctypes.data, work=self.work.ctypes.data,
                            p=ctypes.addressof(self.problem))  # fmt: skip

    def _vector(self, pointer: Any) -> Array:
        return np.ctypeslib.as_array(pointer, (self.n,))

    def _fails(self) -> bool:
        return len(self.calls) - 1 == self.fail_at

    def _accel(self, t: float, x: Any, v: Any, a: Any, n: int, ctx: Any) -> int:
        self.calls.append(("accel", t))
        if self._fails():
            return self.fail_with
        self._vector(a)[:] = self.what.accel(t, self._vector(x).copy(), self._vector(v).copy())
        return 0

    def _solve(self, t: float, w: float, xp: Any, vp: Any, bx: float, bv: float, q: Any, a: Any, n: int, ctx: Any) -> int:
        self.calls.append(("solve_accel", t))
        if self._fails():
            return self.fail_with
        known = self._vector(q).copy() if q else None
        guess = self._vector(a).copy()
        assert np.all(np.isfinite(guess))
        self._vector(a)[:] = self.what.solve_accel(t, w, self._vector(xp).copy(), self._vector(vp).copy(), bx, bv, known, guess)
        return 0

    def step(self, t: float, vectors: Array, h: float, scal: Any = 0.0, fresh: bool = True, in_place: bool = False,
             want_err: bool = False) -> int:  # fmt: skip
        """One step from the given carried vectors; those not given are NaN."""
        n_vec = self.sizes["n_vec"]
        self.work[:-1] = np.nan
        self.x0 = np.full((n_vec, self.ld), np.nan)
        self.x0[: len(vectors), : self.n] = vectors
        before = self.x0.tobytes()
        self.x1 = self.x0 if in_place else np.full((n_vec, self.ld), np.nan)
        self.scal[0, :-1] = scal
        self.tables = [(_P * n_vec)(*(a[j].ctypes.data for j in range(n_vec))) for a in (self.x0, self.x1)]
        f = self.frame
        f.x0, f.x1 = (ctypes.addressof(table) for table in self.tables)
        f.s0, f.s1 = self.scal[0].ctypes.data, self.scal[0 if in_place else 1].ctypes.data
        f.t, f.h, f.flags, f.n_rhs, f.n_solve = t, h, FRESH if fresh else 0, 0, 0
        f.err = self.err.ctypes.data if want_err and self.sizes["n_err"] else None
        self.calls.clear()
        self.status = int(api_step()(self.record.address, ctypes.byref(f)))
        self.s1 = self.scal[0 if in_place else 1, :-1].copy()
        assert np.all(np.isnan(self.work[-1]))  # nothing beyond what `sizes` asks for was written
        assert np.all(np.isnan(self.err[-1]))
        assert np.all(np.isnan(self.scal[:, -1]))
        assert in_place or self.x0.tobytes() == before
        return self.status

    @property
    def carried(self) -> Array:
        return self.x1[:, : self.n].copy()

    @property
    def xva(self) -> Array:
        return self.x1[:3, : self.n].copy()

    @property
    def errors(self) -> Array:
        return self.err[:-1, : self.n].copy()


# ---- the formulas ------------------------------------------------------------------------------------------------------

State = tuple[Array, Array, Array, Array]  # x, v, a, and M^-1 F at the same time
Oracle = Callable[[Oscillators, float, State, float, dict[str, float]], State]


def _end(p: Oscillators, t: float, x: Array, v: Array) -> State:
    a = p.accel(t, x, v)
    return x, v, a, a


def _forward(p: Oscillators, t: float, s: State, h: float, par: dict[str, float]) -> State:
    return _end(p, t + h, s[0] + h * s[1], s[1] + h * s[3])


def _symplectic(p: Oscillators, t: float, s: State, h: float, par: dict[str, float]) -> State:
    if par["damping"] == 0:
        v = s[1] + h * s[3]
        return _end(p, t + h, s[0] + h * v, v)
    v = np.linalg.solve(p.M + h * p.C, p.M @ s[1] + h * (p.load(t) - p.K @ s[0]))
    return s[0] + h * v, v, (v - s[1]) / h, (v - s[1]) / h


def newmark(p: Oscillators, t: float, s: State, h: float, beta: float, gamma: float) -> State:
    """By the displacement form: the unknown is x+ where beta > 0."""
    x, v, a, _ = s
    if beta == 0.0:
        x1 = x + h * v + h * h / 2 * a
        v1 = np.linalg.solve(p.M + gamma * h * p.C, p.M @ (v + (1 - gamma) * h * a) + gamma * h * (p.load(t + h) - p.K @ x1))
        return _end(p, t + h, x1, v1)
    c0, c1 = 1 / (beta * h * h), gamma / (beta * h)
    right = p.load(t + h) + p.M @ (c0 * x + v / (beta * h) + (0.5 / beta - 1) * a)
    right += p.C @ (c1 * x + (gamma / beta - 1) * v + h / 2 * (gamma / beta - 2) * a)
    x1 = np.linalg.solve(p.K + c0 * p.M + c1 * p.C, right)
    a1 = c0 * (x1 - x) - v / (beta * h) - (0.5 / beta - 1) * a
    return x1, v + h * ((1 - gamma) * a + gamma * a1), a1, a1


def _staggered(p: Oscillators, t: float, s: State, h: float, par: dict[str, float]) -> State:
    half = s[1] + h / 2 * s[3]
    x = s[0] + h * half
    if par["damping"] == 2:
        return _end(p, t + h, x, half + h / 2 * p.accel(t + h, x, half))
    start, step = (half, h / 2) if par["damping"] == 0 else (s[1], h)
    return _end(p, t + h, x, np.linalg.solve(p.M + step * p.C, p.M @ start + step * (p.load(t + h) - p.K @ x)))


def _verlet(p: Oscillators, t: float, s: State, h: float, par: dict[str, float]) -> State:
    half = s[1] + h / 2 * s[2]
    x = s[0] + h * half
    a = p.accel(t + h, x, half)
    v = half + h / 2 * a
    return (x, v, a, a) if par["damping"] == 0 else _end(p, t + h, x, v)


def _alpha(p: Oscillators, t: float, s: State, h: float, am: float, af: float, shifted: bool) -> State:
    """The generalised alpha method as its equations of motion, one linear system for x+, v+ and a+ together."""
    x, v, a, _ = s
    gamma, beta, n = 0.5 - am + af, (1 - am + af) ** 2 / 4, p.n
    one, nil = np.eye(n), np.zeros((n, n))
    load = p.load(t + (1 - af) * h) if shifted else (1 - af) * p.load(t + h) + af * p.load(t)
    system = np.block([[one, nil, -beta * h * h * one], [nil, one, -gamma * h * one], [(1 - af) * p.K, (1 - af) * p.C, (1 - am) * p.M]])
    right = [x + h * v + h * h * (0.5 - beta) * a, v + h * (1 - gamma) * a, load - am * (p.M @ a) - af * (p.C @ v + p.K @ x)]
    x1, v1, a1 = np.split(np.linalg.solve(system, np.concatenate(right)), 3)
    return x1, v1, a1, p.accel(t + h, x1, v1)


def _bathe(p: Oscillators, t: float, s: State, h: float, rho: float) -> State:
    """Noh and Bathe's formulas as they print them: average acceleration, then x+, v+ and a+ from one linear system."""
    g = 0.5 if rho == 1 else (2 - np.sqrt(2 + 2 * rho)) / (1 - rho)
    q1 = (rho + 1) / (2 * g * (rho - 1) + 4)
    q0, q2 = (g - 1) * q1 + 0.5, 0.5 - g * q1
    x, v, a, _ = s
    _, vg, ag, _ = newmark(p, t, s, g * h, 0.25, 0.5)
    one, nil = np.eye(p.n), np.zeros((p.n, p.n))
    system = np.block([[one, -q2 * h * one, nil], [nil, one, -q2 * h * one], [p.K, p.C, p.M]])
    right = [x + h * (q0 * v + q1 * vg), v + h * (q0 * a + q1 * ag), p.load(t + h)]
    x1, v1, a1 = np.split(np.linalg.solve(system, np.concatenate(right)), 3)
    return x1, v1, a1, a1


class Oracles(dict[str, Oracle]):
    """By name; methods with several accelerations a step by the coefficients that their kernels show, see `coefficients`."""

    def __missing__(self, name: str) -> Oracle:
        return lambda p, t, s, h, par: stages(name, p, t, s, h, par)


ORACLES = Oracles({
    "forward_euler_system": _forward,
    "symplectic_euler": _symplectic,
    "constant_acceleration": lambda p, t, s, h, par: _end(p, t + h, s[0] + h * s[1] + h * h / 2 * s[3], s[1] + h * s[3]),
    "newmark": lambda p, t, s, h, par: newmark(p, t, s, h, par["beta"], par["gamma"]),
    "central_difference": lambda p, t, s, h, par: newmark(p, t, s, h, 0.0, 0.5),
    "velocity_verlet": _verlet,
    "staggered": _staggered,
    "bathe": lambda p, t, s, h, par: _bathe(p, t, s, h, par["rho_inf"]),
    "hht": lambda p, t, s, h, par: _alpha(p, t, s, h, 0.0, -par["alpha"], par["load"] == 1),
    "generalized_alpha": lambda p, t, s, h, par: _alpha(
        p, t, s, h, (2 * par["rho_inf"] - 1) / (par["rho_inf"] + 1), par["rho_inf"] / (par["rho_inf"] + 1), par["load"] == 1
    ),
})  # fmt: skip


# ---- several accelerations a step ------------------------------------------------------------------------------------------------------


class Coefficients:
    """What a kernel does with its accelerations k_0, k_1, ..., h = 1: the states where they are taken, x + c v + A k and v + B k, and the
    end, x + v + b k and v + d k; errors of x and v, e k and f k."""

    def __init__(self, name: str) -> None:
        self.n, self.unit = 1, -1
        record = registry.find(name)
        kernel = MotionKernel(record, self)
        self.x: list[float] = []
        self.v: list[float] = []
        self._step(kernel, 1.0)
        self.c = np.array(self.x)
        size = len(self.c)
        self.A, self.B = np.zeros((size, size)), np.zeros((size, size))
        self.b, self.d, self.e, self.f = np.zeros((4, size))
        for self.unit in range(size):
            self._step(kernel, 0.0)
            self.A[:, self.unit], self.B[:, self.unit] = self.x, self.v
            self.b[self.unit], self.d[self.unit] = kernel.xva[0, 0], kernel.xva[1, 0]
            if record.order_hat is not None:
                self.e[self.unit], self.f[self.unit] = kernel.errors[:, 0]

    def _step(self, kernel: Any, v: float) -> None:
        self.x, self.v = [], []
        assert kernel.step(0.0, np.array([[0.0], [v], [0.0]]), 1.0, want_err=kernel.sizes["n_err"] > 0) == 0

    def accel(self, t: float, x: Array, v: Array) -> Array:
        self.x.append(float(x[0]))
        self.v.append(float(v[0]))
        return np.array([1.0 if len(self.x) - 1 == self.unit else 0.0])


@functools.lru_cache(maxsize=64)
def coefficients(name: str) -> Coefficients:
    return Coefficients(name)


def stages(name: str, p: Oscillators, t: float, s: State, h: float, par: dict[str, float]) -> State:
    """One step by `coefficients`; a composition of central differences where its parts are implicit in v."""
    method = coefficients(name)
    x, v, a, _ = s
    if par.get("damping") == 1:
        for start, end in itertools.pairwise([*method.c[:-1], 1.0]):
            x, v, a, _ = newmark(p, t + start * h, (x, v, a, a), (end - start) * h, 0.0, 0.5)
        return x, v, a, a
    k: list[Array] = []
    for i, c in enumerate(method.c):
        at = x + c * h * v + sum((h * h * method.A[i, j] * k[j] for j in range(i)), np.zeros_like(x))
        moving = v + sum((h * method.B[i, j] * k[j] for j in range(i)), np.zeros_like(x))
        k.append(a if i == 0 and c == 0.0 else p.accel(t + c * h, at, moving))
    end = x + h * v + sum(h * h * b * of for b, of in zip(method.b, k, strict=True))
    return end, v + sum(h * d * of for d, of in zip(method.d, k, strict=True)), k[-1], k[-1]


def estimates(method: Any, damped: bool = True) -> bool:
    """Whether a method estimates its error, on problems with damping too."""
    return method.record.order_hat is not None and order_on_oscillators(method, damped) == order_on_oscillators(method, False)


def settings(row: Any) -> list[dict[str, float]]:
    """Every choice of a row's parameters, with a few values of the real ones."""
    grid = []
    for name, default, lower, upper, kind, _, choices, _ in row.parameters_:
        inner = [lower + part * (upper - lower) for part in (0.0, 0.35, 1.0)]
        grid.append([(name, float(k)) for k in range(len(choices))] if kind == "choice" else [(name, c) for c in {default, *inner}])
    return [dict(choice) for choice in itertools.product(*grid)]
