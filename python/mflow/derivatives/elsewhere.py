"""Derivatives from elsewhere: jac="jax", "autograd" or "torch", by automatic differentiation in their float64; jac="cs", complex steps.

    jac = "cs"      Im f(x + i h e_j)/h with h = 1e-100: no difference is taken, so that h can be as small as it likes, and all digits are
                    right. f has to be made of analytic functions, in arithmetic that keeps the imaginary part (no abs, no float arrays).

`gradient_of` and `jacobian_of` make functions of NumPy arrays of functions in these libraries' arrays.

References
----------
W. Squire and G. Trapp, SIAM Review 40 (1998) 110-112. A. Griewank and A. Walther, Evaluating Derivatives (2008).
"""

from __future__ import annotations

import functools
import re
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from mflow.base.checks import Array, refuse_models, shown
from mflow.base.extras import need

__all__ = [
    "SOURCES",
    "gradient_of",
    "is_source",
    "jacobian_of",
    "names_of",
    "with_batch_derivative",
    "with_gradient",
    "with_jacobian",
    "with_model_jacobian",
]

SOURCES = ("jax", "autograd", "torch", "cs")
DIFFERENCES = ("2-point", "3-point")
STEP = 1e-100
GIVEN, WRITE = {"torch": "a tensor", "jax": "an array of jax"}, {"torch": "torch.exp", "jax": "jax.numpy.exp"}


def is_source(jac: Any) -> bool:
    """Whether an argument ``jac`` names one of SOURCES."""
    return isinstance(jac, str) and jac in SOURCES


def names_of(*others: str) -> str:
    """The others and SOURCES, for a message."""
    *most, last = (f'"{name}"' for name in (*others, *SOURCES))
    return f"{', '.join(most)} or {last}"


def with_gradient(fun: Any, jac: Any) -> tuple[Any, Any]:
    """(fun, jac) with the gradient as a function where ``jac`` names one of SOURCES; else as they are."""
    if not isinstance(jac, str) or jac in DIFFERENCES:
        return fun, jac
    if jac not in SOURCES:
        raise ValueError(f"jac: expected a function, True, {names_of(*DIFFERENCES)}, got {shown(jac)}")
    if not callable(fun) or hasattr(fun, "value_and_grad"):
        raise TypeError(f"jac: expected a cost in Python for {jac!r}, got {type(fun).__name__}, which has its own gradient or none")
    return _values(fun, jac), gradient_of(fun, jac)


def with_jacobian(fun: Any, jac: Any, expected: str = f"a function, {names_of(*DIFFERENCES)}", differences: bool = True) -> tuple[Any, Any]:
    """(fun, jac) with the Jacobian as a function where ``jac`` names one of SOURCES; else as they are. ValueError for another name."""
    if not isinstance(jac, str) or (differences and jac in DIFFERENCES):
        return fun, jac
    if jac not in SOURCES:
        raise ValueError(f"jac: expected {expected}, got {shown(jac)}")
    if not callable(fun):
        raise TypeError(f"jac: expected residuals in Python for {jac!r}, got {type(fun).__name__}")
    return _values(fun, jac), jacobian_of(fun, jac)


def with_model_jacobian(model: Any, jac: Any) -> tuple[Any, Any]:
    """The same of a model ``model(xdata, *parameters)``: jac(xdata, *parameters), (m, n)."""
    if not is_source(jac):
        return model, jac
    if not callable(model):
        raise TypeError(f"jac: expected a model in Python for {jac!r}, got {type(model).__name__}")
    tensor = {"torch": _torch_array, "jax": _jax_array}.get(jac, np.asarray)

    def of_parameters(p: Any, x: Any) -> Any:
        return model(tensor(x) if isinstance(x, np.ndarray) else x, *(p[j] for j in range(len(p))))

    values, derived = _values(of_parameters, jac), jacobian_of(of_parameters, jac)
    return (lambda x, *p: values(np.array(p), x)), (lambda x, *p: derived(np.array(p), x))


def with_batch_derivative(fun: Any, jac: Any, params: Any, many: bool) -> tuple[Any, Any]:
    """The same of a cost ``fun(params, *batch)``, or where ``many`` of residuals."""
    if not is_source(jac):
        return fun, jac
    refuse_models(params, "params")
    if isinstance(params, (dict, list, tuple)):
        fix = "put them into one array, or give the gradient as a function"
        if any(hasattr(one, "__dlpack__") and hasattr(one, "double") for one in params):
            fix = "torch.nn.utils.parameters_to_vector(params).detach().numpy() makes one of tensors"
        raise TypeError(f"jac: expected params to be one array beside {jac!r}, got a {type(params).__name__}; {fix}")
    return with_jacobian(fun, jac) if many else with_gradient(fun, jac)


