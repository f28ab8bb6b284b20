"""`compile_fit`: a model f(x, p), prepared once and fitted again and again to other data, from Python, numba, Cython or C.

What depends on the model and its settings is done when the fit is made; a call moves numbers and takes the steps of `mflow.curve_fit`, in
the core (`mflow_core.fitting.prepared`). It is made for thousands of small sets of data that arrive one after the other: pixels, events.
"""

from __future__ import annotations

import ctypes
import math
from typing import Any, NoReturn

import numpy as np
from mflow_core.fitting.prepared import NAMES, PreparedFit
from mflow_core.problems.signatures import RESIDUALS_SIGNATURE, code_text, compiled_address

from mflow.base.checks import Array, check_flags, check_function, check_number, check_whole, finite_array, shown
from mflow.base.telling import counted, knows_other_words
from mflow.derivatives.remainder import jacobian_model, quick, said_of
from mflow.fitting.bounds import EVERYWHERE, check_fixed, sides
from mflow.fitting.compiled import check_sigma
from mflow.fitting.curve_fit import TOLERANCE, names_of
from mflow.fitting.least_squares import inverse_of_free
from mflow.fitting.run import counted_ftol
from mflow.problems.compiled import compile_model
from mflow.problems.curves import check_curve, curve, parameter_names
from mflow.spectra.ranks import blank_directions

__all__ = ["CompiledFit", "compile_fit"]

FORWARD = 2.0**-26  # the relative length of a forward difference
POINTER = ctypes.c_void_p
NATIVE = ctypes.CFUNCTYPE(ctypes.c_int, POINTER, POINTER, POINTER, POINTER, POINTER, POINTER)


