"""The C types of mflow.h for Cython: the header's only mirror.

Cython checks nothing here against the header but the C compiler does: a field that is missing there fails to compile.
Make a struct for the library with its `mf_new_...()` function, which zeroes it and fills in `size`.
"""
from libc.stdint cimport int32_t, int64_t, uint32_t
from libc.stddef cimport ptrdiff_t


cdef extern from "mflow/mflow.h" nogil:
    enum:
        MF_ABI
        MF_API_VERSION
        MF_OK
        MF_E_ARGUMENT
        MF_E_CALLBACK
        MF_E_MEMORY
        MF_E_BUSY
        MF_E_NON_FINITE
        MF_E_PARAMETER
        MF_E_VERSION
        MF_E_KIND
        MF_E_DAMAGED
        MF_E_SOLVE
        MF_E_STEP
        MF_E_STEPS
        MF_E_SEARCH
        MF_RETRY_SOLVE
        MF_RETRY_NON_FINITE
        MF_REAL
        MF_BOOL
        MF_INT
        MF_CHOICE
        MF_LOWER_OPEN
        MF_UPPER_OPEN
        MF_FRESH
        MF_AGAIN
        MF_VELOCITY_FREE
        MF_ELEMENTWISE
        MF_IMPLICIT
        MF_LINEAR
        MF_SSP
        MF_SYMPLECTIC
        MF_FSAL
        MF_STIFFLY_ACCURATE
        MF_EMBEDDED
        MF_SECOND_ORDER
        MF_NEEDS_RHO
        MF_STAGED
        MF_DERIVED
        MF_TRUST_REGION
        MF_MULTISTEP
        MF_MASS
        MF_MASS_AT
        MF_SEARCH_GIVEN

    ctypedef int (*mf_rhs_fn)(double t, const double *y, double *dydt, ptrdiff_t n, void *ctx) noexcept nogil
    ctypedef int (*mf_solve_fn)(double t, double gh, const double *r, double *z, ptrdiff_t n, void *ctx) noexcept nogil
    ctypedef int (*mf_lsolve_fn)(double t, double gh, const double *r, double *z, ptrdiff_t n, void *ctx) noexcept nogil
    ctypedef int (*mf_value_grad_fn)(const double *c, double *value, double *grad, ptrdiff_t n, void *ctx) noexcept nogil
    ctypedef int (*mf_accel_fn)(double t, const double *x, const double *v, double *a, ptrdiff_t n, void *ctx) noexcept nogil
    ctypedef int (*mf_solve_accel_fn)(double t, double w, const double *xp, const double *vp, double bx, double bv, const double *q,
                                      double *a, ptrdiff_t n, void *ctx) noexcept nogil
    ctypedef int (*mf_rhs_lanes_fn)(const double *t, const double *y, double *dydt, ptrdiff_t n, ptrdiff_t lanes,
                                    void *ctx) noexcept nogil
    ctypedef int (*mf_energy_fn)(double t0, const double *const *y0, double t1, const double *const *y1, double *e, ptrdiff_t n,
                                 void *ctx) noexcept nogil

    ctypedef int (*mf_jac_fn)(double t, const double *y, double *jac, ptrdiff_t n, void *ctx) noexcept nogil
    ctypedef struct mf_tableau
    ctypedef int (*mf_solve_system_fn)(const mf_tableau *tab, double t, double h, const double *y, double *Z, ptrdiff_t ld, ptrdiff_t n,
                                       void *ctx) noexcept nogil
    ctypedef int (*mf_mass_fn)(const double *v, double *Mv, ptrdiff_t n, void *ctx) noexcept nogil
    ctypedef int (*mf_mass_at_fn)(double t, const double *v, double *Mv, ptrdiff_t n, void *ctx) noexcept nogil
    ctypedef int (*mf_linearize_fn)(double t, double gh, const double *y, double *dfdt, ptrdiff_t n, void *ctx) noexcept nogil

    ctypedef struct mf_problem:
        uint32_t size, flags
        ptrdiff_t n
        void *ctx
        mf_rhs_fn rhs
        mf_solve_fn solve
        mf_lsolve_fn lsolve
        mf_value_grad_fn value_grad
        mf_accel_fn accel
        mf_solve_accel_fn solve_accel
        mf_rhs_lanes_fn rhs_lanes
        mf_energy_fn energy
        mf_jac_fn jac
        mf_solve_system_fn solve_system
        mf_mass_fn mass
        mf_solve_fn solve_mass
        mf_linearize_fn linearize
        mf_mass_at_fn mass_at

    ctypedef struct mf_param:
        const char *name
        double value, lower, upper
        int32_t kind, open
        const char *choices
        const char *doc

    ctypedef struct mf_sizes:
        int32_t n_vis, n_vec, n_scal, n_coef, n_work, n_err, n_dense, order
        int64_t work_extra

    ctypedef struct mf_tableau:
        int32_t s, n_hat, degree, reserved
        const double *A
        const double *b
        const double *c
        const double *d
        const double *alpha
        const double *beta
        const double *W
        const void *packed
        const double *A_inv
        const double *T
        const double *T_inv
        const double *mu
        const double *G

    ctypedef struct mf_frame:
        uint32_t size, flags
        ptrdiff_t n, ld
        int64_t k
        double t, h, rho
        const double *par
        const double *const *x0
        double *const *x1
        const double *s0
        double *s1
        double *work
        double *err
        double *D
        const mf_problem *p
        int64_t n_rhs, n_solve
        const double *rtol
        const double *atol
        ptrdiff_t n_tol
        double h_next
        int32_t order, order_next

    ctypedef struct mf_loss:
        pass

    ctypedef struct mf_sweep:
        uint32_t size, flags
        ptrdiff_t n, rows
        const double *X
        ptrdiff_t ldx
        const int64_t *indptr
        const int32_t *indices
        const double *values
        const double *label
        const double *weight
        const int64_t *order
        ptrdiff_t count
        const mf_loss *loss
        double *const *x
        double *scal
        double worst_phi

    ctypedef struct mf_method

    ctypedef int (*mf_hessp_fn)(const double *x, const double *p, double *Hp, ptrdiff_t n, void *ctx) noexcept nogil

    ctypedef struct mf_direction:
        uint32_t size, flags
        ptrdiff_t n
        int64_t k
        const double *par
        const double *x
        const double *g
        const double *x_old
        const double *g_old
        const double *lower
        const double *upper
        double *kept
        double *work
        mf_hessp_fn hessp
        void *hessp_ctx
        double ratio
        double *d
        double first, c2
        double gain, least

    ctypedef int (*mf_sizes_fn)(const mf_method *, const double *par, mf_sizes *) noexcept nogil
    ctypedef int (*mf_step_fn)(const mf_method *, mf_frame *) noexcept nogil
    ctypedef int (*mf_begin_fn)(const mf_method *, const double *par, int64_t k, double *scal, double *coef) noexcept nogil
    ctypedef int (*mf_update_fn)(const mf_method *, const double *coef, double gscale, ptrdiff_t lo, ptrdiff_t hi,
                                 double *const *x, const double *g) noexcept nogil
    ctypedef int (*mf_ask_fn)(const mf_method *, const double *coef, ptrdiff_t lo, ptrdiff_t hi, const double *const *x,
                              double *at) noexcept nogil
    ctypedef int (*mf_sweep_fn)(const mf_method *, const double *par, mf_sweep *) noexcept nogil
    ctypedef int (*mf_start_fn)(const mf_method *, const double *par, ptrdiff_t lo, ptrdiff_t hi, double *const *x) noexcept nogil
    ctypedef int (*mf_direct_fn)(const mf_method *, mf_direction *) noexcept nogil
    ctypedef int (*mf_room_fn)(const mf_method *, const double *par, ptrdiff_t n, int bounded, int64_t *kept, int64_t *work) noexcept nogil

    ctypedef struct mf_method:
        uint32_t size, flags
        const char *name
        const char *class_name
        const char *aliases
        const char *family
        const char *formula
        const char *doc
        const char *reference
        const char *vectors
        int32_t order, order_hat, stages, n_par
        const mf_param *par
        const mf_tableau *tab
        mf_sizes sizes
        mf_sizes_fn sizes_fn
        mf_step_fn step
        mf_step_fn dense
        mf_begin_fn begin
        mf_update_fn update
        mf_ask_fn ask
        mf_sweep_fn sweep
        mf_start_fn start
        mf_direct_fn direct
        mf_room_fn room

    ctypedef struct mf_run

    ctypedef struct mf_descent

    ctypedef struct mf_descent_options:
        uint32_t size, flags
        const double *par
        const double *lower
        const double *upper
        mf_hessp_fn hessp
        void *hessp_ctx
        int32_t search, reserved
        double c1, c2, max_step

    ctypedef struct mf_run_options:
        uint32_t size, flags
        double t0, dt
        const double *par
        double rtol, atol, first_step, max_step, min_step

    ctypedef struct mf_api:
        uint32_t abi, version, size, reserved
        const mf_method *(*find)(const char *name) noexcept nogil
        const mf_method *(*row)(int i) noexcept nogil
        const char *(*error_text)(int code) noexcept nogil
        int (*defaults)(const mf_method *, double *par) noexcept nogil
        int (*sizes)(const mf_method *, const double *par, mf_sizes *) noexcept nogil
        int (*step)(const mf_method *, mf_frame *) noexcept nogil
        int (*begin)(const mf_method *, const double *par, int64_t k, double *scal, double *coef) noexcept nogil
        int (*update)(const mf_method *, const double *coef, double gscale, ptrdiff_t lo, ptrdiff_t hi,
                      double *const *x, const double *g) noexcept nogil
        int (*interpolate)(const mf_method *, mf_frame *, double theta, double *y) noexcept nogil
        mf_run *(*run_new)(const mf_method *, const mf_problem *, const mf_run_options *, const double *const *y0,
                           int *err) noexcept nogil
        int (*run_advance)(mf_run *, double t_end, int64_t max_steps) noexcept nogil
        const double *const *(*run_y)(const mf_run *, double *t, int64_t *k) noexcept nogil
        int64_t (*run_save)(const mf_run *, void *buf, int64_t room) noexcept nogil
        int (*run_restore)(mf_run *, const void *buf, int64_t bytes) noexcept nogil
        void (*run_free)(mf_run *) noexcept nogil
        int (*ask)(const mf_method *, const double *coef, ptrdiff_t lo, ptrdiff_t hi, const double *const *x, double *at) noexcept nogil
        int (*start)(const mf_method *, const double *par, ptrdiff_t lo, ptrdiff_t hi, double *const *x) noexcept nogil
        int (*sweep)(const mf_method *, const double *par, mf_sweep *) noexcept nogil
        const mf_loss *(*loss)(const char *name) noexcept nogil
        int (*integrate)(const mf_method *, const mf_problem *, const mf_run_options *, double t_end, int64_t max_steps,
                         double *const *y) noexcept nogil
        int (*run_set)(mf_run *, double t, const double *const *y) noexcept nogil
        const char *(*version_text)() noexcept nogil
        const char *(*isa)() noexcept nogil
        int (*direct)(const mf_method *, mf_direction *) noexcept nogil
        int (*room)(const mf_method *, const double *par, ptrdiff_t n, int bounded, int64_t *kept, int64_t *work) noexcept nogil
        mf_descent *(*descent_new)(const mf_method *, const mf_problem *, const mf_descent_options *, const double *x0,
                                   int *err) noexcept nogil
        int (*descent_advance)(mf_descent *, int64_t max_iter, double gtol) noexcept nogil
        const double *(*descent_x)(const mf_descent *, double *value, double *gmax, int64_t *nit, int64_t *nfev) noexcept nogil
        int64_t (*descent_save)(const mf_descent *, void *buf, int64_t room) noexcept nogil
        int (*descent_restore)(mf_descent *, const void *buf, int64_t bytes) noexcept nogil
        void (*descent_free)(mf_descent *) noexcept nogil


