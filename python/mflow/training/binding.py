"""The parameters of a training run and the optimizer bound to them."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from mflow_core import registry
from mflow_core.optimize.arrangement import Arrangement, gather
from mflow_core.optimize.arrays import shared_array

from mflow import optim
from mflow.base.checks import shown
from mflow.base.foreign import no_argument
from mflow.base.methods import Method, as_method, parameters_of, refuse_unknown
from mflow.optim.classes import IMPLEMENTATIONS
from mflow.optim.schedules import for_a_run
from mflow.optim.schedules_base import schedule_state
from mflow.optim.states import spread

__all__ = ["Binding", "PerEpoch", "check_names", "in_groups"]

SHARED = ("maximize", "clip_norm", "check_finite", "threads", *IMPLEMENTATIONS)  # what every optimizer takes beside its method's parameters


class PerEpoch:
    """A schedule that counts epochs."""

    def __init__(self, schedule: Callable[[int], float], epoch: Callable[[], int]) -> None:
        self.schedule, self.epoch = schedule, epoch

    def __call__(self, step: int) -> float:
        """The rate of the epoch under way, whatever the step."""
        return self.schedule(self.epoch())

    def state_dict(self) -> dict[str, Any]:
        """What the schedule knows beside the epoch."""
        return schedule_state(self.schedule)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Gives it back to the schedule."""
        self.schedule.load_state_dict(state)  # type: ignore[attr-defined]


class Binding:
    """Parameters, as they are arranged and as a flat list of arrays; the optimizer that changes them; its schedules by group.

    The parameters are copied, unless the optimizer was made before and is bound to them already. A list of groups is arranged as a list of
    what each group has.
    """

    def __init__(self, params: Any, optimizer: Any, parameters: dict[str, Any]) -> None:
        bound = isinstance(optimizer, optim.Optimizer)
        self.made = not bound  # the optimizer is of this run alone
        if hasattr(optimizer, "zero_grad") and not bound and not isinstance(optimizer, type):
            name = type(optimizer).__name__
            raise TypeError(
                f"optimizer: expected a name such as 'adam', or a class of mflow.optim or an instance of one, got {name} of torch's kind, "
                f"whose steps belong into a loop of torch; give mflow.optim.{name if hasattr(optim, name) else 'Adam'}, or its name"
            )
        if params is None and not bound:
            raise TypeError("params: expected where to start, got None; an optimizer that was made with its arrays alone needs no params")
        parts, self.grouped = _parts(params, optimizer if bound else None)
        flat: list[Any] = []
        self.forms: list[Any] = []
        for i, part in enumerate(parts):
            arrays, form = spread(part if bound else _copies(part), f"params[{i}]" if self.grouped else "params")
            flat, self.forms = flat + arrays, [*self.forms, form]
        self.arrangement = Arrangement(self.forms, self.grouped)
        if not flat:
            raise ValueError("params: expected an array, or a list or dict of arrays, got an empty one")
        if bound:
            held = optimizer.arrays
            if len(held) != len(flat) or any(a is not b for a, b in zip(held, flat, strict=True)):
                raise ValueError(
                    "params: the optimizer is bound to other arrays; give the ones that it was made with, in their order and as its groups "
                    "have them or as a flat list, or params=None"
                )
            self.flat = flat
            self.params = start = parts if self.grouped else parts[0]
        else:
            self.flat = [a.copy() for a in flat]
            self.params = start = self.like(self.flat)
            if self.grouped:
                start = [
                    {**{name: for_a_run(value) for name, value in group.items() if name != "params"}, "params": part}
                    for group, part in zip(params, self.params, strict=True)
                ]
            parameters = {name: for_a_run(value) for name, value in parameters.items()}
        self.opt = _optimizer(optimizer, start, parameters)
        self.by_group = [self.opt.schedule_of(g) for g in range(len(self.opt.param_groups))]
        self.schedules = [schedule for schedule in self.by_group if schedule is not None]

    def like(self, flat: list[Any]) -> Any:
        """Arrays arranged as the user's parameters are."""
        return self.arrangement.arrange(flat)

    def gathered(self, values: Any, argument: str) -> list[Any]:
        """The arrays of a gradient in the parameters' order. Raises TypeError where it is not arranged as they are."""
        if not self.grouped:
            return gather(values, self.forms[0], argument)
        if not isinstance(values, (list, tuple)) or len(values) != len(self.forms):
            kind = f"{len(values)} entries" if isinstance(values, (list, tuple)) else type(values).__name__
            raise TypeError(f"{argument}: expected a list of {len(self.forms)} entries, one a group as params have them, got {kind}")
        return [g for i, part in enumerate(values) for g in gather(part, self.forms[i], f"{argument}, group {i}")]

    @property
    def finite(self) -> bool:
        """Whether every parameter is a finite number."""
        return all(np.all(np.isfinite(a)) for a in self.flat)

    def count_epochs(self, epoch: Callable[[], int]) -> None:
        """From now on schedules are functions of the epoch."""
        for g, schedule in enumerate(self.by_group):
            if schedule is not None:
                self.opt.set_schedule(g, PerEpoch(schedule, epoch))

    def release(self) -> None:
        """The optimizer gets its own schedules back."""
        for g in range(len(self.opt.param_groups)):
            if isinstance(schedule := self.opt.schedule_of(g), PerEpoch):
                self.opt.set_schedule(g, schedule.schedule)

    def observe(self, loss: float) -> None:
        """Schedules that follow the loss see it, each once."""
        told = {id(one) for schedule in self.schedules for one in getattr(schedule, "followers", ())}  # by the one that they follow
        for schedule in {id(s): s for s in self.schedules if id(s) not in told}.values():
            if hasattr(schedule, "observe"):
                schedule.observe(loss)


