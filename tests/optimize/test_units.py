"""Parameters of very different units: lengths that are given, and those that a run measures itself; the truth is of 50 digits."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import mpmath
import numpy as np
import pytest
from numpy.typing import NDArray

import mflow
from mflow.derivatives.scales import measured

Array = NDArray[np.float64]
METHODS = ["lbfgs", "bfgs", "cg", "trust_ncg"]
BOND, ANGLE = 0.958e-10, 1.8238691
STRETCH, WIDTH, BEND, BOTH = 8.2e-19, 2.2e10, 7.6e-19, 4e-10
WITHIN = [(5e-11, 2e-10), (5e-11, 2e-10), (1.0, 3.0)]
SIZES = [1e-10, 1e-10, 1.0]


def water(x: Array) -> tuple[float, Array]:
    """Two bonds in metres and an angle in radians; joules."""
    r, turn = x[:2] - BOND, x[2] - ANGLE
    e = np.exp(-WIDTH * r)
    value = STRETCH * float(np.sum((1.0 - e) ** 2)) + 0.5 * BEND * turn**2 + BOTH * float(np.sum(r)) * turn
    return value, np.append(2.0 * STRETCH * WIDTH * (1.0 - e) * e + BOTH * turn, BEND * turn + BOTH * np.sum(r))


def starts(count: int) -> Array:
    return np.array([BOND, BOND, ANGLE]) * (1.0 + 0.12 * np.random.default_rng(0).normal(size=(count, 3)))


@pytest.mark.parametrize("method", METHODS)
def test_a_molecule_in_metres_radians_and_joules(method: str) -> None:
    """Of 40 starts bfgs left the angle off by up to half a degree in 35, "converged"; trust_ncg failed in all."""
    for x0 in starts(8):
        r = mflow.minimize(water, x0, jac=True, method=method)
        assert r.reason == "converged", r.message
        np.testing.assert_allclose(r.x, [BOND, BOND, ANGLE], rtol=1e-8)
        assert "parameters differ in units" in r.message
        assert np.all(np.log2(r.x_scale) % 1.0 == 0.0)


@pytest.mark.parametrize("more", [{}, {"x_scale": SIZES}])
@pytest.mark.parametrize("jac", [True, None])
def test_the_same_within_bounds_and_by_differences(more: dict[str, Any], jac: bool | None) -> None:
    """A first step of -g was lost in the rounding of the angle; differences over 1e-8 m were longer than a bond."""
    for x0 in starts(4):
        for bounds in (None, WITHIN):
            seen: list[Array] = []

            def cost(x: Array, seen: list[Array] = seen) -> Any:
                seen.append(x.copy())
                return water(x) if jac else water(x)[0]

            r = mflow.minimize(cost, x0, jac=jac, bounds=bounds, **more)
            assert r.reason == "converged", r.message
            np.testing.assert_allclose(r.x, [BOND, BOND, ANGLE], rtol=1e-5)
            if bounds is not None:
                assert all(low <= value <= high for x in seen for value, (low, high) in zip(x, WITHIN, strict=True))
            assert len(seen) == r.nfev + (r.ncheck if jac else 0)


def in_units(seed: int) -> tuple[Any, Any, Array, Array, Any]:
    """(cost, gradient, x0, sizes, how far f(x) lies above the minimum in 50 digits, as a share of what it does at x0) of a quadratic."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(2, 6))
    Q, _ = np.linalg.qr(rng.normal(size=(n, n)))
    A, best = (Q * np.geomspace(1.0, 100.0, n)) @ Q.T, rng.uniform(0.3, 2.0, n) * rng.choice([-1.0, 1.0], n)
    D, unit = 10.0 ** rng.uniform(-12, 12, n), 10.0 ** rng.uniform(-20, 20)
    x0 = np.zeros(n) if seed % 2 else D * best * (1.0 + 0.3 * rng.normal(size=n))

    def above(x: Array) -> float:
        with mpmath.workdps(50):

            def value(at: Array) -> Any:
                z = mpmath.matrix([mpmath.mpf(a) / mpmath.mpf(d) - mpmath.mpf(b) for a, d, b in zip(at, D, best, strict=True)])
                return (z.T * mpmath.matrix(A.tolist()) * z)[0]

            return float(value(x) / value(x0))

    def cost(x: Array) -> float:
        return unit * 0.5 * float((x / D - best) @ A @ (x / D - best))

    return cost, lambda x: unit * (A @ (x / D - best)) / D, x0, D, above


