"""Looks at fixed explicit steps, in passing.

Past the stability limit the fast modes of a problem grow. On a linear problem that ends in an overflow; where f saturates, they go back and
forth without end, or come to rest where f is not 0, and every number stays finite. Between two arguments of f, y and y',

    h |f(y') - f(y)| / |y' - y|

is h |lambda| of the modes that the step moves along. A look takes the largest of the slopes of a step, and of long states that of the last
two, the richest in fast modes (as in a power iteration); where a step has one slope it takes that of two steps in a row. It is taken in
plain numbers, and with each component in units of itself or of what a step moves it by, and the larger one counts: a fast component may be small.
Movements below `MOVES` of the state are left out: rounding, and modes that have not grown yet.

A look costs two passes over the state and no evaluation. Beside a right-hand side in Python that is little, and every step of a state
of up to `CALLED` components is looked at: one step may leap past where f is steep, and all that follow are in places where it is not. Else looks come every few
steps at first, and are rare later (`gap`). Where `most` of them lie beyond the edge, the loop returns PAST_DUE, once, and the driver
measures the Jacobian itself, around the steepest of these steps, whose start is kept: a look alone is no verdict, for secants of forcing
and noise are as steep. So is one where the state has grown by orders of magnitude: where the Jacobian depends on time, steps may be past the
limit late, when many looks at forcing have found nothing. Which steps are looked at follows from their number alone, so that no cut of a run changes it.
"""
from libc.math cimport INFINITY, sqrt
from libc.stddef cimport ptrdiff_t
from libc.stdint cimport int64_t
from libc.stdlib cimport free
from libc.string cimport memcpy, memset

cimport numpy as cnp

from mflow_core.arithmetic.memory cimport mf_zeros
from mflow_core.arithmetic.vec cimport MF_SHORT
from mflow_core.registry cimport REDUCE
from mflow_core.stepping.run cimport run_t, try_step
from mflow_core.stepping.stepper cimport Run
from mflow_core.types cimport MF_FRESH, MF_FSAL, MF_IMPLICIT, MF_MULTISTEP, MF_NEEDS_RHO, MF_SECOND_ORDER, mf_method, mf_problem

import numpy as np

cnp.import_array()

DUE = PAST_DUE

cdef enum:
    LANES = 8
    SNAP = 8                             # steps behind the steepest one, after which the run has come back, or has not
    NUMBERS = 17                         # that are packed, before the vectors
    MANY = 1000                          # components, from which on looks are rarer still
    CALLED = 128                         # components of a right-hand side in Python, up to which it costs far more than looks do

UNTIL = SNAP                             # for drivers

cdef int64_t NEVER = <int64_t> 1 << 62
cdef double LARGEST = 1e300              # that is packed of a state's size, which may overflow
cdef double MOST = 1e15                  # steps, and looks, that a checkpoint may speak of
cdef double SWELLS = 1e4                 # times the square of the state at the first look, beyond which it has grown, where nobody asks on the way
cdef double MOVES = 1e-8                 # the square of a movement, relative to that of the state


cdef inline int64_t gap(ptrdiff_t n, int64_t k) noexcept nogil:
    """Steps between looks; each divides the next."""
    if n <= MF_SHORT:
        return 2 if k < 8 else 8 if k < 32 else 32 if k < 256 else 512
    if n <= MANY:
        return 8 if k < 32 else 32 if k < 256 else 512
    return 64 if k < 512 else 512


cdef inline int64_t next_look(const past_t *past, ptrdiff_t n, int64_t k) noexcept nogil:
    """The first look from step k on; rare ones leave out the start, whose transient is the problem's."""
    cdef int64_t every = past.every if past.every else gap(n, k)
    if every == 1:
        return k
    return k + (every - k % every) % every if k > 0 else every


cdef double steepness(past_t *past, const double *y, const double *f, ptrdiff_t n) noexcept nogil:
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
    past.state = s
    plain = h2 * c / m if m > MOVES * s and m > 0.0 else 0.0
    each = h2 * c_each / m_each if m_each > MOVES else 0.0
    plain = each if each > plain else plain
    return plain if plain < 1e300 else 0.0


