"""Residuals without Python: the same bits as through Python, for one fit and for many; SciPy's tests of the end."""

from __future__ import annotations

import ctypes
import math
import threading
from functools import partial

import numpy as np
import pytest
import scipy.optimize
from mflow_core.fitting.callbacks import Calls
from mflow_core.fitting.fit import Fit

import mflow
from mflow.data import load_nist, nist_names
from mflow.fitting.batch import PIECE

T = np.linspace(0.0, 5.0, 40)
RNG = np.random.default_rng(3)
TRUE = np.stack([RNG.uniform(1, 4, 30), RNG.uniform(0.5, 2, 30), RNG.uniform(0, 1, 30)], axis=1)
Y = TRUE[:, :1] * np.exp(-TRUE[:, 1:2] * T) + TRUE[:, 2:] + 0.02 * RNG.standard_normal((30, 40))

POINTER = ctypes.POINTER(ctypes.c_double)
RESIDUALS = ctypes.CFUNCTYPE(ctypes.c_int, POINTER, POINTER, POINTER, ctypes.c_ssize_t, ctypes.c_ssize_t, ctypes.c_void_p)


def c_function(y, code=0):
    """A decay as a function of C's signature."""

    def fill(x, r, jac, m, n, data):
        a, k, c = x[0], x[1], x[2]
        e = np.exp(-k * T)
        if r:
            np.ctypeslib.as_array(r, (m,))[:] = a * e + c - y
        if jac:
            np.ctypeslib.as_array(jac, (m, n))[:] = np.stack([e, -a * T * e, np.ones(m)], axis=1)
        return code

    return RESIDUALS(fill)


@pytest.mark.parametrize("name", nist_names())
def test_an_objective_has_the_bits_of_its_functions(name):
    f = mflow.objectives.nist(name)
    with np.errstate(all="ignore"):
        through = mflow.least_squares(partial(f.residuals), f.x0, partial(f.jac))
    for compiled in (mflow.least_squares(f, f.x0), mflow.least_squares(f.residuals, f.x0, f.jac)):
        assert compiled.x.tobytes() == through.x.tobytes()
        assert (compiled.nfev, compiled.nit, compiled.reason) == (through.nfev, through.nit, through.reason)
    batch = mflow.least_squares_batch(f, [f.x0, f.x0])
    assert batch.x[1].tobytes() == through.x.tobytes()
    assert batch.nfev.tolist() == [through.nfev] * 2


@pytest.mark.parametrize("jac", [True, "2-point", "3-point"])
def test_a_function_of_c(jac):
    sigma = np.linspace(0.5, 2.0, 40)
    r = mflow.least_squares(c_function(Y[0]), [1.0, 1.0, 1.0], jac, m=40, sigma=sigma)
    peer = mflow.least_squares(
        lambda b: b[0] * np.exp(-b[1] * T) + b[2] - Y[0], [1.0, 1.0, 1.0], "2-point" if jac is True else jac, sigma=sigma
    )
    assert r.success, r.message
    np.testing.assert_allclose(r.x, peer.x, rtol=1e-6)
    if jac is not True:
        assert r.x.tobytes() == peer.x.tobytes()


def test_compiled_functions_that_fail_or_do_not_fit():
    with pytest.raises(RuntimeError, match="expected 0 from the compiled residuals, got code -7"):
        mflow.least_squares(c_function(Y[0], code=7), [1.0, 1.0, 1.0], True, m=40)
    for error, words, fun, more in (
        (ValueError, "m: expected the number of residuals of a compiled function", c_function(Y[0]), {}),
        (ValueError, "m: expected None beside a Python function", lambda x: x, {"m": 3}),
        (TypeError, "jac: expected True, where the compiled function fills", c_function(Y[0]), {"m": 40, "jac": lambda x: x}),
        (ValueError, "sigma: expected 40 numbers", c_function(Y[0]), {"m": 40, "jac": True, "sigma": np.ones(3)}),
        (TypeError, "no sum of squares", mflow.objectives.Quadratic(np.eye(3)), {}),
        (ValueError, "x0: expected 4 numbers", mflow.objectives.mgh("powell_singular"), {}),
    ):
        with pytest.raises(error, match=words):
            mflow.least_squares(fun, [1.0, 1.0, 1.0], **more)


def test_a_batch_is_its_fits():
    f = mflow.objectives.curve("exponential", T, Y[0])
    many = mflow.least_squares_batch(f, np.ones((30, 3)), batch_data={"y": Y}, errors=True)
    assert many.success, many.message
    for k in (0, 7, 29):
        one = mflow.curve_fit("exponential", T, Y[k], np.ones(3))
        np.testing.assert_allclose(many.x[k], one.popt, rtol=1e-6)
        np.testing.assert_allclose(many.errors[k], one.stderr, rtol=1e-5)
        alone = mflow.least_squares(mflow.objectives.curve("exponential", T, Y[k]), np.ones(3))
        assert many[k].x.tobytes() == alone.x.tobytes()
        assert (many[k].cost, many[k].nfev) == (pytest.approx(alone.cost, rel=1e-14), alone.nfev)
    assert many.message == "30 converged"


