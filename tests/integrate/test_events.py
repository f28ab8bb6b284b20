"""Events: every sign change that samples can tell apart, located to 4 ulp of t, counted, ordered, and stopped at.

The scanner is driven through its own door with continuous extensions given as functions of theta. Oracles: roots that are known by
construction, and mpmath's roots of the same polynomials.
"""

import gc
import itertools
import math
import random
from typing import Any

import mpmath
import numpy as np
import pytest
from mflow_core.arithmetic.scalars import _power
from mflow_core.events import events as core

import mflow
from mflow.integrate.control import Event, check_events


def make(*events: Any, shape: tuple[int, ...] = (1,), args: tuple[Any, ...] = ()) -> core.Events:
    return core.Events(check_events(list(events)), shape, args)


def first(t: float, y: Any) -> float:
    return float(y[0])


def ulps(found: float, exact: Any) -> float:
    return float(abs(mpmath.mpf(found) - exact) / mpmath.mpf(np.spacing(abs(found))))


def run(e: core.Events, y: Any, t0: float, t1: float) -> int:
    """One step on which the state is y(t)."""
    assert e.start_at(t0, y(t0)) == 0
    return e.scan_function(lambda theta: y(t1 if theta == 1.0 else t0 + theta * (t1 - t0)), t0, t1)


def go(e: core.Events, y: Any, times: list[float]) -> int:
    """Steps between the times, until one stops."""
    assert e.start_at(times[0], y(times[0])) == 0
    status = 0
    for t0, t1 in itertools.pairwise(times):
        status = e.scan_function(lambda theta, t0=t0, t1=t1: y(t1 if theta == 1.0 else t0 + theta * (t1 - t0)), t0, t1)
        if status != 0:
            break
    return status


# ---- the power -------------------------------------------------------------------------------------------------------------


def test_power_against_mpmath() -> None:
    rng = random.Random(7)
    exponents = [s / k for k in range(2, 10) for s in (1, -1)] + [0.7 / 5, -0.7 / 5, 0.4 / 5, -0.4 / 8, 1.0, -1.0]
    worst = 0.0
    with mpmath.workdps(40):
        for p in exponents:
            for _ in range(300):
                x = 10.0 ** rng.uniform(-300, 300) if rng.random() < 0.5 else 1.0 + rng.uniform(-0.9, 1) * 10.0 ** rng.uniform(-15, 0)
                exact = mpmath.mpf(x) ** mpmath.mpf(p)
                worst = max(worst, float(abs((_power(x, p) - exact) / exact)))
    assert worst < 4.5e-16


def test_power_at_the_edges() -> None:
    inf, nan = math.inf, math.nan
    for x in (0.0, 5e-324, 1e-310, 0.5, 1.0, 2.0, 1e308, inf):
        for p in (-inf, -2.0, -0.5, 0.0, 0.5, 1.0, 2.0, 700.0, -700.0, 1e300, -1e300, inf):
            try:
                want = math.pow(x, p)
            except OverflowError:
                want = inf
            except ValueError:  # 0 to a negative power
                want = inf
            assert _power(x, p) == pytest.approx(want, rel=1e-13, abs=5e-324), (x, p)
    for x, p in ((nan, 0.5), (-1.0, 0.5), (-inf, 0.5), (2.0, nan), (0.0, nan), (inf, nan)):
        assert math.isnan(_power(x, p))


# ---- finding ---------------------------------------------------------------------------------------------------------------


def test_three_roots_of_a_cubic_in_one_step_are_three_events() -> None:
    roots = (0.21, 0.5003, 0.93)
    e = make(first)
    assert run(e, lambda t: [(t - roots[0]) * (t - roots[1]) * (t - roots[2])], 0.0, 1.0) == 0
    (t,), (y,) = e.t_events, e.y_events
    assert t.shape == (3,)
    assert y.shape == (3, 1)
    assert all(ulps(a, b) <= 4 for a, b in zip(t, roots, strict=True))
    assert e.hits == [3]


def test_direction_is_that_along_the_integration() -> None:
    def y(t: float) -> list[float]:
        return [(t - 0.2) * (t - 0.5) * (t - 0.9)]

    for t0, t1, up, down in ((0.0, 1.0, [0.2, 0.9], [0.5]), (1.0, 0.0, [0.5], [0.9, 0.2])):
        e = make(Event(first, direction=1), Event(first, direction=-1), Event(first, direction=0.3))
        assert run(e, y, t0, t1) == 0
        np.testing.assert_allclose(e.t_events[0], up, rtol=1e-15)
        np.testing.assert_allclose(e.t_events[1], down, rtol=1e-15)
        np.testing.assert_array_equal(e.t_events[0], e.t_events[2])


