"""The table of method records. One address for life: filled once at import, never written again."""
from mflow_core.arithmetic.control cimport reductions_t
from mflow_core.methods.tableau cimport steps_t
from mflow_core.types cimport mf_method, mf_param, mf_sizes

cdef reductions_t REDUCE                 # reductions of the active level
cdef steps_t STEPS                       # the method of the active level that has a loop over steps of its own

cdef void *kernels(str module, str attribute, const char *capsule, str level=*) except NULL
cdef const mf_method *mf_find(const char *name) noexcept nogil
cdef const mf_method *mf_row(int i) noexcept nogil
cdef int mf_defaults(const mf_method *m, double *par) noexcept nogil
cdef int mf_sizes_of(const mf_method *m, const double *par, mf_sizes *sizes) noexcept nogil
cdef const char *mf_error_text(int code) noexcept nogil


cdef class MethodRecord:
    cdef const mf_method *m
    cdef readonly str level
    cdef double *parameters(self, dict given) except NULL
