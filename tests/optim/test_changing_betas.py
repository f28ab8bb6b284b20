"""Adam's family where betas change on the way: 1 - beta^t of the present beta, as torch has it; states of older versions; torch's bits."""

from __future__ import annotations

import copy
from typing import Any

import mpmath
import numpy as np
import pytest
from mflow_core import registry
from mflow_core.optimize import updater

import mflow
from mflow import optim
from support.oracles.reference import PARITY, Follow, defaults

Array = np.ndarray
EPS = 2.0**-52
FAMILY = [("Adam", {}), ("Adam", {"amsgrad": True}), ("AdamW", {}), ("AdamW", {"amsgrad": True}), ("Adamax", {}), ("NAdam", {})]


def test_two_steps_by_hand() -> None:
    """c = -lr m/(1 - beta1^t)/(sqrt(v/(1 - beta2^t)) + eps) with unit gradients: -0.1 (1 + 0.28/0.36)."""
    c = np.zeros(1)
    opt = optim.Adam(c, lr=0.1, betas=(0.9, 0.999), eps=0.0)
    opt.step(np.ones(1))
    opt.param_groups[0]["betas"] = (0.8, 0.999)
    opt.step(np.ones(1))
    assert c[0] == pytest.approx(-0.1 * (1 + 0.28 / 0.36), rel=1e-14)  # m = 0.8 0.1 + 0.2, 1 - 0.8^2 = 0.36


@pytest.mark.parametrize(("name", "options"), FAMILY)
def test_torch_cycles_betas_alike(name: str, options: dict[str, Any]) -> None:
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(3)
    start, grads = rng.normal(size=17), rng.normal(size=(60, 17))
    one, two = (torch.nn.Parameter(torch.tensor(start)) for _ in range(2))
    mine, other = getattr(mflow.torch, name)([one], **options), getattr(torch.optim, name)([two], **options)
    cycles = [torch.optim.lr_scheduler.OneCycleLR(o, max_lr=0.05, total_steps=60, cycle_momentum=True) for o in (mine, other)]
    old = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)  # NAdam's product of mu is a tensor of this type
    try:
        for g in grads:
            one.grad, two.grad = torch.tensor(g), torch.tensor(g)
            for opt in (mine, other):
                opt.step()
            for cycle in cycles:
                cycle.step()
            assert mine.param_groups[0]["betas"] == pytest.approx(other.param_groups[0]["betas"], rel=1e-15)
    finally:
        torch.set_default_dtype(old)
    np.testing.assert_allclose(one.detach().numpy(), two.detach().numpy(), rtol=2e-14, atol=2e-15)


@pytest.mark.parametrize("beta", [0.5, 0.9, 0.999, 1 - 1e-6, 1.0 - 2.0**-53, 0.0])
def test_powers_by_squaring_are_as_exact_as_products(beta: float) -> None:
    """1 - beta^t after a change, to the last bit but one rounding, and the same as without a change."""
    record = registry.find("adam")
    for k in (0, 1, 2, 5, 12, 777, 40_000, 10**6, 2**40):
        p = defaults(record, lr=1.0) | {"betas[0]": beta, "betas[1]": 0.5}
        changed = np.array([0.25, 0.0, 0.25, 0.0, 0.123, 0.5])  # made with another beta1
        coef = updater.begin(record, p, k, changed)
        with mpmath.workdps(60):
            want = -1 / (1 - mpmath.mpf(beta) ** (k + 1))
            assert abs(mpmath.mpf(float(coef[3])) - want) <= 1.01 * EPS * abs(want)
    kept, p = np.zeros(6), defaults(record, lr=1.0) | {"betas[0]": 0.97}
    for k in range(500):
        made = np.array([9.0, 9.0, 9.0, 9.0, -1.0, -1.0])
        if k:
            assert updater.begin(record, p, k, made).tobytes() == updater.begin(record, p, k, kept).tobytes()
        else:
            updater.begin(record, p, k, kept)


