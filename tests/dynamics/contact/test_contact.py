"""Stops, gaps and dry friction against closed forms."""

import ctypes
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.integrate import solve_ivp

import mflow

RUNS = [
    {"dt": 0.01},
    {"rtol": 1e-8, "atol": 1e-10},
    {"method": "velocity_verlet", "dt": 0.01},
    {"method": "rkn64", "rtol": 1e-9, "atol": 1e-11},
]


@pytest.mark.parametrize("run", RUNS, ids=["fixed", "controlled", "explicit", "rkn"])
def test_a_ball_bounces_and_rests(run):
    """From 1 m at 2 m/s^2: impacts at 1, 2, 2.5, 2.75, ..., the end of them at 3."""
    r = mflow.solve_dynamics(load=[-2.0], t_span=(0, 4), x0=[1.0], contacts=mflow.Contact(0, side="below", restitution=0.5), **run)
    impacts = np.array([t for t, _, what in r.switches if what == "impact"])
    np.testing.assert_allclose(impacts, 3.0 - 2.0 ** (1 - np.arange(impacts.size)), rtol=0, atol=1e-10)
    last, _, what = r.switches[-1]
    assert what == "rests"
    assert abs(last - 3.0) < 4e-6
    assert len(impacts) == 19
    assert r.x[0, -1] == 0.0
    assert r.v[0, -1] == 0.0
    assert "rests on its stop" in r.message
    assert abs(r.energy.damping[-1] - 2.0) < 1e-9
    assert np.abs(r.energy.residual).max() < 1e-13


def test_a_body_leaves_its_stop_when_it_is_pulled():
    r = mflow.solve_dynamics(load=lambda t: [-math.cos(t)], t_span=(0, 4), x0=[0.0], dt=0.01, contacts=mflow.Contact(0, side="below"))
    ((t, _, what),) = r.switches
    assert what == "leaves"
    assert abs(t - math.pi / 2) < 1e-14
    assert np.all(r.x[0, r.t <= t] == 0.0)
    tau = 4.0 - math.pi / 2
    assert abs(r.x[0, -1] - (tau - math.sin(tau))) < 1e-5  # x'' = sin(tau) from rest


@pytest.mark.parametrize("run", RUNS, ids=["fixed", "controlled", "explicit", "rkn"])
def test_friction_takes_four_deltas_a_cycle_and_sticks(run):
    """x'' + 4 x = -+1: half cycles of pi/2, each 2/4 shorter, until |x| <= 1/4 at a turn."""
    force, k, x0 = 1.0, 4.0, 2.6
    r = mflow.solve_dynamics(stiffness=[k], t_span=(0, 12), x0=[x0], friction=mflow.Friction(0, force), **run)
    assert [what for *_, what in r.switches] == ["turns"] * 4 + ["sticks"]
    t = np.array([t for t, *_ in r.switches])
    np.testing.assert_allclose(t, math.pi / 2 * np.arange(1, 6), rtol=5e-5)
    turns = [r.x[0, np.searchsorted(r.t, one)] for one in t]
    np.testing.assert_allclose(turns, [-2.1, 1.6, -1.1, 0.6, -0.1], atol=5e-5)
    assert np.all(r.x[0, r.t >= t[-1]] == r.x[0, -1])
    assert r.v[0, -1] == 0.0
    assert "degree of freedom 0 is stuck from t = 7.85" in r.message
    path = np.abs(np.diff(r.x[0])).sum()
    assert abs(r.energy.damping[-1] - force * path) < 1e-12 * path
    assert np.abs(r.energy.load).max() < 1e-4


def test_stick_and_slip():
    """A mass drawn by a spring whose end moves at w: sticks until k w t = static; x = w s - (w - ...) in closed form between."""
    w, kinetic, static = 0.25, 0.25, 0.5
    run = {"rtol": 1e-10, "atol": 1e-12, "method": "rkn64"}
    rub = mflow.Friction(0, kinetic, static=static)
    r = mflow.solve_dynamics(stiffness=[1.0], load=lambda t: [w * t], t_span=(0, 9), x0=[0.0], friction=rub, **run)
    times, words = [t for t, *_ in r.switches], [what for *_, what in r.switches]
    assert words == ["slips", "sticks", "slips"]
    # s after the slip begins: x = b + w s - b cos s - w sin s, b = static - kinetic; at rest again where v = w + b sin s - w cos s = 0
    b = static - kinetic
    rest = 2.0 * math.pi - 2.0 * math.atan(b / w)
    assert abs(times[0] - static / w) < 1e-12
    assert abs(times[1] - times[0] - rest) < 1e-8
    place = b + w * rest - b * math.cos(rest) - w * math.sin(rest)
    assert abs(times[2] - (place + static) / w) < 1e-8
    assert np.all(np.diff(r.x[0, (r.t > times[1]) & (r.t < times[2])]) == 0.0)


