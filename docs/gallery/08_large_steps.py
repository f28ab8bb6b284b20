"""Large implicit steps
====================

c' = -c with steps beyond forward Euler's limit, 2. Backward Euler stays stable and gets to the steady state too soon: overly damped. The
trapezoidal rule stays stable too, but tends to c(q+1) = -c(q) and oscillates.
"""

import numpy as np
from matplotlib.figure import Figure

import mflow
from mflow import plot

figure = Figure(figsize=(9, 3.4), layout="constrained")
for ax, dt in zip(figure.subplots(1, 2, sharey=True), (3.0, 10.0), strict=True):
    runs = {
        name: mflow.solve_ivp(lambda t, c: -c, (0, 8 * dt), [1.0], method, dt=dt, jac=[[-1.0]])
        for name, method in (("backward Euler", "backward_euler"), ("trapezoidal rule", "trapezoidal"))
    }
    plot.iterates(runs, lambda t: np.exp(-t), ax=ax)
    ax.set_title(f"dt = {dt:g}", fontsize="medium")
    ax.set_ylabel("c" if dt == 3.0 else "")
figure.savefig("08_large_steps.png", dpi=90)
