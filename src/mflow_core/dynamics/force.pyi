from typing import Any

from mflow_core.dynamics.structure import Structure
from mflow_core.problems.problem import Problem
from mflow_core.solvers.solver import Solver

class Force(Problem):
    solver: Solver | None
    @property
    def bits(self) -> int: ...
    def __init__(
        self,
        force: Any,
        shape: tuple[int, ...],
        mass: Any = ...,
        args: tuple[Any, ...] = ...,
        inplace: bool = ...,
        dfdx: Any = ...,
        dfdv: Any = ...,
        potential: Any = ...,
        velocity_free: bool = ...,
        solver: Solver | None = ...,
        solve_accel: Any = ...,
        body: Structure | None = ...,
    ) -> None: ...
    def forget(self) -> None: ...
    @property
    def counters(self) -> dict[str, int]: ...
