"""Linear dynamics, M x'' + C v + K x = f(t), compiled: accelerations for second-order methods, and energies for their ledger.

    solve_accel: (M + w bv C + w bx K) a = w (f(t) - C vp - K xp) + M q

Sums of matrices stay factored while they are the same (factors.pyx), so that fixed steps factor once; the load is asked for once a time
(loads.pyx). Damping may be a function, where conjugate gradients solve.
"""
from libc.math cimport NAN
from libc.stdint cimport int32_t, int64_t, uintptr_t
from libc.stdlib cimport free
from libc.string cimport memcmp, memcpy, memset

cimport numpy as cnp

from mflow_core.arithmetic.memory cimport mf_zeros, stride_of
from mflow_core.arithmetic.vec cimport MF_SHORT, mf_scalar
from mflow_core.dynamics.factors cimport BY_CG, FACTORS, OPERATORS, apply, factor, factor_t, first_bad_pivot, product, product_fn, structure_t
from mflow_core.dynamics.loads cimport LOADS, load_at, load_fn, table_load
from mflow_core.methods.second_order.hooks cimport MF_LISTENS
from mflow_core.problems.problem cimport failed, raise_or
from mflow_core.solvers.operators cimport OP_BANDED, OP_DENSE, OP_DIAGONAL, OP_FUNCTION, OP_NONE, OP_SPARSE, OP_TRIDIAGONAL
from mflow_core.types cimport MF_VELOCITY_FREE, mf_accel_fn, mf_energy_fn, mf_solve_accel_fn

import numpy as np

from mflow_core.dynamics.matrices import checked_matrix, first_bad_sparse, is_function, is_symmetric, is_zero, shape_of, values_of
from mflow_core.problems.signatures import LOAD_SIGNATURE, PRODUCT_SIGNATURE, compiled_address
from mflow_core.problems.sparse import plain_array

cnp.import_array()

cdef enum:
    STATE = 4 + LOADS + 3 * FACTORS      # numbers of state that do not scale with n


# ---- sparse factors, SciPy's --------------------------------------------------------------------------------------------------------------

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


# ---- callbacks of Python ----------------------------------------------------------------------------------------------------------------

ctypedef int (*quiet_damping)(Structure, const double *, double *) noexcept
ctypedef int (*quiet_load)(Structure, double, double *) noexcept


cdef cnp.ndarray real_numbers(object result, str name):
    """What a function of the user's returned, as float64."""
    array = plain_array(result, name)
    if array.dtype.kind not in "biuf":
        given = "complex ones" if array.dtype.kind == "c" else f"dtype {array.dtype}"
        raise TypeError(f"{name}: expected a function that returns real numbers, got {given}")
    return np.ascontiguousarray(array, dtype=np.float64)


cdef int ask_load(Structure structure, double t, double *f) except -1:
    cdef cnp.ndarray array
    result = structure.load_callback(t)
    if result is None:
        raise TypeError("load: expected a function that returns the force at time t, got None")
    array = real_numbers(result, "load")
    if cnp.PyArray_SIZE(array) != structure.s.n:
        raise ValueError(f"load: expected a function that returns {structure.s.n} numbers, one for each degree of freedom, got shape "
                         f"{np.shape(result)}")
    memcpy(f, cnp.PyArray_DATA(array), structure.s.n * sizeof(double))
    return 0


cdef int ask_damping(Structure structure, const double *v, double *out) except -1:
    cdef cnp.ndarray array
    speed = np.empty(structure.s.n)
    memcpy(cnp.PyArray_DATA(<cnp.ndarray> speed), v, structure.s.n * sizeof(double))
    result = structure.damp_callback(speed)
    if result is None:
        raise TypeError("damping: expected a function that returns C v, got None")
    array = real_numbers(result, "damping")
    if cnp.PyArray_SIZE(array) != structure.s.n:
        raise ValueError(f"damping: expected a function that returns C v, {structure.s.n} numbers, got shape {np.shape(result)}")
    memcpy(out, cnp.PyArray_DATA(array), structure.s.n * sizeof(double))
    return 0


