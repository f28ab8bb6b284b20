"""solve_ivp, gradient_flow and Stepper: what goes in, what comes out, how runs end, and how they go on."""

import ctypes
import math
import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

import mflow
from support.oracles.tableaus import evaluations
from support.problems import (
    NAMES,
    PROBLEMS,
    RHS_C,
    SHAPES,
    WRONG_NAMES,
    Array,
    Boom,
    bowl_c,
    calls_are_known,
    capsule,
    decay,
    decay_cfunc,
    lorenz,
    start_of,
    waves,
)
from support.small_cases import for_all

EPS = 2.0**-52


# ---- shapes and spans ------------------------------------------------------------------------------------------------


@for_all("shape", SHAPES)
def test_state_of_any_shape(step_method: Any, shape: tuple[int, ...]) -> None:
    y0 = start_of(math.prod(shape)).reshape(shape)
    seen = set()

    def fun(t: float, y: Array) -> Array:
        seen.add((type(y), y.shape, y.dtype, y.flags.writeable, y.flags.c_contiguous))
        return -y

    r = mflow.solve_ivp(fun, (0, 1), y0, method=step_method.name, dt=0.25)
    assert seen == {(np.ndarray, shape, np.dtype(np.float64), False, True)}
    assert r.t.tolist() == [0.0, 0.25, 0.5, 0.75, 1.0]
    assert r.y.shape == (*shape, 5)
    assert np.array_equal(r.y[..., 0], y0)
    flat = mflow.solve_ivp(decay, (0, 1), y0.ravel(), method=step_method.name, dt=0.25)
    assert np.array_equal(flat.y, r.y.reshape(-1, 5))
    assert (r.status, r.success, r.reason, r.nsteps) == (0, True, "finished", 4)
    assert (r.nrejected, r.sol, r.t_events, r.y_events) == (0, None, None, None)
    if calls_are_known(step_method):
        assert (r.nfev, r.njev, r.nlu) == (evaluations(step_method, 4), 0, 0)
    else:
        assert r.nfev >= evaluations(step_method, 4)
        assert (r.njev > 0) == (r.nlu > 0) == ("implicit" in step_method.flags)


def test_empty_state(step_method: Any) -> None:
    r = mflow.solve_ivp(decay, (0, 1), [], method=step_method.name, dt=0.5)
    assert (r.y.shape, r.reason) == ((0, 3), "finished")


@pytest.mark.parametrize("y0", [1.0, 2, True, [1, 2], (1.0, 2.0), np.ones(2, np.float32), np.ones((2, 2), order="F"), np.ones(4)[::2]])
def test_start_may_be_any_array_of_real_numbers(y0: Any) -> None:
    r = mflow.solve_ivp(decay, (0, 1), y0, method="rk4", dt=0.1)
    np.testing.assert_allclose(r.y[..., -1], np.asarray(y0) * math.exp(-1), rtol=1e-6)


def test_start_is_copied() -> None:
    y0 = np.ones(2)
    r = mflow.solve_ivp(decay, (0, 1), y0, dt=0.5)
    y0[:] = 7.0
    assert r.y[:, 0].tolist() == [1.0, 1.0]


@for_all("case", PROBLEMS)
def test_backwards_comes_home(step_method: Any, case: Any) -> None:
    r = mflow.solve_ivp(case.fun, (case.t_end, 0), case.exact(case.t_end), method=step_method.name, dt=1e-3)
    assert np.all(np.diff(r.t) < 0)
    assert (r.t[0], r.t[-1]) == (case.t_end, 0.0)
    np.testing.assert_allclose(r.y[:, -1], case.y0, rtol=0, atol=10 * 1e-3**step_method.order + 1e-12)


def test_zero_span_returns_the_start() -> None:
    r = mflow.solve_ivp(decay, (2, 2), [1.0, 3.0], dt=0.1)
    assert (r.t.tolist(), r.y.tolist(), r.nfev, r.nsteps, r.reason) == ([2.0], [[1.0], [3.0]], 0, 0, "finished")


