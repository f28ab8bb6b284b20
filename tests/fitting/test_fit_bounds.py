"""Bounds and held parameters: SciPy's bounded methods, lsq_linear, and the conditions of Karush, Kuhn and Tucker as oracles."""

from __future__ import annotations

import re

import numpy as np
import pytest
import scipy.optimize

import mflow
from mflow.data import load_nist

RNG = np.random.default_rng(11)


def kkt(r, lower, upper):
    """The largest |g_j| of free parameters, and of those at bounds the largest that points inside, relative to |J_j| |r|."""
    size = np.linalg.norm(r.jac, axis=0) * np.linalg.norm(r.fun)
    g = r.grad / np.where(size > 0, size, 1.0)
    inside = (r.x > lower) & (r.x < upper)
    return max(np.max(np.abs(g[inside]), initial=0), np.max(-g[r.x <= lower], initial=0), np.max(g[r.x >= upper], initial=0))


@pytest.mark.parametrize("seed", range(12))
def test_linear_problems_are_lsq_linears(seed):
    rng = np.random.default_rng(seed)
    A, b = rng.standard_normal((20, 6)) * 10.0 ** rng.integers(-3, 4, 6), rng.standard_normal(20)
    lower, upper = -rng.uniform(0, 1, 6) / np.linalg.norm(A, axis=0), rng.uniform(0, 1, 6) / np.linalg.norm(A, axis=0)
    want = scipy.optimize.lsq_linear(A, b, (lower, upper), method="bvls", tol=1e-14)
    for jac in (lambda x: A, "2-point", "3-point"):
        r = mflow.least_squares(lambda x: A @ x - b, np.zeros(6), jac, (lower, upper))
        assert r.success, r.message
        error = np.linalg.norm(A, axis=0) * np.abs(r.x - want.x) / np.linalg.norm(b)
        assert np.max(error) < (1e-9 if callable(jac) else 1e-6)
        np.testing.assert_array_equal(r.active_mask, want.active_mask)
        assert np.all((r.x >= lower) & (r.x <= upper))
    assert np.count_nonzero(want.active_mask)


@pytest.mark.parametrize("name", ["Misra1a", "Chwirut2", "Gauss1", "Kirby2", "Thurber", "Rat43", "MGH09", "DanWood", "ENSO"])
def test_cut_off_nist_problems(name):
    """Half of the certified parameters are out of reach: we are at least as low as SciPy, and never outside."""
    p = load_nist(name)
    start, best = p.starts[1], p.certified_parameters
    lower, upper = np.full(best.size, -np.inf), np.full(best.size, np.inf)
    for j in range(0, best.size, 2):
        between = 0.5 * (best[j] + start[j])
        (upper if best[j] > start[j] else lower)[j] = between
    outside: list[bool] = []

    def fun(x):
        outside.append(bool(np.any((x < lower) | (x > upper))))
        return p.residual(x)

    r = mflow.least_squares(fun, start, p.jacobian, (lower, upper))
    peer = scipy.optimize.least_squares(
        p.residual, start, p.jacobian, (lower, upper), method="trf", x_scale="jac", ftol=1e-14, xtol=1e-14, gtol=1e-14, max_nfev=300
    )
    assert r.success, r.message
    assert r.cost <= peer.cost * (1 + 1e-8)
    assert kkt(r, lower, upper) < 1e-8
    assert not any(outside)
    assert np.any(r.active_mask)


@pytest.mark.parametrize("bounds", [([0, [1, 2]], [1, 2]), (([1, 2], 0), (3, 4))])
def test_bounds_whose_rows_have_different_lengths(bounds):
    """It was NumPy's "setting an array element with a sequence"."""
    with pytest.raises(ValueError, match=r"^bounds: expected an array, got rows of different lengths"):
        mflow.least_squares(lambda b: b - 0.5, [0.5, 1.5], bounds=bounds)


def test_bounds_that_are_arrays_of_one_number():
    r = mflow.least_squares(lambda b: b - 3.0, [0.5, 1.5], bounds=[np.array(0.0), np.array(2.0)])
    assert r.x.tolist() == [2.0, 2.0]


