"""What a training run is judged by after each epoch: validation data, and the monitored loss: its least value, the parameters there, and
when patience ends."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from mflow_core.objectives.objective import Objective

from mflow.base.checks import Array, as_number
from mflow.training.feeds import Cost, check_fits, checked_parts, in_parts

__all__ = ["Monitor", "Validation", "mean_loss", "validation_of"]


HELD = 1_000_000  # parameters of which the start is kept too, for words on a run that has failed


class Monitor:
    """The monitored loss: its least value, the parameters there, and for how many epochs it has not fallen.

    began: where the first gradient of the epoch under way was evaluated; empty where no loss is known of it. start_flat: the parameters at
    the start; empty where they are very many.
    """

    def __init__(self, flat: Sequence[Any]) -> None:
        self.best = self.mark = math.inf
        self.best_epoch, self.waited = -1, 0
        self.best_flat: list[Array] = [a.copy() for a in flat]
        self.start_flat = [a.copy() for a in flat] if sum(a.size for a in flat) <= HELD else []
        self.began: list[Array] = []
        self.patience: int | None = None
        self.min_delta = 0.0

    def observe(self, loss: float, epoch: int, flat: Sequence[Any]) -> None:
        """The loss of an epoch, and the parameters that have it. Where there is none (nan), the last parameters are the best."""
        self.judge(loss, epoch, flat)
        self.waited = 0 if loss < self.mark - self.min_delta else self.waited + 1
        self.mark = loss if self.waited == 0 else self.mark

    def judge(self, loss: float, epoch: int, flat: Sequence[Any]) -> None:
        """Keeps these parameters where their loss is the least so far, or there is none."""
        if math.isnan(loss) or loss < self.best:
            self.best = loss
            self.best_epoch = epoch
            for kept, now in zip(self.best_flat, flat, strict=True):
                kept[...] = now

    @property
    def out_of_patience(self) -> bool:
        """Whether the loss has not fallen for too long."""
        return self.patience is not None and self.waited >= self.patience


class Validation:
    """Validation data, and what is computed of them: a metric of the user's, else the loss."""

    def __init__(self, data: Any, metric: Callable[..., Any] | None, model: Cost) -> None:
        self.data, self.metric, self.model = data, metric, model

    def loss(self, params: Any, flat: Sequence[Any]) -> float:
        """The number to be made small: the metric, or the mean of the loss over the rows. flat: the parameters as a flat list."""
        if self.metric is not None:
            args = self.data if isinstance(self.data, tuple) else (self.data,)
            value = self.metric(params, *args)
            return float(value) if isinstance(value, bool) else as_number(value, "metric", "a function that returns a number")
        if isinstance(self.data, Objective):
            return self.data(flat[0])
        return mean_loss(self.model, params, self.data)


def mean_loss(model: Cost, params: Any, data: Any, argument: str = "validation") -> float:
    """The mean of the loss over the rows of the data. Raises ValueError where there are none."""
    total = weight = 0.0
    for args, rows in in_parts(data):
        total, weight = total + rows * model.loss(params, args), weight + rows
    if weight == 0.0:
        raise ValueError(f"{argument}: expected at least one batch, got none")
    return total / weight


def validation_of(data: Any, metric: Any, model: Cost, flat: Sequence[Any]) -> Validation | None:
    """What ``validation=`` and ``metric=`` of `mflow.train` ask for; None where nothing is given. Raises TypeError or ValueError."""
    if data is None:
        if metric is not None:
            raise ValueError("metric: it is computed of validation data, and there are none; give validation=")
        return None
    if metric is None and not model.has_loss and not isinstance(data, Objective):
        raise ValueError("validation: fun is a gradient alone; give metric=, or the loss with jac=")
    if isinstance(data, Objective) and (len(flat) != 1 or flat[0].size != data.n):
        ours: tuple[int, ...] = getattr(model.fun, "shape", ())
        theirs: tuple[int, ...] = data.shape
        classes = len(ours) == len(theirs) == 2 and ours[0] == theirs[0]
        fix = f"; give it n_classes={ours[1]}, as not all classes are among its rows" if classes and ours[1] > theirs[1] else ""
        raise ValueError(f"validation: {data!r} takes one array of {data.n} parameters, got arrays of {[a.size for a in flat]}{fix}")
    if isinstance(data, (tuple, np.ndarray)) and not (metric is None and isinstance(model.fun, Objective)):
        check_fits(model.fun if metric is None else metric, data if isinstance(data, tuple) else (data,), "validation")
    if metric is None:
        data = checked_parts(data)
    elif isinstance(data, tuple) and data and hasattr(data[0], "shape") and len(data[0]) == 0:
        raise ValueError("validation: expected at least one row, got 0 rows; omit it to train without")
    if not callable(data) and hasattr(data, "__next__"):
        raise ValueError("validation: an iterator can be gone through only once; give a list of batches, or arrays")
    return Validation(data, metric, model)
