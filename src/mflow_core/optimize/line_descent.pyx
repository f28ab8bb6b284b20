"""A descent by line searches or trust regions as Python sees it: descents.pyx with its arrays, its products and its saved state."""
from libc.math cimport INFINITY, fabs
from libc.stddef cimport ptrdiff_t
from libc.stdint cimport int64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, memset

cimport numpy as cnp

from mflow_core.arithmetic.clock cimport MF_PIECE, mf_seconds
from mflow_core.arithmetic.vec cimport max_abs, mf_fp_enter, mf_fp_leave
from mflow_core.optimize.descents cimport (BARZILAI_BORWEIN, LINE_FAILED, MAX_HISTORY, descent_close, descent_open, descent_products,
                                           descent_renew, descent_start, descent_t, line_descend, look_scaled, lowest_point, path_t,
                                           rule_defaults, rule_t)
from mflow_core.optimize.products cimport Products
from mflow_core.optimize.saved_descents cimport descent_pack, descent_unpack
from mflow_core.owner cimport mf_give, mf_take
from mflow_core.problems.problem cimport Problem, raise_or
from mflow_core.registry cimport MethodRecord
from mflow_core.stepping.descent cimport asks_ahead
from mflow_core.types cimport MF_E_MEMORY, mf_direction

import numpy as np

from mflow_core.optimize.linesearch import KINDS as SEARCHES

cnp.import_array()

KINDS = {**SEARCHES, "barzilai_borwein": BARZILAI_BORWEIN}
FAILED = LINE_FAILED


cdef int way_of(MethodRecord record, mf_direction *way) noexcept nogil:
    return record.m.direct(record.m, way)


cdef int read_rule(rule_t *rule, int kind, dict given) except -1:
    """What is not given has its usual value."""
    rule_defaults(rule)
    rule.kind = kind
    if not given:
        return 0
    rule[0] = {**USUAL, **given, "kind": kind}
    if not 1 <= rule.memory <= MAX_HISTORY:
        raise ValueError(f"memory: expected a whole number from 1 to {MAX_HISTORY}, got {rule.memory}")
    return 0


cdef dict usual_rule():
    cdef rule_t rule
    rule_defaults(&rule)
    return rule


USUAL = usual_rule()                     # a rule, whose numbers need not be given


cdef int in_pieces(descent_t *s, int64_t count, double gtol, path_t *path, int64_t *piece) noexcept nogil:
    """`line_descend` in pieces that a clock measures, of which this is the size of the next; it may end early, with status 0, so that
    signals are looked at. Results do not depend on the cuts."""
    cdef double began = mf_seconds(), before = began, now
    cdef int64_t steps, left = count
    cdef int status
    while True:
        steps = min(piece[0], left)
        status = line_descend(s, steps, gtol, path)
        left -= steps
        if status != 0 or left <= 0:
            return status
        now = mf_seconds()
        piece[0] = <int64_t> max(1.0, min(4.0 * piece[0], steps * MF_PIECE / max(now - before, 1e-9)))
        if now - began >= MF_PIECE:
            return 0
        before = now


cdef bint fits(object array, ptrdiff_t size):
    """Whether it is a C-contiguous float64 array of so many numbers."""
    if not isinstance(array, np.ndarray) or cnp.PyArray_TYPE(<cnp.ndarray> array) != cnp.NPY_DOUBLE:
        return False
    return cnp.PyArray_ISCARRAY_RO(<cnp.ndarray> array) and cnp.PyArray_SIZE(array) == size


cdef int check_fit(str name, object array, ptrdiff_t size) except -1:
    if array is not None and not fits(array, size):
        raise TypeError(f"{name}: expected a C-contiguous float64 array of {size} numbers")
    return 0


