"""Optimizers for a training loop of your own: see `mflow.optim.classes`; means of the parameters: `mflow.optim.averages`; learning rates
that change: `mflow.schedules`.
"""

from typing import Any

from mflow_core.registry import unknown

from mflow.optim.averages import EMA as EMA
from mflow.optim.averages import SWA as SWA
from mflow.optim.classes import *  # noqa: F403
from mflow.optim.classes import __all__ as _classes

__all__ = sorted(["EMA", "SWA", *_classes])  # noqa: PLE0605


def __getattr__(name: str) -> Any:
    raise AttributeError(unknown("mflow.optim has no", name, __all__))


def __dir__() -> list[str]:
    return list(__all__)
