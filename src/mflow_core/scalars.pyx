"""A door for tests to the scalars that kernels and the step controller inline from scalars.pxd."""


def _power(double x, double p):
    """x^p as the step controller computes it."""
    return mf_power(x, p)
