"""Learning rates that follow cosines: annealing, warm restarts, one cycle.

The sine is a series of our own and not libm's: same bits on every machine.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import InitVar, dataclass, field

from mflow.base.checks import check_choice, check_flags, check_number, check_whole
from mflow.optim.schedules_base import Schedule, check_still

__all__ = ["SWALR", "CosineAnnealingLR", "CosineAnnealingWarmRestarts", "OneCycleLR", "fallen"]

_SIN = tuple((-1.0) ** j / math.factorial(2 * j + 1) for j in range(10))


def _series(coefficients: Sequence[float], square: float) -> float:
    total = 0.0
    for c in reversed(coefficients):
        total = total * square + c
    return total


def fallen(part: float, whole: float) -> float:
    """cos(pi part/whole / 2)^2, which falls from 1 to 0 along half a cosine, to a few ulp of itself also where it is small.

    Examples
    --------
    >>> from mflow.optim.schedules_annealing import fallen
    >>> fallen(0, 8), fallen(4, 8), fallen(8, 8)
    (1.0, 0.5, 0.0)
    """
    if part > whole - part:  # the share that is left: its difference from 1 would have the error of part/whole
        return _squared_sine(whole - part, whole) if 4 * part > 3 * whole else 0.5 - _half_sine(part, whole)
    return 0.5 - _half_sine(part, whole) if 4 * part > whole else 1.0 - _squared_sine(part, whole)


def _half_sine(part: float, whole: float) -> float:
    """sin(pi (part/whole - 1/2)) / 2, where that angle is at most pi/4."""
    angle = math.pi * ((part - 0.5 * whole) / whole)
    return 0.5 * angle * _series(_SIN, angle * angle)


def _squared_sine(part: float, whole: float) -> float:
    """sin(pi part/whole / 2)^2, where part is at most a quarter of whole."""
    angle = 0.5 * math.pi * (part / whole)
    sine = angle * _series(_SIN, angle * angle)
    return sine * sine


def _cosine(high: float, low: float, part: float, whole: float) -> float:
    """From high at 0 to low where part is the whole."""
    return low + (high - low) * fallen(part, whole)


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

    See Also
    --------
    mflow.schedules.CosineAnnealingWarmRestarts, mflow.schedules.OneCycleLR
    mflow.train, mflow.minimize : take a schedule as lr.

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

    @property
    def multiplies(self) -> bool:
        """Whether the rate is lr times a number that does not depend on lr."""
        return self.eta_min == 0.0 and self.warmup == 0

    def __post_init__(self) -> None:
        self.lr, self.eta_min = check_number(self.lr, "lr", low=0.0), check_number(self.eta_min, "eta_min", low=0.0)
        self.T_max, self.warmup = check_whole(self.T_max, "T_max", 1), check_whole(self.warmup, "warmup", 0)
        self.start_factor = check_number(self.start_factor, "start_factor", low=0.0)

    def __call__(self, step: int) -> float:
        """The lr of the step that follows after ``step`` ones."""
        if step < self.warmup:
            return self.lr * (self.start_factor + (1.0 - self.start_factor) * (step / self.warmup))
        part = (step - self.warmup) % (2 * self.T_max)
        return _cosine(self.lr, self.eta_min, min(part, 2 * self.T_max - part), self.T_max)


@dataclass
class CosineAnnealingWarmRestarts(Schedule):
    """Half a cosine from lr down to eta_min in T_0 steps, then from lr again, each time T_mult times as long.

    Parameters
    ----------
    lr : float, from 0 on
    T_0 : int, from 1 on
    T_mult : int, default 1
    eta_min : float, default 0

    See Also
    --------
    mflow.schedules.CosineAnnealingLR, mflow.schedules.CyclicLR
    mflow.train, mflow.minimize : take a schedule as lr.

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
        self.lr, self.eta_min = check_number(self.lr, "lr", low=0.0), check_number(self.eta_min, "eta_min", low=0.0)
        self.T_0, self.T_mult = check_whole(self.T_0, "T_0", 1), check_whole(self.T_mult, "T_mult", 1)

    def __call__(self, step: int) -> float:
        """The lr of the step that follows after ``step`` ones."""
        length, left = self.T_0, step
        if self.T_mult == 1:
            left %= length
        while left >= length:
            left -= length
            length *= self.T_mult
        return _cosine(self.lr, self.eta_min, left, length)


@dataclass
class SWALR(Schedule):
    """From lr to swa_lr in anneal_epochs steps, where it stays: torch's, for the last part of a run whose parameters are averaged.

    ``SequentialLR([..., SWALR(lr, swa_lr)], [start])``, with the lr that the schedule before it reaches, goes with
    ``mflow.optim.SWA(params, start=start)``.

    Parameters
    ----------
    lr : float, from 0 on
        Where it begins; torch takes the optimizer's.
    swa_lr : float, from 0 on
        Where it stays.
    anneal_epochs : int, default 10
        Steps on the way, in the unit in which the schedule is counted; with 0 it is swa_lr at once.
    anneal_strategy : "cos" (default) or "linear"

    See Also
    --------
    mflow.optim.SWA, mflow.schedules.SequentialLR
    mflow.train, mflow.minimize : take a schedule as lr.

    References
    ----------
    P. Izmailov et al., Averaging Weights Leads to Wider Optima and Better Generalization (2018); torch.optim.swa_utils.SWALR.

    Examples
    --------
    >>> import mflow
    >>> schedule = mflow.schedules.SWALR(1.0, swa_lr=0.5, anneal_epochs=4, anneal_strategy="linear")
    >>> [schedule(k) for k in (0, 1, 2, 4, 9)]
    [1.0, 0.875, 0.75, 0.5, 0.5]
    """

    lr: float
    swa_lr: float
    anneal_epochs: int = 10
    anneal_strategy: str = "cos"

    def __post_init__(self) -> None:
        self.lr, self.swa_lr = check_number(self.lr, "lr", low=0.0), check_number(self.swa_lr, "swa_lr", low=0.0)
        self.anneal_epochs = check_whole(self.anneal_epochs, "anneal_epochs", 0)
        check_choice(self.anneal_strategy, "anneal_strategy", ("cos", "linear"))

    def __call__(self, step: int) -> float:
        """The lr of the step that follows after ``step`` ones."""
        if step >= self.anneal_epochs:
            return self.swa_lr
        if self.anneal_strategy == "cos":
            return _cosine(self.lr, self.swa_lr, step, self.anneal_epochs)
        return self.lr + (self.swa_lr - self.lr) * (step / self.anneal_epochs)


