"""How the equations of implicit steps are solved: the configuration of the one Newton loop that lives in `mflow_core.solvers.newton`.

Every stage of an implicit step needs z with ``z - gh f(t, z) = r``. Solvers differ in the linear algebra behind the iteration, and in
where the Jacobian comes from: a function, differences of ``f`` (a column each, a band, or a sparsity pattern whose columns are
coloured), or none at all (`NewtonKrylov`, `FixedPoint`).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from mflow_core.problems import problem
from mflow_core.problems.sparse import check_sparse
from mflow_core.solvers.solver import Solver

from mflow.base.checks import (
    Array,
    check_choice,
    check_flags,
    check_list,
    check_number,
    check_whole,
    operator_words,
    real_array,
    shown,
    stored_entries,
)  # fmt: skip
from mflow.base.methods import Method
from mflow.base.telling import knows_other_words, tell
from mflow.solvers.mass import Mass
from mflow.solvers.sparsity import Index, SparseFactors, band_of, color_columns, pattern_of

__all__ = ["FixedPoint", "Newton", "NewtonKrylov", "as_solver", "color_columns", "force_solver", "make_solver", "solver_for"]

SMALL = 100  # up to this many unknowns a dense factorization is the cheapest
NARROW = 48  # a pattern whose band is no wider is solved as a band
LARGE = 1000  # with more unknowns, if nothing is known of the Jacobian's structure, no matrix is made
COUPLED = 300  # unknowns that a mass matrix couples, up to which Newton-Krylov makes a matrix by products, too
LINEAR_SOLVERS = ("auto", "dense", "banded", "sparse", "krylov")


def _check(config: Any, *counts: str) -> None:
    """Checks `counts` as whole numbers above 0, `fraction` and `tol` as numbers between 0 and 1; raises TypeError or ValueError."""
    for name in counts:
        object.__setattr__(config, name, check_whole(getattr(config, name), name, 1))
    for name in ("fraction", "tol"):
        if name == "tol" or config.fraction is not None:
            object.__setattr__(config, name, check_number(getattr(config, name), name, low=0.0, high=1.0, open_low=True, open_high=True))


@knows_other_words
@dataclass(frozen=True)
class Newton:
    """Newton's iteration, simplified: the Jacobian and its factors are kept while they converge.

    Parameters
    ----------
    linear_solver : "auto", "dense", "banded", "sparse" or "krylov"
        "auto": banded if `lband` or `uband` is given; sparse (needs SciPy) if `jac` is a sparse matrix, or if `jac_sparsity` is given and
        is neither small nor narrow; without a matrix for more than 1000 unknowns if nothing is known of the structure; dense otherwise.
    full : bool
        A new Jacobian in every iteration.
    max_iter : int
        Iterations with one matrix. If these fail in a fixed step, up to five times as many of full, damped Newton follow.
    fraction : float, optional
        Error-controlled steps are solved to this fraction of their tolerances: 0.3 (esdirk43), 0.05 (bdf), 0.01 (radau5).
    tol : float
        Fixed steps are solved to this relative change, or to rounding.

    Raises
    ------
    TypeError, ValueError
        A parameter is no number or out of range; the text names it.

    See Also
    --------
    mflow.nonlinear.NewtonKrylov, mflow.nonlinear.FixedPoint
    mflow.solve_ivp : ``solver=`` takes one.

    Notes
    -----
    The equation z - gh f(t, z) = r of a fixed step may have several roots. The one that continues from the state as the step grows from 0
    is taken; where it turns back before gh, the step fails. Newton's root is taken as it is where f, looked at in 3 points on the way to
    it (15 on a long one), shows that it cannot be another; else the root is followed from gh = 0, which costs evaluations (``nfev`` and
    ``njev`` count them). Bumps of f between these points are not seen. An infinite gh asks for the steady state that the flow z' = f(t,
    z), t at rest, reaches: esdirk43 follows it, unless f is affine. On gradient flow, where it turns back, the flow of f(z) + abs(z -
    r)^2 / (2 gh) leads on, to a local minimum of it that is no higher than f(r). Corners of f are passed by the sign of the determinant
    alone. Under error control none of this is done: steps are short where f bends.

    The acceleration of an implicit step of `mflow.solve_dynamics` follows Newton's directions from differences where all this fails, as
    beside the infinite slopes of abs(v)^a: how far is bracketed along each, which finds the one root of a monotone equation.

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
    fraction: float | None = None
    tol: float = 1e-14

    def __post_init__(self) -> None:
        check_choice(self.linear_solver, "linear_solver", LINEAR_SOLVERS)
        check_flags(full=self.full)
        _check(self, "max_iter")


