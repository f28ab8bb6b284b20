"""Line searches: rules checked from outside, oracles in NumPy and SciPy, and every way to end."""

from __future__ import annotations

import ctypes
import math
import shutil
import subprocess
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.optimize

import mflow
from mflow.optimize import linesearch
from mflow.optimize.linesearch import line_search

Array = np.ndarray
KINDS = ("exact", "backtracking", "armijo", "strong_wolfe")
EPS = 2.0**-52


# ---- functions of one step: (f, slope) along d = 1 from x = 0, from the literature and worse -----------------------------------


def more_thuente(kind: int) -> Any:
    """Functions 1, 2, 3 of J. More and D. Thuente, ACM TOMS 20 (1994) 286-307, and 4 (Yanai, Ozawa and Kaneko) with its three pairs."""

    def one(a: float) -> tuple[float, float]:
        return -a / (a * a + 2.0), (a * a - 2.0) / (a * a + 2.0) ** 2

    def two(a: float) -> tuple[float, float]:
        return (a + 0.004) ** 5 - 2 * (a + 0.004) ** 4, 5 * (a + 0.004) ** 4 - 8 * (a + 0.004) ** 3

    def three(a: float) -> tuple[float, float]:
        beta, l = 0.01, 39
        if a <= 1 - beta:
            f, s = 1 - a, -1.0
        elif a >= 1 + beta:
            f, s = a - 1, 1.0
        else:
            f, s = (a - 1) ** 2 / (2 * beta) + beta / 2, (a - 1) / beta
        wave = l * math.pi / 2
        return f + 2 * (1 - beta) / (l * math.pi) * math.sin(wave * a), s + (1 - beta) * math.cos(wave * a)

    def yanai(b1: float, b2: float) -> Any:
        g1, g2 = math.sqrt(1 + b1 * b1) - b1, math.sqrt(1 + b2 * b2) - b2

        def four(a: float) -> tuple[float, float]:
            r1, r2 = math.sqrt((1 - a) ** 2 + b2 * b2), math.sqrt(a * a + b1 * b1)
            return g1 * r1 + g2 * r2, -g1 * (1 - a) / r1 + g2 * a / r2

        return four

    return [one, two, three, yanai(0.001, 0.001), yanai(0.01, 0.001), yanai(0.001, 0.01)][kind]


def along(phi: Any) -> Any:
    """A cost of one variable, value and gradient, for d = 1 from x = 0."""

    def cost(x: Array) -> tuple[float, Array]:
        f, slope = phi(float(x[0]))
        return f, np.array([slope])

    return cost


def rosenbrock(x: Array) -> tuple[float, Array]:
    return float(scipy.optimize.rosen(x)), scipy.optimize.rosen_der(x)


# ---- the rules ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("initial", [1e-3, 1e-1, 1.0, 10.0, 1e3])
@pytest.mark.parametrize("number", range(6))
def test_strong_wolfe_on_the_functions_of_more_and_thuente(number: int, initial: float) -> None:
    phi = more_thuente(number)
    c1, c2 = [(1e-3, 0.1), (0.1, 0.1), (0.1, 0.1), (1e-3, 1e-3), (1e-3, 1e-3), (1e-3, 1e-3)][number]
    calls = []
    r = line_search(lambda x: calls.append(1) or along(phi)(x), [0.0], [1.0], "strong_wolfe", jac=True, initial=initial, c1=c1, c2=c2)
    f0, slope0 = phi(0.0)
    f, slope = phi(r.alpha)
    assert r.success, r.message
    assert f <= f0 + c1 * r.alpha * slope0 + 10 * EPS * abs(f0)
    assert abs(slope) <= c2 * abs(slope0)
    assert (r.fun, r.slope, r.slope0, r.x[0]) == (f, slope, slope0, r.alpha)
    assert r.nfev == r.njev == len(calls) <= 25
    assert r.best_fun <= r.fun


@pytest.mark.parametrize("initial", [1e-3, 1e-1, 1.0, 10.0, 1e3])
@pytest.mark.parametrize("kind", ["backtracking", "armijo"])
@pytest.mark.parametrize("number", range(6))
def test_armijo_on_the_same_functions(number: int, kind: str, initial: float) -> None:
    phi, c1 = more_thuente(number), 0.1
    trials = []

    def cost(x: Array) -> tuple[float, Array]:
        trials.append(float(x[0]))
        return along(phi)(x)

    r = line_search(cost, [0.0], [1.0], kind, jac=True, initial=initial, c1=c1)
    (f0, slope0), f = phi(0.0), phi(r.alpha)[0]
    assert r.success
    assert f <= f0 + c1 * r.alpha * slope0
    steps = trials[1:]
    assert steps[0] == initial
    assert steps[-1] == r.alpha
    for a in steps[:-1]:
        assert phi(a)[0] > f0 + c1 * a * slope0  # each one before did not pass
    ratios = np.array(steps[1:]) / steps[:-1]
    assert np.all(np.abs(ratios - 0.5) < 1e-15) if kind == "backtracking" else np.all((ratios >= 0.1 - 1e-15) & (ratios <= 0.5 + 1e-15))


