"""Optimizers on quadratics: where (lr, momentum) is stable, how fast errors shrink, and which pair is the best.

On f = L c^2/2 a step multiplies (c, v) by a matrix, probed from the kernel; its spectral radius is the factor by which errors shrink in
the long run. A quadratic in more dimensions is such a problem along each eigenvector of its Hessian; the slowest one decides.

`consistent_momentum` has friction in place of momentum; in this module its momentum is m = 1 - friction lr.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Unpack

import numpy as np
from numpy.typing import ArrayLike

from mflow.base.checks import Array, check_number, check_range, check_start
from mflow.base.methods import Method, as_method, takes_letters
from mflow.stability.amplification import UPDATE_TOLERANCE, amplification
from mflow.stability.limits import stability_limit
from mflow.stability.region import grid_shape
from mflow.stability.results import ParameterRegion

if TYPE_CHECKING:
    from mflow.base._records import MethodOptions, ParameterRegionOptions, RateOptions

__all__ = ["BestParameters", "best_parameters", "convergence_rate", "parameter_region", "tuned"]

GOLDEN = 0.5 * (math.sqrt(5.0) - 1.0)
MOMENTA = (0.0, 1.0)  # the range of momentum where none is given
REDUCTION, LEAST_REDUCTION = 1e12, 1e2  # of gradients: the largest, and that along any curvature
BETWEEN = 5  # curvatures of an interval at which the radius is computed, with its ends


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


def convergence_rate(method: str | Method, curvatures: ArrayLike, lr: float | None = None, **parameters: Unpack[RateOptions]) -> float:
    """The factor by which an error shrinks in a step, in the long run, on a quadratic with these curvatures.

    Parameters
    ----------
    method : name or instance of a method with the flag "linear"
        An optimizer, or an integrator that follows gradient flow.
    curvatures : array_like of float
        Eigenvalues of the Hessian, all of them or the extreme ones.
    lr : float
        The step; ``dt`` is another name for it.
    **parameters
        Parameters of the method, as ``momentum=0.9``.

    Returns
    -------
    float
        The largest spectral radius: below 1 it converges, above 1 it diverges.

    Raises
    ------
    ValueError
        The method has no linear amplification (Adam), the step is missing, or a curvature is not finite.

    See Also
    --------
    mflow.best_parameters, mflow.parameter_region

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
    settings: dict[str, Any] = {**parameters}
    if "dt" in settings and not {"alpha", "beta"} & set(settings):  # of which dt is a part
        if lr is not None:
            raise TypeError("lr, dt: expected one of them, got both; they are the same parameter")
        lr = settings.pop("dt")
    L = check_start(curvatures, "curvatures").ravel()
    if not L.size:
        raise ValueError("curvatures: expected at least one number, got none")
    method = as_method(method, settings)
    if "second_order" in method.flags:
        raise ValueError(f"method: expected a first-order method, got {method.name}; use mflow.amplification with omega_dt= and zeta=")
    if lr is not None and method.kind == "update":
        method = as_method(method, {"lr": lr})
    if method.kind != "step":
        return float(np.max(_radius(amplification(method, curvature=L))))
    if lr is None:
        raise ValueError(f"lr: expected the step of {method.name} along gradient flow, got None")
    return float(np.max(np.abs(amplification(method, -check_number(lr, "lr") * L))))


def _with(method: Method, lr: float, m: float) -> Method:
    """The method with this step and momentum."""
    names = _names(method)
    extra = {"momentum": m} if "momentum" in names else {"friction": max(0.0, (1.0 - m) / lr)} if "friction" in names else {}
    return type(method)(**{**method.given, "lr": lr, **extra})