@pytest.mark.parametrize("method", METHODS)
def test_units_that_nobody_gave_are_measured(method: str) -> None:
    """Right were 5 to 9 of 24, and 8 to 12 "converged" elsewhere; half of the starts are 0, which tells no size."""
    for seed in range(24):
        cost, slope, x0, _, above = in_units(seed)
        r = mflow.minimize(cost, x0, jac=slope, method=method)
        assert r.success, (seed, r.message)
        assert above(r.x) < 1e-8, (seed, r.message)


@pytest.mark.parametrize("method", [*METHODS, "momentum"])
def test_a_run_in_given_units_is_that_over_x_in_them(method: str) -> None:
    """Bit by bit, where units are powers of 2; the gradient that is to be small is that of x in them."""
    n, D = 4, 2.0 ** np.array([-30.0, 3.0, 20.0, 0.0])
    rng = np.random.default_rng(1)
    x0 = rng.normal(size=n)

    def plain(z: Array) -> tuple[float, Array]:
        d = z - 0.3
        return float(np.sum(d**4) + np.prod(d) + d @ d), 4.0 * d**3 + np.array([np.prod(np.delete(d, j)) for j in range(n)]) + 2.0 * d

    how: dict[str, Any] = {"method": method, "jac": True, "check_gradient": False, "gtol": 1e-9}
    how |= {"line_search": "strong_wolfe"} if method == "momentum" else {}
    one = mflow.minimize(plain, x0, **how)
    for given in (D, 1.3 * D):
        r = mflow.minimize(lambda x: (plain(x / D)[0], plain(x / D)[1] / D), D * x0, x_scale=given, **how)
        assert (r.nit, r.nfev, r.reason, r.fun) == (one.nit, one.nfev, "converged", one.fun)
        np.testing.assert_array_equal(r.x / D, one.x)
        np.testing.assert_array_equal(r.jac * D, one.jac)
        np.testing.assert_array_equal(r.x_scale, D)
    assert "times x_scale" in r.message
    if method in ("lbfgs", "bfgs"):
        whole = r.hess_inv if method == "bfgs" else r.hess_inv.todense()
        other = one.hess_inv if method == "bfgs" else one.hess_inv.todense()
        np.testing.assert_array_equal(whole, other * np.multiply.outer(D, D))


def test_products_that_are_given_are_seen_in_units_too() -> None:
    D, A = np.array([2.0**-33, 1.0, 2.0**20]), np.diag([1.0, 2.0, 3.0]) + 0.1
    H = A / np.multiply.outer(D, D)
    b = H @ D
    r = mflow.minimize(
        lambda x: (0.5 * x @ H @ x - b @ x, H @ x - b), 3.0 * D, jac=True, method="trust_ncg", hessp=lambda x, p: H @ p, x_scale=D
    )
    assert r.success, r.message
    np.testing.assert_allclose(r.x, D, rtol=1e-7)


@pytest.mark.parametrize("method", METHODS)
def test_it_goes_on_from_its_file_to_the_same_end(method: str, tmp_path: Path) -> None:
    x0 = starts(1)[0]
    whole = mflow.minimize(water, x0, jac=True, method=method)
    for cut in range(1, whole.nit):
        file = tmp_path / f"{cut}"
        mflow.minimize(water, x0, jac=True, method=method, maxiter=cut, checkpoint=file)
        r = mflow.minimize(water, x0, jac=True, method=method, resume=file)
        assert (r.nit, r.nfev, r.message) == (whole.nit, whole.nfev, whole.message)
        assert r.x.tobytes() == whole.x.tobytes()
    with pytest.raises(ValueError, match="does not fit this call"):
        mflow.minimize(water, x0, jac=True, method=method, resume=file, x_scale=SIZES)


