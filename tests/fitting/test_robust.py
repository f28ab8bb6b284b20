"""Losses that let outliers count less: SciPy's values, gradients by differences, and fits that outliers do not spoil."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
import scipy.optimize

import mflow
from mflow.fitting.robust import LOSSES, loss_of

RNG = np.random.default_rng(0)
T = np.linspace(0, 3, 60)
TRUE = np.array([3.0, 1.2, 0.5])
Y = TRUE[0] * np.exp(-TRUE[1] * T) + TRUE[2] + 0.05 * RNG.normal(size=60)
Y[::7] += RNG.choice([-1, 1], 9) * 3


def fun(b):
    return b[0] * np.exp(-b[1] * T) + b[2] - Y


def jac(b):
    return np.stack([np.exp(-b[1] * T), -b[0] * T * np.exp(-b[1] * T), np.ones(60)], axis=1)


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("f_scale", [0.05, 1.0, 30.0])
def test_costs_and_gradients_are_scipys(name, f_scale):
    f = np.concatenate([np.linspace(-80, 80, 161), [1e-9, 1e6]])
    peer = scipy.optimize.least_squares(
        lambda x: f + 0 * x[0], [0.0], lambda x: np.ones((f.size, 1)), loss=name, f_scale=f_scale, max_nfev=1
    )
    loss = loss_of(name, f_scale)
    assert loss.cost(f) == pytest.approx(peer.cost, rel=1e-13)
    assert float(loss.weights(f) @ f) == pytest.approx(peer.grad[0], rel=1e-13)


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("f_scale", [0.05, 0.3])
def test_optima_are_scipys(name, f_scale):
    r = mflow.least_squares(fun, [1.0, 1.0, 0.0], jac, loss=name, f_scale=f_scale)
    peer = scipy.optimize.least_squares(fun, [1.0, 1.0, 0.0], jac, loss=name, f_scale=f_scale, xtol=1e-15, ftol=1e-15, gtol=1e-15)
    assert r.success, r.message
    np.testing.assert_allclose(r.x, peer.x, atol=1e-7)
    assert r.cost <= peer.cost * (1 + 1e-13)
    assert r.cost == loss_of(name, f_scale).cost(fun(r.x))
    np.testing.assert_array_equal(r.fun, fun(r.x))
    assert r.optimality <= 1e-9
    there = scipy.optimize.least_squares(fun, r.x, jac, loss=name, f_scale=f_scale, max_nfev=1)
    np.testing.assert_allclose(r.jac, there.jac, rtol=1e-13, atol=1e-14)
    np.testing.assert_allclose(r.grad, jac(r.x).T @ (loss_of(name, f_scale).weights(r.fun) * r.fun), atol=1e-12)


def test_outliers_do_not_spoil_the_fit():
    plain = mflow.least_squares(fun, [1.0, 1.0, 0.0], jac)
    robust = mflow.least_squares(fun, [1.0, 1.0, 0.0], loss="cauchy", f_scale=0.1)
    assert np.max(np.abs(robust.x - TRUE)) < 0.1 < np.max(np.abs(plain.x - TRUE))


def test_the_mean_turns_into_the_median():
    """Huber's loss with a small scale is the absolute value: the fit of a constant is the median."""
    y = np.array([1.0, 2.0, 3.0, 4.0, 1000.0])
    r = mflow.least_squares(lambda x: x[0] - y, [10.0], lambda x: np.ones((5, 1)), loss="huber", f_scale=1e-3)
    assert r.success, r.message
    assert r.x[0] == pytest.approx(3.0, abs=1e-3)


def test_a_function_in_the_place_of_a_name():
    def cauchy(z):
        return np.array([np.log1p(z), 1 / (1 + z), -1 / (1 + z) ** 2])  # as SciPy has them

    how = {"x0": [1.0, 1.0, 0.0], "jac": jac, "f_scale": 0.3}
    named, made = (mflow.least_squares(fun, loss=loss, **how) for loss in ("cauchy", cauchy))
    np.testing.assert_allclose(made.x, named.x, rtol=1e-12)
    with pytest.raises(ValueError, match="loss returned shapes"):
        mflow.least_squares(fun, loss=lambda z: (1.0, 1.0), **how)


def test_plain_squares_have_the_same_bits():
    one, two = mflow.least_squares(fun, [1.0, 1.0, 0.0], jac), mflow.least_squares(fun, [1.0, 1.0, 0.0], jac, loss="linear", f_scale=7.0)
    assert one.x.tobytes() == two.x.tobytes()


def test_a_start_by_single_residuals_and_sigma():
    sigma = np.full(60, 0.05)
    r = mflow.least_squares(fun, [1.0, 1.0, 0.0], jac, loss="soft_l1", f_scale=2.0, sigma=sigma, passes=2, lr=0.1)
    same = mflow.least_squares(lambda b: fun(b) / 0.05, [1.0, 1.0, 0.0], lambda b: jac(b) / 0.05, loss="soft_l1", f_scale=2.0)
    assert r.success, r.message
    np.testing.assert_allclose(r.x, same.x, atol=1e-8)


