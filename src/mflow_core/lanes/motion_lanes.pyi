from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from mflow_core.registry import MethodRecord

FORCE_LANES_SIGNATURE: str

class MotionLanes:
    x_last: NDArray[np.float64]
    v_last: NDArray[np.float64]
    t_last: NDArray[np.float64]
    x: NDArray[np.float64]
    v: NDArray[np.float64]
    code: NDArray[np.int32]
    nfev: NDArray[np.int64]
    nsteps: NDArray[np.int64]
    saved: NDArray[np.int64]
    def __init__(
        self,
        record: MethodRecord,
        function: tuple[int, int] | None,
        x0: NDArray[np.float64],
        v0: NDArray[np.float64],
        t0: float,
        t_end: float,
        dt: float,
        steps: int,
        *,
        parameters: Mapping[str, float] | None = ...,
        mass: NDArray[np.float64] | None = ...,
        damping: NDArray[np.float64] | None = ...,
        stiffness: NDArray[np.float64] | None = ...,
        args: NDArray[np.float64] | None = ...,
        t_eval: NDArray[np.float64] | None = ...,
        velocity_free: bool = ...,
    ) -> None: ...
    def work(self) -> None: ...
    def stop(self) -> None: ...
