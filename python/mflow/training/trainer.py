"""One training run: where it stands, how it goes on, how it ends, and what a checkpoint holds of it.

    epoch e, batch b:   loss, g = fun(params, *batch)      c <- c + step(g)        once in `accumulate` batches
    end of an epoch:    validation, best parameters, schedules that follow a loss, callback, early stopping, checkpoint

All that the rest of a run depends on is (parameters, optimizer state, epoch, batch, generator as it was when the epoch began, schedules,
best so far, counters): that is what a checkpoint holds, so a run that resumes, in mid-epoch too, has the bits of one that never stopped.
`mflow.train` is the face; `mflow.training.train_compiled` has the steps of compiled objectives.
"""

from __future__ import annotations

import json
import math
import time
from array import array
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from mflow_core import registry
from mflow_core.objectives.objective import Objective
from mflow_core.optimize.arrangement import gather
from mflow_core.optimize.training import measured_step
from mflow_core.optimize.updater import Updater

from mflow import optim
from mflow.base.checks import Array, check_number
from mflow.base.methods import Method, as_method
from mflow.base.progress import Progress
from mflow.base.result import Result
from mflow.base.savefile import read_state, write_state
from mflow.optim.classes import spread
from mflow.optim.schedules import for_a_run
from mflow.training.feeds import Cost, Feed, checked_parts, in_parts

__all__ = ["TrainResult", "Trainer"]

GROWTH = 1e6  # a gradient that has grown by this on the way to a number that is not finite: the training diverged
PER_EPOCH = ("loss", "val_loss", "lr", "grad_norm", "time", "step")
PER_STEP = ("step_loss", "step_lr", "step_grad_norm")


class TrainResult(Result):
    """Result of `mflow.train`.

    params : arranged as they came: the best ones, by validation loss, else by the mean training loss of an epoch; without a loss, the last.
    last_params : likewise, as training left them.
    fun : the monitored loss of ``params``; best_epoch : its epoch, from 0 on; -1: params are those of the start.
    success, status : 0 all epochs done or stopped early, 1 max_steps, 2 stopped by a callback, -1 the rest.
    reason : "finished", "early_stopped", "max_steps", "callback", "non_finite", "diverged", "rhs_failed" (an exception), "interrupted".
    message : what happened, in words.
    epochs, nit, nfev : epochs begun, steps, evaluations of the gradient.
    history : a Result of float64 arrays. An entry an epoch: loss (mean over its rows), val_loss, lr, grad_norm (before clipping, mean),
        time (s), step (their number so far), effective_lr (with track_lr; smallest, median, largest). An entry a step: step_loss,
        step_lr, step_grad_norm.
    optimizer : the optimizer, bound to the arrays of last_params. seed : of the shuffling.
    """

    params: Any
    last_params: Any
    fun: float
    best_epoch: int
    success: bool
    status: int
    reason: str
    message: str
    epochs: int
    nit: int
    nfev: int
    history: Result
    optimizer: optim.Optimizer
    seed: int | None


class PerEpoch:
    """A schedule that counts epochs."""

    def __init__(self, schedule: Callable[[int], float], trainer: Trainer) -> None:
        self.schedule, self.trainer = schedule, trainer

    def __call__(self, step: int) -> float:
        return self.schedule(self.trainer.epoch)


class _Bar(Progress):
    """Progress in epochs, with the loss."""

    loss = math.nan

    def note(self, t: float) -> str:
        return f"epoch {t:.3g}" + ("" if math.isnan(self.loss) else f", loss {self.loss:.4g}")


def _whole(value: Any, name: str, least: int) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
        raise ValueError(f"{name} = {value!r}: a whole number from {least} on is wanted")
    return int(value)


