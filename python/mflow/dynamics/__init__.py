"""M x'' = F(t, x, v): the driver, runs of second order, tables of loads."""
