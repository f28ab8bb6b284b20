"""Compiled objectives against closed forms, SciPy, scikit-learn and mpmath; and every driver takes them in the place of a function."""

from __future__ import annotations

import pickle
import threading

import mpmath
import numpy as np
import pytest
import scipy.optimize
from mflow_core import registry
from mflow_core.objectives import objective

import mflow
import mflow.data
from mflow.problems import objectives
from mflow.problems.curves import curve_names
from mflow.problems.mgh import mgh_names

RNG = np.random.default_rng(7)
ROWS, COLUMNS, CLASSES = 131, 5, 4  # blocks of rows, and some
X = RNG.standard_normal((ROWS, COLUMNS))
WEIGHTS = RNG.integers(0, 4, ROWS).astype(float)
LABELS = {
    "LeastSquares": RNG.standard_normal(ROWS),
    "Logistic": RNG.integers(0, 2, ROWS),
    "Poisson": RNG.poisson(2.0, ROWS),
    "Huber": 2.0 * RNG.standard_normal(ROWS),
    "Softmax": RNG.integers(0, CLASSES, ROWS),
}


def regression(name, rows=slice(None), **how):
    return getattr(objectives, name)(X[rows], LABELS[name][rows], **how)


def written_out(name, c, x, y):
    """Loss of one row, in mpmath, straight from its definition."""
    if name == "Softmax":
        z = [mpmath.fdot([(a, c[j][k]) for j, a in enumerate(x)]) for k in range(CLASSES)]
        return mpmath.log(mpmath.fsum(mpmath.exp(v) for v in z)) - z[int(y)]
    t, y = mpmath.fdot(zip(x, c, strict=True)), mpmath.mpf(float(y))
    e = abs(t - y)
    return {
        "LeastSquares": lambda: e**2 / 2,
        "Logistic": lambda: mpmath.log(1 + mpmath.exp(-(2 * y - 1) * t)),
        "Poisson": lambda: mpmath.exp(t) - y * t - (y - y * mpmath.log(y) if y else 0),
        "Huber": lambda: e**2 / 2 if e <= 1 else e - mpmath.mpf(1) / 2,
    }[name]()


@pytest.mark.parametrize("intercept", [False, True])
@pytest.mark.parametrize("name", LABELS)
def test_regression_against_mpmath(name, intercept):
    f = regression(name, l2=0.3, weights=WEIGHTS, intercept=intercept)
    rng = np.random.default_rng(3)
    c = 0.7 * rng.standard_normal(f.shape)
    table = np.hstack([X, np.ones((ROWS, 1))]) if intercept else X
    free = c[:-1] if intercept else c
    with mpmath.workdps(40):
        mp = mpmath.matrix(c.tolist()).tolist() if name == "Softmax" else [mpmath.mpf(v) for v in c]
        losses = [w * written_out(name, mp, row, y) for row, y, w in zip(table, LABELS[name], WEIGHTS, strict=True) if w]
        exact = mpmath.fsum(losses) / mpmath.mpf(WEIGHTS.sum()) + mpmath.mpf("0.3") / 2 * mpmath.fsum(
            v * v for v in map(mpmath.mpf, free.ravel())
        )
        assert abs(f(c) / exact - 1) < 1e-14
    value, grad = f.value_and_grad(c)
    assert value == f(c)
    assert grad.shape == c.shape
    np.testing.assert_array_equal(grad, f.grad(c))
    assert_derivatives(f, c, 3e-7)


def test_hessian_of_quotients_against_mpmath():
    u = [4, 2, 1, "0.5", "0.25", "0.167", "0.125", "0.1", "0.0833", "0.0714", "0.0625"]
    y = ["0.1957", "0.1947", "0.1735", "0.16", "0.0844", "0.0627", "0.0456", "0.0342", "0.0323", "0.0235", "0.0246"]
    x = [0.25, 0.39, 0.415, 0.39]

    def cost(a, b, c, d):
        rows = [(mpmath.mpf(v), mpmath.mpf(w)) for v, w in zip(u, y, strict=True)]
        return mpmath.fsum((w - a * v * (v + b) / (v * (v + c) + d)) ** 2 for v, w in rows)

    with mpmath.workdps(50):
        exact = [[float(mpmath.diff(cost, x, tuple((k == i) + (k == j) for k in range(4)))) for j in range(4)] for i in range(4)]
    np.testing.assert_allclose(mflow.objectives.mgh("kowalik_osborne").hess(x), exact, rtol=1e-13)


