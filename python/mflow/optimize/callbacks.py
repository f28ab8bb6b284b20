"""Callbacks of minimisers, in both of SciPy's forms."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from mflow.base.checks import check_function
from mflow.base.progress import ask, says_stop
from mflow.base.result import OptimizeResult, Result

__all__ = ["teller", "where_it_is"]


def teller(callback: Callable[..., Any] | None, intermediate: Callable[[Any], Result]) -> Callable[[Any], bool] | None:
    """``tell(run)`` calls the user's callback in the form it has; whether to stop. None where there is no callback.

    A callback whose only parameter is ``intermediate_result`` is given ``intermediate(run)``, any other one its x.
    """
    if callback is None:
        return None
    check_function(callback, "callback")
    try:
        whole = list(inspect.signature(callback).parameters) == ["intermediate_result"]
    except (TypeError, ValueError):  # a callable without a signature takes the point
        whole = False

    def tell(run: Any) -> bool:
        result: Any = intermediate(run)
        try:
            named, given = ({"intermediate_result": result}, ()) if whole else ({}, (result.x,))
            return says_stop(ask("the callback", callback, *given, **named))
        except StopIteration:
            return True

    return tell


def where_it_is(descent: Any) -> OptimizeResult:
    """What a callback of `minimize` is told."""
    x, value, grad = descent.here()
    return OptimizeResult(x=x, fun=value, jac=grad, nit=descent.nit, nfev=descent.nfev, njev=descent.njev)
