"""Second-order methods: M x'' = F(t, x, v) with matrices of every structure, with forces, and the ledger."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

import mflow
from mflow.stability.criterion import order_on_oscillators

from .inputs import FORCE_C, numbers, variants
from .record import Case

MOVED = (
    "x", "v", "a", "t", "energy", "v_half", "t_half", "t_events", "x_events", "v_events", "reason",
    "nfev", "nsolve", "njev", "nlu", "nsteps", "nrejected",
)  # fmt: skip
SPAN = (0.0, 2.0)
TIGHT = {"rtol": 1e-5, "atol": 1e-7}


def chain(n: int, seed: int) -> Any:
    """A chain's stiffness, symmetric and positive definite."""
    k = numbers(n + 1, seed, 0.5, 2.0)
    K = np.zeros((n, n))
    i = np.arange(n)
    K[i, i] = k[:-1] + k[1:]
    K[i[1:], i[:-1]] = K[i[:-1], i[1:]] = -k[1:-1]
    return K


def full(n: int, seed: int) -> Any:
    """A full symmetric matrix with a heavy diagonal."""
    A = numbers((n, n), seed, -0.25, 0.25)
    A = 0.5 * (A + A.T)
    A[np.arange(n), np.arange(n)] += 1.0 + 0.25 * n
    return A


def net(side: int) -> Any:
    """Springs of a square net: sparse, with a wide band."""
    n = side * side
    K = np.zeros((n, n))
    K[np.arange(n), np.arange(n)] = 4.0
    for i in range(n):
        for j in ([i + 1] if (i + 1) % side else []) + ([i + side] if i + side < n else []):
            K[i, j] = K[j, i] = -1.0
    return K


def sparse(A: Any) -> Any:
    import scipy.sparse

    return scipy.sparse.csc_array(A)


def matrices(kind: str) -> dict[str, Any]:
    if kind.startswith("n="):
        n = int(kind[2:])
        return {"mass": numbers(n, 40, 1.0, 2.0), "damping": numbers(n, 41, 0.0, 0.25), "stiffness": numbers(n, 42, 1.0, 4.0)}
    if kind.startswith("dense="):
        n = int(kind[6:])
        return {"mass": full(n, 43), "damping": 0.125 * chain(n, 44), "stiffness": chain(n, 45)}
    if kind == "rayleigh":
        return {"mass": numbers(7, 40, 1.0, 2.0), "rayleigh": (0.0625, 0.03125), "stiffness": chain(7, 45)}
    if kind == "not symmetric":
        skew = np.triu(numbers((7, 7), 46), 1)
        return {"damping": skew - skew.T + 0.125 * chain(7, 44), "stiffness": chain(7, 45) + 0.125 * skew}
    if kind == "banded":
        return {"mass": numbers(100, 40, 1.0, 2.0), "damping": sparse(0.0625 * chain(100, 44)), "stiffness": sparse(chain(100, 45))}
    if kind == "banded mass":
        return {"mass": sparse(chain(24, 47)), "damping": sparse(0.0625 * chain(24, 44)), "stiffness": sparse(chain(24, 45))}
    return {"mass": 1.5, "damping": sparse(0.0625 * net(9)), "stiffness": sparse(net(9))}


def size_of(given: dict[str, Any]) -> int:
    return int(given["stiffness"].shape[0])


def load(n: int) -> Callable[[float], Any]:
    pattern = numbers(n, 48)
    return lambda t: pattern * (t / (1.0 + t * t))


def moved(method: Any, kind: str = "dense=7", loaded: bool = True, **options: Any) -> Any:
    given = {**matrices(kind), **options}
    n = size_of(given)
    given.setdefault("load", load(n) if loaded else None)
    if not any(name in given for name in ("dt", "rtol")):
        given["dt"] = 0.07
    span = given.pop("span", SPAN)
    return mflow.solve_dynamics(**given, t_span=span, x0=numbers(n, 49), v0=numbers(n, 50), method=method)


def table(method: Any, **options: Any) -> Any:
    times = np.array([0.0, 0.25, 0.5, 0.875, 1.25, 2.0])
    return moved(method, load=(times, numbers((7, 6), 51)), **options)


