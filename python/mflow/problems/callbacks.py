"""C functions around Python functions, by numba: the callbacks that the core's drivers call.

A callback fills an array and returns 0, RAISED where the Python function raised, or WRONG_LENGTH where its result does not fit.
"""

# mypy: disallow-untyped-decorators=False
# Numba's decorators have types, but numba may be missing where mypy runs: the verdict is the same.

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from mflow_core.problems import signatures

__all__ = ["c_block", "c_cost", "c_function", "c_model", "c_residual", "c_slope_with"]

RAISED, WRONG_LENGTH = signatures.RAISED, signatures.WRONG_LENGTH
INSIDE = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}  # of functions that compiled code alone calls: a fifth of the compilation


def _jitted(
    numba: Any, fun: Callable[..., Any], leading: tuple[Any, ...], args: tuple[Any, ...], out: Any = None, boundscheck: bool = True
) -> Any:
    """fun compiled for (leading, [out], args); numba's errors become a TypeError that names fun."""
    fixed = tuple(numba.typeof(value) for value in args)
    fixed = tuple(kind.copy(readonly=True) if isinstance(kind, numba.types.Array) else kind for kind in fixed)  # they are constants
    signature = (*leading, *(() if out is None else (out,)), *fixed)
    given = {name: value for name, value in getattr(fun, "targetoptions", {}).items() if value is not None}
    options = {"error_model": "numpy", "boundscheck": boundscheck}
    options |= {name: value for name, value in given.items() if name in ("error_model", "fastmath", "boundscheck")}
    code = getattr(fun, "py_func", fun)
    name = getattr(code, "__name__", "fun")
    try:
        return numba.njit(signature, **INSIDE, **options)(code)
    except numba.core.errors.NumbaError as error:
        text = str(error)
        if "Cannot modify readonly array" in text or "Cannot modify value of type" in text:
            raise TypeError(f"{name}: expected a function that only reads its state, got one that writes to it; work on a copy") from error
        raise TypeError(f"{name}: numba cannot compile it: {text.strip()}") from error


def _store_array(out: Any, result: Any) -> bool:
    if result.size != out.size:
        return False
    for i, value in enumerate(result.flat):
        out[i] = value
    return True


def _store_sequence(out: Any, result: Any) -> bool:
    if len(result) != out.size:
        return False
    for i in range(len(result)):
        out[i] = result[i]
    return True


def _store_number(out: Any, result: Any) -> bool:
    if out.size != 1:
        return False
    out[0] = result
    return True


_PIECES: list[Any] = []


def _pieces(numba: Any) -> tuple[Any, Any]:
    """(is_null, store): whether a pointer is NULL; store copies a result into an array and returns whether its length is right."""
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
        raise NotImplementedError("store: expected a call from compiled code")

    def store_mixed(out: Any, result: Any) -> bool:
        if len(result) != out.size:
            return False
        i = 0
        for value in literal_unroll(result):
            out[i] = value
            i += 1  # noqa: SIM113 (numba unrolls no enumerate)
        return True

    @overload(store)
    def _store(out: Any, result: Any) -> Any:
        if isinstance(result, types.Array):
            return _store_array
        if isinstance(result, (types.List, types.ListType, types.UniTuple)):
            return _store_sequence
        if isinstance(result, types.Tuple):
            return store_mixed
        return _store_number if isinstance(result, (types.Number, types.Boolean)) else None

    _PIECES.extend((is_null, store))
    return is_null, store


def _types(numba: Any) -> tuple[Any, Any, Any, Any]:
    """(float64, read-only vector, pointer to float64, the last two arguments) in numba's terms."""
    types = numba.types
    pointer = types.CPointer(types.float64)
    return types.float64, types.Array(types.float64, 1, "C", readonly=True), pointer, (types.intp, types.voidptr)


THREE = " (three arguments are t, x and v of a force; what a right-hand side takes besides t and y is given as args=(...))"


