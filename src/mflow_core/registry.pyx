"""Picks the instruction set, joins the method records of all families, finds one by name; and `MethodRecord`, their Python face.

The level is the best that both this build and this processor have, or the one named by the environment variable MFLOW_ISA, which
is never replaced by another. `mf_find` and everything above it see the records of that one level; `records_of` reaches the others, for
tests of equal bits.
"""
from cpython.pycapsule cimport PyCapsule_GetPointer
from libc.stdint cimport int64_t
from libc.stdlib cimport free, malloc
from libc.string cimport strchr, strcmp, strlen, strncmp

from mflow_core.types cimport (MF_BOOL, MF_CHOICE, MF_DERIVED, MF_EMBEDDED, MF_E_ARGUMENT, MF_E_BUSY, MF_E_CALLBACK, MF_E_DAMAGED,
                               MF_E_KIND, MF_E_MEMORY, MF_E_NON_FINITE, MF_E_PARAMETER, MF_E_SEARCH, MF_E_SOLVE, MF_E_STEP, MF_E_STEPS,
                               MF_E_VERSION, MF_FSAL, MF_IMPLICIT, MF_INT, MF_LINEAR, MF_LOWER_OPEN, MF_MASS, MF_MASS_AT, MF_MULTISTEP, MF_NEEDS_RHO,
                               MF_RETRY_NON_FINITE, MF_RETRY_SOLVE, MF_SECOND_ORDER, MF_SSP, MF_STAGED, MF_STIFFLY_ACCURATE,
                               MF_SYMPLECTIC, MF_TRUST_REGION, MF_UPPER_OPEN)

import difflib
import importlib
import math

from mflow_core import cpu
from mflow_core._levels import LEVELS, LIBRARIES

# By folder; a new family: here and in its folder's meson.build.
FAMILIES = (*(f"methods.{name}" for name in ("runge_kutta", "embedded", "implicit", "radau", "bdf", "rosenbrock", "chebyshev",
                                             "second_order.newmark", "second_order.splitting", "second_order.nystroem",
                                             "second_order.composite", "optimizers.momentum", "optimizers.adaptive", "optimizers.signs",
                                             "optimizers.averages", "implicit_sgd")),
            *(f"directions.{name}" for name in ("quasi_newton", "conjugate_gradients", "trust_region")))


# ---- the level, and the records -----------------------------------------------------------------------------------------------------

available_levels = cpu.available_levels
LEVEL = cpu.choose_level()


cdef void *kernels(str module, str attribute, const char *capsule, str level=LEVEL) except NULL:
    """The capsule of a module of kernels, by "folder.module": the one place that knows the names of these modules.

    They are compiled once per level, save those of scalar code, which have the level "", and those that gain nothing from a level, which
    is then served by the next one.
    """
    folder, _, name = module.rpartition(".")
    file = f"mflow_core.{folder}._{name}"
    if level:
        below = [f"{file}_{one}" for one in LEVELS[LEVELS.index(level):]]
        file = next((one for one in below if one in LIBRARIES), f"{file}_{level}")
    return PyCapsule_GetPointer(getattr(importlib.import_module(file), attribute), capsule)


cdef enum:
    MAX_RECORDS = 256

cdef const mf_method *RECORDS[MAX_RECORDS + 1]


cdef int join(const mf_method **records, str level) except -1:
    """Addresses of every family's records of a level, in the families' order; NULL ends them."""
    cdef const mf_method **family
    cdef int count = 0
    for name in FAMILIES:
        family = <const mf_method **> kernels(name, "_records", b"mflow_core._rows", level)
        while family[0] != NULL:
            if count == MAX_RECORDS:
                raise ImportError(f"mflow_core: more than {MAX_RECORDS} methods")
            records[count] = family[0]
            count += 1
            family += 1
    records[count] = NULL
    return count


join(RECORDS, LEVEL)
REDUCE = (<reductions_t *> kernels("arithmetic.reductions", "_table", b"mflow_core._reductions"))[0]
STEPS = (<steps_t *> kernels("methods.second_order.newmark", "_steps", b"mflow_core._steps"))[0]


cdef bint named(const mf_method *m, const char *name) noexcept nogil:
    cdef const char *at = m.aliases
    cdef const char *end
    cdef size_t length = strlen(name)
    if strcmp(m.name, name) == 0:
        return True
    while at[0] != 0:
        end = strchr(at, c'|')
        if end == NULL:
            return strcmp(at, name) == 0
        if <size_t> (end - at) == length and strncmp(at, name, length) == 0:
            return True
        at = end + 1
    return False


