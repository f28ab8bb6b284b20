"""The checks of arguments: what each of them accepts, and the exact words with which it refuses the rest."""

from __future__ import annotations

import math
import re
from fractions import Fraction

import numpy as np
import pytest

import mflow
from mflow.base import checks

NAN, INF = math.nan, math.inf


def refused(error, text):
    """Expects an error of this kind with exactly this text."""
    return pytest.raises(error, match=f"^{re.escape(text)}$")


# ---- numbers --------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [2, 2.0, np.float32(2.0), np.int8(2), np.array(2.0), Fraction(2)])
def test_a_number_becomes_a_float(value):
    number = checks.check_number(value, "dt")
    assert (type(number), number) == (float, 2.0)


@pytest.mark.parametrize(
    ("value", "limits", "expected"),
    [
        (NAN, {}, "a finite number"),
        (INF, {"low": 0.0}, "a finite number of at least 0"),
        (-1.0, {"low": 0.0}, "a finite number of at least 0"),
        (0.0, {"low": 0.0, "open_low": True}, "a finite number above 0"),
        (2.5, {"high": 2.0}, "a finite number of at most 2"),
        (2.0, {"high": 2.0, "open_high": True}, "a finite number below 2"),
        (1.5, {"low": 0.0, "high": 1.0}, "a finite number from 0 to 1"),
        (1.0, {"low": 0.0, "high": 1.0, "open_high": True}, "a finite number in [0, 1)"),
        (0.0, {"low": 0.0, "high": 1.0, "open_low": True}, "a finite number in (0, 1]"),
        (1.0, {"low": 0.0, "high": 1.0, "open_low": True, "open_high": True}, "a finite number in (0, 1)"),
        (-3.0, {"low": 0.0, "expected": "a step above 0"}, "a step above 0"),
    ],
)
def test_numbers_out_of_range(value, limits, expected):
    with refused(ValueError, f"dt: expected {expected}, got {value!r}"):
        checks.check_number(value, "dt", **limits)


@pytest.mark.parametrize("value", [None, "fast", "2", True, np.True_, b"2", [1.0, 2.0], np.ones(2), 1j])
def test_what_is_no_number(value):
    with refused(TypeError, f"dt: expected a finite number, got {value!r}"):
        checks.check_number(value, "dt")


def test_closed_limits_are_allowed():
    assert [checks.check_number(v, "p", low=0.0, high=1.0) for v in (0.0, 1.0)] == [0.0, 1.0]


@pytest.mark.parametrize("value", [3, 3.0, np.int64(3), np.uint8(3), np.float32(3.0), np.array(3)])
def test_a_whole_number_becomes_an_int(value):
    number = checks.check_whole(value, "steps", 3, 3)
    assert (type(number), number) == (int, 3)


@pytest.mark.parametrize(
    ("value", "limits", "expected"),
    [
        (-1, (), "a whole number of at least 0"),
        (0, (1,), "a whole number of at least 1"),
        (65, (1, 64), "a whole number from 1 to 64"),
        (2.5, (), "a whole number of at least 0"),
        (True, (), "a whole number of at least 0"),
        (np.True_, (), "a whole number of at least 0"),
        ("3", (), "a whole number of at least 0"),
        (INF, (), "a whole number of at least 0"),
        (np.float32("nan"), (), "a whole number of at least 0"),
        (0, (1, INF, "a number of samples"), "a number of samples"),
    ],
)
def test_whole_numbers_out_of_range(value, limits, expected):
    with refused(ValueError, f"steps: expected {expected}, got {value!r}"):
        checks.check_whole(value, "steps", *limits)


@pytest.mark.parametrize("value", [None, "many", [1, 2], 1j])
def test_what_is_no_whole_number(value):
    with refused(TypeError, f"steps: expected a whole number of at least 0, got {value!r}"):
        checks.check_whole(value, "steps")


def test_choices():
    assert checks.check_choice("max", "mode", ("min", "max")) == "max"
    with refused(ValueError, "mode: expected 'min' or 'max', got 'least'"):
        checks.check_choice("least", "mode", ("min", "max"))
    with refused(ValueError, "unit: expected one of 'g', 'm/s2', 'cm/s2', got None"):
        checks.check_choice(None, "unit", {"g": 1, "m/s2": 2, "cm/s2": 3})


def test_args_become_a_tuple():
    one = np.ones(2)
    assert checks.as_tuple((1, 2)) == checks.as_tuple([1, 2]) == (1, 2)
    assert checks.as_tuple(3) == (3,)
    assert checks.as_tuple("ab") == ("ab",)
    assert checks.as_tuple(()) == ()
    assert checks.as_tuple(one)[0] is one


# ---- arrays ---------------------------------------------------------------------------------------------------------------------------


