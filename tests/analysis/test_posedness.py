"""Posedness at a point and along a path, against closed forms, and `explain`, which reads it to the user."""

import copy
import importlib
import math
import pickle
import tracemalloc
from typing import Any

import numpy as np
import pytest
import scipy.integrate
from scipy import sparse

import mflow


def lorenz(t: float, y: Any) -> Any:
    return np.array([10.0 * (y[1] - y[0]), y[0] * (28.0 - y[2]) - y[1], y[0] * y[1] - 8.0 / 3.0 * y[2]])


def lorenz_jacobian(t: float, y: Any) -> Any:
    return np.array([[-10.0, 10.0, 0.0], [28.0 - y[2], -1.0, -y[0]], [y[1], y[0], -8.0 / 3.0]])


@pytest.mark.parametrize(
    ("J", "verdict"),
    [
        ([[1.0]], "ill-posed"),
        ([[-1.0]], "well-posed"),
        ([[0.0]], "linearly stable"),
        ([[-1.0, 0.0], [0.0, -1e-11]], "suspect"),
        ([[-1.0, 0.0], [0.0, 1e-11]], "suspect"),
        ([[-1.0, 0.0], [0.0, -1e-4]], "well-posed"),
        ([[0.0, 1.0], [-1.0, 0.0]], "linearly stable"),
        ([[0.0, 1.0], [0.0, 0.0]], "linearly stable"),
        ([[-1.0, 1e6], [0.0, -2.0]], "well-posed"),
        ([[-3.0, 0.0], [0.0, 1e-3]], "ill-posed"),
    ],
)
def test_the_notes_cases(J: Any, verdict: str) -> None:
    """The verdict from a constant Jacobian, from a function that returns it, and (all but the hair's breadth) from differences."""
    J = np.array(J)
    y = np.ones(len(J))
    assert mflow.posedness(J, 0.0, y).verdict == verdict
    assert mflow.posedness(lambda t, y: J, 0.0, y).verdict == verdict
    assert mflow.posedness(lambda t, y: J @ y, 0.0, y, jac=J).verdict == verdict
    if "suspect" not in verdict and np.abs(J).max() < 1e3:
        assert mflow.posedness(lambda t, y: J @ y, 0.0, y).verdict == verdict


def test_doubling_time() -> None:
    result = mflow.posedness(lambda t, y: 2.0 * y, 0.0, [1.0])
    assert result.growth_rate == pytest.approx(2.0, rel=1e-9)
    assert result.doubling_time == pytest.approx(math.log(2) / 2, rel=1e-9)
    assert "doubles" in str(result)


@pytest.mark.parametrize(
    ("hessian", "words", "index"),
    [([2.0, 3.0], "a minimum", 0), ([2.0, -3.0], "a saddle", 1), ([-2.0, -3.0], "a maximum", 2), ([1.0, 0.0], "flat", 0),
     ([1.0, 1e4], "narrow valley", 0)],
)  # fmt: skip
def test_geometry_of_a_gradient_flow(hessian: Any, words: str, index: int) -> None:
    result = mflow.posedness(lambda t, c: -np.array(hessian) * c, 0.0, [0.0, 0.0])
    assert words in result.geometry
    assert result.index == index


@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize(("shift", "verdict"), [(-1.0, "well-posed"), (1.0, "ill-posed")])
def test_many_components(symmetric: bool, shift: float, verdict: str, monkeypatch: Any) -> None:
    """From products with differences of the slope where the Jacobian is symmetric; else its columns are differenced."""
    monkeypatch.setattr(importlib.import_module("mflow.analysis.posedness"), "DENSE", 100)
    n = 200
    rng = np.random.default_rng(2)
    A = rng.normal(size=(n, n)) / math.sqrt(n)
    A = A + A.T if symmetric else A
    J = A - (np.linalg.eigvals(A).real.max() - shift) * np.eye(n)
    calls = [0]

    def slope(t: float, y: Any) -> Any:
        calls[0] += 1
        return J @ y

    result = mflow.posedness(slope, 0.0, np.ones(n))
    assert result.verdict == verdict
    assert result.complete != symmetric
    assert result.growth_rate == pytest.approx(shift, abs=1e-4)
    assert result.growth_interval[0] <= shift <= result.growth_interval[1]
    assert calls[0] < 2.5 * n
    assert (result.index is not None) == symmetric


