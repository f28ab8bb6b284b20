"""The first lines of somebody who comes from torch: float32 tensors, models, gradients that backward() leaves."""

import numpy as np
import pytest

import mflow

torch = pytest.importorskip("torch")


def _data():
    X = np.random.default_rng(0).normal(size=(40, 3))
    return X, X @ [1.0, -2.0, 0.5]


@pytest.mark.parametrize("of", ["tensors", "arrays", "params"])
def test_float32_is_taken_as_float64(of) -> None:
    """torch's own "expected m1 and m2 to have the same dtype", and words about .astype, which no tensor has."""
    X, y = (a.astype(np.float32) for a in _data())
    data = (torch.tensor(X), torch.tensor(y)) if of == "tensors" else (X, y)
    start = torch.zeros(3, requires_grad=True) if of == "params" else np.zeros(3)
    call = {"epochs": 3, "batch_size": 10, "seed": 0, "lr": 0.1}
    r = mflow.train(lambda w, a, b: 0.5 * torch.mean((a @ w - b) ** 2), start, data, "adam", jac="torch", **call)

    def by_hand(w, X, y):
        e = X @ w - y
        return 0.5 * np.mean(e**2), X.T @ e / len(y)

    peer = mflow.train(by_hand, np.zeros(3), (X.astype(float), y.astype(float)), "adam", jac=True, **call)
    assert r.params.dtype == np.float64
    np.testing.assert_allclose(r.last_params, peer.last_params, rtol=1e-12)


def test_the_gradients_of_tensors_are_those_of_mflow_torch() -> None:
    model = torch.nn.Linear(3, 1).double()
    opt = mflow.optim.Adam(model.parameters(), lr=0.01)
    model(torch.ones(2, 3).double()).sum().backward()
    with pytest.raises(TypeError, match=r"g: expected a gradient, got None.*mflow\.torch\.Adam takes those that backward\(\) leaves"):
        opt.step()
    with pytest.raises(TypeError, match=r"call opt.step\(g\)"):
        mflow.optim.Adam(np.zeros(2)).step()


@pytest.mark.parametrize("name", ["EMA", "SWA", "Adam"])
def test_a_model_in_place_of_its_parameters(name) -> None:
    with pytest.raises(TypeError, match=r"params: expected arrays, got the model Linear; give list\(model\.parameters\(\)\)"):
        getattr(mflow.optim, name)(torch.nn.Linear(2, 1).double())


def test_a_mean_takes_a_generator_as_the_optimizers_do() -> None:
    model = torch.nn.Linear(2, 1).double()
    mean = mflow.optim.EMA(model.parameters(), decay=0.5)
    theirs = torch.optim.swa_utils.AveragedModel(model, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.5))
    for _ in range(3):
        with torch.no_grad():
            for p in model.parameters():
                p.mul_(1.5)
        mean.update()
        theirs.update_parameters(model)
    for ours, other in zip(mean.params, theirs.module.parameters(), strict=True):
        np.testing.assert_allclose(ours, other.detach().numpy(), rtol=1e-12)


def test_a_tensor_is_told_how_it_becomes_float64() -> None:
    """Not .astype, which no tensor has."""
    for params in (torch.zeros(3), torch.nn.Linear(2, 1).parameters()):
        with pytest.raises(TypeError, match=r"expected dtype float64, got a tensor of torch.float32; model\.double\(\) converts"):
            mflow.optim.Adam(params)


@pytest.mark.parametrize("of", ["product", "layer", "sum of products", "integers"])
def test_data_of_another_type_that_fun_brings_itself_are_told(of) -> None:
    """The words that torch has for it are those of each operator: "dtype", "scalar type", "Float", "float" or "Double" among them."""
    X, layer = torch.ones(2, 3, dtype=torch.int64 if of == "integers" else torch.float32), torch.nn.Linear(3, 1).float()
    fun = {"layer": lambda w: layer(w).sum(), "sum of products": lambda w: torch.dot(X[0], w)}.get(of, lambda w: torch.mean((X @ w) ** 2))
    with pytest.raises(TypeError, match=r'^jac="torch": expected fun to compute in float64, as x does, .*; write data\.double\(\)'):
        mflow.minimize(fun, np.zeros(3), jac="torch")


def test_an_array_in_args_that_fun_makes_a_tensor_itself() -> None:
    """It is one already."""
    with pytest.raises(TypeError, match=r"expected np\.ndarray \(got Tensor\)") as told:
        mflow.minimize(lambda w, X: torch.mean((torch.from_numpy(X) @ w) ** 2), np.zeros(3), args=(np.ones((2, 3)),), jac="torch")
    assert any("omit torch.from_numpy" in note for note in told.value.__notes__)
