from typing import Any

RHS_SIGNATURE: str
JACOBIAN_SIGNATURE: str
OBJECTIVE_SIGNATURE: str
HESSIAN_SIGNATURE: str
LOAD_SIGNATURE: str
FORCE_SIGNATURE: str
POTENTIAL_SIGNATURE: str
PRODUCT_SIGNATURE: str
SOLVE_ACCEL_SIGNATURE: str

RAISED: int
WRONG_LENGTH: int
CODES: dict[int, str]

def code_text(status: int) -> str: ...
def companion(fun: Any, name: str, given: Any) -> Any: ...
def check_size(fun: Any, n: int, where: str) -> None: ...
def check_signature(argument: str, found: str, wanted: str) -> None: ...
def compiled_address(fun: Any, argument: str, wanted: str) -> tuple[int, int] | None: ...
