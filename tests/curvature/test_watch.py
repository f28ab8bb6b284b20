"""Curvature watched along a run: it changes no bit of it, and settles where the method's limit is."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import mflow

X = np.linspace(-1.0, 1.0, 20)[:, None]
Y = np.cos(4 * np.arccos(X))  # a Chebyshev polynomial


def network(p, X, Y):
    """Two hidden layers of tanh, half the mean of squares."""
    A, a, B, b, C, c = p
    g = np.tanh(X @ A + a)
    h = np.tanh(g @ B + b)
    r = h @ C + c - Y
    d = r / len(X)
    dh = (d @ C.T) * (1 - h * h)
    dg = (dh @ B.T) * (1 - g * g)
    return 0.5 * float(np.sum(r * r)) / len(X), [X.T @ dg, dg.sum(0), g.T @ dh, dh.sum(0), h.T @ d, d.sum(0)]


def weights(W=30):
    rng = np.random.default_rng(0)
    return [
        rng.normal(size=(1, W)), np.zeros(W), rng.normal(size=(W, W)) / np.sqrt(W), np.zeros(W),
        rng.normal(size=(W, 1)) / np.sqrt(W), np.zeros(1),
    ]  # fmt: skip


def trained(optimizer, steps, monitor="curvature", every=50, width=30, **settings):
    return mflow.train(
        network,
        weights(width),
        (X, Y),
        optimizer,
        epochs=steps,
        batch_size=20,
        seed=0,
        jac=True,
        monitor=monitor,
        monitor_every=every,
        **settings,
    )


@pytest.mark.parametrize(
    ("optimizer", "settings", "steps", "limit"),
    [
        ("sgd", {"lr": 0.15}, 1500, 2.0),
        ("momentum", {"lr": 0.2, "momentum": 0.5}, 1500, 3.0),
        ("adam", {"lr": 3e-3}, 1200, 38.0),
    ],
)
def test_the_edge_of_stability(optimizer, settings, steps, limit):
    """Sharpness rises until lr times it is at the limit, and stays there (Cohen et al. 2021, 2022)."""
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        run = trained(optimizer, steps, **settings)
    seen = run.curvature
    sizes = seen.lr * seen.largest
    np.testing.assert_allclose(seen.lr * seen.limit, limit, rtol=1e-9)
    assert sizes[0] < 0.6 * limit
    late = sizes[2 * len(sizes) // 3 :]
    assert 0.85 * limit < np.mean(late) < 1.15 * limit
    assert np.max(late) > 0.97 * limit
    words = [str(w.message) for w in told if "largest curvature" in str(w.message)]
    assert len(words) == int(np.any(seen.largest > seen.limit))
    assert all(w.filename == __file__ for w in told)


@pytest.mark.filterwarnings("ignore:train")
def test_what_is_watched_is_the_hessian_of_the_loss():
    run, point = trained("sgd", 400, lr=0.15, width=8), []
    mflow.train(
        network, weights(8), (X, Y), "sgd", epochs=400, batch_size=20, seed=0, jac=True, lr=0.15,
        step_callback=lambda state: point.append([a.copy() for a in state.params]) if state.nit == 400 else None,
    )  # fmt: skip
    flat = np.concatenate([a.ravel() for a in point[0]])

    def gradient(x):
        ends = np.cumsum([a.size for a in point[0]])[:-1]
        parts = [part.reshape(a.shape) for part, a in zip(np.split(x, ends), point[0], strict=True)]
        return np.concatenate([g.ravel() for g in network(parts, X, Y)[1]])

    H = np.stack([(gradient(flat + 1e-5 * e) - gradient(flat - 1e-5 * e)) / 2e-5 for e in np.eye(flat.size)])
    assert run.curvature.step[-1] == 400
    assert run.curvature.largest[-1] == pytest.approx(np.linalg.eigvalsh(0.5 * (H + H.T))[-1], rel=0.01)


@pytest.mark.filterwarnings("ignore:train")
@pytest.mark.parametrize("optimizer", ["sgd", "adam", "nesterov"])
def test_nothing_of_the_run_depends_on_the_watch(optimizer):
    """Minibatches in random order, a schedule, a checkpoint between: bit for bit."""
    rng = np.random.default_rng(3)
    A, y = rng.normal(size=(60, 4)), rng.normal(size=60)

    def cost(w, A, y):
        r = A @ w - y
        return 0.5 * float(r @ r) / len(y), A.T @ r / len(y)

    settings = {"epochs": 6, "batch_size": 7, "seed": 5, "jac": True, "lr": mflow.schedules.ExponentialLR(0.05, gamma=0.99)}
    a = mflow.train(cost, np.zeros(4), (A, y), optimizer, **settings)
    b = mflow.train(cost, np.zeros(4), (A, y), optimizer, monitor="curvature", monitor_every=3, **settings)
    assert np.array_equal(a.last_params, b.last_params)
    assert np.array_equal(a.history.step_loss, b.history.step_loss)
    assert a.nfev == b.nfev
    assert b.curvature.nfev > 0
    rows = np.unique(np.linspace(0, 59, 7).astype(int))  # the fixed batch
    if optimizer == "sgd":
        expected = np.linalg.eigvalsh(A[rows].T @ A[rows] / 7)[-1]
        np.testing.assert_allclose(b.curvature.largest, expected, rtol=1e-6)
    whole = mflow.train(cost, np.zeros(4), (A, y), optimizer, monitor="curvature", monitor_every=3, monitor_data=(A, y), **settings)
    if optimizer == "sgd":
        np.testing.assert_allclose(whole.curvature.largest, np.linalg.eigvalsh(A.T @ A / 60)[-1], rtol=1e-6)


@pytest.mark.parametrize("method", ["adam", "adamw", "rmsprop"])
@pytest.mark.parametrize("form", ["flat", "dict", "list", "one"])
def test_single_numbers_are_watched_in_the_metric_of_the_method(method, form):
    """A network's last bias is an array of one number: its second moment counts as that of the others. The moments are those of NumPy."""
    A = np.array([[2.0, 1.5], [1.5, 3.0]])[: 1 if form == "one" else 2, : 1 if form == "one" else 2]
    start, steps, gradients = np.array([1.0, 2.0])[: len(A)], 60, []

    def flat(x, X):
        gradients.append(A @ x)
        return 0.5 * float(x @ A @ x), A @ x

    def of_dict(p, X):
        value, g = flat(np.concatenate([p["a"], p["b"]]), X)
        return value, {"a": g[:1], "b": g[1:]}

    def of_list(p, X):
        value, g = flat(np.concatenate(p), X)
        return value, [g[:1], g[1:]]

    cost = {"dict": of_dict, "list": of_list}.get(form, flat)
    params = {"dict": {"a": start[:1].copy(), "b": start[1:].copy()}, "list": [start[:1].copy(), start[1:].copy()]}.get(form, start.copy())
    settings = {"epochs": steps, "batch_size": 4, "jac": True, "lr": 0.01, "check_gradient": False}
    mflow.train(cost, params, (np.ones((4, 1)),), method, **settings)
    assert len(gradients) == steps + 1  # and once more for the loss of the last parameters
    path = gradients[:steps]
    run = mflow.train(cost, params, (np.ones((4, 1)),), method, monitor="curvature", **settings)
    assert run.curvature.step.tolist() == [steps]  # of sizes of gradients nothing is stored at the start
    beta = 0.99 if method == "rmsprop" else 0.999
    last = A @ (np.concatenate([np.ravel(v) for v in run.last_params.values()]) if form == "dict" else np.ravel(run.last_params))
    v = np.zeros(len(A))
    for g in [*path, last]:  # the look is at the step to come
        v = beta * v + (1.0 - beta) * g * g
    P = np.sqrt(v) + 1e-8
    if method != "rmsprop":
        count = steps + 1
        P = (1.0 - 0.9**count) * (np.sqrt(v / (1.0 - beta**count)) + 1e-8)
    root = P**-0.5
    expected = np.linalg.eigvalsh(root[:, None] * A * root)[-1]
    np.testing.assert_allclose(run.curvature.largest, expected, rtol=1e-6)


