"""Newton's iteration of implicit steps, against closed forms, mpmath and SciPy."""

from __future__ import annotations

import ctypes
import sys
import threading

import mpmath
import numpy as np
import pytest
import scipy.optimize
import scipy.sparse
from mflow_core.problems.problem import objective_problem, rhs_problem
from mflow_core.solvers.solver import Solver

from mflow.solvers.nonlinear import FixedPoint, Newton, NewtonKrylov, color_columns, make_solver
from support.battery import RETRY_SOLVE, bound


def robertson(t, y):
    a, b, c = 0.04 * y[0], 1e4 * y[1] * y[2], 3e7 * y[1] * y[1]
    return np.array([-a + b, a - b - c, c])


def robertson_jac(t, y):
    return np.array([[-0.04, 1e4 * y[2], 1e4 * y[1]], [0.04, -1e4 * y[2] - 6e7 * y[1], -1e4 * y[1]], [0.0, 6e7 * y[1], 0.0]])


def brusselator(t, y):
    """20 cells of a diffusing Brusselator, u and v in turns: band 2, 2, and not linear."""
    u, v = y[::2], y[1::2]
    pad = np.pad(u, 1, constant_values=1.0), np.pad(v, 1, constant_values=3.0)
    d = 0.02 * 21**2
    out = np.empty_like(y)
    out[::2] = 1.0 + u * u * v - 4.0 * u + d * (pad[0][2:] - 2 * u + pad[0][:-2])
    out[1::2] = 3.0 * u - u * u * v + d * (pad[1][2:] - 2 * v + pad[1][:-2])
    return out


def brusselator_start():
    x = np.arange(1, 21) / 21
    y = np.empty(40)
    y[::2], y[1::2] = 1.0 + np.sin(2 * np.pi * x), 3.0
    return y


def brusselator_pattern():
    pattern = np.zeros((40, 40))
    for i in range(40):
        cell = i // 2
        pattern[i, 2 * cell : 2 * cell + 2] = 1
        for other in (i - 2, i + 2):
            if 0 <= other < 40:
                pattern[i, other] = 1
    return pattern


# ---- roots ----------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [1, 2, 3, 12, 13, 40])
def test_linear_problem(n):
    rng = np.random.default_rng(n)
    a = rng.standard_normal((n, n)) - 3 * np.eye(n)
    r = rng.standard_normal(n)
    solver = bound(lambda t, y: a @ y, n, jac=lambda t, y: a)
    z, status, iterations = solver.solve(0.0, 0.3, r, np.zeros(n))
    assert status == 0
    assert np.abs(z - np.linalg.solve(np.eye(n) - 0.3 * a, r)).max() < 1e-13
    assert iterations <= 3
    w, status = solver.lsolve(0.0, 0.3, r)
    assert status == 0
    assert np.abs(w - z).max() < 1e-13


@pytest.mark.parametrize("h", [1e-4, 1e-2, 1.0, 1e2, 1e4, 1e6])
@pytest.mark.parametrize("options", [{}, {"full": True}, {"jac": robertson_jac}])
def test_robertson_stage_against_mpmath(h, options):
    y = np.array([0.8, 2e-5, 0.2 - 2e-5])
    solver = bound(robertson, 3, **options)
    z, status, _ = solver.solve(h, h, y, y)
    assert status == 0
    with mpmath.workdps(40):

        def residual(*w):
            a, b, c = mpmath.mpf(0.04) * w[0], 10000 * w[1] * w[2], 30000000 * w[1] * w[1]
            return [w[i] - h * s - mpmath.mpf(y[i]) for i, s in enumerate((-a + b, a - b - c, c))]

        expected = np.array([float(v) for v in mpmath.findroot(residual, z.tolist(), tol=1e-60, maxsteps=60)])
    assert np.abs(z / expected - 1.0).max() < 3e-11 if h > 1e3 else np.abs(z - expected).max() < 1e-14


@pytest.mark.parametrize(
    "make",
    [
        Newton,
        lambda: Newton(full=True),
        lambda: Newton(linear_solver="dense"),
        NewtonKrylov,
        lambda: Newton(linear_solver="krylov"),
        FixedPoint,
    ],
)
def test_every_solver_reaches_the_same_root(make):
    y = brusselator_start()
    gh = 0.005
    problem = rhs_problem(brusselator, (40,))
    solver = make_solver(make(), problem, (40,), (0.0, y))
    solver.bind(problem)
    z, status, _ = solver.solve(0.0, gh, y, y)
    assert status == 0
    expected = scipy.optimize.root(lambda w: w - gh * brusselator(0.0, w) - y, y, tol=1e-14).x
    assert np.abs(z - expected).max() < 1e-11
    assert np.abs(z - gh * brusselator(0.0, z) - y).max() < 1e-12
    w, status = solver.lsolve(0.0, gh, y)
    assert status == 0
    assert np.all(np.isfinite(w))


