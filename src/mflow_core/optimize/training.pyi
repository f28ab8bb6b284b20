from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mflow_core.objectives.objective import Objective
from mflow_core.optimize.updater import Updater

LOSS: int
GRADIENT: int
STEP: int

def measured_step(optimizer: Updater, flat: list[Any]) -> tuple[float, bool]: ...

def step_rows(opt: Updater, gradients: list[Any], lazy: Callable[[int], None]) -> None: ...

class Course:
    loss: float
    norm: float
    refused: str
    @property
    def batches(self) -> int: ...
    def __init__(self, optimizer: Updater, objective: Objective, batch_size: int, drop_last: bool, accumulate: int) -> None: ...
    def set_order(self, order: Any) -> None: ...
    def run(
        self, batch: int, out: NDArray[np.float64], sums: NDArray[np.float64], rates: NDArray[np.float64] | None = ...
    ) -> tuple[int, int, int, int, int]: ...
