"""Certificates within bounds: points whose kind is known in closed form, corners with loose bounds, and results of the drivers."""

from __future__ import annotations

import numpy as np
import pytest

import mflow

# Horn's matrix: copositive, v'Hv = 0 for some v >= 0, and no sum of a nonnegative and a semidefinite matrix (Hall and Newman 1963).
HORN = np.array([[1, -1, 1, 1, -1], [-1, 1, -1, 1, 1], [1, -1, 1, -1, 1], [1, 1, -1, 1, -1], [-1, 1, 1, -1, 1]], dtype=float)


def quadratic(H, g, x):
    """(cost, gradient) with the gradient g and the Hessian H at x."""
    return lambda c: (float(g @ (c - x) + 0.5 * (c - x) @ H @ (c - x)), g + H @ (c - x))


def on_a_face(rng, n, least):
    """(H, g, x, pressed): x in the unit box with some entries on bounds that press, H with `least` as the least eigenvalue of the rest."""
    pressed = rng.permutation(n) < rng.integers(1, n)
    low = rng.random(n) < 0.5
    x = np.where(pressed, np.where(low, 0.0, 1.0), rng.uniform(0.2, 0.8, n))
    g = np.where(pressed, np.where(low, 1.0, -1.0) * rng.uniform(0.1, 2.0, n), 0.0)
    A = rng.standard_normal((n, n))
    H, free = -A @ A.T, np.flatnonzero(~pressed)  # indefinite where a bound presses: that does not matter
    Q, _ = np.linalg.qr(rng.standard_normal((free.size, free.size)))
    H[np.ix_(free, free)] = Q @ np.diag(np.append(rng.uniform(0.5, 2.0, free.size - 1), least)) @ Q.T
    return H, g, x, pressed


@pytest.mark.parametrize("least", [0.3, -0.2, 0.0, -1e-6])
def test_faces_of_a_box(least):
    rng = np.random.default_rng(3)
    kind = {0.3: "minimum on the bounds", 0.0: "flat"}.get(least, "saddle")
    for n in (2, 3, 5, 9, 20, 60):
        H, g, x, pressed = on_a_face(rng, n, least)
        found = mflow.certificate(quadratic(H, g, x), x, jac=True, hessp=lambda c, v, H=H: H @ v, bounds=[(0, 1)] * n, method="sgd")
        assert found.verdict == kind, (n, found)
        assert found.moves == n - pressed.sum()
        np.testing.assert_array_equal(found.multipliers, g)
        assert found.least == pytest.approx((least, least), abs=1e-12)
        assert found.gradient == 0.0
        if kind == "saddle":
            assert found.escape @ H @ found.escape == pytest.approx(least, rel=1e-6)
            assert not found.escape[pressed].any()
        largest = np.linalg.eigvalsh(H[np.ix_(~pressed, ~pressed)])[-1]
        if largest > 0.0:
            assert found.largest_step == pytest.approx(2.0 / largest, rel=1e-9)


def test_a_multiplier_of_the_wrong_sign_is_no_stationary_point():
    rng = np.random.default_rng(4)
    for n in (2, 7):
        H, g, x, pressed = on_a_face(rng, n, 1.0)
        j = int(np.flatnonzero(pressed)[0])
        g[j] = -g[j]
        found = mflow.certificate(quadratic(H, g, x), x, jac=True, bounds=[(0, 1)] * n)
        assert found.verdict == "not converged"
        assert found.gradient == pytest.approx(min(abs(g[j]), 1.0))  # the box is 1 wide


