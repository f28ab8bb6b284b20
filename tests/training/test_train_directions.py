"""`train` with L-BFGS, BFGS and conjugate gradients: full batches, the minimiser's own path, checkpoints, and what has to be refused."""

import re
from typing import Any

import numpy as np
import pytest

import mflow

X = np.random.default_rng(0).normal(size=(120, 3)) * [1.0, 5.0, 0.2]
Y = np.where(X @ [0.3, 0.5, -2.0] + np.random.default_rng(1).logistic(size=120) > 0, 1.0, -1.0)
START = np.array([0.1, -0.2, 0.3])
METHODS = ("lbfgs", "bfgs", "cg")


def cost(w: Any, X: Any, y: Any) -> tuple[float, Any]:
    """Its sums are NumPy's own: a product by BLAS may have other bits where X stands elsewhere in memory."""
    margin = y * (X * w).sum(axis=1)
    slopes = (X * (-y / (1.0 + np.exp(margin)))[:, None]).sum(axis=0)
    return float(np.mean(np.logaddexp(0.0, -margin)) + 0.05 * (w * w).sum()), slopes / len(y) + 0.1 * w


def run(name: str = "lbfgs", **more: Any) -> Any:
    return mflow.train(**{"fun": cost, "params": START, "data": (X, Y), "optimizer": name, "epochs": 200, "jac": True, **more})


@pytest.mark.parametrize("name", METHODS)
def test_the_steps_are_those_of_minimize(name: str) -> None:
    out = run(name)
    other = mflow.minimize(cost, START, args=(X, Y), jac=True, method=name, path=True)
    assert (out.reason, out.success) == ("converged", True)
    assert out.last_params.tobytes() == other.x.tobytes()
    assert (out.nit, out.nfev, out.epochs) == (other.nit, other.nfev, other.nit)
    np.testing.assert_array_equal(out.history.step_loss, other.path.fun[1:])
    assert (out.best_epoch, out.fun) == (other.nit - 1, other.fun)
    assert "gtol" in out.message
    assert run(name, gtol=1e-2).nit < out.nit


@pytest.mark.parametrize("k", [1, 4])
def test_a_run_that_resumes_has_the_same_steps(tmp_path: Any, k: int) -> None:
    straight = run()
    first = run(epochs=k, checkpoint=tmp_path / "run")
    assert (first.reason, first.nit) == ("finished", k)
    resumed = run(resume=tmp_path / "run")
    assert resumed.last_params.tobytes() == straight.last_params.tobytes()
    assert (resumed.nit, resumed.reason) == (straight.nit, "converged")
    with pytest.raises(ValueError, match=r"^resume: .* other steps"):
        run(resume=tmp_path / "run", gtol=1e-3)


def test_parameters_in_parts_and_a_logger() -> None:
    def parts(p: Any, X: Any, y: Any) -> tuple[float, Any]:
        value, g = cost(np.concatenate([p["a"], p["b"].ravel()]), X, y)
        return value, {"b": g[1:].reshape(2, 1), "a": g[:1]}

    seen: list[dict[str, float]] = []
    out = run(fun=parts, params={"a": START[:1], "b": START[1:].reshape(2, 1)}, log=seen.append, validation=(X[:30], Y[:30]), average="swa")
    whole = run()
    assert np.concatenate([out.last_params["a"], out.last_params["b"].ravel()]).tobytes() == whole.last_params.tobytes()
    assert [entry["loss"] for entry in seen] == whole.history.loss.tolist()
    assert np.all(np.isfinite(out.history.val_loss))
    assert out.averaged_params["b"].shape == (2, 1)


def test_a_compiled_objective() -> None:
    fun = mflow.objectives.LeastSquares(X, X @ [1.0, -2.0, 0.5])
    out = mflow.train(fun, START, optimizer="lbfgs", epochs=100)
    assert out.reason == "converged"
    np.testing.assert_allclose(out.params, [1.0, -2.0, 0.5], atol=1e-3)


def test_a_gradient_that_is_wrong_ends_the_search() -> None:
    out = run(fun=lambda w, X, y: (cost(w, X, y)[0], -cost(w, X, y)[1]))
    assert (out.reason, out.success) == ("line_search_failed", False)
    assert out.last_params.tobytes() == START.tobytes()


