"""Implicit SGD: sweeps against NumPy, the same bits everywhere, and what the driver promises."""

from __future__ import annotations

import math
import pickle
from typing import Any

import mpmath
import numpy as np
import pytest
import scipy.integrate
import scipy.optimize
import scipy.sparse
from mflow_core import registry
from mflow_core.optimize import sweep

import mflow
from mflow.implicit.linear import ImplicitSGD
from support.levels import LEVELS
from support.oracles.losses import KINKED, SMOOTH, curvature, slope, value
from support.small_cases import for_all

Array = np.ndarray
ROW = registry.find("implicit_sgd")


# ---- sweeps against NumPy -----------------------------------------------------------------------------------------------


def oracle_sweep(X: Array, y: Array, loss: str, order: Any, weight: Any = None, **how: Any) -> tuple[Array, float, Array, float]:
    """(w, b, mean of w, mean of b): the formulas, one sample at a time; roots by bisection."""
    lr, flow, l2 = how.get("lr", 1.0), how.get("flow", "backward"), how.get("l2", 0.0)
    icpt, start = float(how.get("intercept", True)), how.get("average", 0)
    shape = how.get("delta", how.get("tau", 0.0))
    w, b, n, kept = np.zeros(X.shape[1]), 0.0, 0, []
    with np.errstate(over="ignore"):
        for i in order:
            wt = 1.0 if weight is None else weight[i]
            if wt == 0.0:
                continue
            gamma = lr * (1.0 + how.get("lr_decay", 0.0) * lr * n) ** -how.get("lr_power", 1.0)
            k = 1.0 / (1.0 + gamma * l2) if flow == "backward" else 1.0 - gamma * l2
            s = (k if flow == "backward" else 1.0) * (X[i] @ w) + b
            q, h = X[i] @ X[i], gamma * wt
            at_s = float(slope(loss, s, y[i], shape, np.exp))
            if how.get("truncated") and at_s != 0.0:
                h = min(h, value(loss, s, y[i], shape) / ((q + icpt) * at_s**2))
            if flow == "forward":
                p = at_s
            else:
                g = h * ((k if flow == "backward" else 1.0) * q + icpt)
                p = step_of(loss, s, y[i], g, shape, flow)
            w = k * w - (k if flow == "backward" else 1.0) * h * p * X[i]
            b -= icpt * h * p
            n += 1
            if start and n >= start:
                kept.append(np.append(w, b))
    mean = np.mean(kept, axis=0) if kept else np.append(w, b)
    return w, b, mean[:-1], float(mean[-1])


def step_of(loss: str, s: float, y: float, g: float, shape: float, flow: str) -> float:
    """(s - t)/g."""
    if g == 0.0:
        return 0.0
    if flow == "exact":
        end = scipy.integrate.solve_ivp(
            lambda _, t: -np.array([float(slope(loss, t[0], y, shape, np.exp))]), (0, g), [s], rtol=1e-12, atol=1e-13
        )
        return (s - end.y[0, -1]) / g
    reach = g * (abs(float(slope(loss, s, y, shape, np.exp))) + 1.0)
    t = scipy.optimize.brentq(lambda t: t - s + g * float(slope(loss, t, y, shape, np.exp)), s - reach, s + reach, xtol=1e-15, rtol=9e-16)
    return (s - t) / g


def data_of(loss: str, rows: int = 60, columns: int = 5, seed: int = 0) -> tuple[Array, Array]:
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((rows, columns)) * (rng.random((rows, columns)) < 0.7)
    t = X @ rng.standard_normal(columns) + 0.3
    if loss in ("logistic", "hinge"):
        return X, np.where(t + rng.standard_normal(rows) > 0, 1.0, -1.0)
    if loss == "poisson":
        return X, rng.poisson(np.exp(np.minimum(0.5 * t, 3.0))).astype(float)
    return X, np.exp(0.3 * t) if loss == "gamma" else t + 0.1 * rng.standard_normal(rows)


