"""Compiled functions from symbols, with the derivatives that sympy finds: the text of a Python function, given to `mflow.compile`.

Common parts are computed once. The state's symbols become real ones, so that |x| has the derivative sign(x); a step's derivative is 0
away from its jump, which is what Newton's iteration wants.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from mflow.problems.compiled import Compiled, compile, need_numba

__all__ = ["compiled_from_sympy"]


def compiled_from_sympy(
    expressions: Any, symbols: Sequence[Any], *, t: Any = None, velocities: Sequence[Any] | None = None,
    parameters: Mapping[Any, float] | None = None,
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
        Put in their place.

    Returns
    -------
    Compiled
        With ``jac`` (right-hand side) or ``hess`` (cost), which the drivers take by themselves.

    Raises
    ------
    ImportError
        sympy or numba is not installed.
    ValueError
        Symbols that are neither state, time nor parameter; functions that have no code; a number of expressions that is not that of
        the symbols.

    Examples
    --------
    >>> import mflow, sympy
    >>> x, y = sympy.symbols("x y")
    >>> f = mflow.compiled_from_sympy(100 * (y - x**2) ** 2 + (1 - x) ** 2, [x, y])
    >>> res = mflow.minimize(f, [-1.2, 1.0], method="backward_euler", dt=100.0, gtol=1e-8, maxiter=1000)
    >>> res.success, bool(abs(res.x - 1).max() < 1e-6)
    (True, True)
    """
    need_numba()
    try:
        import sympy
    except ImportError:
        raise ImportError("mflow.compiled_from_sympy needs sympy, which is not installed: pip install 'momentum-flow[sympy]'") from None
    state = list(symbols) if isinstance(symbols, (list, tuple, sympy.Tuple, sympy.MatrixBase)) else [symbols]
    moving = list(velocities) if velocities is not None else []
    several = isinstance(expressions, (list, tuple, sympy.Tuple, sympy.MatrixBase))
    if not several and moving:
        raise ValueError("velocities: they belong to a force, which is a list of expressions; one expression alone is a cost")
    given = {sympy.sympify(name): sympy.sympify(value) for name, value in (parameters or {}).items()}
    rows = [sympy.sympify(e).subs(given) for e in (expressions if several else [expressions])]
    _check_symbols(sympy, rows, state, moving, t)
    if several and len(rows) != len(state):
        raise ValueError(f"expressions: {len(rows)} came for {len(state)} symbols: one for each component is wanted")
    if moving and len(moving) != len(state):
        raise ValueError(f"velocities: {len(moving)} came for {len(state)} symbols")
    # Real symbols of our own from here on: |x| has the derivative sign(x), and names cannot clash with Python's.
    letter = "y" if several and not moving else "x"
    own = {symbol: sympy.Symbol(f"{letter}{i}_", real=True) for i, symbol in enumerate(state)}
    own |= {symbol: sympy.Symbol(f"v{i}_", real=True) for i, symbol in enumerate(moving)}
    own |= {} if t is None else {t: sympy.Symbol("t_", real=True)}
    rows = [row.xreplace(own) for row in rows]
    state, n = [own[symbol] for symbol in state], len(state)
    if not several:
        return _symbolic_cost(sympy, rows[0], state)
    if moving:
        pull = compile(_written(sympy, "force(t_, x, v, out)", rows, n), kind="force", inplace=True, boundscheck=False)
        pull.n = n
        return pull
    derivatives = [sympy.diff(row, symbol) for row in rows for symbol in state]
    slope = compile(_written(sympy, "jac(t_, y, out)", derivatives, n, square=True), kind="jac", inplace=True, boundscheck=False)
    made = compile(_written(sympy, "rhs(t_, y, out)", rows, n), kind="rhs", inplace=True, boundscheck=False)
    made.jac, made.n, slope.n = slope, n, n
    return made


def _check_symbols(sympy: Any, rows: list[Any], state: list[Any], moving: list[Any], t: Any) -> None:
    known = [*state, *moving, *([] if t is None else [t])]
    for symbol in known:
        if not isinstance(symbol, sympy.Symbol):
            raise ValueError(f"symbols: {symbol!r} is no symbol: give sympy.symbols(...), and functions of time by their values' symbols")
    if len(set(known)) != len(known):
        raise ValueError("symbols: one of them came twice (among state, velocities and t)")
    free = sorted({str(s) for row in rows for s in row.free_symbols - set(known)})
    if free:
        raise ValueError(f"expressions: {', '.join(free)} is neither state nor time: give it a value in parameters=")


def _symbolic_cost(sympy: Any, cost: Any, state: list[Any]) -> Compiled:
    slope = [sympy.diff(cost, symbol) for symbol in state]
    second = [sympy.diff(entry, symbol) for entry in slope for symbol in state]
    made = compile(
        _written(sympy, "cost(x, out)", [*slope, cost], len(state), returns=True), kind="objective", inplace=True, boundscheck=False
    )
    made.hess = compile(_written(sympy, "hess(x, out)", second, len(state), square=True), kind="hess", inplace=True, boundscheck=False)
    made.n = made.hess.n = len(state)
    return made


def _written(sympy: Any, head: str, rows: list[Any], n: int, *, square: bool = False, returns: bool = False) -> Callable[..., Any]:
    """A Python function, head, that fills out with the rows, common parts computed once; returns: the last row is what it returns."""
    from sympy.printing.pycode import PythonCodePrinter

    class Printer(PythonCodePrinter):  # type: ignore[misc]
        def _print_Function(self, expr: Any) -> str:
            raise ValueError(f"expressions: {expr.func} has no code: write it out")

    name, _, arguments = head.rstrip(")").partition("(")
    parts, rows = sympy.cse([_stepped(sympy, row) for row in rows], symbols=sympy.numbered_symbols("part"))
    printer = Printer({"fully_qualified_modules": True})
    lines = [f"def {head}:"]
    lines += [f"    {v}{i}_ = {v}[{i}]" for v in arguments.split(", ") if v in ("x", "v", "y") for i in range(n)]
    try:
        lines += [f"    {symbol} = {printer.doprint(value)}" for symbol, value in parts]
        for k, row in enumerate(rows):
            place = f"{k // n}, {k % n}" if square else str(k)
            target = "return" if returns and k == len(rows) - 1 else f"out[{place}] ="
            lines.append(f"    {target} {printer.doprint(row)}")
    except NotImplementedError as error:
        raise ValueError(f"expressions: there is something in them that has no code: {str(error).splitlines()[0]}") from None
    text = "\n".join(lines)
    import math

    space: dict[str, Any] = {"math": math}
    exec(text, space)
    made: Callable[..., Any] = space[name]
    made.mflow_source = text  # type: ignore[attr-defined]
    return made


def _stepped(sympy: Any, row: Any) -> Any:
    """Derivatives of kinks as code can have them: steps by cases, and nothing for the impulse at the jump itself."""

    def step(at: Any, *middle: Any) -> Any:
        (middle,) = middle or (sympy.Rational(1, 2),)
        return sympy.Piecewise((0, at < 0), (middle, sympy.Eq(at, 0)), (1, True))

    return row.replace(sympy.Heaviside, step).replace(sympy.DiracDelta, lambda *_: sympy.Integer(0))
