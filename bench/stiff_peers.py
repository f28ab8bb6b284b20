"""Time at equal error on stiff problems whose right-hand sides are compiled: this library, CVODE, IDA, liblsoda (numbalsoda), pydiffsol.
SciPy's Radau, BDF and LSODA, with Python functions, beside them on request.

    python bench/stiff_peers.py                                   # what is installed takes part
    python bench/stiff_peers.py --problems hires bruss --ours bdf radau5 --repeats 5
    python bench/stiff_peers.py --scipy --out picture.png         # all of them in pictures of error against time

Needs a C compiler; CVODE and IDA the headers of SUNDIALS (Debian: libsundials-dev). The small problems are those of bench/stiff_set.py with
analytic Jacobians (liblsoda takes none: differences), the long ones have a band that all make by differences, and so do the two
differential-algebraic ones of the Test Set. Allen-Cahn on a square of 100 x 100 is for CVODE with KLU (an analytic Jacobian) and with a
band, and for our rkc2 and sparse bdf. Tolerances go down by half decades; all contenders take turns at each, and medians count, of the
processor's time. What a call costs beside its steps is measured over a span of one short step and taken off on all sides. Errors at the
end as in bench/stiff.py. References that stiff_set.py does not have are radau5's at 1e-12 (sparse bdf's at 1e-10 for the square). The last
lines are the targets.
"""

from __future__ import annotations

import argparse
import ctypes
import math
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse

import daes
import stiff
import stiff_set
from mflow import solve_ivp
from mflow.plot.palette import COLOURS, MARKERS

HERE = Path(__file__).resolve().parent
LEVELS = (1e-4, 1e-6, 1e-8, 1e-10)
LADDER = tuple(10.0 ** (-k / 2) for k in range(5, 25))
OURS = ("radau5", "bdf", "rodas5p", "esdirk43")
DECADES = LADDER[1:13:2]
PATIENCE = 0.3  # seconds; a run that takes longer has no second turn
LEAST = 0.1  # of the cost of a call: a run is held to take as long at least beside it, as differences of two times go no further
SUNDIALS = ("cvode", "ida", "nvecserial", *(f"sun{part}" for part in ("linsoldense", "linsolband", "linsolklu", "matrixdense", "matrixband",
                                                                   "matrixsparse")))  # fmt: skip
# Functions in stiff.c of the problems of stiff_set.py, one for each piece between breaks.
CODE = {
    "hires": ("hires",), "rober": ("robertson",), "orego": ("orego",), "vdpol": ("vdp_eps",), "pollu": ("pollu",),
    "medical": ("medical", "medical_late"), "bruss": ("bruss",),
}  # fmt: skip
SMALL, LONG, DAES = ("hires", "rober", "orego", "vdpol", "pollu"), ("bruss", "bruss10k"), ("chemical", "transistor")
# peer, problems, and what the time of our best over the peer's is to be at most, as a geometric mean
TARGETS = (
    ("liblsoda", SMALL, 1.0), ("pydiffsol", SMALL, 1.0), ("CVODE", SMALL, 0.7), ("CVODE", LONG, 0.7), ("pydiffsol", LONG, 0.8),
    ("IDA", DAES, 0.7), ("pydiffsol", DAES, 1.0), ("CVODE KLU", ("allen",), 0.2), ("CVODE", ("allen",), 0.2),
)  # fmt: skip
POINTER = ctypes.POINTER(ctypes.c_double)
CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_double, POINTER, POINTER, ctypes.c_ssize_t, ctypes.c_void_p)
DIFFSL = {
    "hires": (
        "u_i { a = 1, b = 0, c = 0, d = 0, e = 0, f = 0, g = 0, h = 0.0057 } F_i { -1.71*a + 0.43*b + 8.32*c + 0.0007, 1.71*a - 8.75*b, "
        "-10.03*c + 0.43*d + 0.035*e, 8.32*b + 1.71*c - 1.12*d, -1.745*e + 0.43*f + 0.43*g, -280*f*h + 0.69*d + 1.71*e - 0.43*f + 0.69*g, "
        "280*f*h - 1.81*g, -280*f*h + 1.81*g }"
    ),
    "rober": "u_i { a = 1, b = 0, c = 0 } F_i { -0.04*a + 1e4*b*c, 0.04*a - 1e4*b*c - 3e7*b*b, 3e7*b*b }",
    "orego": "u_i { a = 1, b = 2, c = 3 } F_i { 77.27*(b + a*(1 - 8.375e-6*a - b)), (c - (1 + a)*b)/77.27, 0.161*(a - c) }",
    "vdpol": "u_i { a = 2, b = 0 } F_i { b, ((1 - a*a)*b - a)/1e-6 }",
    "chemical": (
        "u_i { a = 0.444, b = 0.00123, c = 0, d = 0.007, e = 0, f = 0.35999964 } dudt_i { da = 0, db = 0, dc = 0, dd = 0, de = 0, df = 0 } "
        "M_i { da, db, dc, dd, de, 0.0 } p { 18.7*a*a*a*a*sqrt(b) } q { 0.58*c*d } r { (0.58/34.4)*a*e } s { 0.09*a*d*d } "
        "w { 0.42*f*f*sqrt(b) } F_i { -2*p + q - r - s, -0.5*p - s - 0.5*w + 3.3*(0.9/737 - b), p - q + r, -q + r - 2*s, q - r + w, "
        "115.83*a*d - f }"
    ),
}