@pytest.mark.parametrize("initial", [1e-3, 1.0, 100.0])
@pytest.mark.parametrize("number", [0, 1, 3, 4, 5])
def test_exact_finds_the_root_of_the_slope(number: int, initial: float) -> None:
    phi = more_thuente(number)
    r = line_search(along(phi), [0.0], [1.0], "exact", jac=True, initial=initial)
    assert r.success
    assert 1 < r.nfev <= 40
    root = scipy.optimize.brentq(lambda a: phi(a)[1], 1e-4, 100.0, xtol=1e-300, rtol=4 * EPS)  # each of these has one
    bend = (phi(root * (1 + 1e-5))[1] - phi(root * (1 - 1e-5))[1]) / (2e-5 * root)
    assert abs(r.alpha - root) <= 1e-10 * (root + 1.5 * abs(phi(0.0)[1]) / bend)  # tol of the slope, as the rule says, or of a
    assert r.fun == phi(r.alpha)[0] < phi(0.0)[0]


@pytest.mark.parametrize("initial", [1e-6, 0.1, 1.0, 50.0])
def test_exact_on_a_quadratic_is_the_closed_form(initial: float) -> None:
    rng = np.random.default_rng(0)
    H = rng.standard_normal((6, 6))
    H, b, x = H @ H.T + np.eye(6), rng.standard_normal(6), rng.standard_normal(6)
    d = -(H @ x - b)
    r = line_search(lambda x: (0.5 * x @ H @ x - b @ x, H @ x - b), x, d, "exact", jac=True, initial=initial, max_step=1e9)
    assert r.alpha == pytest.approx(d @ d / (d @ H @ d), rel=1e-9)
    assert r.nfev <= (3 if initial >= 0.01 else 8)  # outwards by no more than ten at a time


@pytest.mark.parametrize("kind", KINDS)
def test_steepest_descent_by_line_search_on_rosenbrock(kind: str) -> None:
    """No value rises, and the bottom comes nearer."""
    x = np.array([-1.2, 1.0])
    f, g = rosenbrock(x)
    for _ in range(200):
        r = line_search(rosenbrock, x, -g, kind, jac=True, fun0=f, jac0=g, initial=1e-2, c2=0.4)
        assert r.fun < f
        x, f = r.x, r.fun
        g = rosenbrock(x)[1]
        assert r.jac is None or r.jac.tobytes() == g.tobytes()
    assert f < 4.0


def test_barzilai_borwein_lengths() -> None:
    rng = np.random.default_rng(1)
    H = np.diag([1.0, 3.0, 10.0])
    x0, x1 = rng.standard_normal((2, 3))
    s, y = x1 - x0, H @ (x1 - x0)

    def cost(x: Array) -> tuple[float, Array]:
        return float(0.5 * x @ H @ x), H @ x

    f, g = cost(x1)
    for form, want in ((1, s @ s / (s @ y)), (2, s @ y / (y @ y))):
        r = linesearch.barzilai_borwein(cost, x1, -g, True, previous=(x0, H @ x0), fun0=f, jac0=g, history=[1e9], form=form)
        assert r.alpha == pytest.approx(want, rel=1e-14)
        assert r.nfev == 1
    r = linesearch.barzilai_borwein(cost, x1, -g, True, previous=(x0, g + y), fun0=f, jac0=g, initial=1e-3)
    assert r.alpha == 1e-3  # no curvature above 0: the step that is given
    tight = linesearch.barzilai_borwein(cost, x1, -g, True, previous=(x0, 1e-6 * (H @ x0) + g - 1e-6 * g), fun0=f, jac0=g)
    assert tight.fun < f  # a huge step, cut by Armijo's rule
    assert tight.nfev > 1