@pytest.mark.filterwarnings("ignore:train")
def test_compiled_objectives_are_watched_by_exact_products():
    rng = np.random.default_rng(3)
    A, y = rng.normal(size=(200, 5)), rng.normal(size=200)
    cost = mflow.objectives.LeastSquares(A, y)
    settings = {"epochs": 5, "batch_size": 16, "seed": 1, "lr": 0.01}
    plain = mflow.train(cost, np.zeros(5), None, "momentum", **settings)
    run = mflow.train(cost, np.zeros(5), None, "momentum", monitor="curvature", monitor_every=10, **settings)
    assert np.array_equal(plain.last_params, run.last_params)
    assert run.curvature.step.tolist() == [0, 10, 20, 30, 40, 50, 60, 65]  # the last step too
    rows = np.unique(np.linspace(0, 199, 16).astype(int))
    np.testing.assert_allclose(run.curvature.largest, np.linalg.eigvalsh(cost.batch(rows).hess(np.zeros(5)))[-1], rtol=1e-10)


def test_batches_of_an_iterable_are_not_made_for_it():
    made = [0]

    def batches(epoch):
        for k in range(4):
            made[0] += 1
            yield np.full(3, 1.0 + k)

    def cost(w, b):
        return 0.5 * float(b @ (w * w)), b * w

    run = mflow.train(cost, np.ones(3), batches, "sgd", epochs=5, jac=True, lr=0.01, monitor="curvature", monitor_every=5)
    assert made[0] == 20
    np.testing.assert_allclose(run.curvature.largest, 1.0, rtol=1e-6)  # that of the first


