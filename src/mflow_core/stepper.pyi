"""Compiled: see the .pyx of this name."""
from typing import Any

def __getattr__(name: str) -> Any: ...
