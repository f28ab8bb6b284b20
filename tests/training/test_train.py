"""The training driver: against loops by hand, the same bits after a resume, and a definite ending for everything that goes wrong."""

from __future__ import annotations

import math
import os
import pickle

import numpy as np
import pytest

import mflow

RNG = np.random.default_rng(5)
X = RNG.normal(size=(100, 3))
Y = X @ [1.0, -2.0, 0.5] + 0.1 * RNG.normal(size=100)


def cost(w, X, y):
    r = X @ w - y
    return 0.5 * float(np.mean(r**2)), X.T @ r / len(y)


def loss(w, X, y):
    return cost(w, X, y)[0]


def grad(w, X, y):
    return cost(w, X, y)[1]


def same(a, b):
    """Equal bits in everything but the clock."""
    for name in ("params", "last_params"):
        assert np.array_equal(getattr(a, name), getattr(b, name)), name
    for name in a.history:
        if name != "time":
            np.testing.assert_array_equal(a.history[name], b.history[name], err_msg=name)
    assert (a.reason, a.nit, a.nfev, a.best_epoch, a.fun) == (b.reason, b.nit, b.nfev, b.best_epoch, b.fun)


@pytest.mark.parametrize("name", ["SGD", "Adam", "Nesterov", "ConsistentMomentum", "RMSprop"])
def test_the_bits_of_a_loop_by_hand(name):
    w = np.zeros(3)
    options = {"form": "pull"} if name == "Nesterov" else {"lookahead": True} if name == "ConsistentMomentum" else {}
    opt = getattr(mflow.optim, name)(w, lr=0.01, **options)
    losses = []
    for xb, yb in mflow.minibatches(X, Y, batch_size=16, epochs=3, seed=4):
        value, g = cost(opt.ask(), xb, yb)
        losses.append(value)
        opt.step(g)
    result = mflow.train(cost, np.zeros(3), (X, Y), getattr(mflow.optim, name), 3, 16, jac=True, seed=4, lr=0.01, **options)
    assert result.reason == "finished"
    assert np.array_equal(result.last_params, w)
    assert np.array_equal(result.history.step_loss, losses)
    assert result.nit == result.nfev == 21 == len(losses)
    means = [np.average(losses[7 * e : 7 * e + 7], weights=[16] * 6 + [4]) for e in range(3)]
    np.testing.assert_allclose(result.history.loss, means, rtol=1e-14)
    assert result.fun == result.history.loss.min()


def test_three_ways_to_say_what_the_gradient_is():
    how = {"epochs": 2, "batch_size": 20, "seed": 0, "lr": 0.1}
    pair = mflow.train(cost, np.zeros(3), (X, Y), "sgd", jac=True, **how)
    two = mflow.train(loss, np.zeros(3), (X, Y), "sgd", jac=grad, **how)
    same(pair, two)
    alone = mflow.train(grad, np.zeros(3), (X, Y), "sgd", **how)
    assert np.array_equal(alone.params, pair.last_params)
    assert np.all(np.isnan(alone.history.loss))
    assert math.isnan(alone.fun)
    assert alone.best_epoch == 1


def test_arrangements_of_parameters():
    def split(p, X, y):
        value, g = cost(np.concatenate([p["a"], p["b"]]), X, y)
        return value, {"b": g[1:], "a": g[:1]}

    def listed(p, X, y):
        value, g = cost(np.concatenate(p), X, y)
        return value, [g[:1], g[1:]]

    how = {"epochs": 2, "batch_size": 20, "seed": 0, "lr": 0.1, "jac": True}
    plain = mflow.train(cost, np.zeros(3), (X, Y), **how)
    by_key = mflow.train(split, {"a": np.zeros(1), "b": np.zeros(2)}, (X, Y), **how)
    by_place = mflow.train(listed, [np.zeros(1), np.zeros(2)], (X, Y), **how)
    assert np.array_equal(np.concatenate([by_key.params["a"], by_key.params["b"]]), plain.params)
    assert np.array_equal(np.concatenate(by_place.params), plain.params)


