"""A door for tests to the scalars that kernels and the step controller inline from scalars.pxd."""


def _power(double x, double p):
    """x^p as the step controller computes it."""
    return mf_power(x, p)


def _exp(double x):
    return mf_exp(x)


def _expm1(double x):
    return mf_expm1(x)


def _log(double x):
    return mf_log(x)


def _log1p(double x):
    return mf_log1p(x)