cdef class LineDescent:
    """A descent of a cost by the directions of a method and one of KINDS.

    rule: c1, c2 (0: the method's), shrink, tol, max_step, limit (evaluations a search), initial and first_try (0: estimated), rises (as in
    linesearch.pxd), memory and form (Barzilai and Borwein). parameters: those of the method, an optimizer's with lr = 1. lower, upper: bounds, float64 arrays of x0's
    shape, or None. products: where a method that needs them has H p from; None: differences of gradients, `product_step` long. scale: lengths
    of the parameters, powers of 2, that directions see x in, a float64 array of x0's shape, or None.
    """
    cdef descent_t s
    cdef readonly Problem problem
    cdef readonly MethodRecord record
    cdef readonly Products products
    cdef readonly cnp.ndarray scale
    cdef object shape
    cdef cnp.ndarray start               # for its shape
    cdef double *par
    cdef int64_t piece                   # iterations of the next piece of a paced descent
    cdef int busy

    def __cinit__(self, MethodRecord record, Problem problem, cnp.ndarray x0, int kind, dict rule, dict parameters,
                  cnp.ndarray lower=None, cnp.ndarray upper=None, Products products=None, double product_step=0.0,
                  cnp.ndarray scale=None):
        cdef rule_t numbers
        cdef int status
        check_fit("x0", x0, problem.c.n)
        if lower is not None or upper is not None:
            check_fit("lower", lower, problem.c.n)
            check_fit("upper", upper, problem.c.n)
        check_fit("scale", scale, problem.c.n)
        if (record.m.update == NULL and record.m.direct == NULL) or problem.c.value_grad == NULL or not problem.has_value:
            raise TypeError(f"method: expected one that gives a direction, and a cost with its value, got {record.name}")
        if (lower is None) != (upper is None):
            raise TypeError("lower, upper: expected both or neither")
        self.record, self.problem, self.shape, self.products, self.piece = record, problem, (<object> x0).shape, products, 1
        self.start, self.scale = x0, scale
        self.par = record.parameters(parameters)
        read_rule(&numbers, kind, rule)
        status = descent_open(&self.s, record.m, &problem.c, self.par, &numbers, lower is not None, scale is not None)
        if status == MF_E_MEMORY:
            raise MemoryError(f"no memory for {record.name} with {problem.c.n} components")
        if status != 0:
            raise ValueError(f"bounds: {record.name} takes none")
        if self.looks_ahead():
            raise ValueError(f"method: expected one that takes its gradient at x, where a search starts, got {record.name}, which looks ahead")
        if products is not None:
            descent_products(&self.s, products.fun, products.ctx)
        if product_step > 0.0:
            self.s.product_step = product_step
        descent_start(&self.s, <const double *> cnp.PyArray_DATA(x0), NULL if lower is None else <const double *> cnp.PyArray_DATA(lower),
                      NULL if upper is None else <const double *> cnp.PyArray_DATA(upper),
                      NULL if scale is None else <const double *> cnp.PyArray_DATA(scale))

    cdef bint looks_ahead(self) noexcept:
        cdef bint ahead
        if self.s.m.ask == NULL:
            return False
        self.s.m.begin(self.s.m, self.par, 0, self.s.scal, self.s.coef)
        ahead = asks_ahead(self.s.m, self.s.sizes.n_vec, self.s.coef)
        memset(self.s.scal, 0, self.s.sizes.n_scal * sizeof(double))
        return ahead

    def __dealloc__(self):
        free(self.par)
        descent_close(&self.s)

    def advance(self, int64_t count, double gtol, x=None, d=None, a=None, f=None, bint paced=False):
        """The status of up to `count` iterations. x, d (count, n), a, f (count,): rows for their points, directions, steps and values.
        paced: it may return with iterations left, status 0, after a hundredth of a second of a compiled cost."""
        cdef path_t path
        cdef unsigned int mode
        cdef int status
        path.x = path.d = path.a = path.f = NULL
        if x is not None:
            for array, size in ((x, count * self.s.n), (d, count * self.s.n), (a, count), (f, count)):
                if not fits(array, size) or not array.flags.writeable:
                    raise TypeError(f"path: expected a C-contiguous float64 array of {size} numbers")
            path.x, path.d = <double *> cnp.PyArray_DATA(<cnp.ndarray> x), <double *> cnp.PyArray_DATA(<cnp.ndarray> d)
            path.a, path.f = <double *> cnp.PyArray_DATA(<cnp.ndarray> a), <double *> cnp.PyArray_DATA(<cnp.ndarray> f)
        if not mf_take(&self.busy):
            raise RuntimeError("this descent is already going, in another thread or from its own callback (or was in another thread when this "
                               "process was forked): give each its own")
        mode = mf_fp_enter()
        if self.problem.compiled and paced:
            with nogil:
                status = in_pieces(&self.s, count, gtol, &path, &self.piece)
        elif self.problem.compiled:
            with nogil:
                status = line_descend(&self.s, count, gtol, &path)
        else:
            status = line_descend(&self.s, count, gtol, &path)
        mf_fp_leave(mode)
        mf_give(&self.busy)
        return raise_or(status)

    @property
    def once(self):
        """Whether a search that fails is an end, where the method would begin again."""
        return self.s.once

    @once.setter
    def once(self, bint value):
        self.s.once = value

    @property
    def least(self):
        """Of max(1, |x|): shorter moves count as none in a search, as slopes tell nothing of them."""
        return self.s.line.least

    @least.setter
    def least(self, double value):
        self.s.line.least = value

    @property
    def plain(self):
        """Whether the gradient that is to be small is that of x, though directions see lengths of the parameters."""
        return self.s.plain

    @plain.setter
    def plain(self, bint value):
        self.s.plain = value

    @property
    def in_units(self):
        """Whether that gradient is the one in lengths of the parameters."""
        return self.s.scale != NULL and not self.s.plain

    @property
    def uneven(self):
        """Whether numbers of x differ by a thousand or more, zeros aside, as where they are of different units."""
        cdef double most = 0.0, least = INFINITY, part
        cdef ptrdiff_t i
        for i in range(self.s.n):
            part = fabs(self.s.x[i])
            most = part if part > most else most
            least = part if 0.0 < part < least else least
        return most >= 1e3 * least

    @property
    def size(self):
        """The largest absolute value among the numbers of x."""
        return max_abs(self.s.x, self.s.n)

    def pulls(self, double began, double share):
        """Whether the largest entry of x g, about what a parameter's own size is worth, is more than this share of the cost, and of what it
        has come down by from `began` (nan: not known)."""
        cdef double most = 0.0, part, size = fabs(self.s.f)
        cdef ptrdiff_t i
        for i in range(self.s.n):
            part = fabs(self.s.x[i] * self.s.g[i])
            most = part if part > most else most
        return most > share * (began - self.s.f if began - self.s.f > size else size)

    def renew(self, bint keeps):
        """The status of cost and gradient anew at the lowest point, as another gradient is given from here on. keeps: what a quasi-Newton
        method has learned stays; else the method begins again."""
        cdef unsigned int mode
        cdef int status
        if not mf_take(&self.busy):
            raise RuntimeError("this descent is already going: renew it from outside its callbacks")
        mode = mf_fp_enter()
        status = descent_renew(&self.s, keeps)
        mf_fp_leave(mode)
        mf_give(&self.busy)
        return raise_or(status)

    cdef object copied(self, const double *values):
        out = cnp.PyArray_SimpleNew(cnp.PyArray_NDIM(self.start), cnp.PyArray_DIMS(self.start), cnp.NPY_DOUBLE)
        memcpy(cnp.PyArray_DATA(<cnp.ndarray> out), values, self.s.n * sizeof(double))
        return out

    def here(self):
        """(point, gradient) where it stands; NaNs in place of a gradient before anything was evaluated."""
        return self.copied(self.s.x), self.copied(self.s.g) if self.s.evaluated else np.full(self.shape, np.nan)

    @property
    def value(self):
        """The cost there."""
        return self.s.f

    def lowest(self):
        """(point, value, gradient) of the lowest value seen; None for a gradient that was not evaluated. At a start that is not finite the
        value is what the cost gave there; NaN before that."""
        cdef const double *grad = NULL
        cdef const double *low = lowest_point(&self.s, &grad)
        if not self.s.evaluated:
            return self.copied(self.s.x), self.s.f, np.full(self.shape, np.nan)
        return self.copied(low), self.s.f_low, None if grad == NULL else self.copied(grad)

    def inverse_hessian(self, cnp.ndarray vectors not None):
        """H v of each row v of `vectors` (count, n), H the approximation of the inverse Hessian that a quasi-Newton method has; a new array.

        The method is asked for its direction at a gradient of v, on a copy of what it keeps: no pair follows from a point to itself.
        """
        cdef mf_direction way
        cdef cnp.ndarray right = np.ascontiguousarray(vectors, dtype=np.float64)
        cdef cnp.ndarray out = np.empty((<object> right).shape)
        cdef double *kept
        cdef ptrdiff_t k, count = cnp.PyArray_SIZE(right) // max(self.s.n, <ptrdiff_t> 1)
        cdef int status = 0
        if self.record.m.direct == NULL or self.s.lower != NULL or cnp.PyArray_SIZE(right) != count * self.s.n:
            raise ValueError(f"vectors: expected rows of {self.s.n} numbers, and a method without bounds that has directions")
        if self.scale is not None:
            right = right * self.scale.ravel()
        kept = take_aside(self, &way, &status)
        way.x_old, way.k = way.x, 1
        for k in range(count):
            way.g = way.g_old = <double *> cnp.PyArray_DATA(right) + k * self.s.n
            way.d = <double *> cnp.PyArray_DATA(out) + k * self.s.n
            status = way_of(self.record, &way) if status == 0 else status
        give_aside(self, kept, status)
        if self.scale is not None:
            out *= self.scale.ravel()
        return np.negative(out, out=out)

    def inverse_hessian_whole(self):
        """That approximation as a new (n, n) array, of a method that keeps it as its rows, each padded to 8; None where there is none yet."""
        cdef mf_direction way
        cdef ptrdiff_t i, n = self.s.n, ld = (n + 7) // 8 * 8
        cdef cnp.ndarray out = np.empty((n, n))
        cdef double *kept
        cdef int status = 0
        if self.record.m.direct == NULL or self.s.n_kept != n * ld or self.s.row_k == 0:
            return None
        kept = take_aside(self, &way, &status)
        for i in range(n):
            memcpy(<double *> cnp.PyArray_DATA(out) + i * n, kept + i * ld, n * sizeof(double))
        give_aside(self, kept, status)
        if self.scale is not None:
            out *= np.multiply.outer(self.scale.ravel(), self.scale.ravel())
        return out if out[0, 0] != 0.0 else None

    def save(self):
        """The state as bytes, from which a descent made with the same arguments goes on with the same bits."""
        cdef int64_t size = 0
        if not mf_take(&self.busy):
            raise RuntimeError("this descent is going: save it from outside its callbacks")
        try:
            descent_pack(&self.s, NULL, 0, &size)
            out = bytearray(size)
            descent_pack(&self.s, <char *> out, size, &size)
        finally:
            mf_give(&self.busy)
        return bytes(out)

    def restore(self, bytes state):
        """Go on from what `save` gave. ValueError, with nothing changed, where it is damaged or another descent's."""
        cdef int status
        if not mf_take(&self.busy):
            raise RuntimeError("this descent is going: restore it from outside its callbacks")
        try:
            status = descent_unpack(&self.s, <const char *> state, len(state))
        finally:
            mf_give(&self.busy)
        if status != 0:
            what = f"{self.record.name} with {self.s.n} components, these parameters, this search and x_scale"
            raise ValueError(f"state: damaged, or not that of {what}")

    def gradient(self, cnp.ndarray x not None):
        """The gradient at a float64 array of x0's shape; NaNs where a compiled cost gives none."""
        cdef int status
        at = np.ascontiguousarray(x, dtype=np.float64)
        if at.shape != self.shape:
            raise ValueError(f"x: expected shape {self.shape}, got {at.shape}")
        out = np.full(self.shape, np.nan)
        self.s.njev += 1
        status = self.s.p.value_grad(<double *> cnp.PyArray_DATA(<cnp.ndarray> at), NULL, <double *> cnp.PyArray_DATA(<cnp.ndarray> out),
                                     self.s.n, self.s.p.ctx)
        raise_or(status)
        return out

    @property
    def k(self):
        """Iterations so far."""
        return self.s.k

    @property
    def nfev(self):
        """Evaluations of the cost."""
        return self.problem.callback.nfev if self.problem.callback is not None else self.s.nfev

    @property
    def njev(self):
        """Evaluations of its gradient."""
        return self.problem.callback.njev if self.problem.callback is not None else self.s.njev

    @property
    def restarts(self):
        """How often the method began again."""
        return self.s.restarts

    @property
    def largest_slope(self):
        """The largest entry of the gradient: at the start, and where it stands."""
        return self.s.first_gmax, self.s.gmax

    @property
    def standing(self):
        """(iterations, value, the largest entry of the gradient) where it stands."""
        return self.s.k, self.s.f, self.s.gmax

    @property
    def last_search(self):
        """(status, step, slope at 0, lowest step, trials) of the last search, as in linesearch.pyx."""
        return self.s.line_status, self.s.line.a, self.s.line.slope0, self.s.line.best_a, self.s.line.nfev


cdef double *take_aside(LineDescent descent, mf_direction *way, int *status) except NULL:
    """A copy of what the method keeps, with the pair of the last step, and `way` on it, to ask aside from the run until `give_aside`.

    status: the method's code. Raises where the descent is going.
    """
    cdef descent_t *s = &descent.s
    cdef double *kept
    if not mf_take(&descent.busy):
        raise RuntimeError("this descent is going: ask it from outside its callbacks")
    kept = <double *> malloc((s.n_kept + 1) * sizeof(double))
    if kept == NULL:
        mf_give(&descent.busy)
        raise MemoryError(f"no memory for the inverse Hessian of {descent.record.name}")
    memcpy(kept, s.way.kept, s.n_kept * sizeof(double))
    look_scaled(s)
    way[0] = s.way
    way.kept, way.d, way.k = kept, s.aside, s.row_k
    status[0] = way_of(descent.record, way) if way.k > 0 else 0
    return kept


cdef int give_aside(LineDescent descent, double *kept, int status) except -1:
    free(kept)
    mf_give(&descent.busy)
    if status != 0:
        raise RuntimeError(f"{descent.record.name}: expected the code 0 of success, got {status}")
    return 0