@pytest.mark.parametrize(("t0", "t1"), [(0.0, 2.0), (2.0, 0.0), (1.25, 1.75), (1e-3, 40.0), (1.0, 1.0 + 1e-6), (0.3, 1e3)])
def test_located_to_4_ulp_on_the_extension(t0: float, t1: float) -> None:
    """The extension is a polynomial in theta; its exact root against the t found. Coefficients differ in size and curvature."""
    rng = np.random.default_rng(11)
    for _ in range(30):
        where = float(rng.uniform(0.02, 0.98))
        slope, *bends = rng.uniform(0.5, 1.0), *rng.uniform(-0.3, 0.3, 3)

        def y(theta: float, where: float = where, slope: float = slope, bends: Any = bends) -> Any:
            u = theta - where  # exact near the root (Sterbenz), so the sign is the exact one
            return [u * (slope + u * (bends[0] + u * (bends[1] + u * bends[2])))]

        e = make(first)
        assert e.start_at(t0, y(0.0)) == 0
        assert e.scan_function(y, t0, t1) == 0
        exact = mpmath.mpf(t0) + mpmath.mpf(where) * (mpmath.mpf(t1) - mpmath.mpf(t0))
        (t,) = e.t_events[0]
        assert ulps(t, exact) <= 4
        assert e.calls <= 1 + 16 + 12


def test_located_to_4_ulp_against_mpmath() -> None:
    cubic = make(lambda t, y: y[0] ** 3 - y[0] - 1.0)
    assert run(cubic, lambda t: [t], 1.0, 2.0) == 0
    assert ulps(cubic.t_events[0][0], mpmath.findroot(lambda x: x**3 - x - 1, 1.32)) <= 4
    square = make(lambda t, y: y[0] * y[0] - 2.0)
    assert run(square, lambda t: [t], -3.0, 0.0) == 0
    assert ulps(square.t_events[0][0], -mpmath.sqrt(2)) <= 4
    decay = make(lambda t, y: y[0] - 0.5)
    assert run(decay, lambda t: [math.exp(-t)], 0.0, 1.0) == 0
    assert ulps(decay.t_events[0][0], mpmath.log(2)) <= 4


@pytest.mark.parametrize("shape", ["odd", "jump", "flat", "steep"])
def test_hard_shapes_end_and_stay_bracketed(shape: str) -> None:
    root = 0.3456789
    g = {
        "odd": lambda u: u**9, "jump": lambda u: math.copysign(1.0, u) if u else 1.0, "flat": lambda u: math.copysign(u * u * 1e-300, u),
        "steep": lambda u: math.expm1(600 * u),
    }[shape]  # fmt: skip
    e = make(first)
    assert run(e, lambda t: [g(t - root)], 0.0, 1.0) == 0
    (t,) = e.t_events[0]
    assert ulps(t, mpmath.mpf(root)) <= 4 or g(t - root) == 0.0  # "flat" underflows to zero around its root
    assert e.calls < 17 + 110


def test_a_root_next_to_the_start_costs_no_thousand_evaluations() -> None:
    for root in (1e-12, 1e-25, 1e-300):
        e = make(first)
        assert run(e, lambda t, root=root: [math.copysign(1.0, t - root)], 0.0, 1.0) == 0
        assert e.t_events[0][0] == pytest.approx(root, rel=1e-15, abs=1e-30)
        assert e.calls < 17 + 200


def test_the_state_found_lies_behind_the_crossing() -> None:
    """So a run that starts again there does not meet it twice."""
    rng = np.random.default_rng(5)
    for c in rng.uniform(0.1, 0.9, 40):
        for sign in (1.0, -1.0):
            e = make(Event(lambda t, y, c=c, sign=sign: sign * (math.sin(y[0]) - math.sin(c)), terminal=True))
            assert run(e, lambda t: [t], 0.0, 1.0) == core.STOP
            which, t, y = e.stopped
            assert which == 0
            assert sign * (math.sin(y[0]) - math.sin(c)) * sign >= 0
            again = make(Event(lambda t, y, c=c, sign=sign: sign * (math.sin(y[0]) - math.sin(c)), terminal=True))
            assert run(again, lambda s: [s], t, 1.0) == 0
            assert again.hits == [0]


