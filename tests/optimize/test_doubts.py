"""Values of few digits, differences of exactly 0, and gradients that are not the cost's, in `minimize`, `train` and `explain`."""

from __future__ import annotations

import ctypes
import math
import shutil
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.optimize

import mflow

Array = np.ndarray
A, B = np.array([[3.0, 1.0], [1.0, 2.0]]), np.array([1.0, -1.0])
BEST = np.linalg.solve(A, B)


def bowl(x: Array) -> float:
    return float(0.5 * x @ A @ x - B @ x + 1.0)


def bowl32(x: Array) -> Any:
    x32, A32, B32 = x.astype(np.float32), A.astype(np.float32), B.astype(np.float32)
    return np.float32(0.5) * x32 @ A32 @ x32 - B32 @ x32 + np.float32(1)


def bowl_inside(x: Array) -> float:
    """float32 inside, float64 outside: no value tells of it."""
    return float(np.sum((A.astype(np.float32) @ x.astype(np.float32) - B.astype(np.float32)).astype(np.float64) ** 2) + 1e-3)


COARSE = {
    "float32": bowl32,
    "float32 as a Python float": lambda x: bowl32(x).item(),
    "float32 inside": bowl_inside,
    "rounded": lambda x: round(bowl(x), 6),
    "1e10 above": lambda x: 1e10 + bowl(x),
}


@pytest.mark.parametrize("jac", [None, "3-point"])
@pytest.mark.parametrize("kind", COARSE)
def test_coarse_values_lead_to_the_minimum(kind: str, jac: Any) -> None:
    lr = 0.05 if kind == "float32 inside" else 0.2  # its curvature is greater
    r = mflow.minimize(COARSE[kind], [1.1, 0.7], jac=jac, method="sgd", lr=lr, maxiter=500)
    np.testing.assert_allclose(r.x, BEST, atol=2e-3 if kind == "1e10 above" else 3e-4)
    assert r.nit > 3
    assert kind not in ("float32", "float32 as a Python float") or "float32" in r.message


def test_a_search_in_float32() -> None:
    r = mflow.minimize(bowl32, [1.0, 1.0], method="steepest_descent", line_search="armijo", maxiter=100)
    np.testing.assert_allclose(r.x, BEST, atol=2e-3)
    assert "float32" in r.message


def test_float32_of_torch() -> None:
    torch = pytest.importorskip("torch")
    a, b = torch.tensor(A, dtype=torch.float32), torch.tensor(B, dtype=torch.float32)

    def cost(x: Array) -> Any:
        c = torch.tensor(x, dtype=torch.float32)
        return 0.5 * c @ (a @ c) - b @ c + 1

    for fun in (cost, lambda x: cost(x).item()):
        r = mflow.minimize(fun, [1.1, 0.7], method="sgd", lr=0.2, maxiter=500)
        np.testing.assert_allclose(r.x, BEST, atol=3e-4)
        assert "float32" in r.message


def test_differences_of_0() -> None:
    r = mflow.minimize(lambda x: 3.0, [0.0, 1.0])
    assert (r.reason, r.success, r.status) == ("insensitive", False, -1)
    assert "does not change" in r.message
    r = mflow.minimize(lambda x: 1 + x[0] ** 2, [0.0], jac="3-point")
    assert (r.reason, r.success, r.x.tolist()) == ("converged", True, [0.0])
    assert mflow.minimize(lambda x: 1 + x[0] ** 2, [0.0]).reason == "converged"
    r = mflow.minimize(lambda x: 1 - x[0] ** 2, [0.0], jac="3-point")
    assert (r.reason, r.success) == ("not_a_minimum", False)
    r = mflow.minimize(lambda x: (x[0] - 1) ** 2, [0.0, 5.0], method="sgd", lr=0.2)
    assert r.success
    assert "nothing depends on x[1]" in r.message


