"""`ImplicitSGD`: linear models taught one sample at a time by implicit steps, from arrays, sparse rows, memory-mapped files or streams.

This is the driver; steps, losses and the weights themselves live in `mflow_core.optimize.sweep`.
`mflow.adapters.sklearn_estimators` makes scikit-learn's conventions of it.
"""

from __future__ import annotations

import math
import textwrap
from typing import TYPE_CHECKING, Any, ClassVar, Unpack

import numpy as np
from mflow_core import registry
from mflow_core.optimize import sweep
from mflow_core.problems.sparse import check_sparse

from mflow.base.checks import (
    Array,
    as_array,
    check_flags,
    check_instance,
    check_number,
    check_start,
    check_whole,
    random_generator,
    real_array,
)
from mflow.base.methods import Method, describe, plain_name, record_values
from mflow.base.pace import interruptible
from mflow.base.result import attach
from mflow.base.tables import from_frame
from mflow.base.telling import tell
from mflow.saving.fields import are_same

if TYPE_CHECKING:
    from mflow.base._records import ModelOptions

__all__ = ["NAME", "ImplicitSGD", "check_labels", "check_rows", "check_weights", "is_implicit_sgd", "losses", "no_squares"]

RECORD = registry.find("implicit_sgd")
NAME = RECORD.name
KEPT = "the model, .partial_result, keeps what it has learned"
FORWARD = 1.0  # the record's number of flow="forward"
PER_ROW = 50  # multiplications that sorting or shuffling takes the time of, for each row
KINKS = {"delta": "huber", "tau": "quantile"}


def losses() -> dict[str, str]:
    """The formula of each loss l(t; y), t = x.w + b, by name.

    >>> from mflow.implicit.linear import losses
    >>> losses()["hinge"]
    'max(0, 1 - y t)'
    """
    return {name: formula for name, (_, formula, _) in sweep.losses().items()}


def is_implicit_sgd(method: Any) -> bool:
    """Whether this name, in any spelling that is looked up, or instance is implicit SGD."""
    if isinstance(method, Method):
        return bool(method.name == NAME)
    return isinstance(method, str) and plain_name(method) in {plain_name(name) for name in (NAME, *RECORD.aliases)}


def no_squares(fun: Any) -> str:
    """Words about an objective that is no sum of squares, and what steps on its loss where there is one."""
    fix = f'; mflow.ImplicitSGD("{fun.name}").fit(X, y) takes implicit steps on this loss' if fun.name in losses() else ""
    return f"got {fun!r}, which has no residuals{fix}"


# ---- checks of data --------------------------------------------------------------------------------------------------------------------


def check_rows(X: Any, argument: str = "X") -> Any:
    """Rows of finite numbers: a C-contiguous float64 array (no copy where it is one), or a CSR matrix in canonical form.

    Raises TypeError for anything but real numbers, ValueError for another shape, no rows, NaN or infinity.
    """
    if hasattr(X, "tocsr"):
        rows = check_sparse(X, argument).tocsr().astype(np.float64)
        if not rows.has_canonical_format or np.any(rows.data == 0):
            rows = rows.copy()
            rows.sum_duplicates()
            rows.eliminate_zeros()
        values = rows.data
    else:
        rows = as_array(from_frame(X), argument)
        if rows.dtype.kind not in "biuf":
            raise TypeError(f"{argument}: expected real numbers, got dtype {rows.dtype}")
        rows = values = np.ascontiguousarray(rows, dtype=np.float64)
    if rows.ndim != 2:
        raise ValueError(f"{argument}: expected an array of shape (rows, columns), got shape {rows.shape}; X.reshape(1, -1) for one row")
    if rows.shape[0] == 0:
        raise ValueError(f"{argument}: expected at least one row, got an empty array")
    if not np.all(np.isfinite(values)):
        where = f" (row {np.flatnonzero(~np.isfinite(values).all(axis=1))[0]})" if values.ndim == 2 else ""
        raise ValueError(f"{argument}: expected finite numbers, got NaN or infinity{where}; fill or drop those rows first")
    return rows


