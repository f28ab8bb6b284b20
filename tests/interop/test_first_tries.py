"""What users of torch, Keras, SciPy and scikit-learn try first: it works as there, or the text says what it is called here."""

from __future__ import annotations

import sys
from concurrent import futures

import numpy as np
import pytest

import mflow

RNG = np.random.default_rng(8)
X = RNG.normal(size=(60, 3))
Y = X @ [1.0, -2.0, 0.5] + 0.1 * RNG.normal(size=60)


def cost(w, X, y):
    r = X @ w - y
    return 0.5 * float(np.mean(r**2)), X.T @ r / len(y)


def fit(fun=cost, params=None, data=(X, Y), optimizer="adam", **more):
    start = np.zeros(3) if params is None else params
    return mflow.train(fun, start, data, optimizer, **{"jac": True, "seed": 0, "lr": 0.05, "epochs": 3, **more})


def test_a_schedule_with_a_state_begins_afresh_in_each_run():
    schedule = mflow.schedules.ReduceLROnPlateau(0.5, patience=0)
    first, second = (fit(lr=schedule, epochs=40).history.lr for _ in range(2))
    assert first[-1] < first[0] == second[0] == 0.5
    np.testing.assert_array_equal(first, second)


def test_batches_from_elsewhere_resume_with_the_seed_of_the_call(tmp_path):
    batches = [(X[:30], Y[:30]), (X[30:], Y[30:])]
    fit(data=batches, checkpoint=tmp_path / "c")
    more = fit(data=batches, resume=tmp_path / "c", epochs=5)
    assert np.array_equal(more.params, fit(data=batches, epochs=5).params)


def test_data_frames_and_tensors_are_rows():
    pandas, torch = pytest.importorskip("pandas"), pytest.importorskip("torch")
    here = fit(validation=(X, Y))
    frames, tensors = (pandas.DataFrame(X), pandas.Series(Y, index=range(100, 160))), (torch.tensor(X), torch.tensor(Y))
    for data, fun in ((frames, cost), (tensors, lambda w, X, y: cost(w, X.numpy(), y.numpy()))):  # tensors are handed on as tensors
        other = fit(fun, data=data, validation=data)
        assert np.array_equal(here.params, other.params)
        assert np.array_equal(here.history.val_loss, other.history.val_loss)
    result = mflow.sweep(mflow.Training(cost, np.zeros(3), (pandas.DataFrame(X), Y), epochs=2), ["sgd"], [0.1])
    assert result.reason[0, 0, 0] == "finished"
    mixed = pandas.DataFrame({"a": [1.0, 2.0], "b": ["x", "y"]})
    with pytest.raises(TypeError, match=r"data\[0\]: expected columns of numbers, got DataFrame of mixed columns"):
        fit(data=(mixed, np.ones(2)))


def test_a_sweep_needs_no_data():
    result = mflow.sweep(mflow.Training(lambda w: (float(w @ w), 2 * w), np.ones(2), epochs=30), ["sgd"], [0.1])
    assert result.best_loss[0] < 1e-4


@pytest.mark.parametrize(
    "make", [lambda a: a.astype(np.float32), lambda a: a.astype(int), lambda a: np.broadcast_to(0.0, 3), lambda a: a[::-1]]
)
def test_parameters_of_any_make_are_copied_as_float64(make):
    start = make(np.zeros(3))
    assert np.array_equal(fit(params=start).params, fit().params)
    assert np.all(start == 0)
    named = fit(lambda p, X, y: (cost(p["w"], X, y)[0], {"w": cost(p["w"], X, y)[1]}), {"w": start})
    assert np.array_equal(named.params["w"], fit().params)


def test_a_validation_loss_that_is_nan_points_at_the_validation_data():
    result = fit(validation=(X * np.nan, Y))
    assert result.reason == "non_finite"
    assert "look at the validation data" in result.message
    assert "batch" not in result.message


def test_the_gradient_that_does_not_fit_is_named():
    with pytest.raises(ValueError, match="shape") as caught:
        fit(lambda w, X, y: (1.0, np.zeros((3, 1))))
    assert "g is the gradient, as fun returned it" in caught.value.__notes__


