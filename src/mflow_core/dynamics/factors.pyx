"""Sums of the matrices of linear dynamics, M + c C + k K: factored, or solved by conjugate gradients.

Two sums are kept, M alone and the last one else. Each is stored as narrow as the widest of its parts; a tridiagonal one that is positive
definite is solved without exchanges (operators.pyx), others with partial pivoting, sparse ones outside, by a Python object.
"""
from libc.math cimport INFINITY, fabs, sqrt
from libc.stdlib cimport free
from libc.string cimport memset

from mflow_core.arithmetic.memory cimport mf_zeros
from mflow_core.registry cimport kernels
from mflow_core.solvers.conjugate cimport CG_INDEFINITE, conjugate_gradients
from mflow_core.solvers.matrix cimport LINALG
from mflow_core.solvers.operators cimport OP_BANDED, OP_DENSE, OP_DIAGONAL, OP_FUNCTION, OP_NONE, OP_SPARSE, OP_TRIDIAGONAL
from mflow_core.types cimport MF_E_SOLVE

OPERATORS = (<operators_t *> kernels("solvers.operators", "_table", b"mflow_core._operators"))[0]


cdef double ROUNDING = 4.0 * 2.220446049250313e-16


cdef void spread(const operator_t *A, double scale, ptrdiff_t width, ptrdiff_t lower, double *out) noexcept nogil:
    """out += scale A, where out holds rows of `width` with entry (i, j) at place j - i + lower; width 0: n x n."""
    cdef ptrdiff_t n = A.n, i, j, first, last, width_of_A = A.lower + A.upper + 1
    cdef double value
    if A.kind == OP_NONE or scale == 0.0:
        return
    for i in range(n):
        first, last = max(i - A.lower, <ptrdiff_t> 0), min(i + A.upper + 1, n)
        for j in range(first, last):
            if A.kind == OP_DENSE:
                value = A.values[i * n + j]
            elif A.kind == OP_DIAGONAL:
                value = A.values[i]
            elif A.kind == OP_TRIDIAGONAL:
                value = A.values[(j - i + 1) * n + i]
            else:
                value = A.values[i * width_of_A + j - i + A.lower]
            out[i * n + j if width == 0 else i * width + j - i + lower] += scale * value


cdef inline double size_at(const operator_t *A, double scale, ptrdiff_t i) noexcept nogil:
    return fabs(scale * A.values[i]) if A.kind == OP_DIAGONAL and scale != 0.0 else 0.0


cdef int factor_diagonal(structure_t *s, factor_t *f) noexcept nogil:
    """A sum whose parts cancel to rounding is singular."""
    cdef ptrdiff_t i
    spread(&s.M, 1.0, 1, 0, f.lu)
    spread(&s.C, f.c, 1, 0, f.lu)
    spread(&s.K, f.k, 1, 0, f.lu)
    f.unit = True
    for i in range(s.n):
        f.unit = f.unit and f.lu[i] == 1.0
        if fabs(f.lu[i]) <= ROUNDING * (size_at(&s.C, f.c, i) + size_at(&s.K, f.k, i)):
            return <int> i + 1
        f.lu[i] = 1.0 / f.lu[i]
        if not fabs(f.lu[i]) < INFINITY:
            return <int> i + 1
    return 0


cdef int factor_tridiagonal(structure_t *s, factor_t *f) noexcept nogil:
    """In the last three vectors of its room; the first three hold the sum."""
    cdef double *sum = f.lu + 3 * s.n
    cdef const operator_t *A
    cdef double scale
    cdef ptrdiff_t i
    cdef int which
    memset(sum, 0, 3 * s.n * sizeof(double))
    for which in range(3):
        A = &s.M if which == 0 else &s.C if which == 1 else &s.K
        scale = 1.0 if which == 0 else f.c if which == 1 else f.k
        if A.kind == OP_DIAGONAL:
            for i in range(s.n):
                sum[s.n + i] += scale * A.values[i]
        elif A.kind == OP_TRIDIAGONAL:
            for i in range(3 * s.n):
                sum[i] += scale * A.values[i]
    return OPERATORS.tridiagonal_factor(s.n, sum, f.lu)


