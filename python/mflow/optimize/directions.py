"""Which method gives the direction of a descent: the default, an optimizer as one; and where products with the Hessian come from."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Collection, Mapping
from typing import Any, NamedTuple

import numpy as np
from mflow_core import registry
from mflow_core.optimize import line_descent
from mflow_core.problems.sparse import check_sparse, is_sparse

from mflow.base.checks import Array, check_number, real_array, shown
from mflow.base.foreign import ARGUMENTS, ONE_BY_ONE, SEEN, asks_nothing
from mflow.base.methods import Method, as_method, get_method, parameters_of, refuse_unknown
from mflow.optimize.linesearch import LineSearch

__all__ = [
    "OWN",
    "Ruled",
    "Tests",
    "check_box",
    "check_options",
    "chosen",
    "direction_of",
    "inverse_kept",
    "inverse_of",
    "lengths_of",
    "minimizers",
    "products_of",
    "ruled",
    "takes_bounds",
    "usual",
]

DEFAULT = "lbfgs"
FIRST_ORDER = "adam"  # what an error about lr names
FRICTION = 0.1  # at dt = 1 a method with friction forgets as much in an iteration as momentum does with mu = 0.9

CLIPPED = "an optimizer takes clip_value= here, which bounds each entry of the gradient; mflow.train and mflow.optim have clip_norm="
# What arguments and options of other libraries are told here, of one descent and of a batch.
OWN = {
    **dict.fromkeys(("clip_norm", "max_norm", "max_grad_norm", "clipnorm"), CLIPPED),
    "constraints": "no method here has any; add a penalty to fun, or take SciPy's SLSQP",
    "ftol": "without a line search, and in a batch, a run ends by its gradient alone; give gtol=",
    "xrtol": "without a line search, and in a batch, a run ends by its gradient alone; give gtol=",
    "norm": "gtol bounds the largest entry of the gradient; omit it",
    "maxfun": "without a line search, and in a batch, iterations are limited; give maxiter=",
    "maxfev": "give maxiter=, or of one run with a line search maxfun=",
    "maxls": "give line_search={'kind': 'strong_wolfe', 'max_evaluations': ...}",
    "c1": "give line_search={'kind': 'strong_wolfe', 'c1': ...}",
    "c2": "give line_search={'kind': 'strong_wolfe', 'c2': ...}",
    "hess_inv0": "the first one is scaled by the first step; omit it",
    "inexact": "trust_ncg solves its subproblem by Steihaug's conjugate gradients; omit it",
    "subproblem": "trust_ncg solves its subproblem by Steihaug's conjugate gradients; omit it",
    "subproblem_maxiter": "trust_ncg ends its conjugate gradients by their residual; omit it",
}
OF_ONE = {**OWN, "workers": ONE_BY_ONE, "disp": SEEN, "iprint": SEEN, "verbose": SEEN}  # no bar of searches; threads= is for batches
SEARCH = {"c1": "c1", "c2": "c2", "maxls": "max_evaluations"}  # of strong_wolfe, by our names
Ruled = tuple[Method, LineSearch, dict[str, Any], bool]  # the direction, the search, its numbers in the core, whether it is a trust region


class Tests(NamedTuple):
    """SciPy's further tests of the end, of runs that search: a change of the cost of at most ftol of it (L-BFGS-B's), a step of at most
    xrtol of x (BFGS's), and evaluations of the cost, looked at after each iteration."""

    ftol: float = 0.0
    xrtol: float = 0.0
    maxfun: float = math.inf


def minimizers(record: Any) -> int:
    """Which records `minimize` offers where a name is not known: directions, then optimizers."""
    return {"direction": 2, "update": 1}.get(record.kind, 0)


def chosen(fun: Any, method: Any, settings: dict[str, Any], more: bool, arguments: Collection[str]) -> tuple[Method, Tests | None]:
    """(the method, SciPy's further tests of the end) of a call; more: whether there are options, or parameters of the method.

    Raises TypeError or ValueError for what does not fit; SciPy's options in `settings` get our names.
    """
    made = as_method(DEFAULT if method is None else method, {}, fits=minimizers)
    tests = take_scipys(settings, made) if more else None
    if method is None and (more or fun is None):
        check_default(fun, settings, arguments)
    if more:
        refuse_unknown("minimize", settings, made, arguments, OF_ONE)
    return made, tests


def check_options(options: Any) -> None:
    """Raises TypeError for options that are no dict, or hold what is an argument of its own."""
    if not isinstance(options, Mapping):
        raise TypeError(f"options: expected a dict of arguments, got {shown(options)}")
    for name in options.keys() & {"bounds", "fixed", "hess", "hessp", "jac", "method", "callback"}:
        raise TypeError(f"{name}: it is an argument of minimize, got it in options; give {name}=")


def check_default(fun: Any, settings: dict[str, Any], arguments: Collection[str]) -> None:
    """Raises TypeError for what the default method cannot take: a step, parameters of optimizers, a gradient without its cost."""
    doubtful = settings.keys() & _not_of_the_default()
    for name, value in settings.items() if doubtful else ():
        if name in ("lr", "dt") or (name in doubtful and name not in arguments and name not in ARGUMENTS):
            text = f"{name}: the default method is {DEFAULT}, whose line search finds the step; name the method that takes {name}"
            raise TypeError(f"{text}, as in method={FIRST_ORDER!r}, {name}={value if callable(value) else shown(value)}")
    if fun is None:
        raise TypeError(
            f"method: the default, {DEFAULT}, compares values of the cost, and fun=None gives none; give method={FIRST_ORDER!r}"
        )


def take_scipys(settings: dict[str, Any], method: Method) -> Tests | None:
    """The tests of the end that SciPy's options ask for, where there are any; those of its line search become ``line_search``."""
    given, direction = settings["line_search"], method.kind == "direction" and "trust_region" not in method.flags
    names = Tests._fields if direction or given is not None else ()
    tests = {name: settings.pop(name) for name in names if name in settings and not method.takes(name)}
    rule = {name: settings.pop(name) for name in SEARCH if name in settings and direction and given is None}
    tests, rule = ({name: value for name, value in some.items() if not asks_nothing(name, value)} for some in (tests, rule))
    if rule:
        settings["line_search"] = {"kind": "strong_wolfe", **{SEARCH[name]: value for name, value in rule.items()}}
    return Tests(**{name: check_number(value, name, low=0.0) for name, value in tests.items()}) if tests else None


@functools.cache
def _not_of_the_default() -> frozenset[str]:
    """The step, and the parameters of optimizers that the default method does not have."""
    optimizers = {p.name for record in registry.records() if record.kind == "update" for p in parameters_of(record)}
    return frozenset((optimizers - set(get_method(DEFAULT).parameters)) | {"lr", "dt"})


def products_of(method: Method, hess: Any, hessp: Any, args: tuple[Any, ...], n: int) -> Callable[[Array, Array], Any] | None:
    """``product(x, p)`` from hessp or hess; None where neither is given, or an implicit method takes hess itself."""
    if "trust_region" not in method.flags:
        if hessp is not None:
            raise ValueError(f"hessp: trust_ncg takes products with the Hessian, {method.name} does not; omit it")
        if hess is not None and not method.is_implicit:
            raise ValueError(f"hess: trust_ncg and implicit methods take it, {method.name} does not; omit it")
        return None
    if hessp is not None:
        if not callable(hessp):
            raise TypeError(f"hessp: expected a function hessp(x, p), got {shown(hessp)}")
        return lambda x, p: hessp(x, p, *args)
    if hess is None or (isinstance(hess, str) and hess == "2-point"):  # differences of gradients
        return None
    if isinstance(hess, str):
        raise ValueError(f"hess: expected a function, a matrix, '2-point' or None (differences of gradients), got {shown(hess)}")
    if callable(hess):
        return _Remembered(hess, args, n)
    matrix = _checked(hess, n)
    return lambda x, p: matrix @ p.ravel()


def _checked(hess: Any, n: int) -> Any:
    """A Hessian of n parameters that SciPy's routines may read: a sparse one by its structure. Raises TypeError or ValueError."""
    matrix = check_sparse(hess, "hess") if is_sparse(hess) else real_array(hess, "hess")
    if matrix.size == 1 and n == 1 and not is_sparse(hess):
        return matrix.reshape(1, 1)
    if matrix.shape != (n, n):
        raise ValueError(f"hess: expected a matrix of shape ({n}, {n}), got shape {matrix.shape}")
    return matrix


class _Remembered:
    """Products with a Hessian that is evaluated once a point."""

    def __init__(self, hess: Callable[..., Any], args: tuple[Any, ...], n: int) -> None:
        self.hess, self.args, self.n = hess, args, n
        self.at: Array | None = None
        self.matrix: Any = None

    def __call__(self, x: Array, p: Array) -> Any:
        if self.at is None or not np.array_equal(self.at, x):
            self.matrix, self.at = _checked(self.hess(x.copy(), *self.args), self.n), x
        return self.matrix @ p.ravel()


def takes_bounds() -> list[str]:
    """The directions that respect bounds."""
    return [record.name for record in registry.records() if record.kind == "direction" and record.takes_bounds]


def direction_of(method: str | Method, settings: dict[str, Any], kind: str) -> tuple[Method, float]:
    """(the method, an optimizer with lr = 1; the first step that the first search tries or 0)."""
    given = dict(settings)
    method = as_method(method, {})
    if method.kind not in ("update", "direction"):
        hint = "method='steepest_descent' searches along -grad" if method.name == "euler" else "take an optimizer, such as steepest_descent"
        raise ValueError(f"line_search: {method.name} gives no direction to search along; {hint}")
    if "dt" in given and "lr" in given:
        raise TypeError("lr, dt: they are one thing here, got both; give one of them")
    first = given.pop("dt", given.pop("lr", None))
    if first is not None and (callable(first) or isinstance(first, str) or not check_number(first, "lr") > 0.0):
        raise ValueError(f"lr: with a line search it is the first step tried; expected a number above 0, got {first!r}")
    if method.takes("friction"):
        given = {"friction": FRICTION, **method.given, **given}
    made = as_method(method, {**given, "lr": 1.0} if method.kind == "update" else given)
    if kind == "barzilai_borwein" and made.name != "sgd":
        raise ValueError(f"line_search: Barzilai and Borwein's steps belong to method='steepest_descent', got {made.name}")
    if made.takes("weight_decay") and made.parameters["weight_decay"]:
        text = f"weight_decay: a search follows the cost alone, got {made.parameters['weight_decay']:g} of {made.name}"
        raise ValueError(f"{text}; put the penalty into fun, and give weight_decay=0")
    return made, 0.0 if first is None else float(first)


def lengths_of(x_scale: Any, start: Array, method: Method, searches: bool) -> Array | None:
    """The lengths that ``x_scale=`` says, of start's shape; None for none. Raises TypeError or ValueError."""
    if x_scale is None:
        return None
    from mflow.derivatives.scales import read_scale  # few calls need it

    scale = read_scale(x_scale, start)
    if not searches:
        raise ValueError(f"x_scale: {method.name} without a line search takes none; give line_search= or method='lbfgs', or omit it")
    return scale


@functools.lru_cache(maxsize=64)
def inverse_kept(kind: type[Method]) -> str:
    """What a method keeps of the inverse Hessian: "pairs" of differences, the "whole" of it, or nothing."""
    return ("pairs" if kind.takes("maxcor") else "whole") if kind.record.family == "quasi_newton" else ""


def inverse_of(whole: bool, run: Any, n: int, how: tuple[Any, ...]) -> Any:
    """That inverse Hessian where a run of `mflow_core.optimize.line_descent` has ended."""
    from mflow.curvature.inverse import InverseHessian  # few results are asked for it

    inverse = InverseHessian(run, n, how)
    return inverse.whole() if whole else inverse


def ruled(method: Method, search: LineSearch, settings: dict[str, Any]) -> Ruled:
    """What a descent follows. Raises TypeError or ValueError."""
    made, first = direction_of(method, settings, search.kind)
    return made, search, {**search.rule(), "first_try": first}, "trust_region" in made.flags


@functools.lru_cache(maxsize=64)
def usual(kind: type[Method], search: str) -> Ruled:
    """What a descent follows of a method as it is and a search by its name."""
    method, how, rule, trusts = ruled(kind(), LineSearch.of(search), {})
    return method, how, {name: value for name, value in rule.items() if value != line_descent.USUAL[name]}, trusts


def check_box(method: Method, bounded_by: str) -> None:
    """Raises ValueError where the method takes no bounds, which there are."""
    if method.name not in takes_bounds():
        does = "holds no parameter" if bounded_by == "fixed" else "takes none"
        text = f"{bounded_by}: {method.name} with a line search {does}; give method={' or '.join(map(repr, takes_bounds()))}"
        raise ValueError(text + (", or omit line_search" if method.kind == "update" else ""))