class CompiledFit(PreparedFit):
    """A prepared fit, as `mflow.compile_fit` makes it: ``fit(xdata, ydata, p0)`` is the parameters that fit best, an array (n,).

    One thread at a time; ``copy.copy(fit)`` is another one, for another thread.

    Attributes
    ----------
    m, n : int
        How many data and parameters.
    popt : float64 array (n,)
        Where the last call ended.
    cost, nfev, nit
        Of the last call: half the sum of squares of the residuals, evaluations of the model (those for differences left out), steps.
    residuals, jac : float64 arrays (m,) and (m, n)
        Of the last call, over sigma: (f - y)/sigma where it ended, and their Jacobian (after differences that of the start of the last
        step, as in SciPy).
    ending : int
        Which test ended it: 1 the gradient, 2 ftol, 3 xtol, 4 both; 0 where it did not converge.
    handle, address : int
        The struct of ``mflow/fit.h``, and its function ``int (mf_fit *, const double *x, const double *y, const double *sigma, const
        double *p0, double *p)``, for compiled code; both are good while the fit lives. `function` is the latter for numba and ctypes.

    See Also
    --------
    mflow.compile_fit, mflow.curve_fit, mflow.CompiledSolver

    Examples
    --------
    >>> import numpy as np, mflow
    >>> x = np.linspace(0.0, 4.0, 30)
    >>> fit = mflow.compile_fit("exponential", 30)
    >>> fit(x, 3.0 * np.exp(-0.7 * x) + 0.5, [1.0, 1.0, 0.0]).round(6).tolist()
    [3.0, 0.7, 0.5]
    """

    def __init__(
        self, *_: Any, made: dict[str, Any], box: Any, held: Any, absolute: bool, check: bool, names: tuple[str, ...], **__: Any
    ) -> None:
        self._made, self._box, self._held, self._absolute, self._check, self._names = made, box, held, absolute, check, names

    @property
    def function(self) -> Any:
        """The C function as a ctypes object, which numba calls without Python: ``solve(handle, x, y, sigma, p0, p)``, arrays by their
        addresses, as in ``y.ctypes.data``, and 0 for no sigma."""
        return NATIVE(self.address)

    @property
    def pcov(self) -> Array:
        """The covariance of the last call's parameters, (n, n), as `mflow.curve_fit` gives it: infinite where the data do not determine
        all of them, or leave nothing to estimate their spread from; scaled by the residuals' variance without absolute_sigma. After
        forward differences parameters whose columns differ by the rounding of these alone count as not determined; ``jac=`` tells more."""
        held = np.zeros(self.n, dtype=bool) if self._held is None else self._held
        C = self.inverse()[0] if self._held is None else inverse_of_free(self.jac, held)[0]
        if C is not None and self._made["differences"] and self._told_by_rounding(~held):
            C = None
        dof = self.m - self.n + int(np.sum(held))
        if C is None or not math.isfinite(self.cost) or (dof <= 0 and not self._absolute):
            return np.full((self.n, self.n), math.inf)
        return C if self._absolute else C * (2.0 * self.cost / dof)

    def _told_by_rounding(self, free: Any) -> bool:
        """Whether rounding of the forward differences may make all the difference between columns of the Jacobian."""
        x = self.popt
        h = FORWARD * np.where(x == 0.0, 1.0, np.abs(x))
        size = float(np.linalg.norm(self.residuals))
        return len(blank_directions(self.jac[:, free], x[free], size, 2.0**-52 / h[free], 2.0 * FORWARD)[0]) > 0

    @property
    def stderr(self) -> Array:
        """Standard errors of the last call's parameters, (n,): the roots of the diagonal of `pcov`."""
        out: Array = np.sqrt(np.diag(self.pcov))
        return out

    def look(self, xdata: Array, ydata: Array, p0: Array, sigma: Array | None) -> bool:
        """Before a fit; False where the model is not finite at p0. Raises ValueError where the Jacobian given is not that of the model."""
        f, J = self.evaluate(xdata, p0)
        if not np.isfinite(f).all() or (J is not None and not np.isfinite(J).all()):
            return False
        if not self._check or J is None:
            return True
        verdict = quick(jacobian_model(lambda at: self.evaluate(xdata, at)[0], p0, f, J), None)
        if verdict.kind == "wrong":
            text = said_of(verdict, "Jacobian", "model", "p0")
            raise ValueError(f"jac: {text} (datum {verdict.entry}); mend it, or omit it: differences serve without one")
        return True

    def refuse(self, status: int, by_model: bool, p: Array, p0: Array, sigma: Array | None) -> NoReturn:
        """Raises the error of a call that did not converge; by_model: the code is what the model returned."""
        word = "" if by_model else NAMES.get(status, "")
        if word == "bad_argument":
            self._name_the_argument(p0, sigma)
        where = f"after {counted(self.nit, 'step')} and {counted(self.nfev, 'evaluation')}"
        kind = FloatingPointError if word == "non_finite" else RuntimeError
        error: Any = kind(f"compile_fit: no parameters found that fit best, {where}: {self._told(status, word)}")
        error.partial_result = p
        raise error

    def _told(self, status: int, word: str) -> str:
        match word:
            case "max_nfev":
                return "the limit max_nfev was reached"
            case "step_too_small":
                return "no step that still moves them lowers the cost; mflow.curve_fit looks for the reason"
            case "undetermined":
                zero = np.flatnonzero(~self.jac.any(axis=0))
                some = ", ".join(self._names[j] for j in zero if self._held is None or not self._held[j])
                return f"the Jacobian is 0 along {some} where it ended; start elsewhere, or hold it by fixed=; mflow.curve_fit looks closer"
            case "doubtful":
                return "ftol or xtol ended it, but the gradient by differences is not small; give jac=, or take mflow.curve_fit"
            case "non_finite":
                return self._what_is_not_finite()
            case _:
                return f"the model gave up with {code_text(status)}"

    def _what_is_not_finite(self) -> str:
        r, J = self.residuals, self.jac
        lost = np.flatnonzero(~np.isfinite(r))
        if lost.size:
            return f"residual {lost[0]} at p0 is {r[lost[0]]}; start elsewhere, or look at the data"
        if not np.isfinite(J).all():
            row, column = (int(k) for k in np.argwhere(~np.isfinite(J))[0])
            return f"the derivative of datum {row} with respect to {self._names[column]} is {J[row, column]} at p0; start elsewhere"
        return "the squares of the residuals at p0 over- or underflow; give the data in other units"

    def _name_the_argument(self, p0: Array, sigma: Array | None) -> NoReturn:
        """Raises ValueError for p0 or sigma that do not fit."""
        finite_array(p0, "p0")
        check_sigma(sigma)
        lower, upper = self._box
        j = int(np.flatnonzero((p0 < lower) | (p0 > upper))[0])
        raise ValueError(
            f"p0: expected starting values within bounds, got {self._names[j]} = {p0[j]:g} outside of [{lower[j]:g}, {upper[j]:g}]"
        )

    def __copy__(self) -> CompiledFit:
        return _make(**self._made)

    def __reduce__(self) -> Any:
        raise TypeError("a CompiledFit holds addresses of this process and cannot be pickled: make it anew there with compile_fit")

    def __repr__(self) -> str:
        return f"<mflow CompiledFit: m = {self.m} data, n = {self.n} parameters>"


