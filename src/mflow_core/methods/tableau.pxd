# cython: language_level=3
"""The common parts of the Runge-Kutta families: packed rows of tableaus, the combinations that they stand for, and new method records.

Only the nonzeros of a tableau are visited; they are packed once, when a family is imported. `combine_at` adds the slopes of a table of
pointers in the one written order of sums.pxd; `weigh` is the same sum without y: an error estimate.
"""
from libc.math cimport NAN
from libc.stddef cimport ptrdiff_t
from libc.stdint cimport int32_t, int64_t
from libc.stdlib cimport calloc
from libc.string cimport memcpy

from mflow_core.arithmetic.sums cimport mf_add_apart, mf_sum_apart
from mflow_core.types cimport MF_E_NON_FINITE, MF_FRESH, MF_LINEAR, mf_frame, mf_method, mf_new_method, mf_step_fn, mf_tableau


cdef enum:
    MAX_STAGES = 32
    MAX_FAMILY = 64                      # methods in one family
    MOST_STAGES = 10_000                 # of a method whose stages are set at run time


ctypedef struct plan_row:                # the terms of one combination
    int32_t q, slope                     # count; Shu-Osher: slot of the slope of this stage
    int32_t[MAX_STAGES] col, f           # Butcher: index of K. Shu-Osher: slots of u and of its slope (-1: y; f = -2: no slope)
    int32_t out, form                    # Shu-Osher: slot of the result; which loop computes it
    double[MAX_STAGES] w, r              # weights; Shu-Osher: alpha and beta/alpha


ctypedef struct records_t:               # the method records of one family; NULL ends them
    mf_method *record[MAX_FAMILY + 1]
    int count


# Flags of a frame between the driver and kernels, which no host sets. A driver asks for a new state of more than MF_SHORT numbers to be
# looked at while it is written, which saves a pass over it. A kernel that does so says it, and returns MF_E_NON_FINITE where a number is not
# finite.
cdef enum:
    LOOK = 1 << 29
    LOOKED = 1 << 30

cdef enum:
    TOO_MANY_STAGES = 0x7FFFFFFA         # not a code of callbacks: the kernel itself asks for a smaller step
    NO_STEPS = 0x7FFFFFFB                # not a code of callbacks: these parameters or this problem need one step at a time


ctypedef struct steps_t:                 # loop of a method over steps of one degree of freedom, in place: it keeps the state in registers
    int (*step)(const mf_method *m, mf_frame *f) noexcept nogil          # the step function of that method
    int (*many)(const mf_method *m, mf_frame *f, int64_t count, double t_base, int64_t done) noexcept nogil


# ---- what a step does seldom -------------------------------------------------------------------------------------------------------

cdef extern from *:
    """
    /* Functions of their own: inlined, what a step does seldom would take registers and room on the stack from all steps. */
    #define MF_BLOCK 1024
    MF_APART void mf_all_blocks(ptrdiff_t n, void (*block)(void *job, ptrdiff_t lo, ptrdiff_t n), void *job) {
      for (ptrdiff_t lo = 0; lo < n; lo += MF_BLOCK)
        block(job, lo, n - lo < MF_BLOCK ? n - lo : MF_BLOCK);
    }
    MF_APART int mf_step_apart(mf_step_fn step, const mf_method *m, mf_frame *f) { return step(m, f); }
    """
    enum:
        MF_BLOCK
    # block(job, lo, m) for m = MF_BLOCK numbers at a time of n, from lo on.
    void mf_all_blocks(ptrdiff_t n, void (*block)(void *job, ptrdiff_t lo, ptrdiff_t m) noexcept nogil, void *job) noexcept nogil
    int mf_step_apart(mf_step_fn step, const mf_method *m, mf_frame *f) noexcept nogil


cdef inline int looked(mf_frame *f, bint finite) noexcept nogil:
    """What a step returns whose last pass has looked at what it wrote."""
    f.flags |= LOOKED
    return 0 if finite else MF_E_NON_FINITE


# ---- combinations ------------------------------------------------------------------------------------------------------------------

