"""States of torch's own optimizers in mflow.torch: a run moves over in the middle, and what does not fit changes nothing."""

from __future__ import annotations

import collections
import copy
import importlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import mflow
from mflow.adapters.torch_states import NAMES
from support.oracles.reference import PARITY

torch = pytest.importorskip("torch")
importlib.import_module("mflow.torch")  # it needs torch
OTHERS = ("RAdam", "Rprop", "ASGD", "Adafactor")


@pytest.fixture(autouse=True)
def _float64() -> Iterator[None]:
    old = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)  # torch keeps NAdam's product of mu in this type
    yield
    torch.set_default_dtype(old)


def model() -> Any:
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Tanh(), torch.nn.Linear(4, 2))


def walk(net: Any, opt: Any, steps: int) -> None:
    x = torch.linspace(-1, 1, 30).reshape(10, 3)
    for _ in range(steps):
        opt.zero_grad()
        ((net(x) - x[:, :2].sin()) ** 2).mean().backward()
        opt.step()


def numbers(opt: Any) -> str:
    return str(opt.state_dict())


def test_what_torch_alone_has_leads_to_torch() -> None:
    with pytest.raises(AttributeError, match=r"has no 'LBFGS': torch's own, torch\.optim\.LBFGS, .* mflow\.minimize has it"):
        mflow.torch.LBFGS
    with pytest.raises(AttributeError, match=r"torch\.optim\.Muon, serves the same tensors$"):
        mflow.torch.Muon
    with pytest.raises(AttributeError, match="did you mean 'Adam'"):
        mflow.torch.Adm


@pytest.mark.parametrize("made_alike", [True, False])
@pytest.mark.parametrize(("name", "options"), PARITY)
def test_a_run_moves_over_in_the_middle(name: str, options: dict[str, Any], made_alike: bool) -> None:
    """Made without the options, too: the groups of the state decide, momentum and nesterov of SGD among them."""
    net = model()
    theirs = getattr(torch.optim, name)(net.parameters(), **{"lr": 0.01, **options})
    walk(net, theirs, 7)
    moved, state = copy.deepcopy(net), copy.deepcopy(theirs.state_dict())
    mine = getattr(mflow.torch, name)(moved.parameters(), **(options if made_alike else {}))
    mine.load_state_dict(state)
    walk(net, theirs, 12)
    walk(moved, mine, 12)
    for a, b in zip(moved.parameters(), net.parameters(), strict=True):
        np.testing.assert_allclose(a.detach().numpy(), b.detach().numpy(), rtol=1e-11, atol=1e-13)
    again = getattr(mflow.torch, name)(moved.parameters(), **(options if made_alike else {}))
    again.load_state_dict(state)  # and back to the middle


def test_schedules_and_their_keys_travel() -> None:
    net = model()
    theirs = torch.optim.AdamW(net.parameters(), lr=0.1)
    cycle = torch.optim.lr_scheduler.OneCycleLR(theirs, 0.1, total_steps=30)
    walk(net, theirs, 3)
    cycle.step()
    mine = mflow.torch.AdamW(net.parameters())
    mine.load_state_dict(theirs.state_dict())
    for name in ("lr", "betas", "initial_lr", "max_lr", "weight_decay"):
        assert mine.param_groups[0][name] == theirs.param_groups[0][name]
    assert mine.param_groups[0]["decoupled_weight_decay"] is True


def test_parameters_without_a_state_and_groups() -> None:
    net = model()
    first, rest = net[0].parameters(), net[2].parameters()
    theirs = torch.optim.Adam([{"params": first, "lr": 0.1}, {"params": rest, "betas": (0.5, 0.9)}])
    for p in net[0].parameters():
        p.grad = torch.ones_like(p)
    theirs.step()
    mine = mflow.torch.Adam([{"params": net[0].parameters()}, {"params": net[2].parameters()}])
    mine.load_state_dict(theirs.state_dict())
    assert [g["lr"] for g in mine.param_groups] == [0.1, 1e-3]
    assert mine.param_groups[1]["betas"] == (0.5, 0.9)
    assert sorted(mine.state_dict()["state"]) == [0, 1]
    walk(net, mine, 2)


