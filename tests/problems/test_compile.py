"""`mflow.compile` and `compiled_from_sympy`: against the Python functions, closed forms, and finite differences."""

from __future__ import annotations

import math
import pickle
import sys
from concurrent import futures

import numpy as np
import pytest

import mflow

numba = pytest.importorskip("numba")


def oscillator(t, y):
    return y[1], -y[0]


def test_a_right_hand_side_gives_what_python_gives():
    compiled = mflow.compile(oscillator)
    assert compiled.kind == "rhs"
    settings = {"rtol": 1e-9, "atol": 1e-9, "dense_output": True}
    a, b = (mflow.solve_ivp(f, (0, 10), [1.0, 0.0], **settings) for f in (compiled, oscillator))
    assert np.array_equal(a.t, b.t)
    assert np.array_equal(a.y, b.y)
    assert a.y[0, -1] == pytest.approx(math.cos(10), abs=1e-7)
    assert compiled(0.0, np.array([2.0, 3.0])) == (3.0, -2.0)


@pytest.mark.parametrize(
    "fun",
    [lambda t, y: [y[1], -y[0]], lambda t, y: np.array([y[1], -y[0]]), lambda t, y: (y[1] + 0 * t, -1 * y[0])],
    ids=["list", "array", "tuple"],
)
def test_what_a_function_may_return(fun):
    r = mflow.solve_ivp(mflow.compile(fun), (0, 1), [1.0, 0.0], method="rk4", dt=0.1)
    assert np.array_equal(r.y, mflow.solve_ivp(oscillator, (0, 1), [1.0, 0.0], method="rk4", dt=0.1).y)


def test_whole_numbers_in_a_tuple():
    r = mflow.solve_ivp(mflow.compile(lambda t, y: (y[1], 0)), (0, 3), [1.0, 2.0], method="rk4", dt=0.5)
    assert r.y[:, -1].tolist() == [7.0, 2.0]


def test_inplace_args_jacobian_and_event():
    def decay(t, y, out, k):
        out[0] = -k[0] * y[0]

    def slope(t, y, out, k):
        out[0, 0] = -k[0]

    f = mflow.compile(decay, inplace=True, args=(np.array([3.0]),), jac=slope)
    half = mflow.compile(lambda t, y: y[0] - 0.5, kind="event")
    half.terminal = True
    r = mflow.solve_ivp(f, (0, 9), [1.0], method="esdirk43", rtol=1e-9, atol=1e-9, events=half)
    assert r.reason == "event"
    assert r.t[-1] == pytest.approx(math.log(2) / 3, abs=1e-8)
    assert r.njev > 0
    assert f(0.0, np.ones(1)).tolist() == [-3.0]
    assert f.jac(0.0, np.ones(1)).tolist() == [[-3.0]]


def test_endings_name_what_happened_inside():
    def fails(t, y):
        if t > 1:
            raise ValueError("no further")
        return -y[0], -y[1]

    r = mflow.solve_ivp(mflow.compile(fails), (0, 9), [1.0, 1.0], method="rk4", dt=0.25)
    assert (r.reason, r.t[-1]) == ("rhs_failed", 1.0)
    assert "exception was raised inside" in r.message
    r = mflow.solve_ivp(mflow.compile(lambda t, y: (y[0], y[1], 1.0)), (0, 9), [1.0, 1.0])
    assert r.reason == "rhs_failed"
    assert "another number of values" in r.message
    r = mflow.solve_ivp(mflow.compile(lambda t, y: (y[0] / (y[0] - t), 0.0)), (0, 1), [0.0, 0.0], method="euler", dt=0.1)
    assert r.reason == "non_finite"


def cost(x):
    return 100 * (x[1] - x[0] ** 2) ** 2 + (1 - x[0]) ** 2


def grad(x):
    return np.array([-400 * x[0] * (x[1] - x[0] ** 2) - 2 * (1 - x[0]), 200 * (x[1] - x[0] ** 2)])


