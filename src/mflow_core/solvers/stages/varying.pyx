"""Three stages that are solved together, where the mass matrix depends on time:

    M_i sum_j (A^-1)_ij Z_j = h f(t_i, y + Z_i),    M_i = M(t_i), t_i = t + c_i h

With a matrix of its own each, the stages do not split into a real and a complex system (coupled.pyx). To put M(t) in the place of all of
them would not do either: M_i - M is of the size of h, and so is h J, so that for algebraic components the iteration would converge at a
rate that no shorter step makes better. So Newton's iteration is that of all 3 n unknowns, with the matrix of blocks

    (A^-1)_ij M_i - delta_ij h J,

factored at each step; J is kept, as elsewhere. Where J has a band, the stages of a component stand beside each other, and the matrix has a
band three times as wide. A sparse one is made by the object that factors. The error estimate has the real system with M(t), as ever.

NewtonKrylov takes the same residual, by scaled rows, whether M depends on time or not.
"""
from libc.stddef cimport ptrdiff_t
from libc.string cimport memset

from mflow_core.solvers.matrix cimport BANDED, LINALG, SPARSE
from mflow_core.solvers.newton cimport coupled_t, newton_t
from mflow_core.solvers.objects cimport sparse_factor_stages, sparse_solve_stages, sparse_take_stage
from mflow_core.solvers.stages.mass cimport mass_move, mass_t, mass_times, scale_rows
from mflow_core.types cimport MF_RETRY_SOLVE, mf_tableau

cdef enum:
    S = 3


cdef int varying_residual(newton_t *s, const mf_tableau *tab, double t, double h, const double *f, const double *Z, ptrdiff_t ld,
                          double *out) noexcept nogil:
    """out_i = h f_i - M_i sum_j (A^-1)_ij Z_j; vectors of f and out are coupled.ld apart, those of Z ld."""
    cdef const double *a = tab.A_inv
    cdef ptrdiff_t i, n = s.n, to = s.coupled.ld
    cdef int k, status
    for k in range(S):
        for i in range(n):
            s.trial[i] = (a[S * k] * Z[i] + a[S * k + 1] * Z[ld + i]) + a[S * k + 2] * Z[2 * ld + i]
        status = mass_move(s.c.matrix.mass, t + tab.c[k] * h)
        if status != 0:
            return status
        mass_times(s.c.matrix.mass, n, s.trial, s.bar)
        for i in range(n):
            out[k * to + i] = h * f[k * to + i] - s.bar[i]
        scale_rows(s.c.matrix.mass, n, s.m.row, out + k * to)
    return 0


cdef inline ptrdiff_t place(const newton_t *s, int i, ptrdiff_t row, int j, ptrdiff_t column) noexcept nogil:
    """Where the entry of two stages and two components stands in coupled.re."""
    if s.m.c.kind == BANDED:
        row, column = S * row + i, S * column + j
        return row * (2 * stages_below(s) + stages_above(s) + 1) + column - row + stages_below(s)
    return (i * s.n + row) * S * s.n + j * s.n + column


cdef int factor_stages(newton_t *s, const mf_tableau *tab) noexcept nogil:
    """Factors of the step from coupled.t over coupled.h."""
    cdef coupled_t *c = s.coupled
    cdef const mass_t *mass = s.c.matrix.mass
    cdef ptrdiff_t n = s.n, all = S * s.n, row, column, e, first = 0, last = s.n
    cdef bint banded = s.m.c.kind == BANDED
    cdef int i, j, status
    c.has_factors = False
    if banded:
        memset(c.re, 0, all * (2 * stages_below(s) + stages_above(s) + 1) * sizeof(double))
    elif s.m.c.kind != SPARSE:
        memset(c.re, 0, all * all * sizeof(double))
    for i in range(S):
        status = mass_move(mass, c.t + tab.c[i] * c.h)
        if status == 0 and s.m.c.kind == SPARSE:
            status = sparse_take_stage(&s.m, i)
        if status != 0:
            return status
        for row in range(n if s.m.c.kind != SPARSE else 0):
            for j in range(S):
                for e in range(mass.indptr[row], mass.indptr[row + 1]):
                    c.re[place(s, i, row, j, mass.indices[e])] += tab.A_inv[i * S + j] * mass.values[e]
            if banded:
                first, last = max(row - s.m.c.lower, <ptrdiff_t> 0), min(row + s.m.c.upper + 1, n)
            for column in range(first, last):
                c.re[place(s, i, row, i, column)] -= c.h * s.m.jacobian[
                    row * (s.m.c.lower + s.m.c.upper) + column + s.m.c.lower if banded else row * n + column]
    if s.m.c.kind == SPARSE:
        status = sparse_factor_stages(&s.m, c.h, tab.A_inv)
    elif s.m.c.kind == BANDED:
        status = LINALG.band_factor(all, stages_below(s), stages_above(s), c.re, c.pivots)
    else:
        status = LINALG.lu_factor(all, c.re, c.pivots)
    c.has_factors, c.gh = status == 0, s.m.gh
    return MF_RETRY_SOLVE if status > 0 else status


cdef int direction_of_varying(newton_t *s, const mf_tableau *tab, const double *Z, ptrdiff_t ld) noexcept nogil:
    """coupled.d, the update of Z, from the slopes in coupled.f."""
    cdef coupled_t *c = s.coupled
    cdef double *b = c.F
    cdef ptrdiff_t i, n = s.n
    cdef bint beside = s.m.c.kind == BANDED          # the stages of a component
    cdef int k, status = varying_residual(s, tab, c.t, c.h, c.f, Z, ld, c.d)
    if status != 0:
        return status
    for k in range(S):
        for i in range(n):
            b[S * i + k if beside else k * n + i] = c.d[k * c.ld + i]
    if s.m.c.kind == SPARSE:
        status = sparse_solve_stages(&s.m, b)
    elif beside:
        LINALG.band_solve(S * n, stages_below(s), stages_above(s), c.re, c.pivots, b)
    else:
        LINALG.lu_solve(S * n, c.re, c.pivots, b)
    for k in range(S):
        for i in range(n):
            c.d[k * c.ld + i] = b[S * i + k if beside else k * n + i]
    return status
