"""Integrators: every method of y' = F(t, y), and the drivers that run them."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

import mflow

from .inputs import LANES, SIZES, Cost, Field, numbers, over, variants
from .record import Case

IVP = ("y", "t", "t_events", "y_events", "reason", "nfev", "njev", "nlu", "nsteps", "nrejected")
BATCH = ("y", "t", "t_events", "y_events", "reason", "reached", "nfev", "njev", "nlu", "nsteps", "nrejected")
TIGHT = {"rtol": 1e-6, "atol": 1e-8}
AT = [0.0, 0.1875, 0.5, 0.9375, 1.25]


def structure(method: Any, n: int) -> dict[str, Any]:
    """Beyond 100 unknowns implicit methods are told that the Jacobian is a band."""
    return {"lband": 1, "uband": 1} if method.is_implicit and n > 100 else {}


def ivp(method: Any, n: int = 3, span: tuple[float, float] = (0.0, 1.25), compiled: bool = False, **options: Any) -> Any:
    field = Field(n)
    fun = field.compiled() if compiled else field
    return mflow.solve_ivp(fun, span, field.y0, method=method.name, **structure(method, n), **options)


def with_jac(method: Any, how: str, **options: Any) -> Any:
    field = Field(13)
    jac: Any = field.jac
    if how == "constant":
        jac = field.jac(0.0, field.y0)
    elif how == "sparse":
        import scipy.sparse

        jac = lambda t, y: scipy.sparse.csc_array(field.jac(t, y))  # noqa: E731
    return mflow.solve_ivp(field, (0.0, 1.25), field.y0, method=method.name, jac=jac, **options)


def patterned(method: Any, wide: bool, **options: Any) -> Any:
    """A sparse Jacobian by differences, a colour at a time: of a chain, or of one whose far ends pull each other, too."""
    import scipy.sparse

    field = Field(60)
    pattern = np.abs(field.jac(0.0, field.y0)) > 0.0
    if wide:
        other = (7 * np.arange(60) + 3) % 60
        pattern[np.arange(60), other] = True
        fun = lambda t, y: field(t, y) + 0.0625 * y[other]  # noqa: E731
    jac_sparsity = scipy.sparse.csc_array(pattern)
    return mflow.solve_ivp(fun if wide else field, (0.0, 0.5), field.y0, method=method.name, jac_sparsity=jac_sparsity, **options)


def with_mass(method: Any, kind: str, **options: Any) -> Any:
    """M y' = F(t, y): components whose equation is algebraic, and holds at the start; or a chain of masses, whole or as a band."""
    field = Field(9)
    start, M = field.y0.copy(), np.eye(9) + 0.25 * (np.eye(9, k=1) + np.eye(9, k=-1))
    if kind == "algebraic":
        start[2:7] = 0.0
        M = np.where((np.arange(9) > 2) & (np.arange(9) < 6), 0.0, 1.0 + np.arange(9))
    band = {"lband": 1, "uband": 1} if kind == "band" else {}
    mass: Any = M
    if kind == "moving":
        mass = lambda t: M * (1.0 + 0.25 * t) + t * np.eye(9)  # noqa: E731
    return mflow.solve_ivp(field, (0.0, 1.25), start, method=method.name, mass=mass, **band, **options)


def kept(method: Any, **options: Any) -> Any:
    """A chain of decays at rates far apart, whose components must not be below 0."""
    rates = np.array([1e5, 1.0, 1e3, 10.0])
    return mflow.solve_ivp(
        lambda t, y: np.append(-rates, 0.0) * y + np.append(0.0, rates * y[:-1]), (0.0, 2.0), np.eye(5)[0], method=method.name,
        nonnegative=True, **options,
    )  # fmt: skip


def in_pairs(method: Any, **options: Any) -> Any:
    """Complex states."""
    field = Field(6)
    start = field.y0.view(np.complex128)
    return mflow.solve_ivp(lambda t, z: field(t, z.view(np.float64)).view(np.complex128), (0.0, 1.25), start, method=method.name, **options)


