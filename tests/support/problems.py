"""Problems with known solutions, compiled right-hand sides, and the state shapes that the tests go through."""

import ctypes
import functools
import mmap
import platform
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from mflow_core.optimize import updater
from scipy.linalg import expm

from support.kernels import Kernel
from support.oracles.tableaus import is_coupled, is_rosenbrock, solved

Array = np.ndarray

SIZES = (0, 1, 2, 3, 7, 13, 64, 1001, 20_000)  # nothing, scalar loops, odd, powers of two, large
SHAPES = ((), (1,), (3,), (3, 4), (2, 1, 3))


class Boom(Exception):
    """What a user's function raises."""


def decay(t: float, y: Array) -> Array:
    return -y


def calls_are_known(method: Any) -> bool:
    """Newton's iterations and estimates of the spectral radius depend on the problem."""
    return not {"implicit", "needs_rho"} & set(method.flags)


@dataclass(frozen=True)
class Problem:
    name: str
    fun: Callable[[float, Array], Array]
    y0: Array
    t_end: float
    exact: Callable[[float], Array]


_A = np.array([[-0.3, 1.1, 0.0], [-1.0, -0.2, 0.4], [0.2, 0.0, -0.7]])
_Y0 = np.array([1.0, -0.5, 0.25])
_GROWTH = np.array([0.1, 0.4, 1.5])


def _logistic(t: float) -> Array:
    return _GROWTH / (_GROWTH + (1.0 - _GROWTH) * np.exp(-t))


PROBLEMS = [
    # y' = y cos t: the slope depends on t, so wrong nodes c show
    Problem("non_autonomous", lambda t, y: y * np.cos(t), np.array([1.0]), 2.0, lambda t: np.array([np.exp(np.sin(t))])),
    Problem("linear_system", lambda t, y: _A @ y, _Y0, 2.0, lambda t: expm(t * _A) @ _Y0),
    Problem("logistic", lambda t, y: y * (1.0 - y), _GROWTH, 2.0, _logistic),
]


def lorenz(t: float, y: Array) -> Array:
    return np.array([10.0 * (y[1] - y[0]), y[0] * (28.0 - y[2]) - y[1], y[0] * y[1] - 8.0 / 3.0 * y[2]])


def waves(t: float, y: Array) -> Array:
    """A smooth right-hand side for any shape, with numbers that round."""
    return np.sin(y) - 0.3 * y + np.cos(t)


@dataclass(frozen=True)
class Componentwise:
    """y_i' = f(t, y_i), and z of z - gh f(t, z) = r: components do not meet, whether a step is explicit or solved in closed form."""

    rhs: Callable[[float, Array], Array]
    solve: Callable[[float, float, Array, Array], Array] | None = None
    rate: Callable[[float], float] | None = None  # f = rate(t) y + load(t)
    load: Callable[[float], float] = lambda t: 0.0
    by_time: Callable[[float, Array], Array] = lambda t, y: 0.0 * y  # its partial derivative by t

    def lsolve(self, t: float, gh: float, r: Array) -> Array:
        """(1 - gh rate(t))^-1 r."""
        assert self.rate is not None
        return r / (1.0 - gh * self.rate(t))

    def kernel(self, row: Any, n: int) -> Kernel:
        if is_coupled(row):
            return Kernel(row, self.rhs, n, system=self.system, rho=RHO)
        if is_rosenbrock(row):
            return Kernel(row, self.rhs, n, lsolve=self.lsolve, linearize=lambda t, gh, y, f: self.by_time(t, y))
        return Kernel(row, self.rhs, n, self.solve if "implicit" in row.flags else None, rho=RHO)

    def system(self, row: Any, t: float, h: float, y: Array) -> Array:
        """Z of Z_i = h sum_j A_ij f(t + c_j h, y + Z_j): one and the same combination of the slopes at y in every component."""
        assert self.rate is not None
        A, times = row.tableau["A"], [t + c * h for c in row.tableau["c"]]
        rates, slopes = [self.rate(at) for at in times], [self.rate(at) * y + self.load(at) for at in times]
        M = [[(i == j) - h * a * rate for j, (a, rate) in enumerate(zip(line, rates, strict=True))] for i, line in enumerate(A)]
        columns = [solved(M, [h * line[j] for line in A]) for j in range(len(A))]
        return np.stack(
            [functools.reduce(np.add, [w * k for w, k in zip(line, slopes, strict=True)]) for line in zip(*columns, strict=True)]
        )


