"""An optimizer bound to arrays: steps the user's arrays in place.

A step reads the gradients, tests them, begins each group once, and makes one pass over each array. The test comes first: up to ATOMIC
numbers in all are scanned before anything changes. Above that each block of BLOCK numbers is scanned just before it is updated, while it
is in the first cache, so that memory is read once. A gradient that is not finite therefore leaves everything as it was; one that is found
in a large array leaves its block as it was, takes the step everywhere else, and raises an error that says so: long arrays are cut into
pieces that threads share (pool.pyx), and this does not depend on who was first. A gradient so large that its square may overflow, and
eps = 0, cost copies: such a step is taken back where it would leave a number that is not finite (careful.pxd).
"""
from libc.math cimport INFINITY, NAN
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcpy, memset, strcmp

cimport numpy as cnp

from mflow_core.arithmetic.memory cimport mf_zeros
from mflow_core.arithmetic.vec cimport MF_WILD, first_non_finite, mf_fp_enter, mf_fp_leave
from mflow_core.optimize.arrangement cimport Arrangement
from mflow_core.optimize.careful cimport BLOCK, first_spoiled, has_no_eps, keep, largest_in, put_back, spoiled, update_scanned
from mflow_core.optimize.tensors cimport Tensors, tensor_t
from mflow_core.owner cimport mf_give, mf_take
from mflow_core.pool cimport LONG, set_width, width
from mflow_core.registry cimport REDUCE, MethodRecord, mf_sizes_of
from mflow_core.stepping.descent cimport MAX_VECTORS
from mflow_core.stepping.pieces cimport update_all

import numpy as np

from mflow_core.optimize.arrays import MID_STEP, STEPPING, checked, names_rows, no_gradient

cnp.import_array()

cdef ptrdiff_t ATOMIC = 16384
WILD = MF_WILD                           # from here on a square, or a sum of squares, may overflow
cdef object np_ndarray = np.ndarray


class StepRefused(FloatingPointError):
    """A step that would leave a number that is not finite, though the gradient is."""


