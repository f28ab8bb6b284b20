"""The core's linear algebra, reached through its table of C functions, against NumPy, SciPy and exact rational arithmetic."""

from __future__ import annotations

import ctypes
import importlib
from fractions import Fraction

import numpy as np
import pytest
import scipy.linalg
from mflow_core import registry

from support.small_cases import for_all

POINTER, SIZE, INT = ctypes.c_void_p, ctypes.c_ssize_t, ctypes.c_int
APPLY = ctypes.CFUNCTYPE(INT, ctypes.POINTER(ctypes.c_double), ctypes.POINTER(ctypes.c_double), SIZE, POINTER)


class Table(ctypes.Structure):
    """linalg_t of linalg.pxd."""

    _fields_ = [
        ("lu_factor", ctypes.CFUNCTYPE(INT, SIZE, POINTER, POINTER)),
        ("lu_solve", ctypes.CFUNCTYPE(None, SIZE, POINTER, POINTER, POINTER)),
        ("band_factor", ctypes.CFUNCTYPE(INT, SIZE, SIZE, SIZE, POINTER, POINTER)),
        ("band_solve", ctypes.CFUNCTYPE(None, SIZE, SIZE, SIZE, POINTER, POINTER, POINTER)),
        ("tridiagonal_solve", ctypes.CFUNCTYPE(INT, SIZE, POINTER, POINTER, POINTER, POINTER, POINTER)),
        (
            "gmres",
            ctypes.CFUNCTYPE(INT, APPLY, POINTER, SIZE, POINTER, POINTER, INT, INT, ctypes.c_double, POINTER, POINTER, ctypes.c_double),
        ),
        ("dot", ctypes.CFUNCTYPE(ctypes.c_double, POINTER, POINTER, SIZE)),
        ("poll", POINTER),
    ]


def table(level):
    capsule = importlib.import_module(f"mflow_core.solvers._linalg_{level}")._table
    get = ctypes.pythonapi.PyCapsule_GetPointer
    get.restype, get.argtypes = POINTER, [ctypes.py_object, ctypes.c_char_p]
    return Table.from_address(get(capsule, b"mflow_core._linalg"))


@pytest.fixture(params=registry.available_levels())
def lin(request):
    return table(request.param)


def at(array):
    return array.ctypes.data


def lu_solve(lin, a, b):
    lu, x, pivots = np.array(a), np.array(b), np.zeros(len(a), dtype=np.int32)
    status = lin.lu_factor(len(a), at(lu), at(pivots))
    if status == 0:
        lin.lu_solve(len(a), at(lu), at(pivots), at(x))
    return status, x, lu, pivots


@for_all("n", [*range(1, 41), 64, 97, 131])
def test_dense_lu(lin, n):
    rng = np.random.default_rng(n)
    a, b = rng.standard_normal((n, n)), rng.standard_normal(n)
    status, x, lu, pivots = lu_solve(lin, a, b)
    assert status == 0
    # backward error: the solution is exact for a matrix this close
    assert np.abs(a @ x - b).max() <= 4e-16 * n * (np.abs(a) @ np.abs(x)).max() + 1e-16
    order = np.arange(n)
    for k, p in enumerate(pivots):
        order[[k, p]] = order[[p, k]]
    lower = np.tril(lu, -1) + np.eye(n)
    upper = np.triu(lu, 1) + np.diag(1.0 / np.diag(lu))
    assert np.abs(lower).max() <= 1.0 + 1e-15  # partial pivoting
    assert np.allclose(lower @ upper, a[order], rtol=0, atol=1e-14 * n)


def test_pivots_are_lapacks(lin):
    rng = np.random.default_rng(1)
    for n in (2, 7, 13, 30, 50):
        a = rng.standard_normal((n, n))
        _, _, _, pivots = lu_solve(lin, a, np.ones(n))
        assert pivots.tolist() == scipy.linalg.lu_factor(a)[1].tolist()


