"""Peaks of oscillators under a record, for Python: blocks of them through the kernels of spectra.pyx, with looks at signals."""
from cpython.exc cimport PyErr_CheckSignals
from libc.stddef cimport ptrdiff_t

cimport numpy as cnp

from mflow_core.arithmetic.vec cimport mf_fp_enter, mf_fp_leave
from mflow_core.dynamics.spectra cimport COEFFICIENTS, LANES, PEAKS, spectra_t
from mflow_core.registry cimport kernels

import numpy as np

cnp.import_array()

cdef spectra_t SPECTRA = (<spectra_t *> kernels("dynamics.spectra", "_table", b"mflow_core._spectra"))[0]

BLOCK = LANES


def peaks(cnp.ndarray record, cnp.ndarray parts, cnp.ndarray coefficients, bint between):
    """(blocks, 3, LANES): the peaks of |x|, |h x'| and |k x + c h x'|.

    record: float64 samples of p. parts: int32, into how many an interval is cut, a number a block. coefficients: float64
    (blocks, COEFFICIENTS, LANES), in the order of spectra.pxd. between: extrema inside the parts count too.
    """
    cdef ptrdiff_t blocks = parts.shape[0], count = record.shape[0], b
    cdef cnp.ndarray out = np.empty((blocks, PEAKS, LANES))
    cdef const double *p = <const double *> cnp.PyArray_DATA(record)
    cdef const double *coef = <const double *> cnp.PyArray_DATA(coefficients)
    cdef const int *m = <const int *> cnp.PyArray_DATA(parts)
    cdef double *peak = <double *> cnp.PyArray_DATA(out)
    cdef unsigned int mode
    for b in range(blocks):
        with nogil:
            mode = mf_fp_enter()
            if between:
                SPECTRA.between_ends(p, count, m[b], coef + b * COEFFICIENTS * LANES, peak + b * PEAKS * LANES)
            else:
                SPECTRA.at_ends(p, count, m[b], coef + b * COEFFICIENTS * LANES, peak + b * PEAKS * LANES)
            mf_fp_leave(mode)
        PyErr_CheckSignals()
    return out