cdef int factor_band(structure_t *s, factor_t *f, ptrdiff_t lower, ptrdiff_t upper) noexcept nogil:
    cdef ptrdiff_t width = 2 * lower + upper + 1
    f.lower, f.upper = lower, upper
    memset(f.lu, 0, s.n * width * sizeof(double))
    spread(&s.M, 1.0, width, lower, f.lu)
    spread(&s.C, f.c, width, lower, f.lu)
    spread(&s.K, f.k, width, lower, f.lu)
    return LINALG.band_factor(s.n, lower, upper, f.lu, f.pivots)


cdef int factor(structure_t *s, int slot, double c, double k) noexcept nogil:
    """M + c C + k K; MF_E_SOLVE where it is singular, and s.singular says at which row."""
    cdef factor_t *f = &s.factors[slot]
    cdef int status
    f.c, f.k, f.ready, f.unit = c, k, False, False
    f.kind = max(s.M.kind, max(s.C.kind if c != 0.0 else <int> OP_NONE, s.K.kind if k != 0.0 else <int> OP_NONE))
    if f.kind == OP_BANDED and s.kind == OP_DENSE:
        f.kind = OP_DENSE                    # s.lower and s.upper are those of the dense matrix that is no part of this sum
    s.n_factor += 1
    if s.cg and f.kind > OP_DIAGONAL:
        status = scale_diagonal(s, f)
        s.cg_failed = CG_INDEFINITE if status != 0 else 0
    elif f.kind == OP_DIAGONAL:
        memset(f.lu, 0, s.n * sizeof(double))
        status = factor_diagonal(s, f)
    elif f.kind == OP_TRIDIAGONAL:
        status = factor_tridiagonal(s, f)
        if status != 0:                      # not positive definite: with exchanges
            f.kind = OP_BANDED
            status = factor_band(s, f, 1, 1)
    elif f.kind == OP_BANDED:
        status = factor_band(s, f, s.lower, s.upper)
    elif f.kind == OP_DENSE:
        memset(f.lu, 0, s.n * s.n * sizeof(double))
        spread(&s.M, 1.0, 0, 0, f.lu)
        spread(&s.C, c, 0, 0, f.lu)
        spread(&s.K, k, 0, 0, f.lu)
        status = LINALG.lu_factor(s.n, f.lu, f.pivots)
    else:
        status = s.factor_outside(s, slot)
    if status < 0:                           # an exception is set
        return status
    s.singular = status
    f.ready = status == 0
    return MF_E_SOLVE if status != 0 else 0


cdef int scale_diagonal(structure_t *s, factor_t *f) noexcept nogil:
    """The reciprocals of the sum's diagonal, to scale conjugate gradients with. 0, or the row (from 1) where it is not positive."""
    cdef const operator_t *A
    cdef double scale
    cdef ptrdiff_t i, k
    cdef int which
    memset(f.lu, 0, s.n * sizeof(double))
    for which in range(3):
        A = &s.M if which == 0 else &s.C if which == 1 else &s.K
        scale = 1.0 if which == 0 else f.c if which == 1 else f.k
        if A.kind == OP_SPARSE and scale != 0.0:
            for i in range(s.n):
                for k in range(A.indptr[i], A.indptr[i + 1]):
                    if A.indices[k] == i:
                        f.lu[i] += scale * A.values[k]
        elif A.kind == OP_DENSE and scale != 0.0:
            for i in range(s.n):
                f.lu[i] += scale * A.values[i * (s.n + 1)]
        elif A.kind in (OP_DIAGONAL, OP_TRIDIAGONAL, OP_BANDED) and scale != 0.0:
            for i in range(s.n):
                f.lu[i] += scale * A.values[i if A.kind == OP_DIAGONAL else s.n + i if A.kind == OP_TRIDIAGONAL else
                                            i * (A.lower + A.upper + 1) + A.lower]
    f.kind = BY_CG
    for i in range(s.n):
        if not 0.0 < f.lu[i] < INFINITY:
            return <int> i + 1
        f.lu[i] = 1.0 / f.lu[i]
    return 0