def test_honest_runs_are_as_before() -> None:
    """Differences with the usual steps, and two evaluations more, which look for a slope at the end that they do not see."""
    calls: list[Array] = []

    def cost(x: Array) -> float:
        calls.append(x.copy())
        return bowl(x)

    r = mflow.minimize(cost, [1.0, 1.0], method="sgd", lr=0.2)
    assert r.success
    assert r.ncheck == 0
    assert len(calls) == r.nfev == 3 * r.njev + 2
    assert calls[1][0] - calls[0][0] == 2.0**-26


def test_diff_step() -> None:
    steps: list[float] = []

    def cost(x: Array) -> float:
        steps.append(float(x[0]))
        return bowl(x)

    mflow.minimize(cost, [1.0, 1.0], method="sgd", maxiter=0, diff_step=[1e-3, 1e-2])
    assert steps[1] == 1.0 + 1e-3
    with pytest.raises(ValueError, match="diff_step: expected None beside a gradient"):
        mflow.minimize(cost, [1.0, 1.0], jac=lambda x: A @ x - B, diff_step=1e-3)
    for wrong in (0.0, [1.0, 2.0, 3.0], -1.0):
        with pytest.raises(ValueError, match="diff_step: expected a number above 0, or 2 of them"):
            mflow.minimize(cost, [1.0, 1.0], diff_step=wrong)


# ---- gradients that are given -----------------------------------------------------------------------------------------------------------


def valley(x: Array) -> float:
    return float((x[0] - 1) ** 2 + 10 * (x[1] + 2) ** 2)


def test_a_wrong_gradient_does_not_converge() -> None:
    with pytest.warns(mflow.GradientWarning, match="not that of the cost"):
        r = mflow.minimize(valley, [0.0, 0.0], jac=lambda x: [2 * (x[0] - 1.5), 20 * (x[1] + 2)], method="sgd", lr=0.04)
    assert (r.reason, r.success, r.status) == ("wrong_gradient", False, -1)
    assert r.x[0] == pytest.approx(1.5, abs=1e-4)
    assert "not that of the cost" in r.message


@pytest.mark.parametrize("how", [{"lr": 0.04}, {"line_search": "armijo"}, {"lr": 10.0, "maxiter": 50}])
def test_the_wrong_sign_is_said(how: dict[str, Any]) -> None:
    with np.errstate(all="ignore"), pytest.warns(mflow.GradientWarning, match="it has the wrong sign"):
        r = mflow.minimize(lambda x: (valley(x), np.array([-2 * (x[0] - 1), -20 * (x[1] + 2)])), [0.0, 0.0], jac=True, method="sgd", **how)
    assert not r.success
    assert "it has the wrong sign" in r.message
    assert "lower lr" not in r.message


def test_the_check_is_counted_apart() -> None:
    calls = [0]

    def cost(x: Array) -> float:
        calls[0] += 1
        return valley(x)

    def grad(x: Array) -> list[float]:
        return [2 * (x[0] - 1), 20 * (x[1] + 2)]

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        r = mflow.minimize(cost, [0.0, 0.0], jac=grad, method="sgd", lr=0.04)
    assert (r.reason, r.ncheck, r.nfev + r.ncheck) == ("converged", 4, calls[0])
    plain = mflow.minimize(cost, [0.0, 0.0], jac=grad, method="sgd", lr=0.04, check_gradient=False)
    assert plain.ncheck == 0
    assert (plain.x.tobytes(), plain.nfev, plain.njev, plain.nit) == (r.x.tobytes(), r.nfev, r.njev, r.nit)
    with pytest.raises(TypeError, match="check_gradient: expected True or False"):
        mflow.minimize(cost, [0.0, 0.0], jac=grad, check_gradient="no")


