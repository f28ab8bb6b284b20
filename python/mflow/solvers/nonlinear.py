"""How the equations of implicit steps are solved: the configuration of the one Newton loop that lives in `mflow_core.solvers.newton`.

Every stage of an implicit step asks for z with ``z - gh f(t, z) = r``. What varies is the linear algebra behind the iteration, and
where the Jacobian comes from: a function, differences of ``f`` (a column each, a band, or a sparsity pattern whose columns are
coloured), or none at all (`NewtonKrylov`, `FixedPoint`). SciPy is imported only where a sparse matrix is factored.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from mflow_core.problems import problem
from mflow_core.solvers.solver import Solver
from numpy.typing import NDArray

from mflow.base.methods import Method

__all__ = ["FixedPoint", "Newton", "NewtonKrylov", "as_solver", "color_columns", "force_solver", "make_solver", "solver_for"]

Array = NDArray[np.float64]
Index = NDArray[np.int32]

SMALL = 100  # up to here a dense factorization is cheaper than any cleverness
NARROW = 48  # a pattern whose band is no wider is solved as a band
LARGE = 1000  # beyond, without a word about the Jacobian's structure, no matrix is made
LINEAR_SOLVERS = ("auto", "dense", "banded", "sparse", "krylov")


def _check(name: str, max_iter: int, fraction: float, tol: float) -> None:
    if isinstance(max_iter, bool) or not isinstance(max_iter, (int, np.integer)) or max_iter < 1:
        raise ValueError(f"{name}: max_iter = {max_iter!r}: a whole number above 0 is wanted")
    for argument, value in (("fraction", fraction), ("tol", tol)):
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0.0 < value < 1.0:
            raise ValueError(f"{name}: {argument} = {value!r}: a number between 0 and 1 is wanted")


@dataclass(frozen=True)
class Newton:
    """Newton's iteration, simplified: the Jacobian and its factors are kept while they converge.

    Parameters
    ----------
    linear_solver : "auto", "dense", "banded", "sparse" or "krylov"
        "auto": banded where `lband` or `uband` is given; sparse (needs SciPy) where `jac` is a sparse matrix or `jac_sparsity` is given
        and neither small nor narrow; without a matrix beyond 1000 unknowns and no word about the structure; dense otherwise.
    full : bool
        A new Jacobian in every iteration.
    max_iter : int
        Iterations with one matrix. Fixed steps go on with up to five times as many of full, damped Newton where these fail.
    fraction : float
        Error-controlled steps are solved to this fraction of their tolerances.
    tol : float
        Fixed steps are solved to this relative change, or to rounding.

    Raises
    ------
    ValueError
        A parameter is out of range; the text names it.

    Examples
    --------
    >>> import mflow.nonlinear
    >>> mflow.nonlinear.Newton(full=True).full
    True

    References
    ----------
    E. Hairer and G. Wanner, Solving Ordinary Differential Equations II (1996), IV.8.
    """

    linear_solver: str = "auto"
    full: bool = False
    max_iter: int = 10
    fraction: float = 0.01
    tol: float = 1e-14

    def __post_init__(self) -> None:
        if self.linear_solver not in LINEAR_SOLVERS:
            raise ValueError(f"Newton: linear_solver = {self.linear_solver!r} is not known: give one of {', '.join(LINEAR_SOLVERS)}")
        _check("Newton", self.max_iter, self.fraction, self.tol)


@dataclass(frozen=True)
class NewtonKrylov:
    """Newton's iteration without a matrix: GMRES on differences of f along vectors.

    For many unknowns whose Jacobian has no structure that you can name. Every product of the Jacobian and a vector is one call of f.

    Parameters
    ----------
    dim : int
        Vectors of the Krylov basis before GMRES starts afresh.
    cycles : int
        How often it does.
    max_iter, fraction, tol
        As in `Newton`.

    Raises
    ------
    ValueError
        A parameter is out of range; the text names it.

    Examples
    --------
    >>> import mflow.nonlinear
    >>> mflow.nonlinear.NewtonKrylov(dim=50).dim
    50

    References
    ----------
    D. A. Knoll and D. E. Keyes, J. Comput. Phys. 193 (2004) 357-397.
    """

    dim: int = 30
    cycles: int = 4
    max_iter: int = 15
    fraction: float = 0.01
    tol: float = 1e-14

    def __post_init__(self) -> None:
        _check("NewtonKrylov", self.max_iter, self.fraction, self.tol)
        for argument, value in (("dim", self.dim), ("cycles", self.cycles)):
            if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
                raise ValueError(f"NewtonKrylov: {argument} = {value!r}: a whole number above 0 is wanted")


@dataclass(frozen=True)
class FixedPoint:
    """z = r + gh f(t, z), repeated: no Jacobian; converges where gh times the Lipschitz constant of f is below 1.

    Parameters
    ----------
    max_iter, fraction, tol
        As in `Newton`.

    Raises
    ------
    ValueError
        A parameter is out of range; the text names it.

    Examples
    --------
    >>> import mflow.nonlinear
    >>> mflow.nonlinear.FixedPoint(max_iter=20).max_iter
    20

    References
    ----------
    E. Hairer, S. Norsett and G. Wanner, Solving Ordinary Differential Equations I (1993), II.7.
    """

    max_iter: int = 100
    fraction: float = 0.01
    tol: float = 1e-14

    def __post_init__(self) -> None:
        _check("FixedPoint", self.max_iter, self.fraction, self.tol)


SOLVERS: dict[str, type[Newton | NewtonKrylov | FixedPoint]] = {"newton": Newton, "newton_krylov": NewtonKrylov, "fixed_point": FixedPoint}


# ---- sparsity -------------------------------------------------------------------------------------------------------------------------


def _pattern(jac_sparsity: Any, n: int) -> tuple[Index, Index]:
    """(indptr, indices) by columns, of whatever says where the Jacobian has entries."""
    if hasattr(jac_sparsity, "tocsc"):
        matrix = jac_sparsity.tocsc()
        shape = matrix.shape
        matrix.sum_duplicates()
        matrix.sort_indices()
        indptr, indices = np.asarray(matrix.indptr), np.asarray(matrix.indices)
    else:
        array = np.asarray(jac_sparsity)
        shape = array.shape
        if array.dtype.kind not in "biuf":
            raise TypeError(f"jac_sparsity: dtype {array.dtype} came; an array or sparse matrix of numbers is wanted, not 0 where J may be")
        if array.ndim == 2:
            columns, indices = np.nonzero(array.T)
            indptr = np.searchsorted(columns, np.arange(array.shape[1] + 1))
    if tuple(shape) != (n, n):
        raise ValueError(f"jac_sparsity: shape {tuple(shape)} came, but the state has {n} components: ({n}, {n}) is wanted")
    return np.ascontiguousarray(indptr, dtype=np.int32), np.ascontiguousarray(indices, dtype=np.int32)


def color_columns(indptr: Any, indices: Any) -> Index:
    """A group for each column of a pattern (CSC), so that columns of one group share no row: one difference then serves them all.

    Greedy, in the order of the columns: each takes the first group that none of its rows has met.

    Parameters
    ----------
    indptr, indices : array_like of int
        The pattern, n + 1 and nnz long.

    Returns
    -------
    ndarray of int32, (n,)

    Raises
    ------
    ValueError
        indptr does not fit indices.

    Examples
    --------
    >>> from mflow.nonlinear import color_columns
    >>> color_columns([0, 2, 5, 7], [0, 1, 0, 1, 2, 1, 2]).tolist()
    [0, 1, 2]

    References
    ----------
    A. R. Curtis, M. J. D. Powell and J. K. Reid, J. Inst. Math. Appl. 13 (1974) 117-119.
    """
    pointers, rows = np.asarray(indptr).tolist(), np.asarray(indices).tolist()
    if not pointers or pointers[0] != 0 or pointers[-1] != len(rows):
        raise ValueError(f"indptr: it must run from 0 to {len(rows)}, the number of indices")
    taken = [0] * (max(rows, default=-1) + 1)  # bit g: the row has an entry in a column of group g
    groups = np.zeros(len(pointers) - 1, dtype=np.int32)
    for j in range(len(groups)):
        mine = rows[pointers[j] : pointers[j + 1]]
        met = 0
        for i in mine:
            met |= taken[i]
        group = ((met + 1) & ~met).bit_length() - 1
        groups[j] = group
        for i in mine:
            taken[i] |= 1 << group
    return groups


def _band_of(indptr: Index, indices: Index) -> tuple[int, int]:
    columns = np.repeat(np.arange(len(indptr) - 1), np.diff(indptr))
    below = indices - columns
    return int(max(below.max(initial=0), 0)), int(max((-below).max(initial=0), 0))


class SparseFactors:
    """J as a SciPy sparse matrix and the LU factors of I - gh J: what `mflow_core.solvers.matrix` asks a sparse solver for."""

    def __init__(
        self, n: int, jac: Callable[[float, Array], Any] | None, indptr: Index | None = None, indices: Index | None = None
    ) -> None:
        try:
            import scipy.sparse
            import scipy.sparse.linalg
        except ImportError:
            raise ImportError("a sparse Jacobian needs SciPy: install it, or give lband and uband, or solver='newton_krylov'") from None
        self._sparse, self._linalg = scipy.sparse, scipy.sparse.linalg
        self._n, self._jac, self._indptr, self._indices = n, jac, indptr, indices
        self._one = scipy.sparse.identity(n, format="csc")
        self._matrix: Any = None
        self._factors: Any = None

    def jacobian(self, t: float, y: Array) -> bool:
        """Asks the user's function; False where an entry is not finite."""
        assert self._jac is not None
        return self._take(self._sparse.csc_matrix(self._jac(t, y)))

    def fill(self, values: Array) -> bool:
        """Takes the entries of the pattern, by columns; False where one is not finite."""
        return self._take(self._sparse.csc_matrix((values, self._indices, self._indptr), shape=(self._n, self._n)))

    def _take(self, matrix: Any) -> bool:
        self._matrix = matrix
        return bool(np.all(np.isfinite(matrix.data)))

    def factor(self, gh: float) -> bool:
        """Factors I - gh J, or -J where gh is infinite; False where it is singular."""
        matrix = -self._matrix if math.isinf(gh) else self._one - gh * self._matrix
        try:
            self._factors = self._linalg.splu(matrix.tocsc())
        except RuntimeError as error:
            if "singular" in str(error):
                return False
            raise
        return True

    def solve(self, b: Array) -> Array:
        """The solution for one right-hand side."""
        x: Array = self._factors.solve(b)
        return x


