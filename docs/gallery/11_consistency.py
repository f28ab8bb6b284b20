"""What the path tends to
======================

As its step shrinks, consistent momentum (left) settles on one curve, that of Newton's law c'' = -c' - grad f(c). Momentum with a fixed
factor (right) does not: with smaller steps it slides towards gradient flow, whose path it follows 1/(1 - momentum) times as fast.
"""

import numpy as np
from matplotlib.figure import Figure

import mflow
from mflow import plot

H = np.array([1.0, 8.0])
start, t_end = np.array([-3.0, 1.5]), 6.0
limits = ((-3.4, 1.4), (-1.8, 1.8))


def cost(c):
    return 0.5 * c @ (H * c), H * c


newton = mflow.solve_dynamics(
    force=lambda t, x, v: -H * x - v, x0=start, v0=np.zeros(2), t_span=(0, t_end), method="newmark", rtol=1e-6, atol=1e-8
)
flow = mflow.gradient_flow(lambda c: H * c, start, t_end, "rk4", dt=0.01)
figure = Figure(figsize=(9.6, 3.6), layout="constrained")
left, right = figure.subplots(1, 2)
for ax, method, steps, more in (
    (left, "consistent_momentum", (0.5, 0.2, 0.05), {"friction": 1.0}),
    (right, "momentum", (0.1, 0.02, 0.004), {"momentum": 0.8}),
):
    paths = {f"lr = {lr}": plot.trace(cost, start, method, jac=True, lr=lr, maxiter=round(t_end / lr), **more) for lr in steps}
    plot.paths(paths, cost, ax=ax, limits=limits, minimum=[0.0, 0.0])
    limit = newton.x if method == "consistent_momentum" else flow.y
    ax.plot(*limit, color="black", linewidth=2.4, alpha=0.55, label="Newton's law" if ax is left else "gradient flow", zorder=2)
    ax.legend(fontsize="small", loc="lower right", framealpha=0.9)
    ax.set_title(method.replace("_", " "), fontsize="medium")
figure.savefig("11_consistency.png", dpi=90)