def test_costs_that_do_not_repeat_are_said_to_be_unchecked() -> None:
    rng = np.random.default_rng(0)
    r = mflow.minimize(
        lambda x: valley(x) + rng.normal(), [0.0, 0.0], jac=lambda x: [2 * (x[0] - 1), 20 * (x[1] + 2)], method="sgd", lr=0.04
    )
    assert "do not repeat at one point" in r.message
    assert r.reason == "converged"


def test_scipys_counts_are_scipys() -> None:
    import mflow.scipy

    calls = [0]

    def cost(x: Array) -> tuple[float, Array]:
        calls[0] += 1
        return valley(x), np.array([2 * (x[0] - 1), 20 * (x[1] + 2)])

    r = scipy.optimize.minimize(cost, [0.0, 0.0], jac=True, method=mflow.scipy.minimize_sgd, options={"lr": 0.04})
    assert r.success
    assert r.ncheck == 0


def test_a_compiled_cost_is_looked_at_once(tmp_path: Path) -> None:
    compiler = shutil.which("cc") or shutil.which("gcc")
    if not compiler:
        pytest.skip("no C compiler")
    (tmp_path / "f.c").write_text("""
        #include <stddef.h>
        static int cost(const double *x, double *value, double *grad, double at) {
          if (value) *value = (x[0] - 1)*(x[0] - 1) + 10*(x[1] + 2)*(x[1] + 2);
          if (grad) { grad[0] = 2*(x[0] - at); grad[1] = 20*(x[1] + 2); }
          return 0;
        }
        int right(const double *x, double *value, double *grad, ptrdiff_t n, void *ctx) { return cost(x, value, grad, 1.0); }
        int wrong(const double *x, double *value, double *grad, ptrdiff_t n, void *ctx) { return cost(x, value, grad, 1.5); }
    """)
    subprocess.run([compiler, "-shared", "-fPIC", "-o", str(tmp_path / "f.so"), str(tmp_path / "f.c")], check=True)
    library = ctypes.CDLL(str(tmp_path / "f.so"))
    pointer = ctypes.POINTER(ctypes.c_double)
    for fun in (library.right, library.wrong):
        fun.argtypes, fun.restype = [pointer, pointer, pointer, ctypes.c_ssize_t, ctypes.c_void_p], ctypes.c_int
    runs = [mflow.minimize(library.right, [0.0, 0.0], method="sgd", lr=0.04) for _ in range(2)]
    assert [(r.reason, r.ncheck) for r in runs] == [("converged", 5), ("converged", 0)]
    counts = []
    for _ in range(2):
        with pytest.warns(mflow.GradientWarning):
            r = mflow.minimize(library.wrong, [0.0, 0.0], method="sgd", lr=0.04)
        assert (r.reason, r.success) == ("wrong_gradient", False)
        counts.append(r.ncheck)
    assert counts[0] > 3
    assert counts[1] == 0
    kept = scipy.LowLevelCallable(library.right)  # takes no weak reference: looked at each time, and not kept alive
    held = sys.getrefcount(kept)
    runs = [mflow.minimize(kept, [0.0, 0.0], method="sgd", lr=0.04) for _ in range(2)]
    assert [(r.reason, r.ncheck) for r in runs] == [("converged", 5)] * 2
    del runs  # a result holds its cost, for certificates
    assert sys.getrefcount(kept) == held