# ---- from arguments to a solver -----------------------------------------------------------------------------------------------------


def solver_for(method: Method, what: problem.Problem, t0: Any, start: Array, *, solver: Any = None, **linear: Any) -> Solver | None:
    """A driver's solver: None for an explicit method, which has nothing to solve; ``linear`` as in `make_solver`.

    Arguments that belong to implicit methods have no effect on an explicit one, and a warning says so, as SciPy's.
    """
    if method.is_implicit:
        return make_solver(solver, what, start.shape, (float(t0), start), **linear)
    given = [name for name, value in {"solver": solver, **linear}.items() if name not in ("args", "hess") and value is not None]
    if given:
        warnings.warn(f"{', '.join(given)}: without effect, for {method.name} is explicit", stacklevel=3)
    return None


def make_solver(
    solver: Any,
    what: problem.Problem,
    shape: tuple[int, ...],
    start: tuple[float, Array],
    *,
    jac: Any = None,
    args: tuple[Any, ...] = (),
    jac_sparsity: Any = None,
    lband: int | None = None,
    uband: int | None = None,
    hess: bool = False,
) -> Solver:
    """The core's solver for a problem, from `solve_ivp`'s arguments.

    Parameters
    ----------
    solver : None, "newton", "newton_krylov", "fixed_point", or an instance
    what : Problem
        Made with the same `jac`.
    shape : tuple
        The state's shape.
    start : (t0, y0)
        Where a Python `jac` is asked once whether it returns a sparse matrix.
    jac : callable, array or sparse matrix, optional
        ``jac(t, y, *args)``; with ``hess=True`` it is ``hess(c, *args)``, and the Jacobian its negative.
    args : tuple
    jac_sparsity : array_like or sparse matrix (n, n), optional
        Not 0 where the Jacobian may have an entry.
    lband, uband : int, optional
        Bandwidths: ``J[i, j] != 0`` only for ``i - lband <= j <= i + uband``. One alone: the other is 0.

    Returns
    -------
    mflow_core.solvers.solver.Solver

    Raises
    ------
    TypeError, ValueError
        Arguments that do not fit or contradict each other; the text names them.
    ImportError
        A sparse Jacobian without SciPy.

    Examples
    --------
    >>> import numpy as np
    >>> from mflow_core.problems.problem import rhs_problem
    >>> from mflow.nonlinear import make_solver
    >>> p = rhs_problem(lambda t, y: -(y**3), (1,))
    >>> s = make_solver("newton", p, (1,), (0.0, np.ones(1)))
    >>> s.bind(p)
    >>> z, status, iterations = s.solve(0.1, 0.1, [1.0], [1.0])
    >>> bool(abs(z[0] + 0.1 * z[0] ** 3 - 1.0) < 1e-13)
    True
    """
    n = math.prod(shape)
    name = "hess" if hess else "jac"
    chosen = as_solver(solver)
    lower, upper = _bands(lband, uband, n)
    given = {name: jac is not None, "jac_sparsity": jac_sparsity is not None, "lband, uband": lower is not None}
    if isinstance(chosen, (NewtonKrylov, FixedPoint)):
        for argument, there in given.items():
            if there:
                raise ValueError(f"{argument}: {type(chosen).__name__} uses no Jacobian; leave it away, or choose solver='newton'")
        common: dict[str, Any] = {"max_iter": chosen.max_iter, "fraction": chosen.fraction, "tol": chosen.tol}
        if isinstance(chosen, FixedPoint):
            return Solver("fixed_point", **common)
        return Solver("krylov", krylov_dim=chosen.dim, krylov_cycles=chosen.cycles, **common)
    if jac is not None and jac_sparsity is not None:
        raise ValueError(f"jac_sparsity is for differences: with {name} given, leave it away")
    common = {"max_iter": chosen.max_iter, "full": chosen.full, "fraction": chosen.fraction, "tol": chosen.tol}
    pattern = None if jac_sparsity is None else _pattern(jac_sparsity, n)
    if pattern is not None and lower is not None and upper is not None:
        below, above = _band_of(*pattern)
        if below > lower or above > upper:
            raise ValueError(
                f"lband, uband: jac_sparsity has entries {below} below and {above} above the diagonal, more than {lower} and {upper}"
            )
    ask = _asker(jac, what, shape, args, name, n)
    if ask is not None and not callable(jac):
        constant = ask(start[0], np.asarray(start[1], dtype=np.float64))
        if not np.all(np.isfinite(constant.data if hasattr(constant, "tocsc") else constant)):
            raise ValueError(f"{name}: an entry is not finite")
    kind, lower, upper = _kind(chosen.linear_solver, n, jac, pattern, lower, upper, ask, start, name)
    if kind == "krylov":
        return Solver("krylov", **{key: value for key, value in common.items() if key != "full"})
    groups = None if pattern is None else (color_columns(*pattern), *pattern)
    if kind == "banded":
        assert lower is not None
        assert upper is not None
        what.set_band(lower, upper)
        compiled = jac is not None and what.jac_is_compiled
        return Solver(kind, lower=lower, upper=upper, jac=compiled, band_jac=jac is not None and not compiled, pattern=groups, **common)
    if kind == "sparse":
        indptr, indices = pattern if pattern is not None else (None, None)
        return Solver(kind, sparse=SparseFactors(n, ask, indptr, indices), pattern=groups, **common)
    return Solver(kind, jac=jac is not None, pattern=groups, **common)


