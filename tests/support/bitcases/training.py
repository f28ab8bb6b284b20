"""Training on data: implicit SGD with every loss, `train`, `lr_find`, `sweep`, and nonlinear fits."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

import mflow

from .inputs import Rows, hidden, numbers, squares, variants
from .optimize import S, shown
from .record import Case

FITTED = ("x", "cost", "fun", "jac", "grad", "optimality", "cosine", "dt", "reason", "nfev", "njev", "nit")
LOSSES = tuple(hidden(mflow.ImplicitSGD, "losses")())


def fitted(loss: str, X: Any = None, weights: Any = None, columns: int = 5, **parameters: Any) -> Any:
    rows = Rows(37, columns)
    model = mflow.ImplicitSGD(loss, **parameters)
    model.fit(rows.X if X is None else X, rows.labels(loss), weights, epochs=3, shuffle=parameters.get("average") != 1, seed=5)
    return state(model)


def state(model: Any) -> dict[str, Any]:
    return {name: getattr(model, name) for name in ("coef", "intercept", "last", "count", "worst_phi")} | {
        "reason": getattr(model, "reason", "")
    }


def thinned(loss: str) -> Any:
    """A sparse table."""
    import scipy.sparse

    X = Rows(37, 5).X
    return fitted(loss, scipy.sparse.csr_array(np.where(np.abs(X) < 0.5, 0.0, X)))


def online(loss: str) -> Any:
    """Sample by sample, and on from a saved state."""
    rows = Rows(37, 5)
    y = rows.labels(loss)
    model = mflow.ImplicitSGD(loss, lr=0.5, average=3)
    for x, label in zip(rows.X[:20], y[:20], strict=True):
        model.learn(x, float(label))
    other = mflow.ImplicitSGD(loss, lr=0.5, average=3)
    other.load_state_dict(model.state_dict())
    other.partial_fit(rows.X[20:], y[20:])
    return state(other)


def bent(name: str, batch: int) -> Any:
    """Nonlinear residuals, one batch after the other."""
    model = mflow.ImplicitSGD(residual=mflow.objectives.nist(name), lr=0.5, average=10, l1=1e-3)
    model.fit(epochs=2, seed=1, batch_size=batch)
    return {name: getattr(model, name) for name in ("params", "last", "count", "nfev", "cut", "kept", "skipped", "reason")}


def predicted() -> Any:
    rows = Rows(37, 5)
    model = mflow.ImplicitSGD("squared").fit(rows.X, rows.line, epochs=2, seed=1)
    return {"linear": model.predict_linear(rows.X), "objective": model.objective(rows.X, rows.line)}


def trained(objective: str = "", validate: bool = False, **options: Any) -> Any:
    rows = Rows(37, 4)
    options = {"optimizer": "adam", "epochs": 4, "batch_size": 8, "seed": 3, "lr": 0.05, **options}
    if validate:
        options["validation"] = (rows.X[:9], rows.line[:9])
    if objective:
        f = getattr(mflow.objectives, objective)(rows.X, rows.labels(objective.lower()), l2=0.0625)
        return shown(mflow.train(f, np.zeros(f.shape), None, **options))
    return shown(mflow.train(squares, np.zeros(4), (rows.X, rows.line), jac=True, **options))


def softmax() -> Any:
    rows = Rows(37, 4)
    f = mflow.objectives.Softmax(rows.X, rows.classes)
    return shown(mflow.train(f, np.zeros((4, 3)), None, "adam", epochs=4, batch_size=8, seed=3, lr=0.05))


def resumed(objective: str) -> Any:
    with tempfile.TemporaryDirectory() as folder:
        file = os.path.join(folder, "run")
        first = trained(objective, checkpoint=file, checkpoint_every=3, max_steps=8)
        return {"first": first, "second": trained(objective, resume=file)}


def found_rate(compiled: bool) -> Any:
    rows = Rows(37, 4)
    given = {"steps": 40, "batch_size": 8, "lr_min": 2.0**-12, "lr_max": 16.0}
    if compiled:
        r = mflow.lr_find(mflow.objectives.LeastSquares(rows.X, rows.line), np.zeros(4), **given)
    else:
        r = mflow.lr_find(squares, np.zeros(4), (rows.X, rows.line), **given)
    return {name: getattr(r, name) for name in ("loss", "smooth", "lr", "suggestion", "minimum", "reason")}


def swept(method: Any) -> Any:
    rows = Rows(37, 4)
    rates = [2.0**-k for k in (9, 6, 3, 0)]
    if method.kind == "update":
        f = mflow.objectives.LeastSquares(rows.X, rows.line)
        task: Any = mflow.Training(f, np.zeros(4), epochs=3, batch_size=8)
    else:
        f = mflow.objectives.Rosenbrock(2)
        task = mflow.Descent(f, f.x0, maxiter=20)
    r = mflow.sweep(task, [method.name], rates, workers=1)
    return {"loss": r.loss, "reason": r.reason, "best_lr": r.best_lr, "best_loss": r.best_loss}


def _curve(x: Any, t: Any, y: Any) -> Any:
    return x[0] / (1.0 + x[1] * t * t) + x[2] * t - y


def _curve_jac(x: Any, t: Any, y: Any) -> Any:
    under = 1.0 + x[1] * t * t
    return np.column_stack([1.0 / under, -x[0] * t * t / (under * under), t])


def fit(noise: float = 0.0625, **options: Any) -> Any:
    t = numbers(21, 60, 0.0, 2.0)
    y = _curve([2.0, 0.75, -0.5], t, 0.0) + noise * numbers(21, 61)
    return mflow.least_squares(_curve, [1.0, 1.0, 0.0], args=(t, y), **options)


def batches() -> Any:
    rows = Rows(23, 2)
    made = mflow.minibatches(rows.X, rows.line, batch_size=5, seed=7)
    return [list(batch) for batch in made]


def refused(method: Any, loss: str) -> list[str]:
    """Parameters that are other losses' own."""
    out = []
    for p in method.parameters_:
        try:
            mflow.ImplicitSGD(loss, **{p.name: p.default})
        except TypeError:
            out.append(p.name)
    return out


