from typing import Any

import numpy as np
from numpy.typing import NDArray

STEPPING: str
MID_STEP: str

def shared_array(value: Any, argument: str) -> Any: ...
def checked(array: Any, argument: str, writeable: bool = ...) -> NDArray[np.float64]: ...

class SparseGradient:
    indices: NDArray[np.int64]
    values: NDArray[np.float64]
    def __init__(self, indices: Any, values: Any) -> None: ...
    def _rows(self, shape: tuple[int, ...], argument: str) -> tuple[NDArray[np.int64], NDArray[np.float64]]: ...

def names_rows(gradients: list[Any]) -> bool: ...
