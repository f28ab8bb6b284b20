from typing import Any

BLOCK: int

def peaks(record: Any, parts: Any, coefficients: Any, between: bool) -> Any: ...
