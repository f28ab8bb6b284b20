"""Prepared fits: the run of marquardt.pyx, made once and started again and again on other data, from Python or, by the struct of fit.h,
from any compiled code.

The model is one function, its user data are xdata; y is taken off here, and sigma divides. With a Jacobian each trial takes both in one
evaluation, as nearly all trials are taken. Without Python nobody can look at a model beside the way that the fit takes, as
`mflow.least_squares` does: where such a look would decide, the call says so, and does not claim to have converged.
"""
from libc.math cimport INFINITY, NAN
from libc.stddef cimport ptrdiff_t
from libc.stdint cimport int64_t
from libc.stdlib cimport free
from libc.string cimport memcpy, memset

cimport numpy as cnp
from cpython.exc cimport PyErr_CheckSignals

from mflow_core.arithmetic.starts cimport numbers
from mflow_core.arithmetic.vec cimport all_finite, mf_fp_enter, mf_fp_leave
from mflow_core.fitting.compiled cimport objective_residuals
from mflow_core.fitting.marquardt cimport advance
from mflow_core.fitting.point cimport (BAD_START, BLURRED, BOTH, FTOL, MAX_NFEV, PAUSE, STUCK, XTOL, ZEROS, allocate, begin, marquardt_t,
                                       renew, residuals_fn, restart)
from mflow_core.fitting.triangle cimport inverse_square
from mflow_core.owner cimport mf_give, mf_take
from mflow_core.problems.problem cimport raise_or
from mflow_core.solvers.linalg cimport poll_fn
from mflow_core.solvers.matrix cimport LINALG
from mflow_core.types cimport MF_E_ARGUMENT, MF_E_BUSY, MF_E_NON_FINITE

from time import perf_counter

import numpy as np

cnp.import_array()

cdef double LONG = 1e-3                            # seconds of an evaluation, beside which a look at signals costs nothing

cdef double EPS = 2.220446049250313e-16
cdef double FORWARD = 1.4901161193847656e-08       # EPS^(1/2)
cdef double CENTRAL = 6.055454452393343e-06        # EPS^(1/3)
cdef double SLOPED = 1e-3                          # a cosine of the residuals with a column above it is no small gradient
cdef double FLOOR = 1e-3                           # of a parameter's largest value so far, in which its differences are measured

THRESHOLDS = {"sloped": SLOPED, "floor": FLOOR}    # for fits whose loop stands in Python

NAMES = {MF_FIT_MAX_NFEV: "max_nfev", MF_FIT_STUCK: "step_too_small", MF_FIT_UNDETERMINED: "undetermined",
         MF_FIT_DOUBTFUL: "doubtful", MF_E_ARGUMENT: "bad_argument", MF_E_NON_FINITE: "non_finite"}


# ---- a call, without Python ---------------------------------------------------------------------------------------------------------------

cdef int residuals(const double *p, double *r, double *J, ptrdiff_t m, ptrdiff_t n, void *ctx) noexcept nogil:
    """(f(x, p) - y)/sigma and its Jacobian."""
    cdef prepared_fit_t *f = <prepared_fit_t *> ctx
    cdef ptrdiff_t i, j
    cdef int status
    if f.model == NULL:
        status = objective_residuals(p, r, J, m, n, &f.curve)
    else:
        status = f.model(p, r, J, m, n, <void *> f.x)
    if status != 0:
        f.gave = status
        return status if status < 0 else -status         # the loop's own codes are above 0
    if f.slow and f.s.ear.poll != NULL:
        status = f.s.ear.poll()
        if status != 0:
            return status
    if r != NULL:
        for i in range(m):
            r[i] = r[i] - f.y[i]
    if f.sigma != NULL:
        if r != NULL:
            for i in range(m):
                r[i] = r[i] / f.sigma[i]
        if J != NULL:
            for i in range(m):
                for j in range(n):
                    J[i * n + j] = J[i * n + j] / f.sigma[i]
    return 0


cdef bint fits(const prepared_fit_t *f, const double *sigma, const double *p0) noexcept nogil:
    """Whether p0 is finite and within the bounds, and sigma finite and above 0."""
    cdef ptrdiff_t i
    if not all_finite(p0, f.face.n):
        return False
    for i in range(f.face.n):
        if not f.s.lower[i] <= p0[i] <= f.s.upper[i]:
            return False
    if sigma != NULL:
        for i in range(f.face.m):
            if not 0.0 < sigma[i] < INFINITY:
                return False
    return True


