"""A run's state as bytes: what it needs to go on with the same bits, and no more.

    "MFLOWRUN", u32 format, u32 flags, i64 n, u32 n_vec, u32 n_scal, u32 n_par, u32 length of the name, name, t, t_base, dt, rho, i64 k,
    i64 k_base, i64 rho_k, i64 rho_next, i64 evaluations, i64 solves, the controller's state, par, scal, vectors, the slope at the start of the next
    step where it is known already (flag), what looks at steps over 0 have found (flag), the energy ledger's accounts where one is kept (flag), the solver's state, CRC-32 of all before

A file that Python has written (python/mflow/saving/savefile.py) is read too, if this is its first block.

Little-endian on every machine, no padding, NaNs in one form. Reading checks everything before it changes anything: a checksum only says
that the bytes are those that someone wrote.
"""
from libc.math cimport INFINITY, NAN, fabs
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcmp, memcpy, strlen

from mflow_core.arithmetic.control cimport MF_FREE, MF_MOST_BAD, MF_PRESS, MF_PRESS_MOST, control_t, planned_step
from mflow_core.arithmetic.vec cimport mf_bits, mf_from_bits
from mflow_core.registry cimport mf_sizes_of
from mflow_core.solvers.newton cimport newton_t
from mflow_core.solvers.stages.resumed cimport newton_pack, newton_state_size, newton_unpack
from mflow_core.stepping.energy.ledger cimport LEDGER_STATE, ledger_pack, ledger_unpack
from mflow_core.stepping.run cimport RHO_EVERY, leaps_size, rho_held
from mflow_core.types cimport MF_E_ARGUMENT, MF_E_DAMAGED, MF_E_MEMORY, MF_FRESH, mf_sizes


cdef uint32_t crc32(const uint8_t *data, int64_t bytes) noexcept nogil:
    cdef uint32_t crc = 0xFFFFFFFFu
    cdef int64_t i
    cdef int _j
    for i in range(bytes):
        crc ^= data[i]
        for _j in range(8):
            crc = (crc >> 1) ^ (0xEDB88320u & (0 - (crc & 1)))
    return crc ^ 0xFFFFFFFFu


cdef void put_doubles(uint8_t **at, const double *x, ptrdiff_t n) noexcept nogil:
    cdef ptrdiff_t i
    for i in range(n):
        put(at, mf_bits(x[i]) if x[i] == x[i] else 0x7FF8000000000000u, 8)


cdef void get_doubles(const uint8_t **at, double *x, ptrdiff_t n) noexcept nogil:
    cdef ptrdiff_t i
    for i in range(n):
        x[i] = mf_from_bits(get(at, 8))


cdef enum:
    FORMAT = 5
    SLOPE_FOLLOWS = 0x10000              # in flags, beside the frame's own
    LEDGER_FOLLOWS = 0x20000
    LEAPS_FOLLOW = 0x40000

cdef int64_t packed_size(const run_t *r, uint32_t flags) noexcept nogil:
    cdef int64_t vectors = r.sizes.n_vec + (1 if flags & SLOPE_FOLLOWS else 0)
    cdef int64_t leaps = leaps_size(r) if flags & LEAPS_FOLLOW else 0
    cdef int64_t solver = newton_state_size(r.newton) if r.newton != NULL else 0
    cdef int64_t ledger = LEDGER_STATE if r.ledger != NULL else 0
    return 40 + <int64_t> strlen(r.m.name) + 8 * (22 + r.m.n_par + r.sizes.n_scal + vectors * r.n + leaps + ledger + solver) + 4


cdef bint slope_is_known(const run_t *r) noexcept nogil:
    return r.slope0 != NULL and r.slope_k == r.k


cdef void put_control(uint8_t **at, const control_t *c) noexcept nogil:
    put_doubles(at, &c.h, 1)
    put_doubles(at, &c.log_before, 1)
    put_doubles(at, &c.cap, 1)
    put(at, c.n_bad, 8)
    put(at, c.near, 8)
    put(at, c.n_good, 8)
    put(at, c.rejected, 8)
    put(at, c.failed, 8)
    put(at, c.after_reject, 8)
    put(at, c.pressed, 8)
    put(at, c.steady, 8)
    put_doubles(at, &c.h_pressed, 1)


