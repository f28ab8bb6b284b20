"""Training without Python: minibatches of a compiled objective, step after step, by an optimizer that is bound to one array.

    batch b of the epoch: rows order[b B : (b + 1) B] of the data        loss, g = objective over that index set
    once in `accumulate` batches                                         c <- c + step(g)

`Course` owns a copy of the objective's struct, whose index set it moves along the order, and scratch vectors of n numbers: nothing is
gathered or allocated in a step. Gradient, norm, clipping and update are the functions that `Updater.step` and `Objective` call, in the
same order, so a course has the bits of the same loop in Python. It runs without the GIL, and stops before the step whose loss or
gradient is not finite, or whose result would not be.

`step_rows` is a step whose gradients name a few rows: they are copied out with what is carried for them, stepped as one small array, and
copied back.
"""
from libc.math cimport INFINITY, NAN, sqrt
from libc.stddef cimport ptrdiff_t
from libc.stdint cimport int64_t
from libc.stdlib cimport free
from libc.string cimport memcpy

cimport numpy as cnp

from mflow_core.arithmetic.memory cimport mf_zeros, stride_of
from mflow_core.arithmetic.vec cimport MF_WILD, mf_fp_enter, mf_fp_leave
from mflow_core.objectives.objective cimport Objective
from mflow_core.objectives.objectives cimport OBJECTIVE_LABELLED, objective_t
from mflow_core.optimize.careful cimport update_kept
from mflow_core.optimize.tensors cimport Tensors, tensor_t
from mflow_core.optimize.updater cimport MAX_COEFFICIENTS, MAX_SCALARS, Updater, clip_scale, group_t
from mflow_core.owner cimport mf_give
from mflow_core.pool cimport set_width, width as present_width
from mflow_core.registry cimport REDUCE
from mflow_core.stepping.descent cimport MAX_VECTORS
from mflow_core.stepping.pieces cimport update_all
from mflow_core.types cimport mf_method

import numpy as np

from mflow_core.optimize.arrays import SparseGradient, shared_array
from mflow_core.optimize.updater import StepRefused

cnp.import_array()

LOSS, GRADIENT, STEP = 1, 2, 4           # which of them was not finite

cdef enum:
    BAD_LOSS = 1
    BAD_GRADIENT = 2
    BAD_PARAMETERS = 3
    BAD_STEP = 4


ctypedef struct course_t:
    objective_t o                        # its index set is that of the batch at hand
    const mf_method *m
    tensor_t *tensor
    group_t *group
    int lr_index
    double max_norm
    const int64_t *order                 # NULL: the objective as it is, one batch an epoch
    ptrdiff_t rows, batch_size, batches, accumulate
    double *g
    double *total
    double *ahead
    double *part
    double *room                         # for the array and its vectors, of a step that may have to be taken back
    ptrdiff_t spoiled_at                 # the number that such a step would have spoiled, and in which vector
    int spoiled_in
    int64_t k                            # steps taken
    ptrdiff_t batch, evaluations         # of this epoch; of this run
    double loss, norm, weight            # of the last step
    ptrdiff_t into                       # batches that went into the step at hand


cdef double norm_of(course_t *c) noexcept nogil:
    """Euclidean norm of the gradient: `Tensors.norm` for one array."""
    cdef double total = REDUCE.sum_of_squares(c.g, c.o.n), largest
    cdef ptrdiff_t j
    if total < INFINITY or total != total:
        return sqrt(total)
    largest = REDUCE.max_abs(c.g, c.o.n)     # squares overflow, or an entry is infinite
    if not largest < INFINITY:
        return largest
    for j in range(c.o.n):
        c.part[j] = c.g[j] / largest
    return largest * sqrt(REDUCE.sum_of_squares(c.part, c.o.n))


