# cython: language_level=3
"""Records of optimizers: gradient flow c' = -grad f(c) by elementwise updates. lr is dt.

`begin` turns the scalars of one step (schedules, bias corrections) into a few coefficients. `update` is one elementwise pass over c, the
optimizer's vectors and the gradient. `ask`, which some optimizers have, writes the point at which the gradient is needed. So chunks,
threads and a thousand small tensors share one `begin`, and any split of the range gives the same bits.

All end their parameter list with weight_decay, decoupled_weight_decay and clip_value, and form the gradient they use on the fly:

    g <- clip(gscale g, +-clip_value) + decay c,        c <- c - shrink c + (the optimizer's step)

with (decay, shrink) = (weight_decay, 0), or (0, lr weight_decay) if the decay is decoupled. gscale carries `maximize` (-1),
accumulation (1/m) and clipping by the global norm.

x[0] is c, x[1] ... the optimizer's vectors, 0 at the start unless `start` fills them; none may overlap, nor g. Powers beta^t are running
products in double-double arithmetic (Dekker), exact to the last bit over 1e6 steps, and 0 below 2^-60; where beta is another one than in
the step before, all of it is made anew by squaring. No libm but sqrt, no fma: the same bits on every machine.

To add an optimizer, write four things in a file of this folder and its few lines of NumPy, from the paper, in
tests/support/oracles/reference.py:

    begin       once a step. `w = common(m, par, lr, coef)` writes the shared coefficients; then w[0], w[1] ... are yours, at most 12.
                k counts the steps from 0; `scal` is kept from step to step, and saved
    element     the mathematics: from g, the entries s[0], s[1] ... of your vectors, updated in place, and w, the addition to c
    update      one line: `apply(element, number of your vectors, ...)`
    record      `optimizer(...)`, in the table at the file's end

The element is branch-free, so that the loop vectorises: conditions choose between two values. A NaN in g must reach c and
every vector in which a small change of g would be seen: comparisons with NaN are false, so let the last choice be the number itself, as
`larger` does.
"""
from libc.math cimport INFINITY
from libc.stdlib cimport calloc

from mflow_core.methods.optimizers.elementwise cimport OWN, WIDTH
from mflow_core.types cimport (MF_BOOL, MF_LOWER_OPEN, MF_REAL, MF_UPPER_OPEN, mf_begin_fn, mf_method, mf_new_method, mf_param,
                               mf_update_fn)


cdef enum:
    MOST_OPTIMIZERS = 24                 # in one file


ctypedef struct optimizers_t:            # NULL ends them
    mf_method *record[MOST_OPTIMIZERS + 1]
    int count


cdef inline tuple real(const char *name, value, lower, upper, const char *doc, int open=0):
    return (name, value, lower, upper, MF_REAL, open, b"", doc)


cdef inline tuple boolean(const char *name, value, const char *doc):
    return (name, value, 0, 1, MF_BOOL, 0, b"", doc)


cdef inline tuple learning_rate(value, const char *doc=b"learning rate: the time step dt of the flow"):
    return real(b"lr", value, 0, INFINITY, doc, MF_UPPER_OPEN)


cdef inline tuple epsilon(value, const char *doc=b"added to the denominator, outside the root"):
    return real(b"eps", value, 0, INFINITY, doc, MF_UPPER_OPEN)


cdef inline list betas(b1, b2, const char *second=b"decay of the mean of g^2"):
    return [real(b"betas[0]", b1, 0, 1, b"decay of the mean of g", MF_UPPER_OPEN),
            real(b"betas[1]", b2, 0, 1, second, MF_UPPER_OPEN)]


cdef inline list shared(weight_decay, decoupled):
    return [real(b"weight_decay", weight_decay, 0, INFINITY, b"pull towards zero", MF_UPPER_OPEN),
            boolean(b"decoupled_weight_decay", decoupled, b"c shrinks by 1 - lr weight_decay (AdamW) in place of g += weight_decay c"),
            real(b"clip_value", INFINITY, 0, INFINITY, b"gradient entries are cut to +-clip_value; None: not cut", MF_LOWER_OPEN)]


cdef inline mf_method *optimizer(optimizers_t *records, list names, const char *name, const char *class_name, const char *aliases, list par,
                                 const char *vectors, int n_scal, mf_begin_fn begin, mf_update_fn update, const char *formula,
                                 const char *doc, const char *reference, bint decoupled=False, double weight_decay=0.0) except NULL:
    """A method record; `par` without the three shared parameters, `names` keeps their strings alive. Sizes count all of `vectors`, unless a
    sizes_fn says less."""
    cdef mf_method *m = <mf_method *> calloc(1, sizeof(mf_method))
    cdef mf_param *p
    cdef bytes listed = vectors
    cdef int j
    everything = par + shared(weight_decay, decoupled)
    p = <mf_param *> calloc(len(everything), sizeof(mf_param))
    if m == NULL or p == NULL or records.count == MOST_OPTIMIZERS:
        raise MemoryError(f"optimizers: expected at most {MOST_OPTIMIZERS} methods in a file, or no memory")
    if listed.count(b"|") > 4:
        raise ValueError(f"{name.decode()}: expected at most 4 own vectors, got {listed.count(b'|')}")
    names.append(everything)
    for j, (label, value, lower, upper, kind, open, choices, words) in enumerate(everything):
        p[j].name, p[j].value, p[j].lower, p[j].upper = label, value, lower, upper
        p[j].kind, p[j].open, p[j].choices, p[j].doc = kind, open, choices, words
    m[0] = mf_new_method()
    m.name, m.class_name, m.aliases, m.family, m.vectors = name, class_name, aliases, b"optimizers", vectors
    m.formula, m.doc, m.reference = formula, doc, reference
    m.order, m.stages, m.n_par, m.par = 1, 1, len(everything), p
    m.sizes.n_vis, m.sizes.n_vec, m.sizes.n_scal, m.sizes.n_coef = 1, len(listed.split(b"|")), n_scal, OWN + WIDTH
    m.begin, m.update = begin, update
    records.record[records.count] = m
    records.count += 1
    return m