@pytest.mark.parametrize("count", [1, 3])
def test_falling_directions_are_not_counted_twice(count: int) -> None:
    """Lanczos' method finds an eigenvalue far outside again and again; "k or more" directions must be there. n is beyond the dense size."""
    n = 500
    for d in (np.full(n, -1.0), -np.linspace(1.0, 2.0, n)):
        d[200 : 200 + count] = np.arange(1.0, count + 1)
        result = mflow.posedness(lambda t, y, d=d: d * y, 0.0, np.ones(n))
        assert (result.verdict, result.index) == ("ill-posed", count)
        assert result.growth_rate == pytest.approx(count, rel=1e-4)
        report = mflow.explain(lambda c, d=d: (-0.5 * float(c @ (d * c)), -d * c), np.ones(n), jac=True)
        said = report.verdicts[0][1].split(" curves down in ")[1].split()[0]
        assert 1 <= int(said) <= count
        assert report.curvature[0] * (1 - 1e-9) <= -d.min() <= report.curvature[1] <= -1.03 * d.min()


def test_where_a_path_changes() -> None:
    """y' = (t - 1) y: well-posed up to t = 1, ill-posed from there, and errors are at the end what they were at the start."""
    r = mflow.solve_ivp(lambda t, y: (t - 1) * y, (0, 2), [1.0], rtol=1e-8, atol=1e-10)
    path = r.posedness()
    assert (path.verdicts[0], path.verdicts[-1], path.verdict) == ("well-posed", "ill-posed", "ill-posed")
    assert path.changes[0][0] == pytest.approx(1.0, abs=1e-5)
    assert path.growth[-1] == pytest.approx(1.0, rel=1e-8)
    np.testing.assert_allclose(path.growth, np.exp(0.5 * path.t**2 - path.t), rtol=1e-7)
    assert path.lyapunov[0] == pytest.approx(0.0, abs=1e-8)


def test_the_way_back() -> None:
    """What fades forward grows backward: verdicts, growth and explicit steps are those of the way that was taken."""
    t = np.linspace(1.0, 0.0, 21)
    path = mflow.posedness_along(lambda t, y: -2.0 * y, t, [np.exp(-2.0 * t)])
    assert path.verdict == "ill-posed"
    assert path.growth[-1] == pytest.approx(math.exp(2.0), rel=1e-8)
    assert path.lyapunov[0] == pytest.approx(2.0, rel=1e-8)
    assert path.points[0].growth_rate == pytest.approx(2.0, rel=1e-8)
    back = mflow.posedness_along(lambda t, y: 2.0 * y, t, [np.exp(2.0 * t)])
    assert back.verdict == "well-posed"
    assert mflow.explain(lambda t, y: -y, [1.0], t_span=(1, 0)).steps["euler"] == math.inf
    assert mflow.explain(lambda t, y: y, [1.0], t_span=(1, 0)).steps["euler"] == pytest.approx(2.0, rel=1e-6)
    wide = mflow.posedness_along(lambda t, y: -2.0 * y, t[::10], np.exp(-2.0 * t[::10]) * np.ones((450, 1)))
    assert wide.verdict == "ill-posed"


def test_lyapunov_exponents_of_lorenz() -> None:
    """Against the variational equation, integrated beside the path by another method; their sum is the trace, -41/3."""
    r = mflow.solve_ivp(lorenz, (0, 2), [1.0, 1.0, 1.0], rtol=1e-10, atol=1e-10)
    path = r.posedness()

    def both(t: float, z: Any) -> Any:
        x, y, w = z[:3]
        J = np.array([[-10.0, 10.0, 0.0], [28.0 - w, -1.0, -x], [y, x, -8.0 / 3.0]])
        return np.concatenate([lorenz(t, z[:3]), (J @ z[3:].reshape(3, 3)).ravel()])

    end = mflow.solve_ivp(both, (0, 2), np.concatenate([np.ones(3), np.eye(3).ravel()]), "dop853", rtol=1e-11, atol=1e-12).y[3:, -1]
    values = np.linalg.svd(end.reshape(3, 3), compute_uv=False)
    np.testing.assert_allclose(path.lyapunov[:2], np.log(values[:2]) / 2, atol=1e-5)
    assert path.lyapunov.sum() == pytest.approx(-41 / 3, rel=1e-6)
    assert path.growth[-1] == pytest.approx(values[0], rel=1e-5)
    assert len(path.points) == len(path.verdicts) == len(path.eigenvalues) == len(path.t)