def test_the_ledger_closes_where_the_force_jumps():
    """At a release from static to kinetic friction nothing moves, and the force is another one from there on."""
    rub = mflow.Friction(0, 0.25, static=0.5)
    times = 0.25 * np.arange(21.0)
    r = mflow.solve_dynamics(stiffness=[1.0], load=(4.0 * times, times[None]), t_span=(0, 20), x0=[0.0], dt=0.01, friction=rub)
    assert [what for *_, what in r.switches].count("slips") == 3
    assert np.abs(r.energy.residual).max() < 1e-12


@pytest.mark.parametrize("run", RUNS, ids=["fixed", "controlled", "explicit", "rkn"])
def test_a_gap_spring_pushes_and_never_pulls(run):
    """x'' + x = 0 with 8 (x - 1/2) beyond 1/2: harmonics of 1 and 3 joined at the gap."""
    touch = mflow.Contact(0, 0.5, stiffness=8.0)
    r = mflow.solve_dynamics(stiffness=[1.0], t_span=(0, 20), x0=[0.0], v0=[1.0], contacts=touch, **run)
    t1 = math.asin(0.5)
    speed, centre = math.cos(t1), 4.0 / 9.0  # in contact x'' = -9 (x - 4/9)
    inside = 2.0 / 3.0 * math.atan2(speed / 3.0, 0.5 - centre)
    # from x = c + a cos(3 s - phi): back at the gap after 2 phi / 3, phi = atan2(v / 3, x - c)
    period = inside + math.pi + 2.0 * t1
    opens = [t1 + inside + j * period for j in range(4)]
    closes = [t1 + j * period for j in range(4)]
    got = {word: [t for t, _, what in r.switches if what == word] for word in ("closes", "opens")}
    np.testing.assert_allclose(got["closes"], closes[: len(got["closes"])], atol=2e-3 if "dt" in run else 1e-6 if "method" in run else 4e-4)
    np.testing.assert_allclose(got["opens"], opens[: len(got["opens"])], atol=2e-3 if "dt" in run else 1e-6 if "method" in run else 4e-4)
    assert len(got["opens"]) >= 3
    total = r.energy.kinetic + r.energy.potential
    assert np.ptp(total) < 2e-4
    assert abs(r.energy.load[-1]) < 2e-4


def test_two_degrees_of_freedom_against_phases_of_scipy():
    """One sticks at first, and is let go while the other slips."""
    K, F = np.array([[20.0, -10.0], [-10.0, 10.0]]), np.array([1.5, 0.3])
    load, x0 = lambda t: np.array([0.0, 0.8 * math.sin(2.0 * t)]), np.array([0.3, 0.5])
    rubs = [mflow.Friction(i, F[i]) for i in range(2)]
    r = mflow.solve_dynamics(stiffness=K, load=load, t_span=(0, 3), x0=x0, friction=rubs, dt=1e-3)
    state = np.concatenate([x0, [0.0, 0.0]])

    def phase(t, y, sense):
        a = load(t) - K @ y[:2] - F * sense
        return np.concatenate([y[2:], np.where(sense, a, 0.0)])

    events = [(0.0, 0, ""), *r.switches]
    drive = load(0.0) - K @ x0
    sense = {i: 0.0 if abs(drive[i]) <= F[i] else math.copysign(1.0, drive[i]) for i in range(2)}
    for j, (begin, i, what) in enumerate(events):
        if what:
            state[2 + i] = 0.0
            pull = (load(begin) - K @ state[:2])[i]
            assert what == "slips" or (abs(pull) <= F[i] + 1e-5 if what == "sticks" else abs(pull) >= F[i] - 1e-5)
            sense[i] = 0.0 if what == "sticks" else math.copysign(1.0, pull)
        end = events[j + 1][0] if j + 1 < len(events) else 3.0

        state = solve_ivp(phase, (begin, end), state, args=((sense[0], sense[1]),), rtol=1e-8, atol=1e-10, method="DOP853").y[:, -1]
    np.testing.assert_allclose(r.x[:, -1], state[:2], atol=2e-5)
    assert {"sticks", "slips"} <= {what for *_, what in r.switches}
    assert np.abs(r.energy.residual).max() < 1e-12


