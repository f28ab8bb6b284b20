"""`solve_dynamics`: M x'' + C x' + K x = load(t), or M x'' = force(t, x, v).

Here the arguments become a problem of the core: a `Structure` of matrices, solved linearly, or a `Force`, solved by Newton's iteration
where a method is implicit. The integration itself is in motion.py.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from mflow_core.dynamics import force as core_force
from mflow_core.dynamics import matrices, structure
from mflow_core.dynamics import supports as core_supports
from mflow_core.problems.signatures import FORCE_SIGNATURE, LOAD_SIGNATURE, POTENTIAL_SIGNATURE, PRODUCT_SIGNATURE, compiled_address

from mflow.base.checks import Array, check_number, check_start
from mflow.base.methods import Method, as_method
from mflow.base.result import DynamicsResult
from mflow.dynamics.motion import Motion, Supports
from mflow.integrate.control import Event, check_events
from mflow.integrate.drive import Settings, follow
from mflow.solvers import nonlinear
from mflow.solvers.tangents import TangentFactors, is_sparse

__all__ = ["solve_dynamics"]

SPARSE = 5  # what `matrices.shape_of` calls a matrix that is no band


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
    **parameters: Any,
) -> DynamicsResult:
    """Integrate Newton's second law, with fixed steps or under error control.

    Parameters
    ----------
    mass, damping, stiffness : None, a number, n numbers (a diagonal), or a dense or SciPy sparse matrix (n, n)
        No mass: 1 for each degree of freedom. The mass must be symmetric and positive definite.
        Damping may be a function too, ``damping(v)`` returning C v for a symmetric C (a SciPy LinearOperator, or compiled:
        ``int (const double *v, double *out, ptrdiff_t n, void *ctx)``); its equations are solved by conjugate gradients.
        A word is the method's own choice: ``method="staggered", damping="explicit"``.
    load : None, n numbers, a function, or a table
        ``load(t)`` returns n numbers; or compiled: ``int (double t, double *f, ptrdiff_t n, void *ctx)``. A table is a tuple
        ``(times, values)`` with values of shape (n, len(times)), or ``(times, values, pattern)`` with one value a time that n numbers
        go with; it is linear between its times and held beyond them. Steps under error control do not pass a point where it bends, and
        a fixed dt that leaves out a tenth of its impulse is warned of. What a function does between the ends of a step is not seen: give
        max_step where it has short pulses.
    t_span : (t0, t_end)
    x0, v0 : array_like of any shape, optional
        Start; zeros where not given.
    method : name or instance
        See ``mflow.methods(family="second_order")``.
    t_eval : array_like, optional
        Times to save at; x and v between steps by cubics, a by straight lines.
    dt : float or "auto", optional
        Fixed steps, the last one shortened; "auto": nine tenths of the structure's stability limit, where there is one. A step past that
        limit is taken, after a RuntimeWarning. Without dt: error control of x and v, where the method has an estimate (newmark).
    rtol, atol : float or array_like
        Tolerances of x, one number or one for each degree of freedom; 1e-3 and 1e-6.
    rtol_v, atol_v : float or array_like
        Those of v; as of x where not given. ``atol_v=inf`` leaves v out: the error of x alone decides.
    force : callable, optional
        ``force(t, x, v, *args)`` returns all forces, in place of damping, stiffness and load; with ``inplace=True``,
        ``force(t, x, v, out, *args)`` fills out. Or compiled:
        ``int (double t, const double *x, const double *v, double *f, ptrdiff_t n, void *ctx)``; it must follow from its arguments
        alone, for explicit methods may repeat a few steps with it.
    dfdx, dfdv : array_like (n, n) or callable, optional
        Tangents of the force, constant or ``dfdx(t, x, v, *args)``, for implicit methods; differences where none is given. SciPy sparse
        ones are factored sparsely: in reverse Cuthill-McKee order as a band where that is narrow, else by SciPy.
    potential : callable, optional
        ``potential(x, *args)`` of the force, for the ledger. Without it the ledger's load holds the work of the whole force.
    velocity_free : bool
        The force does not use v: methods that are implicit in v alone are explicit then.
    rayleigh : (a, b), optional
        Damping a M + b K, added to ``damping``.
    fixed : indices (of the flat x0) or a mask of x0's shape: degrees of freedom that stay at x0, optional
        In the ledger, the forces by which springs to displaced supports pull count as load.
    solver : "newton", "newton_krylov", "fixed_point" or an instance
        For a force and an implicit method.
    linear_solver : "direct" or "cg", optional
        How sums of the matrices that are not diagonal are solved with. "direct" (default): factored once, sparse ones after a reverse
        Cuthill-McKee reordering where that makes a narrow band of them. "cg": by conjugate gradients, to a residual of 1e-12, without
        factors; C and K must be symmetric then, and the sum positive definite, else the run ends with "solve_failed".
    energy : bool, optional
        Whether to keep the ledger; default: where energies exist (stiffness symmetric).
    save, save_every, dense_output, events, callback, progress, checkpoint, checkpoint_every, resume
    first_step, max_step, min_step, max_steps
        As in `mflow.solve_ivp`: ``event(t, x, v, *args)``, or compiled with a force's signature, its value in ``f[0]``;
        ``callback(t, x, v)``; ``max_step(t, x)``. A run that is resumed has the same bits, its ledger too; other matrices, tables,
        tolerances or starts are refused, while functions cannot be compared and must be the same.
    **parameters
        The method's own.

    Returns
    -------
    DynamicsResult
        ``t``, ``x``, ``v``, ``a`` of shape (n, n_points) or (*shape, n_points), ``energy``, ``v_half`` and ``t_half`` (staggered forms),
        ``sol``, ``sol_v``, ``t_events``, ``x_events``, ``v_events``, ``success``, ``status``, ``reason``, ``message``, ``nfev``,
        ``nsolve``, ``njev``, ``nlu``, ``nsteps``, ``nrejected``.

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
    if isinstance(damping, str):
        damping, parameters = None, {**parameters, "damping": _choice(method, damping)}
    chosen = as_method(method, parameters)
    given = (mass, damping, stiffness, load, rayleigh, fixed, dfdx, dfdv, args)
    start, speed = _start(x0, v0, (mass, damping, stiffness), load)
    supports = Supports(start, fixed)
    if supports.any and np.any(speed.ravel()[supports.held]):
        raise ValueError(f"v0: the fixed degrees of freedom {supports.held[:5].tolist()} do not move: 0 is wanted there")
    what: Any
    if force is not None:
        acting = {"damping": damping, "stiffness": stiffness, "load": load, "rayleigh": rayleigh}
        acting["linear_solver"] = linear_solver
        for name, value in acting.items():
            if value is not None:
                raise ValueError(f"{name}: with force= given it holds all forces: add {name} there")
        at = float(t_span[0]), start, speed
        what = _force(chosen, supports, mass, force, _tuple(args), inplace, dfdx, dfdv, potential, velocity_free, solver, at)
        moving = None
    else:
        apart = {"dfdx": dfdx, "dfdv": dfdv, "potential": potential, "solver": solver, "args": args or None}
        for name, value in apart.items():
            if value is not None and (name != "args" or events is None):
                raise ValueError(f"{name} belongs to a nonlinear force=, which is not given")
        if inplace or velocity_free:
            raise ValueError("inplace, velocity_free belong to a nonlinear force=, which is not given")
        narrow = all(value is None or np.ndim(value) == 0 for value in (rtol, atol))  # arrays of tolerances have the user's order
        what, moving = _structure(supports, mass, damping, stiffness, load, rayleigh, linear_solver, narrow)
    if energy and isinstance(what, structure.Structure) and not what.symmetric:
        raise ValueError("energy: the stiffness is not symmetric, so it has no potential and no ledger can be kept: leave energy away")
    keeps = what.symmetric if energy is None and isinstance(what, structure.Structure) else energy is None or bool(energy)
    settings = Settings(
        dt=dt, rtol=rtol, atol=atol, rtol_v=rtol_v, atol_v=atol_v, first_step=first_step, max_step=max_step, min_step=min_step,
        max_steps=max_steps, t_eval=t_eval, save=save, save_every=save_every, dense_output=dense_output,
        events=_events(events, supports), event_args=_tuple(args),
        callback=callback, progress=progress, checkpoint=checkpoint, checkpoint_every=checkpoint_every, resume=resume,
    )  # fmt: skip
    drive = Motion(
        what, t_span, supports.reduced(start), supports.reduced(speed), chosen, settings, supports=supports, energy=keeps, matrices=moving,
        velocity_free=velocity_free, facts=_checksums(given, force is not None, velocity_free, potential is not None, linear_solver),
    )  # fmt: skip
    if _is_table(load):
        drive.heed_table(np.asarray(load[0], dtype=np.float64), np.asarray(load[1], dtype=np.float64))
    result: DynamicsResult = follow(drive)
    return result


