"""Curvatures where a parameter is large beside the lengths over which the cost changes: closed forms, never our own differences."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import mflow

Array = NDArray[np.float64]


def wells(centre: Any, width: Any) -> Any:
    """Separate Gaussian wells and their gradient; the Hessian at the centre is diag(1/width^2)."""
    c, s = np.asarray(centre, float), np.asarray(width, float)

    def cost(x: Array) -> tuple[float, Array]:
        z = (x - c) / s
        return float(np.sum(-np.expm1(-z * z / 2))), z / s * np.exp(-z * z / 2)

    return cost


def value_of(cost: Any) -> Any:
    return lambda x: cost(x)[0]


def sech(offset: float) -> Any:
    """log cosh and a saturating well, both of width 1 around an offset: curvatures 1 and 1 there."""

    def cost(x: Array) -> tuple[float, Array]:
        a, b = x - offset
        return float(np.logaddexp(a, -a) + 0.5 * b * b / (1 + b * b)), np.array([np.tanh(a), b / (1 + b * b) ** 2])

    return cost


WELLS = [
    ((5e4, 0.02), (10.0, 1e-3)),
    ((1.0, 1e6), (0.1, 1.0)),
    ((1e-9, 1e5), (1e-10, 1e4)),
    ((6e23, 300.0), (1e22, 5.0)),
    ((0.0, 0.0), (1e-6, 1e6)),
    ((300.0, 1e5), (5.0, 1e3)),
]


@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize(("centre", "width"), WELLS)
def test_certificates_of_wells_that_are_narrow_beside_their_place(centre: Any, width: Any, exact: bool) -> None:
    cost, largest = wells(centre, width), max(1 / s**2 for s in width)
    found = mflow.certificate(cost if exact else value_of(cost), centre, jac=True if exact else None, method="sgd")
    assert found.verdict == "minimum" or not exact
    assert found.largest[0] <= 1.0001 * largest
    assert found.largest[1] >= 0.9999 * largest
    assert found.largest_step == pytest.approx(2 / largest, rel=0.05)


@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize(("centre", "width"), WELLS)
def test_steps_that_explain_advises_beside_them(centre: Any, width: Any, exact: bool) -> None:
    cost, x = wells(centre, width), np.asarray(centre) + 0.1 * np.asarray(width)
    largest = (1 - 0.01) * math.exp(-0.005) / min(width) ** 2
    report = mflow.explain(cost if exact else value_of(cost), x, jac=True if exact else None, tries=0, names=["sgd"])
    assert report.curvature[1] == pytest.approx(largest, rel=0.06)
    assert 1.9 * min(width) ** 2 < report.steps["sgd"] < 2.1 * min(width) ** 2


@pytest.mark.parametrize("jac", [True, None])
@pytest.mark.parametrize("place", [1e3, 1e5, 1e7])
def test_the_minimum_of_a_cosine_far_from_0(place: float, jac: Any) -> None:
    x = (2 * round(place / math.pi / 2) + 1) * math.pi
    fun = (lambda b: (np.cos(b[0]), -np.sin(b))) if jac else (lambda b: np.cos(b[0]))
    found = mflow.certificate(fun, [x], jac=jac, method="sgd")
    assert found.verdict == "minimum"
    assert found.largest_step == pytest.approx(2.0, rel=0.01)


@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize("offset", [1e3, 1e5, 1e6])
def test_offsets_of_both_parameters(offset: float, exact: bool) -> None:
    cost = sech(offset)
    report = mflow.explain(
        cost if exact else value_of(cost), [offset + 0.5, offset + 0.2], jac=True if exact else None, tries=0, names=["sgd"]
    )
    assert report.curvature[1] == pytest.approx(1 / math.cosh(0.5) ** 2, rel=0.02)
    assert 1.9 < report.steps["sgd"] < 2.6


@pytest.mark.parametrize("offset", [1e6, 1.7e9])
def test_what_runs_measure_beside_an_offset(offset: float) -> None:
    cost, x0 = sech(offset), [offset + 0.5, offset + 0.2]
    seen = mflow.minimize(cost, x0, jac=True, method="sgd", lr=0.1, maxiter=3, monitor="curvature").curvature
    assert seen.largest[0] == pytest.approx(1 / math.cosh(0.5) ** 2, rel=0.02)
    run = mflow.minimize(cost, x0, jac=True, method="sgd", lr="auto")
    assert run.reason == "converged"
    assert run.nit < 20


def test_a_feature_in_raw_units() -> None:
    """Logistic regression at w = 0, where the Hessian is X'X/(4 m)."""
    rng = np.random.default_rng(0)
    X = np.c_[rng.normal(size=200) * 1e5, rng.normal(size=200), np.ones(200)]
    y = np.where(X @ [2e-5, 1, 0.3] + rng.logistic(size=200) > 0, 1.0, -1.0)
    largest = float(np.linalg.eigvalsh(X.T @ X / 800)[-1])
    report = mflow.explain(lambda w: float(np.mean(np.logaddexp(0, -y * (X @ w)))), np.zeros(3), tries=0, names=["sgd"])
    assert report.curvature[1] == pytest.approx(largest, rel=0.02)


