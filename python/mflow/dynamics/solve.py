"""`solve_dynamics`: M x'' + C x' + K x = load(t) + force(t, x, v), or without the one or the other.

The arguments become a problem of the core: a `Structure` of matrices (structures.py), solved linearly; a `Force` (forces.py), solved by
Newton's iteration where a method is implicit; or both, joined. The integration itself is in motion.py.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np
from mflow_core import registry
from mflow_core.dynamics import matrices
from mflow_core.dynamics import supports as core_supports
from mflow_core.problems.signatures import FORCE_SIGNATURE, compiled_address

from mflow.base.checks import Array, as_tuple, check_flags, length_of, shown
from mflow.base.methods import Method, as_method, parameters_of, refuse_unknown
from mflow.base.result import DynamicsResult
from mflow.base.telling import tell_of_order
from mflow.dynamics.constraints import constrained_problem
from mflow.dynamics.contact import Switches, switched
from mflow.dynamics.forces import force_problem
from mflow.dynamics.motion import Motion, begin_motion, keeps_energy
from mflow.integrate.control import Event, Settings, check_events, check_span
from mflow.integrate.drive import follow
from mflow.integrate.history import SHORT
from mflow.solvers.finite_jacobian import finite_jacobian
from mflow.structures.load_tables import bends
from mflow.structures.loads import is_table, table_until
from mflow.structures.matrices import structure_problem
from mflow.structures.supports import Supports, as_diagonal, check_starts

if TYPE_CHECKING:
    from mflow.base._records import MotionOptions

__all__ = ["of_second_order", "solve_dynamics"]

OBSTACLES = "{name} does not go with contacts and friction, whose states it does not know: omit it"


def solve_dynamics(
    mass: Any = None,
    damping: Any = None,
    stiffness: Any = None,
    load: Any = None,
    t_span: Sequence[float] | None = None,
    x0: Any = None,
    v0: Any = None,
    method: str | Method = "newmark",
    t_eval: Any = None,
    *,
    dt: Any = None,
    rtol: Any = None,
    atol: Any = None,
    rtol_v: Any = None,
    atol_v: Any = None,
    force: Any = None,
    args: tuple[Any, ...] = (),
    inplace: bool = False,
    dfdx: Any = None,
    dfdv: Any = None,
    potential: Any = None,
    velocity_free: bool = False,
    rayleigh: tuple[float, float] | None = None,
    after: str | None = None,
    fixed: Any = None,
    solver: Any = None,
    linear_solver: str | None = None,
    energy: bool | None = None,
    save: str = "all",
    save_every: int | None = None,
    dense_output: bool = False,
    events: Any = None,
    callback: Callable[..., Any] | None = None,
    progress: bool = False,
    checkpoint: Any = None,
    checkpoint_every: int | None = None,
    resume: Any = None,
    first_step: float | None = None,
    max_step: float | Callable[..., float] | None = None,
    min_step: float | None = None,
    max_steps: int | None = None,
    constraints: Any = None,
    constraints_jac: Any = None,
    breaks: Any = None,
    outputs: Callable[..., Any] | None = None,
    contacts: Any = None,
    friction: Any = None,
    **parameters: Unpack[MotionOptions],
) -> DynamicsResult:
    """Integrate Newton's second law, with fixed steps or under error control.

    Parameters
    ----------
    mass, damping, stiffness : None, a number, n numbers (a diagonal), or a dense or SciPy sparse matrix (n, n)
        No mass: 1 for each degree of freedom. For a state of shape (N, 3), (N,) or (N, 3) numbers are diagonals too. The mass must be
        symmetric and positive definite, but for zero rows: without a force or dashpots of their own, these degrees of freedom are
        condensed where the stiffness holds them, and follow the others statically. Damping is in force over velocity and no ratio;
        ``mflow.modes(mass, stiffness).damping_matrix(0.05)`` has that ratio in each mode; it is full, and ``damping_function(0.05)``
        is the same for large sparse K.
        Damping may be a function too, ``damping(v)`` returning C v for a symmetric C (a SciPy LinearOperator, or compiled:
        ``int (const double *v, double *out, ptrdiff_t n, void *ctx)``); its equations are solved by conjugate gradients.
        Forces that are not linear in v, as of dampers c sgn(v) abs(v)^a, are ``force``.
        A word is the method's own choice: ``method="staggered", damping="explicit"``.
    load : None, n numbers, a function, or a table
        ``load(t)`` returns n numbers; or compiled: ``int (double t, double *f, ptrdiff_t n, void *ctx)``. A table is a tuple
        ``(times, values)`` with values of shape (n, len(times)), or ``(times, values, pattern)`` with one value a time that n numbers
        go with; it is linear between its times; see ``after`` for what is beyond them. Steps under error control do not pass a point where
        it bends. Fixed steps see the load at their ends: where it is off the straight lines between them by a tenth of its size or more
        (integrals of absolute values), a RuntimeWarning says so. A function is looked at after such a run, in up to 8 of its steps if it
        has 20 or more; where steps under error control grow long, a Python function is asked for at 257 times of the run (in
        ``ncheck``), and they do not pass those at which it has stood still for a while and begins to change. Pulses that these miss are
        not seen: give max_step, or a shorter dt.
    t_span : (t0, t_end)
    x0, v0 : array_like of any shape, optional
        Start; zeros where not given.
    method : name or instance
        See ``mflow.methods(family="second_order")``.
    t_eval : array_like, optional
        Times to save at. Between steps x and v are cubics, and a a straight line; for compositions, splittings and Runge-Kutta-Nystroem
        pairs x is the quintic that also has the accelerations at both ends, v and a its derivatives, and from order 6 on a polynomial of
        degree 7, for two accelerations more in each step that is looked into: x there is of the method's order, v of order 7 at most.
    dt : float, "auto", a sequence, a function or a SymmetricSteps, optional
        Fixed steps, the last one shortened; "auto": nine tenths of the structure's stability limit, where there is one, two fifths of the
        one with springs of contacts. A step past the limit is taken, after a RuntimeWarning. A sequence of steps, or ``dt(q, t, x, v)`` for
        step number q. `mflow.SymmetricSteps`: steps that follow the state without a drift of the energy. Without dt: error control of x
        and v, where the method has an estimate.
    rtol, atol : float or array_like
        Tolerances of x, one number or one for each degree of freedom; 1e-3 and 1e-6.
    rtol_v, atol_v : float or array_like
        Those of v; as of x where not given. ``atol_v=inf`` leaves v out: the error of x alone decides.
    force : callable, optional
        ``force(t, x, v, *args)`` returns a force, which is added to the load (``-grad potential``, where it has one); with
        ``inplace=True``, ``force(t, x, v, out, *args)`` fills out. Methods take the matrices beside it as they take them alone: implicit
        ones solve with them, and need Newton's iteration only where they are implicit in what the force depends on. So nonlinear springs
        as ``force`` with ``velocity_free=True``, dashpots as ``damping`` and ``method="central_difference"`` or ``"staggered"`` are
        explicit in the springs and implicit in the damping. Or compiled:
        ``int (double t, const double *x, const double *v, double *f, ptrdiff_t n, void *ctx)``; it must follow from its arguments
        alone, for explicit methods may repeat a few steps with it.
    args : tuple
        Further arguments of the force, its tangents and potential, events and outputs.
    inplace : bool
        Whether the force fills ``out``.
    dfdx, dfdv : array_like (n, n) or callable, optional
        Tangents of the force, constant or ``dfdx(t, x, v, *args)``, for implicit methods; differences where none is given. SciPy sparse
        ones are factored sparsely: in reverse Cuthill-McKee order as a band where that is narrow, else by SciPy.
    potential : callable, optional
        ``potential(x, *args)`` of the force, for the ledger. Without it the ledger's load holds the work of the whole force. With it, and
        beside matrices or a load, what the force does by way of v, force(t, x, v) - force(t, x, 0), counts as damping; this asks for the
        force twice a step more, unless it is ``velocity_free``. With a potential the residual is what the step's quadrature of the force is
        off by; of a force that changes with t over the first step what its potential does not know is load, at the same price. Both are
        looked for at the start, by up to three calls: what begins later belongs into ``load`` and ``damping``.
    velocity_free : bool
        The force does not use v: methods that are implicit in v alone are explicit then.
    rayleigh : (a, b), optional
        Damping a M + b K, added to ``damping``.
    after : "hold" or "zero", optional
        What a table is outside its times: its first and last values, or 0 (a record of the ground's acceleration). Held where not given,
        after a RuntimeWarning if that is not 0, unless it is half its peak or more and the table only grows up to it, or is constant in its
        last interval, as that of a load that stays. The message of a run that goes there says so.
    fixed : indices (of the flat x0) or a mask of x0's shape: degrees of freedom that stay at x0; or a dict of motions, optional
        ``{index or tuple of indices: motion}``: a function of t that returns the place (differenced) or ``(place, velocity,
        acceleration)``, a table ``(times, places)`` that covers t_span (a cubic spline goes through it, also where parts of a step, as
        those of yoshida4, lie a little beside t_span), or None, which stays at x0. The masses, dashpots and springs between them and the
        others pull; in the ledger that counts as load. What x0 and v0 say of supports that move is not used.
    solver : "newton", "newton_krylov", "fixed_point" or an instance
        For a force and an implicit method.
    linear_solver : "direct", "cholesky" or "cg", optional
        How sums of the matrices that are not diagonal are solved with. "direct" (default): factored once, sparse ones after a reverse
        Cuthill-McKee reordering where that makes a narrow band of them, else by SuperLU. "cholesky": sparse ones by CHOLMOD, which needs
        scikit-sparse (``pip install 'momentum-flow[cholesky]'`` and SuiteSparse's headers); solids of many thousand degrees of freedom are
        factored several times faster. C and K must be symmetric then; a sum that is not positive definite is left to SuperLU, with a
        RuntimeWarning. Results of both agree to rounding. "cg": by conjugate gradients, to a residual of 1e-12, without
        factors; C and K must be symmetric then, and the sum positive definite, else the run ends with "solve_failed".
    energy : bool, optional
        Whether to keep the ledger; default: where energies exist (stiffness symmetric), with a UserWarning where they do not. Its
        ``numerical`` is what steps put in: below 0 where they dissipate.
    save, save_every, dense_output, events, callback, progress, checkpoint, checkpoint_every, resume
    first_step, max_step, min_step, max_steps
        As in `mflow.solve_ivp`: ``event(t, x, v, *args)``, or compiled with a force's signature, its value in ``f[0]``;
        ``callback(t, x, v)``; ``max_step(t, x)``. ``event.action(t, x, v, *args)`` returns the pair (x, v) behind the root (``x_after``,
        ``v_after``), or changes both in place; compiled, it fills 2 n numbers. In the ledger its energy counts as the load's. A run that
        is resumed has the same bits, its ledger too; other matrices, tables, tolerances or starts are refused, while functions cannot be
        compared and must be the same.
    breaks : array_like (k,) or "load", optional
        Times where the load or the force jumps, as in `mflow.solve_ivp`: both sides of the acceleration are kept there. "load": where the
        load's table bends, so that fixed steps land there too.
    constraints : callable, optional
        ``constraints(x, *args)`` returns m numbers that stay 0: rods between particles, joints. x0 and v0 must be on them. velocity_verlet
        (leapfrog), compositions of it and staggered become RATTLE, implicit methods find Lagrange multipliers; central_difference and
        drift/kick splittings have no form of this kind. Or compiled, with their number: ``(function, m)``, of the signature
        ``int (const double *x, double *g, ptrdiff_t n, void *ctx)``. Equations of m unknowns are solved densely.
    constraints_jac : array_like (m, n) or callable, optional
        Their gradients as rows, constant or ``constraints_jac(x, *args)``, or compiled, filling rows; differences where none is given.
    outputs : callable, optional
        ``outputs(t, x, v, *args)``, numbers of one shape, at the points that are saved: ``result.outputs`` of shape (*its shape, n_points).
    contacts : Contact or list of Contact, optional
        Gaps with springs that push and never pull, and rigid stops; see `mflow.Contact`. Contact is located as an event that acts, and the
        run begins anew there, so that methods keep their order. A body that comes to rest on a stop stays until it is pulled away.
    friction : Friction or list of Friction, optional
        Dry friction; see `mflow.Friction`. Where the forces do not exceed it, the degree of freedom sticks, with v = 0, until they do.
        What happened and when is in ``switches``; in the ledger springs of gaps have a potential, friction and impacts count as damping.
    **parameters
        The method's own.

    Returns
    -------
    DynamicsResult
        ``t``, ``x``, ``v``, ``a`` of shape (n, n_points) or (*shape, n_points), ``energy``, ``v_half`` and ``t_half`` (staggered forms),
        ``sol``, ``sol_v``, ``t_events``, ``x_events``, ``v_events``, ``success``, ``status``, ``reason``, ``message``, ``nfev``,
        ``nsolve``, ``njev``, ``nlu``, ``nsteps``, ``nrejected``; with constraints ``multipliers`` (m in M a = F - G' m, G the slopes of g),
        ``drift`` and ``drift_v``; ``outputs`` where asked for; ``switches`` with contacts or friction: a list of (t, degree of freedom,
        what happened), which is "closes", "opens", "impact", "rests", "leaves", "turns", "slips" or "sticks".

    Raises
    ------
    TypeError, ValueError
        An argument does not fit; the message names it. What callbacks raise comes through, with ``partial_result``.

    See Also
    --------
    mflow.solve_dynamics_batch, mflow.modes, mflow.max_stable_dt, mflow.Stepper, mflow.plot.energy

    Examples
    --------
    >>> import mflow
    >>> s = mflow.solve_dynamics(mass=2.0, stiffness=8.0, t_span=(0, 3.141592653589793), x0=[1.0], dt=0.01)
    >>> bool(abs(s.x[0, -1] - 1.0) < 1e-3), bool(abs(s.energy.residual[-1]) < 1e-13)
    (True, True)

    References
    ----------
    N. Newmark, J. Eng. Mech. Div. ASCE 85 (1959) 67-94; T. Belytschko and D. Schoeberle, J. Appl. Mech. 42 (1975) 865-869. Constraints:
    H. Andersen, J. Comput. Phys. 52 (1983) 24-34; M. Arnold and O. Bruels, Multibody Syst. Dyn. 18 (2007) 185-202.
    """
    if t_span is None:
        raise TypeError("t_span is missing: expected (t0, t_end)")
    if not (inplace is False and velocity_free is False and dense_output is False and progress is False):
        check_flags(inplace=inplace, velocity_free=velocity_free, dense_output=dense_output, progress=progress)
    tell_of_order(force, "force", "t, x, v")
    span = check_span(t_span, dt)
    given = _of_motion(parameters)
    if isinstance(damping, str):
        given, damping = {**given, "damping": _own_damping(method, damping)}, None
    chosen_method, extra = as_method(method, given, fits=of_second_order), as_tuple(args, force)
    facts: dict[str, Any] = {}  # of runs that are saved or resumed
    if checkpoint is not None or resume is not None:
        facts = _checksums((mass, damping, stiffness, load, rayleigh, fixed, dfdx, dfdv, args)) | {
            "force": force is not None, "velocity_free": velocity_free, "potential": potential is not None, "linear_solver": linear_solver,
            "after": after if after == "zero" else None,
        }  # fmt: skip
    start, speed = check_starts(x0, v0, (mass, damping, stiffness), load)
    if start.ndim > 1:
        mass, damping, stiffness = (as_diagonal(value, start.shape) for value in (mass, damping, stiffness))
    supports = Supports(start, fixed, span, dt)
    supports.check_rest(speed)
    plain = (
        load is force is contacts is friction is fixed is constraints is constraints_jac is t_eval is events is callback is None
        and rtol is atol is rtol_v is atol_v is first_step is max_step is min_step is max_steps is save_every is None
        and checkpoint is resume is breaks is dfdx is dfdv is potential is solver is None
        and checkpoint_every is None and outputs is None and after is None and linear_solver is None
        and inplace is velocity_free is dense_output is progress is False and isinstance(save, str) and save == "all"
        and type(dt) is float and extra == () and start.size <= SHORT and not matrices.is_function(damping)
    )  # fmt: skip
    beside, short = (
        _short(supports, (mass, damping, stiffness, rayleigh), span, speed, chosen_method, dt, energy) if plain else (None, None)
    )
    if short is not None:
        return short
    linear = {
        "damping": damping, "stiffness": stiffness, "load": table_until(load, after), "rayleigh": rayleigh,
        "linear_solver": linear_solver,
    }  # fmt: skip
    tangents = finite_jacobian(dfdx, "dfdx", 3), finite_jacobian(dfdv, "dfdv", 3)
    nonlinear = {
        "dfdx": tangents[0], "dfdv": tangents[1], "potential": potential, "solver": solver, "args": extra, "inplace": inplace,
        "velocity_free": velocity_free,
    }  # fmt: skip
    switches = moving = None
    if contacts is not None or friction is not None:
        switches, nonlinear, force, events, velocity_free = _with_obstacles(
            (contacts, friction), {"constraints": constraints}, supports,
            {"mass": mass, **linear}, nonlinear | {"force": force}, events, (*span, start, speed),
        )  # fmt: skip
    problem: Any
    if force is None and not matrices.is_function(mass):  # a force in the place of the mass is told below
        others = nonlinear if events is None and constraints is None else nonlinear | {"args": None}
        _refuse(others, "it belongs to a nonlinear force=, which is not given")
    if force is None or supports.moves is not None or any(value is not None for value in linear.values()):
        narrow = not (length_of(rtol, "rtol") or length_of(atol, "atol"))  # arrays of tolerances have the user's order
        beside = beside or structure_problem(supports, mass, narrow=narrow, alone=force is None, **linear)
        problem, moving = beside
    if force is not None:
        at = (span[0], start, speed)
        problem = force_problem(chosen_method, supports, mass, force, at=at, beside=beside, **nonlinear)
        moving = None if switches is None else switches.closed(None if beside is None else beside[1], beside is None)
    if constraints is not None:
        problem = constrained_problem(problem, chosen_method, supports, constraints, constraints_jac, extra, start, speed, dt is None)
        facts |= {"constraints": problem.count}
    elif constraints_jac is not None:
        raise ValueError("constraints_jac: it belongs to constraints=, which is not given")
    settings = Settings(
        dt, rtol, atol, t_eval, save, save_every, dense_output, None if events is None else _events(events, supports), extra, progress,
        callback, first_step, max_step, min_step, max_steps, checkpoint, checkpoint_every, resume,
        _breaks(breaks, load, span) if isinstance(breaks, str) else breaks, outputs, rtol_v=rtol_v, atol_v=atol_v,
    )  # fmt: skip
    drive = Motion(
        problem, span, supports.reduced(start), supports.reduced(speed), chosen_method, settings, supports=supports,
        energy=keeps_energy(energy, problem), matrices=moving, velocity_free=velocity_free and damping is None and rayleigh is None,
        facts=facts | ({} if switches is None else switches.facts), switches=switches,
    )  # fmt: skip
    _heed(
        drive, load, after, "fixed" if supports.moves is not None else "force" if velocity_free and force is not None else "",
        None if dt is not None or inplace else _in_time(load, force, (start, speed), extra),
    )  # fmt: skip
    drive.take_tangents(tangents)
    result: DynamicsResult = follow(drive)
    return result


ARGUMENTS = tuple(name for name in inspect.signature(solve_dynamics).parameters if name != "parameters")
# What arguments of solve_ivp, and of other programs, that have no meaning for a motion are told.
OWN = {
    "doses": "a jump of x alone is no motion; a kick at a time T is an event that acts: events=mflow.Event(lambda t, x, v: t - T, "
    "action=lambda t, x, v: (x, v + J / m))",
    "nonnegative": "a position that must stay above a bound meets a wall there: contacts=mflow.Contact(dof, gap)",
    "until": "an undamped motion has no rest; a terminal event ends the run, as of v @ v - 1e-12, or solve_ivp on the first-order form",
    **dict.fromkeys(
        ("zeta", "xi", "damping_ratio"),
        "damping is a matrix: rayleigh=(a, b) makes it, and mflow.modes(mass, stiffness).damping_matrix(ratio) has that ratio in each mode",
    ),
    "M": "the mass matrix is mass=", "K": "the stiffness matrix is stiffness=",
    "C": "the damping matrix is damping=, in force over velocity", "F": "the load is load=, numbers, a function of t or a table",
    **dict.fromkeys(
        ("ground", "ground_motion", "ground_acceleration", "accel", "record"),
        "the load of a record rec of the ground on masses is the table load=(rec.t, rec.a, -masses); x, v and a are relative to the ground",
    ),
}  # fmt: skip


def _short(
    supports: Supports, body: tuple[Any, ...], span: tuple[float, float], speed: Array, method: Method, dt: float, energy: bool | None
) -> tuple[Any, DynamicsResult | None]:  # fmt: skip
    """The problem of a call that asks for steps alone, with its matrices, and the result where `begin_motion` takes it."""
    start = supports.place.reshape(supports.shape)
    mass, damping, stiffness, rayleigh = body
    beside = structure_problem(supports, mass, damping, stiffness, None, rayleigh, None, narrow=True)
    short = None if supports.any else begin_motion(beside, span, start, speed, method, dt, supports, energy)
    return beside, follow(short) if isinstance(short, Motion) else short


def of_second_order(record: Any) -> int:
    """Whether a method is one for motions."""
    return int("second_order" in record.flags)


def _of_motion(parameters: Mapping[str, Any]) -> Mapping[str, Any]:
    """The parameters; TypeError where one is no argument here, and no parameter of a method of second order."""
    if parameters:
        refuse_unknown("solve_dynamics", parameters, None, _known(), OWN)
    return parameters


@functools.cache
def _known() -> tuple[str, ...]:
    of_methods = (p.name for record in registry.records() if "second_order" in record.flags for p in parameters_of(record))
    return (*ARGUMENTS, *dict.fromkeys(of_methods))


def _heed(drive: Motion, load: Any, after: str | None, other: str, in_time: Callable[[float], Array] | None) -> None:
    """What drives a motion is looked at between its steps. other: the argument beside load that does, or empty. in_time : of `_in_time`."""
    if in_time is not None:
        drive.heed_beginnings(in_time)
    if is_table(load):
        drive.heed_table(load, after)
    elif matrices.is_function(load) or other:
        drive.heed_function("load" if matrices.is_function(load) else other)


def _in_time(load: Any, force: Any, at: tuple[Array, Array], args: tuple[Any, ...]) -> Callable[[float], Array] | None:
    """A load, and a force at the start, as functions of t alone; None where neither is one of Python's."""
    parts: list[Callable[[float], Any]] = [load] if callable(load) else []
    if force is not None and compiled_address(force, "force", FORCE_SIGNATURE) is None:
        parts.append(lambda t: force(t, *(a.copy() for a in at), *args))
    return (lambda t: np.concatenate([np.ravel(part(t)) for part in parts])) if parts else None


def _with_obstacles(
    obstacles: tuple[Any, Any], refused: dict[str, Any], supports: Supports, body: dict[str, Any], nonlinear: dict[str, Any], events: Any,
    at: Any,
) -> tuple[Switches, dict[str, Any], Any, Any, bool]:  # fmt: skip
    """(switches, nonlinear, force, events, velocity_free), with contacts and friction."""
    _refuse(refused, OBSTACLES)
    switches = switched(obstacles, supports, body, nonlinear, events, at)
    return switches, nonlinear, nonlinear.pop("force"), switches.events, bool(nonlinear["velocity_free"])


def _breaks(breaks: str, load: Any, span: tuple[float, float]) -> Array:
    """The times of the load's table inside the span, where its name stands."""
    if breaks != "load" or not is_table(load):
        raise ValueError(f'breaks: expected times, or "load" with a table (times, values) as load, got {breaks!r}')
    times: Array = bends(np.asarray(load[0], dtype=np.float64), np.asarray(load[1], dtype=np.float64))
    return times[(times > min(span)) & (times < max(span))]


def _refuse(arguments: dict[str, Any], why: str) -> None:
    """ValueError where one of the arguments is given, and is neither False nor ()."""
    for name, value in arguments.items():
        if value is not None and value is not False and not (isinstance(value, tuple) and not value):
            raise ValueError(f"{name}: {why.format(name=name)}")


def _own_damping(method: Any, word: str) -> str:
    """What damping="..." means: a choice of the method's own, as `mflow.Staggered(damping="explicit")` has it."""
    chosen_method = as_method(method, {})
    if "damping" not in chosen_method.parameters:
        raise ValueError(
            f"damping: expected a matrix, numbers or a function of v, got {word!r}, a choice that {chosen_method.name} does not have"
        )
    return word


def _checksums(given: Sequence[Any]) -> dict[str, Any]:
    """What a run that is resumed must have in common with the one before: numbers by their checksum. Functions cannot be compared."""
    from mflow.saving.checksums import checksum  # for runs that are saved

    names = ("mass", "damping", "stiffness", "load", "rayleigh", "fixed", "dfdx", "dfdv", "args")
    return {f"{name} (its checksum)": checksum(value, name) for name, value in zip(names, given, strict=True)}


def _events(events: Any, supports: Supports) -> Any:
    """Events of the whole x, where some of it is fixed."""
    if not supports.any:
        return events
    out = []
    for fun, terminal, direction, samples, action in check_events(events):
        acting = None if action is None else _action_on_free(action, supports)
        if compiled_address(fun, "events", FORCE_SIGNATURE) is not None:
            supports.refuse_motion("events", "a compiled function, which does not know where they are,")
            out.append(Event(core_supports.of_all("events", fun, supports.free, supports.place), terminal, direction, samples, acting))
            continue
        seen = lambda t, x, v, *more, fun=fun: fun(t, supports.state(x, 0, t), supports.state(v, 1, t), *more)  # noqa: E731
        out.append(Event(seen, terminal, direction, samples, acting))
    return out


def _action_on_free(action: Any, supports: Supports) -> Any:
    """An action on the whole x and v, of what is free of them."""
    if compiled_address(action, "events.action", FORCE_SIGNATURE) is not None:
        raise TypeError("events.action: expected a Python function where degrees of freedom are fixed, got a compiled one")

    def acting(t: float, x: Any, v: Any, *more: Any) -> Any:
        whole = np.array(supports.state(x, 0, t)), np.array(supports.state(v, 1, t))
        behind = action(t, *whole, *more)
        both = whole if behind is None else behind
        if not isinstance(both, tuple | list) or len(both) != 2 or any(np.shape(part) != supports.shape for part in both):
            raise ValueError(f"events.action: expected the pair (x, v) of arrays of shape {supports.shape}, or None, got {shown(behind)}")
        return tuple(supports.reduced(np.asarray(part, dtype=np.float64)) for part in both)

    return acting
