"""Losses of the core: exp and log, values and slopes, roots and exact flows against 40 digits."""

from __future__ import annotations

import math
from typing import Any

import mpmath
import numpy as np
import pytest
from mflow_core.arithmetic import scalars
from mflow_core.optimize import sweep

import mflow
from mflow.implicit.linear import losses
from support.levels import LEVELS
from support.oracles.losses import KINKED, SMOOTH, curvature, slope, value

Array = np.ndarray
EPS = 2.0**-52
SHAPE = {"huber": 1.5, "quantile": 0.3}
mpf = mpmath.mpf


def root(loss: str, s: float, y: float, g: float, shape: float, near: float) -> Any:
    """The root to 30 digits and more: phi' >= 1, so |phi| at the end bounds its error, whatever the path to it."""
    s, y, g, shape = (mpf(a) for a in (s, y, g, shape))
    kinks = {"absolute": y, "quantile": y, "hinge": y}  # labels of hinge are +-1
    if loss in kinks:
        k = kinks[loss]
        low, high = sorted(slope(loss, k + side * mpf(10) ** -20, y, shape) for side in (-1, 1))
        if k - s + g * low <= 0 <= k - s + g * high:
            return k
        return s - g * (high if k - s + g * high < 0 else low)
    if loss == "huber":
        inside = (s + g * y) / (1 + g)
        return inside if abs(inside - y) <= shape else s - g * mpmath.sign(s - y) * shape
    t = mpf(near)
    for _ in range(30):
        d = (t - s + g * slope(loss, t, y)) / (1 + g * curvature(loss, t, y))
        t -= d
        if abs(d) <= mpf(10) ** -32 * scale_of(loss, s, y, g, shape, t):
            return t
    raise AssertionError(f"the oracle did not converge: {loss}, s = {s}, y = {y}, g = {g}")


def scale_of(loss: str, s: Any, y: Any, g: Any, shape: Any, t: Any) -> Any:
    """max(|t|, (|s| + g |l'|)/(1 + g l'')), of which 4 eps is the error allowed; g |l'| is |t - s| at the root."""
    return max(abs(t), (abs(s) + abs(t - s)) / (1 + g * curvature(loss, t, y, shape)))


def labels_of(loss: str, rng: np.random.Generator, n: int) -> Array:
    if loss in ("logistic", "hinge"):
        return rng.choice([-1.0, 1.0], n)
    if loss == "poisson":
        return rng.choice([0.0, 0.0, 1.0, 2.0, 3.0, 30.0, 1e4, 0.5, 0.99, 1.0 + 1e-9], n)
    if loss == "gamma":
        return np.where(rng.random(n) < 0.3, 1.0, 10.0 ** rng.uniform(-4, 4, n))
    return rng.standard_normal(n) * 10.0 ** rng.uniform(-3, 4, n)


def cases(loss: str, n: int) -> tuple[Array, Array, Array]:
    """(s, y, g) over |s| <= 1e4, g in [1e-12, 1e12]; a third of them with roots near zero, or at a kink."""
    rng = np.random.default_rng(sum(map(ord, loss)))
    y, g = labels_of(loss, rng, n), 10.0 ** rng.uniform(-12, 12, n)
    s = rng.choice([-1.0, 1.0], n) * 10.0 ** rng.uniform(-12, 4, n)
    k = n // 3
    at = np.zeros(k) if loss in SMOOTH else y[:k]
    start = at + g[:k] * np.array([float(slope(loss, float(a), v, SHAPE.get(loss, 0.0))) for a, v in zip(at, y[:k], strict=True)])
    start *= 1.0 + rng.choice([0.0, EPS, -EPS, 1e-12, -1e-9, 1e-4], k)
    s[:k] = np.where(np.abs(start) <= 1e4, start, s[:k])
    s[k : k + 20] = rng.choice([0.0, 1e4, -1e4], 20)
    g[k : k + 20] = rng.choice([1e-12, 1.0, 1e12], 20)
    return s, y, g


