"""Common curves, and fits of compiled residuals: alone, within bounds, with parameters that are held, and in a batch."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

import mflow

from .costs import looked_at
from .inputs import hidden, numbers
from .record import Case

FITTED = ("x", "dt", "cosine", "reason", "nfev", "njev", "nit")
MANY = ("x", "cost", "optimality", "errors", "reason", "nfev", "nit")


def curve(name: str) -> Any:
    x = np.sort(numbers(17, 80, 0.25, 4.0))
    n = len(hidden(mflow.objectives.curve, "parameter_names")(name))
    f = mflow.objectives.curve(name, x, x0=numbers(n, 81, 0.5, 1.5))
    return mflow.objectives.curve(name, x, f.residuals(f.x0) + 0.03125 * numbers(17, 82), x0=f.x0 * 1.0625)


def fitted(name: str, **options: Any) -> Any:
    f = mflow.objectives.nist(name)
    if options.pop("cut", False):
        options["bounds"] = (np.where(np.arange(f.n) % 2, -np.inf, f.x0 - 0.0078125 * np.abs(f.x0)), np.inf)
    return mflow.least_squares(f, f.x0, **options)


def many() -> Any:
    f = curve("michaelis_menten")
    data = np.array([f.residuals(f.x0 * 0.9375) + 0.0625 * numbers(17, 83 + k) for k in range(9)])
    return mflow.least_squares_batch(f, np.broadcast_to(f.x0, (9, f.n)), batch_data={"y": data}, errors=True)


def cases() -> Iterator[Case]:
    """All cases of this file."""
    for name in hidden(mflow.objectives.curve, "curve_names")():
        yield Case(f"objective curve {name}", partial(looked_at, partial(curve, name)), machine="libm" in curve(name).flags)
    for name in ("Misra1a", "Thurber", "Rat43", "Lanczos2"):
        yield Case(f"least_squares compiled {name}", partial(fitted, name), FITTED)
        yield Case(f"least_squares bounds {name}", partial(fitted, name, cut=True), FITTED)
    yield Case("least_squares fixed", partial(fitted, "Gauss1", fixed=[2, 5]), FITTED)
    yield Case("least_squares acceleration", partial(fitted, "Gauss1", acceleration=True), FITTED)
    yield Case("least_squares_batch", many, MANY)