@knows_other_words
def compile_fit(
    f: Any, m: int, n: int | None = None, *, jac: Any = None, bounds: Any = EVERYWHERE, fixed: Any = None, ftol: float | None = TOLERANCE,
    xtol: float | None = TOLERANCE, gtol: float | None = 0.0, max_nfev: int | None = None, absolute_sigma: bool = False,
    check_gradient: bool = True,
) -> CompiledFit:  # fmt: skip
    """Prepare a model for many fits to m data each; a call then costs its steps and about a microsecond.

    Parameters
    ----------
    f : callable or str
        A Python function ``f(x, *parameters)`` of numbers, which numba compiles (`mflow.compile` says what it takes): x is one of xdata,
        and it returns one number. Or the name of a curve, as in `mflow.curve_fit`. Or compiled already: a function
        ``int f(const double *p, double *f, double *jac, ptrdiff_t m, ptrdiff_t n, void *x)`` (numba cfunc, ctypes, LowLevelCallable,
        PyCapsule), which fills f (m,) and jac (m, n), row-major, either of which may be NULL; its user data are the address of xdata.
    m : int
        How many data, numbers of xdata and ydata each.
    n : int, optional
        How many parameters. Default: as many as the Python function takes, or the curve has.
    jac : callable or True, optional
        ``jac(x, *parameters)``, the n derivatives at one x, for numba; True: the compiled function fills its Jacobian. Otherwise forward
        differences. A curve has its own.
    bounds : pair (lower, upper) or `scipy.optimize.Bounds`
        As in `mflow.least_squares`.
    fixed : array_like, optional
        Parameters that are held at p0: n truth values, or their numbers.
    ftol, xtol, gtol, max_nfev
        As in `mflow.curve_fit`.
    absolute_sigma : bool
        Whether sigma holds the standard deviations themselves, for `CompiledFit.pcov`.
    check_gradient : bool
        Whether the Jacobian given is compared with the model at p0 of the first call from Python; one that is wrong is a ValueError.

    Returns
    -------
    CompiledFit
        ``fit(xdata, ydata, p0, sigma=None)`` is the parameters that fit best. It raises FloatingPointError where residuals at p0 are not
        finite, RuntimeError where the fit does not converge, with the reason, and ``partial_result``, the best parameters. Where a
        Jacobian vanishes or the model is rounded, `mflow.curve_fit` evaluates the model at further points; this does not, and raises
        RuntimeError.

    Raises
    ------
    TypeError, ValueError
        An argument does not fit: m < n, bounds that cross, n missing for a compiled function.
    ImportError
        A Python function without numba.

    See Also
    --------
    curve_fit : everything else: robust losses, covariances of the data, bands, tables.
    least_squares_batch : many fits in one call.
    compile_solver : the same for integrations.

    Examples
    --------
    >>> import numpy as np, mflow
    >>> x = np.linspace(0.0, 4.0, 50)
    >>> fit = mflow.compile_fit(lambda x, a, k, c: a * np.exp(-k * x) + c, 50)
    >>> fit(x, 2.5 * np.exp(-1.3 * x) + 0.5, [1.0, 1.0, 1.0]).round(6).tolist()
    [2.5, 1.3, 0.5]

    From numba, without Python inside the loop:

    >>> import numba
    >>> solve, handle = fit.function, fit.handle
    >>> @numba.njit
    ... def rates(handle, x, sets, p0):
    ...     out = np.empty((len(sets), p0.size))
    ...     for k in range(len(sets)):
    ...         if solve(handle, x.ctypes.data, sets[k].ctypes.data, 0, p0.ctypes.data, out[k].ctypes.data) != 0:
    ...             out[k] = np.nan
    ...     return out[:, 1]
    >>> sets = np.exp(-np.array([[0.5], [2.0]]) * x)
    >>> rates(handle, x, sets, np.ones(3)).round(6).tolist()
    [0.5, 2.0]

    References
    ----------
    Those of `mflow.curve_fit`.
    """
    check_flags(absolute_sigma=absolute_sigma, check_gradient=check_gradient)
    data = check_whole(m, "m", 1)
    count = None if n is None else check_whole(n, "n", 1)
    given = {"ftol": ftol, "xtol": xtol, "gtol": gtol}
    tolerances = [0.0 if one is None else check_number(one, name, low=0.0) for name, one in given.items()]
    limit = None if max_nfev is None else check_whole(max_nfev, "max_nfev", 1)
    model, count, differences = _model(f, jac, data, count)
    if data < count:
        raise ValueError(f"m: expected at least as many data as parameters, {count}, got {data}; mflow.curve_fit with bounds takes fewer")
    named = isinstance(f, str) or compiled_address(f, "f", RESIDUALS_SIGNATURE) is None
    names = names_of(f, np.ones(count)) if named else tuple(f"p[{j}]" for j in range(count))
    options = {"names": names, "absolute": bool(absolute_sigma), "check": bool(check_gradient) and not isinstance(f, str)}
    tests = (counted_ftol(tolerances[0]), tolerances[1], tolerances[2], limit or 500 * (count + 1))
    return _make(model, data, count, differences, tests, sides(bounds, count), check_fixed(fixed, count), options)