# ---- elementary functions -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "ulps"), [("exp", 0.6), ("expm1", 2.0), ("log", 2.0), ("log1p", 2.0)])
def test_elementary_functions_against_mpmath(name: str, ulps: float) -> None:
    rng = np.random.default_rng(1)
    positive = np.concatenate([10.0 ** rng.uniform(-300, 300, 500), rng.uniform(0.3, 3.0, 2000), 1.0 + 1e-6 * rng.standard_normal(300)])
    around = np.concatenate([rng.uniform(-1, 1, 2000), 10.0 ** rng.uniform(-300, 0, 300), -(10.0 ** rng.uniform(-20, 0, 300))])
    x = {"exp": [*around, *rng.uniform(-708, 709, 1000)], "expm1": [*around, *rng.uniform(-45, 709, 1000)], "log": positive}
    x["log1p"] = [*around[around > -1], *positive]
    with mpmath.workdps(40):
        for v in map(float, x[name]):
            want = getattr(mpmath, name)(mpf(v))
            assert abs(mpf(getattr(scalars, f"_{name}")(v)) - want) <= ulps * np.spacing(abs(float(want))), v


def test_elementary_functions_at_the_edges() -> None:
    inf, nan = math.inf, math.nan
    for name, pairs in {
        "_exp": [(0.0, 1.0), (inf, inf), (-inf, 0.0), (709.79, inf), (-746.0, 0.0), (-1e300, 0.0), (1e300, inf)],
        "_expm1": [(0.0, 0.0), (inf, inf), (-inf, -1.0), (-50.0, -1.0), (5e-324, 5e-324), (710.0, inf)],
        "_log": [(1.0, 0.0), (0.0, -inf), (inf, inf), (-1.0, nan), (-inf, nan)],
        "_log1p": [(0.0, 0.0), (-1.0, -inf), (inf, inf), (-1.5, nan), (5e-324, 5e-324)],
    }.items():
        for x, want in [*pairs, (nan, nan)]:
            got = getattr(scalars, name)(x)
            assert got == want or (math.isnan(got) and math.isnan(want)), (name, x)
    for x in (-708.5, -720.0, -740.0, 709.5, 5e-324, 1e-310):
        f = "_log" if 0 < x < 1 else "_exp"
        assert getattr(scalars, f)(x) == pytest.approx(float((mpmath.log if f == "_log" else mpmath.exp)(x)), rel=1e-15, abs=5e-324)


# ---- roots and flows ----------------------------------------------------------------------------------------------------


def test_every_loss_is_tested() -> None:
    assert set(losses()) == {*SMOOTH, *KINKED}


@pytest.mark.parametrize("loss", [*SMOOTH, *KINKED])
def test_roots_against_forty_digits(loss: str) -> None:
    """On one level, whose bits the others have."""
    s, y, g = cases(loss, 400)
    shape = SHAPE.get(loss, 0.0)
    t, p = sweep.loss_map(loss, "root", s, y, g, shape, LEVELS[0])
    for level in LEVELS[1:]:
        assert np.stack(sweep.loss_map(loss, "root", s, y, g, shape, level)).tobytes() == np.stack([t, p]).tobytes()
    assert np.all(np.isfinite(t))
    assert np.all(np.isfinite(p))
    with mpmath.workdps(60):
        for i in range(len(s)):
            T = root(loss, s[i], y[i], g[i], shape, t[i])
            allowed = EPS * scale_of(loss, mpf(s[i]), mpf(y[i]), mpf(g[i]), mpf(shape), T)
            assert abs(mpf(t[i]) - T) <= 4 * allowed, (s[i], y[i], g[i])
            exact = (mpf(s[i]) - T) / mpf(g[i])
            # p carries the move of the weights: p g is as exact as t, and keeps digits that t - s would lose.
            lost = (
                8 * EPS * max(abs(exact), (abs(mpf(s[i])) + abs(T)) / mpf(g[i]) if g[i] > 1 else abs(exact) + abs(mpf(s[i])) + abs(T) + 1)
            )
            assert abs(mpf(p[i]) - exact) <= lost + 4 * allowed, (s[i], y[i], g[i], p[i])


