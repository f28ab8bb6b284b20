from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

SHARE: float
NEAR: float
SEEN: float

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
def unseen_moves(
    x: NDArray[np.float64],
    start: NDArray[np.float64],
    first: NDArray[np.float64] | None,
    grad: NDArray[np.float64],
    direction: NDArray[np.float64],
    most: int,
) -> list[NDArray[np.float64]]: ...
def asked_beside(
    values: Callable[[NDArray[np.float64]], Any],
    x: NDArray[np.float64],
    at: float,
    moves: list[NDArray[np.float64]],
    h: float,
    fits: Callable[[NDArray[np.float64]], bool] | None = ...,
) -> tuple[list[NDArray[np.float64]], list[NDArray[np.float64]], int]: ...
def rises_as_told(
    values: Callable[[NDArray[np.float64]], Any],
    x: NDArray[np.float64],
    start: NDArray[np.float64],
    began: float,
    first: NDArray[np.float64] | None,
    at: float,
    grad: NDArray[np.float64],
    direction: NDArray[np.float64],
    h: float,
    more: bool,
) -> int: ...
