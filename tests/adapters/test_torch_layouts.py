"""Gradients and parameters of torch however they lie in memory, and the names that `mflow.torch` shows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import mflow

torch = pytest.importorskip("torch")
mt = pytest.importorskip("mflow.torch")

LAYOUTS: dict[str, Callable[[Any], Any]] = {
    "as it is": lambda g: g,
    "negated": lambda g: torch._neg_view(-g),
    "of a conjugate": lambda g: torch.complex(torch.zeros_like(g), -g).conj().imag,
    "every second": lambda g: torch.repeat_interleave(g, 2)[::2],
    "turned": lambda g: g.reshape(1, -1).t().contiguous().t()[0],
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("groups", [1, 2])
def test_gradients_mean_their_numbers(layout: str, groups: int) -> None:
    """Of a view of negatives the memory was taken, so the step went up."""
    wanted = torch.tensor([1.0, -2.0, 3.0], dtype=torch.float64)
    params = [torch.zeros(3, dtype=torch.float64, requires_grad=True) for _ in range(groups)]
    for p in params:
        p.grad = LAYOUTS[layout](wanted)
    mt.SGD([{"params": [p]} for p in params], lr=0.5).step()
    for p in params:
        assert p.tolist() == [-0.5, 1.0, -1.5]
        assert p.grad.tolist() == wanted.tolist()


def test_a_gradient_of_two_groups_that_is_not_finite_changes_nothing() -> None:
    params = [torch.ones(2, dtype=torch.float64, requires_grad=True) for _ in range(2)]
    for p, value in zip(params, (1.0, float("nan")), strict=True):
        p.grad = torch.tensor([0.0, value], dtype=torch.float64)
    with pytest.raises(FloatingPointError, match="not finite: nothing was changed"):
        mt.SGD([{"params": [p]} for p in params], lr=0.5).step()
    assert [p.tolist() for p in params] == [[1.0, 1.0]] * 2


def test_a_parameter_that_is_a_view_of_negatives_is_refused() -> None:
    with pytest.raises(ValueError, match=r"params\[0\]: expected numbers as they lie in memory, .*resolve_neg\(\)"):
        mt.SGD([torch._neg_view(torch.ones(2, dtype=torch.float64)).requires_grad_()], lr=0.1)


def test_dir_shows_optimizers_alone() -> None:
    assert set(dir(mflow.torch)) == {"Optimizer"} | {
        name for name, value in vars(mflow.optim).items() if isinstance(value, type) and issubclass(value, mflow.optim.Optimizer)
    }
