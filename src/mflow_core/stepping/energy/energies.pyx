"""`Energies`: the ledger of a second-order run, for Python. What it books is in ledger.pyx."""
from libc.stddef cimport ptrdiff_t

cimport numpy as cnp

from mflow_core.methods.second_order.hooks cimport MF_LISTENS, MF_TELLS
from mflow_core.registry cimport mf_sizes_of
from mflow_core.stepping.energy.ledger cimport (LEDGER_COLUMNS, NUMERICAL_ENDS, NUMERICAL_NEWMARK, NUMERICAL_NONE, ledger_make, ledger_part,
                                                ledger_release, ledger_row, ledger_start, ledger_t)
from mflow_core.stepping.run cimport run_enter, run_leave
from mflow_core.stepping.stepper cimport Run, raise_or
from mflow_core.types cimport MF_IMPLICIT, MF_VELOCITY_FREE, mf_method, mf_sizes

import numpy as np

from mflow_core.stepping.probe import ends_in_balance

cnp.import_array()


cdef class Energies:
    """The energies of a run. The ledger itself belongs to the run: any number of these look at the same one.

    Six numbers: kinetic, potential, work of the load, damping, what steps added (below 0: dissipated; NaN: no formula) and residual.
    """
    cdef Run run

    def __cinit__(self, Run run not None):
        self.run = run

    def keep(self):
        """From here on a ledger is kept; the status. The problem must tell its energies. Empties the accounts of a ledger that is kept."""
        cdef int status
        self.need_energies()
        status = self.run.prepare()
        if status != 0:
            return status
        self.open()
        raise_or(run_enter(self.run.r))
        try:
            return raise_or(ledger_start(self.run.r.ledger, self.run.r.t, <const double *const *> self.run.r.now))
        finally:
            run_leave(self.run.r)

    cdef int need_energies(self) except -1:
        if self.run.r.inner.energy == NULL:
            raise TypeError("energy: expected a problem that tells its energies")
        return 0

    def open(self):
        """A ledger without accounts: `keep`, or `unpack` of the run, fills them."""
        cdef mf_sizes sizes
        cdef double[4] c
        cdef int formula = NUMERICAL_NONE
        cdef bint apart = False, free_of_v, tells
        self.need_energies()
        r, problem = self.run.r, self.run.problem
        problem.look(r.t, self.run.vector(0), self.run.vector(1), r.dt)
        mf_sizes_of(r.m, r.par, &sizes)
        free_of_v = r.inner.flags & MF_VELOCITY_FREE
        c[0] = c[1] = c[2] = c[3] = 0.0
        if sizes.n_coef == 4:
            r.m.begin(r.m, r.par, 0, NULL, c)
        if problem.energy_whole and (c[2] != 0.0 or c[3] != 0.0):
            apart = sizes.n_vec > 3          # alpha methods, which carry M^-1 F beside a
            formula = NUMERICAL_ENDS if apart else NUMERICAL_NONE
        elif problem.energy_whole and c[1] == 0.5 and (r.m.flags & MF_IMPLICIT or free_of_v):
            formula = NUMERICAL_NEWMARK
        elif problem.energy_whole and ends_in_balance(self.run.record, self.parameters(), free_of_v):
            formula = NUMERICAL_ENDS
        tells = formula == NUMERICAL_NEWMARK and r.inner.flags & MF_LISTENS
        raise_or(run_enter(r))
        ledger_release(r.ledger)
        r.ledger = ledger_make(r.inner.energy, problem.energy_inertia, r.inner.ctx, r.n, formula, c[0], problem.energy_each_step, apart, tells)
        if tells:
            r.p.flags = r.p.flags | MF_TELLS
        run_leave(r)
        if r.ledger == NULL:
            raise MemoryError(f"no memory for a ledger of {r.n} components")

    cdef tuple parameters(self):
        cdef const mf_method *m = self.run.r.m
        return tuple([((<bytes> m.par[j].name).decode(), self.run.r.par[j]) for j in range(m.n_par)])

    cdef ledger_t *ledger(self) except NULL:
        if self.run.r.ledger == NULL:
            raise TypeError("energy: expected a run with a ledger; call keep first")
        return self.run.r.ledger

    def now(self):
        """The energies of the present state, accounts since `keep`."""
        cdef cnp.ndarray out = np.empty(LEDGER_COLUMNS)
        cdef ledger_t *ledger = self.ledger()
        cdef int status
        raise_or(run_enter(self.run.r))
        try:
            status = raise_or(ledger_row(ledger, self.run.r.t, <const double *const *> self.run.r.now, <double *> cnp.PyArray_DATA(out)))
        finally:
            run_leave(self.run.r)
        if status != 0:
            raise RuntimeError("energy: a callback failed")
        return out

    def inside(self, double t0, cnp.ndarray x0, cnp.ndarray v0, cnp.ndarray a0, double t, cnp.ndarray x, cnp.ndarray v, before):
        """The energies of a state inside a step that began at t0 with the energies `before`, whatever the run's present state is."""
        cdef ledger_t part = self.ledger()[0]
        cdef const double *start[4]
        cdef const double *inside[3]
        cdef cnp.ndarray a, out = np.empty(LEDGER_COLUMNS), states
        cdef ptrdiff_t n = self.run.r.n
        cdef int status
        a = self.run.acceleration(t, x, v)
        phi = self.run.acceleration(t0, x0, v0) if part.apart else a0
        states = np.stack([np.asarray(one, dtype=np.float64).reshape(-1) for one in (x0, v0, a0, phi, x, v)])
        start[0] = <const double *> cnp.PyArray_DATA(states)
        start[1], start[2], start[3] = start[0] + n, start[0] + 2 * n, start[0] + 3 * n
        inside[0], inside[1], inside[2] = start[0] + 4 * n, start[0] + 5 * n, <const double *> cnp.PyArray_DATA(a)
        status = ledger_start(&part, t0, start)
        if status == 0:
            status = ledger_part(&part, t0, start, t, inside, t - t0)
        if status == 0:
            status = ledger_row(&part, t, inside, <double *> cnp.PyArray_DATA(out))
        if raise_or(status) != 0:
            raise RuntimeError("energy: a callback failed")
        out[2:] += before[2:]                # what was booked before this step
        return out
