"""Losses of residuals that let outliers count less: SciPy's names and formulas, for the loop of marquardt.pyx, without Python.

    cost = sum f_scale^2 rho(z)/2,  z = (f/f_scale)^2          gradient J' (rho'(z) f)

Every rho here is concave, so that f |-> f^2 rho'(z0)/2 and a constant lies above the loss and touches it at f0: a Gauss-Newton step with
the residuals and their derivatives weighed by sqrt(rho'(z0)) descends wherever the residuals are linear. It is iteratively reweighted
least squares, and leaves rho'' out, whose terms would make the matrix singular where Huber's loss is straight.

A loss is a function of z with its two derivatives, a line of the table at the end; Python's functions of z are in callbacks.pyx. Sums run
from the first residual to the last, and no libm is called but sqrt: the same bits everywhere.

Sources: P. Huber, Ann. Math. Stat. 35 (1964) 73-101; P. Holland and R. Welsch, Comm. Stat. A6 (1977) 813-827, for the weights; the arc
tangent is that of S. Moshier, Methods and Programs for Mathematical Functions (1989).
"""
from libc.math cimport sqrt
from libc.stddef cimport ptrdiff_t

cimport numpy as cnp

from mflow_core.arithmetic.scalars cimport mf_log1p

import numpy as np

cnp.import_array()

cdef double LEAST = 2.220446049250313e-16   # of what a residual counts in the Hessian: SciPy's


# ---- the losses: rho, and from it rho' and rho'' ------------------------------------------------------------------------------------

cdef double soft_l1(double z, double *slope, double *bend) noexcept nogil:
    """2 (sqrt(1 + z) - 1): a smooth absolute value."""
    cdef double root = sqrt(1.0 + z)
    slope[0], bend[0] = 1.0 / root, -0.5 / (root * (1.0 + z))
    return 2.0 * z / (root + 1.0)


cdef double huber(double z, double *slope, double *bend) noexcept nogil:
    """z up to 1, then 2 sqrt(z) - 1."""
    cdef double root
    if z <= 1.0:
        slope[0], bend[0] = 1.0, 0.0
        return z
    root = sqrt(z)
    slope[0], bend[0] = 1.0 / root, -0.5 / (root * z)
    return 2.0 * root - 1.0


cdef double cauchy(double z, double *slope, double *bend) noexcept nogil:
    """log(1 + z)."""
    cdef double share = 1.0 / (1.0 + z)
    slope[0], bend[0] = share, -share * share
    return mf_log1p(z)


cdef double arctan(double z, double *slope, double *bend) noexcept nogil:
    """arctan(z): a residual costs no more than so much."""
    cdef double share = 1.0 / (1.0 + z * z)
    slope[0], bend[0] = share, -2.0 * z * share * share
    return arc_tangent(z)


cdef double arc_tangent(double z) noexcept nogil:
    """arctan(z) for z >= 0, to 2 units in the last place."""
    cdef double base = 0.0, rest = 0.0, s, top, bottom
    if z > 2.414213562373095:            # tan(3 pi/8)
        base, rest, z = 1.5707963267948966, 6.123233995736766e-17, -1.0 / z
    elif z > 0.66:
        base, rest, z = 0.7853981633974483, 3.061616997868383e-17, (z - 1.0) / (z + 1.0)
    s = z * z
    top = (((-8.750608600031904122785e-1 * s - 1.615753718733365076637e1) * s - 7.500855792314704667340e1) * s
           - 1.228866684490136173410e2) * s - 6.485021904942025371773e1
    bottom = ((((s + 2.485846490142306297962e1) * s + 1.650270098316988542046e2) * s + 4.328810604912902668951e2) * s
              + 4.853903996359136964868e2) * s + 1.945506571482613964425e2
    return base + ((z * (s * top / bottom) + z) + rest)


# ---- for the loop -------------------------------------------------------------------------------------------------------------------

