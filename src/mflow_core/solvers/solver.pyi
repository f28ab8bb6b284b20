from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mflow_core.problems.problem import Problem

Array = NDArray[np.float64]
KINDS: dict[str, int]

class Solver:
    python: bool
    probes: int
    def __init__(
        self,
        kind: str,
        *,
        jac: bool = ...,
        band_jac: bool = ...,
        lower: int = ...,
        upper: int = ...,
        pattern: tuple[Any, Any, Any] | None = ...,
        sparse: Any = ...,
        columns: Any = ...,
        max_iter: int = ...,
        full: bool = ...,
        fraction: float = ...,
        tol: float = ...,
        krylov_dim: int = ...,
        krylov_cycles: int = ...,
        mass: tuple[Any, ...] | None = ...,
        rhs_t: Problem | None = ...,
        left: tuple[Any, ...] | None = ...,
    ) -> None: ...
    def bind(self, problem: Problem) -> None: ...
    def solve(self, t: float, gh: float, r: Any, guess: Any, rtol: Any = ..., atol: Any = ...) -> tuple[Array, int, int]: ...
    def lsolve(self, t: float, gh: float, r: Any) -> tuple[Array, int]: ...
    def jacobian(self) -> Array: ...
    def directional(self, direction: Callable[[Array], Array]) -> tuple[float, Array, Array, Array] | None: ...
    @property
    def reached(self) -> float: ...
    @property
    def outgrown(self) -> bool: ...
    @property
    def overstated(self) -> bool: ...
    @property
    def krylov_dim(self) -> int: ...
    @property
    def krylov_left(self) -> float: ...
    @property
    def flow(self) -> tuple[int, float]: ...
    def pack(self) -> Array: ...
    def unpack(self, state: Any) -> None: ...
    @property
    def counters(self) -> dict[str, int]: ...
    mass_at: Any
    @property
    def redone(self) -> tuple[int, int, int]: ...
    @property
    def njev(self) -> int: ...
    @property
    def nlu(self) -> int: ...
    @property
    def kind(self) -> str: ...
    @property
    def differenced(self) -> bool: ...
