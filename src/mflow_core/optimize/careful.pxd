# cython: language_level=3
"""Steps that are taken back where they would leave a number that is not finite: 0/0 at eps = 0, or a square beyond the largest number.

A square that overflows makes a vector infinite, and the parameter that is divided by its root never moves again. Such gradients are rare
and easily told (`REDUCE.all_tame`), so that only they, and methods with eps = 0, pay for the copies.
"""
from libc.math cimport fabs
from libc.stddef cimport ptrdiff_t
from libc.string cimport memcpy, strcmp

from mflow_core.optimize.tensors cimport tensor_t
from mflow_core.registry cimport REDUCE
from mflow_core.types cimport mf_method


cdef enum:
    BLOCK = 512                          # numbers that are looked at, and updated, at once

cdef ptrdiff_t update_scanned(const mf_method *m, const double *coef, double gscale, tensor_t *tensor, int *which) noexcept nogil


cdef inline void keep(const tensor_t *tensor, ptrdiff_t lo, ptrdiff_t hi, double *room) noexcept nogil:
    """Copies [lo, hi) of the array and its vectors, one behind the other."""
    cdef int j
    for j in range(tensor.n_vec):
        memcpy(room + j * (hi - lo), tensor.x[j] + lo, (hi - lo) * sizeof(double))


cdef inline void put_back(tensor_t *tensor, ptrdiff_t lo, ptrdiff_t hi, const double *room) noexcept nogil:
    cdef int j
    for j in range(tensor.n_vec):
        memcpy(tensor.x[j] + lo, room + j * (hi - lo), (hi - lo) * sizeof(double))


cdef inline int spoiled(const tensor_t *tensor, ptrdiff_t lo, ptrdiff_t hi, const double *room) noexcept nogil:
    """Which of the array (0) and its vectors has a number in [lo, hi) that was finite in `room` and is not any more; -1: none."""
    cdef int j
    cdef ptrdiff_t i
    for j in range(tensor.n_vec):
        if not REDUCE.all_finite(tensor.x[j] + lo, hi - lo):
            for i in range(hi - lo):
                if tensor.x[j][lo + i] - tensor.x[j][lo + i] != 0.0 and room[j * (hi - lo) + i] - room[j * (hi - lo) + i] == 0.0:
                    return j
    return -1


cdef inline ptrdiff_t first_spoiled(const double *now, const double *before, ptrdiff_t n) noexcept nogil:
    """The first number that was finite and is not any more; 0 where there is none."""
    cdef ptrdiff_t i
    for i in range(n):
        if now[i] - now[i] != 0.0 and before[i] - before[i] == 0.0:
            return i
    return 0


cdef inline ptrdiff_t largest_in(const double *g, ptrdiff_t lo, ptrdiff_t hi) noexcept nogil:
    """The first place in [lo, hi) where the absolute value is largest."""
    cdef ptrdiff_t j, largest = lo
    for j in range(lo, hi):
        if fabs(g[j]) > fabs(g[largest]):
            largest = j
    return largest


cdef inline int update_kept(const mf_method *m, const double *coef, double gscale, tensor_t *tensor, const double *g, ptrdiff_t lo,
                            ptrdiff_t hi, double *room, ptrdiff_t *at) noexcept nogil:
    """The update of [lo, hi), taken back where a number would not be finite: then which vector it is in, and where; -1: it was taken."""
    cdef int which
    keep(tensor, lo, hi, room)
    m.update(m, coef, gscale, lo, hi, tensor.x, g)
    which = spoiled(tensor, lo, hi, room)
    if which >= 0:
        at[0] = lo + first_spoiled(tensor.x[which] + lo, room + which * (hi - lo), hi - lo)
        put_back(tensor, lo, hi, room)
    return which


cdef inline bint has_no_eps(const mf_method *m, const double *par) noexcept nogil:
    """Whether the method has an eps in its denominator, and it is 0."""
    cdef int j
    for j in range(m.n_par):
        if strcmp(m.par[j].name, b"eps") == 0:
            return par[j] == 0.0
    return False
