"""Implicit SGD in scikit-learn's conventions: `ImplicitSGDRegressor`, `ImplicitSGDClassifier` (one against the rest).

The only module that needs scikit-learn (1.6 or newer); `import mflow` does not import it, `mflow.ImplicitSGDClassifier` does.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from mflow_core.problems.sparse import check_sparse, is_sparse

try:
    from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.utils import check_random_state
    from sklearn.utils.class_weight import compute_sample_weight
    from sklearn.utils.metaestimators import available_if
    from sklearn.utils.multiclass import check_classification_targets, unique_labels
    from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data
except ImportError as error:
    raise ImportError("mflow's estimators need scikit-learn 1.6 or newer: pip install 'momentum-flow[learn]'") from error

from mflow.base.checks import Array, check_whole
from mflow.base.telling import knows_other_words, tell
from mflow.implicit.linear import KINKS, ImplicitSGD
from mflow.implicit.softmax import SoftmaxSGD

__all__ = ["ImplicitSGDClassifier", "ImplicitSGDRegressor"]

_LOG_LINK = ("poisson", "gamma")
_REGRESSION = ("squared", "huber", "absolute", "quantile", *_LOG_LINK)
_THEIRS = {
    "log_loss": "logistic", "squared_error": "squared", "absolute_error": "absolute", "pinball": "quantile", "log": "logistic",
}  # fmt: skip
_CLASSIFICATION = ("logistic", "hinge", "squared", "softmax")

_PARAMETERS = """lr : float
        The time step gamma of each sample's flow. Implicit steps diverge at no rate, but the mean of their iterates lies the farther from
        the minimum the larger a rate is that stays constant, however many epochs there are: see lr_decay.
    lr_decay, lr_power : float
        gamma = lr (1 + lr_decay lr n)^-lr_power after n samples; lr_decay = 0 keeps it. To come to the minimum itself give a decay, of
        about ``l2`` with lr_power = 1.
    flow : {"backward", "forward", "exact"}
        Implicit SGD, plain SGD, or the exact flow of each sample (without l2).
    l2 : float
        Adds l2 |w|^2/2 to each sample's loss, inside the implicit step; the intercept is free of it.
    fit_intercept : bool
    average : bool or int
        The mean of the iterates from this sample on (True: from the first) in place of the last one.
    truncated : bool
        Steps no longer than it takes to bring a sample's loss to its least value by a linear model of it (aProx).
    max_iter : int
        Epochs of `fit`.
    tol : float
        Ends after an epoch that moves no weight by more than tol times the largest, which does not tell how far the minimum is; `fit` warns
        (ConvergenceWarning) where none of max_iter epochs did. 0: max_iter epochs, as asked, and no warning (of early_stopping, which asks
        for an end before, there is one).
    shuffle : bool
        A new order each epoch; equal rows count as one with the sum of their weights.
    random_state : int, RandomState or None
    warm_start : bool
        `fit` goes on from what was learned before.
    early_stopping : bool
        Hold out a part of the rows, and end once their loss has not fallen by more than tol for n_iter_no_change epochs; what is learned
        are the weights of the best epoch.
    validation_fraction : float in (0, 1)
    n_iter_no_change : int
    l1 : float
        After each step every weight is moved toward 0 by gamma l1, and no further (the proximal map of l1 |w|_1; with l2 the elastic
        net); the intercept is free of it. ``average=False`` keeps exact zeros."""

_LEARNED = """coef_, intercept_ : ndarray
        What was learned.
    n_iter_ : int
        Epochs of the last `fit`.
    worst_phi_ : float
        No implicit step's equation was missed by more than this (`mflow.ImplicitSGD.worst_phi`).
    n_features_in_ : int"""

_SOURCE = """References
    ----------
    P. Toulis and E. Airoldi, Asymptotic and finite-sample properties of estimators based on stochastic gradients, Ann. Stat. 45 (2017)
    1694-1727."""


def _documented(cls: Any) -> Any:
    """Fills in what both docstrings share."""
    for word, text in (("PARAMETERS", _PARAMETERS), ("LEARNED", _LEARNED), ("SOURCE", _SOURCE)):
        cls.__doc__ = cls.__doc__.replace(word, text)
    return cls


class _Base(BaseEstimator):  # type: ignore[misc]
    """What both estimators share: parameters, the checks of data, models in the core."""

    _models: list[Any]
    _losses: tuple[str, ...]  # that it takes

    def __init__(
        self, loss: str, *, lr: float, lr_decay: float, lr_power: float, flow: str, l2: float, fit_intercept: bool, average: bool | int,
        truncated: bool, max_iter: int, tol: float, shuffle: bool, random_state: Any, warm_start: bool, early_stopping: bool,
        validation_fraction: float, n_iter_no_change: int, l1: float,
    ) -> None:  # fmt: skip
        self.loss = loss
        self.lr = lr
        self.lr_decay = lr_decay
        self.lr_power = lr_power
        self.flow = flow
        self.l2 = l2
        self.fit_intercept = fit_intercept
        self.average = average
        self.truncated = truncated
        self.max_iter = max_iter
        self.tol = tol
        self.shuffle = shuffle
        self.random_state = random_state
        self.warm_start = warm_start
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.l1 = l1

    def _check(self) -> None:
        if self.loss not in self._losses:
            ours = _THEIRS.get(self.loss) if isinstance(self.loss, str) else None
            hint = f"; scikit-learn's {self.loss!r} is {ours!r} here" if ours in self._losses else ""
            raise ValueError(f"loss: expected one of {', '.join(self._losses)}, got {self.loss!r}{hint}")
        check_whole(self.max_iter, "max_iter", 1)

    def _make(self) -> Any:
        """A model with the parameters as they are now; wrong ones raise here, when `fit` is called, as scikit-learn's conventions ask."""
        given: dict[str, Any] = {
            "lr": self.lr, "lr_decay": self.lr_decay, "lr_power": self.lr_power, "flow": self.flow, "l2": self.l2,
            "intercept": self.fit_intercept, "average": int(self.average), "truncated": self.truncated, "l1": self.l1,
        }  # fmt: skip
        if self.loss == "softmax":
            if self.flow != "backward" or self.truncated:
                raise ValueError(f"flow, truncated: expected 'backward' and False for softmax, got {self.flow!r} and {self.truncated!r}")
            return SoftmaxSGD(**{name: value for name, value in given.items() if name not in ("flow", "truncated")})
        given.update({name: getattr(self, name) for name, owner in KINKS.items() if owner == self.loss and hasattr(self, name)})
        return ImplicitSGD(self.loss, **given)

    def _rows(self, X: Any, y: Any = "no_validation", reset: bool = False) -> Any:
        """X, or (X, y), checked by scikit-learn."""
        X = check_sparse(X, "X") if is_sparse(X) else X
        settings: dict[str, Any] = {"accept_sparse": "csr", "dtype": np.float64, "order": "C", "reset": reset}
        if isinstance(y, str) and y == "no_validation":
            return validate_data(self, X, **settings)
        return validate_data(self, X, y, **settings, y_numeric=isinstance(self, RegressorMixin))

    def _weights(self, sample_weight: Any, X: Any) -> Any:
        return None if sample_weight is None else _check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)

    def _linear(self, X: Any) -> Array:
        check_is_fitted(self)
        out: Array = np.asarray(self._rows(X) @ self._matrix().T + np.atleast_1d(self.intercept_))
        return out

    def _matrix(self) -> Array:
        return np.atleast_2d(self.coef_)

    def _fit_all(self, X: Any, labels: list[Array], sample_weight: Any) -> None:
        """One model for each list of labels; each shuffles alike."""
        if not (self.warm_start and hasattr(self, "_models")):
            self._models = [self._make() for _ in labels]
        self._models = [self._up_to_date(model) for model in self._models]
        seed = check_random_state(self.random_state).randint(np.iinfo(np.int32).max)
        self._best: list[tuple[Any, Any]] | None = None
        if self.early_stopping:
            self._fit_until(X, labels, sample_weight, seed)
            self._publish()
            return
        for model, y in zip(self._models, labels, strict=True):
            model.fit(X, y, sample_weight, epochs=self.max_iter, shuffle=self.shuffle, seed=seed, tol=self.tol, warm_start=self.warm_start)
        self.n_iter_ = max(model.n_epochs for model in self._models)
        late = sum(model.reason not in ("converged", "diverged", "non_finite") for model in self._models)
        if late and self.tol > 0.0:
            which = "" if len(self._models) == 1 else f", {late} of {len(self._models)} models"
            text = f"{type(self).__name__}: max_iter = {self.max_iter} was reached, and weights still move by more than tol"
            tell(f"{text} = {self.tol:g}{which}; raise max_iter or tol", ConvergenceWarning)
        self._publish()

    def _fit_until(self, X: Any, labels: list[Array], weights: Any, seed: int) -> None:
        """Epoch by epoch, until the loss of rows that are held out falls no more; the weights of the best epoch are kept."""
        if not 0.0 < self.validation_fraction < 1.0 or X.shape[0] < 2:
            given = f"validation_fraction = {self.validation_fraction!r} and {X.shape[0]} rows"
            raise ValueError(f"validation_fraction: expected a number above 0 and below 1, and at least 2 rows, got {given}")
        if self.n_iter_no_change < 1:
            raise ValueError(f"n_iter_no_change: expected at least 1, got {self.n_iter_no_change!r}")
        order = np.random.default_rng(seed).permutation(X.shape[0])
        count = min(max(1, round(self.validation_fraction * X.shape[0])), X.shape[0] - 1)
        held, rest = np.sort(order[:count]), np.sort(order[count:])
        orders, least, waited = [np.random.default_rng(seed) for _ in labels], np.inf, 0
        some: dict[str, Any] = {"classes": int(labels[0].max()) + 1} if self.loss == "softmax" else {}
        of = (lambda rows: None) if weights is None else (lambda rows: weights[rows])
        for epoch in range(1, self.max_iter + 1):
            self.n_iter_, going = epoch, epoch > 1 or self.warm_start
            for model, y, rng in zip(self._models, labels, orders, strict=True):
                model.fit(X[rest], y[rest], of(rest), epochs=1, shuffle=self.shuffle, seed=rng, warm_start=going, **some)
            loss = sum(model.objective(X[held], y[held], of(held)) for model, y in zip(self._models, labels, strict=True))
            if loss < least - self.tol or self._best is None:
                least, waited, self._best = loss, 0, [(model.coef, model.intercept) for model in self._models]
            else:
                waited += 1
            if waited >= self.n_iter_no_change:
                return
        text = f"{type(self).__name__}: max_iter = {self.max_iter} epochs, and the loss of the rows held out has not stood for"
        text += f" n_iter_no_change = {self.n_iter_no_change} of them, within tol = {self.tol:g}, but for {waited}"
        tell(f"{text}; raise max_iter or tol", ConvergenceWarning)

    def _learn_once(self, X: Any, labels: list[Array], sample_weight: Any, first: bool) -> None:
        """One pass of each model over its labels, in sequence."""
        if first:
            self._models = [self._make() for _ in labels]
        self._models, self._best = [self._up_to_date(model) for model in self._models], None
        weights = self._weights(sample_weight, X)
        some: dict[str, Any] = {"classes": len(self.classes_)} if self.loss == "softmax" else {}
        for model, y in zip(self._models, labels, strict=True):
            model.partial_fit(X, y, weights, **some)
        self._publish()

    def _up_to_date(self, model: Any) -> Any:
        """The model, or one that goes on from it under the parameters of now, where `set_params` has changed them in between."""
        made = self._make()
        if (made.loss, made.parameters) == (model.loss, model.parameters):
            return model
        return made.go_on_from(model)

    def _publish(self) -> None:
        pairs = getattr(self, "_best", None) or [(model.coef, model.intercept) for model in self._models]
        self.coef_, self.intercept_ = (np.array(part) for part in zip(*pairs, strict=True))
        self.worst_phi_ = max(model.worst_phi for model in self._models)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags


