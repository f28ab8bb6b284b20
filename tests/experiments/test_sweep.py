"""Sweeps over learning rates, the search for one, the Adam paper's comparison, and their pictures."""

from __future__ import annotations

import dataclasses
import math
import threading
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from decimal import Decimal
from fractions import Fraction
from multiprocessing import get_context

import numpy as np
import pytest

import mflow
from mflow.experiments import compare
from mflow.experiments.compare import problem

X = np.random.default_rng(5).normal(size=(200, 3))
Y = X @ [1.0, -2.0, 0.5]


def cost(w, X, y):
    r = X @ w - y
    return 0.5 * float(np.mean(r**2)), X.T @ r / len(y)


def bowl(x):
    return float(x @ x), 2 * x


# ---- lr_find ---------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("curvature", [0.1, 1.0, 100.0])
def test_a_rate_inside_the_stable_range_is_found(curvature):
    found = mflow.lr_find(
        lambda w: (0.5 * curvature * float(w @ w), curvature * w), np.ones(2), lr_min=1e-5 / curvature, lr_max=1e3 / curvature
    )
    assert found.reason == "diverged"
    assert 0.005 / curvature < found.suggestion < 2.0 / curvature
    assert found.success
    assert found.lr[-1] > 2.0 / curvature
    assert len(found.lr) == len(found.loss) == len(found.smooth) < 100
    assert found.loss[0] == curvature


def test_parameters_are_left_alone_and_runs_repeat():
    w = np.zeros(3)
    first, second = (mflow.lr_find(cost, w, (X, Y), "adam", batch_size=20) for _ in range(2))
    assert np.all(w == 0)
    assert np.array_equal(first.loss, second.loss)
    once = mflow.lr_find(cost, w, iter([(X, Y)] * 50))
    assert len(once.lr) == 50


@pytest.mark.parametrize("lr_min", [1e-3, 1.0, 1e3])
@pytest.mark.parametrize(
    "fun",
    [lambda w: (-float(w[0]), np.array([-1.0])), lambda w: (-float(w[0] ** 5), -5 * w**4), lambda w: (-float(np.exp(w[0])), -np.exp(w))],
)
def test_the_minimum_of_a_loss_that_only_falls_is_the_last_rate(fun, lr_min):
    found = mflow.lr_find(fun, np.ones(1), lr_min=lr_min, lr_max=1e4)
    assert found.minimum == found.lr[-1]
    assert "never fell" not in found.message
    assert np.all(np.diff(found.loss) < 0)


def test_a_loss_that_never_falls():
    found = mflow.lr_find(lambda w: (float(w @ w), -2 * w), np.ones(2), lr_min=1e-3)
    assert (found.success, found.status) == (False, -1)
    assert math.isnan(found.suggestion)
    assert "never fell" in found.message


