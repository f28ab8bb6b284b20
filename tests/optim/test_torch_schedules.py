"""Every optimizer that torch has by the same name, under torch's schedules: the same steps, from the first lr on."""

from __future__ import annotations

import importlib
from typing import Any

import mpmath
import numpy as np
import pytest

from mflow import optim, schedules

torch = pytest.importorskip("torch")
EPS = 2.0**-52
UNITS = {"RAdam": 64}  # torch's rho loses digits, of which test_optim says whose steps are nearer to the exact ones
NAMES = ("SGD", "Adam", "AdamW", "NAdam", "RAdam", "Adamax", "Adagrad", "Adadelta", "RMSprop", "Rprop", "ASGD")
SCHEDULES: tuple[tuple[str, dict[str, Any]], ...] = (
    ("StepLR", {"step_size": 7, "gamma": 0.5}),
    ("ExponentialLR", {"gamma": 0.97}),
    ("LinearLR", {"start_factor": 0.25, "total_iters": 10}),
    ("ConstantLR", {"factor": 0.5, "total_iters": 8}),
    ("LambdaLR", {"lr_lambda": lambda k: 0.2 + 0.1 * (k % 5)}),
    ("CyclicLR", {"base_lr": 1e-3, "max_lr": 1e-2, "step_size_up": 6}),
)


@pytest.fixture(autouse=True)
def _float64() -> Any:
    old = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)  # torch keeps ASGD's eta and NAdam's product of mu in this type
    yield
    torch.set_default_dtype(old)


def both(name: str, c: Any, **options: Any) -> tuple[Any, Any, Any]:
    """(ours, torch's, its parameter) from one start."""
    theirs = torch.nn.Parameter(torch.tensor(c))
    return getattr(optim, name)(c, **options), getattr(torch.optim, name)([theirs], **options), theirs


@pytest.mark.parametrize(("schedule", "how"), SCHEDULES, ids=[name for name, _ in SCHEDULES])
@pytest.mark.parametrize("name", NAMES)
def test_torchs_steps_under_its_schedules(name: str, schedule: str, how: dict[str, Any]) -> None:
    rng = np.random.default_rng(4)
    c = rng.standard_normal(6)
    mine, other, theirs = both(name, c, lr=0.01)
    torchs = getattr(torch.optim.lr_scheduler, schedule)(other, **how, **({"cycle_momentum": False} if schedule == "CyclicLR" else {}))
    ours = schedules.CyclicLR(**how) if schedule == "CyclicLR" else getattr(schedules, schedule)(0.01, **how)
    mine.lr = ours
    moved = np.zeros(6)
    for _ in range(25):
        g, before = rng.standard_normal(6), c.copy()
        theirs.grad = torch.tensor(g)
        mine.step(g)
        other.step()
        torchs.step()
        moved += abs(c - before)
        assert np.all(abs(c - theirs.detach().numpy()) <= UNITS.get(name, 16) * EPS * (abs(c) + moved))  # lr of both is rounded, too


PAIRS: dict[str, tuple[Any, Any]] = {  # ours, of lr = 0.1; torch's, of an optimizer
    "StepLR": (lambda s: s.StepLR(0.1, 7, 0.5), lambda o, L: L.StepLR(o, 7, 0.5)),
    "CosineAnnealingLR": (lambda s: s.CosineAnnealingLR(0.1, 20, 1e-3), lambda o, L: L.CosineAnnealingLR(o, 20, 1e-3)),
    "CosineAnnealingWarmRestarts": (
        lambda s: s.CosineAnnealingWarmRestarts(0.1, 5, 2, 1e-3), lambda o, L: L.CosineAnnealingWarmRestarts(o, 5, 2, 1e-3)),
    "MultiplicativeLR": (lambda s: s.MultiplicativeLR(0.1, lambda k: 0.93), lambda o, L: L.MultiplicativeLR(o, lambda k: 0.93)),
    "SWALR": (lambda s: s.SWALR(0.1, 0.05, 8), lambda o, L: torch.optim.swa_utils.SWALR(o, 0.05, 8)),
    "OneCycleLR": (lambda s: s.OneCycleLR(0.1, 31), lambda o, L: L.OneCycleLR(o, 0.1, 31, cycle_momentum=False)),
    "CyclicLR": (lambda s: s.CyclicLR(0.01, 0.1, 5), lambda o, L: L.CyclicLR(o, 0.01, 0.1, 5, cycle_momentum=False)),
    "SequentialLR": (
        lambda s: s.SequentialLR([s.LinearLR(0.1, 0.1, total_iters=5), s.CosineAnnealingLR(0.1, 30)], [5]),
        lambda o, L: L.SequentialLR(o, [L.LinearLR(o, 0.1, total_iters=5), L.CosineAnnealingLR(o, 30)], [5])),
    "ChainedScheduler": (
        lambda s: s.ChainedScheduler([s.ConstantLR(0.1, 0.5, 4), s.ExponentialLR(0.1, 0.9)]),
        lambda o, L: L.ChainedScheduler([L.ConstantLR(o, 0.5, 4), L.ExponentialLR(o, 0.9)])),
    "ReduceLROnPlateau": (
        lambda s: s.ReduceLROnPlateau(0.1, patience=2, factor=0.5, min_lr=0.004),
        lambda o, L: L.ReduceLROnPlateau(o, patience=2, factor=0.5, min_lr=0.004)),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore")  # torch's own, of lr_scheduler.step()
@pytest.mark.parametrize("name", PAIRS)
def test_a_schedule_scales_the_rate_of_each_group(name: str) -> None:
    """A group with an lr of its own kept it: 0.54 from torch after a run."""
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=3), rng.normal(size=2)
    theirs = [torch.tensor(one.copy(), requires_grad=True) for one in (a, b)]
    schedule = PAIRS[name][0](schedules)
    mine = optim.AdamW([{"params": a}, {"params": b, "lr": 0.03}], lr=schedule)
    other = torch.optim.AdamW([{"params": [theirs[0]]}, {"params": [theirs[1]], "lr": 0.03}], lr=0.1)
    scheduler = PAIRS[name][1](other, torch.optim.lr_scheduler)
    for k in range(30):
        grads = [rng.normal(size=3), rng.normal(size=2)]
        np.testing.assert_allclose(mine.rates, [group["lr"] for group in other.param_groups], rtol=1e-13)
        mine.step(grads)
        for tensor, g in zip(theirs, grads, strict=True):
            tensor.grad = torch.tensor(g)
        other.step()
        metric = abs(np.sin(k / 5)) + 1
        if name == "ReduceLROnPlateau":
            schedule.observe(metric)
            scheduler.step(metric)
        else:
            scheduler.step()
    for ours, tensor in zip((a, b), theirs, strict=True):
        np.testing.assert_allclose(ours, tensor.detach().numpy(), rtol=1e-13, atol=1e-14)


