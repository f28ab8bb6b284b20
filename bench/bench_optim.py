"""Optimizers: a step through Python against NumPy, numba, torch and hand-written C.

The methods come from `mflow.methods(family="optimizers")`; those without a twin in twins.c are reported. Twins get coefficients that are
ready; mflow's step begins each time anew, tests that the gradient is finite, and goes through Python.
"""

from __future__ import annotations

import ctypes
import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from mflow_core.optimize import updater

import mflow

if TYPE_CHECKING:
    from conftest import Bench, Runner

Array = np.ndarray[Any, np.dtype[np.float64]]

SIZES = (10, 1_000, 100_000, 10_000_000)
AGAINST_C = 1.15
AGAINST_NUMPY = 1 / 25  # at n = 10
AGAINST_NUMBA = 1 / 0.95
OF_BANDWIDTH = 1 / 0.9
OF_TWO, OF_TORCH = 0.6, 0.9
CHECKED_STEPS = 20
WIDTH = 9  # coefficients of a twin


# ---- coefficients of the twins: from the formulas, t = 1, 2, ... -----------------------------------------------------------------------


def adam_like(p: dict[str, Any], t: int) -> list[float]:
    b1, b2 = p["betas"]
    return [-p["lr"] / (1 - b1**t), b1, 1 - b1, b2, 1 - b2, 1 / math.sqrt(1 - b2**t), p["eps"]]


def adamax(p: dict[str, Any], t: int) -> list[float]:
    b1, b2 = p["betas"]
    return [1.0, 0.0, -p["lr"] / (1 - b1**t), b1, 1 - b1, b2, p["eps"]]


def nadam(p: dict[str, Any], t: int) -> list[float]:
    b1, b2 = p["betas"]
    mu = [b1 * (1 - 0.5 * 0.96 ** (j * p["momentum_decay"])) for j in range(1, t + 2)]
    so_far, ahead = math.prod(mu[:t]), math.prod(mu)
    of_g, of_m = -p["lr"] * (1 - mu[t - 1]) / (1 - so_far), -p["lr"] * mu[t] / (1 - ahead)
    return [of_g, of_m, p["eps"], b1, 1 - b1, b2, 1 - b2, 1 / math.sqrt(1 - b2**t)]


def radam(p: dict[str, Any], t: int) -> list[float]:
    b1, b2 = p["betas"]
    most, rho = 2 / (1 - b2) - 1, 2 / (1 - b2) - 1 - 2 * t * b2**t / (1 - b2**t)
    step = -p["lr"] / (1 - b1**t)
    if rho > 5:
        step *= math.sqrt((1 - b2**t) * (rho - 4) * (rho - 2) * most / ((most - 4) * (most - 2) * rho))
    return [1.0, 0.0, step, b1, 1 - b1, b2, 1 - b2, p["eps"], float(rho > 5)]


def sparse_adam(p: dict[str, Any], t: int) -> list[float]:
    b1, b2 = p["betas"]
    return [1.0, 0.0, -p["lr"] * math.sqrt(1 - b2**t) / (1 - b1**t), b1, 1 - b1, b2, 1 - b2, p["eps"]]


def asgd(p: dict[str, Any], t: int) -> list[float]:
    eta = p["lr"] / (1 + p["lambd"] * p["lr"] * (t - 1)) ** p["alpha"]
    return [1.0, 0.0, eta, p["lambd"] * eta]