def product(v: Any) -> Any:
    """C v of a chain of dampers."""
    out = 0.25 * v
    out[1:] -= 0.0625 * v[:-1]
    out[:-1] -= 0.0625 * v[1:]
    return out


def pull(t: float, x: Any, v: Any) -> Any:
    """Springs that harden, with a little friction and a load."""
    out = 0.25 * t / (1.0 + t * t) - x - 0.5 * x * x * x - 0.125 * v / (1.0 + v * v)
    out[1:] += 0.25 * (x[:-1] - x[1:])
    out[:-1] += 0.25 * (x[1:] - x[:-1])
    return out


def free(t: float, x: Any, v: Any) -> Any:
    """The same without velocities."""
    return -x - 0.5 * x * x * x


def potential(x: Any) -> float:
    """Of `free`."""
    out = 0.0
    for value in x.tolist():
        out += 0.5 * value * value + 0.125 * (value * value) * (value * value)
    return out


def tangent(t: float, x: Any, v: Any) -> Any:
    """dF/dx of `free`."""
    K = np.zeros((x.size, x.size))
    K[np.arange(x.size), np.arange(x.size)] = -1.0 - 1.5 * x * x
    return K


def _pull_c(t: float, x: Any, v: Any, out: Any, n: int, ctx: Any) -> int:
    as_array = np.ctypeslib.as_array
    as_array(out, (n,))[:] = pull(t, as_array(x, (n,)), as_array(v, (n,)))
    return 0


PULL_C = FORCE_C(_pull_c)


def forced(method: Any, force: Any = pull, n: int = 7, **options: Any) -> Any:
    if "rtol" not in options:
        options.setdefault("dt", 0.07)
    start = {"x0": numbers(n, 49), "v0": numbers(n, 50), "t_span": options.pop("span", SPAN)}
    return mflow.solve_dynamics(numbers(n, 40, 1.0, 2.0), force=force, **start, method=method, **options)


def held(method: Any) -> Any:
    """Two degrees of freedom that stay where they are, one of them at 0: NumPy's product with the stiffness is exact then."""
    x0, v0 = numbers(7, 49).copy(), numbers(7, 50).copy()
    x0[[0, 3]], v0[[0, 3]] = [0.5, 0.0], 0.0
    given = {**matrices("dense=7"), "load": load(7), "dt": 0.07, "fixed": [0, 3]}
    return mflow.solve_dynamics(**given, t_span=SPAN, x0=x0, v0=v0, method=method)


def dense(method: Any) -> Any:
    r = moved(method, dense_output=True)
    at = np.array([0.05, 0.5, 1.0, 1.9])
    return {"x": r.sol(at), "v": r.sol_v(at)}


def resumed(method: Any, run: Callable[..., Any], **options: Any) -> Any:
    with tempfile.TemporaryDirectory() as folder:
        file = os.path.join(folder, "run")
        first = run(method, checkpoint=file, checkpoint_every=4, max_steps=11, **options)
        second = run(method, resume=file, **options)
    return {"first": first.x, **{name: getattr(second, name) for name in MOVED}}


def stepped(method: Any) -> Any:
    st = mflow.Stepper(method.name, pull, numbers(7, 49), numbers(7, 50), energy=True)
    st.advance(9, dt=0.0625)
    st.step(0.03125)
    between = st.interpolate(st.t - 0.01)
    with tempfile.TemporaryDirectory() as folder:
        file = os.path.join(folder, "state")
        st.save(file)
        st = mflow.Stepper.load(file, pull)
    st.advance(5, dt=0.0625)
    kept = {name: getattr(st, name) for name in ("x", "v", "a", "energy", "t", "k", "nfev", "nsolve", "njev", "nlu")}
    return {"between": between, **kept}