cdef void get_control(const uint8_t **at, control_t *c) noexcept nogil:
    get_doubles(at, &c.h, 1)
    get_doubles(at, &c.log_before, 1)
    get_doubles(at, &c.cap, 1)
    c.n_bad = <int64_t> get(at, 8)
    c.near = <int64_t> get(at, 8)
    c.n_good = <int64_t> get(at, 8)
    c.rejected = <int64_t> get(at, 8)
    c.failed = <int64_t> get(at, 8)
    c.after_reject = <int64_t> get(at, 8)
    c.pressed = <int64_t> get(at, 8)
    c.steady = <int64_t> get(at, 8)
    get_doubles(at, &c.h_pressed, 1)


cdef int put_solver(uint8_t **at, const newton_t *newton) noexcept nogil:
    cdef ptrdiff_t count = newton_state_size(newton)
    cdef double *state = <double *> malloc(count * sizeof(double))
    if state == NULL:
        return MF_E_MEMORY
    newton_pack(newton, state)
    put_doubles(at, state, count)
    free(state)
    return 0


cdef int run_pack(const run_t *r, void *buffer, int64_t room, int64_t *bytes) noexcept nogil:
    cdef uint8_t *at = <uint8_t *> buffer
    cdef size_t length = strlen(r.m.name)
    cdef int j
    cdef bint slope = slope_is_known(r), leaps = leaps_are_known(r)
    cdef uint32_t flags = (SLOPE_FOLLOWS if slope else 0) | (LEAPS_FOLLOW if leaps else 0) | (LEDGER_FOLLOWS if r.ledger != NULL else 0)
    cdef int64_t i
    cdef double[LEDGER_STATE] ledger
    bytes[0] = packed_size(r, flags)
    if buffer == NULL:
        return 0
    if room < bytes[0]:
        return MF_E_ARGUMENT
    memcpy(at, b"MFLOWRUN", 8)
    at += 8
    put(&at, FORMAT, 4)
    put(&at, r.f.flags | flags, 4)
    put(&at, r.n, 8)
    put(&at, r.sizes.n_vec, 4)
    put(&at, r.sizes.n_scal, 4)
    put(&at, r.m.n_par, 4)
    put(&at, length, 4)
    memcpy(at, r.m.name, length)
    at += length
    put_doubles(&at, &r.t, 1)
    put_doubles(&at, &r.t_base, 1)
    put_doubles(&at, &r.dt, 1)
    put_doubles(&at, &r.f.rho, 1)
    put(&at, r.k, 8)
    put(&at, r.k_base, 8)
    put(&at, r.rho_k, 8)
    put(&at, r.rho_next, 8)
    put(&at, r.f.n_rhs, 8)
    put(&at, r.f.n_solve, 8)
    put_control(&at, &r.c)
    put_doubles(&at, r.par, r.m.n_par)
    put_doubles(&at, r.s_now, r.sizes.n_scal)
    for j in range(r.sizes.n_vec):
        put_doubles(&at, r.now[j], r.n)
    if slope:
        put_doubles(&at, r.slope0, r.n)
    for i in range(leaps_size(r) if leaps else 0):
        put(&at, <uint64_t> r.leaps[i], 8)
    if r.ledger != NULL:
        ledger_pack(r.ledger, ledger)
        put_doubles(&at, ledger, LEDGER_STATE)
    if r.newton != NULL and put_solver(&at, r.newton) != 0:
        return MF_E_MEMORY
    put(&at, crc32(<const uint8_t *> buffer, bytes[0] - 4), 4)
    return 0