def test_threads_change_no_bit():
    f = mflow.objectives.curve("exponential", T, Y[0])
    starts = np.ones((2 * PIECE + 5, 3))
    data = Y[np.arange(len(starts)) % 30]
    runs = [mflow.least_squares_batch(f, starts, batch_data={"y": data}, threads=k, ftol=1e-8) for k in (1, 3)]
    assert runs[0].x.tobytes() == runs[1].x.tobytes()
    assert runs[0].x[30].tobytes() == runs[0].x[0].tobytes()


def test_endings_of_a_batch():
    f = mflow.objectives.curve("power_law", [2.0, 3.0, 4.0], [4.0, 9.1, 16.0])
    r = mflow.least_squares_batch(f, [[1.0, 1.0], [math.nan, 1.0], [0.0, 0.0], [1.0, -2000.0]], max_nfev=200)
    assert r.reason == ["converged", "non_finite", r.reason[2], "insensitive"]
    assert r.status[[0, 1, 3]].tolist() == [1, -1, -1]
    assert not r.success
    np.testing.assert_array_equal(r.x[1], [math.nan, 1.0])
    bounded = mflow.least_squares_batch(f, np.ones((2, 2)), bounds=([0, 0], [9, 1.5]), fixed=[False, False])
    peer = mflow.least_squares(f, np.ones(2), bounds=([0, 0], [9, 1.5]))
    assert bounded.x[0].tobytes() == peer.x.tobytes()
    assert mflow.least_squares_batch(f, np.ones((0, 2))).message == "no fits"
    with pytest.raises(TypeError, match="fit a Python function to one set"):
        mflow.least_squares_batch(lambda x: x, np.ones((2, 2)))
    with pytest.raises(ValueError, match="starts: expected starts within bounds, got start 1"):
        mflow.least_squares_batch(f, [[1.0, 1.0], [1.0, 5.0]], bounds=(0, 2))


@pytest.mark.parametrize("bounds", [(-np.inf, np.inf), ([0.5, 0.0, -9.0], [9.0, 9.0, 0.4])])
def test_a_batch_with_fewer_residuals_than_parameters(bounds):
    """Each fit has the bits that it has alone, and no standard errors."""
    f = mflow.objectives.curve("exponential", [0.5, 2.0], [2.0, 1.0])
    starts = np.array([[1.0, 1.0, 0.2], [2.0, 0.1, 0.3], [3.0, 2.0, -1.0]])
    r = mflow.least_squares_batch(f, starts, bounds=bounds, errors=True)
    assert r.success
    assert np.isinf(r.errors).any(axis=1).all()
    for k, start in enumerate(starts):
        alone = mflow.least_squares(f, start, bounds=bounds)
        assert (r.x[k].tobytes(), r.nfev[k], r.reason[k]) == (alone.x.tobytes(), alone.nfev, alone.reason)
        a, rate, c = r.x[k]
        np.testing.assert_allclose(a * np.exp(-rate * np.array([0.5, 2.0])) + c, [2.0, 1.0], atol=1e-9)


def test_scipys_tests_of_the_end():
    """MINPACK's, at the tolerances given: status, and a cost as near to the least one as they say."""
    p = load_nist("Misra1a")
    best = 0.5 * p.certified_residual_sum_of_squares
    for more, status in (({"ftol": 1e-6}, 2), ({"xtol": 1e-7}, 3), ({"ftol": 1e-2, "xtol": 1e-4}, 4)):
        r = mflow.least_squares(p.residual, p.starts[0], p.jacobian, gtol=None, **more)
        assert r.status == status, r.message
        assert r.cost <= best * (1 + 10 * max(more.values()))
        np.testing.assert_array_equal(r.jac, p.jacobian(r.x))
    calls = [0]

    def fun(b):
        calls[0] += 1
        return p.residual(b)

    mflow.least_squares(fun, p.starts[0], gtol=None, ftol=1e-8, xtol=1e-8)
    ours, calls[0] = calls[0], 0
    scipy.optimize.least_squares(fun, p.starts[0], method="lm", x_scale="jac", ftol=1e-8, xtol=1e-8)
    assert ours <= calls[0]


def test_a_run_entered_twice_says_so():
    caught = []

    def fun(b):
        if not caught:
            try:
                inner[0].advance()
            except RuntimeError as error:
                caught.append(str(error))
        return b - 1.0

    from mflow_core.fitting.callbacks import Calls
    from mflow_core.fitting.fit import Fit

    calls = Calls(fun, lambda b: np.eye(2), (), {}, 2, np.asarray, np.asarray)
    inner = [None]
    caught.append("first")
    f = calls.first(np.zeros(2))
    caught.clear()
    inner[0] = Fit(calls, np.zeros(2), 2, f)
    inner[0].settings(0.0, 0.0, 1e-11, 100, 0, 0.0, False, False)
    inner[0].begin(False)
    assert "already going" in caught[0]


