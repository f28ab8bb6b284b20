"""Regressions over sparse rows: the same cost as over the array, without turning into it; structures that lie are named."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from mflow_core import registry

import mflow
from mflow.problems import objectives

sparse = pytest.importorskip("scipy.sparse")

RNG = np.random.default_rng(5)
ROWS, COLUMNS = 61, 23
TABLE = np.where(RNG.random((ROWS, COLUMNS)) < 0.2, RNG.standard_normal((ROWS, COLUMNS)), 0.0)
TABLE[7] = 0.0  # a row without entries
FULL = TABLE.copy()
FULL[11] = RNG.standard_normal(COLUMNS)  # and one with all
WEIGHTS = RNG.integers(0, 3, ROWS).astype(float)
LABELS = {
    "LeastSquares": RNG.standard_normal(ROWS),
    "Logistic": RNG.integers(0, 2, ROWS),
    "Poisson": RNG.poisson(2.0, ROWS),
    "Huber": 2.0 * RNG.standard_normal(ROWS),
    "Softmax": RNG.integers(0, 4, ROWS),
}


def both(name, matrix=sparse.csr_array, **how):
    """The objective over sparse rows and its twin over the array."""
    make = getattr(objectives, name)
    return make(matrix(FULL), LABELS[name], **how), make(FULL, LABELS[name], **how)


def close(one, other, scale):
    np.testing.assert_allclose(one, other, rtol=0.0, atol=1e-14 * scale)


@pytest.mark.parametrize("intercept", [False, True])
@pytest.mark.parametrize("name", LABELS)
def test_value_gradient_and_products_are_those_of_the_array(name, intercept):
    f, twin = both(name, l2=0.1, weights=WEIGHTS, intercept=intercept)
    c, p = RNG.standard_normal(f.shape), RNG.standard_normal(f.shape)
    rows = RNG.integers(0, ROWS, 40)
    for one, other in ((f, twin), (f.batch(rows), twin.batch(rows)), (pickle.loads(pickle.dumps(f)), twin)):
        close(one(c), other(c), 1 + abs(other(c)))
        close(one.grad(c), other.grad(c), 1 + np.max(np.abs(other.grad(c))))
        close(one.hessp(c, p), other.hessp(c, p), 1 + np.max(np.abs(other.hessp(c, p))))


@pytest.mark.parametrize(
    "matrix", [sparse.csr_matrix, sparse.csc_array, sparse.coo_array, sparse.lil_array, sparse.dok_array, sparse.bsr_array]
)
def test_every_form_of_scipy_is_taken(matrix):
    f, twin = both("Logistic", matrix)
    c = RNG.standard_normal(COLUMNS)
    close(f.grad(c), twin.grad(c), 1.0)


def test_residuals_and_entries_that_stand_twice():
    X = sparse.csr_array((np.array([1.0, 2.0, 4.0]), np.array([0, 0, 1]), np.array([0, 2, 3])), shape=(2, 2))
    f, twin = objectives.LeastSquares(X, [1.0, 2.0], intercept=True), objectives.LeastSquares(X.toarray(), [1.0, 2.0], intercept=True)
    c = np.array([0.5, -1.0, 0.25])
    np.testing.assert_array_equal(f.residuals(c), twin.residuals(c))
    np.testing.assert_array_equal(f.jac(c), twin.jac(c))
    assert f.grad(c).tolist() == twin.grad(c).tolist()


@pytest.mark.parametrize("name", LABELS)
def test_the_same_bits_at_every_level(name):
    f, _ = both(name, intercept=True)
    c = RNG.standard_normal(f.shape)
    bits = {f._at_level(level).value_and_grad(c)[1].tobytes() for level in registry.available_levels()}
    assert len(bits) == 1


def test_drivers_find_the_same_minimum():
    f, twin = both("Logistic", l2=0.01, intercept=True)
    one, other = (mflow.minimize(g, g.x0, gtol=1e-9) for g in (f, twin))
    assert one.success
    np.testing.assert_allclose(one.x, other.x, atol=1e-7)
    many = mflow.minimize_batch(f, np.zeros((3, f.n)), "lbfgs", gtol=1e-9)
    assert many.x[2].tobytes() == one.x.tobytes()
    trained, dense = ([np.zeros(f.n)] for _ in range(2))
    for g, params in ((f, trained), (twin, dense)):
        mflow.train(g, params, None, "adam", lr=0.05, epochs=3, batch_size=8, seed=1)
    np.testing.assert_allclose(trained[0], dense[0], atol=1e-12)


def test_a_wide_table_stays_sparse():
    """A million columns and 200 rows: as an array it would take 1.6 GB."""
    at = RNG.integers(0, 1_000_000, (200, 5))
    X = sparse.csr_array((np.ones(1000), at.ravel(), np.arange(0, 1001, 5)), shape=(200, 1_000_000))
    f = objectives.LeastSquares(X, np.ones(200))
    want = np.bincount(at.ravel(), minlength=1_000_000) * (-1.0 / 200)
    np.testing.assert_allclose(f.grad(np.zeros(1_000_000)), want, rtol=1e-12)


def test_structures_that_lie_are_named_and_later_changes_do_no_harm():
    X = sparse.csr_array(FULL)
    f = objectives.Logistic(X, LABELS["Logistic"])
    before = f(np.ones(COLUMNS))
    X.indices[0] = 10**6
    assert f(np.ones(COLUMNS)) == before
    with pytest.raises(ValueError, match=r"^X: expected indices from 0 to 22 in indices, got 1000000 in entry 0"):
        objectives.Logistic(X, LABELS["Logistic"])
    X = sparse.csr_array(FULL)
    X.data[3] = np.nan
    with pytest.raises(ValueError, match=r"^X: expected finite numbers, got nan"):
        objectives.Logistic(X, LABELS["Logistic"])
    with pytest.raises(TypeError, match=r"^X: expected real numbers, got a sparse matrix of dtype complex128"):
        objectives.Logistic(sparse.csr_array(FULL * 1j), LABELS["Logistic"])
    with pytest.raises(ValueError, match=r"^y: expected 61 labels"):
        objectives.Logistic(sparse.csr_array(FULL), LABELS["Logistic"][1:])
    with pytest.raises(ValueError, match=r"^X: expected shape \(m, p\)"):
        objectives.Logistic(sparse.csr_array((0, 3)), [])
    f, _ = both("LeastSquares")
    with pytest.raises(ValueError, match=r"^batch_data: .* whose rows are sparse"):
        mflow.minimize_batch(f, np.zeros((2, COLUMNS)), "lbfgs", batch_data={"X": np.zeros((2, ROWS, COLUMNS))})
