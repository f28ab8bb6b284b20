"""What is measured of M y' = fun(t, y): a run over its span, the eigenvalues along it, and the method that takes it there.

A few explicit steps tell whether stability holds them: their length is then near the limit for the eigenvalues where they end. Where it
is not so, explicit steps go on to the end, and the path is theirs. Else, and with a mass matrix, implicit methods are tried, and the path
is that of the one with the fewest evaluations. With a singular M the eigenvalues are those of `mflow.analysis.pencil`.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mflow.analysis.field import Field
from mflow.analysis.pencil import PencilField
from mflow.analysis.posedness import DENSE, HermitePath, point_verdict, verdicts_along
from mflow.analysis.results import Posedness, PosednessPath
from mflow.base.checks import Array, check_number
from mflow.base.methods import Method, as_method
from mflow.base.result import IVPResult
from mflow.course.legs import STIFF as IMPLICIT  # tried where steps are stiff
from mflow.explaining.report import Report, listed
from mflow.integrate.ivp import solve_ivp
from mflow.solvers.mass import Mass, mass_of
from mflow.spectra import normality
from mflow.spectra.growing import growing
from mflow.stability import limits

__all__ = ["explain_equation"]

STIFF = 1000.0  # decay times in the span: fewer are no reason for an implicit method
STAGES = (500, 2000, 20_000)  # explicit steps after which it is asked what holds them
LATE = 50  # of these, whose mean length is compared with the limit
IMPLICIT_STEPS = 5000  # of a trial of theirs
CONTROLLED: dict[str, Any] = {"rtol": 1e-6, "atol": 1e-9}  # of the runs, and of what is recommended
POINTS, FEWER = 20, 12  # of the path, where its eigenvalues cost little or more
CHEAP = 30  # variables up to which they cost little
HALVINGS = 7  # of the time between two points, to find where the verdict changes
CHANGES = 8  # of the verdict that are told
SAFETY = 0.9
HELD = 0.5  # of the limit: steps beyond it are held by stability
FEW = 6  # eigenvalues whose limits are computed to the last digit
OSCILLATES = 5.0  # an imaginary part beyond so many real ones
EXPLICIT = "dopri5"  # what is tried
FIXED = "rk4"  # for fixed steps; the first that is tried where the Jacobian is far from normal
TRIED = 3  # methods in whose steps errors may be seen to grow there
SAME = 1e-3  # of it: points of the path that differ by less are looked at once
HUGE, OFF = 1e100, 1e6  # a path that comes to states so large is looked at up to this many times its start, and 1
NORMAL = 100.0  # times the error of a Jacobian: eigenvalues that move by more do so as their eigenvectors nearly coincide
FAR = 0.05  # of the largest eigenvalue: the numerical range reaches farther than the eigenvalues by this

Values = NDArray[np.complex128]
Product = Callable[[Array], Array]


class _Run(NamedTuple):
    """A trial. calls: of fun, those for differences in it."""

    method: str
    result: IVPResult
    calls: int

    @property
    def steps(self) -> Array:
        return np.abs(np.diff(self.result.t))

    @property
    def mean(self) -> float:
        return float(abs(self.result.t[-1] - self.result.t[0])) / max(1, self.result.nsteps)


class _Safe(NamedTuple):
    """Steps inside the numerical range's limit, no longer than those of the eigenvalues; nan where none is known. note: words on them."""

    steps: dict[str, float]
    note: str


class _Equation:
    """M y' = fun(t, y) over a span, with its evaluations counted."""

    def __init__(self, fun: Any, start: Array, jac: Any, span: tuple[float, float], args: tuple[Any, ...], mass: Any) -> None:
        self.fun, self.start, self.jac, self.span, self.args = fun, start, jac, span, args
        self.count, self.told, self.given = 0, False, mass
        self.mass: Mass | None = None if mass is None else mass_of(mass, start.size, t=span[0], args=args)
        if self.mass is not None and start.size > DENSE:
            raise ValueError(f"mass: expected at most {DENSE} variables with it, got {start.size}; explain a coarser model of the kind")

    def __call__(self, t: float, y: Array, *more: Any) -> Any:
        self.count += 1
        return self.fun(t, y, *more)

    def field(self, y: Array) -> Field:
        """Its Jacobian, for a first look at the start of a path."""
        if self.mass is None:
            return Field(self, self.span[0], y, self.jac, self.args)
        return PencilField(self, self.span[0], y, self.jac, self.args, self.mass)

    def run(self, method: str, most: int) -> _Run:
        """A trial; warnings of what it met are left to the report, those of the arguments are told once."""
        before, implicit = self.count, method in IMPLICIT
        more: dict[str, Any] = {"jac": self.jac, "mass": self.given} if implicit else {}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Warning if self.told else RuntimeWarning)
            self.told = True
            dense = implicit and self.start.size <= DENSE
            result = solve_ivp(
                self, self.span, self.start, method, args=self.args, **CONTROLLED, max_steps=most, dense_output=dense, **more
            )
        return _Run(method, result, self.count - before)

    def implicit_runs(self) -> list[_Run]:
        """Trials of implicit methods, the best first: those that reach the end, in the fewest evaluations."""
        runs, failure = [], None
        for name in IMPLICIT:
            try:
                runs.append(self.run(name, IMPLICIT_STEPS))
            except Exception as error:  # the right-hand side's own, where a step has led out of its domain
                failure = error
        if not runs and self.mass is not None and failure is not None:  # nothing else can be tried
            raise failure
        return sorted(runs, key=lambda run: (not run.result.success, run.calls))