COEFFICIENTS: dict[str, Callable[[dict[str, Any], int], list[float]]] = {
    "sgd": lambda p, t: [1.0, 0.0, -p["lr"]],
    "momentum": lambda p, t: [1.0, 0.0, p["lr"], p["momentum"]],
    "nesterov": lambda p, t: [1.0, 0.0, p["lr"], p["momentum"]],
    "consistent_momentum": lambda p, t: [1.0, 0.0, p["lr"], 1 - p["friction"] * p["lr"], p["lr"] * p["beta_hat"]],
    "adagrad": lambda p, t: [1.0, 0.0, -p["lr"], p["eps"]],
    "adadelta": lambda p, t: [1.0, 0.0, -p["lr"], p["rho"], 1 - p["rho"], p["eps"]],
    "rmsprop": lambda p, t: [1.0, 0.0, -p["lr"], p["alpha"], 1 - p["alpha"], p["eps"]],
    "adam": lambda p, t: [1.0, 0.0, *adam_like(p, t)],
    "adamw": lambda p, t: [1.0, 1 - p["lr"] * p["weight_decay"], *adam_like(p, t)],
    "adamax": adamax,
    "nadam": nadam,
    "radam": radam,
    "adabelief": lambda p, t: [1.0, 0.0, *adam_like(p, t)],
    "sparse_adam": sparse_adam,
    "lion": lambda p, t: [1.0, 0.0, p["lr"], p["betas"][0], 1 - p["betas"][0], p["betas"][1], 1 - p["betas"][1]],
    "rprop": lambda p, t: [1.0, 0.0, *p["etas"], *p["step_sizes"], p["lr"], float(t == 1)],
    "asgd": asgd,
    "schedule_free_sgd": lambda p, t: [1.0, 0.0, p["lr"], 1 / t, 1 - 1 / t],
    "schedule_free_adamw": lambda p, t: [
        p["lr"],
        1 / t,
        1 - 1 / t,
        p["betas"][1],
        1 - p["betas"][1],
        1 / math.sqrt(1 - p["betas"][1] ** t),
        p["eps"],
    ],
}


# ---- contenders: (runner, array that it steps) -----------------------------------------------------------------------------------------


def gradient(room: Callable[..., Array], n: int) -> Array:
    return room(n, np.cos(np.arange(n)) + 0.1)


def mflow_step(name: str, c: Array, g: Array, loop: Callable[..., Runner], **options: Any) -> Runner:
    opt = getattr(mflow.optim, mflow.get_method(name).record.class_name)(c, **options)
    return loop("step(g)", step=opt.step, g=g)


class Twin:
    """A hand-written C loop with vectors of its own."""

    def __init__(
        self, library: ctypes.CDLL, name: str, room: Callable[..., Array], g: Array, coefficients: Sequence[Sequence[float]]
    ) -> None:
        self.function = getattr(library, f"twin_{name}")
        self.function.argtypes = [ctypes.c_ssize_t, ctypes.c_ssize_t, ctypes.c_void_p, ctypes.c_ssize_t, *[ctypes.c_void_p] * 4]
        self.function.restype = None
        self.coef = np.zeros((len(coefficients), WIDTH))
        for row, values in zip(self.coef, coefficients, strict=True):
            row[: len(values)] = values
        self.g, self.vectors = g, [room(g.size, 1.0), room(g.size), room(g.size)]
        self.addresses = [a.ctypes.data for a in (*self.vectors, g)]

    @property
    def c(self) -> Array:
        return self.vectors[0]

    def __call__(self, count: int) -> None:
        """The coefficients of the last step, `count` times."""
        self.function(self.g.size, count, self.coef[-1].ctypes.data, 0, *self.addresses)

    def advance(self) -> None:
        """One step with each row of coefficients."""
        self.function(self.g.size, len(self.coef), self.coef.ctypes.data, WIDTH, *self.addresses)


class Kernel:
    """mflow's kernel alone, in a C loop of the host's; the coefficients of one step, by default the first."""

    def __init__(self, library: ctypes.CDLL, name: str, room: Callable[..., Array], g: Array, step: int = 0) -> None:
        record = mflow.get_method(name).record
        self.coefficients = updater.begin(record, {}, step)
        self.vectors = [room(g.size, 1.0), room(g.size), room(g.size)]
        self.c, self.g = self.vectors[0], g
        updater.start(record, {}, self.vectors)
        self.function, self.record = library.kernel_update, record.address
        self.function.argtypes = [ctypes.c_void_p, ctypes.c_ssize_t, ctypes.c_ssize_t, *[ctypes.c_void_p] * 5]
        self.function.restype = None

    def __call__(self, count: int) -> None:
        addresses = (a.ctypes.data for a in (self.coefficients, *self.vectors, self.g))
        self.function(self.record, self.g.size, count, *addresses)


