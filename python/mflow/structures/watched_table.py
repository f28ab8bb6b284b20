"""A load's table while a run steps over it: what its steps do not see of it and which of its ends they pass, told once."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np

from mflow.base.checks import Array, real_array
from mflow.base.pace import interruptible
from mflow.base.telling import tell
from mflow.structures import load_tables

__all__ = ["WatchedTable"]

OVER = 0.5  # of its peak: a table that ends below is taken for one that is over, even where it is even at its end
REST = 1e-6  # of the peak, below which a held value is that of a load at rest
FIRST = 8  # steps of one size, after which a stepper looks back for the first time; then after twice as many


class WatchedTable:
    """The table (times, values) or (times, values, pattern) of a run. name: the driver's, for warnings. after: as in `solve_dynamics`."""

    def __init__(self, name: str, table: tuple[Any, ...], after: str | None) -> None:
        self.name, self.after = name, after
        times, values = (real_array(part, "load") for part in table[:2])
        self.given, self.work = (times, values), load_tables.PER_NUMBER * values.size
        self.first, self.last = float(times[0]), float(times[-1])
        self.seen = self.given if after != "zero" else interruptible(self.work, load_tables.ended, times, values)
        self.passed: set[float] = set()  # ends that were noted
        self.doubts: list[str] = []  # what was warned of them
        self.grid: Any = None  # what a stepper's steps of one size are counted from
        self.due = FIRST  # of them, at the next look
        self.told = False

    @cached_property
    def _bends(self) -> Array:
        bends: Array = interruptible(self.work, load_tables.bends, *self.seen)
        return bends

    def bound(self, t: float, h: float, sign: float) -> float:
        """The longest step from t, in the direction of sign, that passes no bend. h: the step that would be taken."""
        return load_tables.up_to(self._bends, t, h, sign)

    def ends(self, t0: float, t1: float) -> list[str]:
        """Words on those that a run from t0 to t1 passes; a warning, and a doubt, where the load that is held may be meant to be over."""
        notes = []
        for at, share in load_tables.held(*self.given, t0, t1):
            if at in self.passed:
                continue
            self.passed.add(at)
            place = "before the start" if at == self.first else "past the end"
            kept = "it is 0 there" if self.after == "zero" or share == 0.0 else f"its value there, {100 * share:.3g} % of its peak, is held"
            note = f"{place} of the load's table, t = {at:g}, {kept}"
            stays = share >= OVER and load_tables.stays(self.given[1], 0 if at == self.first else -1)
            if self.after is None and share > REST and not stays:
                self.doubts.append(f'load: the run goes {note}: give after="zero" for a load that is over, or after="hold"')
                tell(f"{self.name}: {self.doubts[-1]}")
            else:
                notes.append(note)
        return notes

    def left_out(self, legs: Sequence[float], dt: float) -> None:
        """Warns where steps of dt over these legs, counted anew from the start of each, do not see much of the table."""
        share = max(interruptible(self.work, load_tables.left_out, *self.seen, a, b, dt) for a, b in pairwise(legs))
        if share > load_tables.LEFT_OUT:
            self.told = True
            tell(
                f"{self.name}: load: {100 * share:.3g} % of the table's impulse falls between steps of dt = {dt:g}, which do not see "
                "it (the integral of |load - line between the ends of steps| against that of |load|); its times are about "
                f"{interruptible(self.work, np.median, np.diff(self.seen[0])):.3g} apart: lower dt"
            )

    def look(self, run: Any, t0: float, controlled: bool) -> None:
        """What a stepper that has begun at t0 has passed, and what its steps of the size at hand have not seen since they began."""
        t = float(run.t)
        low, high = min(t0, t), max(t0, t)
        if (low < self.first and self.first not in self.passed) or (high > self.last and self.last not in self.passed):
            self.ends(t0, t)
        if controlled or self.told:
            return
        dt, k, start = grid = run.grid
        if grid != self.grid:
            self.grid, self.due = grid, FIRST
        if run.k - k >= self.due and start != t and math.isfinite(dt):
            self.due = 2 * (run.k - k)
            self.left_out([start, t], abs(dt))
