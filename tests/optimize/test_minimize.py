"""minimize: every method that can, on problems with known minima; endings, derivatives, callbacks, results."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import mflow
from support.oracles.reference import SETTINGS, defaults, looks_ahead
from support.oracles.tableaus import evaluations
from support.problems import OBJECTIVE_C, Array, Boom, bowl_c, decay_cfunc, start_of
from support.small_cases import for_all

HESSIAN = np.array([[2.0, 0.5, 0.0], [0.5, 1.0, 0.25], [0.0, 0.25, 0.75]])
LOWEST = np.array([1.0, -2.0, 0.5])


def bowl(x: Array) -> tuple[float, Array]:
    d = x - LOWEST
    return 0.5 * float(d @ HESSIAN @ d), HESSIAN @ d


def value(x: Array) -> float:
    return bowl(x)[0]


def gradient(x: Array) -> Array:
    return bowl(x)[1]


def rosenbrock(x: Array) -> tuple[float, Array]:
    a, b = 1.0 - x[0], x[1] - x[0] ** 2
    return float(a * a + 100.0 * b * b), np.array([-2.0 * a - 400.0 * x[0] * b, 200.0 * b])


def settings(method: Any) -> dict[str, Any]:
    """A step for each kind: one that tends to 0 where steps do not shrink with the gradient; no decay, which moves the minimum."""
    plain = {"weight_decay": 0.0} if method.kind == "update" else {}
    lr = 0.1 if "linear" in method.flags else lambda k: 0.3 * 0.999**k
    return {"lr": lr, **plain} | SETTINGS.get(method.name, {})


def logistic_data() -> tuple[Array, Array]:
    rng = np.random.default_rng(2)
    X = np.column_stack([np.ones(80), rng.standard_normal((80, 2))])
    return X, np.where(X @ np.array([0.3, 1.0, -2.0]) + rng.logistic(size=80) > 0, 1.0, -1.0)


def logistic_cost(w: Array, X: Array, y: Array) -> tuple[float, Array]:
    """Mean logistic loss with a ridge."""
    margin = y * (X @ w)
    weight = -y / (1.0 + np.exp(margin))
    return float(np.mean(np.logaddexp(0.0, -margin)) + 0.05 * w @ w), X.T @ weight / len(y) + 0.1 * w


def logistic_minimum(X: Array, y: Array) -> Array:
    """By Newton's method, to rounding."""
    w = np.zeros(3)
    for _ in range(50):
        p = 1.0 / (1.0 + np.exp(-y * (X @ w)))
        hessian = (X * (p * (1 - p))[:, None]).T @ X / len(y) + 0.1 * np.eye(3)
        w = w - np.linalg.solve(hessian, logistic_cost(w, X, y)[1])
    return w


# ---- every method --------------------------------------------------------------------------------------------------------


def test_every_row_finds_the_bottom_of_a_bowl(any_method: Any) -> None:
    r = mflow.minimize(bowl, np.zeros(3), jac=True, method=any_method.name, gtol=1e-6, maxiter=50_000, **settings(any_method))
    assert (r.reason, r.status, r.success) == ("converged", 0, True), r.message
    np.testing.assert_allclose(r.x, LOWEST, rtol=0, atol=1e-5)
    assert np.max(np.abs(r.jac)) <= 1e-6
    assert r.fun == pytest.approx(0.0, abs=1e-11)
    assert np.array_equal(r.jac, gradient(r.x))
    assert r.fun == value(r.x)


def test_every_row_fits_a_logistic_regression(any_method: Any) -> None:
    X, y = logistic_data()
    r = mflow.minimize(
        logistic_cost, np.zeros(3), args=(X, y), jac=True, method=any_method.name, gtol=1e-6, maxiter=50_000, **settings(any_method)
    )
    assert r.reason == "converged", r.message
    np.testing.assert_allclose(r.x, logistic_minimum(X, y), rtol=0, atol=2e-5)