@knows_other_words
@dataclass(frozen=True)
class NewtonKrylov:
    """Newton's iteration without a matrix: GMRES on differences of f along vectors.

    For many unknowns whose Jacobian has no structure that you can name. Every product of the Jacobian and a vector is one call of f.
    Up to `dim` unknowns the Jacobian takes no more room than the basis: it is made from as many products and kept, as `Newton` keeps it,
    if there is no `prec`. So it is up to 300 unknowns where ``mass`` couples them, or is singular: GMRES takes many more products then.

    Parameters
    ----------
    dim : int
        Vectors of the Krylov basis before GMRES restarts.
    cycles : int, optional
        How often it restarts, at most. By default as often as each restart takes a hundredth off the residual, up to a thousand times.
    prec : callable or "ilu", optional
        A preconditioner, without which GMRES takes the more products the stiffer f is. ``prec(t, y, gamma, *args)`` returns what applies
        the inverse of I - gamma J, J at (t, y), to a vector, approximately: a function, or an object with ``solve`` or ``matvec`` (SuperLU,
        a LinearOperator). It is asked again where gamma has changed by a fifth, or iterations converge slowly or not at all. "ilu": an
        incomplete LU of I - gamma J by SciPy, from a ``jac`` that is or returns a sparse matrix. With ``mass`` M stands in the place of I.
        Not for radau5, whose stages are solved together.
    max_iter, fraction, tol
        As in `Newton`.

    Raises
    ------
    TypeError, ValueError
        A parameter is no number or out of range; the text names it.

    See Also
    --------
    mflow.nonlinear.Newton, mflow.nonlinear.FixedPoint
    mflow.solve_ivp : ``solver=`` takes one.

    Examples
    --------
    >>> import mflow, mflow.nonlinear
    >>> mflow.nonlinear.NewtonKrylov(dim=50).dim
    50
    >>> stiff = np.linspace(1.0, 1e5, 50)
    >>> solver = mflow.nonlinear.NewtonKrylov(prec=lambda t, y, gamma: lambda b: b / (1.0 + gamma * stiff))
    >>> mflow.solve_ivp(lambda t, y: -stiff * y, (0, 1), np.ones(50), "bdf", solver=solver, save="last").reason
    'finished'

    References
    ----------
    D. A. Knoll and D. E. Keyes, J. Comput. Phys. 193 (2004) 357-397.
    """

    dim: int = 30
    cycles: int | None = None
    max_iter: int = 15
    fraction: float | None = None
    tol: float = 1e-14
    prec: Callable[..., Any] | str | None = None

    def __post_init__(self) -> None:
        if not (self.prec is None or callable(self.prec) or (isinstance(self.prec, str) and self.prec == "ilu")):
            raise TypeError(f"prec: expected a function of (t, y, gamma) or 'ilu', got {shown(self.prec)}")
        _check(self, "max_iter", "dim", *(() if self.cycles is None else ("cycles",)))