cdef const mf_method *mf_find(const char *name) noexcept nogil:
    cdef int i = 0
    if name == NULL:
        return NULL
    while RECORDS[i] != NULL:
        if named(RECORDS[i], name):
            return RECORDS[i]
        i += 1
    return NULL


cdef const mf_method *mf_row(int i) noexcept nogil:
    cdef int k = 0
    while k < i and RECORDS[k] != NULL:
        k += 1
    return RECORDS[k] if i >= 0 else NULL


# ---- parameters and sizes -----------------------------------------------------------------------------------------------------------

cdef int mf_defaults(const mf_method *m, double *par) noexcept nogil:
    cdef int j
    if m == NULL or (par == NULL and m.n_par > 0):
        return MF_E_ARGUMENT
    for j in range(m.n_par):
        par[j] = m.par[j].value
    return 0


cdef bint within(const mf_param *p, double value) noexcept nogil:
    if not (p.lower <= value <= p.upper):
        return False
    if p.open & MF_LOWER_OPEN and value == p.lower:
        return False
    return not (p.open & MF_UPPER_OPEN and value == p.upper)


cdef int mf_sizes_of(const mf_method *m, const double *par, mf_sizes *sizes) noexcept nogil:
    cdef int j
    if m == NULL or sizes == NULL or (par == NULL and m.n_par > 0):
        return MF_E_ARGUMENT
    for j in range(m.n_par):
        if not within(&m.par[j], par[j]):
            return MF_E_PARAMETER
    if m.sizes_fn != NULL:
        return m.sizes_fn(m, par, sizes)
    sizes[0] = m.sizes
    return 0


cdef const char *mf_error_text(int code) noexcept nogil:
    if code == 0:
        return b"no error"
    if code == MF_E_ARGUMENT:
        return (b"an argument is NULL (the method, where find knows no such name; a vector), a struct has no size (declare it with "
                b"MF_INIT), or a number is out of range (n or a tolerance below 0, dt away from t_end, neither dt nor rtol and atol given)")
    if code == MF_E_CALLBACK:
        return b"the method needs a callback that the problem does not give"
    if code == MF_E_MEMORY:
        return b"no memory"
    if code == MF_E_BUSY:
        return b"the run is in use by another thread, or was entered again from its own callback"
    if code == MF_E_NON_FINITE:
        return b"a state, slope or gradient is not finite"
    if code == MF_E_PARAMETER:
        return b"a parameter is outside its bounds, or two of them clash"
    if code == MF_E_VERSION:
        return b"the host was built against a newer mflow.h than this library"
    if code == MF_E_KIND:
        return (b"this method cannot be used in this way: it is an optimizer (begin and update) where a step or a run was asked for, or "
                b"the reverse; or tolerances were given, and it estimates no error")
    if code == MF_E_DAMAGED:
        return b"the saved state is damaged, or belongs to another method or size"
    if code == MF_E_SOLVE:
        return b"the equation of an implicit step was not solved, at no step that was tried"
    if code == MF_E_STEP:
        return b"the step that is needed is too small to move t"
    if code == MF_E_STEPS:
        return b"the limit on the number of steps was reached"
    if code == MF_E_SEARCH:
        return b"no step along the direction lowers the cost as the rule asks: often its last digits are spent"
    if code == MF_RETRY_SOLVE:
        return b"a solver of the library did not converge: a smaller step may help"
    if code == MF_RETRY_NON_FINITE:
        return b"a solver of the library met a slope that is not finite: a smaller step may help"
    if code == 1:
        return b"max_steps were taken before t_end; or a callback asked for a smaller step"
    if code > 0:
        return b"a callback asked for a smaller step (recoverable)"
    if code < -1000:
        return b"no code of this library"
    return b"a callback failed"


# ---- what Python sees ---------------------------------------------------------------------------------------------------------------

_FLAGS = {"implicit": MF_IMPLICIT, "linear": MF_LINEAR, "ssp": MF_SSP, "symplectic": MF_SYMPLECTIC, "fsal": MF_FSAL,
          "stiffly_accurate": MF_STIFFLY_ACCURATE, "embedded": MF_EMBEDDED, "second_order": MF_SECOND_ORDER,
          "needs_rho": MF_NEEDS_RHO, "staged": MF_STAGED, "derived": MF_DERIVED, "trust_region": MF_TRUST_REGION,
          "multistep": MF_MULTISTEP, "mass": MF_MASS, "mass_at": MF_MASS_AT}


cdef list matrix(const double *values, int rows, int columns):
    return [[values[i * columns + j] for j in range(columns)] for i in range(rows)] if values != NULL else None


