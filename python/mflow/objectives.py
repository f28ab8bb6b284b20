"""Compiled costs, by their public name: see `mflow.problems.objectives`."""

from mflow.problems.objectives import *  # noqa: F403
from mflow.problems.objectives import __all__ as __all__  # noqa: PLC0414
