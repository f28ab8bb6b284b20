"""The banded LU of the core, for a sparse matrix whose rows and columns can stand in a narrow band: its address, for solves without Python.

Nothing is imported for it where there is no such band.
"""
from cpython.pycapsule cimport PyCapsule_GetPointer


ctypedef struct band_t:                  # what `handle` of a BandLU holds
    void *owner
    void (*solve)(void *owner, double *x, double *y) noexcept    # x, of complex factors x + i y, becomes the solution; the GIL is held


cdef inline int band_solve(band, double *x, double *y) except -1:
    """The solution by the factors of a BandLU. ValueError if it is something else."""
    cdef band_t *c = <band_t *> PyCapsule_GetPointer(band.handle, b"mflow_core.band")
    c.solve(c.owner, x, y)
    return 0
