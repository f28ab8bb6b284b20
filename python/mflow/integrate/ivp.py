"""`solve_ivp`: y' = fun(t, y) from t0 to t_end."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from functools import partial
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np
from mflow_core.problems import problem
from mflow_core.problems.signatures import companion

from mflow.base.checks import Array, any_given, as_tuple, check_flags, check_start
from mflow.base.methods import Method, as_method, asks_for_auto, refuse_unknown
from mflow.base.result import IVPResult, attach, pending
from mflow.base.telling import tell, tell_of_order
from mflow.base.threads import shared_among
from mflow.integrate.control import RTOL, Event, Settings, check_span, default_method, listed_events, sizes_of
from mflow.integrate.drive import Drive, follow
from mflow.integrate.endings import preparing
from mflow.integrate.history import FEW_REJECTED, MANY_REJECTED, SHORT, begin
from mflow.problems.time_derivative import time_derivative
from mflow.problems.vectorized import columns_of
from mflow.solvers import nonlinear
from mflow.solvers.algebraic import algebraic_of
from mflow.solvers.finite_jacobian import asked_by, finite_jacobian

if TYPE_CHECKING:
    from mflow.base._records import IVPOptions

__all__ = ["ARGUMENTS", "real_form", "solve_ivp"]


def solve_ivp(
    fun: Callable[..., Any] | Any,
    t_span: Sequence[float],
    y0: Any,
    method: str | Method | None = None,
    t_eval: Any = None,
    dense_output: bool = False,
    events: Any = None,
    *,
    args: tuple[Any, ...] = (),
    dt: float | str | Sequence[float] | Callable[..., float] | None = None,
    rtol: Any = None,
    atol: Any = None,
    first_step: float | None = None,
    max_step: float | Callable[..., float] | None = None,
    min_step: float | None = None,
    max_steps: int | None = None,
    jac: Any = None,
    jac_sparsity: Any = None,
    lband: int | None = None,
    uband: int | None = None,
    solver: Any = None,
    inplace: bool = False,
    vectorized: bool = False,
    save: str = "all",
    save_every: int | None = None,
    callback: Callable[..., Any] | None = None,
    progress: bool = False,
    checkpoint: Any = None,
    checkpoint_every: int | None = None,
    resume: Any = None,
    mass: Any = None,
    consistent: str = "project",
    exclude_algebraic: bool = False,
    breaks: Any = None,
    doses: Any = None,
    outputs: Callable[..., Any] | None = None,
    nonnegative: Any = None,
    until: str | None = None,
    steady_rtol: Any = None,
    steady_atol: Any = None,
    elementwise: bool = False,
    threads: int | None = None,
    rhs_t: Callable[..., Any] | Any = None,
    **parameters: Unpack[IVPOptions],
) -> IVPResult:
    """Integrate y' = fun(t, y), or M y' = fun(t, y), under error control or with fixed steps.

    Parameters
    ----------
    fun : callable
        ``fun(t, y, *args)`` returns the slopes, an array of y's shape; with ``inplace=True``, ``fun(t, y, out, *args)`` fills
        ``out``. y is read-only. Or compiled, called without the GIL: a SciPy LowLevelCallable, numba cfunc, ctypes function
        pointer or PyCapsule with the signature ``int (double t, const double *y, double *dydt, ptrdiff_t n, void *ctx)``; it
        returns 0 to go on, a positive code where only a smaller step could help, a negative one to give up. A Python function
        says so by raising `mflow.Recoverable`.
    t_span : (t0, t_end)
        t_end may lie before t0: integration runs backwards. t_end = t0 returns the start.
    args : tuple
        Further arguments of every function of the call.
    y0 : array_like of real or complex numbers, any shape
        Complex ones are carried as pairs of real numbers, and tolerances hold for each part; what is returned, and what functions get, is
        complex again. A complex ``jac`` is df/dy of a function that has one (it does not use the conjugate); compiled functions are of
        the pairs.
    method : name or instance
        See `mflow.methods`. Default: "dopri5" under error control, "rk4" where dt is given. "radau5" or "bdf" for stiff problems;
        an explicit pair whose steps are held at its stability limit says so, once, by `mflow.StiffnessWarning`. "auto", where one does
        not know: it begins with "tsit5" ("dop853" for rtol below 1e-7), goes on with "radau5" ("bdf" for more than 30 components) where the
        steps are held at the stability limit, and back where they could be explicit ones or take more evaluations than those did; where one
        of them cannot go on the other has a try. Where an event acts it takes "radau5" of these; with ``nonnegative``, which shortens steps
        too, it goes on with the implicit method from a quarter of the limit on.
    t_eval : array_like (m,), optional
        Times to save at, in order, inside the span; between steps by the method's continuous extension, or the cubic Hermite one. Steps of
        "radau5" and "rodas5p" (also of "auto", once it is at radau5) with such a time inside, and all of them where ``sol`` or events are
        asked for, are held to the tolerances there too, as a fast decay is damped out of their ends alone; that may make some shorter.
        Between the steps of "esdirk43" the error is 5 to 20 tolerances.
    dense_output : bool
        Keep the continuous solution as ``sol``, a function of t.
    events : callable or list of callables
        ``event(t, y, *args)`` -> float; its changes of sign are found, all that ``event.samples`` (16) equal pieces of a step can tell
        apart, and located to 4 units in the last place of t. Its attributes are SciPy's: ``terminal`` (True, or stop at the k-th),
        ``direction``. A touch without a change of sign is no event, nor is a zero at the start; but one that becomes 0 because a component
        comes to rest at a bound (see ``nonnegative``) is met, once while it rests there within its tolerance, and so is one that becomes 0
        and stays 0 as far as a sample, where that begins. Compiled ones have
        fun's signature and put their value into ``dydt[0]``; `mflow.Event` gives them their settings.
        An event with an attribute ``action`` acts at its roots, and the run goes on: ``action(t, y, *args)`` returns the new y, or changes
        the y that it is given and returns None; or it is compiled, with fun's signature (``dydt`` holds y when it is called, and the new
        y after). It is a new start, as behind a break. t then has two points of the same time, the states before and after, and so have
        ``y_events`` and ``y_after``; ``sol`` at that time, and ``t_eval``, give the state after. An event that its action leaves at zero
        is not met again for that root. Where a terminal one ends the run nothing acts. An event that a jump of the state alone crosses, a
        dose or the action of another event, is met at its time, at the state behind it. Needs error control, or steps of one size;
        fixed ones of "bdf" are of order 3 and more, and without ``mass``.
    dt : float, array_like (m,), callable or "auto"
        Fixed steps, n = ceil((t_end - t0)/dt (1 - 1e-12)) of them at times t0 + k dt, the last of which lands on t_end. "auto": nine
        tenths of the largest step inside the method's stability region, for the curvature measured along the way; steps whose curvature
        outgrew them are taken again. That is for relaxing to a minimum or a steady state: a stable step is not yet an accurate one, on
        oscillations least of all; rtol and atol are for accuracy. Where a run is not at rest at its end, ``doubts`` tell whether steps of
        half the length end elsewhere, if that takes no more evaluations than the run (``ncheck``; up to 2000, twice as many). rkc2 is
        damped more, unless ``damping=`` is given.
        With explicit methods a warning, the message and ``doubts`` tell of steps past the stability limit where every number stays finite.
        Steps one by one: a sequence, which must reach t_end, or ``dt(q, t, y)``, the size of step q from the state y at t; the step that
        would pass t_end ends there, and times are a compensated sum.
        inf, with t_end = inf and "backward_euler": the steady state that the flow from y0 reaches, with t at rest, in one step; the message
        says whether it is stable. A flow that never rests ends as "solve_failed", with what it does.
    rtol, atol : float or array_like of y0's shape
        Error control (default 1e-3, 1e-6): the local error of component i is held to atol_i + rtol_i |y_i|, in root mean square.
        A start far below the default atol is warned of; one component far below it, beside large ones, is not, though no digit of it is
        controlled (a deflection of 1e-9 beside a force of 1e3): give atol an entry for each. An atol of 0 measures a component by itself
        alone; one that begins at 0 from 1e-40 of the largest on, and one that an algebraic equation makes of others from the rounding of
        these on, where atol is less.
    first_step, max_step, min_step : float
        max_step may be a function of (t, y). Where the tolerances need a step below min_step, the run ends.
    max_steps : int
        Ends the run after so many accepted steps, those before the file among them where it is resumed.
    jac : callable, array_like (n, n), sparse matrix, or with lband and uband packed (lband + uband + 1, n); optional
        For implicit methods: ``jac(t, y, *args)`` or a constant; where it is missing, finite differences. Or compiled:
        ``int (double t, const double *y, double *jac, ptrdiff_t n, void *ctx)``, jac[i*n + j] = df_i/dy_j.
    jac_sparsity : array_like or sparse matrix (n, n); lband, uband : int
        Where the Jacobian may be other than 0: fewer differences, sparse or banded factors.
    solver : name or instance
        How implicit steps are solved: see `mflow.nonlinear`.
    inplace : bool
        Whether fun fills ``out``.
    vectorized : bool
        Whether fun takes many states at once, Y of shape (n, k) for any k, and returns as many slopes: the differences of a Jacobian are
        then one call. y0 has the shape (n,).
    save : "all" or "last"
        "last" keeps the end alone: constant memory.
    save_every : int
        Keep every k-th step, and both ends.
    callback : callable
        ``callback(t, y)`` after each accepted step; True stops the run.
    progress : bool
        A progress bar.
    checkpoint, checkpoint_every : path, int
        Write the state to a file every so many steps, at once or not at all; else every 1000 steps and every 5 seconds.
    resume : path
        Go on from such a file, with the same arguments: the result is the same, bit for bit, as without the interruption, its counts among
        it (a Jacobian that is made once more for that is left out). What does not fit the call is refused, with its name.
    mass : array_like (n,) or (n, n), sparse matrix (n, n), or with lband and uband packed (lband + uband + 1, n); or callable; optional
        The matrix M of M y' = fun(t, y): its diagonal, or all of it. For implicit methods. "radau5" and "bdf" take a function
        ``mass(t, *args)`` too, whose entries stay where they are at t0, and whose rank stays what it is (from one break to the next; a run
        whose M changes its rank ends there, and says so); where a regular M depends on y, take y' = v with the algebraic equations
        M(t, y) v = f(t, y). M may be singular: then some of the equations are algebraic, and the problem must be of
        index 1. A start that does not satisfy them is moved first (``consistent``).
        Between steps of methods without their own extension, lines are straight. Behind breaks and doses the state is
        projected again; events that act are refused where M is singular. Where no step goes on from a state that satisfies the algebraic
        equations to within the tolerances, as those of diodes may be steep, they are solved anew there: t has that time twice then, and the
        message says how often.
    consistent : "project" or "check"
        What to do with a start that violates the algebraic equations by more than the tolerances: "project" changes it in the null
        space of M, so that M y0 stays, and the result says so and has it as ``y0``; "check" refuses it.
    exclude_algebraic : bool
        Whether error control leaves out the part of y in the null space of M: for a diagonal M, the components with a 0 there.
    breaks : array_like (k,), optional
        Times inside t_span, in any order, where fun or a derivative of it jumps. The run lands on each exactly, asks fun on no other side
        than the one it is on, and makes a new start there: slopes, Jacobian, the first step, the controller. Fixed steps are counted from
        each break on, the last one before it is shorter. ``fun.breaks``, an attribute, adds those that the function knows itself; of these
        the ones outside of t_span do not count. With ``mass`` the state behind a break or a dose is made consistent again, as the start is.
        Needs error control, or steps of one size.
    doses : list of (t, index, amount), or an array of shape (n, 3) with such rows; optional
        At time t ``amount`` is added to component ``index`` (a tuple of whole numbers for other shapes). Doses at t0 and t_end count. Both
        sides are kept, as of an action. A run backwards takes them away.
    outputs : callable, optional
        ``outputs(t, y, *args)``, numbers of one shape, at the points that are saved: ``result.outputs`` of shape (*its shape, n_points).
    nonnegative : True, indices of components, or a mask of y0's shape; optional
        Components that must not be below 0: fun is not asked where one is, and no state at the end of a step is there; between steps
        ``sol`` and ``t_eval`` may be below 0 by their error. Steps that lead below are tried again, shorter. Where one ends below 0 by less
        than the tolerance, that is its error, which is taken back: along the component's column of the Jacobian, or along the step, so that
        sums which fun keeps stay, and alone where neither is a way; explicit methods move a component alone by a thousandth of the
        tolerance at most, and else take a shorter step. Where the solution itself goes below 0 the run ends with "left_domain". Needs error
        control. Without it a run (with ``mass``: a constant diagonal one) whose tries fail again and again keeps components that are
        within a tolerance of a bound on their side of it, if fun is not finite beyond (sqrt(h - 1) at h = 1, of a level at its outlet),
        or leads to it from both sides, steeper than any line (-cbrt(y) at 0; looked for every 1024 steps too, as explicit steps do not
        fail there, and every 128 of a Python function where these are very short). Where fun jumps there, as for a relay or dry
        friction, and is 0 at no number, the component slides along the jump until fun leads on (Filippov's y' between both sides of
        fun, each of which is asked). The message names those that are kept at the end. Steps behind such a bound are at most a 64th of
        the run, as nothing may move there until an inflow comes back. Bounds that move, or that no component has alone (sqrt(a + b -
        1), sign(a + b)), are not kept, nor any by the solvers of `mflow.scipy`.
    until : "steady", optional
        Ends the run, with "steady", where it has come to rest: Newton's distance to the state of rest, by three of its steps, is within the
        tolerances (twice them where explicit steps at their stability limit stay so far from it, and up to 100 times where their errors are
        as large as what an oscillation with little damping loses in a step, which the message says), the part of fun along directions in
        which the Jacobian is 0 is rounding, all other eigenvalues have a real part below 0, now and later, and fun is the same at later
        times, also for what would swing with its changes. On the way it goes at most 3 times as far out, as a swing does that turns. So not
        at a slow start, where an oscillation passes fun = 0, or where the state creeps. Up to 500 components. What is at rest for less than
        t_end - t, because of an event or a forcing between the times that are looked at, is not foreseen; give ``breaks``.
    steady_rtol, steady_atol : float or array_like
        Tolerances of ``until``; default rtol, atol.
    elementwise : bool
        Whether component i of a compiled fun follows from t and component i of y, by one rule for all: fun is then called with pieces of
        long states (n is that of the piece), and a step of an explicit method goes through its stages piece by piece, which stay in the
        cache. The bits are the same. With ``breaks`` or ``nonnegative`` a step is not cut. Real states alone.
    threads : int, optional
        How many share these pieces: see `mflow.threads`. Without ``elementwise=True`` it has no effect, which a warning says.
    rhs_t : callable, optional
        ``rhs_t(t, y, *args)``, the partial derivative of fun by t, for methods that need it ("rodas5p"); where it is missing, a
        difference in time. With ``inplace=True`` it fills ``out``. Or compiled, with fun's signature.
    **parameters
        The method's own.

    Returns
    -------
    IVPResult
        ``t``, ``y`` of shape (n, n_points) or (*shape, n_points), ``sol``, ``t_events``, ``y_events``, ``success``, ``status``,
        ``reason``, ``message``, ``nfev``, ``ncheck`` (evaluations for the words of warnings), ``njev``, ``nlu``, ``nsteps``,
        ``nrejected``; where asked for ``y_after``, ``outputs``; of "auto" ``switches``, their number, and ``steps_by_method``. Every run
        ends for one reason: "finished", "event", "callback", "max_steps", "non_finite", "diverged" (the solution runs off in finite time:
        estimates of when agree), "step_too_small", "solve_failed", "event_failed", "zeno" (an event that acts is met without end),
        "left_domain" (nonnegative; or steps of dt="auto" went over 0, where no solution does), "steady" (until), "rhs_failed" (fun, jac or
        mass raised), "callback_failed" (callback, or a function as max_step or dt) or "interrupted"; the trajectory up to the last good
        step is always there. Where a slope is not finite, shorter steps are tried; it is over where steps of 16 units in the last place of
        t do not work either. Of an implicit run of 500 components or more ``message`` says where an explicit method needs few steps, too.

    Raises
    ------
    TypeError, ValueError
        An argument does not fit; the message names it. An exception raised by ``fun`` comes through as it is, with the time in a note
        and what was computed so far as its ``partial_result``; so does KeyboardInterrupt.

    See Also
    --------
    gradient_flow, solve_ivp_batch, solve_dynamics, compile_solver
    Stepper : the same integration in a loop of your own.

    Examples
    --------
    >>> import mflow
    >>> r = mflow.solve_ivp(lambda t, y: -y, (0, 1), [1.0], rtol=1e-8, atol=1e-10)
    >>> r.reason, bool(abs(r.y[0, -1] - 0.36787944117) < 1e-8)
    ('finished', True)
    >>> r = mflow.solve_ivp(lambda t, y: -y, (0, 1), [1.0], method="rk4", dt=0.1)
    >>> r.nsteps, bool(abs(r.y[0, -1] - 0.36787944117) < 1e-6)
    (10, True)
    >>> r = mflow.solve_ivp(lambda t, y: [-y[0], y[0] ** 2 - y[1]], (0, 1), [1.0, 1.0], "radau5", mass=[1.0, 0.0])
    >>> bool(abs(r.y[1, -1] - r.y[0, -1] ** 2) < 1e-6)
    True
    >>> r = mflow.solve_ivp(lambda t, y: 1j * y, (0, 1), [1.0 + 0j], rtol=1e-8, atol=1e-10)
    >>> r.y.dtype.name, bool(abs(r.y[0, -1] - complex(0.54030231, 0.84147098)) < 1e-7)
    ('complex128', True)
    >>> r = mflow.solve_ivp(lambda t, y: -1e3 * (y - t), (0, 9), [1.0], "auto")
    >>> r.switches, r.steps_by_method["radau5"] < 20
    (1, True)
    >>> mflow.solve_ivp(lambda t, y: -y, (0, 1), [1.0], method="euler", dt=lambda q, t, y: 0.1 * 2**q).t
    array([0. , 0.1, 0.3, 0.7, 1. ])

    References
    ----------
    E. Hairer, S. Norsett and G. Wanner, Solving Ordinary Differential Equations I (1993), II.1-II.6; E. Hairer and G. Wanner, II
    (1996), IV.8 and VI.1.
    """
    if not (inplace is False and vectorized is False and dense_output is False and progress is False and elementwise is False):
        check_flags(inplace=inplace, vectorized=vectorized, dense_output=dense_output, progress=progress, elementwise=elementwise)
    _tell_at_the_start(fun, args, threads, elementwise)
    try:
        start = check_start(y0, "y0")
    except TypeError:
        from mflow.problems.complexes import is_complex

        if not is_complex(y0):
            raise
        return _of_pairs({name: value for name, value in locals().items() if name in (*ARGUMENTS, "parameters")})
    if (
        t_eval is events is first_step is max_step is min_step is max_steps is jac is jac_sparsity is lband is uband is solver is None
        and save_every is mass is callback is checkpoint is checkpoint_every is resume is breaks is doses is outputs is nonnegative is None
        and until is steady_rtol is steady_atol is rhs_t is threads is None
        and isinstance(save, str) and isinstance(consistent, str) and save == "all" and consistent == "project"
        and vectorized is elementwise is dense_output is progress is exclude_algebraic is False
        and start.size <= SHORT and (dt is None or type(dt) is float)
        and (short := _short(fun, t_span, start, method, (dt, rtol, atol, args), inplace, parameters)) is not None
    ):  # fmt: skip
        return short if isinstance(short, IVPResult) else _told(follow(short), short)
    extra, columns, pair, asked = as_tuple(args), None, None, {}
    if asks_for_auto(method):
        from mflow.course.legs import pair_for

        asked = {name: value for name, value in locals().items() if name in ARGUMENTS}
        pair = pair_for(start.size, rtol, RTOL, events=events, dt=dt, mass=mass, rhs_t=rhs_t, parameters=parameters)
    _known(method, parameters)
    chosen_method = as_method(method if method is not None else default_method(dt), parameters) if pair is None else pair.calm
    solved = chosen_method if pair is None else pair.stiff  # whose equations there are, if it is implicit
    implicit = solved.is_implicit
    if implicit:
        jac = finite_jacobian(companion(fun, "jac", jac), "jac", 2)
    own = getattr(fun, "breaks", None)
    if vectorized:
        fun, columns = columns_of(fun, start.shape, extra, inplace)
    equation = problem.rhs_problem(fun, start.shape, args, inplace, jac if implicit else None, elementwise)
    span = check_span(t_span, dt)
    slope_t = None if rhs_t is None else time_derivative(rhs_t, start.shape, extra, inplace, chosen_method)
    linear = {"jac": jac, "jac_sparsity": jac_sparsity, "lband": lband, "uband": uband, "columns": columns, "rhs_t": slope_t}
    with nullcontext() if mass is None else preparing(start, span[0], "solve_ivp"):
        algebraic = algebraic_of(mass, consistent, exclude_algebraic, chosen_method, start, dt, lband, uband, t0=span[0], args=extra)
    if algebraic is not None:
        linear |= algebraic.linear
    solving = project = None
    if implicit or solver is not None or algebraic is not None or any_given(linear):
        with preparing(start, span[0], "solve_ivp"):
            solving = nonlinear.solver_for(solved, equation, span[0], start, solver=solver, args=extra, **linear)
            if algebraic is not None:
                sizes = sizes_of(start, (rtol, atol) if dt is None else None)
                start = algebraic.start(equation, span[0], start, jac, extra, sizes)
                project = algebraic.behind
    settings = Settings(
        dt, rtol, atol, t_eval, save, save_every, dense_output, events, extra, progress, callback, first_step, max_step, min_step,
        max_steps, checkpoint, checkpoint_every, resume, breaks, outputs, solver=solving, own_breaks=own, doses=doses,
        nonnegative=nonnegative, until=until, steady_rtol=steady_rtol, steady_atol=steady_atol, pair=pair,
    )  # fmt: skip
    if algebraic is not None:
        settings.mass, settings.algebraic, settings.project = algebraic.mass.checksum, algebraic, project
    drive = asked_by(jac, Drive(equation, span, start, chosen_method, settings, "solve_ivp"))
    if algebraic is not None:
        doses = [] if drive.agenda is None else drive.agenda.doses
        algebraic.check_jumps([dose.place for dose in doses], start.shape, drive.events is not None and drive.events.acts)
    with shared_among(threads):
        result: IVPResult = follow(drive) if drive.legs is None else drive.legs.by_one(follow(drive), asked, solve_ivp)
    return _told(result if algebraic is None else algebraic.tell(result), drive)


def _short(
    fun: Any, t_span: Sequence[float], start: Array, method: Any, settings: tuple[Any, ...], inplace: bool, parameters: Any
) -> IVPResult | Drive | None:
    """What `begin` makes of a call that asks for steps alone. settings : as there."""
    if (method is not None and asks_for_auto(method)) or getattr(fun, "breaks", None) is not None:
        return None
    if parameters:
        _known(method, parameters)
    chosen_method = as_method(default_method(settings[0]) if method is None else method, parameters)
    if chosen_method.is_implicit:
        return None
    equation = problem.rhs_problem(fun, start.shape, settings[3], inplace)
    begun = begin(Drive, equation, check_span(t_span, settings[0]), start, chosen_method, settings, "solve_ivp")
    return None if begun is None else begun[0]


def _told(result: IVPResult, drive: Drive) -> IVPResult:
    """The result, after a look for poles where some steps were rejected, and for jumps where many were."""
    if result["nrejected"] < FEW_REJECTED:
        return result
    try:
        _look_at_rejected(result, drive)
    except BaseException as error:
        attach(error, lambda: result, "in mflow.solve_ivp, where steps of the finished run are looked at; .partial_result holds all of it")
        raise
    return result


def _look_at_rejected(result: IVPResult, drive: Drive) -> None:
    """Warns of poles that steps led over, and where many steps were rejected of jumps."""
    slid = drive.walls is not None and bool(drive.walls.slid)
    if not slid:
        from mflow.walls.leapt import tell_of_poles

        tell_of_poles(result, drive.run, "solve_ivp")
    if result["nrejected"] >= MANY_REJECTED:
        from mflow.walls.jumps import tell_of_jumps

        tell_of_jumps(result, drive.run, "solve_ivp", np.empty(0) if drive.agenda is None else drive.agenda.breaks, slid)


def _tell_at_the_start(fun: Any, args: Any, threads: int | None, elementwise: bool) -> None:
    """What can be seen of the arguments alone. Raises TypeError for a dict in the place of arguments in order."""
    if type(args) is dict:
        as_tuple(args, fun)
    if threads is not None and not elementwise:
        tell("solve_ivp: threads: without effect without elementwise=True", UserWarning)
    tell_of_order(fun, "fun", "t, y")


def real_form(given: dict[str, Any], pairs: Any) -> dict[str, Any]:
    """What there is of a driver's arguments as it is for real and imaginary parts. pairs: `mflow.problems.complexes.Pairs` of the start."""
    of, bands = given.get, (given.get("lband"), given.get("uband"))
    if of("nonnegative") is not None:
        raise ValueError("nonnegative: expected None with a complex y0, whose numbers have no sign, got components; omit it")
    if of("elementwise"):
        raise ValueError("elementwise: expected False with a complex y0, whose parts are components beside each other, got True; omit it")
    dt, events = of("dt"), of("events")
    real = {
        "fun": pairs.slopes(of("fun"), of("inplace", False), of("vectorized", False)), "mass": pairs.mass(of("mass"), *bands),
        "events": None if events is None else [pairs.event(one, j, Event) for j, one in enumerate(listed_events(events))],
        "jac": pairs.jacobian(companion(of("fun"), "jac", of("jac")), *bands), "jac_sparsity": pairs.pattern(of("jac_sparsity")),
        "lband": pairs.band(bands[0]), "uband": pairs.band(bands[1]), "max_step": pairs.seen(of("max_step")),
        "dt": partial(_own_step, dt, pairs) if callable(dt) else dt, "callback": pairs.seen(of("callback")),
        "doses": pairs.doses(of("doses")), "outputs": pairs.seen(of("outputs")), "threads": None,
        **{name: pairs.twice(of(name), name) for name in ("rtol", "atol", "steady_rtol", "steady_atol")},
        "rhs_t": None if of("rhs_t") is None else pairs.slopes(of("rhs_t"), of("inplace", False), False),
    }  # fmt: skip
    return given | {name: value for name, value in real.items() if name in given}


