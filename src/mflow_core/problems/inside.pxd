"""A problem seen from inside: from one side of its breaks, and where none of some components is below 0."""
from libc.stddef cimport ptrdiff_t
from libc.stdint cimport int64_t

from mflow_core.types cimport mf_energy_fn, mf_jac_fn, mf_problem

ctypedef int (*bend_fn)(const void *inside, double t, const double *y, double *dydt, void *ctx) noexcept nogil
# dydt += J (y - y+) of the components that are beyond their bounds, of an inside_t; dydt is f at the nearest state inside, y+. 0, or a code of f.


ctypedef struct inside_t:
    mf_problem of                        # the problem as it was
    mf_jac_fn jac
    void *jac_ctx
    mf_energy_fn inertia
    double low, high                     # times are handed on between these
    const int64_t *signs                 # components that are kept on one side of a bound
    ptrdiff_t n_signs, left              # left: the one that was beyond last; -1: none
    double *nearest                      # the state with what was beyond at its bound, and room for a slope
    bend_fn bend                         # NULL, or what f's own extension below 0 lacks: see `run_solve_with`
    void *bend_ctx
    const double *bounds                 # of signs: 0, or where a wall stands
    const double *sides                  # 1: at the bound or above; -1: or below
    bint met                             # these are walls that the run has met: components may rest there, and keep no sums that are known


cdef inline double inward(const inside_t *s, ptrdiff_t k, const double *y) noexcept nogil:
    """How far the k-th of them is inside its bound; below 0: how far beyond."""
    return s.sides[k] * (y[s.signs[k]] - s.bounds[k])


cdef inline bint is_outside(const inside_t *s, const double *y) noexcept nogil:
    """Whether a component is beyond its bound."""
    cdef ptrdiff_t k
    for k in range(s.n_signs):
        if inward(s, k, y) < 0.0:
            return True
    return False


cdef inline void move_inside(const inside_t *s, double *y) noexcept nogil:
    """The nearest state inside."""
    cdef ptrdiff_t k
    for k in range(s.n_signs):
        if inward(s, k, y) < 0.0:
            y[s.signs[k]] = s.bounds[k]


cdef int mirrored(const void *inside, double t, const double *y, double *dydt, void *ctx) noexcept nogil
