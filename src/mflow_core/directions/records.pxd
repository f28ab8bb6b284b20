# cython: language_level=3
"""Records of directions: what all of them share.

A direction is a function `direct(m, w)`: from the point w.x, its gradient w.g and, for w.k > 0, the point and gradient before, it writes
w.d. All that it remembers is in w.kept, zeros at k = 0; `room` says how many numbers that is, and a checkpoint saves them as they are. It
allocates nothing, evaluates nothing but w.hessp, and never sees Python. The descent does the rest: the search, restarts, endings.
"""
from libc.stddef cimport ptrdiff_t
from libc.stdlib cimport calloc

from mflow_core.types cimport mf_direct_fn, mf_method, mf_new_method, mf_param, mf_room_fn


cdef enum:
    MOST_DIRECTIONS = 16                 # in one family


ctypedef struct directions_t:            # NULL ends them
    mf_method *record[MOST_DIRECTIONS + 1]
    int count


cdef inline ptrdiff_t padded(ptrdiff_t n) noexcept nogil:
    """Numbers from one vector to the next: a multiple of 8, but not of 512, which would put all vectors into the same few cache sets."""
    cdef ptrdiff_t ld = (n + 7) // 8 * 8
    return ld + 8 if ld % 512 == 0 else ld


cdef inline mf_method *direction(directions_t *records, list names, const char *name, const char *class_name, const char *aliases,
                                 const char *family, list par, mf_direct_fn direct, mf_room_fn room, const char *formula, const char *doc,
                                 const char *reference) except NULL:
    """A new record. par: (name, default, lower, upper, kind, open, choices, doc) of each parameter; `names` keeps their texts alive."""
    cdef mf_method *m = <mf_method *> calloc(1, sizeof(mf_method))
    cdef mf_param *p = <mf_param *> calloc(max(len(par), 1), sizeof(mf_param))
    cdef int j
    if m == NULL or p == NULL or records.count == MOST_DIRECTIONS:
        raise MemoryError(f"{family.decode()}: expected at most {MOST_DIRECTIONS} methods, or no memory")
    names.append(par)
    for j, (label, value, lower, upper, kind, open, choices, words) in enumerate(par):
        p[j].name, p[j].value, p[j].lower, p[j].upper = label, value, lower, upper
        p[j].kind, p[j].open, p[j].choices, p[j].doc = kind, open, choices, words
    m[0] = mf_new_method()
    m.name, m.class_name, m.aliases, m.family, m.vectors = name, class_name, aliases, family, b"c"
    m.formula, m.doc, m.reference = formula, doc, reference
    m.order, m.stages, m.n_par, m.par = 1, 1, len(par), p
    m.sizes.n_vis = m.sizes.n_vec = 1
    m.direct, m.room = direct, room
    records.record[records.count] = m
    records.count += 1
    return m
