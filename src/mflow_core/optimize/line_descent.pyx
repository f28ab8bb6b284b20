"""Descent by line searches: an optimizer gives the direction, a search along it the step.

    d = the optimizer's update of c = 0 with lr = 1 and the gradient at x         (sgd: -g;  momentum: v = mu v - g;  Adam: its step)
    x = x + a d,  a by the rule of linesearch.pyx; Barzilai and Borwein's a = s's/s'y (or s'y/y'y) is guarded by Armijo's rule against
                  the largest of the last values (Raydan 1997), and belongs to d = -g

A method whose direction does not lead down, or along which no step is found, begins again: its vectors are forgotten and d follows the
gradient at x alone. Where that fails too, the descent is over. Whatever happens, the lowest point seen is kept with its gradient, trials
of a search among them.

One allocation holds every array; none overlap. With a compiled cost the whole loop runs without the GIL.
"""
from cpython.exc cimport PyErr_Occurred
from libc.math cimport INFINITY, NAN, sqrt
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memset

cimport numpy as cnp

from mflow_core.arithmetic.dot cimport dot_and_square
from mflow_core.arithmetic.vec cimport mf_fp_enter, mf_fp_leave
from mflow_core.optimize.linesearch cimport ARMIJO, BACKTRACKING, CLOSED, EXACT, bb_length, line_begin, line_search
from mflow_core.owner cimport mf_give, mf_take
from mflow_core.problems.problem cimport Problem
from mflow_core.registry cimport REDUCE, MethodRecord, mf_sizes_of
from mflow_core.stepping.descent cimport CONVERGED as _CONVERGED, asks_ahead
from mflow_core.types cimport MF_E_NON_FINITE

import numpy as np

from mflow_core.optimize.linesearch import KINDS as SEARCHES

cnp.import_array()

KINDS = {**SEARCHES, "barzilai_borwein": BARZILAI_BORWEIN}
FAILED = LINE_FAILED


# ---- where it stands ----------------------------------------------------------------------------------------------------------------

cdef inline bint is_finite(double x) noexcept nogil:
    return x - x == 0.0


cdef int evaluate(descent_t *s, bint want_value) noexcept nogil:
    """Gradient (and value) at s.x. The lowest point is brought up to date."""
    cdef double value = s.f
    cdef int status = s.p.value_grad(s.x, &value if want_value else NULL, s.g, s.n, s.p.ctx)
    s.nfev += want_value
    s.njev += 1
    if status != 0:
        return status
    s.f = value
    return note(s)


cdef int note(descent_t *s) noexcept nogil:
    """s.x, s.f and s.g belong together: the largest entry of the gradient, and is this the lowest point."""
    s.gmax = REDUCE.max_abs(s.g, s.n)
    if not (s.gmax < INFINITY and is_finite(s.f)):
        return MF_E_NON_FINITE
    if s.first_gmax != s.first_gmax:
        s.first_gmax = s.gmax
    if not s.f > s.f_low or s.f_low != s.f_low:
        s.f_low, s.low_has_grad = s.f, True
        memcpy(s.low, s.x, s.n * sizeof(double))
        memcpy(s.low_grad, s.g, s.n * sizeof(double))
    s.evaluated = True
    return 0


cdef void keep_lowest_trial(descent_t *s) noexcept nogil:
    """The lowest trial of a search, should it be lower than all before."""
    cdef ptrdiff_t i
    if s.line.best_a > 0.0 and s.line.best_f < s.f_low:
        for i in range(s.n):
            s.low[i] = s.x[i] + s.line.best_a * s.d[i]
        s.f_low, s.low_has_grad = s.line.best_f, s.line.best_has_grad
        if s.low_has_grad:
            memcpy(s.low_grad, s.line.best_grad, s.n * sizeof(double))


# ---- direction ----------------------------------------------------------------------------------------------------------------------