cdef int python_damping(const double *v, double *out, ptrdiff_t n, void *ctx) noexcept with gil:
    cdef int status = (<quiet_damping> ask_damping)(<Structure> ctx, v, out)
    return failed() if status == -1 else status


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
        if s.C.values != NULL:
            sum = sum - s.C.values[i] * v[i]
        if s.K.values != NULL:
            sum = sum - s.K.values[i] * x[i]
        sum = w * sum
        if q != NULL:
            sum = sum + s.M.values[i] * q[i]
        a[i] = mf_scalar(sum * r[i])


cdef inline double one_acceleration(const structure_t *s, double x, double v, double r) noexcept nogil:
    """`solve_short` of one degree of freedom without a load. x stands last: it is the last to be known."""
    cdef double sum = 0.0
    if s.C.values != NULL:
        sum = sum - s.C.values[0] * v
    if s.K.values != NULL:
        sum = sum - s.K.values[0] * x
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
    s.hooks.told = NAN
    if (n == 1 and s.kind == OP_DIAGONAL and w == 1.0 and q == NULL and s.load.fun == NULL and not s.load.constant and sum.ready
            and sum.c == c and sum.k == k):
        a[0] = one_acceleration(s, xp[0], vp[0], sum.lu[0])
        return 0
    if s.load.fun != NULL or s.load.constant:
        status = load_at(&s.load, t, &f)
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
    if sum.kind == BY_CG:
        memcpy(s.cg_room, a, n * sizeof(double))     # the guess
    if s.K.kind == OP_TRIDIAGONAL and (s.C.kind == OP_NONE or s.C.kind == OP_TRIDIAGONAL):
        scaled = sum.kind == OP_DIAGONAL and q == NULL
        OPERATORS.tridiagonal_force(n, w, f, &s.K, xp, &s.C, vp, sum.lu if scaled else NULL, a)
    else:
        if f == NULL:
            memset(a, 0, n * sizeof(double))
        else:
            memcpy(a, f, n * sizeof(double))
        OPERATORS.add_product(&s.K, -1.0, xp, a)
        status = product(s, &s.C, -1.0, vp, a)
        if status != 0:
            return status
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


cdef int body_forces(structure_t *s, double t, const double *x, const double *v, double *f) noexcept nogil:
    """f += load(t) - C v - K x."""
    cdef const double *load
    cdef ptrdiff_t i
    cdef int status = load_at(&s.load, t, &load)
    if status != 0:
        return status
    if load != NULL:
        for i in range(s.n):
            f[i] = f[i] + load[i]
    OPERATORS.add_product(&s.K, -1.0, x, f)
    return product(s, &s.C, -1.0, v, f)


cdef int body_sum_solve(structure_t *s, double c, double k, double *b) noexcept nogil:
    """b becomes (M + c C + k K)^-1 b; where conjugate gradients solve, from the guess in s.cg_room."""
    cdef int slot = 0 if c == 0.0 and k == 0.0 else 1, status = 0
    cdef factor_t *sum = &s.factors[slot]
    if not (sum.ready and sum.c == c and sum.k == k):
        status = factor(s, slot, c, k)
    return apply(s, slot, b) if status == 0 else status


cdef double quadratic(structure_t *s, const operator_t *A, const double *x) noexcept nogil:
    """x'Ax/2."""
    if A.kind == OP_NONE:
        return 0.0
    memset(s.room, 0, s.n * sizeof(double))
    OPERATORS.add_product(A, 1.0, x, s.room)
    return 0.5 * OPERATORS.dot(x, s.room, s.n)


cdef int structure_inertia(double t0, const double *const *y0, double t1, const double *const *y1, double *e, ptrdiff_t n,
                           void *ctx) noexcept nogil:
    """v'Mv/2 alone."""
    e[0] = quadratic(<structure_t *> ctx, &(<structure_t *> ctx).M, y1[1])
    return 0


