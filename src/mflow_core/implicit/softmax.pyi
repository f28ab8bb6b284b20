from typing import Any

import numpy as np
from numpy.typing import NDArray

class SoftmaxSteps:
    classes: int
    n: int
    l2: float
    worst: float
    averaged: int
    def __init__(self, classes: int, n: int, intercept: bool, l2: float = ...) -> None: ...
    def run(self, X: Any, y: Any, order: Any, gammas: Any, weight: Any = ..., average: int = ...) -> int: ...
    def weights(self, mean: bool = ...) -> tuple[NDArray[np.float64], NDArray[np.float64]]: ...
