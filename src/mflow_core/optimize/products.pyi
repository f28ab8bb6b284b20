from typing import Any

class Products:
    count: int
    def __init__(self, source: Any, shape: tuple[int, ...]) -> None: ...
