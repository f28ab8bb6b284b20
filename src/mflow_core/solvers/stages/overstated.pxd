"""A Jacobian of the user's that is far too large."""
from libc.math cimport fabs
from libc.stddef cimport ptrdiff_t

from mflow_core.solvers.matrix cimport BY_DIFFERENCES, KRYLOV, matrix_t
from mflow_core.solvers.stages.mass cimport mass_size, mass_times

cdef double FEW, RISE


cdef int compared(matrix_t *m, double gh, double tol, const double *b, const double *d, const double *Md) noexcept nogil


cdef inline bint may_be_compared(const matrix_t *m) noexcept nogil:
    """Whether J is a matrix of the user's, or comes from a function."""
    return m.c.source != BY_DIFFERENCES and m.c.kind < KRYLOV


cdef inline bint is_taken_away(const matrix_t *m, double tol, double b, double Md, ptrdiff_t i) noexcept nogil:
    """Whether next to nothing is left of b, which counts, a smaller share than in all comparisons before. What is algebraic tells nothing."""
    cdef double size
    if not fabs(b) > max(FEW, RISE * m.believed) * fabs(Md):
        return False
    size = m.size[i] if m.c.mass == NULL else mass_size(m.c.mass, i, m.size)
    return size > 0.0 and fabs(b) > tol * size


cdef inline int overstated(matrix_t *m, double gh, double tol, const double *b, const double *d, double *room) noexcept nogil:
    """MF_RETRY_SOLVE where J is seen to be far too large along d = (M - gh J)^-1 b; without a J, if it is to be made again. Else 0, or a
    negative code. It costs evaluations only where d leaves a smaller share of b than in all comparisons before."""
    cdef const double *Md = d
    cdef ptrdiff_t i
    if m.c.mass != NULL:
        mass_times(m.c.mass, m.n, d, room)
        Md = room
    for i in range(m.n):
        if is_taken_away(m, tol, b[i], Md[i], i):
            return compared(m, gh, tol, b, d, Md)
    return 0