def test_a_stiff_path_does_not_blow_up() -> None:
    A = np.diag([-5e3, -1.0])
    r = mflow.solve_ivp(lambda t, y: A @ y, (0, 2), [1.0, 1.0], "backward_euler", dt=0.1)
    path = r.posedness(jac=A)
    assert path.verdict == "well-posed"
    np.testing.assert_allclose(path.lyapunov, [-1.0, -5e3], rtol=1e-6)


def test_a_result_knows_its_equation_until_it_is_pickled() -> None:
    r = mflow.gradient_flow(lambda c: np.array([4 * c[0] * (c[0] ** 2 - 1), 2 * c[1]]), [0.01, 0.5], 4.0, dt=0.01)
    path = r.posedness()
    assert (path.verdicts[0], path.verdicts[-1]) == ("ill-posed", "well-posed")
    assert "a minimum" in str(path) or "a bowl" in str(path)
    assert path.method.name == "euler"
    assert path.dt == pytest.approx(0.01)
    for other in (pickle.loads(pickle.dumps(r)), copy.copy(r)):
        with pytest.raises(ValueError, match="give fun="):
            other.posedness()
        with pytest.warns(RuntimeWarning, match="is fun not the equation of the path"):
            assert other.posedness(fun=lambda t, y: -y).verdict == "well-posed"


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (
            lambda: mflow.posedness(lambda t, y: y[:1], 0.0, [1.0, 2.0]),
            ValueError,
            r"fun: .* \(2,\) of y returned, got shape \(1,\)",
        ),
        (lambda: mflow.posedness(lambda t, y: y * math.nan, 0.0, [1.0]), ValueError, "expected a finite Jacobian at t = 0, got NaN"),
        (lambda: mflow.posedness(np.ones((2, 3)), 0.0, [1.0, 2.0]), ValueError, r"fun: expected shape \(2, 2\), got shape \(2, 3\)"),
        (lambda: mflow.posedness(lambda t, y: y, 0.0, []), ValueError, "y: expected at least one component"),
        (lambda: mflow.posedness_along(lambda t, y: y, [0, 1], [[1.0]]), ValueError, r"\(m,\) and"),
        (
            lambda: mflow.posedness(lambda t, y: y, 0.0, [1.0], near=math.nan),
            ValueError,
            "near: .* of at least 0, got nan",
        ),
        (lambda: mflow.posedness(lambda t, y: 1j * y, 0.0, [1.0]), TypeError, "fun: expected real numbers, got complex128"),
        (lambda: mflow.posedness([[1j]], 0.0, [1.0]), TypeError, "fun: expected real numbers, got complex128"),
        (lambda: mflow.explain(lambda c: 1j * (c @ c), [1.0]), TypeError, "fun: expected real numbers, got complex128"),
        (
            lambda: mflow.explain(lambda c: (0.0, 1j * c), [1.0], jac=True),
            TypeError,
            r"fun \(its gradient\): expected real numbers, got complex128",
        ),
        (
            lambda: mflow.posedness_along(lambda t, y: y, [0, 1], [[1.0, 1.0]], points=2.5),
            ValueError,
            "points: .* of at least 2, got 2.5",
        ),
        (lambda: mflow.posedness_along(lambda t, y: y, [0, 0], [[1.0, 1.0]]), ValueError, "without repeats"),
    ],
)
def test_bad_input(call: Any, error: type, words: str) -> None:
    with pytest.raises(error, match=words):
        call()


# ---- explain ----------------------------------------------------------------------------------------------------------------------------


def test_explain_with_many_parameters() -> None:
    """At most 60 gradients, a few vectors of memory, and an interval that holds the largest curvature."""
    n = 20_000
    d = np.geomspace(1e-3, 50.0, n)
    calls = [0]

    def cost(c: Any) -> Any:
        calls[0] += 1
        return 0.5 * float(c @ (d * c)), d * c

    start = np.ones(n)
    mflow.explain(lambda c: float(c @ c), [1.0], tries=0)  # what it loads is no memory of this call
    tracemalloc.start()
    report = mflow.explain(cost, start, jac=True, tries=0)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert calls[0] == report.nfev + report.ncheck
    assert (report.nfev <= 64, report.ncheck) == (True, 2)
    assert peak < 14 * 8 * n
    low, high = report.curvature
    assert low <= 50.0 * (1 + 1e-6)
    assert high >= 49.9
    assert high < 1.1 * low
    assert report.steps["sgd"] == pytest.approx(2 / 50, rel=0.05)
    assert not report.complete
    assert "condition number: at least" in str(report)