def assert_derivatives(f, x, rtol):
    """Gradient and Hessian-vector product against central differences of what they are derivatives of."""
    rng = np.random.default_rng(1)
    p = rng.standard_normal(np.shape(x))
    h = 1e-5 / np.max(np.abs(p))
    slope = (f(x + h * p) - f(x - h * p)) / (2 * h)
    assert np.vdot(f.grad(x), p) == pytest.approx(slope, rel=rtol, abs=rtol)
    change = (f.grad(x + h * p) - f.grad(x - h * p)) / (2 * h)
    scale = np.max(np.abs(change))
    np.testing.assert_allclose(f.hessp(x, p), change, rtol=0, atol=rtol * max(scale, 1.0))
    np.testing.assert_allclose(f.hess(x) @ p.ravel(), f.hessp(x, p).ravel(), rtol=0, atol=1e-13 * max(scale, 1.0))


@pytest.mark.parametrize("intercept", [False, True])
def test_residuals_of_least_squares(intercept):
    f = regression("LeastSquares", weights=WEIGHTS, intercept=intercept)
    for one in (f, f.batch(RNG.integers(0, ROWS, 20))):
        c = RNG.standard_normal(f.n)
        r, J = one.residuals(c), one.jac(c)
        assert r.shape == (one.m,)
        np.testing.assert_allclose(one.factor * (r @ r), one(c), rtol=1e-13)
        np.testing.assert_allclose(2 * one.factor * (J.T @ r), one.grad(c), rtol=1e-11, atol=1e-13)


