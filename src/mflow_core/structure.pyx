"""Linear dynamics, M x'' + C v + K x = f(t), compiled: accelerations for second-order rows, and energies for their ledger.

    solve_accel: (M + w bv C + w bx K) a = w (f(t) - C vp - K xp) + M q

Two sums of matrices stay factored, M alone and the last M + c C + k K, so that fixed steps factor once. Matrices are stored as narrow as
they are; a tridiagonal sum that is positive definite is solved without exchanges (operators.pyx), others with partial pivoting, sparse
ones by a Python object. The load is asked for once a time: those at both ends of a step are kept, and the works of the ledger use them.
"""
from cpython.pycapsule cimport PyCapsule_GetPointer
from libc.math cimport INFINITY, NAN, fabs, sqrt
from libc.stdint cimport uintptr_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memset

cimport numpy as cnp

from mflow_core.ledger cimport NUMERICAL_LINEAR
from mflow_core.matrix cimport LINALG
from mflow_core.operators cimport OP_BANDED, OP_DENSE, OP_DIAGONAL, OP_NONE, OP_SPARSE, OP_TRIDIAGONAL, operators_t
from mflow_core.problem cimport failed
from mflow_core.types cimport MF_E_SOLVE, MF_VELOCITY_FREE, mf_accel_fn, mf_energy_fn, mf_solve_accel_fn
from mflow_core.vec cimport MF_SHORT, mf_scalar

import importlib

import numpy as np

from mflow_core import registry
from mflow_core.matrices import checked_matrix, is_symmetric, is_zero, shape_of, values_of
from mflow_core.signatures import LOAD_SIGNATURE, compiled_address

cnp.import_array()

cdef extern from "Python.h":
    void *PyErr_Occurred()

cdef enum:
    STATE = 7 + 3 * FACTORS              # numbers of state that do not scale with n

cdef operators_t OPERATORS = (<operators_t *> PyCapsule_GetPointer(importlib.import_module(f"mflow_core._operators_{registry.LEVEL}")._table,
                                                                   b"mflow_core._operators"))[0]


# ---- factors --------------------------------------------------------------------------------------------------------------------------

cdef void spread(const operator_t *A, double scale, ptrdiff_t width, ptrdiff_t lower, double *out) noexcept nogil:
    """out += scale A, where out holds rows of `width` with entry (i, j) at place j - i + lower; width 0: n x n."""
    cdef ptrdiff_t n = A.n, i, j, first, last, own = A.lower + A.upper + 1
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
                value = A.values[i * own + j - i + A.lower]
            out[i * n + j if width == 0 else i * width + j - i + lower] += scale * value


cdef int factor_diagonal(structure_t *s, factor_t *f) noexcept nogil:
    cdef ptrdiff_t i
    spread(&s.M, 1.0, 1, 0, f.lu)
    spread(&s.C, f.c, 1, 0, f.lu)
    spread(&s.K, f.k, 1, 0, f.lu)
    f.unit = True
    for i in range(s.n):
        f.unit = f.unit and f.lu[i] == 1.0
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
    s.n_factor += 1
    if f.kind == OP_DIAGONAL:
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
        status = sparse_factor(s, slot)
        if status < 0:
            return status
    s.singular = status
    f.ready = status == 0
    return MF_E_SOLVE if status != 0 else 0


cdef int apply(structure_t *s, int slot, double *b) noexcept nogil:
    cdef factor_t *f = &s.factors[slot]
    if f.kind == OP_DIAGONAL:
        if not f.unit:
            OPERATORS.scale(s.n, f.lu, b)
    elif f.kind == OP_TRIDIAGONAL:
        OPERATORS.tridiagonal_solve(s.n, f.lu, b)
    elif f.kind == OP_BANDED:
        if s.kind == OP_TRIDIAGONAL:
            LINALG.band_solve(s.n, 1, 1, f.lu, f.pivots, b)
        else:
            LINALG.band_solve(s.n, s.lower, s.upper, f.lu, f.pivots, b)
    elif f.kind == OP_DENSE:
        LINALG.lu_solve(s.n, f.lu, f.pivots, b)
    else:
        return sparse_solve(s, slot, b)
    return 0