cdef const double *point_of(course_t *c) noexcept nogil:
    """Where the gradient of the next step is evaluated: `Updater.ask`."""
    cdef double[MAX_SCALARS] scal
    cdef double[MAX_COEFFICIENTS] coef
    if c.m.ask == NULL:
        return c.tensor.x[0]
    memcpy(scal, c.group.scal, sizeof(scal))
    c.m.begin(c.m, c.group.par, c.k - c.group.since, scal, coef)
    c.m.ask(c.m, coef, 0, c.o.n, <const double *const *> c.tensor.x, c.ahead)
    return c.ahead


cdef int look(course_t *c, const double *x) noexcept nogil:
    """Loss and gradient of the next batch: 0, BAD_LOSS, or the objective's code below 0."""
    cdef ptrdiff_t at = (c.batch + c.into) * c.batch_size
    cdef int status
    if c.order != NULL:
        c.o.order, c.o.count = c.order + at, min(c.batch_size, c.rows - at)
    c.loss = NAN
    status = c.o.record.value_grad(x, &c.loss, c.g, c.o.n, &c.o)
    c.evaluations += 1
    c.into += 1
    if status != 0:
        return -1 if status > 0 else status
    return 0 if c.loss - c.loss == 0.0 else BAD_LOSS


cdef int gather(course_t *c) noexcept nogil:
    """Loss and gradient of one step: the mean over rows of `accumulate` batches, fewer at the end of the epoch."""
    cdef const double *x = point_of(c)
    cdef double rows, weight = 0.0, loss = 0.0
    cdef ptrdiff_t j
    cdef int status
    c.into = 0
    if c.accumulate == 1:
        status = look(c, x)
        c.weight = <double> c.o.count if c.order != NULL else 1.0
        return status
    while c.into < c.accumulate and c.batch + c.into < c.batches:
        status = look(c, x)
        if status != 0:
            return status
        rows = <double> c.o.count if c.order != NULL else 1.0
        if c.into == 1:
            for j in range(c.o.n):
                c.total[j] = rows * c.g[j]
        else:
            for j in range(c.o.n):
                c.total[j] = c.total[j] + rows * c.g[j]
        weight += rows
        loss += rows * c.loss
    for j in range(c.o.n):
        c.g[j] = c.total[j] / weight
    c.weight, c.loss = weight, loss / weight
    return 0


cdef int one_step(course_t *c) noexcept nogil:
    """0, or why it was not taken: nothing has changed then."""
    cdef double scale = 1.0, unit = INFINITY, in_units = NAN
    cdef double[MAX_SCALARS] scal
    cdef int status = gather(c)
    if status != 0:
        return status
    c.norm = norm_of(c)
    if not c.norm < INFINITY and not REDUCE.all_finite(c.g, c.o.n):
        return BAD_GRADIENT
    if c.max_norm < INFINITY:
        if not c.norm < INFINITY:            # c.part is the gradient in this unit, see `norm_of`
            unit, in_units = REDUCE.max_abs(c.g, c.o.n), sqrt(REDUCE.sum_of_squares(c.part, c.o.n))
        scale = clip_scale(c.max_norm, c.norm, unit, in_units)
    memcpy(scal, c.group.scal, sizeof(scal))
    if c.m.begin(c.m, c.group.par, c.k - c.group.since, c.group.scal, c.group.coef) != 0:
        return BAD_PARAMETERS
    if not c.group.divides and c.norm < MF_WILD:
        update_all(c.m, c.group.coef, scale * c.group.sign, c.o.n, c.tensor.x, c.g)
    else:
        c.spoiled_in = update_kept(c.m, c.group.coef, scale * c.group.sign, c.tensor, c.g, 0, c.o.n, c.room, &c.spoiled_at)
        if c.spoiled_in >= 0:
            memcpy(c.group.scal, scal, sizeof(scal))
            return BAD_STEP
    c.k += 1
    c.batch += c.into
    return 0


cdef int steps_of(course_t *c, ptrdiff_t steps, const double *rates, double *losses, double *lrs, double *norms, double *sums,
                  ptrdiff_t *done) noexcept nogil:
    """So many steps, fewer where the epoch ends. sums: of rows times losses, of rows, of norms."""
    cdef int status = 0
    while done[0] < steps and c.batch < c.batches:
        if rates != NULL:
            c.group.par[c.lr_index] = rates[done[0]]
        status = one_step(c)
        if status != 0:
            break
        losses[done[0]], lrs[done[0]], norms[done[0]] = c.loss, c.group.par[c.lr_index], c.norm
        sums[0] += c.weight * c.loss
        sums[1] += c.weight
        sums[2] += c.norm
        done[0] += 1
    return status


