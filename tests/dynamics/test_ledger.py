"""What the ledger's numerical column means: its sign, and where it is said."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import mflow
from mflow.cli.building import half_sine, load_building, respond
from mflow.cli.simulate import table


@pytest.mark.filterwarnings("ignore:solve_dynamics. dt = 0.2 exceeds:RuntimeWarning")
@pytest.mark.parametrize(("method", "sign"), [(mflow.Newmark(0.3025, 0.6), -1.0), (mflow.Newmark(0.2, 0.45), 1.0)])
def test_numerical_is_what_the_steps_put_in(method: Any, sign: float) -> None:
    """A free oscillator keeps its energy, so that what a step adds is all that changes: gamma above 1/2 dissipates."""
    s = mflow.solve_dynamics(mass=2.0, stiffness=3.0, x0=[1.0], v0=[0.5], t_span=(0, 20), dt=0.2, method=method)
    energy = 0.5 * (2.0 * s.v[0] ** 2 + 3.0 * s.x[0] ** 2)
    np.testing.assert_allclose(s.energy.numerical, energy - energy[0], atol=1e-13)
    assert sign * s.energy.numerical[-1] > 0.1


def test_the_books_close_as_they_are_documented() -> None:
    s = mflow.solve_dynamics(stiffness=1.0, damping=0.1, load=[0.3], x0=[1.0], t_span=(0, 10), dt=0.3, method=mflow.Newmark(0.3025, 0.6))
    e = s.energy
    held = e.kinetic + e.potential
    np.testing.assert_allclose(held, held[0] + e.load - e.damping + e.numerical + e.residual, atol=1e-14)
    assert "kinetic + potential = at the start + load - damping + numerical + residual" in " ".join(
        str(mflow.DynamicsResult.__doc__).split()
    )
    assert "below 0 they dissipated it" in str(mflow.DynamicsResult.__doc__)
    text = table(respond(load_building(), half_sine(0.3, 0.5), dt=0.05))
    assert "(kinetic + potential = load - damping + numerical + residual: numerical is below 0 where the steps dissipate)" in text