cdef int product(structure_t *s, const operator_t *A, double scale, const double *x, double *out) noexcept nogil:
    """out += scale A x; the damping may be a function."""
    cdef ptrdiff_t i
    cdef int status
    if A.kind != OP_FUNCTION:
        OPERATORS.add_product(A, scale, x, out)
        return 0
    status = s.damp(x, s.damped, s.n, s.damp_ctx)
    if status != 0:
        return status
    for i in range(s.n):
        out[i] = out[i] + scale * s.damped[i]
    return 0


cdef int sum_product(const double *x, double *out, void *ctx) noexcept nogil:
    cdef const sum_t *sum = <const sum_t *> ctx
    cdef structure_t *s = sum.s
    cdef int status = 0
    memset(out, 0, s.n * sizeof(double))
    OPERATORS.add_product(&s.M, 1.0, x, out)
    if sum.f.k != 0.0:
        OPERATORS.add_product(&s.K, sum.f.k, x, out)
    if sum.f.c != 0.0:
        status = product(s, &s.C, sum.f.c, x, out)
    return status


cdef int apply_cg(structure_t *s, factor_t *f, double *b) noexcept nogil:
    """By conjugate gradients from the guess in s.cg_room. MF_E_SOLVE where they fail."""
    cdef sum_t sum
    cdef int status
    sum.s, sum.f = s, f
    status = conjugate_gradients(sum_product, &sum, OPERATORS.dot, s.n, f.lu, b, s.cg_room, &s.n_cg, &s.cg_failed)
    return MF_E_SOLVE if status == 0 and s.cg_failed else status


cdef int apply(structure_t *s, int slot, double *b) noexcept nogil:
    cdef factor_t *f = &s.factors[slot]
    if f.kind == BY_CG:
        if slot == 0:
            memset(s.cg_room, 0, s.n * sizeof(double))
        return apply_cg(s, f, b)
    if f.kind == OP_DIAGONAL:
        if not f.unit:
            OPERATORS.scale(s.n, f.lu, b)
    elif f.kind == OP_TRIDIAGONAL:
        OPERATORS.tridiagonal_solve(s.n, f.lu, b)
    elif f.kind == OP_BANDED:
        LINALG.band_solve(s.n, f.lower, f.upper, f.lu, f.pivots, b)
    elif f.kind == OP_DENSE:
        LINALG.lu_solve(s.n, f.lu, f.pivots, b)
    else:
        return s.solve_outside(s, slot, b)
    return 0


cdef int first_bad_pivot(const operator_t *A) except -1:
    """0, or the row (from 1) at which Cholesky's factorisation finds that a symmetric matrix is not positive definite."""
    cdef ptrdiff_t n = A.n, b = A.lower, width = b + 1, i, j, k
    cdef double *L = <double *> mf_zeros(n * width + 1, sizeof(double))
    cdef double sum, least
    cdef int bad = 0
    if L == NULL:
        raise MemoryError("mass: no memory to check it")
    with nogil:
        for i in range(n):
            for j in range(max(i - b, <ptrdiff_t> 0), i + 1):
                if A.kind == OP_DENSE:
                    sum = A.values[i * n + j]
                elif A.kind == OP_BANDED:
                    sum = A.values[i * (A.lower + A.upper + 1) + j - i + A.lower]
                else:
                    sum = A.values[(j - i + 1) * n + i] if A.kind == OP_TRIDIAGONAL else A.values[i]
                least = ROUNDING * fabs(sum)
                for k in range(max(i - b, <ptrdiff_t> 0), j):
                    sum -= L[i * width + k - i + b] * L[j * width + k - j + b]
                if i == j:
                    if not sum > least:
                        bad = <int> i + 1
                        break
                    L[i * width + b] = sqrt(sum)
                else:
                    L[i * width + j - i + b] = sum / L[j * width + b]
            if bad:
                break
    free(L)
    return bad
