"""The curvature of a run while it goes on, held against the largest that its method bears.

A look takes one gradient and a few products of the Hessian with vectors, all aside from the run: no batch is drawn for it, no random
stream of the run is touched, and what is trained has the bits of a run that nobody watches.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable
from typing import Any

import numpy as np

from mflow.base.checks import Array, check_choice, check_whole
from mflow.base.result import CurvatureResult
from mflow.base.telling import tell
from mflow.curvature.frozen import Bearing
from mflow.curvature.hessian import Hessian
from mflow.curvature.landscape import scaled
from mflow.curvature.measure import Meter

__all__ = ["EVERY", "Watch", "watch_of"]

EVERY = 100
COLUMNS = ("step", "largest", "limit", "lr")


class Watch:
    """The looks at one run. every : steps between them. nfev : gradients and products that they have taken."""

    def __init__(self, name: str, method: str, every: int) -> None:
        self.name, self.method, self.every = name, method, every
        self.meter, self.nfev, self.warned = Meter(), 0, False
        self.columns = {column: array("d") for column in COLUMNS}

    def due(self, step: int) -> bool:
        """Whether it is time, after so many steps."""
        return step % self.every == 0

    @property
    def last(self) -> int:
        """The step of the last look; -1 before the first."""
        return int(self.columns["step"][-1]) if self.columns["step"] else -1

    def room(self, step: int) -> int:
        """Steps until it is."""
        return self.every - step % self.every

    def look(
        self, step: int, x: Array, gradient: Callable[[Array], Array], product: Callable[[Array], Array] | None,
        bearing: Callable[[Array], Bearing], lr: float,
    ) -> None:  # fmt: skip
        """Measures at a flat x, after so many steps. A number that is not finite is noted as nan: the run will say what is wrong."""
        largest, limit = math.nan, math.nan
        with np.errstate(all="ignore"):
            grad = gradient(x)
            self.nfev += 1
            if np.all(np.isfinite(grad)):
                hessian, found = Hessian(x, gradient, product, base=grad), bearing(grad)
                if step == 0 and found.root is not None:
                    return  # of the size of gradients nothing is stored before the first step
                limit = found.limit
                try:
                    largest = self.meter.follow(scaled(hessian, found), x.size)
                except FloatingPointError:
                    largest = math.nan
                self.nfev += hessian.evaluations
        for column, value in zip(COLUMNS, (float(step), largest, limit, lr), strict=True):
            self.columns[column].append(value)
        if largest > limit and not self.warned:
            self.warned = True
            text = f"after {step} step{'s' if step != 1 else ''} lr times the largest curvature is {lr * largest:.4g}"
            text += f", above the limit {lr * limit:.4g} of {self.method}"
            advice = f"steps along it grow until the curvature falls; up to lr = {lr * limit / largest:.4g} it is stable there"
            tell(f"{self.name}: {text}: {advice}")

    @property
    def note(self) -> str:
        """For a progress bar."""
        if not self.columns["lr"]:
            return ""
        lr = self.columns["lr"][-1]
        return f", lr times curvature {lr * self.columns['largest'][-1]:.3g} of {lr * self.columns['limit'][-1]:.3g}"

    def result(self) -> CurvatureResult:
        """The looks, as float64 arrays, and what they took."""
        return CurvatureResult({name: np.array(values, dtype=np.float64) for name, values in self.columns.items()}, nfev=self.nfev)


def watch_of(monitor: Any, every: Any, name: str, method: str) -> Watch | None:
    """What ``monitor=`` and ``monitor_every=`` ask for; None where nothing is asked. Raises TypeError or ValueError."""
    every = check_whole(every, "monitor_every", 1)
    if monitor is None:
        return None
    check_choice(monitor, "monitor", ("curvature",))
    return Watch(name, method, every)
