"""What a host does wrong through the C API ends with a definite code and its words; nothing is entered twice, nothing crashes."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
import threading

import numpy as np
import pytest
from mflow_core import abi, registry

from support.places import environment_for

CODES = {name: value for name, value in abi.enums().items() if name.startswith(("MF_E_", "MF_RETRY_"))}
ARGUMENT, CALLBACK, KIND, VERSION, BUSY = (CODES[f"MF_E_{name}"] for name in ("ARGUMENT", "CALLBACK", "KIND", "VERSION", "BUSY"))
DOUBLES = ctypes.POINTER(ctypes.c_double)
RHS = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_double, DOUBLES, DOUBLES, ctypes.c_ssize_t, ctypes.c_void_p)
STEPS = [record for record in registry.records() if record.kind == "step"]


def call(name, *arguments):
    return abi.function(name)(*arguments)


def text(code):
    return ctypes.string_at(call("error_text", code)).decode()


@RHS
def decay(t, y, dydt, n, ctx):
    for i in range(n):
        dydt[i] = -y[i]
    return 0


class Host:
    """A problem, options, a frame and vectors for a method; any of them is then spoilt."""

    def __init__(self, record, n=3, rhs=decay):
        self.record, self.keep = record, [rhs]
        sizes = record.sizes()
        self.par = np.array([p[1] for p in record.parameters_] + [0.0])
        self.block = np.zeros((2 * sizes["n_vec"] + sizes["n_work"] + sizes["n_err"] + 1, 8))
        self.block[:] = 1.0
        self.scal = np.zeros((2, 8))
        self.x0, self.x1 = (np.array([self.block[2 * j + k].ctypes.data for j in range(sizes["n_vec"])], np.uintp) for k in (0, 1))
        self.problem = self.made("mf_problem", n=n, rhs=ctypes.cast(rhs, ctypes.c_void_p).value)
        self.options = self.made("mf_run_options", dt=0.1)
        self.frame = self.made(
            "mf_frame", flags=1, n=n, ld=8, h=0.1, par=self.par.ctypes.data, x0=self.x0.ctypes.data, x1=self.x1.ctypes.data,
            s0=self.scal[0].ctypes.data, s1=self.scal[1].ctypes.data,
            work=self.block[2 * sizes["n_vec"]].ctypes.data, p=self.problem.ctypes.data,
        )  # fmt: skip

    def made(self, name, **values):
        record = np.zeros(1, abi.dtype(name))
        record["size"] = record.itemsize
        for field, value in values.items():
            record[field] = value
        return record

    def step(self):
        return call("step", self.record.address, self.frame.ctypes.data)

    def run(self):
        """(address or 0, status) of a new run."""
        status = np.full(1, 77, np.intc)
        call_status = call(
            "run_new", self.record.address, self.problem.ctypes.data, self.options.ctypes.data, self.x0.ctypes.data, status.ctypes.data
        )
        assert (call_status == 0) == (status[0] != 0)
        return call_status, int(status[0])

    def refused(self):
        call_status, status = self.run()
        assert call_status == 0
        return status


def test_every_code_has_words_of_its_own():
    words = [text(code) for code in (0, *CODES.values(), 7, -7, -5000)]
    assert len(set(words)) == len(words)
    assert all(len(word) > 7 for word in words)


@pytest.mark.parametrize("record", STEPS, ids=lambda record: record.name)
def test_callbacks_that_a_method_needs(record):
    host = Host(record)
    host.problem["rhs"] = 0
    assert host.step() == CALLBACK
    assert host.refused() == CALLBACK
    assert "callback" in text(CALLBACK)


@pytest.mark.parametrize(
    "record", [r for r in STEPS if "implicit" in r.flags and "second_order" not in r.flags], ids=lambda record: record.name
)
def test_implicit_method_without_jacobian(record):
    """A step needs `solve`, where a host's Jacobian is; a run has Newton's iteration, and approximates the Jacobian by differences."""
    host = Host(record)
    assert host.step() == CALLBACK
    run, _ = host.run()
    assert call("run_advance", run, 0.5, 100) == 0
    call("run_free", run)


@pytest.mark.parametrize("record", [record for record in STEPS if "second_order" in record.flags], ids=lambda record: record.name)
def test_second_order_method_without_solver(record):
    """With `accel` alone: explicit methods run, implicit ones name the missing callback, before and after a run was made."""
    accel_type = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_double, DOUBLES, DOUBLES, DOUBLES, ctypes.c_ssize_t, ctypes.c_void_p)
    calls = []

    def function(t, x, v, a, n, ctx):
        calls.append(t)
        for i in range(n):
            a[i] = -x[i] - 0.1 * v[i]
        return 0

    accel = accel_type(function)
    host = Host(record)
    host.problem["accel"] = ctypes.cast(accel, ctypes.c_void_p).value
    status = host.step()
    assert status == (CALLBACK if "implicit" in record.flags else 0)
    run, _ = host.run()
    assert call("run_advance", run, 0.3, 100) == status
    call("run_free", run)
    assert calls


def test_kinds():
    adam, rk4, sweep = registry.find("adam"), registry.find("rk4"), registry.find("implicit_sgd")
    room = np.zeros((4, 64))
    pointers = np.array([line.ctypes.data for line in room], np.uintp)
    assert Host(adam).refused() == KIND
    for record in (adam, sweep):
        host = Host(rk4)
        host.record = record
        assert host.step() == KIND
    for record in (rk4, sweep):
        assert call("begin", record.address, room.ctypes.data, 0, room.ctypes.data, room.ctypes.data) == KIND
        assert call("update", record.address, room.ctypes.data, 1.0, 0, 3, pointers.ctypes.data, room.ctypes.data) == KIND
        assert call("ask", record.address, room.ctypes.data, 0, 3, pointers.ctypes.data, room.ctypes.data) == KIND
    data = Host(rk4).made("mf_sweep", n=3, x=pointers.ctypes.data)
    assert call("sweep", adam.address, room.ctypes.data, data.ctypes.data) == KIND


def test_nulls_and_sizes():
    rk4 = registry.find("rk4")
    for field, bad in {"size": 8, "p": 0, "x0": 0, "x1": 0, "work": 0, "ld": 2, "n": -1}.items():
        host = Host(rk4)
        host.frame[field] = bad
        assert host.step() == ARGUMENT, field
    host = Host(rk4)
    host.problem["size"] = 8
    assert host.step() == ARGUMENT
    assert host.refused() == ARGUMENT
    for field, bad in {"size": 8, "t0": np.nan, "dt": np.inf, "rtol": -1.0, "atol": np.nan, "max_step": -1.0}.items():
        host = Host(registry.find("dopri5"))
        host.options["rtol"] = 1e-3
        host.options[field] = bad
        assert host.refused() == ARGUMENT, field
    for name, field in (("rkc2", "par"), ("newmark", "s0"), ("newmark", "s1")):
        host = Host(registry.find(name))
        host.problem["accel"] = host.problem["rhs"]  # never called
        host.frame[field] = 0
        assert host.step() == ARGUMENT, field
    for name in ("run_advance", "run_save", "run_restore", "run_set"):
        count = len(abi.functions()[name].arguments)
        assert call(name, *([0] * count)) == ARGUMENT, name
    assert call("run_y", 0, 0, 0) == 0
    call("run_free", 0)
    host = Host(registry.find("dopri5"))
    host.options["rtol"], host.options["min_step"], host.options["max_step"] = 1e-3, 0.1, 0.01
    assert host.refused() == ARGUMENT
    for name in ("start", "sweep", "ask", "integrate", "defaults", "sizes"):
        count = len(abi.functions()[name].arguments)
        assert call(name, *([0] * count)) == ARGUMENT, name
    assert call("loss", 0) == call("find", 0) == 0


@pytest.mark.parametrize(("name", "places"), [("rk4", [0]), ("esdirk43", [0]), ("leapfrog", [0, 1])])
def test_vectors_that_are_missing(name, places):
    """A state of NULL is no state of zeros, and a result has nowhere to go."""
    for j in places:
        host = Host(registry.find(name))
        host.problem["accel"] = host.problem["rhs"]  # never called
        run, _ = host.run()
        host.x0[j] = 0
        assert host.refused() == ARGUMENT
        assert call("run_set", run, 0.0, host.x0.ctypes.data) == ARGUMENT
        call("run_free", run)
        given = (host.record.address, host.problem.ctypes.data, host.options.ctypes.data)
        assert call("integrate", *given, 1.0, 100, host.x0.ctypes.data) == ARGUMENT
    for pointers in ("x0", "x1"):
        host = Host(registry.find("rk4"))
        getattr(host, pointers)[0] = 0
        assert host.step() == ARGUMENT


@pytest.mark.parametrize("n", [2**41, 2**60, 2**61, 2**62, 2**63 - 1])
def test_more_numbers_than_any_memory(n):
    for name in ("rk4", "esdirk43"):
        host = Host(registry.find(name))
        host.problem["n"] = n
        assert host.refused() == CODES["MF_E_MEMORY"]


def test_ranges_of_an_update():
    adam = registry.find("adam")
    room = np.zeros((4, 16))
    pointers = np.array([line.ctypes.data for line in room[:3]], np.uintp)
    par = np.array([p[1] for p in adam.parameters_])
    coef, scal = np.zeros(adam.sizes()["n_coef"]), np.zeros(adam.sizes()["n_scal"])
    assert call("begin", adam.address, par.ctypes.data, 0, scal.ctypes.data, coef.ctypes.data) == 0
    for lo, hi, status in ((0, 16, 0), (5, 5, 0), (-1, 4, ARGUMENT), (4, 3, ARGUMENT)):
        assert call("update", adam.address, coef.ctypes.data, 1.0, lo, hi, pointers.ctypes.data, room[3].ctypes.data) == status
    pointers[0] = 0
    assert call("update", adam.address, coef.ctypes.data, 1.0, 0, 4, pointers.ctypes.data, room[3].ctypes.data) == ARGUMENT


@pytest.mark.parametrize("rtol", [0.0, 1e-6])
def test_no_limit_of_steps(rtol):
    """INT64_MAX is a natural way to say it, for the second span as for the first."""
    host = Host(registry.find("dopri5"))
    host.options["rtol"] = rtol
    run, _ = host.run()
    for t_end in (0.5, 1.0, 1.5):
        assert call("run_advance", run, t_end, 2**63 - 1) == 0
    values = ctypes.cast(ctypes.c_size_t.from_address(call("run_y", run, 0, 0)).value, DOUBLES)
    np.testing.assert_allclose(values[:3], np.exp(-1.5), rtol=1e-5)
    call("run_free", run)


def test_words_where_a_code_has_several_causes():
    """Tolerances for a method without an error estimate, a name that is not there, steps that were not enough: the text names each."""
    host = Host(registry.find("rk4"))
    host.options["rtol"] = 1e-6
    assert host.refused() == KIND
    assert "estimates no error" in text(KIND)
    for words in ("find knows no such name", "MF_INIT", "dt away from t_end", "neither dt nor rtol"):
        assert words in text(ARGUMENT)
    assert Host(registry.find("adam")).refused() == KIND
    assert "it is an optimizer" in text(KIND)
    run, _ = Host(registry.find("rk4")).run()
    status = call("run_advance", run, 1.0, 3)
    assert status == 1
    assert "max_steps" in text(status)
    call("run_free", run)


def test_interpolate_is_for_first_order():
    """A second-order method steps x and v through accel: the result of rhs is not their slope."""
    host = Host(registry.find("leapfrog"))
    host.problem["accel"] = host.problem["rhs"]  # never called
    y = np.zeros(8)
    assert call("interpolate", host.record.address, host.frame.ctypes.data, 0.5, y.ctypes.data) == KIND


@pytest.mark.parametrize("which", ["frame", "problem", "options"])
def test_struct_of_a_newer_host(which):
    host = Host(registry.find("rk4"))
    getattr(host, which)["size"] += 8
    if which != "options":
        assert host.step() == VERSION
    if which != "frame":
        assert host.refused() == VERSION
    assert "newer" in text(VERSION)


def test_parameters_out_of_bounds():
    host = Host(registry.find("rkc2"))
    par = host.par.copy()
    par[0] = -3.0
    host.options["par"] = par.ctypes.data
    assert host.refused() == CODES["MF_E_PARAMETER"]


def test_integrate_keeps_the_last_good_step():
    host = Host(registry.find("rk4"))
    y = np.array([1.0, 2.0, 3.0])
    pointers = np.array([y.ctypes.data], np.uintp)
    arguments = (host.record.address, host.problem.ctypes.data, host.options.ctypes.data)
    assert call("integrate", *arguments, 1.0, 100, pointers.ctypes.data) == 0
    np.testing.assert_allclose(y, np.array([1.0, 2.0, 3.0]) * np.exp(-1.0), rtol=1e-6)
    before = y.copy()
    assert call("integrate", *arguments, 1.0, 3, pointers.ctypes.data) == CODES["MF_E_STEPS"]
    np.testing.assert_allclose(y, before * np.exp(-0.3), rtol=1e-6)

    @RHS
    def fails(t, y, dydt, n, ctx):
        for i in range(n):
            dydt[i] = -y[i] if t < 0.25 else np.nan
        return 0

    host = Host(registry.find("rk4"), rhs=fails)
    before = y.copy()
    assert (
        call("integrate", host.record.address, host.problem.ctypes.data, host.options.ctypes.data, 1.0, 100, pointers.ctypes.data)
        == CODES["MF_E_NON_FINITE"]
    )
    np.testing.assert_allclose(y, before * np.exp(-0.2), rtol=1e-6)


@pytest.mark.parametrize("name", ["rk4", "dopri5", "backward_euler", "esdirk43"])
@pytest.mark.parametrize("rtol", [0.0, 1e-9])
def test_run_set_goes_on_from_there(name, rtol):
    record = registry.find(name)
    if rtol and "embedded" not in record.flags:
        rtol = 0.0
    host = Host(record)
    host.options["dt"], host.options["rtol"], host.options["atol"] = 0.01, rtol, rtol
    run, _ = host.run()
    assert call("run_advance", run, 0.5, 10_000) == 0
    y = np.array([5.0, -1.0, 0.0])
    pointers = np.array([y.ctypes.data], np.uintp)
    assert call("run_set", run, 2.0, pointers.ctypes.data) == 0
    assert call("run_advance", run, 2.5, 10_000) == 0
    values = ctypes.cast(ctypes.c_size_t.from_address(call("run_y", run, 0, 0)).value, DOUBLES)
    np.testing.assert_allclose(values[:3], y * np.exp(-0.5), rtol=1e-2 if record.order == 1 else 1e-6)
    assert call("run_set", run, np.nan, pointers.ctypes.data) == ARGUMENT
    call("run_free", run)


@pytest.mark.parametrize("name", ["dopri5", "esdirk43"])
def test_run_set_leaves_behind_what_held_a_run_up(name):
    """Slopes that were not finite belong to the old state: the run goes on from the new one."""

    @RHS
    def wall(t, y, dydt, n, ctx):
        for i in range(n):
            dydt[i] = -y[i] if t < 1.0 else np.nan
        return 0

    host = Host(registry.find(name), rhs=wall)
    host.options["rtol"] = host.options["atol"] = 1e-6
    run, _ = host.run()
    assert call("run_advance", run, 2.0, 10_000) < 0
    assert call("run_advance", run, 2.0, 10_000) < 0
    y = np.array([5.0, -1.0, 0.0])
    pointers = np.array([y.ctypes.data], np.uintp)
    assert call("run_set", run, 0.0, pointers.ctypes.data) == 0
    assert call("run_advance", run, 0.9, 10_000) == 0
    values = ctypes.cast(ctypes.c_size_t.from_address(call("run_y", run, 0, 0)).value, DOUBLES)
    np.testing.assert_allclose(values[:3], y * np.exp(-0.9), rtol=1e-4)
    call("run_free", run)


def test_sweep_by_a_host():
    """The weights that the driver learns, from the table alone: dense, in the order of the rows."""
    import mflow

    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(50, 3)), rng.normal(size=50)
    record = registry.find("implicit_sgd")
    par = np.array([p[1] for p in record.parameters_])
    w, scal = np.zeros(3), np.zeros(16)
    pointers = np.array([w.ctypes.data], np.uintp)
    loss = np.frombuffer(b"squared\0", np.uint8)
    sweep = np.zeros(1, abi.dtype("mf_sweep"))
    for field, value in {
        "size": sweep.itemsize, "n": 3, "rows": 50, "X": X.ctypes.data, "ldx": 3, "label": y.ctypes.data, "count": 50,
        "loss": call("loss", loss.ctypes.data), "x": pointers.ctypes.data, "scal": scal.ctypes.data,
    }.items():  # fmt: skip
        sweep[field] = value
    assert call("sweep", record.address, par.ctypes.data, sweep.ctypes.data) == 0
    model = mflow.ImplicitSGD("squared").fit(X, y, epochs=1, shuffle=False)
    assert w.tobytes() == model.coef.tobytes()
    sweep["count"] = 51
    assert call("sweep", record.address, par.ctypes.data, sweep.ctypes.data) == ARGUMENT
    sweep["count"] = 50
    weight, order, signs = np.ones(50), np.arange(50), np.where(y > 0, 1.0, -1.0)
    spoilt = {"weight": (weight, -1.0), "order": (order, 50), "label": (y.copy(), np.nan)}
    for field, (array, bad) in spoilt.items():
        before, array[7] = sweep[field][0], bad
        sweep[field] = array.ctypes.data
        assert call("sweep", record.address, par.ctypes.data, sweep.ctypes.data) == ARGUMENT, field
        sweep[field] = before
    sweep["loss"] = call("loss", np.frombuffer(b"logistic\0", np.uint8).ctypes.data)
    assert call("sweep", record.address, par.ctypes.data, sweep.ctypes.data) == ARGUMENT  # its labels are -1 and 1
    sweep["label"] = signs.ctypes.data
    assert call("sweep", record.address, par.ctypes.data, sweep.ctypes.data) == 0
    indptr, indices, values = np.arange(51), np.full(50, 2, np.int32), np.ones(50)
    sweep["X"], sweep["indptr"], sweep["indices"], sweep["values"] = 0, *(a.ctypes.data for a in (indptr, indices, values))
    assert call("sweep", record.address, par.ctypes.data, sweep.ctypes.data) == 0
    for array, bad in ((indices, 3), (indices, -1), (indptr, 60)):
        before, array[20] = array[20], bad
        assert call("sweep", record.address, par.ctypes.data, sweep.ctypes.data) == ARGUMENT
        array[20] = before
    sweep["loss"] = call("loss", np.frombuffer(b"squire\0", np.uint8).ctypes.data)
    assert sweep["loss"][0] == 0
    assert call("sweep", record.address, par.ctypes.data, sweep.ctypes.data) == ARGUMENT


def test_ask_and_start():
    """Where the gradient is evaluated: at c for a method without `ask`; first values of carried vectors: zeros, or those of the method."""
    c, m, v, at = (np.full(5, float(j)) for j in range(4))
    pointers = np.array([a.ctypes.data for a in (c, m, v)], np.uintp)
    adam = registry.find("adam")
    par = np.array([p[1] for p in adam.parameters_])
    assert call("start", adam.address, par.ctypes.data, 1, 4, pointers.ctypes.data) == 0
    assert m.tolist() == [1, 0, 0, 0, 1]
    assert call("ask", adam.address, 0, 1, 4, pointers.ctypes.data, at.ctypes.data) == 0
    assert at.tolist() == [3, 0, 0, 0, 3]
    for record in (record for record in registry.records() if record.asks):
        assert call("ask", record.address, 0, 0, 5, pointers.ctypes.data, at.ctypes.data) == ARGUMENT


# ---- two at once ----------------------------------------------------------------------------------------------------------------------


def test_run_used_by_two_threads():
    inside, go_on = threading.Event(), threading.Event()

    @RHS
    def waits(t, y, dydt, n, ctx):
        inside.set()
        go_on.wait(20)
        return decay(t, y, dydt, n, ctx)

    host = Host(registry.find("rk4"), rhs=waits)
    run, _ = host.run()
    first = []
    thread = threading.Thread(target=lambda: first.append(call("run_advance", run, 0.5, 100)))
    thread.start()
    assert inside.wait(20)
    buffer = np.zeros(1000, np.uint8)
    try:
        assert call("run_advance", run, 1.0, 100) == BUSY
        assert call("run_save", run, buffer.ctypes.data, 1000) == BUSY
        assert call("run_restore", run, buffer.ctypes.data, 1000) == BUSY
        assert call("run_set", run, 0.0, host.x0.ctypes.data) == BUSY
        assert call("run_y", run, 0, 0) == 0
        call("run_free", run)  # does nothing: the other thread is in the run
    finally:
        go_on.set()
        thread.join(20)
    assert first == [0]
    assert call("run_advance", run, 1.0, 100) == 0
    values = ctypes.cast(ctypes.c_size_t.from_address(call("run_y", run, 0, 0)).value, DOUBLES)
    np.testing.assert_allclose(values[:3], np.exp(-1.0) * np.ones(3), rtol=1e-6)
    call("run_free", run)
    assert "another thread" in text(BUSY)


PAST_THE_END = """
import ctypes
from test_bad_hosts import Host, RHS, call, registry
@RHS
def past(t, y, dydt, n, ctx):
    ctypes.memset(ctypes.addressof(dydt.contents), 0, 8 * (n + 1))
    return 0
run, _ = Host(registry.find({name!r}), n=8, rhs=past).run()
print("status", call("run_advance", run, 0.5, 100))
"""


@pytest.mark.skipif("asan" not in os.environ.get("LD_PRELOAD", ""), reason="only the sanitizer session (nox -s asan) sees it")
@pytest.mark.parametrize("name", ["rk4", "dopri5", "rkc2", "esdirk43"])
def test_rhs_that_writes_past_n(name):
    code = PAST_THE_END.format(name=name)
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, env=environment_for(__file__))
    assert out.returncode != 0
    assert "use-after-poison" in out.stderr