def explain_equation(
    fun: Any, start: Array, jac: Any, t_span: Sequence[float], args: tuple[Any, ...], named: list[Method] | None, mass: Any
) -> Report:
    """The report on M y' = fun(t, y). named: the methods whose steps are listed, if the user names them."""
    t0, t1 = (check_number(t, f"t_span[{k}]") for k, t in enumerate(t_span))
    if t0 == t1:
        raise ValueError(f"t_span: expected t0 and t_end apart, got ({t0:g}, {t1:g})")
    equation = _Equation(fun, start, jac, (t0, t1), args, mass)
    table = _table(named, equation.mass)
    explicit = None if equation.mass is not None else _explicit_run(equation)
    tried = [] if explicit is not None and explicit.result.success else equation.implicit_runs()
    looked = tried[0] if tried and (explicit is None or tried[0].result.success) else explicit
    assert looked is not None
    if looked.result.t.size < 2:
        raise ValueError(f"fun: expected a right-hand side that can be integrated from x0, got no step: {looked.result.message}")
    path = _path(equation, looked)
    values = path.eigenvalues[np.isfinite(path.eigenvalues)]
    limit, fastest = limits.first_to_fail(as_method(EXPLICIT, {}), values, FEW)
    if explicit is not None and explicit.result.success and _is_stiff(explicit, values, limit, fastest, abs(t1 - t0)):
        tried = equation.implicit_runs()
    methods = {m.name: m for m in (*table, as_method(EXPLICIT, {}), as_method(FIXED, {}))}
    found = {name: limits.first_beside_growth(m, values, FEW) for name, m in methods.items()}
    steps, (limit, fastest) = {name: step for name, (step, _) in found.items()}, found[EXPLICIT]
    safe = _safe_steps(equation, path, methods, steps)
    chosen, dt, reason = _advice(equation, explicit, tried, path, limit, fastest, safe)
    note = "\n".join(
        filter(None, (_words_of_growth(path, [(m.name, found[m.name][1]) for m in table]), _words_of_error(equation, path), safe.note))
    )
    return _report(equation, path, {m.name: (steps[m.name], safe.steps[m.name]) for m in table}, chosen, dt, reason, note)


def _words_of_growth(path: PosednessPath, limiting: list[tuple[str, complex]]) -> str:
    """What the steps are that are limited by an eigenvalue with a positive real part, of (method's name, eigenvalue); or ""."""
    by_themselves = growing(path.eigenvalues[np.isfinite(path.eigenvalues)])  # a real part of rounding is no growth
    grown = [(name, value) for name, value in limiting if value in by_themselves]
    if not grown:
        return ""
    value = grown[0][1]
    point = next(p for p in path.points if np.any(np.abs(p.eigenvalues - value) <= SAME * abs(value)))
    where = "the start" if point is path.points[0] else f"t = {point.t:.4g}"
    names = ", ".join(name for name, _ in grown)
    return (
        f"At {where} solutions oscillate and grow by themselves (eigenvalue {value.real:.4g} + {value.imag:.4g}i). With the step of "
        f"{names} errors grow twice as fast as such solutions do; with a longer one they grow faster."
    )


