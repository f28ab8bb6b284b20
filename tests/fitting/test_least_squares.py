"""Nonlinear least squares: NIST's certified digits, SciPy and closed forms as oracles, and every way to end."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.optimize
import scipy.sparse

import mflow
from mflow.data import load_nist, nist_names
from mflow.fitting.least_squares import least_squares

Array = np.ndarray


# ---- NIST ---------------------------------------------------------------------------------------------------------------


def test_every_nist_set_from_both_starts_under_one_setting() -> None:
    """27 sets, two starts each, no option set: at least 8 digits of every parameter, and the end is the gradient's."""
    missed = []
    for name in nist_names():
        problem = load_nist(name)
        for k, start in enumerate(problem.starts, 1):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", RuntimeWarning)  # of the models, where a trial overflows
                r = least_squares(problem.residual, start, problem.jacobian)
            error = np.abs(r.x - problem.certified_parameters) / np.abs(problem.certified_parameters)
            digits = -math.log10(max(float(np.max(error)), 1e-11))
            J, residual = problem.jacobian(r.x), problem.residual(r.x)
            along = np.max(np.abs(J.T @ residual) / np.linalg.norm(J, axis=0))  # of the residuals, along a column
            on_gradient = along <= 1e-11 * np.linalg.norm(residual) or along <= 1e-13 * np.linalg.norm(problem.y)  # or its rounding
            if not (digits >= 8.0 and r.status == 1 and on_gradient):
                missed.append(f"{name} from start {k}: {digits:.1f} digits, {r.reason}: {r.message}")
            np.testing.assert_array_equal(r.grad, J.T @ residual)
    assert not missed, "\n".join(missed)