VARIANTS: list[dict[str, Any]] = [
    {"lr": 0.7},
    {"lr": 0.3, "intercept": False, "l2": 0.05},
    {"lr": 2.0, "l2": 0.5, "average": 1},
    {"lr": 0.5, "average": 40, "lr_decay": 0.3, "lr_power": 0.6},
    {"lr": 0.5, "lr_decay": 0.2, "lr_power": 1.0},
    {"lr": 0.5, "lr_decay": 0.2, "lr_power": 0.5, "l2": 0.01, "average": 3},
    {"lr": 0.02, "flow": "forward", "l2": 0.1, "average": 1},
    {"lr": 1.0, "flow": "forward", "truncated": True},
    {"lr": 1.0, "truncated": True},
]


@pytest.mark.parametrize("form", ["dense", "sparse"])
@pytest.mark.parametrize("loss", [*SMOOTH, *KINKED])
@for_all("how", VARIANTS)
def test_sweeps_follow_the_formulas(loss: str, how: dict[str, Any], form: str) -> None:
    how = {**how, **({"delta": 0.4} if loss == "huber" else {"tau": 0.3} if loss == "quantile" else {})}
    X, y = data_of(loss)
    if loss in KINKED and how.get("flow", "backward") == "backward":
        y = y + (0.0 if loss == "hinge" else 1e-7 * np.arange(len(y)))
    weight = np.random.default_rng(1).choice([0.0, 0.5, 1.0, 2.0], len(y))
    model = ImplicitSGD(loss, **how)
    given = scipy.sparse.csr_array(X) if form == "sparse" else X
    for _ in range(3):
        model.partial_fit(given, y, weight)
    w, b, mean_w, mean_b = oracle_sweep(X, y, loss, [*range(len(y))] * 3, weight, **how)
    np.testing.assert_allclose(np.append(*model.last), np.append(w, b), rtol=1e-8, atol=1e-9)
    np.testing.assert_allclose(np.append(model.coef, model.intercept), np.append(mean_w, mean_b), rtol=1e-8, atol=1e-9)
    assert model.count == 3 * np.count_nonzero(weight)
    if how.get("flow", "backward") == "backward":
        assert model.worst_phi <= 1e-12
    else:
        assert math.isnan(model.worst_phi)


@pytest.mark.parametrize("loss", SMOOTH)
def test_exact_flow_of_a_sweep(loss: str) -> None:
    how: dict[str, Any] = {"lr": 0.4, "flow": "exact", **({"delta": 0.4} if loss == "huber" else {})}
    X, y = data_of(loss, rows=20)
    model = ImplicitSGD(loss, **how).partial_fit(X, y)
    w, b, _, _ = oracle_sweep(X, y, loss, range(len(y)), None, **how)
    np.testing.assert_allclose(np.append(*model.last), np.append(w, b), rtol=0, atol=1e-8)


@pytest.mark.parametrize("loss", ["squared", "logistic", "hinge"])
def test_exact_flow_twice_is_the_flow_of_twice_the_time(loss: str) -> None:
    X, y = data_of(loss, rows=1)
    once = ImplicitSGD(loss, lr=0.8, flow="exact").partial_fit(X, y)
    twice = ImplicitSGD(loss, lr=0.4, flow="exact").partial_fit(X, y).partial_fit(X, y)
    np.testing.assert_allclose(once.coef, twice.coef, rtol=1e-13)


@pytest.mark.parametrize("columns", [0, 1, 2, 3, 7, 15, 16, 17, 50, 1023, 1025, 3000])
def test_rows_of_every_length(columns: int) -> None:
    rng = np.random.default_rng(columns)
    X, y = rng.standard_normal((12, columns)), rng.standard_normal(12)
    model = ImplicitSGD("squared", lr=0.3, average=2).partial_fit(X, y)
    w, b, mean_w, mean_b = oracle_sweep(X, y, "squared", range(12), lr=0.3, average=2)
    np.testing.assert_allclose(np.append(*model.last), np.append(w, b), rtol=1e-11, atol=1e-12)
    np.testing.assert_allclose(np.append(model.coef, model.intercept), np.append(mean_w, mean_b), rtol=1e-11, atol=1e-12)


