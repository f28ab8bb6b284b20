"""A stepper meets what a run of solve_ivp meets: the oracle is the closed form, and the same problem in one call."""

from __future__ import annotations

import copy
import gc

import numpy as np
import pytest

import mflow

CONTROLLED = ("dopri5", "tsit5", "dop853", "bs32", "radau5", "bdf", "esdirk43", "rodas5p", "auto")


def used_up(t, y):
    """Gone at 1 + K ln(...), about t = 1: 0 behind that."""
    return -y / (1e-8 + y)


def stepper(method, fun, y0, **more):
    return mflow.Stepper(method, fun, y0, rtol=1e-3, atol=1e-6, **more)


@pytest.mark.parametrize("method", CONTROLLED)
def test_a_species_that_is_used_up_stays_used_up(method):
    st = stepper(method, used_up, [1.0])
    st.advance_to(3.0)
    assert 0.0 <= st.y[0] < 1e-12
    r = mflow.solve_ivp(used_up, (0, 3), [1.0], method)
    assert st.y[0] == r.y[0, -1]
    assert st.k == r.nsteps


def test_single_steps_meet_it_too():
    st = stepper("dopri5", used_up, [1.0])
    while st.t < 3.0:
        st.step()
    assert st.y[0] == 0.0


@pytest.mark.parametrize("method", ["tsit5", "radau5", "bdf", "auto"])
def test_a_decay_of_second_order_does_not_run_off(method):
    st = stepper(method, lambda t, y: -1e4 * y**2, [1.0])
    st.advance_to(1e6)
    assert abs(st.y[0] - 1e-10) < 1e-6


@pytest.mark.parametrize("method", ["dopri5", "esdirk43", "auto"])
def test_a_pole_in_time_is_not_leapt_over(method):
    st = stepper(method, lambda t, y: 1.0 / (1.0 - np.float64(t)) + 0.0 * y, [0.0])
    with pytest.raises(RuntimeError, match=r"near t = 1|at t = 1"):
        st.advance_to(2.0)
    assert 0.99 < st.t <= 1.0
    with pytest.raises(RuntimeError):
        st.step()
    assert st.t <= 1.0


@pytest.mark.parametrize("method", ["dopri5", "esdirk43"])
def test_the_same_bits_go_on_from_a_file_and_a_copy(method, tmp_path):
    def f(t, y):
        return np.array([-y[0] / (1e-8 + y[0]), -np.sign(y[1]) + 0.5 * np.sin(t)])

    whole, part = (stepper(method, f, [1.0, 2.0]) for _ in range(2))
    whole.advance_to(4.0)
    while part.t < 3.0 and part.k < 10_000:
        part.step()
    straight = copy.copy(part)
    part.save(tmp_path / "s")
    loaded = mflow.Stepper.load(tmp_path / "s", f)
    for one in (part, straight, loaded):
        one.advance_to(4.0)
        assert one.y.tobytes() == part.y.tobytes()
        assert one.k == part.k
        assert one.nfev >= part.nfev
    assert part.y[0] == 0.0
    assert abs(part.y[1]) < 1e-5  # it slides: |y1| reaches 0 before t = 4


def test_a_state_that_is_set_is_kept_at_nothing():
    st = stepper("tsit5", used_up, [1.0])
    st.advance_to(3.0)
    st.set_state(t=0.0, y=[-1.0])  # y' = -y/(K + y) is about -1 there
    st.advance_to(1.0)
    assert abs(st.y[0] + 2.0) < 1e-3
    other = stepper("tsit5", used_up, [-1.0])
    other.advance_to(1.0)
    assert st.y.tobytes() == other.y.tobytes()


@pytest.mark.parametrize("method", ["dopri5", "radau5"])
def test_a_dose_behind_the_end_of_a_species_counts(method):
    st = stepper(method, used_up, [1.0], doses=[(2.0, 0, 1.0)])
    st.advance_to(2.5)
    assert abs(st.y[0] - 0.5) < 1e-3
    st.advance_to(4.0)
    assert 0.0 <= st.y[0] < 1e-12


def test_where_a_solution_ends_the_call_ends():
    st = stepper("dopri5", lambda t, y: -1.0 / y, [1.0])  # sqrt(1 - 2 t)
    with pytest.raises(RuntimeError):
        st.advance_to(1.0)
    assert abs(st.t - 0.5) < 1e-2


