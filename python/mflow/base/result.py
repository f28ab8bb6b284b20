"""What the drivers return: SciPy's fields, with a reason for every ending."""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar, cast

import numpy as np

from mflow.base.checks import Array
from mflow.base.tables import fields, frame, short
from mflow.base.telling import LIBRARIES

__all__ = [
    "COLUMNS",
    "CurvatureResult",
    "DynamicsResult",
    "EnergyResult",
    "Examined",
    "IVPResult",
    "OptimizeResult",
    "Origin",
    "Result",
    "as_pending",
    "attach",
    "keep_origin",
    "last_axis",
    "origin_of",
    "pending",
    "place_of",
    "put_later",
    "with_entries_later",
    "words_of",
]


READ_ONLY = "mflow's arrays must not be changed in place: work on a copy, as in x = x.copy()"
COLUMNS = ("kinetic", "potential", "load", "damping", "numerical", "residual")  # of an energy ledger


class Result(dict[str, Any]):
    """A dict whose entries are also attributes, as SciPy's results are."""

    if not TYPE_CHECKING:  # a type checker reads the fields of each kind of result, and finds those that are not there

        def __getattr__(self, name: str) -> Any:
            try:
                return self[name]
            except KeyError:
                from mflow.base.foreign import FIELDS  # few calls need it

                here = FIELDS.get(type(self).__name__, {}).get(name)
                known = f"here it is {here}" if here else f"it has {', '.join(dict.keys(self))}"
                raise AttributeError(f"{type(self).__name__} has no field {name!r}; {known}") from None

    def __setattr__(self, name: str, value: Any) -> None:
        self[name] = value

    def __delattr__(self, name: str) -> None:
        del self[name]

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self]

    def __repr__(self) -> str:
        width = max(map(len, self), default=0)
        lines = []
        for name, value in self.items():
            lines.append(f"{name:>{width}}: " + short(value).replace("\n", "\n" + " " * (width + 2)))
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        """For notebooks."""
        return fields(type(self).__name__, self)


Made = TypeVar("Made", bound=Result)


def pending(kind: type[Made], make: Callable[[], Made]) -> Made:
    """A result that is made when it is first looked at: joining millions of saved points must not keep Ctrl-C waiting.

    Examples
    --------
    >>> from mflow.base.result import Result, pending
    >>> pending(Result, lambda: Result(t=1.0)).t
    1.0
    """
    waiting: Made = _waiting_kind(kind)()
    object.__setattr__(waiting, "_make", make)
    return waiting


@functools.cache
def _waiting_kind(kind: type[Made]) -> type[Made]:
    """A subclass whose instances are filled at the first look, whatever it is. Copies, pickled ones too, are of the class itself."""

    def filled(name: str) -> Callable[..., Any]:
        def look(self: Any, *args: Any, **kwargs: Any) -> Any:
            own = object.__getattribute__(self, "__dict__")
            if "_make" in own:
                made = own["_make"]()
                dict.update(self, zip(dict.keys(made), dict.values(made), strict=True))
                own.update(vars(made))
                del own["_make"]
                if "_later" in own:
                    object.__setattr__(self, "__class__", type(made))
                    return getattr(self, name)(*args, **kwargs)
            return getattr(super(waiting, self), name)(*args, **kwargs)

        return look

    looks = (
        "__contains__", "__delattr__", "__dir__", "__eq__", "__getattribute__", "__getitem__", "__iter__", "__len__", "__ne__", "__or__",
        "__repr__", "__setattr__", "__setitem__", "__delitem__", "__str__", "__reversed__",
    )  # fmt: skip
    own = {"__reduce__": lambda self: (_remade, (kind, dict(self), dict(vars(self)))), "__hash__": None, "__doc__": kind.__doc__}
    waiting: Any = type(kind.__name__, (kind,), {name: filled(name) for name in looks} | own)
    waiting.__module__, waiting.__qualname__ = kind.__module__, kind.__qualname__
    return cast("type[Made]", waiting)