def check_labels(y: Any, loss: str, rows: int) -> Array:
    """Labels as float64, each in the loss's domain. Raises TypeError or ValueError."""
    given = as_array(from_frame(y), "y")
    if given.dtype.kind not in "biuf":
        raise TypeError(f"y: expected real numbers, got dtype {given.dtype}")
    labels = np.ascontiguousarray(given, dtype=np.float64)
    if labels.shape != (rows,):
        raise ValueError(f"y: expected an array of shape ({rows},), one label for each row of X, got shape {labels.shape}")
    bad = sweep.bad_label(loss, labels)
    if bad >= 0:
        domain = sweep.losses()[loss][0]
        fix = "; 2 * y - 1 makes them of 0 and 1" if domain == "-1 and +1" else ""
        raise ValueError(f"y: {loss} loss takes {domain}, got {labels[bad]:g} in entry {bad}{fix}")
    return labels


def check_weights(sample_weight: Any, rows: int) -> Array | None:
    """Weights as float64, finite and not negative; None stays None. Raises ValueError."""
    if sample_weight is None:
        return None
    weights = np.ascontiguousarray(real_array(sample_weight, "sample_weight"))
    if weights.shape != (rows,):
        raise ValueError(f"sample_weight: expected an array of shape ({rows},), got shape {weights.shape}")
    bad = np.flatnonzero(~((weights >= 0.0) & np.isfinite(weights)))
    if bad.size:
        raise ValueError(f"sample_weight: expected finite numbers of at least 0, got {weights[bad[0]]} in entry {bad[0]}")
    if not np.any(weights > 0.0):
        raise ValueError("sample_weight: expected at least one weight above 0, got only 0")
    return weights


def samples_of(rows: Any, labels: Array, weights: Array | None) -> sweep.Samples:
    """The arrays bound for sweeps."""
    if isinstance(rows, np.ndarray):
        return sweep.Samples(rows, labels, weights)
    parts = (rows.indptr.astype(np.int64), rows.indices.astype(np.int32), np.ascontiguousarray(rows.data))
    return sweep.Samples(parts, labels, weights, rows.shape[1])


def distinct(samples: sweep.Samples, weights: Array | None) -> tuple[Any, Array]:
    """(rows, weights): one of each set of equal rows, with the sum of their weights, in an order that the rows alone decide.

    `weights` is as long as the samples, 0 for the rows that an equal one represents. So a datum of weight k counts as k data, and the
    order of the data does not matter.
    """
    each = np.ones(len(samples)) if weights is None else weights
    keys = samples.keys()
    work = PER_ROW * len(samples)
    order, same = interruptible(work, _sorted, keys)
    first = np.ones(len(order), dtype=np.bool_)
    first[same] = ~samples.equal(order[same - 1], order[same])
    starts = np.flatnonzero(first)
    total = np.zeros(len(order))
    represent = order[starts]
    total[represent] = interruptible(work, lambda: np.add.reduceat(each[order], starts))
    return represent[total[represent] > 0.0], total


def _sorted(keys: Any) -> tuple[Any, Any]:
    """The order of the keys, and the places in it whose key is that of the place before."""
    order = np.argsort(keys, kind="stable").astype(np.int64)
    return order, np.flatnonzero(keys[order[1:]] == keys[order[:-1]]) + 1


# ---- the driver ------------------------------------------------------------------------------------------------------------------------