cdef int robust_loss(const double *f, double *cost, double *root, ptrdiff_t m, void *ctx) noexcept nogil:
    cdef const robust_t *loss = <const robust_t *> ctx
    cdef double total = 0.0, part, slope, bend
    cdef ptrdiff_t i
    for i in range(m):
        part = f[i] / loss.scale
        total = total + loss.rho(part * part, &slope, &bend)
        if root != NULL:
            root[i] = sqrt(slope)
    cost[0] = 0.5 * (loss.scale * loss.scale) * total
    return 0


cdef double share_of_hessian(const robust_t *loss, double f) noexcept nogil:
    """rho' + 2 z rho'': what a residual counts in the Hessian of the cost."""
    cdef double part = f / loss.scale, z = part * part, slope = 0.0, bend = 0.0
    loss.rho(z, &slope, &bend)
    slope = slope + 2.0 * z * bend
    return LEAST if slope < LEAST else slope


# ---- for Python ---------------------------------------------------------------------------------------------------------------------

cdef object over(const robust_t *loss, f, int which):
    """rho' of each residual, or what it counts in the Hessian."""
    cdef cnp.ndarray at = np.ascontiguousarray(f, dtype=np.float64)
    cdef cnp.ndarray out = np.empty(at.size)
    cdef const double *values = <const double *> cnp.PyArray_DATA(at)
    cdef double *made = <double *> cnp.PyArray_DATA(out)
    cdef double part, bend
    cdef ptrdiff_t i
    for i in range(cnp.PyArray_SIZE(at)):
        if which:
            made[i] = share_of_hessian(loss, values[i])
        else:
            part = values[i] / loss.scale
            loss.rho(part * part, made + i, &bend)
    return out


cdef class CompiledLoss:
    """A loss by its name, with its scale.

    Examples
    --------
    >>> import numpy as np
    >>> from mflow_core.fitting.robust import CompiledLoss
    >>> loss = CompiledLoss("huber", 2.0)
    >>> loss.cost(np.array([1.0, 10.0])), loss.weights(np.array([1.0, 10.0])).tolist()
    (18.5, [1.0, 0.2])
    """

    def __init__(self, name, double f_scale):
        cdef int i
        self.name, self.f_scale = str(name), f_scale         # str: NumPy's strings are subclasses
        self.c.scale = f_scale
        self.c.rho = NULL
        for i in range(COUNT):
            if (<bytes> TABLE[i].name).decode() == name:
                self.c.rho = TABLE[i].rho
        if self.c.rho == NULL:
            raise ValueError(f"loss: expected one of {', '.join(map(repr, LOSSES))}, got {name!r}")

    def cost(self, f):
        """Half the sum of f_scale^2 rho."""
        cdef cnp.ndarray at = np.ascontiguousarray(f, dtype=np.float64)
        cdef double out
        robust_loss(<const double *> cnp.PyArray_DATA(at), &out, NULL, cnp.PyArray_SIZE(at), &self.c)
        return out

    def weights(self, f):
        """rho' at each residual, from 0 on."""
        return over(&self.c, f, 0)

    def curvature(self, f):
        """rho' + 2 z rho'' at each residual, no less than SciPy's 2^-52: what a residual counts in the Hessian of the cost."""
        return over(&self.c, f, 1)

    def __reduce__(self):
        return CompiledLoss, (self.name, self.f_scale)


# ---- the table ----------------------------------------------------------------------------------------------------------------------

cdef enum:
    COUNT = 4

cdef struct line_t:
    const char *name
    rho_fn rho

cdef line_t[COUNT] TABLE
TABLE[0].name, TABLE[0].rho = b"soft_l1", soft_l1
TABLE[1].name, TABLE[1].rho = b"huber", huber
TABLE[2].name, TABLE[2].rho = b"cauchy", cauchy
TABLE[3].name, TABLE[3].rho = b"arctan", arctan

LOSSES = tuple((<bytes> TABLE[i].name).decode() for i in range(COUNT))
