"""Where the energy of a second-order run went: kinetic, potential, work of the load, damping, numerical, and what does not add up.

For Newmark's family the change of energy over a step is, bars for the mean of both ends, D for the difference,

    D[v'Mv/2 + x'Kx/2] = Dx'(fbar + (gamma - 1/2) Df) - Dx'C(vbar + (gamma - 1/2) Dv)
                         - (gamma - 1/2) [Dx'K Dx + s Da'M Da] - D[s a'Ma/2],       s = (beta - gamma/2) dt^2

(T. Belytschko and D. Schoeberle, J. Appl. Mech. 42 (1975) 865-869; S. Krenk, Comput. Methods Appl. Mech. Eng. 195 (2006) 6110-6124). The first
two terms are the load's work and the damping's, the rest is numerical: it is computed from this formula, never as a remainder, and
the residual shows that all of it adds up to the energy at hand. Kinetic energy and potential are asked for at saved steps only; load and
damping at each step, where they exist; the numerical term needs products at each step only where gamma is not 1/2. Its quadratic forms
are energies as well: Da'M Da/2 is the kinetic energy of a motion with v = Da.

In hht and generalized alpha Newmark's relations hold for the a of the recurrence, and F is that of phi = M^-1 F at the ends, which the method
carries beside it: works and the potential are those above, with phi in place of a, and what a is apart from phi, r = a - phi, adds

    Dx'M (rbar + (gamma - 1/2) Dr)

to the numerical term, since D[v'Mv/2] = Dx'M (abar + (gamma - 1/2) Da) - D[s a'Ma/2] - (gamma - 1/2) s Da'M Da whatever a is. It vanishes at
alpha = 0, where the method is Newmark's. With its load shifted the method has no force at the ends of a step, and no formula.

A method without such a formula has NaN in the numerical column; its gain or loss stands in the residual. Where a force with a potential
stands beside the matrices, the terms above are those of the matrices, and the residual is what the step's quadrature of the force is off by.

Inside a step the state is an interpolant, which obeys M a = F (a is asked for there) but not Newmark's relations. With its defects

    e_x = Dx - (dt vbar + s Da),    e_v = Dv - dt (abar + (gamma - 1/2) Da)

the same derivation gives one more numerical term, e_v'M vbar - (abar + (gamma - 1/2) Da)'M e_x: with it the books close at any time.
"""
from libc.math cimport NAN, fabs
from libc.stdint cimport uintptr_t
from libc.stdlib cimport calloc, free


