"""What Python objects do for a matrix: f at many points in one call, the factors of a sparse J, a preconditioner.

Errors stay set, as in problem.pyx; a code tells the caller.
"""
from libc.string cimport memcpy

cimport numpy as cnp

from mflow_core.problems.problem cimport failed
from mflow_core.solvers.band_lu cimport band_solve
from mflow_core.solvers.spectrum.definite cimport CROSSED, POSITIVE_SIGN, REGULAR
from mflow_core.solvers.matrix cimport SPARSE, matrix_t
from mflow_core.solvers.stages.mass cimport mass_varies
from mflow_core.types cimport MF_RETRY_NON_FINITE, MF_RETRY_SOLVE

cnp.import_array()


# ---- f at many points: a Python function ------------------------------------------------------------------------------------------

ctypedef int (*quiet_columns)(matrix_t *, ptrdiff_t, double *) noexcept


cdef int ask_columns(matrix_t *m, ptrdiff_t count, double *out) except -1:
    """The function returns (count, n) numbers for an array (n, count), which it may keep."""
    cdef cnp.npy_intp[2] shape
    shape[0], shape[1] = count, m.n
    points = cnp.PyArray_SimpleNew(2, shape, cnp.NPY_DOUBLE)
    memcpy(cnp.PyArray_DATA(<cnp.ndarray> points), m.wide, count * m.n * sizeof(double))
    slopes = (<object> m.c.columns)(m.t, points.T)
    memcpy(out, cnp.PyArray_DATA(<cnp.ndarray> slopes), count * m.n * sizeof(double))
    return 0


cdef int columns_of(matrix_t *m, ptrdiff_t count, double *out) noexcept with gil:
    cdef int status = (<quiet_columns> ask_columns)(m, count, out)
    return failed() if status == -1 else status


# ---- sparse: a Python object holds J and its factors ------------------------------------------------------------------------------

# The object has these methods, and `size`. jacobian(t, y) calls the user's function and fill(values) stores the entries of the pattern;
# both return False if an entry is not finite. factor(gh) returns False if M is singular. solve(b) returns M^-1 b; product(v) is J v.
# factor_pair(re, im) and solve_pair(x, y) do the same for I - (re + i im) J; solve_pair returns both parts in one array. Where the factors
# are those of a band of the core, `band` and `band_of_pair` are it, and solve it without a call; else they are None. Errors stay set, as in
# problem.pyx. A preconditioner of KRYLOV has jacobian, factor and solve. Where a look is taken at M, is_regular(gh) and
# has_positive_sign() tell what definite.pxd calls so, and size is |gh J| then. outgrown(gh, y) tells what growth.pyx calls so, of the
# factors at hand.
#
# Where M depends on time, take_mass(values) gets its entries before the factors are asked for. Stages with an M of their own each
# (varying.pyx) hand theirs to take_stage(k, values), then factor_stages(h, A_inv) and solve_stages(b) do the same for all of them.
ctypedef int (*quiet_matrix)(matrix_t *) noexcept
ctypedef int (*quiet_factor)(matrix_t *, double) noexcept
ctypedef int (*quiet_solve)(matrix_t *, double *) noexcept
ctypedef int (*quiet_look)(matrix_t *, double, const double *) noexcept
ctypedef int (*quiet_stage)(matrix_t *, int) noexcept


cdef object as_array(const double *x, ptrdiff_t n):
    cdef cnp.npy_intp[1] shape
    shape[0] = n
    array = cnp.PyArray_SimpleNew(1, shape, cnp.NPY_DOUBLE)
    memcpy(cnp.PyArray_DATA(<cnp.ndarray> array), x, n * sizeof(double))
    return array


cdef int ask_jacobian(matrix_t *m) except -1:
    return 0 if (<object> m.c.sparse).jacobian(m.t, as_array(m.y, m.n)) else MF_RETRY_NON_FINITE


cdef int ask_fill(matrix_t *m) except -1:
    return 0 if (<object> m.c.sparse).fill(as_array(m.jacobian, m.c.entries)) else MF_RETRY_NON_FINITE