def test_explain_is_right_about_small_costs() -> None:
    report = mflow.explain(lambda c: 0.5 * c[0] ** 2 + 50 * c[1] ** 2, [1.0, 1.0])
    assert report.condition == pytest.approx(100.0, rel=1e-3)
    assert report.method == "momentum"
    res = mflow.minimize(lambda c: (0.0, np.array([1.0, 100.0]) * c), [1.0, 1.0], jac=True, method=report.method,
                         **report.parameters, maxiter=200)  # fmt: skip
    assert res.reason == "converged"
    assert mflow.explain(lambda c: c @ c, [1.0, 2.0]).method == "sgd"
    saddle = mflow.explain(lambda c: (c[0] ** 2 - 1) ** 2 + c[1] ** 2, [0.1, 0.5])
    assert saddle.verdicts[0][1].startswith("ill-posed")
    assert saddle.condition == math.inf


def test_explain_of_right_hand_sides() -> None:
    swing = mflow.explain(lambda t, y: [y[1], -25 * y[0]], [1.0, 0.0], t_span=(0, 2))
    assert swing.kind == "right-hand side"
    assert swing.curvature[1] == pytest.approx(5.0, rel=1e-6)
    assert swing.steps["euler"] == 0.0
    assert swing.steps["rk4"] == pytest.approx(2 * math.sqrt(2) / 5, rel=1e-5)
    assert swing.verdicts[0][1] == "linearly stable"
    stiff = mflow.explain(lambda t, y: np.array([-1e4 * (y[0] - np.cos(t)), -y[1]]), [1.0, 1.0], t_span=(0, 5))
    assert stiff.method in ("radau5", "bdf")
    for word in ("largest stable step", f"Recommended: {stiff.method}", "Because", f"as tried here, {stiff.method} reaches the end in"):
        assert word in str(stiff)
    calls = {}
    for name in ("radau5", "bdf"):
        run = mflow.solve_ivp(lambda t, y: np.array([-1e4 * (y[0] - np.cos(t)), -y[1]]), (0, 5), [1.0, 1.0], name, **stiff.parameters)
        calls[name] = run.nfev
    assert min(calls, key=lambda name: calls[name]) == stiff.method


def test_a_plane_is_not_called_concave() -> None:
    report = mflow.explain(lambda c: (float(c.sum()), np.ones(2)), [1.0, 2.0], jac=True)
    assert report.condition == math.inf
    assert "no curvature was seen" in str(report)
    assert "not convex" not in str(report)


def test_explain_bad_input() -> None:
    with pytest.raises(ValueError, match="too many for differences"):
        mflow.explain(lambda c: c @ c, np.ones(2000))
    with pytest.raises(ValueError, match="fun: expected finite costs"):
        mflow.explain(lambda c: math.nan, [1.0])
    with pytest.raises(ValueError, match=r"the gradient: expected the shape \(2,\) of x0, got shape \(3,\)"):
        mflow.explain(lambda c: (0.0, np.ones(3)), [1.0, 2.0], jac=True)
    with pytest.raises(ValueError, match="t_span: expected t0 and t_end apart"):
        mflow.explain(lambda t, y: -y, [1.0], t_span=(1.0, 1.0))
    with pytest.raises(ValueError, match=r"kind: expected .* got 'ode'"):
        mflow.explain(lambda c: 0.0, [1.0], kind="ode")


@pytest.mark.filterwarnings("ignore:overflow encountered")
@pytest.mark.parametrize("method", [{"method": "rk4", "dt": 0.01}, {"method": "euler", "dt": 0.01}, {"method": "dopri5", "rtol": 1e-8}])
def test_after_a_blow_up_what_is_known_up_to_there(method: dict[str, Any]) -> None:
    """y' = y^2 from 1: an error at the start has grown by y(t)^2 = 1/(1 - t)^2."""
    run = mflow.solve_ivp(lambda t, y: y**2, (0, 2), [1.0], **method)
    assert run.reason in ("non_finite", "diverged")
    path = run.posedness()
    assert path.verdict == "ill-posed"
    assert path.t[-1] > 0.9
    k = int(np.searchsorted(path.t, 0.8))
    assert abs(path.growth[k] * (1 - path.t[k]) ** 2 - 1) < (0.3 if "euler" in method["method"] else 0.02)
    if path.t[-1] < run.t[-1]:
        assert f"the run ended at t = {run.t[-1]:.9g}" in str(path)