def test_train_on_a_full_batch() -> None:
    X = np.random.default_rng(0).normal(size=(40, 2))
    y = X @ [1.0, -2.0]
    calls = [0]

    def cost(w: Array, X: Array, y: Array) -> tuple[float, Array]:
        calls[0] += 1
        r = X @ w - y
        return float(0.5 * np.mean(r**2)), X.T @ r / len(y)

    r = mflow.train(cost, np.zeros(2), (X, y), "sgd", epochs=3, batch_size=40, jac=True, lr=0.1, seed=0)
    assert (r.nfev, r.ncheck, calls[0]) == (3, 2, 6)  # and once for the loss of the last parameters
    plain = mflow.train(cost, np.zeros(2), (X, y), "sgd", epochs=3, batch_size=40, jac=True, lr=0.1, seed=0, check_gradient=False)
    assert plain.ncheck == 0
    assert plain.params.tobytes() == r.params.tobytes()
    assert mflow.train(cost, np.zeros(2), (X, y), "sgd", epochs=1, batch_size=10, jac=True, lr=0.1, seed=0).ncheck == 2
    assert mflow.train(cost, np.zeros(2), [(X, y)], "sgd", epochs=1, jac=True, lr=0.1).ncheck == 2
    with pytest.warns(mflow.GradientWarning, match="train: the gradient is not that of the loss.*wrong sign"):
        r = mflow.train(lambda w: (cost(w, X, y)[0], -cost(w, X, y)[1]), np.ones(2), None, "sgd", epochs=2, jac=True, lr=0.1)
    assert "it has the wrong sign" in r.message
    nested = {"a": np.zeros(1), "b": np.zeros(1)}
    r = mflow.train(
        lambda w: (float((w["a"][0] - 1) ** 2 + w["b"][0]), {"a": 2 * (w["a"] - 1), "b": np.ones(1)}), nested, None, "sgd", epochs=2,
        jac=True, lr=0.1,
    )  # fmt: skip
    assert r.ncheck == 2


def test_explain_says_it() -> None:
    right = mflow.explain(valley, [0.0, 0.5], jac=lambda x: [2 * (x[0] - 1), 20 * (x[1] + 2)])
    assert (right.ncheck, right.gradient) == (3, "")  # two, and the cost at x0
    with pytest.warns(mflow.GradientWarning, match="explain: the gradient is not that"):
        wrong = mflow.explain(valley, [0.0, 0.5], jac=lambda x: [2 * (x[0] - 1.5), 20 * (x[1] + 2)])
    assert "not that of the cost" in str(wrong)


def test_slopes_of_float32_at_a_tight_tolerance() -> None:
    def slope(t: float, y: Array) -> Array:
        return -y.astype(np.float32)

    for fun in (slope, lambda t, y: slope(t, y).tolist()):
        with pytest.warns(RuntimeWarning, match=r"slopes carry about 7 digits \(float32\), and rtol = 1e-10"):
            r = mflow.solve_ivp(fun, (0, 1), [1.1], rtol=1e-10, atol=1e-12, max_steps=2000)
        assert "about 7 digits" in r.message
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert mflow.solve_ivp(slope, (0, 1), [1.1], rtol=1e-3).success
        assert mflow.solve_ivp(lambda t, y: -y, (0, 1), [1.1], rtol=1e-10).success
        assert mflow.solve_ivp(lambda t, y: np.ones(1), (0, 1), [1.1], rtol=1e-10).success


def test_explain_of_a_float32_cost() -> None:
    report = mflow.explain(lambda x: np.float32(((x - 1) ** 2 * [1, 10]).sum()), [0.1, 3.0])
    assert report.curvature[1] == pytest.approx(20.0, rel=0.05)
    assert "float32" in str(report)


def test_compiled_differences() -> None:
    pytest.importorskip("numba")
    r = mflow.minimize(mflow.compile(lambda x: 3.0 + 0.0 * x[0]), [0.5, 3.0], method="sgd", lr=0.1)
    assert (r.reason, r.success) == ("insensitive", False)


def shifted(x: Array) -> Array:
    """The gradient of `bowl_of` near (5, 5), and of one with another minimum elsewhere."""
    return np.array([2 * (x[0] - (1.0 if np.linalg.norm(x - 5.0) < 1.0 else 1.5)), 20 * (x[1] + 2)])


