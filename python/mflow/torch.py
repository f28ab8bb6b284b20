"""mflow's optimizers as torch's: classes for the float64 tensors of a model on the CPU. The only module that needs torch.

    opt = mflow.torch.Adam(model.double().parameters(), lr=1e-3)

They stand in a loop where those of ``torch.optim`` do, with torch's schedulers, groups, closures and ``torch.save``. ``opt.state[p]`` shows
a parameter's state after a step, under mflow's names; ``load_state_dict`` also takes the states of torch's own optimizers.
"""

from typing import Any

from mflow.adapters.torch_optimizers import *  # noqa: F403
from mflow.adapters.torch_optimizers import __all__ as __all__  # noqa: PLC0414


def __getattr__(name: str) -> Any:
    from importlib import import_module

    from mflow.base.foreign import no_name

    if not name.startswith("_") and hasattr(import_module("torch.optim"), name):
        ours = "; for arrays mflow.minimize has it, and mflow.train(..., optimizer='lbfgs')" if name == "LBFGS" else ""
        raise AttributeError(f"mflow.torch has no {name!r}: torch's own, torch.optim.{name}, serves the same tensors{ours}")
    raise no_name("mflow.torch", name, __all__)


def __dir__() -> list[str]:
    return sorted(__all__)
