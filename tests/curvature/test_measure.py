"""The ends of spectra from few products: against spectra known beforehand; and what a frozen step bears, against closed forms and runs."""

from __future__ import annotations

import math

import numpy as np
import pytest

import mflow
from mflow.base.methods import as_method, methods
from mflow.curvature.frozen import bears, largest_lr, optimizer_bearing
from mflow.curvature.hessian import Hessian
from mflow.curvature.measure import Meter, curvature_of

N = 10_000
RNG = np.random.default_rng(8)
SPECTRA = {
    "uniform": np.linspace(0.0, 1.0, N),
    "half of it near the top": np.concatenate([np.linspace(0.9, 1.0, N // 2), np.linspace(0.0, 0.1, N // 2)]),
    "ten clusters": np.repeat(np.linspace(0.1, 1.0, 10), N // 10) + 1e-3 * RNG.standard_normal(N),
    "logarithmic": np.geomspace(1e-6, 1.0, N),
    "a few outliers": np.concatenate([np.linspace(0.0, 1.0, N - 3), [3.0, 3.02, 3.03]]),
    "both signs": np.cos(np.linspace(0.0, np.pi, N)),
}


@pytest.mark.parametrize("name", SPECTRA)
def test_largest_curvature_in_thirty_products(name):
    d, count = SPECTRA[name], [0]

    def times(v):
        count[0] += 1
        return d * v

    found = curvature_of(times, N)
    assert count[0] == found.products <= 30
    assert 0.99 * d.max() <= found.estimate <= d.max() * (1 + 1e-12)
    assert found.largest[0] <= d.max() <= found.largest[1]


def test_bounds_hold_as_often_as_they_say():
    d = np.sort(RNG.standard_normal(400))
    missed = [curvature_of(lambda v: d * v, 400, 12, stream=k, accuracy=0.0, miss=0.1).largest[1] < d[-1] for k in range(200)]
    assert sum(missed) <= 200 * 0.1


def test_a_warm_start_needs_few_products_and_keeps_its_bound():
    d, meter = np.concatenate([np.linspace(0.0, 1.0, N - 1), [1.5]]), Meter()
    first = meter.measure(lambda v: d * v, N)
    moved = d * (1.0 + 0.01 * np.cos(np.arange(N)))
    for _ in range(5):
        again = meter.measure(lambda v: moved * v, N)
        assert again.products <= 7 < first.products + 3
        assert abs(again.estimate / moved.max() - 1.0) < 0.01
        assert again.largest[1] >= moved.max()


def test_a_new_largest_eigenvalue_is_found_from_a_warm_start():
    """The vector of the last measurement is blind to it; the random part of the start is not."""
    d, meter = np.linspace(0.0, 1.0, 2000), Meter()
    meter.measure(lambda v: d * v, 2000)
    d[7] = 40.0
    assert [round(meter.measure(lambda v: d * v, 2000).estimate, 3) for _ in range(3)][-1] == 40.0


def test_a_curvature_that_moves_little_is_followed_in_few_products():
    """Within 1 % and in half the products of a measurement; another direction that rises is found after at most three more."""
    d, meter, count, first = np.concatenate([np.linspace(0.0, 1.0, 390), np.linspace(1.2, 3.0, 10)]), Meter(), [0], 0
    turn = np.linalg.qr(np.random.default_rng(0).standard_normal((400, 1)))[0]

    def times(v):
        count[0] += 1
        return d * v + 0.02 * k * turn[:, 0] * float(turn[:, 0] @ v)

    for k in range(12):
        found = meter.follow(times, 400)
        first = first or count[0]
        if k % 4 == 3:
            whole = np.diag(d) + 0.02 * k * np.outer(turn[:, 0], turn[:, 0])
            assert found == pytest.approx(float(np.linalg.eigvalsh(whole)[-1]), rel=0.01)
    assert (count[0] - first) / 11 <= 4.5
    d[7] = 40.0
    assert max(meter.follow(times, 400) for _ in range(4)) == pytest.approx(40.0, rel=0.01)


def test_products_of_differences_know_their_error():
    A = RNG.standard_normal((40, 40))
    A = A + A.T
    x, v = RNG.standard_normal(40), RNG.standard_normal(40)
    for central, error in ((False, 3e-4), (True, 1e-7)):
        H = Hessian(x, lambda z: np.sinh(0.3 * (A @ z)) @ A * 0.3, central=central)
        exact = 0.09 * A @ (np.cosh(0.3 * (A @ x)) * (A @ v))
        off = float(np.linalg.norm(H(v) - exact) / np.linalg.norm(exact))
        assert off < error
        assert off * np.linalg.norm(exact) / np.linalg.norm(v) < H.noise()
    assert Hessian(x, lambda z: z * np.nan).noise() != 0.0


# ---- what a frozen step bears -----------------------------------------------------------------------------------------------------------

B1, MU = 0.9, 0.8
CLOSED = {  # lr times the largest eigenvalue of P^(-1/2) H P^(-1/2)
    ("sgd",): 2.0,
    ("momentum", ("momentum", MU)): 2 * (1 + MU),
    ("nesterov", ("momentum", MU)): 2 * (1 + MU) / (1 + 2 * MU),
    ("adagrad",): 2.0,
    ("adadelta",): 2.0,
    ("rmsprop",): 2.0,
    ("rmsprop", ("momentum", MU)): 2 * (1 + MU),
    ("rmsprop", ("momentum", MU), ("centered", True)): 2 * (1 + MU),
    ("adam",): 2 * (1 + B1) / (1 - B1),
    ("adam", ("amsgrad", True)): 2 * (1 + B1) / (1 - B1),
    ("adamax",): 2 * (1 + B1) / (1 - B1),
    ("adamw", ("weight_decay", 0.25)): (2 - 0.5 * 0.25) * (1 + B1) / (1 - B1),
    ("nadam", ("momentum_decay", None)): 2 * (1 + B1) / ((1 - B1) * (1 + 2 * B1)),
}


@pytest.mark.parametrize("case", CLOSED, ids=str)
def test_limits_of_frozen_steps(case):
    method = as_method(case[0], {"lr": 0.5, **dict(case[1:])})
    assert bears(method.record, method.all_numbers) * 0.5 == pytest.approx(CLOSED[case], rel=1e-11)


@pytest.mark.parametrize("name", [m.name for m in methods() if m.kind == "update"])
def test_every_optimizer_bears_what_a_run_bears(name):
    """A run on a quadratic in which what is stored of sizes is put back to 1 before each step: so P is 1, or not far from it."""
    from mflow_core.optimize import updater

    method = as_method(name, {"lr": 0.5})
    limit = bears(method.record, method.all_numbers)
    if math.isnan(limit):
        pytest.skip("its step is not linear in small gradients")
    numbers = {key: 1e-300 if key == "eps" else value for key, value in method.all_numbers.items()}
    coef, count = updater.begin(method.record, numbers, 2**40), method.sizes["n_vec"]

    def after(g):
        vectors = [np.zeros(1) for _ in range(count)]
        updater.update(method.record, coef, 1.0, vectors, np.array([g]))
        return [float(v[0]) for v in vectors]

    stores = [up == down for up, down in zip(after(1.0), after(-1.0), strict=True)]  # sizes: the same for both signs
    grown = []
    for share in (0.9, 1.1):
        state, sizes = [np.array([1.0 if s else 1e-120]) for s in stores], []
        for _ in range(600):
            at = updater.ask(method.record, coef, state)
            updater.update(method.record, coef, 1.0, state, share * limit * at)
            for v, s in zip(state, stores, strict=True):
                v[0] = 1.0 if s else v[0]
            sizes.append(abs(float(state[0][0])))
        grown.append(max(sizes[-60:]) / max(sizes[:60]))
    assert grown[0] < 1.01
    assert grown[1] > 10.0


@pytest.mark.parametrize("name", ["sgd", "momentum", "adam", "adamw", "consistent_momentum"])
def test_the_largest_lr_is_where_the_limit_meets_the_curvature(name):
    method = as_method(name, {"friction": 1.0} if name == "consistent_momentum" else {})
    lr = largest_lr(method.record, method.all_numbers, 7.0)
    assert bears(method.record, {**method.all_numbers, "lr": lr}) == pytest.approx(7.0, rel=1e-9)
    if "linear" in method.flags:
        assert lr == pytest.approx(mflow.max_stable_dt(method, curvature=7.0), rel=1e-9)


def test_early_steps_of_adam_count_their_bias_corrections():
    """After one step sqrt(v/bc2) is |g|, and lr is lr/(1 - b1^2) in the next."""
    opt = mflow.optim.Adam(np.zeros(2), lr=0.1, eps=1e-300)
    g = np.array([4.0, 0.5])
    opt.step(g)
    found = optimizer_bearing(opt, g)
    assert found.limit * 0.1 == pytest.approx(38.0)
    np.testing.assert_allclose(found.root**-2, (1 - 0.9**2) * np.abs(g), rtol=1e-12)