def _choice(method: Any, word: str) -> str:
    """What damping="..." means: a choice of the method's own, as `mflow.Staggered(damping="explicit")` has it."""
    chosen = as_method(method, {})
    if "damping" not in chosen.parameters:
        raise ValueError(f"damping = {word!r}: {chosen.name} has no such choice; a matrix, numbers or a function of v are wanted")
    return word


def _checksums(given: Sequence[Any], *more: Any) -> dict[str, Any]:
    """What a run that is resumed must have in common with the one before: numbers by their checksum. Functions cannot be compared."""
    names = ("mass", "damping", "stiffness", "load", "rayleigh", "fixed", "dfdx", "dfdv", "args")
    out = {f"{name} (its checksum)": _checksum(value) for name, value in zip(names, given, strict=True)}
    return out | dict(zip(("force", "velocity_free", "potential", "linear_solver"), more, strict=True))


def _checksum(value: Any) -> Any:
    if value is None or isinstance(value, str):
        return value
    if matrices.is_function(value):  # before it is taken for a tuple, which SciPy's LowLevelCallable is
        return "function"
    if isinstance(value, tuple | list) and any(callable(part) or part is None or np.ndim(part) for part in value):
        return [_checksum(part) for part in value]
    if hasattr(value, "tocsr"):
        rows = value.tocsr(copy=True)
        rows.sum_duplicates()
        return [_checksum(part) for part in (np.array(rows.shape), rows.indptr, rows.indices, rows.data)]
    try:
        numbers = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError):
        return "function" if callable(value) else type(value).__name__
    return zlib.crc32(repr(numbers.shape).encode() + numbers.tobytes())