cost_, grad_ = numba.njit(cost), numba.njit(grad)  # which compile where they are first called


@pytest.mark.parametrize("jac", ["pair", "separate", None, "3-point", "inplace"])
def test_costs_give_what_python_gives(jac):
    start, settings = [-1.2, 1.0], {"method": "adam", "lr": 0.02, "maxiter": 50, "gtol": 0.0}

    def pair(x):
        return cost_(x), grad_(x)

    def fills(x, out):
        out[0], out[1] = grad_(x)[0], grad_(x)[1]
        return cost_(x)

    if jac == "pair":
        compiled, plain = mflow.compile(pair, jac=True), {"fun": lambda x: (cost(x), grad(x)), "jac": True}
    elif jac == "separate":
        compiled, plain = mflow.compile(cost, jac=grad), {"fun": cost, "jac": grad}
    elif jac == "inplace":
        compiled, plain = mflow.compile(fills, inplace=True), {"fun": cost, "jac": grad}
    else:
        compiled, plain = mflow.compile(cost, jac=jac), {"fun": cost, "jac": jac}
    a = mflow.minimize(compiled, start, **settings)
    b = mflow.minimize(plain["fun"], start, jac=plain["jac"], **settings)
    assert a.fun == pytest.approx(b.fun, rel=1e-9)
    assert np.allclose(a.x, b.x, rtol=1e-7, atol=0)  # x**2 is a product here and a power there


def test_force_load_and_hessian():
    s = mflow.solve_dynamics(
        mass=1.0, force=mflow.compile(lambda t, x, v: (-x[0],)), t_span=(0, 1), x0=[1.0], v0=[0.0], method="leapfrog", dt=0.001
    )
    assert s.x[0, -1] == pytest.approx(math.cos(1), abs=1e-6)
    load = mflow.compile(lambda t: 2.0 * t, kind="load")
    s = mflow.solve_dynamics(mass=1.0, stiffness=0.0, load=load, t_span=(0, 1), x0=[0.0], v0=[0.0], method="newmark", dt=0.01)
    assert s.x[0, -1] == pytest.approx(1 / 3, abs=1e-3)
    bowl = mflow.compile(lambda x: (x[0] ** 2 + x[1] ** 2) / 2, jac=lambda x: x, hess=lambda x: np.eye(x.size))
    res = mflow.minimize(bowl, [3.0, 4.0], method="backward_euler", dt=1e6, gtol=1e-9)
    assert res.success
    assert np.allclose(res.x, 0, atol=1e-8)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: mflow.compile(3), TypeError, "fun: expected a function, got int"),
        (lambda: mflow.compile(lambda: 1.0), ValueError, "fun: expected .*, got 0 arguments"),
        (lambda: mflow.compile(lambda *y: 1.0), TypeError, r"\*args"),
        (lambda: mflow.compile(oscillator, kind="slope"), ValueError, "kind: expected one of 'rhs'"),
        (lambda: mflow.compile(oscillator, kind="force"), ValueError, "fun: expected 3 for kind='force', got 2 arguments"),
        (lambda: mflow.compile(oscillator, hess=grad), ValueError, "hess: expected none with kind='rhs'"),
        (lambda: mflow.compile(cost, jac="backwards"), ValueError, "2-point"),
        (lambda: mflow.compile(lambda t, y: sys.exit(y)), TypeError, "numba cannot compile it"),
        (lambda: mflow.compile(lambda t, y: "text"), TypeError, "expected it to return an array"),
        (lambda: mflow.compile(lambda t, y, I: [I - y[0]]), TypeError, r"besides t and y is given as args=\(\.\.\.\)"),
        (lambda: mflow.compile(cost, kind="cost"), ValueError, "got 'cost'; a cost of x is an 'objective'"),
        (lambda: mflow.solve_ivp(mflow.compile(oscillator), (0, 1), [1.0, 0.0], args=(2.0,)), TypeError, "give args to mflow.compile"),
    ],
)
def test_bad_input(call, error, words):
    with pytest.raises(error, match=words):
        call()