def check_names(optimizer: Any, given: Iterable[str], arguments: Iterable[str]) -> None:
    """TypeError, with the nearest names, for a name that is neither an argument of `train` nor one of the optimizer."""
    kind: Any = None
    if isinstance(optimizer, type) and issubclass(optimizer, optim.Optimizer):
        kind = optimizer
    elif isinstance(optimizer, str | Method):
        try:
            kind = getattr(optim, as_method(optimizer, {}).record.class_name, None)
        except ValueError:
            kind = None
    if kind is None:
        return  # `_optimizer` has words for it
    of_class = [name for name in inspect.signature(kind).parameters if name not in ("params", "options")]
    known = [*arguments, *of_class, *SHARED, *(p.name for p in parameters_of(kind.method_record))]
    for name in given:
        if name not in known and name in _of_others():
            raise TypeError(no_argument(f"{kind.method_record.name}: no parameter", name, of_class))
    refuse_unknown("train", given, None, known)


@functools.cache
def _of_others() -> frozenset[str]:
    """The names of all optimizers' parameters."""
    records = (record for record in registry.records() if record.class_name and hasattr(optim, record.class_name))
    return frozenset(p.name for record in records for p in parameters_of(record))


def in_groups(params: Any) -> bool:
    """Whether they are torch's list of groups, ``[{"params": ..., "lr": ...}, ...]``."""
    if not isinstance(params, (list, tuple)) or not any(isinstance(g, dict) and "params" in g for g in params):
        return False
    for g, entry in enumerate(params):
        if not isinstance(entry, dict) or "params" not in entry:
            raise TypeError(
                f"params[{g}]: expected a group such as {{'params': ..., 'lr': ...}}, as others in the list are, got {shown(entry)}"
            )
    return True


def _parts(params: Any, optimizer: optim.Optimizer | None) -> tuple[list[Any], bool]:
    """(what each group has, whether there are groups); params may be those of an optimizer, arranged as it has them, or None."""
    if optimizer is not None and params is None:
        return optimizer.arrangement.groups(optimizer.arrays), optimizer.arrangement.grouped
    if in_groups(params):
        return [entry["params"] for entry in params], True
    if optimizer is None or not optimizer.arrangement.grouped or not isinstance(params, (list, tuple)):
        return [params], False
    flat = len(params) == len(optimizer.arrays) and all(hasattr(entry, "shape") for entry in params)
    nested = len(params) == len(optimizer.arrangement.forms) and not flat
    return (list(params), True) if nested else ([params], False)


def _copies(params: Any) -> Any:
    """The parameters with float64 copies of arrays of real numbers, torch's tensors too; anything else is left for `spread` to check."""
    if isinstance(params, dict):
        return {key: _copies(a) if not isinstance(a, (dict, list, tuple)) else a for key, a in params.items()}
    if isinstance(params, (list, tuple)):
        return [_copies(a) if not isinstance(a, (dict, list, tuple)) else a for a in params]
    params = shared_array(params, "params") if hasattr(params, "__dlpack__") else params
    if isinstance(params, np.ndarray) and params.dtype.kind in "fiub":
        return np.array(params, dtype=np.float64, order="C", subok=False)
    return params


def _optimizer(optimizer: Any, params: Any, parameters: dict[str, Any]) -> optim.Optimizer:
    """An optimizer bound to ``params``, from a name, a class or a `mflow.Method`; one that was made before is returned as it is."""
    if isinstance(optimizer, optim.Optimizer):
        if parameters:
            raise TypeError(f"{', '.join(parameters)}: the optimizer is made already; give it this when you make it")
        return optimizer
    if isinstance(optimizer, type) and issubclass(optimizer, optim.Optimizer):
        return optimizer(params, **parameters)
    if not isinstance(optimizer, (str, Method)):
        kind = f"{optimizer.__module__}.{optimizer.__qualname__}" if isinstance(optimizer, type) else type(optimizer).__name__
        raise TypeError(f"optimizer: expected a name such as 'adam', or a class of mflow.optim or an instance of one, got {kind}")
    names = [record.name for record in registry.records() if record.kind == "update"]
    try:
        method = as_method(optimizer, {})
    except ValueError:
        raise ValueError(registry.unknown("optimizer: there is no", optimizer, names)) from None
    if method.kind != "update":
        hint = "; its line search needs the cost of all the data, as mflow.minimize has it" if method.kind == "direction" else ""
        raise ValueError(f"optimizer: {method.name} is no optimizer{hint}; expected one of {', '.join(names)}")
    made: optim.Optimizer = getattr(optim, method.record.class_name)(params, **{**method.given, **parameters})
    return made
