import numpy as np
from numpy.typing import NDArray

from mflow_core.stepping.rows import Rows
from mflow_core.stepping.stepper import Run

Numbers = NDArray[np.float64]

def rows_of(run: Run, steps: int, energies: bool = False) -> tuple[Rows, Numbers, Numbers, Numbers | None]: ...
def control(run: Run, rtol: Numbers, atol: Numbers, limit: float, poles: float) -> None: ...
def go(run: Run, rows: Rows, t_end: float, steps: int, adaptive: bool) -> tuple[int, int]: ...
