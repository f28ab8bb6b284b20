"""The rows of M z - gh f(t, z) = r where no matrix is made."""
from mflow_core.solvers.matrix cimport matrix_t
from mflow_core.solvers.objects cimport sparse_solve
from mflow_core.solvers.stages.mass cimport mass_times, scale_rows


cdef int scales_of_rows(matrix_t *m, double t, double gh, const double *y) noexcept nogil
cdef double left_by_gmres(const matrix_t *m, double least, double norm) noexcept nogil
cdef double size_of_residual(matrix_t *m, const double *d, double *room) noexcept nogil


cdef inline int apply_with_mass(matrix_t *m, const double *v, double one, double scale, double *moved, double *out) noexcept nogil:
    """out = (one M - scale dJ) v in scaled unknowns, dJ the change of f in m.f1: by scaled rows, or through the preconditioner."""
    cdef ptrdiff_t i, n = m.n
    cdef int status = 0
    for i in range(n):
        moved[i] = v[i] * m.size[i]
    mass_times(m.c.mass, n, moved, m.kept)
    for i in range(n):
        out[i] = one * m.kept[i] - scale * (m.f1[i] - m.f_at[i])
    scale_rows(m.c.mass, n, m.row, out)
    if m.c.sparse != NULL and m.has_factors:
        status = sparse_solve(m, out)
    for i in range(n):
        out[i] = out[i] * m.weight[i]
    return status
cdef bint unsolved(matrix_t *m, double t, double gh, const double *r, const double *z, const double *f, double *trial) noexcept nogil
