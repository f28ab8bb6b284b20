"""M x'' = F(t, x, v): the driver, runs of second order, tables of loads."""

from mflow.dynamics import stepper as stepper  # it tells `mflow.Stepper` of the kind for second-order methods
