"""Python functions compiled for the drivers by numba, if it is installed.

A `Compiled` function holds an address and its C signature, so every driver accepts it as it accepts a `cfunc`: the whole run then needs
no GIL. The kind of the function follows from its arguments and is never guessed from what it returns:

    fun(t, y)          a right-hand side, or a Jacobian (kind="jac"), or an event (kind="event")
    fun(x)             a cost; its gradient is returned with it (jac=True), a function (jac=grad), or differences ("2-point", "3-point")
    fun(t, x, v)       a force
    fun(t)             a load (kind="load")
    fun(c, datum)      a residual with its gradient (kind="residual", jac=)
    fun(t, y, out, n, lanes)   a right-hand side for blocks of trajectories (kind="block", inplace=True)

State arrays are read-only inside, as they are for Python functions. An exception inside, or a result of the wrong length, ends the run
with "rhs_failed" and its own code; division by zero gives inf or NaN, as in NumPy.
"""

from __future__ import annotations

import functools
import inspect
import operator
import pickle
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
from mflow_core.problems import signatures

from mflow.base.checks import as_tuple, check_choice, check_flags, check_function
from mflow.base.extras import need
from mflow.base.telling import knows_other_words, tell_of_order
from mflow.problems.callbacks import c_block, c_cost, c_function, c_model, c_residual, c_slope_with

__all__ = ["Compiled", "compile", "compile_model", "compile_with_args", "need_numba"]

KINDS = {
    "rhs": (2, signatures.RHS_SIGNATURE),
    "jac": (2, signatures.JACOBIAN_SIGNATURE),
    "event": (2, signatures.RHS_SIGNATURE),
    "objective": (1, signatures.OBJECTIVE_SIGNATURE),
    "hess": (1, signatures.HESSIAN_SIGNATURE),
    "force": (3, signatures.FORCE_SIGNATURE),
    "load": (1, signatures.LOAD_SIGNATURE),
    "potential": (2, signatures.POTENTIAL_SIGNATURE),
    "residual": (2, signatures.DATUM_SIGNATURE),
    "block": (4, signatures.RHS_LANES_SIGNATURE),
}
ORDERS = {"rhs": "t, y", "force": "t, x, v"}  # of the arguments, where the time might stand last
BY_ARGUMENTS = {1: "objective", 2: "rhs", 3: "force"}


