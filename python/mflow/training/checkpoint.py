"""Checkpoints of a training run: all that the rest of it depends on, and what it must have in common with the run that goes on.

The parameters, the best ones, the optimizer's vectors and scalars, the schedules, the counters, the history, and the seed, from which the
generator follows. Saving changes nothing of the run.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from mflow.saving.saved_run import is_training, read_run
from mflow.saving.savefile import misfit_of, read_state, write_state
from mflow.training.binding import Binding
from mflow.training.saved import Saved, counters_of

if TYPE_CHECKING:
    from mflow.training.trainer import Trainer

__all__ = ["facts_of", "restore", "save", "take_over"]


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
    for group in state["groups"]:
        group.pop("schedule", None)  # beside them, under "schedules"
    facts = {
        "call": run.facts, "before": run.before, "seed": run.feed.seed, "optimizer": state, "elapsed": history.clock(),
        "counters": {name: getattr(owner, name) for owner, name in counters_of(run)},
        "schedules": [s.state_dict() if hasattr(s, "state_dict") else {} for s in binding.schedules],
    }  # fmt: skip
    blocks = {f"params {i}": a.tobytes() for i, a in enumerate(binding.flat)}
    blocks |= {f"best {i}": a.tobytes() for i, a in enumerate(run.monitor.best_flat)}
    if history.sum_steps == 1 and run.batch:  # where this epoch has one step, its loss is the loss there
        blocks |= {f"began {i}": a.tobytes() for i, a in enumerate(run.monitor.began)}
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
    if not is_training(path):
        take_over(run, path)
        return
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


def take_over(run: Trainer, path: Any) -> None:
    """Go on from the state of a run of another kind (`mflow.saving.saved_run`): parameters and the optimizer's state, at epoch 0. Raises
    ValueError where its method or its size is another; nothing is changed then."""
    saved, opt, flat = read_run(path, "resume"), run.binding.opt, run.binding.flat
    try:
        if len(opt.param_groups) != 1 or opt.maximizes(0):
            raise ValueError("groups: expected an optimizer with one group, which minimizes")
        free = {"lr"} if run.binding.by_group[0] is not None else set()
        mine, theirs = opt.parameters_of(0), saved.method.all_numbers
        differs = [n for n, value in mine.items() if n not in free and theirs.get(n) != value]
        if saved.method.name != opt.record.name or differs:
            raise ValueError(f"optimizer: expected {opt.record.name} with {mine}, got {saved.method!r}")
        sizes = [a.size for a in flat]
        if sum(sizes) != saved.vectors[0].size:
            raise ValueError(f"params: expected {sum(sizes)} numbers, got {saved.vectors[0].size}")
        parts = [np.split(vector, np.cumsum(sizes)[:-1]) for vector in saved.vectors]
        names = opt.record.vectors[1 : len(parts)]
        vectors = [{name: part[i].reshape(a.shape) for name, part in zip(names, parts[1:], strict=True)} for i, a in enumerate(flat)]
        group = {"parameters": dict(mine), "maximize": False, "scalars": saved.scalars}
        if not free and saved.scalars != opt._scalars_of(0, saved.k):
            raise ValueError(f"scalars: expected {opt._scalars_of(0, saved.k)} after {saved.k} steps, got {saved.scalars}")
        opt.load_state_dict({"method": opt.record.name, "steps": saved.k, "groups": [group], "vectors": vectors})
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"resume: {path} does not fit this call, or is damaged ({misfit_of(error)})") from error
    for now, best, part in zip(flat, run.monitor.best_flat, parts[0], strict=True):
        now[...] = best[...] = part.reshape(now.shape)
    run.before = saved.k


def _check_call(saved: dict[str, Any], call: dict[str, Any], path: Any) -> None:
    """Raises ValueError where the checkpoint was written by another call."""
    now, before = json.loads(json.dumps(call)), saved.get("call")
    before = before if isinstance(before, dict) else {}
    wrong = [name for name in {**now, **before} if before.get(name) != now.get(name)]
    if wrong:
        name = wrong[0]
        was, here = before.get(name), now.get(name)
        pair = ([was], [here]) if name == "data" and isinstance(was, dict) and isinstance(here, dict) else (was, here)
        changed = _changed(*pair) if name in ("parameters", "data") else []
        text = ", ".join(changed) or f"{name} was {was!r}, and is {here!r} here"
        if changed and all(one.startswith("lr ") for one in changed):
            text += (
                "; resume with the same. For another lr from here on, with the moments kept, go on with the optimizer of a "
                "result: opt = result.optimizer; opt.lr = ...; mflow.train(fun, None, data, opt). An lr that is a function of the step "
                "from the first call on may change"
            )
        raise ValueError(f"resume: {path} was written by a call with other {', '.join(wrong)}: {text}")


def _changed(before: Any, now: Any) -> list[str]:
    """The parameters of groups that differ, in words."""
    if not (isinstance(before, list) and len(before) == len(now) and all(isinstance(group, dict) for group in before)):
        return []
    pairs = [(name, was.get(name, "a schedule"), here.get(name, "a schedule")) for was, here in zip(before, now, strict=True) for name in
             {**here, **was}]  # fmt: skip
    return [f"{name} was {was}, and is {here} here" for name, was, here in pairs if was != here]
