"""Analysis: a stability region of 400 x 400 points, for every integrator; `explain` on a million parameters, `max_stable_dt` by products.

Beside each stands what the same work costs by NumPy alone: the polynomial or quotient on the same points, as many gradients, as many J v.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import mflow

if TYPE_CHECKING:
    from conftest import Bench, Runner

REGION_NS = 0.1e9  # wanted: under 0.1 s
GRADIENTS = 60  # wanted of explain: at most
PLANAR = [m.name for m in mflow.methods() if m.kind == "step" and "second_order" not in m.flags]


def repeated(call: Any) -> Runner:
    def run(count: int) -> None:
        for _ in range(count):
            call()

    return run


@pytest.mark.parametrize("name", PLANAR)
def test_stability_region(bench: Bench, name: str) -> None:
    region = mflow.stability_region(name)
    assert region.abs_R.shape == (400, 400)
    staged = {"stages": 10} if "needs_rho" in mflow.get_method(name).flags else {}
    R = mflow.stability_function(name, **staged)

    def by_numpy() -> Any:
        polyval = np.polynomial.polynomial.polyval
        return np.abs(polyval(region.z, R.numerator) / polyval(region.z, R.denominator))

    if not staged:
        np.testing.assert_allclose(by_numpy(), region.abs_R, rtol=1e-9, atol=1e-12)
    contenders = {"mflow": repeated(lambda: mflow.stability_region(name, **staged)), "NumPy polynomial": repeated(by_numpy)}
    bench.compare(f"stability region 400 x 400, {name}", contenders, limit_ns=REGION_NS, rounds=7)


def test_explain_with_a_million_parameters(bench: Bench) -> None:
    d = np.geomspace(1e-3, 50.0, 1_000_000)
    start = np.ones(d.size)

    def cost(c: Any) -> Any:
        return 0.5 * float(c @ (d * c)), d * c

    report = mflow.explain(cost, start, jac=True)
    assert report.nfev <= GRADIENTS

    def gradients() -> None:
        for _ in range(report.nfev):
            cost(start)

    contenders = {"mflow": repeated(lambda: mflow.explain(cost, start, jac=True)), "its gradients": repeated(gradients)}
    bench.compare(f"explain, 1e6 parameters, {report.nfev} gradients", contenders, rounds=3)


def test_largest_step_by_products(bench: Bench) -> None:
    calls, d = [0], np.linspace(-7.0, -0.01, 100_000)

    def times(v: Any) -> Any:
        calls[0] += 1
        return d * v

    def ours() -> float:
        return mflow.max_stable_dt("rk4", jac=times, n=d.size, symmetric=True)

    assert ours() == pytest.approx(2.785293563405282 / 7, rel=0.01)
    products, v = calls[0], np.ones(d.size)

    def alone() -> None:
        for _ in range(products):
            times(v)

    bench.compare(f"max_stable_dt, n = 1e5, {products} products", {"mflow": repeated(ours), "its products": repeated(alone)}, rounds=7)


def test_basins_of_a_compiled_cost(bench: Bench) -> None:
    """41 x 41 starts on one core; beside them as many evaluations of the gradient in Python as two paths of 50 steps take."""
    f, axis = mflow.objectives.Rosenbrock(2), np.linspace(-2.0, 2.0, 41)
    point = np.array([-1.0, 1.5])

    def gradients() -> None:
        for _ in range(axis.size**2 * 100):
            f.grad(point)

    basins = repeated(lambda: mflow.basins(f, (axis, axis), lr=1e-3, threads=1))
    bench.compare("basins 41 x 41, compiled", {"mflow": basins, "gradients from Python": repeated(gradients)}, limit_ns=1e9, rounds=3)
