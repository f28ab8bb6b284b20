"""`minimize` with a line search: rules hold at every step, rates of theory, the way is kept, and the lowest point survives every end."""

from __future__ import annotations

import ctypes
import functools
import math
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.optimize

import mflow
from mflow import LineSearch, minimize
from support.oracles.reference import SETTINGS, looks_ahead
from support.small_cases import for_all

Array = np.ndarray
KINDS = ("exact", "backtracking", "armijo", "strong_wolfe", "barzilai_borwein")
METHODS = [m.name for m in mflow.methods() if m.kind == "update" and not m.parameters.get("weight_decay")]
EPS = 2.0**-52


def rosenbrock(x: Array) -> tuple[float, Array]:
    a, b = x.tolist()
    return 100.0 * (b - a * a) ** 2 + (1.0 - a) ** 2, np.array([-400.0 * a * (b - a * a) - 2.0 * (1.0 - a), 200.0 * (b - a * a)])


def quadratic(eigenvalues: Any) -> Any:
    h = np.asarray(eigenvalues, float)
    return lambda x: (float(0.5 * x @ (h * x)), h * x)


def descend(cost: Any, x0: Any, kind: Any, method: str = "steepest_descent", **how: Any) -> Any:
    return minimize(cost, x0, jac=True, method=method, line_search=kind, path=True, **how)


# ---- the rules, at every step -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["steepest_descent", "momentum", "adam"])
def test_strong_wolfe_holds_at_every_step(method: str) -> None:
    r = descend(rosenbrock, [-1.2, 1.0], LineSearch("strong_wolfe", c1=1e-3, c2=0.4), method, maxiter=300, gtol=1e-4)
    assert r.nit > 20
    for x, d, a, f, after in zip(r.path.x, r.path.directions, r.path.steps, r.path.fun, r.path.x[1:], strict=False):
        f_after, g_after = rosenbrock(after)
        slope0 = rosenbrock(x)[1] @ d
        assert slope0 < 0
        assert f_after <= f + 1e-3 * a * slope0 + 10 * EPS * abs(f)
        assert abs(g_after @ d) <= 0.4 * abs(slope0) * (1 + 1e-12)


@pytest.mark.parametrize("kind", ["backtracking", "armijo"])
def test_armijo_holds_at_every_step(kind: str) -> None:
    r = descend(rosenbrock, [-1.2, 1.0], LineSearch(kind, c1=0.2), maxiter=300)
    for x, d, a, f, after in zip(r.path.x, r.path.directions, r.path.steps, r.path.fun, r.path.fun[1:], strict=False):
        assert after <= f + 0.2 * a * (rosenbrock(x)[1] @ d)


def test_backtracking_tries_its_first_step_each_time() -> None:
    r = descend(rosenbrock, [-1.2, 1.0], LineSearch("backtracking", initial=1.0, shrink=0.25), maxiter=100)
    powers = np.log(r.path.steps) / np.log(0.25)
    np.testing.assert_allclose(powers, np.round(powers), atol=1e-9)
    assert len(set(np.round(powers))) > 1


# ---- rates --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("condition", [4.0, 50.0, 1000.0])
def test_exact_search_meets_the_rate_of_kantorovich(condition: float) -> None:
    """f_(k+1)/f_k <= ((kappa - 1)/(kappa + 1))^2 from anywhere; equal, step after step, from (1/L_1, 0, ..., 0, 1/L_n)."""
    h = np.geomspace(1.0, condition, 7)
    rate = ((condition - 1) / (condition + 1)) ** 2
    r = descend(quadratic(h), np.random.default_rng(0).standard_normal(7), "exact", maxiter=100, gtol=1e-9)
    assert np.all(r.path.fun[1:] <= rate * r.path.fun[:-1] * (1 + 1e-9))
    worst = np.zeros(7)
    worst[[0, -1]] = 1.0, 1.0 / condition
    r = descend(quadratic(h), worst, "exact", maxiter=12, gtol=1e-12)
    np.testing.assert_allclose(r.path.fun[1:] / r.path.fun[:-1], rate, rtol=1e-8)
    np.testing.assert_allclose(r.path.steps, 2 / (1 + condition), rtol=1e-8)


