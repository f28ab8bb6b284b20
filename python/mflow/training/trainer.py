"""One training run: where it stands, and how it goes on.

    epoch e, batch b:   loss, g = fun(params, *batch)      c <- c + step(g)        once in `accumulate` batches
    end of an epoch:    validation, best parameters, schedules that follow a loss, callback, early stopping, checkpoint

All that the rest of a run depends on is (parameters, optimizer state, epoch, batch, seed, schedules, best so far, counters): that is what a
checkpoint holds (the generator stands where so many epochs from the seed have taken it), so a run that resumes, in mid-epoch too, has the
bits of one that never stopped.
`mflow.train` is the face; `mflow.training.train_compiled` has the steps of compiled objectives.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any

import numpy as np
from mflow_core.optimize.training import measured_step
from mflow_core.optimize.updater import StepRefused, Updater

from mflow.base.checks import Array, check_choice, check_flags, check_number, check_path, check_whole, real_array
from mflow.base.progress import Progress, asks_to_stop
from mflow.base.result import Result
from mflow.base.telling import counted, tell
from mflow.curvature.probe import Probe
from mflow.curvature.watch import Watch, watch_of
from mflow.derivatives.remainder import GradientWarning, Verdict, gradient_model, quick, said_of
from mflow.optim.averages import EMA, SWA, Average
from mflow.optim.schedules_base import end_of
from mflow.training import checkpoint, endings
from mflow.training.binding import Binding
from mflow.training.endings import Ending, TrainResult
from mflow.training.feeds import Args, Cost, Feed
from mflow.training.history import History
from mflow.training.monitor import Monitor, validation_of

__all__ = ["Trainer"]


class Trainer:
    """One training: what it is made of, where it stands, and how it goes on.

    one_each: whether a batch is one evaluation. loss_before: whether the loss of a step is that of the point before it.
    """

    one_each = loss_before = True

    def __init__(self, model: Cost, feed: Feed, params: Any, optimizer: Any, parameters: dict[str, Any], schedule_per: str) -> None:
        self.model, self.feed = model, feed
        self.binding = binding = Binding(params, optimizer, parameters)
        self.params, self.flat, self.opt = binding.params, binding.flat, binding.opt
        if model.has_loss and any(group["maximize"] for group in self.opt.param_groups):
            raise ValueError(
                "maximize: the parameters of the least loss are kept, got maximize=True; give the loss and its gradient with the other sign"
            )
        check_choice(schedule_per, "schedule_per", ("step", "epoch"))
        self.facts = checkpoint.facts_of(binding, schedule_per)
        if schedule_per == "epoch":
            binding.count_epochs(lambda: self.epoch)
        self.history, self.monitor = History(), Monitor(self.flat)
        self.probe = Probe(model, binding, feed)
        self.watch: Watch | None = None
        self.bar: Progress | None = None
        self.mean: Average | None = None
        self.log: Callable[[dict[str, float]], Any] | None = None
        self.log_steps = False
        self.epoch = self.batch = self.nit = self.nfev = 0
        self.before = 0  # steps of the optimizer in the run of another kind that this one goes on from
        self.generator = np.random.default_rng(feed.seed if feed.seed is not None else 0)
        self.norm = self.loss = self.val_loss = math.nan
        self.checks, self.verdict = False, Verdict("unknown", 0)
        self.checks_late, self.args, self.where = False, (), "x0"  # see `doubt`
        self.failing: Args | None = None  # the batch whose loss or gradient is not finite, where it is known
        self.passed: str | None = None  # the limit that lr has passed, in words, once it has been looked for
        self.held, self.largest = "", 0.0  # what is said of parameters that stand still, the largest gradient before this epoch

    def configure(
        self, epochs: Any, accumulate: Any, max_steps: Any, validation: Any, metric: Any, patience: Any, min_delta: Any, track_lr: bool
    ) -> None:
        """How long the training goes on, and the loss that it is judged by."""
        self.epochs, self.accumulate = check_whole(epochs, "epochs"), check_whole(accumulate, "accumulate", 1)
        self.feed.refuse_epochs(self.epochs)
        self.max_steps = math.inf if max_steps is None else check_whole(max_steps, "max_steps", 1)
        self.monitor.patience = None if patience is None else check_whole(patience, "patience", 1)
        self.monitor.min_delta = check_number(min_delta, "min_delta", low=0.0)
        self.validation = validation_of(validation, metric, self.model, self.flat)
        if patience is not None and validation is None and not self.model.has_loss:
            raise ValueError("patience: there is no loss to watch; give jac=, or validation= and metric=")
        check_flags(track_lr=track_lr)
        self.history.track_lr = bool(track_lr)
        loss = "training loss" if self.model.has_loss else "nothing"
        self.facts["judged by"] = "metric" if metric is not None else loss if validation is None else "validation loss"

    def listen(self, callback: Any, step_callback: Any, progress: bool, path: Any, every: Any) -> None:
        """Who is told on the way, and the checkpoint to write."""
        for name, value in (("callback", callback), ("step_callback", step_callback)):
            if value is not None and not callable(value):
                raise TypeError(f"{name}: expected a function, got {type(value).__name__}")
        check_flags(progress=progress)
        self.callback, self.step_callback, self.path = callback, step_callback, path
        self.every = None if every is None else check_whole(every, "checkpoint_every", 1)
        if every is not None and path is None:
            raise ValueError("checkpoint_every: there is no file to write; give checkpoint= as well")
        if path is not None:
            self.path = check_path(path, "checkpoint")
        self.quiet = step_callback is None and every is None and not progress
        self.bar = Progress(0.0, float(max(self.epochs, 1)), "train", note=self._note) if progress else None

    def average(self, kind: Any) -> None:
        """A mean of the parameters, taken after each step."""
        if kind is None:
            return
        if isinstance(kind, str):
            self.mean = (SWA if check_choice(kind, "average", ("swa", "ema")) == "swa" else EMA)(list(self.flat))
        else:
            decay = check_number(kind, "average", '"swa", "ema" or a decay in (0, 1)', low=0.0, high=1.0, open_low=True, open_high=True)
            self.mean = EMA(list(self.flat), decay)
        self.facts["average"] = kind if isinstance(kind, str) else float(kind)
        self.quiet = False

    def tell_log(self, log: Any, per: Any) -> None:
        """Who gets a plain dict of numbers, after each epoch or each step."""
        check_choice(per, "log_per", ("epoch", "step"))
        if log is None:
            return
        if not callable(log):
            raise TypeError(f"log: expected a function of a dict, got {type(log).__name__}")
        self.log, self.log_steps = log, per == "step"
        self.quiet = self.quiet and not self.log_steps

    @property
    def each_step(self) -> bool:
        """Whether Python takes part after each step."""
        return self.step_callback is not None or self.mean is not None or self.log_steps

    def check_rates(self) -> None:
        """Raises ValueError where a schedule ends before the run does, whose number of steps is known; where the run may be stopped before
        that, it is a warning."""
        per = self.feed.batches if self.feed.batches is None else -(-self.feed.batches // self.accumulate)
        per_epoch = self.facts["schedule_per"] == "epoch"
        if not self.binding.schedules or (per is None and not per_epoch):
            return
        total: float = self.epochs
        if per is not None and not per_epoch:
            left = (self.epochs - self.epoch) * per - self.batch // self.accumulate
            total = self.opt.steps + max(0, min(left, self.max_steps - self.nit))
        for schedule in self.binding.schedules:
            if total <= end_of(schedule):
                continue
            name, ends = type(schedule).__name__, int(end_of(schedule))
            unit, fewer = ("epoch", "epochs") if per_epoch else ("step", "max_steps")
            text = f"lr: expected a schedule for the {counted(int(total), unit)} of this run, got {name}, which ends after {ends}"
            text += f"; make it longer, as by total_steps={int(total)}, or give {fewer}={ends}"
            may_stop = self.monitor.patience or self.callback or self.step_callback or (per_epoch and not math.isinf(self.max_steps))
            if not may_stop:
                raise ValueError(text)
            tell(f"train: {text}, unless it is stopped before")

    def own_blocks(self) -> dict[str, bytes]:
        """What a checkpoint holds beside the parameters and the optimizer."""
        return {}

    def take_blocks(self, blocks: dict[str, bytes]) -> None:
        """Goes on from what `own_blocks` gave; ValueError or KeyError where it does not fit. The parameters are in place."""

    def look_at(self, monitor: Any, every: Any, data: Any) -> None:
        """What is measured of the loss on the way: its curvature, each so many steps, on these data."""
        self.watch = watch_of(monitor, every, "train", self.opt.record.name)
        if self.watch is None:
            if data is not None:
                raise ValueError('monitor_data: nothing is measured on it; give monitor="curvature"')
            return
        self.probe.fix(data)
        self.quiet = False

    def check_gradient(self, check: Any) -> None:
        """Whether the first gradient is compared with the loss of its own batch, which is at hand: nothing is drawn for it."""
        check_flags(check_gradient=check)
        self.checks = self.checks_late = bool(check) and self.model.has_loss

    @property
    def _has_batch(self) -> bool:
        """Whether the last batch is at hand: not where a run that was finished is resumed."""
        return bool(self.args) or type(self.feed) is Feed

    def doubt(self) -> None:
        """Compares the gradient of the last batch with its loss, at the parameters that are kept, where the loss went up and nothing is
        known from before: after the run, so that its numbers are those without."""
        if self.checks_late and self.nit and self._has_batch and all(np.isfinite(a).all() for a in self.monitor.best_flat):
            self.where = "the params that are kept"
            with np.errstate(all="ignore"):
                loss, grads = self.model.both(self.binding.like([a.copy() for a in self.monitor.best_flat]), self.args)
                self._compare(self.args, self.binding.gathered(grads, "the gradient"), self.monitor.best_flat, loss)
            self.verdict = self.verdict._replace(ncheck=self.verdict.ncheck + 1)

    def _compare(self, args: Args, flat: list[Any], at: list[Array], value: float) -> None:
        """A gradient with the loss of the same batch, which has this value at these parameters."""
        self.checks = self.checks_late = False
        before = self.verdict.ncheck
        if not all(hasattr(g, "shape") for g in flat):
            return  # the step has words for it
        parts, ends = [real_array(g, "the gradient") for g in flat], np.cumsum([a.size for a in at])[:-1]
        if any(g.shape != a.shape or not np.isfinite(g).all() for g, a in zip(parts, at, strict=True)):
            return

        def loss(x: Array) -> Any:
            return self.model.loss(
                self.binding.like([part.reshape(a.shape).copy() for part, a in zip(np.split(x, ends), at, strict=True)]), args
            )

        x, grad = (np.concatenate([np.asarray(a, dtype=np.float64).ravel() for a in arrays]) for arrays in (at, parts))
        if x.size:
            self.verdict = quick(gradient_model(loss, x, value, grad))
            self.verdict = self.verdict._replace(ncheck=before + self.verdict.ncheck)
            self.checks_late = self.verdict.kind == "unknown" and not before
        if self.wrong:
            tell(f"train: {self.wrong}", GradientWarning)

    @property
    def wrong(self) -> str:
        """What is wrong with the gradient; empty where nothing is known to be."""
        return said_of(self.verdict, "gradient", "loss", self.where) if self.verdict.kind == "wrong" else ""

    # ---- the loop -----------------------------------------------------------------------------------------------------------------------

    def go(self) -> Ending:
        """Train until the run ends, with looks at the curvature before it and after."""
        ending = self._go()
        if ending.reason in ("max_steps", "callback"):
            self._judge_last()
        means = self.history.epochs["loss"]
        if len(means) > 1 and means[-1] > means[0]:
            self.doubt()
        if self.watch is not None and self.watch.last != self.nit > 0 and endings.STATUS.get(ending.reason, -1) >= 0:
            self.probe.look(self.watch, self.nit)
        return ending

    def _go(self) -> Ending:
        self.history.start_clock()
        if not self.binding.finite:
            return Ending("non_finite", "params are not finite at the start")
        if self.watch is not None and self.nit == 0:
            self.probe.look(self.watch, 0)
        while self.epoch < self.epochs:
            if self.nit >= self.max_steps:
                before = Ending("max_steps", f"max_steps = {self.max_steps} were taken before")
                return (self._close_epoch() if self.batch else None) or before  # its part of an epoch counts, as it did in that run
            if self.monitor.out_of_patience:
                self._judge_last()
                return endings.early_stopped(self)
            if self.batch == 0:
                self._begin_epoch()
            ending = self._one_epoch() or self._end_epoch()
            if ending is not None:
                return ending
        self._judge_last()
        return endings.finished(self)

    @property
    def _judges_before(self) -> bool:
        """Whether what a training is judged by is computed before each step."""
        return self.loss_before and self.model.has_loss and self.validation is None

    def is_one_step(self, epoch: int) -> bool:
        """Whether the loss of this epoch is that of the parameters before its only step."""
        ends = [0.0, *self.history.epochs["step"]]
        return self._judges_before and 0 <= epoch < len(ends) - 1 and ends[epoch + 1] - ends[epoch] == 1.0

    def _begin_epoch(self) -> None:
        """Keeps where the first gradient of the epoch is evaluated: the loss of an epoch of one step is the loss there."""
        if self._judges_before:
            self.monitor.began = [np.array(a) for a in (Updater.ask(self.opt) if self.opt.record.asks else self.flat)]

    def _judge_last(self) -> None:
        """The loss of the last parameters, which no epoch of one step has: they are the best where it is less than all others."""
        epoch = len(self.history.epochs["step"]) - 1
        if not self.is_one_step(epoch):
            return
        if not self.feed.drawn:  # the batches of the epoch that would follow
            batches = list(self.feed.epoch(copy.deepcopy(self.generator), self.epoch, 0))
        elif self._has_batch and self.accumulate == 1:
            batches = [(self.args, 1.0)]
        else:
            return
        total = sum(rows * self._loss_of(args) for args, rows in batches)
        self.monitor.judge(total / sum(rows for _, rows in batches), epoch, self.flat)

    def is_finite_at(self, arrays: list[Array], args: Args | None) -> bool:
        """Whether the loss and the gradient of a batch are finite at these parameters; of None, the loss of the validation data."""
        copies = [a.copy() for a in arrays]
        params = self.binding.like(copies)
        with np.errstate(all="ignore"):
            if args is None:
                return self.validation is not None and math.isfinite(self.validation.loss(params, copies))
            loss, grads = self.model.both(params, args)
        self.spend(1)
        parts = self.binding.gathered(grads, "the gradient")
        return not (self.model.has_loss and not math.isfinite(loss)) and all(bool(np.all(np.isfinite(g))) for g in parts)

    def spend(self, count: int) -> None:
        """Evaluations beside the run, after it."""
        self.verdict = self.verdict._replace(ncheck=self.verdict.ncheck + count)

    def _loss_of(self, args: Args) -> float:
        """The loss of a batch at the parameters as they are."""
        return self.model.loss(self.params, args)

    def _one_epoch(self) -> Ending | None:
        """The batches of one epoch, from where it stands."""
        total: list[Array] = []
        weight = loss_sum = 0.0
        count, seen, asks, model, binding = 0, False, self.opt.record.asks, self.model, self.binding
        for args, of_batch in self.feed.epoch(self.generator, self.epoch, self.batch):
            seen = True
            at = binding.like(Updater.ask(self.opt)) if asks else self.params
            self.loss, grads = model.both(at, args)
            self.nfev += 1
            if model.has_loss and not math.isfinite(self.loss):
                self.failing = args
                return endings.not_finite(self, f"the loss is {self.loss}", count + 1)
            flat = binding.gathered(grads, "the gradient")
            if self.checks and not self.nit:
                flat = [g.copy() if isinstance(g, np.ndarray) else g for g in flat]  # the function may return the same array again
                self._compare(args, flat, Updater.ask(self.opt) if asks else self.flat, self.loss)
            self.args = args
            if self.watch is not None:
                self.probe.hold(args)
            count, rows = count + 1, of_batch
            if self.accumulate > 1:
                flat = self._gradients(flat)
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
            raise ValueError(
                f"data: expected at least one batch, got no batch in epoch {self.epoch}; is it empty, or an iterator that is used up?"
            )
        return None

    def _gradients(self, flat: list[Any]) -> list[Array]:
        """Gradients that can be added up: arrays of the parameters' shapes. Raises TypeError or ValueError."""
        out = []
        for g, p, label in zip(flat, self.flat, self.opt.arrangement.labels, strict=True):
            if not hasattr(g, "shape"):
                raise TypeError(
                    f"{label}: expected a NumPy array, got {type(g).__name__}; np.asarray(..., dtype=float) makes one of numbers"
                )
            out.append(real_array(g, label))
            if out[-1].shape != np.shape(p):
                raise ValueError(f"{label}: expected the gradient's shape to be {np.shape(p)}, as the parameters', got {out[-1].shape}")
        return out

    def _update(self, flat: list[Any], rows: float, count: int) -> Ending | None:
        """One step, and what follows it."""
        try:
            self.norm, taken = measured_step(self.opt, flat)
        except StepRefused as error:
            return endings.refused(self, str(error), count)
        except (TypeError, ValueError) as error:
            if str(error).startswith("g"):
                error.add_note("g is the gradient, as " + ("jac" if callable(self.model.jac) else "fun") + " returned it")
            raise
        if not taken:
            self.failing = self.args if self.accumulate == 1 else None
            return endings.not_finite(self, "the gradient is not finite", count)
        self.nit += 1
        self.batch += count
        lr = self.opt.lr_of(0)
        self.history.add_step(self.loss, lr, self.norm, rows)
        if self.quiet and self.nit < self.max_steps:
            return None
        return self._after(lr)

    def _after(self, lr: float) -> Ending | None:
        """What follows a step: callback, progress, checkpoint; an ending where it was the last one."""
        if self.mean is not None:
            self.mean.update()
        if self.watch is not None and self.watch.due(self.nit):
            self.probe.look(self.watch, self.nit)
        if self.log is not None and self.log_steps:
            self.log({"epoch": self.epoch, "step": self.nit, "loss": self.loss, "lr": lr, "grad_norm": self.norm})
        stop = self.step_callback is not None and self._told("step_callback", lr, self.loss)
        if self.bar is not None:
            self.bar.update(self.epoch + (self.batch / self.feed.batches if self.feed.batches else 0.0))
        if not stop and self.nit < self.max_steps:
            if self.every is not None and self.nit % self.every == 0:
                self._save()
            return None
        self._save()  # the rest of the epoch is not run, and what there is of it counts
        ending = endings.stopped(self, by_callback=stop)
        return self._close_epoch() or ending

    def _end_epoch(self) -> Ending | None:
        ending = self._close_epoch()
        if ending is not None:
            return ending
        columns = self.history.epochs
        if self.log is not None and not self.log_steps:
            names = ("loss", *(("val_loss",) if self.validation is not None else ()), "lr", "grad_norm", "time")
            self.log({"epoch": self.epoch, "step": self.nit, **{name: columns[name][-1] for name in names}})
        stop = self.callback is not None and self._told("callback", columns["lr"][-1], columns["loss"][-1])
        self.epoch, self.batch = self.epoch + 1, 0
        self.history.begin_epoch()
        self._save()
        if stop:
            return Ending("callback", f"the callback stopped it after epoch {self.epoch - 1}, {counted(self.nit, 'step')}")
        return None

    def _close_epoch(self) -> Ending | None:
        """Validation and what follows from it; an ending where a number is not finite."""
        if not self.binding.finite:
            return endings.not_finite(self, "the parameters are not finite", 0)
        monitored = self.history.mean_loss
        if self.validation is not None:
            monitored = self.val_loss = self.validation.loss(self.params, self.flat)
            if not math.isfinite(monitored):
                return endings.not_finite(self, f"the validation loss is {monitored}", None)
        largest = max(self.history.steps["step_grad_norm"][-max(self.history.sum_steps, 1) :], default=0.0)
        if largest > endings.GAP * self.largest > 0.0 and not self.held:
            self.tell_held()
        self.largest = max(self.largest, largest)
        self.history.add_epoch(self.val_loss, self.nit, self.opt)
        began = self.monitor.began if self.history.sum_steps == 1 else []
        self.monitor.observe(monitored, self.epoch, began or self.flat)
        self.binding.observe(monitored)
        return None

    def tell_held(self) -> bool:
        """Whether single gradients hold parameters where they are, which is said once."""
        text, told = endings.held(self), bool(self.held)
        self.held = text or self.held
        if text and not told:
            tell(f"train: {text}")
        return bool(text)

    def _told(self, name: str, lr: float, loss: float) -> bool:
        """Whether the callback of this name wants to stop."""
        state = Result(params=self.params, loss=loss, val_loss=self.val_loss, lr=lr, grad_norm=self.norm, epoch=self.epoch, nit=self.nit)
        return asks_to_stop(getattr(self, name), state, name=name)

    def _note(self, epoch: float) -> str:
        """The text beside the progress bar."""
        loss = self.history.mean_loss
        note = "" if self.watch is None else self.watch.note
        return f"epoch {epoch:.3g}" + ("" if math.isnan(loss) else f", loss {loss:.4g}") + note

    def _save(self) -> None:
        if self.path is not None:
            checkpoint.save(self, self.path)

    def resume(self, path: Any, seed: int | None) -> None:
        """Go back to where a checkpoint was written. Raises ValueError where it belongs to another call."""
        checkpoint.restore(self, path, seed)

    def result(self, ending: Ending) -> TrainResult:
        """The result as the run stands, with the ending in words."""
        return endings.result(self, ending)

    def close(self) -> None:
        """The run is over: the optimizer gets its own schedules back."""
        self.binding.release()
        if self.bar is not None:
            self.bar.close()