cdef void structure_worked(ptrdiff_t lo, ptrdiff_t m, double scale, const double *d, const double *mean, void *ctx) noexcept nogil:
    """Damping's work on a block of a step, where C is tridiagonal. The step began with a solve, which has put `told` to NaN."""
    cdef structure_t *s = <structure_t *> ctx
    s.hooks.told = (s.hooks.told if lo > 0 else 0.0) + scale * OPERATORS.damping_block(&s.C, s.below, lo, m, d, mean)


cdef int structure_energy(double t0, const double *const *y0, double t1, const double *const *y1, double *e, ptrdiff_t n,
                          void *ctx) noexcept nogil:
    cdef structure_t *s = <structure_t *> ctx
    cdef double *mean = s.room
    cdef double *force = s.room + n
    cdef const double *f0
    cdef const double *f1
    cdef ptrdiff_t i
    cdef int status
    if y0 == NULL:
        e[0], e[1] = quadratic(s, &s.M, y1[1]), quadratic(s, &s.K, y1[0])
        return 0
    status = load_at(&s.load, t0, &f0)
    if status == 0:
        status = load_at(&s.load, t1, &f1)
    if status == 0 and f1 != NULL:
        e[2] += OPERATORS.work(n, y0[0], y1[0], 0.5, f0, 0.5, f1)
    if status == 0 and s.hooks.told == s.hooks.told:
        e[3] += s.hooks.told
        s.hooks.told = NAN
    elif status == 0 and s.C.kind == OP_TRIDIAGONAL and n > 1:
        e[3] += OPERATORS.damping_work(&s.C, y0[0], y1[0], 0.5, y0[1], 0.5, y1[1])
    elif status == 0 and s.C.kind != OP_NONE:
        memset(force, 0, n * sizeof(double))
        for i in range(n):
            mean[i] = 0.5 * y0[1][i] + 0.5 * y1[1][i]
        status = product(s, &s.C, 1.0, mean, force)
        if status != 0:
            return status
        e[3] += OPERATORS.work(n, y0[0], y1[0], 1.0, force, 0.0, force)
    return status


# ---- the problem -----------------------------------------------------------------------------------------------------------------------

cdef bint take_diagonals(Structure structure, mass, damping, stiffness) except -1:
    """Whether all three are diagonals, float64 arrays (n,), or None; then they are stored, as `take_matrices` stores them."""
    cdef operator_t *A
    cdef cnp.ndarray one
    cdef int j
    for array in (mass, damping, stiffness):
        if array is not None and not (type(array) is cnp.ndarray and cnp.PyArray_NDIM(array) == 1 and cnp.PyArray_ISCARRAY_RO(array)):
            return False
    for j, array in enumerate((mass, damping, stiffness)):
        A = &structure.s.M if j == 0 else &structure.s.C if j == 1 else &structure.s.K
        A.n = structure.s.n
        if array is None or (j > 0 and is_zero(array)):
            A.kind = OP_NONE
            continue
        one = array
        A.kind, A.lower, A.upper, A.values = OP_DIAGONAL, 0, 0, <const double *> cnp.PyArray_DATA(one)
        structure.arrays.append(one)
    structure.s.kind, structure.s.lower, structure.s.upper, structure.symmetric = OP_DIAGONAL, 0, 0, True
    structure.check_mass(mass)
    return True


