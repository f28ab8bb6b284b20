"""Certificates of points whose kind is known beforehand, and of the results of every driver."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

import mflow

SIZES = (2, 3, 4, 6, 10, 16, 30, 60, 120, 1000)
LARGE = {"saddle": 1000, "minimum": 400}  # of the kinds at the last size; the others are smaller, for time
KINDS = {  # the eigenvalues of n, by kind; ten cases for each size
    "minimum": lambda n, rng: np.geomspace(1e-6, 1.0, n),
    "minimum, clustered": lambda n, rng: np.where(np.arange(n) % 2, 1.0, 3.0),
    "minimum, large": lambda n, rng: 1e8 * rng.uniform(0.1, 1.0, n),
    "saddle": lambda n, rng: np.append(np.linspace(0.5, 1.0, n - 1), -1e-6),
    "saddle, wide": lambda n, rng: np.append(np.geomspace(1e-5, 1.0, n - 1), -1e-6),
    "saddle, scaled": lambda n, rng: 1e-4 * np.append(np.full(n - 1, 1.0), -1e-6),
    "saddle, even": lambda n, rng: np.where(np.arange(n) % 2, 1.0, -1.0),
    "maximum": lambda n, rng: -np.linspace(0.1, 1.0, n),
    "flat": lambda n, rng: np.append(np.linspace(0.5, 1.0, n - 1), 0.0),
    "not converged": lambda n, rng: np.linspace(0.5, 1.0, n),
}


def mirrored(v, u):
    return v - 2 * (u @ v) * u


@pytest.mark.parametrize("size", SIZES)
def test_a_hundred_points_of_a_known_kind(size):
    """A quartic whose Hessian at its stationary point is Q diag(d) Q', Q a product of two reflections; exact products."""
    rng = np.random.default_rng(size)
    for name, eigenvalues in KINDS.items():
        n = size if size < max(SIZES) else LARGE.get(name, 200)
        u, w = (v / np.linalg.norm(v) for v in rng.standard_normal((2, n)))
        turn = lambda v, u=u, w=w: mirrored(mirrored(v, u), w)  # noqa: E731
        back = lambda v, u=u, w=w: mirrored(mirrored(v, w), u)  # noqa: E731
        d, kind = eigenvalues(n, rng), name.partition(",")[0]
        x = rng.standard_normal(n)
        ahead = 1.0 if kind == "not converged" else 0.0

        def cost(c, d=d, x=x, ahead=ahead, turn=turn, back=back):
            y = back(c - x)
            return 0.5 * float(y @ (d * y)) + 0.25 * float(np.sum(y**4)) + ahead * float(np.sum(y)), turn(d * y + y**3 + ahead)

        found = mflow.certificate(cost, x, jac=True, hessp=lambda c, v, d=d, turn=turn, back=back: turn(d * back(v)), method="sgd")
        assert found.verdict == kind, (name, n, found)
        assert found.least[0] <= d.min() <= found.least[1]
        assert found.largest[0] <= d.max() <= found.largest[1]
        assert found.probability == 1.0
        if kind == "saddle":
            assert found.escape @ turn(d * back(found.escape)) == pytest.approx(d.min(), rel=1e-6)
            if np.sum(d < 0) == 1:
                assert abs(found.escape @ turn((d < 0).astype(float))) == pytest.approx(1.0, abs=1e-6)
        if d.max() > 0.0:
            assert found.largest_step == pytest.approx(2.0 / d.max(), rel=1e-9)


def factors(c):
    """(c0 c1 - 1)^2/2, least along a hyperbola; beside it, at c0 = c1 = 1 + e, the curvature along (1, -1) is -2 e - e^2."""
    r = c[0] * c[1] - 1
    return r * r / 2, r * c[::-1]