def _made(numba: Any, name: str, signature: Any, wrapper: Callable[..., Any], kind: str = "") -> Any:
    """The C function of a wrapper. If numba fails here, it is the type of what fun returns, or of what it was given."""
    try:
        return numba.cfunc(signature)(wrapper)
    except numba.core.errors.NumbaError as error:
        text = str(error).strip()
        hint = " (pass jac=True if it is the pair of cost and gradient)" if "sub(Tuple(float64, array(" in text else ""
        hint += THREE if kind == "force" else ""
        raise TypeError(f"{name}: expected it to return an array, list, tuple or number that numba can store{hint}: {text}") from error


def _name(fun: Callable[..., Any]) -> str:
    return str(getattr(getattr(fun, "py_func", fun), "__name__", "fun"))


def c_function(numba: Any, kind: str, fun: Callable[..., Any], args: tuple[Any, ...], inplace: bool, boundscheck: bool) -> Any:
    """The C function of this kind (any but a cost) around fun."""
    number, vector, pointer, last = _types(numba)
    leading = {"force": (number, vector, vector), "load": (number,), "hess": (vector,)}.get(kind, (number, vector))
    into = numba.types.Array(number, 2 if kind in ("jac", "hess") else 1, "C") if inplace else None
    fill = _filler(numba, kind, _jitted(numba, fun, leading, args, into, boundscheck), args, inplace)
    wrappers = {"load": (_load, (number,)), "hess": (_hessian, (pointer,)), "force": (_force, (number, pointer, pointer))}
    wrap, arguments = wrappers.get(kind, (_slope, (number, pointer)))
    return _made(numba, _name(fun), numba.types.int32(*arguments, pointer, *last), wrap(fill, numba.carray), kind)


def _filler(numba: Any, kind: str, jitted: Any, args: tuple[Any, ...], inplace: bool) -> Any:
    """fill(values, out, n): the result for these arguments into the memory of `out`; 0 or WRONG_LENGTH."""
    carray, store = numba.carray, _pieces(numba)[1]
    square, single = kind in ("jac", "hess"), kind in ("event", "potential")
    if inplace:

        @numba.njit(**INSIDE)
        def fill(values: Any, out: Any, n: int) -> int:
            if square:
                jitted(*(values + (carray(out, (n, n)),) + args))  # noqa: RUF005
            else:
                jitted(*(values + (carray(out, (1 if single else n,)),) + args))  # noqa: RUF005
            return 0
    else:

        @numba.njit(**INSIDE)
        def fill(values: Any, out: Any, n: int) -> int:
            size = n * n if square else 1 if single else n
            return 0 if store(carray(out, (size,)), jitted(*(values + args))) else WRONG_LENGTH

    return fill


def _load(fill: Any, carray: Any) -> Callable[..., Any]:
    def load(t: float, out: Any, n: int, context: Any) -> Any:
        try:
            status = fill((t,), out, n)
        except Exception:
            status = RAISED
        return status

    return load


def _hessian(fill: Any, carray: Any) -> Callable[..., Any]:
    def hessian(x: Any, out: Any, n: int, context: Any) -> Any:
        try:
            status = fill((carray(x, (n,)),), out, n)
        except Exception:
            status = RAISED
        return status

    return hessian


def _force(fill: Any, carray: Any) -> Callable[..., Any]:
    def force(t: float, x: Any, v: Any, out: Any, n: int, context: Any) -> Any:
        try:
            status = fill((t, carray(x, (n,)), carray(v, (n,))), out, n)
        except Exception:
            status = RAISED
        return status

    return force


def _slope(fill: Any, carray: Any) -> Callable[..., Any]:
    def slope(t: float, y: Any, out: Any, n: int, context: Any) -> Any:
        try:
            status = fill((t, carray(y, (n,))), out, n)
        except Exception:
            status = RAISED
        return status

    return slope


