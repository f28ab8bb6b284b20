"""What a minimisation doubts: the gradient that it is given, differences that are exactly 0, a point that is called a minimum.

The gradient is compared with the cost at x0 (`mflow.derivatives.remainder`), differences are looked at where they vanish
(`mflow.derivatives.differences`). Both happen where the run first evaluates the gradient; here is what its result says of them. A gradient
that was right at x0 is compared once more where the run ended, so that "converged" is the cost's own.
"""

from __future__ import annotations

import contextlib
import math
import weakref
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from mflow_core.arithmetic.starts import largest
from mflow_core.objectives.objective import Objective
from mflow_core.problems.gradients import asked_beside, rises_as_told, unseen_moves
from mflow_core.problems.problem import Problem, objective_problem
from mflow_core.problems.signatures import OBJECTIVE_SIGNATURE, compiled_address
from mflow_core.stepping import stepper
from numpy.typing import NDArray

from mflow.base.checks import Array, as_tuple, check_flags, check_start
from mflow.base.methods import as_method
from mflow.base.result import OptimizeResult
from mflow.base.telling import tell
from mflow.curvature.landscape import gradient_of
from mflow.derivatives.cost_look import BENT, BENT_AT_0, REACHES, UNSEEN, CostLook, cost_problem
from mflow.derivatives.differences import (
    ASIDE,
    ASIDES,
    EACH,
    EPS,
    FALL,
    GROWS,
    across,
    along,
    digits_of,
    falls_along,
    falls_anywhere,
    moves_from,
    scan,
    tried,
    verdict_of,
)
from mflow.derivatives.elsewhere import with_gradient
from mflow.derivatives.remainder import RIGHT, GradientWarning, Verdict, quick_gradient, said_of
from mflow.optimize.bounds import Box
from mflow.solvers.jacobian_doubt import watched

if TYPE_CHECKING:
    from mflow.derivatives.own_units import Finer

__all__ = ["Doubts", "few_digits"]

FLAT = "the cost does not change within 0.015 of x in any parameter, by steps 1e2 ... 1e6 times those of the differences"
PEAK = "the cost falls on {} of x, which is no minimum: start elsewhere"

ASKS = "; has the cost noise, or a jump or a kink here? Differences of it tell no slope then: give diff_step= or jac="
JUMPS = "; is it the gradient of this cost, without a jump here?"
TWICE, UNASKED = RIGHT._replace(ncheck=2 * RIGHT.ncheck), RIGHT._replace(ncheck=0)
OWN_ERROR = 4.0 * EPS**0.5  # of a difference, in units of the cost, or 1, and of max(1, |x|): by curvature, and rounding
NO_SLOPE = 1e-9  # in the same units: less than differences show where the cost has a curvature
BESIDE = 10  # directions in which the cost is looked at where a given gradient is exactly 0
BIASED = 0.1  # of the largest entry of the gradient: errors of forward differences that turn it
UNMOVED = 1e-4  # of max(1, |x|): a parameter within this of where it began may be where its slope was 0 to begin with
LOOKED_AGAIN = ("converged", "line_search_failed", "max_iter")  # endings after which the gradient is compared at x, too
ATTRIBUTE = "_mflow_verdict"  # of a function of ctypes, which takes no weak reference

_checked: dict[int, tuple[weakref.ref[Any], Verdict]] = {}  # compiled costs, each looked at once, by their ids


