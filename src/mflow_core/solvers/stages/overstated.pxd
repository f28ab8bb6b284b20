"""A Jacobian of the user's that is far too large."""
from libc.math cimport fabs
from libc.stddef cimport ptrdiff_t
from libc.stdint cimport int64_t

from mflow_core.solvers.matrix cimport BY_DIFFERENCES, KRYLOV, matrix_t
from mflow_core.solvers.stages.mass cimport mass_size, mass_times

cdef double FEW, RISE, PART_OF
cdef int64_t FREE, SPARE


cdef int compared(matrix_t *m, double gh, double tol, const double *b, const double *d, const double *Md, bint all_of_it) noexcept nogil


cdef inline bint may_be_compared(const matrix_t *m) noexcept nogil:
    """Whether J is a matrix of the user's, or comes from a function, and a look is affordable."""
    return m.c.source != BY_DIFFERENCES and m.c.kind < KRYLOV and (m.looks - FREE) * SPARE < m.n_rhs


cdef inline bint is_due(const matrix_t *m, double tol, double b, double Md, ptrdiff_t i, bint all_of_it) noexcept nogil:
    """Whether next to nothing is left of b, which counts, a smaller share than where f was seen to follow. all_of_it: or f was not seen to
    follow, and J takes part in Md. What is algebraic tells nothing."""
    cdef double size
    if not (fabs(b) > max(FEW, RISE * m.believed[i]) * fabs(Md)
            or (all_of_it and m.believed[i] == 0.0 and fabs(Md - b) > PART_OF * (fabs(b) + fabs(Md)))):
        return False
    size = m.size[i] if m.c.mass == NULL else mass_size(m.c.mass, i, m.size)
    return size > 0.0 and max(fabs(b), fabs(Md)) > tol * size


cdef inline int overstated(matrix_t *m, double gh, double tol, const double *b, const double *d, double *room, bint all_of_it) noexcept nogil:
    """MF_RETRY_SOLVE where J is seen to be far too large along d = (M - gh J)^-1 b; without a J, if it is to be made again. Else 0, or a
    negative code. It costs evaluations only where d leaves a smaller share of a component of b than where f was seen to follow."""
    cdef const double *Md = d
    cdef ptrdiff_t i
    if m.c.mass != NULL:
        mass_times(m.c.mass, m.n, d, room)
        Md = room
    for i in range(m.n):
        if is_due(m, tol, b[i], Md[i], i, all_of_it):
            return compared(m, gh, tol, b, d, Md, all_of_it)
    return 0