RHO = 40.0  # the spectral radius that rows are told, where their stages follow from it

# Rounds little: relative to y, whatever y is.
GROWTH = Componentwise(
    lambda t, y: (2.0 - t) * y, lambda t, gh, r, guess: r / (1.0 - gh * (2.0 - t)), lambda t: 2.0 - t, by_time=lambda t, y: -y
)
RELAXATION = Componentwise(
    lambda t, y: np.cos(t) - 0.75 * y, lambda t, gh, r, guess: (r + gh * np.cos(t)) / (1.0 + 0.75 * gh), lambda t: -0.75, np.cos,
    lambda t, y: np.full_like(y, -np.sin(t)),
)  # fmt: skip
WAVES = Componentwise(waves)


def componentwise(row: Any) -> Componentwise:
    """The one with more terms, where the method has no equations to solve."""
    return RELAXATION if "implicit" in row.flags else WAVES


def start_of(n: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).standard_normal(n)


def gradients(n: int, steps: int, seed: int = 1) -> Array:
    """Random gradients with entries from 1e-9 to 1e3: where eps stands in a denominator shows."""
    rng = np.random.default_rng(seed)
    return rng.standard_normal((steps, n)) * 10.0 ** rng.uniform(-9, 3, n)


# ---- compiled right-hand sides -----------------------------------------------------------------------------------------------------

RHS_C = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.c_double, ctypes.POINTER(ctypes.c_double), ctypes.POINTER(ctypes.c_double), ctypes.c_ssize_t, ctypes.c_void_p
)
OBJECTIVE_C = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_double), ctypes.POINTER(ctypes.c_double), ctypes.POINTER(ctypes.c_double),
    ctypes.c_ssize_t, ctypes.c_void_p,
)  # fmt: skip


@functools.cache  # numba compiles for a tenth of a second
def decay_cfunc() -> Any:
    """y' = -y as a numba cfunc."""
    numba = pytest.importorskip("numba")
    double_p = numba.types.CPointer(numba.types.float64)
    signature = numba.types.int32(numba.types.float64, double_p, double_p, numba.types.intp, numba.types.voidptr)

    @numba.cfunc(signature)
    def decay(t, y, dydt, n, ctx):  # type: ignore[no-untyped-def]
        for i in range(n):
            dydt[i] = -y[i]
        return 0

    return decay


@OBJECTIVE_C
def bowl_c(c: Any, value: Any, grad: Any, n: int, ctx: int | None) -> int:
    """f = sum (c - 3)^2/2 with its gradient, by pointers; either output may be NULL."""
    if value:
        value[0] = sum(0.5 * (c[i] - 3.0) ** 2 for i in range(n))
    if grad:
        for i in range(n):
            grad[i] = c[i] - 3.0
    return 0