@pytest.mark.parametrize("name", [*sorted({name for name, _ in PARITY}), *OTHERS])
@pytest.mark.parametrize("ours", ["Nesterov", "Adam", "NAdam", "RMSprop", "ConsistentMomentum"])
def test_a_foreign_state_changes_nothing(name: str, ours: str) -> None:
    same = name == ours or (name, ours) in (("AdamW", "Adam"), ("SGD", "Nesterov"))
    if same:
        return
    net = model()
    theirs = getattr(torch.optim, name)(net.parameters(), **({"momentum": 0.9} if name == "SGD" else {}))
    walk(net, theirs, 1)
    mine = getattr(mflow.torch, ours)(net.parameters())
    walk(net, mine, 1)
    before = numbers(mine)
    with pytest.raises(ValueError, match="state"):
        mine.load_state_dict(theirs.state_dict())
    assert numbers(mine) == before
    walk(net, mine, 1)
    assert numbers(mine) != before


def damaged(state: dict[str, Any], how: str) -> Any:
    entry, group = state["state"][1], state["param_groups"][0]
    if how == "shape":
        entry["exp_avg"] = torch.zeros(7)
    elif how == "lacking":
        del entry["exp_avg_sq"]
    elif how == "surplus":
        entry["max_exp_avg_sq"] = torch.zeros(4)
    elif how == "step":
        entry["step"] = torch.tensor(2.5)
    elif how == "negative step":
        entry["step"] = -3
    elif how == "betas":
        group["betas"] = (1.5, 0.9)
    elif how == "no lr":
        del group["lr"]
    elif how == "lr is a word":
        group["lr"] = "fast"
    elif how == "parameters":
        group["params"] = group["params"][:-1]
    elif how == "no groups":
        del state["param_groups"]
    return {} if how == "empty" else None if how == "none" else state


@pytest.mark.parametrize("whose", ["torch", "mflow"])
@pytest.mark.parametrize(
    "how",
    ["shape", "lacking", "surplus", "step", "negative step", "betas", "no lr", "lr is a word", "parameters", "no groups", "empty", "none"],
)
def test_a_damaged_state_changes_nothing(how: str, whose: str) -> None:
    net = model()
    other = torch.optim.Adam(net.parameters()) if whose == "torch" else mflow.torch.Adam(net.parameters())
    walk(net, other, 2)
    state = copy.deepcopy(other.state_dict())
    if whose == "mflow":
        for entry in state["state"].values():
            entry["exp_avg"], entry["exp_avg_sq"] = entry["m"], entry["v"]
        renamed = damaged(state, how)
        for entry in (renamed or {}).get("state", {}).values():
            for ours, theirs in (("m", "exp_avg"), ("v", "exp_avg_sq"), ("u", "max_exp_avg_sq")):
                entry.pop(ours, None)
                if theirs in entry:
                    entry[ours] = entry.pop(theirs)
        state = renamed
    else:
        state = damaged(state, how)
    mine = mflow.torch.Adam(net.parameters(), lr=0.02)
    walk(net, mine, 3)
    before = numbers(mine)
    with pytest.raises(ValueError, match=r"."):
        mine.load_state_dict(state)
    assert numbers(mine) == before
    walk(net, mine, 1)


@pytest.mark.parametrize("where", ["groups", "group", "number", "scalar"])
def test_tensors_where_groups_stand_change_nothing(where: str) -> None:
    """torch's own words about them name no argument."""
    net = model()
    mine = mflow.torch.AdamW(net.parameters())
    walk(net, mine, 2)
    state, before = copy.deepcopy(mine.state_dict()), numbers(mine)
    if where == "groups":
        state["param_groups"] = torch.ones(2)
    elif where == "group":
        state["param_groups"][0] = torch.ones(2)
    elif where == "scalar":
        state["state"][0]["scalars"][1] = [1.0, 2.0]
    else:
        state["param_groups"][0]["params"][0] = torch.ones(2)
    with pytest.raises(ValueError, match=r"^state(_dict)?: expected"):
        mine.load_state_dict(state)
    assert numbers(mine) == before


