"""Stiff problems and two of index 1, whose ends are known: the set of stiff.py, stiff_peers.py, auto.py and dense.py.

Sources: F. Mazzia and C. Magherini, Test Set for IVP Solvers, release 2.4 (University of Bari, 2008): HIRES, ROBER, OREGO, VDPOL, medical
Akzo Nobel, and the two differential-algebraic ones of daes.py, with the end values printed there. POLLU: J. Verwer, SIAM J. Sci. Comput.
15 (1994) 1243-1250. BRUSS: the Brusselator in one dimension with diffusion, E. Hairer and G. Wanner, Solving Ordinary Differential
Equations II (1996), IV.10. HEAT: u' = laplace(u) on 100 x 100 points of a square, whose solution is a sum of sines. Gray-Scott: two
species on a square, J. Pearson, Science 261 (1993) 189-192, which is not stiff. Ends that nobody printed are those of SciPy's Radau with a
relative tolerance of 1e-12, of its DOP853 for Gray-Scott.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from scipy import fft, integrate, sparse

import daes
from mflow.testproblems import get_problem

HALF_DECADES = tuple(10.0 ** (-k / 2) for k in range(4, 25))
DECADES = HALF_DECADES[2:17:2]


@dataclass(frozen=True)
class Stiff:
    """y' = fun(t, y), or mass y' = fun(t, y), from t = 0 on.

    jac : dense; packed where there is a `band` (as many places to each side of the diagonal); None: differences.
    end : y at t_end, computed when it is asked for; None: not known.
    floor : atol/rtol.
    breaks : where fun jumps.
    is_sparse : the band is wide and mostly empty: sparse factors, where there is a choice.
    sparse : the Jacobian as a sparse matrix, where `jac` does not pack it.
    tiny : atol/rtol of runs whose digits count in every component.
    """

    fun: Callable[[float, Any], Any]
    jac: Callable[[float, Any], Any] | None
    y0: Any
    t_end: float
    end: Callable[[], Any] | None
    floor: float
    breaks: tuple[float, ...] = ()
    mass: Any = None
    band: int = 0
    is_sparse: bool = False
    sparse: Callable[[float, Any], Any] | None = None
    tiny: float | None = None
    ladder: tuple[float, ...] = HALF_DECADES

    @property
    def y_end(self) -> Any:
        """y at t_end."""
        return None if self.end is None else self.end()

    def error(self, y: Any) -> float:
        """The largest error of a component at the end, as a part of floor + |y|."""
        return float(np.max(np.abs(y - self.y_end) / (self.floor + np.abs(self.y_end))))

    def mean_error(self, y: Any) -> float:
        """The error at the end in the norm of error control, over rtol."""
        return float(np.sqrt(np.mean(((y - self.y_end) / (self.floor + np.abs(self.y_end))) ** 2)))

    def digits(self, y: Any) -> float:
        """How many digits all components have."""
        return float(-np.log10(np.max(np.abs((y - self.y_end) / self.y_end))))

    def given(self) -> dict[str, Any]:
        """What solve_ivp is told beside fun, the span and the start."""
        out: dict[str, Any] = {"jac": self.sparse_jac if self.is_sparse else self.jac}
        if self.band and not self.is_sparse:
            out |= {"lband": self.band, "uband": self.band}
        return out | ({"mass": self.mass} if self.mass is not None else {}) | ({"breaks": self.breaks} if self.breaks else {})

    def sparse_jac(self, t: float, y: Any) -> Any:
        """The Jacobian as a sparse matrix."""
        if self.sparse is not None:
            return self.sparse(t, y)
        n, packed = self.y0.size, self.jac(t, y)  # type: ignore[misc]
        places, columns, indices, indptr = _in_band(n, self.band)
        return sparse.csc_array((packed[places, columns], indices, indptr), shape=(n, n))


@functools.cache
def _in_band(n: int, band: int) -> tuple[Any, Any, Any, Any]:
    """Where a band's entries are in the packed form, row and column, and in a sparse matrix by columns, indices and indptr."""
    columns = np.repeat(np.arange(n), 2 * band + 1)
    indices = columns + np.tile(np.arange(-band, band + 1), n)
    inside = (indices >= 0) & (indices < n)
    columns, indices = columns[inside], indices[inside]
    return band + indices - columns, columns, indices, np.searchsorted(columns, np.arange(n + 1))


def _printed(values: Any) -> Callable[[], Any]:
    found = np.asarray(values, dtype=np.float64)
    return lambda: found


