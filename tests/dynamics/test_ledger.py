"""What the ledger's numerical column means: its sign, and where it is said."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.sparse

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


ALPHA: list[Any] = [mflow.HHT(-0.1), mflow.HHT(-1 / 3), mflow.GeneralizedAlpha(0.0), mflow.GeneralizedAlpha(0.8)]
PAIR: dict[str, Any] = {"mass": [2.0, 1.0], "stiffness": [[6.0, -2.0], [-2.0, 4.0]], "x0": [1.0, 0.0], "v0": [0.5, 0.0], "t_span": (0, 20)}


@pytest.mark.parametrize("method", ALPHA, ids=repr)
@pytest.mark.parametrize(
    "more", [{}, {"damping": [[0.3, 0.0], [0.0, 0.1]], "load": lambda t: np.array([np.sin(3 * t), 1.0])}], ids=["free", "all"]
)
def test_alpha_methods_close_their_books(method: Any, more: dict[str, Any]) -> None:
    s = mflow.solve_dynamics(dt=0.15, method=method, **PAIR, **more)
    e = s.energy
    assert np.abs(e.residual).max() < 1e-14
    held = 0.5 * (np.array([2.0, 1.0]) @ s.v**2 + np.einsum("it,ij,jt->t", s.x, np.array(PAIR["stiffness"]), s.x))
    np.testing.assert_allclose(e.kinetic + e.potential, held, atol=1e-13)
    if not more:
        np.testing.assert_allclose(e.numerical, held - held[0], atol=1e-13)
        assert e.numerical[-1] < -1e-3  # they dissipate
    else:
        _works_are_those_at_the_ends(s)


def _works_are_those_at_the_ends(s: Any) -> None:
    """By the trapezoidal rule, of the load and of the dashpots of the pair."""
    f, c = np.array([np.sin(3 * s.t), np.ones_like(s.t)]), np.array([[0.3], [0.1]])
    for column, force in ((s.energy.load, f), (s.energy.damping, c * s.v)):
        np.testing.assert_allclose(np.diff(column), (np.diff(s.x) * 0.5 * (force[:, 1:] + force[:, :-1])).sum(axis=0), atol=1e-13)


def test_alpha_methods_inside_steps_of_forces_and_resumed(tmp_path: Any) -> None:
    asked = mflow.solve_dynamics(dt=0.15, method="hht", t_eval=np.linspace(0, 20, 77), damping=0.1, **PAIR)
    assert np.abs(asked.energy.residual).max() < 1e-13
    pull = mflow.solve_dynamics(
        force=lambda t, x, v: -(x**3) - 0.1 * v, x0=[1.0], t_span=(0, 10), dt=0.1, method="generalized_alpha", energy=True
    )
    assert np.abs(pull.energy.residual).max() < 1e-12  # Newton's iteration ends at its own tolerance
    call: dict[str, Any] = {"dt": 0.15, "method": "generalized_alpha", "damping": 0.1, **PAIR}

    def stop(t: float, x: Any, v: Any) -> bool:
        return t > 7.0

    whole = mflow.solve_dynamics(**call)
    mflow.solve_dynamics(**call, callback=stop, checkpoint=tmp_path / "a", checkpoint_every=5)
    np.testing.assert_array_equal(mflow.solve_dynamics(**call, resume=tmp_path / "a").energy.numerical, whole.energy.numerical)
    shifted = mflow.solve_dynamics(dt=0.15, method=mflow.HHT(-0.1, load="shifted"), **PAIR)
    assert np.isnan(shifted.energy.numerical).all()


NEWMARKS: list[Any] = ["staggered", "central_difference", mflow.Newmark(0.25, 0.5), mflow.Newmark(1 / 6, 0.5), mflow.Newmark(1 / 12, 0.5)]


def chain(n: int, skew: bool) -> dict[str, Any]:
    """Masses in a row with dashpots between them, whose matrix is skewed or not."""
    row = np.linspace(0.1, 0.2, n - 1)
    C = np.diag(np.linspace(0.3, 0.5, n)) - np.diag(row, 1) - np.diag((0.5 if skew else 1.0) * row, -1)
    K = 2.0 * np.eye(n) - np.eye(n, k=1) - np.eye(n, k=-1)
    return {
        "damping": scipy.sparse.csr_array(C),
        "stiffness": scipy.sparse.csr_array(K),
        "x0": np.sin(np.arange(n)),
        "v0": np.cos(np.arange(n)),
    }


@pytest.mark.parametrize("skew", [False, True])
@pytest.mark.parametrize("n", [13, 600])
@pytest.mark.parametrize("method", NEWMARKS, ids=repr)
def test_damping_that_steps_tell_of_chains(method: Any, n: int, skew: bool) -> None:
    """Of chains the last pass of a step adds up what damping takes, in blocks; what takes no other look than at its end works in place."""
    given = chain(n, skew) | {"method": method, "dt": 0.1, "t_span": (0, 4.0)}
    s = mflow.solve_dynamics(**given)
    dx, mean = np.diff(s.x), 0.5 * (s.v[:, :-1] + s.v[:, 1:])
    took = np.append(0.0, np.cumsum(np.einsum("it,it->t", dx, given["damping"] @ mean)))
    np.testing.assert_allclose(s.energy.damping, took, rtol=1e-12)
    held = s.energy.kinetic[0] + s.energy.potential[0]
    assert np.abs(s.energy.residual).max() < 1e-14 * held
    for other in ({"save": "last"}, {"save_every": 7}, {"events": lambda t, x, v: 1.0}):
        alike = mflow.solve_dynamics(**given, **other)
        for name in ("damping", "numerical", "residual"):
            assert alike.energy[name][-1] == s.energy[name][-1], (other, name)


@pytest.mark.parametrize("method", ["staggered", "newmark"])
def test_chains_with_a_load_inside_steps_and_resumed(method: str, tmp_path: Any) -> None:
    n = 40
    load = np.linspace(-1, 1, n)
    given = chain(n, False) | {"method": method, "dt": 0.1, "t_span": (0, 4.0)}
    s = mflow.solve_dynamics(**given, load=load)
    assert np.abs(s.energy.residual).max() < 1e-14 * np.abs(s.energy.kinetic).max()
    np.testing.assert_allclose(s.energy.load, load @ (s.x - s.x[:, :1]), atol=1e-12)
    inside = mflow.solve_dynamics(**given, load=load, t_eval=np.linspace(0, 4, 33))
    assert inside.energy.damping[-1] == s.energy.damping[-1]
    assert np.abs(inside.energy.residual).max() < 1e-3  # of the interpolant
    path = tmp_path / "run.mf"
    mflow.solve_dynamics(**given, load=load, max_steps=17, checkpoint=path)
    resumed = mflow.solve_dynamics(**given, load=load, resume=path)
    np.testing.assert_array_equal(resumed.energy.damping[-1], s.energy.damping[-1])


@pytest.mark.parametrize("method", ["staggered", mflow.Newmark(0.25, 0.5)])
@pytest.mark.filterwarnings("ignore:.*exceeds the stability limit:RuntimeWarning")  # of what grows by itself
def test_a_chain_that_blows_up_keeps_its_books(method: Any) -> None:
    """Where a block of steps in place is thrown away, what it had booked goes with it."""
    n = 40
    given = chain(n, False) | {"method": method, "dt": 0.5, "t_span": (0, 1000.0)}
    given["stiffness"] = given["stiffness"] - 10.0 * scipy.sparse.eye_array(n, format="csr")
    each, some = mflow.solve_dynamics(**given), mflow.solve_dynamics(**given, save_every=37)
    assert each.reason == some.reason == "non_finite"
    assert each.t[-1] == some.t[-1]
    rows = np.searchsorted(each.t, some.t)
    np.testing.assert_array_equal(some.energy.damping, each.energy.damping[rows])
    assert np.isfinite(some.energy.damping[1])


def drive(t: float) -> float:
    return float(0.5 * np.cos(1.2 * t))


def held(x: Any) -> float:
    return float(x[0] ** 2 / 2 + x[0] ** 4 / 4)


DUFFING: dict[str, dict[str, Any]] = {
    "all in the force": {"force": lambda t, x, v: -0.3 * v - x - x**3 + drive(t), "potential": held},
    "load apart": {"force": lambda t, x, v: -0.3 * v - x - x**3, "potential": held, "load": lambda t: [drive(t)]},
    "damping apart": {"force": lambda t, x, v: -x - x**3 + drive(t), "potential": held, "velocity_free": True, "damping": 0.3},
    "matrices": {"force": lambda t, x, v: -(x**3), "potential": lambda x: float(x[0] ** 4 / 4), "velocity_free": True, "damping": 0.3,
                 "stiffness": 1.0, "load": lambda t: [drive(t)]},
}  # fmt: skip


@pytest.mark.parametrize("method", ["newmark", "central_difference", "hht", "generalized_alpha", "bathe", "rkn86", "velocity_verlet"])
@pytest.mark.parametrize("how", list(DUFFING))
@pytest.mark.filterwarnings("ignore:solve_dynamics. rkn86 is of first order")
def test_duffing_however_it_is_written(how: str, method: str) -> None:
    """What damping took and what the load gave: 3.828 and 3.737, SciPy's DOP853 with the powers as two more unknowns, rtol = 1e-12."""
    s = mflow.solve_dynamics(**DUFFING[how], x0=[1.0], v0=[0.0], t_span=(0, 20), dt=0.01, method=method)
    e = s.energy
    explicit = method in ("rkn86", "velocity_verlet")  # of order 1 in v: made for forces that do not use it
    assert abs(e.damping[-1] - 3.828300) < (2e-2 if explicit else 3e-4)
    assert abs(e.load[-1] - 3.736935) < (2e-2 if explicit else 3e-4)
    assert np.abs(e.residual).max() < (5e-3 if explicit else 1e-4)
    gained = np.nan_to_num(e.numerical) + e.residual
    np.testing.assert_allclose(e.kinetic + e.potential, 0.75 + e.load - e.damping + gained, atol=1e-12)


