from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from mflow_core.registry import Row

def stability_values(row: Row, parameters: Mapping[str, float], z: NDArray[np.complex128], rho: float = ...) -> NDArray[np.complex128]: ...
