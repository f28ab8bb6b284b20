"""A problem seen from inside: from one side of its breaks, and where none of some components is below 0."""
from libc.stddef cimport ptrdiff_t
from libc.stdint cimport int64_t

from mflow_core.types cimport mf_energy_fn, mf_jac_fn, mf_problem


ctypedef struct inside_t:
    mf_problem of                        # the problem as it was
    mf_jac_fn jac
    void *jac_ctx
    mf_energy_fn forms
    double low, high                     # times are handed on between these
    const int64_t *signs                 # components that are kept at 0 or above
    ptrdiff_t n_signs, left              # left: the one that was below 0 last; -1: none
    double *nearest                      # the state with what was below 0 at 0 (Jacobians)


cdef inline bint below_zero(inside_t *s, const double *y) noexcept nogil:
    """Whether a component is below 0 that must not be; it is remembered."""
    cdef ptrdiff_t k
    for k in range(s.n_signs):
        if y[s.signs[k]] < 0.0:
            s.left = s.signs[k]
            return True
    return False
