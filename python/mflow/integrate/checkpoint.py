"""Checkpoints: where a run stands, written to a file. A run that goes on from there has the same bits."""

from __future__ import annotations

import math
import time
import zlib
from collections.abc import Callable
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from mflow_core.events import events as core_events
from mflow_core.stepping import stepper

from mflow.base.checks import check_path, check_whole
from mflow.base.telling import counted
from mflow.course.agenda import grid_misfit
from mflow.integrate.control import MANY, Settings, whole_or
from mflow.integrate.curvature import looks_misfit
from mflow.integrate.history import History
from mflow.saving.savefile import misfit_of, number_of, numbers_of, read_state, write_state
from mflow.stability import spectrum
from mflow.walls.ahead import components_at_walls

if TYPE_CHECKING:
    from mflow.integrate.drive import Drive

__all__ = ["Checkpoints", "StepState", "facts_of", "go_back"]

FEW = 4  # values of an argument that an error text repeats
# Arguments that saved facts of another name come from.
NAMED = {  # the argument that a fact comes from, where it has another name
    "shape": "y0", "mode": "dt", "steps": "dt", "every": "save", "times": "t_eval", "dense": "dense_output", "acting": "events",
    "supports (their checksum)": "fixed",
}  # fmt: skip
EVERY = 1000  # steps between two checkpoints, where the user does not say
SECONDS = 5.0  # and the time, so that Ctrl-C, or a machine that stops, loses no more; the first one is written at once
SHARE = 20.0  # times what writing one takes: it slows a run of large states by 5 % at most


class StepState(NamedTuple):
    """What a run keeps beside its state: its step, its looks at the curvature, the evaluations so far, what t cannot hold of the sum of
    steps that were given one by one, the evaluations that only words of warnings took, what was seen of steps past the limit, the walls
    that were met, and how a pole in time is looked for."""

    dt: float
    looks: spectrum.Looks
    nfev: int
    lost: float
    looked: int
    past: Any = None
    walls: Any = None
    pole: Any = None