def test_exact_steps_are_the_closed_form_and_turn_by_right_angles() -> None:
    h = np.array([1.0, 3.0, 20.0])
    r = descend(quadratic(h), np.array([1.0, -2.0, 0.5]), "exact", maxiter=30, gtol=1e-6)
    for x, a, d, following in zip(r.path.x, r.path.steps, r.path.directions, r.path.directions[1:], strict=False):
        g = h * x
        assert d.tobytes() == (-g).tobytes()
        assert a == pytest.approx(g @ g / (g @ (h * g)), rel=1e-9)
        assert abs(d @ following) <= 1e-9 * np.linalg.norm(d) * np.linalg.norm(following)


@pytest.mark.parametrize("form", [1, 2])
def test_barzilai_borwein_takes_its_steps(form: int) -> None:
    h = np.geomspace(1, 100, 20)
    r = descend(quadratic(h), np.ones(20), LineSearch("barzilai_borwein", form=form), gtol=1e-9, maxiter=400)
    assert r.reason == "converged"
    s = np.diff(r.path.x, axis=0)
    y = h * s
    bb = np.sum(s * s, 1) / np.sum(s * y, 1) if form == 1 else np.sum(s * y, 1) / np.sum(y * y, 1)
    taken = r.path.steps[1:]
    # rounding of s and y of the last iterations is all that may differ, and steps that the guard has cut
    assert np.mean(np.abs(taken / bb[:-1] - 1) < 1e-6) > 0.95
    assert np.all(taken <= bb[:-1] * (1 + 1e-6))
    assert np.any(np.diff(r.path.fun) > 0)  # not monotone, and that is why it is fast
    exact = descend(quadratic(h), np.ones(20), "exact", gtol=1e-9, maxiter=4000)
    assert 3 * r.nit < exact.nit
    memory = np.array([max(r.path.fun[max(0, k - 10) : k + 1]) for k in range(r.nit)])
    assert np.all(r.path.fun[1:] <= memory)


# ---- directions ---------------------------------------------------------------------------------------------------------


def test_momentum_remembers() -> None:
    r = descend(quadratic([1.0, 30.0]), [-1.2, 1.0], "exact", "momentum", momentum=0.3, maxiter=10, gtol=0)
    assert (r.nit, r.nrestarts) == (10, 0)
    v = np.zeros(2)
    for x, d in zip(r.path.x, r.path.directions, strict=False):
        v = 0.3 * v - np.array([1.0, 30.0]) * x
        np.testing.assert_allclose(d, v, rtol=1e-14)


def test_adam_scales_each_component() -> None:
    r = descend(quadratic([1.0, 100.0]), [1.0, 0.3], "armijo", "adam", lr=1e-3, maxiter=3, gtol=0)
    m = v = 0.0
    assert r.nrestarts == 0
    for k, (x, d) in enumerate(zip(r.path.x, r.path.directions, strict=False), 1):
        g = np.array([1.0, 100.0]) * x
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
        want = -(m / (1 - 0.9**k)) / (np.sqrt(v / (1 - 0.999**k)) + 1e-8)
        np.testing.assert_allclose(d, want, rtol=1e-10)


@functools.cache
def scipys_bottom() -> Array:
    return scipy.optimize.minimize(rosenbrock, [-1.2, 1.0], jac=True, tol=1e-10).x


