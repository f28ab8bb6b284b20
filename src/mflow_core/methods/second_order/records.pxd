# cython: language_level=3
"""What the families for M x'' = F(t, x, v) share: accelerations at a state, and new method records.

A record may be longer than mf_method, which is then its first field: coefficients that belong to one method follow it, and its step
function finds them at the address that it is given.
"""
from cpython.ref cimport Py_INCREF
from libc.stddef cimport ptrdiff_t
from libc.stdlib cimport calloc
from libc.string cimport memset

from mflow_core.methods.tableau cimport MAX_FAMILY, records_t
from mflow_core.types cimport (MF_CHOICE, MF_E_CALLBACK, MF_FRESH, MF_LINEAR, MF_REAL, MF_SECOND_ORDER, MF_VELOCITY_FREE, mf_frame, mf_method,
                               mf_new_method, mf_param, mf_step_fn)


cdef enum:
    IN_PLACE = 1 << 30                   # of a method's flags, for drivers alone: fixed steps in place make no copies of vectors


# ---- accelerations -------------------------------------------------------------------------------------------------------------------

cdef inline int acceleration(mf_frame *f, double t, const double *x, const double *v, double *a) noexcept nogil:
    """a = M^-1 F(t, x, v)."""
    if f.p.accel != NULL:
        f.n_rhs += 1
        return f.p.accel(t, x, v, a, f.n, f.p.ctx)
    if f.p.solve_accel == NULL:
        return MF_E_CALLBACK
    f.n_solve += 1
    memset(a, 0, f.n * sizeof(double))
    return f.p.solve_accel(t, 1.0, x, v, 0.0, 0.0, NULL, a, f.n, f.p.ctx)


cdef inline int solve(mf_frame *f, double t, double w, const double *xp, const double *vp, double bx, double bv, const double *q,
               double *a) noexcept nogil:
    """Solve a = w M^-1 F(t, xp + bx a, vp + bv a) + q; a holds a guess. If a is not on the right, `accel` is enough."""
    cdef ptrdiff_t i
    cdef int status
    if bx == 0.0 and (bv == 0.0 or f.p.flags & MF_VELOCITY_FREE) and f.p.accel != NULL:
        f.n_rhs += 1
        status = f.p.accel(t, xp, vp, a, f.n, f.p.ctx)
        if status == 0 and w != 1.0:
            for i in range(f.n):
                a[i] = w * a[i]
        if status == 0 and q != NULL:
            for i in range(f.n):
                a[i] = a[i] + q[i]
        return status
    if f.p.solve_accel == NULL:
        return MF_E_CALLBACK
    f.n_solve += 1
    return f.p.solve_accel(t, w, xp, vp, bx, bv, q, a, f.n, f.p.ctx)


cdef inline int start(mf_frame *f, double *room, const double **a) noexcept nogil:
    """a at the start of the step: the carried one, or a new one in `room`."""
    a[0] = f.x0[2]
    if not f.flags & MF_FRESH:
        return 0
    a[0] = room
    return acceleration(f, f.t, f.x0[0], f.x0[1], room)


cdef inline double step_before(mf_frame *f) noexcept nogil:
    """The step that led here, where its slope of a is carried, else 0; that of this step is not known yet."""
    cdef double h = f.s0[0] if not f.flags & MF_FRESH and f.s0[0] * f.h > 0.0 else 0.0
    f.s1[0] = 0.0
    return h


cdef inline bint in_place(const mf_frame *f) noexcept nogil:
    return f.x1[0] == f.x0[0] or f.x1[1] == f.x0[1] or f.x1[2] == f.x0[2]


# ---- records -------------------------------------------------------------------------------------------------------------------------

cdef inline tuple real(bytes name, double value, double lower, double upper, bytes doc, int open=0):
    return (name, value, lower, upper, MF_REAL, open, b"", doc)


cdef inline tuple choice(bytes name, bytes choices, bytes doc):
    return (name, 0, 0, choices.count(b"|"), MF_CHOICE, 0, choices, doc)


cdef inline void *new_record(records_t *records, size_t size, const char *name, const char *class_name, const char *aliases, int order,
                             int stages, list par, const char *vectors, int n_work, mf_step_fn step) except NULL:
    """A record of `size` bytes, an mf_method at their start, which is added to the family's. The parameters' strings are kept alive."""
    cdef mf_method *m = <mf_method *> calloc(1, size)
    cdef mf_param *p = <mf_param *> calloc(max(len(par), 1), sizeof(mf_param))
    cdef int j
    if m == NULL or p == NULL or records.count == MAX_FAMILY:
        raise MemoryError(f"second_order: expected at most {MAX_FAMILY} methods, or no memory")
    Py_INCREF(par)
    for j, (label, value, lower, upper, kind, open, choices, words) in enumerate(par):
        p[j].name, p[j].value, p[j].lower, p[j].upper = label, value, lower, upper
        p[j].kind, p[j].open, p[j].choices, p[j].doc = kind, open, choices, words
    m[0] = mf_new_method()
    m.name, m.class_name, m.aliases, m.family, m.vectors = name, class_name, aliases, b"second_order", vectors
    m.order, m.stages, m.n_par, m.par = order, stages, len(par), p
    m.flags = MF_SECOND_ORDER | MF_LINEAR | (IN_PLACE if n_work <= 1 else 0)
    m.sizes.n_vis, m.sizes.n_vec, m.sizes.n_work = 3, len((<bytes> vectors).split(b"|")), n_work
    m.sizes.order = order
    m.step = step
    records.record[records.count] = m
    records.count += 1
    return m
