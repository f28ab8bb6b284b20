"""Trust regions: a step is minimised within a radius, tried as it is, and judged by what it gains of what was predicted.

    min over |z| <= radius of  m(z) = g.z + z.H z/2,   by conjugate gradients from z = 0 (Steihaug 1983; Nocedal and Wright, algorithm 7.2)

They end where the residual g + H z is at most min(1/2, sqrt |g|) |g|, at the radius, or along a direction of negative curvature at the
radius. The radius is a quarter of the step where the ratio is below 1/4, twice itself (at most max_trust_radius) where it is above 3/4 and
the step ended at the radius. A step is taken where the ratio is above eta. Constants are those of SciPy's trust-ncg, but for the largest
radius, 1000 there: a minimum may lie further away than any number of such steps.

kept: radius, |z| of the last step, whether it ended at the radius. work: z, r = g + H z, p, H p. The prediction follows without another
product: m(z) = z.(g + r)/2.
"""
from cpython.pycapsule cimport PyCapsule_New
from libc.math cimport sqrt
from libc.stddef cimport ptrdiff_t
from libc.stdint cimport int64_t

from mflow_core.arithmetic.dot cimport dot, dot_and_square
from mflow_core.directions.records cimport direction, directions_t, padded
from mflow_core.types cimport MF_E_KIND, MF_LOWER_OPEN, MF_REAL, MF_TRUST_REGION, MF_UPPER_OPEN, mf_direction, mf_method

cdef enum:                               # places in kept
    RADIUS = 0
    LENGTH = 1
    AT_EDGE = 2
    KEPT = 8

cdef double LARGEST_RADIUS = 1e150       # its square is finite


cdef int trust_room(const mf_method *m, const double *par, ptrdiff_t n, int bounded, int64_t *kept, int64_t *work) noexcept nogil:
    kept[0], work[0] = KEPT, 3 * padded(n)
    return MF_E_KIND if bounded else 0


cdef double to_edge(const double *z, const double *p, double radius, ptrdiff_t n) noexcept nogil:
    """The t > 0 with |z + t p| = radius, |z| < radius: the root of a quadratic, without cancellation."""
    cdef double zz, pp, zp = dot_and_square(z, p, n, &zz), rest, root
    pp = dot(p, p, n)
    rest = radius * radius - zz
    rest = rest if rest > 0.0 else 0.0
    root = sqrt(zp * zp + pp * rest)
    return rest / (zp + root) if zp > 0.0 else (root - zp) / pp


cdef inline void move(double *z, double *r, const double *p, const double *Hp, double t, ptrdiff_t n) noexcept nogil:
    cdef ptrdiff_t i
    for i in range(n):
        z[i] = z[i] + t * p[i]
        r[i] = r[i] + t * Hp[i]


cdef int steihaug(mf_direction *w, double radius, bint *at_edge) noexcept nogil:
    """The step z in w.d; r = g + H z in the first vector of work."""
    cdef ptrdiff_t n = w.n, ld = padded(w.n), i
    cdef double *z = w.d
    cdef double *r = w.work
    cdef double *p = w.work + ld
    cdef double *Hp = w.work + 2 * ld
    cdef double rr = dot(w.g, w.g, n), size = sqrt(rr), tol, curvature, t, before, zz, zp, pp
    cdef int64_t _k
    cdef int status
    tol = (0.5 if size > 0.25 else sqrt(size)) * size
    for i in range(n):
        z[i], r[i], p[i] = 0.0, w.g[i], -w.g[i]
    at_edge[0] = False
    for _k in range(2 * n + 10):             # n in exact arithmetic
        status = w.hessp(w.x, p, Hp, n, w.hessp_ctx)
        if status != 0:
            return status
        curvature = dot(p, Hp, n)
        if not curvature > 0.0:
            at_edge[0] = True
            move(z, r, p, Hp, to_edge(z, p, radius, n), n)
            return 0
        t = rr / curvature
        zp = dot_and_square(z, p, n, &zz)
        pp = dot(p, p, n)
        if zz + t * (2.0 * zp + t * pp) >= radius * radius:
            at_edge[0] = True
            move(z, r, p, Hp, to_edge(z, p, radius, n), n)
            return 0
        move(z, r, p, Hp, t, n)
        before, rr = rr, dot(r, r, n)
        if sqrt(rr) <= tol:
            return 0
        t = rr / before
        for i in range(n):
            p[i] = t * p[i] - r[i]
    return 0


cdef int trust_direct(const mf_method *m, mf_direction *w) noexcept nogil:
    cdef double *kept = w.kept
    cdef double most = w.par[1] if w.par[1] < LARGEST_RADIUS else LARGEST_RADIUS, square
    cdef bint at_edge
    cdef int status
    if kept[RADIUS] == 0.0:
        kept[RADIUS] = w.par[0] if w.par[0] < most else most
    elif not w.ratio >= 0.25:
        kept[RADIUS] = 0.25 * (kept[LENGTH] if kept[LENGTH] < kept[RADIUS] else kept[RADIUS])
    elif w.ratio > 0.75 and kept[AT_EDGE] != 0.0:
        kept[RADIUS] = 2.0 * kept[RADIUS] if 2.0 * kept[RADIUS] < most else most
    status = steihaug(w, kept[RADIUS], &at_edge)
    if status != 0:
        return status
    w.gain = -0.5 * (dot_and_square(w.d, w.g, w.n, &square) + dot(w.d, w.work, w.n))
    kept[LENGTH], kept[AT_EDGE] = sqrt(square), at_edge
    w.least = w.par[2]
    return 0


cdef directions_t RECORDS
RECORDS.count = 0
_names = []
_inf = float("inf")

cdef mf_method *made = direction(&RECORDS, _names, b"trust_ncg", b"TrustNCG", b"steihaug|newton_cg_trust_region", b"trust_region",
    [(b"initial_trust_radius", 1.0, 0, _inf, MF_REAL, MF_LOWER_OPEN | MF_UPPER_OPEN, b"", b"the first radius"),
     (b"max_trust_radius", _inf, 0, _inf, MF_REAL, MF_LOWER_OPEN, b"", b"the largest radius"),
     (b"eta", 0.15, 0, 0.25, MF_REAL, MF_UPPER_OPEN, b"", b"a step is taken where it gains more than this share of what was predicted")],
    trust_direct, trust_room,
    b"z = argmin of g.z + z.H z/2 within |z| <= radius, by conjugate gradients; c += z where the cost falls by more than eta of the prediction",
    b"Newton's method with a trust region, from products H p alone: it follows negative curvature, and converges fast near a minimum.",
    b"T. Steihaug, SIAM J. Numer. Anal. 20 (1983) 626-637; J. Nocedal and S. Wright, Numerical Optimization (2006), algorithms 4.1 and 7.2")
made.flags = MF_TRUST_REGION

_records = PyCapsule_New(<void *> RECORDS.record, b"mflow_core._rows", NULL)
