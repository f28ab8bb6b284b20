"""The step of a minimisation: a number, a schedule, or lr="auto"."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from mflow.base.checks import Array, check_number
from mflow.base.methods import Method, as_method
from mflow.base.telling import tell
from mflow.optim.schedules import for_a_run
from mflow.stability import limits, spectrum

__all__ = ["FRICTION", "AutoStep", "resolve"]

FRICTION = 1.0  # the default for descent: without friction nothing is minimised
ALARM = 2.0  # a gradient that has grown by this since the curvature was last measured: it is measured again
LEAST_CAUTION = 1e-3  # the least share of the step that the limit allows


def resolve(method: str | Method, parameters: dict[str, Any]) -> tuple[Method, float, Callable[[int], float] | None]:
    """(method, dt, schedule) where lr and dt are one thing, and friction has its default for descent."""
    settings = dict(parameters)
    method = as_method(method, {})
    known = [p.name for p in method.parameters_]
    if "dt" in settings and "lr" in settings:
        raise TypeError("lr, dt: they are one thing here, got both; give one of them")
    step = for_a_run(settings.pop("dt", settings.pop("lr", None)))
    schedule = step if callable(step) else None
    if "friction" in known and "friction" not in {**method.given, **settings}:
        settings["friction"] = FRICTION
    second = "second_order" in method.flags
    friction = settings.pop("friction", FRICTION) if second else {**method.given, **settings}.get("friction")
    if friction == 0.0:
        tell(f"{method.name} with friction = 0 keeps its energy and minimises nothing; friction=1 is a good start", UserWarning)
    if method.kind == "update":
        if step is not None and step != "auto":
            settings["lr"] = step(0) if schedule else step
        return as_method(method, settings), math.nan, schedule
    if method.kind != "step":
        raise ValueError(f"method: expected an optimizer or an integrator, got {method.name}, which does not minimise by itself")
    if step is None:
        along = "" if second else " along gradient flow"
        raise ValueError(f"dt: expected the size of the fixed steps of {method.name}{along}, got None; see mflow.max_stable_dt")
    if step == "auto":
        return spectrum.relaxing(as_method(method, settings)), math.nan, None
    if step == math.inf and method.is_implicit and method.stages == 1:
        return as_method(method, settings), math.inf, None
    first = check_number(step(0) if schedule else step, "dt", low=0.0, open_low=True)
    return as_method(method, settings), first, schedule


class AutoStep:
    """lr="auto": nine tenths of the stability limit for the curvature where the run stands, measured again along the way.

    The limit holds for small motions. Where the gradient grows by a factor of `ALARM` they are not small, and steps are shorter for a
    while; from there on the run also brakes: a velocity that leads uphill is put to 0, for what a velocity may carry on is bounded by
    constant curvature only.
    """

    def __init__(self, method: Method) -> None:
        if "linear" not in method.flags or method.is_implicit:
            raise ValueError(f'lr: "auto" follows a stability limit, and {method.name} has none; give a number')
        self.method = method
        self.alarm, self.caution, self.brake = math.inf, 1.0, False
        self._looks = spectrum.Looks()

    def due(self, k: int) -> bool:
        """Whether the curvature is to be measured before iteration k."""
        return self._looks.due(k)

    def room(self, k: int) -> int:
        """Iterations until it is to be measured again."""
        return self._looks.next - k

    def shorten(self, k: int) -> None:
        """The gradient has grown too much in iteration k: measure now, and take shorter steps."""
        self.brake = True
        self._looks.next, self.caution = k, max(0.5 * self.caution, LEAST_CAUTION)

    def choose(self, run: Any, slope: Callable[[float, Array], Array], last: float) -> float:
        """The step from here on; `last` is the one so far, NaN before the first."""
        here, step = run.y, last
        if self.method.kind == "step":
            safe = spectrum.safe_step(slope, 0.0, here, self.method, symmetric=True)
            limit = safe.dt
            if "needs_rho" in self.method.flags and math.isfinite(safe.rho):
                run.rho = safe.rho
        else:
            radius, _ = spectrum.upper_radius(slope, 0.0, here, symmetric=True)
            limit = 0.9 * limits.max_stable_dt(self.method, curvature=radius) if math.isfinite(radius) else math.nan
        limit *= self.caution
        self.caution = min(1.0, 1.25 * self.caution)
        if limit > 0.0:  # where there is no limit, keep the last step: the descent itself will tell what is wrong
            step = limit if math.isfinite(limit) else 1.0
        elif math.isnan(step):
            step = 1e-3
        self._looks.found(run.k, step)
        self.alarm = ALARM * float(np.max(np.abs(slope(0.0, here)), initial=0.0))
        return step