cdef int unpack_solver(newton_t *newton, const uint8_t *end) noexcept nogil:
    """The solver's state, whose bytes end here."""
    cdef ptrdiff_t count = newton_state_size(newton)
    cdef double *state = <double *> malloc(count * sizeof(double))
    cdef const uint8_t *at = end - 8 * count
    cdef int status
    if state == NULL:
        return MF_E_MEMORY
    get_doubles(&at, state, count)
    status = newton_unpack(newton, state)
    free(state)
    return status


ctypedef struct saved_t:                 # the numbers of a saved state, before they are the run's
    uint32_t flags
    double t, t_base, dt, rho
    int64_t k, k_base, rho_k, rho_next, n_rhs, n_solve
    control_t c


cdef const uint8_t *read_numbers(const uint8_t *at, saved_t *s) noexcept nogil:
    """From the time on; returns where the parameters begin."""
    get_doubles(&at, &s.t, 1)
    get_doubles(&at, &s.t_base, 1)
    get_doubles(&at, &s.dt, 1)
    get_doubles(&at, &s.rho, 1)
    s.k = <int64_t> get(&at, 8)
    s.k_base = <int64_t> get(&at, 8)
    s.rho_k = <int64_t> get(&at, 8)
    s.rho_next = <int64_t> get(&at, 8)
    s.n_rhs = <int64_t> get(&at, 8)
    s.n_solve = <int64_t> get(&at, 8)
    get_control(&at, &s.c)
    return at


cdef inline bint is_finite(double x) noexcept nogil:
    return x - x == 0.0


cdef inline bint is_count(int64_t count) noexcept nogil:
    return 0 <= count < <int64_t> 1 << 62


cdef bint control_fits(const control_t *c) noexcept nogil:
    """Whether a controller can have come to this state. log_before is log2 of an accepted error, from 1e-4 to 1."""
    if not (is_finite(c.h) and -14.0 < c.log_before < 1.0 and 0.0 <= c.cap < INFINITY and 0.0 <= c.h_pressed < INFINITY):
        return False
    if not (0 <= c.near <= 1 and 0 <= c.n_good <= MF_FREE and 0 <= c.n_bad <= MF_MOST_BAD and 0 <= c.pressed <= MF_PRESS + MF_PRESS_MOST):
        return False
    if not (0 <= c.failed <= c.rejected and is_count(c.rejected)) or c.n_bad > c.failed or (c.h != 0.0 and fabs(c.h) < 1e-300):
        return False
    return 0 <= c.after_reject <= 1 and 0 <= c.steady <= 1


cdef bint time_fits(const run_t *r, const saved_t *s) noexcept nogil:
    """Whether so many steps lead to this time. Fixed steps are counted, and the last one may be shorter; under error control each of them
    takes an evaluation at least, and the next one has to go on in time, the way they went."""
    cdef double steps = <double> (s.k - s.k_base)
    if r.c.q > 0.0:
        if s.c.h != 0.0 and ((s.t - s.t_base) * s.c.h < 0.0 or s.t + planned_step(&s.c, s.t) == s.t):
            return False
        return is_finite(s.t) and (r.n == 0 or s.k - (s.k_base if r.leg.most > 0 else 0) <= s.n_rhs + s.n_solve)
    if s.k == s.k_base or s.dt == 0.0 or r.m.update != NULL:     # an optimizer's iterations have no time
        return s.t == s.t_base
    if not is_finite(s.dt):
        return s.dt == s.dt and steps == 1.0 and s.t == s.dt       # the one step to the steady state
    return is_finite(s.t) and fabs(s.t - (s.t_base + steps * s.dt)) <= 1.000001 * fabs(s.dt) + 1e-15 * (fabs(s.t) + fabs(s.t_base))


cdef bint numbers_fit(const run_t *r, const saved_t *s) noexcept nogil:
    # What a solve has evaluated anyway is taken off the evaluations, which are below 0 where steps need no others.
    if not is_finite(s.t_base) or not (is_count(s.k) and is_count(s.n_solve) and is_count(s.n_rhs + s.n_solve)):
        return False
    if not (0 <= s.k_base <= s.k and -1 <= s.rho_k <= s.k and 0.0 <= s.rho < INFINITY):
        return False
    if not 0 <= s.rho_next <= s.k + RHO_EVERY and not s.rho_next == r.rho_next == rho_held():
        return False
    return control_fits(&s.c) and time_fits(r, s)


