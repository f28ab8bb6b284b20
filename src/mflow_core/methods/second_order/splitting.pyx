"""Symplectic methods of higher order for x'' = a(t, x): kicks v += k_j dt a(x) and drifts x += d_j dt v in turn.

There are two kinds of records. A *composition* strings together steps of a symmetric method of second order, S(w_1 dt) ... S(w_m dt), whose
weights are a palindrome. With damping="none" S is kick, drift, kick, and neighbouring kicks are one; with damping="implicit" it is central
differences, implicit in v alone, and the composition keeps its order where forces depend on v. A *splitting* has kicks and drifts that are
no such composition; it is made for forces that do not depend on v. Where they do, both take v as it is at the kick: first order.

A step that begins with a kick uses the carried a, which belongs to the end of the step before:

    q times: v1 = v + k_j dt a, x1 = x + d_j dt v1 in one pass, a1 = a(t + c_j dt, x1, v1);        at last v1 += k_last dt a1

A step that begins with a drift needs a at the end for the visible vector alone: one acceleration more. x1 may be x0, vector by vector:
nothing of the start is read once the first pass has been made. Some weights are negative: order 3 and more need that.
"""
from cpython.pycapsule cimport PyCapsule_New

from mflow_core.methods.second_order.between cimport QUINTIC, SEPTIC, between
from mflow_core.methods.second_order.hooks cimport ended, moved
from mflow_core.methods.second_order.passes cimport add, drift, guess, kick_drift
from mflow_core.methods.second_order.records cimport acceleration, choice, new_record, solve, start
from mflow_core.methods.tableau cimport MAX_STAGES, records_t
from mflow_core.types cimport MF_SYMPLECTIC, mf_frame, mf_method

from mflow_core.methods.coefficients import added

cdef enum:
    IMPLICIT = 1                         # of the choice `damping` of compositions


ctypedef struct splitting_t:
    mf_method m
    int q                                # accelerations at x1
    double first, last                   # a drift before the first kick; a kick after the last drift
    double[MAX_STAGES] kick, drift, c    # c: where the acceleration after drift j is taken
    double[MAX_STAGES] w, end            # of a composition: its weights, and where their steps end


cdef int splitting_step(const mf_method *m, mf_frame *f) noexcept nogil:
    cdef const splitting_t *s = <const splitting_t *> m
    cdef const double *a
    cdef double *x1 = f.x1[0]
    cdef double *v1 = f.x1[1]
    cdef double *a1 = f.x1[2]
    cdef bint composed = s.w[0] != 0.0   # of steps that have a constrained form each; drifts of others are not those of RATTLE
    cdef int j, status
    if s.first != 0.0:
        drift(f.n, f.x0[0], f.x0[1], x1, v1, s.first * f.h)
        status = acceleration(f, f.t + s.first * f.h, x1, v1, a1)
        if status == 0:
            kick_drift(f.n, x1, v1, a1, x1, v1, s.drift[0] * f.h, s.kick[0] * f.h)
    else:
        status = start(f, f.work, &a)
        if status == 0:
            kick_drift(f.n, f.x0[0], f.x0[1], a, x1, v1, s.drift[0] * f.h, s.kick[0] * f.h)
    if status == 0 and composed:
        status = moved(f, s.drift[0] * f.h, f.x0[0], x1, v1)
    for j in range(1, s.q):
        if status == 0:
            status = acceleration(f, f.t + s.c[j - 1] * f.h, x1, v1, a1)
        if status != 0:
            return status
        kick_drift(f.n, x1, v1, a1, x1, v1, s.drift[j] * f.h, s.kick[j] * f.h)
        if composed:
            status = moved(f, s.drift[j] * f.h, NULL, x1, v1)
    if status == 0:
        status = acceleration(f, f.t + f.h, x1, v1, a1)
    if status == 0 and s.last != 0.0:
        add(f.n, v1, a1, s.last * f.h)
    return ended(f, NULL) if status == 0 and composed else status


