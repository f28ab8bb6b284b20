"""A descent's state as bytes: what it needs to go on with the same bits, pairs and matrices of its method among them.

    "MFLOWDSC", u32 format, i64 n, u32 n_par, u32 length of the name, name, parameters, N_REALS doubles, N_COUNTS i64, the values that a
    nonmonotone search looks back on, x, g, x_old, g_old, the lowest point and its gradient, an optimizer's vectors, bounds, its scalars, what
    the direction keeps, lengths of the parameters, CRC-32 of all before

Little-endian, no padding, NaNs in one form. All is checked before anything is written; what a direction keeps it checks itself.
"""
from libc.math cimport INFINITY, fabs
from libc.stdint cimport uint8_t, uint64_t
from libc.string cimport memcmp, memcpy, strlen

from mflow_core.optimize.descents cimport LOW_STORED, MAX_HISTORY, lowest_point
from mflow_core.stepping.checkpoint cimport crc32, get, get_doubles, put, put_doubles, state_in_file
from mflow_core.types cimport MF_E_ARGUMENT, MF_E_DAMAGED


cdef inline bint is_finite(double x) noexcept nogil:
    return x - x == 0.0


cdef enum:
    FORMAT = 1
    N_REALS = 7
    N_COUNTS = 12


cdef int64_t packed_size(const descent_t *s) noexcept nogil:
    cdef int64_t vectors = 6 + s.sizes.n_vec - 1 + (2 if s.lower != NULL else 0) + (1 if s.scale != NULL else 0)
    return 28 + <int64_t> strlen(s.m.name) + 8 * (s.m.n_par + N_REALS + N_COUNTS + MAX_HISTORY + vectors * s.n + s.sizes.n_scal + s.n_kept) + 4


cdef int descent_pack(const descent_t *s, void *buffer, int64_t room, int64_t *bytes) noexcept nogil:
    cdef uint8_t *at = <uint8_t *> buffer
    cdef size_t length = strlen(s.m.name)
    cdef const double *grad = NULL
    cdef const double *low = lowest_point(s, &grad)
    cdef double[N_REALS] reals
    cdef int64_t[N_COUNTS] counts
    cdef int j
    bytes[0] = packed_size(s)
    if buffer == NULL:
        return 0
    if room < bytes[0]:
        return MF_E_ARGUMENT
    memcpy(at, b"MFLOWDSC", 8)
    at += 8
    put(&at, FORMAT, 4)
    put(&at, s.n, 8)
    put(&at, s.m.n_par, 4)
    put(&at, length, 4)
    memcpy(at, s.m.name, length)
    at += length
    put_doubles(&at, s.par, s.m.n_par)
    reals[0], reals[1], reals[2], reals[3], reals[4] = s.f, s.gmax, s.f_low, s.first_gmax, s.a
    reals[5], reals[6] = s.slope, s.way.ratio
    put_doubles(&at, reals, N_REALS)
    counts[0], counts[1], counts[2], counts[3], counts[4] = s.k, s.row_k, s.nfev, s.njev, s.restarts
    counts[5], counts[6], counts[7], counts[8], counts[9] = s.low_has_grad, s.evaluated, s.fresh, s.has_old, s.at_once
    counts[10], counts[11] = s.rule.kind, s.rule.memory
    for j in range(N_COUNTS):
        put(&at, <uint64_t> counts[j], 8)
    put_doubles(&at, s.values, MAX_HISTORY)
    put_doubles(&at, s.x, s.n)
    put_doubles(&at, s.g, s.n)
    put_doubles(&at, s.x_old, s.n)
    put_doubles(&at, s.g_old, s.n)
    put_doubles(&at, low, s.n)
    put_doubles(&at, grad if grad != NULL else s.low_grad, s.n)
    for j in range(1, s.sizes.n_vec):
        put_doubles(&at, s.carried[j], s.n)
    if s.lower != NULL:
        put_doubles(&at, s.lower, s.n)
        put_doubles(&at, s.upper, s.n)
    put_doubles(&at, s.scal, s.sizes.n_scal)
    put_doubles(&at, s.way.kept, s.n_kept)
    if s.scale != NULL:
        put_doubles(&at, s.scale, s.n)
    put(&at, crc32(<const uint8_t *> buffer, bytes[0] - 4), 4)
    return 0


cdef bint head_fits(const descent_t *s, const uint8_t *at, int64_t bytes) noexcept nogil:
    """Whether these bytes are whole, and those of a descent of this method, size and parameters."""
    cdef const uint8_t *end = at + bytes - 4
    cdef size_t length = strlen(s.m.name)
    cdef double par
    cdef int j
    if bytes != packed_size(s) or memcmp(at, b"MFLOWDSC", 8) != 0 or get(&end, 4) != crc32(at, bytes - 4):
        return False
    at += 8
    if get(&at, 4) != FORMAT or <int64_t> get(&at, 8) != s.n or get(&at, 4) != <uint64_t> s.m.n_par or get(&at, 4) != length:
        return False
    if memcmp(at, s.m.name, length) != 0:
        return False
    at += length
    for j in range(s.m.n_par):
        get_doubles(&at, &par, 1)
        if par != s.par[j]:
            return False
    return True


