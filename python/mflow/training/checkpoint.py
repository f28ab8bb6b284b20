"""Checkpoints of a training run: all that the rest of it depends on, and what it must have in common with the run that goes on.

The parameters, the best ones, the optimizer's vectors and scalars, the schedules, the counters, the history, and the generator as it was
when the epoch began. Saving changes nothing of the run.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from mflow.base.savefile import read_state, write_state
from mflow.training.binding import Binding

if TYPE_CHECKING:
    from mflow.training.trainer import Trainer

__all__ = ["facts_of", "restore", "save"]

COUNTERS = {
    "trainer": ("epoch", "batch", "nit", "nfev", "norm", "loss", "val_loss"),
    "monitor": ("waited", "best", "mark", "best_epoch"),
    "history": ("sum_loss", "sum_weight", "sum_norm", "sum_steps"),
}


def facts_of(binding: Binding, schedule_per: str) -> dict[str, Any]:
    """What a run must have in common with the one that goes on from its checkpoint, as JSON can hold it."""
    by_group = binding.by_group
    return {
        "optimizer": binding.opt.record.name, "shapes": [list(a.shape) for a in binding.flat], "schedule_per": schedule_per,
        "parameters": [{k: v for k, v in binding.opt.parameters_of(g).items() if k != "lr" or s is None} for g, s in enumerate(by_group)],
        "schedules": [repr(s) if "object at" not in repr(s) and "<" not in repr(s) else type(s).__name__ for s in binding.schedules],
        "clip_norm": binding.opt.clip_norm,
    }  # fmt: skip


def _counters(run: Trainer) -> list[tuple[Any, str]]:
    """(object, attribute) of each counter."""
    owners = {"trainer": run, "monitor": run.monitor, "history": run.history}
    return [(owners[owner], name) for owner, names in COUNTERS.items() for name in names]


def save(run: Trainer, path: Any) -> None:
    """Write a checkpoint."""
    binding, history = run.binding, run.history
    state = binding.opt.state_dict()
    vectors = state.pop("vectors")
    facts = {
        "call": run.facts, "seed": run.feed.seed, "generator": run.began_with, "optimizer": state, "elapsed": history.clock(),
        "counters": {name: getattr(owner, name) for owner, name in _counters(run)},
        "schedules": [s.state_dict() if hasattr(s, "state_dict") else {} for s in binding.schedules],
    }  # fmt: skip
    blocks = {f"params {i}": a.tobytes() for i, a in enumerate(binding.flat)}
    blocks |= {f"best {i}": a.tobytes() for i, a in enumerate(run.monitor.best_flat)}
    blocks |= {f"vector {i} {name}": v.tobytes() for i, by_name in enumerate(vectors) for name, v in by_name.items()}
    blocks |= {f"row {name}": values.tobytes() for name, values in history.arrays()}
    blocks["rates"] = history.rates.tobytes()
    write_state(path, "training", facts, blocks)


def restore(run: Trainer, path: Any, seed: int | None) -> None:
    """Go back to where a checkpoint was written. Raises ValueError where it belongs to another call."""
    facts, blocks = read_state(path, "training")
    _check_call(facts, run.facts, path)
    if seed is not None and facts["seed"] is not None and seed != facts["seed"]:  # batches made elsewhere have none
        raise ValueError(f"resume: {path} was written with seed = {facts['seed']}, got seed = {seed}; omit seed, or give the same")
    binding, monitor, history = run.binding, run.monitor, run.history
    try:
        state = facts["optimizer"]
        names = binding.opt.record.vectors
        state["vectors"] = [
            {n: np.frombuffer(blocks[f"vector {i} {n}"]).reshape(a.shape) for n in names if f"vector {i} {n}" in blocks}
            for i, a in enumerate(binding.flat)
        ]
        binding.opt.load_state_dict(state)
        for i, (now, kept) in enumerate(zip(binding.flat, monitor.best_flat, strict=True)):
            now[...] = np.frombuffer(blocks[f"params {i}"]).reshape(now.shape)
            kept[...] = np.frombuffer(blocks[f"best {i}"]).reshape(kept.shape)
        for owner, name in _counters(run):
            setattr(owner, name, facts["counters"][name])
        for schedule, state in zip(binding.schedules, facts["schedules"], strict=True):
            if hasattr(schedule, "load_state_dict"):
                schedule.load_state_dict(state)
        for name, values in history.arrays():
            values.frombytes(blocks[f"row {name}"])
        history.rates.frombytes(blocks["rates"])
        run.feed.seed, history.elapsed = facts["seed"], facts["elapsed"]
        run.began_with = run.generator.bit_generator.state = facts["generator"]
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"resume: {path} does not fit this call, or is damaged ({error})") from error


def _check_call(saved: dict[str, Any], call: dict[str, Any], path: Any) -> None:
    """Raises ValueError where the checkpoint was written by another call."""
    now, before = json.loads(json.dumps(call)), saved.get("call", {})
    wrong = [name for name in {**now, **before} if before.get(name) != now.get(name)]
    if wrong:
        name = wrong[0]
        text = f"{name} was {before.get(name)!r}, and is {now.get(name)!r} here"
        raise ValueError(f"resume: {path} was written by a call with other {', '.join(wrong)}: {text}")
