from typing import Any

import numpy as np
from numpy.typing import NDArray

def new_start(value: Any) -> NDArray[np.float64] | None: ...
def largest(array: NDArray[np.float64]) -> float: ...
