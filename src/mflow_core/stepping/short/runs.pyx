"""Runs of a few steps, every state of which is kept, in few calls: most of what such a run costs are calls from Python."""
from cpython.exc cimport PyErr_CheckSignals
from libc.math cimport NAN
from libc.stdint cimport int64_t

cimport numpy as cnp

from mflow_core.stepping.energy.ledger cimport LEDGER_COLUMNS
from mflow_core.stepping.rows cimport Rows
from mflow_core.stepping.stepper cimport Run
from mflow_core.stepping.watch.asked cimport look_for_poles, look_for_walls
from mflow_core.types cimport MF_SECOND_ORDER

cnp.import_array()


def rows_of(Run run not None, Py_ssize_t steps, bint energies=False):
    """(rows, y, t, e): `Rows` for so many steps and the start, and the arrays that they fill; a row of y is that of `Rows`. e: that of
    energies, NaN until it is filled; None where they are not asked for."""
    cdef Rows rows
    cdef cnp.ndarray e = None
    cdef cnp.npy_intp[2] dims
    cdef Py_ssize_t i
    dims[0], dims[1] = steps + 1, run.r.n * (3 if run.r.m.flags & MF_SECOND_ORDER else 1)
    y, t = cnp.PyArray_SimpleNew(2, dims, cnp.NPY_DOUBLE), cnp.PyArray_SimpleNew(1, dims, cnp.NPY_DOUBLE)
    if energies:
        dims[1] = LEDGER_COLUMNS
        e = cnp.PyArray_SimpleNew(2, dims, cnp.NPY_DOUBLE)
        for i in range((steps + 1) * LEDGER_COLUMNS):
            (<double *> cnp.PyArray_DATA(e))[i] = NAN
    rows = Rows(y, t, None, 1, None, None, e)
    return rows, y, t, e


def control(Run run not None, cnp.ndarray rtol, cnp.ndarray atol, double limit, double poles):
    """Error control, and all that looks in passing ask of such a run. limit : see `Run.look_for_stiffness`. poles : see `look_for_poles`."""
    run.control(rtol, atol)
    run.look_for_stiffness(limit)
    look_for_walls(run)
    look_for_poles(run, poles)


def go(Run run not None, Rows rows not None, double t_end, int64_t steps, bint adaptive):
    """(began, status): what its start, and its steps to t_end, `steps` of them at most, have ended with; 0: well. The start is in the first
    row."""
    cdef int began = 0, status = 0
    run.write(rows)
    if run.r.t != t_end and adaptive:
        began = run.begin(t_end)
    while began == 0 and status == 0 and run.r.t != t_end and run.r.k < steps:
        status = run.go(steps - run.r.k, t_end, rows, NAN, adaptive, True, NULL, NULL)
        PyErr_CheckSignals()
    return began, status
