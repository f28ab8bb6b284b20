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


def test_one_array_is_made_of_a_model() -> None:
    X, y = _data()
    model = torch.nn.Linear(3, 1).double()
    words = r"torch\.nn\.utils\.parameters_to_vector\((model\.parameters\(\)|params)\)\.detach\(\)\.numpy\(\) makes one"
    for params in (model, model.parameters(), list(model.parameters())):
        with pytest.raises(TypeError, match=words):
            mflow.train(lambda w, a, b: ((a @ w - b) ** 2).mean(), params, (X, y), jac="torch")
    for x0 in (model, model.parameters()):
        with pytest.raises(TypeError, match=words):
            mflow.minimize(lambda w: (w**2).sum(), x0, jac="torch")
    start = torch.nn.utils.parameters_to_vector(model.parameters()).detach().numpy()
    r = mflow.train(lambda w, a, b: ((a @ w[:3] + w[3] - b) ** 2).mean(), start, (X, y), jac="torch", lr=0.1, epochs=300, seed=0)
    np.testing.assert_allclose(r.params, [1.0, -2.0, 0.5, 0.0], atol=1e-2)


def test_optimizers_of_loops_in_torch_are_told_from_ours() -> None:
    w = torch.zeros(3, dtype=torch.float64, requires_grad=True)
    for opt in (mflow.torch.Adam([w]), torch.optim.Adam([w])):
        for params in (None, np.zeros(3)):
            with pytest.raises(TypeError, match=r"got Adam of torch's kind, whose steps belong into a loop .*; give mflow\.optim\.Adam"):
                mflow.train(lambda w, a, b: a.T @ (a @ w - b), params, _data(), opt)


def test_batches_of_tensors_in_a_cost_of_numpy() -> None:
    X, y = _data()
    held = torch.utils.data.TensorDataset(torch.tensor(X), torch.tensor(y))
    loader = torch.utils.data.DataLoader(held, batch_size=20)

    def cost(w, a, b):
        e = a @ w - b
        return np.mean(e**2), 2.0 * a.T @ e / len(b)

    def with_arrays(w, a, b):
        return cost(w, a.numpy(), b.numpy())

    with pytest.raises(TypeError) as told, pytest.warns(DeprecationWarning, match="__array_wrap__"):
        mflow.train(cost, np.zeros(3), loader, jac=True)
    assert "a DataLoader makes them: of a cost in NumPy a.numpy() makes arrays" in told.value.__notes__[0]
    r = mflow.train(with_arrays, np.zeros(3), loader, jac=True, lr=0.1, epochs=100)
    np.testing.assert_allclose(r.params, [1.0, -2.0, 0.5], atol=1e-3)
    with pytest.raises(TypeError, match=r"got TensorDataset; its \.tensors are such a tuple"):
        mflow.train(cost, np.zeros(3), held, jac=True)


def test_the_state_of_a_parameter_can_be_looked_at() -> None:
    w = torch.ones(3, dtype=torch.float64, requires_grad=True)
    ours, theirs = mflow.torch.Adam([w], lr=0.1), torch.optim.Adam([w], lr=0.1)
    assert ours.state[w] == {}
    (w @ w).backward()
    theirs.step()
    ours.step()
    assert torch.equal(ours.state[w]["m"], theirs.state[w]["exp_avg"])
    assert ours.state[w]["step"] == 1
    assert list(ours.state) == [w]
    with pytest.raises(KeyError, match="exp_avg: here a parameter's state has step, scalars, m, v"):
        ours.state[w]["exp_avg"]
    moved = mflow.torch.Adam([w], lr=0.1)
    moved.load_state_dict(ours.state_dict())
    assert torch.equal(moved.state[w]["v"], ours.state[w]["v"])


def test_a_dataset_and_a_model_lead_to_what_takes_them() -> None:
    class Items(torch.utils.data.Dataset):
        def __len__(self) -> int:
            return 4

        def __getitem__(self, i: int) -> float:
            return float(i)

    with pytest.raises(TypeError, match=r"got Items, which has items and no batches; torch\.utils\.data\.DataLoader\(it, batch_size=32"):
        mflow.train(lambda w, x: w, np.zeros(1), Items(), "adam", epochs=1)
    model = torch.nn.Linear(1, 1).double()
    with pytest.raises(
        TypeError, match=r"^fun: expected a function .* got the model Linear; .* mflow\.torch\.Adam\(model\.parameters\(\)\)"
    ):
        mflow.train(model, model.parameters(), _data(), "adam", epochs=1)
