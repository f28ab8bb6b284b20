"""The events of a run as Python sees them: its functions, called with arrays of their own, and what was found.

The scan itself, which finds and locates the crossings of a step, is in crossings.pyx.
"""
from cpython.mem cimport PyMem_Calloc, PyMem_Free
from cpython.object cimport PyObject
from libc.stddef cimport ptrdiff_t
from libc.stdint cimport int64_t
from libc.string cimport memcpy, memset

cimport numpy as cnp

from mflow_core.events.actions cimport Action, call_action, call_pair_action
from mflow_core.events.crossings cimport (EVENT_ACT, EVENT_ACTION, EVENT_FULL, EVENT_NAN, EVENT_REFUSED, EVENT_STOP, EVENT_ZENO, PROBES,
                                          event_numbers, event_t, events_act, events_behind, events_finish, events_jump, events_pack,
                                          events_room, events_scan, events_start, events_t, events_unpack, found_t)
from mflow_core.problems.problem cimport Callback, raise_or
from mflow_core.types cimport mf_accel_fn, mf_rhs_fn

import numpy as np

from mflow_core.problems.sparse import plain_array
from mflow_core.problems.signatures import FORCE_SIGNATURE, RHS_SIGNATURE, compiled_address

cnp.import_array()

cdef extern from "Python.h":
    void Py_DECREF "Py_DecRef"(PyObject *)

cdef enum:
    ROOM_BYTES = 262144                  # states found are collected by the driver when these are full


# ---- Python functions -------------------------------------------------------------------------------------------------------------------

def _number(value):
    """What an event returned as a float."""
    array = plain_array(value, "events")
    if array.dtype.kind == "b":
        raise TypeError("events: expected a real number, got a bool, which never changes sign; return a number that passes through zero")
    if array.size != 1 or array.dtype.kind not in "iuf":
        raise TypeError(f"events: expected a single real number from an event, got {type(value).__name__} of shape {array.shape} and dtype "
                        f"{array.dtype}")
    return float(array.item())


cdef int evaluate_python(Callback c, double t, const double *y, double *g) except -1:
    cdef PyObject *result
    memcpy(c.buffer, y, c.n * sizeof(double))
    c.nfev += 1
    result = c.call(<PyObject *> c.fun, t)
    try:
        g[0] = <object> result if type(<object> result) is float else _number(<object> result)
    finally:
        Py_DECREF(result)
    return 0


# The exception must stay set when this returns, so it calls through a pointer that promises Cython nothing was raised.
ctypedef int (*quiet_event)(Callback, double, const double *, double *) noexcept


cdef int call_event(double t, const double *y, double *g, ptrdiff_t n, void *ctx) noexcept with gil:
    return (<quiet_event> evaluate_python)(<Callback> ctx, t, y, g)


cdef int dense_python(tuple door, double theta, double *y) except -1:
    fun, n = door
    array = np.ascontiguousarray(fun(theta), dtype=np.float64)
    if array.size != n:
        raise ValueError(f"dense: expected a function that returns {n} numbers, got {array.size}")
    memcpy(y, cnp.PyArray_DATA(<cnp.ndarray> array), array.size * sizeof(double))
    return 0


ctypedef int (*quiet_dense)(tuple, double, double *) noexcept


cdef int call_dense(double theta, double *y, void *ctx) noexcept with gil:
    return (<quiet_dense> dense_python)(<tuple> ctx, theta, y)


