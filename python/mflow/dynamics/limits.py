"""How long a step may be: the stability limit of a method, for the frequencies of a structure or of a force at its start."""

from __future__ import annotations

import contextlib
import functools
import math
from typing import Any

import numpy as np
from mflow_core.arithmetic.starts import largest
from mflow_core.dynamics import matrices
from mflow_core.dynamics.constrained import Constrained
from mflow_core.dynamics.structure import Structure
from mflow_core.problems.problem import Problem
from mflow_core.stepping import stepper

from mflow.base.checks import Array
from mflow.base.methods import Method, choices_of
from mflow.base.telling import tell
from mflow.dynamics.contact import Switches
from mflow.integrate.curvature import LEAST_STEPS
from mflow.spectra.definite import falls_below, full
from mflow.stability import modes, structural
from mflow.stability.criterion import criterion_of, order_on_oscillators

__all__ = ["StepLimit", "gains_energy"]

NOTICED = 1e-3  # of the motion: what steps may add to it unsaid, where a method of high order has no stable step
LOST = 2  # orders that damping takes, of which a warning tells
SHARE, SHARE_OF_CONTACTS = 0.9, 0.4  # of the limit, for dt="auto": steps near it hit contacts too seldom to see when they open
EDGE = 0.8  # of the limit, from which on the force is looked at along a run
CHOSEN, FIRST = 3, 64  # steps that are asked for at most; those that are taken once more where few states were kept
BETWEEN = (0.5, 0.0, 0.25, 0.75)  # parts of a step, where the force is asked for its modes
ELSEWHERE = "steps go where the motion does not, and what is returned from there on may be far from it"
OUTGROWN = 0.3  # of the rate in a step: slower growth is followed by implicit steps
MATCH = 1e-6  # of a step: by how much times of states that follow each other may differ from it
TENFOLD = 10.0  # a motion that has grown by this may have done so by what steps do to it
FOLLOWED, PARTS = 4, (8, 16)  # steps that are compared with shorter ones, and parts of each
APART = 0.2  # of the way of these steps: how far from the solution steps past the limit lead
SETTLED = 0.1  # of that, by which the results of shorter steps may differ
SMALL, ROUNDING = 500, 1e-12  # degrees of freedom whose stiffness is looked at; of its entries
MANY_MASSES = 64  # beyond, a bound of the frequencies is tried before they are computed


def keeping_order(method: Method, order: int) -> Method | None:
    """The method with the first of its treatments of damping that is of this order where forces depend on velocities, if one is."""
    for treatment in choices_of(method, "damping"):
        other = type(method)(**{**method.given, "damping": treatment})
        if order_on_oscillators(other, True) >= order:
            return other
    return None


def gains_energy(method: Method) -> str:
    """The words about parameters with which any step adds energy, that a structure's damping may hide; or ""."""
    if method.name != "newmark" or method.all_numbers["gamma"] >= 0.5:
        return ""
    from mflow.base.foreign import wrong_order  # few calls need it

    return wrong_order(method.all_numbers)


