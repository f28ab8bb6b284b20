"""A user's Jacobian that is not finite where a step must have it: the run ends, and says which entry it is.

A step whose Jacobian is not finite is tried again, shorter. That helps where the Jacobian was taken ahead of the state, and not where it is
asked for at one point again, or where it is not finite at the state that the run starts from: the second call in vain ends the run.
"""

from __future__ import annotations

import types
from collections.abc import Callable
from functools import partial, update_wrapper
from typing import Any, TypeVar

import numpy as np

from mflow.base.checks import entry_words
from mflow.base.telling import counted

Drive = TypeVar("Drive")

__all__ = ["FiniteJacobian", "NotFiniteError", "asked_by", "blamed", "finite_jacobian"]

FAILURES = ("non_finite", "trust_region_failed", "solve_failed")  # of descents that a Hessian may be to blame for
PYTHON = (types.FunctionType, types.MethodType, partial)


class NotFiniteError(Exception):
    """A Jacobian is not finite at a point that no step can do without; its text names the entry."""


class FiniteJacobian:
    """A function ``jac(*state, *args)`` of the user, whose calls in vain are counted.

    count : numbers of its arguments that are the state: 1 (x), 2 (t, y), 3 (t, x, v), or 0, where no number of calls raises. drive : the
    integration that asks, once there is one. words : of the last value, where that was not finite.
    """

    def __init__(self, jac: Callable[..., Any], name: str, count: int) -> None:
        self.jac, self.name, self.count = jac, name, count
        self.drive: Any = None
        self.words = ""
        self._at: list[bytes] | None = None
        update_wrapper(self, jac, updated=())

    def __call__(self, *given: Any, **more: Any) -> Any:
        """What the user's function returns. Raises NotFiniteError where no shorter step can help."""
        value = self.jac(*given, **more)
        self.words = entry_words(value)
        if self.words and not all(np.isfinite(part).all() for part in given[: self.count or 1]):
            self.words = ""  # of a state that is not finite nothing else can be asked
        if not self.words or not self.count:
            self._at = None
            return value
        at, before = _bits(given[: self.count]), self._at
        self._at = at
        if before is not None and (before == at or self._not_finite_at_start(given, more)):
            raise NotFiniteError(self.said())
        return value

    def _not_finite_at_start(self, given: tuple[Any, ...], more: dict[str, Any]) -> bool:
        """Whether J is not finite at the start, either, where the run still stands, so that no shorter step helps."""
        drive = self.drive
        if drive is None or drive.run.k != 0 or drive.agenda is not None or self.count > 2:
            return False  # in the middle of a step a run does not tell its state, which is the start only before the first one
        if drive.settings.solver is not None:
            drive.settings.solver.probes += 1  # a call that is made aside
        start = (drive.t0, drive.start.copy())[-self.count :]
        words = entry_words(self.jac(*start, *given[self.count :], **more))
        self.words = words or self.words
        return bool(words)

    def said(self) -> str:
        """What is wrong, in words."""
        at = "" if self.drive is None else f" at t = {self.drive.run.t:g} (after {counted(self.drive.run.k, 'step')}), the state is"
        return f"{self.name} is not finite{at}: {self.words}"


def finite_jacobian(jac: Any, name: str, count: int = 0) -> Any:
    """The same function with its calls in vain counted; what is no Python function as it is."""
    if jac is None:
        return None
    own = isinstance(jac, PYTHON) or isinstance(getattr(type(jac), "__call__", None), types.FunctionType)  # noqa: B004
    python = own or (callable(jac) and hasattr(jac, "__wrapped__") and not hasattr(jac, "address"))
    if not python or hasattr(type(jac), "compiled_address") or hasattr(jac, "native_name"):  # of numba.cfunc
        return jac
    if hasattr(jac, "tocsc") or hasattr(jac, "matvec"):
        return jac
    return FiniteJacobian(jac, name, count)


def asked_by(jac: Any, drive: Drive) -> Drive:
    """The integration, which its Jacobian knows of from here on."""
    if isinstance(jac, FiniteJacobian):
        jac.drive = drive
    return drive


def blamed(out: Any, *functions: Any) -> Any:
    """The result of a descent, where it failed because one of these functions was not finite with words that name it."""
    for given in functions:
        if isinstance(given, FiniteJacobian) and given.words and out.reason in FAILURES:
            out.reason = "non_finite"
            out.message = f"{given.name} is not finite in iteration {out.nit}: {given.words}; x is the last good point"
    return out


def _bits(state: tuple[Any, ...]) -> list[bytes]:
    return [np.asarray(part, dtype=np.float64 if not np.iscomplexobj(part) else np.complex128).tobytes() for part in state]
