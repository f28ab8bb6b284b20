"""Updates of Newton's iteration that are small, and are no evidence of a solution."""
from mflow_core.solvers.newton cimport newton_t

cdef enum:
    NOTHING_SAID                         # no stage before has said anything by this J, in this step
    SAID
    FOLLOWED                             # it was doubted

cdef double SWALLOWED


cdef bint stays(double change, double said) noexcept nogil
cdef bint of_another_place(const newton_t *s, bint fresh) noexcept nogil
cdef bint grown(newton_t *s, double size, double part) noexcept nogil
cdef bint is_no_evidence(newton_t *s, int k, double gh, const double *r, const double *z) noexcept nogil