def pieces(problem: Stiff) -> list[tuple[tuple[float, float], Callable[[float, Any], Any]]]:
    """The spans between breaks, each with fun on its side of both, for solvers that know of no breaks."""
    ends = (0.0, *problem.breaks, problem.t_end)
    if not problem.breaks:
        return [((ends[0], ends[1]), problem.fun)]

    def inside(lowest: float, highest: float) -> Callable[[float, Any], Any]:
        return lambda t, y: problem.fun(min(max(t, lowest), highest), y)

    return [((a, b), inside(np.nextafter(a, np.inf), np.nextafter(b, -np.inf))) for a, b in pairwise(ends)]


def _by_scipy(problem: Stiff) -> Any:
    """y at the end, by SciPy's Radau."""
    y = problem.y0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for span, fun in pieces(problem):
            jac = problem.sparse_jac if problem.band else problem.jac
            y = integrate.solve_ivp(fun, span, y, "Radau", rtol=1e-12, atol=1e-12 * problem.floor, t_eval=span[1:], jac=jac).y[:, -1]
    return y


def _known(name: str, floor: float, tiny: float) -> Stiff:
    p = get_problem(name)
    return Stiff(p.fun, p.jac, p.y0, p.t_span[1], _printed(p.y_end), floor, tiny=tiny)


# ---- OREGO, POLLU ----------------------------------------------------------------------------------------------------------------------


def _orego(t: float, y: Any) -> Any:
    return np.array([77.27 * (y[1] + y[0] * (1.0 - 8.375e-6 * y[0] - y[1])), (y[2] - (1.0 + y[0]) * y[1]) / 77.27, 0.161 * (y[0] - y[2])])


def _orego_jac(t: float, y: Any) -> Any:
    return np.array(
        [
            [77.27 * (1.0 - 2.0 * 8.375e-6 * y[0] - y[1]), 77.27 * (1.0 - y[0]), 0.0],
            [-y[1] / 77.27, -(1.0 + y[0]) / 77.27, 1.0 / 77.27],
            [0.161, 0.0, -0.161],
        ]
    )


# Reactions of POLLU: rate constant, what reacts, what is made; numbers from 1.
REACTIONS = [
    (0.35, (1,), (2, 3)), (26.6, (2, 4), (1,)), (1.23e4, (5, 2), (1, 6)), (8.6e-4, (7,), (5, 5, 8)), (8.2e-4, (7,), (8,)),
    (1.5e4, (7, 6), (5, 8)), (1.3e-4, (9,), (5, 8, 10)), (2.4e4, (9, 6), (11,)), (1.65e4, (11, 2), (1, 10, 12)), (9e3, (11, 1), (13,)),
    (0.022, (13,), (11, 1)), (1.2e4, (10, 2), (1, 14)), (1.88, (14,), (7, 5)), (1.63e4, (1, 6), (15,)), (4.8e6, (3,), (4,)),
    (3.5e-4, (4,), (16,)), (0.0175, (4,), (3,)), (1e8, (16,), (6, 6)), (4.44e11, (16,), (3,)), (1240.0, (17, 6), (5, 18)),
    (2.1, (19,), (2,)), (5.78, (19,), (1, 3)), (0.0474, (1, 4), (19,)), (1780.0, (19, 1), (20,)), (3.12, (20,), (1, 19)),
]  # fmt: skip
_RATES = np.array([reaction[0] for reaction in REACTIONS])
_FIRST = np.array([reaction[1][0] - 1 for reaction in REACTIONS])
_SECOND = np.array([reaction[1][1] - 1 if len(reaction[1]) > 1 else 20 for reaction in REACTIONS])  # place 20 holds a one
BALANCE = np.zeros((20, 25))
for _k, (_, _used, _made) in enumerate(REACTIONS):
    np.add.at(BALANCE[:, _k], np.array(_used) - 1, -1.0)
    np.add.at(BALANCE[:, _k], np.array(_made) - 1, 1.0)


def _pollu(t: float, y: Any) -> Any:
    one = np.append(y, 1.0)
    return BALANCE @ (_RATES * one[_FIRST] * one[_SECOND])


def _pollu_jac(t: float, y: Any) -> Any:
    one, rates = np.append(y, 1.0), np.zeros((25, 21))
    np.add.at(rates, (np.arange(25), _FIRST), _RATES * one[_SECOND])
    np.add.at(rates, (np.arange(25), _SECOND), _RATES * one[_FIRST])
    return BALANCE @ rates[:, :20]


# ---- lines of points, two components each: bands of 2 + 2 --------------------------------------------------------------------------------


