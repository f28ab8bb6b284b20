"""Lengths of differences of M y' = f(t, y), from f."""
from libc.stddef cimport ptrdiff_t

from mflow_core.arithmetic.bits cimport relative_length
from mflow_core.solvers.stages.mass cimport mass_t


cdef inline double length_beside(const mass_t *mass, const double *f, ptrdiff_t n) noexcept nogil:
    """`relative_length` of f; mass: NULL where it stands for I."""
    return relative_length(f, n, NULL if mass == NULL else mass.indptr)
