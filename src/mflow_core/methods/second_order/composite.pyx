"""Two implicit substeps a step for M x'' = F(t, x, v): the rho_inf-Bathe method, which is TR-BDF2 at rho_inf = 0.

To t + g dt by the trapezoidal rule (average acceleration), with a_g there; then from all three points

    v+ = v + dt (q0 a + q1 a_g + q2 a+),    x+ = x + dt (q0 v + q1 v_g + q2 v+),    a+ = M^-1 F(t+, x+, v+)
    q1 = (rho + 1) / (2 g (rho - 1) + 4),   q0 = (g - 1) q1 + 1/2,   q2 = 1/2 - g q1

g = 2 / (2 + sqrt(2 + 2 rho)) is the one for which q2 = g/2: both substeps then solve with the same matrix, which linear problems factor
once. (The paper has it as (2 - sqrt(2 + 2 rho)) / (1 - rho), which loses digits near rho = 1.)

The local error of y = (x, v) is K dt^3 y''' with K = (q1 g^2 + q2)/2 - 1/6, since both substeps are exact for parabolas; y''' is the second
divided difference of the slopes at the three points:

    e = 2 K dt (y'/g - y_g'/(g (1 - g)) + y+'/(1 - g))

work: a of the start where it is not carried; x, v and a at t + g dt. x1 may be x0: the start is read for the last time when the predictors of
the second substep are written, entry by entry.
"""
from cpython.pycapsule cimport PyCapsule_New
from libc.math cimport sqrt
from libc.stddef cimport ptrdiff_t
from libc.string cimport memcpy

from mflow_core.methods.second_order.hooks cimport ended
from mflow_core.methods.second_order.passes cimport correct, guess, taylor
from mflow_core.methods.second_order.records cimport new_record, real, solve, start
from mflow_core.methods.tableau cimport records_t
from mflow_core.types cimport MF_EMBEDDED, MF_IMPLICIT, mf_frame, mf_method


cdef int bathe_step(const mf_method *m, mf_frame *f) noexcept nogil:
    cdef double rho = f.par[0], h = f.h, g, q0, q1, q2, s, vi, ai, of_start, of_middle, of_end, size
    cdef double *e_x = f.err
    cdef double *e_v = f.err + f.ld if f.err != NULL else NULL
    cdef const double *a
    cdef const double *x = f.x0[0]
    cdef const double *v = f.x0[1]
    cdef double *xg = f.work + f.ld
    cdef double *vg = f.work + 2 * f.ld
    cdef double *ag = f.work + 3 * f.ld
    cdef double *a1 = f.x1[2]
    cdef ptrdiff_t i, n = f.n
    cdef int status = start(f, f.work, &a)
    if status != 0:
        return status
    g = 2.0 / (2.0 + sqrt(2.0 + 2.0 * rho))
    q1 = (rho + 1.0) / (2.0 * g * (rho - 1.0) + 4.0)
    q0, q2 = (g - 1.0) * q1 + 0.5, 0.5 * g
    s = q2 * h
    taylor(n, x, v, a, xg, vg, g * h, s * s, s)
    guess(n, a, ag)
    status = solve(f, f.t + g * h, 1.0, xg, vg, s * s, s, NULL, ag)
    if status != 0:
        return status
    correct(n, xg, vg, ag, s * s, s)
    of_start, of_middle, of_end = 1.0 / g, 1.0 / (g * (1.0 - g)), 1.0 / (1.0 - g)
    for i in range(n if f.err != NULL else 0):
        e_x[i] = of_start * v[i] - of_middle * vg[i]
        e_v[i] = of_start * a[i] - of_middle * ag[i]
    for i in range(n):
        vi, ai = v[i], a[i]
        f.x1[1][i] = vi + h * (q0 * ai + q1 * ag[i])
        f.x1[0][i] = x[i] + (h * (q0 * vi + q1 * vg[i]) + s * f.x1[1][i])
    memcpy(a1, ag, n * sizeof(double))
    status = solve(f, f.t + h, 1.0, f.x1[0], f.x1[1], s * s, s, NULL, a1)
    if status != 0:
        return status
    correct(n, f.x1[0], f.x1[1], a1, s * s, s)
    size = (q1 * (g * g) + q2 - 1./3) * h
    for i in range(n if f.err != NULL else 0):
        e_x[i] = size * (e_x[i] + of_end * f.x1[1][i])
        e_v[i] = size * (e_v[i] + of_end * a1[i])
    return ended(f, a1)


cdef records_t RECORDS

cdef mf_method *made = <mf_method *> new_record(&RECORDS, sizeof(mf_method), b"bathe", b"Bathe", b"rho_inf_bathe|tr_bdf2_motion", 2, 2,
    [real(b"rho_inf", 0.0, 0.0, 1.0, b"spectral radius at infinite frequency: 0 kills it in a step (TR-BDF2), 1 keeps everything")], b"x|v|a", 4,
    bathe_step)
made.flags = made.flags | MF_IMPLICIT | MF_EMBEDDED
made.order_hat, made.sizes.n_err = 2, 2
made.formula = (b"average acceleration to t + g dt, then v+ = v + dt (q0 a + q1 a_g + q2 a+), x+ = x + dt (q0 v + q1 v_g + q2 v+), "
                b"a+ = M^-1 F(t+, x+, v+), q2 = g/2 = 1/2 - g q1")
made.doc = (b"The rho_inf-Bathe method, TR-BDF2 for second order at rho_inf = 0: two implicit substeps with one matrix, stable for every step; "
            b"of the implicit methods here it changes periods and amplitudes least for what it costs, two solves a step.")
made.reference = (b"G. Noh and K.-J. Bathe, Comput. Struct. 212 (2019) 299-310; R. Bank et al., IEEE Trans. Electron Devices 32 (1985) "
                  b"1992-2007")

_records = PyCapsule_New(<void *> RECORDS.record, b"mflow_core._rows", NULL)
