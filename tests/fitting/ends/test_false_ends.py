"""Fits that ended where no minimum was, beside columns that are rounding; and parameters whose columns are told apart by it alone."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from mflow import curve_fit, least_squares, least_squares_batch, objectives
from mflow.data import load_nist

Array = NDArray[np.float64]
X = np.linspace(-1.0, 1.0, 21)
T = np.linspace(0.0, 1.0, 20)
NOISE = 0.1 * np.cos(41.0 * T)


def gauss(x: Array, a: float, s: float) -> Array:
    return a * np.exp(-((s * x) ** 2))


def sinc(x: Array, a: float, s: float) -> Array:
    return a * np.sinc(s * x)


def raised(x: Array, a: float, s: float, c: float) -> Array:
    return gauss(x, a, s) + c


EVEN = [(gauss, (2.0, 1.5), [1.0, 0.0]), (sinc, (2.0, 1.0), [1.0, 0.0]), (raised, (2.0, 1.7, -0.7), [2.3, 0.0, -0.8])]


@pytest.mark.parametrize(("model", "truth", "start"), EVEN)
def test_a_start_at_0_of_a_parameter_that_enters_by_its_square(
    model: Callable[..., Array], truth: tuple[float, ...], start: list[float]
) -> None:  # fmt: skip
    """Its column is rounding there. The first step went so far, or was cut so short for all others, that xtol ended the fit at once, as
    "converged" at [1, 0.635] where the data were made with [2, 1.5]."""
    fit = curve_fit(model, X, model(X, *truth), start)
    np.testing.assert_allclose(fit.popt, truth, rtol=1e-7)
    assert fit.cost < 1e-14


def test_ftol_does_not_end_a_run_at_its_start() -> None:
    """It was "converged" at x0 with a cosine of 0.894 and a cost of 2.5, as the column of x[0] was the length of a difference."""
    r = least_squares(lambda b: np.array([b[0] ** 2 + 1.0, b[1] - 2.0]), [0.0, 0.0], ftol=1e-8)
    assert r.success
    np.testing.assert_allclose(r.x, [0.0, 2.0], atol=1e-4)
    np.testing.assert_allclose(r.cost, 0.5, rtol=1e-8)


def test_ftol_does_not_make_a_ridge_a_minimum() -> None:
    """The cost falls to both sides along x[1]: to 0.28125 at 1/sqrt(2)."""
    r = least_squares(lambda b: np.array([1.0 + b[0] ** 2 - b[1] ** 2 + b[1] ** 4]), [0.0, 0.0], ftol=1e-8)
    assert not r.success or r.cost < 0.2813
    assert r.success or r.reason == "not_a_minimum"


def test_a_parameter_of_other_units_from_0() -> None:
    """Its column is short as well, but tells its slope: 1e9 is reached at once."""
    fit = curve_fit(lambda x, a, k: a + k * (1e-9 * x), X, 1.0 + 2e9 * (1e-9 * X), [0.5, 0.0])
    np.testing.assert_allclose(fit.popt, [1.0, 2e9], rtol=1e-7)
    assert fit.nfev < 8


SAME = [
    (lambda x, a, b, c: a * x + b * x + c, 2 * T + 1, [1.0, 2.0, 0.0], ["a", "b"]),
    (lambda x, a, b, c: a * x + b * x + c, 2 * T + 1 + NOISE, [1.0, 2.0, 0.0], ["a", "b"]),
    (lambda x, a, b: a / b * x, T, [1.0, 2.0], ["a", "b"]),
    (lambda x, a, b: a / b * x, T + NOISE, [1.0, 2.0], ["a", "b"]),
    (lambda x, a, b, k: (a + b) * np.exp(-k * x), 2 * np.exp(-T), [1.0, 2.0, 0.5], ["a", "b"]),
    (lambda x, a, b, k: (a + b) * np.exp(-k * x), 2 * np.exp(-T) + NOISE, [1.0, 2.0, 0.5], ["a", "b"]),
]


@pytest.mark.parametrize(("model", "y", "p0", "names"), SAME)
@pytest.mark.parametrize("jac", ["2-point", "3-point"])
def test_parameters_that_are_not_told_apart(model: Any, y: Array, p0: list[float], names: list[str], jac: str) -> None:
    """Their columns of differences are alike but for rounding, of which standard errors were made, without a word."""
    with pytest.warns(RuntimeWarning, match="do not tell a and b apart"):
        fit = curve_fit(model, T, y, p0, jac=jac)
    assert [name for name, error in zip(fit.names, fit.stderr, strict=True) if np.isinf(error)] == names
    assert fit.rank == len(p0) - 1
    assert np.isinf(fit.pcov).all()
    assert "beside these values the data do not determine all parameters" in str(fit)
    plain = least_squares(lambda p: model(T, *p) - y, p0, jac=jac)
    assert plain.rank == len(p0) - 1
    assert np.isinf(np.diagonal(plain.covariance())).tolist() == np.isinf(fit.stderr).tolist()


@pytest.mark.parametrize("share", [1e-4, 1e-6])
def test_columns_that_are_nearly_alike_are_told_apart(share: float) -> None:
    """The model is linear: errors are those of its exact columns."""
    y = 2.0 + share * T + NOISE
    columns = np.stack([np.ones(T.size), 1.0 + share * T], axis=1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fit = curve_fit(lambda x, a, b: a + b * (1.0 + share * x), T, y, [1.0, 2.0])
    best = np.linalg.lstsq(columns, y, rcond=None)[0]
    variance = np.sum((columns @ best - y) ** 2) / (T.size - 2)
    centred = T - T.mean()
    np.testing.assert_allclose(fit.stderr[1], np.sqrt(variance / (centred @ centred)) / share, rtol=2e-2)


F32 = np.float32
ROWS = np.random.default_rng(0).normal(size=(60, 3)).astype(F32)
VALUES = (ROWS @ np.array([1, -2, 0.5], F32) + 0.01 * np.cos(np.arange(60.0))).astype(F32)


def mixed(w: Array, share: float) -> Array:
    """A model in float32 above a penalty in float64."""
    return np.concatenate([(ROWS @ w.astype(F32) - VALUES).astype(float), share * w])


@pytest.mark.parametrize("share", [1e-3, 0.1])
@pytest.mark.parametrize("given", [False, True])
def test_residuals_of_which_a_part_is_float32(share: float, given: bool) -> None:
    """Differences saw the penalty alone and "converged" at its minimum, 0; with the right Jacobian the run ended as step_too_small."""
    J = np.concatenate([ROWS.astype(float), share * np.eye(3)])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        r = (
            least_squares(mixed, np.ones(3), lambda w, share: J, args=(share,))
            if given
            else least_squares(mixed, np.ones(3), args=(share,))
        )
    best = np.linalg.lstsq(J, np.concatenate([VALUES.astype(float), np.zeros(3)]), rcond=None)[0]
    assert r.success, r.message
    np.testing.assert_allclose(r.x, best, atol=1e-5)


def test_a_root_whose_residual_is_rounding() -> None:
    """1 - cos is one unit in the last place of 1 there, and the run ended as step_too_small at a cost of 6e-33."""
    r = least_squares(lambda b: [1.0 - np.cos(b[0])], [1.0])
    assert r.success, r.message
    assert abs(r.x[0]) < 1e-7
    assert r.cost < 1e-31


def test_a_minimum_of_a_small_residual_is_not_insensitive() -> None:
    r = least_squares(lambda b: [b[0] ** 2 + 1e-9], [1.0], acceleration=True)
    assert (r.success, r.reason) == (True, "converged"), r.message
    np.testing.assert_allclose(r.cost, 5e-19, rtol=1e-6)


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_a_kink_is_no_rounding(sign: float) -> None:
    """The residuals do not jump there, their slope does."""
    r = least_squares(lambda b: [np.abs(b[0]) + 1.0], [0.5 * sign])
    assert (r.success, r.reason) == (False, "step_too_small")


@pytest.mark.parametrize("calls", [0, 1, 2, 7])
def test_a_loss_that_raises_leaves_the_result_so_far(calls: int) -> None:
    """The result was put together by the loss, which raised again."""
    count = [0]

    def loss(z: Array) -> list[Array]:
        count[0] += 1
        if count[0] > calls:
            raise KeyError("mine")
        return [2.0 * (np.sqrt(1.0 + z) - 1.0), (1.0 + z) ** -0.5, -0.5 * (1.0 + z) ** -1.5]

    with pytest.raises(KeyError, match="mine") as caught:
        least_squares(lambda b: [b[0] - 1.0, b[0] ** 2 - 3.0], [3.0], loss=loss)
    partial: Any = caught.value.partial_result  # type: ignore[attr-defined]
    assert partial.reason == "rhs_failed"
    assert partial.x.shape == (1,)


def arc(b: Array) -> Array:
    """arctan2 jumps by 2 pi where b1 changes its sign left of 0."""
    return np.array([np.arctan2(b[1], b[0]) - 2.0, np.hypot(b[0], b[1]) - 1.0])


def step(b: Array) -> Array:
    return np.array([b[0] - 3.0 + (1.0 if b[0] < 1.0 else 0.0)])


@pytest.mark.parametrize(("fun", "start", "root"), [(arc, [-1.0, 0.0], [np.cos(2.0), np.sin(2.0)]), (step, [1.0], [3.0])])
@pytest.mark.parametrize("more", [{}, {"jac_sparsity": "full"}, {"loss": "soft_l1"}])
def test_central_differences_that_straddle_a_jump(fun: Any, start: list[float], root: list[float], more: dict[str, Any]) -> None:
    if more.get("jac_sparsity"):
        more = {"jac_sparsity": np.ones((fun(np.array(start)).size, len(start)))}
    r = least_squares(fun, start, jac="3-point", **more)
    assert r.success
    assert np.allclose(r.x, root, atol=1e-7)


@pytest.mark.parametrize("tiny", [1e-10, 1e-9, 1e-8, 3e-8, 1e-7])
@pytest.mark.parametrize("jac", ["2-point", "3-point"])
def test_a_tiny_start_beside_a_parameter_at_0(tiny: float, jac: str) -> None:
    """The first step is so short that it leaves b1 where its own shares move nothing."""
    r = least_squares(lambda b: np.array([b[0] ** 2 - 1.0, b[1] - 2.0, b[2] + 3.0]), [tiny, 0.0, 0.0], jac=jac)
    assert r.success
    assert np.allclose(r.x, [1.0, 2.0, -3.0], rtol=1e-8)


@pytest.mark.parametrize("tiny", [1e-20, 1e-12])
def test_a_linear_model_from_tiny_parameters(tiny: float) -> None:
    x = np.linspace(0.0, 3.0, 20)
    fit = curve_fit(lambda x, a, b, c: a * x * x + b * x + c, x, x * x + 2.0 * x + 3.0, [tiny] * 3)
    assert np.allclose(fit.popt, [1.0, 2.0, 3.0], rtol=1e-9)


def test_residuals_that_move_faster_than_differences_see_are_no_noise() -> None:
    """The first step leads 65 000 periods off, where longer differences are all over the place."""
    r = least_squares(lambda b: np.array([np.cos(b[0]) - 0.2, np.sin(b[1]) - 1.5]), [1e-6, 1.0], jac="3-point")
    assert not r.success or abs(r.cost - 0.125) < 1e-6
    assert "rounding" not in r.message or abs(r.cost - 0.125) < 1e-6


@pytest.mark.parametrize("fixed", [[False, False, True], [True, False, False]])
def test_errors_of_many_fits_with_held_parameters(fixed: list[bool]) -> None:
    x = np.linspace(0.0, 4.0, 40)
    y = 1.5 * np.exp(-0.9 * x) + 0.4 + 0.05 * np.cos(31.0 * x)
    many = least_squares_batch(objectives.curve("exponential", x, y), [[1.0, 0.5, 0.4]], errors=True, fixed=fixed)
    a, k, _ = many.x[0]
    J = np.stack([np.exp(-k * x), -a * x * np.exp(-k * x), np.ones(40)], axis=1)[:, ~np.array(fixed)]
    expected = np.zeros(3)
    expected[~np.array(fixed)] = np.sqrt(np.diag(np.linalg.inv(J.T @ J)) * 2.0 * many.cost[0] / 38.0)
    assert np.allclose(many.errors[0], expected, rtol=1e-4)


@pytest.mark.parametrize("loss", ["cauchy", lambda z: np.full((3, z.size), np.nan), lambda z: np.zeros((3, z.size))])
def test_a_loss_that_is_no_number_is_named(loss: Any) -> None:
    r = least_squares(lambda b: np.array([b[0] - 3.0, b[1] - 1.0]), [1.0, 1.5], loss=loss, f_scale=1e300 if loss == "cauchy" else 1.0)
    assert not r.success
    assert "look at loss and f_scale" in r.message


VANISHING: dict[str, tuple[Callable[[Array], Array], Callable[[Array], Array], list[float], float]] = {
    "gaussian": (
        lambda b: np.array([1.5 - np.exp(-b[0] ** 2), 0.1 * b[1]]),
        lambda b: np.array([[2 * b[0] * np.exp(-b[0] ** 2), 0.0], [0.0, 0.1]]), [0.0], 0.125,
    ),
    "cosine": (
        lambda b: np.array([1.5 - np.cos(b[0]), 0.1 * b[1]]), lambda b: np.array([[np.sin(b[0]), 0.0], [0.0, 0.1]]), [0.0], 0.125,
    ),
    "squares": (
        lambda b: np.array([1 + b[0] ** 2, 10 * (b[1] - 5), b[2] + b[1] - 7]),
        lambda b: np.array([[2 * b[0], 0.0, 0.0], [0.0, 10.0, 0.0], [0.0, 1.0, 1.0]]), [5.0, 2.0], 0.5,
    ),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore:least_squares. the Jacobian is 0 along")
@pytest.mark.parametrize("name", VANISHING)
@pytest.mark.parametrize("start", [1e-9, 1e-3, 0.03])
@pytest.mark.parametrize("how", ["exact", "tolerances", "2-point"])
def test_a_column_that_vanishes_at_the_minimum_holds_nothing_back(name: str, start: float, how: str) -> None:
    """The minimum is known: the first residual is least at 0, the others vanish. Steps within a radius in units of the
    vanishing column left the linear parameters none: 1500 evaluations, or an end at a third of the way."""
    fun, jac, rest, cost = VANISHING[name]
    some: dict[str, Any] = {"ftol": 1e-8, "xtol": 1e-8, "gtol": 1e-8} if how == "tolerances" else {}
    r = least_squares(fun, [start, *[1.0] * len(rest)], "2-point" if how == "2-point" else jac, **some)
    assert r.success
    assert r.cost == pytest.approx(cost, rel=1e-7)
    assert r.nfev < 300
    np.testing.assert_allclose(r.x, [0.0, *rest], atol=1e-2)
    if how != "tolerances":
        np.testing.assert_allclose(r.x, [0.0, *rest], atol=1e-5)


@pytest.mark.filterwarnings("ignore:least_squares. the Jacobian is 0 along")
@pytest.mark.parametrize("name", VANISHING)
@pytest.mark.parametrize("how", ["exact", "2-point", "3-point"])
def test_such_a_column_holds_nothing_back_from_any_start(name: str, how: str) -> None:
    """From 0.03 it held little back by luck: beside it half of the starts took more than 600 evaluations, as a cost that bends by 20 to
    250 times the square of the column told no unit."""
    fun, jac, rest, cost = VANISHING[name]
    for start in [0.0301, 0.031, 0.0325, 0.05, 0.08, 0.12]:
        r = least_squares(fun, [start, *[1.0] * len(rest)], jac if how == "exact" else how)
        assert r.success, r.message
        assert r.cost == pytest.approx(cost, rel=1e-9)
        assert r.nfev < 200


@pytest.mark.parametrize("jac", ["given", "3-point"])
def test_differences_that_became_longer_on_a_plateau_become_short_again(jac: str) -> None:
    """MGH17 from afar: columns vanish on the way, and the run ended with longer differences, whose error is seen, at two digits."""
    p = load_nist("MGH17")
    r = least_squares(p.residual, p.starts[0], p.jacobian if jac == "given" else jac)
    assert r.success
    np.testing.assert_allclose(r.x, p.certified_parameters, rtol=1e-6)


ENDLESS = "the cost seems to have no minimum along x[0]"


@pytest.mark.parametrize(("fun", "start"), [
    (lambda b: np.exp(-b), [0.0]), (lambda b: 1.0 / b, [1.0]), (lambda b: 1.0 / (1.0 + b * b), [1.0]),
    (lambda b: np.array([np.exp(-b[0]) * b[1], b[1] - 3.0]), [0.0, 1.0]),
])  # fmt: skip
@pytest.mark.filterwarnings("ignore:least_squares")
def test_a_cost_that_falls_without_end_is_called_so(fun: Any, start: list[float]) -> None:
    """These have no least squares at any b: the run ends where numbers underflow."""
    assert ENDLESS in least_squares(fun, start).message


@pytest.mark.parametrize(("fun", "start", "root"), [
    (lambda b: b - 1e6, [1.0], 1e6), (lambda b: np.cbrt(b) - 100.0, [1.0], 1e6), (lambda b: (b - 1e4) ** 3, [1.0], 1e4),
    (lambda b: np.log(b / 1e30), [1.0], 1e30), (lambda b: np.maximum(1e3 - b, 0.0), [0.0], 1e3),
])  # fmt: skip
def test_a_minimum_far_away_is_one(fun: Any, start: list[float], root: float) -> None:
    r = least_squares(fun, start)
    assert r.success
    np.testing.assert_allclose(r.x, root, rtol=1e-3)
    assert ENDLESS not in r.message


def test_a_cost_beyond_whose_end_the_function_raises() -> None:
    def fun(b: NDArray[np.float64]) -> NDArray[np.float64]:
        if b[0] > 500.0:
            raise ValueError("b is too large")
        return np.exp(-b)

    r = least_squares(fun, [0.0])
    assert r.success
    assert ENDLESS not in r.message


def test_a_fit_whose_model_is_flat_at_1_begins_in_units_of_the_data() -> None:
    """An exponential of tau = 120 from starts of 1: "the data do not tell N0, tau and b apart", which they do, from another start."""
    t = np.linspace(0.0, 600.0, 60)
    counts = 500.0 * np.exp(-t / 120.0) + 3.0 + np.random.default_rng(1).normal(size=60)
    fit = curve_fit(lambda t, N0, tau, b: N0 * np.exp(-t / tau) + b, t, counts)
    np.testing.assert_allclose(fit.popt, [500.0, 120.0, 3.0], rtol=0.2)
    with pytest.warns(RuntimeWarning, match=r"beside popt the data do not tell a and b apart$"):
        curve_fit(lambda t, a, b: a + b + 0.0 * t, t, counts, p0=[1.0, 2.0])