@dataclass
class OneCycleLR(Schedule):
    """Up from max_lr/div_factor to max_lr in pct_start of the steps, down to max_lr/(div_factor final_div_factor) in the rest.

    With ``three_phase`` the way down is as long as the way up, and a third phase goes on from the first lr to the last. A step beyond
    ``total_steps`` is a ValueError, as in torch. A schedule here is of lr alone: momentum does not change (torch cycles it by default).

    Parameters
    ----------
    max_lr : float, from 0 on
    total_steps : int, from 2 on, optional
        By default epochs times steps_per_epoch.
    pct_start : float in [0, 1], default 0.3
    anneal_strategy : "cos" (default) or "linear"
    div_factor, final_div_factor : float, default 25 and 1e4
    three_phase : bool, default False
    epochs, steps_per_epoch : int, by name
        In place of total_steps, as in torch: steps_per_epoch is the number of batches.
    cycle_momentum : False, by name
        True, torch's default, is a ValueError that names what to take.

    See Also
    --------
    mflow.schedules.CosineAnnealingLR, mflow.schedules.CyclicLR
    mflow.train, mflow.minimize : take a schedule as lr.

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
    total_steps: int | None = None
    pct_start: float = 0.3
    anneal_strategy: str = "cos"
    div_factor: float = 25.0
    final_div_factor: float = 1e4
    three_phase: bool = False
    epochs: InitVar[int | None] = field(default=None, kw_only=True)
    steps_per_epoch: InitVar[int | None] = field(default=None, kw_only=True)
    cycle_momentum: InitVar[bool] = field(default=False, kw_only=True)
    _phases: tuple[tuple[float, float, float], ...] = field(init=False, repr=False, compare=False, default=())

    def __post_init__(self, epochs: int | None, steps_per_epoch: int | None, cycle_momentum: bool) -> None:
        check_still("OneCycleLR", cycle_momentum)
        self.max_lr = check_number(self.max_lr, "max_lr", low=0.0)
        total = self.total_steps = _total(self.total_steps, epochs, steps_per_epoch)
        self.pct_start = check_number(self.pct_start, "pct_start", low=0.0, high=1.0)
        self.div_factor = check_number(self.div_factor, "div_factor", low=0.0, open_low=True)
        self.final_div_factor = check_number(self.final_div_factor, "final_div_factor", low=0.0, open_low=True)
        check_choice(self.anneal_strategy, "anneal_strategy", ("cos", "linear"))
        check_flags(three_phase=self.three_phase)
        first = self.max_lr / self.div_factor
        last, top = first / self.final_div_factor, float(self.pct_start * total) - 1.0
        end = total - 1.0
        if self.three_phase:
            back = 2.0 * self.pct_start * total - 2.0
            self._phases = ((top, first, self.max_lr), (back, self.max_lr, first), (end, first, last))
        else:
            self._phases = ((top, first, self.max_lr), (end, self.max_lr, last))

    @property
    def ends(self) -> float:
        """total_steps: there is no rate for a step beyond."""
        return float(self._phases[-1][0]) + 1.0

    def __call__(self, step: int) -> float:
        """The lr of the step that follows after ``step`` ones."""
        if step > self._phases[-1][0]:
            raise ValueError(f"lr: expected a step below total_steps = {self.total_steps}, got {step}; raise total_steps of OneCycleLR")
        began = 0.0
        for end, start, stop in self._phases[:-1]:
            if step <= end:
                return self._between(start, stop, *((step - began, end - began) if end > began else (1.0, 1.0)))
            began = end
        end, start, stop = self._phases[-1]
        return self._between(start, stop, step - began, end - began)

    def with_lr(self, lr: float) -> OneCycleLR:
        """Itself: its max_lr stands in place of the lr of every group, as torch's does."""
        return self

    def _between(self, start: float, stop: float, part: float, whole: float) -> float:
        return _cosine(start, stop, part, whole) if self.anneal_strategy == "cos" else start + (stop - start) * (part / whole)


def _total(total: int | None, epochs: int | None, steps_per_epoch: int | None) -> int:
    """The number of steps of one cycle."""
    parts = {"epochs": epochs, "steps_per_epoch": steps_per_epoch}
    given = [name for name, value in parts.items() if value is not None]
    if total is not None:
        if given:
            raise TypeError(f"{given[0]}: expected it in place of total_steps, got both; omit one")
        return check_whole(total, "total_steps", 2)
    if len(given) < len(parts):
        raise TypeError("total_steps: expected a number of steps, or epochs and steps_per_epoch by name, got none; give total_steps=")
    counts = [check_whole(value, name, 1) for name, value in parts.items()]
    return check_whole(counts[0] * counts[1], "epochs times steps_per_epoch", 2)