cdef int begin_again(descent_t *s) noexcept nogil:
    """The method as it is before its first step."""
    cdef int j, status = 0
    for j in range(1, s.sizes.n_vec):
        memset(s.carried[j], 0, s.n * sizeof(double))
    memset(s.scal, 0, s.sizes.n_scal * sizeof(double))
    s.row_k, s.fresh = 0, True
    if s.m.start != NULL:
        status = s.m.start(s.m, s.par, 0, s.n, s.carried)
    return status


cdef int find_direction(descent_t *s) noexcept nogil:
    cdef int status
    memset(s.d, 0, s.n * sizeof(double))
    status = s.m.begin(s.m, s.par, s.row_k, s.scal, s.coef)
    if status == 0:
        status = s.m.update(s.m, s.coef, 1.0, 0, s.n, s.carried, s.g)
    s.row_k += 1
    return status


# ---- step ---------------------------------------------------------------------------------------------------------------------------

cdef double first_trial(descent_t *s, double square) noexcept nogil:
    """square: |d|^2. The step before is a guide: with a like change of value (Nocedal and Wright, 3.60) where slopes decide."""
    cdef double a = NAN, size
    if s.kind == BARZILAI_BORWEIN and s.has_old:
        a = bb_length(s.n, s.x, s.x_old, s.g, s.g_old, s.form)
        if a == a:
            return a
    if s.initial > 0.0:
        return s.initial
    if s.a > 0.0:
        a = s.a
        if s.kind != EXACT and s.kind != BACKTRACKING:
            a = s.a * (s.slope / s.line.slope0)
            a = 10.0 * s.a if a > 10.0 * s.a else (a if a > 0.1 * s.a else 0.1 * s.a)
        if s.at_once and (s.kind == BACKTRACKING or s.kind == ARMIJO):
            a = a / s.line.shrink        # these never lengthen a step themselves
        return a
    if s.first_try > 0.0:
        return s.first_try
    size = sqrt(square)
    return 1.0 / size if size > 1.0 else 1.0


cdef double reference(const descent_t *s) noexcept nogil:
    """What Armijo's rule compares with: the largest of the last values."""
    cdef double top = s.f
    cdef int64_t j, known = s.k if s.k < s.memory else s.memory
    if s.kind == BARZILAI_BORWEIN:
        for j in range(known):
            top = s.values[j] if s.values[j] > top else top
    return top


cdef int go_there(descent_t *s, double a, double f, const double *grad, path_t *path) noexcept nogil:
    """x + a d is the next point; grad NULL: not known yet."""
    cdef ptrdiff_t i
    memcpy(s.x_old, s.x, s.n * sizeof(double))
    memcpy(s.g_old, s.g, s.n * sizeof(double))
    s.has_old = True
    if path.x != NULL:
        memcpy(path.d, s.d, s.n * sizeof(double))
        path.a[0] = a
    s.values[s.k % s.memory] = s.f
    s.a, s.slope, s.f = a, s.line.slope0, f
    for i in range(s.n):
        s.x[i] = s.x[i] + a * s.d[i]
    s.k += 1
    if path.x != NULL:
        memcpy(path.x, s.x, s.n * sizeof(double))
        path.f[0] = f
        path.x += s.n
        path.d += s.n
        path.a += 1
        path.f += 1
    if grad == NULL:
        return evaluate(s, False)
    memcpy(s.g, grad, s.n * sizeof(double))
    return note(s)


cdef int one_search(descent_t *s, path_t *path) noexcept nogil:
    """One iteration. LINE_FAILED: the direction is no good, or no step along it; the method may begin again."""
    cdef line_t *line = &s.line
    cdef double square
    cdef double a
    cdef int status = find_direction(s)
    if status != 0:
        return status
    line.x, line.d, line.f0, line.slope0 = s.x, s.d, s.f, dot_and_square(s.g, s.d, s.n, &square)
    dot_and_square(s.d, s.d, s.n, &square)
    line.f_ref = reference(s)
    line_begin(line)
    s.line_status = status = line_search(line, ARMIJO if s.kind == BARZILAI_BORWEIN else s.kind, first_trial(s, square))
    s.nfev += line.nfev
    s.njev += line.njev
    keep_lowest_trial(s)
    if status < 0:
        return status
    if status == CLOSED:                    # the last trial is as near to the root as numbers are: a good step
        status = 0
    if status == 0 and not (s.kind == EXACT and line.f > s.f):
        s.at_once, s.fresh = line.nfev == 1, False
        return go_there(s, line.a, line.f, line.grad if line.has_grad else NULL, path)
    if line.best_a > 0.0:                   # a step that leads down is taken, whatever the rule says of it
        a = line.best_a
        s.at_once, s.fresh = False, s.fresh and status != 0
        status = go_there(s, a, line.best_f, line.best_grad if line.best_has_grad else NULL, path)
        if status != 0:
            return status
        if s.line_status == 0 or s.line_status == CLOSED:
            return 0
    return LINE_FAILED


