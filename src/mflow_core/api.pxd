"""The frozen C API, for `from mflow_core.api cimport mf_find, mf_step, ...`. Append-only: see mflow.h."""
from libc.stddef cimport ptrdiff_t
from libc.stdint cimport int64_t

from mflow_core.types cimport (mf_api, mf_descent, mf_descent_options, mf_direction, mf_frame, mf_loss, mf_method, mf_problem, mf_run,
                               mf_run_options, mf_sizes, mf_sweep)

cdef const mf_method *mf_find(const char *name) noexcept nogil
cdef const mf_method *mf_row(int i) noexcept nogil
cdef const char *mf_error_text(int code) noexcept nogil
cdef int mf_defaults(const mf_method *m, double *par) noexcept nogil
cdef int mf_get_sizes(const mf_method *m, const double *par, mf_sizes *sizes) noexcept nogil
cdef int mf_step(const mf_method *m, mf_frame *f) noexcept nogil
cdef int mf_begin(const mf_method *m, const double *par, int64_t k, double *scal, double *coef) noexcept nogil
cdef int mf_update(const mf_method *m, const double *coef, double gscale, ptrdiff_t lo, ptrdiff_t hi, double *const *x,
                   const double *g) noexcept nogil
cdef int mf_interpolate(const mf_method *m, mf_frame *f, double theta, double *y) noexcept nogil
cdef mf_run *mf_run_new(const mf_method *m, const mf_problem *p, const mf_run_options *options, const double *const *y0,
                        int *err) noexcept nogil
cdef int mf_run_advance(mf_run *run, double t_end, int64_t max_steps) noexcept nogil
cdef const double *const *mf_run_y(const mf_run *run, double *t, int64_t *k) noexcept nogil
cdef int64_t mf_run_save(const mf_run *run, void *buf, int64_t room) noexcept nogil
cdef int mf_run_restore(mf_run *run, const void *buf, int64_t bytes) noexcept nogil
cdef void mf_run_free(mf_run *run) noexcept nogil

# version 3
cdef int mf_ask(const mf_method *m, const double *coef, ptrdiff_t lo, ptrdiff_t hi, const double *const *x, double *at) noexcept nogil
cdef int mf_start(const mf_method *m, const double *par, ptrdiff_t lo, ptrdiff_t hi, double *const *x) noexcept nogil
cdef int mf_do_sweep(const mf_method *m, const double *par, mf_sweep *s) noexcept nogil
cdef const mf_loss *mf_find_loss(const char *name) noexcept nogil
cdef int mf_integrate(const mf_method *m, const mf_problem *p, const mf_run_options *options, double t_end, int64_t max_steps,
                      double *const *y) noexcept nogil
cdef int mf_run_set(mf_run *run, double t, const double *const *y) noexcept nogil
cdef const char *mf_version_text() noexcept nogil
cdef const char *mf_isa() noexcept nogil

# version 4
cdef int mf_direct(const mf_method *m, mf_direction *w) noexcept nogil
cdef int mf_room(const mf_method *m, const double *par, ptrdiff_t n, int bounded, int64_t *kept, int64_t *work) noexcept nogil
cdef mf_descent *mf_descent_new(const mf_method *m, const mf_problem *p, const mf_descent_options *options, const double *x0,
                                int *err) noexcept nogil
cdef int mf_descent_advance(mf_descent *descent, int64_t max_iter, double gtol) noexcept nogil
cdef const double *mf_descent_x(const mf_descent *descent, double *value, double *gmax, int64_t *nit, int64_t *nfev) noexcept nogil
cdef int64_t mf_descent_save(const mf_descent *descent, void *buf, int64_t room) noexcept nogil
cdef int mf_descent_restore(mf_descent *descent, const void *buf, int64_t bytes) noexcept nogil
cdef void mf_descent_free(mf_descent *descent) noexcept nogil
