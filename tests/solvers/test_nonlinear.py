"""mflow.nonlinear: which solver is made of which arguments, and the colouring of sparsity patterns."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import scipy.sparse
from mflow_core.problems.problem import rhs_problem

from mflow.solvers.nonlinear import FixedPoint, Newton, NewtonKrylov, color_columns, make_solver


@pytest.mark.parametrize("seed", range(4))
def test_colouring_is_valid(seed):
    pattern = scipy.sparse.random(40, 40, density=0.08, random_state=seed, format="csc") + scipy.sparse.identity(40, format="csc")
    groups = color_columns(pattern.indptr, pattern.indices)
    dense = pattern.toarray() != 0
    for g in range(groups.max() + 1):
        assert dense[:, groups == g].sum(axis=1).max() <= 1
    assert groups.max() + 1 >= dense.sum(axis=1).max()


def test_colouring_of_a_band_is_its_width():
    pattern = scipy.sparse.diags([1.0] * 5, [-2, -1, 0, 1, 2], shape=(50, 50), format="csc")
    assert color_columns(pattern.indptr, pattern.indices).max() + 1 == 5


@pytest.mark.parametrize(
    ("n", "arguments", "kind"),
    [
        (3, {}, "dense"),
        (300, {}, "dense"),
        (1001, {}, "krylov"),
        (300, {"lband": 1}, "banded"),
        (300, {"jac_sparsity": scipy.sparse.identity(300)}, "banded"),
        (300, {"jac_sparsity": scipy.sparse.csr_matrix(np.triu(np.ones((300, 300))))}, "sparse"),
        (50, {"jac_sparsity": np.eye(50)}, "dense"),
        (3, {"jac": lambda t, y: scipy.sparse.identity(3)}, "sparse"),
        (3, {"jac": lambda t, y: np.eye(3)}, "dense"),
        (3, {"solver": "fixed_point"}, "fixed_point"),
        (30, {"solver": "newton_krylov"}, "dense"),
        (31, {"solver": "newton_krylov"}, "krylov"),
        (3, {"solver": NewtonKrylov(dim=2)}, "krylov"),
        (3, {"solver": Newton("sparse"), "jac": np.eye(3)}, "sparse"),
    ],
)
def test_which_linear_solver(n, arguments, kind):
    arguments = {"solver": None, **arguments}
    problem = rhs_problem(lambda t, y: -y, (n,), jac=arguments.get("jac"))
    solver = make_solver(arguments.pop("solver"), problem, (n,), (0.0, np.ones(n)), **arguments)
    assert solver.kind == kind
    solver.bind(problem)


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"solver": "newtn"}, ValueError, "solver: expected 'newton', .*, got 'newtn'"),
        ({"solver": Newton}, TypeError, r"solver: expected an instance, got the class Newton; write Newton\(\)"),
        ({"solver": 3}, TypeError, "solver: expected .*, got int"),
        ({"solver": "fixed_point", "jac": np.eye(2)}, ValueError, "jac: FixedPoint uses no Jacobian"),
        ({"solver": "newton_krylov", "lband": 1}, ValueError, "lband, uband: NewtonKrylov uses no Jacobian"),
        ({"jac": np.eye(2), "jac_sparsity": np.eye(2)}, ValueError, "jac_sparsity: expected none with jac"),
        ({"jac_sparsity": np.eye(3)}, ValueError, r"jac_sparsity: expected shape \(2, 2\), .*, got shape \(3, 3\)"),
        ({"jac_sparsity": np.ones(2)}, ValueError, r"jac_sparsity: expected shape \(2, 2\), .*, got shape \(2,\)"),
        ({"jac_sparsity": [["a", "b"], ["c", "d"]]}, TypeError, "jac_sparsity: expected .* numbers, got dtype"),
        ({"lband": -1}, ValueError, "lband: expected a whole number of at least 0, got -1"),
        ({"uband": 1.5}, ValueError, "uband: expected a whole number of at least 0, got 1.5"),
        (
            {"lband": 0, "jac_sparsity": np.ones((2, 2))},
            ValueError,
            "lband, uband: expected at least 1 and 1, .*, got 0 and 0",
        ),
        ({"solver": Newton("banded")}, ValueError, "give lband and uband"),
        ({"solver": Newton("dense"), "lband": 1}, ValueError, "has no band"),
        ({"solver": Newton("sparse")}, ValueError, "give jac_sparsity"),
        ({"solver": Newton("krylov"), "jac": np.eye(2)}, ValueError, "'krylov' uses no Jacobian; remove jac"),
        ({"jac": lambda t, y: np.ones(2)}, ValueError, r"jac: expected shape \(2, 2\), .*, got shape \(2,\)"),
    ],
)
def test_arguments_that_do_not_fit_are_named(arguments, error, words):
    arguments = {"solver": None, **arguments}
    jac = arguments.get("jac")
    problem = rhs_problem(lambda t, y: -y, (2,), jac=jac)
    with pytest.raises(error, match=words):
        make_solver(arguments.pop("solver"), problem, (2,), (0.0, np.ones(2)), **arguments)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Newton("lu"), "linear_solver: expected one of 'auto', .*, got 'lu'"),
        (lambda: Newton(max_iter=0), "max_iter: expected a whole number of at least 1, got 0"),
        (lambda: Newton(max_iter=True), "max_iter: expected .*, got True"),
        (lambda: Newton(tol=0.0), r"tol: expected a finite number in \(0, 1\), got 0\.0"),
        (lambda: Newton(fraction=2.0), "fraction: expected .*, got 2.0"),
        (lambda: NewtonKrylov(dim=0), "dim: expected .*, got 0"),
        (lambda: FixedPoint(tol=float("nan")), "tol: expected .*, got nan"),
    ],
)
def test_parameters_out_of_range_are_named(make, words):
    with pytest.raises(ValueError, match=words):
        make()


def test_without_scipy_the_message_says_what_helps(monkeypatch):
    monkeypatch.setitem(sys.modules, "scipy.sparse", None)
    monkeypatch.setitem(sys.modules, "scipy", None)
    problem = rhs_problem(lambda t, y: -y, (2,))
    with pytest.raises(ImportError, match=r"needs scipy 1\.12 or newer"):
        make_solver(Newton("sparse"), problem, (2,), (0.0, np.ones(2)), jac_sparsity=np.eye(2))
