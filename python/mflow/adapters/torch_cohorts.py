"""Parameters of one group of a torch optimizer that have taken the same steps: a *cohort*, one optimizer of `mflow.optim`."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from mflow import optim
from mflow.adapters.torch_states import MOVING

__all__ = ["Cohort", "SGDCohort"]


class Cohort:
    """Parameters of one group that have taken the same steps."""

    def __init__(self, cls: type[optim.Optimizer], tensors: list[torch.Tensor], options: dict[str, Any]) -> None:
        self.cls, self.tensors = cls, tensors
        self.addresses = [t.data_ptr() for t in tensors]
        self.options = {name: value for name, value in options.items() if name != "params"}
        self.made = self.make(cls, self._arrays(), self.options)

    def _arrays(self) -> list[torch.Tensor]:
        return [t.detach() for t in self.tensors]

    @classmethod
    def make(cls, made_by: type[optim.Optimizer], arrays: list[Any], options: dict[str, Any]) -> optim.Optimizer:
        """The optimizer of these arrays. Raises what does not fit."""
        return made_by(arrays, **options)

    def follow(self, options: dict[str, Any]) -> None:
        """Takes over what a scheduler, or the user, has changed in the group."""
        for name, value in self.options.items():
            if options.get(name, value) != value:
                self.made.param_groups[0][name] = options[name]
                self.options[name] = options[name]

    def stay(self) -> None:
        """An assignment to `tensor.data` gives a parameter other memory: then the optimizer is made anew, with the state it had."""
        addresses = [t.data_ptr() for t in self.tensors]
        if addresses != self.addresses:
            state = self.made.state_dict()
            self.made, self.addresses = self.make(self.cls, self._arrays(), self.options), addresses
            self.made.load_state_dict(state)

    def part(self, places: list[int]) -> Cohort:
        """Some of the parameters, with their state."""
        state = self.made.state_dict()
        out = type(self)(self.cls, [self.tensors[i] for i in places], self.options)
        out.made.load_state_dict({**state, "vectors": [state["vectors"][i] for i in places]})
        return out

    def entries(self) -> list[dict[str, Any]]:
        """The states of the parameters, as copies."""
        state = self.made.state_dict()
        common = {"step": state["steps"], "scalars": state["groups"][0]["scalars"]}
        return [{**common, "scalars": [*common["scalars"]]} | {n: torch.from_numpy(v) for n, v in one.items()} for one in state["vectors"]]

    def restore(self, steps: int, scalars: list[float], vectors: list[dict[str, Any]]) -> None:
        """Goes on from such entries."""
        state = self.made.state_dict()
        state["steps"], state["groups"][0]["scalars"], state["vectors"] = steps, scalars, vectors
        self.made.load_state_dict(state)


class SGDCohort(Cohort):
    """Of SGD, whose group may take up a momentum between two steps, change it or lay it down, as torch's OneCycleLR and CyclicLR do.

    As in torch, a velocity begins with the first gradient that meets a momentum, and stays as it is while the momentum is 0.
    """

    def __init__(self, cls: type[optim.Optimizer], tensors: list[torch.Tensor], options: dict[str, Any]) -> None:
        self.resting: list[Any] | None = None
        super().__init__(cls, tensors, options)

    @classmethod
    def make(cls, made_by: type[optim.Optimizer], arrays: list[Any], options: dict[str, Any]) -> optim.Optimizer:
        """The optimizer of these arrays; without a momentum the other settings of it say nothing."""
        return made_by(arrays, **(options if options["momentum"] else {**options, "dampening": 0.0, "nesterov": False}))

    def follow(self, options: dict[str, Any]) -> None:
        """Takes over what has changed; another method takes the velocity along."""
        changed = {name: options[name] for name in MOVING if options[name] != self.options[name]}
        if changed and (list(changed) != ["momentum"] or not (changed["momentum"] and self.options["momentum"])):
            now = {**self.options, **changed}
            made = self.make(self.cls, self._arrays(), now)
            steps, velocities = self.made.steps, self._velocities()
            self.made, self.options = made, now
            if steps:
                self.restore(steps, [], [{}] * len(self.tensors) if velocities is None else [{"v": v} for v in velocities])
        super().follow(options)

    def _velocities(self) -> list[Any] | None:
        return [one["v"] for one in self.made.state_dict()["vectors"]] if self.options["momentum"] else self.resting

    def part(self, places: list[int]) -> SGDCohort:
        """Some of the parameters, with their state."""
        out = super().part(places)
        assert isinstance(out, SGDCohort)
        out.resting = None if self.resting is None else [self.resting[i] for i in places]
        return out

    def entries(self) -> list[dict[str, Any]]:
        """The states of the parameters, as copies."""
        found = super().entries()
        for entry, velocity in zip(found, self.resting or (), strict=False):
            entry.setdefault("v", torch.from_numpy(velocity.copy()))
        return found

    def restore(self, steps: int, scalars: list[float], vectors: list[dict[str, Any]]) -> None:
        """Goes on from such entries. Without a velocity the next step is the first of the momentum."""
        if self.options["momentum"]:
            if "v" in vectors[0]:
                self.resting = None
                super().restore(steps, scalars, vectors)
            return
        for tensor, one in zip(self.tensors, vectors, strict=True):
            if "v" in one and np.shape(one["v"]) != tuple(tensor.shape):
                raise ValueError(f"state: v: expected shape {tuple(tensor.shape)}, got {np.shape(one['v'])}")
        self.resting = [np.array(one["v"], dtype=np.float64) for one in vectors] if "v" in vectors[0] else None
        super().restore(steps, scalars, [{name: v for name, v in one.items() if name != "v"} for one in vectors])
