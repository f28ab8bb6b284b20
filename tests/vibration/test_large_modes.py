"""Modes of dense matrices that take seconds: the eigenvalues of another routine, found where Ctrl-C is answered meanwhile."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest

import mflow
from mflow.vibration import modal


@pytest.mark.parametrize("count", [7, 520])
def test_large_dense_matrices_are_left_to_another_thread(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """SciPy's eigh lets no other thread run: modes of 1500 degrees of freedom answered Ctrl-C after 2 seconds."""
    linalg = pytest.importorskip("scipy.linalg")
    n, seen, eigh = 520, [], np.linalg.eigh

    def watched(matrix: Any) -> Any:
        seen.append(threading.current_thread())
        return eigh(matrix)

    monkeypatch.setattr(np.linalg, "eigh", watched)
    Q = np.random.default_rng(1).standard_normal((n, n))
    K, M = Q @ Q.T, np.eye(n) + 0.001 * (Q.T @ Q)
    found = mflow.modes(M, K, count)
    assert n > modal.AT_ONCE
    assert seen[0] is not threading.main_thread()
    values = linalg.eigh(K, M, eigvals_only=True)[:count]
    np.testing.assert_allclose(found.omega**2, values, rtol=1e-10, atol=1e-12 * np.linalg.norm(K, 2))
    np.testing.assert_allclose(found.shapes.T @ M @ found.shapes, np.eye(count), atol=1e-12)
    with pytest.raises(ValueError, match="mass: expected a positive definite matrix"):
        mflow.modes(M - 2.0 * np.ones((n, n)) + 2.0 * np.eye(n), K)