def _words_of_error(equation: _Equation, path: PosednessPath) -> str:
    """That the steps are estimates, where eigenvalues are uncertain by much of the largest on the path, and why; or ""."""
    largest = max(float(np.max(np.abs(p.eigenvalues), initial=0.0)) for p in path.points)
    errors = [p.error if p.complete else 0.0 for p in path.points]
    worst = int(np.argmax(errors))
    if not errors[worst] > FAR * largest:
        return ""
    point, where = path.points[worst], "the start" if worst == 0 else f"t = {path.points[worst].t:.4g}"
    start = equation.field(np.asarray(point.y))
    uncertain = float(np.linalg.norm(start.entries(point.t, point.y.ravel())[1]))
    if equation.jac is None and errors[worst] <= NORMAL * uncertain:
        return (
            f"The steps are estimates: at {where} the eigenvalues are known to {errors[worst]:.3g} only, as differences of fun give its "
            "Jacobian no more closely: its values are rounded, or it is not smooth there. Give jac=."
        )
    return (
        f"The steps are estimates: at {where} rounding moves the eigenvalues by up to {errors[worst]:.3g}, as eigenvectors of "
        "the Jacobian nearly coincide."
    )


def _report(
    equation: _Equation, path: PosednessPath, listed_steps: dict[str, tuple[float, float]], chosen: _Run | str, dt: float, reason: str,
    note: str,
) -> Report:  # fmt: skip
    values = path.eigenvalues[np.isfinite(path.eigenvalues)]
    radii = np.array([float(np.max(np.abs(p.eigenvalues), initial=0.0)) for p in path.points])
    margins = np.array([0.0 if p.complete else p.error for p in path.points])
    interval = float(np.max(radii)), float(np.max(radii + margins))
    share = interval[0] / interval[1] if interval[0] > 0.0 else 1.0
    method = chosen if isinstance(chosen, str) else chosen.method
    steps = np.empty(0) if isinstance(chosen, str) else chosen.steps[:-1]
    first = path.points[0]
    return Report(
        kind="right-hand side",
        n=equation.start.size,
        nfev=equation.count,
        curvature=interval,
        least_curvature=float(np.min(-values.real)) if values.size else 0.0,
        condition=math.nan,
        eigenvalues=first.eigenvalues,
        verdicts=[(f"t = {path.t[0]:.4g}", path.verdicts[0])] + [(f"from t = {t:.3g}", after) for t, _, after in path.changes[:CHANGES]],
        path=path,
        steps={name: share * step for name, (step, _) in listed_steps.items()},
        safe_steps={name: share * safe for name, (_, safe) in listed_steps.items()},
        method=method,
        dt=dt,
        parameters=dict(CONTROLLED) if "embedded" in as_method(method, {}).flags else {"dt": dt},
        reason=reason,
        complete=all(p.complete for p in path.points),
        note=note,
        step_range=(float(np.min(steps)), float(np.max(steps))) if steps.size else (math.nan, math.nan),
        looked=_looked(equation, path, float(path.t[int(np.argmax(radii))])),
    )


def _looked(equation: _Equation, path: PosednessPath, fastest: float) -> str:
    """What the report rests on, in words."""
    t0, t1 = equation.span
    text = f"looked at {path.t.size} points of the path from t = {t0:g} to {path.t[-1]:g}"
    if path.t[-1] != t1:
        text += f" of {t1:g}, where the run ended: nothing is known of what comes after"
    if equation.mass is not None and equation.mass.n_algebraic:
        count = equation.mass.n_algebraic
        text += f"; mass leaves {count} algebraic equation{'' if count == 1 else 's'}, and the eigenvalues are those of what it moves"
    return f"{text}; errors change fastest at t = {fastest:.4g}"


def _table(named: list[Method] | None, mass: Mass | None) -> list[Method]:
    """The methods whose steps are listed: with a singular M those that take it."""
    every = listed(None, cost=False) if named is None else named
    if mass is None or not mass.n_algebraic:
        return every
    for k, method in enumerate(named or ()):
        if "mass" not in method.flags:
            known = ", ".join(m.name for m in listed(None, cost=False) if "mass" in m.flags)
            raise ValueError(f"names[{k}]: expected a method that takes a singular mass ({known}), got {method.name}")
    return [m for m in every if "mass" in m.flags]


def _path(equation: _Equation, looked: _Run) -> PosednessPath:
    """The eigenvalues along a run, at points that are as dense as its steps."""
    run = looked.result
    states = np.ascontiguousarray(np.moveaxis(run.y, -1, 0).reshape(run.t.size, -1))
    field = equation.field(np.ascontiguousarray(run.y[..., 0]))
    field.sign = math.copysign(1.0, run.t[-1] - run.t[0])
    sizes, size = np.max(np.abs(states), axis=1, initial=0.0), run.t.size
    if not np.all(sizes < HUGE):  # it runs off, and slopes overflow
        size = max(2, int(np.argmax(~(sizes < OFF * max(1.0, sizes[0])))))
    points = POINTS if equation.start.size <= CHEAP else FEWER
    pick = np.unique(np.linspace(0, size - 1, min(points, size)).round().astype(int))
    between = HermitePath(field, run.t, states) if run.sol is None else lambda t: np.asarray(run.sol(t)).reshape(-1)
    return verdicts_along(field, between, run.t[pick], states[pick], None, halvings=HALVINGS)


