"""Descent by line searches: a method gives the direction, a search the step."""
from libc.stddef cimport ptrdiff_t
from libc.stdint cimport int64_t

from mflow_core.optimize.linesearch cimport line_t
from mflow_core.types cimport mf_method, mf_problem, mf_sizes


cdef enum:
    BARZILAI_BORWEIN = 4                 # a kind beside those of linesearch.pxd
    MAX_HISTORY = 64                     # values that a nonmonotone search looks back on
    LINE_FAILED = 0x7FFFFFF1             # no code that a callback would return: no search from here met its rule


ctypedef struct descent_t:
    const mf_problem *p
    const mf_method *m
    const double *par
    mf_sizes sizes
    ptrdiff_t n
    int kind, form, memory
    double initial, first_try            # the first trial of every search (0: estimated); of the first search alone (0: estimated)
    line_t line                          # its rule's numbers; x, d and buffers are set for each search
    double *x                            # where it stands, with value and gradient
    double *g
    double *d
    double *x_old                        # the point before (Barzilai and Borwein)
    double *g_old
    double *low                          # the lowest point seen, with its gradient
    double *low_grad
    double **carried                     # x[0] is d, then the method's vectors
    double *scal
    double *coef
    double f, gmax, f_low, first_gmax
    bint low_has_grad, evaluated, fresh, has_old
    double a, slope                      # the last step, and its slope at 0
    bint at_once                         # the last search took its first trial
    double[MAX_HISTORY] values
    int64_t k, row_k, nfev, njev, restarts
    int line_status


ctypedef struct path_t:                  # rows for the iterations of one call; or all NULL
    double *x
    double *d
    double *a
    double *f
