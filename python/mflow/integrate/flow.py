"""`gradient_flow`: c' = -grad f(c), the ODE that steepest descent follows."""

from __future__ import annotations

import inspect
import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import fields
from functools import partial
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np
from mflow_core.problems import problem
from mflow_core.problems.signatures import companion
from mflow_core.stepping import stepper as core
from mflow_core.stepping.last_step import climbs

from mflow.base.checks import COMPLEX_STATES, Array, any_given, as_tuple, check_number, check_start, check_whole, shown
from mflow.base.methods import Method, as_method, asks_for_auto, refuse_unknown
from mflow.base.pace import Pace
from mflow.base.progress import ask, reason_of
from mflow.base.result import IVPResult, attach
from mflow.base.telling import counted, tell
from mflow.course.agenda import check_count, count_steps
from mflow.integrate.control import MANY, RTOL, Settings, check_span, kept_every
from mflow.integrate.drive import Drive, follow
from mflow.integrate.endings import preparing
from mflow.integrate.history import SHORT, begin
from mflow.integrate.stepper import Stepper
from mflow.optim.effective import never_negative
from mflow.saving.fields import NOT_CONTROLLED
from mflow.solvers import nonlinear
from mflow.solvers.finite_jacobian import asked_by, finite_jacobian
from mflow.stability.limits import max_stable_dt
from mflow.stability.spectrum import spectrum

if TYPE_CHECKING:
    from mflow.base._records import FlowOptions

__all__ = ["OptimizerStepper", "gradient_flow"]

SOLVING = {"solver", "jac_sparsity", "lband", "uband"}  # what goes to mflow.nonlinear
NO_FUNCTIONS = (np.ndarray, list, str, float, int, type(None))  # where a gradient is expected
OWN = {  # arguments of its own, what it sets, and what belongs to masses and to motions
    "dt", "save", "save_every", "t_eval", "solver", "symmetric", "event_args", "own_breaks", "pair",
    "mass", "project", "algebraic", "rtol_v", "atol_v",
}  # fmt: skip
SETTINGS = {field.name for field in fields(Settings)} - OWN


