"""Data that ship with mflow, records of ground motion, and rows of arrays: see `mflow.data.tables`, `ground_motion` and `rows`."""

from mflow.data import rows, tables
from mflow.data.rows import *  # noqa: F403
from mflow.data.tables import *  # noqa: F403

__all__ = sorted([*tables.__all__, *rows.__all__])  # noqa: PLE0605
