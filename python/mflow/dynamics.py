"""`solve_dynamics`: M x'' + C x' + K x = load(t), or M x'' = force(t, x, v).

Here the arguments become a problem of the core: a `Structure` of matrices, solved linearly, or a `Force`, solved by Newton's iteration
where a method is implicit. The integration itself is in motion.py.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from mflow_core import force as core_force
from mflow_core import matrices, structure
from mflow_core.signatures import FORCE_SIGNATURE, LOAD_SIGNATURE, compiled_address

from mflow import nonlinear
from mflow.arrays import Array, check_number, check_start
from mflow.control import Event, check_events
from mflow.drive import Settings, follow
from mflow.methods import Method, as_method
from mflow.motion import Motion, Supports
from mflow.result import DynamicsResult

__all__ = ["solve_dynamics"]


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
    dt: float | str | None = None,
    rtol: Any = None,
    atol: Any = None,
    force: Any = None,
    args: tuple[Any, ...] = (),
    inplace: bool = False,
    dfdx: Any = None,
    dfdv: Any = None,
    potential: Any = None,
    velocity_free: bool = False,
    rayleigh: tuple[float, float] | None = None,
    fixed: Any = None,
    solver: Any = None,
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
    **parameters: Any,
) -> DynamicsResult:
    """Integrate Newton's second law, with fixed steps or under error control.

    Parameters
    ----------
    mass, damping, stiffness : None, a number, n numbers (a diagonal), or a dense or SciPy sparse matrix (n, n)
        No mass: 1 for each degree of freedom. The mass must be symmetric and positive definite.
    load : None, n numbers, a function, or a table
        ``load(t)`` returns n numbers; or compiled: ``int (double t, double *f, ptrdiff_t n, void *ctx)``. A table is a tuple
        ``(times, values)`` with values of shape (n, len(times)), or ``(times, values, pattern)`` with one value a time that n numbers
        go with; it is linear between its times and held beyond them.
    t_span : (t0, t_end)
    x0, v0 : array_like of any shape, optional
        Start; zeros where not given.
    method : name or instance
        See ``mflow.methods(family="second_order")``.
    t_eval : array_like, optional
        Times to save at; x and v between steps by cubics, a by straight lines.
    dt : float or "auto", optional
        Fixed steps, the last one shortened; "auto": nine tenths of the structure's stability limit. A step past that limit is taken,
        after a RuntimeWarning. Without dt: error control of x and v, where the method has an estimate (newmark).
    rtol, atol : float or array_like
        Tolerances of x and of v alike; 1e-3 and 1e-6.
    force : callable, optional
        ``force(t, x, v, *args)`` returns all forces, in place of damping, stiffness and load; with ``inplace=True``,
        ``force(t, x, v, out, *args)`` fills out. Or compiled:
        ``int (double t, const double *x, const double *v, double *f, ptrdiff_t n, void *ctx)``.
    dfdx, dfdv : array_like (n, n) or callable, optional
        Tangents of the force, constant or ``dfdx(t, x, v, *args)``, for implicit methods; differences where none is given.
    potential : callable, optional
        ``potential(x, *args)`` of the force, for the ledger. Without it the ledger's load holds the work of the whole force.
    velocity_free : bool
        The force does not use v: methods that are implicit in v alone are explicit then.
    rayleigh : (a, b), optional
        Damping a M + b K, added to ``damping``.
    fixed : indices or a mask of degrees of freedom that stay at x0, optional
        In the ledger, the forces by which springs to displaced supports pull count as load.
    solver : "newton", "newton_krylov", "fixed_point" or an instance
        For a force and an implicit method.
    energy : bool, optional
        Whether to keep the ledger; default: where energies exist (stiffness symmetric).
    save, save_every, dense_output, events, callback, progress, checkpoint, checkpoint_every, resume, first_step, max_step, min_step, max_steps
        As in `mflow.solve_ivp`: ``event(t, x, v, *args)``, or compiled with a force's signature, its value in ``f[0]``;
        ``callback(t, x, v)``; ``max_step(t, x)``. A run that is resumed has the same bits, its ledger too.
    **parameters
        The method's own.

    Returns
    -------
    DynamicsResult
        ``t``, ``x``, ``v``, ``a`` of shape (n, n_points) or (*shape, n_points), ``energy``, ``v_half`` and ``t_half`` (staggered forms),
        ``sol``, ``sol_v``, ``t_events``, ``x_events``, ``v_events``, ``success``, ``status``, ``reason``, ``message``, ``nfev``, ``nsolve``, ``njev``, ``nlu``, ``nsteps``, ``nrejected``.

    Raises
    ------
    TypeError, ValueError
        An argument does not fit; the text names it. What callbacks raise comes through, with ``partial_result``.

    Examples
    --------
    >>> import mflow
    >>> s = mflow.solve_dynamics(mass=2.0, stiffness=8.0, t_span=(0, 3.141592653589793), x0=[1.0], dt=0.01)
    >>> bool(abs(s.x[0, -1] - 1.0) < 1e-3), bool(abs(s.energy.residual[-1]) < 1e-13)
    (True, True)

    References
    ----------
    N. Newmark, J. Eng. Mech. Div. ASCE 85 (1959) 67-94; T. Belytschko and D. Schoeberle, J. Appl. Mech. 42 (1975) 865-869.
    """
    if t_span is None:
        raise TypeError("t_span is missing: (t0, t_end) is wanted")
    chosen = as_method(method, parameters)
    start, speed = _start(x0, v0, (mass, damping, stiffness), load)
    supports = Supports(start, fixed)
    if supports.any and np.any(speed.ravel()[supports.held]):
        raise ValueError(f"v0: the fixed degrees of freedom {supports.held[:5].tolist()} do not move: 0 is wanted there")
    what: Any
    if force is not None:
        acting = {"damping": damping, "stiffness": stiffness, "load": load, "rayleigh": rayleigh}
        for name, value in acting.items():
            if value is not None:
                raise ValueError(f"{name}: with force= given it holds all forces: add {name} there")
        what = _force(chosen, supports, mass, force, _tuple(args), inplace, dfdx, dfdv, potential, velocity_free, solver)
        moving = None
    else:
        given = {"dfdx": dfdx, "dfdv": dfdv, "potential": potential, "solver": solver, "args": args or None}
        for name, value in given.items():
            if value is not None and (name != "args" or events is None):
                raise ValueError(f"{name} belongs to a nonlinear force=, which is not given")
        if inplace or velocity_free:
            raise ValueError("inplace, velocity_free belong to a nonlinear force=, which is not given")
        what, moving = _structure(supports, mass, damping, stiffness, load, rayleigh)
    if energy and isinstance(what, structure.Structure) and not what.symmetric:
        raise ValueError("energy: the stiffness is not symmetric, so it has no potential and no ledger can be kept: leave energy away")
    keeps = what.symmetric if energy is None and isinstance(what, structure.Structure) else energy is None or bool(energy)
    settings = Settings(
        dt=dt, rtol=rtol, atol=atol, first_step=first_step, max_step=max_step, min_step=min_step, max_steps=max_steps, t_eval=t_eval,
        save=save, save_every=save_every, dense_output=dense_output, events=_events(events, supports), event_args=_tuple(args),
        callback=callback, progress=progress, checkpoint=checkpoint, checkpoint_every=checkpoint_every, resume=resume,
    )  # fmt: skip
    drive = Motion(
        what, t_span, supports.reduced(start), supports.reduced(speed), chosen, settings, supports=supports, energy=keeps, matrices=moving
    )
    result: DynamicsResult = follow(drive)
    return result


def _tuple(args: Any) -> tuple[Any, ...]:
    return tuple(args) if isinstance(args, tuple | list) else (args,)


def _start(x0: Any, v0: Any, given: tuple[Any, ...], load: Any) -> tuple[Array, Array]:
    """x0 and v0, where one or both are not given: zeros, as many as the matrices have rows."""
    if x0 is None and v0 is None:
        sizes = [np.shape(a)[0] for a in given if (a is not None and np.ndim(a) > 0) or hasattr(a, "tocsr")]
        if not sizes and isinstance(load, list | np.ndarray):
            sizes = [np.size(load)]
        x0 = np.zeros(max(sizes, default=1))
    start = np.atleast_1d(check_start(v0 if x0 is None else x0, "v0" if x0 is None else "x0"))
    if x0 is None:
        return np.zeros_like(start), start
    speed = np.zeros_like(start) if v0 is None else np.atleast_1d(check_start(v0, "v0"))
    if speed.shape != start.shape:
        raise ValueError(f"v0: shape {speed.shape} came, but x0 has shape {start.shape}: one velocity for each position is wanted")
    return start, speed


def _events(events: Any, supports: Supports) -> Any:
    """Events of the whole x, where some of it is fixed."""
    if events is None or not supports.any:
        return events
    out = []
    for fun, terminal, direction, samples in check_events(events):
        if not callable(fun) or type(fun).__name__ in ("LowLevelCallable", "CFunc"):
            raise ValueError("events: a compiled event sees the free degrees of freedom alone: give a Python function with fixed=")
        seen = lambda t, x, v, *more, fun=fun: fun(t, supports.state(x, at_place=True), supports.state(v), *more)  # noqa: E731
        out.append(Event(seen, terminal, direction, samples))
    return out


# ---- structures -------------------------------------------------------------------------------------------------------------------------


def _structure(
    supports: Supports, mass: Any, damping: Any, stiffness: Any, load: Any, rayleigh: Any
) -> tuple[structure.Structure, tuple[Any, ...]]:
    """The problem, and (n, M, C, K) of what moves."""
    n = supports.n
    if stiffness is None and load is None and damping is None and rayleigh is None:
        raise ValueError("stiffness, load, force: nothing acts on the masses: give one of them (stiffness=0 for free flight)")
    given = {"mass": np.ones(n) if mass is None else mass, "damping": damping, "stiffness": stiffness}
    M, C, K = (None if a is None else matrices.checked_matrix(a, name, n) for name, a in given.items())
    if rayleigh is not None:
        C = _sum(C, _rayleigh(rayleigh, M, K))
    pull = np.zeros(n)
    if supports.any and K is not None:
        resting = np.where(np.isin(np.arange(n), supports.held), supports.place, 0.0)
        pull = -(K * resting if K.ndim == 1 else np.asarray(K @ resting))
    M, C, K = (_part(a, supports) for a in (M, C, K))
    diagonal = M if M.ndim == 1 else M.diagonal()
    bad = np.flatnonzero(~(diagonal > 0))
    if bad.size:
        raise ValueError(
            f"mass: {diagonal[bad[0]]:g} at degree of freedom {supports.free[bad[0]]} (see row {supports.free[bad[0]]}): every one that "
            "moves needs a mass above 0; take those without one out by static condensation, or name them in fixed="
        )
    size = supports.free.size
    table = None
    if isinstance(load, tuple) and len(load) in (2, 3) and np.ndim(load[0]) == 1:
        table, load = load, None
    elif load is not None or np.any(pull):
        load = _load(load, supports, pull)
    what = structure.Structure(size, M, C, K, load)
    if table is not None:
        what.set_table(*_table(table, supports, pull))
    return what, (size, M, C, K)


def _part(A: Any, supports: Supports) -> Any:
    """The free rows and columns of a checked matrix."""
    if A is None or not supports.any:
        return A
    free = supports.free
    return A[free] if A.ndim == 1 else A[free][:, free]


def _rayleigh(rayleigh: Any, M: Any, K: Any) -> Any:
    try:
        a, b = rayleigh
    except (TypeError, ValueError):
        raise ValueError(f"rayleigh = {rayleigh!r}: two numbers (a, b) are wanted, for damping a M + b K") from None
    a, b = check_number(a, "rayleigh[0]"), check_number(b, "rayleigh[1]")
    if b and K is None:
        raise ValueError(f"rayleigh = {rayleigh!r}: b multiplies the stiffness, which is not given")
    return _sum(a * M, None if K is None else b * K)


def _sum(A: Any, B: Any) -> Any:
    """Of two checked matrices."""
    if A is None or B is None:
        return B if A is None else A
    if A.ndim == B.ndim:
        total = A + B
    elif A.ndim == 1:
        return _sum(B, A)
    elif hasattr(A, "tocsr"):
        import scipy.sparse

        total = A + scipy.sparse.diags_array(B)
    else:
        total = A + np.diag(B)
    return total if hasattr(total, "tocsr") or total.ndim == 1 else np.asarray(total)


def _load(load: Any, supports: Supports, pull: Array) -> Any:
    """The load on the free degrees of freedom, and what springs to displaced supports pull with."""
    n, free = supports.n, supports.free
    if load is None:
        return pull[free]
    compiled = compiled_address(load, "load", LOAD_SIGNATURE) is not None
    if not compiled and not callable(load):
        constant = matrices.checked_matrix(load, "load", n)
        if constant.ndim != 1:
            raise ValueError(f"load: shape {constant.shape} came; {n} numbers, a function of t, or a table (times, values) are wanted")
        return (constant + pull)[free]
    if not supports.any:
        return load
    if compiled:
        raise ValueError("load: a compiled one is for the free degrees of freedom alone: give a Python function with fixed=")

    def on_free(t: float) -> Array:
        value = np.asarray(load(t))
        if value.size != n:
            raise ValueError(f"load returned shape {value.shape}, but there are {n} degrees of freedom")
        return np.asarray((value.reshape(n) + pull)[free])

    return on_free


def _table(table: tuple[Any, ...], supports: Supports, pull: Array) -> tuple[Any, ...]:
    """(times, values, pattern) as the core takes them."""
    times, values = np.asarray(table[0], dtype=np.float64), np.asarray(table[1], dtype=np.float64)
    n, free = supports.n, supports.free
    if len(table) == 3:
        pattern = matrices.checked_matrix(table[2], "load", n)
        if pattern.ndim != 1 or values.shape != times.shape:
            raise ValueError(
                f"load: a table with a pattern wants values of shape {times.shape} and {n} numbers, not {values.shape} and {pattern.shape}"
            )
        if not np.any(pull):
            return times, values, pattern[free]
        values = np.outer(pattern, values)
    if values.ndim == 1 and n == 1:
        values = values[None]
    if values.shape != (n, times.size):
        raise ValueError(
            f"load: a table of {times.size} times and {n} degrees of freedom wants values of shape ({n}, {times.size}), not {values.shape}"
        )
    return times, np.ascontiguousarray((values + pull[:, None])[free].T), None


# ---- forces -----------------------------------------------------------------------------------------------------------------------------


def _force(
    method: Method, supports: Supports, mass: Any, force: Any, args: tuple[Any, ...], inplace: bool, dfdx: Any, dfdv: Any, potential: Any,
    velocity_free: bool, solver: Any,
) -> core_force.Force:  # fmt: skip
    """The problem of a nonlinear force."""
    shape = supports.shape
    M = mass if mass is None else _part(matrices.checked_matrix(mass, "mass", supports.n), supports)
    if supports.any:
        if compiled_address(force, "force", FORCE_SIGNATURE) is not None:
            raise ValueError("force: a compiled one is for the free degrees of freedom alone: give a Python function with fixed=")
        force, dfdx, dfdv, potential = _on_free(supports, force, inplace, dfdx, dfdv, potential)
        shape, inplace = (supports.free.size,), False
    tangents = dfdx is not None or dfdv is not None
    solves = method.is_implicit or method.parameters.get("damping") == "implicit"
    inner = nonlinear.force_solver(solver, math.prod(shape), tangents) if solves else None
    return core_force.Force(
        force, shape, mass=M, args=args, inplace=inplace, dfdx=dfdx if solves else None, dfdv=dfdv if solves else None,
        potential=potential, velocity_free=velocity_free, solver=inner,
    )  # fmt: skip


def _on_free(supports: Supports, force: Any, inplace: bool, dfdx: Any, dfdv: Any, potential: Any) -> tuple[Any, ...]:
    """The same functions of the free degrees of freedom."""

    def state(x: Array, v: Array) -> tuple[Array, Array]:
        return supports.state(x, at_place=True), supports.state(v)

    def on_free(t: float, x: Array, v: Array, *args: Any) -> Array:
        whole = state(x, v)
        if inplace:
            value = np.full(supports.shape, math.nan)
            force(t, *whole, value, *args)
        else:
            value = np.asarray(force(t, *whole, *args))
        if value.shape != supports.shape:
            raise ValueError(f"force returned shape {value.shape}, but the state has shape {supports.shape}")
        return np.asarray(value.ravel()[supports.free])

    def tangent(of: Any) -> Any:
        if of is None:
            return None
        if not callable(of):
            return _part(np.asarray(of.toarray() if hasattr(of, "tocsr") else of, dtype=np.float64), supports)
        return lambda t, x, v, *args: np.asarray(of(t, *state(x, v), *args))[np.ix_(supports.free, supports.free)]

    whole_potential = None if potential is None else lambda x, *args: potential(supports.state(x, at_place=True), *args)
    return on_free, tangent(dfdx), tangent(dfdv), whole_potential
