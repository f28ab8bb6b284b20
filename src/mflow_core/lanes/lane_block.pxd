"""A block of lanes: one thread's buffers and columns. A lane is the place of one trajectory in a SIMD block."""
from libc.stddef cimport ptrdiff_t
from libc.stdint cimport int32_t, int64_t

from mflow_core.arithmetic.control cimport control_t
from mflow_core.lanes.lane_loops cimport WIDTH, caller_t, columns_t, lane_loops_t
from mflow_core.stepping.watch.past cimport past_t
from mflow_core.types cimport mf_frame, mf_method, mf_problem, mf_rhs_lanes_fn, mf_sizes


cdef extern from *:
    """
    #if defined(__GNUC__)
    static inline int64_t mf_next(int64_t *counter) { return __atomic_fetch_add(counter, 1, __ATOMIC_RELAXED); }
    static inline int mf_read(const int *flag) { return __atomic_load_n(flag, __ATOMIC_RELAXED); }
    #else
    #include <windows.h>
    static inline int64_t mf_next(int64_t *counter) { return InterlockedExchangeAdd64((volatile LONG64 *)counter, 1); }
    static inline int mf_read(const int *flag) { return *(volatile const int *)flag; }
    #endif
    """
    int64_t mf_next(int64_t *counter) noexcept nogil
    bint mf_read(const int *flag) noexcept nogil


cdef enum:
    LANE_WAITING = 0x7FFFFFFB            # no code that a callback would return: not integrated to its end, because the batch was stopped


ctypedef struct job_t:                   # what all threads share; one entry a lane in the arrays
    const mf_method *m
    mf_sizes sizes
    double *par
    mf_rhs_lanes_fn rhs
    void *ctx
    ptrdiff_t n, p, lanes, ld            # components, parameters, lanes; n WIDTH <= ld
    int n_D                              # vectors of the continuous extension, 0: no output between steps
    const double *y0                     # lanes x n
    const double *args                   # lanes x p
    const double *t0
    const double *t_end
    const int64_t *steps                 # fixed steps: how many
    double dt, first_step                # dt NaN: error control
    const double *rtol                   # n each
    const double *atol
    control_t control                    # the state that a lane's controller starts from
    int64_t max_steps
    const double *at                     # n_at times to save, in order, common to all
    int64_t n_at
    bint own_times                       # every lane has its own time and step
    double *y_last                       # results: lanes x n
    double *t_last
    double *y                            # lanes x n x n_at
    int32_t *code
    int64_t *nfev
    int64_t *nsteps
    int64_t *nrejected
    int64_t *saved                       # how many of `at`
    double edge                          # h |lambda| between two slopes, from which on a step is kept in `seen`; 0: nobody looks
    double *seen                         # blocks x (5 + 2 n): h |lambda|, t, h, whether there is a state behind, its time; both states
    int64_t begun                        # lanes given out; with one time for all, blocks of them
    int stop


ctypedef struct slot_t:                  # one column of a block
    int64_t lane                         # -1: idle
    int64_t nfev, since, saved           # evaluations, but for those of the block's frame after its count was `since`
    bint fresh                           # has no step yet
    control_t c                          # what is not in columns_t


ctypedef struct block_t:                 # one thread's buffers
    caller_t call                        # first: the adapters of lane_loops.pyx are given the block
    const job_t *job
    mf_problem p                         # what the kernel sees: n WIDTH components
    mf_frame f
    void *memory
    double *vectors                      # every vector, ld apart
    ptrdiff_t n_vectors
    double **now                         # n_vec pointers each
    double **next
    double *s_now
    double *s_next
    double *err
    double *slope0                       # slopes at both ends, where the method has no continuous extension; scratch
    double *slope1
    double *between
    double end                           # the frame's time at the end of the step: what the adapter makes the ends of all lanes of
    past_t past                          # looks at the first lane of a block, in steps of one size
    double *look                         # 7 n numbers: their room, and the state, argument and slope of that lane
    columns_t *of
    double *work1                        # WIDTH numbers each
    double *work2
    slot_t[WIDTH] slot
    int live
    bint slopes_known


cdef lane_loops_t LOOPS                  # of the active level

cdef int block_make(block_t *b, const job_t *job) noexcept nogil
cdef void block_free(block_t *b) noexcept nogil
cdef void begin_lane(block_t *b, int col, int64_t lane) noexcept nogil
cdef void fill_idle(block_t *b, double **x) noexcept nogil
cdef void read_control(const block_t *b, int col, control_t *c) noexcept nogil
cdef void write_control(block_t *b, int col, const control_t *c) noexcept nogil
cdef void retire(block_t *b, int col, int status) noexcept nogil
cdef void retire_all(block_t *b, int status) noexcept nogil
cdef int write_times(block_t *b, bint common) noexcept nogil
