"""Looks at fixed explicit steps: how h |lambda| along the way compares with what is stable, from slopes that the steps compute anyway."""
from libc.stddef cimport ptrdiff_t
from libc.stdint cimport int64_t

from mflow_core.stepping.run cimport run_t
from mflow_core.types cimport mf_method

cdef enum:
    PAST_DUE = 0x7FFFFFF4                # no code that a callback would return: the driver measures the Jacobian, and goes on


ctypedef struct past_t:
    int (*step)(run_t *r, double h) noexcept nogil       # `watched_step`: loops need no module of this one
    int64_t next                         # the step of the next look
    int64_t until                        # the step at which the driver has its turn, whatever the looks say
    int64_t most, count                  # looks beyond the edge that are due a measurement, and those so far
    int64_t every                        # steps between looks; 0: few of them, by `gap`
    double edge                          # of h |lambda|
    double alarm                         # (h |lambda|)^2 beyond which one look is due a measurement
    double state, bound                  # the square of the state's norm in the look at hand; that beyond which one look is due one
    double largest, steepest             # (h |lambda|)^2 of the look at hand, and of those beyond the edge so far
    double h, t_kept, h_kept             # of the step at hand; the time that the slope kept was asked at, and the step then
    double t_from, h_from                # of the step that the steepest of the looks beyond the edge was taken in
    double t_step, t_after               # where the step at hand begins; `SNAP` steps behind that one
    int64_t k_step, k_from               # the number of the step at hand, and of that one
    const double *y_step
    int snaps                            # 1: the state then is still to be kept, 2: it is
    int seen, calls, skip                # slopes kept in the look at hand; those asked for in this step, and the first that are not kept
    bint noted                           # the look at hand is at the steepest step so far
    bint swells                          # a look beyond the edge has been at a state beyond the bound
    bint moved                           # the run has been put elsewhere since the driver asked
    bint single                          # a step has one slope: a look is at two steps, and at the first of them
    double *y
    double *f
    double *start                        # the state that that step began at
    double *after                        # the state `SNAP` steps behind; NULL: a driver that has its turn on the way looks for itself


cdef void past_init(past_t *past, const mf_method *m, int stages, ptrdiff_t n, double *room, bint snaps) noexcept nogil
cdef void past_starts(past_t *past, ptrdiff_t n, int64_t k) noexcept nogil
cdef void past_opens(past_t *past, int64_t k, double t, double h, const double *y, ptrdiff_t n) noexcept nogil
cdef void past_knows(past_t *past, const double *y, const double *f, ptrdiff_t n) noexcept nogil
cdef void past_hears(past_t *past, double t, const double *y, const double *f, ptrdiff_t n) noexcept nogil
cdef void past_closes(past_t *past, int status, ptrdiff_t n) noexcept nogil


cdef inline bint past_is_due(const past_t *past, int64_t k) noexcept nogil:
    return past.count >= past.most or past.steepest > past.alarm or past.swells or k >= past.until


cdef inline void past_moved(past_t *past) noexcept nogil:
    """The run stands elsewhere than its last step led: slopes are compared with none before."""
    past.seen, past.largest, past.moved = 0, 0.0, True
