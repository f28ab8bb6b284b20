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

def compiled_address(fun: Any, argument: str, wanted: str) -> tuple[int, int] | None: ...
