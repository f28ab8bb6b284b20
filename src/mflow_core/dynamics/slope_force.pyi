from typing import Any

from mflow_core.dynamics.force import Force
from mflow_core.problems.problem import Problem
from mflow_core.solvers.solver import Solver

class SlopeForce(Force):
    def __init__(
        self, cost: Problem, shape: tuple[int, ...], friction: float, dfdx: Any = ..., dfdv: Any = ..., solver: Solver | None = ...
    ) -> None: ...
    @property
    def calls(self) -> int: ...