def test_a_force_with_a_potential_alone_has_no_works(tmp_path: Any) -> None:
    given: dict[str, Any] = {"x0": [1.0], "v0": [0.0], "t_span": (0, 20), "dt": 0.01, "potential": held, "method": "velocity_verlet"}
    s = mflow.solve_dynamics(force=lambda t, x, v: -x - x**3, **given)
    assert not s.energy.load.any()
    assert not s.energy.damping.any()
    free = mflow.solve_dynamics(force=lambda t, x, v: -x - x**3, velocity_free=True, **given)
    assert max(s.nfev, free.nfev) <= 2010  # looks at the start, and none in 2000 steps
    calls = 0

    def driven(t: float, x: Any, v: Any) -> Any:
        nonlocal calls
        calls += 1
        return -x - x**3 - 0.3 * v + drive(t)

    whole = mflow.solve_dynamics(force=driven, **given)
    assert whole.nfev + whole.ncheck == calls
    path = tmp_path / "run.mf"
    mflow.solve_dynamics(force=driven, **given, max_steps=77, checkpoint=path)
    resumed = mflow.solve_dynamics(force=driven, **given, resume=path)
    assert resumed.nfev == whole.nfev
    for name in ("load", "damping", "residual"):
        assert resumed.energy[name][-1] == whole.energy[name][-1]


