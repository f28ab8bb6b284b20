"""States of torch's own optimizers in the form of `mflow.torch`, so that a run can move over in the middle."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from mflow import optim
from mflow.base.checks import check_flags, check_number
from mflow.optim.states import NO_SETTING

__all__ = ["Converted", "Settings", "check_entry", "converted", "is_torchs", "refuse_complex", "returned", "settings_of"]

# torch's names: our vectors. The buffer of SGD's momentum is our velocity with the other sign, that of RMSprop is b.
VECTORS = {
    "exp_avg": "m", "exp_avg_sq": "v", "max_exp_avg_sq": "u", "exp_inf": "u", "sum": "s", "square_avg": "v", "acc_delta": "u",
    "grad_avg": "a", "momentum_buffer": "b", "prev": "p", "step_size": "h", "ax": "a",
}  # fmt: skip
ADAMS = ("exp_avg", "exp_avg_sq", "max_exp_avg_sq")
NAMES: dict[str, tuple[str, ...]] = {  # of torch's optimizers
    "Adam": ADAMS, "AdamW": ADAMS, "NAdam": ADAMS, "RAdam": ADAMS, "SparseAdam": ADAMS, "Adamax": ("exp_avg", "exp_inf"),
    "Adagrad": ("sum",), "Adadelta": ("square_avg", "acc_delta"), "RMSprop": ("square_avg", "grad_avg", "momentum_buffer"),
    "Rprop": ("prev", "step_size"), "ASGD": ("ax",),
}  # fmt: skip
NUMBERS = ("step", "mu_product", "eta", "mu")
MOVING = ("nesterov", "momentum", "dampening")  # of SGD: they choose the method
COMPUTING = ("foreach", "fused", "capturable", "differentiable")  # how torch computes, not what
OURS = ("clip_value", "decoupled_weight_decay", "maximize", "form", "weight_decay", "lazy")  # which torch's groups, or older ones, may lack


class Settings(NamedTuple):
    """Which class of `mflow.optim` makes the optimizers of all groups, and what a group has where it does not say otherwise."""

    made_by: type[optim.Optimizer]
    defaults: dict[str, Any]


def settings_of(cls: type[optim.Optimizer], probe: optim.Optimizer) -> Settings:
    """Those of a probe that cls has made. SGD chooses its method by each group's momentum, which therefore stands in every group."""
    defaults = dict(probe.param_groups[0])
    if cls is not optim.SGD:
        return Settings(getattr(optim, probe.record.class_name), defaults)
    momentum, dampening = defaults.pop("momentum", 0.0), defaults.pop("dampening", 0.0)
    nesterov = defaults.pop("form", None) is not None
    return Settings(cls, {**defaults, "momentum": momentum, "dampening": dampening, "nesterov": nesterov})


class Converted(NamedTuple):
    """A state in our form: the class that makes it, and a dict as `mflow.torch`'s state_dict returns it."""

    made_by: type[optim.Optimizer]
    state: dict[str, Any]


def is_torchs(state_dict: dict[str, Any]) -> bool:
    """Whether a state was written by one of torch's own optimizers; ours have clip_value in each group."""
    return any("clip_value" not in group for group in state_dict["param_groups"])


def converted(
    state_dict: dict[str, Any], chosen: type[optim.Optimizer], made_by: type[optim.Optimizer], defaults: dict[str, Any]
) -> Converted:
    """The state of one of torch's own optimizers in our form.

    chosen : the user's class, which for SGD leaves open what the state decides. made_by : the class in use. defaults : its group's.

    Raises ValueError where the state belongs to another optimizer.
    """
    groups = state_dict["param_groups"]
    if all("nesterov" in group for group in groups):
        made_by = _sgd(groups, chosen, made_by)
    known = {**settings_of(made_by, made_by([np.zeros(1)])).defaults, **defaults}
    out, state = [], {}
    for group in groups:
        out.append(_group(group, made_by, known))
        for number in group["params"]:
            carried = _carried(state_dict["state"].get(number, {}), number)
            if carried and (entry := _entry(carried, made_by, out[-1], number)) is not None:
                state[number] = entry
    return Converted(made_by, {"state": state, "param_groups": out})


def _carried(entry: dict[str, Any], number: Any) -> dict[str, Any]:
    """What torch's optimizer carries of a parameter; its SGD may have None for a velocity that it has not."""
    lost = [name for name, value in entry.items() if value is None and (name != "momentum_buffer" or len(entry) > 1)]
    if lost:
        raise ValueError(f"state: expected numbers in entry {number}, got {lost[0]} = None")
    return {name: value for name, value in entry.items() if value is not None}