def put_later(result: Result, name: str, make: Callable[[], Any]) -> None:
    """An entry that is made when it is first looked at, by its name or with all the others.

    Examples
    --------
    >>> from mflow.base.result import Result, put_later
    >>> r = Result(x=1.0)
    >>> put_later(r, "H", lambda: 2.0)
    >>> "H" in r, r.H, sorted(r)
    (True, 2.0, ['H', 'x'])
    """
    own = vars(result)
    if "_later" in own:
        own["_later"][name] = make
        return
    own["_later"] = {name: make}
    object.__setattr__(result, "__class__", _later_kind(type(result)))


def with_entries_later(kind: type[Made], entries: dict[str, Any], later: dict[str, Callable[[], Any]]) -> Made:
    """A result with these entries, and `later` ones as `put_later` has them; quicker than to put them there.

    Examples
    --------
    >>> from mflow.base.result import Result, with_entries_later
    >>> r = with_entries_later(Result, {"x": 1.0}, {"H": lambda: 2.0})
    >>> r.x, r.H, type(r)
    (1.0, 2.0, <class 'mflow.base.result.Result'>)
    """
    made: Made = _later_kind(kind)(entries)
    vars(made)["_later"] = later
    return made


@functools.cache
def _later_kind(kind: type[Made]) -> type[Made]:
    """A subclass some of whose entries are not made yet. Once they are, its instances are of the class itself, as copies and pickles
    are."""

    def fill(self: Any, *names: Any) -> None:
        later = vars(self).get("_later", {})
        for name in names or tuple(later):
            make = later.get(name)
            if make is not None:  # another thread may have been here
                dict.setdefault(self, name, None if dict.__contains__(self, name) else make())
                later.pop(name, None)
        if not later:
            vars(self).pop("_later", None)
            object.__setattr__(self, "__class__", kind)

    def missing(self: Any, name: Any) -> Any:
        fill(self, name)
        if not dict.__contains__(self, name):
            raise KeyError(name)
        return dict.__getitem__(self, name)

    def contains(self: Any, name: Any) -> bool:
        return dict.__contains__(self, name) or name in vars(self).get("_later", ())

    def filled(look: str) -> Callable[..., Any]:
        def of_all(self: Any, *args: Any) -> Any:
            fill(self)
            for other in args:  # the right one of two that are compared may owe an entry, too
                if isinstance(other, Result):
                    len(other)
            return getattr(self, look)(*args)

        return of_all

    looks = (
        "__delattr__", "__delitem__", "__dir__", "__eq__", "__ior__", "__iter__", "__len__", "__ne__", "__or__", "__reduce_ex__",
        "__repr__", "__reversed__", "__ror__", "clear", "copy", "get", "items", "keys", "pop", "popitem", "setdefault", "values",
    )  # fmt: skip
    own = {"__missing__": missing, "__contains__": contains, "__hash__": None, "__doc__": kind.__doc__}
    later: Any = type(kind.__name__, (kind,), {look: filled(look) for look in looks} | own)
    later.__module__, later.__qualname__ = kind.__module__, kind.__qualname__
    return cast("type[Made]", later)


def as_pending(error: BaseException, kind: type[Made], make: Callable[[], Made]) -> Callable[[], Made]:
    """What makes the result so far: after Ctrl-C it is put together when it is looked at."""
    return functools.partial(pending, kind, make) if isinstance(error, KeyboardInterrupt) else make


def _remade(kind: type[Made], entries: dict[str, Any], own: dict[str, Any]) -> Made:
    made = kind(entries)
    vars(made).update(own)
    return made