cdef int composed_step(const mf_method *m, mf_frame *f) noexcept nogil:
    """A composition: its splitting, or steps of central differences."""
    cdef const splitting_t *s = <const splitting_t *> m
    cdef const double *a
    cdef const double *x = f.x0[0]
    cdef const double *v = f.x0[1]
    cdef double *x1 = f.x1[0]
    cdef double *v1 = f.x1[1]
    cdef double *a1 = f.x1[2]
    cdef double half, whole
    cdef int j, status
    if f.par[0] != IMPLICIT:
        return splitting_step(m, f)
    status = start(f, f.work, &a)
    if status != 0:
        return status
    for j in range(s.q):
        whole = s.w[j] * f.h
        half = 0.5 * whole
        kick_drift(f.n, x, v, a, x1, v1, whole, half)
        status = moved(f, whole, x if j == 0 else NULL, x1, v1)
        if status != 0:
            return status
        guess(f.n, a, a1)
        status = solve(f, f.t + s.end[j] * f.h, 1.0, x1, v1, 0.0, half, NULL, a1)
        if status != 0:
            return status
        add(f.n, v1, a1, half)
        x, v, a = x1, v1, a1
    return 0


# ---- records -------------------------------------------------------------------------------------------------------------------------

cdef records_t RECORDS

_DAMPING = choice(b"damping", b"none|implicit", b"none: F does not depend on v (if it does: first order). implicit: each part solves for its "
                  b"new velocity, and the order holds with damping")


cdef splitting_t *new(const char *name, const char *class_name, const char *aliases, int order, int stages, list par,
                      const char *formula, const char *doc, const char *reference) except NULL:
    cdef splitting_t *s = <splitting_t *> new_record(&RECORDS, sizeof(splitting_t), name, class_name, aliases, order, stages, par, b"x|v|a", 1,
                                                     composed_step if par else splitting_step)
    s.m.formula, s.m.doc, s.m.reference = formula, doc, reference
    s.m.flags = s.m.flags | MF_SYMPLECTIC
    s.m.dense, s.m.sizes.n_dense = between, SEPTIC if order > 5 else QUINTIC
    return s


cdef int composition(const char *name, const char *class_name, const char *aliases, int order, list w, const char *formula, const char *doc,
                     const char *reference) except -1:
    """w: the weights up to the middle one, which follows from them."""
    cdef splitting_t *s
    cdef double at = 0.0
    cdef int j
    weights = [*w, 1.0 - 2.0 * added(w), *w[::-1]]
    s = new(name, class_name, aliases, order, len(weights), [_DAMPING], formula, doc, reference)
    s.q = len(weights)
    for j in range(s.q):
        at += <double> weights[j]
        s.w[j] = s.drift[j] = weights[j]
        s.kick[j] = 0.5 * s.w[0] if j == 0 else 0.5 * (s.w[j - 1] + s.w[j])
        s.c[j] = s.end[j] = at if j + 1 < s.q else 1.0
    s.last = 0.5 * s.w[s.q - 1]
    return 0


cdef int splitting(const char *name, const char *class_name, const char *aliases, int order, list kicks, list drifts, const char *formula,
                   const char *doc, const char *reference) except -1:
    """All kicks and drifts in turn; the first is of those of which there is one more."""
    cdef bint drifts_first = len(drifts) > len(kicks)
    cdef splitting_t *s = new(name, class_name, aliases, order, min(len(kicks), len(drifts)), [], formula, doc, reference)
    cdef double at
    cdef int j
    s.q, s.first, s.last = s.m.stages, drifts[0] if drifts_first else 0.0, 0.0 if drifts_first else kicks[0]
    at = s.first
    for j in range(s.q):
        s.kick[j], s.drift[j] = kicks[j], drifts[j + 1] if drifts_first else drifts[j]
        at += s.drift[j]
        s.c[j] = at if j + 1 < s.q else 1.0
    return 0


cdef list odd(list half):
    """A palindrome with a middle, whose sum is 1."""
    return [*half, 1.0 - 2.0 * added(half), *half[::-1]]


cdef list even(list half):
    """A palindrome without a middle, whose sum is 1: the last of its half follows from the others."""
    return [*half, 0.5 - added(half), 0.5 - added(half), *half[::-1]]


cdef const char *COMPOSED = b"S(w_1 dt) ... S(w_m dt), S kick, drift, kick: v += dt/2 a, x += dt v, v += dt/2 a"
cdef const char *KICK_FIRST = b"v += k_1 dt a(t, x), x += d_1 dt v, ..., x += d_s dt v, v += k_(s+1) dt a(t, x)"
cdef const char *DRIFT_FIRST = b"x += d_1 dt v, v += k_1 dt a(t, x), ..., v += k_s dt a(t, x), x += d_(s+1) dt v"
cdef double CUBE_ROOT_OF_2 = 1.2599210498948731648

