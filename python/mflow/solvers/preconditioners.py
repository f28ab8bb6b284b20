"""Preconditioners of Newton-Krylov: the user's function, and an incomplete LU of M - gh J. Contract: `mflow_core.solvers.objects`."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from mflow.base.checks import Array, shown
from mflow.solvers.mass import Mass
from mflow.solvers.sparsity import SparseFactors

__all__ = ["IncompleteLU", "UserPreconditioner", "preconditioner"]

EXPECTED = (
    "a function of one vector, or an object with solve(b) or matvec(b), that applies the inverse of I - gamma J (M - gamma J with mass=) "
    "approximately"
)


def preconditioner(
    prec: Callable[..., Any] | str,
    shape: tuple[int, ...],
    args: tuple[Any, ...],
    jac: Callable[[float, Array], Any] | None,
    mass: Mass | None = None,
) -> UserPreconditioner | IncompleteLU:
    """What ``prec=`` asks for; jac: the user's sparse Jacobian, for "ilu"."""
    return (
        UserPreconditioner(prec, shape, args)
        if callable(prec)
        else IncompleteLU(math.prod(shape), jac, mass=None if mass is None else mass.sparse())
    )


class UserPreconditioner:
    """prec(t, y, gamma, *args) -> what applies the inverse of I - gamma J, about.

    Raises TypeError or ValueError, with `prec` as the argument, where what it returns does not fit.
    """

    band = None

    def __init__(self, prec: Callable[..., Any], shape: tuple[int, ...], args: tuple[Any, ...]) -> None:
        self._prec, self._shape, self._args, self._n = prec, shape, args, math.prod(shape)
        self._at: tuple[float, Array] = (0.0, np.zeros(0))
        self._apply: Callable[[Array], Any] = np.asarray

    def jacobian(self, t: float, y: Array) -> bool:
        """Keeps (t, y), at which the user's function is asked next."""
        y = y.reshape(self._shape)
        y.flags.writeable = False
        self._at = t, y
        return True

    def take_mass(self, values: Array) -> None:
        """Does nothing, as the user's function knows M."""

    def factor(self, gh: float) -> bool:
        """Asks for the inverse at this gamma."""
        made = self._prec(*self._at, gh, *self._args)
        for name in ("solve", "matvec"):
            if callable(getattr(made, name, None)):
                made = getattr(made, name)
                break
        if not callable(made):
            raise TypeError(f"prec: expected it to return {EXPECTED}, got {shown(made)}")
        self._apply = made
        return True

    def solve(self, b: Array) -> Array:
        """The inverse applied to one vector."""
        x = np.asarray(self._apply(b))
        if x.dtype.kind not in "biuf" or x.size != self._n:
            raise ValueError(f"prec: expected {self._n} real numbers from what it returned, got dtype {x.dtype} and shape {x.shape}")
        return np.ascontiguousarray(x, dtype=np.float64).ravel()


class IncompleteLU(SparseFactors):
    """SuperLU's incomplete factors of M - gh J, J the user's sparse matrix."""

    def factor(self, gh: float) -> bool:
        """Factors M - gh J; False where it is singular."""
        matrix = -self._matrix if math.isinf(gh) else self._one - gh * self._matrix
        try:
            self._factors = self._linalg.spilu(matrix.tocsc(), drop_tol=1e-4, fill_factor=10.0)
        except RuntimeError as error:
            if "singular" in str(error):
                return False
            raise
        return True
