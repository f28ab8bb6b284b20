"""Where the energy of a momentum method goes: kinetic, potential, friction, numerical.

Momentum methods are Newton's law c'' = -friction c' - beta grad f, stepped by

    v+ = (1 - friction h) v - h beta g,    c+ = c + h v+,    g the gradient at c, or at the point ahead

With vbar the mean of v at both ends and D the difference over a step, Dv'vbar is the change of the kinetic energy, and as Dc = h v+,

    D[v'v/2 + beta f] = -friction h v'vbar + beta [integral of (grad f - g)'Dc along the step] + (h beta/2) g'Dv

The first term is what friction takes; the rest is what the step adds, computed from this formula, the integral by Gauss's rule of 8
nodes, and never as a remainder; the residual shows that the books close. `momentum` and `nesterov` with (lr, mu) are of this form for h =
sqrt(lr), where beta = 1 and friction = (1 - mu)/h: then v = sqrt(lr) times the velocity of the method. In the notes' letters that is
beta = dt^2; `sgd` is mu = 0, where friction takes all of the velocity in each step.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np

from mflow import optim
from mflow.base.checks import Array, as_tuple, check_function, check_start, check_whole, shown
from mflow.base.methods import Method, as_method
from mflow.base.result import Result
from mflow.base.tables import frame

if TYPE_CHECKING:
    from mflow.base._records import MethodOptions

__all__ = ["EnergyLedger", "energy_ledger"]

NODES, WEIGHTS = (0.5 * (1.0 + np.polynomial.legendre.leggauss(8)[0]), 0.5 * np.polynomial.legendre.leggauss(8)[1])


class EnergyLedger(Result):
    """The energies of an optimizer's run: `mflow.energy_ledger`. Arrays have an entry a point, the start among them.

    t : float64 array (k,), h times the number of steps. c, v : float64 arrays (k, *shape). kinetic, potential : v'v/2 and beta f.
    friction : taken by it so far. numerical : added by the steps so far; below 0 they dissipated. residual : what does not add up, so that
    kinetic + potential = at the start - friction + numerical + residual.
    h, rate : the step, and the friction of the ODE. method : the Method. message : what it is, in words.

    See Also
    --------
    mflow.energy_ledger, mflow.DynamicsResult

    Examples
    --------
    >>> import mflow
    >>> books = mflow.energy_ledger(lambda c: (0.5 * c @ c, c), [1.0], "momentum", jac=True, lr=0.01, momentum=0.9, steps=50)
    >>> books.c.shape, books.friction.shape
    ((51, 1), (51,))
    """

    t: Array
    c: Array
    v: Array
    kinetic: Array
    potential: Array
    friction: Array
    numerical: Array
    residual: Array
    h: float
    rate: float
    method: Method
    message: str

    def to_frame(self) -> Any:
        """A pandas DataFrame with a row a point: t, kinetic, potential, friction, numerical, residual. ImportError without pandas."""
        return frame({name: self[name] for name in ("t", "kinetic", "potential", "friction", "numerical", "residual")})


def energy_ledger(
    fun: Callable[..., Any], x0: Any, method: str | Method = "momentum", *, jac: Callable[..., Any] | bool, steps: int = 100,
    args: tuple[Any, ...] = (), **parameters: Unpack[MethodOptions],
) -> EnergyLedger:  # fmt: skip
    """Run a momentum method and keep books of its energy.

    Parameters
    ----------
    fun : callable
        ``fun(c, *args)`` returns the cost; with ``jac=True`` (cost, gradient).
    x0 : array_like, any shape
        The start, at rest.
    method : name or instance of `sgd`, `momentum`, `nesterov` or `consistent_momentum`
    jac : callable or True
        ``jac(c, *args)`` returns the gradient.
    steps : int
    **parameters
        Parameters of the method, lr among them.
    args : tuple
        Further arguments of fun and jac.

    Returns
    -------
    EnergyLedger

    Raises
    ------
    TypeError, ValueError
        The method has no velocity that is Newton's (Adam), decays or cuts gradients, or an argument does not fit.

    See Also
    --------
    mflow.solve_dynamics, mflow.plot.energy

    Examples
    --------
    >>> import numpy as np, mflow
    >>> cost = lambda c: (0.5 * c @ ([1.0, 25.0] * c), [1.0, 25.0] * c)
    >>> books = mflow.energy_ledger(cost, [-4.0, 1.0], "momentum", jac=True, lr=0.02, momentum=0.9)
    >>> bool(np.abs(books.residual).max() < 1e-14 * books.potential[0])
    True
    >>> bool(books.friction[-1] > 0.9 * books.potential[0])
    True

    References
    ----------
    B. Polyak, USSR Comput. Math. Math. Phys. 4(5) (1964) 1-17; S. Krenk, Comput. Methods Appl. Mech. Eng. 195 (2006) 6110-6124.
    """
    chosen, count, extra = _checked(as_method(method, parameters)), check_whole(steps, "steps", 1), as_tuple(args, fun)
    start = check_start(x0, "x0")
    cost, gradient = _cost(fun, jac, extra, start.shape)
    h, beta, rate, unit = _law(chosen)
    opt = getattr(optim, chosen.record.class_name)(c := start.copy(), **chosen.given)
    points, speeds, taken, added = [c.copy()], [np.zeros_like(c)], [0.0], [0.0]
    for _ in range(count):
        at = np.array(opt.ask()) if chosen.record.asks else c.copy()
        g, old, v = gradient(at), points[-1], speeds[-1]
        opt.step(g)
        if not np.all(np.isfinite(c)):
            raise ValueError(f"energy_ledger: the parameters are not finite after step {len(points)}: lower lr or momentum")
        new = _velocity(opt, c, old, h, unit)
        move, change, mean = c - old, new - v, 0.5 * (new + v)
        bend = math.fsum(w * float(np.vdot(gradient(old + s * move) - g, move)) for s, w in zip(NODES, WEIGHTS, strict=True))
        taken.append(rate * h * float(np.vdot(v, mean)))
        added.append(math.fsum((beta * bend, 0.5 * h * beta * float(np.vdot(g, change)))))
        points.append(c.copy())
        speeds.append(new)
    return _ledger(chosen, points, speeds, cost, beta, (h, rate), _sums(taken), _sums(added))


def _checked(method: Method) -> Method:
    """Raises TypeError or ValueError where a step is not one of the form above."""
    names = {"lr", "momentum", "beta_hat"} & set(method.parameters)
    if method.kind != "update" or "linear" not in method.flags or "lr" not in names:
        raise ValueError(f"method: expected sgd or a momentum method of constant lr, got {method.name}, whose velocity is not Newton's")
    for name, value in method.parameters.items():
        if name in ("weight_decay", "dampening") and value:
            raise ValueError(f"{name}: expected 0, as the books have no column for it, got {value!r}")
        if name == "clip_value" and value is not None:
            raise ValueError(f"clip_value: expected None, as a cut gradient has no potential, got {value!r}")
    if method.parameters.get("form") == "push":
        return type(method)(**{**method.given, "form": "pull"})  # the same sequence, with the c of the law
    return method


def _law(method: Method) -> tuple[float, float, float, float]:
    """(h, beta, friction, unit) of a method: its own velocity times unit is v."""
    values = method.parameters
    lr = float(values["lr"])
    if not lr > 0.0:
        raise ValueError(f"lr: expected a number above 0, got {lr!r}")
    if "friction" in values:
        return lr, float(values["beta_hat"]), float(values["friction"]), 1.0
    h = math.sqrt(lr)
    return h, 1.0, (1.0 - float(values.get("momentum") or 0.0)) / h, h


def _velocity(opt: Any, c: Array, old: Array, h: float, unit: float) -> Array:
    """The velocity that the step was made with: the optimizer's own, or of one that keeps none, Dc/h."""
    kept = opt.state_dict()["vectors"][0]
    return unit * kept["v"] if "v" in kept else (c - old) / h


