"""Limits of many oscillators at once: a structure has as many damping ratios as modes, and a run must not wait for each of them."""

import numpy as np
import pytest
from scipy import sparse

import mflow
from mflow.stability import criterion

N = 1001
CHAIN = sparse.diags([-np.ones(N - 1), 2.0 * np.ones(N), -np.ones(N - 1)], [-1, 0, 1]).tocsc()


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # of orders and limits
@pytest.mark.parametrize("method", ["rkn64", "rkn86", "hht", "generalized_alpha", "bathe"])
def test_a_large_structure_asks_for_few_steps_of_oscillators(method, monkeypatch):
    """Every call takes many oscillators: one for each of the bisections of 80 limits takes thousands."""
    asked, products = [], []
    matrices, determinant = criterion.oscillator_matrix, criterion._determinant
    monkeypatch.setattr(criterion, "oscillator_matrix", lambda m, k, c: asked.append(k.size) or matrices(m, k, c))
    monkeypatch.setattr(criterion, "_determinant", lambda *given: products.append(1) or determinant(*given))
    criterion.criterion_of.cache_clear()
    for dt in (1e-3, 0.5):
        more = {"damping": 0.1, "load": lambda t: np.zeros(N), "t_span": (0.0, dt), "dt": dt}
        assert mflow.solve_dynamics(mass=1.0, stiffness=CHAIN, x0=np.ones(N), method=method, **more).success
    assert len(asked) <= 200
    assert len(products) <= 200
    criterion.criterion_of.cache_clear()


@pytest.mark.filterwarnings("ignore:Stepper. dt = .* exceeds the stability limit")
@pytest.mark.parametrize("method", ["rkn64", "rkn86", "bathe"])
def test_limits_at_once_are_those_of_each_and_end_where_motions_grow(method):
    of = criterion.criterion_of(mflow.get_method(method))
    k, c = np.array([1.0, 100.0, 0.0, 1.0, 0.0]), np.array([0.2, 1e-3, 3.0, 1e4, 0.0])
    limits = np.array([of.limit(*pair)[0] for pair in zip(k.tolist(), c.tolist(), strict=True)])
    assert of.shortest(k, c) == limits.min()
    for share in (0.3, 0.999, 1.001, 40.0):
        h = np.where(np.isfinite(limits), share * limits, share)
        assert np.array_equal(of.stable(k * h * h, c * h), (share <= 1.0) | ~np.isfinite(limits))
    for i in (0, 2, 3) if method != "bathe" else ():  # those that grow fast beyond
        for share, grows in ((0.99, False), (1.02, True)):
            dt = share * float(limits[i])
            with np.errstate(all="ignore"):
                st = mflow.Stepper(method, mass=1.0, stiffness=float(k[i]), damping=float(c[i]), x0=[1.0], v0=[0.3])
                try:
                    for _ in range(20):
                        st.advance(100, dt)
                    size = max(abs(float(st.x[0])), abs(float(st.v[0]) * dt))
                except FloatingPointError:
                    size = np.inf
            assert (size > 1e3) == grows
