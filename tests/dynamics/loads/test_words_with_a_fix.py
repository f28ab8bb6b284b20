"""What a structure cannot be given here: the error names the way that there is."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import mflow

K = np.array([[2.0, -1.0], [-1.0, 1.0]])


def test_held_degrees_of_a_step_limit_are_struck_out() -> None:
    """The limit 2 / omega of the clamped chain, of which omega^2 = 2 + 0 is the free entry's own."""
    limit = mflow.max_stable_dt("central_difference", mass=[1.0, 1.0], stiffness=K, fixed=[1])
    np.testing.assert_allclose(limit, np.sqrt(2.0), rtol=1e-12)


def test_rayleigh_without_a_stiffness() -> None:
    with pytest.raises(ValueError, match=r"got \(0.4, 0.01\); of a stiffness that is in force= give damping=a \* M \+ b \* K0"):
        mflow.solve_dynamics(np.ones(2), None, None, None, (0, 1), [1.0, 0.0], force=lambda t, x, v: -x, rayleigh=(0.4, 0.01), dt=0.1)


def test_constraints_on_what_has_no_mass() -> None:
    given: dict[str, Any] = {"constraints": lambda x: [x[0] - x[1]], "method": "newmark", "dt": 0.1}
    with pytest.raises(ValueError, match=r"no mass, which multipliers need.*of linear constraints x = T @ q solve for q"):
        mflow.solve_dynamics([1.0, 0.0], None, K, None, (0, 1), [0.0, 0.0], **given)


def test_a_callback_in_a_batch() -> None:
    with pytest.raises(TypeError, match=r"callback: a batch does not take it; .* a loop over solve_dynamics"):
        mflow.solve_dynamics_batch(np.ones(2), None, K, None, (0, 1), [1.0, 0.0], dt=0.1, each={"callback": [print, print]})


def test_velocity_verlet_held_by_a_dashpot_names_it() -> None:
    """Limits by the closed form: 2 / omega without damping."""
    stiffness = 4.0 * np.eye(1)
    with pytest.warns(RuntimeWarning, match="with its damping, without which it would be 1: central_difference and staggered"):
        mflow.solve_dynamics([1.0], [[8.0]], stiffness, None, (0, 9), [1.0], method="velocity_verlet", dt=0.9)
    r = mflow.solve_dynamics([1.0], [[8.0]], stiffness, None, (0, 90), [1.0], method="central_difference", dt=0.9)
    assert np.abs(r.x).max() <= 1.0


def test_friction_that_changes_with_time() -> None:
    with pytest.raises(TypeError, match=r"friction.force: .* got a function; .* np.tanh\(v / eps\)"):
        mflow.solve_dynamics(stiffness=[1.0], t_span=(0, 1), x0=[1.0], dt=0.01, friction=mflow.Friction(0, np.cos))


def test_complex_residuals() -> None:
    with pytest.raises(TypeError, match=r"expected a vector of real residuals; stack real and imaginary parts"):
        mflow.least_squares(lambda p: np.array([1j, 2.0]) * p[0] - 1.0, [1.0])