def test_differences_stay_inside():
    lower, upper = np.array([1.0, 0.0]), np.array([1.0 + 1e-9, 2.0])
    seen = []

    def fun(x):
        seen.append(x.copy())
        return np.array([x[0] - 3.0, x[0] * x[1] - 5.0, x[1]])

    for jac in ("2-point", "3-point"):
        r = mflow.least_squares(fun, [1.0, 2.0], jac, (lower, upper))
        assert r.success, r.message
        assert r.x[0] == upper[0]
    assert np.all((np.array(seen) >= lower) & (np.array(seen) <= upper))


def test_three_points_on_one_side_are_of_second_order():
    """The Jacobian at a bound, where central differences would leave the box."""
    errors = []
    for step in (1e-2, 1e-3):
        r = mflow.least_squares(lambda x: np.exp(x) + 2.0, [0.0], "3-point", (0.0, 1.0), diff_step=step)
        assert r.x.tolist() == [0.0]
        errors.append(abs(r.jac[0, 0] - 1.0))
    assert 50 < errors[0] / errors[1] < 200


def test_a_start_on_the_bounds_moves_inside():
    r = mflow.least_squares(lambda x: x - np.array([1.0, 2.0, -3.0]), [0.0, 5.0, 0.0], bounds=([0, 0, 0], [5, 5, 5]))
    np.testing.assert_allclose(r.x, [1.0, 2.0, 0.0], atol=1e-8)
    assert r.active_mask.tolist() == [0, 0, -1]
    assert r.optimality < 1e-8


def test_bounds_that_do_not_matter_change_no_bit():
    p = load_nist("Thurber")
    plain = mflow.least_squares(p.residual, p.starts[1], p.jacobian)
    wide = mflow.least_squares(p.residual, p.starts[1], p.jacobian, (-1e9, 1e9))
    assert (plain.x.tobytes(), plain.nfev) == (wide.x.tobytes(), wide.nfev)


def test_held_parameters_are_those_of_a_smaller_problem():
    p = load_nist("Gauss1")
    held = np.array([0, 3, 4])
    free = np.setdiff1d(np.arange(8), held)

    def whole(part):
        x = p.starts[1].copy()
        x[free] = part
        return x

    small = mflow.least_squares(lambda b: p.residual(whole(b)), p.starts[1][free], lambda b: p.jacobian(whole(b))[:, free])
    for fixed in (held, np.isin(np.arange(8), held)):
        r = mflow.least_squares(p.residual, p.starts[1], p.jacobian, fixed=fixed)
        assert r.success
        np.testing.assert_array_equal(r.x[held], p.starts[1][held])
        np.testing.assert_allclose(r.x[free], small.x, rtol=1e-9)
    asked = []
    mflow.least_squares(lambda b: asked.append(b[3]) or p.residual(b), p.starts[1], fixed=[3])
    assert set(asked) == {p.starts[1][3]}  # no differences of what is held


def test_losses_and_bounds_together():
    t = np.linspace(0, 3, 40)
    y = 3 * np.exp(-1.2 * t) + 0.05 * RNG.standard_normal(40)
    y[::6] += 2.0
    how = {"loss": "soft_l1", "f_scale": 0.1, "bounds": ([0.0, 0.0], [2.0, 9.0])}
    r = mflow.least_squares(lambda b: b[0] * np.exp(-b[1] * t) - y, [1.0, 1.0], **how)
    peer = scipy.optimize.least_squares(lambda b: b[0] * np.exp(-b[1] * t) - y, [1.0, 1.0], xtol=1e-14, ftol=1e-14, gtol=1e-14, **how)
    np.testing.assert_allclose(r.x, peer.x, rtol=1e-6)
    assert r.x[0] == 2.0


@pytest.mark.filterwarnings("ignore:least_squares. no residual depends on")
def test_nobody_asks_outside_where_columns_vanish():
    """Neither the look at columns of zeros, nor that for longer differences, leaves the box."""
    seen = []

    def fun(x):
        seen.append(x.copy())
        return np.array([x[0] - 3.0, max(x[1] - 2.0, 0.0), 1.0])

    lower, upper = np.array([0.0, 0.0]), np.array([2.0, 1.0])
    r = mflow.least_squares(fun, [1.0, 0.999], "2-point", (lower, upper))
    assert r.success, r.message
    assert r.x[0] == 2.0
    assert np.all((np.array(seen) >= lower) & (np.array(seen) <= upper))


