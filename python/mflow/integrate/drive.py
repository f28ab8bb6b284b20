"""An integration from its first step to its ending, which every driver of y' = f(t, y) goes through: `follow(Drive(...))`.

The loops over steps are in the core; here they are cut into pieces, between which Ctrl-C, the progress bar, a callback after each step, a
`max_step` that depends on the state, estimates of the spectral radius and checkpoints have their turn. Results do not depend on the cut.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from weakref import WeakMethod

import numpy as np
from mflow_core.arithmetic.starts import grown_from_below, largest
from mflow_core.events import events as core_events
from mflow_core.problems.inside import Inside
from mflow_core.problems.problem import Problem
from mflow_core.stepping import stepper
from numpy.typing import NDArray

from mflow.base.checks import Array, check_times
from mflow.base.methods import Method
from mflow.base.progress import Progress, Watcher
from mflow.base.result import IVPResult, Result, attach, pending
from mflow.base.telling import counted, tell
from mflow.course.agenda import Agenda, OnAgenda, agenda_of
from mflow.course.nonnegative import check_signs, left_words
from mflow.course.outputs import add_outputs, check_outputs
from mflow.course.stops import check_actions
from mflow.integrate import control, curvature, endings
from mflow.integrate.checkpoint import Checkpoints, StepState, facts_of, go_back
from mflow.integrate.control import MANY, Settings
from mflow.integrate.curvature import (
    CALLBACK,
    GROWTH,
    AutoSteps,
    StiffnessWarning,
    check_measurable,
    give_radius,
    stable_end,
)
from mflow.integrate.history import Begun, History, give_partial, ivp_result, reached
from mflow.solvers.finite_jacobian import NotFiniteError
from mflow.solvers.jacobian_doubt import Doubt, mismatch
from mflow.solvers.rest import at_rest
from mflow.stability.limits import stiff_method
from mflow.stability.spectrum import Looks, relaxing
from mflow.walls.ahead import CANNOT, Ahead
from mflow.walls.jumps import ENDS

if TYPE_CHECKING:
    from mflow_core.stepping.rows import Rows

    from mflow.course.past_limit import PastLimit
    from mflow.course.steady import Rest
    from mflow.walls.crawl import Crawl
    from mflow.walls.signs import Walls

__all__ = ["Drive", "follow"]

MAX_STEPS = 0x7FFFFF01  # the status where max_steps are taken
STEADY, ENDED = 0x7FFFFF03, 0x7FFFFF04  # and where the run has come to rest, or to the end of the solution


def follow(drive: Drive) -> Any:
    """An integration from its start to its result; an exception on the way takes what was computed along."""
    try:
        status = drive.go()
    except NotFiniteError as error:
        return drive.result(-1, "non_finite", str(error))
    except BaseException as error:
        give_partial(drive, error)
        raise
    finally:
        drive.close()
    try:
        return drive.finish(status)
    except KeyboardInterrupt as error:
        message = f"KeyboardInterrupt at t = {drive.run.t:g} after {counted(drive.run.k, 'step')}, while the result was put together"
        attach(error, lambda: pending(drive.kind, lambda: drive.result(-1, "interrupted", message)), f"in mflow.{drive.name}")
        raise


class Drive(OnAgenda):
    """One integration: its run, what it writes down, and the loop over its pieces.

    t_span : as `control.check_span` returns it. name : the function that its user called. begun : the run, if it is
    under way. What few runs need is made where they need it.
    """

    kind: type[Result] = IVPResult
    both_sides = False  # whether a break alone leaves two rows: what a row holds may jump there
    estimated = f"{control.default_method(None)} or {stiff_method()}"  # methods with an error estimate, for messages
    # What few runs have; `__init__` makes it for those.
    given: control.GivenSteps | None = None
    watch: Watcher | None = None
    auto: AutoSteps | None = None
    progress: Progress | None = None
    doubt: Doubt | None = None
    crawl: Crawl | None = None
    past: PastLimit | None = None  # of fixed explicit steps
    checkpoints: Checkpoints | None = None
    events: core_events.Events | None = None
    agenda: Agenda | None = None
    signs: NDArray[np.int64] | None = None
    inside: Inside | None = None
    ahead: Ahead | None = None  # walls and poles in time, under error control, but in motion
    every = ENDS  # steps between looks at a run under error control
    rest: Rest | None = None
    outputs: Callable[..., Any] | None = None
    switches: Any = None  # of contacts and friction
    legs: Any = None  # the run, where it is of two methods
    steps = 0  # how many fixed ones there will be
    bounded_k = -1  # the step that max_step(t, y) was last asked at
    told_stiff = False
    first: float | None = None  # a first step that was asked for
    max_step: float | Callable[[float, Array], float] = math.inf
    max_steps = MANY
    looked = 0  # evaluations for the words of warnings, which are none of the run's: what asks for them depends on how it was cut
    unmeasured = warned = growth = ""  # why the Jacobian cannot be measured; the warning of a step that is too long; of growth by it
    unseen = lost = ""  # of growth from within atol of 0; of what is at 0, or beyond, and should not be
    tolerances: tuple[Array, ...] = ()

    def __init__(
        self, problem: Problem, t_span: tuple[float, float], start: Array, method: Method, settings: Settings, name: str,
        begun: Begun | None = None,
    ) -> None:  # fmt: skip
        self.begun = begun
        self.problem, self.start, self.method, self.settings, self.name = problem, start, method, settings, name
        self.t0, self.t1 = t0, t1 = t_span
        self._check_method()
        self.mode = mode = control.check_mode(method, settings, self.estimated)
        if mode == "auto":
            self.method = method = relaxing(method)
        elif mode == "given":
            self.given = control.GivenSteps(settings.dt, t0, t1)
        self.step = control.check_step(method, settings.dt, t0, t1) if mode in ("fixed", "auto") else t1 - t0
        if settings.max_step is not None:
            self.max_step = control.check_max_step(settings.max_step, t0, t1)
        if settings.max_steps is not None:
            self.max_steps = control.whole_or(settings.max_steps, "max_steps", MANY)
        if mode == "fixed":
            self.steps = control.count_steps(t0, t1, self.step)
        if settings.callback is not None:
            self.watch = Watcher(settings.callback)
        if not (settings.breaks is None and settings.doses is None and settings.own_breaks is None):
            self.agenda = agenda_of(settings, mode, start.shape, t0, t1)
        self._prepare()
        if mode == "auto":
            self.auto = AutoSteps(self.run, self.history, self.events, self.watch, method, t_span, settings.symmetric, self._asks())
        elif mode != "adaptive" and math.isfinite(self.step):
            self.past = curvature.past_limit_of(self.run, method, start, settings.symmetric) if begun is None else begun.past
        if settings.progress:
            self.progress = Progress(t0, t1, name)
        if self.run.equations is not None:
            self.doubt = Doubt(self.run, name, self._asks())
        if not (settings.checkpoint is None and settings.checkpoint_every is None and settings.resume is None):
            self.checkpoints = Checkpoints(settings, self.run, self.history, self.events, self._facts, self.switches)
            if settings.resume is not None:
                self._resume(self.checkpoints)

    def _prepare(self) -> None:
        """The run, its events and its history."""
        s = self.settings
        if self.t1 == math.inf and (s.t_eval is not None or s.events is not None or s.dense_output):
            raise ValueError("t_eval, events, dense_output: dt = inf goes to t = inf in one step, with nothing between: omit them")
        times = None if s.t_eval is None else check_times(s.t_eval, self.t0, self.t1)
        every = control.kept_every(s.save, s.save_every, times is not None)
        if s.events is not None and (specs := control.check_events(s.events)):
            self.events = self._make_events(specs)
            if self.events.acts:
                check_actions(self.method, self.mode, s.mass is not None)
        dense = times is not None or self.events is not None or s.dense_output
        if s.nonnegative is not None:
            self.signs = check_signs(s.nonnegative, self.start, self.mode)
        if self.agenda is not None or self.signs is not None:
            self.inside = Inside(self.problem, self.signs)
            self._turn_to(self.t0)
        if s.outputs is not None:
            self.outputs = check_outputs(s.outputs)
        if self.mode == "adaptive":
            self._prepare_control(dense)
        else:
            self.run = self._make_run(self.step, dense, controlled=False)
            if not (s.first_step is None and s.min_step is None and s.max_step is None):
                raise ValueError("first_step, min_step, max_step: they belong to error control, and dt gives fixed steps: omit them, or dt")
        if not (s.until is None and s.steady_rtol is None and s.steady_atol is None):
            self.rest = control.rest_of(s, self.run, self.t1, self.start.shape, self.tolerances)
        known = 1 + -(-self.steps // every) + 1 if self.mode == "fixed" and every and not s.dense_output else None
        self.history = self._make_history(every, times, known)
        if self.begun is not None:
            self.history.go_on(self.begun)

    def _prepare_control(self, dense: bool) -> None:
        """Makes the run, under error control."""
        s = self.settings
        self.tolerances = self._check_tolerances() if self.begun is None else self.begun.tolerances
        self.run = self._make_run(math.nan, dense, controlled=True)
        if self.begun is None:
            rtol, atol, *of_v = self.tolerances
            least, longest = control.check_min_step(s.min_step, self.max_step), math.inf if callable(self.max_step) else self.max_step
            self.run.control(rtol, atol, longest, least, *of_v)
            self.run.look_for_stiffness(stable_end(self.method.record))
            if self.legs is None and longest == math.inf and s.checkpoint is None and s.resume is None:
                curvature.look_whether_mild(self.run)
        if s.first_step is not None:
            self.first = control.check_first_step(s.first_step, self.t0, self.t1)
            self.run.set_first_step(self.first or 0.0)
        if not self.both_sides:
            mass = None if s.algebraic is None else s.algebraic.mass
            self.ahead = Ahead(self.run, self.tolerances, self.signs, self._asks(), mass)
            self.ahead.reach(abs(self.t1 - self.t0), self.t1, self.begun is None)
            self.every = self.ahead.every
            if self.signs is not None:
                self.ahead.at_walls()

    @property
    def walls(self) -> Walls | None:
        """What has looked for walls, where anything did."""
        return None if self.ahead is None else self.ahead.walls

    # ---- what differs for motion --------------------------------------------------------------------------------------------------------

    def _check_method(self) -> None:
        """ValueError where the method is of another kind."""
        if self.method.kind != "step" or "second_order" in self.method.flags:
            raise ValueError(
                f"method: {self.method.name} is no integrator of y' = f(t, y): see mflow.methods(family='runge_kutta')"
                + ("; mflow.solve_dynamics takes it" if "second_order" in self.method.flags else "")
            )

    def _check_tolerances(self) -> tuple[Array, ...]:
        """(rtol, atol), of one size: 1, or a number for each component."""
        s = self.settings
        return control.tolerances_of_run(self.name, s.rtol, s.atol, self.start, None if s.algebraic is None else s.algebraic.rounding)

    def _make_run(self, step: float, dense: bool, controlled: bool) -> stepper.Run:
        if self.begun is not None:
            return self.begun.run
        solver, values = self.settings.solver, self.method.numbers
        vector, pair = controlled and self.tolerances[0].size > 1, self.settings.pair
        if pair is None:
            return stepper.Run(
                self.method.record, self.problem, self.start, self.t0, step, values, dense=dense, control=vector, solver=solver
            )
        from mflow.course.legs import two_methods

        self.told_stiff, signed = True, self.signs is not None  # the other method is the answer
        self.legs = run = two_methods(pair, solver, self.problem, self.start, self.t0, dense=dense, control=vector, signed=signed)
        return run

    def _make_events(self, specs: list[Any]) -> core_events.Events:
        return core_events.Events(specs, self.start.shape, self.settings.event_args)

    def _make_history(self, every: int, times: Array | None, rows: int | None) -> Any:
        dense = self.settings.dense_output
        return History(self.run, self.start, self.t0, every=every, times=times, dense=dense, rows=rows, events=self.events, t_end=self.t1)

    def _seen(self) -> tuple[Array, ...]:
        """The state as callbacks get it."""
        return (self.run.y,)

    def _watched(self) -> Array:
        """The state as events see it."""
        return self._seen()[0]

    def _at_start(self) -> int:
        """What comes before the first step; 0, or why it cannot be taken."""
        return int(self.events.start_at(self.t0, self._watched())) if self.events is not None else 0

    # ---- the loop ---------------------------------------------------------------------------------------------------------------------

    def go(self) -> int:
        """0: t_end is reached; anything else: why not."""
        run = self.run
        if run.k == 0:
            status = self._start() if self.begun is None else self.begun.began
            if status != 0:
                return status
        if self.t0 == self.t1:
            return 0
        while run.t != self.t1:
            status = self._piece()
            if status == stepper.FULL:
                self.history.flush()
                if self.events is not None:
                    self.events.collect_rows()
                continue
            if self.past is not None and status == self.past.due:
                self.past.look()
                continue
            if status == stepper.RHO_DUE:
                self.unmeasured = give_radius(run, self.settings.symmetric)
                check_measurable(self.unmeasured, self.method, run.t)
                status = stepper.NON_FINITE if self.unmeasured else 0
            if status != 0:
                return int(status)
        return self._finish_events() if self.events is not None else 0

    def _start(self) -> int:
        """What comes before the first step, and its size under error control."""
        status = self._at_start()
        if status == 0 and self.agenda is not None and self.agenda.doses_at(self.t0):
            return self._cross()
        if status == 0 and self.mode == "adaptive" and self.t0 != self.t1:
            sign, goal = math.copysign(1.0, self.t1 - self.t0), self._goal()
            status = self.run.begin(goal, sign * min(self.first, abs(goal - self.t0)) if self.first else 0.0)
        return int(status)

    def _piece(self) -> int:
        """Some steps, and what has its turn after them."""
        run, k = self.run, self.run.k
        limit = self.max_steps - k
        if limit <= 0:
            self._save(at_end=True)
            return MAX_STEPS
        if self.checkpoints is not None:
            limit = min(limit, self.checkpoints.steps_left)
        if self.mode == "adaptive":
            limit = min(limit, self.every - k % self.every)
        if callable(self.max_step):
            limit = 1
            if self.bounded_k != k:  # once a step, whatever had its turn between
                self.bounded_k, run.max_step = k, self.max_step(run.t, self._seen()[0])
        if self.watch is not None or self.rest is not None or (self.ahead is not None and self.ahead.slides):
            limit = 1
        status = self._steps(limit)
        if run.k == k:
            return status
        if self.doubt is not None and run.t != self.t1 and not (self.ahead is not None and self.ahead.slid):  # `finish` looks at the end
            self.doubt.look_ahead()
        if self.mode == "adaptive" and self._is_looked_at(status):
            status = self._look(status)
        if self.progress is not None:
            self.progress.update(run.t)
        if status == stepper.EVENT:  # a run that goes on from a file must not go on beyond the event
            return status
        if self.watch is not None and self.auto is None and self.watch(run.t, *self._seen()) and status == 0:
            return CALLBACK
        if self.rest is not None and status == 0 and self._rests(self.rest):
            return STEADY
        if self.checkpoints is not None:
            self._save(at_end=run.t == self.t1)
        return status

    def _is_looked_at(self, status: int) -> bool:
        """Whether a look at the run is due where it stands: that does not depend on where it was cut."""
        run = self.run
        if run.k % self.every == 0 or (self.ahead is not None and self.ahead.slides):
            return True
        return run.k >= endings.HELD and (run.t == self.t1 or run.k >= self.max_steps or status not in (0, stepper.FULL))

    def _look(self, status: int) -> int:
        """What has its turn after some steps under error control; the status of the run."""
        run = self.run
        if not self.told_stiff and run.stiffness[3] >= endings.HELD:
            self._tell_stiff()
        if run.k % self.every == 0:
            if self.crawl is None:
                from mflow.walls.crawl import Crawl  # not in short runs

                slopes = self.ahead is not None and self.settings.mass is None
                self.crawl = Crawl(run, (self.t0, self.t1), self.tolerances, self.name, slopes)
            self.crawl.look()
            if self.ahead is not None:
                self._aside(self.crawl.look_for_chance)
            if self.crawl.may_have_ended(status, self.every) and self._aside(self.crawl.has_ended):
                return ENDED
        if status == 0 and self.ahead is not None:
            status = self.ahead.look(self._goal(), self.first or 0.0, self.events)
        return status

    def _save(self, at_end: bool) -> None:
        """A checkpoint, where one is due; at_end: the run goes no further in this call."""
        if self.checkpoints is not None and (self.auto is None or self.auto.sure) and self.checkpoints.due(at_end):
            lost = self.given.lost if self.given is not None else 0.0
            looks = self.auto.looks if self.auto is not None else Looks()
            past = None if self.past is None else self.past.pack()
            walls = None if self.walls is None else self.walls.met
            pole = None if self.ahead is None else self.ahead.pack_pole()
            self.checkpoints.write(StepState(self.step, looks, int(self.run.nfev), lost, self.looked, past, walls, pole))

    def _rests(self, rest: Rest) -> bool:
        """Whether the run is at rest, with nothing ahead that it knows of."""
        if self._goal() != self.t1 or self.run.t == self.t1 or (self.agenda is not None and self.agenda.doses_at(self.t1)):
            return False
        return rest.reached(self.run.h if self.mode == "adaptive" else self.step)

    def _steps(self, count: int) -> int:
        """Up to `count` steps, fewer where signals should be looked at; the status."""
        run, rows = self.run, self.history.rows if self.history.writes else None
        if self.begun is not None and self.begun.status != 0 and self.mode == "fixed":
            status, self.begun = self.begun.status, None
            return status
        if self.agenda is not None or (self.mode == "fixed" and self.events is not None and self.events.acts):
            return self._steps_to_goal(count, rows)
        if self.mode == "adaptive":
            return self._adaptive(count, self.t1, rows)
        if self.given is not None:
            sizes, ends = self.given.ahead(run.k, run.t, count, self._seen() if self.given.function is not None else ())
            k, status = run.k, run.given(sizes, ends, self.t1, rows, paced=True)
            if run.k > k:
                self.given.took(run.k)
            if run.k > k or status not in (0, stepper.FULL):  # the step that failed, if one did
                self.step = run.grid[0]
            return status
        if self.auto is not None:
            status = self.auto.advance(count, rows)
            self.step, self.unmeasured = self.auto.step, self.auto.reason
            return status
        left = self.steps - run.k
        return run.fixed(min(count, left), self.t1 if count >= left else math.nan, rows, paced=True)

    def _adaptive(self, count: int, goal: float, rows: Rows | None) -> int:
        """Up to `count` steps under error control."""
        if self.begun is not None and self.begun.status != 0:
            status, self.begun = self.begun.status, None
            return status if self.ahead is None else self.ahead.heed(status, goal, self.first or 0.0, self.events)
        if self.ahead is None:
            return int(self.run.adaptive(count, goal, rows, paced=True))
        status = self.ahead.steps(count, goal, rows, self.first or 0.0, self.events)
        return self._solve_anew(status, goal) if status in CANNOT else status

    def _tell_stiff(self) -> None:
        """Warns, once, where so many steps are held at the stability limit that an implicit method would be the better one."""
        if text := self._aside(endings.held_words, self.run, self.method, self.t1):
            self.told_stiff = True
            tell(f"{self.name}: {text}", StiffnessWarning)

    def _asks(self) -> Callable[..., Any]:
        """`_aside` for what the run holds: it does not hold the run, whose arrays are free where nobody has it any longer."""
        aside = WeakMethod(self._aside)

        def ask(words: Callable[..., Any], *args: Any) -> Any:
            method = aside()
            assert method is not None  # the run holds who asks
            return method(words, *args)

        return ask

    def _aside(self, words: Callable[..., Any], *args: Any) -> Any:
        """Words, whose evaluations are not counted, nor told of by NumPy: they lie where the run does not stand."""
        before = self.run.nfev
        try:
            with np.errstate(all="ignore"):
                return words(*args)
        finally:
            self.looked += self.run.nfev - before

    # ---- saving and resuming ----------------------------------------------------------------------------------------------------------

    def _facts(self) -> dict[str, Any]:
        """What must be the same in the call that resumes."""
        return facts_of(self)

    def _resume(self, checkpoints: Checkpoints) -> None:
        """Goes back to where a checkpoint was written. Raises ValueError where no run of this call can have come to that place."""
        go_back(self, checkpoints)

    # ---- endings ------------------------------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """The progress bar's last word; from here on the equation may be asked for at any time."""
        if self.inside is not None:
            self._between(-math.inf, math.inf)
        if self.ahead is not None:
            self.ahead.let_go(self.inside)
        elif self.inside is not None:
            self.inside.let_go()
        if self.progress is not None:
            self.progress.close(self.run.t)

    def finish(self, status: int) -> Any:
        """The result of a run that ended with this status."""
        if self.doubt is not None and not (self.ahead is not None and self.ahead.slid):  # jac knows nothing of what f slides along
            self.doubt.look(self.legs is not None and self.legs.slow, rests=status == 0 and math.isinf(self.step))
            if self.legs is not None:
                self.legs.doubted = bool(self.doubt.text)
        run, method = self.run, self.method
        self.lost = "" if self.ahead is None else self.ahead.lost(self.t0, self.start)
        if self.past is not None:
            self.warned = self.past.finish(self.name, stays_finite=status not in CANNOT)
        if self.ahead is not None and self.settings.mass is None and status != STEADY and not self.doubts:
            self._look_for_unseen()
        for text in (endings.few_digits(self.run, self.tolerances), self.auto and self.auto.doubt, self.lost, self.unseen):
            if text:
                tell(f"{self.name}: {text}")
        if status == 0:
            name = method.name if self.legs is None else f"auto: {self.legs.words}"
            message, doubted = reached(self.t1, run.k, name), bool(self.doubt and self.doubt.text)
            message += at_rest(run, self.settings.symmetric, doubted) if math.isinf(self.step) else self._notes()
            return self.result(0, "finished", message)
        where = f"at t = {run.t:g} after {counted(run.k, 'step')}"
        if status == CALLBACK:
            return self.result(1, "callback", f"the callback stopped it {where}")
        if status == STEADY and self.rest is not None:
            return self.result(1, "steady", f"at rest {where}: {self.rest.words}")
        if status == ENDED and self.crawl is not None:
            return self.result(-1, "step_too_small", f"no step goes on {where}: {self.crawl.ended}")
        if status == MAX_STEPS:
            before = f", {self.checkpoints.begun_k} of them before the file" if self.checkpoints and self.checkpoints.begun_k else ""
            text = f"max_steps = {self.max_steps} was reached{before}, and t = {run.t:g} is not yet {self.t1:g}"
            why = self._aside(self._ending("").chatters) or self._aside(endings.stiff_words, run, method)
            crawls = self.crawl.words() if self.crawl is not None else ""
            return self.result(-1, "max_steps", f"{text}{why}" + (crawls and f"; {crawls}"))
        if status == stepper.EVENT and self.events is not None:
            return self.result(1, "event", f"event {self.events.stopped[0]} stopped it {where}")
        if self.events is not None and (of_events := endings.of_events(self.events, status, where, self.switches)):
            return self.result(-1, *of_events)
        mass = None if self.settings.algebraic is None else self.settings.algebraic.mass
        inside, signs = (self.inside, self.signs) if self.walls is None else self.walls.guard(self.inside)
        if status in CANNOT and (words := left_words(run, inside, signs, mass=mass)):
            return self.result(-1, "left_domain", words)
        if self.auto is not None and status in CANNOT and not self.auto.pole:
            self.auto.ask_of_signs()
        if self.auto is not None and self.auto.lost:
            return self.result(-1, "left_domain", f"the run was ended {where}: {self.auto.lost}")
        if self.auto is not None and self.auto.pole:
            return self.result(-1, "non_finite", f"{self.auto.pole} ({where})")
        ending = self._ending(where)
        ending.held = self.checkpoints is not None and self.checkpoints.held
        end = ending.unmeasured(self.unmeasured) if self.unmeasured else ending.explain(status)
        self.looked += ending.looked
        return self.result(-1, *end)

    def _ending(self, where: str) -> endings.Ending:
        method = self.method if self.legs is None else self.legs.in_charge
        ending = endings.Ending(self.run, method, self.mode, self.step, self.start, self.t0, where)
        ending.warned, ending.t_end = self.warned, self.t1
        ending.rtol = float(np.max(self.tolerances[0])) if self.tolerances else 0.0
        ending.pole = "" if self.ahead is None or self.ahead.pole is None else self.ahead.pole.words
        return ending

    def _notes(self) -> str:
        """What a message says of a run that has reached its end; after a warning of a state that fixed steps past a limit let grow."""
        grown = self.mode == "fixed" and self.run.k > 1 and math.isfinite(self.step) and largest(self.run.y) > GROWTH
        self.growth = self._aside(self._ending("").growth, self.past is not None and self.past.inside) if grown else ""
        if self.growth and not self.warned:
            tell(f"{self.name}: {self.growth}")
        mild = curvature.mild_words(self.run)
        return (
            mild if mild and not self._aside(mismatch, self.run.equations, self.run.slope) else ""
        )  # the rates may be those of a wrong jac

    def _look_for_unseen(self) -> None:
        """Whether a component has grown from where error control does not see it."""
        t, rows = self.history.states()
        rtol, atol = self.tolerances
        if grown_from_below(rows, atol):
            from mflow.derivatives.unseen import unseen_words

            self.unseen = self._aside(unseen_words, self.run.slope, t, rows, self.start.shape, rtol, atol)
        elif self.settings.atol is None and largest(rows) < control.SMALLEST:
            from mflow.derivatives.unseen import small_words

            self.unseen = small_words(control.SMALLEST, control.SMALL * control.ATOL, control.ATOL, self.start, rows)

    @property
    def doubts(self) -> tuple[str, ...]:
        """What speaks against a run that goes on or has finished, in words."""
        if (
            self.past is None
            and self.doubt is None
            and self.auto is None
            and self.walls is None
            and not (self.growth or self.unseen or self.lost)
        ):
            return ()
        looked = (
            self.doubt and self.doubt.text, self.past and self.past.text, self.auto and self.auto.doubt,
            (self.walls and self.walls.text) or self.lost, self.unseen, self.crawl and self.crawl.chance,
        )  # fmt: skip
        said = [text for text in looked if text and text not in self.growth]
        return (self.growth, *said) if self.growth else tuple(said)

    def result(self, status: int, reason: str, message: str) -> Any:
        """The result of a run that ended so, with what its looks have to say."""
        run, events = self.run, self.events
        message = endings.with_doubts(message, doubts := self.doubts)
        if self.walls is not None and (self.walls.found or self.walls.slid):
            message += f"; {self.walls.words}"
        if self.legs is not None and reason != "finished":
            message += f"; auto: {self.legs.words}"
        none: list[Array] | None = None if self.settings.events is None else []
        self.history.close()
        few, beside = endings.few_digits(run, self.tolerances), 0 if self.past is None else self.past.evaluations
        t, y, sol = self.history.arrays()
        met, states = (events.t_events, events.y_events) if events else (none, none)
        origin = self.problem, self.method, self.step if self.mode == "fixed" else None, self.settings.symmetric
        message += few and f"; {few}"
        out = ivp_result(run, t, y, status, reason, message, doubts, origin, sol, met, states, self.looked, beside)
        if self.legs is not None:
            out |= self.legs.counts
        if events is not None and events.acts:
            out["y_after"] = events.y_after
        if self.outputs is not None:
            add_outputs(out, self.outputs, (y,), self.settings.event_args, self.name)
        return out
