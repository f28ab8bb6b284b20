"""`train` with a mean of the parameters, with plain dicts for a logger, and with torch's tensors as data."""

from typing import Any

import numpy as np
import pytest

import mflow

X = np.random.default_rng(0).normal(size=(120, 3))
Y = X @ [1.0, -2.0, 0.5] + 0.3 * np.random.default_rng(1).normal(size=120)


def cost(w: Any, X: Any, y: Any) -> tuple[float, Any]:
    r = X @ w - y
    return 0.5 * float(np.mean(r**2)), X.T @ r / len(y)


def run(fun: Any = cost, data: Any = (X, Y), jac: Any = True, **more: Any) -> Any:
    how = {"optimizer": "sgd", "epochs": 6, "batch_size": 20, "lr": 0.2, "seed": 3, **more}
    return mflow.train(fun, np.zeros(3), data, jac=jac, **how)


@pytest.mark.parametrize("kind", ["swa", "ema", 0.75])
def test_a_mean_of_all_steps(kind: Any) -> None:
    points: list[Any] = []
    out = run(average=kind, step_callback=lambda s: points.append(s.params.copy()) and None)
    decay = {"ema": 0.999}.get(kind, kind)
    want = points[0]
    for n, point in enumerate(points[1:], 2):
        want = want + (point - want) / n if kind == "swa" else decay * want + (1 - decay) * point
    np.testing.assert_allclose(out.averaged_params, want, rtol=1e-12)
    assert out.last_params.tobytes() == run().last_params.tobytes()  # the mean changes nothing
    assert "averaged_params" not in run()


def test_a_mean_that_remembers_the_start() -> None:
    told = run(average="ema").message  # 36 steps: 0.999**35 = 0.966 of the first point
    assert "averaged_params are to 97% the parameters after the first step" in told
    assert 'give a smaller decay, as average=0.88, or "swa"' in told  # 0.01**(1/36)
    for kind in ("swa", 0.88, 0.75):
        assert "averaged_params" not in run(average=kind).message


@pytest.mark.parametrize("kind", ["swa", 0.75])
def test_compiled_objectives_have_the_same_mean(kind: Any) -> None:
    fun = mflow.objectives.LeastSquares(X, Y)
    one = run(fun, None, None, average=kind)
    other = run(lambda c, rows: fun.batch(rows).value_and_grad(c), (np.arange(120),), average=kind)
    assert one.averaged_params.tobytes() == other.averaged_params.tobytes()


def test_a_run_that_resumes_has_the_same_mean(tmp_path: Any) -> None:
    straight = run(average="ema")
    run(average="ema", max_steps=15, checkpoint=tmp_path / "run")
    resumed = run(average="ema", resume=tmp_path / "run")
    assert resumed.averaged_params.tobytes() == straight.averaged_params.tobytes()
    with pytest.raises(ValueError, match=r"resume: .* other average"):
        run(average="swa", resume=tmp_path / "run")
    with pytest.raises(ValueError, match=r"resume: .* other average"):
        run(resume=tmp_path / "run")


def test_a_logger_receives_plain_dicts() -> None:
    epochs: list[dict[str, float]] = []
    steps: list[dict[str, float]] = []
    out = run(validation=(X[:50], Y[:50]), log=epochs.append)
    run(log=steps.append, log_per="step")
    assert all(type(entry) is dict and all(type(v) in (int, float) for v in entry.values()) for entry in epochs + steps)
    assert [entry["val_loss"] for entry in epochs] == out.history.val_loss.tolist()
    assert [entry["loss"] for entry in epochs] == out.history.loss.tolist()
    assert [entry["epoch"] for entry in epochs] == list(range(6))
    assert [entry["loss"] for entry in steps] == out.history.step_loss.tolist()
    assert [entry["grad_norm"] for entry in steps] == out.history.step_grad_norm.tolist()
    assert [(entry["epoch"], entry["step"]) for entry in steps] == [(k // 6, k + 1) for k in range(36)]
    later: list[dict[str, float]] = []
    compiled = run(mflow.objectives.LeastSquares(X, Y), None, None, log=later.append, log_per="step")
    assert [entry["loss"] for entry in later] == compiled.history.step_loss.tolist()
    assert "val_loss" not in steps[0]


@pytest.mark.parametrize(
    ("more", "kind", "words"),
    [
        ({"average": "mean"}, ValueError, "^average: "),
        ({"average": 1.0}, ValueError, "^average: "),
        ({"average": [1]}, TypeError, "^average: "),
        ({"log": 3}, TypeError, "^log: expected a function of a dict, got int"),
        ({"log": print, "log_per": "batch"}, ValueError, "^log_per: "),
    ],
)
def test_what_does_not_fit(more: dict[str, Any], kind: Any, words: str) -> None:
    with pytest.raises(kind, match=words):
        run(**more)


def test_tensors_of_torch_are_handed_on_as_tensors(torch: Any) -> None:
    seen: list[Any] = []

    def loss(w: Any, X: Any, y: Any) -> tuple[float, Any]:
        seen.append((X, y))
        at = torch.tensor(w, requires_grad=True)
        value = 0.5 * torch.mean((X @ at - y) ** 2)
        value.backward()
        return value.detach(), at.grad

    data = (torch.tensor(X), torch.tensor(Y))
    out = run(loss, data, validation=data)
    assert all(isinstance(part, torch.Tensor) for batch in seen for part in batch)
    np.testing.assert_allclose(out.params, run(validation=(X, Y)).params, rtol=1e-12)
    mixed: list[Any] = []
    run(lambda w, X, y: mixed.append((X, y)) or cost(w, X, y.numpy()), (X, torch.tensor(Y)), epochs=1)
    assert {(type(a), type(b)) for a, b in mixed} == {(np.ndarray, torch.Tensor)}


def test_a_mean_takes_what_gives_arrays_one_by_one() -> None:
    """As model.parameters() does, which the optimizers take; of a model the parameters are named, and no gradient."""
    arrays = [np.zeros(2), np.ones(3)]
    mean = mflow.optim.EMA((a for a in arrays), decay=0.5)
    mean.update()
    arrays[1] += 1.0
    mean.update()
    np.testing.assert_array_equal(mean.params[1], [1.5, 1.5, 1.5])

    class Model:
        def parameters(self) -> list[np.ndarray]:
            return arrays

    with pytest.raises(TypeError, match=r"^params: expected arrays, got the model Model; give list\(model.parameters\(\)\)$"):
        mflow.optim.SWA(Model())


def test_a_metric_is_called_so_where_it_ends_the_run() -> None:
    more: dict[str, Any] = {"validation": (X, Y), "patience": 2, "lr": 0.01}
    told = run(metric=lambda w, X, y: float(w @ w), **more).message  # it rises
    assert told.startswith("the metric has not fallen for 2 epochs; the least metric, ")
    assert "validation loss" not in told
    assert told.endswith("; train looks for the least: of a metric that is better when higher give the negative")
    assert "negative" not in run(metric=lambda w, X, y: -float(w @ w > 0.01), **more).message  # it falls, and stays
    assert run(**{**more, "lr": 0.0}).message.startswith("the validation loss has not fallen for 2 epochs; the least validation loss, ")
