"""What the driver of a run asks of it and tells it about walls, 0 and poles in time; of two methods in legs both runs hear it."""
from libc.stdint cimport int64_t
from libc.string cimport memset

from mflow_core.problems.problem cimport Problem
from mflow_core.solvers.newton cimport newton_t
from mflow_core.stepping.run cimport (LEAPS_OF, LEAPS_STOPPED, RUN_INSIDE, RUN_WALLS, leaps_size, run_attach, run_enter, run_guard, run_leave,
                                      run_solve_with, run_t)
from mflow_core.stepping.stepper cimport Run, raise_or


def read_inside(Run run):
    """The extension of any step of a run may be asked for when it is over: steps are held to the tolerances inside too, as where it is kept."""
    run.r.flags |= RUN_INSIDE
    if run.other() != NULL:
        run.other().flags |= RUN_INSIDE


cpdef look_for_walls(Run run):
    """From here on `adaptive` returns WALL_DUE where tries fail again and again."""
    run.r.flags |= RUN_WALLS
    if run.other() != NULL:
        run.other().flags |= RUN_WALLS


def stopped_at_0(Run run):
    """(component, side) of what a step was not allowed to take over 0, or None; side: 1, it was above. It is told once."""
    cdef int64_t due = run.r.leaps[LEAPS_STOPPED] if run.r.leaps != NULL else 0
    if due == 0:
        return None
    run.r.leaps[LEAPS_STOPPED] = 0
    return abs(due) - 1, 1 if due > 0 else -1


def beyond_0(Run run):
    """Components that errors have taken to the other side of 0."""
    cdef int64_t *bits = run.r.leaps + LEAPS_OF + (run.r.n + 63) // 64 if run.r.leaps != NULL else NULL
    return [i for i in range(run.r.n) if bits[i // 64] >> (i % 64) & 1] if bits != NULL else []


def may_pass_0(Run run, ptrdiff_t component):
    """Steps that take this component over 0 are looked at no more."""
    run.r.leaps[LEAPS_OF + component // 64] |= <int64_t> 1 << (component % 64)


def nothing_passed(Run run):
    """Looks at steps over 0 begin anew, as at a start; their evaluations stay counted."""
    if run.r.leaps != NULL:
        memset(run.r.leaps + LEAPS_STOPPED, 0, (leaps_size(run.r) - LEAPS_STOPPED) * sizeof(int64_t))
    run.r.pole_k = 0


cpdef look_for_poles(Run run, double h):
    """From here on `adaptive` returns POLE_DUE where steps below h do not grow; 0: never."""
    run.r.pole_h = h
    if run.other() != NULL:
        run.other().pole_h = h


def passes_poles_until(Run run, int64_t k):
    """Good steps before step k are not looked at, whether they lead over a pole in time."""
    run.r.pole_k = k


def poles_are_looked_for(Run run):
    """(h of `look_for_poles`, the length of the last step, the step from which good ones are looked at), for a file."""
    return run.r.pole_h, run.r.h_before, run.r.pole_k


def last_step(Run run):
    """The length of the last step."""
    return run.r.h_before


def only_heads_for_0(Run run):
    """Whether the step that may lead over a pole is one that does not change as beside a pole, of a component that would be 0 in it."""
    return run.r.heads_for_0


def last_step_was(Run run, double h):
    """The length of the step before a run that goes on from a file."""
    run.r.h_before = h


cdef bint behind(run_t *r, Problem problem) noexcept:
    """The run of a problem whose callbacks have been exchanged. False: no memory."""
    cdef newton_t *newton = r.newton
    run_attach(r, &problem.c)
    run_guard(r, problem.inside)
    if newton == NULL:
        return True
    newton.m.rhs, newton.m.rhs_ctx = r.ode.rhs, r.ode.ctx
    newton.m.jac, newton.m.jac_ctx = problem.jac, problem.jac_ctx
    if problem.jac == NULL:
        newton.m.jac, newton.m.jac_ctx = r.ode.jac, r.ode.ctx
    return run_solve_with(r, newton)


def go_behind_wall(Run run):
    """The problem of a run has been exchanged for one that a wall bounds (`Inside`): it goes on with that."""
    cdef bint done
    raise_or(run_enter(run.r))
    done = behind(run.r, run.problem)
    run_leave(run.r)
    if run.other() != NULL:
        done = done and behind(run.other(), run.problem)
    if not done:
        raise MemoryError(f"no memory to go on with {run.record.name} with {run.r.n} components")


def count_of_slopes(Run run):
    """The address of a run's count of evaluations, for what asks for more of them than its steps do (`Sliding`)."""
    return <size_t> &run.r.f.n_rhs