@pytest.mark.parametrize("method", ["radau5", "bdf", "esdirk43", "rodas5p"])
@pytest.mark.parametrize("mass", [[2.0], [-2.0]])
def test_with_a_mass_a_species_that_is_used_up_stays_so(method, mass):
    """Once at the double of the time: 2 y' = -y/(K + y)."""
    r = mflow.solve_ivp(lambda t, y: -np.sign(mass[0]) * y / (1e-8 + y), (0, 5), [1.0], method, mass=mass)
    assert r.success
    assert 0.0 <= r.y[0, -1] < 1e-12
    st = stepper(method, lambda t, y: -np.sign(mass[0]) * y / (1e-8 + y), [1.0], mass=mass)
    st.advance_to(5.0)
    assert st.y.tobytes() == r.y[:, -1].tobytes()


@pytest.mark.parametrize("method", ["radau5", "bdf", "esdirk43"])
def test_beside_an_algebraic_equation_it_stays_so_too(method):
    def f(t, y):
        return np.array([-y[0] / (1e-8 + y[0]), y[0] + y[1] - 1.0])

    r = mflow.solve_ivp(f, (0, 3), [1.0, 0.0], method, mass=[1.0, 0.0])
    assert r.success
    assert 0.0 <= r.y[0, -1] < 1e-12
    assert abs(r.y[1, -1] - 1.0) < 1e-6


@pytest.mark.parametrize("method", ["radau5", "esdirk43"])
@pytest.mark.parametrize("mass", [[2.0, 1.0], [[2.0, 1.0], [1.0, 2.0]]])
def test_with_any_mass_a_pole_in_time_ends_the_run(method, mass):
    r = mflow.solve_ivp(lambda t, y: np.array([1.0 / (1.0 - np.float64(t)), -y[1]]), (0, 2), [0.0, 1.0], method, mass=mass)
    assert not r.success
    assert r.reason in ("diverged", "step_too_small")
    assert 0.99 < r.t[-1] <= 1.0


@pytest.mark.parametrize("mass", [[1.0, 0.0], [[1.0, 0.5], [0.5, 1.0]]])
def test_where_nothing_is_kept_what_has_gone_over_zero_is_told(mass):
    """Of linearized steps beside algebraic equations, and where M mixes slopes: y0 > 0 in every solution."""

    def f(t, y):
        return np.array([-y[0] / (1e-8 + y[0]), 0.0 if np.ndim(mass) == 2 else y[0] + y[1] - 1.0])

    method = "rodas5p" if np.ndim(mass) == 1 else "radau5"
    with pytest.warns(RuntimeWarning, match="component 0 has changed its sign"):
        r = mflow.solve_ivp(f, (0, 3), [1.0, 0.0], method, mass=mass)
    assert any("component 0 has changed its sign" in text for text in r.doubts)


@pytest.mark.parametrize(("name", "steps"), [("esdirk43", 345), ("bs32", 800)])
def test_a_stepper_beside_a_pole_is_copied_and_goes_on_alike(name, steps, tmp_path):
    """Asked for steps alone it knows no end, and the pole lies beyond what it has been asked for."""

    def f(t, y):
        return y * 0.0 + 1.0 / (t - 1.0) ** 2

    st = mflow.Stepper(name, f, [0.0], 0.0, rtol=1e-8 if name == "esdirk43" else 1e-6, atol=1e-10)
    for _ in range(steps):
        st.step()
    st.save(tmp_path / "st")
    others = copy.deepcopy(st), mflow.Stepper.load(tmp_path / "st", f)
    for one in (st, *others):
        for _ in range(5):
            one.step()
    assert {(one.t, one.y.tobytes()) for one in others} == {(st.t, st.y.tobytes())}


@pytest.mark.parametrize("name", ["tsit5", "bdf", "rk4"])
def test_a_run_is_free_where_nobody_has_it(name):
    """A circle would keep its arrays until the garbage collector comes: 512 MB after 20 runs of 2e5 components."""
    how = {"dt": 0.1} if name == "rk4" else {}
    while gc.collect():  # what is found may let go of more, of tests that ran before
        pass
    gc.disable()
    try:
        mflow.solve_ivp(lambda t, y: -y, (0, 1), [1.0], name, **how)
        assert gc.collect() == 0
    finally:
        gc.enable()