def attach(error: BaseException, partial: Callable[[], Any], note: str) -> None:
    """Attach the results so far to an exception, as its `partial_result`, and a note, if its class allows it.

    Whatever goes wrong while the results are put together, the exception stays the one that its raiser knows; the note says it then.
    """
    try:
        result = partial()
    except Exception as failure:
        note += f"; but there is none: {type(failure).__name__} while it was put together ({failure})"
    else:
        with contextlib.suppress(AttributeError):  # __slots__, or a frozen dataclass
            error.partial_result = result  # type: ignore[attr-defined]
    with contextlib.suppress(AttributeError):
        error.add_note(note)
        if is_write(error):
            error.add_note(READ_ONLY)


def place_of(error: BaseException, folder: str | None = None) -> str:
    """Where the user's own code raised an error: "costs.py, line 7, in bowl"; "" where it was not there.

    folder : where that code is; by default anywhere outside of the library and of NumPy and SciPy.
    """
    if isinstance(error, SyntaxError) and error.filename and os.path.isfile(error.filename):
        return f"{os.path.basename(error.filename)}, line {error.lineno}"
    place, trace = "", error.__traceback__
    while trace is not None:
        code, module = trace.tb_frame.f_code, str(trace.tb_frame.f_globals.get("__name__", "")).partition(".")[0]
        if code.co_filename.startswith("<frozen"):
            users = False
        elif folder is None:
            users = module not in LIBRARIES
        else:
            users = os.path.dirname(os.path.realpath(code.co_filename)) == os.path.realpath(folder)
        if users:
            place = f"{os.path.basename(code.co_filename)}, line {trace.tb_lineno}, in {code.co_name}"
        trace = trace.tb_next
    return place


class Examined(Result):
    """A result whose end can be examined."""

    def certificate(self, **options: Any) -> Any:
        """What kind of point a descent has ended at, and which steps are stable there.

        Parameters
        ----------
        **options
            ``gtol``, ``hessp``, ``products``: see `mflow.certificate`.

        Returns
        -------
        mflow.analysis.certificate.Certificate
            ``verdict``, ``gradient_norm``, ``least`` and ``largest`` curvature as intervals, ``largest_step``, ``escape``.

        Examples
        --------
        >>> import numpy as np, mflow
        >>> r = mflow.minimize(lambda x: (x[0] ** 2 - x[1] ** 2, 2 * x * [1, -1]), [1.0, 0.0], method="sgd", jac=True, lr=0.2)
        >>> found = r.certificate()
        >>> found.verdict, abs(found.escape).round(6).tolist()
        ('saddle', [0.0, 1.0])
        """
        return import_module("mflow.analysis.certificate").of_result(self, **options)

    def __getstate__(self) -> None:
        """Pickles leave out the equation or the cost, which analyses need."""


def words_of(error: BaseException) -> str:
    """What an error of the user's code says: of one in its syntax without the place, which `place_of` gives; of one from a change of an
    argument in place with the fix."""
    try:
        text = error.msg if isinstance(error, SyntaxError) and error.msg else str(error)
        return f"{type(error).__name__}: {text}" + (f"; {READ_ONLY}" if is_write(error) else "")
    except Exception as second:
        return f"{type(error).__name__} (its __str__ raised {type(second).__name__})"


def is_write(error: BaseException) -> bool:
    """Whether it comes from an array that must not be changed."""
    return isinstance(error, ValueError) and str(error).endswith(" is read-only")


def no_function_of_t(result: Result, *_: Any, **__: Any) -> Any:
    """What ``r(t)`` of a path is told: TypeError."""
    fix = "call r.sol(t)" if result["sol"] is not None else "give dense_output=True to the call, then r.sol(t); t_eval= saves chosen times"
    raise TypeError(f"{type(result).__name__}: expected r.sol(t) for values between saved points, got r(t): {fix}")