@knows_other_words
class Compiled:
    """A compiled function: pass it to a driver in place of the Python function.

    A call returns what the Python function returns. If that fills an array (inplace=True), `out` may be omitted, and is returned then;
    (value, gradient) of a cost.

    It pickles as a function does, by its name at the top level of a module. Dask and joblib, which send functions of a script or a
    notebook as a whole, send this one likewise, and it is compiled again there.

    Attributes
    ----------
    kind : str
        One of "rhs", "jac", "event", "objective", "hess", "force", "load", "potential", "residual", "block".
    signature : str
        Its C signature.
    address : int
        Of the machine code, in this process.
    jac, hess : Compiled or None
        The Jacobian of a right-hand side, the Hessian of a cost, if they were compiled with it; drivers use them without being told.
    n : int or None
        The size of its state, if it is known (functions from symbols).
    n_args : int or None
        How many arguments of its own each trajectory of a block has, if it is known.
    differences : bool
        Of a cost: whether its gradient is one of differences.
    source : str
        The code that was compiled.

    See Also
    --------
    mflow.compile, mflow.compiled_from_sympy, mflow.compile_solver

    Examples
    --------
    >>> import mflow
    >>> decay = mflow.compile(lambda t, y: -y)
    >>> decay.kind, decay.signature
    ('rhs', 'int (double, double const *, double *, ptrdiff_t, void *)')
    """

    def __init__(
        self, kind: str, function: Callable[..., Any], made: Any, source: str, *, inplace: bool = False, jac: Compiled | None = None,
        hess: Compiled | None = None,
    ) -> None:  # fmt: skip
        self.kind, self.source, self.jac, self.hess = kind, source, jac, hess
        self.signature: str = KINDS[kind][1]
        self.n: int | None = None
        self.n_args: int | None = None
        self.differences = False
        self._function, self._made, self._inplace = function, made, inplace  # `made` owns the machine code
        self.address: int = made.address
        self._recipe: Any = None  # arguments of `compile`, which is done again in another process
        self.__name__ = getattr(function, "__name__", kind)
        self.__qualname__, self.__module__ = getattr(function, "__qualname__", self.__name__), getattr(function, "__module__", "")
        self.__doc__ = function.__doc__ or type(self).__doc__

    def compiled_address(self, argument: str, signature: str) -> tuple[int, int]:
        """(address, user data), if the signature is this one: the core calls it to use a compiled function."""
        if self.signature != signature:
            if self.signature == KINDS[self.kind][1]:
                self._refuse(argument, [kind for kind, (_, one) in KINDS.items() if one == signature])
            signatures.check_signature(argument, self.signature, signature)
        return self.address, 0

    def _refuse(self, argument: str, fitting: list[str]) -> None:
        """TypeError where functions of other kinds are taken."""
        if not fitting:
            return
        expected = next((kind for kind in fitting if argument.startswith(kind)), fitting[0])
        count = KINDS[self.kind][0]
        further = argument == "fun" and BY_ARGUMENTS.get(count) == self.kind and count > KINDS[expected][0]
        why = f", as it has {count} arguments; if the last are parameters, compile it with args=(...), which binds them" if further else ""
        raise TypeError(f"{argument}: expected a compiled function of kind {expected!r}, got one of kind {self.kind!r}{why}")

    def __call__(self, *args: Any) -> Any:
        """The result of the Python function."""
        if not self._inplace or len(args) != KINDS[self.kind][0]:
            return self._function(*args)
        n = np.size(args[-1])
        square = self.kind in ("jac", "hess")
        out = np.empty((n, n) if square else 1 if self.kind in ("event", "potential") else n)
        value = self._function(*args, out)
        return (value, out) if self.kind == "objective" else out

    def __reduce__(self) -> Any:
        try:
            named = operator.attrgetter(self.__qualname__)(sys.modules[self.__module__]) is self
        except (AttributeError, KeyError):  # "<locals>", or made by symbols
            named = False
        whole = sys.modules.get("cloudpickle")
        if named and not (self.__module__ == "__main__" and whole):
            return self.__qualname__
        return _again, ((whole or pickle).dumps(self._recipe),), {"n": self.n, "n_args": self.n_args}

    def __repr__(self) -> str:
        return f"<mflow Compiled {self.kind} {self.__name__}: {self.signature}>"


@functools.cache
def _again(recipe: bytes) -> Compiled:
    """A function of another process, compiled once in this one."""
    return compile(**pickle.loads(recipe))


def need_numba() -> Any:
    """The module; ImportError, with the command that installs it, if it is missing."""
    return need("numba", "mflow.compile")


def _positional(fun: Callable[..., Any]) -> int:
    """How many positional arguments without defaults fun has."""
    try:
        parameters = inspect.signature(getattr(fun, "py_func", fun)).parameters.values()
    except (TypeError, ValueError):
        raise TypeError(f"fun: expected a function whose arguments can be read, got {type(fun).__name__}; write a def around it") from None
    if any(p.kind is p.VAR_POSITIONAL for p in parameters):
        raise TypeError("fun: expected named arguments, got *args, which cannot be compiled; name them")
    return sum(p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) and p.default is p.empty for p in parameters)


def _kind(fun: Callable[..., Any], kind: str | None, args: tuple[Any, ...], inplace: bool) -> str:
    if not callable(fun):
        raise TypeError(f"fun: expected a function, got {type(fun).__name__}")
    taken = _positional(fun) - len(args) - inplace
    besides = f"{taken} arguments besides args{' and out' * inplace}"
    further = "what else it takes, numbers and arrays, is given here as args=(...), and becomes constants of the compiled code"
    if kind is None:
        if taken not in BY_ARGUMENTS:
            raise ValueError(f"fun: expected (x) of a cost, (t, y) of a right-hand side, (t, x, v) of a force, got {besides}; {further}")
        return BY_ARGUMENTS[taken]
    if kind in ("model", "residuals", "fit", "curve"):
        raise ValueError(
            f"kind: expected one of {', '.join(map(repr, KINDS))}, got {kind!r}; mflow.compile_fit compiles a model and its fit"
        )
    if kind in ("cost", "loss", "function"):
        known = ", ".join(map(repr, KINDS))
        raise ValueError(f"kind: expected one of {known}, got {kind!r}; a cost of x is an 'objective', as it is without kind")
    check_choice(kind, "kind", KINDS)
    if taken != KINDS[kind][0]:
        raise ValueError(f"fun: expected {KINDS[kind][0]} for kind={kind!r}, got {besides}{f'; {further}' * (taken > KINDS[kind][0])}")
    return kind


