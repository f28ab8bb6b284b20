"""Pictures, with matplotlib (`pip install 'momentum-flow[plot]'`), on figures of their own or on yours (``ax=``).

Functions that draw on one pair of axes return it; ``plot.stability_regions("rk4").figure.savefig("rk4.png")`` is a whole script. The
figures belong to you and not to pyplot, so ``plt.show()`` does not show them: in a notebook let a cell end with ``.figure``, for a window
pass ``ax=plt.gca()``.
"""

from typing import TYPE_CHECKING, Any

from mflow.base.telling import knows_other_words
from mflow.plot.fields import direction_field, family, iterates, solution
from mflow.plot.fits import fit
from mflow.plot.losses import comparison, loss_curves
from mflow.plot.motion import displacements, energy, spectrum
from mflow.plot.orders import convergence
from mflow.plot.oscillators import period_error, spectral_radius
from mflow.plot.paths import animate, basins, contours, paths, trace
from mflow.plot.regions import eigenvalues, parameter_region, stability_regions
from mflow.plot.training import curvature, curves, effective_lr, history, lr_find, sweep

__all__ = [
    "animate",
    "basins",
    "comparison",
    "contours",
    "convergence",
    "curvature",
    "curves",
    "direction_field",
    "displacements",
    "effective_lr",
    "eigenvalues",
    "energy",
    "family",
    "fit",
    "history",
    "iterates",
    "loss_curves",
    "lr_find",
    "parameter_region",
    "paths",
    "period_error",
    "solution",
    "spectral_radius",
    "spectrum",
    "stability_regions",
    "sweep",
    "trace",
]

if not TYPE_CHECKING:  # a type checker finds a misspelt name by itself
    globals().update({name: knows_other_words(globals()[name]) for name in __all__})

    def __getattr__(name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(f"module 'mflow.plot' has no attribute {name!r}")
        from mflow.base.foreign import no_name

        raise no_name("mflow.plot", name, __all__)