class IVPResult(Examined):
    """Result of `mflow.solve_ivp` and `mflow.gradient_flow`.

    t : float64 array (n_points,). y : float64 array (n, n_points), or (*shape, n_points).
    success, status : whether the end was reached; 0 finished, 1 stopped by the caller, -1 failed.
    sol : with ``dense_output=True``, a `mflow.DenseOutput`; None without it.
    t_events, y_events : lists of arrays, one for each event, or None.
    outputs : where asked for, its values at the points, (*its shape, n_points).
    y_after : where events act, a list of the states behind their actions, as y_events has those before.
    reason : "finished", "event", "callback", "max_steps", "non_finite", "diverged", "step_too_small", "solve_failed",
    "event_failed", "zeno", "left_domain", "steady", "rhs_failed" (fun, jac, mass or the like raised), "callback_failed" (callback, or a
    function as max_step or dt), "interrupted". message : what happened, in words.
    doubts : a tuple of what speaks against the result although the run went on, in words that message holds too: steps past the stability
    limit, a Jacobian that is not the function's, growth from below atol as far as the states kept show it. Empty where nothing does.
    nfev, njev, nlu : evaluations of the right-hand side, and of its Jacobian, factorisations. ncheck : evaluations of the right-hand side
    for the words of a warning alone, which nfev leaves out.
    nsteps, nrejected : accepted and rejected steps.
    y0 : with ``mass=`` alone: the start that was taken, y0 of the call or its projection onto the algebraic equations.

    See Also
    --------
    mflow.solve_ivp, mflow.gradient_flow, mflow.DenseOutput, mflow.plot.solution

    Examples
    --------
    >>> import mflow
    >>> r = mflow.solve_ivp(lambda t, y: -y, (0, 1), [1.0], rtol=1e-6)
    >>> r.success, r.reason, r.y.shape[1] == r.t.size
    (True, 'finished', True)
    >>> r["nfev"] == r.nfev
    True
    """

    t: Array
    y: Array
    sol: Any
    t_events: list[Array] | None
    y_events: list[Array] | None
    y_after: list[Array]
    outputs: Any
    y0: Array
    success: bool
    status: int
    reason: str
    message: str
    doubts: tuple[str, ...]
    nfev: int
    ncheck: int
    njev: int
    nlu: int
    nsteps: int
    nrejected: int
    switches: int
    steps_by_method: Any

    if not TYPE_CHECKING:
        __call__ = no_function_of_t

    def to_frame(self) -> Any:
        """A pandas DataFrame with a row a time: t, and y[0], y[1], ... (y[0, 1] of a state of two axes). ImportError without pandas."""
        return path_frame(self, "y")

    def posedness(self, **options: Any) -> Any:
        """Whether the problem is well-posed along this path, where that changes, and how much small errors grow on the way.

        Parameters
        ----------
        **options
            ``jac``, ``points``, ``symmetric``, ``near``, and ``fun`` for a result without its equation (a copy, or a trajectory of a
            batch): see `mflow.posedness_along`.

        Returns
        -------
        mflow.analysis.results.PosednessPath

        Examples
        --------
        >>> import mflow
        >>> r = mflow.solve_ivp(lambda t, y: y, (0, 1), [1.0], rtol=1e-6)
        >>> path = r.posedness()
        >>> path.verdict, round(float(path.growth[-1]), 4)
        ('ill-posed', 2.7183)
        """
        return import_module("mflow.analysis.posedness").of_result(self, **options)


def last_axis(states: Array) -> Array:
    """A view of an array of states, one after the other along its first axis, which becomes the last one."""
    return states.T if states.ndim == 2 else states.transpose((*range(1, states.ndim), 0))


def path_frame(result: Result, *names: str) -> Any:
    """A pandas DataFrame of the times of a path, and of each component of its fields of these names, whose last axis is time."""
    columns = {"t": result["t"]}
    for name in names:
        states = result[name]
        columns |= {f"{name}[{', '.join(map(str, place))}]": states[place] for place in np.ndindex(states.shape[:-1])}
    return frame(columns)


class Origin(NamedTuple):
    """The equation that a result solves, and how: what analyses of the result ask for."""

    problem: Any
    method: Any
    dt: float | None
    symmetric: bool


