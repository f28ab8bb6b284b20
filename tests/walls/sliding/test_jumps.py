"""Jumps of a right-hand side that nobody told of: their times are named, and what is merely steep or bent is no jump."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import mflow
from mflow.walls.jumps import jumps_along

TIGHT = {"rtol": 1e-8, "atol": 1e-10}


def square(t, y):
    return [1.0 if t % 1 < 0.5 else -1.0]


def test_a_square_wave_is_told_of_with_times_at_which_it_jumps():
    with pytest.warns(RuntimeWarning, match=r"fun jumps, at t = .* give all of them as breaks=") as told:
        r = mflow.solve_ivp(square, (0, 10.3), [0.0], **TIGHT)
    times = [float(word) for word in str(told[0].message).split("at t = ")[1].split(":")[0].split(", ")]
    assert np.allclose(np.mod(times, 0.5), 0.0, atol=1e-5)
    assert r.ncheck > 0
    kept = mflow.solve_ivp(square, (0, 10.3), [0.0], breaks=np.arange(0.5, 10.3, 0.5), **TIGHT)  # no warning, which would be an error
    assert abs(kept.y[0, -1] - 0.3) < 1e-12


def test_the_check_is_counted_apart():
    calls = 0

    def counted(t, y):
        nonlocal calls
        calls += 1
        return square(t, y)

    with pytest.warns(RuntimeWarning, match="fun jumps"):
        r = mflow.solve_ivp(counted, (0, 10.3), [0.0], **TIGHT)
    assert calls == r.nfev + r.ncheck


@pytest.mark.parametrize("method", ["bdf", "radau5", "dopri5"])
def test_every_method_names_a_jump_in_time(method):
    """bdf begins anew behind one with many steps as short as the shortest."""
    levels = np.tile([0.0, 1.0, 0.3, 2.0], 11)
    with pytest.warns(RuntimeWarning, match=r"fun jumps, at t = [0-9., ]*: [0-9]+ of [0-9]+ steps were rejected; a pulse") as told:
        mflow.solve_ivp(lambda t, y: [levels[int(t / 0.5)] - y[0]], (0, 20), [1.0], method, **TIGHT)
    times = [float(word) for word in str(told[0].message).split("at t = ")[1].split(":")[0].split(", ")]
    assert np.allclose(np.mod(times, 0.5), 0.0, atol=1e-5)


def test_dry_friction_jumps_with_the_state():
    with pytest.warns(RuntimeWarning, match="it jumps with the state: let an event"):
        mflow.solve_ivp(lambda t, y: [y[1], -y[0] - 0.1 * np.sign(y[1])], (0, 12), [3.0, 0.0], **TIGHT)


@pytest.mark.parametrize(
    "fun",
    [lambda t, y: [np.tanh(1e4 * np.sin(2 * np.pi * t))], lambda t, y: [abs(t % 1 - 0.5)]],
    ids=["steep", "bent"],
)
def test_what_is_steep_or_bent_does_not_jump(fun):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        r = mflow.solve_ivp(fun, (0, 20), [0.0], rtol=1e-9, atol=1e-11)
    assert r.nrejected > 100
    assert jumps_along(lambda t, y: np.array(fun(t, y)), r.t, r.y) == ([], [])


def test_a_function_that_raises_at_the_check_says_nothing():
    over = False

    def fun(t, y):
        if over:
            raise AssertionError("the run is over")
        return square(t, y)

    def callback(t, y):
        nonlocal over
        over = t == 10.3

    r = mflow.solve_ivp(fun, (0, 10.3), [0.0], callback=callback, **TIGHT)
    assert r.success


@pytest.mark.parametrize("method", ["dopri5", "esdirk43"])
def test_jumps_that_were_given_are_not_told_again(method):
    """A switch with a component that is fast behind each of its times; without breaks they are told."""
    period = 1e-5
    times = [(k + part) * period for k in range(6) for part in (0.0, 0.4)][1:]

    def f(t, y):
        return [1e7 * ((12.0 if (t / period) % 1.0 < 0.4 else 0.0) - y[0]), 1e5 * (y[0] - y[1])]

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        given = mflow.solve_ivp(f, (0.0, 6e-5), [0.0, 0.0], method, rtol=1e-6, atol=1e-9, breaks=times)
    assert given.nrejected >= 0.1 * (given.nsteps + given.nrejected)  # as many as are looked at
    with pytest.warns(RuntimeWarning, match="fun jumps, at t = "):
        mflow.solve_ivp(f, (0.0, 6e-5), [0.0, 0.0], method, rtol=1e-6, atol=1e-9)