cdef class Updater:
    """Steps arrays in place by one method. `mflow.optim` makes its classes of it."""

    def __cinit__(self):
        self.groups = self.groups_before = NULL
        self.room = NULL

    def __dealloc__(self):
        free(self.groups)
        free(self.groups_before)
        free(self.room)

    def _bind(self, MethodRecord record, Arrangement arrangement, list groups, max_norm, bint check_finite, int threads=0):
        """Takes the arrays. Called once, by __init__ of the classes in mflow.optim.

        groups: a list of (arrays, parameters of the method by name, maximize, schedule of lr or None). arrangement: how the user
        passed these arrays, and will pass gradients. threads: of a step on long arrays; 0: as the thread that steps has set.
        """
        cdef Py_ssize_t g, i, j
        if self.tensors is not None:
            raise RuntimeError("this optimizer is bound already; make another one")
        self.record, self.m, self.arrangement = record, record.m, arrangement
        self.check_finite, self.width, self.clip_norm = check_finite, threads, max_norm
        self.schedules = [schedule for _, _, _, schedule in groups]
        self.scheduled = any(schedule is not None for schedule in self.schedules)
        free(self.groups)                    # an earlier try that raised may have left some
        self.n_groups = 0
        self.groups = <group_t *> calloc(max(len(groups), 1), sizeof(group_t))
        if self.groups == NULL:
            raise MemoryError()
        self.n_groups = len(groups)
        for g, (_, parameters, maximize, _) in enumerate(groups):
            self.set_group(g, parameters, maximize)
        for j in range(self.m.n_par):
            if strcmp(self.m.par[j].name, b"lr") == 0:
                self.lr_index = j
        tensors = Tensors([arrays for arrays, _, _, _ in groups], arrangement.labels)
        for i in range(tensors.count):
            tensors.c[i].n_vec = self.groups[tensors.c[i].group].sizes.n_vec
        tensors.carry(record.name)
        self.bound = [None] * tensors.count
        self.tensors = tensors               # from here on the optimizer can step
        self.fill()

    cdef void fill(self) noexcept:
        """Before the first step: the carried vectors as they are then, by the parameters as they stand."""
        cdef Py_ssize_t i
        for i in range(self.tensors.count if self.m.start != NULL and self.k == 0 and self.tensors is not None else 0):
            self.m.start(self.m, self.groups[self.tensors.c[i].group].par, 0, self.tensors.c[i].n, self.tensors.c[i].x)

    cdef int idle(self) except -1:
        """For whatever would change what a step under way is reading."""
        if self.busy:
            raise RuntimeError(MID_STEP)
        return self.complete()

    cdef int complete(self) except -1:
        if self.tensors is None:
            raise RuntimeError("this optimizer is incomplete, because its __init__ raised; make another one")
        return 0

    cdef int enter(self) except -1:
        """Before a step: no other may be under way. `mf_give(&self.busy)` ends it."""
        if not mf_take(&self.busy):
            raise RuntimeError(STEPPING)
        return 0

    # ---- gradients ----

    def flatten(self, grads):
        """Gradients in the order of the parameter arrays. Raises TypeError where they are not arranged as the parameters are."""
        self.complete()
        return self.arrangement.flatten(grads)

    def bind(self, grads):
        """Remembers the gradient arrays, so that `step()` without arguments reads them where they are.

        Fill these very arrays before each step; they are kept alive. Errors as in `step`.
        """
        self.idle()
        self.tensors.release()               # whatever happens next, no old pointer is read again
        self.bound = self.tensors.hold(self.arrangement.flatten(grads))

    def gradient_norm(self, g):
        """Euclidean norm of all gradients together, in one fixed order of summation; nan or inf where one of them is not finite.

        g : as in `step`. Raises TypeError or ValueError where an array does not fit.
        """
        self.idle()
        held = self.tensors.hold(self.arrangement.flatten(g))
        try:
            return self.tensors.norm()
        finally:
            self.tensors.release()
            del held

    # ---- steps ----

    def step(self, g=None):
        """One update of the parameters, in place.

        g : float64 array of the parameters' shape, or a list (tuple, dict) of them arranged as the parameters are, a `SparseGradient` in
            place of any; None: the arrays given to `bind`. Or a closure without arguments: it is called after the arrays were moved to
            `ask` and returns (loss, gradient), or the loss where gradients are bound; the loss is returned.

        Raises TypeError or ValueError where an array does not fit, FloatingPointError where a gradient is not finite, or the step would
        leave a number that is not: 0/0 at eps = 0, or the square of a gradient beyond 1e154.
        """
        cdef double scale = 1.0
        cdef bint careful = False
        cdef unsigned int mode
        cdef Tensors tensors = self.tensors
        if g is not None and type(g) is not np_ndarray and callable(g):
            return self._step_by(g)
        self.enter()
        try:
            if tensors is None:
                self.complete()
            if self.scheduled:
                self.apply_schedules()          # code of the user's: before any address is taken
            if g is None:
                held = self.bound
                if tensors.count and held[0] is None:
                    raise no_gradient(self)
                if tensors.count and tensors.c[0].g == NULL:
                    tensors.take_all(held)
            elif tensors.count == 1 and type(g) is np_ndarray:
                tensors.take(0, g)
            else:
                held = self.arrangement.flatten(g)
                if names_rows(held):
                    return self._step_rows(held)
                held = tensors.hold(held)
            mode = mf_fp_enter()
            try:
                if self.check_finite:
                    careful = self.divides()
                    if careful or tensors.total <= ATOMIC or self.max_norm < INFINITY:
                        careful |= tensors.test(self.k)
                if self.max_norm < INFINITY:
                    scale = self.clip_factor(tensors.norm())
                self.advance(scale, careful)
            finally:
                mf_fp_leave(mode)
        finally:
            if g is not None and tensors is not None:
                tensors.release()
            mf_give(&self.busy)

    cdef double clip_factor(self, double norm) except? -1.0:
        """What gradients of this common norm are multiplied by."""
        cdef double unit = INFINITY, in_units = NAN
        if norm == INFINITY:
            unit = self.tensors.largest()
            if unit < INFINITY:
                in_units = self.tensors.norm_by(unit)
        return clip_scale(self.max_norm, norm, unit, in_units)

    cdef bint divides(self) noexcept:
        cdef Py_ssize_t g
        for g in range(self.n_groups):
            if self.groups[g].divides:
                return True
        return False

    cdef int begin_all(self) except -1:
        cdef Py_ssize_t g
        cdef group_t *group
        for g in range(self.n_groups):
            group = &self.groups[g]
            if self.m.begin(self.m, group.par, self.k - group.since, group.scal, group.coef) != 0:
                raise ValueError(f"{self.record.name}: these parameters clash")
        return 0

    cdef int advance(self, double scale, bint careful) except -1:
        cdef Tensors tensors = self.tensors
        cdef Py_ssize_t bad = -1
        cdef ptrdiff_t at = 0
        cdef int which = 0
        cdef bint scan = self.check_finite and tensors.total > ATOMIC and not self.max_norm < INFINITY
        cdef int before
        if scan and tensors.count and not REDUCE.all_tame(tensors.c[0].g, min(tensors.c[0].n, <ptrdiff_t> BLOCK)):
            careful |= tensors.test(self.k)  # the usual way for a large gradient to fail: all of it, from the first number on
        if careful:
            return self.advance_kept(scale)
        self.begin_all()
        self.known = self.k + 1
        before = set_width(self.width or width())
        if tensors.total > LONG:             # the GIL is given up
            with nogil:
                bad = pass_over(self.m, tensors.c, tensors.count, self.groups, scale, scan, &at, &which)
        else:
            bad = pass_over(self.m, tensors.c, tensors.count, self.groups, scale, scan, &at, &which)
        set_width(before)
        self.k += 1
        if bad >= 0:
            self.stop_at(bad, at, which)
        return 0

    cdef int stop_at(self, Py_ssize_t i, ptrdiff_t at, int which) except -1:
        """Raises for the first block that a pass has left out, of array i."""
        cdef const double *g = self.tensors.c[i].g
        cdef ptrdiff_t end = min(at + <ptrdiff_t> BLOCK, self.tensors.c[i].n), largest
        state = (f"all took this step but the blocks of {BLOCK} with such a number, the first at {self.tensors.label(i)}.flat[{at}] "
                 "(load_state_dict goes back)")
        if not REDUCE.all_finite(g + at, end - at):
            self.tensors.refuse(i, first_non_finite(g + at, end - at) + at, self.k - 1, state)
        largest = largest_in(g, at, end)
        raise StepRefused(self.spoiled_text(i, largest, which, g[largest], self.k - 1, state))

    cdef int make_room(self) except -1:
        """For the copies of `advance_kept`: once, as neither the arrays nor the number of their vectors change."""
        cdef Py_ssize_t i, numbers = 0
        if self.groups_before == NULL:
            self.groups_before = <group_t *> malloc(max(self.n_groups, 1) * sizeof(group_t))
        if self.room == NULL:
            for i in range(self.tensors.count):
                numbers += self.tensors.c[i].n * self.tensors.c[i].n_vec
            self.room = <double *> mf_zeros(max(numbers, 1), sizeof(double))
        if self.groups_before == NULL or self.room == NULL:
            raise MemoryError(f"{self.record.name}: no memory to keep {numbers} numbers for a step that may have to be taken back")
        return 0

    cdef int advance_kept(self, double scale) except -1:
        """A step of which copies are kept: it is taken back as a whole where a number would not be finite."""
        cdef Tensors tensors = self.tensors
        cdef Py_ssize_t i, bad = -1
        cdef ptrdiff_t at = 0
        cdef int which = -1
        cdef double *place
        self.make_room()
        place = self.room
        memcpy(self.groups_before, self.groups, self.n_groups * sizeof(group_t))
        self.begin_all()
        for i in range(tensors.count):
            keep(&tensors.c[i], 0, tensors.c[i].n, place)
            place += tensors.c[i].n * tensors.c[i].n_vec
        pass_over(self.m, tensors.c, tensors.count, self.groups, scale, False, &at, &which)
        place = self.room
        for i in range(tensors.count):
            which = spoiled(&tensors.c[i], 0, tensors.c[i].n, place)
            if which >= 0:
                bad, at = i, first_spoiled(tensors.c[i].x[which], place + which * tensors.c[i].n, tensors.c[i].n)
                break
            place += tensors.c[i].n * tensors.c[i].n_vec
        if bad < 0:
            self.k += 1
            self.known = self.k
            return 0
        place = self.room
        for i in range(tensors.count):
            put_back(&tensors.c[i], 0, tensors.c[i].n, place)
            place += tensors.c[i].n * tensors.c[i].n_vec
        memcpy(self.groups, self.groups_before, self.n_groups * sizeof(group_t))
        raise StepRefused(self.spoiled_text(bad, at, which, tensors.c[bad].g[at], self.k, "nothing was changed"))

    cdef str spoiled_text(self, Py_ssize_t i, ptrdiff_t at, int which, double g, int64_t k, str state):
        """Why a step was not taken, in words; `which` is the vector of array i that it would have spoiled at a place."""
        where = f"{self.tensors.label(i)}{[int(j) for j in np.unravel_index(at, self.tensors.arrays[i].shape)]} = {g} at step {k}"
        if which > 0:
            why = (f"{self.record.vectors[which]} of {self.record.name} would overflow there, and the parameter would not move again. Give "
                   "clip_value= or clip_norm=, or scale the cost")
        elif self.groups[self.tensors.c[i].group].divides:
            why = f"the step of {self.record.name} is not finite there, with eps = 0 in its denominator. Give eps a number above 0"
        else:
            why = f"the step of {self.record.name} is not finite there. Lower lr, give clip_norm=, or scale the cost"
        return f"{where}: {state}, for {why}; check_finite=False turns this test off"

    def ask(self):
        """Where the gradient of the next step is evaluated: a list of new arrays. For most methods, copies of the parameters."""
        cdef Py_ssize_t i
        cdef unsigned int mode
        cdef double[MAX_SCALARS] scal
        cdef double[MAX_COEFFICIENTS] coef
        cdef tensor_t *tensor
        cdef group_t *group
        self.idle()
        if self.scheduled:
            self.apply_schedules()
        out = [np.array(array) for array in self.tensors.arrays]
        mode = mf_fp_enter()
        if self.m.ask != NULL:
            for i in range(self.tensors.count):
                tensor = &self.tensors.c[i]
                group = &self.groups[tensor.group]
                memcpy(scal, group.scal, sizeof(scal))
                self.m.begin(self.m, group.par, self.k - group.since, scal, coef)
                self.m.ask(self.m, coef, 0, tensor.n, <const double *const *> tensor.x, <double *> cnp.PyArray_DATA(<cnp.ndarray> out[i]))
        mf_fp_leave(mode)
        return out

    # ---- parameters of the groups ----

    cdef int group_index(self, Py_ssize_t g) except -1:
        if not 0 <= g < self.n_groups:
            raise IndexError(f"group {g} of {self.n_groups}")
        return 0

    def set_group(self, Py_ssize_t g, dict parameters, bint maximize):
        cdef double *par
        cdef mf_sizes sizes
        cdef int status
        self.group_index(g)
        if self.tensors is not None:
            self.idle()
        par = self.record.parameters(parameters)
        status = mf_sizes_of(self.m, par, &sizes)
        if status == 0 and (sizes.n_vec > MAX_VECTORS or sizes.n_scal > MAX_SCALARS or sizes.n_coef > MAX_COEFFICIENTS
                            or self.m.n_par > MAX_PARAMETERS):
            free(par)
            raise RuntimeError(f"{self.record.name} carries more than an optimizer has room for; raise the MAX_ numbers of updater.pxd")
        if status == 0 and self.tensors is not None and sizes.n_vec != self.groups[g].sizes.n_vec:
            free(par)
            raise ValueError(f"{self.record.name}: this would change how many vectors are carried; make a new optimizer")
        if status == 0:
            memcpy(self.groups[g].par, par, self.m.n_par * sizeof(double))
            self.groups[g].sizes = sizes
            self.known = -1
            self.groups[g].sign = -1.0 if maximize else 1.0
            self.groups[g].divides = has_no_eps(self.m, par)
            self.fill()
        free(par)
        if status != 0:
            raise ValueError(f"{self.record.name}: these parameters clash: {parameters}")

    def parameters_of(self, Py_ssize_t g):
        cdef int j
        self.group_index(g)
        return {self.m.par[j].name.decode(): self.groups[g].par[j] for j in range(self.m.n_par)}

    def lr_of(self, Py_ssize_t g):
        self.group_index(g)
        return self.groups[g].par[self.lr_index]

    def maximizes(self, Py_ssize_t g):
        self.group_index(g)
        return self.groups[g].sign < 0

    def set_schedule(self, Py_ssize_t g, schedule):
        self.idle()
        self.group_index(g)
        self.schedules[g] = schedule
        self.scheduled = any(s is not None for s in self.schedules)

    def schedule_of(self, Py_ssize_t g):
        self.group_index(g)
        return self.schedules[g]

    def apply_schedules(self):
        cdef double lr
        cdef Py_ssize_t g
        for g, schedule in enumerate(self.schedules):
            if schedule is not None:
                value = schedule(self.k)
                try:
                    lr = value
                except TypeError:
                    raise TypeError(f"lr: expected a number from its schedule for step {self.k}, got {value!r}") from None
                if not 0.0 <= lr < INFINITY:
                    raise ValueError(f"lr: expected a finite number of at least 0 from its schedule for step {self.k}, got {lr!r}")
                self.groups[g].par[self.lr_index] = lr
                self.fill()

    @property
    def clip_norm(self):
        """Gradients are scaled so that the norm of all together is at most this; None: not scaled."""
        return self.max_norm if self.max_norm < INFINITY else None

    @clip_norm.setter
    def clip_norm(self, value):
        number = INFINITY if value is None else float(value)
        if not number > 0:
            raise ValueError(f"clip_norm: expected a number above 0, or None, got {value!r}")
        self.max_norm = number

    @property
    def threads(self):
        """Threads of a step on long arrays; None: as many as the thread that steps has set."""
        return self.width or None

    # ---- state ----

    @property
    def steps(self):
        """Steps taken."""
        return self.k

    @property
    def arrays(self):
        """The parameter arrays, a new list."""
        self.complete()
        return list(self.tensors.arrays)

    def _n_vectors(self, Py_ssize_t i):
        self.complete()
        return self.tensors.c[i].n_vec

    def _vectors(self, Py_ssize_t i):
        """Copies of the method's vectors of one array, by name: whole ones, not while another thread steps."""
        self.idle()
        return self.tensors.vectors(i, self.record.vectors)

    def steps_of(self, Py_ssize_t g):
        self.group_index(g)
        return self.k - self.groups[g].since

    def _join_at(self, Py_ssize_t g, int64_t step):
        """Group g was added after so many steps."""
        self.group_index(g)
        self.groups[g].since = step

    def _part(self):
        """Lets go of all arrays, so that `_bind` can take others."""
        self.idle()
        self.tensors = None
        free(self.room)                  # both have the sizes of the arrays before
        free(self.groups_before)
        self.room = NULL
        self.groups_before = NULL

    def _scalars(self, Py_ssize_t g):
        self.group_index(g)
        return [self.groups[g].scal[j] for j in range(self.groups[g].sizes.n_scal)]

    def _restore(self, int64_t k, list scalars, list vectors):
        """Puts back what `_scalars` and `_vectors` gave; the shapes of the vectors have been checked."""
        cdef Py_ssize_t i, g
        cdef int j
        self.idle()
        for g in range(self.n_groups):
            if len(scalars[g]) != self.groups[g].sizes.n_scal:
                raise ValueError(f"state: expected {self.groups[g].sizes.n_scal} scalars of group {g}, as {self.record.name} carries, got "
                                 f"{len(scalars[g])}")
        for g, values in enumerate(scalars):
            for j, value in enumerate(values):
                self.groups[g].scal[j] = value
        for i, by_name in enumerate(vectors):
            self.tensors.restore(i, self.record.vectors, by_name)
        self.k, self.known = k, -1

    def _scalars_of(self, Py_ssize_t g, int64_t steps):
        """What `_scalars` gives after so many steps with the present parameters, from nothing."""
        cdef int64_t k
        cdef double[MAX_SCALARS] scal
        cdef double[MAX_COEFFICIENTS] coef
        self.group_index(g)
        memset(scal, 0, sizeof(scal))
        for k in range(steps - self.groups[g].since):
            if self.m.begin(self.m, self.groups[g].par, k, scal, coef) != 0:
                raise ValueError(f"{self.record.name}: these parameters clash")
        return [scal[j] for j in range(self.groups[g].sizes.n_scal)]

    def _coefficients(self, Py_ssize_t g):
        """What `begin` made of a group's parameters for the last step taken (before the first: for that one), a float64 array.

        Where that is not at hand (a state was loaded, a parameter was set), all `begin` so far are done again with the present values.
        """
        cdef int64_t k, last
        cdef double[MAX_SCALARS] scal
        cdef double[MAX_COEFFICIENTS] coef
        self.idle()
        self.group_index(g)
        last = max(self.k - self.groups[g].since, 1)
        if self.known == self.k and self.k > 0:
            memcpy(coef, self.groups[g].coef, sizeof(coef))
        else:
            memset(scal, 0, sizeof(scal))
            memset(coef, 0, sizeof(coef))
            for k in range(last):
                if self.m.begin(self.m, self.groups[g].par, k, scal, coef) != 0:
                    raise ValueError(f"{self.record.name}: these parameters clash")
        return np.array([coef[j] for j in range(self.groups[g].sizes.n_coef)])


