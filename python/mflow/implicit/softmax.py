"""`SoftmaxSGD`: several classes at once, by implicit steps of the softmax loss. The equation is in `mflow_core.implicit.softmax`."""

from __future__ import annotations

import math
from typing import Any, TypedDict, Unpack

import numpy as np
from mflow_core.implicit import softmax

from mflow.base.checks import Array, check_flags, check_number, check_whole, random_generator
from mflow.base.methods import record_values
from mflow.base.pace import pieces
from mflow.base.result import attach
from mflow.implicit.linear import KEPT, RECORD, check_rows, check_weights, samples_of

__all__ = ["SoftmaxSGD"]


class SoftmaxOptions(TypedDict, total=False):
    """The parameters of `SoftmaxSGD`."""

    lr: float
    lr_decay: float
    lr_power: float
    l2: float
    intercept: bool
    average: int
    l1: float


OWN = tuple(SoftmaxOptions.__annotations__)  # parameters of the record that belong to it, too


class SoftmaxSGD:
    """A linear predictor t = W x + b of several classes, learned by implicit SGD on log sum_k e^(t_k) - t_y.

    Parameters
    ----------
    lr, lr_decay, lr_power, l1, l2, intercept, average
        As of `mflow.ImplicitSGD`.

    Attributes
    ----------
    coef, intercept : ndarray (classes, columns) and (classes,)
        The mean of the iterates where `average` asks for it, else the last ones.
    count : int
        Samples learned.
    worst_phi : float
        The certificate: no step's t is further than that from the exact root, as the derivative of its equation is at least 1.
    reason : str
        "converged", "max_iter", "interrupted" (Ctrl-C: the model, which is the exception's `partial_result`, keeps what it has learned) or
        "non_finite" (a row so large that no root is certified; what was learned before it is kept).

    See Also
    --------
    mflow.ImplicitSGD, mflow.objectives.Softmax

    Examples
    --------
    >>> import numpy as np, mflow
    >>> rng = np.random.default_rng(0)
    >>> y = np.repeat([0, 1, 2], 50)
    >>> X = np.array([[0.0, 3.0], [3.0, 0.0], [-3.0, -3.0]])[y] + rng.normal(size=(150, 2))
    >>> model = mflow.SoftmaxSGD(lr=100.0, average=1).fit(X, y, epochs=20, seed=0)
    >>> bool(np.mean(model.predict(X) == y) > 0.95), model.worst_phi < 1e-9
    (True, True)

    References
    ----------
    P. Toulis and E. Airoldi, Ann. Stat. 45 (2017) 1694-1727.
    """

    def __init__(self, **parameters: Unpack[SoftmaxOptions]) -> None:
        unfit = [name for name in parameters if name not in OWN]
        if unfit:
            raise TypeError(f"{unfit[0]}: expected one of {', '.join(OWN)} for the softmax loss; omit it")
        self.parameters, self.numbers = dict(parameters), record_values(RECORD, parameters)
        self.loss, self.reason, self.n_epochs, self.count = "softmax", "not fitted", 0, 0
        self._steps: softmax.SoftmaxSteps | None = None

    def fit(
        self, X: Any, y: Any, sample_weight: Any = None, *, classes: int | None = None, epochs: int = 20, shuffle: bool = True,
        seed: Any = None, tol: float = 0.0, warm_start: bool = False,
    ) -> SoftmaxSGD:  # fmt: skip
        """Learn from arrays, `epochs` times over.

        Parameters
        ----------
        X : array_like (rows, columns), or a sparse matrix
        y : array_like (rows,), whole numbers from 0 on
        classes : int
            How many there are; one more than the largest y where it is None.
        sample_weight, epochs, shuffle, seed, tol, warm_start
            As of `mflow.ImplicitSGD.fit`.

        Raises
        ------
        TypeError, ValueError
            An argument does not fit; the text names it.
        """
        check_flags(shuffle=shuffle, warm_start=warm_start)
        rng, epochs, tol = random_generator(seed), check_whole(epochs, "epochs", 1), check_number(tol, "tol")
        rows, labels, weights = self._checked(X, y, sample_weight)
        self._begin(rows, labels, classes, anew=not warm_start)
        samples = samples_of(rows, labels, weights)
        self.reason = "max_iter"
        for self.n_epochs in range(1, epochs + 1):
            before = self._joined()
            order = rng.permutation(len(samples)).astype(np.int64) if shuffle else np.arange(len(samples), dtype=np.int64)
            try:
                rooted = self._epoch(samples, order)
            except KeyboardInterrupt as error:
                self.reason = "interrupted"
                attach(error, lambda: self, f"in SoftmaxSGD.fit, in epoch {self.n_epochs}; {KEPT}")
                raise
            if not rooted:
                self.reason = "non_finite"
                break
            now = self._joined()
            if np.max(np.abs(now - before), initial=0.0) <= tol * np.max(np.abs(now), initial=0.0):
                self.reason = "converged"
                break
        return self

    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None, *, classes: int | None = None) -> SoftmaxSGD:
        """Learn from these rows once, in sequence, on top of what was learned before.

        Raises FloatingPointError where a row is so large that no root is certified.
        """
        rows, labels, weights = self._checked(X, y, sample_weight)
        self._begin(rows, labels, classes, anew=self._steps is None)
        samples = samples_of(rows, labels, weights)
        if not self._epoch(samples, np.arange(len(samples), dtype=np.int64)):
            raise FloatingPointError("SoftmaxSGD: W x or lr |x|^2 of a row is so large that its step has no certified root: scale X")
        return self

    def go_on_from(self, other: SoftmaxSGD) -> SoftmaxSGD:
        """Take over what `other` has learned, under the parameters of this one."""
        self._steps, self.count = other._steps, other.count
        if self._steps is not None:
            self._steps.l1, self._steps.l2 = self._penalties()
        return self

    def _penalties(self) -> tuple[float, float]:
        return self.numbers.get("l1", 0.0), self.numbers.get("l2", 0.0)

    def _checked(self, X: Any, y: Any, sample_weight: Any) -> tuple[Any, Array, Array | None]:
        rows = check_rows(X)
        given, count = np.asarray(y), rows.shape[0]
        if given.dtype.kind not in "iuf" or given.shape != (count,):
            raise ValueError(f"y: expected {count} whole numbers, one a row, got shape {given.shape} and dtype {given.dtype}")
        labels = given.astype(np.float64)
        if not np.all((labels == np.floor(labels)) & (labels >= 0.0) & (labels < 2.0**53)):
            raise ValueError("y: expected whole numbers from 0 on, the classes, got others")
        return rows, labels, check_weights(sample_weight, count)

    def _begin(self, rows: Any, labels: Array, classes: int | None, anew: bool) -> None:
        count = max(2, int(labels.max()) + 1) if classes is None else check_whole(classes, "classes", 2)
        if anew or self._steps is None:
            l1, l2 = self._penalties()
            self._steps = softmax.SoftmaxSteps(count, rows.shape[1], bool(self.numbers.get("intercept", 1.0)), l2, l1)
            self.count = 0
        if self._steps.n != rows.shape[1] or labels.max() >= self._steps.classes:
            known = f"{self._steps.n} columns and {self._steps.classes} classes"
            raise ValueError(f"X, y: expected {known}, as have been learned, got {rows.shape[1]} and class {labels.max():.0f}")

    def _epoch(self, samples: Any, order: Any) -> bool:
        """All samples of an order; whether each had a certified root."""
        assert self._steps is not None
        n = self.count + np.arange(len(order))
        lr, decay, power = (self.numbers.get(name, other) for name, other in (("lr", 1.0), ("lr_decay", 0.0), ("lr_power", 1.0)))
        first = int(self.numbers.get("average", 0.0))
        average = max(0, first - 1 - self.count) if first else -1
        rates, at = lr * (1.0 + decay * lr * n) ** -power, 0
        for count, _ in pieces(len(order)):
            end = at + count
            done = self._steps.run(samples, order[at:end], rates[at:end], max(0, average - at) if first else -1)
            self.count, at = self.count + done, end
            if done < count:
                return False
        return True

    def _joined(self) -> Array:
        W, b = self._weights()
        return np.column_stack([W, b])

    def _weights(self) -> tuple[Array, Array]:
        if self._steps is None:
            raise ValueError("SoftmaxSGD: nothing has been learned yet; call fit or partial_fit first")
        return self._steps.weights(True)

    @property
    def coef(self) -> Array:
        """W (classes, columns)."""
        return self._weights()[0]

    @property
    def intercept(self) -> Array:
        """b (classes,)."""
        return self._weights()[1]

    @property
    def worst_phi(self) -> float:
        """The largest distance of a step's t from its root, by the size of F(t), which bounds it."""
        return self._steps.worst if self._steps is not None else math.nan

    def predict_linear(self, X: Any) -> Array:
        """W x + b, (rows, classes)."""
        W, b = self._weights()
        rows = check_rows(X)
        if rows.shape[1] != W.shape[1]:
            raise ValueError(f"X: expected {W.shape[1]} columns, as have been learned, got {rows.shape[1]}")
        return np.asarray(rows @ W.T + b)

    def predict(self, X: Any) -> Any:
        """The class of each row."""
        return np.argmax(self.predict_linear(X), axis=1)

    def predict_proba(self, X: Any) -> Array:
        """softmax(W x + b), (rows, classes)."""
        t = self.predict_linear(X)
        e = np.exp(t - t.max(axis=1, keepdims=True))
        return np.asarray(e / e.sum(axis=1, keepdims=True))

    def objective(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Weighted mean of the losses, plus l1 |W|_1 + l2 |W|^2/2."""
        rows, labels, weights = self._checked(X, y, sample_weight)
        t = self.predict_linear(rows)
        most = t.max(axis=1)
        each = most + np.log(np.exp(t - most[:, None]).sum(axis=1)) - t[np.arange(len(t)), labels.astype(np.int64)]
        W, (l1, l2) = self.coef, self._penalties()
        return float(np.average(each, weights=weights)) + l1 * float(np.abs(W).sum()) + 0.5 * l2 * float((W**2).sum())

    def __repr__(self) -> str:
        return f"SoftmaxSGD({', '.join(f'{k}={v!r}' for k, v in self.parameters.items())})"
