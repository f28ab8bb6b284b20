"""`consistency` of the user's own rule, and the next term of the modified equation."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import mflow


def descent(c: Any, state: dict[str, Any], g: Any, lr: Any) -> Any:
    return c - lr * g


def heavy(c: Any, state: dict[str, Any], g: Any, lr: Any) -> Any:
    state["v"] = state.get("v", 0 * c) / 2 - g
    return c + lr * state["v"]


def nesterov(c: Any, state: dict[str, Any], g: Any, lr: Any) -> Any:
    state["v"] = state.get("v", 0 * c) / 2 - g
    return c + lr * (state["v"] / 2 - g)


def newton(c: Any, state: dict[str, Any], g: Any, lr: Any) -> Any:
    state["v"] = (1 - lr / 2) * state.get("v", 0 * c) - 3 * lr * g
    return c + lr * state["v"]


def signs(c: Any, state: dict[str, Any], g: Any, lr: Any) -> Any:
    return c - lr * np.sign(g)


def slowing(c: Any, state: dict[str, Any], g: Any, lr: Any) -> Any:
    return c - lr * g / (1 + 2 * lr)


def uphill(c: Any, state: dict[str, Any], g: Any, lr: Any) -> Any:
    return c + lr * g


@pytest.mark.parametrize(
    ("rule", "name", "equation", "kappa"),
    [
        (descent, "flow", "c' = -g", 0.25),
        (heavy, "scaled flow", "c' = -2 g", 1.5 / (4 * 0.5**3)),  # (1 + mu)/(4 (1 - mu)^3)
        (nesterov, "scaled flow", "c' = -2 g", 2.0),
        (newton, "newton", "c'' = -0.5 c' - 3 g", math.nan),
        (signs, "sign flow", "c' = -sign(g)", math.nan),
        (slowing, "flow", "c' = -g", 0.25),
        (uphill, "", "none of these, at the steps tried", math.nan),
    ],
)
def test_the_ode_of_a_rule_and_the_next_term(rule: Any, name: str, equation: str, kappa: float) -> None:
    found = mflow.consistency(rule)
    assert (found.name, found.equation) == (name, equation)
    if name:
        assert name == "sign flow" or abs(found.order - 1.0) < 0.1  # the flow of signs is met without error
    np.testing.assert_allclose(found.kappa, kappa, rtol=1e-6)
    assert rule.__name__ in found.table()
    assert not found.modified or found.modified in str(found)


def test_a_speed_that_depends_on_lr_is_told() -> None:
    assert mflow.consistency(slowing).modified == "c' = -(1 - 2 lr) g - lr 0.25 grad |g|^2"


@pytest.mark.parametrize("mu", [0.0, 0.3, 0.9])
@pytest.mark.parametrize("name", ["momentum", "nesterov"])
def test_built_in_methods_and_their_rules_agree(name: str, mu: float) -> None:
    def rule(c: Any, state: dict[str, Any], g: Any, lr: Any) -> Any:
        state["v"] = mu * state.get("v", 0 * c) - g
        return c + lr * (state["v"] if name == "momentum" else mu * state["v"] - g)

    a, b = mflow.consistency(name, momentum=mu), mflow.consistency(rule)
    np.testing.assert_allclose(a.kappa, b.kappa, rtol=1e-5)
    np.testing.assert_allclose(a.factor, 1.0 / (1.0 - mu))
    if name == "momentum":
        np.testing.assert_allclose(a.kappa, (1.0 + mu) / (4.0 * (1.0 - mu) ** 3), rtol=1e-6)


def test_gradient_descent_follows_the_modified_flow_to_second_order() -> None:
    """Against c' = -grad(f + lr/4 |grad f|^2) the error falls by four where lr is halved; against gradient flow by two."""
    H = np.array([1.0, 4.0])

    def grad(c: Any) -> Any:
        return H * c + float(c @ c) * c

    def hessian(c: Any) -> Any:
        return np.diag(H) + 2.0 * np.outer(c, c) + float(c @ c) * np.eye(2)

    errors = []
    for lr in (0.02, 0.01):
        end = mflow.gradient_flow(grad, [1.0, -0.5], 0.8, dt=lr).y[:, -1]
        exact = [
            mflow.solve_ivp(f, (0, 0.8), [1.0, -0.5], "dop853", rtol=1e-12, atol=1e-14).y[:, -1]
            for f in (lambda t, c: -grad(c), lambda t, c, lr=lr: -grad(c) - lr * 0.25 * 2.0 * hessian(c) @ grad(c))
        ]
        errors.append([np.linalg.norm(end - one) for one in exact])
    ratio = np.array(errors[0]) / np.array(errors[1])
    assert 1.8 < ratio[0] < 2.2
    assert 3.6 < ratio[1] < 4.4


@pytest.mark.parametrize(
    ("name", "C"), [("rk2", 1 / 6), ("rk4", 1 / 120), ("trapezoidal", -1 / 12), ("dop853", None), ("backward_euler", 0.5)]
)
def test_remainders_of_integrators(name: str, C: float | None) -> None:
    found = mflow.consistency(name)
    assert found.remainder_order == mflow.get_method(name).order
    if C is not None:
        np.testing.assert_allclose(found.remainder, C, rtol=1e-10)
    p, h = int(found.remainder_order), 0.5 if name == "dop853" else 0.05
    measured = (math.log(abs(complex(mflow.amplification(name, -h)))) / h + 1.0) / h**p
    np.testing.assert_allclose(measured, found.remainder, rtol=0.6)


def test_a_remainder_that_is_measured_is_printed_to_sure_digits() -> None:
    """The error constant of the fifth BDF is 1/6."""
    found = mflow.consistency("bdf")
    np.testing.assert_allclose(found.remainder, 1 / 6, rtol=1e-2)
    assert "0.17 lr^5" in found.modified


def test_from_symbols_exactly() -> None:
    sympy = pytest.importorskip("sympy")
    L, lr, c = sympy.Symbol("L", positive=True), sympy.Symbol("lr", positive=True), sympy.Symbol("c", real=True)
    f = sympy.Function("f")(c)
    exact = mflow.consistency(descent, symbols=True).exact
    assert sympy.simplify(exact + f.diff(c) + lr * sympy.Rational(1, 4) * (f.diff(c) ** 2).diff(c)) == 0
    assert sympy.simplify(mflow.consistency(heavy, symbols=True).exact - c * (-2 * L - 6 * lr * L**2)) == 0  # kappa 3: 2 kappa L^2
    assert sympy.simplify(mflow.consistency(nesterov, symbols=True).exact - c * (-2 * L - 4 * lr * L**2)) == 0
    with pytest.raises(ValueError, match="symbols: two eigenvalues of a step tend to 1"):
        mflow.consistency(newton, symbols=True)
    with pytest.raises(ValueError, match="symbols: the rule does not take"):
        mflow.consistency(signs, symbols=True)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: mflow.consistency(lambda c, s, g, lr: None), "update returned None"),
        (lambda: mflow.consistency(lambda c, s, g, lr: c[0]), "update returned shape"),
        (lambda: mflow.consistency(descent, momentum=0.9), "momentum: expected no parameters beside a rule"),
        (lambda: mflow.consistency("sgd", symbols=True), "symbols: expected False for a built-in method"),
    ],
)
def test_what_does_not_fit_is_refused(call: Any, words: str) -> None:
    with pytest.raises((TypeError, ValueError), match=words):
        call()