@knows_other_words
def compile(
    fun: Callable[..., Any], *, kind: str | None = None, jac: Any = None, hess: Any = None, args: tuple[Any, ...] = (),
    inplace: bool = False, boundscheck: bool = True,
) -> Compiled:  # fmt: skip
    """Compile a Python function for the drivers, with numba.

    Parameters
    ----------
    fun : callable
        ``fun(t, y)`` for a right-hand side, ``fun(x)`` for a cost, ``fun(t, x, v)`` for a force; returns an array, list, tuple or
        number. It may use what numba can compile: numbers, NumPy arrays, `math`, functions that are compiled themselves. An
        `@njit` function is accepted as well.
    kind : str, optional
        "rhs", "jac", "event", "objective", "hess", "force", "load", "potential", "residual" or "block", if the number of arguments
        does not determine it. A residual is a number, ``fun(c, datum)``, with a row of the data. A block is a right-hand side for
        `solve_ivp_batch` with ``batch=True``, ``fun(t, y, out, n, lanes)`` with inplace=True, which fills ``out[i*lanes + l]`` from
        ``y[i*lanes + l]`` and ``t[l]``; these three are pointers.
    jac : callable, True, "2-point" or "3-point"
        For a cost: its gradient; True: ``fun`` returns (value, gradient); otherwise differences, forward ones by default, with the
        steps of `minimize`. For a right-hand side: its Jacobian ``jac(t, y)``, (n, n). For a residual: its gradient ``jac(c, datum)``,
        (n,).
    hess : callable, optional
        For a cost: ``hess(x)``, (n, n).
    args : tuple
        Further arguments of fun, jac and hess. They become constants of the compiled code: a later change of an array among them has
        no effect.
    inplace : bool, default False
        ``fun(t, y, out)`` fills out (of jac and hess: out of shape (n, n)): the fastest form, as it allocates nothing. A cost
        ``fun(x, grad)`` fills grad and returns the value.
    boundscheck : bool, default True
        An index past the end ends the run. False is a little faster and unsafe, as is numba's default; an `@njit` function keeps
        its own setting.

    Returns
    -------
    Compiled
        For any driver.

    Raises
    ------
    ImportError
        numba is not installed.
    TypeError
        numba cannot compile the function; its message is in the text. A function that writes into its state is one of these.
    ValueError
        The number of arguments fits no kind.

    See Also
    --------
    mflow.compiled_from_sympy, mflow.solve_ivp, mflow.solve_dynamics, mflow.minimize

    Examples
    --------
    >>> import mflow
    >>> decay = mflow.compile(lambda t, y: -2.0 * y)
    >>> r = mflow.solve_ivp(decay, (0, 1), [1.0], rtol=1e-8, atol=1e-10)
    >>> bool(abs(r.y[0, -1] - 0.1353352832366127) < 1e-8)
    True
    """
    numba = need_numba()
    args = as_tuple(args, fun)
    check_flags(inplace=inplace, boundscheck=boundscheck)
    kind = _kind(fun, kind, args, inplace)
    if kind in ORDERS:
        tell_of_order(getattr(fun, "py_func", fun), "fun", ORDERS[kind])
    options: dict[str, Any] = {"args": args, "inplace": inplace, "boundscheck": boundscheck}
    out = _compiled(numba, fun, kind, jac, hess, options)
    out._recipe = {"fun": fun, "kind": kind, "jac": jac, "hess": hess, **options}
    return out


