"""The update of an array whose gradient is looked at on the way, a block at a time while it is in the first cache.

A block that holds a number that is not finite, or would after its step, is left out; all others take the step, so that what has happened
does not depend on how many threads have shared a long array.
"""
from libc.stddef cimport ptrdiff_t

from mflow_core.optimize.tensors cimport tensor_t
from mflow_core.owner cimport mf_give, mf_take
from mflow_core.pool cimport LONG, PIECE, pieces, share
from mflow_core.registry cimport REDUCE
from mflow_core.stepping.descent cimport MAX_VECTORS
from mflow_core.types cimport mf_method


ctypedef struct pass_t:                  # over one array
    const mf_method *m
    const double *coef
    double scale
    tensor_t *tensor
    ptrdiff_t at                         # the first block that was left out; n: none was
    int which, taken                     # the vector that it would have spoiled; the flag of who writes these two


cdef void scanned_piece(void *job, ptrdiff_t part) noexcept nogil:
    """The update of one piece, a block at a time; those that hold a number that is not finite, or would, are left out and noted."""
    cdef pass_t *p = <pass_t *> job
    cdef const double *g = p.tensor.g
    cdef double[512 * MAX_VECTORS] room                   # BLOCK
    cdef ptrdiff_t lo, hi, spot = 0, end = min((part + 1) * <ptrdiff_t> PIECE, p.tensor.n)
    cdef int which
    for lo in range(part * PIECE, end, 512):              # BLOCK
        hi = min(lo + <ptrdiff_t> BLOCK, end)
        if REDUCE.all_tame(g + lo, hi - lo):
            p.m.update(p.m, p.coef, p.scale, lo, hi, p.tensor.x, g)
            continue
        which = 0
        if REDUCE.all_finite(g + lo, hi - lo):
            which = update_kept(p.m, p.coef, p.scale, p.tensor, g, lo, hi, room, &spot)
            if which < 0:
                continue
        while not mf_take(&p.taken):
            pass
        if lo < p.at:
            p.at, p.which = lo, which
        mf_give(&p.taken)


cdef ptrdiff_t update_scanned(const mf_method *m, const double *coef, double gscale, tensor_t *tensor, int *which) noexcept nogil:
    """Where the first block begins that was left out, for a number of its gradient or of vector `which` after the step; n: none was."""
    cdef pass_t p
    cdef ptrdiff_t part
    p.m, p.coef, p.scale, p.tensor, p.at, p.which, p.taken = m, coef, gscale, tensor, tensor.n, 0, 0
    if tensor.n < LONG:
        for part in range(pieces(tensor.n)):
            scanned_piece(&p, part)
    else:
        share(scanned_piece, &p, pieces(tensor.n))
    which[0] = p.which
    return p.at