ctypedef int (*quiet_factor)(structure_t *, int) noexcept
ctypedef int (*quiet_solve)(structure_t *, int, double *) noexcept


cdef int ask_factor(structure_t *s, int slot) except -1:
    return (<Structure> s.owner).factor_sparse(slot)


cdef int ask_solve(structure_t *s, int slot, double *b) except -1:
    return (<Structure> s.owner).solve_sparse(slot, b)


cdef int sparse_factor(structure_t *s, int slot) noexcept with gil:
    cdef int status = (<quiet_factor> ask_factor)(s, slot)
    return failed() if status == -1 else status


cdef int sparse_solve(structure_t *s, int slot, double *b) noexcept with gil:
    cdef int status = (<quiet_solve> ask_solve)(s, slot, b)
    return failed() if status == -1 else status


# ---- the load -------------------------------------------------------------------------------------------------------------------------

cdef inline bint same_time(double a, double b) noexcept nogil:
    """To rounding: a kernel ends its step at t + dt, the run's grid has t0 + k dt."""
    return a == b or fabs(a - b) <= 8.9e-16 * fabs(a)


cdef int load_at(structure_t *s, double t, const double **f) noexcept nogil:
    """f(t), asked for where it is not one of the last two; NULL: there is none."""
    cdef load_t *load = &s.load
    cdef int status, other = 1 - load.last
    f[0] = NULL
    if load.fun == NULL:
        if load.constant:
            f[0] = load.f[0]
        return 0
    if same_time(t, load.t[load.last]):
        f[0] = load.f[load.last]
        return 0
    if (t - load.t[0]) * (t - load.t[1]) < 0.0 and not same_time(t, load.t[other]):
        other = 2                            # inside the step: both its ends stay
    if not same_time(t, load.t[other]):
        load.t[other] = NAN
        s.n_load += 1
        status = load.fun(t, load.f[other], s.n, load.ctx)
        if status != 0:
            return status
        load.t[other] = t
    if other != 2:
        load.last = other                    # the next one to be asked for takes the place of the one before
    f[0] = load.f[other]
    return 0


cdef int table_load(double t, double *f, ptrdiff_t n, void *ctx) noexcept nogil:
    """Linear between the points of a table, and its end values beyond them."""
    cdef table_t *table = <table_t *> ctx
    cdef ptrdiff_t lo = 0, hi = table.count - 1, middle, i, k = table.at
    cdef double part = 0.0, value
    cdef const double *a
    cdef const double *b
    if not (table.times[k] <= t and t < table.times[k + 1]):
        if k + 2 < table.count and table.times[k + 1] <= t and t < table.times[k + 2]:
            k += 1
        else:
            while hi - lo > 1:
                middle = (lo + hi) // 2
                if table.times[middle] <= t:
                    lo = middle
                else:
                    hi = middle
            k = lo
    table.at = k
    if t >= table.times[k + 1]:
        part = 1.0
    elif t > table.times[k]:
        part = (t - table.times[k]) / (table.times[k + 1] - table.times[k])
    if table.pattern != NULL:
        value = table.values[k] + part * (table.values[k + 1] - table.values[k])
        for i in range(n):
            f[i] = value * table.pattern[i]
        return 0
    a, b = table.values + k * n, table.values + (k + 1) * n
    for i in range(n):
        f[i] = a[i] + part * (b[i] - a[i])
    return 0


ctypedef int (*quiet_load)(Structure, double, double *) noexcept


cdef int ask_load(Structure structure, double t, double *f) except -1:
    cdef cnp.ndarray array
    result = structure.load_callback(t)
    if result is None:
        raise TypeError("load returned None: return the force at time t")
    array = np.ascontiguousarray(result, dtype=np.float64)
    if cnp.PyArray_SIZE(array) != structure.s.n and not cnp.PyArray_SIZE(array) == 1:
        raise ValueError(f"load returned shape {np.shape(result)}, but there are {structure.s.n} degrees of freedom: return one force for each")
    if cnp.PyArray_SIZE(array) == 1 and structure.s.n != 1:
        array = np.full(structure.s.n, array.item())
    memcpy(f, cnp.PyArray_DATA(array), structure.s.n * sizeof(double))
    return 0


