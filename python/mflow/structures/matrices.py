"""Structures: M x'' + C x' + K x = load(t), as the core takes it, of the degrees of freedom that move."""

from __future__ import annotations

from typing import Any

import numpy as np
from mflow_core.dynamics import matrices
from mflow_core.dynamics.structure import Structure
from mflow_core.problems.signatures import PRODUCT_SIGNATURE, compiled_address
from mflow_core.problems.sparse import is_sparse

from mflow.base.checks import check_choice, check_number, shown
from mflow.base.extras import need
from mflow.base.pace import interruptible
from mflow.structures import load_tables
from mflow.structures.loads import is_table, load_on, load_with_massless, moving_load, table_on
from mflow.structures.supports import Supports, free_part

__all__ = ["narrower_order", "structure_problem", "sum_of"]

SPARSE = 5  # what `matrices.shape_of` calls a matrix that is no band


def structure_problem(
    supports: Supports, mass: Any, damping: Any, stiffness: Any, load: Any, rayleigh: Any, linear_solver: str | None, narrow: bool,
    alone: bool = True,
) -> tuple[Structure, tuple[Any, ...] | None]:  # fmt: skip
    """The problem, and (n, M, C, K) of what moves; None where C is a function. narrow: it may be reordered. alone: there is no force."""
    n = supports.n
    function = matrices.is_function(damping)
    cg = _is_by_cg(linear_solver, function, rayleigh)
    M: Any = matrices.checked_matrix(np.ones(n) if mass is None else mass, "mass", n)
    if alone and stiffness is None and load is None and damping is None and rayleigh is None:
        raise ValueError("stiffness, load, force: nothing acts on the masses: give one of them (stiffness=0 for free flight)")
    C: Any = None if damping is None or function else matrices.checked_matrix(damping, "damping", n)
    K: Any = None if stiffness is None else matrices.checked_matrix(stiffness, "stiffness", n)
    if C is not None or load is not None:
        _tell_of_numbers(C, M, K, load)
    K = _without_massless(supports, M, C, K, alone and not function)
    if rayleigh is not None:
        C = sum_of(C, _rayleigh(rayleigh, M, K, supports))
    pull = np.zeros(n)
    if supports.any and K is not None:
        resting = np.where(np.isin(np.arange(n), supports.held), supports.place, 0.0)
        if supports.moves is not None:
            resting[supports.moves.index] = 0.0
        pull = -(K * resting if K.ndim == 1 else np.asarray(K @ resting))
    if supports.moves is not None:
        if function:
            supports.refuse_motion("damping", "a function")
        load, pull = moving_load(load, supports, pull, (K, C, M)), np.zeros(n)
    elif supports.massless is not None:
        load = load_with_massless(load, supports, pull)
        pull = np.zeros(n)
    M, C, K = (free_part(a, supports) for a in (M, C, K)) if supports.any else (M, C, K)
    factorize = _cholesky(M, C, K) if linear_solver == "cholesky" else None
    order = None
    if narrow and not cg and factorize is None and (M.ndim == 2 or (K is not None and K.ndim == 2) or (C is not None and C.ndim == 2)):
        order = narrower_order([a for a in (M, C, K) if a is not None])
    if order is not None:
        supports.reorder(order)
        M, C, K = (a if a is None else a[order] if a.ndim == 1 else a[order][:, order] for a in (M, C, K))
    diagonal = M if M.ndim == 1 else np.ascontiguousarray(M.diagonal())
    if not matrices.smallest(diagonal) > 0.0:
        bad = np.flatnonzero(~(diagonal > 0))
        raise ValueError(
            f"mass: expected a mass above 0 for every degree of freedom that moves, got {diagonal[bad[0]]:g} at degree of freedom "
            f"{supports.free[bad[0]]} (row {supports.free[bad[0]]}); take those without one out by static condensation, which is done "
            "here where neither a force nor dashpots act on them, or name them in fixed="
        )
    size = supports.free.size if supports.any else n
    table = None
    if is_table(load):
        table, load = load, None
    elif load is not None or (supports.any and np.any(pull)):
        load = load_on(load, supports, pull)
    problem = Structure(size, M, _damping(damping, supports) if function else C, K, load, cg=cg, checked=True, factorize=factorize)
    if table is not None:
        problem.set_table(*interruptible(load_tables.PER_NUMBER * getattr(table[1], "size", 0), table_on, table, supports, pull))
    return problem, None if function else (size, M, C, K)


def _tell_of_numbers(C: Any, M: Any, K: Any, load: Any) -> None:
    """Warns of what is seldom meant so: ratios in place of dampings, a pattern without masses."""
    pattern = is_table(load) and len(load) == 3 and np.size(load[2]) == 1
    ratios = C is not None and K is not None and getattr(C, "ndim", 0) == 1
    if not (pattern or ratios):
        return
    from mflow.structures import plausible  # few programs give either

    if ratios:
        plausible.tell_of_ratios(C, M, K)
    if pattern:
        plausible.tell_of_pattern(load, M)