def test_a_run_of_asgd_moves_over_in_the_middle() -> None:
    """With its schedule: eta of the next step is in the state."""
    importlib.import_module("mflow.torch")
    rng = np.random.default_rng(5)
    c = torch.nn.Parameter(torch.tensor(rng.standard_normal(4)))
    other = torch.optim.ASGD([c], lr=0.05, lambd=0.01, t0=5)
    falls = torch.optim.lr_scheduler.ExponentialLR(other, gamma=0.8)
    gradients = rng.standard_normal((12, 4))

    def walk(opt: Any, p: Any, some: Any) -> None:
        for g in some:
            p.grad = torch.tensor(g)
            opt.step()

    for g in gradients[:6]:
        walk(other, c, [g])
        falls.step()
    import mflow.torch

    moved = torch.nn.Parameter(c.detach().clone())
    mine = mflow.torch.ASGD([moved])
    mine.load_state_dict(other.state_dict())
    walk(other, c, gradients[6:])
    walk(mine, moved, gradients[6:])
    np.testing.assert_allclose(moved.detach().numpy(), c.detach().numpy(), rtol=1e-14, atol=1e-15)


def test_the_first_step_of_rprop_is_as_long_as_lr_then() -> None:
    """Not as lr was when it was made."""
    c = np.zeros(2)
    opt = optim.Rprop(c, lr=0.5)
    opt.lr = 0.01
    opt.step(np.array([1.0, -2.0]))
    assert c.tolist() == [-0.01, 0.01]
    opt.lr = 0.5
    opt.step(np.array([1.0, -2.0]))
    np.testing.assert_allclose(c, [-0.022, 0.022], rtol=1e-12)


def spread_of(c: Any, lr: float, alpha: float, momentum: float) -> Any:
    """Centred RMSprop as torch writes it, to fifty digits: steps from here on."""
    number = np.vectorize(mpmath.mpf, otypes=[object])
    v = a = b = number(np.zeros(c.size))
    p, keep = number(c), mpmath.mpf(alpha)

    def step(g: Any) -> Any:
        nonlocal v, a, b, p
        with mpmath.workdps(50):
            g = number(g)
            v, a = keep * v + (1 - keep) * g**2, keep * a + (1 - keep) * g
            b = momentum * b + g / (np.array([mpmath.sqrt(one) for one in v - a**2]) + mpmath.mpf(1e-8))
            p = p - mpmath.mpf(lr) * b
            return p

    return step


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_the_spread_of_gradients_that_hardly_differ(momentum: float) -> None:
    """Their mean square and the square of their mean have all but four digits in common: torch's difference of them loses those, ours,
    which carries the spread, but the two that a gradient has in common with the mean."""
    rng = np.random.default_rng(3)
    c = rng.standard_normal(5)
    mine, other, theirs = both("RMSprop", c, lr=0.01, alpha=0.6, momentum=momentum, centered=True)
    exact, before, moved = spread_of(c, 0.01, 0.6, momentum), c.copy(), np.zeros(5)
    worst = {"mine": 0.0, "torch": 0.0}
    for _ in range(60):
        g = 1.0 + 1e-2 * rng.standard_normal(5)
        theirs.grad = torch.tensor(g)
        mine.step(g)
        other.step()
        want = exact(g)
        moved, before = moved + np.abs(want - before).astype(float), want
        for name, now in (("mine", c), ("torch", theirs.detach().numpy())):
            worst[name] = max(worst[name], float(np.max(np.abs(now - want) / (EPS * (np.abs(want) + moved)))))
    assert worst["mine"] <= 16.0
    assert worst["torch"] > 1000.0


def test_a_centred_run_moves_over_in_the_middle() -> None:
    """torch's mean of squares becomes the spread that is carried here."""
    import mflow.torch

    rng = np.random.default_rng(6)
    c = torch.nn.Parameter(torch.tensor(rng.standard_normal(4)))
    other = torch.optim.RMSprop([c], lr=0.05, alpha=0.8, centered=True, momentum=0.5)
    for k, g in enumerate(rng.standard_normal((12, 4))):
        if k == 6:
            moved = torch.nn.Parameter(c.detach().clone())
            mine = mflow.torch.RMSprop([moved], centered=True)
            mine.load_state_dict(other.state_dict())
        for opt, p in ((other, c), *(((mine, moved),) if k >= 6 else ())):
            p.grad = torch.tensor(g)
            opt.step()
    np.testing.assert_allclose(moved.detach().numpy(), c.detach().numpy(), rtol=1e-13, atol=1e-14)
