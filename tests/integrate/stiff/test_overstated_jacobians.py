"""A jac that is far too large: steps would stand still, and no error estimate sees it. Solutions are known in closed form."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
import pytest

import mflow

RATE = 50.0
ADAPTIVE = ("esdirk43", "radau5", "rodas5p", "bdf")
FIXED = ("backward_euler", "trapezoidal", "sdirk2")


def relax(t: float, y: Any, rate: float = RATE) -> Any:
    """y' = -rate (y - cos t)."""
    return -rate * (y - np.cos(t))


def relaxed(t: float, y0: float = 0.0, rate: float = RATE) -> float:
    rest = rate * (rate * math.cos(t) + math.sin(t)) / (rate**2 + 1.0)
    return rest + (y0 - rate**2 / (rate**2 + 1.0)) * math.exp(-rate * t)


@pytest.mark.parametrize("factor", [1e6, 1e12, 1e18, -1e6])
@pytest.mark.parametrize("method", ADAPTIVE)
def test_a_jacobian_that_is_far_too_large_is_told_and_does_no_harm(method: str, factor: float) -> None:
    with pytest.warns(RuntimeWarning, match="jac is not the derivative of fun.*differences of fun have taken its place"):
        r = mflow.solve_ivp(relax, (0.0, 2.0), [0.0], method, jac=[[-RATE * factor]], rtol=1e-5, max_steps=500)
    assert r.success
    assert "differences of fun have taken its place" in r.message
    assert abs(r.y[0, -1] - relaxed(2.0)) < 1e-4


@pytest.mark.parametrize("factor", [1e6, 1e18])
@pytest.mark.parametrize("method", FIXED)
def test_steps_of_fixed_length_do_not_stand_still(method: str, factor: float) -> None:
    ends = []
    for times in (1.0, factor):
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            ends.append(mflow.solve_ivp(relax, (0.0, 2.0), [0.0], method, dt=0.05, jac=[[-RATE * times]]).y[0, -1])
        assert len(told) == (times > 1.0)
    assert abs(ends[1] - ends[0]) < 1e-12
    assert abs(ends[0] - relaxed(2.0)) < 0.02


@pytest.mark.parametrize("method", ADAPTIVE)
def test_one_that_is_too_large_later_on_is_seen_there(method: str) -> None:
    """What starts anywhere falls to y = cos t."""

    def fun(t: float, y: Any) -> Any:
        return -RATE * (1.0 + y**2) * (y - np.cos(t)) - np.sin(t)

    def jac(t: float, y: Any) -> Any:
        right = -RATE * (1.0 + 3.0 * y[0] ** 2 - 2.0 * y[0] * math.cos(t))
        return [[right * (1e8 if t > 1.0 else 1.0)]]

    with pytest.warns(RuntimeWarning, match="have taken its place"):
        r = mflow.solve_ivp(fun, (0.0, 3.0), [0.0], method, jac=jac, rtol=1e-5, max_steps=500)
    assert r.success
    assert abs(r.y[0, -1] - math.cos(3.0)) < 1e-4


@pytest.mark.parametrize("method", ADAPTIVE)
def test_beside_a_mass_matrix(method: str) -> None:
    def fun(t: float, y: Any) -> Any:
        return [4.0 * relax(t, y[0]), y[1] - y[0]]

    jac = 1e9 * np.array([[-4.0 * RATE, 0.0], [-1.0, 1.0]])
    with pytest.warns(RuntimeWarning, match="have taken its place"):
        r = mflow.solve_ivp(fun, (0.0, 2.0), [0.0, 0.0], method, jac=jac, mass=np.diag([4.0, 0.0]), rtol=1e-5, max_steps=500)
    assert r.success
    np.testing.assert_allclose(r.y[:, -1], relaxed(2.0), rtol=0.0, atol=1e-4)


@pytest.mark.parametrize("method", ADAPTIVE)
def test_a_sparse_one_does_not_finish(method: str) -> None:
    """No pattern is known for differences: the steps are not solved."""
    sparse = pytest.importorskip("scipy.sparse")
    jac = sparse.csc_matrix(1e12 * np.diag([-RATE, -1.0]))
    with pytest.warns(RuntimeWarning, match="jac is not the derivative of fun"):
        r = mflow.solve_ivp(lambda t, y: [relax(t, y[0]), -y[1]], (0.0, 2.0), [0.0, 1.0], method, jac=jac, max_steps=200)
    assert not r.success


