from typing import Any

import numpy as np
from numpy.typing import NDArray

class CompiledResiduals:
    m: int
    def __init__(self, source: Any, m: int, sigma: NDArray[np.float64] | None, owner: Any) -> None: ...
    @property
    def functions(self) -> tuple[int, int, CompiledResiduals]: ...
