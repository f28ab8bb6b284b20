"""Event location on the continuous extension of a step."""
from libc.stddef cimport ptrdiff_t
from libc.stdint cimport int64_t

from mflow_core.types cimport mf_rhs_fn

ctypedef int (*dense_at_fn)(double theta, double *y, void *ctx) noexcept nogil
# The step just taken at theta in [0, 1]: exactly its start at 0 and its end at 1. 0, EVENT_HELD where a component rests at a bound and was
# put there, or < 0 to give up.


cdef enum:
    EVENT_STOP = 1                       # a terminal event has reached its count: see stop_...
    EVENT_FULL = 2                       # no room for what a step may hold; nothing was done: collect, then scan the same step again
    EVENT_ACT = 3                        # an event with an action was met: see stop_..., and call `events_act`
    EVENT_HELD = 4
    EVENT_NAN = -1101                    # an event was NaN or infinite: see bad_...
    EVENT_REFUSED = -1102                # an event (or, bad_which -1, the extension) returned the positive code bad_code
    EVENT_ZENO = -1103                   # event bad_which is met without end about bad_t
    EVENT_ACTION = -1104                 # its action returned the positive code bad_code, or bad_value in component bad_index
    PROBES = 64                          # looks at the first piece behind an action, at most
    EVENT_NUMBERS = 3                    # of an event's state; with actions EVENT_NUMBERS_ACTING
    EVENT_NUMBERS_ACTING = 8


ctypedef struct event_t:
    mf_rhs_fn value                      # g[0] = g(t, y)
    void *ctx
    int direction, samples               # 1: upward alone, -1: downward alone, 0: both, in the direction of integration
    int sign, next_sign                  # last one seen; 0: nothing but zeros yet. next_sign: at the end of the step in hand
    int64_t stop_after, hits             # 0: never terminal
    double last                          # value where the last scan ended
    double *g                            # samples + 1 values over the step in hand
    mf_rhs_fn act                        # y behind it; NULL: it does not act
    void *act_ctx
    double reach                         # the largest |g| of the step that it was met in
    double shift                         # what g is off 0 where its action has left it at the root; see crossings.pyx
    double acted                         # when it acted last, and how often in a row without t having moved; -1: never
    int quick, turn                      # turn: the sign behind the crossing that it acted at
    bint at_root, acting                 # its action has left it at the root; it has acted at the stop in hand


ctypedef struct found_t:
    int which, turn                      # turn: the sign behind the crossing
    double theta, t


ctypedef struct events_t:
    int count, per_step                  # per_step: the most crossings that one step can show
    ptrdiff_t n
    event_t *one
    found_t *step                        # crossings of the step in hand
    double *y                            # the state between
    double *out                          # n numbers for g: a function that fills them all does no harm
    int64_t n_found, room                # rows written, rows there
    int64_t *found_which
    double *found_t
    double *found_y                      # (room, n)
    int64_t calls
    bint acts, held                      # any of them; the extension has put components of the step in hand at their bounds
    double *moved                        # scratch for an action
    double *after                        # the state behind the actions of a stop
    double *found_after                  # (room, n), of what acts: the state behind its action; NULL where nothing does
    int64_t act_from                     # the first row of the stop in hand
    int stop_which                       # where a terminal event ended it; row stop_row holds the state
    int64_t stop_row
    double stop_t, stop_theta
    int bad_which, bad_code              # where an event could not be evaluated
    double bad_t, bad_value
    ptrdiff_t bad_index


cdef inline int event_numbers(const events_t *e) noexcept nogil:
    """How many numbers the state of an event is."""
    return EVENT_NUMBERS_ACTING if e.acts else EVENT_NUMBERS


cdef inline bint events_room(const events_t *e) noexcept nogil:
    """Whether one more step can be scanned before the rows are collected."""
    return e.room - e.n_found >= e.per_step


cdef int events_start(events_t *e, double t0, const double *y0) noexcept nogil
cdef int events_scan(events_t *e, double t0, double t1, double h, dense_at_fn dense_at, void *ctx) noexcept nogil
cdef int events_jump(events_t *e, double t, const double *y) noexcept nogil
cdef int events_act(events_t *e, double t) noexcept nogil
cdef int events_behind(events_t *e, double t) noexcept nogil
cdef int events_finish(events_t *e, double t, const double *y) noexcept nogil
cdef void events_pack(const events_t *e, double *state) noexcept nogil
cdef int events_unpack(events_t *e, const double *state) noexcept nogil