class StepLimit:
    """What the modes of a problem allow a method.

    matrices : (n, M, C, K) of a structure, or None for a force or a damping function.
    switches : contacts and friction, or None; limits are those with all contacts closed and nothing held, and the matrices hold it so.
    The accelerations of a force come from the run that `watch` names.
    """

    def __init__(
        self, problem: Problem, method: Method, start: Array, v0: Array, matrices: tuple[Any, ...] | None, velocity_free: bool,
        switches: Switches | None = None,
    ) -> None:  # fmt: skip
        self.problem, self.method, self.start, self.v0 = problem, method, start, v0
        self.matrices, self.velocity_free, self.switches = matrices, velocity_free, switches

    def watch(self, run: stepper.Run, t0: float) -> None:
        """From now on there is a run, from t0."""
        self.run, self.t0 = run, t0

    @functools.cached_property
    def known_modes(self) -> modes.Modes | None:
        """Of the structure; of a force, from differences at the start, about `modes.CALLS` calls. None: not known."""
        if self.matrices is not None:
            return structural.structure_modes(*self.matrices)
        x, v = self.start.ravel(), self.v0.ravel()
        try:
            with np.errstate(all="ignore"), contextlib.nullcontext() if self.switches is None else self.switches.all_closed():
                return modes.force_modes(lambda x, v: self.run.acceleration(self.t0, x, v).ravel(), x, v, self.velocity_free)
        except Exception:
            return None  # the force has failed there, or is not finite: this is for a message alone

    def damped(self) -> bool:
        """Whether forces depend on velocities: by the matrices; a force is asked for with two velocities where the run stands."""
        if self.matrices is not None:
            damping = self.matrices[2]
            return damping is not None and not matrices.is_zero(damping)
        if isinstance(self.problem, Structure):
            return True  # by a function
        if self.velocity_free:
            return False
        x, v = self.run.y.ravel(), self.run.vector(1).ravel()
        other = v + 1e-3 * max(1.0, float(np.max(np.abs(v), initial=0.0)))
        try:
            return bool(np.any(self.run.acceleration(self.run.t, x, v) != self.run.acceleration(self.run.t, x, other)))
        except Exception:
            return False  # the force has failed there: this is for a message alone

    def order_note(self) -> str:
        """The words about a run whose order is below the method's by its parameters, or by damping; or "".

        A RuntimeWarning too where damping takes most of a high order: its users pay for what they do not get.
        """
        method = self.method
        order, usual = order_on_oscillators(method, False), int(method.record.order)
        where = ""
        if order_on_oscillators(method, True) < order and self.damped():
            order, where = order_on_oscillators(method, True), " where forces depend on velocities, as they do here"
        if order >= usual:
            return ""
        name = repr(method) if method.given else method.name
        text = f"{name} is of {({1: 'first', 2: 'second'}).get(order, order)} order{where}"
        if not where:
            return text
        better = keeping_order(method, order_on_oscillators(method, False))
        text += ": take newmark, which is of second order there" if better is None else f": give method=mflow.{better!r}, or take newmark"
        if usual - order >= LOST:
            tell(f"solve_dynamics: {text}")
        return text

    def refuse_blind_estimate(self) -> None:
        """ValueError where the estimate of the error is one for forces that do not depend on velocities, and these do."""
        method = self.method
        if order_on_oscillators(method, True) < order_on_oscillators(method, False) and self.damped():
            raise ValueError(
                f"method: {method.name} is made for forces that do not depend on velocities, as they do here: its estimate of the error "
                "does not see what that costs; use newmark, or give dt"
            )

    def warning(self, step: float, steps: int) -> str:
        """The words about steps past the limit, or about parameters with which steps within it add energy; or ""."""
        return "; ".join(filter(None, (self._past(step, steps), gains_energy(self.method))))

    def _past(self, step: float, steps: int) -> str:
        """The words about steps past the limit, or ""."""
        grows = self.matrices is not None and structural.may_grow(*self.matrices)
        if criterion_of(self.method).always and not grows:
            return self._outgrown(step)
        large = self.start.size > MANY_MASSES and not grows
        bound = structural.outer_bound(*self.matrices) if large and self.matrices is not None else None
        if bound is not None and bound.stable(self.method, abs(step)):
            return ""
        known = self.known_modes
        if known is None or (known.stable(self.method, abs(step)) and not (grows and 0.0 < known.limit(self.method) < abs(step))):
            return ""  # beyond the limit of what grows a factor may be of its size again, with the other sign
        limit = known.limit(self.method)
        seldom = self.method.record.stages > 1 or isinstance(known, structural.Coupled)
        if limit == 0.0 and seldom and steps * known.gain(self.method, abs(step)) < NOTICED:
            return ""
        return self._exceeded(step, limit, known) if known.kind(self.method) == "limit" or abs(step) > limit else ""

    def _outgrown(self, step: float) -> str:
        """The words about implicit steps past the limit of what grows by itself in a structure of many degrees of freedom, or ""."""
        n, M, C, K = self.matrices or (0, None, None, None)
        if n <= structural.SMALL or K is None or K.ndim == 1 or not matrices.is_symmetric(K):
            return ""
        M = np.ones(n) if M is None else M
        masses = np.asarray(M if M.ndim == 1 else M.diagonal())
        rounding = structural.SHIFT * float(np.max(np.abs(K.diagonal()))) / float(np.max(masses))
        level = max((OUTGROWN / abs(step)) * (OUTGROWN / abs(step)), rounding)
        u = falls_below(M, K, -level) if 0.0 < level < math.inf else None
        if u is None:
            return ""
        m, c, k = (0.0 if A is None else float(u @ (A * u if A.ndim == 1 else A @ u)) for A in (M, C, K))
        known = modes.GrowingModes(modes.Modes(np.zeros(0), np.zeros(0)), np.array([k / m]), np.array([c / m]))
        limit = known.limit(self.method)
        return self._exceeded(step, limit, known) if abs(step) > limit else ""

    @property
    def looks_along(self) -> bool:
        """Whether `along` has something to look at: a force alone."""
        return self.matrices is None and self.switches is None and not isinstance(self.problem, (Structure, Constrained))

    def along(self, step: float, t: Array, x: Array, v: Array, a: Array) -> str:
        """The words about steps of a force that were past the limit on the way, where nothing overflows, or "". x, v, a : (m, n), at the
        times t that were kept. Some steps over which the force is steepest, by what was kept, are asked for their frequency, and whether
        steps from there lead elsewhere than shorter ones. Where few states were kept of a motion that has grown, the first steps are taken
        once more."""
        method = self.method
        if criterion_of(method).always or not np.all(np.isfinite([x, a])):
            return ""
        x, v, a = (np.ascontiguousarray(part) for part in (x, v, a))
        grown = largest(x) > TENFOLD * largest(self.start) if np.any(self.start) else largest(v) > TENFOLD * largest(self.v0)
        if not np.count_nonzero(np.abs(np.diff(t) - step) < MATCH * abs(step)) > 0.5 * len(t):
            if not grown or (rows := self._first_rows(step)) is None:
                return ""
            t, x, v, a = rows
        try:
            with np.errstate(all="ignore"):
                if not np.array_equal(self.run.acceleration(t[-1], x[-1], v[-1]).ravel(), a[-1]):
                    t, x, v, a = t[:-1], x[:-1], v[:-1], a[1:]  # a method that leaves the acceleration of the step's start behind
                return self._past_in(step, t, x, v, a, grown)
        except Exception:
            return ""  # the force has failed there: this is for a message alone

    def _first_rows(self, step: float) -> tuple[Array, Array, Array, Array] | None:
        """t, x, v, a of the first steps from the start; None where the force fails there."""
        try:
            with np.errstate(all="ignore"):
                run = stepper.Run(self.method.record, self.problem, self.start, self.t0, step, self.method.numbers, v0=self.v0)
                if run.prepare() != 0:
                    return None
                rows = []
                for _ in range(FIRST):
                    rows.append((run.t, run.y.ravel(), run.vector(1).ravel(), run.vector(2).ravel()))
                    if run.fixed(1) != 0:
                        break
        except Exception:
            return None  # this is for a message alone
        t, x, v, a = (np.array([row[j] for row in rows]) for j in range(4))
        return t, x, v, a

    def _past_in(self, step: float, t: Array, x: Array, v: Array, a: Array, grown: bool) -> str:
        """The words of `along`, of these rows. grown : the force is asked for more, as steps may lead over where it is steep."""
        method, way = self.method, np.diff(x, axis=0)
        moved = np.einsum("ij,ij->i", way, way)
        change = np.diff(a, axis=0)
        pulls = (moved > 0.0) & (np.diff(t) != 0.0) & (np.einsum("ij,ij->i", way, change) < 0.0)
        steep = np.where(pulls, np.sqrt(np.einsum("ij,ij->i", change, change) / moved), 0.0)
        for k in [*np.argsort(-steep, kind="stable")[:CHOSEN], *([0] if grown else [])]:
            if moved[k] == 0.0 or (abs(step) <= EDGE * _limit_of(float(steep[k]), method) and not grown):
                continue
            known = self._past_between(step, t[k], x[k : k + 2], v[k], BETWEEN if grown else BETWEEN[:2])
            if known is not None and self._leads_elsewhere(step, t[k], x[k], v[k]):
                text = self._exceeded(step, known.limit(method), known, f"near t = {t[k]:g}")
                return f"{text}: {ELSEWHERE}: lower dt"
        if not any(np.any(began) and largest(part) > TENFOLD * largest(began) for began, part in ((self.start, x), (self.v0, v))):
            return ""
        for k in np.argsort(-np.einsum("ij,ij->i", change, change), kind="stable")[:CHOSEN]:
            before = max(k - 1, 0)
            if self._leads_elsewhere(step, t[before], x[before], v[before], settled=math.inf):
                text = f"dt = {step:g} is too long near t = {t[k]:g}, where the force changes most within a step"
                return f"{text}: {ELSEWHERE}: lower dt, or omit it"
        return ""

    def _past_between(self, step: float, t: float, x: Array, v: Array, parts: tuple[float, ...]) -> modes.Modes | None:
        """Modes between two places that steps are past the limit for: the one along the line between them, or those at parts of it. None
        where none is known."""
        way, method = x[1] - x[0], self.method
        change = (self.run.acceleration(t, x[1], v) - self.run.acceleration(t, x[0], v)).ravel()
        along = modes.Modes(np.array([-(change @ way) / (way @ way)]), np.zeros(1), exact=False)
        for known in (along, *(self._modes_at(t, x[0] + part * way, v) for part in parts)):
            if known is not None and not known.stable(method, abs(step)) and 0.0 < known.limit(method) < abs(step):
                return known
        return None

    def _leads_elsewhere(self, step: float, t: float, x: Array, v: Array, settled: float = SETTLED) -> bool:
        """Whether some steps lead elsewhere than the classical Runge-Kutta method in small parts of them, where that is known. settled: inf
        where it does not have to be known, as parts that are too long for that show that whole steps are."""
        shape = self.start.shape
        run = stepper.Run(self.method.record, self.problem, x.reshape(shape), t, step, self.method.numbers, v0=v.reshape(shape))
        steps = []
        for _ in range(FOLLOWED):
            if run.fixed(1) != 0:
                return False
            steps.append(run.y.ravel())
        coarse, fine = (self._by_short_steps(t, x, v, step, parts) for parts in PARTS)
        way = max(float(np.max(np.abs(places - x))) for places in (steps, fine))
        return bool(np.max(np.abs(fine - coarse)) <= settled * APART * way and np.max(np.abs(np.array(steps) - fine)) > APART * way)

    def _by_short_steps(self, t: float, x: Array, v: Array, step: float, parts: int) -> Array:
        """Where the motion leads in some steps, in so many parts of each."""
        y, d, n, places = np.concatenate([x, v]), step / parts, x.size, []

        def slope(t: float, y: Array) -> Array:
            return np.concatenate([y[n:], self.run.acceleration(t, y[:n].copy(), y[n:].copy()).ravel()])

        for k in range(1, FOLLOWED * parts + 1):
            at = t + (k - 1) * d
            k1 = slope(at, y)
            k2 = slope(at + 0.5 * d, y + 0.5 * d * k1)
            k3 = slope(at + 0.5 * d, y + 0.5 * d * k2)
            y = y + d / 6.0 * (k1 + 2.0 * (k2 + k3) + slope(at + d, y + d * k3))
            if k % parts == 0:
                places.append(y[:n])
        return np.array(places)

    def explain(self, step: float) -> str:
        """Why fixed steps may have led to numbers that are not finite."""
        known = self.known_modes
        if known is None:
            return "lower the step, or look for the cause in the force"
        limit = known.limit(self.method)
        if abs(step) > limit:
            return self._exceeded(step, limit, known)
        inside = f"dt = {abs(step):g} is inside the stability limit of {self.method.name}"
        if isinstance(self.problem, Structure):
            return f"{inside}: {self._softened() or 'the load may have left its domain, or the motion grows by itself'}"
        last = self._last_modes()
        if last is not None and abs(step) > last.limit(self.method):
            return f"{self._exceeded(step, last.limit(self.method), last, 'where it broke off')}, not for the one at the start: lower dt"
        return f"{inside} at the start, and later it may not be: lower dt, or the force has left its domain, or the motion grows by itself"

    def _softened(self) -> str:
        """The words about a stiffness that pushes away from rest, if it does; or ""."""
        K = None if self.matrices is None else self.matrices[3]
        if K is None or self.start.size > SMALL:
            return ""
        dense = full(K)
        least = float(np.linalg.eigvalsh(0.5 * (dense + dense.T))[0])
        if not least < -ROUNDING * largest(dense):
            return ""
        grows = "it pushes away from rest, as past buckling, and the motion grows by itself"
        return f"the stiffness has the eigenvalue {least:.3g}, below 0: {grows}"

    def _last_modes(self) -> modes.Modes | None:
        """The modes of a force where the run stands."""
        return self._modes_at(self.run.t, self.run.y.ravel().copy(), self.run.vector(1).ravel().copy())

    def _modes_at(self, t: float, x: Array, v: Array) -> modes.Modes | None:
        """Of a force at one state, from about `modes.CALLS` calls; None: not known."""
        try:
            with np.errstate(all="ignore"):
                return modes.force_modes(lambda x, v: self.run.acceleration(t, x, v).ravel(), x, v, self.velocity_free)
        except Exception:
            return None  # as in `known_modes`

    def _exceeded(self, step: float, limit: float, known: modes.Modes, where: str = "at the start") -> str:
        closed = (
            " with all contacts closed" if known is self.__dict__.get("known_modes") and self.switches and self.switches.springs else ""
        )
        whose = f"for {known.rate(self.method)}{closed}" + ("" if self.matrices else f" {where}")
        name, kind = self.method.name, known.kind(self.method)
        if kind == "bound":
            steps = f"steps up to {limit:.4g} are known to be stable" if limit > 0.0 else "no step is known to be stable"
            return f"dt = {abs(step):g} may exceed the stability limit of {name}: {steps} {whose}, a bound of that limit"
        if limit == 0.0:
            turns = "; take newmark, which adds no energy there" if isinstance(known, structural.Coupled) and name != "newmark" else ""
            return f"dt = {abs(step):g} exceeds the stability limit of {name}, which has no stable step {whose}{turns}"
        about = "about " if kind == "estimate" else ""
        damped = ""
        if name == "velocity_verlet" and known.omega > 0.0 and limit < 1.8 / known.omega:
            damped = (
                f" with its damping, without which it would be {2.0 / known.omega:.4g}: central_difference and staggered have that limit "
                "beside a diagonal damping too"
            )
        return f"dt = {abs(step):g} exceeds the stability limit {about}{limit:.4g} of {name} {whose}{damped}"

    def auto_dt(self, t0: float, t1: float) -> float:
        """dt="auto": nine tenths (two fifths with springs of contacts) of the structure's limit, or of a bound of it; ten steps at least.

        Raises ValueError where there is no limit.
        """
        known = self._first_modes(t0)
        limit = known.limit(self.method)
        if limit == 0.0 and known.kind(self.method) == "bound":
            raise ValueError(f'dt = "auto": no step of {self.method.name} is known to be stable for this structure: give dt')
        if not limit > 0.0:
            raise ValueError(f'dt = "auto": {self.method.name} has no stable step for this structure: give dt, or another method')
        if limit == math.inf and criterion_of(self.method).always:
            other = " or rtol" if "embedded" in self.method.flags else ""
            raise ValueError(
                f'dt = "auto" follows the stability limit, and {self.method.name} has none: give dt, a twentieth of the shortest period '
                f"that matters, say{other}"
            )
        share = SHARE_OF_CONTACTS if self.switches is not None and self.switches.springs else SHARE
        return min(share * limit, abs(t1 - t0) / LEAST_STEPS) or 1.0

    def _first_modes(self, t0: float) -> modes.Modes:
        """Before there is a run: of the matrices, or with a damping function from accelerations, which are linear in x and v."""
        if self.matrices is not None:
            return structural.structure_modes(*self.matrices)
        if not isinstance(self.problem, Structure):
            raise ValueError(
                'dt = "auto": the limit of a structure is known, that of a force changes with its state: give dt, below what '
                f'mflow.max_stable_dt("{self.method.name}", mass=..., force=..., x0=...) says of the states that are stiffest'
            )
        zero = np.zeros(self.start.size)
        run = stepper.Run(self.method.record, self.problem, self.start, t0, 1.0, self.method.numbers, v0=self.v0)
        return modes.force_modes(lambda x, v: run.acceleration(t0, x, v).ravel(), zero, zero, False, modes.MANY_CALLS)


def _limit_of(k: float, method: Method) -> float:
    """The limit for an undamped mode; inf for none."""
    return modes.Modes(np.array([k]), np.zeros(1)).limit(method)