@pytest.mark.parametrize(
    ("span", "dt", "steps"),
    [
        ((0, 1), 0.1, 10),
        ((0, 0.3), 0.1, 3),  # 0.3/0.1 rounds to 2.9999999999999996
        ((0, 1), 0.3, 4),
        ((0, 1 + 1e-13), 0.1, 10),  # 1e-12 of a step and less is not taken
        ((0, 1 + 1e-11), 0.1, 11),
        ((0, 1), 5.0, 1),
        ((5, 4), 0.1, 10),
        ((1e6, 1e6 + 1), 0.1, 10),
    ],
)
def test_number_of_steps_and_where_they_land(span: tuple[float, float], dt: float, steps: int) -> None:
    times: list[float] = []
    r = mflow.solve_ivp(lambda t, y: times.append(t) or [1.0], span, [0.0], method="euler", dt=dt)
    assert (r.nsteps, len(r.t), r.nfev) == (steps, steps + 1, steps)
    sign = math.copysign(1.0, span[1] - span[0])
    assert r.t[-1] == span[1]
    assert r.t[:-1].tolist() == [span[0] + k * sign * dt for k in range(steps)]  # from the step's number: no error piles up
    assert times == r.t[:-1].tolist()
    np.testing.assert_allclose(r.y[0], r.t - span[0], rtol=0, atol=1e-9 if span[0] > 1e5 else 1e-14)  # the last step is shorter, too


def test_a_million_steps_keep_their_time() -> None:
    r = mflow.solve_ivp(decay_cfunc(), (0, 1e5), [1.0], method="euler", dt=0.1, save="last")
    assert (r.nsteps, r.t.tolist()) == (1_000_000, [1e5])


def test_lorenz_stays_on_its_attractor(step_method: Any) -> None:
    r = mflow.solve_ivp(lorenz, (0, 5), [1.0, 1.0, 1.0], method=step_method.name, dt=1e-3)
    assert r.success
    assert np.all(np.abs(r.y) < 60)
    assert np.max(r.y[2]) > 30


# ---- what is saved ---------------------------------------------------------------------------------------------------


def test_t_eval_is_within_h4_and_counts_its_slopes() -> None:
    case = PROBLEMS[0]
    errors = []
    for dt in (0.1, 0.05):
        times = np.array([0.0, 0.033, 0.07, 0.1, 0.155, 0.9, 1.0, 1.99, 2.0])
        calls = []
        r = mflow.solve_ivp(lambda t, y, c=calls: c.append(t) or case.fun(t, y), (0, 2), case.y0, "rk4", times, dt=dt)
        exact = np.array([case.exact(t) for t in times]).T
        assert r.t.tolist() == times.tolist()
        assert r.nfev + r.ncheck == len(calls)
        assert r.nfev > 4 * r.nsteps
        errors.append(np.max(np.abs(r.y - exact)))
    assert errors[0] < 0.1**4 / 10
    assert errors[0] / errors[1] > 10


def test_t_eval_at_the_steps_costs_nothing_and_is_exact(step_method: Any) -> None:
    dense = mflow.solve_ivp(waves, (0, 1), start_of(3), method=step_method.name, dt=0.125)
    r = mflow.solve_ivp(waves, (0, 1), start_of(3), method=step_method.name, dt=0.125, t_eval=dense.t[[0, 2, 5, 8]])
    assert np.array_equal(r.y, dense.y[:, [0, 2, 5, 8]])
    assert r.nfev == dense.nfev


def test_t_eval_does_not_change_the_steps(step_method: Any) -> None:
    plain = mflow.solve_ivp(waves, (1, 0), start_of(3), method=step_method.name, dt=0.07)
    r = mflow.solve_ivp(waves, (1, 0), start_of(3), method=step_method.name, dt=0.07, t_eval=[1.0, 0.97, 0.9601, 0.3, 0.0])
    assert np.array_equal(r.y[:, -1], plain.y[:, -1])
    assert r.t.tolist() == [1.0, 0.97, 0.9601, 0.3, 0.0]


def test_t_eval_slopes_are_shared_by_neighbours() -> None:
    """Two slopes for a step that holds a time, the second of them reused by the step after."""
    r = mflow.solve_ivp(decay, (0, 1), [1.0], "rk4", np.arange(0.05, 1.0, 0.1), dt=0.1)
    assert r.nfev == 10 * 4 + 11


def test_t_eval_across_many_steps() -> None:
    """Times in runs long enough to be driven in several pieces."""
    times = np.linspace(0.0, 40.0, 3001)
    r = mflow.solve_ivp(decay, (0, 40), [1.0], "rk4", times, dt=0.01)
    assert r.t.tolist() == times.tolist()
    np.testing.assert_allclose(r.y[0], np.exp(-times), rtol=1e-8, atol=1e-12)
    assert mflow.solve_ivp(decay, (0, 1), [1.0], "rk4", [], dt=0.1).y.shape == (1, 0)


