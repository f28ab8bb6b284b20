"""`Stepper`: one step at a time, inside someone else's loop; saved and loaded with the same bits."""

from __future__ import annotations

import json
import os
import tempfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import numpy as np
from mflow_core import problem
from mflow_core import stepper as core

from mflow.arrays import Array, check_number, check_start
from mflow.methods import Method, as_method, get_method, public_values
from mflow.pace import pieces

__all__ = ["Stepper"]

_MAGIC = b"mflow stepper 1\n"


class Stepper:
    """A method on y' = fun(t, y), stepped by its owner.

    Parameters
    ----------
    method : name or instance of an integrator
    fun : callable
        As in `mflow.solve_ivp`, compiled ones included.
    y0 : array_like of real numbers, any shape
    t0 : float
    args, inplace
        As in `mflow.solve_ivp`.
    **parameters
        The method's own.

    Raises TypeError or ValueError where an argument does not fit.

    Examples
    --------
    >>> import mflow
    >>> st = mflow.Stepper("rk4", lambda t, y: -y, [1.0])
    >>> for _ in range(10):
    ...     st.step(0.1)
    >>> round(st.t, 12), bool(abs(st.y[0] - 0.36787944117) < 1e-6)
    (1.0, True)
    """

    def __init__(
        self,
        method: str | Method,
        fun: Callable[..., Any] | Any,
        y0: Any,
        t0: float = 0.0,
        *,
        args: tuple[Any, ...] = (),
        inplace: bool = False,
        **parameters: Any,
    ) -> None:
        self.method = as_method(method, parameters)
        if self.method.kind != "step":
            raise ValueError(f"method: {self.method.name} is an optimizer: use mflow.optim.{self.method.row.class_name}")
        start = check_start(y0, "y0")
        what = problem.rhs_problem(fun, start.shape, args, inplace)
        self._run = core.Run(self.method.row, what, start, check_number(t0, "t0"), float("nan"), self.method._values)

    @property
    def t(self) -> float:
        """Time of the state."""
        return float(self._run.t)

    @property
    def y(self) -> Array:
        """A copy of the state, float64 of y0's shape."""
        y: Array = self._run.y
        return y

    @property
    def k(self) -> int:
        """Steps taken."""
        return int(self._run.k)

    @property
    def nfev(self) -> int:
        """Evaluations of fun."""
        return int(self._run.nfev)

    def step(self, dt: float) -> None:
        """One step of dt, which may be negative.

        Steps of one size are counted: t = t0 + k dt, without accumulated error.

        Raises FloatingPointError where the new state is not finite, RuntimeError where a compiled callback gave up: the state stays at
        the last good step. What ``fun`` raises comes through.
        """
        self.advance(1, dt)

    def advance(self, steps: int, dt: float) -> None:
        """``steps`` steps of dt, in one loop without Python where fun is compiled. Errors as `step`."""
        if isinstance(steps, bool) or int(steps) != steps or not 0 <= steps < 2**62:
            raise ValueError(f"steps = {steps!r}: a whole number from 0 on is wanted")
        h = check_number(dt, "dt")
        status = 0
        for count, _ in ((1, True),) if steps == 1 else pieces(int(steps)):
            status = self._run.fixed(count, dt=h)[0]
            if status != 0:
                break
        if status == core.NON_FINITE:
            raise FloatingPointError(
                f"non-finite state in the step from t = {self.t:g} with dt = {dt:g} (step {self.k}): the state stays at t = {self.t:g}; "
                "take a smaller step"
            )
        if status != 0:
            raise RuntimeError(f"fun returned {status} in the step from t = {self.t:g} with dt = {dt:g}: the state stays there")

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the state to a file: at once or not at all, with a checksum, without pickle. `load` goes on with the same bits."""
        values = public_values(self.method.row, self.method._all)
        head = {"method": self.method.name, "parameters": values, "shape": list(self._run.shape)}
        body = json.dumps(head).encode() + b"\n" + self._run.pack()
        data = _MAGIC + zlib.crc32(body).to_bytes(4, "little") + body
        target = Path(path)
        if not target.parent.is_dir():
            raise FileNotFoundError(f"{target}: there is no folder {target.parent} to save it in")
        handle, name = tempfile.mkstemp(prefix=target.name, suffix=".part", dir=target.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.replace(name, target)
        except BaseException:
            os.unlink(name)
            raise

    @classmethod
    def load(
        cls, path: str | os.PathLike[str], fun: Callable[..., Any] | Any, *, args: tuple[Any, ...] = (), inplace: bool = False
    ) -> Self:
        """The stepper that `save` wrote, on the same ``fun``.

        Raises ValueError where the file is damaged or something else.
        """
        data = Path(path).read_bytes()
        body = data[len(_MAGIC) + 4 :]
        check = data[len(_MAGIC) : len(_MAGIC) + 4]
        if not data.startswith(_MAGIC) or len(check) < 4 or zlib.crc32(body) != int.from_bytes(check, "little"):
            raise ValueError(f"{os.fspath(path)}: damaged, or not a stepper saved by mflow")
        head, _, state = body.partition(b"\n")
        try:
            facts = json.loads(head)
            given = {name: tuple(v) if isinstance(v, list) else v for name, v in facts["parameters"].items()}
            method, start = get_method(facts["method"], **given), np.zeros(facts["shape"])
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise ValueError(f"{os.fspath(path)}: a damaged or foreign state ({error!r})") from error
        made = cls(method, fun, start, args=args, inplace=inplace)
        made._run.unpack(state)
        return made

    def __repr__(self) -> str:
        return f"<mflow.Stepper {self.method!r}, t = {self.t:g}, k = {self.k}>"
