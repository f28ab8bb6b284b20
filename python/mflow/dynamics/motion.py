"""Second-order runs from their first step to their ending: what `mflow.integrate.drive` does for y' = f, for M x'' = F(t, x, v).

A saved row holds x, v and a, and beside it the six columns of the energy ledger. Degrees of freedom that are fixed are no part of the
run: `Supports` takes them out before it and puts them back after.
"""

from __future__ import annotations

import functools
import math
import warnings
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from mflow_core.dynamics import structure
from mflow_core.problems import problem
from mflow_core.stepping import events as core_events
from mflow_core.stepping import stepper
from mflow_core.stepping.energies import Energies

from mflow.base.checks import Array
from mflow.base.methods import Method
from mflow.base.result import COLUMNS, DynamicsResult, Result
from mflow.dynamics import load_tables
from mflow.integrate import endings
from mflow.integrate.control import check_min_step, check_tolerances
from mflow.integrate.dense import DenseOutput
from mflow.integrate.drive import ATOL, GROWTH, LEAST_STEPS, RTOL, Drive, Settings, check_span
from mflow.integrate.records import Record
from mflow.stability import modes

__all__ = ["Motion", "Supports"]

LEFT_OUT = 0.1  # of a table's impulse: beyond, fixed steps are too long for it
MANY_MASSES = 64  # beyond, a bound of the frequencies is tried before they are computed


class Supports:
    """Which of n degrees of freedom move; the others keep the places that x0 gives them."""

    def __init__(self, x0: Array, fixed: Any) -> None:
        self.shape, self.n = x0.shape, x0.size
        self.place = x0.ravel().copy()
        held = np.zeros(self.n, dtype=bool)
        if fixed is not None:
            index = np.asarray(fixed)
            if index.dtype == bool and index.shape in (self.shape, (self.n,)):
                index = np.flatnonzero(index)
            index = np.atleast_1d(index)
            if index.size and (index.dtype.kind not in "iu" or index.ndim != 1 or index.min() < -self.n or index.max() >= self.n):
                came = repr(fixed) if index.size <= 10 and index.ndim < 2 else f"an array of {index.dtype} of shape {index.shape}"
                raise ValueError(
                    f"fixed = {came}: indices of degrees of freedom from 0 to {self.n - 1} are wanted, or a mask of True and False of "
                    f"shape {self.shape}"
                )
            held[index.astype(np.intp)] = True
        self.free, self.held = np.flatnonzero(~held), np.flatnonzero(held)
        self.any = bool(self.held.size)

    def reorder(self, order: Any) -> None:
        """The run takes what moves in this order: matrices are narrower in it."""
        self.free, self.any = self.free[order], True

    def reduced(self, vector: Array) -> Array:
        """The free part of n numbers, in the state's shape where all are free."""
        return np.ascontiguousarray(vector.ravel()[self.free]) if self.any else vector

    def whole(self, rows: Array, at_place: bool = False) -> Array:
        """(..., free) as (..., n): places or zeros where it is fixed."""
        if not self.any:
            return rows
        out = np.zeros((*rows.shape[:-1], self.n))
        if at_place:
            out[...] = self.place
        out[..., self.free] = rows
        return out

    def state(self, vector: Array, at_place: bool = False) -> Array:
        """A state of the run as its user knows it."""
        return self.whole(vector.reshape(-1), at_place).reshape(self.shape) if self.any else vector


