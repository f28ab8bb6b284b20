"""mflow's methods as SciPy's solvers and minimizers, by their public name: see `mflow.adapters.scipy_solvers`. It needs SciPy."""

from typing import Any

from mflow.base.extras import need

need("scipy.integrate", "mflow.scipy")  # before SciPy is asked for its names: its error would not say what to install

from mflow.adapters import scipy_solvers  # noqa: E402
from mflow.adapters.scipy_solvers import *  # noqa: E402, F403
from mflow.adapters.scipy_solvers import __all__ as __all__  # noqa: E402, PLC0414


def __getattr__(name: str) -> Any:
    return getattr(scipy_solvers, name)


def __dir__() -> list[str]:
    return dir(scipy_solvers)
