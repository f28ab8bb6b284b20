"""The scout: steps along a branch of roots and along the flow, and looks at M. For branch.pyx."""
from libc.math cimport fabs
from libc.stddef cimport ptrdiff_t

from mflow_core.solvers.newton cimport newton_t

cdef enum:
    MOST_PARTS = 64                      # of a way, at whose ends f is looked at

cdef double LONG_WAY                     # of the size of the state: f is looked at more often on the way
cdef double FALLS                        # of a way: the least by which the residual falls along it
cdef double LONG                         # relative length of a difference that must be right to three digits


cdef double distance(newton_t *s, const double *a, const double *b) noexcept nogil
cdef bint is_nothing(const newton_t *s, const double *z, const double *r) noexcept nogil
cdef int look_at(newton_t *scout, double t, double gh, const double *z, int *regular) noexcept nogil
cdef int stand(newton_t *s, double t, double gh, const double *r) noexcept nogil
cdef bint fits(const newton_t *s, int regular, bint lenient) noexcept nogil
cdef int parts_of(ptrdiff_t n, const double *weight, const double *a, const double *b, bint wide, double *parts) noexcept nogil
cdef int bends(newton_t *s, double t, double gh, const double *r, const double *a, const double *f_a, const double *b, double way,
               bint wide, bint strict) noexcept nogil
cdef double first_update(newton_t *s, double t, double gh, const double *r, int *status) noexcept nogil
cdef int depart(newton_t *scout, double t, double gh, const double *r) noexcept nogil
cdef int follow(newton_t *s, double t, double gh, const double *r) noexcept nogil
cdef int relax(newton_t *s, double t, double gh, const double *r) noexcept nogil


cdef inline int open_or(int status) noexcept nogil:
    """The answer of a question where a callback has returned `status`: 1 where it could not say, and a negative code is passed on."""
    return status if status < 0 else status != 0


cdef inline bint is_still(ptrdiff_t n, const double *z, const double *base, const double *y) noexcept nogil:
    """Whether the way from base (NULL: from 0) to z is within the rounding of y: f is rounding there, and there is no branch to follow."""
    cdef ptrdiff_t i
    for i in range(n):
        if not fabs(z[i] - (base[i] if base != NULL else 0.0)) <= 16.0 * 2.220446049250313e-16 * fabs(y[i]):
            return False
    return True
