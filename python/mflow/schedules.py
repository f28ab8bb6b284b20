"""Learning rates that change with the step, by their public name: see `mflow.optim.schedules`."""

from mflow.optim.schedules import *  # noqa: F403
from mflow.optim.schedules import __all__ as __all__  # noqa: PLC0414
