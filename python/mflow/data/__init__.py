"""Data that ship with mflow, records of ground motion, and rows of arrays: see `mflow.data.tables`, `ground_motion` and `rows`."""

from typing import TYPE_CHECKING, Any

from mflow.data import rows, tables
from mflow.data.ground_motion import GroundMotion as GroundMotion
from mflow.data.ground_motion import read_record as read_record
from mflow.data.rows import *  # noqa: F403
from mflow.data.tables import *  # noqa: F403

__all__ = sorted(["GroundMotion", "read_record", *tables.__all__, *rows.__all__])  # noqa: PLE0605

if not TYPE_CHECKING:  # a type checker finds a misspelt name by itself

    def __getattr__(name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(f"module 'mflow.data' has no attribute {name!r}")
        from mflow.base.foreign import no_name

        raise no_name("mflow.data", name, __all__)
