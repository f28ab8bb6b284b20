"""curve_fit: SciPy as oracle for parameters, covariances and calls; closed forms for bands; what is said of parameters without effect."""

from __future__ import annotations

import copy
import math
import pickle
import warnings

import numpy as np
import pytest
import scipy.optimize
import scipy.stats

import mflow
from mflow.fitting.quantiles import chi_square_tails, student_quantile
from mflow.problems.curves import curve_names, parameter_names

RNG = np.random.default_rng(5)
X = np.linspace(0.0, 5.0, 50)
Y = 2.5 * np.exp(-1.3 * X) + 0.5 + 0.03 * RNG.standard_normal(50)


def decay(x, a, k, c):
    return a * np.exp(-k * x) + c


def slopes(x, a, k, c):
    e = np.exp(-k * x)
    return np.stack([e, -a * x * e, np.ones_like(x)], axis=1)


@pytest.mark.parametrize("absolute", [False, True])
@pytest.mark.parametrize("kind", ["none", "number", "vector", "matrix"])
@pytest.mark.parametrize("jac", [None, slopes])
def test_parameters_and_covariance_are_scipys(kind, absolute, jac):
    deviations = 0.02 + 0.01 * np.arange(50.0)
    root = np.diag(deviations) + 0.004 * np.tri(50)
    sigma = {"none": None, "number": 0.4, "vector": deviations, "matrix": root @ root.T}[kind]
    fit = mflow.curve_fit(decay, X, Y, [1.0, 1.0, 1.0], sigma, absolute, jac=jac)
    sigma = np.full(50, 0.4) if kind == "number" else sigma  # SciPy takes no number beside a Jacobian
    popt, pcov = scipy.optimize.curve_fit(decay, X, Y, [1.0, 1.0, 1.0], sigma, absolute, jac=jac)
    np.testing.assert_allclose(fit[0], popt, rtol=1e-6)
    np.testing.assert_allclose(fit[1], pcov, rtol=2e-5)
    np.testing.assert_allclose(fit.covariance, fit.pcov, rtol=1e-9)
    np.testing.assert_allclose(fit.stderr, np.sqrt(np.diag(pcov)), rtol=2e-5)
    assert fit.dof == 47
    assert fit.success


def test_it_is_a_tuple_with_attributes():
    fit = mflow.curve_fit(decay, X, Y)
    popt, pcov = fit
    assert popt is fit.popt
    assert pcov is fit.pcov
    assert len(fit) == 2
    assert fit.names == ("a", "k", "c")
    five = mflow.curve_fit(decay, X, Y, full_output=True)
    popt, pcov, info, text, code = five
    peer = scipy.optimize.curve_fit(decay, X, Y, full_output=True)
    assert set(info) == set(peer[2])
    assert (info["fjac"].shape, info["qtf"].shape) == (peer[2]["fjac"].shape, peer[2]["qtf"].shape)
    R = np.triu(info["fjac"].T[:3])
    order = np.argsort(info["ipvt"])
    np.testing.assert_allclose(np.linalg.inv(R.T @ R)[np.ix_(order, order)] * 2 * five.cost / five.dof, pcov, rtol=1e-9)
    assert code in (1, 2, 3, 4)
    assert text == five.message
    for other in (pickle.loads(pickle.dumps(mflow.curve_fit("exponential", X, Y))), copy.copy(fit)):
        np.testing.assert_allclose(other.popt, popt, rtol=1e-5)
        assert other.names == ("a", "k", "c")
        assert str(other).splitlines()[4].startswith("k  ")


def test_calls_are_no_more_than_scipys():
    calls = [0]

    def counted(x, a, k, c):
        calls[0] += 1
        return decay(x, a, k, c)

    fit = mflow.curve_fit(counted, X, Y, [1.0, 1.0, 1.0])
    ours, calls[0] = calls[0], 0
    peer = scipy.optimize.curve_fit(counted, X, Y, [1.0, 1.0, 1.0], full_output=True)
    assert fit.calls == ours <= calls[0]
    assert 2 * fit.cost <= np.sum(peer[2]["fvec"] ** 2) * (1 + 1e-9)


