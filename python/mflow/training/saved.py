"""What a checkpoint of a training holds, checked field by field against the run that goes on: a checksum only says that the bytes are those
that someone wrote.

Most fields are said twice, by themselves and by the history: the counters, the last loss, the best one. They have to agree.
"""

from __future__ import annotations

import copy
import math
from array import array
from typing import TYPE_CHECKING, Any

import numpy as np

from mflow.base.checks import Array, check_number, check_whole
from mflow.optim.schedules_base import Schedule
from mflow.saving.fields import MANY
from mflow.saving.savefile import number_of, numbers_of

if TYPE_CHECKING:
    from mflow.training.trainer import Trainer

__all__ = ["Saved", "counters_of"]

WHOLE = {"epoch", "batch", "nit", "nfev", "waited", "sum_steps"}  # of the counters; best_epoch may be -1, the others are real numbers
COUNTERS = {
    "trainer": ("epoch", "batch", "nit", "nfev", "norm", "loss", "val_loss"),
    "monitor": ("waited", "best", "mark", "best_epoch"),
    "history": ("sum_loss", "sum_weight", "sum_norm", "sum_steps"),
}


def counters_of(run: Trainer) -> list[tuple[Any, str]]:
    """(object, attribute) of each counter."""
    owners = {"trainer": run, "monitor": run.monitor, "history": run.history}
    return [(owners[owner], name) for owner, names in COUNTERS.items() for name in names]