@pytest.mark.filterwarnings("ignore:.*encountered in:RuntimeWarning")
def test_a_gtol_that_is_given_is_one_of_x() -> None:
    r = mflow.minimize(water, starts(1)[0], jac=True, gtol=1e-21)
    assert r.success
    assert np.max(np.abs(r.jac)) <= 1e-21 or "a minimum to rounding" in r.message


def test_a_batch_takes_units() -> None:
    A = np.diag([1e20, 1.0, 1e-10])
    f = mflow.objectives.Quadratic(A, A @ np.array([1e-10, 1.0, 1e5]))
    x0 = np.array([[3e-10, 0.0, 4e5], [0.0, 2.0, 1.0]])
    r = mflow.minimize_batch(f, x0, "lbfgs", x_scale=[1e-10, 1.0, 1e5])
    assert r.success
    np.testing.assert_allclose(r.x, [[1e-10, 1.0, 1e5]] * 2, rtol=1e-4)
    alone = mflow.minimize(f, x0[0], method="lbfgs", x_scale=[1e-10, 1.0, 1e5])
    assert (alone.x.tobytes(), alone.nit) == (r.x[0].tobytes(), r.nit[0])
    assert r.gmax[0] == np.max(np.abs(alone.jac * alone.x_scale))
    with pytest.raises(ValueError, match="adam without a line search takes none"):
        mflow.minimize_batch(f, x0, "adam", x_scale=1.0)


@pytest.mark.parametrize("bad", ["hess", [1.0, 2.0], 0.0, -1.0, np.nan, np.inf, [1.0, 0.0, 1.0]])
def test_what_is_no_length_is_named(bad: Any) -> None:
    with pytest.raises(ValueError, match=r"^x_scale: expected .*got"):
        mflow.minimize(water, starts(1)[0], jac=True, x_scale=bad)


def test_steps_of_their_own_take_none() -> None:
    with pytest.raises(ValueError, match="x_scale: adam without a line search takes none"):
        mflow.minimize(water, starts(1)[0], jac=True, method="adam", lr=0.1, x_scale=SIZES)


def two_units(z: Array) -> tuple[float, Array]:
    """A spring in metres and a capacitor in coulombs, joules: 2 nm and 60 fC."""
    x, q = z
    return (x - 2e-9) ** 2 + 0.5 * q * q / 4e-14 - 1.5 * q, np.array([2.0 * (x - 2e-9), q / 4e-14 - 1.5])


@pytest.mark.parametrize("method", METHODS)
def test_a_small_part_of_the_cost_is_minimised_too(method: str) -> None:
    """Of 40 such starts 30 to 35 were "converged" with the length where it began, as it is worth 1e-5 of the cost."""
    for x0 in np.array([2e-9, 6e-14]) * 10.0 ** np.random.default_rng(0).uniform(-2.0, 1.0, (12, 2)):
        r = mflow.minimize(two_units, x0, jac=True, method=method)
        assert r.success
        np.testing.assert_allclose(r.x, [2e-9, 6e-14], rtol=1e-3)


@pytest.mark.parametrize("x0", [[1e-9, 0.0], [0.0, 0.0], [1e-9, 1e-30]])
@pytest.mark.parametrize("within", [[(-1e-6, 1e-6), (0, 1e-11)], [(None, None), (0, 1e-11)], [(None, None), (0, None)]])
def test_room_that_is_small_is_no_slope(x0: list[float], within: Any) -> None:
    """At x0 the slope was -1.5 and the room to the bound 1e-11, which gtol allowed: "converged" after no iteration."""
    r = mflow.minimize(two_units, x0, jac=True, bounds=within)
    assert r.success
    np.testing.assert_allclose(r.x, [2e-9, 6e-14], rtol=1e-6)


