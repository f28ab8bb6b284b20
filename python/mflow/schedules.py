"""Learning rates that change with the step, by their public name: see `mflow.optim.schedules`."""

from typing import TYPE_CHECKING, Any

from mflow.optim.schedules import *  # noqa: F403
from mflow.optim.schedules import __all__ as __all__  # noqa: PLC0414

if not TYPE_CHECKING:  # a type checker reads the names above, and finds those that are not there

    def __getattr__(name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(f"module 'mflow.schedules' has no attribute {name!r}")
        from mflow.base.foreign import no_name

        raise no_name("mflow.schedules", name, __all__)
