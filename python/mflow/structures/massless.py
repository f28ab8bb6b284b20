"""The motion of degrees of freedom without mass, condensed by `mflow.spectra.condensed`: they follow the others and their load."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from mflow.base.checks import Array
from mflow.spectra.condensed import Condensed
from mflow.structures.support_motions import differenced

__all__ = ["Massless"]


class Massless:
    """The condensed degrees of freedom, which follow the others. index : (s,); reach : (c,), those that they follow."""

    def __init__(self, found: Condensed) -> None:
        self.index, self.reach, self.solve = found.index, found.reach, found.solve
        self.follow, self.pass_on = found.follow, found.pass_on
        self.load: Callable[[float], Array] | None = None
        self.slope: Callable[[float], Array] | None = None
        self.delta = 0.0

    def take_load(self, load: Callable[[float], Array] | None, slope: Callable[[float], Array] | None, delta: float) -> None:
        """The load of all degrees of freedom at a time, and its slope where that is known (None: differences over delta)."""
        self.load, self.slope, self.delta = load, slope, delta

    def passed(self, f: Array) -> Array:
        """Loads (..., n) with what the massless hand on."""
        out = np.array(f)
        out[..., self.reach] += f[..., self.index] @ self.pass_on.T
        return out

    def forced(self, t: float) -> Array:
        """(3, s): what the load alone makes of them, and its first two derivatives."""
        if self.load is None:
            return np.zeros((3, self.index.size))
        load, index = self.load, self.index
        if self.slope is not None:
            rows = np.stack([load(t)[index], self.slope(t)[index], np.zeros(index.size)])
        else:
            rows = differenced(lambda s: load(s)[index], t, self.delta)
        return np.stack([self.solve(row) for row in rows])
