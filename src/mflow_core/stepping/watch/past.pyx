"""Looks at fixed explicit steps, in passing.

Past the stability limit the fast modes of a problem grow. On a linear problem that ends in an overflow; where f saturates, they go back and
forth without end, or come to rest where f is not 0, and every number stays finite. Between two arguments of f, y and y',

    h |f(y') - f(y)| / |y' - y|

is h |lambda| of the modes that the step moves along. A look takes the largest of the slopes of a step, and of long states that of the last
two, the richest in fast modes (as in a power iteration); where a step has one slope it takes that of two steps in a row. It is taken in
plain numbers, and with each component in units of itself or of what a step moves it by, and the larger one counts: a fast component may be small.
Movements below `MOVES` of the state are left out: rounding, and modes that have not grown yet.

A look costs two passes over the state and no evaluation. Looks come every few steps at first, and are rare later (`gap`). Where `most` of
them lie beyond the edge, the loop returns PAST_DUE, once, and the driver measures the Jacobian itself: a look alone is no verdict, for
secants of forcing and noise are as steep. Which steps are looked at follows from their number alone, so that no cut of a run changes it.
"""
from libc.math cimport sqrt
from libc.stddef cimport ptrdiff_t
from libc.stdint cimport int64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy

cimport numpy as cnp

from mflow_core.arithmetic.vec cimport MF_SHORT
from mflow_core.stepping.run cimport run_t, try_step
from mflow_core.stepping.stepper cimport Run
from mflow_core.types cimport MF_FRESH, MF_FSAL, MF_IMPLICIT, MF_MULTISTEP, MF_NEEDS_RHO, MF_SECOND_ORDER, mf_problem

import numpy as np

cnp.import_array()

DUE = PAST_DUE

cdef enum:
    LANES = 8
    NUMBERS = 6                          # of a look that is packed, before its slope
    MANY = 1000                          # components, from which on looks are rarer still

cdef double MOVES = 1e-8                 # the square of a movement, relative to that of the state


cdef inline int64_t gap(ptrdiff_t n, int64_t k) noexcept nogil:
    """Steps between looks; each divides the next."""
    if n <= MF_SHORT:
        return 2 if k < 8 else 8 if k < 32 else 32 if k < 256 else 512
    if n <= MANY:
        return 8 if k < 32 else 32 if k < 256 else 512
    return 64 if k < 512 else 512


cdef inline int64_t next_look(ptrdiff_t n, int64_t k) noexcept nogil:
    """The first look from step k on; none at the start, whose transient is the problem's."""
    cdef int64_t every = gap(n, k)
    return k + (every - k % every) % every if k > 0 else every


cdef double steepness(const past_t *past, const double *y, const double *f, ptrdiff_t n) noexcept nogil:
    """The square of h |lambda| between the arguments kept and these; 0 where it cannot be told."""
    cdef double[LANES] size, moved, changed, moved_each, changed_each
    cdef double dy, df, weight, s = 0.0, m = 0.0, c = 0.0, m_each = 0.0, c_each = 0.0, plain, each, h2 = past.h * past.h
    cdef ptrdiff_t i, whole = n - n % LANES
    cdef int j
    for j in range(LANES if whole > 0 else 0):
        size[j] = moved[j] = changed[j] = moved_each[j] = changed_each[j] = 0.0
    for i in range(0, whole, 8):             # LANES
        for j in range(LANES):
            dy, df = y[i + j] - past.y[i + j], f[i + j] - past.f[i + j]
            weight = 1.0 / (y[i + j] * y[i + j] + past.y[i + j] * past.y[i + j] + h2 * (f[i + j] * f[i + j]) + 1e-300)
            size[j] += y[i + j] * y[i + j]
            moved[j] += dy * dy
            changed[j] += df * df
            moved_each[j] += dy * dy * weight
            changed_each[j] += df * df * weight
    for i in range(whole, n):
        dy, df = y[i] - past.y[i], f[i] - past.f[i]
        weight = 1.0 / (y[i] * y[i] + past.y[i] * past.y[i] + h2 * (f[i] * f[i]) + 1e-300)
        s += y[i] * y[i]
        m += dy * dy
        c += df * df
        m_each += dy * dy * weight
        c_each += df * df * weight
    for j in range(LANES if whole > 0 else 0):
        s, m, c = s + size[j], m + moved[j], c + changed[j]
        m_each, c_each = m_each + moved_each[j], c_each + changed_each[j]
    plain = h2 * c / m if m > MOVES * s and m > 0.0 else 0.0
    each = h2 * c_each / m_each if m_each > MOVES else 0.0
    plain = each if each > plain else plain
    return plain if plain < 1e300 else 0.0


cdef int listening(double t, const double *y, double *dydt, ptrdiff_t n, void *ctx) noexcept nogil:
    """The right-hand side, which keeps what the look needs."""
    cdef run_t *r = <run_t *> ctx
    cdef past_t *past = <past_t *> r.past
    cdef int status = r.ode.rhs(t, y, dydt, n, r.ode.ctx)
    cdef double square
    past.calls += 1
    if status != 0 or past.calls <= past.skip:
        return status
    if past.seen > 0:
        square = steepness(past, y, dydt, n)
        past.largest = square if square > past.largest else past.largest
    memcpy(past.y, y, n * sizeof(double))
    memcpy(past.f, dydt, n * sizeof(double))
    past.seen += 1
    return 0


