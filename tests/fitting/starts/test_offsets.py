"""Fits of a parameter that carries a large offset: day numbers, epoch seconds. The same data without the offset tell what is right."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import mflow

Array = NDArray[np.float64]


def bell(t: Array, a: float, m: float, s: float) -> Array:
    return np.asarray(a * np.exp(-((t - m) ** 2) / (2 * s * s)))


OFFSETS = [(738000.0, 2.0), (1e7, 2.0), (1.7e9, 60.0), (1.7e9, 3600.0)]  # day numbers, epoch seconds; the data's span


@pytest.mark.parametrize("jac", ["2-point", "3-point"])
@pytest.mark.parametrize(("offset", "span"), OFFSETS)
def test_a_position_beside_an_offset_is_found(offset: float, span: float, jac: Any) -> None:
    """Differences over shares of the offset passed over the peak, and "converged" was said up to 1000 times above the least cost. The
    same data without the offset tell where it is."""
    u, noise = np.linspace(0, span, 50), 0.01 * np.random.default_rng(3).normal(size=50)
    data, start = bell(u, 2.0, 0.5 * span, 0.1 * span) + noise, np.array([1.0, 0.45 * span, 0.125 * span])
    plain = mflow.least_squares(lambda b: bell(u, *b) - data, start)
    t, shift = offset + u, np.array([0.0, offset, 0.0])
    r = mflow.least_squares(lambda b: bell(t, *b) - data, start + shift, jac)
    assert r.reason == "converged"
    np.testing.assert_allclose((r.x - shift) / plain.x, 1.0, rtol=1e-4)
    fit = mflow.curve_fit(bell, t, data, start + shift)
    np.testing.assert_allclose((fit.popt - shift) / plain.x, 1.0, rtol=1e-3)


@pytest.mark.parametrize("offset", [1e8, 1.7e9])
def test_xtol_ends_no_fit_whose_gradient_is_large(offset: float) -> None:
    """With the exact Jacobian, too: any step is short beside an offset."""
    u, noise = np.linspace(0, 3, 40), 0.01 * np.random.default_rng(3).normal(size=40)
    data = bell(u, 2.0, 1.5, 0.3) + noise

    def slopes(t: Array, a: float, m: float, s: float) -> Array:
        e, z = bell(t, 1.0, m, s), (t - m) / s
        return np.stack([e, a * e * z / s, a * e * z * z / s], axis=1)

    plain = mflow.curve_fit(bell, u, data, [1.0, 1.3, 0.4], jac=slopes)
    fit = mflow.curve_fit(bell, offset + u, data, [1.0, offset + 1.3, 0.4], jac=slopes)
    np.testing.assert_allclose(fit.popt - [0.0, offset, 0.0], plain.popt, rtol=1e-4)


@pytest.mark.parametrize(("offset", "span"), [(1.7e9, 3600.0), (1e6, 10.0)])
def test_the_final_jacobian_is_that_of_the_run(offset: float, span: float) -> None:
    """a exp(-(t - t0)/tau) tells two parameters from data: the Jacobian by hand, and errors that are infinite for those two alone."""
    t = offset + np.linspace(0, span, 50)

    def decay(t: Array, a: float, t0: float, tau: float) -> Array:
        return np.asarray(a * np.exp(-(t - t0) / tau))

    y = decay(t, 2.0, offset, span / 4) + 0.01 * np.random.default_rng(3).normal(size=50)
    p0 = [1.0, offset + span / 360, span / 7]
    r = mflow.least_squares(lambda b: decay(t, *b) - y, p0)
    a, t0, tau = r.x
    value = decay(t, a, t0, tau)
    J = np.stack([value / a, value / tau, value * (t - t0) / tau**2], axis=1)
    assert np.all(np.linalg.norm(r.jac - J, axis=0) < 0.01 * np.linalg.norm(J, axis=0))
    with pytest.warns(RuntimeWarning, match="rank 2 for 3"):
        fit = mflow.curve_fit(decay, t, y, p0)
    assert fit.rank == 2
    assert np.isfinite(fit.stderr).tolist() == [False, False, True]


@pytest.mark.parametrize("x0", [1e6, 1e7, 1e8])
@pytest.mark.parametrize("jac", ["2-point", "3-point"])
def test_roots_of_a_cosine_far_from_0(x0: float, jac: Any) -> None:
    r = mflow.least_squares(lambda b: np.array([np.cos(b[0]) - 0.2]), [x0], jac)
    assert r.reason == "converged"
    assert abs(math.cos(r.x[0]) - 0.2) < 1e-7


def test_a_line_from_0_through_data_of_1e12_is_found() -> None:
    """Differences of a model at 0 are far below the rounding of such data: it ended at 0 as converged."""
    x = np.linspace(0.0, 3.0, 20)
    fit = mflow.curve_fit(lambda x, a, b: a + b * x, x, 1e12 + 2e9 * x, p0=[0.0, 0.0])
    assert fit.success
    assert np.allclose(fit.popt, [1e12, 2e9], rtol=1e-9)


def test_a_model_that_the_rounding_of_its_data_hides_is_no_success() -> None:
    """It was said, too, that the data do not tell a and b apart, of which nothing is known."""
    x = np.linspace(0.0, 3.0, 20)
    with pytest.warns(RuntimeWarning, match="could not be estimated, as the model changes by less than the rounding of the data"):
        fit = mflow.curve_fit(lambda x, a, b: a + b * x, x, 1e18 + 2e15 * x, p0=[0.0, 0.0], bounds=(-1.0, 1.0))
    assert not fit.success
    assert fit.reason == "insensitive"
    assert "rounding of the data" in fit.message
