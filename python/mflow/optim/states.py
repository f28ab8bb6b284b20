"""What ``state_dict`` of an optimizer gave, looked at before anything of it is taken."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from mflow_core.optimize import updater

from mflow.base.checks import Array, as_number, check_flags, check_instance, check_list, real_array

__all__ = ["check_scalars", "checked_groups", "checked_vectors"]

ROUNDING = 1e-12  # of a power of beta that many products have made


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
        steps = "1 step" if k == 1 else f"{k} steps"
        raise ValueError(f"state: scalars of group {g}: expected those that {record.name} has after {steps}, got {scalars}")


def _number(value: Any, argument: str) -> float:
    return float(value) if isinstance(value, bool) else as_number(value, argument, "a number")