@pytest.mark.parametrize(
    ("name", "options"), [*PARITY, ("RAdam", {}), ("Rprop", {}), ("ASGD", {"t0": 5.0}), ("RMSprop", {"centered": True})]
)
def test_a_run_moves_back(name: str, options: dict[str, Any]) -> None:
    """torch, mflow, torch: the parameters of a run that stayed with torch."""
    net = model()
    theirs = getattr(torch.optim, name)(net.parameters(), **{"lr": 0.01, **options})
    walk(net, theirs, 4)
    moved, state = copy.deepcopy(net), copy.deepcopy(theirs.state_dict())
    mine = getattr(mflow.torch, name)(moved.parameters())
    mine.load_state_dict(state)
    walk(moved, mine, 5)
    back = getattr(torch.optim, name)(moved.parameters())
    back.load_state_dict(mine.torch_state_dict())
    walk(moved, back, 6)
    walk(net, theirs, 11)
    for a, b in zip(moved.parameters(), net.parameters(), strict=True):
        np.testing.assert_allclose(a.detach().numpy(), b.detach().numpy(), rtol=1e-11, atol=1e-13)


def test_what_torch_has_not_does_not_move_back() -> None:
    with pytest.raises(TypeError, match=r"torch\.optim has no Lion"):
        mflow.torch.Lion(model().parameters()).torch_state_dict()
    with pytest.raises(ValueError, match=r"torch\.optim\.Adam has no clip_value, which is 0\.5 here"):
        mflow.torch.Adam(model().parameters(), clip_value=0.5).torch_state_dict()


CHANGES = ("clear", "assign", "one", "scale", "parameter out", "group out", "replaced", "groups reversed", "exchanged")


def _change(name: str, opt: Any, net: Any) -> None:
    if name == "clear":
        opt.state.clear()
    elif name == "assign":
        opt.state = collections.defaultdict(dict)
    elif name == "parameter out":
        del opt.param_groups[0]["params"][0]
    elif name == "group out":
        opt.param_groups.pop(0)
    elif name == "replaced":
        net[0].weight = opt.param_groups[0]["params"][0] = torch.nn.Parameter(net[0].weight.detach() + 0.1)
    elif name == "groups reversed":
        opt.param_groups.reverse()
    elif name == "exchanged":
        first, second = (group["params"] for group in opt.param_groups)
        first[0], second[0] = second[0], first[0]
    elif name == "one":
        del opt.state[opt.param_groups[0]["params"][1]]
    else:
        for entry in opt.state.values():
            for value in entry.values():
                if torch.is_tensor(value) and value.ndim:
                    value.mul_(0.25)


@pytest.mark.parametrize("name", CHANGES)
def test_a_state_that_is_changed_counts(name: str) -> None:
    """It was left out in silence: a state that was cleared stayed, a parameter that was taken out or replaced moved on, at its old rate."""
    ends = []
    for module in (torch.optim, mflow.torch):
        net = model()
        first = list(net.parameters())
        parts = [net[0].parameters(), net[2].parameters()]
        opt = module.Adam([{"params": part, "lr": 0.01 * (k + 1)} for k, part in enumerate(parts)])
        walk(net, opt, 4)
        _change(name, opt, net)
        walk(net, opt, 3)
        assert all(tensor in opt.state for group in opt.param_groups for tensor in group["params"])
        ends.append(torch.cat([p.detach().ravel() for p in (*first, *net.parameters())]).numpy())
    np.testing.assert_allclose(ends[1], ends[0], rtol=1e-11, atol=1e-13)


def test_every_optimizer_that_both_have_moves_its_state() -> None:
    """One that is added here has to say which of torch's vectors it takes."""
    both = set(mflow.torch.__all__) & {name for name in dir(torch.optim) if isinstance(getattr(torch.optim, name), type)}
    assert set(NAMES) == both - {"Optimizer", "SGD"}


