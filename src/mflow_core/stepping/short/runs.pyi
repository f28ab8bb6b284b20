import numpy as np
from numpy.typing import NDArray

from mflow_core.stepping.rows import Rows
from mflow_core.stepping.stepper import Run

Numbers = NDArray[np.float64]

def rows_of(run: Run, steps: int, energy: Numbers | None = None) -> tuple[Rows, Numbers, Numbers]: ...
def control(run: Run, rtol: Numbers, atol: Numbers, limit: float, poles: float) -> None: ...
def go(run: Run, rows: Rows, t_end: float, steps: int, adaptive: bool) -> tuple[int, int]: ...
