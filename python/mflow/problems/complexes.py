"""Complex states as pairs of real numbers: z = x + i y is carried as the float64 numbers x, y beside each other, `z.view(float64)`.

A complex function becomes a real one of twice as many components without a copy of the state. A Jacobian df/dz, of a holomorphic f,
becomes the matrix of 2 x 2 blocks [[a, -b], [b, a]] for each entry a + i b; where f is not holomorphic (it uses the conjugate, or |z|)
there is none, and differences of the real form are right.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
from mflow_core.problems.bands import packed_too
from mflow_core.problems.signatures import JACOBIAN_SIGNATURE, RHS_SIGNATURE, compiled_address
from numpy.typing import NDArray

from mflow.base.checks import Array, as_array, shown
from mflow.course.agenda import listed_doses, whole_index

__all__ = ["ComplexOutput", "Pairs", "is_complex"]

Complex = NDArray[np.complex128]


def is_complex(y0: Any) -> bool:
    """Whether a start is of complex numbers."""
    if isinstance(y0, np.ndarray):
        return bool(y0.dtype.kind == "c")
    if isinstance(y0, complex | np.complexfloating):
        return True
    return isinstance(y0, list | tuple) and as_array(y0, "y0").dtype.kind == "c"


def _is_compiled(fun: Any, argument: str, signature: str) -> bool:
    return not callable(fun) or compiled_address(fun, argument, signature) is not None


class Pairs:
    """A complex start of some shape, and every argument of a driver in the real form that belongs to it.

    Raises TypeError or ValueError where an argument does not fit.

    Examples
    --------
    >>> import numpy as np
    >>> from mflow.problems.complexes import Pairs
    >>> pairs = Pairs(np.array([1.0 + 2.0j, 3.0]))
    >>> pairs.start.tolist(), pairs.matrix(np.array([[1j, 0], [0, 2]]))[0].tolist()
    ([1.0, 2.0, 3.0, 0.0], [0.0, -1.0, 0.0, -0.0])
    """

    def __init__(self, y0: Any, name: str = "y0") -> None:
        z = np.array(y0, dtype=np.complex128, order="C")
        bad = np.flatnonzero(~np.isfinite(z))
        if bad.size:
            raise ValueError(f"{name}: expected finite numbers, got {complex(z.ravel()[bad[0]])!r} in entry {bad[0]}")
        self.shape, self.size = z.shape, z.size
        self.start: Array = z.reshape(-1).view(np.float64)

    # ---- states ---------------------------------------------------------------------------------------------------------------------

    def state(self, y: Array) -> Complex:
        """A real state as the user sees it: the same memory."""
        return y.view(np.complex128).reshape(self.shape)

    def real(self, z: Any, name: str) -> Array:
        """Complex numbers of the state's shape as real ones."""
        array = np.asarray(z)
        if array.dtype.kind not in "biufc":
            raise TypeError(f"{name}: expected complex numbers, got dtype {array.dtype}")
        if array.shape != self.shape and not (array.size == 1 and self.size == 1):
            raise ValueError(f"{name}: expected an array of shape {self.shape}, as y0 has, got shape {array.shape}")
        return np.ascontiguousarray(array, dtype=np.complex128).reshape(-1).view(np.float64)

    def columns(self, rows: Array) -> Complex:
        """States (2n, m), a column each, as (*shape, m)."""
        out: Complex = np.empty((self.size, rows.shape[1]), dtype=np.complex128)
        out.real, out.imag = rows[0::2], rows[1::2]
        return out.reshape(*self.shape, rows.shape[1])

    def rows(self, states: Array) -> Any:
        """States (k, 2n), a row each, as (k, *shape); what holds none as it is."""
        if states.ndim != 2:
            return states
        return np.ascontiguousarray(states).view(np.complex128).reshape(len(states), *self.shape)

    # ---- functions ------------------------------------------------------------------------------------------------------------------

    def slopes(self, fun: Any, inplace: bool, vectorized: bool) -> Any:
        """The right-hand side; a compiled one is of pairs already."""
        if _is_compiled(fun, "fun", RHS_SIGNATURE):
            return fun
        how = self._many if vectorized else self._filled if inplace else self._returned
        real: Any = partial(how, fun)  # which can be pickled where fun can
        if hasattr(fun, "breaks"):
            real.breaks = fun.breaks
        return real

    def _many(self, fun: Callable[..., Any], t: float, columns: Array, *args: Any) -> Array:
        z = np.asarray(fun(t, self.columns(np.ascontiguousarray(columns)), *args), dtype=np.complex128)
        out = np.empty(columns.shape)
        out[0::2], out[1::2] = z.real, z.imag
        return out

    def _filled(self, fun: Callable[..., Any], t: float, y: Array, out: Array, *args: Any) -> None:
        fun(t, self.state(y), self.state(out), *args)

    def _returned(self, fun: Callable[..., Any], t: float, y: Array, *args: Any) -> Array:
        return self.real(fun(t, self.state(y), *args), "fun")

    def jacobian(self, jac: Any, lband: Any = None, uband: Any = None, name: str = "jac") -> Any:
        """df/dz, a function or constant, dense, sparse or packed by bands."""
        if jac is None or isinstance(jac, str):
            return jac
        if callable(jac) or type(jac).__name__ in ("PyCapsule", "LowLevelCallable"):
            if _is_compiled(jac, name, JACOBIAN_SIGNATURE):
                return jac
            return partial(self._jacobian_at, jac, lband, uband, name)
        return self.matrix(jac, lband, uband, name)

    def _jacobian_at(self, jac: Callable[..., Any], lband: Any, uband: Any, name: str, t: float, y: Array, *args: Any) -> Any:
        return self.matrix(jac(t, self.state(y), *args), lband, uband, name, asked=True)

    def mass(self, given: Any, lband: Any = None, uband: Any = None) -> Any:
        """M, its diagonal, or a function of t that returns one."""
        if given is None:
            return None
        if callable(given):
            return partial(self._mass_at, given, lband, uband)
        diagonal = not hasattr(given, "tocsc") and np.ndim(given) == 1
        return self.matrix(np.diag(given) if diagonal else given, lband, uband, "mass")

    def _mass_at(self, mass: Callable[..., Any], lband: Any, uband: Any, t: float, *args: Any) -> Any:
        return self.mass(mass(t, *args), lband, uband)

    def matrix(self, given: Any, lband: Any = None, uband: Any = None, name: str = "jac", *, asked: bool = False) -> Any:
        """The real form of a matrix (n, n), or of its bands (lband + uband + 1, n), as bands. asked : a function returned it."""
        n = self.size
        if hasattr(given, "tocsc"):
            from scipy import sparse

            one, turn = sparse.eye_array(2), sparse.csr_array(np.array([[0.0, -1.0], [1.0, 0.0]]))
            return (sparse.kron(given.real, one) + sparse.kron(given.imag, turn)).tocsc()
        a: Any = np.asarray(given, dtype=np.complex128)
        if lband is not None and uband is not None and a.shape == (lband + uband + 1, n) and len(a) < n:
            bands = np.zeros((2 * len(a) + 1, 2 * n))
            bands[1::2, 0::2] = bands[1::2, 1::2] = a.real
            bands[2::2, 0::2], bands[:-1:2, 1::2] = a.imag, -a.imag
            return bands
        if lband is not None and uband is not None and a.shape == (lband + uband + 1, n):  # of few components: no smaller than the matrix
            i, j = np.indices((n, n))
            if len(a) > n or packed_too(a, lband, uband, asked, name):
                a = np.where((i - j <= lband) & (j - i <= uband), a[np.clip(uband + i - j, 0, len(a) - 1), j], 0.0)
        if a.shape != (n, n) and not (a.size == 1 and n == 1):
            raise ValueError(f"{name}: expected an array of shape {(n, n)}, got shape {a.shape}")
        out = np.empty((n, 2, n, 2))
        out[:, 0, :, 0] = out[:, 1, :, 1] = a.real.reshape(n, n)
        out[:, 1, :, 0] = a.imag.reshape(n, n)
        out[:, 0, :, 1] = -out[:, 1, :, 0]
        return out.reshape(2 * n, 2 * n)

    def event(self, event: Any, j: int, kind: Any) -> Any:
        """An event with its settings, and its action, as an instance of `kind` (`mflow.Event`)."""
        fun = event.fun if isinstance(event, kind) else event
        settings = {s: getattr(event, s) for s in ("terminal", "direction", "samples", "action") if hasattr(event, s)}
        action = settings.get("action")
        if action is not None and callable(action) and not _is_compiled(action, "action", RHS_SIGNATURE):
            settings["action"] = self._action(action, f"events[{j}].action")
        if callable(fun) and not _is_compiled(fun, "events", RHS_SIGNATURE):
            return kind(self.seen(fun), **settings)
        return kind(fun, **settings)

    def _action(self, action: Callable[..., Any], name: str) -> Callable[..., Any]:
        return partial(self._acted, action, name)

    def _acted(self, action: Callable[..., Any], name: str, t: float, y: Array, *args: Any) -> Any:
        behind = action(t, self.state(y), *args)
        return None if behind is None else self.real(behind, name)

    def seen(self, fun: Any) -> Any:
        """A function of (t, y, ...) that gets complex states."""
        return partial(self._seen, fun) if callable(fun) else fun

    def _seen(self, fun: Callable[..., Any], t: float, y: Array, *args: Any) -> Any:
        return fun(t, self.state(y), *args)

    # ---- numbers --------------------------------------------------------------------------------------------------------------------

    def twice(self, tolerance: Any, name: str) -> Any:
        """A tolerance for each component, for both of its parts; one number as it is."""
        array = np.asarray(tolerance)
        if tolerance is None or array.ndim == 0:
            return tolerance
        if array.shape not in (self.shape, (self.size,)):
            raise ValueError(
                f"{name}: expected one number, or one for each component of a state of shape {self.shape}, got shape {array.shape}"
            )
        return np.repeat(array.reshape(-1), 2)

    def doses(self, doses: Any) -> Any:
        """(t, index, complex amount) each."""
        if doses is None:
            return None
        out: list[Any] = []
        for k, dose in enumerate(listed_doses(doses)):
            if not isinstance(dose, list | tuple) or len(dose) != 3:
                raise TypeError(f"doses[{k}]: expected (t, index, amount), got {shown(dose)}")
            try:
                at = int(np.arange(self.size).reshape(self.shape)[whole_index(dose[1])])
                amount = complex(dose[2])
            except (TypeError, ValueError, IndexError) as error:
                raise type(error)(
                    f"doses[{k}]: expected a time, an index into shape {self.shape} and an amount, got {shown(dose)}"
                ) from error
            out += [(dose[0], 2 * at, amount.real), (dose[0], 2 * at + 1, amount.imag)]
        return out

    def pattern(self, sparsity: Any) -> Any:
        """Where the real form of a Jacobian may be other than 0."""
        if sparsity is None:
            return None
        if hasattr(sparsity, "tocsc"):
            from scipy import sparse

            return sparse.kron(sparsity, np.ones((2, 2))).tocsc()
        return np.kron(np.asarray(sparsity), np.ones((2, 2)))

    def band(self, width: Any) -> Any:
        """Of a band's entries beside the diagonal."""
        return None if width is None else 2 * width + 1


class ComplexOutput:
    """The solution as a function of t, of complex states: `mflow.DenseOutput` of the real form, `real`, and how it is seen."""

    def __init__(self, real: Any, pairs: Pairs) -> None:
        self.real, self._pairs = real, pairs
        self.ts, self.t_min, self.t_max = real.ts, real.t_min, real.t_max

    def __repr__(self) -> str:
        return f"ComplexOutput({self.real!r})"

    def __call__(self, t: Any) -> Any:
        """The state at t, of shape (*shape, *t.shape); t in any order."""
        return self._seen(self.real(t), np.shape(t))

    def derivative(self, t: Any) -> Any:
        """dy/dt of the extension at t, of shape (*shape, *t.shape)."""
        return self._seen(self.real.derivative(t), np.shape(t))

    def _seen(self, y: Array, times: Sequence[int]) -> Any:
        return self._pairs.columns(y.reshape(2 * self._pairs.size, -1)).reshape(*self._pairs.shape, *times)