@pytest.mark.parametrize(
    ("H", "kind"),
    [
        ([[1, 2], [2, 1]], "minimum"),  # eigenvalues 3 and -1, and no entry below 0
        ([[1, -2], [-2, 1]], "saddle"),
        ([[1, -1], [-1, 1]], "flat"),
        ([[-1, 5], [5, 1]], "saddle"),
        (HORN, "flat"),
        (HORN + 0.01 * np.eye(5), "minimum"),
        (HORN - 0.01 * np.eye(5), "saddle"),
    ],
)
@pytest.mark.parametrize("free", [0, 2])
def test_loose_bounds_leave_one_way(H, kind, free):
    """A corner at which the gradient is 0, at lower and upper bounds, alone and with free parameters: the Schur complement is H."""
    rng = np.random.default_rng(5)
    S = np.array(H, dtype=float)
    signs = np.where(rng.random(len(S)) < 0.5, 1.0, -1.0)
    B = rng.standard_normal((free, len(S)))
    whole = np.block([[2.0 * np.eye(free), B], [B.T, S + B.T @ B / 2.0]])
    inwards = np.append(np.ones(free), signs)
    whole = inwards[:, None] * whole * inwards
    x, bounds = np.zeros(len(whole)), [(-1, 1)] * free + [(0, 3) if s > 0 else (-3, 0) for s in signs]
    found = mflow.certificate(quadratic(whole, 0.0 * x, x), x, jac=True, hessp=lambda c, v: whole @ v, bounds=bounds)
    assert found.verdict == kind
    if kind == "saddle":
        assert np.all(found.escape[free:] * signs >= 0.0)
        assert found.escape @ whole @ found.escape < -1e-3


def test_differences_stay_within_the_bounds():
    """sqrt has no value outside, and at c = 0 no derivative: c = .25 is next to the bound at 1/4 - 1e-9."""

    def cost(c):
        assert c[0] >= 0.25 - 1e-9, c
        assert c[1] <= 2.0, c
        return np.sqrt(c[0] - 0.25 + 1e-9) + (c[1] - 3.0) ** 2 + c[2] ** 2, np.array(
            [0.5 / np.sqrt(c[0] - 0.25 + 1e-9 + 1e-30), 2 * (c[1] - 3.0), 2 * c[2]]
        )

    found = mflow.certificate(cost, [0.25 - 1e-9, 2.0, 0.0], jac=True, bounds=[(0.25 - 1e-9, 5), (None, 2), (0, 1)])
    assert found.verdict == "minimum on the bounds"
    assert found.moves == 1
    assert found.least == pytest.approx((2.0, 2.0), rel=1e-6)


def test_cubes_at_a_loose_bound_are_told_or_left_open():
    """x^3 on x >= 0: the second derivative at 0 is 0, though it is above 0 next to it."""
    found = mflow.certificate(lambda c: (float(c[0] ** 3), 3 * c**2), [0.0], jac=True, bounds=[(0, 1)])
    assert found.verdict == "flat"


def test_results_of_the_drivers_within_bounds():
    down = mflow.minimize(lambda x: (-x @ x, -2 * x), [0.5, 0.1], jac=True, bounds=[(-1, 1), (-2, 1)])
    found = down.certificate()
    assert (down.success, found.verdict, found.moves) == (True, "minimum on the bounds", 0)
    assert "minimum on the bounds" in str(found)
    projected = mflow.minimize(
        lambda x: (x[0] ** 2 + x[1], np.array([2 * x[0], 1.0])), [0.5, 0.7], method="sgd", jac=True, lr=0.1, bounds=[(-1, 1), (0, 1)]
    )
    assert projected.certificate().verdict == "minimum on the bounds"
    held = mflow.minimize(lambda x: (float(x @ x - 3 * x[0] * x[1]), 2 * x - 3 * x[::-1]), [0.5, 0.0], jac=True, fixed=[False, True])
    found = held.certificate()
    assert (found.verdict, found.moves, found.multipliers.tolist()) == ("minimum", 1, [0.0, 0.0])
    assert found.least == pytest.approx((2.0, 2.0), rel=1e-6)
    fit = mflow.least_squares(lambda b: b - 1.0, [3.0, 4.0], bounds=([2.0, 0.0], [5.0, 5.0]))
    found = fit.certificate()
    assert (found.verdict, found.moves) == ("minimum on the bounds", 1)
    assert found.multipliers == pytest.approx([1.0, 0.0], abs=1e-9)
    fit = mflow.least_squares(lambda b: np.array([b[0] * b[1] - 2.0, b[0] - 1.0]), [3.0, 4.0], fixed=[1])
    found = fit.certificate()
    assert (found.verdict, found.moves) == ("minimum", 1)
    assert found.least == pytest.approx((17.0, 17.0), rel=1e-4)


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="x: expected a point within the bounds"):
        mflow.certificate(lambda c: (0.0, c), [2.0], jac=True, bounds=[(0, 1)])