def test_rosenbrock_is_scipys():
    rng = np.random.default_rng(5)
    for n in (2, 3, 10, 37):
        f, x, p = objectives.Rosenbrock(n), rng.standard_normal(n), rng.standard_normal(n)
        assert f(x) == pytest.approx(scipy.optimize.rosen(x), rel=1e-14)
        np.testing.assert_allclose(f.grad(x), scipy.optimize.rosen_der(x), rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(f.hessp(x, p), scipy.optimize.rosen_hess_prod(x, p), rtol=1e-12, atol=1e-11)
        np.testing.assert_allclose(f.hess(x), scipy.optimize.rosen_hess(x), rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(np.sum(f.residuals(x) ** 2), f(x), rtol=1e-14)
        np.testing.assert_allclose(2 * f.jac(x).T @ f.residuals(x), f.grad(x), rtol=1e-12, atol=1e-12)


def test_quadratic_closed_form():
    rng = np.random.default_rng(6)
    for n in (1, 2, 9, 40):
        A = rng.standard_normal((n, n))
        A, b, x, p = A + A.T, rng.standard_normal(n), rng.standard_normal(n), rng.standard_normal(n)
        for f, full in ((objectives.Quadratic(A, b), A), (objectives.Quadratic(np.diag(A), b), np.diag(np.diag(A)))):
            assert f(x) == pytest.approx(0.5 * x @ full @ x - b @ x, rel=1e-13, abs=1e-13)
            np.testing.assert_allclose(f.grad(x), full @ x - b, rtol=1e-12, atol=1e-13)
            np.testing.assert_allclose(f.hessp(x, p), full @ p, rtol=1e-12, atol=1e-13)
    assert objectives.Quadratic([2.0])([3.0]) == 9.0


def test_log_loss_is_scikit_learns():
    metrics = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(8)
    c = rng.standard_normal(COLUMNS)
    chance = 1 / (1 + np.exp(-X @ c))
    f = regression("Logistic", weights=WEIGHTS)
    assert f(c) == pytest.approx(metrics.log_loss(LABELS["Logistic"], chance, sample_weight=WEIGHTS), rel=1e-12)
    C = rng.standard_normal((COLUMNS, CLASSES))
    shares = np.exp(X @ C) / np.exp(X @ C).sum(axis=1, keepdims=True)
    assert regression("Softmax")(C) == pytest.approx(metrics.log_loss(LABELS["Softmax"], shares), rel=1e-12)
    rate = np.exp(X @ c)
    half = metrics.mean_poisson_deviance(LABELS["Poisson"], rate, sample_weight=WEIGHTS) / 2
    assert regression("Poisson", weights=WEIGHTS)(c) == pytest.approx(half, rel=1e-12)


@pytest.mark.parametrize("name", LABELS)
def test_batches_and_weights(name):
    """A batch is the objective of its rows; a weight is a number of repeats; the mean gradient of all minibatches is the full one."""
    f, rng = regression(name, l2=0.1), np.random.default_rng(9)
    c, rows = rng.standard_normal(f.shape), rng.integers(0, ROWS, 70)
    same = getattr(objectives, name)(X[rows], LABELS[name][rows], l2=0.1, **({"n_classes": CLASSES} if name == "Softmax" else {}))
    assert f.batch(rows)(c) == same(c)
    np.testing.assert_array_equal(f.batch(rows).grad(c), same.grad(c))
    repeated = f.batch(np.repeat(np.arange(ROWS), WEIGHTS.astype(int)))
    weighted = regression(name, l2=0.1, weights=WEIGHTS)
    np.testing.assert_allclose(weighted.grad(c), repeated.grad(c), rtol=1e-12, atol=1e-13)
    parts = [weighted.batch([k]).grad(c) for k in range(ROWS)]
    np.testing.assert_allclose(np.mean(parts, axis=0), weighted.grad(c), rtol=1e-11, atol=1e-12)
    mask = rng.random(ROWS) < 0.5
    np.testing.assert_array_equal(f.batch(mask).grad(c), f.batch(np.flatnonzero(mask)).grad(c))
    copy = pickle.loads(pickle.dumps(weighted.batch(rows)))
    np.testing.assert_array_equal(copy.grad(c), weighted.batch(rows).grad(c))


def test_nothing_overflows_that_is_finite():
    far = np.array([1e3, -1e3, 800.0, -800.0])
    table = far[:, None]
    f = objectives.Logistic(table, [1, 1, 0, 0])
    assert f([1.0]) == pytest.approx((1e3 + 800.0) / 4, rel=1e-15)
    assert f.grad([1.0])[0] == pytest.approx((1e3 + 800.0) / 4, rel=1e-15)
    g = objectives.Softmax(table, [0, 1, 2, 0])
    value, grad = g.value_and_grad([[1.0, -1.0, 0.5]])
    assert np.isfinite(value)
    assert np.all(np.isfinite(grad))
    small = objectives.Poisson([[1.0]], [0])
    assert small([-700.0]) == pytest.approx(np.exp(-700.0), rel=1e-13)
    assert small([800.0]) == np.inf
    assert objectives.Poisson([[1.0]], [3])([np.log(3.0) + 1e-9]) == pytest.approx(1.5e-18, rel=1e-5)
    kind = objectives.Logistic([[np.nextafter(0, 1)]], [1])
    assert kind([0.0]) == pytest.approx(np.log(2))
    for name in LABELS:
        assert np.isnan(regression(name).grad(np.full(regression(name).shape, np.nan))).all()


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: objectives.Poisson([[1.0]], [-1]), ValueError, "counts: numbers from 0 on"),
        (lambda: objectives.Logistic([[1.0]], [0.5]), ValueError, "0 and 1, or -1 and"),
        (lambda: objectives.Logistic([[np.inf]], [1]), ValueError, r"X: expected finite numbers, got inf at entry \(0, 0\)"),
        (lambda: objectives.LeastSquares([[1.0]], [np.nan]), ValueError, r"y: expected finite numbers, got nan at entry \(0,\)"),
        (lambda: objectives.LeastSquares(np.empty((0, 2)), []), ValueError, "at least one row"),
        (lambda: objectives.LeastSquares([[1.0]], [1.0, 2.0]), ValueError, "y: expected 1 labels, one for each row of X, got 2"),
        (lambda: objectives.LeastSquares([[1.0]], [1.0], weights=[-1.0]), ValueError, "weights: expected numbers from 0 on"),
        (lambda: objectives.LeastSquares([[1.0]], [1.0], weights=[0.0]), ValueError, "not all 0"),
        (lambda: objectives.LeastSquares([[1.0]], [1.0], l2=-1.0), ValueError, "l2: expected a finite number of at least 0, got -1.0"),
        (lambda: objectives.Softmax([[1.0]], [3], n_classes=3), ValueError, "y: expected classes from 0 to 2, .*, got class 3"),
        (lambda: objectives.Softmax([[1.0]], [0.5]), ValueError, "numbers of classes"),
        (lambda: objectives.Huber([[1.0]], [0.5], delta=0.0), ValueError, "delta: expected a finite number above 0, got 0.0"),
        (lambda: objectives.Quadratic([[1.0, 2.0], [0.0, 1.0]]), ValueError, "A: expected a symmetric matrix"),
        (lambda: objectives.Quadratic([[1.0]], [1.0, 2.0]), ValueError, r"b: expected an array of shape \(1,\), got shape \(2,\)"),
        (lambda: objectives.Rosenbrock(1), ValueError, "n: expected a whole number of at least 2, got 1"),
        (lambda: objectives.Rosenbrock(2)([1.0]), ValueError, r"x: expected 2 numbers of shape \(2,\), got shape \(1,\)"),
        (lambda: objectives.Rosenbrock(2).batch([0]), TypeError, "batch: expected an objective over rows of data, got rosenbrock"),
        (lambda: regression("Logistic").batch([]), TypeError, "whole numbers"),
        (lambda: regression("Logistic").batch([ROWS]), ValueError, f"0 to {ROWS - 1}"),
        (lambda: regression("Logistic").residuals(np.zeros(COLUMNS)), TypeError, "residuals: expected a sum of squares, got logistic"),
        (
            lambda: mflow.minimize(objectives.Rosenbrock(3), np.ones(2)),
            ValueError,
            "expected a function of 2 numbers, as the start has",
        ),
        (lambda: mflow.minimize(lambda x: 0.0, np.ones(2), jac=objectives.Rosenbrock(2)), TypeError, "pass it as fun"),
        (lambda: mflow.minimize(objectives.Rosenbrock(2), np.ones(2), jac=lambda x: x), TypeError, "omit jac"),
        (lambda: objectives.Objective()([1.0]), TypeError, "__init__ did not run"),
    ],
)
def test_bad_input(make, error, words):
    with pytest.raises(error, match=words):
        make()


