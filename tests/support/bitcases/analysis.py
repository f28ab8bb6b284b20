"""What is said of methods and of problems: stability, oscillations, order, posedness, basins.

Most of it passes through eigenvalues, which are LAPACK's: those stand among the machine's own.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

import mflow

from .inputs import Cost, Field, numbers
from .record import Case

STEPS = np.array([0.0625, 0.25, 0.5, 1.0, 1.5, 2.5])
ZETAS = (0.0, 0.125)
Z = np.array([-0.5, -2.0 + 0.5j, 0.25j, 1.5j, -7.0, 0.125 + 0.0625j])


def is_optimizer(m: Any) -> bool:
    return m.kind == "update"  # type: ignore[no-any-return]


def is_second(m: Any) -> bool:
    return "second_order" in m.flags


def amplified(m: Any, zeta: float = 0.0) -> Any:
    if is_optimizer(m):
        A = mflow.amplification(m, curvature=STEPS)
    elif is_second(m):
        A = mflow.amplification(m, omega_dt=STEPS, zeta=zeta)
    else:
        A = mflow.amplification(m, Z)
    return {"A": np.asarray(A)}


def limits(m: Any) -> Any:
    if is_optimizer(m):
        return {"limit": [mflow.stability_limit(m, "curvature"), mflow.max_stable_dt(m, curvature=3.5)]}
    if is_second(m):
        n = 7
        K = numbers((n, n), 80, -0.125, 0.125)
        K = 0.5 * (K + K.T)
        K[np.arange(n), np.arange(n)] += 2.0
        limit = [mflow.stability_limit(m, "frequency", zeta=zeta) for zeta in ZETAS]
        return {"limit": [*limit, mflow.max_stable_dt(m, mass=numbers(n, 81, 1.0, 2.0), stiffness=K)]}
    field = Field(7)
    rays = [mflow.stability_limit(m, "real"), mflow.stability_limit(m, "imaginary"), mflow.stability_limit(m, direction=-1.0 + 0.5j)]
    return {"limit": [*rays, mflow.max_stable_dt(m, jac=field.jac(0.0, field.y0)), mflow.max_stable_dt(m, eigenvalues=4.0 * Z)]}


def oscillated(m: Any, zeta: float) -> Any:
    o = mflow.oscillation(m, STEPS, zeta)
    names = ("spectral_radius", "amplitude", "period_error", "damping_ratio", "algorithmic_damping")
    return {name: getattr(o, name) for name in names}


def facts(m: Any) -> Any:
    out: dict[str, Any] = {"a_stable": mflow.is_a_stable(m), "l_stable": mflow.is_l_stable(m), "infinity": mflow.limit_at_infinity(m)}
    if m.tableau is not None:
        out |= {"ssp": mflow.ssp_coefficient(m), "order": mflow.order_from_conditions(m), "norm": mflow.principal_error_norm(m)}
    if not is_second(m) and "multistep" not in m.flags:
        R = mflow.stability_function(m)
        out |= {"numerator": R.numerator, "denominator": R.denominator}
    return out


def region(m: Any) -> Any:
    found = mflow.stability_region(m, shape=(12, 15))
    return {"abs_R": found.abs_R, "stable": found.stable}


def planes(m: Any) -> Any:
    found = mflow.parameter_region(m, curvature=2.0, lr=(0.05, 2.5), momentum=(0.0, 1.1), shape=(7, 9))
    return {"radius": found.radius, "stable": found.stable}


def best(m: Any) -> Any:
    found = mflow.best_parameters(m, 25.0, 4.0)
    return {"best": [found.lr, found.momentum, found.rate]}


def converged(m: Any) -> Any:
    r = mflow.convergence(m, dt=[0.25, 0.125, 0.0625, 0.03125])
    return {name: getattr(r, name) for name in ("local_error", "global_error", "local_order", "global_order", "expected")}


def consistent(m: Any) -> Any:
    r = mflow.consistency(m)
    return {name: getattr(r, name) for name in ("equation", "name", "order", "dt", "errors", "orders")}


def posed(how: str) -> Any:
    field = Field(5)
    if how == "point":
        p = mflow.posedness(field, 0.25, field.y0, jac=field.jac)
        return {name: getattr(p, name) for name in ("verdict", "eigenvalues", "growth_rate", "doubling_time", "index", "complete")}
    r = mflow.solve_ivp(field, (0.0, 2.0), field.y0, method="rk4", dt=0.0625)
    p = r.posedness(jac=field.jac, points=9) if how == "path" else mflow.posedness_along(field, r.t, r.y, points=9)
    return {name: getattr(p, name) for name in ("verdict", "verdicts", "eigenvalues", "changes", "growth", "lyapunov")}


def _wells(c: Any) -> Any:
    return np.array([4.0 * c[0] * (c[0] * c[0] - 1.0) + 0.25 * c[1], 2.0 * c[1] + 0.25 * c[0]])


def basins(m: Any) -> Any:
    axis = np.array([-1.5, -0.75, 0.125, 1.0])
    r = mflow.basins(_wells, (axis, axis[:2]), method=m.name, dt=0.03125, maxiter=60, gtol=1e-3)
    names = ("labels", "minima", "ends", "steps", "flow_labels", "changed", "boundary", "room", "drift", "allowed_drift", "reasons")
    return {name: getattr(r, name) for name in names}


def explained(kind: str) -> Any:
    if kind == "cost":
        cost = Cost(7)
        r = mflow.explain(cost.both, cost.c0, jac=True)
    else:
        field = Field(7)
        r = mflow.explain(field, field.y0, t_span=(0.0, 2.0))
    names = ("kind", "n", "nfev", "curvature", "least_curvature", "condition", "eigenvalues", "verdicts", "method", "dt", "complete")
    return {name: getattr(r, name) for name in names}


def crossover() -> Any:
    r = mflow.explicit_vs_implicit("rk4", "sdirk2", stiffness=[1.0, 30.0, 1000.0])
    return {name: getattr(r, name) for name in ("explicit_dt", "implicit_dt", "explicit_work", "implicit_work", "crossover")}


def rate(m: Any) -> Any:
    return {"rate": mflow.convergence_rate(m, [0.5, 2.0, 3.5], 0.25)}


def linear_cases(m: Any) -> Iterator[Case]:
    """Of methods whose step on a linear problem is a linear map."""
    for zeta in ZETAS if is_second(m) else (0.0,):
        roots = "multistep" in m.flags  # of a matrix, by LAPACK
        yield Case(f"amplification {m.name} zeta={zeta}", partial(amplified, m, zeta), machine=roots)
    yield Case(f"stability_limit {m.name}", partial(limits, m), machine=True)
    if is_optimizer(m):
        yield Case(f"convergence_rate {m.name}", partial(rate, m), machine=True)
        yield Case(f"best_parameters {m.name}", partial(best, m), machine=True)
        if "momentum" in m.parameters or "friction" in m.parameters:
            yield Case(f"parameter_region {m.name}", partial(planes, m), machine=True)
        return
    for zeta in ZETAS:
        yield Case(f"oscillation {m.name} zeta={zeta}", partial(oscillated, m, zeta), machine=True)
    if "staged" not in m.flags:
        yield Case(f"facts {m.name}", partial(facts, m), machine=True)
    if not is_second(m):
        yield Case(f"stability_region {m.name}", partial(region, m), machine=True)
        yield Case(f"convergence_rate {m.name}", partial(rate, m), machine=True)


def cases() -> Iterator[Case]:
    """All cases of this file."""
    for m in mflow.methods():
        if "linear" in m.flags:
            yield from linear_cases(m)
        if m.kind == "step":
            yield Case(f"convergence {m.name}", partial(converged, m), machine=True)
        if m.kind in ("step", "update"):
            yield Case(f"consistency {m.name}", partial(consistent, m), machine=True)
            yield Case(f"basins {m.name}", partial(basins, m), machine=True)
    for how in ("point", "path", "along"):
        yield Case(f"posedness {how}", partial(posed, how), machine=True)
    for kind in ("cost", "rhs"):
        yield Case(f"explain {kind}", partial(explained, kind), machine=True)
    yield Case("explicit_vs_implicit", crossover, machine=True)