@pytest.mark.parametrize(
    "arguments",
    [
        {"lband": 2, "uband": 2},
        {"jac_sparsity": brusselator_pattern()},
        {"jac_sparsity": scipy.sparse.csr_matrix(brusselator_pattern())},
        {"jac_sparsity": brusselator_pattern(), "solver": Newton("sparse")},
        {"jac_sparsity": brusselator_pattern(), "solver": Newton("banded")},
    ],
)
def test_structure_costs_fewer_calls_and_gives_the_same_jacobian(arguments):
    y = brusselator_start()
    dense = bound(brusselator, 40)
    z, _, _ = dense.solve(0.0, 0.1, y, y)
    arguments = {"solver": None, **arguments}
    problem = rhs_problem(brusselator, (40,))
    solver = make_solver(arguments.pop("solver"), problem, (40,), (0.0, y), **arguments)
    solver.bind(problem)
    w, status, _ = solver.solve(0.0, 0.1, y, y)
    assert status == 0
    assert np.abs(w - z).max() < 1e-12
    assert solver.counters["n_rhs_jac"] <= 7 * solver.njev < dense.counters["n_rhs_jac"]


def test_coloured_differences_are_dense_differences():
    y = brusselator_start()
    dense = bound(brusselator, 40)
    dense.solve(0.0, 0.01, y, y)
    pattern = scipy.sparse.csc_matrix(brusselator_pattern())
    groups = color_columns(pattern.indptr, pattern.indices)
    coloured = bound(brusselator, 40, pattern=(groups, pattern.indptr, pattern.indices))
    coloured.solve(0.0, 0.01, y, y)
    banded = bound(brusselator, 40, "banded", lower=2, upper=2)
    banded.solve(0.0, 0.01, y, y)
    a, b, c = dense.jacobian().reshape(40, 40), coloured.jacobian().reshape(40, 40), banded.jacobian().reshape(40, 5)
    assert np.abs(a - b).max() < 1e-6 * np.abs(a).max()
    for i in range(40):
        for j in range(max(i - 2, 0), min(i + 3, 40)):
            assert abs(a[i, j] - c[i, j - i + 2]) < 1e-6 * np.abs(a).max()


@pytest.mark.parametrize("form", ["array", "packed", "sparse"])
def test_banded_analytic_jacobian(form):
    n = 30
    a = np.diag(-2.0 * np.arange(1, n + 1)) + np.diag(np.arange(1.0, n), 1) + np.diag(np.full(n - 2, 0.5), -2)

    def jac(t, y):
        if form == "array":
            return a
        if form == "sparse":
            return scipy.sparse.csr_matrix(a)
        packed = np.zeros((4, n))
        for j in range(n):
            for i in range(max(0, j - 1), min(n, j + 3)):
                packed[i - j + 1, j] = a[i, j]
        return packed

    problem = rhs_problem(lambda t, y: a @ y, (n,), jac=jac)
    solver = make_solver(None, problem, (n,), (0.0, np.ones(n)), jac=jac, lband=2, uband=1)
    assert solver.kind == "banded"
    solver.bind(problem)
    z, status, _ = solver.solve(0.0, 0.7, np.ones(n), np.ones(n))
    assert status == 0
    assert np.abs(z - np.linalg.solve(np.eye(n) - 0.7 * a, np.ones(n))).max() < 1e-14


@pytest.mark.parametrize("constant", [False, True])
def test_sparse_analytic_jacobian(constant):
    n = 50
    a = scipy.sparse.diags([1.0, -2.0, 1.0], [-1, 0, 1], shape=(n, n), format="csr") * 100.0
    jac = a if constant else (lambda t, y: a)
    problem = rhs_problem(lambda t, y: a @ y, (n,), jac=jac)
    solver = make_solver("newton", problem, (n,), (0.0, np.ones(n)), jac=jac)
    assert solver.kind == "sparse"
    solver.bind(problem)
    z, status, _ = solver.solve(0.0, 0.5, np.ones(n), np.ones(n))
    assert status == 0
    assert np.abs(z - np.linalg.solve(np.eye(n) - 0.5 * a.toarray(), np.ones(n))).max() < 1e-13


