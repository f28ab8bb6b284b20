"""Pictures, with matplotlib (`pip install 'mflow[plot]'`), on figures of their own or on yours.

The face of the modules `plot_*`, each of which draws one kind of thing in the style of `palette`.
"""

from mflow.plot_losses import comparison, loss_curves
from mflow.plot_motion import displacements, energy

__all__ = ["comparison", "displacements", "energy", "loss_curves"]
