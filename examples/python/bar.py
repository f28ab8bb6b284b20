"""Waves in an elastic bar, by linear finite elements: a code that owns its arrays, and lets mflow step them in place.

Displacements, velocities and accelerations are this code's NumPy arrays. A frame points at them, so a step is one call without a copy;
between steps the code does as it likes with them: here it holds one end, and watches the other.
"""

import ctypes

import numpy as np
from mflow_core import abi, registry

DOUBLES = ctypes.POINTER(ctypes.c_double)
ACCEL = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_double, DOUBLES, DOUBLES, DOUBLES, ctypes.c_ssize_t, ctypes.c_void_p)


class Bar:
    """Length 1, wave speed 1, left end held, lumped masses."""

    def __init__(self, elements: int) -> None:
        self.h = 1.0 / elements
        self.x, self.v, self.a = (np.zeros(elements + 1) for _ in range(3))
        self.mass = np.full(elements + 1, self.h)
        self.mass[[0, -1]] /= 2
        self.strain = np.empty(elements)

    def accelerate(self, x, a) -> None:
        """a = M^-1 F(x), the internal force of linear elements. Without a new array: `out` everywhere."""
        np.subtract(x[1:], x[:-1], out=self.strain)
        self.strain /= self.h
        a[:-1] = self.strain
        a[-1] = 0.0
        a[1:] -= self.strain
        a /= self.mass
        a[0] = 0.0

    def energy(self) -> float:
        """Kinetic and elastic."""
        return float(0.5 * self.mass @ self.v**2 + 0.5 * np.sum(np.diff(self.x) ** 2) / self.h)


class InPlace:
    """A second-order method on arrays that someone else owns."""

    def __init__(self, method: str, accelerate, x, v, a) -> None:
        self.record, n = registry.find(method), x.size
        sizes = self.record.sizes()
        for array in (x, v, a):
            assert array.dtype == np.float64
            assert array.flags.carray

        def callback(t, x_, v_, a_, n_, ctx):
            accelerate(np.ctypeslib.as_array(x_, (n_,)), np.ctypeslib.as_array(a_, (n_,)))
            return 0

        self.par = np.zeros(len(self.record.parameters_) + 1)
        assert abi.function("defaults")(self.record.address, self.par.ctypes.data) == 0
        self.ld = (n + 7) // 8 * 8
        self.work = np.zeros((sizes["n_work"] + 1) * self.ld)
        carried, self.scalars = np.zeros((sizes["n_vec"] - 3, n)), np.zeros(sizes["n_scal"] + 1)  # what the method keeps beside x, v and a
        self.vectors = np.array([array.ctypes.data for array in (x, v, a, *carried)], dtype=np.uintp)
        self.keep = (x, v, a, ACCEL(callback), carried)  # the frame holds addresses only
        self.problem, self.frame = np.zeros(1, abi.dtype("mf_problem")), np.zeros(1, abi.dtype("mf_frame"))
        self.problem["size"], self.problem["flags"] = self.problem.itemsize, abi.enums()["MF_VELOCITY_FREE"]
        self.problem["n"], self.problem["accel"] = n, ctypes.cast(self.keep[3], ctypes.c_void_p).value
        self.frame["size"], self.frame["flags"] = self.frame.itemsize, abi.enums()["MF_FRESH"]
        self.frame["n"], self.frame["ld"], self.frame["p"] = n, self.ld, self.problem.ctypes.data
        self.frame["x0"] = self.frame["x1"] = self.vectors.ctypes.data
        self.frame["s0"] = self.frame["s1"] = self.scalars.ctypes.data
        self.frame["par"], self.frame["work"] = self.par.ctypes.data, self.work.ctypes.data

    def step(self, dt: float) -> None:
        """One step; RuntimeError where it fails."""
        self.frame["h"] = dt
        status = abi.function("step")(self.record.address, self.frame.ctypes.data)
        if status != 0:
            raise RuntimeError(ctypes.string_at(abi.function("error_text")(status)).decode())
        self.frame["t"] += dt
        self.frame["k"] += 1
        self.frame["flags"] = 0


def main():
    """The bar is stretched by 1 % and let go: its free end moves like a triangular wave of period 4."""
    bar = Bar(100)
    bar.x[:] = 0.01 * np.linspace(0, 1, 101)
    before = bar.energy()
    stepper = InPlace("velocity_verlet", bar.accelerate, bar.x, bar.v, bar.a)
    tip, dt = [], 0.01  # dt = h: central differences on lumped linear elements are then exact
    for _ in range(400):
        stepper.step(dt)
        tip.append(bar.x[-1])
    t = dt * np.arange(1, 401)
    exact = 0.01 * (np.abs(t - 2) - 1)
    print("largest error of the tip:", np.abs(np.array(tip) - exact).max(), "energy:", before, bar.energy())
    assert np.abs(np.array(tip) - exact).max() < 1e-10
    assert abs(bar.energy() - before) < 0.02 * before


if __name__ == "__main__":
    main()