@pytest.mark.parametrize("name", ["Misra1a", "DanWood", "Chwirut2"])
def test_compiled_residuals(name):
    f = mflow.objectives.nist(name)
    r = mflow.least_squares(f.residuals, f.x0, f.jac, loss="soft_l1", f_scale=10.0)
    assert r.success, r.message
    peer = scipy.optimize.least_squares(
        f.residuals, r.x * (1 + 1e-6), f.jac, loss="soft_l1", f_scale=10.0, x_scale="jac", xtol=1e-15, ftol=1e-15, gtol=1e-15
    )
    assert r.cost <= loss_of("soft_l1", 10.0).cost(f.residuals(peer.x)) * (1 + 1e-12)  # rounding of residuals; SciPy's own sum loses more


@pytest.mark.parametrize(
    ("words", "more"),
    [
        ("loss: .* got 'l1'", {"loss": "l1"}),
        ("f_scale: .* got 0", {"f_scale": 0}),
        ("f_scale: .* got -1.0", {"loss": "huber", "f_scale": -1.0}),
    ],
)
def test_mistakes_are_named(words, more):
    with pytest.raises(ValueError, match=words):
        mflow.least_squares(fun, [1.0, 1.0, 0.0], jac, **more)


@pytest.mark.parametrize("loss", ["soft_l1", "huber", "cauchy"])
@pytest.mark.parametrize("sigma", [None, 0.1])
@pytest.mark.parametrize("absolute", [True, False])
def test_the_covariance_of_a_robust_fit_is_scipys(loss, sigma, absolute):
    """SciPy scales J by rho' + 2 z rho''."""
    rng = np.random.default_rng(3)
    t = np.linspace(0.0, 3.0, 30)
    y = 2.0 * np.exp(-1.3 * t) + 0.1 * rng.normal(size=30)
    y[5] += 3.0
    how = {
        "sigma": None if sigma is None else np.full(30, sigma),
        "absolute_sigma": absolute,
        "loss": loss,
        "f_scale": 0.3 if sigma is None else 3.0,
    }

    def f(t, a, b):
        return a * np.exp(-b * t)

    fit = mflow.curve_fit(f, t, y, p0=[1.0, 1.0], **how)
    popt, pcov = scipy.optimize.curve_fit(f, t, y, p0=[1.0, 1.0], method="trf", xtol=1e-15, ftol=1e-15, gtol=1e-15, **how)
    np.testing.assert_allclose(fit.popt, popt, rtol=1e-4)
    np.testing.assert_allclose(fit.pcov, pcov, rtol=1e-3)
    np.testing.assert_allclose(fit.stderr, np.sqrt(np.diag(fit.pcov)), rtol=1e-9)


@pytest.mark.parametrize("name", LOSSES)
def test_losses_against_mpmath(name):
    """rho, rho' and rho' + 2 z rho'' by their definitions, in 40 digits."""
    rho = {
        "soft_l1": lambda z: 2 * (mpmath.sqrt(1 + z) - 1),
        "huber": lambda z: z if z <= 1 else 2 * mpmath.sqrt(z) - 1,
        "cauchy": lambda z: mpmath.log(1 + z),
        "arctan": mpmath.atan,
    }[name]
    loss = loss_of(name, 1.0)
    with mpmath.workdps(40):
        for f in (0.0, 1e-9, 1e-3, 0.4, 0.7, 0.9, 1.1, 1.5, 1.6, 3.0, 40.0, 1e8):
            z = mpmath.mpf(f) ** 2
            slope, bend = (mpmath.diff(rho, z, n, h=mpmath.mpf(10) ** -12 * max(z, mpmath.mpf(10) ** -20)) for n in (1, 2))
            assert float(2 * loss.cost(np.array([f]))) == pytest.approx(float(rho(z)), rel=2e-15)
            assert loss.weights(np.array([f]))[0] == pytest.approx(float(slope), rel=1e-12)
            assert loss.curvature(np.array([f]))[0] == pytest.approx(max(float(slope + 2 * z * bend), 2.0**-52), rel=1e-9, abs=1e-14)


@pytest.mark.parametrize("name", LOSSES)
def test_a_batch_has_the_bits_of_single_fits(name):
    f = mflow.objectives.curve("exponential", T, Y)
    data = Y + 0.02 * RNG.normal(size=(4, 60))
    starts = np.array([[2.0, 1.0, 0.0]] * 4)
    r = mflow.least_squares_batch(f, starts, batch_data={"y": data}, loss=name, f_scale=0.2, errors=True, threads=1)
    assert r.success
    for k in range(4):
        one = mflow.least_squares(mflow.objectives.curve("exponential", T, data[k]), starts[k], loss=name, f_scale=0.2)
        assert r.x[k].tobytes() == one.x.tobytes()
        assert (r.cost[k], r.nit[k]) == (one.cost, one.nit)
        fit = mflow.curve_fit("exponential", T, data[k], starts[k], loss=name, f_scale=0.2, gtol=1e-11, ftol=None, xtol=None)
        np.testing.assert_allclose(r.errors[k], fit.stderr, rtol=1e-6)


def test_a_batch_takes_losses_by_name_alone():
    f = mflow.objectives.curve("exponential", T, Y)
    with pytest.raises(TypeError, match=r"^loss: expected a name, as a batch runs without Python"):
        mflow.least_squares_batch(f, [[1.0, 1.0, 0.0]], loss=lambda z: (z, np.ones_like(z), np.zeros_like(z)))
    with pytest.raises(ValueError, match=r"^loss: "):
        mflow.least_squares_batch(f, [[1.0, 1.0, 0.0]], loss="l1")
