"""Optimizers for a training loop of your own: see `mflow.optim.classes`; means of the parameters: `mflow.optim.averages`; learning rates
that change: `mflow.schedules`.
"""

from typing import TYPE_CHECKING, Any

from mflow.optim.averages import EMA as EMA
from mflow.optim.averages import SWA as SWA
from mflow.optim.classes import *  # noqa: F403
from mflow.optim.classes import __all__ as _classes

if TYPE_CHECKING:  # by name, as what is made at import is not seen
    from mflow_core.optimize.arrays import SparseGradient as SparseGradient

    from mflow.optim._optimizers import *  # noqa: F403
    from mflow.optim._optimizers import NAdam as Nadam  # noqa: F401
    from mflow.optim.classes import SGD as SGD
    from mflow.optim.classes import Group as Group
    from mflow.optim.classes import Optimizer as Optimizer

__all__ = sorted(["EMA", "SWA", *_classes])  # noqa: PLE0605


if not TYPE_CHECKING:  # a type checker reads the names above, and finds those that are not there

    def __getattr__(name: str) -> Any:
        from importlib import import_module

        from mflow.base.foreign import no_name

        if name in import_module("mflow.optim.schedules").__all__:
            raise AttributeError(f"mflow.optim has no {name!r}: here it is mflow.schedules.{name}, and lr= takes one")
        raise no_name("mflow.optim", name, __all__)


def __dir__() -> list[str]:
    return list(__all__)