def _make(
    model: Any, m: int, n: int, differences: bool, tests: tuple[float, float, float, int], box: tuple[Array, Array], held: Any,
    options: dict[str, Any],
) -> CompiledFit:  # fmt: skip
    made = {"model": model, "m": m, "n": n, "differences": differences, "tests": tests, "box": box, "held": held, "options": options}
    bounded = bool(np.isfinite(box[0]).any() or np.isfinite(box[1]).any())
    lower, upper = box if bounded else (None, None)
    return CompiledFit(model, m, n, differences, *tests, lower, upper, held, made=made, box=box, held=held, **options)


def _model(f: Any, jac: Any, m: int, n: int | None) -> tuple[Any, int, bool]:
    """(what the core calls, how many parameters, whether their Jacobian is one of differences)."""
    if isinstance(f, str):
        names = parameter_names(check_curve(f))
        if n not in (None, len(names)):
            raise ValueError(f"n: expected {len(names)}, as {f!r} has the parameters {', '.join(names)}, got {n}; omit it")
        if jac is not None:
            raise ValueError(f"jac: expected None beside a curve, which has its own, got {shown(jac)}; omit it")
        return curve(f, np.ones(m), None, x0=np.ones(len(names))), len(names), False
    compiled = compiled_address(f, "f", RESIDUALS_SIGNATURE)
    if compiled is not None:
        if n is None:
            raise ValueError("n: expected the number of parameters of a compiled function, got None")
        if jac is not None and jac is not True:
            raise TypeError(f"jac: expected True, where the compiled function fills its Jacobian, or None, got {shown(jac)}")
        return (compiled[0], f), n, jac is None
    check_function(f, "f", "a function of (x, *parameters), the name of a curve, or a compiled function")
    if jac is not None:
        check_function(jac, "jac", "a function of (x, *parameters), or None")
    made, count = compile_model(f, jac, n)
    return (made.address, made), count, jac is None
