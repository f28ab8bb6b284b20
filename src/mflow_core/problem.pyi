from typing import Any

RHS_SIGNATURE: str
OBJECTIVE_SIGNATURE: str

class Recoverable(Exception): ...

class Callback:
    nfev: int
    njev: int

class Problem:
    compiled: bool
    value_is_free: bool
    has_value: bool
    callback: Callback | None
    @property
    def has_rhs(self) -> bool: ...
    @property
    def n(self) -> int: ...

def compiled_address(fun: Any, argument: str, wanted: str) -> tuple[int, int] | None: ...
def rhs_problem(fun: Any, shape: tuple[int, ...], args: Any = ..., inplace: bool = ...) -> Problem: ...
def objective_problem(fun: Any, jac: Any, shape: tuple[int, ...], args: Any = ...) -> Problem: ...
