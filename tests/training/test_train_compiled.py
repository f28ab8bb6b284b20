"""Training on compiled objectives: the bits of the same loop in Python, whatever it is cut into, and every ending."""

from __future__ import annotations

import math
import pickle

import numpy as np
import pytest

import mflow
from mflow.problems import objectives

RNG = np.random.default_rng(5)
X = RNG.normal(size=(103, 4))
Y = X @ [1.0, -2.0, 0.5, 0.0] + 0.1 * RNG.normal(size=103)
WEIGHTS = RNG.uniform(0.0, 2.0, 103)
ROWS = np.arange(103)


KINDS = (
    objectives.LeastSquares(X, Y, weights=WEIGHTS, l2=1e-3, intercept=True),
    objectives.Logistic(X, Y > 0, intercept=True),
    objectives.Poisson(X, np.floor(np.exp(0.3 * Y))),
    objectives.Huber(X, Y, 0.5),
    objectives.Softmax(X, np.digitize(Y, [-1.0, 1.0]), l2=1e-3),
)


def in_python(fun):
    """The same cost as Python sees it: a function of an index set."""
    return lambda c, rows: fun.batch(rows).value_and_grad(c)


def same(a, b):
    """Equal bits in everything but the clock."""
    for name in ("params", "last_params"):
        assert np.array_equal(getattr(a, name), getattr(b, name)), name
    for name in a.history:
        if name != "time":
            np.testing.assert_array_equal(a.history[name], b.history[name], err_msg=name)
    assert (a.reason, a.nit, a.nfev, a.best_epoch, a.message) == (b.reason, b.nit, b.nfev, b.best_epoch, b.message)
    assert a.fun == b.fun or (math.isnan(a.fun) and math.isnan(b.fun))
    assert pickle.dumps(a.optimizer.state_dict()) == pickle.dumps(b.optimizer.state_dict())


@pytest.mark.parametrize("fun", KINDS, ids=lambda f: f.name)
@pytest.mark.parametrize("optimizer", ["sgd", "adam", "nesterov"])
def test_the_bits_of_the_python_path(fun, optimizer):
    how = {"epochs": 5, "batch_size": 16, "seed": 3, "lr": 0.05, **({"form": "pull"} if optimizer == "nesterov" else {})}
    compiled = mflow.train(fun, fun.x0, None, optimizer, **how)
    python = mflow.train(in_python(fun), fun.x0, (ROWS,), optimizer, jac=True, **how)
    same(compiled, python)
    assert compiled.reason == "finished"
    assert compiled.nit == 35
    assert compiled.history.loss[-1] < compiled.history.loss[0]


def test_every_optimizer(update_method):
    fun = objectives.Logistic(X, Y > 0)
    cls = getattr(mflow.optim, update_method.class_name)
    same(
        mflow.train(fun, fun.x0, None, cls, 2, 20, seed=1),
        mflow.train(in_python(fun), fun.x0, (ROWS,), cls, 2, 20, seed=1, jac=True),
    )  # fmt: skip


OPTIONS = [
    {"accumulate": 3},
    {"accumulate": 3, "drop_last": True, "shuffle": False},
    {"clip_norm": 0.3},
    {"clip_value": 0.2, "weight_decay": 0.1},
    {"lr": mflow.schedules.CosineAnnealingLR(0.1, T_max=20, warmup=5)},
    {"lr": mflow.schedules.StepLR(0.1, 2, 0.5), "schedule_per": "epoch"},
    {"lr": lambda step: 0.1 / (1 + step)},
    {"max_steps": 17, "accumulate": 2},
    {"track_lr": True, "patience": 2, "min_delta": 1e-3, "epochs": 40},
]


@pytest.mark.parametrize("more", OPTIONS, ids="-".join)
def test_all_that_the_ordinary_path_has(more):
    fun = objectives.LeastSquares(X, Y, l2=1e-2)
    how = {"epochs": 4, "batch_size": 16, "seed": 3, "lr": 0.05, **more}
    same(mflow.train(fun, fun.x0, None, **how), mflow.train(in_python(fun), fun.x0, (ROWS,), jac=True, **how))


def test_a_plateau_follows_an_objective_for_validation():
    fun, held = objectives.LeastSquares(X[:80], Y[:80]), objectives.LeastSquares(X[80:], Y[80:])

    def settings():
        return {
            "epochs": 30, "batch_size": 7, "seed": 3, "lr": mflow.schedules.ReduceLROnPlateau(0.5, factor=0.5, patience=0), "patience": 5,
            "validation": held,
        }  # fmt: skip

    compiled = mflow.train(fun, fun.x0, None, **settings())
    same(compiled, mflow.train(in_python(fun), fun.x0, (np.arange(80),), jac=True, **settings()))
    assert compiled.fun == held(compiled.params) == compiled.history.val_loss.min()
    assert compiled.history.lr[-1] < 0.5


