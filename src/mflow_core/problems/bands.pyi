import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

def packed_too(array: Array, lower: int, upper: int, from_function: bool, name: str) -> bool: ...
def spread_band(band: Array, lower: int) -> Array: ...
