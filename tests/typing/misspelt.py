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

mflow.optim.Adam([0.0], beta=(0.9, 0.99))  # type: ignore[call-arg]
mflow.optim.Adam([0.0], betas=(0.9, 0.99))
mflow.optim.SGD([0.0], momentun=0.9)  # type: ignore[call-arg]
mflow.optim.SGD([0.0], momentum=0.9, clip_norm=1.0, clip_value=2.0, decoupled_weight_decay=True, threads=1)
mflow.SoftmaxSGD(lr_dekay=0.5)  # type: ignore[call-arg]
mflow.SoftmaxSGD(lr_decay=0.5, average=1)
mflow.stability_limit("momentum", momentun=0.9)  # type: ignore[call-arg]
mflow.stability_limit("momentum", momentum=0.9)
mflow.max_stable_dt("euler", jacobian=[[1.0]])  # type: ignore[call-arg]
mflow.max_stable_dt("euler", jac=[[-1.0]])
mflow.get_method("momentum", momentm=0.9)  # type: ignore[call-arg]
mflow.ImplicitSGD("squared", l=1.0)  # type: ignore[call-arg]
mflow.ImplicitSGD("squared", l2=1.0)
mflow.minimize_batch(cost, [[0.0]], meth="adam")  # type: ignore[call-arg]
mflow.minimize_batch(cost, [[0.0]], "adam", lr=0.1)
mflow.sweep("penguins", ["sgd"], [1e-3], epoch=3)  # type: ignore[call-arg]
mflow.sweep("penguins", ["sgd"], [1e-3], epochs=3)
mflow.curve_fit(cost, [0.0], [0.0], x_scal=1.0)  # type: ignore[call-arg]
mflow.curve_fit(cost, [0.0], [0.0], x_scale=1.0)
mflow.convergence_rate("momentum", [1.0], momentm=0.9)  # type: ignore[call-arg]
mflow.schedules.CosineAnnealingLR(0.1, Tmax=3)  # type: ignore[call-arg]
mflow.solve_ivpp  # type: ignore[attr-defined]
mflow.plot.solutions  # type: ignore[attr-defined]
mflow.minimize(cost, [0.0]).xx  # type: ignore[attr-defined]
mflow.solve_ivp(cost, (0, 1), [1.0]).reasons  # type: ignore[attr-defined]
mflow.train(cost, [0.0]).history.los  # type: ignore[attr-defined]
mflow.minimize(cost, [0.0]).curvature.larges  # type: ignore[attr-defined]
mflow.solve_ivp_batch(cost, (0, 1), [[1.0]])[0].reasn  # type: ignore[attr-defined]
mflow.minimize_batch(cost, [[0.0]])[0].xx  # type: ignore[attr-defined]
mflow.solve_dynamics_batch(1.0, None, 1.0, None, (0, 1), [[1.0]], dt=0.1)[0].vv  # type: ignore[attr-defined]
energy = mflow.solve_dynamics(1.0, None, 1.0, None, (0, 1), [1.0], dt=0.1).energy
if energy is not None:
    print(energy.kinetic, energy.damped)  # type: ignore[attr-defined]
