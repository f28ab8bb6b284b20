"""What an integration writes down: saved states in chunks that grow, and the continuous extension where it is asked for.

A run of a few steps, which is asked for nothing else, writes them down before it has a driver (`begin`).
"""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from mflow_core.arithmetic.starts import grown_from_below, largest
from mflow_core.events import events as core_events
from mflow_core.problems.problem import Problem
from mflow_core.stepping import stepper
from mflow_core.stepping.rows import Rows
from mflow_core.stepping.short import runs

from mflow.base.checks import Array, as_tuple, check_whole
from mflow.base.methods import Method
from mflow.base.pace import MANY, joined
from mflow.base.result import IVPResult, Origin, attach, keep_origin, last_axis, pending
from mflow.base.telling import counted
from mflow.integrate import control, endings
from mflow.integrate.control import Settings
from mflow.integrate.curvature import GROWTH, past_limit_of, stable_end, takes_plain_steps
from mflow.integrate.dense import DenseOutput
from mflow.saving.savefile import numbers_of
from mflow.walls.signs import SOON, shrunk

if TYPE_CHECKING:
    from mflow.course.past_limit import PastLimit

__all__ = [
    "FEW_REJECTED", "FIRST_ROWS", "MANY_REJECTED", "SHORT", "Begun", "History", "begin", "give_partial", "ivp_result", "kept_rows",
    "reached", "states_of",
]  # fmt: skip

SHORT = 16  # numbers of a state whose first rows are not worth a copy
FEW_REJECTED = 6  # steps, before a look for poles of fun: a run over one has as many, as its steps became short before it
MANY_REJECTED = 50  # steps, before a look for jumps of fun
CHUNK_BYTES = 1 << 23
FIRST_ROWS = 64
FEW = min(endings.HELD, SOON) - 1  # steps under error control, in which no look has its turn
SMALL = 1 << 13  # bytes that are not worth a copy


def kept_rows(t: Array, every: int) -> Array:
    """Of the rows of all steps, those of each k-th one, of both ends, and of both sides of each jump (equal times)."""
    jump = np.zeros(len(t), dtype=bool)
    jump[1:] = t[1:] == t[:-1]
    keep = ((np.arange(len(t)) - np.cumsum(jump)) % every == 0) | jump
    keep[:-1] = np.logical_or(keep[:-1], jump[1:])
    keep[-1] = True
    return np.asarray(keep)


class Begun(NamedTuple):
    """What there is of a run that began without its driver, every state of which was kept.

    energies : the rows of a ledger. began, status : what its start and its last steps ended with; 0: it goes on.
    """

    run: stepper.Run
    rows: Rows
    y: Array
    t: Array
    energies: Array | None
    began: int
    status: int
    tolerances: tuple[Array, ...] = ()
    past: PastLimit | None = None