def test_a_suggestion_is_not_made_of_the_noise_of_batches():
    """A default seed gave the least rate of the search, another nan; the seed alone moved it by five decades."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(512, 8))
    y = X @ rng.normal(size=8) + 0.5 * rng.normal(size=512)

    def cost(w, X, y):
        r = X @ w - y
        return 0.5 * float(np.mean(r**2)), X.T @ r / len(r)

    rates = [mflow.lr_find(cost, np.zeros(8), (X, y), batch_size=16, seed=seed).suggestion for seed in range(20)]
    assert min(rates) > 0.001
    assert max(rates) < 1.0  # above some 1.3 single batches diverge
    still = [mflow.lr_find(cost, np.zeros(8), (X, y), batch_size=16, seed=seed, lr_min=1e-14, lr_max=1e-9) for seed in range(20)]
    assert sum(found.success for found in still) <= 1  # nothing moves: what falls is noise
    assert "single batches differ" in still[0].message


def test_a_loss_that_is_nan():
    found = mflow.lr_find(lambda w: (math.nan, w), np.ones(2))
    assert (found.reason, found.success, len(found.lr)) == ("non_finite", False, 0)
    with pytest.raises(ValueError, match="expected at least one rate, got none"):
        mflow.plot.lr_find(found)


@pytest.mark.parametrize(
    ("more", "word"),
    [
        ({"lr_min": 0.0}, "lr_min"), ({"lr_max": 1e-9}, "lr_max"), ({"steps": 2}, "steps"), ({"smooth": 1.0}, "smooth"),
        ({"stop_at": 1.0}, "stop_at"), ({"jac": None}, "jac"), ({"lr": 0.1}, "lr"), ({"batch_size": 500, "drop_last": True}, "batch_size"),
    ],
)  # fmt: skip
def test_mistakes_in_lr_find(more, word):
    with pytest.raises((TypeError, ValueError), match=word):
        mflow.lr_find(cost, np.zeros(3), (X, Y), **more)


def test_numbers_of_other_types_in_lr_find() -> None:
    floats = mflow.lr_find(cost, np.zeros(3), (X, Y), smooth=0.5, stop_at=4.0, jac=True)
    others = mflow.lr_find(cost, np.zeros(3), (X, Y), smooth=Decimal("0.5"), stop_at=Fraction(4), jac=True)
    np.testing.assert_array_equal(others.smooth, floats.smooth)


# ---- sweep -----------------------------------------------------------------------------------------------------------------------------


def test_where_gradient_descent_diverges():
    found = mflow.sweep(mflow.Descent(bowl, np.ones(2)), ["sgd", "backward_euler"], [0.1, 0.9, 1.1, 50.0])
    assert found.reason[0, :, 0].tolist() == ["converged", "converged", "diverged", "diverged"]  # lr L < 2 with L = 2
    assert found.reason[1, :, 0].tolist() == ["converged"] * 4
    assert found.best_lr[0] in (0.1, 0.9)
    assert found.success
    assert "first bad ending above it at lr = 1.1" in found.table() or found.best_lr[0] == 0.1
    assert str(found) == found.table()
    assert "diverged" in found.table()


def test_the_numbers_are_those_of_train():
    task = mflow.Training(cost, np.zeros(3), (X, Y), epochs=3, batch_size=20)
    found = mflow.sweep(task, {"plain": "sgd", "heavy": ("momentum", {"momentum": 0.5})}, [0.01, 0.1], [3, 4], workers=3)
    assert found.methods == ["plain", "heavy"]
    for cell in found.cells:
        method, more = ("sgd", {}) if cell.method == "plain" else ("momentum", {"momentum": 0.5})
        run = mflow.train(cost, np.zeros(3), (X, Y), method, 3, 20, jac=True, seed=cell.seed, lr=cell.lr, **more)
        assert cell.loss == pytest.approx(cost(run.last_params, X, Y)[0], rel=1e-13)
        assert np.array_equal(cell.curve, run.history.loss)
        assert cell.start_loss == pytest.approx(cost(np.zeros(3), X, Y)[0], rel=1e-13)
    assert [(c.method, c.lr, c.seed) for c in found.cells] == [(m, lr, s) for m in found.methods for lr in (0.01, 0.1) for s in (3, 4)]
    assert found.best_loss[0] == np.median(found.loss[0, 1])
    assert "over 2 seeds" in found.table()


def test_any_executor_gives_the_same(tmp_path):
    class Here(ThreadPoolExecutor):
        def submit(self, fn, /, *args, **kwargs):
            done = Future()
            done.set_result(fn(*args, **kwargs))
            return done

    task = mflow.Training(cost, np.zeros(3), (X, Y), epochs=2, schedule=mflow.schedules.InverseSqrtLR)
    threads = mflow.sweep(task, ["sgd", "adam"], [0.01, 0.1])
    with Here() as pool:
        assert np.array_equal(mflow.sweep(task, ["sgd", "adam"], [0.01, 0.1], executor=pool).loss, threads.loss)
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        named = mflow.sweep("penguins", ["sgd", mflow.get_method("adam", amsgrad=True)], [0.01], executor=pool, epochs=1)
    assert np.array_equal(named.loss, mflow.sweep("penguins", ["sgd", mflow.get_method("adam", amsgrad=True)], [0.01], epochs=1).loss)
    assert named.cells[0].reason == "finished"


def test_cells_run_at_the_same_time():
    both = threading.Barrier(2, timeout=20)

    def task(method, lr, seed):
        both.wait()
        return {"loss": lr}

    found = mflow.sweep(task, "sgd", [1.0, 2.0], workers=2)
    assert found.loss.ravel().tolist() == [1.0, 2.0]
    assert found.best_lr.tolist() == [1.0]


def test_a_cell_that_raises_is_alone():
    def task(method, lr, seed):
        if lr == 2.0:
            raise OSError("the disk")
        return {"loss": math.nan if lr == 3.0 else lr, "start_loss": 5.0, "reason": "finished"}

    found = mflow.sweep(task, ["sgd", "adam"], [1.0, 2.0, 3.0, 7.0])
    assert found.reason[0, :, 0].tolist() == ["finished", "raised", "diverged", "diverged"]
    assert "OSError: the disk" in found.table()
    assert found.best_lr.tolist() == [1.0, 1.0]
    none = mflow.sweep(task, ["sgd"], [2.0])
    assert (none.success, none.status) == (False, -1)
    assert "no rate without a bad ending" in none.message
    assert "no rate" in none.table()


def test_what_cannot_be_sent_is_that_cells_ending():
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        found = mflow.sweep(lambda method, lr, seed: {"loss": lr}, ["sgd"], [1.0], executor=pool)
    assert found.reason.ravel().tolist() == ["raised"]


def test_ctrl_c_keeps_what_was_done():
    def task(method, lr, seed):
        if lr == 3.0:
            raise KeyboardInterrupt
        return {"loss": lr}

    with pytest.raises(KeyboardInterrupt) as caught:
        mflow.sweep(task, ["sgd"], [1.0, 2.0, 3.0, 4.0], workers=1)
    partial = caught.value.partial_result
    assert not partial.success
    assert "not run" in partial.table()
    mflow.plot.sweep(partial)


def test_problems_of_compare_and_progress(capsys):
    found = mflow.sweep(problem("rosenbrock"), ["adam"], [0.1], maxiter=50, progress=True)
    assert found.reason.ravel().tolist() == ["max_iter"]
    assert "1 of 1 runs" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "word", "arguments"),
    [
        (ValueError, "lrs", ("penguins", ["sgd"], [])),
        (ValueError, "lrs", ("penguins", ["sgd"], [-1.0])),
        (ValueError, "lrs", ("penguins", ["sgd"], [math.nan])),
        (TypeError, "lrs: expected a number above 0, or several, got b'x'", ("penguins", ["sgd"], b"x")),
        (ValueError, "seeds", ("penguins", ["sgd"], [1.0], [])),
        (ValueError, "seeds", ("penguins", ["sgd"], [1.0], [1, 1])),
        (ValueError, "methods", ("penguins", [], [1.0])),
        (ValueError, "got sgd twice", ("penguins", ["sgd", "sgd"], [1.0])),
        (ValueError, "sgdd", ("penguins", ["sgdd"], [1.0])),
        (ValueError, "penguin", ("penguinz", ["sgd"], [1.0])),
        (TypeError, "problem: expected .* got int", (3, ["sgd"], [1.0])),
    ],
)
def test_mistakes_in_sweep(error, word, arguments):
    with pytest.raises(error, match=word):
        mflow.sweep(*arguments)


def test_options_belong_to_named_problems():
    with pytest.raises(TypeError, match="epochs"):
        mflow.sweep(mflow.Descent(bowl, np.ones(2)), ["sgd"], [0.1], epochs=3)
    with pytest.raises(ValueError, match="workers"):
        mflow.sweep("penguins", ["sgd"], [0.1], workers=0)


# ---- pictures --------------------------------------------------------------------------------------------------------------------------


def test_the_picture_of_a_sweep_shows_where_each_method_diverges():
    found = mflow.sweep(mflow.Descent(bowl, np.ones(2), maxiter=20), ["sgd", "rk4"], [0.1, 1.2, 50.0])
    axis = mflow.plot.sweep(found)
    crosses = [line.get_xdata().tolist() for line in axis.lines if line.get_marker() == "x"]
    assert crosses == [[1.2, 50.0], [50.0]]
    assert mflow.plot.sweep(found, ax=axis) is axis
    with pytest.raises(ValueError, match="axes"):
        mflow.plot.history(mflow.train(cost, np.zeros(3), (X, Y), epochs=1, jac=True), [axis, axis])


def test_the_picture_of_effective_rates_needs_them():
    run = mflow.train(cost, np.zeros(3), (X, Y), epochs=1, jac=True)
    with pytest.raises(ValueError, match="track_lr"):
        mflow.plot.effective_lr({"adam": run})
    with pytest.raises(ValueError, match="at least one"):
        mflow.plot.effective_lr({})


def test_the_picture_of_histories():
    runs = {n: mflow.train(cost, np.zeros(3), (X, Y), n, epochs=3, jac=True, validation=(X, Y)) for n in ("sgd", "adam")}
    left = mflow.plot.history(runs).axes[0]
    assert [t.get_text() for t in left.get_legend().get_texts()] == ["sgd training", "sgd validation", "adam training", "adam validation"]
    with np.errstate(all="ignore"):
        broken = mflow.train(cost, np.zeros(3), (X, Y), "sgd", epochs=1000, jac=True, lr=10.0)
    assert any(line.get_marker() == "x" for line in mflow.plot.history(broken).axes[0].lines)


# ---- compiled costs --------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["rosenbrock", "penguins", "Misra1a"])
def test_compare_takes_compiled_costs_as_they_are(name):
    """The same bits and the same calls as when Python counts them."""
    compiled = problem(name)
    counted = dataclasses.replace(compiled, objective=None)
    methods = ["sgd", "adam", "rk4", "rkc2", "backward_euler"]
    for one, two in zip(*(compare.compare(p, methods, max_iter=20, lr=1e-3) for p in (compiled, counted)), strict=True):
        assert one.x.tobytes() == two.x.tobytes()
        assert one.history.loss == two.history.loss
        assert one.history.calls == two.history.calls
        assert (one.calls, one.passes, one.steps, one.reason) == (two.calls, two.passes, two.steps, two.reason)


def test_descents_of_sweeps_take_compiled_costs():
    f = mflow.objectives.Quadratic([1.0, 10.0])
    found = mflow.sweep(mflow.Descent(f, f.x0, maxiter=500), ["sgd", "rk4"], [0.05, 0.25], workers=2)
    assert found.reason[:, :, 0].tolist() == [["converged", "diverged"], ["converged", "converged"]]
    by_name = mflow.sweep("quadratic", ["sgd"], [0.1, 0.21], maxiter=50)
    assert by_name.reason[0, :, 0].tolist() == ["max_iter", "diverged"]


def test_lr_find_and_sweep_take_each_others_problems():
    """A `Training`, or the cost with its parts: the same runs."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 3))
    y = X @ np.array([1.0, -2.0, 0.5])

    def cost(w, X, y):
        r = X @ w - y
        return 0.5 * float(np.mean(r**2)), X.T @ r / len(y)

    task = mflow.Training(cost, np.zeros(3), (X, y), epochs=2, batch_size=20, options={"shuffle": False})
    found = mflow.lr_find(task)
    parts = mflow.lr_find(cost, np.zeros(3), (X, y), batch_size=20, shuffle=False)
    np.testing.assert_array_equal(found.loss, parts.loss)
    assert found.suggestion == parts.suggestion
    of_task = mflow.sweep(task, ["sgd"], [found.suggestion])
    of_parts = mflow.sweep(
        cost, ["sgd"], [found.suggestion], params=np.zeros(3), data=(X, y), epochs=2, batch_size=20, options={"shuffle": False}
    )
    np.testing.assert_array_equal(of_task.loss, of_parts.loss)
    whole = mflow.sweep(lambda w: cost(w, X, y), ["rk4"], [0.5], x0=np.zeros(3))
    assert whole.reason.ravel().tolist() == ["converged"]
    with pytest.raises(TypeError, match="params, data, batch_size: the Training holds them"):
        mflow.lr_find(task, np.zeros(3))
    with pytest.raises(TypeError, match="params: expected where to start, got None"):
        mflow.lr_find(cost)


def test_a_search_for_a_rate_takes_the_task_of_a_sweep():
    """check_gradient of a task was given twice."""
    X = np.random.default_rng(0).normal(size=(60, 2))

    def cost(w, X):
        r = X @ w - 1.0
        return 0.5 * float(np.mean(r**2)), X.T @ r / len(r)

    found = [
        mflow.lr_find(mflow.Training(cost, np.zeros(2), (X,), batch_size=60, options=options)).suggestion
        for options in ({}, {"check_gradient": False})
    ]
    assert found[0] == found[1]
    with pytest.raises(TypeError, match="check_gradient: lr_find does not look at the gradient"):
        mflow.lr_find(cost, np.zeros(2), (X,), check_gradient=True)
