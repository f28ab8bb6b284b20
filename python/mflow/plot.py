"""Pictures, with matplotlib (`pip install 'mflow[plot]'`), on figures of their own or on yours (``ax=``).

The face of the modules `plot_*`, each of which draws one kind of thing in the style of `palette`. Functions that draw on one pair of axes
return it; ``plot.stability_regions("rk4").figure.savefig("rk4.png")`` is a whole script.
"""

from mflow.plot_dynamics import period_error, spectral_radius
from mflow.plot_fields import direction_field, family, iterates
from mflow.plot_losses import comparison, loss_curves
from mflow.plot_orders import convergence
from mflow.plot_paths import animate, basins, contours, paths, trace
from mflow.plot_regions import eigenvalues, parameter_region, stability_regions

__all__ = [
    "animate",
    "basins",
    "comparison",
    "contours",
    "convergence",
    "direction_field",
    "eigenvalues",
    "family",
    "iterates",
    "loss_curves",
    "parameter_region",
    "paths",
    "period_error",
    "spectral_radius",
    "stability_regions",
    "trace",
]
