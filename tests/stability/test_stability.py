"""Stability: amplification, limits on the axes, learning rates, and what runs really do on either side of a limit."""

import contextlib
import math
import warnings
from typing import Any

import mpmath
import numpy as np
import pytest

import mflow
from support.oracles.reference import defaults
from support.oracles.tableaus import beta_of, butcher, stability_function
from support.small_cases import for_all

MU = (0.0, 0.3, 0.5, 0.9, 0.99)

REAL = {  # where |R(-x)| = 1 for the first time: E. Hairer and G. Wanner, Solving Ordinary Differential Equations II, IV.2
    "euler": 2.0,
    "rk2": 2.0,
    "midpoint": 2.0,
    "tvd_rk2": 2.0,
    "rk3": 2.512745326618329,
    "tvd_rk3": 2.512745326618329,
    "rk4": 2.785293563405282,
}
IMAGINARY = {
    "euler": 0.0, "rk2": 0.0, "midpoint": 0.0, "tvd_rk2": 0.0,
    "rk3": math.sqrt(3.0), "tvd_rk3": math.sqrt(3.0), "rk4": 2.0 * math.sqrt(2.0),
}  # fmt: skip


def polynomial(method: Any) -> list[Any]:
    """Coefficients of R(z) = 1 + sum_k z^k b A^(k-1) 1, in exact fractions."""
    A, b, _ = butcher(method)
    A = beta_of(method) or A
    out, powers = [1], [1] * len(b)
    for _ in range(max(len(b), method.order)):
        out.append(sum(w * v for w, v in zip(b, powers, strict=True)))
        powers = [sum(a * v for a, v in zip(line, powers, strict=True)) for line in A]
    return out


def at(coefficients: list[Any], z: complex) -> complex:
    with mpmath.workdps(30):
        exact = [mpmath.mpf(c.numerator) / c.denominator if hasattr(c, "numerator") else mpmath.mpf(c) for c in coefficients]
        return complex(mpmath.fsum(c * mpmath.mpc(z) ** k for k, c in enumerate(exact)))


def product(J: Any, y: Any) -> Any:
    with np.errstate(over="ignore", invalid="ignore"):
        return J @ y


# ---- integrators --------------------------------------------------------------------------------------------------------


def explicit(method: Any) -> bool:
    """Whether the stability function of a method is a polynomial that follows from its tableau."""
    return "implicit" not in method.flags and method.tableau is not None


def test_amplification_is_the_rational_function_of_the_tableau(step_method: Any) -> None:
    """On the real axis, in exact fractions."""
    if step_method.tableau is None:
        pytest.skip("no tableau: its stages are chosen at run time; tests/core/methods/test_runge_kutta.py has its stability polynomial")
    z = np.random.default_rng(5).uniform(-4, 0, 20)
    want = [stability_function(step_method, value) for value in z]
    np.testing.assert_allclose(mflow.amplification(step_method.name, z), want, rtol=0, atol=8 * 2.0**-52 * 3.0**step_method.order)


def test_amplification_is_the_polynomial_of_the_tableau(step_method: Any) -> None:
    if not explicit(step_method):
        pytest.skip("no polynomial: see the test above")
    rng = np.random.default_rng(4)
    z = rng.uniform(-4, 2, 60) + 1j * rng.uniform(-4, 4, 60)
    coefficients = polynomial(step_method)
    want = np.array([at(coefficients, value) for value in z])
    size = np.array([at([abs(c) for c in coefficients], abs(value)) for value in z]).real
    got = mflow.amplification(step_method.name, z)
    assert np.all(abs(got - want) <= 8 * 2.0**-52 * step_method.stages * size)


def test_polynomial_is_the_exponential_to_the_order(one_step_method: Any) -> None:
    coefficients = polynomial(one_step_method)
    for k in range(one_step_method.order + 1):
        assert float(coefficients[k]) == pytest.approx(1 / math.factorial(k), rel=1e-14)


@for_all("shape", [(), (1,), (0,), (2, 3)])
def test_amplification_keeps_its_shape(one_step_method: Any, shape: tuple[int, ...]) -> None:
    out = mflow.amplification(one_step_method.name, np.full(shape, -0.5))
    assert (out.shape, out.dtype) == (shape, np.dtype(np.complex128))
    assert np.all(out.imag == 0.0)


@pytest.mark.parametrize("name", REAL)
def test_limits_that_are_published(name: str) -> None:
    assert mflow.stability_limit(name) == pytest.approx(REAL[name], rel=1e-9)
    assert mflow.stability_limit(name, axis="real") == mflow.stability_limit(name)
    assert mflow.stability_limit(name, axis="imaginary") == pytest.approx(IMAGINARY[name], rel=1e-6, abs=0)