@pytest.mark.parametrize(
    ("more", "kind", "words"),
    [
        ({"batch_size": 20}, ValueError, r"^optimizer: lbfgs searches along lines, .* got batch_size = 20 of 120 rows"),
        ({"data": [(X[:60], Y[:60]), (X[60:], Y[60:])]}, ValueError, r"^optimizer: lbfgs searches along lines, .* got 2 batches"),
        ({"jac": None, "fun": lambda w, X, y: cost(w, X, y)[1]}, TypeError, r"^jac: lbfgs compares losses"),
        ({"accumulate": 2}, ValueError, r"^accumulate: expected 1 for lbfgs"),
        ({"gtol": -1.0}, ValueError, r"^gtol: "),
        ({"lr": 0.1}, TypeError, "lr"),
    ],
)
def test_what_does_not_fit(more: dict[str, Any], kind: Any, words: str) -> None:
    with pytest.raises(kind, match=words):
        run(**more)
    assert run(batch_size=120).reason == "converged"


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize(
    ("loss", "slope", "words"),
    [
        (
            2.0,
            1e200,
            r"^products of the gradient overflow in epoch 0, .*: its largest entry is 1e\+200; scale the loss, as by 1e-200",
        ),
        (2.0, np.nan, "^the gradient is not finite in epoch 0"),
        (np.nan, 1.0, "^the loss is nan in epoch 0"),
    ],
)
def test_what_is_not_finite_is_named(name: str, loss: float, slope: float, words: str) -> None:
    both = lambda w, X: (loss + 0.0 * w[0], np.array([slope, 0.0]))  # noqa: E731
    r = mflow.train(both, np.zeros(2), (np.ones((5, 1)),), name, epochs=3, jac=True, check_gradient=False)
    assert (r.reason, r.success) == ("non_finite", False)
    assert re.search(words, r.message), r.message


@pytest.mark.filterwarnings("ignore:overflow")
def test_a_loss_in_si_units_goes_on() -> None:
    """gtol = 1e-5 allowed its gradient at the start, and it was "converged" there."""

    def loss(w: Any, rows: Any) -> Any:
        e = np.exp(-2e10 * (w[0] - 1.1e-10))
        return 7e-19 * (1 - e) ** 2, np.array([1.4e-18 * (1 - e) * e * 2e10])

    r = mflow.train(loss, np.array([1.5e-10]), (np.ones(4),), "lbfgs", jac=True, epochs=50)
    assert (r.success, r.reason) == (True, "converged")
    np.testing.assert_allclose(r.params, 1.1e-10, rtol=1e-6)
    assert "so that the run went on to 1.4e-14" in r.message
    asked = mflow.train(loss, np.array([1.5e-10]), (np.ones(4),), "lbfgs", jac=True, epochs=50, gtol=1e-5)
    assert (asked.reason, asked.nit) == ("converged", 0)


@pytest.mark.parametrize("name", METHODS)
def test_a_run_from_a_file_goes_on_to_the_gtol_it_had(name: str, tmp_path: Any) -> None:
    """A valley in joules over metres: behind the place where gtol was refined it ended at once, as the usual gtol allows."""

    def valley(w: Any, rows: Any) -> tuple[float, Any]:
        a, b = w / 1e-10
        lift = b - a * a
        slopes = np.array([-2.0 * (1.0 - a) - 400.0 * a * lift, 200.0 * lift])
        return 7e-19 * float((1.0 - a) ** 2 + 100.0 * lift**2 + 1e-3), 7e-9 * slopes

    def train(epochs: int, **more: Any) -> Any:
        start = np.array([-1.2e-10, 1e-10])
        return mflow.train(valley, start, (np.ones(4),), name, jac=True, epochs=epochs, **more)

    whole = train(200)
    assert "went on to" in whole.message
    for epochs in (3, whole.nit // 2, whole.nit - 3):
        train(epochs, checkpoint=tmp_path / "run")
        out = train(200, resume=tmp_path / "run")
        assert (out.params.tobytes(), out.nit, out.message) == (whole.params.tobytes(), whole.nit, whole.message)