cdef void past_init(past_t *past, const mf_method *m, int stages, ptrdiff_t n, double *room, bint snaps) noexcept nogil:
    """Looks that nobody has asked for yet, in room for 3 n numbers; 4 n where the state behind the steepest step is kept too."""
    memset(past, 0, sizeof(past_t))
    past.y, past.f, past.start, past.after = room, room + n, room + 2 * n, room + 3 * n if snaps else NULL
    past.single = stages == 1
    if n > MF_SHORT and m.tab != NULL:       # of long states two slopes have to do; a method without a tableau has all of them looked at
        past.skip = max(0, m.tab.s - (3 if m.flags & MF_FSAL else 2))
    past.step, past.edge, past.most, past.until, past.alarm, past.bound = watched_step, 1.0, 1, NEVER, INFINITY, INFINITY


cdef void past_starts(past_t *past, ptrdiff_t n, int64_t k) noexcept nogil:
    """Nothing has been seen; the run stands before step k."""
    past.seen, past.snaps, past.count, past.largest, past.steepest, past.swells = 0, 0, 0, 0.0, 0.0, False
    if past.after != NULL:
        past.bound = 0.0                     # nobody asks on the way: the first look sets it
    past.next = next_look(past, n, k)


cdef void past_opens(past_t *past, int64_t k, double t, double h, const double *y, ptrdiff_t n) noexcept nogil:
    """A step that is looked at begins."""
    past.h, past.calls, past.k_step, past.t_step, past.y_step = h, 0, k, t, y
    if past.snaps == 1 and k >= past.k_from + SNAP:
        memcpy(past.after, y, n * sizeof(double))
        past.t_after, past.snaps = t, 2


cdef void past_knows(past_t *past, const double *y, const double *f, ptrdiff_t n) noexcept nogil:
    """The first slope of the step, which the step before has left."""
    memcpy(past.y, y, n * sizeof(double))
    memcpy(past.f, f, n * sizeof(double))
    past.seen, past.largest = 1, 0.0


cdef inline bint counts(const past_t *past) noexcept nogil:
    """Whether the look at hand may be the steepest: those at states that have grown come before all others."""
    return past.state > past.bound or not past.swells


cdef void past_hears(past_t *past, double t, const double *y, const double *f, ptrdiff_t n) noexcept nogil:
    """A slope that the step has asked for."""
    cdef double square
    past.calls += 1
    if past.calls <= past.skip:
        return
    if past.seen > 0:
        square = steepness(past, y, f, n)
        if square > past.edge * past.edge and past.state > past.bound and not past.swells:
            note_start(past, n)
            past.swells, past.largest, past.steepest = True, square, 0.0
        elif square > past.largest:
            past.largest = square
            if square > past.edge * past.edge and square > past.steepest and counts(past):
                note_start(past, n)
    memcpy(past.y, y, n * sizeof(double))
    memcpy(past.f, f, n * sizeof(double))
    past.t_kept, past.h_kept = t, past.h
    past.seen += 1


cdef void note_start(past_t *past, ptrdiff_t n) noexcept nogil:
    """Where the step began that the look at hand is at."""
    if past.single:
        memcpy(past.start, past.y, n * sizeof(double))
        past.t_from, past.h_from, past.k_from = past.t_kept, past.h_kept, past.k_step - 1
    else:
        memcpy(past.start, past.y_step, n * sizeof(double))
        past.t_from, past.h_from, past.k_from = past.t_step, past.h, past.k_step
    past.snaps, past.noted = 1 if past.after != NULL else 0, True


cdef void past_closes(past_t *past, int status, ptrdiff_t n) noexcept nogil:
    """The step is over; where it had two slopes, or the one before had the other, so is the look."""
    if past.seen < 2 and status == 0:
        return                               # the rest of it in the next step
    if status == 0 and past.largest > past.edge * past.edge:
        past.count += 1
        past.steepest = past.largest if past.noted else past.steepest
        if past.swells and past.bound == 0.0:
            past.swells, past.bound = False, SWELLS * past.state
    past.seen, past.largest, past.noted = 1 if past.single and past.every == 1 and status == 0 else 0, 0.0, False
    past.next = next_look(past, n, past.k_step + 1)
    if past.snaps == 1 and past.next > past.k_from + SNAP > past.k_step:
        past.next = past.k_from + SNAP


cdef int listening(double t, const double *y, double *dydt, ptrdiff_t n, void *ctx) noexcept nogil:
    """The right-hand side, which keeps what the look needs."""
    cdef run_t *r = <run_t *> ctx
    cdef int status = r.ode.rhs(t, y, dydt, n, r.ode.ctx)
    if status == 0:
        past_hears(<past_t *> r.past, t, y, dydt, n)
    return status