def test_constant_jacobian():
    a = [[-100.0, 1.0], [2.0, -3.0]]
    solver = bound(lambda t, y: np.array(a) @ y, 2, jac=a)
    z, status, _ = solver.solve(0.0, 1.0, [1.0, 1.0], [0.0, 0.0])
    assert status == 0
    assert np.abs(z - np.linalg.solve(np.eye(2) - np.array(a), [1.0, 1.0])).max() < 1e-15


# ---- the steady state, and damping ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("gh", [np.inf, -np.inf])
def test_infinite_step_is_the_steady_state(gh):
    a = np.array([[-4.0, 1.0], [1.0, -3.0]])
    b = np.array([1.0, 2.0])
    solver = bound(lambda t, y: a @ y + b - y**3, 2)
    z, status, _ = solver.solve(0.0, gh, [9.0, 9.0], [5.0, -5.0])
    assert status == 0
    assert np.abs(a @ z + b - z**3).max() < 1e-13


def test_damping_where_whole_newton_steps_diverge():
    # Newton's iteration for arctan diverges from beyond 1.39.
    solver = bound(lambda t, y: -np.arctan(y), 1, jac=lambda t, y: [[-1.0 / (1.0 + y[0] ** 2)]])
    z, status, _ = solver.solve(0.0, np.inf, [0.0], [20.0])
    assert status == 0
    assert abs(z[0]) < 1e-14


def test_steady_state_without_a_matrix():
    y = brusselator_start()
    problem = rhs_problem(brusselator, (40,))
    solver = make_solver(NewtonKrylov(dim=40), problem, (40,), (0.0, y))
    solver.bind(problem)
    z, status, _ = solver.solve(0.0, np.inf, y, np.where(np.arange(40) % 2, 3.0, 1.0) + 0.05)
    assert status == 0
    assert np.abs(brusselator(0.0, z)).max() < 1e-9


def test_no_root_is_a_definite_failure():
    solver = bound(lambda t, y: 1.0 + y * y, 1)
    z, status, _ = solver.solve(0.0, np.inf, [0.0], [1.0])
    assert status == RETRY_SOLVE
    assert z.tolist() == [1.0]  # the guess
    assert solver.counters["nfail"] == 1


def test_singular_jacobian_is_recoverable():
    solver = bound(lambda t, y: np.array([y[0] + y[1], y[0] + y[1]]), 2)
    assert solver.solve(0.0, np.inf, [0.0, 0.0], [1.0, 2.0])[1] == RETRY_SOLVE
    solver = bound(lambda t, y: y, 1, jac=lambda t, y: [[1.0]])
    assert solver.solve(0.0, 1.0, [1.0], [1.0])[1] == RETRY_SOLVE  # 1 - gh J = 0, and no root
    assert solver.solve(0.0, 0.5, [1.0], [1.0])[1] == 0  # and the solver goes on


def test_fixed_point_diverges_definitely():
    solver = Solver("fixed_point", max_iter=50)
    solver.bind(rhs_problem(lambda t, y: -50.0 * y, (1,)))
    assert solver.solve(0.0, 1.0, [1.0], [1.0])[1] == RETRY_SOLVE
    z, status, _ = solver.solve(0.0, 0.01, [1.0], [1.0])
    assert status == 0
    assert abs(z[0] - 1.0 / 1.5) < 1e-13


# ---- counts ---------------------------------------------------------------------------------------------------------------------------


def test_factors_are_kept_while_they_converge():
    solver = bound(lambda t, y: -(y**2) - 100.0 * y, 3)
    y = np.ones(3)
    for k in range(20):
        y, status, _ = solver.solve(0.01 * k, 0.01, y, y)
        assert status == 0
    assert solver.njev <= 3
    assert solver.nlu <= 3
    assert solver.counters["nsolve"] == 20


def test_factors_follow_the_step_and_the_jacobian_stays():
    a = np.array([[-100.0, 1.0], [0.0, -1.0]])
    solver = bound(lambda t, y: a @ y, 2, jac=lambda t, y: a, fraction=0.01)
    for gh in (0.1, 0.11, 0.09):  # within a fifth
        z, status, _ = solver.solve(0.0, gh, [1.0, 1.0], [1.0, 1.0], rtol=1e-6, atol=1e-6)
        assert status == 0
        assert np.abs(z - np.linalg.solve(np.eye(2) - gh * a, [1.0, 1.0])).max() < 3e-8
    assert (solver.njev, solver.nlu) == (1, 1)
    solver.solve(0.0, 0.3, [1.0, 1.0], [1.0, 1.0], rtol=1e-6, atol=1e-6)
    assert (solver.njev, solver.nlu) == (1, 2)
    solver.solve(0.0, 0.5, [1.0, 1.0], [1.0, 1.0], rtol=1e-6, atol=1e-6)  # more than four times what J was made for
    assert (solver.njev, solver.nlu) == (2, 3)


