"""The 35 test problems of More, Garbow and Hillstrom: sizes, standard starts, measured data, and known minima.

The residuals are compiled (`mflow_core.objectives.objectives_mgh`, where each problem has a record). A minimum is given as the paper prints
it, to six digits, or as the exact 0; minima that hold for one size only are given for that size.

Source: J. More, B. Garbow and K. Hillstrom, ACM Trans. Math. Softw. 7 (1981) 17-41.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from mflow_core.objectives.objective import Objective
from mflow_core.registry import unknown

from mflow.base.checks import Array, check_instance, check_whole
from mflow.base.telling import knows_other_words

__all__ = ["MGHProblem", "mgh", "mgh_names", "mgh_problem"]

Minimum = Callable[[int, int], float]


@dataclass(frozen=True)
class MGHProblem:
    """One problem as the paper states it.

    Attributes
    ----------
    n, m : int
        Default numbers of unknowns and residuals; with m below n, n residuals.
    start : callable
        ``start(n)`` returns the standard start, float64 (n,).
    residuals : callable or None
        ``residuals(n)`` returns m if it follows from n; None if it is free, from n on, or fixed (``fixed_m``).
    fixed_n, fixed_m : bool
        Whether this is the only size.
    multiple : int
        n is a multiple of it.
    minimum : callable
        ``minimum(n, m)`` returns the least known sum of squares, nan if the paper gives none for this size.
    y, u : tuple of float
        The measured data, and the points of measurement (problem 15).
    """

    n: int
    m: int
    start: Callable[[int], Array]
    minimum: Minimum
    residuals: Callable[[int], int] | None = None
    fixed_n: bool = True
    fixed_m: bool = True
    multiple: int = 1
    least_n: int = 1
    most_n: int = 256
    y: tuple[float, ...] = ()
    u: tuple[float, ...] = ()
    solution: tuple[float, ...] = field(default=())

    def sizes(self, name: str, n: int | None, m: int | None) -> tuple[int, int]:
        """(n, m), checked."""
        unknowns = self.n if n is None else check_whole(n, "n")
        given = None if m is None else check_whole(m, "m")
        if self.fixed_n and unknowns != self.n:
            raise ValueError(f"n: expected {self.n}, the number of unknowns of {name}, got {n}")
        if not self.least_n <= unknowns <= self.most_n or unknowns % self.multiple:
            rule = f", a multiple of {self.multiple}," if self.multiple > 1 else ""
            raise ValueError(f"n: expected a number from {self.least_n} to {self.most_n}{rule} for {name}, got {n}")
        if self.residuals is not None or self.fixed_m:
            count = self.m if self.residuals is None else self.residuals(unknowns)
            if given is not None and given != count:
                raise ValueError(f"m: expected {count}, the number of residuals of {name} with n = {unknowns}, got {m}")
            return unknowns, count
        count = max(self.m, unknowns) if given is None else given
        if count < unknowns or (name == "gulf" and count > 99):
            raise ValueError(f"m: expected at least {unknowns}{' and at most 99' * (name == 'gulf')} for {name}, got {m}")
        return unknowns, count


def _at(*numbers: float) -> Callable[[int], Array]:
    return lambda n: np.array([numbers[k % len(numbers)] for k in range(n)])


def _known(value: float, **only: int) -> Minimum:
    """A minimum for the sizes in `only` (n, m), for all where there are none."""
    return lambda n, m: value if only.get("n", n) == n and only.get("m", m) == m else math.nan


def _by_n(values: dict[int, float]) -> Minimum:
    return lambda n, m: values.get(n, math.nan)


def _free(
    start: Callable[[int], Array], minimum: Minimum, residuals: Callable[[int], int] | None = lambda n: n, **sizes: Any
) -> MGHProblem:
    n = sizes.pop("n", 10)
    m = sizes.pop("m", n)
    return MGHProblem(n, m, start, minimum, residuals, fixed_n=False, fixed_m=False, **sizes)


def _interior(n: int) -> Array:
    t = np.arange(1, n + 1) / (n + 1)
    return np.asarray(t * (t - 1))


_ZERO = _known(0.0)
_BARD = (0.14, 0.18, 0.22, 0.25, 0.29, 0.32, 0.35, 0.39, 0.37, 0.58, 0.73, 0.96, 1.34, 2.10, 4.39)
_GAUSSIAN = (
    0.0009, 0.0044, 0.0175, 0.0540, 0.1295, 0.2420, 0.3521, 0.3989, 0.3521, 0.2420, 0.1295, 0.0540, 0.0175, 0.0044, 0.0009,
)  # fmt: skip
_MEYER = (34780, 28610, 23650, 19630, 16370, 13720, 11540, 9744, 8261, 7030, 6005, 5147, 4427, 3820, 3307, 2872)
_KOWALIK_Y = (0.1957, 0.1947, 0.1735, 0.1600, 0.0844, 0.0627, 0.0456, 0.0342, 0.0323, 0.0235, 0.0246)
_KOWALIK_U = (4.0, 2.0, 1.0, 0.5, 0.25, 0.167, 0.125, 0.1, 0.0833, 0.0714, 0.0625)
_OSBORNE_1 = (
    0.844, 0.908, 0.932, 0.936, 0.925, 0.908, 0.881, 0.850, 0.818, 0.784, 0.751, 0.718, 0.685, 0.658, 0.628, 0.603, 0.580, 0.558,
    0.538, 0.522, 0.506, 0.490, 0.478, 0.467, 0.457, 0.448, 0.438, 0.431, 0.424, 0.420, 0.414, 0.411, 0.406,
)  # fmt: skip
_OSBORNE_2 = (
    1.366, 1.191, 1.112, 1.013, 0.991, 0.885, 0.831, 0.847, 0.786, 0.725, 0.746, 0.679, 0.608, 0.655, 0.616, 0.606, 0.602, 0.626,
    0.651, 0.724, 0.649, 0.649, 0.694, 0.644, 0.624, 0.661, 0.612, 0.558, 0.533, 0.495, 0.500, 0.423, 0.395, 0.375, 0.372, 0.391,
    0.396, 0.405, 0.428, 0.429, 0.523, 0.562, 0.607, 0.653, 0.672, 0.708, 0.633, 0.668, 0.645, 0.632, 0.591, 0.559, 0.597, 0.625,
    0.739, 0.710, 0.729, 0.720, 0.636, 0.581, 0.428, 0.292, 0.162, 0.098, 0.054,
)  # fmt: skip

# In the paper's order.
_PROBLEMS: dict[str, MGHProblem] = {
    "rosenbrock_valley": MGHProblem(2, 2, _at(-1.2, 1.0), _ZERO, solution=(1.0, 1.0)),
    "freudenstein_roth": MGHProblem(2, 2, _at(0.5, -2.0), _ZERO, solution=(5.0, 4.0)),
    "powell_badly_scaled": MGHProblem(2, 2, _at(0.0, 1.0), _ZERO),
    "brown_badly_scaled": MGHProblem(2, 3, _at(1.0, 1.0), _ZERO, solution=(1e6, 2e-6)),
    "beale": MGHProblem(2, 3, _at(1.0, 1.0), _ZERO, y=(1.5, 2.25, 2.625), solution=(3.0, 0.5)),
    "jennrich_sampson": MGHProblem(2, 10, _at(0.3, 0.4), _known(124.362, m=10), fixed_m=False),
    "helical_valley": MGHProblem(3, 3, _at(-1.0, 0.0, 0.0), _ZERO, solution=(1.0, 0.0, 0.0)),
    "bard": MGHProblem(3, 15, _at(1.0), _known(8.21487e-3), y=_BARD),
    "gaussian": MGHProblem(3, 15, _at(0.4, 1.0, 0.0), _known(1.12793e-8), y=_GAUSSIAN),
    "meyer": MGHProblem(3, 16, _at(0.02, 4000.0, 250.0), _known(87.9458), y=_MEYER),
    "gulf": MGHProblem(3, 99, _at(5.0, 2.5, 0.15), _ZERO, fixed_m=False, solution=(50.0, 25.0, 1.5)),
    "box_three": MGHProblem(3, 10, _at(0.0, 10.0, 20.0), _ZERO, fixed_m=False, solution=(1.0, 10.0, 1.0)),
    "powell_singular": MGHProblem(4, 4, _at(3.0, -1.0, 0.0, 1.0), _ZERO, solution=(0.0,) * 4),
    "wood": MGHProblem(4, 6, _at(-3.0, -1.0), _ZERO, solution=(1.0,) * 4),
    "kowalik_osborne": MGHProblem(4, 11, _at(0.25, 0.39, 0.415, 0.39), _known(3.07505e-4), y=_KOWALIK_Y, u=_KOWALIK_U),
    "brown_dennis": MGHProblem(4, 20, _at(25.0, 5.0, -5.0, -1.0), _known(85822.2, m=20), fixed_m=False),
    "osborne_1": MGHProblem(5, 33, _at(0.5, 1.5, -1.0, 0.01, 0.02), _known(5.46489e-5), y=_OSBORNE_1),
    "biggs_exp6": MGHProblem(6, 13, _at(1.0, 2.0, 1.0, 1.0, 1.0, 1.0), _ZERO, fixed_m=False, solution=(1.0, 10.0, 1.0, 5.0, 4.0, 3.0)),
    "osborne_2": MGHProblem(11, 65, _at(1.3, 0.65, 0.65, 0.7, 0.6, 3.0, 5.0, 7.0, 2.0, 4.5, 5.5), _known(4.01377e-2), y=_OSBORNE_2),
    "watson": _free(_at(0.0), _by_n({6: 2.28767e-3, 9: 1.39976e-6, 12: 4.72238e-10}), lambda n: 31, n=6, m=31, least_n=2, most_n=31),
    "extended_rosenbrock": _free(_at(-1.2, 1.0), _ZERO, multiple=2, least_n=2),
    "extended_powell": _free(_at(3.0, -1.0, 0.0, 1.0), _ZERO, n=12, multiple=4, least_n=4),
    "penalty_1": _free(lambda n: np.arange(1.0, n + 1), _by_n({4: 2.24997e-5, 10: 7.08765e-5}), lambda n: n + 1, m=11),
    "penalty_2": _free(_at(0.5), _by_n({4: 9.37629e-6, 10: 2.93660e-4}), lambda n: 2 * n, m=20),
    "variably_dimensioned": _free(lambda n: 1.0 - np.arange(1.0, n + 1) / n, _ZERO, lambda n: n + 2, m=12),
    "trigonometric": _free(lambda n: np.full(n, 1.0 / n), _ZERO),
    "brown_almost_linear": _free(_at(0.5), _ZERO),
    "discrete_boundary": _free(_interior, _ZERO),
    "discrete_integral": _free(_interior, _ZERO),
    "broyden_tridiagonal": _free(_at(-1.0), _ZERO),
    "broyden_banded": _free(_at(-1.0), _ZERO),
    "linear_full_rank": _free(_at(1.0), lambda n, m: float(m - n), None, m=20),
    "linear_rank_1": _free(_at(1.0), lambda n, m: m * (m - 1) / (2 * (2 * m + 1)), None, m=20),
    "linear_rank_1_zeros": _free(_at(1.0), lambda n, m: (m * m + 3 * m - 6) / (2 * (2 * m - 3)), None, m=20, least_n=3),
    "chebyquad": _free(
        lambda n: np.arange(1.0, n + 1) / (n + 1),
        lambda n, m: math.nan if m != n else {8: 3.51687e-3, 10: 6.50395e-3}.get(n, 0.0 if n < 8 or n == 9 else math.nan),
        None,
        n=8,
        m=1,
    ),
}


def mgh_names() -> tuple[str, ...]:
    """Names of the 35 problems, in the paper's order.

    Examples
    --------
    >>> from mflow.problems.mgh import mgh_names
    >>> len(mgh_names()), mgh_names()[6]
    (35, 'helical_valley')
    """
    return tuple(_PROBLEMS)


def mgh_problem(name: str) -> MGHProblem:
    """Sizes, start and minimum of one problem; ValueError, with the nearest names, if there is none of this name.

    Examples
    --------
    >>> from mflow.problems.mgh import mgh_problem
    >>> mgh_problem("bard").minimum(3, 15)
    0.00821487
    """
    check_instance(name, "name", str, "the name of a problem")
    if name not in _PROBLEMS:
        raise ValueError(unknown("name: expected a problem of More, Garbow and Hillstrom, got", name, list(_PROBLEMS)))
    return _PROBLEMS[name]


@knows_other_words
def mgh(name: str, n: int | None = None, m: int | None = None) -> Objective:
    """One of the 35 test problems of More, Garbow and Hillstrom, as a compiled sum of squares.

    Parameters
    ----------
    name : str
        One of `mflow.problems.mgh.mgh_names`.
    n, m : int, optional
        Numbers of unknowns and residuals, for problems of variable size; the paper's if not given.

    Returns
    -------
    Objective
        ``f(x)`` is the sum of the squared residuals (not half of it), ``f.x0`` the standard start; the least known value is
        ``mgh_problem(name).minimum(f.n, f.m)``.

    Raises
    ------
    ValueError
        No problem of this name, or a size that it does not have.

    See Also
    --------
    mflow.objectives.nist, mflow.objectives.Rosenbrock, mflow.least_squares

    Examples
    --------
    >>> import mflow
    >>> f = mflow.objectives.mgh("helical_valley")
    >>> f(f.x0), f([1.0, 0.0, 0.0])
    (2500.0, 0.0)

    References
    ----------
    J. More, B. Garbow and K. Hillstrom, ACM Trans. Math. Softw. 7 (1981) 17-41.
    """
    problem = mgh_problem(name)
    unknowns, count = problem.sizes(name, n, m)
    f = Objective()
    f.fill(name, (unknowns,), problem.start(unknowns), problem.u or None, problem.y or None, rows=count)
    return f
