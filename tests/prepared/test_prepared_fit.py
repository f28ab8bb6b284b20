"""Prepared fits: SciPy's parameters and covariances, from Python, C and numba; true endings; what they refuse."""

from __future__ import annotations

import contextlib
import copy
import ctypes
import functools
import math
import pickle
import signal
import threading

import numpy as np
import pytest

import mflow
from mflow.problems import compiled
from support.hosts import library, needs_compiler

optimize = pytest.importorskip("scipy.optimize")

DOUBLES = ctypes.POINTER(ctypes.c_double)
MODEL = ctypes.CFUNCTYPE(ctypes.c_int, DOUBLES, DOUBLES, DOUBLES, ctypes.c_ssize_t, ctypes.c_ssize_t, ctypes.c_void_p)
X = np.linspace(0.0, 4.0, 25)
Y = 2.5 * np.exp(-1.3 * X) + 0.5 + 0.05 * np.cos(40.0 * X)
SIGMA = 0.05 + 0.01 * X
P0 = np.ones(3)


def decay(x, a, k, c):
    return a * np.exp(-k * x) + c


def slopes(x, a, k, c):
    return np.exp(-k * x), -a * x * np.exp(-k * x), 1.0


def native(f, jac=None):
    """A model as C sees it."""

    @MODEL
    def model(p, values, J, m, n, at):
        x, more = np.ctypeslib.as_array(ctypes.cast(at, DOUBLES), (m,)), [p[j] for j in range(n)]
        if values:
            np.ctypeslib.as_array(values, (m,))[:] = f(x, *more)
        if J:
            for j, column in enumerate(jac(x, *more)):
                np.ctypeslib.as_array(J, (m, n))[:, j] = column
        return 0

    return model


def theirs(**more):
    return optimize.curve_fit(decay, X, Y, P0, jac=lambda x, *p: np.stack(np.broadcast_arrays(*slopes(x, *p)), axis=1), **more)


KINDS = {
    "curve": ("exponential", None),
    "compiled": (native(decay), None),
    "compiled, jac": (native(decay, slopes), True),
    "numba": (decay, None),
    "numba, jac": (decay, slopes),
}


@functools.cache
def prepared(kind):
    if "numba" in kind:
        pytest.importorskip("numba")
    f, jac = KINDS[kind]
    return mflow.compile_fit(f, X.size, 3 if "compiled" in kind else None, jac=jac)


@pytest.mark.parametrize("kind", KINDS)
def test_it_finds_the_parameters_and_covariance_of_scipy(kind):
    fit = prepared(kind)
    assert (fit.m, fit.n) == (25, 3)
    for sigma, more in ((None, {}), (SIGMA, {"sigma": SIGMA}), (None, {})):
        popt, pcov = theirs(**more)
        found = fit(X, list(Y), P0, sigma)
        assert np.allclose(found, popt, rtol=1e-6)
        assert np.allclose(fit.pcov, pcov, rtol=1e-4)  # after differences the Jacobian is that of one step before
        assert np.allclose(fit.stderr, np.sqrt(np.diag(pcov)), rtol=1e-4)
        residuals = (decay(X, *found) - Y) / (1.0 if sigma is None else sigma)
        assert np.allclose(fit.residuals, residuals, atol=1e-14)
        assert fit.cost == pytest.approx(0.5 * float(residuals @ residuals), rel=1e-13)
        assert fit.ending in (1, 2, 3, 4)
        assert fit.nfev > fit.nit > 0


@pytest.mark.parametrize("kind", KINDS)
def test_data_without_noise_are_fitted_to_their_parameters(kind):
    """The last step of differences then begins where the residuals are mostly the model's own, and ends where there are none."""
    fit = prepared(kind)
    for true in ([2.5, 1.3, 0.5], [1.0, 0.5, 0.0]):
        for noise in (0.0, 1e-9):
            y = decay(X, *true) + noise * np.cos(40.0 * X)
            assert np.allclose(fit(X, y, P0), true, atol=1e-12 + 10.0 * noise)
            assert fit.cost <= 0.5 * X.size * noise**2 + 1e-28