def test_barzilai_borwein_beats_steepest_descent_by_far() -> None:
    H = np.diag(np.logspace(0, 3, 30))

    def cost(x: Array) -> tuple[float, Array]:
        return float(0.5 * x @ H @ x), H @ x

    def descend(kind: str) -> int:
        x, older, values = np.ones(30), None, []
        f, g = cost(x)
        for k in range(20_000):
            if np.max(np.abs(g)) < 1e-8:
                return k
            more: dict[str, Any] = {"previous": older, "history": values[-10:], "initial": 1e-3} if kind == "barzilai_borwein" else {}
            r = line_search(cost, x, -g, kind, True, fun0=f, jac0=g, **more)
            values.append(f)
            older, x, f = (x, g), r.x, r.fun
            g = cost(x)[1]
        return 20_000

    assert 4 * descend("barzilai_borwein") < descend("exact")


# ---- where values have no digits left -----------------------------------------------------------------------------------------


def test_strong_wolfe_goes_on_where_values_are_flat() -> None:
    """1e8 + (x - 1)^2: all values within 1e-4 of the bottom are one double; the slope still knows the way."""

    def cost(x: Array) -> tuple[float, Array]:
        return 1e8 + float((x[0] - 1.0) ** 2), 2.0 * (x - 1.0)

    r = line_search(cost, [1.0 + 1e-5], [-2e-5], "strong_wolfe", jac=True, c2=0.1)
    assert r.success
    assert abs(r.x[0] - 1.0) <= 1e-6


# ---- endings ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_a_direction_that_does_not_lead_down(kind: str) -> None:
    for d in ([1.0, 0.0], [0.0, 0.0]):
        r = line_search(lambda x: (x @ x, 2 * x), [1.0, 1.0], d, kind, jac=True)
        assert (r.reason, r.success, r.alpha, r.fun, r.nfev) == ("no_descent", False, 0.0, 2.0, 1)
        assert "does not lead down" in r.message
        assert r.jac.tolist() == [2.0, 2.0]


@pytest.mark.parametrize("kind", ["exact", "strong_wolfe"])
def test_falling_without_end(kind: str) -> None:
    r = line_search(lambda x: (-float(x[0]), np.array([-1.0])), [0.0], [1.0], kind, jac=True, max_step=1e6)
    assert (r.reason, r.alpha, r.fun) == ("unbounded", 1e6, -1e6)
    r = line_search(lambda x: (-float(x[0]), np.array([-1.0])), [0.0], [1.0], kind, jac=True, max_evaluations=9)
    assert (r.reason, r.nfev) == ("max_evaluations", 9)
    assert r.alpha == r.best_alpha > 0


@pytest.mark.parametrize("kind", KINDS)
def test_a_gradient_that_lies(kind: str) -> None:
    """The cost rises wherever its gradient promises descent: the start is the best point, and it comes back."""
    r = line_search(lambda x: (float(x @ x), -2 * x), [1.0, 2.0], [1.0, 2.0], kind, jac=True)
    endings = {"step_too_small", "max_evaluations"} | ({"unbounded"} if kind == "exact" else set())
    assert r.reason in endings
    assert not r.success
    assert (r.alpha, r.fun, r.x.tolist()) == (0.0, 5.0, [1.0, 2.0])


@pytest.mark.parametrize("kind", KINDS)
def test_the_lowest_value_is_kept_when_the_evaluations_run_out(kind: str) -> None:
    phi, seen = more_thuente(2), []

    def cost(x: Array) -> tuple[float, Array]:
        f, slope = phi(float(x[0]))
        seen.append((f, float(x[0])))
        return f, np.array([slope])

    for limit in range(1, 12):
        seen.clear()
        r = line_search(cost, [0.0], [1.0], kind, jac=True, initial=7.0, c1=0.3, c2=0.31, tol=1e-14, max_evaluations=limit)
        assert len(seen) == r.nfev <= limit
        assert (r.best_fun, r.best_alpha) == min(seen, key=lambda pair: pair[0])
        if not r.success:
            assert (r.fun, r.alpha) == (r.best_fun, r.best_alpha)


