"""Independent runs and optimizers on threads of Python have the bits of serial ones; what is shared says so; a forked child goes on."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from mflow_core import abi, registry

import mflow
from support.places import environment_for


def lorenz_address():
    numba = pytest.importorskip("numba")
    doubles = numba.types.CPointer(numba.types.float64)

    @numba.cfunc(numba.types.int32(numba.types.float64, doubles, doubles, numba.types.intp, numba.types.voidptr))
    def lorenz(t, y, out, n, ctx):
        out[0], out[1], out[2] = 10 * (y[1] - y[0]), y[0] * (28 - y[2]) - y[1], y[0] * y[1] - 8 / 3 * y[2]
        return 0

    return lorenz


@pytest.fixture(scope="module")
def lorenz():
    return lorenz_address()


def integrate(method, address, start, rtol, dt):
    """From 0 to 3 through the table: ctypes gives the lock up, so threads are inside at once."""
    record, y = registry.find(method), np.array(start)
    vectors = np.array([y.ctypes.data], np.uintp)
    problem, options = np.zeros(1, abi.dtype("mf_problem")), np.zeros(1, abi.dtype("mf_run_options"))
    problem["size"], problem["n"], problem["rhs"] = problem.itemsize, 3, address
    options["size"], options["dt"], options["rtol"], options["atol"] = options.itemsize, dt, rtol, rtol
    given = (problem.ctypes.data, options.ctypes.data)
    assert abi.function("integrate")(record.address, *given, 3.0, 1_000_000, vectors.ctypes.data) == 0
    return y.tobytes()


CASES = [("rk4", 0.0, 1e-3), ("dopri5", 1e-9, 0.0), ("esdirk43", 1e-6, 0.0), ("rkc2", 1e-6, 0.0)]


def test_runs_on_threads(lorenz):
    jobs = [(method, lorenz.address, [1.0, 1.0, 20.0 + k], rtol, dt) for k in range(4) for method, rtol, dt in CASES]
    serial = [integrate(*job) for job in jobs]
    with ThreadPoolExecutor(8) as pool:
        for _ in range(3):
            assert list(pool.map(lambda job: integrate(*job), jobs)) == serial


def test_drivers_and_optimizers_on_threads(lorenz):
    def work(seed):
        start = np.random.default_rng(seed).normal(size=3)
        r = mflow.solve_ivp(lorenz, (0, 2), start, method="tsit5", rtol=1e-8, atol=1e-8, save="last")
        c = np.ones(50)
        opt = mflow.optim.Adam(c, lr=0.01)
        for _ in range(200):
            opt.step(c - seed)
        st = mflow.Stepper("rk4", lorenz, start)
        for _ in range(50):
            st.step(0.01)
        return r.y.tobytes() + c.tobytes() + st.y.tobytes()

    serial = [work(seed) for seed in range(8)]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(work, range(8))) == serial


class Gate:
    """A right-hand side that waits in the middle of a step until it is told to go on."""

    def __init__(self):
        self.inside, self.go_on = threading.Event(), threading.Event()

    def __call__(self, t, y):
        self.inside.set()
        assert self.go_on.wait(20)
        return -y


def test_stepper_used_by_two_threads():
    gate = Gate()
    st = mflow.Stepper("rk4", gate, [1.0])
    thread = threading.Thread(target=st.step, args=(0.1,))
    thread.start()
    try:
        assert gate.inside.wait(20)
        with pytest.raises(RuntimeError, match="thread"):
            st.step(0.1)
        with pytest.raises(RuntimeError, match="thread"):
            st.save(os.devnull)
    finally:
        gate.go_on.set()
        thread.join(20)
    assert st.t == 0.1
    st.step(0.1)
    np.testing.assert_allclose(st.y, np.exp(-0.2), rtol=1e-6)


def test_optimizer_used_by_many_threads():
    """One optimizer, eight threads: each step is taken whole or refused with words, and the count is that of the steps taken."""
    c = np.zeros(100_000)
    opt = mflow.optim.SGD(c, lr=1.0)
    g = -np.ones_like(c)
    taken, refused = [], []

    def work(_):
        for _ in range(20):
            try:
                opt.step(g)
            except RuntimeError as error:
                refused.append(str(error))
            else:
                taken.append(1)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    assert len(taken) + len(refused) == 160
    assert all("thread" in words for words in refused)
    assert np.all(c == len(taken))


FORK = """
import os, sys, threading, warnings
import numpy as np
import mflow
warnings.simplefilter("ignore", DeprecationWarning)    # a fork of a process that has threads: the very thing that is tested
from mflow_core import abi
from test_threads import integrate, lorenz_address
lorenz = lorenz_address()
rates = np.linspace(0.5, 2.0, 64).reshape(64, 1)
def work():
    y = integrate("dopri5", lorenz.address, [1.0, 1.0, 20.0], 1e-9, 0.0)
    r = mflow.solve_ivp(lorenz, (0, 2), [1.0, 1.0, 20.0], method="esdirk43", rtol=1e-6, atol=1e-6)
    b = mflow.solve_ivp_batch(lorenz, (0, 1), np.ones((64, 3)) * rates, rtol=1e-6, atol=1e-8, threads=2)
    st.step(0.01)
    return y + r.y.tobytes() + b.y.tobytes() + st.y.tobytes()