@dataclass(frozen=True)
class Case:
    """A problem: its functions in stiff.c by name (jac empty: none is given), what is solved, the times between which f jumps; the band of
    J to each side (0: none), the mass matrix and the slopes at the start; our methods and the tolerances, where they are others."""

    rhs: tuple[str, ...]
    jac: str
    y0: Any
    times: tuple[float, ...]
    end: Callable[[], Any] | None
    floor: float
    band: int = 0
    mass: Any = None
    slopes: Any = None
    ours: tuple[str, ...] = ()
    ladder: tuple[float, ...] = LADDER

    def error(self, y: Any) -> float:
        end = self.end()  # type: ignore[misc]
        return float(np.max(np.abs(y - end) / (self.floor + np.abs(end))))


def library() -> tuple[ctypes.CDLL, bool]:
    """stiff.c, with CVODE where SUNDIALS is installed."""
    target = Path(tempfile.mkdtemp()) / "stiff.so"
    command = ["cc", "-O3", "-march=native", "-shared", "-fPIC", str(HERE / "stiff.c"), "-o", str(target)]
    extra = ["-DCVODE", "-I/usr/include/suitesparse", *(f"-lsundials_{name}" for name in SUNDIALS), "-lm"]
    has = subprocess.run([*command, *extra], check=False, capture_output=True).returncode == 0
    if not has:
        subprocess.run([*command, "-lm"], check=True)
    return ctypes.CDLL(str(target)), has


def square(side: int) -> Any:
    """Where the entries of a Jacobian on a square are."""
    line = sparse.diags_array([1.0, 1.0, 1.0], offsets=[-1, 0, 1], shape=(side, side))
    return sparse.kron(line, sparse.eye_array(side)) + sparse.kron(sparse.eye_array(side), line)


def reactions(code: ctypes.CDLL) -> str:
    """Hand POLLU's reactions to stiff.c; the same in DiffSL."""
    table, slopes = np.zeros((25, 24)), [""] * 20
    for k, (rate, used, _) in enumerate(stiff_set.REACTIONS):
        changed = np.flatnonzero(stiff_set.BALANCE[:, k])
        table[k, :4] = rate, used[0] - 1, used[1] - 1 if len(used) > 1 else -1, changed.size
        for p, place in enumerate(changed.tolist()):
            sign = float(stiff_set.BALANCE[place, k])
            table[k, 4 + 2 * p : 6 + 2 * p] = place, sign
            slopes[place] += f" {'-' if sign < 0.0 else '+'} {abs(sign) * rate!r}*" + "*".join(f"y{u - 1}" for u in used)
    code.set_reactions(table.ctypes.data_as(POINTER), ctypes.c_ssize_t(table.shape[1]))
    start = stiff_set.problems()["pollu"].y0
    state = ", ".join(f"y{i} = {v!r}" for i, v in enumerate(start.tolist()))
    return f"u_i {{ {state} }} F_i {{ {', '.join('0.0*y0' + s for s in slopes)} }}"