cdef class MethodRecord:
    """Read-only view of one method record (`mf_method` in mflow.h). Made by `records()` and `find()`; the library's memory, valid for ever."""

    def __cinit__(self):
        if making == NULL:
            raise TypeError("a MethodRecord is not made: get one from mflow.get_method(name)")
        self.m = making

    @property
    def name(self):
        return self.m.name.decode()

    @property
    def class_name(self):
        return self.m.class_name.decode()

    @property
    def aliases(self):
        return tuple(filter(None, self.m.aliases.decode().split("|")))

    @property
    def family(self):
        return self.m.family.decode()

    @property
    def formula(self):
        return self.m.formula.decode()

    @property
    def doc(self):
        return self.m.doc.decode()

    @property
    def reference(self):
        return self.m.reference.decode()

    @property
    def vectors(self):
        return tuple(self.m.vectors.decode().split("|"))

    @property
    def order(self):
        return self.m.order

    @property
    def order_hat(self):
        return self.m.order_hat or None

    @property
    def stages(self):
        return self.m.stages

    @property
    def flags(self):
        """Names of the flags that are set, as in mflow.h without MF_."""
        return frozenset(name for name, bit in _FLAGS.items() if self.m.flags & bit)

    @property
    def kind(self):
        """"step" (y to y+), "update" (optimizers), "sweep" or "direction" (of a line search, or a trust region's step)."""
        if self.m.direct != NULL:
            return "direction"
        return "step" if self.m.step != NULL else "update" if self.m.update != NULL else "sweep"

    @property
    def takes_bounds(self):
        """Whether a direction respects bounds."""
        cdef int64_t kept = 0, work = 0
        cdef double *par
        if self.m.room == NULL:
            return False
        par = self.parameters({})
        status = self.m.room(self.m, par, 1, 1, &kept, &work)
        free(par)
        return status == 0

    @property
    def asks(self):
        """Whether the gradient may be evaluated elsewhere than at the parameters."""
        return self.m.ask != NULL

    @property
    def parameters_(self):
        """(name, default, lower, upper, kind, open, choices, doc) of each parameter; kind: "real", "bool", "int" or a tuple of choices."""
        kinds = {MF_BOOL: "bool", MF_INT: "int", MF_CHOICE: "choice"}
        out = []
        for j in range(self.m.n_par):
            p = self.m.par[j]
            out.append((p.name.decode(), p.value, p.lower, p.upper, kinds.get(p.kind, "real"),
                        (bool(p.open & MF_LOWER_OPEN), bool(p.open & MF_UPPER_OPEN)),
                        tuple(filter(None, p.choices.decode().split("|"))), p.doc.decode()))
        return tuple(out)

    @property
    def tableau(self):
        """The stored coefficients: a dict with "c" and "A", "b" or, in Shu-Osher form, "alpha", "beta"; None for other methods.

        Pairs have "d" too: b - bhat, one row an error estimate. Stages that are solved together have "A_inv" = T L T_inv and "mu", the
        numbers of L. Linearly implicit methods have "G", their gamma_ij.
        """
        if self.m.tab == NULL:
            return None
        s = self.m.tab.s
        out = {"c": matrix(self.m.tab.c, 1, s)[0]}
        if self.m.tab.alpha != NULL:
            out["alpha"], out["beta"] = matrix(self.m.tab.alpha, s + 1, s), matrix(self.m.tab.beta, s + 1, s)
        else:
            out["A"], out["b"] = matrix(self.m.tab.A, s, s), matrix(self.m.tab.b, 1, s)[0]
        if self.m.tab.d != NULL:
            out["d"] = matrix(self.m.tab.d, self.m.tab.n_hat, s)
        if self.m.tab.G != NULL:
            out["G"] = matrix(self.m.tab.G, s, s)
        if self.m.tab.A_inv != NULL:
            out["A_inv"], out["mu"] = matrix(self.m.tab.A_inv, s, s), matrix(self.m.tab.mu, 1, s)[0]
            out["T"], out["T_inv"] = matrix(self.m.tab.T, s, s), matrix(self.m.tab.T_inv, s, s)
        return out

    @property
    def address(self):
        return <size_t> self.m

    def sizes(self, given=None):
        """Vector counts for these parameters, as a dict with the fields of mf_sizes."""
        cdef mf_sizes sizes
        cdef double *par = self.parameters(given or {})
        status = mf_sizes_of(self.m, par, &sizes)
        free(par)
        if status < 0:
            raise ValueError(self.clash(given or {}))
        return {"n_vis": sizes.n_vis, "n_vec": sizes.n_vec, "n_scal": sizes.n_scal, "n_coef": sizes.n_coef, "n_work": sizes.n_work,
                "n_err": sizes.n_err, "n_dense": sizes.n_dense, "work_extra": sizes.work_extra, "order": sizes.order or self.m.order}

    def room(self, ptrdiff_t n):
        """Numbers that a direction of n unknowns remembers from one iteration to the next, with its parameters' defaults."""
        cdef int64_t kept = 0, work = 0
        cdef double *par
        if self.m.room == NULL:
            raise TypeError(f"method: expected a direction, got {self.name}")
        par = self.parameters({})
        self.m.room(self.m, par, n, 0, &kept, &work)
        free(par)
        return kept

    def clash(self, given):
        """Why no sizes exist for these parameters: one of them alone, or several together."""
        parameters = {entry[0]: entry for entry in self.parameters_}
        set_here = {name: value for name, value in given.items() if value != parameters[name][1]}
        values = ", ".join(f"{name} = {shown(value, parameters[name][4] == 'int')}" for name, value in set_here.items())
        if len(set_here) == 1:
            return f"{next(iter(set_here))}: {self.name} does not work with {values}; it is {parameters[next(iter(set_here))][7]}"
        return f"{', '.join(set_here)}: {self.name} does not work with {values} together; change one of them"

    cdef double *parameters(self, dict given) except NULL:
        """A malloc'ed array of n_par checked values; `given` maps the method's names to numbers. The caller frees it."""
        cdef double *par = <double *> malloc(max(<size_t> self.m.n_par, 1) * sizeof(double))
        if par == NULL:
            raise MemoryError()
        try:
            mf_defaults(self.m, par)
            if not given:
                return par
            known = [self.m.par[j].name.decode() for j in range(self.m.n_par)]
            for name, value in given.items():
                if name not in known:
                    raise TypeError(unknown(f"{self.name}: no parameter", name, known))
                j = known.index(name)
                par[j] = value
                if not within(&self.m.par[j], par[j]):
                    whole = self.m.par[j].kind == MF_INT
                    raise ValueError(f"{name}: expected a {'whole ' if whole else ''}number in {bounds(&self.m.par[j])} for {self.name}, got "
                                     f"{shown(value, whole)}")
        except BaseException:
            free(par)
            raise
        return par

    def __reduce__(self):
        return find, (self.name,)

    def __repr__(self):
        return f"<mflow_core.MethodRecord {self.name}>"


