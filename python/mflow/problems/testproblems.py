"""Initial value problems that integrators are compared on, with their end values to 15 digits.

    problem = get_problem("hires")
    r = mflow.solve_ivp(problem.fun, problem.t_span, problem.y0, rtol=1e-6, atol=1e-6, save="last")
    print(problem.error(r.y[:, -1], rtol=1e-6, atol=1e-6))      # 1: as large as the tolerance

The formulas are those of the papers, in NumPy; the end values (`testvalues.py`) are computed by tools/reference_values.py, which calls no
method of this library. Everything is float64: an end value is that of the rounded coefficients and start.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from mflow.base.checks import Array, check_instance, check_number, real_array
from mflow.base.telling import knows_other_words
from mflow.problems.testvalues import END_VALUES

__all__ = ["InitialValueProblem", "get_problem", "problem_names"]

HULL = "T. Hull, W. Enright, B. Fellen and A. Sedgwick, SIAM J. Numer. Anal. 9 (1972) 603-637, problem {}"
HAIRER1 = "E. Hairer, S. Norsett and G. Wanner, Solving Ordinary Differential Equations I (1993), {}"
HAIRER2 = "E. Hairer and G. Wanner, Solving Ordinary Differential Equations II (1996), {}"


@knows_other_words
@dataclass(frozen=True, eq=False)
class InitialValueProblem:
    """y' = fun(t, y) with y(t0) = y0, and y at the end.

    Attributes
    ----------
    name, title, source : str
    fun : callable
        ``fun(t, y)`` returns the slopes, float64 (n,).
    jac : callable
        ``jac(t, y)`` returns the matrix of df_i/dy_j, float64 (n, n).
    y0, y_end : float64 arrays (n,), read-only
        y_end is right to 15 digits of its largest component, at least.
    t_span : (t0, t_end)
    stiff : bool
        Whether the steps of explicit methods are limited by stability and not by accuracy.

    See Also
    --------
    mflow.testproblems.get_problem, mflow.testproblems.problem_names, mflow.solve_ivp

    Examples
    --------
    >>> import mflow
    >>> p = mflow.testproblems.get_problem("E2")
    >>> r = mflow.solve_ivp(p.fun, p.t_span, p.y0, rtol=1e-8, atol=1e-8)
    >>> p.error(r.y[:, -1]) < 1e-5
    True
    """

    name: str
    title: str
    source: str
    fun: Callable[[float, Array], Array]
    jac: Callable[[float, Array], Array]
    y0: Array
    t_span: tuple[float, float]
    y_end: Array
    stiff: bool

    def error(self, y: Any, rtol: float = 1.0, atol: float = 1.0) -> float:
        """Largest error of y as the end value, in units of the tolerance: max |y - y_end|/(atol + rtol |y_end|).

        Examples
        --------
        >>> from mflow.testproblems import get_problem
        >>> problem = get_problem("A1")
        >>> bool(problem.error(problem.y_end) < 1e-15)
        True
        """
        end = real_array(y, "y")
        if end.shape not in ((), np.shape(self.y_end)):
            raise ValueError(f"y: expected an array of shape {np.shape(self.y_end)}, got shape {end.shape}")
        rtol, atol = check_number(rtol, "rtol", low=0.0), check_number(atol, "atol", low=0.0)
        off = np.abs(end - self.y_end)
        return float(np.max(off / (atol + rtol * np.abs(self.y_end))))


_PROBLEMS: dict[str, InitialValueProblem] = {}


@knows_other_words
def get_problem(name: str) -> InitialValueProblem:
    """The problem of that name.

    Parameters
    ----------
    name : str
        See `problem_names`; case does not matter.

    Returns
    -------
    InitialValueProblem

    Raises
    ------
    ValueError
        There is no such problem; the text lists all names.

    See Also
    --------
    mflow.testproblems.problem_names, mflow.testproblems.InitialValueProblem

    Examples
    --------
    >>> from mflow.testproblems import get_problem
    >>> get_problem("robertson").y0
    array([1., 0., 0.])
    """
    for known, problem in _PROBLEMS.items():
        if known.lower() == str(name).lower():
            return problem
    raise ValueError(f"name: expected one of {', '.join(_PROBLEMS)}, got {name!r}")


@knows_other_words
def problem_names(prefix: str = "") -> list[str]:
    """Names of all problems, or of those that begin with `prefix`, as "A" of DETEST's class A.

    Parameters
    ----------
    prefix : str
        The beginning of the names; "" gives all.

    Returns
    -------
    list of str

    See Also
    --------
    mflow.testproblems.get_problem

    Examples
    --------
    >>> from mflow.testproblems import problem_names
    >>> problem_names("E")
    ['E1', 'E2', 'E3', 'E4', 'E5']
    """
    check_instance(prefix, "prefix", str, "the beginning of a name")
    return [name for name in _PROBLEMS if name.startswith(prefix)]


def _frozen(values: Any) -> Array:
    out = np.array(values, dtype=np.float64)
    out.flags.writeable = False
    return out


def _add(name: str, title: str, source: str, y0: Any, t_end: float, fun: Any, jac: Any, stiff: bool = False) -> None:
    y_end = END_VALUES.get(name, (np.nan,) * len(y0))  # NaN compares with nothing: it was never computed
    _PROBLEMS[name] = InitialValueProblem(name, title, source, fun, jac, _frozen(y0), (0.0, t_end), _frozen(y_end), stiff)


# ---- chaos, celestial mechanics, chemistry ---------------------------------------------------------------------------------------------


def _lorenz(t: float, y: Array) -> Array:
    return np.array([10.0 * (y[1] - y[0]), y[0] * (28.0 - y[2]) - y[1], y[0] * y[1] - 8.0 / 3.0 * y[2]])


def _lorenz_jac(t: float, y: Array) -> Array:
    return np.array([[-10.0, 10.0, 0.0], [28.0 - y[2], -1.0, -y[0]], [y[1], y[0], -8.0 / 3.0]])


MOON = 0.012277471
EARTH = 1.0 - MOON


def _arenstorf(t: float, y: Array) -> Array:
    u, v, du, dv = y
    earth, moon = u + MOON, u - EARTH
    d1, d2 = (earth * earth + v * v) ** 1.5, (moon * moon + v * v) ** 1.5
    return np.array([du, dv, u + 2.0 * dv - EARTH * earth / d1 - MOON * moon / d2, v - 2.0 * du - EARTH * v / d1 - MOON * v / d2])


def _pull(*x: float) -> Array:
    """Derivative of x/|x|^3."""
    at = np.array(x)
    r2 = at @ at
    out: Array = (np.eye(at.size) - 3.0 * np.outer(at, at) / r2) / r2**1.5
    return out


def _arenstorf_jac(t: float, y: Array) -> Array:
    out = np.zeros((4, 4))
    out[:2, 2:] = np.eye(2)
    out[2:, :2] = np.eye(2) - EARTH * _pull(y[0] + MOON, y[1]) - MOON * _pull(y[0] - EARTH, y[1])
    out[2:, 2:] = [[0.0, 2.0], [-2.0, 0.0]]
    return out


MU = 1e3
EPS = 1e-6


def _vdp(t: float, y: Array) -> Array:
    return np.array([y[1], MU * (1.0 - y[0] * y[0]) * y[1] - y[0]])


def _vdp_jac(t: float, y: Array) -> Array:
    return np.array([[0.0, 1.0], [-2.0 * MU * y[0] * y[1] - 1.0, MU * (1.0 - y[0] * y[0])]])


def _vdp_eps(t: float, y: Array) -> Array:
    return np.array([y[1], ((1.0 - y[0] * y[0]) * y[1] - y[0]) / EPS])


def _vdp_eps_jac(t: float, y: Array) -> Array:
    return np.array([[0.0, 1.0], [(-2.0 * y[0] * y[1] - 1.0) / EPS, (1.0 - y[0] * y[0]) / EPS]])


def _robertson(t: float, y: Array) -> Array:
    slow, fast, last = 0.04 * y[0], 3e7 * y[1] * y[1], 1e4 * y[1] * y[2]
    return np.array([last - slow, slow - last - fast, fast])


def _robertson_jac(t: float, y: Array) -> Array:
    a, b, c = 6e7 * y[1], 1e4 * y[2], 1e4 * y[1]
    return np.array([[-0.04, b, c], [0.04, -b - a, -c], [0.0, a, 0.0]])


HIRES = np.array([
    [-1.71, 0.43, 8.32, 0, 0, 0, 0, 0],
    [1.71, -8.75, 0, 0, 0, 0, 0, 0],
    [0, 0, -10.03, 0.43, 0.035, 0, 0, 0],
    [0, 8.32, 1.71, -1.12, 0, 0, 0, 0],
    [0, 0, 0, 0, -1.745, 0.43, 0.43, 0],
    [0, 0, 0, 0.69, 1.71, -0.43, 0.69, 0],
    [0, 0, 0, 0, 0, 0, -1.81, 0],
    [0, 0, 0, 0, 0, 0, 1.81, 0],
])  # fmt: skip


def _hires(t: float, y: Array) -> Array:
    out: Array = HIRES @ y
    meet = 280.0 * y[5] * y[7]
    out[0] += 0.0007
    out[5] -= meet
    out[6] += meet
    out[7] -= meet
    return out


def _hires_jac(t: float, y: Array) -> Array:
    out = HIRES.copy()
    for row, sign in ((5, -1.0), (6, 1.0), (7, -1.0)):
        out[row, 5] += sign * 280.0 * y[7]
        out[row, 7] += sign * 280.0 * y[5]
    return out


_add("lorenz", "Lorenz, chaotic", "E. Lorenz, J. Atmos. Sci. 20 (1963) 130-141", (1.0, 1.0, 1.0), 10.0, _lorenz, _lorenz_jac)
_add(
    "arenstorf", "Arenstorf orbit, one period", HAIRER1.format("II.0"),
    (0.994, 0.0, 0.0, -2.00158510637908252240537862224), 17.0652165601579625588917206249, _arenstorf, _arenstorf_jac,
)  # fmt: skip
_add("vdp", "Van der Pol, mu = 1000", HAIRER2.format("IV.1"), (2.0, 0.0), 2000.0, _vdp, _vdp_jac, stiff=True)
_add("vdp_eps", "Van der Pol, eps = 1e-6", HAIRER2.format("IV.10"), (2.0, 0.0), 2.0, _vdp_eps, _vdp_eps_jac, stiff=True)
_add("robertson", "Robertson, to t = 40", HAIRER2.format("IV.1"), (1.0, 0.0, 0.0), 40.0, _robertson, _robertson_jac, stiff=True)
_add(
    "hires", "HIRES", "E. Schafer, J. Math. Biol. 2 (1975) 41-56; " + HAIRER2.format("IV.10"),
    (1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0057), 321.8122, _hires, _hires_jac, stiff=True,
)  # fmt: skip


# ---- DETEST, class A: single equations -------------------------------------------------------------------------------------------------


def _detest(name: str, title: str, y0: Any, fun: Any, jac: Any) -> None:
    _add(name, title, HULL.format(name), y0, 20.0, fun, jac)


_detest("A1", "exponential decay", [1.0], lambda t, y: -y, lambda t, y: np.array([[-1.0]]))
_detest("A2", "a Riccati equation", [1.0], lambda t, y: -y * y * y / 2.0, lambda t, y: np.array([-1.5 * y * y]))
_detest("A3", "an oscillation", [1.0], lambda t, y: y * np.cos(t), lambda t, y: np.array([[np.cos(t)]]))
_detest("A4", "logistic curve", [1.0], lambda t, y: y / 4.0 * (1.0 - y / 20.0), lambda t, y: np.array([0.25 - y / 40.0]))
_detest("A5", "a spiral", [4.0], lambda t, y: (y - t) / (y + t), lambda t, y: np.array([2.0 * t / ((y + t) * (y + t))]))


# ---- class B: small systems ------------------------------------------------------------------------------------------------------------


def _b1(t: float, y: Array) -> Array:
    both = y[0] * y[1]
    return np.array([2.0 * (y[0] - both), both - y[1]])


def _b1_jac(t: float, y: Array) -> Array:
    return np.array([[2.0 * (1.0 - y[1]), -2.0 * y[0]], [y[1], y[0] - 1.0]])


def _b2(t: float, y: Array) -> Array:
    return np.array([y[1] - y[0], y[0] - 2.0 * y[1] + y[2], y[1] - y[2]])


def _b2_jac(t: float, y: Array) -> Array:
    return np.array([[-1.0, 1.0, 0.0], [1.0, -2.0, 1.0], [0.0, 1.0, -1.0]])


def _b3(t: float, y: Array) -> Array:
    square = y[1] * y[1]
    return np.array([-y[0], y[0] - square, square])


def _b3_jac(t: float, y: Array) -> Array:
    return np.array([[-1.0, 0.0, 0.0], [1.0, -2.0 * y[1], 0.0], [0.0, 2.0 * y[1], 0.0]])


def _b4(t: float, y: Array) -> Array:
    r = np.sqrt(y[0] * y[0] + y[1] * y[1])
    return np.array([-y[1] - y[0] * y[2] / r, y[0] - y[1] * y[2] / r, y[0] / r])


def _b4_jac(t: float, y: Array) -> Array:
    a, b, c = y
    r = np.sqrt(a * a + b * b)
    aa, ab, bb = b * b / r**3, -a * b / r**3, a * a / r**3  # derivatives of a/r and b/r
    return np.array([[-c * aa, -1.0 - c * ab, -a / r], [1.0 - c * ab, -c * bb, -b / r], [aa, ab, 0.0]])


def _b5(t: float, y: Array) -> Array:
    return np.array([y[1] * y[2], -y[0] * y[2], -0.51 * y[0] * y[1]])


def _b5_jac(t: float, y: Array) -> Array:
    return np.array([[0.0, y[2], y[1]], [-y[2], 0.0, -y[0]], [-0.51 * y[1], -0.51 * y[0], 0.0]])


_detest("B1", "two populations in conflict", (1.0, 3.0), _b1, _b1_jac)
_detest("B2", "a linear reaction", (2.0, 0.0, 1.0), _b2, _b2_jac)
_detest("B3", "a nonlinear reaction", (1.0, 0.0, 0.0), _b3, _b3_jac)
_detest("B4", "a curve on a torus", (3.0, 0.0, 0.0), _b4, _b4_jac)
_detest("B5", "Euler's rigid body", (0.0, 1.0, 1.0), _b5, _b5_jac)


# ---- class C: larger systems -----------------------------------------------------------------------------------------------------------


def _chain(rates: Array) -> tuple[Any, Any]:
    """Each substance decays into the next at its own rate; the last one stays."""
    matrix = np.diag(rates, -1) - np.diag([*rates, 0.0])

    def fun(t: float, y: Array) -> Array:
        passed = rates * y[:-1]
        out: Array = np.append(-passed, 0.0) + np.append(0.0, passed)
        return out

    return fun, lambda t, y: matrix.copy()


def _diffusion(t: float, y: Array) -> Array:
    out: Array = -2.0 * y
    out[1:] += y[:-1]
    out[:-1] += y[1:]
    return out


def _diffusion_jac(t: float, y: Array) -> Array:
    n = y.size
    return np.asarray(-2.0 * np.eye(n) + np.eye(n, k=1) + np.eye(n, k=-1))


GRAVITY = 2.95912208286
SUN = 1.00000597682  # with the inner planets
PLANETS = np.array([0.000954786104043, 0.000285583733151, 0.0000437273164546, 0.0000517759138449, 0.00000277777777778])
FIVE_BODIES = (
    3.42947415189, 3.35386959711, 1.35494901715, 6.64145542550, 5.97156957878, 2.18231499728,
    11.2630437207, 14.6952576794, 6.27960525067, -30.1552268759, 1.65699966404, 1.43785752721,
    -21.1238353380, 28.4465098142, 15.3882659679,
    -0.557160570446, 0.505696783289, 0.230578543901, -0.415570776342, 0.365682722812, 0.169143213293,
    -0.325325669158, 0.189706021964, 0.0877265322780, -0.0240476254170, -0.287659532608, -0.117219543175,
    -0.176860753121, -0.216393453025, -0.0148647893090,
)  # fmt: skip


def _five_bodies(t: float, y: Array) -> Array:
    """With G(x) = x/|x|^3: x_j'' = k^2 (-m_0 G(x_j) - sum_k m_k G(x_k) + sum_{k != j} m_k G(x_k - x_j)), positions before velocities.

    The sum over all k holds the two terms -m_j G(x_j) and -sum_{k != j} m_k G(x_k) of the paper.
    """
    x = y[:15].reshape(5, 3)
    to = x - x[:, None]  # [j, k]: from j to k
    distance = ((to * to).sum(axis=2) + np.eye(5)) ** 1.5  # 1 where j = k: nothing is divided by 0
    sun = x / ((x * x).sum(axis=1) ** 1.5)[:, None]
    mass = PLANETS[:, None]
    pull = -SUN * sun - (mass * sun).sum(axis=0) + (mass * to / distance[..., None]).sum(axis=1)
    return np.concatenate((y[15:], GRAVITY * pull.ravel()))


def _five_bodies_jac(t: float, y: Array) -> Array:
    x = y[:15].reshape(5, 3)
    pull = np.zeros((5, 3, 5, 3))  # [j, :, i, :]: of j by i
    for i in range(5):
        for j in range(5):
            pull[j, :, i] -= PLANETS[i] * _pull(*x[i])
            if i != j:
                between = PLANETS[i] * _pull(*(x[i] - x[j]))
                pull[j, :, i] += between
                pull[j, :, j] -= between
        pull[i, :, i] -= SUN * _pull(*x[i])
    out = np.zeros((30, 30))
    out[:15, 15:] = np.eye(15)
    out[15:, :15] = GRAVITY * pull.reshape(15, 15)
    return out


_detest("C1", "a chain of decay, equal rates", [1.0] + 9 * [0.0], *_chain(np.ones(9)))
_detest("C2", "a chain of decay, rates 1 to 9", [1.0] + 9 * [0.0], *_chain(np.arange(1.0, 10.0)))
_detest("C3", "heat in 10 cells", [1.0] + 9 * [0.0], _diffusion, _diffusion_jac)
_detest("C4", "heat in 51 cells", [1.0] + 50 * [0.0], _diffusion, _diffusion_jac)
_detest("C5", "the five outer planets", FIVE_BODIES, _five_bodies, _five_bodies_jac)


# ---- class D: orbits -------------------------------------------------------------------------------------------------------------------


def _orbit(t: float, y: Array) -> Array:
    r3 = (y[0] * y[0] + y[1] * y[1]) ** 1.5
    return np.array([y[2], y[3], -y[0] / r3, -y[1] / r3])


def _orbit_jac(t: float, y: Array) -> Array:
    out = np.zeros((4, 4))
    out[:2, 2:] = np.eye(2)
    out[2:, :2] = -_pull(y[0], y[1])
    return out


for _k, _e in enumerate((0.1, 0.3, 0.5, 0.7, 0.9), 1):
    _detest(f"D{_k}", f"an orbit of eccentricity {_e}", (1.0 - _e, 0.0, 0.0, np.sqrt((1.0 + _e) / (1.0 - _e))), _orbit, _orbit_jac)


# ---- class E: second-order equations ---------------------------------------------------------------------------------------------------


def _e1(t: float, y: Array) -> Array:
    x = t + 1.0
    return np.array([y[1], -(y[1] / x + (1.0 - 0.25 / (x * x)) * y[0])])


def _e1_jac(t: float, y: Array) -> Array:
    x = t + 1.0
    return np.array([[0.0, 1.0], [0.25 / (x * x) - 1.0, -1.0 / x]])


def _e2(t: float, y: Array) -> Array:
    return np.array([y[1], (1.0 - y[0] * y[0]) * y[1] - y[0]])


def _e2_jac(t: float, y: Array) -> Array:
    return np.array([[0.0, 1.0], [-2.0 * y[0] * y[1] - 1.0, 1.0 - y[0] * y[0]]])


def _e3(t: float, y: Array) -> Array:
    return np.array([y[1], y[0] * y[0] * y[0] / 6.0 - y[0] + 2.0 * np.sin(2.78535 * t)])


def _e3_jac(t: float, y: Array) -> Array:
    return np.array([[0.0, 1.0], [y[0] * y[0] / 2.0 - 1.0, 0.0]])


def _e4(t: float, y: Array) -> Array:
    return np.array([y[1], 0.032 - 0.4 * y[1] * y[1]])


def _e4_jac(t: float, y: Array) -> Array:
    return np.array([[0.0, 1.0], [0.0, -0.8 * y[1]]])


def _e5(t: float, y: Array) -> Array:
    return np.array([y[1], np.sqrt(1.0 + y[1] * y[1]) / (25.0 - t)])


def _e5_jac(t: float, y: Array) -> Array:
    return np.array([[0.0, 1.0], [0.0, y[1] / np.sqrt(1.0 + y[1] * y[1]) / (25.0 - t)]])


_detest("E1", "Bessel's equation of order 1/2", (0.6713967071418030, 0.09540051444747446), _e1, _e1_jac)
_detest("E2", "Van der Pol, mu = 1", (2.0, 0.0), _e2, _e2_jac)
_detest("E3", "Duffing's equation", (0.0, 0.0), _e3, _e3_jac)
_detest("E4", "falling body", (30.0, 0.0), _e4, _e4_jac)
_detest("E5", "linear pursuit", (0.0, 0.0), _e5, _e5_jac)
