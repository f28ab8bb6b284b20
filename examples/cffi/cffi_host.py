"""mflow through cffi: `abi.cdef()` is the installed header itself, so its structs and functions are there without a compiler.

The right-hand side is a Python function here, for show; `ffi.addressof(lib, "f")` of a compiled one takes its place without a change.
"""

import math

import cffi
from mflow_core import abi

ffi = cffi.FFI()
ffi.cdef(abi.cdef())
api = ffi.cast("mf_api *", abi.table())


@ffi.callback("int(double, const double *, double *, ptrdiff_t, void *)", error=-1)
def pendulum(t, y, dydt, n, ctx):
    dydt[0] = y[1]
    dydt[1] = -math.sin(y[0])
    return 0


def main():
    """One period of a pendulum, in two halves with a saved state between them."""
    problem = ffi.new("mf_problem *", {"size": ffi.sizeof("mf_problem"), "n": 2, "rhs": pendulum})
    options = ffi.new("mf_run_options *", {"size": ffi.sizeof("mf_run_options"), "rtol": 1e-10, "atol": 1e-10})
    start, status = ffi.new("double[2]", [1.0, 0.0]), ffi.new("int *")
    run = ffi.gc(api.run_new(api.find(b"tsit5"), problem, options, ffi.new("double *[1]", [start]), status), api.run_free)
    assert run != ffi.NULL, ffi.string(api.error_text(status[0]))

    period = 6.699975664370452  # 4 K(sin(1/2)), released at rest from an angle of 1
    assert api.run_advance(run, period / 2, 100_000) == 0
    state = ffi.buffer(ffi.new("char[]", api.run_save(run, ffi.NULL, 0)))
    assert api.run_save(run, ffi.from_buffer(state), len(state)) == len(state)
    assert api.run_advance(run, period, 100_000) == 0
    first = list(api.run_y(run, ffi.NULL, ffi.NULL)[0][0:2])

    assert api.run_restore(run, ffi.from_buffer(state), len(state)) == 0
    assert api.run_advance(run, period, 100_000) == 0
    assert list(api.run_y(run, ffi.NULL, ffi.NULL)[0][0:2]) == first
    print("after one period:", first)
    assert abs(first[0] - 1.0) < 1e-6
    assert abs(first[1]) < 1e-5


if __name__ == "__main__":
    main()
