"""mflow's optimizers as torch's: classes for the float64 tensors of a model on the CPU. The only module that needs torch."""

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