@pytest.mark.parametrize(
    ("error", "words", "more"),
    [
        (TypeError, "learning_rate: here it is lr=", {"learning_rate": 0.1}),
        (TypeError, "scheduler: here it is lr=", {"scheduler": 0.1}),
        (TypeError, "validation_split: here it is validation=", {"validation_split": 0.2}),
        (TypeError, "optimizer: expected a name such as 'adam'.*got NoneType", {"optimizer": None}),
        (TypeError, "got mflow.RK4", {"optimizer": mflow.RK4}),
        (ValueError, "optimizer: there is no 'simplex'; there are: sgd, (?!.*rk4)", {"optimizer": "simplex"}),
        (TypeError, "lbfgs: no parameter 'lr'", {"optimizer": "L-BFGS"}),
        (
            ValueError,
            "optimizer: trust_ncg is no optimizer; its line search needs the cost of all the data",
            {"optimizer": "trust_ncg"},
        ),
        (TypeError, "data: expected .* got dict", {"data": {"X": X, "y": Y}}),
        (TypeError, "data: expected .* got str", {"data": "X.npy"}),
        (TypeError, "validation: expected .* got float", {"validation": 0.2}),
        (TypeError, r"validation\[0\]: expected an array.* got list", {"validation": (X.tolist(), Y.tolist())}),
        (ValueError, "validation: expected arrays of one length, got 60, 59 rows", {"validation": (X, Y[1:])}),
    ],
)
def test_names_and_shapes_from_elsewhere(error, words, more):
    with pytest.raises(error, match=words):
        fit(**more)


def test_sparse_rows_are_refused_by_name():
    sparse = pytest.importorskip("scipy.sparse")
    with pytest.raises(TypeError, match=r"data\[0\]: expected a dense array, got csr_array.*toarray.*objectives.Softmax"):
        fit(data=(sparse.csr_array(X), Y))
    with pytest.raises(TypeError, match=r"array 0: expected a dense array, got csr_array.*toarray.*objectives.Softmax"):
        mflow.minibatches(sparse.csr_array(X), Y, batch_size=4)
    objective = mflow.objectives.LeastSquares(sparse.csr_array(X), Y)  # what the words say
    assert mflow.train(objective, np.zeros(X.shape[1]), None, epochs=1).success


# ---- sweeps, and searches for a rate ----------------------------------------------------------------------------------------------------


def test_one_rate_is_a_sweep_too():
    result = mflow.sweep(mflow.Training(cost, np.zeros(3), (X, Y), epochs=2), "sgd", 0.1)
    assert result.lrs.tolist() == [0.1]
    assert result.message == "1 run"


@pytest.mark.parametrize("name", ["lr", "seed", "epochs", "batch_size"])
def test_options_of_a_sweep_do_not_repeat_its_own(name):
    with pytest.raises(TypeError, match=f"options: {name} is no option here; give "):
        mflow.Training(cost, np.zeros(3), (X, Y), options={name: 1})


def test_lr_find_takes_a_step_a_rate():
    with pytest.raises(TypeError, match="epochs: each rate takes one step here; give their number with steps="):
        mflow.lr_find(cost, np.zeros(3), (X, Y), epochs=3)


def test_lr_find_says_that_the_data_ended():
    result = mflow.lr_find(cost, np.zeros(3), iter([(X, Y)] * 5))
    assert result.reason == "data_ended"
    assert "after 5 of 100 rates" in result.message


def test_the_table_of_an_interrupted_sweep_blames_no_rate_that_was_not_run():
    def task(method, lr, seed):
        if method.name == "adam" or lr > 0.1:
            raise KeyboardInterrupt
        return {"loss": lr}

    with pytest.raises(KeyboardInterrupt) as caught:
        mflow.sweep(task, ["sgd", "adam"], [0.1, 1.0], workers=1)
    text = str(caught.value.partial_result)
    assert "sgd: best lr = 0.1, loss 0.1; no bad ending above it" in text
    assert "adam: no rate was run with every seed" in text


# ---- minimising -------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["constraints", "disp"])
def test_what_scipy_has_and_no_method_here(name):
    with pytest.raises(TypeError, match=f"^{name}: "):
        mflow.minimize(lambda x: x @ x, np.ones(2), **{name: 1})
    with pytest.raises(TypeError, match=f"^{name}: "):
        mflow.minimize(lambda x: x @ x, np.ones(2), options={name: 1})


