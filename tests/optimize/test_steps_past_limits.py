"""A minimisation that diverges names the limit that its step has passed, however far it is above it."""

import numpy as np
import pytest

import mflow

H = np.diag([1.0, 10.0, 100.0])


def bowl(x):
    with np.errstate(all="ignore"):
        return 0.5 * x @ H @ x, H @ x


@pytest.mark.parametrize(
    ("lr", "maxiter"),
    [(0.0201, 9000), (0.021, 3000), (10.0, 3000), (100.0, 3000), (1e30, 50)],
    ids=["just", "finite", "x500", "x5000", "1e30"],
)
@pytest.mark.parametrize("jac", [True, None])
def test_the_limit_is_named_however_far_above_it(lr, maxiter, jac) -> None:
    """2/100 for sgd. Far above it, and where the numbers are finite still, there was only "lower lr"."""
    if jac is None and maxiter > 100:
        maxiter = 600
    cost = bowl if jac else lambda x: bowl(x)[0]
    r = mflow.minimize(cost, np.ones(3), jac=jac, method="sgd", lr=lr, maxiter=maxiter)
    assert not r.success
    assert f"lr = {lr:g} exceeds the stability limit 0.02 of sgd for the measured curvature 100" in r.message


@pytest.mark.parametrize("lr", [mflow.schedules.Constant(5.0), mflow.schedules.ExponentialLR(8.0, gamma=0.999)])
def test_a_schedule_too(lr) -> None:
    r = mflow.minimize(bowl, np.ones(3), jac=True, method="momentum", lr=lr, maxiter=3000)
    assert r.reason == "diverged"
    assert "exceeds the stability limit 0.038 of momentum" in r.message  # 2 (1 + 0.9)/100


def test_a_step_to_where_the_cost_is_nan() -> None:
    """sqrt(1 - x'Hx/100), whose Hessian at 0.01 is nearly H/100, up to 1: one step of 300 leaves its domain."""

    def cost(x):
        inside = 1.0 - x @ H @ x / 100.0
        with np.errstate(invalid="ignore"):
            root = np.sqrt(inside)
        return -root, H @ x / 100.0 / root

    r = mflow.minimize(cost, np.full(3, 0.01), jac=True, method="sgd", lr=3000.0)
    assert r.reason == "non_finite"
    assert "lr = 3000 exceeds the stability limit" in r.message


def test_below_the_limit_no_limit_is_named() -> None:
    r = mflow.minimize(bowl, np.ones(3), jac=True, method="sgd", lr=0.019, maxiter=5)
    assert "limit" not in r.message.replace("iteration limit", "")
    bad = mflow.minimize(lambda x: (np.nan, x * np.nan) if x[0] < 0.9 else bowl(x), np.ones(3), jac=True, method="sgd", lr=0.015)
    assert bad.reason == "non_finite"


def test_what_the_look_took_is_counted() -> None:
    calls = 0

    def cost(x):
        nonlocal calls
        calls += 1
        return bowl(x)

    r = mflow.minimize(cost, np.ones(3), jac=True, method="sgd", lr=100.0, check_gradient=False)
    assert r.ncheck > 3
    assert calls == r.nfev + r.ncheck