def test_a_start_beside_0_loses_no_parameter():
    """The column of b[1] is nearly 0 there: a first step that is not held back throws it to 1e8."""
    t = np.linspace(0, 3, 30)
    y = 3 * np.exp(-1.2 * t) + 0.01 * np.cos(9 * t)
    for start in (1e-9, 1e-3, 0.0):
        r = mflow.least_squares(lambda b: b[0] * np.exp(-b[1] * t) - y, [start, start])
        assert r.success, r.message
        assert r.x == pytest.approx([3.00293, 1.20132], rel=1e-5)


def test_a_mask_of_numbers_is_refused() -> None:
    """0 and 1 as a mask would hold parameters 0 and 1."""
    for fixed in ([0, 0, 1], [1, 0, 0]):
        with pytest.raises(ValueError, match="fixed: expected truth values, or each number of a parameter once"):
            mflow.least_squares(lambda b: b - 1.0, [3.0, 4.0, 5.0], fixed=fixed)


@pytest.mark.parametrize(
    ("pairs", "form"),
    [
        ([(0, 5), (0, 10)], "([0, 0], [5, 10])"),
        ([(0, None), (0, None)], "([0, 0], [inf, inf])"),
        ([[-1, 5.5], [0, 10], [2, 3]], "([-1, 0, 2], [5.5, 10, 3])"),
        (((0, None),), "([0], [inf])"),
    ],
)
def test_pairs_for_each_parameter_are_told_scipys_form(pairs, form):
    """And the form that is told is one that SciPy and mflow take."""
    n = len(pairs)
    fun = lambda b: b - 2.5  # noqa: E731
    with pytest.raises(ValueError, match=re.escape(f"a pair for each parameter is {form} in SciPy's form")):
        mflow.least_squares(fun, np.full(n, 2.2), bounds=pairs)
    told = eval(form, {"inf": np.inf})
    ours, theirs = mflow.least_squares(fun, np.full(n, 2.2), bounds=told), scipy.optimize.least_squares(fun, np.full(n, 2.2), bounds=told)
    np.testing.assert_allclose(ours.x, theirs.x, atol=1e-6)
    t = np.linspace(0.0, 1.0, 9)
    model = lambda t, *b: np.polyval(b, t)  # noqa: E731
    with pytest.raises(ValueError, match=re.escape(form)):
        mflow.curve_fit(model, t, t, p0=np.full(n, 2.2), bounds=pairs)


def test_bounds_that_are_no_pairs_are_told_no_form():
    for bounds in (([0, 1], [0, 2]), (1, 0), ([5, 0], [1, 2])):
        with pytest.raises(ValueError, match="bounds: ") as raised:
            mflow.least_squares(lambda b: b, [0.5, 2.5], bounds=bounds)
        assert ("SciPy's form" in str(raised.value)) == (bounds == ([0, 1], [0, 2]))


BROADCAST = [(np.array(0.0), np.array([3.0, 4.0])), (0.0, [3.0, np.inf]), scipy.optimize.Bounds([0.0, 0.0], [5.0, np.inf])]


@pytest.mark.parametrize("bounds", BROADCAST)
def test_bounds_are_broadcast_as_scipys(bounds):
    """An array of no dimension was NumPy's own TypeError."""
    x = np.linspace(0.0, 3.0, 20)
    model = lambda x, a, b: a * np.exp(-b * x)  # noqa: E731
    ours, theirs = (one(model, x, model(x, 2.0, 1.3), bounds=bounds)[0] for one in (mflow.curve_fit, scipy.optimize.curve_fit))
    np.testing.assert_allclose(ours, theirs, rtol=1e-6)


def test_bounds_of_nan_name_the_parameter():
    with pytest.raises(ValueError, match="got nan for parameter 1; use inf where there is none"):
        mflow.least_squares(lambda p: p, [1.0, 1.0], bounds=([0.0, np.nan], 5.0))