@_documented
@knows_other_words
class ImplicitSGDRegressor(RegressorMixin, _Base):  # type: ignore[misc]
    """Linear regression by implicit SGD.

    Parameters
    ----------
    loss : {"squared", "huber", "absolute", "quantile", "poisson", "gamma"}
        "poisson" and "gamma" have a log link: `predict` gives exp(x.w + b).
    PARAMETERS
    delta, tau : float
        Where Huber's loss turns straight; the level of the quantile loss.

    Attributes
    ----------
    LEARNED

    Examples
    --------
    >>> import numpy as np, mflow
    >>> X = np.random.default_rng(0).normal(size=(200, 2))
    >>> model = mflow.ImplicitSGDRegressor(random_state=0).fit(X, X @ [1.0, 2.0])
    >>> bool(model.score(X, X @ [1.0, 2.0]) > 0.999)
    True

    SOURCE
    """

    _losses = _REGRESSION

    def __init__(
        self, loss: str = "squared", *, lr: float = 1.0, lr_decay: float = 0.0, lr_power: float = 1.0, flow: str = "backward",
        l2: float = 0.0, fit_intercept: bool = True, average: bool | int = True, truncated: bool = False, delta: float = 1.0,
        tau: float = 0.5, max_iter: int = 20, tol: float = 0.0, shuffle: bool = True, random_state: Any = None, warm_start: bool = False,
        early_stopping: bool = False, validation_fraction: float = 0.1, n_iter_no_change: int = 5, l1: float = 0.0,
    ) -> None:  # fmt: skip
        super().__init__(
            loss, lr=lr, lr_decay=lr_decay, lr_power=lr_power, flow=flow, l2=l2, fit_intercept=fit_intercept, average=average,
            truncated=truncated, max_iter=max_iter, tol=tol, shuffle=shuffle, random_state=random_state, warm_start=warm_start,
            early_stopping=early_stopping, validation_fraction=validation_fraction, n_iter_no_change=n_iter_no_change, l1=l1,
        )  # fmt: skip
        self.delta = delta
        self.tau = tau

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> ImplicitSGDRegressor:
        """Learn from X (rows, columns), dense or sparse, and y (rows,)."""
        self._check()
        X, y = self._rows(X, y, reset=True)
        self._fit_all(X, [np.asarray(y, dtype=np.float64)], self._weights(sample_weight, X))
        return self

    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> ImplicitSGDRegressor:
        """One pass over these rows, in sequence, on top of what was learned before."""
        self._check()
        first = not hasattr(self, "coef_")
        X, y = self._rows(X, y, reset=first)
        self._learn_once(X, [np.asarray(y, dtype=np.float64)], sample_weight, first)
        return self

    def _publish(self) -> None:
        super()._publish()
        self.coef_ = self.coef_[0]

    def predict(self, X: Any) -> Array:
        """Predictions (rows,)."""
        linear = self._linear(X)[:, 0]
        return np.exp(linear) if self.loss in _LOG_LINK else linear