cdef bint parameters_fit(const run_t *r, const uint8_t *at, bint same) noexcept nogil:
    """Whether the run, as it was made, can go on with these parameters. same: they have to be its own."""
    cdef double *par = <double *> malloc((r.m.n_par + 1) * sizeof(double))
    cdef mf_sizes sizes
    cdef bint fit = par != NULL
    cdef int j
    if fit:
        get_doubles(&at, par, r.m.n_par)
        fit = mf_sizes_of(r.m, par, &sizes) == 0
        sizes.order = r.sizes.order if r.c.q == 0.0 else sizes.order     # the controller alone knows it
        fit = fit and memcmp(&sizes, &r.sizes, sizeof(mf_sizes)) == 0
        for j in range(r.m.n_par):
            fit = fit and (not same or par[j] == r.par[j])
    free(par)
    return fit


cdef bint vectors_fit(const run_t *r, const uint8_t *at) noexcept nogil:
    """Whether the state is one that a step may leave: finite in what a step looks at."""
    cdef ptrdiff_t _i
    cdef int _j
    for _j in range(r.n_tested):
        for _i in range(r.n):
            if get(&at, 8) & 0x7FF0000000000000u == 0x7FF0000000000000u:
                return False
    return True


cdef bint leaps_are_known(const run_t *r) noexcept nogil:
    """Whether looks at steps over 0 have something to remember."""
    cdef int64_t i
    for i in range(leaps_size(r) if r.leaps != NULL else 0):
        if r.leaps[i] != 0:
            return True
    return False


cdef bint leaps_fit(const run_t *r, const uint8_t *at) noexcept nogil:
    """Whether looks can have led to this: none thrown away without one, and no component beyond the last."""
    cdef int64_t count = <int64_t> get(&at, 8), thrown = <int64_t> get(&at, 8), due = <int64_t> get(&at, 8), words = (r.n + 63) // 64, i
    cdef uint64_t bits
    for i in range(3 * words):
        bits = get(&at, 8)
        if (i + 1) % words == 0 and r.n % 64 != 0 and bits >> (r.n % 64) != 0:
            return False
    return is_count(count) and 0 <= thrown <= count and -r.n <= due <= r.n


cdef int frame_fits(const run_t *r, const uint8_t *at, int64_t bytes, uint32_t *flags) noexcept nogil:
    """The length of what comes before the time; 0 where the bytes are damaged, or those of another run."""
    cdef const uint8_t *start = at
    cdef const uint8_t *end = at + bytes - 4
    cdef size_t length = strlen(r.m.name)
    if get(&end, 4) != crc32(at, bytes - 4):
        return 0
    at += 8
    if get(&at, 4) != FORMAT:
        return 0
    flags[0] = <uint32_t> get(&at, 4)
    if flags[0] & ~<uint32_t> (MF_FRESH | SLOPE_FOLLOWS | LEAPS_FOLLOW | LEDGER_FOLLOWS):
        return 0
    if flags[0] & LEAPS_FOLLOW and r.leaps == NULL:
        return 0
    if bytes != packed_size(r, flags[0]) or (flags[0] & LEDGER_FOLLOWS != 0) != (r.ledger != NULL):
        return 0
    if <int64_t> get(&at, 8) != r.n or get(&at, 4) != <uint64_t> r.sizes.n_vec or get(&at, 4) != <uint64_t> r.sizes.n_scal:
        return 0
    if get(&at, 4) != <uint64_t> r.m.n_par or get(&at, 4) != length or memcmp(at, r.m.name, length) != 0:
        return 0
    return <int> (at + length - start)


