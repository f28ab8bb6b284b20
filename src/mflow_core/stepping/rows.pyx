"""`Rows`: where a run writes its states, for Python."""
from libc.stdint cimport int64_t
from libc.string cimport memset

cimport numpy as cnp

from mflow_core.events.events cimport Events

cnp.import_array()


cdef class Rows:
    """Where a run writes its states: arrays of the caller's, filled from their first row on.

    t and y (a row a state, n numbers each) take every k-th step, or the states at the times `at`; D (n_D vectors of n numbers a row,
    where every step is kept) its continuous extension. events: `Events`, or None. In second order a row of y holds x, v and a, 3 n
    numbers; energy takes the six columns of ledger.pyx.
    """

    def __cinit__(self, cnp.ndarray y=None, cnp.ndarray t=None, cnp.ndarray D=None, int64_t every=0, cnp.ndarray at=None, Events events=None,
                  cnp.ndarray energy=None):
        memset(&self.c, 0, sizeof(record_t))
        self.y, self.t, self.D, self.at, self.events, self.energy = y, t, D, at, events, energy
        self.needs_dense = D is not None or at is not None
        if events is not None:
            self.c.events = &events.c
        if at is not None:
            self.c.at, self.c.n_at = <double *> cnp.PyArray_DATA(at), cnp.PyArray_SIZE(at)
        else:
            self.c.every = every
        if y is not None:
            self.c.y, self.c.t, self.c.room = <double *> cnp.PyArray_DATA(y), <double *> cnp.PyArray_DATA(t), cnp.PyArray_SIZE(t)
        if D is not None:
            self.c.D, self.c.n_D = <double *> cnp.PyArray_DATA(D), cnp.PyArray_DIM(D, 1)
        if energy is not None:
            self.c.energy = <double *> cnp.PyArray_DATA(energy)

    @property
    def count(self):
        """Rows written."""
        return self.c.rows

    @count.setter
    def count(self, int64_t rows):
        self.c.rows = rows

    @property
    def done(self):
        """How many of the times `at` are behind."""
        return self.c.i_at

    @done.setter
    def done(self, int64_t times):
        self.c.i_at = times