def test_an_index_set_has_its_own_rows():
    some = RNG.permutation(103)[:40]
    fun = objectives.Logistic(X, Y > 0)
    how = {"epochs": 3, "batch_size": 8, "seed": 1, "lr": 0.1}
    alone = mflow.train(objectives.Logistic(X[some], Y[some] > 0), fun.x0, None, **how)
    same(mflow.train(fun.batch(some), fun.x0, None, **how), alone)


def test_an_objective_without_rows_is_one_batch():
    for fun in (objectives.Rosenbrock(4), objectives.nist("Misra1a")):
        how = {"epochs": 50, "lr": 1e-4}
        same(mflow.train(fun, fun.x0, None, **how), mflow.train(fun.value_and_grad, fun.x0, None, jac=True, **how))
    again = objectives.Rosenbrock(4)
    accumulated = mflow.train(again, again.x0, epochs=10, accumulate=4)
    assert accumulated.nit == 10


def test_callbacks_see_every_step():
    fun = objectives.LeastSquares(X, Y)
    how = {"epochs": 3, "batch_size": 16, "seed": 3, "lr": 0.05}
    seen = []
    watched = mflow.train(fun, fun.x0, None, step_callback=lambda s: seen.append((s.nit, s.loss, s.lr, s.params.copy())), **how)
    same(watched, mflow.train(fun, fun.x0, None, **how))
    assert [s[0] for s in seen] == list(range(1, 22))
    assert np.array_equal([s[1] for s in seen], watched.history.step_loss)
    assert np.array_equal(seen[-1][3], watched.last_params)
    stopped = mflow.train(fun, fun.x0, None, step_callback=lambda s: s.nit == 9, **how)
    assert (stopped.reason, stopped.nit, stopped.epochs) == ("callback", 9, 2)
    ended = mflow.train(fun, fun.x0, None, callback=lambda s: s.epoch == 1, **how)
    assert (ended.reason, ended.nit) == ("callback", 14)


@pytest.mark.parametrize("step", [3, 8, 11, 16])
@pytest.mark.parametrize("name", ["adam", "nadam"])
def test_resume_has_the_same_bits(tmp_path, name, step):
    fun, path = objectives.Logistic(X, Y > 0, weights=WEIGHTS), tmp_path / "state"

    def settings():
        return {
            "epochs": 4, "batch_size": 13, "accumulate": 2, "track_lr": True, "clip_norm": 1.0, "patience": 3, "validation": fun,
            "lr": mflow.schedules.ReduceLROnPlateau(0.1, factor=0.5, patience=0),
        }  # fmt: skip

    whole = mflow.train(fun, fun.x0, None, name, seed=9, **settings())
    mflow.train(fun, fun.x0, None, name, seed=9, checkpoint=path, checkpoint_every=5, max_steps=step, **settings())
    same(mflow.train(fun, fun.x0, None, name, resume=path, **settings()), whole)
    other = objectives.LeastSquares(X, Y)
    with pytest.raises(ValueError, match=r"resume: .*fun was"):
        mflow.train(other, fun.x0, None, name, resume=path, **{**settings(), "validation": None, "patience": None})


def test_checkpoints_come_in_time(tmp_path):
    fun, path = objectives.LeastSquares(X, Y), tmp_path / "state"
    how = {"epochs": 4, "batch_size": 13}
    whole = mflow.train(fun, fun.x0, None, seed=9, **how)

    def fails(state):
        if state.nit == 7:
            raise RuntimeError("power")

    with pytest.raises(RuntimeError, match="power") as caught:
        mflow.train(fun, fun.x0, None, seed=9, checkpoint=path, checkpoint_every=3, step_callback=fails, **how)
    assert caught.value.partial_result.nit == 7
    same(mflow.train(fun, fun.x0, None, resume=path, **how), whole)


