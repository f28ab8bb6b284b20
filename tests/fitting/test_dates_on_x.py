"""Data far from 0 beside their range, such as dates: what the table, the messages and the errors say."""

from __future__ import annotations

import datetime
import re
from typing import Any

import numpy as np
import pytest

import mflow

U = np.linspace(0.0, 60.0, 61)


def peak(x: Any, height: Any, centre: Any, width: Any) -> Any:
    return height * np.exp(-0.5 * ((x - centre) / width) ** 2)


def two(x: Any, a1: Any, c1: Any, a2: Any, c2: Any) -> Any:
    return peak(x, a1, c1, 2.0) + peak(x, a2, c2, 2.0)


@pytest.mark.parametrize(("offset", "unit"), [(1.7e9, 86400.0), (2460330.5, 1.0), (0.0, 1e-9), (0.0, 1.0)])
def test_digits_follow_the_standard_error(offset: float, unit: float) -> None:
    """They were 8 of a value and 6 of an interval: both ends of that of a date were the same."""
    x = offset + unit * U
    y = peak(U, 3.0, 31.0, 4.0) + 0.05 * np.sin(1.7 * np.arange(U.size) ** 2)
    fit = mflow.curve_fit(peak, x, y, [3.0, offset + 30.0 * unit, 4.0 * unit])
    rows = str(fit).splitlines()[3:6]
    for row, value, error, (low, high) in zip(rows, fit.popt, fit.stderr, fit.intervals(), strict=True):
        _, told, _, _, _, left, _, right = row.split()
        assert abs(float(told) - value) < 1e-3 * error
        assert abs(float(left) - low) < 1e-3 * error
        assert abs(float(right) - high) < 1e-3 * error
        assert len(told.lstrip("-").replace(".", "")) <= 16
    assert "<td" in fit._repr_html_()
    assert rows[1].split()[1] in fit._repr_html_()


def test_ends_that_no_numbers_tell_apart() -> None:
    """An error below the rounding of its value has an interval of one number."""
    from mflow.fitting.fitted import _interval

    assert _interval(np.array([1.7e9, 1.7e9]), 1e-9) == "1700000000 +- 1e-09"
    above = float(np.nextafter(1.7e9, 2e9))
    left, _, right = _interval(np.array([1.7e9, above]), 1e-7).split()
    assert (float(left), float(right)) == (1.7e9, above)


def test_messages_name_the_parameters_and_the_cure() -> None:
    """They spoke of x[1] and x[3], which read as data, and of no cure."""
    x = 1.7e9 + U
    y = two(U, 3.0, 20.0, 2.0, 40.0)
    with pytest.raises(RuntimeError, match=r"xdata are as large as 1\.7e\+09 and span 60: fit over xdata - xdata\[0\]") as caught:
        mflow.curve_fit(two, x, y, [3.0, 1.7e9 + 5e3, 2.0, 1.7e9 + 40.0], maxfev=8)
    assert not re.search(r"\bx\[\d", str(caught.value))
    fit = mflow.curve_fit(two, U, y, [3.0, 20.5, 2.0, 40.5])
    np.testing.assert_allclose(fit.popt, [3.0, 20.0, 2.0, 40.0], rtol=1e-7)


def test_a_parameter_without_effect_is_named() -> None:
    """Its number was told, of x."""
    with pytest.warns(RuntimeWarning, match="covariance") as caught:
        fit = mflow.curve_fit(lambda x, slope, idle: slope * x, U, 2.0 * U + np.cos(U), [1.0, 1.0])
    assert "no residual depends on idle at these parameters" in fit.message
    assert "xdata are as large" not in str(caught[0].message)


DAYS = np.datetime64("2024-01-01") + np.arange(61)


def given(kind: str) -> Any:
    if kind == "objects":
        return [datetime.datetime(2024, 1, 1) + datetime.timedelta(days=k) for k in range(61)]
    if kind == "datetime64":
        return DAYS
    if kind == "timedelta64":
        return DAYS - DAYS[0]
    pandas = pytest.importorskip("pandas")
    return {"index": pandas.DatetimeIndex(DAYS), "series": pandas.Series(DAYS), "zone": pandas.DatetimeIndex(DAYS, tz="UTC")}[kind]


@pytest.mark.parametrize("kind", ["objects", "datetime64", "timedelta64", "index", "series", "zone"])
@pytest.mark.parametrize("model", [peak, "gaussian_peak"])
def test_dates_are_answered_with_the_cure(kind: str, model: Any) -> None:
    """It said "expected real numbers", or the model failed in pandas' words. What the error says gives numbers that fit."""
    x = given(kind)
    y = peak(U, 3.0, 31.0, 4.0)
    with pytest.raises(TypeError, match=r"^xdata: expected real numbers, got .*seconds of them$") as caught:
        mflow.curve_fit(model, x, y)
    first, second = str(caught.value).partition("; ")[2].removesuffix(" makes seconds of them").split("; ")
    names = {"np": np, "t": x}
    exec(first, names)
    seconds: Any = eval(second, names)
    np.testing.assert_array_equal(seconds, 86400.0 * U)
