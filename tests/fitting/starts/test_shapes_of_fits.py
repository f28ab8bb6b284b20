"""Fewer residuals than parameters, and differences by groups of columns, against pinv, SciPy and plain differences."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import mflow

rng = np.random.default_rng(3)


@pytest.mark.parametrize(("m", "n"), [(1, 2), (3, 8), (7, 9), (1, 1), (40, 60)])
def test_linear_residuals_end_at_the_solution_nearest_to_the_start(m: int, n: int) -> None:
    A, b, x0 = rng.normal(size=(m, n)), rng.normal(size=m), rng.normal(size=n)
    for unit in (1.0, 10.0 ** rng.uniform(-2, 2, n)):
        r = mflow.least_squares(lambda x: A @ x - b, x0, lambda x: A, x_scale=unit)
        right = x0 + unit * (np.linalg.pinv(A * unit) @ (b - A @ x0))
        assert r.success
        np.testing.assert_allclose(r.x, right, rtol=1e-9, atol=1e-9 * np.max(np.abs(right)))
        assert (r.rank, r.jac.shape, r.fun.shape) == (m, (m, n), (m,))
        assert np.isinf(np.diag(r.covariance(absolute=True))).any() == (m < n)


@pytest.mark.parametrize("jac", ["2-point", "3-point", "cs"])
@pytest.mark.parametrize("bounds", [(-np.inf, np.inf), ([-5.0, -5.0], [-0.5, 5.0])])
def test_a_curve_of_solutions(jac: str, bounds: Any) -> None:
    """One residual of two parameters: an end on the parabola, within the bounds."""
    r = mflow.least_squares(lambda x: np.array([10 * (x[1] - x[0] ** 2)]), [-2.0, 1.0], jac, bounds)
    assert r.success
    assert r.cost < 1e-14
    assert abs(r.x[1] - r.x[0] ** 2) < 1e-8


def test_fixed_parameters_losses_and_acceleration_with_few_residuals() -> None:
    fun = lambda x: np.array([x[0] * x[1] - 2.0, x[2] + x[3] - 1.0])  # noqa: E731
    for more in ({"fixed": [1]}, {"loss": "soft_l1"}, {"acceleration": True}, {"sigma": [2.0, 0.1]}):
        r = mflow.least_squares(fun, [1.0, 1.0, 0.0, 0.0], **more)
        assert r.success, more
        assert r.cost < 1e-20, more
        assert more.get("fixed") is None or r.x[1] == 1.0


def test_curve_fit_with_bounds_takes_fewer_data_than_parameters() -> None:
    with pytest.warns(RuntimeWarning, match="rank 2 for 3 parameters"):
        fit = mflow.curve_fit(lambda x, a, b, c: a + b * x + c * x * x, [0.0, 1.0], [1.0, 2.0], bounds=(-5, 5))
    assert np.isinf(np.diag(fit[1])).all()
    assert abs(fit[0][0] - 1.0) < 1e-8
    for how in ({}, {"method": "lm"}, {"bounds": (-np.inf, np.inf)}):
        with pytest.raises(TypeError, match="p0: expected at most 2 parameters"):
            mflow.curve_fit(lambda x, a, b, c: a + b * x + c * x * x, [0.0, 1.0], [1.0, 2.0], **how)


@pytest.mark.parametrize("name", ["xdata", "ydata", "sigma", "p0", "x0", "fun", "f"])
def test_masks_are_not_dropped(name: str) -> None:
    """NumPy hands on what stands below a mask, as SciPy does."""
    x, y = np.linspace(0.0, 1.0, 5), np.arange(5.0)
    cover = lambda a: np.ma.array(a, mask=np.arange(a.size) == 1)  # noqa: E731
    line = lambda x, a, b: a + b * x  # noqa: E731
    given = {"f": line, "xdata": x, "ydata": y, "p0": np.ones(2), "sigma": np.ones(5)}
    if name == "x0":
        call = lambda: mflow.least_squares(lambda p: line(x, *p) - y, cover(np.ones(2)))  # noqa: E731
    elif name == "fun":
        call = lambda: mflow.least_squares(lambda p: cover(line(x, *p) - y), [1.0, 1.0])  # noqa: E731
    else:
        masked = {name: (lambda *p: cover(line(*p))) if name == "f" else cover(given[name])}
        call = lambda: mflow.curve_fit(**{**given, **masked})  # noqa: E731
    with pytest.raises(ValueError, match=rf"^{name}: expected numbers that all count, got a masked array with 1 of \d entries masked"):
        call()
    bare = np.ma.array(y, mask=False)
    np.testing.assert_array_equal(mflow.curve_fit(line, x, bare)[0], mflow.curve_fit(line, x, y)[0])


# ---- a pattern of the Jacobian ----------------------------------------------------------------------------------------------------------

N = 30


def chain(x: Any) -> Any:
    """Rosenbrock's valleys, and a pull to 1."""
    return np.concatenate([[x[0] - 1.0], 10.0 * (x[1:] - x[:-1] ** 2), 0.1 * (x - 1.0)])