def _cases() -> dict[str, Case]:
    known, cases = stiff_set.problems(), {}
    for name, rhs in CODE.items():
        p, jac = known[name], f"j_{rhs[0]}" if name in SMALL else ""
        cases[name] = Case(tuple(f"f_{r}" for r in rhs), jac, p.y0, (0.0, *p.breaks, p.t_end), p.end, p.floor, p.band, ladder=p.ladder)
    many = stiff_set.bruss(5000)
    cases["bruss10k"] = Case(("f_bruss",), "", many.y0, (0.0, many.t_end), None, 1.0, many.band, ladder=DECADES)
    for name in LONG:
        cases[name] = replace(cases[name], ours=("radau5", "bdf", "rodas5p"))
    for name in DAES:
        p = getattr(daes, name)()
        cases[name] = Case(
            (f"f_{name}",), "", p.y0, (0.0, p.t_end), known[name].end, p.floor, mass=p.mass, slopes=p.slopes, ladder=LADDER[:14]
        )
    x = (np.arange(100) + 0.5) / 100.0
    bumps = 0.5 * np.outer(np.sin(2.0 * np.pi * x), np.cos(3.0 * np.pi * x)) + 0.3 * np.cos(7.0 * np.pi * np.add.outer(x, x * x))
    cases["allen"] = Case(("f_allen",), "", bumps.ravel(), (0.0, 10.0), None, 1.0, 100, ours=("rkc2", "sparse bdf"), ladder=DECADES)
    return cases


# ---- contenders: each solves to the end and returns y there, or None --------------------------------------------------------------------


def _ours(case: Case, code: ctypes.CDLL, method: str, tol: float, times: tuple[float, ...]) -> Any:
    given: dict[str, Any] = {"jac": CALLBACK((case.jac, code))} if case.jac else {}
    if case.band and not case.jac and method != "rkc2":
        given = {"jac_sparsity": square(case.band)} if method == "sparse bdf" else {"lband": case.band, "uband": case.band}
    method = method.removeprefix("sparse ")
    if case.mass is not None:
        given["mass"] = case.mass
    if len(times) > 2:
        given["breaks"] = times[1:-1]
    rhs = CALLBACK((case.rhs[0], code))
    r = solve_ivp(rhs, (times[0], times[-1]), case.y0, method, rtol=tol, atol=tol * case.floor, save="last", **given)
    return r.y[:, -1] if r.success else None


def _cvode(case: Case, code: ctypes.CDLL, tol: float, times: tuple[float, ...]) -> Any:
    y, counts = case.y0.copy(), (ctypes.c_long * 2)()
    jac = ctypes.cast(getattr(code, case.jac), ctypes.c_void_p) if case.jac else None
    for rhs, t0, t1 in zip(case.rhs, times, times[1:], strict=False):
        pointer = ctypes.cast(getattr(code, rhs), ctypes.c_void_p)
        if code.cvode_solve(
            pointer, jac, ctypes.c_ssize_t(y.size), ctypes.c_double(t0), ctypes.c_double(t1), y.ctypes.data_as(POINTER),
            ctypes.c_double(tol), ctypes.c_double(tol * case.floor), case.band or -1, counts,
        ):  # fmt: skip
            return None
    return y


def _klu(case: Case, code: ctypes.CDLL, tol: float, times: tuple[float, ...]) -> Any:
    y = case.y0.copy()
    status = code.cvode_allen(ctypes.c_ssize_t(y.size), *map(ctypes.c_double, times), y.ctypes.data_as(POINTER), ctypes.c_double(tol),
                              ctypes.c_double(tol * case.floor))  # fmt: skip
    return None if status else y


def _ida(case: Case, code: ctypes.CDLL, tol: float, times: tuple[float, ...]) -> Any:
    y, slopes, mass = case.y0.copy(), case.slopes.copy(), np.ascontiguousarray(case.mass, dtype=np.float64)
    arrays = [array.ctypes.data_as(POINTER) for array in (mass, y, slopes)]
    status = code.ida_solve(
        ctypes.cast(getattr(code, case.rhs[0]), ctypes.c_void_p), arrays[0], ctypes.c_ssize_t(y.size), *map(ctypes.c_double, times),
        *arrays[1:], ctypes.c_double(tol), ctypes.c_double(tol * case.floor),
    )  # fmt: skip
    return None if status else y