@pytest.mark.parametrize(("level", "dof"), [(0.95, 1), (0.95, 7), (0.5, 3), (0.999, 40), (0.9, 1e5), (0.95, math.inf), (0.6827, 2)])
def test_quantiles_are_students(level, dof):
    want = scipy.stats.norm.ppf(0.5 + 0.5 * level) if math.isinf(dof) else scipy.stats.t.ppf(0.5 + 0.5 * level, dof)
    assert student_quantile(level, dof) == pytest.approx(want, rel=1e-9)


def test_bands_of_a_line_are_the_textbooks():
    """y = a + b x: half width t s sqrt(1/m + (x - mean)^2/Sxx), and 1 more under the root for one more measurement."""
    x = np.array([1.0, 2.0, 4.0, 7.0, 9.0])
    y = np.array([1.1, 2.3, 3.8, 7.4, 8.7])
    fit = mflow.curve_fit(lambda x, a, b: a + b * x, x, y)
    at = np.array([0.0, 4.6, 12.0])
    b, a = np.polyfit(x, y, 1)
    s = math.sqrt(np.sum((y - a - b * x) ** 2) / 3)
    share = 1 / 5 + (at - x.mean()) ** 2 / np.sum((x - x.mean()) ** 2)
    t = scipy.stats.t.ppf(0.95, 3)
    low, high = fit.confidence_band(at, 0.9)
    np.testing.assert_allclose(high - low, 2 * t * s * np.sqrt(share), rtol=1e-7)
    np.testing.assert_allclose(0.5 * (low + high), a + b * at, rtol=1e-6)
    low, high = fit.prediction_band(at, 0.9)
    np.testing.assert_allclose(high - low, 2 * t * s * np.sqrt(1 + share), rtol=1e-7)
    np.testing.assert_allclose(fit.intervals(0.9)[:, 1] - fit.popt, t * np.sqrt(np.diag(fit.pcov)), rtol=1e-9)
    assert fit.correlation[0, 1] == pytest.approx(-x.mean() / math.sqrt(np.mean(x**2)), rel=1e-7)


def test_a_parameter_without_effect():
    with pytest.warns(RuntimeWarning, match="rank 2 for 3 parameters, and no residual depends on idle"):
        fit = mflow.curve_fit(lambda x, a, k, idle: a * np.exp(-k * x), X, Y - 0.5, [1.0, 1.0, 7.0])
    assert np.isinf(fit.pcov).all()
    assert (fit.rank, fit.dead) == (2, ("idle",))
    assert np.isfinite(fit.stderr[:2]).all()
    assert fit.stderr[2] == math.inf
    assert fit.popt[2] == 7.0
    assert "rank 2 for 3: idle without effect" in str(fit)
    low, high = fit.confidence_band([1.0])
    assert np.isfinite(low).all()
    assert np.isfinite(high).all()


def test_held_parameters():
    fit = mflow.curve_fit(decay, X, Y, [1.0, 1.0, 0.45], fixed=["c"])
    peer = scipy.optimize.curve_fit(lambda x, a, k: decay(x, a, k, 0.45), X, Y, [1.0, 1.0])
    np.testing.assert_allclose(fit.popt, [*peer[0], 0.45], rtol=1e-6)
    np.testing.assert_allclose(fit.pcov[:2, :2], peer[1], rtol=1e-5)
    assert not fit.pcov[2].any()
    assert fit.dof == 48
    assert "held" in str(fit)
    with pytest.raises(ValueError, match="fixed: expected names of parameters, got 'd'"):
        mflow.curve_fit(decay, X, Y, fixed=["d"])


