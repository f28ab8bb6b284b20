"""A problem seen from inside: from one side of its breaks, and where none of some components is below 0."""
from libc.stddef cimport ptrdiff_t
from libc.stdint cimport int64_t

from mflow_core.types cimport mf_energy_fn, mf_jac_fn, mf_problem

ctypedef int (*bend_fn)(const void *inside, double t, const double *y, double *dydt, void *ctx) noexcept nogil
# dydt += J y of the components that are below 0 and must not be, of an inside_t; dydt is f at the nearest state inside. 0, or a code of f.


ctypedef struct inside_t:
    mf_problem of                        # the problem as it was
    mf_jac_fn jac
    void *jac_ctx
    mf_energy_fn inertia
    double low, high                     # times are handed on between these
    const int64_t *signs                 # components that are kept at 0 or above
    ptrdiff_t n_signs, left              # left: the one that was below 0 last; -1: none
    double *nearest                      # the state with what was below 0 at 0, and room for a slope
    bend_fn bend                         # NULL, or what f's own extension below 0 lacks: see `run_solve_with`
    void *bend_ctx


cdef inline bint below_zero(const inside_t *s, const double *y) noexcept nogil:
    """Whether a component is below 0 that must not be."""
    cdef ptrdiff_t k
    for k in range(s.n_signs):
        if y[s.signs[k]] < 0.0:
            return True
    return False


cdef inline void raise_to_zero(const inside_t *s, double *y) noexcept nogil:
    """The nearest state inside."""
    cdef ptrdiff_t k
    for k in range(s.n_signs):
        if y[s.signs[k]] < 0.0:
            y[s.signs[k]] = 0.0


cdef int mirrored(const void *inside, double t, const double *y, double *dydt, void *ctx) noexcept nogil
