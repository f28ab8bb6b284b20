"""Optimizers: every method that updates parameters, the drivers of minimization, line searches, batches and fits."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

import mflow

from .inputs import SIZES, Cost, Rows, numbers, squares, variants
from .integrate import quadratic
from .record import Case

FOUND = ("x", "fun", "jac", "reason", "nit", "nfev", "njev", "nrestarts?")
MANY = ("x", "fun", "gmax", "reason", "nit", "nfev")
SEARCHED = ("alpha", "x", "fun", "jac", "best_alpha", "best_fun", "slope0", "reason", "nfev", "njev")
SEARCHES = ("strong_wolfe", "armijo", "backtracking", "exact")
SIMPLE = {"lr": 0.01}

S = mflow.schedules
SCHEDULES: dict[str, Any] = {
    "Constant": lambda: S.Constant(0.03),
    "StepLR": lambda: S.StepLR(0.1, step_size=7, gamma=0.7),
    "MultiStepLR": lambda: S.MultiStepLR(0.1, milestones=[5, 11, 30], gamma=0.3),
    "ExponentialLR": lambda: S.ExponentialLR(0.1, gamma=0.93),
    "LinearLR": lambda: S.LinearLR(0.1, start_factor=0.1, end_factor=0.7, total_iters=9),
    "InverseTimeLR": lambda: S.InverseTimeLR(0.1, decay_rate=0.3, decay_steps=3),
    "InverseSqrtLR": lambda: S.InverseSqrtLR(0.1),
    "CosineAnnealingLR": lambda: S.CosineAnnealingLR(0.1, T_max=13, eta_min=0.003, warmup=4),
    "CosineAnnealingWarmRestarts": lambda: S.CosineAnnealingWarmRestarts(0.1, T_0=5, T_mult=2, eta_min=0.001),
    "OneCycleLR": lambda: S.OneCycleLR(0.1, total_steps=60, three_phase=True),
    "OneCycleLR linear": lambda: S.OneCycleLR(0.1, total_steps=60, anneal_strategy="linear"),
    "ConstantLR": lambda: S.ConstantLR(0.1, factor=0.3, total_iters=9),
    "PolynomialLR": lambda: S.PolynomialLR(0.1, total_iters=50, power=0.7),
    "LambdaLR": lambda: S.LambdaLR(0.1, lambda k: 1.0 / (1.0 + k)),
    "MultiplicativeLR": lambda: S.MultiplicativeLR(0.1, lambda k: 1.0 - 0.5 / k),
    "CyclicLR": lambda: S.CyclicLR(0.01, 0.1, step_size_up=5, step_size_down=9, mode="exp_range", gamma=0.97),
    "ChainedScheduler": lambda: S.ChainedScheduler([S.ConstantLR(0.1, 0.3, 9), S.ExponentialLR(0.1, gamma=0.9)]),
    "SequentialLR": lambda: S.SequentialLR([S.LinearLR(0.1, total_iters=6), S.ExponentialLR(0.1, gamma=0.9)], milestones=[6]),
}


def optimizer(method: Any) -> Any:
    return getattr(mflow.optim, type(method).__name__)


def walked(cls: Any, n: int, steps: int = 50, **options: Any) -> Any:
    """A loop of one's own."""
    cost = Cost(n)
    c, ahead = cost.c0.copy(), np.zeros(n)
    opt = cls(c, **options)
    for _ in range(steps):
        ahead = opt.ask()
        opt.step(cost.grad(ahead))
    return {"c": c, "ahead": ahead, "effective_lr": opt.effective_lr()}


def plateau(method: Any) -> Any:
    cost = Cost(13)
    schedule = S.ReduceLROnPlateau(0.05, factor=0.5, patience=2, threshold=0.01)
    c = cost.c0.copy()
    opt = optimizer(method)(c, lr=schedule)
    for _ in range(40):
        opt.step(cost.grad(c))
        schedule.observe(cost.value(c))
    return {"c": c, "lr": schedule(40)}


def grouped(method: Any) -> Any:
    """Two groups, one of two arrays, under a common clip of the norm; saved and loaded on the way."""
    costs = [Cost(n) for n in (13, 2, 7)]
    arrays = [cost.c0.copy() for cost in costs]

    def make() -> Any:
        groups = [{"params": [arrays[0], arrays[1]]}, {"params": [arrays[2]], "lr": 0.02, "weight_decay": 0.125, "maximize": True}]
        return optimizer(method)(groups, lr=0.01, clip_norm=2.0)

    opt = make()
    for k in range(30):
        if k == 15:
            state = opt.state_dict()
            opt = make()
            opt.load_state_dict(state)
        grads = [cost.grad(c) for cost, c in zip(costs, arrays, strict=True)]
        opt.step([[grads[0], grads[1]], [grads[2]]])
    return {"arrays": arrays}