cdef str bounds(const mf_param *p):
    left = "(" if p.open & MF_LOWER_OPEN or math.isinf(p.lower) else "["
    right = ")" if p.open & MF_UPPER_OPEN else "]"
    return f"{left}{p.lower:g}, {p.upper:g}{right}"


cdef str shown(value, bint whole):
    """A number of a record in words: 3 and not 3.0 where it is a whole one."""
    return str(int(value)) if whole and math.isfinite(value) and int(value) == value else repr(value)


def unknown(problem, name, known):
    """An error text that offers the nearest names."""
    near = [n for text in (str(name), str(name).lower()) for n in difflib.get_close_matches(text, known, n=3, cutoff=0.6)]
    near = list(dict.fromkeys(near))[:3]
    offer = f"did you mean {' or '.join(map(repr, near))}?" if near else f"there are: {', '.join(known)}"
    return f"{problem} {name!r}; {offer}"


cdef const mf_method *making = NULL       # the record that `view` is making a MethodRecord of


cdef MethodRecord view(const mf_method *m, str level):
    global making
    making = m
    record = <MethodRecord> MethodRecord.__new__(MethodRecord)
    making = NULL
    record.level = level
    return record


def records():
    """Every record of the active level, in the families' order."""
    cdef int i = 0
    out = []
    while RECORDS[i] != NULL:
        out.append(view(RECORDS[i], LEVEL))
        i += 1
    return out


def find(name):
    """The record of the method of this name or alias. Raises ValueError, with the nearest names, if there is none."""
    cdef const mf_method *m
    if not isinstance(name, str):
        raise TypeError(f"method: expected a name, got {type(name).__name__} {name!r}")
    encoded = name.encode()
    m = mf_find(encoded)
    if m == NULL:
        encoded = name.lower().encode()
        m = mf_find(encoded)
    if m == NULL:
        raise ValueError(unknown("method: no method", name, [n for record in records() for n in (record.name, *record.aliases)]))
    return view(m, LEVEL)


def records_of(level):
    """Records of another level of this build, for tests. Nothing else may see them."""
    cdef const mf_method *other[MAX_RECORDS + 1]
    if level not in available_levels():
        raise ValueError(f"level: expected one of {available_levels()}, got {level!r}")
    return [view(other[i], level) for i in range(join(other, level))]
