"""Linear stability, probed from the kernels: one step of a first-order method on y' = lambda y, for many values of z = lambda h at once;
of a second-order method on x'' = -k x - c v, for many pairs (k, c) at once, or on a whole structure.

A block of WIDTH values is one state of 2 WIDTH numbers, real parts and then imaginary ones, started at 1; the right-hand side and the
equation of an implicit stage are closed forms, componentwise, so no Newton iteration stands between a method and its stability function:

    f = z y,        w - gh z w = r   =>   w = r / (1 - gh z)            (h = 1)

Carried vectors beyond the state are not filled (MF_FRESH): what they hold follows from the state. Those of a multistep method are as
free as the state; they start from the unit vectors in turn, and a step is a matrix.

In second order all carried vectors start from the unit vectors in turn, with h = 1 for oscillators: their images are the columns of the
matrix that a step multiplies with. On an oscillator the equation of an implicit acceleration is a closed form as well,

    a = w (-k (xp + bx a) - c (vp + bv a)) + q   =>   a = (q - w (k xp + c vp)) / (1 + w (k bx + c bv))
"""
from libc.math cimport fabs
from libc.stddef cimport ptrdiff_t
from libc.stdlib cimport calloc, free
from libc.string cimport memset

cimport numpy as cnp

from mflow_core.arithmetic.vec cimport mf_fp_enter, mf_fp_leave
from mflow_core.methods.second_order.hooks cimport MF_CONSTRAINED, hooks_t
from mflow_core.problems.problem cimport Problem
from mflow_core.registry cimport MethodRecord, mf_sizes_of
from mflow_core.types cimport (MF_FRESH, MF_MULTISTEP, MF_SECOND_ORDER, mf_frame, mf_method, mf_new_frame, mf_new_problem, mf_problem, mf_sizes,
                               mf_tableau)

import functools

import numpy as np

cnp.import_array()

cdef enum:
    WIDTH = 128
    MOST_STAGES = 8                      # of methods whose stages are solved together


cdef inline double cabs1(double complex z) noexcept nogil:
    return fabs(z.real) + fabs(z.imag)


cdef int times_z(double t, const double *y, double *dydt, ptrdiff_t n, void *ctx) noexcept nogil:
    cdef const double *z = <const double *> ctx
    cdef ptrdiff_t i
    for i in range(WIDTH):
        dydt[i] = z[i] * y[i] - z[WIDTH + i] * y[WIDTH + i]
        dydt[WIDTH + i] = z[i] * y[WIDTH + i] + z[WIDTH + i] * y[i]
    return 0


cdef int divided(double t, double gh, const double *r, double *w, ptrdiff_t n, void *ctx) noexcept nogil:
    """w = r / (1 - gh z): the larger part of the divisor is taken out first, so that no square overflows."""
    cdef const double *z = <const double *> ctx
    cdef double a, b, ratio, size, x, y
    cdef ptrdiff_t i
    for i in range(WIDTH):
        a, b = 1.0 - gh * z[i], -gh * z[WIDTH + i]
        x, y = r[i], r[WIDTH + i]
        if fabs(a) >= fabs(b):
            ratio = b / a
            size = a + b * ratio
            w[i], w[WIDTH + i] = (x + y * ratio) / size, (y - x * ratio) / size
        else:
            ratio = a / b
            size = a * ratio + b
            w[i], w[WIDTH + i] = (x * ratio + y) / size, (y * ratio - x) / size
    return 0


cdef int linearized(double t, double gh, const double *y, double *dfdt, ptrdiff_t n, void *ctx) noexcept nogil:
    """f does not depend on t, and `divided` knows z."""
    memset(dfdt, 0, n * sizeof(double))
    return 0


