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
from typing import Any

from mflow.optim.schedules_annealing import SWALR, CosineAnnealingLR, CosineAnnealingWarmRestarts, OneCycleLR
from mflow.optim.schedules_base import Schedule
from mflow.optim.schedules_composed import ChainedScheduler, LambdaLR, MultiplicativeLR, SequentialLR
from mflow.optim.schedules_cyclic import CyclicLR
from mflow.optim.schedules_decay import (
    Constant,
    ConstantLR,
    ExponentialLR,
    InverseSqrtLR,
    InverseTimeLR,
    LinearLR,
    MultiStepLR,
    PolynomialLR,
    StepLR,
)
from mflow.optim.schedules_plateau import ReduceLROnPlateau

__all__ = [
    "SWALR",
    "ChainedScheduler",
    "Constant",
    "ConstantLR",
    "CosineAnnealingLR",
    "CosineAnnealingWarmRestarts",
    "CyclicLR",
    "ExponentialLR",
    "InverseSqrtLR",
    "InverseTimeLR",
    "LambdaLR",
    "LinearLR",
    "MultiStepLR",
    "MultiplicativeLR",
    "OneCycleLR",
    "PolynomialLR",
    "ReduceLROnPlateau",
    "Schedule",
    "SequentialLR",
    "StepLR",
]


def for_a_run(lr: Any) -> Any:
    """The lr that a run uses: a copy if the schedule has a state, so that one that is given to two runs starts anew in each."""
    return copy.deepcopy(lr) if isinstance(lr, Schedule) and lr._state else lr
