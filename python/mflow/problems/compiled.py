"""Python functions compiled for the drivers, through numba, where it is installed.

What comes out carries an address and the C signature that it was checked for, so every driver takes it as it takes a `cfunc`: the
whole run then goes without the GIL. What the function is, follows from its arguments and is never guessed from what it returns:

    fun(t, y)          a right-hand side, or a Jacobian (kind="jac"), or an event (kind="event")
    fun(x)             a cost; its gradient comes with it (jac=True), beside it (jac=grad), or by differences (jac="2-point", "3-point")
    fun(t, x, v)       a force
    fun(t)             a load (kind="load")

State arrays are read-only inside, as they are for Python functions. An exception inside, or a result of the wrong length, ends the run
with "rhs_failed" and a code of its own; division by zero gives inf or NaN, as NumPy has it.
"""

# mypy: disallow-untyped-decorators=False
# Numba's decorators have types, but numba may be missing where mypy runs: the verdict is the same.

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
from mflow_core.problems import signatures

__all__ = ["Compiled", "compile", "need_numba"]

RAISED, WRONG_LENGTH = signatures.RAISED, signatures.WRONG_LENGTH
KINDS = {
    "rhs": (2, signatures.RHS_SIGNATURE),
    "jac": (2, signatures.JACOBIAN_SIGNATURE),
    "event": (2, signatures.RHS_SIGNATURE),
    "objective": (1, signatures.OBJECTIVE_SIGNATURE),
    "hess": (1, signatures.HESSIAN_SIGNATURE),
    "force": (3, signatures.FORCE_SIGNATURE),
    "load": (1, signatures.LOAD_SIGNATURE),
    "potential": (2, signatures.POTENTIAL_SIGNATURE),
}
BY_ARGUMENTS = {1: "objective", 2: "rhs", 3: "force"}


class Compiled:
    """A compiled function: pass it to a driver where the Python function would stand.

    Called, it answers as the Python function does; where that fills an array (inplace=True), `out` may be left away and is returned:
    (value, gradient) of a cost.

    Attributes
    ----------
    kind : str
        One of "rhs", "jac", "event", "objective", "hess", "force", "load", "potential".
    signature : str
        Its C signature.
    address : int
        Of the machine code, in this process.
    jac, hess : Compiled or None
        The Jacobian of a right-hand side, the Hessian of a cost, where they were made with it; drivers take them by themselves.
    n : int or None
        The size of its state, where it is known (functions from symbols).
    source : str
        The code that was compiled.
    """

    def __init__(
        self, kind: str, function: Callable[..., Any], made: Any, source: str, *, inplace: bool = False, jac: Compiled | None = None,
        hess: Compiled | None = None,
    ) -> None:  # fmt: skip
        self.kind, self.source, self.jac, self.hess = kind, source, jac, hess
        self.signature: str = KINDS[kind][1]
        self.n: int | None = None
        self._function, self._made, self._inplace = function, made, inplace  # `made` owns the machine code
        self.address: int = made.address
        self.__name__ = getattr(function, "__name__", kind)
        self.__doc__ = function.__doc__ or type(self).__doc__

    def _compiled_address(self, argument: str, wanted: str) -> tuple[int, int]:
        """(address, user data): how the core knows a compiled function."""
        signatures.check_signature(argument, self.signature, wanted)
        return self.address, 0

    def __call__(self, *args: Any) -> Any:
        """What the Python function says."""
        if not self._inplace or len(args) != KINDS[self.kind][0]:
            return self._function(*args)
        n = np.size(args[-1])
        square = self.kind in ("jac", "hess")
        out = np.empty((n, n) if square else 1 if self.kind in ("event", "potential") else n)
        value = self._function(*args, out)
        return (value, out) if self.kind == "objective" else out

    def __repr__(self) -> str:
        return f"<mflow Compiled {self.kind} {self.__name__}: {self.signature}>"


def need_numba() -> Any:
    """The module; ImportError, with the way to get it, where it is not installed."""
    try:
        import numba
    except ImportError:
        raise ImportError("mflow.compile needs numba, which is not installed: pip install 'momentum-flow[compile]'") from None
    return numba


def _positional(fun: Callable[..., Any]) -> int:
    """How many arguments fun takes by place, without those that have defaults."""
    try:
        parameters = inspect.signature(getattr(fun, "py_func", fun)).parameters.values()
    except (TypeError, ValueError):
        raise TypeError(f"fun: its arguments cannot be read ({type(fun).__name__}): say what it is by kind=") from None
    if any(p.kind is p.VAR_POSITIONAL for p in parameters):
        raise TypeError("fun: it takes *args, which a compiled function cannot: name its arguments")
    return sum(p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) and p.default is p.empty for p in parameters)


