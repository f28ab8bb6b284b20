from typing import Any

import numpy as np
from numpy.typing import NDArray

def shared_array(value: Any, argument: str) -> Any: ...
def checked(array: Any, argument: str, writeable: bool = ...) -> NDArray[np.float64]: ...
