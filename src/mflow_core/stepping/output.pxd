"""What a step leaves behind: saved states, the continuous extension, events."""
from libc.stdint cimport int64_t

from mflow_core.events.crossings cimport events_t
from mflow_core.stepping.run cimport run_t
from mflow_core.types cimport mf_frame


cdef enum:
    RECORD_ACT = 0x7FFFFFFB              # an event that acts: t and the state stand at it, before its action
    RECORD_FULL = 0x7FFFFFFD             # no code that a callback would return: room for no more rows; empty them and go on
    RECORD_EVENT = 0x7FFFFFFE            # a terminal event: t and the state stand at it


ctypedef struct record_t:
    int64_t every, rows, room            # every k-th step; 0: none. Rows written so far, and how many there is room for
    double *y                            # a row a saved state: its visible vectors, one after the other
    double *t
    double *D                            # or NULL: the continuous extension of the step that ends at the row, n_D vectors of n numbers
    int n_D                              # of these room for so many a row; those that the method has not are 0
    double *energy                       # or NULL: LEDGER_COLUMNS numbers a row; NaN at times between steps
    const double *at                     # or: these times, in order
    int64_t n_at, i_at
    events_t *events                     # or NULL
    bint end                             # the step at hand is the last: save it whatever its number


cdef int extend(run_t *r, double t_next) noexcept nogil
cdef int look_back(run_t *r, double t, double *y) noexcept nogil
cdef void polynomial(const mf_frame *f, int degree, double theta, double *y) noexcept nogil
cdef void visible_at(run_t *r, double theta, double *y) noexcept nogil
cdef void hermite(const mf_frame *f, const double *slope0, const double *slope1, double *D) noexcept nogil
cdef bint is_full(const record_t *record) noexcept nogil
cdef int write_step(run_t *r, double *t_next, record_t *record) noexcept nogil
cdef int write_behind(run_t *r, record_t *record) noexcept nogil
