from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from mflow_core.registry import MethodRecord

BLOCK: int
WAITING: int
TOO_SMALL: int
TOO_MANY: int

class Lanes:
    y_last: NDArray[np.float64]
    t_last: NDArray[np.float64]
    y: NDArray[np.float64]
    code: NDArray[np.int32]
    nfev: NDArray[np.int64]
    nsteps: NDArray[np.int64]
    nrejected: NDArray[np.int64]
    saved: NDArray[np.int64]
    seen: NDArray[np.float64]
    def __init__(
        self,
        record: MethodRecord,
        function: tuple[int, int],
        y0: NDArray[np.float64],
        t0: NDArray[np.float64],
        t_end: NDArray[np.float64],
        *,
        parameters: Mapping[str, float] | None = ...,
        args: NDArray[np.float64] | None = ...,
        t_eval: NDArray[np.float64] | None = ...,
        dt: float = ...,
        steps: NDArray[np.int64] | None = ...,
        own: bool = ...,
        rtol: NDArray[np.float64] | None = ...,
        atol: NDArray[np.float64] | None = ...,
        first_step: float = ...,
        max_step: float = ...,
        min_step: float = ...,
        max_steps: int = ...,
        edge: float = ...,
    ) -> None: ...
    def work(self) -> None: ...
    def stop(self) -> None: ...
