"""Momentum as c+ = c + alpha v - beta g with v = (c+ - c)/dt: the letters of the lecture notes beside lr and momentum."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from mflow_core import registry

import mflow
from mflow.base.methods import takes_letters

H = np.array([1.0, 7.0, 30.0])
ALPHA, BETA, DT = 0.08, 0.02, 0.1


def by_hand(steps: int, ahead: bool = False) -> list[Any]:
    """The recurrence as the notes write it, the gradient at c or, for Nesterov's predictor, at c + alpha v."""
    c, v, out = np.array([1.0, -2.0, 0.5]), np.zeros(3), []
    for _ in range(steps):
        g = H * (c + ALPHA * v if ahead else c)
        new = c + ALPHA * v - BETA * g
        c, v = new, (new - c) / DT
        out.append(c)
    return out


def test_momentum_is_the_recurrence_of_the_notes() -> None:
    c = np.array([1.0, -2.0, 0.5])
    opt = mflow.optim.Momentum(c, alpha=ALPHA, beta=BETA, dt=DT)
    for expected in by_hand(40):
        opt.step(H * c)
        np.testing.assert_allclose(c, expected, rtol=1e-12, atol=1e-14)
    assert opt.param_groups[0]["lr"] == BETA
    assert opt.param_groups[0]["momentum"] == ALPHA / DT


def test_nesterov_in_pull_form_has_the_c_of_the_notes() -> None:
    c = np.array([1.0, -2.0, 0.5])
    opt = mflow.optim.Nesterov(c, alpha=ALPHA, beta=BETA, dt=DT, form="pull")
    for expected in by_hand(40, ahead=True):
        opt.step(H * opt.ask())
        np.testing.assert_allclose(c, expected, rtol=1e-12, atol=1e-14)


def test_every_door_takes_the_letters() -> None:
    letters: dict[str, Any] = {"alpha": ALPHA, "beta": BETA, "dt": DT}
    own: dict[str, Any] = {"lr": BETA, "momentum": ALPHA / DT}
    start = np.array([1.0, -2.0, 0.5])
    grad: dict[str, Any] = {"jac": lambda c: H * c, "method": "momentum", "maxiter": 30}
    a, b = (mflow.minimize(lambda c: 0.5 * c @ (H * c), start, **grad, **given) for given in (letters, own))
    assert a.x.tobytes() == b.x.tobytes()
    cost = lambda c: (0.5 * c @ (H * c), H * c)  # noqa: E731
    trained = [mflow.train(cost, start, None, "momentum", epochs=30, jac=True, **given).last_params for given in (letters, own)]
    assert trained[0].tobytes() == trained[1].tobytes()
    assert mflow.get_method("momentum", **letters) == mflow.get_method("momentum", **own)
    assert mflow.stability_limit("momentum", alpha=ALPHA, dt=DT) == mflow.stability_limit("momentum", momentum=ALPHA / DT)
    assert mflow.convergence_rate("momentum", H, **letters) == mflow.convergence_rate("momentum", H, lr=BETA, momentum=ALPHA / DT)
    groups = mflow.optim.Momentum([{"params": np.ones(2), "beta": 0.5}, {"params": np.ones(1)}], alpha=0.2, beta=0.1, dt=0.4).param_groups
    assert [(g["lr"], g["momentum"]) for g in groups] == [(0.5, 0.5), (0.1, 0.5)]


def test_without_dt_it_is_beta() -> None:
    """The notes set beta = dt, so that alpha = 0 is gradient descent with that step."""
    method = mflow.get_method("momentum", alpha=0.05, beta=0.1)
    assert method.parameters["lr"] == 0.1
    assert method.parameters["momentum"] == 0.5


def test_a_schedule_of_beta() -> None:
    opt = mflow.optim.Momentum(np.ones(1), alpha=0.1, beta=lambda k: 0.5 / (k + 1), dt=0.2)
    opt.step(np.ones(1))
    opt.step(np.ones(1))
    assert opt.param_groups[0]["momentum"] == 0.5
    assert opt.lr == 0.25


@pytest.mark.parametrize("record", [r for r in registry.records() if takes_letters(r)], ids=lambda r: r.name)
def test_the_region_in_alpha_and_beta(record: Any) -> None:
    dt = 0.2
    region = mflow.parameter_region(record.name, alpha=(0.0, 0.19), beta=(0.02, 4.5), dt=dt, curvature=2.0, shape=(20, 30))
    np.testing.assert_allclose(region.alpha, np.linspace(0.0, 0.19, 20), atol=1e-15)
    np.testing.assert_allclose(region.beta, np.linspace(0.02, 4.5, 30))
    limit = [mflow.stability_limit(record.name, alpha=float(a), dt=dt) / 2.0 for a in region.alpha]
    np.testing.assert_array_equal(region.stable, region.beta < np.array(limit)[:, None])


def test_at_alpha_equal_to_dt_it_is_bounded_below_four() -> None:
    """momentum = 1: nothing shrinks, and beta L < 4 stays bounded."""
    assert abs(mflow.stability_limit("momentum", alpha=0.3, dt=0.3) - 4.0) < 1e-6


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"alpha": 0.1}, "dt: expected the step that alpha belongs to"),
        ({"dt": 0.1}, "dt: it belongs to alpha and beta of momentum"),
        ({"beta": 0.1, "lr": 0.1}, "lr, beta: they set one thing, got both"),
        ({"alpha": 0.1, "momentum": 0.1, "dt": 0.1}, "momentum, alpha: they set one thing, got both"),
        ({"alpha": 0.1, "beta": 0.1, "dt": 0.0}, "dt: expected a finite number above 0"),
        ({"alpha": -0.1, "beta": 0.1}, "alpha: expected a finite number of at least 0"),
    ],
)
def test_letters_that_do_not_fit_are_refused(given: dict[str, Any], words: str) -> None:
    with pytest.raises((TypeError, ValueError), match=words):
        mflow.get_method("momentum", **given)
    with pytest.raises(TypeError, match="alpha"):
        mflow.get_method("adam", alpha=0.1)
    with pytest.raises(TypeError, match="alpha"):
        mflow.minimize(lambda c: c @ c, [1.0], method="adam", alpha=0.1)