cdef class Structure(Problem):
    """M x'' + C v + K x = load(t). mass None: 1 for each of the n degrees of freedom.

    load: None, n numbers, a function of t, or a compiled one (LOAD_SIGNATURE); `set_table` takes tables. cg: sums of matrices that are not
    diagonal are solved by conjugate gradients; then damping may be a function of v as well, or a compiled one (PRODUCT_SIGNATURE). checked:
    the matrices come from `matrices.checked_matrix`. factorize: of a sparse sum, what has `solve`; SciPy's splu where it is None.
    """

    def __init__(self, Py_ssize_t n, mass=None, damping=None, stiffness=None, load=None, bint cg=False, bint checked=False, factorize=None):
        self.s.cg = cg
        self.s.n = self.s.load.n = n
        if is_function(damping):
            self.take_damping(damping)
            damping = None
        self.arrays, self.factorize = [], factorize
        self.c.n = n
        self.compiled = self.damp_callback is None
        self.sparse_factors = [None, None]
        if mass is None:
            mass = np.ones(n)
        if not (checked and take_diagonals(self, mass, damping, stiffness)):
            self.take_matrices({"mass": mass, "damping": damping, "stiffness": stiffness}, checked)
        if self.s.damp != NULL:
            self.s.C.kind = self.s.kind = OP_FUNCTION
        self.make_room()
        self.take_load(load)
        self.c.accel = <mf_accel_fn> structure_accel
        self.c.solve_accel = <mf_solve_accel_fn> structure_solve
        self.c.ctx = &self.s
        self.s.owner, self.s.factor_outside, self.s.solve_outside = <void *> self, sparse_factor, sparse_solve
        self.s.hooks.worked, self.s.hooks.told = structure_worked, NAN
        self.s.hooks.alone = self.s.load.fun == NULL and not self.s.load.constant
        if self.s.C.kind == OP_TRIDIAGONAL and n > MF_SHORT:
            self.c.flags = self.c.flags | MF_LISTENS
            same = memcmp(self.s.C.values + 1, self.s.C.values + 2 * n, (n - 1) * sizeof(double)) == 0
            self.s.below = self.s.C.values + 2 * n - 1 if same else self.s.C.values
        if self.s.C.kind == OP_NONE:
            self.c.flags = self.c.flags | MF_VELOCITY_FREE
        if self.symmetric:
            self.c.energy = <mf_energy_fn> structure_energy
            self.energy_inertia, self.energy_whole = <mf_energy_fn> structure_inertia, True
            self.energy_each_step = self.s.load.fun != NULL or self.s.load.constant or self.s.C.kind != OP_NONE
        if self.compiled and not cg and self.s.load.fun == NULL:
            self.calls = &self.s.n_factor

    def take_damping(self, damping):
        """C v by a function."""
        if not self.s.cg:
            raise ValueError("damping: expected a matrix, got a function; its equations are solved by conjugate gradients alone (cg)")
        damping = getattr(damping, "matvec", damping)
        address = compiled_address(damping, "damping", PRODUCT_SIGNATURE)
        if address is not None:
            self.s.damp, self.s.damp_ctx = <product_fn> <size_t> address[0], <void *> <size_t> address[1]
            self.damp_owner = damping
        else:
            self.damp_callback = damping
            self.s.damp, self.s.damp_ctx = python_damping, <void *> self

    def take_matrices(self, dict given, bint checked):
        """Stores all three; damping and stiffness as wide as each other where that is tridiagonal, for the sake of one pass over both."""
        cdef operator_t *A
        matrices = given if checked else {name: None if value is None else checked_matrix(value, name, self.s.n) for name, value in given.items()}
        for name in ("damping", "stiffness"):
            if is_zero(matrices[name]):
                matrices[name] = None
        if not is_symmetric(matrices["mass"]):
            raise ValueError("mass: expected a symmetric matrix, got one that differs from its transpose")
        self.symmetric = is_symmetric(matrices["stiffness"])
        for name in ("damping", "stiffness") if self.s.cg else ():
            if not is_symmetric(matrices[name]):
                raise ValueError(f"{name}: expected a symmetric matrix for conjugate gradients, got one that differs from its transpose")
        shapes = {name: shape_of(array, self.s.n) if array is not None else (OP_NONE, 0, 0) for name, array in matrices.items()}
        if any(shape[0] == OP_SPARSE for shape in shapes.values()):
            if not self.s.cg:
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
        self.check_mass(matrices["mass"])

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
        self.factorize = self.factorize or scipy.sparse.linalg.splu
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

    def check_mass(self, mass):
        """ValueError where the mass is not positive definite: a body without mass has no acceleration of its own."""
        cdef int bad
        if self.s.M.kind == OP_SPARSE:
            bad = first_bad_sparse(mass)
        else:
            bad = first_bad_pivot(&self.s.M)
        if bad:
            raise ValueError(f"mass: expected a positive definite matrix, got one that is not (row {bad - 1}); every degree of freedom needs a "
                             "mass: remove those without one by static condensation, or fix them")

    def make_room(self):
        cdef ptrdiff_t n = self.s.n, padded = stride_of(n)
        cdef ptrdiff_t[2] room
        cdef double *at
        cdef int slot, j
        for slot in range(FACTORS):
            room[slot] = self.room_of(self.s.M.kind if slot == 0 else self.s.kind)
        self.block = mf_zeros((12 * padded + room[0] + room[1] + 2 * (padded // 2 + 8)) * sizeof(double) + 64, 1)
        if self.block == NULL:
            raise MemoryError(f"no memory for the factors of {n} x {n} matrices; SciPy sparse matrices may need less")
        at = <double *> ((<uintptr_t> self.block + 63) // 64 * 64)
        for j in range(LOADS):
            self.s.load.f[j] = at + j * padded
        self.s.room, self.s.cg_room, self.s.damped = at + LOADS * padded, at + 7 * padded, at + 11 * padded
        at += 12 * padded
        for slot in range(FACTORS):
            self.s.factors[slot].lu = at
            at += room[slot]
        for slot in range(FACTORS):
            self.s.factors[slot].pivots = <int32_t *> at
            at += padded // 2 + 8

    cdef ptrdiff_t room_of(self, int kind):
        """Doubles for the factors of a matrix of this kind, in whole lines."""
        cdef ptrdiff_t n = self.s.n, count = n
        if self.s.cg:
            count = n
        elif kind == OP_TRIDIAGONAL:
            count = 6 * n
        elif kind == OP_BANDED:
            count = n * max(2 * self.s.lower + self.s.upper + 1, <ptrdiff_t> 6)
        elif kind == OP_DENSE:
            count = n * max(n, <ptrdiff_t> 6)    # a sum without the dense part may be tridiagonal
        return (count + 7) // 8 * 8

    def take_load(self, load):
        cdef int j
        for j in range(LOADS):
            self.s.load.t[j] = NAN
        self.s.load.inside = 2
        if load is None:
            return
        address = compiled_address(load, "load", LOAD_SIGNATURE)
        if address is not None:
            self.owner = load
            self.s.load.fun, self.s.load.ctx = <load_fn> <size_t> address[0], <void *> <size_t> address[1]
        elif callable(load):
            self.load_callback = load
            self.s.load.fun, self.s.load.ctx = <load_fn> python_load, <void *> self
            self.compiled = False
        else:
            force = checked_matrix(load, "load", self.s.n)
            if force.ndim != 1:
                raise ValueError(f"load: expected {self.s.n} numbers, a function of t or a table, got shape {force.shape}")
            memcpy(self.s.load.f[0], cnp.PyArray_DATA(<cnp.ndarray> force), self.s.n * sizeof(double))
            self.s.load.constant = True

    def set_table(self, times, values, pattern=None):
        """The load is linear between these times, and constant beyond them. values: a row of n a time, or one number a time that goes
        with `pattern`, n numbers."""
        times, values = (np.array(part, dtype=np.float64, order="C") for part in (times, values))    # copies: the user may go on with his
        if times.ndim != 1 or times.size < 2 or not np.all(np.diff(times) > 0) or not np.all(np.isfinite(times)):
            raise ValueError("load: expected two or more finite times that increase in a table")
        shape = (times.size,) if pattern is not None else (times.size, self.s.n)
        if values.shape != shape or not np.all(np.isfinite(values)):
            raise ValueError(f"load: expected finite values of shape {shape} in a table of {times.size} times and {self.s.n} degrees of freedom, got "
                             f"shape {values.shape}")
        self.arrays.extend([times, values])
        if pattern is not None:
            pattern = np.array(checked_matrix(pattern, "load", self.s.n), order="C")
            self.arrays.append(pattern)
            self.table.pattern = <const double *> cnp.PyArray_DATA(<cnp.ndarray> pattern)
        self.table.times, self.table.values = <const double *> cnp.PyArray_DATA(<cnp.ndarray> times), <const double *> cnp.PyArray_DATA(<cnp.ndarray> values)
        self.table.count, self.table.at = times.size, 0
        self.s.load.fun, self.s.load.ctx, self.s.load.constant = table_load, &self.table, False
        self.calls, self.s.hooks.alone = NULL, False
        self.energy_each_step = self.symmetric

    def __dealloc__(self):
        free(self.block)

    cdef ptrdiff_t state_size(self):
        return STATE + (LOADS * self.s.n if self.s.load.fun != NULL else 0)

    cdef int state_pack(self, double *state) except -1:
        """Counters; of which sums the factors are; the loads at hand, since one asked for again at a time that differs by rounding may differ."""
        cdef double[STATE] head
        cdef int j
        head[0], head[1], head[2] = <double> self.s.n_factor, <double> self.s.load.count, <double> (4 * self.s.load.inside + self.s.load.last)
        head[3] = <double> self.s.singular
        for j in range(FACTORS):
            head[4 + 3 * j], head[5 + 3 * j], head[6 + 3 * j] = self.s.factors[j].c, self.s.factors[j].k, self.s.factors[j].ready
        for j in range(LOADS):
            head[4 + 3 * FACTORS + j] = self.s.load.t[j]
        memcpy(state, head, sizeof(head))
        for j in range(LOADS if self.s.load.fun != NULL else 0):
            memcpy(state + STATE + j * self.s.n, self.s.load.f[j], self.s.n * sizeof(double))
        return 0

    cdef int state_unpack(self, const double *state) except -1:
        cdef int j
        for j in range(4):
            if not (0.0 <= state[j] < 9007199254740992.0 and (j != 2 or 8.0 <= state[j] < 16.0)):
                raise ValueError("data: expected the saved state of a structure, got one that is damaged")
        for j in range(FACTORS):
            self.s.factors[j].ready = False
            if state[6 + 3 * j] == 1.0:      # the same bits from the same sum
                raise_or(factor(&self.s, j, state[4 + 3 * j], state[5 + 3 * j]))
        for j in range(LOADS):
            self.s.load.t[j] = state[4 + 3 * FACTORS + j]
        for j in range(LOADS if self.s.load.fun != NULL else 0):
            memcpy(self.s.load.f[j], state + STATE + j * self.s.n, self.s.n * sizeof(double))
        self.s.n_factor, self.s.load.count = <int64_t> state[0], <int64_t> state[1]
        self.s.load.last, self.s.load.inside, self.s.singular = <int> state[2] % 4, <int> state[2] // 4, <int> state[3]
        return 0

    @property
    def kind(self):
        """How the widest sum of the matrices is stored and solved with."""
        return ("none", "diagonal", "tridiagonal", "banded", "dense", "sparse", "function")[self.s.kind]

    @property
    def by_cg(self):
        """Whether conjugate gradients solve with sums of the matrices."""
        return bool(self.s.cg)

    def forget(self):
        """The load jumps here: times that differ by rounding are two sides of a break."""
        for j in range(LOADS):
            self.s.load.t[j] = NAN

    @property
    def counters(self):
        """nlu: factorisations; nload: times at which the load was asked for; singular: the row (from 0) where a matrix was singular, or None;
        ncg: iterations of conjugate gradients; cg_failed: None, "indefinite", "slow" or "residual"."""
        return {"nlu": self.s.n_factor, "nload": self.s.load.count, "singular": self.s.singular - 1 if self.s.singular else None,
                "ncg": self.s.n_cg, "cg_failed": (None, "indefinite", "slow", "residual")[self.s.cg_failed]}