def _compiled(numba: Any, fun: Callable[..., Any], kind: str, jac: Any, hess: Any, options: dict[str, Any]) -> Compiled:
    """The function, of a kind that is known."""
    args, inplace = options["args"], options["inplace"]
    if kind == "objective":
        made = c_cost(numba, fun, jac, **options)
        curvature = None if hess is None else compile(hess, kind="hess", **options)
        out = Compiled(kind, _bound(fun, args), made, _source(fun), inplace=inplace, hess=curvature)
        out.differences = not inplace and jac is not True and not callable(jac)
        return out
    if kind == "residual":
        if hess is not None or inplace or not callable(jac):
            raise ValueError("jac: expected the gradient of the residual, jac(c, datum), and neither hess nor inplace=True")
        return Compiled(kind, _bound(fun, args), c_residual(numba, fun, jac, args, options["boundscheck"]), _source(fun))
    if kind == "block":
        if hess is not None or jac is not None or not inplace:
            raise ValueError("inplace: expected True with kind='block', fun(t, y, out, n, lanes), and neither jac nor hess")
        return Compiled(kind, _bound(fun, args), c_block(numba, fun, args), _source(fun), inplace=True)
    if hess is not None:
        raise ValueError(f"hess: expected none with kind={kind!r}, as it belongs to a cost; remove it")
    if jac is not None and kind != "rhs":
        raise ValueError(f"jac: expected none with kind={kind!r}, as it belongs to a right-hand side or a cost; remove it")
    if jac is not None:
        check_function(jac, "jac", "a function of (t, y)")
    slope = None if jac is None else compile(jac, kind="jac", **options)
    made = c_function(numba, kind, fun, **options)
    return Compiled(kind, _bound(fun, args), made, _source(fun), inplace=inplace, jac=slope)


def compile_with_args(fun: Callable[..., Any], n_args: int | None, inplace: bool) -> tuple[Compiled, int]:
    """(compiled, n_args) of a right-hand side ``fun(t, y, *args)`` whose args, numbers, are read at every call from its user data.

    n_args : None: as many as fun takes. Raises TypeError or ValueError as `compile`, ImportError without numba.
    """
    numba = need_numba()
    check_function(fun, "fun", "a function of (t, y, *args), or a compiled one")
    taken = _positional(fun) - 2 - inplace
    if taken < 0 or n_args not in (None, taken):
        besides = f"(t, y{', out' * inplace}) and {'numbers' if n_args is None else n_args}"
        raise ValueError(f"fun: expected arguments {besides}, got {_positional(fun)} arguments")
    made = c_slope_with(numba, fun, taken, inplace)
    return Compiled("rhs", _bound(fun, ()), made, _source(fun), inplace=inplace), taken


def compile_model(fun: Callable[..., Any], jac: Callable[..., Any] | None, n: int | None) -> tuple[Any, int]:
    """(what owns the machine code, n) of a model ``fun(x, *p)``, a number for each number x, and of ``jac(x, *p)``, its n derivatives.

    n : None: as many as fun takes. Raises TypeError or ValueError as `compile`, ImportError without numba.
    """
    numba = need_numba()
    taken = _positional(fun) - 1
    if taken < 1 or n not in (None, taken):
        besides = f"(x) and {'parameters' if n is None else n}"
        raise ValueError(f"f: expected arguments {besides}, got {_positional(fun)} arguments")
    if jac is not None and _positional(jac) != taken + 1:
        raise ValueError(f"jac: expected arguments (x) and {taken}, as f takes, got {_positional(jac)} arguments")
    return c_model(numba, fun, jac, taken), taken


def _bound(fun: Callable[..., Any], args: tuple[Any, ...]) -> Callable[..., Any]:
    fun = getattr(fun, "py_func", fun)
    if not args:
        return fun

    def bound(*leading: Any) -> Any:
        return fun(*leading, *args)

    bound.__name__, bound.__doc__ = getattr(fun, "__name__", "fun"), fun.__doc__
    return bound


def _source(fun: Callable[..., Any]) -> str:
    if hasattr(fun, "mflow_source"):
        return str(fun.mflow_source)
    try:
        return inspect.getsource(getattr(fun, "py_func", fun))
    except (OSError, TypeError):
        return ""
