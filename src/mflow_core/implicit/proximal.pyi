from typing import Any

import numpy as np
from numpy.typing import NDArray

GOOD: int
CUT: int
KEPT: int
SKIPPED: int

class ProximalSteps:
    n: int
    most: int
    rows: int
    l1: float
    l2: float
    worst: float
    nfev: int
    averaged: int
    def __init__(self, source: Any, start: Any, most: int, data: Any = ..., weight: Any = ..., unit: Any = ...) -> None: ...
    def run(self, order: Any, batch: int, gammas: Any, average: bool = ...) -> tuple[NDArray[np.float64], NDArray[np.int64]]: ...
    def gradient(self, at: Any, order: Any) -> tuple[float, NDArray[np.float64]]: ...
    @property
    def last(self) -> NDArray[np.float64]: ...
    @property
    def mean(self) -> NDArray[np.float64]: ...
    def forget_mean(self) -> None: ...
    def set(self, c: Any) -> None: ...
