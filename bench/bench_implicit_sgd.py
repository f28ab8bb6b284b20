"""Implicit SGD, 100 000 rows of 50 columns: a sample against hand-written C and scikit-learn's explicit steps.

Times are nanoseconds a sample. scikit-learn is given what it is best at: C-contiguous float64, a constant rate, many epochs a call, no
shuffling of its own (rows come shuffled in memory where the order matters to it).
"""

from __future__ import annotations

import ctypes
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from mflow_core import registry
from mflow_core.optimize import sweep

from mflow.implicit import linear

if TYPE_CHECKING:
    from conftest import Bench, Runner

Array = np.ndarray[Any, np.dtype[np.float64]]

ROWS, COLUMNS = 100_000, 50
AGAINST_C = 1.15
AGAINST_EXPLICIT = 1.35  # implicit over explicit, both mflow's
AGAINST_SKLEARN = 1 / 3
STEP = 0.02
LOSSES = ("squared", "logistic")


@pytest.fixture(scope="module")
def data() -> dict[str, Any]:
    rng = np.random.default_rng(0)
    X = rng.standard_normal((ROWS, COLUMNS))
    t = X @ rng.standard_normal(COLUMNS) / 3 + rng.standard_normal(ROWS)
    return {"X": X, "squared": t, "logistic": np.where(t > 0, 1.0, -1.0), "order": rng.permutation(ROWS)}


@pytest.fixture(scope="module")
def library(load_c: Callable[..., ctypes.CDLL]) -> ctypes.CDLL:
    return load_c("sweeps.c")


def cyclic(run: Callable[[int, int], Any]) -> Runner:
    """A runner of so many samples: `run(first, count)` within the data, over and over."""
    place = 0

    def go(count: int) -> None:
        nonlocal place
        while count > 0:
            here = min(count, ROWS - place)
            run(place, here)
            place = (place + here) % ROWS
            count -= here

    return go


def learner_of(loss: str, flow: str = "backward", **parameters: float) -> sweep.Learner:
    values = {"lr": STEP, "intercept": 0.0, "flow": float(("backward", "forward", "exact").index(flow)), **parameters}
    return sweep.Learner(registry.find("implicit_sgd"), values, loss, COLUMNS)


def mflow_sweep(data: dict[str, Any], loss: str, order: Any, flow: str = "backward", **parameters: float) -> Runner:
    learner, samples = learner_of(loss, flow, **parameters), sweep.Samples(data["X"], data[loss])
    return cyclic(lambda first, count: learner.sweep(samples, order, first, count))


class Twin:
    def __init__(self, library: ctypes.CDLL, name: str, data: dict[str, Any], labels: Array, order: Any) -> None:
        self.function, self.w = getattr(library, f"twin_{name}"), np.zeros(COLUMNS)
        self.function.restype = None
        size, pointer = ctypes.c_ssize_t, ctypes.c_void_p
        self.function.argtypes = [size, size, pointer, pointer, pointer, ctypes.c_double, pointer]
        self.X, self.y, self.order = data["X"], labels, order

    def __call__(self, first: int, count: int) -> None:
        X, y, order = self.X.ctypes.data, self.y.ctypes.data, None
        if self.order is None:
            X, y = X + first * COLUMNS * 8, y + first * 8
        else:
            order = self.order.ctypes.data + first * 8
        self.function(COLUMNS, count, X, y, order, STEP, self.w.ctypes.data)


def sklearn_sgd(data: dict[str, Any], loss: str, order: Any) -> Callable[[int], Any]:
    """scikit-learn's explicit step in whole epochs; a count of samples below an epoch is one epoch all the same."""
    model = pytest.importorskip("sklearn.linear_model")
    epochs = 3
    kind, name = (model.SGDRegressor, "squared_error") if loss == "squared" else (model.SGDClassifier, "log_loss")
    sgd = kind(
        loss=name, learning_rate="constant", eta0=STEP / 10, penalty=None, max_iter=epochs, tol=None, shuffle=order is not None,
        fit_intercept=False, random_state=0,
    )  # fmt: skip
    X, y = data["X"], data[loss]

    def fit() -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            sgd.fit(X, y)

    return lambda _: fit()


@pytest.mark.parametrize("shuffled", [False, True], ids=["in sequence", "shuffled"])
@pytest.mark.parametrize("loss", LOSSES)
def test_sweep(loss: str, shuffled: bool, bench: Bench, data: dict[str, Any], library: ctypes.CDLL) -> None:
    order = data["order"] if shuffled else None
    learner, twin = learner_of(loss), Twin(library, loss, data, data[loss], order)
    learner.sweep(sweep.Samples(data["X"], data[loss]), order, 0, 1000)
    twin(0, 1000)
    np.testing.assert_allclose(learner.last[0], twin.w, rtol=1e-9)
    title = f"implicit {loss}, {'shuffled' if shuffled else 'in sequence'}"
    ours = mflow_sweep(data, loss, order)
    functions = {"mflow": ours, "C twin": cyclic(Twin(library, loss, data, data[loss], order))}
    if loss == "squared":
        functions["mflow, explicit"] = mflow_sweep(data, loss, order, "forward", lr=STEP / 10)
    found = bench.compare(title, functions, {"C twin": AGAINST_C, "mflow, explicit": AGAINST_EXPLICIT}, seconds=10e-3)
    # scikit-learn counts in fits of three epochs.
    fits = bench.interleaved({"sklearn": sklearn_sgd(data, loss, order)}, rounds=5, seconds=1e-3)["sklearn"]
    each = bench.Quartiles(*(t / (3 * ROWS) for t in (fits.lower, fits.median, fits.upper)))
    bench.line(bench.Line(title, found["mflow"], "scikit-learn, explicit", each, AGAINST_SKLEARN))


@pytest.mark.parametrize("what", [{"average": 1.0}, {"l2": 1e-4}, {"intercept": 1.0}, {"lr_decay": 1e-3, "lr_power": 0.5}], ids=str)
def test_options(what: dict[str, float], bench: Bench, data: dict[str, Any]) -> None:
    """What each option costs, for orientation."""
    functions = {"mflow": mflow_sweep(data, "squared", None, **what), "without": mflow_sweep(data, "squared", None)}
    bench.compare(f"implicit squared with {', '.join(what)}", functions, seconds=10e-3)


@pytest.mark.parametrize("loss", [name for name in linear.losses() if name not in LOSSES])
def test_other_losses(loss: str, bench: Bench, data: dict[str, Any]) -> None:
    labels = {"hinge": data["logistic"], "poisson": np.round(np.exp(0.3 * data["squared"])), "gamma": np.exp(0.3 * data["squared"])}
    more = {**data, loss: labels.get(loss, data["squared"])}
    ours = mflow_sweep(more, loss, None)
    bench.compare(f"implicit {loss}, in sequence", {"mflow": ours, "mflow, squared": mflow_sweep(data, "squared", None)}, seconds=10e-3)