def gradient_flow(
    grad: Callable[..., Any] | Any,
    c0: Any,
    t_end: float,
    method: str | Method = "euler",
    t_eval: Any = None,
    *,
    dt: float | str | Sequence[float] | Callable[..., float] | None = None,
    args: tuple[Any, ...] = (),
    hess: Any = None,
    save: str = "all",
    save_every: int | None = None,
    **options: Unpack[FlowOptions],
) -> IVPResult:
    """Follow c' = -grad(c) from c0 for the time t_end.

    With ``method="euler"`` each step is one of steepest descent with learning rate dt, bit for bit what ``minimize(method="sgd")``
    and ``optim.SGD`` do. With an optimizer (``method="adam", lr=1e-2``) t counts lr: its steps of lr, the last of which ends at t_end.

    Parameters
    ----------
    grad : callable
        ``grad(c, *args)`` returns the gradient, an array of c's shape; or compiled, with the signature
        ``int (const double *c, double *value, double *grad, ptrdiff_t n, void *ctx)``, where value may be NULL.
    c0 : array_like of real numbers, any shape
    args : tuple
        Further arguments of ``grad`` and ``hess``.
    t_end : float
        How long to flow; below 0 it climbs. inf with dt = inf and an implicit method of one stage (backward_euler): the steady state.
    hess : callable or array_like (n, n)
        For implicit methods: the Hessian ``hess(c, *args)``; where it is missing, differences of gradients.
    method, t_eval, dt, save, save_every, **options
        Optimizers take lr (dt is another name of it), save, save_every, callback and their own parameters. Integrators, "auto" among
        them: as in `mflow.solve_ivp`, its other options (rtol, atol, events, ...) and the method's own parameters among them.

    Returns
    -------
    IVPResult
        As `mflow.solve_ivp`; ``nfev`` counts gradients.

    Raises
    ------
    TypeError, ValueError
        As `mflow.solve_ivp`.

    See Also
    --------
    mflow.minimize, mflow.solve_ivp

    Examples
    --------
    >>> import numpy as np, mflow
    >>> r = mflow.gradient_flow(lambda c: 2 * c, np.ones(2), t_end=5.0, method="tvd_rk3", dt=0.01)
    >>> bool(abs(r.y[0, -1] - np.exp(-10)) < 1e-9)
    True
    >>> sgd = mflow.gradient_flow(lambda c: 2 * c, np.ones(2), t_end=1.0, method="sgd", lr=0.25)
    >>> sgd.t, sgd.y[0]
    (array([0.  , 0.25, 0.5 , 0.75, 1.  ]), array([1.    , 0.5   , 0.25  , 0.125 , 0.0625]))

    References
    ----------
    A. Cauchy, C. R. Acad. Sci. 25 (1847) 536-538.
    """
    start = check_start(c0, "c0", COMPLEX_STATES)
    if isinstance(grad, NO_FUNCTIONS):
        raise TypeError(f"grad: expected a function of c, or a compiled one, got {shown(grad)}")
    if type(t_end) is not float or not math.isfinite(t_end):
        _check_end(t_end, dt)
    if (
        not options and t_eval is hess is save_every is None and isinstance(save, str) and save == "all" and start.size <= SHORT
        and (dt is None or type(dt) is float) and not asks_for_auto(method)
    ):  # fmt: skip
        chosen_method, equation = as_method(method, {}), problem.objective_problem(None, grad, start.shape, args, None)
        asked = dt, None, None, args
        short = begin(Drive, equation, check_span((0.0, t_end), dt), start, chosen_method, asked, "gradient_flow", True)
        if short is not None:
            result: IVPResult = short[0] if isinstance(short[0], IVPResult) else follow(short[0])
            return result if dt is None else _told_of_rise(result, short[1], start, t_end, dt, chosen_method)
    given: dict[str, Any] = dict(options)
    args = as_tuple(args, grad)
    pair, parameters = None, {k: v for k, v in given.items() if k not in SETTINGS and k not in SOLVING}
    if asks_for_auto(method):
        from mflow.course.legs import pair_for

        pair = pair_for(start.size, given.get("rtol"), RTOL, events=given.get("events"), dt=dt, parameters=parameters)
        method = pair.calm
    if parameters:
        refuse_unknown("gradient_flow", parameters, method, ARGUMENTS)
    chosen_method = as_method(method, parameters)
    if chosen_method.kind == "update":
        if t_eval is not None or hess is not None:
            raise TypeError(f"t_eval, hess: expected none of them for {chosen_method.name}, which has steps alone; omit them")
        own = {k: v for k, v in given.items() if k in SETTINGS}
        return _by_optimizer(grad, start, t_end, chosen_method, dt, args, save, save_every, own)
    solved = chosen_method if pair is None else pair.stiff
    implicit = solved.is_implicit
    if implicit:
        hess = finite_jacobian(companion(grad, "hess", hess), "hess", 1)
    equation = problem.objective_problem(None, grad, start.shape, args, hess if implicit else None)
    linear, solver = {"jac": hess} | {name: given.get(name) for name in SOLVING}, None
    if implicit or any_given(linear):
        with preparing(start, 0.0, "gradient_flow"):
            solver = nonlinear.solver_for(solved, equation, 0.0, start, hess=True, args=args, **linear)
    settings = Settings(
        dt=dt, t_eval=t_eval, save=save, save_every=save_every, solver=solver, symmetric=True, event_args=args, pair=pair,
        **{k: v for k, v in given.items() if k in SETTINGS},
    )  # fmt: skip
    drive = asked_by(hess, Drive(equation, check_span((0.0, t_end), dt), start, chosen_method, settings, "gradient_flow"))
    result = follow(drive)
    if drive.mode in ("fixed", "given"):
        return _told_of_rise(result, drive.run, start, t_end, drive.step, chosen_method)
    return result


