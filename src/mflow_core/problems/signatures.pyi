from typing import Any

RHS_SIGNATURE: str
RHS_LANES_SIGNATURE: str
JACOBIAN_SIGNATURE: str
OBJECTIVE_SIGNATURE: str
HESSIAN_SIGNATURE: str
RESIDUALS_SIGNATURE: str
DATUM_SIGNATURE: str
LOAD_SIGNATURE: str
FORCE_SIGNATURE: str
POTENTIAL_SIGNATURE: str
PRODUCT_SIGNATURE: str
SOLVE_ACCEL_SIGNATURE: str

RAISED: int
WRONG_LENGTH: int
CODES: dict[int, str]

class Recoverable(Exception): ...

def code_text(status: int) -> str: ...
def companion(fun: Any, name: str, given: Any) -> Any: ...
def is_compiled(fun: Any) -> bool: ...
def check_size(fun: Any, argument: str, n: int) -> None: ...
def check_signature(argument: str, signature: str, expected: str) -> None: ...
def compiled_address(fun: Any, argument: str, expected: str) -> tuple[int, int] | None: ...
