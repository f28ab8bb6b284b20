"""A right-hand side with random numbers has no steps that are short enough: it is named, once; one that is only rough is not."""

from __future__ import annotations

import numpy as np
import pytest

import mflow
from support.warned import told

SAID = "has two values for the same arguments"


@pytest.mark.parametrize("method", ["dopri5", "dop853", "bdf", "auto"])
def test_random_numbers_are_named(method):
    chance = np.random.default_rng(1)

    def f(t, y):
        return -y + 0.1 * chance.standard_normal(y.shape)

    r, seen = told(lambda: mflow.solve_ivp(f, (0, 10), [1.0, 2.0], method, max_steps=1200, rtol=1e-6, atol=1e-9))
    assert r.reason == "max_steps"
    assert len([text for text in seen if SAID in text]) == 1
    assert any(SAID in text for text in r.doubts)
    assert SAID in r.message


def test_a_stepper_names_them_too():
    chance = np.random.default_rng(1)
    st = mflow.Stepper("tsit5", lambda t, y: -y + 0.1 * chance.standard_normal(1), [1.0], rtol=1e-6, atol=1e-9)

    def go():
        while st.k < 1100:
            st.step()

    assert len([text for text in told(go)[1] if SAID in text]) == 1


def test_what_is_rough_but_the_same_is_not_named():
    """Of many steps with many rejections: a pulse that comes again and again, its values rounded."""

    def f(t, y):
        return -y + np.round(50.0 * np.exp(-(((t % 1.0) - 0.5) ** 2) / 1e-4), 3)

    r, seen = told(lambda: mflow.solve_ivp(f, (0, 60), [1.0], "dopri5", rtol=1e-6, atol=1e-9, max_steps=2500))
    assert r.nrejected > 1024 // 16
    assert not [text for text in seen if SAID in text]