@pytest.mark.parametrize("method", ADAPTIVE)
@pytest.mark.parametrize("rate", [1e2, 1e6, 1e12])
def test_one_that_is_right_and_large_costs_a_few_evaluations(method: str, rate: float) -> None:
    """Two a look, and looks where it has taken away more than ever: at most four of them to the end of double precision."""
    nfev = {}
    for jac in ([[-rate]], None):
        r = mflow.solve_ivp(relax, (0.0, 3.0), [1.0], method, jac=jac, rtol=1e-5, atol=1e-8, args=(rate,))
        assert r.success
        assert abs(r.y[0, -1] - relaxed(3.0, 1.0, rate)) < 1e-4
        nfev[jac is None] = r.nfev
    assert nfev[False] <= nfev[True] + 8


@pytest.mark.filterwarnings("ignore:Stepper. jac was far larger")
@pytest.mark.parametrize("method", ADAPTIVE)
def test_a_stepper_that_is_loaded_goes_on_with_the_same_bits(method: str, tmp_path: Any) -> None:
    jac = [[-RATE * 1e9]]
    whole, first = (mflow.Stepper(method, relax, [0.0], jac=jac, rtol=1e-5) for _ in range(2))
    for _ in range(12):
        whole.step()
    for _ in range(6):
        first.step()
    first.save(tmp_path / "here")
    second = mflow.Stepper.load(tmp_path / "here", relax, jac=jac)
    for _ in range(6):
        second.step()
    assert second.t == whole.t
    assert second.y.tobytes() == whole.y.tobytes()
    assert abs(whole.y[0] - relaxed(whole.t)) < 1e-4


@pytest.mark.parametrize("method", [*ADAPTIVE, *FIXED])
def test_a_stepper_tells_of_such_a_jacobian_once(method: str) -> None:
    how: Any = {"rtol": 1e-5} if method in ADAPTIVE else {}

    def forty_steps(factor: float) -> None:
        st = mflow.Stepper(method, relax, [0.0], jac=lambda t, y: [[-RATE * factor]], **how)
        for _ in range(40):
            st.step(*([] if how else [0.05]))

    with pytest.warns(RuntimeWarning, match="differences of fun have taken its place") as told:
        forty_steps(1e9)
    assert len(told) == 1
    forty_steps(1.0)


def scaled(A: Any, part: str) -> Any:
    """A, with a column, a row or an entry a million times too large."""
    J = np.array(A)
    J[{"column": np.s_[:, 0], "row": np.s_[0, :], "entry": np.s_[0, 0]}[part]] *= 1e6
    return J


