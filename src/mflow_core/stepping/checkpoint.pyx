"""A run's state as bytes: what it needs to go on with the same bits, and no more.

    "MFLOWRUN", u32 format, u32 flags, i64 n, u32 n_vec, u32 n_scal, u32 n_par, u32 length of the name, name, t, t_base, dt, rho, i64 k,
    i64 k_base, i64 rho_k, i64 rho_next, i64 evaluations, i64 solves, the controller's state, par, scal, vectors, the slope at the start of the next
    step where it is known already (flag), the energy ledger's accounts where one is kept (flag), the solver's state, CRC-32 of all before

Little-endian on every machine, no padding, NaNs in one form. Reading checks everything before it changes anything.
"""
from libc.math cimport NAN
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcmp, memcpy, strlen

from mflow_core.arithmetic.control cimport control_t
from mflow_core.arithmetic.vec cimport mf_bits, mf_from_bits
from mflow_core.solvers.newton cimport newton_pack, newton_state_size, newton_t, newton_unpack
from mflow_core.stepping.ledger cimport LEDGER_STATE, ledger_pack, ledger_unpack
from mflow_core.types cimport MF_E_ARGUMENT, MF_E_DAMAGED, MF_E_MEMORY


cdef uint32_t crc32(const uint8_t *data, int64_t bytes) noexcept nogil:
    cdef uint32_t crc = 0xFFFFFFFFu
    cdef int64_t i
    cdef int _j
    for i in range(bytes):
        crc ^= data[i]
        for _j in range(8):
            crc = (crc >> 1) ^ (0xEDB88320u & (0 - (crc & 1)))
    return crc ^ 0xFFFFFFFFu


cdef inline void put(uint8_t **at, uint64_t value, int bytes) noexcept nogil:
    cdef int j
    for j in range(bytes):
        at[0][0] = <uint8_t> (value >> (8 * j))
        at[0] += 1


cdef inline uint64_t get(const uint8_t **at, int bytes) noexcept nogil:
    cdef uint64_t value = 0
    cdef int j
    for j in range(bytes):
        value |= (<uint64_t> at[0][0]) << (8 * j)
        at[0] += 1
    return value


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

cdef int64_t packed_size(const run_t *r, bint slope) noexcept nogil:
    cdef int64_t vectors = r.sizes.n_vec + (1 if slope else 0)
    cdef int64_t solver = newton_state_size(r.newton) if r.newton != NULL else 0
    cdef int64_t ledger = LEDGER_STATE if r.ledger != NULL else 0
    return 40 + <int64_t> strlen(r.m.name) + 8 * (22 + r.m.n_par + r.sizes.n_scal + vectors * r.n + ledger + solver) + 4


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
    cdef bint slope = slope_is_known(r)
    cdef double[LEDGER_STATE] ledger
    bytes[0] = packed_size(r, slope)
    if buffer == NULL:
        return 0
    if room < bytes[0]:
        return MF_E_ARGUMENT
    memcpy(at, b"MFLOWRUN", 8)
    at += 8
    put(&at, FORMAT, 4)
    put(&at, r.f.flags | (SLOPE_FOLLOWS if slope else 0) | (LEDGER_FOLLOWS if r.ledger != NULL else 0), 4)
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


cdef int run_unpack(run_t *r, const void *buffer, int64_t bytes) noexcept nogil:
    """All is checked before anything is written."""
    cdef const uint8_t *at = <const uint8_t *> buffer
    cdef const uint8_t *end
    cdef size_t length = strlen(r.m.name)
    cdef uint32_t flags
    cdef double[LEDGER_STATE] ledger
    cdef bint slope
    cdef int j
    if buffer == NULL or bytes < packed_size(r, False) or memcmp(at, b"MFLOWRUN", 8) != 0:
        return MF_E_DAMAGED
    end = at + bytes - 4
    if get(&end, 4) != crc32(at, bytes - 4):
        return MF_E_DAMAGED
    at += 8
    if get(&at, 4) != FORMAT:
        return MF_E_DAMAGED
    flags = <uint32_t> get(&at, 4)
    slope = flags & SLOPE_FOLLOWS != 0
    if bytes != packed_size(r, slope) or (flags & LEDGER_FOLLOWS != 0) != (r.ledger != NULL):
        return MF_E_DAMAGED
    if <int64_t> get(&at, 8) != r.n or get(&at, 4) != <uint64_t> r.sizes.n_vec or get(&at, 4) != <uint64_t> r.sizes.n_scal:
        return MF_E_DAMAGED
    if get(&at, 4) != <uint64_t> r.m.n_par or get(&at, 4) != length or memcmp(at, r.m.name, length) != 0:
        return MF_E_DAMAGED
    at += length
    if r.newton != NULL and unpack_solver(r.newton, (<const uint8_t *> buffer) + bytes - 4) != 0:
        return MF_E_DAMAGED
    r.f.flags = flags & ~<uint32_t> (SLOPE_FOLLOWS | LEDGER_FOLLOWS)
    get_doubles(&at, &r.t, 1)
    get_doubles(&at, &r.t_base, 1)
    get_doubles(&at, &r.dt, 1)
    get_doubles(&at, &r.f.rho, 1)
    r.k = <int64_t> get(&at, 8)
    r.k_base = <int64_t> get(&at, 8)
    r.rho_k = <int64_t> get(&at, 8)
    r.rho_next = <int64_t> get(&at, 8)
    r.f.n_rhs = <int64_t> get(&at, 8)
    r.f.n_solve = <int64_t> get(&at, 8)
    get_control(&at, &r.c)
    r.slope_k = r.dense_k = -1
    r.t_before = NAN
    get_doubles(&at, r.par, r.m.n_par)
    get_doubles(&at, r.s_now, r.sizes.n_scal)
    for j in range(r.sizes.n_vec):
        get_doubles(&at, r.now[j], r.n)
    if slope and r.slope0 != NULL:
        get_doubles(&at, r.slope0, r.n)
        r.slope_k = r.k
    elif slope:
        at += 8 * r.n
    if r.ledger != NULL:
        get_doubles(&at, ledger, LEDGER_STATE)
        ledger_unpack(r.ledger, ledger)
    return 0
