"""Data that ship with mflow, records of ground motion, and minibatches: see `mflow.data.tables` and `mflow.data.ground_motion`."""

from mflow.data.tables import *  # noqa: F403
from mflow.data.tables import __all__ as __all__
