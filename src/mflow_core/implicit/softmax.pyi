from typing import Any

import numpy as np
from numpy.typing import NDArray

from mflow_core.optimize.sweep import Samples

class SoftmaxSteps:
    classes: int
    n: int
    l1: float
    l2: float
    worst: float
    averaged: int
    def __init__(self, classes: int, n: int, intercept: bool, l2: float = ..., l1: float = ...) -> None: ...
    def run(self, samples: Samples, order: Any, gammas: Any, average: int = ...) -> int: ...
    def weights(self, mean: bool = ...) -> tuple[NDArray[np.float64], NDArray[np.float64]]: ...
