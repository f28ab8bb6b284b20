"""Initial value problems with known solutions, by their public name: see `mflow.problems.testproblems`."""

from mflow.problems.testproblems import *  # noqa: F403
from mflow.problems.testproblems import __all__ as __all__  # noqa: PLC0414
