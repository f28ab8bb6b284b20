"""Compositions of order 8 against hand-written C at 2, 1e3 and 1e6 degrees of freedom; response spectra against C and a loop of NumPy."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from mflow_core import registry
from mflow_core.dynamics import force, spectrum
from mflow_core.stepping import stepper

import mflow
from mflow.vibration.spectrum import recursion

if TYPE_CHECKING:
    from conftest import Bench

Array = np.ndarray[Any, np.dtype[np.float64]]

SAME, LOOP = 1.15, 0.05
WEIGHTS = (0.74167036435061295345, -0.4091008258000315940, 0.19075471029623837995, -0.57386247111608226666, 0.29906418130365592384,
           0.33462491824529818378, 0.31529309239676659663)  # fmt: skip
ACCEL = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_double, *[ctypes.POINTER(ctypes.c_double)] * 3, ctypes.c_ssize_t, ctypes.c_void_p)


@pytest.fixture(scope="module")
def library(load_c: Callable[..., ctypes.CDLL]) -> ctypes.CDLL:
    return load_c("motion.c")


@pytest.mark.parametrize("n", [2, 1_000, 1_000_000])
def test_a_composition_of_order_8(bench: Bench, library: ctypes.CDLL, room: Callable[..., Array], n: int) -> None:
    drift = np.array([*WEIGHTS, 1 - 2 * sum(WEIGHTS), *WEIGHTS[::-1]])
    kick = 0.5 * (np.append(drift, 0.0) + np.insert(drift, 0, 0.0))
    c, dt = np.cumsum(drift), 0.1
    twin, accel = library.twin_splitting, ACCEL(("chain", library))
    pointer = ctypes.c_void_p
    twin.argtypes = [pointer, ctypes.c_ssize_t, ctypes.c_ssize_t, ctypes.c_double, *[pointer] * 3, ctypes.c_ssize_t, *[pointer] * 3]
    twin.restype = None
    address, start = ctypes.cast(accel, pointer).value, np.sin(np.arange(n))
    x, v, a = room(n, start), room(n), room(n)
    accel(0.0, *(ctypes.cast(q.ctypes.data, ctypes.POINTER(ctypes.c_double)) for q in (x, v, a)), n, None)
    what = force.Force(accel, (n,), velocity_free=True)
    run = stepper.Run(registry.find("suzuki_umeno8"), what, start, 0.0, dt, {}, v0=np.zeros_like(start))

    def by_twin(count: int) -> None:
        twin(address, n, count, dt, *(q.ctypes.data for q in (kick, drift, c)), 15, *(q.ctypes.data for q in (x, v, a)))

    run.fixed(20)
    by_twin(20)
    np.testing.assert_allclose(run.y, x, rtol=0, atol=1e-12)
    unit = 16 if n > 100_000 else 32
    functions = {"mflow": lambda count: run.fixed(unit * count), "C twin": lambda count: by_twin(unit * count)}
    bench.compare(f"suzuki_umeno8, chain of {n:,}, {unit} steps", functions, {"C twin": SAME}, rounds=9 if n > 100_000 else 31)


def one_by_one(samples: Array, step: float, periods: Array, zeta: float) -> Array:
    """What a user writes: for each period the recursion over the samples, in NumPy, the load of all samples at once."""
    import scipy.signal

    out = []
    for T in periods:
        w = 2 * np.pi / T
        e_xx, e_xu, e_ux, e_uu, b_x, c_x, b_u, c_u = recursion(step, np.array([w]), zeta)[0]
        A = np.array([[1 + e_xx, e_xu], [e_ux, 1 + e_uu]])
        p, dp = -samples[:-1], -np.diff(samples)
        g, q = b_x * p + c_x * dp, b_u * p + c_u * dp
        # the two first-order recursions as one filter of order 2 for x
        denominator = [1.0, -np.trace(A), np.linalg.det(A)]
        g = np.concatenate([g, [0.0]])
        q = np.concatenate([q, [0.0]])
        x = scipy.signal.lfilter([0.0, 1.0], denominator, g) + scipy.signal.lfilter([0.0, 0.0, 1.0], denominator, A[0, 1] * q - A[1, 1] * g)
        out.append(np.max(np.abs(x)))
    return np.array(out)


def plain_loop(samples: Array, step: float, periods: Array, zeta: float) -> Array:
    """A loop over periods with one over samples inside, two numbers of state in a NumPy array."""
    out = []
    for T in periods:
        e_xx, e_xu, e_ux, e_uu, b_x, c_x, b_u, c_u = recursion(step, np.array([2 * np.pi / T]), zeta)[0]
        A, B = np.array([[1 + e_xx, e_xu], [e_ux, 1 + e_uu]]), np.array([[b_x, c_x], [b_u, c_u]])
        loads = B @ np.stack([-samples[:-1], -np.diff(samples)])
        state, top = np.zeros(2), 0.0
        for j in range(loads.shape[1]):
            state = A @ state + loads[:, j]
            top = max(top, abs(state[0]))
        out.append(top)
    return np.array(out)


def test_a_response_spectrum(bench: Bench, library: ctypes.CDLL) -> None:
    """200 periods, 20 000 samples."""
    samples, step, periods, zeta = np.random.default_rng(0).standard_normal(20_000), 0.005, np.geomspace(0.05, 5, 200), 0.05
    omega = 2 * np.pi / periods
    blocks = omega.size // spectrum.BLOCK
    rows = np.concatenate([recursion(step, omega, zeta).T, [omega**2, 2 * zeta * omega / step, np.full(omega.size, step**2)]])
    coefficients = np.ascontiguousarray(rows.reshape(11, blocks, spectrum.BLOCK).transpose(1, 0, 2))
    parts, p, peak = np.ones(blocks, dtype=np.int32), -samples, np.empty((blocks, 3, spectrum.BLOCK))
    twin = library.twin_spectrum
    twin.argtypes, twin.restype = [ctypes.c_ssize_t, ctypes.c_ssize_t, *[ctypes.c_void_p] * 3], None

    def by_twin(count: int) -> None:
        for _ in range(count):
            twin(blocks, samples.size, p.ctypes.data, coefficients.ctypes.data, peak.ctypes.data)

    def ours(count: int) -> None:
        for _ in range(count):
            spectrum.peaks(p, parts, coefficients, False)

    by_twin(1)
    found = mflow.response_spectrum((step, samples), periods, zeta)
    np.testing.assert_allclose(found.sd, peak[:, 0].ravel(), rtol=1e-12)
    np.testing.assert_allclose(one_by_one(samples, step, periods[:5], zeta), found.sd[:5], rtol=1e-9)
    np.testing.assert_allclose(plain_loop(samples[:500], step, periods[:3], zeta),
                               mflow.response_spectrum((step, samples[:500]), periods[:3], zeta).sd, rtol=1e-12)  # fmt: skip
    bench.compare("spectrum, 200 periods of 20,000 samples, the kernel", {"mflow": ours, "C twin": by_twin}, {"C twin": SAME}, rounds=9)
    few = periods[::100]  # two of 200: the loop takes a second for each

    def whole(count: int) -> None:
        for _ in range(count):
            mflow.response_spectrum((step, samples), periods, zeta)

    functions = {
        "mflow": whole,
        "NumPy loop (2 of the 200 periods)": lambda count: [plain_loop(samples, step, few, zeta) for _ in range(count)],
    }
    bench.compare("spectrum, all of it", functions, {"NumPy loop (2 of the 200 periods)": LOOP * 100}, rounds=3)
    lfilter = {"mflow": whole, "lfilter loop": lambda count: [one_by_one(samples, step, periods, zeta) for _ in range(count)]}
    bench.compare("spectrum, all of it, against a loop of SciPy's lfilter, sd alone", lfilter, {"lfilter loop": 1.0}, rounds=3)