def test_an_offset_of_0_is_told_from_a_model_without_it():
    """Differences over steps as short as an offset of 1e-17 do not move the model: that is no column of zeros (one of 200 ended so)."""
    fit = prepared("numba")
    for true, seed in (([1.0, 0.5, 0.0], 2), ([1.0, 0.5, 0.0], 6), ([3.0, 2.0, 0.0], 5), ([3.0, 2.0, 0.0], 7), ([0.5, 0.3, 0.0], 9)):
        rng = np.random.default_rng(seed)
        for _ in range(160):
            y = decay(X, *true) * (1.0 + 2.0**-52 * rng.integers(-1, 2, X.size))
            assert np.allclose(fit(X, y, P0), true, atol=1e-12)


def test_it_has_the_bits_of_curve_fit_after_any_other_call():
    fit, whole = mflow.compile_fit("exponential", X.size), mflow.curve_fit("exponential", X, Y, P0)
    for _ in range(2):
        assert np.array_equal(fit(X, Y, P0), whole.popt)
        assert (fit.cost, fit.nfev) == (whole.cost, whole.nfev)
        with pytest.raises(FloatingPointError):
            fit(X, np.full(X.size, math.nan), P0)
        fit(X, Y[::-1].copy(), [0.1, -0.2, 0.3], SIGMA)


def test_bounds_and_held_parameters_are_those_of_curve_fit():
    box, start = (0.0, [np.inf, np.inf, 0.6]), [1.0, 1.0, 0.5]
    fit = mflow.compile_fit("exponential", X.size, bounds=box, fixed=[0], absolute_sigma=True)
    whole = mflow.curve_fit("exponential", X, Y, start, SIGMA, True, bounds=box, fixed=[0])
    assert np.allclose(fit(X, Y, start, SIGMA), whole.popt, rtol=1e-9)
    assert (whole.popt[0], whole.popt[2]) == (1.0, 0.6)
    assert np.allclose(fit.pcov, whole.pcov, rtol=1e-7)
    with pytest.raises(ValueError, match=r"p0: expected starting values within bounds, got c = 0.7 outside of \[0, 0.6\]"):
        fit(X, Y, [1.0, 1.0, 0.7])


def test_endings_are_true():
    fit = mflow.compile_fit("exponential", X.size)
    with pytest.raises(FloatingPointError, match="residual 3 at p0 is nan"):
        fit(X, np.where(np.arange(X.size) == 3, math.nan, Y), P0)
    assert (fit.ending, fit.nit) == (0, 0)
    assert np.isinf(fit.pcov).all()
    with pytest.raises(FloatingPointError, match=r"residual \d+ at p0 is inf"):
        fit(X, Y, [1.0, -400.0, 1.0])
    short = mflow.compile_fit("exponential", X.size, max_nfev=2)
    with pytest.raises(RuntimeError, match="after 1 step and 2 evaluations: the limit max_nfev was reached") as told:
        short(X, Y, P0)
    assert short.ending == 0
    assert told.value.partial_result.shape == (3,)
    r = decay(X, *told.value.partial_result) - Y
    assert short.cost == pytest.approx(0.5 * float(r @ r), rel=1e-13)


@pytest.mark.parametrize("jac", [None, True])
def test_a_parameter_without_effect_is_no_fit(jac):
    model = native(lambda x, a, b: a * x, lambda x, a, b: (x, 0.0 * x))
    fit = mflow.compile_fit(model, X.size, 2, jac=jac)
    with pytest.raises(RuntimeError, match=r"the Jacobian is 0 along p\[1\] where it ended; start elsewhere, or hold it by fixed="):
        fit(X, Y, [1.0, 1.0])
    assert fit.ending == 0
    held = mflow.compile_fit(model, X.size, 2, jac=jac, fixed=[1])
    assert held(X, Y, [1.0, 7.0]) == pytest.approx([float(X @ Y) / float(X @ X), 7.0], rel=1e-7)  # closed form


