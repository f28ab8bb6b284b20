"""The largest curvature that an optimizer bears, where what it has stored of the size of gradients is held fixed: probed from its kernel.

A method that rescales divides by P, as Adam by sqrt(v) + eps. With P held, a step is linear in (c, velocities, g), and in z = P^(1/2) c it
is that of a cost with the Hessian P^(-1/2) H P^(-1/2), along each of whose eigenvectors it is a step with P = 1. So

    root        P^(-1/2): from the response of c to a small gradient, beside the response where all that is stored is 1
    limit       of the largest eigenvalue of P^(-1/2) H P^(-1/2): the least L at which the step with P = 1 on L c^2/2 grows

Of a method that does not rescale root is 1. Both are of the step that comes next, with its bias corrections and schedules: with P = bc1
(sqrt(v/bc2) + eps) the limit of Adam is 2 (1 + b1)/(1 - b1)/lr in every step. Decoupled decay wd is part of the step, and lowers
the limit to (2 - lr wd) (1 + b1)/(1 - b1)/lr (AdamW); other decay adds to H.

The kernel runs on copies, with numbers of 1e-100, whose squares vanish beside what is stored.

References
----------
J. Cohen et al., Adaptive gradient methods at the edge of stability, arXiv:2207.14484.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from mflow_core.optimize import updater
from mflow_core.registry import MethodRecord
from numpy.typing import NDArray

from mflow.base.checks import Array
from mflow.optim.effective import SMALL, hold, kinds_of

__all__ = ["Bearing", "bearing", "bears", "largest_lr", "optimizer_bearing", "rescales"]

LATE = 2**40  # a step so late that no bias is left
PLAIN = {"eps": 1e-300, "lr_decay": 0.0, "clip_value": math.inf}  # parameters of the step with P = 1
TOLERANCE = 1e-13  # by which a factor may exceed 1
SCAN = np.geomspace(1e-6, 1e6, 1400)  # where a limit is looked for, in units of 1/response: 2 % apart
PARTS = 64  # into which the place where it lies is cut, again and again
LINEAR = 1e-6  # relative difference of responses to gradients of two sizes that makes a method no linear one


class Bearing(NamedTuple):
    """limit : float, of the largest eigenvalue of P^(-1/2) H P^(-1/2); inf where there is none, nan where a step is not linear in small
    gradients. root : float64 array (n,), P^(-1/2), or None where it is 1. decay : float, what weight decay adds to H."""

    limit: float
    root: Array | None
    decay: float


def bearing(
    record: MethodRecord, parameters: Mapping[str, float], steps: int, scalars: Array | None, vectors: list[Array], grad: Array
) -> Bearing:
    """What the next step of an optimizer bears.

    Parameters
    ----------
    record : record of a method of kind "update"
    parameters : dict of all its numbers
    steps : int
        Steps taken so far.
    scalars : float64 array or None
        What it carries from step to step beside vectors; it is not changed.
    vectors : list of float64 arrays (n,)
        What it carries, without c; not changed.
    grad : float64 array (n,)
        The gradient of the next step.

    Examples
    --------
    >>> import numpy as np
    >>> from mflow.base.methods import as_method
    >>> from mflow.curvature.frozen import bearing
    >>> adam = as_method("adam", {"lr": 0.5})
    >>> found = bearing(adam.record, adam.all_numbers, 0, None, [np.zeros(2), np.zeros(2)], np.array([4.0, 1.0]))
    >>> round(found.limit * 0.5, 6), (found.root**-2 / (1 - 0.9)).round(6).tolist()
    (38.0, [4.0, 1.0])
    """
    plain = {**parameters, **{name: value for name, value in PLAIN.items() if name in parameters}}
    decay = 0.0 if plain.get("decoupled_weight_decay") else plain.get("weight_decay", 0.0)
    plain["weight_decay"] = plain.get("weight_decay", 0.0) if plain.get("decoupled_weight_decay") else 0.0
    carried = () if scalars is None else tuple(float(s) for s in scalars)
    limit, response = _plain(record, tuple(sorted(plain.items())), steps, carried)
    if math.isnan(limit):
        return Bearing(math.nan, None, decay)
    coef = updater.begin(record, {**parameters, "weight_decay": 0.0, "clip_value": math.inf}, steps, _copied(scalars))
    now = _after(record, coef, [np.array(v, dtype=np.float64).ravel() for v in vectors], grad)
    with np.errstate(all="ignore"):
        own = _response(record, coef, now, kinds_of(record, coef, len(now)))
        root = np.sqrt(own / response)
    return Bearing(limit, None if np.all(root == 1.0) else root, decay)


def optimizer_bearing(opt: Any, grad: Array) -> Bearing:
    """What the next step of a bound optimizer of `mflow.optim` bears, for all its arrays as one flat vector; `grad` likewise.

    Groups with rates of their own are brought to the limit of the first one.
    """
    limits, roots, decay, place, begin = [], [], 0.0, 0, 0
    for g, count in enumerate(opt.arrangement.sizes):
        for i in range(place, place + count):
            size = opt.arrays[i].size
            vectors, scalars = list(opt._vectors(i).values()), np.array(opt._scalars(g))
            part = grad[begin : begin + size]
            found = bearing(opt.record, opt.parameters_of(g), opt.steps, scalars if scalars.size else None, vectors, part)
            limits.append(found.limit)
            roots.append(np.ones(size) if found.root is None else found.root)
            decay, begin = max(decay, found.decay), begin + size
        place += count
    first = limits[0] if limits else math.nan
    if any(limit != first and not math.isnan(limit) for limit in limits):
        roots = [root * math.sqrt(first / limit) for root, limit in zip(roots, limits, strict=True)]
    root = np.concatenate(roots) if roots else np.ones(0)
    return Bearing(first, None if np.all(root == 1.0) else root, decay)


def bears(record: MethodRecord, parameters: Mapping[str, float]) -> float:
    """The limit alone, late in a run; nan where the step is not linear in small gradients."""
    count = record.sizes(parameters)["n_vec"] - 1
    return bearing(record, parameters, LATE, None, [np.ones(1)] * count, np.zeros(1)).limit


def rescales(record: MethodRecord, parameters: Mapping[str, float]) -> bool:
    """Whether a step is divided by the sizes of past gradients, so that only a run's state tells what it bears."""
    return "even" in kinds_of(record, updater.begin(record, parameters, LATE), record.sizes(parameters)["n_vec"] - 1)


