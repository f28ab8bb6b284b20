"""Descents as a host of the C API has them: the struct, and the checks that api.pyx leaves to this module.

Everything that a host gives is copied, save its callbacks' contexts. Like a run a descent has an owner: a second thread, or its own
callback, gets MF_E_BUSY.
"""
from libc.math cimport INFINITY, NAN
from libc.stdint cimport INT64_MAX
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcpy, strcmp

from mflow_core cimport registry
from mflow_core.arithmetic.vec cimport mf_fp_enter, mf_fp_leave
from mflow_core.optimize.descents cimport (LINE_FAILED, descent_close, descent_open, descent_products, descent_start, line_descend,
                                           lowest_point, path_t, rule_defaults, rule_t)
from mflow_core.optimize.linesearch cimport EXACT, STRONG_WOLFE
from mflow_core.optimize.saved_descents cimport descent_pack, descent_unpack
from mflow_core.owner cimport mf_give, mf_take
from mflow_core.stepping.descent cimport CONVERGED
from mflow_core.types cimport (MF_E_ARGUMENT, MF_E_BUSY, MF_E_CALLBACK, MF_E_KIND, MF_E_MEMORY, MF_E_SEARCH, MF_E_VERSION, MF_SEARCH_GIVEN,
                               mf_sizes)


cdef int host_direct(const mf_method *m, mf_direction *w) noexcept nogil:
    if m == NULL or w == NULL or w.size < sizeof(mf_direction) or w.n < 0 or w.k < 0:
        return MF_E_ARGUMENT
    if w.size > sizeof(mf_direction):
        return MF_E_VERSION
    if m.direct == NULL:
        return MF_E_KIND
    if w.x == NULL or w.g == NULL or w.d == NULL or w.kept == NULL or w.work == NULL or (w.par == NULL and m.n_par > 0):
        return MF_E_ARGUMENT
    if (w.k > 0 and (w.x_old == NULL or w.g_old == NULL)) or (w.lower == NULL) != (w.upper == NULL):
        return MF_E_ARGUMENT
    return m.direct(m, w)


cdef int host_room(const mf_method *m, const double *par, ptrdiff_t n, int bounded, int64_t *kept, int64_t *work) noexcept nogil:
    cdef mf_sizes sizes
    cdef int status
    if m == NULL or kept == NULL or work == NULL or n < 0:
        return MF_E_ARGUMENT
    if m.room == NULL:
        return MF_E_KIND
    status = registry.mf_sizes_of(m, par, &sizes)
    return m.room(m, par, n, bounded, kept, work) if status == 0 else status


cdef int read_options(const mf_descent_options *o, ptrdiff_t n, rule_t *rule) noexcept nogil:
    """The rule of the search; whether numbers and bounds make sense."""
    cdef ptrdiff_t i
    rule_defaults(rule)
    if o == NULL:
        return 0
    if o.size < sizeof(mf_descent_options):
        return MF_E_ARGUMENT
    if o.size > sizeof(mf_descent_options):
        return MF_E_VERSION
    if o.flags & MF_SEARCH_GIVEN:
        rule.kind = o.search
    rule.c1 = o.c1 if o.c1 != 0.0 else rule.c1
    rule.c2 = o.c2
    rule.max_step = o.max_step if o.max_step != 0.0 else INFINITY
    if not EXACT <= rule.kind <= STRONG_WOLFE or not (0.0 < rule.c1 < 1.0 and (rule.c2 == 0.0 or rule.c1 <= rule.c2 < 1.0)):
        return MF_E_ARGUMENT
    if not rule.max_step > 0.0 or (o.lower == NULL) != (o.upper == NULL):
        return MF_E_ARGUMENT
    if o.lower != NULL:
        for i in range(n):
            if not o.lower[i] <= o.upper[i]:
                return MF_E_ARGUMENT
    return 0


cdef int read_parameters(host_descent_t *d, const mf_method *m, const double *par) noexcept nogil:
    """A copy of the parameters; an optimizer's lr is 1 where they are the defaults."""
    cdef int j
    d.par = <double *> malloc((m.n_par + 1) * sizeof(double))
    if d.par == NULL:
        return MF_E_MEMORY
    if par != NULL:
        memcpy(d.par, par, m.n_par * sizeof(double))
        return 0
    for j in range(m.n_par):
        d.par[j] = 1.0 if m.update != NULL and strcmp(m.par[j].name, b"lr") == 0 else m.par[j].value
    return 0