def as_solver(solver: Any) -> Newton | NewtonKrylov | FixedPoint:
    """An instance, of whatever ``solver=`` may be. Raises TypeError or ValueError."""
    if solver is None:
        return Newton()
    if isinstance(solver, (Newton, NewtonKrylov, FixedPoint)):
        return solver
    if isinstance(solver, str):
        if solver in SOLVERS:
            return SOLVERS[solver]()
        raise ValueError(
            f"solver = {solver!r} is not known: give {', '.join(map(repr, SOLVERS))} or an instance of mflow.nonlinear's classes"
        )
    if isinstance(solver, type) and issubclass(solver, (Newton, NewtonKrylov, FixedPoint)):
        raise TypeError(f"solver: the class {solver.__name__} came; an instance is wanted: {solver.__name__}()")
    raise TypeError(f"solver: {type(solver).__name__} came; a name or an instance of mflow.nonlinear's classes is wanted")


def _bands(lband: Any, uband: Any, n: int) -> tuple[int | None, int | None]:
    if lband is None and uband is None:
        return None, None
    out = []
    for argument, value in (("lband", lband), ("uband", uband)):
        width = 0 if value is None else value
        if isinstance(width, bool) or not isinstance(width, (int, np.integer)) or width < 0:
            raise ValueError(f"{argument} = {value!r}: a whole number, 0 or more, is wanted")
        out.append(min(int(width), max(n - 1, 0)))
    return out[0], out[1]