cdef ledger_t *ledger_make(mf_energy_fn energy, mf_energy_fn forms, void *ctx, ptrdiff_t n, int formula, double beta, double gamma,
                           bint each_step, bint apart) noexcept nogil:
    """NULL where there is no memory. forms NULL: energy is quadratic."""
    cdef ledger_t *book = <ledger_t *> calloc(1, sizeof(ledger_t))
    cdef ptrdiff_t padded = (n + 7) // 8 * 8
    if book == NULL:
        return NULL
    book.block = calloc(4 * padded * sizeof(double) + 64, 1)
    if book.block == NULL:
        free(book)
        return NULL
    book.dx = <double *> ((<uintptr_t> book.block + 63) // 64 * 64)
    book.da, book.zero, book.sum = book.dx + padded, book.dx + 2 * padded, book.dx + 3 * padded
    book.energy, book.ctx, book.n, book.formula, book.each_step = energy, ctx, n, formula, each_step
    book.forms = energy if forms == NULL else forms
    book.beta, book.gamma, book.apart = beta, gamma, apart
    return book


cdef void ledger_release(ledger_t *book) noexcept nogil:
    if book != NULL:
        free(book.block)
        free(book)


cdef inline void put(double *sum, double term) noexcept nogil:
    """sum (hi + lo) += term, with the rounding error kept (Knuth's two-sum)."""
    cdef double total = sum[0] + term, part = total - sum[0]
    sum[1] += (sum[0] - (total - part)) + (term - part)
    sum[0] = total


cdef int energies_by(ledger_t *book, mf_energy_fn energy, double t, const double *x, const double *v, double *e) noexcept nogil:
    cdef const double *y[3]
    y[0], y[1], y[2] = x, v, book.zero
    e[0] = e[1] = e[2] = e[3] = 0.0
    return energy(t, NULL, t, y, e, book.n, book.ctx)


cdef int state_energies(ledger_t *book, double t, const double *x, const double *v, double *e) noexcept nogil:
    """e[0] = v'Mv/2, e[1] = potential at x."""
    return energies_by(book, book.energy, t, x, v, e)


cdef int state_forms(ledger_t *book, double t, const double *x, const double *v, double *e) noexcept nogil:
    """e[0] = v'Mv/2, e[1] = x'Kx/2, of any vectors."""
    return energies_by(book, book.forms, t, x, v, e)


cdef inline double factor(const ledger_t *book) noexcept nogil:
    """s = (beta - gamma/2) dt^2."""
    return (book.beta - 0.5 * book.gamma) * (book.h * book.h)


cdef int ledger_start(ledger_t *book, double t, const double *const *y) noexcept nogil:
    """The accounts are empty, and the energy is that of this state."""
    cdef double[4] e
    cdef int status = state_energies(book, t, y[0], y[1], e)
    book.start = e[0] + e[1]
    book.load[0] = book.load[1] = book.damping[0] = book.damping[1] = book.numerical[0] = book.numerical[1] = book.h = book.inertia = 0.0
    return status


cdef int change_step(ledger_t *book, double t, const double *a, double h) noexcept nogil:
    """From here on the steps are of h: what s a'Ma/2 has changed by so far is booked."""
    cdef double[4] e
    cdef int status = state_forms(book, t, book.zero, a, e)
    put(book.numerical, -factor(book) * (e[0] - book.inertia))
    book.h, book.inertia = h, e[0]
    return status


cdef int ledger_step(ledger_t *book, double t0, const double *const *y0, double t1, const double *const *y1, double h) noexcept nogil:
    """Books a step that was accepted."""
    return book_step(book, t0, y0, t1, y1, y1[3] if book.apart else NULL, h)


cdef int book_step(ledger_t *book, double t0, const double *const *y0, double t1, const double *const *y1, const double *phi1,
                   double h) noexcept nogil:
    """Works and the numerical term of a step. phi1: M^-1 F at its end, where a is not that; it is y0[3] at the start then."""
    cdef const double *start[3]
    cdef const double *end[3]
    cdef double lean = book.gamma - 0.5, term
    cdef ptrdiff_t i
    cdef int status
    if not book.apart:
        status = book_works(book, t0, y0, t1, y1)
        return status if status != 0 else book_numerical(book, t0, y0, t1, y1, h)
    start[0], start[1], start[2] = y0[0], y0[1], y0[3]
    end[0], end[1], end[2] = y1[0], y1[1], phi1
    status = book_works(book, t0, start, t1, end)
    if status == 0:
        status = book_numerical(book, t0, y0, t1, y1, h)
    if status != 0:
        return status
    for i in range(book.n):
        book.dx[i] = y1[0][i] - y0[0][i]
        book.da[i] = (0.5 - lean) * (y0[2][i] - y0[3][i]) + (0.5 + lean) * (y1[2][i] - phi1[i])
    term = product(book, t1, book.dx, book.da, &status)
    put(book.numerical, term)
    return status


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


cdef int book_numerical(ledger_t *book, double t0, const double *const *y0, double t1, const double *const *y1, double h) noexcept nogil:
    """Newmark's terms of the numerical column."""
    cdef double[4] e
    cdef double lean = book.gamma - 0.5
    cdef ptrdiff_t i
    cdef int status
    if book.formula == NUMERICAL_NONE:
        return 0
    if h != book.h:
        status = change_step(book, t0, y0[2], h)
        if status != 0:
            return status
    if lean == 0.0:
        return 0
    for i in range(book.n):
        book.dx[i] = y1[0][i] - y0[0][i]
        book.da[i] = y1[2][i] - y0[2][i]
    status = state_forms(book, t1, book.dx if book.formula == NUMERICAL_LINEAR else book.zero, book.da, e)
    put(book.numerical, -2.0 * lean * (e[1] + factor(book) * e[0]))
    return status


cdef double product(ledger_t *book, double t, const double *u, const double *w, int *status) noexcept nogil:
    """u'Mw, by the kinetic energies of w + u and w - u; of a method whose a is not phi, of vectors that are made equally large first."""
    cdef double[4] plus, minus
    cdef double *sum = book.sum
    cdef double of_u = 0.0, of_w = 0.0, scale = 1.0
    cdef ptrdiff_t i
    status[0] = 0
    if book.apart:
        for i in range(book.n):
            of_u, of_w = max(of_u, fabs(u[i])), max(of_w, fabs(w[i]))
        if of_u == 0.0 or of_w == 0.0:
            return 0.0
        scale = of_u / of_w
    for i in range(book.n):
        sum[i] = scale * w[i] + u[i]
    status[0] = state_forms(book, t, book.zero, sum, plus)
    if status[0] != 0:
        return NAN
    for i in range(book.n):
        sum[i] = scale * w[i] - u[i]
    status[0] = state_forms(book, t, book.zero, sum, minus)
    if status[0] != 0:
        return NAN
    return 0.5 * (plus[0] - minus[0]) / scale


cdef int ledger_part(ledger_t *book, double t0, const double *const *y0, double t1, const double *const *y1, double h) noexcept nogil:
    """Books the part of a step that leads to a state inside it: x and v of an interpolant, a = M^-1 F there."""
    cdef double lean = book.gamma - 0.5, s, term
    cdef ptrdiff_t i
    cdef int status = book_step(book, t0, y0, t1, y1, y1[2], h)
    if status != 0 or book.formula == NUMERICAL_NONE:
        return status
    for i in range(book.n):
        book.dx[i] = (y1[1][i] - y0[1][i]) - h * ((0.5 - lean) * y0[2][i] + (0.5 + lean) * y1[2][i])
        book.da[i] = 0.5 * (y0[1][i] + y1[1][i])
    term = product(book, t1, book.dx, book.da, &status)
    if status != 0:
        return status
    put(book.numerical, term)
    s = factor(book)
    for i in range(book.n):
        book.dx[i] = (y1[0][i] - y0[0][i]) - (0.5 * h * (y0[1][i] + y1[1][i]) + s * (y1[2][i] - y0[2][i]))
        book.da[i] = (0.5 - lean) * y0[2][i] + (0.5 + lean) * y1[2][i]
    term = product(book, t1, book.dx, book.da, &status)
    put(book.numerical, -term)
    return status


cdef int ledger_leave(ledger_t *book, double t, const double *const *y) noexcept nogil:
    """The state is about to jump: what s a'Ma/2 has changed by is booked. With `ledger_enter` the jump's energy counts as the load's work."""
    cdef double[4] e, of_a
    cdef int status = state_energies(book, t, y[0], y[1], e)
    if status == 0:
        status = state_forms(book, t, book.zero, y[2], of_a)
    if status == 0:
        put(book.load, -(e[0] + e[1]))
        if book.formula != NUMERICAL_NONE:
            put(book.numerical, -factor(book) * (of_a[0] - book.inertia))
    return status


cdef int ledger_enter(ledger_t *book, double t, const double *const *y) noexcept nogil:
    """The state has jumped to this one."""
    cdef double[4] e, of_a
    cdef int status = state_energies(book, t, y[0], y[1], e)
    if status == 0:
        status = state_forms(book, t, book.zero, y[2], of_a)
    if status == 0:
        put(book.load, e[0] + e[1])
        book.inertia = of_a[0]
    return status


cdef void ledger_pack(const ledger_t *book, double *state) noexcept nogil:
    state[0], state[1], state[2], state[3] = book.load[0], book.load[1], book.damping[0], book.damping[1]
    state[4], state[5], state[6], state[7], state[8] = book.numerical[0], book.numerical[1], book.start, book.h, book.inertia


cdef void ledger_unpack(ledger_t *book, const double *state) noexcept nogil:
    book.load[0], book.load[1], book.damping[0], book.damping[1] = state[0], state[1], state[2], state[3]
    book.numerical[0], book.numerical[1], book.start, book.h, book.inertia = state[4], state[5], state[6], state[7], state[8]


cdef int ledger_row(ledger_t *book, double t, const double *const *y, double *row) noexcept nogil:
    """The six columns at a state that the last booked step has led to."""
    cdef double[4] e, of_a
    cdef double numerical = book.numerical[0] + book.numerical[1], change
    cdef int status = state_energies(book, t, y[0], y[1], e)
    if status == 0 and book.formula != NUMERICAL_NONE:
        status = state_forms(book, t, book.zero, y[2], of_a)
        numerical += -factor(book) * (of_a[0] - book.inertia)
    change = (e[0] + e[1]) - book.start
    row[0], row[1] = e[0], e[1]
    row[2], row[3] = book.load[0] + book.load[1], book.damping[0] + book.damping[1]
    row[4] = numerical
    row[5] = ((change - row[2]) + row[3]) - numerical
    if book.formula == NUMERICAL_NONE:
        row[4] = NAN
    return status
