"""The base class of learning-rate schedules."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, Field, fields, is_dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

from mflow.base.checks import check_flags, check_instance
from mflow.base.telling import answer_others, public_name

__all__ = ["Schedule", "check_still", "end_of", "schedule_state"]


class Schedule:
    """The base class of all schedules: ``schedule(step)`` is the lr of the next step after ``step`` ones.

    A class of your own needs `__call__` alone; with `state_dict` and `load_state_dict` as here its state goes into checkpoints.

    See Also
    --------
    mflow.schedules.LambdaLR
    mflow.train, mflow.minimize : take a schedule as lr.

    Examples
    --------
    >>> import mflow
    >>> class Halving(mflow.schedules.Schedule):
    ...     def __call__(self, step):
    ...         return 0.5**step
    >>> Halving()(3)
    0.125
    """

    _state: ClassVar[tuple[str, ...]] = ()
    _multiplies: ClassVar[bool] = False

    if not TYPE_CHECKING:  # constructors of their own are what a type checker reads

        def __new__(cls, *args: Any, **given: Any) -> Any:
            """TypeError where it is made of an optimizer, as torch's are, or without an argument that it needs."""
            if hasattr(args[0] if args else given.get("optimizer"), "param_groups"):
                raise TypeError(
                    f"{cls.__name__}: expected lr first, got an optimizer, as torch has it; here the optimizer takes the schedule, as in "
                    f"Adam(params, lr=mflow.schedules.{cls.__name__}(0.1, ...)), and nothing is called after a step"
                )
            known = vars(cls).get("__dataclass_fields__", {})
            if known and not given.keys() <= known.keys():
                answer_others(public_name(cls.__name__), given, known)
            _check_complete(cls, args, given)
            return super().__new__(cls)

        def __getnewargs__(self) -> tuple[Any, ...]:
            return tuple(getattr(self, f.name) for f in _own_fields(type(self)))  # for copies and pickles

        def __getattr__(self, name: str) -> Any:
            from mflow.base.foreign import no_field

            raise no_field("Schedule", self, name)

    @property
    def multiplies(self) -> bool:
        """Whether the rate is lr times a number that does not depend on lr, as `ChainedScheduler` needs it."""
        return self._multiplies

    @property
    def ends(self) -> float:
        """After how many steps there is no further rate; inf for most."""
        return math.inf

    def __call__(self, step: int) -> float:
        """The lr of the step that follows after ``step`` ones."""
        raise NotImplementedError(f"{type(self).__name__}: expected a method __call__(self, step) that returns the lr; write it")

    def with_lr(self, lr: float) -> Schedule | float:
        """The same schedule from another lr, as torch's schedulers scale the rate of each group.

        One that has no ``lr`` to replace, such as a class of your own, is left out: it returns the number.
        """
        if is_dataclass(self) and any(f.name == "lr" for f in fields(self)):
            return replace(self, lr=lr)
        return lr

    def state_dict(self) -> dict[str, Any]:
        """The values that change during a run: none, for a pure function of the step."""
        return {name: getattr(self, name) for name in self._state}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores what `state_dict` returned. Raises ValueError, and changes nothing, if it belongs to another kind of schedule."""
        check_instance(state, "state", Mapping, "the dict that state_dict returned")
        if set(state) != set(self._state):
            raise ValueError(f"state: expected {list(self._state)} for {type(self).__name__}, got {sorted(state)}")
        for name, value in self._checked(state).items():
            setattr(self, name, value)

    def _checked(self, state: Mapping[str, Any]) -> Mapping[str, Any]:
        """The values of a state. Raises TypeError or ValueError, with its name, for one that no run comes to."""
        return state


def _own_fields(cls: type) -> list[Field[Any]]:
    """What the constructor takes, in order, where a dataclass wrote it; none where a class has an ``__init__`` of its own."""
    maker = next(kind for kind in cls.__mro__ if "__init__" in vars(kind))
    return [f for f in fields(maker) if f.init] if "__dataclass_fields__" in vars(maker) else []


def _check_complete(cls: type, args: Sequence[Any], given: Mapping[str, Any]) -> None:
    """Raises TypeError where the constructor needs an argument that is neither among the positional ones nor among those by name."""
    if (args or given) and cls.__init__ is object.__init__:  # type: ignore[misc]
        raise TypeError(f"{cls.__name__}: expected no argument, as it has no __init__, got {len(args) + len(given)}; remove it")
    needed = [f.name for f in _own_fields(cls) if f.default is MISSING and f.default_factory is MISSING]
    missing = [name for name in needed[len(args) :] if name not in given]
    if missing:
        shown = ", ".join([*map(repr, args), *(f"{name}={value!r}" for name, value in given.items())])
        first = "; lr is first, in the place of torch's optimizer, which takes the schedule as its lr here" if needed[0] == "lr" else ""
        raise TypeError(f"{missing[0]}: expected {cls.__name__}({', '.join(needed)}, ...), got {cls.__name__}({shown}){first}")


def end_of(schedule: Any) -> float:
    """After how many steps a function of the step number has no further rate, as far as it says so."""
    return schedule.ends if isinstance(schedule, Schedule) else math.inf


def schedule_state(schedule: Any) -> dict[str, Any]:
    """What a schedule knows beside the number of the step, such as a rate that followed a loss; empty for a function of the step alone."""
    return dict(schedule.state_dict()) if hasattr(schedule, "state_dict") else {}


def check_still(name: str, cycle_momentum: Any) -> None:
    """Raises where a schedule of torch's that cycles the momentum too is asked to."""
    check_flags(cycle_momentum=cycle_momentum)
    if cycle_momentum:
        raise ValueError(
            f"cycle_momentum: expected False, as a schedule here is of lr alone, got True; torch's own {name} cycles the momentum of the "
            "classes of mflow.torch"
        )
