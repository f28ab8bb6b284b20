"""Degrees of freedom without mass: modes and limits are those of the condensed structure. Oracles: SciPy's generalized eigenvalues with
infinite ones, and a motion by steps."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import mflow

linalg = pytest.importorskip("scipy.linalg")
sparse = pytest.importorskip("scipy.sparse")


def portal(storeys: int = 2) -> tuple[Any, Any]:
    """Sways with mass, and two rotations a storey without: columns and beams of Euler and Bernoulli."""
    EI, h, span, n = 2.0, 1.5, 3.0, 3 * storeys
    K = np.zeros((n, n))
    a, b, c = 6.0 * h, 4.0 * h * h, 2.0 * h * h
    column = EI / h**3 * np.array([[12.0, a, -12.0, a], [a, b, -a, c], [-12.0, -a, 12.0, -a], [a, c, -a, b]])
    beam = EI / span * np.array([[4.0, 2.0], [2.0, 4.0]])
    for s in range(storeys):
        for side in (1, 2):
            below = [3 * (s - 1), 3 * (s - 1) + side] if s else [-1, -1]
            at = [*below, 3 * s, 3 * s + side]
            for i, p in enumerate(at):
                for j, q in enumerate(at):
                    if p >= 0 and q >= 0:
                        K[p, q] += column[i, j]
        rotations = [3 * s + 1, 3 * s + 2]
        K[np.ix_(rotations, rotations)] += beam
    return np.tile([1.0, 0.0, 0.0], storeys) * np.repeat(np.linspace(1.0, 2.0, storeys), 3), K


@pytest.mark.parametrize("form", [np.asarray, np.diag, lambda m: sparse.csr_array(np.diag(m))])
def test_modes_are_those_with_finite_frequencies(form: Any) -> None:
    m, K = portal()
    values = linalg.eigvals(K, np.diag(m))
    known = np.sort(values[np.isfinite(values) & (np.abs(values) < 1e12)].real)
    found = mflow.modes(form(m), sparse.csr_array(K) if hasattr(form(m), "tocsr") else K, direction=np.tile([1.0, 0.0, 0.0], 2))
    np.testing.assert_allclose(found.omega**2, known, rtol=1e-12)
    np.testing.assert_allclose(K @ found.shapes, np.diag(m) @ found.shapes * found.omega**2, atol=1e-12 * np.max(K))
    assert np.sum(found.effective_masses) == pytest.approx(found.total_mass, rel=1e-12)
    assert mflow.max_stable_dt("central_difference", mass=form(m), stiffness=K) == pytest.approx(2.0 / np.sqrt(known[-1]), rel=1e-9)


@pytest.mark.parametrize(("a", "b"), [(0.3, 0.0), (0.2, 0.05), (0.0, 0.1)])
def test_limits_with_rayleighs_damping(a: float, b: float) -> None:
    m, K = portal()
    omega = mflow.modes(m, K).omega
    zeta = (a / omega + b * omega) / 2.0
    for method in ("symplectic_euler", "leapfrog"):
        known = min(mflow.stability_limit(method, zeta=float(z)) / w for z, w in zip(zeta, omega, strict=True))
        assert mflow.max_stable_dt(method, mass=m, stiffness=K, damping=a * np.diag(m) + b * K) == pytest.approx(known, rel=1e-6)


def test_the_motion_is_that_by_steps() -> None:
    m, K = portal()
    t = np.linspace(0.0, 4.0, 4001)
    ground = np.sin(3.0 * t) * np.exp(-0.4 * t)
    found = mflow.modes(m, K)
    C = found.damping_matrix(0.05)
    for load in ((-m, ground), (t, ground, -m)):
        by_modes = found.response(t, load, 0.05)
        matrices = {"mass": m, "stiffness": K, "damping": C}
        by_steps = mflow.solve_dynamics(**matrices, load=(t, ground, -m), t_span=(0, 4), x0=np.zeros(6), method="newmark", dt=1e-3)
        np.testing.assert_allclose(by_modes.x, by_steps.x, atol=2e-6 * np.max(np.abs(by_steps.x)))


def test_what_massless_degrees_of_freedom_cannot_have() -> None:
    m, K = portal()
    with pytest.raises(ValueError, match="load: expected none at degree of freedom 1, which has no mass"):
        mflow.modes(m, K).response([0.0, 1.0], (np.ones(6), [0.0, 1.0]))
    dashpot = np.zeros((6, 6))
    dashpot[1, 1] = 1.0
    with pytest.raises(ValueError, match="degree of freedom 1 has a dashpot and no mass"):
        mflow.max_stable_dt("leapfrog", mass=m, stiffness=K, damping=dashpot)
    with pytest.raises(ValueError, match="mass: expected a mass above 0, or a row of zeros, at every degree of freedom, got -1 at 0"):
        mflow.modes([-1.0, 1.0], np.eye(2))
    with pytest.raises(ValueError, match="the stiffness does not hold it"):
        mflow.modes([1.0, 0.0], np.diag([1.0, 0.0]))
    with pytest.raises(ValueError, match="got 0 at 0"):
        mflow.max_stable_dt("leapfrog", mass=np.zeros(2), stiffness=np.eye(2))