def test_the_state_is_read_only_inside():
    def writes(t, y):
        y[0] = 3.0
        return y

    with pytest.raises(TypeError, match="writes: expected a function that only reads its state"):
        mflow.compile(writes)


def test_an_index_past_the_end_ends_the_run():
    r = mflow.solve_ivp(mflow.compile(lambda t, y: -y[0] * y[5 + int(t)]), (0, 1), [1.0])
    assert r.reason == "rhs_failed"
    assert "exception was raised inside" in r.message


def test_the_wrong_kind_is_refused_by_the_driver():
    with pytest.raises(TypeError, match=r"expected a compiled function of kind .rhs., got one of kind .objective."):
        mflow.solve_ivp(mflow.compile(cost, jac=grad), (0, 1), [1.0, 1.0])


def test_without_numba(monkeypatch):
    monkeypatch.setitem(sys.modules, "numba", None)
    with pytest.raises(ImportError, match=r"momentum-flow\[compile\]"):
        mflow.compile(oscillator)


# ---- symbols ------------------------------------------------------------------------------------------------------------------------


def differences(f, y, size=1e-6):
    columns = [(np.asarray(f(y + size * e)) - np.asarray(f(y - size * e))) / (2 * size) for e in np.eye(y.size)]
    return np.stack(columns, axis=-1)


def test_van_der_pol_from_symbols():
    sympy = pytest.importorskip("sympy")
    y, v, mu = sympy.symbols("y v mu")
    f = mflow.compiled_from_sympy([v, mu * (1 - y**2) * v - y], [y, v], parameters={mu: 100.0})
    at = np.array([0.7, -1.3])
    assert f(0.0, at).tolist() == [at[1], 100.0 * (1 - at[0] ** 2) * at[1] - at[0]]
    assert np.allclose(f.jac(0.0, at), differences(lambda z: f(0.0, z), at), rtol=1e-7, atol=1e-7)
    r = mflow.solve_ivp(f, (0, 200), [2.0, 0.0], method="esdirk43", rtol=1e-6, atol=1e-8)

    def plain(t, z):
        return np.array([z[1], 100.0 * (1 - z[0] ** 2) * z[1] - z[0]])

    want = mflow.solve_ivp(plain, (0, 200), [2.0, 0.0], method="esdirk43", rtol=1e-9, atol=1e-11)
    assert r.success
    assert r.njev > 0
    assert np.allclose(r.y[0, -1], want.y[0, -1], rtol=1e-4)


def test_a_cost_from_symbols_brings_its_derivatives():
    sympy = pytest.importorskip("sympy")
    x, y = sympy.symbols("x y")
    f = mflow.compiled_from_sympy(sympy.exp(x) * sympy.sin(y) + x**2 * y**4 + sympy.Abs(y - 1), [x, y])
    at = np.array([0.3, 0.4])
    assert f(at)[0] == pytest.approx(math.exp(0.3) * math.sin(0.4) + 0.09 * 0.4**4 + 0.6, rel=1e-15)
    assert np.allclose(f(at)[1], differences(lambda z: f(z)[0], at), rtol=1e-8)
    assert np.allclose(f.hess(at), differences(lambda z: f(z)[1], at), rtol=1e-7, atol=1e-8)


def test_forces_time_and_kinks_from_symbols():
    sympy = pytest.importorskip("sympy")
    x, v, t = sympy.symbols("x v t")
    f = mflow.compiled_from_sympy([-x - sympy.sign(v) * sympy.Rational(1, 10) + sympy.Max(t - 1, 0)], [x], velocities=[v], t=t)
    assert f.kind == "force"
    assert f(3.0, np.array([0.5]), np.array([-2.0])).tolist() == pytest.approx([-0.5 + 0.1 + 2.0])
    g = mflow.compiled_from_sympy([sympy.Max(x, t)], [x], t=t)
    assert [g.jac(1.0, np.array([z]))[0, 0] for z in (0.0, 1.0, 2.0)] == [0.0, 0.5, 1.0]


