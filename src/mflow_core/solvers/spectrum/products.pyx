"""Products with the Jacobian at hand: its spectral radius, and what they undo below 0. No evaluation of f.

The radius is the growth of v <- J v, the geometric mean over the last products: a pair of complex eigenvalues makes single growths swing.
v starts the same each time, so that what follows from the radius does not depend on how often it was asked for. Lengths are in the weights
of the tolerances, where the components of a badly scaled problem are of one size.
"""
from libc.math cimport INFINITY, fabs, sqrt
from libc.string cimport memcpy, memset

cimport numpy as cnp

from mflow_core.arithmetic.control cimport control_t, exp2_of, log2_of, scaled
from mflow_core.problems.inside cimport inside_t, inward, is_outside
from mflow_core.problems.problem cimport failed
from mflow_core.solvers.matrix cimport BANDED, DENSE, SPARSE, at_diagonal, matrix_t
from mflow_core.solvers.objects cimport as_array
from mflow_core.solvers.stages.mass cimport mass_alone, mass_is_diagonal
from mflow_core.types cimport MF_RETRY_SOLVE

cnp.import_array()

cdef double ALIKE = 4.0                  # what enters beside what leaves
cdef double LIFTED = 1e-3                # of a tolerance: what a component may be moved by alone; at a wall that was met by a whole one

cdef enum:
    LIFTS = 8                            # ways back to 0, one after the other
    FIRST = 4                            # products before growth is looked at
    COUNTED = 8

ctypedef int (*quiet_product)(matrix_t *, const double *, double *) noexcept


cdef int ask_product(matrix_t *m, const double *v, double *out) except -1:
    cdef cnp.ndarray product = (<object> m.c.sparse).product(as_array(v, m.n))
    memcpy(out, cnp.PyArray_DATA(product), m.n * sizeof(double))
    return 0


cdef int sparse_product(matrix_t *m, const double *v, double *out) noexcept with gil:
    cdef int status = (<quiet_product> ask_product)(m, v, out)
    return failed() if status == -1 else status


cdef int jacobian_times(matrix_t *m, const double *v, double *out) noexcept nogil:
    """out = J v; MF_RETRY_SOLVE where no J is at hand."""
    cdef ptrdiff_t n = m.n, width = m.c.lower + m.c.upper + 1, i, j
    cdef const double *row
    cdef double total
    if not m.has_jacobian:
        return MF_RETRY_SOLVE
    if m.c.kind == SPARSE:
        return sparse_product(m, v, out)
    if m.c.kind != DENSE and m.c.kind != BANDED:
        return MF_RETRY_SOLVE
    for i in range(n):
        total = 0.0
        if m.c.kind == DENSE:
            row = m.jacobian + i * n
            for j in range(n):
                total += row[j] * v[j]
        else:
            row = m.jacobian + i * width + m.c.lower - i
            for j in range(max(i - m.c.lower, <ptrdiff_t> 0), min(i + m.c.upper + 1, n)):
                total += row[j] * v[j]
        out[i] = total
    return 0


cdef int jacobian_bend(const void *inside, double t, const double *y, double *dydt, void *ctx) noexcept nogil:
    """What `mflow_core.problems.inside` adds to f below 0, of the matrix ctx."""
    cdef matrix_t *m = <matrix_t *> ctx
    cdef const inside_t *s = <const inside_t *> inside
    cdef double *part = m.kept           # scratch but while J is evaluated, when there is none at hand
    cdef double *out = m.f0
    cdef ptrdiff_t i
    cdef int status
    if not m.has_jacobian:
        return 0
    memset(part, 0, m.n * sizeof(double))
    for i in range(s.n_signs):
        if inward(s, i, y) < 0.0:
            part[s.signs[i]] = y[s.signs[i]] - s.bounds[i]
    status = jacobian_times(m, part, out)
    for i in range(m.n if status == 0 else 0):
        dydt[i] += out[i]
    return status if status < 0 else 0


cdef double diagonal(matrix_t *m, ptrdiff_t i) noexcept nogil:
    """J_ii; 0 where it is not known."""
    if m.c.kind == DENSE or m.c.kind == BANDED:
        return m.jacobian[at_diagonal(m, i)]
    memset(m.kept, 0, m.n * sizeof(double))
    m.kept[i] = 1.0
    return m.f0[i] if jacobian_times(m, m.kept, m.f0) == 0 else 0.0


cdef int jacobian_undo(matrix_t *m, const inside_t *s, const double *y, double *change) noexcept nogil:
    """The change of y that sets components beyond their bounds to these by a change along their columns of J (M^-1 J with a mass matrix that
    is diagonal; algebraic components stay), so that what no slope changes, such as a sum, stays. MF_RETRY_SOLVE where there is no such way."""
    cdef ptrdiff_t k, i
    cdef double own, mass
    cdef int status
    if not m.has_jacobian or (m.c.mass != NULL and not mass_is_diagonal(m.c.mass, m.n)):
        return MF_RETRY_SOLVE
    memset(change, 0, m.n * sizeof(double))
    for k in range(s.n_signs):
        i = s.signs[k]
        if inward(s, k, y) < 0.0:
            own, mass = diagonal(m, i), mass_alone(m.c.mass, i)
            if not own * mass < 0.0:
                return MF_RETRY_SOLVE
            change[i] = -(y[i] - s.bounds[k]) * mass / own
    memcpy(m.kept, change, m.n * sizeof(double))
    status = jacobian_times(m, m.kept, change)
    for i in range(m.n if status == 0 and m.c.mass != NULL else 0):
        mass = mass_alone(m.c.mass, i)
        change[i] = change[i] / mass if mass != 0.0 else 0.0
    return status


