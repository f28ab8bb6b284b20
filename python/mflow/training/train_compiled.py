"""Training on a compiled objective: the steps of `mflow.training.trainer` taken in pieces in the core, without Python in between.

A piece ends where Python takes part: at the end of an epoch, before a step callback, at a checkpoint or max_steps, and every few
hundredths of a second for Ctrl-C and the progress bar. What is computed does not depend on the cut. A schedule is a function of the step
number, and is asked for the rates of a whole piece beforehand.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from mflow_core.objectives.objective import Objective
from mflow_core.optimize.training import GRADIENT, LOSS, STEP, Course

from mflow.base.checks import Array
from mflow.base.pace import Pace
from mflow.training import endings
from mflow.training.binding import PerEpoch
from mflow.training.endings import Ending
from mflow.training.feeds import Args, Cost, Feed, IndexSets
from mflow.training.history import PER_STEP
from mflow.training.trainer import Trainer

__all__ = ["CompiledTrainer"]


class CompiledTrainer(Trainer):
    """A `Trainer` whose steps are taken by `mflow_core.optimize.training.Course`."""

    def __init__(self, fun: Objective, feed: Feed, params: Any, optimizer: Any, parameters: dict[str, Any], schedule_per: str) -> None:
        self.fun = fun
        super().__init__(Cost(fun, True), feed, params, optimizer, parameters, schedule_per)
        self.facts["fun"] = [fun.name, list(fun.shape)]

    def check_gradient(self, check: Any) -> None:
        """The gradient of a compiled objective is its own: it is not compared."""
        super().check_gradient(check)
        self.checks = self.checks_late = False

    def configure(
        self, epochs: Any, accumulate: Any, max_steps: Any, validation: Any, metric: Any, patience: Any, min_delta: Any, track_lr: bool
    ) -> None:
        """As a `Trainer`, and the course that the core runs."""
        super().configure(epochs, accumulate, max_steps, validation, metric, patience, min_delta, track_lr)
        if validation is not None and metric is None and not isinstance(validation, Objective):
            raise TypeError(
                f"validation: expected an objective of the class of fun with the data to validate on, got {type(validation).__name__}; "
                "or give metric="
            )
        feed = self.feed
        drop_last = isinstance(feed, IndexSets) and feed.source.batches_per_epoch * feed.source.batch_size <= feed.source.n_rows
        self.course = Course(self.opt, self.fun, feed.batch_size or 0, drop_last, self.accumulate)
        self.pace = Pace()

    def _one_epoch(self) -> Ending | None:
        """The batches of one epoch, from where it stands."""
        if isinstance(self.feed, IndexSets):
            self.order = self.feed.order(self.generator)
            self.course.set_order(self.order)
        while self.batch < self.course.batches:
            ending = self._piece(self.pace.take(self._room()))
            self.pace.done()
            if ending is not None:
                return ending
        return None

    def _loss_of(self, args: Args) -> float:
        return float((self.fun.batch(args[0]) if args else self.fun)(self.flat[0]))

    def _rows_of(self, batch: int) -> Args:
        """A batch of this epoch, as the numbers of its rows."""
        size = self.feed.batch_size or 0
        return (self.order[batch * size : (batch + 1) * size],) if isinstance(self.feed, IndexSets) else ()

    def is_finite_at(self, arrays: list[Array], args: Args | None) -> bool:
        """Whether the loss and the gradient of a batch are finite at these parameters; of None, the loss of the validation data."""
        if args is None:
            return super().is_finite_at(arrays, args)
        part, w = self.fun.batch(args[0]) if args else self.fun, arrays[0].copy()
        return bool(math.isfinite(part(w)) and np.all(np.isfinite(part.grad(w))))

    def _room(self) -> int:
        """Steps until Python takes part again."""
        if self.each_step:
            return 1
        room = -(-(self.course.batches - self.batch) // self.accumulate)
        if self.every is not None:
            room = min(room, self.every - self.nit % self.every)
        if self.watch is not None:
            room = min(room, self.watch.room(self.nit))
        return int(min(room, self.max_steps - self.nit))

    def _rates(self, count: int) -> Array | None:
        """The lr of the next `count` steps; fewer where the schedule fails at one, so that its error is raised at that step."""
        schedule = self.opt.schedule_of(0)
        if schedule is None:
            return None
        if isinstance(schedule, PerEpoch):
            self.opt.apply_schedules()
            return np.full(count, self.opt.lr_of(0))
        rates = np.empty(count)
        for j in range(count):
            try:
                rates[j] = schedule(self.opt.steps + j)
            except Exception:
                rates[j] = math.nan
            if not 0.0 <= rates[j] < math.inf:
                if j:
                    return rates[:j].copy()
                self.opt.apply_schedules()  # raises the schedule's own error
                return np.array([self.opt.lr_of(0)])
        return rates

    def _piece(self, count: int) -> Ending | None:
        """At most `count` steps in the core, and what follows them."""
        rates, history = self._rates(count), self.history
        out = np.empty((3, count if rates is None else len(rates)))
        sums = np.array([history.sum_loss, history.sum_weight, history.sum_norm])
        done, self.batch, nfev, into, bad = self.course.run(self.batch, out, sums, rates)
        for name, values in zip(PER_STEP, out, strict=True):
            history.steps[name].frombytes(values[:done].tobytes())
        self.nit, self.nfev = self.nit + done, self.nfev + nfev
        history.sum_steps += done
        history.sum_loss, history.sum_weight, history.sum_norm = sums.tolist()
        self.loss, self.norm = self.course.loss, self.course.norm
        if bad in (LOSS, GRADIENT) and (bad == LOSS or self.accumulate == 1):
            self.failing = self._rows_of(self.batch + max(into - 1, 0))
        if bad == LOSS:
            return endings.not_finite(self, f"the loss is {self.loss}", into)
        if bad == GRADIENT:
            return endings.not_finite(self, "the gradient is not finite", into)
        if bad == STEP:
            return endings.refused(self, self.course.refused, into)
        return self._after(self.opt.lr_of(0))
