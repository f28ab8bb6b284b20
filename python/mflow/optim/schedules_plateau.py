"""A learning rate that follows a loss, and not the step number."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from mflow.base.checks import as_number, check_choice, check_number, check_whole
from mflow.optim.schedules_base import Schedule

__all__ = ["ReduceLROnPlateau"]


@dataclass
class ReduceLROnPlateau(Schedule):
    """lr times factor whenever a metric has not improved for more than ``patience`` observations.

    `mflow.train` passes it the monitored loss after each epoch, `mflow.minimize` the cost after each iteration. Both work on a copy, so
    that the same schedule can be given to another run. In a loop of your own call ``observe(metric)``, or by torch's name ``step``.

    Parameters
    ----------
    lr : float, from 0 on
    mode : "min" (default) or "max"
    factor : float in [0, 1), default 0.1
    patience : int, default 10
    threshold : float, default 1e-4
        An improvement must be larger than this, as a share of the size of the best value ("rel") or as it is ("abs"). torch's "rel" takes
        best (1 - threshold) for any sign, so that below 0 a value that rises a little counts as better; here it is best - threshold |best|.
    threshold_mode : "rel" (default) or "abs"
    cooldown : int, default 0
        Observations after a reduction that do not count.
    min_lr : float, default 0
    eps : float, default 1e-8
        A smaller reduction is not made.

    See Also
    --------
    mflow.schedules.StepLR, mflow.schedules.CosineAnnealingLR
    mflow.train, mflow.minimize : take a schedule as lr.

    Examples
    --------
    >>> import mflow
    >>> schedule = mflow.schedules.ReduceLROnPlateau(1.0, patience=1, factor=0.5)
    >>> for loss in (3.0, 2.0, 2.0, 2.0):
    ...     schedule.observe(loss)
    >>> schedule(4)
    0.5
    """

    lr: float
    mode: str = "min"
    factor: float = 0.1
    patience: int = 10
    threshold: float = 1e-4
    threshold_mode: str = "rel"
    cooldown: int = 0
    min_lr: float = 0.0
    eps: float = 1e-8
    best: float = field(init=False, default=math.nan)
    num_bad_epochs: int = field(init=False, default=0)
    cooldown_counter: int = field(init=False, default=0)
    _groups: list[ReduceLROnPlateau] = field(init=False, repr=False, default_factory=list)  # the same from other rates, which see it all

    _state: ClassVar[tuple[str, ...]] = ("lr", "best", "num_bad_epochs", "cooldown_counter")

    def __eq__(self, other: object) -> bool:  # `best`, NaN before the first value, is equal to itself
        if type(other) is not type(self):
            return NotImplemented
        mine, theirs = ({**vars(one), "best": repr(one.best), "_groups": None} for one in (self, other))
        return mine == theirs

    __hash__ = None  # type: ignore[assignment]

    def __post_init__(self) -> None:
        self.lr, self.min_lr = check_number(self.lr, "lr", low=0.0), check_number(self.min_lr, "min_lr", low=0.0)
        self.factor = check_number(self.factor, "factor", low=0.0, high=1.0, open_high=True)
        self.threshold, self.eps = check_number(self.threshold, "threshold", low=0.0), check_number(self.eps, "eps")
        check_choice(self.mode, "mode", ("min", "max"))
        check_choice(self.threshold_mode, "threshold_mode", ("rel", "abs"))
        self.patience, self.cooldown = check_whole(self.patience, "patience", 0), check_whole(self.cooldown, "cooldown", 0)

    def __call__(self, step: int) -> float:
        """The lr of the step that follows after ``step`` ones."""
        return self.lr

    def with_lr(self, lr: float) -> ReduceLROnPlateau:
        """The same from another lr, as it stands now; it observes what this one does."""
        other = copy.copy(self)
        other.lr, other._groups = check_number(lr, "lr", low=0.0), []
        self._groups.append(other)
        return other

    @property
    def followers(self) -> list[ReduceLROnPlateau]:
        """Those of other groups that `observe` tells, too."""
        return [one for other in self._groups for one in (other, *other.followers)]

    def observe(self, metric: float) -> None:
        """A new value of the metric; one that is not a number counts as no improvement."""
        value = float(metric)
        for other in self._groups:
            other.observe(value)
        if self._better(value):
            self.best, self.num_bad_epochs = value, 0
        else:
            self.num_bad_epochs += 1
        if self.cooldown_counter > 0:
            self.cooldown_counter -= 1
            self.num_bad_epochs = 0
        if self.num_bad_epochs > self.patience:
            lower = max(self.lr * self.factor, self.min_lr)
            if self.lr - lower > self.eps:
                self.lr = lower
            self.cooldown_counter, self.num_bad_epochs = self.cooldown, 0

    def step(self, metric: float) -> None:
        """torch's name for `observe`."""
        self.observe(metric)

    def _checked(self, state: Mapping[str, Any]) -> Mapping[str, Any]:
        counts = {name: check_whole(state[name], f"state: {name}", 0) for name in ("num_bad_epochs", "cooldown_counter")}
        return {
            "lr": check_number(state["lr"], "state: lr", low=0.0),
            "best": as_number(state["best"], "state: best", "a number"),
            **counts,
        }

    def _better(self, value: float) -> bool:
        if math.isnan(self.best):
            return not math.isnan(value)
        sign = -1.0 if self.mode == "min" else 1.0
        if math.isinf(self.best):  # of an infinite value every number is a share
            bar = self.best
        elif self.threshold_mode == "abs":
            bar = self.best + sign * self.threshold
        else:  # away from the best value, whatever its sign
            bar = self.best * (1.0 + (sign if self.best > 0.0 else -sign) * self.threshold)
        return sign * value > sign * bar