def keep_origin(result: Result, make: Callable[[], Any]) -> None:
    """Keeps beside the fields of a result, in this process, what makes its `Origin`, or the `mflow.curvature.landscape.Landscape` of a
    descent, whenever an analysis asks for it. Copies and pickles leave it out."""
    vars(result)["_origin"] = make


def origin_of(result: Result) -> Any:
    """The `Origin` or landscape of a result, made anew; None where `keep_origin` has kept none."""
    make = vars(result).get("_origin")
    return None if make is None else make()


class EnergyResult(Result):
    """The ledger of a motion, a number a point: kinetic + potential = at the start + load - damping + numerical + residual.

    So damping above 0 was lost to it, and numerical below 0 was lost to the steps, above 0 gained from them: see `DynamicsResult`."""

    def __repr__(self) -> str:
        text = super().__repr__()
        if self.get("numerical") is None or not np.isnan(self["numerical"][1:]).any():
            return text
        return text + "\n(numerical is NaN where it has no formula, and what the steps put in is part of residual)"

    kinetic: Array
    potential: Array
    load: Array
    damping: Array
    numerical: Array
    residual: Array


class DynamicsResult(Result):
    """Result of `mflow.solve_dynamics`.

    t : float64 array (n_points,). x, v, a : float64 arrays (n, n_points), or (*shape, n_points): position, velocity, acceleration.
    energy : an EnergyResult with the arrays kinetic, potential, load, damping, numerical, residual, (n_points,) each; or None. Works are
    summed from the start: kinetic + potential = at the start + load - damping + numerical + residual. So damping above 0 was lost to it,
    and numerical is what the steps themselves put in: above 0 they gained energy, below 0 they dissipated it. Works are those of the
    forces at the ends of steps along the path, by the trapezoidal rule, for every method.
    At a point inside a step (t_eval, events) the part of the step up to that point counts: kinetic and potential are those
    of the interpolated state, the works follow the formula of whole steps, and numerical also holds the work of the interpolant, so that
    the residual is at rounding. numerical is NaN, and what the steps put in is part of the residual, where no force belongs to the ends of
    steps, and beside a potential, as the residual is then also what the trapezoidal rule of the force is off by.
    v_half, t_half : (n, n_steps) or (*shape, n_steps), and their times (n_steps,): velocities in the middle of every step, for staggered
    forms (velocity_verlet, staggered) where every step is kept; else None. Of a step that ends at an event, the part up to it counts.
    sol, sol_v : `mflow.DenseOutput` of x and of v, or None. t_events, x_events, v_events : lists of arrays, or None.
    multipliers : (m, n_points), the forces of constraints: M a = F - G(x)' multipliers. drift, drift_v : (n_points,), the largest
    abs(g(x)) and abs(G v). None without constraints; with them a is that of the equations of motion, and numerical is NaN.
    x_after, v_after : where events act, lists of what is behind their actions.
    switches : with contacts or friction, a list of (t, degree of freedom, what happened there), in order.
    success, status, reason, message, doubts : as in `IVPResult`.
    nfev : evaluations of the force, or of the load. nsolve : implicit accelerations. njev, nlu : Jacobians, factorisations.
    ncheck : evaluations of a load before and after the run, to see where it begins and whether dt is short enough for it, or of a force,
        whether it depends on v.
    nsteps, nrejected : accepted and rejected steps.

    See Also
    --------
    mflow.solve_dynamics, mflow.DenseOutput, mflow.plot.energy

    Examples
    --------
    >>> import mflow
    >>> r = mflow.solve_dynamics(mass=1.0, stiffness=4.0, t_span=(0, 10), x0=[1.0], method="newmark", dt=0.01)
    >>> r.x.shape == r.v.shape == r.a.shape == (1, r.t.size)
    True
    >>> bool(abs(r.energy.kinetic + r.energy.potential - 2.0).max() < 1e-9)
    True
    """

    if not TYPE_CHECKING:
        __call__ = no_function_of_t

    def to_frame(self) -> Any:
        """A pandas DataFrame with a row a time: t, and x[0], x[1], ..., v[0], ..., a[0], ... ImportError without pandas."""
        return path_frame(self, "x", "v", "a")

    t: Array
    x: Array
    v: Array
    a: Array
    energy: EnergyResult | None
    v_half: Array | None
    t_half: Array | None
    sol: Any
    sol_v: Any
    t_events: list[Array] | None
    x_events: list[Array] | None
    v_events: list[Array] | None
    x_after: list[Array]
    v_after: list[Array]
    switches: list[tuple[Any, ...]]
    multipliers: Array | None
    drift: Array | None
    drift_v: Array | None
    outputs: Any
    success: bool
    status: int
    reason: str
    message: str
    doubts: tuple[str, ...]
    nfev: int
    ncheck: int
    nsolve: int
    njev: int
    nlu: int
    nsteps: int
    nrejected: int