def test_blocks_of_trajectories_from_symbols():
    """The bits of the same formula alone; with arguments of their own, closed forms."""
    sympy = pytest.importorskip("sympy")
    x, y, t, k, w = sympy.symbols("x y t k w")
    formula = [y / (1 + x**2), t - x * y**2]
    block, alone = mflow.compiled_from_sympy(formula, [x, y], t=t, batch=True), mflow.compiled_from_sympy(formula, [x, y], t=t)
    starts = np.random.default_rng(3).uniform(0.5, 1.5, (9, 2))
    found = mflow.solve_ivp_batch(block, (0, 2), starts, "rk4", dt=0.125, batch=True)
    for start, end in zip(starts, found.y, strict=True):
        assert np.array_equal(end, mflow.solve_ivp(alone, (0, 2), start, method="rk4", dt=0.125).y[:, -1])
    own = np.array([[0.5, 1.0], [1.0, 2.0], [2.0, 3.0]])
    turning = mflow.compiled_from_sympy([-k * x, w * y], [x, y], batch=True, batch_args=[k, w])
    found = mflow.solve_ivp_batch(turning, (0, 1), [1.0, 2.0], "dop853", rtol=1e-10, atol=1e-12, batch=True, batch_args=own)
    assert np.allclose(found.y, np.exp(own * [-1.0, 1.0]) * [1.0, 2.0], rtol=1e-9)
    for starts, given, words in (
        ([[1.0]], own[:1], "fun: expected a function of 1 numbers, .* which is of 2"),
        ([[1.0, 2.0]], None, "batch_args: expected 2 for each trajectory, as the function has them, got 0"),
        ([[1.0, 2.0]], own[:1, :1], "batch_args: expected 2 for each trajectory, as the function has them, got 1"),
    ):
        with pytest.raises(ValueError, match=words):
            mflow.solve_ivp_batch(turning, (0, 1), starts, batch=True, batch_args=given)


def test_a_block_of_trajectories_is_compiled_as_it_is_written():
    def decay(t, y, out, n, lanes):
        for i in range(n * lanes):
            out[i] = -y[i]

    block = mflow.compile(decay, kind="block", inplace=True)
    found = mflow.solve_ivp_batch(block, (0, 1), [[1.0, 2.0], [3.0, 4.0]], rtol=1e-10, atol=1e-12, batch=True)
    assert np.allclose(found.y, np.array([[1.0, 2.0], [3.0, 4.0]]) / math.e, rtol=1e-9)
    with pytest.raises(ValueError, match="inplace: expected True with kind='block'"):
        mflow.compile(lambda t, y, n, lanes: y, kind="block")


def test_symbols_that_do_not_fit():
    sympy = pytest.importorskip("sympy")
    x, y, q = sympy.symbols("x y q")
    for call, words in (
        (lambda: mflow.compiled_from_sympy([x + q], [x]), "expressions: expected state and time, got q, too"),
        (lambda: mflow.compiled_from_sympy([x, y], [x, y, q]), "expressions: expected 3, one for each symbol, got 2"),
        (lambda: mflow.compiled_from_sympy(x, [x], velocities=[y]), "velocities: expected a list of expressions with them"),
        (lambda: mflow.compiled_from_sympy([sympy.Function("f")(x)], [x]), "expressions: expected functions that can be written as code"),
        (lambda: mflow.compiled_from_sympy([x, x], [x, x]), "symbols: expected each once .*, got x twice"),
        (lambda: mflow.compiled_from_sympy([x], [x + 1]), r"symbols: expected sympy symbols, got x \+ 1"),
        (lambda: mflow.compiled_from_sympy([x * q], [x], batch_args=[q]), "batch_args: expected none without batch=True"),
        (lambda: mflow.compiled_from_sympy(x, [x], batch=True), "batch: expected a list of expressions with it"),
    ):
        with pytest.raises(ValueError, match=words):
            call()