@knows_other_words
@dataclass(frozen=True)
class FixedPoint:
    """z = r + gh f(t, z), repeated: no Jacobian; converges where gh times the Lipschitz constant of f is below 1.

    Parameters
    ----------
    max_iter, fraction, tol
        As in `Newton`.

    Raises
    ------
    TypeError, ValueError
        A parameter is no number or out of range; the text names it.

    See Also
    --------
    mflow.nonlinear.Newton, mflow.nonlinear.NewtonKrylov
    mflow.solve_ivp : ``solver=`` takes one.

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
    fraction: float | None = None
    tol: float = 1e-14

    def __post_init__(self) -> None:
        _check(self, "max_iter")


SOLVERS: dict[str, type[Newton | NewtonKrylov | FixedPoint]] = {"newton": Newton, "newton_krylov": NewtonKrylov, "fixed_point": FixedPoint}


# ---- from arguments to a solver -----------------------------------------------------------------------------------------------------


SILENT = frozenset(("args", "rhs_t", "hess", "columns", "mass", "exclude_algebraic"))  # no arguments of the user's that are without effect


def solver_for(method: Method, equation: problem.Problem, t0: Any, start: Array, *, solver: Any = None, **linear: Any) -> Solver | None:
    """A driver's solver: None for an explicit method, which has nothing to solve; ``linear`` as in `make_solver`.

    Arguments that belong to implicit methods have no effect on an explicit one; a warning says so, as SciPy's does.
    """
    if method.is_implicit:
        if solver is None and start.size <= LARGE and not any(map(_is_given, linear.items())):
            return _newton(Newton(), equation, _Jacobian("jac", start.size, None), (t0, start))
        made = make_solver(solver, equation, start.shape, (float(t0), start), **linear)
        kind = "krylov" if isinstance(as_solver(solver), NewtonKrylov) else made.kind
        if kind in ("krylov", "fixed_point") and "G" in (method.tableau or {}):
            raise ValueError(
                f"solver: expected 'newton' for {method.name}, whose stages are linear equations with a Jacobian, got {kind}; beyond "
                f"{LARGE} components give jac, jac_sparsity, or lband and uband"
            )
        if getattr(solver, "prec", None) is not None and "A_inv" in (method.tableau or {}):
            raise ValueError(f"prec: expected a method whose stages are solved one by one (bdf, esdirk43), got {method.name}; omit it")
        return made
    given = [] if solver is None else ["solver"]
    for name, value in linear.items():
        if value is not None and name not in SILENT:
            given.append(name)
    if given:
        tell(f"{', '.join(given)}: without effect, as {method.name} is explicit", UserWarning)
    return None


def _is_given(argument: tuple[str, Any]) -> bool:
    """Whether an argument of `make_solver` says anything of the Jacobian or of M."""
    name, value = argument
    return name not in ("args", "hess") and value is not None and value is not False


@dataclass
class _Jacobian:
    """All that is known of the Jacobian of n unknowns: the argument `name` that gives it, and where its entries may be."""

    name: str
    n: int
    jac: Any
    ask: _Asker | None = None
    pattern: tuple[Index, Index] | None = None
    lower: int | None = None
    upper: int | None = None
    probes: int = 0
    mass: Mass | None = None
    rows: tuple[Any, ...] | None = None

    def with_mass(self, lower: int, upper: int) -> tuple[int, int]:
        """The band of M - gh J; ValueError where M leaves the band that the user has given."""
        if self.mass is None:
            return lower, upper
        below, above = self.mass.bands
        if self.lower is not None and (below > lower or above > upper):
            raise ValueError(f"lband, uband: expected at least {below} and {above}, as mass has entries there, got {lower} and {upper}")
        return max(below, lower), max(above, upper)

    def for_gmres(self) -> dict[str, Any]:
        """What a solver without a matrix is told of M: a constant one has its left null space, of another only empty rows are known."""
        if self.mass is None or self.rows is None:
            return {}
        return {"mass": self.rows, "left": None if self.mass.varies else self.mass.left[1:]}

    def check_band(self) -> None:
        """Whether the band holds all entries of the pattern; ValueError otherwise."""
        if self.pattern is None or self.lower is None or self.upper is None:
            return
        below, above = band_of(*self.pattern)
        if below > self.lower or above > self.upper:
            raise ValueError(
                f"lband, uband: expected at least {below} and {above}, as jac_sparsity has entries there, got {self.lower} and {self.upper}"
            )

    def check_constant(self, t: float, y: Array) -> None:
        """Checks the shape and the entries of a Jacobian that is a matrix; TypeError or ValueError."""
        if self.ask is None or callable(self.jac):
            return
        constant = self.ask(t, np.asarray(y, dtype=np.float64))
        if not np.all(np.isfinite(stored_entries(constant))):
            raise ValueError(f"{self.name}: expected finite entries, got NaN or an infinity")

    def is_sparse(self, t: float, y: Array) -> bool:
        """Whether the user's Jacobian is a sparse matrix; a function is called once."""
        if hasattr(self.jac, "tocsc"):
            return True
        if not callable(self.jac) or self.ask is None:
            return False
        self.probes += 1
        return hasattr(self.ask(t, np.array(y, dtype=np.float64).ravel()), "tocsc")

    def shapes(self) -> list[tuple[int, int]]:
        """The shapes that the Jacobian may have."""
        packed = [] if self.lower is None or self.upper is None else [(self.lower + self.upper + 1, self.n)]
        return [(self.n, self.n), *packed]