def _check_end(t_end: Any, dt: Any) -> None:
    """Raises TypeError or ValueError where it is no time to flow, nor inf with dt = inf."""
    if not (isinstance(t_end, float) and t_end == math.inf and isinstance(dt, float) and dt == math.inf):
        why = "the flow begins at t = 0" if isinstance(t_end, tuple | list | np.ndarray) else "inf goes with dt = inf alone"
        check_number(t_end, "t_end", f"a finite number ({why})")


def _told_of_rise(result: IVPResult, run: core.Run, start: Array, t_end: float, step: float, method: Method) -> IVPResult:
    """The result, after a warning where a flow by steps that are not controlled ends above its start: no gradient flow climbs, and steps
    that are too long do."""
    if result["reason"] != "finished" or not 0.0 < t_end < math.inf:
        return result
    before = run.nfev
    try:
        with np.errstate(all="ignore"):
            rise = _rise(_slope_along(run, start, run.y - start)) if climbs(run, start) else 0.0  # nearly none does
    except Exception:
        return result  # the gradient has no values on the straight way, which the run did not take
    except KeyboardInterrupt as error:
        message = f"KeyboardInterrupt at t = {run.t:g} after {counted(run.k, 'step')}, while the result was looked at"
        ended = {"status": -1, "success": False, "reason": "interrupted", "message": message}
        so_far = {**result, **ended, "ncheck": result["ncheck"] + int(run.nfev - before)}
        attach(error, lambda: IVPResult(so_far), "in mflow.gradient_flow")
        raise
    finally:
        result["ncheck"] += int(run.nfev - before)
    if not rise > 0.0 or result["doubts"]:
        return result
    text = (
        f"the cost rises by {rise:.3g} from c0 to the end, by its gradients on the straight way between them, and no gradient flow climbs: "
        f"steps of {abs(step):g} of {method.name} are too long; lower dt, or give rtol= in place of it"
    )
    tell(f"gradient_flow: {text}")
    result["doubts"], result["message"] = (text,), f"{result['message']}; but {text}"
    return result


def _slope_along(run: core.Run, start: Array, way: Array) -> Callable[[float], float]:
    """The slope of the cost along a way, by the share of it that is behind."""
    return lambda share: -float(np.vdot(way, run.slope(0.0, start + share * way)))


def _rise(along: Callable[[float], float]) -> float:
    """The integral of a slope over [0, 1], where it is above 0 by far more than its error; else 0. Gauss's rules of `POINTS`."""
    before = math.nan
    for count in POINTS:
        nodes, weights = np.polynomial.legendre.leggauss(count)
        values = np.array([along(0.5 + 0.5 * node) for node in nodes])
        rise, size = 0.5 * float(weights @ values), 0.5 * float(weights @ np.abs(values))
        if abs(rise - before) <= CERTAIN * abs(rise):
            return rise if CLIMB * size < rise < math.inf else 0.0
        before = rise
    return 0.0


POINTS, CERTAIN, CLIMB = (8, 16, 32, 64), 0.1, 1e-9  # of a rise: the error it may have; of all that goes up and down: what is one
CYCLE = 8  # steps at the end of an optimizer's flow that are looked at

ARGUMENTS = (*(name for name in inspect.signature(gradient_flow).parameters if name != "options"), *sorted(SETTINGS | SOLVING), "lr")


# ---- optimizers -------------------------------------------------------------------------------------------------------------------------


