"""Arrays of other libraries, without a copy: the buffer protocol, DLPack, and torch where it is installed."""

from __future__ import annotations

import array
import copy
import pickle

import numpy as np
import pytest

import mflow
from mflow.base.extras import numbers


class Foreign:
    """An array of a library that speaks DLPack and nothing else."""

    def __init__(self, values):
        self.values = np.array(values, dtype=np.float64)

    def __dlpack__(self, **options):
        return self.values.__dlpack__(**options)

    def __dlpack_device__(self):
        return self.values.__dlpack_device__()


OLD = pytest.mark.skipif(numbers(np.__version__) < (2, 1), reason="NumPy before 2.1 takes every array by DLPack as read-only")
MAKERS = [pytest.param(Foreign, marks=OLD), lambda v: array.array("d", v), lambda v: memoryview(array.array("d", v))]


@pytest.mark.parametrize("make", MAKERS)
def test_parameters_and_gradients_of_other_libraries(make):
    theirs, ours = make([1.0, -2.0, 3.0]), np.array([1.0, -2.0, 3.0])
    for opt, g in (
        (mflow.optim.Adam(theirs, lr=0.1), make([0.5, 1.0, -1.0])),
        (mflow.optim.Adam(ours, lr=0.1), np.array([0.5, 1.0, -1.0])),
    ):
        opt.step(g)
        opt.step(g)
    assert np.array_equal(np.asarray(getattr(theirs, "values", theirs)), ours)


class Watched(Foreign):
    """As a parameter of torch: it keeps its gradient."""

    requires_grad = True

    def __init__(self, values):
        super().__init__(values)
        self.grad = None

    def detach(self):
        return self

    def backward(self, g):
        self.grad = Foreign(g if self.grad is None else self.grad.values + g)


@OLD
def test_gradients_that_a_parameter_keeps_are_let_go():
    """They added up, as zero_grad did nothing."""
    params = [Watched([1.0, 1.0]), Watched([2.0])]
    opt = mflow.optim.SGD(iter(params), lr=0.5)
    for _ in range(3):
        opt.zero_grad()
        params[0].backward(np.ones(2))
        params[1].backward(np.ones(1))
        opt.step([p.grad for p in params])
    assert [p.values.tolist() for p in params] == [[-0.5, -0.5], [0.5]]
    again = mflow.optim.Adam({"a": params[0]}, lr=0.5)
    again.zero_grad()
    assert params[0].grad is None
    assert params[1].grad is not None  # not one of its own
    again.add_param_group({"params": iter(params[1:])})
    params[0].backward(np.ones(2))
    again.zero_grad()
    assert [p.grad for p in params] == [None, None]
    mflow.optim.SGD([{"params": iter(params)}], lr=0.1).step([[np.ones(2), np.ones(1)]])


def test_lists_bind_and_memmap(tmp_path):
    mapped = np.memmap(tmp_path / "c", dtype=np.float64, shape=(3,), mode="w+")
    other, g = array.array("d", [1.0, 1.0]), [array.array("d", [1.0, 2.0, 3.0]), Foreign([1.0, -1.0])]
    opt = mflow.optim.SGD([mapped, other], lr=1.0)
    opt.bind(g)
    opt.step()
    g[0][0] = 10.0
    opt.step()
    assert mapped.tolist() == [-11.0, -4.0, -6.0]
    assert list(other) == [-1.0, 3.0]


def test_what_cannot_be_shared_says_so():
    with pytest.raises(TypeError, match="expected dtype float64, got float32"):
        mflow.optim.SGD(array.array("f", [1.0]))
    with pytest.raises(ValueError, match="read-only"):
        mflow.optim.SGD(memoryview(array.array("d", [1.0])).toreadonly())
    opt = mflow.optim.SGD(np.ones(2))
    with pytest.raises(TypeError, match="g: expected a NumPy array, got list"):
        opt.step([1.0, 2.0])
    with pytest.raises(TypeError, match=r"g: expected a NumPy array, got tuple; mflow\.optim\.SparseGradient\(indices, values\)"):
        opt.step((np.array([1]), np.array([2.0])))
    with pytest.raises(ValueError, match=r"got \(3,\)"):
        opt.step(Foreign([1.0, 2.0, 3.0]))


# ---- torch --------------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def torch():
    module = pytest.importorskip("torch")
    before = module.get_default_dtype()
    module.set_default_dtype(module.float64)
    module.manual_seed(0)
    yield module
    module.set_default_dtype(before)


PAIRS = [
    ("Adam", {"lr": 0.01}), ("Adam", {"lr": 0.01, "amsgrad": True, "weight_decay": 0.1}), ("AdamW", {"lr": 0.01}), ("SGD", {"lr": 0.01}),
    ("SGD", {"lr": 0.01, "momentum": 0.9, "nesterov": True}), ("SGD", {"lr": 0.01, "momentum": 0.9, "dampening": 0.1}),
    ("RMSprop", {"centered": True}), ("Adagrad", {}), ("Adadelta", {}), ("Adamax", {}), ("NAdam", {}),
]  # fmt: skip