def largest_lr(record: MethodRecord, parameters: Mapping[str, float], curvature: float) -> float:
    """The largest lr, late in a run, with which an eigenvalue of P^(-1/2) H P^(-1/2) is borne; nan where nothing is known of it.

    Limits go with 1/lr, of second-order methods with 1/lr^2, nearly where there is decay: secants in logarithms.
    """
    if not curvature > 0.0:
        return math.nan if math.isnan(curvature) else math.inf
    at, power, known = -math.log(curvature), 1.0, (math.nan, 0.0)
    for _ in range(80):
        limit = bears(record, {**parameters, "lr": math.exp(at)})
        if limit == 0.0 and not math.isnan(known[0]):  # beyond all that is stable
            at = 0.5 * (at + known[0])
            continue
        if not 0.0 < limit < math.inf:
            return limit
        rest = math.log(limit / curvature)
        if abs(rest) <= 1e-12:
            break
        if at != known[0] and not math.isnan(known[0]):
            power = min(4.0, max(0.25, (known[1] - rest) / (at - known[0])))
        known, at = (at, rest), at + rest / power
    return math.exp(at)


def _copied(scalars: Array | None) -> Array | None:
    return None if scalars is None else np.array(scalars, dtype=np.float64)


def _after(record: MethodRecord, coef: Array, vectors: list[Array], grad: Array) -> list[Array]:
    """The vectors as they are after the next step."""
    moved = [np.zeros(grad.size), *(v.copy() for v in vectors)]
    with np.errstate(all="ignore"):
        updater.update(record, coef, 1.0, moved, np.ascontiguousarray(grad, dtype=np.float64))
    return moved[1:]


