"""When the leg of one of two methods is over (legs.pyx): looks at its tries and at its steps."""
from libc.math cimport fabs

from mflow_core.solvers.spectrum.products cimport jacobian_radius
from mflow_core.stepping.run cimport LEG_OVER, run_t

cdef enum:
    DOUBTS = 3                           # tries of a first step


cdef int run_doubt(run_t *r, double planned) noexcept nogil:
    """After a try that was thrown away. A first step that an explicit pair has to shorten again and again is one that stiffness does not
    allow, as the estimate of that step knows of none: LEG_OVER, and the other method begins with it. Else 0."""
    if r.newton != NULL or r.k != r.k_base:
        return 0
    r.leg.first = planned if r.leg.tries == 0 else r.leg.first
    r.leg.tries += 1
    if r.leg.tries < DOUBTS or r.c.n_bad > 0:
        return 0
    r.c.h = r.leg.first
    return LEG_OVER


cdef void run_watch(run_t *r, double h, double t_end) noexcept nogil:
    """Whether a leg is over, after a step of h of its own choice. Of an explicit pair: enough looks in a row have seen it held at its
    stability limit (control.pxd), and many such steps are ahead. Of an implicit method: h times the spectral radius of the last Jacobian
    was within the explicit limit in as many steps in a row."""
    if r.newton == NULL:
        r.leg.over = r.c.n_stiff >= r.leg.most and fabs(t_end - r.t) > r.leg.worth * fabs(h)
        return
    if r.leg.njev != r.newton.m.njev:
        r.leg.njev, r.leg.radius = r.newton.m.njev, jacobian_radius(&r.newton.m)
    r.leg.mild = r.leg.mild + 1 if fabs(h) * r.leg.radius < r.leg.limit else 0
    r.leg.over = r.leg.mild >= r.leg.most
