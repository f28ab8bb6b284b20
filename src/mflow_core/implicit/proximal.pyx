"""Implicit steps on batches of residuals: c+ = c - gamma grad f_b(c+), f_b the mean of w r^2/2 over the b rows of a batch.

The step is a local minimiser z of phi(z) = f_b(z) + |z - c|^2/(2 gamma), found from c downhill, so that phi(z) <= f_b(c). With g = gamma/b
and the rows of J the gradients of sqrt(w) r, Gauss and Newton's direction leads to the minimiser of phi with r linear,

    z' = c - g J'u,    (I + g J J') u = r + J (c - z)          Woodbury's identity: a system of the batch's size, never one of n

so that nothing is subtracted that was just added, however large g |J|^2. Where it converges slowly, for r bends too much, Newton's own
direction is taken: H d = -s, s = z - c + g J'r, by conjugate gradients with products alone (differences of s), preconditioned by
I + g J'J. Both are followed by a line search on phi. Where no root is found, or phi is not finite on the way, gamma is divided by 4 and the
step begun again at c; after MOST_CUTS of that c stays. The distance |d| to the root that Gauss and Newton's direction estimates, as a share
of |z - c|, is the certificate.

After the step weights may shrink by the proximal map of gamma (l1 |c|_1 + l2 |c|^2/2), entry by entry. Residuals are those of a compiled
objective, a compiled function of (c, datum), or a Python function; the first two run without the GIL. No call allocates.
"""
from cpython.exc cimport PyErr_CheckSignals
from libc.math cimport INFINITY, fabs, sqrt
from libc.stddef cimport ptrdiff_t
from libc.stdint cimport int64_t
from libc.stdlib cimport free
from libc.string cimport memcpy

cimport numpy as cnp

from mflow_core.arithmetic.memory cimport mf_zeros
from mflow_core.arithmetic.vec cimport mf_fp_enter, mf_fp_leave
from mflow_core.methods.losses cimport toward_zero
from mflow_core.objectives.objective cimport Objective
from mflow_core.objectives.objectives cimport objective_t
from mflow_core.owner cimport mf_give, mf_take

import numpy as np

from mflow_core.optimize.arrays import checked
from mflow_core.problems.signatures import DATUM_SIGNATURE, code_text, compiled_address

cnp.import_array()

GOOD, CUT, KEPT, SKIPPED = 0, 1, 2, 3    # a whole step; one of a smaller gamma; none; none, as the residuals at c are not finite

cdef enum:
    MOST_CUTS = 40
    MOST_ITERATIONS = 100
    MOST_HALVINGS = 40
    MOST_PRODUCTS = 16                   # of Newton's own direction
    PORTION = 256                        # batches between looks at signals

cdef double EPS = 2.220446049250313e-16
cdef double CLOSE = 1e-10                # the share of |z - c| within which a root is found
cdef double ROUNDED = 1e-7               # likewise, where phi can fall no further
cdef double SLOW = 0.25                  # a direction that is longer than this share of the one before: Newton's own from here on

ctypedef int (*residual_at_fn)(const double *c, const double *datum, double *r, double *grad, ptrdiff_t n, ptrdiff_t columns,
                               void *ctx) noexcept nogil


cdef inline double dot(const double *a, const double *b, ptrdiff_t n) noexcept nogil:
    cdef double sum = 0.0
    cdef ptrdiff_t i
    for i in range(n):
        sum += a[i] * b[i]
    return sum


cdef inline void turn(double *a, double *b, double c, double s) noexcept nogil:
    cdef double first = a[0]
    a[0] = c * first + s * b[0]
    b[0] = c * b[0] - s * first


