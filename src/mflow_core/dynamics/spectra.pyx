"""Peaks of many oscillators under one record, compiled once per instruction set: x'' + 2 zeta w x' + w^2 x = p(t), p linear between samples.

The state (x, u = h x') of each oscillator goes from sample to sample by the exact recursion (N. Nigam and P. Jennings, Bull. Seismol. Soc. Am. 59
(1969) 909-922), in the form that adds a change, so that long periods keep their digits:

    x+ = x + ((e_xx x + e_xu u) + (b_x p + c_x dp)),     u+ = u + ((e_ux x + e_uu u) + (b_u p + c_u dp)),     dp = p+ - p

`LANES` oscillators go through the record together, their states in registers; unused lanes have coefficients 0. An interval between two samples
may be cut into m equal parts, in which p stays linear: the coefficients are then those of a part. Peaks are those of |x|, |u| and |z|,
z = k x + c u, each at the ends of the parts; or with `between` also at the extremum of the cubic that has both ends' values and slopes.
"""
from cpython.pycapsule cimport PyCapsule_New
from libc.math cimport fabs, sqrt
from libc.stddef cimport ptrdiff_t

from mflow_core.dynamics.spectra cimport LANES, spectra_t


cdef double inside(double a, double da, double b, double db) noexcept nogil:
    """The largest |value| between 0 and 1 of the cubic with values a and b and slopes da and db, which change sign."""
    cdef double c2 = 3.0 * (b - a) - (2.0 * da + db), c3 = (da + db) - 2.0 * (b - a), root, s
    root = c2 * c2 - 3.0 * c3 * da
    if root < 0.0:
        return 0.0
    # of c3 s^2 3 + c2 s 2 + da = 0 the root in [0, 1], by the form that does not cancel
    root = sqrt(root)
    s = -(c2 + root) if c2 >= 0.0 else root - c2
    s = s / (3.0 * c3) if c3 != 0.0 and 0.0 <= s / (3.0 * c3) <= 1.0 else (da / s if s != 0.0 else 0.0)
    if not 0.0 <= s <= 1.0:
        return 0.0
    return fabs(a + s * (da + s * (c2 + s * c3)))


cdef inline double larger(double a, double b) noexcept nogil:
    return a if a > b else b


cdef void at_ends(const double *p, ptrdiff_t count, int m, const double *coef, double *peak) noexcept nogil:
    """The peaks of LANES oscillators; coef: COEFFICIENTS rows of LANES."""
    cdef double[LANES] x, u, px, pu, pz
    cdef double now, dp, q, xn, un, z, step = 1.0 / m
    cdef ptrdiff_t j
    cdef int i, e
    for e in range(LANES):
        x[e] = u[e] = px[e] = pu[e] = pz[e] = 0.0
    for j in range(count - 1):
        now, dp = p[j], step * (p[j + 1] - p[j])
        for i in range(m):
            q = now + i * dp
            for e in range(LANES):
                xn = x[e] + ((coef[e] * x[e] + coef[LANES + e] * u[e]) + (coef[4 * LANES + e] * q + coef[5 * LANES + e] * dp))
                un = u[e] + ((coef[2 * LANES + e] * x[e] + coef[3 * LANES + e] * u[e]) + (coef[6 * LANES + e] * q + coef[7 * LANES + e] * dp))
                z = coef[8 * LANES + e] * xn + coef[9 * LANES + e] * un
                x[e], u[e] = xn, un
                px[e], pu[e], pz[e] = larger(fabs(xn), px[e]), larger(fabs(un), pu[e]), larger(fabs(z), pz[e])
    for e in range(LANES):
        peak[e], peak[LANES + e], peak[2 * LANES + e] = px[e], pu[e], pz[e]


cdef void between_ends(const double *p, ptrdiff_t count, int m, const double *coef, double *peak) noexcept nogil:
    """As `at_ends`, and extrema inside the parts."""
    cdef double[LANES] x, u
    cdef double now, dp, q, xn, un, z, zn, k, c, a, an, step = 1.0 / m
    cdef ptrdiff_t j
    cdef int i, e
    for e in range(LANES):
        x[e] = u[e] = peak[e] = peak[LANES + e] = peak[2 * LANES + e] = 0.0
    for j in range(count - 1):
        now, dp = p[j], step * (p[j + 1] - p[j])
        for i in range(m):
            q = now + i * dp
            for e in range(LANES):
                k, c = coef[8 * LANES + e], coef[9 * LANES + e]
                xn = x[e] + ((coef[e] * x[e] + coef[LANES + e] * u[e]) + (coef[4 * LANES + e] * q + coef[5 * LANES + e] * dp))
                un = u[e] + ((coef[2 * LANES + e] * x[e] + coef[3 * LANES + e] * u[e]) + (coef[6 * LANES + e] * q + coef[7 * LANES + e] * dp))
                z, zn = k * x[e] + c * u[e], k * xn + c * un
                a, an = coef[10 * LANES + e] * q - z, coef[10 * LANES + e] * (q + dp) - zn      # h^2 x''
                peak[e] = larger(fabs(xn), peak[e])
                peak[LANES + e] = larger(fabs(un), peak[LANES + e])
                peak[2 * LANES + e] = larger(fabs(zn), peak[2 * LANES + e])
                if u[e] * un < 0.0:
                    peak[e] = larger(inside(x[e], u[e], xn, un), peak[e])
                if a * an < 0.0:
                    peak[LANES + e] = larger(inside(u[e], a, un, an), peak[LANES + e])
                if (k * u[e] + c * a) * (k * un + c * an) < 0.0:
                    peak[2 * LANES + e] = larger(inside(z, k * u[e] + c * a, zn, k * un + c * an), peak[2 * LANES + e])
                x[e], u[e] = xn, un


cdef spectra_t TABLE
TABLE.at_ends, TABLE.between_ends = at_ends, between_ends

_table = PyCapsule_New(&TABLE, b"mflow_core._spectra", NULL)
