"""Solvers of implicit equations, by their public name: see `mflow.solvers.nonlinear`."""

from mflow.solvers.nonlinear import *  # noqa: F403
from mflow.solvers.nonlinear import __all__ as __all__  # noqa: PLC0414