@pytest.mark.filterwarnings("ignore:minimize")
@pytest.mark.parametrize(
    "settings", [{"method": "adam", "lr": 0.02}, {"method": "rk4", "dt": 1e-3}, {"method": "sgd", "lr": "auto"}], ids=str
)
def test_minimize_is_watched(settings):
    cost, start = mflow.objectives.Rosenbrock(30), np.linspace(-1.0, 1.0, 30)
    plain = mflow.minimize(cost, start, maxiter=500, **settings)
    watched = mflow.minimize(cost, start, maxiter=500, monitor="curvature", monitor_every=50, **settings)
    slow = mflow.minimize(cost, start, maxiter=500, monitor="curvature", monitor_every=50, callback=lambda x: None, **settings)
    for run in (watched, slow):
        assert np.array_equal(plain.x, run.x)
        assert plain.nfev == run.nfev
        first = 0 if settings.get("lr") is None else 50  # where the step, or the metric, is known at the start
        assert run.curvature.step.tolist() == list(range(first, 501, 50))
    assert np.array_equal(watched.curvature.largest, slow.curvature.largest)
    if settings["method"] != "adam":
        assert watched.curvature.largest[-1] == pytest.approx(np.linalg.eigvalsh(cost.hess(plain.x))[-1], rel=1e-3)


@pytest.mark.parametrize(("method", "first"), [("sgd", [0.0]), ("adam", [])])
def test_a_run_that_is_shorter_than_the_looks_has_its_start_and_its_end(method, first):
    """There was nothing, and no word of it."""
    cost, start = mflow.objectives.Rosenbrock(5), np.linspace(-1.0, 1.0, 5)
    settings = {"method": method, "lr": 1e-4, "maxiter": 7}
    run = mflow.minimize(cost, start, monitor="curvature", **settings)
    assert run.curvature.step.tolist() == [*first, 7.0]
    assert np.array_equal(run.x, mflow.minimize(cost, start, **settings).x)
    trained = mflow.train(cost, start, None, method, epochs=7, lr=1e-4, monitor="curvature")
    assert trained.curvature.step.tolist() == [*first, 7.0]
    np.testing.assert_allclose(trained.curvature.largest, run.curvature.largest, rtol=1e-6)
    assert np.array_equal(trained.last_params, mflow.train(cost, start, None, method, epochs=7, lr=1e-4).last_params)


def test_one_warning_where_the_limit_is_crossed():
    with pytest.warns(RuntimeWarning, match=r"lr times the largest curvature is 3, above the limit 2 of sgd.*up to lr = 0.6667") as told:
        mflow.minimize(
            lambda x: (1.5 * float(x @ x), 3.0 * x),
            [1e-3],
            method="sgd",
            jac=True,
            lr=1.0,
            maxiter=40,
            monitor="curvature",
            monitor_every=10,
        )
    assert len(told) == 1


def test_what_cannot_be_watched_is_said():
    def cost(x):
        return float(x @ x), 2 * x

    with pytest.raises(ValueError, match="monitor"):
        mflow.minimize(cost, [1.0], method="backward_euler", dt=0.1, jac=True, monitor="curvature")
    with pytest.raises(ValueError, match="monitor"):
        mflow.minimize(cost, [1.0], method="sgd", line_search="armijo", jac=True, monitor="curvature")
    with pytest.raises(ValueError, match="monitor: expected"):
        mflow.train(cost, np.ones(1), jac=True, monitor="sharpness")
    with pytest.raises(ValueError, match="monitor_data"):
        mflow.train(cost, np.ones(1), jac=True, monitor_data=(np.ones(3),))