def linear_cases(m: Any) -> Iterator[Case]:
    name = f"solve_dynamics {m.name}"
    for kind in ("n=1", "n=2", "n=3", "n=13", "n=1001", "dense=2", "dense=7", "dense=12", "dense=13", "rayleigh", "not symmetric"):
        yield Case(f"{name} {kind}", partial(moved, m, kind), MOVED)
    for kind in ("banded", "banded mass", "sparse"):
        yield Case(f"{name} {kind}", partial(moved, m, kind), MOVED, needs="scipy")
    yield Case(f"{name} undamped", partial(moved, m, loaded=False, damping=None), MOVED)
    yield Case(f"{name} table", partial(table, m), MOVED)
    yield Case(f"{name} damping function", partial(moved, m, damping=product), MOVED)
    yield Case(f"{name} cg", partial(moved, m, linear_solver="cg"), MOVED)
    yield Case(f"{name} fixed", partial(held, m), MOVED)
    yield Case(f"{name} t_eval", partial(moved, m, t_eval=[0.0, 0.3, 1.0, 1.7]), MOVED)
    yield Case(f"{name} save_every", partial(moved, m, save_every=4), MOVED)
    yield Case(f"{name} back", partial(moved, m, span=(1.0, 0.0)), MOVED)
    if "linear" in m.flags and mflow.stability_limit(m, "frequency") < np.inf:
        yield Case(f"{name} auto", partial(moved, m, dt="auto"), MOVED, machine=True)
    yield Case(f"{name} events", partial(moved, m, events=lambda t, x, v: float(x[0]) - 0.0625), MOVED)
    yield Case(f"{name} dense_output", partial(dense, m))
    yield Case(f"{name} resumed", partial(resumed, m, moved))
    for text, parameters in variants(m):
        yield Case(f"{name} {text}", partial(moved, mflow.get_method(m.name, **parameters), "rayleigh"), MOVED)


def force_cases(m: Any) -> Iterator[Case]:
    name = f"solve_dynamics {m.name} force"
    for n in (1, 2, 3, 7, 13, 60):
        yield Case(f"{name} n={n}", partial(forced, m, n=n), MOVED)
    yield Case(f"{name} compiled", partial(forced, m, PULL_C), MOVED)
    yield Case(f"{name} potential", partial(forced, m, free, potential=potential, velocity_free=True), MOVED)
    yield Case(f"{name} tangent", partial(forced, m, free, dfdx=tangent, dfdv=np.zeros((7, 7))), MOVED)
    yield Case(f"{name} beside matrices", partial(moved, m, force=pull), MOVED)
    yield Case(f"{name} beside matrices, potential", partial(moved, m, force=free, potential=potential, velocity_free=True), MOVED)
    for solver in ("newton_krylov", "fixed_point") if m.is_implicit else ():
        yield Case(f"{name} {solver}", partial(forced, m, solver=solver), MOVED)
    yield Case(f"{name} resumed", partial(resumed, m, forced))
    for text, parameters in variants(m):
        yield Case(f"{name} {text}", partial(forced, mflow.get_method(m.name, **parameters)), MOVED)


def cases() -> Iterator[Case]:
    """All cases of this file."""
    for m in mflow.methods():
        if "second_order" not in m.flags:
            continue
        yield from linear_cases(m)
        yield from force_cases(m)
        yield Case(f"stepper {m.name}", partial(stepped, m))
        name = f"solve_dynamics {m.name} adaptive"
        if m.order_hat is not None and order_on_oscillators(m, True) < m.order:  # forces that depend on v are refused
            yield Case(f"{name} undamped", partial(moved, m, damping=None, **TIGHT), MOVED)
            yield Case(f"{name} force", partial(forced, m, free, **TIGHT), MOVED)
            yield Case(f"{name} resumed", partial(resumed, m, forced, force=free, **TIGHT))
        elif m.order_hat is not None:
            for kind in ("n=1", "n=13", "dense=7", "dense=13", "rayleigh"):
                yield Case(f"{name} {kind}", partial(moved, m, kind, **TIGHT), MOVED)
            yield Case(f"{name} sparse", partial(moved, m, "sparse", **TIGHT), MOVED, needs="scipy")
            yield Case(f"{name} table", partial(table, m, **TIGHT), MOVED)
            yield Case(f"{name} force", partial(forced, m, **TIGHT), MOVED)
            yield Case(f"{name} t_eval", partial(forced, m, t_eval=[0.0, 0.3, 1.0, 1.7], **TIGHT), MOVED)
            yield Case(f"{name} steps", partial(forced, m, first_step=0.01, max_step=0.125, rtol_v=1e-4, **TIGHT), MOVED)
            yield Case(f"{name} resumed", partial(resumed, m, forced, **TIGHT))
