"""Which method gives the direction of a descent: the default, an optimizer as one; and where products with the Hessian come from."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from mflow_core import registry
from mflow_core.problems.sparse import check_sparse, is_sparse

from mflow.base.checks import Array, check_number, real_array, shown
from mflow.base.methods import Method, as_method, get_method, parameters_of

__all__ = ["DEFAULT", "check_default", "direction_of", "minimizers", "products_of", "refuse_scipys", "takes_bounds"]

DEFAULT = "lbfgs"
FIRST_ORDER = "adam"  # what an error about lr names
FRICTION = 0.1  # at dt = 1 a method with friction forgets as much in an iteration as momentum does with mu = 0.9

ELSEWHERE = {  # SciPy's arguments and options that have another name here, or none
    "constraints": "no method here has any; add a penalty to fun, or take SciPy's SLSQP",
    "disp": "print the result, or its message",
    "iprint": "print the result, or its message",
    "ftol": "a run ends by its gradient alone; give gtol=",
    "xrtol": "a run ends by its gradient alone; give gtol=",
    "norm": "gtol bounds the largest entry of the gradient; omit it",
    "maxfun": "iterations are limited; give maxiter=",
    "maxfev": "iterations are limited; give maxiter=",
    "maxls": "give line_search={'kind': 'strong_wolfe', 'max_evaluations': ...}",
    "c1": "give line_search={'kind': 'strong_wolfe', 'c1': ...}",
    "c2": "give line_search={'kind': 'strong_wolfe', 'c2': ...}",
    "eps": "give diff_step=, the lengths of the differences over max(1, |x|)",
    "finite_diff_rel_step": "give diff_step=, the lengths of the differences over max(1, |x|)",
    "return_all": "give path=True",
    "hess_inv0": "the first one is scaled by the first step; omit it",
    "workers": "differences are taken one after the other; omit it",
}


def minimizers(record: Any) -> int:
    """Which records `minimize` offers where a name is not known: directions, then optimizers."""
    return {"direction": 2, "update": 1}.get(record.kind, 0)


def check_default(fun: Any, settings: dict[str, Any], arguments: Iterable[str]) -> None:
    """Raises TypeError for what the default method cannot take: a step, parameters of optimizers, a gradient without its cost."""
    doubtful = settings.keys() & _not_of_the_default()
    for name, value in settings.items() if doubtful else ():
        if name in ("lr", "dt") or (name in doubtful and name not in arguments):
            text = f"{name}: the default method is {DEFAULT}, whose line search finds the step; name the method that takes {name}"
            raise TypeError(f"{text}, as in method={FIRST_ORDER!r}, {name}={value if callable(value) else shown(value)}")
    if fun is None:
        raise TypeError(
            f"method: the default, {DEFAULT}, compares values of the cost, and fun=None gives none; give method={FIRST_ORDER!r}"
        )


def refuse_scipys(settings: dict[str, Any], method: Method) -> None:
    """Raises TypeError for arguments of SciPy's that the method does not have; those that ask for nothing are taken out."""
    for name in settings.keys() & ELSEWHERE.keys():
        if name in ("constraints", "disp") and not settings[name]:
            del settings[name]
        elif not method.takes(name):
            raise TypeError(f"{name}: {ELSEWHERE[name]}")


@functools.cache
def _not_of_the_default() -> frozenset[str]:
    """The step, and the parameters of optimizers that the default method does not have."""
    optimizers = {p.name for record in registry.records() if record.kind == "update" for p in parameters_of(record)}
    return frozenset((optimizers - set(get_method(DEFAULT).parameters)) | {"lr", "dt"})


def products_of(method: Method, hess: Any, hessp: Any, args: tuple[Any, ...]) -> Callable[[Array, Array], Any] | None:
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
    if hess is None:
        return None
    if callable(hess):
        return _Remembered(hess, args)
    matrix = _checked(hess)
    return lambda x, p: matrix @ p.ravel()


def _checked(hess: Any) -> Any:
    """A Hessian that SciPy's routines may read: a sparse one by its structure. Raises TypeError or ValueError."""
    return check_sparse(hess, "hess") if is_sparse(hess) else real_array(hess, "hess")


class _Remembered:
    """Products with a Hessian that is evaluated once a point."""

    def __init__(self, hess: Callable[..., Any], args: tuple[Any, ...]) -> None:
        self.hess, self.args = hess, args
        self.at: Array | None = None
        self.matrix: Any = None

    def __call__(self, x: Array, p: Array) -> Any:
        if self.at is None or not np.array_equal(self.at, x):
            self.matrix, self.at = _checked(self.hess(x.copy(), *self.args)), x
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
