"""`minimize` with a line search: a method gives the direction, a search along it the step. So does a trust region, without a search.

The loop is `mflow_core.optimize.line_descent`; here are its arguments, its ending in words, and its path.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
from mflow_core.arithmetic.starts import largest
from mflow_core.objectives.objective import Objective
from mflow_core.optimize import line_descent
from mflow_core.optimize.products import Products
from mflow_core.stepping import stepper
from numpy.typing import NDArray

from mflow.base.checks import Array, check_whole
from mflow.base.methods import Method
from mflow.base.result import OptimizeResult, Result, keep_origin, with_entries_later
from mflow.base.telling import counted, tell
from mflow.curvature.landscape import OF_DIFFERENCES, Landscape, both_of, gradient_of, products_of, value_of
from mflow.derivatives.cost_look import LARGE
from mflow.derivatives.differences import EPS, FALL, TINY, UNLIKE, number_tried, tried
from mflow.derivatives.remainder import GradientWarning
from mflow.optimize.directions import Tests, check_box, inverse_kept, inverse_of, ruled, usual
from mflow.optimize.doubts import ASKS, JUMPS, Doubts
from mflow.optimize.linesearch import LineSearch
from mflow.optimize.looks import MEASURED, PATIENCE, STALLING, Counted, Goal, Onward, Saving, has_kink
from mflow.solvers.jacobian_doubt import hessian_said

__all__ = ["CONVERGED", "ENDINGS", "FAILED", "RESTS", "STALLED", "STOPPED", "UNEVEN", "LineDescent", "ending", "overflow_text"]

CONVERGED, FAILED = stepper.CONVERGED, line_descent.FAILED
STOPPED = CONVERGED - 1  # by the callback
BY_FTOL, BY_XRTOL, BY_MAXFUN = STOPPED - 1, STOPPED - 2, STOPPED - 3  # SciPy's further tests
STALLED, SLOW = STOPPED - 4, STOPPED - 5
UNEVEN = STOPPED - 7  # it takes long, and sizes of parameters differ
LONG = 4 * STALLING  # iterations until then
RESTS = STOPPED - 6  # at a minimum, as far as rounding tells
SINKS = 0.1  # a gradient that is below this share of what it was then has not stalled
BY_VALUES = 16  # parameters up to which values tell of such a minimum by differences
SLOWLY = 1e-3  # of the cost, that so many iterations do not take off: differences are compared with central ones then, once
ENDINGS: dict[int, tuple[int, str, Callable[[int, str, float], str]]] = {  # words of (nit, the largest entry of the gradient, gtol)
    CONVERGED: (0, "converged", lambda nit, largest, gtol: f"{largest}, at most gtol = {gtol:g}, after {counted(nit, 'iteration')}"),
    STOPPED: (2, "callback", lambda nit, largest, gtol: f"the callback stopped it after {counted(nit, 'iteration')}"),
    0: (1, "max_iter", lambda nit, largest, gtol: f"{counted(nit, 'iteration')}: {largest}, above gtol = {gtol:g}"),
    BY_FTOL: (0, "converged", lambda nit, largest, gtol: f"the last step lowered the cost by at most ftol of it; {largest}"),
    BY_XRTOL: (0, "converged", lambda nit, largest, gtol: f"the last step was at most xrtol of x; {largest}"),
    RESTS: (
        0,
        "converged",
        lambda nit, largest, gtol: f"a minimum to rounding, which leaves more of its gradient than gtol = {gtol:g}: {largest}",
    ),
    BY_MAXFUN: (1, "max_nfev", lambda nit, largest, gtol: f"maxfun evaluations after {counted(nit, 'iteration')}: {largest}"),
}
SHORT = 2  # iterations, after which a gradient that is given is compared with the cost, unless they were all
RISES = 2  # trials in a row that rise where differences say the cost falls, after which a search ends
LEAST = 1e-3 * EPS**0.5  # of max(1, |x|): over a thousandth of their length differences tell no slope
FAINTLY = 0.01  # of the gradient: what central differences are apart by from forward ones where a search by these has failed
NOISY_STEP = 1e-4  # of differences of gradients that are differences themselves, relative
AGAIN, SHORTENED = 4, 1  # times that a run goes on with other differences, and with shares of small numbers, which a kink only shortens
MANY = 100  # iterations of a trust region, after which the Hessian it was given is looked at
JUMP = 1e-3  # of the first gradient: where one so large leads nowhere, rounding is not the reason
SQUARED = 1e150  # the square of a gradient below it does not overflow
AWAY = 1e10  # so far from x0, and with a cost so far below 0, it seems to have no minimum
WHY = {
    1: "its direction does not lead down",
    2: "no step was found that moves x and lowers the cost as the rule asks",
    3: "the rule was not met within max_evaluations = {limit} of one search",
    4: "the cost still falls at max_step = {most:g}",
}


def ending(status: int, nit: int, largest: float, gtol: float, bounded: bool = False, scaled: bool = False) -> tuple[int, str, str]:
    """(status, reason, message) of a result, for the endings that every descent has. largest: the largest entry of the gradient."""
    code, reason, words = ENDINGS[status]
    what = f"{'projected gradient' if bounded else 'gradient'}{' times x_scale' if scaled else ''}"
    return code, reason, words(nit, f"the largest entry of the {what} is {largest:.3g}", gtol)


def overflow_text(method: Method, nit: int, largest: float) -> str:
    """The message where the square of a gradient overflowed in a vector of the method."""
    text = f"the square of the gradient, {largest:.3g}, overflowed in {method.name} in iteration {nit}, and parameters would stand still"
    return f"{text} from there on: scale the cost, or give clip_value="


def not_finite_text(at_start: bool, value: float, where: str, differences: bool = False) -> str:
    """The message where the cost or its gradient is not finite: at x0, where the cost is `value` (nan also where it was not asked for), or
    where the words say."""
    if not at_start:
        return f"the cost or its gradient is not finite {where}"
    if differences and math.isfinite(value):
        return (
            "the cost is finite at x0, and beside it, where differences are taken, it is not or jumps: start away from there, or give "
            "jac=, or shorter lengths as diff_step="
        )
    what = f"the cost is {value}" if math.isinf(value) else f"the {'cost or its ' if math.isnan(value) else ''}gradient is not finite"
    return f"{what} at x0: start where both are finite"


class LineDescent(Counted):
    """One minimisation: its run, the path, and its ending. `mflow.minimize` drives it."""

    run: line_descent.LineDescent
    saving: Saving | None = None
    onward: Onward | None = None
    began = math.nan  # the cost at x0
    _asked = _ended = False  # whether it has stalled, and for good
    mark: tuple[int, float, float] | None = None  # iterations, cost and largest slope where it was last looked at for that
    still = 0  # how often in a row the cost has been as it was
    _slow = False  # whether differences were compared with central ones, as it got on slowly
    _rested: tuple[Array, bool] | None = None  # where it was asked of values whether it rests, and the answer
    _largest = math.nan  # the largest entry of the gradient of a minimum to rounding
    _again = 0  # how often it began again with other differences where it had come to an end; AGAIN: it no longer does
    _least: float | None = None  # of this run of the core's; None: not known yet
    goal = Goal()  # of a run with these
    measured = looked_for = False  # whether the lengths of the parameters were measured along the way; whether that was tried

    def __init__(
        self, doubts: Doubts, method: Method, search: Any, settings: dict[str, Any], keep_path: bool,
        tell: Callable[[LineDescent], bool] | None, products: Any = None, tests: Tests | None = None,
        scale: Array | None = None,
    ) -> None:  # fmt: skip
        self.doubts, start, self.tests, self.scale = doubts, doubts.start, tests, scale
        self.keep_path, self.start, self.tell = keep_path, start, tell
        if settings or method.numbers or not isinstance(search, str):
            self.method, self.search, self._rule, self._trusts = ruled(method, LineSearch.of(search), settings)
        else:
            kind: Any = type(method)
            self.method, self.search, self._rule, self._trusts = usual(kind, search)
        if doubts.box is not None:
            check_box(self.method, doubts.bounded_by)
        self.problem = doubts.problem()
        if doubts.callback is not None:
            self._rule = {**self._rule, "rises": RISES}
        if not self.problem.has_value:
            raise TypeError("line_search: it compares values of the cost, and fun=None gives none")
        if scale is not None:
            doubts.measure_by(scale)
        self._given, self._source = products, self._products(products) if self._trusts else None
        self.run, self._python = self._run_from(start), not self.problem.compiled
        self._pieces: list[tuple[Array, Array, Array, Array]] = []
        self._first: tuple[Array, float] | None = None

    def _products(self, given: Any) -> Products | None:
        """Where the products H p of a trust region come from; None: differences of gradients."""
        source = given if given is not None else self.doubts.fun if isinstance(self.doubts.fun, Objective) else None
        return None if source is None else Products(source, self.start.shape)

    def _run_from(self, x: Array) -> line_descent.LineDescent:
        lower, upper = (None, None) if self.doubts.box is None else self.doubts.box
        run = line_descent.LineDescent(
            self.method.record, self.problem, x, line_descent.KINDS[self.search.kind], self._rule, self.method.numbers, lower, upper,
            self._source, NOISY_STEP if self.doubts.differences else 0.0, self.scale,
        )  # fmt: skip
        run.plain = self.measured and not self.doubts.usual  # a gtol that is given is one of x
        return run

    @functools.cached_property
    def from_zero(self) -> bool:
        """Whether a parameter began at 0, which tells no size."""
        return not self.doubts.start.all()

    @property
    def nit(self) -> int:
        """Iterations so far."""
        return self.earlier + int(self.run.k)

    def going(self) -> dict[str, Any]:
        """What decides how a run by differences goes on, beside the state of the core's run, for a file."""
        return {"earlier": self.earlier, "again": self._again, "slow": self._slow, "asked": self._asked, "ended": self._ended,
                "once": bool(self.run.once), "least": bool(self._least)}  # fmt: skip

    def go_on(self, saved: Any) -> None:
        """The same from a file. Raises TypeError or ValueError where no run has come to this."""
        usual = self.going()
        if not isinstance(saved, dict) or set(saved) != set(usual):
            raise ValueError(f"going: expected {', '.join(usual)}, got {saved!r}")
        for name, value in usual.items():
            if isinstance(value, bool) and not isinstance(saved[name], bool):
                raise ValueError(f"{name}: expected true or false, got {saved[name]!r}")
        again, earlier = check_whole(saved["again"], "again", 0, AGAIN), check_whole(saved["earlier"], "earlier", 0, 2**53)
        if (earlier and not again and not self.measured) or (saved["ended"] and not saved["asked"]) or (saved["slow"] and again < AGAIN):
            raise ValueError(f"going: expected what a run may have come to, got {saved!r}")
        self.earlier = earlier
        if self.doubts.callback is not None:
            self._again, self._slow, self._asked, self._ended = again, saved["slow"], saved["asked"], saved["ended"]
            self.run.once, self._least = saved["once"], LEAST if saved["least"] else 0.0

    def here(self) -> tuple[Array, float, Array]:
        """The point where it stands, its value and gradient."""
        x, grad = self.run.here()
        return x, self.run.value, grad

    def go(self, limit: int, gtol: float, callback: Any) -> int:
        """0: the iteration limit; CONVERGED; STOPPED by the callback; anything else: why it could not go on."""
        if self._least is None:  # not from a file
            self.run.once = self.doubts.callback is not None and not self._trusts
        status = self._go(limit, gtol)
        ended = status == CONVERGED and self.doubts.callback is None  # by a gradient that was given, as most
        while not ended:
            ended, status = self._changed(status)
            if not ended:
                self._least = None
                status = self._go(limit, gtol)
        if status not in (FAILED, STALLED):
            return status
        unsized = self.run.uneven and self.from_zero and self.doubts.checks and not self.looked_for  # measured first
        return RESTS if not unsized and self.at_rest(gtol) else status

    def at_rest(self, gtol: float) -> bool:
        """Whether the lowest point is a minimum to rounding; by differences its values tell, of few parameters."""
        from mflow.curvature.resting import rests  # few runs need it

        x, value, grad = self.run.lowest()
        if not gtol > 0.0 or self.doubts.text or grad is None:
            return False
        both, calls, box, flat = both_of(self.problem, self.start), 0, self.doubts.box, x.ravel()
        slopes, held = grad.ravel(), np.zeros(x.size, bool)
        units = np.ones(1) if self.scale is None or not self.run.in_units else self.scale.ravel()
        sizes = self.start if self.scale is None else np.maximum(np.abs(self.start), self.scale)
        if box is not None:
            held = ((flat <= box.flat[0]) & (slopes >= 0.0)) | ((flat >= box.flat[1]) & (slopes <= 0.0))
        if self.doubts.differenced:
            if self._rested is None or not np.array_equal(self._rested[0], x):
                self._largest, self._rested = largest((units * slopes)[~held]), (x, self._rests_by_values(flat, value, held))
            return self._rested[1]
        self._largest = largest(units * slopes)

        def free(some: Array) -> tuple[float, Array]:
            nonlocal calls
            at = flat.copy()
            at[~held] = some
            there = None
            if box is None or np.all((box.flat[0] <= at) & (at <= box.flat[1])):
                calls += 1
                there = tried(both, at)
            return (math.nan, np.full(some.size, math.nan)) if there is None else (there[0], there[1].ravel()[~held])

        try:
            return not np.any(~held) or rests(free, flat[~held], value, slopes[~held], sizes.ravel()[~held], self.began)
        finally:
            self.doubts.beside += calls * self.problem.compiled  # a Python cost counts its own

    def _rests_by_values(self, x: Array, value: float, held: NDArray[np.bool_]) -> bool:
        from mflow.curvature.resting import rests_by_values

        def free(some: Array) -> float:
            at = x.copy()
            at[~held] = some
            fits = box is None or bool(np.all((box.flat[0] <= at) & (at <= box.flat[1])))
            self.doubts.valued += fits
            return number_tried(self.doubts.value, at) if fits else math.nan

        box, told = self.doubts.box, self.doubts.callback is not None and x.size <= BY_VALUES
        return told and bool(np.any(~held)) and rests_by_values(free, x[~held], value)

    def _changed(self, status: int) -> tuple[bool, int]:
        """(whether it is over, its status) of a run that has come to this; else it goes on, by other differences or as it was."""
        if status == line_descent.FAILED and self.run.once and not self._again:
            status = self._sharpened()
            return status != 0, status
        if self._again < AGAIN and self.doubts.callback is not None and status in (CONVERGED, line_descent.FAILED):
            x, grad = self.run.here()
            unseen = self.doubts.blind if status == CONVERGED else self.doubts.reaches
            if (self._again < SHORTENED and self.doubts.steeper(x, grad)) or unseen(x, self.run.value, grad):
                self._again += 1
                self._begin(x)
                return False, 0
        if status not in (line_descent.FAILED, SLOW, STALLED):
            return True, status
        x, value, slope = self.run.lowest()
        self._again, self._slow = AGAIN, self._slow or status != STALLED
        sharper = status != STALLED and slope is not None and self.doubts.sharper(self.run.gradient, x, slope)
        if sharper or (status != SLOW and self.doubts.longer(self.problem, x.ravel(), value)):
            self._begin(x)
        elif status == line_descent.FAILED or self._ended:
            return True, status
        self.mark = None
        return False, 0

    def measure(self) -> bool:
        """Whether the cost shows that its parameters are of different units, where none were given: it begins anew from the lowest point in
        lengths of their own then."""
        from mflow.derivatives.scales import measured, spread  # few runs need it

        x, value, grad = self.run.lowest()
        known, self.looked_for = self.looked_for or self.scale is not None, True
        if known or not 1 < x.size <= MEASURED or grad is None:
            return False
        box = None if self.doubts.box is None else self.doubts.box.flat
        values = None if self.doubts.callback is None else (self.doubts.value, value)
        lengths, calls = measured(gradient_of(self.problem, self.start), x.ravel(), grad.ravel(), box, self.from_zero, values)
        self.doubts.beside += calls * self.problem.compiled  # a Python gradient counts its own
        if values is not None:
            self.doubts.callback.nfev += calls
        if lengths is None or spread(lengths) < UNLIKE or has_kink(self.doubts, x.ravel(), value):
            return False
        self.scale, self.measured, self.goal = lengths.reshape(self.start.shape), True, Goal(value=value)
        self.doubts.measure_by(self.scale)
        self._begin(x)
        self._least = None
        return True

    def in_lengths(self) -> dict[str, Any]:
        """The lengths that were measured, for a file, and the iterations before that."""
        from mflow.derivatives.scales import powers_of

        return {"powers": powers_of(self.scale), "earlier": self.earlier, "goal": list(self.goal)}

    def take_lengths(self, saved: Any) -> None:
        """The same from a file. Raises TypeError or ValueError where there can be none."""
        from mflow.derivatives.scales import scale_of_powers

        if not isinstance(saved, dict) or set(saved) != {"powers", "earlier", "goal"} or self.scale is not None:
            raise ValueError(f"lengths: expected powers, earlier and goal of a call without x_scale, got {saved!r}")
        self.scale, self.measured = scale_of_powers(saved["powers"], self.start), True
        self.doubts.measure_by(self.scale)
        self.goal = Goal.of(saved["goal"])
        self.earlier, self.run, self.looked_for = check_whole(saved["earlier"], "earlier", 0, 2**53), self._run_from(self.start), True

    def _begin(self, x: Array) -> None:
        """Anew from x."""
        if self.problem.compiled:  # a Python cost counts its own
            self.before = self.before[0] + self.run.nfev, self.before[1] + self.run.njev
        self.earlier, self.run, self.mark = self.nit, self._run_from(x), None

    def _sharpened(self) -> int:
        """Where a search by differences has failed, as slopes were untrue: on by central ones, where they were forward. The status."""
        kind: Any = type(self.method)
        x, _, slope = self.run.lowest()
        if slope is None or not largest(x) < LARGE or not self.doubts.sharpens():
            return self.run.renew(False)
        status, self.mark = self.run.renew(inverse_kept(kind) != ""), None
        return status if status or self.doubts.turned(self.run.here()[1], slope, FAINTLY) else self.run.renew(False)

    def _go(self, limit: int, gtol: float) -> int:
        run, tells = self.run, self.tell is not None or self.tests is not None
        in_one = self._python and self.saving is None and not tells and not self.keep_path
        self.doubts.later = in_one and self.doubts.box is None
        status = self._advance(0, gtol) if self.keep_path else run.advance(0, gtol)
        if run.k == self.earlier == 0:
            self.began = run.value
        limit -= self.earlier
        if self._least is None:
            self._least = LEAST if self.doubts.differs_as_usual and run.size >= TINY else 0.0
        run.least = self._least
        if self.mark is None:
            self.mark, self.still = run.standing, 0
        if run.k != self.mark[0]:  # it was saved after that
            status = self._looked(status, self.mark)
        while status == 0 and run.k < limit:
            before = run.k
            count = min(limit, self.mark[0] + STALLING) - before
            if self.saving is not None:
                count = self.saving.room(self.nit, count)
            last = None if self.tests is None else (*run.here(), run.value)
            count = 1 if tells else min(count, SHORT) if in_one and before == 0 else count
            status = self._advance(count, gtol) if self.keep_path else run.advance(count, gtol, paced=True)
            if in_one and status != CONVERGED:
                self.doubts.ask()
            if status == 0 and self.saving is not None:
                self.saving.look(self)
            stalled = self._looked(status, self.mark) if status == 0 else 0
            if self.tell is not None and run.k > before and self.tell(self):
                return status if status == CONVERGED else STOPPED
            if status == 0 and self.tests is not None and last is not None:
                status = self._tested(self.tests, last[0], last[2])
            status = stalled if status == 0 else status
        return status

    def _looked(self, status: int, mark: tuple[int, float, float]) -> int:
        """The status, once STALLING iterations after `mark` it was seen whether it gets on."""
        if status == 0 and self.run.k - mark[0] >= STALLING:
            status, self.mark = self._stalled(*mark[1:]), self.run.standing
            if status == 0 and self.run.k >= LONG and self.run.uneven and not self.looked_for and self.doubts.checks:
                status = UNEVEN
        return status

    def _stalled(self, value: float, slope: float) -> int:
        """STALLED where the cost has had the same value for PATIENCE times STALLING iterations, and a gradient of the same size; 0 where
        not. By differences also once where it has moved by less than their length along the largest slope, as where a kink lies within
        them: they may tell none; and SLOW, once, where it falls by little; both need a run without a file, which says nothing of lengths.
        value, slope: what cost and largest slope were STALLING iterations ago."""
        differences = self.doubts.callback is not None
        if not self._slow and differences and value - self.run.value <= SLOWLY * abs(value):
            return SLOW
        now = self.run.largest_slope[1]
        short = EPS**0.5 * now if differences and not self._asked else 0.0
        self.still = self.still + 1 if self.run.value == value and now > SINKS * slope else 0
        if not (self.still == PATIENCE or abs(value - self.run.value) < short):
            return 0
        self._asked, self._ended = True, self.still == PATIENCE
        return STALLED

    def _tested(self, tests: Tests, x: Array, value: float) -> int:
        """The code of the test that ends the run after a step from x; 0: none."""
        at, now = self.run.here()[0], self.run.value
        if value - now <= tests.ftol * max(abs(value), abs(now), 1.0) and tests.ftol > 0.0:
            return BY_FTOL
        if np.linalg.norm(at - x) <= tests.xrtol * (tests.xrtol + np.linalg.norm(at)) and tests.xrtol > 0.0:
            return BY_XRTOL
        return BY_MAXFUN if self.nfev >= tests.maxfun else 0

    def _advance(self, count: int, gtol: float) -> int:
        """Iterations whose way is kept."""
        piece = min(count, max(1, 1_000_000 // max(1, self.start.size)))
        n, before = self.start.size, self.run.k
        room = (np.empty((piece, n)), np.empty((piece, n)), np.empty(piece), np.empty(piece))
        if self._first is None and self.nit > 0:  # it goes on from a file
            self._first = (np.array(self.run.here()[0]), self.run.value)
        try:
            return self.run.advance(piece, gtol, *room, paced=True)
        finally:
            if self._first is None:
                self._first = (self.start.copy(), self.run.value if self.run.k == 0 else math.nan)
            made = self.run.k - before
            if made:
                self._pieces.append(tuple(a[:made] for a in room))  # type: ignore[arg-type]

    def finish(self, status: int, gtol: float) -> OptimizeResult:
        """The result, with the ending in words."""
        if status == RESTS:
            out = self.result(*ending(status, self.nit, self._largest, gtol, self.doubts.box is not None, self.run.in_units), low=True)
        elif status in ENDINGS:
            code, reason, _ = ENDINGS[status]
            out = self.result(code, reason, functools.partial(self._words, status, gtol))
            if status == CONVERGED and self.run.value < -AWAY and self.doubts.differences and self.doubts.box is None:
                self._look_farther(out)
        else:
            out = self._failed(status, gtol)
        if self._given is not None and (out.nit >= MANY or out.reason == "trust_region_failed"):
            self._look_at_hessian(out, self._given)
        return out

    def _words(self, status: int, gtol: float) -> str:
        """The message of an ending, made when it is looked at: the run stays as it is."""
        return ending(status, self.nit, self.run.largest_slope[1], gtol, self.doubts.box is not None, self.run.in_units)[2]

    def _look_at_hessian(self, out: OptimizeResult, product: Callable[[Array, Array], Any]) -> None:
        """Where a trust region took long, or failed: whether it was led by products that are not the Hessian's."""
        shape, before = self.start.shape, (self.nfev, self.njev)
        text = hessian_said(out.x.ravel(), lambda x, v: product(x.reshape(shape), v.reshape(shape)), gradient_of(self.problem, self.start))
        out.nfev, out.njev = out.nfev + self.nfev - before[0], out.njev + self.njev - before[1]
        if text:
            out.message = f"{out.message}; {text}"
            tell(f"minimize: {text}", GradientWarning)

    def _failed(self, status: int, gtol: float) -> OptimizeResult:
        nit = self.nit
        _, last = self.run.largest_slope
        reason = "trust_region_failed" if self._trusts else "line_search_failed"
        if status == line_descent.FAILED:
            return self.result(-1, reason, self._failure(last, gtol))
        if status == STALLED:
            hint = "" if self.doubts.text else self._gradient_in_doubt()
            units = " times x_scale" if self.run.in_units else ""
            what = (
                f"{STALLING * PATIENCE} iterations have not lowered the cost, and its gradient{units} is {last:.3g}, above "
                f"gtol = {gtol:g}{hint}"
            )
            return self.result(-1, reason, what)
        if status == -1005:
            unseen = math.isnan(self.run.largest_slope[0])
            where = f"in iteration {nit}: x is the lowest point seen"
            text = not_finite_text(unseen, self.run.value, where, self.doubts.callback is not None)
            return self.result(-1, "non_finite", text)
        text = "asked for a smaller step" if status > 0 else "gave up"
        return self.result(-1, "rhs_failed", f"the cost function {text} in iteration {nit} with code {status}", ask=False)

    def _failure(self, last: float, gtol: float) -> str:
        status, _, slope0, _, trials = self.run.last_search
        why = WHY.get(status, "").format(limit=self.search.max_evaluations, most=self.search.max_step)
        what = f"the trust region of {self.method.name}" if self._trusts else self.search.kind
        text = f"{what} failed in iteration {self.nit}: {why} (slope {slope0:.3g} along it, {trials} trials)"
        hint = ""
        if status in (3, 4):
            text = f"{self._unbounded()}{text}"
        if status == 2:
            hint = "" if self.doubts.text else self._gradient_in_doubt()
            if last <= JUMP * self.run.largest_slope[0]:
                hint = ": the last digits of the cost are spent, raise gtol"
        if not math.isfinite(slope0):
            hint = f": products of the gradient overflow, scale the cost, as by {1.0 / max(last, 1.0):.0e}"
            if self._trusts and last < SQUARED:
                why = "a product with the Hessian is not finite, as where the gradient has no value beside x"
                hint = f": {why}; give hess, or x in units in which its entries are of like size"
        what = "gradient times x_scale" if self.run.in_units else "gradient"
        return f"{text}; the largest entry of the {what} is {last:.3g}, above gtol = {gtol:g}{hint}"

    def _unbounded(self) -> str:
        """Where the trials of the last search lead ever farther and lower: what a cost without a lower bound does."""
        x, value, _ = self.run.lowest()
        away = np.array(x).ravel() - self.start.ravel()
        far = float(np.max(np.abs(away)))
        if not (math.isfinite(far) and far > AWAY * max(1.0, float(np.max(np.abs(self.start)))) and value < -AWAY):
            return ""
        along = np.array2string(away / far, precision=3, threshold=10)
        return f"the cost seems to have no lower bound: it is {value:.3g} and still falls {far:.3g} away from x0 along {along}; "

    def _look_farther(self, out: OptimizeResult) -> None:
        """So far from x0 that differences are shorter than the rounding of x: whether the cost still falls beyond."""
        words = self._unbounded()
        if not words:
            return
        out.nfev += 1
        beyond = tried(self.doubts.value, out.x.ravel() + 0.5 * (out.x - self.start).ravel())
        if beyond is not None and out.fun - float(beyond) > FALL * abs(out.fun):
            out.success, out.status, out.reason, out.message = False, -1, "not_a_minimum", f"{words}{out.message}"

    def _gradient_in_doubt(self) -> str:
        """Why no step lowers the cost; of differences, whether the cost repeats is asked once."""
        if not self.doubts.differences:
            return JUMPS
        x, value, _ = self.run.lowest()
        again = None if self.problem.compiled else tried(self.doubts.value, np.array(x).ravel())
        apart = 0.0 if again is None else abs(float(again) - value)
        if apart > 0.0:
            return (
                f"; the cost does not repeat: two values at x differ by {apart:.2g}, and differences of it tell no slope. "
                "Fix the seed of its noise, give diff_step= so long that the cost changes by more, or jac="
            )
        return ASKS

    def result(
        self, status: int, reason: str, message: str | Callable[[], str], ask: bool = True, low: bool = False,
    ) -> OptimizeResult:  # fmt: skip
        """x is the point that met gtol, else the lowest point seen, asked for by `low`. ask: its gradient may be evaluated where it is
        missing. message: or what makes it when it is looked at."""
        run, method = self.run, self.method
        (x, grad), value = run.here(), run.value
        if reason != "converged" or low:
            x, value, low_grad = run.lowest()
            grad = run.gradient(x) if low_grad is None and ask else np.full(x.shape, math.nan) if low_grad is None else low_grad
        entries = {
            "x": x, "fun": value, "jac": grad, "nit": self.earlier + run.k,
            "nfev": run.nfev + self.before[0] + self.doubts.complex_steps[0], "njev": run.njev + self.before[1],
            "success": status == 0, "status": status, "reason": reason, "method": method, "line_search": self.search,
            "nrestarts": run.restarts, "x_scale": self.scale,
        }  # fmt: skip
        later: dict[str, Callable[[], Any]] = {"message": message} if callable(message) else {}
        if not later:
            entries["message"] = message
        if self.keep_path:
            entries["path"] = self._path()
        kind: Any = type(method)
        if self.doubts.box is None and inverse_kept(kind):
            later["hess_inv"] = self._inverse
        out = with_entries_later(OptimizeResult, entries, later)
        keep_origin(out, functools.partial(self._landscape, reason == "converged" and not low))
        return out

    def _inverse(self) -> Any:
        kind: Any = type(self.method)
        how = line_descent.KINDS[self.search.kind], self._rule, self.method.numbers
        return inverse_of(inverse_kept(kind) == "whole", self.run, self.start.size, how)

    def _landscape(self, converged: bool) -> Landscape:
        """The cost around the end."""
        flat = (self.run.here() if converged else self.run.lowest())[0].ravel()
        shape, differences = self.start.shape, self.doubts.differences and not self.problem.compiled
        return Landscape(
            flat, gradient_of(self.problem, self.start), products_of(self.doubts.fun, flat), lambda v: v.reshape(shape),
            converged=converged, longer=OF_DIFFERENCES if differences else 1.0,
            box=None if self.doubts.box is None else self.doubts.box.flat,
            value=value_of(self.problem, self.start) if differences else None,
        )  # fmt: skip

    def _path(self) -> Result:
        first, value = self._first if self._first is not None else (self.start.copy(), math.nan)
        shape, n = self.start.shape, self.start.size
        empty = (np.empty((0, n)), np.empty((0, n)), np.empty(0), np.empty(0))
        x, d, a, f = (np.concatenate(parts) for parts in zip(empty, *self._pieces, strict=True))
        return Result(
            x=np.concatenate([first.reshape(1, n), x]).reshape(-1, *shape),
            directions=d.reshape(-1, *shape),
            steps=a,
            fun=np.concatenate([[value], f]),
        )
