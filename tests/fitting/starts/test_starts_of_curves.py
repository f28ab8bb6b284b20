"""Starting values of curves that are fitted by their name."""

from __future__ import annotations

import numpy as np
import pytest

import mflow


@pytest.mark.parametrize("count", [15, 25, 40, 150])
@pytest.mark.parametrize("seed", range(4))
def test_a_sine_at_uneven_times_is_found(count: int, seed: int) -> None:
    """A stopwatch, or nights at a telescope: .83 turns a unit of time, where the mean distance of times tells .37 to 3.7 apart."""
    rng = np.random.default_rng(seed)
    t = np.sort(rng.uniform(0.0, 20.0, count))
    y = 1.5 * np.sin(2.0 * np.pi * 0.83 * t + 0.4) + 0.7 + 0.1 * rng.normal(size=count)
    for x, unit in ((t, 1.0), (1e-9 * t, 1e-9)):
        fit = mflow.curve_fit("sine", x, y)
        assert fit.popt[1] * unit == pytest.approx(2.0 * np.pi * 0.83, rel=0.01)


@pytest.mark.parametrize("b", [2.0, 0.5])
def test_a_power_law_with_a_datum_at_0(b: float) -> None:
    x = np.arange(10.0)
    np.testing.assert_allclose(mflow.curve_fit("power_law", x, 3.0 * x**b).popt, [3.0, b], rtol=1e-6)
