"""`Legs`: a run of two methods, an explicit pair and an implicit one, in legs: the one goes on where the other should not.

Both are runs (run_t) of the same problem, and one of them is the active one, which is all that `Run` knows of. A leg ends for a definite
reason (`run_watch`, `run_doubt`): the explicit pair is held at its stability limit, or has to shorten its first step again and again; or
the implicit method's steps are such as the other could take, or take more evaluations than the explicit ones before. Or it ends where its
method cannot go on; then the other goes on from there, once. The other run begins anew at the state where the leg ended, with the next step
of error control (an explicit one within the explicit limit); counts go on.

A leg costs the explicit pair one slope to begin, and the implicit method a Jacobian. How many steps in a row it takes to end one doubles
with each leg of less than SOON steps, and halves with each longer one, so that legs do not alternate for ever. A leg that was begun as a try
(`look_for_try`) counts for tries alone: where the first one is lost, in what swings at the start, the looks that come later are as good as before.
"""
from libc.math cimport INFINITY, NAN, copysign, fabs
from libc.stdint cimport int64_t
from libc.stdlib cimport free
from libc.string cimport memcpy

cimport numpy as cnp

from mflow_core.registry cimport MethodRecord
from mflow_core.solvers.matrix cimport BANDED, BY_DIFFERENCES, DENSE, IDENTITY, KRYLOV, SPARSE, matrix_config_t
from mflow_core.solvers.newton cimport newton_forget
from mflow_core.solvers.stages.resumed cimport newton_pack, newton_state_size, newton_unpack
from mflow_core.solvers.solver cimport Solver
from mflow_core.stepping.legs.handover cimport ALONE, FEW, TURNING
from mflow_core.stepping.rows cimport Rows
from mflow_core.stepping.run cimport (LEG_OVER, RUN_CONTROL, RUN_DENSE, RUN_LEAPS, RUN_SOLVE, evaluations, has_mass, leg_t, run_enter,
                                      run_guard, run_leave, run_make, run_release, run_restart, run_solve_with, run_t, run_tolerances)
from mflow_core.stepping.starts cimport run_begin
from mflow_core.stepping.stepper cimport Run, raise_or
from mflow_core.types cimport MF_E_NON_FINITE, MF_E_SOLVE, MF_E_STEP, MF_MULTISTEP, MF_RETRY_NON_FINITE, MF_RETRY_SOLVE

import zlib

import numpy as np

cnp.import_array()

STIFF, MILD, FAILED, REFUSED, SLOW = 1, 0, 2, 3, 4    # why a leg ended: its turns are (why, t, step, h |lambda|)

cdef enum:
    LOOKS = 3                            # steps in a row at the stability limit that end a leg
    CALM = 5                             # and implicit ones within it
    SOON = 32
    MOST = 256
    FIFTH = 5
    SETTLED = 12                         # explicit steps, from which on what they take says what others would
    NUMBERS = 31                         # of the state beside that of the active run

cdef double WORTH = 8.0                  # explicit steps that a leg of the other method costs, without the Jacobian
cdef double STAGES = 6.0                 # of an explicit step
cdef double MILDER = 0.35                # of the explicit stability limit: what an implicit step must be within
cdef double HELD = 0.3                   # of the limit, for the pair of order 8: order reduction holds it at a third, where the other costs less
cdef double CLOSE = 0.5                  # of MILDER, for that pair
cdef double CHEAP = 0.4                  # of that for a multistep method, whose steps take some two evaluations each, the pair's 6 or 12
# Evaluations by which an implicit leg may fall behind the explicit one, beside a part LOSS_OF of all so far. Measured as in handover.pyx: 16
# problems with these values, with LOSS = 50 19, with 12 20, and 82 times, as legs end before their steps have grown. LOSS_OF = 0: 23 for 20.
cdef double LOSS = 25.0
cdef double LOSS_OF = 0.1
cdef double BELIEVED = 2.5               # of what explicit steps at the limit take, at most, of a leg of few steps. No bound: 22
cdef double FIRST = 0.9                  # of it: the first explicit step, at most