class Checkpoints:
    """The checkpoints of one run: when one is due, writing it, and going on from one.

    facts: what must be the same in the call that resumes, by name.
    """

    def __init__(
        self,
        settings: Settings,
        run: stepper.Run,
        history: History,
        events: core_events.Events | None,
        facts: Callable[[], dict[str, Any]],
        states: Any = None,
    ) -> None:
        self.path, self.run, self.history, self.events, self.facts = settings.checkpoint, run, history, events, facts
        self.algebraic, self.args = settings.algebraic, settings.event_args
        # What the problem keeps in Python, with pack() and unpack(bytes); the problem may ask for it when it is unpacked.
        self.states = states
        self.every = whole_or(settings.checkpoint_every, "checkpoint_every", EVERY)
        self.saved_k = 0  # the step of the last one
        self.next_time = -math.inf if settings.checkpoint_every is None else math.inf  # when the next one is due, whatever the step
        self.begun_k = 0  # steps that were taken before the file which the run went on from
        self.held = False  # whether steps were held at the stability limit before the checkpoint that the run went on from
        if settings.checkpoint_every is not None and self.path is None:
            raise ValueError("checkpoint_every: expected checkpoint=, the file to write, as well")
        if self.path is not None:
            self.path = check_path(self.path, "checkpoint")

    def _call(self) -> dict[str, Any]:
        """What must be the same in the call that resumes, with the arguments of its functions."""
        if not self.args:
            return self.facts()
        from mflow.saving.checksums import checksum

        return {"args (its checksum)": [checksum(one, f"args[{k}]") for k, one in enumerate(self.args)], **self.facts()}

    @property
    def steps_left(self) -> int:
        """Steps until the next one is due."""
        return MANY if self.path is None else max(1, self.every - (self.run.k - self.saved_k))

    def due(self, at_end: bool) -> bool:
        """Whether to write one now; at_end: the run has reached its end."""
        if self.path is None:
            return False
        return at_end or self.run.k - self.saved_k >= self.every or time.monotonic() >= self.next_time

    def write(self, state: StepState) -> None:
        """The state of the run, its history and its events, at once or not at all."""
        self.saved_k, began = self.run.k, time.monotonic()
        dt, looks, nfev, lost, looked, past, walls, pole = state
        facts = {
            "call": self._call(), "done": self.history.rows.done, "dt": dt, "looks": _saved(looks), "nfev": nfev,
            "held": self.held or bool(self.run.stiffness[3]), **({"lost": lost} if "steps" in self.facts() else {}),
            **({"behind": self.algebraic.saved} if self.algebraic is not None and any(self.algebraic.saved) else {}),
            **({"looked": looked} if looked or looks != spectrum.Looks() else {}),
            **({"beyond": self.history.beyond} if self.history.beyond else {}),
            **({} if past is None else {"past": past}), **({} if walls is None else {"walls": walls}),
            **({} if pole is None else {"pole": pole}),
        }  # fmt: skip
        blocks = {"run": self.run.pack(), **{f"rows {k}": v for k, v in self.history.pack().items()}}
        if self.events is not None:
            which, t, y = self.events.found
            blocks |= {"events": self.events.pack().tobytes(), "found": which.tobytes(), "found t": t.tobytes(), "found y": y.tobytes()}
            blocks |= {"found after": self.events.behind.tobytes()} if self.events.acts else {}
        if self.states is not None:
            blocks["states"] = self.states.pack()
        write_state(self.path, "checkpoint", facts, blocks)
        if self.next_time < math.inf:
            ended = time.monotonic()
            self.next_time = ended + max(SECONDS, SHARE * (ended - began))

    def resume(self, path: Any) -> StepState:
        """Goes back to where a checkpoint was written: the same bits from there on, and all that was recorded before."""
        facts, blocks = read_state(path, "checkpoint", "resume")
        call, saved = {"args (its checksum)": None, **self._call()}, facts.get("call")
        saved = saved if isinstance(saved, dict) else {}
        wrong = [name for name, value in call.items() if not _same(saved.get(name), value)]
        if wrong:
            way = _beyond(saved, call) if wrong == ["t_span"] else ""
            raise ValueError(f"resume: {path} was written by a call with {_told(wrong, saved, call)}{way}")
        try:
            self._check_blocks(blocks)
            self.history.extra = check_whole(facts.get("beyond", 0), "beyond", 0, MANY)
            if self.states is not None:
                self.states.unpack(blocks["states"])
            self.run.unpack(blocks["run"])
            rows = {k.removeprefix("rows "): v for k, v in blocks.items() if k.startswith("rows ")}
            self.history.unpack(rows, facts["done"], components_at_walls(facts.get("walls")))
            self._check_step()
            if self.events is not None:
                self._restore_events(self.events, blocks)
            self.saved_k, self.begun_k, self.held = self.run.k, self.run.k, facts.get("held", False)
            if not isinstance(self.held, bool):
                raise ValueError(f"held: expected true or false, got {self.held!r}")
            nfev = check_whole(facts["nfev"], "nfev", 0, MANY)
            lost = number_of(facts["lost"] if "steps" in call else 0.0, "lost")
            looked = check_whole(facts.get("looked", 0), "looked", 0, nfev)
            if self.algebraic is not None:
                self.algebraic.go_on(facts.get("behind", (0, 0)))
            dt, looks = number_of(facts["dt"], "dt"), _looks(facts["looks"])
            least = looks.spent + looks.uneven
            if looked < least or ("looked" not in facts and looks != spectrum.Looks()):
                raise ValueError(f"looked: expected at least {least} evaluations beside the run, got {facts.get('looked')!r}")
            return StepState(dt, looks, nfev, lost, looked, facts.get("past"), facts.get("walls"), facts.get("pole"))
        except (LookupError, TypeError, ValueError, OverflowError) as error:
            raise ValueError(f"resume: {path} does not fit this call, or is damaged ({misfit_of(error)})") from error

    def _check_step(self) -> None:
        """Raises ValueError where the next step is longer than one can be that follows on one within the span."""
        from mflow.saving.fields import GROWTH

        span = abs(self.history.t_end - self.history.t0)
        if abs(self.run.h) > GROWTH * span:
            raise ValueError(f"h: expected a step of at most {GROWTH:g} times the span {span:g}, got {self.run.h!r}")

    def _check_blocks(self, blocks: dict[str, bytes]) -> None:
        """Raises ValueError where there are others than a run with such events writes."""
        known = {"run", *(f"rows {name}" for name in self.history.pack())}
        if self.events is not None:
            known |= {"events", "found", "found t", "found y", *(["found after"] if self.events.acts else [])}
        if self.states is not None:
            known.add("states")
        if set(blocks) != known:
            raise ValueError(f"blocks: expected {', '.join(sorted(known))}, got {', '.join(sorted(blocks))}")

    def _restore_events(self, events: core_events.Events, blocks: dict[str, bytes]) -> None:
        """What was found before; as many as the events remember, and where the run has been."""
        state = numbers_of(blocks, "events", (events.count, events.numbers))
        events.unpack(state)
        count = len(blocks["found t"]) // 8
        t = numbers_of(blocks, "found t", (count,))
        y = numbers_of(blocks, "found y", (count, math.prod(events.shape)))
        if len(blocks["found"]) != 8 * count:
            raise ValueError(f"found: expected {count} whole numbers, got {len(blocks['found'])} bytes")
        which = np.frombuffer(blocks["found"], dtype=np.int64)
        if count and not (np.all(which >= 0) and np.all(which < events.count)):
            raise ValueError(f"found: expected numbers of events, from 0 to {events.count - 1}, got others")
        if not np.array_equal(np.bincount(which, minlength=events.count), state[:, 0]):
            raise ValueError(f"found: expected as many as the {state[:, 0].sum():g} hits that the events remember, got {count}")
        sign = 1.0 if self.run.t >= self.history.t0 else -1.0
        if count and (np.any(np.diff(sign * t) < 0.0) or sign * t[0] < sign * self.history.t0 or sign * t[-1] > sign * self.run.t):
            raise ValueError("found t: expected times in order, where the run has been, got others")
        after = numbers_of(blocks, "found after", (count, math.prod(events.shape))) if events.acts else None
        events.restore_rows(which, t, y.reshape(-1), after)


