"""Steps between stable ones at which an oscillation grows, in bands that are narrow: the limit lies before the first of them."""

import numpy as np
import pytest

import mflow

# H. Yoshida, Phys. Lett. A 150 (1990) 262-268, solution C of order 8
YOSHIDA8 = [
    0.62903065021037079990, 1.36934946416881770056, -1.06458714789182507054, 1.66335809963350517976, -1.67896928259673847121,
    -1.55946803821470258821, 0.31179081241846677255,
]  # fmt: skip


def grows(method: str, h: float, steps: int = 20_000) -> float:
    """By how much a run of so many steps changes x'' = -x."""
    r = mflow.solve_dynamics(stiffness=1.0, x0=[1.0], t_span=(0.0, h * steps), method=method, dt=h, save="last")
    return float(np.hypot(r.x[0, -1], r.v[0, -1]))


@pytest.mark.filterwarnings("ignore:solve_dynamics")
@pytest.mark.parametrize(("method", "inside", "said"), [("rkn86", 3.1409, 3.293), ("blanes_moan_rkn11", 3.1418, 9.074)])
def test_a_resonance(method: str, inside: float, said: float) -> None:
    """Half and whole turns in a step: runs there grow, below what was called the limit."""
    limit = mflow.stability_limit(method)
    assert limit < inside < said
    assert inside - limit < 1e-3
    assert grows(method, inside) > 50.0
    assert grows(method, 0.9999 * limit) < 2.0


@pytest.mark.parametrize("zeta", [0.9, 5.0, 1e6])
def test_a_step_without_a_solution(zeta: float) -> None:
    """Substeps back in time, whose implicit damping has none at zeta b h = -1: by the composition, multiplied out."""
    w = [*YOSHIDA8, 1.0 - 2.0 * sum(YOSHIDA8), *YOSHIDA8[::-1]]
    limit = mflow.stability_limit("yoshida8", zeta=zeta, damping="implicit")

    def radius(h: float) -> float:
        step = np.eye(2)
        for one in w:  # v is kicked over half of it, in the second half by the force at its end
            half, c = 0.5 * one * h, 2.0 * zeta
            first = np.array([[1.0, 0.0], [-half, 1.0 - half * c]])
            drift = np.array([[1.0, one * h], [0.0, 1.0]])
            second = np.array([[1.0, 0.0], [-half / (1.0 + half * c), 1.0 / (1.0 + half * c)]])
            step = second @ drift @ first @ step
        return float(np.max(np.abs(np.linalg.eigvals(step))))

    assert max(radius(h) for h in np.linspace(0.0, 0.999 * limit, 500)[1:]) < 1.0 + 1e-7
    assert max(radius(h) for h in np.linspace(1.0001 * limit, 1.02 * limit, 200)) > 2.0