class OptimizerStepper(Stepper, flag="update"):
    """An optimizer on a gradient, stepped by its owner: what ``Stepper("adam", grad=grad, y0=c0)`` makes.

    A step has a size, lr: that of the method, or the one given to `step` or `advance`. t counts them, as a compensated sum.

    Examples
    --------
    >>> import mflow
    >>> st = mflow.Stepper("momentum", grad=lambda c: 2 * c, y0=[1.0], lr=0.1, momentum=0.5)
    >>> st.advance(40)
    >>> round(st.t, 12), bool(abs(st.y[0]) < 1e-4)
    (4.0, True)
    """

    def _even(self) -> list[str]:
        """Names of an optimizer's vectors of squares, which may overflow."""
        return never_negative(self.method.record, self.method.all_numbers)

    def __init__(
        self, method: str | Method, fun: Any = None, y0: Any = None, t0: float = 0.0, *, grad: Any = None, args: tuple[Any, ...] = (),
        **parameters: Any,
    ) -> None:  # fmt: skip
        self._method = as_method(method, parameters)
        name = self.method.name
        if fun is not None or grad is None:
            given = "by position" if fun is not None else "None"
            raise TypeError(
                f"grad: expected the gradient by name for {name}, as a right-hand side is its negative, got {given}; write "
                f"Stepper({name!r}, grad=grad, y0=c0)"
            )
        if y0 is None:
            raise TypeError(f'y0: expected the parameters to start from, got None; write Stepper("{name}", grad=grad, y0=c0)')
        self._t0, self._start = check_number(t0, "t0"), check_start(y0, "y0")
        self._call = {"grad": grad, "args": args}
        self._controlled, self._lr = False, float(self.method.parameters["lr"])
        self._begin()

    def _begin(self) -> None:
        """The run from its start."""
        equation = problem.objective_problem(None, self._call["grad"], self._start.shape, self._call["args"], None)
        self._run = core.Run(self.method.record, equation, self._start, self._t0, math.nan, self.method.numbers, descend=True)
        self._clock = self._t0, 0.0

    @property
    def t(self) -> float:
        """t0 and the learning rates of all steps so far."""
        return self._clock[0]

    @property
    def nfev(self) -> int:
        """Evaluations of the gradient."""
        return int(self._run.njev)

    def step(self, dt: float | None = None) -> None:
        """One step of lr = dt, that of the method where it is None. Errors as `advance`."""
        self.advance(1, dt)

    def advance(self, steps: int, dt: float | None = None) -> None:
        """``steps`` steps of lr = dt; without Python where grad is compiled.

        Raises FloatingPointError where the gradient or the new state is not finite, RuntimeError where a compiled gradient gave up; the
        state stays at the last good step. What ``grad`` raises comes through.
        """
        left = check_whole(steps, "steps", 0, MANY - 1)
        lr = self._lr if dt is None else check_number(dt, "dt", low=0.0)
        self._run.set_parameter("lr", lr)
        try:
            self._descend(left, lr)
        finally:
            self._run.set_parameter("lr", self._lr)

    def _descend(self, left: int, lr: float) -> None:
        pace = Pace()
        while left:
            before, state = self.k, self._run.pack()
            status = int(self._run.descend(pace.take(left), -1.0, False))
            done = self.k - before
            for _ in range(done):
                self._clock = _added(self._clock, lr)
            left -= done
            pace.done()
            if status != 0:
                self._run.unpack(state, counts=False)
                if done:
                    self._run.descend(done, -1.0, False)
                reason = "the gradient or the new state is not finite" if status in (core.NON_FINITE, core.OVERFLOWED) else f"code {status}"
                kind = FloatingPointError if status in (core.NON_FINITE, core.OVERFLOWED) else RuntimeError
                raise kind(f"{reason} in step {self.k} of {self.method.name} with lr = {lr:g}; the state stays at t = {self.t:g}")

    def advance_to(self, t: float, dt: float | None = None) -> None:
        """Steps of the method's lr until exactly t; the last one is shorter. Raises TypeError with ``dt``, which the lr is."""
        if dt is not None:
            raise TypeError(f"dt: {self.method.name} takes steps of its lr; omit it, or make the stepper with another lr")
        end = check_number(t, "t")
        if end < self.t:
            raise ValueError(f"t: expected a time ahead of t = {self.t:g}, got {t!r}")
        count = 0
        if self._lr > 0.0:
            check_count(self.t, end, self._lr, "lr")
            count = count_steps(self.t, end, self._lr)
        if count:
            self.advance(count - 1)
            self.advance(1, end - self.t)
            self._clock = end, 0.0

    def set_state(self, t: float | None = None, y: Any = None) -> None:
        """Go on from another state, another time, or both, as at a start: velocities, averages and counts begin anew."""
        time, state = self.t if t is None else check_number(t, "t"), self._run.vector(0) if y is None else self._checked(y, "y")
        self._t0, self._start = time, state
        self._begin()

    def interpolate(self, t: float) -> Array:
        """An optimizer has no state between two steps: raises TypeError."""
        raise TypeError(f"interpolate: {self.method.name} has steps alone, and no state between them")

    def _settings(self) -> dict[str, Any]:
        return dict(NOT_CONTROLLED)

    def _more_facts(self) -> dict[str, Any]:
        return {"clock": list(self._clock)}

    def _take_facts(self, facts: dict[str, Any]) -> None:
        if "clock" not in facts:
            raise ValueError("clock: expected the time of an optimizer's steps, got none")
        t, lost = facts["clock"]
        if t < self._t0 or (self.k == 0 and (t, lost) != (self._t0, 0.0)):
            raise ValueError(
                f"clock: expected a time that follows from {counted(self.k, 'step')} from t = {self._t0:g}, got {facts['clock']!r}"
            )
        self._clock = t, lost

    def __reduce__(self) -> tuple[Any, ...]:
        return _remade, (type(self), self.method, self._start, self._t0, self._call, self._run.pack(), self._clock)