st = mflow.Stepper("rk4", lorenz, [1.0, 1.0, 20.0])
st.step(0.01)
threads = [threading.Thread(target=integrate, args=("rk4", lorenz.address, [1.0, 1.0, 20.0], 0.0, 1e-5)) for _ in range(3)]
for thread in threads: thread.start()
for thread in threads: thread.join()                   # a fork with threads inside is not promised: locks that they hold stay locked
read, write = os.pipe()
child = os.fork()
if child == 0:
    os.write(write, work())
    os._exit(0)
os.close(write)
parent = work()
answer = b""
while part := os.read(read, 65536): answer += part
_, status = os.waitpid(child, 0)
assert os.waitstatus_to_exitcode(status) == 0
assert answer == parent, "the child has other bits"
import multiprocessing
with multiprocessing.get_context("fork").Pool(2) as pool:
    assert pool.map(len, [b"a", b"bc"]) == [1, 2]
    expected = integrate("dopri5", lorenz.address, [1.0, 1.0, 20.0], 1e-9, 0.0)
    job = ("dopri5", lorenz.address, [1.0, 1.0, 20.0], 1e-9, 0.0)
    assert pool.starmap(integrate, [job] * 4) == [expected] * 4
print("forked")
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_fork_after_threads():
    pytest.importorskip("numba")
    environment = environment_for(__file__)
    out = subprocess.run([sys.executable, "-c", FORK], capture_output=True, text=True, check=False, timeout=120, env=environment)
    assert out.stdout.strip() == "forked", out.stderr


def test_modules_are_marked_for_free_threading():
    """Py_mod_gil in every compiled module's slots, where this Python knows of it: such a Python would switch its lock on again else."""
    if not hasattr(sys, "_is_gil_enabled"):
        pytest.skip("Python 3.13 and later know of it")
    if sys._is_gil_enabled() and "t" not in sys.abiflags:
        pytest.skip("this Python has the lock")
    out = subprocess.run(
        [sys.executable, "-W", "error", "-c", "import mflow, sys; print(sys._is_gil_enabled())"], capture_output=True, text=True, check=True
    )
    assert out.stdout.strip() == "False"


def test_addresses_are_for_life():
    before = [record.address for record in registry.records()]
    name = ctypes.create_string_buffer(b"rk4")
    with ThreadPoolExecutor(4) as pool:
        addresses = set(pool.map(lambda _: abi.function("find")(ctypes.addressof(name)), range(100)))
    assert addresses == {registry.find("rk4").address}
    assert [record.address for record in registry.records()] == before
