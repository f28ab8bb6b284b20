# cython: language_level=3
"""The matrix M of M y' = f(t, y), and its null space.

M may be singular, and may depend on time: then its rows keep their places, and `mass_move` puts the values of another time there; those of
the last few times are kept, as the stages of a step come back to them. Its rows are kept as numbers with their columns (CSR), whatever form it was given in, so that one loop
multiplies by it and one adds it to -gh J. The null space is an orthonormal basis, kept the same way, a vector a row; it is there where the
algebraic part is left out of error norms. Arrays are borrowed.
"""
from libc.math cimport NAN
from libc.stddef cimport ptrdiff_t
from libc.stdint cimport int32_t

ctypedef int (*mass_values_fn)(double t, double *values, void *ctx) noexcept nogil


cdef enum:
    MASS_TIMES = 4                       # the start of a step and three stages


ctypedef struct mass_t:
    const int32_t *indptr                # rows of M: n + 1
    const int32_t *indices
    const double *values
    ptrdiff_t n_null                     # vectors of the null space; 0: M is regular, or its algebraic part counts like the rest
    const int32_t *null_indptr
    const int32_t *null_indices
    const double *null_values
    ptrdiff_t n_left                     # vectors of the left null space, orthonormal: where GMRES solves with a constant M
    const int32_t *left_indptr
    const int32_t *left_indices
    const double *left_values
    mass_values_fn at                    # the entries of M(t); NULL: M is constant
    void *ctx
    double t                             # of `values`; of the others that are kept, NaN where there are none
    double[MASS_TIMES] times
    double *kept                         # (MASS_TIMES, entries)
    ptrdiff_t entries
    int last                             # of these, the one that was made last


cdef inline bint mass_varies(const mass_t *mass) noexcept nogil:
    return mass != NULL and mass.at != NULL


cdef inline int mass_move(const mass_t *borrowed, double t) noexcept nogil:
    """M becomes that of t: 0, or the code of its function."""
    cdef mass_t *mass = <mass_t *> borrowed
    cdef int k, status
    if not mass_varies(mass) or mass.t == t:
        return 0
    for k in range(MASS_TIMES):
        if mass.times[k] == t:
            mass.values, mass.t = mass.kept + k * mass.entries, t
            return 0
    k = (mass.last + 1) % MASS_TIMES
    mass.times[k] = mass.t = NAN
    status = mass.at(t, mass.kept + k * mass.entries, mass.ctx)
    if status == 0:
        mass.last, mass.times[k], mass.t = k, t, t
        mass.values = mass.kept + k * mass.entries
    return status


cdef inline void mass_forget(const mass_t *borrowed) noexcept nogil:
    """M(t) may jump where the state does: it is asked again."""
    cdef mass_t *mass = <mass_t *> borrowed
    cdef int k
    if mass_varies(mass):
        mass.t = NAN
        for k in range(MASS_TIMES):
            mass.times[k] = NAN


cdef inline void mass_times(const mass_t *mass, ptrdiff_t n, const double *v, double *out) noexcept nogil:
    """out = M v; not in place."""
    cdef double sum
    cdef ptrdiff_t i, e
    for i in range(n):
        sum = 0.0
        for e in range(mass.indptr[i], mass.indptr[i + 1]):
            sum += mass.values[e] * v[mass.indices[e]]
        out[i] = sum


cdef inline void add_mass(const mass_t *mass, ptrdiff_t n, double one, double *a) noexcept nogil:
    """a += M, n x n; M = one I where mass is NULL, and no M at all where one is 0."""
    cdef ptrdiff_t i, e
    if mass == NULL:
        for i in range(n):
            a[i * (n + 1)] += one
    elif one != 0.0:
        for i in range(n):
            for e in range(mass.indptr[i], mass.indptr[i + 1]):
                a[i * n + mass.indices[e]] += mass.values[e]


