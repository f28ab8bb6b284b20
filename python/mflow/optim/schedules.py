"""Learning rates that change along the way: functions of the step number, by torch's names and with its closed forms.

    opt = mflow.optim.Adam(c, lr=mflow.schedules.CosineAnnealingLR(1e-2, T_max=1000, warmup=50))

A schedule is called with the number of steps already taken, 0 before the first, and returns the lr of the next one. It may be given where
an lr may: `mflow.optim`, `mflow.minimize`, `mflow.train` (there also by epochs). All can be pickled and compared; all but
`ReduceLROnPlateau` are pure functions, so a run that resumes needs nothing but the step number.

Same bits on every machine: powers are taken in 40 decimal digits and rounded once, cosines by a series of our own, square roots are exact
by IEEE 754; libm is not used.
"""

from __future__ import annotations

import copy
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mflow.base.checks import check_list
from mflow.optim.schedules_annealing import CosineAnnealingLR, CosineAnnealingWarmRestarts, OneCycleLR
from mflow.optim.schedules_base import Schedule
from mflow.optim.schedules_decay import Constant, ExponentialLR, InverseSqrtLR, InverseTimeLR, LinearLR, MultiStepLR, StepLR, check_rising
from mflow.optim.schedules_plateau import ReduceLROnPlateau

__all__ = [
    "Constant",
    "CosineAnnealingLR",
    "CosineAnnealingWarmRestarts",
    "ExponentialLR",
    "InverseSqrtLR",
    "InverseTimeLR",
    "LinearLR",
    "MultiStepLR",
    "OneCycleLR",
    "ReduceLROnPlateau",
    "Schedule",
    "SequentialLR",
    "StepLR",
]


def for_a_run(lr: Any) -> Any:
    """The lr that a run uses: a copy if the schedule has a state, so that one that is given to two runs starts anew in each."""
    return copy.deepcopy(lr) if isinstance(lr, Schedule) and lr._state else lr


@dataclass
class SequentialLR(Schedule):
    """Schedules one after another: the k-th counts its steps from the k-th milestone.

    Parameters
    ----------
    schedules : sequence of schedules
    milestones : sequence of int, rising; one fewer

    Examples
    --------
    >>> import mflow
    >>> from mflow.schedules import ExponentialLR, LinearLR, SequentialLR
    >>> schedule = SequentialLR([LinearLR(1.0, start_factor=0.5, total_iters=2), ExponentialLR(1.0, gamma=0.5)], milestones=[2])
    >>> [schedule(k) for k in range(5)]
    [0.5, 0.75, 1.0, 0.5, 0.25]
    """

    schedules: Sequence[Any]
    milestones: Sequence[int]

    def __post_init__(self) -> None:
        self.schedules = tuple(check_list(self.schedules, "schedules", "functions of the step number"))
        self.milestones = check_rising(self.milestones, 1, strictly=True)
        count = len(self.schedules)
        if not count:
            raise ValueError("schedules: expected at least one, got none")
        for schedule in self.schedules:
            if not callable(schedule):
                raise TypeError(f"schedules: expected functions of the step number, got {type(schedule).__name__}")
        if len(self.milestones) != count - 1:
            raise ValueError(f"milestones: expected {count - 1} for {count} schedules, got {len(self.milestones)}")
        if any(hasattr(s, "observe") for s in self.schedules):
            raise TypeError("schedules: expected functions of the step number, got ReduceLROnPlateau, which follows a loss")

    def __call__(self, step: int) -> float:
        """The lr of the step that follows after ``step`` ones."""
        k = bisect_right(self.milestones, step)
        return float(self.schedules[k](step - (self.milestones[k - 1] if k else 0)))