def bowl_of(x: Array) -> float:
    return float((x[0] - 1) ** 2 + 10 * (x[1] + 2) ** 2)


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"method": "momentum", "lr": 0.02}, "wrong_gradient"),
        ({"method": "sgd", "lr": 0.02}, "wrong_gradient"),
        ({"method": "backward_euler", "dt": 1.0}, "wrong_gradient"),
        ({"method": "steepest_descent", "line_search": "strong_wolfe"}, "line_search_failed"),
        ({"method": "sgd", "lr": 0.02, "maxiter": 50}, "max_iter"),
    ],
)
def test_a_gradient_that_is_right_at_x0_and_wrong_elsewhere(settings: dict[str, Any], reason: str) -> None:
    calls = [0]

    def cost(x: Array) -> float:
        calls[0] += 1
        return bowl_of(x)

    with pytest.warns(mflow.GradientWarning, match="minimize: the gradient is not that of the cost at x: along") as told:
        r = mflow.minimize(cost, [5.0, 5.0], jac=shifted, **settings)
    assert (r.reason, r.success, told[0].filename) == (reason, False, __file__)
    assert r.message.startswith("the gradient is not that of the cost at x: ")
    assert r.nfev + r.ncheck == calls[0]
    plain = mflow.minimize(bowl_of, [5.0, 5.0], jac=shifted, check_gradient=False, **settings)
    assert (plain.ncheck, plain.x.tolist()) == (0, r.x.tolist())


def test_an_interrupted_look_at_the_end_keeps_the_result() -> None:
    calls = [0]

    def cost(x: Array) -> float:
        calls[0] += 1
        if calls[0] == 4:
            raise KeyboardInterrupt
        return float(x @ x)

    with pytest.raises(KeyboardInterrupt) as caught:
        mflow.minimize(cost, [1.0, 1.0], jac=lambda x: 2 * x, method="sgd", lr=0.25)
    partial: Any = caught.value.partial_result  # type: ignore[attr-defined]
    assert np.abs(partial.x).max() < 1e-5


@pytest.mark.parametrize(("constant", "error"), [(1e6, 1e-3), (1e8, 1e-2), (1e4, 1e-4)])
def test_a_wrong_gradient_beside_a_large_constant(constant, error):
    """Rounding hides it in short differences and the curve in long ones on one side, but not in their mean."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mflow.GradientWarning)
        r = mflow.minimize(lambda x: constant + 0.5 * (x[0] - 1) ** 2, [3.0], jac=lambda x: np.array([x[0] - 1 + error]))
        assert (r.reason, r.success) == ("wrong_gradient", False)
        right = mflow.minimize(lambda x: constant + 0.5 * (x[0] - 1) ** 2, [3.0], jac=lambda x: np.array([x[0] - 1]))
    assert right.success


def test_what_rounding_hides_at_both_ends_is_said():
    r = mflow.minimize(lambda x: 1e8 + 0.5 * (x[0] - 1) ** 2, [1.5], jac=lambda x: np.array([x[0] - 1 + 1e-3]))
    assert "is not known" in r.message


def mixed(seed: int) -> tuple[Any, Any, Array]:
    """A loss of float32 and a penalty of float64, its gradient, and where it is least, by the normal equations."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(60, 3)).astype(np.float32)
    y = (X @ np.array([1, -2, 0.5], np.float32) + 0.01 * rng.normal(size=60)).astype(np.float32)
    A = X.astype(float)

    def cost(w: Array) -> float:
        return float(np.mean((X @ w.astype(np.float32) - y) ** 2)) + 1e-3 * float(w @ w)

    def grad(w: Array) -> Array:
        return np.asarray((2 * X.T @ (X @ w.astype(np.float32) - y) / 60).astype(float) + 2e-3 * w)

    return cost, grad, np.linalg.solve(A.T @ A / 60 + 1e-3 * np.eye(3), A.T @ y / 60)