def _lsoda(case: Case, code: ctypes.CDLL, wrapper: Any, tol: float, times: tuple[float, ...]) -> Any:
    at, out, data = np.array(times), np.empty((2, case.y0.size)), np.array([float(case.y0.size)])
    done, start = np.array(999, np.int32), case.y0.copy()
    wrapper(
        ctypes.cast(getattr(code, "l" + case.rhs[0][1:]), ctypes.c_void_p), case.y0.size, start.ctypes.data, data.ctypes.data, 2,
        at.ctypes.data, out.ctypes.data, tol, tol * case.floor, 10_000_000, done.ctypes.data,
    )  # fmt: skip
    return out[1] if done == 1 else None


def _scipy(problem: stiff_set.Stiff, method: str, tol: float, times: tuple[float, ...]) -> Any:
    part = replace(problem, t_end=times[-1], breaks=times[1:-1])
    return stiff._peers(part, method, tol, tol * part.floor, lambda fun: fun, {})


def _diffsol(case: Case, ode: Any, tol: float, times: tuple[float, ...]) -> Any:
    ode.rtol, ode.atol = tol, tol * case.floor
    try:
        return ode.solve_dense(np.array([]), np.array([times[-1]])).ys[:, -1]
    except Exception:  # its own kinds; a run that fails has no error
        return None


def contenders(
    case: Case, name: str, code: ctypes.CDLL, ours: Sequence[str], has_cvode: bool, sources: dict[str, str], with_scipy: bool
) -> dict[str, Any]:
    """name -> function of (tol, times)."""
    found: dict[str, Callable[..., Any]] = {method: partial(_ours, case, code, method) for method in ours}
    if has_cvode and case.mass is not None:
        found["IDA"] = partial(_ida, case, code)
    elif has_cvode:
        found["CVODE"] = partial(_cvode, case, code)
        if name == "allen":
            found["CVODE KLU"] = partial(_klu, case, code)
    if hasattr(code, "l" + case.rhs[0][1:]) and find_spec("numbalsoda"):
        found["liblsoda"] = partial(_lsoda, case, code, import_module("numbalsoda.driver").lsoda_wrapper)
    if name in sources and find_spec("pydiffsol"):
        ds = import_module("pydiffsol")
        found["pydiffsol"] = partial(_diffsol, case, ds.Ode(sources[name], matrix_type=ds.nalgebra_dense))
    problem = stiff_set.problems().get(name)
    if with_scipy and problem is not None and problem.mass is None:
        found |= {f"SciPy {method}": partial(_scipy, problem, method) for method in stiff.PEERS}
    return found


def measure(case: Case, found: dict[str, Any], repeats: int) -> dict[str, list[stiff.Point]]:
    """Each contender at each tolerance, in turns; the time of a call that takes one short step is off, up to what is noise in it."""
    short = (*case.times[:1], case.times[0] + 1e-9 * (case.times[-1] - case.times[0]))
    fixed = {name: statistics.median(_timed(run, 1e-3, short)[0] for _ in range(9)) for name, run in found.items()}
    points: dict[str, list[stiff.Point]] = {name: [] for name in found}
    for tol in case.ladder:
        seconds: dict[str, list[float]] = {name: [] for name in found}
        ends: dict[str, Any] = {}
        for _ in range(repeats):
            for name, run in found.items():
                if seconds[name] and seconds[name][0] > PATIENCE:
                    continue
                took, ends[name] = _timed(run, tol, case.times)
                seconds[name].append(took)
        for name, y in ends.items():
            error = math.nan if y is None else case.error(y)
            points[name].append(stiff.Point(tol, error, 0, max(statistics.median(seconds[name]) - fixed[name], LEAST * fixed[name])))
    return points


def _timed(run: Callable[..., Any], tol: float, times: tuple[float, ...]) -> tuple[float, Any]:
    began = time.process_time()
    y = run(tol, times)
    return time.process_time() - began, y


def is_ours(who: str, ours: Sequence[str]) -> bool:
    """Whether a contender is a method of this library."""
    return who in ours or who in OURS or who in ("rkc2", "sparse bdf")