@pytest.mark.parametrize(("axis", "direction"), [("real", -1.0), ("imaginary", 1j)])
def test_limits_are_where_the_polynomial_leaves_the_disc(step_method: Any, axis: str, direction: complex) -> None:
    """The limit of the method against the polynomial's own: inside all along, outside just beyond; 0 where it is outside from the start."""
    if step_method.tableau is None:
        pytest.skip("no tableau: its stages are chosen at run time; tests/core/methods/test_runge_kutta.py has its limits at fixed stages")
    limit = mflow.stability_limit(step_method.name, axis=axis)
    if not explicit(step_method):
        far = np.geomspace(1e-3, 1e6, 200) * direction
        assert limit == math.inf
        assert np.all(np.abs(mflow.amplification(step_method.name, far)) <= 1 + 1e-13)
        return
    coefficients = polynomial(step_method)
    if limit == 0.0:
        assert abs(at(coefficients, 0.05 * direction)) > 1 + 1e-13
        return
    inside = [abs(at(coefficients, x * direction)) for x in np.linspace(0.05, limit * (1 - 1e-9), 400)]
    assert max(inside) <= 1 + 1e-13
    assert abs(at(coefficients, limit * (1 + 1e-6) * direction)) > 1 + 1e-13


@contextlib.contextmanager
def growth_is_told() -> Any:
    """A run past its limit that stays finite may warn that it is past it; nothing else may."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "solve_ivp: .*exceeds the stability limit", RuntimeWarning)
        yield


@pytest.mark.parametrize("factor", [0.99, 1.01])
def test_limit_against_what_happens(step_method: Any, factor: float) -> None:
    """On a linear system a run within 1 % of max_stable_dt dies away below it and grows above it."""
    J = np.array([[-30.0, 4.0], [4.0, -10.0]])
    fixed = {"stages": 5} if "staged" in step_method.flags else {}  # otherwise such a method takes as many as it needs
    dt = factor * mflow.max_stable_dt(step_method.name, jac=J, **fixed)
    if dt == math.inf:
        r = mflow.solve_ivp(lambda t, y: product(J, y), (0, 1000), [1.0, 1.0], step_method.name, dt=1.0)
        assert r.success
        assert np.max(np.abs(r.y[:, -1])) < 0.1  # trapezoidal: slowly, and changing its sign
        return
    with contextlib.nullcontext() if factor < 1 else growth_is_told():
        r = mflow.solve_ivp(lambda t, y: product(J, y), (0, 4000 * dt), [1.0, 1.0], step_method.name, dt=dt, save="last", **fixed)
    size = float(np.max(np.abs(r.y[:, -1]))) if r.success else math.inf
    assert size < 1e-6 if factor < 1 else size > 1e6


@pytest.mark.parametrize("factor", [0.99, 1.01])
def test_limit_of_an_oscillation_against_what_happens(step_method: Any, factor: float) -> None:
    if not explicit(step_method):
        pytest.skip("no polynomial to compare with: implicit methods have no limit, staged ones hardly any")
    J = np.array([[0.0, 5.0], [-5.0, 0.0]])
    limit = mflow.max_stable_dt(step_method.name, jac=J)
    assert limit == pytest.approx(mflow.stability_limit(step_method.name, axis="imaginary") / 5.0, rel=1e-9, abs=0)
    dt = factor * limit if limit else 0.1 * factor
    growth = abs(at(polynomial(step_method), 5j * dt))  # just beyond the limit some methods grow by 1e-8 a step
    assert (growth > 1.0 + 1e-13) == (factor > 1.0 or not limit)  # below, growth counts as rounding
    with contextlib.nullcontext() if factor < 1 and limit else growth_is_told():
        r = mflow.solve_ivp(lambda t, y: product(J, y), (0, 4000 * dt), [1.0, 1.0], step_method.name, dt=dt, save="last")
    if r.success:  # J is normal: every step multiplies the length by |R|
        assert math.log(math.hypot(*r.y[:, -1]) / math.sqrt(2.0)) == pytest.approx(4000 * math.log(growth), rel=1e-9, abs=1e-11)
    else:
        assert 4000 * math.log(growth) > 600.0


def test_max_stable_dt_takes_the_worst_eigenvalue() -> None:
    assert mflow.max_stable_dt("euler", jac=np.diag([-4.0, -1.0])) == pytest.approx(0.5, rel=1e-12)
    assert mflow.max_stable_dt("euler", jac=np.diag([-4.0, 3.0])) == pytest.approx(0.5, rel=1e-12)  # growth of its own sets no limit
    assert mflow.max_stable_dt("euler", jac=np.zeros((2, 2))) == math.inf
    assert mflow.max_stable_dt("euler", jac=[[-1.0, 2.0], [-2.0, -1.0]]) == pytest.approx(0.4, rel=1e-9)  # |1 + dt z| = 1: -2 Re z/|z|^2
    assert mflow.max_stable_dt("rk4", curvature=10.0) == pytest.approx(REAL["rk4"] / 10, rel=1e-9)
    assert mflow.max_stable_dt("rk4", curvature=0.0) == math.inf


# ---- optimizers -----------------------------------------------------------------------------------------------------------


def linear(method: Any) -> bool:
    return "linear" in method.flags


@pytest.mark.parametrize("curvature", [0.01, 1.0, 250.0])
def test_learning_rates(curvature: float) -> None:
    assert mflow.stability_limit("sgd") == pytest.approx(2.0, rel=1e-6)
    assert mflow.max_stable_dt("sgd", curvature=curvature) == pytest.approx(2.0 / curvature, rel=1e-6)
    for mu in MU:
        for name, limit in (("momentum", 2 * (1 + mu)), ("nesterov", 2 * (1 + mu) / (1 + 2 * mu))):
            assert mflow.stability_limit(name, axis="curvature", momentum=mu) == pytest.approx(limit, rel=1e-6)
            assert mflow.max_stable_dt(name, curvature=curvature, momentum=mu) == pytest.approx(limit / curvature, rel=1e-6)


@pytest.mark.parametrize("curvature", [0.04, 1.0, 9.0])
@pytest.mark.parametrize("friction", [0.0, 0.5, 2.0])
def test_consistent_momentum_limit(curvature: float, friction: float) -> None:
    """Symplectic Euler, damping explicit: omega dt < -2 z + 2 sqrt(1 + z^2) with omega^2 = beta_hat L and friction = 2 z omega."""
    omega = math.sqrt(2.0 * curvature)
    z = friction / (2 * omega)
    want = (-2 * z + 2 * math.sqrt(1 + z * z)) / omega
    got = mflow.max_stable_dt("consistent_momentum", curvature=curvature, beta_hat=2.0, friction=friction)
    assert got == pytest.approx(want, rel=1e-6)


@pytest.mark.parametrize("factor", [0.99, 1.01])
def test_learning_rate_against_what_happens(update_method: Any, factor: float) -> None:
    if not linear(update_method):
        with pytest.raises(ValueError, match="no linear amplification"):
            mflow.max_stable_dt(update_method.name, curvature=4.0)
        return
    extra = {"friction": 0.5} if "friction" in defaults(update_method) else {}
    lr = factor * mflow.max_stable_dt(update_method.name, curvature=4.0, **extra)
    c = np.array([1.0])
    opt = getattr(mflow.optim, update_method.class_name)(c, lr=lr, **extra)
    for _ in range(4000):
        opt.step(4.0 * c)
    assert abs(c[0]) < 1e-6 if factor < 1 else abs(c[0]) > 1e6


@pytest.mark.parametrize("curvature", [0.0, 0.5, 3.0])
def test_matrix_of_an_optimizer(curvature: float) -> None:
    """(c, v) -> (c + lr (mu v - L c), mu v - L c), and the two forms of Nesterov's."""
    lr, mu, L = 0.25, 0.75, curvature
    heavy = mflow.amplification("momentum", curvature=L, lr=lr, momentum=mu)
    np.testing.assert_allclose(heavy, [[1 - lr * L, lr * mu], [-L, mu]], rtol=0, atol=1e-15)
    push = mflow.amplification("nesterov", curvature=L, lr=lr, momentum=mu)
    np.testing.assert_allclose(push, [[1 - lr * (1 + mu) * L, lr * mu * mu], [-L, mu]], rtol=0, atol=1e-15)
    pull = mflow.amplification("nesterov", curvature=L, lr=lr, momentum=mu, form="pull")
    ahead = mu * (1 - lr * L)
    np.testing.assert_allclose(pull, [[1 - lr * L, lr * ahead], [-L, ahead]], rtol=0, atol=1e-15)
    roots = [np.sort_complex(np.linalg.eigvals(m).astype(complex)) for m in (push, pull)]
    np.testing.assert_allclose(roots[0], roots[1], rtol=0, atol=1e-7)  # one sequence, two variables