@pytest.mark.parametrize(("returned", "code"), [(-7, -7), (7, 7), (-1001, -1001), (-1005, -1005)])  # MF_E_ARGUMENT and MF_E_NON_FINITE
def test_a_model_that_gives_up_says_its_code(returned, code):
    @MODEL
    def model(p, values, J, m, n, at):
        return returned

    with pytest.raises(RuntimeError, match=f"the model gave up with code {code}"):
        mflow.compile_fit(model, 4, 1)(X[:4], Y[:4], [1.0])


def test_a_model_that_gives_up_at_a_good_start_says_its_code_too():
    @MODEL
    def model(p, values, J, m, n, at):
        if p[0] != 1.0:
            return -1005
        for i in range(m):
            values[i] = p[0]
        return 0

    with pytest.raises(RuntimeError, match="the model gave up with code -1005"):
        mflow.compile_fit(model, 4, 1)(X[:4], Y[:4], [1.0])


def test_a_start_that_is_not_finite_does_not_take_the_look_at_the_jacobian():
    wrong = native(lambda x, a, k: a * np.exp(-k * x), lambda x, a, k: (np.exp(-k * x), a * x * np.exp(-k * x)))
    fit = mflow.compile_fit(wrong, X.size, 2, jac=True)
    with np.errstate(all="ignore"), pytest.raises(FloatingPointError):
        fit(X, Y, [1.0, -1e6])
    with pytest.raises(ValueError, match="jac: the Jacobian is not that of the model at p0"):
        fit(X, Y, [1.0, 1.0])


def test_a_call_without_data_gives_p0_back():
    """As mflow/fit.h says of what cannot be evaluated."""
    fit, p0, p = mflow.compile_fit("exponential", X.size), np.array([7.0, 8.0, 9.0]), np.zeros(3)
    for x, y in ((None, Y.ctypes.data), (X.ctypes.data, None)):
        p[:] = 0.0
        assert fit.function(fit.handle, x, y, None, p0.ctypes.data, p.ctypes.data) < 0
        assert p.tolist() == [7.0, 8.0, 9.0]
        assert math.isnan(fit.cost)


@pytest.mark.parametrize(
    "model",
    [
        lambda x, a, k: np.round(a * np.exp(-k * x), 1),
        lambda x, a, k: a * np.exp(-k * x) * (1.0 + 1e-7 * np.sin(1e9 * (x + a + k))),
        lambda x, a, k: np.asarray(a * np.exp(-k * x), dtype=np.float32),
    ],
    ids=["rounded", "noisy", "float32"],
)
def test_differences_of_noise_are_no_fit(model):
    """They are too short for it, and `curve_fit`, which looks for their length, gets farther."""
    fit, whole = mflow.compile_fit(native(model), X.size, 2), mflow.curve_fit(model, X, Y, [1.0, 1.0])
    with pytest.raises(RuntimeError, match=r"mflow\.curve_fit"):
        fit(X, Y, [1.0, 1.0])
    assert fit.ending == 0
    assert fit.cost > whole.cost * (1.0 + 1e-5)


def test_a_wrong_jacobian_is_an_error():
    wrong = native(decay, lambda x, a, k, c: (np.exp(-k * x), a * x * np.exp(-k * x), 1.0))
    fit = mflow.compile_fit(wrong, X.size, 3, jac=True)
    for _ in range(2):
        with pytest.raises(ValueError, match="jac: the Jacobian"):
            fit(X, Y, P0)


def test_a_fit_that_is_in_use_says_so():
    errors, fits = [], []

    def again(x, a, k, c):
        try:
            fits[0](X, Y, P0)
        except RuntimeError as error:
            errors.append(str(error))
        return decay(x, a, k, c)

    model = native(again)
    fits.append(mflow.compile_fit(model, X.size, 3))
    assert np.allclose(fits[0](X, Y, P0), theirs()[0], rtol=1e-6)
    assert errors
    assert all("copy.copy(fit)" in text for text in errors)


