"""M - c J in the order in which it is factored. Oracles: NumPy's dense solver and determinants, SuperLU's own fill."""

import numpy as np
import pytest
import scipy.integrate
import scipy.sparse
import scipy.sparse.csgraph
import scipy.sparse.linalg

import mflow
from mflow.solvers import nonlinear
from mflow.solvers.assembly import Assembly
from mflow.solvers.sparsity import SparseFactors


def banded(n, generator):
    diagonals = [generator.standard_normal(n - abs(k)) for k in (-2, -1, 0, 1)]
    return scipy.sparse.diags_array(diagonals, offsets=[-2, -1, 0, 1]).tocsc()


def shuffled(n, generator):
    order = generator.permutation(n)
    return banded(n, generator)[order][:, order].tocsc()


def scattered(n, generator):
    return scipy.sparse.random_array((n, n), density=0.1, random_state=generator, data_sampler=generator.standard_normal).tocsc()


def empty(n, generator):
    return scipy.sparse.csc_array((n, n))


def masses(n, generator):
    yield scipy.sparse.identity(n, format="csc")
    yield scipy.sparse.diags_array([generator.standard_normal(n), generator.standard_normal(n - 1)], offsets=[0, 1]).tocsc()


@pytest.mark.parametrize("make", [banded, shuffled, scattered, empty])
@pytest.mark.parametrize("n", [1, 2, 7, 60])
def test_solutions_and_signs_are_numpys(make, n):
    generator = np.random.default_rng(n)
    J = make(n, generator) if n > 2 or make is empty else scipy.sparse.csc_array(generator.standard_normal((n, n)))
    assert bool(Assembly(scipy.sparse.identity(n, format="csc"), J, scipy.sparse).narrow) == (make is not scattered or n < 25)
    for one in masses(n, generator) if n > 1 else [scipy.sparse.identity(1, format="csc")]:
        assembly = Assembly(one, J, scipy.sparse)
        for c in (0.3, -2.0, 0.2 + 0.7j):
            dense, b = (one - c * J).toarray(), generator.standard_normal(n)
            factors = assembly.factors(c, J)
            np.testing.assert_allclose(factors.solve(b.astype(type(c))), np.linalg.solve(dense, b), rtol=1e-8, atol=1e-8)
            if isinstance(c, float):
                assert factors.has_positive_sign() == (np.linalg.slogdet(dense)[0] > 0.0)


def test_a_steady_state_has_the_jacobian_alone():
    J = banded(30, np.random.default_rng(1))
    b = np.arange(30.0)
    x = Assembly(scipy.sparse.identity(30, format="csc"), J, scipy.sparse).factors(np.inf, J, steady=True).solve(b)
    np.testing.assert_allclose(x, np.linalg.solve(-J.toarray(), b), rtol=1e-9)


@pytest.mark.parametrize("make", [banded, scattered])
def test_a_singular_matrix_is_none(make):
    J = make(50, np.random.default_rng(2)).tolil()
    J[:, 3] = 0.0
    J = J.tocsc()
    none = scipy.sparse.csc_matrix((50, 50))
    assert Assembly(none, J, scipy.sparse).factors(1.0, J) is None


def grid(n):
    line = scipy.sparse.diags_array([np.ones(n - 1), np.full(n, -2.0), np.ones(n - 1)], offsets=[-1, 0, 1])
    laplace = scipy.sparse.kronsum(line, line)
    reaction = scipy.sparse.identity(n * n)
    return scipy.sparse.block_array([[laplace, reaction], [-reaction, laplace]]).tocsc()


def test_the_order_is_the_one_of_less_fill():
    J = grid(30)
    one = scipy.sparse.identity(J.shape[0], format="csc")
    factors = Assembly(one, J, scipy.sparse).factors(0.1, J)
    default = scipy.sparse.linalg.splu((one - 0.1 * J).tocsc())
    assert factors._factors.nnz < 0.8 * default.nnz


def test_another_pattern_makes_another_assembly_and_the_users_matrix_stays():
    first, second = grid(5), scattered(50, np.random.default_rng(3))
    second.data[:] = np.abs(second.data)
    twice = scipy.sparse.csc_matrix((np.ones(4), np.array([1, 0, 0, 1]), np.array([0, 3, 4, *[4] * 48])), shape=(50, 50))
    b = np.arange(50.0)
    factors = SparseFactors(50, lambda t, y: {0.0: first, 1.0: second, 2.0: twice}[t])
    for t, J in enumerate((first, second, twice, first)):
        factors.jacobian(float(t % 3), b)
        assert factors.factor(0.1)
        np.testing.assert_allclose(factors.solve(b), np.linalg.solve(np.eye(50) - 0.1 * J.toarray(), b), rtol=1e-9, atol=1e-9)
    assert twice.indices.tolist() == [1, 0, 0, 1]


def csc(J):
    return scipy.sparse.csc_array(J)


def csr(J):
    return scipy.sparse.csr_array(J)


def backwards(J):
    """By columns, the rows of each from the last to the first."""
    matrix = scipy.sparse.csc_array(J)
    order = np.concatenate([np.arange(b - 1, a - 1, -1) for a, b in zip(matrix.indptr, matrix.indptr[1:], strict=False)])
    return scipy.sparse.csc_array((matrix.data[order], matrix.indices[order], matrix.indptr), shape=J.shape)


def twice(J):
    """Every entry in two halves."""
    matrix = scipy.sparse.csr_array(J)
    return scipy.sparse.csr_array((np.repeat(0.5 * matrix.data, 2), np.repeat(matrix.indices, 2), 2 * matrix.indptr), shape=J.shape)


def whole(J):
    return scipy.sparse.csr_array(np.round(100.0 * J).astype(np.int64))


