"""Peaks of blocks of oscillators under one record: the kernels of the active level."""
from libc.stddef cimport ptrdiff_t

cdef enum:
    LANES = 8                            # oscillators in a block
    COEFFICIENTS = 11                    # of each: e_xx, e_xu, e_ux, e_uu, b_x, c_x, b_u, c_u, k, c, h^2
    PEAKS = 3                            # |x|, |h x'|, |k x + c h x'|


ctypedef struct spectra_t:
    void (*at_ends)(const double *p, ptrdiff_t count, int m, const double *coef, double *peak) noexcept nogil
    void (*between_ends)(const double *p, ptrdiff_t count, int m, const double *coef, double *peak) noexcept nogil
