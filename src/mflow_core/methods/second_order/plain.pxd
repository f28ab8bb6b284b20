# cython: language_level=3
"""Plain steps: nothing is asked of them but their end. What the step of the method does beside takes longer than short vectors do.

Their arithmetic is that of the step they stand for (newmark.pyx), to the bit.
"""
from mflow_core.methods.second_order.hooks cimport constrained, tells
from mflow_core.methods.second_order.passes cimport add, advance, kick_drift, predict
from mflow_core.methods.tableau cimport LOOK
from mflow_core.types cimport MF_FRESH, mf_frame


cdef inline bint is_plain(const mf_frame *f) noexcept nogil:
    """No error, no look at the end, no work to tell of and no constraint; a is carried."""
    return f.err == NULL and not f.flags & (MF_FRESH | LOOK) and not (constrained(f) or tells(f))


cdef inline int plain_newmark(mf_frame *f, double beta, double gamma) noexcept nogil:
    """Implicit in x, and not in place."""
    cdef double h = f.h, cx = (0.5 - beta) * (h * h), cv = (1.0 - gamma) * h, bx = beta * (h * h), bv = gamma * h
    cdef int status
    predict(f.n, f.x0[0], f.x0[1], f.x0[2], f.x1[0], f.x1[1], f.x1[2], h, cx, cv)
    f.n_solve += 1
    status = f.p.solve_accel(f.t + h, 1.0, f.x1[0], f.x1[1], bx, bv, NULL, f.x1[2], f.n, f.p.ctx)
    if status == 0:
        advance(f.n, f.x0[0], f.x0[1], f.x0[2], f.x1[2], f.x1[0], f.x1[1], h, cx, cv, bx, bv)
        f.s1[0] = 0.0
    return status


cdef inline int plain_verlet(mf_frame *f) noexcept nogil:
    """Kick, drift, kick."""
    cdef double half = 0.5 * f.h
    cdef int status
    kick_drift(f.n, f.x0[0], f.x0[1], f.x0[2], f.x1[0], f.x1[1], f.h, half)
    f.n_rhs += 1
    status = f.p.accel(f.t + f.h, f.x1[0], f.x1[1], f.x1[2], f.n, f.p.ctx)
    if status == 0:
        add(f.n, f.x1[1], f.x1[2], half)
        f.s1[0] = 0.0
    return status