def twin_of(library: ctypes.CDLL, name: str, room: Callable[..., Array], g: Array) -> Twin:
    p = mflow.get_method(name).parameters
    return Twin(library, name, room, g, [COEFFICIENTS[name](p, t) for t in range(1, CHECKED_STEPS + 1)])


def numpy_adam(room: Callable[..., Array], n: int) -> tuple[Callable[[Array, int], None], Array]:
    """Adam in eleven ufunc calls without a temporary: the averages are kept divided by 1 - beta, scalars are 0-d arrays."""
    p = mflow.get_method("adam").parameters
    (b1, b2), lr, eps = p["betas"], p["lr"], p["eps"]
    c, m, v, s = room(n, 1.0), room(n), room(n), room(n)
    beta1, beta2, shift, factor = (np.array(x) for x in (b1, b2, 0.0, 0.0))
    add, multiply, divide, sqrt, root = np.add, np.multiply, np.divide, np.sqrt, math.sqrt

    def step(g: Array, t: int) -> None:
        q = root((1 - b2**t) / (1 - b2))
        shift[()] = eps * q
        factor[()] = -lr * (1 - b1) * q / (1 - b1**t)
        multiply(m, beta1, m)
        add(m, g, m)
        multiply(v, beta2, v)
        multiply(g, g, s)
        add(v, s, v)
        sqrt(v, s)
        add(s, shift, s)
        divide(m, s, s)
        multiply(s, factor, s)
        add(c, s, c)

    return step, c


def numba_adam(room: Callable[..., Array], n: int) -> tuple[Callable[[Array, int], None], Array]:
    numba = pytest.importorskip("numba")
    global _compiled  # one compilation for all sizes
    if _compiled is None:

        def update(c: Array, m: Array, v: Array, g: Array, lr: float, b1: float, b2: float, eps: float, t: int) -> None:
            step, root = lr / (1.0 - b1**t), 1.0 / math.sqrt(1.0 - b2**t)
            w1, w2 = 1.0 - b1, 1.0 - b2
            for i in range(c.size):
                mi = b1 * m[i] + w1 * g[i]
                vi = b2 * v[i] + w2 * (g[i] * g[i])
                m[i] = mi
                v[i] = vi
                c[i] -= step * (mi / (math.sqrt(vi) * root + eps))

        _compiled = numba.njit(fastmath=False, error_model="numpy")(update)  # Python's error model keeps the loop scalar
    p = mflow.get_method("adam").parameters
    (b1, b2), lr, eps, compiled = p["betas"], p["lr"], p["eps"], _compiled
    c, m, v = room(n, 1.0), room(n), room(n)

    def step(g: Array, t: int) -> None:
        compiled(c, m, v, g, lr, b1, b2, eps, t)

    step.direct = ("f(c, m, v, g, lr, b1, b2, eps, 5)", {"f": compiled, "c": c, "m": m, "v": v, "lr": lr, "b1": b1, "b2": b2, "eps": eps})
    return step, c


_compiled: Any = None


def torch_adam(parameters: Sequence[Array], grads: Sequence[Array], **form: bool) -> tuple[Callable[[], Any], list[Any]]:
    """torch.optim.Adam, float64, one thread, on copies of the arrays."""
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)
    tensors = [torch.tensor(c, dtype=torch.float64) for c in parameters]
    for tensor, g in zip(tensors, grads, strict=True):
        tensor.grad = torch.tensor(g, dtype=torch.float64)
    return torch.optim.Adam(tensors, **form).step, tensors


def has(module: str) -> bool:
    try:
        __import__(module)
    except ImportError:
        return False
    return True


# ---- Adam at every size ----------------------------------------------------------------------------------------------------------------