@pytest.mark.parametrize("every", [1, 2, 3, 7, 10, 11, 1000])
def test_save_every_keeps_both_ends(every: int) -> None:
    full = mflow.solve_ivp(waves, (0, 1), start_of(2), dt=0.1)
    r = mflow.solve_ivp(waves, (0, 1), start_of(2), dt=0.1, save_every=every)
    kept = sorted({*range(0, 11, every), 10})
    assert r.t.tolist() == full.t[kept].tolist()
    assert np.array_equal(r.y, full.y[:, kept])


def test_save_every_over_several_pieces() -> None:
    r = mflow.solve_ivp(decay_cfunc(), (0, 1000), [1.0], "euler", dt=0.01, save_every=33_333)
    np.testing.assert_allclose(r.t, [0.0, 333.33, 666.66, 999.99, 1000.0], rtol=1e-15)


def test_save_last() -> None:
    full = mflow.solve_ivp(waves, (0, 1), start_of(2), dt=0.1)
    r = mflow.solve_ivp(waves, (0, 1), start_of(2), dt=0.1, save="last")
    assert (r.t.tolist(), r.y.shape) == ([1.0], (2, 1))
    assert np.array_equal(r.y[:, 0], full.y[:, -1])


# ---- callbacks -------------------------------------------------------------------------------------------------------


def test_args_and_inplace_have_the_same_bits(step_method: Any) -> None:
    def plain(t: float, y: Array, a: float, b: float) -> Array:
        return a * y + b

    def filling(t: float, y: Array, out: Array, a: float, b: float) -> None:
        out[...] = a * y + b

    runs = [
        mflow.solve_ivp(fun, (0, 1), np.ones((2, 3)), step_method.name, dt=0.1, args=(-0.5, 2.0), inplace=inplace)
        for fun, inplace in ((plain, False), (filling, True))
    ]
    assert np.array_equal(runs[0].y, runs[1].y)
    one = mflow.solve_ivp(lambda t, y, a: a * y, (0, 1), [1.0], step_method.name, dt=0.1, args=-1.0)
    assert np.array_equal(one.y, mflow.solve_ivp(decay, (0, 1), [1.0], step_method.name, dt=0.1).y)


@for_all("keep", [lambda y: y, lambda y: y[1:], lambda y: y.reshape(3, 1), memoryview])
def test_states_that_the_user_keeps_do_not_change(step_method: Any, keep: Callable[[Array], Any]) -> None:
    kept, copies = [], []

    def fun(t: float, y: Array) -> Array:
        kept.append(keep(y))
        copies.append(np.array(keep(y)))
        return waves(t, y)

    mflow.solve_ivp(fun, (0, 1), start_of(3), step_method.name, dt=0.1)
    if calls_are_known(step_method):
        assert len({c.tobytes() for c in copies}) == len(copies)
    for kept_one, copy in zip(kept, copies, strict=True):
        assert np.array_equal(np.asarray(kept_one), copy)


def test_outputs_that_the_user_keeps_do_not_change() -> None:
    kept, copies = [], []

    def fun(t: float, y: Array, out: Array) -> None:
        out[:] = waves(t, y)
        kept.append(out)
        copies.append(out.copy())

    mflow.solve_ivp(fun, (0, 1), start_of(3), "rk4", dt=0.1, inplace=True)
    assert all(np.array_equal(a, b) for a, b in zip(kept, copies, strict=True))


def test_state_cannot_be_written() -> None:
    def fun(t: float, y: Array) -> Array:
        y[0] = 1.0
        return y

    with pytest.raises(ValueError, match="read-only"):
        mflow.solve_ivp(fun, (0, 1), [1.0], dt=0.1)