def _is_by_cg(linear_solver: str | None, function: bool, rayleigh: Any) -> bool:
    """Whether conjugate gradients solve. function: damping is one."""
    if linear_solver is not None:
        check_choice(linear_solver, "linear_solver", ("direct", "cholesky", "cg"))
    if function and linear_solver not in (None, "cg"):
        raise ValueError(
            f'linear_solver: expected "cg" where damping is a function, which conjugate gradients alone can solve, got {linear_solver!r}'
        )
    if function and rayleigh is not None:
        raise ValueError("rayleigh: damping is a function: add a M + b K there")
    return function or linear_solver == "cg"


def _cholesky(M: Any, C: Any, K: Any) -> Any:
    """What factors sparse sums; None where no matrix is sparse, and no sum is."""
    for name, matrix in (("damping", C), ("stiffness", K)):
        if not matrices.is_symmetric(matrix):
            raise ValueError(
                f'{name}: expected a symmetric matrix for linear_solver="cholesky", got one that differs from its transpose; '
                'take "direct", which exchanges rows'
            )
    if not any(is_sparse(matrix) for matrix in (M, C, K)):
        return None
    from mflow.structures.cholesky import Cholesky  # few programs need it

    return Cholesky()


def _without_massless(supports: Supports, M: Any, C: Any, K: Any, may: bool) -> Any:
    """K with the free degrees of freedom condensed that have no mass; the supports know them then."""
    if matrices.smallest(M if M.ndim == 1 else np.ascontiguousarray(M.diagonal())) > 0.0:
        return K
    from mflow.spectra.condensed import DASHPOT, condensed, rows_without  # few programs need it
    from mflow.structures.massless import Massless

    index = supports.free[rows_without(M)[supports.free]]
    if not index.size or not may or K is None:
        return K
    if C is not None and not np.all(rows_without(C)[index]):
        k = index[~rows_without(C)[index]][0]
        raise ValueError(DASHPOT.format(k, "rayleigh=(0, b)"))
    if index.size == supports.free.size:
        raise ValueError("mass: expected a mass for some degree of freedom that moves, got none: nothing has inertia")
    found = condensed(K, index)
    supports.condense(Massless(found))
    return found.K


def narrower_order(given: list[Any]) -> Any:
    """An order in which the sum of sparse matrices is a narrow band (E. Cuthill and J. McKee, Proc. 24th Nat. Conf. ACM (1969) 157-172,
    reversed); None where it is one already, or will not be."""
    n = given[0].shape[0]
    sparse = [a for a in given if hasattr(a, "tocsr")]
    if (
        not sparse
        or all(matrices.shape_of(a, n)[0] != SPARSE for a in sparse)
        or any(a.ndim == 2 and not hasattr(a, "tocsr") for a in given)
    ):
        return None
    scipy_sparse, csgraph = need("scipy.sparse", "a sparse matrix"), need("scipy.sparse.csgraph", "a sparse matrix")
    pattern = sum((abs(a) for a in sparse[1:]), abs(sparse[0]))
    order = csgraph.reverse_cuthill_mckee(scipy_sparse.csr_matrix(pattern + pattern.T), symmetric_mode=True)
    return order if matrices.shape_of(pattern.tocsr()[order][:, order], n)[0] != SPARSE else None


def _damping(damping: Any, supports: Supports) -> Any:
    """C v of what moves, by a function of all."""
    if not supports.any:
        return damping
    product = getattr(damping, "matvec", damping)
    if compiled_address(product, "damping", PRODUCT_SIGNATURE) is not None:
        raise ValueError("damping: a compiled function sees the degrees of freedom that move alone: with fixed= give a Python function")
    return lambda v: np.asarray(product(supports.state(v).ravel())).reshape(-1)[supports.free]


def rayleigh_numbers(rayleigh: Any) -> tuple[float, float]:
    """(a, b). Raises TypeError or ValueError."""
    try:
        a, b = rayleigh
    except (TypeError, ValueError):
        raise ValueError(f"rayleigh: expected two numbers (a, b), for damping a M + b K, got {shown(rayleigh)}") from None
    return check_number(a, "rayleigh[0]"), check_number(b, "rayleigh[1]")


def _rayleigh(rayleigh: Any, M: Any, K: Any, supports: Supports) -> Any:
    from mflow.structures.plausible import tell_of_rayleigh  # few programs have such damping

    a, b = rayleigh_numbers(rayleigh)
    if b and K is None:
        fix = "of a stiffness that is in force= give damping=a * M + b * K0, with the matrix K0 at rest"
        raise ValueError(f"rayleigh: expected b = 0 without a stiffness, which b multiplies, got ({a:g}, {b:g}); {fix}")
    tell_of_rayleigh(a, b, free_part(M, supports), free_part(K, supports))
    return sum_of(a * M, None if K is None else b * K)


def sum_of(A: Any, B: Any) -> Any:
    """The sum of two checked matrices; None counts as 0."""
    if A is None or B is None:
        return B if A is None else A
    if A.ndim == B.ndim:
        total = A + B
    elif A.ndim == 1:
        return sum_of(B, A)
    elif hasattr(A, "tocsr"):
        total = A + need("scipy.sparse", "a sparse matrix").diags_array(B)
    else:
        total = A + np.diag(B)
    return total if hasattr(total, "tocsr") or total.ndim == 1 else np.asarray(total)