def make_solver(
    solver: Any,
    equation: problem.Problem,
    shape: tuple[int, ...],
    start: tuple[float, Array],
    *,
    jac: Any = None,
    args: tuple[Any, ...] = (),
    jac_sparsity: Any = None,
    lband: int | None = None,
    uband: int | None = None,
    hess: bool = False,
    columns: Callable[[float, Array], Array] | None = None,
    mass: Mass | None = None,
    exclude_algebraic: bool = False,
    rhs_t: problem.Problem | None = None,
) -> Solver:
    """The core's solver for a problem, from `solve_ivp`'s arguments.

    Parameters
    ----------
    solver : None, "newton", "newton_krylov", "fixed_point", or an instance
    equation : Problem
        Made with the same `jac`.
    shape : tuple
        The state's shape.
    start : (t0, y0)
        Where a Python `jac` is called once to see whether it returns a sparse matrix.
    jac : callable, array or sparse matrix, optional
        ``jac(t, y, *args)``; with ``hess=True`` it is ``hess(c, *args)``, and the Jacobian its negative.
    args : tuple
    jac_sparsity : array_like or sparse matrix (n, n), optional
        Not 0 where the Jacobian may have an entry.
    lband, uband : int, optional
        Bandwidths: ``J[i, j] != 0`` only for ``i - lband <= j <= i + uband``. If one is not given, it is 0.
    columns : callable, optional
        For differences, f at every column of Y in one call, as `mflow.problems.vectorized.columns_of` makes it.
    mass : mflow.solvers.mass.Mass, optional
        The matrix M of M y' = f(t, y).
    exclude_algebraic : bool
        Whether error norms leave out the part of y in its null space.
    rhs_t : Problem, optional
        Its right-hand side is the partial derivative of f by t, for methods that need it.

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
    >>> from mflow.solvers.nonlinear import make_solver
    >>> p = rhs_problem(lambda t, y: -(y**3), (1,))
    >>> s = make_solver("newton", p, (1,), (0.0, np.ones(1)))
    >>> s.bind(p)
    >>> z, status, iterations = s.solve(0.1, 0.1, [1.0], [1.0])
    >>> bool(abs(z[0] + 0.1 * z[0] ** 3 - 1.0) < 1e-13)
    True
    """
    check_flags(hess=hess)
    shape = tuple(check_whole(n, f"shape[{k}]") for k, n in enumerate(check_list(shape, "shape", "the state's shape")))
    if not isinstance(start, tuple | list) or len(start) != 2:
        raise TypeError(f"start: expected a pair (t0, y0), got {shown(start)}")
    start = check_number(start[0], "start[0]"), real_array(start[1], "start[1]")
    known = _Jacobian("hess" if hess else "jac", math.prod(shape), jac)
    if hasattr(jac, "matvec"):
        raise ValueError(_without_entries(known.name))
    config = as_solver(solver)
    known.lower, known.upper = _bands(lband, uband, known.n)
    if mass is not None and isinstance(config, FixedPoint):
        raise ValueError("solver: expected 'newton' or 'newton_krylov' with mass=, got FixedPoint, which solves y' = f alone")
    known.mass, known.rows = mass, None if mass is None else mass.packed(exclude_algebraic)
    if isinstance(config, (NewtonKrylov, FixedPoint)):
        given = {known.name: jac is not None, "jac_sparsity": jac_sparsity is not None, "lband, uband": known.lower is not None}
        if isinstance(config, NewtonKrylov) and config.prec == "ilu":
            known.ask = _asker(jac, equation, shape, args, known)
            if jac is None or known.ask is None or not known.is_sparse(*start):
                got = "none; give it" if jac is None else "one that is not sparse; make it a matrix of scipy.sparse"
                raise ValueError(
                    f"prec: expected {known.name} with 'ilu', a sparse matrix or a Python function that returns one, got {got}"
                )
            del given[known.name]
        for argument, is_given in given.items():
            if is_given:
                raise ValueError(f"{argument}: {type(config).__name__} uses no Jacobian; remove it, or choose solver='newton'")
        if not isinstance(config, NewtonKrylov) or config.prec is None:
            return _matrix_free(config, known.n, known)
        from mflow.solvers.preconditioners import preconditioner  # few runs need it

        made = _by_gmres(config, sparse=preconditioner(config.prec, shape, args, known.ask, mass), **known.for_gmres())
        made.probes = known.probes
        return made
    if jac is not None and jac_sparsity is not None:
        raise ValueError(f"jac_sparsity: expected none with {known.name}, as it is for differences; remove one of them")
    known.pattern = None if jac_sparsity is None else pattern_of(jac_sparsity, known.n)
    known.check_band()
    known.ask = _asker(jac, equation, shape, args, known)
    known.check_constant(*start)
    made = _newton(config, equation, known, start, columns if jac is None else None, rhs_t)
    made.probes = known.probes
    return made


