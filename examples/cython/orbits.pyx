# cython: boundscheck=False, wraparound=False, cdivision=True
"""Kepler orbits, y'' = -y/|y|^3, and a fit of one: a host that owns its arrays and its loop, and calls methods of mflow without the GIL.

A frame says where the host's vectors lie. A step maps x0 to x1; here they are the same vector, so it goes in place.
"""
from libc.math cimport sqrt
from libc.stddef cimport ptrdiff_t
from libc.stdlib cimport calloc, free

from mflow_core.api cimport (mf_begin, mf_defaults, mf_error_text, mf_find, mf_get_sizes, mf_run_advance, mf_run_free, mf_run_new, mf_run_y,
                             mf_step, mf_update)
from mflow_core.types cimport (MF_FRESH, mf_frame, mf_method, mf_new_frame, mf_new_problem, mf_new_run_options, mf_problem, mf_run,
                               mf_run_options, mf_sizes)


cdef int gravity(double t, const double *y, double *dydt, ptrdiff_t n, void *ctx) noexcept nogil:
    cdef double r2 = y[0] * y[0] + y[1] * y[1]
    cdef double pull = 1.0 / (r2 * sqrt(r2))
    dydt[0], dydt[1] = y[2], y[3]
    dydt[2], dydt[3] = -pull * y[0], -pull * y[1]
    return 0


cdef int check(int status) except -1:
    if status < 0:
        raise RuntimeError(mf_error_text(status).decode())
    return 0


def orbit(double[::1] y not None, double dt, long steps, str method="rk4"):
    """Steps the array `y` (x, y, u, v) in place, in fixed steps of any explicit method. No Python inside the loop."""
    cdef bytes name = method.encode()
    cdef const mf_method *record = mf_find(name)
    cdef mf_problem p = mf_new_problem()
    cdef mf_frame f = mf_new_frame()
    cdef mf_sizes sizes
    cdef double[32] par
    cdef double *vectors[8]                  # the carried vectors; the first is the caller's own array
    cdef double *room
    cdef long k
    cdef int j, status = 0
    if record == NULL or record.n_par > 32:
        raise ValueError(f"no method {method!r}")
    if y.shape[0] != 4:
        raise ValueError(f"y: expected 4 numbers, got {y.shape[0]}")
    check(mf_defaults(record, par))
    check(mf_get_sizes(record, par, &sizes))
    room = <double *> calloc((sizes.n_vec + sizes.n_work + 1) * 8, sizeof(double))
    if room == NULL:
        raise MemoryError
    vectors[0] = &y[0]
    for j in range(1, sizes.n_vec):
        vectors[j] = room + 8 * j
    p.n, p.rhs = 4, gravity
    f.n, f.ld, f.h, f.p, f.par, f.flags = 4, 8, dt, &p, par, MF_FRESH
    f.x0, f.x1 = <const double *const *> vectors, vectors
    f.work = room + 8 * sizes.n_vec
    with nogil:
        for k in range(steps):
            f.k, f.t = k, k * dt
            status = mf_step(record, &f)
            if status != 0:
                break
            f.flags = 0                      # what the method carries beside y is filled from now on
    free(room)
    check(status)


def orbit_to(double[::1] y not None, double t_end, double rtol):
    """The state at t_end under error control: a run owns its buffers and chooses its steps."""
    cdef mf_problem p = mf_new_problem()
    cdef mf_run_options options = mf_new_run_options()
    cdef const double *start = &y[0]
    cdef const double *const *found
    cdef mf_run *run
    cdef int status = 0
    p.n, p.rhs = 4, gravity
    options.rtol = options.atol = rtol
    run = mf_run_new(mf_find(b"dopri5"), &p, &options, &start, &status)
    check(status)
    with nogil:
        status = mf_run_advance(run, t_end, 1_000_000)
    found = mf_run_y(run, NULL, NULL)
    out = [found[0][j] for j in range(4)]
    mf_run_free(run)
    check(status)
    return out


def fit_circle(double[:, ::1] points not None, double lr, long steps):
    """Centre and radius of the circle nearest to points, by Adam: the host has the gradient, the method updates it in place."""
    cdef const mf_method *record = mf_find(b"adam")
    cdef double[32] par, coef
    cdef double[8] scal
    cdef double[3] c, m, v, g
    cdef double *x[3]
    cdef double dx, dy, r, e
    cdef ptrdiff_t i
    cdef long k
    cdef int status = 0
    check(mf_defaults(record, par))
    for i in range(record.n_par):
        if record.par[i].name == b"lr":
            par[i] = lr
    for i in range(8):
        scal[i] = 0.0
    for i in range(3):
        c[i] = 1.0 if i == 2 else 0.0
        m[i] = v[i] = 0.0
    x[0], x[1], x[2] = c, m, v
    with nogil:
        for k in range(steps):
            g[0] = g[1] = g[2] = 0.0
            for i in range(points.shape[0]):
                dx, dy = c[0] - points[i, 0], c[1] - points[i, 1]
                r = sqrt(dx * dx + dy * dy)
                e = (r - c[2]) / points.shape[0]
                g[0] += e * dx / r
                g[1] += e * dy / r
                g[2] -= e
            status = mf_begin(record, par, k, scal, coef)
            if status == 0:
                status = mf_update(record, coef, 1.0, 0, 3, x, g)
            if status != 0:
                break
    check(status)
    return c[0], c[1], c[2]