cdef int coupled(const mf_tableau *tab, double t, double h, const double *y, double *Z, ptrdiff_t ld, ptrdiff_t n, void *ctx) noexcept nogil:
    """Z = z A (1 Z) with y added to every stage: elimination in each component, the largest entry of a column as the pivot."""
    cdef const double *z = <const double *> ctx
    cdef double complex[MOST_STAGES * (MOST_STAGES + 1)] M
    cdef double complex zi, factor
    cdef int s = tab.s, w = tab.s + 1, j, k, row, best
    cdef ptrdiff_t i
    if s > MOST_STAGES:
        return -1
    for i in range(WIDTH):
        zi = h * (z[i] + 1j * z[WIDTH + i])
        for j in range(s):
            M[j * w + s] = 0.0
            for k in range(s):
                factor = zi * tab.A[j * s + k]
                M[j * w + k] = (1.0 if j == k else 0.0) - factor
                M[j * w + s] = M[j * w + s] + factor * (y[i] + 1j * y[WIDTH + i])
        for j in range(s):
            best = j
            for row in range(j + 1, s):
                if cabs1(M[row * w + j]) > cabs1(M[best * w + j]):
                    best = row
            for k in range(w):
                factor = M[j * w + k]
                M[j * w + k] = M[best * w + k]
                M[best * w + k] = factor
            for row in range(s):
                if row != j:
                    factor = M[row * w + j] / M[j * w + j]
                    for k in range(j, w):
                        M[row * w + k] = M[row * w + k] - factor * M[j * w + k]
        for j in range(s):
            factor = M[j * w + s] / M[j * w + j]
            Z[j * ld + i], Z[j * ld + WIDTH + i] = factor.real, factor.imag
    return 0


def stability_values(MethodRecord record, dict parameters, cnp.ndarray z, double rho=0.0):
    """R(z) of a first-order method: complex128, one value for each of the complex128 z (one-dimensional, contiguous)."""
    cdef mf_sizes sizes
    cdef double *par = record.parameters(parameters)
    cdef double *block
    cdef ptrdiff_t n = 2 * WIDTH, count = cnp.PyArray_SIZE(z)
    cdef int status = mf_sizes_of(record.m, par, &sizes)
    cdef cnp.ndarray out
    if status != 0 or record.m.step == NULL or record.m.flags & (MF_SECOND_ORDER | MF_MULTISTEP):
        free(par)
        raise ValueError(f"method: expected one of first order that takes steps one by one, got {record.name}")
    out = np.empty(count, dtype=np.complex128)
    block = <double *> calloc((1 + 2 * sizes.n_vec + sizes.n_work + 1) * n + sizes.work_extra + 2 * sizes.n_scal, sizeof(double))
    if block == NULL:
        free(par)
        raise MemoryError()
    try:
        with nogil:
            status = probe(record.m, par, &sizes, block, <const double *> cnp.PyArray_DATA(z), <double *> cnp.PyArray_DATA(out), count, rho,
                           -1)
    finally:
        free(block)
        free(par)
    if status != 0:
        raise ValueError(f"{record.name}: the step failed with code {status} on a linear problem")
    return out


def step_matrices(MethodRecord record, dict parameters, cnp.ndarray z):
    """The matrix of a step of a multistep method on y and its differences, as many as its order: complex128, (count, order + 1, order + 1),
    for the complex128 z (one-dimensional, contiguous)."""
    cdef mf_sizes sizes
    cdef double *par = record.parameters(parameters)
    cdef double *block
    cdef ptrdiff_t n = 2 * WIDTH, count = cnp.PyArray_SIZE(z)
    cdef int status = mf_sizes_of(record.m, par, &sizes), j
    cdef cnp.ndarray out
    if status != 0 or not record.m.flags & MF_MULTISTEP:
        free(par)
        raise ValueError(f"method: expected a multistep method, got {record.name}")
    out = np.empty((sizes.order + 1, count, sizes.order + 1), dtype=np.complex128)      # by columns
    block = <double *> calloc((1 + 2 * sizes.n_vec + sizes.n_work + 1) * n + sizes.work_extra + 2 * sizes.n_scal, sizeof(double))
    if block == NULL:
        free(par)
        raise MemoryError()
    try:
        with nogil:
            for j in range(sizes.order + 1):
                if status == 0:
                    status = probe(record.m, par, &sizes, block, <const double *> cnp.PyArray_DATA(z),
                                   <double *> cnp.PyArray_DATA(out) + 2 * j * count * (sizes.order + 1), count, 0.0, j)
    finally:
        free(block)
        free(par)
    if status != 0:
        raise ValueError(f"{record.name}: the step failed with code {status} on a linear problem")
    return np.ascontiguousarray(np.moveaxis(out, 0, 2))


