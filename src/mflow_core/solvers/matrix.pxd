"""The matrix of an implicit step, M = I - gh J (-J if gh is infinite; the mass matrix in place of I): the source of J, and solves."""
from libc.stddef cimport ptrdiff_t
from libc.stdint cimport int32_t, int64_t, uint64_t

from mflow_core.problems.inside cimport inside_t
from mflow_core.solvers.linalg cimport linalg_t
from mflow_core.solvers.stages.mass cimport mass_t
from mflow_core.types cimport mf_jac_fn, mf_rhs_fn

cdef linalg_t LINALG                     # linear algebra of the active level
cdef double NEARER, NOTHING


cdef enum:
    SIDES = 4                            # tries of a difference beside a wall: both ways, and again NEARER

    DENSE = 0                            # LU of n x n
    BANDED = 1                           # LU of the band
    SPARSE = 2                           # a Python object factors (SciPy's splu)
    KRYLOV = 3                           # no matrix: GMRES on differences of f
    IDENTITY = 4                         # M = I: fixed-point iteration

    BY_DIFFERENCES = 0                   # sources of J: differences of f, or a callback
    BY_CALLBACK = 1                      # jac(t, y) fills n x n
    BY_BAND_CALLBACK = 2                 # jac(t, y) fills the band
    BY_OBJECT = 3                        # the sparse object calls a Python function


ctypedef struct matrix_config_t:         # kind and pattern; the pattern is borrowed and must outlive the matrix
    int kind, source, n_groups, krylov_dim, krylov_cycles
    ptrdiff_t lower, upper, entries
    const int32_t *group                 # of each column: columns of one group share no row. NULL: one column a group, or the groups of the band
    const int32_t *indptr                # pattern by columns (CSC), with a group
    const int32_t *indices
    void *sparse                         # the object behind SPARSE, or the preconditioner of KRYLOV; NULL
    const mass_t *mass                   # borrowed; NULL: M = I
    void *columns                        # NULL, or a Python function of (t, Y) that returns f at every column of Y, as rows


ctypedef struct matrix_t:
    matrix_config_t c
    ptrdiff_t n
    const inside_t *inside               # NULL, or where the state must not leave its domain: the point of J does not
    mf_rhs_fn rhs
    mf_jac_fn jac
    void *rhs_ctx
    void *jac_ctx
    void *block                          # one allocation holds every array below
    double *y                            # the point of J, at time t
    double *least                        # the least increments of its differences
    double *weight                       # w_i of the norm sqrt(mean((w_i d_i)^2)), and 1 / w_i
    double *size
    double *kept                         # y while columns move
    double *believed                     # overstated.pyx: of each component, what M^-1 takes away and f was seen to follow
    double *noise                        # the same: what rounding makes f change by
    double *f0
    double *f1
    double *jacobian                     # n x n, rows of the band, or the pattern's entries
    double *lu
    double *work
    double *wide                         # with columns: points and slopes of all groups
    int32_t *pivots
    const double *at                     # KRYLOV: the point of linearisation, and f at it
    const double *f_at
    double t, gh                         # of J; of the factors
    double t_mass                        # of the M in the factors, where it depends on time
    double unit                          # a change of this weighted norm is too small to matter
    double least_move                    # a lower bound of increments; 0: none is known
    double krylov_tol                    # of the next solve, weighted norm of the residual
    double t_at, gh_at                   # KRYLOV: the operator in use
    double krylov_left                   # of the last solve by GMRES that failed, what it left of the residual; 0: none did in this solve
    double krylov_reach                  # the relative length of those differences
    double krylov_move                   # how far the differences along a vector go, weighted norm
    double *row                          # KRYLOV with a mass matrix: scales of the rows of the equation (scaled.pyx)
    double size_gh                       # |gh J| where a look was taken; infinite: not known
    int regular                          # what a look at M told, of definite.pxd
    bint look                            # look at M whenever it is factored
    bint met                             # a slope that was not finite, since somebody put it to False
    bint symmetric                       # J is: only a positive definite M is regular
    bint verified                        # M is not seen to be regular, but the root that was found with it continues from gh = 0
    double agreed                        # |z - r| of a root of these factors whose whole way from r agreed with M; 0: none yet
    int64_t crossed                      # factorizations at which M was not seen to be regular
    bint watch                           # growth.pyx: error control, where a mode that has outgrown the step counts
    bint outgrown                        # whether one had at the last factorization under watch
    int side                             # the sign of det M for short steps, of definite.pxd; known where has_side
    bint has_side
    int64_t n_outgrown                   # of them in a row with gh of about gh_outgrown
    double gh_outgrown
    double gh_clear                      # the longest gh ahead of which the sign was looked at
    bint has_range                       # whether the real parts of J's eigenvalues are known to be from `lowest` to `highest`, without those
    uint64_t absent                      # of the components that are absent (a bit each)
    double lowest, highest
    bint close                           # since one had, none was offered that is well below
    bint overstated                      # the user's J was seen to be far too large: differences have taken its place
    int64_t looks                        # at that
    int stale                            # a restored point: 1 J, 2 J and the factors are still to be rebuilt
    bint recount                         # the rebuilding of what is stale is counted
    bint has_point, has_jacobian, has_factors
    int64_t njev, nlu, n_rhs, n_rhs_jac, n_krylov
    int64_t again_rhs, again_jac, again_lu   # after a restore, to rebuild what was at hand; not saved


cdef int matrix_make(matrix_t *m, const matrix_config_t *c, ptrdiff_t n) noexcept nogil
cdef void matrix_release(matrix_t *m) noexcept nogil
cdef double weighted_norm(matrix_t *m, const double *d) noexcept nogil
cdef bint finite(const double *x, ptrdiff_t n) noexcept nogil
cdef int matrix_rhs(matrix_t *m, double t, const double *y, double *dydt) noexcept nogil
cdef int matrix_jacobian(matrix_t *m, double t, const double *y, double gh) noexcept nogil
cdef int matrix_factor(matrix_t *m, double gh) noexcept nogil
cdef int matrix_decays(matrix_t *m) noexcept nogil
cdef void matrix_build(matrix_t *m, double gh) noexcept nogil
cdef int matrix_refresh(matrix_t *m) noexcept nogil
cdef int matrix_solve(matrix_t *m, double *b) noexcept nogil
cdef int krylov_apply(const double *v, double *out, ptrdiff_t n, void *ctx) noexcept nogil


cdef inline ptrdiff_t at_diagonal(const matrix_t *m, ptrdiff_t i) noexcept nogil:
    """Where J_ii is in a dense or banded J."""
    return i * (m.n + 1) if m.c.kind == DENSE else i * (m.c.lower + m.c.upper + 1) + m.c.lower


cdef inline double on_diagonal(const matrix_t *m, ptrdiff_t j) noexcept nogil:
    """J_jj of a dense, banded or coloured J."""
    cdef ptrdiff_t entry
    if m.c.group == NULL:
        return m.jacobian[at_diagonal(m, j)]
    for entry in range(m.c.indptr[j], m.c.indptr[j + 1]):
        if m.c.indices[entry] == j:
            return m.jacobian[entry]
    return 0.0
