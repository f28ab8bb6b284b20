"""Learning rates in closed form: constant, powers, lines and inverse powers of the step number.

Powers are taken in 40 decimal digits and rounded once, square roots are exact by IEEE 754: same bits on every machine.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Context, Decimal
from itertools import pairwise
from typing import ClassVar

from mflow.base.checks import check_list, check_number, check_whole
from mflow.optim.schedules_base import Schedule

__all__ = [
    "Constant", "ConstantLR", "ExponentialLR", "InverseSqrtLR", "InverseTimeLR", "LinearLR", "MultiStepLR", "PolynomialLR", "StepLR",
    "check_rising", "power",
]  # fmt: skip

_DIGITS = Context(prec=40, Emin=-999999, Emax=999999, traps=[])


def power(base: float, exponent: int) -> float:
    """base^exponent, taken in 40 decimal digits and rounded once."""
    return float(_DIGITS.power(Decimal(base), exponent))


def check_rising(milestones: Sequence[int], low: int, *, strictly: bool = False) -> tuple[int, ...]:
    """Step numbers from `low` on in rising order, `strictly` without repeats. Raises TypeError or ValueError."""
    given = check_list(milestones, "milestones", "step numbers in rising order")
    steps = tuple(check_whole(m, "milestones", low) for m in given)
    if any(b < a or (strictly and a == b) for a, b in pairwise(steps)):
        raise ValueError(f"milestones: expected step numbers in rising order{', each once' if strictly else ''}, got {steps}")
    return steps


@dataclass
class Constant(Schedule):
    """The same lr at every step.

    Parameters
    ----------
    lr : float, from 0 on

    See Also
    --------
    mflow.schedules.ConstantLR
    mflow.train, mflow.minimize : take a schedule as lr.

    Examples
    --------
    >>> import mflow
    >>> mflow.schedules.Constant(0.1)(1000)
    0.1
    """

    lr: float

    def __post_init__(self) -> None:
        self.lr = check_number(self.lr, "lr", low=0.0)

    def __call__(self, step: int) -> float:
        """The lr of the step that follows after ``step`` ones."""
        return self.lr


@dataclass
class ConstantLR(Schedule):
    """lr factor for the first total_iters steps, then lr.

    Parameters
    ----------
    lr : float, from 0 on
    factor : float in [0, 1], default 1/3
    total_iters : int, default 5

    See Also
    --------
    mflow.schedules.LinearLR, mflow.schedules.Constant
    mflow.train, mflow.minimize : take a schedule as lr.

    Examples
    --------
    >>> import mflow
    >>> schedule = mflow.schedules.ConstantLR(1.0, factor=0.5, total_iters=4)
    >>> schedule(0), schedule(3), schedule(4)
    (0.5, 0.5, 1.0)
    """

    lr: float
    factor: float = 1.0 / 3.0
    total_iters: int = 5

    _multiplies: ClassVar[bool] = True

    def __post_init__(self) -> None:
        self.lr, self.factor = check_number(self.lr, "lr", low=0.0), check_number(self.factor, "factor", low=0.0, high=1.0)
        self.total_iters = check_whole(self.total_iters, "total_iters", 0)

    def __call__(self, step: int) -> float:
        """The lr of the step that follows after ``step`` ones."""
        return self.lr * self.factor if step < self.total_iters else self.lr


@dataclass
class PolynomialLR(Schedule):
    """lr (1 - step/total_iters)^power down to 0, where it stays.

    Parameters
    ----------
    lr : float, from 0 on
    total_iters : int, default 5
    power : float, default 1

    See Also
    --------
    mflow.schedules.LinearLR, mflow.schedules.CosineAnnealingLR
    mflow.train, mflow.minimize : take a schedule as lr.

    Examples
    --------
    >>> import mflow
    >>> schedule = mflow.schedules.PolynomialLR(1.0, total_iters=4, power=2.0)
    >>> schedule(0), schedule(2), schedule(4), schedule(9)
    (1.0, 0.25, 0.0, 0.0)
    """

    lr: float
    total_iters: int = 5
    power: float = 1.0

    _multiplies: ClassVar[bool] = True

    def __post_init__(self) -> None:
        self.lr, self.power = check_number(self.lr, "lr", low=0.0), check_number(self.power, "power", low=0.0)
        self.total_iters = check_whole(self.total_iters, "total_iters", 1)

    def __call__(self, step: int) -> float:
        """The lr of the step that follows after ``step`` ones."""
        left = _DIGITS.divide(Decimal(max(self.total_iters - step, 0)), Decimal(self.total_iters))
        return self.lr * float(_DIGITS.power(left, Decimal(self.power))) if self.power else self.lr


@dataclass
class StepLR(Schedule):
    """lr gamma^(step // step_size).

    Parameters
    ----------
    lr : float, from 0 on
    step_size : int, from 1 on
    gamma : float, default 0.1

    See Also
    --------
    mflow.schedules.MultiStepLR, mflow.schedules.ExponentialLR
    mflow.train, mflow.minimize : take a schedule as lr.

    Examples
    --------
    >>> import mflow
    >>> schedule = mflow.schedules.StepLR(1.0, step_size=30, gamma=0.5)
    >>> schedule(29), schedule(30), schedule(60)
    (1.0, 0.5, 0.25)
    """

    lr: float
    step_size: int
    gamma: float = 0.1

    _multiplies: ClassVar[bool] = True

    def __post_init__(self) -> None:
        self.lr, self.gamma = check_number(self.lr, "lr", low=0.0), check_number(self.gamma, "gamma", low=0.0)
        self.step_size = check_whole(self.step_size, "step_size", 1)

    def __call__(self, step: int) -> float:
        """The lr of the step that follows after ``step`` ones."""
        return self.lr * power(self.gamma, step // self.step_size) if step >= self.step_size else self.lr


@dataclass
class MultiStepLR(Schedule):
    """lr gamma^(number of milestones that are passed).

    Parameters
    ----------
    lr : float, from 0 on
    milestones : sequence of int, rising
    gamma : float, default 0.1

    See Also
    --------
    mflow.schedules.StepLR, mflow.schedules.SequentialLR
    mflow.train, mflow.minimize : take a schedule as lr.

    Examples
    --------
    >>> import mflow
    >>> schedule = mflow.schedules.MultiStepLR(1.0, milestones=[30, 80], gamma=0.5)
    >>> schedule(29), schedule(30), schedule(80)
    (1.0, 0.5, 0.25)
    """

    lr: float
    milestones: Sequence[int]
    gamma: float = 0.1

    _multiplies: ClassVar[bool] = True

    def __post_init__(self) -> None:
        self.lr, self.gamma = check_number(self.lr, "lr", low=0.0), check_number(self.gamma, "gamma", low=0.0)
        self.milestones = check_rising(self.milestones, 0)

    def __call__(self, step: int) -> float:
        """The lr of the step that follows after ``step`` ones."""
        return self.lr * power(self.gamma, behind) if (behind := bisect_right(self.milestones, step)) else self.lr


@dataclass
class ExponentialLR(Schedule):
    """lr gamma^step; gamma above 1 makes it grow.

    Parameters
    ----------
    lr : float, from 0 on
    gamma : float, above 0

    See Also
    --------
    mflow.schedules.StepLR, mflow.schedules.PolynomialLR
    mflow.train, mflow.minimize : take a schedule as lr.

    Examples
    --------
    >>> import mflow
    >>> mflow.schedules.ExponentialLR(1.0, gamma=0.5)(3)
    0.125
    """

    lr: float
    gamma: float

    _multiplies: ClassVar[bool] = True

    def __post_init__(self) -> None:
        self.lr, self.gamma = check_number(self.lr, "lr", low=0.0), check_number(self.gamma, "gamma", low=0.0, open_low=True)

    def __call__(self, step: int) -> float:
        """The lr of the step that follows after ``step`` ones."""
        return self.lr * power(self.gamma, step) if step else self.lr


@dataclass
class LinearLR(Schedule):
    """From lr start_factor to lr end_factor in total_iters steps along a line, then constant.

    Parameters
    ----------
    lr : float, from 0 on
    start_factor, end_factor : float, default 1/3 and 1
    total_iters : int, default 5

    See Also
    --------
    mflow.schedules.ConstantLR, mflow.schedules.SequentialLR
    mflow.train, mflow.minimize : take a schedule as lr.

    Examples
    --------
    >>> import mflow
    >>> schedule = mflow.schedules.LinearLR(1.0, start_factor=0.5, total_iters=4)
    >>> schedule(0), schedule(1), schedule(4), schedule(9)
    (0.5, 0.625, 1.0, 1.0)
    """

    lr: float
    start_factor: float = 1.0 / 3.0
    end_factor: float = 1.0
    total_iters: int = 5

    _multiplies: ClassVar[bool] = True

    def __post_init__(self) -> None:
        self.lr = check_number(self.lr, "lr", low=0.0)
        self.start_factor, self.end_factor = (
            check_number(self.start_factor, "start_factor", low=0.0),
            check_number(self.end_factor, "end_factor", low=0.0),
        )
        self.total_iters = check_whole(self.total_iters, "total_iters", 1)

    def __call__(self, step: int) -> float:
        """The lr of the step that follows after ``step`` ones."""
        if step >= self.total_iters:
            return self.lr * self.end_factor
        return self.lr * (self.start_factor + (self.end_factor - self.start_factor) * (step / self.total_iters))


@dataclass
class InverseTimeLR(Schedule):
    """lr / (1 + decay_rate step/decay_steps), as Keras' InverseTimeDecay; ``staircase`` rounds step/decay_steps down.

    Parameters
    ----------
    lr : float, from 0 on
    decay_rate : float, from 0 on
    decay_steps : int, default 1
    staircase : bool, default False

    See Also
    --------
    mflow.schedules.InverseSqrtLR, mflow.schedules.ExponentialLR
    mflow.train, mflow.minimize : take a schedule as lr.

    References
    ----------
    H. Robbins and S. Monro (1951), Annals of Mathematical Statistics 22, 400-407: rates that sum to infinity, their squares do not.

    Examples
    --------
    >>> import mflow
    >>> mflow.schedules.InverseTimeLR(1.0, decay_rate=0.5)(2)
    0.5
    """

    lr: float
    decay_rate: float
    decay_steps: int = 1
    staircase: bool = False

    def __post_init__(self) -> None:
        self.lr, self.decay_rate = check_number(self.lr, "lr", low=0.0), check_number(self.decay_rate, "decay_rate", low=0.0)
        self.decay_steps = check_whole(self.decay_steps, "decay_steps", 1)

    def __call__(self, step: int) -> float:
        """The lr of the step that follows after ``step`` ones."""
        share = step // self.decay_steps if self.staircase else step / self.decay_steps
        return self.lr / (1.0 + self.decay_rate * share)


@dataclass
class InverseSqrtLR(Schedule):
    """lr / sqrt(step + 1), the decay of the Adam paper's analysis.

    Parameters
    ----------
    lr : float, from 0 on

    See Also
    --------
    mflow.schedules.InverseTimeLR
    mflow.train, mflow.minimize : take a schedule as lr.

    References
    ----------
    D. P. Kingma and J. Ba, Adam: A Method for Stochastic Optimization (2015), section 6.1.

    Examples
    --------
    >>> import mflow
    >>> mflow.schedules.InverseSqrtLR(1.0)(3)
    0.5
    """

    lr: float

    def __post_init__(self) -> None:
        self.lr = check_number(self.lr, "lr", low=0.0)

    def __call__(self, step: int) -> float:
        """The lr of the step that follows after ``step`` ones."""
        return self.lr / math.sqrt(step + 1.0)
