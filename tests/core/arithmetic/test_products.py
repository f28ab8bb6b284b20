"""Long products in the scalars of optimizers, by mpmath: bias corrections and schedules after many steps.

The steps are such that only the scalar in question rounds: c = 0, g = 1, vectors of zeros, eps = 0.
"""

import math
from typing import Any

import mpmath
import numpy as np
import pytest
from mflow_core import registry
from mflow_core.optimize import updater

from support.levels import LEVELS
from support.oracles.reference import defaults, ulps
from support.problems import Array

EPS = 2.0**-52


def row_at(name: str, level: str) -> Any:
    return next(row for row in registry.records_of(level) if row.name == name)


def first_update(row: Any, parameters: dict[str, float], coef: Array) -> float:
    """What a step with these coefficients makes of c = 0, g = 1 and vectors of zeros."""
    vectors = [np.zeros(1) for _ in range(row.sizes(parameters)["n_vec"])]
    updater.update(row, coef, 1.0, vectors, np.ones(1))
    return float(vectors[0][0])


@pytest.mark.parametrize(("name", "which"), [("adam", 0), ("adam", 1), ("adamw", 0), ("adamw", 1), ("adamax", 0)])
def test_bias_corrections_after_many_steps(name: str, which: int) -> None:
    """On every level: 1 - beta^t over 3e4 steps, seen through an update in which nothing else rounds; the other beta is 0, and eps too.

    which = 0: c = -lr (1 - beta1)/(1 - beta1^t). which = 1: c = -lr sqrt(1 - beta2^t)/sqrt(1 - beta2). Each ends in three roundings
    beside that of 1 - beta^t itself.
    """
    rows, steps, beta = [row_at(name, level) for level in LEVELS], 30_000, 1.0 - 1e-5
    row = rows[0]
    parameters = defaults(row, lr=1.0, eps=0.0, weight_decay=0.0) | {"betas[0]": 0.0, "betas[1]": 0.0} | {f"betas[{which}]": beta}
    scalars = [np.zeros(row.sizes(parameters)["n_scal"]) for row in rows]
    with mpmath.workdps(40):
        b = mpmath.mpf(beta)
        for k in range(steps):
            coefs = [updater.begin(row, parameters, k, own) for row, own in zip(rows, scalars, strict=True)]
            if k in (0, 1, 2, 9, 99, 999, 9_999, steps - 1):
                correction = 1 - b ** (k + 1)
                want = -(1 - b) / correction if which == 0 else -mpmath.sqrt(correction) / mpmath.sqrt(1 - b)
                for row, coef in zip(rows, coefs, strict=True):
                    assert ulps(first_update(row, parameters, coef), want) <= 3.0, k


@pytest.mark.parametrize("level", LEVELS)
def test_bias_correction_after_a_million_steps(level: str) -> None:
    row = row_at("adam", level)
    beta, steps = 1.0 - 1e-6, 1_000_000 if level == LEVELS[0] else 100_000
    parameters = defaults(row, lr=1.0, eps=0.0) | {"betas[0]": beta, "betas[1]": 0.0}
    scalars = np.zeros(row.sizes(parameters)["n_scal"])
    for k in range(steps):
        coef = updater.begin(row, parameters, k, scalars)
    with mpmath.workdps(40):
        b = mpmath.mpf(beta)
        assert ulps(first_update(row, parameters, coef), -(1 - b) / (1 - b**steps)) <= 2.0
        assert ulps(scalars[0], b**steps) <= 1.0  # the running product itself


@pytest.mark.parametrize("rate", [0.004, 1.0, 0.0, math.inf, 0.37])
def test_nadam_schedule(rate: float) -> None:
    """On every level: mu_t = b1 (1 - 0.96^(t rate)/2) and the products of mu, by mpmath:
    c = -(1 - mu_t)/(1 - P) - (1 - b1) mu_(t+1)/(1 - P mu_(t+1))."""
    rows, b1 = [row_at("nadam", level) for level in LEVELS], 0.9995
    row = rows[0]
    parameters = defaults(row, lr=1.0, eps=0.0, momentum_decay=rate) | {"betas[0]": b1, "betas[1]": 0.0}
    scalars = [np.zeros(row.sizes(parameters)["n_scal"]) for row in rows]
    with mpmath.workdps(40):

        def mu(t: int) -> Any:
            return b1 * (1 - (mpmath.mpf(96) / 100) ** (t * mpmath.mpf(rate)) / 2) if rate < math.inf else mpmath.mpf(b1)

        product, after = mpmath.mpf(1), mu(1)
        for k in range(1500):
            coefs = [updater.begin(row, parameters, k, own) for row, own in zip(rows, scalars, strict=True)]
            now, after = after, mu(k + 2)
            product *= now
            if k < 40 or k % 97 == 0:
                want = -(1 - now) / (1 - product) - (1 - mpmath.mpf(b1)) * after / (1 - product * after)
                for row, coef in zip(rows, coefs, strict=True):
                    relative = abs((first_update(row, parameters, coef) - want) / want)
                    assert relative <= 8 * EPS / float(1 - now), k  # 1 - mu carries the rounding of mu