def _tuple(args: Any) -> tuple[Any, ...]:
    return tuple(args) if isinstance(args, tuple | list) else (args,)


def _rows(given: tuple[Any, ...]) -> list[int]:
    """Of the matrices and diagonals among them; functions have none."""
    arrays = (a for a in given if a is not None and not matrices.is_function(a))
    return [np.shape(a)[0] for a in arrays if hasattr(a, "tocsr") or np.ndim(a) > 0]


def _start(x0: Any, v0: Any, given: tuple[Any, ...], load: Any) -> tuple[Array, Array]:
    """x0 and v0, where one or both are not given: zeros, as many as the matrices have rows."""
    if x0 is None and v0 is None:
        sizes = _rows(given)
        if not sizes and isinstance(load, list | np.ndarray):
            sizes = [np.size(load)]
        x0 = np.zeros(max(sizes, default=1))
    start = np.atleast_1d(check_start(v0 if x0 is None else x0, "v0" if x0 is None else "x0"))
    rows = _rows(given)
    if len(rows) > 1 and len(set(rows)) == 1 and rows[0] not in (1, start.size) and start.ndim == 1:
        name = "v0" if x0 is None else "x0"
        raise ValueError(f"{name}: shape {start.shape} came, but the matrices are of {rows[0]} degrees of freedom: one number for each")
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
        if compiled_address(fun, "events", FORCE_SIGNATURE) is not None:
            out.append(Event(core_supports.of_all("events", fun, supports.free, supports.place), terminal, direction, samples))
            continue
        seen = lambda t, x, v, *more, fun=fun: fun(t, supports.state(x, at_place=True), supports.state(v), *more)  # noqa: E731
        out.append(Event(seen, terminal, direction, samples))
    return out


# ---- structures -------------------------------------------------------------------------------------------------------------------------


