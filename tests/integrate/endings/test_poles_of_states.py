"""dt="auto" beside a pole that moves with the state, as of y' = 1/(y - t), and of other powers: y - t = u falls to its root, which no step
leads over."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import solve_ivp

import mflow

METHODS = ["euler", "rk2", "rk4", "bs32", "tvd_rk3", "dopri5"]


@pytest.mark.parametrize("span", [5.0, 30.0, 100.0])
@pytest.mark.parametrize("method", METHODS)
def test_no_first_step_leads_over_it(method: str, span: float) -> None:
    """u' = 1/u - 1 from 3 has the rest u = 1; below the pole at u = 0 it would fall for ever."""
    calls = [0]

    def fun(t: float, y: np.ndarray) -> np.ndarray:
        calls[0] += 1
        return 1.0 / (y - t)

    r = mflow.solve_ivp(fun, (0, span), [3.0], method, dt="auto")
    right = solve_ivp(lambda t, y: 1.0 / (y - t), (0, span), [3.0], "Radau", rtol=1e-9, atol=1e-9).y[0, -1]
    assert r.y[0, -1] == pytest.approx(right, abs=0.05)
    assert calls[0] == r.nfev + r.ncheck


@pytest.mark.parametrize("power", [0.5, 2.0])
@pytest.mark.parametrize("backward", [False, True])
def test_other_powers_and_backward(power: float, backward: bool) -> None:
    sign = -1.0 if backward else 1.0
    r = mflow.solve_ivp(lambda t, y: sign / np.abs(y - sign * t) ** power, (0, sign * 60), [4.0], "rk4", dt="auto")
    right = solve_ivp(lambda t, y: 1.0 / np.abs(y - t) ** power, (0, 60), [4.0], "Radau", rtol=1e-9, atol=1e-9).y[0, -1]
    assert r.y[0, -1] == pytest.approx(right, abs=1e-3)


@pytest.mark.parametrize("method", ["radau5", "esdirk43"])
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_it_is_named_where_its_square_has_no_number(method: str, sign: float, capfd: pytest.CaptureFixture[str]) -> None:
    """y' = a y^2 runs off at t = 1/(a y0), of which only LAPACK's words were seen."""
    a, y0 = 2e178, 7.5
    with np.errstate(over="ignore"):
        r = mflow.solve_ivp(lambda t, y: a * y**2, (0, sign), [sign * y0], method)
    assert r.reason == "diverged"
    assert float(r.message.partition("near t = ")[2].split()[0]) == pytest.approx(sign / (a * y0), rel=0.05)
    assert "".join(capfd.readouterr()) == ""