def _told(wrong: list[str], saved: dict[str, Any], call: dict[str, Any]) -> str:
    """Words on facts that are others in the call that resumes, by the arguments that they come from."""
    hidden = {"every"} if {"times", "dense"} & {*wrong} else {"mode", "rtol", "atol"} if "method" in wrong else set()
    wrong = [name for name in wrong if name not in hidden and (saved.get(name) or call.get(name))] or wrong  # None and [] are both none
    names = [NAMED.get(name, name.partition(" (")[0]) for name in wrong]
    name, argument = wrong[0], names[0]
    was, here = (_value(name, facts.get(name)) for facts in (saved, call))
    differ = "holds other values here" if was == here else f"was {was}, and is {here} here"
    said = f"the shape of {argument}" if name == "shape" else argument
    fix = "give the same, or omit resume= to begin anew"
    return f"other values of {', '.join(dict.fromkeys(names))}: {said} {differ}; {fix}"


def _value(name: str, value: Any) -> str:
    """The value of an argument as words have it, of what a file keeps of it."""
    if name == "every":
        return '"last"' if value == 0 else '"all"' if value == 1 else f"every {value} steps"
    if name == "events":
        return counted(value, "function") if isinstance(value, int) else repr(value)
    if value is None:
        return "not given"
    if name.endswith("checksum)"):
        return "given"
    if name == "steps":
        return "a function" if isinstance(value, str) else "a list of steps"
    return counted(len(value), "value") if isinstance(value, list) and len(value) > FEW else repr(value)