def _kind(fun: Callable[..., Any], kind: str | None, args: tuple[Any, ...], inplace: bool) -> str:
    if not callable(fun):
        raise TypeError(f"fun: a function is wanted, not {type(fun).__name__}")
    taken = _positional(fun) - len(args) - inplace
    if kind is None:
        if taken not in BY_ARGUMENTS:
            raise ValueError(
                f"fun: it takes {taken} arguments beside args{' and out' * inplace}; (x) is a cost, (t, y) a right-hand side, "
                "(t, x, v) a force: for others say kind="
            )
        return BY_ARGUMENTS[taken]
    if kind not in KINDS:
        raise ValueError(f"kind = {kind!r}: one of {', '.join(KINDS)} is wanted")
    if taken != KINDS[kind][0]:
        raise ValueError(f"fun: it takes {taken} arguments beside args{' and out' * inplace}, as a {kind} it should take {KINDS[kind][0]}")
    return kind


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
        `@njit` function is taken as well.
    kind : str, optional
        "rhs", "jac", "event", "objective", "hess", "force", "load" or "potential", where the number of arguments does not say it.
    jac : callable, True, "2-point" or "3-point"
        For a cost: its gradient; True: ``fun`` returns (value, gradient); otherwise differences, forward where nothing is said, with
        the steps of `minimize`. For a right-hand side: its Jacobian ``jac(t, y)``, (n, n).
    hess : callable, optional
        For a cost: ``hess(x)``, (n, n).
    args : tuple
        Further arguments of fun, jac and hess. They are compiled in: a later change of an array among them is not seen.
    inplace : bool, default False
        ``fun(t, y, out)`` fills out (of jac and hess: out of shape (n, n)): the fastest form, as it allocates nothing. A cost
        ``fun(x, grad)`` fills grad and returns the value.
    boundscheck : bool, default True
        An index past the end ends the run. False is a little faster and unsafe, as numba is by itself; what an `@njit` function says
        of its own stays.

    Returns
    -------
    Compiled
        For any driver.

    Raises
    ------
    ImportError
        numba is not installed.
    TypeError
        numba cannot compile the function; its words are in the text. A function that writes into its state is one of these.
    ValueError
        The number of arguments fits no kind.

    Examples
    --------
    >>> import mflow
    >>> decay = mflow.compile(lambda t, y: -2.0 * y)
    >>> r = mflow.solve_ivp(decay, (0, 1), [1.0], rtol=1e-8, atol=1e-10)
    >>> bool(abs(r.y[0, -1] - 0.1353352832366127) < 1e-8)
    True
    """
    numba = need_numba()
    args = tuple(args) if isinstance(args, (tuple, list)) else (args,)
    kind = _kind(fun, kind, args, inplace)
    if kind == "objective":
        return _objective(numba, fun, jac, hess, args, inplace, boundscheck)
    if hess is not None:
        raise ValueError(f"hess: it belongs to a cost, and fun is a {kind}")
    if jac is not None and kind != "rhs":
        raise ValueError(f"jac: it belongs to a right-hand side or a cost, and fun is a {kind}")
    slope = None if jac is None else compile(jac, kind="jac", args=args, inplace=inplace, boundscheck=boundscheck)
    made = _wrapped(numba, kind, fun, args, inplace, boundscheck)
    return Compiled(kind, _bound(fun, args), made, _source(fun), inplace=inplace, jac=slope)


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


def _jitted(
    numba: Any, fun: Callable[..., Any], leading: tuple[Any, ...], args: tuple[Any, ...], out: Any = None, boundscheck: bool = True
) -> Any:
    """fun compiled for (leading, [out], args); numba's complaints become a TypeError that names fun."""
    fixed = tuple(numba.typeof(value) for value in args)
    fixed = tuple(kind.copy(readonly=True) if isinstance(kind, numba.types.Array) else kind for kind in fixed)  # they are constants
    signature = (*leading, *(() if out is None else (out,)), *fixed)
    own = {name: value for name, value in getattr(fun, "targetoptions", {}).items() if value is not None}
    options = {"error_model": "numpy", "boundscheck": boundscheck}
    options |= {name: value for name, value in own.items() if name in ("error_model", "fastmath", "boundscheck")}
    code = getattr(fun, "py_func", fun)
    name = getattr(code, "__name__", "fun")
    try:
        return numba.njit(signature, **options)(code)
    except numba.core.errors.NumbaError as error:
        text = str(error)
        if "Cannot modify readonly array" in text or "Cannot modify value of type" in text:
            raise TypeError(f"{name}: it writes into its state, which is read-only: work on a copy") from error
        raise TypeError(f"{name}: numba cannot compile it: {text.strip()}") from error