def test_implicit_methods_are_given_the_tangents():
    K, C = np.array([[20.0, -10.0], [-10.0, 10.0]]), np.array([[0.4, -0.1], [-0.1, 0.3]])
    obstacles = {"contacts": mflow.Contact(1, 0.2, stiffness=50.0), "friction": mflow.Friction(0, 3.0)}
    common = {"damping": C, "stiffness": K, "t_span": (0, 2), "x0": [0.1, 0.5], "dt": 0.005, **obstacles}
    r = mflow.solve_dynamics(**common)
    by_differences = mflow.solve_dynamics(force=lambda t, x, v: 0.0 * x, **common)
    np.testing.assert_allclose(r.x, by_differences.x, atol=1e-9)
    assert r.nfev < by_differences.nfev


def test_own_events_and_fixed_degrees_of_freedom_stay_what_they_are():
    K = np.array([[20.0, -10.0], [-10.0, 10.0]])
    one = mflow.solve_dynamics(
        stiffness=K, t_span=(0, 3), x0=[0.0, 0.5], fixed=[0], dt=0.01, friction=mflow.Friction(1, 0.4), events=lambda t, x, v: x[1] - 0.2
    )
    assert len(one.t_events) == 1
    assert len(one.t_events[0]) == 3
    assert [i for _, i, _ in one.switches] == [1, 1, 1]
    alone = mflow.solve_dynamics(stiffness=[10.0], t_span=(0, 3), x0=[0.5], dt=0.01, friction=mflow.Friction(0, 0.4))
    np.testing.assert_allclose([t for t, *_ in one.switches], [t for t, *_ in alone.switches], rtol=1e-12)
    assert alone.t_events is None


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"contacts": 3}, r"contacts: expected a mflow.Contact\(dof, ...\) or a list of them, got 3"),
        ({"contacts": [mflow.Contact(5)]}, r"contacts\[0\].dof: expected a whole number from 0 to 0, got 5"),
        ({"contacts": mflow.Contact(0, side="left")}, r"contacts.side: .*above"),
        ({"contacts": mflow.Contact(0, -1.0)}, "x0: expected a start below -1, its rigid stop, at degree of freedom 0, got 0"),
        ({"contacts": mflow.Contact(0, restitution=1.5)}, r"contacts.restitution: expected a finite number from 0 to 1, got 1.5"),
        ({"contacts": mflow.Contact(0, stiffness=1.0, restitution=0.5)}, "contacts.restitution: it belongs to rigid stops"),
        ({"contacts": mflow.Contact(0, stiffness=0.0)}, "contacts.stiffness: expected a finite number above 0, got 0"),
        ({"friction": mflow.Friction(0, -1.0)}, "friction.force: expected a finite number of at least 0, got -1"),
        ({"friction": mflow.Friction(0, 1.0, 0.5)}, "friction.static: expected a finite number of at least 1, got 0.5"),
        ({"friction": [mflow.Friction(0, 1.0)] * 2}, "friction: expected one for each degree of freedom, got 2"),
        ({"friction": mflow.Friction(0, 1.0), "contacts": mflow.Contact(0, 1.0)}, "friction: degree of freedom 0 has a rigid stop as well"),
        ({"friction": mflow.Friction(0, 1.0), "fixed": [0]}, "friction.dof: degree of freedom 0 is fixed"),
        ({"friction": mflow.Friction(0, 1.0), "t_span": (1, 0)}, "t_span: expected t_end above t0 = 1 with contacts or friction"),
        ({"friction": mflow.Friction(0, 1.0), "force": 3}, "force: expected a function of .t, x, v. or a compiled one, got 3"),
        ({"friction": mflow.Friction(0, 1.0), "potential": np.sum}, "potential: it belongs to a nonlinear force=, which is not given"),
        ({"friction": mflow.Friction(0, 1.0), "constraints": np.sum}, "constraints: constraints does not go with contacts and friction"),
        ({"contacts": [mflow.Contact(0, 1.0)] * 2}, "contacts: expected one rigid stop at a place, got two at 1 of degree of freedom 0"),
        ({"contacts": [mflow.Contact(0), mflow.Contact(0, side="below")]}, "contacts: expected room between the rigid stops of degree"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_named(given, words):
    with pytest.raises((TypeError, ValueError), match=words):
        mflow.solve_dynamics(**{"stiffness": [1.0], "t_span": (0, 1), "x0": [0.0], "dt": 0.1, **given})


def test_inertia_between_what_may_be_held_is_refused():
    with pytest.raises(ValueError, match="mass: expected no inertia between degree of freedom 1 and others"):
        mflow.solve_dynamics([[2.0, 0.5], [0.5, 1.0]], stiffness=1.0, t_span=(0, 1), x0=[0.0, 0.0], dt=0.1, friction=mflow.Friction(1, 1.0))


def test_friction_at_one_of_two_without_matrices():
    """x'' = -x - .1 sign(x') from 1 until t = pi: .1 + .9 cos t; the other, -x alone, is cos t."""
    r = mflow.solve_dynamics(
        mass=1.0, force=lambda t, x, v: -x, t_span=(0, 2), x0=[1.0, 1.0], friction=mflow.Friction(0, 0.1), dt=1e-3, method="velocity_verlet"
    )
    np.testing.assert_allclose(r.x[:, -1], [0.1 + 0.9 * math.cos(2.0), math.cos(2.0)], atol=1e-6)


def test_a_tangent_that_is_none_is_named():
    for bad, kind in (("x", TypeError), (np.ones(3), ValueError)):
        with pytest.raises(kind, match="dfdv: expected"):
            mflow.solve_dynamics(
                stiffness=np.eye(2), force=lambda t, x, v: -v, dfdx=np.zeros((2, 2)), dfdv=bad, t_span=(0, 1), x0=[1.0, 1.0], dt=0.1,
                friction=mflow.Friction(0, 0.1),
            )  # fmt: skip


@pytest.mark.parametrize(
    "call",
    [
        {"load": [-2.0], "x0": [1.0], "contacts": mflow.Contact(0, side="below", restitution=0.5), "t_span": (0, 4)},
        {"stiffness": 1.0, "x0": [3.3], "friction": mflow.Friction(0, 0.5), "t_span": (0, 12)},
        {"stiffness": 1.0, "x0": [1.0], "contacts": mflow.Contact(0, gap=0.3, stiffness=20.0), "t_span": (0, 12)},
    ],
    ids=["stop", "friction", "gap"],
)
@pytest.mark.parametrize("method", ["newmark", "staggered"])
def test_a_resumed_run_has_the_same_bits(tmp_path: Path, call: dict[str, Any], method: str) -> None:
    """From every checkpoint on, before and behind what happens; its switches and its books too."""
    call = {**call, "dt": 0.05, "method": method}
    whole = mflow.solve_dynamics(**call)
    for until in (0.3, 1.6, 3.2):

        def stop(t: float, x: Any, v: Any, until: float = until) -> bool:
            return bool(t >= until)

        mflow.solve_dynamics(**call, callback=stop, checkpoint=tmp_path / "a", checkpoint_every=4)
        again = mflow.solve_dynamics(**call, resume=tmp_path / "a")
        for name in ("t", "x", "v", "a"):
            np.testing.assert_array_equal(again[name], whole[name])
        for name in whole.energy:
            np.testing.assert_array_equal(again.energy[name], whole.energy[name])
        assert again.switches == whole.switches
    changed: dict[str, Any] = {}
    for name in {"contacts", "friction"} & set(call):
        changed[name] = call[name]._replace(**({"force": 0.4} if name == "friction" else {"gap": -0.1}))
    with pytest.raises(ValueError, match=r"other values of (contacts|friction)"):
        mflow.solve_dynamics(**{**call, **changed}, resume=tmp_path / "a")


@pytest.mark.parametrize(
    ("name", "spellings"),
    [
        ("friction", [mflow.Friction(0, 0.5), mflow.Friction(0, np.float64(0.5)), [mflow.Friction(0, 0.5)], mflow.Friction(0, 0.5, 0.5)]),
        ("contacts", [mflow.Contact(0, 1), (mflow.Contact(np.int64(0), 1.0),)]),
    ],
)
def test_a_run_is_resumed_in_any_spelling_of_its_obstacles(tmp_path: Path, name: str, spellings: list[Any]) -> None:
    call: dict[str, Any] = {"stiffness": 1.0, "x0": [0.9], "t_span": (0, 2), "dt": 0.05}
    whole = mflow.solve_dynamics(**call, **{name: spellings[0]})
    mflow.solve_dynamics(**call, **{name: spellings[0]}, callback=lambda t, x, v: t >= 1.0, checkpoint=tmp_path / "a", checkpoint_every=4)
    for one in spellings[1:]:
        np.testing.assert_array_equal(mflow.solve_dynamics(**call, **{name: one}, resume=tmp_path / "a").x, whole.x)


def test_a_compiled_force_goes_with_contacts() -> None:
    kinds = ctypes.c_double, *[ctypes.POINTER(ctypes.c_double)] * 3, ctypes.c_ssize_t, ctypes.c_void_p
    compiled = ctypes.CFUNCTYPE(ctypes.c_int, *kinds)(
        lambda t, x, v, f, n, user: [f.__setitem__(i, -(x[i] ** 3) - 0.1 * v[i]) for i in range(n)] and 0
    )
    call: dict[str, Any] = {
        "x0": [1.0, 0.5],
        "t_span": (0, 5),
        "dt": 0.02,
        "contacts": mflow.Contact(0, gap=-0.2, side="below", stiffness=30.0),
    }
    ours = mflow.solve_dynamics(force=compiled, **call)
    plain = mflow.solve_dynamics(force=lambda t, x, v: -(x**3) - 0.1 * v, **call)
    np.testing.assert_allclose(ours.x, plain.x, atol=1e-12)
    assert [what for _, _, what in ours.switches] == [what for _, _, what in plain.switches]
    assert len(ours.switches) > 1
    with pytest.raises(TypeError, match="force: expected a function"):
        mflow.solve_dynamics(force=3.0, **call)


def test_a_body_that_begins_to_slip_does_not_turn_at_once():
    """The neighbour of a body that is pushed: what rounding has left of its velocity while it stuck is no motion."""
    r = mflow.solve_dynamics(
        [1.0, 1.0],
        stiffness=[[2.0, -1.0], [-1.0, 1.0]],
        t_span=(0, 8),
        x0=[0.0, 0.0],
        v0=[1.0, 0.0],
        friction=mflow.Friction(1, 0.2),
        dt=0.01,
    )
    assert [what for _, _, what in r.switches] == ["slips", "turns", "turns", "turns"]
    assert abs(r.switches[0][0] - math.asin(0.2 * math.sqrt(2.0)) / math.sqrt(2.0)) < 2e-5  # x0 = sin(sqrt(2) t)/sqrt(2) is 0.2 there


def test_a_gap_between_two_bodies_in_their_distance():
    """What the notes of Contact name: the first body flies at the second, at 1/2 of its speed; masses 1 and 3, a stiff elastic impact."""
    T, M = np.array([[1.0, 0.0], [1.0, 1.0]]), np.diag([1.0, 3.0])
    r = mflow.solve_dynamics(
        T.T @ M @ T, stiffness=np.zeros((2, 2)), t_span=(0, 4), x0=[0.0, 1.0], v0=[1.0, -0.5], dt=1e-3,
        contacts=mflow.Contact(1, 0.0, side="below", stiffness=1e4),
    )  # fmt: skip
    v1, v2 = T @ r.v[:, -1]
    assert [what for _, _, what in r.switches] == ["closes", "opens"]
    assert abs(r.switches[0][0] - 2.0) < 1e-9
    assert abs(v1 - 0.25) < 1e-3  # (m1 - m2) / (m1 + m2) in the frame of both
    assert abs(v2 - 0.75) < 1e-3
    assert abs(v1 + 3.0 * v2 - 2.5) < 1e-9


@pytest.mark.parametrize("method", ["velocity_verlet", "central_difference", "staggered", "newmark", "yoshida4"])
@pytest.mark.parametrize("dt", [0.1, 0.013])
def test_a_body_is_pulled_off_its_stop(method, dt):
    """Pressed until the load sin t turns at pi; from there x = -(t - pi) - sin t. The cubic through the first step bulges into the stop."""
    r = mflow.solve_dynamics(load=lambda t: [np.sin(t)], t_span=(0, 5.0), x0=[0.0], dt=dt, method=method, contacts=mflow.Contact(0))
    assert r.reason == "finished"
    assert [what for _, _, what in r.switches] == ["leaves"]
    assert abs(r.switches[0][0] - np.pi) < 1e-12
    assert abs(r.x[0, -1] + (5 - np.pi) + np.sin(5.0)) < 0.3 * dt**2


def test_a_force_with_a_potential_beside_contacts():
    """A ball on a spring that stiffens meets a soft wall: what it holds is 1/2 x^2 + 1/4 x^4 and the wall's."""
    V = lambda x: float(x[0] ** 2 / 2 + x[0] ** 4 / 4)  # noqa: E731
    given = {"force": lambda t, x, v: -x - x**3, "velocity_free": True, "t_span": (0, 6), "x0": [1.0], "dt": 1e-3}
    wall = {"contacts": mflow.Contact(0, -0.5, side="below", stiffness=50.0)}
    r = mflow.solve_dynamics(**given, **wall, potential=V, method="newmark")
    e = r.energy
    depth = np.maximum(-0.5 - r.x[0], 0.0)
    np.testing.assert_allclose(e.potential, r.x[0] ** 2 / 2 + r.x[0] ** 4 / 4 + 25.0 * depth**2, atol=1e-14)
    np.testing.assert_allclose(e.kinetic + e.potential, 0.75, atol=1e-5)
    assert np.abs(e.load).max() < 1e-5
    with pytest.raises(TypeError, match="potential: expected a Python function of x beside contacts or friction, got 3"):
        mflow.solve_dynamics(**given, **wall, potential=3)


def yielding(k: float, strength: float, dt: float, t_end: float) -> float:
    """x(t_end) of x'' = 3 sin 4t - f, f elastic and perfectly plastic: central differences with return mapping, written out."""
    x = before = offset = 0.0
    for step in range(round(t_end / dt)):
        offset = min(max(offset, x - strength / k), x + strength / k)
        x, before = 2.0 * x - before + dt * dt * (3.0 * math.sin(4.0 * step * dt) - k * (x - offset)), x
    return x


class ElasticPlastic:
    """As the pages have it: what has yielded is committed after each accepted step."""

    def __init__(self, k: float, strength: float) -> None:
        self.k, self.strength, self.offset = k, strength, 0.0

    def force(self, t: float, x: Any, v: Any) -> Any:
        return -np.clip(self.k * (x - self.offset), -self.strength, self.strength)

    def commit(self, t: float, x: Any, v: Any) -> None:
        most = self.strength / self.k
        self.offset = float(np.clip(self.offset, x[0] - most, x[0] + most))


@pytest.mark.parametrize(
    ("run", "off"),
    [
        ({"method": "newmark", "dt": 0.005}, 2e-5),
        ({"method": "hht", "dt": 0.005}, 4e-5),
        ({"method": "central_difference", "dt": 0.001}, 1e-10),
        ({"method": "newmark", "rtol": 1e-5, "atol": 1e-8}, 1e-4),
    ],
    ids=["newmark", "hht", "explicit", "controlled"],
)
def test_a_force_with_memory_is_committed_once_a_step(run: Any, off: float) -> None:
    spring = ElasticPlastic(100.0, 2.0)
    more: Any = {"mass": 1.0, "load": lambda t: [3.0 * math.sin(4.0 * t)], "velocity_free": True, "t_span": (0, 10), "x0": [0.0]}
    r = mflow.solve_dynamics(**more, force=spring.force, callback=spring.commit, **run)
    assert abs(r.x[0, -1] - yielding(100.0, 2.0, 1e-3, 10.0)) < off
    assert np.abs(r.energy.residual).max() < 1e-12


def test_a_slider_whose_mass_is_too_small_is_named() -> None:
    """A spring of 4.3e7 N/m with 1 kg: 2 pi sqrt(m/k) is a fifth of a step. With k (dt/2)^2 it runs."""
    m, kp, kh = 4e4, 4.3e7, 2.15e6
    K = np.array([[kp + kh + 4e7, -4e7, -kp], [-4e7, 4e7, 0.0], [-kp, 0.0, kp]])
    t = np.arange(0.0, 2.0, 0.01)
    load = (t, 8.0 * np.sin(6.0 * t), [-m, -m, 0.0])
    more: Any = {"stiffness": K, "rayleigh": (0.3, 5e-4), "load": load, "x0": [0.0] * 3, "t_span": (0, 1), "dt": 0.005}
    r = mflow.solve_dynamics([m, m, 1.0], **more, friction=mflow.Friction(2, 142.5e3))
    assert r.reason == "solve_failed"
    assert "friction: degree of freedom 2 has the mass 1 and, on its springs of 4.3e+07, the period 0.000958" in r.message
    assert "give it a mass of 269 or more, or lower dt" in r.message
    assert "dfdx" not in r.message
    assert mflow.solve_dynamics([m, m, 269.0], **more, friction=mflow.Friction(2, 142.5e3)).success


def test_a_table_at_one_time_is_that_of_interp() -> None:
    from mflow.structures.loads import load_function
    from mflow.structures.supports import Supports

    rng = np.random.default_rng(0)
    times = np.cumsum(rng.random(40))
    values = rng.normal(size=(3, 40))
    supports = Supports(np.zeros(3), None, (0.0, 1.0))
    whole, slope = load_function((times, values), supports, "")
    one, _ = load_function((times, values[0], [1.0, -2.0, 0.5]), supports, "")
    assert slope is not None
    for t in [*times, -1.0, 1e3, *rng.uniform(times[0], times[-1], 200)]:
        assert whole(t).tolist() == [np.interp(t, times, row) for row in values]
        np.testing.assert_allclose(one(t), np.interp(t, times, values[0]) * np.array([1.0, -2.0, 0.5]), rtol=1e-13, atol=1e-15)
    assert np.isnan(whole(math.nan)).all()


def test_two_buildings_pound_where_they_move_together() -> None:
    """As the notes of Contact have it: body 2 stands on the positive side of body 1, against the penalty force of the two, by SciPy."""
    masses, k, gap, stiff = np.array([1.0, 2.0]), np.array([40.0, 30.0]), 0.02, 2000.0
    T = np.array([[1.0, 0.0], [1.0, 1.0]])

    def rate(t: float, y: Any) -> Any:
        x, v = y[:2], y[2:]
        push = stiff * max(0.0, x[0] - x[1] - gap)
        drive = np.array([3.0 * math.sin(5.0 * t), -3.0 * math.sin(5.0 * t)])
        return np.concatenate([v, (drive - k * x - 0.3 * v + [-push, push]) / masses])

    exact = solve_ivp(rate, (0, 2), np.zeros(4), method="DOP853", rtol=1e-10, atol=1e-12, max_step=1e-3).y[:2, -1]
    s = mflow.solve_dynamics(
        mass=T.T @ np.diag(masses) @ T, stiffness=T.T @ np.diag(k) @ T, damping=T.T @ (0.3 * np.eye(2)) @ T,
        load=lambda t: T.T @ [3.0 * math.sin(5.0 * t), -3.0 * math.sin(5.0 * t)],
        t_span=(0, 2), x0=[0.0, 0.0], dt=1e-3, contacts=mflow.Contact(1, -gap, side="below", stiffness=stiff),
    )  # fmt: skip
    assert [what for _, _, what in s.switches].count("closes") >= 2
    assert s.doubts == ()
    np.testing.assert_allclose(T @ s.x[:, -1], exact, atol=1e-4)


def test_a_contact_on_the_wrong_side_is_told_at_the_start() -> None:
    call: dict[str, Any] = {"stiffness": 1.0, "t_span": (0, 1), "dt": 0.01}
    with pytest.warns(RuntimeWarning, match=r"freedom 0 is pushed in by 0.05, with a force of 5: .* below -0.05 give side='below'") as told:
        s = mflow.solve_dynamics(**call, x0=[0.0], contacts=mflow.Contact(0, -0.05, stiffness=100.0))
    assert len(told) == len(s.doubts) == 1
    assert s.doubts[0] in s.message
    guides = [mflow.Contact(0, -0.05, stiffness=100.0), mflow.Contact(0, 0.05, side="below", stiffness=100.0)]
    for quiet in (
        {"x0": [0.0], "contacts": guides},  # they balance
        {"x0": [0.02], "contacts": guides[0]},  # begun there on purpose
        {"x0": [0.0], "contacts": guides[0], "force": lambda t, x, v: [5.0 + 0.0 * x[0]]},
        {"x0": [0.0], "contacts": guides[0], "load": [5.0]},
        {"x0": [0.0], "contacts": mflow.Contact(0, -0.05, side="below", stiffness=100.0)},
    ):
        assert mflow.solve_dynamics(**call, **quiet).doubts == ()