cdef list apart(Tensors tensors, list flat):
    """The gradients. Those that are not C-contiguous are copied, and those that share memory with parameters, which a step changes while it
    reads them."""
    cdef Py_ssize_t i
    cdef cnp.ndarray g
    cdef list out = flat
    for i in range(len(flat)):
        if not isinstance(flat[i], np.ndarray):
            continue
        g = <cnp.ndarray> flat[i]
        if cnp.PyArray_TYPE(g) == cnp.NPY_DOUBLE and (not cnp.PyArray_IS_C_CONTIGUOUS(g) or (cnp.PyArray_ISCARRAY_RO(g)
                and tensors.shares(<const double *> cnp.PyArray_DATA(g), cnp.PyArray_SIZE(g)))):
            if out is flat:
                out = list(flat)
            out[i] = g.copy()
    return out


def measured_step(Updater optimizer not None, list flat not None):
    """`optimizer.step` for drivers that keep the norm of the gradient: (norm, whether the step was taken). It is not where a gradient is
    not finite; the norm of finite ones may be infinite.

    flat: one gradient an array, in their order; one that is not C-contiguous, or shares memory with parameters, is copied. Errors as in `Updater.step`, StepRefused among them.
    """
    cdef double norm, scale = 1.0
    cdef unsigned int mode
    cdef bint taken
    optimizer.enter()
    try:
        optimizer.complete()
        held = optimizer.tensors.hold(apart(optimizer.tensors, flat))
        norm = optimizer.tensors.norm()
        taken = norm < INFINITY or optimizer.tensors.finite()
        if taken:
            if optimizer.scheduled:
                optimizer.apply_schedules()
                optimizer.tensors.take_all(held)
            if optimizer.max_norm < INFINITY:
                scale = optimizer.clip_factor(norm)
            mode = mf_fp_enter()
            try:
                optimizer.advance(scale, optimizer.divides() or not norm < MF_WILD)
            finally:
                mf_fp_leave(mode)
    finally:
        if optimizer.tensors is not None:
            optimizer.tensors.release()
        mf_give(&optimizer.busy)
    return norm, taken