def report(results: dict[str, dict[str, list[stiff.Point]]], ours: Sequence[str]) -> None:
    """Milliseconds at each error, and the ratio of our best to each peer."""
    ratios: dict[tuple[str, str], list[float]] = {}
    single: dict[str, list[float]] = {}
    print("milliseconds at error " + ", ".join(f"{e:.0e}" for e in LEVELS))
    for name, points in results.items():
        work = {who: [1e3 * stiff.at_error(p, e, "seconds") for e in LEVELS] for who, p in points.items()}
        for who, values in work.items():
            print(f"  {name:10s} {who:11s}" + "".join(f"{v:10.3f}" for v in values))
        mine = [who for who in work if is_ours(who, ours)]
        best = [min((work[m][k] for m in mine if math.isfinite(work[m][k])), default=math.nan) for k in range(len(LEVELS))]
        for who in [w for w in work if w not in mine]:
            row = [a / b for a, b in zip(best, work[who], strict=True)]
            print(f"  {name:10s} best/{who:11s}" + "".join(f"{v:10.2f}" for v in row))
            ratios[name, who] = row
            for m in mine:
                single.setdefault(f"{m} over {who}", []).extend(a / b for a, b in zip(work[m], work[who], strict=True))
    for words, values in single.items():
        print(f"geometric mean, {words}: {stiff._mean(values):.2f}")
    for who, problems, most in TARGETS:
        mean = stiff._mean([v for name in problems for v in ratios.get((name, who), [])])
        if math.isfinite(mean):
            print(f"best over {who} on {', '.join(problems)}: {mean:.2f} ({most:g} asked: {'met' if mean <= most else 'missed'})")


def picture(results: dict[str, dict[str, list[stiff.Point]]], path: str, ours: Sequence[str]) -> None:
    """Error against time, a panel a problem: ours in full lines, peers dashed, each in a colour of its own throughout."""
    plt = import_module("matplotlib.pyplot")
    everybody = list(dict.fromkeys(who for points in results.values() for who in points))
    columns = min(4, len(results))
    rows = -(-len(results) // columns)
    figure, axes = plt.subplots(rows, columns, figsize=(3.9 * columns, 3.4 * rows + 0.8), squeeze=False, layout="constrained")
    lines = {}
    for panel, (name, points) in zip(axes.flat, results.items(), strict=False):
        for who, line in points.items():
            k = everybody.index(who)
            style = {"color": COLOURS[k % len(COLOURS)], "marker": MARKERS[k % len(MARKERS)], "markersize": 3.5}
            style["linestyle"] = "-" if is_ours(who, ours) else (0, (4, 1.8))
            (lines[who],) = panel.loglog([1e3 * p.seconds for p in line], [p.error for p in line], label=who, **style)
        panel.set(title=name, xlabel="milliseconds", ylabel="error at the end")
    for panel in list(axes.flat)[len(results) :]:
        panel.set_axis_off()
    figure.legend(lines.values(), lines, loc="outside lower center", ncols=6, frameon=False)
    figure.savefig(path)


def main() -> None:
    """Run the command."""
    cases = _cases()
    parser = argparse.ArgumentParser(prog="python bench/stiff_peers.py", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--problems", nargs="+", default=list(cases), choices=list(cases), metavar="NAME")
    parser.add_argument("--ours", nargs="+", default=list(OURS), metavar="NAME")
    parser.add_argument("--repeats", type=int, default=5, help="turns, of which the median counts")
    parser.add_argument("--scipy", action="store_true", help="SciPy's methods take part, with Python functions")
    parser.add_argument("--out", help="a picture")
    arguments = parser.parse_args()
    code, has_cvode = library()
    sources = {**DIFFSL, "pollu": reactions(code)}
    results = {}
    for name in arguments.problems:
        case = cases[name]
        if case.end is None:
            by = ("sparse bdf", 1e-10) if name == "allen" else ("radau5", 1e-12)
            case = replace(case, end=partial(np.asarray, _ours(case, code, *by, case.times)))
        found = contenders(case, name, code, case.ours or arguments.ours, has_cvode, sources, arguments.scipy)
        results[name] = measure(case, found, arguments.repeats)
        print(f"{name} is done", flush=True)
    report(results, arguments.ours)
    if arguments.out:
        picture(results, arguments.out, arguments.ours)


if __name__ == "__main__":
    main()
