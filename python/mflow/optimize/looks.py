"""Looks at a minimisation beside it: its curvature along the way, a progress bar, its file, and the landscape where it ends.

The file is that of a `Stepper` (`mflow.saving.saved_run`), so either goes on from the other's, as `train` and a C host do, where the
method is the same. With a line search it holds the descent's own state, which a C host's descent reads too.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from mflow_core.stepping import stepper

from mflow.base.checks import Array, check_flags, check_number, check_path, check_whole
from mflow.base.methods import Method
from mflow.base.progress import Progress
from mflow.base.result import OptimizeResult, Result, keep_origin
from mflow.curvature.frozen import Bearing
from mflow.curvature.landscape import OF_DIFFERENCES, Landscape, gradient_of, largest_step, products_of, run_bearing, value_of
from mflow.curvature.watch import Watch, watch_of
from mflow.derivatives.cost_look import NOISY
from mflow.derivatives.differences import FALL, UNLIKE
from mflow.optimize.doubts import Doubts
from mflow.saving.fields import NOT_CONTROLLED, check_fields, check_names, counts_of
from mflow.saving.saved_look import look_of, read_look
from mflow.saving.savefile import misfit_of, number_of, read_state, write_state
from mflow.solvers.jacobian_doubt import WrongJacobianError
from mflow.stability.limits import stability_limit

if TYPE_CHECKING:
    from mflow.saving.saved_run import SavedRun

__all__ = [
    "FINER",
    "SPENT",
    "Counted",
    "Goal",
    "Kept",
    "Looks",
    "Onward",
    "Saving",
    "asked_looks",
    "asked_path",
    "has_kink",
    "pulled",
    "unsized",
]

GOOD = (0, stepper.CONVERGED, stepper.CONVERGED - 1)  # endings at a point that is one; the last: by the callback
HIGHER = 1e-6  # of two costs, which rounding and noise may hide
ROSE = (
    "the cost rose from {:.6g} at x0 to {:.6g}, and along gradient flow it only falls: steps of dt = {:g} have left it; lower dt, or take "
    "method='backward_euler', whose steps end no higher than they begin"
)
STALLING, PATIENCE = 50, 3  # iterations that leave the cost as it was, to the last digit, and how often in a row
FINER = 4  # times that a gtol in the units of the cost gets finer as the cost falls
PROMISED = 1e-9  # of the cost: by less, in a parameter's size, it promises to fall by nothing that values show
SPENT = 1e-11  # of the cost at x0: less is left where it comes to 0, and slopes beside it tell nothing
MEASURED = 100  # parameters up to which their lengths are measured: each takes gradients
FILE_EVERY = 1000  # iterations between two files


def asked_looks(monitor: Any, every: Any, shows: Any, searches: bool) -> tuple[Any, Any, bool]:
    """(monitor, monitor_every, progress) of a call. Raises TypeError or ValueError."""
    every = check_whole(every, "monitor_every", 1)
    if shows is not False:
        check_flags(progress=shows)
    if searches and (monitor is not None or shows):
        raise ValueError("monitor, progress: a line search chooses its own steps and shows no bar; omit them")
    return monitor, every, bool(shows)


def asked_path(path: Any) -> int:
    """Which iterates are kept: 0 none, 1 all, k every k-th. Raises TypeError or ValueError."""
    if path is False or isinstance(path, (bool, np.bool_)):
        return int(path)
    return check_whole(path, "path", 0, expected="True, False or a whole number, k for every k-th iterate")


class Looks:
    """What is seen of a run of `mflow_core.stepping.stepper.Run` and its cost, by gradients of its own."""

    def __init__(self, run: Any, problem: Any, method: Method, doubts: Doubts, friction: float) -> None:
        self.run, self.problem, self.method, self.doubts, self.friction = run, problem, method, doubts, friction
        self.watch: Watch | None = None
        self.bar: Progress | None = None
        self.resumes = self.lowers = False  # whether it went on from a file; whether each step lowers the cost
        self.lr = float(method.all_numbers.get("lr", math.nan))  # as it stands; of an integrator its dt

    def begin(self, limit: int, monitor: Any, every: Any, shows: bool) -> None:
        """What is asked for. Raises ValueError where the curvature limits nothing."""
        watch = watch_of(monitor, every, "minimize", self.method.name)
        if watch is not None and ("second_order" in self.method.flags or self.method.is_implicit):
            raise ValueError(
                f"monitor: expected an optimizer or an explicit integrator, whose steps curvature limits, got {self.method.name}"
            )
        self.watch = watch
        if watch is not None:
            self.gradient = gradient_of(self.problem, self.doubts.start)
        self.bar = Progress(0.0, float(max(limit, 1)), "minimize", note=self._note) if shows else None

    def room(self, left: int) -> int:
        """Iterations until the next look, at most `left`."""
        return left if self.watch is None else min(left, self.watch.room(self.run.k))

    def around(self, descent: Any, go: Callable[[], int]) -> int:
        """A descent, and looks at its start, where its step is known, and at its end, where that is good; the bar has its last line."""
        self.resumes, self.lowers = self.run.k > 0, descent.auto is not None
        try:
            if self.run.k == 0 and descent.auto is None:
                self._look(0)
            try:
                status = go()
            except WrongJacobianError:
                status = int(stepper.SOLVE_FAILED)
                descent.evaluated, descent.nit = not math.isnan(self.run.largest_slope[1]), self.run.k
            if descent.evaluated and status in GOOD:
                self._look(self.run.k)
            return status
        finally:
            self.close()

    def take(self, evaluated: bool) -> None:
        """After some iterations; evaluated: whether there has been a good point."""
        if self.bar is not None:
            self.bar.update(float(self.run.k))
        if self.watch is not None and evaluated and self.watch.due(self.run.k):
            self._look(self.run.k)

    def _look(self, step: int) -> None:
        if self.watch is not None and self.watch.last != step:
            x = np.ravel(self.run.y)
            self.watch.look(step, x, self.gradient, products_of(self.doubts.fun, x), self._bearing, self.lr)

    def close(self) -> None:
        """The bar has its last line."""
        if self.bar is not None:
            self.bar.close(float(self.run.k))

    def fallen(self, out: OptimizeResult) -> OptimizeResult:
        """Refuses an integrator's rest above x0: a long step of several stages may leave gradient flow for a valley that no flow reaches.

        The cost at x0 is asked for, once; a single implicit equation is looked at in each step, by the core.
        """
        method, last = self.method, float(out.fun)
        follows = method.kind == "step" and (method.is_implicit or method.order > 1) and "second_order" not in method.flags
        looked_at = method.is_one_equation or self.lowers or self.resumes or out.nit == 0
        if not follows or looked_at or out.reason != "converged" or not math.isfinite(last):
            return out
        first = float(self.run.evaluate(self.doubts.start, False)[0])
        out.nfev += 1
        if last > first + HIGHER * (abs(first) + abs(last)):
            out.success, out.status, out.reason = False, -1, "solve_failed"
            out.message = f"{ROSE.format(first, last, self.lr)}; {out.message}"
        return out

    def keep(self, out: OptimizeResult) -> None:
        """What has been seen, and the landscape around the end."""
        if self.watch is not None:
            out.curvature = self.watch.result()
        shape, flat, differences = self.doubts.start.shape, np.ravel(out.x).copy(), self.doubts.differences and not self.problem.compiled
        converged = out.reason == "converged"
        keep_origin(out, lambda: Landscape(
            flat, gradient_of(self.problem, self.doubts.start), products_of(self.doubts.fun, flat), lambda v: v.reshape(shape),
            self.method.name, lambda L: largest_step(self.method, L, self.friction),
            self._bearing if self.method.kind == "update" else None, converged,
            longer=OF_DIFFERENCES if differences else 1.0, box=None if self.doubts.box is None else self.doubts.box.flat,
            value=value_of(self.problem, self.doubts.start) if differences else None,
        ))  # fmt: skip

    def _bearing(self, grad: Array) -> Bearing:
        if self.method.kind == "step":
            return Bearing(stability_limit(self.method) / self.lr, None, 0.0)
        return run_bearing(self.run, self.method, grad, self.lr)

    def _note(self, k: float) -> str:
        """The text beside the progress bar."""
        return f"iteration {k:.0f}, gradient {self.run.largest_slope[1]:.3g}" + ("" if self.watch is None else self.watch.note)


class Kept:
    """Iterates of a descent: every k-th, and the last one looked at."""

    def __init__(self, every: int) -> None:
        self.every = every
        self.k: list[int] = []
        self.fun: list[float] = []
        self.x: list[Array] = []

    def look(self, descent: Any) -> None:
        """The iterate where the descent stands."""
        x, value, _ = descent.here()
        self.put(descent.nit, x, value)

    def follow(self, descent: Any, x: Array) -> None:
        """The iterate of a run that follows the curvature, x, where its cost has not been evaluated."""
        value, before = math.nan, descent.run.nfev
        if descent.problem.has_value:
            value = float(descent.run.evaluate(x, False)[0])
            descent.auto.beside += descent.run.nfev - before
        self.put(descent.run.k, x, value)

    def put(self, k: int, x: Array, value: float) -> None:
        """Iterate k, in place of one of that number; the one before stays if it is one of those to be kept."""
        if self.k and (self.k[-1] == k or self.k[-1] % self.every):  # or was kept as the last one, which it no longer is
            for values in (self.k, self.fun, self.x):
                values.pop()
        self.k.append(k)
        self.fun.append(value)
        self.x.append(x)

    def close(self, descent: Any) -> None:
        """The descent broke off: x_nit is kept as well, with its value where there is one."""
        if self.k and self.k[-1] == descent.nit:
            return
        if descent.evaluated and not (self.x and np.array_equal(descent.run.here()[0], self.x[-1])):
            self.look(descent)
        else:
            self.k.append(descent.nit)
            self.fun.append(math.nan)
            self.x.append(descent.run.y)

    def path(self, shape: tuple[int, ...]) -> Result:
        """The iterates as arrays, x in the shape of the start."""
        x = np.array(self.x, dtype=np.float64).reshape(-1, *shape)
        return Result(x=x, fun=np.array(self.fun, dtype=np.float64), k=np.array(self.k, dtype=np.int64))


class Counted:
    """Evaluations of a minimisation from its beginning, those before it went on from a file among them."""

    run: Any
    doubts: Doubts
    before = (0, 0)
    scale: Array | None = None  # lengths of the parameters, of searches alone
    earlier = 0  # iterations before this run of the core's

    @property
    def done(self) -> int:
        """Iterations so far, one that broke off not among them."""
        return self.earlier + int(self.run.k)

    @property
    def nfev(self) -> int:
        """Evaluations of the cost."""
        return int(self.run.nfev) + self.before[0] + self.doubts.complex_steps[0]

    @property
    def njev(self) -> int:
        """Evaluations of its gradient."""
        return int(self.run.njev) + self.before[1]


class Goal(NamedTuple):
    """What a run in lengths of its own goes on to: how often gtol was made finer, that (NaN: not known yet), the cost it is meant for, and
    the gtol before it, which was met."""

    rounds: int = 0
    gtol: float = math.nan
    value: float = math.nan
    before: float = 0.0

    @classmethod
    def of(cls, saved: Any) -> Goal:
        """From a file. Raises TypeError or ValueError where it is none."""
        if not isinstance(saved, list) or len(saved) != len(cls._fields):
            raise ValueError(f"goal: expected {', '.join(cls._fields)}, got {saved!r}")
        rounds, gtol, value, before = saved
        gtol, before = (check_number(number, "goal", low=0.0) for number in (gtol, before))
        return cls(check_whole(rounds, "goal", 0, FINER), gtol, check_number(value, "goal"), before)


def pulled(descent: Any) -> bool:
    """Whether a gradient that is small may be so for the units of cost and x alone: numbers of x differ by a thousand, or are so small or
    large; it is large beside the cost, and what it has come down by, in the size of some parameter; or the room to a bound is what is
    small, and not the slope."""
    run = descent.run
    if run.uneven or run.pulls(descent.began, FALL):
        return True
    if not 1.0 / UNLIKE < run.size < UNLIKE and run.pulls(descent.began, PROMISED):
        return True
    if descent.doubts.box is None:
        return False
    x, grad = run.here()
    (lower, upper), gtol = descent.doubts.box, descent.doubts.gtol
    return bool(np.any(((x > lower) & (grad > gtol)) | ((x < upper) & (grad < -gtol))))


def unsized(descent: Any) -> bool:
    """Whether an end is one of parameters whose sizes tell too little: they differ, and the gradient is large beside the cost that is left;
    or some began at 0, which tells none, and either is so."""
    run = descent.run
    if descent.from_zero:
        return bool((run.uneven and not descent.doubts.differenced) or run.pulls(descent.began, FALL))
    return bool(run.uneven and run.pulls(math.nan, FALL) and not abs(run.value) < SPENT * abs(descent.began))


def has_kink(doubts: Any, x: Array, value: float) -> bool:
    """Whether a cost without a gradient has a kink at a flat x: a parameter that is nearly 0 there tells no length by it."""
    look, callback = doubts.look, doubts.callback
    if look is None or callback is None:
        return False
    words, calls = look.kink_at(x, value)
    callback.nfev += calls
    return bool(words)


class Onward(NamedTuple):
    """Why a run has gone on to a finer gtol than the usual one: that, the share of the cost by which it still fell (0: not known yet), what
    it was, and how far it had come down if that is more, after how many iterations; whether iterations told, and not steps along the
    gradient."""

    gtol: float
    fall: float
    value: float
    size: float
    nit: int
    tried: bool = False

    @classmethod
    def of(cls, saved: Any) -> Onward:
        """From a file. Raises TypeError or ValueError where it is none."""
        if not isinstance(saved, list) or len(saved) != 6 or not isinstance(saved[5], bool):
            raise ValueError(f"onward: expected four numbers, iterations and true or false, got {saved!r}")
        gtol, fall, size = (check_number(saved[i], "onward", low=0.0) for i in (0, 1, 3))
        return cls(gtol, fall, check_number(saved[2], "onward"), size, check_whole(saved[4], "onward", 0, 2**53), saved[5])


class Saving:
    """What a call says of its file. Raises TypeError or ValueError where that does not fit."""

    def __init__(self, path: Any, every: Any, resume: Any) -> None:
        self.path = None if path is None else check_path(path, "checkpoint")
        if path is None and every is not None:
            raise ValueError("checkpoint_every: there is no file to write; give checkpoint= as well")
        self.every, self.source, self.last = FILE_EVERY if every is None else check_whole(every, "checkpoint_every", 1), resume, (-1, 0, 0)

    def begin(self, descent: Any) -> None:
        """Goes back to where the file was written. Raises ValueError where it belongs to another run."""
        descent.saving = self
        if getattr(descent, "auto", None) is not None:
            raise ValueError('checkpoint, resume: lr="auto" remembers more than its file would; give lr a number or a schedule')
        if self.source is None:
            return
        from mflow.saving.saved_run import read_run

        steps = isinstance(descent.run, stepper.Run)
        facts, saved = ({}, {}) if steps else read_state(self.source, "stepper", "resume")
        run: Any = read_run(self.source, "resume") if steps else None
        try:
            made = (descent.nfev, descent.njev)
            if steps:
                _restore(descent, run)
            else:
                _restore_search(descent, facts, saved)
            counts = run.counts if steps else counts_of(facts, descent.done)
            after = (descent.nfev, descent.njev)  # a compiled line search restores its own counts
            descent.before = tuple(max(0, count - (b - a)) for count, a, b in zip(counts, made, after, strict=True))
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"resume: {self.source} does not fit this call, or is damaged ({misfit_of(error)})") from error

    def room(self, k: int, left: int) -> int:
        """Iterations until the next file, at most `left`."""
        return left if self.path is None else min(left, self.every - k % self.every)

    def look(self, descent: Any) -> None:
        """After some iterations that went well: the file, where it is due."""
        k = descent.done
        if self.path is not None and k and k % self.every == 0:
            self._write(descent, k)

    def end(self, descent: Any, well: bool) -> None:
        """After the last iteration; well: where it ended is a state to go on from."""
        if self.path is not None and well:
            self._write(descent, descent.done)

    def _write(self, descent: Any, k: int) -> None:
        now = (k, descent.nfev, descent.njev)
        if now == self.last or self.path is None:
            return
        self.last = now
        method, start, run = descent.method, descent.start, descent.run
        known: dict[str, Any] = {"counts": [descent.nfev, descent.njev]}
        doubts = descent.doubts
        if doubts.look is not None and doubts.callback is not None:
            found, arrays = doubts.look.kept(doubts.callback)
            known["differences"] = look_of(found, {**arrays, "start": doubts.start})
        if isinstance(run, stepper.Run):
            from mflow.saving.saved_run import write_run

            more: dict[str, Any] = {"clock": [k * float(method.all_numbers["lr"]), 0.0]} if method.kind == "update" else {}
            write_run(self.path, method, start, run, {**more, **known})
            return
        facts = {**_search_of(descent), **known, "stalling": [*(descent.mark or (0, 0.0, 0.0)), descent.still]}
        facts |= {"going": descent.going()} if "differences" in known else {}
        facts |= {"lengths": descent.in_lengths()} if descent.measured else {}
        facts |= {"looked": True} if descent.looked_for and not descent.measured else {}
        facts |= {"from_zero": descent.from_zero} if descent.start.size <= MEASURED else {}
        facts |= {"began": float(descent.began)} if math.isfinite(descent.began) else {}
        facts |= {"onward": list(descent.onward)} if descent.onward is not None else {}
        write_state(self.path, "stepper", facts, {"descent": run.save()})


def _search_of(descent: Any) -> dict[str, Any]:
    """What must be the same in the call that goes on with a line search or a trust region."""
    return {"method": descent.method.name, "shape": list(descent.start.shape), "control": NOT_CONTROLLED}


def _restore_search(descent: Any, facts: dict[str, Any], blocks: dict[str, bytes]) -> None:
    mine = _search_of(descent)
    if "run" in blocks:
        raise ValueError(f"descent: expected the state of a search by {descent.method.name}, got that of steps by {facts.get('method')}")
    check_names(
        "facts", facts, {*mine, "counts"}, {"stalling", "going", "differences", "began", "onward", "lengths", "from_zero", "looked"}
    )
    check_fields(facts, mine)
    if ("going" in facts) != ("differences" in facts) or ("going" in facts and "began" not in facts):
        raise ValueError("going, differences, began: expected all of them or none of the first two")
    check_names("blocks", blocks, {"descent"})
    if "lengths" in facts:
        descent.take_lengths(facts["lengths"])
    descent.run.restore(blocks["descent"])
    same = False
    if "stalling" in facts:
        descent.mark, descent.still = _stalling(facts["stalling"], int(descent.run.k))
    descent.began = check_number(facts["began"], "began", low=descent.run.value) if "began" in facts else descent.run.value
    if "looked" in facts:
        check_flags(looked=facts["looked"])
        descent.looked_for = facts["looked"] or descent.looked_for
    if "onward" in facts:
        descent.onward = Onward.of(facts["onward"])
    if "differences" in facts:
        descent.go_on(facts["going"])
        same = _restore_look(descent.doubts, facts["differences"])
    if "from_zero" in facts:
        check_flags(from_zero=facts["from_zero"])
        if same and facts["from_zero"] != (not descent.doubts.start.all()):
            raise ValueError(f"from_zero: expected what the start is, got {facts['from_zero']}")
        descent.from_zero = facts["from_zero"]


def _restore_look(doubts: Doubts, saved: Any) -> bool:
    """What is known of differences, and where the run began; False where they are asked for otherwise in this call, or are none."""
    found, arrays = read_look(saved, doubts.start.size)
    if found["noise"] > NOISY and not found["step"]:
        raise ValueError(f"noise: expected none where differences are not longer for it, got {found['noise']!r}")
    start = arrays.pop("start")
    if doubts.look is not None and doubts.callback is not None and doubts.look.take(doubts.callback, found, arrays):
        doubts.start = start.reshape(doubts.start.shape)
        return True
    return False


def _stalling(saved: Any, k: int) -> tuple[tuple[int, float, float], int]:
    """(where it was last looked at whether the run gets on, how often in a row it had not). Raises TypeError or ValueError."""
    if not isinstance(saved, list) or len(saved) != 4:
        raise ValueError(f"stalling: expected four numbers, got {saved!r}")
    at, value, slope, still = saved
    at, still = check_whole(at, "stalling", max(0, k - STALLING), k), check_whole(still, "stalling", 0, min(PATIENCE - 1, at // STALLING))
    return (at, number_of(value, "stalling"), number_of(slope, "stalling")), still


def _restore(descent: Any, saved: SavedRun) -> None:
    method, run = descent.method, descent.run
    if saved.controlled:
        raise ValueError("its steps are those of error control, and minimize takes steps of dt")
    free = {"lr"} if descent.schedule is not None else set()
    differs = [n for n, value in method.parameters.items() if n not in free and saved.method.parameters.get(n, value) != value]
    if saved.method.name != method.name or differs:
        text = f"method: expected {method!r}, got {saved.method!r}"
        raise ValueError(text)
    if saved.shape not in (descent.start.shape, (descent.start.size,)):
        raise ValueError(f"shape: expected {descent.start.shape}, got {saved.shape}")
    if free:
        run.set_parameter("lr", float(saved.method.all_numbers["lr"]))
    run.unpack(saved.packed)
    if saved.differences is not None:
        _restore_look(descent.doubts, saved.differences)
    if method.kind == "step":
        run.set_dt(descent.dt)