def c_slope_with(numba: Any, fun: Callable[..., Any], n_args: int, inplace: bool) -> Any:
    """The C function of a right-hand side fun(t, y, *args), or fun(t, y, out, *args), with n_args numbers that lie at its user data."""
    from numba.np.unsafe import ndarray

    fixed_tuple: Any = ndarray.to_fixed_tuple
    number, vector, pointer, last = _types(numba)
    jitted = _jitted(numba, fun, (number, vector), (0.0,) * n_args, numba.types.Array(number, 1, "C") if inplace else None)
    carray, store = numba.carray, _pieces(numba)[1]

    @numba.njit(**INSIDE)
    def numbers(context: Any) -> Any:
        return fixed_tuple(carray(context, (n_args,), np.float64), n_args)

    @numba.njit(**INSIDE)
    def filled(t: float, y: Any, out: Any, more: Any) -> int:
        jitted(*((t, y, out) + more))  # noqa: RUF005
        return 0

    @numba.njit(**INSIDE)
    def stored(t: float, y: Any, out: Any, more: Any) -> int:
        return 0 if store(out, jitted(*((t, y) + more))) else WRONG_LENGTH  # noqa: RUF005

    fill = filled if inplace else stored

    def slope(t: float, y: Any, out: Any, n: int, context: Any) -> Any:
        try:
            status = fill(t, carray(y, (n,)), carray(out, (n,)), numbers(context))
        except Exception:
            status = RAISED
        return status

    return _made(numba, _name(fun), numba.types.int32(number, pointer, pointer, *last), slope)


def c_model(numba: Any, fun: Callable[..., Any], jac: Callable[..., Any] | None, n: int) -> Any:
    """The C function of a model fun(x, *p), a number at each number x, with n parameters, and of jac(x, *p), its n derivatives.

    int (const double *p, double *f, double *jac, ptrdiff_t m, ptrdiff_t n, void *x): f (m,) and jac (m, n), either of which may be NULL.
    """
    from numba.np.unsafe import ndarray

    fixed_tuple: Any = ndarray.to_fixed_tuple
    number, _, pointer, (size, _) = _types(numba)
    value = _jitted(numba, fun, (number,), (0.0,) * n)
    slopes = value if jac is None else _jitted(numba, jac, (number,), (0.0,) * n)
    carray, (is_null, store), given = numba.carray, _pieces(numba), jac is not None

    @numba.njit(**INSIDE)
    def values(p: Any, f: Any, m: int, x: Any) -> int:
        at, out, more = carray(x, (m,)), carray(f, (m,)), fixed_tuple(carray(p, (n,), np.float64), n)
        for i in range(m):
            out[i] = value(*((at[i],) + more))  # noqa: RUF005
        return 0

    @numba.njit(**INSIDE)
    def derivatives(p: Any, J: Any, m: int, x: Any) -> int:
        at, out, more = carray(x, (m,)), carray(J, (m, n)), fixed_tuple(carray(p, (n,), np.float64), n)
        for i in range(m):
            if not store(out[i], slopes(*((at[i],) + more))):  # noqa: RUF005
                return WRONG_LENGTH
        return 0

    if given:

        def model(p: Any, f: Any, J: Any, m: int, _n: int, x: Any) -> Any:
            status = 0
            try:
                if not is_null(f):
                    status = values(p, f, m, x)
                if status == 0 and not is_null(J):
                    status = derivatives(p, J, m, x)
            except Exception:
                status = RAISED
            return status

    else:

        def model(p: Any, f: Any, J: Any, m: int, _n: int, x: Any) -> Any:
            try:
                status = values(p, f, m, x)
            except Exception:
                status = RAISED
            return status

    return _made(numba, _name(fun), numba.types.int32(pointer, pointer, pointer, size, size, pointer), model)


def c_block(numba: Any, fun: Callable[..., Any], args: tuple[Any, ...]) -> Any:
    """The C function of a right-hand side for blocks, fun(t, y, out, n, lanes)."""
    pointer, size = numba.types.CPointer(numba.types.float64), numba.types.intp
    jitted = _jitted(numba, fun, (pointer, pointer, pointer, size, size), args)

    def block(t: Any, y: Any, out: Any, n: int, lanes: int, context: Any) -> Any:
        try:
            jitted(*((t, y, out, n, lanes) + args))  # noqa: RUF005
            status = 0
        except Exception:
            status = RAISED
        return status

    return _made(numba, _name(fun), numba.types.int32(pointer, pointer, pointer, size, size, numba.types.voidptr), block)


