"""Learning rates that change along the way: functions of the step number, by torch's names and with its closed forms.

    opt = mflow.optim.Adam(c, lr=mflow.schedules.CosineAnnealingLR(1e-2, T_max=1000, warmup=50))

A schedule is called with the number of steps already taken, 0 before the first, and returns the lr of the next one. It goes wherever an
lr goes: `mflow.optim`, `mflow.minimize`, `mflow.train` (there also by epochs). All can be pickled and compared; all but
`ReduceLROnPlateau` are pure functions, so a run that resumes needs nothing but the step number.

Same bits on every machine: powers are taken in 40 decimal digits and rounded once, cosines by a series of our own, square roots are exact
by IEEE 754; libm is not asked.
"""

from __future__ import annotations

import copy
import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Context, Decimal
from typing import Any, ClassVar

from mflow.base.checks import check_number

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

_DIGITS = Context(prec=40, Emin=-999999, Emax=999999, traps=[])
_COS = tuple((-1.0) ** j / math.factorial(2 * j) for j in range(10))
_SIN = tuple((-1.0) ** j / math.factorial(2 * j + 1) for j in range(10))


def _power(base: float, exponent: int) -> float:
    """base^exponent, rounded once."""
    return float(_DIGITS.power(Decimal(base), exponent))


def _series(coefficients: Sequence[float], square: float) -> float:
    total = 0.0
    for c in reversed(coefficients):
        total = total * square + c
    return total


def cos_pi(x: float) -> float:
    """cos(pi x) to about an ulp of 1, by Taylor's series on [0, pi/4]; every reduction before it is exact.

    Examples
    --------
    >>> from mflow.optim.schedules import cos_pi
    >>> cos_pi(0.5), cos_pi(1.0), cos_pi(7.0)
    (0.0, -1.0, -1.0)
    """
    x = abs(math.fmod(x, 2.0))
    if x > 1.0:
        x = 2.0 - x
    if x > 0.5:
        return -cos_pi(1.0 - x)
    if x <= 0.25:
        angle = math.pi * x
        return _series(_COS, angle * angle)
    angle = math.pi * (0.5 - x)
    return angle * _series(_SIN, angle * angle)


def _number(value: Any, name: str, low: float = 0.0, high: float = math.inf, *, open_low: bool = False) -> float:
    number = check_number(value, name)
    if not (low < number if open_low else low <= number) or number > high:
        raise ValueError(f"{name} = {value!r}: a number {'above' if open_low else 'from'} {low:g} on to {high:g} is wanted")
    return number


def _count(value: Any, name: str, least: int) -> int:
    if isinstance(value, bool) or int(value) != value or value < least:
        raise ValueError(f"{name} = {value!r}: a whole number from {least} on is wanted")
    return int(value)