cdef class Legs(Run):
    """A run that begins with the explicit pair it is made with; `partner` gives it the implicit method, before the first step."""
    cdef run_t *calm                     # the explicit run, and the other; `r` is the active one
    cdef run_t *stiff
    cdef readonly MethodRecord partner_record
    cdef bint calm_compiled, stiff_compiled
    cdef double edge
    cdef int64_t since, tried, patience  # since: where the leg began; tried: the step at which a failure was handed over; -1: none
    cdef int64_t[2] taken                # steps in legs that are over: explicit, implicit
    cdef bint is_try                     # whether the leg at hand is a try
    cdef list log

    def __dealloc__(self):
        if self.stiff != NULL:
            run_release(self.other())

    def partner(self, MethodRecord record, dict parameters, Solver solver):
        """The implicit method, and what solves its equations."""
        cdef const double *start[8]
        cdef double *par
        cdef int status = 0
        par = record.parameters(parameters or {})
        start[0] = self.r.now[0]
        self.stiff = run_make(record.m, &self.problem.c, par, self.r.t, NAN, start, (self.r.flags & (RUN_DENSE | RUN_CONTROL | RUN_LEAPS)) | RUN_SOLVE,
                              &status)
        free(par)
        if self.stiff == NULL:
            raise MemoryError(f"no memory for {record.name} with {self.problem.c.n} components")
        self.stiff.leaps = self.r.leaps      # what the one has looked at the other need not
        self.calm, self.partner_record, self.solver, self.log = self.r, record, solver, []
        self.since, self.tried, self.patience, self.calm.leg.try_patience = 0, -1, 1, 1
        self.calm.leg.pace = self.calm.leg.cap = INFINITY
        run_guard(self.stiff, self.problem.inside)
        if not run_solve_with(self.stiff, solver.attach(&self.stiff.ode, self.problem.jac, self.problem.jac_ctx)):
            raise MemoryError(f"no memory to solve the equations of {record.name} with {self.problem.c.n} components")
        solver.held = True
        self.calm_compiled = self.compiled
        self.stiff_compiled = self.compiled and self.problem.jac_callback is None and not solver.python

    # ---- what goes to both ----------------------------------------------------------------------------------------------------------------

    def control(self, cnp.ndarray rtol, cnp.ndarray atol, double max_step=INFINITY, double min_step=0.0):
        """As of `Run`, for both."""
        Run.control(self, rtol, atol, max_step, min_step)
        run_tolerances(self.stiff, <double *> cnp.PyArray_DATA(rtol), <double *> cnp.PyArray_DATA(atol), cnp.PyArray_SIZE(rtol))
        self.stiff.c.max_step, self.stiff.c.min_step = max_step, min_step

    def look_for_stiffness(self, double limit, double turning=0.0):
        """As of `Run`; limit: of the explicit pair. turning : the same for what turns while it decays, if it is not that."""
        cdef bint eighth = self.calm.m.order > FIFTH
        Run.look_for_stiffness(self, limit)
        self.calm.c.edge *= HELD if eighth else 1.0
        self.calm.leg.limit = self.calm.c.edge * (turning / limit if turning > 0.0 else 1.0)
        self.edge, self.stiff.leg.limit = self.calm.c.edge, (CLOSE * MILDER if eighth else MILDER) * limit
        if self.stiff.m.flags & MF_MULTISTEP:
            self.stiff.leg.limit *= CHEAP * (0.5 if eighth else 1.0)
        self.calm.leg.tries_other = not eighth and not self.stiff.m.flags & MF_MULTISTEP
        self.stiff.leg.at_limit = (2.0 if eighth else 1.0) * STAGES / ((CLOSE if eighth else 1.0) * limit)
        self.calm.leg.worth = WORTH + <double> self.differences() / STAGES
        self.set_patience(self.patience)

    cdef void set_patience(self, int64_t patience) noexcept:
        self.patience = patience
        self.calm.leg.most, self.stiff.leg.most = LOOKS * patience, CALM * patience

    cdef ptrdiff_t differences(self) noexcept:
        """Evaluations that a Jacobian takes."""
        cdef const matrix_config_t *c = &self.stiff.newton.m.c
        if c.source != BY_DIFFERENCES or c.columns != NULL or c.kind == KRYLOV or c.kind == IDENTITY:
            return 1
        if c.group != NULL:
            return c.n_groups
        return min(self.stiff.n, c.lower + c.upper + 1) if c.kind == BANDED else self.stiff.n

    def set_first_step(self, double size):
        self.calm.first_step = self.stiff.first_step = size

    @property
    def max_step(self):
        return self.r.c.max_step

    @max_step.setter
    def max_step(self, double value):
        self.calm.c.max_step = self.stiff.c.max_step = value

    @property
    def degree(self):
        """Degree of the continuous extension: the greater one of both."""
        return max(self.calm.n_D, self.stiff.n_D)

    @property
    def nfev(self):
        return evaluations(self.calm, True) + evaluations(self.stiff, True)

    # ---- what both know together ----------------------------------------------------------------------------------------------------------

    @property
    def active(self):
        """The record of the method that goes on."""
        return self.partner_record if self.r == self.stiff else self.record

    @property
    def steps_taken(self):
        """Steps of the explicit pair, and of the implicit method."""
        steps = [self.taken[0], self.taken[1]]
        steps[self.r == self.stiff] += self.r.k - self.since
        return tuple(steps)

    @property
    def turns(self):
        """(why, t, step, h |lambda|) of every end of a leg: STIFF, MILD, REFUSED (a first step, again and again; NaN), SLOW (the implicit
        leg fell behind: evaluations it was ahead, below 0) or FAILED (with the
        status that the method ended with)."""
        return list(self.log)

    cdef run_t *other(self) noexcept:
        if self.stiff == NULL:
            return NULL
        return self.calm if self.r == self.stiff else self.stiff

    # ---- legs -----------------------------------------------------------------------------------------------------------------------------

    cdef int go(self, int64_t count, double t_last, Rows rows, double dt, bint adaptive, bint paced, const double *h,
                const double *ends) except? -1:
        cdef int64_t last = self.r.k + count
        cdef int status
        if not adaptive or self.stiff == NULL:
            raise TypeError(f"{self.record.name}: expected a run of two methods under error control")
        while True:
            status = Run.go(self, last - self.r.k, t_last, rows, dt, True, paced, h, ends)
            if status == LEG_OVER:
                status = self.turn(t_last, self.why_over() if self.r == self.stiff else STIFF if self.r.leg.over else REFUSED, 0)
            elif no_step_works(status) and self.tried != self.r.k:
                self.tried = self.r.k
                status = self.turn(t_last, FAILED, status)
            else:
                return status
            if status != 0:
                return status

    cdef int why_over(self) noexcept:
        return MILD if self.stiff.leg.mild >= self.stiff.leg.most else SLOW

    cdef void learn(self, bint is_try, double times) noexcept:
        """How long it takes to end a leg, or to try the other, is so many times what it was."""
        cdef int64_t most = max(1, min(<int64_t> (times * (self.calm.leg.try_patience if is_try else self.patience)), MOST))
        if is_try:
            self.calm.leg.try_patience = most
        else:
            self.set_patience(most)

    cdef int turn(self, double t_end, int why, int failure) except? -1:
        """The other method goes on from where the run stands; the status of its beginning."""
        cdef run_t *of = self.r
        cdef run_t *to = self.other()
        cdef const double *state[8]
        cdef double h = of.c.h, rate = NAN
        cdef bint is_try
        cdef int j
        if why == STIFF:
            rate = of.c.stiff_lambda * fabs(of.c.stiff_h)
        elif why == SLOW:
            rate = of.leg.saved
            h = copysign(min(fabs(h), FIRST * self.edge / of.leg.radius if of.leg.radius > 0.0 else INFINITY, STAGES / of.leg.pace), h)
        elif why == MILD:
            rate = fabs(h) * of.leg.radius
            h = copysign(min(fabs(h), FIRST * self.edge / of.leg.radius if of.leg.radius > 0.0 else INFINITY), h)
        elif why == FAILED:
            h, rate = 0.0, <double> failure
        for j in range(8):
            state[j] = NULL
        state[0] = of.now[0]
        memcpy(to.now[0], of.now[0], of.n * sizeof(double))      # it is no other state: what is known of it stays
        to.k, to.pole_k = of.k, of.pole_k
        run_restart(to, of.t, state)
        to.c.rejected, to.c.failed = of.c.rejected, of.c.failed
        to.c.edge = self.edge if to == self.calm else 0.0
        to.leg.mild = to.leg.near_limit = to.leg.tries = 0
        to.leg.over, to.leg.njev, to.leg.radius = False, -1, INFINITY
        to.leg.pace = of.leg.cost / of.leg.path if why == STIFF and of.leg.path > 0.0 and not to.m.flags & MF_MULTISTEP else INFINITY
        to.leg.cost = to.leg.path = to.leg.saved = 0.0
        to.leg.seen = evaluations(to, True)
        to.leg.cap = BELIEVED if of.k - self.since < SETTLED and to.leg.pace < INFINITY else INFINITY
        to.leg.loss = LOSS + LOSS_OF * self.nfev
        newton_forget(self.stiff.newton)
        self.taken[of == self.stiff] += of.k - self.since
        is_try = self.is_try if of == self.stiff else why == STIFF and of.c.n_stiff < of.leg.most
        if why == SLOW:
            self.learn(is_try, 4.0)          # 2: 25, measured as in handover.pyx
        elif why == STIFF or why == MILD:
            self.learn(is_try, 2.0 if of.k - self.since < SOON and self.log else 0.5)
        self.since, self.r, self.is_try = of.k, to, is_try and to == self.stiff
        self.compiled = self.stiff_compiled if to == self.stiff else self.calm_compiled
        self.log.append((why, of.t, of.k, rate))
        if fabs(t_end - to.t) < fabs(h):
            h = t_end - to.t
        raise_or(run_enter(to))
        try:
            return raise_or(run_begin(to, t_end if fabs(t_end) < INFINITY else copysign(1e300, t_end), h))
        finally:
            run_leave(to)

    # ---- saving ---------------------------------------------------------------------------------------------------------------------------

    def pack(self):
        """As of `Run`: the active run, and what there is beside it, with a checksum."""
        cdef ptrdiff_t size = newton_state_size(self.stiff.newton)
        cdef cnp.ndarray solver = np.zeros(size)
        cdef run_t *other = self.other()
        cdef double[NUMBERS] s
        newton_pack(self.stiff.newton, <double *> cnp.PyArray_DATA(solver))
        s[0], s[1], s[2], s[3], s[4] = self.r == self.stiff, self.since, self.tried, self.patience, self.taken[0]
        s[5], s[6], s[7] = self.taken[1], other.f.n_rhs, other.f.n_solve
        s[8], s[9], s[10], s[11] = self.stiff.leg.mild, self.stiff.leg.njev, self.stiff.leg.radius, self.r.leg.over
        s[12], s[13], s[14], s[15] = self.r.c.n_stiff, self.r.c.n_calm, self.r.c.n_held, self.r.c.stiff
        s[16], s[17], s[18], s[19] = self.r.c.stiff_lambda, self.r.c.stiff_h, size, len(self.log)
        s[20], s[21], s[22], s[23] = self.calm.leg.near_limit, self.r.leg.try_due, evaluations(self.r, True) - self.r.leg.seen, self.r.leg.cost
        s[24], s[25], s[26], s[27] = self.r.leg.path, self.r.leg.pace, self.r.leg.cap, self.r.leg.saved
        s[28], s[29], s[30] = self.r.leg.loss, self.is_try, self.calm.leg.try_patience
        numbers = np.concatenate([solver, np.array(self.log, dtype=np.float64).reshape(-1), [s[j] for j in range(NUMBERS)]])
        data = numbers.astype("<f8").tobytes()
        return Run.pack(self) + data + zlib.crc32(data).to_bytes(4, "little")

    def unpack(self, bytes data, bint counts=True):
        """As of `Run`."""
        numbers, core = self.read(data)
        cdef double[NUMBERS] s
        cdef run_t *before = self.r
        cdef run_t *other
        cdef ptrdiff_t size = newton_state_size(self.stiff.newton)
        cdef cnp.ndarray solver = np.ascontiguousarray(numbers[:size])
        cdef int j
        for j in range(NUMBERS):
            s[j] = numbers[numbers.size - NUMBERS + j]
        self.r, other = (self.stiff, self.calm) if s[0] else (self.calm, self.stiff)
        try:
            Run.unpack(self, core, counts)
        except ValueError:
            self.r = before
            raise
        if newton_unpack(self.stiff.newton, <double *> cnp.PyArray_DATA(solver)) != 0:
            self.r = before
            raise self.damaged()
        self.compiled = self.stiff_compiled if s[0] else self.calm_compiled
        self.since, self.tried = <int64_t> s[1], <int64_t> s[2]
        self.set_patience(<int64_t> s[3])
        self.taken[0], self.taken[1], other.f.n_rhs, other.f.n_solve = <int64_t> s[4], <int64_t> s[5], <int64_t> s[6], <int64_t> s[7]
        self.stiff.leg.mild, self.stiff.leg.njev, self.stiff.leg.radius = <int64_t> s[8], <int64_t> s[9], s[10]
        self.r.leg.over, self.r.c.n_stiff, self.r.c.n_calm, self.r.c.n_held = s[11] != 0.0, <int64_t> s[12], <int64_t> s[13], <int64_t> s[14]
        self.r.c.stiff, self.r.c.stiff_lambda, self.r.c.stiff_h = <int64_t> s[15], s[16], s[17]
        self.r.c.edge = 0.0 if s[0] else self.edge
        self.calm.leg.near_limit, self.r.leg.try_due, self.r.leg.seen = <int64_t> s[20], s[21] != 0.0, evaluations(self.r, True) - <int64_t> s[22]
        self.r.leg.cost, self.r.leg.path, self.r.leg.pace, self.r.leg.cap, self.r.leg.saved, self.r.leg.loss = s[23], s[24], s[25], s[26], s[27], s[28]
        self.is_try, self.calm.leg.try_patience = s[29] != 0.0, <int64_t> s[30]
        turns = numbers[size:numbers.size - NUMBERS].reshape(-1, 4).tolist()
        self.log = [(int(why), t, int(k), rate) for why, t, k, rate in turns]

    def damaged(self):
        return ValueError(f"data: expected the saved state of {self.record.name} and {self.partner_record.name} with {self.problem.c.n} "
                          "components, got bytes that are damaged or of another run")

    def read(self, bytes data):
        """(numbers, bytes of the active run); ValueError where no such run can have written them."""
        cdef ptrdiff_t size = newton_state_size(self.stiff.newton)
        cdef Py_ssize_t end = len(data) - 4, begin = end - 8 * NUMBERS
        tail = np.frombuffer(data[begin:end], dtype="<f8") if begin > 0 else np.full(NUMBERS, np.nan)
        whole = [0, 1, 3, 4, 5, 6, 7, 8, 11, 12, 13, 14, 15, 18, 19, 20, 21, 22, 29, 30]
        either = [0, 11, 21, 29]                 # one of two
        finite = [16, 17, 23, 24, 27, 28]
        if not all(0.0 <= tail[j] < 2.0**53 and tail[j] == int(tail[j]) for j in whole) or tail[18] != size:
            raise self.damaged()
        begin -= 8 * (size + 4 * int(tail[19]))
        if begin <= 0 or zlib.crc32(data[begin:end]) != int.from_bytes(data[end:], "little"):
            raise self.damaged()
        numbers = np.frombuffer(data[begin:end], dtype="<f8").astype(np.float64)
        log = numbers[size:numbers.size - NUMBERS].reshape(-1, 4)
        steps = np.concatenate([[0.0], log[:, 2], [tail[1]]])
        fits = 1.0 <= tail[3] <= MOST and tail[2] >= -1.0 and tail[9] >= -1.0 and tail[10] >= 0.0
        fits = fits and bool(np.all(tail[either] <= 1.0)) and tail[15] <= TURNING and bool(np.all(np.isfinite(tail[finite])))
        fits = fits and tail[16] >= 0.0 and tail[23] >= 0.0 and tail[24] >= 0.0 and tail[25] > 0.0 and tail[26] > 0.0 and tail[28] >= 0.0
        fits = fits and tail[29] <= tail[0] and 1.0 <= tail[30] <= MOST
        fits = fits and bool(np.all(np.isin(log[:, 0], (STIFF, MILD, FAILED, REFUSED, SLOW)))) and bool(np.all(np.diff(steps) >= 0.0))
        fits = fits and bool(np.all(np.isfinite(log[:, 1]))) and len(log) % 2 == tail[0] and tail[1] == (steps[steps.size - 2] if len(log) else 0.0)
        if not fits or tail[4] + tail[5] != tail[1]:
            raise self.damaged()
        return numbers, data[:begin]