@pytest.mark.parametrize("part", ["column", "row", "entry"])
@pytest.mark.parametrize(
    ("A", "y0", "end"),  # at t = 2, exp(2 A) y0 by the eigenvalues: to 5 digits
    [
        ([[-2.0, 1.0], [1.0, -3.0]], [1.0, 2.0], [0.10156, 0.06376]),
        ([[-3.4, -2.65], [-0.5, -0.95]], [1.1, 0.1], [0.02666, -0.02865]),
        ([[-0.48, -2.71], [0.45, -0.52]], [1.2, 0.7], [-0.76423, -0.01243]),
    ],
)
@pytest.mark.parametrize("method", [*ADAPTIVE, "auto"])
def test_where_a_part_alone_is_too_large(method: str, A: Any, y0: list[float], end: list[float], part: str) -> None:
    """It is seen within the first steps, which may be off by then. `auto` stays explicit here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        r = mflow.solve_ivp(lambda t, y: np.array(A) @ y, (0.0, 2.0), y0, method, jac=scaled(A, part), rtol=1e-5, atol=1e-7, max_steps=500)
    assert r.success
    np.testing.assert_allclose(r.y[:, -1], end, rtol=0.0, atol=2e-3)


@pytest.mark.parametrize("method", ADAPTIVE)
def test_beyond_what_squares_hold(method: str) -> None:
    with pytest.warns(RuntimeWarning, match="have taken its place"):
        r = mflow.solve_ivp(relax, (0.0, 2.0), [0.0], method, jac=[[-RATE * 1e300]], rtol=1e-5, max_steps=500)
    assert r.success
    assert abs(r.y[0, -1] - relaxed(2.0)) < 1e-4


def nothing(y: Any) -> Any:
    return [math.nan]


def refused(y: Any) -> Any:
    raise mflow.Recoverable("no value above 1")


@pytest.mark.parametrize("above", [nothing, refused])
@pytest.mark.parametrize("method", [*ADAPTIVE, "backward_euler"])
def test_where_f_has_no_value_where_it_is_asked(method: str, above: Any) -> None:
    """What cannot be evaluated tells nothing of J."""

    def fun(t: float, y: Any) -> Any:
        return above(y) if y[0] > 1.0 else [-RATE * (y[0] - 0.5)]

    how: dict[str, float] = {"dt": 0.05} if method == "backward_euler" else {"rtol": 1e-5, "max_steps": 2000}
    with pytest.warns(RuntimeWarning, match="have taken its place"):
        r = mflow.solve_ivp(fun, (0.0, 2.0), [0.9999999], method, jac=[[-RATE * 1e9]], **how)
    assert r.success
    assert abs(r.y[0, -1] - 0.5) < 1e-4


@pytest.mark.parametrize("method", ADAPTIVE)
def test_a_banded_one(method: str) -> None:
    """Heat in a rod of 8 parts, from its slowest mode: it dies away by its eigenvalue."""
    n, last = 8, 4.0 * 81.0 * math.sin(math.pi / 18.0) ** 2
    mode = np.sin(np.pi * np.arange(1, n + 1) / 9.0)

    def fun(t: float, y: Any) -> Any:
        beside = np.r_[0.0, y, 0.0]
        return 81.0 * (beside[:-2] - 2.0 * y + beside[2:])

    band = 1e9 * np.array([[81.0] * n, [-162.0] * n, [81.0] * n])
    with pytest.warns(RuntimeWarning, match="have taken its place"):
        r = mflow.solve_ivp(fun, (0.0, 0.1), mode, method, jac=lambda t, y: band, lband=1, uband=1, rtol=1e-5, atol=1e-8, max_steps=500)
    assert r.success
    np.testing.assert_allclose(r.y[:, -1], mode * math.exp(-0.1 * last), rtol=0.0, atol=1e-4)


@pytest.mark.parametrize("method", ADAPTIVE)
def test_a_right_one_of_a_friction_that_saturates_is_not_doubted(method: str) -> None:
    """f bends on a scale of 1e-4 of y, where differences see nothing of its slope: that is no contradiction."""

    def fun(t: float, y: Any) -> Any:
        return -10.0 * np.tanh(1e4 * (y - np.cos(t)))

    def jac(t: float, y: Any) -> Any:
        return [[-1e5 / math.cosh(min(300.0, abs(1e4 * (y[0] - math.cos(t))))) ** 2]]

    for rtol in (1e-2, 1e-3, 1e-4, 1e-6):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert mflow.solve_ivp(fun, (0.0, 3.0), [0.0], method, jac=jac, rtol=rtol).success


YEAR = 3.15576e7
HALVES = {  # seconds: of uranium 238 down to polonium 210, and the part from radium 226 to lead 210
    "uranium": [4.468e9 * YEAR, 2082240.0, 69.54, 2.455e5 * YEAR, 7.54e4 * YEAR, 1600 * YEAR, 330350.4, 185.88, 1608.0, 1194.0, 1.643e-4,
                22.2 * YEAR, 433036.8, 11955686.4],
    "radium": [1600 * YEAR, 330350.4, 185.88, 1608.0, 1194.0, 1.643e-4, 22.2 * YEAR],
}  # fmt: skip


@pytest.mark.parametrize(
    ("method", "chain", "rtol", "atol"),
    [
        ("radau5", "uranium", 1e-5, 1e-25),
        ("esdirk43", "uranium", 1e-8, 1e-25),
        ("rodas5p", "uranium", 1e-5, 0.0),
        ("bdf", "radium", 1e-3, 0.0),
    ],
)
def test_a_right_one_whose_changes_are_lost_in_rounding_is_not_doubted(method: str, chain: str, rtol: float, atol: float) -> None:
    """Nuclides that decay as fast as they are made: rates of 20 decades, and the rest of large terms is rounding."""
    rates = math.log(2.0) / np.array(HALVES[chain])
    A = np.diag(rates[:-1], -1) - np.diag(rates)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        r = mflow.solve_ivp(lambda t, y: A @ y, (0.0, 1e6 * YEAR), np.eye(rates.size)[0], method, jac=A, rtol=rtol, atol=atol)
    assert r.success
    assert r.doubts == ()
    if chain == "uranium":
        assert math.isclose(r.y[0, -1], math.exp(-rates[0] * 1e6 * YEAR), rel_tol=1e-6)