def test_real_arrays():
    held = np.arange(3.0)
    assert checks.real_array(held, "x") is held
    assert checks.real_array([[1, True]], "x").dtype == np.float64
    with refused(TypeError, "x: expected real numbers, got complex128; stack real and imaginary parts"):
        checks.real_array([1j], "x")


def test_finite_arrays():
    held = np.arange(4.0).reshape(2, 2)
    assert checks.finite_array(held, "x") is held
    held[1, 0] = -INF
    with refused(ValueError, "x: expected finite numbers, got -inf in entry 2"):
        checks.finite_array(held, "x")


@pytest.mark.parametrize("value", [1.5, [1, 2], [[True, False]], np.ones((2, 3), np.float32), np.asfortranarray(np.ones((2, 3)))])
def test_a_start_is_a_copy_of_the_same_shape(value):
    start = checks.check_start(value, "y0")
    assert (start.dtype, start.shape, start.flags.c_contiguous) == (np.float64, np.shape(value), True)
    assert np.array_equal(start, value)
    assert not np.shares_memory(start, np.asarray(value))


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        ([1j], TypeError, "y0: expected real numbers, got complex128; stack real and imaginary parts"),
        (["a"], TypeError, "y0: expected real numbers, got the string 'a' in entry 0; np.asarray(..., dtype=float) reads numbers"),
        (None, TypeError, "y0: expected real numbers, got None"),
        ([[1.0, NAN]], ValueError, "y0: expected finite numbers, got nan in entry 1"),
        (INF, ValueError, "y0: expected finite numbers, got inf in entry 0"),
    ],
)
def test_what_is_no_start(value, error, text):
    with refused(error, text):
        checks.check_start(value, "y0")


def test_vectors():
    assert checks.check_vector([1, 2], "b").tolist() == checks.check_vector([1, 2], "b", 2).tolist() == [1.0, 2.0]
    assert checks.check_vector([], "b").shape == (0,)
    with refused(ValueError, "b: expected an array of shape (3,), got shape (2,)"):
        checks.check_vector([1, 2], "b", 3)
    for value, shape in ((1.0, "()"), ([[1.0]], "(1, 1)")):
        with refused(ValueError, f"b: expected an array of shape (n,), got shape {shape}"):
            checks.check_vector(value, "b")
    with refused(ValueError, "b: expected finite numbers, got nan in entry 0"):
        checks.check_vector([NAN], "b")


# ---- times ----------------------------------------------------------------------------------------------------------------------------


def test_times_in_the_direction_of_integration():
    given = np.array([0.0, 0.5, 1.0])
    assert checks.check_times(given, 0.0, 1.0) is not given
    assert checks.check_times([1.0, 0.25], 1.0, 0.0).tolist() == [1.0, 0.25]
    assert checks.check_times([], 0.0, 1.0).size == 0


def test_a_time_beside_the_end_is_the_end():
    assert checks.check_times([0.1 + 0.2], 0.0, 0.3)[0] == 0.3
    before = 0.3 * (1 - 1e-15)
    assert checks.check_times([before], 0.0, 0.3)[0] == before < 0.3


@pytest.mark.parametrize(
    ("times", "t0", "t1", "text"),
    [
        (0.5, 0.0, 1.0, "t_eval: expected an array of shape (m,), got shape ()"),
        ([0.5, NAN], 0.0, 1.0, "t_eval: expected finite times, got NaN or an infinity"),
        ([0.5, 1.5], 0.0, 1.0, "t_eval: expected times inside t_span = (0.0, 1.0), got 1.5 in entry 1"),
        ([-0.5], 1.0, 0.0, "t_eval: expected times inside t_span = (1.0, 0.0), got -0.5 in entry 0"),
        ([0.0, 0.5, 0.5], 0.0, 1.0, "t_eval: expected times sorted from t0 to t_end without repeats, got entries 1 and 2 out of order"),
        ([0.0, 0.5], 1.0, 0.0, "t_eval: expected times sorted from t0 to t_end without repeats, got entries 0 and 1 out of order"),
    ],
)
def test_times_that_do_not_fit(times, t0, t1, text):
    with refused(ValueError, text):
        checks.check_times(times, t0, t1)


def test_every_check_is_named():
    functions = {name for name, item in vars(checks).items() if callable(item) and getattr(item, "__module__", "") == checks.__name__}
    assert functions == {name for name in checks.__all__ if not name.isupper()}


def test_a_dict_of_arrays_is_told_how_to_become_one():
    params = {"W": np.ones((2, 2)), "b": np.ones(2)}
    for call in (lambda: mflow.minimize(lambda p: 0.0, params), lambda: mflow.explain(lambda p: 0.0, params)):
        with pytest.raises(TypeError, match=r"x0: expected one array of numbers, got a dict of 'W', 'b'; np.concatenate"):
            call()
