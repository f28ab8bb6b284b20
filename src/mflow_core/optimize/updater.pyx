"""An optimizer bound to arrays: owns the row's vectors, steps the user's arrays in place.

All vectors of all tensors lie in one allocation, each on a cache line of its own. A step reads the gradients, tests them, begins each
group once, and makes one pass over each tensor. The test comes first: up to ATOMIC numbers in all are scanned before anything
changes; above that each block of BLOCK numbers is scanned just before it is updated, while it is in the first cache, so that memory
is read once. A non-finite gradient therefore leaves everything as it was, or, found late in a large one, says from where on.
"""
from cpython.list cimport PyList_GET_ITEM
from libc.math cimport INFINITY, sqrt
from libc.stdint cimport uintptr_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memset

cimport numpy as cnp

from mflow_core.arithmetic.vec cimport first_non_finite, mf_fp_enter, mf_fp_leave
from mflow_core.owner cimport mf_give, mf_take
from mflow_core.registry cimport REDUCE, MethodRecord, mf_sizes_of

import numpy as np

cnp.import_array()

cdef enum:
    ATOMIC = 16384
    BLOCK = 512
    RELEASE = 50000                      # numbers in a step from which on the GIL is given up


cdef ptrdiff_t padded(ptrdiff_t n) noexcept:
    return (n + 7) // 8 * 8


cdef object np_ndarray = np.ndarray


def shared_array(value, str argument):
    """NumPy's view of the memory of any array: NumPy's own, DLPack's (torch tensors on the CPU) or the buffer protocol's. No copy.

    What has none of these comes back as it is, for `checked` to refuse.
    """
    if type(value) is np_ndarray:
        return value
    if isinstance(value, np.ndarray):
        return value.view(np.ndarray)
    if hasattr(value, "__dlpack__"):
        try:
            if getattr(value, "requires_grad", False):
                value = value.detach()       # torch lends no memory that it watches; the parameters change outside its graph
            array = np.from_dlpack(value)
            return array if array.flags.writeable or not hasattr(value, "numpy") else value.numpy()      # NumPy before 2.1
        except (BufferError, RuntimeError, TypeError, ValueError) as error:
            raise TypeError(f"{argument}: the memory of this {type(value).__name__} cannot be shared ({error}): a dense float64 array on "
                            "the CPU is wanted") from None
    try:
        return np.asarray(memoryview(value))
    except TypeError:
        return value


def checked(array, str argument, bint writeable=True):
    """The array, if it can be used as it is; else an error that names the argument, what came and the fix."""
    if not isinstance(array, np.ndarray):
        fix = "it is not called, hand over the gradient itself" if callable(array) else "np.asarray(..., dtype=float) makes one of numbers"
        raise TypeError(f"{argument}: a NumPy array is wanted, not {type(array).__name__}; {fix}")
    keep = "; keep that array, for it is the one that will change" if writeable else ""
    if array.dtype != np.float64:
        raise TypeError(f"{argument}: dtype {array.dtype} came, float64 is wanted: .astype(np.float64) makes a copy that is{keep}")
    if not array.flags.c_contiguous:
        raise ValueError(f"{argument}: an array that is not C-contiguous came (strides {array.strides}): np.ascontiguousarray makes a "
                         f"copy that is{keep}")
    if not array.flags.aligned or not array.dtype.isnative:
        raise ValueError(f"{argument}: an array that is not aligned, or in foreign byte order, came: np.array(..., dtype=np.float64) "
                         f"makes a copy that is{keep}")
    if writeable and not array.flags.writeable:
        raise ValueError(f"{argument}: a read-only array came, but it is updated in place: .copy() makes one that can be{keep}")
    return array