def test_matrices_over_curvatures_keep_their_shape() -> None:
    out = mflow.amplification("momentum", curvature=np.ones((2, 3)), lr=0.1)
    assert (out.shape, out.dtype) == ((2, 3, 2, 2), np.dtype(np.float64))
    assert mflow.amplification("sgd", curvature=4.0, lr=0.25).tolist() == [[0.0]]


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: mflow.amplification("rk4"), "z: expected z = lambda dt alone for the integrator rk4"),
        (
            lambda: mflow.amplification("rk4", curvature=1.0),
            "z: expected .* got curvature=, which is for optimizers; give z = -curvature dt",
        ),
        (lambda: mflow.amplification("sgd", -1.0), "curvature: expected curvature= .* alone for the optimizer sgd"),
        (lambda: mflow.amplification("adam", curvature=1.0), 'adam has no linear amplification.* monitor="curvature"'),
        (lambda: mflow.stability_limit("adam"), "adam has no linear amplification"),
        (lambda: mflow.stability_limit("rk4", axis="curvature"), r"axis \(of rk4\): expected 'real' or 'imaginary', got 'curvature'"),
        (lambda: mflow.stability_limit("sgd", axis="real"), r"axis \(of sgd\): expected 'curvature'"),
        (lambda: mflow.max_stable_dt("rk4"), "eigenvalues: expected exactly one of these arguments, got none"),
        (lambda: mflow.max_stable_dt("rk4", jac=[[-1.0]], curvature=1.0), "eigenvalues: expected exactly one of these arguments, got 2"),
        (lambda: mflow.max_stable_dt("rk4", jac=[1.0, 2.0]), "a square matrix"),
        (lambda: mflow.max_stable_dt("rk4", jac=[[np.nan, 0.0], [0.0, -1.0]]), "got 1 that are not finite, the first nan"),
        (lambda: mflow.stability_limit("euler", direction=135), r"an angle in radians, got 135; from degrees, math.radians\(135\)"),
        (lambda: mflow.max_stable_dt("rk4", jac=[[math.nan]]), "finite numbers"),
        (lambda: mflow.max_stable_dt("rk4", curvature=-1.0), "curvature: expected a finite number of at least 0, got -1.0"),
        (
            lambda: mflow.max_stable_dt("sgd", jac=[[0.0, 1.0], [-1.0, 0.0]]),
            "real eigenvalues for the optimizer sgd, got complex ones",
        ),
    ],
)
def test_arguments_that_do_not_fit(call: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        call()


def test_a_hessian_without_its_minus_is_warned_of() -> None:
    hessian = np.diag([4.0, 1.0])
    with pytest.warns(UserWarning, match=r"sgd jac is minus the Hessian.*give jac=-H"):
        assert mflow.max_stable_dt("sgd", jac=hessian) == math.inf
    assert mflow.max_stable_dt("sgd", jac=-hessian) == pytest.approx(0.5)  # warnings are errors here
    with pytest.warns(UserWarning, match=r"all eigenvalues of this one are above 0, .* for y' = -A y give jac=-A$"):
        assert mflow.max_stable_dt("euler", jac=hessian) == math.inf
    for grows in ([[2.0]], [[1.0, 2.0], [-2.0, 1.0]], [[1.0, 0.0], [0.0, 0.0]]):  # a right-hand side may grow
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "max_stable_dt: oscillations that grow")
            mflow.max_stable_dt("euler", jac=grows)


