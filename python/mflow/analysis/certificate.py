"""Certificates: what kind of point a descent has ended at, which steps are stable there, and where the cost still falls.

    not converged   an entry of the gradient is above gtol, and the run has not said otherwise by a test of its own
    minimum         the least curvature is above 0, by more than the error of products
    saddle          it is below 0; the eigenvector is the direction of escape
    maximum         the largest one is below 0
    flat            the least curvature is as near to 0 as the error of products, or below 0 by no more than the gradient that is left
                    makes it (`curvature.leftover`): the cost is level along a direction, to second order
    not known       0 lies in the interval of the least curvature, which more products may narrow

Within bounds the gradient is x - clip(x - g), and the curvatures are those of the entries that may move (`constrained`); a minimum at which
a bound presses is a "minimum on the bounds".

Of at most `DENSE` parameters all curvatures are computed, from n products. Beyond that the ends of the spectrum are those of Lanczos'
method, each with a bound that holds with a stated probability.

References
----------
B. Pearlmutter, Neural Computation 6 (1994) 147-160; J. Kuczynski and H. Wozniakowski, SIAM J. Matrix Anal. Appl. 13 (1992) 1094-1122.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np
from mflow_core.objectives.objective import Objective
from numpy.typing import NDArray

from mflow.analysis.constrained import Face, face_of, open_way
from mflow.base.checks import Array, as_tuple, check_function, check_number, check_start, check_whole, real_array
from mflow.base.methods import Method, as_method, refuse_unknown
from mflow.base.result import IVPResult, Origin, Result, origin_of
from mflow.base.tables import Readable, Table
from mflow.base.telling import knows_other_words
from mflow.curvature.frozen import rescales
from mflow.curvature.hessian import Hessian
from mflow.curvature.landscape import GTOL, OF_DIFFERENCES, Landscape, gradient_of, largest_step, products_of, scaled, value_of
from mflow.curvature.leftover import made_by_gradient
from mflow.curvature.measure import Curvature, curvature_of, in_own_units
from mflow.derivatives.cost_look import cost_problem
from mflow.optimize.bounds import read_box

if TYPE_CHECKING:
    from mflow.base._records import MethodOptions

__all__ = ["Certificate", "certificate", "of_result"]

DENSE = 1000  # parameters up to which all curvatures are computed
MANY = 400  # products beyond that


@knows_other_words
@dataclass(frozen=True, eq=False)
class Certificate(Readable):
    """What is known of the end of a descent.

    Attributes
    ----------
    verdict : str
        "minimum", "minimum on the bounds", "saddle", "maximum", "flat", "not converged" or "not known".
    x : array
        Where.
    gradient_norm, gradient : float
        The Euclidean length of the gradient, and its largest entry. With bounds both are of x - clip(x - gradient).
    least, largest : (lower, upper)
        The ends of the Hessian's spectrum.
    probability : float
        With which each outer bound holds, over random starts: 1 where all curvatures are known.
    noise : float
        Error of a product of the Hessian, in the intervals already.
    preconditioned : (lower, upper)
        The largest curvature in the metric of a method that rescales, else that of the Hessian.
    largest_step : float
        The largest step with which the method is stable here, for the upper end of `preconditioned`: inf where nothing limits it, nan
        where that is not known.
    method : str
        The method's name, or "".
    escape : array or None
        A unit vector arranged as x, along which the cost falls from a saddle or a maximum.
    products, evaluations : int
        Of the Hessian with vectors, and of gradients.
    why : str
        Where largest_step is nan, the reason if it is known.
    multipliers : array or None
        Arranged as x, the gradient where a bound presses (above 0 at a lower one, below 0 at an upper one), else 0; None without bounds.
    moves : int
        Parameters that may move: neither held nor pressed. All curvatures are theirs; nan where there are none.

    See Also
    --------
    mflow.certificate, mflow.explain, mflow.minimize

    Examples
    --------
    >>> import mflow
    >>> found = mflow.certificate(lambda x: (x @ x, 2 * x), [0.0, 0.0], jac=True)
    >>> found.verdict, [round(float(c), 6) for c in found.largest]
    ('minimum', [2.0, 2.0])
    """

    verdict: str
    x: Any
    gradient_norm: float
    gradient: float
    least: tuple[float, float]
    largest: tuple[float, float]
    probability: float
    noise: float
    preconditioned: tuple[float, float]
    largest_step: float
    method: str
    escape: Any
    products: int
    evaluations: int
    multipliers: Any = None
    moves: int = 0
    why: str = ""

    def _parts(self) -> list[str | Table]:
        odds = "" if self.probability == 1.0 else f", each end with a probability of at least {self.probability:.3g}"
        lines: list[str | Table] = [
            MEANING[self.verdict],
            f"norm of the gradient: {self.gradient_norm:.4g}, its largest entry {self.gradient:.4g}",
            f"least curvature: {_interval(self.least)}",
            f"largest curvature: {_interval(self.largest)}{odds}",
        ]
        if self.multipliers is not None:
            lines[2:2] = [f"parameters that may move: {self.moves}; the curvatures are theirs"]
        if self.preconditioned != self.largest:
            lines.append(f"largest curvature in the metric of {self.method}: {_interval(self.preconditioned)}")
        if self.method:
            known = {math.inf: "no step is too long"}.get(self.largest_step, f"{self.largest_step:.5g}")
            unknown = "not known" + (f": {self.why}" if self.why else "")
            lines.append(f"largest stable step of {self.method}: " + (unknown if math.isnan(self.largest_step) else known))
        return lines


MEANING = {
    "minimum on the bounds": "a minimum on the bounds: the cost falls beyond them alone, and curves up along every way they leave open",
    "minimum": "a minimum: the gradient is small, and the cost curves up in every direction",
    "saddle": "a saddle: the gradient is small, and the cost falls along .escape",
    "maximum": "a maximum: the gradient is small, and the cost falls in every direction, fastest along .escape",
    "flat": "flat: the gradient is small, and along some direction the curvature is not told from 0, by products or at this gradient",
    "not converged": "not converged: the gradient is not small",
    "not known": "not known: the gradient is small, and what is known of the least curvature does not tell its sign: give more products=",
}


def _interval(ends: tuple[float, float]) -> str:
    low, high = ends
    return f"{0.5 * (low + high):.6g}" if high - low <= 1e-5 * max(abs(low), abs(high)) else f"{low:.6g} to {high:.6g}"


def certificate(
    fun: Callable[..., Any] | None, x: Any, args: tuple[Any, ...] = (), jac: Any = None, *, hessp: Callable[..., Any] | None = None,
    method: str | Method | None = None, gtol: float = GTOL, products: int | None = None, bounds: Any = None, fixed: Any = None,
    **parameters: Unpack[MethodOptions],
) -> Certificate:  # fmt: skip
    """Whether a point is a minimum, a saddle or none, and which steps are stable there.

    Results of `mflow.minimize`, `mflow.train`, `mflow.least_squares` and `mflow.gradient_flow` have it as their method ``certificate``.

    Parameters
    ----------
    fun, args, jac
        A cost and its gradient, as in `mflow.minimize`.
    x : array_like of real numbers, any shape
    hessp : callable, optional
        ``hessp(x, v, *args)``: exact products of the Hessian; by default differences of gradients, or those of `mflow.objectives`.
    method : name or instance, optional
        Whose largest stable step is asked for. Of one that rescales (Adam) it is nan here, as it needs the run's state: see the results'
        own method.
    gtol : float
        The point counts as stationary where the largest entry of the gradient is at most this.
    products : int, optional
        At most so many products with more than 1000 parameters (400).
    bounds, fixed
        As in `mflow.minimize`, of a minimum among the points within them. x must lie within.
    **parameters
        Parameters of the method.

    Returns
    -------
    Certificate

    Raises
    ------
    TypeError, ValueError
        An argument does not fit, or the gradient is not finite at x or near it.

    Examples
    --------
    >>> import mflow, numpy as np
    >>> found = mflow.certificate(lambda c: (c[0] ** 2 + 3 * c[1] ** 2, 2 * c * [1, 3]), [0.0, 0.0], jac=True, method="sgd")
    >>> found.verdict, round(found.largest[1], 6), round(found.largest_step, 6)
    ('minimum', 6.0, 0.333333)
    >>> on = mflow.certificate(lambda c: (c[0] - c[1] ** 2, np.array([1, -2 * c[1]])), [0, 0], jac=True, bounds=[(0, 1), (-1, 1)])
    >>> on.verdict, on.multipliers.tolist(), np.abs(on.escape).tolist()
    ('saddle', [1.0, 0.0], [0.0, 1.0])

    See Also
    --------
    mflow.posedness : eigenvalues of any y' = F(t, y) at a point

    References
    ----------
    C. Lanczos, J. Res. Nat. Bur. Standards 45 (1950) 255-282; J. Kuczynski and H. Wozniakowski, SIAM J. Matrix Anal. Appl. 13 (1992)
    1094-1122 (random starts).
    """
    refuse_unknown("certificate", parameters, method, ARGUMENTS)
    start = check_start(x, "x")
    problem, _ = cost_problem(fun, jac, start.shape, args)
    flat, extra = start.ravel(), as_tuple(args, fun)
    exact = products_of(fun, flat)
    if hessp is not None:
        check_function(hessp, "hessp", "a function of (x, v)")
        exact = lambda v: real_array(hessp(start.copy(), v.reshape(start.shape).copy(), *extra), "hessp").ravel()  # noqa: E731
    name, step, why = ("", None, "") if method is None else _step_of(as_method(method, parameters))
    longer = OF_DIFFERENCES if (jac is None or isinstance(jac, str)) and not isinstance(fun, Objective) else 1.0
    arrange = lambda v: v.reshape(start.shape)  # noqa: E731
    land = Landscape(flat, gradient_of(problem, start), exact, arrange, name, step, longer=longer, why=why)
    land.value = None if longer == 1.0 else value_of(problem, start)
    box = read_box(bounds, fixed, start)
    if box is not None:
        if not (np.all(box.lower <= start) and np.all(start <= box.upper)):
            raise ValueError("x: expected a point within the bounds, got one outside; clip it")
        land.box = box.flat
        if problem.callback is not None:
            problem.callback.within = land.box
    return _examine(land, gtol, products)


ARGUMENTS = tuple(name for name in inspect.signature(certificate).parameters if name != "parameters")


def of_result(
    result: Result, *, gtol: float | None = None, hessp: Callable[..., Any] | None = None, products: int | None = None
) -> Certificate:
    """`certificate` of where a result ended: the method ``certificate`` of results. ``hessp(x, v)`` gives exact products."""
    known = origin_of(result)
    land = _flow_end(result, known) if isinstance(known, Origin) else known
    if not isinstance(land, Landscape):
        raise ValueError("certificate: this result (a copy, loaded, or of a batch) does not hold its cost; give it to mflow.certificate")
    if hessp is not None:
        check_function(hessp, "hessp", "a function of (x, v)")
        at = land.arrange(land.x)
        land.product = lambda v: real_array(hessp(at, land.arrange(v)), "hessp").ravel()
    return _examine(land, land.gtol if gtol is None else gtol, products)


def _step_of(method: Method) -> tuple[str, Callable[[float], float], str]:
    """(name, curvature -> largest stable step without a run's state, why that is nan)."""
    if method.kind == "update" and rescales(method.record, method.all_numbers):
        why = f"{method.name} divides by the size of past gradients, which a run remembers; ask its result, result.certificate()"
        return method.name, lambda curvature: math.nan, why
    return method.name, lambda curvature: largest_step(method, curvature), ""


def _flow_end(result: Result, origin: Origin) -> Landscape:
    """Of a path along gradient flow."""
    if not isinstance(result, IVPResult) or not origin.symmetric:
        raise ValueError("certificate: expected the end of a gradient flow, got that of another equation; see posedness()")
    end = np.ascontiguousarray(result.y[..., -1])
    gradient = gradient_of(origin.problem, end)
    name, step, why = _step_of(origin.method)
    return Landscape(end.ravel(), gradient, None, lambda v: v.reshape(end.shape), name, step, why=why)


def _examine(land: Landscape, gtol: Any, products: int | None) -> Certificate:
    gtol = check_number(gtol, "gtol", low=0.0)
    most = MANY if products is None else check_whole(products, "products", 2)
    with np.errstate(all="ignore"):
        grad = land.gradient(land.x)
        if land.find_lengths():
            grad = land.gradient(land.x)
        if not np.all(np.isfinite(grad)):
            raise ValueError("certificate: expected a finite gradient at x, got NaN or an infinity")
        face = None if land.box is None else face_of(land.x, grad, *land.box, gtol)
        moves = np.arange(land.x.size) if face is None else face.moves
        try:
            hessian = land.hessian(moves)
            noise = hessian.noise()
            found = in_own_units(_curvature(hessian, moves.size, most, noise), hessian.errors)
            metric, count = _in_metric(land, hessian, grad, found, most, moves)
            slope = grad if face is None else face.slope
            entry = float(np.max(np.abs(slope), initial=0.0))
            verdict, escape = _verdict(found, entry <= gtol or land.converged, hessian, face, moves)
            one_way = face is not None and bool(face.loose.any())
            room = moves.size if moves.size <= DENSE else most
            if verdict == "saddle" and not one_way and made_by_gradient(land, hessian, grad[moves], found, moves, room):
                verdict, escape = "flat", None
        except FloatingPointError:
            raise ValueError("certificate: expected finite gradients near x, got NaN or an infinity") from None
    if escape is not None:
        whole = np.zeros(land.x.size)
        whole[moves] = escape
        escape = land.arrange(-whole if not one_way and float(whole @ grad) > 0.0 else whole)
    return Certificate(
        verdict, land.arrange(land.x), float(np.linalg.norm(slope)), entry, found.least, found.largest, found.probability, noise, metric,
        math.nan if land.step is None else math.inf if not moves.size else land.step(metric[1]), land.method, escape,
        found.products + count, 1 + land.looked + hessian.evaluations,
        None if face is None else land.arrange(np.where(face.pressed, grad, 0.0)), moves.size, land.why,
    )  # fmt: skip


def _curvature(hessian: Hessian, n: int, most: int, noise: float) -> Curvature:
    """Of the parameters that may move."""
    if n == 0:
        return Curvature((math.nan, math.nan), (math.nan, math.nan), 1.0, math.nan, np.zeros((2, 0)), 0, 0.0, np.empty(0))
    return curvature_of(hessian, n, n if n <= DENSE else most, noise=noise, both=True, accuracy=1e-6)


def _in_metric(
    land: Landscape, hessian: Hessian, grad: Array, found: Curvature, most: int, moves: NDArray[np.intp]
) -> tuple[tuple[float, float], int]:
    """(the interval of the largest curvature as the method sees it, products used)."""
    if land.bearing is None or not moves.size:
        return found.largest, 0
    bears = land.bearing(grad)
    if math.isnan(bears.limit) or (bears.root is None and not bears.decay):
        return found.largest, 0
    if bears.root is not None:
        bears = bears._replace(root=bears.root[moves])
    noise = found.noise * (1.0 if bears.root is None else float(np.max(bears.root)) ** 2)
    own = curvature_of(scaled(hessian, bears), moves.size, moves.size if moves.size <= DENSE else most, noise=noise)
    return own.largest, own.products


def _verdict(found: Curvature, stationary: bool, hessian: Hessian, face: Face | None, moves: NDArray[np.intp]) -> tuple[str, Array | None]:
    """(verdict, the direction of escape among the parameters that may move, or None)."""
    if not stationary:
        return "not converged", None
    pressed = face is not None and bool(face.pressed.any())
    least = "minimum on the bounds" if pressed else "minimum"
    if not moves.size or found.least[0] > 0.0:
        return least, None
    if face is not None and face.loose.any():
        if moves.size > DENSE:
            return "not known", None
        H = np.stack([hessian(unit) for unit in np.eye(moves.size)], axis=1)
        kind, way = open_way(0.5 * (H + H.T), face.loose[moves], face.inwards[moves], 0.5 * (found.least[1] - found.least[0]))
        return (least if kind == "minimum" else kind), way
    if found.least[1] < 0.0:
        return ("maximum" if found.largest[1] < 0.0 and not pressed else "saddle"), found.directions[0].copy()
    return ("flat" if found.probability == 1.0 or found.least[1] - found.least[0] <= 4.0 * found.noise else "not known"), None
