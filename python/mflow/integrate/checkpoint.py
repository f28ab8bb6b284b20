"""Checkpoints: where a run stands, written to a file. A run that goes on from there has the same bits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any, NamedTuple

import numpy as np
from mflow_core.stepping import events as core_events
from mflow_core.stepping import stepper

from mflow.base.checks import check_path, check_saved
from mflow.base.savefile import read_state, write_state
from mflow.integrate.control import MANY, Settings, whole_or
from mflow.integrate.history import History
from mflow.stability import spectrum

__all__ = ["Checkpoints", "StepState"]

EVERY = 1000  # steps between two checkpoints, where the user does not say


class StepState(NamedTuple):
    """What a run keeps beside its state: its step, its looks at the curvature, and the evaluations so far."""

    dt: float
    looks: spectrum.Looks
    nfev: int


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
    ) -> None:
        self.path, self.run, self.history, self.events, self.facts = settings.checkpoint, run, history, events, facts
        self.every = whole_or(settings.checkpoint_every, "checkpoint_every", EVERY)
        self.saved_k = 0  # the step of the last one
        if settings.checkpoint_every is not None and self.path is None:
            raise ValueError("checkpoint_every: expected checkpoint=, the file to write, as well")
        if self.path is not None:
            self.path = check_path(self.path, "checkpoint")

    @property
    def steps_left(self) -> int:
        """Steps until the next one is due."""
        return MANY if self.path is None else max(1, self.every - (self.run.k - self.saved_k))

    def due(self, at_end: bool) -> bool:
        """Whether to write one now; at_end: the run has reached its end."""
        return self.path is not None and (self.run.k - self.saved_k >= self.every or at_end)

    def write(self, state: StepState) -> None:
        """The state of the run, its history and its events, at once or not at all."""
        self.saved_k = self.run.k
        dt, looks, nfev = state
        facts = {"call": self.facts(), "done": self.history.rows.done, "dt": dt, "looks": asdict(looks), "nfev": nfev}
        blocks = {"run": self.run.pack(), **{f"rows {k}": v for k, v in self.history.pack().items()}}
        if self.events is not None:
            which, t, y = self.events.found
            blocks |= {"events": self.events.pack().tobytes(), "found": which.tobytes(), "found t": t.tobytes(), "found y": y.tobytes()}
        write_state(self.path, "checkpoint", facts, blocks)

    def resume(self, path: Any) -> StepState:
        """Goes back to where a checkpoint was written: the same bits from there on, and all that was recorded before."""
        facts, blocks = read_state(check_saved(path, "resume"), "checkpoint")
        call, saved = self.facts(), facts.get("call", {})
        wrong = [name for name, value in call.items() if saved.get(name) != value]
        if wrong:
            raise ValueError(
                f"resume: {path} was written by a call with other values of {', '.join(wrong)}: "
                f"{wrong[0]} was {saved.get(wrong[0])!r}, and is {call[wrong[0]]!r} here"
            )
        try:
            self.run.unpack(blocks["run"])
            self.history.unpack({k.removeprefix("rows "): v for k, v in blocks.items() if k.startswith("rows ")}, facts["done"])
            if self.events is not None:
                self.events.unpack(np.frombuffer(blocks["events"]).reshape(self.events.count, 3))
                self.events.restore_rows(
                    np.frombuffer(blocks["found"], dtype=np.int64), np.frombuffer(blocks["found t"]), np.frombuffer(blocks["found y"])
                )
            self.saved_k = self.run.k
            return StepState(facts["dt"], spectrum.Looks(**facts["looks"]), int(facts["nfev"]))
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"resume: {path} does not fit this call, or is damaged ({error})") from error
