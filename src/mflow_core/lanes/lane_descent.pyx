"""Many descents at once: one optimizer, one cost or a cost for each, and a start, data and an ending for each. A lane is the place of one
descent in a block.

Lanes go in blocks whose vectors lie one behind the other, so that `begin` and the elementwise `update` run once a step for the whole
block. A lane that has ended hands in its result, and the last one that is still moving takes its place. Each lane has the bits and the
ending that `run_descend` would give it alone: the same kernels see the same numbers in the same order. Where a method takes its gradient
ahead of x_k, value and gradient of the result belong to x_k all the same: the cost is evaluated there once a lane has ended.
"""
from libc.math cimport INFINITY, NAN
from libc.stddef cimport ptrdiff_t
from libc.stdint cimport int32_t, int64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy

cimport numpy as cnp

from mflow_core.arithmetic.memory cimport mf_zeros
from mflow_core.arithmetic.vec cimport MF_WILD, mf_fp_enter, mf_fp_leave
from mflow_core.lanes.lane_block cimport mf_read
from mflow_core.lanes.lane_costs cimport LaneCosts
from mflow_core.objectives.objectives cimport objective_t
from mflow_core.registry cimport REDUCE, MethodRecord, mf_sizes_of
from mflow_core.stepping.descent cimport MAX_VECTORS, asks_ahead
from mflow_core.types cimport MF_E_MEMORY, MF_E_NON_FINITE, mf_method, mf_sizes, mf_value_grad_fn

import numpy as np

cnp.import_array()

cdef enum:
    LIMIT = 0                            # how a lane ended; below 0: the code of its cost
    CONVERGED = 1
    NON_FINITE = 2
    DIVERGED = 3
    WAITING = 4                          # not begun, or stopped on the way
    NUMBERS = 512                        # of a block's vectors: they stay in the first cache
    MOST_LANES = 64
    OVERFLOWED = 5                       # as that of `run_descend`
    LINE_SEARCH = 6                      # as LINE_FAILED of descents.pyx

ENDINGS = {"max_iter": LIMIT, "converged": CONVERGED, "non_finite": NON_FINITE, "diverged": DIVERGED, "interrupted": WAITING,
           "overflowed": OVERFLOWED, "line_search_failed": LINE_SEARCH}
GROWTH = 1e6                             # a gradient that has grown by this before the numbers ended: the iteration diverged

cdef double _growth = GROWTH


ctypedef struct slot_t:                  # one lane of a block
    int64_t lane
    mf_value_grad_fn fun
    void *ctx                            # &objective, or the common function's
    objective_t objective           # with data of the lane
    double value, gmax, first
    int64_t extra                        # evaluations beside one an iteration
    bint ahead                           # the last gradient was taken at another point than x_k


ctypedef struct block_t:
    const mf_method *m
    ptrdiff_t n, active
    int n_vec, n_scal
    double *x[MAX_VECTORS]
    double *g
    double *at
    double *good
    double *scal
    double *scal_next
    double *coef
    double *par
    slot_t slots[MOST_LANES]


cdef double *arrays_of(block_t *b, const mf_sizes *sizes, ptrdiff_t lanes) noexcept nogil:
    """One allocation for the vectors and scalars of a block; NULL where there is no memory."""
    cdef ptrdiff_t one = (lanes * b.n + 7) // 8 * 8 + 8, small = (sizes.n_scal + 7) // 8 * 8, coefs = (sizes.n_coef + 7) // 8 * 8
    cdef double *block = <double *> mf_zeros((sizes.n_vec + 3) * one + 2 * small + coefs + b.m.n_par, sizeof(double))
    cdef double *next = block
    cdef int j
    if block == NULL:
        return NULL
    for j in range(sizes.n_vec):
        b.x[j] = next
        next += one
    b.g, b.at, b.good = next, next + one, next + 2 * one
    next += 3 * one
    b.scal, b.scal_next, b.coef = next, next + small, next + 2 * small
    b.par = next + 2 * small + coefs
    b.n_vec, b.n_scal = sizes.n_vec, sizes.n_scal
    return block