@pytest.mark.parametrize("method", ["sgd", "adam", "rk4", "backward_euler"])
def test_minimize_has_the_bits_of_the_same_python_cost(method):
    f = regression("Logistic", l2=0.1)
    how = {"lr": 0.1} if mflow.get_method(method).kind == "update" else {"dt": 0.5}
    if method == "backward_euler":
        how |= {"dt": 5.0}
    ours = mflow.minimize(f, f.x0, method=method, maxiter=50, gtol=1e-9, **how)
    slow = mflow.minimize(f.value_and_grad, f.x0, jac=True, method=method, maxiter=50, gtol=1e-9,
                          **how, **({"hess": f.hess} if method == "backward_euler" else {}))  # fmt: skip
    np.testing.assert_array_equal(ours.x, slow.x)
    assert (ours.fun, ours.nit, ours.reason) == (slow.fun, slow.nit, slow.reason)


def test_drivers_take_objectives():
    f = objectives.Rosenbrock(4)
    flow = mflow.gradient_flow(f, f.x0, 0.01, method="rk4", dt=1e-4)
    same = mflow.gradient_flow(f.grad, f.x0, 0.01, method="rk4", dt=1e-4)
    np.testing.assert_array_equal(flow.y, same.y)
    ode = mflow.solve_ivp(f, (0, 0.01), f.x0, method="rk4", dt=1e-4)
    np.testing.assert_array_equal(ode.y, same.y)
    st = mflow.Stepper("rk4", f, f.x0, t0=0.0)
    st.step(1e-4)
    np.testing.assert_array_equal(st.y, same.y[:, 1])
    stiff = mflow.solve_ivp(f, (0, 1.0), np.full(4, 0.9), method="backward_euler", dt=0.01, jac=f)
    again = mflow.solve_ivp(
        lambda t, y: -f.grad(y), (0, 1.0), np.full(4, 0.9), method="backward_euler", dt=0.01, jac=lambda t, y: -f.hess(y)
    )
    np.testing.assert_array_equal(stiff.y, again.y)
    down = mflow.line_search(f, f.x0, -f.grad(f.x0))
    assert down.success
    result = mflow.minimize(f, f.x0, method="backward_euler", dt=np.inf, maxiter=100)
    assert result.reason == "converged"
    newmark = mflow.minimize(objectives.Quadratic([1.0, 2.0]), np.ones(2), method="newmark", dt=0.1)
    assert newmark.reason == "converged"


def every_objective():
    """One of each record but those that use the C library's sin, cos and atan."""
    yield from (regression(name, l2=0.1, weights=WEIGHTS, intercept=True) for name in LABELS)
    yield from (objectives.Rosenbrock(37), objectives.Quadratic(np.eye(37) + 1.0, np.ones(37)), objectives.Quadratic(np.arange(37.0)))
    curves = [objectives.curve(name, np.linspace(0.5, 4.0, 21), np.ones(21)) for name in curve_names()]
    for f in (*map(objectives.nist, mflow.data.nist_names()), *map(objectives.mgh, mgh_names()), *curves):
        if "libm" not in f.flags:
            yield f


