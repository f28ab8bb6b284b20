"""The energy books of momentum methods close, by terms of their own; and those of alpha methods."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from mflow_core import registry

import mflow

LINEAR = [r.name for r in registry.records() if r.kind == "update" and "linear" in r.flags]


def cost(c: Any) -> tuple[float, Any]:
    return 0.5 * c[0] ** 2 + 2.0 * c[1] ** 2 + 0.25 * float(c @ c) ** 2, np.array([1.0, 4.0]) * c + float(c @ c) * c


@pytest.mark.parametrize("lr", [0.002, 0.05])
@pytest.mark.parametrize("method", LINEAR)
def test_books_close_for_every_method(method: str, lr: float) -> None:
    books = mflow.energy_ledger(cost, [1.0, -0.5], method, jac=True, steps=200, lr=lr)
    assert np.abs(books.residual).max() < 1e-14 * books.potential[0]
    held = books.kinetic + books.potential
    np.testing.assert_allclose(held, held[0] - books.friction + books.numerical + books.residual, atol=1e-14)
    assert books.kinetic[0] == 0.0
    assert abs(books.numerical).max() > 1e-6 * books.potential[0]


def test_the_columns_are_those_of_the_law_by_hand() -> None:
    """c'' = -rate c' - grad f on c^2/2, every term from its definition in scalar arithmetic."""
    h, rate, c, v = 0.1, 0.4, 1.0, 0.0
    friction, numerical, rows = 0.0, 0.0, []
    for _ in range(50):
        g = c
        new = (1.0 - rate * h) * v - h * g
        move = h * new
        friction += rate * h * v * 0.5 * (v + new)
        numerical += 0.5 * move * move + 0.5 * h * g * (new - v)  # the curvature along the step, and the kick
        c, v = c + move, new
        rows.append((0.5 * v * v, 0.5 * c * c, friction, numerical))
    books = mflow.energy_ledger(
        lambda c: (0.5 * float(c @ c), c), [1.0], "consistent_momentum", jac=True, steps=50, lr=h, friction=rate
    )  # fmt: skip
    found = np.array([books.kinetic, books.potential, books.friction, books.numerical]).T[1:]
    np.testing.assert_allclose(found, rows, atol=1e-14)
    assert (books.h, books.rate) == (h, rate)


def test_without_friction_the_numerical_term_stays_bounded_and_friction_takes_all() -> None:
    still = mflow.energy_ledger(cost, [1.0, -0.5], "momentum", jac=True, steps=2000, alpha=0.1, beta=0.01, dt=0.1)
    assert still.rate == 0.0
    assert np.abs(still.numerical).max() < 0.2 * still.potential[0]  # symplectic: no drift
    worn = mflow.energy_ledger(cost, [1.0, -0.5], "consistent_momentum", jac=True, steps=2000, lr=0.02, friction=1.0)
    assert abs(worn.friction[-1] / worn.potential[0] - 1.0) < 0.05
    assert abs(worn.numerical[-1]) < 0.05 * worn.potential[0]


@pytest.mark.parametrize(
    ("call", "words"),
    [
        ({"method": "adam"}, "method: expected sgd or a momentum method"),
        ({"method": "momentum", "weight_decay": 0.1}, "weight_decay: expected 0"),
        ({"method": "momentum", "dampening": 0.5}, "dampening: expected 0"),
        ({"method": "sgd", "clip_value": 1.0}, "clip_value: expected None"),
        ({"method": "sgd", "lr": 0.0}, "lr: expected a number above 0"),
        ({"method": "sgd", "steps": 0}, "steps: expected"),
    ],
)
def test_what_does_not_fit_is_refused(call: dict[str, Any], words: str) -> None:
    with pytest.raises((TypeError, ValueError), match=words):
        mflow.energy_ledger(cost, [1.0, -0.5], jac=True, **call)