def test_seventeen_samples_see_what_sixteen_miss() -> None:
    """Two roots inside one piece are missed; one on each side of a sample is enough."""

    def y(t: float) -> list[float]:
        return [(t - 8.2 / 16) * (t - 8.8 / 16)]

    for samples, hits in ((16, 0), (17, 2), (32, 2)):
        e = make(Event(first, samples=samples))
        assert run(e, y, 0.0, 1.0) == 0
        assert e.hits == [hits], samples
    missed = make(Event(first, samples=17))
    assert run(missed, lambda t: [(t - 8.2 / 17) * (t - 8.8 / 17)], 0.0, 1.0) == 0
    assert missed.hits == [0]


def test_sixteen_roots_in_sixteen_pieces() -> None:
    roots = (np.arange(16) + 0.5) / 16
    e = make(first)
    assert run(e, lambda t: [float(np.prod(4 * (t - roots)))], 0.0, 1.0) == 0
    np.testing.assert_allclose(e.t_events[0], roots, rtol=1e-14)


# ---- exact zeros -----------------------------------------------------------------------------------------------------------


def test_a_zero_at_the_start_is_no_crossing() -> None:
    e = make(first)
    assert run(e, lambda t: [t], 0.0, 1.0) == 0
    assert e.hits == [0]
    assert run(e, lambda t: [-t], 0.0, 1.0) == 0
    assert e.hits == [0]
    e = make(first)
    assert run(e, lambda t: [0.0], 0.0, 1.0) == 0
    assert e.hits == [0]


def test_a_zero_at_a_sample_counts_once_and_exactly() -> None:
    e = make(first)
    assert run(e, lambda t: [t - 0.5], 0.0, 1.0) == 0
    np.testing.assert_array_equal(e.t_events[0], [0.5])
    flat = make(first)  # zeros over a stretch: the first of them
    assert run(flat, lambda t: [min(t - 0.25, 0.0) + max(t - 0.5, 0.0)], 0.0, 1.0) == 0
    np.testing.assert_array_equal(flat.t_events[0], [0.25])


def test_a_touch_is_no_event() -> None:
    e = make(first)
    assert run(e, lambda t: [(t - 0.5) ** 2], 0.0, 1.0) == 0
    assert e.hits == [0]


def test_a_zero_at_a_step_end_is_decided_by_the_next_step() -> None:
    e = make(first)
    assert go(e, lambda t: [t - 1.0], [0.0, 1.0]) == 0
    assert e.hits == [0]
    assert go(e, lambda t: [t - 1.0], [0.0, 1.0, 2.0]) == 0
    np.testing.assert_array_equal(e.t_events[0], [1.0])
    touch = make(first)
    assert go(touch, lambda t: [(t - 1.0) ** 2], [0.0, 1.0, 2.0]) == 0
    assert touch.hits == [0]


def test_zeros_that_last_for_a_step_are_met_where_they_begin() -> None:
    """Once, whether the value then goes on or back; it was told at the last zero, at the end of the run, or not at all."""
    times = np.linspace(0.0, 5.0, 11)
    for g in (lambda t: [max(0.0, abs(t - 2.0) - 1.0)], lambda t: [max(0.0, 1.0 - t)], lambda t: [max(1.0 - t, 0.0) - max(t - 3.0, 0.0)]):
        e = make(first)
        assert go(e, g, times) == 0
        np.testing.assert_array_equal(e.t_events[0], [1.0])
    stops = make(Event(first, terminal=True))
    assert go(stops, lambda t: [max(0.0, 1.0 - t)], times) == core.STOP
    assert stops.stopped[1] == 1.0


@pytest.mark.parametrize("method", ["tsit5", "dopri5", "dop853", "radau5", "bdf", "esdirk43"])
@pytest.mark.parametrize(
    ("g", "direction"),
    [(lambda y: min(y, 0.0), 0), (lambda y: min(y, 0.0), 1), (lambda y: max(-y, 0.0), -1), (lambda y: min(y, 0.0) + max(y - 2.0, 0.0), 0)],
    ids=["ends", "upwards", "downwards", "goes on"],
)
@pytest.mark.parametrize("terminal", [False, True])
def test_zeros_that_begin_inside_a_step_are_met_where_they_begin(method: str, g: Any, direction: int, terminal: bool) -> None:
    """y = t - 3: zeros were told at the end of the step, at t = 5.4 ... 10, or in the middle of them."""
    event = Event(lambda t, y: g(y[0]), terminal=terminal, direction=direction)
    r = mflow.solve_ivp(lambda t, y: [1.0], (0.0, 10.0), [-3.0], method, events=event)
    np.testing.assert_allclose(r.t_events[0], [3.0], rtol=1e-12)
    assert r.t[-1] == pytest.approx(3.0 if terminal else 10.0, rel=1e-12)