class CurvatureResult(Result):
    """The looks of ``monitor="curvature"``, an entry each, and ``nfev``, the gradients that they took: see `mflow.minimize`."""

    step: Array
    largest: Array
    limit: Array
    lr: Array
    nfev: int


class OptimizeResult(Examined):
    """Result of `mflow.minimize`.

    x, jac : float64 arrays of x0's shape: the last valid point and its gradient. fun : its value.
    success, status : 0 converged, 1 iteration limit, 2 stopped by the callback, -1 otherwise.
    reason : "converged", "max_iter", "callback", "non_finite", "diverged", "solve_failed", "rhs_failed", "callback_failed",
    "line_search_failed", "interrupted"; "step_too_small", where with lr="auto" no step lowers the cost; "wrong_gradient", where the
    gradient that is small is not the cost's; "kink", where the cost has one at x, so that no gradient tells a minimum there;
    "insensitive", where differences are 0 and the cost moves at no longer step; "not_a_minimum", where they are small and it falls on
    both sides, or on the one within the bounds, or by a part of itself along a gradient that a gtol that was not given allows, or without
    end. message : what happened, in words.
    nit, nfev, njev : iterations, evaluations of the cost and of its gradient. ncheck : evaluations that checked the gradient.
    x_scale : with a line search: the lengths of the parameters in which the run went, given or measured; None for none.
    nrestarts : with a line search: how often the method's memory was cleared because no step along its direction lowered the cost.
    path : with ``path=True``: a Result with x and fun; with a line search also directions and steps, else k.

    See Also
    --------
    mflow.minimize, mflow.certificate, mflow.explain

    Examples
    --------
    >>> import mflow
    >>> r = mflow.minimize(lambda x: (x @ x, 2 * x), [1.0, -2.0], jac=True)
    >>> r.success, r.reason, r.fun < 1e-12
    (True, 'converged', True)
    """

    def to_frame(self) -> Any:
        """A pandas DataFrame of the path, a row an iterate: k, x[0], x[1], ..., fun. ImportError without pandas.

        Raises
        ------
        ValueError
            The run kept no path.
        """
        path = self.get("path")
        if path is None:
            raise ValueError("to_frame: expected a run that kept its path, a row an iterate, got one that did not; give it path=True")
        x = path["x"]
        points = {f"x[{', '.join(map(str, place))}]": x[:, *place] for place in np.ndindex(x.shape[1:])}
        return frame({"k": path.get("k", range(len(x))), **points, "fun": path["fun"]})

    x: Array
    fun: float
    jac: Array
    path: Any
    nit: int
    nrestarts: int
    hess_inv: Any
    x_scale: Array | None
    line_search: Any
    method: Any
    curvature: CurvatureResult
    nfev: int
    njev: int
    ncheck: int
    success: bool
    status: int
    reason: str
    message: str
