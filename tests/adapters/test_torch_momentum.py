"""The momentum of SGD in mflow.torch, which a group or a schedule sets between two steps, against torch's."""

from __future__ import annotations

import copy
import importlib
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
OURS = importlib.import_module("mflow.torch")

WALKS: dict[str, list[dict[str, Any]]] = {
    "on": [{"momentum": 0.9}],
    "on, off and on": [{"momentum": 0.9}, {"momentum": 0.0}, {"momentum": 0.5}],
    "dampened": [{"momentum": 0.9, "dampening": 0.3}, {"momentum": 0.0}, {"momentum": 0.9, "dampening": 0.5}],
    "nesterov": [{"momentum": 0.9, "nesterov": True}, {"momentum": 0.8}, {"momentum": 0.0}, {"momentum": 0.9}, {"nesterov": False}],
}


class Run:
    """Two parameters and their optimizer."""

    def __init__(self, module: Any, groups: Callable[[Any, Any], Any], **options: Any) -> None:
        self.w = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64, requires_grad=True)
        self.v = torch.tensor([3.0], dtype=torch.float64, requires_grad=True)
        self.opt = module.SGD(groups(self.w, self.v), lr=0.01, **options)

    def walk(self, steps: int) -> None:
        for _ in range(steps):
            self.opt.zero_grad()
            ((self.w**2).sum() + (self.w[0] * self.v).cos().sum()).backward()
            self.opt.step()

    def end(self) -> Any:
        return np.concatenate([self.w.detach().numpy(), self.v.detach().numpy()])


def both(walk: Callable[[Run], Run | None], groups: Callable[[Any, Any], Any] = lambda w, v: [w, v], **options: Any) -> None:
    """The same walk by torch's optimizer and by ours leaves the same parameters."""
    ends = []
    for module in (torch.optim, OURS):
        run = Run(module, groups, **options)
        ends.append((walk(run) or run).end())
    assert np.isfinite(ends[0]).all()
    np.testing.assert_allclose(ends[1], ends[0], rtol=0, atol=1e-14)


@pytest.mark.parametrize("changes", WALKS.values(), ids=WALKS)
@pytest.mark.parametrize("again", [False, True])
def test_a_group_takes_up_a_momentum_and_lays_it_down(changes: list[dict[str, Any]], again: bool) -> None:
    """It was left out in silence. again: the optimizer is pickled between two steps, with a velocity that rests in it."""

    def walk(run: Run) -> Run:
        run.walk(2)
        for change in changes:
            run.opt.param_groups[0].update(change)
            run.walk(2)
            if again:
                run = pickle.loads(pickle.dumps(run)) if run.opt.__class__.__module__ == "mflow.torch" else copy.deepcopy(run)
        return run

    both(walk)


@pytest.mark.parametrize("schedule", ["OneCycleLR", "CyclicLR"])
@pytest.mark.parametrize("options", [{}, {"momentum": 0.9, "nesterov": True}])
def test_schedules_that_move_the_momentum(schedule: str, options: dict[str, Any]) -> None:
    """Without a momentum they refused our optimizer, and took torch's."""

    def walk(run: Run) -> None:
        made = torch.optim.lr_scheduler
        if schedule == "OneCycleLR":
            scheduler = made.OneCycleLR(run.opt, 0.02, total_steps=20)
        else:
            scheduler = made.CyclicLR(run.opt, 0.001, 0.02, step_size_up=5)
        for _ in range(19):
            run.walk(1)
            scheduler.step()
        assert run.opt.param_groups[0]["momentum"] > 0.5

    both(walk, **options)


def test_a_momentum_of_one_group() -> None:
    both(lambda run: run.walk(5), lambda w, v: [{"params": [w]}, {"params": [v], "momentum": 0.9, "nesterov": True}])


def test_a_state_with_nesterov_in_one_group_moves_over() -> None:
    theirs = Run(torch.optim, lambda w, v: [{"params": [w], "momentum": 0.9}, {"params": [v], "momentum": 0.9, "nesterov": True}])
    theirs.walk(3)
    ours = Run(OURS, lambda w, v: [{"params": [w]}, {"params": [v]}])
    ours.opt.load_state_dict(theirs.opt.state_dict())
    with torch.no_grad():
        ours.w.copy_(theirs.w)
        ours.v.copy_(theirs.v)
    theirs.walk(4)
    ours.walk(4)
    np.testing.assert_allclose(ours.end(), theirs.end(), rtol=0, atol=1e-14)


def test_what_does_not_go_together_is_refused() -> None:
    run = Run(OURS, lambda w, v: [w, v], momentum=0.9)
    run.walk(2)
    before = run.end()
    run.opt.param_groups[0].update(nesterov=True, dampening=0.5)
    with pytest.raises(ValueError, match=r"^nesterov: expected a momentum above 0 and dampening = 0"):
        run.walk(1)
    run.opt.param_groups[0].update(dampening=0.0)
    assert np.array_equal(run.end(), before)
    run.walk(1)