cdef int python_load(double t, double *f, ptrdiff_t n, void *ctx) noexcept with gil:
    cdef int status = (<quiet_load> ask_load)(<Structure> ctx, t, f)
    return failed() if status == -1 else status


# ---- the problem's callbacks ------------------------------------------------------------------------------------------------------------

cdef inline void solve_short(structure_t *s, double w, const double *f, const double *x, const double *v, const double *q, const double *r,
                             double *a) noexcept nogil:
    """diagonal_solve for a few degrees of freedom, where the call alone would cost more; the same order of association."""
    cdef double sum
    cdef ptrdiff_t i
    for i in range(s.n):
        sum = f[i] if f != NULL else 0.0
        if s.K.values != NULL:
            sum = sum - s.K.values[i] * x[i]
        if s.C.values != NULL:
            sum = sum - s.C.values[i] * v[i]
        sum = w * sum
        if q != NULL:
            sum = sum + s.M.values[i] * q[i]
        a[i] = mf_scalar(sum * r[i])


cdef inline double one_acceleration(const structure_t *s, double x, double v, double r) noexcept nogil:
    """`solve_short` of one degree of freedom without a load."""
    cdef double sum = 0.0
    if s.K.values != NULL:
        sum = sum - s.K.values[0] * x
    if s.C.values != NULL:
        sum = sum - s.C.values[0] * v
    return sum * r


cdef int structure_solve(double t, double w, const double *xp, const double *vp, double bx, double bv, const double *q, double *a, ptrdiff_t n,
                         void *ctx) noexcept nogil:
    cdef structure_t *s = <structure_t *> ctx
    cdef const double *f
    cdef double c = w * bv if s.C.kind != OP_NONE else 0.0, k = w * bx if s.K.kind != OP_NONE else 0.0
    cdef int slot = 0 if c == 0.0 and k == 0.0 else 1, status
    cdef factor_t *sum = &s.factors[slot]
    cdef bint scaled = False
    cdef ptrdiff_t i
    f, status = NULL, 0
    if (n == 1 and s.kind == OP_DIAGONAL and w == 1.0 and q == NULL and s.load.fun == NULL and not s.load.constant and sum.ready
            and sum.c == c and sum.k == k):
        a[0] = one_acceleration(s, xp[0], vp[0], sum.lu[0])
        return 0
    if s.load.fun != NULL or s.load.constant:
        status = load_at(s, t, &f)
    if status == 0 and not (sum.ready and sum.c == c and sum.k == k):
        status = factor(s, slot, c, k)
    if status != 0 or n == 0:
        return status
    if s.kind == OP_DIAGONAL and n <= MF_SHORT:
        solve_short(s, w, f, xp, vp, q, sum.lu, a)
        return 0
    if s.kind == OP_DIAGONAL:
        OPERATORS.diagonal_solve(n, w, f, s.K.values, xp, s.C.values, vp, s.M.values, q, sum.lu, a)
        return 0
    if s.K.kind == OP_TRIDIAGONAL and (s.C.kind == OP_NONE or s.C.kind == OP_TRIDIAGONAL):
        scaled = sum.kind == OP_DIAGONAL and q == NULL
        OPERATORS.tridiagonal_force(n, w, f, &s.K, xp, &s.C, vp, sum.lu if scaled else NULL, a)
    else:
        if f == NULL:
            memset(a, 0, n * sizeof(double))
        else:
            memcpy(a, f, n * sizeof(double))
        OPERATORS.add_product(&s.K, -1.0, xp, a)
        OPERATORS.add_product(&s.C, -1.0, vp, a)
        if w != 1.0:
            for i in range(n):
                a[i] = w * a[i]
    if q != NULL:
        OPERATORS.add_product(&s.M, 1.0, q, a)
    return 0 if scaled else apply(s, slot, a)