cdef class Descents:
    """The lanes: starts (lanes, n) in, last good points out; `work` does some of them and may run in several threads at once.

    fun: an `Objective`, another compiled cost, or a list of them, one a lane. X, y: data of a lane of its own each, (lanes, ...), in the
    place of the objective's. lr: the learning rate of each iteration, where it changes.
    """
    cdef readonly cnp.ndarray x, fun, gmax, first, nit, code, extra
    cdef const mf_method *m
    cdef mf_sizes sizes
    cdef double *par
    cdef MethodRecord record
    cdef LaneCosts costs
    cdef cnp.ndarray lr
    cdef ptrdiff_t n, lanes, per_block
    cdef int64_t limit
    cdef int lr_place
    cdef double gtol
    cdef int stopped

    def __cinit__(self, MethodRecord record, fun, cnp.ndarray starts not None, int64_t limit, double gtol, dict parameters=None, X=None, y=None, lr=None):
        cdef ptrdiff_t k
        if record.m.update == NULL:
            raise ValueError(f"method: expected an optimizer of mflow.optim for a batch, got {record.name}")
        self.record, self.m, self.limit, self.gtol = record, record.m, limit, gtol
        self.par = record.parameters(parameters or {})
        mf_sizes_of(self.m, self.par, &self.sizes)
        if self.sizes.n_vec > MAX_VECTORS:
            raise ValueError(f"method: expected one that carries at most {MAX_VECTORS} vectors for a batch, got {record.name} with {self.sizes.n_vec}")
        self.x = np.array(starts, dtype=np.float64, order="C")
        self.lanes, self.n = cnp.PyArray_DIM(self.x, 0), cnp.PyArray_DIM(self.x, 1)
        self.fun, self.gmax, self.first = (np.full(self.lanes, np.nan) for _ in range(3))    # first: gmax at the start
        self.nit, self.code = np.zeros(self.lanes, dtype=np.int64), np.full(self.lanes, WAITING, dtype=np.int32)
        self.extra = np.zeros(self.lanes, dtype=np.int64)
        self.lr, self.lr_place = lr, -1
        for k in range(self.m.n_par):
            if self.m.par[k].name == b"lr":
                self.lr_place = <int> k
        self.costs = LaneCosts(fun, self.n, self.lanes, X, y)
        self.per_block = min(<ptrdiff_t> MOST_LANES, max(<ptrdiff_t> 1, NUMBERS // max(self.n, <ptrdiff_t> 1)))

    def __dealloc__(self):
        free(self.par)

    def stop(self):
        """Ends `work` wherever it is, at the next iteration; lanes that are not through stay where they began."""
        self.stopped = 1

    def work(self, int64_t lo, int64_t hi):
        """The lanes lo ... hi, without the GIL."""
        cdef int status = 0
        cdef unsigned int mode
        with nogil:
            mode = mf_fp_enter()
            status = self.run(lo, hi)
            mf_fp_leave(mode)
        if status == MF_E_MEMORY:
            raise MemoryError(f"no memory for {self.record.name} on blocks of {self.n} components")
        if status != 0:
            raise RuntimeError(f"{self.record.name}: code {status}")

    cdef int run(self, int64_t lo, int64_t hi) noexcept nogil:
        cdef block_t *b = <block_t *> calloc(1, sizeof(block_t))
        cdef double *block = NULL
        cdef int64_t first
        cdef int status = MF_E_MEMORY
        if b != NULL:
            b.m, b.n = self.m, self.n
            block = arrays_of(b, &self.sizes, self.per_block)
        if block != NULL:
            status = 0
            first = lo
            while first < hi and status == 0 and not mf_read(&self.stopped):
                self.fill(b, first, min(hi - first, <int64_t> self.per_block))
                status = self.descend(b)
                first += self.per_block
        free(block)
        free(b)
        return status

    cdef void fill(self, block_t *b, int64_t first, ptrdiff_t count) noexcept nogil:
        cdef double *starts = <double *> cnp.PyArray_DATA(self.x)
        cdef ptrdiff_t k, j, whole = count * b.n
        b.active = count
        memcpy(b.x[0], starts + first * b.n, whole * sizeof(double))
        for j in range(1, b.n_vec):
            for k in range(whole):
                b.x[j][k] = 0.0
        memcpy(b.par, self.par, b.m.n_par * sizeof(double))
        if b.m.start != NULL:
            b.m.start(b.m, b.par, 0, whole, b.x)
        for k in range(b.n_scal):
            b.scal[k] = 0.0
        for k in range(count):
            self.place(&b.slots[k], first + k)

    cdef void place(self, slot_t *s, int64_t lane) noexcept nogil:
        """Whose cost a lane follows, and over which data."""
        s.lane, s.value, s.gmax, s.first, s.extra, s.ahead = lane, NAN, NAN, NAN, 0, False
        self.costs.place(lane, &s.fun, &s.ctx, &s.objective)     # s.ctx NULL: &s.objective, wherever the slot lies

    cdef void hand_in(self, block_t *b, ptrdiff_t k, int64_t nit, int code) noexcept nogil:
        """Lane k of the block has ended: its result goes out, and the last one takes its place."""
        cdef slot_t *s = &b.slots[k]
        cdef ptrdiff_t n = b.n, last = b.active - 1
        cdef int j
        if s.ahead and s.gmax == s.gmax and code != CONVERGED:       # value and gradient are those ahead of the good point
            s.value, s.gmax = NAN, NAN
            s.extra += 1
            if self.look(b, k, b.good + k * n, &s.value) == 0:
                s.gmax = REDUCE.max_abs(b.g + k * n, n)
            memcpy(<double *> cnp.PyArray_DATA(self.x) + s.lane * n, b.good + k * n, n * sizeof(double))
        elif s.gmax == s.gmax:
            memcpy(<double *> cnp.PyArray_DATA(self.x) + s.lane * n, b.good + k * n, n * sizeof(double))
        (<double *> cnp.PyArray_DATA(self.fun))[s.lane] = s.value
        (<double *> cnp.PyArray_DATA(self.gmax))[s.lane] = s.gmax
        (<double *> cnp.PyArray_DATA(self.first))[s.lane] = s.first
        (<int64_t *> cnp.PyArray_DATA(self.nit))[s.lane] = nit
        (<int32_t *> cnp.PyArray_DATA(self.code))[s.lane] = code
        (<int64_t *> cnp.PyArray_DATA(self.extra))[s.lane] = s.extra
        if k < last:
            s[0] = b.slots[last]
            for j in range(b.n_vec):
                memcpy(b.x[j] + k * n, b.x[j] + last * n, n * sizeof(double))
            memcpy(b.g + k * n, b.g + last * n, n * sizeof(double))
            memcpy(b.at + k * n, b.at + last * n, n * sizeof(double))
            memcpy(b.good + k * n, b.good + last * n, n * sizeof(double))
        b.active = last

    cdef int evaluate(self, block_t *b, ptrdiff_t k, const double *at, int64_t it) noexcept nogil:
        """The gradient of lane k at `at`; how the lane ends there, or WAITING where it goes on."""
        cdef slot_t *s = &b.slots[k]
        cdef double value = NAN, gmax
        cdef const double *here = b.x[0] + k * b.n
        cdef ptrdiff_t i
        cdef int status = self.look(b, k, at, &value)
        if status != 0:
            return status if status < 0 else -status
        gmax = REDUCE.max_abs(b.g + k * b.n, b.n)
        if not gmax < INFINITY or value - value != 0.0:
            return self.no_number(s)
        s.value, s.gmax = value, gmax
        if s.first != s.first:
            s.first = gmax
        memcpy(b.good + k * b.n, here, b.n * sizeof(double))
        s.ahead = False
        if at != here:
            for i in range(b.n):
                if at[i] != here[i]:
                    s.ahead = True
                    break
        if gmax <= self.gtol:
            if not s.ahead:
                return CONVERGED
            status = self.behind(b, k, here)
            if status != 0:
                return status
        return LIMIT if it == self.limit else WAITING

    cdef int look(self, block_t *b, ptrdiff_t k, const double *at, double *value) noexcept nogil:
        """Value and gradient of the cost of lane k."""
        cdef slot_t *s = &b.slots[k]
        return s.fun(at, value, b.g + k * b.n, b.n, s.ctx if s.ctx != NULL or not self.costs.own_data else &s.objective)

    cdef int behind(self, block_t *b, ptrdiff_t k, const double *here) noexcept nogil:
        """The gradient ahead is small: is it so at x_k? CONVERGED, then value and gradient are those there; 0: not yet."""
        cdef slot_t *s = &b.slots[k]
        cdef double *ahead = b.at + k * b.n      # no longer needed as a point: keeps the gradient there
        cdef double value = NAN, gmax
        cdef int status
        memcpy(ahead, b.g + k * b.n, b.n * sizeof(double))
        status = self.look(b, k, here, &value)
        s.extra += 1
        if status != 0:
            return status if status < 0 else -status
        gmax = REDUCE.max_abs(b.g + k * b.n, b.n)
        if gmax <= self.gtol and value - value == 0.0:
            s.value, s.gmax = value, gmax
            return CONVERGED
        memcpy(b.g + k * b.n, ahead, b.n * sizeof(double))
        return 0

    cdef int after_update(self, block_t *b, ptrdiff_t k) noexcept nogil:
        """How lane k ends where its step left a number that is not finite, or WAITING."""
        cdef slot_t *s = &b.slots[k]
        cdef int j
        if not REDUCE.all_finite(b.x[0] + k * b.n, b.n):
            return self.no_number(s)
        if s.gmax >= MF_WILD:            # the square of a gradient may have overflowed in a vector: the lane would stand still
            for j in range(1, b.n_vec):
                if not REDUCE.all_finite(b.x[j] + k * b.n, b.n):
                    return OVERFLOWED
        return WAITING

    cdef int no_number(self, const slot_t *s) noexcept nogil:
        return DIVERGED if s.gmax > _growth * (s.first if s.first > 1e-300 else 1e-300) else NON_FINITE

    cdef int descend(self, block_t *b) noexcept nogil:
        """A block to the end of all its lanes."""
        cdef const double *rates = <double *> cnp.PyArray_DATA(self.lr) if self.lr is not None else NULL
        cdef const double *at
        cdef int64_t it
        cdef ptrdiff_t k
        cdef int status, ending
        cdef bint wild = False
        for it in range(self.limit + 1):
            if mf_read(&self.stopped):
                return 0
            if rates != NULL and it < self.limit:
                b.par[self.lr_place] = rates[it]
            memcpy(b.scal_next, b.scal, b.n_scal * sizeof(double))
            status = b.m.begin(b.m, b.par, it, b.scal_next, b.coef)
            at = b.x[0]
            if status == 0 and b.m.ask != NULL and asks_ahead(b.m, b.n_vec, b.coef):
                status = b.m.ask(b.m, b.coef, 0, b.active * b.n, <const double *const *> b.x, b.at)
                at = b.at
            if status != 0:
                return status
            k = 0
            while k < b.active:
                ending = self.evaluate(b, k, at + k * b.n, it)
                if ending == WAITING:
                    k += 1
                else:
                    self.hand_in(b, k, it, ending)
            if b.active == 0:
                return 0
            status = b.m.update(b.m, b.coef, 1.0, 0, b.active * b.n, b.x, b.g)
            if status != 0 and status != MF_E_NON_FINITE:
                return status
            for k in range(b.active):
                wild |= b.slots[k].gmax >= MF_WILD
            if wild or not REDUCE.all_finite(b.x[0], b.active * b.n):
                wild = False
                k = 0
                while k < b.active:
                    ending = self.after_update(b, k)
                    if ending == WAITING:
                        k += 1
                    else:
                        self.hand_in(b, k, it, ending)
            b.scal, b.scal_next = b.scal_next, b.scal
        return 0