cdef int watched_step(run_t *r, double h) noexcept nogil:
    """`try_step`, and a part of a look: all of it where the step has two slopes."""
    cdef past_t *past = <past_t *> r.past
    cdef mf_problem plain = r.p
    cdef bint cuts = r.cuts
    cdef int status
    past_opens(past, r.k, r.t, h, r.now[0], r.n)
    if past.skip == 0 and r.m.flags & MF_FSAL and not r.f.flags & MF_FRESH:
        past_knows(past, r.now[0], r.now[1], r.n)
    r.p.rhs, r.p.ctx, r.cuts = listening, r, False       # it is one call that is listened to, of the whole state
    status = try_step(r, h)
    r.p, r.cuts = plain, cuts
    past_closes(past, status, r.n)
    return status


cdef class Past:
    """The looks at a run of fixed explicit steps; without effect on the steps. The run looks as long as this object is there.

    Raises TypeError for a run of a method that is implicit, of several steps, of second order, or that measures its radius itself.
    """
    cdef Run run
    cdef past_t c
    cdef double *kept

    def __cinit__(self, Run run not None):
        if run.r.m.step == NULL or run.r.m.flags & (MF_IMPLICIT | MF_MULTISTEP | MF_NEEDS_RHO | MF_SECOND_ORDER) or run.r.p.rhs == NULL:
            raise TypeError(f"{run.record.name}: expected an explicit one-step method of first order")
        self.kept = <double *> mf_zeros(3 * run.r.n + 1, sizeof(double))      # what a look reads it has written: no page is touched before
        if self.kept == NULL:
            raise MemoryError(f"no memory for looks at {run.r.n} components")
        past_init(&self.c, run.r.m, run.record.stages, run.r.n, self.kept, False)
        if run.r.n <= CALLED and not run.problem.compiled:
            self.c.every = 1
        self.run = run
        self.begin()
        run.r.past = &self.c

    def __dealloc__(self):
        if self.run is not None and self.run.r != NULL and self.run.r.past == &self.c:
            self.run.r.past = NULL
        free(self.kept)

    def begin(self):
        """From where the run stands on, with no look at hand."""
        past_moved(&self.c)
        self.c.next = next_look(&self.c, self.run.r.n, self.run.r.k)

    def stop(self):
        """No more looks."""
        self.run.r.past = NULL

    def outgrows(self, cnp.ndarray start not None, double factor):
        """Whether the largest component of the state is above `factor` times that of this start, a C-contiguous float64 array other than 0."""
        cdef double first
        if cnp.PyArray_TYPE(start) != cnp.NPY_DOUBLE or not cnp.PyArray_ISCARRAY_RO(start):
            raise TypeError(f"start: expected a C-contiguous float64 array, got dtype {(<object> start).dtype}")
        first = REDUCE.max_abs(<double *> cnp.PyArray_DATA(start), cnp.PyArray_SIZE(start))
        return REDUCE.max_abs(self.run.r.now[0], self.run.r.n) > factor * first > 0.0

    @property
    def count(self):
        """Looks beyond the edge."""
        return self.c.count

    @property
    def due(self):
        """Whether there are enough of them for a measurement, or the step that was asked for has come."""
        return past_is_due(&self.c, self.run.r.k)

    @property
    def steepest(self):
        """The largest h |lambda| of these looks; 0 where there are none."""
        return sqrt(self.c.steepest)

    @property
    def edge(self):
        """The h |lambda| beyond which a look counts."""
        return self.c.edge

    @property
    def start(self):
        """(t, y, h) of the step that the steepest of them was taken in; None where there are none."""
        if not self.c.count:
            return None
        y = np.empty(self.run.shape)
        memcpy(cnp.PyArray_DATA(<cnp.ndarray> y), self.c.start, self.run.r.n * sizeof(double))
        return self.c.t_from, y, self.c.h_from

    @property
    def state(self):
        """The norm of the state in the last look."""
        return sqrt(self.c.state)

    @property
    def swells(self):
        """Whether the steepest of them was chosen because the state has grown beyond the bound."""
        return self.c.swells

    def ask(self, double edge, int64_t most, *, double alarm=INFINITY, double bound=INFINITY, int64_t wait=0, int64_t until=0):
        """A measurement is due after `most` more looks beyond this edge, the first of them in `wait` steps; after one beyond the alarm, or at
        a state whose norm is beyond the bound; and in `until` steps, if not 0."""
        cdef int64_t k = self.run.r.k
        self.c.edge, self.c.most, self.c.count, self.c.steepest, self.c.until = edge, most, 0, 0.0, k + until if until else NEVER
        self.c.alarm, self.c.bound, self.c.swells, self.c.moved = alarm * alarm, bound * bound, False, False
        if wait:
            self.c.seen, self.c.largest = 0, 0.0
            self.c.next = next_look(&self.c, self.run.r.n, k + wait)

    @property
    def most(self):
        return self.c.most

    @property
    def moved(self):
        """Whether the run has been put elsewhere since."""
        return self.c.moved

    @property
    def used(self):
        """Whether there is anything that a run which goes on must know of."""
        return self.c.seen > 0 or self.c.count > 0 or self.c.edge != 1.0

    def pack(self):
        """What goes on after a checkpoint: numbers, the slope of a look at hand, and the start of the steepest step."""
        cdef ptrdiff_t n = self.run.r.n
        cdef past_t *c = &self.c
        parts = [np.array([c.edge, c.most, c.count, c.next, -1.0 if c.until == NEVER else c.until, c.largest, c.steepest, c.t_kept, c.h_kept,
                           c.t_from, c.h_from, c.seen > 0, c.moved, -1.0 if c.alarm == INFINITY else c.alarm,
                           -1.0 if c.bound == INFINITY else c.bound, c.swells, min(c.state, LARGEST)])]
        if c.seen:
            parts.append(self.vectors(0, 2 * n))
        if c.count:
            parts.append(self.vectors(2 * n, 3 * n))
        return np.concatenate(parts)

    cdef object vectors(self, ptrdiff_t first, ptrdiff_t last):
        out = np.empty(last - first)
        memcpy(cnp.PyArray_DATA(<cnp.ndarray> out), self.kept + first, (last - first) * sizeof(double))
        return out

    def unpack(self, cnp.ndarray state not None):
        """Where `pack` was called. Raises ValueError for what no run can have come to."""
        cdef ptrdiff_t n = self.run.r.n, size = cnp.PyArray_SIZE(state)
        cdef const double *at = <const double *> cnp.PyArray_DATA(state)
        cdef double k = <double> self.run.r.k
        cdef past_t *c = &self.c
        if size < NUMBERS or state.dtype != np.float64 or not np.all(np.isfinite(state)):
            raise ValueError(f"past: expected {NUMBERS} finite numbers and vectors, got {size} numbers")
        if not (at[0] > 0.0 and 1.0 <= at[1] < MOST and 0.0 <= at[2] < MOST and 0.0 <= at[3] <= k + 1024.0 and at[4] <= k + 1024.0):
            raise ValueError(f"past: expected the looks of a run, got {state[:5].tolist()}")
        if not (at[5] >= 0.0 and at[6] >= 0.0 and at[16] >= 0.0 and all(at[i] in (0.0, 1.0) for i in (11, 12, 15))):
            raise ValueError(f"past: expected squares of what looks found, whether one is at hand, whether the run was moved, and whether it swells, got {[at[5], at[6], at[11], at[12], at[15]]}")
        if size != NUMBERS + (2 * n if at[11] else 0) + (n if at[2] else 0):
            raise ValueError(f"past: expected {NUMBERS} numbers and the vectors that they speak of, of {n} components, got {size} numbers")
        c.edge, c.most, c.count, c.next = at[0], <int64_t> at[1], <int64_t> at[2], <int64_t> at[3]
        c.until = NEVER if at[4] < 0.0 else <int64_t> at[4]
        c.largest, c.steepest, c.t_kept, c.h_kept, c.t_from, c.h_from, c.seen = at[5], at[6], at[7], at[8], at[9], at[10], at[11] > 0.0
        c.moved, c.alarm = at[12] > 0.0, INFINITY if at[13] < 0.0 else at[13]
        c.bound, c.swells, c.state = INFINITY if at[14] < 0.0 else at[14], at[15] > 0.0, at[16]
        at += NUMBERS
        if c.seen:
            memcpy(self.kept, at, 2 * n * sizeof(double))
            at += 2 * n
        if c.count:
            memcpy(c.start, at, n * sizeof(double))
