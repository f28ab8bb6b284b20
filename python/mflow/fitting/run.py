"""A fit from its start to its end: the core's loop, what it asks for on the way, and the ending in words."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from mflow_core.arithmetic.starts import largest
from mflow_core.fitting.fit import ASKS, ENDINGS, MOST_LOST
from mflow_core.fitting.prepared import THRESHOLDS
from mflow_core.fitting.robust import CompiledLoss

from mflow.base.checks import Array
from mflow.base.result import Result
from mflow.base.telling import counted
from mflow.derivatives.differences import ASIDES, EACH, along, tried
from mflow.derivatives.far import endless_along
from mflow.fitting.residuals import NOISY, Residuals
from mflow.fitting.robust import Robust
from mflow.spectra.ranks import blank_directions, least_share, rank_of, still_directions

__all__ = ["BLURRED", "STATUS", "Run", "counted_ftol", "intermediate"]

GONE = 1e-6  # of the residuals: what they change by along a column that has vanished
CURVED = 1e-4  # of each parameter: the differences of the gradient that tell a minimum,
MOST_CURVED = 50  # of so many at most
LEAST_FTOL = 10.0 * 2.0**-52
HIDDEN = 1e-12  # of the cost: what rounding hides of it
IN_DOUBT = ("step_too_small", "ftol", "xtol", "both")  # endings that differences of noise may bring about
SLOPED = THRESHOLDS["sloped"]  # a cosine of the residuals with a column above it is no small gradient
FALLEN = 1e-3  # of the cost: what a run from a doubtful end falls by where it goes on
BLURRED = 1e-6  # of the largest: a singular value below it may be the rounding of differences,
SURELY = 10.0  # and is, where so many times that could make it
JUMPS = (1e-7, -1e-7, 3e-8, -3e-8, 1e-8, -1e-8)  # of a parameter: steps over which residuals move by their rounding alone
BESIDE = tuple(10.0**-k for k in range(1, 11))  # of a parameter: where a lower cost is looked for beside such an end
LONG = 50  # steps of a run down a cost without a minimum
FEW = 4  # directions, and parameters, that are looked at together

STATUS = {
    "gtol": 1, "ftol": 2, "xtol": 3, "both": 4, "rounding": 1, "differences": 1, "vanished": 1, "minimum": 1, "attained": 1,
    "max_nfev": 0, "callback": -2,
}  # fmt: skip


def counted_ftol(ftol: float) -> float:
    """ftol, or 0, no test, where it is below what rounding hides of a cost: such a test would be passed by luck, and leave half the digits
    of x that the gradient tells."""
    return ftol if ftol > LEAST_FTOL else 0.0


class Zeros(NamedTuple):
    """Parameters whose columns of the Jacobian are 0, beside others that are not: all of them, those that no residual is seen to depend
    on, those along which the cost falls on both sides, those that change residuals far from x alone."""

    columns: list[int]
    dead: list[int]
    peaks: list[int]
    far: list[int]


class Run:
    """Where a fit stands. x : before the first evaluation, afterwards that of the core."""

    def __init__(
        self, residuals: Residuals, x: Array, how: dict[str, Any], D: Array | None, box: tuple[Array, Array] | None, fixed: Any,
        loss: Robust | CompiledLoss | None, tell: Callable[[Any], bool] | None,
    ) -> None:  # fmt: skip
        self.problem, self.x, self.how, self.loss, self.tell = residuals, x, how, loss, tell
        self.D, self.box, self.fixed = D, box, fixed

    core: Any = None
    origin = ""  # where it began, in words, if that is not as asked for
    bad, spent, after, aside = "", 0, 0, 0  # what is not finite at the start; evaluations before this run, and after it; calls beside it
    left: frozenset[int] = frozenset()  # parameters that were taken off a bound at which the cost is largest
    any_step = False  # whether xtol is left out
    short = False  # whether ftol or xtol has ended a run where the gradient is not small, and the cost shows no minimum
    doubted = math.inf  # the cost at the last end by ftol or xtol whose gradient was not small

    def set_up(self) -> None:
        """Evaluate the residuals at x: the core then knows how many there are."""
        self.core = core = self.problem.start(self.x, self.loss)
        self._test(self.how["xtol"])
        if self.D is not None:
            core.scale(self.D)
        if self.box is not None:
            core.box(*self.box)
        if self.fixed is not None:
            core.hold(self.fixed)

    def _test(self, xtol: float) -> None:
        """The tests of the end, with this xtol."""
        how = self.how
        tests = (counted_ftol(how["ftol"]), xtol, how["gtol"], max(1, how["limit"] - self.spent), how.get("calls", 0))
        self.core.settings(*tests, how["dt"], how["acceleration"], self.tell is not None)

    def go(self) -> str:
        """The name of the test that ended it."""
        if self.problem.calls is None and not isinstance(self.loss, Robust):
            return self._go()
        with np.errstate(all="ignore"):
            return self._go()

    def _go(self) -> str:
        self.set_up()
        code = self.problem.begin()
        if code:
            self.bad = self._what_is_not_finite()
        while True:
            while not code or code in ASKS:
                code = self.core.advance()
                ending = self._asked(ASKS.get(code, "")) if code in ASKS else ""
                if ending:
                    return ending
                if self._goes_on(str(ENDINGS.get(code, ""))):
                    code = 0
            ending = self._looked_at(str(ENDINGS[code]))
            if self.box is None or STATUS.get(ending, -1) <= 0 or not self._leaves_a_peak():
                return ending
            code = 0

    def _looked_at(self, ending: str) -> str:
        """The ending after a look at the Jacobian where the run stands, and at columns that vanish there."""
        if self.nit and ending != "non_finite":
            self.problem.check_again()
        if ending == "step_too_small":
            ending = "minimum" if self.vanishes() else "attained" if self.attained() else "rounding" if self.hidden() else ending
            self.problem.look_closer(self.core.x)
        elif ending in IN_DOUBT and self.doubted < math.inf and self._doubtful and (not self.core.stale or self.problem.renew() == 0):
            self.short = self._doubtful and not self.hidden() and self._newton()[0] > max(HIDDEN, self.how["ftol"]) * self.core.cost
        return ending

    def _leaves_a_peak(self) -> bool:
        """Where steps were cut at a bound at which the cost is largest, and its slope 0: on to the lowest point seen inside."""
        lower, upper, _ = self.core.region
        x, cost = np.array(self.core.x), float(self.core.cost)
        for j in self.zeros.peaks:
            cut = x[j] in (lower[j], upper[j]) and self.x[j] != x[j]
            inside = [x + h * self.problem.unit(x) * (np.arange(x.size) == j) for h in (*ASIDES, *(-h for h in ASIDES))] if cut else []
            seen = [(self._cost_of(self.problem.at(at)), at) for at in inside if lower[j] <= at[j] <= upper[j]]
            least, best = min(seen, key=lambda one: one[0], default=(cost, x))
            if j not in self.left and least < cost:
                self.left |= {j}
                self.__dict__.pop("zeros", None)
                if self.core.move(best) == 0:
                    return True
                self.core.move(x)  # back, as the Jacobian is not finite there
                return False
        return False

    def vanishes(self) -> bool:
        """Whether x is a minimum at which columns of J vanish, so that no cosine with them tells it."""
        core, x = self.core, self.core.x
        norms, g, free = core.norms, core.J.T @ core.r, core.free
        noise, cost = core.measures[2], core.cost
        some = np.flatnonzero(free & (np.abs(g) > noise * norms))
        small = (norms * self.problem.unit(x))[some] <= GONE * math.sqrt(2.0 * cost)
        return self.loss is None and bool(small.all()) and self.problem.rises(x, cost, some)

    def attained(self) -> bool:
        """Whether values of the cost can tell no lower point: Newton's step with its Hessian is short and lowers the cost by less than
        rounding hides.

        Where residuals are large, Gauss and Newton's steps may not converge at all, and the cost tells x to the root of its rounding only.
        """
        fall, longest = self._newton()
        return fall <= HIDDEN * self.core.cost and longest <= 1.0

    def _newton(self) -> tuple[float, float]:
        """(by how much Newton's step from x lowers the cost, its length in those of the differences of the gradient that make the Hessian):
        inf where that is not positive definite, NaN where it is not known, or not beyond its noise."""
        core, x = self.core, np.array(self.core.x)
        some = np.flatnonzero(core.free & (core.norms > 0.0))  # `idle` tells of the others
        lower, upper, _ = core.region
        h = np.where(core.free, CURVED * self.problem.unit(x), 0.0)
        if not some.size or some.size > MOST_CURVED or np.any((x - h < lower) | (x + h > upper)):
            return math.nan, math.nan
        moves = np.diag(h)[some]
        H = np.array([(self.problem.gradient(x + move, self.loss) - self.problem.gradient(x - move, self.loss))[some] for move in moves])
        H *= 0.5 * h[some]
        g = (core.J.T @ core.r)[some] * h[some]
        if not (np.isfinite(H).all() and np.isfinite(g).all()):
            return math.nan, math.nan
        least, noise = float(np.linalg.eigvalsh(0.5 * (H + H.T))[0]), float(np.linalg.norm(H - H.T))
        if not least > 2.0 * noise:
            return (math.inf, math.inf) if least < -2.0 * noise else (math.nan, math.nan)
        step = np.linalg.solve(0.5 * (H + H.T), g)
        return 0.5 * float(g @ step), float(np.max(np.abs(step)))

    def hidden(self) -> bool:
        """Whether residuals jump beside x, over steps so short that slopes do not count, by as much as is left of the gradient, as those
        do that carry fewer digits than float64, or whose terms cancel."""
        core, problem, x = self.core, self.problem, np.array(self.core.x)
        here, J = core.f, core.J
        if self.loss is not None or self.problem.wrong:
            return False
        lower, upper, _ = core.region
        move = problem.unit(x) * along(x.size) * core.free
        ends = [h * move for h in JUMPS if np.all((x + h * move >= lower) & (x + h * move <= upper))]
        off = [problem.at(x + end) - here - J @ end for end in ends]
        jumps = max((float(np.linalg.norm(one)) for one in off if np.isfinite(one).all()), default=0.0)
        return bool(core.measures[0] <= jumps)

    def _asked(self, word: str) -> str:
        """Do what the core asks for; an ending, where there is one."""
        if word == "zeros":
            self.problem.zeros(self.core.x)
        elif word == "blurred" and self.problem.refine():
            self.problem.renew()
        if word in ("stepped", "blurred") and self.tell is not None and self.tell(self):
            return "callback"
        return ""

    def _longer(self, ending: str) -> bool:
        """Where no step lowers the cost, or ftol or xtol ends a run whose gradient is not small: once more, by longer differences, as
        noise may hide in shorter ones."""
        if not self.problem.longer(self.core.x, 0.0 if ending == "step_too_small" else NOISY) or self.problem.renew():
            return False
        self.core.again()
        return True

    def _goes_on(self, ending: str) -> bool:
        """Whether an end is none, as differences, or tests of lengths, have brought it about."""
        asks = ending == "step_too_small" or (ending in IN_DOUBT and self.core.measures[1] > SLOPED)
        doubted = asks and (self._longer(ending) or self._anew(ending))
        return doubted or (STATUS.get(ending, -1) > 0 and self._over_shorter())

    def _over_shorter(self) -> bool:
        """Where differences over shorter lengths show another Jacobian than the one that ended the run: once more, by these."""
        if not self.problem.returns() and (not self.problem.shortens(self.x) or self.problem.renew()):
            return False
        self.core.again()
        return True

    @property
    def _doubtful(self) -> bool:
        """Whether ftol or xtol ended the run after a step that its radius cut, beside a gradient that is not small: the radius may be
        short in units of columns that told nothing, as those of a parameter at 0 on which the residuals depend by its square."""
        return self._sloped and math.isfinite(self.core.dt)

    @property
    def _sloped(self) -> bool:
        """Whether the gradient is not small."""
        _, cosine, _, rounding, _, size = self.core.measures
        return bool(cosine > max(SLOPED, 10.0 * math.sqrt(self.how["ftol"]), 10.0 * self.how["xtol"]) and size > rounding)

    def _is_short_beside_an_offset(self, ending: str) -> bool:
        """Whether xtol ended the run beside a gradient that is not small: a step is short against |x|, of which an offset may be nearly
        all. The run goes on without xtol then."""
        if ending not in ("xtol", "both") or self.any_step or not self._sloped:
            return False
        self.any_step = True
        self._test(0.0)
        if self.problem.renew() or not self._sloped:
            self._test(self.how["xtol"])
            return False
        return True

    def _anew(self, ending: str) -> bool:
        """Such an end once more with a Jacobian of its own point, by central differences, whose columns alone are the units of the
        parameters; where that has not lowered the cost, from the lowest point seen beside it."""
        cost = float(self.core.cost)
        if self._is_short_beside_an_offset(ending):
            self.core.again()
            return True
        if ending == "step_too_small" or not self._doubtful:
            return False
        if not cost < (1.0 - FALLEN) * self.doubted:
            return self._moves_to_lower(cost)
        self.doubted = cost
        self.problem.refine()
        if self.problem.renew() or not self._doubtful:
            return False
        self.core.again()
        return True

    def _moves_to_lower(self, cost: float) -> bool:
        """Whether the cost is clearly lower at a point beside x, in one parameter, from which the run then goes on."""
        x, best = np.array(self.core.x), None
        unit, free = self.problem.unit(x), self.core.free
        lower, upper, _ = self.core.region
        for j in np.flatnonzero(free)[:EACH]:
            for h in (sign * unit[j] * share for share in BESIDE for sign in (1.0, -1.0)):
                at = x + h * (np.arange(x.size) == j)
                if not lower[j] <= at[j] <= upper[j]:
                    continue
                value = self._cost_of(self.problem.at(at))
                if value < (1.0 - FALLEN) * cost:
                    cost, best = value, at
        if best is None:
            return False
        self.doubted = math.inf
        if self.core.move(best) == 0:
            return True
        self.core.move(x)  # back, as the Jacobian is not finite there
        return False

    def _what_is_not_finite(self) -> str:
        """That, with the fix."""
        f, J = self.core.f, self.core.J
        lost = np.flatnonzero(~np.isfinite(f))
        if self.loss is not None and not lost.size and math.isfinite(square := float(f @ f)) and square > 0.0:
            value = self._cost_of(f)
            if not value > 0.0 or not math.isfinite(value):
                return f"the loss of residuals up to {np.max(np.abs(f)):.3g} at x0 is {value:.3g}: look at loss and f_scale"
        if not lost.size and math.isfinite(self.core.cost) and np.isfinite(J).all():
            return f"the squares of the residuals at x0 underflow, as the largest is {np.max(np.abs(f)):.3g}: give them in other units"
        if lost.size:
            what = f"residual {lost[0]} at x0 is {f[lost[0]]}"
        elif not math.isfinite(self.core.cost):
            what = "the squares of the residuals at x0 overflow"
        else:
            row, column = (int(k) for k in np.argwhere(~np.isfinite(J))[0])
            what = f"entry ({row}, {column}) of the Jacobian at x0 is {J[row, column]}"
        return f"{what}: start elsewhere, or look at what the function cannot take"

    # ---- the end --------------------------------------------------------------------------------------------------------------------

    @property
    def nit(self) -> int:
        """Steps that were taken."""
        return int(self.core.counts[0]) if self.core is not None else 0

    @property
    def nfev(self) -> int:
        """Evaluations of the residuals, those for differences aside."""
        return int(self.core.counts[1]) + self.spent + self.after if self.core is not None else 1

    def verdict(self, ending: str) -> tuple[int, str, str]:
        """(status, reason, message)."""
        _, cosine, _, rounding, _, size = self.core.measures
        if size <= rounding:
            small = "0" if size == 0.0 else f"as small as rounding lets them be, {size:.3g} in all"
            angle = f"the residuals are {small}"
        elif self.core.stale:
            angle = "the Jacobian is that before this step"
        else:
            angle = f"the cosine of the residuals with the columns of the Jacobian is {cosine:.3g}"
        text = self._told(ending, angle, size <= rounding)
        if self.fixed is not None and bool(self.fixed.all()):
            text = "all parameters are held: these are the residuals where they are"
        status, reason = self.outcome(ending)
        text += self.problem.note() + self.origin
        if status == -1 and STATUS.get(ending, 0) > 0:
            why = self.refused[1] or "steps have become short where the gradient is not small: start elsewhere, or give x_scale"
            return status, reason, f"{why}; {text}"
        if status <= 0 and self.problem.wrong:
            text = f"{self.problem.wrong}; {text}"
        if self.idle:
            text += f"; {self.idle}"
        if status > 0 and self.endless:
            text += f"; {self.endless}"
        return status, reason, text

    def _told(self, ending: str, angle: str, vanished: bool) -> str:
        """The ending in words. vanished: the residuals are as small as rounding lets them be, which `angle` says."""
        steps, how = f"after {counted(self.nit, 'step')}", self.how
        match ending:
            case "gtol":
                return f"{angle}, {steps}" if vanished else f"{angle}, at most gtol = {how['gtol']:g}, {steps}"
            case "ftol":
                return f"the last step lowered the cost by less than ftol = {how['ftol']:g} of it; {angle}"
            case "xtol":
                return f"the last step was shorter than xtol = {how['xtol']:g} of x; {angle}"
            case "both":
                return "the last step was shorter than xtol of x, and lowered the cost by less than ftol of it; " + angle
            case "rounding" | "differences":
                return f"{angle}{'' if vanished else self._below(ending)}, {steps}"
            case "vanished":
                return f"residuals and steps have fallen below the rounding of those at x0, {steps}; {angle}"
            case "minimum":
                return f"columns of the Jacobian vanish at x, and the cost rises on both sides in their parameters, {steps}"
            case "attained":
                return (
                    "the cost is as low as its rounding tells: at x Newton's step with its Hessian, by differences of the gradient, "
                    f"lowers it by less than {HIDDEN:g} of it, {steps}; {angle}"
                )
            case "max_nfev":
                spent, most = f"{counted(self.nfev - self.after, 'evaluation')}, the limit", how.get("calls", 0)
                spent = f"{self.core.counts[3]} calls of f, the limit maxfev = {most}" if 0 < most <= self.core.counts[3] else spent
                return f"{spent}; {angle}, above gtol = {how['gtol']:g}"
            case "callback":
                return f"the callback stopped it {steps}"
            case "step_too_small":
                return f"no step that still moves x lowers the cost {steps}, and {angle}" + self.hint()
            case _:
                return self.bad

    def _below(self, ending: str) -> str:
        """Why a smaller gradient cannot be told from 0."""
        digits = self.problem.digits
        if digits is not None and self.problem.grain:
            return f", and residuals that move in steps of {digits.quantum:.6g} tell no smaller one from 0"
        told = {"rounding": "rounding lets it sink no further", "differences": "finite differences tell no smaller one from 0"}
        return f", and {told[ending]}"

    def outcome(self, ending: str) -> tuple[int, str]:
        """(status, reason)."""
        status = STATUS.get(ending, -1)
        if status <= 0:
            return status, ending
        if self.nit >= LONG:
            _ = self.endless  # looked for now: when the message is read, the residuals may be others
        if self.short:
            return -1, "step_too_small"
        if self.core.plain and not self.problem.wrong:  # as nearly all runs end
            return status, "converged"
        refused = self.refused[0]
        return (-1, refused) if refused else (status, "converged")

    def hint(self) -> str:
        """What may be the reason where no step lowers the cost."""
        verdict = self.problem.verdict
        if np.linalg.norm(self.core.edge - self.core.x) <= 1e-6 * np.linalg.norm(self.core.x):
            return "; the residuals are not finite beyond x"
        if self.problem.lost:
            return f"; jac is not finite at points tried beyond x: {self.problem.lost}"
        if self.problem.differences or verdict.kind != "unknown":
            return ""
        return f": whether jac is right is not known, as {verdict.text}" if verdict.text else ": is jac right?"

    @cached_property
    def refused(self) -> tuple[str, str]:
        """(reason, text) where a small gradient is no minimum: a Jacobian that is wrong, or 0 as a whole; else empty. The residuals are
        evaluated beside x, once, where the run ends: when its message is read, they may be others."""
        if self.problem.wrong:
            return "wrong_gradient", self.problem.wrong
        if self.core.plain or (self.fixed is not None and bool(self.fixed.all())):
            return "", ""
        _, _, _, rounding, _, size = self.core.measures
        if self.core.any_slope and self.core.lost > MOST_LOST and size > rounding:
            return "step_too_small", "differences of residuals that are rounded so much do not tell where the cost falls"
        if self.core.any_slope and self.zeros.peaks:
            names, side = _names(self.zeros.peaks, self.problem), "both sides" if self.box is None else "each side within the bounds"
            where = "where others move with it" if self.zeros.peaks[0] in self.zeros.dead else "there"
            place = "x" if self.problem.names is None else "it"
            return "not_a_minimum", f"the Jacobian is 0 along {names}, and the cost falls {where} on {side} of {place}: start elsewhere"
        if self.core.any_slope and self.problem.given and (unseen := self.zeros.far):
            where = f"differences over diff_step are 0 along {_names(unseen, self.problem)}"
            return "insensitive", f"{where}, though the residuals change over longer steps: raise diff_step there"
        if self.core.any_slope or not self.core.cost > 0.0:
            return "", ""
        scans = [one for one, _ in self.problem.scans(self.core.x, np.arange(self.x.size))]
        if all(one.kind == "flat" or (one.kind == "even" and not (one.rises or one.falls)) for one in scans):
            hidden = "" if all(one.kind == "flat" for one in scans) else " by more than the rounding of its values"
            return "insensitive", f"no residual changes within 0.015 of x in any parameter{hidden}"
        sloped = any(one.kind == "slope" for one in scans)
        if self.problem.given and sloped:
            return "insensitive", "differences over diff_step are 0, though the residuals change over longer steps: raise diff_step"
        if any(one.falls for one in scans) or self._falls_across():
            return "not_a_minimum", "the Jacobian is 0 and the cost falls on both sides of x: start elsewhere"
        hidden = "the model changes by less than the rounding of the data, which are larger by far: start nearer to them"
        return ("insensitive", hidden) if sloped and self.problem.differences else ("", "")

    @cached_property
    def endless(self) -> str:
        """Words where a parameter has gone far and the cost has fallen by orders of magnitude on the way, and is no higher at twice the
        way: it may have no minimum, and the run ended where the cost, or what is left of its slope, underflows."""
        cost_at = lambda y: self._cost_of(self.problem.at(y))  # noqa: E731
        x, cost = np.array(self.core.x), float(self.core.cost)
        j = endless_along(cost_at, self.x, x, cost, self.problem.fits) if self.nit >= LONG else -1
        if j < 0:
            return ""
        return f"the cost seems to have no minimum along {_names([j], self.problem)}: it is no higher at twice the way from the start"

    def _falls_across(self) -> bool:
        """Where the Jacobian is 0: whether the cost falls on both sides of x where all parameters move, as that of a product does."""
        x, cost = np.array(self.core.x), float(self.core.cost)
        move = self.problem.unit(x) * along(x.size) * (1.0 if self.fixed is None else ~self.fixed)
        return any(self.problem.aside(x, one, self._cost_of, cost)[1] for one in (move, np.abs(move)))

    @cached_property
    def curved_jacobian(self) -> Array:
        """The Jacobian whose J'J is the Hessian of the cost but for the residuals' curvature: under a loss SciPy's, which has rho''. What
        rounding makes of directions along which differences show no change is left out, so that its rank tells of them."""
        core = self.core
        J: Array = core.J
        if self.loss is not None and core.loss_weights is not None:
            with np.errstate(divide="ignore", invalid="ignore"):
                share = np.sqrt(self.loss.curvature(core.f)) / core.loss_weights
            J = np.where(np.isfinite(share), share, 0.0)[:, None] * J
        if not self.problem.differences or not np.isfinite(J).all() or least_share(J) > BLURRED:
            return J
        blank, norms = self._blank_directions()
        return J - (J / norms @ blank.T) @ blank * norms if blank.size else J

    def _blank_directions(self) -> tuple[Array, Array]:
        """Directions, (some, n), orthonormal in parameters times the lengths of the columns, along which central differences show no change
        of the residuals that rounding could not make; and these lengths."""
        core, problem = self.core, self.problem
        x = np.array(core.x)
        found = tried(problem.sharp_jacobian, x)
        if found is None or not np.isfinite(found[0]).all():  # beside x the residuals are not defined
            return np.zeros((0, x.size)), np.ones(x.size)
        J, h = found
        return blank_directions(J, x, core.measures[5], SURELY * problem.eps / h, SURELY * problem.eps ** (2 / 3))

    @cached_property
    def zeros(self) -> Zeros:
        """What is seen beside x, where the run ended, of columns that are 0."""
        core = self.core
        if core is None or core.all_slopes or not core.any_slope or not np.isfinite(core.norms).all():
            return Zeros([], [], [], [])
        columns = [int(j) for j in np.flatnonzero(core.norms == 0.0) if self.fixed is None or not self.fixed[j]]
        x, cost = np.array(core.x), float(core.cost)
        seen = {j: self.problem.along_one(x, j, self._cost_of, cost) for j in columns[:EACH]}
        still, peaks = [j for j, (changes, _) in seen.items() if not changes], [j for j, (_, falls) in seen.items() if falls]
        moves = bool(still) and self.problem.moves_far(x, still)
        far = [j for j in still if self.problem.moves_far(x, [j])] if moves else []
        return Zeros(columns, [j for j in still if j not in far], peaks or self._saddles(x, still, cost), far)

    def _cost_of(self, r: Array) -> float:
        return 0.5 * float(r @ r) if self.loss is None else float(self.loss.cost(r))

    def _saddles(self, x: Array, dead: list[int], cost: float) -> list[int]:
        """Of parameters that change nothing alone, the first along which the cost falls where others move as the Jacobian does not
        tell: the rate of an exponential whose factor is 0, beside a constant."""
        unit = self.problem.unit(x)
        free = np.ones(x.size, bool) if self.fixed is None else ~self.fixed
        for v in still_directions(self.core.J * unit * free, FEW) if dead and x.size <= EACH else ():
            for j, sign in ((j, sign) for j in dead[:FEW] for sign in (1.0, -1.0)):
                move = unit * (v + sign * (np.arange(x.size) == j))
                if self.problem.aside(x, move, self._cost_of, cost)[1]:
                    return [j]
        return []

    @property
    def idle(self) -> str:
        """Of columns that are 0, where others are not."""
        if self.core is None or self.core.all_slopes or not self.core.any_slope:
            return ""
        zeros = self.zeros
        if not zeros.columns:
            return ""
        others = [j for j in zeros.columns if j not in zeros.dead]
        place = "x" if self.problem.names is None else "these parameters"
        told = [f"no residual depends on {_names(zeros.dead, self.problem)} at {place}"] if zeros.dead else []
        told += [f"the Jacobian is 0 along {_names(others, self.problem)} at {place}"] if others else []
        return f"{', and '.join(told)}, where the Jacobian has rank {rank_of(self.core.J)} for {self.x.size} parameters"

    def result(self, status: int, reason: str, message: str | None) -> dict[str, Any]:
        """The best point, which is where the run stands; message None: the result makes it when it is asked for."""
        n = self.x.size
        if self.core is None:
            empty, none = np.full(0, math.nan), np.full(n, math.nan)
            state = {
                "x": self.x, "cost": math.nan, "fun": empty, "jac": np.full((0, n), math.nan), "grad": none, "optimality": math.nan,
                "cosine": math.nan, "active_mask": np.zeros(n, int), "nfev": 1, "njev": 0, "nit": 0, "rank": 0, "dt": math.nan,
            }  # fmt: skip
        else:
            state = self._state(asks=reason not in ("rhs_failed", "callback_failed", "interrupted"))
        verdict = self.problem.verdict
        state.update(ncheck=verdict.ncheck, status=status, success=status > 0, reason=reason)
        if message is not None:
            state["message"] = message
        return state

    @property
    def active_mask(self) -> Any:
        """-1 at a lower bound, 1 at an upper one, else 0."""
        x = self.core.x
        if self.box is None:
            return np.zeros(x.size, int)
        return (x >= self.box[1]).astype(int) - (x <= self.box[0]).astype(int)

    def _state(self, asks: bool) -> dict[str, Any]:
        """asks: whether the user's functions, which may have raised, are asked for more."""
        core = self.core
        nit, nfev, njev, _ = core.counts
        x, f, J = core.x, core.f, core.J
        n, full = x.size, core.surely_full
        jac = J if (full and self.loss is None) or not asks else self.curved_jacobian
        r = f if self.loss is None else core.r
        cost = 0.5 * float(f @ f) if self.loss is None else core.cost
        if math.isfinite(cost):
            g = J.T @ r
        else:  # at a start that is not finite
            with np.errstate(all="ignore"):
                g = J.T @ r
        bounded = self.box is not None or self.fixed is not None
        steepest = float(np.max(np.abs(g[core.free]), initial=0.0)) if bounded else largest(g)
        return {
            "x": x, "cost": cost, "fun": f, "jac": jac, "grad": g, "optimality": steepest,
            "cosine": core.measures[1], "active_mask": self.active_mask,
            "nfev": nfev + self.spent + self.after, "njev": njev, "nit": nit, "rank": n if full else rank_of(jac), "dt": core.dt,
        }  # fmt: skip


def _names(some: list[int], problem: Residuals) -> str:
    known = None if problem.names is None else problem.names()
    return ", ".join(f"x[{j}]" if known is None else known[j] for j in some[:10]) + (", ..." if len(some) > 10 else "")


def intermediate(run: Run) -> Result:
    """What a callback is told."""
    return Result(x=run.core.x, cost=run.core.cost, fun=run.core.f, nit=run.nit, nfev=run.nfev)