def best_parameters(
    method: str | Method, condition_number: float, curvature: float = 1.0, **parameters: Unpack[MethodOptions]
) -> BestParameters:
    """The step and momentum with which an optimizer converges fastest on all quadratics of a condition number.

    Parameters
    ----------
    method : name or instance of an optimizer with the flag "linear"
    condition_number : float, at least 1
        Largest over least curvature.
    curvature : float
        The largest curvature of the cost. It is 1 where not given, and lr is then that in units of 1/curvature.
    **parameters
        Parameters of the method other than lr and momentum.

    Returns
    -------
    BestParameters
        ``lr``, ``momentum``, ``rate`` and ``method``. They are good to about 1e-7: at the best pair two eigenvalues coincide,
        which limits their accuracy to the root of rounding.

    Raises
    ------
    ValueError
        The method has no linear amplification, or is not an optimizer.

    See Also
    --------
    mflow.convergence_rate, mflow.parameter_region

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
    method = as_method(method, parameters)
    kappa = check_number(condition_number, "condition_number", low=1.0)
    largest = check_number(curvature, "curvature", low=0.0, open_low=True)
    if not largest / kappa > 1e-300:
        raise ValueError(f"curvature: expected more than 1e-300 condition_number, got {largest:g} for {kappa:g}")
    if method.kind != "update":
        raise ValueError(f"method: expected an optimizer, got {method.name}; use mflow.max_stable_dt and mflow.convergence_rate")
    return _best(method, kappa, largest, 1e-9)


def tuned(method: Method, kappa: float) -> BestParameters:
    """The pair for a largest curvature of 1 and a condition number that is an estimate itself, to three digits.

    That of `best_parameters` is the fastest in the limit of many steps. Two eigenvalues coincide there, and errors grow before they
    shrink; and a gradient is small sooner along the least curvatures, from an error alike in all directions. So the pair is that which
    makes the gradient `REDUCTION` times less soonest; where a method has lr alone, the best lr.
    """
    return _best(method, kappa, 1.0, 1e-3, REDUCTION)


def _best(method: Method, kappa: float, largest: float, tolerance: float, reduction: float = 0.0) -> BestParameters:
    L = np.geomspace(largest / kappa, largest, BETWEEN) if kappa > 1.0 else np.array([largest])
    has_momentum = bool({"momentum", "friction"} & set(_names(method)))
    power = 0.5 if "friction" in _names(method) else 1.0  # a step scales with 1/L, or its root in second order
    falls = np.log(np.maximum(reduction * L / largest, LEAST_REDUCTION)) if reduction else np.ones(L.size)

    def rate(s: float, m: float) -> float:
        """The factor of a step, where all curvatures have as far to fall; or that of the one which takes longest, to the power of it."""
        radius = _radius(amplification(_with(method, (s / largest) ** power, m), curvature=L))
        with np.errstate(divide="ignore"):
            return float(np.max(radius if not reduction else np.exp(np.log(radius) * (falls[-1] / falls))))

    def best_step(m: float) -> tuple[float, float]:
        return _least(lambda s: rate(s, m), 1e-3 / kappa, 4.5, tolerance)

    # Of momentum the distance from 1 counts, where that is small.
    near = min(1.0, 1.0 / math.sqrt(kappa)) if tolerance > 1e-9 else 1.0
    m = _least(lambda m: best_step(m)[1], 0.0, 1.0 - 1e-9, tolerance * near)[0] if has_momentum else 0.0
    s, value = best_step(m)
    lr = (s / largest) ** power
    return BestParameters(lr, m, value, _with(method, lr, m))


def _least(fun: Callable[[float], float], lower: float, upper: float, tolerance: float) -> tuple[float, float]:
    """(x, fun(x)) where a function that falls and then rises is least: golden sections."""
    x = [upper - GOLDEN * (upper - lower), lower + GOLDEN * (upper - lower)]
    f = [fun(x[0]), fun(x[1])]
    while upper - lower > tolerance * max(abs(upper), 1e-3):
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
    momentum: Sequence[float] = MOMENTA,
    shape: Sequence[int] = (200, 200),
    *,
    alpha: Sequence[float] | None = None,
    beta: Sequence[float] | None = None,
    dt: float = 1.0,
    **parameters: Unpack[ParameterRegionOptions],
) -> ParameterRegion:
    """The stability region of an optimizer on f = curvature c^2/2, in the plane of its step and its momentum.

    Parameters
    ----------
    method : name or instance of an optimizer with momentum (or friction, m = 1 - friction lr) and the flag "linear"
    curvature : float
    lr : (lower, upper)
        Default: from 0 to a tenth beyond the largest limit.
    momentum : (lower, upper)
    shape : (rows, columns)
        Of momentum and of lr.
    alpha, beta : (lower, upper); dt : float
        In place of momentum and lr, for methods c+ = c + alpha v - beta g with v = (c+ - c)/dt: momentum = alpha/dt, lr = beta.
    **parameters
        Parameters of the method other than those two.

    Returns
    -------
    ParameterRegion
        ``lr`` (columns,), ``momentum`` (rows,), ``radius`` float64 and ``stable`` bool, (rows, columns); ``beta`` is lr, ``alpha``
        momentum dt.

    Raises
    ------
    ValueError
        The method has no momentum, or no linear amplification.

    See Also
    --------
    mflow.best_parameters, mflow.plot.parameter_region

    Examples
    --------
    >>> import mflow
    >>> region = mflow.parameter_region("momentum", lr=(0.05, 3.95), momentum=(0.0, 0.98), shape=(50, 40))
    >>> bool((region.stable == (region.lr < 2 * (1 + region.momentum[:, None]))).all())
    True
    >>> notes = mflow.parameter_region("momentum", alpha=(0.0, 0.098), beta=(0.05, 3.95), dt=0.1, shape=(50, 40))
    >>> bool((notes.stable == (notes.beta < 2 * (1 + notes.alpha[:, None] / 0.1))).all())
    True

    References
    ----------
    N. Qian, Neural Networks 12 (1999) 145-151.
    """
    method = as_method(method, parameters)
    names = _names(method)
    if method.kind != "update" or not {"momentum", "friction"} & set(names):
        raise ValueError(f"method: {method.name} has no momentum; use mflow.stability_limit or mflow.max_stable_dt")
    if "linear" not in method.flags:
        amplification(method)  # its error says what to use instead
    L = check_number(curvature, "curvature", low=0.0, open_low=True)
    rows, columns = grid_shape(shape, 1)
    time = check_number(dt, "dt", low=0.0, open_low=True)
    if alpha is not None or beta is not None:
        lr, momentum = _from_ranges(method, lr, momentum, alpha, beta, time)
    momentum = check_range(momentum, "momentum", 0.0)
    power = 2.0 if "friction" in names else 1.0
    widest = 4.4 if lr is not None else 1.1 * _widest(method, momentum, power)
    low, high = (0.0, (widest / L) ** (1.0 / power)) if lr is None else check_range(lr, "lr", 0.0)
    steps = np.linspace(low, high, columns + 1)[1:] if low == 0.0 else np.linspace(low, high, columns)
    m = np.linspace(*momentum, rows)
    radius = np.empty((rows, columns))
    for i in range(rows):
        if method.parameters.get("weight_decay"):  # the decay has a curvature of its own, which does not scale with the step
            for j, step in enumerate(steps):
                radius[i, j] = _radius(amplification(_with(method, float(step), m[i]), curvature=L))
        else:  # lr^power L is all that counts: one lr, many L
            radius[i] = _radius(amplification(_with(method, 1.0, m[i]), curvature=steps**power * L))
    return ParameterRegion(method, L, steps, m, radius, radius <= 1.0 + 1e5 * UPDATE_TOLERANCE, time)


def _from_ranges(method: Method, lr: Any, momentum: Any, alpha: Any, beta: Any, dt: float) -> tuple[Any, tuple[float, float]]:
    """(lr, momentum) of ranges of alpha and beta. Raises TypeError or ValueError."""
    if not takes_letters(method.record):
        raise ValueError(f"alpha, beta: they are lr = beta and momentum = alpha/dt, got {method.name}, which has no such pair; omit them")
    if (beta is not None and lr is not None) or (alpha is not None and tuple(momentum) != MOMENTA):
        raise TypeError("alpha, beta: they set momentum and lr, got both; give one pair")
    low, high = (m * dt for m in MOMENTA) if alpha is None else check_range(alpha, "alpha", 0.0)
    return (lr if beta is None else check_range(beta, "beta", 0.0)), (low / dt, high / dt)


def _widest(method: Method, momentum: Sequence[float], power: float) -> float:
    limits = [stability_limit(_with(method, 1.0, min(m, 0.999))) for m in momentum]
    finite = [x**power for x in limits if 0.0 < x < math.inf]
    return max(finite, default=4.0)
