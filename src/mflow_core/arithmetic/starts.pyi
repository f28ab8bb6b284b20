from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

SHARE: float
NEAR: float
SEEN: float

def new_start(value: Any) -> NDArray[np.float64] | None: ...
def largest(array: NDArray[np.float64]) -> float: ...
def parts_of(rows: NDArray[np.float64], shape: tuple[int, ...]) -> list[NDArray[np.float64]]: ...
def judged_sides(
    error: float, change: float, terms: float, rounding: float, bend: float, eps: float, near: Callable[[], bool], longer: float = ...
) -> str: ...
def agrees(
    values: Callable[[NDArray[np.float64]], Any],
    x: NDArray[np.float64],
    at: float | None,
    grad: NDArray[np.float64],
    direction: NDArray[np.float64],
    small: float,
) -> tuple[bool, list[Any]]: ...
