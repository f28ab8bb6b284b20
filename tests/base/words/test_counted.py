"""Messages count one step, and one iteration, in the singular."""

import re

import numpy as np
import pytest

import mflow

ONE = re.compile(r"(?<![\d.])1 (steps|iterations|evaluations|epochs)\b")


def test_messages_of_one_step() -> None:
    told = [
        mflow.minimize(lambda x: (float(x @ x), 2.0 * x), [1.0, 1.0], jac=True, maxiter=1).message,
        mflow.minimize(lambda x: (float(x @ x), 2.0 * x), [1.0, 1.0], jac=True, method="bfgs").message,
        mflow.gradient_flow(lambda x: 2.0 * x, [1.0], 0.1, method="euler", dt=0.1).message,
        mflow.least_squares(lambda x: x - 1.0, [1.0 + 1e-9]).message,
        mflow.minimize(lambda x: (float(x @ x), 2.0 * x), [1.0, 1.0], jac=True, callback=lambda *_: True).message,
    ]
    assert sum("1 step" in text or "1 iteration" in text for text in told) >= 3
    assert not [text for text in told if ONE.search(text)]


def test_errors_after_one_step() -> None:
    def fails(t: float, y: np.ndarray) -> list[float]:
        if t > 0.05:
            raise KeyError("mine")
        return [-y[0]]

    with pytest.raises(KeyError) as caught:
        mflow.solve_ivp(fails, (0, 0.3), [1.0], "euler", dt=0.1)
    text = caught.value.partial_result.message  # type: ignore[attr-defined]
    assert "after 1 step" in text
    assert not ONE.search(text)