@pytest.mark.parametrize(
    "form",
    [lambda d: d.tolist(), tuple, lambda d: d.astype(np.float32), lambda d: np.repeat(d, 2)[::2], lambda d: np.array([d, d]).T[:, 0]],
)
def test_slopes_may_come_in_any_real_form(form: Callable[[Array], Any]) -> None:
    exact = mflow.solve_ivp(lambda t, y: np.round(-4 * y), (0, 1), [1.0, 2.0], "rk4", dt=0.25)
    r = mflow.solve_ivp(lambda t, y: form(np.round(-4 * y)), (0, 1), [1.0, 2.0], "rk4", dt=0.25)
    assert np.array_equal(r.y, exact.y)
    whole = mflow.solve_ivp(lambda t, y: np.array([1, -2]), (0, 1), [1.0, 2.0], "rk4", dt=0.25)
    assert whole.y[:, -1].tolist() == [2.0, 0.0]
    assert mflow.solve_ivp(lambda t, y: 2, (0, 1), [1.0], "rk4", dt=0.25).y[0, -1] == 3.0


@pytest.mark.parametrize(
    ("result", "kind", "words"),
    [
        (None, TypeError, "fun: expected a return value of .*, got None; return it, or pass inplace=True"),
        ([1.0, 2.0, 3.0], ValueError, r"fun: expected a return value of shape \(2,\), as the state has, got shape \(3,\)"),
        (np.ones(2, complex), TypeError, "real numbers .*complex128"),
        ("no", TypeError, "real numbers"),
        (np.array([None, None]), TypeError, "real numbers .*object"),
    ],
)
def test_slopes_that_do_not_fit(result: Any, kind: type[Exception], words: str) -> None:
    with pytest.raises(kind, match=words) as info:
        mflow.solve_ivp(lambda t, y: result, (0, 1), [1.0, 1.0], dt=0.1)
    assert info.value.partial_result.t.tolist() == [0.0]  # type: ignore[attr-defined]


def test_inplace_that_returns_something() -> None:
    with pytest.raises(TypeError, match="inplace=True says that it fills its `out`"):
        mflow.solve_ivp(lambda t, y, out: -y, (0, 1), [1.0], dt=0.1, inplace=True)


@pytest.mark.parametrize("kind", [Boom, KeyboardInterrupt, SystemExit, ZeroDivisionError])
@pytest.mark.parametrize("save", [{}, {"save": "last"}, {"save_every": 2}])
def test_exceptions_pass_with_what_was_done(kind: type[BaseException], save: dict[str, Any]) -> None:
    error = kind("why")

    def fun(t: float, y: Array) -> Array:
        if t > 0.55:
            raise error
        return -y

    with pytest.raises(kind) as info:
        mflow.solve_ivp(fun, (0, 1), [1.0], "euler", dt=0.1, **save)
    assert info.value is error
    assert any("solve_ivp" in note and "t = 0.6" in note for note in error.__notes__)
    partial = error.partial_result  # type: ignore[attr-defined]
    full = mflow.solve_ivp(decay, (0, 1), [1.0], "euler", dt=0.1)
    assert (partial.t[-1], partial.y[0, -1]) == (full.t[6], full.y[0, 6])
    reason = "interrupted" if isinstance(error, KeyboardInterrupt) else "rhs_failed"
    assert (partial.nsteps, partial.success, partial.status, partial.reason) == (6, False, -1, reason)
    assert partial.t.tolist() == {"save_every": full.t[[0, 2, 4, 6]], "save": full.t[[6]]}.get(next(iter(save), ""), full.t[:7]).tolist()


def test_an_exception_without_room_for_attributes_still_passes() -> None:
    @dataclass(frozen=True)
    class Frozen(Exception):
        code: int

    error = Frozen(3)

    def fun(t: float, y: Array) -> Array:
        raise error

    with pytest.raises(Frozen) as info:
        mflow.solve_ivp(fun, (0, 1), [1.0], dt=0.1)
    assert info.value is error


def test_recoverable_ends_a_run_of_fixed_steps() -> None:
    def fun(t: float, y: Array) -> Array:
        if t > 0.25:
            raise mflow.Recoverable("too far")
        return -y

    r = mflow.solve_ivp(fun, (0, 1), [1.0], "euler", dt=0.1)
    assert (r.reason, r.success, r.t[-1]) == ("rhs_failed", False, pytest.approx(0.3))
    assert "lower dt" in r.message