@pytest.mark.parametrize("method", METHODS)
@for_all("kind", KINDS)
def test_every_optimizer_finds_the_bottom(method: str, kind: str) -> None:
    if kind == "barzilai_borwein" and method != "sgd":
        with pytest.raises(ValueError, match="belong to method='steepest_descent'"):
            descend(rosenbrock, [-1.2, 1.0], kind, method)
        return
    own = {name: value for name, value in SETTINGS.get(method, {}).items() if name != "lr"}
    if looks_ahead(mflow.get_method(method).record):
        with pytest.raises(ValueError, match="looks ahead"):
            descend(rosenbrock, [-1.2, 1.0], kind, method)
        return
    r = descend(rosenbrock, [-1.2, 1.0], kind, method, maxiter=30_000, gtol=2e-3, **own)
    assert r.reason == "converged", r.message
    assert np.max(np.abs(rosenbrock(r.x)[1])) <= 2e-3
    np.testing.assert_allclose(r.x, scipys_bottom(), atol=1e-2)
    assert (r.fun, r.jac.tobytes()) == (rosenbrock(r.x)[0], rosenbrock(r.x)[1].tobytes())


# ---- the path -----------------------------------------------------------------------------------------------------------


def test_the_path_is_the_way() -> None:
    calls = []

    def cost(x: Array) -> tuple[float, Array]:
        calls.append(x.copy())
        return rosenbrock(x.ravel())[0], rosenbrock(x.ravel())[1].reshape(x.shape)

    r = descend(cost, np.array([[-1.2], [1.0]]), "armijo", maxiter=25)
    p = r.path
    assert (p.x.shape, p.directions.shape, p.steps.shape, p.fun.shape) == ((26, 2, 1), (25, 2, 1), (25,), (26,))
    for k in range(25):
        assert (p.x[k] + p.steps[k] * p.directions[k]).tobytes() == p.x[k + 1].tobytes()
    assert [rosenbrock(x.ravel())[0] for x in p.x] == p.fun.tolist()
    assert r.nfev + r.ncheck == len(calls)
    assert r.ncheck == 4
    assert p.x[-1].tobytes() == r.x.tobytes()
    plain = minimize(cost, np.array([[-1.2], [1.0]]), jac=True, method="sgd", line_search="armijo", maxiter=25)
    assert plain.x.tobytes() == r.x.tobytes()
    assert "path" not in plain