@pytest.mark.parametrize("off", [1e-8, 1e-7, 1e-6, 4e-6])
def test_beside_a_curved_valley_is_no_saddle(off):
    found = mflow.certificate(factors, np.full(2, 1 + off), jac=True)
    assert found.least[0] < -off
    assert found.verdict == "flat"
    assert found.escape is None
    assert "not told from 0" in str(found)
    assert mflow.certificate(factors, np.full(2, 1e-7), jac=True).verdict == "saddle"  # the one at 0, its curvatures are 1 and -1


def test_beside_exact_matrix_factorisations_is_no_saddle():
    """|U V' - M|^2/4 with M of rank 2 is 0 on a manifold; a descent ends beside it."""
    rng = np.random.default_rng(0)
    M = rng.standard_normal((5, 2)) @ rng.standard_normal((2, 4))

    def cost(c):
        U, V = c[:10].reshape(5, 2), c[10:].reshape(4, 2)
        R = U @ V.T - M
        return 0.25 * float(np.sum(R * R)), 0.5 * np.concatenate([(R @ V).ravel(), (R.T @ U).ravel()])

    for seed in range(6):
        run = mflow.minimize(cost, np.random.default_rng(seed).standard_normal(18), jac=True)
        assert run.fun < 1e-9
        assert run.certificate().verdict == "flat", seed
    assert mflow.certificate(cost, 1e-9 * rng.standard_normal(18), jac=True).verdict == "saddle"


@pytest.mark.parametrize(("curved", "kind"), [(-1e-6, "saddle"), (-1e-7, "saddle"), (0.0, "flat"), (1e-7, "flat")])
@pytest.mark.parametrize("n", [2, 5, 1500])
def test_a_saddle_stays_one_at_a_gradient_that_is_left(curved, kind, n):
    """|y|^2/2 but curved y_n^2/2 + y_1 y_n^2: at y_1 = -1e-6 the curvature along y_n is curved - 2e-6, at the stationary point curved."""
    d = np.append(np.ones(n - 1), curved)

    def cost(y):
        grad = d * y
        grad[0] += y[-1] ** 2
        grad[-1] += 2 * y[0] * y[-1]
        return 0.5 * float(y @ (d * y)) + y[0] * y[-1] ** 2, grad

    at = np.zeros(n)
    at[0] = -1e-6
    found = mflow.certificate(cost, at, jac=True)
    assert found.least[1] < 0
    assert found.verdict == kind
    assert mflow.certificate(cost, at + 1e-6 * np.eye(n)[-1], jac=True).verdict == kind


def test_many_parameters_are_told_by_bounds():
    d = np.linspace(1.0, 5.0, 3000)
    for least, kind in ((1.0, "minimum"), (-0.5, "saddle"), (0.0, "not known")):
        d[0] = least
        found = mflow.certificate(lambda c: (0.5 * float(c @ (d * c)), d * c), np.zeros(3000), jac=True, hessp=lambda c, v: d * v)
        assert found.verdict == kind
        assert found.least[0] <= least <= found.least[1]
        assert found.probability == pytest.approx(0.995)
        assert 5.0 <= found.largest[1] < 5.05


def double_well(c):
    """Saddle at 0, minima at (+-1, 0)."""
    return 0.25 * (c[0] ** 2 - 1) ** 2 + c[1] ** 2, np.array([c[0] * (c[0] ** 2 - 1), 2 * c[1]])