def test_euler_sgd_and_the_optimizer_class_are_one_truth() -> None:
    c0, lr, steps = start_of(4), 0.05, 30

    def cost(c: Array) -> tuple[float, Array]:
        return float(np.sum(np.cosh(c))), np.sinh(c)

    flow = mflow.gradient_flow(np.sinh, c0, steps * lr, "euler", dt=lr)
    assert flow.nsteps == steps
    tvd = mflow.gradient_flow(np.sinh, c0, steps * lr, "tvd_rk1", dt=lr)
    assert np.array_equal(flow.y, tvd.y)
    c = c0.copy()
    opt = mflow.optim.SGD(c, lr=lr)
    for k in range(1, steps):  # the last step of a span is the difference of two times
        opt.step(np.sinh(c))
        for method in ("sgd", "euler", "steepest_descent"):
            r = mflow.minimize(cost, c0, jac=True, method=method, lr=lr, maxiter=k, gtol=0.0)
            assert (r.nit, r.reason) == (k, "max_iter")
            assert r.x.tobytes() == c.tobytes() == flow.y[:, k].tobytes()


def test_integrators_step_along_gradient_flow(step_method: Any) -> None:
    flow = mflow.gradient_flow(gradient, np.zeros(3), 2.0, step_method.name, dt=0.125)
    r = mflow.minimize(bowl, np.zeros(3), jac=True, method=step_method.name, dt=0.125, maxiter=12, gtol=0.0)
    assert r.x.tobytes() == flow.y[:, 12].tobytes()
    known = 1 if "fsal" in step_method.flags else 12  # the gradient of the test is the first slope, where the step asks for one
    if {"implicit", "needs_rho"} & set(step_method.flags):  # Newton's iterations, or estimates of the spectral radius, are among them
        assert r.njev >= 13 + evaluations(step_method, 12) - known
    else:
        assert r.njev == 13 + evaluations(step_method, 12) - known


def test_updates_are_the_optimizer_class(update_method: Any) -> None:
    extra = {"friction": 1.0} if "friction" in defaults(update_method) else {}
    c = np.zeros(3)
    opt = getattr(mflow.optim, update_method.class_name)(c, lr=0.125, **extra)
    r = mflow.minimize(bowl, np.zeros(3), jac=True, method=update_method.name, lr=0.125, maxiter=17, gtol=0.0)
    for _ in range(r.nit):
        opt.step(gradient(opt.ask()))
    assert r.x.tobytes() == c.tobytes()
    assert r.njev == r.nit + 1 + looks_ahead(update_method)
    assert r.nit == 17 or not np.any(gradient(r.x))  # steps of one length may end exactly at the minimum


def test_state_of_any_shape(any_method: Any) -> None:
    def cost(x: Array) -> tuple[float, Array]:
        assert x.shape == (2, 3)
        return 0.5 * float(np.sum(x**2)), x.copy()

    r = mflow.minimize(cost, np.ones((2, 3)), jac=True, method=any_method.name, lr=0.1, maxiter=5)
    assert r.x.shape == r.jac.shape == (2, 3)
    scalar = mflow.minimize(lambda x: (float(x**2), 2 * x), 2.0, jac=True, method=any_method.name, lr=0.1, maxiter=5)
    assert scalar.x.shape == ()
    assert abs(scalar.x) < 2.0


def test_rosenbrock() -> None:
    r = mflow.minimize(rosenbrock, [-1.2, 1.0], jac=True, method="nadam", lr=lambda k: 0.05 * 0.9995**k, maxiter=40_000, gtol=1e-6)
    assert r.reason == "converged", r.message
    np.testing.assert_allclose(r.x, [1.0, 1.0], rtol=0, atol=1e-5)
    flow = mflow.minimize(rosenbrock, [-1.2, 1.0], jac=True, method="rk4", dt=1e-3, maxiter=50_000, gtol=1e-4)
    np.testing.assert_allclose(flow.x, [1.0, 1.0], rtol=0, atol=1e-3)


