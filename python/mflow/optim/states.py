"""What an optimizer is given, looked at before anything of it is taken: arrays of parameters, and what ``state_dict`` gave."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from mflow_core.optimize import updater
from mflow_core.optimize.arrays import checked, shared_array

from mflow.base.checks import Array, as_number, check_flags, check_flat, check_instance, check_list, check_number, finite_array, real_array
from mflow.base.telling import counted, tell
from mflow.optim.schedules_base import schedule_state

__all__ = [
    "carried_scalars",
    "check_form",
    "check_scalars",
    "checked_groups",
    "checked_vectors",
    "fitting",
    "parameter",
    "spread",
    "take_schedule",
]

NO_SETTING = -1.0  # in the last scalars, the settings that powers were made with: unknown (see `optimizers/adaptive.pyx`)
ROUNDING = 1e-12  # of a power of beta that many products have made


def spread(params: Any, argument: str) -> tuple[list[Any], Any]:
    """(arrays, how they were arranged) of one array, or a list, tuple or dict of them."""
    if callable(getattr(params, "parameters", None)):
        raise TypeError(f"{argument}: expected arrays, got the model {type(params).__name__}; give list(model.parameters())")
    params = list(params) if hasattr(params, "__next__") else params
    check_flat(params, argument)
    if isinstance(params, dict):
        return [parameter(a, f"{argument}[{k!r}]") for k, a in params.items()], list(params)
    if isinstance(params, (list, tuple)):
        return [parameter(a, f"{argument}[{i}]") for i, a in enumerate(params)], len(params)
    return [parameter(params, argument)], None


def parameter(array: Any, argument: str) -> Any:
    """One array of parameters, whose memory an optimizer shares."""
    if hasattr(array, "__dlpack__") and hasattr(array, "double") and str(array.dtype) != "torch.float64":
        raise TypeError(
            f"{argument}: expected dtype float64, got a tensor of {array.dtype}; model.double() converts a model in place, tensor.double() "
            "makes a copy: keep that, as it is what changes"
        )
    array = shared_array(array, argument)
    checked(array, argument)
    return finite_array(array, argument)


def check_form(state: Any, name: str) -> None:
    """Raises TypeError or ValueError for what `state_dict` of an optimizer does not return; name : its class."""
    check_instance(state, "state", Mapping, "the dict that state_dict returned")
    if {"state", "param_groups"} <= set(state):
        raise ValueError(
            f"state: expected what state_dict of mflow.optim.{name} returned, got the form of torch's optimizers: load it into "
            f"mflow.torch.{name}, which takes torch's own states and drives the tensors"
        )
    missing = {"method", "steps", "groups", "vectors"} - set(state)
    if missing:
        raise ValueError(f"state: expected what state_dict returned, got a dict without {', '.join(sorted(missing))}")


def checked_groups(groups: Any) -> list[dict[str, Any]]:
    """The groups of a state: parameters and scalars as floats. Raises TypeError or ValueError that names the field."""
    out = []
    for g, entry in enumerate(check_list(groups, "state: groups", "a list of dicts, one a group")):
        where = f"state: group {g}"
        check_instance(entry, where, Mapping, "a dict")
        missing = {"parameters", "maximize", "scalars"} - set(entry)
        if missing:
            raise ValueError(f"{where}: expected parameters, maximize and scalars, got a dict without {', '.join(sorted(missing))}")
        check_instance(entry["parameters"], f"{where}: parameters", Mapping, "a dict")
        check_flags(**{f"{where}: maximize": entry["maximize"]})
        scalars = check_list(entry["scalars"], f"{where}: scalars", "a list of numbers")
        numbers = {str(name): _number(value, f"{where}: {name}") for name, value in entry["parameters"].items()}
        out.append({**entry, "parameters": numbers, "scalars": [as_number(value, f"{where}: scalars", "a number") for value in scalars]})
    return out


def checked_vectors(vectors: Any) -> list[dict[str, Array]]:
    """The vectors of each array. Raises TypeError or ValueError that names the field."""
    out = []
    for i, by_name in enumerate(check_list(vectors, "state: vectors", "a list of dicts, one an array")):
        check_instance(by_name, f"state: vectors of array {i}", Mapping, "a dict")
        out.append({str(name): real_array(value, f"state: {name} of array {i}") for name, value in by_name.items()})
    return out


def fitting(by_name: dict[str, Array], i: int, array: Array, names: list[str], squares: Sequence[str], finite: bool) -> dict[str, Array]:
    """Copies of the vectors that an optimizer keeps for array i, by their names; squares : those that are never negative. Raises ValueError
    where they do not fit; warns of an infinite one that was saved so."""
    if sorted(by_name) != sorted(names) or any(np.shape(v) != array.shape for v in by_name.values()):
        shapes = {k: np.shape(v) for k, v in by_name.items()}
        raise ValueError(f"state: expected {names} of shape {array.shape} for array {i}, got {shapes}")
    fresh = {name: np.array(by_name[name], order="C") for name in names}
    for name in squares:
        bad = np.flatnonzero(fresh[name] < 0.0)
        if bad.size:
            raise ValueError(
                f"state: expected numbers of at least 0 as {name} of array {i}, got {fresh[name].flat[bad[0]]} in entry {bad[0]}"
            )
    for name, vector in fresh.items():
        bad = np.flatnonzero(~np.isfinite(vector))
        if not bad.size:
            continue
        what = f"{vector.flat[bad[0]]} in entry {bad[0]}"
        if finite and (name not in squares or np.isnan(vector.flat[bad[0]])):
            raise ValueError(f"state: expected finite numbers as {name} of array {i}, got {what}; check_finite=False loads it")
        tell(f"state: {name} of array {i} is {what}, as it was saved: a number that is divided by it stands still, or is none")
    return fresh


def carried_scalars(record: Any, parameters: Mapping[str, Any], entry: Mapping[str, Any], g: int) -> list[float]:
    """The scalars of group g, as many as the method carries with the parameters of the state; parameters : those of the group now. Raises
    ValueError."""
    sizes, now, scalars = record.sizes(entry["parameters"]), record.sizes(parameters), list(entry["scalars"])
    if sizes["n_vec"] != now["n_vec"]:
        raise ValueError(f"state: group {g} carries another number of vectors with these parameters; make the optimizer with them")
    if now["n_scal"] and record.name == "rmsprop" and not scalars:
        raise ValueError(
            f"state: group {g} is of an older version, whose v in centred RMSprop is the mean of squares: take a**2 from each v, "
            "and give its group the scalars [1.0]"
        )
    if carried := sizes["n_scal"]:  # an older state lacks the last ones, settings: the powers are then made anew
        scalars += [NO_SETTING] * min(carried - len(scalars), 2)
    if len(scalars) != carried or not np.all(np.isfinite(scalars)):
        raise ValueError(f"state: expected {carried} finite scalars in group {g}, got {scalars}")
    return scalars


def check_scalars(record: Any, parameters: dict[str, Any], k: int, scalars: list[float], g: int) -> None:
    """Raises ValueError where no k steps of the method leave these scalars in group g.

    The next step is begun from them, and from others in their place: what is the same from any others follows from k and the parameters
    alone, as powers of beta do, and has to be that. The rest are sums, products and rates, which are never below 0.
    """
    if k == 0 or not scalars:
        return  # the first step begins anew

    def begun(given: Any, at: int = k) -> tuple[Array, Array]:
        carried = np.array(given, dtype=np.float64)
        return carried, updater.begin(record, parameters, at, carried)

    n = len(scalars)
    (ahead, coef), (_, usual), low, high = (begun(x) for x in (scalars, np.zeros(n), np.full(n, -1.0), np.full(n, 1e9)))
    given, settled = np.array(scalars), low[0] == high[0]
    with np.errstate(invalid="ignore"):
        wrong = np.where(settled, ~(np.abs(ahead - low[0]) <= ROUNDING), given < -ROUNDING)
        turned = (np.isfinite(usual) & ~np.isfinite(coef)) | (np.sign(coef) * np.sign(usual) < 0.0)
    if record.name == "nadam":  # the product of its mu, as a pair, and the power of 0.96, which its next step replaces
        power, rate = begun(np.zeros(n), k - 1)[0][4:6]
        wrong[:2] |= given[0] >= 1.0, abs(given[1]) > ROUNDING
        wrong[4] |= given[5] == rate and not abs(given[4] - power) <= ROUNDING
    if np.any(wrong) or np.any(turned):
        raise ValueError(f"state: scalars of group {g}: expected those that {record.name} has after {counted(k, 'step')}, got {scalars}")


def _number(value: Any, argument: str) -> float:
    return float(value) if isinstance(value, bool) else as_number(value, argument, "a number")


def take_schedule(schedule: Any, entry: Mapping[str, Any], g: int, *, only_check: bool = False) -> dict[str, Any]:
    """The parameters of group g of a state, whose schedule goes on from what is kept of it.

    A function of the step alone has nothing to take, and where lr is a number now, it is the rate that the schedule had come to. Raises
    TypeError or ValueError where the state is one of another schedule.
    """
    parameters: dict[str, Any] = dict(entry["parameters"])
    kept = entry.get("schedule")
    if kept is None:
        return parameters
    check_instance(kept, f"state: group {g}: schedule", Mapping, "a dict")
    if schedule is None and "lr" in kept:
        parameters["lr"] = check_number(kept["lr"], f"state: group {g}: schedule: lr", low=0.0)
    elif schedule_state(schedule):
        (copy.deepcopy(schedule) if only_check else schedule).load_state_dict(kept)
    return parameters