def _structure(
    supports: Supports, mass: Any, damping: Any, stiffness: Any, load: Any, rayleigh: Any, linear_solver: str | None, narrow: bool
) -> tuple[structure.Structure, tuple[Any, ...] | None]:
    """The problem, and (n, M, C, K) of what moves; None where C is a function. narrow: it may be reordered."""
    n = supports.n
    if linear_solver not in (None, "direct", "cg"):
        raise ValueError(f'linear_solver = {linear_solver!r}: "direct" or "cg" is wanted')
    function = matrices.is_function(damping)
    cg = linear_solver == "cg" or function
    if function:
        if linear_solver == "direct":
            raise ValueError('linear_solver = "direct": damping is a function, whose equations conjugate gradients alone can solve: "cg"')
        if rayleigh is not None:
            raise ValueError("rayleigh: damping is a function: add a M + b K there")
    if stiffness is None and load is None and damping is None and rayleigh is None:
        raise ValueError("stiffness, load, force: nothing acts on the masses: give one of them (stiffness=0 for free flight)")
    M: Any = matrices.checked_matrix(np.ones(n) if mass is None else mass, "mass", n)
    C: Any = None if damping is None or function else matrices.checked_matrix(damping, "damping", n)
    K: Any = None if stiffness is None else matrices.checked_matrix(stiffness, "stiffness", n)
    if rayleigh is not None:
        C = _sum(C, _rayleigh(rayleigh, M, K))
    pull = np.zeros(n)
    if supports.any and K is not None:
        resting = np.where(np.isin(np.arange(n), supports.held), supports.place, 0.0)
        pull = -(K * resting if K.ndim == 1 else np.asarray(K @ resting))
    M, C, K = (_part(a, supports) for a in (M, C, K))
    order = _narrower([a for a in (M, C, K) if a is not None]) if narrow and not cg else None
    if order is not None:
        supports.reorder(order)
        M, C, K = (a if a is None else a[order] if a.ndim == 1 else a[order][:, order] for a in (M, C, K))
    diagonal = M if M.ndim == 1 else M.diagonal()
    bad = np.flatnonzero(~(diagonal > 0))
    if bad.size:
        raise ValueError(
            f"mass: {diagonal[bad[0]]:g} at degree of freedom {supports.free[bad[0]]} (see row {supports.free[bad[0]]}): every one that "
            "moves needs a mass above 0; take those without one out by static condensation, or name them in fixed="
        )
    size = supports.free.size
    table = None
    if _is_table(load):
        table, load = load, None
    elif load is not None or np.any(pull):
        load = _load(load, supports, pull)
    what = structure.Structure(size, M, _damping(damping, supports) if function else C, K, load, cg=cg)
    if table is not None:
        what.set_table(*_table(table, supports, pull))
    return what, None if function else (size, M, C, K)


def _narrower(given: list[Any]) -> Any:
    """An order in which the sum of sparse matrices is a narrow band (E. Cuthill and J. McKee, Proc. 24th Nat. Conf. ACM (1969) 157-172,
    reversed); None where it is one already, or will not be."""
    n = given[0].shape[0]
    sparse = [a for a in given if hasattr(a, "tocsr")]
    if (
        not sparse
        or all(matrices.shape_of(a, n)[0] != SPARSE for a in sparse)
        or any(a.ndim == 2 and not hasattr(a, "tocsr") for a in given)
    ):
        return None
    import scipy.sparse
    from scipy.sparse.csgraph import reverse_cuthill_mckee

    pattern = sum((abs(a) for a in sparse[1:]), abs(sparse[0]))
    order = reverse_cuthill_mckee(scipy.sparse.csr_matrix(pattern + pattern.T), symmetric_mode=True)
    return order if matrices.shape_of(pattern.tocsr()[order][:, order], n)[0] != SPARSE else None


def _damping(damping: Any, supports: Supports) -> Any:
    """C v of what moves, by a function of all."""
    if not supports.any:
        return damping
    product = getattr(damping, "matvec", damping)
    if compiled_address(product, "damping", PRODUCT_SIGNATURE) is not None:
        raise ValueError("damping: a compiled one is for the degrees of freedom that move alone: give a Python function with fixed=")
    return lambda v: np.asarray(product(supports.state(v).ravel())).reshape(-1)[supports.free]


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


def _is_table(load: Any) -> bool:
    """(times, values) or (times, values, pattern). Two or three numbers in a tuple are n numbers as in a list."""
    return isinstance(load, tuple) and len(load) in (2, 3) and np.ndim(load[0]) == 1


def _numbers(load: Any, supports: Supports, of: str) -> Array:
    """n numbers, in x0's shape if the user likes, or one number for all."""
    if isinstance(load, list | tuple) and len({np.shape(part) for part in load}) > 1:
        raise ValueError(
            f"{of}: its parts have shapes {', '.join(str(np.shape(part)) for part in load[:3])}: a table is a tuple (times, values)"
        )
    given = np.asarray(load)
    if given.dtype.kind not in "biuf":
        raise TypeError(f"{of}: real numbers are wanted (float64), not {given.dtype}")
    if given.size not in (1, supports.n) or (given.ndim > 1 and given.shape != supports.shape):
        raise ValueError(
            f"{of}: shape {given.shape} came, but there are {supports.n} degrees of freedom: {supports.n} numbers, a function of t, or a "
            "table (times, values) or (times, values, pattern) are wanted"
        )
    out: Array = np.array(np.broadcast_to(given.ravel(), (supports.n,)), dtype=np.float64)
    if not np.all(np.isfinite(out)):
        raise ValueError(
            f"{of}: entry {int(np.argmin(np.isfinite(out)))} is {out[np.argmin(np.isfinite(out))]}: every entry must be finite"
        )
    return out