cdef inline void combine_at(ptrdiff_t n, double *out, const double *y, double h, const double *const *K,
                            const plan_row *row) noexcept nogil:
    """out = y + h sum_e w_e K[col_e], over the nonzeros of one row of the tableau. `out` may be `y`."""
    mf_add_apart(n, out, y, h, K, row.q, row.col, row.w)


cdef inline void weigh(ptrdiff_t n, double *out, double h, const double *const *K, const plan_row *row) noexcept nogil:
    """out = h sum_e w_e K[col_e], without y."""
    mf_sum_apart(n, out, h, K, row.q, row.col, row.w)


# ---- the carried slope -------------------------------------------------------------------------------------------------------------

cdef inline int first_slope(mf_frame *f, double *room, const double **K) noexcept nogil:
    """K_1 = f(t, y): computed if the step is FRESH, else the carried slope, or a copy of it if this step will overwrite it.

    `room` is its place in `work`. If that is not used, it begins with a NaN, which `slope_at_start` tests: when `dense` is called, the
    flags of the frame may already be those of the next step.
    """
    cdef int status = 0
    K[0] = room
    if f.flags & MF_FRESH:
        status = f.p.rhs(f.t, f.x0[0], room, f.n, f.p.ctx)
        f.n_rhs += 1
    elif f.x1[1] == f.x0[1]:
        memcpy(room, f.x0[1], f.n * sizeof(double))
    else:
        K[0] = f.x0[1]
        if f.n > 0:
            room[0] = NAN
    return status


cdef inline const double *slope_at_start(const mf_frame *f, const double *room) noexcept nogil:
    """The slope that `first_slope` found."""
    return f.x0[1] if f.n > 0 and room[0] != room[0] else room


# ---- new method records, at import -------------------------------------------------------------------------------------------------

cdef inline double *doubles(list values) except NULL:
    """Numbers that live as long as the process: method records are never freed."""
    cdef double *out = <double *> calloc(max(len(values), 1), sizeof(double))
    if out == NULL:
        raise MemoryError("no memory for the tableaus")
    for i, value in enumerate(values):
        out[i] = value
    return out


cdef inline plan_row *plans(int count) except NULL:
    cdef plan_row *out = <plan_row *> calloc(max(count, 1), sizeof(plan_row))
    if out == NULL:
        raise MemoryError("no memory for the tableaus")
    return out


cdef inline int pack(plan_row *plan, list values) except -1:
    """Pack the nonzeros of one row of coefficients."""
    cdef int col
    for col, value in enumerate(values):
        if value != 0:
            plan.col[plan.q] = col
            plan.w[plan.q] = value
            plan.q += 1
    return 0


cdef inline double node(double c):
    """A sum of coefficients as a node. If only rounding puts it beyond an end of the step, it is that end: outside, f may fail."""
    return 1.0 if 1.0 < c < 1.0 + 1e-14 else 0.0 if -1e-14 < c < 0.0 else c


cdef inline list square(list A, int s):
    """The rows of A, filled with zeros to s entries."""
    return [list(row) + [0.0] * (s - len(row)) for row in A]


cdef inline mf_method *new_record(records_t *records, const char *family, const char *name, const char *class_name, const char *aliases,
                                  int order, int stages, const char *formula, const char *doc, const char *reference) except NULL:
    """A method record with the common fields. It carries only y unless its family changes that."""
    cdef mf_method *m = <mf_method *> calloc(1, sizeof(mf_method))
    cdef mf_tableau *tab = <mf_tableau *> calloc(1, sizeof(mf_tableau))
    if m == NULL or tab == NULL or records.count == MAX_FAMILY or stages > MAX_STAGES:
        raise MemoryError(f"{family.decode()}: expected at most {MAX_FAMILY} methods of at most {MAX_STAGES} stages, or no memory")
    m[0] = mf_new_method()
    m.name, m.class_name, m.aliases, m.family = name, class_name, aliases, family
    m.formula, m.doc, m.reference, m.vectors = formula, doc, reference, b"y"
    m.order, m.stages, m.tab = order, stages, tab
    m.flags = MF_LINEAR
    m.sizes.n_vis = m.sizes.n_vec = 1
    tab.s = stages
    records.record[records.count] = m
    records.count += 1
    return m