def check_adam(room: Callable[..., Array], twins: ctypes.CDLL, peers: Sequence[Callable[..., Any]]) -> None:
    """Every peer computes what mflow computes."""
    c, g = room(101, 1.0), gradient(room, 101)
    opt = mflow.optim.Adam(c)
    twin = twin_of(twins, "adam", room, g)
    twin.advance()
    for _ in range(CHECKED_STEPS):
        opt.step(g)
    np.testing.assert_allclose(twin.c, c, rtol=1e-12)
    for peer in peers:
        step, other = peer(room, 101)
        for t in range(1, CHECKED_STEPS + 1):
            step(g, t)
        np.testing.assert_allclose(other, c, rtol=1e-12, err_msg=peer.__name__)
    if has("torch"):
        for form in ({"fused": True}, {"foreach": True}):
            step, tensors = torch_adam([np.ones(101)], [g], **form)
            for _ in range(CHECKED_STEPS):
                step()
            np.testing.assert_allclose(tensors[0].numpy(), c, rtol=1e-12, err_msg=str(form))


@pytest.mark.parametrize("n", SIZES)
def test_adam(n: int, bench: Bench, twins: ctypes.CDLL, room: Callable[..., Array]) -> None:
    check_adam(room, twins, [numpy_adam, *([numba_adam] if has("numba") else [])])
    g = gradient(room, n)
    functions = {"mflow": mflow_step("adam", room(n, 1.0), g, bench.loop), "C twin": twin_of(twins, "adam", room, g)}
    functions["numpy out="] = bench.loop("step(g, 5)", step=numpy_adam(room, n)[0], g=g)
    if has("numba"):
        statement, names = numba_adam(room, n)[0].direct  # type: ignore[attr-defined]
        functions["numba"] = bench.loop(statement, g=g, **names)
    if has("torch"):
        functions["torch fused"] = bench.loop("step()", step=torch_adam([g], [g], fused=True)[0])
        functions["torch foreach"] = bench.loop("step()", step=torch_adam([g], [g], foreach=True)[0])
    limits = {"numba": AGAINST_NUMBA}
    if n == SIZES[0]:
        limits["numpy out="] = AGAINST_NUMPY
    if n == SIZES[2]:
        limits["C twin"] = AGAINST_C
    if n == SIZES[3]:
        functions["4 reads, 3 writes"] = Twin(twins, "bandwidth", room, g, [[1e-9]])
        limits["4 reads, 3 writes"] = OF_BANDWIDTH
    bench.compare(f"Adam step, n = {n:,}", functions, limits, 150.0 if n == SIZES[0] else None, rounds=31 if n < SIZES[3] else 9)


def test_adam_missing_peers() -> None:
    """Says which peers were left out."""
    missing = [name for name in ("numba", "torch") if not has(name)]
    if missing:
        pytest.skip(f"peers that are not installed: {', '.join(missing)}")


# ---- every method against its twin -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [method.name for method in mflow.methods(family="optimizers")])
def test_row(name: str, bench: Bench, twins: ctypes.CDLL, room: Callable[..., Array]) -> None:
    if name not in COEFFICIENTS or not hasattr(twins, f"twin_{name}"):
        pytest.skip(f"{name} has no C twin in bench/twins.c")
    g = gradient(room, 101)
    c, twin = room(101, 1.0), twin_of(twins, name, room, g)
    twin.advance()
    mflow_step(name, c, g, bench.loop)(CHECKED_STEPS)
    np.testing.assert_allclose(c, twin.c, rtol=1e-12)
    kernel = Kernel(twins, name, room, gradient(room, 101))
    kernel(1)
    once = room(101, 1.0)
    mflow_step(name, once, kernel.g, bench.loop)(1)
    np.testing.assert_array_equal(kernel.c, once)
    for n in SIZES:
        g = gradient(room, n)
        late = Kernel(twins, name, room, g, CHECKED_STEPS - 1)
        functions = {"mflow": late, "C twin": twin_of(twins, name, room, g)}
        bench.compare(f"{name}, n = {n:,}: kernel", functions, {"C twin": AGAINST_C}, rounds=31 if n < SIZES[3] else 9)
        if n not in (SIZES[2], SIZES[1]):
            continue
        limits: dict[str, float] = {}
        functions = {"mflow": mflow_step(name, room(n, 1.0), g, bench.loop), "C twin": twin_of(twins, name, room, g)}
        bench.compare(f"{name}, n = {n:,}", functions, limits)
        functions["mflow"] = mflow_step(name, room(n, 1.0), g, bench.loop, check_finite=False)
        bench.compare(f"{name}, n = {n:,}, check_finite=False", functions, limits)