ELSEWHERE = {  # what torch, Keras and scikit-learn call it: what it is called here
    "learning_rate": "lr", "schedule": "lr", "scheduler": "lr", "lr_scheduler": "lr", "n_epochs": "epochs", "max_iter": "epochs",
    "random_state": "seed", "rng": "seed", "verbose": "progress", "callbacks": "callback", "early_stopping": "patience",
    "val_data": "validation", "validation_data": "validation", "validation_split": "validation", "max_norm": "clip_norm",
    "max_grad_norm": "clip_norm", "clipnorm": "clip_norm", "clipvalue": "clip_value", "grad": "jac",
}  # fmt: skip


def make_optimizer(optimizer: Any, params: Any, parameters: dict[str, Any]) -> optim.Optimizer:
    """An optimizer bound to ``params``, from a name, a class or an instance of `mflow.Method`; one that is made already goes through."""
    if isinstance(optimizer, optim.Optimizer):
        if parameters:
            raise TypeError(f"{', '.join(parameters)}: the optimizer is made already; give it this when you make it")
        return optimizer
    for name in parameters:
        if name in ELSEWHERE:
            raise TypeError(f"{name}: here it is {ELSEWHERE[name]}=; see help(mflow.train)")
    if isinstance(optimizer, type) and issubclass(optimizer, optim.Optimizer):
        return optimizer(params, **parameters)
    if not isinstance(optimizer, (str, Method)):
        came = f"{optimizer.__module__}.{optimizer.__qualname__}" if isinstance(optimizer, type) else type(optimizer).__name__
        raise TypeError(f"optimizer: a name such as 'adam', or a class of mflow.optim or an instance of one, is wanted, not {came}")
    names = [row.name for row in registry.records() if row.kind == "update"]
    try:
        chosen = as_method(optimizer, {})
    except ValueError:
        raise ValueError(registry.unknown("optimizer: there is no", optimizer, names)) from None
    if chosen.kind != "update":
        raise ValueError(f"optimizer: {chosen.name} is no optimizer; there are: {', '.join(names)}")
    made: optim.Optimizer = getattr(optim, chosen.record.class_name)(params, **{**chosen.given, **parameters})
    return made


def _copies(params: Any) -> Any:
    """The parameters with float64 copies of NumPy arrays of real numbers, however they lie; what is none is left for others to judge."""
    if isinstance(params, dict):
        return {key: _copies(a) if not isinstance(a, (dict, list, tuple)) else a for key, a in params.items()}
    if isinstance(params, (list, tuple)):
        return [_copies(a) if not isinstance(a, (dict, list, tuple)) else a for a in params]
    if isinstance(params, np.ndarray) and params.dtype.kind in "fiub":
        return np.array(params, dtype=np.float64, order="C", subok=False)
    return params