cdef int structure_accel(double t, const double *x, const double *v, double *a, ptrdiff_t n, void *ctx) noexcept nogil:
    return structure_solve(t, 1.0, x, v, 0.0, 0.0, NULL, a, n, ctx)


cdef int body_solve(structure_t *s, double *b) noexcept nogil:
    """b becomes M^-1 b."""
    cdef int status = 0
    if not s.factors[0].ready:
        status = factor(s, 0, 0.0, 0.0)
    return apply(s, 0, b) if status == 0 else status


cdef void body_product(structure_t *s, const double *x, double *out) noexcept nogil:
    """out = M x."""
    memset(out, 0, s.n * sizeof(double))
    OPERATORS.add_product(&s.M, 1.0, x, out)


cdef double body_work(structure_t *s, const double *x, const double *f) noexcept nogil:
    return OPERATORS.dot(x, f, s.n)


cdef double quadratic(structure_t *s, const operator_t *A, const double *x) noexcept nogil:
    """x'Ax/2."""
    if A.kind == OP_NONE:
        return 0.0
    memset(s.room, 0, s.n * sizeof(double))
    OPERATORS.add_product(A, 1.0, x, s.room)
    return 0.5 * OPERATORS.dot(x, s.room, s.n)


cdef int structure_energy(double t0, const double *const *y0, double t1, const double *const *y1, double *e, ptrdiff_t n,
                          void *ctx) noexcept nogil:
    cdef structure_t *s = <structure_t *> ctx
    cdef double *mean = s.room
    cdef double *force = s.room + n
    cdef const double *f0
    cdef const double *f1
    cdef double a = 0.5 - s.lean, b = 0.5 + s.lean
    cdef ptrdiff_t i
    cdef int status
    if y0 == NULL:
        e[0], e[1] = quadratic(s, &s.M, y1[1]), quadratic(s, &s.K, y1[0])
        return 0
    status = load_at(s, t0, &f0)
    if status == 0:
        status = load_at(s, t1, &f1)
    if status == 0 and f1 != NULL:
        e[2] += OPERATORS.work(n, y0[0], y1[0], a, f0, b, f1)
    if status == 0 and s.C.kind == OP_TRIDIAGONAL and n > 1:
        e[3] += OPERATORS.damping_work(&s.C, y0[0], y1[0], a, y0[1], b, y1[1])
    elif status == 0 and s.C.kind != OP_NONE:
        memset(force, 0, n * sizeof(double))
        for i in range(n):
            mean[i] = a * y0[1][i] + b * y1[1][i]
        OPERATORS.add_product(&s.C, 1.0, mean, force)
        e[3] += OPERATORS.work(n, y0[0], y1[0], 1.0, force, 0.0, force)
    return status


# ---- the problem -----------------------------------------------------------------------------------------------------------------------

cdef int raise_or(int status) except? -1:
    """The status, unless a callback's exception is waiting."""
    if status < 0 and PyErr_Occurred() != NULL:
        return -1
    return status



cdef int first_bad_pivot(const operator_t *A) except -1:
    """0, or the row (from 1) at which Cholesky's factorisation finds that a symmetric matrix is not positive definite."""
    cdef ptrdiff_t n = A.n, b = A.lower, width = b + 1, i, j, k
    cdef double *L = <double *> calloc(n * width + 1, sizeof(double))
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
                least = 4.0 * 2.220446049250313e-16 * fabs(sum)
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