cdef bint no_step_works(int status) noexcept:
    """Whether a method ended because its tries failed down to the shortest: another one may not."""
    return status in (MF_E_NON_FINITE, MF_RETRY_NON_FINITE, MF_E_STEP, MF_E_SOLVE, MF_RETRY_SOLVE)


# ---- one implicit method, where an explicit one would do ----------------------------------------------------------------------------------

def look_whether_mild(Run run, double limit):
    """From here on it is known of a run whose steps take factors of a whole matrix how many steps an explicit pair of this stability limit
    would need: `explicit_steps`. Not where there is a mass matrix, which explicit pairs do not take: rates are those of M^-1 J there."""
    if run.r.newton != NULL and run.r.newton.m.c.kind in (DENSE, SPARSE) and run.r.newton.c.matrix.mass == NULL and not has_mass(&run.r.ode):
        run.r.leg.most, run.r.leg.limit, run.r.leg.njev, run.r.leg.radius, run.r.leg.worth = ALONE, MILDER * limit, -1, INFINITY, 0.0


def explicit_steps(Run run):
    """(of all steps of the run, the sum of step times spectral radius; how many steps of an explicit pair, well within its limit, that makes),
    where these are not many times its own steps; else None."""
    cdef const leg_t *leg = &run.r.leg
    if leg.most != ALONE or run.r.k_base != 0 or run.r.k == 0 or leg.mild != run.r.k or leg.worth > FEW * leg.limit * run.r.k:
        return None
    return leg.worth, leg.worth / leg.limit


def turns_while_held(Run run):
    """Whether the steps of an explicit pair are held by what turns while it decays: well within its stability limit, maybe."""
    return run.r.c.stiff == TURNING