cdef class Course:
    """Steps of `optimizer` on minibatches of `objective`. batch_size 0: the objective as it is, one batch an epoch.

    Raises ValueError where the optimizer is bound to more than one array, or to one of another length.
    """
    cdef course_t c
    cdef Updater optimizer
    cdef Objective objective
    cdef object order
    cdef double *block
    cdef readonly double loss, norm      # of the last step, or of the one that was not taken
    cdef readonly str refused            # why a step was not taken that would have left a number that is not finite

    def __init__(self, Updater optimizer not None, Objective objective not None, ptrdiff_t batch_size, bint drop_last, ptrdiff_t accumulate):
        cdef ptrdiff_t n = objective.c.n, ld = stride_of(n)
        if self.block != NULL:
            raise TypeError("this course is made already; make another one")
        if objective.c.record == NULL or optimizer.tensors is None:
            raise TypeError("the objective or the optimizer is incomplete, because its __init__ raised")
        if optimizer.tensors.count != 1 or optimizer.n_groups != 1:
            raise ValueError(f"params: expected one array of shape {objective.shape} for a compiled objective, got {optimizer.tensors.count} "
                             "arrays")
        if optimizer.tensors.c[0].n != n:
            raise ValueError(f"params: expected {n} numbers of shape {objective.shape}, got {optimizer.tensors.c[0].n}")
        self.optimizer, self.objective = optimizer, objective
        self.block = <double *> mf_zeros(4 * ld + optimizer.tensors.c[0].n_vec * n, sizeof(double))
        if self.block == NULL:
            raise MemoryError()
        self.c.o, self.c.m, self.c.tensor, self.c.group = objective.c, optimizer.m, optimizer.tensors.c, optimizer.groups
        self.c.lr_index = optimizer.lr_index
        self.c.g, self.c.total = self.block, self.block + ld
        self.c.ahead, self.c.part = self.block + 2 * ld, self.block + 3 * ld
        self.c.room, self.refused = self.block + 4 * ld, ""
        self.c.rows, self.c.batch_size, self.c.accumulate, self.c.batches = objective.c.count, batch_size, accumulate, 1
        self.loss = self.norm = NAN
        if batch_size:
            if not objective.c.record.flags & OBJECTIVE_LABELLED:
                raise TypeError(f"batch_size: expected a mean over rows of data, got {objective.name}, which has no rows to draw")
            if not 1 <= batch_size <= self.c.rows or accumulate < 1:
                raise ValueError(f"batch_size, accumulate: expected 1 to {self.c.rows} rows a batch and at least 1 batch, got {batch_size} and "
                                 f"{accumulate}")
            self.c.batches = self.c.rows // batch_size
            if not drop_last and self.c.rows % batch_size:
                self.c.batches += 1

    def __dealloc__(self):
        free(self.block)

    def set_order(self, order):
        """The order of the rows in the epoch to come: all of 0 ... rows - 1, int64. Rows of an index set are counted within it."""
        cdef ptrdiff_t rows = self.c.rows
        drawn = np.ascontiguousarray(order, dtype=np.int64)
        if drawn.shape != (rows,) or drawn.min() < 0 or drawn.max() >= rows:
            raise ValueError(f"order: expected the indices of {rows} rows, from 0 to {rows - 1}")
        if self.objective.order_ is not None:
            drawn = self.objective.order_[drawn]
        self.order = drawn
        self.c.order = <const int64_t *> cnp.PyArray_DATA(<cnp.ndarray> drawn)

    def run(self, ptrdiff_t batch, cnp.ndarray out not None, cnp.ndarray sums not None, rates=None):
        """Steps from `batch` of the epoch on, at most as many as `out` (3, steps) has room for: rows loss, lr and norm.

        sums (3,): grows by rows times loss, rows, and norms. rates (steps,): the lr of each step; None: as the optimizer has it.
        Returns (steps, next batch, evaluations, batches in the step that failed, which was not finite: 0, LOSS, GRADIENT or STEP).
        """
        cdef ptrdiff_t steps = cnp.PyArray_DIM(out, 1), done = 0
        cdef double *at = <double *> cnp.PyArray_DATA(out)
        cdef double *added = <double *> cnp.PyArray_DATA(sums)
        cdef const double *lrs = NULL
        cdef unsigned int mode
        cdef int status, before
        cdef Updater optimizer = self.optimizer
        if rates is not None:
            if rates.shape != (steps,) or rates.dtype != np.float64 or not rates.flags.c_contiguous:
                raise ValueError(f"rates: expected a C-contiguous float64 array of shape ({steps},), got {rates.dtype} of shape {rates.shape}")
            lrs = <const double *> cnp.PyArray_DATA(<cnp.ndarray> rates)
        if self.c.batch_size and self.c.order == NULL:
            raise RuntimeError("order: expected set_order to be called before run")
        optimizer.enter()
        try:
            self.c.batch, self.c.k, self.c.evaluations, self.c.max_norm = batch, optimizer.k, 0, optimizer.max_norm
            before = set_width(optimizer.width or present_width())
            with nogil:
                mode = mf_fp_enter()
                status = steps_of(&self.c, steps, lrs, at, at + steps, at + 2 * steps, added, &done)
                mf_fp_leave(mode)
            set_width(before)
            if done:
                optimizer.k = optimizer.known = self.c.k
        finally:
            mf_give(&optimizer.busy)
        self.loss, self.norm = self.c.loss, self.c.norm
        if status == BAD_STEP:
            optimizer.known = -1
            self.refused = optimizer.spoiled_text(0, self.c.spoiled_at, self.c.spoiled_in, self.c.g[self.c.spoiled_at], self.c.k,
                                                  "nothing was changed")
        if status == BAD_PARAMETERS:
            raise ValueError(f"{optimizer.record.name}: these parameters clash")
        if status < 0:
            raise RuntimeError(f"{self.objective.name}: code {status}")
        return done, self.c.batch, self.c.evaluations, self.c.into, status

    @property
    def batches(self):
        """In an epoch."""
        return self.c.batches