@pytest.mark.parametrize("loss", [*SMOOTH, *KINKED])
def test_roots_of_extremes_are_numbers(loss: str) -> None:
    y = {"logistic": [1.0, -1.0], "hinge": [1.0, -1.0], "poisson": [0.0, 1.0, 1e150, 5e-324], "gamma": [1.0, 1e150, 1e-10]}.get(
        loss, [0.0, 1e150]
    )
    s = [0.0, 5e-324, 1e4, -1e4, 1e15, -1e15]
    grid = np.array(np.meshgrid(s, y, [1e-12, 1e-3, 1.0, 1e12, 1e100])).reshape(3, -1)
    t, p = sweep.loss_map(loss, "root", *grid, SHAPE.get(loss, 0.0))
    assert np.all(np.isfinite(t))
    assert np.all(np.isfinite(p))


@pytest.mark.parametrize("loss", [*SMOOTH, *KINKED])
def test_roots_of_great_steps_are_right_or_refused(loss: str) -> None:
    """g from 1e15 to 1e150: the root lies within 16 times the rounding of what its conditioning allows, or a step with it is refused.

    phi(t) = t - s + g l'(t) rises, so that its signs on both sides of t are the oracle.
    """
    rng, n, shape = np.random.default_rng(5), 150, SHAPE.get(loss, 0.0)
    g = 10.0 ** np.concatenate([rng.uniform(15, 70, n // 2), rng.uniform(50, 150, n - n // 2)])
    s = rng.standard_normal(n) * 10.0 ** rng.choice([0.0, 1.0, 3.0, 18.0], n)
    y = np.clip(labels_of(loss, rng, n), -100, 100)
    t, p = sweep.loss_map(loss, "root", s, y, g, shape)
    refused = 0
    with mpmath.workdps(400):

        def phi(i: int, at: Any) -> Any:
            return at - mpf(s[i]) + mpf(g[i]) * slope(loss, at, mpf(y[i]), shape)

        for i in range(n):
            if not math.isfinite(p[i]) or (loss == "poisson" and t[i] > 700.0):
                refused += 1
                continue
            T = mpf(t[i])
            d = 16 * EPS * scale_of(loss, mpf(s[i]), mpf(y[i]), mpf(g[i]), shape, T) if loss in SMOOTH else 1e-12 * abs(T)
            assert phi(i, T - d - mpf(10) ** -300) <= 0 <= phi(i, T + d + mpf(10) ** -300), (s[i], y[i], g[i], t[i])
    assert refused < n // 10


@pytest.mark.parametrize("exponent", [20, 50, 55, 56.2, 57, 58, 58.9, 60, 100, 150])
def test_implicit_logistic_steps_however_long(exponent: float) -> None:
    """One sample x = 1, y = 1, from w = 0: w solves w = g/(1 + e^w)."""
    g = 10.0**exponent
    for X in ([[1.0]], [[1.0, 0.0, 0.0]]):
        learned = mflow.ImplicitSGD("logistic", lr=g, lr_decay=0.0, intercept=False).partial_fit(np.array(X), np.array([1.0]))
        with mpmath.workdps(80):
            w = mpmath.findroot(lambda v: mpmath.log(v) + mpmath.log1p(mpmath.exp(v)) - mpmath.log(mpf(g)), mpmath.log(mpf(g)) - 3)
            assert float(abs(mpf(float(learned.coef[0])) - w) / w) < 1e-14


def test_roots_have_the_same_bits_on_every_level() -> None:
    for loss in losses():
        s, y, g = cases(loss, 600)
        results = {np.stack(sweep.loss_map(loss, "root", s, y, g, SHAPE.get(loss, 0.0), level)).tobytes() for level in LEVELS}
        assert len(results) == 1


@pytest.mark.parametrize("loss", [*SMOOTH, *KINKED])
def test_flows_take_the_time_they_are_given(loss: str) -> None:
    """The time from s to t is the integral of -1/l' between them; an error dt of t is one of dt/|l'(t)| in time."""
    shape = SHAPE.get(loss, 0.0)
    rng = np.random.default_rng(3)
    y = labels_of(loss, rng, 120)
    y = np.clip(y, -20, 20) if loss not in ("poisson", "gamma") else np.minimum(y, 30.0)
    s, g = rng.uniform(-8, 8, 120), 10.0 ** rng.uniform(-6, 3, 120)
    t, p = sweep.loss_map(loss, "flow", s, y, g, shape)
    np.testing.assert_allclose(p * g, s - t, rtol=0, atol=8 * EPS * np.max(np.abs(s) + np.abs(t)))
    with mpmath.workdps(30):
        for i in range(len(s)):
            a, b = mpf(s[i]), mpf(t[i])
            end = slope(loss, b, mpf(y[i]), mpf(shape))
            if loss in KINKED:
                kink = y[i]  # of hinge, too: its labels are +-1
                want = a - mpf(g[i]) * slope(loss, a, mpf(y[i]), mpf(shape))
                want = min(want, mpf(kink)) if a < kink <= want else max(want, mpf(kink)) if want <= kink < a else want
                assert abs(b - want) <= 4 * EPS * (abs(a) + abs(want))
                continue
            if abs(end) < 1e-9:  # at rest: it has arrived, and time cannot tell
                assert abs(slope(loss, b, mpf(y[i]), mpf(shape))) <= 1e-9 * (1 + abs(slope(loss, a, mpf(y[i]), mpf(shape))))
                continue
            cut = [v for v in (mpf(y[i]) - shape, mpf(y[i]) + shape) if loss == "huber" and min(a, b) < v < max(a, b)]
            way = [a, *sorted(cut, reverse=bool(a > b)), b]
            time = mpmath.quad(lambda u, i=i: -1 / slope(loss, u, mpf(y[i]), mpf(shape)), way)
            assert abs(time - g[i]) * abs(end) <= 40 * EPS * (abs(a) + abs(b) + abs(b - a)) + 1e-15, (s[i], y[i], g[i])


@pytest.mark.parametrize("loss", [*SMOOTH, *KINKED])
def test_values_slopes_curvatures(loss: str) -> None:
    rng = np.random.default_rng(4)
    shape = SHAPE.get(loss, 0.0)
    y, t = labels_of(loss, rng, 300), rng.uniform(-6, 6, 300)
    y = np.clip(y, -50, 50)
    want = np.array([value(loss, a, b, shape) for a, b in zip(t, y, strict=True)])
    np.testing.assert_allclose(sweep.loss_map(loss, "value", t, y, shape=shape), want, rtol=1e-12, atol=1e-12 * np.max(np.abs(y)))
    low, high = sweep.loss_map(loss, "slopes", t, y, shape=shape)
    np.testing.assert_array_equal(low, high)
    np.testing.assert_allclose(low, [float(slope(loss, a, b, shape)) for a, b in zip(t, y, strict=True)], rtol=1e-13, atol=1e-14)
    bend = [float(curvature(loss, mpf(a), mpf(b), shape)) for a, b in zip(t, y, strict=True)]
    np.testing.assert_allclose(sweep.loss_map(loss, "curvature", t, y, shape=shape), bend, rtol=1e-14)


def test_slopes_at_kinks_are_intervals() -> None:
    for loss, y, at, want in (
        ("absolute", 2.0, 2.0, (-1, 1)),
        ("quantile", 2.0, 2.0, (-0.3, 0.7)),
        ("hinge", 1.0, 1.0, (-1, 0)),
        ("hinge", -1.0, -1.0, (0, 1)),
    ):
        low, high = sweep.loss_map(loss, "slopes", at, y, shape=0.3)
        assert (low.item(), high.item()) == pytest.approx(want)
        assert sweep.loss_map(loss, "value", at, y, shape=0.3).item() == 0.0
