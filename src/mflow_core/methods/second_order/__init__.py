"""The methods for M x'' = F(t, x, v): one acceleration a step, splittings of higher order, Runge-Kutta-Nystroem pairs."""