def _beyond(saved: dict[str, Any], call: dict[str, Any]) -> str:
    """Words on the way beyond the end of a saved run; "" where that is not what is asked for."""
    start, end = call["t_span"]
    try:
        t0, t1 = (number_of(t, "t_span") for t in saved["t_span"])
    except (KeyError, TypeError, ValueError):  # the file is damaged
        return ""
    if start != t0 or not (end - t1) * (t1 - t0) > 0.0:
        return ""
    return (
        f". A run goes on from a file to its own end, where its last step lands: take t_span = ({t0:g}, {t1:g}) here, and then "
        f"t_span = ({t1:g}, {end:g}) from the last state"
    )


def _same(saved: Any, value: Any) -> bool:
    """Whether a fact is the same, and of the same kind: True is not 1 here."""
    import json

    return json.dumps(saved) == json.dumps(value)


def _saved(looks: spectrum.Looks) -> dict[str, Any]:
    """What is kept of looks: of the course, what has been seen."""
    none = spectrum.Looks()
    return {name: value for name, value in asdict(looks).items() if name not in spectrum.OF_COURSE or value != getattr(none, name)}


def _steps_of(saved: Any) -> tuple[tuple[int, float], ...]:
    """(count, step) of steps that were taken. Raises TypeError or ValueError."""
    pairs = isinstance(saved, list | tuple) and all(isinstance(one, list | tuple) and len(one) == 2 for one in saved)
    if not pairs or len(saved) > spectrum.MOST_TAKEN:
        raise ValueError(f"looks: taken: expected at most {spectrum.MOST_TAKEN} pairs (count, step), got {saved!r}")
    steps = tuple((check_whole(count, "looks: taken", 1, MANY), number_of(step, "looks: taken")) for count, step in saved)
    if not all(step != 0.0 and math.isfinite(step) for _, step in steps):
        raise ValueError(f"looks: taken: expected steps other than 0, got {saved!r}")
    return steps


def _looks(saved: Any) -> spectrum.Looks:
    """When the curvature was looked at. Raises TypeError or ValueError."""
    names = [field.name for field in fields(spectrum.Looks)]
    if not isinstance(saved, dict) or set(saved) | spectrum.OF_COURSE != set(names):
        raise ValueError(f"looks: expected {', '.join(names)}, got {saved!r}")
    saved = asdict(spectrum.Looks()) | saved
    taken = _steps_of(saved["taken"])
    least = {"next": 0, "gap": 1, "compare": 0, "crossed": 0, "spent": 0, "uneven": 0, "beyond": 0}
    checked: dict[str, Any] = {
        name: check_whole(saved[name], f"looks: {name}", least[name], spectrum.SELDOM if name == "gap" else MANY) if name in least
        else number_of(saved[name], f"looks: {name}") for name in names if name != "taken"
    }  # fmt: skip
    looks = spectrum.Looks(**checked, taken=taken)
    for name in names[3:]:
        if name not in ("place", "decay", "taken") and not getattr(looks, name) >= 0.0:
            raise ValueError(f"looks: {name}: expected a number of at least 0, got {getattr(looks, name)!r}")
    if looks.astray > 0.0 and not looks.fastest > 0.0:
        raise ValueError(f"looks: fastest: expected a number above 0 beside astray, got {looks.fastest!r}")
    if (looks.turn > 0.0) != (looks.omega > 0.0):
        raise ValueError(f"looks: turn, omega: expected both above 0, or none, got {looks.turn!r} and {looks.omega!r}")
    if looks.drift > 0.0 and not looks.omega > 0.0:
        raise ValueError(f"looks: omega: expected a number above 0 beside drift, got {looks.omega!r}")
    if not looks.dt > 0.0:
        raise ValueError(f"looks: dt: expected a number above 0, got {looks.dt!r}")
    return looks


