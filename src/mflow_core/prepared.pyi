from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mflow_core.problems.problem import Problem
from mflow_core.registry import MethodRecord

def error_text(code: int) -> str: ...

class Prepared:
    record: MethodRecord
    problem: Problem
    def __init__(
        self,
        record: MethodRecord,
        problem: Problem,
        parameters: Mapping[str, float],
        n_args: int = ...,
        dt: float = ...,
        rtol: NDArray[np.float64] | None = ...,
        atol: NDArray[np.float64] | None = ...,
        first_step: float = ...,
        max_step: float = ...,
        min_step: float = ...,
        max_steps: int = ...,
        edge: float = ...,
        **more: Any,
    ) -> None: ...
    def __call__(self, t_span: Sequence[float], y0: ArrayLike, args: ArrayLike = ...) -> NDArray[np.float64]: ...
    def refuse(self, status: int, t_end: float, out: NDArray[np.float64]) -> None: ...
    def look(self, start: NDArray[np.float64], args: NDArray[np.float64] | None) -> None: ...
    @property
    def seen(self) -> tuple[float, NDArray[np.float64], float, float, float, NDArray[np.float64]]: ...
    def slope(self, t: float, y: ArrayLike, args: ArrayLike | None) -> NDArray[np.float64]: ...
    @property
    def handle(self) -> int: ...
    @property
    def address(self) -> int: ...
    @property
    def n(self) -> int: ...
    @property
    def n_args(self) -> int: ...
    @property
    def t(self) -> float: ...
    @property
    def nfev(self) -> int: ...
    @property
    def nsteps(self) -> int: ...
    @property
    def nrejected(self) -> int: ...