def test_a_rate_that_is_no_eigenvalue_is_called_none() -> None:
    """Upwind differences: each eigenvalue is -50, and errors change at a rate of up to nearly 100, the numerical radius."""
    n, h = 50, 0.02
    J = (np.eye(n, k=-1) - np.eye(n)) / h
    u = np.exp(-100.0 * (h * np.arange(n) - 0.3) ** 2)
    with pytest.warns(RuntimeWarning):
        past = mflow.solve_ivp(lambda t, y: J @ y, (0, 1), u, "euler", dt=0.026)
    with np.errstate(over="ignore", invalid="ignore"):
        off = mflow.solve_ivp(lambda t, y: J @ y, (0, 1e3), u, "euler", dt=0.06)
    assert off.reason == "non_finite"
    largest = float(np.linalg.eigvalsh(-0.5 * (J + J.T))[-1])
    assert np.max(np.abs(np.linalg.eigvals(J))) < 0.6 * largest
    for message in (past.message, off.message):
        assert "lambda" not in message
        rate, limit = (float(re.search(words, message)[1]) for words in (r"at a rate of about ([\d.]+)", r"about ([\d.]+) (there|for)"))  # type: ignore[index]
        assert 50.0 < rate <= 1.02 * largest
        assert limit == pytest.approx(2.0 / rate, rel=0.01)


def test_non_finite_state_names_the_stability_limit() -> None:
    r = mflow.solve_ivp(lambda t, y: [-100.0 * float(v) for v in y], (0, 100), [1.0, 2.0], "euler", dt=0.5)
    assert (r.reason, r.status, r.success) == ("non_finite", -1, False)
    assert np.all(np.isfinite(r.y))
    assert len(r.t) == r.nsteps + 1 == r.y.shape[1]
    assert "dt = 0.5 exceeds the stability limit of euler, about 0.02 for errors that change at a rate of about 100, measured" in r.message
    assert f"t = {r.t[-1]:g} after {r.nsteps} steps" in r.message
    with np.errstate(over="ignore", invalid="ignore"):
        assert not np.all(np.isfinite(r.y[:, -1] + 0.5 * (-100.0 * r.y[:, -1])))


@pytest.mark.parametrize("share", [0.98, 1.01, 1.03])
def test_a_step_near_the_limit_is_not_acquitted(share: float) -> None:
    """The curvature of a message comes from a few products, and may lie some hundredths below the true one."""
    n = 50
    A = (n + 1) ** 2 * (np.diag(np.full(n - 1, 1.0), 1) + np.diag(np.full(n - 1, 1.0), -1) - 2.0 * np.eye(n))
    start = np.sin(np.pi * np.arange(1, n + 1) / (n + 1)) + 0.01 * np.random.default_rng(0).normal(size=n)
    dt = share * mflow.stability_limit("rk4") / (4.0 * (n + 1) ** 2 * np.cos(0.5 * np.pi / (n + 1)) ** 2)
    with warnings.catch_warnings(record=True) as told, np.errstate(all="ignore"):
        warnings.simplefilter("always")
        r = mflow.solve_ivp(lambda t, y: A @ y, (0, 5), start, "rk4", dt=dt)
    grew = share > 1.0
    assert ("exceeds the" in r.message) == grew
    assert any("the state grew from" in str(one.message) for one in told) == (grew and r.success)


def test_non_finite_solution_inside_the_limit() -> None:
    r = mflow.solve_ivp(lambda t, y: [float(y[0]) * float(y[0])], (0, 50), [1.0], "rk4", dt=0.01)  # y = 1/(1 - t)
    assert r.reason == "non_finite"
    assert 0.9 < r.t[-1] < 1.2
    assert "inside the stability limit" in r.message


def test_a_right_hand_side_that_integrates_by_itself() -> None:
    def inner(t: float, y: Array) -> Array:
        r = mflow.solve_ivp(decay, (0, 1), [1.0], "rk4", dt=0.01)
        return -y * (r.y[0, -1] * math.e)

    r = mflow.solve_ivp(inner, (0, 1), [1.0], "rk4", dt=0.1)
    assert r.y[0, -1] == pytest.approx(math.exp(-1), rel=1e-5)