@pytest.mark.parametrize("wall", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("kind", KINDS)
def test_walls_without_numbers_are_too_far(kind: str, wall: float) -> None:
    """-log(1 - x) - 2 x beyond x = 1 is no number."""

    def cost(x: Array) -> tuple[float, Array]:
        v = float(x[0])
        return (wall, np.array([math.nan])) if v >= 1.0 else (-math.log1p(-v) - 2.0 * v, np.array([1.0 / (1.0 - v) - 2.0]))

    r = line_search(cost, [0.0], [1.0], kind, jac=True, initial=20.0, c2=0.1)
    assert r.success
    assert math.isfinite(r.fun)
    assert 0.0 < r.alpha < 1.0
    if kind in ("exact", "strong_wolfe"):
        assert r.alpha == pytest.approx(0.5, abs=1e-9 if kind == "exact" else 0.05)


@pytest.mark.parametrize("beyond", [math.nan, math.inf, 6.0])
@pytest.mark.parametrize("initial", [1.0, 30.0, 1000.0])
def test_an_edge_is_no_root_of_the_slope(beyond: float, initial: float) -> None:
    """-x up to 1, where numbers end or the value jumps up: the exact search keeps a point of this side, and claims no root at a wall."""

    def cost(x: Array) -> tuple[float, Array]:
        v = float(x[0])
        return (-v, np.array([-1.0])) if v < 1.0 else (beyond, np.array([1.0 if math.isfinite(beyond) else math.nan]))

    r = line_search(cost, [0.0], [1.0], "exact", jac=True, initial=initial)
    assert r.fun == -r.alpha
    assert 1.0 - 1e-9 < r.alpha < 1.0
    if not math.isfinite(beyond):
        assert (r.success, r.reason) == (False, "step_too_small")


def test_exact_ends_where_no_point_lies_between() -> None:
    """Near a minimum at 1 steps tell more apart than points do: the bracket closes when its ends are neighbours, long before 60 trials."""
    f = mflow.objectives.Rosenbrock(2)
    r = mflow.minimize(f, f.x0, method="sgd", line_search="exact", maxiter=50_000, gtol=1e-6)
    assert r.reason == "converged"
    seen: list[float] = []

    def cost(x: Array) -> tuple[float, Array]:
        seen.append(float(x[0]))
        return float((x[0] - 1.0 - EPS / 3) ** 2), 2.0 * (x - 1.0) - 2.0 * EPS / 3  # no float is at its root

    found = line_search(cost, [1.0 - 2.0**-40], [2.0**-40], "exact", jac=True, initial=1.5)
    assert (found.success, found.reason) == (False, "step_too_small")  # |slope| <= 1e-10 |slope0| holds nowhere
    assert abs(found.x[0] - 1.0) <= EPS
    assert len(seen) < 45


@pytest.mark.parametrize("kind", KINDS)
def test_a_start_without_a_number(kind: str) -> None:
    r = line_search(lambda x: (math.nan, 2 * x), [1.0], [-1.0], kind, jac=True)
    assert (r.reason, r.success, r.alpha) == ("non_finite", False, 0.0)


@pytest.mark.parametrize("kind", KINDS)
def test_exceptions_come_through(kind: str) -> None:
    def cost(x: Array) -> tuple[float, Array]:
        if x[0] != 1.0:
            raise ZeroDivisionError("mine")
        return float(x @ x), 2 * x

    with pytest.raises(ZeroDivisionError, match="mine"):
        line_search(cost, [1.0], [-1.0], kind, jac=True)


@pytest.mark.parametrize("kind", KINDS)
def test_recoverable_means_too_far(kind: str) -> None:
    def cost(x: Array) -> tuple[float, Array]:
        if x[0] < 0.4:
            raise mflow.Recoverable
        return float((x[0] - 0.5) ** 2), 2 * (x - 0.5)

    r = line_search(cost, [1.0], [-1.0], kind, jac=True)
    assert r.success
    assert r.x[0] >= 0.4


# ---- compiled costs -----------------------------------------------------------------------------------------------------------


def compiled(body: str) -> Any:
    """A ctypes function from C: value and gradient of a cost, either NULL."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if not compiler:
        pytest.skip("no C compiler")
    folder = Path(tempfile.mkdtemp())
    (folder / "f.c").write_text(
        "#include <math.h>\n#include <stddef.h>\n"
        "int f(const double *x, double *value, double *grad, ptrdiff_t n, void *ctx) { double v = 0; "
        + body
        + " if (value) *value = v; return 0; }\n"
    )
    subprocess.run([compiler, "-O2", "-shared", "-fPIC", "-o", str(folder / "f.so"), str(folder / "f.c"), "-lm"], check=True)
    f = ctypes.CDLL(str(folder / "f.so")).f
    pointer = ctypes.POINTER(ctypes.c_double)
    f.argtypes, f.restype = [pointer, pointer, pointer, ctypes.c_ssize_t, ctypes.c_void_p], ctypes.c_int
    return f


QUARTIC = "for (ptrdiff_t i = 0; i < n; i++) { v += x[i]*x[i]*x[i]*x[i] + x[i]*x[i]; if (grad) grad[i] = 4*x[i]*x[i]*x[i] + 2*x[i]; }"


@pytest.mark.parametrize("kind", KINDS)
def test_compiled_costs_give_the_same(kind: str) -> None:
    def cost(x: Array) -> tuple[float, Array]:
        v = 0.0
        for one in x:
            v += one * one * one * one + one * one
        return v, 4 * x * x * x + 2 * x

    x = np.linspace(0.5, 1.5, 7)
    d = -cost(x)[1]
    ours, theirs = line_search(compiled(QUARTIC), x, d, kind), line_search(cost, x, d, kind, jac=True)
    assert (ours.reason, ours.nfev) == (theirs.reason, theirs.nfev) == ("converged", theirs.nfev)
    assert ours.alpha == pytest.approx(theirs.alpha, rel=1e-12)
    assert ours.fun == pytest.approx(cost(ours.x)[0], rel=1e-14)


def test_a_compiled_search_leaves_the_gil_to_others() -> None:
    slow = compiled("for (long k = 0; k < 40000000; k++) v += 1e-9; v = -x[0] + 0 * v; if (grad) grad[0] = -1.0;")
    ticks: list[float] = []
    done = threading.Event()

    def tick() -> None:
        while not done.is_set():
            ticks.append(time.perf_counter())
            time.sleep(0.001)

    thread = threading.Thread(target=tick)
    thread.start()
    began = time.perf_counter()
    line_search(slow, [0.0], [1.0], "exact", max_evaluations=8)
    ended = time.perf_counter()
    done.set()
    thread.join()
    during = sum(began < t < ended for t in ticks)
    assert during > 5, f"{during} ticks in {ended - began:.3f} s"


@pytest.mark.parametrize("kind", KINDS)
def test_a_compiled_cost_that_gives_up(kind: str) -> None:
    cost = compiled("v = x[0] * x[0]; if (grad) grad[0] = 2 * x[0]; if (x[0] < 0.9) return -7;")
    r = line_search(cost, [1.0], [-1.0], kind)
    assert (r.reason, r.success, r.alpha) == ("rhs_failed", False, 0.0)
    assert "-7" in r.message


# ---- arguments ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(), (4,), (2, 3)])
def test_points_of_any_shape(shape: tuple[int, ...]) -> None:
    x = np.ones(shape)
    r = line_search(lambda x: (float(np.sum(x * x)), 2 * x), x, -x, "strong_wolfe", jac=True)
    assert r.x.shape == r.jac.shape == shape
    assert np.max(np.abs(r.x)) < 1e-12


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ({"kind": "strong_wolf"}, "did you mean 'strong_wolfe'"), ({"c1": 0.5, "c2": 0.4}, "0 < c1 <= c2 < 1"),
        ({"initial": 0.0}, "initial: .* got 0.0"),
        ({"shrink": 1.0}, "shrink: .* got 1.0"), ({"max_evaluations": 0}, "max_evaluations: .* got 0"),
        ({"max_step": -1.0}, "max_step: .* got -1.0"),
        ({"jac0": [1.0]}, r"jac0: .* got shape \(1,\)"), ({"fun0": math.nan}, "fun0: .* got nan"),
        ({"d": [1.0]}, r"d: .* got shape \(1,\)"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_named(how: dict[str, Any], words: str) -> None:
    given: dict[str, Any] = {"x": [1.0, 2.0], "d": [-1.0, -2.0], "jac": True, **how}
    with pytest.raises(ValueError, match=words):
        line_search(lambda x: (x @ x, 2 * x), **given)


def test_barzilai_borwein_needs_the_gradient_at_the_start() -> None:
    with pytest.raises(TypeError, match="fun0, jac0"):
        linesearch.barzilai_borwein(lambda x: (x @ x, 2 * x), [1.0], [-1.0], True)


def test_gradients_by_differences() -> None:
    r = line_search(lambda x: float((x[0] - 2.0) ** 2), [0.0], [1.0], "exact", tol=1e-6)
    assert r.alpha == pytest.approx(2.0, abs=1e-5)


class Compared:
    """As a sparse matrix, which is equal to nothing as a whole."""

    __hash__ = None

    def __eq__(self, other: object) -> Any:
        return np.array([False, True])


def test_minimize_names_what_does_not_fit_by_its_own_arguments() -> None:
    with pytest.raises(ValueError, match=r"^line_search: no line search 'wolfe'"):
        mflow.minimize(lambda x: float(x @ x), [1.0, 2.0], line_search="wolfe")
    with pytest.raises(TypeError, match=r"jac: expected a callable .*, got Compared"):
        mflow.minimize(lambda x: float(x @ x), [1.0, 2.0], jac=Compared())
