"""How the arrays of an optimizer lie in what its user passes."""


cdef class Arrangement:
    cdef readonly list forms
    cdef readonly bint grouped
    cpdef list flatten(self, values)