def test_sparse_rows_with_a_strong_penalty_scale_down_safely() -> None:
    """keep = 1/(1 + 100) a step: v and w are made one again many times."""
    X, y = data_of("squared", rows=400)
    how: dict[str, Any] = {"lr": 10.0, "l2": 10.0, "average": 7}
    model = ImplicitSGD("squared", **how).partial_fit(scipy.sparse.csr_array(X), y)
    w, b, mean_w, mean_b = oracle_sweep(X, y, "squared", range(400), **how)
    np.testing.assert_allclose(np.append(*model.last), np.append(w, b), rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(np.append(model.coef, model.intercept), np.append(mean_w, mean_b), rtol=1e-10, atol=1e-12)


def test_dense_after_sparse_goes_on() -> None:
    X, y = data_of("logistic")
    how: dict[str, Any] = {"lr": 1.0, "l2": 0.1, "average": 1}
    model = (
        ImplicitSGD("logistic", **how).partial_fit(scipy.sparse.csr_array(X), y).partial_fit(X, y).partial_fit(scipy.sparse.csr_array(X), y)
    )
    _, _, mean_w, mean_b = oracle_sweep(X, y, "logistic", [*range(len(y))] * 3, **how)
    np.testing.assert_allclose(np.append(model.coef, model.intercept), np.append(mean_w, mean_b), rtol=1e-9)


# ---- the same bits ------------------------------------------------------------------------------------------------------


def learned(loss: str, level: str = registry.LEVEL, pieces: tuple[int, ...] = (60,), sparse: bool = False, **values: float) -> bytes:
    row = next(row for row in registry.records_of(level) if row.name == "implicit_sgd")
    X, y = data_of(loss)
    A = scipy.sparse.csr_array(X)
    rows = (A.indptr.astype(np.int64), A.indices.astype(np.int32), A.data) if sparse else X
    learner = sweep.Learner(row, {"lr": 0.8, "average": 5.0, "l2": 0.01, **values}, loss, X.shape[1])
    samples, order, first = sweep.Samples(rows, y, None, X.shape[1]), np.random.default_rng(0).permutation(60), 0
    for piece in pieces:
        assert learner.sweep(samples, order, first, piece) == 0
        first += piece
    return bytes(learner.state().tobytes() + learner.mean[0].tobytes())


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("loss", [*SMOOTH, *KINKED])
def test_bits_do_not_depend_on_level_or_portions(loss: str, sparse: bool) -> None:
    values = {"delta": 0.4} if loss == "huber" else {"tau": 0.3} if loss == "quantile" else {}
    whole = learned(loss, sparse=sparse, **values)
    assert {learned(loss, level, sparse=sparse, **values) for level in LEVELS} == {whole}
    assert learned(loss, pieces=(1, 7, 0, 12, 40), sparse=sparse, **values) == whole


def test_state_goes_on_to_the_same_bits() -> None:
    X, y = data_of("poisson")
    one, two = (ImplicitSGD("poisson", lr=0.5, average=3, l2=0.01).partial_fit(X[:30], y[:30]) for _ in range(2))
    again = ImplicitSGD("poisson", lr=0.5, average=3, l2=0.01)
    again.load_state_dict(two.state_dict())
    copy = pickle.loads(pickle.dumps(two))
    for model in (one, again, copy):
        model.partial_fit(X[30:], y[30:])
    assert one.learner.state().tobytes() == again.learner.state().tobytes() == copy.learner.state().tobytes()
    with pytest.raises(ValueError, match="they belong to ImplicitSGD"):
        ImplicitSGD("poisson", lr=0.6).load_state_dict(two.state_dict())


def test_a_stream_is_the_same_as_rows() -> None:
    X, y = data_of("logistic")
    model, stream = ImplicitSGD("logistic", lr=0.5, average=1), ImplicitSGD("logistic", lr=0.5, average=1)
    model.partial_fit(X, y)
    before = [stream.learn(x, label) for x, label in zip(X, y, strict=True)]
    assert before[0] == 0.0
    assert stream.learner.state().tobytes() == model.learner.state().tobytes()


def test_memory_mapped_rows_are_used_where_they_are(tmp_path: Any) -> None:
    X, y = data_of("squared", rows=500)
    np.save(tmp_path / "X.npy", X)
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
    a, b = (ImplicitSGD("squared", lr=0.1).fit(A, y, epochs=3, seed=0) for A in (X, mapped))
    assert a.coef.tobytes() == b.coef.tobytes()


# ---- what fit promises --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", [np.asarray, scipy.sparse.csr_array])
def test_weights_are_repetitions_and_order_does_not_matter(form: Any) -> None:
    X, y = data_of("logistic")
    weight = np.random.default_rng(2).integers(0, 4, len(y))
    perm = np.random.default_rng(3).permutation(len(y))
    many, labels = np.repeat(X, weight, axis=0), np.repeat(y, weight)
    shuffled = np.random.default_rng(5).permutation(len(labels))
    first = ImplicitSGD("logistic", average=1).fit(form(X), y, weight, seed=7)
    for A, b, w in ((X[perm], y[perm], weight[perm]), (many, labels, None), (many[shuffled], labels[shuffled], None)):
        assert ImplicitSGD("logistic", average=1).fit(form(A), b, w, seed=7).coef.tobytes() == first.coef.tobytes()
    dense = ImplicitSGD("logistic", average=1).fit(X, y, weight, seed=7)
    np.testing.assert_allclose(first.coef, dense.coef, rtol=1e-10)


def test_without_shuffling_rows_come_in_order() -> None:
    X, y = data_of("squared")
    X, y = np.vstack([X, X[:5]]), np.append(y, y[:5])
    model = ImplicitSGD("squared", lr=0.4).fit(X, y, epochs=2, shuffle=False)
    w, b, _, _ = oracle_sweep(X, y, "squared", [*range(65)] * 2, lr=0.4)
    np.testing.assert_allclose(np.append(*model.last), np.append(w, b), rtol=1e-10)


@pytest.mark.parametrize("lr", [1e-3, 1.0, 1e3, 1e9, 1e15])
@pytest.mark.parametrize("loss", [*SMOOTH, *KINKED])
def test_no_rate_diverges(loss: str, lr: float) -> None:
    X, y = data_of(loss)
    model = ImplicitSGD(loss, lr=lr, average=1).fit(X, y, epochs=5, seed=0)
    assert np.all(np.isfinite(model.coef))
    assert model.reason == "max_iter"
    # The size of a step's root is that of its sample, never that of the rate.
    assert np.max(np.abs(model.predict_linear(X))) < 1e4
    assert model.worst_phi <= 1e-13 * max(1.0, lr) * 1e3


@pytest.fixture(scope="module")
def diabetes() -> tuple[Array, Array, float]:
    X, y = pytest.importorskip("sklearn.datasets").load_diabetes(return_X_y=True)
    X, y = (X - X.mean(0)) / X.std(0), (y - y.mean()) / y.std()
    w = np.linalg.lstsq(X, y, rcond=None)[0]
    return X, y, float(np.mean((X @ w - y) ** 2))


@pytest.mark.parametrize("seed", range(3))
def test_diabetes_at_any_rate(diabetes: tuple[Array, Array, float], seed: int) -> None:
    """Standardised, 20 epochs, averaged from step one: within 1.02 of least squares from 1e-3 to 1e3."""
    X, y, best = diabetes
    for lr in 10.0 ** np.arange(-3, 3.1, 0.5):
        model = ImplicitSGD("squared", lr=lr, average=1).fit(X, y, epochs=20, seed=seed)
        assert np.mean((model.predict_linear(X) - y) ** 2) <= 1.02 * best, lr


@pytest.mark.parametrize("lr", [0.21, 0.25, 0.5, 1.0, 1e3])
def test_diabetes_explicit_steps_diverge(diabetes: tuple[Array, Array, float], lr: float) -> None:
    X, y, _ = diabetes
    model = ImplicitSGD("squared", lr=lr, flow="forward", average=1)
    with pytest.warns(RuntimeWarning, match="the objective rose"):
        model.fit(X, y, epochs=20, seed=0)
    assert model.reason == "diverged"
    assert np.all(np.isfinite(model.coef))
    assert model.objective(X, y) <= 0.5 * np.mean(y**2) * (1 + 1e-12)  # no worse than where it began
    many, labels = np.tile(X, (500, 1)), np.tile(y, 500)
    with pytest.raises(FloatingPointError, match="lower lr"):
        model.partial_fit(many, labels)
    assert np.all(np.isfinite(model.last[0]))


@pytest.mark.parametrize(("loss", "y"), [("logistic", [1.0, -1.0]), ("poisson", [1.0, 2.0]), ("gamma", [1.0, 2.0])])
def test_rows_whose_squares_overflow_end_with_a_word(loss: str, y: list[float]) -> None:
    model = ImplicitSGD(loss).fit(np.eye(2), y, epochs=1, shuffle=False)
    coef = model.coef
    with pytest.warns(RuntimeWarning, match="Scale X"):
        model.fit([[1e200, 1.0], [1.0, 2.0]], y, epochs=3, shuffle=False, warm_start=True)
    assert model.reason == "non_finite"
    assert np.array_equal(model.coef, coef)


def test_a_damaged_state_is_refused() -> None:
    model = ImplicitSGD("squared").fit(np.eye(2), [1.0, 2.0], seed=0)
    state = model.state_dict()
    values = state["state"].copy()
    values[0] = math.nan
    for damaged, word in (({**state, "state": values}, "finite"), ({k: v for k, v in state.items() if k != "n"}, "without 'n'")):
        with pytest.raises(ValueError, match=word):
            ImplicitSGD("squared").load_state_dict(damaged)


def test_weights_to_start_from_are_finite() -> None:
    with pytest.raises(ValueError, match="coef: expected finite numbers, got nan in entry 1"):
        ImplicitSGD("squared").set_weights([0.0, math.nan])


def test_tol_ends_when_nothing_moves() -> None:
    X, _ = data_of("squared")
    model = ImplicitSGD("squared", lr=5.0).fit(X, X @ np.arange(5.0), epochs=5000, tol=1e-9, seed=0)
    assert model.reason == "converged"
    assert model.n_epochs < 5000
    np.testing.assert_allclose(model.coef, np.arange(5.0), atol=1e-6)


def test_warm_start_and_set_weights() -> None:
    X, y = data_of("squared")
    model = ImplicitSGD("squared", lr=0.5)
    model.set_weights(np.arange(5.0), 2.0)
    assert (model.coef.tolist(), model.intercept, model.count) == ([0, 1, 2, 3, 4], 2.0, 0)
    model.fit(X, y, epochs=1, shuffle=False).fit(X, y, epochs=1, shuffle=False, warm_start=True)
    w, _, _, _ = oracle_sweep(X, y, "squared", [*range(60)] * 2, lr=0.5)
    np.testing.assert_allclose(model.coef, w, rtol=1e-10)


def test_objective_counts_weights_and_penalty() -> None:
    X, y = data_of("quantile")
    model = ImplicitSGD("quantile", tau=0.3, l2=0.2).partial_fit(X, y)
    weight = np.arange(1.0, 61.0)
    t = X @ model.coef + model.intercept
    want = np.average([value("quantile", a, b, 0.3) for a, b in zip(t, y, strict=True)], weights=weight) + 0.1 * model.coef @ model.coef
    assert model.objective(X, y, weight) == pytest.approx(want, rel=1e-13)


# ---- far outside the range of the losses --------------------------------------------------------------------------------


def failure(model: ImplicitSGD, y: float) -> FloatingPointError | None:
    """What one sample x = 1 raises."""
    try:
        model.partial_fit([[1.0]], [y])
    except FloatingPointError as error:
        return error
    return None


@pytest.mark.parametrize("loss", [*SMOOTH, *KINKED])
def test_no_step_is_wrong_silently(loss: str) -> None:
    """One sample x = 1 with w = s and lr = g up to the ends of the doubles: the root, to 8 digits, or an error that says what to do."""
    labels = {"logistic": [1.0, -1.0], "hinge": [1.0, -1.0], "poisson": [0.0, 1.0, 1e150, 1e300], "gamma": [1.0, 1e150, 1e-300, 1e300]}
    right = wrong = 0
    for y in labels.get(loss, [0.0, 1.0, 1e150, -1e300]):
        for s in (0.0, 1e4, -1e4, 1e15, -1e100, 1e154, 1e300, -1.7e308):
            for g in (1e-300, 1e-12, 1.0, 1e12, 1e160, 1e300):
                model = ImplicitSGD(loss, lr=g, intercept=False)
                model.set_weights([s])
                if failure(model, y) is not None:
                    assert "scale the columns of X, or lower lr" in str(failure(model, y))
                    assert model.coef[0] == s
                    wrong += 1
                    continue
                right += 1
                with mpmath.workdps(700):
                    t, a, b = mpmath.mpf(model.coef[0]), mpmath.mpf(s), mpmath.mpf(y)
                    shape = {"huber": 1.0, "quantile": 0.5}.get(loss, 0.0)
                    near = 1e-8 * max(abs(t), abs(a) / (1 + g * curvature(loss, t, b, shape)), mpmath.mpf("1e-290"))
                    near = max(near, 2.0**-50 * abs(a))  # w moves by a difference: its own last digits are all it can lose
                    phi = [c - a + mpmath.mpf(g) * slope(loss, c, b, shape) for c in (t - near, t + near)]
                    assert phi[0] <= 0 <= phi[1], (s, y, g, model.coef[0])
    assert right > 2 * wrong


@pytest.mark.parametrize("loss", ["gamma", "poisson"])
def test_large_labels_with_large_rates(loss: str) -> None:
    """For a step g that is all but infinite the root is log y."""
    for y in (1e3, 1e6, 1e12, 1e18):
        for g in (1e12, 1e20, 1e30, 1e60):
            model = ImplicitSGD(loss, lr=g, intercept=False)
            model.learn([1.0], y)
            assert abs(model.coef[0] - np.log(y)) <= 1e-9 + 50 / g, (y, g)


def test_rows_beyond_the_doubles_end_with_a_word() -> None:
    X = np.array([[1.0, 2.0], [1e200, 1e200]])
    for loss in ("squared", "logistic", "poisson"):
        model = ImplicitSGD(loss, lr=1.0)
        with pytest.warns(RuntimeWarning, match="Scale X"):
            model.fit(X, [1.0, 1.0], epochs=3, shuffle=False)
        with pytest.raises(FloatingPointError, match=r"scale the columns of X|left the finite numbers"):
            ImplicitSGD(loss, lr=1.0).partial_fit(X, [1.0, 1.0])
        assert np.all(np.isfinite(model.coef))
        assert model.reason == "non_finite"


# ---- bad input ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("loss", "label", "words"),
    [
        ("poisson", -1.0, "numbers from 0 on"), ("gamma", 0.0, "numbers above 0"),
        ("logistic", 0.0, "-1 and \\+1, got 0 in entry 1; 2 \\* y - 1"),
        ("hinge", 2.0, "-1 and \\+1"), ("squared", math.nan, "finite numbers"), ("absolute", math.inf, "finite numbers"),
    ],
)  # fmt: skip
def test_labels_outside_the_domain(loss: str, label: float, words: str) -> None:
    with pytest.raises(ValueError, match=rf"y: {loss} loss takes {words}"):
        ImplicitSGD(loss).fit(np.ones((2, 2)), [1.0, label])