cdef class ProximalSteps:
    """Parameters c of n numbers, and steps on batches of at most `most` residuals.

    source: an `Objective` that is a sum of squares, a compiled function of (c, datum) with `data` (rows, columns), or a Python function
    of (c, rows) that returns residuals (b,) and their Jacobian (b, n).
    """
    cdef object source, owners, callback
    cdef const objective_t *objective
    cdef residual_at_fn function
    cdef void *context
    cdef const double *data
    cdef const double *weight            # of each row; NULL: 1
    cdef const double *unit              # of each parameter: all here is in these units; NULL: 1
    cdef double *point                   # c in the units of the residuals
    cdef readonly ptrdiff_t n, most, rows
    cdef ptrdiff_t columns
    cdef double *block
    cdef double *c
    cdef double *z
    cdef double *trial
    cdef double *d
    cdef double *s
    cdef double *e
    cdef double *basis
    cdef double *y
    cdef double *sum
    cdef double *r
    cdef double *J
    cdef double *r_trial
    cdef double *J_trial
    cdef double *u
    cdef double *A
    cdef int owner
    cdef double value                    # f_b at the last point evaluated
    cdef public double l1, l2, worst
    cdef public int64_t nfev, averaged

    def __cinit__(self, source, cnp.ndarray start not None, ptrdiff_t most, cnp.ndarray data=None, cnp.ndarray weight=None,
                  cnp.ndarray unit=None):
        cdef ptrdiff_t n = cnp.PyArray_SIZE(start), b = most
        checked(start, "start", False)
        if most < 1:
            raise ValueError(f"most: expected at least 1 residual in a batch, got {most}")
        self.n, self.most, self.source = n, most, source
        if isinstance(source, Objective):
            self.objective = &(<Objective> source).c
            if self.objective.record == NULL or self.objective.record.residual == NULL or self.objective.n != n:
                raise TypeError(f"residual: expected a sum of squares of {n} unknowns, got {source!r}")
            self.rows = self.objective.count
        elif data is not None:
            address, ctx = compiled_address(source, "residual", DATUM_SIGNATURE)
            self.function, self.context = <residual_at_fn> <void *> <size_t> address, <void *> <size_t> ctx
            checked(data, "data", False)
            if cnp.PyArray_NDIM(data) != 2:
                raise ValueError(f"data: expected shape (rows, columns), got {(<object> data).shape}")
            self.rows, self.columns = (<object> data).shape
            self.data = <const double *> cnp.PyArray_DATA(data)
        else:
            self.callback, self.rows = source, -1
        if weight is not None:
            checked(weight, "weight", False)
            if self.rows >= 0 and cnp.PyArray_SIZE(weight) != self.rows:
                raise ValueError(f"weight: expected {self.rows} numbers, got {cnp.PyArray_SIZE(weight)}")
            self.weight = <const double *> cnp.PyArray_DATA(weight)
        if unit is not None:
            checked(unit, "unit", False)
            if cnp.PyArray_SIZE(unit) != n:
                raise ValueError(f"unit: expected {n} numbers, got {cnp.PyArray_SIZE(unit)}")
            self.unit = <const double *> cnp.PyArray_DATA(unit)
        self.owners = (data, weight, unit)
        self.block = <double *> mf_zeros((9 + MOST_PRODUCTS + 1) * n + 2 * b * (n + 1) + b + b * b + 1, sizeof(double))
        if self.block == NULL:
            raise MemoryError(f"no memory for batches of {b} residuals of {n} unknowns")
        self.lay_out(n, b)
        self.set(start)

    cdef void lay_out(self, ptrdiff_t n, ptrdiff_t b) noexcept:
        self.c = self.block
        self.z, self.trial, self.d, self.s = self.c + n, self.c + 2 * n, self.c + 3 * n, self.c + 4 * n
        self.e, self.y, self.sum, self.point = self.c + 5 * n, self.c + 6 * n, self.c + 7 * n, self.c + 8 * n
        self.basis = self.c + 9 * n
        self.r = self.basis + (MOST_PRODUCTS + 1) * n
        self.J = self.r + b
        self.r_trial = self.J + b * n
        self.J_trial = self.r_trial + b
        self.u = self.J_trial + b * n
        self.A = self.u + b

    def __dealloc__(self):
        free(self.block)

    # ---- residuals

    cdef int python_rows(self, const double *z, const int64_t *rows, ptrdiff_t b, double *r, double *J) except -1:
        """What the Python function returns. J NULL: its Jacobian is not used."""
        cdef cnp.ndarray at = np.empty(self.n), which = np.empty(b, dtype=np.int64)
        memcpy(cnp.PyArray_DATA(at), z, self.n * sizeof(double))
        memcpy(cnp.PyArray_DATA(which), rows, b * sizeof(int64_t))
        residuals, jacobian = self.callback(at, which, J != NULL)
        cdef cnp.ndarray values = np.ascontiguousarray(residuals, dtype=np.float64), slopes
        if cnp.PyArray_SIZE(values) != b:
            raise ValueError(f"residual: expected {b} residuals, one for each row, got {cnp.PyArray_SIZE(values)}")
        memcpy(r, cnp.PyArray_DATA(values), b * sizeof(double))
        if J != NULL:
            slopes = np.ascontiguousarray(jacobian, dtype=np.float64)
            if cnp.PyArray_SIZE(slopes) != b * self.n:
                raise ValueError(f"jacobian: expected shape ({b}, {self.n}), row i the gradient of residual i, got {np.shape(jacobian)}")
            memcpy(J, cnp.PyArray_DATA(slopes), b * self.n * sizeof(double))
        return 0

    cdef int evaluate(self, const double *z, const int64_t *rows, ptrdiff_t b, double *r, double *J) except -1 nogil:
        """r and J, and self.value = f_b, which is infinite where one of them is not finite."""
        cdef ptrdiff_t k, i, row
        cdef double root, total = 0.0, size = 0.0
        cdef double *at
        cdef int status
        self.nfev += 1
        if self.unit != NULL:
            for i in range(self.n):
                self.point[i] = self.unit[i] * z[i]
            z = self.point
        if self.callback is not None:
            with gil:
                self.python_rows(z, rows, b, r, J)
        for k in range(b):
            row, at = rows[k], NULL if J == NULL else J + k * self.n
            if self.objective != NULL:
                r[k] = self.objective.record.residual(self.objective, z, row if self.objective.order == NULL else self.objective.order[row], at)
            elif self.function != NULL:
                status = self.function(z, self.data + row * self.columns, r + k, at, self.n, self.columns, self.context)
                if status != 0:
                    with gil:
                        raise RuntimeError(f"residual: it gave up at row {row} ({code_text(status)})")
            if self.weight != NULL:
                root = sqrt(self.weight[row])
                r[k] = root * r[k]
                for i in range(self.n if at != NULL else 0):
                    at[i] = root * at[i]
            for i in range(self.n if at != NULL and self.unit != NULL else 0):
                at[i] = self.unit[i] * at[i]
            total += r[k] * r[k]
            for i in range(self.n if at != NULL else 0):
                size += fabs(at[i])
        self.value = 0.5 * total / <double> b
        if not (self.value - self.value == 0.0 and size - size == 0.0):
            self.value = INFINITY
        return 0

    # ---- one step

    cdef void add_gradient(self, double g, ptrdiff_t b, const double *r, const double *J, double *out) noexcept nogil:
        """out += g J'r."""
        cdef ptrdiff_t k, i
        cdef double share
        for k in range(b):
            share = g * r[k]
            for i in range(self.n):
                out[i] += share * J[k * self.n + i]

    cdef bint factor(self, double g, ptrdiff_t b) noexcept nogil:
        """A = L L' of I + g J J', in its lower half; False where it is not finite."""
        cdef double *A = self.A
        cdef ptrdiff_t i, j
        cdef double value
        for i in range(b):
            for j in range(i + 1):
                value = g * dot(self.J + i * self.n, self.J + j * self.n, self.n) + (1.0 if i == j else 0.0)
                value -= dot(A + i * b, A + j * b, j)
                if i == j:
                    if not (0.0 < value < INFINITY):
                        return False
                    A[i * b + i] = sqrt(value)
                else:
                    A[i * b + j] = value / A[j * b + j]
        return True

    cdef void solve(self, ptrdiff_t b) noexcept nogil:
        """u = A^-1 u."""
        cdef double *A = self.A
        cdef double *u = self.u
        cdef ptrdiff_t i, j
        for i in range(b):
            u[i] = (u[i] - dot(A + i * b, u, i)) / A[i * b + i]
        for i in range(b - 1, -1, -1):
            for j in range(i + 1, b):
                u[i] -= A[j * b + i] * u[j]
            u[i] = u[i] / A[i * b + i]

    cdef double gauss_newton(self, double g, ptrdiff_t b) noexcept nogil:
        """d = z' - z, and its length; infinite where there is none."""
        cdef ptrdiff_t k, i
        if not self.factor(g, b):
            return INFINITY
        for i in range(self.n):
            self.d[i] = self.c[i] - self.z[i]
        for k in range(b):
            self.u[k] = self.r[k] + dot(self.J + k * self.n, self.d, self.n)
        self.solve(b)
        self.add_gradient(-g, b, self.u, self.J, self.d)
        return sqrt(dot(self.d, self.d, self.n))

    cdef int bent(self, double g, const int64_t *rows, ptrdiff_t b, const double *v, double *out) except -1 nogil:
        """out = v + (I + g J'J)^-1 g E v, E = sum r_k Hess r_k: what is left of H v, from one difference of J'r."""
        cdef double h = 1.5e-8 * (1.0 + sqrt(dot(self.z, self.z, self.n))) / sqrt(dot(v, v, self.n))
        cdef double *e = self.e
        cdef ptrdiff_t i, k
        for i in range(self.n):
            self.trial[i] = self.z[i] + h * v[i]
            e[i] = 0.0
        self.evaluate(self.trial, rows, b, self.r_trial, self.J_trial)
        self.add_gradient(g, b, self.r_trial, self.J_trial, e)
        self.add_gradient(-g, b, self.r, self.J, e)
        for i in range(self.n):
            e[i] = e[i] / h
        for k in range(b):
            self.u[k] = dot(self.J + k * self.n, v, self.n)
        self.add_gradient(-g, b, self.u, self.J, e)
        for k in range(b):
            self.u[k] = dot(self.J + k * self.n, e, self.n)
        self.solve(b)
        self.add_gradient(-g, b, self.u, self.J, e)
        for i in range(self.n):
            out[i] = v[i] + e[i]
        return 0

    cdef int newton(self, double g, const int64_t *rows, ptrdiff_t b) except -1 nogil:
        """d from Gauss and Newton's direction to Newton's own: (I + (I + g J'J)^-1 g E) d' = d by GMRES (Saad and Schultz 1986). It
        stays where the products are not finite."""
        cdef double[MOST_PRODUCTS * (MOST_PRODUCTS + 1)] R
        cdef double[MOST_PRODUCTS] cs
        cdef double[MOST_PRODUCTS] sn
        cdef double[MOST_PRODUCTS + 1] rest
        cdef double *v = self.basis
        cdef double *w
        cdef double size = sqrt(dot(self.d, self.d, self.n)), part
        cdef ptrdiff_t i, j, k, m = 0, most = min(self.n, <ptrdiff_t> MOST_PRODUCTS)
        for i in range(self.n):
            v[i] = self.d[i] / size
        rest[0] = size
        for k in range(most):
            w = v + (k + 1) * self.n
            self.bent(g, rows, b, v + k * self.n, w)
            for j in range(k + 1):
                part = dot(w, v + j * self.n, self.n)
                R[k * (MOST_PRODUCTS + 1) + j] = part
                for i in range(self.n):
                    w[i] -= part * v[j * self.n + i]
            part = sqrt(dot(w, w, self.n))
            if not part < INFINITY:
                return 0
            for j in range(k):
                turn(&R[k * (MOST_PRODUCTS + 1) + j], &R[k * (MOST_PRODUCTS + 1) + j + 1], cs[j], sn[j])
            R[k * (MOST_PRODUCTS + 1) + k + 1] = part
            size = sqrt(R[k * (MOST_PRODUCTS + 1) + k] * R[k * (MOST_PRODUCTS + 1) + k] + part * part)
            if size == 0.0:
                return 0
            cs[k], sn[k] = R[k * (MOST_PRODUCTS + 1) + k] / size, part / size
            R[k * (MOST_PRODUCTS + 1) + k] = size
            rest[k + 1] = -sn[k] * rest[k]
            rest[k] = cs[k] * rest[k]
            m = k + 1
            if fabs(rest[k + 1]) <= 1e-8 * fabs(rest[0]) or part <= 1e-14 * size:
                break
            for i in range(self.n):
                w[i] = w[i] / part
        for k in range(m - 1, -1, -1):
            for j in range(k + 1, m):
                rest[k] -= R[j * (MOST_PRODUCTS + 1) + k] * rest[j]
            rest[k] = rest[k] / R[k * (MOST_PRODUCTS + 1) + k]
        for i in range(self.n):
            self.y[i] = 0.0
        for k in range(m):
            for i in range(self.n):
                self.y[i] += rest[k] * v[k * self.n + i]
        if dot(self.y, self.s, self.n) < 0.0:
            memcpy(self.d, self.y, self.n * sizeof(double))
        return 0

    cdef double proximal(self, const double *z, double gamma) noexcept nogil:
        """phi where self.value is f_b(z)."""
        cdef double sum = 0.0, part
        cdef ptrdiff_t i
        for i in range(self.n):
            part = z[i] - self.c[i]
            sum += part * part
        return self.value + 0.5 * sum / gamma

    cdef double noise(self, ptrdiff_t b) noexcept nogil:
        """What rounding of the residuals, whose parts are about as large as J z, may change phi by."""
        cdef double total = 0.0, size
        cdef ptrdiff_t k, i
        for k in range(b):
            size = fabs(self.r[k])
            for i in range(self.n):
                size += fabs(self.J[k * self.n + i] * self.z[i])
            total += fabs(self.r[k]) * size
        return 8.0 * EPS * total / <double> b

    cdef int descend(self, double gamma, const int64_t *rows, ptrdiff_t b, double *phi) except -1 nogil:
        """From z along d to a lower phi, or to one that is the same to rounding where no more can be told: r and J are those of the new z.
        0: there is none."""
        cdef double share = 1.0, slope = dot(self.s, self.d, self.n) / gamma, lower, noise = self.noise(b)
        cdef ptrdiff_t i, _k
        if not slope < 0.0:
            return 0
        for _k in range(MOST_HALVINGS):
            for i in range(self.n):
                self.trial[i] = self.z[i] + share * self.d[i]
            self.evaluate(self.trial, rows, b, self.r_trial, self.J_trial)
            lower = self.proximal(self.trial, gamma)
            if lower <= phi[0] + 1e-4 * share * slope or lower <= phi[0] + noise and share * slope > -noise:
                self.z, self.trial = self.trial, self.z
                self.r, self.r_trial = self.r_trial, self.r
                self.J, self.J_trial = self.J_trial, self.J
                phi[0] = lower
                return 1
            share *= 0.5
        return 0

    cdef int solve_for(self, double gamma, const int64_t *rows, ptrdiff_t b, double start, double *phi) except -1 nogil:
        """z, from c down; 1 where it is a root with phi <= start, 2 where rounding alone has its phi above it."""
        cdef double g = gamma / <double> b, length, before = INFINITY, moved, size
        cdef bint own = False, near
        cdef ptrdiff_t i, _k
        cdef double far
        memcpy(self.z, self.c, self.n * sizeof(double))
        self.evaluate(self.z, rows, b, self.r, self.J)
        phi[0] = start
        for _k in range(MOST_ITERATIONS):
            length = self.gauss_newton(g, b)
            moved = size = 0.0
            for i in range(self.n):
                far = self.z[i] - self.c[i]
                self.s[i] = far
                moved += far * far
                size += self.z[i] * self.z[i]
            moved, size = sqrt(moved), sqrt(size)
            if not length < INFINITY:
                return 0
            if length <= CLOSE * moved + 4.0 * EPS * size:
                self.worst = max(self.worst, length / (moved + EPS * size) if length > 4.0 * EPS * size else 0.0)
                return 1 if phi[0] <= start else 2
            near = length <= ROUNDED * moved + 64.0 * EPS * size
            self.add_gradient(g, b, self.r, self.J, self.s)
            own = own or length > SLOW * before
            before = length
            if own:
                self.newton(g, rows, b)
            if not self.descend(gamma, rows, b, phi):
                if near and phi[0] <= start:     # phi has no digits left
                    self.worst = max(self.worst, length / moved)
                    return 1
                return 0
        return 0

    cdef int step(self, double gamma, const int64_t *rows, ptrdiff_t b, double *start, double *end) except -1 nogil:
        """One step; start and end: phi before and after, at the gamma taken. GOOD, CUT, KEPT or SKIPPED."""
        cdef double taken = gamma
        cdef ptrdiff_t _k
        cdef int found
        self.evaluate(self.c, rows, b, self.r, self.J)
        start[0] = end[0] = self.value
        if not self.value < INFINITY:
            return 3
        for _k in range(MOST_CUTS):
            if gamma == 0.0:
                return 0
            found = self.solve_for(taken, rows, b, start[0], end)
            if found == 2:
                break
            if found == 1:
                memcpy(self.c, self.z, self.n * sizeof(double))
                return 1 if _k else 0
            taken *= 0.25
        end[0] = start[0]
        return 2

    cdef void shrink(self, double gamma) noexcept nogil:
        """The proximal map of l1 |c|_1 + l2 |c|^2/2."""
        cdef double cut = gamma * self.l1, scale = 1.0 / (1.0 + gamma * self.l2)
        cdef ptrdiff_t i
        for i in range(self.n):
            self.c[i] = toward_zero(self.c[i], cut) * scale

    # ---- many

    def gradient(self, cnp.ndarray at not None, cnp.ndarray order not None):
        """(the mean of w r^2/2 over the rows of `order`, its gradient) at a point: in units of `unit`, as c is. Infinite, if it is not
        finite."""
        cdef ptrdiff_t count = cnp.PyArray_SIZE(order), first = 0, b
        cdef cnp.ndarray out = np.zeros(self.n)
        cdef double *grad = <double *> cnp.PyArray_DATA(out)
        cdef const double *z
        cdef double total = 0.0
        cdef unsigned int mode
        self.check_order(order)
        if cnp.PyArray_SIZE(checked(at, "at", False)) != self.n or not count:
            raise ValueError(f"at, order: expected {self.n} numbers and at least one row, got {cnp.PyArray_SIZE(at)} and {count}")
        z = <const double *> cnp.PyArray_DATA(at)
        if not mf_take(&self.owner):
            raise RuntimeError("these parameters are in use in another thread (or were when this process was forked): give each its own")
        try:
            with nogil:
                mode = mf_fp_enter()
                try:
                    while first < count:
                        b = min(self.most, count - first)
                        self.evaluate(z, <const int64_t *> cnp.PyArray_DATA(order) + first, b, self.r_trial, self.J_trial)
                        total += self.value * <double> b
                        self.add_gradient(1.0 / <double> count, b, self.r_trial, self.J_trial, grad)
                        first += b
                finally:
                    mf_fp_leave(mode)
        finally:
            mf_give(&self.owner)
        return total / <double> count, out

    cdef int check_order(self, cnp.ndarray order) except -1:
        if order.dtype != np.int64 or not order.flags.c_contiguous or order.ndim != 1:
            raise TypeError("order: expected a contiguous array of int64 with one dimension")
        if self.rows >= 0 and cnp.PyArray_SIZE(order) and not 0 <= order.min() <= order.max() < self.rows:
            raise ValueError(f"order: expected rows from 0 to {self.rows - 1}, got one outside")
        return 0

    def run(self, cnp.ndarray order not None, ptrdiff_t batch, cnp.ndarray gammas not None, bint average=False):
        """Steps on the batches of `order`, one after the other, each with its gamma.

        Returns (values, kinds): f_b before and phi after each step, (batches, 2), and how each ended. average: the points after the steps
        are added up.
        """
        cdef ptrdiff_t count = cnp.PyArray_SIZE(order), batches, first = 0, here
        cdef const int64_t *at
        cdef const double *gamma
        cdef cnp.ndarray values, kinds
        cdef double *out
        cdef int64_t *kind
        self.check_order(order)
        if not 1 <= batch <= self.most:
            raise ValueError(f"batch: expected a number of residuals from 1 to {self.most}, got {batch}")
        batches = (count + batch - 1) // batch
        checked(gammas, "gammas", False)
        if cnp.PyArray_SIZE(gammas) != batches:
            raise ValueError(f"gammas: expected {batches} numbers, one for each batch, got {cnp.PyArray_SIZE(gammas)}")
        values, kinds = np.empty((batches, 2)), np.empty(batches, dtype=np.int64)
        at, gamma = <const int64_t *> cnp.PyArray_DATA(order), <const double *> cnp.PyArray_DATA(gammas)
        out, kind = <double *> cnp.PyArray_DATA(values), <int64_t *> cnp.PyArray_DATA(kinds)
        if not mf_take(&self.owner):
            raise RuntimeError("these parameters are in use in another thread (or were when this process was forked): give each its own")
        try:
            while first < batches:
                here = min(batches, first + PORTION)
                with nogil:
                    self.portion(at, count, batch, gamma, out, kind, first, here, average)
                first = here
                PyErr_CheckSignals()
        finally:
            mf_give(&self.owner)
        return values, kinds

    cdef int portion(self, const int64_t *at, ptrdiff_t count, ptrdiff_t batch, const double *gamma, double *out, int64_t *kind,
                     ptrdiff_t first, ptrdiff_t last, bint average) except -1 nogil:
        cdef unsigned int mode = mf_fp_enter()
        cdef ptrdiff_t k, i, b
        try:
            for k in range(first, last):
                b = min(batch, count - k * batch)
                kind[k] = self.step(gamma[k], at + k * batch, b, out + 2 * k, out + 2 * k + 1)
                if self.l1 > 0.0 or self.l2 > 0.0:
                    self.shrink(gamma[k])
                if average:
                    for i in range(self.n):
                        self.sum[i] += self.c[i]
                    self.averaged += 1
        finally:
            mf_fp_leave(mode)
        return 0

    @property
    def last(self):
        """A copy of c."""
        return self.copy(self.c, 1.0)

    @property
    def mean(self):
        """The mean of the points after the steps that were averaged; c where there is none."""
        return self.copy(self.sum, <double> self.averaged) if self.averaged else self.last

    cdef cnp.ndarray copy(self, const double *x, double count):
        cdef cnp.ndarray out = np.empty(self.n)
        cdef double *to = <double *> cnp.PyArray_DATA(out)
        cdef ptrdiff_t i
        for i in range(self.n):
            to[i] = x[i] / count * (1.0 if self.unit == NULL else self.unit[i])
        return out

    def forget_mean(self):
        """Nothing is averaged yet."""
        cdef ptrdiff_t i
        for i in range(self.n):
            self.sum[i] = 0.0
        self.averaged = 0

    def set(self, cnp.ndarray c not None):
        """Go on from other parameters."""
        cdef const double *at = <const double *> cnp.PyArray_DATA(checked(c, "c", False))
        cdef ptrdiff_t i
        if cnp.PyArray_SIZE(c) != self.n:
            raise ValueError(f"c: expected {self.n} numbers, got {cnp.PyArray_SIZE(c)}")
        for i in range(self.n):
            self.c[i] = at[i] if self.unit == NULL else at[i] / self.unit[i]