cdef int probe(const mf_method *m, const double *par, const mf_sizes *sizes, double *block, const double *z, double *out,
               ptrdiff_t count, double rho, int unit) noexcept nogil:
    """y at the end of a step from y = 1; unit from 0 on: y and the differences at the end of one from this unit vector."""
    cdef int rows = sizes.order + 1 if unit >= 0 else 1
    cdef mf_problem p = mf_new_problem()
    cdef mf_frame f = mf_new_frame()
    cdef const double *x0[8]
    cdef double *x1[8]
    cdef ptrdiff_t n = 2 * WIDTH, done = 0, here, i
    cdef unsigned int mode = mf_fp_enter()
    cdef int j, status = 0
    p.n, p.ctx, p.rhs, p.solve, p.solve_system = n, block, times_z, divided, coupled
    p.lsolve, p.linearize = divided, linearized
    f.n = f.ld = n
    f.h, f.rho, f.par, f.p = 1.0, rho, par, &p
    f.x0, f.x1 = x0, x1
    for j in range(sizes.n_vec):
        x0[j], x1[j] = block + (1 + 2 * j) * n, block + (2 + 2 * j) * n
    f.work = block + (1 + 2 * sizes.n_vec) * n
    f.s0 = f.work + (sizes.n_work + 1) * n + sizes.work_extra
    f.s1 = <double *> f.s0 + sizes.n_scal
    while done < count and status == 0:
        here = min(count - done, <ptrdiff_t> WIDTH)
        for i in range(WIDTH):
            block[i] = z[2 * (done + i)] if i < here else 0.0
            block[WIDTH + i] = z[2 * (done + i) + 1] if i < here else 0.0
            for j in range(sizes.n_vec):
                (<double *> x0[j])[i], (<double *> x0[j])[WIDTH + i] = 1.0 if j == max(unit, 0) else 0.0, 0.0
        f.flags = MF_FRESH if unit < 0 else 0
        status = m.step(m, &f)
        for i in range(here):
            for j in range(rows):
                out[2 * (rows * (done + i) + j)], out[2 * (rows * (done + i) + j) + 1] = x1[j][i], x1[j][WIDTH + i]
        done += WIDTH
    mf_fp_leave(mode)
    return status


# ---- second order ---------------------------------------------------------------------------------------------------------------------

ctypedef struct springs_t:
    const double *k
    const double *c
    double of_k, of_c                    # of the last implicit equation: its divisor is 1 + of_k k + of_c c


cdef int spring_accel(double t, const double *x, const double *v, double *a, ptrdiff_t n, void *ctx) noexcept nogil:
    return spring_solve(t, 1.0, x, v, 0.0, 0.0, NULL, a, n, ctx)


cdef int spring_solve(double t, double w, const double *xp, const double *vp, double bx, double bv, const double *q, double *a, ptrdiff_t n,
                      void *ctx) noexcept nogil:
    cdef springs_t *s = <springs_t *> ctx
    cdef double known
    cdef ptrdiff_t i
    if bx != 0.0 or bv != 0.0:
        s.of_k, s.of_c = w * bx, w * bv
    for i in range(n):
        known = 0.0 if q == NULL else q[i]
        a[i] = (known - w * (s.k[i] * xp[i] + s.c[i] * vp[i])) / (1.0 + w * (s.k[i] * bx + s.c[i] * bv))
    return 0


def oscillator_matrices(MethodRecord record, dict parameters, cnp.ndarray k, cnp.ndarray c):
    """What a step of h = 1 multiplies the carried vectors of x'' = -k x - c v with: (count, n_vec, n_vec) for `count` float64 pairs."""
    return oscillators(record, parameters, k, c)[0]


def implicit_shares(MethodRecord record, dict parameters):
    """(p, q): the equation that a step of h = 1 solves divides by 1 + p k + q c; zeros where it solves none."""
    return oscillators(record, parameters, np.ones(1), np.ones(1))[1:]


@functools.lru_cache(maxsize=256)
def ends_in_balance(MethodRecord record, tuple parameters, bint free_of_v):
    """Whether a at the end of a step is M^-1 F there: for forces of x alone (free_of_v), or of v as well. parameters: (name, value) pairs."""
    k, c = np.ones(1), np.full(1, 0.0 if free_of_v else 0.25)
    images = oscillator_matrices(record, dict(parameters), k, c)[0]
    off = np.abs(images[2] + k * images[0] + c * images[1])
    return bool(np.all(off <= 1e-12 * np.abs(images).max()))


ctypedef struct watched_t:
    hooks_t hooks                        # first, as kernels find them
    bint moved, solved                   # a drift was handed over; an equation for a position was


cdef int watched_moved(double h, const double *x0, double *x1, double *v1, ptrdiff_t n, void *ctx) noexcept nogil:
    (<watched_t *> ctx).moved = True
    return 0


cdef int watched_ended(double t, const double *x1, double *v1, double *a1, ptrdiff_t n, void *ctx) noexcept nogil:
    return 0