@pytest.mark.parametrize("start", [1.0, -0.7, 5.0])
@pytest.mark.parametrize("seed", range(4))
def test_a_smooth_part_does_not_hide_one_that_moves_in_jumps(seed: int, start: float) -> None:
    """Short differences see the penalty alone, whose minimum is at 0."""
    cost, grad, best = mixed(seed)
    r = mflow.minimize(cost, np.full(3, start))
    assert r.reason in ("converged", "line_search_failed")  # the digits of float32 may end it
    np.testing.assert_allclose(r.x, best, atol=3e-3)
    assert mflow.check_gradient(cost, np.full(3, start), grad).verdict != "wrong"
    off = mflow.check_gradient(cost, np.full(3, start), lambda w: grad(w) + np.array([0.5, 0.0, 0.0]))
    assert off.verdict != "right"


@pytest.mark.parametrize(
    "cost",
    [
        lambda x: round(float(np.sin(x[0])), 5) + 0.1 * x[0] ** 2, lambda x: float(np.float32(np.sin(x[0]))) + 0.1 * x[0] ** 2,
        lambda x: np.floor(1e5 * np.sin(x[0])) / 1e5 + 0.1 * x[0] ** 2,
    ],
)  # fmt: skip
@pytest.mark.parametrize("start", [0.3, 1.2, -0.7])
def test_a_right_gradient_beside_jumps_is_not_called_wrong(cost: Any, start: float) -> None:
    assert mflow.check_gradient(cost, [start], lambda x: np.cos(x) + 0.2 * x).verdict != "wrong"
    assert mflow.check_gradient(cost, [start], lambda x: 1.2 * np.cos(x) + 0.2 * x).verdict != "right"


ROUGH = {
    "rounded": lambda v: round(v, 5),
    "float32": lambda v: float(np.float32(v)),
    "beside 100": lambda v: float(np.float32(v + 100.0)),
    "beside 1e8": lambda v: (v + 1e8) - 1e8,
}


def rough_quadratic(name: str, weight: float, seed: int) -> tuple[Any, Any, Array, Array]:
    """A cost, its gradient, where it is least, and a start."""
    rng = np.random.default_rng(seed)
    n = 1 + seed % 3
    Q, b = rng.normal(size=(n, n)), rng.normal(size=n)
    A = Q @ Q.T / n + np.eye(n)

    def cost(x: Array) -> float:
        return float(ROUGH[name](0.5 * float(x @ A @ x) - float(b @ x)) + weight * float((x - 2) @ (x - 2)))

    def grad(x: Array) -> Array:
        return np.asarray(A @ x - b + 2 * weight * (x - 2))

    return cost, grad, np.linalg.solve(A + 2 * weight * np.eye(n), b + 4 * weight), 2.0 * rng.normal(size=n)


@pytest.mark.parametrize("weight", [1e-6, 1e-2, 1.0, 100.0])
@pytest.mark.parametrize("name", ROUGH)
def test_values_of_few_digits_beside_a_smooth_part_of_any_size(name: str, weight: float) -> None:
    for seed in range(6):
        cost, grad, best, start = rough_quadratic(name, weight, seed)
        off = np.abs(grad(start)).max() * np.eye(start.size)[0]
        assert mflow.check_gradient(cost, start, lambda x, grad=grad, off=off: grad(x) + off).verdict != "right"
        if name != "rounded":
            assert mflow.check_gradient(cost, start, grad).verdict != "wrong"
            assert mflow.minimize(cost, start, jac=grad).reason != "wrong_gradient"
        r = mflow.minimize(cost, start)
        assert not r.success or np.abs(r.x - best).max() < 0.05, (seed, r)


@pytest.mark.parametrize(("cost", "start", "best"), [
    (lambda x: round(0.1579 * x[0] ** 2, 5) + 1e-6 * (x[0] - 2) ** 2, 1.0, 0.0),
    (lambda x: round(0.5 * x[0] ** 2 + 0.132 * x[0], 5) + 1e-6 * (x[0] - 2) ** 2, 0.0, -0.132),
])  # fmt: skip
def test_a_start_at_which_differences_see_the_smooth_part_alone(cost: Any, start: float, best: float) -> None:
    r = mflow.minimize(cost, [start])
    assert r.nit > 0
    assert abs(r.x[0] - best) < 0.01