class MotionRecord(Record):
    """Rows of x, v and a, and the energies that belong to them."""

    def __init__(self, run: stepper.Run, start: Array, t0: float, *, energy: bool, **more: Any) -> None:
        self.keeps_energy = energy
        self.energies: list[Array] = []
        super().__init__(run, start, t0, **more)

    @property
    def width(self) -> int:
        return 3 * self.start.size

    def _rows(self, every: int) -> stepper.Rows:
        self.e = np.full((len(self.t), 6), math.nan)
        return stepper.Rows(self.y, self.t, self.D, every, self.times, self.events, self.e if self.keeps_energy else None)

    def _state(self) -> Array:
        return np.concatenate([self.run.vector(j).ravel() for j in range(3)])

    def _energy(self) -> Array | float:
        if not self.keeps_energy:
            return math.nan
        try:
            return Energies(self.run).now()
        except Exception:  # the potential has failed already, or there is no first acceleration: what is known is kept
            return math.nan

    def _put(self, t: float, y: Array) -> None:
        self.e[self.rows.count] = self._energy()
        super()._put(t, self._state())

    def begin(self) -> None:
        """The first row, now that the acceleration is there."""
        if self.rows.count and self.t[0] == self.t0:
            self.y[0], self.e[0] = self._state(), self._energy()

    def flush(self) -> None:
        k, e = self.rows.count, self.e
        count = len(self.chunks)
        super().flush()
        if len(self.chunks) > count:
            self.energies.append(e[:k])

    def pack(self) -> dict[str, bytes]:
        return {**super().pack(), "e": np.concatenate([*self.energies, self.e[: self.rows.count]]).tobytes()}

    def unpack(self, blocks: dict[str, bytes], done: int) -> None:
        super().unpack(blocks, done)
        e = np.frombuffer(blocks["e"]).reshape(-1, 6)
        if self.times is None:
            self.energies = [e] if self.chunks else []
        else:
            self.e[: len(e)] = e

    def motion(self, supports: Supports) -> tuple[Array, Array, Array, DenseOutput | None, DenseOutput | None]:
        """t (m,), x, v, a (m, 3, n), energies (m, 6), and the continuous x and v where they were kept."""
        t, y, D = self._joined()
        e = np.concatenate([*self.energies, self.e[: self.rows.count]])
        rows = y.reshape(len(t), 3, self.start.size)
        sols: list[DenseOutput | None] = [None, None]
        if D is not None:
            for j in range(2):
                state = supports.whole(rows[:, j], at_place=j == 0)
                sols[j] = DenseOutput(t, state[:-1], supports.whole(D[1:, 3 * j : 3 * j + 3]), state[-1], shape=supports.shape)
            t, rows, e = self._chosen(t, rows, D, e)
        full = np.stack([supports.whole(rows[:, j], at_place=j == 0) for j in range(3)], axis=1)
        return t, full, e, sols[0], sols[1]

    def _chosen(self, t: Array, rows: Array, D: Array, e: Array) -> tuple[Array, Array, Array]:
        """Of all steps, what was asked to be kept."""
        if self.wanted is None:
            keep = np.arange(len(t)) % self.kept_every == 0 if self.kept_every else np.zeros(len(t), dtype=bool)
            keep[-1] = True
            return t[keep], rows[keep], e[keep]
        sign = 1.0 if t[-1] >= t[0] else -1.0
        times = self.wanted[(self.wanted - t[-1]) * sign <= 0]
        step = np.clip(np.searchsorted(sign * t, sign * times, side="left"), 0, len(t) - 1)
        out, energies = rows[step].copy(), e[step].copy()
        for i in np.flatnonzero(t[step] != times):
            k = step[i]
            theta = (times[i] - t[k - 1]) / (t[k] - t[k - 1])
            for j in range(2):
                out[i, j] = rows[k - 1, j] + theta * (D[k, 3 * j] + theta * (D[k, 3 * j + 1] + theta * D[k, 3 * j + 2]))
            out[i, 2] = rows[k - 1, 2] + theta * (rows[k, 2] - rows[k - 1, 2])
            if self.keeps_energy:
                x0, v0, a0, x, v = (a.reshape(self.start.shape) for a in (*rows[k - 1], *out[i, :2]))
                energies[i] = Energies(self.run).inside(t[k - 1], x0, v0, a0, times[i], x, v, e[k - 1])
        return times, out, energies

    def half_steps(self, t1: float, step: float, steps: int, supports: Supports) -> tuple[Array | None, Array | None]:
        """t (m,) and v (m, n) in the middle of the steps that begin at kept states, by the formula and with the bits of the staggered rows;
        None where states are kept by times, or the last alone."""
        every = 1 if self.dense else self.every
        if every == 0 or self.kept_every == 0 or self.wanted is not None or self.run.k == 0:
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
        return half[whole], supports.whole(v + (0.5 * h)[:, None] * a)[whole]


