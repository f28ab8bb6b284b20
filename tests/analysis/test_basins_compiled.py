"""Basins of compiled costs: the same as those of the gradient in Python, on threads and in pieces; and distances from a path."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import numpy as np
import pytest
from mflow_core.paths.paths import Chain

import mflow

FIELDS = ("labels", "minima", "ends", "steps", "flow_labels", "changed", "boundary", "room", "drift", "allowed_drift", "reasons")
AXIS = np.linspace(-2.0, 2.0, 5)
QUADRATIC = mflow.objectives.Quadratic([[2.0, 0.5], [0.5, 1.0]], [0.5, -1.0])


def same(a, b):
    for name in FIELDS:
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name), err_msg=name)


def test_a_compiled_cost_has_the_basins_of_its_gradient():
    f = mflow.objectives.Rosenbrock(2)
    for settings in (
        {"lr": 1e-3, "maxiter": 200},
        {"method": "rk4", "dt": 1e-3, "maxiter": 200},
        {"method": "adam", "lr": 0.3},
        {"lr": 0.1},
    ):
        compiled, python = (mflow.basins(fun, (AXIS, AXIS), **settings) for fun in (f, f.grad))
        for name in ("labels", "flow_labels", "changed"):
            np.testing.assert_array_equal(getattr(compiled, name), getattr(python, name), err_msg=name)
        good = np.array([reason in ("converged", "max_iter") for reason in python.reasons]).reshape(5, 5)
        np.testing.assert_array_equal(compiled.ends[good], python.ends[good])
        np.testing.assert_array_equal(compiled.steps[good], python.steps[good])
        np.testing.assert_allclose(compiled.minima, python.minima, atol=1e-4)


def test_starts_that_diverge_say_why_as_minimize_does():
    f = mflow.objectives.Rosenbrock(2)
    for settings in ({"lr": 5e-3}, {"method": "momentum", "lr": 3e-3}, {"method": "rk4", "dt": 0.01}):
        r = mflow.basins(f, (AXIS, AXIS), maxiter=200, **settings)
        step = settings.get("lr", settings.get("dt"))
        alone = [
            mflow.minimize(None, c, jac=f.grad, method=r.method, lr=step, maxiter=200, check_gradient=False)
            for c in r.starts.reshape(-1, 2)
        ]
        assert r.reasons == [one.reason for one in alone]
        assert r.reasons.count("diverged") > 12
        assert np.isfinite(r.ends).all()


def test_threads_executors_and_the_bar_change_nothing(capsys):
    one = mflow.basins(QUADRATIC, (AXIS, AXIS), lr=0.3, threads=1)
    same(one, mflow.basins(QUADRATIC, (AXIS, AXIS), lr=0.3, threads=3, progress=True))
    assert "basins" in capsys.readouterr().err
    with ThreadPoolExecutor(2) as pool:
        same(one, mflow.basins(QUADRATIC, (AXIS, AXIS), lr=0.3, executor=pool))
    with ProcessPoolExecutor(1) as pool:
        same(one, mflow.basins(QUADRATIC, (AXIS, AXIS), lr=0.3, executor=pool))
    np.testing.assert_allclose(one.minima, [np.linalg.solve([[2.0, 0.5], [0.5, 1.0]], [0.5, -1.0])], atol=1e-4)


def test_proximal_steps_have_basins():
    """Backward Euler with dt = 1: no step leads over the hill between the wells of (c1^2 - 1)^2 + 5 c2^2."""

    def wells(c):
        return np.array([4 * c[0] * (c[0] ** 2 - 1), 10 * c[1]])

    r = mflow.basins(wells, starts=[[0.7, 0.4], [-0.5, 0.1]], method="backward_euler", dt=1.0)
    assert r.reasons == ["converged", "converged"]
    assert r.labels.tolist() == [1, 0]


def test_the_drift_is_that_of_curves_and_not_of_chords():
    """On a quadratic, where the flow is known: its steps are long, and their chords lie 0.05 beside it."""
    f = mflow.objectives.Quadratic([[1.0, 0.0], [0.0, 8.0]], [0.0, 0.0])
    r = mflow.basins(f, starts=[[1.0, 1.0]], method="rk4", dt=1e-3, maxiter=20_000)
    assert r.drift[0] < 2e-3
    lr = 0.02
    coarse = mflow.basins(f, starts=[[1.0, 1.0]], method="sgd", lr=lr)
    k = np.arange(300)
    steps = np.stack([(1 - lr) ** k, (1 - 8 * lr) ** k], axis=1)
    t = np.linspace(0.0, 8.0, 8001)
    flow = np.stack([np.exp(-t), np.exp(-8 * t)], axis=1)
    apart = max(np.min(np.linalg.norm(flow - point, axis=1)) for point in steps)
    assert coarse.drift[0] == pytest.approx(apart, rel=0.02)


def test_distances_from_a_chain_are_those_of_every_piece():
    rng = np.random.default_rng(0)
    for m, n in ((1, 2), (2, 3), (17, 2), (200, 5)):
        chain, points = np.cumsum(rng.standard_normal((m, n)), axis=0), 5.0 * rng.standard_normal((40, n))
        a, b = chain[: max(m - 1, 1)], chain[min(1, m - 1) :]
        along = np.einsum("pki,ki->pk", points[:, None] - a, b - a) / np.maximum(np.sum((b - a) ** 2, axis=1), 1e-300)
        nearest = a + np.clip(along, 0.0, 1.0)[..., None] * (b - a)
        apart = np.min(np.linalg.norm(points[:, None] - nearest, axis=2), axis=1)
        found = Chain(chain)
        assert found.nearest(points) == pytest.approx(apart.min(), rel=1e-12)
        assert found.farthest(points) == pytest.approx(apart.max(), rel=1e-12)
        assert found.nearest(points, 1e-3 * apart.min()) == 1e-3 * apart.min()
    assert Chain(np.zeros((1, 2))).farthest(np.array([[0.0, np.nan]])) == np.inf


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"threads": 0}, "threads: expected a whole number"),
        ({"executor": 3}, "executor: expected"),
        ({"progress": 2}, "progress: expected"),
    ],
)
def test_what_does_not_fit_is_named(settings, words):
    with pytest.raises((TypeError, ValueError), match=words):
        mflow.basins(QUADRATIC, (AXIS, AXIS), lr=0.3, **settings)
