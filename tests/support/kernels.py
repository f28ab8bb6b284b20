"""One step of a row through the C API, as a host takes it: frames by ctypes, callbacks from Python functions.

For what a run does not show: carried vectors, error estimates, continuous extensions, steps in place, calls of `solve`.
"""

import ctypes
from collections.abc import Callable
from typing import Any

import numpy as np
from mflow_core import api

Array = np.ndarray
Rhs = Callable[[float, Array], Array]

_P = ctypes.c_void_p
_DOUBLES = ctypes.POINTER(ctypes.c_double)
RHS = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_double, _DOUBLES, _DOUBLES, ctypes.c_ssize_t, _P)
SOLVE = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_double, ctypes.c_double, _DOUBLES, _DOUBLES, ctypes.c_ssize_t, _P)
SYSTEM = ctypes.CFUNCTYPE(ctypes.c_int, _P, ctypes.c_double, ctypes.c_double, _DOUBLES, _DOUBLES, ctypes.c_ssize_t, ctypes.c_ssize_t, _P)
MASS = ctypes.CFUNCTYPE(ctypes.c_int, _DOUBLES, _DOUBLES, ctypes.c_ssize_t, _P)
FRESH, AGAIN = 1, 2


class CProblem(ctypes.Structure):
    _fields_ = [
        ("size", ctypes.c_uint32), ("flags", ctypes.c_uint32), ("n", ctypes.c_ssize_t), ("ctx", _P), ("rhs", RHS), ("solve", SOLVE),
        ("lsolve", SOLVE), ("value_grad", _P), ("accel", _P), ("solve_accel", _P), ("rhs_lanes", _P), ("energy", _P), ("jac", _P),
        ("solve_system", SYSTEM), ("mass", MASS), ("solve_mass", SOLVE), ("linearize", SOLVE), ("mass_at", _P),
    ]  # fmt: skip


class CFrame(ctypes.Structure):
    _fields_ = [
        ("size", ctypes.c_uint32), ("flags", ctypes.c_uint32), ("n", ctypes.c_ssize_t), ("ld", ctypes.c_ssize_t), ("k", ctypes.c_int64),
        ("t", ctypes.c_double), ("h", ctypes.c_double), ("rho", ctypes.c_double), ("par", _P), ("x0", _P), ("x1", _P), ("s0", _P),
        ("s1", _P), ("work", _P), ("err", _P), ("D", _P), ("p", _P), ("n_rhs", ctypes.c_int64), ("n_solve", ctypes.c_int64),
    ]  # fmt: skip


def api_step() -> Any:
    """mf_api.step as a ctypes function."""
    get = ctypes.pythonapi.PyCapsule_GetPointer
    get.restype, get.argtypes = _P, [ctypes.py_object, ctypes.c_char_p]
    table = get(api._C_API, b"mflow_core.api._C_API")
    address = _P.from_address(table + 16 + 5 * ctypes.sizeof(_P)).value
    return ctypes.CFUNCTYPE(ctypes.c_int, _P, ctypes.POINTER(CFrame))(address)


def dense_of(row: Any) -> Any:
    """mf_method.dense as a ctypes function, or None. It lies behind the head, 8 texts, 4 int32, par, tab, sizes, sizes_fn and step."""
    address = _P.from_address(row.address + 8 + 8 * 8 + 16 + 16 + 40 + 8 + 8).value
    return ctypes.CFUNCTYPE(ctypes.c_int, _P, ctypes.POINTER(CFrame))(address) if address else None