# ---- derivatives --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("jac", "calls", "accuracy"), [(None, 4, 1e-6), ("2-point", 4, 1e-6), ("3-point", 6, 1e-9)])
def test_finite_differences(jac: str | None, calls: int, accuracy: float) -> None:
    x0, seen = np.array([3.0, -1e-3, 40.0]), []

    def cost(x: Array) -> float:
        seen.append(x.copy())
        return math.sin(x[0]) + x[1] ** 3 + x[2] ** 2 / 80.0

    r = mflow.minimize(cost, x0, jac=jac, method="sgd", lr=0.1, maxiter=0)
    exact = [math.cos(3.0), 3e-6, 1.0]
    np.testing.assert_allclose(r.jac, exact, rtol=0, atol=accuracy)
    assert r.fun == cost(x0)
    assert r.nfev == len(seen) - 1
    assert calls <= r.nfev <= calls + 1  # with central differences, one more for the value
    assert r.njev == 1
    for x in seen:
        assert np.count_nonzero(x != x0) <= 1


def test_finite_differences_lead_to_the_minimum() -> None:
    for jac, gtol in ((None, 1e-5), ("3-point", 1e-7)):
        r = mflow.minimize(value, np.zeros(3), jac=jac, method="momentum", lr=0.1, gtol=gtol)
        assert r.reason == "converged"
        np.testing.assert_allclose(r.x, LOWEST, rtol=0, atol=gtol / 0.4)  # the smallest curvature is 0.58


def test_gradient_in_any_form_is_the_same() -> None:
    def pair(x: Array, shift: float) -> list[Any]:
        return [np.array([value(x - shift)]), gradient(x - shift).tolist()]

    options: dict[str, Any] = {"method": "adam", "lr": 0.1, "maxiter": 40, "gtol": 0.0}
    both = mflow.minimize(bowl, np.zeros(3), jac=True, **options)
    apart = mflow.minimize(value, np.zeros(3), jac=gradient, **options)
    shifted = mflow.minimize(pair, np.full(3, 0.25), args=(0.25,), jac=True, **options)
    assert both.x.tobytes() == apart.x.tobytes()
    np.testing.assert_allclose(shifted.x - 0.25, both.x, rtol=0, atol=1e-13)
    assert (both.nfev, both.njev, apart.nfev, apart.njev) == (41, 41, 1, 41)
    assert both.fun == apart.fun


def test_compiled_cost(any_method: Any) -> None:
    def plain(x: Array) -> tuple[float, Array]:
        return float(sum(0.5 * (v - 3.0) ** 2 for v in x)), x - 3.0

    options: dict[str, Any] = {"method": any_method.name, "lr": 0.1, "maxiter": 25, "gtol": 0.0}
    r, want = mflow.minimize(bowl_c, np.zeros(3), **options), mflow.minimize(plain, np.zeros(3), jac=True, **options)
    assert (r.x.tobytes(), r.fun, r.nfev) == (want.x.tobytes(), want.fun, want.nfev)
    with pytest.raises(TypeError, match="omit jac"):
        mflow.minimize(bowl_c, np.zeros(3), jac=gradient, **options)
    with pytest.raises(TypeError, match=r"^fun: expected a compiled function with the signature"):
        mflow.minimize(decay_cfunc(), np.zeros(3), **options)


def test_compiled_cost_that_gives_up() -> None:
    def fun(c: Any, value: Any, grad: Any, n: int, ctx: Any) -> int:
        if value:
            value[0] = c[0]
        if grad:
            grad[0] = 1.0
        return -9 if c[0] < -0.35 else 0

    r = mflow.minimize(OBJECTIVE_C(fun), [0.0], method="sgd", lr=0.1)
    assert (r.reason, r.status, r.success) == ("rhs_failed", -1, False)
    assert r.x[0] == pytest.approx(-0.3)
    assert "code -9" in r.message


# ---- endings ------------------------------------------------------------------------------------------------------------


