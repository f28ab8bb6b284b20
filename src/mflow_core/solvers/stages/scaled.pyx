"""The rows of M z - gh f(t, z) = r where GMRES solves (NewtonKrylov): how large they are.

GMRES leaves a part of the residual, and says nothing of the equations whose numbers are small beside others. Without a mass matrix all rows
are of the size of z. With one a row is divided by the largest of its entries in M. What is algebraic, the part of the residual along the left
null vectors u of M (a unit vector for an empty row), is taken out before and put back divided by about |gh u' J s| / |u s|, s the sizes
that the weights belong to. A difference along one vector tells that: its entries are of either sign and of sizes between 1/2 and 3/2, so that they
do not cancel. Of an M that depends on time only the empty rows are known.

A preconditioner does away with this: it stands on the left, and what it makes of the residual is of the size of z.

m.row holds the scales of the rows, then those of the null vectors, then room for as many (`scale_rows`).
"""
from libc.math cimport copysign, fabs, sqrt
from libc.stdint cimport uint32_t
from libc.string cimport memcpy

from mflow_core.problems.inside cimport inward
from mflow_core.solvers.matrix cimport matrix_rhs, weighted_norm
from mflow_core.solvers.stages.mass cimport mass_t

cdef double FAR = 1e-3                   # of the sizes: how far the difference goes
cdef double TINY = 1e-290


cdef inline double entry(ptrdiff_t j) noexcept nogil:
    """Of the vector: between 1/2 and 3/2, of either sign."""
    cdef uint32_t bits = <uint32_t> (j + 1) * <uint32_t> 2654435769
    bits = (bits ^ (bits >> 15)) * <uint32_t> 2246822519
    return (0.5 + (bits & 0xffff) / 65536.0) * (1.0 if bits & 0x10000 else -1.0)


cdef int scales_of_rows(matrix_t *m, double t, double gh, const double *y) noexcept nogil:
    """m.row, at (t, y), with M as it stands and the weights at hand. 0, or a negative code; f is called only where equations are algebraic."""
    cdef const mass_t *mass = m.c.mass
    cdef double *part = m.row + (m.n + 7) // 8 * 8
    cdef double *moved = m.kept
    cdef double largest, size
    cdef ptrdiff_t i, e, k
    cdef bint algebraic = mass.n_left > 0
    cdef int status = 0
    if m.row == NULL:
        return 0
    for i in range(m.n):
        largest = 0.0
        for e in range(mass.indptr[i], mass.indptr[i + 1]):
            largest = max(largest, fabs(mass.values[e]))
        m.row[i] = 1.0 / largest if largest > TINY else 0.0
        algebraic = algebraic or not largest > TINY
    if not algebraic:
        return 0
    for i in range(m.n):
        moved[i] = y[i] + FAR * entry(i) * m.size[i]
    status = matrix_rhs(m, t, y, m.f0)
    if status == 0:
        status = matrix_rhs(m, t, moved, m.f1)
        m.n_rhs_jac += 1
    m.n_rhs_jac += 1
    if status < 0:
        return status
    for i in range(m.n):
        m.f1[i] = (m.f1[i] - m.f0[i]) / FAR if status == 0 else 0.0
        if m.row[i] == 0.0:
            m.row[i] = inverse(gh, m.f1[i], m.size[i])
    for k in range(mass.n_left):
        largest = size = 0.0
        for e in range(mass.left_indptr[k], mass.left_indptr[k + 1]):
            i = mass.left_indices[e]
            largest += mass.left_values[e] * m.f1[i]
            size += (mass.left_values[e] * m.size[i]) * (mass.left_values[e] * m.size[i])
        part[k] = inverse(gh, largest, sqrt(size))
    return 0


cdef inline double inverse(double gh, double change, double size) noexcept nogil:
    """What makes gh * change as large as size; 1 / gh where nothing is known."""
    return size / (fabs(gh) * fabs(change)) if fabs(change) > TINY else 1.0 / fabs(gh)


cdef double left_by_gmres(const matrix_t *m, double least, double norm) noexcept nogil:
    """What GMRES may leave of a residual of this norm: a thousandth, or `least`. Where equations are algebraic and nothing preconditions
    it is a millionth: a row adds up components whose sizes differ, and what is left of it is far more in units of the smallest of them."""
    cdef const mass_t *mass = m.c.mass
    cdef ptrdiff_t i
    cdef bint algebraic = mass != NULL and mass.n_left > 0
    if mass != NULL and not algebraic:
        for i in range(m.n):
            algebraic = algebraic or mass.indptr[i] == mass.indptr[i + 1]
    return 1e-6 * norm if algebraic and m.c.sparse == NULL else max(least, 1e-3 * norm)


cdef double size_of_residual(matrix_t *m, const double *d, double *room) noexcept nogil:
    """Its weighted norm; of what a preconditioner makes of it where there is a mass matrix as well."""
    if m.c.mass == NULL or m.c.sparse == NULL or not m.has_factors:
        return weighted_norm(m, d)
    memcpy(room, d, m.n * sizeof(double))
    return weighted_norm(m, room) if sparse_solve(m, room) == 0 else weighted_norm(m, d)


cdef bint unsolved(matrix_t *m, double t, double gh, const double *r, const double *z, const double *f, double *trial) noexcept nogil:
    """Whether more than the tolerances is left of z - gh f = r, where a component is within a tolerance of a bound that it must not pass,
    or was at rest where J was evaluated and is driven from there; and whether the solution is farther than a tolerance.

    f: at z, or at z before its last update; trial: room. If f has a root of the component there, its derivative is unbounded: an update may
    be small however much is left, and much may be left beside the solution: there what is left changes its sign within a tolerance.
    """
    cdef double total = 0.0, d
    cdef ptrdiff_t k, i
    cdef bint beside = False
    for k in range(m.inside.n_signs if m.inside != NULL and m.c.mass == NULL else 0):
        i = m.inside.signs[k]
        beside = beside or inward(m.inside, k, m.y) <= m.size[i]
    for i in range(m.n if m.has_point and m.c.mass == NULL else 0):
        beside = beside or (r[i] == m.y[i] and fabs(gh * f[i]) * m.weight[i] > 1.0)
    if not beside:
        return False
    for i in range(m.n):
        d = ((r[i] - z[i]) + gh * f[i]) * m.weight[i]
        trial[i] = z[i] + (copysign(m.size[i], d) if fabs(d) > 1.0 else 0.0)
        total += d * d
    if total <= <double> m.n:
        return False
    if matrix_rhs(m, t, trial, m.f1) != 0:
        return True
    for i in range(m.n):
        if trial[i] != z[i] and ((r[i] - trial[i]) + gh * m.f1[i]) * (trial[i] - z[i]) > 0.0:
            return True
    return False