class MotionEnding(endings.Ending):
    """Endings, with the state (x, v) and its slope (v, a)."""

    callee, jacobian = "force", "dfdx= and dfdv="

    def __init__(self, drive: Motion, where: str) -> None:
        start = np.concatenate([drive.start.ravel(), drive.v0.ravel()])
        super().__init__(drive.run, drive.method, drive.mode, drive.step, start, drive.t0, where)
        self.drive = drive

    def _hint(self) -> str:
        return self.drive.explain()

    def _state(self) -> Array:
        return np.concatenate([self.run.y.ravel(), self.run.vector(1).ravel()])

    def _ask(self, t: float, y: Array) -> Array:
        x, v = np.split(y, 2)
        return np.concatenate([v, self.run.acceleration(t, x, v).ravel()])

    def _number(self, j: int) -> int:
        """Of the slope (v, a), the second half."""
        return int(self.drive.supports.free[j - self.drive.start.size])

    def _unsolved(self, fixed: bool) -> str:
        counts = self.drive.what.counters
        row, failed = counts.get("singular"), counts.get("cg_failed")
        if failed is not None:
            why = {
                "indefinite": "is not positive definite: conjugate gradients cannot solve with it; is a stiffness or a damping negative?",
                "slow": f"was not solved with in {counts['ncg']} conjugate gradient iterations: lower dt, or give matrices and no 'cg'",
                "residual": "leaves a residual above 1e-12 after conjugate gradients: is the damping symmetric?",
            }[failed]
            return f"the matrix M + gamma dt C + beta dt^2 K of {self.method.name}'s step {why} ({self.where})"
        if row is None:
            return super()._unsolved(fixed)
        held = int(self.drive.supports.free[row])
        return (
            f"the matrix M + gamma dt C + beta dt^2 K of {self.method.name}'s step is singular {self.where} (see row {held}): "
            "another dt, or is a stiffness negative?"
        )