def _matrix_free(config: NewtonKrylov | FixedPoint, n: int, known: _Jacobian | None = None) -> Solver:
    """The solver without a Jacobian of the user's, for n unknowns; `known` tells of M."""
    if isinstance(config, FixedPoint):
        return Solver("fixed_point", **_common(config))
    if n <= max(config.dim, 0 if known is None or known.mass is None or known.mass.is_scale else COUPLED):
        return Solver("dense", **_common(config), mass=None if known is None else known.rows)
    return _by_gmres(config, **({} if known is None else known.for_gmres()))


def _by_gmres(config: NewtonKrylov, **more: Any) -> Solver:
    return Solver("krylov", krylov_dim=config.dim, krylov_cycles=config.cycles or 0, **_common(config), **more)


def _common(config: Newton | NewtonKrylov | FixedPoint) -> dict[str, Any]:
    return {"max_iter": config.max_iter, "fraction": config.fraction or 0.0, "tol": config.tol}


def _newton(
    config: Newton,
    equation: problem.Problem,
    known: _Jacobian,
    start: tuple[float, Array],
    columns: Callable[[float, Array], Array] | None = None,
    rhs_t: problem.Problem | None = None,
) -> Solver:
    """Newton's iteration with the linear solver that fits what is known of the Jacobian."""
    kind, lower, upper = _linear_solver(config.linear_solver, known, start)
    if kind == "krylov":
        return Solver("krylov", **_common(config), **known.for_gmres())
    common = _common(config) | {"full": config.full, "columns": columns, "mass": known.rows, "rhs_t": rhs_t}
    has_jac = known.jac is not None
    groups = None if known.pattern is None else (color_columns(*known.pattern), *known.pattern)
    if kind == "banded":
        assert lower is not None
        assert upper is not None
        lower, upper = known.with_mass(lower, upper)
        equation.set_band(lower, upper)
        compiled = has_jac and equation.jac_is_compiled
        return Solver(kind, lower=lower, upper=upper, jac=compiled, band_jac=has_jac and not compiled, pattern=groups, **common)
    if kind == "sparse":
        indptr, indices = known.pattern if known.pattern is not None else (None, None)
        rows = None if known.mass is None else known.mass.sparse()
        jac, check = (None, None) if known.ask is None else (known.ask.raw, known.ask.check)
        return Solver(kind, sparse=SparseFactors(known.n, jac, indptr, indices, rows, check), pattern=groups, **common)
    return Solver(kind, jac=has_jac, pattern=groups, **common)


def as_solver(solver: Any) -> Newton | NewtonKrylov | FixedPoint:
    """An instance, of whatever ``solver=`` may be. Raises TypeError or ValueError."""
    if solver is None:
        return Newton()
    if isinstance(solver, (Newton, NewtonKrylov, FixedPoint)):
        return solver
    expected = f"{', '.join(map(repr, SOLVERS))} or an instance of mflow.nonlinear's classes"
    if isinstance(solver, str):
        if solver in SOLVERS:
            return SOLVERS[solver]()
        raise ValueError(f"solver: expected {expected}, got {solver!r}")
    if isinstance(solver, type) and issubclass(solver, (Newton, NewtonKrylov, FixedPoint)):
        raise TypeError(f"solver: expected an instance, got the class {solver.__name__}; write {solver.__name__}()")
    raise TypeError(f"solver: expected {expected}, got {type(solver).__name__}")


def _bands(lband: Any, uband: Any, n: int) -> tuple[int | None, int | None]:
    if lband is None and uband is None:
        return None, None
    lower, upper = (0 if width is None else check_whole(width, name) for name, width in (("lband", lband), ("uband", uband)))
    return min(lower, max(n - 1, 0)), min(upper, max(n - 1, 0))


def _without_entries(name: str) -> str:
    return f'{operator_words(name)}; solver="newton_krylov" without {name} needs none'