class Schedule:
    """What all schedules share: ``schedule(step)`` is the lr of the next step after ``step`` ones.

    A class of your own needs `__call__` alone; with `state_dict` and `load_state_dict` as here its state goes into checkpoints.
    """

    _state: ClassVar[tuple[str, ...]] = ()

    def __call__(self, step: int) -> float:
        """The lr of the step that follows after ``step`` ones."""
        raise NotImplementedError(f"{type(self).__name__}: a schedule says its lr in __call__(self, step): write it")

    def state_dict(self) -> dict[str, Any]:
        """What changes along the way: nothing, for a pure function of the step."""
        return {name: getattr(self, name) for name in self._state}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Takes over what `state_dict` gave. Raises ValueError where it belongs to another kind of schedule."""
        if set(state) != set(self._state):
            raise ValueError(f"state: {type(self).__name__} needs {list(self._state)}, not {sorted(state)}")
        for name, value in state.items():
            setattr(self, name, value)


def for_a_run(lr: Any) -> Any:
    """What a run follows: a copy where a schedule has a state, so that one that is handed to two runs begins afresh in each."""
    return copy.deepcopy(lr) if isinstance(lr, Schedule) and lr._state else lr


@dataclass
class Constant(Schedule):
    """The same lr at every step.

    Parameters
    ----------
    lr : float, from 0 on

    Examples
    --------
    >>> import mflow
    >>> mflow.schedules.Constant(0.1)(1000)
    0.1
    """

    lr: float

    def __post_init__(self) -> None:
        self.lr = _number(self.lr, "lr")

    def __call__(self, step: int) -> float:
        """The lr of the step that follows after ``step`` ones."""
        return self.lr


@dataclass
class StepLR(Schedule):
    """lr gamma^(step // step_size).

    Parameters
    ----------
    lr : float, from 0 on
    step_size : int, from 1 on
    gamma : float, default 0.1

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

    def __post_init__(self) -> None:
        self.lr, self.gamma = _number(self.lr, "lr"), _number(self.gamma, "gamma")
        self.step_size = _count(self.step_size, "step_size", 1)

    def __call__(self, step: int) -> float:
        """The lr of the step that follows after ``step`` ones."""
        return self.lr * _power(self.gamma, step // self.step_size) if step >= self.step_size else self.lr


@dataclass
class MultiStepLR(Schedule):
    """lr gamma^(how many milestones are behind).

    Parameters
    ----------
    lr : float, from 0 on
    milestones : sequence of int, rising
    gamma : float, default 0.1

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

    def __post_init__(self) -> None:
        self.lr, self.gamma = _number(self.lr, "lr"), _number(self.gamma, "gamma")
        self.milestones = tuple(_count(m, "milestones", 0) for m in self.milestones)
        if list(self.milestones) != sorted(self.milestones):
            raise ValueError(f"milestones = {self.milestones}: they must rise")

    def __call__(self, step: int) -> float:
        """The lr of the step that follows after ``step`` ones."""
        return self.lr * _power(self.gamma, behind) if (behind := bisect_right(self.milestones, step)) else self.lr


@dataclass
class ExponentialLR(Schedule):
    """lr gamma^step; gamma above 1 makes it grow.

    Parameters
    ----------
    lr : float, from 0 on
    gamma : float, above 0

    Examples
    --------
    >>> import mflow
    >>> mflow.schedules.ExponentialLR(1.0, gamma=0.5)(3)
    0.125
    """

    lr: float
    gamma: float

    def __post_init__(self) -> None:
        self.lr, self.gamma = _number(self.lr, "lr"), _number(self.gamma, "gamma", open_low=True)

    def __call__(self, step: int) -> float:
        """The lr of the step that follows after ``step`` ones."""
        return self.lr * _power(self.gamma, step) if step else self.lr


@dataclass
class LinearLR(Schedule):
    """From lr start_factor to lr end_factor in total_iters steps along a line, then constant.

    Parameters
    ----------
    lr : float, from 0 on
    start_factor, end_factor : float, default 1/3 and 1
    total_iters : int, default 5

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

    def __post_init__(self) -> None:
        self.lr = _number(self.lr, "lr")
        self.start_factor, self.end_factor = _number(self.start_factor, "start_factor"), _number(self.end_factor, "end_factor")
        self.total_iters = _count(self.total_iters, "total_iters", 1)

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
        self.lr, self.decay_rate = _number(self.lr, "lr"), _number(self.decay_rate, "decay_rate")
        self.decay_steps = _count(self.decay_steps, "decay_steps", 1)

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
        self.lr = _number(self.lr, "lr")

    def __call__(self, step: int) -> float:
        """The lr of the step that follows after ``step`` ones."""
        return self.lr / math.sqrt(step + 1.0)


@dataclass
class CosineAnnealingLR(Schedule):
    """Half a cosine from lr down to eta_min in T_max steps, after a linear warm-up.

    In the first ``warmup`` steps lr rises along a line from lr start_factor; after T_max further ones it rises again, as torch's
    does. ``SequentialLR([LinearLR(...), CosineAnnealingLR(...)])`` is the long form.

    Parameters
    ----------
    lr : float, from 0 on
    T_max : int, from 1 on
    eta_min : float, default 0
    warmup : int, default 0
    start_factor : float, default 1/3
        torch's, of LinearLR.

    References
    ----------
    I. Loshchilov and F. Hutter, SGDR: Stochastic Gradient Descent with Warm Restarts (2017). P. Goyal et al., Accurate, Large
    Minibatch SGD (2017), for the warm-up.

    Examples
    --------
    >>> import mflow
    >>> schedule = mflow.schedules.CosineAnnealingLR(1.0, T_max=10, warmup=2, start_factor=0.5)
    >>> [schedule(k) for k in (0, 1, 2, 7, 12)]
    [0.5, 0.75, 1.0, 0.5, 0.0]
    """

    lr: float
    T_max: int
    eta_min: float = 0.0
    warmup: int = 0
    start_factor: float = 1.0 / 3.0

    def __post_init__(self) -> None:
        self.lr, self.eta_min = _number(self.lr, "lr"), _number(self.eta_min, "eta_min")
        self.T_max, self.warmup = _count(self.T_max, "T_max", 1), _count(self.warmup, "warmup", 0)
        self.start_factor = _number(self.start_factor, "start_factor")

    def __call__(self, step: int) -> float:
        """The lr of the step that follows after ``step`` ones."""
        if step < self.warmup:
            return self.lr * (self.start_factor + (1.0 - self.start_factor) * (step / self.warmup))
        return _cosine(self.lr, self.eta_min, (step - self.warmup) % (2 * self.T_max) / self.T_max)


@dataclass
class CosineAnnealingWarmRestarts(Schedule):
    """Half a cosine from lr down to eta_min in T_0 steps, then from lr again, each time T_mult times as long.

    Parameters
    ----------
    lr : float, from 0 on
    T_0 : int, from 1 on
    T_mult : int, default 1
    eta_min : float, default 0

    References
    ----------
    I. Loshchilov and F. Hutter, SGDR: Stochastic Gradient Descent with Warm Restarts (2017).

    Examples
    --------
    >>> import mflow
    >>> schedule = mflow.schedules.CosineAnnealingWarmRestarts(1.0, T_0=2, T_mult=2)
    >>> [round(schedule(k), 12) for k in range(7)]
    [1.0, 0.5, 1.0, 0.853553390593, 0.5, 0.146446609407, 1.0]
    """

    lr: float
    T_0: int
    T_mult: int = 1
    eta_min: float = 0.0

    def __post_init__(self) -> None:
        self.lr, self.eta_min = _number(self.lr, "lr"), _number(self.eta_min, "eta_min")
        self.T_0, self.T_mult = _count(self.T_0, "T_0", 1), _count(self.T_mult, "T_mult", 1)

    def __call__(self, step: int) -> float:
        """The lr of the step that follows after ``step`` ones."""
        length, left = self.T_0, step
        if self.T_mult == 1:
            left %= length
        while left >= length:
            left -= length
            length *= self.T_mult
        return _cosine(self.lr, self.eta_min, left / length)


def _cosine(high: float, low: float, share: float) -> float:
    """From high at 0 to low at 1."""
    return low + (high - low) * (1.0 + cos_pi(share)) / 2.0


@dataclass
class OneCycleLR(Schedule):
    """Up from max_lr/div_factor to max_lr in pct_start of the steps, down to max_lr/(div_factor final_div_factor) in the rest.

    With ``three_phase`` the way down is as long as the way up, and a third phase goes on from the first lr to the last. A step beyond
    ``total_steps`` is a ValueError, as in torch. Momentum is left alone (torch cycles it unless told not to).

    Parameters
    ----------
    max_lr : float, from 0 on
    total_steps : int, from 2 on
    pct_start : float in [0, 1], default 0.3
    anneal_strategy : "cos" (default) or "linear"
    div_factor, final_div_factor : float, default 25 and 1e4
    three_phase : bool, default False

    References
    ----------
    L. N. Smith and N. Topin, Super-Convergence: Very Fast Training of Neural Networks Using Large Learning Rates (2018).

    Examples
    --------
    >>> import mflow
    >>> schedule = mflow.schedules.OneCycleLR(1.0, total_steps=10, div_factor=10.0)
    >>> [round(schedule(k), 3) for k in range(0, 10, 2)]
    [0.1, 1.0, 0.812, 0.389, 0.05]
    """

    max_lr: float
    total_steps: int
    pct_start: float = 0.3
    anneal_strategy: str = "cos"
    div_factor: float = 25.0
    final_div_factor: float = 1e4
    three_phase: bool = False
    _phases: tuple[tuple[float, float, float], ...] = field(init=False, repr=False, compare=False, default=())

    def __post_init__(self) -> None:
        self.max_lr = _number(self.max_lr, "max_lr")
        self.total_steps = _count(self.total_steps, "total_steps", 2)
        self.pct_start = _number(self.pct_start, "pct_start", 0.0, 1.0)
        self.div_factor = _number(self.div_factor, "div_factor", open_low=True)
        self.final_div_factor = _number(self.final_div_factor, "final_div_factor", open_low=True)
        if self.anneal_strategy not in ("cos", "linear"):
            raise ValueError(f'anneal_strategy = {self.anneal_strategy!r}: "cos" or "linear" is wanted')
        first = self.max_lr / self.div_factor
        last, top = first / self.final_div_factor, float(self.pct_start * self.total_steps) - 1.0
        end = self.total_steps - 1.0
        if self.three_phase:
            back = 2.0 * self.pct_start * self.total_steps - 2.0
            self._phases = ((top, first, self.max_lr), (back, self.max_lr, first), (end, first, last))
        else:
            self._phases = ((top, first, self.max_lr), (end, self.max_lr, last))

    def __call__(self, step: int) -> float:
        """The lr of the step that follows after ``step`` ones."""
        if step >= self.total_steps:
            raise ValueError(f"lr: OneCycleLR has total_steps = {self.total_steps}, and step {step} (the first is 0) is beyond: raise it")
        began = 0.0
        for end, start, stop in self._phases[:-1]:
            if step <= end:
                return self._between(start, stop, (step - began) / (end - began) if end > began else 1.0)
            began = end
        end, start, stop = self._phases[-1]
        return self._between(start, stop, (step - began) / (end - began))

    def _between(self, start: float, stop: float, share: float) -> float:
        return _cosine(start, stop, share) if self.anneal_strategy == "cos" else start + (stop - start) * share


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
        self.schedules, self.milestones = tuple(self.schedules), tuple(_count(m, "milestones", 1) for m in self.milestones)
        if len(self.milestones) + 1 != len(self.schedules):
            raise ValueError(f"milestones: {len(self.schedules)} schedules want {len(self.schedules) - 1}, {len(self.milestones)} came")
        if any(a >= b for a, b in zip(self.milestones, self.milestones[1:], strict=False)):
            raise ValueError(f"milestones = {self.milestones}: they must rise")
        if any(hasattr(s, "observe") for s in self.schedules):
            raise TypeError("schedules: ReduceLROnPlateau follows a loss and not the step number: it cannot be one of a sequence")

    def __call__(self, step: int) -> float:
        """The lr of the step that follows after ``step`` ones."""
        which = bisect_right(self.milestones, step)
        return float(self.schedules[which](step - (self.milestones[which - 1] if which else 0)))


@dataclass
class ReduceLROnPlateau(Schedule):
    """lr times factor whenever a metric has not improved for more than ``patience`` looks.

    `mflow.train` shows it the monitored loss after each epoch, `mflow.minimize` the cost after each iteration, and both work on a copy,
    so that it can be handed to another run; in a loop of your own call ``observe(metric)`` (torch's name, ``step``, will do).

    Parameters
    ----------
    lr : float, from 0 on
    mode : "min" (default) or "max"
    factor : float in [0, 1), default 0.1
    patience : int, default 10
    threshold : float, default 1e-4
        An improvement must be larger than this, of the best value ("rel") or as it is ("abs").
    threshold_mode : "rel" (default) or "abs"
    cooldown : int, default 0
        Looks after a reduction that do not count.
    min_lr : float, default 0
    eps : float, default 1e-8
        A smaller reduction is left undone.

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

    _state: ClassVar[tuple[str, ...]] = ("lr", "best", "num_bad_epochs", "cooldown_counter")

    def __post_init__(self) -> None:
        self.lr, self.min_lr = _number(self.lr, "lr"), _number(self.min_lr, "min_lr")
        self.factor, self.threshold, self.eps = check_number(self.factor, "factor"), _number(self.threshold, "threshold"), float(self.eps)
        if not 0.0 <= self.factor < 1.0:
            raise ValueError(f"factor = {self.factor!r}: a number from 0 on and below 1 is wanted")
        for name, words in (("mode", ("min", "max")), ("threshold_mode", ("rel", "abs"))):
            if getattr(self, name) not in words:
                raise ValueError(f"{name} = {getattr(self, name)!r}: {words[0]!r} or {words[1]!r} is wanted")
        self.patience, self.cooldown = _count(self.patience, "patience", 0), _count(self.cooldown, "cooldown", 0)

    def __call__(self, step: int) -> float:
        """The lr of the step that follows after ``step`` ones."""
        return self.lr

    def observe(self, metric: float) -> None:
        """A new value of the metric; one that is not a number counts as no improvement."""
        value = float(metric)
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

    def _better(self, value: float) -> bool:
        if math.isnan(self.best):
            return not math.isnan(value)
        sign = -1.0 if self.mode == "min" else 1.0
        bar = self.best * (1.0 + sign * self.threshold) if self.threshold_mode == "rel" else self.best + sign * self.threshold
        return sign * value > sign * bar
