"""rhs_t=: the derivative by time that is given in place of a difference. Oracle: a closed form, counts."""

import ctypes
import math
from typing import Any

import numpy as np
import pytest

import mflow

RATE = 1e3


def fun(t: float, y: Any) -> Any:
    return np.array([-RATE * (y[0] - math.cos(50.0 * t)) - 50.0 * math.sin(50.0 * t)])


def fun_t(t: float, y: Any) -> Any:
    return np.array([-RATE * 50.0 * math.sin(50.0 * t) - 2500.0 * math.cos(50.0 * t)])


def jac(t: float, y: Any) -> Any:
    return np.array([[-RATE]])


SETTINGS: dict[str, Any] = {"method": "rodas5p", "jac": jac, "rtol": 1e-9, "atol": 1e-11, "save": "last"}


def test_a_given_derivative_takes_no_evaluations_and_no_accuracy() -> None:
    calls = []

    def counted(t: float, y: Any) -> Any:
        calls.append(t)
        return fun_t(t, y)

    by_difference = mflow.solve_ivp(fun, (0, 1), [1.0], **SETTINGS)
    r = mflow.solve_ivp(fun, (0, 1), [1.0], rhs_t=counted, **SETTINGS)
    assert abs(r.y[0, -1] - math.cos(50.0)) <= 1.1 * abs(by_difference.y[0, -1] - math.cos(50.0)) + 1e-12
    tried = r.nsteps + r.nrejected
    assert len(calls) == tried
    assert r.nfev / tried == pytest.approx(by_difference.nfev / (by_difference.nsteps + by_difference.nrejected) - 1.0, abs=0.05)


def test_a_wrong_one_is_seen_in_the_error() -> None:
    settings = {**SETTINGS, "rtol": 1e-6, "atol": 1e-8}
    r = mflow.solve_ivp(fun, (0, 0.1), [1.0], rhs_t=lambda t, y: [0.0], **settings)
    right = mflow.solve_ivp(fun, (0, 0.1), [1.0], rhs_t=fun_t, **settings)
    assert r.nsteps > 3 * right.nsteps


def test_it_fills_an_array_and_may_be_compiled() -> None:
    want = mflow.solve_ivp(fun, (0, 1), [1.0], rhs_t=fun_t, **SETTINGS).y

    def filled(t: float, y: Any, out: Any) -> None:
        out[:] = fun(t, y)

    def filled_t(t: float, y: Any, out: Any) -> None:
        out[:] = fun_t(t, y)

    np.testing.assert_array_equal(mflow.solve_ivp(filled, (0, 1), [1.0], inplace=True, rhs_t=filled_t, **SETTINGS).y, want)
    pointer = ctypes.POINTER(ctypes.c_double)

    @ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_double, pointer, pointer, ctypes.c_ssize_t, ctypes.c_void_p)
    def compiled(t: float, y: Any, out: Any, n: int, ctx: Any) -> int:
        out[0] = fun_t(t, None)[0]
        return 0

    np.testing.assert_array_equal(mflow.solve_ivp(fun, (0, 1), [1.0], rhs_t=compiled, **SETTINGS).y, want)


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        ({"rhs_t": fun_t, "method": "radau5"}, ValueError, "^rhs_t: expected a method that uses .*rodas5p"),
        ({"rhs_t": 3.0}, TypeError, "^rhs_t: expected a function"),
        ({"rhs_t": lambda t, y: [1.0, 2.0]}, ValueError, r"^rhs_t: expected real numbers of shape \(1,\)"),
        ({"rhs_t": lambda t, y: None}, ValueError, "^rhs_t: expected real numbers"),
    ],
)
def test_bad_input_is_told(given: dict[str, Any], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        mflow.solve_ivp(fun, (0, 1), [1.0], **{**SETTINGS, **given})


def test_an_error_in_it_comes_through_and_nan_ends_the_run() -> None:
    with pytest.raises(ZeroDivisionError):
        mflow.solve_ivp(fun, (0, 1), [1.0], rhs_t=lambda t, y: [1 / 0], **SETTINGS)
    r = mflow.solve_ivp(fun, (0, 1), [1.0], rhs_t=lambda t, y: [math.nan if t > 0.5 else fun_t(t, y)[0]], **SETTINGS)
    assert r.reason == "non_finite"
    assert r.t[-1] <= 0.51


@pytest.mark.parametrize("start", [0.0, 1e3, 1e6])
def test_far_from_0_the_difference_in_time_has_the_length_of_the_problem(start: float) -> None:
    """It was a share of |t|, as long as the period of the forcing: 48 times the steps at t = 1e6."""

    def far(t: float, y: Any) -> Any:
        return -1e3 * (y - math.cos(t - start)) - math.sin(t - start)

    def far_t(t: float, y: Any) -> Any:
        return np.array([-1e3 * math.sin(t - start) - math.cos(t - start)])

    given, found = (
        mflow.solve_ivp(far, (start, start + 3.0), [1.0], "rodas5p", rtol=1e-8, atol=1e-10, **more) for more in ({"rhs_t": far_t}, {})
    )
    assert found.success
    assert found.nsteps <= 1.25 * given.nsteps
    assert found.y[0, -1] == pytest.approx(math.cos(3.0), abs=1e-8)
