"""Whole loops in @njit that call methods of mflow: Adam on a logistic regression, RK4 on a Duffing oscillator.

`abi.function(name)` is a function of mflow's table that numba calls directly: no Python, no lock, nothing to link. It takes addresses as
integers: of a method, of arrays (`a.ctypes.data`), of structs that are NumPy records (`abi.dtype`). numba frees an array after its last
use, and an address is no use: arrays that only a struct or a table of addresses points at are arguments here, which their caller keeps.
"""

import numba
import numpy as np
from mflow_core import abi, registry
from numba import types

begin, update, step, defaults, sizes_of = (abi.function(name) for name in ("begin", "update", "step", "defaults", "sizes"))
ADAM, RK4 = registry.find("adam"), registry.find("rk4")


@numba.njit(nogil=True)
def train(method, par, x, y, state, steps):
    """Full-batch logistic regression. Rows of `state` are c, m, v: learned in place. Everything is in this loop, the gradient too."""
    c, n = state[0], state.shape[1]
    g, coef, scal = np.empty(n), np.zeros(32), np.zeros(8)
    vectors = np.array([state[0].ctypes.data, state[1].ctypes.data, state[2].ctypes.data])
    for k in range(steps):
        g[:] = 0.0
        for i in range(x.shape[0]):
            p = 1.0 / (1.0 + np.exp(-np.dot(x[i], c))) - y[i]
            g += p / x.shape[0] * x[i]
        status = begin(method, par.ctypes.data, k, scal.ctypes.data, coef.ctypes.data)
        if status == 0:
            status = update(method, coef.ctypes.data, 1.0, 0, n, vectors.ctypes.data, g.ctypes.data)
        if status != 0:
            return status
    return 0


doubles = types.CPointer(types.float64)


@numba.cfunc(types.int32(types.float64, doubles, doubles, types.intp, types.voidptr))
def duffing(t, y, dydt, n, ctx):
    dydt[0] = y[1]
    dydt[1] = y[0] - y[0] ** 3
    return 0


@numba.njit(nogil=True)
def integrate(method, frame, dt, steps, y, energy):
    """Steps `y` in place by a frame that points at it, and keeps the energy of each step: no callback for that, the loop is ours."""
    for k in range(steps):
        frame[0].t, frame[0].k, frame[0].h = k * dt, k, dt
        status = step(method, frame.ctypes.data)
        if status != 0:
            return status
        energy[k] = 0.5 * y[1] ** 2 - 0.5 * y[0] ** 2 + 0.25 * y[0] ** 4
    return 0


def parameters(method, **given):
    """Parameters of a method as an array: the defaults, and those given."""
    par = np.zeros(len(method.parameters_))
    assert defaults(method.address, par.ctypes.data) == 0
    for j, (name, *_) in enumerate(method.parameters_):
        par[j] = given.get(name, par[j])
    return par


def main():
    """Runs both."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(400, 3))
    y = (x @ [1.0, -2.0, 0.5] + rng.logistic(size=400) > 0).astype(float)
    state = np.zeros((3, 3))
    assert train(ADAM.address, parameters(ADAM, lr=0.05), x, y, state, 3000) == 0
    c = state[0]
    slope = x.T @ (1 / (1 + np.exp(-x @ c)) - y) / 400
    print("logistic regression:", c, "gradient", np.abs(slope).max())
    assert np.abs(slope).max() < 1e-8

    state = np.array([1.0, 0.5])
    work = np.zeros(8 * RK4.sizes()["n_work"])
    vectors = np.array([state.ctypes.data], dtype=np.uintp)
    problem, frame = np.zeros(1, abi.dtype("mf_problem")), np.zeros(1, abi.dtype("mf_frame"))
    problem["size"], problem["n"], problem["rhs"] = problem.itemsize, 2, duffing.address
    frame["size"], frame["n"], frame["ld"] = frame.itemsize, 2, 8
    frame["x0"] = frame["x1"] = vectors.ctypes.data  # the same vectors: in place
    frame["work"], frame["p"] = work.ctypes.data, problem.ctypes.data
    energy = np.empty(10_000)
    assert integrate(RK4.address, frame, 0.01, 10_000, state, energy) == 0
    print("Duffing: energy drifts by", np.ptp(energy))
    assert abs(energy[0] - (0.125 - 0.25)) < 1e-9
    assert np.ptp(energy) < 1e-7


if __name__ == "__main__":
    main()