def test_copies_go_on_threads():
    fit, found = mflow.compile_fit("exponential", X.size), {}
    expected = fit(X, Y, P0)

    def work(k, mine):
        found[k] = [mine(X, Y, P0) for _ in range(20)]

    workers = [threading.Thread(target=work, args=(k, copy.copy(fit))) for k in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert all(np.array_equal(one, expected) for some in found.values() for one in some)


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no timers on this system")
@pytest.mark.skipif(threading.current_thread() is not threading.main_thread(), reason="signals reach the main thread alone")
def test_signals_end_a_long_fit():
    count = 300_000
    x = np.linspace(0.0, 4.0, count)
    fit, y = mflow.compile_fit("exponential", count, ftol=None, xtol=None, gtol=0.0), decay(x, 2.0, 1.0, 0.3) + 0.1 * np.cos(99.0 * x)

    def ring(*_):
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, ring)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.005)
        with pytest.raises(KeyboardInterrupt):
            fit(x, y, P0)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, before)
    small = mflow.compile_fit("exponential", count)
    assert small(x, y, P0)[1] == pytest.approx(1.0, rel=1e-2)


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no timers on this system")
@pytest.mark.skipif(threading.current_thread() is not threading.main_thread(), reason="signals reach the main thread alone")
def test_signals_end_a_fit_whose_model_is_slow():
    """Its 25 data are little work for the loop, which did not look at signals before it had converged."""
    pytest.importorskip("numba")

    def model(x, a, k):
        total = 0.0 * x
        for i in range(8000):
            total = total + np.sin(i * k * x)
        return a * np.exp(-k * x) + 1e-3 * total

    def ring(*_):
        raise KeyboardInterrupt

    fit = mflow.compile_fit(model, X.size, ftol=None, xtol=None, gtol=1e-14, max_nfev=8)
    y, p0 = Y + 0.3 * np.cos(9.0 * X), [1.0, 1.0]
    with contextlib.suppress(RuntimeError):
        fit(X, y, p0)
    assert fit.nfev == 8
    before = signal.signal(signal.SIGALRM, ring)
    try:
        signal.setitimer(signal.ITIMER_REAL, 3e-3)
        with pytest.raises(KeyboardInterrupt):
            fit(X, y, p0)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, before)
    assert fit.nfev < 4


def test_what_does_not_fit_is_named():
    model = native(decay)
    for arguments, more, kind, text in (
        (("exponential", 2), {}, ValueError, "m: expected at least as many data as parameters, 3, got 2"),
        (("exponential", 9, 4), {}, ValueError, "n: expected 3, as 'exponential' has the parameters a, k, c, got 4"),
        (("exponentail", 9), {}, ValueError, "exponential"),
        (("exponential", 9), {"jac": True}, ValueError, "jac: expected None beside a curve"),
        ((model, 9), {}, ValueError, "n: expected the number of parameters of a compiled function"),
        ((model, 9, 3), {"jac": slopes}, TypeError, "jac: expected True"),
        ((model, 9, 3), {"bounds": (1.0, 0.0)}, ValueError, "bounds: expected each lower bound below its upper one"),
        ((3.0, 9), {}, TypeError, "f: expected a function of"),
        (("exponential", 9.5), {}, ValueError, "m: expected a whole number"),
        (("exponential", 9), {"ftol": -1.0}, ValueError, "ftol"),
    ):
        with pytest.raises(kind, match=text):
            mflow.compile_fit(*arguments, **more)
    fit = mflow.compile_fit("exponential", X.size)
    for arguments, kind, text in (
        ((X[:5], Y, P0), ValueError, r"xdata: expected an array of shape \(25,\), got shape \(5,\)"),
        ((X, [Y], P0), ValueError, "ydata: expected an array of shape"),
        ((X, Y, ["a", "b", "c"]), TypeError, "p0: expected 3 real numbers"),
        ((X, Y, [1.0, math.inf, 1.0]), ValueError, "p0"),
        ((X, Y, P0, np.zeros(25)), ValueError, "sigma: expected standard deviations above 0, got 0 at entry 0"),
    ):
        with pytest.raises(kind, match=text):
            fit(*arguments)
    assert np.allclose(fit(X, Y, P0), theirs()[0], rtol=1e-6)  # as if nothing had been
    with pytest.raises(TypeError, match="cannot be pickled"):
        pickle.dumps(fit)


