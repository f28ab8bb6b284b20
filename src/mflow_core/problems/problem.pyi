from typing import Any

from mflow_core.problems.signatures import HESSIAN_SIGNATURE as HESSIAN_SIGNATURE
from mflow_core.problems.signatures import JACOBIAN_SIGNATURE as JACOBIAN_SIGNATURE
from mflow_core.problems.signatures import OBJECTIVE_SIGNATURE as OBJECTIVE_SIGNATURE
from mflow_core.problems.signatures import RHS_SIGNATURE as RHS_SIGNATURE
from mflow_core.problems.signatures import compiled_address as compiled_address

class Callback:
    nfev: int
    njev: int
    mode: int
    look: Any
    seen: list[Any] | None
    scales: Any
    within: Any
    @property
    def bits(self) -> int: ...

class Problem:
    compiled: bool
    value_is_free: bool
    has_value: bool
    callback: Callback | None
    jac_callback: Callback | None
    @property
    def n(self) -> int: ...
    @property
    def has_jac(self) -> bool: ...
    @property
    def jac_is_compiled(self) -> bool: ...
    @property
    def saved_bytes(self) -> int: ...
    def jacobian(self, t: float, y: Any) -> Any: ...
    def set_band(self, lower: int, upper: int) -> None: ...

def rhs_problem(
    fun: Any, shape: tuple[int, ...], args: Any = ..., inplace: bool = ..., jac: Any = ..., elementwise: bool = ...
) -> Problem: ...
def objective_problem(fun: Any, jac: Any, shape: tuple[int, ...], args: Any = ..., hess: Any = ...) -> Problem: ...
