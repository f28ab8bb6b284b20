"""What a type checker finds before the run: a misspelt parameter, a choice that is none. Checked with python/mflow, never imported.

An `ignore` that is not needed is an error itself, so every line here says that the checker does find it.
"""

import mflow


def cost(x: object) -> float:
    return 0.0


mflow.minimize(cost, [0.0], method_="adam")  # type: ignore[call-arg]
mflow.minimize(cost, [0.0], method="adam", lr=0.1, betas=0.9)  # type: ignore[arg-type]
mflow.minimize(cost, [0.0], method="adam", lr="auto", betas=[0.9, 0.99], eps=1e-8)
mflow.solve_ivp(cost, (0, 1), [1.0], "bdf", max_ordr=2)  # type: ignore[call-arg]
mflow.solve_ivp(cost, (0, 1), [1.0], "bdf", max_order=2, rtol=1e-6)
mflow.solve_ivp_batch(cost, (0, 1), [[1.0]], rtoll=1e-6)  # type: ignore[call-arg]
mflow.solve_ivp_batch(cost, (0, 1), [[1.0]], rtol=1e-6)
mflow.gradient_flow(cost, [0.0], 1.0, dt=0.1, max_stepps=3)  # type: ignore[call-arg]
mflow.gradient_flow(cost, [0.0], 1.0, dt=0.1, max_steps=3)
mflow.train(cost, [0.0], optimizer="sgd", momentm=0.9)  # type: ignore[call-arg]
mflow.train(cost, [0.0], optimizer="nesterov", momentum=0.9)
mflow.solve_dynamics(1.0, None, 1.0, None, (0, 1), [1.0], method="newmark", dt=0.1, gama=0.5)  # type: ignore[call-arg]
mflow.solve_dynamics(1.0, None, 1.0, None, (0, 1), [1.0], method="newmark", dt=0.1, gamma=0.5)
mflow.Stepper("adam", grad=cost, y0=[0.0], epss=1e-8)  # type: ignore[call-arg]
mflow.Stepper("adam", grad=cost, y0=[0.0], eps=1e-8)
mflow.train(cost, [0.0], optimizer="sgd", lr=0.1, clip_norm=1.0, maximize=True, check_finite=False)
mflow.lr_find(cost, [0.0], optimizer="sgd", clip_norm=1.0, shuffle=False, momentum=0.9)
mflow.lr_find(cost, [0.0], optimizer="sgd", clipnorm=1.0)  # type: ignore[call-arg]
mflow.lr_find(cost, [0.0], optimizer="sgd", lr=0.1)  # type: ignore[call-arg]
mflow.gradient_flow(cost, [0.0], 1.0, dt=0.1, mass=2.0)  # type: ignore[call-arg]
mflow.gradient_flow(cost, [0.0], 1.0, dt=0.1, y0=[0.0])  # type: ignore[call-arg]
mflow.gradient_flow(cost, [0.0], 1.0, dt=0.1, t_span=(0, 1))  # type: ignore[call-arg]
mflow.gradient_flow(cost, [0.0], 1.0, dt=0.1, rtol=1e-6, events=cost, lband=1, uband=1)