def test_fields_of_a_result() -> None:
    r = mflow.minimize(bowl, np.zeros(3), jac=True, method="sgd", lr=0.3, gtol=1e-7)
    fields = {"x", "fun", "jac", "nit", "nfev", "njev", "success", "status", "reason", "message", "method"}
    assert fields <= set(r)
    assert r["x"] is r.x
    assert "converged" in repr(r)
    assert (r.nfev, r.njev) == (r.nit + 1, r.nit + 1)
    with pytest.raises(AttributeError, match="no field 'y'"):
        r.y
    again = mflow.minimize(bowl, np.zeros(3), jac=True, method="sgd", lr=0.3, gtol=1e-7, maxiter=r.nit)
    assert (again.reason, again.nit) == ("converged", r.nit)
    short = mflow.minimize(bowl, np.zeros(3), jac=True, method="sgd", lr=0.3, gtol=1e-7, maxiter=r.nit - 1)
    assert (short.reason, short.status, short.success, short.nit) == ("max_iter", 1, False, r.nit - 1)


def test_no_iterations_and_a_start_at_the_minimum() -> None:
    r = mflow.minimize(bowl, np.zeros(3), jac=True, method="adam", maxiter=0)
    assert (r.reason, r.nit, r.nfev, r.x.tolist(), r.fun) == ("max_iter", 0, 1, [0.0] * 3, value(np.zeros(3)))
    r = mflow.minimize(bowl, LOWEST, jac=True, method="adam")
    assert (r.reason, r.nit, r.x.tolist()) == ("converged", 0, LOWEST.tolist())
    empty = mflow.minimize(lambda x: (0.0, x), [], jac=True)
    assert (empty.reason, empty.x.shape) == ("converged", (0,))


def test_gtol_tol_and_options_are_one_thing() -> None:
    runs = [
        mflow.minimize(bowl, np.zeros(3), jac=True, method="sgd", **options)
        for options in (
            {"lr": 0.3, "gtol": 1e-3}, {"lr": 0.3, "tol": 1e-3}, {"dt": 0.3, "tol": 1e-3}, {"options": {"lr": 0.3, "gtol": 1e-3}},
        )
    ]  # fmt: skip
    assert len({(r.x.tobytes(), r.nit) for r in runs}) == 1
    assert 1e-4 < np.max(np.abs(runs[0].jac)) <= 1e-3


def test_divergence_names_the_limit() -> None:
    r = mflow.minimize(lambda x: (4.0 * float(x[0]) * float(x[0]), [8.0 * float(x[0])]), [1.0], jac=True, method="sgd", lr=0.5)
    assert (r.reason, r.status, r.success) == ("diverged", -1, False)
    assert np.all(np.isfinite(r.x))
    assert np.all(np.isfinite(r.jac))
    assert "lr = 0.5 exceeds the stability limit 0.25 of sgd for the measured curvature 8" in r.message


def test_slow_divergence_gives_advice() -> None:
    r = mflow.minimize(bowl, np.zeros(3), jac=True, method="sgd", lr=1.0, maxiter=60)
    assert r.reason == "max_iter"
    assert "lower lr" in r.message


def test_non_finite_cost_keeps_the_last_good_point() -> None:
    def cost(x: Array) -> tuple[float, Array]:
        return (math.inf if x[0] > 0.35 else -x[0]), np.array([-1.0])

    r = mflow.minimize(cost, [0.0], jac=True, method="sgd", lr=0.1)
    assert (r.reason, r.status) == ("non_finite", -1)
    assert (r.x[0], r.fun, r.jac.tolist()) == (pytest.approx(0.3), pytest.approx(-0.3), [-1.0])
    at_once = mflow.minimize(lambda x: (math.nan, x), [1.0], jac=True, method="adam")
    assert (at_once.reason, at_once.x.tolist(), at_once.nit) == ("non_finite", [1.0], 0)


def test_a_point_that_cannot_be_evaluated_is_no_convergence(any_method: Any) -> None:
    def cost(x: Array) -> tuple[float, Array]:
        if len(points) == 4 * any_method.stages:
            raise mflow.Recoverable("not here")
        points.append(x)
        return bowl(x)

    for callback in (None, lambda x: None):
        points: list[Array] = []
        r = mflow.minimize(cost, np.zeros(3), jac=True, method=any_method.name, lr=0.1, callback=callback)
        measured = "needs_rho" in any_method.flags and r.reason == "non_finite"  # the point belonged to a measurement of the curvature
        assert (r.reason if not measured else "rhs_failed", r.status, r.success) == ("rhs_failed", -1, False)
        assert np.array_equal(r.jac, gradient(r.x))


