"""M x'' = F(t, x, v): the driver, runs of second order, tables of loads."""

from mflow.dynamics import stepper as stepper  # registers the kind of `mflow.Stepper` for second-order methods