def test_functions_from_symbols_know_their_size():
    """Of another size they would read and write past the end, in every driver and as every argument."""
    sympy = pytest.importorskip("sympy")
    y, v = sympy.symbols("y v")
    slope, cost = mflow.compiled_from_sympy([v, -y], [y, v]), mflow.compiled_from_sympy(y**2 + 3 * v**2, [y, v])
    pull = mflow.compiled_from_sympy([-y - v, -v], [y, v], velocities=sympy.symbols("a b"))
    for n in (1, 3):
        start = np.ones(n)
        for call in (
            lambda start: mflow.solve_ivp(slope, (0, 1), start),
            lambda start: mflow.solve_ivp(lambda t, y: -y, (0, 1), start, method="esdirk43", jac=slope.jac),
            lambda start: mflow.minimize(cost, start),
            lambda start: mflow.minimize_batch(cost, np.tile(start, (2, 1))),
            lambda start: mflow.solve_dynamics(mass=1.0, force=pull, t_span=(0, 1), x0=start, dt=0.1),
            lambda start: mflow.explain(cost, start),
        ):
            with pytest.raises(ValueError, match=rf": expected a function of {n} numbers, .* got <mflow Compiled .*, which is of 2"):
                call(start)


def test_explain_takes_compiled_costs():
    """Their gradient comes with the value, in one call."""
    sympy = pytest.importorskip("sympy")
    y, v = sympy.symbols("y v")
    for cost in (mflow.compiled_from_sympy(y**2 + 3 * v**2, [y, v]), mflow.compile(lambda x: x[0] ** 2 + 3 * x[1] ** 2)):
        np.testing.assert_allclose(mflow.explain(cost, [1.0, 1.0]).curvature, 6.0, rtol=1e-3)


def test_checked_indices_stay_checked():
    beyond = mflow.compile(numba.njit(boundscheck=True)(lambda t, y: (y[5], y[0])))
    r = mflow.solve_ivp(beyond, (0, 1), [1.0, 2.0])
    assert r.reason == "rhs_failed"
    assert "exception was raised inside" in r.message


# ---- in another process -----------------------------------------------------------------------------------------------------------------


def spiral(t, y):
    return -0.1 * y[0] + y[1], -y[0] - 0.1 * y[1]


@pytest.fixture(scope="module")
def compiled_spiral():
    """As the decorator would leave it in this module, but not where tests are collected."""
    globals()["spiral"] = mflow.compile(spiral)
    return spiral


def plain(t, y):
    return 2.0 * y[1], -y[0]


def test_a_compiled_function_pickles_by_its_name(compiled_spiral):
    assert pickle.loads(pickle.dumps(compiled_spiral)) is compiled_spiral


def test_one_under_another_name_is_compiled_again():
    sent = pickle.dumps(mflow.compile(plain, boundscheck=False))
    again = pickle.loads(sent)
    assert again is pickle.loads(sent)  # once in a process
    runs = [mflow.solve_ivp(f, (0, 1), [1.0, 0.0]) for f in (again, plain)]
    assert np.array_equal(runs[0].y, runs[1].y)


def test_one_without_a_name_goes_as_a_whole_where_that_is_possible():
    cloudpickle = pytest.importorskip("cloudpickle")
    scale = 3.0
    cost = mflow.compile(lambda x: (x[0] ** 2 * scale, (2 * scale * x[0],)), jac=True)
    again = pickle.loads(cloudpickle.dumps(cost))
    assert mflow.minimize(again, [1.0]).fun == mflow.minimize(cost, [1.0]).fun == 0.0


def test_it_runs_in_a_pool_of_processes(compiled_spiral):
    y0 = np.linspace(1, 2, 8)[:, None] * np.ones(2)
    with futures.ProcessPoolExecutor(1) as pool:
        r = mflow.solve_ivp_batch(compiled_spiral, (0, 1), y0, executor=pool)
    assert np.array_equal(r.y, mflow.solve_ivp_batch(compiled_spiral, (0, 1), y0).y)