# ---- steps of a few rows ----------------------------------------------------------------------------------------------------------------

def step_rows(Updater opt, list gradients, lazy):
    """One step, where some gradients are those of a few rows: all of it, or an error and nothing. lazy(g): raises where group g moves other
    rows, too."""
    cdef Tensors tensors = opt.tensors
    cdef Py_ssize_t i, g
    cdef unsigned int mode
    if opt.max_norm < INFINITY:
        raise ValueError("clip_norm: expected None with a SparseGradient, got a number; clip_value= cuts the entries")
    rows, given = [], list(gradients)
    for i in range(tensors.count):
        if type(given[i]) is SparseGradient:
            lazy(tensors.c[i].group)
            where, given[i] = given[i]._rows(tensors.arrays[i].shape, tensors.label(i))
        else:
            given[i] = shared_array(given[i], tensors.label(i))
            tensors.take(i, given[i])
            where = np.arange(given[i].size)
        rows.append(where)
        if opt.check_finite and not np.isfinite(given[i]).all():
            raise FloatingPointError(f"{tensors.label(i)}: a gradient is not finite at step {opt.k}: nothing was changed. Look for the cause "
                                     "in the cost function or lower lr; check_finite=False turns this test off")
    scalars = [opt._scalars(g) for g in range(opt.n_groups)]
    mode = mf_fp_enter()
    try:
        opt.begin_all()
        after = [moved_rows(opt, i, rows[i], given[i]) for i in range(tensors.count)]
        for i in range(tensors.count):
            if opt.check_finite and not np.isfinite(after[i]).all():
                put_scalars(opt, scalars)
                raise StepRefused(f"{tensors.label(i)}: the step of {opt.record.name} is not finite at step {opt.k}: nothing was changed. "
                                  "Lower lr, or scale the cost; check_finite=False turns this test off")
        for i in range(tensors.count):
            tensors.move_rows(i, <int64_t *> cnp.PyArray_DATA(<cnp.ndarray> rows[i]), rows[i].size, after[i].shape[2],
                              <double *> cnp.PyArray_DATA(<cnp.ndarray> after[i]), True)
    finally:
        mf_fp_leave(mode)
    opt.k += 1
    opt.known = opt.k


cdef object moved_rows(Updater opt, Py_ssize_t i, cnp.ndarray rows, cnp.ndarray given):
    """The rows of array i and of its vectors after the step: shape (vectors, rows, numbers of a row)."""
    cdef Tensors tensors = opt.tensors
    cdef group_t *group = &opt.groups[tensors.c[i].group]
    cdef ptrdiff_t count = rows.size, width = given.size // max(rows.size, 1)
    cdef double *x[MAX_VECTORS]
    cdef int j
    out = np.empty((tensors.c[i].n_vec, count, width))
    tensors.move_rows(i, <int64_t *> cnp.PyArray_DATA(rows), count, width, <double *> cnp.PyArray_DATA(<cnp.ndarray> out), False)
    for j in range(tensors.c[i].n_vec):
        x[j] = <double *> cnp.PyArray_DATA(<cnp.ndarray> out) + j * count * width
    with nogil:
        opt.m.update(opt.m, group.coef, group.sign, 0, count * width, x, <const double *> cnp.PyArray_DATA(given))
    return out


cdef int put_scalars(Updater opt, list scalars) except -1:
    """Puts back what `_scalars` gave for each group."""
    cdef Py_ssize_t g
    cdef int j
    for g in range(opt.n_groups):
        for j in range(opt.groups[g].sizes.n_scal):
            opt.groups[g].scal[j] = scalars[g][j]
    return 0
