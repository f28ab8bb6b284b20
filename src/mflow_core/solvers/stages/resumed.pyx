"""What decides later bits of Newton's iteration, as doubles: J and its factors are rebuilt from it."""
from libc.stdint cimport int64_t
from libc.string cimport memcpy

from mflow_core.registry cimport REDUCE
from mflow_core.solvers.matrix cimport BY_DIFFERENCES
from mflow_core.solvers.spectrum.growth cimport GROWTH_STATE, growth_pack, growth_unpack
from mflow_core.types cimport MF_E_DAMAGED

cdef enum:
    STATE = 29                           # doubles of state that do not scale with n
    VECTORS = 4


cdef ptrdiff_t newton_state_size(const newton_t *s) noexcept nogil:
    return STATE + VECTORS * s.n


cdef void newton_pack(const newton_t *s, double *state) noexcept nogil:
    """Write newton_state_size doubles: flags, counters, and the point where J was evaluated."""
    cdef double[STATE] head
    head[0], head[1], head[2], head[3] = s.m.has_point, s.m.t, s.m.gh, s.eta
    head[4], head[5] = s.m.has_jacobian or s.m.stale >= 1, s.m.has_factors or s.m.stale == 2
    head[6], head[7] = s.want_jacobian, <double> s.m.njev
    head[8], head[9], head[10] = <double> s.m.nlu, <double> s.m.n_rhs, <double> s.m.n_rhs_jac
    head[11], head[12], head[13], head[14] = <double> s.m.n_krylov, <double> s.niter, <double> s.nsolve, <double> s.nfail
    head[15], head[16], head[17], head[18] = <double> s.c.matrix.kind, s.gh_jac, s.m.verified, s.gh_checked
    head[19], head[20], head[21], head[22] = s.m.agreed, s.m.overstated, <double> s.m.looks, s.followed
    growth_pack(&s.m, head + STATE - GROWTH_STATE)
    memcpy(state, head, sizeof(head))
    memcpy(state + STATE, s.m.y, s.n * sizeof(double))
    memcpy(state + STATE + s.n, s.m.least, s.n * sizeof(double))
    memcpy(state + STATE + 2 * s.n, s.checked, s.n * sizeof(double))
    memcpy(state + STATE + 3 * s.n, s.m.believed, s.n * sizeof(double))


cdef inline bint is_flag(double value) noexcept nogil:
    return value == 0.0 or value == 1.0


cdef inline bint is_count(double value) noexcept nogil:
    return 0.0 <= value < 9007199254740992.0


cdef bint may_be_packed(const newton_t *s, const double *state) noexcept nogil:
    """Whether newton_pack can have written it; growth_unpack looks at what is its own."""
    cdef const double *believed = state + STATE + 3 * s.n
    cdef ptrdiff_t i
    cdef int j
    if not (is_flag(state[0]) and is_flag(state[17]) and is_flag(state[20]) and is_count(state[21])):
        return False
    for j in range(4, 7):
        if not is_flag(state[j]):
            return False
    for j in range(7, 15):
        if not is_count(state[j]):
            return False
    if state[15] != <double> s.c.matrix.kind or not state[3] > 0.0 or not state[16] >= 0.0:
        return False
    if state[18] != state[18] or not state[19] >= 0.0 or not state[22] >= 0.0:
        return False
    if state[0] != 0.0 and not (state[1] - state[1] == 0.0 and REDUCE.all_finite(state + STATE, 2 * s.n)):
        return False
    for i in range(s.n):
        if not believed[i] >= 0.0:
            return False
    return state[5] == 0.0 or (state[0] != 0.0 and state[2] == state[2])


cdef int newton_unpack(newton_t *s, const double *state) noexcept nogil:
    """Restore what newton_pack wrote; the next solve rebuilds J and its factors. MF_E_DAMAGED if newton_pack cannot have written it."""
    if not may_be_packed(s, state) or not growth_unpack(&s.m, state + STATE - GROWTH_STATE):
        return MF_E_DAMAGED
    s.m.has_point, s.m.t, s.m.gh, s.eta = state[0] != 0.0, state[1], state[2], state[3]
    s.m.has_jacobian = s.m.has_factors = False
    s.m.stale = 0 if state[4] == 0.0 else 2 if state[5] != 0.0 else 1
    s.want_jacobian, s.gh_jac = state[6] != 0.0, state[16]
    s.m.njev, s.m.nlu, s.m.n_rhs, s.m.n_rhs_jac = <int64_t> state[7], <int64_t> state[8], <int64_t> state[9], <int64_t> state[10]
    s.m.n_krylov, s.niter, s.nsolve, s.nfail = <int64_t> state[11], <int64_t> state[12], <int64_t> state[13], <int64_t> state[14]
    s.m.verified, s.gh_checked, s.m.agreed = state[17] != 0.0, state[18], state[19]
    s.m.overstated, s.m.looks, s.followed = state[20] != 0.0, <int64_t> state[21], state[22]
    s.m.c.source = BY_DIFFERENCES if s.m.overstated else s.c.matrix.source
    memcpy(s.m.y, state + STATE, s.n * sizeof(double))
    memcpy(s.m.least, state + STATE + s.n, s.n * sizeof(double))
    memcpy(s.checked, state + STATE + 2 * s.n, s.n * sizeof(double))
    memcpy(s.m.believed, state + STATE + 3 * s.n, s.n * sizeof(double))
    return 0
