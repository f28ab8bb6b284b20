"""One fit as Python sees it: `Fit` holds the run of marquardt.pyx, with functions that are compiled or call Python."""
from libc.math cimport INFINITY, fabs, sqrt
from libc.stddef cimport ptrdiff_t
from libc.stdint cimport int32_t
from libc.stdlib cimport free
from libc.string cimport memcpy

cimport numpy as cnp

from mflow_core.arithmetic.dot cimport dot
from mflow_core.arithmetic.vec cimport mf_fp_enter, mf_fp_leave
from mflow_core.fitting.callbacks cimport Calls, loss_of_python, residuals_of_python
from mflow_core.fitting.marquardt cimport advance
from mflow_core.fitting.point cimport (BAD_START, BLURRED, BOTH, DIFFERENCES, FTOL, GTOL, MAX_NFEV, PAUSE, ROUNDING, STEPPED, STUCK, VANISHED,
                                       XTOL, ZEROS, allocate, begin, factor, jacobian, look, loss_fn, marquardt_t, renew, residuals_fn,
                                       rests, transposed, unit, usual_length)
from mflow_core.fitting.robust cimport CompiledLoss, robust_loss
from mflow_core.fitting.triangle cimport apply_qt, inverse_square, qr
from mflow_core.owner cimport mf_give, mf_take
from mflow_core.problems.problem cimport raise_or
from mflow_core.problems.values cimport numbers_of
from mflow_core.solvers.matrix cimport LINALG

import numpy as np

from mflow_core.problems.signatures import code_text

cnp.import_array()

# Endings by the code that `Fit.advance` returns; the other codes ask for something.
ENDINGS = {GTOL: "gtol", DIFFERENCES: "differences", FTOL: "ftol", XTOL: "xtol", BOTH: "both", VANISHED: "vanished", ROUNDING: "rounding",
           STUCK: "step_too_small", MAX_NFEV: "max_nfev", BAD_START: "non_finite"}
MOST_LOST = 0.3      # of a column of differences: what rounding may turn of one that still tells where the cost falls
ASKS = {STEPPED: "stepped", BLURRED: "blurred", ZEROS: "zeros", PAUSE: "pause"}


cdef double most_lost = MOST_LOST


cdef object copied(const double *values, ptrdiff_t n):
    out = np.empty(n)
    memcpy(cnp.PyArray_DATA(<cnp.ndarray> out), values, n * sizeof(double))
    return out


