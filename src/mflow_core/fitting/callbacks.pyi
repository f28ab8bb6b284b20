from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

def all_finite(a: Array) -> bool: ...

class Calls:
    m: int
    count: int
    model: bool
    xdata: Any
    seen: list[Any] | None
    watch: Callable[[Any], None] | None
    def __init__(
        self, fun: Any, jac: Any, args: tuple[Any, ...], kwargs: dict[str, Any], n: int, checker: Callable[[Any], Array],
        jac_checker: Callable[[Any], Array], xdata: Any = ..., y: Array | None = ..., sigma: Array | None = ..., root: Array | None = ...,
    ) -> None: ...
    def first(self, x: Array) -> Array: ...
    def raw(self, x: Any) -> Any: ...
    def residuals(self, x: Any) -> Array: ...
    def weighted(self, raw: Any) -> Array: ...
    def carries_all_digits(self) -> bool: ...
