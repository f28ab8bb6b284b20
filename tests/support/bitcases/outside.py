"""Test problems, data, and what other libraries drive: their own arithmetic takes part, so that all but data are the machine's own."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

import mflow
import mflow.testproblems

from .inputs import Cost, Field, Rows
from .record import Case


def problem(name: str) -> Any:
    p = mflow.testproblems.get_problem(name)
    y = p.y0 + 0.015625 * (1.0 + np.abs(p.y0))
    return {"F": p.fun(0.25, y), "J": p.jac(0.25, y), "y0": p.y0, "y_end": p.y_end, "t_span": list(p.t_span)}


def driven_by_scipy(method: Any) -> Any:
    import scipy.integrate

    import mflow.scipy

    field = Field(7)
    control = {"rtol": 1e-6, "atol": 1e-8} if method.order_hat is not None else {"dt": 0.07}
    r = scipy.integrate.solve_ivp(field, (0.0, 1.25), field.y0, method=getattr(mflow.scipy, type(method).__name__), **control)
    return {"y": r.y, "t": r.t, "nfev": r.nfev, "njev": r.njev, "nlu": r.nlu}


def minimized_by_scipy(method: Any) -> Any:
    import scipy.optimize

    import mflow.scipy

    cost = Cost(7)
    own = getattr(mflow.scipy, f"minimize_{method.name}")
    r = scipy.optimize.minimize(cost.value, cost.c0, jac=cost.grad, method=own, options={"maxiter": 20, "lr": 0.03125})
    return {"x": r.x, "fun": r.fun, "nit": r.nit, "nfev": r.nfev}


def estimated(name: str) -> Any:
    rows = Rows(37, 5)
    model = getattr(mflow, name)(random_state=3).fit(rows.X, rows.signs if name.endswith("Classifier") else rows.line)
    return {"coef": model.coef_, "intercept": model.intercept_}


def table(name: str) -> Any:
    d = getattr(mflow.data, name)()
    return {"X": d.X, "y": d.y}


def cases() -> Iterator[Case]:
    """All cases of this file."""
    for name in mflow.testproblems.problem_names():
        yield Case(f"testproblems {name}", partial(problem, name), machine=True)
    for m in mflow.methods():
        if m.kind == "step" and "second_order" not in m.flags:
            yield Case(f"scipy solve_ivp {m.name}", partial(driven_by_scipy, m), machine=True, needs="scipy")
        if m.kind == "update":
            yield Case(f"scipy minimize {m.name}", partial(minimized_by_scipy, m), machine=True, needs="scipy")
    for name in ("ImplicitSGDClassifier", "ImplicitSGDRegressor"):
        yield Case(f"sklearn {name}", partial(estimated, name), machine=True, needs="sklearn")
    for name in ("load_engel", "load_longley", "load_penguins"):
        yield Case(f"data {name}", partial(table, name))