@pytest.mark.parametrize("within", [(-1e-6, 1e-6), (0, 1e-6), (None, 1e-6), (-1e-5, 1e-5), (0, None)])
def test_the_same_of_one_parameter_from_0(within: Any) -> None:
    r = mflow.minimize(lambda x: ((1e6 * x[0] - 0.7) ** 2, 2e6 * (1e6 * x - 0.7)), [0.0], jac=True, bounds=[within])
    assert r.success
    np.testing.assert_allclose(r.x, [7e-7], rtol=1e-6)


@pytest.mark.parametrize("within", [None, [(0, None)] * 2, [(0, 1e-4)] * 2])
@pytest.mark.parametrize("d", [1e-6, 1e-10])
def test_small_parameters_that_have_not_moved(within: Any, d: float) -> None:
    """The second stood at 3 d, as the room to its bound was at most gtol."""
    r = mflow.minimize(lambda x: (0.5 * np.sum((x / d - 1.0) ** 2), (x / d - 1.0) / d), [0.5 * d, 3.0 * d], jac=True, bounds=within)
    assert r.success
    np.testing.assert_allclose(r.x, [d, d], rtol=1e-6)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("size", [1e-3, 1e-5])
def test_a_flat_parameter_beside_a_steep_one(method: str, size: float) -> None:
    """The first stood at 900: its slope was small from the start."""

    def cost(y: Array) -> tuple[float, Array]:
        u = y / [300.0, 1.0] - 1.0
        return 0.5 * size * float(u[0] ** 2 + 100.0 * u[1] ** 2), size * np.array([u[0] / 300.0, 100.0 * u[1]])

    r = mflow.minimize(cost, [900.0, 2.0], jac=True, method=method)
    assert r.success
    np.testing.assert_allclose(r.x, [300.0, 1.0], rtol=1e-6)


def test_an_x_scale_that_is_far_too_small() -> None:
    """gtol met the slope times 1e-6 at once: "converged" at [3, 1]."""
    w = np.array([1.0, 100.0])
    r = mflow.minimize(lambda x: (0.5 * w @ (x - 1.0) ** 2, w * (x - 1.0)), [3.0, 2.0], jac=True, x_scale=[1e-6, 1.0])
    assert r.success
    np.testing.assert_allclose(r.x, [1.0, 1.0], rtol=1e-6)


def bent(D: float) -> Any:
    """Rosenbrock's, in units of D."""
    return lambda x: 100.0 * (x[1] / D - (x[0] / D) ** 2) ** 2 + (1.0 - x[0] / D) ** 2


@pytest.mark.parametrize("D", [1e-4, 1e3, 1e5])
@pytest.mark.parametrize("share", [0.0, 1e-3])
def test_differences_over_shares_of_x_scale_are_so_wherever_x_is(D: float, share: float) -> None:
    """They were over 6e-6 of D times x: x was 23 % off, "converged"."""
    r = mflow.minimize(bent(D), [share * D] * 2, x_scale=D)
    assert r.success
    np.testing.assert_allclose(r.x, [D, D], rtol=1e-5)


@pytest.mark.parametrize("method", METHODS)
def test_a_start_far_off_hides_no_cost_that_is_left(method: str) -> None:
    """Beside a cost of 1e8 at x0 one of 28 was none: "converged" at [-4.3, 18]."""
    D = np.array([3.8619287e-6, 2.28138431e5])

    def cost(x: Array) -> tuple[float, Array]:
        u, v = x / D
        return 100.0 * (v - u * u) ** 2 + (1.0 - u) ** 2, np.array([-400.0 * u * (v - u * u) - 2.0 * (1.0 - u), 200.0 * (v - u * u)]) / D

    r = mflow.minimize(cost, np.array([37.17, 18.175]) * D, jac=True, method=method)
    assert r.success
    np.testing.assert_allclose(r.x, D, rtol=1e-6)


