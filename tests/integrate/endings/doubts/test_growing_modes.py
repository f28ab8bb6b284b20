"""A mode that grows faster than an implicit step can follow: the step is cut until the growth is resolved."""

from __future__ import annotations

import math

import numpy as np
import pytest

import mflow
from mflow.base.methods import classes
from mflow.course.past_limit import steadier
from support.small_cases import for_all

# What is that small is below atol, and when it grows is not known: the tests are of growth alone.
pytestmark = pytest.mark.filterwarnings("ignore:.*within atol = 1e-06 of 0, and has grown:RuntimeWarning")


def logistic(start, t):
    """y' = y (1 - y); for small starts and all times."""
    return 1.0 / (1.0 + (1.0 / start - 1.0) * math.exp(-t))


@for_all("start", [1e-10, 1e-15, 1e-20, 1e-30])
def test_a_small_start_grows(stiff_pair_method, start):
    """Far below atol: a step of a hundred times 1/lambda is damped by the method, and y stayed at rest at 0."""
    r = mflow.solve_ivp(lambda t, y: y * (1 - y), (0, 400), [start], stiff_pair_method.name, atol=1e-6)
    assert r.reason == "finished"
    assert r.y[0, -1] == pytest.approx(logistic(start, 400.0), rel=1e-4)
    assert np.all(r.y >= -1e-9)


def test_one_that_is_at_rest_exactly_does_not_hold_the_run(stiff_pair_method):
    """An absent species stays absent, and after some thousand cuts the steps pass its growth."""
    r = mflow.solve_ivp(lambda t, y: [y[0] * (1 - y[0]), 1 - y[1]], (0, 1e7), [0.0, 3.0], stiff_pair_method.name)
    assert r.reason == "finished"
    assert r.y[:, -1] == pytest.approx([0.0, 1.0], abs=1e-6)
    assert r.nsteps < 6000


def test_a_run_that_is_resumed_goes_on_with_the_same_bits(stiff_pair_method, tmp_path):
    call = (lambda t, y: [y[0] * (1 - y[0]), 1 - y[1]], (0, 60), [1e-12, 3.0], stiff_pair_method.name)
    path = str(tmp_path / "run")
    whole = mflow.solve_ivp(*call)
    for steps in (8, 14):
        assert mflow.solve_ivp(*call, max_steps=steps, checkpoint=path).reason == "max_steps"
        resumed = mflow.solve_ivp(*call, resume=path)
        assert np.array_equal(resumed.y[:, -1], whole.y[:, -1])
        assert resumed.nsteps == whole.nsteps


def test_nothing_goes_on_behind_a_wall_of_third_order(stiff_pair_method):
    """y' = -1/(y - 10)^3 ends at t = 1/64 from 10.5: (y - 10)^4 = 1/16 - 4 t. Behind it nothing is the solution."""
    for rtol in (1e-3, 1e-6):
        with np.errstate(all="ignore"):
            r = mflow.solve_ivp(
                lambda t, y: -1 / (y - 10) ** 3, (0, 0.05), [10.5], stiff_pair_method.name, rtol=rtol, atol=1e-3 * rtol, max_steps=3000
            )
        assert not r.success
        assert r.t[-1] < 0.017


def test_a_pole_of_an_algebraic_equation_ends_the_run(stiff_pair_method):
    """y' = -1, 0 = y z - 1: z = 1/(1 - t) ends at t = 1, where the equation has no solution."""
    if "mass" not in stiff_pair_method.flags:
        pytest.skip("no mass matrix")
    for rtol, atol in ((1e-3, 1e-6), (1e-6, 1e-3), (1e-3, 10.0)):
        r = mflow.solve_ivp(
            lambda t, y: [-1.0, y[0] * y[1] - 1.0], (0, 2), [1.0, 1.0], stiff_pair_method.name, mass=[1.0, 0.0], rtol=rtol, atol=atol
        )
        assert not r.success
        assert r.t[-1] < 2.0


EVEN = {
    "two": (lambda t, y: y * (1 - y), [1e-30, 1e-28], {}),
    "exchanged": (lambda t, y: y * (1 - y) + np.array([0.1, -0.3]) * (y[1] - y[0]), [1e-30, 2e-30], {}),
    "with a stiff one": (lambda t, y: np.array([y[0] * (1 - y[0]), y[1] * (1 - y[1]), 10 * (y[0] - y[2])]), [1e-20, 1e-18, 0.0], {}),
    "one after the other": (lambda t, y: y * (1 - y) + 0.3 * np.array([0.0, y[0] - y[1]]), [1e-25, 1e-28], {}),
    "among others": (
        lambda t, y: np.array([
            2 - 2 * y[0], y[1] * (1 - y[1]) + 0.1 * (y[2] - y[1]), y[2] * (1 - y[2]) - 0.3 * (y[2] - y[1]) + 1e-40 * y[0],
            10 * (y[1] - y[3]),
        ]), [3.0, 1e-30, 2e-30, 0.0], {}
    ),
    "diffusing": (
        lambda t, y: y * (1 - y) + 0.1 * np.convolve(np.pad(y, 1, "edge"), [1, -2, 1], "valid"), [1e-25] * 40, {"lband": 1, "uband": 1}
    ),
}  # fmt: skip


@for_all("case", EVEN)
def test_an_even_number_of_small_starts_grows(stiff_pair_method, case):
    """det M has its sign again where two modes have outgrown a step; all of these tend to 1."""
    f, y0, options = EVEN[case]
    r = mflow.solve_ivp(f, (0, 400), y0, stiff_pair_method.name, atol=1e-6, **options)
    assert r.reason == "finished"
    assert r.y[:, -1] == pytest.approx(np.ones(len(y0)), rel=1e-4)


def test_an_even_number_grows_in_sparse_systems(stiff_pair_method):
    """A star, whose rows have no narrow band: a centre that 119 others feed."""
    sparse = pytest.importorskip("scipy.sparse")
    n = 120
    fed = np.diag(np.full(n, -0.001))
    fed[0, 1:] = fed[1:, 0] = 0.001
    fed[0, 0] = -0.001 * (n - 1)

    def f(t, y):
        return y * (1 - y) + fed @ y

    def jac(t, y):
        return sparse.csc_array(fed + np.diag(1 - 2 * y))

    r = mflow.solve_ivp(f, (0, 200), np.full(n, 1e-25), stiff_pair_method.name, atol=1e-6, jac=jac)
    assert r.reason == "finished"
    assert r.y[:, -1] == pytest.approx(np.ones(n), rel=1e-4)


def test_no_run_is_sent_to_the_method_that_it_has():
    """The limit of the classical method on the imaginary axis is 2 sqrt(2); euler has none."""
    rk4, euler = (classes()[name]() for name in ("rk4", "euler"))
    assert steadier(rk4, 1e3) == 'Take dt = 0.0027 or less, or method="trapezoid", which lets no oscillation grow at any step'
    assert 'method="rk4"' in steadier(euler, 1e3)