def test_an_optimizer_with_groups():
    a, b = np.zeros(1), np.zeros(2)
    opt = mflow.optim.SGD([{"params": a, "lr": 0.1}, {"params": [b], "lr": 0.2}])

    def listed(p, X, y):
        value, g = cost(np.concatenate(p), X, y)
        return value, [g[:1], g[1:]]

    result = mflow.train(listed, [a, b], (X, Y), opt, 1, 100, jac=True, track_lr=True)
    g = grad(np.zeros(3), X[(p := np.random.default_rng(result.seed).permutation(100))], Y[p])
    np.testing.assert_allclose(np.concatenate([a, b]), -g * [0.1, 0.2, 0.2], rtol=1e-14)
    np.testing.assert_allclose(result.history.effective_lr, [[0.1, 0.2, 0.2]], rtol=1e-14)
    with pytest.raises(ValueError, match="bound to other arrays"):
        mflow.train(listed, [a.copy(), b], (X, Y), opt, 1, jac=True)


def test_the_callers_arrays_are_left_alone():
    w = np.zeros(3)
    mflow.train(cost, w, (X, Y), epochs=1, jac=True)
    assert np.all(w == 0)


def test_rows_of_a_mapped_file_are_gathered(tmp_path):
    stored = np.memmap(tmp_path / "x", dtype=np.float64, mode="w+", shape=X.shape)
    stored[:] = X
    stored.flush()
    turned = np.memmap(tmp_path / "t", dtype=np.float64, mode="w+", shape=X.shape, order="F")
    turned[:] = X
    how = {"epochs": 2, "batch_size": 8, "seed": 1, "jac": True}
    plain = mflow.train(cost, np.zeros(3), (X, Y), **how)
    for mapped in (np.memmap(tmp_path / "x", dtype=np.float64, mode="r", shape=X.shape), turned):
        same(mflow.train(cost, np.zeros(3), (mapped, Y), **how), plain)


def test_a_mapped_file_is_never_read_as_a_whole(tmp_path):
    rows, columns = 1 << 18, 64  # 128 MB, and the file is sparse
    mapped = np.memmap(tmp_path / "big", dtype=np.float64, mode="w+", shape=(rows, columns), order="F")
    tracemalloc = pytest.importorskip("tracemalloc")
    tracemalloc.start()
    try:
        mflow.train(lambda w, x: x.sum(0), np.zeros(columns), (mapped,), "sgd", 1, 64, max_steps=3)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 16 << 20  # the order of 2^18 rows is 2 MB
    del mapped
    os.unlink(tmp_path / "big")


def test_batches_from_elsewhere():
    batches = list(mflow.minibatches(X, Y, batch_size=16, seed=4))
    plain = mflow.train(cost, np.zeros(3), (X, Y), epochs=1, batch_size=16, seed=4, jac=True)
    listed = [list(b) for b in batches]
    for data in (batches, iter(batches), lambda epoch: iter(batches), listed):
        found = mflow.train(cost, np.zeros(3), data, epochs=1, jac=True)
        assert np.array_equal(found.params, plain.params)
        assert np.array_equal(found.history.loss, plain.history.loss)
    alone = mflow.train(lambda w, x: x.sum(0), np.zeros(3), [X[:5], X[5:]], "sgd", 1, lr=1.0)
    np.testing.assert_allclose(alone.params, -X.sum(0), rtol=1e-12)


def test_without_data_an_epoch_is_a_step():
    result = mflow.train(lambda w: (float(w @ w), 2 * w), np.ones(2), None, "sgd", 5, jac=True, lr=0.25)
    np.testing.assert_allclose(result.last_params, 2.0**-5)
    assert result.nit == 5


def test_accumulated_batches_are_one_large_batch():
    how = {"epochs": 3, "jac": True, "seed": 2, "lr": 0.1, "shuffle": False}
    large = mflow.train(cost, np.zeros(3), (X, Y), "adam", batch_size=32, **how)
    small = mflow.train(cost, np.zeros(3), (X, Y), "adam", batch_size=8, accumulate=4, **how)
    assert large.nit == small.nit == 12  # three of 32 rows, and one of 4, an epoch
    np.testing.assert_allclose(small.params, large.params, rtol=1e-12)
    np.testing.assert_allclose(small.history.loss, large.history.loss, rtol=1e-12)
    stream = [tuple(a[k : k + 8] for a in (X, Y)) for k in range(0, 100, 8)]

    class Endless:
        def __iter__(self):
            return iter(stream)

    unknown = mflow.train(cost, np.zeros(3), Endless(), "adam", accumulate=4, epochs=3, jac=True, lr=0.1)
    assert np.array_equal(unknown.params, small.params)