# ---- two threads -----------------------------------------------------------------------------------------------------------------------


def on_threads(count: int, run: Runner) -> Runner:
    """A runner of torch's on so many threads; the others of a comparison stay on one."""
    torch = pytest.importorskip("torch")

    def counted(times: int) -> None:
        torch.set_num_threads(count)
        run(times)
        torch.set_num_threads(1)

    return counted


@pytest.mark.parametrize("n", [100_000, 1_000_000, 10_000_000])
def test_two_threads(n: int, bench: Bench, room: Callable[..., Array]) -> None:
    g, one, two = gradient(room, n), room(n, 1.0), room(n, 1.0)
    functions = {"mflow": mflow_step("adam", two, g, bench.loop, threads=2), "one thread": mflow_step("adam", one, g, bench.loop)}
    functions["mflow"](3)
    functions["one thread"](3)
    np.testing.assert_array_equal(one, two)
    if has("torch"):
        functions["torch fused, two threads"] = on_threads(2, bench.loop("step()", step=torch_adam([g], [g], fused=True)[0]))
    limits = {"one thread": 1.0 if n == SIZES[3] else OF_TWO, "torch fused, two threads": OF_TORCH}
    bench.compare(f"Adam step on two threads, n = {n:,}", functions, limits, rounds=31 if n < SIZES[3] else 9)


# ---- many small tensors ----------------------------------------------------------------------------------------------------------------


def test_thousand_tensors(bench: Bench, room: Callable[..., Array]) -> None:
    count, n = 1000, 10
    g = gradient(room, count * n)
    grads = [g[i * n : (i + 1) * n].copy() for i in range(count)]
    flat, listed, bound = room(count * n, 1.0), [np.ones(n) for _ in range(count)], [np.ones(n) for _ in range(count)]
    one, many, ready = mflow.optim.Adam(flat), mflow.optim.Adam(listed), mflow.optim.Adam(bound)
    ready.bind(grads)
    for _ in range(3):
        one.step(g)
        many.step(grads)
        ready.step()
    np.testing.assert_array_equal(np.concatenate(listed), flat)
    np.testing.assert_array_equal(np.concatenate(bound), flat)
    flat_loop = bench.loop("step(g)", step=one.step, g=g)
    functions = {"opt.step(list)": bench.loop("step(g)", step=many.step, g=grads), "one flat buffer of 10 000": flat_loop}
    if has("torch"):
        functions["torch fused"] = bench.loop("step()", step=torch_adam(listed, grads, fused=True)[0])
    bench.compare("1000 tensors of 10, opt.step(list)", functions, {"one flat buffer of 10 000": 12.0})
    functions = {"bound": bench.loop("step()", step=ready.step), "one flat buffer of 10 000": flat_loop}
    bench.compare("1000 tensors of 10, bound, opt.step()", functions, {"one flat buffer of 10 000": 5.0})


# ---- what options cost -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", SIZES[1:3])
def test_options(n: int, bench: Bench, room: Callable[..., Array]) -> None:
    g = gradient(room, n)
    plain = mflow_step("adam", room(n, 1.0), g, bench.loop)
    clipped, reference = room(n, 1.0), room(n, 1.0)
    mflow_step("adam", clipped, g, bench.loop, clip_norm=1.0)(3)
    mflow_step("adam", reference, g / (np.sqrt(np.sum(g * g)) + 1e-6), bench.loop)(3)
    np.testing.assert_allclose(clipped, reference, rtol=1e-12)
    for what, options in (
        ("clip_norm=1", {"clip_norm": 1.0}),
        ("clip_value=0.5", {"clip_value": 0.5}),
        ("check_finite=False", {"check_finite": False}),
        ("clip_norm=1, check_finite=False", {"clip_norm": 1.0, "check_finite": False}),
    ):
        functions = {"mflow": mflow_step("adam", room(n, 1.0), g, bench.loop, **options), "Adam without": plain}
        bench.compare(f"Adam with {what}, n = {n:,}", functions)