@pytest.mark.parametrize(("name", "options"), PAIRS, ids=lambda value: value if isinstance(value, str) else "")
def test_drop_in_for_torch(torch, name, options):
    """The same path as torch's own: under a scheduler, with gradients that are missing at times, and through a saved state."""
    import mflow.torch as ours

    X, Y = torch.randn(20, 5), torch.randn(20, 2)

    def model():
        torch.manual_seed(1)
        return torch.nn.Sequential(torch.nn.Linear(5, 7), torch.nn.Tanh(), torch.nn.Linear(7, 2))

    results = []
    for library in (ours, torch.optim):
        net = model()
        opt = getattr(library, name)(net.parameters(), **options)
        scheduler = torch.optim.lr_scheduler.StepLR(opt, 10, 0.5)
        for k in range(40):
            opt.zero_grad()
            loss = ((net(X) - Y) ** 2).mean()
            loss.backward()
            if k in (0, 5, 6):
                net[0].bias.grad = None
            opt.step()
            scheduler.step()
            if k == 20:
                again = getattr(library, name)(net.parameters(), **options)
                again.load_state_dict(pickle.loads(pickle.dumps(opt.state_dict())))
                opt = again
        results.append([p.detach().numpy() for p in net.parameters()])
    for a, b in zip(*results, strict=True):
        assert np.allclose(a, b, rtol=0, atol=1e-13)


def test_torch_tensors_in_optim(torch):
    w = torch.ones(3, requires_grad=True)
    mflow.optim.SGD(w, lr=0.5).step(torch.ones(3))
    assert w.tolist() == [0.5, 0.5, 0.5]
    with pytest.raises(TypeError, match="cannot be shared"):
        mflow.optim.SGD(torch.ones(3).to_sparse())


def test_torch_protocol(torch):
    import mflow.torch as ours

    w = torch.ones(3, requires_grad=True)
    opt = ours.Adam([{"params": [w], "lr": 0.5}], lr=0.1)

    def closure():
        opt.zero_grad()
        loss = w @ w
        loss.backward()
        return loss

    assert opt.step(closure).item() == 3.0
    assert opt.param_groups[0]["lr"] == 0.5
    twin = copy.deepcopy(opt)
    assert twin.state_dict()["state"][0]["step"] == 1
    more = torch.ones(2, requires_grad=True)
    opt.add_param_group({"params": [more]})
    assert opt.param_groups[1]["lr"] == 0.1
    w.data = w.data.clone()  # other memory: it is followed
    before = w.detach().clone()
    opt.step(closure)
    assert not torch.equal(w.detach(), before)


def test_a_view_of_negatives_is_refused(torch):
    """torch lends its memory as if the numbers lay there, so a step went up."""
    w = np.zeros(3)
    for params, gradient in ((w, torch._neg_view(torch.ones(3).double())), (torch._neg_view(torch.ones(3).double()), np.ones(3))):
        with pytest.raises(TypeError, match=r"expected numbers as they lie in memory, got a view of their negatives; \.resolve_neg\(\)"):
            mflow.optim.SGD(params, lr=0.5).step(gradient)
    assert not w.any()
    mflow.optim.SGD(w, lr=0.5).step(torch._neg_view(torch.ones(3).double()).resolve_neg())
    assert w.tolist() == [0.5, 0.5, 0.5]


def test_torch_autograd_is_told(torch):
    """A graph of before the step holds values that are gone: backward through it raises, as with torch's own optimizers."""
    import mflow.torch as ours

    for make in (ours.SGD, torch.optim.SGD):
        w, idle = torch.ones(2, requires_grad=True), torch.ones(2, requires_grad=True)
        opt = make([w, idle], lr=0.1)
        loss = (w * w).sum()
        w.grad = torch.ones(2)
        opt.step()
        assert idle._version == 0
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            loss.backward()


def test_torch_step_is_whole_or_none(torch):
    """A gradient that is not finite, or of no use, in the last group: the first has not moved either."""
    import mflow.torch as ours

    a, b = torch.ones(2, requires_grad=True), torch.ones(2, requires_grad=True)
    opt = ours.Adam([{"params": [a]}, {"params": [b], "lr": 0.5}], lr=0.1)
    a.grad = torch.ones(2)
    for bad, error in ((torch.tensor([1.0, np.nan]), FloatingPointError), (torch.ones(2).to_sparse(), ValueError)):
        b.grad = bad
        with pytest.raises(error):
            opt.step()
        assert a.tolist() == b.tolist() == [1.0, 1.0]
    b.grad = torch.ones(2)
    opt.step()
    np.testing.assert_allclose([a.tolist(), b.tolist()], [[0.9, 0.9], [0.5, 0.5]], rtol=1e-6)
    assert {entry["step"] for entry in opt.state_dict()["state"].values()} == {1}


def test_torch_bad_input(torch):
    import mflow.torch as ours

    w = torch.ones(3, requires_grad=True)
    for call, error, words in (
        (lambda: ours.Adam([torch.ones(3, dtype=torch.float32, requires_grad=True)]), TypeError, "expected float64, got torch.float32"),
        (lambda: ours.Adam([w], betas=(2, 3)), ValueError, "expected a number in"),
        (lambda: ours.Adam([w], beta=1), TypeError, "beta"),
        (lambda: ours.Adam([w], clip_norm=1.0), TypeError, "clip_grad_norm_"),
        (lambda: ours.Adam([w], lr=lambda k: 0.1), TypeError, "lr_scheduler"),
        (lambda: ours.Adam([{"params": [w], "momentum": 0.9}]), TypeError, "momentum"),
        (lambda: ours.Adam([]), ValueError, "empty"),
        (lambda: ours.Adam([torch.ones(3, 2).t().requires_grad_()]), ValueError, "expected contiguous memory"),
        (lambda: ours.Adamm, AttributeError, "did you mean 'Adam'"),
    ):
        with pytest.raises(error, match=words):
            call()
