"""Three stages that are solved together, where the mass matrix depends on time:

    M_i sum_j (A^-1)_ij Z_j = h f(t_i, y + Z_i),    M_i = M(t_i), t_i = t + c_i h

With a matrix of its own each, the stages do not split into a real and a complex system (coupled.pyx). To put M(t) in the place of all of
them would not do either: M_i - M is of the size of h, and so is h J, so that for algebraic components the iteration would converge at a
rate that no shorter step makes better. So Newton's iteration is that of all 3 n unknowns, with the matrix of blocks

    (A^-1)_ij M_i - delta_ij h J,

dense, factored at each step; J is kept, as elsewhere. The error estimate has the real system with M(t), as ever.
"""
from libc.stddef cimport ptrdiff_t
from libc.string cimport memcpy, memset

from mflow_core.solvers.matrix cimport LINALG
from mflow_core.solvers.newton cimport coupled_t, newton_t
from mflow_core.solvers.stages.mass cimport mass_move, mass_t, mass_times
from mflow_core.types cimport MF_RETRY_SOLVE, mf_tableau

cdef enum:
    S = 3


cdef int factor_stages(newton_t *s, const mf_tableau *tab) noexcept nogil:
    """Factors of the step from coupled.t over coupled.h."""
    cdef coupled_t *c = s.coupled
    cdef const mass_t *mass = s.c.matrix.mass
    cdef ptrdiff_t n = s.n, all = S * s.n, row, column, e
    cdef double *G
    cdef int i, j, status
    c.has_factors = False
    memset(c.re, 0, all * all * sizeof(double))
    for i in range(S):
        status = mass_move(mass, c.t + tab.c[i] * c.h)
        if status != 0:
            return status
        for row in range(n):
            G = c.re + (i * n + row) * all
            for j in range(S):
                for e in range(mass.indptr[row], mass.indptr[row + 1]):
                    G[j * n + mass.indices[e]] += tab.A_inv[i * S + j] * mass.values[e]
            for column in range(n):
                G[i * n + column] -= c.h * s.m.jacobian[row * n + column]
    status = LINALG.lu_factor(all, c.re, c.pivots)
    c.has_factors, c.gh = status == 0, s.m.gh
    return MF_RETRY_SOLVE if status > 0 else status


cdef int direction_of_varying(newton_t *s, const mf_tableau *tab, const double *Z, ptrdiff_t ld) noexcept nogil:
    """coupled.d, the update of Z, from the slopes in coupled.f."""
    cdef coupled_t *c = s.coupled
    cdef const mass_t *mass = s.c.matrix.mass
    cdef const double *a = tab.A_inv
    cdef double *b = c.F
    cdef ptrdiff_t i, n = s.n
    cdef int k, status
    for k in range(S):
        for i in range(n):
            s.trial[i] = (a[S * k] * Z[i] + a[S * k + 1] * Z[ld + i]) + a[S * k + 2] * Z[2 * ld + i]
        status = mass_move(mass, c.t + tab.c[k] * c.h)
        if status != 0:
            return status
        mass_times(mass, n, s.trial, s.bar)
        for i in range(n):
            b[k * n + i] = c.h * c.f[k * c.ld + i] - s.bar[i]
    LINALG.lu_solve(S * n, c.re, c.pivots, b)
    for k in range(S):
        memcpy(c.d + k * c.ld, b + k * n, n * sizeof(double))
    return 0