class Trainer:
    """One training: what it is made of, where it stands, and how it goes on."""

    def __init__(self, model: Cost, feed: Feed, params: Any, optimizer: Any, parameters: dict[str, Any], schedule_per: str) -> None:
        self.model, self.feed = model, feed
        own = isinstance(optimizer, optim.Optimizer)
        flat, self.arranged = spread(params if own else _copies(params), "params")
        if not flat:
            raise ValueError("params: there are none; an array, or a list or dict of them, is wanted")
        if own:
            held = optimizer.arrays
            if len(held) != len(flat) or any(a is not b for a, b in zip(held, flat, strict=True)):
                raise ValueError("params: the optimizer is bound to other arrays; give the ones that it was made with, in their order")
            self.params = params
        else:
            flat = [a.copy() for a in flat]
            self.params = self._like(flat)
            parameters = {name: for_a_run(value) for name, value in parameters.items()}
        self.flat = flat
        self.opt = make_optimizer(optimizer, self.params, parameters)
        by_group = [self.opt.schedule_of(g) for g in range(len(self.opt.param_groups))]
        self.schedules = [s for s in by_group if s is not None]
        if model.has_loss and any(group["maximize"] for group in self.opt.param_groups):
            raise ValueError("maximize: the parameters of the least loss are kept: hand over the loss and gradient with the other sign")
        if schedule_per not in ("step", "epoch"):
            raise ValueError(f'schedule_per = {schedule_per!r}: "step" or "epoch" is wanted')
        self.facts: dict[str, Any] = {
            "optimizer": self.opt.record.name, "shapes": [list(a.shape) for a in flat], "schedule_per": schedule_per,
            "parameters": [{k: v for k, v in self.opt.parameters_of(g).items() if k != "lr" or s is None} for g, s in enumerate(by_group)],
            "schedules": [repr(s) if "object at" not in repr(s) and "<" not in repr(s) else type(s).__name__ for s in self.schedules],
            "clip_norm": self.opt.clip_norm,
        }  # fmt: skip
        if schedule_per == "epoch":
            for g, schedule in enumerate(by_group):
                if schedule is not None:
                    self.opt.set_schedule(g, PerEpoch(schedule, self))
        self._begin()

    def _begin(self) -> None:
        self.bar: _Bar | None = None
        self.epoch = self.batch = self.nit = self.nfev = self.waited = 0
        self.generator = np.random.default_rng(self.feed.seed if self.feed.seed is not None else 0)
        self.began_with = self.generator.bit_generator.state
        self.best, self.mark, self.best_epoch = math.inf, math.inf, -1
        self.best_flat = [a.copy() for a in self.flat]
        self.sum_loss = self.sum_weight = self.sum_norm = 0.0
        self.sum_steps = 0
        self.norm = self.loss = self.val_loss = math.nan
        self.elapsed, self.since = 0.0, time.perf_counter()
        self.epoch_rows = {name: array("d") for name in PER_EPOCH}
        self.step_rows = {name: array("d") for name in PER_STEP}
        self.appends = [self.step_rows[name].append for name in PER_STEP]
        self.rates = array("d")

    def configure(
        self, epochs: Any, accumulate: Any, max_steps: Any, validation: Any, metric: Any, patience: Any, min_delta: Any, track_lr: bool
    ) -> None:
        """How long it goes on, and what it is judged by."""
        self.epochs, self.accumulate = _whole(epochs, "epochs", 0), _whole(accumulate, "accumulate", 1)
        self.feed.refuse_epochs(self.epochs)
        self.max_steps = math.inf if max_steps is None else _whole(max_steps, "max_steps", 1)
        self.validation, self.metric, self.track_lr = validation, metric, track_lr
        self.patience = None if patience is None else _whole(patience, "patience", 1)
        self.min_delta = check_number(min_delta, "min_delta", "a number from 0 on")
        if self.min_delta < 0.0:
            raise ValueError(f"min_delta = {min_delta!r}: a number from 0 on is wanted")
        if metric is not None and validation is None:
            raise ValueError("metric: it is for validation data, and validation= is missing")
        if validation is not None and metric is None and not self.model.has_loss and not isinstance(validation, Objective):
            raise ValueError("validation: fun is a gradient alone: give metric=, or jac= to say what the loss is")
        if isinstance(validation, Objective) and (len(self.flat) != 1 or self.flat[0].size != validation.n):
            raise ValueError(f"validation: {validation!r} wants one array of {validation.n} parameters")
        if metric is None:
            self.validation = checked_parts(validation)
        elif isinstance(validation, tuple) and validation and hasattr(validation[0], "shape") and len(validation[0]) == 0:
            raise ValueError("validation: it has 0 rows; give at least one, or leave it away")
        if validation is not None and not callable(validation) and hasattr(validation, "__next__"):
            raise ValueError("validation: an iterator can be gone through once: give a list of batches, or arrays")
        if self.patience is not None and validation is None and not self.model.has_loss:
            raise ValueError("patience: there is no loss to watch: give jac=, or validation= and metric=")
        loss = "training loss" if self.model.has_loss else "nothing"
        self.facts["judged by"] = "metric" if metric is not None else loss if validation is None else "validation loss"

    def listen(self, callback: Any, step_callback: Any, progress: bool, checkpoint: Any, every: Any) -> None:
        """Whoever is told on the way."""
        for name, value in (("callback", callback), ("step_callback", step_callback)):
            if value is not None and not callable(value):
                raise TypeError(f"{name}: a function is wanted, not {type(value).__name__}")
        self.callback, self.step_callback, self.checkpoint = callback, step_callback, checkpoint
        self.every = None if every is None else _whole(every, "checkpoint_every", 1)
        if every is not None and checkpoint is None:
            raise ValueError("checkpoint_every is given without checkpoint=, the file to write")
        if checkpoint is not None and not Path(checkpoint).parent.is_dir():
            raise FileNotFoundError(f"checkpoint: there is no folder {Path(checkpoint).parent} to save it in")
        self.quiet = step_callback is None and every is None and not progress
        self.bar = _Bar(0.0, float(max(self.epochs, 1)), "train") if progress else None

    # ---- arrangements -------------------------------------------------------------------------------------------------------------------

    def _like(self, flat: list[Any]) -> Any:
        """Arrays arranged as the user's parameters are."""
        if self.arranged is None:
            return flat[0]
        return dict(zip(self.arranged, flat, strict=True)) if isinstance(self.arranged, list) else list(flat)

    # ---- the loop -----------------------------------------------------------------------------------------------------------------------

    def go(self) -> tuple[str, str]:
        """(reason, message)."""
        self.since = time.perf_counter()
        if not all(np.all(np.isfinite(a)) for a in self.flat):
            return "non_finite", "params are not finite at the start"
        while self.epoch < self.epochs:
            if self.nit >= self.max_steps:
                return "max_steps", f"max_steps = {self.max_steps} were taken before"
            if self.patience is not None and self.waited >= self.patience:
                return self._early()
            ending = self._one_epoch() or self._end_epoch()
            if ending is not None:
                return ending
        return "finished", f"{self.epochs} epochs, {self.nit} steps" + self._words()

    def _one_epoch(self) -> tuple[str, str] | None:
        """The batches of one epoch, from where it stands."""
        if self.batch == 0:
            self.began_with = self.generator.bit_generator.state
        total: list[Array] = []
        weight = loss_sum = 0.0
        count, seen, asks, model, arranged = 0, False, self.opt.record.asks, self.model, self.arranged
        for args, of_batch in self.feed.epoch(self.generator, self.epoch, self.batch):
            seen = True
            at = self._like(Updater.ask(self.opt)) if asks else self.params
            self.loss, grads = model.both(at, args)
            self.nfev += 1
            if model.has_loss and not math.isfinite(self.loss):
                return self._not_finite(f"the loss is {self.loss}", count + 1)
            flat = [grads] if arranged is None else gather(grads, arranged, "the gradient")
            count, rows = count + 1, of_batch
            if self.accumulate > 1:
                total = [rows * g for g in flat] if count == 1 else [t + rows * g for t, g in zip(total, flat, strict=True)]
                weight, loss_sum = weight + rows, loss_sum + rows * self.loss
                if count < self.accumulate and (self.feed.batches is None or self.batch + count < self.feed.batches):
                    continue
                flat, rows, self.loss = [np.asarray(t / weight) for t in total], weight, loss_sum / weight
            ending = self._update(flat, rows, count)
            if ending is not None:
                return ending
            count, weight, loss_sum = 0, 0.0, 0.0
        if count:  # a stream of unknown length ended in the middle of an accumulation
            ending = self._update([np.asarray(t / weight) for t in total], weight, count)
            if ending is not None:
                return ending
        if not seen and self.batch == 0:
            raise ValueError(f"data: there was no batch in epoch {self.epoch}: is it empty, or an iterator that is used up?")
        return None

    def _update(self, flat: list[Any], rows: float, count: int) -> tuple[str, str] | None:
        """One step, and what comes after it."""
        try:
            self.norm = norm = measured_step(self.opt, flat)
        except (TypeError, ValueError) as error:
            if str(error).startswith("g"):
                error.add_note("g is the gradient, as " + ("jac" if callable(self.model.jac) else "fun") + " returned it")
            raise
        if not math.isfinite(norm):
            return self._not_finite("the gradient is not finite", count)
        self.nit += 1
        self.batch += count
        self.sum_loss += rows * self.loss
        self.sum_weight += rows
        self.sum_norm += norm
        self.sum_steps += 1
        lr = self.opt.lr_of(0)
        keep_loss, keep_lr, keep_norm = self.appends
        keep_loss(self.loss)
        keep_lr(lr)
        keep_norm(norm)
        if self.quiet and self.nit < self.max_steps:
            return None
        return self._after(lr)

    def _after(self, lr: float) -> tuple[str, str] | None:
        """Whoever is to be told of a step, and whether it was the last."""
        stop = self.step_callback is not None and self._told(self.step_callback, lr, self.loss)
        if self.bar is not None:
            self.bar.loss = self.sum_loss / self.sum_weight
            self.bar.update(self.epoch + (self.batch / self.feed.batches if self.feed.batches else 0.0))
        if not stop and self.nit < self.max_steps:
            if self.every is not None and self.nit % self.every == 0:
                self.save()
            return None
        return self._stopped_inside(stop)

    def _stopped_inside(self, stop: bool) -> tuple[str, str]:
        """The ending of an epoch that stops before its end, or at it: the rest of it is not run, and what there is of it counts."""
        self.save()
        at = f"in epoch {self.epoch}, after {self.nit} steps"
        ending = self._close_epoch()
        if ending is not None:
            return ending
        return ("callback", f"the callback stopped it {at}") if stop else ("max_steps", f"max_steps = {self.max_steps} were taken, {at}")

    def _end_epoch(self) -> tuple[str, str] | None:
        ending = self._close_epoch()
        if ending is not None:
            return ending
        stop = self.callback is not None and self._told(self.callback, self.epoch_rows["lr"][-1], self.epoch_rows["loss"][-1])
        self.epoch, self.batch = self.epoch + 1, 0
        self.began_with = self.generator.bit_generator.state
        self.sum_loss = self.sum_weight = self.sum_norm = 0.0
        self.sum_steps = 0
        self.save()
        if stop:
            return "callback", f"the callback stopped it after epoch {self.epoch - 1}, {self.nit} steps"
        return None

    def _close_epoch(self) -> tuple[str, str] | None:
        """Validation and what follows from it; an ending where a number is not finite."""
        if not all(np.all(np.isfinite(a)) for a in self.flat):
            return self._not_finite("the parameters are not finite", 0)
        loss = self.sum_loss / self.sum_weight if self.sum_weight else math.nan
        self.val_loss = self._validate() if self.validation is not None else math.nan
        if self.validation is not None and not math.isfinite(self.val_loss):
            return self._not_finite(f"the validation loss is {self.val_loss}", None)
        self._write_down(loss)
        monitored = self.val_loss if self.validation is not None else loss
        if math.isnan(monitored) or monitored < self.best:
            self.best = math.nan if math.isnan(monitored) else monitored
            self.best_epoch = self.epoch
            for kept, now in zip(self.best_flat, self.flat, strict=True):
                kept[...] = now
        self.waited = 0 if monitored < self.mark - self.min_delta else self.waited + 1
        self.mark = monitored if self.waited == 0 else self.mark
        for schedule in {id(s): s for s in self.schedules}.values():
            if hasattr(schedule, "observe"):
                schedule.observe(monitored)
        return None

    def _write_down(self, loss: float) -> None:
        values = (loss, self.val_loss, self.opt.lr_of(0), self.sum_norm / max(self.sum_steps, 1), self._clock(), float(self.nit))
        for name, value in zip(PER_EPOCH, values, strict=True):
            self.epoch_rows[name].append(value)
        if self.track_lr:
            parts = self.opt.effective_lr()
            every = np.concatenate([np.ravel(a) for a in self.opt.flatten(parts)])
            self.rates.extend((float(every.min()), float(np.median(every)), float(every.max())))

    def _validate(self) -> float:
        if self.metric is not None:
            args = self.validation if isinstance(self.validation, tuple) else (self.validation,)
            return float(self.metric(self.params, *args))
        if isinstance(self.validation, Objective):
            return self.validation(self.flat[0])
        total = weight = 0.0
        for args, rows in in_parts(self.validation):
            total, weight = total + rows * self.model.loss(self.params, args), weight + rows
        if weight == 0.0:
            raise ValueError("validation: there was nothing in it")
        return total / weight

    def _told(self, callback: Callable[..., Any], lr: float, loss: float) -> bool:
        """Whether the callback wants to stop."""
        state = Result(params=self.params, loss=loss, val_loss=self.val_loss, lr=lr, grad_norm=self.norm, epoch=self.epoch, nit=self.nit)
        try:
            answer = callback(state)
        except StopIteration:
            return True
        if answer is None or isinstance(answer, (bool, np.bool_)):
            return bool(answer)
        raise TypeError(f"callback returned {type(answer).__name__}: True to stop, or nothing to go on, is wanted")

    # ---- endings ------------------------------------------------------------------------------------------------------------------------

    def _early(self) -> tuple[str, str]:
        what = "validation" if self.validation is not None else "training"
        return "early_stopped", f"the {what} loss has not fallen for {self.waited} epochs" + self._words()

    def _words(self) -> str:
        return "" if not math.isfinite(self.best) else f"; the least loss, {self.best:.6g}, was in epoch {self.best_epoch}"

    def _not_finite(self, what: str, into: int | None) -> tuple[str, str]:
        """The ending where ``what`` is, ``into`` batches after the last step; None: at the end of the epoch, with the validation data."""
        batch, at = ("", "the validation data") if into is None else (f", batch {self.batch + max(into - 1, 0)}", "that batch")
        where = f"in epoch {self.epoch}{batch}, after {self.nit} steps"
        kept = f"params are those of epoch {self.best_epoch}, the best"
        if self.best_epoch < 0:
            kept = "no epoch was completed: params are those of the start"
        norms = self.step_rows["step_grad_norm"]
        wild = not all(np.all(np.isfinite(a)) for a in self.flat) or (len(norms) and norms[-1] > GROWTH * max(norms[0], 1e-300))
        if wild:
            return "diverged", f"{what} {where}, and the gradients have grown beyond bounds: lower lr, or give clip_norm=; {kept}"
        return "non_finite", f"{what} {where}: look at {at} for what the loss cannot take; {kept}"

    def _clock(self) -> float:
        return self.elapsed + time.perf_counter() - self.since

    def _history(self) -> Result:
        rows = {name: np.array(values, dtype=np.float64) for name, values in (*self.epoch_rows.items(), *self.step_rows.items())}
        if self.track_lr:
            rows["effective_lr"] = np.array(self.rates, dtype=np.float64).reshape(-1, 3)
        return Result(rows)

    def result(self, reason: str, message: str) -> TrainResult:
        """What there is, with the ending in words."""
        status = {"finished": 0, "early_stopped": 0, "max_steps": 1, "callback": 2}.get(reason, -1)
        last = [a.copy() for a in self.flat]
        chosen, fun, epoch = [a.copy() for a in self.best_flat], self.best, self.best_epoch
        if epoch < 0 and reason in ("interrupted", "rhs_failed") and self.nit and all(np.all(np.isfinite(a)) for a in last):
            chosen, fun = [a.copy() for a in last], math.nan  # an exception in the first epoch: the last point is what there is
        return TrainResult(
            params=self._like(chosen), last_params=self._like(last), fun=fun if math.isfinite(fun) else math.nan, best_epoch=epoch,
            success=status == 0, status=status, reason=reason, message=message, epochs=len(self.epoch_rows["loss"]), nit=self.nit,
            nfev=self.nfev, history=self._history(), optimizer=self.opt, seed=self.feed.seed,
        )  # fmt: skip

    def close(self) -> None:
        """Leaves the optimizer as it came."""
        for g in range(len(self.opt.param_groups)):
            if isinstance(schedule := self.opt.schedule_of(g), PerEpoch):
                self.opt.set_schedule(g, schedule.schedule)
        if self.bar is not None:
            self.bar.close()

    # ---- checkpoints --------------------------------------------------------------------------------------------------------------------

    _COUNTERS = (
        "epoch", "batch", "nit", "nfev", "waited", "best", "mark", "best_epoch", "sum_loss", "sum_weight", "sum_norm", "sum_steps",
        "norm", "loss", "val_loss",
    )  # fmt: skip

    def save(self) -> None:
        """Write the checkpoint, if there is to be one. Nothing of the run changes."""
        if self.checkpoint is None:
            return
        state = self.opt.state_dict()
        vectors = state.pop("vectors")
        facts = {
            "call": self.facts, "seed": self.feed.seed, "generator": self.began_with, "optimizer": state, "elapsed": self._clock(),
            "counters": {name: getattr(self, name) for name in self._COUNTERS},
            "schedules": [s.state_dict() if hasattr(s, "state_dict") else {} for s in self.schedules],
        }  # fmt: skip
        blocks = {f"params {i}": a.tobytes() for i, a in enumerate(self.flat)}
        blocks |= {f"best {i}": a.tobytes() for i, a in enumerate(self.best_flat)}
        blocks |= {f"vector {i} {name}": v.tobytes() for i, by_name in enumerate(vectors) for name, v in by_name.items()}
        blocks |= {f"row {name}": values.tobytes() for name, values in (*self.epoch_rows.items(), *self.step_rows.items())}
        blocks["rates"] = self.rates.tobytes()
        write_state(self.checkpoint, "training", facts, blocks)

    def resume(self, path: Any, seed: int | None) -> None:
        """Go back to where a checkpoint was written. Raises ValueError where it belongs to another call."""
        facts, blocks = read_state(path, "training")
        mine = json.loads(json.dumps(self.facts))
        theirs = facts.get("call", {})
        wrong = [name for name in {**mine, **theirs} if theirs.get(name) != mine.get(name)]
        if wrong:
            was, here = theirs.get(wrong[0]), mine.get(wrong[0])
            text = f"{wrong[0]} was {was!r}, and is {here!r} here"
            raise ValueError(f"resume: {path} was written by a call with other {', '.join(wrong)}: {text}")
        if seed is not None and facts["seed"] is not None and seed != facts["seed"]:  # batches made elsewhere have none
            raise ValueError(f"resume: {path} was written with seed = {facts['seed']}, not {seed}: leave it away, or give the same")
        try:
            state = facts["optimizer"]
            names = self.opt.record.vectors
            state["vectors"] = [
                {n: np.frombuffer(blocks[f"vector {i} {n}"]).reshape(a.shape) for n in names if f"vector {i} {n}" in blocks}
                for i, a in enumerate(self.flat)
            ]
            self.opt.load_state_dict(state)
            for i, (now, kept) in enumerate(zip(self.flat, self.best_flat, strict=True)):
                now[...] = np.frombuffer(blocks[f"params {i}"]).reshape(now.shape)
                kept[...] = np.frombuffer(blocks[f"best {i}"]).reshape(kept.shape)
            for name, value in facts["counters"].items():
                setattr(self, name, value)
            for schedule, state in zip(self.schedules, facts["schedules"], strict=True):
                if hasattr(schedule, "load_state_dict"):
                    schedule.load_state_dict(state)
            for name, values in (*self.epoch_rows.items(), *self.step_rows.items(), ("", self.rates)):
                values.frombytes(blocks[f"row {name}" if name else "rates"])
            self.feed.seed, self.elapsed = facts["seed"], facts["elapsed"]
            self.began_with = self.generator.bit_generator.state = facts["generator"]
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"resume: {path} does not fit this call, or is damaged ({error})") from error