def test_clipping():
    how = {"epochs": 1, "batch_size": 100, "shuffle": False, "jac": True, "lr": 1.0}
    g = grad(np.zeros(3), X, Y)
    by_norm = mflow.train(cost, np.zeros(3), (X, Y), "sgd", clip_norm=0.1, **how)
    assert np.linalg.norm(by_norm.last_params) == pytest.approx(0.1, rel=1e-5)
    assert by_norm.history.step_grad_norm[0] == pytest.approx(np.linalg.norm(g), rel=1e-14)
    by_value = mflow.train(cost, np.zeros(3), (X, Y), "sgd", clip_value=0.2, **how)
    np.testing.assert_allclose(by_value.last_params, -np.clip(g, -0.2, 0.2), rtol=1e-14)


def test_drop_last():
    assert mflow.train(cost, np.zeros(3), (X, Y), epochs=1, batch_size=32, jac=True).nit == 4
    assert mflow.train(cost, np.zeros(3), (X, Y), epochs=1, batch_size=32, drop_last=True, jac=True).nit == 3


def test_schedules_by_step_and_by_epoch():
    schedule = mflow.schedules.ExponentialLR(0.1, 0.5)
    how = {"batch_size": 25, "epochs": 3, "jac": True, "lr": schedule, "optimizer": "sgd"}
    by_step = mflow.train(cost, np.zeros(3), (X, Y), **how)
    by_epoch = mflow.train(cost, np.zeros(3), (X, Y), schedule_per="epoch", **how)
    assert by_step.history.step_lr.tolist() == [0.1 * 0.5**k for k in range(12)]
    assert by_epoch.history.step_lr.tolist() == [0.1 * 0.5 ** (k // 4) for k in range(12)]
    assert by_epoch.history.lr.tolist() == [0.1, 0.05, 0.025]


def test_plateau_follows_validation():
    schedule = mflow.schedules.ReduceLROnPlateau(0.1, factor=0.5, patience=0)
    values = iter([3.0, 2.0, 2.5, 2.5, 1.0])
    result = mflow.train(cost, np.zeros(3), (X, Y), "sgd", 5, jac=True, lr=schedule, validation=(X, Y), metric=lambda w, x, y: next(values))
    assert result.history.lr.tolist() == [0.1, 0.1, 0.1, 0.05, 0.025]
    assert (result.best_epoch, result.fun) == (4, 1.0)


def test_best_parameters_and_early_stopping():
    values, seen = iter([3.0, 2.0, 2.5, 1.99, 1.98, 5.0]), []
    result = mflow.train(
        cost, np.zeros(3), (X, Y), epochs=50, jac=True, validation=(X, Y), metric=lambda w, x, y: next(values), patience=3, min_delta=0.1,
        callback=lambda s: seen.append(s.params.copy()),
    )  # fmt: skip
    assert (result.reason, result.status, result.success) == ("early_stopped", 0, True)
    assert result.epochs == 5
    assert result.best_epoch == 4  # the least of all, though not less by min_delta
    assert np.array_equal(result.params, seen[4])


def test_validation_is_a_mean_over_rows():
    rows = np.random.default_rng(0).normal(size=(20_000, 3))
    target = rows @ np.ones(3)
    result = mflow.train(cost, np.zeros(3), (X, Y), epochs=1, jac=True, validation=(rows, target))
    assert result.history.val_loss[0] == pytest.approx(loss(result.last_params, rows, target), rel=1e-12)
    two = [(rows[:5], target[:5]), (rows[5:], target[5:])]
    parts = mflow.train(cost, np.zeros(3), (X, Y), epochs=1, jac=True, seed=result.seed, validation=two)
    assert parts.history.val_loss[0] == pytest.approx(result.history.val_loss[0], rel=1e-12)


# ---- callbacks, progress ---------------------------------------------------------------------------------------------------------------


def stop(state):
    raise StopIteration


@pytest.mark.parametrize("end", [stop, lambda state: True])
def test_callbacks_stop(end):
    epoch = mflow.train(cost, np.zeros(3), (X, Y), epochs=5, batch_size=25, jac=True, callback=end)
    assert (epoch.reason, epoch.status, epoch.nit, epoch.success) == ("callback", 2, 4, False)
    step = mflow.train(cost, np.zeros(3), (X, Y), epochs=5, batch_size=25, jac=True, step_callback=lambda s: s.nit == 6 and end(s))
    assert (step.reason, step.nit, step.epochs) == ("callback", 6, 2)
    with pytest.raises(TypeError, match=r"callback: .*got ndarray"):
        mflow.train(cost, np.zeros(3), (X, Y), epochs=5, jac=True, callback=lambda s: s.params)


def test_exceptions_keep_what_came_before():
    def tired(state):
        if state.nit == 6:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as caught:
        mflow.train(cost, np.zeros(3), (X, Y), epochs=5, batch_size=25, jac=True, step_callback=tired)
    partial = caught.value.partial_result
    assert (partial.reason, partial.nit, partial.epochs, partial.status) == ("interrupted", 6, 1, -1)
    assert len(partial.history.step_loss) == 6
    assert partial.best_epoch == 0

    def broken(w, X, y):
        if w[0] != 0:
            raise OSError("the disk")
        return cost(w, X, y)

    with pytest.raises(OSError, match="the disk") as fault:
        mflow.train(broken, np.zeros(3), (X, Y), epochs=5, batch_size=25, jac=True, check_gradient=False)  # which would meet it at once
    assert fault.value.partial_result.reason == "rhs_failed"
    assert np.all(fault.value.partial_result.params != 0)  # the first step was taken, and is all there is


def test_progress_tells_the_loss(capsys):
    mflow.train(cost, np.zeros(3), (X, Y), epochs=2, jac=True, progress=True)
    assert "loss" in capsys.readouterr().err


# ---- checkpoints -----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["adam", "nadam", "momentum"])
@pytest.mark.parametrize("step", [3, 8, 11, 16])  # in mid-epoch, at its end
def test_resume_has_the_same_bits(tmp_path, name, step):
    def settings():
        return {
            "epochs": 4, "batch_size": 13, "jac": True, "validation": (X, Y), "track_lr": True, "clip_norm": 1.0,
            "lr": mflow.schedules.ReduceLROnPlateau(0.1, factor=0.5, patience=0), "patience": 3,
        }  # fmt: skip

    path = tmp_path / "state"
    whole = mflow.train(cost, np.zeros(3), (X, Y), name, seed=9, **settings())
    saved = mflow.train(cost, np.zeros(3), (X, Y), name, seed=9, checkpoint=path, checkpoint_every=1, **settings())
    same(whole, saved)
    mflow.train(cost, np.zeros(3), (X, Y), name, seed=9, checkpoint=path, max_steps=step, **settings())
    same(mflow.train(cost, np.zeros(3), (X, Y), name, resume=path, **settings()), whole)


def test_resume_after_an_exception_and_with_more_epochs(tmp_path):
    path, how = tmp_path / "state", {"batch_size": 13, "jac": True, "accumulate": 3}
    whole = mflow.train(cost, np.zeros(3), (X, Y), epochs=6, seed=9, **how)

    def fails(state):
        if state.nit == 7:
            raise RuntimeError("power")

    with pytest.raises(RuntimeError):
        mflow.train(cost, np.zeros(3), (X, Y), epochs=6, seed=9, checkpoint=path, checkpoint_every=2, step_callback=fails, **how)
    same(mflow.train(cost, np.zeros(3), (X, Y), epochs=6, resume=path, **how), whole)
    mflow.train(cost, np.zeros(3), (X, Y), epochs=2, seed=9, checkpoint=path, **how)
    same(mflow.train(cost, np.zeros(3), (X, Y), epochs=6, resume=path, **how), whole)


def test_another_lr_at_a_resume_is_told_the_way(tmp_path):
    file, how = tmp_path / "run.mflow", {"batch_size": 13, "jac": True}
    mflow.train(cost, np.zeros(3), (X, Y), "adam", 2, lr=0.1, checkpoint=file, **how)
    with pytest.raises(ValueError, match=r"other parameters: lr was 0.1, and is 0.01 here; resume with the same. For another lr"):
        mflow.train(cost, np.zeros(3), (X, Y), "adam", 4, lr=0.01, resume=file, **how)
    with pytest.raises(ValueError, match=r"other parameters: eps was 1e-08, and is 0.5 here$"):
        mflow.train(cost, np.zeros(3), (X, Y), "adam", 4, lr=0.1, eps=0.5, resume=file, **how)


def test_streams_resume_too(tmp_path):
    batches, path = list(mflow.minibatches(X, Y, batch_size=16, seed=4)), tmp_path / "state"
    whole = mflow.train(cost, np.zeros(3), batches, epochs=3, jac=True)
    mflow.train(cost, np.zeros(3), batches, epochs=3, jac=True, checkpoint=path, max_steps=10)
    same(mflow.train(cost, np.zeros(3), batches, epochs=3, jac=True, resume=path), whole)


def test_what_does_not_fit_a_checkpoint(tmp_path):
    path, how = tmp_path / "state", {"epochs": 1, "jac": True}
    mflow.train(cost, np.zeros(3), (X, Y), checkpoint=path, seed=0, **how)
    for word, args, more in (
        ("data", ((X, Y),), {"batch_size": 7}),
        ("optimizer", ((X, Y), "sgd"), {}),
        ("parameters", ((X, Y),), {"lr": 0.5}),
        ("seed", ((X, Y),), {"seed": 3}),
        ("data", ((X[:50], Y[:50]),), {}),
    ):
        with pytest.raises(ValueError, match=f"resume: .*{word}"):
            mflow.train(cost, np.zeros(3), *args, resume=path, **{**how, **more})
    with pytest.raises(ValueError, match="shapes"):
        mflow.train(lambda w, X, y: cost(w[:3], X, y), np.zeros(4), (X, Y), resume=path, **how)
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(ValueError, match="damaged"):
        mflow.train(cost, np.zeros(3), (X, Y), resume=path, **how)
    with pytest.raises(FileNotFoundError, match="folder"):
        mflow.train(cost, np.zeros(3), (X, Y), checkpoint=tmp_path / "no" / "where", **how)


# ---- what goes wrong -------------------------------------------------------------------------------------------------------------------


def test_a_checkpoint_knows_its_data_and_what_it_judged_by(tmp_path):
    path = tmp_path / "checkpoint"
    call = {"optimizer": "sgd", "epochs": 2, "batch_size": 16, "seed": 3, "lr": 0.05}
    mflow.train(cost, np.zeros(3), (X, Y), jac=True, checkpoint=path, **call)
    for data, more, word in (((X, 2.0 * Y), {}, "data"), ((X, Y), {"validation": (X, Y)}, "judged by")):
        with pytest.raises(ValueError, match=word):
            mflow.train(cost, np.zeros(3), data, jac=True, resume=path, **call, **more)
    with pytest.raises(ValueError, match="judged by"):
        mflow.train(grad, np.zeros(3), (X, Y), resume=path, **call)
    objective = mflow.objectives.LeastSquares(X, Y)
    mflow.train(objective, np.zeros(3), checkpoint=path, **call)
    assert mflow.train(objective, np.zeros(3), resume=path, **{**call, "epochs": 3}).reason == "finished"
    for other in (mflow.objectives.LeastSquares(X, 2.0 * Y), mflow.objectives.LeastSquares(X, Y, l2=0.1)):
        with pytest.raises(ValueError, match="data"):
            mflow.train(other, np.zeros(3), resume=path, **call)


def test_a_call_that_is_refused_leaves_the_optimizers_schedule_alone():
    w = np.zeros(3)
    opt = mflow.optim.SGD(w, lr=mflow.schedules.ExponentialLR(0.1, 0.5))
    with pytest.raises(ValueError, match="epochs"):
        mflow.train(cost, w, (X, Y), opt, -1, jac=True, schedule_per="epoch")
    result = mflow.train(cost, w, (X, Y), opt, 3, jac=True, schedule_per="epoch", seed=0)
    assert result.history.lr.tolist() == [0.1, 0.05, 0.025]


def test_a_loss_that_is_nan_in_mid_epoch():
    calls = []

    def sick(w, X, y):
        calls.append(1)
        value, g = cost(w, X, y)
        return (math.nan if len(calls) == 11 else value), g

    result = mflow.train(sick, np.zeros(3), (X, Y), epochs=9, batch_size=25, jac=True, seed=0, check_gradient=False)
    good = mflow.train(cost, np.zeros(3), (X, Y), epochs=2, batch_size=25, jac=True, seed=0)
    assert (result.reason, result.status, result.success) == ("non_finite", -1, False)
    assert "epoch 2, batch 2" in result.message
    assert np.array_equal(result.params, good.params)
    assert result.fun == good.fun
    assert np.all(np.isfinite(result.last_params))


def test_a_gradient_that_is_not_finite():
    result = mflow.train(lambda w, X, y: (1.0, np.array([0, np.inf, 0])), np.zeros(3), (X, Y), jac=True)
    assert (result.reason, result.nit, result.best_epoch) == ("non_finite", 0, -1)
    assert np.all(result.params == 0)


def test_too_large_a_step_diverges_and_keeps_the_best():
    with np.errstate(all="ignore"):
        result = mflow.train(cost, np.zeros(3), (X, Y), "sgd", epochs=2000, batch_size=50, jac=True, lr=10.0, seed=0)
    assert result.reason == "diverged"
    assert "lower lr" in result.message
    assert np.all(np.isfinite(result.params))
    assert result.fun == result.history.loss.min()


def test_validation_that_is_nan():
    result = mflow.train(cost, np.zeros(3), (X, Y), epochs=3, jac=True, validation=(X, Y), metric=lambda *a: math.nan)
    assert result.reason == "non_finite"
    assert "validation" in result.message


@pytest.mark.parametrize(
    ("error", "words", "data", "more"),
    [
        (ValueError, "batch_size: expected .* with drop_last=True, got 101", (X, Y), {"batch_size": 101, "drop_last": True}),
        (ValueError, "expected at least one row, got 0", (X[:0], Y[:0]), {}),
        (ValueError, "expected arrays of one length", (X, Y[:5]), {}),
        (ValueError, "no batch", [], {}),
        (ValueError, "empty tuple", (), {}),
        (ValueError, "makes its own batches", [(X, Y)], {"batch_size": 5}),
        (ValueError, "gone through once", iter([(X, Y)]), {"epochs": 2}),
        (TypeError, r"data\[0\]: expected an array.*got list", ([1, 2], [3, 4]), {}),
        (TypeError, "data: expected .* got int", 3, {}),
        (TypeError, "jac: expected .* got 'fd'", (X, Y), {"jac": "fd"}),
        (TypeError, "with jac=True, the pair", (X, Y), {"fun": loss}),
        (TypeError, "without jac=, the gradient", (X, Y), {"fun": loss, "jac": None}),
        (TypeError, "without jac=, the gradient", (X, Y), {"jac": None}),
        (TypeError, "fun: expected .* got int", (X, Y), {"fun": 3}),
        (ValueError, "epochs: expected a whole number of at least 0, got -1", (X, Y), {"epochs": -1}),
        (ValueError, "accumulate: expected a whole number of at least 1, got 0", (X, Y), {"accumulate": 0}),
        (ValueError, "patience: expected a whole number of at least 1, got 0", (X, Y), {"patience": 0}),
        (ValueError, "min_delta", (X, Y), {"min_delta": -1.0}),
        (ValueError, "schedule_per", (X, Y), {"schedule_per": "week"}),
        (ValueError, "rk4 is no optimizer", (X, Y), {"optimizer": "rk4"}),
        (ValueError, "adamn", (X, Y), {"optimizer": "adamn"}),
        (ValueError, "patience: there is no loss", (X, Y), {"fun": grad, "jac": None, "patience": 3}),
        (ValueError, "metric=", (X, Y), {"fun": grad, "jac": None, "validation": (X, Y)}),
        (ValueError, "metric", (X, Y), {"metric": loss}),
        (ValueError, "0 rows", (X, Y), {"validation": (X[:0], Y[:0])}),
        (ValueError, "maximize", (X, Y), {"maximize": True}),
        (ValueError, "shape", (X, Y), {"fun": lambda w, X, y: (1.0, np.zeros(4))}),
        (TypeError, "float32", (X, Y), {"fun": lambda w, X, y: (1.0, np.zeros(3, np.float32))}),
        (ValueError, "checkpoint_every", (X, Y), {"checkpoint_every": 5}),
        (TypeError, "step_callback", (X, Y), {"step_callback": 3}),
    ],
)
def test_mistakes_are_named(error, words, data, more):
    arguments = {"fun": cost, "jac": True, "epochs": 1, **more}
    with pytest.raises(error, match=words):
        mflow.train(arguments.pop("fun"), np.zeros(3), data, **arguments)


def test_parameters_that_do_not_fit():
    with pytest.raises(ValueError, match="params: expected an array"):
        mflow.train(cost, [], (X, Y), jac=True)
    with pytest.raises(ValueError, match="params: expected finite numbers"):
        mflow.train(cost, np.array([0, np.nan, 0]), (X, Y), jac=True)
    w = np.zeros(3)
    with pytest.raises(TypeError, match="made already"):
        mflow.train(cost, w, (X, Y), mflow.optim.SGD(w), jac=True, lr=1.0)


def test_results_can_be_pickled():
    result = mflow.train(cost, np.zeros(3), (X, Y), epochs=1, jac=True, lr=mflow.schedules.StepLR(0.1, 2), schedule_per="epoch")
    again = pickle.loads(pickle.dumps(result))
    assert np.array_equal(again.params, result.params)


# ---- effective learning rates ----------------------------------------------------------------------------------------------------------


def run_for(cls, gradients, **options):
    c = np.zeros(2)
    opt = cls(c, **options)
    for g in gradients:
        opt.step(g)
    return opt, (opt.state_dict()["vectors"][0] if opt.steps else {})


GRADIENTS = list(np.random.default_rng(0).normal(size=(40, 2)) * [1.0, 30.0])


@pytest.mark.parametrize(
    ("name", "options", "formula"),
    [
        ("SGD", {}, lambda v, k: 0.1 + 0 * v["c"]),
        ("Momentum", {"momentum": 0.9}, lambda v, k: 0.1 * (1 - 0.9**k) / 0.1 + 0 * v["c"]),
        ("Momentum", {"momentum": 0.9, "weight_decay": 0.3, "clip_value": 0.5}, lambda v, k: 0.1 * (1 - 0.9**k) / 0.1 + 0 * v["c"]),
        ("Adagrad", {"eps": 1e-3}, lambda v, k: 0.1 / (np.sqrt(v["s"]) + 1e-3)),
        ("Adagrad", {"lr_decay": 0.5}, lambda v, k: 0.1 / (1 + (k - 1) * 0.5) / (np.sqrt(v["s"]) + 1e-10)),
        ("Adadelta", {}, lambda v, k: 0.1 * np.sqrt(v["u"] + 1e-6) / np.sqrt(v["v"] + 1e-6)),
        ("RMSprop", {"eps": 1e-3}, lambda v, k: 0.1 / (np.sqrt(v["v"]) + 1e-3)),
        ("RMSprop", {"momentum": 0.5}, lambda v, k: 0.1 / (np.sqrt(v["v"]) + 1e-8) * (1 - 0.5**k) / 0.5),
        ("RMSprop", {"centered": True}, lambda v, k: 0.1 / (np.sqrt(v["v"]) + 1e-8)),
        ("Adam", {}, lambda v, k: 0.1 / (np.sqrt(v["v"] / (1 - 0.999**k)) + 1e-8)),
        ("Adam", {"amsgrad": True}, lambda v, k: 0.1 / (np.sqrt(v["u"] / (1 - 0.999**k)) + 1e-8)),
        ("AdamW", {"weight_decay": 0.5}, lambda v, k: 0.1 / (np.sqrt(v["v"] / (1 - 0.999**k)) + 1e-8)),
        ("Adamax", {}, lambda v, k: 0.1 / v["u"]),
    ],
)  # fmt: skip
@pytest.mark.parametrize("steps", [1, 2, 40])
def test_effective_lr_is_the_textbooks(name, options, formula, steps):
    opt, vectors = run_for(getattr(mflow.optim, name), GRADIENTS[:steps], lr=0.1, **options)
    expected = formula({**vectors, "c": np.zeros(2)}, steps)
    np.testing.assert_allclose(opt.effective_lr(), expected, rtol=1e-10)


def test_effective_lr_of_every_optimizer(update_method):
    opt, _ = run_for(getattr(mflow.optim, update_method.class_name), GRADIENTS)
    before = pickle.dumps(opt.state_dict())
    rates = opt.effective_lr()
    assert np.all(rates >= 0)
    assert np.all(np.isfinite(rates))
    assert pickle.dumps(opt.state_dict()) == before
    fresh = type(opt)(np.zeros(2))
    fresh.load_state_dict(opt.state_dict())
    np.testing.assert_array_equal(fresh.effective_lr(), rates)


def test_effective_lr_follows_a_change_of_lr():
    opt, _ = run_for(mflow.optim.Adam, GRADIENTS, lr=0.1)
    before = opt.effective_lr()
    opt.lr = 0.05
    np.testing.assert_allclose(opt.effective_lr(), before / 2, rtol=1e-14)


def test_effective_lr_is_arranged_as_the_parameters():
    params = {"a": np.zeros((2, 3)), "b": np.zeros(1)}
    opt = mflow.optim.SGD([{"params": params, "lr": 0.5}, {"params": np.zeros(4), "lr": 0.25}])
    first, second = opt.effective_lr()
    assert first["a"].shape == (2, 3)
    assert np.all(first["b"] == 0.5)
    assert np.all(second == 0.25)


def test_adagrad_goes_to_zero_where_rmsprop_and_adadelta_do_not():
    rates = {}
    for name in ("adagrad", "rmsprop", "adadelta"):
        result = mflow.train(lambda w, s: s * np.ones(1), np.zeros(1), [1.0, -1.0] * 500, name, 10, lr=0.1, track_lr=True)
        rates[name] = result.history.effective_lr[:, 1]
    assert rates["adagrad"][-1] == pytest.approx(0.1 / math.sqrt(10_000), rel=1e-6)
    assert rates["rmsprop"][-1] == pytest.approx(rates["rmsprop"][0], rel=1e-3)
    assert rates["adadelta"][-1] >= rates["adadelta"][0]


def test_gradient_norm():
    opt = mflow.optim.SGD([np.zeros(3), np.zeros(2)])
    assert opt.gradient_norm([np.full(3, 2.0), np.full(2, 1.0)]) == pytest.approx(math.sqrt(14))
    assert opt.gradient_norm([np.full(3, 1e200), np.full(2, 1e200)]) == pytest.approx(math.sqrt(5) * 1e200)
    assert not math.isfinite(opt.gradient_norm([np.full(3, np.nan), np.zeros(2)]))
    with pytest.raises(ValueError, match="shape"):
        opt.gradient_norm([np.zeros(4), np.zeros(2)])


def test_the_least_loss_with_validation_data_is_named_as_theirs():
    X, y = np.linspace(0, 1, 20)[:, None], np.linspace(0, 2, 20)

    def both(w, X, y):
        r = X @ w - y
        return float(r @ r) / len(y), 2.0 * X.T @ r / len(y)

    r = mflow.train(both, np.zeros(1), (X, y), "sgd", 3, 5, jac=True, lr=0.1, validation=(X, y), seed=0)
    assert "; the least validation loss, " in r.message
    assert "; the least loss, " in mflow.train(both, np.zeros(1), (X, y), "sgd", 3, 5, jac=True, lr=0.1, seed=0).message


def test_automatic_steps_are_named_where_they_are():
    """The words were "expected a number", and said nothing of where "auto" is taken."""
    words = r"lr: expected a number or a schedule for sgd, got 'auto'.*mflow.minimize\(lr=\"auto\"\).*lr_find.*max_stable_dt"
    with pytest.raises(ValueError, match=words):
        mflow.train(cost, np.zeros(3), (X, Y), "sgd", jac=True, lr="auto")
    with pytest.raises(ValueError, match=words):
        mflow.optim.SGD(np.zeros(3), lr="auto")


@pytest.mark.parametrize("size", [None, 100])
@pytest.mark.parametrize("more", [{}, {"max_steps": 4}])
def test_a_loss_that_ends_above_its_start_is_said(size, more):
    """It ended "finished", without a word."""
    softmax = mflow.objectives.Softmax(X, np.random.default_rng(2).integers(0, 3, len(X)))
    high = mflow.train(softmax, softmax.x0, None, "sgd", epochs=5, batch_size=size, seed=0, lr=500.0, **more)
    low = mflow.train(softmax, softmax.x0, None, "sgd", epochs=5, batch_size=size, seed=0, lr=0.1, **more)
    assert high.history.step_loss[-1] > low.history.step_loss[0]
    assert "the loss ends above its start: 1.099 in the first step" in high.message
    assert "above its start" not in low.message


def test_threads_that_do_not_fit_are_an_argument_that_does_not_fit():
    for call in (
        lambda: mflow.train(cost, np.zeros(3), (X, Y), jac=True, threads=0),
        lambda: mflow.minimize(cost, np.zeros(3), (X, Y), jac=True, method="adam", threads=0),
    ):
        with pytest.raises(ValueError, match="threads") as told:
            call()
        assert not hasattr(told.value, "partial_result")