composition(b"yoshida4", b"Yoshida4", b"triple_jump", 4, [1.0 / (2.0 - CUBE_ROOT_OF_2)], COMPOSED,
    b"The triple jump: three steps of leapfrog, the middle one backwards. Its error is large for its order; pefrl and blanes_moan_rkn6 do better.",
    b"H. Yoshida, Phys. Lett. A 150 (1990) 262-268; M. Suzuki, Phys. Lett. A 146 (1990) 319-323")

composition(b"yoshida6", b"Yoshida6", b"", 6, [0.78451361047755726382, 0.23557321335935813368, -1.17767998417887100695], COMPOSED,
    b"Seven steps of leapfrog: Yoshida's solution A of order 6.",
    b"H. Yoshida, Phys. Lett. A 150 (1990) 262-268")

composition(b"yoshida8", b"Yoshida8", b"", 8,
    [0.62903065021037079990, 1.36934946416881770056, -1.06458714789182507054, 1.66335809963350517976, -1.67896928259673847121,
     -1.55946803821470258821, 0.31179081241846677255], COMPOSED,
    b"Fifteen steps of leapfrog: Yoshida's solution C of order 8, whose weights and error are the smallest of his, at most 1.68; those of "
    b"suzuki_umeno8 are at most 0.8.",
    b"H. Yoshida, Phys. Lett. A 150 (1990) 262-268; weights polished to 20 digits")

composition(b"suzuki_umeno8", b"SuzukiUmeno8", b"", 8,
    [0.74167036435061295345, -0.40910082580003159400, 0.19075471029623837995, -0.57386247111608226666, 0.29906418130365592384,
     0.33462491824529818378, 0.31529309239676659663], COMPOSED,
    b"Fifteen steps of leapfrog, of order 8 with small weights: of the methods of order 8 here the one to take.",
    b"M. Suzuki and K. Umeno, in: Computer Simulation Studies in Condensed-Matter Physics VI (Springer, 1993) 74-86; E. Hairer, C. Lubich and "
    b"G. Wanner, Geometric Numerical Integration (2006), V.3.2")

splitting(b"forest_ruth", b"ForestRuth", b"", 4, odd([1.0 / (2.0 - CUBE_ROOT_OF_2)]), even([0.5 / (2.0 - CUBE_ROOT_OF_2)]), DRIFT_FIRST,
    b"The triple jump with a drift first: yoshida4, kicks and drifts exchanged.",
    b"E. Forest and R. Ruth, Physica D 43 (1990) 105-117")

splitting(b"pefrl", b"PEFRL", b"", 4, even([0.5 - -0.2123418310626054]), odd([0.1786178958448091, -0.06626458266981849]), DRIFT_FIRST,
    b"Forest and Ruth's method with one force more and an error some 26 times smaller: position extended Forest-Ruth-like.",
    b"I. Omelyan, I. Mryglod and R. Folk, Computer Physics Communications 146 (2002) 188-202")

splitting(b"blanes_moan_s6", b"BlanesMoanS6", b"", 4, even([0.209515106613362, -0.143851773179818]),
    odd([0.0792036964311957, 0.353172906049774, -0.0420650803577195]), DRIFT_FIRST,
    b"Six stages of order 4, whose error is small because two of the stages are spent on it.",
    b"S. Blanes and P. Moan, J. Comput. Appl. Math. 142 (2002) 313-330, S6")

splitting(b"blanes_moan_rkn6", b"BlanesMoanRKN6", b"", 4, odd([0.0829844064174052, 0.396309801498368, -0.0390563049223486]),
    even([0.245298957184271, 0.604872665711080]), KICK_FIRST,
    b"Six stages of order 4, made for x'' = a(x) alone: a smaller error than blanes_moan_s6.",
    b"S. Blanes and P. Moan, J. Comput. Appl. Math. 142 (2002) 313-330, SRKN6 b")

splitting(b"blanes_moan_rkn11", b"BlanesMoanRKN11", b"", 6,
    even([0.0414649985182624, 0.198128671918067, -0.0400061921041533, 0.0752539843015807, -0.0115113874206879]),
    odd([0.123229775946271, 0.290553797799558, -0.127049212625417, -0.246331761062075, 0.357208872795928]), KICK_FIRST,
    b"Eleven stages of order 6, made for x'' = a(x) alone.",
    b"S. Blanes and P. Moan, J. Comput. Appl. Math. 142 (2002) 313-330, SRKN11 b")


_records = PyCapsule_New(<void *> RECORDS.record, b"mflow_core._rows", NULL)
