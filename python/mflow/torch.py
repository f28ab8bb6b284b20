"""mflow's optimizers as torch's: classes for the float64 tensors of a model on the CPU. The only module that needs torch."""

from typing import Any

from mflow_core.registry import unknown

from mflow.adapters.torch_optimizers import *  # noqa: F403
from mflow.adapters.torch_optimizers import __all__ as __all__  # noqa: PLC0414


def __getattr__(name: str) -> Any:
    raise AttributeError(unknown("mflow.torch has no", name, __all__))