def _own_step(dt: Callable[..., float], pairs: Any, q: int, t: float, y: Any) -> float:
    return dt(q, t, pairs.state(y))


def _of_pairs(given: dict[str, Any]) -> IVPResult:
    """The same of a complex start: solved in real and imaginary parts, which the user never meets."""
    from mflow.problems.complexes import ComplexOutput, Pairs

    pairs, parameters = Pairs(given["y0"]), given.pop("parameters")
    real = real_form(given, pairs) | {"y0": pairs.start}

    def seen(found: IVPResult) -> IVPResult:
        out = IVPResult(**found)
        out["y"] = pairs.columns(found.y)
        out["sol"] = None if found.sol is None else ComplexOutput(found.sol, pairs)
        for name in ("y_events", "y_after"):
            if found.get(name) is not None:
                out[name] = [pairs.rows(states) for states in found[name]]
        if "y0" in found:
            out["y0"] = pairs.state(np.ascontiguousarray(found["y0"]))
        return out

    try:
        return seen(solve_ivp(**real, **parameters))
    except BaseException as error:
        partial_result = getattr(error, "partial_result", None)
        if partial_result is not None:
            error.partial_result = pending(IVPResult, lambda: seen(partial_result))  # type: ignore[attr-defined]
        raise


def _known(method: Any, parameters: Mapping[str, Any]) -> None:
    """Words for arguments that nobody knows."""
    if not parameters or isinstance(method, type) or not isinstance(method, str | Method | None):
        return  # as_method has words for these
    refuse_unknown("solve_ivp", parameters, method, ARGUMENTS)


ARGUMENTS = tuple(name for name in inspect.signature(solve_ivp).parameters if name != "parameters")
