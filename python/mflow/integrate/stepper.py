"""`Stepper`: one step at a time, inside someone else's loop; saved and loaded, pickled and copied, with the same bits."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, Unpack

import numpy as np
from mflow_core.problems import problem
from mflow_core.stepping import stepper as core
from mflow_core.stepping.last_step import LastStep

from mflow.base.checks import Array, any_given, as_tuple, check_number, check_start, check_whole
from mflow.base.methods import AUTO, Method, as_method, asks_for_auto
from mflow.base.pace import Pace
from mflow.base.telling import tell, tell_of_order
from mflow.course.agenda import check_count
from mflow.course.on_the_way import OnTheWay
from mflow.course.steps_of_dt import take_steps, take_steps_to
from mflow.course.stops import Met, Stops, check_actions
from mflow.integrate import control
from mflow.integrate.curvature import StiffnessWarning, give_radius, past_limit_of, stable_end
from mflow.integrate.endings import HELD, SEEN, Ending, few_digits, held_words, of_events
from mflow.saving.saved_stepper import Kept
from mflow.solvers import nonlinear
from mflow.solvers.algebraic import Algebraic, algebraic_of
from mflow.solvers.jacobian_doubt import tell_of_overstated

if TYPE_CHECKING:
    from mflow.base._records import StepperOptions

__all__ = ["Stepper"]


class Stepper(Kept):
    """A method on y' = fun(t, y), or of second order on x'' = accel(t, x, v), stepped by its owner.

    ``Stepper(method, fun, y0, t0=0.0, ...)``, with a second-order method ``Stepper(method, accel, x0, v0, t0=0.0, ...)``, with an
    optimizer ``Stepper(method, grad=grad, y0=c0, t0=0.0, ...)``, whose ``step(lr)`` and ``advance(steps, lr)`` let t count lr.

    Parameters
    ----------
    method : name or instance of an integrator
        Or "auto", under error control: see `mflow.solve_ivp`.
    fun : callable
        As in `mflow.solve_ivp`, compiled ones included.
    y0 : array_like of real or complex numbers, any shape
    accel : callable
        ``accel(t, x, v, *args)`` returns accelerations, or with ``inplace=True`` fills out in ``accel(t, x, v, out, *args)``. Or compiled:
        ``int (double t, const double *x, const double *v, double *a, ptrdiff_t n, void *ctx)``.
    x0, v0 : array_like of one shape; v0 zeros where it is not given
    dadx, dadv : array_like (n, n) or callable, optional
        Second order, implicit methods: derivatives of accel, constant or ``dadx(t, x, v, *args)``; differences where none is given.
    velocity_free : bool
        Second order: accel does not use v; methods that are implicit in v alone are explicit then.
    solve_accel : callable
        Second order: your own solver, in place of Newton's iteration: ``solve_accel(t, w, xp, vp, bx, bv, q, guess)`` returns the a of
        a = w accel(t, xp + bx a, vp + bv a) + q, where q may be None. Or compiled, mflow.h's mf_solve_accel_fn.
    energy : bool
        Second order: keep the ledger of `mflow.solve_dynamics`, mass 1: ``st.energy``. accel is asked for the first acceleration at once.
    potential : callable
        Second order, with energy: ``potential(x, *args)`` of accel, or compiled; without it the ledger's load is the work of all of accel.
    mass, damping, stiffness, load, after, rayleigh, force, fixed
        Second order, in place of accel (None): M x'' + C x' + K x = load(t) + force(t, x, v), as in `mflow.solve_dynamics`; dadx and dadv
        are tangents of the force. For x0 of shape (N, 3) mass is (N,) or (N, 3) too.
    t0 : float
    rtol, atol : float or array_like
        Error control, for methods with an estimate: `step` then chooses its own steps, and `advance_to` goes to a time.
    direction : float
        Its sign is the direction of steps under error control.
    first_step, max_step, min_step, jac, jac_sparsity, lband, uband, solver, args, inplace, mass, consistent, exclude_algebraic
        As in `mflow.solve_ivp`; max_step is a number. Of second order: solver as in `mflow.solve_dynamics`, no jac. Read-only: ``st.args``.
    breaks : array_like (k,), optional
        Times where fun or accel jumps, and ``fun.breaks`` with them: `step` under error control and `advance_to` land on each, and a new
        start is made there when the stepper goes on. A fixed step that would pass one is an error.
    events : callable or list of callables, optional
        As in `mflow.solve_ivp`, with actions; of second order ``event(t, x, v, *args)``, and none with ``fixed``. A terminal one ends the
        step and the call: ``st.t`` is where it was met, ``st.reason`` is "event", and the next call goes on from there. ``st.events``
        lists what the last call has met.
    doses : list of (t, index, amount), or an array of shape (n, 3) with such rows; optional
        As in `mflow.solve_ivp`: steps land on each, and ``st.y`` there holds the dose; one at t0 is taken at once. Not of second order.
    *more, **options
        What stands above, by position or by name, and the method's own parameters.

    See Also
    --------
    mflow.solve_ivp, mflow.solve_dynamics, mflow.minimize, mflow.optim.Adam

    Notes
    -----
    ``save`` and `load` keep the state in a file; ``pickle`` and ``copy`` work where ``fun`` can be pickled or copied. All of them go on
    with the same bits. `save` does not write ``fun``, nor how implicit steps are solved: `load` takes them again. `mflow.StiffnessWarning`
    tells once of steps held at a stability limit. Arguments that do not fit raise TypeError or ValueError. Of first order, error control
    looks for poles in time, numbers that no solution crosses and jumps as in `mflow.solve_ivp`, and not for growth from below atol.

    Examples
    --------
    >>> import mflow
    >>> st = mflow.Stepper("rk4", lambda t, y: -y, [1.0])
    >>> for _ in range(10):
    ...     st.step(0.1)
    >>> round(st.t, 12), bool(abs(st.y[0] - 0.36787944117) < 1e-6)
    (1.0, True)
    >>> st = mflow.Stepper("dopri5", lambda t, y: -y, [1.0], rtol=1e-8, atol=1e-10)
    >>> st.advance_to(1.0)
    >>> bool(abs(st.y[0] - 0.36787944117) < 1e-8)
    True
    >>> st = mflow.Stepper("leapfrog", lambda t, x, v: -x, [1.0], [0.0])
    >>> st.advance(100, dt=0.01)
    >>> bool(abs(st.x[0] - 0.5403023) < 1e-4), bool(abs(st.v[0] + 0.8414710) < 1e-4)
    (True, True)
    >>> st = mflow.Stepper("newmark", lambda t, x, v: -x, [1.0], energy=True)
    >>> st.advance(100, dt=0.1)
    >>> bool(abs(st.energy.kinetic - st.energy.load) < 1e-14), bool(abs(st.energy.residual) < 1e-14)
    (True, True)

    References
    ----------
    E. Hairer, S. Norsett and G. Wanner, Solving Ordinary Differential Equations I (1993), II.4.
    """

    _start_name = "y0"
    _told_stiff, _digits_open = False, True  # open: whether slopes carry the digits that rtol asks for is not known yet
    _algebraic: Algebraic | None = None
    _pair: Any = None  # the two methods of "auto"
    _legs: Any = None  # and the run, then
    _stops: Stops | None = None
    _past: Any = None  # of steps of dt: a PastLimit, or None
    _way: OnTheWay | None = None
    _tolerances: tuple[Array, Array] | None = None  # of first order, under error control
    _first = 0.0  # step of a start; 0: estimated
    _pairs: Any = None  # of a complex state: real and imaginary parts
    _given: dict[str, Any] | None = None  # all arguments, where `_call` is their real form
    _watches_motion = False  # events see x and v
    _kinds: ClassVar[dict[str, type[Stepper]]] = {}  # by the flag of their methods
    _fitting: ClassVar[dict[Any, type[Stepper]]] = {}

    def __new__(cls, method: str | Method, fun: Any = None, y0: Any = None, *more: Any, **options: Any) -> Any:
        """The stepper of the method's kind."""
        asked = method if isinstance(method, str) else type(method)
        return object.__new__(cls if cls is not Stepper else Stepper._fitting.get(asked) or Stepper._kind_for(method, asked))

    def __init__(
        self,
        method: str | Method,
        fun: Callable[..., Any] | Any = None,
        y0: Any = None,
        t0: float = 0.0,
        *,
        args: tuple[Any, ...] = (),
        inplace: bool = False,
        rtol: Any = None,
        atol: Any = None,
        direction: float = 1.0,
        first_step: float | None = None,
        max_step: float | None = None,
        min_step: float | None = None,
        jac: Any = None,
        jac_sparsity: Any = None,
        lband: int | None = None,
        uband: int | None = None,
        solver: Any = None,
        mass: Any = None,
        consistent: str = "project",
        exclude_algebraic: bool = False,
        breaks: Any = None,
        events: Any = None,
        doses: Any = None,
        **parameters: Unpack[StepperOptions],
    ) -> None:
        if parameters:
            control.refuse_of_runs(parameters, "solve_ivp")
        if asks_for_auto(method):
            from mflow.course.legs import pair_for

            if rtol is None and atol is None:
                raise ValueError("rtol: 'auto' needs error control, got neither rtol nor atol; give one of them")
            self._pair = pair_for(np.size(y0), rtol, control.RTOL, events=events, mass=mass, parameters=parameters)
            method = self._pair.calm
        self._method = made = as_method(method, parameters)
        if made.kind != "step":
            raise ValueError(f"method: expected an integrator or an optimizer, got {made.name}, which learns from samples")
        if fun is None or y0 is None:
            raise TypeError(f"{'fun' if fun is None else 'y0'}: expected the slopes fun(t, y) and the start y0, got None")
        self._t0 = check_number(t0, "t0")
        self._given = self._call = {
            "fun": fun, "args": args if type(args) is tuple else as_tuple(args, fun), "inplace": inplace, "rtol": rtol, "atol": atol,
            "direction": direction, "first_step": first_step, "max_step": max_step, "min_step": min_step, "jac": jac,
            "jac_sparsity": jac_sparsity, "lband": lband, "uband": uband, "solver": solver, "mass": mass, "consistent": consistent,
            "exclude_algebraic": exclude_algebraic, "breaks": breaks, "events": events, "doses": doses,
        }  # fmt: skip
        self._start = self._real_start(y0)
        self._solve_with(self._call)

    def _real_start(self, y0: Any) -> Array:
        """The start; of a complex one real and imaginary parts, for which all arguments are then."""
        try:
            return check_start(y0, "y0")
        except TypeError:
            from mflow.problems.complexes import Pairs, is_complex

            if not is_complex(y0):
                raise
            from mflow.integrate.ivp import real_form

            self._pairs = Pairs(y0)
            self._call = real_form(self._call, self._pairs)
            start: Array = self._pairs.start
            return start

    def _solve_with(self, call: dict[str, Any]) -> None:
        """The run, and what solves its equations."""
        start, args, jac, method = self._start, as_tuple(call["args"]), call["jac"], self._method
        bands = call["lband"], call["uband"]
        self._algebraic = algebraic_of(
            call["mass"], call["consistent"], call["exclude_algebraic"], method, start, None, bands[0], bands[1], t0=self._t0, args=args
        )
        tell_of_order(call["fun"], "fun", "t, y")
        solved = self._pair.stiff if self._pair else method
        implicit, self._jac_open = solved.is_implicit, jac is not None
        self._equation = equation = problem.rhs_problem(call["fun"], start.shape, call["args"], call["inplace"], jac if implicit else None)
        solving = None
        linear = {"jac": jac, "jac_sparsity": call["jac_sparsity"], "lband": bands[0], "uband": bands[1]}
        if implicit or self._algebraic is not None or call["solver"] is not None or any_given(linear):
            if self._algebraic is not None:
                linear |= self._algebraic.linear
            solving = nonlinear.solver_for(solved, equation, self._t0, start, solver=call["solver"], args=args, **linear)
            self._start = self._consistent(self._t0, start)
        self._make_run(equation, solving)

    def _consistent(self, t: float, y: Array) -> Array:
        """A start that algebraic equations allow: y itself, or its projection."""
        if self._algebraic is None:
            return y
        call = self._call
        tolerances = None if call["rtol"] is None and call["atol"] is None else (call["rtol"], call["atol"])
        return self._algebraic.start(self._equation, t, y, call["jac"], as_tuple(call["args"]), control.sizes_of(y, tolerances))

    def _make_run(self, equation: problem.Problem, solver: Any = None, v0: Array | None = None) -> None:
        """The run of the core, under error control where tolerances are given."""
        call, method = self._call, self._method
        check_number(call["direction"], "direction", "a finite number, whose sign counts")
        own = getattr(call["fun"] if "fun" in call else call.get("accel"), "breaks", None)
        specs = control.check_events(given) if (given := call["events"]) is not None else []
        if own is not None or specs or call["breaks"] is not None or call.get("doses") is not None:
            project = None if self._algebraic is None else self._consistent
            self._stops = Stops.of(call, own, specs, equation, self._start.shape, project, of_motion=self._watches_motion)
        if self._stops is not None and self._algebraic is not None:
            self._stops.also = self._algebraic.between
        rtol, atol = call["rtol"], call["atol"]
        self._controlled = controlled = rtol is not None or atol is not None
        if self._pair is None:
            how: dict[str, Any] = {"parameters": method.numbers, "dense": True, "control": controlled, "solver": solver, "v0": v0}
            self._run = core.Run(method.record, equation, self._start, self._t0, **how)
        else:
            from mflow.course.legs import two_methods

            self._told_stiff = True  # the other method is the answer
            self._run = self._legs = two_methods(self._pair, solver, equation, self._start, self._t0, control=controlled)
        self._past = None if controlled else past_limit_of(self._run, method, self._start)
        if controlled:
            self._control(rtol, atol, call["max_step"], call["min_step"], call["first_step"])
        elif any_given({name: call[name] for name in ("max_step", "min_step", "first_step")}):
            raise ValueError("first_step, max_step, min_step: they belong to error control: give rtol or atol as well")
        if self._stops is not None:
            self._check_stops(self._stops)

    def _check_stops(self, stops: Stops) -> None:
        """What may act does so; what is due at the start happens."""
        if any(stops.acts):
            check_actions(self.method, "adaptive" if self._controlled else "fixed", self._algebraic is not None)
        if self._algebraic is not None:
            self._algebraic.check_jumps([dose.place for dose in stops.doses], self._start.shape, any(stops.acts))
        self._settle(stops.begin(self._run), 0.0)
        self._settle(stops.arrive(self._run, math.copysign(1.0, self._call["direction"])), 0.0)

    def _control(self, rtol: Any, atol: Any, max_step: Any, min_step: Any, first_step: Any) -> None:
        """Checks what belongs to error control, and tells the run."""
        method, run = self._method, self._run
        if "embedded" not in method.flags:
            raise ValueError(f"rtol, atol: {method.name} has no error estimate: take fixed steps, st.step(dt)")
        if "staged" in method.flags and method.parameters["stages"] == 2:
            raise ValueError(f"stages: the error estimate of {method.name} needs 3 or more of them, or 0")
        rounding = None if self._algebraic is None else self._algebraic.rounding
        relative, absolute = control.tolerances_of_run("Stepper", rtol, atol, self._start, rounding, self._call.get("v0"))
        if max_step is min_step is first_step is None:
            run.control(relative, absolute)
        else:
            if callable(largest := control.check_max_step(max_step)):
                raise TypeError("max_step: expected a number, got a function; functions go into mflow.solve_ivp")
            run.control(relative, absolute, largest, control.check_min_step(min_step, largest))
            self._first = control.check_first_step(first_step, -math.inf, math.inf) or 0.0
            run.set_first_step(self._first)
        run.look_for_stiffness(stable_end(method.record))
        self._tolerances = None if "second_order" in method.flags else (relative, absolute)

    @property
    def t(self) -> float:
        """Time of the state."""
        return float(self._run.t)

    @property
    def y(self) -> Array:
        """A read-only copy of the state, float64 of y0's shape. ``st.y = ...`` is `set_state`.

        Raises RuntimeError while the stepper steps, in another thread or around its own callback.
        """
        return self._copy(0)

    @y.setter
    def y(self, value: Any) -> None:
        self.set_state(y=value)

    def _copy(self, vector: int) -> Array:
        """A carried vector: a change to it would be lost, so none can be made."""
        copy = self._shown(self._run.vector(vector))
        copy.setflags(write=False)
        return copy

    def _shown(self, y: Array) -> Array:
        """A state of the run as the user sees it."""
        return y if self._pairs is None else self._pairs.state(y)

    def set_state(self, t: float | None = None, y: Any = None) -> None:
        """Go on from another state, another time, or both: after a dose, an impact, an assimilated measurement. What is not given stays.

        It is a new start: ``st`` goes on with the bits of a stepper that is made there. Slopes of the last step, Newton's Jacobian, the
        measured spectral radius and the memory of error control are forgotten, with `h`, which is estimated anew (or ``first_step``
        again); `interpolate` knows no last step. Fixed steps are counted from here, so that ``t0`` is t. The counts (`k`, `nfev`, `njev`,
        `nlu`, `nrejected`) go on.

        Raises TypeError or ValueError where t or y is not finite, or y has another shape; the state stays as it was.

        Examples
        --------
        >>> import mflow
        >>> st = mflow.Stepper("dopri5", lambda t, y: -y, [0.0], rtol=1e-9, atol=1e-12)
        >>> for day in range(3):
        ...     st.y = st.y + 1.0
        ...     st.advance_to(day + 1.0)
        >>> bool(abs(st.y[0] - 0.5530018) < 1e-7)
        True
        """
        time = self.t if t is None else check_number(t, "t")
        state = None if y is None else self._checked(y, "y")
        if self._algebraic is not None:
            state = self._consistent(time, self._run.vector(0) if state is None else state)
        if self._way is not None:
            self._way.begin(time, state)
        self._run.restart(time, state)
        self._t0, self._start = time, self._run.vector(0)
        self._look_anew()

    def _look_anew(self) -> None:
        """Events begin again at a state that was set; doses there are behind it."""
        if self._past is not None:
            self._past.begin()
        if self._stops is not None:
            self._stops.taken = self.t
            self._settle(self._stops.begin(self._run), 0.0)

    def _checked(self, value: Any, argument: str) -> Array:
        """A state of the shape that this one has."""
        state = check_start(value if self._pairs is None else self._pairs.real(value, argument), argument)
        if state.shape != self._start.shape:
            raise ValueError(f"{argument}: expected an array of shape {self._start.shape}, got shape {state.shape}")
        return state

    @property
    def events(self) -> list[Met]:
        """What the last `step`, `advance` or `advance_to` has met, in order: named tuples (event, t, y, y_after).

        event: its number. y: the state there, of second order x and v. y_after: the one behind its action; None where it does not act.
        """
        met = self._stops.met if self._stops is not None else []
        if self._pairs is None:
            return met
        return [one._replace(y=self._shown(one.y), y_after=None if one.y_after is None else self._shown(one.y_after)) for one in met]

    @property
    def reason(self) -> str | None:
        """ "event" where a terminal one has ended the last call; else None."""
        return self._stops.reason if self._stops is not None else None

    @property
    def k(self) -> int:
        """Steps taken."""
        return int(self._run.k)

    @property
    def nfev(self) -> int:
        """Evaluations of fun, all that it can count itself."""
        return int(self._run.nfev) + int(self._run.nlooks) + self._redone()[0] + (0 if self._past is None else self._past.evaluations)

    @property
    def njev(self) -> int:
        """Evaluations of the Jacobian."""
        return int(self._run.njac) + self._redone()[1]

    @property
    def nlu(self) -> int:
        """Factorisations."""
        return int(self._run.nlu) + self._redone()[2]

    @staticmethod
    def _check_tolerances(rtol: Any, atol: Any, shape: tuple[int, ...]) -> None:
        control.check_tolerances(control.RTOL if rtol is None else rtol, control.ATOL if atol is None else atol, shape)

    def _redone(self) -> tuple[int, ...]:
        """Evaluations, Jacobians and factorisations that rebuilt, after `load`, what was at hand at `save`."""
        solver = self._solver()
        now = solver.redone if solver is not None else (0, 0, 0)
        return tuple(before + more for before, more in zip(self._rebuilt, now, strict=True))

    def _solver(self) -> Any:
        return self._run.solver

    @property
    def nrejected(self) -> int:
        """Steps that error control threw away."""
        return int(self._run.rejected[0])

    @property
    def h(self) -> float:
        """The step that error control will try next."""
        return float(self._run.h)

    def step(self, dt: float | None = None) -> None:
        """One step: of dt, which may be negative; or, under error control, of the method's own choice.

        Where an event acts inside a step of dt, the rest of it is a step of its own behind the action, and t is ahead by dt as always; a
        terminal event ends the step where it is met.
        Steps of one size are counted: t = t0 + k dt, without accumulated error.

        Raises FloatingPointError where the new state is not finite, RuntimeError where a compiled callback gave up, an implicit step
        was not solved or the step vanishes: the state stays at the last good step. What ``fun`` raises comes through.
        """
        if dt is None:
            self._clear()
            self._go(math.copysign(math.inf, self._call["direction"]), 1, "step")
        else:
            self.advance(1, dt)

    def advance(self, steps: int, dt: float) -> None:
        """``steps`` steps of dt as `step` takes them, or those up to a terminal event, in one loop without
        Python where fun is compiled. Errors as `step`."""
        if self._controlled:
            raise self._not_of_dt()
        left = check_whole(steps, "steps", 0, control.MANY - 1)
        h = check_number(dt, "dt")
        if left == 1 and self._stops is None:
            while (status := self._run.fixed(1, dt=h)) != 0:
                self._settle(status, h)
            self._jac_open = self._jac_open and not tell_of_overstated(self._run.equations, "Stepper")
            return
        self._clear()
        take_steps(self._run, self._stops, self._settle, left, h)

    def _steps_to(self, end: float, dt: float) -> None:
        """`advance_to` in steps of dt."""
        if self._controlled:
            raise self._not_of_dt()
        h = check_number(dt, "dt")
        check_count(self.t, end, h)
        self._clear()
        take_steps_to(self._run, self._stops, self._settle, end, h)

    def _not_of_dt(self) -> TypeError:
        """The error of a dt where error control chooses the steps."""
        return TypeError("dt: this stepper is under error control (rtol, atol): call step() or advance_to(t)")

    def _clear(self) -> None:
        """Forgets the events that were met: a call begins."""
        if self._stops is not None:
            self._stops.clear()

    def advance_to(self, t: float, dt: float | None = None) -> None:
        """Steps until exactly t, or a terminal event: under error control, or of ``dt``, the last one shorter where it takes that.

        Steps of dt land on breaks and doses on the way, and are counted from there, and from where an event acts. Errors as `step`.

        Examples
        --------
        >>> import mflow
        >>> st = mflow.Stepper("rk4", lambda t, y: -y, [1.0], doses=[(0.35, 0, 1.0)])
        >>> st.advance_to(1.0, dt=0.1)
        >>> st.t, st.k
        (1.0, 11)
        """
        end = check_number(t, "t")
        if dt is not None:
            self._steps_to(end, dt)
            return
        if (end - self.t) * self._call["direction"] < 0:
            raise ValueError(
                f"t: expected a time ahead of t = {self.t:g}, got {t!r}; a stepper goes one way: make another with "
                f"direction={math.copysign(1.0, end - self.t):g}"
            )
        pace = Pace()
        self._clear()
        while self.t != end and self.reason is None:
            self._go(end, pace.take(control.MANY), "advance_to")
            pace.done()

    def _go(self, end: float, count: int, name: str) -> None:
        if not self._controlled:
            fix = (
                "give rtol= and atol= to the stepper, or" if "embedded" in self.method.flags else f"{self.method.name} estimates no error:"
            )
            raise TypeError(f"{name}: without dt it is for error control: {fix} take steps of dt, as advance_to(t, dt)")
        run, asked, rows, sign = self._run, end, self._stops and self._stops.rows, math.copysign(1.0, self._call["direction"])
        if self._stops is not None:
            status, goal = self._stops.ahead(self._run, sign)
            self._settle(status, self._run.h)
            end = goal if abs(goal - self.t) < abs(end - self.t) else end
        if run.h == 0.0:  # a start
            first = min(self._first, abs(end - self.t))
            self._settle(int(run.begin(end if math.isfinite(end) else sign * 1e300, sign * first)), 0.0)
        way, status = self._way or self._looks(), core.FULL
        if way is not None and count == 1 and run.k < way.free and math.isinf(asked) and self._stops is None:  # as most steps are
            status = run.adaptive(1, end)
            if status != 0 and (status := way.heed(status, end)) != core.FULL:
                self._settle(status, run.h)
        while status in (core.RHO_DUE, core.FULL):
            events = self._stops and self._stops.events
            status = run.adaptive(count, end, rows) if way is None else way.steps(count, end, rows, asked, events)
            self._settle(status, run.h)
        if self._stops is not None:
            self._settle(self._stops.arrive(run, sign), run.h)
        if self._digits_open and self.nfev > 2 * SEEN:
            self._digits_open = False
            if few := few_digits(run, (np.asarray(control.RTOL if self._call["rtol"] is None else self._call["rtol"]),)):
                tell(f"Stepper: {few}")
        if not self._told_stiff and run.stiffness[3] >= HELD and (text := held_words(run, self.method, end)):
            self._told_stiff = True
            tell(f"Stepper: {text}", StiffnessWarning)

    def _looks(self) -> OnTheWay | None:
        if self._way is None and self._tolerances is not None:
            sign = self._call["direction"]
            self._way = OnTheWay(self._run, self._tolerances, self._t0, self._start, self._first, sign, self._algebraic)
        return self._way

    def _settle(self, status: int, h: float) -> None:
        """Raises what a status means, or does what it asks for."""
        self._jac_open = self._jac_open and not tell_of_overstated(self._run.equations, "Stepper")
        if status == core.RHO_DUE:
            reason = give_radius(self._run)
            if reason:
                raise FloatingPointError(f"{reason}: {self.method.name} cannot measure the Jacobian; the state stays at t = {self.t:g}")
            return
        if self._past is not None and self._past.heeds(status, "Stepper"):
            return
        status = status if self._stops is None else self._stops.heed(status)
        if status != 0:
            where = f"in the step from t = {self.t:g}" + ("" if self._controlled else f" with dt = {h:g}") + f" (step {self.k})"
            of_event = self._stops and self._stops.events and of_events(self._stops.events, status, f"at t = {self.t:g}")
            mode = "adaptive" if self._controlled else "fixed"
            reason, message = of_event or (self._way and self._way.why(status)) or self._ending(mode, h, where).explain(status)
            raise (FloatingPointError if reason == "non_finite" else RuntimeError)(f"{message}; the state stays at t = {self.t:g}")

    def _ending(self, mode: str, h: float, where: str) -> Ending:
        method = self.method if self._legs is None else self._legs.in_charge
        ending = Ending(self._run, method, mode, h, self._start, self._t0, where)
        ending.rtol = 0.0 if self._tolerances is None else float(np.max(self._tolerances[0]))
        ending.pole = "" if self._way is None else self._way.pole
        return ending

    def interpolate(self, t: float) -> Array:
        """The state at a time inside the last step, by the method's continuous extension (which may call fun). Steps are held to the
        tolerances at their ends, and inside where an event asks for it.

        Raises ValueError where t is outside it.
        """
        return self._shown(LastStep(self._run).state(check_number(t, "t")))

    def __repr__(self) -> str:
        return f"<mflow.Stepper {AUTO if self._pair else repr(self.method)}, t = {self.t:g}, k = {self.k}>"