cdef int watched_accel(double t, const double *x, const double *v, double *a, ptrdiff_t n, void *ctx) noexcept nogil:
    memset(a, 0, n * sizeof(double))
    return 0


cdef int watched_solve(double t, double w, const double *xp, const double *vp, double bx, double bv, const double *q, double *a, ptrdiff_t n,
                       void *ctx) noexcept nogil:
    if bx != 0.0:
        (<watched_t *> ctx).solved = True
    return watched_accel(t, xp, vp, a, n, ctx)


def constrained_form(MethodRecord record, dict parameters):
    """How a step stays on constraints: "drifts" are projected (RATTLE), "equations" have multipliers, or None: it does not."""
    cdef watched_t watched
    cdef mf_problem p = mf_new_problem()
    watched.hooks.moved, watched.hooks.ended = watched_moved, watched_ended
    watched.moved = watched.solved = False
    p.n, p.ctx, p.flags, p.accel, p.solve_accel = 2, &watched, MF_CONSTRAINED, watched_accel, watched_solve
    step_of_units(record, parameters, &p, 1.0, 0, -1)
    return "drifts" if watched.moved else "equations" if watched.solved else None


cdef oscillators(MethodRecord record, dict parameters, cnp.ndarray k, cnp.ndarray c):
    cdef springs_t springs
    cdef mf_problem p = mf_new_problem()
    springs.k, springs.c = <const double *> cnp.PyArray_DATA(k), <const double *> cnp.PyArray_DATA(c)
    springs.of_k, springs.of_c = 0.0, 0.0
    p.n, p.ctx, p.accel, p.solve_accel = cnp.PyArray_SIZE(k), &springs, spring_accel, spring_solve
    images = np.stack([step_of_units(record, parameters, &p, 1.0, j, -1) for j in range(record.sizes(parameters)["n_vec"])], axis=-1)
    return np.ascontiguousarray(np.moveaxis(images, 0, 1)), springs.of_k, springs.of_c


def system_matrix(MethodRecord record, dict parameters, Problem problem, double h):
    """The same for a whole structure without a load: n_vec n rows and columns."""
    cdef ptrdiff_t n = problem.c.n
    columns = []
    for j in range(record.sizes(parameters)["n_vec"]):
        for i in range(n):
            columns.append(step_of_units(record, parameters, &problem.c, h, j, i).ravel())
    return np.stack(columns, axis=1)


cdef step_of_units(MethodRecord record, dict parameters, const mf_problem *p, double h, int j, ptrdiff_t only):
    """(n_vec, n): where one step takes the carried vector j of ones, or of a single one at component `only`, and zeros else."""
    cdef mf_sizes sizes
    cdef mf_frame f = mf_new_frame()
    cdef double *par = record.parameters(parameters)
    cdef double *block
    cdef const double *x0[8]
    cdef double *x1[8]
    cdef ptrdiff_t n = p.n, i
    cdef unsigned int mode
    cdef int k, status = mf_sizes_of(record.m, par, &sizes)
    cdef cnp.ndarray out
    if status != 0 or not record.m.flags & MF_SECOND_ORDER:
        free(par)
        raise ValueError(f"method: expected one of second order, got {record.name}")
    block = <double *> calloc((2 * sizes.n_vec + sizes.n_work) * n + 2 * sizes.n_scal + sizes.work_extra + 1, sizeof(double))
    if block == NULL:
        free(par)
        raise MemoryError()
    out = np.zeros((sizes.n_vec, n))
    for k in range(sizes.n_vec):
        x0[k], x1[k] = block + 2 * k * n, block + (2 * k + 1) * n
    for i in range(n):
        (<double *> x0[j])[i] = 1.0 if only < 0 or i == only else 0.0
    f.n = f.ld = n
    f.h, f.par, f.p = h, par, <mf_problem *> p
    f.x0, f.x1 = x0, x1
    f.work = block + 2 * sizes.n_vec * n
    f.s1 = f.work + sizes.n_work * n + sizes.work_extra
    f.s0 = f.s1 + sizes.n_scal
    mode = mf_fp_enter()
    status = record.m.step(record.m, &f)
    mf_fp_leave(mode)
    for k in range(sizes.n_vec):
        for i in range(n):
            (<double *> cnp.PyArray_DATA(out))[k * n + i] = x1[k][i]
    free(block)
    free(par)
    if status != 0:
        raise ValueError(f"{record.name}: the step failed with code {status} on a linear problem")
    return out
