"""Derivatives beside the functions that they are given with: `check_gradient`, `check_jacobian`, `check_grad`, and their cheap form."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.optimize
import scipy.sparse

import mflow
from mflow.derivatives.remainder import gradient_model, jacobian_model, quick, quick_gradient

Array = np.ndarray
Case = tuple[Callable[[Array], Any], Array, Array]  # cost, point, its gradient there


def cost(x: Array) -> float:
    return float((x[0] - 1) ** 2 + 10 * (x[1] + 2) ** 2)


def test_the_worst_entry_is_named() -> None:
    report = mflow.check_gradient(cost, [0.3, 0.2], lambda x: [2 * (x[0] - 1.5), 20 * (x[1] + 2)])
    assert (report.verdict, bool(report), report.worst) == ("wrong", False, (0,))
    assert report.given == pytest.approx(-2.4)
    assert report.measured == pytest.approx(-1.4, rel=1e-6)
    assert "entry 0" in str(report)
    right = mflow.check_gradient(cost, [0.3, 0.2], lambda x: [2 * (x[0] - 1), 20 * (x[1] + 2)])
    assert right
    assert (right.worst, right.nfev) == (None, 4)


@pytest.mark.parametrize(("factor", "text"), [(-1.0, "wrong sign"), (0.9, "1.11111 times")])
def test_the_pattern_of_an_error_is_named(factor: float, text: str) -> None:
    report = mflow.check_gradient(cost, [0.3, 0.2], lambda x: factor * np.array([2 * (x[0] - 1), 20 * (x[1] + 2)]))
    assert not report
    assert text in report.text


def test_one_entry_of_many_is_found() -> None:
    a = np.random.default_rng(0).normal(size=(30, 11))

    def grad(x: Array) -> Array:
        out = a * np.cos(a * x)
        out[17, 4] *= 0.5
        return out

    report = mflow.check_gradient(lambda x: float(np.sum(np.sin(a * x))), np.full((30, 11), 0.4), grad)
    assert (report.verdict, report.worst) == ("wrong", (17, 4))
    assert report.given == pytest.approx(0.5 * report.measured, rel=1e-6)


def test_jacobians() -> None:
    A = np.array([[-2.0, 1.0, 0.0], [0.5, -3.0, 0.2], [0.1, 0.0, -1.0]])
    x = [1.0, 2.0, 0.5]
    assert mflow.check_jacobian(lambda t, y: A @ y + t, x, A, t=0.3)
    assert mflow.check_jacobian(lambda t, y: A @ y, x, lambda t, y: scipy.sparse.csr_matrix(A), t=0.0)
    assert "transpose" in str(mflow.check_jacobian(lambda y: A @ y, x, A.T))
    assert "wrong sign" in str(mflow.check_jacobian(lambda y: A @ y, x, -A))
    B = A.copy()
    B[1, 2] = 0.0
    report = mflow.check_jacobian(lambda y: A @ y, x, B)
    assert (report.verdict, report.worst, report.given) == ("wrong", (1, 2), 0.0)
    assert report.measured == pytest.approx(0.2, rel=1e-6)
    with pytest.raises(ValueError, match=r"jac: expected shape \(3, 3\)"):
        mflow.check_jacobian(lambda y: A @ y, x, A[:2])


def test_objectives_check_themselves() -> None:
    f = mflow.objectives.Rosenbrock(6)
    assert mflow.check_gradient(f, f.x0)
    with pytest.raises(TypeError, match="jac: expected the gradient"):
        mflow.check_gradient(cost, [0.0, 0.0])
    with pytest.raises(ValueError, match="the gradient: expected the shape"):
        mflow.check_gradient(cost, [0.0, 0.0], lambda x: [1.0])


@pytest.mark.parametrize("factor", [1.0, 1.01])
def test_check_grad_is_scipys(factor: float) -> None:
    x = np.array([1.3, -0.7, 0.2])

    def grad(x: Array, power: float) -> Array:
        out: Array = factor * power * np.abs(x) ** (power - 1) * np.sign(x)
        return out

    def fun(x: Array, power: float) -> float:
        return float(np.sum(np.abs(x) ** power))

    assert mflow.check_grad(fun, grad, x, 3.0) == pytest.approx(scipy.optimize.check_grad(fun, grad, x, 3.0), rel=1e-6, abs=1e-12)
    assert (mflow.check_grad(fun, grad, x, 3.0, direction="random") > 1e-4) == (factor != 1.0)
    with pytest.raises(ValueError, match="direction"):
        mflow.check_grad(fun, grad, x, 3.0, direction="up")


# ---- many costs -------------------------------------------------------------------------------------------------------------------------


def smooth(rng: np.random.Generator, n: int) -> Case:
    H, b, x = rng.normal(size=(n, n)), rng.normal(size=n), rng.normal(size=n) * 10.0 ** rng.uniform(-2, 2)
    H, s = H @ H.T, 10.0 ** rng.uniform(-6, 6)
    return lambda x: s * (0.5 * x @ H @ x - b @ x), x, s * (H @ x - b)


def logistic(rng: np.random.Generator, n: int) -> Case:
    X, y, x = rng.normal(size=(30, n)), np.where(rng.random(30) > 0.5, 1.0, -1.0), rng.normal(size=n)
    return lambda x: np.logaddexp(0, -y * (X @ x)).mean(), x, -(X * (y / (1 + np.exp(y * (X @ x))))[:, None]).mean(0)


def kinks(rng: np.random.Generator, n: int) -> Case:
    b = rng.normal(size=n)
    x = np.where(rng.random(n) < 0.5, b, b + 10.0 ** rng.uniform(-9, 0) * rng.normal(size=n))
    return lambda x: np.abs(x - b).sum(), x, np.sign(x - b)


def wall(rng: np.random.Generator, n: int) -> Case:
    x = np.exp(rng.normal(size=n) * rng.choice([1, 5, 20]))
    return lambda x: x.sum() - np.log(x).sum(), x, 1 - 1 / x


def entropy(rng: np.random.Generator, n: int) -> Case:
    x = 10.0 ** rng.uniform(-100, 0, size=n)
    return lambda x: (x * np.log(x)).sum(), x, np.log(x) + 1


def cancelled(rng: np.random.Generator, n: int) -> Case:
    f, x, g = smooth(rng, n)
    return lambda x: 1e10 + f(x), x, g


def single(rng: np.random.Generator, n: int) -> Case:
    f, x, g = smooth(rng, n)
    return lambda x: np.float32(f(x)), x, g


def rounded(rng: np.random.Generator, n: int) -> Case:
    f, x, g = smooth(rng, n)
    return lambda x: round(float(f(x)), 6), x, g


def noisy(rng: np.random.Generator, n: int) -> Case:
    f, x, g = smooth(rng, n)
    return lambda x: f(x) * (1 + 1e-9 * np.sin(1e13 * x.sum())), x, g


def counted(rng: np.random.Generator, n: int) -> Case:
    return lambda x: np.floor(x).sum(), rng.normal(size=n), np.zeros(n)


def stepped(rng: np.random.Generator, n: int) -> Case:
    return lambda x: np.round(100 * x).sum() / 100, rng.normal(size=n), np.ones(n)


def waves(rng: np.random.Generator, n: int) -> Case:
    w, b, x = 10.0 ** rng.uniform(0, 9), rng.normal(size=n), rng.normal(size=n)
    return lambda x: np.sin(w * (x @ b)), x, w * b * np.cos(w * (x @ b))


def flat(rng: np.random.Generator, n: int) -> Case:
    x = rng.normal(size=n) * 10.0 ** rng.uniform(-6, 0)
    return lambda x: (x**10).sum(), x, 10 * x**9


KINDS = [smooth, logistic, kinks, wall, entropy, cancelled, single, rounded, noisy, counted, stepped, waves, flat]


@pytest.mark.parametrize("kind", KINDS)
def test_no_right_gradient_is_called_wrong(kind: Callable[..., Case]) -> None:
    rng = np.random.default_rng(7)
    for _ in range(40):
        f, x, g = kind(rng, int(rng.integers(1, 12)))
        with np.errstate(all="ignore"):
            verdict = quick(gradient_model(f, x, f(x), g))
            assert verdict.kind != "wrong"
            assert quick_gradient(f, x, float(f(x)), g) == verdict


@pytest.mark.parametrize("kind", [smooth, logistic])
@pytest.mark.parametrize("error", ["scaled", "entry", "sign", "rolled"])
def test_wrong_gradients_are_called_wrong(kind: Callable[..., Case], error: str) -> None:
    rng = np.random.default_rng(8)
    for _ in range(20):
        f, x, g = kind(rng, int(rng.integers(2, 12)))
        j = np.argmax(np.abs(g))
        wrong = {"scaled": 0.9 * g, "entry": np.where(np.arange(g.size) == j, 0.5 * g, g), "sign": -g, "rolled": np.roll(g, 1)}[error]
        verdict = quick(gradient_model(f, x, f(x), wrong))
        assert verdict.kind == "wrong"
        assert quick_gradient(f, x, float(f(x)), wrong) == verdict
        assert verdict.sign == (error == "sign")


def test_transposed_jacobians_are_called_wrong() -> None:
    rng = np.random.default_rng(9)
    for _ in range(40):
        n = int(rng.integers(2, 9))
        A, x = rng.normal(size=(n, n)), rng.normal(size=n)

        def fun(x: Array, A: Array = A) -> Array:
            return A @ np.sin(x)

        J = A * np.cos(x)
        right = quick(jacobian_model(fun, x, fun(x), J))
        assert (right.kind, right.ncheck) == ("right", 2)
        assert quick(jacobian_model(fun, x, fun(x), J.T)).kind == "wrong"


@pytest.mark.parametrize("offset", [0.0, 1.0, 10.0, 1e3, 1e4, 1e6])
@pytest.mark.parametrize("factor", [3.0, -2.0, 2.1])
def test_float32_costs_never_pass_a_wrong_gradient(offset, factor):
    for cost in (lambda v: np.float32(offset + v @ v), lambda v: float(np.float32(offset + v @ v))):
        assert mflow.check_gradient(cost, [1.0, 2.0], lambda v: factor * v).verdict != "right"


@pytest.mark.parametrize("offset", [1e8, 3e10, 1e12, 1e14])
def test_large_offsets_never_pass_a_wrong_gradient(offset):
    for factor in (3.0, -2.0, 2.1):
        assert mflow.check_gradient(lambda v: offset + v @ v, [1.0, 2.0], lambda v, c=factor: c * v).verdict != "right"
    assert mflow.check_gradient(lambda v: offset + v @ v, [1.0, 2.0], lambda v: 2.0 * v).verdict == (
        "right" if offset < 1e13 else "unknown"
    )


def test_what_few_digits_could_hide_is_said():
    report = mflow.check_gradient(lambda v: np.float32(v @ v), [1.0, 2.0], lambda v: 2.0 * v)
    assert report
    assert report.text.endswith("errors below 1 % would not show in these values")
    t = np.linspace(0, 1, 20, dtype=np.float32)

    def model(b):
        return (np.float32(b[0]) * np.exp(-np.float32(b[1]) * t)).astype(np.float32)

    def slopes(b, c):
        return np.c_[np.exp(-b[1] * t), -c * b[0] * t * np.exp(-b[1] * t)]

    assert mflow.check_jacobian(model, [2.0, 1.5], lambda b: slopes(b, 1.0))
    assert not mflow.check_jacobian(model, [2.0, 1.5], lambda b: slopes(b, 1.02))


def test_a_kink_is_not_called_right():
    report = mflow.check_gradient(lambda v: abs(v[0]), [0.0], lambda v: [0.3])
    assert report.verdict == "unknown"
    assert "kink" in report.text


def test_an_entry_of_a_jacobian_that_is_not_finite_is_named_by_row_and_column():
    with pytest.raises(ValueError, match=r"jac: expected finite numbers, got nan in entry \(1, 0\)"):
        mflow.check_jacobian(lambda b: [b[0], b[1]], [1.0, 2.0], [[1.0, 0.0], [np.nan, 1.0]])


W, B = np.array([[0.3, -0.7], [1.1, 0.2]]), np.array([0.4, 0.9])
ARRANGED = {
    "dict": ({"w": W, "b": B}, lambda p: (p["w"], p["b"]), lambda w, b: {"w": w, "b": b}, ("b", 1)),
    "list": ([W, B], tuple, lambda w, b: [w, b], (1, 1)),
    "tuple": ((W, B), tuple, lambda w, b: (w, b), (1, 1)),
}


@pytest.mark.parametrize("way", ARRANGED)
def test_parameters_in_several_arrays_are_looked_at_as_train_takes_them(way):
    x, apart, together, where = ARRANGED[way]
    kinds = set()

    def cost(p, scale):
        kinds.add(type(p))
        w, b = apart(p)
        return scale * (float(np.sum(w**4)) + float(np.sum(np.sin(b))))

    right = mflow.check_gradient(cost, x, lambda p, scale: together(4 * scale * apart(p)[0] ** 3, scale * np.cos(apart(p)[1])), (3.0,))
    assert right.verdict == "right"
    assert right.n == 6
    assert kinds == {type(x)}
    wrong = mflow.check_gradient(cost, x, lambda p, scale: together(4 * scale * apart(p)[0] ** 3, scale * np.cos(B) * [1, 2]), (3.0,))
    assert wrong.worst == where
    assert f"entry {where} of the gradient is {6 * np.cos(0.9):.6g}" in str(wrong)
    assert abs(wrong.measured - 3 * np.cos(0.9)) < 1e-6
    pair = mflow.check_gradient(lambda p: (cost(p, 1.0), together(4 * apart(p)[0] ** 3, np.cos(apart(p)[1]))), x, True)
    assert bool(pair)


def test_gradients_in_several_arrays_that_do_not_fit_are_named():
    x = {"w": W, "b": B}
    with pytest.raises(ValueError, match=r"the gradient\['b'\]: expected the shape \(2,\) of x\['b'\], got shape \(3,\)"):
        mflow.check_gradient(lambda p: 0.0, x, lambda p: {"w": W, "b": np.ones(3)})
    with pytest.raises(TypeError, match=r"the gradient: expected a dict with the keys \['w', 'b'\]"):
        mflow.check_gradient(lambda p: 0.0, x, lambda p: {"w": W})
    with pytest.raises(ValueError, match=r"the gradient\['w'\]: expected finite numbers, got nan"):
        mflow.check_gradient(lambda p: 0.0, x, lambda p: {"w": np.nan * W, "b": B})


KINKS = {
    "sum of sizes": (lambda x: float(np.abs(x).sum()), np.sign, [0.0, 0.0]),
    "one at its kink": (lambda x: float(np.abs(x).sum()), np.sign, [0.0, 1.0]),
    "peak": (lambda x: -float(np.abs(x).sum()), lambda x: -np.sign(x), [0.0, 0.0]),
    "tie": (lambda x: float(np.max(x)), lambda x: np.eye(3)[np.argmax(x)], [1.0, 1.0, 0.0]),
    "tie of sizes": (lambda x: float(np.max(np.abs(x))), lambda x: np.array([1.0, 0.0]), [0.5, 0.5]),
    "rectified": (lambda x: float(np.maximum(x, 0.0).sum()), lambda x: (x > 0) * 1.0, [0.0, 0.0]),
}


@pytest.mark.parametrize("name", KINKS)
def test_kinks_are_not_called_right(name):
    """A central difference takes |x| at 0 for a minimum with slope 0, and the remainder shrinks as h there, not faster."""
    fun, grad, x = KINKS[name]
    report = mflow.check_gradient(fun, x, grad)
    assert (report.verdict, bool(report)) == ("unknown", False)
    assert "slopes on both sides of x differ, as at a kink" in str(report)


@pytest.mark.parametrize(
    ("fun", "grad"),
    [
        (lambda x: float(np.tanh(40.0 + x).sum()), lambda x: 1.0 - np.tanh(40.0 + x) ** 2),
        (lambda x: float((x**2).sum()) + 3.0, lambda x: 2.0 * x),
        (lambda x: float(np.sum(x**4)) - 1e3, lambda x: 4.0 * x**3),
    ],
)
def test_entries_of_0_are_right_where_the_cost_is_flat_or_at_a_minimum(fun, grad):
    assert mflow.check_gradient(fun, [0.0, 0.0], grad).verdict == "right"


def test_an_entry_of_a_sparse_jacobian_that_is_not_finite_is_named():
    sparse = pytest.importorskip("scipy.sparse")
    with pytest.raises(ValueError, match=r"jac.*finite.*nan"):
        mflow.check_jacobian(lambda x: x, np.ones(3), sparse.csr_array(np.diag([1.0, np.nan, 1.0])))


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int64])
def test_sparse_jacobians_of_other_numbers_than_floats(dtype):
    sparse = pytest.importorskip("scipy.sparse")
    A = sparse.csr_array(np.array([[1, 0, 1], [0, 1, 1]], dtype=dtype))
    assert mflow.check_jacobian(lambda x: A.astype(float) @ x, np.ones(3), lambda x: A).verdict == "right"
    assert mflow.check_jacobian(lambda x: 2.0 * (A.astype(float) @ x), np.ones(3), lambda x: A).verdict == "wrong"


@pytest.mark.parametrize("offset", [1e2, 1e4, 1e6])
@pytest.mark.parametrize("at", [0.3, 1.1, 2.7])
def test_a_part_in_float32_beside_a_steeper_one_accuses_no_right_gradient(offset, at):
    """Its values move in jumps that are longer than all steps up to 0.1."""
    cost = lambda x: float(np.float32(np.sin(x[0]) + offset)) + 100 * (x[0] - 2) ** 2  # noqa: E731
    seen = mflow.check_gradient(cost, [at], lambda x: np.array([np.cos(x[0]) + 200 * (x[0] - 2)]))
    assert seen.verdict != "wrong"
    smooth = mflow.check_gradient(lambda x: np.sin(x[0]) + 100 * (x[0] - 2) ** 2, [at], lambda x: 1.003 * (np.cos(x) + 200 * (x - 2)))
    assert smooth.verdict == "wrong"
