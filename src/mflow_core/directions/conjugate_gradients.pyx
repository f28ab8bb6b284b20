"""Nonlinear conjugate gradients: d = -g + beta d, a direction that costs one vector.

    y = g - g_old
    polak_ribiere   beta = max(0, y.g / g_old.g_old)                                     Nocedal and Wright, 5.44 and 5.45
    hager_zhang     beta = max((y - 2 d y.y/d.y).g / d.y, -1/(|d| min(eta, |g_old|)))    eta = 0.01; Hager and Zhang, 1.3, 1.5 and 1.6

Where d is no direction of sufficient descent, d.g <= -0.01 |g|^2 (Gilbert and Nocedal 1992), it begins again with -g. Both want searches
that are more exact than those of quasi-Newton methods: c2 = 0.4.

kept: d of the iteration before. w.d does not overlap it.
"""
from cpython.pycapsule cimport PyCapsule_New
from libc.math cimport sqrt
from libc.stddef cimport ptrdiff_t
from libc.stdint cimport int64_t
from libc.string cimport memcpy

from mflow_core.arithmetic.dot cimport dot, dot_and_square
from mflow_core.directions.records cimport direction, directions_t, padded
from mflow_core.types cimport MF_CHOICE, MF_E_KIND, MF_LOWER_OPEN, MF_REAL, MF_UPPER_OPEN, mf_direction, mf_method

cdef double ETA = 0.01
cdef double SUFFICIENT = 0.01


cdef int cg_room(const mf_method *m, const double *par, ptrdiff_t n, int bounded, int64_t *kept, int64_t *work) noexcept nogil:
    kept[0], work[0] = padded(n), padded(n)
    return MF_E_KIND if bounded else 0


cdef double polak_ribiere(const mf_direction *w) noexcept nogil:
    cdef double old, rise
    cdef ptrdiff_t i
    old = dot(w.g_old, w.g_old, w.n)
    for i in range(w.n):
        w.work[i] = w.g[i] - w.g_old[i]
    rise = dot(w.work, w.g, w.n)
    return rise / old if rise > 0.0 else 0.0


cdef double hager_zhang(const mf_direction *w) noexcept nogil:
    cdef const double *d = w.kept
    cdef double yy, yg, dy, dg, dd, beta, size = sqrt(dot(w.g_old, w.g_old, w.n))
    cdef ptrdiff_t i
    for i in range(w.n):
        w.work[i] = w.g[i] - w.g_old[i]
    yg = dot_and_square(w.work, w.g, w.n, &yy)
    dy, dg = dot(d, w.work, w.n), dot_and_square(d, w.g, w.n, &dd)
    beta = (yg - 2.0 * (dg * (yy / dy))) / dy
    size = -1.0 / (sqrt(dd) * (size if size < ETA else ETA))
    return beta if beta > size else size


cdef int cg_direct(const mf_method *m, mf_direction *w) noexcept nogil:
    cdef double beta, square
    cdef ptrdiff_t i
    w.c2 = w.par[1]
    if w.k > 0:
        beta = hager_zhang(w) if w.par[0] != 0.0 else polak_ribiere(w)
        for i in range(w.n):
            w.d[i] = beta * w.kept[i] - w.g[i]
    else:
        w.first = 1.0 / sqrt(dot(w.g, w.g, w.n))     # a step of length 1: nothing is known of the scale
    if w.k == 0 or not dot_and_square(w.g, w.d, w.n, &square) <= -SUFFICIENT * square:
        for i in range(w.n):
            w.d[i] = -w.g[i]
    memcpy(w.kept, w.d, w.n * sizeof(double))
    return 0


cdef directions_t RECORDS
RECORDS.count = 0
_names = []

direction(&RECORDS, _names, b"cg", b"CG", b"conjugate_gradients|nonlinear_cg|polak_ribiere", b"conjugate_gradients",
    [(b"beta", 0, 0, 1, MF_CHOICE, 0, b"polak_ribiere|hager_zhang", b"the formula of beta"),
     (b"c2", 0.4, 0, 1, MF_REAL, MF_LOWER_OPEN | MF_UPPER_OPEN, b"", b"constant of the curvature rule, where the line search gives none")],
    cg_direct, cg_room,
    b"d = -g + beta d; y = g - g_old; polak_ribiere: beta = max(0, y.g/g_old.g_old); "
    b"hager_zhang: beta = max((y - 2 d y.y/d.y).g/d.y, -1/(|d| min(0.01, |g_old|)))",
    b"Nonlinear conjugate gradients: little memory, and directions that remember the last one.",
    b"E. Polak and G. Ribiere, Rev. Fr. Inform. Rech. Oper. 3 (1969) 35-43; J. Nocedal and S. Wright, Numerical Optimization (2006), 5.2; "
    b"W. Hager and H. Zhang, SIAM J. Optim. 16 (2005) 170-192")

_records = PyCapsule_New(<void *> RECORDS.record, b"mflow_core._rows", NULL)