class _Asker:
    """The user's Jacobian as a function of (t, y): what it returns (`raw`), checked and with its sign (`check`)."""

    def __init__(self, jac: Any, shape: tuple[int, ...], args: tuple[Any, ...], known: _Jacobian) -> None:
        self._jac, self._shape, self._args, self._known = jac, shape, args, known
        self._is_hess = known.name == "hess"

    def raw(self, t: float, y: Array) -> Any:
        """What the user's function returns, or the matrix in place of it."""
        if not callable(self._jac):
            return self._jac
        y = y.reshape(self._shape)
        y.flags.writeable = False
        return self._jac(y, *self._args) if self._is_hess else self._jac(t, y, *self._args)

    def check(self, result: Any) -> Any:
        """The Jacobian of that: a sparse matrix or an array. TypeError or ValueError where it is none of this size."""
        name, known = self._known.name, self._known
        matrix = check_sparse(result, name) if hasattr(result, "tocsc") else np.asarray(result)
        if hasattr(result, "matvec"):
            raise ValueError(_without_entries(name))
        if matrix.dtype.kind not in "biuf":
            given = "None" if result is None else f"dtype {matrix.dtype}"
            raise TypeError(f"{name}: expected real numbers (float64), got {given}")
        if matrix.shape not in known.shapes():
            shapes = " or, packed, ".join(map(str, known.shapes()))
            raise ValueError(f"{name}: expected shape {shapes}, as the state has {known.n} components, got shape {matrix.shape}")
        return -matrix if self._is_hess else matrix

    def __call__(self, t: float, y: Array) -> Any:
        return self.check(self.raw(t, y))


def _asker(jac: Any, equation: problem.Problem, shape: tuple[int, ...], args: tuple[Any, ...], known: _Jacobian) -> _Asker | None:
    """The user's Jacobian, for sparse matrices; None if there is none, or if it is compiled."""
    return None if jac is None or equation.jac_is_compiled else _Asker(jac, shape, args, known)


def _linear_solver(choice: str, known: _Jacobian, start: tuple[float, Array]) -> tuple[str, int | None, int | None]:
    """The linear solver for ``linear_solver=choice``, and the band if it is one; ValueError if it does not fit the Jacobian."""
    if choice == "auto":
        return _automatic(known, start)
    if choice == "banded" and known.lower is None:
        if known.pattern is None:
            raise ValueError("linear_solver: 'banded' needs a band; give lband and uband, or jac_sparsity")
        return ("banded", *band_of(*known.pattern))
    if choice != "banded" and known.lower is not None:
        raise ValueError(f"lband, uband: linear_solver={choice!r} has no band; remove them, or choose 'banded' or 'auto'")
    if choice == "krylov" and (known.jac is not None or known.pattern is not None):
        raise ValueError(f"linear_solver: 'krylov' uses no Jacobian; remove {known.name if known.jac is not None else 'jac_sparsity'}")
    if choice == "sparse" and known.ask is None and known.pattern is None:
        raise ValueError(f"linear_solver: 'sparse' needs a pattern; give jac_sparsity, or a {known.name} that returns a sparse matrix")
    return choice, known.lower, known.upper


def _automatic(known: _Jacobian, start: tuple[float, Array]) -> tuple[str, int | None, int | None]:
    if known.lower is not None:
        return "banded", known.lower, known.upper
    if known.pattern is not None:
        below, above = band_of(*known.pattern)
        if known.n <= SMALL:
            return "dense", None, None
        return ("banded", below, above) if below + above < NARROW else ("sparse", None, None)
    if known.jac is None:
        return ("krylov" if known.n > LARGE else "dense"), None, None
    return ("sparse" if known.is_sparse(*start) else "dense"), None, None


def force_solver(solver: Any, n: int, tangents: bool, sparse: Any = None) -> Solver:
    """The solver for implicit accelerations: dense where that is affordable; by `sparse`, which factors, if it is given."""
    config = as_solver(solver)
    if isinstance(config, (NewtonKrylov, FixedPoint)):
        if isinstance(config, NewtonKrylov) and config.prec is not None:
            raise ValueError(
                "prec: expected none for accelerations, whose matrix is another one; omit it, or give dfdx and dfdv as sparse matrices"
            )
        return _matrix_free(config, n)
    common = _common(config)
    if sparse is not None and config.linear_solver in ("auto", "banded", "sparse"):
        return Solver("sparse", sparse=sparse, full=config.full, **common)
    if config.linear_solver in ("banded", "sparse"):
        raise ValueError(f"solver: linear_solver={config.linear_solver!r} needs dfdx= or dfdv= as SciPy sparse matrices")
    if config.linear_solver == "krylov" or (config.linear_solver == "auto" and n > LARGE and not tangents):
        return Solver("krylov", **common)
    return Solver("dense", jac=tangents, full=config.full, **common)
