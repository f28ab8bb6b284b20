"""Any callable as an mf_problem."""
from cpython.exc cimport PyErr_Occurred
from cpython.ref cimport PyObject
from libc.stddef cimport ptrdiff_t
from libc.stdint cimport int64_t

from mflow_core.problems.inside cimport inside_t
from mflow_core.types cimport mf_energy_fn, mf_jac_fn, mf_problem

ctypedef int (*hessian_fn)(const double *c, double *hess, ptrdiff_t n, void *ctx) noexcept nogil


ctypedef struct hessian_t:
    hessian_fn fun
    void *ctx


cdef class Callback:
    """One Python function with the private arrays that it is called with: the `ctx` of a run."""
    cdef object fun, jac, args, owner
    cdef tuple shape
    cdef object view, out                # arrays that the user's function gets; view is read-only
    cdef double *buffer
    cdef double *out_buffer
    cdef PyObject **stack                # vectorcall arguments: a free slot, then t, y, out, args as the kind has them
    cdef Py_ssize_t n_args
    cdef ptrdiff_t n
    cdef ptrdiff_t lower, upper          # a Jacobian's band; lower < 0: the whole matrix
    cdef public int mode
    cdef bint takes_t, inplace
    cdef public int64_t nfev, njev
    cdef public object look              # look(self, x, value, gradient) at the first gradient, and where differences are all 0; or None
    cdef public object seen              # the list that values as the user's function returned them are added to, or None
    cdef public object within            # (lower, upper), n numbers each, that differences do not leave, or None
    cdef public object scales            # n lengths of differences, relative to max(1, |x_i|), or None: the usual ones
    cdef readonly int bits               # the largest number of significant bits of a slope; no longer counted once it passes 24
    cdef int renew(self) except -1
    cdef int renew_after_error(self) except -1
    cdef int renew_out(self) except -1
    cdef PyObject *call(self, PyObject *fun, double t) except NULL


cdef class Problem:
    """An mf_problem and the objects that keep it alive. Each run has one."""
    cdef mf_problem c
    cdef readonly bint compiled          # no Python inside: may run without the GIL
    cdef readonly bint value_is_free     # one call gives value and gradient
    cdef readonly bint has_value
    cdef readonly Callback callback
    cdef readonly Callback jac_callback  # a Python jac or hess, with arrays of its own
    cdef mf_jac_fn jac                   # the Jacobian of f, or of the gradient flow of a cost, with its context; NULL: none
    cdef void *jac_ctx
    cdef hessian_t hessian
    cdef object owner
    cdef bint energy_whole               # c.energy accounts for every force: by a potential, as a load, or as damping
    cdef bint energy_each_step           # c.energy adds work of a load or damping
    cdef mf_energy_fn energy_inertia     # of c.energy v'Mv/2 alone, where the rest costs something; or NULL
    cdef inside_t *inside                # what its callbacks go through (inside.pyx); NULL: they are its own
    cdef int64_t *calls                  # not NULL: accelerations follow from their arguments alone (a run may repeat steps); their count
    cdef ptrdiff_t state_size(self)
    cdef int state_pack(self, double *state) except -1
    cdef int state_unpack(self, const double *state) except -1


cdef int failed() noexcept


cdef inline int raise_or(int status) except? -1:
    """The status, unless a callback's exception is waiting, which goes on then."""
    if status < 0 and PyErr_Occurred() != NULL:
        return -1
    return status