def test_the_table():
    lines = str(mflow.curve_fit(decay, X, Y, bounds=([0, 0, 0.6], [9, 9, 9]))).splitlines()
    assert lines[0].startswith("decay: 3 parameters, 50 data, converged after ")
    assert [line.split()[0] for line in lines[2:6]] == ["parameter", "a", "k", "c"]
    assert "at its lower bound" in lines[5]
    assert "reach beyond it" in lines[8]
    plain = mflow.curve_fit(decay, X, Y)
    assert "bound" not in str(plain)
    assert "></th>" not in plain._repr_html_()


def test_the_table_of_a_robust_fit():
    spoiled = Y.copy()
    spoiled[[7, 30]] += 3.0
    fit = mflow.curve_fit(decay, X, spoiled, loss="soft_l1", f_scale=0.05)
    z = (fit.residuals / 0.05) ** 2
    cost = 0.5 * 0.05**2 * np.sum(2.0 * (np.sqrt(1.0 + z) - 1.0))
    assert fit.cost == pytest.approx(cost, rel=1e-12)
    assert f"\nrobust cost {cost:.6g} with 47 degrees of freedom" in str(fit)
    assert "sum of squares" not in str(fit)
    assert "R^2" not in str(fit)
    assert str(pickle.loads(pickle.dumps(fit))).splitlines()[7:] == str(fit).splitlines()[7:]
    assert "\nsum of squares " in str(mflow.curve_fit(decay, X, spoiled, loss="linear"))


def test_bounds_by_name():
    named = mflow.curve_fit(decay, X, Y, bounds={"c": (0.6, None), "a": (0, 9)})
    paired = mflow.curve_fit(decay, X, Y, bounds=([0, -np.inf, 0.6], [9, np.inf, np.inf]))
    assert named.popt.tobytes() == paired.popt.tobytes()
    assert named.active_mask.tolist() == [0, 0, -1]
    by_name = mflow.curve_fit("exponential", X, Y, bounds={parameter_names("exponential")[0]: (0, 1)})
    assert by_name.popt[0] <= 1.0


# ---- curves of our own ------------------------------------------------------------------------------------------------------------------

TRUE = {
    "exponential": (3.0, 0.8, 1.0), "gaussian_peak": (2.0, 3.1, 0.7, 0.5), "logistic_growth": (8.0, 1.4, 2.5), "sine": (1.5, 3.3, 0.6, 0.2),
    "power_law": (1.5, 1.7), "michaelis_menten": (4.0, 1.7),
}  # fmt: skip


@pytest.mark.parametrize("name", curve_names())
def test_curves_from_their_own_starting_values(name):
    """Noisy data over uneven x: the fit finds the truth within 5 standard errors, as SciPy does from the truth."""
    x = np.sort(RNG.uniform(0.05, 6.0, 80))
    model = mflow.objectives.curve(name, x)
    clean = model.residuals(np.array(TRUE[name]))
    y = clean + 0.02 * np.ptp(clean) * RNG.standard_normal(80)
    fit = mflow.curve_fit(name, x, y)
    assert fit.names == parameter_names(name)
    assert np.all(np.abs(fit.popt - TRUE[name]) < 5 * fit.stderr)
    peer = scipy.optimize.curve_fit(lambda x, *p: model.residuals(np.array(p)), x, y, TRUE[name])
    np.testing.assert_allclose(fit.popt, peer[0], rtol=1e-5)
    np.testing.assert_allclose(fit.pcov, peer[1], rtol=1e-3, atol=1e-6 * np.max(np.abs(peer[1])))
    np.testing.assert_array_equal(fit(), model.residuals(fit.popt))


@pytest.mark.parametrize("name", curve_names())
@pytest.mark.parametrize("data", ["constant", "falling", "one", "zeros"])
def test_starting_values_are_numbers_whatever_the_data(name, data):
    x = np.array([2.0]) if data == "one" else np.linspace(-1.0, 4.0, 12)
    y = {"constant": np.full(12, 3.0), "falling": -x, "one": np.array([1.0]), "zeros": np.zeros(12)}[data]
    start = mflow.starting_values(name, x, y)
    assert start.shape == (len(parameter_names(name)),)
    assert np.isfinite(start).all()


