from typing import Any

from mflow_core.dynamics.force import Force
from mflow_core.dynamics.structure import Structure
from mflow_core.solvers.solver import Solver

class JoinedForce(Force):
    def __init__(
        self, force: Any, shape: tuple[int, ...], structure: Structure, args: tuple[Any, ...] = ..., inplace: bool = ..., dfdx: Any = ...,
        dfdv: Any = ..., potential: Any = ..., velocity_free: bool = ..., solver: Solver | None = ...,
    ) -> None: ...
    @property
    def symmetric(self) -> bool: ...
