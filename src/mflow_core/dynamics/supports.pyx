"""Compiled functions of all degrees of freedom, for a run of those alone that move.

It makes a capsule whose function has the signature of the one that it was given: it puts what moves among what is held, calls, and hands back the
part of what moves. The capsule owns all it needs; the buffers are those of one run.
"""
from cpython.object cimport PyObject
from cpython.pycapsule cimport PyCapsule_GetContext, PyCapsule_New, PyCapsule_SetContext
from cpython.ref cimport Py_DECREF, Py_INCREF
from libc.stddef cimport ptrdiff_t
from libc.stdlib cimport free
from libc.string cimport memcpy

cimport numpy as cnp

from mflow_core.arithmetic.memory cimport mf_zeros
from mflow_core.dynamics.loads cimport load_fn
from mflow_core.types cimport mf_accel_fn

import numpy as np

from mflow_core.problems.signatures import FORCE_SIGNATURE, LOAD_SIGNATURE, POTENTIAL_SIGNATURE, compiled_address

cnp.import_array()

ctypedef int (*potential_fn)(double t, const double *x, double *value, ptrdiff_t n, void *ctx) noexcept nogil


ctypedef struct whole_t:
    ptrdiff_t n, all                     # what moves, and everything
    ptrdiff_t *moving                    # the number of each that moves
    double *x                            # of all: what is held stands at its place
    double *v
    double *f
    double *pull                         # what is added to a load
    void *fun
    void *ctx
    PyObject *owner


cdef inline void spread(const whole_t *w, const double *part, double *whole) noexcept nogil:
    cdef ptrdiff_t i
    for i in range(w.n):
        whole[w.moving[i]] = part[i]


cdef inline void gather(const whole_t *w, const double *whole, double *part) noexcept nogil:
    cdef ptrdiff_t i
    for i in range(w.n):
        part[i] = whole[w.moving[i]]


cdef int whole_force(double t, const double *x, const double *v, double *f, ptrdiff_t n, void *ctx) noexcept nogil:
    cdef whole_t *w = <whole_t *> ctx
    cdef int status
    spread(w, x, w.x)
    spread(w, v, w.v)
    status = (<mf_accel_fn> w.fun)(t, w.x, w.v, w.f, w.all, w.ctx)
    gather(w, w.f, f)
    return status


cdef int whole_event(double t, const double *x, const double *v, double *g, ptrdiff_t n, void *ctx) noexcept nogil:
    cdef whole_t *w = <whole_t *> ctx
    cdef int status
    spread(w, x, w.x)
    spread(w, v, w.v)
    w.f[0] = g[0]
    status = (<mf_accel_fn> w.fun)(t, w.x, w.v, w.f, w.all, w.ctx)
    g[0] = w.f[0]
    return status


cdef int whole_load(double t, double *f, ptrdiff_t n, void *ctx) noexcept nogil:
    cdef whole_t *w = <whole_t *> ctx
    cdef ptrdiff_t i
    cdef int status = (<load_fn> w.fun)(t, w.f, w.all, w.ctx)
    for i in range(w.all):
        w.f[i] = w.f[i] + w.pull[i]
    gather(w, w.f, f)
    return status


cdef int whole_potential(double t, const double *x, double *value, ptrdiff_t n, void *ctx) noexcept nogil:
    cdef whole_t *w = <whole_t *> ctx
    spread(w, x, w.x)
    return (<potential_fn> w.fun)(t, w.x, value, w.all, w.ctx)


cdef void release(object capsule) noexcept:
    cdef whole_t *w = <whole_t *> PyCapsule_GetContext(capsule)
    Py_DECREF(<object> w.owner)
    free(w)


NAMES = {"force": FORCE_SIGNATURE.encode(), "events": FORCE_SIGNATURE.encode(), "load": LOAD_SIGNATURE.encode(),
         "potential": POTENTIAL_SIGNATURE.encode()}


def of_all(str role, fun, moving, place, pull=None):
    """A compiled function of all degrees of freedom as one of those that move; role: "force", "events", "load" or "potential".

    moving: their numbers, in the run's order. place: n numbers, where what is held stands. pull: n numbers that are added to a load.
    """
    cdef cnp.ndarray index = np.ascontiguousarray(moving, dtype=np.intp), at = np.ascontiguousarray(place, dtype=np.float64), more
    cdef ptrdiff_t n = index.size, whole = at.size
    cdef whole_t *w
    cdef void *call = <void *> whole_force
    address = compiled_address(fun, role, NAMES[role].decode())
    if address is None:
        raise TypeError(f"{role}: expected a compiled function, got {type(fun).__name__}")
    w = <whole_t *> mf_zeros(1, sizeof(whole_t) + (4 * whole + 4) * sizeof(double) + n * sizeof(ptrdiff_t))
    if w == NULL:
        raise MemoryError(f"{role}: no memory for {whole} degrees of freedom")
    w.x = <double *> (w + 1)
    w.v, w.f, w.pull, w.moving = w.x + whole, w.x + 2 * whole, w.x + 3 * whole + 1, <ptrdiff_t *> (w.x + 4 * whole + 2)
    w.n, w.all, w.fun, w.ctx = n, whole, <void *> <size_t> address[0], <void *> <size_t> address[1]
    memcpy(w.moving, cnp.PyArray_DATA(index), n * sizeof(ptrdiff_t))
    memcpy(w.x, cnp.PyArray_DATA(at), whole * sizeof(double))
    if pull is not None:
        more = np.ascontiguousarray(pull, dtype=np.float64)
        memcpy(w.pull, cnp.PyArray_DATA(more), whole * sizeof(double))
    if role == "events":
        call = <void *> whole_event
    elif role == "load":
        call = <void *> whole_load
    elif role == "potential":
        call = <void *> whole_potential
    w.owner = <PyObject *> fun
    Py_INCREF(fun)
    capsule = PyCapsule_New(call, <const char *> NAMES[role], release)
    PyCapsule_SetContext(capsule, w)
    return capsule