def _pieces(numba: Any) -> tuple[Any, Any]:
    """(is_null, store): whether a pointer is NULL; a result into an array, saying whether its length was right."""
    if _PIECES:
        return _PIECES[0], _PIECES[1]
    from numba import literal_unroll
    from numba.extending import intrinsic, overload

    types = numba.types

    @intrinsic
    def is_null(context: Any, pointer: Any) -> Any:
        def make(_context: Any, builder: Any, _signature: Any, values: Any) -> Any:
            return builder.icmp_unsigned("==", values[0], values[0].type(None))

        return types.boolean(pointer), make

    def store(out: Any, result: Any) -> bool:
        raise NotImplementedError("it exists compiled alone")

    @overload(store)
    def _store(out: Any, result: Any) -> Any:
        if isinstance(result, types.Array):

            def array(out: Any, result: Any) -> bool:
                if result.size != out.size:
                    return False
                for i, value in enumerate(result.flat):
                    out[i] = value
                return True

            return array
        if isinstance(result, (types.List, types.ListType, types.UniTuple)):

            def sequence(out: Any, result: Any) -> bool:
                if len(result) != out.size:
                    return False
                for i in range(len(result)):
                    out[i] = result[i]
                return True

            return sequence
        if isinstance(result, types.Tuple):

            def mixed(out: Any, result: Any) -> bool:
                if len(result) != out.size:
                    return False
                i = 0
                for value in literal_unroll(result):
                    out[i] = value
                    i += 1  # noqa: SIM113 (numba unrolls no enumerate)
                return True

            return mixed
        if isinstance(result, (types.Number, types.Boolean)):

            def single(out: Any, result: Any) -> bool:
                if out.size != 1:
                    return False
                out[0] = result
                return True

            return single
        return None

    _PIECES.extend((is_null, store))
    return is_null, store


_PIECES: list[Any] = []


def _types(numba: Any) -> tuple[Any, Any, Any, Any]:
    """(float64, read-only vector, pointer to float64, the last two arguments) in numba's terms."""
    types = numba.types
    pointer = types.CPointer(types.float64)
    return types.float64, types.Array(types.float64, 1, "C", readonly=True), pointer, (types.intp, types.voidptr)


def _made(numba: Any, name: str, signature: Any, wrapper: Callable[..., Any]) -> Any:
    """The C function of a wrapper. What numba cannot type here is what fun returns."""
    try:
        return numba.cfunc(signature)(wrapper)
    except numba.core.errors.NumbaError as error:
        text = str(error).strip()
        hint = " (if it is the pair of cost and gradient, say jac=True)" if "sub(Tuple(float64, array(" in text else ""
        raise TypeError(f"{name}: what it returns is no array, list, tuple or number that numba can store{hint}: {text}") from error


def _wrapped(numba: Any, kind: str, fun: Callable[..., Any], args: tuple[Any, ...], inplace: bool, boundscheck: bool) -> Any:
    """A C function of KINDS[kind]'s signature around fun."""
    number, vector, pointer, last = _types(numba)
    carray, int32 = numba.carray, numba.types.int32
    square = kind in ("jac", "hess")
    leading = {"force": (number, vector, vector), "load": (number,), "hess": (vector,)}.get(kind, (number, vector))
    into = numba.types.Array(number, 2 if square else 1, "C") if inplace else None
    jitted = _jitted(numba, fun, leading, args, into, boundscheck)
    store = _pieces(numba)[1]
    single = kind in ("event", "potential")

    if inplace:

        @numba.njit
        def fill(values: Any, out: Any, n: int) -> int:
            if square:
                jitted(*(values + (carray(out, (n, n)),) + args))  # noqa: RUF005
            else:
                jitted(*(values + (carray(out, (1 if single else n,)),) + args))  # noqa: RUF005
            return 0
    else:

        @numba.njit
        def fill(values: Any, out: Any, n: int) -> int:
            size = n * n if square else 1 if single else n
            return 0 if store(carray(out, (size,)), jitted(*(values + args))) else WRONG_LENGTH

    if kind == "load":

        def load(t: float, out: Any, n: int, context: Any) -> Any:
            try:
                status = fill((t,), out, n)
            except Exception:
                status = RAISED
            return status

        return _made(numba, _name(fun), int32(number, pointer, *last), load)
    if kind == "hess":

        def hessian(x: Any, out: Any, n: int, context: Any) -> Any:
            try:
                status = fill((carray(x, (n,)),), out, n)
            except Exception:
                status = RAISED
            return status

        return _made(numba, _name(fun), int32(pointer, pointer, *last), hessian)
    if kind == "force":

        def force(t: float, x: Any, v: Any, out: Any, n: int, context: Any) -> Any:
            try:
                status = fill((t, carray(x, (n,)), carray(v, (n,))), out, n)
            except Exception:
                status = RAISED
            return status

        return _made(numba, _name(fun), int32(number, pointer, pointer, pointer, *last), force)

    def slope(t: float, y: Any, out: Any, n: int, context: Any) -> Any:
        try:
            status = fill((t, carray(y, (n,))), out, n)
        except Exception:
            status = RAISED
        return status

    return _made(numba, _name(fun), int32(number, pointer, pointer, *last), slope)