def _far(x: Array) -> float:
    return float(0.5 * (x[0] ** 3 + 1.0) ** 2)  # least at -1, an inflection at 0


@pytest.mark.parametrize("method", ["lbfgs", "bfgs", "cg"])
@pytest.mark.parametrize(
    ("cost", "start"),
    [
        (_far, [1.0]),
        (_far, [0.0]),
        (lambda x: x[0] ** 3, [1.0]),
        (lambda x: x[0] ** 3 + 1.0, [0.0]),
        (lambda x: 1.0 - x[0] ** 5, [0.0]),
        (lambda x: min(x[0], 0.0) ** 3 + 1.0, [0.0]),
        (lambda x: x[0] ** 3 + (x[1] - 2.0) ** 2, [0.0, 0.0]),
        (lambda x: float(np.sum(x**3)) + 1.0, [0.0] * 30),
    ],
)
def test_an_inflection_is_no_minimum(cost: Any, start: list[float], method: str) -> None:
    """The slope is 0 to the last digit of differences, and the cost falls on one side; it ended "converged", with success."""
    r = mflow.minimize(cost, start, method=method)
    assert (r.reason, r.success, r.status) == ("not_a_minimum", False, -1)
    assert "falls on one side of x" in r.message
    aside = 0.01 * (np.arange(r.x.size) == 0)
    assert min(cost(r.x + aside), cost(r.x - aside)) < r.fun


@pytest.mark.parametrize(
    ("cost", "start"),
    [
        (lambda x: x[0] ** 4 + 1.0, [0.0]),
        (lambda x: x[0] ** 4 + x[0] ** 5, [0.0]),
        (lambda x: 1.0 + (x[0] - 1e-3) ** 4, [0.0]),
        (lambda x: max(x[0], 0.0) ** 3 + 1.0, [0.0]),
        (lambda x: float(x @ x) ** 2 + 1.0, [0.0, 0.0]),
        (lambda x: 1.0 - math.cos(x[0]) ** 3, [0.0]),
        (lambda x: 1e3 + x[0] ** 2 + x[0] ** 3, [0.0]),
    ],
)
def test_flat_minima_stay_minima(cost: Any, start: list[float]) -> None:
    r = mflow.minimize(cost, start)
    assert (r.reason, r.success) == ("converged", True)
    assert "falls" not in r.message


@pytest.mark.parametrize(("bounds", "reason"), [((0.0, 1.0), "converged"), ((-2.0, 1.0), "not_a_minimum")])
def test_an_inflection_at_a_bound_is_the_least_there(bounds: tuple[float, float], reason: str) -> None:
    """To the right the cost rises; to the left, where it falls, is no point to ask."""
    assert mflow.minimize(_far, [0.0], bounds=[bounds]).reason == reason


@pytest.mark.parametrize("jac", [None, True])
@pytest.mark.parametrize("n", [1, 2, 10])
def test_pendulums_and_spins_upside_down_are_at_no_minimum(n: int, jac: Any) -> None:
    """The given slope is that of rounding, sin(pi), there, and not 0; coupled ones fall together alone."""
    field, start = 0.3 if n < 10 else 0.1, np.full(n, np.pi)

    def both(a: Array) -> tuple[float, Array]:
        turns = np.sin(np.diff(a, prepend=a[0], append=a[-1]))
        return float(-np.sum(np.cos(np.diff(a))) - field * np.cos(a).sum()), field * np.sin(a) - np.diff(turns)

    r = mflow.minimize(both if jac else lambda a: both(a)[0], start, jac=jac)
    assert (r.success, r.reason, r.nit) == (False, "not_a_minimum", 0)
    assert mflow.minimize(both if jac else lambda a: both(a)[0], np.zeros(n), jac=jac).reason == "converged"
