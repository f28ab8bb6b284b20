"""Analysis: a stability region of 400 x 400 points, for every integrator; `explain` against the gradients that it takes."""

import numpy as np
import pytest

import mflow

PLANAR = [m.name for m in mflow.methods() if m.kind == "step" and "second_order" not in m.flags]


@pytest.mark.parametrize("name", PLANAR)
def test_stability_region(benchmark, name):
    """Wanted: under 0.1 s."""
    region = benchmark(mflow.stability_region, name)
    assert region.abs_R.shape == (400, 400)


def test_explain_with_a_million_parameters(benchmark):
    """Wanted: at most 60 gradients."""
    d = np.geomspace(1e-3, 50.0, 1_000_000)
    report = benchmark.pedantic(mflow.explain, ((lambda c: (0.5 * float(c @ (d * c)), d * c)), np.ones(d.size)), {"jac": True}, rounds=1)
    assert report.nfev <= 60
