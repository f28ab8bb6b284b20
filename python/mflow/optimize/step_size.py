"""The step of a minimisation: a number, a schedule, or lr="auto"."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from mflow.base.checks import check_number
from mflow.base.methods import Method, as_method, from_letters
from mflow.base.telling import tell
from mflow.optim.schedules import for_a_run
from mflow.stability import spectrum
from mflow.stability.limits import FRICTION

__all__ = ["resolve"]


def resolve(method: str | Method, parameters: dict[str, Any]) -> tuple[Method, float, Callable[[int], float] | None]:
    """(method, dt, schedule) where lr and dt are one thing, and friction of a second-order method has its default for descent."""
    settings = dict(parameters)
    method = as_method(method, {})
    if {"alpha", "beta"} & set(settings):
        settings = from_letters(method.record, settings)
    if "dt" in settings and "lr" in settings:
        raise TypeError("lr, dt: they are one thing here, got both; give one of them")
    for name in ("dt", "lr", "momentum", "friction"):
        if isinstance(settings.get(name), (np.ndarray, list, tuple)):
            check_number(settings[name], name)
    step = for_a_run(settings.pop("dt", settings.pop("lr", None)))
    schedule = step if callable(step) else None
    for name in ("momentum", "friction"):
        if settings.get(name) == "auto":
            if step != "auto" or method.kind != "update":
                raise ValueError(f'{name}: "auto" belongs to lr="auto" of an optimizer, got lr = {step!r} for {method.name}')
            settings.pop(name)
    second = "second_order" in method.flags
    friction = settings.pop("friction", FRICTION) if second else {**method.given, **settings}.get("friction")
    if friction == 0.0:
        tell(f"{method.name} with friction = 0 keeps its energy and minimises nothing; friction=1 is a good start", UserWarning)
    if method.kind == "update":
        if step is not None and step != "auto":
            settings["lr"] = step(0) if schedule else step
        return as_method(method, settings), math.nan, schedule
    if method.kind != "step":
        fix = "; mflow.train and mflow.minimize_batch take it" if method.name == "implicit_sgd" else ""
        raise ValueError(f"method: expected an optimizer or an integrator, got {method.name}, which does not minimise by itself{fix}")
    if step is None:
        along = "" if second else " along gradient flow"
        raise ValueError(f"dt: expected the size of the fixed steps of {method.name}{along}, got None; see mflow.max_stable_dt")
    if step == "auto":
        return spectrum.relaxing(as_method(method, settings)), math.nan, None
    if step == math.inf and method.is_one_equation:
        return as_method(method, settings), math.inf, None
    first = check_number(step(0) if schedule else step, "dt", low=0.0, open_low=True)
    return as_method(method, settings), first, schedule