cdef extern from *:
    """
    static inline mf_problem mf_new_problem(void) { mf_problem p = MF_INIT(mf_problem); return p; }
    /* an older host's problem ends before it */
    static inline mf_mass_fn mf_mass_of(const mf_problem *p) { return MF_HAS(p, mf_problem, mass) ? p->mass : (mf_mass_fn)0; }
    static inline mf_mass_at_fn mf_mass_at_of(const mf_problem *p) { return MF_HAS(p, mf_problem, mass_at) ? p->mass_at : (mf_mass_at_fn)0; }
    static inline int mf_times_mass(const mf_problem *p, double t, const double *v, double *Mv, ptrdiff_t n) {   /* M(t) v */
      return mf_mass_at_of(p) ? p->mass_at(t, v, Mv, n, p->ctx) : p->mass(v, Mv, n, p->ctx); }
    static inline mf_frame mf_new_frame(void) { mf_frame f = MF_INIT(mf_frame); return f; }
    static inline mf_sweep mf_new_sweep(void) { mf_sweep s = MF_INIT(mf_sweep); return s; }
    static inline mf_run_options mf_new_run_options(void) { mf_run_options o = MF_INIT(mf_run_options); return o; }
    static inline mf_direction mf_new_direction(void) { mf_direction w = MF_INIT(mf_direction); return w; }
    static inline mf_method mf_new_method(void) { mf_method m = MF_INIT(mf_method); return m; }
    static inline mf_api mf_new_api(void) { mf_api a = {0}; a.abi = MF_ABI; a.version = MF_API_VERSION; a.size = sizeof(mf_api); return a; }
    """
    mf_problem mf_new_problem() noexcept nogil
    mf_mass_fn mf_mass_of(const mf_problem *p) noexcept nogil
    mf_mass_at_fn mf_mass_at_of(const mf_problem *p) noexcept nogil
    int mf_times_mass(const mf_problem *p, double t, const double *v, double *Mv, ptrdiff_t n) noexcept nogil
    mf_frame mf_new_frame() noexcept nogil
    mf_sweep mf_new_sweep() noexcept nogil
    mf_run_options mf_new_run_options() noexcept nogil
    mf_direction mf_new_direction() noexcept nogil
    mf_method mf_new_method() noexcept nogil
    mf_api mf_new_api() noexcept nogil