@pytest.mark.parametrize("name", curve_names())
@pytest.mark.parametrize(
    "x",
    [
        [-1.7e308, -1e308, 2.0, 1e154, 1e308, 1.7e308],
        [-9.7e-316, 7.7e-315, -5.6e-315, 0.0, 1e-315, 3e-315],
        [0.0, 5e-324, 3e-320, 0.5, 1.0, 1e154],
    ],
)
def test_starting_values_are_numbers_at_the_ends_of_the_range(name, x, capfd):
    """LAPACK, which writes what it is not given rightly, is asked nothing."""
    y = [1.3e194, 9.5e193, -7.0e193, -1.3e194, -2.3e194, 4.1e192]
    for values in (y, np.divide(y, 1e194)):
        assert np.isfinite(mflow.starting_values(name, x, values)).all()
    assert "".join(capfd.readouterr()) == ""


# ---- bad input --------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "words", "more"),
    [
        (ValueError, "sigma: expected standard deviations above 0, got 0 at entry 3", {"sigma": np.r_[1.0, 1, 1, 0.0, np.ones(46)]}),
        (ValueError, "sigma: expected finite standard deviations above 0, got inf at entry 0", {"sigma": np.r_[np.inf, np.ones(49)]}),
        (ValueError, "sigma: expected one number, 50 standard deviations or a matrix", {"sigma": np.ones(7)}),
        (ValueError, "sigma: expected a positive definite", {"sigma": -np.eye(50)}),
        (ValueError, r"p0: expected starting values within bounds, got p0\[0\] = 1", {"p0": [1, 1, 1], "bounds": (2, 3)}),
        (ValueError, "bounds: expected each lower bound below its upper one", {"bounds": (3, 2)}),
        (ValueError, "bounds: expected names of parameters, got 'C'", {"bounds": {"C": (0, 1)}}),
        (TypeError, r"bounds\['c'\]: expected a pair \(lower, upper\), got 3", {"bounds": {"c": 3}}),
        (ValueError, r"bounds\['c'\]: expected a pair \(lower, upper\), got", {"bounds": {"c": (0, 1, 2)}}),
        (ValueError, r"bounds\['c'\]: expected two numbers or None, the lower", {"bounds": {"c": (1, 0)}}),
        (ValueError, r"bounds\['c'\]: expected two numbers or None, the lower", {"bounds": {"c": (0, np.nan)}}),
        (TypeError, r"bounds\['c'\]: expected real numbers", {"bounds": {"c": ("a", 1)}}),
        (ValueError, "method: expected 'lm'", {"method": "trf"}),
        (ValueError, "nan_policy: expected None, 'raise' or 'omit'", {"nan_policy": "keep"}),
        (TypeError, "curve_fit has no argument 'fto'; did you mean 'ftol'", {"fto": 1e-3}),
        (TypeError, "p0: expected real numbers", {"p0": ["a", "b", "c"]}),
        (TypeError, "p0: expected at most 50 parameters", {"p0": np.ones(51)}),
        (TypeError, "absolute_sigma: expected True or False", {"absolute_sigma": "yes"}),
    ],
)
def test_mistakes_are_named(error, words, more):
    with pytest.raises(error, match=words):
        mflow.curve_fit(decay, X, Y, **more)


