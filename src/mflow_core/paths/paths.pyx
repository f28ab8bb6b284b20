"""Paths of a cost from their starts to where its gradient is small, and how far points are from such a path.

A walk is the descent of stepping/descent.pyx, of which some points are kept: all of a short one, and of a long one between `kept` and
2 kept, evenly, for it is thinned out as a whole. A flow is c' = -g under error control (stepping/loops.pyx), all of its points. Both are
runs that the caller has made; with a compiled cost they go from start to end without the GIL, and `stop` ends them between two steps.

A path is a chain of straight pieces. Distances from it skip pieces in groups, by a ball around each group: a point that is farther from
the ball than the best so far needs none of its pieces.
"""
from libc.math cimport INFINITY, sqrt
from libc.stddef cimport ptrdiff_t
from libc.stdint cimport int64_t
from libc.string cimport memcpy

cimport numpy as cnp

from mflow_core.registry cimport REDUCE
from mflow_core.stepping.descent cimport CONVERGED as _CONVERGED, run_descend
from mflow_core.stepping.loops cimport run_adaptive
from mflow_core.stepping.output cimport look_back
from mflow_core.stepping.run cimport run_enter, run_leave, run_t
from mflow_core.stepping.stepper cimport Run, raise_or
from mflow_core.types cimport MF_EMBEDDED, MF_FRESH, MF_FSAL, MF_IMPLICIT

import numpy as np

cnp.import_array()

cdef extern from *:
    """
    #if defined(__GNUC__)
    #define mf_see(flag) __atomic_load_n(flag, __ATOMIC_RELAXED)
    #else
    #define mf_see(flag) (*(volatile int *)(flag))
    #endif
    """
    int mf_see(int *flag) noexcept nogil

cdef enum:
    GROUP = 16                           # pieces of a chain that share a ball
    ARRIVED_ = 0x7FFFFF11                # no code that a callback would return
    STOPPED_ = 0x7FFFFF12
    STIFF_ = 0x7FFFFF13

ARRIVED, STOPPED, STIFF = ARRIVED_, STOPPED_, STIFF_


cdef class Paths:
    """Walks and flows that end where no entry of the gradient is above gtol. Several threads may use one at once, each with its own runs."""
    cdef readonly double gtol
    cdef int stopped

    def __init__(self, double gtol):
        self.gtol = gtol

    def stop(self):
        """Ends walks and flows wherever they are; their status is STOPPED."""
        self.stopped = 1

    def walk(self, Run run not None, int64_t limit, int64_t kept):
        """(status, points (m, n)) of a run made for descent, that has not begun: up to `limit` iterations."""
        cdef ptrdiff_t n = run.r.n
        cdef cnp.ndarray points = np.empty((2 * kept + 2, n))
        cdef double *at = <double *> cnp.PyArray_DATA(points)
        cdef int64_t count = 0
        cdef int status
        if run.r.good == NULL or run.r.inner.value_grad == NULL:
            raise TypeError(f"{run.record.name}: expected a run made for descent; pass descend=True")
        raise_or(run_enter(run.r))
        try:
            if run.compiled:
                with nogil:
                    status = walk(run.r, limit, self.gtol, kept, at, &count, &self.stopped)
            else:
                status = walk(run.r, limit, self.gtol, kept, at, &count, &self.stopped)
            raise_or(status)
        finally:
            run_leave(run.r)
        return status, points[:count].copy()

    def flow(self, Run run not None, double t_end, int64_t most, int inside=0):
        """(status, points (m, n)) of a run under error control that stands before its first step: `most` steps at most, with so many points
        inside each of them, evenly (then the run is made for output between its steps). ARRIVED where the
        gradient is small; STIFF where steps are held at the stability limit, if the run looks for that; 0 at t_end and after `most` steps."""
        cdef ptrdiff_t n = run.r.n
        cdef cnp.ndarray points = np.empty((64 * (inside + 1) + 1, n)), longer
        cdef int64_t count = 0, room
        cdef int status = 0
        if run.r.inner.value_grad == NULL or run.r.err == NULL or run.r.c.q == 0.0 or not run.r.m.flags & MF_EMBEDDED:
            raise TypeError(f"{run.record.name}: expected the flow of a cost under error control; call control and begin first")
        if inside > 0 and run.r.y_between == NULL:
            raise TypeError(f"{run.record.name}: expected a run made for output between its steps; pass dense=True")
        raise_or(run_enter(run.r))
        try:
            while True:
                room = cnp.PyArray_DIM(points, 0)
                if run.compiled:
                    with nogil:
                        status = flow(run.r, t_end, self.gtol, <double *> cnp.PyArray_DATA(points), &count, room, inside, most, &self.stopped)
                else:
                    status = flow(run.r, t_end, self.gtol, <double *> cnp.PyArray_DATA(points), &count, room, inside, most, &self.stopped)
                raise_or(status)
                if status != 0 or run.r.t == t_end or run.r.k >= most:
                    break
                longer = np.empty((2 * room - 1, n))
                memcpy(cnp.PyArray_DATA(longer), cnp.PyArray_DATA(points), room * n * sizeof(double))
                points = longer
        finally:
            run_leave(run.r)
        return status, points[:count].copy()