class ImplicitSGD:
    """A linear predictor t = x.w + b of one loss, learned by implicit SGD. `help(ImplicitSGD)` ends with formula and parameters.

    With ``residual=`` it is a nonlinear model, see `mflow.implicit.residuals.ResidualSGD`.

    Parameters
    ----------
    loss : str
        "squared", "huber", "absolute", "quantile", "hinge", "logistic", "poisson" or "gamma" (`losses` has their formulas). Labels of
        "hinge" and "logistic" are -1 and +1, counts of "poisson" are not negative, "gamma" takes positive numbers.
    **parameters
        Those of the method, by name.

    Attributes
    ----------
    coef, intercept : ndarray (n_columns,), float
        The mean of the iterates where `average` asks for it, else the last ones.
    last : tuple
        (coef, intercept) as the last step left them.
    count : int
        Samples learned.
    worst_phi : float
        The certificate: the largest abs(phi(t)) of all backward steps, phi(t) = t - s + gamma q l'(t). phi' >= 1, so no step's t is
        further than that from the exact root. NaN where the flow is not "backward".
    reason : str
        Why `fit` ended: "converged", "max_iter", "interrupted" (Ctrl-C: the model, which is the exception's `partial_result`, keeps what
        it has learned until then), "diverged" (only "forward" can), "non_finite" (numbers in X whose squares overflow; the
        weights are those from before that epoch).

    See Also
    --------
    mflow.SoftmaxSGD, mflow.train, mflow.minimize_batch

    Examples
    --------
    >>> import numpy as np, mflow
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(500, 3))
    >>> model = mflow.ImplicitSGD("squared", lr=10.0, average=1).fit(X, X @ [1.0, -2.0, 0.5] + 3.0, epochs=20, seed=0)
    >>> bool(np.allclose(model.coef, [1, -2, 0.5], atol=1e-2)), model.worst_phi < 1e-12
    (True, True)
    """

    _kinds: ClassVar[dict[str, type[ImplicitSGD]]] = {}  # by the argument that asks for them

    def __init_subclass__(cls, *, kind: str = "", **more: Any) -> None:
        """A model of its own kind, which `ImplicitSGD` makes where an argument of this name is given."""
        super().__init_subclass__(**more)
        if kind:
            ImplicitSGD._kinds[kind] = cls

    def __new__(cls, *_: Any, **parameters: Any) -> Any:
        """The model of the kind that the arguments ask for."""
        return object.__new__(next((kind for name, kind in ImplicitSGD._kinds.items() if name in parameters), cls))

    def __init__(self, loss: str = "squared", **parameters: Unpack[ModelOptions]) -> None:
        known = sweep.losses()
        check_instance(loss, "loss", str, f"one of {', '.join(map(repr, known))}")
        if loss not in known:
            raise ValueError(registry.unknown("loss: there is no", loss, list(known)))
        for name, owner in KINKS.items():
            if name in parameters and loss != owner:
                raise TypeError(f"{name}: it belongs to the {owner} loss, got loss = {loss!r}; omit it")
        if isinstance(parameters.get("flow"), str) and parameters["flow"] == "exact" and parameters.get("l2", 0.0) != 0.0:
            raise ValueError(f"flow: 'exact' and l2 = {parameters['l2']!r} have no closed form together; take flow='backward'")
        self.loss = loss
        self.parameters = dict(parameters)
        self.numbers = record_values(RECORD, parameters)
        self._learner: sweep.Learner | None = None
        self.reason = "not fitted"
        self.n_epochs = 0

    # ---- learning

    def fit(
        self, X: Any, y: Any, sample_weight: Any = None, *, epochs: int = 20, shuffle: bool = True, seed: Any = None, tol: float = 0.0,
        warm_start: bool = False,
    ) -> ImplicitSGD:  # fmt: skip
        """Learn from arrays, `epochs` times over.

        Parameters
        ----------
        X : array_like (rows, columns), or a sparse matrix
            C-contiguous float64 is used as it is, memory-mapped files too.
        y : array_like (rows,)
        sample_weight : array_like (rows,), None
            Multiplies a sample's loss.
        epochs : int
        shuffle : bool
            A new order each epoch. Equal rows are then one row with the sum of their weights, and the result does not depend on the
            order of the rows. False: in sequence, each row by itself.
        seed : int, numpy.random.Generator or None
        tol : float
            Ends after an epoch that moves no weight by more than tol times the largest.
        warm_start : bool
            Go on from where the last `fit` or `partial_fit` ended.

        Raises
        ------
        TypeError, ValueError
            An argument does not fit; the text names it.
        """
        check_flags(shuffle=shuffle, warm_start=warm_start)
        rng = random_generator(seed)
        rows, labels, weights = self._checked(X, y, sample_weight)
        epochs = check_whole(epochs, "epochs", 1)
        tol = check_number(tol, "tol")
        learner = self._start(rows.shape[1], anew=not warm_start)
        samples, represent = samples_of(rows, labels, weights), None
        if shuffle:
            represent, summed = distinct(samples, weights)
            samples = samples_of(rows, labels, summed)
        watch = _Watch(self, rows, labels, weights) if self.numbers.get("flow") == FORWARD else None
        self.reason = "max_iter"
        for self.n_epochs in range(1, epochs + 1):
            before, state = self._joined(), learner.state()
            try:
                order = interruptible(PER_ROW * len(represent), rng.permutation, represent) if represent is not None else None
                status = learner.sweep(samples, order)
            except KeyboardInterrupt as error:
                self.reason = "interrupted"
                attach(error, lambda: self, f"in ImplicitSGD.fit, in epoch {self.n_epochs}; {KEPT}")
                raise
            now = self._joined()
            lost = status != 0 or not np.all(np.isfinite(now))
            if watch is not None and watch.diverged(lost):
                break
            if watch is None and lost:
                learner.set_state(state)
                self._overflowed(status)
                break
            if np.max(np.abs(now - before), initial=0.0) <= tol * np.max(np.abs(now), initial=0.0):
                self.reason = "converged"
                break
        if watch is not None:
            watch.end()
        return self

    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> ImplicitSGD:
        """Learn from these rows once, in sequence, on top of what was learned before.

        Raises FloatingPointError where "forward" diverges, or numbers are too large for a step; the weights are then as before the call.
        """
        rows, labels, weights = self._checked(X, y, sample_weight)
        learner = self._start(rows.shape[1])
        self._once(learner, samples_of(rows, labels, weights))
        return self

    def learn(self, x: Any, y: float, weight: float = 1.0) -> float:
        """Learn from one datum of a stream: x (columns,), its label and weight. Returns x.w + b as it was before.

        Examples
        --------
        >>> import mflow
        >>> model = mflow.ImplicitSGD("logistic", lr=1.0)
        >>> model.learn([1.0, 0.0], +1), model.learn([1.0, 0.0], +1) > 0
        (0.0, True)
        """
        row = check_rows(as_array(x, "x")[None], "x")
        labels = check_labels(np.array([y]), self.loss, 1)
        weight = check_number(weight, "weight", low=0.0, open_low=True)
        weights = check_weights(np.array([weight]), 1) if weight != 1.0 else None
        learner = self._start(row.shape[1])
        w, b = learner.mean
        self._once(learner, sweep.Samples(row, labels, weights))
        return float(row[0] @ w) + b

    def _checked(self, X: Any, y: Any, sample_weight: Any) -> tuple[Any, Array, Array | None]:
        rows = check_rows(X)
        return rows, check_labels(y, self.loss, rows.shape[0]), check_weights(sample_weight, rows.shape[0])

    def _start(self, n: int, anew: bool = False) -> sweep.Learner:
        if self._learner is None or anew:
            self._learner = sweep.Learner(RECORD, self.numbers, self.loss, n)
        if self._learner.n != n:
            raise ValueError(f"X: expected {self._learner.n} columns, as have been learned, got {n}")
        return self._learner

    def _once(self, learner: sweep.Learner, samples: sweep.Samples) -> None:
        state = learner.state()
        status = learner.sweep(samples)
        if status != 0 or not np.all(np.isfinite(self._joined())):
            learner.set_state(state)
            raise FloatingPointError(_why(status))

    def _overflowed(self, status: int) -> None:
        """No implicit step diverges: what is lost is lost to rows whose squares, or steps whose products, leave the finite numbers."""
        self.reason = "non_finite"
        kept = f"in epoch {self.n_epochs}, and the weights from before it are kept"
        if status == sweep.NOT_SOLVED:
            tell(f"ImplicitSGD: the step of a sample has no certified root {kept}: x.w or lr |x|^2 is too large. Scale X, or lower lr")
        else:
            tell(f"ImplicitSGD: weights left the finite numbers {kept}. Scale X, or lower lr: squares of its rows overflow, or nearly")

    def _joined(self) -> Array:
        w, b = self.learner.mean
        out: Array = np.append(w, b)
        return out

    # ---- the result of learning

    @property
    def learner(self) -> sweep.Learner:
        """The weights in the core. Raises ValueError before anything was learned."""
        if self._learner is None:
            raise ValueError("ImplicitSGD: nothing has been learned yet; call fit, partial_fit or learn first")
        return self._learner

    @property
    def coef(self) -> Array:
        """A read-only copy of the weights w; `set_weights` sets them."""
        out: Array = self.learner.mean[0]
        out.setflags(write=False)
        return out

    @property
    def intercept(self) -> float:
        """The intercept b, 0 without one."""
        return self.learner.mean[1]

    @property
    def last(self) -> tuple[Array, float]:
        """(w, b) after the last step, averaged or not."""
        return self.learner.last

    @property
    def count(self) -> int:
        """Samples learned so far, those of weight 0 left out."""
        return self.learner.count

    @property
    def worst_phi(self) -> float:
        """Largest abs(phi(t)) of the backward steps so far; NaN for another flow."""
        return self.learner.worst_phi if self.numbers.get("flow", 0.0) == 0.0 else math.nan

    def set_weights(self, coef: Any, intercept: float = 0.0) -> None:
        """Start from these weights; nothing is averaged or counted yet."""
        w = check_start(coef, "coef").ravel()
        self._start(w.size, anew=True).set_weights(w, check_number(intercept, "intercept"))

    def go_on_from(self, other: ImplicitSGD) -> ImplicitSGD:
        """Take over what `other` has learned, under the parameters of this one.

        Count and means are taken over too, unless the loss differs or only one of both averages: then the weights alone.

        Examples
        --------
        >>> import mflow
        >>> model = mflow.ImplicitSGD("squared").fit([[1.0], [2.0]], [1.0, 2.0], seed=0)
        >>> slower = mflow.ImplicitSGD("squared", lr=0.1).go_on_from(model)
        >>> slower.count == model.count, slower.last == model.last
        (True, True)
        """
        check_instance(other, "other", ImplicitSGD, "an ImplicitSGD")
        if other._learner is None:
            return self
        learner = self._start(other.learner.n, anew=True)
        state = other.learner.state()
        if self.loss == other.loss and state.shape == learner.state().shape:
            learner.set_state(state)
        else:
            learner.set_weights(*other.learner.last)
        return self

    def predict_linear(self, X: Any) -> Array:
        """t = X w + b, (rows,)."""
        rows = check_rows(X)
        if rows.shape[1] != self.coef.size:
            raise ValueError(f"X: expected {self.coef.size} columns, as have been learned, got {rows.shape[1]}")
        out: Array = np.asarray(rows @ self.coef + self.intercept)
        return out

    def objective(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Weighted mean of the losses, each above its own least value, plus l1 |w|_1 + l2 |w|^2/2."""
        rows, labels, weights = self._checked(X, y, sample_weight)
        index = sweep.losses()[self.loss][2]  # of the parameter that shapes the loss
        shape = 0.0 if index < 0 else self.numbers.get(RECORD.parameters_[index][0], RECORD.parameters_[index][1])
        each = sweep.loss_map(self.loss, "value", self.predict_linear(rows), labels, shape=shape)
        l1, l2 = self.numbers.get("l1", 0.0), self.numbers.get("l2", 0.0)
        return float(np.average(each, weights=weights)) + l1 * float(np.abs(self.coef).sum()) + 0.5 * l2 * float(self.coef @ self.coef)

    def state_dict(self) -> dict[str, Any]:
        """All that the rest of the learning depends on, for the same bits: a plain dict of texts, numbers and arrays."""
        return {"loss": self.loss, "parameters": dict(self.parameters), "n": self.learner.n, "state": self.learner.state()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from what `state_dict` gave. Raises ValueError where it belongs to another loss or other parameters."""
        check_instance(state, "state", dict, "the dict that state_dict gave")
        missing = [name for name in ("loss", "parameters", "n", "state") if name not in state]
        if missing:
            raise ValueError(f"state: expected what state_dict gave, got one without {missing[0]!r}")
        if not are_same(state, {"loss": self.loss, "parameters": self.parameters}):
            given = f"ImplicitSGD({state['loss']!r}, **{state['parameters']})"
            raise ValueError(f"state: loss, parameters: they belong to {given}, and this is {self!r}")
        values = np.ascontiguousarray(real_array(state["state"], "state"))
        if values.ndim != 1 or not values.size:
            raise ValueError(f"state: expected an array of shape (n,), got shape {values.shape}; it is damaged")
        if not np.all(np.isfinite(values[:-1])):  # the last one is the certificate, NaN where it could not be had
            raise ValueError("state: expected finite weights, got one that is not; it is damaged")
        self._start(check_whole(state["n"], "state: n", 0, values.size), anew=True).set_state(values)

    def __repr__(self) -> str:
        return f"ImplicitSGD({', '.join([repr(self.loss), *(f'{k}={v!r}' for k, v in self.parameters.items())])})"


def _why(status: int) -> str:
    """Why a sweep ended before its last sample."""
    if status == sweep.NOT_SOLVED:
        text = "ImplicitSGD: x.w or lr |x|^2 of a sample is so large that its step has no certified root"
        return f"{text}: scale the columns of X, or lower lr"
    return "ImplicitSGD: the weights left the finite numbers: lower lr, or take flow='backward'"


class _Watch:
    """What explicit steps need: the objective after each epoch, the best weights so far, and a warning where they diverged."""

    def __init__(self, model: ImplicitSGD, rows: Any, labels: Array, weights: Array | None) -> None:
        self.model, self.data = model, (rows, labels, weights)
        self.first = self.best = model.objective(*self.data)
        self.last, self.state = self.first, model.learner.state()

    def diverged(self, lost: bool) -> bool:
        """After an epoch. lost: the weights left the finite numbers."""
        with np.errstate(over="ignore", invalid="ignore"):
            self.last = math.inf if lost else self.model.objective(*self.data)
        if self.last < self.best:
            self.best, self.state = self.last, self.model.learner.state()
        return lost

    def end(self) -> None:
        """Where the objective ended above its first value, the best weights are restored."""
        if self.last <= self.first:
            return
        self.model.learner.set_state(self.state)
        self.model.reason = "diverged"
        text = f"the objective rose from {self.first:.3g} to {self.last:.3g} in {self.model.n_epochs} epochs; the best weights are kept"
        tell(f"ImplicitSGD: {text}. Lower lr, or take flow='backward'")


def _documented(text: str) -> str:
    """The docstring with the record's parameters in their section, and what else it says at the end."""
    words, _, rest = describe(RECORD).partition("Parameters\n----------\n")
    parameters, _, rest = rest.partition("\n\n")
    text = text.replace("    **parameters\n        Those of the method, by name.", textwrap.indent(parameters, "    "))
    return f"{text}\n{textwrap.indent(words + rest, '    ')}"


ImplicitSGD.__doc__ = _documented(ImplicitSGD.__doc__ or "")