def test_what_does_not_fit_is_named() -> None:
    X, y = np.ones((3, 2)), np.ones(3)
    model = ImplicitSGD("squared")
    for bad, words in (
        (np.array([[1.0, math.nan]] * 3), r"X: expected finite numbers, got NaN or infinity \(row 0\)"),
        (np.zeros((0, 2)), "X: expected at least one row"),
        (np.ones(3), r"X: expected an array of shape \(rows, columns\), got shape"),
        (scipy.sparse.csr_array(np.array([[math.inf, 0.0]] * 3)), "X: expected finite numbers"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=words):
            model.fit(bad, y)
    for weight, words in (
        ([1, -1, 1], "sample_weight: .* got -1.0 in entry 1"),
        ([0, 0, 0], "got only 0"),
        ([1, 1], "shape"),
        ([1, 1, math.nan], "got nan in entry 2"),
    ):
        with pytest.raises(ValueError, match=words):
            model.fit(X, y, np.array(weight, float))
    with pytest.raises(TypeError, match="X: expected real numbers"):
        model.fit(X.astype(complex), y)
    with pytest.raises(TypeError, match="y: expected real numbers"):
        model.fit(X, np.array(["a", "b", "c"]))
    with pytest.raises(ValueError, match=r"y: .* got shape \(2,\)"):
        model.fit(X, y[:2])
    with pytest.raises(ValueError, match=r"epochs: expected .* got 0"):
        model.fit(X, y, epochs=0)
    with pytest.raises(ValueError, match="nothing has been learned"):
        _ = model.coef
    model.partial_fit(X, y)
    with pytest.raises(ValueError, match="X: expected 2 columns, as have been learned, got 3"):
        model.partial_fit(np.ones((1, 3)), [1.0])
    with pytest.raises(ValueError, match="x: expected finite numbers"):
        model.learn([math.nan, 1.0], 1.0)


def test_parameters_that_do_not_fit_are_named() -> None:
    with pytest.raises(ValueError, match="did you mean 'squared'"):
        ImplicitSGD("square")
    with pytest.raises(TypeError, match="delta: it belongs to the huber loss"):
        ImplicitSGD("squared", delta=2.0)
    with pytest.raises(ValueError, match="no closed form together"):
        ImplicitSGD("squared", flow="exact", l2=0.1)
    with pytest.raises(ValueError, match=r"lr: expected a number in .*, got -1\.0"):
        ImplicitSGD("squared", lr=-1.0)
    with pytest.raises(ValueError, match="flow: expected a choice of implicit_sgd, got 'backwards'; did you mean"):
        ImplicitSGD("squared", flow="backwards")
    with pytest.raises(TypeError, match="did you mean 'average'"):
        ImplicitSGD("squared", averag=1)


def test_the_core_keeps_memory_safe() -> None:
    y = np.ones(2)
    parts = (np.array([0, 1, 2], np.int64), np.array([0, 5], np.int32), np.ones(2))
    with pytest.raises(ValueError, match=r"indices: expected columns from 0 to \d+, got one outside"):
        sweep.Samples(parts, y, None, 3)
    with pytest.raises(ValueError, match="indptr: expected numbers that rise"):
        sweep.Samples((np.array([0, 3, 2], np.int64), *parts[1:]), y, None, 6)
    with pytest.raises(TypeError, match="indices: expected a contiguous array of int32"):
        sweep.Samples((parts[0], parts[1].astype(np.int64), parts[2]), y, None, 6)
    samples = sweep.Samples(np.ones((2, 3)), y)
    learner = sweep.Learner(ROW, {}, "squared", 3)
    with pytest.raises(ValueError, match=r"order: expected indices from 0 to \d+, got one outside"):
        learner.sweep(samples, np.array([0, 2]))
    with pytest.raises(ValueError, match="first, count: expected a range inside the samples"):
        learner.sweep(samples, None, 1, 2)
    with pytest.raises(ValueError, match="X: expected 2 columns, one for each weight, got 3"):
        sweep.Learner(ROW, {}, "squared", 2).sweep(samples)
    with pytest.raises(TypeError, match="method: expected one that sweeps over samples, got adam"):
        sweep.Learner(registry.find("adam"), {}, "squared", 2)


def test_other_drivers_send_sweep_rows_away() -> None:
    with pytest.raises((TypeError, ValueError), match="implicit_sgd"):
        mflow.minimize(lambda x: x @ x, np.ones(2), jac=lambda x: 2 * x, method="implicit_sgd")
    with pytest.raises((TypeError, ValueError), match="implicit_sgd"):
        mflow.solve_ivp(lambda t, y: -y, (0, 1), [1.0], method="implicit_sgd", dt=0.1)
    assert mflow.get_method("isgd").kind == "sweep"