def in_legs(rtol: float, **options: Any) -> Any:
    """A problem that is stiff for a while, by two methods."""
    field = Field(7)

    def fun(t: float, y: Any) -> Any:
        return field(t, y) - (1e4 if 0.5 < t < 1.5 else 0.0) * (y - 0.25)

    return mflow.solve_ivp(fun, (0.0, 2.5), field.y0, method="auto", breaks=[0.5, 1.5], rtol=rtol, atol=rtol, max_step=0.0625, **options)


def shaped(method: Any) -> Any:
    start = numbers((3, 4), 9)
    return mflow.solve_ivp(lambda t, y: 0.5 * t - y / (1.0 + y * y), (0.0, 1.0), start, method=method.name, dt=0.125)


def dense(method: Any, **options: Any) -> Any:
    r = ivp(method, 7, dense_output=True, **options)
    at = np.array(AT) + 0.015625
    return {"sol": r.sol(at), "slope": r.sol.derivative(at), "y": r.y, "t": r.t}


def resumed(method: Any, **options: Any) -> Any:
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "run")
        first = ivp(method, 3, checkpoint=path, checkpoint_every=3, max_steps=5, **options)
        second = ivp(method, 3, resume=path, **options)
    return {"first": first.y, **{name: getattr(second, name) for name in IVP}}


def stepped(method: Any, adaptive: bool) -> Any:
    field, out = Field(7), []
    st = mflow.Stepper(method.name, field, field.y0, **(TIGHT if adaptive else {}))
    if adaptive:
        st.advance_to(0.75)
        st.step()
    else:
        st.advance(5, dt=0.0625)
        st.step(0.03125)
    out.append(st.interpolate(st.t - 0.001953125))
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "state")
        st.save(path)
        st = mflow.Stepper.load(path, field)
    if adaptive:
        st.advance_to(1.25)
    else:
        st.advance(3, dt=0.0625)
    return {"y": st.y, "between": out, "t": st.t, "h": st.h, "k": st.k, "nfev": st.nfev, "njev": st.njev, "nlu": st.nlu}


def flowed(method: Any, kind: str, **options: Any) -> Any:
    if kind == "python":
        cost = Cost(7)
        return mflow.gradient_flow(cost.grad, cost.c0, 1.0, method=method.name, hess=cost.hess if method.is_implicit else None, **options)
    f = mflow.objectives.Rosenbrock(4) if kind == "rosenbrock" else quadratic(13)
    return mflow.gradient_flow(f, f.x0, 0.0625 if kind == "rosenbrock" else 1.0, method=method.name, **options)


def quadratic(n: int) -> Any:
    A = numbers((n, n), 10)
    A = 0.25 * (A + A.T)
    A[np.arange(n), np.arange(n)] += 0.5 * n
    return mflow.objectives.Quadratic(A, numbers(n, 11))


def batch(method: Any, lanes: int, compiled: bool, **options: Any) -> Any:
    starts = numbers((lanes, 3), 12)
    if compiled:
        return mflow.solve_ivp_batch(LANES, (0.0, 1.25), starts, method.name, batch=True, threads=2, **options)
    fun = lambda t, y, k: t / (1.0 + t * t) - k * y / (1.0 + y * y)  # noqa: E731
    return mflow.solve_ivp_batch(fun, (0.0, 1.25), starts, method.name, batch_args=numbers(lanes, 13, 0.5, 2.0).tolist(), **options)


def watched(method: Any, **options: Any) -> Any:
    stop = lambda t, y: float(y[1]) - 0.03125  # noqa: E731
    stop.terminal = 2  # type: ignore[attr-defined]
    return ivp(method, 3, (0.0, 6.0), events=[over, stop], **options)


def runs_in_lanes(method: Any) -> bool:
    """Whether functions for lanes may come: not where a step solves equations or chooses its stages."""
    return not method.is_implicit and "staged" not in method.flags


