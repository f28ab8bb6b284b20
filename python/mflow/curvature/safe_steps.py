"""lr="auto" of a descent: steps below the method's limit for the curvature measured on the way, and taken again where the cost has risen.

    step        share of the limit for the largest curvature L, from a few products H v (`mflow.curvature.measure`)
    look        after 1, 2, 4, ... `EVERY` steps (more often for momentum="auto"): is the cost where the run stands below what it was?
                Then the point is the new mark
    back        where it is not, or a number is not finite, the run goes back to the mark, at rest, with half the step
    L again     where a secant of the last step, or one product along the vector of L, shows another curvature; no more than a tenth of
                all evaluations after the first ones

A method with velocity may rise on its way: for the best pair on a quadratic of condition k its stiffest component first grows by
.37 sqrt(k). So its mark is the lowest point so far, and a rise sends it back only when it outlasts that, or is larger.

momentum="auto" takes (lr, momentum) from the condition L/m. Few products are spent on it: four, from the gradient and a random part, after
which the way itself tells of both ends. The points of two looks, and the last step before each, give pairs (s, y = H s) for nothing, and
the Ritz values of H on their span lie between m and L. A Ritz value w of residual r stands for an eigenvalue between w - r and w + r, and m
is taken for the lower of those, but not below w/BOLD: a momentum for too small an m costs its root on all components, one for too large an
m leaves the slowest behind. Where differences do not tell of one Hessian (B is not symmetric) the last one alone is believed.

References
----------
B. O'Donoghue and E. Candes, Found. Comput. Math. 15 (2015) 715-732; B. Polyak, USSR Comput. Math. Math. Phys. 4(5) (1964) 1-17.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from mflow_core.stepping import stepper

from mflow.base.checks import Array
from mflow.base.methods import Method, as_method
from mflow.curvature.frozen import bears
from mflow.curvature.hessian import Hessian
from mflow.curvature.landscape import largest_step, run_bearing, scaled
from mflow.curvature.measure import Curvature, Meter
from mflow.stability.quadratic import tuned
from mflow.stability.spectrum import STAGES

__all__ = ["STALLED", "SafeSteps"]

STALLED = 0x7FFFFF03  # the status where no step lowers the cost
SAFETY, GENTLE = 0.9, 0.3  # share of the limit; the second of methods that rescale, whose metric moves
MARGIN = 1.04  # of L and of the condition where (lr, momentum) are the best pair, which is at the very limit
EVERY = 50  # steps between looks, at most
PRODUCTS, FEW, AGAIN, ACCURACY = 6, 4, 5, 0.03  # of a measurement: the first, that of a pair, later ones; relative
SHARE, OFTEN = 0.1, 0.3  # of evaluations that measurements may take after the first; where a secant asks for one
REGAIN = 1.5  # by which steps that were halved grow at each look
UNPROBED = 60  # evaluations after a measurement, where the way tells of curvature as well
OTHER = 0.1  # relative change of curvature along the vector of L that asks for a measurement
MOST_RETURNS, STILL = 60, 500  # to one mark; iterations after them that change no cost, at most
WAYS, APART, ONE_HESSIAN = 4, 1e-3, 0.05  # differences kept; their independence; asymmetry of their Hessian, relative to a Ritz value
BOLD, ANEW = 1.6, 1.1  # by which the least curvature may lie below one that was seen; of the condition, for another pair
SAME = 1.001  # of a curvature, to which a rehearsal still applies
RUNG = 1.12  # between the conditions that pairs are computed for
ROUNDING = 1e-12  # of costs
BLOW_UP = 1e3  # a gradient that has grown by this since the mark
RISE = 30.0  # of the cost, in units of what one step of descent promises, with a fixed momentum
CONDITION = 1e6  # beyond which no momentum is tuned
FAILED = frozenset({stepper.NON_FINITE, stepper.OVERFLOWED, stepper.RETRY_NON_FINITE, stepper.ALARM})


class Mark(NamedTuple):
    """The point to go back to. size : the largest entry of its gradient."""

    x: Array
    grad: Array
    value: float
    size: float


class SafeSteps:
    """The steps of one minimisation.

    Parameters
    ----------
    run : mflow_core.stepping.stepper.Run
    method : Method
        Raises ValueError where it has no limit of stability.
    descend : callable
        ``descend(count, gtol, want_value, alarm)`` -> status: so many iterations of the run.
    set_step : callable
        ``set_step(lr)``.
    has_value, free : bool
        Whether the cost has a value, and whether it comes with the gradient.
    friction : float
        Of a second-order method.
    tune : bool
        momentum="auto".
    longer : float
        Times the usual length of differences.
    """

    def __init__(
        self, run: Any, method: Method, descend: Callable[..., int], set_step: Callable[[float], None], *, has_value: bool, free: bool,
        friction: float = 0.0, tune: bool = False, longer: float = 1.0,
    ) -> None:  # fmt: skip
        self.linear, self.second = "linear" in method.flags, "second_order" in method.flags
        if self.second:
            limited = 0.0 < largest_step(method, 1.0, friction) < math.inf
        elif self.linear:
            limited = not method.is_implicit
        else:
            limited = method.kind == "update" and math.isfinite(bears(method.record, method.all_numbers))
        if not limited:
            raise ValueError(f'lr: "auto" follows a stability limit, and {method.name} has none; give a number')
        staged = "staged" in method.flags and not method.parameters["stages"]
        self.limited = as_method(method, {"stages": STAGES}) if staged else method
        self.run, self.method, self.descend, self.set_step, self.friction, self.longer = run, method, descend, set_step, friction, longer
        self.has_value, self.want_value, self.tune = has_value, free, tune
        self.carries = self.second or (method.kind == "update" and method.sizes["n_vec"] > 1)
        self.meter = Meter(FEW if tune else PRODUCTS, AGAIN, ACCURACY)
        self.hessian: Hessian | None = None  # of the last measurement, whose lengths are taken again until the run goes back
        self.mark: Mark | None = None
        self.before: Mark | None = None  # the point before that of the next look
        self.lr, self.caution, self.lowest = math.nan, 1.0, math.nan
        self.lost = self.lost_before = 0  # steps that met numbers which are not finite; those before the last good one
        self.gap, self.next_look = 1, 1  # iterations between looks, and where the next one is: no matter how the loop is cut
        self.L, self.least = math.nan, math.inf
        self.bold = BOLD
        self.ways: list[tuple[Array, Array]] = []  # differences of points and of gradients, the last ones
        self.looked: Mark | None = None  # the point of the last look
        self.kappa = 1.0  # the condition that momentum is chosen for
        self.gtol = 0.0
        self.rehearsed: tuple[float, float, float] | None = None  # lr and momentum, and the curvature that they were found for
        self.rehearsed_from = math.nan  # the cost there, which a run that was rehearsed may come near to again
        self.spent = self.next_probe = 0  # evaluations for curvature, and when one is due
        self.beside = 0  # evaluations for who looks on, and for lengths of differences, which change no step
        self.returns = self.risen = self.still = 0  # to the mark, iterations since the lowest cost, those that have changed nothing

    @property
    def used(self) -> int:
        """Evaluations of the run itself."""
        return int(self.run.nfev) - self.beside

    # ---- the loop ----------------------------------------------------------------------------------------------------------------------

    def advance(self, most: int, gtol: float) -> int:
        """At most so many iterations, and a look at where they led: 0 to go on, or the status of the run, or STALLED."""
        with np.errstate(over="ignore", invalid="ignore"):  # of steps that are taken back
            return self._advance(most, gtol)

    def _advance(self, most: int, gtol: float) -> int:
        self.gtol = gtol
        if self.mark is None:
            status = self.descend(0, gtol, self.want_value, math.inf)
            if status != 0:
                return status
            self.mark = self._point()
            self.lowest = self.mark.value
            self._measure()
            self.next_look = self.run.k + 1
        edge = self.next_look - 1 if self.run.k < self.next_look - 1 else self.next_look
        status = self.descend(min(most, edge - self.run.k), gtol, self.want_value, BLOW_UP * self._here.size)
        if status == 0 and self.run.k < self.next_look:
            if self.run.k == self.next_look - 1:
                x, grad = self.run.here()
                self.before = Mark(x, grad, math.nan, math.nan)
            return 0
        if status != 0 and status not in FAILED and status != stepper.CONVERGED:
            return status
        return self._judge(status)

    def stalled(self, k: int, step: float) -> tuple[str, str]:
        """(reason, words) where no step lowers the cost."""
        if self.lost - self.lost_before >= self.returns > 0:
            return "non_finite", f"the cost or its gradient is not finite after each step from x, down to lr = {step:.3g}, in iteration {k}"
        return "step_too_small", (
            f"no step of {self.method.name}, down to lr = {step:.3g}, lowers the cost from x in iteration {k}: its last digits are spent, "
            "or the gradient is not that of the cost, or it has a kink here"
        )

    def walls(self) -> str:
        """Words where steps met numbers that are not finite; "" where none did."""
        return f"; {self.lost} longer steps met a cost or gradient that is not finite" if self.lost else ""

    def lower_end(self, gtol: float) -> int:
        """The end of the iterations: the gradient where the run stands, or at the mark where the cost is lower there; the status."""
        status = self.descend(0, gtol, self.want_value, math.inf)
        if self.mark is None or (status in (0, stepper.CONVERGED) and not self._is_higher(self._point())):
            return status
        self._rest_at(self.mark.x)
        return self.descend(0, gtol, self.want_value, math.inf)

    @property
    def _here(self) -> Mark:
        assert self.mark is not None
        return self.mark

    def _point(self) -> Mark:
        x, grad = self.run.here()
        value = self.run.value
        if self.has_value and math.isnan(value):
            value = self.run.evaluate(x, False)[0]
        return Mark(x, grad, value, float(np.max(np.abs(grad), initial=0.0)))

    def _is_higher(self, at: Mark) -> bool:
        """Whether the cost is above that of the mark; by the gradient where there is no cost."""
        if not self.has_value:
            return at.size > 10.0 * self._here.size
        return not at.value <= self.lowest + ROUNDING * abs(self.lowest)

    def _judge(self, status: int) -> int:
        at, before = self._point(), self._here if self.gap == 1 and not self.risen else self.before
        self.lost += status in FAILED
        if status in FAILED or (self._is_higher(at) and self._too_high(at, status)):
            return self._go_back()
        if status == stepper.CONVERGED:
            return status
        if not self._is_higher(at):
            if not self.has_value or at.value < self._here.value - ROUNDING * abs(self._here.value):
                self.returns = self.still = 0  # a step that changes nothing is no proof that steps are short enough
            self.mark, self.risen, self.lowest = at, 0, min(self.lowest, at.value)
            self.still += self.gap if self.returns else 0
            if self.still > STILL:
                return self._give_up()
        else:
            self.risen += self.gap
        self.gap = min(self.gap + 1 + self.gap // 3 if self.tune else 2 * self.gap, EVERY)
        self.next_look, self.before = self.run.k + self.gap, None
        secant = math.nan if before is None else _secant(before, at)
        if self.tune:
            self._learn(before, at)
        self._look_at(at, secant)
        return 0

    def _learn(self, before: Mark | None, at: Mark) -> None:
        """Both ends of the spectrum from the way itself: on a quadratic its Ritz values lie between them."""
        self.ways.extend((b.x - a.x, b.grad - a.grad) for a, b in ((before, at), (self.looked, at)) if a is not None and a is not b)
        self.looked = at
        del self.ways[:-WAYS]
        found = _ritz(self.ways) or _ritz(self.ways[-1:])
        if found is not None and found.least > 0.0:
            self.least = min(max(found.least - found.residual, found.least / self.bold), 1.1 * self.least)
            if found.largest > self.L:
                self.L = found.largest
                self._choose()

    def _too_high(self, at: Mark, status: int) -> bool:
        """Whether a rise is none that the method's velocity may make."""
        if not self.carries or status == stepper.CONVERGED or not self.has_value:
            return True
        if self.rehearsed is not None and at.value <= self.rehearsed_from:
            return False
        rise = RISE + 0.2 * self.kappa
        momentum = self._momentum
        patience = 20.0 + 6.0 / max(1.0 - momentum, 1e-3) if momentum < 1.0 else 200.0
        promise = float(np.sum(self._here.grad**2)) / (2.0 * self.L) if self.L > 0.0 else 0.0  # of one step of descent from the mark
        return at.value > self._here.value + rise * promise or self.risen > patience

    @property
    def _momentum(self) -> float:
        """What is kept of a velocity in a step, as far as parameters say."""
        given = self.method.parameters
        for name in ("momentum", "friction"):
            if name in given:
                return float(given[name]) if name == "momentum" else 1.0 - float(given[name]) * self.lr
        betas = given.get("betas")
        return float(betas[0]) if betas is not None else 1.0 - self.friction * self.lr if self.friction else 0.0

    def _go_back(self) -> int:
        """Back to the mark, at rest, for steps half as long."""
        if self.returns >= MOST_RETURNS:
            return self._give_up()
        self.lost_before = self.lost - 1 if self.returns == 0 else self.lost_before
        self.returns += 1
        self.risen, self.gap = 0, 1
        self.next_look, self.before = self.run.k + 1, None
        self.caution *= 0.5
        self._rest_at(self._here.x)
        if self.returns == 1:
            self._measure()
        else:
            self._choose()
        return 0

    def _give_up(self) -> int:
        """The run ends at the mark."""
        self._rest_at(self._here.x)
        self.descend(0, 0.0, self.want_value, math.inf)
        return STALLED

    def _rest_at(self, x: Array) -> None:
        """The run goes on from there, without a velocity."""
        if self.second:
            self.run.restart(self.run.t, np.ascontiguousarray(x), np.zeros_like(x))
        else:
            self.run.restart(self.run.t, np.ascontiguousarray(x))

    # ---- curvature ---------------------------------------------------------------------------------------------------------------------

    def _look_at(self, at: Mark, secant: float) -> None:
        """Whether the curvature is another one than that measured."""
        if secant > 1.05 * self.L and self.spent <= 4 * PRODUCTS + OFTEN * self.used:
            self._measure(at)
            return
        if self.caution < 1.0 and self.risen == self.returns == 0:
            self.caution = min(1.0, REGAIN * self.caution)
            self._choose()
        if self.used >= self.next_probe and self.spent <= 2 * PRODUCTS + SHARE * self.used:
            if self._has_changed(at):
                self._measure(at)
                return
            self.next_probe = self.used + min(self.used, 2 * EVERY)
        if self.tune and self.L > 0.0 and min(self.L / self.least, CONDITION) > ANEW * self.kappa:
            self._choose()

    def _has_changed(self, at: Mark) -> bool:
        """By one product along the vector of L."""
        v = self.meter.vector
        if v is None or not self.L > 0.0 or not self.linear:
            return True
        self.spent += 1
        hessian = self._hessian(at)
        with np.errstate(all="ignore"):
            now = float(v @ hessian(v))
        self.beside += hessian.looked
        return not abs(now - self.L) <= OTHER * self.L

    def _hessian(self, at: Mark) -> Hessian:
        shape = at.x.shape
        gradient = lambda x: np.ravel(self.run.evaluate(x.reshape(shape))[1])  # noqa: E731
        return Hessian(at.x.ravel(), gradient, base=at.grad.ravel(), longer=self.longer, like=None if self.returns else self.hessian)

    def _measure(self, at: Mark | None = None) -> None:
        """L at a point, the mark by default, and the step for it."""
        at = self._here if at is None else at
        hessian, n, before = self._hessian(at), at.x.size, self.used
        try:
            with np.errstate(all="ignore"):
                times: Callable[[Array], Array] = hessian
                if not self.linear:
                    lr = self.lr if math.isfinite(self.lr) else 1.0
                    found_bearing = run_bearing(self.run, self.method, at.grad.ravel(), lr)
                    self.reach, times = lr * found_bearing.limit, scaled(hessian, found_bearing)
                size = float(np.linalg.norm(at.grad)) if self.tune else 0.0
                found = self.meter.measure(times, n, at.grad.ravel() / size if size > 1e-280 else None)
            beyond = found.residual if self.tune else 0.5 * found.residual  # a Ritz value lies below what it stands for
            top, low = found.estimate + beyond, float(found.values[0])
            self.L = max(abs(top), abs(low))
            if low > 0.0:
                self.bold = 1.0 if found.values.size == n else BOLD
                self.least = min(self.least, max(low - found.low_residual, low / self.bold))
            if self.tune:
                self._rehearse(at, found)
        except FloatingPointError:  # beyond the domain, a little way off
            self.L = 2.0 * self.L if self.L > 0.0 else at.size / max(1.0, float(np.max(np.abs(at.x), initial=0.0)))
        self.beside += hessian.looked
        self.hessian = hessian
        self.spent += self.used - before
        self.next_probe = self.used + max(UNPROBED if self.tune else 10, self.used - before)
        self._choose()

    def _rehearse(self, at: Mark, found: Curvature) -> None:
        """From rest, where the whole Hessian is known and the method has a momentum."""
        self.rehearsed, low = None, float(found.values[0])
        from_rest = at is self._here and (self.run.k == 0 or self.returns > 0)
        if found.matrix is None or not from_rest or not low > 0.0 or "momentum" not in self.method.parameters:
            return
        from mflow.curvature.rehearsal import rehearsed  # seldom needed

        kappa = min(self.L / low, CONDITION)
        lr, m, method = _pair(self.method, MARGIN * kappa, MARGIN * self.L)
        self.rehearsed_from = at.value
        self.rehearsed = *rehearsed(method, found.matrix, at.grad.ravel(), self.gtol, kappa, (lr, m)), self.L

    def _choose(self) -> None:
        """The step, and where it is asked for the momentum, for L."""
        if not self.L > 0.0:
            lr = self.lr if math.isfinite(self.lr) else 1.0
        elif self.tune:
            self.kappa = min(max(self.L / self.least, 1.0), CONDITION)
            lr, momentum, self.method = _pair(self.method, MARGIN * self.kappa, MARGIN * self.L)
            if self.rehearsed is not None and self.rehearsed[2] * SAME >= self.L:
                lr, momentum, _ = self.rehearsed
                self.method = as_method(self.method, {"momentum": momentum})
            self.run.set_parameter("momentum" if "momentum" in self.method.parameters else "friction", momentum)
        elif self.linear:
            lr = SAFETY * _limit(self.limited, self.L, self.friction)
            if lr == 0.0:  # friction that is too weak for this curvature: the method grows at any step, and what has grown is taken back
                lr = SAFETY / (math.sqrt(self.L) if self.second else self.L)
        else:
            lr = GENTLE * self.reach / self.L
        self.lr = self.caution * (lr if math.isfinite(lr) else 1.0)
        if "needs_rho" in self.method.flags and self.L > 0.0:
            self.run.rho = MARGIN * self.L
        self.set_step(self.lr)