class Kernel:
    """A method on y' = rhs(t, y) with its own buffers; `solve(t, gh, r, guess)` returns z, `system(row, t, h, y)` all stages,
    `linearize(t, gh, y, f)` the partial derivative by t, or a status. mass: M of M y' = rhs, with which `solve` is `solve_mass`.
    Scalars are carried from step to step. Stages that are solved together have no error estimate without `lsolve`."""

    def __init__(self, row: Any, rhs: Rhs, n: int, solve: Any = None, lsolve: Any = None, rho: float = 0.0,
                 parameters: dict[str, float] | None = None, system: Any = None, linearize: Any = None,
                 mass: Any = None) -> None:  # fmt: skip
        self.linearize, self.mass = linearize, mass
        self.row, self.rhs, self.solve, self.lsolve, self.n, self.system = row, rhs, solve, lsolve, n, system
        self.sizes = row.sizes(parameters)
        self.ld = (n + 7) // 8 * 8 or 8
        self.work = np.full((self.sizes["n_work"] + 1, self.ld), np.nan)
        self.err = np.full((self.sizes["n_err"] + 1, self.ld), np.nan)
        self.D = np.full((self.sizes["n_dense"] + 1, self.ld), np.nan)
        self.values = np.array([{p[0]: p[1] for p in row.parameters_}[name] for name, *_ in row.parameters_])
        for name, value in (parameters or {}).items():
            self.values[[p[0] for p in row.parameters_].index(name)] = value
        self.calls: list[Any] = []
        self.problem = CProblem(size=ctypes.sizeof(CProblem), n=n, rhs=RHS(self._rhs))
        if solve is not None:
            self.problem.solve = SOLVE(self._solve)
        if lsolve is not None:
            self.problem.lsolve = SOLVE(self._lsolve)
        if system is not None:
            self.problem.solve_system = SYSTEM(self._system)
        if linearize is not None:
            self.problem.linearize = SOLVE(self._linearize)
        if mass is not None:
            self.problem.mass = MASS(self._mass)
            if solve is not None:
                self.problem.solve_mass = SOLVE(self._solve)
        self.scalars = np.zeros(self.sizes["n_scal"] + 1)
        self.frame = CFrame(size=ctypes.sizeof(CFrame), n=n, ld=self.ld, rho=rho, par=self.values.ctypes.data, work=self.work.ctypes.data,
                            D=self.D.ctypes.data, p=ctypes.addressof(self.problem))  # fmt: skip

    def _vector(self, pointer: Any) -> Array:
        return np.ctypeslib.as_array(pointer, (self.n,))

    def _rhs(self, t: float, y: Any, out: Any, n: int, ctx: Any) -> int:
        self.calls.append(("rhs", t, self._vector(y).copy()))
        result = self.rhs(t, self._vector(y))
        if isinstance(result, int):
            return result
        self._vector(out)[:] = result
        return 0

    def _solve(self, t: float, gh: float, r: Any, z: Any, n: int, ctx: Any) -> int:
        self.calls.append(("solve", t, gh, self._vector(r).copy(), self._vector(z).copy()))
        result = self.solve(t, gh, self._vector(r), self._vector(z))
        if isinstance(result, int):
            return result
        self._vector(z)[:] = result
        return 0

    def _lsolve(self, t: float, gh: float, r: Any, z: Any, n: int, ctx: Any) -> int:
        self.calls.append(("lsolve", t, gh, self._vector(r).copy()))
        result = self.lsolve(t, gh, self._vector(r))
        if isinstance(result, int):
            return result
        self._vector(z)[:] = result
        return 0

    def _linearize(self, t: float, gh: float, y: Any, dfdt: Any, n: int, ctx: Any) -> int:
        self.calls.append(("linearize", t, gh, self._vector(y).copy(), self._vector(dfdt).copy()))
        result = self.linearize(t, gh, self._vector(y), self._vector(dfdt).copy())
        if isinstance(result, int):
            return result
        self._vector(dfdt)[:] = result
        return 0

    def _mass(self, v: Any, out: Any, n: int, ctx: Any) -> int:
        self._vector(out)[:] = self.mass @ self._vector(v)
        return 0

    def _system(self, tab: Any, t: float, h: float, y: Any, Z: Any, ld: int, n: int, ctx: Any) -> int:
        stages = np.ctypeslib.as_array(Z, (self.row.stages, ld))[:, : self.n]
        self.calls.append(("system", t, h, self._vector(y).copy(), stages.copy()))
        result = self.system(self.row, t, h, self._vector(y))
        if isinstance(result, int):
            return result
        stages[:] = result
        return 0

    def step(self, t: float, x: Array, h: float, fresh: bool = True, in_place: bool = False, want_err: bool = True,
             again: bool = False) -> int:  # fmt: skip
        """One step from x (n_vec, n). `x1` is then where it ended, `status` what the kernel returned."""
        n_vec = self.sizes["n_vec"]
        self.x0 = np.full((n_vec, self.ld), np.nan)
        self.x0[: len(x), : self.n] = x
        before = self.x0.tobytes()
        self.x1 = self.x0 if in_place else np.full((n_vec, self.ld), np.nan)
        self.tables = [(_P * n_vec)(*(a[j].ctypes.data for j in range(n_vec))) for a in (self.x0, self.x1)]
        f = self.frame
        f.x0, f.x1 = (ctypes.addressof(table) for table in self.tables)
        before_scalars, self.scalars = self.scalars, self.scalars if in_place else np.full(len(self.scalars), np.nan)
        f.s0, f.s1 = before_scalars.ctypes.data, self.scalars.ctypes.data
        f.t, f.h, f.flags, f.n_rhs, f.n_solve = t, h, (FRESH if fresh else 0) | (AGAIN if again else 0), 0, 0
        want_err = want_err and (self.system is None or self.lsolve is not None)
        f.err = self.err.ctypes.data if want_err and self.sizes["n_err"] else None
        self.calls.clear()
        self.status = api_step()(self.row.address, ctypes.byref(f))
        assert np.all(np.isnan(self.work[-1]))  # nothing beyond what `sizes` asks for was written
        assert np.all(np.isnan(self.err[-1]))
        assert in_place or self.x0.tobytes() == before
        return int(self.status)

    @property
    def y(self) -> Array:
        return self.x1[0, : self.n].copy()

    @property
    def carried(self) -> Array:
        """All carried vectors at the end of the step, to go on from."""
        return self.x1[:, : self.n].copy()

    @property
    def errors(self) -> Array:
        return self.err[:-1, : self.n].copy()

    def dense(self) -> Callable[[float], Array]:
        """The method's own extension of the step just taken."""
        # The flags of the next step: a run has taken MF_FRESH away before it asks.
        self.frame.flags = 0
        assert dense_of(self.row)(self.row.address, ctypes.byref(self.frame)) == 0
        assert np.all(np.isnan(self.D[-1]))
        D, y0 = self.D[:-1, : self.n].copy(), self.x0[0, : self.n].copy()
        return lambda theta: y0 + sum(theta ** (k + 1) * d for k, d in enumerate(D))


def go(kernel: Kernel, t: float, y: Array, h: float, steps: int) -> Array:
    """Carried vectors after some steps."""
    x = y[None]
    for k in range(steps):
        assert kernel.step(t + k * h, x, h, fresh=k == 0) == 0
        x = kernel.carried
    return x