def _load(load: Any, supports: Supports, pull: Array) -> Any:
    """The load on the free degrees of freedom, and what springs to displaced supports pull with."""
    n, free = supports.n, supports.free
    if load is None:
        return pull[free]
    compiled = compiled_address(load, "load", LOAD_SIGNATURE) is not None
    if not compiled and not callable(load):
        return (_numbers(load, supports, "load") + pull)[free]
    if not supports.any:
        return load
    if compiled:
        return core_supports.of_all("load", load, free, supports.place, pull)

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
    for name, array in (("times", times), ("values", values)):
        if not np.all(np.isfinite(array)):
            where = np.argwhere(~np.isfinite(array))[0]
            raise ValueError(f"load: {name}{where.tolist()} of the table is {array[tuple(where)]}: every entry must be finite")
    if len(table) == 3:
        pattern = _numbers(table[2], supports, "load, its pattern")
        if values.shape != times.shape:
            raise ValueError(f"load: a table with a pattern wants one value a time, of shape {times.shape}, not {values.shape}")
        if not np.any(pull):
            return times, values, pattern[free]
        values = np.outer(pattern, values)
    if values.ndim == 1 and n == 1:
        values = values[None]
    if values.shape != (n, times.size):
        also = f"; one value a time goes with a pattern of {n} numbers: (times, values, pattern)" if values.shape == times.shape else ""
        raise ValueError(
            f"load: a table of {times.size} times and {n} degrees of freedom wants values of shape ({n}, {times.size}), not "
            f"{values.shape}{also}"
        )
    return times, np.ascontiguousarray((values + pull[:, None])[free].T), None


# ---- forces -----------------------------------------------------------------------------------------------------------------------------


def _force(
    method: Method, supports: Supports, mass: Any, force: Any, args: tuple[Any, ...], inplace: bool, dfdx: Any, dfdv: Any, potential: Any,
    velocity_free: bool, solver: Any, at: tuple[float, Array, Array],
) -> core_force.Force:  # fmt: skip
    """The problem of a nonlinear force."""
    shape = supports.shape
    M = mass if mass is None else _part(matrices.checked_matrix(mass, "mass", supports.n), supports)
    if supports.any:
        force, dfdx, dfdv, potential = _on_free(supports, force, inplace, dfdx, dfdv, potential)
        shape, inplace = (supports.free.size,), False
    tangents = dfdx is not None or dfdv is not None
    solves = method.is_implicit or method.parameters.get("damping") == "implicit"
    inner = None
    if solves:
        t0, x0, v0 = at[0], supports.reduced(at[1]), supports.reduced(at[2])
        sparse = any(is_sparse(of, t0, x0, v0, args) for of in (dfdx, dfdv))
        factors = TangentFactors(math.prod(shape), M) if sparse else None
        inner = nonlinear.force_solver(solver, math.prod(shape), tangents, factors)
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
            return _part(of.tocsr() if hasattr(of, "tocsr") else np.asarray(of, dtype=np.float64), supports)

        def part(t: float, x: Array, v: Array, *args: Any) -> Any:
            value = of(t, *state(x, v), *args)
            return _part(value.tocsr() if hasattr(value, "tocsr") else np.asarray(value), supports)

        return part

    def on_supports(role: str, fun: Any, signature: str, otherwise: Any) -> Any:
        if fun is None or compiled_address(fun, role, signature) is None:
            return otherwise
        return core_supports.of_all(role, fun, supports.free, supports.place)

    whole_potential = None if potential is None else lambda x, *args: potential(supports.state(x, at_place=True), *args)
    return (
        on_supports("force", force, FORCE_SIGNATURE, on_free), tangent(dfdx), tangent(dfdv),
        on_supports("potential", potential, POTENTIAL_SIGNATURE, whole_potential),
    )  # fmt: skip