cdef int watched_step(run_t *r, double h) noexcept nogil:
    """`try_step`, and a part of a look: all of it where the step has two slopes."""
    cdef past_t *past = <past_t *> r.past
    cdef mf_problem plain = r.p
    cdef int status
    past.h, past.calls = h, 0
    if past.skip == 0 and r.m.flags & MF_FSAL and not r.f.flags & MF_FRESH:
        memcpy(past.y, r.now[0], r.n * sizeof(double))     # the first slope, which the step before has left
        memcpy(past.f, r.now[1], r.n * sizeof(double))
        past.seen, past.largest = 1, 0.0
    r.p.rhs, r.p.ctx = listening, r
    status = try_step(r, h)
    r.p = plain
    if past.seen < 2 and status == 0:
        return 0                             # the rest of it in the next step
    if status == 0 and past.largest > past.edge * past.edge:
        past.count += 1
        past.steepest = past.largest if past.largest > past.steepest else past.steepest
    past.seen, past.largest = 0, 0.0
    past.next = next_look(r.n, r.k + 1)
    return status


cdef class Past:
    """The looks at a run of fixed explicit steps; without effect on the steps. The run looks as long as this object is there.

    Raises TypeError for a run of a method that is implicit, of several steps, of second order, or that measures its radius itself.
    """
    cdef Run run
    cdef past_t c
    cdef double *kept

    def __cinit__(self, Run run not None):
        cdef int stages = run.r.m.tab.s if run.r.m.tab != NULL else 0
        if run.r.m.step == NULL or run.r.m.flags & (MF_IMPLICIT | MF_MULTISTEP | MF_NEEDS_RHO | MF_SECOND_ORDER) or run.r.p.rhs == NULL:
            raise TypeError(f"{run.record.name}: expected an explicit one-step method of first order")
        self.kept = <double *> calloc(2 * run.r.n + 1, sizeof(double))
        if self.kept == NULL:
            raise MemoryError(f"no memory for looks at {run.r.n} components")
        self.c.y, self.c.f = self.kept, self.kept + run.r.n
        if run.r.n > MF_SHORT:               # of long states two slopes have to do
            self.c.skip = max(0, stages - (3 if run.r.m.flags & MF_FSAL else 2))
        self.c.step, self.c.edge, self.c.most = watched_step, 1.0, 2
        self.run = run
        self.begin()
        run.r.past = &self.c

    def __dealloc__(self):
        if self.run is not None and self.run.r != NULL and self.run.r.past == &self.c:
            self.run.r.past = NULL
        free(self.kept)

    def begin(self):
        """From where the run stands on, with no look at hand."""
        self.c.seen, self.c.largest = 0, 0.0
        self.c.next = next_look(self.run.r.n, self.run.r.k)

    def stop(self):
        """No more looks."""
        self.run.r.past = NULL

    @property
    def count(self):
        """Looks beyond the edge."""
        return self.c.count

    @property
    def due(self):
        """Whether there are enough of them for a measurement."""
        return past_is_due(&self.c)

    @property
    def steepest(self):
        """The largest h |lambda| of these looks; 0 where there are none."""
        return sqrt(self.c.steepest)

    @property
    def edge(self):
        """The h |lambda| beyond which a look counts."""
        return self.c.edge

    def ask(self, double edge, int64_t most):
        """A measurement is due after `most` more looks beyond this edge."""
        self.c.edge, self.c.most, self.c.count, self.c.steepest = edge, most, 0, 0.0

    @property
    def most(self):
        return self.c.most

    def pack(self):
        """What goes on after a checkpoint: numbers, and the slope of a look at hand."""
        cdef ptrdiff_t n = self.run.r.n
        cdef cnp.ndarray out = np.zeros(NUMBERS + (2 * n if self.c.seen else 0))
        cdef double *at = <double *> cnp.PyArray_DATA(out)
        at[0], at[1], at[2], at[3], at[4], at[5] = self.c.edge, self.c.most, self.c.count, self.c.next, self.c.largest, self.c.steepest
        if self.c.seen:
            memcpy(at + NUMBERS, self.kept, 2 * n * sizeof(double))
        return out

    def unpack(self, cnp.ndarray state not None):
        """Where `pack` was called. Raises ValueError for what no run can have come to."""
        cdef ptrdiff_t n = self.run.r.n, size = cnp.PyArray_SIZE(state)
        cdef const double *at = <const double *> cnp.PyArray_DATA(state)
        if size not in (NUMBERS, NUMBERS + 2 * n) or state.dtype != np.float64 or not np.all(np.isfinite(state)):
            raise ValueError(f"past: expected {NUMBERS} finite numbers, or {NUMBERS + 2 * n}, got {size}")
        if not (at[0] > 0.0 and 1.0 <= at[1] < 1e15 and 0.0 <= at[2] < 1e15 and 0.0 <= at[3] <= self.run.r.k + 1024.0):
            raise ValueError(f"past: expected the looks of a run, got {state[:4].tolist()}")
        self.c.edge, self.c.most, self.c.count, self.c.next = at[0], <int64_t> at[1], <int64_t> at[2], <int64_t> at[3]
        self.c.seen, self.c.largest = (1 if size > NUMBERS else 0), at[4]
        self.c.steepest = at[5]
        if size > NUMBERS:
            memcpy(self.kept, at + NUMBERS, 2 * n * sizeof(double))