def found(method: Any, kind: str, **options: Any) -> Any:
    if kind == "python":
        cost = Cost(7)
        return mflow.minimize(cost.both, cost.c0, jac=True, method=method.name, maxiter=40, **options)
    f = mflow.objectives.Rosenbrock(4) if kind == "rosenbrock" else quadratic(13)
    return mflow.minimize(f, f.x0, method=method.name, maxiter=40, **options)


def path(method: Any) -> Any:
    return {"path": found(method, "python", path=True, **SIMPLE).path}


def flow_step(method: Any, kind: str) -> dict[str, Any]:
    """What `minimize` is given for a method: a step."""
    return {"lr" if method.kind == "update" else "dt": 0.0009765625 if kind == "rosenbrock" else 0.03125}


def bounded(name: str, **options: Any) -> Any:
    """A quadratic of 13 parameters whose minimum lies outside of some bounds."""
    f = quadratic(13)
    low, high = numbers(13, 32) - 0.25, numbers(13, 32) + 0.25
    pairs = [(a if k % 3 else None, b if k % 4 else None) for k, (a, b) in enumerate(zip(low, high, strict=True))]
    return mflow.minimize(f, f.x0, method=name, bounds=pairs, maxiter=40, **options)


def batch(method: Any, lanes: int, maxiter: int = 40, **options: Any) -> Any:
    f = mflow.objectives.Rosenbrock(3)
    return mflow.minimize_batch(f, numbers((lanes, 3), 30), method.name, maxiter=maxiter, threads=2, **options)


def labelled(lanes: int = 5) -> Any:
    rows = Rows(17, 4)
    f = mflow.objectives.LeastSquares(rows.X, rows.line, l2=0.125)
    labels = numbers((lanes, 17), 31)
    return mflow.minimize_batch(f, np.zeros((lanes, 4)), "adam", lr=0.05, maxiter=40, batch_data={"y": labels})


def trained(method: Any, compiled: bool, **options: Any) -> Any:
    rows = Rows(37, 4)
    common = {"optimizer": method.name, "epochs": 3, "batch_size": 8, "seed": 3, **options}
    if compiled:
        return shown(mflow.train(mflow.objectives.LeastSquares(rows.X, rows.line), np.zeros(4), **common))
    return shown(mflow.train(squares, np.zeros(4), (rows.X, rows.line), jac=True, **common))


def shown(r: Any) -> dict[str, Any]:
    """A training's result without its clock."""
    kept = {name: getattr(r, name) for name in ("params", "last_params", "fun", "best_epoch", "reason", "epochs", "nit", "nfev")}
    return kept | {"history": {name: values for name, values in r.history.items() if name != "time"}}


def search(kind: str, n: int, **options: Any) -> Any:
    cost = Cost(n)
    return mflow.line_search(cost.both, cost.c0, -cost.grad(cost.c0), kind, jac=True, **options)


def after(form: int) -> Any:
    cost = Cost(7)
    before, g = cost.c0, cost.grad(cost.c0)
    here = before - 0.0625 * g
    now = cost.grad(here)
    return mflow.line_search(cost.both, here, -now, "barzilai_borwein", jac=True, fun0=cost.value(here), jac0=now,
                             previous=(before, g), form=form)  # fmt: skip


def update_cases(m: Any) -> Iterator[Case]:
    cls = optimizer(m)
    for n in SIZES:
        yield Case(f"optim {m.name} n={n}", partial(walked, cls, n))
    yield Case(f"optim {m.name} lr=0.05", partial(walked, cls, 13, lr=0.05))
    for text, parameters in variants(m, "lr"):
        yield Case(f"optim {m.name} {text}", partial(walked, cls, 13, **{**SIMPLE, **parameters}))
    yield Case(f"optim {m.name} maximize", partial(walked, cls, 13, 10, maximize=True, weight_decay=0.125))
    yield Case(f"optim {m.name} clip_norm", partial(walked, cls, 13, lr=0.05, clip_norm=0.5))
    yield Case(f"optim {m.name} schedule", partial(walked, cls, 13, lr=S.ExponentialLR(0.05, gamma=0.9375)))
    yield Case(f"optim {m.name} plateau", partial(plateau, m))
    yield Case(f"optim {m.name} groups", partial(grouped, m))
    for _, parameters in variants(m, "lr")[-1:]:
        yield Case(f"minimize {m.name} all", partial(found, m, "quadratic", **{**SIMPLE, **parameters}), FOUND)
    yield Case(f"minimize {m.name} path", partial(path, m))
    for lanes in (1, 11):
        yield Case(f"minimize_batch {m.name} lanes={lanes}", partial(batch, m, lanes, **flow_step(m, "rosenbrock")), MANY)
    for name, compiled in (("python", False), ("compiled", True)):
        yield Case(f"train {m.name} {name}", partial(trained, m, compiled))


