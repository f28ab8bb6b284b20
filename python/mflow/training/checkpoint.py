"""Checkpoints of a training run: all that the rest of it depends on, and what it must have in common with the run that goes on.

The parameters, the best ones, the optimizer's vectors and scalars, the schedules, the counters, the history, and the seed, from which the
generator follows. Saving changes nothing of the run.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from mflow.base.savefile import misfit_of, read_state, write_state
from mflow.training.binding import Binding
from mflow.training.saved import Saved, counters_of

if TYPE_CHECKING:
    from mflow.training.trainer import Trainer

__all__ = ["facts_of", "restore", "save"]


def facts_of(binding: Binding, schedule_per: str) -> dict[str, Any]:
    """What a run must have in common with the one that goes on from its checkpoint, as JSON can hold it."""
    by_group = binding.by_group
    return {
        "optimizer": binding.opt.record.name, "shapes": [list(a.shape) for a in binding.flat], "schedule_per": schedule_per,
        "parameters": [{k: v for k, v in binding.opt.parameters_of(g).items() if k != "lr" or s is None} for g, s in enumerate(by_group)],
        "schedules": [repr(s) if "object at" not in repr(s) and "<" not in repr(s) else type(s).__name__ for s in binding.schedules],
        "clip_norm": binding.opt.clip_norm,
    }  # fmt: skip


def save(run: Trainer, path: Any) -> None:
    """Write a checkpoint."""
    binding, history = run.binding, run.history
    state = binding.opt.state_dict()
    vectors = state.pop("vectors")
    facts = {
        "call": run.facts, "seed": run.feed.seed, "optimizer": state, "elapsed": history.clock(),
        "counters": {name: getattr(owner, name) for owner, name in counters_of(run)},
        "schedules": [s.state_dict() if hasattr(s, "state_dict") else {} for s in binding.schedules],
    }  # fmt: skip
    blocks = {f"params {i}": a.tobytes() for i, a in enumerate(binding.flat)}
    blocks |= {f"best {i}": a.tobytes() for i, a in enumerate(run.monitor.best_flat)}
    blocks |= {f"vector {i} {name}": v.tobytes() for i, by_name in enumerate(vectors) for name, v in by_name.items()}
    blocks |= {f"row {name}": values.tobytes() for name, values in history.arrays()}
    blocks |= run.own_blocks()
    if run.mean is not None:
        mean = run.mean.state_dict()
        facts["mean"] = {name: mean[name] for name in ("seen", "n_averaged")}
        blocks |= {f"mean {i}": a.tobytes() for i, a in enumerate(mean["means"])}
    blocks["rates"] = history.rates.tobytes()
    write_state(path, "training", facts, blocks)


def restore(run: Trainer, path: Any, seed: int | None) -> None:
    """Go back to where a checkpoint was written. Raises ValueError where it belongs to another call, or no run can have come to that place;
    nothing is changed then."""
    facts, blocks = read_state(path, "training", "resume")
    _check_call(facts, run.facts, path)
    try:
        saved = Saved(run, facts, blocks)
        saved.check()
        if seed is not None and saved.seed is not None and seed != saved.seed:  # batches made elsewhere have none
            other = True
        else:
            other = False
            saved.apply(run)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"resume: {path} does not fit this call, or is damaged ({misfit_of(error)})") from error
    if other:
        raise ValueError(f"resume: {path} was written with seed = {saved.seed}, got seed = {seed}; omit seed, or give the same")


def _check_call(saved: dict[str, Any], call: dict[str, Any], path: Any) -> None:
    """Raises ValueError where the checkpoint was written by another call."""
    now, before = json.loads(json.dumps(call)), saved.get("call")
    before = before if isinstance(before, dict) else {}
    wrong = [name for name in {**now, **before} if before.get(name) != now.get(name)]
    if wrong:
        name = wrong[0]
        text = f"{name} was {before.get(name)!r}, and is {now.get(name)!r} here"
        raise ValueError(f"resume: {path} was written by a call with other {', '.join(wrong)}: {text}")