def test_panels_do_not_change_a_bit(lin):
    # Four columns in a pass, or one: each entry loses the same multiples in the same order.
    rng = np.random.default_rng(2)
    for n in (13, 14, 15, 16, 17, 33):
        a = rng.standard_normal((n, n))
        _, _, lu, _ = lu_solve(lin, a, np.ones(n))
        m = a.copy()
        for k in range(n):
            p = k + int(np.argmax(np.abs(m[k:, k])))
            m[[k, p]] = m[[p, k]]
            m[k, k] = 1.0 / m[k, k]
            m[k + 1 :, k] *= m[k, k]
            for j in range(k + 1, n):
                m[k + 1 :, j] -= m[k + 1 :, k] * m[k, j]
        assert np.array_equal(m, lu)


def test_hilbert_against_exact_fractions(lin):
    n = 8
    exact = [[Fraction(1, i + j + 1) for j in range(n)] for i in range(n)]
    a = np.array([[float(v) for v in row] for row in exact])
    b = np.ones(n)
    rows = [[Fraction(v) for v in row] + [Fraction(1)] for row in a.tolist()]  # the rounded matrix, solved exactly
    for k in range(n):
        for i in range(n):
            if i != k:
                f = rows[i][k] / rows[k][k]
                rows[i] = [p - f * q for p, q in zip(rows[i], rows[k], strict=True)]
    expected = np.array([float(rows[i][n] / rows[i][i]) for i in range(n)])
    status, x, _, _ = lu_solve(lin, a, b)
    assert status == 0
    assert np.abs(x - expected).max() <= np.linalg.cond(a) * 2.3e-16 * np.abs(expected).max()


def test_needs_pivoting(lin):
    status, x, _, _ = lu_solve(lin, [[0.0, 1.0], [1.0, 0.0]], [2.0, 3.0])
    assert status == 0
    assert x.tolist() == [3.0, 2.0]
    status, x, _, _ = lu_solve(lin, [[1e-20, 1.0], [1.0, 1.0]], [1.0, 2.0])
    assert status == 0
    assert np.allclose(x, [1.0, 1.0], rtol=1e-15)


@pytest.mark.parametrize("n", [3, 20])
@pytest.mark.parametrize("where", [0, 1, 2])
def test_singular_says_which_column(lin, n, where):
    a = np.eye(n) + np.triu(np.ones((n, n)), 1)
    a[where, where] = 0.0
    a[where, where + 1 :] = 0.0
    if where == n - 1:
        a[where] = 0.0
    assert lu_solve(lin, a, np.ones(n))[0] == where + 1


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("n", [4, 20])
def test_non_finite_never_solves(lin, n, bad):
    rng = np.random.default_rng(3)
    for i, j in ((0, 0), (1, 2), (n - 1, n - 1), (n - 1, 0)):
        a = rng.standard_normal((n, n))
        a[i, j] = bad
        status, x, _, _ = lu_solve(lin, a, np.ones(n))
        assert status > 0 or not np.all(np.isfinite(x)) or bad == np.inf
        if np.isnan(bad):
            assert status > 0


def band_of(a, lower, upper):
    n = len(a)
    out = np.full((n, 2 * lower + upper + 1), 7.0)  # the room for fill-in may hold anything
    for i in range(n):
        for j in range(max(i - lower, 0), min(i + upper + 1, n)):
            out[i, j - i + lower] = a[i, j]
    return out


@pytest.mark.parametrize(("lower", "upper"), [(0, 0), (1, 1), (2, 1), (0, 3), (3, 0), (4, 5), (13, 14)])
def test_banded_is_dense(lin, lower, upper):
    rng = np.random.default_rng(lower * 10 + upper)
    for n in (*range(1, 24), 60):
        if lower >= n or upper >= n:
            continue
        a = np.triu(np.tril(rng.standard_normal((n, n)), upper), -lower)
        b = rng.standard_normal(n)
        band, x, pivots = band_of(a, lower, upper), b.copy(), np.zeros(n, dtype=np.int32)
        assert lin.band_factor(n, lower, upper, at(band), at(pivots)) == 0
        lin.band_solve(n, lower, upper, at(band), at(pivots), at(x))
        assert np.abs(a @ x - b).max() <= 4e-16 * n * (np.abs(a) @ np.abs(x)).max() + 1e-16
        assert pivots.tolist() == scipy.linalg.lu_factor(a, check_finite=False)[1].tolist()