cdef const uint8_t *state_in_file(const void *buffer, int64_t *bytes) noexcept nogil:
    """Where the first block of a file begins: after a line, the CRC-32 of the rest and a line of JSON; `bytes` are left from there on. The
    buffer itself, if it is no such file; NULL where the file is damaged."""
    cdef const uint8_t *at = <const uint8_t *> buffer
    cdef const uint8_t *end = at + bytes[0]
    cdef uint32_t expected
    if bytes[0] < 6 or memcmp(at, b"mflow ", 6) != 0:
        return at
    if bytes[0] < 24 or memcmp(at, b"mflow stepper 2\n", 16) != 0:
        return NULL
    at += 16
    expected = <uint32_t> get(&at, 4)
    if expected != crc32(at, end - at):
        return NULL
    while at < end and at[0] != 10:
        at += 1
    at += 1
    bytes[0] = end - at
    return at if at < end else NULL


cdef int run_unpack(run_t *r, const void *buffer, int64_t bytes, bint same) noexcept nogil:
    """All is checked before anything is written. same: the parameters of the method have to be those of the run."""
    cdef const uint8_t *at
    cdef const uint8_t *flags
    cdef int64_t size
    if buffer == NULL:
        return MF_E_DAMAGED
    at = state_in_file(buffer, &bytes)
    if at == NULL or bytes < 40:
        return MF_E_DAMAGED
    if at != buffer:                     # other blocks follow
        flags = at + 12
        size = packed_size(r, <uint32_t> get(&flags, 4))
        bytes = size if size < bytes else bytes
    return unpack_state(r, at, bytes, same)


cdef int unpack_state(run_t *r, const void *buffer, int64_t bytes, bint same) noexcept nogil:
    cdef const uint8_t *at = <const uint8_t *> buffer
    cdef saved_t s
    cdef double[LEDGER_STATE] ledger
    cdef int j, before
    cdef int64_t i
    if bytes < packed_size(r, 0) or memcmp(at, b"MFLOWRUN", 8) != 0:
        return MF_E_DAMAGED
    s.c = r.c
    before = frame_fits(r, at, bytes, &s.flags)
    if before == 0:
        return MF_E_DAMAGED
    at = read_numbers(at + before, &s)
    if not numbers_fit(r, &s) or not parameters_fit(r, at, same) or not vectors_fit(r, at + 8 * (r.m.n_par + r.sizes.n_scal)):
        return MF_E_DAMAGED
    if s.flags & LEAPS_FOLLOW and not leaps_fit(r, at + 8 * (r.m.n_par + r.sizes.n_scal + (
            r.sizes.n_vec + (1 if s.flags & SLOPE_FOLLOWS else 0)) * r.n)):
        return MF_E_DAMAGED
    if r.newton != NULL and unpack_solver(r.newton, (<const uint8_t *> buffer) + bytes - 4) != 0:
        return MF_E_DAMAGED
    r.f.flags = s.flags & ~<uint32_t> (SLOPE_FOLLOWS | LEAPS_FOLLOW | LEDGER_FOLLOWS)
    r.t, r.t_base, r.dt, r.f.rho, r.c = s.t, s.t_base, s.dt, s.rho, s.c
    r.k, r.k_base, r.rho_k, r.rho_next = s.k, s.k_base, s.rho_k, s.rho_next
    r.f.n_rhs, r.f.n_solve = s.n_rhs, s.n_solve
    r.slope_k = r.dense_k = -1
    r.t_before = NAN
    get_doubles(&at, r.par, r.m.n_par)
    get_doubles(&at, r.s_now, r.sizes.n_scal)
    for j in range(r.sizes.n_vec):
        get_doubles(&at, r.now[j], r.n)
    if s.flags & SLOPE_FOLLOWS and r.slope0 != NULL:
        get_doubles(&at, r.slope0, r.n)
        r.slope_k = r.k
    elif s.flags & SLOPE_FOLLOWS:
        at += 8 * r.n
    for i in range(leaps_size(r) if r.leaps != NULL else 0):
        r.leaps[i] = <int64_t> get(&at, 8) if s.flags & LEAPS_FOLLOW else 0
    if r.ledger != NULL:
        get_doubles(&at, ledger, LEDGER_STATE)
        ledger_unpack(r.ledger, ledger)
    return 0