class Saved:
    """The fields of a checkpoint: read, checked, and only then put into the run.

    Every method raises KeyError, TypeError or ValueError, with the name of the field, where one does not fit.
    """

    def __init__(self, run: Trainer, facts: dict[str, Any], blocks: dict[str, bytes]) -> None:
        self.run, self.facts, self.blocks = run, facts, blocks
        self.seed = None if facts["seed"] is None else check_whole(facts["seed"], "seed")
        if (self.seed is None) != (run.feed.seed is None):
            raise ValueError(f"seed: expected {'none' if run.feed.seed is None else 'a whole number'}, got {self.seed!r}")
        self.before = check_whole(facts.get("before", 0), "before", 0, MANY)
        self.elapsed = check_number(facts["elapsed"], "elapsed", low=0.0)
        self.counters = {name: _counter(facts["counters"][name], name) for _, name in counters_of(run)}
        epochs, steps = self.counters["epoch"], self.counters["nit"]
        history = run.history
        self.rows: dict[str, Array] = {}
        for names, count in ((history.epochs, epochs), (history.steps, steps)):
            self.rows |= {name: numbers_of(blocks, f"row {name}", (count,), finite=False) for name in names}
        self.rates = numbers_of(blocks, "rates", (3 * epochs,) if blocks["rates"] else (0,), finite=False)
        flat = run.binding.flat
        self.params = [numbers_of(blocks, f"params {i}", a.shape, finite=False) for i, a in enumerate(flat)]
        self.best = [numbers_of(blocks, f"best {i}", a.shape) for i, a in enumerate(flat)]
        began = [numbers_of(blocks, f"began {i}", a.shape) for i, a in enumerate(flat) if f"began {i}" in blocks]
        self.began = began if len(began) == len(flat) and self.counters["sum_steps"] == 1 else []
        self.optimizer, self.schedules = self._optimizer(), self._schedules()
        self.mean = None if run.mean is None else self._mean()

    def _optimizer(self) -> dict[str, Any]:
        """The state as `load_state_dict` takes it, with the parameters of this call."""
        run, state, blocks = self.run, dict(self.facts["optimizer"]), self.blocks
        opt, names = run.binding.opt, run.binding.opt.record.vectors
        state["vectors"] = [
            {n: np.frombuffer(blocks[f"vector {i} {n}"]).reshape(a.shape) for n in names if f"vector {i} {n}" in blocks}
            for i, a in enumerate(run.binding.flat)
        ]
        for i, (by_name, now) in enumerate(zip(state["vectors"], self.params, strict=True)):
            for name, vector in by_name.items():
                if np.any(np.isnan(vector) & ~np.isnan(now)):  # a step that leaves one leaves the other
                    raise ValueError(f"vector {i} {name}: expected numbers, got nan beside a parameter that is none")
        check_whole(state["steps"], "optimizer: steps", self.counters["nit"], MANY)
        expected = self.counters["nit"] + self.before
        if state["steps"] - opt.steps != expected and opt.steps == 0 and run.binding.made:
            raise ValueError(f"optimizer: steps: expected {expected}, got {state['steps']!r}")
        if len(state["groups"]) != len(opt.param_groups):
            raise ValueError(f"optimizer: groups: expected {len(opt.param_groups)}, got {len(state['groups'])}")
        for g, (group, call) in enumerate(zip(state["groups"], self.run.facts["parameters"], strict=True)):
            group.pop("schedule", None)  # a checkpoint keeps them beside the groups
            given = {name: tuple(v) if isinstance(v, list) else v for name, v in group["parameters"].items()}
            wrong = [name for name, value in opt.parameters_of(g).items() if not _equal(given.get(name), value if name in call else None)]
            if [name for name in wrong if name in call] or set(given) != set(opt.parameters_of(g)):
                raise ValueError(f"optimizer: parameters: expected those of this call, got {group['parameters']}")
            check_number(given["lr"], "optimizer: lr", low=0.0)
            if group["maximize"] is not opt.maximizes(g):
                raise ValueError(f"optimizer: maximize: expected {opt.maximizes(g)}, got {group['maximize']!r}")
            self._check_scalars(g, group, state["steps"])
        return state

    def _check_scalars(self, g: int, group: dict[str, Any], steps: int) -> None:
        """The lr of the last step, and what the method carries beside its vectors, are those that so many steps lead to."""
        binding, rates = self.run.binding, self.rows["step_lr"]
        opt, scalars = binding.opt, [number_of(x, "optimizer: scalars") for x in group["scalars"]]
        if g == 0 and len(rates) and binding.made and binding.by_group[0] is not None and group["parameters"]["lr"] != rates[-1]:
            raise ValueError(f"optimizer: lr: expected {float(rates[-1])!r}, that of the last step, got {group['parameters']['lr']!r}")
        expected = opt._scalars_of(g, steps) if binding.made else scalars  # of one that was made before, its parameters may have changed
        if binding.made and binding.by_group[g] is not None:
            expected = [got if free else one for one, got, free in zip(expected, scalars, self._follow_lr(g, steps), strict=True)]
        if scalars != expected or not np.all(np.isfinite(scalars)):
            raise ValueError(f"optimizer: scalars: expected {expected}, as {steps} steps of {opt.record.name} leave them, got {scalars}")

    def _follow_lr(self, g: int, steps: int) -> list[bool]:
        """Which of the scalars depend on the rates of the steps before, which only the run has had (the sums of schedule-free methods)."""
        opt = self.run.binding.opt
        parameters, maximize = opt.parameters_of(g), opt.maximizes(g)
        once = opt._scalars_of(g, steps)
        opt.set_group(g, {**parameters, "lr": 2.0 * parameters["lr"] + 1.0}, maximize)
        twice = opt._scalars_of(g, steps)
        opt.set_group(g, parameters, maximize)
        return [a != b for a, b in zip(once, twice, strict=True)]

    def _mean(self) -> dict[str, Any]:
        """The state of the mean of the parameters, to which each step adds one."""
        counts = {name: check_whole(self.facts["mean"][name], f"mean: {name}", 0, MANY) for name in ("seen", "n_averaged")}
        if set(counts.values()) != {self.counters["nit"]}:
            raise ValueError(f"mean: expected one of {self.counters['nit']} points, got {counts}")
        return {**counts, "means": [numbers_of(self.blocks, f"mean {i}", a.shape) for i, a in enumerate(self.run.binding.flat)]}

    def _schedules(self) -> list[dict[str, Any]]:
        """The states of the schedules: the names and the kinds of numbers that they have now."""
        saved, schedules = self.facts["schedules"], self.run.binding.schedules
        if not isinstance(saved, list) or len(saved) != len(schedules):
            raise ValueError(f"schedules: expected {len(schedules)}, got {saved!r}")
        for state, schedule in zip(saved, schedules, strict=True):
            now = schedule.state_dict() if hasattr(schedule, "state_dict") else {}
            if not isinstance(state, dict) or set(state) != set(now):
                raise ValueError(f"schedules: expected {sorted(now)}, got {state!r}")
            for name, value in now.items():
                if isinstance(value, int):
                    check_whole(state[name], f"schedules: {name}", 0, MANY)
                elif isinstance(value, float):
                    (check_number if name == "lr" else number_of)(state[name], f"schedules: {name}")
            self._check_followed(schedule, state)
        return saved

    def _check_followed(self, schedule: Any, state: dict[str, Any]) -> None:
        """A schedule of the library that follows the loss stands where the losses of the history lead it."""
        if not isinstance(schedule, Schedule) or not hasattr(schedule, "observe"):
            return
        followed = copy.deepcopy(schedule)
        for loss in self.losses.tolist():
            followed.observe(loss)
        expected = followed.state_dict()
        wrong = [name for name, value in expected.items() if not _equal(state[name], value)]
        if wrong:
            name = wrong[0]
            raise ValueError(f"schedules: {name}: expected {expected[name]!r} after the losses of the history, got {state[name]!r}")

    @property
    def losses(self) -> Array:
        """The loss that the run is judged by, at the end of each epoch."""
        return self.rows["loss" if self.run.validation is None else "val_loss"]

    def check(self) -> None:
        """What two fields say of one thing is the same."""
        self._check_counters()
        self._check_monitor()
        known = {"rates", *(f"row {name}" for name in self.rows)}
        known |= {f"{kind} {i}" for kind in ("params", "best") for i in range(len(self.params))}
        known |= {f"began {i}" for i in range(len(self.began))}
        known |= {f"vector {i} {name}" for i, by_name in enumerate(self.optimizer["vectors"]) for name in by_name}
        known |= set(self.blocks) & {"descent", "gone on"} if self.run.facts.get("steps") and self.counters["nit"] else set()
        known |= {f"mean {i}" for i in range(len(self.params)) if self.mean is not None}
        if set(self.blocks) != known:
            raise ValueError(f"blocks: expected {', '.join(sorted(known))}, got {', '.join(sorted(self.blocks))}")

    def _check_counters(self) -> None:
        c, rows, batches, accumulate = self.counters, self.rows, self.run.feed.batches, self.run.accumulate
        ends = rows["step"]
        first = int(ends[-1]) if len(ends) and 0 <= ends[-1] <= c["nit"] else 0  # the step with which this epoch began
        if len(ends) and (ends[-1] != first or np.any(np.diff(ends) < 0) or not np.all(ends == np.floor(ends)) or ends[0] < 0):
            raise ValueError("row step: expected the numbers of steps at the ends of epochs, got others")
        most = accumulate * c["nit"] if self.run.one_each else MANY
        if batches is not None:
            steps = -(-c["batch"] // accumulate)
            if not 0 <= c["batch"] <= batches or steps != c["nit"] - first:
                raise ValueError(f"batch: expected the one after {c['nit'] - first} steps of the epoch, got {c['batch']}")
            if c["nfev"] < c["nit"] or (self.run.one_each and c["nfev"] != c["epoch"] * batches + c["batch"]):
                raise ValueError(f"nfev: expected {c['epoch'] * batches + c['batch']} after so many batches, got {c['nfev']}")
        elif not c["nit"] <= c["nfev"] <= most or not c["nit"] - first <= c["batch"] <= accumulate * (c["nit"] - first):
            raise ValueError(f"nfev, batch: expected as many as {c['nit']} steps make, got {c['nfev']} and {c['batch']}")
        for name, column in (("loss", "step_loss"), ("norm", "step_grad_norm"), ("val_loss", "val_loss")):
            expected = float(rows[column][-1]) if len(rows[column]) else math.nan
            if not _equal(c[name], expected):
                raise ValueError(f"{name}: expected {expected!r}, the last one of the history, got {c[name]!r}")
        if len(rows["time"]) and not self.elapsed >= rows["time"][-1]:
            raise ValueError(f"elapsed: expected at least the {rows['time'][-1]!r} of the history, got {self.elapsed!r}")
        self._check_sums(rows["step_loss"][first:], rows["step_grad_norm"][first:])

    def _check_sums(self, losses: Array, norms: Array) -> None:
        """The sums of the epoch under way, from the numbers of its steps."""
        c = self.counters
        if c["sum_steps"] != len(losses):
            raise ValueError(f"sum_steps: expected {len(losses)}, got {c['sum_steps']}")
        if not (c["sum_weight"] >= 0.0 and (c["sum_weight"] > 0.0) == (len(losses) > 0)):
            raise ValueError(f"sum_weight: expected the weight of {len(losses)} steps, got {c['sum_weight']!r}")
        for name, weight, values in (("sum_norm", len(norms), norms), ("sum_loss", c["sum_weight"], losses)):
            least, most = (float(np.min(values)), float(np.max(values))) if len(values) else (0.0, 0.0)
            mean, slack = c[name] / (weight or 1.0), 1e-9 * max(abs(least), abs(most))
            if not (least - slack <= mean <= most + slack or (math.isnan(mean) and math.isnan(least))):
                raise ValueError(f"{name}: expected a mean from {least!r} to {most!r}, got {mean!r}")

    def _check_monitor(self) -> None:
        """The best loss is the first of the least ones that the history has."""
        c = self.counters
        losses = self.losses
        best, where = math.inf, -1
        for epoch, loss in enumerate(losses.tolist()):
            if math.isnan(loss) or loss < best:
                best, where = loss, epoch
        if c["best_epoch"] != where or not _equal(c["best"], best):
            raise ValueError(f"best: expected {best!r} of epoch {where}, got {c['best']!r} of epoch {c['best_epoch']}")
        if not (c["mark"] == math.inf or np.any(losses == c["mark"])):
            raise ValueError(f"mark: expected a loss of the history, got {c['mark']!r}")
        since = len(losses) if c["mark"] == math.inf else len(losses) - 1 - int(np.flatnonzero(losses == c["mark"])[0])
        if not c["waited"] <= since:
            raise ValueError(f"waited: expected at most {since} epochs, got {c['waited']}")

    def apply(self, run: Trainer) -> None:
        """Everything goes into the run; the optimizer checks its own state first."""
        binding, history = run.binding, run.history
        binding.opt.load_state_dict(self.optimizer)
        for now, kept, params, best in zip(binding.flat, run.monitor.best_flat, self.params, self.best, strict=True):
            now[...], kept[...] = params, best
        run.monitor.began = self.began
        for owner, name in counters_of(run):
            setattr(owner, name, self.counters[name])
        run.take_blocks(self.blocks)
        if run.mean is not None and self.mean is not None:
            run.mean.load_state_dict(self.mean)
        for schedule, state in zip(binding.schedules, self.schedules, strict=True):
            if hasattr(schedule, "load_state_dict"):
                schedule.load_state_dict(state)
        for name, values in history.arrays():
            values.extend(array("d", self.rows[name].tolist()))
        history.rates.extend(array("d", self.rates.tolist()))
        run.before = self.before
        run.feed.seed, history.elapsed = self.seed, self.elapsed
        run.generator = np.random.default_rng(self.seed if self.seed is not None else 0)
        run.feed.skip(run.generator, run.epoch)


def _counter(value: Any, name: str) -> Any:
    if name in WHOLE or name == "best_epoch":
        return check_whole(value, name, -1 if name == "best_epoch" else 0, MANY)
    return number_of(value, name)


def _equal(a: Any, b: Any) -> bool:
    """Whether two values are equal, where NaN equals NaN."""
    return bool(a == b or (isinstance(a, float) and isinstance(b, float) and math.isnan(a) and math.isnan(b)))