@pytest.mark.parametrize(
    "form", [csc, csr, backwards, twice, whole, scipy.sparse.coo_array, scipy.sparse.dia_array, scipy.sparse.lil_array]
)
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_a_matrix_like_the_one_before_is_taken_as_numpy_takes_it(form, sign):
    n, generator = 40, np.random.default_rng(4)
    made = [form(banded(n, generator).toarray()) for _ in range(3)]
    factors = SparseFactors(n, lambda t, y: made[int(t)], check=(lambda J: J) if sign > 0.0 else (lambda J: -J))
    b = generator.standard_normal(n)
    for t in (0, 1, 2, 1):
        factors.jacobian(float(t), b)
        J = sign * made[t].toarray()
        np.testing.assert_allclose(factors.product(b), J @ b, rtol=1e-12, atol=1e-12)
        assert factors.factor(0.1)
        np.testing.assert_allclose(factors.solve(b), np.linalg.solve(np.eye(n) - 0.1 * J, b), rtol=1e-9, atol=1e-9)
        assert factors.factor_pair(0.1, 0.2)
        z = np.linalg.solve(np.eye(n) - (0.1 + 0.2j) * J, b + 2j * b)
        np.testing.assert_allclose(factors.solve_pair(b, 2.0 * b), np.concatenate([z.real, z.imag]), rtol=1e-9, atol=1e-9)


def test_a_matrix_that_the_user_fills_again_is_not_written_to():
    J = banded(30, np.random.default_rng(5))
    kept, b = J.data.copy(), np.arange(30.0)
    factors = SparseFactors(30, lambda t, y: J)
    for scale in (1.0, 2.0, 4.0):
        J.data[:] = scale * kept
        factors.jacobian(0.0, b)
        np.testing.assert_array_equal(J.data, scale * kept)
        np.testing.assert_allclose(factors.product(b), J.toarray() @ b, rtol=1e-12)
        assert factors.factor(0.1)
        np.testing.assert_allclose(factors.solve(b), np.linalg.solve(np.eye(30) - 0.1 * J.toarray(), b), rtol=1e-9, atol=1e-9)


def test_indices_that_are_spoiled_on_the_way_are_said():
    made, calls = banded(200, np.random.default_rng(6)), [0]

    def jac(t, y):
        J = made.copy()
        calls[0] += 1
        if calls[0] == 5:
            J.indices[3] = 5000
        return J

    with pytest.raises(ValueError, match="jac: expected indices from 0 to 199 in indices, got 5000 in entry 3"):
        mflow.solve_ivp(lambda t, y: made @ y, (0.0, 1.0), np.ones(200), "bdf", jac=jac, solver=nonlinear.Newton(full=True))


@pytest.mark.parametrize("method", ["bdf", "radau5", "esdirk43"])
def test_a_narrow_band_is_solved_without_python(method, monkeypatch):
    """A matrix by rows, in disorder, is looked at once, and no right-hand side is handed out."""
    J = (0.1 * shuffled(300, np.random.default_rng(7)) - 5.0 * scipy.sparse.identity(300)).tocsr()
    looks, check = [0], nonlinear.check_sparse

    def counted(*given):
        looks[0] += 1
        return check(*given)

    monkeypatch.setattr(nonlinear, "check_sparse", counted)
    for name in ("solve", "solve_pair"):
        monkeypatch.setattr(SparseFactors, name, None)
    r = mflow.solve_ivp(lambda t, y: J @ (y - np.cos(t)), (0.0, 1.0), np.zeros(300), method, jac=lambda t, y: J.copy())
    peer = scipy.integrate.solve_ivp(lambda t, y: J @ (y - np.cos(t)), (0.0, 1.0), np.zeros(300), "Radau", rtol=1e-9, atol=1e-11, jac=J)
    assert r.success
    np.testing.assert_allclose(r.y[:, -1], peer.y[:, -1], atol=0.05)
    assert looks[0] <= 3


def test_radau5_keeps_a_sparse_jacobian_longer_than_a_dense_one():
    """To make a sparse matrix takes the time of ten evaluations. A Brusselator on a line; the end by SciPy's LSODA."""
    n, by = 12, 0.02 * 13**2
    second = scipy.sparse.diags_array([np.ones(n - 1), np.full(n, -2.0), np.ones(n - 1)], offsets=[-1, 0, 1]).toarray() * by
    edge = np.zeros(n)
    edge[[0, -1]] = by

    def fun(t, y):
        u, v = y[:n], y[n:]
        return np.concatenate([1.0 + u * u * v - 4.0 * u + second @ u + edge, 3.0 * u - u * u * v + second @ v + 3.0 * edge])

    def jac(t, y):
        u, v = y[:n], y[n:]
        cross, square = np.diag(2.0 * u * v), np.diag(u * u)
        return np.block([[second + cross - 4.0 * np.eye(n), square], [3.0 * np.eye(n) - cross, second - square]])

    start = np.concatenate([1.0 + np.sin(2.0 * np.pi * np.arange(1, n + 1) / (n + 1.0)), np.full(n, 3.0)])
    options = {"rtol": 1e-6, "atol": 1e-6, "save": "last"}
    dense = mflow.solve_ivp(fun, (0, 10), start, "radau5", jac=jac, **options)
    sparse = mflow.solve_ivp(fun, (0, 10), start, "radau5", jac=lambda t, y: scipy.sparse.csc_array(jac(t, y)), **options)
    assert 2 * sparse.njev < dense.njev
    assert sparse.nfev < 1.1 * dense.nfev
    end = scipy.integrate.solve_ivp(fun, (0, 10), start, "LSODA", rtol=1e-10, atol=1e-10).y[:, -1]
    np.testing.assert_allclose(sparse.y[:, -1], end, rtol=1e-6, atol=1e-6)
