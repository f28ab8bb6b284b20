"""mflow's methods as SciPy's solvers and minimizers, by their public name: see `mflow.adapters.scipy_solvers`. It needs SciPy."""

from typing import Any

from mflow.adapters import scipy_solvers
from mflow.adapters.scipy_solvers import *  # noqa: F403
from mflow.adapters.scipy_solvers import __all__ as __all__  # noqa: PLC0414


def __getattr__(name: str) -> Any:
    return getattr(scipy_solvers, name)


def __dir__() -> list[str]:
    return dir(scipy_solvers)