@pytest.mark.parametrize(
    ("change", "kind", "words"),
    [
        ({"y0": [1.0, math.nan]}, ValueError, "y0: .*, got nan in entry 1"),
        ({"y0": ["1j"]}, TypeError, "y0: .*, got "),
        ({"y0": "abc"}, TypeError, "y0: expected real numbers, got the string 'abc'"),
        ({"y0": [None]}, TypeError, "y0: expected real numbers, got None"),
        ({"dt": None, "method": "rk4"}, ValueError, "dt: expected the size of the fixed steps of"),
        ({"dt": 0.0}, ValueError, r"dt: expected a finite step above 0 .*, got 0\.0"),
        ({"dt": -0.1}, ValueError, "takes the sign of t_end"),
        ({"dt": math.nan}, ValueError, "dt: .*, got nan"),
        ({"dt": "x"}, ValueError, "dt: expected a step above 0, steps one by one or \"auto\", got 'x'"),
        ({"dt": 1e-20, "t_span": (1, 2)}, ValueError, "lost in rounding"),
        ({"t_span": (0, math.inf)}, ValueError, r"t_span\[1\]"),
        ({"t_span": 1.0}, ValueError, "two numbers"),
        ({"t_span": (0, 1, 2)}, ValueError, "two numbers"),
        ({"t_eval": [0.5, 1.5]}, ValueError, r"t_eval: .*, got 1\.5 in entry 1"),
        ({"t_eval": [0.5, 0.2]}, ValueError, "entries 0 and 1"),
        ({"t_eval": [0.5, 0.5]}, ValueError, "without repeats"),
        ({"t_eval": [[0.5]]}, ValueError, r"t_eval: .*, got shape \(1, 1\)"),
        ({"t_eval": [math.nan]}, ValueError, "t_eval: expected finite times"),
        ({"save": "some"}, ValueError, "save: .*, got 'some'"),
        ({"save_every": 0}, ValueError, "save_every: .*, got 0"),
        ({"save_every": 1.5}, ValueError, "save_every: .*, got 1.5"),
        ({"save_every": 2, "save": "last"}, ValueError, "give one of them"),
        ({"method": "rk44"}, ValueError, "did you mean"),
        ({"method": mflow.RK4}, TypeError, r"write RK4\(\)"),
        ({"method": 4}, TypeError, "a name or an instance"),
        ({"method": "adam"}, ValueError, "adam is no integrator"),
        ({"lr": 0.1}, TypeError, "solve_ivp has no argument 'lr'"),
        ({"fun": 3}, TypeError, "fun: expected a callable"),
    ],
)
def test_arguments_that_do_not_fit(change: dict[str, Any], kind: type[Exception], words: str) -> None:
    good = {"fun": decay, "t_span": (0, 1), "y0": [1.0], "dt": 0.1}
    with pytest.raises(kind, match=words):
        mflow.solve_ivp(**{**good, **change})


# ---- compiled right-hand sides ---------------------------------------------------------------------------------------


def test_compiled_functions_of_every_kind_have_the_same_bits(step_method: Any) -> None:
    scipy = pytest.importorskip("scipy")
    fun = decay_cfunc()
    forms = [fun, fun.ctypes, ctypes.cast(fun.ctypes, RHS_C), scipy.LowLevelCallable(fun.ctypes)]
    forms += [capsule(fun.address, name) for name in NAMES]
    want = mflow.solve_ivp(decay, (0, 1), start_of(20), step_method.name, dt=0.1, t_eval=[0.0, 0.33, 1.0])
    for form in forms:
        r = mflow.solve_ivp(form, (0, 1), start_of(20), step_method.name, dt=0.1, t_eval=[0.0, 0.33, 1.0])
        assert np.array_equal(r.y, want.y)
        assert r.nfev == want.nfev


def test_user_data_reaches_the_function() -> None:
    scipy = pytest.importorskip("scipy")
    rate = ctypes.c_double(-3.0)

    @RHS_C
    def fun(t: float, y: Any, out: Any, n: int, ctx: int) -> int:
        for i in range(n):
            out[i] = ctypes.c_double.from_address(ctx).value * y[i]
        return 0

    address = ctypes.cast(fun, ctypes.c_void_p).value
    want = mflow.solve_ivp(lambda t, y: -3.0 * y, (0, 1), [1.0, 2.0], "rk4", dt=0.1)
    for form in (
        capsule(address, NAMES[0], ctypes.addressof(rate)),
        scipy.LowLevelCallable(fun, ctypes.cast(ctypes.byref(rate), ctypes.c_void_p)),
    ):
        assert np.array_equal(mflow.solve_ivp(form, (0, 1), [1.0, 2.0], "rk4", dt=0.1).y, want.y)


@pytest.mark.parametrize("name", WRONG_NAMES)
def test_capsules_of_another_signature(name: bytes) -> None:
    with pytest.raises(TypeError, match=r"^fun: expected a compiled function with the signature .*, got "):
        mflow.solve_ivp(capsule(decay_cfunc().address, name), (0, 1), [1.0], dt=0.1)


