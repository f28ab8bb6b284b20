"""`explain`: safe steps, posedness and a recommended method for a problem of the user."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from mflow_core.objectives.objective import Objective
from mflow_core.problems.signatures import is_compiled

from mflow.base.checks import (
    as_array,
    as_tuple,
    check_choice,
    check_flags,
    check_function,
    check_instance,
    check_list,
    check_start,
    check_whole,
    real_array,
    shown,
)
from mflow.base.telling import knows_other_words
from mflow.explaining.costs import TRIES, explain_cost, with_trials
from mflow.explaining.equations import explain_equation
from mflow.explaining.examined import FEW, ExaminedCost
from mflow.explaining.report import Report, listed
from mflow.problems.complexes import Pairs, is_complex

__all__ = ["Report", "explain"]


@knows_other_words
def explain(
    fun: Callable[..., Any],
    x0: Any,
    *,
    jac: Any = None,
    kind: str | None = None,
    t_span: Sequence[float] | None = None,
    args: tuple[Any, ...] = (),
    mass: Any = None,
    names: Sequence[str] | None = None,
    check_gradient: bool = True,
    tries: int = TRIES,
) -> Report:
    """Examine a problem: which steps are safe, whether it is well-posed, and which method to use.

    Parameters
    ----------
    fun : callable
        A cost ``fun(x)``, with ``jac=True`` the pair (cost, gradient); or a right-hand side ``fun(t, y)``.
    x0 : array_like of real numbers, any shape; of a right-hand side also complex ones
        Complex components are examined as pairs of real numbers, as `mflow.solve_ivp` takes them.
    jac : callable, True, array_like, sparse matrix or None
        The gradient ``jac(x)`` of a cost, or True; by default central differences (up to 1000 variables). Of a right-hand side the
        Jacobian ``jac(t, y)`` of shape (n, n), or a constant matrix.
    kind : "cost" or "rhs", optional
        By default a function of two arguments (t, y) is a right-hand side, as is one of more whose first is t, or with t_span.
    t_span : (t0, t_end), optional
        Of a right-hand side, (0, 1) by default; t_end may be below t0.
    args : tuple
        Further arguments of fun, jac and mass.
    mass : array_like (n,) or (n, n), sparse matrix, or callable, optional
        M of M y' = fun(t, y), as in `mflow.solve_ivp`, of a right-hand side of up to 400 variables. Where M is singular the eigenvalues
        are those of the components that it moves, and the methods in the table those that take it.
    names : sequence of str, optional
        Methods whose steps are listed; by default all whose limit follows from curvature, or eigenvalues, alone. Of a cost any may be
        named: ``facts`` says what holds for those that divide by past gradients, or find their steps by a line search.
    check_gradient : bool
        Whether the gradient of a cost is compared with the cost at x0, along a fixed direction, by two evaluations (more where these do
        not agree), counted as ``ncheck`` alone.
    tries : int
        Steps in which the recommendation for a cost is tried, beside three usual choices (sgd and momentum with lr = 0.01, adam with
        0.001), and lbfgs, bfgs and cg in as many evaluations: the best of these three is recommended where it leads lower by a tenth
        of its gain, or by a millionth and is as low in half the evaluations. They are not counted in ``nfev``. 0: not at all, as for
        gradients by differences in more than 20 variables. A step that leads up is cut until it leads down.

    Returns
    -------
    Report
        ``str(report)`` is the text; ``curvature`` (an interval), ``steps``, ``safe_steps``, ``facts``, ``verdicts``, ``method``, ``dt``,
        ``parameters``, ``reason``.
        Of a right-hand side ``steps`` are stable at all points of the path that were looked at, ``looked`` says which, and
        ``step_range`` is that of the steps that error control chose. Beside oscillations that grow by themselves they are those with which
        errors grow at most twice as fast. Where its Jacobian is far from normal, as that of upwind
        differences, errors grow by orders of magnitude in steps below these: ``safe_steps``, else the same, are then shorter, with the
        numerical range inside the stability region; where solutions themselves grow for a while, steps with which errors grow as
        these do. nan where none is known.

    Raises
    ------
    TypeError, ValueError
        fun does not return a number (or slopes of y's shape), a cost at x0 or a gradient is not finite, or has another shape than x0; mass
        leaves algebraic equations that are not of index 1.

    See Also
    --------
    mflow.max_stable_dt, mflow.posedness, mflow.minimize, mflow.train

    Examples
    --------
    >>> import mflow
    >>> report = mflow.explain(lambda c: (c @ [0.5 * c[0], 50 * c[1]], [1.0, 100.0] * c), [1.0, 1.0], jac=True)
    >>> report.method, round(report.curvature[1], 3), round(report.steps["sgd"], 4)
    ('momentum', 100.0, 0.02)
    >>> stiff = mflow.explain(lambda t, y: [-1000.0 * y[0] + y[1], -y[1]], [1.0, 1.0], t_span=(0, 100))
    >>> stiff.method, round(stiff.steps["euler"], 6)
    ('bdf', 0.002)

    References
    ----------
    C. Lanczos, J. Res. Nat. Bur. Stand. 45 (1950) 255-282; B. Polyak, USSR Comput. Math. Math. Phys. 4(5) (1964) 1-17.
    """
    pairs, args = Pairs(x0, "x0") if is_complex(x0) else None, as_tuple(args, fun)
    start = check_start(x0, "x0") if pairs is None else pairs.start
    check_flags(check_gradient=check_gradient)
    tries = check_whole(tries, "tries")
    check_function(fun, "fun", "a cost f(x), or a right-hand side f(t, y)")
    if kind is not None:
        check_choice(kind, "kind", ("cost", "rhs"))
    if names is not None:
        names = [
            str(check_instance(name, f"names[{k}]", str, "a text"))
            for k, name in enumerate(check_list(names, "names", 'a list of names, such as ["sgd"]'))
        ]
    if not start.size:
        raise ValueError("x0: expected at least one entry, got none")
    if kind is None:
        kind = "rhs" if _takes_time(fun, len(args), t_span is not None) else "cost"
    if t_span is not None:
        if as_array(t_span, "t_span").shape != (2,):
            raise ValueError(f"t_span: expected two numbers (t0, t_end), got {shown(t_span)}")
        t_span = real_array(t_span, "t_span").tolist()
    table = listed(names, kind == "cost")
    if kind == "rhs":
        if jac is True:
            raise TypeError("jac: expected a function jac(t, y) or a matrix for a right-hand side, got True, which is for costs; omit it")
        if pairs is not None:
            fun, jac, mass = pairs.slopes(fun, False, False), pairs.jacobian(jac), pairs.mass(mass)
        if not (jac is None or callable(jac) or hasattr(jac, "tocsc") or hasattr(jac, "matvec")):
            real_array(jac, "jac")
        return explain_equation(fun, start, jac, t_span or (0.0, 1.0), args, table if names is not None else None, mass)
    if pairs is not None:
        raise TypeError("x0: expected real numbers for a cost, got complex ones; give real and imaginary parts as one array")
    if not (jac is None or callable(jac) or (isinstance(jac, bool | np.bool_) and jac)):
        raise TypeError(f"jac: expected a function, or True where fun returns (cost, gradient), got {shown(jac)}")
    if mass is not None:
        raise ValueError('mass: expected None for a cost, got a matrix; it belongs to M y\' = fun(t, y): give kind="rhs" if fun is that')
    if t_span is not None:
        raise ValueError(
            f't_span: expected None for a cost, got {shown(t_span)}; it belongs to y\' = fun(t, y): give kind="rhs" if fun is that'
        )
    if jac is None and isinstance(fun, Objective):
        jac = fun.grad  # its own
    report = explain_cost(ExaminedCost(fun, jac, args, start), start, table, check_gradient)
    affordable = jac is not None or is_compiled(fun) or start.size <= FEW  # else a gradient takes many evaluations
    return with_trials(report, fun, jac, args, start, tries) if tries and affordable else report


def _takes_time(fun: Any, further: int, spanned: bool) -> bool:
    """Whether a function is one of (t, y), by what it has to be given besides `further` arguments: two; or more, where t is the first or a
    span of time is given."""
    try:
        parameters = inspect.signature(fun).parameters.values()
    except (TypeError, ValueError):
        return False
    places = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    names = [p.name for p in parameters if p.kind in places and p.default is inspect.Parameter.empty]
    return len(names) - further == 2 or (len(names) - further > 2 and (spanned or names[0] == "t"))