cdef int start(prepared_fit_t *f, const double *x, const double *y, const double *sigma, const double *p0, poll_fn poll) noexcept nogil:
    """The fit at p0, which the caller owns from here on unless the status is MF_E_BUSY."""
    cdef marquardt_t *s = &f.s
    cdef ptrdiff_t j
    cdef int status
    if not mf_take(&f.busy):
        return MF_E_BUSY
    restart(s)
    f.face.ending = f.gave = 0
    f.x, f.y, f.sigma, s.ear.poll = x, y, sigma, poll
    f.curve.X, f.curve.y = x, NULL
    memcpy(s.x, p0, f.face.n * sizeof(double))
    if x == NULL or y == NULL or not fits(f, sigma, p0):
        return MF_E_ARGUMENT
    s.differences, s.central, s.refinable, s.together = f.differences, False, f.differences, not f.differences
    s.floor, s.blur, s.xtol = FLOOR, FORWARD if f.differences else 0.0, f.xtol
    for j in range(f.face.n):
        s.steps[j] = FORWARD
    status = begin(s, False)
    return MF_E_NON_FINITE if status == BAD_START else status


cdef int refine(marquardt_t *s) noexcept nogil:
    """Central differences from now on, and then over steps as short as p itself."""
    cdef ptrdiff_t j
    cdef int status
    if s.central:
        s.floor, s.refinable = 0.0, False
    s.central, s.blur = True, CENTRAL * CENTRAL
    for j in range(s.n):
        s.steps[j] = CENTRAL
    s.zeros = False
    status = renew(s)
    return 0 if status == BAD_START else status


cdef int go(prepared_fit_t *f) noexcept nogil:
    """On to an ending; 0: signals are due, or what the loop asks for is done."""
    cdef marquardt_t *s = &f.s
    cdef ptrdiff_t j
    cdef int status = advance(s)
    if status == BLURRED:
        return refine(s)
    if status == ZEROS and f.differences and s.floor == 0.0:
        s.floor, s.zeros = FLOOR, False  # differences as short as p itself may be lost in the model's rounding
        status = renew(s)
        return 0 if status == BAD_START else status
    if status == ZEROS:                  # `verdict` looks at columns that are 0 where the fit ends
        for j in range(s.n):
            if s.norms[j] == 0.0:
                s.seen_zero[j] = 1
        s.zeros = False
        return 0
    if (status == XTOL or status == BOTH) and s.xtol > 0.0 and not s.cosine <= SLOPED and s.length > s.rounding and not f.differences:
        s.xtol, s.ended = 0.0, 0         # a step is short against |p|, of which an offset may be nearly all
        return 0
    return 0 if status == PAUSE else status


cdef bint doubtful(const marquardt_t *s) noexcept nogil:
    """Whether the step at an end by ftol or xtol was short for its radius alone, beside a gradient that is not small, as it is where
    differences are those of noise. Gauss and Newton's whole step leaves none."""
    return s.lam > 0.0 and not s.cosine <= SLOPED and s.length > s.rounding


cdef int verdict(prepared_fit_t *f, int code) noexcept nogil:
    """0 where a fit has converged; else the reason, of fit.h, for an ending of the loop."""
    cdef marquardt_t *s = &f.s
    cdef ptrdiff_t j
    if code == MAX_NFEV:
        return MF_FIT_MAX_NFEV
    if code == STUCK:
        return MF_FIT_STUCK
    for j in range(s.n):
        if s.norms[j] == 0.0 and not s.fixed[j]:
            return MF_FIT_UNDETERMINED
    if f.differences and (code == FTOL or code == XTOL or code == BOTH) and doubtful(s):
        return MF_FIT_DOUBTFUL
    f.face.ending = 2 if code == FTOL else 3 if code == XTOL else 4 if code == BOTH else 1
    return 0


cdef int end(prepared_fit_t *f, int status, double *p) noexcept nogil:
    """The end of a call that owns the fit: its parameters, counts and status."""
    if status > 0:
        status = verdict(f, status)
    if p != NULL:
        memcpy(p, f.s.x, f.face.n * sizeof(double))
    f.face.cost, f.face.nfev, f.face.nit = f.s.cost, f.s.nfev, f.s.nit
    mf_give(&f.busy)
    return status


