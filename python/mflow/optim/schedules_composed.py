"""Schedules made of functions and of other schedules: LambdaLR, MultiplicativeLR, SequentialLR, ChainedScheduler."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from mflow.base.checks import check_list, check_number
from mflow.optim.schedules_base import Schedule, end_of
from mflow.optim.schedules_decay import Constant, check_rising

__all__ = ["ChainedScheduler", "LambdaLR", "MultiplicativeLR", "SequentialLR"]


def _function(value: Any) -> Callable[[int], float]:
    if not callable(value):
        raise TypeError(f"lr_lambda: expected a function of the step number, got {type(value).__name__}")
    return value  # type: ignore[no-any-return]


@dataclass
class LambdaLR(Schedule):
    """lr times a function of the step number.

    Parameters
    ----------
    lr : float, from 0 on
    lr_lambda : callable
        ``lr_lambda(step)``: the factor.

    See Also
    --------
    mflow.schedules.MultiplicativeLR, mflow.schedules.Schedule
    mflow.train, mflow.minimize : take a schedule as lr.

    Examples
    --------
    >>> import mflow
    >>> mflow.schedules.LambdaLR(0.5, lambda step: 1 / (1 + step))(4)
    0.1
    """

    lr: float
    lr_lambda: Callable[[int], float]

    def __post_init__(self) -> None:
        self.lr, self.lr_lambda = check_number(self.lr, "lr", low=0.0), _function(self.lr_lambda)

    def __call__(self, step: int) -> float:
        """The lr of the step that follows after ``step`` ones."""
        return self.lr * float(self.lr_lambda(step))


@dataclass
class MultiplicativeLR(Schedule):
    """lr times the product of a function's values at the steps 1, 2, ... so far.

    Parameters
    ----------
    lr : float, from 0 on
    lr_lambda : callable
        ``lr_lambda(step)``: the factor by which the rate of this step differs from that of the step before. It must depend on its argument
        alone: a schedule is a function of the step, and a run that resumes multiplies anew.

    See Also
    --------
    mflow.schedules.LambdaLR, mflow.schedules.ChainedScheduler
    mflow.train, mflow.minimize : take a schedule as lr.

    Examples
    --------
    >>> import mflow
    >>> mflow.schedules.MultiplicativeLR(1.0, lambda step: 0.5)(3)
    0.125
    """

    lr: float
    lr_lambda: Callable[[int], float]
    _known: tuple[int, float] = field(init=False, repr=False, compare=False, default=(0, 1.0))

    _multiplies: ClassVar[bool] = True

    def __post_init__(self) -> None:
        self.lr, self.lr_lambda = check_number(self.lr, "lr", low=0.0), _function(self.lr_lambda)
        self._known = (0, self.lr)

    def __call__(self, step: int) -> float:
        """The lr of the step that follows after ``step`` ones."""
        at, rate = self._known if self._known[0] <= step else (0, self.lr)
        for k in range(at + 1, step + 1):
            rate *= float(self.lr_lambda(k))
        self._known = (step, rate)
        return rate


@dataclass
class SequentialLR(Schedule):
    """Schedules one after another: the k-th counts its steps from the k-th milestone.

    Parameters
    ----------
    schedules : sequence of schedules
    milestones : sequence of int, rising; one fewer

    See Also
    --------
    mflow.schedules.ChainedScheduler, mflow.schedules.LinearLR
    mflow.train, mflow.minimize : take a schedule as lr.

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
        self.schedules = _functions_of_the_step(self.schedules)
        self.milestones = check_rising(self.milestones, 1, strictly=True)
        count = len(self.schedules)
        if len(self.milestones) != count - 1:
            raise ValueError(f"milestones: expected {count - 1} for {count} schedules, got {len(self.milestones)}")

    def __call__(self, step: int) -> float:
        """The lr of the step that follows after ``step`` ones."""
        k = bisect_right(self.milestones, step)
        return float(self.schedules[k](step - (self.milestones[k - 1] if k else 0)))

    @property
    def ends(self) -> float:
        """Where one of its schedules has no rate for a step of its own."""
        starts = (0, *self.milestones)
        early = [a + end_of(s) for s, a, b in zip(self.schedules, starts, self.milestones, strict=False) if a + end_of(s) < b]
        return float(min(early, default=starts[-1] + end_of(self.schedules[-1])))

    def with_lr(self, lr: float) -> SequentialLR:
        """All of its schedules from another lr; functions that are no schedules stay as they are."""
        return SequentialLR(_with_first_lr(self.schedules, lr), self.milestones)


