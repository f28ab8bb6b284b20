"""`ImplicitSGD(residual=...)`: nonlinear least squares, one datum or one batch after the other, by implicit steps.

    c+ = c - gamma grad f_b(c+),    f_b(c) = the mean of w r(c)^2/2 over the rows of the batch

Steps are taken by `mflow_core.implicit.proximal`, whose design comment has the equation that is solved; here are data, rates and endings.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator
from typing import Any, ClassVar, Self

import numpy as np
from mflow_core.implicit import proximal
from mflow_core.objectives.objective import Objective
from mflow_core.problems.signatures import is_compiled

from mflow.base.checks import (
    Array,
    as_array,
    check_flags,
    check_function,
    check_instance,
    check_list,
    check_number,
    check_start,
    check_vector,
    check_whole,
    random_generator,
    real_array,
)
from mflow.base.methods import record_values
from mflow.base.progress import reason_of
from mflow.base.result import attach
from mflow.base.telling import tell
from mflow.data.rows import row_count
from mflow.implicit.linear import KEPT, RECORD, ImplicitSGD, check_weights, no_squares
from mflow.saving.fields import are_same

__all__ = ["ResidualSGD", "RowsOf"]

RowsOf = Callable[[Array, Any, bool], tuple[Array, Array | None]]
OWN = ("lr", "lr_decay", "lr_power", "average", "l2")  # parameters of the record that belong to residuals, too


class ResidualSGD(ImplicitSGD, kind="residual"):
    """Nonlinear least squares by implicit SGD: what ``ImplicitSGD(residual=r, jacobian=J, lr=...)`` makes.

    Each step solves z = c - gamma grad f_b(z), f_b the mean of r^2/2 over its batch, for a minimiser of f_b(z) + |z - c|^2/(2 gamma)
    that is not above f_b(c): a step lowers the loss of its own batch, whatever gamma is. The loss of all the data may rise; rates that
    fall, or an average, settle it.

    Parameters
    ----------
    residual : callable, objective of `mflow.objectives` that is a sum of squares, or function from `mflow.compile` (kind="residual")
        ``residual(params, *datum)`` returns a number; datum is a row of each array of the data. An objective holds its data.
    jacobian : callable
        ``jacobian(params, *datum)`` returns the gradient of the residual, of the shape of params. Compiled ones have theirs.
    lr, lr_decay, lr_power : float
        gamma = lr (1 + lr_decay lr n)^-lr_power after n data.
    average : int
        params is the mean of the points from this datum on, 1 being the first; 0: it is the last one.
    l1, l2 : float
        After each step params shrink by the proximal map of gamma (l1 |c|_1 + l2 |c|^2/2), entry by entry: the elastic net.
    x_scale : array_like, of the shape of params
        Units of the parameters: distances are measured in them, and penalties.

    Attributes
    ----------
    params : ndarray, of the shape of the start
    last : ndarray
        After the last step, averaged or not.
    count, nfev : int
        Data learned, evaluations of a batch's residuals.
    cut, kept, skipped : int
        Steps for which gamma was cut as no root was found at the whole one; for which none was found at all, and those whose residuals
        were not finite before the step: in both cases params stay.
    losses : list of float
        The mean of the losses before the steps, an entry an epoch.
    worst_phi : float
        The certificate: the largest distance from a root, by Newton's estimate, as a share of the step.
    reason : str
        "converged", "max_iter", "interrupted", or "non_finite" where no residual of an epoch was finite.

    Examples
    --------
    >>> import numpy as np, mflow
    >>> t = np.linspace(0, 1, 11)
    >>> y = 2.0 * np.exp(-1.5 * t)
    >>> def residual(b, t, y):
    ...     return b[0] * np.exp(-b[1] * t) - y
    >>> def jacobian(b, t, y):
    ...     return np.array([1.0, -b[0] * t]) * np.exp(-b[1] * t)
    >>> model = mflow.ImplicitSGD(residual=residual, jacobian=jacobian, lr=0.7)
    >>> model.fit((t, y), x0=[1.0, 0.5], epochs=1, seed=3).params.round(5)
    array([1.36608, 0.74636])
    >>> model.fit((t, y), x0=[1.0, 0.5], epochs=200, seed=3).params.round(3)
    array([2. , 1.5])

    References
    ----------
    D. Bertsekas, Math. Program. 129 (2011) 163-195; P. Toulis and E. Airoldi, Ann. Stat. 45 (2017) 1694-1727.
    """

    def __init__(
        self, loss: Any = None, *, residual: Any, jacobian: Callable[..., Any] | None = None, l1: float = 0.0, x_scale: Any = None,
        **parameters: Any,
    ) -> None:  # fmt: skip
        if loss is not None:
            raise TypeError(f"loss: expected none beside residual=, whose loss is half its square, got {loss!r}; omit one of them")
        unfit = [name for name in parameters if name not in OWN]
        if unfit:
            raise TypeError(f"{unfit[0]}: expected one of {', '.join(OWN)} beside residual=; omit it")
        self.objective_of = residual if isinstance(residual, Objective) else None
        self.compiled = self.objective_of is None and is_compiled(residual)
        if self.objective_of is not None and "squares" not in residual.flags:
            raise TypeError(f"residual: expected a sum of squares, {no_squares(residual)}")
        if self.objective_of is None and not self.compiled:
            check_function(residual, "residual", "a function of (params, *datum)")
            check_function(jacobian, "jacobian", "the gradient of the residual, a function of (params, *datum)")
        elif jacobian is not None:
            raise TypeError("jacobian: expected none, as a compiled residual has its own; omit it")
        self.residual, self.jacobian, self.rows_of = residual, jacobian, rows_by_datum
        self.l1 = check_number(l1, "l1", low=0.0)
        self.x_scale = None if x_scale is None else real_array(x_scale, "x_scale")
        if self.x_scale is not None and not np.all((self.x_scale > 0.0) & np.isfinite(self.x_scale)):
            raise ValueError("x_scale: expected finite numbers above 0, got one that is not")
        self.loss, self.parameters, self.numbers = "residual", dict(parameters), record_values(RECORD, parameters)
        self.reason, self.n_epochs = "not fitted", 0
        self._steps: proximal.ProximalSteps | None = None

    # ---- learning

    def fit(
        self, X: Any = None, y: None = None, sample_weight: Any = None, *, x0: Any = None, batch_size: int = 1, epochs: int = 20,
        shuffle: bool = True, seed: Any = None, tol: float = 0.0, warm_start: bool = False,
    ) -> Self:  # fmt: skip
        """Learn from data, `epochs` times over.

        Parameters
        ----------
        X : array, or tuple of arrays whose first axis is the data's
            None where the residual is an objective, which holds its data.
        y : None
        sample_weight : array_like (rows,), None
            Multiplies a datum's loss.
        x0 : array_like
            Where to start; that of an objective where it is None.
        batch_size : int
            Data in a step: the mean of their losses is stepped.
        epochs, shuffle, seed, tol, warm_start
            As of a linear model. The order of an epoch is ``numpy.random.default_rng(seed).permutation(rows)``.

        Raises
        ------
        TypeError, ValueError
            An argument does not fit; the text names it. What the functions raise is passed on, with the model as
            its ``partial_result``, which keeps what it has learned; so is KeyboardInterrupt.
        """
        check_flags(shuffle=shuffle, warm_start=warm_start)
        if y is not None:
            raise TypeError("y: expected None beside residual=, which gets a row of each array of X; give X=(x, y)")
        rng, tol, epochs = random_generator(seed), check_number(tol, "tol"), check_whole(epochs, "epochs", 1)
        arrays, rows = self.bound(X)
        batch = min(check_whole(batch_size, "batch_size", 1), rows)
        weights = check_weights(sample_weight, rows)
        self.begin(x0, arrays, batch, weights, anew=not warm_start)
        before = self.last

        def settled() -> bool:
            nonlocal before
            now = self.last
            moved, before = float(np.max(np.abs(now - before), initial=0.0)), now
            return moved <= tol * float(np.max(np.abs(now), initial=0.0))

        try:
            self.run_epochs(rows, batch, epochs, rng if shuffle else None, settled)
        except BaseException as error:
            self.reason, _ = reason_of(error)
            attach(error, lambda: self, f"in ImplicitSGD.fit, in epoch {self.n_epochs}; {KEPT}")
            raise
        if self.reason == "non_finite":
            text = f"no residual was finite in epoch {self.n_epochs}: start elsewhere, or look at what the function cannot take"
            tell(f"ImplicitSGD: {text}")
        return self

    def run_epochs(self, rows: int, batch: int, epochs: int, rng: np.random.Generator | None, done: Callable[[], bool]) -> None:
        """Epochs until ``done()`` after one of them, each in an order drawn from rng, or in sequence; `reason` says how they ended."""
        self.reason = "max_iter"
        for self.n_epochs in range(1, epochs + 1):
            order = np.arange(rows, dtype=np.int64) if rng is None else rng.permutation(rows).astype(np.int64)
            if not self._epoch(order, batch):
                self.reason = "non_finite"
                break
            if done():
                self.reason = "converged"
                break

    def partial_fit(self, X: Any = None, y: None = None, sample_weight: Any = None, *, x0: Any = None, batch_size: int = 1) -> Self:
        """Learn from these data once, in sequence, on top of what was learned before; the first call needs x0 as `fit` does."""
        if y is not None:
            raise TypeError("y: expected None beside residual=; give X=(x, y)")
        arrays, rows = self.bound(X)
        batch = min(check_whole(batch_size, "batch_size", 1), rows)
        self.begin(x0, arrays, batch, check_weights(sample_weight, rows), anew=not hasattr(self, "_now"))
        with self._kept():
            self._epoch(np.arange(rows, dtype=np.int64), batch)
        return self

    @contextlib.contextmanager
    def _kept(self) -> Iterator[None]:
        """What is raised has the model as its partial result."""
        try:
            yield
        except BaseException as error:
            attach(error, lambda: self, f"in ImplicitSGD, after {self.count} data; {KEPT}")
            raise

    def learn(self, *datum: Any) -> float:
        """Learn from one datum of a stream, after a start was set by `set_params`. Returns its residual as it was before."""
        if self.objective_of is not None:
            raise TypeError("learn: an objective holds its data; call fit")
        params = self.last
        self.partial_fit(tuple(as_array(part, "datum")[None] for part in datum))
        if self.compiled:
            return math.sqrt(2.0 * self._first_loss)
        with self._kept():
            return float(self.residual(params, *datum))

    def set_params(self, params: Any) -> None:
        """Start from these parameters; nothing is averaged or counted yet."""
        self._start_at = check_start(params, "params")
        self._reset(self._start_at)

    def _reset(self, start: Array) -> None:
        self.shape = start.shape
        self._now = np.ascontiguousarray(start, dtype=np.float64).ravel().copy()
        self._sum, self._averaged = np.zeros(start.size), 0
        self._count = self.cut = self.kept = self.skipped = self._nfev = 0
        self._worst, self._first_loss = 0.0, math.nan
        self.losses: list[float] = []
        self._steps = None

    def bound(self, X: Any) -> tuple[tuple[Any, ...], int]:
        """Data as the core takes them: (arrays, rows). Raises TypeError or ValueError."""
        if self.objective_of is not None:
            if X is not None:
                raise TypeError(f"X: expected None, as {self.objective_of!r} holds its data; omit it")
            return (), self.objective_of.m
        if X is None:
            raise TypeError("X: expected an array or a tuple of arrays whose first axis is the data's, got None")
        arrays = tuple(as_array(part, f"X[{k}]") for k, part in enumerate(X)) if isinstance(X, tuple) else (as_array(X, "X"),)
        rows = row_count(arrays, tuple(f"X[{k}]" for k in range(len(arrays))))
        if self.compiled:
            table = [real_array(part, f"X[{k}]").reshape(rows, -1) for k, part in enumerate(arrays)]
            arrays = (np.ascontiguousarray(np.concatenate(table, axis=1), dtype=np.float64),)
        return arrays, rows

    def begin(self, x0: Any, arrays: tuple[Any, ...], batch: int, weights: Array | None = None, anew: bool = True) -> None:
        """Steps on these data, from x0 or from where the last ones ended."""
        if anew or not hasattr(self, "_now"):
            if x0 is None and self.objective_of is None:
                if not hasattr(self, "_start_at"):
                    raise TypeError("x0: expected the parameters to start from, got None")
                x0 = self._start_at
            self._reset(self.objective_of.x0 if x0 is None and self.objective_of is not None else check_start(x0, "x0"))
        unit = None
        if self.x_scale is not None:
            unit = np.ascontiguousarray(np.broadcast_to(check_vector(self.x_scale.ravel(), "x_scale"), self._now.shape))
        data = arrays[0] if self.compiled else None
        self._steps = proximal.ProximalSteps(self._source(arrays), self._now, batch, data=data, weight=weights, unit=unit)
        self._steps.l1, self._steps.l2 = self.l1, self.numbers.get("l2", 0.0)

    def _source(self, arrays: tuple[Any, ...]) -> Any:
        """What the core takes residuals from."""
        if self.objective_of is not None or self.compiled:
            return self.residual
        return self.rows_of(self.residual, self.jacobian, arrays, self.shape)

    def _epoch(self, order: Any, batch: int) -> bool:
        """All batches of an order; whether a residual of them was finite."""
        steps = self._steps
        assert steps is not None
        starts = self._count + batch * np.arange(-(-len(order) // batch))
        lr, decay, power = (self.numbers.get(name, default) for name, default in (("lr", 1.0), ("lr_decay", 0.0), ("lr_power", 1.0)))
        gammas = lr * (1.0 + decay * lr * starts) ** -power
        first = int(self.numbers.get("average", 0.0))
        try:
            if first > self._count + 1:  # what comes before the average begins
                plain = min(len(gammas), -(-(first - 1 - self._count) // batch))
                parts = [steps.run(order[: plain * batch], batch, gammas[:plain].copy())]
                if plain < len(gammas):
                    parts.append(steps.run(order[plain * batch :].copy(), batch, gammas[plain:].copy(), True))
            else:
                parts = [steps.run(order, batch, gammas, first > 0)]
        finally:
            self._take_over(steps)
        values, kinds = (np.concatenate(part) for part in zip(*parts, strict=True))
        self._count += len(order)
        self.cut += int(np.sum(kinds == proximal.CUT))
        self.kept += int(np.sum(kinds == proximal.KEPT))
        lost = kinds == proximal.SKIPPED
        self.skipped += int(np.sum(lost))
        sizes = np.minimum(batch, len(order) - batch * np.arange(len(kinds)))
        if np.all(lost):
            return False
        self._first_loss = float(values[~lost, 0][0])
        self.losses.append(float(np.average(values[~lost, 0], weights=sizes[~lost])))
        return True

    def _take_over(self, steps: proximal.ProximalSteps) -> None:
        """What the steps have come to."""
        self._now = steps.last
        if steps.averaged:
            self._sum = self._sum + steps.averaged * steps.mean
            self._averaged += steps.averaged
            steps.forget_mean()
        self._nfev, steps.nfev = self._nfev + steps.nfev, 0
        self._worst = max(self._worst, steps.worst)

    # ---- the result of learning

    def _learned(self) -> None:
        if not hasattr(self, "_now"):
            raise ValueError("ImplicitSGD: nothing has been learned yet; call fit, partial_fit or set_params first")

    @property
    def params(self) -> Array:
        """The mean of the points where `average` asks for it, else the last one."""
        self._learned()
        return (self._sum / self._averaged if self._averaged else self._now).reshape(self.shape).copy()

    @property
    def last(self) -> Array:  # type: ignore[override]
        """The point after the last step."""
        self._learned()
        return self._now.reshape(self.shape).copy()

    @property
    def count(self) -> int:
        """Data learned so far."""
        self._learned()
        return self._count

    @property
    def nfev(self) -> int:
        """Evaluations of a batch's residuals and their gradients."""
        self._learned()
        return self._nfev

    @property
    def worst_phi(self) -> float:
        """Largest distance from a root, as a share of the step."""
        self._learned()
        return self._worst

    def cost(self, at: Array, order: Any) -> tuple[float, Array]:
        """The mean of the losses over these rows and the penalties, at flat parameters; with l1 the smallest subgradient."""
        assert self._steps is not None
        unit = 1.0 if self.x_scale is None else np.broadcast_to(self.x_scale, self.shape).ravel()
        z, l2 = np.ascontiguousarray(at / unit), self.numbers.get("l2", 0.0)
        value, grad = self._steps.gradient(z, order)
        self._nfev, self._steps.nfev = self._nfev + self._steps.nfev, 0
        grad = grad + l2 * z
        if self.l1 > 0.0:
            grad = np.where(z != 0.0, grad + self.l1 * np.sign(z), np.sign(grad) * np.maximum(np.abs(grad) - self.l1, 0.0))
        return value + self.l1 * float(np.abs(z).sum()) + 0.5 * l2 * float(z @ z), grad / unit

    def objective(self, X: Any = None, y: None = None, sample_weight: Any = None) -> float:
        """Weighted mean of the losses r^2/2 at `params`, and l1 |c|_1 + l2 |c|^2/2 in the units of x_scale."""
        arrays, rows = self.bound(X)
        steps = proximal.ProximalSteps(
            self._source(arrays), self.params.ravel(), rows, data=arrays[0] if self.compiled else None,
            weight=check_weights(sample_weight, rows),
        )  # fmt: skip
        values, _ = steps.run(np.arange(rows, dtype=np.int64), rows, np.zeros(1))
        scaled = self.params.ravel() / (1.0 if self.x_scale is None else self.x_scale.ravel())
        return float(values[0, 0]) + self.l1 * float(np.abs(scaled).sum()) + 0.5 * self.numbers.get("l2", 0.0) * float(scaled @ scaled)

    def state_dict(self) -> dict[str, Any]:
        """All that the rest of the learning depends on, for the same bits: a plain dict of numbers and arrays."""
        self._learned()
        counts = [self._count, self._averaged, self.cut, self.kept, self.skipped, self._nfev]
        return {
            "loss": self.loss,
            "parameters": dict(self.parameters),
            "l1": self.l1,
            "params": self.last,
            "sum": self._sum.copy(),
            "counts": counts,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from what `state_dict` gave. Raises ValueError where it belongs to other parameters."""
        check_instance(state, "state", dict, "the dict that state_dict gave")
        missing = [name for name in ("loss", "parameters", "l1", "params", "sum", "counts") if name not in state]
        if missing:
            raise ValueError(f"state: expected what state_dict gave, got one without {missing[0]!r}")
        if not are_same(state, {"loss": self.loss, "parameters": self.parameters, "l1": self.l1}):
            raise ValueError(f"state: it belongs to other parameters, {state['parameters']} and l1 = {state['l1']}")
        start, total = check_start(state["params"], "state: params"), check_start(state["sum"], "state: sum")
        counts = [check_whole(n, "state: counts", 0) for n in check_list(state["counts"], "state: counts", "6 whole numbers")]
        if total.size != start.size or len(counts) != 6:
            raise ValueError("state: expected a sum of the size of params and 6 counts, got others; it is damaged")
        self._reset(start)
        self._sum = total.ravel()
        self._count, self._averaged, self.cut, self.kept, self.skipped, self._nfev = counts

    def __getstate__(self) -> dict[str, Any]:
        """Without the steps of the core, which hold the data of the last call; they are made anew."""
        return {**self.__dict__, "_steps": None}

    def __repr__(self) -> str:
        name = getattr(self.residual, "__name__", repr(self.residual))
        return f"ImplicitSGD({', '.join([f'residual={name}', *(f'{k}={v!r}' for k, v in self.parameters.items())])})"

    coef: ClassVar[Any] = property(lambda self: self._has_no("coef"))
    intercept: ClassVar[Any] = property(lambda self: self._has_no("intercept"))

    def _has_no(self, name: str) -> Any:
        raise AttributeError(f"{name}: a model with residuals has params")


def rows_by_datum(residual: Any, jacobian: Any, arrays: tuple[Any, ...], shape: tuple[int, ...]) -> RowsOf:
    """(residuals, Jacobian) of some rows at a flat vector of parameters, by a call of both functions a datum."""

    def rows_of(flat: Array, rows: Any, slopes: bool) -> tuple[Array, Array | None]:
        params = flat.reshape(shape)
        r, J = np.empty(len(rows)), np.empty((len(rows), flat.size)) if slopes else None
        for k, row in enumerate(rows.tolist()):
            datum = [part[row] for part in arrays]
            r[k] = _number(residual(params, *datum))
            if J is not None:
                J[k] = _gradient(jacobian(params, *datum), flat.size)
        return r, J

    return rows_of


def _number(value: Any) -> float:
    array = np.asarray(value)
    if array.size != 1 or array.dtype.kind not in "biuf":
        raise TypeError(f"residual returned shape {array.shape} and dtype {array.dtype}: expected a real number for one datum")
    return float(array.reshape(()))


def _gradient(value: Any, n: int) -> Array:
    array = np.asarray(value)
    if array.dtype.kind not in "biuf" or array.size != n:
        raise TypeError(f"jacobian returned shape {array.shape} and dtype {array.dtype}: expected {n} real numbers for one datum")
    return np.asarray(array, dtype=np.float64).ravel()