cdef int solve(mf_fit *face, const double *x, const double *y, const double *sigma, const double *p0, double *p) noexcept nogil:
    cdef prepared_fit_t *f = <prepared_fit_t *> face
    cdef unsigned int mode
    cdef int status
    if face == NULL or p == NULL or p0 == NULL:
        return MF_E_ARGUMENT
    mode = mf_fp_enter()
    status = start(f, x, y, sigma, p0, NULL)
    if status != MF_E_BUSY:
        while status == 0:
            status = go(f)
        status = end(f, status, p)
    mf_fp_leave(mode)
    return status


# ---- what Python sees ---------------------------------------------------------------------------------------------------------------------

cdef class PreparedFit:
    """A compiled model of m data with n parameters, ready to be fitted; `mflow.compile_fit` makes it.

    model: an `Objective` of a curve, or (address, owner) of a compiled function. ftol, xtol, gtol: 0 for no test. lower, upper: (n,) each,
    or None. fixed: truth values (n,), or None.
    """

    def __cinit__(self, model, ptrdiff_t m, ptrdiff_t n, bint differences, double ftol, double xtol, double gtol, int64_t limit,
                  cnp.ndarray lower=None, cnp.ndarray upper=None, fixed=None, **more):
        cdef marquardt_t *s = &self.f.s
        cdef ptrdiff_t j
        memset(&self.f, 0, sizeof(prepared_fit_t))
        s.m, s.n = m, n
        if allocate(s) != 0:
            raise MemoryError(f"no memory for a fit of {m} data with {n} parameters")
        if isinstance(model, Objective):
            self.objective = model
            self.f.curve = self.objective.c
        else:
            address, self.owner = model
            self.f.model = <residuals_fn> <size_t> address
        s.fun, s.ctx, self.f.differences = residuals, &self.f, differences
        s.ftol, self.f.xtol, s.gtol, s.limit, s.eps = ftol, xtol, gtol, limit, EPS
        if lower is not None:
            memcpy(s.lower, cnp.PyArray_DATA(lower), n * sizeof(double))
            memcpy(s.upper, cnp.PyArray_DATA(upper), n * sizeof(double))
            s.bounded = True
        if fixed is not None:
            for j in range(n):
                s.fixed[j] = 1 if fixed[j] else 0
        self.f.face.size, self.f.face.solve, self.f.face.m, self.f.face.n = sizeof(mf_fit), solve, m, n
        self.f.face.cost = NAN

    def __dealloc__(self):
        free(self.f.s.block)

    cdef int proceed(self) except? -1:
        """To an ending, with looks at signals on the way."""
        cdef int status = 0
        while status == 0:
            with nogil:
                status = go(&self.f)
            if status == 0:
                PyErr_CheckSignals()
        return status

    def __call__(self, xdata, ydata, p0, sigma=None):
        """The parameters that fit best, a new array (n,), from p0, n numbers.

        xdata, ydata: m numbers each. sigma: m standard deviations of the data. The last call's `cost`, `nfev`, `nit` and `ending` are
        attributes. Raises FloatingPointError where residuals at p0 are not finite, RuntimeError where the fit does not converge, with the
        reason; its `partial_result` holds the best parameters.
        """
        cdef ptrdiff_t m = self.f.face.m
        cdef cnp.npy_intp n = self.f.face.n
        cdef cnp.ndarray x = numbers(xdata, m, "xdata"), y = numbers(ydata, m, "ydata"), first = numbers(p0, n, "p0")
        cdef cnp.ndarray of = None if sigma is None else numbers(sigma, m, "sigma")
        cdef cnp.ndarray out = cnp.PyArray_SimpleNew(1, &n, cnp.NPY_DOUBLE)
        cdef double *deviations = NULL if of is None else <double *> cnp.PyArray_DATA(of)
        cdef unsigned int mode
        cdef int status
        if not self.looked:
            self.looked = self.look(x, y, first, of)
        mode = mf_fp_enter()
        with nogil:
            status = start(&self.f, <double *> cnp.PyArray_DATA(x), <double *> cnp.PyArray_DATA(y), deviations, <double *> cnp.PyArray_DATA(first),
                           LINALG.poll)
        if status == MF_E_BUSY:
            mf_fp_leave(mode)
            raise RuntimeError("this fit is in use, in another thread or by its own model (or was in another thread when this process was "
                               "forked): give each its own, copy.copy(fit)")
        try:
            if status == 0:
                status = self.proceed()
        finally:
            status = end(&self.f, status, <double *> cnp.PyArray_DATA(out))
            mf_fp_leave(mode)
        if raise_or(status) != 0:
            self.refuse(self.f.gave or status, self.f.gave != 0, out, first, of)
        return out

    def look(self, xdata, ydata, p0, sigma):
        """Called before a fit until it returns True: the look was taken."""
        return True

    def refuse(self, int status, bint by_model, p, p0, sigma):
        """Raises the error of a call that did not converge."""
        raise RuntimeError(f"code {status}")

    cdef int taken(self) except -1:
        if not mf_take(&self.f.busy):
            raise RuntimeError("this fit is in use in another thread (or was when this process was forked): give each its own, copy.copy(fit)")
        return 0

    def evaluate(self, xdata, p):
        """(f, J) of the model: its values (m,) and, where it has one, its Jacobian (m, n), else None."""
        cdef cnp.ndarray x = numbers(xdata, self.f.face.m, "xdata"), at = numbers(p, self.f.face.n, "p")
        cdef cnp.ndarray values = np.empty(self.f.face.m), zeros = np.zeros(self.f.face.m)
        cdef cnp.ndarray J = None if self.f.differences else np.empty((self.f.face.m, self.f.face.n))
        cdef int status
        cdef double before = perf_counter()
        self.taken()
        self.f.x = self.f.curve.X = <double *> cnp.PyArray_DATA(x)
        self.f.y, self.f.sigma, self.f.curve.y = <double *> cnp.PyArray_DATA(zeros), NULL, NULL
        status = residuals(<double *> cnp.PyArray_DATA(at), <double *> cnp.PyArray_DATA(values),
                           NULL if J is None else <double *> cnp.PyArray_DATA(J), self.f.face.m, self.f.face.n, &self.f)
        mf_give(&self.f.busy)
        self.f.slow = self.f.slow or perf_counter() - before > LONG
        return (values, J) if raise_or(status) == 0 else (np.full(self.f.face.m, NAN), J)

    @property
    def popt(self):
        """The parameters where the last call ended, (n,)."""
        cdef cnp.ndarray out = np.empty(self.f.face.n)
        memcpy(cnp.PyArray_DATA(out), self.f.s.x, self.f.face.n * sizeof(double))
        return out

    @property
    def residuals(self):
        """(f - y)/sigma where the last call ended, (m,)."""
        cdef cnp.ndarray out = np.empty(self.f.face.m)
        memcpy(cnp.PyArray_DATA(out), self.f.s.f, self.f.face.m * sizeof(double))
        return out

    @property
    def jac(self):
        """The Jacobian of the residuals there, (m, n); that of the start of the last step where differences were ended by ftol or xtol."""
        cdef cnp.ndarray out = np.empty((self.f.face.m, self.f.face.n))
        memcpy(cnp.PyArray_DATA(out), self.f.s.J, self.f.face.m * self.f.face.n * sizeof(double))
        return out

    def inverse(self):
        """(inv(J'J), rank of J) where the last call ended; None where the rank is not full."""
        cdef marquardt_t *s = &self.f.s
        cdef cnp.ndarray out = np.empty((s.n, s.n))
        cdef ptrdiff_t rank
        self.taken()
        rank = inverse_square(s.J, s.m, s.n, s.A, s.norms, s.pivot, s.z, s.room, s.R, s.S, <double *> cnp.PyArray_DATA(out), &s.ear)
        mf_give(&self.f.busy)
        raise_or(s.ear.heard)
        return (out if rank == s.n else None), rank

    @property
    def handle(self):
        """The address of the struct of fit.h, good while this object lives."""
        return <size_t> &self.f.face

    @property
    def address(self):
        """The address of its function, ``int (mf_fit *, const double *x, const double *y, const double *sigma, const double *p0, double *p)``."""
        return <size_t> self.f.face.solve

    @property
    def m(self):
        """How many data."""
        return self.f.face.m

    @property
    def n(self):
        """How many parameters."""
        return self.f.face.n

    @property
    def cost(self):
        """Half the sum of squares of the residuals where the last call ended."""
        return self.f.face.cost

    @property
    def nfev(self):
        """Evaluations of the model in the last call, those for differences left out."""
        return self.f.face.nfev

    @property
    def nit(self):
        """Steps of the last call."""
        return self.f.face.nit

    @property
    def ending(self):
        """The test that ended the last call: 1 the gradient, 2 ftol, 3 xtol, 4 both; 0: it did not converge."""
        return self.f.face.ending