@pytest.mark.parametrize("call", [lambda m, **p: mflow.max_stable_dt(m, curvature=2.0, **p), mflow.stability_limit])
def test_the_step_that_is_searched_for_cannot_be_given(call: Any) -> None:
    """momentum's beta is its lr: beta=.5 was taken, had no effect, and the limit was that of momentum = .9."""
    for one in (m for m in mflow.methods(family="optimizers") if "linear" in m.flags):
        with pytest.raises(TypeError, match=rf"^lr: it is the step of {one.name}, whose largest stable value is the result; omit it$"):
            call(one.name, lr=0.5)
        if {"momentum", "lr"} <= set(one.parameters):
            with pytest.raises(TypeError, match=rf"^beta: it is the lr of {one.name}, .*; for what many books call beta give momentum=$"):
                call(one.name, beta=0.5)
            with pytest.raises(TypeError, match=r"^beta: it is the lr .*; omit it$"):
                call(one.name, alpha=0.05, beta=0.5, dt=0.1)
            assert call(one.name, alpha=0.05, beta=0.1) == call(one.name, momentum=0.5)
    with pytest.raises(TypeError, match=r"^dt: it is the step of euler, "):
        call("euler", dt=0.5)


@pytest.mark.parametrize("name", [m.name for m in mflow.methods() if m.kind == "direction"])
def test_a_method_that_searches_for_its_steps_has_no_limit(name: str) -> None:
    """ "no parameter 'lr'" was said where none was given."""
    for call in (mflow.stability_limit, lambda m: mflow.max_stable_dt(m, curvature=25.0), lambda m: mflow.amplification(m, curvature=1.0)):
        with pytest.raises(ValueError, match=rf"^method: {name} has no step to be limited. Its (line search finds|trust region sets the)"):
            call(name)
