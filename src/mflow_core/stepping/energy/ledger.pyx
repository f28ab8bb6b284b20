"""Where the energy of a second-order run went: kinetic, potential, work of the load, damping, numerical, and what does not add up.

Works are those of the forces at the ends of steps, by the trapezoidal rule along the path: with bars for the mean of both ends and D for the
difference, Dx'fbar and Dx'C vbar. Where M a = F holds at both ends, the change of energy over a step is

    D[v'Mv/2 + x'Kx/2] = Dx'fbar - Dx'C vbar + N,        N = D[v'Mv/2] - Dx'M abar

whatever the method: N, the kinetic energy that appeared beyond the work of all forces, is what the step itself put in. It is computed from
this formula, never as a remainder, and the residual shows that all of it adds up to the energy at hand. Methods whose relations are Newmark's
with gamma = 1/2, x+ = x + dt vbar + s Da and v+ = v + dt abar with s = (beta - 1/4) dt^2, make it

    N = -D[s a'Ma/2]

(T. Belytschko and D. Schoeberle, J. Appl. Mech. 42 (1975) 865-869; S. Krenk, Comput. Methods Appl. Mech. Eng. 195 (2006) 6110-6124), which is
asked for where energies are saved, and costs nothing between. For the others Dx'M abar is asked for at each step, by the kinetic energies of
motions with v = abar + Dx and v = abar - Dx. Kinetic energy and potential are asked for at saved steps only; load and damping at each step,
where they exist.

In hht and generalized alpha the a of the recurrence is not M^-1 F; that is phi, which the method carries beside it and which stands in the
place of a here. With its load shifted the method has no force at the ends of a step, and no formula; nor have methods that leave an a behind
which is not that of the new velocity. They have NaN in the numerical column; their gain or loss stands in the residual. Where a force with a
potential stands beside the matrices, the residual is what the trapezoidal rule of that force is off by.

Inside a step the state is an interpolant with M a = F (a is asked for there), and the first formula holds from the start of the step to it.
"""
from libc.math cimport NAN, fabs
from libc.stdint cimport uintptr_t
from libc.stdlib cimport calloc, free

from mflow_core.arithmetic.memory cimport mf_zeros, stride_of