def _remade(cls: Any, method: Method, start: Array, t0: float, call: dict[str, Any], state: bytes, clock: tuple[float, float]) -> Any:
    made = cls(method, y0=start, t0=t0, **call)
    made._run.unpack(state)
    made._clock = clock
    return made


def _added(clock: tuple[float, float], lr: float) -> tuple[float, float]:
    """A compensated sum, one term longer."""
    t, lost = clock
    total = t + lr
    part = total - t
    rest = ((t - (total - part)) + (lr - part)) + lost
    return total + rest, rest - ((total + rest) - total)


def _by_optimizer(
    grad: Any, start: Array, t_end: float, method: Method, dt: Any, args: Any, save: str, save_every: Any, options: dict[str, Any]
) -> IVPResult:
    """A gradient flow by an optimizer's steps of lr."""
    callback, unfit = options.pop("callback", None), [name for name, value in options.items() if value is not None]
    if unfit:
        raise TypeError(f"{unfit[0]}: it is for integrators, and {method.name} is an optimizer; omit it")
    if dt is not None:
        method = as_method(method, {"lr": check_number(dt, "dt", low=0.0, open_low=True)})
    lr = check_number(method.parameters["lr"], "lr", low=0.0, open_low=True)
    end = check_number(t_end, "t_end", low=0.0)
    check_count(0.0, end, lr, "lr")
    every, count, st = (
        kept_every(save, save_every, False),
        count_steps(0.0, end, lr),
        OptimizerStepper(method, grad=grad, y0=start, args=args),
    )
    t, y, found = [0.0], [st.y], ("", 0)
    last: list[tuple[Array, Array]] = []  # points and gradients, `CYCLE` steps of them before the end

    def result(status: int, reason: str, message: str) -> IVPResult:
        doubts = (found[0],) if found[0] and status == 0 else ()
        if t[-1] != st.t:
            t.append(st.t)
            y.append(st.y)
        return IVPResult(
            t=np.array(t), y=np.moveaxis(np.array(y), 0, -1), sol=None, t_events=None, y_events=None, nfev=st.nfev - found[1],
            ncheck=found[1], njev=0, nlu=0, nsteps=st.k, nrejected=0, status=status, reason=reason,
            message="; but ".join((message, *doubts)), doubts=doubts, success=status >= 0,
        )  # fmt: skip

    try:
        while st.k < count:
            if st.k and st.k >= count - CYCLE:
                last.append(st._run.here())
            alone = callback is not None or every == 1 or st.k >= count - CYCLE
            ahead = 1 if alone else min(every - st.k % every if every else count, count - CYCLE - st.k)
            if st.k + ahead == count:
                st.advance_to(end)
            else:
                st.advance(ahead)
            if every and st.k % every == 0:
                t.append(st.t)
                y.append(st.y)
            if callback is not None and ask("the callback", callback, st.t, st.y) is True:
                return result(1, "callback", f"the callback stopped it at t = {st.t:g} after {counted(st.k, 'step')}")
        found = _past_limit(st, lr, last)
    except FloatingPointError as error:
        return result(-1, "non_finite", str(error))
    except BaseException as error:
        reason, who = reason_of(error)
        attach(
            error,
            partial(result, -1, reason, f"{who}{type(error).__name__} at t = {st.t:g} after {counted(st.k, 'step')}: {error}"),
            "in mflow.gradient_flow",
        )
        raise
    if found[0]:
        tell(f"gradient_flow: {found[0]}")
    return result(0, "finished", f"reached t = {end:g} in {counted(st.k, 'step')} of {method.name}")