def test_a_zero_at_the_end_of_the_run_counts() -> None:
    e = make(Event(first, terminal=True), Event(first, direction=-1), Event(lambda t, y: 1.0))
    assert go(e, lambda t: [t - 1.0], [0.0, 1.0]) == 0
    assert e.finish_at(1.0, [0.0]) == core.STOP
    assert e.hits == [1, 0, 0]
    np.testing.assert_array_equal(e.t_events[0], [1.0])
    plain = make(first)
    assert go(plain, lambda t: [t + 1.0], [0.0, 1.0]) == 0
    assert plain.finish_at(1.0, [2.0]) == 0
    assert plain.hits == [0]


def test_hits_do_not_depend_on_where_steps_end() -> None:
    def y(t: float) -> list[float]:
        return [math.sin(7.0 * t)]

    rng = np.random.default_rng(3)
    want = [k * math.pi / 7 for k in range(1, 5) if k * math.pi / 7 < 2]
    for _ in range(10):
        times = [0.01, *sorted(rng.uniform(0.02, 1.99, 6)), 2.0]
        e = make(first)
        assert go(e, y, times) == 0
        np.testing.assert_allclose(e.t_events[0], want, rtol=2e-15)


# ---- terminal --------------------------------------------------------------------------------------------------------------


def test_terminal_counts() -> None:
    for terminal, hits in ((False, 4), (0, 4), (True, 1), (1, 1), (3, 3), (9, 4)):
        e = make(Event(first, terminal=terminal))
        status = go(e, lambda t: [math.sin(7.0 * t)], [0.01, 0.7, 2.0])
        assert (status == core.STOP) == (0 < int(terminal) <= 4)
        assert e.hits == [hits]


def test_what_lies_behind_a_terminal_event_is_dropped() -> None:
    last = Event(lambda t, y: y[0] - 0.6, terminal=True)
    e = make(lambda t, y: y[0] - 0.7, last, lambda t, y: y[0] - 0.3, lambda t, y: y[0] - 0.6)
    assert run(e, lambda t: [t], 0.0, 1.0) == core.STOP
    which, t, y = e.stopped
    assert which == 1
    assert t == y[0] == pytest.approx(0.6, rel=1e-15)
    assert e.hits == [0, 1, 1, 1]  # the fourth has the same t
    numbers, times, _ = e.found
    assert numbers.tolist() == [2, 1, 3]
    assert np.all(np.diff(times) >= 0)


def test_signs_are_those_at_the_stop() -> None:
    """Behind the stop the first event had changed its sign; a run that goes on from there meets that crossing."""
    e = make(lambda t, y: y[0] - 0.7, Event(lambda t, y: y[0] - 0.6, terminal=True))
    assert run(e, lambda t: [t], 0.0, 1.0) == core.STOP
    t = e.stopped[1]
    np.testing.assert_array_equal(e.pack()[:, 1], [-1.0, 1.0])
    assert e.scan_function(lambda theta: [t + theta * (1.0 - t)], t, 1.0) == 0
    assert e.hits == [1, 1]
    np.testing.assert_allclose(e.t_events[0], [0.7], rtol=1e-15)


def test_events_at_one_time_come_in_order_of_their_numbers() -> None:
    e = make(first, first, Event(first, samples=5))
    assert run(e, lambda t: [(t - 0.25) * (t - 0.8125)], 0.0, 1.0) == 0
    numbers, times, _ = e.found
    assert numbers[:2].tolist() == [0, 1]
    assert np.all(np.diff(times) >= 0)
    assert e.hits == [2, 2, 2]


def test_a_count_goes_on_over_many_steps_and_full_buffers() -> None:
    times = np.linspace(0.001, 60.0, 1500).tolist()
    e = make(Event(lambda t, y: math.sin(300.0 * t), terminal=5000), shape=(4000,))
    state = np.zeros(4000)
    assert go(e, lambda t: state, times) == core.STOP
    assert e.hits == [5000]
    np.testing.assert_allclose(e.t_events[0], np.arange(1, 5001) * math.pi / 300, rtol=1e-14)
    assert e.y_events[0].shape == (5000, 4000)