def pattern() -> Any:
    S = np.zeros((2 * N, N))
    S[:N, :] = np.eye(N) + np.eye(N, k=-1)
    S[N:, :] = np.eye(N)
    return S


@pytest.mark.parametrize("jac", ["2-point", "3-point"])
@pytest.mark.parametrize("bounds", [(-np.inf, np.inf), (0.5, 1.3)])
def test_groups_of_columns_give_the_same_differences(jac: str, bounds: Any) -> None:
    sparse = pytest.importorskip("scipy.sparse")
    calls = [0]

    def fun(x: Any) -> Any:
        calls[0] += 1
        return chain(x)

    start = np.full(N, 1.3)
    plain = mflow.least_squares(fun, start, jac, bounds)
    before, calls[0] = calls[0], 0
    for S in (pattern(), sparse.csr_matrix(pattern()), sparse.coo_array(pattern())):
        calls[0] = 0
        r = mflow.least_squares(fun, start, jac, bounds, jac_sparsity=S)
        assert np.array_equal(r.x, plain.x)
        assert np.array_equal(r.jac, plain.jac)
        assert (r.nfev, r.njev) == (plain.nfev, plain.njev)
        assert calls[0] < before / 5
    held = mflow.least_squares(fun, start, jac, jac_sparsity=pattern(), fixed=[0, 7])
    assert held.x[[0, 7]].tolist() == [1.3, 1.3]
    assert not held.jac[:, [0, 7]].any()


def test_a_pattern_that_misses_an_entry_is_told() -> None:
    S = pattern()
    S[5, 4] = 0
    with pytest.warns(mflow.GradientWarning, match=r"residual 5.*does jac_sparsity miss an entry"):
        r = mflow.least_squares(chain, np.full(N, 1.3), jac_sparsity=S)
    assert (r.success, r.reason) == (False, "wrong_gradient")


@pytest.mark.parametrize(
    ("S", "error", "words"),
    [
        (np.ones((3, N)), ValueError, r"jac_sparsity: expected shape \(60, 30\), as there are 60 residuals of 30 parameters"),
        ("banded", TypeError, "jac_sparsity: expected"),
        (np.ones(N), ValueError, "jac_sparsity: expected shape"),
    ],
)
def test_patterns_that_do_not_fit(S: Any, error: Any, words: str) -> None:
    with pytest.raises(error, match=words):
        mflow.least_squares(chain, np.full(N, 1.3), jac_sparsity=S)


def test_a_pattern_beside_a_jacobian_is_refused() -> None:
    with pytest.raises(ValueError, match="jac_sparsity: expected None beside a Jacobian"):
        mflow.least_squares(lambda x: x, [1.0], lambda x: np.eye(1), jac_sparsity=np.eye(1))


# ---- units ------------------------------------------------------------------------------------------------------------------------------

T = np.linspace(0.0, 3.0, 20)
Y = 2.0 * np.exp(-1.3 * T) + 0.1 * np.cos(7.0 * T)


@pytest.mark.parametrize("loss", ["linear", "soft_l1"])
@pytest.mark.parametrize("unit", [1e-300, 1e-160, 1e-20, 1e150, 1e180, 1e300])
def test_a_parameter_in_any_units(unit: float, loss: str) -> None:
    """Columns whose squares under- or overflow: the same fit, but for rounding."""
    plain = mflow.least_squares(lambda p: p[0] * np.exp(-p[1] * T) - Y, [1.0, 1.0], loss=loss)
    for jac in ("2-point", lambda p: np.c_[np.exp(-p[1] * T) / unit, -T * p[0] / unit * np.exp(-p[1] * T)]):
        r = mflow.least_squares(lambda p: p[0] / unit * np.exp(-p[1] * T) - Y, [unit, 1.0], jac, loss=loss)
        assert r.success
        np.testing.assert_allclose(r.x / [unit, 1.0], plain.x, rtol=1e-6)
        assert r.rank == 2