def test_results_of_minimize():
    on_axis = mflow.minimize(double_well, [0.0, 1.0], method="momentum", jac=True, lr=0.1)
    found = on_axis.certificate()
    assert (on_axis.reason, found.verdict, found.method) == ("not_a_minimum", "saddle", "momentum")
    np.testing.assert_allclose(np.abs(found.escape), [1.0, 0.0], atol=1e-6)
    assert found.largest_step == pytest.approx(mflow.max_stable_dt("momentum", curvature=2.0), rel=1e-5)
    on = mflow.minimize(double_well, on_axis.x + 1e-3 * found.escape, method="momentum", jac=True, lr=0.1)
    assert on.certificate().verdict == "minimum"
    assert on.certificate().least == pytest.approx((2.0, 2.0), rel=1e-3)
    for settings in ({"method": "rk4", "dt": 0.1}, {"method": "backward_euler", "dt": 1.0}, {"method": "newmark", "dt": 0.1}):
        assert mflow.minimize(double_well, [0.3, 1.0], jac=True, **settings).certificate().verdict == "minimum"
    searched = mflow.minimize(double_well, [0.3, 1.0], jac=True, method="sgd", line_search="armijo")
    assert searched.certificate().verdict == "minimum"
    assert mflow.minimize(double_well, [0.3, 1.0], jac=True, method="sgd", lr=0.1, maxiter=3).certificate().verdict == "not converged"
    by_differences = mflow.minimize(lambda c: double_well(c)[0], [0.3, 1.0], method="momentum", lr=0.1)
    assert by_differences.certificate().verdict == "minimum"
    with pytest.raises(ValueError, match="does not hold its cost"):
        pickle.loads(pickle.dumps(on)).certificate()


def test_adams_step_is_that_of_its_second_moments():
    """Below the step that the certificate names Adam settles; above it the gradient does not fall."""
    cost = mflow.objectives.Rosenbrock(6)
    run = mflow.minimize(cost, np.full(6, -0.5), method="adam", lr=0.003, maxiter=4000)
    found = run.certificate(gtol=1.0)
    preconditioned = found.preconditioned[1]
    assert found.largest_step * preconditioned == pytest.approx(38.0, rel=1e-9)
    assert preconditioned > 0.0
    assert found.preconditioned != found.largest


@pytest.mark.parametrize("method", ["adam", "adamw", "nadam", "rmsprop", "adagrad", "schedule_free_adamw"])
def test_without_a_run_no_step_is_named_of_methods_that_rescale(method):
    """An Adam that has seen gradients of 1e-3 bears a step 1000 times smaller than one that has seen 1: a point alone tells neither."""
    cost = lambda c: (50 * c @ c, 100 * c)  # noqa: E731
    found = mflow.certificate(cost, [0.0, 0.0], jac=True, method=method)
    assert found.verdict == "minimum"
    assert np.isnan(found.largest_step)
    assert f"largest stable step of {method}: not known: {method} divides by the size of past gradients" in str(found)
    plain = mflow.certificate(cost, [0.0, 0.0], jac=True, method="momentum")
    assert plain.largest_step == pytest.approx(mflow.max_stable_dt("momentum", curvature=100.0), rel=1e-9)
    assert np.isfinite(mflow.minimize(cost, [1.0, 1.0], jac=True, method=method, lr=1e-3, maxiter=9).certificate().largest_step)


def test_results_of_the_other_drivers():
    fit = mflow.least_squares(lambda b: np.array([b[0] - 1.0, b[0] * b[1] - 2.0, b[1] - 2.0]), [3.0, 3.0])
    found = fit.certificate()
    assert found.verdict == "minimum"
    J = np.array([[1.0, 0.0], [2.0, 1.0], [0.0, 1.0]])  # the residuals are 0 there
    assert found.largest == pytest.approx((np.linalg.eigvalsh(J.T @ J)[-1],) * 2, rel=1e-3)
    flow = mflow.gradient_flow(lambda c: double_well(c)[1], [0.0, 1.0], 20.0, "rk4", dt=0.1)
    found = flow.certificate()
    assert (found.verdict, found.method) == ("saddle", "rk4")
    assert found.largest_step == pytest.approx(mflow.stability_limit("rk4") / 2.0, rel=1e-6)
    with pytest.raises(ValueError, match="gradient flow"):
        mflow.solve_ivp(lambda t, y: -y, (0, 1), [1.0]).certificate()


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_results_of_train(optimizer):
    """All the data, in the arrangement of the parameters."""
    rng = np.random.default_rng(2)
    A, y = rng.normal(size=(50, 3)), rng.normal(size=50)

    def cost(p, A, y):
        r = A @ p["w"] + p["b"] - y
        return 0.5 * float(r @ r) / len(y), {"w": A.T @ r / len(y), "b": np.array([np.mean(r)])}

    run = mflow.train(cost, {"w": np.zeros(3), "b": np.zeros(1)}, (A, y), optimizer, epochs=4000, batch_size=50, seed=0, jac=True, lr=0.01)
    found = run.certificate()
    assert found.verdict == "minimum"
    one = np.column_stack([A, np.ones(50)])
    H = one.T @ one / 50
    assert found.largest == pytest.approx((np.linalg.eigvalsh(H)[-1],) * 2, rel=1e-4)
    assert found.least == pytest.approx((np.linalg.eigvalsh(H)[0],) * 2, rel=1e-4)
    if optimizer == "sgd":
        assert found.largest_step == pytest.approx(2.0 / np.linalg.eigvalsh(H)[-1], rel=1e-4)
    assert set(found.x) == {"w", "b"}
    assert "largest stable step" in str(found)