def test_a_python_function_without_numba_says_what_to_install(monkeypatch):
    def missing():
        raise ImportError("mflow.compile needs numba")

    monkeypatch.setattr(compiled, "need_numba", missing)
    with pytest.raises(ImportError, match="numba"):
        mflow.compile_fit(decay, 9)


HOST = """
#include "mflow/fit.h"
/* The parameters of many sets of data; the number of fits that failed. */
int host_fits(void *handle, const double *x, const double *sets, int count, const double *p0, double *out, double *cost) {
  mf_fit *s = (mf_fit *)handle;
  int k, failed = 0;
  if (s->size < sizeof(mf_fit)) return -1;
  for (*cost = 0.0, k = 0; k < count; k++) {
    if (s->solve(s, x, sets + k * s->m, NULL, p0, out + k * s->n) != 0 || s->ending < 1 || s->nfev < s->nit) failed++;
    *cost += s->cost;
  }
  return failed;
}
"""


@needs_compiler
def test_a_host_in_c(tmp_path):
    host = library(HOST, tmp_path)
    host.host_fits.argtypes = [ctypes.c_void_p, DOUBLES, DOUBLES, ctypes.c_int, DOUBLES, DOUBLES, DOUBLES]
    fit = mflow.compile_fit("exponential", X.size)
    sets, out, cost = np.stack([Y, 2.0 * Y, Y - 1.0]), np.empty((3, 3)), np.empty(1)
    pointers = [a.ctypes.data_as(DOUBLES) for a in (X, sets, P0, out, cost)]
    assert host.host_fits(fit.handle, pointers[0], pointers[1], 3, *pointers[2:]) == 0
    total = 0.0
    for k in range(3):
        assert np.array_equal(out[k], fit(X, sets[k], P0))
        total += fit.cost
    assert cost[0] == total
    # p may be p0; a call that cannot be made is refused, and says nothing of the parameters that it was given
    one, bad = P0.copy(), np.array([1.0, math.nan, 1.0])
    where = [a.ctypes.data for a in (X, sets, one)]
    assert fit.function(fit.handle, where[0], where[1], None, where[2], where[2]) == 0
    assert np.array_equal(one, out[0])
    assert fit.function(fit.handle, where[0], None, None, where[2], where[2]) < 0
    assert fit.function(fit.handle, where[0], where[1], None, bad.ctypes.data, where[2]) < 0
    assert fit.function(None, where[0], where[1], None, where[2], where[2]) < 0


def test_from_numba():
    numba = pytest.importorskip("numba")
    fit = prepared("numba, jac")
    solve, handle = fit.function, fit.handle

    @numba.njit(nogil=True)
    def fits(handle, x, sets, p0, out):
        failed = 0
        for k in range(len(sets)):
            failed += solve(handle, x.ctypes.data, sets[k].ctypes.data, 0, p0.ctypes.data, out[k].ctypes.data) != 0
        return failed

    sets, out = np.stack([Y, np.full(X.size, np.nan), 2.0 * Y]), np.empty((3, 3))
    assert fits(handle, X, sets, P0, out) == 1
    assert np.array_equal(out[0], fit(X, Y, P0))
    assert np.array_equal(out[2], fit(X, 2.0 * Y, P0))