cdef ledger_t *ledger_make(mf_energy_fn energy, mf_energy_fn inertia, void *ctx, ptrdiff_t n, int formula, double beta, bint each_step,
                           bint apart, bint tells) noexcept nogil:
    """NULL where there is no memory. inertia NULL: energy tells v'Mv/2 of any v at no cost beyond it. tells: MF_TELLS of hooks.pxd."""
    cdef ledger_t *book = <ledger_t *> calloc(1, sizeof(ledger_t))
    cdef ptrdiff_t padded = stride_of(n)
    if book == NULL:
        return NULL
    book.block = mf_zeros(4 * padded * sizeof(double) + 64, 1)
    if book.block == NULL:
        free(book)
        return NULL
    book.dx = <double *> ((<uintptr_t> book.block + 63) // 64 * 64)
    book.mean, book.zero, book.sum = book.dx + padded, book.dx + 2 * padded, book.dx + 3 * padded
    book.energy, book.ctx, book.n, book.formula, book.each_step = energy, ctx, n, formula, each_step
    book.inertia = energy if inertia == NULL else inertia
    book.beta, book.apart, book.hooks = beta, apart, <hooks_t *> ctx if tells else NULL
    return book


cdef void ledger_release(ledger_t *book) noexcept nogil:
    if book != NULL:
        free(book.block)
        free(book)


cdef bint ledger_idle(const ledger_t *book, double h) noexcept nogil:
    """Whether steps of h leave nothing to book, save what `ledger_told` does."""
    return ((not book.each_step or (book.hooks != NULL and book.hooks.alone))
            and (book.formula == NUMERICAL_NONE or (book.formula == NUMERICAL_NEWMARK and book.h == h)))


cdef inline void put(double *sum, double term) noexcept nogil:
    """sum (hi + lo) += term, with the rounding error kept (Knuth's two-sum)."""
    cdef double total = sum[0] + term, part = total - sum[0]
    sum[1] += (sum[0] - (total - part)) + (term - part)
    sum[0] = total


cdef bint ledger_told(ledger_t *book) noexcept nogil:
    """Books the work of damping that a step has told, and which is all that it has to book. False: there is none."""
    cdef double took = book.hooks.told
    if took != took:
        return False
    put(book.damping, took)
    book.hooks.told = NAN
    return True


cdef int energies_by(ledger_t *book, mf_energy_fn energy, double t, const double *x, const double *v, double *e) noexcept nogil:
    cdef const double *y[3]
    y[0], y[1], y[2] = x, v, book.zero
    e[0] = e[1] = e[2] = e[3] = 0.0
    return energy(t, NULL, t, y, e, book.n, book.ctx)


cdef int state_energies(ledger_t *book, double t, const double *x, const double *v, double *e) noexcept nogil:
    """e[0] = v'Mv/2, e[1] = potential at x."""
    return energies_by(book, book.energy, t, x, v, e)


cdef int kinetic(ledger_t *book, double t, const double *v, double *of) noexcept nogil:
    """of = v'Mv/2, of any vector."""
    cdef double[4] e
    cdef int status = energies_by(book, book.inertia, t, book.zero, v, e)
    of[0] = e[0]
    return status


cdef inline double factor(const ledger_t *book) noexcept nogil:
    """s = (beta - 1/4) dt^2."""
    return (book.beta - 0.25) * (book.h * book.h)


cdef int ledger_start(ledger_t *book, double t, const double *const *y) noexcept nogil:
    """The accounts are empty, and the energy is that of this state."""
    cdef double[4] e
    cdef int status = state_energies(book, t, y[0], y[1], e)
    book.start, book.base = e[0] + e[1], e[0] if book.formula == NUMERICAL_ENDS else 0.0
    book.load[0] = book.load[1] = book.damping[0] = book.damping[1] = book.numerical[0] = book.numerical[1] = book.h = 0.0
    return status


cdef int change_step(ledger_t *book, double t, const double *a, double h) noexcept nogil:
    """From here on the steps are of h: what s a'Ma/2 has changed by so far is booked."""
    cdef double now
    cdef int status = kinetic(book, t, a, &now)
    put(book.numerical, -factor(book) * (now - book.base))
    book.h, book.base = h, now
    return status


cdef int ledger_step(ledger_t *book, double t0, const double *const *y0, double t1, const double *const *y1, double h) noexcept nogil:
    """Books a step that was accepted."""
    cdef const double *start[3]
    cdef const double *end[3]
    cdef int status
    if book.apart:
        start[0], start[1], start[2] = y0[0], y0[1], y0[3]
        end[0], end[1], end[2] = y1[0], y1[1], y1[3]
        y0, y1 = start, end
    status = book_works(book, t0, y0, t1, y1)
    if status == 0 and book.formula == NUMERICAL_NEWMARK and h != book.h:
        status = change_step(book, t0, y0[2], h)
    return book_inner_work(book, y0, t1, y1) if status == 0 and book.formula == NUMERICAL_ENDS else status


cdef int book_works(ledger_t *book, double t0, const double *const *y0, double t1, const double *const *y1) noexcept nogil:
    """Work of the load, and what damping took."""
    cdef double[4] e
    cdef int status
    if not book.each_step:
        return 0
    e[0] = e[1] = e[2] = e[3] = 0.0
    status = book.energy(t0, y0, t1, y1, e, book.n, book.ctx)
    if status == 0:
        put(book.load, e[2])
        put(book.damping, e[3])
    return status


cdef int book_inner_work(ledger_t *book, const double *const *y0, double t1, const double *const *y1) noexcept nogil:
    """Takes Dx'M abar off, by the kinetic energies of abar + Dx and abar - Dx, which are made equally large first."""
    cdef double *dx = book.dx
    cdef double *mean = book.mean
    cdef double *sum = book.sum
    cdef double of_x = 0.0, of_a = 0.0, plus, minus, scale
    cdef ptrdiff_t i
    cdef int status
    for i in range(book.n):
        dx[i] = y1[0][i] - y0[0][i]
        mean[i] = 0.5 * y0[2][i] + 0.5 * y1[2][i]
    for i in range(book.n):
        of_x, of_a = max(of_x, fabs(dx[i])), max(of_a, fabs(mean[i]))
    if of_x == 0.0 or of_a == 0.0:
        return 0
    scale = of_x / of_a
    for i in range(book.n):
        sum[i] = scale * mean[i] + dx[i]
    status = kinetic(book, t1, sum, &plus)
    if status != 0:
        return status
    for i in range(book.n):
        sum[i] = scale * mean[i] - dx[i]
    status = kinetic(book, t1, sum, &minus)
    put(book.numerical, -0.5 * (plus - minus) / scale)
    return status


cdef int ledger_part(ledger_t *book, double t0, const double *const *y0, double t1, const double *const *y1, double h) noexcept nogil:
    """Books the part of a step that leads to a state inside it: x and v of an interpolant, a = M^-1 F there. The last entry, or a jump
    follows: Newmark's term has ended at the start of the step."""
    cdef const double *start[3]
    cdef double before = 0.0, now = 0.0
    cdef int status
    start[0], start[1], start[2] = y0[0], y0[1], y0[3] if book.apart else y0[2]
    status = book_works(book, t0, start, t1, y1)
    if status != 0 or book.formula == NUMERICAL_NONE:
        return status
    if book.formula == NUMERICAL_NEWMARK:
        status = change_step(book, t0, start[2], 0.0)
        if status == 0:
            status = kinetic(book, t0, start[1], &before)
        if status == 0:
            status = kinetic(book, t1, y1[1], &now)
        put(book.numerical, -before)
        put(book.numerical, now)
    return book_inner_work(book, start, t1, y1) if status == 0 else status


cdef int ledger_leave(ledger_t *book, double t, const double *const *y) noexcept nogil:
    """The state is about to jump: what the numerical term has changed by is booked. With `ledger_enter` the jump's energy counts as the load's
    work."""
    cdef double[4] e
    cdef double inertia = 0.0
    cdef int status = state_energies(book, t, y[0], y[1], e)
    if status == 0 and book.formula == NUMERICAL_NEWMARK:
        status = kinetic(book, t, y[2], &inertia)
    if status == 0:
        put(book.load, -(e[0] + e[1]))
        if book.formula == NUMERICAL_NEWMARK:
            put(book.numerical, -factor(book) * (inertia - book.base))
        elif book.formula == NUMERICAL_ENDS:
            put(book.numerical, e[0] - book.base)
    return status


cdef int ledger_enter(ledger_t *book, double t, const double *const *y) noexcept nogil:
    """The state has jumped to this one."""
    cdef double[4] e
    cdef int status = state_energies(book, t, y[0], y[1], e)
    if status == 0:
        put(book.load, e[0] + e[1])
        book.base = e[0]
    if status == 0 and book.formula == NUMERICAL_NEWMARK:
        status = kinetic(book, t, y[2], &book.base)
    return status


cdef void ledger_pack(const ledger_t *book, double *state) noexcept nogil:
    state[0], state[1], state[2], state[3] = book.load[0], book.load[1], book.damping[0], book.damping[1]
    state[4], state[5], state[6], state[7], state[8] = book.numerical[0], book.numerical[1], book.start, book.h, book.base


cdef void ledger_unpack(ledger_t *book, const double *state) noexcept nogil:
    book.load[0], book.load[1], book.damping[0], book.damping[1] = state[0], state[1], state[2], state[3]
    book.numerical[0], book.numerical[1], book.start, book.h, book.base = state[4], state[5], state[6], state[7], state[8]


cdef int ledger_row(ledger_t *book, double t, const double *const *y, double *row) noexcept nogil:
    """The six columns at a state that the last booked step has led to."""
    cdef double[4] e
    cdef double numerical = book.numerical[0] + book.numerical[1], inertia = 0.0, change
    cdef int status = state_energies(book, t, y[0], y[1], e)
    if status == 0 and book.formula == NUMERICAL_NEWMARK:
        status = kinetic(book, t, y[2], &inertia)
        numerical += -factor(book) * (inertia - book.base)
    elif book.formula == NUMERICAL_ENDS:
        numerical += e[0] - book.base
    change = (e[0] + e[1]) - book.start
    row[0], row[1] = e[0], e[1]
    row[2], row[3] = book.load[0] + book.load[1], book.damping[0] + book.damping[1]
    row[4] = numerical
    row[5] = ((change - row[2]) + row[3]) - numerical
    if book.formula == NUMERICAL_NONE:
        row[4] = NAN
    return status
