import numpy as np
from numpy.typing import NDArray

from mflow_core.events.events import Events

class Rows:
    events: Events | None
    count: int
    done: int
    def __init__(
        self,
        y: NDArray[np.float64] | None = ...,
        t: NDArray[np.float64] | None = ...,
        D: NDArray[np.float64] | None = ...,
        every: int = ...,
        at: NDArray[np.float64] | None = ...,
        events: Events | None = ...,
        energy: NDArray[np.float64] | None = ...,
    ) -> None: ...