cdef int ask_factor(matrix_t *m, double gh) except -1:
    cdef object sparse = <object> m.c.sparse
    if mass_varies(m.c.mass):
        sparse.take_mass(as_array(m.c.mass.values, m.c.mass.entries))
    if not sparse.factor(gh):
        m.regular = CROSSED
        return MF_RETRY_SOLVE
    if m.look and m.c.kind == SPARSE:
        m.regular = REGULAR if sparse.is_regular(gh) else POSITIVE_SIGN if sparse.has_positive_sign() else CROSSED
        m.size_gh = sparse.size
    return 0


cdef int ask_outgrown(matrix_t *m, double gh, const double *state) except -1:
    return 1 if (<object> m.c.sparse).outgrown(gh, as_array(state, m.n)) else 0


cdef int ask_solve(matrix_t *m, double *b) except -1:
    cdef object band = (<object> m.c.sparse).band, array
    if band is not None:
        return band_solve(band, b, NULL)
    array = cnp.PyArray_FROMANY((<object> m.c.sparse).solve(as_array(b, m.n)), cnp.NPY_DOUBLE, 1, 1, cnp.NPY_ARRAY_CARRAY_RO)
    memcpy(b, cnp.PyArray_DATA(<cnp.ndarray> array), m.n * sizeof(double))
    return 0


cdef int ask_stage(matrix_t *m, int k) except -1:
    (<object> m.c.sparse).take_stage(k, as_array(m.c.mass.values, m.c.mass.entries))
    return 0


cdef int ask_factor_stages(matrix_t *m, double h, const double *A_inv) except -1:
    return 0 if (<object> m.c.sparse).factor_stages(h, as_array(A_inv, 9).reshape(3, 3)) else MF_RETRY_SOLVE


cdef int ask_solve_stages(matrix_t *m, double *b) except -1:
    cdef object array = cnp.PyArray_FROMANY((<object> m.c.sparse).solve_stages(as_array(b, 3 * m.n)), cnp.NPY_DOUBLE, 1, 1,
                                            cnp.NPY_ARRAY_CARRAY_RO)
    memcpy(b, cnp.PyArray_DATA(<cnp.ndarray> array), 3 * m.n * sizeof(double))
    return 0


cdef int sparse_take_stage(matrix_t *m, int k) noexcept with gil:
    cdef int status = (<quiet_stage> ask_stage)(m, k)
    return failed() if status == -1 else status


cdef int sparse_factor_stages(matrix_t *m, double h, const double *A_inv) noexcept with gil:
    cdef int status = (<quiet_look> ask_factor_stages)(m, h, A_inv)
    return failed() if status == -1 else status


cdef int sparse_solve_stages(matrix_t *m, double *b) noexcept with gil:
    cdef int status = (<quiet_solve> ask_solve_stages)(m, b)
    return failed() if status == -1 else status


cdef int sparse_jacobian(matrix_t *m) noexcept with gil:
    cdef int status = (<quiet_matrix> ask_jacobian)(m)
    return failed() if status == -1 else status


cdef int sparse_fill(matrix_t *m) noexcept with gil:
    cdef int status = (<quiet_matrix> ask_fill)(m)
    return failed() if status == -1 else status


cdef int sparse_factor(matrix_t *m, double gh) noexcept with gil:
    cdef int status = (<quiet_factor> ask_factor)(m, gh)
    return failed() if status == -1 else status


cdef int sparse_outgrown(matrix_t *m, double gh, const double *state) noexcept with gil:
    """Whether what grows has outgrown a step of gh: 1 or 0, or a negative code."""
    cdef int status = (<quiet_look> ask_outgrown)(m, gh, state)
    return failed() if status == -1 else status


cdef int sparse_solve(matrix_t *m, double *b) noexcept with gil:
    cdef int status = (<quiet_solve> ask_solve)(m, b)
    return failed() if status == -1 else status