@pytest.mark.parametrize("form", ["exact", "values", "fit"])
@pytest.mark.parametrize(("A", "k"), [(1e4, 1e-3), (1e3, 0.01), (1e6, 1e-4), (100.0, 0.1)])
def test_certificates_of_decays_in_raw_units(A: float, k: float, form: str) -> None:
    """The Hessian at an exact fit is J'J; the least curvature, 1e14 times smaller, is told from 0 in each parameter's own units."""
    t = np.linspace(0, 5 / k, 60)
    y = A * np.exp(-k * t)

    def both(b: Array) -> tuple[float, Array]:
        e = np.exp(-b[1] * t)
        r = b[0] * e - y
        return 0.5 * float(r @ r), np.array([e @ r, -b[0] * (t * e) @ r])

    J = np.stack([y / A, -t * y], axis=1)
    top = float(np.linalg.eigvalsh(J.T @ J)[-1])
    if form == "fit":
        found = mflow.least_squares(lambda b: b[0] * np.exp(-b[1] * t) - y, [0.8 * A, 2 * k]).certificate()
    else:
        exact = form == "exact"
        found = mflow.certificate(
            both if exact else value_of(both), [A, k], jac=True if exact else None, gtol=1e-5 if exact else 1e-6 * top * k
        )
    assert found.verdict == "minimum"
    assert found.largest[0] <= 1.001 * top
    assert found.largest[1] >= 0.999 * top
    assert found.largest[1] <= 1.2 * top
    assert found.least[0] > 0.0


def test_costs_without_offsets_are_looked_at_over_one_length_more() -> None:
    """Two lengths that agree: four gradients beside the products, as differences are central."""
    d = np.array([1.0, 2.0, 5.0])
    plain = mflow.certificate(lambda x: (0.5 * x @ (d * x), d * x), [0.5, -0.3, 0.8], jac=True)
    assert plain.evaluations <= 1 + 2 * 3 + 4 + 4


def test_a_gradient_of_which_no_two_lengths_agree_gives_estimates() -> None:
    """A gradient that jumps at all lengths: no number stands there as if it were known."""

    def rough(x: Array) -> tuple[float, Array]:
        return 0.5 * float(x @ x), x + 0.05 * np.sin(1e13 * x)

    report = mflow.explain(rough, [0.5, 0.3], jac=True, tries=0, names=["sgd"], check_gradient=False)
    assert "over no two lengths agree, so curvatures are estimates" in str(report)
    assert math.isnan(report.probability)
    smooth = mflow.explain(lambda x: (0.5 * float(x @ x), x), [0.5, 0.3], jac=True, tries=0, names=["sgd"], check_gradient=False)
    assert "estimates" not in str(smooth)