class History:
    """The saved states of one run, a row each.

    run, start, t0 : what is integrated, and from where.
    every : keep each k-th step; 0: the last one alone.
    times : keep the states at these times instead.
    dense : keep the polynomial of every step too.
    rows : how many there will be, where that is known.
    t_end : where the run will end.
    """

    vectors = 1  # in a saved state
    waits = False  # whether `begin` is called later

    def __init__(
        self,
        run: stepper.Run,
        start: Array,
        t0: float,
        *,
        every: int,
        times: Array | None = None,
        dense: bool = False,
        rows: int | None = None,
        events: core_events.Events | None = None,
        t_end: float = math.nan,
    ) -> None:
        self.run, self.start, self.t0, self.events, self.t_end = run, start, t0, events, t_end
        self.width = self.vectors * start.size  # numbers in a saved state
        self.every, self.dense = (1 if dense else every), dense
        self.times = None if dense else times
        self.asked_times, self.kept_every = times, every
        self.extra = 0  # rows of a run that is resumed, as `beyond` says
        self.chunks: list[tuple[Array, Array, Array | None]] = []
        self._open(len(self.times) if self.times is not None else FIRST_ROWS if rows is None else rows)
        if not self.waits:
            self.begin()

    def begin(self) -> None:
        """The first row."""
        if self.times is None:
            if self.every:
                self._put()
        elif len(self.times) and self.times[0] == self.t0:
            self._put()
            self.rows.done = 1

    def go_on(self, begun: Begun) -> None:
        """With what there is of a run that has begun."""
        self.rows, self.y, self.t = begun.rows, begun.y, begun.t

    def _open(self, rows: int) -> None:
        """A new chunk with room for so many rows (1 where states are not kept)."""
        keeps = self.every > 0 or self.times is not None
        rows = max(rows, 2) if keeps else 2
        try:
            self.y, self.t = np.empty((rows, self.width)), np.empty(rows)
            self.D = np.empty((rows, self.run.degree, self.start.size)) if self.dense else None
        except (MemoryError, ValueError):
            fix = "keep fewer, with save_every=, t_eval= or save='last'"
            raise MemoryError(f"no memory for {rows} states of {self.start.size} numbers: {fix}") from None
        self.rows = self._rows(min(self.every, MANY))

    @property
    def at_end(self) -> bool:
        """Whether the run has reached its end: the state there is kept, whatever `every` is."""
        return bool(self.run.t == self.t_end)

    def _rows(self, every: int) -> Rows:
        """What the core writes into."""
        return Rows(self.y, self.t, self.D, every, self.times, self.events)

    def _put(self) -> None:
        """A row of where the run stands."""
        if self.D is not None:
            self.D[self.rows.count] = 0.0
        self.run.write(self.rows)

    def flush(self) -> None:
        """The chunk is full: the next one, twice as long up to a limit."""
        k = self.rows.count
        if self.times is not None or k == 0:
            return
        self.chunks.append((self.t[:k], self.y[:k], None if self.D is None else self.D[:k]))
        per_row = 8 * (self.width + self.start.size * (self.run.degree if self.dense else 0)) + 8
        self._open(max(FIRST_ROWS, min(2 * len(self.t), CHUNK_BYTES // per_row)))

    def room(self) -> Rows:
        """What the core writes into, with room for one more row."""
        if self.times is None and self.rows.count >= len(self.t):
            self.flush()
        return self.rows

    def take_back(self, t: float) -> None:
        """Of the times to save at, t is not behind yet: its state is going to be another."""
        while self.times is not None and self.rows.done and self.times[self.rows.done - 1] == t:
            self.rows.done -= 1
            self.rows.count -= 1

    def mark(self) -> Any:
        """Where the history stands, for `rewind`."""
        return list(self.chunks), self.t, self.y, self.D, self.rows, self.rows.count, self.rows.done

    def rewind(self, mark: Any) -> None:
        """Back to a mark: what was written since is dropped."""
        self.chunks, self.t, self.y, self.D, self.rows, count, done = mark
        self.rows.count, self.rows.done = count, done

    def close(self) -> None:
        """The last good state is always there, where states are kept by steps."""
        k = self.rows.count
        if self.times is not None or (k and self.t[k - 1] == self.run.t) or (not k and self.chunks and self.last_t == self.run.t):
            return
        if k == len(self.t):
            self.flush()
        self._put()

    @property
    def writes(self) -> bool:
        """Whether the core has anything to write down."""
        return bool(self.every) or self.times is not None or self.events is not None

    @property
    def count(self) -> int:
        """Rows so far."""
        return int(self.rows.count) + sum(len(t) for t, _, _ in self.chunks)

    @property
    def last_t(self) -> float:
        """Time of the last row."""
        k = self.rows.count
        return float(self.t[k - 1] if k else self.chunks[-1][0][-1])

    def _joined(self) -> tuple[Array, Array, Array | None]:
        k = self.rows.count
        t, y, D = self.t[:k], self.y[:k], None if self.D is None else self.D[:k]
        if not self.chunks:
            wide = k < len(self.t) // 2 and self.y.nbytes > SMALL
            return (t.copy(), y.copy(), D) if wide else (t, y, D)  # let go of what was never used
        parts = [*self.chunks, (t, y, D)]
        D = joined([d for _, _, d in parts if d is not None]) if self.dense else None
        return joined([t for t, _, _ in parts]), joined([y for _, y, _ in parts]), D

    def states(self) -> tuple[Array, Array]:
        """t (m,) and the states (m, n) that are kept so far."""
        t, y, _ = self._joined()
        return t, np.ascontiguousarray(y[:, : self.start.size])

    def arrays(self) -> tuple[Array, Array, DenseOutput | None]:
        """t (m,), y (*shape, m), and the continuous solution where it was kept."""
        t, y, D = self._joined()
        shape, sol = self.start.shape, None
        if D is not None:
            sol = DenseOutput(t, y[:-1], D[1:], y[-1], shape=shape)
        if self.dense:
            t, y = self._select(t, y, sol)
        return t, states_of(y, shape), sol

    def _select(self, t: Array, y: Array, sol: DenseOutput | None) -> tuple[Array, Array]:
        """Of all steps, what was asked to be kept."""
        if self.asked_times is not None:
            times = self.asked_times[: self._passed_of(self.asked_times, t[-1])]
            if sol is None or not len(times):
                return times[:0], y[:0]
            return times, np.moveaxis(sol(times), -1, 0).reshape(len(times), self.start.size)
        if self.kept_every == 0:
            return t[-1:], y[-1:]
        keep = kept_rows(t, self.kept_every)
        return t[keep], y[keep]

    def pack(self) -> dict[str, bytes]:
        """All rows as bytes."""
        t, y, D = self._joined()
        out = {"t": t.tobytes(), "y": y.tobytes()}
        return out if D is None else {**out, "D": D.tobytes()}

    def unpack(self, blocks: dict[str, bytes], done: Any, moved: list[int] | None = None) -> None:
        """The rows that `pack` wrote, and how many of the times asked for are behind: where the run has been, as many as it has left there.
        moved : components that may have been put elsewhere at the end of the last step, as at a wall.

        Raises TypeError or ValueError where they do not fit.
        """
        rows, behind = self._expected(), 0
        if self.times is not None:
            rows = behind = self._passed_of(self.times, self.run.t)
        if check_whole(done, "done", 0) != behind:
            raise ValueError(f"done: expected {behind}, the times to save at that are behind t = {self.run.t:g}, got {done!r}")
        t = numbers_of(blocks, "t", (rows,))
        y = numbers_of(blocks, "y", (rows, self.width))
        D = numbers_of(blocks, "D", (rows, self.run.degree, self.start.size)) if self.dense else None
        self._check_rows(t, y, moved or [])
        if self.times is None:
            self.chunks = [(t, y, D)] if len(t) else []
            self.rows.count = 0
        else:
            self.t[: len(t)], self.y[: len(t)] = t, y
            self.rows.count, self.rows.done = len(t), behind

    def _expected(self) -> int:
        """The rows that a run leaves that keeps each k-th step, where it stands now."""
        if not self.every or self.times is not None:
            return 0
        return 1 + self.run.k // self.every + (1 if self.at_end and self.run.k % self.every else 0) + self.extra

    @property
    def beyond(self) -> int:
        """Rows so far beside those of each k-th step and both ends: where the run began anew."""
        return self.extra + self.count - self._expected() if self.every and self.times is None else 0

    def _passed_of(self, times: Array, t: float) -> int:
        """How many of the times lie behind t, or at it: the run's direction is that of its span, wherever it has come to."""
        sign = 1.0 if self.t_end >= self.t0 else -1.0
        return int(np.searchsorted(sign * times, sign * t, side="right"))

    def _check_rows(self, t: Array, y: Array, moved: list[int]) -> None:
        """Raises ValueError where times and states are not those of a run that stands where this one does."""
        if self.times is not None:
            if not np.array_equal(t, self.times[: len(t)]):
                raise ValueError("t: expected the times to save at, got others")
            return
        sign = 1.0 if self.t_end >= self.t0 else -1.0
        if len(t) and (t[0] != self.t0 or np.any(np.diff(sign * t) < 0.0) or sign * t[-1] > sign * self.run.t):
            raise ValueError(f"t: expected times in order from {self.t0:g} to {self.run.t:g}, got others")
        last = self.every and (self.at_end or self.run.k % self.every == 0)
        if last and (t[-1] != self.run.t or not self._stands_at(y[-1, : self.start.size], moved)):
            raise ValueError("y: expected the state of the run in the last row, got another")

    def _stands_at(self, row: Array, moved: list[int]) -> bool:
        """Whether a row is the state of the run, but for components that have been put elsewhere."""
        return bool(np.all((row == self.run.y.ravel()) | np.isin(np.arange(row.size), moved)))


def reached(t_end: float, steps: int, name: str) -> str:
    """Of a run that was finished, in words."""
    return f"reached t = {t_end:g} in {steps} step{'' if steps == 1 else 's'} of {name}"  # no function, as each call has it


def states_of(rows: Array, shape: tuple[int, ...]) -> Array:
    """Rows of numbers as states, (*shape, m)."""
    return rows.T if len(shape) == 1 else last_axis(rows.reshape(len(rows), *shape))


def ivp_result(
    run: stepper.Run, t: Array, y: Array, status: int, reason: str, message: str, doubts: tuple[str, ...], origin: tuple[Any, ...],
    sol: Any = None, t_events: Any = None, y_events: Any = None, looked: int = 0, beside: int = 0,
) -> IVPResult:  # fmt: skip
    """The result of a run, whose states are y. origin : the fields of its `Origin`. looked, beside : evaluations for the words of warnings,
    those that the run has counted and those that it has not."""
    out = IVPResult(
        t=t, y=y, sol=sol, t_events=t_events, y_events=y_events, nfev=run.nfev - looked, ncheck=looked + beside + run.nlooks, njev=run.njac,
        nlu=run.nlu, nsteps=run.k, nrejected=run.rejected[0], status=status, reason=reason, message=message, doubts=doubts,
        success=status >= 0,
    )  # fmt: skip
    keep_origin(out, partial(Origin, *origin))
    return out


def give_partial(drive: Any, error: BaseException) -> None:
    """Gives an exception of a run what was computed before it."""
    run = drive.run
    reason, who = endings.raised_by(error)
    message = f"{who}{type(error).__name__} at t = {run.t:g} after {counted(run.k, 'step')}" + (f": {error}" if str(error) else "")
    note = f"in mflow.{drive.name}, in the step from t = {run.t:g} (step {run.k}); .partial_result holds all before"
    make = partial(drive.result, -1, reason, message)  # after Ctrl-C it is put together when it is looked at
    attach(error, partial(pending, drive.kind, make) if reason == "interrupted" else make, note)


def begin(
    kind: Any, equation: Problem, span: tuple[float, float], start: Array, method: Method, settings: tuple[Any, ...], name: str,
    symmetric: bool = False,
) -> tuple[Any, stepper.Run] | None:  # fmt: skip
    """A run that is asked for its steps alone, and its result, where they are few and nothing speaks against them, or the driver that goes
    on with them, as most of what a short run costs is its objects. None where such a run needs more than steps.

    kind : of that driver, `mflow.integrate.drive.Drive`. settings : dt, rtol, atol and the further arguments of functions, of which dt is a
    number or None.
    """
    record, (t0, t1), (dt, rtol, atol, args) = method.record, span, settings
    edge, past, step, steps = stable_end(record) if dt is None else 0.0, None, math.nan, FIRST_ROWS
    tolerances: tuple[Array, ...] = ()
    if dt is not None:
        if not (rtol is atol is None and takes_plain_steps(record)):
            return None
        step = control.check_step(method, dt, t0, t1)
        if (steps := control.count_steps(t0, t1, step)) >= FIRST_ROWS:
            return None
    elif edge == 0.0:
        return None
    else:
        tolerances = control.tolerances_of_run(name, rtol, atol, start)
    run = stepper.Run(record, equation, start, t0, step, method.numbers, False, False, dt is None and tolerances[0].size > 1)
    if tolerances:
        runs.control(run, tolerances[0], tolerances[1], edge, shrunk(abs(t1 - t0)))
        steps = FEW
    else:
        past = past_limit_of(run, method, start, symmetric)
    rows, y, t, _ = runs.rows_of(run, steps)
    began = status = 0

    def drive() -> Any:
        given = Settings(dt, rtol, atol, event_args=as_tuple(args), symmetric=symmetric)
        return kind(equation, span, start, method, given, name, Begun(run, rows, y, t, None, began, status, tolerances, past))

    try:
        began, status = runs.go(run, rows, t1, steps, dt is None)
        k = run.k
        if began != 0 or status != 0 or run.t != t1 or (past is not None and not past.is_quiet):
            return drive(), run
        kept = y[: k + 1]
        if tolerances and (
            endings.few_digits(run, tolerances) or grown_from_below(kept, tolerances[1]) or largest(kept) < control.SMALLEST
        ):
            return drive(), run
        if run.rejected[0] >= FEW_REJECTED or (past is not None and k > 1 and largest(run.y) > GROWTH):
            return drive(), run
        origin = equation, method, None if dt is None else step, symmetric
        return ivp_result(run, t[: k + 1], states_of(kept, start.shape), 0, "finished", reached(t1, k, method.name), (), origin), run
    except BaseException as error:
        give_partial(drive(), error)
        raise
