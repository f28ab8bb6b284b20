"""The monitored loss of a training run: its least value, the parameters there, and when patience ends."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from mflow.base.checks import Array

__all__ = ["Monitor"]


class Monitor:
    """The monitored loss: its least value, the parameters there, and for how many epochs it has not fallen."""

    def __init__(self, flat: Sequence[Any]) -> None:
        self.best = self.mark = math.inf
        self.best_epoch, self.waited = -1, 0
        self.best_flat: list[Array] = [a.copy() for a in flat]
        self.patience: int | None = None
        self.min_delta = 0.0

    def observe(self, loss: float, epoch: int, flat: Sequence[Any]) -> None:
        """The loss at the end of an epoch. Where there is none (nan), the last parameters are the best."""
        if math.isnan(loss) or loss < self.best:
            self.best = loss
            self.best_epoch = epoch
            for kept, now in zip(self.best_flat, flat, strict=True):
                kept[...] = now
        self.waited = 0 if loss < self.mark - self.min_delta else self.waited + 1
        self.mark = loss if self.waited == 0 else self.mark

    @property
    def out_of_patience(self) -> bool:
        """Whether the loss has not fallen for too long."""
        return self.patience is not None and self.waited >= self.patience
