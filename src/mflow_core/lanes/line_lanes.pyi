from typing import Any

import numpy as np
from numpy.typing import NDArray

from mflow_core.registry import MethodRecord

class LineDescents:
    x: NDArray[np.float64]
    fun: NDArray[np.float64]
    gmax: NDArray[np.float64]
    first: NDArray[np.float64]
    nit: NDArray[np.int64]
    code: NDArray[np.int32]
    extra: NDArray[np.int64]
    def __init__(
        self, record: MethodRecord, fun: Any, starts: NDArray[np.float64], limit: int, gtol: float, parameters: dict[str, float],
        kind: int, rule: dict[str, Any], X: NDArray[np.float64] | None = ..., y: NDArray[np.float64] | None = ...,
        scale: NDArray[np.float64] | None = ...,
    ) -> None: ...
    def stop(self) -> None: ...
    def work(self, lo: int, hi: int) -> None: ...
