"""The energy ledger of a second-order run: what the loops call, and where it is kept."""
from libc.stddef cimport ptrdiff_t

from mflow_core.methods.second_order.hooks cimport hooks_t
from mflow_core.types cimport mf_energy_fn


cdef enum:
    LEDGER_COLUMNS = 6                   # kinetic, potential, load, damping, numerical, residual
    LEDGER_STATE = 9                     # numbers that decide later rows

    NUMERICAL_NONE = 0                   # no formula: the residual shows what the steps did
    NUMERICAL_NEWMARK = 1                # x and v by Newmark's relations, gamma = 1/2
    NUMERICAL_ENDS = 2                   # M a = F at the ends of steps


ctypedef struct ledger_t:
    mf_energy_fn energy
    mf_energy_fn inertia                 # v'Mv/2 alone
    void *ctx
    ptrdiff_t n
    void *block
    double *dx                           # over a step; zero stands for vectors that are not asked for
    double *mean
    double *zero
    double *sum
    int formula
    bint apart                           # a is not M^-1 F at the ends of steps; that is the vector after it
    bint each_step                       # there is a load or damping: their work is asked for at every step
    hooks_t *hooks                       # of the problem, where steps tell it the work of damping; NULL: they do not
    double beta
    double[2] load, damping, numerical   # compensated sums since the start
    double start                         # kinetic + potential there
    double h, base                       # the step in use, and a'Ma/2 where its use began; or v'Mv/2 at the start (NUMERICAL_ENDS)


cdef ledger_t *ledger_make(mf_energy_fn energy, mf_energy_fn inertia, void *ctx, ptrdiff_t n, int formula, double beta, bint each_step,
                           bint apart, bint tells) noexcept nogil
cdef bint ledger_idle(const ledger_t *book, double h) noexcept nogil
cdef bint ledger_told(ledger_t *book) noexcept nogil
cdef void ledger_release(ledger_t *book) noexcept nogil
cdef int ledger_start(ledger_t *book, double t, const double *const *y) noexcept nogil
cdef int ledger_step(ledger_t *book, double t0, const double *const *y0, double t1, const double *const *y1, double h) noexcept nogil
cdef int ledger_part(ledger_t *book, double t0, const double *const *y0, double t1, const double *const *y1, double h) noexcept nogil
cdef int ledger_leave(ledger_t *book, double t, const double *const *y) noexcept nogil
cdef int ledger_enter(ledger_t *book, double t, const double *const *y) noexcept nogil
cdef void ledger_pack(const ledger_t *book, double *state) noexcept nogil
cdef void ledger_unpack(ledger_t *book, const double *state) noexcept nogil
cdef int ledger_row(ledger_t *book, double t, const double *const *y, double *row) noexcept nogil