def test_a_schedule_that_fails_keeps_the_steps_before():
    fun = objectives.LeastSquares(X, Y)
    how = {"epochs": 5, "batch_size": 16, "seed": 3}
    schedule = mflow.schedules.OneCycleLR(0.1, total_steps=18).__call__  # a plain function, whose end nobody knows beforehand
    with pytest.raises(ValueError, match="total_steps = 18") as caught:
        mflow.train(fun, fun.x0, None, lr=schedule, **how)
    partial = caught.value.partial_result
    assert (partial.nit, partial.reason) == (18, "rhs_failed")
    with pytest.raises(ValueError, match="total_steps = 18") as peer:
        mflow.train(in_python(fun), fun.x0, (ROWS,), lr=schedule, jac=True, **how)
    assert np.array_equal(partial.last_params, peer.value.partial_result.last_params)
    with pytest.raises(ValueError, match=r"lr: expected a finite number of at least 0 from its schedule .*, got -1"):
        mflow.train(fun, fun.x0, None, lr=lambda step: 0.1 if step < 9 else -1.0, **how)


@pytest.mark.parametrize("accumulate", [1, 3])
def test_too_large_a_step_diverges_and_keeps_the_best(accumulate):
    fun = objectives.LeastSquares(X, Y)
    how = {"epochs": 3000, "batch_size": 20, "seed": 0, "lr": 10.0, "accumulate": accumulate}
    compiled = mflow.train(fun, fun.x0, None, "sgd", **how)
    assert compiled.reason == "diverged"
    assert "lower lr" in compiled.message
    assert np.all(np.isfinite(compiled.params))
    assert compiled.fun == compiled.history.loss.min()
    same(compiled, mflow.train(in_python(fun), fun.x0, (ROWS,), "sgd", jac=True, **how))


def test_huge_gradients_are_clipped_as_in_python():
    """Squares overflow: the norm is taken of scaled numbers."""
    fun = objectives.Quadratic(np.full(5, 1e180), x0=np.full(5, 1e-20))
    how = {"epochs": 3, "clip_norm": 1e-21, "lr": 0.1}
    compiled = mflow.train(fun, fun.x0, None, "sgd", **how)
    same(compiled, mflow.train(fun.value_and_grad, fun.x0, None, "sgd", jac=True, **how))
    assert compiled.history.step_grad_norm[0] == pytest.approx(math.sqrt(5) * 1e160, rel=1e-14)


@pytest.mark.parametrize(
    ("error", "words", "more"),
    [
        (TypeError, "holds its own", {"data": (X, Y)}),
        (TypeError, "has its own gradient", {"jac": lambda c: c}),
        (ValueError, "batch_size: expected .*, got 104", {"batch_size": 104, "drop_last": True}),
        (ValueError, r"params: expected 4 numbers of shape \(4,\), got 3", {"params": np.zeros(3)}),
        (ValueError, "params: expected one array .*, got 2 arrays", {"params": [np.zeros(2), np.zeros(2)]}),
        (TypeError, "validation: expected an objective .* got tuple", {"validation": (X, Y)}),
        (ValueError, "validation: .*takes one array of 3", {"validation": objectives.LeastSquares(X[:, :3], Y)}),
        (ValueError, "accumulate: .* got 0", {"accumulate": 0}),
        (ValueError, "maximize", {"maximize": True}),
        (ValueError, "no mean over rows", {"fun": objectives.Rosenbrock(4), "batch_size": 2}),
    ],
)
def test_mistakes_are_named(error, words, more):
    arguments = {"fun": objectives.LeastSquares(X, Y), "params": np.zeros(4), "epochs": 1, **more}
    with pytest.raises(error, match=words):
        mflow.train(arguments.pop("fun"), arguments.pop("params"), **arguments)


def test_orders_of_the_core_are_checked():
    from mflow_core.optimize.training import Course

    fun, w = objectives.LeastSquares(X, Y), np.zeros(4)
    course = Course(mflow.optim.SGD(w), fun, 10, False, 1)
    assert course.batches == 11
    with pytest.raises(RuntimeError, match="set_order"):
        course.run(0, np.empty((3, 1)), np.zeros(3))
    for order in (ROWS[:50], ROWS + 1, ROWS - 1):
        with pytest.raises(ValueError, match="order"):
            course.set_order(order)


def test_sweeps_take_objectives():
    fun = objectives.Logistic(X, Y > 0)
    task = mflow.Training(fun, fun.x0, epochs=4, batch_size=16)
    found = mflow.sweep(task, ["sgd", "adam"], [1e-2, 1e-1], seeds=[0, 1], workers=2)
    plain = mflow.sweep(mflow.Training(in_python(fun), fun.x0, (ROWS,), epochs=4, batch_size=16), ["sgd", "adam"], [1e-2, 1e-1], [0, 1])
    assert set(found.reason.ravel()) == {"finished"}
    np.testing.assert_allclose(found.loss, plain.loss, rtol=1e-13)
    assert mflow.lr_find(fun, fun.x0, batch_size=16, steps=30, lr_min=1e-3, lr_max=1e3).suggestion > 0.0