# ---- failures --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_value_that_is_not_finite_ends_the_scan(bad: float) -> None:
    e = make(lambda t, y: 1.0, lambda t, y: bad if t > 0.4 else -1.0)
    assert run(e, lambda t: [t], 0.0, 1.0) == core.NOT_FINITE
    assert "event 1 at t = 0.4375" in e.failure
    assert str(bad) in e.failure
    at_start = make(lambda t, y: bad)
    assert at_start.start_at(0.0, [1.0]) == core.NOT_FINITE
    inside = make(lambda t, y: bad if 0.3 < t < 0.31 else t - 0.305)
    assert run(inside, lambda t: [t], 0.0, 1.0) == core.NOT_FINITE
    assert inside.found[0].size == 0


def test_exceptions_come_through_as_they_are() -> None:
    class Mine(Exception):
        pass

    def event(t: float, y: Any) -> float:
        if t > 0.5:
            raise Mine(t)
        return 1.0

    e = make(event)
    with pytest.raises(Mine) as caught:
        run(e, lambda t: [t], 0.0, 1.0)
    assert caught.value.args == (0.5625,)
    with pytest.raises(ZeroDivisionError):
        make(lambda t, y: 1 / 0).start_at(0.0, [0.0])
    with pytest.raises(KeyError):
        make(first).scan_function(lambda theta: {}["x"], 0.0, 1.0)


def test_what_an_event_may_return() -> None:
    for value in (1, np.float32(2), np.array([3.0]), np.array(4.0), np.int64(5)):
        e = make(lambda t, y, value=value: value)
        assert e.start_at(0.0, [0.0]) == 0
        assert e.pack()[0, 2] == float(np.asarray(value).item())
    for value, word in ((True, "bool"), (np.True_, "bool"), (None, "NoneType"), ([1.0, 2.0], "list"), (1j, "complex"), ("1", "str")):
        with pytest.raises(TypeError, match=word):
            make(lambda t, y, value=value: value).start_at(0.0, [0.0])


def test_the_state_is_read_only_and_may_be_kept() -> None:
    kept: list[Any] = []

    def event(t: float, y: Any) -> float:
        assert not y.flags.writeable
        kept.append(y)
        return float(y[0, 1])

    e = make(event, shape=(2, 2))
    assert run(e, lambda t: [[t, t - 0.4], [0.0, 0.0]], 0.0, 1.0) == 0
    assert len({id(y) for y in kept}) == len(kept)
    np.testing.assert_array_equal([y[0, 0] for y in kept[:17]], np.arange(17) / 16)
    assert e.y_events[0].shape == (1, 2, 2)


def test_args_reach_the_events() -> None:
    e = make(lambda t, y, level, sign: sign * (y[0] - level), args=(0.25, -1.0))
    assert run(e, lambda t: [t], 0.0, 1.0) == 0
    np.testing.assert_array_equal(e.t_events[0], [0.25])


def test_an_event_that_was_never_met_gives_empty_arrays_as_scipy() -> None:
    e = make(first, lambda t, y: 1.0)
    assert run(e, lambda t: [t - 0.4], 0.0, 1.0) == 0
    assert [t.shape for t in e.t_events] == [(1,), (0,)]
    assert [y.shape for y in e.y_events] == [(1, 1), (0,)]


# ---- saved state -----------------------------------------------------------------------------------------------------------


def test_packed_state_goes_on_with_the_same_bits() -> None:
    def y(t: float) -> list[float]:
        return [math.sin(9.0 * t), t - 0.5]

    def events() -> core.Events:
        return make(Event(first, terminal=5), lambda t, y: y[1], shape=(2,))

    times = [0.0, 0.2, 0.5, 0.9, 1.3, 2.0]
    whole = events()
    status = go(whole, y, times)
    for cut in range(1, 5):
        before, after = events(), events()
        assert go(before, y, times[: cut + 1]) == 0
        after.unpack(before.pack())
        for t0, t1 in itertools.pairwise(times[cut:]):
            end = after.scan_function(lambda theta, t0=t0, t1=t1: y(t1 if theta == 1.0 else t0 + theta * (t1 - t0)), t0, t1)
            if end:
                break
        assert end == status
        assert after.hits == whole.hits
        for one, two, three in zip(whole.t_events, before.t_events, after.t_events, strict=True):
            np.testing.assert_array_equal(one, np.concatenate([two, three]))


