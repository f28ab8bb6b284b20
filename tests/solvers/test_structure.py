"""Sparse matrices and index arrays of users whose structure is wrong: an error that names the argument and the defect, from every entry
point, before a compiled routine reads them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.sparse
import scipy.sparse.linalg
from mflow_core.problems.sparse import check_sparse
from mflow_core.solvers.band_lu import BandLU

import mflow
from mflow.analysis.field import Field
from mflow.nonlinear import color_columns
from support.small_cases import for_all

N = 420  # large enough for the sparse paths, which dense ones take over up to 400


def tridiagonal(kind: str = "csr", n: int = N) -> Any:
    return scipy.sparse.diags_array([np.ones(n - 1), np.full(n, -4.0), np.ones(n - 1)], offsets=[-1, 0, 1]).asformat(kind)


def wide(kind: str) -> Any:
    """No narrow band, whatever the order of its rows."""
    rng = np.random.default_rng(0)
    A = scipy.sparse.random_array((N, N), density=0.05, random_state=rng, format="csr")
    return (A + 10.0 * scipy.sparse.identity(N)).asformat(kind)


def outside(A: Any) -> None:
    A.indices[len(A.indices) // 2] = 10**8


def negative(A: Any) -> None:
    A.indices[0] = -(10**8)


def wraps(A: Any) -> None:
    A.indices = A.indices.astype(np.int64)
    A.indices[3] += 2**32


def beyond(A: Any) -> None:
    A.indptr[-1] = 10**8


def falls(A: Any) -> None:
    A.indptr[1:3] = (10**8, 2)


def starts_late(A: Any) -> None:
    A.indptr[0] = -5


def short(A: Any) -> None:
    A.indptr = A.indptr[:-7].copy()


def fewer_data(A: Any) -> None:
    A.data = A.data[:5].copy()


def broken_floats(A: Any) -> None:
    A.indices = A.indices + 0.5


DEFECTS = {
    outside: f"expected indices from 0 to {N - 1} in indices, got 100000000 in entry",
    negative: f"expected indices from 0 to {N - 1} in indices, got -100000000 in entry 0",
    wraps: f"expected indices from 0 to {N - 1} in indices, got 429496",
    beyond: "expected indptr to end at most at",
    falls: "expected indptr to rise, got 100000000 and then 2 in entry 2",
    starts_late: "expected indptr to begin with 0, got -5",
    short: f"expected {N + 1} numbers in indptr, got {N - 6}",
    fewer_data: "",
    broken_floats: "expected whole numbers of one dimension in indices, got dtype float64",
}


def decay(t: float, y: Any) -> Any:
    return -y


def pull(t: float, x: Any, v: Any) -> Any:
    return -x


DENSE = mflow.Newton(linear_solver="dense")
ONES = np.ones(N)
FITTED = mflow.ImplicitSGD("squared").fit(np.eye(N)[:4] + 1.0, np.arange(4.0), epochs=1, seed=0)
USES: dict[str, tuple[str, str, Any]] = {
    "fit": ("X", "csr", lambda A: mflow.ImplicitSGD("squared").fit(A, ONES, epochs=1)),
    "fit of columns": ("X", "csc", lambda A: mflow.ImplicitSGD("squared").fit(A, ONES, epochs=1)),
    "predict": ("X", "csr", FITTED.predict_linear),
    "objective": ("X", "csr", lambda A: FITTED.objective(A, ONES)),
    "estimator": ("X", "csr", lambda A: mflow.ImplicitSGDRegressor().fit(A, ONES)),
    "jac": ("jac", "csc", lambda A: mflow.solve_ivp(decay, (0, 1), ONES, "backward_euler", dt=0.5, jac=A)),
    "jac of rows": ("jac", "csr", lambda A: mflow.solve_ivp(decay, (0, 1), ONES, "esdirk43", jac=A)),
    "jac, a function": ("jac", "csr", lambda A: mflow.solve_ivp(decay, (0, 1), ONES, "esdirk43", jac=lambda t, y: A)),
    "jac, dense": ("jac", "csr", lambda A: mflow.solve_ivp(decay, (0, 1), ONES, "esdirk43", jac=A, solver=DENSE)),
    "jac_sparsity": ("jac_sparsity", "csc", lambda A: mflow.solve_ivp(decay, (0, 1), ONES, "esdirk43", jac_sparsity=A)),
    "stepper": ("jac", "csr", lambda A: mflow.Stepper("backward_euler", decay, ONES, jac=A).step(0.1)),
    "flow": ("hess", "csr", lambda A: mflow.gradient_flow(lambda x: 2 * x, ONES, 1.0, "backward_euler", dt=0.5, hess=A)),
    "least_squares": ("jac", "csr", lambda A: mflow.least_squares(lambda x: x - 1.0, np.zeros(N), jac=lambda x: A)),
    "max_stable_dt": ("jac", "csr", lambda A: mflow.max_stable_dt("euler", jac=A)),
    "posedness": ("jac", "csr", lambda A: mflow.posedness(decay, 0.0, ONES, jac=A)),
    "posedness, a function": ("jac", "csr", lambda A: mflow.posedness(decay, 0.0, ONES, jac=lambda t, y: A)),
    "posedness, dense": ("jac", "csr", lambda A: Field(decay, 0.0, ONES, A, ()).matrix(0.0, ONES)),
    "check_jacobian": ("jac", "csr", lambda A: mflow.check_jacobian(decay, ONES, A, t=0.0)),
    "check_jacobian, a function": ("jac", "csc", lambda A: mflow.check_jacobian(decay, ONES, lambda t, y: A, t=0.0)),
    "check_gradient": ("the gradient", "csr", lambda A: mflow.check_gradient(lambda x: x @ x, ONES, lambda x: A)),
    "stiffness": ("stiffness", "csr", lambda A: mflow.solve_dynamics(np.ones(N), None, A, x0=ONES, t_span=(0, 1), dt=0.1)),
    "mass": ("mass", "csc", lambda A: mflow.solve_dynamics(A, None, np.ones(N), x0=ONES, t_span=(0, 1), dt=0.1)),
    "limit of a structure": ("stiffness", "csr", lambda A: mflow.max_stable_dt("central_difference", stiffness=A)),
    "dfdx": ("dfdx", "csr", lambda A: mflow.solve_dynamics(force=pull, x0=ONES, t_span=(0, 1), dt=0.1, dfdx=A)),
    "dfdx, fixed": ("dfdx", "csr", lambda A: mflow.solve_dynamics(force=pull, x0=ONES, t_span=(0, 1), dt=1.0, dfdx=lambda *_: A, fixed=0)),
}  # fmt: skip


@pytest.mark.parametrize("use", USES)
@for_all("defect", DEFECTS)
def test_a_wrong_structure_is_an_error_that_names_it(use: str, defect: Any) -> None:
    argument, kind, call = USES[use]
    A = wide(kind) if kind == "csc" else tridiagonal(kind)
    A.indices, A.indptr = A.indices.copy(), A.indptr.copy()
    defect(A)
    with pytest.raises(ValueError, match=f"^{argument}: {DEFECTS[defect]}"):
        call(A)


def test_every_format_of_scipy_is_looked_at() -> None:
    def changed(kind: str, change: Any) -> Any:
        A = tridiagonal(kind, 6)
        change(A)
        return A

    def lists(A: Any) -> None:
        A.rows[2] = [0, 99]

    def keys(A: Any) -> None:
        A._dict[(7, 0)] = 1.0

    for kind, change, words in (
        ("coo", lambda A: A.row.__setitem__(0, 77), "in row, got 77 in entry 0"),
        ("coo", lambda A: A.col.__setitem__(1, -1), "in col, got -1 in entry 1"),
        ("bsr", lambda A: A.indices.__setitem__(0, 55), "in indices, got 55 in entry 0"),
        ("dia", lambda A: setattr(A, "offsets", A.offsets[:1]), "a diagonal in data for each of 1 offsets"),
        ("lil", lists, "as many columns as entries in row 2, got 2 for 3"),
        ("dok", keys, "its keys inside its shape"),
    ):
        with pytest.raises(ValueError, match=f"^A: expected .*{words}"):
            check_sparse(changed(kind, change), "A")
    for kind in ("csr", "csc", "coo", "bsr", "dia", "lil", "dok"):
        assert (check_sparse(tridiagonal(kind, 6), "A").toarray() == tridiagonal("csr", 6).toarray()).all()


def test_order_of_entries_is_looked_at_and_the_users_matrix_stays() -> None:
    """A matrix that believes its entries sorted, though they have been changed since, gives the solution of the dense one."""
    A = tridiagonal("csr", 6)
    A = scipy.sparse.csr_matrix((np.r_[A.data, 3.0], np.r_[A.indices, A.indices[-1]], np.r_[A.indptr[:-1], A.indptr[-1] + 1]), shape=(6, 6))
    A.has_canonical_format = A.has_sorted_indices = True
    kept = A.indptr.copy(), A.indices.copy(), A.data.copy()
    dense = A.toarray()
    X, y = A, np.arange(6.0)
    models = [mflow.ImplicitSGD("squared", lr=0.1).fit(rows, y, shuffle=False, epochs=2) for rows in (X, dense)]
    assert np.allclose(models[0].coef, models[1].coef, rtol=1e-12)
    sparse, full = (mflow.solve_ivp(decay, (0, 1), y, "backward_euler", dt=0.5, jac=J) for J in (A, dense))
    assert np.allclose(sparse.y, full.y, rtol=1e-12)
    mflow.solve_ivp(decay, (0, 1), y, "backward_euler", dt=0.5, jac_sparsity=A.tocsc())
    assert all((now == before).all() for now, before in zip((A.indptr, A.indices, A.data), kept, strict=True))


@pytest.mark.parametrize(
    ("indptr", "indices", "words"),
    [
        ([0, 2, 1], [0, 1], "indptr: expected indptr to rise"),
        ([0, 1, 2], [0, -1], "indices: expected indices from 0"),
        ([0, 1, 2], [0, 2**40], "indices: expected indices from 0"),
        ([0.0, 1.5, 2.0], [0, 1], "indptr: expected whole numbers"),
        ([1, 2], [0, 1], "indptr: expected indptr to begin with 0"),
        ([], [], "indptr: "),
        (3, [0], "indptr: expected whole numbers of one dimension"),
        ([0, 1], "ab", "indices: expected whole numbers of one dimension"),
    ],
)
def test_patterns_of_users(indptr: Any, indices: Any, words: str) -> None:
    with pytest.raises(ValueError, match=f"^{words}"):
        color_columns(indptr, indices)


@pytest.mark.parametrize(("indptr", "indices"), [([0, 5, 2], [0, 1]), ([0, 1, 2], [0, 9]), ([-9, 1, 2], [0, 1])])
def test_the_band_of_the_core_takes_no_index_on_trust(indptr: Any, indices: Any) -> None:
    with pytest.raises(ValueError, match=r"^indptr, indices"):
        BandLU([0, 1], 1, 1).factor(indptr, indices, [1.0, 1.0])


@pytest.mark.parametrize("dtype", [complex, object])
def test_sparse_entries_are_real_numbers(dtype: Any) -> None:
    matrix = scipy.sparse.identity(3, format="csr").astype(complex)
    if dtype is object:
        matrix.data = matrix.data.astype(object)
    for use in (
        lambda: mflow.max_stable_dt("leapfrog", stiffness=matrix),
        lambda: mflow.solve_dynamics(1.0, None, matrix, t_span=(0, 1), x0=np.ones(3), dt=0.1),
        lambda: mflow.ImplicitSGD("squared").fit(matrix, np.ones(3)),
        lambda: mflow.check_jacobian(lambda x: x, np.ones(3), matrix),
        lambda: mflow.posedness(matrix, 0.0, np.ones(3)),
    ):
        with pytest.raises(TypeError, match="expected real numbers, got a sparse matrix of dtype"):
            use()


@pytest.mark.parametrize("whole", [True, False])
def test_an_operator_has_no_entries(whole: bool) -> None:
    op = scipy.sparse.linalg.aslinearoperator(-np.eye(3))
    words = r"^{}: expected a dense or sparse array, got a LinearOperator, .*; solver=\"newton_krylov\" without {} needs none$"
    with pytest.raises(ValueError, match=words.format("jac", "jac")):
        mflow.solve_ivp(lambda t, y: -y, (0, 1), np.ones(3), "radau5", jac=op if whole else lambda t, y: op)
    with pytest.raises(ValueError, match=words.format("hess", "hess")):
        mflow.gradient_flow(lambda x: x, np.ones(3), 1.0, method="radau5", hess=op if whole else lambda x: op)
    r = mflow.solve_ivp(lambda t, y: -y, (0, 1), np.ones(3), "bdf", rtol=1e-6, atol=1e-9, solver="newton_krylov")
    np.testing.assert_allclose(r.y[:, -1], np.exp(-1.0), rtol=1e-5)
