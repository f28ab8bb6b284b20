from typing import Any

import numpy as np
from numpy.typing import NDArray

def new_start(value: Any) -> NDArray[np.float64] | None: ...
def largest(array: NDArray[np.float64]) -> float: ...
def both_sides(
    x: NDArray[np.float64], grad: NDArray[np.float64], direction: NDArray[np.float64], h: float, small: float
) -> tuple[NDArray[np.float64], NDArray[np.float64], float, float, bool]: ...