cdef int line_descend(descent_t *s, int64_t count, double gtol, path_t *path) noexcept nogil:
    """Up to `count` iterations, each with its gradient test first; then the test once more. CONVERGED, 0, or why it could not go on."""
    cdef int64_t goal = s.k + count, before
    cdef int status = 0
    if not s.evaluated:
        status = evaluate(s, True)
        if status == 0:
            status = begin_again(s)
        if status != 0:
            return status
    while True:
        if s.gmax <= gtol:
            return _CONVERGED
        if s.k >= goal:
            return 0
        before = s.k
        status = one_search(s, path)
        if status == LINE_FAILED and not s.fresh:
            s.restarts += 1
            s.a = 0.0 if s.k == before else s.a
            status = begin_again(s)
        if status != 0:
            return _CONVERGED if status == LINE_FAILED and s.gmax <= gtol else status


# ---- as Python sees it --------------------------------------------------------------------------------------------------------------

cdef class LineDescent:
    """A descent of a cost by the directions of an optimizer and one of KINDS.

    rule: c1, c2, shrink, tol, max_step, limit (evaluations a search), initial and first_try (0: estimated), memory and form (Barzilai and
    Borwein). parameters: those of the method, with lr = 1.
    """
    cdef descent_t s
    cdef readonly Problem problem
    cdef readonly MethodRecord record
    cdef object shape
    cdef double *par
    cdef void *block
    cdef int busy

    def __cinit__(self, MethodRecord record, Problem problem, cnp.ndarray x0, int kind, dict rule, dict parameters):
        if cnp.PyArray_TYPE(x0) != cnp.NPY_DOUBLE or not cnp.PyArray_ISCARRAY_RO(x0) or cnp.PyArray_SIZE(x0) != problem.c.n:
            raise TypeError(f"x0: expected a C-contiguous float64 array of {problem.c.n} numbers")
        if record.m.update == NULL or problem.c.value_grad == NULL or not problem.has_value:
            raise TypeError(f"method: expected an optimizer and a cost with its value, got {record.name}")
        if not 1 <= rule["memory"] <= MAX_HISTORY:
            raise ValueError(f"memory: expected a whole number from 1 to {MAX_HISTORY}, got {rule['memory']}")
        self.record, self.problem, self.shape = record, problem, (<object> x0).shape
        self.par = record.parameters(parameters)
        self._allocate(kind, rule)
        memcpy(self.s.x, cnp.PyArray_DATA(x0), self.s.n * sizeof(double))
        if self._looks_ahead():
            raise ValueError(f"method: expected one that takes its gradient at x, where a search starts, got {record.name}, which looks ahead")

    def _allocate(self, int kind, dict rule):
        cdef descent_t *s = &self.s
        cdef double *room
        cdef ptrdiff_t ld, n = self.problem.c.n
        cdef int j, n_vec
        s.p, s.m, s.par, s.n, s.kind = &self.problem.c, self.record.m, self.par, n, kind
        mf_sizes_of(s.m, s.par, &s.sizes)
        n_vec, ld = s.sizes.n_vec, (n + 7) // 8 * 8
        self.block = calloc((9 + n_vec) * ld + s.sizes.n_scal + s.sizes.n_coef + 1 + n_vec, sizeof(double))
        if self.block == NULL:
            raise MemoryError(f"no memory for {self.record.name} with {n} components")
        room = <double *> self.block
        s.x, s.g, s.x_old, s.g_old, s.low, s.low_grad = room, room + ld, room + 2 * ld, room + 3 * ld, room + 4 * ld, room + 5 * ld
        s.line.at, s.line.grad, s.line.best_grad = room + 6 * ld, room + 7 * ld, room + 8 * ld
        s.carried = <double **> (room + (9 + n_vec) * ld + s.sizes.n_scal + s.sizes.n_coef)
        for j in range(n_vec):
            s.carried[j] = room + (9 + j) * ld
        s.d = s.carried[0]
        s.scal, s.coef = room + (9 + n_vec) * ld, room + (9 + n_vec) * ld + s.sizes.n_scal
        s.line.p, s.line.n = s.p, n
        s.line.c1, s.line.c2, s.line.shrink, s.line.tol = rule["c1"], rule["c2"], rule["shrink"], rule["tol"]
        s.line.max_step, s.line.limit = rule["max_step"], rule["limit"]
        s.initial, s.first_try, s.memory, s.form = rule["initial"], rule["first_try"], rule["memory"], rule["form"]
        s.f = s.f_low = s.gmax = s.first_gmax = NAN
        return None

    def _looks_ahead(self):
        cdef bint ahead
        if self.s.m.ask == NULL:
            return False
        self.s.m.begin(self.s.m, self.par, 0, self.s.scal, self.s.coef)
        ahead = asks_ahead(self.s.m, self.s.sizes.n_vec, self.s.coef)
        memset(self.s.scal, 0, self.s.sizes.n_scal * sizeof(double))
        return ahead

    def __dealloc__(self):
        free(self.par)
        free(self.block)

    def advance(self, int64_t count, double gtol, x=None, d=None, a=None, f=None):
        """The status of up to `count` iterations. x, d (count, n), a, f (count,): rows for their points, directions, steps and values."""
        cdef path_t path
        cdef unsigned int mode
        cdef int status
        path.x = path.d = path.a = path.f = NULL
        if x is not None:
            for array, size in ((x, count * self.s.n), (d, count * self.s.n), (a, count), (f, count)):
                if not isinstance(array, np.ndarray) or array.dtype != np.float64 or not array.flags.carray or array.size != size:
                    raise TypeError(f"path: expected a C-contiguous float64 array of {size} numbers")
            path.x, path.d = <double *> cnp.PyArray_DATA(<cnp.ndarray> x), <double *> cnp.PyArray_DATA(<cnp.ndarray> d)
            path.a, path.f = <double *> cnp.PyArray_DATA(<cnp.ndarray> a), <double *> cnp.PyArray_DATA(<cnp.ndarray> f)
        if not mf_take(&self.busy):
            raise RuntimeError("this descent is already going, in another thread or from its own callback: give each its own")
        mode = mf_fp_enter()
        if self.problem.compiled:
            with nogil:
                status = line_descend(&self.s, count, gtol, &path)
        else:
            status = line_descend(&self.s, count, gtol, &path)
        mf_fp_leave(mode)
        mf_give(&self.busy)
        if status < 0 and PyErr_Occurred() != NULL:
            raise_set()
        return status

    cdef object copied(self, const double *values):
        out = np.empty(self.shape)
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
        """(point, value, gradient) of the lowest value seen; None for a gradient that was not evaluated."""
        if not self.s.evaluated:
            return self.copied(self.s.x), NAN, np.full(self.shape, np.nan)
        return self.copied(self.s.low), self.s.f_low, self.copied(self.s.low_grad) if self.s.low_has_grad else None

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
        if status < 0 and PyErr_Occurred() != NULL:
            raise_set()
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
    def last_search(self):
        """(status, step, slope at 0, lowest step, trials) of the last search, as in linesearch.pyx."""
        return self.s.line_status, self.s.line.a, self.s.line.slope0, self.s.line.best_a, self.s.line.nfev


cdef int raise_set() except -1:
    """Hands on the exception that a callback left set."""
    return -1