def implicit_cases(m: Any) -> Iterator[Case]:
    for loss in LOSSES:
        yield Case(f"{m.name} {loss} online", partial(online, loss))
        yield Case(f"{m.name} {loss} weights", partial(fitted, loss, weights=Rows(37, 5).weights))
        yield Case(f"{m.name} {loss} sparse", partial(thinned, loss), needs="scipy")
        for columns in (1, 3, 12, 13, 100):
            yield Case(f"{m.name} {loss} columns={columns}", partial(fitted, loss, columns=columns, lr=0.25))
        yield Case(f"{m.name} {loss} forward", partial(fitted, loss, flow="forward", lr=0.015625))
        for text, parameters in [("default", {}), *variants(m, *refused(m, loss))]:
            yield Case(f"{m.name} {loss} {text}", partial(fitted, loss, **parameters))


def cases() -> Iterator[Case]:
    """All cases of this file."""
    for m in mflow.methods():
        if m.kind == "sweep":
            yield from implicit_cases(m)
        elif m.kind != "direction" and "second_order" not in m.flags:
            yield Case(f"sweep {m.name}", partial(swept, m))
    for name in ("", "LeastSquares", "Logistic", "Poisson", "Huber"):
        yield Case(f"train {name or 'python'} resumed", partial(resumed, name))
        yield Case(f"train {name or 'python'} accumulate", partial(trained, name, accumulate=3, drop_last=True))
        cosine = S.CosineAnnealingLR(0.1, T_max=12, warmup=3)
        yield Case(f"train {name or 'python'} schedule", partial(trained, name, lr=cosine, clip_norm=0.5, track_lr=True))
    yield Case("ImplicitSGD predict", predicted, machine=True)
    for name in ("Chwirut2", "MGH17", "Hahn1"):
        for batch in (1, 4):
            yield Case(f"ImplicitSGD {name} batch={batch}", partial(bent, name, batch))
    yield Case("train Softmax", softmax)
    yield Case("train python validation", partial(trained, validate=True, patience=1, epochs=12, lr=0.3))
    yield Case("train python plateau", partial(trained, lr=S.ReduceLROnPlateau(0.3, patience=0, factor=0.5), schedule_per="epoch"))
    yield Case("train python whole", partial(trained, batch_size=37, shuffle=False))
    yield Case("minibatches", batches)
    for compiled in (False, True):
        yield Case(f"lr_find {'compiled' if compiled else 'python'}", partial(found_rate, compiled), machine=True)
    yield Case("least_squares", partial(fit, jac=_curve_jac), FITTED, machine=True)
    for jac in ("2-point", "3-point"):  # without noise the error of the differences does not move the answer
        yield Case(f"least_squares {jac}", partial(fit, 0.0, jac=jac), FITTED, machine=True)
    for loss in ("soft_l1", "huber", "cauchy", "arctan"):
        yield Case(f"least_squares {loss}", partial(fit, jac=_curve_jac, loss=loss, f_scale=0.03125), FITTED, machine=True)
    plain = partial(fit, jac=_curve_jac, acceleration=False, x_scale=[1.0, 2.0, 0.5], sigma=numbers(21, 62, 0.5, 1.5))
    yield Case("least_squares scaled", plain, FITTED, machine=True)
    yield Case("least_squares passes", partial(fit, jac=_curve_jac, passes=2, lr=0.125, seed=3), FITTED, machine=True)
