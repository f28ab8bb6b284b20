"""A learning rate that goes up and down along lines."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import InitVar, dataclass, field

from mflow.base.checks import check_choice, check_number, check_whole
from mflow.optim.schedules_base import Schedule, check_still
from mflow.optim.schedules_decay import power

__all__ = ["CyclicLR"]


@dataclass
class CyclicLR(Schedule):
    """Up from base_lr to max_lr along a line in step_size_up steps, down again in step_size_down ones, and so on.

    torch's cycles the momentum as well by default; here it stays (``cycle_momentum=False`` gives torch's values).

    Parameters
    ----------
    base_lr, max_lr : float, from 0 on
    step_size_up : int, default 2000
    step_size_down : int, default step_size_up
    mode : "triangular" (default), "triangular2" or "exp_range"
        How high the peaks are: all alike, half as high above base_lr in each further cycle, or gamma^step as high.
    gamma : float, default 1
    scale_fn : callable, optional
        The height as a function of the cycle's number 1, 2, ... or of the step; mode is not read then.
    scale_mode : "cycle" (default) or "iterations"
        What scale_fn is a function of.
    cycle_momentum : False, by name
        True, torch's default, is a ValueError that names what to take.

    See Also
    --------
    mflow.schedules.OneCycleLR, mflow.schedules.CosineAnnealingWarmRestarts
    mflow.train, mflow.minimize : take a schedule as lr.

    References
    ----------
    L. N. Smith, Cyclical Learning Rates for Training Neural Networks (2017).

    Examples
    --------
    >>> import mflow
    >>> schedule = mflow.schedules.CyclicLR(0.0, 1.0, step_size_up=2, mode="triangular2")
    >>> [schedule(k) for k in range(9)]
    [0.0, 0.5, 1.0, 0.5, 0.0, 0.25, 0.5, 0.25, 0.0]
    """

    base_lr: float
    max_lr: float
    step_size_up: int = 2000
    step_size_down: int | None = None
    mode: str = "triangular"
    gamma: float = 1.0
    scale_fn: Callable[[int], float] | None = None
    scale_mode: str = "cycle"
    cycle_momentum: InitVar[bool] = field(default=False, kw_only=True)

    def __post_init__(self, cycle_momentum: bool) -> None:
        check_still("CyclicLR", cycle_momentum)
        self.base_lr, self.max_lr = check_number(self.base_lr, "base_lr", low=0.0), check_number(self.max_lr, "max_lr", low=0.0)
        self.step_size_up = check_whole(self.step_size_up, "step_size_up", 1)
        if self.step_size_down is not None:
            self.step_size_down = check_whole(self.step_size_down, "step_size_down", 1)
        check_choice(self.mode, "mode", ("triangular", "triangular2", "exp_range"))
        check_choice(self.scale_mode, "scale_mode", ("cycle", "iterations"))
        self.gamma = check_number(self.gamma, "gamma", low=0.0)
        if self.scale_fn is not None and not callable(self.scale_fn):
            raise TypeError(f"scale_fn: expected a function, got {type(self.scale_fn).__name__}")

    def __call__(self, step: int) -> float:
        """The lr of the step that follows after ``step`` ones."""
        down = self.step_size_up if self.step_size_down is None else self.step_size_down
        cycle, place = divmod(step, self.step_size_up + down)
        share = place / self.step_size_up if place <= self.step_size_up else 1.0 - (place - self.step_size_up) / down
        return self.base_lr + (self.max_lr - self.base_lr) * share * self._height(cycle + 1, step)

    def with_lr(self, lr: float) -> CyclicLR:
        """Itself: its base_lr and max_lr stand in place of the lr of every group, as torch's do."""
        return self

    def _height(self, cycle: int, step: int) -> float:
        if self.scale_fn is not None:
            return float(self.scale_fn(cycle if self.scale_mode == "cycle" else step))
        if self.mode == "exp_range":
            return power(self.gamma, step) if step else 1.0
        return math.ldexp(1.0, 1 - cycle) if self.mode == "triangular2" else 1.0