def test_damaged_state_is_refused_and_changes_nothing() -> None:
    e = make(first)
    run(e, lambda t: [t - 0.3], 0.0, 1.0)
    good = e.pack()
    for bad in ([[-1.0, 1.0, 1.0]], [[0.5, 1.0, 1.0]], [[1.0, 2.0, 1.0]], [[1.0, 1.0, math.nan]], [[1.0, -1.0, 1.0]], [[1.0, 1.0]], []):
        with pytest.raises(ValueError, match="saved state"):
            e.unpack(bad)
        np.testing.assert_array_equal(e.pack(), good)


# ---- compiled --------------------------------------------------------------------------------------------------------------


def test_compiled_events_and_python_ones_find_the_same() -> None:
    numba = pytest.importorskip("numba")
    types = numba.types

    @numba.cfunc(types.int32(types.float64, types.CPointer(types.float64), types.CPointer(types.float64), types.intp, types.voidptr))
    def compiled(t: Any, y: Any, g: Any, n: Any, data: Any) -> Any:
        g[0] = y[0] * y[0] - 0.3
        return 0

    def y(t: float) -> list[float]:
        return [t - 0.1]

    e = make(Event(compiled, terminal=True), shape=(1,))
    assert e.compiled
    python = make(Event(lambda t, y: y[0] * y[0] - 0.3, terminal=True))
    assert not python.compiled
    assert run(e, y, 0.0, 1.0) == run(python, y, 0.0, 1.0) == core.STOP
    np.testing.assert_array_equal(e.t_events[0], python.t_events[0])
    with pytest.raises(TypeError, match=r"events\[0\]: expected no args for a compiled function"):
        make(compiled, args=(1,))


def test_codes_of_compiled_events() -> None:
    numba = pytest.importorskip("numba")
    types = numba.types
    signature = types.int32(types.float64, types.CPointer(types.float64), types.CPointer(types.float64), types.intp, types.voidptr)

    @numba.cfunc(signature)
    def refuses(t: Any, y: Any, g: Any, n: Any, data: Any) -> Any:
        g[0] = 1.0
        return 7 if t > 0.5 else 0

    @numba.cfunc(signature)
    def gives_up(t: Any, y: Any, g: Any, n: Any, data: Any) -> Any:
        g[0] = 1.0
        return -3 if t > 0.5 else 0

    @numba.cfunc(signature)
    def forgets(t: Any, y: Any, g: Any, n: Any, data: Any) -> Any:
        return 0

    e = make(refuses)
    assert run(e, lambda t: [t], 0.0, 1.0) == core.REFUSED
    assert "code 7" in e.failure
    assert run(make(gives_up), lambda t: [t], 0.0, 1.0) == -3
    assert make(forgets).start_at(0.0, [0.0]) == core.NOT_FINITE


# ---- what is asked for -----------------------------------------------------------------------------------------------------


def test_settings_are_scipys() -> None:
    def event(t: float, y: Any) -> float:
        return 1.0

    assert check_events(None) == check_events([]) == []
    assert check_events(event) == [(event, 0, 0, 16, None)]
    event.terminal, event.direction, event.samples = 3, -2.5, 4
    assert check_events((event, Event(event, terminal=True))) == [(event, 3, -1, 4, None), (event, 1, 0, 16, None)]
    assert check_events(Event(event, direction=math.inf)) == [(event, 0, 1, 16, None)]


@pytest.mark.parametrize(
    ("settings", "error", "word"),
    [
        ({"terminal": -1}, ValueError, "terminal"), ({"terminal": 1.5}, ValueError, "terminal"),
        ({"terminal": "yes"}, TypeError, "terminal"),
        ({"terminal": math.inf}, ValueError, "terminal"), ({"direction": math.nan}, ValueError, "direction"),
        ({"direction": "up"}, TypeError, "direction"), ({"samples": 0}, ValueError, "samples"), ({"samples": 2.5}, ValueError, "samples"),
        ({"samples": None}, TypeError, "samples"),
    ],
)  # fmt: skip
def test_settings_that_do_not_fit(settings: dict[str, Any], error: type[Exception], word: str) -> None:
    with pytest.raises(error, match=word):
        check_events([Event(first), Event(first, **settings)])
    with pytest.raises(TypeError, match=r"events\[1\]"):
        check_events([first, 3.0])


def test_too_many_samples_for_memory(no_more_memory: Any) -> None:
    gc.collect()
    specs = check_events(Event(first, samples=10**6))
    no_more_memory()
    with pytest.raises(MemoryError, match="lower samples"):
        core.Events(specs, (1000,))