class Motion(Drive):
    """One integration of M x'' = F(t, x, v)."""

    estimated = "newmark"
    what: Any

    def __init__(
        self,
        what: problem.Problem,
        t_span: Sequence[float],
        start: Array,
        v0: Array,
        method: Method,
        settings: Settings,
        *,
        supports: Supports,
        energy: bool,
        matrices: tuple[Any, ...] | None,
        velocity_free: bool = False,
        facts: dict[str, Any] | None = None,
    ) -> None:
        self.velocity_free, self.problem_facts = velocity_free, facts or {}
        self.v0, self.supports, self.keeps_energy, self.matrices, self.warned = v0, supports, energy, matrices, ""
        self.what, self.start, self.method = what, start, method
        if isinstance(settings.dt, str) and settings.dt == "auto":
            settings.dt = self._auto_dt(t_span)
        super().__init__(what, t_span, start, method, settings, "solve_dynamics")

    def _fits(self) -> None:
        if "second_order" not in self.method.flags:
            raise ValueError(f"method: {self.method.name} is no method for M x'' = F: see mflow.methods(family='second_order')")

    def _prepare(self) -> None:
        super()._prepare()
        if self.mode == "adaptive":
            least = check_min_step(self.settings.min_step, self.max_step)
            rtol, atol, rtol_v, atol_v = self.tolerances
            self.run.control(rtol, atol, math.inf if callable(self.max_step) else self.max_step, least, rtol_v, atol_v)

    def _tolerances(self) -> tuple[Array, Array] | None:
        """Of x; those of v are kept for `_prepare`. Each is one number for all degrees of freedom, or one for each."""
        s, shape = self.settings, self.supports.shape
        if self.mode != "adaptive":
            return None
        rtol, atol = (RTOL if s.rtol is None else s.rtol), (ATOL if s.atol is None else s.atol)
        rtol_v, atol_v = (rtol if s.rtol_v is None else s.rtol_v), (atol if s.atol_v is None else s.atol_v)
        four = [*check_tolerances(rtol, atol, shape), *check_tolerances(rtol_v, atol_v, shape, of="_v")]
        if any(array.size > 1 for array in four):
            four = [np.ascontiguousarray(np.broadcast_to(array, (self.supports.n,))[self.supports.free]) for array in four]
        self.tolerances = four
        return four[0], four[1]

    def _make_run(self, step: float, dense: bool, vector: bool) -> stepper.Run:
        values = self.method.numbers
        return stepper.Run(self.method.record, self.what, self.start, self.t0, step, values, dense=dense, control=vector, v0=self.v0)

    def _make_record(self, every: int, times: Array | None, rows: int | None) -> Any:
        dense = self.settings.dense_output
        return MotionRecord(
            self.run, self.start, self.t0, energy=self.keeps_energy, every=every, times=times, dense=dense, rows=rows, events=self.events
        )

    def _seen(self) -> tuple[Array, ...]:
        return self.supports.state(self.run.y, at_place=True), self.supports.state(self.run.vector(1))

    def _make_events(self, specs: list[Any]) -> core_events.Events:
        return core_events.Events(specs, self.start.shape, self.settings.event_args, motion=True)

    def _watched(self) -> Array:
        return np.stack([self.run.y, self.run.vector(1)])

    def _facts(self) -> dict[str, Any]:
        start = {"v0 (its checksum)": zlib.crc32(self.v0.tobytes()), "supports (their checksum)": zlib.crc32(self.supports.place.tobytes())}
        own = super()._facts()
        if self.mode == "adaptive":
            own |= {"rtol_v": self.tolerances[2].tolist(), "atol_v": self.tolerances[3].tolist()}
        return {**own, **start, "energy": self.keeps_energy, **self.problem_facts}

    def _resume(self, path: Any) -> None:
        if self.keeps_energy:
            Energies(self.run).open()
        super()._resume(path)

    def _at_start(self) -> int:
        if self.mode == "fixed" and self.t0 != self.t1:
            self.warn_of_step()
        status = int(Energies(self.run).keep() if self.keeps_energy else self.run.prepare())
        if status != 0:
            return status
        self.record.begin()
        return super()._at_start()

    def heed_table(self, times: Array, values: Array) -> None:
        """Of loads: steps under error control pass none of its bends; fixed ones that leave out much of it are taken after a warning."""
        if self.mode == "adaptive":
            bend, user, sign = load_tables.bends(times, values), self.max_step, math.copysign(1.0, self.t1 - self.t0)
            least = check_min_step(self.settings.min_step)

            def bound(t: float, x: Array) -> float:
                own = user(t, x) if callable(user) else user
                return min(own, max(load_tables.up_to(bend, t, self.run.h, sign), least))

            self.max_step = bound
        elif self.mode == "fixed" and self.t0 != self.t1:
            share = load_tables.left_out(times, values, self.t0, self.t1, abs(self.step))
            if share > LEFT_OUT:
                text = (
                    f"load: {100 * share:.3g} % of the table's impulse falls between steps of dt = {abs(self.step):g}, which do not see "
                    f"it; its times are about {np.median(np.diff(times)):.3g} apart: lower dt"
                )
                warnings.warn(f"{self.name}: {text}", RuntimeWarning, stacklevel=3)

    # ---- stability -----------------------------------------------------------------------------------------------------------------------

    @functools.cached_property
    def known_modes(self) -> modes.Modes | None:
        """Of the structure; of a force, from differences at the start. None: not known."""
        if self.matrices is not None:
            return modes.structure_modes(*self.matrices)
        x, v = self.start.ravel(), self.v0.ravel()
        try:
            with np.errstate(all="ignore"):
                return modes.force_modes(lambda x, v: self.run.acceleration(self.t0, x, v).ravel(), x, v, self.velocity_free)
        except Exception:
            return None  # the force has failed there, or is not finite: this is for a message alone

    def warn_of_step(self) -> None:
        """A step past the limit is taken, after a warning. For a force, the limit at the start, from about `modes.CALLS` calls."""
        if _always_stable(self.method):
            return
        bound = modes.outer_bound(*self.matrices) if self.matrices is not None and self.start.size > MANY_MASSES else None
        if bound is not None and bound.stable(self.method, abs(self.step)):
            return
        found = self.known_modes
        if found is None or found.stable(self.method, abs(self.step)):
            return
        limit = found.limit(self.method)
        if found.exact or abs(self.step) > limit:
            self.warned = self._limit_text(limit, found)
            warnings.warn(f"{self.name}: {self.warned}", RuntimeWarning, stacklevel=6)

    def _limit_text(self, limit: float, found: modes.Modes) -> str:
        whose = f"for the largest frequency {found.omega:.4g}" + ("" if self.matrices else " at the start")
        if limit == 0.0:
            return f"dt = {abs(self.step):g} exceeds the stability limit of {self.method.name}, which has no stable step {whose}"
        return f"dt = {abs(self.step):g} exceeds the stability limit {limit:.4g} of {self.method.name} {whose}"

    def explain(self) -> str:
        """Why fixed steps may have left the finite numbers."""
        found = self.known_modes
        if found is None:
            return "lower the step, or look for the cause in the force"
        limit = found.limit(self.method)
        if abs(self.step) > limit:
            return self._limit_text(limit, found)
        return (
            f"dt = {abs(self.step):g} is inside the stability limit of {self.method.name}: the force may have left its domain, "
            "or the motion grows by itself"
        )

    def _auto_dt(self, t_span: Sequence[float]) -> float:
        """dt="auto": nine tenths of the structure's limit, and ten steps at least."""
        self._fits()
        limit = self._first_modes(check_span(t_span)[0]).limit(self.method)
        if not limit > 0.0:
            raise ValueError(f'dt = "auto": {self.method.name} has no stable step for this structure: give dt, or another method')
        if limit == math.inf and _always_stable(self.method):
            other = " or rtol" if "embedded" in self.method.flags else ""
            raise ValueError(
                f'dt = "auto" follows the stability limit, and {self.method.name} has none: give dt, a twentieth of the shortest period '
                f"that matters, say{other}"
            )
        first, last = check_span(t_span)
        return min(0.9 * limit, abs(last - first) / LEAST_STEPS) or 1.0

    def _first_modes(self, t0: float) -> modes.Modes:
        """Before there is a run: of the matrices, or with a damping function from accelerations, which are linear in x and v."""
        if self.matrices is not None:
            return modes.structure_modes(*self.matrices)
        if not isinstance(self.what, structure.Structure):
            raise ValueError('dt = "auto": the limit of a structure is known, that of a force changes with its state: give dt')
        zero = np.zeros(self.start.size)
        run = stepper.Run(self.method.record, self.what, self.start, t0, 1.0, self.method.numbers, v0=self.v0)
        return modes.force_modes(lambda x, v: run.acceleration(t0, x, v).ravel(), zero, zero, False, modes.MANY_CALLS)

    # ---- endings -------------------------------------------------------------------------------------------------------------------------

    def _ending(self, where: str) -> endings.Ending:
        return MotionEnding(self, where)

    def _growth(self) -> str:
        run = self.run
        first, last = (float(np.max(np.abs(y), initial=0.0)) for y in (self.start, run.y))
        if self.mode != "fixed" or run.k < 2 or not last > GROWTH * max(1.0, first):
            return ""
        why = self.warned or self.explain()
        if "exceeds" not in why:
            return ""
        text = f"the state grew from {first:.3g} to {last:.3g}: {why}"
        if not self.warned:
            warnings.warn(f"{self.name}: {text}", RuntimeWarning, stacklevel=6)
        return f"; but {text}"

    def result(self, status: int, reason: str, message: str) -> DynamicsResult:
        """What there is so far, of all degrees of freedom."""
        run, found, counts = self.run, self.events, self.what.counters
        self.record.close()
        t, rows, e, sol, sol_v = self.record.motion(self.supports)
        x, v, a = (np.ascontiguousarray(rows[:, j]).reshape(len(t), *self.supports.shape) for j in range(3))
        energy = Result(zip(COLUMNS, e.T, strict=True)) if self.keeps_energy else None
        t_half = v_half = None
        if "v(1/2)" in self.method.record.formula and self.mode == "fixed":  # the row's own formula has half steps
            t_half, v_half = self.record.half_steps(self.t1, self.step, self.steps, self.supports)
            if v_half is not None:
                v_half = np.moveaxis(v_half.reshape(-1, *self.supports.shape), 0, -1)
        return DynamicsResult(
            t=t, x=np.moveaxis(x, 0, -1), v=np.moveaxis(v, 0, -1), a=np.moveaxis(a, 0, -1), energy=energy, sol=sol, sol_v=sol_v,
            t_events=found.t_events if found else None,
            x_events=[self._events_whole(y, 0) for y in found.y_events] if found else None,
            v_events=[self._events_whole(y, 1) for y in found.y_events] if found else None,
            v_half=v_half, t_half=t_half,
            nfev=counts.get("nfev", counts.get("nload", 0)), nsolve=run.nsolve, njev=counts.get("njev", 0), nlu=counts["nlu"],
            nsteps=run.k, nrejected=run.rejected[0],
            status=status, reason=reason, message=message, success=status >= 0,
        )  # fmt: skip

    def _events_whole(self, y: Array, which: int) -> Array:
        """x (0) or v (1) of the states where one event was met."""
        if y.ndim == 1:
            return y
        part = np.ascontiguousarray(y[:, which]).reshape(len(y), -1)
        return self.supports.whole(part, at_place=which == 0).reshape(len(y), *self.supports.shape)


@functools.lru_cache(maxsize=256)
def _always_stable(method: Method) -> bool:
    """Whether no step is unstable for any mode."""
    k = np.concatenate([np.geomspace(1e-4, 1e12, 33)] * 3)
    c = np.repeat([0.0, 0.1, 10.0], 33) * np.sqrt(k)
    return modes.Modes(k, c).stable(method, 1.0)