@pytest.mark.parametrize("at", [1, 2, 50, 300])
@pytest.mark.parametrize("kind", [Boom, KeyboardInterrupt])
def test_exceptions_pass_with_the_result_so_far(kind: type[BaseException], at: int) -> None:
    error, points = kind("why"), []

    def cost(x: Array) -> tuple[float, Array]:
        if len(points) == at - 1:
            raise error
        points.append(x)
        return bowl(x)

    with pytest.raises(kind) as info:
        mflow.minimize(cost, np.zeros(3), jac=True, method="sgd", lr=0.01, gtol=0.0, check_gradient=False)
    assert info.value is error
    assert any("mflow.minimize" in note for note in error.__notes__)
    partial = error.partial_result  # type: ignore[attr-defined]
    assert (partial.success, partial.status, partial.nfev) == (False, -1, at)
    last = points[-1] if points else np.zeros(3)
    assert partial.x.tolist() == last.tolist()
    assert partial.nit in (max(at - 2, 0), at - 1)
    if points:
        assert (partial.fun, partial.jac.tolist()) == (value(last), gradient(last).tolist())


@pytest.mark.parametrize("result", [None, 1.0, (1.0,), (1.0, 2.0, 3.0)])
def test_pairs_that_are_none(result: Any) -> None:
    with pytest.raises(TypeError, match=r"expected the pair \(value, gradient\), as jac=True says"):
        mflow.minimize(lambda x: result, np.zeros(3), jac=True)


@pytest.mark.parametrize(
    ("change", "kind", "words"),
    [
        ({"fun": lambda x: (np.ones(2), x)}, TypeError, "got ndarray of shape"),
        ({"fun": lambda x: (1j, x)}, TypeError, "fun: expected a single real number as return value"),
        ({"fun": lambda x: (1.0, np.ones(2))}, ValueError, r"fun's gradient: expected a return value of .*, got shape \(2,\)"),
        ({"fun": 5}, TypeError, "fun: expected a callable"),
        ({"jac": "4-point"}, ValueError, "got '4-point'"),
        ({"jac": 5}, TypeError, "jac: expected a callable"),
        ({"x0": [math.nan]}, ValueError, "x0: .* got nan in entry 0"),
        ({"x0": ["a"]}, TypeError, "x0: expected real numbers, got the string 'a' in entry 0"),
        ({"maxiter": -1}, ValueError, "maxiter: expected a whole number of at least 0, got -1"),
        ({"maxiter": 1.5}, ValueError, "maxiter: expected a whole number of at least 0, got 1.5"),
        ({"gtol": "small"}, TypeError, "gtol: .* got 'small'"),
        ({"method": "adamm"}, ValueError, "did you mean 'adam"),
        ({"momentum": 0.9}, TypeError, "minimize has no argument 'momentum'"),
        ({"lr": 0.1, "dt": 0.1}, TypeError, "lr, dt: they are one thing"),
        ({"lr": -0.1}, ValueError, "expected a number in"),
        ({"method": "rk4"}, ValueError, "dt: expected the size of the fixed steps of rk4 .* got None"),
        ({"method": "rk4", "dt": -1.0}, ValueError, "dt: expected a finite number above 0, got -1.0"),
        ({"method": mflow.RK4}, TypeError, r"write RK4\(\)"),
    ],
)
def test_arguments_that_do_not_fit(change: dict[str, Any], kind: type[Exception], words: str) -> None:
    good = {"fun": bowl, "x0": np.zeros(3), "jac": True, "method": "adam"}
    with pytest.raises(kind, match=words):
        mflow.minimize(**{**good, **change})


# ---- callbacks, schedules, friction -----------------------------------------------------------------------------------------