def _medical(points: int) -> Stiff:
    """Medical Akzo Nobel: an antibody goes into tissue until t = 5."""
    z = np.arange(1, points + 1) / points - 1.0
    drift, spread = z**3 / 8.0 * points / 2.0, z**4 / 16.0 * points**2

    def fun(t: float, y: Any) -> Any:
        u, v = y[::2], y[1::2]
        wide = np.concatenate([[2.0 if t <= 5.0 else 0.0], u, u[-1:]])
        out, loss = np.empty_like(y), 100.0 * u * v
        out[::2] = drift * (wide[2:] - wide[:-2]) + spread * (wide[:-2] - 2.0 * u + wide[2:]) - loss
        out[1::2] = -loss
        return out

    def jac(t: float, y: Any) -> Any:  # entry (i, j) in row 2 + i - j, column j
        u, v, packed = y[::2], y[1::2], np.zeros((5, y.size))
        packed[2, ::2] = -2.0 * spread - 100.0 * v
        packed[2, -2] += drift[-1] + spread[-1]
        packed[2, 1::2] = -100.0 * u
        packed[1, 1::2] = -100.0 * u
        packed[3, ::2] = -100.0 * v
        packed[0, 2::2] = (drift + spread)[:-1]
        packed[4, :-2:2] = (spread - drift)[1:]
        return packed

    return _with_end(Stiff(fun, jac, np.tile([0.0, 1.0], points), 20.0, None, 1.0, breaks=(5.0,), band=2))


def bruss(points: int, ladder: tuple[float, ...] = DECADES) -> Stiff:
    """The Brusselator with diffusion 1/50."""
    by, x = 0.02 * (points + 1) ** 2, np.arange(1, points + 1) / (points + 1.0)

    def fun(t: float, y: Any) -> Any:
        u, v, out = y[::2], y[1::2], np.empty_like(y)
        wide_u, wide_v = np.concatenate([[1.0], u, [1.0]]), np.concatenate([[3.0], v, [3.0]])
        burnt = u * u * v
        out[::2] = 1.0 + burnt - 4.0 * u + by * (wide_u[:-2] - 2.0 * u + wide_u[2:])
        out[1::2] = 3.0 * u - burnt + by * (wide_v[:-2] - 2.0 * v + wide_v[2:])
        return out

    def jac(t: float, y: Any) -> Any:
        u, v, packed = y[::2], y[1::2], np.zeros((5, y.size))
        packed[0, 2:] = packed[4, :-2] = by
        packed[2, ::2] = 2.0 * u * v - 4.0 - 2.0 * by
        packed[2, 1::2] = -u * u - 2.0 * by
        packed[1, 1::2] = u * u
        packed[3, ::2] = 3.0 - 2.0 * u * v
        return packed

    start = np.column_stack([1.0 + np.sin(2.0 * np.pi * x), np.full(points, 3.0)]).ravel()
    return _with_end(Stiff(fun, jac, start, 10.0, None, 1.0, band=2, ladder=ladder))


def _with_end(problem: Stiff) -> Stiff:
    @functools.cache
    def end() -> Any:
        return _by_scipy(problem)

    return Stiff(**{**vars(problem), "end": end})


def _heat(side: int) -> Stiff:
    """u = 0 at the edges; smooth in one direction, a jump in the other."""
    x = np.arange(1, side + 1) / (side + 1.0)
    line = sparse.diags_array([1.0, -2.0, 1.0], offsets=[-1, 0, 1], shape=(side, side)) * (side + 1) ** 2
    matrix = (sparse.kron(line, sparse.eye_array(side)) + sparse.kron(sparse.eye_array(side), line)).tocsr()
    start = np.outer(4.0 * x * (1.0 - x), np.where(x < 0.3, 1.0, 0.2)).ravel()
    packed = np.zeros((2 * side + 1, side * side))
    entries, columns = matrix.tocoo(), matrix.tocsc()
    packed[side + entries.row - entries.col, entries.col] = entries.data

    def end() -> Any:
        rate = -4.0 * (side + 1) ** 2 * np.sin(0.5 * np.pi * x) ** 2
        return fft.idstn(fft.dstn(start.reshape(side, side), 1) * np.exp(0.1 * np.add.outer(rate, rate)), 1).ravel()

    return Stiff(
        lambda t, y: matrix @ y,
        lambda t, y: packed,
        start,
        0.1,
        end,
        1.0,
        band=side,
        is_sparse=True,
        sparse=lambda t, y: columns,
        ladder=DECADES,
    )