@pytest.mark.parametrize("name", ["Misra1a", "Chwirut2", "Gauss1", "DanWood", "Rat43", "BoxBOD"])
def test_differences_reach_nearly_as_far(name: str) -> None:
    problem = load_nist(name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        r = least_squares(problem.residual, problem.starts[0], "3-point")
    assert r.success, r.message
    np.testing.assert_allclose(r.x, problem.certified_parameters, rtol=1e-7)
    assert r.cost == pytest.approx(problem.certified_residual_sum_of_squares / 2, rel=1e-9)


# ---- problems of More, Garbow and Hillstrom (ACM TOMS 7 (1981) 17-41) ---------------------------------------------------


def bard(x: Array) -> Array:
    y = np.array([14, 18, 22, 25, 29, 32, 35, 39, 37, 58, 73, 96, 134, 210, 439]) / 100
    u = np.arange(1.0, 16)
    v = 16 - u
    return y - (x[0] + u / (v * x[1] + np.minimum(u, v) * x[2]))


def kowalik_osborne(x: Array) -> Array:
    y = np.array([0.1957, 0.1947, 0.1735, 0.1600, 0.0844, 0.0627, 0.0456, 0.0342, 0.0323, 0.0235, 0.0246])
    u = np.array([4, 2, 1, 0.5, 0.25, 0.167, 0.125, 0.1, 0.0833, 0.0714, 0.0625])
    return y - x[0] * (u * u + u * x[1]) / (u * u + u * x[2] + x[3])


def powell_singular(x: Array) -> Array:
    return np.array([x[0] + 10 * x[1], 5**0.5 * (x[2] - x[3]), (x[1] - 2 * x[2]) ** 2, 10**0.5 * (x[0] - x[3]) ** 2])


def jennrich_sampson(x: Array) -> Array:
    i = np.arange(1.0, 11)
    return 2 + 2 * i - (np.exp(i * x[0]) + np.exp(i * x[1]))


def helical(x: Array) -> Array:
    theta = math.atan2(x[1], x[0]) / (2 * math.pi)
    return np.array([10 * (x[2] - 10 * (theta if theta > -0.25 else theta + 1)), 10 * (math.hypot(x[0], x[1]) - 1), x[2]])


def brown_badly_scaled(x: Array) -> Array:
    return np.array([x[0] - 1e6, x[1] - 2e-6, x[0] * x[1] - 2])


MGH: dict[str, tuple[Callable[[Array], Array], list[float], float, float]] = {
    # residuals, start, the least sum of squares as published, the relative error allowed
    "rosenbrock": (lambda x: np.array([10 * (x[1] - x[0] ** 2), 1 - x[0]]), [-1.2, 1], 0.0, 0),
    "freudenstein_roth": (
        lambda x: np.array([-13 + x[0] + ((5 - x[1]) * x[1] - 2) * x[1], -29 + x[0] + ((x[1] + 1) * x[1] - 14) * x[1]]),
        [0.5, -2], 48.9842, 1e-5,
    ),
    "bard": (bard, [1, 1, 1], 8.21487e-3, 1e-5),
    "kowalik_osborne": (kowalik_osborne, [0.25, 0.39, 0.415, 0.39], 3.07505e-4, 1e-5),
    "powell_singular": (powell_singular, [3, -1, 0, 1], 0.0, 0),
    "jennrich_sampson": (jennrich_sampson, [0.3, 0.4], 124.362, 1e-5),
    "helical": (helical, [-1, 0, 0], 0.0, 0),
    "beale": (lambda x: np.array([1.5, 2.25, 2.625]) - x[0] * (1 - x[1] ** np.arange(1, 4)), [1, 1], 0.0, 0),
    "brown_badly_scaled": (brown_badly_scaled, [1, 1], 0.0, 0),
}  # fmt: skip


@pytest.mark.parametrize("jac", ["2-point", "3-point"])
@pytest.mark.parametrize("name", MGH)
def test_more_garbow_hillstrom(name: str, jac: str) -> None:
    fun, start, least, rtol = MGH[name]
    r = least_squares(fun, start, jac)
    if least:
        assert r.success, r.message
        assert 2 * r.cost == pytest.approx(least, rel=rtol)
        peer = scipy.optimize.least_squares(fun, r.x * (1 + 1e-3), method="lm", xtol=1e-15, ftol=1e-15, gtol=1e-15)
        np.testing.assert_allclose(r.x, peer.x, rtol=2e-6)
        assert r.cost <= peer.cost * (1 + 1e-12)
    else:
        assert 2 * r.cost < (1e-18 if name == "brown_badly_scaled" else 1e-20), r.message  # eight ulps of 1e6, where x[0] is
    assert r.cost == 0.5 * float(fun(r.x) @ fun(r.x))


def test_a_linear_problem_is_lstsq() -> None:
    rng = np.random.default_rng(0)
    A, b = rng.standard_normal((30, 5)) * [1, 10, 1e3, 1e-3, 1], rng.standard_normal(30)
    r = least_squares(lambda x: A @ x - b, np.zeros(5), lambda x: A)
    np.testing.assert_allclose(r.x, np.linalg.lstsq(A, b, rcond=None)[0], rtol=1e-9)
    assert r.cosine <= 1e-11
    assert "at most gtol" in r.message
    sparse = least_squares(lambda x: A @ x - b, np.zeros(5), lambda x: scipy.sparse.csr_array(A))
    assert sparse.x.tobytes() == r.x.tobytes()


def test_the_first_step_is_backward_euler() -> None:
    """x - x0 = -dt D^-2 J'(r + J (x - x0)) on a linear problem: the gradient of the flow where the step ends."""
    rng = np.random.default_rng(1)
    A, b = rng.standard_normal((8, 3)), rng.standard_normal(8)
    seen: list[Array] = []
    least_squares(lambda x: A @ x - b, np.ones(3), lambda x: A, dt=0.3, callback=lambda x: seen.append(x) or True)
    D = np.linalg.norm(A, axis=0)
    np.testing.assert_allclose(seen[0] - 1.0, -0.3 * (A.T @ (A @ seen[0] - b)) / D**2, rtol=1e-10)


@pytest.mark.parametrize("seed", range(8))
def test_the_step_is_that_of_the_trust_region(seed: int) -> None:
    """The first one, of length |D x0| at most: (J'J + lambda D^2) p = -J'r with one lambda >= 0, which is 0 where p is shorter."""
    rng = np.random.default_rng(seed)
    A, b = rng.standard_normal((12, 5)) * 10.0 ** rng.integers(-2, 3, 5), 10.0 ** rng.integers(-1, 3) * rng.standard_normal(12)
    x0 = 0.1 * rng.standard_normal(5)
    seen: list[Array] = []
    least_squares(lambda x: A @ x - b, x0, lambda x: A, callback=lambda x: seen.append(x) or True)
    p, D = seen[0] - x0, np.linalg.norm(A, axis=0)
    left, right = -A.T @ (A @ seen[0] - b) / D, D * p
    lam = float(left @ right) / float(right @ right)
    radius = float(np.linalg.norm(D * x0))
    np.testing.assert_allclose(left, lam * right, rtol=1e-8, atol=1e-10 * np.linalg.norm(b))
    assert lam > -1e-12
    assert np.linalg.norm(right) <= 1.1 * radius * (1 + 1e-9)
    assert lam < 1e-9 or np.linalg.norm(right) >= 0.9 * radius * (1 - 1e-9)


@pytest.mark.parametrize("scale", [1e-8, 1.0, 1e8])
def test_units_do_not_matter(scale: float) -> None:
    t = np.linspace(0, 2, 21)
    y = 3 * np.exp(-0.7 * t) + 0.01 * np.cos(9 * t)

    def fun(b: Array) -> Array:
        return b[0] / scale * np.exp(-b[1] * scale * t) - y

    def jac(b: Array) -> Array:
        e = np.exp(-b[1] * scale * t)
        return np.stack([e / scale, -b[0] / scale * t * scale * e], axis=1)

    r = least_squares(fun, [1.0 * scale, 0.0], jac)
    peer = scipy.optimize.curve_fit(lambda t, a, k: a * np.exp(-k * t), t, y, [1.0, 0.1], ftol=1e-15, xtol=1e-15)[0]
    np.testing.assert_allclose([r.x[0] / scale, r.x[1] * scale], peer, rtol=1e-7)


def test_sigma_weighs() -> None:
    rng = np.random.default_rng(2)
    t, sigma = np.linspace(0, 1, 15), rng.uniform(0.1, 2, 15)
    y = 1 + 2 * t + sigma * rng.standard_normal(15)
    r = least_squares(lambda b: b[0] + b[1] * t - y, [0.0, 0.0], sigma=sigma)
    want = scipy.optimize.curve_fit(lambda t, a, b: a + b * t, t, y, [0.0, 0.0], sigma=sigma)[0]
    np.testing.assert_allclose(r.x, want, rtol=1e-7)
    assert r.fun.tolist() == ((r.x[0] + r.x[1] * t - y) / sigma).tolist()


# ---- hard cases ---------------------------------------------------------------------------------------------------------


def test_rank_deficient_jacobians() -> None:
    """Only a b counts: a line of minima, and a Jacobian of rank 1 all along; and a parameter that does nothing."""
    t = np.linspace(1, 2, 9)
    with pytest.warns(RuntimeWarning, match=r"no residual depends on x\[2\] at x, where the Jacobian has rank 1 for 3 parameters"):
        r = least_squares(lambda x: x[0] * x[1] * t - 6 * t, [1.0, 1.0, 5.0], lambda x: np.stack([x[1] * t, x[0] * t, 0 * t], axis=1))
    assert r.success, r.message
    assert r.rank == 1
    assert r.x[0] * r.x[1] == pytest.approx(6, rel=1e-9)
    assert r.x[2] == 5.0
    A = np.ones((6, 4))
    r = least_squares(lambda x: A @ x - np.arange(6.0), np.zeros(4), lambda x: A)
    assert r.success
    np.testing.assert_allclose(r.x, np.linalg.lstsq(A, np.arange(6.0), rcond=None)[0], rtol=1e-9)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_residuals_without_numbers_are_too_far(bad: float) -> None:
    def fun(x: Array) -> Array:
        return np.array([np.sqrt(x[0]) - 0.1, 0.1 * x[0]]) if x[0] >= 0 else np.array([bad, bad])

    def jac(x: Array) -> Array:
        return np.array([[0.5 / np.sqrt(x[0])], [0.1]])

    r = least_squares(fun, [4.0], jac)
    peer = scipy.optimize.minimize_scalar(lambda x: fun(np.array([x])) @ fun(np.array([x])), bounds=(0, 1), options={"xatol": 1e-12})
    assert r.success, r.message
    assert r.x[0] == pytest.approx(peer.x, rel=1e-6)
    r = least_squares(lambda x: np.full(3, bad), [4.0], lambda x: np.ones((3, 1)))
    assert (r.reason, r.status, r.success, r.x.tolist()) == ("non_finite", -1, False, [4.0])
    r = least_squares(lambda x: np.ones(3), [4.0], lambda x: np.full((3, 1), bad))
    assert (r.reason, r.x.tolist()) == ("non_finite", [4.0])


def test_a_jacobian_that_lies() -> None:
    with pytest.warns(mflow.GradientWarning, match="it has the wrong sign"):
        r = least_squares(lambda x: x - np.array([1.0, 2.0]), [5.0, 5.0], lambda x: -np.eye(2))
    assert (r.reason, r.success) == ("step_too_small", False)
    assert "it has the wrong sign" in r.message
    r = least_squares(lambda x: x - np.array([1.0, 2.0]), [5.0, 5.0], lambda x: -np.eye(2), check_gradient=False)
    assert (r.reason, r.success, r.ncheck) == ("step_too_small", False, 0)
    assert "is jac right" in r.message
    assert r.x.tolist() == [5.0, 5.0]


def test_it_never_gets_worse() -> None:
    """Every accepted step is lower, but for the last digits."""
    problem, costs = load_nist("Thurber"), []
    least_squares(problem.residual, problem.starts[0], problem.jacobian, callback=lambda x: costs.append(problem.cost(x)))
    assert len(costs) > 10
    assert np.all(np.diff(costs) <= 1e-12 * np.array(costs[:-1]))
    with np.errstate(all="ignore"):
        plain = least_squares(problem.residual, problem.starts[0], problem.jacobian, acceleration=False)
    np.testing.assert_allclose(plain.x, problem.certified_parameters, rtol=1e-7)


def test_endings_and_callbacks() -> None:
    problem = load_nist("Misra1a")
    how: dict[str, Any] = {"jac": problem.jacobian, "x0": problem.starts[0]}
    r = least_squares(problem.residual, max_nfev=5, **how)
    assert (r.status, r.reason, r.success) == (0, "max_nfev", False)
    assert r.nfev <= 6
    assert r.cost <= problem.cost(problem.starts[0])
    r = least_squares(problem.residual, ftol=1e-3, gtol=None, **how)
    assert (r.status, r.success) == (2, True)
    r = least_squares(problem.residual, xtol=1e-2, gtol=None, **how)
    assert (r.status, r.success) == (3, True)
    seen: list[Any] = []

    def watch(intermediate_result: Any) -> bool:
        seen.append(intermediate_result)
        return len(seen) == 3

    r = least_squares(problem.residual, callback=watch, **how)
    assert (r.status, r.reason, r.nit) == (-2, "callback", 3)
    assert seen[-1].x.tobytes() == r.x.tobytes()
    lowest, calls = [math.inf], []

    def breaks(x: Array) -> Array:
        calls.append(x)
        if len(calls) == 12:
            raise ZeroDivisionError("mine")
        lowest.append(min(lowest[-1], problem.cost(x)))
        return problem.residual(x)

    with pytest.raises(ZeroDivisionError, match="mine") as caught:
        least_squares(breaks, acceleration=False, **how)
    assert caught.value.partial_result.cost == lowest[-1]
    assert caught.value.partial_result.reason == "rhs_failed"


# ---- single residuals ---------------------------------------------------------------------------------------------------


def test_single_residual_steps_are_the_formula() -> None:
    """One pass over a linear problem in the seed's order, in units of D; then it is not polished (max_nfev)."""
    rng = np.random.default_rng(4)
    A, b = rng.standard_normal((12, 3)), rng.standard_normal(12)
    D2 = np.sum(A * A, axis=0)
    x = np.full(3, 3.0)
    for i in np.random.default_rng(7).permutation(12):
        J, r = A[i], A[i] @ x - b[i]
        x = x - 0.5 * r * (J / D2) / (1 + 0.5 * J @ (J / D2))

    def one(x: Array, i: int) -> tuple[float, Array]:
        return float(A[i] @ x - b[i]), A[i]

    for residual_at in (one, None):
        seen: list[Array] = []
        r = least_squares(
            lambda x: A @ x - b, np.full(3, 3.0), lambda x: A, passes=1, lr=0.5, seed=7, residual_at=residual_at, max_nfev=1,
            callback=seen.append,
        )  # fmt: skip
        assert not seen
        np.testing.assert_allclose(r.x, x, rtol=1e-12)


@pytest.mark.parametrize("lr", [1e-3, 1.0, 1e6])
def test_single_residual_steps_keep_the_best(lr: float) -> None:
    problem = load_nist("Chwirut2")
    start = problem.starts[0]

    def one(b: Array, i: int) -> tuple[float, Array]:
        return float(problem.residual(b)[i]), problem.jacobian(b)[i]

    with np.errstate(all="ignore"):
        begun = least_squares(problem.residual, start, problem.jacobian, passes=3, lr=lr, residual_at=one, max_nfev=1)
        assert begun.cost <= problem.cost(start)
        r = least_squares(problem.residual, start, problem.jacobian, passes=1, lr=lr, residual_at=one)
    np.testing.assert_allclose(r.x, problem.certified_parameters, rtol=1e-7)


# ---- bad input ----------------------------------------------------------------------------------------------------------


def test_what_does_not_fit_is_named() -> None:
    def fun(x: Array) -> Array:
        return np.concatenate([x, x])

    for error, words, how in (
        (ValueError, r"x0: expected a start within bounds, got x0\[1\] = 2", {"bounds": (0, 1)}),
        (ValueError, r"x0: expected a start within bounds", {"bounds": scipy.optimize.Bounds([0, 0], [1, 1])}),
        (ValueError, "bounds: expected each lower bound below its upper one, got 3 and 3 for parameter 1", {"bounds": ([0, 3], [2, 3])}),
        (ValueError, "bounds: expected a number as lower bound, or 2", {"bounds": ([0, 0, 0], [2, 3, 4])}),
        (TypeError, "fixed: expected 2 truth values", {"fixed": "a"}),
        (ValueError, "method: expected 'lm' .* got 'trf'", {"method": "trf"}),
        (ValueError, "loss: .* got 'l1'", {"loss": "l1"}),
        (ValueError, "jac: .* got '4-point'", {"jac": "4-point"}),
        (ValueError, "gtol: .* got -1.0", {"gtol": -1.0}),
        (ValueError, "x_scale: expected", {"x_scale": [1.0, -1.0]}),
        (ValueError, "sigma: expected standard deviations above 0", {"sigma": [0.0, 1, 1, 1]}),
        (ValueError, "sigma: expected 4 numbers, one for each residual, got 3", {"sigma": [1.0, 1, 1]}),
        (ValueError, r"jac returned shape \(2, 2\): expected \(4, 2\)", {"jac": lambda x: np.eye(2)}),
        (ValueError, "dt: expected a finite number above 0, got 0.0", {"dt": 0.0}),
        (ValueError, "max_nfev: expected a whole number of at least 1, got 0", {"max_nfev": 0}),
        (ValueError, "passes: expected a whole number of at least 0, got -1", {"passes": -1}),
    ):
        with pytest.raises(error, match=words):
            least_squares(fun, [1.0, 2.0], **how)
    with pytest.raises(ValueError, match="method: 'lm' takes at least as many residuals as parameters, 2, got 1; omit method"):
        least_squares(lambda x: x[:1], [1.0, 2.0], method="lm")
    with pytest.raises(ValueError, match="fun returned no residuals"):
        least_squares(lambda x: x[:0], [1.0, 2.0])
    with pytest.raises(ValueError, match=r"method: .* got 'trf', which is SciPy's"):
        least_squares(fun, [1.0, 2.0], method="trf")
    with pytest.raises(ValueError, match=r"x0: .* got shape \(1, 2\)"):
        least_squares(fun, [[1.0, 2.0]])
    with pytest.raises(TypeError, match="dtype complex128"):
        least_squares(lambda x: x + 1j, [1.0, 2.0])
    with pytest.raises(TypeError, match="fun: expected a function"):
        least_squares(3, [1.0])  # type: ignore[arg-type]
    r = mflow.least_squares(lambda x, a, b=0.0: x - a - b, [0.0, 0.0], args=(1.0,), kwargs={"b": 2.0}, x_scale=[1.0, 10.0])
    np.testing.assert_allclose(r.x, 3.0, rtol=1e-10)
    assert set(scipy.optimize.least_squares(lambda x: x, [1.0])) <= set(r) | {"reason"}


# ---- values of few digits, columns of zeros, double roots -------------------------------------------------------------------------------

TIMES = np.linspace(0.0, 1.0, 30)
DATA = 2.0 * np.exp(-1.5 * TIMES) + 0.01 * np.sin(40.0 * TIMES)


def decay(b: Array) -> Array:
    return b[0] * np.exp(-b[1] * TIMES) - DATA


def decay32(b: Array) -> Array:
    b32 = b.astype(np.float32)
    return b32[0] * np.exp(-b32[1] * TIMES.astype(np.float32)) - DATA.astype(np.float32)


COARSE = {
    "float32": decay32,
    "float32 as float64": lambda b: decay32(b).astype(np.float64),
    "float32 inside": lambda b: (decay32(b) + DATA.astype(np.float32)).astype(np.float64) - DATA,
    "float32 as floats": lambda b: decay32(b).tolist(),
    "rounded": lambda b: np.round(decay(b), 6),
    "rounded inside": lambda b: np.round(decay(b) + DATA, 6) - DATA,
}


@pytest.mark.parametrize("jac", ["2-point", "3-point"])
@pytest.mark.parametrize("kind", COARSE)
def test_residuals_of_few_digits(kind: str, jac: str) -> None:
    best = scipy.optimize.least_squares(decay, [1.0, 0.1], xtol=1e-14, gtol=1e-14, ftol=1e-14).x
    r = least_squares(COARSE[kind], [1.0, 0.1], jac)
    assert r.success, r.message
    np.testing.assert_allclose(r.x, best, rtol=1e-4)
    if kind in ("float32", "float32 as float64", "float32 as floats"):
        assert "float32" in r.message


def test_a_jacobian_of_zeros() -> None:
    r = least_squares(lambda b: np.ones(3), [1.0, 2.0])
    assert (r.reason, r.success, r.status) == ("insensitive", False, -1)
    r = least_squares(lambda b: np.ones(3), [1.0, 2.0], lambda b: np.zeros((3, 2)))
    assert (r.reason, r.success) == ("insensitive", False)
    r = least_squares(lambda b: [b[0] ** 2 + 1.0], [0.0], "3-point")
    assert (r.reason, r.success, r.x.tolist()) == ("converged", True, [0.0])
    r = least_squares(lambda b: [b[0] ** 2 - 1.0], [0.0], "3-point")
    assert (r.reason, r.success) == ("not_a_minimum", False)
    assert least_squares(lambda b: [0.0, 0.0], [3.0]).success  # nothing is left to lower


@pytest.mark.parametrize("jac", ["2-point", "given"])
def test_a_parameter_without_effect(jac: str) -> None:
    def given(b: Array) -> Array:
        e = np.exp(-b[1] * TIMES)
        return np.stack([e, -b[0] * TIMES * e, 0.0 * e], axis=1)

    with pytest.warns(RuntimeWarning, match=r"no residual depends on x\[2\] at x, where the Jacobian has rank 2 for 3 parameters"):
        r = least_squares(decay, [1.0, 0.1, 7.0], given if jac == "given" else jac)
    best, known = scipy.optimize.curve_fit(lambda t, a, b: a * np.exp(-b * t), TIMES, DATA, [1.0, 0.1])
    assert r.success
    assert r.rank == 2
    np.testing.assert_allclose(r.x, [*best, 7.0], rtol=1e-6)
    covariance = r.covariance(absolute=True) * 2 * r.cost / (len(TIMES) - 2)
    np.testing.assert_allclose(covariance[:2, :2], known, rtol=1e-5)
    assert covariance[2, 2] == np.inf
    assert np.all(covariance[2, :2] == 0.0)


def test_the_covariance_is_curve_fits() -> None:
    _, known = scipy.optimize.curve_fit(lambda t, a, b: a * np.exp(-b * t), TIMES, DATA, [1.0, 0.1])
    np.testing.assert_allclose(least_squares(decay, [1.0, 0.1]).covariance(), known, rtol=1e-5)


ROOTS = {
    "at 0": (lambda b: [b[0] ** 2], [1.0], [0.0]),
    "at 1": (lambda b: [(b[0] - 1) ** 2], [3.0], [1.0]),
    "in two": (lambda b: [b[0] ** 2 + b[1] ** 2, (b[0] - b[1]) ** 2], [1.0, 2.0], [0.0, 0.0]),
    "triple": (lambda b: [b[0] ** 3], [1.0], [0.0]),
    "Powell": (
        lambda x: [x[0] + 10 * x[1], 5**0.5 * (x[2] - x[3]), (x[1] - 2 * x[2]) ** 2, 10**0.5 * (x[0] - x[3]) ** 2],
        [3.0, -1.0, 0.0, 1.0],
        [0.0] * 4,
    ),
}


@pytest.mark.parametrize("jac", ["2-point", "3-point"])
@pytest.mark.parametrize("kind", ROOTS)
def test_double_roots(kind: str, jac: str) -> None:
    fun, start, root = ROOTS[kind]
    r = least_squares(fun, start, jac)
    assert (r.reason, r.success) == ("converged", True)
    np.testing.assert_allclose(r.x, root, atol=1e-9)
    assert r.nfev < 450


def test_a_double_root_with_its_jacobian() -> None:
    r = least_squares(lambda b: [b[0] ** 2], [1.0], lambda b: [[2 * b[0]]])
    assert (r.reason, r.success) == ("converged", True)
    assert abs(r.x[0]) < 1e-14
    assert r.nfev < 200


def test_a_fall_from_far_is_not_the_end() -> None:
    """Residuals far below those at x0 alone end nothing: this one falls from 1e43 to its minimum, whose residuals are not 0."""
    r = least_squares(lambda b: [np.exp(b[0]) - 2.0, np.exp(b[0]) - 4.0], [100.0], max_nfev=5000)
    assert r.success
    assert r.x[0] == pytest.approx(np.log(3.0), rel=1e-7)


def test_a_jacobian_that_is_not_that_of_the_residuals() -> None:
    with pytest.warns(mflow.GradientWarning, match="not that of the residuals"):
        r = least_squares(lambda b: [b[0] - 1.0, b[0] - 3.0, b[1]], [0.0, 1.0], lambda b: [[1.0, 0.0], [0.0, 0.0], [0.0, 1.0]])
    assert (r.reason, r.success) == ("wrong_gradient", False)
    assert r.ncheck > 2
    calls = [0]

    def fun(b: Array) -> Array:
        calls[0] += 1
        return decay(b)

    r = least_squares(fun, [1.0, 0.1], lambda b: np.stack([np.exp(-b[1] * TIMES), -b[0] * TIMES * np.exp(-b[1] * TIMES)], axis=1))
    assert (r.success, r.ncheck, r.nfev + r.ncheck) == (True, 4, calls[0])


def test_diff_step_of_residuals() -> None:
    seen: list[float] = []

    def fun(b: Array) -> Array:
        seen.append(float(b[0]))
        return decay(b)

    least_squares(fun, [1.0, 0.1], diff_step=1e-3, max_nfev=1)
    assert seen[1] == 1.001
    with pytest.raises(ValueError, match="diff_step: expected None beside a Jacobian"):
        least_squares(decay, [1.0, 0.1], lambda b: np.zeros((30, 2)), diff_step=1e-3)


def test_float32_residuals_with_a_right_jacobian_converge():
    t = np.linspace(0, 1, 30, dtype=np.float32)
    y = (2 * np.exp(-1.5 * t) + 0.05 * np.random.default_rng(0).standard_normal(30)).astype(np.float32)

    def residuals(b):
        return (np.float32(b[0]) * np.exp(-np.float32(b[1]) * t) - y).astype(np.float32)

    def jac(b):
        return np.c_[np.exp(-b[1] * t), -b[0] * t * np.exp(-b[1] * t)]

    r = mflow.least_squares(residuals, [1.0, 1.0], jac)
    assert r.success
    assert r.reason == "converged"
    assert "is jac right" not in r.message


def test_a_perfect_fit_is_said_to_be_one():
    t = np.linspace(0, 1, 10)
    r = mflow.least_squares(lambda b: b[0] * t - 2 * t, [1.0])
    assert r.success
    assert r.message.startswith("the residuals are ")
    assert "cosine" not in r.message


def test_residuals_that_are_not_finite_beyond_x_are_named():
    r = mflow.least_squares(lambda b: [b[0] - 3, b[0] - 4] if b[0] < 2 else [np.nan] * 2, [1.0])
    assert not r.success
    assert "the residuals are not finite beyond x" in r.message


def test_what_is_not_finite_at_the_start_is_named():
    J = np.ones((5, 2))
    J[3, 1] = np.nan
    r = mflow.least_squares(lambda b: np.arange(5.0) * b[0] + b[1] - 1, [1.0, 1.0], lambda b: J)
    assert r.reason == "non_finite"
    assert r.message.startswith("entry (3, 1) of the Jacobian at x0 is nan")
    r = mflow.least_squares(lambda b: [b[0], b[0], np.inf], [1.0])
    assert r.reason == "non_finite"
    assert r.message.startswith("residual 2 at x0 is inf")
    with np.errstate(over="ignore"):
        r = mflow.least_squares(lambda b: [1e200 * b[0]], [1.0])
    assert r.reason == "non_finite"
    assert "squares of the residuals at x0 overflow" in r.message


def test_a_minimum_of_large_residuals_is_one():
    """Gauss and Newton's steps diverge there, and the cost has no digits left: the end is SciPy's, polished by Newton."""
    told = 0
    for seed in range(120):
        rng = np.random.default_rng(seed)
        t = np.linspace(0.0, rng.uniform(0.5, 3.0), int(rng.integers(8, 40)))
        y = rng.normal(size=t.size) * 10 ** rng.uniform(0, 5)
        start = [float(np.abs(y).max()), rng.uniform(0.2, 2.0)]

        def fun(b, t=t, y=y):
            return b[0] * np.exp(-b[1] * t) - y

        def jac(b, t=t):
            return np.c_[np.exp(-b[1] * t), -t * b[0] * np.exp(-b[1] * t)]

        def hessian(b, t=t, fun=fun, jac=jac):
            e, r = np.exp(-b[1] * t), fun(b)
            return jac(b).T @ jac(b) + np.array([[0.0, -r @ (t * e)], [-r @ (t * e), r @ (t * t * b[0] * e)]])

        right = scipy.optimize.least_squares(fun, start, jac=jac, method="lm", max_nfev=5000).x
        for _ in range(5):
            right = right - np.linalg.lstsq(hessian(right), jac(right).T @ fun(right), rcond=None)[0]
        H, cost = hessian(right), 0.5 * fun(right) @ fun(right)
        size = np.sqrt(np.abs(np.diag(H)))
        if not size.all() or not np.linalg.eigvalsh(H / np.outer(size, size))[0] > 1e-3 or abs(right[1]) > 10:  # none, or far away
            continue
        result = mflow.least_squares(fun, start, jac=jac)
        if abs(result.cost - cost) > 1e-9 * cost:  # another minimum
            continue
        told += "Hessian" in result.message
        assert result.success, (seed, result.message)
        assert np.allclose(result.x, right, rtol=1e-6, atol=0.0), seed
    assert told >= 4


def test_a_kink_is_no_minimum_of_smooth_residuals():
    t = np.linspace(0.0, 1.0, 9)
    result = mflow.least_squares(
        lambda b: np.r_[abs(b[0] - 0.3) + 1.0, 0.02 * t * b[0] + 2.0], [1.0], jac=lambda b: np.c_[np.r_[np.sign(b[0] - 0.3), 0.02 * t]]
    )
    assert not result.success