cdef inline void add_mass_to_band(const mass_t *mass, ptrdiff_t n, ptrdiff_t lower, ptrdiff_t room, double one, double *a) noexcept nogil:
    """The same to rows of a band, `room` numbers each; entry (i, j) stands at place j - i + lower."""
    cdef ptrdiff_t i, e
    if mass == NULL:
        for i in range(n):
            a[i * room + lower] += one
    elif one != 0.0:
        for i in range(n):
            for e in range(mass.indptr[i], mass.indptr[i + 1]):
                a[i * room + mass.indices[e] - i + lower] += mass.values[e]


cdef inline bint mass_is_diagonal(const mass_t *mass, ptrdiff_t n) noexcept nogil:
    cdef ptrdiff_t i, e
    for i in range(n):
        for e in range(mass.indptr[i], mass.indptr[i + 1]):
            if mass.indices[e] != i:
                return False
    return True


cdef inline double mass_alone(const mass_t *mass, ptrdiff_t i) noexcept nogil:
    """M_ii of a diagonal M; 1 where there is none."""
    if mass == NULL:
        return 1.0
    return mass.values[mass.indptr[i]] if mass.indptr[i] < mass.indptr[i + 1] else 0.0


cdef inline double mass_size(const mass_t *mass, ptrdiff_t i, const double *size) noexcept nogil:
    """How large (M v)_i may be of a v of these sizes."""
    cdef double sum = 0.0
    cdef ptrdiff_t e
    for e in range(mass.indptr[i], mass.indptr[i + 1]):
        sum += (mass.values[e] if mass.values[e] > 0.0 else -mass.values[e]) * size[mass.indices[e]]
    return sum


cdef inline void leave_null_space(const mass_t *mass, double *v) noexcept nogil:
    """v without its part in the null space of M."""
    cdef double along
    cdef ptrdiff_t k, e
    for k in range(mass.n_null):
        along = 0.0
        for e in range(mass.null_indptr[k], mass.null_indptr[k + 1]):
            along += mass.null_values[e] * v[mass.null_indices[e]]
        for e in range(mass.null_indptr[k], mass.null_indptr[k + 1]):
            v[mass.null_indices[e]] -= along * mass.null_values[e]


cdef inline void scale_rows(const mass_t *mass, ptrdiff_t n, const double *row, double *v) noexcept nogil:
    """v by the scales of scaled.pyx, in `row`; nothing where that is NULL."""
    cdef ptrdiff_t padded = (n + 7) // 8 * 8, i, k, e
    cdef const double *part = row + padded
    cdef double *along = <double *> row + 2 * padded
    if row == NULL:
        return
    for k in range(mass.n_left):
        along[k] = 0.0
        for e in range(mass.left_indptr[k], mass.left_indptr[k + 1]):
            along[k] += mass.left_values[e] * v[mass.left_indices[e]]
        for e in range(mass.left_indptr[k], mass.left_indptr[k + 1]):
            v[mass.left_indices[e]] -= along[k] * mass.left_values[e]
    for i in range(n):
        v[i] = v[i] * row[i]
    for k in range(mass.n_left):
        for e in range(mass.left_indptr[k], mass.left_indptr[k + 1]):
            v[mass.left_indices[e]] += part[k] * along[k] * mass.left_values[e]


cdef inline void slope_sizes(const mass_t *mass, ptrdiff_t n, const double *f, double *out) noexcept nogil:
    """About how large the slopes y' are where M y' = f: f_i by the largest entry of row i, exact where M is diagonal; 0 in rows of zeros."""
    cdef double largest, size
    cdef ptrdiff_t i, e
    for i in range(n):
        largest = 0.0
        for e in range(mass.indptr[i], mass.indptr[i + 1]):
            size = mass.values[e] if mass.values[e] > 0.0 else -mass.values[e]
            largest = size if size > largest else largest
        out[i] = f[i] / largest if largest > 0.0 else 0.0
