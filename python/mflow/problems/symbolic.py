"""Compiled functions from sympy expressions, with their derivatives: the text of a Python function, compiled by `mflow.compile`.

Common subexpressions are computed once. The symbols of the state become real ones, so that |x| has the derivative sign(x). The derivative
of a step is 0 away from its jump, as Newton's iteration needs it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from mflow.base.checks import check_flags, check_list, shown
from mflow.base.extras import need
from mflow.base.telling import knows_other_words
from mflow.problems.compiled import Compiled, compile, need_numba

__all__ = ["compiled_from_sympy"]


@knows_other_words
def compiled_from_sympy(
    expressions: Any, symbols: Sequence[Any], *, t: Any = None, velocities: Sequence[Any] | None = None,
    parameters: Mapping[Any, float] | None = None, batch: bool = False, batch_args: Sequence[Any] | None = None,
) -> Compiled:  # fmt: skip
    """A compiled function from symbols, with its derivatives: the Jacobian of a right-hand side, gradient and Hessian of a cost.

    Parameters
    ----------
    expressions : sequence of n sympy expressions, or one
        n: a right-hand side y' = expressions, or, with ``velocities``, a force. One alone: a cost.
    symbols : sequence of n sympy symbols
        The components of the state.
    t : symbol, optional
        The time.
    velocities : sequence of n symbols, optional
        Their velocities: then the expressions are the force of M x'' = F(t, x, v).
    parameters : mapping of symbols to numbers, optional
        Values that replace symbols.
    batch : bool
        Whether to write a right-hand side for blocks of trajectories, for `solve_ivp_batch` with ``batch=True``: the fast way there. It
        has no Jacobian.
    batch_args : sequence of symbols, optional
        With ``batch=True``: symbols whose values are each trajectory's own, in the order of a row of that function's ``batch_args``.

    Returns
    -------
    Compiled
        With ``jac`` (right-hand side) or ``hess`` (cost), which drivers use without being told.

    Raises
    ------
    ImportError
        sympy or numba is not installed.
    ValueError
        Symbols that are neither state, time nor parameter; functions that cannot be written as code; a number of expressions that
        differs from that of the symbols.

    See Also
    --------
    mflow.compile

    Examples
    --------
    >>> import mflow, sympy
    >>> x, y = sympy.symbols("x y")
    >>> f = mflow.compiled_from_sympy(100 * (y - x**2) ** 2 + (1 - x) ** 2, [x, y])
    >>> res = mflow.minimize(f, [-1.2, 1.0], method="backward_euler", dt=100.0, gtol=1e-8, maxiter=1000)
    >>> res.success, bool(abs(res.x - 1).max() < 1e-6)
    (True, True)

    Many trajectories, each with its own rate:

    >>> k = sympy.Symbol("k")
    >>> f = mflow.compiled_from_sympy([-k * x], [x], batch=True, batch_args=[k])
    >>> r = mflow.solve_ivp_batch(f, (0, 1), [1.0], batch=True, batch_args=[[0.5], [1.0], [2.0]], rtol=1e-8, atol=1e-10)
    >>> r.y[:, 0].round(6).tolist()
    [0.606531, 0.367879, 0.135335]
    """
    sympy = need("sympy", "mflow.compiled_from_sympy")  # first: its extra brings numba, too
    need_numba()
    if not isinstance(parameters, Mapping | None):
        raise TypeError(f"parameters: expected a dict of numbers by symbol or name, got {shown(parameters)}")
    check_flags(batch=batch)
    if velocities is not None:
        velocities = check_list(velocities, "velocities", "sympy symbols")
    own = [] if batch_args is None else check_list(batch_args, "batch_args", "sympy symbols")
    state = list(symbols) if isinstance(symbols, (list, tuple, sympy.Tuple, sympy.MatrixBase)) else [symbols]
    moving = list(velocities) if velocities is not None else []
    several = isinstance(expressions, (list, tuple, sympy.Tuple, sympy.MatrixBase))
    if not several and moving:
        raise ValueError("velocities: expected a list of expressions with them, a force, got one expression, which is a cost")
    if own and not batch:
        raise ValueError("batch_args: expected none without batch=True; give values in parameters=")
    if batch and (moving or not several):
        raise ValueError("batch: expected a list of expressions with it, a right-hand side, got a force or a cost")
    given = {sympy.sympify(name): sympy.sympify(value) for name, value in (parameters or {}).items()}
    entries = [_expression(sympy, e).subs(given) for e in (expressions if several else [expressions])]
    _check_symbols(sympy, entries, state, moving, own, t)
    if several and len(entries) != len(state):
        raise ValueError(f"expressions: expected {len(state)}, one for each symbol, got {len(entries)}")
    if moving and len(moving) != len(state):
        raise ValueError(f"velocities: expected {len(state)}, one for each symbol, got {len(moving)}")
    # New symbols, which are real: |x| has the derivative sign(x), and names cannot clash with Python's.
    letter = "y" if several and not moving else "x"
    real = {symbol: sympy.Symbol(f"{letter}{i}_", real=True) for i, symbol in enumerate(state)}
    real |= {symbol: sympy.Symbol(f"v{i}_", real=True) for i, symbol in enumerate(moving)}
    real |= {symbol: sympy.Symbol(f"p{i}_", real=True) for i, symbol in enumerate(own)}
    real |= {} if t is None else {t: sympy.Symbol("t_", real=True)}
    entries = [entry.xreplace(real) for entry in entries]
    state, n = [real[symbol] for symbol in state], len(state)
    if not several:
        return _symbolic_cost(sympy, entries[0], state)
    if batch:
        block = compile(_written(sympy, "rhs(t, y, out, n, lanes)", entries, n, own=len(own)), kind="block", inplace=True)
        block.n, block.n_args = n, len(own)
        return block
    if moving:
        pull = compile(_written(sympy, "force(t_, x, v, out)", entries, n), kind="force", inplace=True, boundscheck=False)
        pull.n = n
        return pull
    derivatives = [sympy.diff(entry, symbol) for entry in entries for symbol in state]
    slope = compile(_written(sympy, "jac(t_, y, out)", derivatives, n, square=True), kind="jac", inplace=True, boundscheck=False)
    made = compile(_written(sympy, "rhs(t_, y, out)", entries, n), kind="rhs", inplace=True, boundscheck=False)
    made.jac, made.n, slope.n = slope, n, n
    return made


def _expression(sympy: Any, given: Any) -> Any:
    """A scalar expression of sympy. Raises TypeError for anything else."""
    expected = "real sympy expressions, one or a list"
    try:
        made = sympy.sympify(given)
    except (sympy.SympifyError, TypeError, ValueError, AttributeError):
        raise TypeError(f"expressions: expected {expected}, got {shown(given)}") from None
    if not isinstance(made, sympy.Expr) or made.has(sympy.I) or any(abs(n) > sys.float_info.max for n in made.atoms(sympy.Rational)):
        raise TypeError(f"expressions: expected {expected}, got {shown(given)}")
    return made


def _check_symbols(sympy: Any, entries: list[Any], state: list[Any], moving: list[Any], own: list[Any], t: Any) -> None:
    known = [*state, *moving, *own, *([] if t is None else [t])]
    for symbol in known:
        if not isinstance(symbol, sympy.Symbol):
            lists = {"velocities": moving, "batch_args": own, "symbols": state}
            name = "t" if symbol is t else next(name for name, of in lists.items() if any(symbol is one for one in of))
            raise ValueError(f"{name}: expected sympy symbols, got {shown(symbol)}; replace functions of time by symbols for their values")
    if len(set(known)) != len(known):
        twice = next(symbol for symbol in known if known.count(symbol) > 1)
        raise ValueError(f"symbols: expected each once among state, velocities, batch_args and t, got {twice} twice")
    free = sorted({str(s) for entry in entries for s in entry.free_symbols - set(known)})
    if free:
        raise ValueError(f"expressions: expected state and time, got {', '.join(free)}, too; give values in parameters=")


def _symbolic_cost(sympy: Any, cost: Any, state: list[Any]) -> Compiled:
    slope = [sympy.diff(cost, symbol) for symbol in state]
    second = [sympy.diff(entry, symbol) for entry in slope for symbol in state]
    made = compile(
        _written(sympy, "cost(x, out)", [*slope, cost], len(state), returns=True), kind="objective", inplace=True, boundscheck=False
    )
    made.hess = compile(_written(sympy, "hess(x, out)", second, len(state), square=True), kind="hess", inplace=True, boundscheck=False)
    made.n = made.hess.n = len(state)
    return made


def _written(
    sympy: Any, head: str, entries: list[Any], n: int, *, square: bool = False, returns: bool = False, own: int | None = None
) -> Callable[..., Any]:
    """A Python function, head, that fills out with the entries, common parts computed once.

    returns: the last entry is what it returns. own: it is a loop over a block of trajectories, each with so many arguments of its own.
    """
    from sympy.printing.pycode import PythonCodePrinter

    class Printer(PythonCodePrinter):  # type: ignore[misc]
        def _print_Function(self, expr: Any) -> str:
            raise ValueError(f"expressions: expected functions that can be written as code, got {expr.func}; write it out")

    name, _, arguments = head.rstrip(")").partition("(")
    parts, entries = sympy.cse([_stepped(sympy, entry) for entry in entries], symbols=sympy.numbered_symbols("part"))
    printer = Printer({"fully_qualified_modules": True})
    if own is None:
        lines = [f"{v}{i}_ = {v}[{i}]" for v in arguments.split(", ") if v in ("x", "v", "y") for i in range(n)]
    else:
        lines = ["t_ = t[l]", *(f"y{i}_ = y[{i} * lanes + l]" for i in range(n))]
        lines += [f"p{j}_ = y[{n + j} * lanes + l]" for j in range(own)]
    try:
        lines += [f"{symbol} = {printer.doprint(value)}" for symbol, value in parts]
        for k, entry in enumerate(entries):
            place = f"{k // n}, {k % n}" if square else str(k) if own is None else f"{k} * lanes + l"
            target = "return" if returns and k == len(entries) - 1 else f"out[{place}] ="
            lines.append(f"{target} {printer.doprint(entry)}")
    except NotImplementedError as error:
        raise ValueError(f"expressions: expected functions that can be written as code, got: {str(error).splitlines()[0]}") from None
    start = [f"def {head}:"] if own is None else [f"def {head}:", "    for l in range(lanes):"]
    text = "\n".join([*start, *(4 * len(start) * " " + line for line in lines)])
    import math

    space: dict[str, Any] = {"math": math}
    exec(text, space)
    made: Callable[..., Any] = space[name]
    made.mflow_source = text  # type: ignore[attr-defined]
    return made


def _stepped(sympy: Any, entry: Any) -> Any:
    """Derivatives of kinks as code can have them: steps by cases, and nothing for the impulse at the jump itself."""

    def step(at: Any, *middle: Any) -> Any:
        (middle,) = middle or (sympy.Rational(1, 2),)
        return sympy.Piecewise((0, at < 0), (middle, sympy.Eq(at, 0)), (1, True))

    return entry.replace(sympy.Heaviside, step).replace(sympy.DiracDelta, lambda *_: sympy.Integer(0))