cdef Py_ssize_t pass_over(const mf_method *m, tensor_t *tensors, Py_ssize_t n_tensors, group_t *groups, double scale, bint scan,
                          ptrdiff_t *at, int *which) noexcept nogil:
    """One update of every array. With `scan`, the number of the first array with a block that was left out, at `at`, since a number of its
    gradient is not finite, or one of vector `which` would not be after its step; -1: all went well."""
    cdef Py_ssize_t i, bad = -1
    cdef ptrdiff_t left_out
    cdef int spoils
    cdef group_t *group
    for i in range(n_tensors):
        group = &groups[tensors[i].group]
        if not scan:
            update_all(m, group.coef, scale * group.sign, tensors[i].n, tensors[i].x, tensors[i].g)
            continue
        left_out = update_scanned(m, group.coef, scale * group.sign, &tensors[i], &spoils)
        if left_out < tensors[i].n and bad < 0:
            bad, at[0], which[0] = i, left_out, spoils
    return bad


# ---- a method's functions one by one, for analysis and tests ------------------------------------------------------------------------------

def begin(MethodRecord record, dict parameters, int64_t k, scal=None):
    """The coefficients of step k, a float64 array. scal: the carried scalars, float64, advanced in place; None: fresh ones."""
    cdef mf_sizes sizes
    cdef double *par = record.parameters(parameters)
    cdef int status = mf_sizes_of(record.m, par, &sizes)
    scalars = np.zeros(max(sizes.n_scal, 1)) if scal is None else checked(scal, "scal")
    coef = np.zeros(max(sizes.n_coef, 1))
    if status == 0 and record.m.begin != NULL and scalars.size >= sizes.n_scal:
        status = record.m.begin(record.m, par, k, <double *> cnp.PyArray_DATA(<cnp.ndarray> scalars),
                                <double *> cnp.PyArray_DATA(<cnp.ndarray> coef))
    else:
        status = -1
    free(par)
    if status != 0:
        raise ValueError(f"{record.name}: cannot begin a step with {parameters}")
    return coef