@pytest.mark.parametrize("unit", [1e-160, 1e-200, 1e-300])
def test_residuals_whose_squares_underflow_are_told(unit: float) -> None:
    r = mflow.least_squares(lambda p: (p[0] * np.exp(-p[1] * T) - Y) * unit, [1.0, 1.0])
    assert (r.success, r.reason) == (False, "non_finite")
    assert "underflow" in r.message
    assert "other units" in r.message
    with pytest.raises(RuntimeError, match="underflow"):
        mflow.curve_fit(lambda t, a, k: a * np.exp(-k * t) * unit, T, Y * unit, [1.0, 1.0])
    at_the_end = mflow.least_squares(lambda p: (p[0] * np.exp(-p[1] * T) - np.exp(-T)) * unit, [1.0, 1.0])
    assert (at_the_end.success, at_the_end.cost) == (True, 0.0)


def test_a_jacobian_that_is_not_finite_beyond_x_is_named() -> None:
    def jac(x: Any) -> Any:
        return np.array([[np.exp(x[0])]]) * (1.0 if x[0] < 1.0 else np.inf)

    r = mflow.least_squares(lambda x: np.exp(x) - 20.0, [0.0], jac)
    assert not r.success
    assert "jac is not finite at points tried beyond x: its entry (0, 0) is inf" in r.message


@pytest.mark.parametrize(
    ("entry", "value", "words"),
    [
        ((0, 1), 0.5, r"symmetric .* got 0.5 in entry \(0, 1\) and 0 in entry \(1, 0\)"),
        ((2, 2), np.nan, r"symmetric .* got nan in entry"),
        ((1, 1), np.inf, r"symmetric .* in entry"),
        ((1, 1), -1.0, "positive definite"),
        ((1, 1), 0.0, "positive definite"),
    ],
)
def test_covariances_of_the_data_that_are_none(entry: tuple[int, int], value: float, words: str) -> None:
    sigma = np.eye(T.size)
    sigma[entry] = value
    with pytest.raises(ValueError, match=f"sigma: expected a .*{words}"):
        mflow.curve_fit(lambda t, a, k: a * np.exp(-k * t), T, Y, [1.0, 1.0], sigma=sigma)


@pytest.mark.parametrize("whole", [True, False])
def test_operators_and_constant_matrices_as_jac_name_the_fix(whole: bool) -> None:
    linalg = pytest.importorskip("scipy.sparse.linalg")
    A = rng.normal(size=(6, 3))
    op = linalg.aslinearoperator(A)
    words = r"^jac: expected a dense or sparse array, got a LinearOperator, .*; op @ np\.eye\(op\.shape\[1\]\) gives them"
    with pytest.raises(ValueError, match=words):
        mflow.least_squares(lambda x: A @ x - 1.0, np.zeros(3), op if whole else lambda x: op)
    with pytest.raises(ValueError, match=words):
        mflow.curve_fit(lambda x, *p: A @ p, np.arange(6.0), np.ones(6), np.zeros(3), jac=op if whole else lambda x, *p: op)
    with pytest.raises(ValueError, match=r"; a constant J is given as jac=lambda \*args: J$"):
        mflow.least_squares(lambda x: A @ x - 1.0, np.zeros(3), A)
    r = mflow.least_squares(lambda x: A @ x - 1.0, np.zeros(3), lambda *args: op @ np.eye(op.shape[1]))
    np.testing.assert_allclose(r.x, np.linalg.lstsq(A, np.ones(6), rcond=None)[0], rtol=1e-9)


@pytest.mark.parametrize(
    "true",
    [(2.08, 4.21, 2.19, 1.68), (-1.77, 0.61, 0.88, 1.75), (-2.14, 5.22, 0.8, -0.55), (-2.91, 1.0, 2.24, -1.53), (0.91, 4.71, 2.67, 0.84)],
)
def test_wide_peaks_whose_foot_is_not_seen(true: tuple[float, ...]) -> None:
    """They ended at an inverted peak beside the data; no minimum can lie above the cost at the true parameters."""
    x = np.linspace(0.5, 5.5, 60)
    a, m, s, c = true
    clean = a * np.exp(-((x - m) ** 2) / (2 * s * s)) + c
    y = clean + 0.02 * np.ptp(clean) * np.random.default_rng(0).normal(size=60)
    fit = mflow.curve_fit("gaussian_peak", x, y)
    assert fit.cost <= 0.5 * np.sum((y - clean) ** 2)
    assert np.sign(fit.popt[0]) == np.sign(a)
