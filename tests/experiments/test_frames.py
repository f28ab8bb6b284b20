"""Histories, sweeps and comparisons as pandas' frames; frames of nullable numbers and labels that are words as data."""

from typing import Any

import numpy as np
import pytest
from scipy import stats

import mflow
from mflow.experiments.compare import History, Run

pd = pytest.importorskip("pandas")
X = np.random.default_rng(0).normal(size=(40, 2))
Y = X @ [1.0, -2.0] + 0.5


def cost(w: Any, X: Any, y: Any) -> tuple[float, Any]:
    r = X @ w - y
    return 0.5 * float(np.mean(r**2)), X.T @ r / len(y)


def test_a_history_as_a_frame() -> None:
    out = mflow.train(cost, np.zeros(2), (X, Y), "adam", epochs=3, batch_size=10, jac=True, lr=0.1, seed=0, track_lr=True)
    epochs, steps = out.history.to_frame(), out.history.to_frame("step")
    assert (len(epochs), len(steps)) == (3, 12)
    assert epochs["loss"].tolist() == out.history.loss.tolist()
    assert epochs["effective_lr_median"].tolist() == out.history.effective_lr[:, 1].tolist()
    assert steps["step_grad_norm"].tolist() == out.history.step_grad_norm.tolist()
    with pytest.raises(ValueError, match=r"^per: "):
        out.history.to_frame("batch")


def test_sweeps_and_comparisons_as_frames() -> None:
    swept = mflow.sweep("penguins", ["sgd", "adam"], [1e-3, 1e-1], seeds=(0, 1), epochs=1)
    table = swept.to_frame()
    assert len(table) == 8
    assert table["loss"].tolist() == [cell.loss for cell in swept.cells]
    assert table.groupby("method")["lr"].nunique().tolist() == [2, 2]
    history = History([1, 2], [0.5, 1.0], [0.1, 0.2], [3.0, 2.0])
    run = Run("sgd", "optimizers", "full", {}, 0.1, "given", None, history=history)
    assert run.to_frame().to_dict("list") == {
        "method": ["sgd", "sgd"], "batch": ["full", "full"], "calls": [1, 2], "passes": [0.5, 1.0], "seconds": [0.1, 0.2],
        "loss": [3.0, 2.0],
    }  # fmt: skip
    history.x = [np.array([1.0, 2.0]), np.array([3.0, 4.0])]
    assert history.to_frame()[["x[0]", "x[1]"]].to_numpy().tolist() == [[1.0, 2.0], [3.0, 4.0]]


def test_frames_of_results_with_rows() -> None:
    """A rate, an epoch, a member, a point each."""
    found = mflow.lr_find(cost, np.zeros(2), (X, Y), steps=9)
    assert found.to_frame().to_dict("list") == {name: found[name].tolist() for name in ("lr", "loss", "smooth", "sample_loss")}
    run = mflow.train(cost, np.zeros(2), (X, Y), "adam", epochs=2, jac=True, seed=0)
    pd.testing.assert_frame_equal(run.to_frame("step"), run.history.to_frame("step"))
    batch = mflow.minimize_batch(mflow.objectives.Rosenbrock(2), [[-1.2, 1.0], [0.0, 0.0]], "lbfgs")
    assert batch.to_frame()[["x[0]", "x[1]"]].to_numpy().tolist() == batch.x.tolist()
    assert batch.to_frame()["reason"].tolist() == batch.reason
    books = mflow.energy_ledger(lambda c: (0.5 * c @ c, c), [1.0], "momentum", jac=True, lr=0.01, momentum=0.9, steps=5)
    assert books.to_frame().iloc[-1].tolist() == [books[name][-1] for name in ("t", *books.to_frame().columns[1:])]
    assert len(books.to_frame()) == 6


@pytest.mark.parametrize("options", [{}, {"method": "sgd", "lr": 0.1, "maxiter": 5}], ids=["search", "rate"])
def test_paths_of_a_descent_as_frames(options: dict[str, Any]) -> None:
    def squares(x: Any) -> tuple[float, Any]:
        return float(np.sum(x * x)), 2 * x

    table = mflow.minimize(squares, [[1.0, -2.0]], jac=True, path=True, **options).to_frame()
    assert table.columns.tolist() == ["k", "x[0, 0]", "x[0, 1]", "fun"]
    assert table["k"].tolist() == list(range(len(table)))
    assert table.iloc[0].tolist() == [0.0, 1.0, -2.0, 5.0]
    assert table["fun"].tolist() == pytest.approx((table["x[0, 0]"] ** 2 + table["x[0, 1]"] ** 2).tolist(), abs=1e-300)
    with pytest.raises(ValueError, match=r"^to_frame: expected a run that kept its path, .*; give it path=True"):
        mflow.minimize(squares, [[1.0, -2.0]], jac=True, **options).to_frame()


def test_a_fit_and_a_report_as_frames() -> None:
    t = np.arange(5.0)
    line = stats.linregress(t, [1.0, 3.1, 4.9, 7.0, 9.2])
    table = mflow.least_squares(lambda b: b[0] + b[1] * t - [1.0, 3.1, 4.9, 7.0, 9.2], [0.0, 0.0]).to_frame()
    assert table["value"].tolist() == pytest.approx([line.intercept, line.slope], rel=1e-6)
    assert table["stderr"].tolist() == pytest.approx([line.intercept_stderr, line.stderr], rel=1e-6)
    assert table["active_mask"].tolist() == [0, 0]
    steps = mflow.explain(lambda t, y: -4.0 * y, [1.0], t_span=(0.0, 1.0), names=["euler", "backward_euler"]).to_frame()
    assert steps["method"].tolist() == ["euler", "backward_euler"]
    assert steps["largest_stable"].tolist() == pytest.approx([0.5, np.inf], rel=1e-4)
    assert steps["safe"].tolist() == steps["largest_stable"].tolist()


