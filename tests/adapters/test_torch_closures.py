"""mflow.torch where the gradient is wanted elsewhere than at the parameters, and with sparse gradients."""

from typing import Any

import numpy as np
import pytest

from mflow import optim


@pytest.fixture
def mt(torch: Any) -> Any:
    import mflow.torch as module

    return module


@pytest.mark.parametrize(
    ("name", "options"),
    [("SGDScheduleFree", {}), ("AdamWScheduleFree", {"weight_decay": 0.1}), ("Nesterov", {"form": "pull"}), ("Adam", {})],
)
def test_closures_are_called_where_the_gradient_is_wanted(torch: Any, mt: Any, name: str, options: dict[str, Any]) -> None:
    w, c = torch.tensor([1.0, -2.0, 0.5], requires_grad=True), np.array([1.0, -2.0, 0.5])
    theirs, ours = getattr(mt, name)([w], lr=0.1, **options), getattr(optim, name)(c, lr=0.1, **options)
    scale, seen = torch.tensor([1.0, 3.0, 0.5]), []

    def closure() -> Any:
        theirs.zero_grad()
        seen.append(w.detach().numpy().copy())
        loss = (scale * w**2).sum()
        loss.backward()
        return loss

    for _ in range(12):
        at = ours.ask()
        assert float(theirs.step(closure).detach()) == pytest.approx(float((scale.numpy() * at**2).sum()), rel=1e-14)
        assert np.array_equal(seen[-1], at)
        ours.step(2.0 * scale.numpy() * at)
        assert np.array_equal(w.detach().numpy(), c)


def test_a_method_that_looks_ahead_needs_a_closure(torch: Any, mt: Any) -> None:
    w = torch.ones(2, requires_grad=True)
    opt = mt.ConsistentMomentum([w], lr=0.1, lookahead=True)

    def closure() -> Any:
        opt.zero_grad()
        loss = (w**2).sum()
        loss.backward()
        return loss

    opt.step(closure)
    before = w.detach().clone()
    closure()
    with pytest.raises(TypeError, match=r"^closure: ConsistentMomentum takes its gradient ahead of the parameters"):
        opt.step()
    with pytest.raises(TypeError, match=r"^closure: expected the loss returned, got None"):
        opt.step(lambda: None)
    assert torch.equal(w.detach(), before)


@pytest.mark.filterwarnings("ignore:Sparse invariant checks")  # torch's own Adagrad
@pytest.mark.parametrize("name", ["SGD", "Adagrad", "SparseAdam"])
def test_sparse_gradients_are_torchs(torch: Any, mt: Any, name: str) -> None:
    rng = np.random.default_rng(4)
    first = rng.standard_normal((12, 3))
    ours, theirs = (torch.nn.Embedding(12, 3, sparse=True, _weight=torch.tensor(first)) for _ in range(2))
    one, two = getattr(mt, name)(ours.parameters(), lr=0.1), getattr(torch.optim, name)(theirs.parameters(), lr=0.1)
    for _ in range(10):
        rows = torch.tensor(rng.integers(0, 12, 5))
        for table, opt in ((ours, one), (theirs, two)):
            opt.zero_grad()
            (table(rows) ** 2).sum().backward()
            opt.step()
    np.testing.assert_allclose(ours.weight.detach().numpy(), theirs.weight.detach().numpy(), rtol=0, atol=1e-14)
    assert ours.weight.grad.is_sparse


@pytest.mark.parametrize("name", ["RAdam", "Rprop", "ASGD"])
def test_a_run_moves_over_from_torch(torch: Any, mt: Any, name: str) -> None:
    grads = torch.tensor(np.random.default_rng(8).standard_normal((20, 4)))
    w, v = (torch.tensor([1.0, -1.0, 2.0, 0.5], requires_grad=True) for _ in range(2))
    theirs = getattr(torch.optim, name)([w], lr=0.05)
    for g in grads[:9]:
        w.grad = g.clone()
        theirs.step()
    ours = getattr(mt, name)([v], lr=0.05)
    ours.load_state_dict(theirs.state_dict())
    with torch.no_grad():
        v.copy_(w)
    for g in grads[9:]:
        w.grad, v.grad = g.clone(), g.clone()
        theirs.step()
        ours.step()
    np.testing.assert_allclose(v.detach().numpy(), w.detach().numpy(), rtol=0, atol=1e-14)


def test_a_setting_that_sgd_does_not_take(torch: Any, mt: Any) -> None:
    a, b = (torch.ones(2, requires_grad=True) for _ in range(2))
    with pytest.raises(TypeError, match=r"a group has smoothing, which SGD does not take$"):
        mt.SGD([{"params": a}, {"params": b, "smoothing": 0.9}], lr=0.1)