@pytest.mark.parametrize("looks", [False, True])
@pytest.mark.parametrize("name", ["Adam", "Adagrad", "RMSprop", "Rprop"])
def test_a_parameter_that_comes_back_goes_on_from_its_state(name: str, looks: bool) -> None:
    """It stands still while it is in no group, and torch keeps what it carries; here it began anew."""
    ends = []
    for module in (torch.optim, mflow.torch):
        net = model()
        opt = getattr(module, name)(net.parameters(), lr=0.01)
        walk(net, opt, 4)
        out = opt.param_groups[0]["params"].pop(0)
        for _ in range(3):
            walk(net, opt, 1)
            assert not looks or len(opt.state) >= 3
        opt.param_groups[0]["params"].insert(0, out)
        walk(net, opt, 3)
        ends.append(torch.cat([p.detach().ravel() for p in net.parameters()]).numpy())
    np.testing.assert_allclose(ends[1], ends[0], rtol=1e-11, atol=1e-13)


def test_a_look_at_the_state_changes_no_bit() -> None:
    ends = []
    for looks in (False, True):
        net = model()
        opt = mflow.torch.NAdam(net.parameters(), lr=0.01)
        for _ in range(5):
            walk(net, opt, 1)
            assert not looks or float(opt.state[net[0].weight]["m"].abs().sum()) > 0
        ends.append(torch.cat([p.detach().ravel() for p in net.parameters()]))
    assert torch.equal(*ends)
    with pytest.raises(KeyError, match=r"exp_avg: here a parameter's state has step, scalars, m, v"):
        opt.state[net[0].weight]["exp_avg"]
    opt.state[net[0].weight]["m"] = torch.zeros(7)
    with pytest.raises(ValueError, match="state"):
        walk(net, opt, 1)


def test_all_parameters_step_or_none() -> None:
    """Two cohorts, of which the second cannot step: the first is taken back."""
    a, b = (torch.nn.Parameter(torch.ones(2)) for _ in range(2))
    opt = mflow.torch.Adam([a, b])
    a.grad = torch.ones(2)
    opt.step()
    b.grad = torch.tensor([1.0, 1e170])
    before, kept = str(opt.state_dict()["state"][0]), a.detach().clone()
    with pytest.raises(FloatingPointError, match="would overflow"):
        opt.step()
    assert str(opt.state_dict()["state"][0]) == before
    assert torch.equal(a, kept)
    assert torch.equal(b.detach(), torch.ones(2))
    b.grad = torch.ones(2)
    opt.step()
    assert not torch.equal(b.detach(), torch.ones(2))


CARRIED = {
    "Adam": "exp_avg", "AdamW": "exp_avg_sq", "Adadelta": "acc_delta", "Adagrad": "sum", "RMSprop": "square_avg", "Adamax": "exp_avg",
    "NAdam": "exp_avg", "SGD": "momentum_buffer",
}  # fmt: skip


@pytest.mark.parametrize("name", CARRIED)
def test_what_is_no_state_is_refused(torch: Any, name: str) -> None:
    """NaN entered the parameters at the next step; after a refusal the optimizer is as it was."""
    import mflow.torch as ours

    settings = {"momentum": 0.9} if name == "SGD" else {}
    p = torch.ones(3, requires_grad=True)

    def step(optimizer: Any) -> None:
        p.grad = torch.ones(3)
        optimizer.step()

    theirs = getattr(torch.optim, name)([p], lr=0.01, **settings)
    step(theirs)
    good = theirs.state_dict()
    wrong = [("state", CARRIED[name], torch.full((3,), torch.nan)), ("state", CARRIED[name], torch.ones(3, dtype=torch.complex128))]
    if name == "SGD":
        wrong += [("group", "momentum", None), ("group", "nesterov", "x"), ("group", "nesterov", -5.0)]
    else:
        wrong += [("state", "step", None), ("state", "step", torch.ones(3))]
    if name == "NAdam":
        wrong += [("state", "mu_product", 10**400), ("state", "mu_product", 2.5), ("group", "momentum_decay", None)]
    for where, key, value in wrong:
        state = copy.deepcopy(good)
        (state["state"][0] if where == "state" else state["param_groups"][0])[key] = value
        made = getattr(ours, name)([p], lr=0.01, **settings)
        with pytest.raises(ValueError, match="state"):
            made.load_state_dict(state)
        made.load_state_dict(good)
        step(made)
        assert torch.isfinite(p).all()