def _name(fun: Callable[..., Any]) -> str:
    return str(getattr(getattr(fun, "py_func", fun), "__name__", "fun"))


# ---- costs --------------------------------------------------------------------------------------------------------------------------


def _objective(
    numba: Any, fun: Callable[..., Any], jac: Any, hess: Any, args: tuple[Any, ...], inplace: bool, boundscheck: bool
) -> Compiled:
    number, vector, pointer, last = _types(numba)
    jitted = _jitted(numba, fun, (vector,), args, numba.types.Array(number, 1, "C") if inplace else None, boundscheck)
    if inplace:
        if jac not in (None, True):
            raise ValueError("jac: with inplace=True the cost fills its gradient itself: leave jac away")
        pair = _filling(numba, jitted, args)
    elif jac is True:
        pair = _pair(numba, jitted, args)
    elif callable(jac):
        pair = _separate(numba, jitted, _jitted(numba, jac, (vector,), args, None, boundscheck), args)
    elif jac is None or jac in ("2-point", "3-point"):
        pair = _differences(numba, jitted, jac == "3-point", args)
    else:
        raise ValueError(f'jac = {jac!r}: a function, True, "2-point" or "3-point" is wanted')
    is_null = _pieces(numba)[0]
    carray = numba.carray

    def objective(x: Any, value: Any, grad: Any, n: int, context: Any) -> Any:
        try:
            status = pair(carray(x, (n,)), value, is_null(value), grad, is_null(grad), n)
        except Exception:
            status = RAISED
        return status

    made = _made(numba, _name(fun), numba.types.int32(pointer, pointer, pointer, *last), objective)
    curvature = None if hess is None else compile(hess, kind="hess", args=args, inplace=inplace, boundscheck=boundscheck)
    return Compiled("objective", _bound(fun, args), made, _source(fun), inplace=inplace, hess=curvature)


def _filling(numba: Any, jitted: Any, args: tuple[Any, ...]) -> Any:
    carray = numba.carray

    @numba.njit
    def pair(x: Any, value: Any, no_value: bool, grad: Any, no_grad: bool, n: int) -> int:
        out = np.empty(n) if no_grad else carray(grad, (n,))
        cost = jitted(*((x, out) + args))  # noqa: RUF005
        if not no_value:
            value[0] = cost
        return 0

    return pair


def _pair(numba: Any, jitted: Any, args: tuple[Any, ...]) -> Any:
    store, carray = _pieces(numba)[1], numba.carray

    @numba.njit
    def pair(x: Any, value: Any, no_value: bool, grad: Any, no_grad: bool, n: int) -> int:
        cost, slope = jitted(x, *args)
        if not no_value:
            value[0] = cost
        if no_grad:
            return 0
        return 0 if store(carray(grad, (n,)), slope) else WRONG_LENGTH

    return pair


def _separate(numba: Any, jitted: Any, slope: Any, args: tuple[Any, ...]) -> Any:
    store, carray = _pieces(numba)[1], numba.carray

    @numba.njit
    def pair(x: Any, value: Any, no_value: bool, grad: Any, no_grad: bool, n: int) -> int:
        if not no_value:
            value[0] = jitted(x, *args)
        if no_grad:
            return 0
        return 0 if store(carray(grad, (n,)), slope(x, *args)) else WRONG_LENGTH

    return pair


def _differences(numba: Any, jitted: Any, central: bool, args: tuple[Any, ...]) -> Any:
    """SciPy's steps, as in the core: eps^(1/2) or eps^(1/3) times max(1, |x_i|), away from 0."""
    scale = 6.055454452393343e-06 if central else 1.4901161193847656e-08
    carray = numba.carray

    @numba.njit
    def pair(x: Any, value: Any, no_value: bool, grad: Any, no_grad: bool, n: int) -> int:
        cost = jitted(x, *args)
        if not no_value:
            value[0] = cost
        if no_grad:
            return 0
        out, moved = carray(grad, (n,)), x.copy()
        for i in range(n):
            h = scale * max(1.0, abs(x[i]))
            h = -h if x[i] < 0 else h
            up = x[i] + h
            moved[i] = up
            high = jitted(moved, *args)
            if central:
                down = x[i] - h
                moved[i] = down
                out[i] = (high - jitted(moved, *args)) / (up - down)
            else:
                out[i] = (high - cost) / (up - x[i])
            moved[i] = x[i]
        return 0

    return pair