def test_compiled_fits_run_on_threads_at_once():
    f = mflow.objectives.nist("Thurber")
    found = [None] * 4

    def work(k):
        found[k] = mflow.least_squares(f, f.x0).x.tobytes()

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert len(set(found)) == 1


@pytest.mark.parametrize("seed", [0, 4])
def test_ftol_alone_ends_a_run_that_has_gone_past_it(seed: int) -> None:
    """One step of these fits goes from above ftol to the rounding of the cost, where the gain over the foreseen decrease is any number."""
    rng, t = np.random.default_rng(seed), np.linspace(0, 5, 50)
    a, k, c = (rng.uniform(low, high, (400, 1)) for low, high in ((1, 4), (0.5, 2), (0, 1)))
    y = a * np.exp(-k * t) + c + 0.02 * rng.standard_normal((400, 50))
    f = mflow.objectives.curve("exponential", t, y[0])
    r = mflow.least_squares_batch(f, np.ones((400, 3)), batch_data={"y": y}, threads=1, ftol=1e-8, gtol=None)
    assert r.success, r.message
    assert r.nfev.max() < 30
    assert set(r.status) <= {1, 2}


@pytest.mark.parametrize("start", [0, 1])
def test_a_tolerance_below_rounding_leaves_the_gradient_to_decide(start: int) -> None:
    """NIST's ENSO, whose steps shrink slowly: a change of 1e-15 of the cost is seen long before x has its digits."""
    problem = load_nist("ENSO")
    x0, right = problem.starts[start], problem.certified_parameters
    one = mflow.least_squares(problem.residual, x0, problem.jacobian, ftol=1e-15)
    many = mflow.least_squares_batch(problem.objective, x0[None], ftol=1e-15)
    for x in (one.x, many.x[0]):
        np.testing.assert_allclose(x, right, rtol=1e-8)
    early = mflow.least_squares(problem.residual, x0, problem.jacobian, ftol=1e-10)
    assert early.status == 2
    assert early.nfev < 0.7 * one.nfev


def test_several_sets_of_data_where_one_is_expected_are_named_with_the_way() -> None:
    with pytest.raises(TypeError, match=r"^batch_data: expected None beside a compiled function, .*mflow\.least_squares with"):
        mflow.least_squares_batch(c_function(Y[0]), np.ones((3, 3)), m=40, batch_data={"y": Y[:3]})
    with pytest.raises(ValueError, match=r"expected 120 numbers.*; 3 sets of data are fitted .*least_squares_batch"):
        mflow.curve_fit(lambda x, a, k, c: a * np.exp(-k * x) + c, T, Y[:3], [1.0, 1.0, 1.0])


def test_a_batch_as_a_table():
    pandas = pytest.importorskip("pandas")
    curve = mflow.objectives.curve("exponential", T, Y[0])
    r = mflow.least_squares_batch(curve, np.ones((30, 3)), batch_data={"y": Y}, errors=True, ftol=1e-12)
    table = r.to_frame(["a", "k", "c"])
    assert isinstance(table, pandas.DataFrame)
    assert list(table) == ["a", "k", "c", "stderr a", "stderr k", "stderr c", "cost", "optimality", "nit", "nfev", "reason", "success"]
    assert table["k"].tolist() == r.x[:, 1].tolist()
    assert table["stderr c"].tolist() == r.errors[:, 2].tolist()
    assert table["success"].all()
    plain = mflow.least_squares_batch(curve, np.ones((2, 3))).to_frame()
    assert list(plain)[:4] == ["x[0]", "x[1]", "x[2]", "cost"]
    for names in (["a", "k"], ["a", "a", "c"], ["a", "k", "cost"]):
        with pytest.raises(ValueError, match="names: expected 3 different names"):
            r.to_frame(names)


def test_arrays_of_another_size_are_refused_before_they_are_read() -> None:
    """The core read as many numbers as there are parameters, wherever the array ended."""
    run = Fit(Calls(lambda x: x - 1.0, None, (), {}, 3, None, None), np.zeros(3), 3)
    changes = (run.shortest, run.scale, run.move, run.residuals, run.jacobian, lambda a: run.box(a, a), lambda a: run.bends(a, 0.1, 0.1))
    for change in changes:
        with pytest.raises(TypeError, match="expected a C-contiguous float64 array of 3 numbers, got 2"):
            change(np.zeros(2))
    with pytest.raises(TypeError, match="array of 3 numbers"):
        run.shortest(np.zeros(3, np.float32))
    with pytest.raises(ValueError, match="fixed: expected 3 truth values, got 2"):
        run.hold([True, False])
