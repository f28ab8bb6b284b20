"""Is it the gradient, or the Jacobian, of this function? `check_gradient`, `check_jacobian`, and SciPy's `check_grad`."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from mflow_core.optimize.arrangement import gather
from mflow_core.problems.sparse import check_sparse, is_sparse

from mflow.base.checks import (
    Array,
    as_array,
    as_tuple,
    check_choice,
    check_function,
    check_number,
    check_start,
    dense_array,
    real_array,
    shown,
)
from mflow.base.tables import Readable
from mflow.base.telling import knows_other_words
from mflow.derivatives.differences import EACH, along
from mflow.derivatives.elsewhere import is_source, names_of, with_gradient, with_jacobian
from mflow.derivatives.remainder import Model, Verdict, gradient_model, jacobian_model, ladder, quick

__all__ = ["DerivativeReport", "check_grad", "check_gradient", "check_jacobian"]

SHIFTS = (0, 7, 19)  # of the directions along which many parameters are looked at together


@knows_other_words
@dataclass(frozen=True, eq=False)
class DerivativeReport(Readable):
    """The result of `check_gradient` and `check_jacobian`; ``str()`` of it is the text, ``bool()`` whether the derivative is right.

    Attributes
    ----------
    verdict : "right", "wrong" or "unknown"
    worst : tuple or None
        The index of the parameter whose entry is furthest off; of a Jacobian (row, column); of parameters in a dict or a list of arrays
        the key comes first.
    given, measured : float
        That entry, and what the function's values show in its place.
    error : float
        Their difference.
    n, nfev : int
        Parameters; evaluations of the function.
    text : str
        The verdict in words.

    See Also
    --------
    mflow.check_gradient, mflow.check_jacobian, mflow.GradientWarning

    Examples
    --------
    >>> import mflow
    >>> report = mflow.check_gradient(lambda x: x[0] ** 2 + x[1], [1.5, 0.0], lambda x: [2 * x[0], 3.0])
    >>> report.verdict, report.worst, round(report.given, 6), round(report.measured, 6)
    ('wrong', (1,), 3.0, 1.0)
    """

    verdict: str
    worst: tuple[Any, ...] | None
    given: float
    measured: float
    error: float
    n: int
    nfev: int
    text: str

    def __bool__(self) -> bool:
        return self.verdict == "right"


@knows_other_words
def check_gradient(fun: Callable[..., Any], x: Any, jac: Any = None, args: tuple[Any, ...] = ()) -> DerivativeReport:
    """Whether a gradient is that of a cost, by the remainder test.

    |f(x + h d) - f(x) - h g.d| shrinks as h^2 for the right gradient, as h for another one. It is looked at over steps from 0.1 down to
    1e-9, so there is no length of differences to choose; rounding, kinks, walls and noise do not count against a gradient.

    Parameters
    ----------
    fun : callable
        ``fun(x, *args)`` returns the cost, with ``jac=True`` the pair (cost, gradient).
    x : array_like of real numbers, any shape; or a dict of arrays, or a list or tuple of arrays of different shapes, as `mflow.train` takes
        Where to look. Take a point without symmetry: where a term vanishes its gradient vanishes too.
    jac : callable, True, None, "jax", "autograd", "torch" or "cs"
        ``jac(x, *args)``, of the shape of x, or arranged as x is; the names as in `minimize`, for one array x; None for an objective of
        `mflow.objectives`, which has its own.
    args : tuple

    Returns
    -------
    DerivativeReport
        True where it is right; the worst component is named where it is wrong. Up to 64 parameters are looked at one by one, more along
        three directions, and one by one where these tell of an error.

    Raises
    ------
    TypeError, ValueError
        The cost or the gradient is not finite at x, or has another shape.

    See Also
    --------
    mflow.check_jacobian, mflow.minimize

    Examples
    --------
    >>> import mflow
    >>> def cost(x):
    ...     return (x[0] - 1) ** 2 + 10 * (x[1] + 2) ** 2
    >>> print(mflow.check_gradient(cost, [0.3, 0.2], lambda x: [2 * (x[0] - 1.5), 20 * (x[1] + 2)]))
    wrong: entry 0 of the gradient is -2.4, and the values of the cost show -1.4
    >>> bool(mflow.check_gradient(cost, [0.3, 0.2], lambda x: [2 * (x[0] - 1), 20 * (x[1] + 2)]))
    True

    References
    ----------
    A. Griewank and A. Walther, Evaluating Derivatives (2008), on Taylor remainders.
    """
    check_function(fun, "fun")
    parts, args = _Parts(x), as_tuple(args, fun)
    flat = parts.flat(x, "x")
    if jac is None and hasattr(fun, "value_and_grad"):
        grad: Any = fun.value_and_grad(parts.arranged(flat))[1]
    elif jac is True:
        pair = fun(parts.arranged(flat), *args)
        if not isinstance(pair, (tuple, list)) or len(pair) != 2:
            raise TypeError(f"fun: expected the pair (cost, gradient), as jac=True says, got {type(pair).__name__}")
        grad = pair[1]
    elif callable(jac) or is_source(jac):
        fun, jac = with_gradient(fun, jac)
        grad = jac(parts.arranged(flat), *args)
    else:
        raise TypeError(f"jac: expected the gradient to check, a function, True, {names_of()}, got {shown(jac)}")
    g = parts.flat(grad, "the gradient")

    def value(at: Array) -> Any:
        out = fun(parts.arranged(at), *args)
        return out[0] if isinstance(out, (tuple, list)) else out

    at = _finite(value(flat.copy()), "the cost")
    if at.size != 1:
        raise ValueError(f"fun: expected one number returned, got shape {at.shape}")
    return _report(gradient_model(value, flat, at, g), g.reshape(1, -1), "gradient", parts.index)


class _Parts:
    """How parameters lie in what a user passes, one array or several; they are looked at as one vector."""

    def __init__(self, x: Any) -> None:
        if isinstance(x, (dict, list, tuple)) and not len(x):
            raise ValueError(f"x: expected at least one parameter, got an empty {type(x).__name__}")
        several = isinstance(x, (list, tuple)) and len({as_array(a, "x").shape for a in x}) > 1
        self.kind = type(x)
        self.form: Any = list(x) if isinstance(x, dict) else len(x) if several else None
        self.keys: Any = self.form if isinstance(x, dict) else range(len(x)) if several else ()
        self.shapes = [check_start(a, self._label("x", k)).shape for k, a in enumerate(gather(x, self.form, "x"))]
        self.ends = np.cumsum([math.prod(shape) for shape in self.shapes])

    def _label(self, argument: str, k: int) -> str:
        return argument if self.form is None else f"{argument}[{self.keys[k]!r}]"

    def flat(self, values: Any, argument: str) -> Array:
        """One vector of what is arranged, and has the shapes, as the parameters. Raises TypeError or ValueError."""
        out = []
        for k, (a, shape) in enumerate(zip(gather(values, self.form, argument), self.shapes, strict=True)):
            label = self._label(argument, k)
            array = _finite(a, label)
            if array.shape != shape and not (array.size == 1 == math.prod(shape)):
                raise ValueError(f"{label}: expected the shape {shape} of {self._label('x', k)}, got shape {array.shape}")
            out.append(array.ravel())
        return np.concatenate(out)

    def arranged(self, flat: Array) -> Any:
        """Copies, arranged as the parameters are."""
        arrays = [part.reshape(shape).copy() for part, shape in zip(np.split(flat, self.ends[:-1]), self.shapes, strict=True)]
        if self.form is None:
            return arrays[0]
        return dict(zip(self.keys, arrays, strict=True)) if isinstance(self.form, list) else self.kind(arrays)

    def index(self, at: int) -> tuple[Any, ...]:
        """Where entry `at` of the vector stands: the key, and the index in that array."""
        k = int(np.searchsorted(self.ends, at, side="right"))
        inside = np.unravel_index(at - int(self.ends[k - 1] if k else 0), self.shapes[k])
        return (() if self.form is None else (self.keys[k],)) + tuple(int(i) for i in inside)


@knows_other_words
def check_jacobian(fun: Callable[..., Any], x: Any, jac: Any, args: tuple[Any, ...] = (), *, t: float | None = None) -> DerivativeReport:
    """Whether a Jacobian is that of a function with m values, by the remainder test: see `check_gradient`.

    Parameters
    ----------
    fun : callable
        ``fun(x, *args)`` returns m numbers: residuals; with ``t`` a right-hand side ``fun(t, x, *args)``.
    x : array_like (n,)
    jac : callable, array_like (m, n) or sparse matrix, "jax", "autograd", "torch" or "cs"
        ``jac(x, *args)``, with ``t`` ``jac(t, x, *args)``; or the matrix itself; the names as in `least_squares`, without ``t``. Row i
        holds the derivatives of value i.
    args : tuple
    t : float, optional

    Returns
    -------
    DerivativeReport

    Raises
    ------
    TypeError, ValueError
        As in `check_gradient`.

    See Also
    --------
    mflow.check_gradient, mflow.solve_ivp

    Examples
    --------
    >>> import numpy as np, mflow
    >>> A = np.array([[-2.0, 1.0], [0.5, -3.0]])
    >>> print(mflow.check_jacobian(lambda t, y: A @ y, [1.0, 2.0], [[-2.0, 1.0], [0.0, -3.0]], t=0.0))
    wrong: entry (1, 0) of the Jacobian is 0, and the values of the function show 0.5
    >>> str(mflow.check_jacobian(lambda t, y: A @ y, [1.0, 2.0], A.T, t=0.0)).endswith("it is the transpose")
    True
    """
    check_function(fun, "fun")
    start, args = check_start(x, "x").ravel(), as_tuple(args, fun)
    before = () if t is None else (check_number(t, "t"),)
    if isinstance(jac, str) and t is not None:
        raise TypeError(
            f"jac: expected the Jacobian beside t, a function or a matrix, got {shown(jac)}; names are for residuals, without t"
        )
    fun, jac = with_jacobian(fun, jac, f"the Jacobian to check, a function, a matrix, {names_of()}", differences=False)
    J = jac(*before, start.copy(), *args) if callable(jac) and not hasattr(jac, "tocsc") else jac

    def values(at: Array) -> Any:
        return fun(*before, at, *args)

    at = _finite(values(start.copy()), "fun").ravel()
    sparse = is_sparse(J)
    matrix: Any = check_sparse(J, "jac").tocsr().astype(np.float64) if sparse else _finite(J, "jac")
    if sparse:
        _finite(matrix.data, "jac")
    if not sparse and matrix.ndim < 2 and matrix.size == at.size * start.size:
        matrix = matrix.reshape(at.size, start.size)
    if matrix.shape != (at.size, start.size):
        raise ValueError(f"jac: expected shape ({at.size}, {start.size}), row i the derivatives of value i, got shape {matrix.shape}")
    return _report(jacobian_model(values, start, at, matrix), matrix, "Jacobian")


@knows_other_words
def check_grad(
    func: Callable[..., Any], grad: Callable[..., Any], x0: Any, *args: Any, epsilon: float = 2.0**-26, direction: str = "all",
    seed: int = 0,
) -> float:  # fmt: skip
    """SciPy's `scipy.optimize.check_grad`: the length of the difference between a gradient and forward differences of the cost.

    `check_gradient` says whether that is much.

    Parameters
    ----------
    func, grad, x0, *args
        ``func(x, *args)``, a number or m of them, and ``grad(x, *args)``, (n,) or (m, n).
    epsilon : float
        The step of the differences.
    direction, seed : "all" or "random", and int
        All parameters, or one random direction, drawn from ``seed``.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        An argument does not fit.

    See Also
    --------
    mflow.check_gradient

    Examples
    --------
    >>> import mflow
    >>> mflow.check_grad(lambda x: x[0] ** 2, lambda x: [2 * x[0]], [1.5]) < 1e-6
    True
    """
    check_function(func, "func")
    check_function(grad, "grad")
    x = check_start(x0, "x0").ravel()
    if not x.size:
        raise ValueError("x0: expected one parameter at least, got none")
    step = check_number(epsilon, "epsilon")
    if step == 0.0:
        raise ValueError("epsilon: expected a step other than 0, got 0")
    exact = real_array(grad(x.copy(), *args), "grad")
    moves = np.eye(x.size)
    if check_choice(direction, "direction", ("all", "random")) == "random":
        moves = np.random.default_rng(seed).standard_normal((1, x.size))
        exact = exact @ moves[0]
    first = np.asarray(func(x.copy(), *args), dtype=np.float64)
    columns = []
    for move in moves:
        up = x + step * move
        length = float(up[np.argmax(move)] - x[np.argmax(move)]) if direction == "all" else step
        columns.append((np.asarray(func(up, *args), dtype=np.float64) - first) / (length or step))
    measured = np.stack(columns, axis=-1) if direction == "all" else columns[0]
    if exact.size != measured.size:
        raise ValueError(f"grad: expected the shape {measured.shape} of differences of func returned, got shape {exact.shape}")
    return math.sqrt(float(np.sum((exact.reshape(measured.shape) - measured) ** 2)))


# ---- the report -------------------------------------------------------------------------------------------------------------------------


def _finite(value: Any, argument: str) -> Array:
    dense = dense_array(value, argument) if hasattr(value, "tocsr") else value
    a = as_array(dense, argument)
    if a.ndim == 2:
        bad = np.argwhere(~np.isfinite(a)) if a.dtype.kind in "biuf" else np.zeros((0, 2), dtype=int)
        if bad.size:
            row, column = (int(k) for k in bad[0])
            raise ValueError(f"{argument}: expected finite numbers, got {a[row, column]} in entry ({row}, {column})")
    return check_start(dense, argument)


def _report(model: Model, matrix: Any, word: str, index_of: Callable[[int], tuple[Any, ...]] | None = None) -> DerivativeReport:
    """The verdict on all entries. index_of: where a parameter stands in a gradient; None: of a Jacobian."""
    n = model.x.size
    scale = np.maximum(1.0, np.abs(model.x))
    if n <= EACH:
        moves = [scale * (np.arange(n) == j) for j in range(n)]
        zero = ~np.asarray(abs(matrix).sum(axis=0)).ravel().astype(bool)  # where a central difference takes a kink for a minimum
        verdicts = [(ladder(model, move) if zero[j] else quick(model, move), [j]) for j, move in enumerate(moves)]
    else:
        verdicts = [(quick(model, scale * np.roll(along(n), shift)), list(range(n))) for shift in SHIFTS]
    wrong = [one for one in verdicts if one[0].kind == "wrong"]
    if not wrong:
        unknown = next((one[0] for one in verdicts if one[0].kind == "unknown"), None)
        if unknown is not None:
            return _made(model, "unknown", None, 0.0, 0.0, f"not known: {unknown.text}")
        many = "in every entry" if n <= EACH else f"along {len(SHIFTS)} directions"
        share = max(one[0].share for one in verdicts)
        coarse = f"; errors below {100.0 * share:g} % would not show in these values" if share else ""
        return _made(model, "right", None, 0.0, 0.0, f"right: the remainder vanishes faster than the step {many}{coarse}")
    verdict, some = max(wrong, key=lambda one: abs(one[0].claimed - one[0].measured))
    verdict, some = _narrowed(model, scale, verdict, some)
    if len(some) > 1:
        text = f"wrong: along a fixed direction the {word} says {verdict.claimed:.6g}, and the values show {verdict.measured:.6g}"
        return _made(model, "wrong", None, verdict.claimed, verdict.measured, text + _pattern(model, matrix, verdict))
    at = some[0]
    index = (verdict.entry, at) if index_of is None else index_of(at)
    given, measured = verdict.claimed / scale[at], verdict.measured / scale[at]
    named = f"{index[0]}" if len(index) == 1 else f"{index}"
    owner = "cost" if word == "gradient" else "function"
    text = f"wrong: entry {named} of the {word} is {given:.6g}, and the values of the {owner} show {measured:.6g}"
    return _made(model, "wrong", index, given, measured, text + _pattern(model, matrix, verdict))


def _made(model: Model, kind: str, worst: tuple[Any, ...] | None, given: float, measured: float, text: str) -> DerivativeReport:
    return DerivativeReport(kind, worst, float(given), float(measured), float(measured - given), model.x.size, model.count, text)


def _narrowed(model: Model, scale: Array, verdict: Verdict, some: list[int]) -> tuple[Verdict, list[int]]:
    """Halves a set of parameters down to one that is wrong, where that can be told."""
    n = scale.size
    while len(some) > 1:
        half = len(some) // 2
        parts = [some[:half], some[half:]]
        tried = [(quick(model, _only(scale * along(n), part)), part) for part in parts]
        wrong = [one for one in tried if one[0].kind == "wrong"]
        if not wrong:
            break
        verdict, some = max(wrong, key=lambda one: abs(one[0].claimed - one[0].measured))
        if len(some) == 1:
            verdict = quick(model, _only(scale, some))
    return verdict, some


def _only(move: Array, some: list[int]) -> Array:
    out = np.zeros(move.size)
    out[some] = move[some]
    return out


def _pattern(model: Model, matrix: Any, verdict: Verdict) -> str:
    """What would make it right, where that is a simple thing: the other sign, the transpose."""
    if _right(model, -matrix):
        return ": it has the wrong sign"
    if matrix.shape[0] == matrix.shape[1] > 1 and _right(model, matrix.T):
        return ": it is the transpose"
    ratio = verdict.measured / verdict.claimed if verdict.claimed else math.nan
    if math.isfinite(ratio) and _right(model, ratio * matrix):
        return f": all of it must be {ratio:.6g} times as large"
    return ""


def _right(model: Model, matrix: Any) -> bool:
    other = jacobian_model(model.values, model.x, model.at, matrix)
    verdict = quick(other)
    model.count += other.count
    return verdict.kind == "right"
