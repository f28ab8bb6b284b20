"""Hosts in C: runs through mf_api with callbacks of their own."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np
import pytest
from mflow_core import api

from support.kernels import CProblem
from support.levels import first_order

Array = np.ndarray


P, REAL, DOUBLES = ctypes.c_void_p, ctypes.c_double, ctypes.POINTER(ctypes.c_double)
VALUE_GRAD = ctypes.CFUNCTYPE(ctypes.c_int, DOUBLES, DOUBLES, DOUBLES, ctypes.c_ssize_t, P)
SOLVE = type(CProblem().solve)
RHS = type(CProblem().rhs)
JAC = ctypes.CFUNCTYPE(ctypes.c_int, REAL, DOUBLES, DOUBLES, ctypes.c_ssize_t, P)
MF_E_STEP, MF_E_SOLVE = -1011, -1010


class Options(ctypes.Structure):
    _fields_ = [
        ("size", ctypes.c_uint32), ("flags", ctypes.c_uint32), ("t0", REAL), ("dt", REAL), ("par", P), ("rtol", REAL), ("atol", REAL),
        ("first_step", REAL), ("max_step", REAL), ("min_step", REAL),
    ]  # fmt: skip


class Host:
    """A run through mf_api, of one component where the start is a number."""

    def __init__(self, name: str, start: Any, dt: float, rtol: float = 0.0, **callbacks: Any) -> None:
        get = ctypes.pythonapi.PyCapsule_GetPointer
        get.restype, get.argtypes = P, [ctypes.py_object, ctypes.c_char_p]
        self.table = get(api._C_API, b"mflow_core.api._C_API")
        self.n = int(np.size(start))
        self.problem = CProblem(size=ctypes.sizeof(CProblem), n=self.n, ctx=777)
        self.keep = callbacks
        for field, fun in callbacks.items():
            setattr(self.problem, field, fun if field in ("rhs", "solve", "mass", "solve_mass") else ctypes.cast(fun, P))
        options = Options(size=ctypes.sizeof(Options), dt=dt, rtol=rtol, atol=rtol)
        given = (REAL * self.n)(*np.atleast_1d(start))
        y0, error = (DOUBLES * 1)(ctypes.cast(given, DOUBLES)), ctypes.c_int(99)
        record = self.entry(0, P, ctypes.c_char_p)(name.encode())
        self.run = self.entry(9, P, P, P, P, P, P)(
            record, ctypes.addressof(self.problem), ctypes.addressof(options), ctypes.addressof(y0), ctypes.addressof(error)
        )
        assert self.run, error.value

    def entry(self, place: int, *prototype: Any) -> Any:
        return ctypes.CFUNCTYPE(*prototype)(P.from_address(self.table + 16 + 8 * place).value)

    def advance(self, t_end: float, steps: int = 1000) -> int:
        return int(self.entry(10, ctypes.c_int, P, REAL, ctypes.c_int64)(self.run, t_end, steps))

    @property
    def state(self) -> Array:
        """All components."""
        found = self.entry(11, ctypes.POINTER(DOUBLES), P, P, P)(self.run, None, None)[0]
        return np.ctypeslib.as_array(found, (self.n,)).copy()

    @property
    def y(self) -> float:
        return float(self.entry(11, ctypes.POINTER(DOUBLES), P, P, P)(self.run, None, None)[0][0])

    def free(self) -> None:
        self.entry(14, None, P)(self.run)


@VALUE_GRAD
def square(c: Any, value: Any, grad: Any, n: int, ctx: int) -> int:
    """c^2/2; value may be NULL."""
    if grad:
        grad[0] = c[0]
    return 0 if ctx == 777 else -5


@SOLVE
def solve_square(t: float, gh: float, r: Any, z: Any, n: int, ctx: int) -> int:
    z[0] = r[0] / (1.0 + gh)
    return 0 if ctx == 777 else -5


@JAC
def jac_of_square(t: float, y: Any, jac: Any, n: int, ctx: int) -> int:
    jac[0] = -1.0
    return 0 if ctx == 777 else -5


@pytest.mark.parametrize("extra", [{"solve": solve_square}, {"jac": jac_of_square}, {}])
def test_every_callback_of_a_host_gets_its_own_context(extra: dict[str, Any]) -> None:
    """Along gradient flow, too, where the right-hand side is made by the library."""
    host = Host("backward_euler", 1.0, 0.125, value_grad=square, **extra)
    assert host.advance(1.0) == 0
    np.testing.assert_allclose(host.y, (1.0 / 1.125) ** 8, rtol=1e-13)
    host.free()


@RHS
def wall(t: float, y: Any, dydt: Any, n: int, ctx: int) -> int:
    dydt[0] = 1.0
    return 1 if t > 0.5 else 0


@SOLVE
def never(t: float, gh: float, r: Any, z: Any, n: int, ctx: int) -> int:
    return 1001 if t > 0.5 else 0


def test_one_means_max_steps_and_nothing_else() -> None:
    """A host that goes on while 1 comes back must not go on for ever where a callback returns 1."""
    for rtol in (0.0, 1e-6):
        host = Host("bs32", 0.0, 0.125, rtol, rhs=wall)
        assert host.advance(1.0, 2) == 1
        assert host.advance(1.0) == MF_E_STEP
        assert 0.375 <= host.y <= 0.5
        host.free()
    host = Host("backward_euler", 0.0, 0.125, rhs=wall, solve=never)
    assert host.advance(1.0, 2) == 1
    assert host.advance(1.0) == MF_E_SOLVE
    host.free()


# ---- M y' = f(t, y) ------------------------------------------------------------------------------------------------------------------

MASS = type(CProblem().mass)


@RHS
def circle(t: float, y: Any, out: Any, n: int, ctx: Any) -> int:
    """cos t, sin t and cos(t)^2 + t, with the first equation twice as large."""
    out[0], out[1], out[2] = -2.0 * y[1], y[0], y[0] * y[0] + t - y[2]
    return 0


@MASS
def doubled(v: Any, out: Any, n: int, ctx: Any) -> int:
    out[0], out[1], out[2] = 2.0 * v[0], v[1], 0.0
    return 0


@pytest.mark.parametrize("name", first_order("mass"))
def test_a_host_gives_a_mass_as_a_product(name: str) -> None:
    """The library makes M of it, and solves the equations."""
    embedded = name in first_order("embedded")
    host = Host(name, [1.0, 0.0, 1.0], 0.0 if embedded else 1e-3, 1e-8 if embedded else 0.0, rhs=circle, mass=doubled)
    assert host.advance(1.0, 5000) == 0
    exact = [np.cos(1.0), np.sin(1.0), np.cos(1.0) ** 2 + 1.0]
    np.testing.assert_allclose(host.state, exact, rtol=0, atol=2e-6 if embedded or name != "backward_euler" else 2e-3)


MASS_AT = ctypes.CFUNCTYPE(ctypes.c_int, REAL, DOUBLES, DOUBLES, ctypes.c_ssize_t, P)


@MASS
def never_asked(v: Any, out: Any, n: int, ctx: Any) -> int:
    return -1


@MASS_AT
def growing(t: float, v: Any, out: Any, n: int, ctx: Any) -> int:
    """Of cos t, sin t and cos(t)^2 + t, the last one algebraic."""
    out[0], out[1], out[2] = (2.0 + t) * v[0], v[1] + t * v[0], 0.0
    return 0 if ctx == 777 else -5


@RHS
def turning(t: float, y: Any, out: Any, n: int, ctx: Any) -> int:
    out[0], out[1], out[2] = -(2.0 + t) * y[1], y[0] - t * y[1], y[0] * y[0] + t - y[2]
    return 0


@pytest.mark.parametrize("name", first_order("mass_at"))
def test_a_host_gives_a_mass_of_time_as_a_product(name: str) -> None:
    host = Host(name, [1.0, 0.0, 1.0], 0.0, 1e-8, rhs=turning, mass=never_asked, mass_at=growing)
    assert host.advance(1.0, 5000) == 0
    np.testing.assert_allclose(host.state, [np.cos(1.0), np.sin(1.0), np.cos(1.0) ** 2 + 1.0], rtol=0, atol=2e-6)
    host.free()
    other = next(one for one in first_order("mass") if one not in first_order("mass_at"))
    with pytest.raises(AssertionError, match="-1008"):
        Host(other, [1.0, 0.0, 1.0], 0.1, rhs=turning, mass=never_asked, mass_at=growing)


def test_a_method_without_mass_refuses_one() -> None:
    with pytest.raises(AssertionError, match="-1008"):
        Host("rk4", [1.0, 0.0, 1.0], 0.1, rhs=circle, mass=doubled)