def test_callback_with_the_point() -> None:
    points: list[Array] = []
    r = mflow.minimize(bowl, np.zeros(3), jac=True, method="sgd", lr=0.25, maxiter=5, gtol=0.0, callback=points.append)
    assert len(points) == 5
    assert np.array_equal(points[-1], r.x)
    x = np.zeros(3)
    for point in points:
        x = x - 0.25 * gradient(x)
        np.testing.assert_allclose(point, x, rtol=0, atol=1e-14)


def test_callback_with_the_whole_result() -> None:
    seen: list[Any] = []

    def tell(intermediate_result: Any) -> None:
        seen.append(intermediate_result)

    mflow.minimize(bowl, np.zeros(3), jac=True, method="adam", maxiter=4, gtol=0.0, callback=tell)
    assert [s.nit for s in seen] == [1, 2, 3, 4]
    assert [s.nfev for s in seen] == [2, 3, 4, 5]
    for s in seen:
        assert s.fun == value(s.x)
        assert np.array_equal(s.jac, gradient(s.x))
    assert len({s.x.tobytes() for s in seen}) == 4


def test_callback_sees_the_value_of_a_separate_cost() -> None:
    seen: list[float] = []

    def tell(intermediate_result: Any) -> None:
        seen.append(intermediate_result.fun - value(intermediate_result.x))

    mflow.minimize(value, np.zeros(3), jac=gradient, method="sgd", lr=0.1, maxiter=4, callback=tell)
    assert seen == [0.0] * 4


def stop_by_value(x: Array) -> bool:
    return True


def stop_by_exception(x: Array) -> None:
    raise StopIteration


@for_all("callback", [stop_by_value, stop_by_exception])
def test_callback_stops(callback: Callable[[Array], Any], any_method: Any) -> None:
    r = mflow.minimize(bowl, np.zeros(3), jac=True, method=any_method.name, lr=0.1, callback=callback)
    assert (r.reason, r.status, r.success, r.nit) == ("callback", 2, False, 1)
    assert np.array_equal(r.jac, gradient(r.x))


def test_callback_does_not_change_the_path(any_method: Any) -> None:
    options: dict[str, Any] = {"jac": True, "method": any_method.name, "lr": 0.1, "maxiter": 20, "gtol": 0.0}
    plain = mflow.minimize(bowl, np.zeros(3), **options)
    told = mflow.minimize(bowl, np.zeros(3), callback=lambda x: x.fill(7.0), **options)
    assert plain.x.tobytes() == told.x.tobytes()
    assert plain.nfev == told.nfev or (any_method.kind == "update" and looks_ahead(any_method))  # what is told is evaluated at x


def test_errors_of_a_callback_pass() -> None:
    error = Boom()

    def tell(x: Array) -> None:
        raise error

    with pytest.raises(Boom) as info:
        mflow.minimize(bowl, np.zeros(3), jac=True, method="sgd", lr=0.1, callback=tell)
    assert info.value is error
    assert error.partial_result.nit == 1  # type: ignore[attr-defined]


def test_lr_may_be_a_function_of_the_iteration(any_method: Any) -> None:
    options: dict[str, Any] = {"jac": True, "method": any_method.name, "maxiter": 12, "gtol": 0.0}
    constant = mflow.minimize(bowl, np.zeros(3), lr=0.125, **options)
    schedule = mflow.minimize(bowl, np.zeros(3), lr=lambda k: 0.125, **options)
    assert constant.x.tobytes() == schedule.x.tobytes()
    if "multistep" in any_method.flags:
        return  # a step goes on from those before
    x, extra = np.zeros(3), {"friction": 1.0} if "friction" in defaults(any_method) else {}
    r = mflow.minimize(bowl, np.zeros(3), lr=lambda k: 0.25 / (1 + k), **options)
    if any_method.kind == "update":
        opt = getattr(mflow.optim, any_method.class_name)(x, lr=lambda k: 0.25 / (1 + k), **extra)
        for _ in range(12):
            opt.step(gradient(opt.ask()))
    else:
        for k in range(12):
            x = mflow.gradient_flow(gradient, x, 0.25 / (1 + k), any_method.name, dt=0.25 / (1 + k)).y[:, -1]
    if "implicit" in any_method.flags:  # a run keeps its Jacobian from step to step: the same to the solver's tolerance
        np.testing.assert_allclose(r.x, x, rtol=0, atol=1e-14)
    else:
        assert r.x.tobytes() == x.tobytes()