# ---- components that are kept on one side of a bound ------------------------------------------------------------------------------------

cdef inline double in_units(const control_t *c, ptrdiff_t i, double change, double y0, double y) noexcept nogil:
    """|change| of component i in units of its tolerance."""
    return fabs(scaled(change, y0, y, c.rtol if c.rtol_of == NULL else c.rtol_of[i], c.atol if c.atol_of == NULL else c.atol_of[i]))


cdef double deepest_below(const inside_t *s, const control_t *c, const double *y0, const double *y, ptrdiff_t *which) noexcept nogil:
    """How far the end y of a step from y0 is beyond its bounds, in units of the tolerances; 0: nowhere."""
    cdef ptrdiff_t k, i
    cdef double most = 0.0, deep
    for k in range(s.n_signs):
        i = s.signs[k]
        if inward(s, k, y) < 0.0:
            deep = in_units(c, i, y[i] - s.bounds[k], y0[i], y[i])
            if not deep <= most:
                most, which[0] = deep, i
    return most


cdef bint moved(const control_t *c, const double *y0, double **end, int vectors, ptrdiff_t n, const double *change) noexcept nogil:
    """Changes the end of a step, if that is by no more than the tolerances. vectors: how many of a multistep method's carried ones know of
    it, as all its differences know of the correction of a step."""
    cdef ptrdiff_t i
    cdef int j
    for i in range(n):
        if not in_units(c, i, change[i], y0[i], end[0][i]) <= 1.0:
            return False
    for j in range(vectors):
        for i in range(n):
            end[j][i] += change[i]
    return True


cdef bint along_step(const inside_t *s, const double *y0, const double *y, ptrdiff_t n, double *change) noexcept nogil:
    """The change that goes a little of the step back, so far that no component is beyond its bound, where that moves no other by much more."""
    cdef double share = 0.0, deep = 0.0
    cdef ptrdiff_t k, i
    for k in range(s.n_signs):
        i = s.signs[k]
        if inward(s, k, y) < 0.0:
            share, deep = max(share, (s.bounds[k] - y[i]) / (y0[i] - y[i])), max(deep, -inward(s, k, y))
    for i in range(n):
        change[i] = share * (y0[i] - y[i])
        if not fabs(change[i]) <= ALIKE * deep:
            return False
    return share < 1.0


cdef double lift(const inside_t *s, const control_t *c, matrix_t *m, const double *y0, double **end, int vectors, ptrdiff_t n,
                 double *change) noexcept nogil:
    """Brings what a step from y0 has left beyond its bounds, by less than a tolerance, to these. First along the columns of J, or along
    the step. Neither moves what no slope changes, such as a sum. Where they are no way, as a change would be more than a tolerance, and
    for what rounding leaves, alone. The most that a component was moved alone, in units of what it may be."""
    cdef double *y = end[0]
    cdef double most = 0.0
    cdef ptrdiff_t k, i
    cdef int j, _try
    for _try in range(LIFTS):
        if not is_outside(s, y):
            break
        if m != NULL and jacobian_undo(m, s, y, change) == 0 and moved(c, y0, end, vectors, n, change):
            continue
        if not (along_step(s, y0, y, n, change) and moved(c, y0, end, vectors, n, change)):
            break
    for k in range(s.n_signs):
        i = s.signs[k]
        if inward(s, k, y) < 0.0:
            most = max(most, in_units(c, i, y[i] - s.bounds[k], y0[i], y[i]))
            for j in range(vectors - 1):
                end[j + 1][i] -= y[i] - s.bounds[k]
        y[i] = y[i] if inward(s, k, y) > 0.0 else s.bounds[k]      # -0 becomes 0 too
    return most if s.met else most / LIFTED


# ---- the spectral radius ----------------------------------------------------------------------------------------------------------------

cdef double jacobian_radius(matrix_t *m) noexcept nogil:
    """About the largest |eigenvalue| of J; INFINITY where no J is at hand, or a product is not finite."""
    cdef double *v = m.kept
    cdef double *product = m.f0
    cdef double size, next_size, growth = 0.0
    cdef ptrdiff_t i
    cdef int k
    for i in range(m.n):                 # of no particular direction
        v[i] = m.size[i] * (0.5 + <double> ((i * 7919 + 13) % 64) / 64.0) * (1.0 if (i * 5 + i // 3) % 7 < 4 else -1.0)
    size = length_of(m, v)
    for k in range(FIRST + COUNTED):
        if not 0.0 < size < INFINITY:
            return 0.0 if size == 0.0 else INFINITY
        for i in range(m.n):
            v[i] = v[i] / size
        if jacobian_times(m, v, product) != 0:
            return INFINITY
        next_size = length_of(m, product)
        if k >= FIRST:
            if not 0.0 < next_size < INFINITY:
                return 0.0 if next_size == 0.0 else INFINITY
            growth += log2_of(next_size)
        memcpy(v, product, m.n * sizeof(double))
        size = next_size
    return exp2_of(growth / COUNTED) if fabs(growth) < COUNTED * 1000.0 else INFINITY


cdef inline double length_of(const matrix_t *m, const double *v) noexcept nogil:
    cdef double total = 0.0
    cdef ptrdiff_t i
    for i in range(m.n):
        total += (v[i] * m.weight[i]) * (v[i] * m.weight[i])
    return sqrt(total)