def _has_probabilities(estimator: Any) -> bool:
    if estimator.loss not in ("logistic", "softmax"):
        raise AttributeError(f"predict_proba: the {estimator.loss} loss has no probabilities, 'logistic' and 'softmax' have")
    return True


@_documented
@knows_other_words
class ImplicitSGDClassifier(ClassifierMixin, _Base):  # type: ignore[misc]
    """Linear classification by implicit SGD, each class against the rest.

    Parameters
    ----------
    loss : {"logistic", "hinge", "squared", "softmax"}
        Each class against the rest; with "softmax" all classes at once (flow="backward").
    PARAMETERS
    class_weight : dict, "balanced" or None
        Multiplies the weights of samples by those of their classes; "balanced": by rows/(classes times the rows of the class).

    Attributes
    ----------
    classes_ : ndarray
    LEARNED

    Examples
    --------
    >>> import mflow
    >>> from mflow.data import load_penguins, standardize
    >>> birds = load_penguins()
    >>> X = standardize(birds.X)
    >>> bool(mflow.ImplicitSGDClassifier(random_state=0).fit(X, birds.y).score(X, birds.y) > 0.95)
    True

    SOURCE
    """

    _losses = _CLASSIFICATION

    def __init__(
        self, loss: str = "logistic", *, lr: float = 1.0, lr_decay: float = 0.0, lr_power: float = 1.0, flow: str = "backward",
        l2: float = 0.0, fit_intercept: bool = True, average: bool | int = True, truncated: bool = False, max_iter: int = 20,
        tol: float = 0.0, shuffle: bool = True, random_state: Any = None, warm_start: bool = False,
        early_stopping: bool = False, validation_fraction: float = 0.1, n_iter_no_change: int = 5, class_weight: Any = None,
        l1: float = 0.0,
    ) -> None:  # fmt: skip
        super().__init__(
            loss, lr=lr, lr_decay=lr_decay, lr_power=lr_power, flow=flow, l2=l2, fit_intercept=fit_intercept, average=average,
            truncated=truncated, max_iter=max_iter, tol=tol, shuffle=shuffle, random_state=random_state, warm_start=warm_start,
            early_stopping=early_stopping, validation_fraction=validation_fraction, n_iter_no_change=n_iter_no_change, l1=l1,
        )  # fmt: skip
        self.class_weight = class_weight

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> ImplicitSGDClassifier:
        """Learn from X (rows, columns), dense or sparse, and y (rows,), labels of any kind."""
        self._check()
        X, y = self._rows(X, y, reset=True)
        check_classification_targets(y)
        classes = unique_labels(y)
        if self.warm_start and hasattr(self, "_models") and not np.array_equal(classes, self.classes_):
            raise ValueError(
                f"y: expected the classes {self.classes_} that have been learned, as warm_start goes on with them, got {classes}"
            )
        self._set_classes(classes)
        self._fit_all(X, self._signs(y), self._of_classes(y, self._weights(sample_weight, X)))
        return self

    def partial_fit(self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None) -> ImplicitSGDClassifier:
        """One pass over these rows, in sequence; the first call names all classes, those of later calls among them."""
        self._check()
        first = not hasattr(self, "classes_")
        if first and classes is None:
            raise ValueError("classes: expected all classes in the first call of partial_fit, those of later calls among them, got None")
        if not first and classes is not None and not np.array_equal(np.unique(classes), self.classes_):
            raise ValueError(f"classes: expected {self.classes_}, as in the first call, got {classes!r}")
        X, y = self._rows(X, y, reset=first)
        if first:
            self._set_classes(unique_labels(classes))
        unknown = np.setdiff1d(y, self.classes_)
        if unknown.size:
            raise ValueError(f"y: expected classes of {self.classes_}, got {unknown[0]}")
        if self.class_weight == "balanced":
            raise ValueError(
                'class_weight: expected a dict or None for partial_fit, which cannot know how frequent classes are, got "balanced"'
            )
        self._learn_once(X, self._signs(y), self._of_classes(y, self._weights(sample_weight, X)), first)
        return self

    def _set_classes(self, classes: Any) -> None:
        if len(classes) < 2:
            raise ValueError(f"y: expected two classes or more, got one class, {classes[0]}")
        self.classes_ = classes

    def _of_classes(self, y: Any, weights: Any) -> Any:
        """The weights of samples times those of their classes."""
        if self.class_weight is None:
            return weights
        of_classes = compute_sample_weight(self.class_weight, y)
        return of_classes if weights is None else of_classes * weights

    def _publish(self) -> None:
        super()._publish()
        if self.loss == "softmax":
            W, b = self.coef_[0], self.intercept_[0]
            self.coef_, self.intercept_ = (W[1:] - W[:1], b[1:] - b[:1]) if len(self.classes_) == 2 else (W, b)

    def _signs(self, y: Any) -> list[Array]:
        """+1 for a class and -1 for the rest; two classes need one list. For softmax the number of each class."""
        if self.loss == "softmax":
            return [np.searchsorted(self.classes_, y)]
        ones = self.classes_[1:] if len(self.classes_) == 2 else self.classes_
        return [np.where(y == one, 1.0, -1.0) for one in ones]

    def decision_function(self, X: Any) -> Array:
        """x.w + b: (rows,) of the second class where there are two, else (rows, classes)."""
        linear = self._linear(X)
        return linear[:, 0] if len(self.classes_) == 2 else linear

    def predict(self, X: Any) -> Any:
        """The class of each row."""
        linear = self.decision_function(X)
        return self.classes_[(linear > 0.0).astype(np.intp) if linear.ndim == 1 else np.argmax(linear, axis=1)]

    @available_if(_has_probabilities)  # type: ignore[untyped-decorator]
    def predict_proba(self, X: Any) -> Array:
        """Probabilities (rows, classes); of more than two classes, each against the rest, scaled to sum 1."""
        linear = self._linear(X)
        if self.loss == "softmax" and len(self.classes_) > 2:
            e = np.exp(linear - linear.max(axis=1, keepdims=True))
            return np.asarray(e / e.sum(axis=1, keepdims=True))
        share = 0.5 * (1.0 + np.tanh(0.5 * linear))
        if len(self.classes_) == 2:
            return np.column_stack([1.0 - share[:, 0], share[:, 0]])
        total = share.sum(axis=1, keepdims=True)
        even = np.full_like(share, 1.0 / share.shape[1])
        return np.where(total > 0.0, share / np.where(total > 0.0, total, 1.0), even)