cdef class Updater:
    """Steps arrays in place by one row. `mflow.optim` makes its classes of it.

    groups: a list of (arrays, parameters of the row by name, maximize, schedule of lr or None).
    """

    def __cinit__(self):
        self.tensors, self.groups, self.block = NULL, NULL, NULL

    def __dealloc__(self):
        free(self.tensors)
        free(self.groups)
        free(self.starts)
        free(self.block)

    def _bind(self, MethodRecord row, list groups, max_norm, bint check_finite):
        """Takes the arrays. Called once, by __init__ of the classes in mflow.optim."""
        cdef Py_ssize_t g, i = 0
        if self.block != NULL:
            raise RuntimeError("this optimizer is made already: make another one")
        self.record, self.m = row, row.m
        self.check_finite = check_finite
        self.clip_norm = max_norm
        self.arrays = [array for members, _, _, _ in groups for array in members]
        self.n_tensors, self.n_groups = len(self.arrays), len(groups)
        self.bound = [None] * self.n_tensors
        self.schedules = [schedule for _, _, _, schedule in groups]
        self.scheduled = any(schedule is not None for schedule in self.schedules)
        self.tensors = <tensor_t *> calloc(max(self.n_tensors, 1), sizeof(tensor_t))
        self.groups = <group_t *> calloc(max(self.n_groups, 1), sizeof(group_t))
        if self.tensors == NULL or self.groups == NULL:
            raise MemoryError()
        for g, (members, parameters, maximize, _) in enumerate(groups):
            self.set_group(g, parameters, maximize)
            for array in members:
                self.tensors[i].n, self.tensors[i].group = array.size, g
                self.tensors[i].x[0] = <double *> cnp.PyArray_DATA(array)
                self.total += array.size
                i += 1
        self._sort()
        self._allocate()

    def _sort(self):
        """Where the parameter arrays lie, in order. Raises ValueError where two of them share memory."""
        cdef Py_ssize_t i, place
        cdef int j
        spans = sorted((<size_t> self.tensors[i].x[0], self.tensors[i].n, i) for i in range(self.n_tensors) if self.tensors[i].n > 0)
        self.starts = <const double **> calloc(2 * max(self.n_tensors, 1), sizeof(double *))
        if self.starts == NULL:
            raise MemoryError()
        self.ends = self.starts + self.n_tensors
        for place, (_, _, i) in enumerate(spans):
            self.starts[place] = self.tensors[i].x[0]
            self.ends[place] = self.tensors[i].x[0] + self.tensors[i].n
            if place and self.ends[place - 1] > self.starts[place]:
                raise ValueError(f"params: arrays {spans[place - 1][2]} and {i} share memory: one would be updated twice a step")
        for i in range(len(spans), self.n_tensors):          # empty arrays lie nowhere
            self.starts[i] = self.ends[i] = <const double *> ~<size_t> 0
        for j in range(self.m.n_par):
            if self.m.par[j].name.decode() == "lr":
                self.lr_index = j

    def set_group(self, Py_ssize_t g, dict parameters, bint maximize):
        cdef double *par
        cdef mf_sizes sizes
        cdef int status
        self.group_index(g)
        if self.block != NULL:
            self.idle()
        par = self.record.parameters(parameters)
        status = mf_sizes_of(self.m, par, &sizes)
        if status == 0 and (sizes.n_vec > MAX_VECTORS or sizes.n_scal > MAX_SCALARS or sizes.n_coef > MAX_COEFFICIENTS
                            or self.m.n_par > MAX_PARAMETERS):
            free(par)
            raise RuntimeError(f"{self.record.name} carries more than an optimizer has room for: raise the MAX_ numbers in updater.pxd")
        if status == 0 and self.block != NULL and sizes.n_vec != self.groups[g].sizes.n_vec:
            free(par)
            raise ValueError(f"{self.record.name}: this would change how many vectors are carried: make a new optimizer")
        if status == 0:
            memcpy(self.groups[g].par, par, self.m.n_par * sizeof(double))
            self.groups[g].sizes = sizes
            self.known = -1
            self.groups[g].sign = -1.0 if maximize else 1.0
        free(par)
        if status != 0:
            raise ValueError(f"{self.record.name}: these parameters clash: {parameters}")

    def _allocate(self):
        cdef Py_ssize_t i
        cdef ptrdiff_t room = 8, place
        cdef double *at
        cdef int j
        cdef tensor_t *tensor
        for i in range(self.n_tensors):
            tensor = &self.tensors[i]
            room += (self.groups[tensor.group].sizes.n_vec - 1) * (padded(tensor.n) + (512 if tensor.n >= 512 else 0))
        self.block = calloc(room, sizeof(double))
        if self.block == NULL:
            raise MemoryError(f"{self.record.name}: no memory for the vectors of {self.total} parameters")
        at = <double *> ((<uintptr_t> self.block + 63) // 64 * 64)
        for i in range(self.n_tensors):
            tensor = &self.tensors[i]
            for j in range(1, self.groups[tensor.group].sizes.n_vec):
                if tensor.n >= 512:
                    # Loads that lie a multiple of 4096 bytes behind a recent store wait for it: start each long vector at a place
                    # in its page of its own. NumPy's long arrays start near 0; 2 .. 7 eighths are left for ours.
                    place = <ptrdiff_t> (<uintptr_t> at // 8 % 512)
                    at += (64 + 128 * j - place + 1024) % 512
                tensor.x[j] = at
                at += padded(tensor.n)
            if self.m.start != NULL:
                self.m.start(self.m, self.groups[tensor.group].par, 0, tensor.n, tensor.x)

    # ---- gradients ----

    cdef int take(self, Py_ssize_t i, object g) except -1:
        """Points tensor i at its gradient. The caller keeps g alive."""
        cdef tensor_t *tensor = &self.tensors[i]
        cdef cnp.ndarray a, c
        cdef double *data
        if type(g) is np_ndarray:
            a, c = <cnp.ndarray> g, <cnp.ndarray> self.arrays[i]
            if (cnp.PyArray_TYPE(a) == cnp.NPY_DOUBLE and cnp.PyArray_ISCARRAY_RO(a) and cnp.PyArray_NDIM(a) == cnp.PyArray_NDIM(c)
                    and (cnp.PyArray_DIM(a, 0) == tensor.n if cnp.PyArray_NDIM(a) == 1 else cnp.PyArray_SAMESHAPE(a, c))):
                data = <double *> cnp.PyArray_DATA(a)
                if self.shares(data, tensor.n):
                    raise ValueError(f"{self._label(i)}: the gradient shares memory with parameters, which change while it is read: "
                                     "hand over a copy")
                tensor.g = data
                return 0
        checked(g, self._label(i), False)
        raise ValueError(f"{self._label(i)}: shape {g.shape} came, the parameters have {self.arrays[i].shape}")

    cdef bint shares(self, const double *data, ptrdiff_t n):
        """Whether [data, data + n) meets any parameter array; their starts are sorted."""
        cdef Py_ssize_t low = 0, high = self.n_tensors, middle
        if n == 0:
            return False
        while low < high:                # the first array that ends behind data
            middle = (low + high) // 2
            if self.ends[middle] <= data:
                low = middle + 1
            else:
                high = middle
        return low < self.n_tensors and self.starts[low] < data + n

    def _label(self, Py_ssize_t i):
        return "g" if self.n_tensors == 1 else f"g[{i}]"

    cdef int idle(self) except -1:
        """For whatever would change what a step under way is reading."""
        if self.busy:
            raise RuntimeError("this optimizer is in the middle of a step: do this before or after it")
        if self.block == NULL:
            raise RuntimeError("this optimizer was not made to the end: its __init__ raised")
        return 0

    cdef int group_index(self, Py_ssize_t g) except -1:
        if not 0 <= g < self.n_groups:
            raise IndexError(f"group {g} of {self.n_groups}")
        return 0

    cdef int take_list(self, list flat) except -1:
        """All gradients, or an error and none."""
        cdef Py_ssize_t i
        try:
            for i in range(self.n_tensors):
                self.take(i, <object> PyList_GET_ITEM(flat, i))
        except BaseException:
            self.tensors[0].g = NULL
            raise
        return 0

    cdef list views(self, grads):
        """The gradients as a list of NumPy arrays over the same memory."""
        cdef Py_ssize_t i
        out = list(grads)
        for i in range(len(out)):
            if type(out[i]) is not np_ndarray:
                out[i] = shared_array(out[i], self._label(i))
        return out

    def flatten(self, grads):
        """A list of gradients in the order of the parameters."""
        return grads if isinstance(grads, list) else list(grads) if isinstance(grads, tuple) else [grads]

    def bind(self, grads):
        """Remembers the gradient arrays, so that `step()` without arguments reads them where they are.

        Fill these very arrays before each step; they are kept alive. Errors as in `step`.
        """
        self.idle()
        flat = self.views(self.flatten(grads))
        if self.n_tensors:
            self.tensors[0].g = NULL         # whatever happens next, no old pointer is read again
        if len(flat) != self.n_tensors:
            raise ValueError(f"g: {len(flat)} gradients came for {self.n_tensors} parameter arrays")
        self.take_list(flat)
        self.bound = flat

    cdef int test(self) except -1:
        """Scans all gradients; raises FloatingPointError at the first number that is not finite."""
        cdef Py_ssize_t i
        for i in range(self.n_tensors):
            if not REDUCE.all_finite(self.tensors[i].g, self.tensors[i].n):
                self.refuse(i, first_non_finite(self.tensors[i].g, self.tensors[i].n), self.k, "nothing was changed")
        return 0

    cdef int refuse(self, Py_ssize_t i, ptrdiff_t at, int64_t step, str state) except -1:
        cdef double value = self.tensors[i].g[at]
        index = tuple(int(j) for j in np.unravel_index(at, self.arrays[i].shape))
        raise FloatingPointError(f"{self._label(i)}{list(index)} = {value} at step {step}: {state}. Look for the cause in the cost "
                                 "function or lower lr; check_finite=False turns this test off")

    cdef double norm(self) except? -1.0:
        """Euclidean norm of all gradients, in fixed order: the same bits everywhere."""
        cdef Py_ssize_t i
        cdef double total = 0.0, largest = 0.0, scaled = 0.0
        for i in range(self.n_tensors):
            total += REDUCE.sum_of_squares(self.tensors[i].g, self.tensors[i].n)
        if total < INFINITY or total != total:
            return sqrt(total)
        for i in range(self.n_tensors):      # squares overflow, or an entry is infinite
            largest = max(largest, REDUCE.max_abs(self.tensors[i].g, self.tensors[i].n))
        if not largest < INFINITY:
            return largest
        for i in range(self.n_tensors):
            part = np.empty(self.tensors[i].n)
            memcpy(<double *> cnp.PyArray_DATA(<cnp.ndarray> part), self.tensors[i].g, self.tensors[i].n * sizeof(double))
            part /= largest
            scaled += REDUCE.sum_of_squares(<double *> cnp.PyArray_DATA(<cnp.ndarray> part), self.tensors[i].n)
        return largest * sqrt(scaled)

    # ---- steps ----

    def step(self, g=None):
        """One update of the parameters, in place.

        g : float64 array of the parameters' shape, or a list (tuple, dict) of them arranged as the parameters are; None: the arrays
            given to `bind`.

        Raises TypeError or ValueError where an array does not fit, FloatingPointError where a gradient is not finite.
        """
        cdef double scale = 1.0
        cdef unsigned int mode
        if not mf_take(&self.busy):
            raise RuntimeError("this optimizer is already stepping in another thread, or in its own schedule: give each its own")
        try:
            if self.block == NULL:
                raise RuntimeError("this optimizer was not made to the end: its __init__ raised")
            if self.scheduled:
                self.apply_schedules()          # code of the user's: before any address is taken
            if g is None:
                if self.n_tensors and self.bound[0] is None:
                    raise TypeError("g: no gradient came, and none is bound: opt.step(g), or opt.bind(g) once")
                held = self.bound
                if self.n_tensors and self.tensors[0].g == NULL:
                    self.take_list(held)
            elif self.n_tensors == 1 and type(g) is np_ndarray:
                self.take(0, g)
            else:
                held = self.views(self.flatten(g))       # a list of our own keeps the arrays alive, whatever happens to the user's
                if len(held) != self.n_tensors:
                    raise ValueError(f"g: {len(held)} gradients came for {self.n_tensors} parameter arrays")
                self.take_list(held)
            mode = mf_fp_enter()
            try:
                if self.check_finite and (self.total <= ATOMIC or self.max_norm < INFINITY):
                    self.test()
                if self.max_norm < INFINITY:
                    scale = self.max_norm / (self.norm() + 1e-6)
                    scale = 1.0 if scale > 1.0 else scale     # NaN stays NaN
                self.advance(scale)
            finally:
                mf_fp_leave(mode)
        finally:
            if g is not None and self.n_tensors and self.tensors != NULL:
                self.tensors[0].g = NULL         # the caller's arrays may go away
            mf_give(&self.busy)

    cdef int advance(self, double scale) except -1:
        cdef Py_ssize_t g, bad = -1
        cdef ptrdiff_t at = 0
        cdef group_t *group
        cdef bint scan = self.check_finite and self.total > ATOMIC and not self.max_norm < INFINITY
        if scan and self.n_tensors and not REDUCE.all_finite(self.tensors[0].g, min(self.tensors[0].n, <ptrdiff_t> BLOCK)):
            self.test()                      # the usual way for a large gradient to fail: all of it, from the first number on
        for g in range(self.n_groups):
            group = &self.groups[g]
            if self.m.begin(self.m, group.par, self.k, group.scal, group.coef) != 0:
                raise ValueError(f"{self.record.name}: these parameters clash")
        self.known = self.k + 1
        if self.total > RELEASE:
            with nogil:
                bad = pass_over(self.m, self.tensors, self.n_tensors, self.groups, scale, scan, &at)
        else:
            bad = pass_over(self.m, self.tensors, self.n_tensors, self.groups, scale, scan, &at)
        self.k += 1
        if bad >= 0:
            self.refuse(bad, first_non_finite(self.tensors[bad].g + at, self.tensors[bad].n - at) + at, self.k - 1,
                        f"all before {self._label(bad)}.flat[{at}] took this step, the rest did not (load_state_dict goes back)")
        return 0

    def apply_schedules(self):
        cdef double lr
        cdef Py_ssize_t g
        for g, schedule in enumerate(self.schedules):
            if schedule is not None:
                found = schedule(self.k)
                try:
                    lr = found
                except TypeError:
                    raise TypeError(f"lr: its schedule returned {found!r} for step {self.k}: a number is wanted") from None
                if not 0.0 <= lr < INFINITY:
                    raise ValueError(f"lr: its schedule returned {lr!r} for step {self.k}: a finite number from 0 on is wanted")
                self.groups[g].par[self.lr_index] = lr

    def ask(self):
        """Where the gradient of the next step is wanted: new arrays, arranged as a list. For most rows, copies of the parameters."""
        cdef Py_ssize_t i
        cdef unsigned int mode
        cdef double[MAX_SCALARS] scal
        cdef double[MAX_COEFFICIENTS] coef
        cdef tensor_t *tensor
        cdef group_t *group
        self.idle()
        if self.scheduled:
            self.apply_schedules()
        out = [np.array(array) for array in self.arrays]
        mode = mf_fp_enter()
        if self.m.ask != NULL:
            for i in range(self.n_tensors):
                tensor, group = &self.tensors[i], &self.groups[self.tensors[i].group]
                memcpy(scal, group.scal, sizeof(scal))
                self.m.begin(self.m, group.par, self.k, scal, coef)
                self.m.ask(self.m, coef, 0, tensor.n, <const double *const *> tensor.x, <double *> cnp.PyArray_DATA(<cnp.ndarray> out[i]))
        mf_fp_leave(mode)
        return out

    # ---- parameters of the groups, state ----

    @property
    def steps(self):
        """Steps taken."""
        return self.k

    @property
    def clip_norm(self):
        """Gradients are scaled so that the norm of all together is at most this; None: not scaled."""
        return self.max_norm if self.max_norm < INFINITY else None

    @clip_norm.setter
    def clip_norm(self, value):
        number = INFINITY if value is None else float(value)
        if not number > 0:
            raise ValueError(f"clip_norm = {value!r}: a number above 0 is wanted, or None")
        self.max_norm = number

    def parameters_of(self, Py_ssize_t g):
        """The row's parameters of a group, by name."""
        cdef int j
        self.group_index(g)
        return {self.m.par[j].name.decode(): self.groups[g].par[j] for j in range(self.m.n_par)}

    def lr_of(self, Py_ssize_t g):
        """The learning rate of a group as it stands."""
        self.group_index(g)
        return self.groups[g].par[self.lr_index]

    def _set(self, Py_ssize_t g, str name, double value):
        everything = self.parameters_of(g)
        everything[name] = value
        self.set_group(g, everything, self.groups[g].sign < 0)

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

    def _vectors(self, Py_ssize_t i):
        """Copies of the row's vectors of one tensor, by name."""
        cdef tensor_t *tensor
        cdef int j
        if not 0 <= i < self.n_tensors:
            raise IndexError(f"array {i} of {self.n_tensors}")
        tensor = &self.tensors[i]
        out = {}
        for j in range(1, self.groups[tensor.group].sizes.n_vec):
            copy = np.empty(self.arrays[i].shape)
            memcpy(<double *> cnp.PyArray_DATA(<cnp.ndarray> copy), tensor.x[j], tensor.n * sizeof(double))
            out[self.record.vectors[j]] = copy
        return out

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
                raise ValueError(f"state: group {g} has {len(scalars[g])} scalars, {self.record.name} carries {self.groups[g].sizes.n_scal}")
        for g, values in enumerate(scalars):
            for j, value in enumerate(values):
                self.groups[g].scal[j] = value
        for i, by_name in enumerate(vectors):
            for j, name in enumerate(self.record.vectors):
                if name in by_name and j > 0:
                    memcpy(self.tensors[i].x[j], <double *> cnp.PyArray_DATA(<cnp.ndarray> by_name[name]),
                           self.tensors[i].n * sizeof(double))
        self.k, self.known = k, -1

    def _coefficients(self, Py_ssize_t g):
        """What `begin` made of a group's parameters for the last step taken (before the first: for that one), a float64 array.

        Where that is not at hand (a state was loaded, a parameter was set), all `begin` so far are done again with the present values.
        """
        cdef int64_t k, last = max(self.k, 1)
        cdef double[MAX_SCALARS] scal
        cdef double[MAX_COEFFICIENTS] coef
        self.idle()
        self.group_index(g)
        if self.known == self.k and self.k > 0:
            memcpy(coef, self.groups[g].coef, sizeof(coef))
        else:
            memset(scal, 0, sizeof(scal))
            memset(coef, 0, sizeof(coef))
            for k in range(last):
                if self.m.begin(self.m, self.groups[g].par, k, scal, coef) != 0:
                    raise ValueError(f"{self.record.name}: these parameters clash")
        return np.array([coef[j] for j in range(self.groups[g].sizes.n_coef)])

    def gradient_norm(self, g):
        """Euclidean norm of all gradients together, in one fixed order of summation; nan or inf where one of them is not finite.

        g : as in `step`. Raises TypeError or ValueError where an array does not fit.
        """
        cdef list held = list(self.flatten(g))
        cdef double found
        self.idle()
        if len(held) != self.n_tensors:
            raise ValueError(f"g: {len(held)} gradients came for {self.n_tensors} parameter arrays")
        try:
            self.take_list(held)
            found = self.norm()
        finally:
            if self.n_tensors:
                self.tensors[0].g = NULL         # the caller's arrays may go away
        return found

    def _n_vectors(self, Py_ssize_t i):
        return self.groups[self.tensors[i].group].sizes.n_vec

    @property
    def arrays(self):
        return list(self.arrays)


cdef Py_ssize_t pass_over(const mf_method *m, tensor_t *tensors, Py_ssize_t n_tensors, group_t *groups, double scale, bint scan,
                          ptrdiff_t *at) noexcept nogil:
    """One update of every tensor. With `scan`, the number of the tensor whose block at `at` is not finite; -1: all went well."""
    cdef Py_ssize_t i
    cdef ptrdiff_t lo, hi
    cdef tensor_t *tensor
    cdef group_t *group
    for i in range(n_tensors):
        tensor = &tensors[i]
        group = &groups[tensor.group]
        if not scan:
            m.update(m, group.coef, scale * group.sign, 0, tensor.n, tensor.x, tensor.g)
            continue
        for lo in range(0, tensor.n, 512):                # BLOCK
            hi = min(lo + <ptrdiff_t> BLOCK, tensor.n)
            if not REDUCE.all_finite(tensor.g + lo, hi - lo):
                at[0] = lo
                return i
            m.update(m, group.coef, scale * group.sign, lo, hi, tensor.x, tensor.g)
    return -1


# ---- a row's functions one by one, for analysis and tests --------------------------------------------------------------------------------

def begin(MethodRecord row, dict parameters, int64_t k, scal=None):
    """The coefficients of step k, a float64 array. scal: the row's carried scalars, float64, advanced in place; None: fresh ones."""
    cdef mf_sizes sizes
    cdef double *par = row.parameters(parameters)
    cdef int status = mf_sizes_of(row.m, par, &sizes)
    scalars = np.zeros(max(sizes.n_scal, 1)) if scal is None else checked(scal, "scal")
    coef = np.zeros(max(sizes.n_coef, 1))
    if status == 0 and row.m.begin != NULL and scalars.size >= sizes.n_scal:
        status = row.m.begin(row.m, par, k, <double *> cnp.PyArray_DATA(<cnp.ndarray> scalars),
                             <double *> cnp.PyArray_DATA(<cnp.ndarray> coef))
    else:
        status = -1
    free(par)
    if status != 0:
        raise ValueError(f"{row.name}: cannot begin a step with {parameters}")
    return coef


cdef ptrdiff_t pointers(MethodRecord row, list vectors, double **x) except -1:
    """Addresses of the row's vectors; their common length."""
    cdef int j
    if not 0 < len(vectors) <= MAX_VECTORS:
        raise ValueError(f"vectors: {len(vectors)} came")
    for j, vector in enumerate(vectors):
        checked(vector, f"vectors[{j}]")
        if vector.size != vectors[0].size:
            raise ValueError("vectors: their lengths differ")
        x[j] = <double *> cnp.PyArray_DATA(<cnp.ndarray> vector)
    return vectors[0].size


def start(MethodRecord row, dict parameters, list vectors):
    """Gives the row's own vectors their first values."""
    cdef double *x[MAX_VECTORS]
    cdef ptrdiff_t n = pointers(row, vectors, x)
    cdef double *par = row.parameters(parameters)
    for vector in vectors[1:]:
        vector[...] = 0.0
    if row.m.start != NULL:
        row.m.start(row.m, par, 0, n, x)
    free(par)


def ask(MethodRecord row, cnp.ndarray coef, list vectors):
    """Where the gradient is wanted: a new array."""
    cdef double *x[MAX_VECTORS]
    cdef ptrdiff_t n = pointers(row, vectors, x)
    out = vectors[0].copy()
    if row.m.ask != NULL:
        row.m.ask(row.m, <double *> cnp.PyArray_DATA(coef), 0, n, <const double *const *> x, <double *> cnp.PyArray_DATA(<cnp.ndarray> out))
    return out


def update(MethodRecord row, cnp.ndarray coef, double gscale, list vectors, g, ptrdiff_t lo=0, hi=None):
    """One pass over [lo, hi) of the vectors, in place."""
    cdef double *x[MAX_VECTORS]
    cdef ptrdiff_t n = pointers(row, vectors, x), end = n if hi is None else hi
    checked(g, "g", False)
    if row.m.update == NULL or cnp.PyArray_SIZE(coef) < row.m.sizes.n_coef or g.size != n or not 0 <= lo <= end <= n:
        raise ValueError(f"{row.name}: not an update over [{lo}, {end}) of {n}")
    row.m.update(row.m, <double *> cnp.PyArray_DATA(coef), gscale, lo, end, x, <double *> cnp.PyArray_DATA(<cnp.ndarray> g))