@dataclass
class ChainedScheduler(Schedule):
    """Schedules side by side: the rate of the first one times, for each other one, its rate in units of its own lr.

    torch's takes the schedules of one optimizer, which have one lr; give all of them the same lr here for the same values. These differ
    where CosineAnnealingLR goes on past T_max: here the rate is the product at every step; torch computes each rate from the last one,
    and where that is 0 starts again from lr, without the factors of the other schedules up to there.

    Parameters
    ----------
    schedules : sequence of schedules that multiply
        ConstantLR, LinearLR, StepLR, MultiStepLR, ExponentialLR, PolynomialLR, MultiplicativeLR, and CosineAnnealingLR with eta_min = 0
        and no warmup.

    See Also
    --------
    mflow.schedules.SequentialLR, mflow.schedules.MultiplicativeLR
    mflow.train, mflow.minimize : take a schedule as lr.

    Examples
    --------
    >>> import mflow
    >>> from mflow.schedules import ChainedScheduler, ConstantLR, ExponentialLR
    >>> schedule = ChainedScheduler([ConstantLR(1.0, factor=0.5, total_iters=2), ExponentialLR(1.0, gamma=0.5)])
    >>> [schedule(k) for k in range(4)]
    [0.5, 0.25, 0.25, 0.125]
    """

    schedules: Sequence[Any]

    def __post_init__(self) -> None:
        self.schedules = _functions_of_the_step(self.schedules)
        for schedule in self.schedules:
            if not getattr(schedule, "multiplies", False):
                raise TypeError(
                    f"schedules: expected schedules that multiply the rate, such as ExponentialLR, got {type(schedule).__name__}, "
                    "which sets it: use SequentialLR, or a function of the step"
                )
            if schedule.lr == 0.0:
                raise ValueError(f"schedules: expected an lr above 0 in each, got {schedule!r}")

    def __call__(self, step: int) -> float:
        """The lr of the step that follows after ``step`` ones."""
        rate = float(self.schedules[0](step))
        for schedule in self.schedules[1:]:
            rate *= schedule(step) / schedule.lr
        return rate

    def with_lr(self, lr: float) -> Schedule:
        """All of its schedules from another lr."""
        return ChainedScheduler(_with_first_lr(self.schedules, lr)) if lr else Constant(0.0)


def _with_first_lr(schedules: Sequence[Any], lr: float) -> list[Any]:
    """The schedules from another lr: the first one's, which those of the others keep their share of."""
    first = next((s.lr for s in schedules if getattr(s, "lr", 0.0)), lr)
    made = [s.with_lr(lr * (getattr(s, "lr", first) / first)) if isinstance(s, Schedule) else s for s in schedules]
    return [one if isinstance(one, Schedule) else s for one, s in zip(made, schedules, strict=True)]


def _functions_of_the_step(schedules: Any) -> tuple[Any, ...]:
    given = tuple(check_list(schedules, "schedules", "functions of the step number"))
    if not given:
        raise ValueError("schedules: expected at least one, got none")
    for schedule in given:
        if not callable(schedule):
            raise TypeError(f"schedules: expected functions of the step number, got {type(schedule).__name__}")
    if any(hasattr(s, "observe") for s in given):
        raise TypeError("schedules: expected functions of the step number, got ReduceLROnPlateau, which follows a loss")
    return given