def test_friction_is_one_where_nothing_is_said() -> None:
    options: dict[str, Any] = {"jac": True, "method": "consistent_momentum", "lr": 0.1, "maxiter": 30, "gtol": 0.0}
    silent = mflow.minimize(bowl, np.zeros(3), **options)
    said = mflow.minimize(bowl, np.zeros(3), friction=1.0, **options)
    assert silent.x.tobytes() == said.x.tobytes()
    assert silent.method.parameters["friction"] == 1.0
    with pytest.warns(UserWarning, match="friction = 0 keeps its energy and minimises nothing") as caught:
        mflow.minimize(bowl, np.zeros(3), friction=0.0, **options)
    assert caught[0].filename == __file__
    with pytest.warns(UserWarning, match="friction = 0"):
        mflow.minimize(bowl, np.zeros(3), **{**options, "method": mflow.get_method("consistent_momentum", friction=0.0)})


@pytest.mark.parametrize("method", [{"method": "adam", "lr": 0.1}, {"method": "rk4", "dt": 0.1}, {"method": "leapfrog", "dt": 0.1}])
@pytest.mark.parametrize("maxiter", [0, 7, 10_000])
def test_the_path_of_every_method(method, maxiter):
    def cost(x):
        return float(x @ x), 2.0 * x

    x0, seen = np.array([1.0, -2.0]), []
    plain = mflow.minimize(cost, x0, jac=True, maxiter=maxiter, **method)
    whole = mflow.minimize(cost, x0, jac=True, maxiter=maxiter, path=True, callback=lambda x: seen.append(x.copy()), **method)
    assert whole.x.tobytes() == plain.x.tobytes()
    assert whole.nit == plain.nit
    assert whole.path.k.tolist() == list(range(whole.nit + 1))
    assert np.array_equal(whole.path.x, [x0, *seen])
    assert np.array_equal(whole.path.fun, [cost(x)[0] for x in whole.path.x])
    assert np.array_equal(whole.path.x[-1], whole.x)
    some = mflow.minimize(cost, x0, jac=True, maxiter=maxiter, path=4, **method)
    kept = sorted({*range(0, whole.nit + 1, 4), whole.nit})
    assert some.path.k.tolist() == kept
    assert np.array_equal(some.path.x, whole.path.x[kept])


def test_the_path_survives_an_exception_and_mistakes_are_named():
    def cost(x):
        if x[0] < 0.5:
            raise OSError("the disk")
        return float(x @ x), 2.0 * x

    with pytest.raises(OSError, match="the disk") as caught:
        mflow.minimize(cost, np.ones(2), jac=True, method="sgd", lr=0.1, path=True)
    assert np.array_equal(caught.value.partial_result.path.x[0], np.ones(2))
    assert len(caught.value.partial_result.path.x) == 4
    for path in (-1, 1.5, "all"):
        with pytest.raises((TypeError, ValueError), match="path: expected"):
            mflow.minimize(cost, np.ones(2), jac=True, path=path)
    with pytest.raises(ValueError, match=r"path: with line_search .* got 3"):
        mflow.minimize(cost, np.ones(2), jac=True, method="steepest_descent", line_search="exact", path=3)


@pytest.mark.parametrize("more", [{}, {"line_search": "armijo"}])
def test_a_comparison_of_numpy_stops_as_true_does(more):
    result = mflow.minimize(lambda x: (x @ x, 2 * x), [1.0, 1.0], method="sgd", jac=True, callback=lambda x: x[0] < 2.0, lr=0.01, **more)
    assert (result.reason, result.nit) == ("callback", 1)
    found = mflow.least_squares(lambda x: np.exp(x) - 2.0, [0.0, 3.0], callback=lambda x: np.linalg.norm(x) < 100.0)
    assert (found.reason, found.nit) == ("callback", 1)