def _start(record: MethodRecord, coef: Array, after: list[Array], kinds: list[str]) -> list[Array]:
    """Vectors from which a small gradient leads to those given, velocities at rest."""
    out = [np.zeros_like(v) if kind == "velocity" else v for v, kind in zip(after, kinds, strict=True)]

    def run(state: list[Array], g: float) -> tuple[Array, list[Array]]:
        moved = [np.zeros(state[0].size), *(v.copy() for v in state)]
        updater.update(record, coef, 1.0, moved, np.full(state[0].size, g))
        return -moved[0], moved[1:]

    hold(run, out, kinds)
    return out


def _response(record: MethodRecord, coef: Array, after: list[Array], kinds: list[str], g: float = SMALL) -> Array:
    """How far the point of the gradient falls per unit of it in one step from rest: c, or where the method looks ahead to."""
    start = _start(record, coef, after, kinds) if after else []
    size = start[0].size if start else 1
    moved = [np.zeros(size), *(v.copy() for v in start)]
    updater.update(record, coef, 1.0, moved, np.full(size, g))
    return np.asarray(-updater.ask(record, coef, moved) / g)


def _plain(record: MethodRecord, parameters: tuple[tuple[str, float], ...], steps: int, scalars: tuple[float, ...]) -> tuple[float, float]:
    """(limit, response late in a run) of the step with P = 1."""
    values, scal = dict(parameters), np.array(scalars) if scalars else None
    coef = updater.begin(record, values, max(steps, 1) if scal is None else steps, scal)
    return _limit(record, parameters, coef.tobytes())


@functools.lru_cache(maxsize=512)
def _limit(record: MethodRecord, parameters: tuple[tuple[str, float], ...], step: bytes) -> tuple[float, float]:
    """The same, by the coefficients of the step: most methods have the same ones in every step."""
    values, coef = dict(parameters), np.frombuffer(step).copy()
    with np.errstate(all="ignore"):
        late, count = updater.begin(record, values, LATE), record.sizes(values)["n_vec"] - 1
        kinds = kinds_of(record, coef, count)
        ones = [np.zeros(1) if kind == "shape" else np.ones(1) for kind in kinds]
        unit, now = (float(_response(record, c, ones, kinds)[0]) for c in (late, coef))
        if not 0.0 < now < math.inf or abs(float(_response(record, coef, ones, kinds, 2.0 * SMALL)[0]) - now) > LINEAR * now:
            return math.nan, unit
        start = _start(record, coef, ones, kinds)

        def unstable(x: Array) -> NDArray[np.bool_]:
            return np.asarray(~(_factors(record, coef, start, kinds, x / now) <= 1.0 + TOLERANCE))

        x = SCAN
        failing = np.flatnonzero(unstable(x))
        if not failing.size:
            return math.inf, unit
        if failing[0] == 0:
            return 0.0, unit
        low, high = x[failing[0] - 1], x[failing[0]]
        while high - low > 4e-16 * high:
            x = np.linspace(low, high, PARTS + 1)
            k = int(np.argmax(unstable(x)))
            if k == 0 or (x[k - 1], x[k]) == (low, high):
                break
            low, high = x[k - 1], x[k]
        return float(low) / unit, unit


def _factors(record: MethodRecord, coef: Array, start: list[Array], kinds: list[str], L: Array) -> Array:
    """The spectral radii of a step on L c^2/2 in (c, velocities)."""
    moving = [0, *(j + 1 for j, kind in enumerate(kinds) if kind == "velocity")]
    matrix = np.empty((L.size, len(moving), len(moving)))
    for column, j in enumerate(moving):
        vectors = [np.zeros(L.size), *(np.full(L.size, float(v[0])) for v in start)]
        vectors[j][:] = SMALL
        at = updater.ask(record, coef, vectors)
        updater.update(record, coef, 1.0, vectors, L * at)
        matrix[:, :, column] = np.stack([vectors[i] for i in moving], axis=1) / SMALL
    finite = np.all(np.isfinite(matrix), axis=(1, 2))
    radii = np.max(np.abs(np.linalg.eigvals(np.where(finite[:, None, None], matrix, 0.0))), axis=1)
    return np.where(finite, radii, math.inf)
