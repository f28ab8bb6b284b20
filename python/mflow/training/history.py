"""What a training run remembers: the numbers of its epochs and steps."""

from __future__ import annotations

import math
import time
from array import array
from collections.abc import Iterator
from typing import Any

import numpy as np

from mflow import optim
from mflow.base.checks import Array, check_choice
from mflow.base.result import Result
from mflow.base.tables import frame

__all__ = ["PER_STEP", "History"]

PER_EPOCH = ("loss", "val_loss", "lr", "grad_norm", "time", "step")
PER_STEP = ("step_loss", "step_lr", "step_grad_norm")


class TrainHistory(Result):
    """What a training run remembers, as float64 arrays: see `TrainResult`."""

    loss: Array
    val_loss: Array
    lr: Array
    grad_norm: Array
    time: Array
    step: Array
    effective_lr: Array
    step_loss: Array
    step_lr: Array
    step_grad_norm: Array

    def to_frame(self, per: str = "epoch") -> Any:
        """A pandas DataFrame with a row an epoch, or a row a step (step_loss, step_lr, step_grad_norm).

        Raises
        ------
        ImportError
            pandas is not installed.
        ValueError
            ``per`` is neither "epoch" nor "step".
        """
        names = PER_EPOCH if check_choice(per, "per", ("epoch", "step")) == "epoch" else PER_STEP
        table = {name: self[name] for name in names}
        if per == "epoch" and "effective_lr" in self:
            table |= {f"effective_lr_{word}": self["effective_lr"][:, k] for k, word in enumerate(("least", "median", "largest"))}
        return frame(table)


class History:
    """An entry an epoch and an entry a step, the sums of the epoch under way, and the clock."""

    def __init__(self) -> None:
        self.epochs = {name: array("d") for name in PER_EPOCH}
        self.steps = {name: array("d") for name in PER_STEP}
        self.rates = array("d")
        self.track_lr = False
        self.elapsed, self.since = 0.0, time.perf_counter()
        self._appends = [self.steps[name].append for name in PER_STEP]
        self.begin_epoch()

    def begin_epoch(self) -> None:
        """The sums of a new epoch."""
        self.sum_loss = self.sum_weight = self.sum_norm = 0.0
        self.sum_steps = 0

    def add_step(self, loss: float, lr: float, norm: float, weight: float) -> None:
        """One step: the loss of its rows (their number is the weight), lr and the norm of its gradient."""
        self.sum_loss += weight * loss
        self.sum_weight += weight
        self.sum_norm += norm
        self.sum_steps += 1
        append_loss, append_lr, append_norm = self._appends
        append_loss(loss)
        append_lr(lr)
        append_norm(norm)

    def add_epoch(self, val_loss: float, nit: int, opt: optim.Optimizer) -> None:
        """One epoch, from its sums."""
        values = (self.mean_loss, val_loss, opt.lr_of(0), self.sum_norm / max(self.sum_steps, 1), self.clock(), float(nit))
        for name, value in zip(PER_EPOCH, values, strict=True):
            self.epochs[name].append(value)
        if self.track_lr:
            every = np.concatenate([np.ravel(a) for a in opt.flatten(opt.effective_lr())])
            self.rates.extend((float(every.min()), float(np.median(every)), float(every.max())))

    @property
    def mean_loss(self) -> float:
        """Mean of the loss over the rows of this epoch, of one batch its own to the last bit; nan before its first step."""
        if self.sum_steps == 1:
            return self.steps["step_loss"][-1]
        return self.sum_loss / self.sum_weight if self.sum_weight else math.nan

    @property
    def last_loss(self) -> float:
        """Mean of the loss over the rows of the epoch under way, or of the last one; nan where there is none."""
        return self.mean_loss if self.sum_weight or not self.epochs["loss"] else self.epochs["loss"][-1]

    def clock(self) -> float:
        """Seconds of training so far, those before a checkpoint among them."""
        return self.elapsed + time.perf_counter() - self.since

    def start_clock(self) -> None:
        """Training starts, or goes on, now."""
        self.since = time.perf_counter()

    def arrays(self) -> Iterator[tuple[str, array[float]]]:
        """(name, numbers) of each column."""
        yield from self.epochs.items()
        yield from self.steps.items()

    def result(self) -> TrainHistory:
        """The history as float64 arrays."""
        columns = {name: np.array(values, dtype=np.float64) for name, values in self.arrays()}
        if self.track_lr:
            columns["effective_lr"] = np.array(self.rates, dtype=np.float64).reshape(-1, 3)
        return TrainHistory(columns)