def gradient_of(fun: Callable[..., Any], source: str) -> Callable[..., Array]:
    """``grad(x, *args)`` of a cost ``fun(x, *args)``.

    Raises
    ------
    ImportError
        The library is not installed.
    ValueError
        jax computes in float32; the text says the line to write.
    TypeError
        The cost returns something that cannot be differentiated, or not in float64.

    Examples
    --------
    >>> import numpy as np
    >>> from mflow.derivatives.elsewhere import gradient_of
    >>> gradient_of(lambda x: np.sin(x[0]) * x[1], "cs")(np.array([0.0, 2.0]))
    array([2., 0.])
    """
    if source == "cs":
        return lambda x, *args, **kwargs: _complex_columns(_with(fun, kwargs), x, args, "a number")[:, 0].reshape(np.shape(x))
    if source == "torch":
        return _torch_gradient(fun)
    derived = _jax().grad(fun) if source == "jax" else need("autograd", 'jac="autograd"').grad(fun)
    return lambda x, *args, **kwargs: _float64(_of_array(_with(derived, kwargs), x, args, source), source)


def jacobian_of(fun: Callable[..., Any], source: str) -> Callable[..., Array]:
    """``J(x, *args)``, (m, n), of ``fun(x, *args)`` with m values. Raises as `gradient_of`.

    Examples
    --------
    >>> import numpy as np
    >>> from mflow.derivatives.elsewhere import jacobian_of
    >>> jacobian_of(lambda x: x**3, "cs")(np.array([1.0, 2.0])).round(12)
    array([[ 3.,  0.],
           [ 0., 12.]])
    """
    if source == "cs":
        return lambda x, *args, **kwargs: _complex_columns(_with(fun, kwargs), x, args, "numbers").T
    if source == "torch":
        return _torch_jacobian(fun)
    derived = _jax().jacfwd(fun) if source == "jax" else need("autograd", 'jac="autograd"').jacobian(fun)
    return lambda x, *args, **kwargs: _float64(_of_array(_with(derived, kwargs), x, args, source), source)


def _values(fun: Callable[..., Any], source: str) -> Callable[..., Any]:
    """The function as one of NumPy arrays that returns NumPy's numbers."""
    if source == "cs":
        return fun
    if source != "torch":
        return lambda x, *args, **kwargs: _float64(_of_array(_with(fun, kwargs), x, args, source), source, "values")[()]
    torch = need("torch", 'jac="torch"')

    def value(x: Array, *args: Any, **kwargs: Any) -> Any:
        with torch.no_grad():
            out = _of_array(_with(fun, kwargs, source), x, args, source)
        return out.numpy()[()] if isinstance(out, torch.Tensor) else out

    return value


def _with(fun: Callable[..., Any], kwargs: dict[str, Any], source: str = "") -> Callable[..., Any]:
    if source == "torch":
        kwargs = {name: _torch_float64(value) for name, value in kwargs.items()}
    return functools.partial(fun, **kwargs) if kwargs else fun


def _float64(value: Any, source: str, what: str = "derivatives") -> Array:
    out = np.asarray(value)
    if out.dtype.kind == "f" and out.dtype != np.float64:
        raise TypeError(f'jac="{source}": expected {what} in float64, got {out.dtype}; do not convert to a shorter type in fun')
    return out


def _jax_array(x: Any) -> Any:
    return need("jax.numpy", 'jac="jax"').asarray(x)


def _torch_array(x: Any) -> Any:
    return need("torch", 'jac="torch"').as_tensor(x)


def _torch_float64(value: Any) -> Any:
    """An argument beside x, which is of float64, as a tensor of that type, for torch multiplies no matrices of two types; what holds no
    floating-point numbers, and is no array, as it is."""
    torch = need("torch", 'jac="torch"')
    if isinstance(value, np.ndarray) and value.dtype.kind in "biuf":
        plain = np.ascontiguousarray(value, dtype=value.dtype.newbyteorder("="))
        value = torch.from_numpy(plain) if plain.flags.writeable else torch.tensor(plain)
    return value.double() if isinstance(value, torch.Tensor) and value.is_floating_point() else value


def _jax() -> Any:
    jax = need("jax", 'jac="jax"')
    if not jax.config.jax_enable_x64:
        raise ValueError(
            'jac="jax": expected jax to compute in float64, got float32, its default; write '
            'jax.config.update("jax_enable_x64", True) before anything else of jax'
        )
    return jax