def _past_limit(st: OptimizerStepper, lr: float, last: list[tuple[Array, Array]]) -> tuple[str, int]:
    """Words where the last steps go back and forth past the stability limit, and the gradients that were asked for them.

    Points and their gradients are at hand. Where a gradient turns against the one before, or lr times the curvature between them is at the
    limit, as it is where steps of one size go back and forth, the curvature itself is measured: half way between the two, and at the end.
    By momentum cycles are of more steps and wider, so that it turns in some of them only. last: those before the end.
    """
    method, run, asked = st.method, st._run, st.nfev
    if not last or "linear" not in method.flags:
        return "", 0
    points = [*last, run.here()]
    pairs = [pair for pair in itertools.pairwise(points) if _turns(method, lr, *pair)]
    if not pairs:
        return "", 0
    (c0, _), (c1, _) = min(pairs, key=lambda pair: float(pair[0][1].ravel() @ pair[1][1].ravel()))
    limit = math.inf
    try:
        for at in (0.5 * (c0 + c1), points[-1][0]):
            outer = spectrum(lambda _t, c: -run.evaluate(c)[1], 0.0, at, symmetric=True)
            if not outer.reason:
                limit = min(limit, max_stable_dt(method, curvature=max(0.0, -float(np.min(outer.values.real)))))
    except Exception:
        return "", st.nfev - asked  # the gradient has no values there: the run did not ask for them
    if not limit < lr:
        return "", st.nfev - asked
    return (
        f"lr = {lr:g} exceeds the stability limit of {method.name}, which is about {limit:.3g} for the curvature where the run ends, by a "
        f"factor of about {lr / limit:.3g}: steps go back and forth there, though they stay finite, and the end is no point of rest. Take "
        f"lr = {0.5 * limit:.2g} or less"
    ), st.nfev - asked


def _turns(method: Method, lr: float, before: tuple[Array, Array], behind: tuple[Array, Array]) -> bool:
    """Whether a step that is no small one leads past a valley, or is as long as the curvature on its way allows."""
    from mflow.course.past_step import EDGE, SEEN

    (c0, g0), (c1, g1) = before, behind
    moved, changed = float(np.linalg.norm(c1 - c0)), float(np.linalg.norm(g1 - g0))
    if not moved > SEEN * float(np.linalg.norm(c1)):
        return False
    return bool(np.vdot(g0, g1) < 0.0) or lr >= EDGE * max_stable_dt(method, curvature=changed / moved)
