"""Sparse sums by CHOLMOD, against SuperLU: with scikit-sparse where it is installed, and with a stand-in of dense algebra."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import scipy.linalg
import scipy.sparse

import mflow
from support.motion import Array


class NotPositiveDefiniteError(Exception):
    pass


class Analysis:
    """What is used of scikit-sparse's Factor, by LAPACK."""

    def __init__(self, pattern: Any) -> None:
        self.pattern = pattern

    def cholesky(self, total: Any) -> Analysis:
        assert np.array_equal(total.indices, self.pattern.indices)
        factor = Analysis(self.pattern)
        try:
            factor.factors = scipy.linalg.cho_factor(total.toarray())  # type: ignore[attr-defined]
        except np.linalg.LinAlgError as error:
            raise NotPositiveDefiniteError from error
        return factor

    def solve_A(self, b: Array) -> Array:
        return np.asarray(scipy.linalg.cho_solve(self.factors, b))  # type: ignore[attr-defined]


def stand_in(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A module in scikit-sparse's place; the modes of its analyses."""
    modes: list[str] = []

    def analyze(total: Any, mode: str) -> Analysis:
        modes.append(mode)
        return Analysis(total.copy())

    package, module = ModuleType("sksparse"), ModuleType("sksparse.cholmod")
    module.analyze, module.CholmodNotPositiveDefiniteError = analyze, NotPositiveDefiniteError  # type: ignore[attr-defined]
    package.cholmod = module  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "sksparse", package)
    monkeypatch.setitem(sys.modules, "sksparse.cholmod", module)
    return modes


@pytest.fixture(params=["a stand-in", "scikit-sparse"])
def modes(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> list[str] | None:
    if request.param == "a stand-in":
        return stand_in(monkeypatch)
    pytest.importorskip("sksparse.cholmod")
    return None


def brick(side: int) -> Any:
    """The Laplacian of a cube: sparse, and of no narrow band."""
    line, one = scipy.sparse.diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(side, side)), scipy.sparse.eye_array(side)
    return sum(scipy.sparse.kron(scipy.sparse.kron(*two), last) for *two, last in ((line, one, one), (one, line, one), (one, one, line)))


def call(**more: Any) -> dict[str, Any]:
    K = scipy.sparse.csr_array(brick(8))
    x0 = np.sin(np.arange(K.shape[0]))
    return {"stiffness": K, "rayleigh": (0.1, 0.02), "t_span": (0, 1), "x0": x0, "dt": 0.05, "load": lambda t: np.cos(t) * x0} | more


@pytest.mark.parametrize("more", [{}, {"mass": "sparse"}, {"dt": None, "rtol": 1e-2, "t_span": (0, 0.2)}])
def test_it_agrees_with_superlu(modes: list[str] | None, more: dict[str, Any]) -> None:
    if "mass" in more:
        more = {"mass": scipy.sparse.csr_array(scipy.sparse.eye_array(512) + brick(8) / 50)}
    direct = mflow.solve_dynamics(**call(**more))
    by_cholesky = mflow.solve_dynamics(**call(**more), linear_solver="cholesky")
    assert by_cholesky.nlu == direct.nlu
    np.testing.assert_allclose(by_cholesky.x, direct.x, rtol=0, atol=1e-12 * np.abs(direct.x).max())
    np.testing.assert_allclose(by_cholesky.energy.damping, direct.energy.damping, rtol=0, atol=1e-12 * direct.energy.damping[-1])
    if modes is not None:  # one analysis for the sums of all steps, and for M, where it has their pattern
        assert modes == ["supernodal"]


def test_what_is_not_positive_definite_is_left_to_superlu(modes: list[str] | None) -> None:
    K = -scipy.sparse.csr_array(brick(8))  # buckled: 1 - 12 dt^2/4 < 0 for dt = 1
    given = call(stiffness=K, rayleigh=None, dt=1.0, t_span=(0, 3), load=None)
    limit = "exceeds the stability limit 0.4165 of newmark"  # 1.4208 / sqrt(11.63)
    with (
        pytest.warns(RuntimeWarning, match=limit),
        pytest.warns(RuntimeWarning, match='linear_solver: "cholesky" does not factor M .* SuperLU does') as told,
    ):
        found = mflow.solve_dynamics(**given, linear_solver="cholesky")
    assert [one.filename for one in told] == [__file__] * 2
    with pytest.warns(RuntimeWarning, match=limit):
        direct = mflow.solve_dynamics(**given)
    np.testing.assert_array_equal(found.x, direct.x)


def test_words(monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(monkeypatch)
    K = scipy.sparse.csr_array(brick(8) + scipy.sparse.eye_array(512, k=1))
    with pytest.raises(ValueError, match='stiffness: expected a symmetric matrix for linear_solver="cholesky"'):
        mflow.solve_dynamics(**call(stiffness=K, rayleigh=None), linear_solver="cholesky")
    with pytest.raises(ValueError, match=r"linear_solver: expected \"cg\" where damping is a function.*got 'cholesky'"):
        mflow.solve_dynamics(**call(rayleigh=None), damping=lambda v: v, linear_solver="cholesky")
    del sys.modules["sksparse.cholmod"].analyze  # type: ignore[attr-defined]
    with pytest.raises(ImportError, match=r"needs scikit-sparse below 0\.5"):
        mflow.solve_dynamics(**call(), linear_solver="cholesky")
    monkeypatch.setitem(sys.modules, "sksparse", None)
    monkeypatch.delitem(sys.modules, "sksparse.cholmod")
    with pytest.raises(ImportError, match=r'linear_solver="cholesky" needs scikit-sparse.*pip install'):
        mflow.solve_dynamics(**call(), linear_solver="cholesky")
    assert mflow.solve_dynamics(stiffness=[1.0], t_span=(0, 1), x0=[1.0], dt=0.1, linear_solver="cholesky").success