def test_frames_of_paths() -> None:
    r = mflow.solve_ivp(lambda t, y: -y, (0, 1), np.eye(2), dt=0.25, method="euler")
    table = r.to_frame()
    assert list(table) == ["t", "y[0, 0]", "y[0, 1]", "y[1, 0]", "y[1, 1]"]
    assert table["y[1, 1]"].tolist() == [0.75**k for k in range(5)]
    s = mflow.solve_dynamics(stiffness=[1.0, 4.0], x0=[1.0, 0.0], t_span=(0, 1), dt=0.5, method="newmark")
    table = s.to_frame()
    assert list(table) == ["t", "x[0]", "x[1]", "v[0]", "v[1]", "a[0]", "a[1]"]
    assert table[["t", "v[0]"]].to_numpy().tolist() == np.stack([s.t, s.v[0]], axis=1).tolist()


def nullable() -> Any:
    return pd.DataFrame({"a": pd.array([1, 2, 3, 4], dtype="Int64"), "b": pd.array([0.5, -1.0, 2.0, 0.25], dtype="Float64")})


def test_frames_of_nullable_numbers() -> None:
    table, y = nullable(), pd.Series([1, 0, 1, 0], dtype="Int64")
    plain = mflow.objectives.Logistic(table.to_numpy(dtype=float), [1, 0, 1, 0])
    for f in (mflow.objectives.Logistic(table, y), mflow.objectives.LeastSquares(table, y)):
        assert f.m == 4
    assert mflow.objectives.Logistic(table, y).grad([0.1, 0.2]).tobytes() == plain.grad([0.1, 0.2]).tobytes()
    one, two = (
        mflow.ImplicitSGD("squared").fit(a, b, seed=0) for a, b in ((table, y), (table.to_numpy(dtype=float), [1.0, 0.0, 1.0, 0.0]))
    )
    assert np.array_equal(one.coef, two.coef) if hasattr(one, "coef") else np.array_equal(one.weights, two.weights)
    table.loc[1, "a"] = pd.NA
    with pytest.raises(ValueError, match="X: expected finite numbers"):
        mflow.objectives.LeastSquares(table, y)
    with pytest.raises(ValueError, match="X: expected finite numbers"):
        mflow.ImplicitSGD("squared").fit(table, y)


@pytest.mark.parametrize("kind", [list, np.array, pd.Series, pd.Categorical], ids=["list", "array", "series", "categorical"])
def test_labels_that_are_words(kind: Any) -> None:
    words = ["no", "yes", "no", "yes"]
    f, numbers = mflow.objectives.Logistic(X[:4], kind(words)), mflow.objectives.Logistic(X[:4], [0, 1, 0, 1])
    assert f.classes.tolist() == ["no", "yes"]
    assert numbers.classes is None
    assert f.grad([0.1, 0.2]).tobytes() == numbers.grad([0.1, 0.2]).tobytes()
    three = mflow.objectives.Softmax(X[:4], kind(["b", "c", "a", "b"]))
    assert three.classes.tolist() == ["a", "b", "c"]
    assert three.grad(np.ones((2, 3))).tobytes() == mflow.objectives.Softmax(X[:4], [1, 2, 0, 1]).grad(np.ones((2, 3))).tobytes()


def test_labels_that_do_not_fit() -> None:
    with pytest.raises(ValueError, match=r"^y: expected two classes, got 3: 'a', 'b', 'c'; use Softmax"):
        mflow.objectives.Logistic(X[:3], ["a", "b", "c"])
    with pytest.raises(ValueError, match=r"^y: expected a label for each row, got (None|nan) in entry 1"):
        mflow.objectives.Logistic(X[:3], ["a", None, "b"])
    with pytest.raises(TypeError, match=r"^y: expected numbers, got dtype object"):
        mflow.objectives.Softmax(X[:2], np.array(["a", 3], dtype=object))


def test_a_fit_as_a_frame() -> None:
    x = np.linspace(0.0, 3.0, 20)
    y = 1.0 + 2.0 * x + 0.1 * np.cos(9.0 * x)
    fit = mflow.curve_fit(lambda x, a, b, c: a + b * x + c * x**2, x, y, [0.0, 1.0, 0.0], fixed="c")
    table = fit.to_frame(level=0.9)
    low = stats.t.ppf(0.05, 18)
    slope = stats.linregress(x, y)
    assert table["name"].tolist() == ["a", "b", "c"]
    assert table["held"].tolist() == [False, False, True]
    want = {
        "value": [slope.intercept, slope.slope, 0.0],
        "stderr": [slope.intercept_stderr, slope.stderr, 0.0],
        "lower": [slope.intercept + low * slope.intercept_stderr, slope.slope + low * slope.stderr, 0.0],
        "upper": [slope.intercept - low * slope.intercept_stderr, slope.slope - low * slope.stderr, 0.0],
    }
    for name, values in want.items():
        np.testing.assert_allclose(table[name], values, rtol=1e-6, atol=1e-12)