def test_python_models_that_numba_does_not_take():
    pytest.importorskip("numba")
    with pytest.raises(ValueError, match="f: expected arguments"):
        mflow.compile_fit(lambda x: x, 9)
    with pytest.raises(ValueError, match=r"f: expected arguments \(x\) and 2, got 4 arguments"):
        mflow.compile_fit(decay, 9, 2)
    with pytest.raises(ValueError, match="jac: expected arguments"):
        mflow.compile_fit(decay, 9, jac=lambda x, a: a)

    def fails(x, a):
        if a < 0.0:
            raise ValueError("no")
        return a * x

    short = mflow.compile_fit(fails, X.size, jac=lambda x, a: (1.0, 2.0), check_gradient=False)
    with pytest.raises(RuntimeError, match="another number of values"):
        short(X, Y, [1.0])
    with pytest.raises(RuntimeError, match="an exception was raised inside the compiled function"):
        short(X, Y, [-1.0])


def test_parameters_that_forward_differences_do_not_tell_apart():
    """The standard errors of a + b were 1e6 and more, made of the rounding of differences; with the derivatives they are infinite."""
    pytest.importorskip("numba")
    t = np.linspace(0.0, 1.0, 20)
    noise = 0.1 * np.cos(41.0 * t)
    fit = mflow.compile_fit(lambda x, a, b, c: a * x + b * x + c, 20)
    popt = fit(t, 2.0 * t + 1.0 + noise, [1.0, 2.0, 0.0])
    assert popt.tobytes() == fit.popt.tobytes()
    assert np.isinf(fit.stderr).all()
    near = mflow.compile_fit(lambda x, a, b: a + b * (1.0 + 1e-4 * x), 20)
    best = near(t, 2.0 + noise, [1.0, 2.0])
    exact = np.stack([np.ones(20), 1.0 + 1e-4 * t], axis=1)
    variance = np.sum((exact @ best - 2.0 - noise) ** 2) / 18
    centred = t - t.mean()
    np.testing.assert_allclose(near.stderr[1], np.sqrt(variance / (centred @ centred)) / 1e-4, rtol=1e-2)


def test_an_offset_of_the_data_makes_no_step_short():
    """A peak of a few seconds in seconds since 1970: a step of 25 s is below xtol of the centre."""

    def model(x, a, c, w):
        return a * np.exp(-(((x - c) / w) ** 2))

    def model_slopes(x, a, c, w):
        z = (x - c) / w
        e = np.exp(-(z**2))
        return e, 2.0 * a * e * z / w, 2.0 * a * e * z**2 / w

    u = np.linspace(0.0, 10.0, 60)
    y = model(u, 3.5, 4.2, 1.1) + 0.05 * np.cos(31.0 * u)
    known, _ = optimize.curve_fit(model, u, y, [3.0, 5.0, 1.0], ftol=1e-14, xtol=1e-14)
    fit = mflow.compile_fit(model, 60, jac=model_slopes)
    for x0, accuracy in ((0.0, 1e-7), (1.7e9, 1e-5)):
        found = fit(u + x0, y, [3.0, 5.0 + x0, 1.0]) - [0.0, x0, 0.0]
        np.testing.assert_allclose(found, known, rtol=accuracy)


def test_parameters_are_named_in_what_a_fit_says():
    """A curve's and a Python function's have names."""
    fit = mflow.compile_fit("exponential", X.size, bounds=([0.0, 0.0, 0.0], [9.0, 9.0, 9.0]))
    with pytest.raises(ValueError, match=r"p0: expected starting values within bounds, got k = -1 outside of \[0, 9\]"):
        fit(X, Y, [1.0, -1.0, 1.0])


@pytest.mark.parametrize(("name", "value"), [("ftol", -1.0), ("xtol", "x"), ("gtol", math.nan), ("max_nfev", 0.5)])
def test_settings_are_refused_before_a_model_is_compiled(name, value, monkeypatch):
    monkeypatch.setattr(compiled, "need_numba", lambda: pytest.fail("numba was asked"))
    with pytest.raises((TypeError, ValueError), match=f"^{name}: expected"):
        mflow.compile_fit(decay, X.size, **{name: value})