@pytest.mark.parametrize(("name", "options"), FAMILY)
def test_a_state_without_the_betas_of_its_powers_still_loads(name: str, options: dict[str, Any]) -> None:
    """As older versions saved it; the steps that follow have the bits of a run that was not saved."""
    rng = np.random.default_rng(1)
    c, grads = rng.normal(size=9), rng.normal(size=(40, 9))
    opt = getattr(optim, name)(c, lr=0.01, **options)
    for g in grads[:20]:
        opt.step(g)
    state, moved = copy.deepcopy(opt.state_dict()), c.copy()
    lost = 1 if name == "NAdam" else 2
    state["groups"][0]["scalars"] = state["groups"][0]["scalars"][:-lost]
    again = getattr(optim, name)(moved, lr=0.01, **options)
    again.load_state_dict(state)
    for g in grads[20:]:
        opt.step(g)
        again.step(g)
    assert moved.tobytes() == c.tobytes()
    state["groups"][0]["scalars"] = state["groups"][0]["scalars"][:1]
    with pytest.raises(ValueError, match="scalars"):
        again.load_state_dict(state)


@pytest.mark.filterwarnings("ignore:.*lr_scheduler:UserWarning")
@pytest.mark.parametrize("scheduled", [False, True])
@pytest.mark.parametrize(("name", "options"), PARITY)
def test_no_further_from_eighty_bits_than_torch(name: str, options: dict[str, Any], scheduled: bool) -> None:
    """In units of 2^-52 (|c| + the sum of |changes|): at most 8 from torch, or no further from an 80-bit oracle than torch is."""
    torch = pytest.importorskip("torch")
    if np.finfo(np.longdouble).nmant < 63:
        pytest.skip("longdouble has no more digits than double here")
    rng = np.random.default_rng(11)
    n, c = 64, rng.normal(size=64)
    theirs = torch.nn.Parameter(torch.tensor(c))
    mine, other = getattr(optim, name)(c, **options), getattr(torch.optim, name)([theirs], **options)
    exact, follow = c.astype(np.longdouble), _oracle(mine, c)
    sign = -1.0 if mine.param_groups[0]["maximize"] else 1.0
    schedule = torch.optim.lr_scheduler.OneCycleLR(other, 0.1, 60, cycle_momentum=False) if scheduled else None
    unit, old = np.abs(c), torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        for g in rng.normal(size=(60, n)) * 10.0 ** rng.uniform(-2, 2, (60, 1)):
            before = exact
            mine.param_groups[0]["lr"] = float(other.param_groups[0]["lr"])
            follow.p["lr"] = np.longdouble(mine.param_groups[0]["lr"])
            mine.step(g)
            theirs.grad = torch.tensor(g)
            other.step()
            if schedule is not None:
                schedule.step()
            exact = follow.step(before, g, sign)
            unit = unit + np.abs(exact - before)
    finally:
        torch.set_default_dtype(old)
    reached = theirs.detach().numpy()
    apart, ours, torchs = (float(np.max(np.abs(a - b) / (EPS * unit))) for a, b in ((c, reached), (c, exact), (reached, exact)))
    assert apart <= 8.0 or ours <= torchs, (apart, ours, torchs)


def _oracle(opt: Any, start: Array) -> Follow:
    """In 80 bits, from a point in 80 bits."""
    return Follow(opt.record.name, {key: float(value) for key, value in opt.parameters_of(0).items()}, start)


@pytest.mark.parametrize("name", ["SGD", "Adagrad", "AdamW", "NAdam", "RAdam", "Lion", "Adabelief", "ASGD"])
def test_decoupled_decay_adds_no_error_up(name: str) -> None:
    """In the units above, after 500 steps of a decay as small as torch's default: 1 - lr weight_decay as one number is off by up to 2^-54,
    the same in every step, which would be 60 units."""
    if np.finfo(np.longdouble).nmant < 63:
        pytest.skip("longdouble has no more digits than double here")
    name = {"Adabelief": "AdaBelief"}.get(name, name)
    rng = np.random.default_rng(2)
    c = rng.normal(size=32)
    opt = getattr(optim, name)(c, lr=1e-3, weight_decay=1e-2, decoupled_weight_decay=True)
    exact, follow, unit = c.astype(np.longdouble), _oracle(opt, c), np.abs(c)
    for g in rng.normal(size=(500, 32)):
        before = exact
        opt.step(g)
        exact = follow.step(before, g, 1.0)
        unit = unit + np.abs(exact - before)
    assert np.max(np.abs(c - exact) / (EPS * unit)) < 12.0
