"""Optimizers on quadratics: where (lr, momentum) is stable, how fast errors shrink, and which pair is the best.

On f = L c^2/2 a step multiplies (c, v) by a matrix, probed from the kernel; its spectral radius is the factor by which errors shrink in
the long run. A quadratic in more dimensions is such a problem in each eigenvector of its Hessian: the slowest of them counts.

`consistent_momentum` has friction in place of momentum: m = 1 - friction lr is then the momentum of this page.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from mflow.base.checks import Array, check_number
from mflow.base.methods import Method, as_method
from mflow.stability.amplification import UPDATE_TOLERANCE, amplification, stability_limit
from mflow.stability.results import ParameterRegion

__all__ = ["BestParameters", "best_parameters", "convergence_rate", "parameter_region"]

GOLDEN = 0.5 * (math.sqrt(5.0) - 1.0)
BETWEEN = 5  # curvatures of an interval that are asked, its ends among them


class BestParameters(NamedTuple):
    """lr : float, for a largest curvature of `curvature`. momentum : float; 0 where the method has none. rate : float, the factor by
    which errors shrink in a step. method : Method, with these parameters."""

    lr: float
    momentum: float
    rate: float
    method: Method


def _radius(matrix: Array) -> Array:
    with np.errstate(all="ignore"):
        good = np.all(np.isfinite(matrix), axis=(-2, -1))
        values = np.linalg.eigvals(np.where(good[..., None, None], matrix, 0.0))
        out: Array = np.where(good, np.max(np.abs(values), axis=-1), math.inf)
    return out


def _names(method: Method) -> list[str]:
    return [p.name for p in method.parameters_]


def convergence_rate(method: str | Method, curvatures: ArrayLike, lr: float | None = None, **parameters: Any) -> float:
    """By what an error shrinks in a step, in the long run, on a quadratic with these curvatures.

    Parameters
    ----------
    method : name or instance of a row with the flag "linear"
        An optimizer, or an integrator that follows gradient flow.
    curvatures : array_like of float
        Eigenvalues of the Hessian, all of them or those that matter.
    lr : float
        The step; ``dt`` is another name for it.
    **parameters
        The method's own, as ``momentum=0.9``.

    Returns
    -------
    float
        The largest spectral radius: below 1 it converges, above 1 it diverges.

    Raises
    ------
    ValueError
        The method has no linear amplification (Adam), the step is missing, or a curvature is not finite.

    Examples
    --------
    >>> import mflow
    >>> round(mflow.convergence_rate("sgd", [1.0, 10.0], lr=0.1), 6)
    0.9
    >>> round(mflow.convergence_rate("momentum", [1.0, 10.0], lr=0.1, momentum=0.25), 6)
    0.858945

    References
    ----------
    B. Polyak, USSR Comput. Math. Math. Phys. 4(5) (1964) 1-17.
    """
    settings = dict(parameters)
    if "dt" in settings:
        if lr is not None:
            raise TypeError("lr and dt are one thing: give one of them")
        lr = settings.pop("dt")
    L = np.array(curvatures, dtype=np.float64, ndmin=1).ravel()
    if not L.size or not np.all(np.isfinite(L)):
        raise ValueError("curvatures: finite numbers, at least one, are wanted")
    chosen = as_method(method, settings)
    if "second_order" in chosen.flags:
        raise ValueError(f"{chosen.name}: its friction is the problem's, not its own: use mflow.amplification with omega_dt= and zeta=")
    if lr is not None and chosen.kind == "update":
        chosen = as_method(chosen, {"lr": lr})
    if chosen.kind != "step":
        return float(np.max(_radius(amplification(chosen, curvature=L))))
    if lr is None:
        raise ValueError(f"lr is missing: {chosen.name} takes fixed steps along gradient flow")
    return float(np.max(np.abs(amplification(chosen, -check_number(lr, "lr") * L))))


def _with(method: Method, lr: float, m: float) -> Method:
    """The method with this step and momentum."""
    names = _names(method)
    extra = {"momentum": m} if "momentum" in names else {"friction": max(0.0, (1.0 - m) / lr)} if "friction" in names else {}
    return type(method)(**{**method.given, "lr": lr, **extra})


def best_parameters(method: str | Method, condition_number: float, curvature: float = 1.0, **parameters: Any) -> BestParameters:
    """The step, and momentum, with which an optimizer converges fastest on all quadratics of a condition number.

    Parameters
    ----------
    method : name or instance of an optimizer with the flag "linear"
    condition_number : float, from 1 on
        Largest over least curvature.
    curvature : float
        The largest curvature.
    **parameters
        The method's own, other than lr and momentum.

    Returns
    -------
    BestParameters
        ``lr``, ``momentum``, ``rate`` and ``method``. The search is good to about 1e-7: at the best pair two eigenvalues meet, and
        those are known to the root of rounding.

    Raises
    ------
    ValueError
        The method has no linear amplification, or is no optimizer.

    Examples
    --------
    >>> import mflow
    >>> best = mflow.best_parameters("momentum", 100.0)
    >>> round(best.momentum, 5), round((9 / 11) ** 2, 5), round(best.rate, 5)
    (0.66942, 0.66942, 0.81818)

    References
    ----------
    B. Polyak, USSR Comput. Math. Math. Phys. 4(5) (1964) 1-17; L. Lessard, B. Recht and A. Packard, SIAM J. Optim. 26 (2016) 57-95.
    """
    chosen = as_method(method, parameters)
    kappa, largest = float(condition_number), float(curvature)
    if chosen.kind != "update":
        raise ValueError(f"{chosen.name} is no optimizer: its largest step is mflow.max_stable_dt, its rate mflow.convergence_rate")
    if not 1.0 <= kappa < math.inf or not 0.0 < largest < math.inf:
        raise ValueError(f"condition_number = {condition_number!r}, curvature = {curvature!r}: from 1 on, and above 0, are wanted")
    L = np.geomspace(largest / kappa, largest, BETWEEN) if kappa > 1.0 else np.array([largest])
    has_momentum = bool({"momentum", "friction"} & set(_names(chosen)))
    power = 0.5 if "friction" in _names(chosen) else 1.0  # a step lives on the scale 1/L, or its root in second order

    def rate(s: float, m: float) -> float:
        return float(np.max(_radius(amplification(_with(chosen, (s / largest) ** power, m), curvature=L))))

    def best_step(m: float) -> tuple[float, float]:
        return _least(lambda s: rate(s, m), 1e-3 / kappa, 4.5)

    m = _least(lambda m: best_step(m)[1], 0.0, 1.0 - 1e-9)[0] if has_momentum else 0.0
    s, value = best_step(m)
    lr = (s / largest) ** power
    return BestParameters(lr, m, value, _with(chosen, lr, m))


def _least(fun: Callable[[float], float], lower: float, upper: float) -> tuple[float, float]:
    """(x, fun(x)) where a function that falls and then rises is least: golden sections."""
    x = [upper - GOLDEN * (upper - lower), lower + GOLDEN * (upper - lower)]
    f = [fun(x[0]), fun(x[1])]
    while upper - lower > 1e-9 * max(abs(upper), 1e-3):
        if f[0] <= f[1]:
            upper, x[1], f[1] = x[1], x[0], f[0]
            x[0] = upper - GOLDEN * (upper - lower)
            f[0] = fun(x[0])
        else:
            lower, x[0], f[0] = x[0], x[1], f[1]
            x[1] = lower + GOLDEN * (upper - lower)
            f[1] = fun(x[1])
    k = int(f[1] < f[0])
    return x[k], f[k]


def parameter_region(
    method: str | Method,
    curvature: float = 1.0,
    lr: Sequence[float] | None = None,
    momentum: Sequence[float] = (0.0, 1.0),
    shape: Sequence[int] = (200, 200),
    **parameters: Any,
) -> ParameterRegion:
    """Where an optimizer is stable on f = curvature c^2/2, in the plane of its step and its momentum.

    Parameters
    ----------
    method : name or instance of an optimizer with momentum (or friction, m = 1 - friction lr) and the flag "linear"
    curvature : float
    lr : (lower, upper)
        Default: from 0 to a tenth beyond the largest limit.
    momentum : (lower, upper)
    shape : (rows, columns)
        Of momentum and of lr.
    **parameters
        The method's own, other than those two.

    Returns
    -------
    ParameterRegion
        ``lr`` (columns,), ``momentum`` (rows,), ``radius`` float64 and ``stable`` bool, (rows, columns).

    Raises
    ------
    ValueError
        The method has no momentum, or no linear amplification.

    Examples
    --------
    >>> import mflow
    >>> region = mflow.parameter_region("momentum", lr=(0.05, 3.95), momentum=(0.0, 0.98), shape=(50, 40))
    >>> bool((region.stable == (region.lr < 2 * (1 + region.momentum[:, None]))).all())
    True

    References
    ----------
    N. Qian, Neural Networks 12 (1999) 145-151.
    """
    chosen = as_method(method, parameters)
    names = _names(chosen)
    if chosen.kind != "update" or not {"momentum", "friction"} & set(names):
        raise ValueError(f"{chosen.name} has no momentum: use mflow.stability_limit or mflow.max_stable_dt")
    if "linear" not in chosen.flags:
        amplification(chosen)  # says what to use instead
    L = float(curvature)
    if not 0.0 < L < math.inf:
        raise ValueError(f"curvature = {curvature!r}: a finite number above 0 is wanted")
    if len(shape) != 2 or any(isinstance(k, bool) or int(k) != k or k < 1 for k in shape):
        raise ValueError(f"shape = {shape!r}: (rows, columns), whole numbers from 1 on, are wanted")
    rows, columns = (int(k) for k in shape)
    for name, pair in (("lr", lr), ("momentum", momentum)):
        if pair is not None and not (len(pair) == 2 and np.all(np.isfinite(pair)) and 0.0 <= pair[0] < pair[1]):
            raise ValueError(f"{name} = {pair!r}: two finite numbers from 0 on, the lower one first, are wanted")
    power = 2.0 if "friction" in names else 1.0
    widest = 4.4 if lr is not None else 1.1 * _widest(chosen, momentum, power)
    low, high = (0.0, (widest / L) ** (1.0 / power)) if lr is None else (float(v) for v in lr)
    steps = np.linspace(low, high, columns + 1)[1:] if low == 0.0 else np.linspace(low, high, columns)
    m = np.linspace(float(momentum[0]), float(momentum[1]), rows)
    radius = np.empty((rows, columns))
    for i in range(rows):
        if chosen.parameters.get("weight_decay"):  # the decay has a curvature of its own, which does not scale with the step
            for j, step in enumerate(steps):
                radius[i, j] = _radius(amplification(_with(chosen, float(step), m[i]), curvature=L))
        else:  # lr^power L is all that counts: one lr, many L
            radius[i] = _radius(amplification(_with(chosen, 1.0, m[i]), curvature=steps**power * L))
    return ParameterRegion(chosen, L, steps, m, radius, radius <= 1.0 + 1e5 * UPDATE_TOLERANCE)


def _widest(method: Method, momentum: Sequence[float], power: float) -> float:
    limits = [stability_limit(_with(method, 1.0, min(float(m), 0.999))) for m in momentum]
    finite = [x**power for x in limits if 0.0 < x < math.inf]
    return max(finite, default=4.0)