def fixed_cases(m: Any) -> Iterator[Case]:
    name = f"solve_ivp {m.name}"
    for n in SIZES:
        yield Case(f"{name} fixed n={n}", partial(ivp, m, n, dt=0.07), IVP)
    yield Case(f"{name} fixed t_eval", partial(ivp, m, 7, t_eval=AT, dt=0.0625), IVP)
    yield Case(f"{name} fixed back", partial(ivp, m, 3, (1.0, -0.25), dt=0.07), IVP)
    yield Case(f"{name} fixed compiled", partial(ivp, m, 13, dt=0.07, compiled=True), IVP)
    yield Case(f"{name} fixed dense", partial(dense, m, dt=0.09), ())
    yield Case(f"{name} fixed events", partial(watched, m, dt=0.09), IVP)
    yield Case(f"{name} fixed shape", partial(shaped, m), IVP)
    yield Case(f"{name} fixed resumed", partial(resumed, m, dt=0.09), ())
    yield Case(f"{name} fixed save_every", partial(ivp, m, 2, dt=0.07, save_every=4), IVP)
    if not m.is_implicit:  # whose steps stability does not limit
        yield Case(f"{name} auto", partial(ivp, m, 7, dt="auto"), IVP)
    for text, parameters in variants(m):
        yield Case(f"{name} fixed {text}", partial(ivp, m, 13, dt=0.07, **parameters), IVP)


def adaptive_cases(m: Any) -> Iterator[Case]:
    name = f"solve_ivp {m.name}"
    for n in SIZES:
        yield Case(f"{name} adaptive n={n}", partial(ivp, m, n, **TIGHT), IVP)
    yield Case(f"{name} adaptive t_eval", partial(ivp, m, 7, t_eval=AT, **TIGHT), IVP)
    yield Case(f"{name} adaptive back", partial(ivp, m, 3, (1.0, -0.25), **TIGHT), IVP)
    yield Case(f"{name} adaptive compiled", partial(ivp, m, 13, compiled=True, **TIGHT), IVP)
    yield Case(f"{name} adaptive dense", partial(dense, m, **TIGHT), ())
    yield Case(f"{name} adaptive events", partial(watched, m, **TIGHT), IVP)
    yield Case(f"{name} adaptive loose", partial(ivp, m, 13, rtol=1e-2, atol=[1e-3 * (i + 1) for i in range(13)]), IVP)
    yield Case(f"{name} adaptive steps", partial(ivp, m, 3, first_step=1e-3, max_step=0.0625, **TIGHT), IVP)
    yield Case(f"{name} adaptive resumed", partial(resumed, m, rtol=1e-8, atol=1e-10), ())
    yield Case(f"{name} adaptive stepper", partial(stepped, m, True), ())
    yield Case(f"{name} adaptive complex", partial(in_pairs, m, **TIGHT), IVP)
    if m.is_implicit:
        yield Case(f"{name} adaptive nonnegative", partial(kept, m, **TIGHT), IVP)
    for text, parameters in variants(m):
        yield Case(f"{name} adaptive {text}", partial(ivp, m, 13, **TIGHT, **parameters), IVP)
    yield Case(f"solve_ivp_batch {m.name} adaptive", partial(batch, m, 5, False, t_eval=AT, **TIGHT), BATCH)
    if runs_in_lanes(m):
        for lanes in (1, 11):
            yield Case(f"solve_ivp_batch {m.name} adaptive lanes={lanes}", partial(batch, m, lanes, True, **TIGHT), BATCH)
        yield Case(f"solve_ivp_batch {m.name} adaptive lanes t_eval", partial(batch, m, 11, True, t_eval=AT, **TIGHT), BATCH)