def test_compiled_functions_that_do_not_fit() -> None:
    numba = pytest.importorskip("numba")
    fun = decay_cfunc()
    with pytest.raises(TypeError, match=r"expected a PyCapsule whose name .*got one without a name"):
        mflow.solve_ivp(capsule(fun.address, None), (0, 1), [1.0], dt=0.1)
    untyped = ctypes.pythonapi.PyCapsule_Import
    untyped.argtypes = None
    with pytest.raises(TypeError, match="with argtypes, got one without"):
        mflow.solve_ivp(untyped, (0, 1), [1.0], dt=0.1)
    with pytest.raises(TypeError, match="expected a compiled function"):
        mflow.solve_ivp(bowl_c, (0, 1), [1.0], dt=0.1)
    scalar = numba.cfunc("float64(float64)")(lambda x: x)
    with pytest.raises(TypeError, match="expected a compiled function"):
        mflow.solve_ivp(scalar, (0, 1), [1.0], dt=0.1)
    for extra in ({"args": (1.0,)}, {"inplace": True}):
        with pytest.raises(TypeError, match="fun: expected a Python function, for args or inplace is given, got a compiled one"):
            mflow.solve_ivp(fun, (0, 1), [1.0], dt=0.1, **extra)


@pytest.mark.parametrize("code", [-7, 3])
def test_compiled_function_that_gives_up(code: int) -> None:
    @RHS_C
    def fun(t: float, y: Any, out: Any, n: int, ctx: int) -> int:
        out[0] = -y[0]
        return code if t > 0.35 else 0

    r = mflow.solve_ivp(fun, (0, 1), [1.0], "euler", dt=0.1)
    assert (r.reason, r.status, r.nsteps) == ("rhs_failed", -1, 4)
    assert f"code {code}" in r.message


# ---- gradient flow ---------------------------------------------------------------------------------------------------


def test_gradient_flow_is_solve_ivp_of_minus_the_gradient(step_method: Any) -> None:
    for c0 in (start_of(5), start_of(6).reshape(2, 3)):
        flow = mflow.gradient_flow(lambda c, a: a * c**3, c0, 1.0, step_method.name, dt=0.1, args=(2.0,))
        want = mflow.solve_ivp(lambda t, c: -(2.0 * c**3), (0, 1), c0, step_method.name, dt=0.1)
        assert np.array_equal(flow.y, want.y)
        assert (flow.nfev, flow.t.tolist()) == (want.nfev, want.t.tolist())


def test_gradient_flow_of_a_compiled_cost_and_uphill() -> None:
    r = mflow.gradient_flow(bowl_c, np.zeros(2), 2.0, "rk4", dt=0.01)
    np.testing.assert_allclose(r.y[:, -1], 3 - 3 * math.exp(-2), rtol=1e-9)
    up = mflow.gradient_flow(lambda c: c, [1.0], -1.0, "rk4", dt=0.01)
    assert up.y[0, -1] == pytest.approx(math.e, rel=1e-9)
    with pytest.raises(TypeError, match="grad: expected a function of c"):
        mflow.gradient_flow(None, [1.0], 1.0, dt=0.1)
    with pytest.raises(TypeError, match=r"^grad: expected a compiled function"):
        mflow.gradient_flow(decay_cfunc(), [1.0], 1.0, dt=0.1)


@pytest.mark.parametrize(("name", "near"), [("batchargs", "batch_args"), ("thread", "threads"), ("first_stp", "first_step")])
def test_unknown_arguments_are_those_of_the_batch(name: str, near: str) -> None:
    with pytest.raises(TypeError, match=f"solve_ivp_batch has no argument '{name}'; did you mean '{near}'"):
        mflow.solve_ivp_batch(lambda t, y: -y, (0, 1), np.ones((3, 2)), **{name: 1})


def test_one_step_is_told_in_the_singular():
    assert mflow.solve_ivp(lambda t, y: -y, (0, 1), [1.0], "backward_euler", dt=1.0).message.startswith(
        "reached t = 1 in 1 step of backward"
    )
    assert mflow.solve_ivp(lambda t, y: -y, (0, 1), [1.0], "euler", dt=0.5).message.startswith("reached t = 1 in 2 steps of euler")
    text = mflow.solve_ivp_batch(lambda t, y: -y, (0, 1), [[1.0]], method="euler", dt=1.0)[0].message
    assert text == "reached the end in 1 step"