def test_banded_singular(lin):
    a = np.diag([1.0, 2.0, 0.0, 3.0]) + np.diag([1.0, 1.0, 1.0], 1)
    band, pivots = band_of(a, 1, 1), np.zeros(4, dtype=np.int32)
    assert lin.band_factor(4, 1, 1, at(band), at(pivots)) == 3


@pytest.mark.parametrize("n", [1, 2, 3, 4, 17, 100])
def test_tridiagonal(lin, n):
    rng = np.random.default_rng(n)
    below, diagonal, above, b = rng.standard_normal(n), rng.standard_normal(n), rng.standard_normal(n), rng.standard_normal(n)
    a = np.diag(diagonal) + np.diag(below[: n - 1], -1) + np.diag(above[: n - 1], 1)
    x, room = b.copy(), np.full(n, 7.0)
    assert lin.tridiagonal_solve(n, at(below.copy()), at(diagonal.copy()), at(above.copy()), at(room), at(x)) == 0
    assert np.abs(a @ x - b).max() <= 4e-15 * (np.abs(a) @ np.abs(x)).max()


def test_tridiagonal_singular(lin):
    zeros, diagonal, b = np.zeros(3), np.array([1.0, 0.0, 1.0]), np.ones(3)
    assert lin.tridiagonal_solve(3, at(zeros.copy()), at(diagonal), at(zeros.copy()), at(zeros.copy()), at(b)) == 2


def gmres(lin, a, b, m, cycles, tol, share=0.0):
    n = len(b)

    def product(v, out, size, _):
        np.ctypeslib.as_array(out, (size,))[:] = a @ np.ctypeslib.as_array(v, (size,))
        return 0

    x, residual = np.zeros(n), np.zeros(1)
    work = np.zeros((m + 1) * n + m * (m + 1) + 3 * (m + 1))
    status = lin.gmres(APPLY(product), None, n, at(b), at(x), m, cycles, tol, at(work), at(residual), share)
    return status, x, residual[0]


@pytest.mark.parametrize("n", [1, 2, 5, 30])
def test_gmres_full(lin, n):
    rng = np.random.default_rng(n)
    a, b = rng.standard_normal((n, n)) + 4 * np.eye(n), rng.standard_normal(n)
    status, x, residual = gmres(lin, a, b, n, 2, 1e-12)
    assert status == 0
    assert residual <= 1e-12
    assert np.linalg.norm(a @ x - b) <= 1e-11


def test_gmres_restarts(lin):
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((60, 60)) * 0.05 + np.eye(60), rng.standard_normal(60)
    status, x, residual = gmres(lin, a, b, 8, 20, 1e-10)
    assert status == 0
    assert np.linalg.norm(a @ x - b) <= 1.01e-10
    _, _, short = gmres(lin, a, b, 8, 1, 1e-10)
    assert short > 1e-10  # and what it did not reach, it says
    assert residual <= 1e-10


def test_gmres_singular_is_no_success(lin):
    _, _, residual = gmres(lin, np.diag([1.0, 0.0]), np.ones(2), 2, 3, 1e-10)
    assert residual > 0.9


def test_gmres_zero_right_hand_side(lin):
    status, x, residual = gmres(lin, np.eye(3), np.zeros(3), 3, 1, 0.0)
    assert (status, residual) == (0, 0.0)
    assert not x.any()


def test_levels_give_the_same_bits():
    levels = registry.available_levels()
    rng = np.random.default_rng(5)
    for n in (3, 12, 13, 50):
        a, b = rng.standard_normal((n, n)), rng.standard_normal(n)
        solutions = [lu_solve(table(level), a, b)[1].tobytes() for level in levels]
        products = [table(level).dot(at(a), at(b), n) for level in levels]
        assert len(set(solutions)) == len(set(products)) == 1


@pytest.mark.parametrize("n", [0, 1, 15, 16, 17, 200])
def test_dot(lin, n):
    rng = np.random.default_rng(n)
    a, b = rng.standard_normal(n), rng.standard_normal(n)
    exact = float(sum((Fraction(x) * Fraction(y) for x, y in zip(a.tolist(), b.tolist(), strict=True)), Fraction(0)))
    assert abs(lin.dot(at(a), at(b), n) - exact) <= 1e-15 * n * np.abs(a * b).sum() + 0.0