def test_models_that_do_not_fit_the_data_are_named():
    with pytest.raises(ValueError, match=r"f returned shape \(3,\): expected 50 numbers, as there are data; .* return NaN, which"):
        mflow.curve_fit(lambda x, a: np.ones(3) * a, X, Y)
    calls = [0]

    def changes(x, a):
        calls[0] += 1
        return a * x if calls[0] < 3 else a * x[:9]

    with pytest.raises(ValueError, match=r"f returned shape \(9,\)"):
        mflow.curve_fit(changes, X, Y)
    with pytest.raises(ValueError, match="ydata: expected finite numbers"):
        mflow.curve_fit(decay, X, np.where(X[4] == X, np.nan, Y))
    with pytest.raises(ValueError, match="p0: expected starting values, as f's signature does not tell"):
        mflow.curve_fit(lambda x, *p: x, X, Y)
    with pytest.raises(ValueError, match=r"name: expected that of a curve, .*gaussian_peak, .*, got 'gausian_peak'"):
        mflow.curve_fit("gausian_peak", X, Y)


def test_a_fit_that_does_not_converge():
    with pytest.raises(RuntimeError, match="no parameters found") as caught:
        mflow.curve_fit(decay, X, Y, [1.0, 1.0, 1.0], maxfev=8)
    assert caught.value.partial_result.reason == "max_nfev"
    with pytest.raises(ZeroDivisionError) as caught:
        mflow.curve_fit(lambda x, a: 1 // 0, X, Y)
    assert caught.value.partial_result.reason == "rhs_failed"


def test_warnings_stay_away_where_all_is_well():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        mflow.curve_fit(decay, X, Y, bounds=(0, 10), loss="soft_l1", callback=lambda x: None)


def line(x, a, b):
    return a + b * x


SPREADS = {
    "one": lambda x: 0.01,
    "equal": lambda x: np.full(x.size, 0.01),
    "growing": lambda x: 0.01 * (1 + x),
    "a covariance": lambda x: np.diag((0.01 * (1 + x)) ** 2),
}


@pytest.mark.parametrize("absolute", [True, False])
@pytest.mark.parametrize("kind", list(SPREADS))
def test_predictions_between_the_data_have_the_sigma_of_the_data(kind, absolute):
    """The textbook's weighted line: half width t s sqrt(sigma(x)^2 + (1, x) (A' W A)^-1 (1, x)'), and the picture draws it."""
    pytest.importorskip("matplotlib")
    x = np.linspace(0.0, 1.0, 21)[::-1]
    of = lambda x: np.full(x.shape, 0.01) if kind in ("one", "equal") else 0.01 * (1 + x)  # noqa: E731
    y = 1 + 2 * x + of(x) * np.random.default_rng(3).standard_normal(21)
    fit = mflow.curve_fit(line, x, y, sigma=SPREADS[kind](x), absolute_sigma=absolute)
    A, w = np.column_stack([np.ones(21), x]), 1 / of(x) ** 2
    C = np.linalg.inv(A.T @ (w[:, None] * A))
    s = 1.0 if absolute else math.sqrt(np.sum(w * (y - A @ (C @ (A.T @ (w * y)))) ** 2) / 19)
    t = scipy.stats.norm.ppf(0.975) if absolute else scipy.stats.t.ppf(0.975, 19)
    for at in (np.array([0.5]), np.array([0.13, 0.87]), None):
        points = x if at is None else at
        row = np.column_stack([np.ones(points.size), points])
        want = t * s * np.sqrt(of(points) ** 2 + np.einsum("ij,jk,ik->i", row, C, row))
        low, high = fit.prediction_band(at)
        np.testing.assert_allclose(0.5 * (high - low), want, rtol=1e-6)
    drawn = mflow.plot.fit(fit).axes[0].collections[0].get_paths()[0].vertices[:, 1]
    assert 2.0 < np.ptp(drawn) < 2.2  # 4 sigma at most beside the line's rise of 2, not 4


def test_predictions_whose_sigma_is_not_known_are_left_out():
    pytest.importorskip("matplotlib")
    x = np.repeat(np.linspace(0.0, 1.0, 10), 2)
    y = 1 + 2 * x + 0.01 * np.cos(40 * np.arange(20))
    fit = mflow.curve_fit(line, x, y, sigma=0.01 * (1 + np.arange(20) % 2), absolute_sigma=True)
    with pytest.raises(ValueError, match=r"different ones at the same x; give sigma="):
        fit.prediction_band([0.5])
    low, high = fit.prediction_band([0.5], sigma=0.02)
    assert 0.039 < 0.5 * (high - low)[0] < 0.041
    words = [text.get_text() for text in mflow.plot.fit(fit).axes[0].get_legend().get_texts()]
    assert "no prediction band: sigma differs at one x" in words
    assert not [w for w in words if w.endswith("% prediction")]
    plane = mflow.curve_fit(lambda x, a, b: a * x[0] + b * x[1], np.stack([x, x**2]), y, sigma=0.01 * (1 + x))
    with pytest.raises(ValueError, match="xdata are no vector"):
        plane.prediction_band(np.ones((2, 1)))
    grown = mflow.curve_fit(line, x, y, sigma=0.01 * (1 + x))
    assert np.isnan(grown.prediction_band([1.5])[0]).all()


def test_the_picture():
    pytest.importorskip("matplotlib")
    fit = mflow.curve_fit(decay, X, Y)
    figure = mflow.plot.fit(fit)
    curve, residuals = figure.axes
    drawn = curve.lines[0].get_xydata()
    np.testing.assert_allclose(drawn[:, 1], fit(drawn[:, 0]))
    np.testing.assert_allclose(residuals.lines[1].get_ydata(), fit.residuals)
    assert len(curve.collections) >= 2
    with pytest.raises(TypeError, match=r"result: expected what mflow\.curve_fit returns"):
        mflow.plot.fit(X)
    with pytest.raises(ValueError, match="result: expected a fit over a vector"):
        mflow.plot.fit(mflow.curve_fit(lambda x, a: a * X, None, Y))
    with pytest.raises(ValueError, match="got 100 data over 50 of xdata; draw the parts"):  # real and imaginary parts over one x
        mflow.plot.fit(mflow.curve_fit(lambda x, a, k, c: np.concatenate([decay(x, a, k, c)] * 2), X, np.concatenate([Y, Y])))


def test_the_coefficient_of_determination():
    """Of lines against SciPy's correlation, weighted against its textbook form, and where it is not known."""
    rng = np.random.default_rng(8)
    x = np.linspace(0.0, 1.0, 20)
    y, sigma = 2.0 + 3.0 * x + rng.standard_normal(20), rng.uniform(0.5, 2.0, 20)
    plain = mflow.curve_fit(lambda x, a, b: a + b * x, x, y)
    assert plain.rsquared == pytest.approx(scipy.stats.linregress(x, y).rvalue ** 2, rel=1e-9)
    weighted = mflow.curve_fit(lambda x, a, b: a + b * x, x, y, sigma=sigma)
    slope, level = np.polyfit(x, y, 1, w=1.0 / sigma)
    middle = np.sum(y / sigma**2) / np.sum(1.0 / sigma**2)
    known = 1.0 - np.sum(((y - level - slope * x) / sigma) ** 2) / np.sum(((y - middle) / sigma) ** 2)
    assert weighted.rsquared == pytest.approx(known, rel=1e-9)
    assert np.isnan(mflow.curve_fit(lambda x, a: a * x, x, np.ones(20)).rsquared)
    assert np.isnan(mflow.curve_fit(lambda x, a: a * x, x, np.full(20, 11.088305259639395), sigma=sigma).rsquared)  # whose mean is rounded
    assert np.isnan(mflow.curve_fit(lambda x, a: a * x, x, y, sigma=np.diag(sigma**2)).rsquared)
    assert mflow.curve_fit(lambda x, a: a - 10.0 * x, x, y).rsquared < 0.0


def test_messages_tell_which_data_are_too_few_and_that_names_hold_parameters() -> None:
    x = np.linspace(0.0, 1.0, 6)
    with pytest.raises(ValueError, match="ydata has 5, and xdata has 6 points"):
        mflow.curve_fit(lambda x, a, b: a + b * x, x, x[:-1], [1.0, 1.0])
    with pytest.raises(TypeError, match="or numbers of parameters, or names"):
        mflow.curve_fit(lambda x, a, b: a + b * x, x, x, [1.0, 1.0], fixed={"a": 1.0})


def test_the_table_says_what_the_standard_deviation_is_of() -> None:
    """Residuals of a constant, +- 1/2 about 2: over sigma = 1/4 they are +- 2, and s^2 = 6 * 4/5; none beside chi^2/dof, 4.8."""
    x, y, sigma = np.arange(6.0), 2.0 + 0.5 * (-1.0) ** np.arange(6), np.full(6, 0.25)
    weighted = str(mflow.curve_fit(lambda x, a: a + 0 * x, x, y, [1.0], sigma=sigma))
    assert f"standard deviation of a residual over its sigma {np.sqrt(4.8):.4g}" in weighted
    absolute = str(mflow.curve_fit(lambda x, a: a + 0 * x, x, y, [1.0], sigma=sigma, absolute_sigma=True))
    assert "with 5 degrees of freedom, standard errors take sigma as it is" in absolute
    assert "chi^2 per degree of freedom 4.8" in absolute
    assert "standard deviation" not in absolute
    plain = str(mflow.curve_fit(lambda x, a: a + 0 * x, x, y, [1.0]))
    assert f"standard deviation of a residual {np.sqrt(6 * 0.25 / 5):.4g}, R^2" in plain


@pytest.mark.parametrize(("sigma", "words"), [(0.05, "which sigma explains"), (0.005, "too small"), (0.5, "too large")])
def test_the_table_says_whether_an_absolute_sigma_contradicts_the_residuals(sigma, words):
    """By hand: the residuals' squares over sigma^2, divided by 50 - 2."""
    x = np.linspace(0.0, 4.0, 50)
    y = 1.0 + 2.0 * x + 0.05 * np.random.default_rng(1).standard_normal(50)
    fit = mflow.curve_fit(lambda x, a, b: a + b * x, x, y, sigma=np.full(50, sigma), absolute_sigma=True)
    misfit = y - np.polyval(np.polyfit(x, y, 1), x)
    told = next(line for line in str(fit).splitlines() if "chi^2" in line)
    assert f"{np.sum((misfit / sigma) ** 2) / 48:.4g}" in told
    assert words in told
    assert fit.success
    assert "chi^2" not in str(mflow.curve_fit(lambda x, a, b: a + b * x, x, y, sigma=np.full(50, sigma)))


@pytest.mark.parametrize(("dof", "ratio"), [(1, 196.0), (1, 16.0), (2, 36.0), (4, 9.0), (8, 4.84), (1, 1e-12), (3, 1e-5), (40_000, 1.1)])
def test_few_degrees_of_freedom_explain_little(dof, ratio):
    """chi^2 / dof = 36 of two was "which sigma explains"."""
    below, above = chi_square_tails(ratio * dof, dof)
    assert below == pytest.approx(scipy.stats.chi2.cdf(ratio * dof, dof), rel=1e-9 if dof < 10_000 else 0.05)
    assert above == pytest.approx(scipy.stats.chi2.sf(ratio * dof, dof), rel=1e-9 if dof < 10_000 else 0.05)
    if dof > 100:
        return
    x = np.arange(dof + 1.0)
    y = np.where(x == 0.0, 1.0, 0.0)  # sum of squares about its mean: dof/(dof + 1)
    sigma = np.sqrt(1.0 / (dof + 1.0) / ratio)
    told = str(mflow.curve_fit(lambda x, a: a + 0 * x, x, y, [1.0], sigma=np.full(x.size, sigma), absolute_sigma=True))
    explained = min(scipy.stats.chi2.cdf(ratio * dof, dof), scipy.stats.chi2.sf(ratio * dof, dof)) > 3e-5
    assert ("which sigma explains" in told) == explained


def test_powers_of_negative_numbers_are_named():
    """They were "residual 0 at x0 is nan"."""
    with pytest.raises(ValueError, match=r"x\[0\] = -3; fit over abs\(x\)"):
        mflow.curve_fit("power_law", [-3.0, -2.0, -1.0], [9.0, 4.0, 1.0])


def test_starting_values_by_name():
    """As bounds are given: in any order, each once."""
    x = np.linspace(0.0, 2.0, 21)
    y = 3.0 * np.exp(-1.3 * x) + 0.5

    def model(x, a, k, c):
        return a * np.exp(-k * x) + c

    fit = mflow.curve_fit(model, x, y, {"c": 0.0, "k": 2.0, "a": 1.0}, bounds={"k": (0, 5)})
    assert (
        fit.popt.tobytes()
        == mflow.curve_fit(model, x, y, [1.0, 2.0, 0.0], bounds=([-np.inf, 0, -np.inf], [np.inf, 5, np.inf])).popt.tobytes()
    )
    names = mflow.curve_fit("exponential", x, y).names
    np.testing.assert_allclose(mflow.curve_fit("exponential", x, y, dict.fromkeys(names, 1.0)).popt, [3.0, 1.3, 0.5], rtol=1e-6)
    with pytest.raises(ValueError, match=r"p0: expected a starting value for each parameter, got none for k, c"):
        mflow.curve_fit(model, x, y, {"a": 1.0})
    with pytest.raises(ValueError, match=r"p0: expected names of parameters, got 'd'; there are: a, k, c"):
        mflow.curve_fit(model, x, y, {"a": 1.0, "k": 1.0, "c": 0.0, "d": 2.0})
    with pytest.raises(ValueError, match=r"p0\['a'\]: expected one number, got \[1, 2\]"):
        mflow.curve_fit(model, x, y, {"a": [1, 2], "k": 1.0, "c": 0.0})


@pytest.mark.parametrize(("p0", "count"), [([3.0, 1.0], 2), (3.0, 1), ([1.0] * 4, 4)])
def test_too_few_starting_values_are_named(p0, count):
    """The error was that of the call of the model, which did not name p0."""
    x = np.linspace(0.0, 2.0, 21)
    with pytest.raises(TypeError, match=rf"p0: expected 3 starting values, of a, k, c, got {count}; f is called"):
        mflow.curve_fit(lambda x, a, k, c: a * np.exp(-k * x) + c, x, x, p0)


def test_an_error_of_the_model_itself_is_its_own():
    with pytest.raises(TypeError, match="unsupported operand"):
        mflow.curve_fit(lambda x, a: a + None, [1.0, 2.0], [1.0, 2.0], [1.0])


@pytest.mark.parametrize("more", [{}, {"loss": "soft_l1"}, {"bounds": (-5, [5, 0.9])}])
def test_a_fit_that_ends_where_the_model_is_not_finite_says_so(more):
    """It ended in numpy's "SVD did not converge": the model of an equation that cannot be solved for some parameters is NaN there."""
    t = np.linspace(0.5, 6, 12)
    with pytest.warns(RuntimeWarning, match="could not be estimated, as f is not finite beside popt"):
        fit = mflow.curve_fit(
            lambda t, a, k: a * np.exp(-k * t) * (1.0 if k < 0.5 else np.nan), t, 2 * np.exp(-0.9 * t), p0=[1.0, 0.1], **more
        )
    assert fit.popt[1] == pytest.approx(0.5, rel=1e-6)
    assert np.isinf(fit.pcov).all()
    assert np.isinf(fit.stderr).all()
    assert "the model is not finite beside these parameters" in str(fit)
    assert "do not determine" not in str(fit)