def misfit_of_grid(drive: Drive, step: float, lost: float) -> str:
    """Why the step, the number of steps and the time of a saved run do not belong together in this call; "" where they do."""
    run, sign = drive.run, math.copysign(1.0, drive.t1 - drive.t0)
    if not sign * drive.t0 <= sign * run.t <= sign * drive.t1 or (run.k == 0) != (run.t == drive.t0):
        return f"t: expected a time from {drive.t0:g} to {drive.t1:g}, got {run.t!r} after {counted(run.k, 'step')}"
    if lost != 0.0 and (drive.given is None or drive.given.function is None):
        return f"lost: expected 0, got {lost!r}"
    if drive.mode == "auto":
        return ""
    if drive.given is not None:
        wrong = f"dt: expected {run.grid[0]!r}, got {step!r}" if run.k and step != run.grid[0] else ""
        return wrong or drive.given.misfit(run.k, run.t, run.grid, lost)
    if step != drive.step:
        return f"dt: expected {drive.step!r}, got {step!r}"
    if drive.mode == "adaptive":
        return "" if run.k == 0 or sign * run.h > 0.0 else f"h: expected a step towards {drive.t1:g}, got {run.h!r}"
    if drive.agenda is not None or (drive.events is not None and drive.events.acts):
        drive._turn_to(run.t)
        return grid_misfit(run, drive._goal(), step)
    grid = drive.t1 if run.k == drive.steps else drive.t0 + run.k * step
    begun = (step, drive.steps, drive.t1) if run.t == drive.t1 and run.grid[1] else (step, 0, drive.t0)  # behind a shorter last step: there
    if run.k > drive.steps or run.t != grid or run.grid != begun:
        return f"t: expected {grid!r} after {run.k} of {drive.steps} steps, got {run.t!r}"
    return ""


def facts_of(drive: Drive) -> dict[str, Any]:
    """What must be the same in the call that resumes."""
    rtol, atol = (one.tolist() for one in drive.tolerances[:2]) if drive.tolerances else (None, None)
    return {
        "method": repr(tuple(drive.settings.pair) if drive.settings.pair else drive.method),
        "shape": list(drive.start.shape), "t_span": [drive.t0, drive.t1], "mode": drive.mode,
        "y0 (its checksum)": zlib.crc32(drive.start.tobytes()), "rtol": rtol, "atol": atol,
        "dt": drive.step if drive.mode == "fixed" else None, "events": drive.events.count if drive.events is not None else 0,
        "every": drive.history.every, "dense": drive.history.dense,
        "times": None if drive.history.times is None else drive.history.times.tolist(),
        **({} if drive.given is None else {"steps": drive.given.facts}),
        **({} if drive.settings.mass is None else {"mass (its checksum)": drive.settings.mass}),
        **({} if drive.agenda is None else drive.agenda.facts),
        **({} if drive.signs is None else {"nonnegative": drive.signs.tolist()}),
        **({} if drive.rest is None else {"until": [drive.rest.rtol.tolist(), drive.rest.atol.tolist()]}),
        **({} if drive.events is None or not drive.events.acts else {"acting": drive.events.numbers}),
    }  # fmt: skip


def go_back(drive: Drive, checkpoints: Checkpoints) -> None:
    """Goes back to where a checkpoint was written. Raises ValueError where no run of this call can have come to that place."""
    path = drive.settings.resume
    step, looks, nfev, lost, drive.looked, past, walls, pole = checkpoints.resume(path)
    wrong = misfit_of_grid(drive, step, lost)
    if drive.mode == "auto":
        wrong = wrong or looks_misfit(looks, step, drive.run, drive.t0, drive.t1, drive.method)
    elif looks != spectrum.Looks():
        wrong = wrong or f"looks: expected none, got {looks}"
    if drive.past is not None:
        wrong = wrong or drive.past.misfit(past)
    if walls is not None and not wrong:
        wrong = f"walls: expected none, got {walls!r}" if drive.ahead is None else drive.ahead.at_walls().resume(walls)
    if pole is not None and not wrong:
        wrong = f"pole: expected none, got {pole!r}" if drive.ahead is None else drive.ahead.at_pole().unpack(pole, drive.t0)
    if not wrong and nfev != drive.run.nfev:
        wrong = f"nfev: expected the {drive.run.nfev} evaluations of the run, got {nfev}"
    if wrong:
        raise ValueError(f"resume: {path} does not fit this call, or is damaged ({wrong})")
    drive._turn_to(drive.run.t)
    drive.step = step
    if drive.auto is not None:
        drive.auto.looks, drive.auto.step = looks, step
    elif drive.given is not None:
        drive.given.lost = lost