def gray_scott(side: int) -> Stiff:
    """u' = D_u laplace(u) - u v^2 + F (1 - u), v' = D_v laplace(v) + u v^2 - (F + k) v, no flow across edges of a square of 2.5."""
    feed, kill, spread = 0.04, 0.06, np.array([2e-5, 1e-5]) * (side / 2.5) ** 2
    line = sparse.diags_array([1.0, -2.0, 1.0], offsets=[-1, 0, 1], shape=(side, side)).tolil()
    line[0, 0] = line[-1, -1] = -1.0
    laplace = sparse.kron(line, sparse.eye_array(side)) + sparse.kron(sparse.eye_array(side), line)
    moves = sparse.kron(laplace, sparse.diags_array(spread)).tocsc()
    u, v = slice(0, None, 2), slice(1, None, 2)

    def fun(t: float, y: Any) -> Any:
        out, made = moves @ y, y[u] * y[v] ** 2
        out[u] += feed * (1.0 - y[u]) - made
        out[v] += made - (feed + kill) * y[v]
        return out

    def jac(t: float, y: Any) -> Any:
        by_u, by_v, zero = y[v] ** 2, 2.0 * y[u] * y[v], np.zeros(y.size // 2)
        here = np.column_stack([-by_u - feed, by_v - (feed + kill)]).ravel()
        above, below = np.column_stack([zero, -by_v]).ravel(), np.column_stack([by_u, zero]).ravel()  # in column j of rows j - 1, j + 1
        return moves + sparse.dia_array((np.array([below, here, above]), [-1, 0, 1]), shape=(y.size, y.size)).tocsc()

    x = (np.arange(side) + 0.5) / side
    bump = np.exp(-60.0 * np.add.outer((x - 0.45) ** 2, (x - 0.55) ** 2)).ravel()
    start = np.column_stack([1.0 - 0.5 * bump, 0.25 * bump]).ravel()

    @functools.cache
    def end() -> Any:
        return integrate.solve_ivp(fun, (0.0, 100.0), start, "DOP853", rtol=1e-12, atol=1e-12, t_eval=(100.0,)).y[:, -1]

    return Stiff(fun, None, start, 100.0, end, 1.0, band=2 * side, is_sparse=True, sparse=jac, ladder=DECADES[:4])


def _dae(name: str, tiny: float) -> Stiff:
    p = getattr(daes, name)()
    return Stiff(p.fun, None, p.y0, p.t_end, _printed(p.y_end), p.floor, mass=p.mass, tiny=tiny)


@functools.cache
def problems() -> dict[str, Stiff]:
    """The set; `tiny` is there where every component of the end is printed."""
    rober = get_problem("robertson")
    pollu = np.zeros(20)
    pollu[[1, 3, 6, 7, 8, 16]] = 0.2, 0.04, 0.1, 0.3, 0.01, 0.007
    pollu_end = [
        0.5646255480022769e-1, 0.1342484130422339, 0.4139734331099427e-8, 0.5523140207484359e-2, 0.2018977262302196e-6,
        0.1464541863493966e-6, 0.7784249118997964e-1, 0.3245075353396018, 0.7494013383880406e-2, 0.1622293157301561e-7,
        0.1135863833257075e-7, 0.2230505975721359e-2, 0.2087162882798630e-3, 0.1396921016840158e-4, 0.8964884856898295e-2,
        0.4352846369330103e-17, 0.6899219696263405e-2, 0.1007803037365946e-3, 0.1772146513969984e-5, 0.5682943292316392e-4,
    ]  # fmt: skip
    orego_end, rober_end = (
        [1.000814870318523, 1228.178521549917, 132.0554942846706],
        [0.2083340149701255e-7, 0.8333360770334713e-13, 0.9999999791665050],
    )
    return {
        "hires": _known("hires", 1e-4, 1e-4),
        "rober": Stiff(rober.fun, rober.jac, rober.y0, 1e11, _printed(rober_end), 1e-6, tiny=1e-13),
        "orego": Stiff(_orego, _orego_jac, np.array([1.0, 2.0, 3.0]), 360.0, _printed(orego_end), 1e-6, tiny=1.0),
        "vdpol": _known("vdp_eps", 1.0, 1e-3),
        "pollu": Stiff(_pollu, _pollu_jac, pollu, 60.0, _printed(pollu_end), 1.0, tiny=1e-17),
        "medical": _medical(200),
        "bruss100": bruss(50, HALF_DECADES),
        "bruss": bruss(500),
        "heat": _heat(100),
        "gray_scott": gray_scott(40),
        "chemical": _dae("chemical", 1e-4),
        "transistor": _dae("transistor", 1e-3),
    }