cdef class Structure(Problem):
    """M x'' + C v + K x = load(t). mass None: 1 for each of the n degrees of freedom.

    load: None, n numbers, a function of t, or a compiled one (LOAD_SIGNATURE); tables come by `set_table`.
    """

    def __init__(self, Py_ssize_t n, mass=None, damping=None, stiffness=None, load=None):
        given = {"mass": np.ones(n) if mass is None else mass, "damping": damping, "stiffness": stiffness}
        matrices = {name: None if value is None else checked_matrix(value, name, n) for name, value in given.items()}
        for name in ("damping", "stiffness"):
            if is_zero(matrices[name]):
                matrices[name] = None
        if not is_symmetric(matrices["mass"]):
            raise ValueError("mass: a symmetric matrix is wanted; M and its transpose differ")
        self.symmetric = is_symmetric(matrices["stiffness"])
        self.arrays = []
        self.s.n = n
        self.c.n = n
        self.compiled = True
        self.sparse_factors = [None, None]
        self.take_matrices(matrices)
        self.check_mass()
        self.make_room()
        self.take_load(load)
        self.c.accel = <mf_accel_fn> structure_accel
        self.c.solve_accel = <mf_solve_accel_fn> structure_solve
        self.c.ctx = &self.s
        self.s.owner = <void *> self
        if self.s.C.kind == OP_NONE:
            self.c.flags = self.c.flags | MF_VELOCITY_FREE
        if self.symmetric:
            self.c.energy = <mf_energy_fn> structure_energy
            self.energy_formula = NUMERICAL_LINEAR
            self.energy_each_step = self.s.load.fun != NULL or self.s.load.constant or self.s.C.kind != OP_NONE

    def take_matrices(self, dict matrices):
        """Stores all three; damping and stiffness as wide as each other where that is tridiagonal, for the sake of one pass over both."""
        cdef operator_t *A
        shapes = {name: shape_of(array, self.s.n) if array is not None else (OP_NONE, 0, 0) for name, array in matrices.items()}
        if any(shape[0] == OP_SPARSE for shape in shapes.values()):
            self.keep_sparse(matrices)
            shapes = {name: (OP_SPARSE, self.s.n - 1, self.s.n - 1) if shape[0] > OP_DIAGONAL else shape for name, shape in shapes.items()}
        pair = {shapes["damping"][0], shapes["stiffness"][0]}
        if pair == {OP_DIAGONAL, OP_TRIDIAGONAL}:
            shapes["damping"] = shapes["stiffness"] = (OP_TRIDIAGONAL, 1, 1)
        self.s.kind = max(shape[0] for shape in shapes.values())
        self.s.lower, self.s.upper = (max(shape[k] for shape in shapes.values()) for k in (1, 2))
        for name, array in matrices.items():
            A = &self.s.M if name == "mass" else &self.s.C if name == "damping" else &self.s.K
            A.n = self.s.n
            A.kind, A.lower, A.upper = shapes[name]
            if A.kind == OP_SPARSE:
                self.take_rows(A, array)
            elif A.kind != OP_NONE:
                values = values_of(array, A.kind, A.lower, A.upper, self.s.n)
                self.arrays.append(values)
                A.values = <const double *> cnp.PyArray_DATA(<cnp.ndarray> values)

    cdef void take_rows(self, operator_t *A, array):
        """A sparse matrix by rows."""
        import scipy.sparse

        rows = scipy.sparse.csr_array(array)
        parts = (np.ascontiguousarray(rows.data), rows.indptr.astype(np.int32), rows.indices.astype(np.int32))
        self.arrays.extend(parts)
        A.values = <const double *> cnp.PyArray_DATA(<cnp.ndarray> parts[0])
        A.indptr, A.indices = <const int32_t *> cnp.PyArray_DATA(<cnp.ndarray> parts[1]), <const int32_t *> cnp.PyArray_DATA(<cnp.ndarray> parts[2])

    def keep_sparse(self, dict matrices):
        """The matrices for SciPy, which factors their sum."""
        import scipy.sparse
        import scipy.sparse.linalg

        self.sparse = [None if a is None else scipy.sparse.csc_array(scipy.sparse.diags_array(a) if a.ndim == 1 else a) for a in matrices.values()]
        self.factorize = scipy.sparse.linalg.splu
        self.compiled = False

    cdef int factor_sparse(self, int slot) except -1:
        cdef factor_t *f = &self.s.factors[slot]
        mass, damping, stiffness = self.sparse
        total = mass
        if damping is not None and f.c != 0.0:
            total = total + f.c * damping
        if stiffness is not None and f.k != 0.0:
            total = total + f.k * stiffness
        try:
            self.sparse_factors[slot] = self.factorize(total.tocsc())
        except RuntimeError:                 # exactly singular; SciPy does not say where
            return 1
        return 0

    cdef int solve_sparse(self, int slot, double *b) except -1:
        cdef cnp.ndarray right = np.empty(self.s.n), x
        memcpy(cnp.PyArray_DATA(right), b, self.s.n * sizeof(double))
        x = self.sparse_factors[slot].solve(right)
        memcpy(b, cnp.PyArray_DATA(x), self.s.n * sizeof(double))
        return 0

    def check_mass(self):
        """ValueError where the mass is not positive definite: a body without mass has no acceleration of its own."""
        cdef int bad
        if self.s.M.kind == OP_SPARSE:
            diagonal = self.sparse[0].diagonal()
            bad = 0 if np.all(diagonal > 0) else int(np.argmin(diagonal)) + 1
        else:
            bad = first_bad_pivot(&self.s.M)
        if bad:
            raise ValueError(f"mass: it is not positive definite (row {bad - 1}): every degree of freedom needs a mass; take those without one "
                             "out by static condensation, or fix them")

    def make_room(self):
        cdef ptrdiff_t n = self.s.n, padded = (n + 7) // 8 * 8
        cdef ptrdiff_t[2] room
        cdef double *at
        cdef int slot
        for slot in range(FACTORS):
            room[slot] = self.room_of(self.s.M.kind if slot == 0 else self.s.kind)
        self.block = calloc((6 * padded + room[0] + room[1] + 2 * (padded // 2 + 8)) * sizeof(double) + 64, 1)
        if self.block == NULL:
            raise MemoryError(f"no memory for the factors of {n} x {n} matrices; SciPy sparse matrices may need less")
        at = <double *> ((<uintptr_t> self.block + 63) // 64 * 64)
        self.s.load.f[0], self.s.load.f[1], self.s.load.f[2], self.s.room = at, at + padded, at + 2 * padded, at + 3 * padded
        at += 6 * padded
        for slot in range(FACTORS):
            self.s.factors[slot].lu = at
            at += room[slot]
        for slot in range(FACTORS):
            self.s.factors[slot].pivots = <int32_t *> at
            at += padded // 2 + 8

    cdef ptrdiff_t room_of(self, int kind):
        """Doubles for the factors of a matrix of this kind, in whole lines."""
        cdef ptrdiff_t n = self.s.n, count = n
        if kind == OP_TRIDIAGONAL:
            count = 6 * n
        elif kind == OP_BANDED:
            count = n * max(2 * self.s.lower + self.s.upper + 1, <ptrdiff_t> 6)
        elif kind == OP_DENSE:
            count = n * n
        return (count + 7) // 8 * 8

    def take_load(self, load):
        self.s.load.t[0] = self.s.load.t[1] = self.s.load.t[2] = NAN
        if load is None:
            return
        found = compiled_address(load, "load", LOAD_SIGNATURE)
        if found is not None:
            self.owner = load
            self.s.load.fun, self.s.load.ctx = <load_fn> <size_t> found[0], <void *> <size_t> found[1]
        elif callable(load):
            self.load_callback = load
            self.s.load.fun, self.s.load.ctx = <load_fn> python_load, <void *> self
            self.compiled = False
        else:
            force = checked_matrix(load, "load", self.s.n)
            if force.ndim != 1:
                raise ValueError(f"load: shape {force.shape} came; {self.s.n} numbers, a function of t, or a table are wanted")
            memcpy(self.s.load.f[0], cnp.PyArray_DATA(<cnp.ndarray> force), self.s.n * sizeof(double))
            self.s.load.constant = True

    def set_table(self, times, values, pattern=None):
        """The load is linear between these times, and constant beyond them. values: a row of n a time, or one number a time that goes
        with `pattern`, n numbers."""
        times, values = np.ascontiguousarray(times, dtype=np.float64), np.ascontiguousarray(values, dtype=np.float64)
        if times.ndim != 1 or times.size < 2 or not np.all(np.diff(times) > 0) or not np.all(np.isfinite(times)):
            raise ValueError("load: the times of a table must be two or more finite numbers that increase")
        wanted = (times.size,) if pattern is not None else (times.size, self.s.n)
        if values.shape != wanted or not np.all(np.isfinite(values)):
            raise ValueError(f"load: a table of {times.size} times and {self.s.n} degrees of freedom wants finite values of shape {wanted}, not "
                             f"{values.shape}")
        self.arrays.extend([times, values])
        if pattern is not None:
            pattern = checked_matrix(pattern, "load", self.s.n)
            self.arrays.append(pattern)
            self.table.pattern = <const double *> cnp.PyArray_DATA(<cnp.ndarray> pattern)
        self.table.times, self.table.values = <const double *> cnp.PyArray_DATA(<cnp.ndarray> times), <const double *> cnp.PyArray_DATA(<cnp.ndarray> values)
        self.table.count, self.table.at = times.size, 0
        self.s.load.fun, self.s.load.ctx, self.s.load.constant = table_load, &self.table, False
        self.energy_each_step = self.symmetric

    def __dealloc__(self):
        free(self.block)

    cdef int set_lean(self, double lean) except -1:
        self.s.lean = lean
        return 0

    cdef ptrdiff_t state_size(self):
        return STATE + (3 * self.s.n if self.s.load.fun != NULL else 0)

    cdef int state_pack(self, double *state) except -1:
        """Counters; of which sums the factors are; the loads at hand, since one asked for again at a time that differs by rounding may differ."""
        cdef double[STATE] head
        cdef int j
        head[0], head[1], head[2], head[3] = <double> self.s.n_factor, <double> self.s.n_load, <double> self.s.load.last, <double> self.s.singular
        for j in range(FACTORS):
            head[4 + 3 * j], head[5 + 3 * j], head[6 + 3 * j] = self.s.factors[j].c, self.s.factors[j].k, self.s.factors[j].ready
        for j in range(3):
            head[4 + 3 * FACTORS + j] = self.s.load.t[j]
        memcpy(state, head, sizeof(head))
        for j in range(3 if self.s.load.fun != NULL else 0):
            memcpy(state + STATE + j * self.s.n, self.s.load.f[j], self.s.n * sizeof(double))
        return 0

    cdef int state_unpack(self, const double *state) except -1:
        cdef int j
        for j in range(4):
            if not (0.0 <= state[j] < 9007199254740992.0 and (j != 2 or state[j] < 2.0)):
                raise ValueError("the saved state of the structure is damaged")
        for j in range(FACTORS):
            self.s.factors[j].ready = False
            if state[6 + 3 * j] == 1.0:      # the same bits from the same sum
                raise_or(factor(&self.s, j, state[4 + 3 * j], state[5 + 3 * j]))
        for j in range(3):
            self.s.load.t[j] = state[4 + 3 * FACTORS + j]
        for j in range(3 if self.s.load.fun != NULL else 0):
            memcpy(self.s.load.f[j], state + STATE + j * self.s.n, self.s.n * sizeof(double))
        self.s.n_factor, self.s.n_load = <int64_t> state[0], <int64_t> state[1]
        self.s.load.last, self.s.singular = <int> state[2], <int> state[3]
        return 0

    @property
    def kind(self):
        """How the widest sum of the matrices is stored and solved with."""
        return ("none", "diagonal", "tridiagonal", "banded", "dense", "sparse")[self.s.kind]

    @property
    def counters(self):
        """nlu: factorisations; nload: times at which the load was asked for; singular: the row (from 0) where a matrix was singular, or None."""
        return {"nlu": self.s.n_factor, "nload": self.s.n_load, "singular": self.s.singular - 1 if self.s.singular else None}