@pytest.mark.parametrize("level", registry.available_levels())
def test_bits_do_not_depend_on_the_instruction_set(level):
    seen = 0
    for f in every_objective():
        x = f.x0.ravel() * 1.01 + 1e-3 * np.arange(f.n)
        other = f._at_level(level)
        assert other(x) == f(x) or np.isnan(f(x)), f
        np.testing.assert_array_equal(other.grad(x), f.grad(x), err_msg=f.name)
        np.testing.assert_array_equal(other.hessp(x, x[::-1]), f.hessp(x, x[::-1]), err_msg=f.name)
        seen += 1
    assert seen == len(objective.records()) - sum("libm" in record[-1] for record in objective.records())


def test_threads_share_an_objective():
    rng = np.random.default_rng(2)
    f = objectives.Softmax(rng.standard_normal((4000, 20)), rng.integers(0, 3, 4000))
    c = rng.standard_normal((6, *f.shape))
    expected, got = [f.grad(one) for one in c], [None] * 6

    def work(k):
        got[k] = f.grad(c[k])

    threads = [threading.Thread(target=work, args=(k,)) for k in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    np.testing.assert_array_equal(got, expected)


def test_data_are_not_copied():
    table = np.ones((10, 3))
    f = objectives.LeastSquares(table, np.ones(10))
    table[:] = 2.0
    assert f([0.5, 0.0, 0.0]) == 0.0


def change_of_gradient(f, x, p, h):
    """H p by central differences with Richardson's correction: an error of h^4."""
    one, two = ((f.grad(x + s * p) - f.grad(x - s * p)) / (2 * s) for s in (h, 2 * h))
    return (4 * one - two) / 3


@pytest.mark.parametrize("name", mflow.data.nist_names())
def test_nist(name):
    """Certified sums of squares; the Hessian by dual numbers against differences of gradients; rows alone (models: test_data.py)."""
    study = mflow.data.load_nist(name)
    f = objectives.nist(name)
    np.testing.assert_array_equal(f.x0, study.starts[1])
    assert 2 * f(study.certified_parameters) == pytest.approx(study.certified_residual_sum_of_squares, rel=2e-10, abs=1e-18)
    b = 0.5 * (f.x0 + study.certified_parameters)
    p = b * np.random.default_rng(4).uniform(-1, 1, f.n)
    change = change_of_gradient(f, b, p, 1e-5)
    scale = np.linalg.norm(f.jac(b), axis=0) * (np.linalg.norm(f.jac(b) @ p) + np.linalg.norm(f.residuals(b)))
    assert (np.abs(f.hessp(b, p) - change) <= 1e-7 * scale + 1e-7 * np.abs(change)).all()
    rows = np.array([1, 0, 1])
    np.testing.assert_array_equal(f.batch(rows).residuals(b), f.residuals(b)[rows])
    np.testing.assert_allclose(f.batch(rows).grad(b), f.jac(b)[rows].T @ f.residuals(b)[rows], rtol=1e-10, atol=1e-13 * scale.max())


def test_classes_that_count_from_one_are_said():
    X = np.arange(12.0).reshape(6, 2)
    with pytest.warns(UserWarning, match=r"no row is of class 0, .* there are 4, .* give y - 1, or n_classes=4 where that is meant"):
        assert mflow.objectives.Softmax(X, [1, 2, 3, 1, 2, 3]).shape == (2, 4)
    assert mflow.objectives.Softmax(X, [1, 2, 3, 1, 2, 3], n_classes=4).shape == (2, 4)
    words = mflow.objectives.Softmax(X, ["b", "a", "c"] * 2)
    assert (words.shape, list(words.classes)) == ((2, 3), ["a", "b", "c"])


def test_a_part_of_the_rows_is_told_how_many_classes_there_are():
    X, y = np.arange(12.0).reshape(6, 2), np.array([0, 1, 2, 0, 1, 2])
    whole, part = mflow.objectives.Softmax(X, y), y < 2
    with pytest.raises(ValueError, match=r"got arrays of \[6\]; give it n_classes=3, as not all classes are among its rows"):
        mflow.train(whole, np.zeros((2, 3)), None, "adam", epochs=1, validation=mflow.objectives.Softmax(X[part], y[part]))
    right = mflow.objectives.Softmax(X[part], y[part], n_classes=3)
    assert mflow.train(whole, np.zeros((2, 3)), None, "adam", epochs=1, validation=right).success