cdef int call_pair(double t, const double *y, double *g, ptrdiff_t n, void *ctx) noexcept nogil:
    """A compiled event of (t, x, v), of x and v one after the other."""
    cdef pair_t *pair = <pair_t *> ctx
    return pair.fun(t, y, y + n // 2, g, n // 2, pair.ctx)


def of_motion(fun):
    """event(t, x, v, *args) as a function of (t, y), y of x and v one after the other."""
    return lambda t, y, *args: fun(t, y[0], y[1], *args)


# ---- the events as Python sees them -----------------------------------------------------------------------------------------------------

STOP, FULL, NOT_FINITE, REFUSED = EVENT_STOP, EVENT_FULL, EVENT_NAN, EVENT_REFUSED
ACT, ZENO, BAD_ACTION = EVENT_ACT, EVENT_ZENO, EVENT_ACTION


cdef class Events:
    """Events of one run.

    specs : list of (function, stop_after, direction, samples, action), checked (`mflow.integrate.control.check_events` makes them).
        A function is ``event(t, y, *args)`` -> float, or a compiled one with the signature of a right-hand side that puts its value
        into the first number of its output. An action (or None) makes the state behind the root: see actions.pyx.
    shape : the state's.
    motion : they watch x and v, ``event(t, x, v, *args)``, or compiled with the signature of a force; states found are (2, *shape).
    """

    def __cinit__(self, list specs, tuple shape, tuple args=(), bint motion=False):
        cdef ptrdiff_t n = 1
        cdef int64_t room
        self.motion = motion
        if motion:
            shape = (2, *shape)
        for length in shape:
            n *= length
        self.shape, self.callbacks, self.chunks, self.owner, self.compiled = shape, [], [], [], True
        memset(&self.c, 0, sizeof(events_t))
        self.c.count, self.c.n = len(specs), n
        self.c.one = <event_t *> PyMem_Calloc(max(len(specs), 1), sizeof(event_t))
        self.pairs = <pair_t *> PyMem_Calloc(max(len(specs), 1), sizeof(pair_t))
        self.actions = <pair_t *> PyMem_Calloc(max(len(specs), 1), sizeof(pair_t))
        if self.c.one == NULL or self.pairs == NULL or self.actions == NULL:
            raise MemoryError()
        for j, (fun, stop_after, direction, samples, action) in enumerate(specs):
            self.attach(j, fun, args)
            self.c.one[j].stop_after, self.c.one[j].direction, self.c.one[j].samples = stop_after, direction, samples
            self.c.one[j].quick = -1
            self.c.per_step += samples + 1   # one by a jump
            if action is not None:
                self.attach_action(j, action, args)
                self.c.per_step += PROBES
        room = max(self.c.per_step, min(4096, ROOM_BYTES // (8 * max(n, 1))))
        self.reserve(room)

    cdef int attach(self, int j, fun, tuple args) except -1:
        cdef Callback callback
        address = compiled_address(fun, f"events[{j}]", FORCE_SIGNATURE if self.motion else RHS_SIGNATURE)
        self.owner.append(fun)
        if address is not None:
            if args:
                raise TypeError(f"events[{j}]: expected no args for a compiled function, got {args!r}; put its data into its user data")
            if self.motion:
                self.pairs[j].fun, self.pairs[j].ctx = <mf_accel_fn> <size_t> address[0], <void *> <size_t> address[1]
                self.c.one[j].value, self.c.one[j].ctx = <mf_rhs_fn> call_pair, &self.pairs[j]
            else:
                self.c.one[j].value, self.c.one[j].ctx = <mf_rhs_fn> <size_t> address[0], <void *> <size_t> address[1]
            return 0
        if not callable(fun):
            raise TypeError(f"events[{j}]: expected a function, got {type(fun).__name__}")
        callback = Callback(of_motion(fun) if self.motion else fun, None, self.shape, args, 0, False)       # mode 0: called with t and y
        self.callbacks.append(callback)
        self.c.one[j].value, self.c.one[j].ctx = <mf_rhs_fn> call_event, <void *> callback
        self.compiled = False
        return 0

    cdef int attach_action(self, int j, action, tuple args) except -1:
        cdef Action act
        cdef event_t *one = &self.c.one[j]
        address = compiled_address(action, f"events[{j}].action", FORCE_SIGNATURE if self.motion else RHS_SIGNATURE)
        self.c.acts = True
        self.owner.append(action)
        if address is not None:
            if self.motion:
                self.actions[j].fun, self.actions[j].ctx = <mf_accel_fn> <size_t> address[0], <void *> <size_t> address[1]
                one.act, one.act_ctx = <mf_rhs_fn> call_pair_action, &self.actions[j]
            else:
                one.act, one.act_ctx = <mf_rhs_fn> <size_t> address[0], <void *> <size_t> address[1]
            return 0
        act = Action(action, self.shape, args, j, self.motion)
        self.callbacks.append(act)
        one.act, one.act_ctx = <mf_rhs_fn> call_action, <void *> act
        self.compiled = False
        return 0

    cdef int reserve(self, int64_t room) except -1:
        """The arrays: what a scan needs, and rows for what is found."""
        cdef double *at
        cdef int j
        try:
            blocks = [np.empty(max(self.c.per_step + self.c.count + 4 * self.c.n + 1, 1)), np.empty(room), np.empty((room, self.c.n)),
                      np.empty(room, dtype=np.int64), np.empty(max(self.c.per_step, 1) * sizeof(found_t), dtype=np.uint8)]
            if self.c.acts:
                blocks.append(np.empty((room, self.c.n)))
        except (MemoryError, ValueError):
            raise MemoryError(f"events: no memory for {room} states of {self.c.n} numbers: lower samples") from None
        self.owner.append(blocks)
        at = <double *> cnp.PyArray_DATA(<cnp.ndarray> blocks[0])
        self.c.y, self.c.moved, self.c.after, self.c.out = at, at + self.c.n, at + 2 * self.c.n, at + 3 * self.c.n
        at += 4 * self.c.n + 1
        for j in range(self.c.count):
            self.c.one[j].g = at
            at += self.c.one[j].samples + 1
        self.c.found_t = <double *> cnp.PyArray_DATA(<cnp.ndarray> blocks[1])
        self.c.found_y = <double *> cnp.PyArray_DATA(<cnp.ndarray> blocks[2])
        self.c.found_which = <int64_t *> cnp.PyArray_DATA(<cnp.ndarray> blocks[3])
        self.c.step = <found_t *> cnp.PyArray_DATA(<cnp.ndarray> blocks[4])
        if self.c.acts:
            self.c.found_after = <double *> cnp.PyArray_DATA(<cnp.ndarray> blocks[5])
        self.c.room = room
        return 0

    def __dealloc__(self):
        PyMem_Free(self.c.one)
        PyMem_Free(self.pairs)
        PyMem_Free(self.actions)

    @property
    def acts(self):
        """Whether any of them has an action."""
        return self.c.acts

    @property
    def numbers(self):
        """How many numbers `pack` has of each."""
        return event_numbers(&self.c)

    @property
    def count(self):
        return self.c.count

    @property
    def calls(self):
        """Evaluations of all events together."""
        return self.c.calls

    @property
    def hits(self):
        """How often each was met."""
        return [self.c.one[j].hits for j in range(self.c.count)]

    @property
    def stopped(self):
        """(number of the terminal event, t, state) after a scan returned STOP, until the next one."""
        y = np.empty(self.shape)
        memcpy(cnp.PyArray_DATA(<cnp.ndarray> y), self.c.found_y + self.c.stop_row * self.c.n, self.c.n * sizeof(double))
        return self.c.stop_which, self.c.stop_t, y

    @property
    def failure(self):
        """In words, why a scan or an action ended in NOT_FINITE, REFUSED or BAD_ACTION."""
        function = f"event {self.c.bad_which}" if self.c.bad_which >= 0 else "the continuous extension"
        where = f"{function} at t = {self.c.bad_t:g}"
        if self.c.bad_code != 0:
            return f"{where} returned the code {self.c.bad_code}"
        return f"{where} is {self.c.bad_value:g}: an event must be finite wherever the solution goes"

    @property
    def bad_action(self):
        """In words, what is wrong with what an action returned."""
        where = f"the action of event {self.c.bad_which} at t = {self.c.bad_t:g}"
        if self.c.bad_code != 0:
            return f"{where} returned the code {self.c.bad_code}"
        return f"{where} returned {self.c.bad_value:g} in component {self.c.bad_index}: the state behind an event must be finite"

    @property
    def endless(self):
        """(event, t) that is met without end, where a scan or an action ended in ZENO."""
        return self.c.bad_which, self.c.bad_t

    cpdef int collect_rows(self) except -1:
        """Takes the rows found so far out of the core's buffers, which are empty then."""
        cdef int64_t rows = self.c.n_found
        if rows:
            which, t, y = np.empty(rows, dtype=np.int64), np.empty(rows), np.empty((rows, self.c.n))
            memcpy(cnp.PyArray_DATA(<cnp.ndarray> which), self.c.found_which, rows * sizeof(int64_t))
            memcpy(cnp.PyArray_DATA(<cnp.ndarray> t), self.c.found_t, rows * sizeof(double))
            memcpy(cnp.PyArray_DATA(<cnp.ndarray> y), self.c.found_y, rows * self.c.n * sizeof(double))
            after = np.empty((rows if self.c.acts else 0, self.c.n))
            if self.c.acts:
                memcpy(cnp.PyArray_DATA(<cnp.ndarray> after), self.c.found_after, rows * self.c.n * sizeof(double))
            self.chunks.append((which, t, y, after))
            self.c.n_found = self.c.act_from = 0
        return 0

    def restore_rows(self, which, t, y, after=None):
        """What `found` and `behind` gave when the state was saved."""
        rows = len(which)
        self.c.n_found = 0
        behind = np.empty((0, self.c.n)) if after is None else after.reshape(rows, self.c.n).copy()
        self.chunks = [(which.copy(), t.copy(), y.reshape(rows, self.c.n).copy(), behind)] if rows else []

    cdef tuple joined(self):
        self.collect_rows()
        if not self.chunks:
            return np.empty(0, dtype=np.int64), np.empty(0), np.empty((0, self.c.n)), np.empty((0, self.c.n))
        self.chunks = [tuple(np.concatenate(parts) for parts in zip(*self.chunks))]
        return self.chunks[0]

    @property
    def found(self):
        """(numbers, times, states) of all events met so far, in order: shapes (k,), (k,) and (k, *shape)."""
        which, t, y, _ = self.joined()
        return which.copy(), t.copy(), y.reshape(len(which), *self.shape).copy()

    @property
    def behind(self):
        """States behind the actions of `found`, (k, *shape); those found where an event does not act; (0, *shape) where none does."""
        after = self.joined()[3]
        return after.reshape(len(after), *self.shape).copy()

    @property
    def t_events(self):
        """As SciPy's: for each event the times, (k,)."""
        which, t, _ = self.found
        return [t[which == j] for j in range(self.c.count)]

    @property
    def y_events(self):
        """As SciPy's: for each event the states, (k, *shape), or (0,) where it was never met."""
        which, _, y = self.found
        return [y[which == j] if np.any(which == j) else np.empty(0) for j in range(self.c.count)]

    @property
    def y_after(self):
        """For each event the states behind its action, (k, *shape), or (0,) where it has none, or was never met."""
        which, after = self.found[0], self.behind
        return [after[which == j] if self.c.one[j].act != NULL and np.any(which == j) else np.empty(0) for j in range(self.c.count)]

    def pack(self):
        """(count, numbers) float64: hits, sign and last value of each, what `unpack` needs to go on with the same bits."""
        state = np.zeros((self.c.count, self.numbers))
        events_pack(&self.c, <double *> cnp.PyArray_DATA(<cnp.ndarray> state))
        return state

    def unpack(self, state):
        """Puts the events where `pack` was called. Raises ValueError, and changes nothing, where the numbers are not its."""
        array = np.ascontiguousarray(state, dtype=np.float64)
        if array.shape != (self.c.count, self.numbers) or events_unpack(&self.c, <double *> cnp.PyArray_DATA(<cnp.ndarray> array)) != 0:
            raise ValueError(f"events: expected the saved state of {self.c.count} events, got one that is damaged or of other events")

    def start_at(self, double t0, y0):
        """The status of evaluating every event at a start."""
        at = self.state(y0)
        return raise_or(events_start(&self.c, t0, <double *> cnp.PyArray_DATA(<cnp.ndarray> at)))

    def jump_at(self, double t, y):
        """The status of a change of the state at t, to y: STOP or ACT where it has crossed an event that is terminal, or acts."""
        at = self.state(y)
        self.collect_rows()
        return raise_or(events_jump(&self.c, t, <double *> cnp.PyArray_DATA(<cnp.ndarray> at)))

    def finish_at(self, double t, y):
        """The status of ending the run at t."""
        at = self.state(y)
        self.collect_rows()
        return raise_or(events_finish(&self.c, t, <double *> cnp.PyArray_DATA(<cnp.ndarray> at)))

    def act_at(self, double t):
        """(status, the state behind the actions) after a scan, `jump_at` or `finish_at` returned ACT; every event is looked at there."""
        cdef int status = events_act(&self.c, t), behind
        y = np.empty(self.shape)
        memcpy(cnp.PyArray_DATA(<cnp.ndarray> y), self.c.after, self.c.n * sizeof(double))
        if status >= 0:
            behind = events_behind(&self.c, t)
            status = behind if behind != 0 else status
        return raise_or(status), y

    def scan_function(self, dense, double t0, double t1):
        """The status of scanning a step from t0 to t1 whose continuous extension is dense(theta); for tests, and for other hosts."""
        door = (dense, self.c.n)
        if t0 == t1:
            raise ValueError(f"t1: expected a time other than t0 = {t0!r}, got {t1!r}")
        if not events_room(&self.c):
            self.collect_rows()
        return raise_or(events_scan(&self.c, t0, t1, t1 - t0, call_dense, <void *> door))

    cdef object state(self, y):
        at = np.ascontiguousarray(y, dtype=np.float64)
        if at.size != self.c.n:
            raise ValueError(f"y: expected {self.c.n} numbers, got {at.size}")
        return at
