"""The C API as a host sees it: the header compiles alone, the table works without Python. Its layout is frozen: test_abi.py."""

from __future__ import annotations

import ctypes
import shutil
import subprocess

import mflow_core
import numpy as np
import pytest
from mflow_core import api, registry

import mflow
from support.hosts import COMPILER
from support.oracles.tableaus import stability_function
from support.places import SUPPORT
from support.small_cases import for_all

HOST = str(SUPPORT / "host.c")
DOUBLES = ctypes.POINTER(ctypes.c_double)


def build(tmp_path, source, *flags, compiler=COMPILER, out="host.so"):
    target = tmp_path / out
    command = [compiler, *flags, f"-I{mflow_core.get_include()}", str(source), "-o", str(target), "-lm"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return target


@pytest.fixture(scope="module")
def host(tmp_path_factory):
    if COMPILER is None:
        pytest.skip("no C compiler on this machine")
    path = build(
        tmp_path_factory.mktemp("host"),
        HOST,
        "-shared",
        "-fPIC",
        "-std=c99",
        "-Wall",
        "-Wextra",
        "-Werror",
        "-pedantic",
    )
    return ctypes.CDLL(str(path))


@pytest.fixture(scope="module")
def table():
    pointer = ctypes.pythonapi.PyCapsule_GetPointer
    pointer.restype, pointer.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    return ctypes.c_void_p(pointer(api._C_API, b"mflow_core.api._C_API"))


def pointer_to(array):
    return array.ctypes.data_as(DOUBLES)


def test_table(host, table):
    assert host.host_table(table) == 0


@pytest.mark.parametrize("name", [r.name for r in registry.records() if r.kind == "step" and "second_order" not in r.flags])
@for_all("n", [1, 2, 3, 5, 13, 100, 1001])
def test_in_place_has_the_same_bits(host, table, name, n):
    y0 = np.random.default_rng(n).standard_normal(n)
    out = np.empty(n)
    call = host.host_in_place
    call.argtypes = [ctypes.c_void_p, ctypes.c_char_p, DOUBLES, ctypes.c_ssize_t, ctypes.c_double, DOUBLES]
    assert call(table, name.encode(), pointer_to(y0), n, 0.3, pointer_to(out)) == 0
    z = -1.25 * 0.3
    if "multistep" in registry.find(name).flags:  # the first step under error control: two of implicit Euler of h/2, and one of h
        factor = 2.0 / (1.0 - z / 2.0) ** 2 - 1.0 / (1.0 - z)
    else:
        factor = stability_function(registry.find(name), z)
    published = "G" in (registry.find(name).tableau or {})  # to 16 digits: the weights sum to 1 within 6e-15
    np.testing.assert_allclose(out, factor * y0, rtol=3e-14 if published else 1e-14)


def test_update_is_what_optim_does(host, table):
    n = 37
    rng = np.random.default_rng(0)
    c, g = rng.standard_normal(n), rng.standard_normal(n)
    stepped, m, v = c.copy(), np.zeros(n), np.zeros(n)
    call = host.host_update
    call.argtypes = [ctypes.c_void_p, DOUBLES, DOUBLES, DOUBLES, DOUBLES, ctypes.c_ssize_t, ctypes.c_int]
    assert call(table, pointer_to(stepped), pointer_to(m), pointer_to(v), pointer_to(g), n, 25) == 0
    opt = mflow.optim.Adam(c)
    for _ in range(25):
        opt.step(g)
    assert c.tobytes() == stepped.tobytes()


@pytest.mark.parametrize("with_jac", [0, 1])
@pytest.mark.parametrize("name", [r.name for r in registry.records() if r.kind == "step" and r.sizes()["n_vis"] == 1])
def test_run_of_any_row(host, table, name, with_jac):
    """Under error control, and in fixed steps: the library makes all that a host needs besides a right-hand side."""
    call = host.host_run_row
    call.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_double, ctypes.c_int, DOUBLES]
    record = registry.find(name)
    for rtol in (0.0, 1e-8) if "embedded" in record.flags else (0.0,):
        y = np.array([1.0, -2.0])
        assert call(table, name.encode(), rtol, with_jac, pointer_to(y)) == 0
        error = 1e3 * rtol if rtol else 8 * 0.02**record.order
        np.testing.assert_allclose(y, np.array([1.0, -2.0]) * np.exp(-1.25), rtol=error)


def test_run(host, table):
    y, t = np.array([1.0, -2.0]), ctypes.c_double()
    host.host_run.argtypes = [ctypes.c_void_p, DOUBLES, ctypes.c_void_p]
    assert host.host_run(table, pointer_to(y), ctypes.byref(t)) == 0
    assert t.value == 0.65
    np.testing.assert_allclose(y, np.array([1.0, -2.0]) * np.exp(-0.65), rtol=1e-6)


def test_interpolate(host, table):
    y = np.empty(1)
    host.host_interpolate.argtypes = [ctypes.c_void_p, ctypes.c_double, DOUBLES]
    for theta in (0.0, 0.25, 0.5, 1.0):
        assert host.host_interpolate(table, theta, pointer_to(y)) == 0
        np.testing.assert_allclose(y[0], np.exp(-0.1 * theta), atol=3e-7)


@pytest.mark.parametrize(("suffix", "flags"), [("c", ["-std=c99"]), ("c", ["-std=c11"]), ("cpp", ["-std=c++17"])])
def test_header_compiles_alone(tmp_path, suffix, flags):
    compiler = COMPILER if suffix == "c" else shutil.which("c++") or shutil.which("g++")
    if compiler is None:
        pytest.skip(f"no compiler for {suffix} on this machine")
    source = tmp_path / f"alone.{suffix}"
    source.write_text('#include "mflow/mflow.h"\nint main(void) { mf_problem p = MF_INIT(mf_problem); return p.size == 0; }\n')
    program = build(tmp_path, source, *flags, "-Wall", "-Wextra", "-Werror", "-pedantic",
                    compiler=compiler, out="alone")  # fmt: skip
    assert subprocess.run([program], check=False).returncode == 0


@pytest.mark.parametrize("name", [r.name for r in registry.records() if r.kind == "direction"] + ["momentum"])
def test_a_descent_of_a_host_has_the_bits_of_minimize(host, table, name):
    x, evaluations = np.empty(2), ctypes.c_int64()
    host.host_descent.argtypes = [ctypes.c_void_p, ctypes.c_char_p, DOUBLES, ctypes.c_void_p]
    assert host.host_descent(table, name.encode(), pointer_to(x), ctypes.byref(evaluations)) == 0

    def valley(x):
        a, b = 1.0 - x[0], x[1] - x[0] * x[0]
        return a * a + 100.0 * b * b, np.array([-2.0 * a - 400.0 * x[0] * b, 200.0 * b])

    def product(x, p):
        h00, h01 = 2.0 - 400.0 * (x[1] - 3.0 * x[0] * x[0]), -400.0 * x[0]
        return np.array([h00 * p[0] + h01 * p[1], h01 * p[0] + 200.0 * p[1]])

    how = {"hessp": product} if name == "trust_ncg" else {"line_search": "strong_wolfe"}
    r = mflow.minimize(valley, [-1.2, 1.0], jac=True, method=name, gtol=1e-6, check_gradient=False, **how)
    assert r.x.tobytes() == x.tobytes()
    assert r.nfev == evaluations.value


def test_descents_of_hosts_that_err(host, table):
    assert host.host_bad_descents(table) == 0
