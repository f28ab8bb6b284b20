"""Fits without p0 of few data, and of data with outliers under a loss: SciPy's fit from the truth is the oracle."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.optimize import least_squares

import mflow

Array = NDArray[np.float64]


def line(x: Array, a: float, m: float, w: float, c: float) -> Array:
    return np.asarray(a / (1.0 + ((x - m) / w) ** 2) + c)


def four(x: Array, a: float, b: float, c: float, d: float) -> Array:
    return np.asarray(d + (a - d) / (1.0 + (x / c) ** b))


def wave(x: Array, a: float, w: float, p: float, c: float) -> Array:
    return np.asarray(a * np.sin(w * x + p) + c)


def oracle(model: Any, x: Array, y: Array, truth: Array, box: tuple[Array, Array], loss: str, f_scale: float) -> float:
    """The least cost, in units in which the data and the parameters are about 1."""
    size, each = float(np.std(y)), np.abs(truth)
    low, high = box[0] / each, box[1] / each
    found = least_squares(
        lambda p: (model(x, *(p * each)) - y) / size, np.sign(truth), bounds=(low, high), loss=loss, f_scale=f_scale / size, ftol=1e-14,
        xtol=1e-14, gtol=1e-14,
    )  # fmt: skip
    return float(found.cost) * size**2


def drawn(kind: str, seed: int) -> tuple[Any, Array, Array]:
    """A model in units of its own, x and the true parameters."""
    r = np.random.default_rng(seed)
    X, Y, n = 10.0 ** r.uniform(-9, 6), 10.0 ** r.uniform(-12, 9), 12
    if kind == "line":
        return line, X * np.linspace(0.0, 1.0, n), np.array([Y, X * r.uniform(0.2, 0.8), X * r.uniform(0.08, 0.2), Y * r.uniform(-1, 1)])
    if kind == "four":
        return four, X * np.geomspace(0.01, 1.0, n), np.array([Y * r.uniform(0, 0.3), r.uniform(1, 4), X * r.uniform(0.1, 0.5), Y])
    return wave, X * np.linspace(0.0, 1.0, n), np.array([Y, r.uniform(6, 20) / X, r.uniform(-3, 3), Y * r.uniform(-2, 2)])


# Draws whose fit failed, or ended above the least cost, before few data and losses had starts of their own.
CASES = [
    ("line", 1, "few"), ("line", 16, "few"), ("line", 6, "cauchy"), ("line", 5, "huber"), ("four", 3, "few"), ("four", 2, "cauchy"),
    ("four", 2, "huber"), ("wave", 7, "cauchy"), ("wave", 16, "cauchy"), ("wave", 17, "huber"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "seed", "how"), CASES)
def test_the_best_fit_is_found_without_p0(kind: str, seed: int, how: str) -> None:
    """Fits that left structure, or half of a cost that is no noise, were ends; under losses outliers hid the shape."""
    model, x, truth = drawn(kind, seed)
    y, r = model(x, *truth), np.random.default_rng(seed + 100)
    size = float(np.std(y))
    y = y + 0.03 * size * r.standard_normal(x.size)
    more: dict[str, Any] = {}
    box = np.full(4, -np.inf), np.full(4, np.inf)
    if how != "few":
        y[r.integers(x.size)] += 6.0 * size
        more = {"loss": how, "f_scale": 0.1 * size}
    if how == "cauchy":
        box = truth - 3.0 * np.abs(truth), truth + 5.0 * np.abs(truth)
        more["bounds"] = box
    fit = mflow.curve_fit(model, x, y, **more)
    least = oracle(model, x, y, truth, box, more.get("loss", "linear"), more.get("f_scale", 1.0))
    assert fit.success
    assert fit.cost <= 1.01 * least