# ---- compiled costs -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def compiled() -> Any:
    """Rosenbrock's valley in C; user data: calls left before it gives up with -7 (below 0: never)."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if not compiler:
        pytest.skip("no C compiler")
    folder = Path(tempfile.mkdtemp())
    (folder / "f.c").write_text(
        "#include <stddef.h>\nint f(const double *x, double *value, double *grad, ptrdiff_t n, void *ctx) {"
        " long *left = (long *)ctx; if (left && *left >= 0 && (*left)-- == 0) return -7;"
        " double u = x[1] - x[0] * x[0], w = 1 - x[0]; if (value) *value = 100 * (u * u) + w * w;"
        " if (grad) { grad[0] = -400 * x[0] * u - 2 * w; grad[1] = 200 * u; } return 0; }\n"
    )
    subprocess.run([compiler, "-O2", "-ffp-contract=off", "-shared", "-fPIC", "-o", str(folder / "f.so"), str(folder / "f.c")], check=True)
    f = ctypes.CDLL(str(folder / "f.so")).f
    pointer = ctypes.POINTER(ctypes.c_double)
    f.argtypes, f.restype = [pointer, pointer, pointer, ctypes.c_ssize_t, ctypes.c_void_p], ctypes.c_int
    return f


def valley(x: Array) -> tuple[float, Array]:
    u, w = x[1] - x[0] * x[0], 1 - x[0]
    return 100 * (u * u) + w * w, np.array([-400 * x[0] * u - 2 * w, 200 * u])


@pytest.mark.parametrize("kind", KINDS)
def test_compiled_costs_take_the_same_way(kind: str, compiled: Any) -> None:
    ours = minimize(compiled, [-1.2, 1.0], method="steepest_descent", line_search=kind, path=True, maxiter=200)
    theirs = minimize(valley, [-1.2, 1.0], jac=True, method="steepest_descent", line_search=kind, path=True, maxiter=200)
    for name in ("x", "directions", "steps", "fun"):
        assert ours.path[name].tobytes() == theirs.path[name].tobytes()
    assert ours.nit == theirs.nit
    assert ours.reason == theirs.reason


@pytest.mark.parametrize("calls", [0, 1, 2, 7, 40])
def test_a_compiled_cost_that_gives_up(calls: int, compiled: Any) -> None:
    left = ctypes.c_long(calls)
    capsule = mflow_capsule(compiled, ctypes.addressof(left))
    r = minimize(capsule, [-1.2, 1.0], method="momentum", line_search="strong_wolfe", path=True, check_gradient=False)
    assert (r.reason, r.status, r.success) == ("rhs_failed", -1, False)
    assert "code -7" in r.message
    if calls:
        assert r.fun == valley(r.x)[0] <= min(r.path.fun)
    else:
        assert r.x.tolist() == [-1.2, 1.0]


def mflow_capsule(function: Any, context: int) -> Any:
    from mflow_core.problems.signatures import OBJECTIVE_SIGNATURE

    make, attach = ctypes.pythonapi.PyCapsule_New, ctypes.pythonapi.PyCapsule_SetContext
    make.restype, make.argtypes = ctypes.py_object, [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
    attach.argtypes = [ctypes.py_object, ctypes.c_void_p]
    name = ctypes.create_string_buffer(OBJECTIVE_SIGNATURE.encode() if isinstance(OBJECTIVE_SIGNATURE, str) else OBJECTIVE_SIGNATURE)
    NAMES.append(name)
    capsule = make(ctypes.cast(function, ctypes.c_void_p), ctypes.cast(name, ctypes.c_char_p), None)
    attach(capsule, context)
    return capsule


NAMES: list[Any] = []  # capsules do not copy theirs


# ---- endings: the lowest point seen comes back --------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("after", [1, 2, 3, 10, 33])
def test_an_exception_leaves_the_lowest_point_behind(kind: str, after: int) -> None:
    seen: list[tuple[float, Array]] = []

    def cost(x: Array) -> tuple[float, Array]:
        if len(seen) == after:
            raise ZeroDivisionError("mine")
        seen.append((rosenbrock(x)[0], x.copy()))
        return rosenbrock(x)

    with pytest.raises(ZeroDivisionError, match="mine") as caught:
        descend(cost, [-1.2, 1.0], kind, check_gradient=False)
    partial = caught.value.partial_result
    f, x = min(seen, key=lambda pair: pair[0])
    assert partial.reason == "rhs_failed"
    assert (partial.fun, partial.x.tobytes()) == (f, x.tobytes())


@pytest.mark.parametrize("kind", KINDS)
def test_a_gradient_that_lies(kind: str) -> None:
    with pytest.warns(mflow.GradientWarning, match="it has the wrong sign"):
        r = descend(lambda x: (float(x @ x), -2 * x), [1.0, 2.0], kind, "momentum" if kind != "barzilai_borwein" else "sgd")
    assert (r.reason, r.status, r.success) == ("line_search_failed", -1, False)
    assert (r.x.tolist(), r.fun) == ([1.0, 2.0], 5.0)
    assert kind in r.message
    assert "it has the wrong sign" in r.message


def test_falling_without_end() -> None:
    r = descend(lambda x: (-float(x[0]), np.array([-1.0])), [0.0], LineSearch("strong_wolfe", max_step=1e6))
    assert r.reason == "line_search_failed"
    assert "still falls at max_step = 1e+06" in r.message
    assert r.fun == -1e6


def test_a_wall_without_numbers_is_not_the_end() -> None:
    def cost(x: Array) -> tuple[float, Array]:
        v = float(x[0])
        return (math.nan, np.array([math.nan])) if v >= 1.0 else (-math.log1p(-v) - 2.0 * v, np.array([1.0 / (1.0 - v) - 2.0]))

    for kind in KINDS:
        r = descend(cost, [-30.0], LineSearch(kind, initial=50.0), gtol=1e-8)
        assert r.reason == "converged"
        assert r.x[0] == pytest.approx(0.5, abs=1e-8)


def test_other_endings() -> None:
    r = descend(lambda x: (math.nan, x), [1.0], "armijo")
    assert (r.reason, r.status) == ("non_finite", -1)
    assert r.x.tolist() == [1.0]
    r = descend(rosenbrock, [-1.2, 1.0], "armijo", maxiter=5)
    assert (r.reason, r.status, r.nit) == ("max_iter", 1, 5)
    r = descend(rosenbrock, [1.0, 1.0], "armijo")
    assert (r.reason, r.nit, r.nfev) == ("converged", 0, 1)
    seen = []

    def stop(intermediate_result: Any) -> bool:
        seen.append((intermediate_result.nit, intermediate_result.fun))
        return len(seen) == 4

    r = minimize(rosenbrock, [-1.2, 1.0], jac=True, method="sgd", line_search="armijo", callback=stop)
    assert (r.reason, r.status, r.nit) == ("callback", 2, 4)
    assert [k for k, _ in seen] == [1, 2, 3, 4]
    assert seen[-1][1] == r.fun
    tight = descend(rosenbrock, [-1.2, 1.0], "strong_wolfe", "adam", gtol=0, maxiter=100_000)
    assert tight.fun < 1e-20  # as low as doubles go, whatever the ending
    assert tight.reason in ("line_search_failed", "converged")


def test_differences_will_do() -> None:
    r = minimize(scipy.optimize.rosen, [-1.2, 1.0], jac="3-point", method="momentum", line_search="strong_wolfe", gtol=1e-4)
    assert r.success
    np.testing.assert_allclose(r.x, 1.0, atol=1e-2)


# ---- bad input ----------------------------------------------------------------------------------------------------------


def test_what_does_not_fit_is_named() -> None:
    for error, words, how in (
        (ValueError, "did you mean 'strong_wolfe'", {"line_search": "strong_wolf"}),
        (TypeError, "no option 'c3'", {"line_search": {"c3": 1.0}}),
        (TypeError, "got int", {"line_search": 3}),
        (ValueError, "rk4 gives no direction", {"line_search": "exact", "method": "rk4"}),
        (ValueError, "searches along -grad", {"line_search": "exact", "method": "euler"}),
        (ValueError, "weight_decay: .* got 0.01 of adamw", {"line_search": "exact", "method": "adamw"}),
        (ValueError, "which looks ahead", {"line_search": "exact", "method": "nesterov", "form": "pull"}),
        (ValueError, "first step tried", {"line_search": "exact", "lr": lambda k: 0.1}),
        (ValueError, "first step tried", {"line_search": "exact", "lr": -1.0}),
        (ValueError, "hess: trust_ncg and implicit methods take it", {"line_search": "exact", "hess": np.eye(2)}),
        (ValueError, "every iterate is kept", {"path": 2, "line_search": "exact"}),
    ):
        with pytest.raises(error, match=words):
            minimize(rosenbrock, [-1.2, 1.0], jac=True, **{"method": "sgd", **how})
    for bad in ({"c1": 0.5, "c2": 0.1}, {"memory": 0}, {"form": 3}, {"initial": -1.0}, {"max_evaluations": 0}, {"shrink": 1.0}):
        with pytest.raises(ValueError, match=f"^{next(iter(bad))}.*: expected "):
            LineSearch("armijo", **bad)
    r = minimize(rosenbrock, [-1.2, 1.0], jac=True, method="sgd", options={"line_search": "exact", "lr": 1e-3, "maxiter": 3})
    assert r.nit == 3


@pytest.mark.parametrize("kind", ["strong_wolfe", "armijo", "exact"])
def test_a_product_with_the_direction_that_overflows_is_named(kind: str) -> None:
    r = mflow.line_search(lambda w: (0.5e155 * w[0] ** 2, np.array([1e155 * w[0], 0.0])), [1.0, 0.0], [-1e155, 0.0], kind, jac=True)
    assert (r.reason, r.message[:27]) == ("non_finite", "the slope along d is -inf: ")
    nan = mflow.line_search(lambda w: (1.0, np.array([np.nan, 0.0])), [1.0, 0.0], [-1.0, 0.0], kind, jac=True)
    assert nan.message == "the cost or its gradient is not finite at x"