def test_full_newton_takes_a_jacobian_an_iteration():
    solver = bound(lambda t, y: -(y**3), 1, full=True)
    _, status, iterations = solver.solve(0.0, 1.0, [2.0], [2.0])
    assert status == 0
    assert solver.njev == solver.nlu == iterations


def test_tolerances_ask_for_less_work():
    counts = []
    for tolerances in (None, (1e-3, 1e-6), (1e-8, 1e-10)):
        solver = bound(robertson, 3, jac=robertson_jac, fraction=0.01)
        y = np.array([0.8, 2e-5, 0.2 - 2e-5])
        given = {} if tolerances is None else {"rtol": tolerances[0], "atol": [tolerances[1]]}
        z, status, iterations = solver.solve(1.0, 1e-3, y, y, **given)
        assert status == 0
        exact, _, _ = bound(robertson, 3, full=True).solve(1.0, 1e-3, y, y)
        if tolerances is not None:
            assert np.abs((z - exact) / (tolerances[1] + tolerances[0] * np.abs(y))).max() < 0.02 * np.sqrt(3)
        counts.append(iterations)
    assert counts[1] < counts[2] <= counts[0]


def test_error_controlled_failure_asks_for_a_smaller_step():
    # With tolerances the run can shrink the step: the solver stops early instead of damping.
    solver = bound(lambda t, y: -1e3 * np.arctan(1e2 * y), 1, max_iter=5)
    _, status, iterations = solver.solve(0.0, 10.0, [1.0], [1.0], rtol=1e-6, atol=1e-9)
    assert status == RETRY_SOLVE
    assert iterations <= 15


# ---- state ----------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["dense", "banded", "sparse", "krylov", "fixed_point"])
@pytest.mark.parametrize("tolerances", [{}, {"rtol": 1e-6, "atol": 1e-9}])
def test_a_restored_solver_goes_on_with_the_same_bits(kind, tolerances):
    def make():
        problem = rhs_problem(brusselator, (40,))
        if kind in ("krylov", "fixed_point"):
            solver = make_solver("newton_krylov" if kind == "krylov" else kind, problem, (40,), (0.0, brusselator_start()))
        else:
            solver = make_solver(Newton(kind), problem, (40,), (0.0, brusselator_start()), jac_sparsity=brusselator_pattern())
        solver.bind(problem)
        return solver

    def advance(solver, y, first, last):
        out = []
        for k in range(first, last):
            y, status, _ = solver.solve(0.01 * k, 0.004 * (1.0 + 0.05 * k), y, y, **tolerances)
            assert status == 0
            out.append(y.tobytes())
        return y, out

    one = make()
    y, _ = advance(one, brusselator_start(), 0, 6)
    state = one.pack()
    before = one.counters
    two = make()
    two.unpack(state)
    assert np.array_equal(two.pack(), state)
    _, expected = advance(one, y, 6, 14)
    _, resumed = advance(two, y, 6, 14)
    assert resumed == expected
    assert two.counters == one.counters
    assert before != one.counters


def test_damaged_state_is_refused():
    solver = bound(lambda t, y: -y, 2)
    solver.solve(0.0, 0.1, [1.0, 1.0], [1.0, 1.0])
    state = solver.pack()
    for position, value in ((4, 0.5), (7, -1.0), (7, np.nan), (15, 3.0), (3, 0.0), (20, 0.5), (21, -1.0), (-1, -1.0), (-1, np.nan)):
        damaged = state.copy()
        damaged[position] = value
        with pytest.raises(ValueError, match="damaged"):
            solver.unpack(damaged)
    with pytest.raises(ValueError, match="damaged"):
        solver.unpack(state[:-1])


# ---- compiled problems ----------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def compiled():
    numba = pytest.importorskip("numba")
    pointer = numba.types.CPointer(numba.float64)
    signature = numba.int32(numba.float64, pointer, pointer, numba.intp, numba.types.voidptr)

    @numba.cfunc(signature)
    def fun(t, y, out, n, data):
        a, b, c = 0.04 * y[0], 1e4 * y[1] * y[2], 3e7 * y[1] * y[1]
        out[0], out[1], out[2] = -a + b, a - b - c, c
        return 0

    @numba.cfunc(signature)
    def jac(t, y, out, n, data):
        out[0], out[1], out[2] = -0.04, 1e4 * y[2], 1e4 * y[1]
        out[3], out[4], out[5] = 0.04, -1e4 * y[2] - 6e7 * y[1], -1e4 * y[1]
        out[6], out[7], out[8] = 0.0, 6e7 * y[1], 0.0
        return 0

    return fun, jac