def implicit_cases(m: Any) -> Iterator[Case]:
    name = f"solve_ivp {m.name}"
    for how in ("function", "constant", "sparse"):
        yield Case(f"{name} jac {how}", partial(with_jac, m, how, dt=0.09), IVP, needs="scipy" if how == "sparse" else "")
    yield Case(f"{name} jac_sparsity", partial(patterned, m, False, dt=0.09), IVP, needs="scipy")
    yield Case(f"{name} jac_sparsity wide", partial(patterned, m, True, dt=0.09), IVP, machine=True, needs="scipy")
    for solver in ("newton", "newton_krylov", "fixed_point") if "G" not in (m.tableau or {}) else ("newton",):
        yield Case(f"{name} solver {solver}", partial(ivp, m, 13, dt=0.09, solver=solver), IVP)
    yield Case(f"{name} solver full", partial(ivp, m, 13, dt=0.09, solver=mflow.Newton(full=True)), IVP)
    if m.order_hat is not None:
        yield Case(f"{name} adaptive jac", partial(with_jac, m, "function", **TIGHT), IVP)
    if m.order_hat is not None and "G" not in (m.tableau or {}):
        yield Case(f"{name} adaptive newton_krylov", partial(ivp, m, 13, solver="newton_krylov", **TIGHT), IVP)


def mass_cases(m: Any) -> Iterator[Case]:
    name = f"solve_ivp {m.name} mass"
    for kind in ("algebraic", "whole", "band"):
        yield Case(f"{name} {kind}", partial(with_mass, m, kind, t_eval=AT, dt=0.09), IVP)
        if m.order_hat is not None:
            yield Case(f"{name} {kind} adaptive", partial(with_mass, m, kind, t_eval=AT, **TIGHT), IVP)
    if "mass_at" in m.flags:
        yield Case(f"{name} moving", partial(with_mass, m, "moving", t_eval=AT, dt=0.09), IVP)
        yield Case(f"{name} moving adaptive", partial(with_mass, m, "moving", **TIGHT), IVP)
    if m.order_hat is not None:
        yield Case(f"{name} nonnegative", partial(kept, m, mass=np.array([2.0, 1.0, 4.0, 0.5, 1.0])), IVP)
        yield Case(f"{name} excluded", partial(with_mass, m, "algebraic", exclude_algebraic=True, **TIGHT), IVP)


def cases() -> Iterator[Case]:
    """All cases of this file."""
    for m in mflow.methods():
        if m.kind != "step" or "second_order" in m.flags:
            continue
        yield from fixed_cases(m)
        if m.is_implicit:
            yield from implicit_cases(m)
        if "mass" in m.flags:
            yield from mass_cases(m)
        if m.order_hat is not None:
            yield from adaptive_cases(m)
        yield Case(f"stepper {m.name}", partial(stepped, m, False), ())
        for kind in ("python", "quadratic", "rosenbrock"):
            dt = 0.0625 / 64 if kind == "rosenbrock" else 0.0625
            yield Case(f"gradient_flow {m.name} {kind}", partial(flowed, m, kind, dt=dt), IVP)
        if not m.is_implicit:
            yield Case(f"gradient_flow {m.name} auto", partial(flowed, m, "quadratic", dt="auto"), IVP)
        yield Case(f"solve_ivp_batch {m.name} fixed", partial(batch, m, 5, False, dt=0.07), BATCH)
        for lanes in (1, 11) if runs_in_lanes(m) else ():
            yield Case(f"solve_ivp_batch {m.name} fixed lanes={lanes}", partial(batch, m, lanes, True, dt=0.07), BATCH)
    for rtol in (1e-5, 1e-9):
        yield Case(f"solve_ivp auto rtol={rtol:g}", partial(in_legs, rtol), (*IVP, "switches"))
    yield Case("solve_ivp auto t_eval", partial(in_legs, 1e-5, t_eval=AT), (*IVP, "switches"))
    start = numbers((4, 3), 14)
    family = partial(mflow.family, Field(3), start, (0.0, 1.0), points=9)
    yield Case("family", family, ("y", "t", "ends", "reason", "nfev"))
    yield Case("family spread", family, ("spread",), machine=True)
    second = mflow.first_order_system(lambda t, x, v: 0.25 * t - x / (1.0 + v * v), 2)
    yield Case("first_order_system", lambda: mflow.solve_ivp(second, (0.0, 1.0), [1.0, 0.5], method="rk4", dt=0.07), IVP)