cdef int walk(run_t *r, int64_t limit, double gtol, int64_t kept, double *points, int64_t *count, int *stopped) noexcept nogil:
    """The iterates x_0, x_1, ..., every `every`-th of them, and once more the last."""
    cdef ptrdiff_t n = r.n
    cdef int64_t k, j, every = 1
    cdef int status = 0
    memcpy(points, r.now[0], n * sizeof(double))
    count[0] = 1
    for k in range(limit + 1):
        if mf_see(stopped):
            return STOPPED_
        status = run_descend(r, 1 if k < limit else 0, gtol, False, INFINITY, False)
        if status != 0 and status != _CONVERGED:
            return status
        if k > 0 and k % every == 0:
            memcpy(points + count[0] * n, r.good, n * sizeof(double))
            count[0] += 1
            if count[0] > 2 * kept:
                for j in range(1, (count[0] + 1) // 2):
                    memcpy(points + j * n, points + 2 * j * n, n * sizeof(double))
                count[0] = (count[0] + 1) // 2
                every *= 2
        if status != 0:
            break
    memcpy(points + count[0] * n, r.good, n * sizeof(double))
    count[0] += 1
    return status


cdef int flow(run_t *r, double t_end, double gtol, double *points, int64_t *count, int64_t room, int inside, int64_t most,
              int *stopped) noexcept nogil:
    """Step by step until there is no room, or `most` are taken."""
    cdef ptrdiff_t n = r.n
    cdef double t
    cdef int status = 0, j
    if count[0] == 0:
        memcpy(points, r.now[0], n * sizeof(double))
        count[0] = 1
    while r.t != t_end and count[0] + inside < room and r.k < most:
        if mf_see(stopped):
            return STOPPED_
        status = run_adaptive(r, 1, t_end, NULL)
        if status != 0:
            return status
        for j in range(1, inside + 1):
            t = r.t_before + (r.t - r.t_before) * j / (inside + 1)
            if look_back(r, t, points + count[0] * n) == 0:     # else the path has no point there
                count[0] += 1
        memcpy(points + count[0] * n, r.now[0], n * sizeof(double))
        count[0] += 1
        status = small_here(r, gtol)
        if status != 0:
            return status
        if r.c.stiff:
            return STIFF_
    return 0


cdef int small_here(run_t *r, double gtol) noexcept nogil:
    """ARRIVED where no entry of the gradient is above gtol; 0 or the callback's code. Explicit pairs carry the slope at the step's end."""
    cdef const double *slope
    cdef int status
    if r.m.flags & MF_FSAL and r.sizes.n_vec > 1 and not r.m.flags & MF_IMPLICIT and not r.f.flags & MF_FRESH:
        slope = r.now[1]
    else:
        status = r.ode.rhs(r.t, r.now[0], r.f.work, r.n, r.ode.ctx)
        if status != 0:
            return status
        slope = r.f.work
    return ARRIVED_ if REDUCE.max_abs(slope, r.n) <= gtol else 0


# ---- distances ------------------------------------------------------------------------------------------------------------------------

cdef double from_piece(const double *p, const double *a, const double *b, ptrdiff_t n) noexcept nogil:
    """The square of the distance of p from the straight piece a ... b."""
    cdef double along = 0.0, length = 0.0, share = 0.0, square = 0.0, d
    cdef ptrdiff_t i
    for i in range(n):
        d = b[i] - a[i]
        length += d * d
        along += (p[i] - a[i]) * d
    if length > 0.0:
        share = along / length
        share = 0.0 if share < 0.0 else 1.0 if share > 1.0 else share
    for i in range(n):
        d = p[i] - a[i] - share * (b[i] - a[i])
        square += d * d
    return square


cdef double from_point(const double *p, const double *q, ptrdiff_t n) noexcept nogil:
    """The distance of two points."""
    cdef double square = 0.0
    cdef ptrdiff_t i
    for i in range(n):
        square += (p[i] - q[i]) * (p[i] - q[i])
    return sqrt(square)


cdef class Chain:
    """A path as a chain of straight pieces, points (m, n), m at least 1 and all finite."""
    cdef cnp.ndarray points, centre, radius
    cdef ptrdiff_t m, n, groups

    def __init__(self, cnp.ndarray points not None):
        self.points = np.ascontiguousarray(points, dtype=np.float64)
        self.m, self.n = cnp.PyArray_DIM(self.points, 0), cnp.PyArray_DIM(self.points, 1)
        self.groups = max(1, (self.m - 1 + GROUP - 1) // GROUP)
        self.centre, self.radius = np.empty((self.groups, self.n)), np.empty(self.groups)
        self.enclose()

    cdef void enclose(self) noexcept:
        """The ball of each group: around its middle point, as wide as its farthest end."""
        cdef const double *at = <const double *> cnp.PyArray_DATA(self.points)
        cdef double *centre = <double *> cnp.PyArray_DATA(self.centre)
        cdef double *radius = <double *> cnp.PyArray_DATA(self.radius)
        cdef ptrdiff_t g, j, last
        cdef double far
        for g in range(self.groups):
            last = min((g + 1) * GROUP, self.m - 1)
            memcpy(centre + g * self.n, at + (g * GROUP + last) // 2 * self.n, self.n * sizeof(double))
            radius[g] = 0.0
            for j in range(g * GROUP, last + 1):
                far = from_point(centre + g * self.n, at + j * self.n, self.n)
                radius[g] = far if far > radius[g] else radius[g]

    cdef double distance(self, const double *p, double most, double enough, ptrdiff_t *nearest) noexcept nogil:
        """The distance of p, if it is below `most`; `most` else. It need not be the least where it is at most `enough`. nearest: the group
        to begin with, and then the nearest."""
        cdef const double *at = <const double *> cnp.PyArray_DATA(self.points)
        cdef const double *centre = <const double *> cnp.PyArray_DATA(self.centre)
        cdef const double *radius = <const double *> cnp.PyArray_DATA(self.radius)
        cdef double best = most, square, found
        cdef ptrdiff_t i, g, j, last, first = nearest[0]
        for i in range(self.groups):
            g = first + i if first + i < self.groups else first + i - self.groups
            if from_point(p, centre + g * self.n, self.n) - radius[g] >= best:
                continue
            last = min((g + 1) * GROUP, self.m - 1)
            square = INFINITY
            for j in range(g * GROUP, max(last, 1) if g == 0 else last):
                found = from_piece(p, at + j * self.n, at + min(j + 1, self.m - 1) * self.n, self.n)
                square = found if found < square else square
            square = sqrt(square)
            if square < best:
                best, nearest[0] = square, g
                if best <= enough:
                    return best
        return best

    def farthest(self, cnp.ndarray points not None):
        """The largest distance of these points (k, n) from the chain: inf where one of them is not finite."""
        cdef cnp.ndarray given = np.ascontiguousarray(points, dtype=np.float64)
        cdef const double *p = <const double *> cnp.PyArray_DATA(given)
        cdef ptrdiff_t k, count = cnp.PyArray_DIM(given, 0), nearest = 0
        cdef double most = 0.0, found
        if cnp.PyArray_DIM(given, 1) != self.n:
            raise ValueError(f"points: expected {self.n} numbers a row, got {cnp.PyArray_DIM(given, 1)}")
        with nogil:
            if not REDUCE.all_finite(p, count * self.n):
                most = INFINITY
            for k in range(count if most < INFINITY else 0):
                found = self.distance(p + k * self.n, INFINITY, most, &nearest)
                most = found if found > most else most
        return most

    def nearest(self, cnp.ndarray points not None, double most=INFINITY):
        """The least distance of these points (k, n) from the chain, `most` at most."""
        cdef cnp.ndarray given = np.ascontiguousarray(points, dtype=np.float64)
        cdef const double *p = <const double *> cnp.PyArray_DATA(given)
        cdef ptrdiff_t k, count = cnp.PyArray_DIM(given, 0), group = 0
        cdef double least = most
        if cnp.PyArray_DIM(given, 1) != self.n:
            raise ValueError(f"points: expected {self.n} numbers a row, got {cnp.PyArray_DIM(given, 1)}")
        with nogil:
            for k in range(count):
                least = self.distance(p + k * self.n, least, 0.0, &group)
        return least