def test_compiled_problem_gives_the_bits_of_the_python_one(compiled):
    fun, jac = compiled
    y = np.array([0.8, 2e-5, 0.2 - 2e-5])
    results = []
    for problem in (
        rhs_problem(fun, (3,), jac=jac),
        rhs_problem(fun, (3,), jac=robertson_jac),
        rhs_problem(robertson, (3,), jac=jac),
        rhs_problem(robertson, (3,), jac=robertson_jac),
    ):
        solver = Solver("dense", jac=True)
        solver.bind(problem)
        z, status, _ = solver.solve(1.0, 1.0, y, y)
        assert status == 0
        results.append(z.tobytes())
    assert len(set(results)) == 1


def test_compiled_banded(compiled):
    fun, jac = compiled
    problem = rhs_problem(fun, (3,), jac=jac)
    y = np.array([0.8, 2e-5, 0.2 - 2e-5])
    solver = make_solver(None, problem, (3,), (0.0, y), jac=jac, lband=2, uband=2)
    solver.bind(problem)
    z, status, _ = solver.solve(1.0, 1.0, y, y)
    assert status == 0
    assert np.abs(z - bound(robertson, 3).solve(1.0, 1.0, y, y)[0]).max() < 1e-14


def test_wrong_signature_is_named(compiled):
    numba = pytest.importorskip("numba")
    bad = numba.cfunc(numba.float64(numba.float64))(lambda x: x)
    with pytest.raises(TypeError, match="jac: expected a compiled function with the signature"):
        rhs_problem(compiled[0], (3,), jac=bad)


@pytest.mark.skipif(sys.platform == "win32", reason="usleep")
def test_compiled_problem_runs_without_the_gil():
    # The right-hand side waits until another Python thread has raised a flag: with the GIL held that thread could not.
    numba = pytest.importorskip("numba")
    usleep = ctypes.CDLL(None).usleep
    usleep.argtypes, usleep.restype = [ctypes.c_uint], ctypes.c_int
    flag = np.zeros(1)
    address = flag.ctypes.data
    pointer = numba.types.CPointer(numba.float64)

    @numba.cfunc(numba.int32(numba.float64, pointer, pointer, numba.intp, numba.types.voidptr))
    def fun(t, y, out, n, data):
        seen = numba.carray(data, 1, np.float64)
        for _ in range(20000):
            if seen[0] != 0.0:
                break
            usleep(1000)
        out[0] = -y[0] if seen[0] != 0.0 else np.nan
        return 0

    from scipy import LowLevelCallable

    low = LowLevelCallable(fun.ctypes, user_data=ctypes.c_void_p(address), signature="int (double, double *, double *, ptrdiff_t, void *)")
    problem = rhs_problem(low, (1,))
    solver = Solver("dense")
    solver.bind(problem)
    helper = threading.Timer(0.05, lambda: flag.__setitem__(0, 1.0))
    helper.start()
    _, status, _ = solver.solve(0.0, 0.1, [1.0], [1.0])
    helper.join()
    assert status == 0


def test_hessian_is_the_flows_jacobian_negated():
    numba = pytest.importorskip("numba")
    pointer = numba.types.CPointer(numba.float64)
    expected = np.array([[-2.0, -0.5], [-0.5, -12.0]])

    @numba.cfunc(numba.int32(pointer, pointer, numba.intp, numba.types.voidptr))
    def hess(c, out, n, data):
        out[0], out[1], out[2], out[3] = 2.0, 0.5, 0.5, 3.0 * c[1]
        return 0

    def python(c):
        return np.array([[2.0, 0.5], [0.5, 3.0 * c[1]]])

    for given in (hess, python, np.array([[2.0, 0.5], [0.5, 12.0]])):
        problem = objective_problem(lambda c: 0.0, lambda c: c, (2,), hess=given)
        assert np.array_equal(problem.jacobian(0.0, [1.0, 4.0]), expected)
    with pytest.raises(ValueError, match=r"hess: expected shape \(2, 2\).*, got shape \(2,\)"):
        objective_problem(lambda c: 0.0, lambda c: c, (2,), hess=lambda c: c).jacobian(0.0, [1.0, 4.0])
