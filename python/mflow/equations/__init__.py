"""Which equation a method follows: its order, the ODE that it tends to, rules of the user's own, where the energy goes."""