def test_a_search_that_fails_far_from_the_minimum_doubts_the_gradient():
    def cost(x):
        return np.sum((x - 1) ** 2), -2 * (x - 1)

    with pytest.warns(mflow.GradientWarning, match="it has the wrong sign"):
        wrong = mflow.minimize(cost, np.zeros(3), jac=True, method="sgd", line_search="armijo")
    assert wrong.reason == "line_search_failed"
    assert "it has the wrong sign" in wrong.message
    wrong = mflow.minimize(cost, np.zeros(3), jac=True, method="sgd", line_search="armijo", check_gradient=False)
    assert wrong.reason == "line_search_failed"
    assert "is it the gradient of this cost" in wrong.message
    rough = mflow.minimize(  # a cost with noise of 1e-9
        lambda x: (float(np.sum((x - 1) ** 2) + 1e-9 * np.sin(1e13 * np.sum(x))), 2 * (x - 1)),
        np.zeros(3), jac=True, method="sgd", lr=0.1, line_search="backtracking", gtol=1e-12,
    )  # fmt: skip
    assert rough.reason == "line_search_failed"
    assert "the last digits of the cost are spent" in rough.message


def test_differences_end_where_they_can_tell_no_more():
    t = np.linspace(0, 4, 60)
    y = 2.5 * np.exp(-1.3 * t) + 0.5 + 0.05 * RNG.normal(size=60)

    def residuals(b):
        return b[0] * np.exp(-b[1] * t) + b[2] - y

    def slopes(b):
        return np.c_[np.exp(-b[1] * t), -b[0] * t * np.exp(-b[1] * t), np.ones(60)]

    exact = mflow.least_squares(residuals, [1.0, 1.0, 0.0], jac=slopes)
    for jac, close in (("2-point", 1e-8), ("3-point", 1e-11)):
        result = mflow.least_squares(residuals, [1.0, 1.0, 0.0], jac=jac)
        assert result.reason == "converged"
        np.testing.assert_allclose(result.x, exact.x, rtol=close)
        assert result.nfev <= exact.nfev + 5


def test_the_covariance_of_a_fit_is_curve_fits():
    optimize = pytest.importorskip("scipy.optimize")
    t = np.linspace(0, 4, 60)
    y = 2.5 * np.exp(-1.3 * t) + 0.05 * RNG.normal(size=60)
    _, theirs = optimize.curve_fit(lambda t, a, b: a * np.exp(-b * t), t, y, [1.0, 1.0])
    r = mflow.least_squares(lambda b: b[0] * np.exp(-b[1] * t) - y, [1.0, 1.0])
    ours = np.linalg.inv(r.jac.T @ r.jac) * 2 * r.cost / (60 - 2)
    np.testing.assert_allclose(ours, theirs, rtol=1e-4)


# ---- names, texts and pictures ----------------------------------------------------------------------------------------------------------


def test_optimizers_are_looked_for_at_the_top():
    with pytest.raises(AttributeError, match=r"the class is mflow\.optim\.ConsistentMomentum; drivers take the name 'consistent_momentum'"):
        mflow.ConsistentMomentum


def test_a_long_list_is_shown_by_its_ends():
    result = mflow.minimize_batch(mflow.objectives.Rosenbrock(2), RNG.uniform(-2, 2, (500, 2)), maxiter=1)
    assert len(repr(result)) < 2000
    assert "['max_iter', 'max_iter', 'max_iter', ..., 'max_iter'" in repr(result)


def test_columns_that_do_not_fit_are_named():
    model = mflow.ImplicitSGD().fit(X, Y, epochs=1)
    with pytest.raises(ValueError, match="X: expected 3 columns, as have been learned, got 2"):
        model.predict_linear(X[:, :2])


def test_an_objective_takes_sparse_rows():
    sparse = pytest.importorskip("scipy.sparse")
    at = np.linspace(-1.0, 1.0, X.shape[1])
    dense, of_rows = mflow.objectives.LeastSquares(X, Y), mflow.objectives.LeastSquares(sparse.csr_array(X), Y)
    np.testing.assert_allclose(of_rows.value_and_grad(at)[1], dense.value_and_grad(at)[1], rtol=1e-12)


def test_pictures_of_one_result():
    pytest.importorskip("matplotlib")
    run = fit(track_lr=True)
    assert [line.get_label() for line in mflow.plot.effective_lr(run).lines] == ["adam"]
    with pytest.raises(TypeError, match=r"mflow\.plot\.history"):
        mflow.plot.loss_curves({"adam": run})


