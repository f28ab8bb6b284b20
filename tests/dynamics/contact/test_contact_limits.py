"""Steps of a motion with contacts against the stability limit with the springs in contact."""

import math
import warnings

import numpy as np
import pytest

import mflow

K_CONTACT = 1e4
SPRING = mflow.Contact(0, 0.5, stiffness=K_CONTACT)
BODIES = {
    "structure": {"mass": [1.0], "stiffness": [1.0]},
    "free": {"mass": [1.0]},
    "damped": {"mass": [1.0], "stiffness": [1.0], "damping": [0.1]},
    "force": {"mass": [1.0], "force": lambda t, x, v: -x, "velocity_free": True},
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
@pytest.mark.parametrize("method", ["central_difference", "leapfrog"])
def test_a_step_past_the_limit_of_the_closed_contact_warns(method, body):
    """Explicit steps bear omega dt = 2: with 1e4 in contact beside a spring of 1 or none dt = 0.02, a per mille less or more."""
    run = {"t_span": (0, 1), "x0": [0.0], "v0": [1.0], "method": method, "contacts": SPRING}
    with pytest.warns(RuntimeWarning, match=r"exceeds the stability limit (about )?0\.0(2|1999) .* with all contacts closed"):
        mflow.solve_dynamics(dt=0.021, **body, **run)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        mflow.solve_dynamics(dt=0.0199, **body, **run)


def test_the_limit_is_that_of_the_matrix_with_the_springs():
    """Three masses, one fixed in place, a sparse order: the same limit as where the contact's spring is part of K, by eigenvalues."""
    K, mass = np.array([[2.0, -1, 0], [-1, 2, -1], [0, -1, 1]]), np.array([1.0, 2.0, 3.0])
    with_spring = K[1:, 1:] + np.diag([0.0, 900.0])
    omega = math.sqrt(np.linalg.eigvals(with_spring / mass[1:, None]).real.max())
    run = {"t_span": (0, 1), "x0": [0.0, 0.0, 0.0], "fixed": [0], "method": "central_difference"}
    contact = mflow.Contact(2, 0.1, stiffness=900.0)
    with pytest.warns(RuntimeWarning, match=f"limit {2.0 / omega:.4g} .*frequency {omega:.4g}"):
        mflow.solve_dynamics(mass, stiffness=K, dt=2.001 / omega, contacts=contact, **run)
    auto = mflow.solve_dynamics(mass, stiffness=K, dt="auto", contacts=contact, **run)
    assert auto.t[1] - auto.t[0] < 2.0 / omega


def test_friction_that_holds_at_the_start_hides_no_frequency():
    """A body that sticks has no frequency; once it slips it has one."""
    with pytest.warns(RuntimeWarning, match=r"limit 0\.02 "):
        mflow.solve_dynamics(
            [1.0, 1.0], stiffness=[1.0, 1e4], t_span=(0, 1), x0=[0.0, 0.0], method="central_difference", dt=0.021,
            friction=mflow.Friction(1, 1.0),
        )  # fmt: skip


@pytest.mark.parametrize("body", [BODIES["structure"], {"mass": [1.0], "stiffness": [1.0], "damping": [0.0]}])
def test_automatic_steps_follow_the_contact(body):
    """x'' = -x from x = 0 with v = 1 stays within 1, the amplitude that its energy allows."""
    r = mflow.solve_dynamics(
        **body, t_span=(0, 50), x0=[0.0], v0=[1.0], method="central_difference", dt="auto", contacts=mflow.Contact(0, 0.5, stiffness=1e4)
    )
    assert r.success
    assert r.t[1] < 0.02
    assert np.abs(r.x).max() < 1.02
    assert len(r.switches) > 10