cdef class Fit:
    """A fit of m residuals with n parameters from x0.

    functions: `Calls`; or (address, context, owner) of a compiled function of residuals and Jacobian. f: the residuals at x0 where they
    are known. loss: a `CompiledLoss`, an object in Python with `cost` and `weights`, or None. Settings are attributes.
    """

    def __cinit__(self, functions, cnp.ndarray x0 not None, ptrdiff_t m, f=None, loss=None):
        self.s.n, self.s.m = cnp.PyArray_SIZE(x0), m
        if allocate(&self.s) != 0:
            raise MemoryError(f"no memory for a fit of {m} residuals with {self.s.n} parameters")
        memcpy(self.s.x, numbers_of(x0, self.s.n), self.s.n * sizeof(double))
        self.s.ear.poll = LINALG.poll
        self.compiled = not isinstance(functions, Calls)
        if self.compiled:
            address, context, self.keep = functions
            self.s.fun, self.s.ctx = <residuals_fn> <size_t> address, <void *> <size_t> (context or 0)
        else:
            self.calls = functions
            self.s.fun, self.s.ctx = <residuals_fn> <void *> residuals_of_python, <void *> self.calls
        self.loss, self.nogil_ = loss, self.compiled and (loss is None or isinstance(loss, CompiledLoss))
        if isinstance(loss, CompiledLoss):
            self.s.loss, self.s.loss_ctx = robust_loss, &(<CompiledLoss> loss).c
        elif loss is not None:
            self.s.loss, self.s.loss_ctx = <loss_fn> <void *> loss_of_python, <void *> loss
        if f is not None:
            memcpy(self.s.f, numbers_of(f, m), m * sizeof(double))
            self.s.nfev = self.s.calls = 1
        self.s.eps, self.s.limit, self.s.floor = 2.220446049250313e-16, 1 << 62, 1e-3

    def __dealloc__(self):
        free(self.s.block)

    def settings(self, double ftol, double xtol, double gtol, limit, call_limit, double dt, bint accelerated, bint tell):
        """The tests of the end (0: none), limits of evaluations and of calls (0: none), the first step (0: from x0)."""
        self.s.ftol, self.s.xtol, self.s.gtol, self.s.limit, self.s.call_limit = ftol, xtol, gtol, limit, call_limit
        self.s.dt, self.s.accelerated, self.s.tell = dt, accelerated, tell

    def differences(self, bint central, steps, double floor, double blur, bint refinable):
        """How differences are taken, steps: shares of x, one number or one a parameter."""
        cdef ptrdiff_t j
        cdef double step
        self.s.differences, self.s.central, self.s.floor, self.s.refinable = True, central, floor, refinable
        self.s.blur = blur
        if isinstance(steps, float):
            step = steps
            for j in range(self.s.n):
                self.s.steps[j] = step
            return
        values = np.ascontiguousarray(np.broadcast_to(np.asarray(steps, dtype=np.float64), (self.s.n,)))
        memcpy(self.s.steps, cnp.PyArray_DATA(<cnp.ndarray> values), self.s.n * sizeof(double))

    def shortest(self, cnp.ndarray least not None):
        """The least lengths of differences, (n,)."""
        memcpy(self.s.least, numbers_of(least, self.s.n), self.s.n * sizeof(double))

    def pattern(self, cnp.ndarray indptr not None, cnp.ndarray indices not None, cnp.ndarray group not None):
        """Where J may have entries, by columns, and the group of each column, of which none shares a row with another of its group."""
        for one, size in ((indptr, self.s.n + 1), (indices, indices.size), (group, self.s.n)):
            if one.dtype != np.int32 or not one.flags.c_contiguous or one.size != size:
                raise TypeError(f"pattern: expected C-contiguous int32 arrays, one of {size} numbers, got {one.size} of dtype {one.dtype}")
        if indptr[0] != 0 or indptr[self.s.n] != indices.size or np.any(np.diff(indptr) < 0):
            raise ValueError(f"pattern: expected pointers from 0 to {indices.size}")
        if indices.size and not 0 <= indices.min() <= indices.max() < self.s.m:
            raise ValueError(f"pattern: expected rows from 0 to {self.s.m - 1}")
        self.columns = (indptr, indices, group)
        self.s.indptr, self.s.indices = <int32_t *> cnp.PyArray_DATA(indptr), <int32_t *> cnp.PyArray_DATA(indices)
        self.s.group, self.s.groups = <int32_t *> cnp.PyArray_DATA(group), 1 + max(group.tolist(), default=-1)

    def carries(self, double eps, double grain):
        """The relative error of a residual, and the mean error of one that is rounded to multiples, 0 of others."""
        self.s.eps, self.s.grain = eps, grain

    def box(self, cnp.ndarray lower not None, cnp.ndarray upper not None):
        """Bounds, (n,) each."""
        memcpy(self.s.lower, numbers_of(lower, self.s.n), self.s.n * sizeof(double))
        memcpy(self.s.upper, numbers_of(upper, self.s.n), self.s.n * sizeof(double))
        self.s.bounded = True

    def hold(self, fixed):
        """Which parameters stay where they are, (n,) of truth values."""
        cdef ptrdiff_t j
        if len(fixed) != self.s.n:
            raise ValueError(f"fixed: expected {self.s.n} truth values, got {len(fixed)}")
        for j in range(self.s.n):
            self.s.fixed[j] = 1 if fixed[j] else 0

    def scale(self, cnp.ndarray D not None):
        """D, (n,), in place of the columns' lengths."""
        memcpy(self.s.D, numbers_of(D, self.s.n), self.s.n * sizeof(double))
        self.s.own_scale = True

    # ---- the run ----

    cdef int finish(self, int status) except? -1:
        if status < 0:
            self.s.ear.heard = 0
        if raise_or(status) < 0:
            raise RuntimeError(f"fun: expected 0 from the compiled residuals, got {code_text(status)}")
        return status

    cdef int take(self) except -1:
        if not mf_take(&self.busy):
            raise RuntimeError("this fit is already going, in another thread or from its own callback (or was in another thread when this "
                               "process was forked): give each its own")
        return 0

    def begin(self, bint has_residuals):
        """Evaluate at x0. 0, or the code of "non_finite"."""
        cdef int status
        cdef unsigned int mode
        self.take()
        mode = mf_fp_enter()
        if self.nogil_:
            with nogil:
                status = begin(&self.s, has_residuals)
        else:
            status = begin(&self.s, has_residuals)
        mf_fp_leave(mode)
        mf_give(&self.busy)
        return self.finish(status)

    def renew(self):
        """The Jacobian anew, where it is differenced otherwise now. 0, or the code of "non_finite"."""
        cdef int status
        self.take()
        self.s.zeros = False
        if self.nogil_:
            with nogil:
                status = renew(&self.s)
        else:
            status = renew(&self.s)
        mf_give(&self.busy)
        return self.finish(status)

    def look(self):
        """What follows from f and J, after `carries`."""
        look(&self.s)
        self.finish(self.s.ear.heard)

    def again(self):
        """Once more from here, as at the start; columns of the Jacobian so far scale nothing, for they were differences of noise."""
        cdef ptrdiff_t j
        if not self.s.own_scale:
            for j in range(self.s.n):
                self.s.D[j] = self.s.norms[j] if self.s.norms[j] > 0.0 else 1.0
        self.s.delta, self.s.lam = -1.0, 0.0
        self.s.idle = self.s.ended = self.s.bent = 0
        self.s.raised = False
        self.s.dirty = True              # the factors at hand are of columns in the former units

    def widen(self, some, double size):
        """The units of these parameters, before the first step: a change by 1 counts as residuals of this size."""
        if not self.s.own_scale:
            for j in some:
                if not 0 <= j < self.s.n:
                    raise ValueError(f"some: expected indices below {self.s.n}, got {j}")
                self.s.D[<ptrdiff_t> j] = size
            self.s.dirty = True

    def move(self, cnp.ndarray x not None):
        """Go on from x as from a start; counts go on, and D has the columns so far. 0, or the code of "non_finite"."""
        memcpy(self.s.x, numbers_of(x, self.s.n), self.s.n * sizeof(double))
        status = self.begin(False)
        self.again()
        return status

    def seen_zeros(self):
        """The parameters whose columns are 0 now and were not before; from now on they count as seen."""
        cdef ptrdiff_t j
        out = []
        for j in range(self.s.n):
            if self.s.norms[j] == 0.0 and not self.s.fixed[j] and not self.s.seen_zero[j]:
                self.s.seen_zero[j] = 1
                out.append(j)
        self.s.zeros = False
        return out

    def advance(self):
        """On to a code of ENDINGS or of ASKS."""
        cdef int status
        cdef unsigned int mode
        self.take()
        mode = mf_fp_enter()
        if self.nogil_:
            with nogil:
                status = advance(&self.s)
        else:
            status = advance(&self.s)
        mf_fp_leave(mode)
        mf_give(&self.busy)
        return self.finish(status)

    def residuals(self, x):
        """The residuals at x, not counted."""
        cdef cnp.ndarray at = np.array(x, dtype=np.float64)
        cdef cnp.ndarray out = np.empty(self.s.m)
        cdef int status = self.s.fun(numbers_of(at, self.s.n), <double *> cnp.PyArray_DATA(out), NULL, self.s.m, self.s.n, self.s.ctx)
        self.finish(status)
        return out

    def jacobian(self, x):
        """The Jacobian at x as it is given or differenced, not counted."""
        cdef cnp.ndarray at = np.array(x, dtype=np.float64)
        cdef cnp.ndarray f = self.residuals(at)
        cdef cnp.ndarray out = np.zeros((self.s.m, self.s.n))
        cdef int status = jacobian(&self.s, numbers_of(at, self.s.n), <double *> cnp.PyArray_DATA(f), <double *> cnp.PyArray_DATA(out))
        self.finish(status)
        return out

    # ---- differences over other lengths ----

    def is_beside(self, x0, double lengths, double large):
        """Whether a parameter is as large as `large`, or no farther from x0 than so many lengths of its differences; x0 None: as large."""
        cdef ptrdiff_t j
        cdef const double *start = NULL if x0 is None else numbers_of(x0, self.s.n)
        for j in range(self.s.n):
            if fabs(self.s.x[j]) >= large or start != NULL and fabs(self.s.x[j] - start[j]) < lengths * usual_length(&self.s, self.s.x, j):
                return True
        return False

    def bends(self, cnp.ndarray along not None, double share, double apart):
        """Whether J is another one over shorter lengths: the residuals change over a share of the usual ones, all parameters at once by
        `along`, by more than it and rounding tell. One evaluation that is not counted; none where no parameter may move."""
        cdef marquardt_t *s = &self.s
        cdef const double *shares = numbers_of(along, self.s.n)
        cdef double *step = s.room
        cdef double sign = share, foreseen, seen, off = 0.0, size = 0.0
        cdef bint moves = False
        cdef ptrdiff_t i, j
        for j in range(s.n):
            step[j] = 0.0 if s.fixed[j] else usual_length(s, s.x, j) * shares[j]
            moves = moves or step[j] != 0.0
            if not s.lower[j] <= s.x[j] + share * step[j] <= s.upper[j]:
                sign = -share
        if not moves:
            return False
        for j in range(s.n):
            step[j] = sign * step[j]
            s.at[j] = s.x[j] + step[j]
            if not s.lower[j] <= s.at[j] <= s.upper[j]:
                return False
        self.finish(s.fun(s.at, s.other, NULL, s.m, s.n, s.ctx))
        for i in range(s.m):
            foreseen, seen = 0.0, s.other[i] - s.f[i]
            for j in range(s.n):
                foreseen += s.J[i * s.n + j] * step[j]
            foreseen = foreseen / s.root[i] if s.loss != NULL else foreseen
            off += (seen - foreseen) * (seen - foreseen)
            seen = fabs(foreseen) if fabs(foreseen) > fabs(seen) else fabs(seen)
            size += seen * seen
        return off > 0.0 and sqrt(off) > apart * sqrt(size) + share * s.rounding + 8.0 * s.eps * sqrt(dot(s.f, s.f, s.m))

    @property
    def still_rows(self):
        """How many residuals the Jacobian does not move at all."""
        cdef ptrdiff_t i, j, count = 0
        for i in range(self.s.m):
            for j in range(self.s.n):
                if self.s.J[i * self.s.n + j] != 0.0:
                    break
            else:
                count += 1
        return count

    # ---- where it stands ----

    @property
    def x(self):
        return copied(self.s.x, self.s.n)

    @property
    def f(self):
        """The residuals there, before the loss's weights."""
        return copied(self.s.f, self.s.m)

    @property
    def r(self):
        return copied(self.s.r, self.s.m)

    @property
    def J(self):
        """The Jacobian, with the loss's weights."""
        out = np.empty((self.s.m, self.s.n))
        memcpy(cnp.PyArray_DATA(<cnp.ndarray> out), self.s.J, self.s.m * self.s.n * sizeof(double))
        return out

    @property
    def loss_weights(self):
        """The roots of the loss's slope at each residual; None for squares."""
        return None if self.s.loss == NULL else copied(self.s.root, self.s.m)

    @property
    def sizes(self):
        """The largest value of each parameter at the points where differences were taken."""
        return copied(self.s.size, self.s.n)

    @property
    def norms(self):
        return copied(self.s.norms, self.s.n)

    @property
    def edge(self):
        """The last point whose residuals were not finite; NaNs: none."""
        return copied(self.s.edge, self.s.n)

    @property
    def lengths(self):
        """D, the units of the parameters."""
        return copied(self.s.D, self.s.n)

    @property
    def m(self):
        """How many residuals."""
        return self.s.m

    @property
    def cost(self):
        return self.s.cost

    @property
    def measures(self):
        """(steepest, cosine, noise, rounding, |Q'r|, |r|)."""
        return self.s.steepest, self.s.cosine, self.s.noise, self.s.rounding, self.s.plane, self.s.length

    @property
    def counts(self):
        """(accepted steps, evaluations but those of differences, Jacobians, all calls of residuals)."""
        return self.s.nit, self.s.nfev, self.s.njev, self.s.calls

    @property
    def dt(self):
        """1/lambda of the last step."""
        return 1.0 / self.s.lam if self.s.lam > 0.0 else float("inf")

    @property
    def free(self):
        """The parameters that may move at x."""
        cdef ptrdiff_t j
        out = np.ones(self.s.n, dtype=bool)
        for j in range(self.s.n):
            if rests(&self.s, j):
                out[j] = False
        return out

    @property
    def region(self):
        """(lower, upper, held), (n,) each."""
        cdef ptrdiff_t j
        held = np.zeros(self.s.n, dtype=bool)
        for j in range(self.s.n):
            held[j] = self.s.fixed[j] != 0
        return copied(self.s.lower, self.s.n), copied(self.s.upper, self.s.n), held

    @property
    def any_slope(self):
        """Whether any entry of the Jacobian is not 0."""
        cdef ptrdiff_t j
        for j in range(self.s.n):
            if self.s.norms[j] != 0.0:
                return True
        return False

    @property
    def all_slopes(self):
        """Whether all columns of the Jacobian have a length above 0 that is finite."""
        cdef ptrdiff_t j
        for j in range(self.s.n):
            if not 0.0 < self.s.norms[j] < INFINITY:
                return False
        return True

    @property
    def plain(self):
        """Whether all columns have such lengths, and rounding turns none of them by much: a small gradient then tells an end."""
        return self.all_slopes and not self.s.lost > most_lost

    @property
    def surely_full(self):
        """Whether the factorisation at hand shows beyond doubt that J, its columns scaled to length 1, has full rank to rounding.

        |R^-1| <= (1 + 1/d)^(n-1)/d for a triangle whose columns have length 1 and whose diagonal is d at least.
        """
        cdef double least = 1.0, size, bound
        cdef ptrdiff_t a, j, _a
        if self.s.stale or self.s.k != self.s.n:
            return False
        if self.s.dirty:
            transposed(&self.s)
            factor(&self.s, self.s.r)
            self.finish(self.s.ear.heard)
            self.s.dirty = False
        if self.s.rank != self.s.n:
            return False
        for a in range(self.s.n):
            j = self.s.columns[self.s.pivot[a]]
            size = fabs(self.s.R[a * self.s.n + a]) * unit(&self.s, j) / self.s.norms[j] if self.s.norms[j] > 0.0 else 0.0
            least = size if size < least else least
        if not least > 0.0:
            return False
        bound = 1.0 / least
        for _a in range(1, self.s.n):
            bound = bound * (1.0 + 1.0 / least)
        return bound * <double> self.s.m * <double> self.s.n * 2.220446049250313e-16 < 0.01

    @property
    def lost(self):
        """By how much rounding to multiples may turn a column of differences."""
        return self.s.lost

    @property
    def stale(self):
        """Whether the Jacobian is that of the start of the last step."""
        return self.s.stale

    def factors(self):
        """(packed, ipvt, qtf) of J as MINPACK returns them: columns of Q's vectors and R, numbers from 1 on, and Q'f."""
        cdef ptrdiff_t m = self.s.m, n = self.s.n, i, j
        cdef cnp.ndarray packed = np.empty((n, m))
        cdef double *A = <double *> cnp.PyArray_DATA(packed)
        for j in range(n):
            for i in range(m):
                A[j * m + i] = self.s.J[i * n + j]
        qr(A, m, n, self.s.pivot, self.s.z, self.s.room, &self.s.ear)
        self.finish(self.s.ear.heard)
        right = self.r
        apply_qt(A, m, n, <double *> cnp.PyArray_DATA(<cnp.ndarray> right))
        for j in range(min(m, n)):
            A[j * m + j] = self.s.z[j]
        order = np.array([self.s.pivot[j] + 1 for j in range(n)], dtype=np.int32)
        self.s.dirty = True
        return packed, order, right[:n].copy()

    def inverse(self):
        """(inv(J'J), rank of J) by the factorisation of all columns at x; None where the rank is not full."""
        cdef cnp.ndarray out = np.empty((self.s.n, self.s.n))
        cdef ptrdiff_t rank = inverse_square(self.s.J, self.s.m, self.s.n, self.s.A, self.s.norms, self.s.pivot, self.s.z, self.s.room,
                                             self.s.R, self.s.S, <double *> cnp.PyArray_DATA(out), &self.s.ear)
        self.s.dirty = True
        self.finish(self.s.ear.heard)
        return (out if rank == self.s.n else None), rank

    def longest(self, cnp.ndarray C not None):
        """The root of the largest variance in C, (n, n), that is finite, of parameters whose columns of J have length 1; 0: none is."""
        cdef const double *of = numbers_of(C, self.s.n * self.s.n)
        cdef double most = 0.0, one
        cdef ptrdiff_t j
        for j in range(self.s.n):
            one = sqrt(of[j * self.s.n + j]) * self.s.norms[j]
            most = one if most < one < INFINITY else most
        return most