def capsule(address: int, signature: bytes | None, context: int = 0) -> Any:
    new = ctypes.pythonapi.PyCapsule_New
    new.restype, new.argtypes = ctypes.py_object, [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
    made = new(address, signature, None)
    if context:
        set_context = ctypes.pythonapi.PyCapsule_SetContext
        set_context.argtypes = [ctypes.py_object, ctypes.c_void_p]
        set_context(made, context)
    return made


NAMES = [
    b"int (double, double const *, double *, ptrdiff_t, void *)",
    b"int (double, const double *, double *, Py_ssize_t, void *)",
    b"int(double,double*,double*,npy_intp,void*)",
    b"(float64, float64*, float64*, int64, void*) -> int32",
]

WRONG_NAMES = [
    b"int (double, double *, ptrdiff_t, void *)",
    b"double (double, double *, double *, ptrdiff_t, void *)",
    b"void (double, double *, double *, ptrdiff_t, void *)",
    b"int (float, double *, double *, ptrdiff_t, void *)",
    b"int (double, float *, float *, ptrdiff_t, void *)",
    b"int (double, int *, double *, ptrdiff_t, void *)",
    b"int (double, double **, double *, ptrdiff_t, void *)",
    b"int (double, double *, double *, int, void *)",
    b"long (double, double *, double *, ptrdiff_t, void *)",
    b"int (double const *, double *, double *, ptrdiff_t, void *)",
    b"no signature",
    b"",
]


# ---- arrays that an optimizer cannot use: (array, error, what its text says)

READ_ONLY = np.ones(3)
READ_ONLY.flags.writeable = False

WRONG = [
    ([1.0, 2.0, 3.0], TypeError, r"expected a NumPy array, got .*np\.asarray"),
    (np.ones(3, np.float32), TypeError, r"expected dtype float64, got float32; .*astype\(np\.float64\)"),
    (np.ones(3, int), TypeError, r"expected dtype float64, got int64"),
    (np.ones(3, complex), TypeError, r"expected dtype float64, got complex128"),
    (np.ones(3, object), TypeError, r"expected dtype float64, got object"),
    (np.ones(6)[::2], ValueError, r"expected a C-contiguous array, got strides .*np\.ascontiguousarray"),
    (np.ones(3).astype(">f8"), (TypeError, ValueError), r"native byte order|>f8"),
    (np.frombuffer(bytearray(25), offset=1), ValueError, r"expected an aligned array.*np\.array"),
]


# ---- the functions of a row


class Walk:
    """A method's update taken step by step on its own arrays, over chunks of [0, n)."""

    def __init__(self, row: Any, parameters: dict[str, float], c0: Array, cuts: tuple[int, ...] = ()) -> None:
        self.record, self.parameters, self.sizes = row, parameters, row.sizes(parameters)
        self.vectors = [c0.copy() if j == 0 else np.full(c0.shape, np.nan) for j in range(self.sizes["n_vec"])]
        updater.start(row, parameters, self.vectors)
        self.scalars = np.zeros(max(1, self.sizes["n_scal"]))
        self.k = 0
        self.ends = [0, *cuts, c0.size]

    def step(self, g: Array, scale: float = 1.0) -> None:
        coef = updater.begin(self.record, self.parameters, self.k, self.scalars)
        for lo, hi in zip(self.ends, self.ends[1:], strict=False):
            updater.update(self.record, coef, scale, self.vectors, g, lo, hi)
        self.k += 1

    @property
    def asked(self) -> Array:
        """Where the gradient of the next step is wanted."""
        return updater.ask(self.record, updater.begin(self.record, self.parameters, self.k, self.scalars.copy()), self.vectors)

    @property
    def bits(self) -> bytes:
        return b"".join(a.tobytes() for a in (*self.vectors, self.scalars))


# ---- a host that has set flush-to-zero -----------------------------------------------------------------------------------------------


@contextmanager
def flush_to_zero() -> Iterator[None]:
    """Sets FTZ and DAZ in this thread's MXCSR, by two instructions in a page of our own (x86-64 alone)."""
    if platform.machine() not in ("x86_64", "AMD64") or not hasattr(mmap, "PROT_EXEC"):
        pytest.skip("needs x86-64 and POSIX")
    page = mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    page.write(b"\x0f\xae\x1f\xc3" + b"\x90" * 12 + b"\x0f\xae\x17\xc3")  # stmxcsr [rdi]; ret ... ldmxcsr [rdi]; ret
    word = ctypes.c_uint32()
    base = ctypes.addressof(ctypes.c_char.from_buffer(page))
    kind = ctypes.CFUNCTYPE(None, ctypes.POINTER(ctypes.c_uint32))
    store, load = kind(base), kind(base + 16)
    store(ctypes.byref(word))
    before = word.value
    load(ctypes.byref(ctypes.c_uint32(before | 0x8040)))
    try:
        yield
    finally:
        load(ctypes.byref(ctypes.c_uint32(before)))


def cfunc(kind: str) -> Any:
    """A decorator that makes a function of pointers a numba cfunc: of "one" trajectory, or of a "block" of them."""
    numba = pytest.importorskip("numba")
    pointer, real, size = numba.types.CPointer(numba.types.float64), numba.types.float64, numba.types.intp
    head = (real, pointer, pointer, size) if kind == "one" else (pointer, pointer, pointer, size, size)
    return numba.cfunc(numba.types.int32(*head, numba.types.voidptr))