def _secant(a: Mark, b: Mark) -> float:
    """The curvature along the way from a to b."""
    s, y = (b.x - a.x).ravel(), (b.grad - a.grad).ravel()
    size = float(s @ s)
    return float(s @ y) / size if size > 1e-280 else math.nan


class Ritz(NamedTuple):
    """The ends of a Hessian on the span of differences; residual : of the least, within which an eigenvalue lies."""

    least: float
    residual: float
    largest: float


def _ritz(ways: list[tuple[Array, Array]]) -> Ritz | None:
    """Ritz values on the span of differences of points and of gradients; None where they do not tell of one Hessian."""
    if not ways:
        return None
    S, Y = (np.stack([way[j].ravel() for way in ways], axis=1) for j in (0, 1))
    sizes = np.linalg.norm(S, axis=0)
    if not np.all(sizes > 1e-280) or not np.all(np.isfinite(Y)):
        return None
    left, values, right = np.linalg.svd(S / sizes, full_matrices=False)
    keep = values > APART * values[0]
    images = (Y / sizes) @ (right[keep].T / values[keep])  # of an orthonormal basis
    B = left[:, keep].T @ images
    ritz, vectors = np.linalg.eigh(0.5 * (B + B.T))
    if float(np.max(np.abs(B - B.T))) > ONE_HESSIAN * ritz[0]:
        return None
    residual = float(np.linalg.norm(images @ vectors[:, 0] - ritz[0] * (left[:, keep] @ vectors[:, 0])))
    return Ritz(float(ritz[0]), residual, float(ritz[-1]))