def test_large_states_have_no_larger_errors() -> None:
    """The error of differences was that of steps of 6e-6, though they grow with the state."""
    for scale in (1.0, 1e9, 1e18):
        at = mflow.posedness(lambda t, y: 800.0 * y, 0.0, scale * np.array([1.0, 2.0]))
        assert (at.verdict, f"{at.growth_rate:.6g}") == ("ill-posed", "800")


def test_words_for_what_neither_grows_nor_fades() -> None:
    text = str(mflow.posedness([[0.0, 1.0], [-1.0, 0.0]], 0.0, [0.0, 0.0]))
    assert text.startswith("linearly stable at t = 0: small errors neither grow nor fade exponentially")
    assert "ill-posed" not in text


def test_exponents_of_a_long_chaotic_path():
    """7.07, -inf, -inf: 6 substeps between 60 points, whose products lost the small directions."""
    result = mflow.solve_ivp(lorenz, (0.0, 40.0), [1.0, 1.0, 20.0], rtol=1e-8, atol=1e-8)
    path = result.posedness(jac=lorenz_jacobian)
    assert path.exact_growth
    assert math.isclose(sum(path.lyapunov), -41.0 / 3.0, rel_tol=1e-9)  # the trace of J, everywhere
    assert np.allclose(path.lyapunov, [0.906, 0.0, -14.572], atol=0.08)  # Sprott (2003), of a path without end


def test_growth_of_a_path_is_that_of_the_variational_equation():
    T = 12.0

    def both(t, z):
        x, y, w = z[:3]
        J = np.array([[-10.0, 10.0, 0.0], [28.0 - w, -1.0, -x], [y, x, -8.0 / 3.0]])
        return np.concatenate([lorenz(t, z), (J @ z[3:].reshape(3, 3)).ravel()])

    start = np.array([1.0, 1.0, 20.0])
    oracle = scipy.integrate.solve_ivp(both, (0.0, T), np.concatenate([start, np.eye(3).ravel()]), "DOP853", rtol=1e-11, atol=1e-12)
    singular = np.linalg.svd(oracle.y[3:, -1].reshape(3, 3), compute_uv=False)
    path = mflow.solve_ivp(lorenz, (0.0, T), start, rtol=1e-10, atol=1e-10).posedness()
    assert np.allclose(path.lyapunov[:2] * T, np.log(singular[:2]), atol=2e-3)


def test_a_path_whose_points_are_too_far_apart_says_so():
    result = mflow.solve_ivp(lorenz, (0.0, 20.0), [1.0, 1.0, 20.0], rtol=1e-8, atol=1e-8, t_eval=np.linspace(0.0, 20.0, 21))
    with pytest.warns(RuntimeWarning, match="between its points the path is not known.*more of it"):
        result.posedness(jac=lorenz_jacobian)


def test_a_growth_beyond_the_numbers_is_said():
    t = np.linspace(0.0, 1.0, 21)
    path = mflow.posedness_along(lambda t, y: 800.0 * (y - t) + 1.0, t, t[None])
    assert "multiplied by up to 1e+347 at the end" in path.text  # 800/log(10)


@pytest.mark.parametrize("fun", ["x", b"x", None, True])
def test_what_is_no_function_is_named_as_fun(fun):
    with pytest.raises(TypeError, match=r"^fun: expected a function of \(t, y\), or its Jacobian, got "):
        mflow.posedness(fun, 0.0, [1.0])


def test_beyond_the_dense_size_a_saddle_has_a_way_up() -> None:
    """Backward heat is a maximum as a gradient flow: of its 401 eigenvalues, all of one sign, the largest alone are known."""
    n = 401
    second = sparse.diags([1.0, -2.0, 1.0], [-1, 0, 1], shape=(n, n)).tocsr()
    for matrix, shape in ((-second, "no minimum: the cost falls away in"), (-second - 2 * sparse.eye(n).tocsr(), "a saddle")):
        assert mflow.posedness(lambda t, y, a=matrix: a @ y, 0.0, np.zeros(n), jac=matrix).geometry.startswith(shape)
