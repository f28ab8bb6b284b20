"""The table of docs/coming_from/torch.md: what a step of an optimizer costs for tensors of torch, and for arrays.

python bench/torch_steps.py                 one thread, the best of 7 loops of 2000 steps, in microseconds of processor time
python bench/torch_steps.py --repeats 30    on a machine that is not quiet
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

import mflow
import mflow.torch

SHAPES = [(32, 20), (32,), (24, 32), (24,), (10, 24), (10,)]  # a network of three layers
STEPS = 2000
KINDS: dict[str, tuple[str, dict[str, float]]] = {
    "SGD": ("SGD", {}), "SGD with a momentum": ("SGD", {"momentum": 0.9}), "Adam": ("Adam", {}),
}  # fmt: skip


def step_of_tensors(optimizer: Any, options: dict[str, float]) -> Callable[[], Any]:
    """A step of an optimizer of torch, or of `mflow.torch`, whose gradients stay as they are."""
    tensors = [torch.ones(shape, dtype=torch.float64, requires_grad=True) for shape in SHAPES]
    for tensor in tensors:
        tensor.grad = torch.full_like(tensor, 1e-3)
    return optimizer(tensors, lr=1e-3, **options).step  # type: ignore[no-any-return]


def step_of_arrays(optimizer: Any, options: dict[str, float]) -> Callable[[], Any]:
    """A step of `mflow.optim`."""
    made = optimizer([np.ones(shape) for shape in SHAPES], lr=1e-3, **options)
    gradients = [np.full(shape, 1e-3) for shape in SHAPES]
    return lambda: made.step(gradients)


def microseconds(step: Callable[[], Any], repeats: int) -> float:
    """Of processor time, the best loop."""
    best = float("inf")
    for _ in range(repeats):
        begun = time.process_time()
        for _ in range(STEPS):
            step()
        best = min(best, time.process_time() - begun)
    return 1e6 * best / STEPS


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=7)
    repeats = parser.parse_args().repeats
    torch.set_num_threads(1)
    print("| | `mflow.torch` | `torch.optim` | arrays in `mflow.optim` |", "|---|---|---|---|", sep="\n")
    for title, (name, options) in KINDS.items():
        steps = [step_of_tensors(getattr(mflow.torch, name), options), step_of_tensors(getattr(torch.optim, name), options)]
        times = [microseconds(step, repeats) for step in (*steps, step_of_arrays(getattr(mflow.optim, name), options))]
        print(f"| {title} | " + " | ".join(f"{value:.{0 if value > 10 else 1}f}" for value in times) + " |", flush=True)


if __name__ == "__main__":
    main()