class Doubts:
    """The cost of one minimisation with its gradient, and what is to be said of them. Raises TypeError or ValueError."""

    def __init__(self, fun: Any, x0: Any, args: Any, jac: Any, diff_step: Any, check: Any) -> None:
        if isinstance(jac, str):
            complex_steps = jac == "cs"
            fun, jac = with_gradient(fun, jac)
            if complex_steps:
                self.complex_steps = [0]
                jac = _counted(jac, self.complex_steps)
        self.fun, self.start, self.jac, self.diff_step = fun, check_start(x0, "x0"), jac, diff_step
        self.args = args if type(args) is tuple else as_tuple(args, fun)
        if check is not True:
            check_flags(check_gradient=check)
        self.checks = bool(check)
        self.differences = jac is None or jac is False or isinstance(jac, str)

    complex_steps: Sequence[int] = (0,)  # evaluations of the cost by jac="cs", which the core takes for gradients
    box: Box | None = None
    bounded_by = ""  # the argument that bounds x
    inside = True  # whether x0 is not at a bound
    look: CostLook | None = None
    verdict = Verdict("unknown", 0)
    where = "x0"  # of what the verdict is
    beside = 0  # gradients around x0, after a run whose gradients grew, and looks of `finer_gtol`; these where differences are taken
    valued = 0
    gtol = math.inf  # of this run; and whether nobody has asked for it
    usual = False
    callback: Any = None  # the core's, where differences are taken
    first: Array | None = None  # the gradient at x0 that is looked at, the cost there, and x0
    began, begun = math.nan, np.zeros(0)
    later = unasked = False  # whether that waits until `ask` is called, as a short run may make it needless; whether it still waits

    def keep_within(self, box: Box | None, said: str = "bounds") -> None:
        """Start within the bounds, and evaluate nothing outside. The gradient is not looked at where x0 is at a bound."""
        if box is not None:
            self.box, self.start, self.bounded_by = box, box.clipped(self.start), said
            self.inside = box.inside(self.start, 0.01)

    def watch(self, hess: Any) -> None:
        """A Python gradient is held against this Hessian once it has been asked very often: the problem made next raises then."""
        if self.jac is True and _is_python(self.fun):
            self.fun = watched(self.fun, hess, self.start, self.args, True)
        elif _is_python(self.jac):
            self.jac = watched(self.jac, hess, self.start, self.args, False)

    def problem(self, hess: Any = None) -> Problem:
        """For the core."""
        check = self._check if self.checks and self.inside and not self.differences else None
        made, self.look = cost_problem(self.fun, self.jac, self.start.shape, self.args, hess, self.diff_step, check)
        if self.differences:
            self.callback = made.callback
        if self.box is not None:
            self._held_within(made, self.box)
        if made.compiled and self.checks and self.inside and self.fun is not None and not isinstance(self.fun, Objective):
            self._check_compiled()
        return made

    def _held_within(self, made: Problem, box: Box) -> None:
        """Differences are taken within the bounds."""
        if self.look is not None:
            self.look.held, self.look.within = (box.lower == box.upper).ravel(), box.flat
        if made.callback is not None:
            made.callback.within = (box.lower.ravel(), box.upper.ravel())

    @property
    def text(self) -> str:
        """What is wrong with the gradient; empty where nothing is known to be."""
        if self.verdict.kind != "wrong":
            return ""
        if getattr(self.fun, "differences", False):
            said = said_of(self.verdict, "gradient", "cost", self.where)
            return (
                f"{said}: it is one of differences compiled with the cost, whose values carry too few digits (float32?); compile jac= too"
            )
        return f"{said_of(self.verdict, 'gradient', 'cost', self.where)}; mflow.check_gradient names the entry"

    def value(self, at: Array) -> Any:
        """The cost of a Python function at a flat x, not counted."""
        shape = self.start.shape
        out = self.fun(at if len(shape) == 1 else at.reshape(shape), *self.args)
        return out[0] if self.jac is True else out

    def finer_gtol(self, x: Array, value: float, grad: Array, scale: Array | None = None) -> Finer:
        """`mflow.derivatives.own_units.finer_gtol` where the run has ended, in lengths of the parameters where there are any."""
        from mflow.derivatives.own_units import SLIGHT, Finer, finer_gtol  # few runs need it

        if self.fun is None:
            return Finer(self.gtol, 0.0, 0)
        values = self._values()
        value = float(values(x.ravel())) if math.isnan(value) else value
        least = FALL if self.differenced else SLIGHT
        D = np.ones(1) if scale is None else scale.ravel()
        found = finer_gtol(
            self.gtol, lambda z: values(D * z), x.ravel() / D, value, D * grad.ravel(), lambda z: self._fits(D * z), least
        )  # fmt: skip
        self.valued, self.beside = self.valued + self.differences * found.calls, self.beside + (not self.differences) * found.calls
        return found

    def falls_alone(self, x: Array, value: float, grad: Array, began: float) -> float:
        """`mflow.derivatives.own_units.falls_alone`, as a share of the cost that is left or that it has come down by."""
        from mflow.derivatives.own_units import SLIGHT, falls_alone, sizes_of  # few runs need it

        flat, slopes, unit = x.ravel(), grad.ravel(), max(abs(value), began - value if math.isfinite(began - value) else 0.0)
        sizes, rooms = sizes_of(flat, slopes, None if self.box is None else self.box.flat)
        found = falls_alone(self._values(), flat, value, slopes, sizes, rooms, SLIGHT * unit)
        if self.callback is not None:
            self.callback.nfev += found[1]
        else:
            self.beside += found[1]
        return found[0] / (unit or 1.0)

    def longer(self, problem: Problem, x: Array, value: float) -> bool:
        """Where differences lead nowhere: whether the cost is noisy at x, and longer central ones are taken from now on."""
        callback = problem.callback
        return self.look is not None and self.differences and self.diff_step is None and self.look.longer(callback, x, value)

    def sharper(self, gradient: Callable[[Array], Array], x: Array, grad: Array) -> bool:
        """Where a run by forward differences does not get on: whether central ones give another gradient, as where the cost bends by more
        than it falls, and are taken from now on."""
        return self.sharpens() and self.turned(gradient(x), grad, BIASED)

    def measure_by(self, scale: Array) -> None:
        """Differences are central ones over shares of these lengths of the parameters, or of x where it is longer, save by diff_step=."""
        if self.callback is not None and self.look is not None and self.diff_step is None:
            self.look.measure_by(self.callback, scale.ravel())

    def sharpens(self) -> bool:
        """Whether differences were forward ones of the usual lengths; they are central ones now."""
        if self.callback is None or self.look is None or self.diff_step is not None:
            return False
        return self.look.sharpen(self.callback)

    def turned(self, sharp: Array, grad: Array, share: float) -> bool:
        """Whether a gradient by central differences is another one, by this share of it; if not, they are forward ones again."""
        if float(np.max(np.abs(sharp - grad))) > share * float(np.max(np.abs(grad))):
            return True
        if self.look is not None:
            self.look.blunt(self.callback)
        return False

    @property
    def differenced(self) -> bool:
        """Whether the gradient is made by differences, here or compiled with the cost."""
        return self.callback is not None or bool(getattr(self.fun, "differences", False))

    @property
    def differs_as_usual(self) -> bool:
        """Whether the gradient is made by differences of the usual lengths."""
        return self.callback is not None and self.callback.scales is None

    def blind(self, x: Array, value: float, grad: Array) -> bool:
        """Where a run by differences ended: whether the cost has a slope that they do not see, and longer ones are taken now."""
        if self.look is None or self.callback is None or self.diff_step is not None:
            return False
        return self.look.blind(self.callback, x.ravel(), value, grad.ravel(), self.gtol)

    def reaches(self, x: Array, value: float, grad: Array) -> bool:
        """Where such a run ended: whether shorter differences show a slope above gtol, which are then taken."""
        if self.look is None or self.callback is None or self.diff_step is not None:
            return False
        return self.look.reaches(self.callback, x.ravel(), value, grad.ravel(), self.gtol)

    def steeper(self, x: Array, grad: Array) -> bool:
        """Where a run by differences ended: whether small numbers show slopes above gtol over shares of themselves, which are then
        taken; and x = 0 others over far shorter lengths."""
        if self.look is None or self.callback is None:
            return False
        return self.look.steeper(self.callback, x.ravel(), grad.ravel(), self.gtol)

    def _check(self, x: Array, value: float, grad: Array) -> None:
        """At the first gradient of a Python function."""
        self.begun, self.began, self.first, self.unasked = x, value, grad, True
        if not self.later:
            self.ask()

    def ask(self) -> None:
        """Compares the gradient at x0 with the cost, unless that was done."""
        if not self.unasked or self.first is None:
            return
        self.unasked = False
        with np.errstate(all="ignore"):
            known = quick_gradient(self._values(), self.begun, None if math.isnan(self.began) else self.began, self.first)
        self._judge(known)

    def _check_again(self, out: OptimizeResult) -> None:
        """Where the run ended, if the gradient was compared at x0 in this run, and was right."""
        known = self.verdict
        if known.kind != "right" or not known.ncheck or not out["nit"]:
            return
        if self.box is not None and not self.box.inside(out["x"], 0.01):
            return
        x, value, grad = out["x"], float(out["fun"]), out["jac"]
        if not (math.isfinite(value) and math.isfinite(largest(grad))):
            return
        later = quick_gradient(self._values(), x.ravel(), value, grad)
        if later is known:
            self.verdict = TWICE
            return
        count = known.ncheck + later.ncheck
        allowed = self.gtol * float(np.sum(np.maximum(1.0, np.abs(x)))) if math.isfinite(self.gtol) else 0.0
        if later.kind == "wrong" and abs(later.measured) <= allowed:  # the values show a slope that gtol allows, too
            later = known
        if later.kind != "wrong":
            unseen = later.kind == "unknown" and known.share > 0.0  # at neither end more than an error of that share shows
            self.verdict = (later if unseen else known)._replace(ncheck=count)
            return
        self.where = "x"
        self._judge(later._replace(ncheck=count))

    def _look_once(self, out: OptimizeResult) -> int:
        """Evaluations beside the end of a run along one line, where two or four may tell what looks at its start, `_check_again` and
        `_look_beside` ask six or more for; below 0 where they do not, and 0 where the run was of another kind."""
        asked = self.verdict is RIGHT or self.unasked
        if not asked or self.first is None or self.box is not None or out["reason"] != "converged" or not out["nit"]:
            return 0
        x, grad = out["x"].ravel(), out["jac"].ravel()
        count: int = rises_as_told(
            self._values(), x, self.start.ravel(), self.began, self.first, float(out["fun"]), grad, along(x.size), ASIDES[0],
            out["nfev"] >= 6,
        )  # fmt: skip
        return count

    def _values(self) -> Callable[[Array], Any]:
        """The cost beside the run."""
        if self.look is not None:
            fun = self.fun
            if self.start.ndim != 1 or self.args:
                return self.value
            return (lambda at: fun(at)[0]) if self.jac is True else fun
        return self._values_of(self._probe())  # compiled

    def _values_of(self, probe: stepper.Run) -> Callable[[Array], Any]:
        shape = self.start.shape
        return lambda at: probe.evaluate(at.reshape(shape), False)[0]

    def _probe(self) -> stepper.Run:
        """Evaluates a compiled cost beside the run."""
        method, problem = as_method("sgd", {}), objective_problem(self.fun, self.jac, self.start.shape)
        return stepper.Run(method.record, problem, self.start, 0.0, 0.1, method.numbers, descend=True)

    def _check_compiled(self) -> None:
        known = _known(self.fun)
        if known is None:
            probe = self._probe()
            try:
                value, grad = probe.evaluate(self.start)
            except Exception:  # the run itself will say what is wrong
                return
            if not np.isfinite(grad).all():
                return
            with np.errstate(all="ignore"):
                known = quick_gradient(self._values_of(probe), self.start.ravel(), float(value), grad)
            _remember(self.fun, known._replace(ncheck=0))  # of runs that need not look
            known = known._replace(ncheck=known.ncheck + 1)
        self._judge(known)

    def _judge(self, verdict: Verdict) -> None:
        self.verdict = verdict
        if verdict.kind == "wrong":
            tell(f"minimize: {self.text}", GradientWarning)

    def said(self, out: OptimizeResult) -> OptimizeResult:
        """The result with what is known of its gradient."""
        if self.valued:
            out["nfev"] += self.valued
        known = not (self.verdict.ncheck or self.verdict.kind == "wrong" or getattr(self.fun, "differences", False))
        if known and self.differences and self.look is None and self.box is None:  # a compiled cost whose gradient is known, or one of ours
            out["ncheck"] = self.beside
            return out
        with np.errstate(all="ignore"):  # the points beside x are not the user's
            self._say(out)
        return out

    def _say(self, out: OptimizeResult) -> None:
        if self.box is not None and out["reason"] == "converged" and np.array_equal(self.box.lower, self.box.upper):
            out.message = "all parameters are held: this is the cost where they are"
        asked = self._look_once(out)
        if asked <= 0 and out["reason"] in LOOKED_AGAIN:
            self.ask()
            self._check_again(out)
        elif asked > 0 and self.unasked:
            self.verdict = UNASKED
        if asked:
            self.verdict = self.verdict._replace(ncheck=self.verdict.ncheck + abs(asked))
        out["ncheck"] = self.verdict.ncheck + self.beside
        if self.verdict.kind == "wrong":
            out.message = f"{self.text}; {out.message}"
            if out.reason == "converged":
                self._refuse(out, "wrong_gradient")
        elif self.verdict.text and self.verdict.ncheck:
            out.message += f"; whether the gradient is the cost's is not known, as {self.verdict.text}"
        if self.look is not None and self.differences:
            self._said_of_differences(out, self.look)
        elif self.look is not None and self.checks and out["reason"] == "line_search_failed" and math.isfinite(out.fun):
            kink = self._kink(out, self.look)
            out.message = (out.message.replace(JUMPS, "") if kink else out.message) + kink
        elif out["reason"] != "converged":
            pass
        elif getattr(self.fun, "differences", False):
            self._said_of_compiled(out)
        elif self.checks and not self.differences and asked <= 0:
            self._look_beside(out)
        if self.box is not None and self.differences:  # where bounds leave no room there is no difference
            out.jac = np.where(self.box.lower < self.box.upper, out.jac, np.nan)

    def _kink(self, out: OptimizeResult, look: CostLook) -> str:
        """That the cost has a kink where the run ended, in words, which is the reason then; else empty. The evaluations are counted."""
        kink, count = look.kink_at(np.array(out.x, dtype=np.float64).ravel(), float(out.fun))
        out["nfev" if self.differences else "ncheck"] += count
        if kink:
            self._refuse(out, "kink")
        return kink

    def _said_of_differences(self, out: OptimizeResult, look: CostLook) -> None:
        out.nfev += look.ask_for_kink()
        if out.reason == "line_search_failed":
            kink = self._kink(out, look)
            out.message = (out.message.replace(ASKS, "") if kink or look.kink else out.message) + (kink and f"; {kink}")
        still = ", ".join(f"x[{j}]" for j in look.still)
        out.message += look.note() + (f"; nothing depends on {still} at x0" if still and out.status >= 0 else "")
        if out.reason != "converged":
            return
        before = 0 if self.callback is None else self.callback.nfev
        unseen = "" if not self.steeper(out.x, out.jac) else BENT if np.any(out.x) else BENT_AT_0
        unseen = unseen or ((REACHES if look.short else UNSEEN) if self.blind(out.x, float(out.fun), out.jac) else "")
        if unseen:
            self._refuse(out, "wrong_gradient")
            out.message = f"{self._kink(out, look) or unseen}; {out.message}"
        out.nfev += 0 if self.callback is None else self.callback.nfev - before
        if out.reason != "converged":
            return
        zero = not np.any(out.jac)
        if not zero or (look.verdict == "level" and np.array_equal(look.at, out.x.ravel())):
            self._look_aside(out, look.peaked, look.rises if np.array_equal(look.sighted, out.x.ravel()) else 0)
        elif np.array_equal(look.at, out.x.ravel()):
            self._said_of_zero(out, "" if look.verdict == "flat" and out.fun < look.first else look.verdict)

    def _said_of_compiled(self, out: OptimizeResult) -> None:
        """Of a cost that was compiled with its differences."""
        values, x, at = self._values(), out.x.ravel(), float(out.fun)
        verdict = "" if np.any(out.jac) else verdict_of([scan(values, x, move, at) for move in moves_from(x)])
        if verdict in ("", "level"):
            self._look_aside(out, lambda x, at, small, slight, fits: falls_anywhere(values, x, at, small, slight, EPS, fits))
        else:
            self._said_of_zero(out, verdict)

    def _look_aside(self, out: OptimizeResult, peaked: Callable[..., tuple[str, int]], rises: int = 0) -> None:
        """Differences are off by their own length times the curvature, so at a maximum they are small and not 0, and steps by them lead
        some of their lengths away. Larger ones that have led down are no reason to look, nor is a way down to where the cost is known to
        rise on both sides, in a direction in which no entry is small (rises: 1; where it falls: -1). At an inflection they are smaller
        still."""
        x, at, size = out.x.ravel(), float(out.fun), np.maximum(1.0, np.abs(out.x.ravel()))
        slopes = np.abs(out.jac.ravel()) * size / max(1.0, abs(at))
        unmoved = np.abs(x - self.start.ravel()) <= UNMOVED * size
        small = unmoved | ((slopes <= OWN_ERROR) & (rises <= 0))
        falls, count = peaked(x, at, small, slopes <= NO_SLOPE, self._fits)
        if rises < 0 and not falls:
            falls, calls = falls_along(self.value, x, size * along(x.size), at, 8.0 * EPS * abs(at), self._fits, False)
            count += calls
        for move in () if falls or out["nit"] else across(x, small):  # where x0 is the end, single parameters alone were looked at
            falls, calls = falls_along(self.value, x, move, at, 8.0 * EPS * abs(at), self._fits, False)
            count += calls
            if falls:
                break
        out.nfev += count
        self._said_of_fall(out, falls)

    def _look_beside(self, out: OptimizeResult) -> None:
        """Beside x, where the run has told nothing of the cost, as at a saddle or an inflection that it has met or begun at: along all
        parameters that stand where they began, with a given gradient of 0, across the way that the others have come along one line or to
        a gradient of 0, and there along single ones, as many as a third of the evaluations allows; inward from bounds where it is 0."""
        x, at, direction, fits = out["x"].ravel(), float(out["fun"]), along(self.start.size), None
        most = 2 if x.size > EACH else BESIDE
        if out["nit"]:
            most = min(most, max(1, int(out["nfev"]) // 3))
        if self.box is not None:
            direction, fits = direction * self._has_room(x), self._fits
        grad = np.ascontiguousarray(out["jac"], np.float64).ravel()
        slopes = grad
        if not out["nit"]:  # x0 is the end: slopes that rounding makes, as of sin(pi), are none
            slopes = np.where(np.abs(grad) * np.maximum(1.0, np.abs(x)) <= NO_SLOPE * max(1.0, abs(at)), 0.0, grad)
        moves = unseen_moves(x, self.start.ravel(), self.first, slopes, direction, most)
        if not out["nit"]:
            moves += across(x, (slopes == 0.0) & (direction != 0.0))
        if self.box is not None:
            side = self._inward(x, grad)
            moves = [move for move in moves if np.any(move[side == 0.0])]
            moves += self._into(side, np.where((x == self.start.ravel()) & (grad == 0.0), direction * np.maximum(1.0, np.abs(x)), 0.0))
        if not moves:
            return
        values, falls = self._values(), ""
        lower, level, count = asked_beside(values, x, at, moves, ASIDES[0], fits)
        for move in lower:
            falls, calls = falls_along(values, x, move, at, 8.0 * EPS * abs(at), self._fits, not np.any(grad[move != 0.0]))
            count += calls
            if falls:
                break
        if level and not falls:
            falls, calls = self._falls_by_slopes(x, level)
            count += calls
        out["ncheck"] += count
        self._said_of_fall(out, falls)

    def _falls_by_slopes(self, x: Array, moves: list[Array]) -> tuple[str, int]:
        """As `falls_along`, by the gradient that is given: beside an offset values tell nothing."""
        gradient = gradient_of(objective_problem(self.fun, self.jac, self.start.shape, self.args), self.start)
        count = 0
        for move in moves:
            least = 0.0
            for h in ASIDES[1:]:
                slopes = []
                for side in (h, -h):
                    if not self._fits(x + side * move):
                        break
                    count += 1
                    there = tried(gradient, x + side * move)
                    slopes.append(0.0 if there is None else -float(there @ move) / side)
                    if not slopes[-1] > 0.0:
                        break
                if len(slopes) < 2 or not min(slopes) > 0.0:
                    break
                if least > 0.0 and 1.0 / GROWS < min(slopes) / least < GROWS:
                    return "both sides", count
                least = min(slopes)
        return "", count

    def _inward(self, x: Array, grad: Array) -> Array:
        """The way from the bound that a parameter stands at, in units of max(1, |x|), where its gradient is exactly 0; 0 elsewhere."""
        assert self.box is not None
        lower, upper = self.box.flat
        side = (x == lower).astype(np.float64) - (x == upper)
        return np.where(grad == 0.0, side * np.maximum(1.0, np.abs(x)), 0.0)

    @staticmethod
    def _into(side: Array, free: Array) -> list[Array]:
        """Ways from bounds into them: along the single parameters that stand there where these are few, along all of them, and along all
        and those that stand free of bounds, `free`, to either side of these."""
        held = np.flatnonzero(side)
        together = side * np.abs(along(side.size))
        moves = [np.where(np.arange(side.size) == j, side, 0.0) for j in held] if held.size <= BESIDE else []
        if held.size and np.any(free):
            return [*moves, together + free, together - free]
        return [*moves, together] if held.size > 1 else moves

    def _has_room(self, x: Array) -> NDArray[np.bool_]:
        """Which parameters may move to both sides as far as the cost is looked at."""
        assert self.box is not None
        lower, upper = self.box.flat
        size = ASIDES[0] * np.maximum(1.0, np.abs(x))
        out: NDArray[np.bool_] = (x - size >= lower) & (x + size <= upper)
        return out

    def _fits(self, y: Array) -> bool:
        return self.box is None or bool(np.all((self.box.flat[0] <= y) & (y <= self.box.flat[1])))

    def _said_of_fall(self, out: OptimizeResult, falls: str) -> None:
        if falls:
            where = "each side within the bounds" if self.box is not None and falls == "both sides" else falls
            out.message = f"{PEAK.format(where)}; {out.message}"
            self._refuse(out, "not_a_minimum")

    def _said_of_zero(self, out: OptimizeResult, verdict: str) -> None:
        """Where the gradient is 0 by differences."""
        if verdict == "flat":
            out.message = f"{FLAT}; {out.message}"
            self._refuse(out, "insensitive")
        elif verdict == "maximum":
            sides = "both sides" if self.box is None else "each side within the bounds"
            out.message = f"{PEAK.format(sides)}; {out.message}"
            self._refuse(out, "not_a_minimum")

    @staticmethod
    def _refuse(out: OptimizeResult, reason: str) -> None:
        out.success, out.status, out.reason = False, -1, reason


def few_digits(slope: Callable[[float, Array], Array], x: Array) -> str:
    """Words where a gradient beside x, which may hold short numbers, has few digits: no equation can be solved to the rounding of float64
    with it."""
    try:
        digits = digits_of([slope(0.0, x + ASIDE * np.maximum(1.0, np.abs(x)))])
    except Exception:
        return ""  # the run has ended already: this is for its message alone
    if digits is None:
        return ""
    return f"the gradient carries {digits.text}, and the equation is solved to the rounding of float64: return float64"


def _is_python(fun: Any) -> bool:
    """Whether Python calls it (a function, a partial, an object with __call__, a jitted one), and not the core by its address."""
    return callable(fun) and compiled_address(fun, "jac", OBJECTIVE_SIGNATURE) is None


def _counted(jac: Callable[..., Array], steps: list[int]) -> Callable[..., Array]:
    """A gradient by complex steps, of which each parameter needs one."""

    def gradient(x: Array, *args: Any) -> Array:
        steps[0] += x.size
        return jac(x, *args)

    return gradient


def _known(fun: Any) -> Verdict | None:
    entry = _checked.get(id(fun))
    return entry[1] if entry is not None and entry[0]() is fun else getattr(fun, ATTRIBUTE, None)


def _remember(fun: Any, verdict: Verdict) -> None:
    at = id(fun)
    try:
        _checked[at] = weakref.ref(fun, lambda _: _checked.pop(at, None)), verdict
    except TypeError:  # no weak reference to it
        with contextlib.suppress(AttributeError):  # a capsule, or SciPy's tuple of one, takes neither: it is looked at in every run
            setattr(fun, ATTRIBUTE, verdict)
