import numpy as np
from numpy.typing import NDArray

from mflow_core.fitting.compiled import CompiledResiduals
from mflow_core.fitting.robust import CompiledLoss

Array = NDArray[np.float64]

ENDINGS: dict[int, str]

class Fits:
    x: Array
    cost: Array
    optimality: Array
    errors: Array
    nit: NDArray[np.int64]
    nfev: NDArray[np.int64]
    code: NDArray[np.int32]
    def __init__(
        self, residuals: CompiledResiduals, starts: Array, ftol: float, xtol: float, gtol: float, limit: int, X: Array | None = ...,
        y: Array | None = ..., lower: Array | None = ..., upper: Array | None = ..., fixed: NDArray[np.bool_] | None = ...,
        errors: bool = ..., loss: CompiledLoss | None = ...,
    ) -> None: ...
    def stop(self) -> None: ...
    def work(self, first: int, last: int) -> None: ...