# ---- which method -----------------------------------------------------------------------------------------------------------------------


def _explicit_run(equation: _Equation) -> _Run:
    """Explicit steps to the end, or until it is clear that stability holds them."""
    for most in STAGES:
        run = equation.run(EXPLICIT, most)
        if run.result.reason != "max_steps" or _is_held(equation, run):
            break
    return run


def _is_held(equation: _Equation, run: _Run) -> bool:
    """Whether the last steps are as long as stability allows, where solutions fade."""
    t, y = float(run.result.t[-1]), np.ascontiguousarray(run.result.y[..., -1])
    field = equation.field(y)
    field.sign = math.copysign(1.0, t - equation.span[0])
    if not float(np.max(np.abs(y), initial=0.0)) < HUGE:
        return False  # it runs off
    values = point_verdict(field, t, y.reshape(-1), None, 0.0).eigenvalues
    limit, fastest = limits.first_to_fail(as_method(EXPLICIT, {}), values, FEW)
    return float(np.mean(run.steps[-LATE:])) > HELD * limit and not _oscillates(fastest)


def _is_stiff(run: _Run, values: Values, limit: float, fastest: complex, span: float) -> bool:
    radius = float(np.max(np.abs(values), initial=0.0))
    return radius * span > STIFF and run.mean > HELD * limit and not _oscillates(fastest)


def _oscillates(value: complex) -> bool:
    """Whether an eigenvalue belongs to an oscillation, which implicit methods damp or smear rather than speed up."""
    return abs(value.imag) > OSCILLATES * abs(value.real)


def _advice(
    equation: _Equation, explicit: _Run | None, tried: list[_Run], path: PosednessPath, limit: float, fastest: complex, safe: _Safe
) -> tuple[_Run | str, float, str]:  # fmt: skip
    """(the recommended trial, or a method, its step, why)."""
    if tried or explicit is None or not explicit.result.success:
        why = _why_implicit(equation, explicit, path, limit)
        done = [run for run in tried if run.result.success]
        if not done:
            failed = "as tried here, neither of " + " and ".join(IMPLICIT) + " reached the end, for which look at fun"
            step = explicit.mean if explicit is not None else tried[0].mean
            return IMPLICIT[0], step, f"Because {why}; {failed}."
        best = done[0]
        others = [f"{run.method} in {run.calls}" if run in done else f"{run.method} not at all" for run in tried[1:]]
        others += [f"{name} not at all" for name in IMPLICIT if name not in {run.method for run in tried}]
        told = f"as tried here, {best.method} reaches the end in {best.calls} evaluations, {', '.join(others)}"
        return best, best.mean, f"Because {why}; {told}."
    mean, fixed = explicit.mean, safe.steps[FIXED]
    limit = limit if math.isnan(safe.steps[EXPLICIT]) else min(limit, safe.steps[EXPLICIT])
    at_limit = limit < math.inf and not _oscillates(fastest)
    if at_limit and mean > SAFETY * limit and not math.isnan(fixed):
        text = f"stability limits the steps, and {FIXED}'s limit is wide for its cost"
        return FIXED, SAFETY * fixed, f"Because {text}."
    if at_limit and mean > HELD * limit:
        text = f"its steps, {mean:.3g} at rtol = 1e-6, are close to the stability limit {limit:.3g}, yet {explicit.result.nsteps} of them"
        return explicit, mean, f"Because {text} reach the end; over a longer span an implicit method, {IMPLICIT[0]}, pays."
    text = f"accuracy asks for shorter steps than stability does ({mean:.3g} at rtol = 1e-6 against {limit:.3g})"
    if limit == math.inf:
        text = f"stability limits no step on this path, and accuracy asks for some {mean:.3g} at rtol = 1e-6"
    elif mean > limit:
        text = f"solutions oscillate, and {explicit.result.nsteps} of its steps, {mean:.3g} on average at rtol = 1e-6, reach the end"
    return explicit, mean, f"Because {text}; error control chooses them best."