def test_pictures_without_matplotlib_say_what_to_install(monkeypatch):
    run = fit()
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match=r"momentum-flow\[plot\]"):
        mflow.plot.history(run)


def test_a_path_kept_by_minimize_can_be_drawn():
    pytest.importorskip("matplotlib")
    kept = mflow.minimize(mflow.objectives.Rosenbrock(2), [-1.2, 1.0], method="momentum", line_search="strong_wolfe", path=True)
    axis = mflow.plot.paths({"momentum": kept})
    assert np.array_equal(np.asarray(axis.lines[0].get_xdata()), kept.path.x[:, 0])
    mflow.plot.paths(kept)
    with pytest.raises(ValueError, match="path=True"):
        mflow.plot.paths({"sgd": mflow.minimize(mflow.objectives.Rosenbrock(2), [-1.2, 1.0], maxiter=3)})


def test_a_pair_compiled_without_jac_is_told_of():
    pytest.importorskip("numba")
    with pytest.raises(TypeError, match="pass jac=True"):
        mflow.compile(lambda x: (x[0] ** 2, np.array([2 * x[0]])))


@pytest.mark.parametrize(
    ("words", "call"),
    [
        (r"workers: here it is executor= or threads=", lambda: mflow.solve_ivp_batch(lambda t, y: -y, (0, 1), np.ones((2, 1)), workers=2)),
        (r"hmax: here it is max_step=", lambda: mflow.solve_ivp(lambda t, y: -y, (0, 1), [1.0], hmax=0.1)),
        (r"Dfun: here it is jac=", lambda: mflow.solve_ivp(lambda t, y: -y, (0, 1), [1.0], Dfun=abs)),
        (r"got the class ThreadPoolExecutor; write ThreadPoolExecutor\(\)", lambda: mflow.solve_ivp_batch(
            lambda t, y: -y, (0, 1), np.ones((2, 1)), executor=futures.ThreadPoolExecutor)),
    ],
)  # fmt: skip
def test_words_of_other_libraries_in_drivers(words, call):
    with pytest.raises(TypeError, match=words):
        call()


def test_a_file_of_another_kind_is_named(tmp_path):
    file = tmp_path / "one.mflow"
    stepper = mflow.Stepper("rk4", lambda t, y: -y, [1.0])
    stepper.save(file)
    with pytest.raises(ValueError, match=r"expected a checkpoint, got a stepper, which mflow\.Stepper\.load"):
        mflow.solve_ivp(lambda t, y: -y, (0, 1), [1.0], resume=file)
    mflow.solve_ivp(lambda t, y: -y, (0, 1), [1.0], checkpoint=file, max_steps=2)
    with pytest.raises(ValueError, match=r"expected a stepper, got a checkpoint, which resume= of the driver that wrote it reads"):
        mflow.Stepper.load(file, lambda t, y: -y)
    stepper.save(file)
    with pytest.raises(TypeError, match=r"fun: expected the slopes"):
        mflow.Stepper.load(file)


def test_two_times_next_to_the_end_are_in_order():
    near = [float(np.nextafter(1, 0)), 1.0]
    assert mflow.solve_ivp(lambda t, y: -y, (0, 1), [1.0], t_eval=near).t.tolist() == near
    assert mflow.solve_ivp(lambda t, y: -y, (0, 0.3), [1.0], t_eval=[0.1, 0.1 + 0.2]).t.tolist() == [0.1, 0.3]


@pytest.mark.parametrize(
    ("where", "name", "words"),
    [
        ("", "odeint", r"mflow has no 'odeint': here it is mflow\.solve_ivp"),
        ("", "LSODA", r"here it is mflow\.solve_ivp with method=\"auto\""),
        ("", "RK45", r"the class is mflow\.DOPRI5; drivers take the name 'dopri5'"),
        ("", "AdamW", r"the class is mflow\.optim\.AdamW"),
        ("", "leastsq", r"here it is mflow\.least_squares"),
        ("optim", "LBFGS", r'here it is method="lbfgs" of mflow\.train and mflow\.minimize'),
        ("optim", "clip_grad_norm_", r"here it is clip_norm="),
        ("optim", "lr_scheduler", r"here it is mflow\.schedules"),
    ],
)
def test_names_of_other_libraries_lead_to_ours(where, name, words):
    with pytest.raises(AttributeError, match=words):
        getattr(getattr(mflow, where) if where else mflow, name)