def search_cases() -> Iterator[Case]:
    for kind in SEARCHES:
        for n in (1, 7, 100):
            yield Case(f"line_search {kind} n={n}", partial(search, kind, n), SEARCHED)
        if kind != "exact":  # whose last slope is rounding
            yield Case(f"line_search {kind} slope", partial(search, kind, 100), ("slope",), machine=True)
        yield Case(f"line_search {kind} long", partial(search, kind, 7, initial=64.0, shrink=0.25), SEARCHED)
    for form in (1, 2):
        yield Case(f"line_search barzilai_borwein form={form}", partial(after, form), SEARCHED)
    for m in mflow.methods():
        if m.kind != "update" or (m.record.asks and not {"form", "lookahead"} & set(m.parameters)):  # a search has the gradient at x alone
            continue
        plain = {"weight_decay": 0.0} if m.parameters.get("weight_decay") else {}  # a search knows the cost without it
        for kind in SEARCHES:
            yield Case(f"minimize {m.name} line_search {kind}", partial(found, m, "rosenbrock", line_search=kind, **plain), FOUND)
    for kind in SEARCHES:
        yield Case(f"minimize adam line_search {kind} python", partial(found, mflow.get_method("adam"), "python", line_search=kind), FOUND)
    for cost in ("python", "rosenbrock", "quadratic"):
        descend = partial(found, mflow.get_method("steepest_descent"), cost, line_search="barzilai_borwein")
        yield Case(f"minimize steepest_descent line_search barzilai_borwein {cost}", descend, FOUND)


def direction_cases(m: Any) -> Iterator[Case]:
    for kind in ("python", "rosenbrock", "quadratic"):
        yield Case(f"minimize {m.name} {kind}", partial(found, m, kind), FOUND)
    yield Case(f"minimize {m.name} path", partial(path, m))
    yield Case(f"minimize_batch {m.name} lanes=11", partial(batch, m, 11), MANY)
    for text, parameters in variants(m):
        yield Case(f"minimize {m.name} {text}", partial(found, m, "rosenbrock", **parameters), FOUND)
    if "trust_region" not in m.flags:
        for kind in SEARCHES:
            yield Case(f"minimize {m.name} line_search {kind}", partial(found, m, "rosenbrock", line_search=kind), FOUND)
    if m.record.takes_bounds:
        yield Case(f"minimize {m.name} bounds", partial(bounded, m.name), FOUND)


def cases() -> Iterator[Case]:
    """All cases of this file."""
    yield Case("minimize adam bounds", partial(bounded, "adam", lr=0.05), FOUND)
    for m in mflow.methods():
        if m.kind == "direction":
            yield from direction_cases(m)
        if m.kind == "update":
            yield from update_cases(m)
        if m.kind in ("update", "step"):
            for kind in ("python", "rosenbrock", "quadratic"):
                yield Case(f"minimize {m.name} {kind}", partial(found, m, kind, **flow_step(m, kind)), FOUND)
    for name, make in SCHEDULES.items():
        yield Case(f"schedule {name}", partial(lambda make: {"lr": np.array([make()(k) for k in range(50)])}, make))
        yield Case(f"schedule {name} adam", partial(lambda make: walked(mflow.optim.Adam, 13, lr=make()), make))
    yield from search_cases()
    sgd = mflow.optim.SGD
    yield Case("optim SGD momentum", partial(walked, sgd, 13, lr=0.05, momentum=0.875, dampening=0.25, weight_decay=0.125))
    yield Case("optim SGD nesterov", partial(walked, sgd, 13, lr=0.05, momentum=0.875, nesterov=True))
    cost = Cost(7)
    for jac in ("2-point", "3-point"):
        differenced = partial(mflow.minimize, cost.value, cost.c0, jac=jac, method="adam", lr=0.03, maxiter=40)
        yield Case(f"minimize differences {jac}", differenced, FOUND)
    hess = partial(mflow.minimize, cost.both, cost.c0, jac=True, method="backward_euler", dt=4.0, maxiter=10, hess=cost.hess)
    yield Case("minimize hess", hess, FOUND)
    for m in mflow.methods():
        explicit = m.kind == "step" and "second_order" not in m.flags and not m.is_implicit
        if explicit or (m.kind == "update" and "linear" in m.flags):
            name = "lr" if m.kind == "update" else "dt"
            yield Case(f"minimize {m.name} auto", partial(found, m, "quadratic", **{name: "auto"}), FOUND, machine=True)
    yield Case("minimize_batch batch_data", labelled, MANY)