def refuse_complex(state_dict: dict[str, Any]) -> None:
    """ValueError where a state has complex numbers, whose imaginary parts torch would drop."""
    for number, entry in state_dict["state"].items():
        for name, value in entry.items():
            try:
                numbers = np.asarray(value)
            except ValueError:  # lists of more than one length
                raise ValueError(f"state: expected numbers in entry {number}, got {name} = {value!r}") from None
            if numbers.dtype.kind == "c":
                raise ValueError(f"state: expected real numbers in entry {number}, got complex ones, {name}")


def check_entry(entry: dict[str, Any], number: Any, finite: bool) -> None:
    """ValueError where what a parameter carries, in our form, would make it NaN though steps are to keep it `finite`. What is infinite is
    looked at where the optimizer takes it: a square that has overflowed loads, with a warning, and its parameter stands still."""
    for name, value in entry.items():
        numbers = np.asarray(value)
        if finite and name != "scalars" and np.any(np.isnan(numbers)):
            raise ValueError(f"state: expected numbers in entry {number}, got {name} with NaN; check_finite=False loads it")
        if name == "step" and numbers.size != 1:
            raise ValueError(f"state: expected one number of steps in entry {number}, got {numbers.size}")


def _sgd(groups: list[dict[str, Any]], chosen: type[optim.Optimizer], made_by: type[optim.Optimizer]) -> type[optim.Optimizer]:
    """Which of our methods torch's SGD is: the momentum of its groups says it."""
    for group in groups:
        check_number(group["momentum"], "state: momentum", low=0.0)
        check_flags(**{"state: nesterov": group["nesterov"]})
    if chosen is optim.SGD:
        return chosen
    moving = [group for group in groups if group["momentum"]]
    nesterov = [bool(group["nesterov"]) for group in moving]
    if any(nesterov) and not all(nesterov):
        raise ValueError("state: expected nesterov in all groups with a momentum or in none, got both; one method steps all groups here")
    wanted: type[optim.Optimizer] = getattr(optim, "Nesterov" if any(nesterov) else "Momentum" if moving else "SGD")
    if wanted is optim.SGD:
        return made_by
    if wanted is not made_by:
        raise ValueError(
            f"state: expected one of {made_by.__name__}, got one of SGD, nesterov = {any(nesterov)}; load it into mflow.torch.SGD"
        )
    return made_by


def _group(group: dict[str, Any], made_by: type[optim.Optimizer], known: dict[str, Any]) -> dict[str, Any]:
    names = list(settings_of(made_by, made_by([np.zeros(1)])).defaults)
    lacking = [name for name in names if name not in group and name not in OURS]
    if lacking:
        raise ValueError(
            f"state: expected a group of {made_by.__name__}, got one without {', '.join(lacking)}; is it of another optimizer?"
        )
    left = (*COMPUTING, *MOVING) if "nesterov" in group and made_by is not optim.SGD else COMPUTING
    rest = {name: value for name, value in group.items() if name not in left}
    out = {**rest, **{name: _plain(group.get(name, known[name])) for name in names}}
    lost = [name for name in (*names, "momentum_decay") if out.get(name, 0) is None and known.get(name, 0) is not None]
    if lost:
        raise ValueError(f"state: expected a number in a group of {made_by.__name__}, got {lost[0]} = None")
    return out


def _plain(value: Any) -> Any:
    """A number where torch has a tensor of one."""
    if isinstance(value, (tuple, list)):
        return tuple(_plain(v) for v in value)
    if hasattr(value, "numel") and value.numel() != 1:
        raise ValueError(f"state: expected one number, got a tensor of shape {tuple(value.shape)}")
    return value.item() if hasattr(value, "item") else value