cdef ptrdiff_t pointers(MethodRecord record, list vectors, double **x) except -1:
    """Addresses of a method's vectors; their common length."""
    cdef int j
    if not 0 < len(vectors) <= MAX_VECTORS:
        raise ValueError(f"vectors: expected 1 to {MAX_VECTORS} arrays, got {len(vectors)}")
    for j, vector in enumerate(vectors):
        checked(vector, f"vectors[{j}]")
        if vector.size != vectors[0].size:
            raise ValueError(f"vectors: expected arrays of one length, got {[v.size for v in vectors]}")
        x[j] = <double *> cnp.PyArray_DATA(<cnp.ndarray> vector)
    return vectors[0].size


def start(MethodRecord record, dict parameters, list vectors):
    """Gives the carried vectors their first values."""
    cdef double *x[MAX_VECTORS]
    cdef ptrdiff_t n = pointers(record, vectors, x)
    cdef double *par = record.parameters(parameters)
    for vector in vectors[1:]:
        vector[...] = 0.0
    if record.m.start != NULL:
        record.m.start(record.m, par, 0, n, x)
    free(par)


def ask(MethodRecord record, cnp.ndarray coef, list vectors):
    """Where the gradient is evaluated: a new array."""
    cdef double *x[MAX_VECTORS]
    cdef ptrdiff_t n = pointers(record, vectors, x)
    out = vectors[0].copy()
    if record.m.ask != NULL:
        record.m.ask(record.m, <double *> cnp.PyArray_DATA(coef), 0, n, <const double *const *> x,
                     <double *> cnp.PyArray_DATA(<cnp.ndarray> out))
    return out


def update(MethodRecord record, cnp.ndarray coef, double gscale, list vectors, g, ptrdiff_t lo=0, hi=None):
    """One pass over [lo, hi) of the vectors, in place."""
    cdef double *x[MAX_VECTORS]
    cdef ptrdiff_t n = pointers(record, vectors, x), end = n if hi is None else hi
    checked(g, "g", False)
    if record.m.update == NULL or cnp.PyArray_SIZE(coef) < record.m.sizes.n_coef or g.size != n or not 0 <= lo <= end <= n:
        raise ValueError(f"{record.name}: not an update over [{lo}, {end}) of {n}")
    record.m.update(record.m, <double *> cnp.PyArray_DATA(coef), gscale, lo, end, x, <double *> cnp.PyArray_DATA(<cnp.ndarray> g))
