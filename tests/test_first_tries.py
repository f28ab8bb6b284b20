"""What users of torch, Keras, SciPy and scikit-learn try first: it works as there, or the text says what it is called here."""

from __future__ import annotations

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
    for data in ((pandas.DataFrame(X), pandas.Series(Y, index=range(100, 160))), (torch.tensor(X), torch.tensor(Y))):
        other = fit(data=data, validation=data)
        assert np.array_equal(here.params, other.params)
        assert np.array_equal(here.history.val_loss, other.history.val_loss)
    found = mflow.sweep(mflow.Training(cost, np.zeros(3), (pandas.DataFrame(X), Y), epochs=2), ["sgd"], [0.1])
    assert found.reason[0, 0, 0] == "finished"
    mixed = pandas.DataFrame({"a": [1.0, 2.0], "b": ["x", "y"]})
    with pytest.raises(TypeError, match=r"data\[0\] is a DataFrame of mixed columns"):
        fit(data=(mixed, np.ones(2)))


def test_a_sweep_needs_no_data():
    found = mflow.sweep(mflow.Training(lambda w: (float(w @ w), 2 * w), np.ones(2), epochs=30), ["sgd"], [0.1])
    assert found.best_loss[0] < 1e-4


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
        (TypeError, "optimizer: a name such as 'adam'.*not NoneType", {"optimizer": None}),
        (TypeError, "not mflow.methods.RK4", {"optimizer": mflow.RK4}),
        (ValueError, "optimizer: there is no 'lbfgs'; there are: sgd, (?!.*rk4)", {"optimizer": "lbfgs"}),
        (TypeError, "data is a dict", {"data": {"X": X, "y": Y}}),
        (TypeError, "data is a str", {"data": "X.npy"}),
        (TypeError, "validation is a float", {"validation": 0.2}),
        (TypeError, r"validation\[0\] is a list", {"validation": (X.tolist(), Y.tolist())}),
        (ValueError, "validation: arrays of 60, 59 rows", {"validation": (X, Y[1:])}),
    ],
)
def test_names_and_shapes_from_elsewhere(error, words, more):
    with pytest.raises(error, match=words):
        fit(**more)


def test_sparse_rows_are_refused_by_name():
    sparse = pytest.importorskip("scipy.sparse")
    with pytest.raises(TypeError, match=r"data\[0\] is a csr_array.*toarray"):
        fit(data=(sparse.csr_array(X), Y))