@pytest.mark.parametrize("named", [False, True])
def test_results_of_implicit_training(named):
    """The cost is the mean of r^2/2 over all rows, whose Hessian is X'X/m, with residuals of one's own as with a compiled objective."""
    rng = np.random.default_rng(4)
    X = rng.normal(size=(40, 3))
    y = X @ [1.0, -2.0, 0.5] + 0.3 * rng.normal(size=40)
    fun, jac, start = lambda w, X, y: X @ w - y, lambda w, X, y: X, np.zeros(3)
    if named:
        fun, start = (lambda p, X, y: X[:, :2] @ p["w"] + X[:, 2] * p["b"] - y), {"w": np.zeros(2), "b": np.zeros(())}
        jac = lambda p, X, y: {"w": X[:, :2], "b": X[:, 2]}  # noqa: E731
    run = mflow.train(fun, start, (X, y), "implicit_sgd", jac=jac, seed=0, monitor="curvature", batch_size=40, lr=1e4)
    found, ends = run.certificate(), np.linalg.eigvalsh(X.T @ X / 40)
    assert found.verdict == "minimum"
    assert found.least == pytest.approx((ends[0],) * 2, rel=1e-6)
    assert found.largest == pytest.approx((ends[-1],) * 2, rel=1e-6)
    early = mflow.train(fun, start, (X, y), "implicit_sgd", jac=jac, seed=0, epochs=1, lr=0.1).certificate()
    other = mflow.train(mflow.objectives.LeastSquares(X, y), np.zeros(3), None, "implicit_sgd", seed=0, epochs=1, lr=0.1).certificate()
    assert early.gradient_norm == pytest.approx(other.gradient_norm, rel=1e-9)
    assert run.curvature.largest == pytest.approx(ends[-1], rel=1e-2)
    assert (found.method, found.largest_step) == ("implicit_sgd", np.inf)  # lr = 1e4 has led to the minimum, without a warning


def test_what_is_wrong_is_said():
    with pytest.raises(ValueError, match="finite"):
        mflow.certificate(lambda c: (0.0, c * np.nan), [1.0], jac=True)
    with pytest.raises(TypeError, match="hessp"):
        mflow.certificate(double_well, [0.0, 0.0], jac=True, hessp=3)
    with pytest.raises(ValueError, match="gtol"):
        mflow.certificate(double_well, [0.0, 0.0], jac=True, gtol=-1)


def test_where_nothing_is_known_the_words_say_what_to_give():
    """Above 1000 parameters products decide; more of them tell the sign."""
    curved = np.linspace(0.01, 1.0, 1500)
    call = (lambda c: (0.5 * float(c @ (curved * c)), curved * c), np.zeros(1500))
    few = mflow.certificate(*call, jac=True, products=4)
    assert few.verdict == "not known"
    assert "give more products=" in str(few)
    assert mflow.certificate(*call, jac=True, products=600).verdict == "minimum"