def _of_array(fun: Callable[..., Any], x: Any, args: tuple[Any, ...], source: str, at: Any = None) -> Any:
    """fun of the library's own array: of `at`, or of x as one. Raises TypeError where NumPy's functions in it cannot take one; what fun
    itself raises is passed on."""
    if at is None:
        at = _torch_array(np.array(x, dtype=np.float64)) if source == "torch" else _jax_array(x) if source == "jax" else np.asarray(x)
    try:
        if source != "torch":
            return fun(at, *args)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "__array_wrap__", DeprecationWarning)  # NumPy's of torch: the result tells
            return fun(at, *map(_torch_float64, args))
    except (AttributeError, RuntimeError, TypeError) as error:
        if source == "torch" and _is_of_dtypes(error):
            fix = "write data.double() and model.double(), or pass data by args, which are converted"
            what = f'jac="torch": expected fun to compute in float64, as x does, got another type in it ({error})'
            raise TypeError(f"{what}; {fix}") from error
        if not (_is_of_numpy(error) if source == "torch" else type(error).__name__ == "TracerArrayConversionError"):
            if source == "torch" and "(got Tensor)" in str(error):
                error.add_note("fun is called with arrays in args as float64 tensors: omit torch.from_numpy")
            raise
        raise TypeError(
            f'jac="{source}": expected fun to be written in {source}, as it is given {GIVEN[source]}, got one with functions of NumPy '
            f"({type(error).__name__}: {error}); write {WRITE[source]} for np.exp and the like, or omit jac for differences"
        ) from error


def _is_of_dtypes(error: BaseException) -> bool:
    """Whether an operator of torch raised it as its operands have two types: its words are not the same for all operators."""
    return isinstance(error, RuntimeError) and re.search("(dtype|scalar type).*(float|double)", str(error), re.I | re.S) is not None


def _is_of_numpy(error: BaseException) -> bool:
    """Whether a function of NumPy raised it, or its text is about NumPy."""
    last = error.__traceback__
    while last is not None and last.tb_next is not None:
        last = last.tb_next
    inside = "" if last is None else str(last.tb_frame.f_globals.get("__name__", ""))
    return "numpy" in f"{inside} {error}"


def _torch_result(out: Any, torch: Any) -> Any:
    if not isinstance(out, torch.Tensor):
        fix = "write fun in torch, or omit jac for differences"
        raise TypeError(f'jac="torch": expected fun to return a tensor made of its argument, got {type(out).__name__}; {fix}')
    if out.dtype != torch.float64:
        raise TypeError(f'jac="torch": expected fun to return float64, got {out.dtype}; make its constants float64, as in c.double()')
    if not out.requires_grad:
        raise TypeError(
            'jac="torch": expected fun to return a tensor that depends on its argument, got one that does not: was it detached?'
        )
    return out


def _torch_gradient(fun: Callable[..., Any]) -> Callable[..., Array]:
    torch = need("torch", 'jac="torch"')

    def grad(x: Array, *args: Any, **kwargs: Any) -> Array:
        at = torch.tensor(np.asarray(x), dtype=torch.float64, requires_grad=True)
        (out,) = torch.autograd.grad(_torch_result(_of_array(_with(fun, kwargs, "torch"), x, args, "torch", at), torch), at)
        return np.asarray(out.numpy(), dtype=np.float64)

    return grad


def _torch_jacobian(fun: Callable[..., Any]) -> Callable[..., Array]:
    torch = need("torch", 'jac="torch"')

    def jacobian(x: Array, *args: Any, **kwargs: Any) -> Array:
        at = torch.tensor(np.asarray(x), dtype=torch.float64, requires_grad=True)
        out = _torch_result(_of_array(_with(fun, kwargs, "torch"), x, args, "torch", at), torch).reshape(-1)
        each = torch.eye(out.numel(), dtype=torch.float64)
        (rows,) = torch.autograd.grad(out, at, each, is_grads_batched=True)
        return np.asarray(rows.numpy().reshape(out.numel(), -1), dtype=np.float64)

    return jacobian


def _complex_columns(fun: Callable[..., Any], x: Any, args: tuple[Any, ...], kind: str) -> Array:
    """Row j: the derivatives of all values with respect to x_j."""
    at = np.asarray(x, dtype=np.float64)
    rows = []
    for j in range(at.size):
        z = at.astype(np.complex128)
        z.flat[j] += complex(0.0, STEP)
        with warnings.catch_warnings():
            warnings.simplefilter("error", np.exceptions.ComplexWarning)
            try:
                out = np.asarray(fun(z, *args))
            except np.exceptions.ComplexWarning:
                out = np.zeros(0)
        if out.dtype.kind != "c":
            raise TypeError(
                f'jac="cs": expected fun to return {kind} with an imaginary part for a complex x, got one without: it was lost on the way '
                "(abs, max, float(...), an array of float64 that is filled); write fun without these, or omit jac"
            )
        rows.append(out.imag.ravel() / STEP)
    return np.stack(rows) if rows else np.zeros((0, 1))
