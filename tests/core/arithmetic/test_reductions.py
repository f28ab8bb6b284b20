"""The tests and reductions of `arithmetic.reductions` at every instruction-set level, against NumPy's, with one number that is special."""

from __future__ import annotations

import ctypes
import importlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from mflow_core import registry

Array = np.ndarray[Any, np.dtype[np.float64]]

NAMES = ("all_finite", "max_abs", "sum_of_squares", "error_sum", "all_tame")  # the fields of `reductions_t`
WILD = 2.0**465
LENGTHS = (0, 1, 7, 8, 12, 13, 15, 16, 17, 23, 24, 31, 32, 40, 63, 64, 65, 72, 79, 80, 127, 128, 135, 192)
SPECIAL = (np.nan, -np.nan, np.inf, -np.inf)


@pytest.fixture(params=registry.available_levels())
def table(request: pytest.FixtureRequest) -> Any:
    pointer = ctypes.pythonapi.PyCapsule_GetPointer
    pointer.restype, pointer.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    module = importlib.import_module(f"mflow_core.arithmetic._reductions_{request.param}")
    return ctypes.cast(pointer(module._table, b"mflow_core._reductions"), ctypes.POINTER(ctypes.c_void_p))


def function(table: Any, name: str, result: Any) -> Callable[[Array], Any]:
    address = table[NAMES.index(name)]
    call = ctypes.CFUNCTYPE(result, ctypes.c_void_p, ctypes.c_ssize_t)(address)
    return lambda x: call(x.ctypes.data, x.size)


def with_one(value: float, usual: float) -> Iterator[Array]:
    """Vectors of usual numbers with one other, in every place."""
    for n in LENGTHS:
        for place in range(n):
            x = usual * np.cos(np.arange(n))
            x[place] = value
            yield x


@pytest.mark.parametrize("usual", [1.0, 1.7e308])  # many of the second have no finite sum
@pytest.mark.parametrize("value", [*SPECIAL, 1.7e308, -5e-324])
def test_one_number_that_is_not_finite_is_found_in_every_place(table: Any, value: float, usual: float) -> None:
    all_finite = function(table, "all_finite", ctypes.c_int)
    wrong = [x.size for x in with_one(value, usual) if bool(all_finite(x)) != np.isfinite(value)]
    assert wrong == []


@pytest.mark.parametrize("value", [*SPECIAL, WILD, -np.nextafter(WILD, 0.0), 1.7e308, 0.0])
def test_one_wild_number_is_found_in_every_place(table: Any, value: float) -> None:
    all_tame = function(table, "all_tame", ctypes.c_int)
    assert all(bool(all_tame(x)) == (abs(value) < WILD) for x in with_one(value, 1e139))


@pytest.mark.parametrize("value", [*SPECIAL, 3.0, -3.0, -5e-324, 0.0])
def test_the_largest_magnitude_is_that_of_numpy(table: Any, value: float) -> None:
    max_abs = function(table, "max_abs", ctypes.c_double)
    for x in with_one(value, 1.0):
        np.testing.assert_equal(max_abs(x), np.max(np.abs(x)))


def test_infinities_of_both_signs_do_not_cancel(table: Any) -> None:
    all_finite = function(table, "all_finite", ctypes.c_int)
    for n in (64, 128, 192):
        x = np.ones(n)
        x[3], x[19] = np.inf, -np.inf
        assert not all_finite(x)
    assert all_finite(np.empty(0))