def _why_implicit(equation: _Equation, explicit: _Run | None, path: PosednessPath, limit: float) -> str:
    if explicit is None:
        singular = equation.mass is not None and equation.mass.n_algebraic > 0
        return f"mass is {'singular' if singular else 'not the identity'}, which implicit methods alone take"
    run, t_end = explicit.result, equation.span[1]
    if not run.success and run.reason != "max_steps":
        return f"an explicit run broke off ({run.reason}), which an implicit method with error control may survive"
    values = path.eigenvalues[np.isfinite(path.eigenvalues)]
    decays = -values.real[values.real < 0.0]
    known = "" if all(p.complete for p in path.points) else "about "
    radius = float(np.max(np.abs(values), initial=0.0))
    if not run.success and not _is_held(equation, explicit):
        return f"{run.nsteps} explicit steps led to t = {run.t[-1]:.3g} of {t_end:g} only"
    slowest = float(np.min(decays[decays > 1e-12 * radius], initial=math.inf))
    sizes = f"eigenvalues from {known}{slowest:.3g} to {known}{radius:.3g}" if slowest < math.inf else f"eigenvalues to {known}{radius:.3g}"
    text = f"stability, not accuracy, dictates explicit steps ({sizes}): {EXPLICIT}'s largest stable one is {limit:.3g}"
    if not run.success:
        text += f", and {run.nsteps} of them led to t = {run.t[-1]:.3g} of {t_end:g} only"
    return text


# ---- where eigenvalues say too much ------------------------------------------------------------------------------------------------------


def _safe_steps(equation: _Equation, path: PosednessPath, methods: dict[str, Method], steps: dict[str, float]) -> _Safe:
    """Of these methods, where the Jacobian is so far from normal on the path that errors grow within the limits of its eigenvalues."""
    safe, note = dict(steps), ""
    for point in _far_points(path):
        if (products := _products(equation, point)) is None:
            continue
        times, back, n, entries = products
        if (reaches := normality.numerical_range(times, back, n)) is None:
            continue
        found = {
            name: normality.inside_of(m, times, n, steps[name], entries, reaches, partial(_first_to_fail, m)) for name, m in methods.items()
        }
        explicit = [name for name, m in methods.items() if not m.is_implicit and 0.0 < steps[name] < math.inf]
        for name in sorted(explicit, key=lambda name: (name != FIXED, found[name].step / steps[name]))[:TRIED]:
            if text := normality.growth_words(methods[name], times, n, steps[name], entries, reaches, found[name]):
                break
        else:
            continue
        where = "the start" if point is path.points[0] else f"t = {point.t:.4g}"
        text = f"At {where} the limit {steps[name]:.4g} of {name} is that of the eigenvalues, but {text}."
        if math.isnan(reaches.bound):
            return _Safe({name: math.inf if step == math.inf else math.nan for name, step in steps.items()}, text)
        safe, note = {name: min(step, found[name].step) for name, step in safe.items()}, note or text
    return _Safe(safe, note)


def _first_to_fail(method: Method, values: Values) -> tuple[float, complex]:
    return limits.first_to_fail(method, values, FEW)


def _far_points(path: PosednessPath) -> list[Posedness]:
    """The first, the fastest and the last of the points at which the numerical range reaches farther than the eigenvalues, those that
    differ, where solutions do not grow by themselves."""
    scales = {id(p): float(np.max(np.abs(p.eigenvalues), initial=0.0)) for p in path.points}
    far = [
        p
        for p in path.points
        if math.isfinite(p.numerical_abscissa)
        and p.numerical_abscissa > p.growth_rate + FAR * scales[id(p)]
        and p.growth_rate <= FAR * scales[id(p)]
    ]
    out: list[Posedness] = []
    for point in [far[0], max(far, key=lambda p: scales[id(p)]), far[-1]] if far else []:
        size = scales[id(point)]
        ends = size, point.numerical_abscissa
        if not any(np.allclose((scales[id(p)], p.numerical_abscissa), ends, rtol=0.0, atol=SAME * size) for p in out):
            out.append(point)
    return out


def _products(equation: _Equation, point: Posedness) -> tuple[Product, Product, int, int] | None:
    """(v -> J v, v -> J^T v, rows, entries of J) there, in the direction of the run; None where the second is not known."""
    start, sign = point.y.reshape(-1), math.copysign(1.0, equation.span[1] - equation.span[0])
    field = equation.field(point.y)
    if field.n <= DENSE:
        dense = sign * field.matrix(point.t, start)[0]
        return (lambda v: dense @ v), (lambda v: dense.T @ v), field.n, dense.size
    J = field.linear(point.t, start, False)[0]
    if J.back is None:
        return None
    times, back = J.times, J.back
    return (lambda v: sign * times(v)), (lambda v: sign * back(v)), field.n, J.entries