cdef host_descent_t *host_new(const mf_method *m, const mf_problem *p, const mf_descent_options *options, const double *x0,
                              int *err) noexcept nogil:
    cdef host_descent_t *d = NULL
    cdef rule_t rule
    cdef int status = MF_E_ARGUMENT
    if m != NULL and x0 != NULL and p.n >= 0:
        status = MF_E_VERSION if p.size > sizeof(mf_problem) else read_options(options, p.n, &rule)
        if status == 0 and m.direct == NULL and m.update == NULL:
            status = MF_E_KIND
        if status == 0 and p.value_grad == NULL:
            status = MF_E_CALLBACK
    if status == 0:
        d = <host_descent_t *> calloc(1, sizeof(host_descent_t))
        status = MF_E_MEMORY if d == NULL else read_parameters(d, m, NULL if options == NULL else options.par)
    if status == 0:
        memcpy(&d.p, p, p.size)
        status = descent_open(&d.s, m, &d.p, d.par, &rule, options != NULL and options.lower != NULL, False)
    if status == 0:
        if options != NULL and options.hessp != NULL:
            descent_products(&d.s, options.hessp, options.hessp_ctx)
        descent_start(&d.s, x0, NULL if options == NULL else options.lower, NULL if options == NULL else options.upper, NULL)
    elif d != NULL:
        host_free(d)
        d = NULL
    err[0] = status
    return d


cdef int host_advance(host_descent_t *d, int64_t max_iter, double gtol) noexcept nogil:
    cdef path_t path
    cdef unsigned int mode
    cdef int status
    if d == NULL or max_iter < 0 or gtol != gtol:
        return MF_E_ARGUMENT
    if not mf_take(&d.owner):
        return MF_E_BUSY
    path.x = path.d = path.a = path.f = NULL
    mode = mf_fp_enter()
    status = line_descend(&d.s, min(max_iter, INT64_MAX - d.s.k), gtol, &path)
    mf_fp_leave(mode)
    d.failed = status != CONVERGED and status != 0
    mf_give(&d.owner)
    if status == LINE_FAILED:
        return MF_E_SEARCH
    return 0 if status == CONVERGED else LIMIT_REACHED if status == 0 else status


cdef const double *host_x(host_descent_t *d, double *value, double *gmax, int64_t *nit, int64_t *nfev) noexcept nogil:
    cdef const double *grad = NULL
    cdef const double *x
    if d == NULL or not mf_take(&d.owner):
        return NULL
    x = lowest_point(&d.s, &grad) if d.failed and d.s.evaluated else d.s.x
    if value != NULL:
        value[0] = d.s.f_low if d.failed else d.s.f
    if gmax != NULL:
        gmax[0] = d.s.gmax if x == d.s.x else (registry.REDUCE.max_abs(grad, d.s.n) if grad != NULL else NAN)
    if nit != NULL:
        nit[0] = d.s.k
    if nfev != NULL:
        nfev[0] = d.s.nfev
    mf_give(&d.owner)
    return x


cdef int64_t host_save(host_descent_t *d, void *buf, int64_t room) noexcept nogil:
    cdef int64_t size = 0
    cdef int status
    if d == NULL:
        return MF_E_ARGUMENT
    if not mf_take(&d.owner):
        return MF_E_BUSY
    status = descent_pack(&d.s, buf, room, &size)
    mf_give(&d.owner)
    return size if status == 0 else status


cdef int host_restore(host_descent_t *d, const void *buf, int64_t bytes) noexcept nogil:
    cdef int status
    if d == NULL or buf == NULL:
        return MF_E_ARGUMENT
    if not mf_take(&d.owner):
        return MF_E_BUSY
    status = descent_unpack(&d.s, buf, bytes)
    mf_give(&d.owner)
    return status


cdef void host_free(host_descent_t *d) noexcept nogil:
    if d == NULL or not mf_take(&d.owner):
        return
    descent_close(&d.s)
    free(d.par)
    free(d)