def _entry(carried: dict[str, Any], made_by: type[optim.Optimizer], group: dict[str, Any], number: Any) -> dict[str, Any] | None:
    """The state of one parameter; None where it has none to carry."""
    if made_by is optim.SGD and list(carried) == ["momentum_buffer"]:
        return {"step": 1, "scalars": [], "v": -carried["momentum_buffer"]}
    probe = made_by([np.zeros(1)], **{name: value for name, value in group.items() if name in dict(made_by([np.zeros(1)]).param_groups[0])})
    fresh = probe.state_dict()
    needed, scalars = list(fresh["vectors"][0]), fresh["groups"][0]["scalars"]
    unknown = sorted(set(carried) - {*VECTORS, *NUMBERS})
    if unknown:
        raise ValueError(
            f"state: entry {number} has {', '.join(unknown)}, which {made_by.__name__} does not carry; is it of another optimizer?"
        )
    vectors = {VECTORS[name]: value for name, value in carried.items() if name in VECTORS}
    if made_by in (optim.Momentum, optim.Nesterov):
        vectors = {"v": -vectors["b"]} if list(vectors) == ["b"] else {}
    if "b" in needed and "b" not in vectors and vectors:  # RMSprop carries it where it is centred, with momentum or without
        vectors["b"] = 0.0 * next(iter(vectors.values()))
    lacking = sorted(set(needed) - set(vectors))
    surplus = sorted(set(vectors) - set(needed) - {"b"})
    if lacking or surplus or ("mu_product" in carried) != ("momentum_decay" in group):
        raise ValueError(
            f"state: entry {number} has {', '.join(carried)}, which does not fit {made_by.__name__} with this group's parameters"
        )
    if not needed:
        return None
    if made_by is optim.RMSprop and "a" in needed:  # torch's v is the mean of squares, ours the spread about the mean
        vectors["v"] = (vectors["v"] - vectors["a"] ** 2).clip(0.0)
        scalars = [1.0]
    if made_by is optim.ASGD:
        eta = carried.get("eta")
        scalars = [NO_SETTING, NO_SETTING] if eta is None else [check_number(_plain(eta), f"state: eta of entry {number}", low=0.0), 1.0]
    elif scalars and made_by is not optim.RMSprop:  # powers that are made anew in the next step
        check_number(_plain(carried.get("mu_product", 0.0)), f"state: mu_product of entry {number}", low=0.0, high=1.0)
        scalars = [_plain(carried.get("mu_product", 0.0)), *[0.0] * (len(scalars) - 3), NO_SETTING, NO_SETTING]
    return {"step": _plain(carried.get("step", 1)), "scalars": scalars, **{name: vectors[name] for name in needed}}


def returned(state_dict: dict[str, Any], made_by: type[optim.Optimizer]) -> dict[str, Any]:
    """The state of one of `mflow.torch` in torch's form: `converted`, the other way round.

    Raises TypeError where torch has no such optimizer, ValueError where a group has a setting that torch's has not.
    """
    import torch

    name = "SGD" if made_by in (optim.Momentum, optim.Nesterov) else made_by.__name__
    theirs = getattr(torch.optim, name, None)
    if theirs is None:
        raise TypeError(f"torch_state_dict: torch.optim has no {name} that could take its state")
    defaults = theirs([torch.zeros(1)], lr=0.1).defaults
    own = settings_of(made_by, made_by([np.zeros(1)])).defaults  # torch's steps are those without the settings that it has not
    out, state = [], {}
    for group in state_dict["param_groups"]:
        surplus = [n for n in own if n not in defaults and group[n] != own[n]]
        if surplus:
            raise ValueError(f"torch_state_dict: torch.optim.{name} has no {surplus[0]}, which is {group[surplus[0]]!r} here")
        fixed = {"nesterov": made_by is optim.Nesterov} if name == "SGD" and made_by is not optim.SGD else {}
        out.append({**defaults, **{n: value for n, value in group.items() if n in defaults or n not in own}, **fixed})
        for number in group["params"]:
            if entry := state_dict["state"].get(number):
                state[number] = _theirs(entry, name, group)
    return {"state": state, "param_groups": out}


def _theirs(entry: dict[str, Any], name: str, group: dict[str, Any]) -> dict[str, Any]:
    """The state of one parameter in torch's form."""
    import torch

    step, scalars = entry["step"], entry["scalars"]
    vectors = {n: v for n, v in entry.items() if n not in ("step", "scalars")}
    if name == "SGD":
        return {"momentum_buffer": -vectors["v"]} if "v" in vectors else {}
    if name == "RMSprop" and "a" in vectors:
        vectors["v"] = vectors["v"] + vectors["a"] ** 2
        if not group["momentum"]:
            del vectors["b"]
    numbers = {"step": float(step)}
    if name == "NAdam":
        numbers["mu_product"] = scalars[0]
    if name == "ASGD":
        numbers |= {"eta": scalars[0], "mu": 1.0 / max(1.0, step - group["t0"])}
    called = {ours: theirs for theirs, ours in VECTORS.items() if theirs in NAMES[name]}
    return {n: torch.tensor(value) for n, value in numbers.items()} | {called[n]: v for n, v in vectors.items()}
