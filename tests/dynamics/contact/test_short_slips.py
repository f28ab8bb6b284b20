"""Dry friction under rough loads: slips that begin at acceleration 0 and end within a step, against an exact solution from knot to knot."""

import math

import numpy as np
import pytest
from mflow_core.events import events as core_events

import mflow
from mflow.integrate import endings

METHODS = ["newmark", "hht", "generalized_alpha", "bathe", "central_difference", "velocity_verlet"]


def exact(times, load, force, static):
    """(x at the end, what has switched): a mass of 1 that nothing but a load of straight pieces and friction moves."""
    x = v = sense = 0.0
    log = []
    for a, b, pa, pb in zip(times[:-1], times[1:], load[:-1], load[1:], strict=True):
        t, c = a, (pb - pa) / (b - a)
        while t < b:
            drive = pa + c * (t - a)
            if sense == 0.0:
                release = (math.copysign(static, c) - pa) / c + a if c != 0.0 else math.inf
                if t + 1e-14 < release < b:
                    sense, t = math.copysign(1.0, c), release
                    log.append((t, "slips"))
                else:
                    t = b
                continue
            net = drive - sense * force
            roots = [one.real for one in np.roots([c / 2, net, v]) if abs(one.imag) < 1e-12 and one.real > 1e-11]
            tau = min([*roots, b - t])
            x += v * tau + net * tau**2 / 2 + c * tau**3 / 6
            v += net * tau + c * tau**2 / 2
            t = t + tau if tau < b - t else b
            if t < b:
                drive, v = pa + c * (t - a), 0.0
                sense = 0.0 if abs(drive) <= static else math.copysign(1.0, drive)
                log.append((t, "turns" if sense else "sticks"))
    return x, log


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("excess", [1e-3, 1e-6])
def test_a_slip_shorter_than_a_step_sticks_again(method, excess):
    """The load is above friction by `excess` for about as many seconds, in steps of .005: runs ended as "zeno" there."""
    times, load = np.array([0.0, 1.0, 1.01, 2.0]), np.array([0.0, 1.0 + excess, 0.5, 0.0])
    r = mflow.solve_dynamics(
        [1.0], [[10.0]], load=(times, load, [1.0]), t_span=(0, 2), x0=[0.0], method=method, dt=0.005, friction=mflow.Friction(0, 1.0)
    )
    assert r.reason == "finished", r.message
    assert [what for *_, what in r.switches] == ["slips", "sticks"]
    begins, ends = (t for t, *_ in r.switches)
    assert abs(begins - 1.0 / (1.0 + excess)) < 1e-12
    assert begins < ends < 1.0 + 0.2 * excess
    assert abs(r.x[0, -1]) < 20.0 * excess**2 * 0.005  # a spring of 10 changes little over so short a time
    assert r.nsteps < 440


@pytest.mark.parametrize(
    "run",
    [{"method": name, "dt": 0.005} for name in METHODS] + [{"rtol": 1e-7, "atol": 1e-9}, {"method": "rkn64", "rtol": 1e-8, "atol": 1e-10}],
)
@pytest.mark.parametrize("static", [1.0, 1.05])
def test_rough_loads(run, static):
    noise = np.random.default_rng(0).standard_normal(41)
    times = np.linspace(0, 2, 41)
    load = 1.2 * np.sin(2 * times) + 0.35 * noise
    load[0] = 0.0
    x, log = exact(times, load, 1.0, static)
    r = mflow.solve_dynamics(
        [1.0], load=(times, load, [1.0]), t_span=(0, 2), x0=[0.0], friction=mflow.Friction(0, 1.0, static=static), **run
    )
    assert r.reason == "finished", r.message
    assert [what for *_, what in r.switches] == [what for _, what in log]
    assert np.allclose([t for t, *_ in r.switches], [t for t, _ in log], atol=2e-3)
    assert abs(r.x[0, -1] - x) < (3e-4 if "dt" in run else 1e-5)


@pytest.mark.parametrize("method", ["newmark", "hht", "generalized_alpha", "bathe"])
def test_what_no_load_moves_stays(method):
    """All forces balance up to the rounding of each, and an iteration for an acceleration of 0 has to end there."""
    times = np.linspace(0, 1, 51)
    for seed in (1, 3, 6):
        load = 0.3 * np.random.default_rng(seed).standard_normal(51)
        r = mflow.solve_dynamics(
            [1.0], load=(times, load, [1.0]), t_span=(0, 1), x0=[0.0], method=method, dt=0.005, friction=mflow.Friction(0, 10.0)
        )
        assert r.reason == "finished", r.message
        assert abs(r.x[0, -1]) < 1e-14


def test_two_sliders_slip_for_a_moment():
    """Each as if it were alone, as no spring joins them."""
    times = np.array([0.0, 1.0, 1.01, 2.0])
    load = np.array([[0.0, 1.0001, 0.5, 0.0], [0.0, -1.0003, -0.5, 0.0]])
    rubs = [mflow.Friction(0, 1.0), mflow.Friction(1, 1.0)]
    r = mflow.solve_dynamics([1.0, 1.0], [10.0, 10.0], load=(times, load), t_span=(0, 2), x0=[0.0, 0.0], dt=0.005, friction=rubs)
    assert r.reason == "finished", r.message
    for i in (0, 1):
        assert [what for _, one, what in r.switches if one == i] == ["slips", "sticks"]


def test_a_load_that_stays_at_the_threshold():
    """It moves by rounding, or not at all; and does not end the run."""
    times = np.array([0.0, 1.0, 2.0, 2.5])
    for method in METHODS:
        r = mflow.solve_dynamics(
            [1.0], [3.0], load=(times, [0.0, 0.3, 0.3, 0.0], [1.0]), t_span=(0, 2.5), x0=[0.0], method=method, dt=0.01,
            friction=mflow.Friction(0, 0.3),
        )  # fmt: skip
        assert r.reason == "finished", r.message
        assert abs(r.x[0, -1]) < 1e-12


def test_a_run_that_is_resumed_beside_a_short_slip(tmp_path):
    times, load = np.array([0.0, 1.0, 1.01, 2.0]), np.array([0.0, 1.0001, 0.5, 0.0])
    call = {
        "mass": [1.0], "stiffness": [10.0], "load": (times, load, [1.0]), "t_span": (0, 2), "x0": [0.0], "dt": 0.005,
        "friction": mflow.Friction(0, 1.0),
    }  # fmt: skip
    whole = mflow.solve_dynamics(**call)
    for steps in range(198, 206):
        file = tmp_path / f"{steps}.mflow"
        mflow.solve_dynamics(**call, checkpoint=file, checkpoint_every=1, max_steps=steps)
        rest = mflow.solve_dynamics(**call, resume=file)
        assert np.array_equal(rest.x, whole.x)
        assert rest.switches == whole.switches


def test_zeno_of_friction_is_called_by_its_name():
    """No event of the user's has a part in it, and no ball."""

    class Met:
        endless = 1, 0.25

    class Obstacles:
        @staticmethod
        def name(which):
            return {0: "", 1: "friction at degree of freedom 3"}[which]

    _, words = endings.of_events(Met(), core_events.ZENO, "at t = 0.25", Obstacles())
    assert words.startswith("friction at degree of freedom 3 changes between its states without end near t = 0.25")
    assert "ball" not in words
    Met.endless = 0, 0.25
    assert endings.of_events(Met(), core_events.ZENO, "", Obstacles())[1].startswith("event 0 is met without end")