cdef bint numbers_fit(const descent_t *s, const double *reals, const int64_t *counts) noexcept nogil:
    """Whether a descent of this rule can have come to these."""
    cdef int j
    for j in range(5):
        if not 0 <= counts[j] < <int64_t> 1 << 62:
            return False
    for j in range(5, 10):
        if not 0 <= counts[j] <= 1:
            return False
    if counts[10] != s.rule.kind or counts[11] != s.rule.memory or not (is_finite(reals[4]) and is_finite(reals[5]) and reals[4] >= 0.0):
        return False
    return counts[6] == 0 or (is_finite(reals[0]) and is_finite(reals[2]) and 0.0 <= reals[1] < INFINITY and 0.0 <= reals[3] < INFINITY)


cdef bint all_finite(const uint8_t *at, ptrdiff_t count) noexcept nogil:
    cdef ptrdiff_t _i
    for _i in range(count):
        if get(&at, 8) & 0x7FF0000000000000u == 0x7FF0000000000000u:
            return False
    return True


cdef double largest_of(const descent_t *s, const uint8_t *x_at, const uint8_t *g_at) noexcept nogil:
    """The largest entry of the saved gradient, projected where there are bounds, in lengths of the parameters."""
    cdef double x, g, room, unit, most = 0.0
    cdef ptrdiff_t i
    for i in range(s.n):
        get_doubles(&x_at, &x, 1)
        get_doubles(&g_at, &g, 1)
        unit = s.scale[i] if s.scale != NULL and not s.plain else 1.0
        g = unit * g
        if s.lower != NULL:
            room = (x - s.upper[i] if g < 0.0 else x - s.lower[i]) / unit
            g = room if fabs(room) < fabs(g) else g
        most = fabs(g) if fabs(g) > most else most
    return most


cdef bint same_scale(const descent_t *s, const uint8_t *at) noexcept nogil:
    cdef double value
    cdef ptrdiff_t i
    for i in range(s.n):
        get_doubles(&at, &value, 1)
        if value != s.scale[i]:
            return False
    return True


cdef bint same_bounds(const descent_t *s, const uint8_t *at) noexcept nogil:
    cdef double value
    cdef ptrdiff_t i
    for i in range(2 * s.n):
        get_doubles(&at, &value, 1)
        if value != (s.lower[i] if i < s.n else s.upper[i - s.n]):
            return False
    return True


cdef int descent_unpack(descent_t *s, const void *buffer, int64_t bytes) noexcept nogil:
    cdef const uint8_t *at
    cdef const uint8_t *start
    cdef double[N_REALS] reals
    cdef int64_t[N_COUNTS] counts
    cdef int j
    if buffer == NULL:
        return MF_E_DAMAGED
    at = state_in_file(buffer, &bytes)
    if at != NULL and at != buffer and packed_size(s) < bytes:      # other blocks follow
        bytes = packed_size(s)
    if at == NULL or bytes < 40 or not head_fits(s, at, bytes):
        return MF_E_DAMAGED
    start = at
    at += 28 + strlen(s.m.name) + 8 * s.m.n_par
    get_doubles(&at, reals, N_REALS)
    for j in range(N_COUNTS):
        counts[j] = <int64_t> get(&at, 8)
    if not numbers_fit(s, reals, counts) or not all_finite(at + 8 * MAX_HISTORY, 2 * s.n):
        return MF_E_DAMAGED
    if counts[6] != 0 and (reals[1] != largest_of(s, at + 8 * MAX_HISTORY, at + 8 * (MAX_HISTORY + s.n)) or reals[2] > reals[0]):
        return MF_E_DAMAGED
    if s.lower != NULL and not same_bounds(s, at + 8 * (MAX_HISTORY + (5 + s.sizes.n_vec) * s.n)):
        return MF_E_DAMAGED
    if s.scale != NULL and not same_scale(s, at + packed_size(s) - 4 - 8 * s.n - (at - start)):
        return MF_E_DAMAGED
    s.f, s.gmax, s.f_low, s.first_gmax, s.a, s.slope, s.way.ratio = reals[0], reals[1], reals[2], reals[3], reals[4], reals[5], reals[6]
    s.k, s.row_k, s.nfev, s.njev, s.restarts = counts[0], counts[1], counts[2], counts[3], counts[4]
    s.low_has_grad, s.evaluated, s.fresh, s.has_old, s.at_once = counts[5], counts[6], counts[7], counts[8], counts[9]
    s.low_at, s.pristine = LOW_STORED, False
    get_doubles(&at, s.values, MAX_HISTORY)
    get_doubles(&at, s.x, s.n)
    get_doubles(&at, s.g, s.n)
    get_doubles(&at, s.x_old, s.n)
    get_doubles(&at, s.g_old, s.n)
    get_doubles(&at, s.low, s.n)
    get_doubles(&at, s.low_grad, s.n)
    for j in range(1, s.sizes.n_vec):
        get_doubles(&at, s.carried[j], s.n)
    at += 8 * (2 * s.n if s.lower != NULL else 0)
    get_doubles(&at, s.scal, s.sizes.n_scal)
    get_doubles(&at, s.way.kept, s.n_kept)
    return 0
