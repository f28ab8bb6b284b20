"""What an integration of second order writes down: states, energies, and velocities in the middle of steps."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from mflow_core.stepping import stepper
from mflow_core.stepping.energy.energies import Energies
from mflow_core.stepping.rows import Rows

from mflow.base.checks import Array
from mflow.base.pace import unknown
from mflow.integrate.dense import DenseOutput
from mflow.integrate.history import Begun, History, kept_rows
from mflow.saving.savefile import numbers_of
from mflow.structures.supports import Supports

__all__ = ["MotionHistory"]


class MotionHistory(History):
    """The saved states of one motion: a row holds x, v and a, and beside it stand the six columns of the energy ledger."""

    vectors = 3  # x, v and a

    waits = True  # before there is an acceleration there is no energy either: `begin` has both

    def __init__(
        self, run: stepper.Run, start: Array, t0: float, *, energy: bool, every: int, times: Array | None, dense: bool, rows: int | None,
        events: Any, t_end: float,
    ) -> None:  # fmt: skip
        self.keeps_energy = energy
        self.energies: list[Array] = []
        super().__init__(run, start, t0, every=every, times=times, dense=dense, rows=rows, events=events, t_end=t_end)

    @property
    def powers(self) -> int:
        """Vectors of a step's continuous extension for x; as many for v, and for a where the method has its own."""
        own = self.run.record.sizes()["n_dense"]
        return int(own) // 3 if own else 3

    def _rows(self, every: int) -> Rows:
        self.e = unknown(len(self.t), 6)
        return Rows(self.y, self.t, self.D, every, self.times, self.events, self.e if self.keeps_energy else None)

    def _energy(self) -> Array | float:
        if not self.keeps_energy:
            return math.nan
        try:
            return Energies(self.run).now()
        except Exception:  # the potential has failed already, or there is no first acceleration: what is known is kept
            return math.nan

    def _put(self) -> None:
        if not self.waits:
            self.e[self.rows.count] = self._energy()
        super()._put()

    def go_on(self, begun: Begun) -> None:
        """With what there is of a run that has begun, and its energies."""
        super().go_on(begun)
        self.waits = begun.began != 0
        if begun.energies is not None:
            self.e = begun.energies

    def begin(self) -> None:
        """The first row, now that the acceleration is there."""
        self.waits = False
        super().begin()

    def close(self) -> None:
        """The last good state, as of all runs; of one that could not begin, the start without energies."""
        if self.waits:
            super().begin()
        super().close()

    def flush(self) -> None:
        """The chunk is full: the next one, with its energies."""
        k, e = self.rows.count, self.e
        count = len(self.chunks)
        super().flush()
        if len(self.chunks) > count:
            self.energies.append(e[:k])

    def pack(self) -> dict[str, bytes]:
        """All rows as bytes, and their energies."""
        return {**super().pack(), "e": np.concatenate([*self.energies, self.e[: self.rows.count]]).tobytes()}

    def unpack(self, blocks: dict[str, bytes], done: Any, moved: list[int] | None = None) -> None:
        """The rows that `pack` wrote. Raises TypeError or ValueError where they do not fit."""
        super().unpack(blocks, done, moved)
        self.waits = False
        e = numbers_of(blocks, "e", (len(blocks["t"]) // 8, 6), finite=False)
        if self.times is None:
            self.energies = [e] if self.chunks else []
        else:
            self.e[: len(e)] = e

    def motion(self, supports: Supports) -> tuple[Array, Array, Array, DenseOutput | None, DenseOutput | None]:
        """t (m,), x, v, a (m, 3, n), energies (m, 6), and the continuous x and v where they were kept."""
        t, y, D = self._joined()
        e = self.e[: self.rows.count]
        if self.energies:
            e = np.concatenate([*self.energies, e])
        rows = y.reshape(len(t), 3, self.start.size)
        sols: list[DenseOutput | None] = [None, None]
        if D is not None:
            for j in range(2):
                state = supports.whole(rows[:, j], j, t)
                D_j = D[1:, self.powers * j : self.powers * (j + 1)]
                sols[j] = DenseOutput(t, state[:-1], supports.polynomials(D_j, j, t), state[-1], shape=supports.shape)
            t, rows, e = self._select_states(t, rows, D, e)
        if supports.any:
            rows = np.stack([supports.whole(rows[:, j], j, t) for j in range(3)], axis=1)
        return t, rows, e, sols[0], sols[1]

    def _select_states(self, t: Array, rows: Array, D: Array, e: Array) -> tuple[Array, Array, Array]:
        """Of all steps, what was asked to be kept."""
        if self.asked_times is None:
            keep = kept_rows(t, self.kept_every) if self.kept_every else np.arange(len(t)) == len(t) - 1
            return t[keep], rows[keep], e[keep]
        sign = 1.0 if self.t_end >= self.t0 else -1.0
        times = self.asked_times[: self._passed_of(self.asked_times, t[-1])]
        step = np.clip(np.searchsorted(sign * t, sign * times, side="left"), 0, len(t) - 1)
        last = np.searchsorted(sign * t, sign * times, side="right") - 1
        step = np.where(t[last] == times, last, step)  # at a jump, what is behind it
        out, energies = rows[step].copy(), e[step].copy()
        for i in np.flatnonzero(t[step] != times):
            k = step[i]
            theta = (times[i] - t[k - 1]) / (t[k] - t[k - 1])
            for j in range(D.shape[1] // self.powers):
                value = D[k, self.powers * (j + 1) - 1]
                for power in range(self.powers * (j + 1) - 2, self.powers * j - 1, -1):
                    value = D[k, power] + theta * value
                out[i, j] = rows[k - 1, j] + theta * value
            if D.shape[1] == 2 * self.powers:
                out[i, 2] = rows[k - 1, 2] + theta * (rows[k, 2] - rows[k - 1, 2])
            if self.keeps_energy:
                x0, v0, a0, x, v = (a.reshape(self.start.shape) for a in (*rows[k - 1], *out[i, :2]))
                energies[i] = Energies(self.run).inside(t[k - 1], x0, v0, a0, times[i], x, v, e[k - 1])
        return times, out, energies

    def half_steps(self, t1: float, step: float, steps: int, supports: Supports) -> tuple[Array | None, Array | None]:
        """t (m,) and v (m, n) in the middle of the steps that begin at kept states, by the formula and with the bits of the staggered
        methods; None where states are kept by times, or the last alone."""
        every = 1 if self.dense else self.every
        if every == 0 or self.kept_every == 0 or self.asked_times is not None or self.run.k == 0:
            return None, None
        t, y, _ = self._joined()
        begun = (self.run.k - 1) // every + 1  # rows at which a step began
        keep = np.arange(0, begun, self.kept_every // every)
        _, v, a = y.reshape(len(t), 3, self.start.size)[keep].transpose(1, 0, 2)
        h, last = np.full(len(v), step), int(keep[-1]) * every == steps - 1
        if last and abs(self.t0 + steps * step - t1) > 4.5e-16 * (abs(t1) + abs(self.t0)):
            h[-1] = t1 - t[keep[-1]]
        half = t[keep] + 0.5 * h
        whole = (t[-1] - half) * step >= 0
        return half[whole], supports.whole(v + (0.5 * h)[:, None] * a, 1, half)[whole]