def _limit(method: Method, curvature: float, friction: float) -> float:
    scales = "friction" not in method.parameters and not method.parameters.get("weight_decay") and "second_order" not in method.flags
    return _unit_limit(method) / curvature if scales else largest_step(method, curvature, friction)


@functools.lru_cache(maxsize=256)
def _unit_limit(method: Method) -> float:
    return largest_step(method, 1.0)


@functools.lru_cache(maxsize=256)
def _rung_pair(method: Method, rung: int) -> tuple[float, float]:
    """The pair for a curvature of 1 and one of the conditions that pairs are computed for."""
    best = tuned(method, RUNG**rung)
    return best.lr, best.momentum


def _unit_pair(method: Method, kappa: float) -> tuple[float, float]:
    """The pair for a curvature of 1, between those of two rungs: linear in log kappa are lr and the logarithm of 1 - momentum."""
    place = math.log(max(kappa, 1.0)) / math.log(RUNG)
    rung = math.floor(place)
    (lr, m), (next_lr, next_m) = _rung_pair(method, rung), _rung_pair(method, rung + 1)
    share = place - rung
    return lr + share * (next_lr - lr), 1.0 - (1.0 - m) ** (1.0 - share) * (1.0 - next_m) ** share


def _pair(method: Method, kappa: float, L: float) -> tuple[float, float, Method]:
    """(lr, momentum or friction, the method with it)."""
    plain = type(method)(**{k: v for k, v in method.given.items() if k not in ("momentum", "friction", "lr")})
    lr, m = _unit_pair(plain, kappa)
    if "momentum" in method.parameters:
        return lr / L, m, as_method(method, {"momentum": m})
    lr /= math.sqrt(L)
    return lr, (1.0 - m) / lr, as_method(method, {"friction": (1.0 - m) / lr})