def test_a_search_that_fails_far_up_has_not_converged() -> None:
    """gtol was one of what the cost had come down by, and met by a slope of 3000 beside a cost of 7, where the search failed."""
    D, y = np.array([2.565e-8, 2.648e-3]), np.array([1.5, 2.25, 2.625])

    def beale(x: Array) -> float:
        u, v = x / D
        return float(np.sum((y - u * (1.0 - v ** np.array([1, 2, 3]))) ** 2))

    r = mflow.minimize(beale, np.array([-3.476, -31.1]) * D)
    assert not r.success or r.fun < 1e-6


def test_lengths_take_values_and_no_gradients_by_differences() -> None:
    """Each took two gradients or more, of n + 1 values and more each: 272 beside the 829 of a run of 8 parameters from a start with a 0."""
    D, asked = 10.0 ** np.arange(-4.0, 4.0), list[Array]()

    def cost(x: Array) -> float:
        asked.append(x)
        return float(np.sum((x / D - 1.0) ** 2))

    x = 3.0 * D
    lengths, count = measured(lambda x: x, x, 4.0 / D, None, False, (cost, 32.0))
    assert lengths is not None
    assert count == len(asked) == 4 * D.size
    assert np.all(np.abs(np.log2(lengths / lengths[0]) - np.log2(D / D[0])) <= 1.0)  # each is rounded to a power of 2
    lower, upper = np.where(np.arange(8) < 4, -np.inf, x), np.where(np.arange(8) < 4, x, np.inf)
    again, _ = measured(lambda x: x, x, 4.0 / D, (lower, upper), False, (cost, 32.0))  # with room to one side alone
    np.testing.assert_array_equal(again, lengths)


@pytest.mark.parametrize("method", ["lbfgs", "trust_ncg"])
def test_members_of_a_batch_are_looked_at_too(method: str) -> None:
    """80 of 360 such members were "converged" with a parameter where it began; `minimize` of each was right."""
    D, small = np.array([1.2e-4, 3.6, 3.5]), 1e-6
    A = small * np.array([[2.0, 0.15, 0.0], [0.15, 1.0, 0.2], [0.0, 0.2, 5.0]]) / np.multiply.outer(D, D)
    starts = D * (1.0 + np.random.default_rng(0).normal(size=(6, 3)))
    r = mflow.minimize_batch(mflow.objectives.Quadratic(A, A @ D), starts, method=method)
    assert set(r.reason) == {"converged"}
    np.testing.assert_allclose(r.x, np.tile(D, (6, 1)), rtol=1e-3)


def test_a_minimum_to_rounding_tells_its_gradient_in_the_lengths_of_gtol() -> None:
    """It told that in x, 5e9 times as large, beside a gtol of the other."""
    D, t = np.array([1e-10, 1.0]), np.linspace(0.1, 3.0, 40)
    data = 2.1 * np.exp(-0.7 * t) + 0.1 * np.sin(9.0 * t)

    def both(x: Array) -> tuple[float, Array]:
        a, b = x / D
        e = np.exp(-b * t)
        off = a * e - data
        return 1e6 * float(off @ off), 2e6 * np.array([off @ e, -off @ (a * t * e)]) / D

    r = mflow.minimize(both, [2e-10, 1.0], jac=True, x_scale=D, gtol=1e-12)
    assert r.success
    told = re.search(r"minimum to rounding.*gradient times x_scale is ([0-9.e+-]+)", r.message)
    assert told is not None
    assert float(told.group(1)) < 1e-6


def test_another_x_scale_than_that_of_a_file_is_named(tmp_path: Path) -> None:
    cost = mflow.objectives.Rosenbrock(2)
    mflow.minimize(cost, [-1.2, 1.0], x_scale=[1.0, 64.0], maxiter=5, checkpoint=tmp_path / "run")
    for other in ({}, {"x_scale": [64.0, 1.0]}):
        with pytest.raises(ValueError, match="this search and x_scale"):
            mflow.minimize(cost, [-1.2, 1.0], resume=tmp_path / "run", **other)