# ---- costs ----------------------------------------------------------------------------------------------------------------------------


def c_cost(numba: Any, fun: Callable[..., Any], jac: Any, args: tuple[Any, ...], inplace: bool, boundscheck: bool) -> Any:
    """The C function of a cost with its gradient; jac as in `mflow.compile`."""
    number, vector, pointer, last = _types(numba)
    jitted = _jitted(numba, fun, (vector,), args, numba.types.Array(number, 1, "C") if inplace else None, boundscheck)
    if inplace:
        if jac not in (None, True):
            raise ValueError("jac: expected none with inplace=True, as the cost fills its gradient itself; remove it")
        pair = _filling(numba, jitted, args)
    elif jac is True:
        pair = _pair(numba, jitted, args)
    elif callable(jac):
        pair = _separate(numba, jitted, _jitted(numba, jac, (vector,), args, None, boundscheck), args)
    elif jac is None or jac in ("2-point", "3-point"):
        pair = _differences(numba, jitted, jac == "3-point", args)
    else:
        raise ValueError(f"jac: expected a function, True, '2-point' or '3-point', got {jac!r}")
    is_null = _pieces(numba)[0]
    carray = numba.carray

    def objective(x: Any, value: Any, grad: Any, n: int, context: Any) -> Any:
        try:
            status = pair(carray(x, (n,)), value, is_null(value), grad, is_null(grad), n)
        except Exception:
            status = RAISED
        return status

    return _made(numba, _name(fun), numba.types.int32(pointer, pointer, pointer, *last), objective)


def _filling(numba: Any, jitted: Any, args: tuple[Any, ...]) -> Any:
    carray = numba.carray

    @numba.njit(**INSIDE)
    def pair(x: Any, value: Any, no_value: bool, grad: Any, no_grad: bool, n: int) -> int:
        out = np.empty(n) if no_grad else carray(grad, (n,))
        cost = jitted(*((x, out) + args))  # noqa: RUF005
        if not no_value:
            value[0] = cost
        return 0

    return pair


def _pair(numba: Any, jitted: Any, args: tuple[Any, ...]) -> Any:
    store, carray = _pieces(numba)[1], numba.carray

    @numba.njit(**INSIDE)
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

    @numba.njit(**INSIDE)
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

    @numba.njit(**INSIDE)
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


# ---- residuals ------------------------------------------------------------------------------------------------------------------------


def c_residual(numba: Any, fun: Callable[..., Any], jac: Callable[..., Any], args: tuple[Any, ...], boundscheck: bool) -> Any:
    """The C function of a residual fun(c, datum), a number, with its gradient jac(c, datum)."""
    _, vector, pointer, last = _types(numba)
    is_null, store = _pieces(numba)
    carray = numba.carray
    value, slope = (_jitted(numba, one, (vector, vector), args, None, boundscheck) for one in (fun, jac))

    @numba.njit(**INSIDE)
    def pair(c: Any, datum: Any, r: Any, grad: Any, no_grad: bool, n: int) -> int:
        r[0] = value(*((c, datum) + args))  # noqa: RUF005
        if no_grad:
            return 0
        return 0 if store(carray(grad, (n,)), slope(*((c, datum) + args))) else WRONG_LENGTH  # noqa: RUF005

    def residual(c: Any, datum: Any, r: Any, grad: Any, n: int, columns: int, context: Any) -> Any:
        try:
            status = pair(carray(c, (n,)), carray(datum, (columns,)), r, grad, is_null(grad), n)
        except Exception:
            status = RAISED
        return status

    signature = numba.types.int32(pointer, pointer, pointer, pointer, numba.types.intp, *last)
    return _made(numba, _name(fun), signature, residual)