def _cost(fun: Any, jac: Any, args: tuple[Any, ...], shape: tuple[int, ...]) -> tuple[Callable[[Array], float], Callable[[Array], Array]]:
    """(cost, gradient)."""
    check_function(fun, "fun", "a function of c that returns the cost")
    if jac is not True:
        check_function(jac, "jac", "the gradient, a function of c, or True")

    def pair(c: Array) -> Any:
        both = fun(c, *args)
        if not isinstance(both, (tuple, list)) or len(both) != 2:
            raise TypeError(f"fun: expected the pair (cost, gradient) with jac=True, got {shown(both)}")
        return both

    def cost(c: Array) -> float:
        return float(pair(c)[0] if jac is True else fun(c, *args))

    def gradient(c: Array) -> Array:
        g = np.asarray(pair(c)[1] if jac is True else jac(c, *args), dtype=np.float64)
        if g.shape != shape:
            raise ValueError(f"jac: expected a gradient of shape {shape}, got shape {g.shape}")
        return g

    return cost, gradient


def _sums(terms: list[float]) -> Array:
    """Running sums, each correctly rounded to a few units (Neumaier)."""
    total = lost = 0.0
    out = np.empty(len(terms))
    for k, term in enumerate(terms):
        new = total + term
        lost += (total - new) + term if abs(total) >= abs(term) else (term - new) + total
        total = new
        out[k] = total + lost
    return out


def _ledger(
    method: Method, points: list[Array], speeds: list[Array], cost: Callable[[Array], float], beta: float, law: tuple[float, float],
    friction: Array, numerical: Array,
) -> EnergyLedger:  # fmt: skip
    h, rate = law
    kinetic = np.array([0.5 * float(np.vdot(v, v)) for v in speeds])
    potential = np.array([beta * cost(c) for c in points])
    residual = ((kinetic - kinetic[0]) + (potential - potential[0])) + friction - numerical
    message = f"{method.name}: c'' = -{rate:.6g} c' - {beta:.6g} grad f with steps of {h:.6g}"
    return EnergyLedger(
        t=h * np.arange(len(points)), c=np.array(points), v=np.array(speeds), kinetic=kinetic, potential=potential, friction=friction,
        numerical=numerical, residual=residual, h=h, rate=rate, method=method, message=message,
    )  # fmt: skip
