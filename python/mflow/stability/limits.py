"""The largest stable step of a method: on the axes, along a ray, for a curvature, a matrix or products with one.

No limit is stored. Each follows from the amplification that is probed from the kernel of the method: a scan outward from 0, then
bisection.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np
from mflow_core import registry
from numpy.typing import ArrayLike, NDArray

from mflow.base.checks import (
    Array,
    as_number,
    check_choice,
    check_flags,
    check_number,
    complex_array,
)
from mflow.base.methods import LETTERS, Method, as_method, takes_letters
from mflow.base.telling import tell
from mflow.spectra import eigenvalues as scans
from mflow.spectra import normality
from mflow.stability.amplification import (
    STEP_TOLERANCE,
    UPDATE_TOLERANCE,
    amplification,
    farthest_radius,
    grows,
    measured_radius,
    refuse_searches,
    stability_values,
)  # fmt: skip
from mflow.stability.modes import limit_of_frequency, tangents
from mflow.stability.structural import assembled, structure_modes

if TYPE_CHECKING:
    from mflow.base._records import MethodOptions, StepLimitOptions

__all__ = [
    "FRICTION", "explain_step", "farthest", "first_beside_growth", "first_to_fail", "limit_on_ray", "max_stable_dt", "stability_limit",
    "stiff_method",
]  # fmt: skip

FRICTION = 1.0  # of a descent by a second-order method where none is given: without friction nothing is minimised
SPACING = 0.01
LR_RATIO = 1.02
NEAR = 1.5  # times the limit: steps that are told how well it is known
SLACK = 0.1  # a radius from a few products may lie so far below the true one
GROWS = 1e-9  # of the largest eigenvalue: real parts above it are of solutions that grow by themselves


def stability_limit(
    method: str | Method,
    axis: str | None = None,
    *,
    direction: complex | None = None,
    zeta: float = 0.0,
    **parameters: Unpack[MethodOptions],
) -> float:
    """The stability limit: the largest x with |R| <= 1 on all of (0, x].

    Parameters
    ----------
    method : name or instance of a method with the flag "linear"
    axis : "real", "imaginary", "curvature" or "frequency"
        Integrators: the negative real axis (the default; gradient flow) or the imaginary one (oscillations), x = |lambda| dt.
        Optimizers: "curvature", x = lr L at L = 1 (beta L where momentum is given as alpha/dt). Where the limit does not depend on lr L
        alone (`consistent_momentum`), use `max_stable_dt` with the L of the problem. Second-order methods: "frequency", x = omega dt of
        an oscillator.
    direction : complex, or an angle in radians
        Integrators: along any other ray, in place of axis: towards this complex number, or, where it is real, at this angle to the
        positive real axis (2.356 is halfway between both axes; -1 is an angle too, the point is -1 + 0j). 0 on rays where the solution
        itself grows.
    zeta : float
        The oscillator's damping ratio.
    **parameters
        Parameters of the method.

    Returns
    -------
    float
        0 where the method is unstable from the start, inf where no limit was found up to 1e4 (with s given stages, 2.2 s^2); of
        second-order methods inf where there is none.

    Raises
    ------
    ValueError
        The method has no linear amplification, or no such axis; or it searches for each of its steps.
    TypeError
        The step that is searched for is given: lr, dt, or beta where it stands for lr.

    See Also
    --------
    mflow.max_stable_dt, mflow.stability_region

    Examples
    --------
    >>> import mflow
    >>> round(mflow.stability_limit("rk4"), 6), round(mflow.stability_limit("momentum", momentum=0.9), 6)
    (2.785294, 3.8)
    >>> round(mflow.stability_limit("momentum", alpha=0.09, dt=0.1), 6)
    3.8
    >>> round(mflow.stability_limit("euler", direction=-1 + 1j), 6)
    1.414214

    References
    ----------
    E. Hairer and G. Wanner, Solving Ordinary Differential Equations II (1996), IV.2.
    """
    _refuse_step(as_method(method, {}), parameters)
    method = as_method(method, parameters)
    if direction is not None:
        return limit_on_ray(method, _unit(method, axis, direction))
    if "second_order" in method.flags:
        _check_axis(axis, method, "frequency")
        return limit_of_frequency(method, check_number(zeta, "zeta", low=0.0))
    if check_number(zeta, "zeta", low=0.0) != 0.0:
        raise ValueError(f"zeta: expected a second-order method, got {method.name}; omit zeta")
    if method.kind == "step":
        _check_axis(axis, method, "real", "imaginary")
        return limit_on_ray(method, 1j if axis == "imaginary" else -1.0)
    _check_axis(axis, method, "curvature")
    return _limit_of_lr(method, 1.0)


def _check_axis(axis: str | None, method: Method, *choices: str) -> None:
    if axis is not None:
        check_choice(axis, f"axis (of {method.name})", choices)


def _refuse_step(method: Method, parameters: Mapping[str, Any]) -> None:
    """Raises TypeError where the step that is searched for is given, ValueError for a method that searches for each of its steps."""
    refuse_searches(method)
    step = "lr" if method.takes("lr") else "dt"
    if parameters.get(step) is not None and "linear" in method.flags:
        raise TypeError(f"{step}: it is the step of {method.name}, whose largest stable value is the result; omit it")
    alpha, beta, dt = (parameters.get(name) for name in LETTERS)
    if takes_letters(method.record) and beta is not None and (alpha is None or dt is not None):  # beside alpha alone it stands for dt
        other = "; for what many books call beta give momentum=" if alpha is None else ""
        raise TypeError(f"beta: it is the lr of {method.name}, whose largest stable value is the result; omit it{other}")


def _unit(method: Method, axis: str | None, direction: complex) -> complex:
    """A direction in the form that `limit_on_ray` takes: a unit vector, exactly on an axis where only rounding has moved it."""
    if axis is not None:
        raise ValueError(f"axis, direction: expected one of them, got axis = {axis!r} and direction = {direction!r}")
    if method.kind != "step" or "second_order" in method.flags:
        raise ValueError(f"direction: expected an integrator of y' = f(t, y), got {method.name}; omit direction")
    expected = "a complex number other than 0, or an angle"
    if isinstance(direction, complex | np.complexfloating):
        number = complex(direction)
    else:
        number = complex(as_number(direction, "direction", expected))
    if isinstance(direction, (int, float, np.integer, np.floating)):
        if abs(direction) > 2 * math.pi:
            raise ValueError(f"direction: expected an angle in radians, got {direction!r}; from degrees, math.radians({direction!r})")
        number = complex(math.cos(direction), math.sin(direction))
    if not (math.isfinite(number.real) and math.isfinite(number.imag)) or number == 0:
        raise ValueError(f"direction: expected a complex number other than 0, or an angle, got {direction!r}")
    number /= abs(number)
    if abs(number.imag) < 1e-15:
        return complex(math.copysign(1.0, number.real))
    return complex(0.0, math.copysign(1.0, number.imag)) if abs(number.real) < 1e-15 else number


def limit_on_ray(method: Method, direction: complex) -> float:
    """The stability limit along a unit vector, exactly -1 or 1j on an axis."""
    on_axis = direction.real == 0.0 or direction.imag == 0.0
    allowed = 1.0 + (STEP_TOLERANCE if on_axis else 4e-16)

    def unstable(x: Array) -> NDArray[np.bool_]:
        return grows(method, np.asarray(x * direction, dtype=np.complex128), allowed)

    def unstable_at(x: float) -> bool:
        return bool(unstable(np.array([x]))[0])

    alone = "needs_rho" in method.flags and not method.parameters.get("stages")  # the stages of all follow from the farthest
    halvings = 1 if alone else scans.TOGETHER
    if on_axis or not unstable_at(scans.FIRST):
        return _first_failure(unstable, farthest(method), halvings)
    upper = scans.FIRST  # close to the imaginary axis the limit may lie anywhere below
    while unstable_at(0.5 * upper):
        upper *= 0.5
        if upper < 1e-9:
            return 0.0
    return scans.bisect_together(unstable, 0.5 * upper, upper, halvings)


def _limit_of_lr(method: Method, curvature: float) -> float:
    """Largest lr on f = curvature c^2/2: up from a step that is stable until one is not, then by bisection.

    The limits of first-order methods scale with 1/curvature, those of second-order ones with its root, and friction sets a third scale.
    """

    def unstable(lr: float) -> bool:
        matrix = amplification(type(method)(**{**method.given, "lr": lr}), curvature=curvature)
        if not np.all(np.isfinite(matrix)):
            return True
        return not float(np.max(np.abs(np.linalg.eigvals(matrix)))) <= 1.0 + UPDATE_TOLERANCE

    scales = (1.0 / curvature, 1.0 / math.sqrt(curvature))
    lower = min(scales)
    while unstable(lower):
        lower *= 0.5
        if lower < 1e-12 * min(scales):
            return 0.0
    upper = lower
    while not unstable(upper):
        lower, upper = upper, upper * LR_RATIO
        if upper > 1e6 * max(scales):
            return math.inf
    return scans.bisect(unstable, lower, upper)


def farthest(method: Method) -> float:
    """Where the search for limits ends: no polynomial of s stages that begins with 1 + z is stable beyond 2 s^2."""
    return max(1e4, 2.2 * float(method.parameters.get("stages") or 0) ** 2)


def _first_failure(unstable: Callable[[Array], NDArray[np.bool_]], most: float, halvings: int) -> float:
    """Scan outward from scans.FIRST, then bisect."""
    lower = scans.FIRST
    if unstable(np.array([scans.FIRST]))[0]:
        return 0.0
    while lower < most:
        x: Array = lower + SPACING * np.arange(1.0, 513.0)
        bad = np.flatnonzero(unstable(x))
        if bad.size:
            upper = float(x[bad[0]])
            lower = upper - SPACING
            break
        lower = float(x[-1])
        if lower > 50:  # explicit methods of few stages are unstable by here: search in larger strides
            far: Array = np.geomspace(lower, most, 2000).astype(np.float64)
            bad = np.flatnonzero(unstable(far))
            if not bad.size:
                return math.inf
            upper, lower = float(far[bad[0]]), float(far[max(bad[0] - 1, 0)])
            break
    return scans.bisect_together(unstable, lower, upper, halvings)


def _refuse_elsewheres(parameters: Mapping[str, Any]) -> None:
    """Raises TypeError for arguments of other functions that describe a problem."""
    if "contacts" in parameters:
        raise TypeError(
            "contacts: it is no argument here; a spring of a contact counts where it is closed: add its stiffness to that of its degree of "
            'freedom, or let solve_dynamics(dt="auto") do it'
        )
    of_problem = [name for name in ("fun", "f", "y0", "t_span") if name in parameters]
    if of_problem:
        raise TypeError(
            f"{', '.join(of_problem)}: expected the Jacobian, as jac=J(y) at some y; of a right-hand side f(t, y) "
            "mflow.explain(f, y0, t_span=(t0, t_end)) finds the stable steps of each method along the solution"
        )


def max_stable_dt(
    method: str | Method,
    *,
    jac: Any = None,
    curvature: float | None = None,
    eigenvalues: ArrayLike | None = None,
    n: int | None = None,
    symmetric: bool | None = None,
    mass: Any = None,
    stiffness: Any = None,
    damping: Any = None,
    rayleigh: Any = None,
    fixed: Any = None,
    force: Callable[..., Any] | None = None,
    x0: ArrayLike | None = None,
    v0: ArrayLike | None = None,
    **parameters: Unpack[StepLimitOptions],
) -> float:
    """The largest stable step (learning rate) for a linear problem.

    Parameters
    ----------
    method : name or instance of a method with the flag "linear"
    jac : array_like (n, n), SciPy sparse matrix or LinearOperator, or callable
        Jacobian of y' = F(y), for integrators; or of a gradient flow, minus the Hessian, for optimizers. Or a function ``jac(v)`` that
        returns J v, with n, the length of v. Eigenvalues with a positive real part belong to solutions that grow by themselves and set
        no limit; where they oscillate, and steps below the result make errors grow more than twice as fast, a warning says so. Up to 1000
        rows all eigenvalues are computed, of products from n of them (not where symmetric=True); beyond that entries on few diagonals are
        found from few products, and else the outer eigenvalues are estimated by Lanczos' or Arnoldi's method, from a random start of a
        fixed seed. The result is then about the limit: to 1 % where no warning says otherwise and jac is normal; a warning gives an
        interval, whose lower end holds however far from normal jac is, with a probability of .995.
    eigenvalues : array_like of complex
        In place of jac.
    symmetric : bool
        Whether jac is symmetric, where only its products are known; this saves memory.
    curvature : float
        In place of jac: the largest curvature L of the cost (the largest eigenvalue of its Hessian). Of a second-order method it is that
        of x'' = -grad f - friction x', as `minimize` steps it, with ``friction=`` (1 where it is not given, as there).
    mass, stiffness, damping : None, a number, n numbers (a diagonal), or a dense or SciPy sparse matrix (n, n)
        M x'' + C v + K x = 0, for second-order methods. Degrees of freedom whose rows of the mass are 0 are condensed. Where damping is
        no a M + b K, the limit is known at any size where it is that of the factor -1 (symplectic and central differences, Newmark with
        gamma of 1/2 and more); of forward_euler_system up to 600 degrees of freedom, of methods with several forces a step up to 200, of
        others up to 400. Beyond, or with matrices that are not symmetric, the result may be a bound from below, or an estimate; a warning
        says so then, and up to which step the limit may lie.
        Where the structure grows by itself, steps up to the limit make no more of it grow, and nothing more than 1.25 times as fast.
    rayleigh, fixed : (a, b), and indices or a mask
        As those of `mflow.solve_dynamics`: damping by a M + b K beside any other, and degrees of freedom that are held.
    force, x0, v0 : callable and array_like of any shape, of n numbers, n up to 1000
        ``force(t, x, v)`` in place of stiffness and damping: these are its central differences at t = 0, x0 and v0 (at rest if not given),
        by 4 n calls. What damps is in it.
    n : int
        The length of v, where jac is a function of it.
    **parameters
        Parameters of the method.

    Returns
    -------
    float, inf where nothing limits the step.

    Raises
    ------
    ValueError
        Not exactly one of jac, curvature and eigenvalues is given; a matrix is not square or not finite; the method has no linear
        amplification, or searches for each of its steps.
    TypeError
        The step that is searched for is given: lr, dt, or beta where it stands for lr.

    Warns
    -----
    RuntimeWarning
        The result is a bound or an estimate; the eigenvalue that limits the step is not known to 1 %; or, for integrators, jac is far from
        normal, so that a run within the limit grows by a factor of more than 10 before it decays (transient growth): the result is the
        limit of the eigenvalues all the same, and no safe step; the warning names the safe one, up to which the numerical range of jac is
        stable, where products with the transpose are known: not for a function v -> J v. Where solutions themselves grow for a while it is
        told if errors grow by ten times as much. `mflow.explain` lists the safe step for every method.
    UserWarning
        The jac of an optimizer has no eigenvalue below 0, or all those of an integrator's are above 0 (two and more, real): as if the
        Hessian, or A of y' = -A y, had been given without its minus.

    See Also
    --------
    mflow.stability_limit, mflow.explain, mflow.solve_dynamics

    Examples
    --------
    >>> import mflow, numpy as np
    >>> round(mflow.max_stable_dt("euler", jac=[[-4.0, 0.0], [0.0, -1.0]]), 6)
    0.5
    >>> round(mflow.max_stable_dt("nesterov", curvature=10.0, momentum=0.9), 6)
    0.135714
    >>> round(mflow.max_stable_dt("central_difference", force=lambda t, x, v: -9.0 * np.sin(x) - 0.1 * v, x0=[0.0]), 6)
    0.666667

    References
    ----------
    E. Hairer and G. Wanner, Solving Ordinary Differential Equations II (1996), IV.2.
    """
    if symmetric is not None:
        check_flags(symmetric=symmetric)
    _refuse_elsewheres(parameters)
    method, stiffness, damping = _of_descent(method, parameters, curvature, stiffness, damping)
    if force is not None:
        _refuse_beside_force(method, {"stiffness": stiffness, "damping": damping, "rayleigh": rayleigh})
        stiffness, damping = tangents(force, x0, v0)
    elif x0 is not None or v0 is not None:
        raise ValueError("x0, v0: they are where force= is looked at, and there is none; omit them")
    given = [a for a in (mass, stiffness, damping) if a is not None]
    if "second_order" in method.flags:
        if not given or jac is not None or eigenvalues is not None:
            raise ValueError(
                f"jac, eigenvalues: {method.name} steps M x'' = F: give stiffness= (and mass=, damping=), curvature= or force= in place "
                "of jac and eigenvalues, which are those of y' = F(y)"
            )
        if x0 is not None and len(shape := np.asarray(x0).shape) > 1 and np.shape(mass) in (shape, shape[:1]):
            mass = np.repeat(np.ravel(mass), math.prod(shape) // np.size(mass))  # one for each number, or each entry of the first axis
        n, mass, damping, stiffness = assembled(mass, damping, stiffness, fixed, rayleigh)
        modes = structure_modes(n, mass, damping, stiffness)
        limit, kind = modes.limit(method), modes.kind(method)
        if kind != "limit":
            text = f"{limit:.6g} is an estimate"
            if kind == "bound":
                upper = modes.grows_at(method)
                above = f"at {upper:.4g} a run grows" if upper < math.inf else "none was found at which a run grows"
                text = f"{limit:.6g} is a bound: every step up to it is stable, and longer ones may be; {above}"
            text = f"the damping is no a M + b K of {n} degrees of freedom, and {text}"
            tell(f"max_stable_dt: {text}")
        return limit
    if given or not (fixed is rayleigh is None):
        raise ValueError(f"mass, stiffness, damping, rayleigh, fixed: expected a second-order method, got {method.name}; omit them")
    count = sum(a is not None for a in (jac, curvature, eigenvalues))
    if count != 1:
        raise ValueError(f"jac, curvature, eigenvalues: expected exactly one of these arguments, got {count or 'none'} of them")
    if curvature is not None:
        L = check_number(curvature, "curvature", low=0.0)
        if L == 0.0:
            return math.inf
        return stability_limit(method) / L if method.kind == "step" else _limit_of_lr(method, L)
    if "linear" not in method.flags:
        amplification(method)  # its error says what to use instead
    if eigenvalues is not None:
        values = complex_array(eigenvalues, "eigenvalues").ravel()
        if not np.all(np.isfinite(values)):
            raise ValueError("eigenvalues: expected finite numbers, got NaN or an infinity")
    else:
        values = scans.eigenvalues_of(jac, n, symmetric, lambda some: first_to_fail(method, some, 3))
    if jac is not None and values.size and np.min(values.real) >= 0.0 < np.max(values.real):
        _warn_of_sign(method, values)
    dt = float(first_to_fail(method, values)[0])
    if method.kind == "step" and np.max(values.real, initial=0.0) > 0.0:
        _warn_of_oscillations(method, values, dt)
    if jac is not None and method.kind == "step" and 0.0 < dt < math.inf:
        _warn_of_growth(method, jac, n, symmetric, dt, values)
    return dt


def _warn_of_sign(method: Method, values: NDArray[np.complex128]) -> None:
    """Where nothing decays, and something grows, as of a matrix whose sign is forgotten."""
    if method.kind != "step":
        text = f"for {method.name} jac is minus the Hessian; this jac has no eigenvalue below 0, so nothing limits lr"
        tell(f"max_stable_dt: {text}; if it is the Hessian itself, give jac=-H or curvature=", UserWarning)
    elif len(values) > 1 and np.min(values.real) > 0.0 and not np.any(values.imag):
        text = "jac is the Jacobian of F in y' = F(y); all eigenvalues of this one are above 0, so that each solution grows by itself"
        tell(f"max_stable_dt: {text}, and nothing limits dt; for y' = -A y give jac=-A", UserWarning)


def _warn_of_oscillations(method: Method, values: NDArray[np.complex128], dt: float) -> None:
    """Whether steps up to dt make oscillations that grow by themselves grow much faster."""
    shorter, value = first_beside_growth(method, values, scans.CANDIDATES)
    if shorter < dt:
        told = f"oscillations that grow by themselves set no limit, but errors of {method.name} grow more than twice as fast as they do"
        tell(f"max_stable_dt: {told} in steps beyond {shorter:.4g} (eigenvalue {value.real:.4g} + {value.imag:.4g}i)")


def _of_descent(
    method: str | Method, parameters: Mapping[str, Any], curvature: Any, stiffness: Any, damping: Any
) -> tuple[Method, Any, Any]:
    """(method, stiffness, damping), where curvature= and friction= of a second-order method are those of a descent by `minimize`."""
    kind = as_method(method, {})
    _refuse_step(kind, parameters)
    if "second_order" not in kind.flags or (curvature is None and "friction" not in parameters):
        return as_method(method, parameters), stiffness, damping
    rest = {name: value for name, value in parameters.items() if name != "friction"}
    if curvature is None:
        raise ValueError(f"friction: it goes with curvature=, as minimize steps {kind.name}; for M x'' + C v + K x = 0 give damping=")
    if stiffness is not None or damping is not None:
        given = f"expected none beside curvature=, which with friction= says the same of {kind.name}; omit them"
        raise ValueError(f"stiffness, damping: {given}")
    friction = check_number(parameters.get("friction", FRICTION), "friction", low=0.0)
    return as_method(method, rest), check_number(curvature, "curvature", low=0.0), friction


def _refuse_beside_force(method: Method, others: dict[str, Any]) -> None:
    """ValueError for what does not go with force=."""
    if "second_order" not in method.flags:
        raise ValueError(f"force: expected a second-order method, got {method.name}; for y' = F(y) give jac=")
    if beside := [name for name, value in others.items() if value is not None]:
        raise ValueError(
            f"{beside[0]}: expected none beside force=, which holds all that acts on the masses; put stiffness and damping into force, as "
            "force=lambda t, x, v: force(t, x, v) - K @ x - C @ v"
        )


def _warn_of_growth(
    method: Method, jac: Any, n: int | None, symmetric: bool | None, dt: float, values: NDArray[np.complex128]
) -> None:  # fmt: skip
    """Warns where errors within the limit may grow by orders of magnitude."""
    both = None if symmetric else scans.both_products(jac, n)
    if both is None:
        return
    times, back, n, entries = both
    if back is None:
        grows = float(np.max(values.real, initial=0.0)) > GROWS * float(np.max(np.abs(values), initial=0.0))  # by itself
        text = "" if grows else normality.warning_of_products(method, times, n, dt)
    else:
        text = normality.warning_of(method, times, back, n, dt, entries, lambda some: first_to_fail(method, some, 6))
    if text:
        tell(f"max_stable_dt: {dt:.4g} is the limit for the eigenvalues, but {text}")


def first_to_fail(method: Method, values: NDArray[np.complex128], candidates: int = scans.CANDIDATES) -> tuple[float, complex]:
    """(the largest step for these eigenvalues, the one that limits it)."""
    if method.kind == "step":
        rays = functools.partial(limit_on_ray, method)
        outside = functools.partial(grows, method, allowed=1.0 + STEP_TOLERANCE)
        return scans.first_to_fail(values, outside, rays, candidates=candidates, most=farthest(method))
    size = float(np.max(np.abs(values), initial=0.0))
    if np.any(np.abs(values.imag) > 1e-9 * size):
        raise ValueError(f"jac: expected real eigenvalues for the optimizer {method.name}, got complex ones; give a symmetric jac")
    k = int(np.argmin(values.real)) if values.size else 0
    if not values.size or values[k].real >= 0.0:
        return math.inf, 0j
    return _limit_of_lr(method, -float(values[k].real)), complex(values[k])


def first_beside_growth(method: Method, values: NDArray[np.complex128], candidates: int) -> tuple[float, complex]:
    """The same, where oscillations that grow by themselves are to grow at most twice as fast: see `mflow.spectra.growing`."""
    from mflow.spectra.growing import growing, twice_as_fast

    found = first_to_fail(method, values, candidates)

    def factors(z: NDArray[np.complex128]) -> Array:
        parts = [z[k : k + 1] for k in range(z.size)] if farthest_radius(method, z) > 0.0 else [z]  # stages that follow from the step
        return np.concatenate([np.abs(stability_values(method, part, farthest_radius(method, part))) for part in parts])

    for value in growing(values) if method.kind == "step" else ():
        dt = twice_as_fast(complex(value), factors, farthest(method))
        if dt < found[0]:
            found = dt, complex(value)
    return found


@functools.cache
def stiff_method() -> str:
    """The method that stiff problems are advised to take under error control: the implicit pair of the highest order."""
    fit = {"implicit", "embedded"}
    pairs = [record for record in registry.records() if record.flags >= fit and "second_order" not in record.flags]
    return str(max(pairs, key=lambda record: record.order).name)


def explain_step(run: Any, method: Method, dt: float, start: Array, t0: float) -> str:
    """Why a run with fixed steps may have left the finite numbers: the second half of its message."""
    if "linear" not in method.flags:
        return "lower the step"
    radius = measured_radius(lambda y: run.slope(t0, y), start)
    if not radius < math.inf:
        return "lower the step, or look for the cause in the right-hand side"
    real, imaginary = stability_limit(method), stability_limit(method, axis="imaginary")
    measured = f"for errors that change at a rate of about {radius:.4g}, measured at the start"  # no eigenvalue where J is not normal
    if dt * radius > real:
        near = ", which is known to a tenth; take one well below it" if dt * radius < NEAR * real else ""
        return f"dt = {dt:g} exceeds the stability limit of {method.name}, about {real / radius:.4g} {measured}{near}"
    if dt * radius > (1.0 - SLACK) * real:
        return (
            f"dt = {dt:g} is about the stability limit of {method.name}, {real / radius:.4g} {measured}, which is known to a tenth: it "
            "exceeds the limit, or comes near it; lower dt"
        )
    if dt * radius > imaginary:
        limit = (
            f"its limit for oscillations is about {imaginary / radius:.4g}"
            if imaginary > 0
            else f"{method.name} has no stable step for those"
        )
        return (
            f"dt = {dt:g} is below the limit of {method.name} for decay, about {real / radius:.4g} {measured}; if the problem oscillates, "
            f"{limit}"
        )
    return (
        f"dt = {dt:g} is inside the stability limits of {method.name} {measured}; but the rate may have grown on the way "
        "(mflow.explain measures it along the path), the right-hand side may have left its domain, or the solution blows up"
    )