SUN, HALLEY = 1.327e20, (17.8 * 1.496e11, 0.967)  # G M in SI units; the large half axis and the eccentricity


def comet(method: str, steps: int) -> Any:
    """Halley's comet from perihelion, over one period."""
    a, e = HALLEY
    start, speed = [a * (1 - e), 0.0], [0.0, np.sqrt(SUN / a * (1 + e) / (1 - e))]
    period = 2 * np.pi * np.sqrt(a**3 / SUN)
    return mflow.solve_dynamics(
        force=lambda t, x, v: -SUN * x / np.linalg.norm(x) ** 3, potential=lambda x: -SUN / np.linalg.norm(x), velocity_free=True,
        x0=start, v0=speed, t_span=(0, period), dt=period / steps, method=method,
    )  # fmt: skip


@pytest.mark.parametrize("method", ["leapfrog", "velocity_verlet", "newmark"])
def test_steps_that_lose_perihelion_are_told_of_by_the_energy(method: str) -> None:
    with pytest.warns(RuntimeWarning, match="kinetic and potential energy have grown by|steps go where the motion does not"):
        s = comet(method, 1000)
    assert "too long where the motion is fastest" in s.doubts[0] or "too long near t = 0" in s.doubts[0]
    total = 0.5 * np.sum(s.v**2, axis=0) - SUN / np.linalg.norm(s.x, axis=0)
    assert total[0] < 0.0 < total[-1]  # bound, and then not


def test_an_orbit_that_is_followed_has_no_doubt() -> None:
    s = comet("pefrl", 8000)
    assert not s.doubts
    total = 0.5 * np.sum(s.v**2, axis=0) - SUN / np.linalg.norm(s.x, axis=0)
    assert total[-1] == pytest.approx(total[0], rel=1e-2)


@pytest.mark.parametrize("method", ["leapfrog", "newmark"])
@pytest.mark.parametrize("push", ["later", "thrust"])
def test_a_push_beside_the_potential_is_not_laid_to_the_steps(push: str, method: str) -> None:
    """It begins after the first step, or follows the motion; the states are right to the error of the method."""
    force = {
        "later": lambda t, x, v: -x + np.where(t > 1.0, np.sin(t), 0.0),
        "thrust": lambda t, x, v: -x + 0.3 * np.sign(v) * np.minimum(np.abs(v), 1.0),
    }[push]
    s = mflow.solve_dynamics(
        1.0, t_span=(0, 12), x0=[0.5], v0=[0.0], method=method, dt=0.01, force=force, potential=lambda x: 0.5 * float(x @ x)
    )  # fmt: skip
    assert s.reason == "finished"
    assert not any("energy have grown" in text for text in s.doubts)