def _asker(
    jac: Any, what: problem.Problem, shape: tuple[int, ...], args: tuple[Any, ...], name: str, n: int
) -> Callable[[float, Array], Any] | None:
    """The user's Jacobian as a function of (t, y), for sparse matrices; None where there is none, or it is compiled."""
    if jac is None or what.jac_is_compiled:
        return None

    def ask(t: float, y: Array) -> Any:
        if not callable(jac):
            result = jac
        else:
            y = y.reshape(shape)
            y.flags.writeable = False
            result = jac(y, *args) if name == "hess" else jac(t, y, *args)
        got = result if hasattr(result, "tocsc") else np.asarray(result)
        if got.dtype.kind not in "biuf":
            raise TypeError(f"{name} returned dtype {got.dtype}: real numbers are wanted (float64)")
        if got.shape != (n, n):
            raise ValueError(f"{name} returned shape {got.shape}, but the state has {n} components: shape ({n}, {n}) is wanted")
        return -got if name == "hess" else got

    return ask


def _kind(
    linear_solver: str,
    n: int,
    jac: Any,
    pattern: tuple[Index, Index] | None,
    lower: int | None,
    upper: int | None,
    ask: Callable[[float, Array], Any] | None,
    start: tuple[float, Array],
    name: str,
) -> tuple[str, int | None, int | None]:
    """The linear solver, and the band where it is one."""
    if linear_solver == "auto":
        if lower is not None:
            return "banded", lower, upper
        if pattern is not None:
            below, above = _band_of(*pattern)
            if n <= SMALL:
                return "dense", None, None
            return ("banded", below, above) if below + above < NARROW else ("sparse", None, None)
        if jac is None:
            return ("krylov" if n > LARGE else "dense"), None, None
        first = jac if hasattr(jac, "tocsc") else None
        if first is None and ask is not None and callable(jac) and not hasattr(jac, "tocsc"):
            first = ask(start[0], np.array(start[1], dtype=np.float64).ravel())
        return ("sparse" if hasattr(first, "tocsc") else "dense"), None, None
    if linear_solver == "banded" and lower is None:
        if pattern is None:
            raise ValueError("linear_solver='banded': give lband and uband, or jac_sparsity")
        return ("banded", *_band_of(*pattern))
    if linear_solver != "banded" and lower is not None:
        raise ValueError(f"lband, uband: linear_solver={linear_solver!r} has no band; leave them away, or choose 'banded' or 'auto'")
    if linear_solver == "krylov" and (jac is not None or pattern is not None):
        raise ValueError(f"linear_solver='krylov' uses no Jacobian: leave {name if jac is not None else 'jac_sparsity'} away")
    if linear_solver == "sparse" and ask is None and pattern is None:
        raise ValueError(f"linear_solver='sparse': give jac_sparsity, or a {name} in Python that returns a sparse matrix")
    return linear_solver, lower, upper


def force_solver(solver: Any, n: int, tangents: bool, sparse: Any = None) -> Solver:
    """How implicit accelerations are solved for: dense where that is affordable; by `sparse`, which factors, where it is given."""
    chosen = as_solver(solver)
    common: dict[str, Any] = {"max_iter": chosen.max_iter, "fraction": chosen.fraction, "tol": chosen.tol}
    if isinstance(chosen, FixedPoint):
        return Solver("fixed_point", **common)
    if isinstance(chosen, NewtonKrylov):
        return Solver("krylov", krylov_dim=chosen.dim, krylov_cycles=chosen.cycles, **common)
    if sparse is not None and chosen.linear_solver in ("auto", "banded", "sparse"):
        return Solver("sparse", sparse=sparse, full=chosen.full, **common)
    if chosen.linear_solver in ("banded", "sparse"):
        raise ValueError(f"solver: linear_solver = {chosen.linear_solver!r} wants dfdx= or dfdv= as SciPy sparse matrices")
    if chosen.linear_solver == "krylov" or (chosen.linear_solver == "auto" and n > LARGE and not tangents):
        return Solver("krylov", **common)
    return Solver("dense", jac=tangents, full=chosen.full, **common)
