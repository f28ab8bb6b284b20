"""Runge-Kutta methods whose stages are solved together, step by step through the C API: calls, guesses, error estimates."""

import math
from typing import Any

import numpy as np
import pytest

from support.kernels import go
from support.problems import start_of
from support.solvable import Linear, kernel_of, kernel_with, those

EPS = 2.0**-52

# ---- stages that are solved together -----------------------------------------------------------------------------------


@those("implicit", coupled=True)
def test_calls_of_coupled_methods(record: Any) -> None:
    """One right-hand side for the estimate where none is carried, one system, one linear solve; two more calls with AGAIN."""
    problem = Linear(3)
    kernel = kernel_of(record, 3, lsolve=problem.lsolve)
    kernel.step(0.3, start_of(3)[None], 0.2)
    assert [call[0] for call in kernel.calls] == ["rhs", "system", "lsolve"]
    assert (kernel.frame.n_rhs, kernel.frame.n_solve) == (1, 1)
    assert kernel.calls[1][1:3] == (0.3, 0.2)
    assert kernel.calls[2][1:3] == (0.3, pytest.approx(0.2 / record.tableau["mu"][0], rel=4 * EPS))
    x = kernel.carried
    kernel.step(0.5, x, 0.2, fresh=False)
    assert [call[0] for call in kernel.calls] == ["system", "lsolve"]
    plain = kernel.errors[0]
    kernel.step(0.5, x, 0.2, fresh=False, again=True)
    assert [call[0] for call in kernel.calls] == ["system", "lsolve", "rhs", "lsolve"]
    np.testing.assert_array_equal(kernel.calls[2][2], x[0] + plain)  # the slope is taken anew at y + err
    kernel.step(0.5, x, 0.2, fresh=False, want_err=False)
    assert [call[0] for call in kernel.calls] == ["system"]
    np.testing.assert_allclose(kernel.carried[1], problem.rhs(0.7, kernel.y), rtol=1e-12)


@those("implicit", coupled=True)
def test_guesses_extrapolate_the_stages_before(record: Any) -> None:
    """Within O(h^4) of the stages, the degree of the collocation polynomial being 3; a fresh step begins at 0."""
    worst = []
    for h in (0.08, 0.04):
        kernel = kernel_of(record, 4)
        x = go(kernel, -h, start_of(4), h, 1)
        kernel.step(0.0, x, 0.75 * h, fresh=False)
        worst.append(float(np.max(np.abs(kernel.carried[2:] - kernel.calls[-1][4]))))
    assert math.log2(worst[0] / worst[1]) == pytest.approx(4.0, abs=0.3)
    kernel.step(0.0, x[:1], h)
    assert np.all(kernel.calls[-1][4] == 0.0)


@those("implicit", "embedded", coupled=True)
def test_estimate_of_coupled_methods(record: Any) -> None:
    """Without a filter it is h (w f(t, y) + sum_j (bhat_j - b_j) f_j), w = 1/mu, where bhat with w is the quadrature of order 3."""
    t, h, n = 0.3, 0.2, 3
    kernel = kernel_of(record, n, lsolve=lambda t, gh, r: r)
    kernel.step(t, start_of(n)[None], h)
    c, w = np.array(record.tableau["c"]), 1.0 / record.tableau["mu"][0]
    b_hat = np.linalg.solve(np.vander(c, increasing=True).T, 1.0 / np.arange(1.0, 4.0) - np.array([w, 0.0, 0.0]))
    slopes = np.stack(
        [kernel.rhs(t + node * h, kernel.y if node == 1.0 else start_of(n) + z) for node, z in zip(c, kernel.carried[2:], strict=True)]
    )
    want = h * (w * kernel.rhs(t, start_of(n)) + (b_hat - np.array(record.tableau["b"])) @ slopes)
    np.testing.assert_allclose(kernel.errors[0], want, rtol=0, atol=64 * EPS)
    assert np.max(np.abs(want)) > 1e-6


@those("implicit", "embedded", coupled=True)
def test_estimate_of_coupled_methods_forgets_what_decays(record: Any) -> None:
    problem = Linear(4, stiffness=1e8)
    kernel = kernel_with(record, problem.rhs, 4, None, problem.system, lsolve=problem.lsolve)
    away = np.full((1, 4), math.cos(0.3) + 1e-3)
    kernel.step(0.3, away, 0.1)
    once = np.abs(kernel.errors[0, 1:])
    kernel.step(0.3, away, 0.1, again=True)
    assert np.max(np.abs(kernel.y[1:] - math.cos(0.4))) < 1e-7
    assert np.all(once > 1e-4)  # as long as the transient itself
    assert np.all(np.abs(kernel.errors[0, 1:]) < 1e-3 * once)
