"""Compiled objectives: costs that every driver evaluates without Python.

    f = mflow.objectives.Logistic(X, y, l2=1e-3)
    f(c), f.grad(c), f.value_and_grad(c), f.hessp(c, p), f.batch(rows)
    mflow.minimize(f, f.x0, method="adam")

Each is an `Objective`: a struct of the core that is called like a function. `minimize`, `gradient_flow`, `line_search`, `compare` and
`Stepper` (as c' = -grad f(c)) use its compiled functions and run without the GIL. Regressions are means over rows and have minibatches
(`batch`); sums of squares have `residuals` and `jac`. If `"libm"` is not among its flags, its bits are the same on every machine.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from mflow_core.objectives.objective import MOST_CLASSES as MAX_CLASSES
from mflow_core.objectives.objective import Objective
from mflow_core.problems.sparse import check_sparse, is_sparse

from mflow.base.checks import Array, as_array, check_flags, check_number, check_start, check_vector, check_whole, finite_array
from mflow.base.tables import from_frame
from mflow.base.telling import knows_other_words, tell
from mflow.data.tables import load_nist
from mflow.problems.curves import curve
from mflow.problems.mgh import mgh

__all__ = ["Huber", "LeastSquares", "Logistic", "Objective", "Poisson", "Quadratic", "Rosenbrock", "Softmax", "curve", "mgh", "nist"]


@knows_other_words
class Quadratic(Objective):
    """x'A x/2 - b'x, with the gradient A x - b.

    Parameters
    ----------
    A : array_like (n, n), symmetric, or (n,)
        One dimension: the diagonal, all else 0.
    b : array_like (n,), optional
        0 if not given.
    x0 : array_like (n,), optional
        The start; ones if not given.

    Raises
    ------
    TypeError, ValueError
        Wrong shapes, entries that are not finite, a matrix that is not symmetric.

    See Also
    --------
    mflow.objectives.Rosenbrock, mflow.objectives.LeastSquares
    mflow.minimize, mflow.gradient_flow

    Examples
    --------
    >>> import mflow
    >>> f = mflow.objectives.Quadratic([[2.0, 1.0], [1.0, 3.0]], [1.0, 1.0])
    >>> f([1.0, 0.0]), f.grad([1.0, 0.0]).tolist()
    (0.0, [1.0, 0.0])
    """

    data_names = ("A", "b")

    def __init__(self, A: Any, b: Any = None, *, x0: Any = None) -> None:
        matrix = check_start(A, "A")
        if matrix.ndim not in (1, 2) or matrix.shape != (len(matrix),) * matrix.ndim or not matrix.size:
            raise ValueError(f"A: expected shape (n, n), or (n,) for a diagonal, got shape {matrix.shape}")
        if matrix.ndim == 2 and not np.array_equal(matrix, matrix.T):
            raise ValueError("A: expected a symmetric matrix, got one that is not symmetric; give (A + A.T)/2, whose quadratic is the same")
        n = len(matrix)
        target = None if b is None else check_vector(b, "b", n)
        self.fill("quadratic" if matrix.ndim == 2 else "diagonal_quadratic", (n,), _start(x0, (n,), 1.0), matrix, target)


@knows_other_words
class Rosenbrock(Objective):
    """Rosenbrock's valley, sum 100 (x_(i+1) - x_i^2)^2 + (1 - x_i)^2; the least value, 0, is at ones.

    Parameters
    ----------
    n : int
        Unknowns, from 2 on.
    x0 : array_like (n,), optional
        The start; -1.2, 1, -1.2, ... if not given.

    See Also
    --------
    mflow.objectives.mgh, mflow.objectives.Quadratic
    mflow.minimize, mflow.gradient_flow

    Examples
    --------
    >>> import mflow
    >>> f = mflow.objectives.Rosenbrock(2)
    >>> round(f(f.x0), 12), f.grad([1.0, 1.0]).tolist()
    (24.2, [0.0, 0.0])

    References
    ----------
    H. Rosenbrock, Comput. J. 3 (1960) 175-184.
    """

    def __init__(self, n: int = 2, *, x0: Any = None) -> None:
        n = check_whole(n, "n", 2)
        usual = np.where(np.arange(n) % 2 == 0, -1.2, 1.0)
        self.fill("rosenbrock", (n,), usual if x0 is None else _start(x0, (n,), 0.0), rows=2 * (n - 1))


class _Regression(Objective):
    """The base class of regressions with one predictor."""

    def _regress(self, name: str, X: Any, y: Any, l2: float, weights: Any, intercept: bool, x0: Any, delta: float = 0.0) -> None:
        check_flags(intercept=intercept)
        table, labels = _table(X), _labels(y)
        _match(table, labels)
        shape = (table.shape[1] + bool(intercept),)
        self.fill(
            name, shape, _start(x0, shape, 0.0), table, labels, weights, check_number(l2, "l2", low=0.0), delta, intercept=bool(intercept)
        )


@knows_other_words
class LeastSquares(_Regression):
    """Linear least squares: the mean of w (x.c - y)^2/2, and l2 |c|^2/2.

    Parameters
    ----------
    X : array_like (m, p), or a sparse matrix
        A C-contiguous float64 array, a memory map included, is not copied. Of a sparse matrix (SciPy's, best in CSR's form) only the
        entries are visited; it is not turned into an array.
    y : array_like (m,)
    l2 : float
        The bias is not penalized.
    weights : array_like (m,), optional
        From 0 on. They are divided by their mean: a weight of 2 counts a row twice.
    intercept : bool
        Whether a bias, the last unknown, is added to every predictor.
    x0 : array_like (n,), optional
        The start; zeros if not given.

    Raises
    ------
    TypeError, ValueError
        Shapes that do not fit, empty data, entries that are not finite, labels that the loss does not accept.

    See Also
    --------
    mflow.objectives.Huber, mflow.objectives.Quadratic
    mflow.minimize, mflow.gradient_flow

    Examples
    --------
    >>> import mflow
    >>> f = mflow.objectives.LeastSquares([[1.0, 0.0], [0.0, 2.0]], [1.0, 2.0])
    >>> f([0.0, 0.0]), f.grad([0.0, 0.0]).tolist(), f.residuals([1.0, 0.0]).tolist()
    (1.25, [-0.5, -2.0], [0.0, -2.0])
    >>> f.batch([1]).grad([0.0, 0.0]).tolist()
    [0.0, -4.0]
    """

    def __init__(
        self, X: Any, y: Any, l2: float = 0.0, *, weights: Any = None, intercept: bool = False, x0: Any = None
    ) -> None:  # fmt: skip
        self._regress("least_squares", X, y, l2, weights, intercept, x0)


@knows_other_words
class Logistic(_Regression):
    """Logistic regression: the mean of w log(1 + e^(-y x.c)), and l2 |c|^2/2.

    Parameters
    ----------
    X, l2, weights, intercept, x0
        As in `LeastSquares`.
    y : array_like (m,)
        0 and 1, -1 and +1, truth values, or two words or categories: the first in rising order is 0. ``classes`` holds these, else None.

    Raises
    ------
    TypeError, ValueError
        As in `LeastSquares`.

    See Also
    --------
    mflow.objectives.Softmax, mflow.objectives.Poisson
    mflow.minimize, mflow.gradient_flow

    Examples
    --------
    >>> import mflow
    >>> f = mflow.objectives.Logistic([[1.0], [-1.0]], [1, 0])
    >>> round(f([0.0]), 6), f.grad([0.0]).tolist()
    (0.693147, [-0.5])
    """

    def __init__(
        self, X: Any, y: Any, l2: float = 0.0, *, weights: Any = None, intercept: bool = False, x0: Any = None
    ) -> None:  # fmt: skip
        numbers, self.classes = _classes(y)
        if self.classes is not None and len(self.classes) != 2:
            raise ValueError(
                f"y: expected two classes, got {len(self.classes)}: {', '.join(map(repr, self.classes.tolist()[:4]))}; use Softmax"
            )
        self._regress("logistic", X, _signs(_labels(numbers)), l2, weights, intercept, x0)

    def data_for_batch(self, given: dict[str, Any], count: int) -> tuple[Array | None, Array | None]:
        """As in `Objective`, with labels 0 and 1, or True and False, as signs."""
        return super().data_for_batch({**given, "y": _signs(np.asarray(given["y"], dtype=np.float64))} if "y" in given else given, count)


@knows_other_words
class Poisson(_Regression):
    """Poisson regression with the logarithm as its link: the mean of w (e^t - y t), t = x.c, above its least value, and l2 |c|^2/2.

    Parameters
    ----------
    X, l2, weights, intercept, x0
        As in `LeastSquares`.
    y : array_like (m,)
        Counts, numbers from 0 on.

    Raises
    ------
    TypeError, ValueError
        As in `LeastSquares`.

    See Also
    --------
    mflow.objectives.Logistic, mflow.objectives.LeastSquares
    mflow.minimize, mflow.gradient_flow

    Examples
    --------
    >>> import mflow
    >>> f = mflow.objectives.Poisson([[1.0], [1.0]], [1, 3])
    >>> f.grad([0.0]).tolist()
    [-1.0]
    """

    def __init__(
        self, X: Any, y: Any, l2: float = 0.0, *, weights: Any = None, intercept: bool = False, x0: Any = None
    ) -> None:  # fmt: skip
        self._regress("poisson", X, y, l2, weights, intercept, x0)


@knows_other_words
class Huber(_Regression):
    """Regression with Huber's loss: e^2/2 up to |e| = delta, delta (|e| - delta/2) beyond, e = x.c - y; its mean, and l2 |c|^2/2.

    Parameters
    ----------
    X, y, l2, weights, intercept, x0
        As in `LeastSquares`.
    delta : float
        Above 0.

    Raises
    ------
    TypeError, ValueError
        As in `LeastSquares`.

    See Also
    --------
    mflow.objectives.LeastSquares
    mflow.minimize, mflow.gradient_flow

    Examples
    --------
    >>> import mflow
    >>> f = mflow.objectives.Huber([[1.0], [1.0]], [0.5, 100.0])
    >>> f.grad([0.0]).tolist()
    [-0.75]

    References
    ----------
    P. Huber, Ann. Math. Stat. 35 (1964) 73-101.
    """

    def __init__(
        self, X: Any, y: Any, delta: float = 1.0, l2: float = 0.0, *, weights: Any = None, intercept: bool = False, x0: Any = None
    ) -> None:  # fmt: skip
        self._regress("huber", X, y, l2, weights, intercept, x0, check_number(delta, "delta", low=0.0, open_low=True))


@knows_other_words
class Softmax(Objective):
    """Multinomial logistic regression: the mean of w (log sum_k e^(z_k) - z_y), z = C'x, and l2 |C|^2/2.

    Parameters
    ----------
    X, l2, weights
        As in `LeastSquares`.
    y : array_like (m,)
        The class of each row: a number from 0 on, or a word, where ``classes`` of the objective has them in rising order.
    n_classes : int, optional
        The largest entry of y plus 1 if not given.
    intercept : bool
        Whether each class has a bias, the last row of C.
    x0 : array_like (p, n_classes), optional
        The start; zeros if not given. Points have this shape, or are flat.

    Raises
    ------
    TypeError, ValueError
        As in `LeastSquares`.

    See Also
    --------
    mflow.objectives.Logistic
    mflow.minimize, mflow.gradient_flow

    Examples
    --------
    >>> import mflow
    >>> f = mflow.objectives.Softmax([[1.0], [-1.0]], [0, 2])
    >>> f.shape, round(f(f.x0), 6)
    ((1, 3), 1.098612)
    """

    def __init__(
        self, X: Any, y: Any, n_classes: int | None = None, l2: float = 0.0, *, weights: Any = None, intercept: bool = False,
        x0: Any = None,
    ) -> None:  # fmt: skip
        check_flags(intercept=intercept)
        numbers, self.classes = _classes(y)
        table, labels = _table(X), _labels(numbers)
        _match(table, labels)
        top = float(finite_array(labels, "y").max(initial=0.0))
        count = check_whole(int(top) + 1 if n_classes is None else n_classes, "n_classes", 1, MAX_CLASSES)
        if top >= count:
            raise ValueError(f"y: expected classes from 0 to {count - 1}, as n_classes = {count}, got class {top:g}")
        if n_classes is None and self.classes is None and labels.size and labels.min() >= 1.0:
            tell(
                f"Softmax: y: no row is of class 0, as classes count from 0: there are {count}, and one of them is empty; give y - 1, or "
                f"n_classes={count} where that is meant",
                UserWarning,
            )
        shape = (table.shape[1] + bool(intercept), count)
        self.fill(
            "softmax", shape, _start(x0, shape, 0.0), table, labels, weights, check_number(l2, "l2", low=0.0), n_classes=count,
            intercept=bool(intercept),
        )  # fmt: skip


@knows_other_words
def nist(name: str) -> Objective:
    """One of the 27 NIST nonlinear regressions: half the sum of squared residuals, from the nearer of its two starts.

    `mflow.data.load_nist` gives it with its other start and the certified answer, as ``load_nist(name).objective``.

    Parameters
    ----------
    name : str
        One of `mflow.data.nist_names`.

    Returns
    -------
    mflow.objectives.Objective
        With its start as ``x0`` and its residuals' Jacobian.

    Raises
    ------
    ValueError
        There is none of this name; the text lists the nearest.

    See Also
    --------
    mflow.data.load_nist, mflow.data.nist_names, mflow.objectives.mgh, mflow.least_squares

    Examples
    --------
    >>> import mflow
    >>> f = mflow.objectives.nist("Misra1a")
    >>> f.x0.tolist(), f.jac(f.x0).shape, round(2 * f([238.94212918, 0.00055015643181]), 11)
    ([250.0, 0.0005], (14, 2), 0.12455138894)

    References
    ----------
    NIST/ITL Statistical Reference Datasets, nonlinear regression.
    """
    return load_nist(name).objective


# ---- arguments ------------------------------------------------------------------------------------------------------------------------


def _start(x0: Any, shape: tuple[int, ...], fill: float) -> Array:
    if x0 is None:
        return np.full(shape, fill)
    start = check_start(x0, "x0")
    if start.shape != shape:
        raise ValueError(f"x0: expected shape {shape}, got shape {start.shape}")
    return start


def _table(X: Any) -> Any:
    """(m, p) numbers, not copied if they are C-contiguous float64, or a sparse matrix; the core checks the rest."""
    if is_sparse(X):
        if 0 in X.shape:
            raise ValueError(f"X: expected shape (m, p) with at least one row and one column, got shape {X.shape}")
        return check_sparse(X, "X")
    table = as_array(from_frame(X), "X")
    if table.dtype.kind not in "biuf":
        raise TypeError(f"X: expected real numbers, got dtype {table.dtype}")
    if table.ndim != 2 or not table.size:
        raise ValueError(f"X: expected shape (m, p) with at least one row and one column, got shape {table.shape}")
    return np.ascontiguousarray(table, dtype=np.float64)


def _classes(y: Any) -> tuple[Any, Any]:
    """(numbers 0, 1, ... in place of labels that are words or categories, these in rising order); (y, None) of numbers.

    Raises ValueError where a label is missing.
    """
    labels = as_array(from_frame(y), "y")
    if labels.dtype.kind not in "OSU" or labels.ndim != 1 or not labels.size:
        return y, None
    missing = [k for k, label in enumerate(labels.tolist()) if label is None or str(label) in ("nan", "<NA>")]
    if missing:
        raise ValueError(f"y: expected a label for each row, got {labels[missing[0]]} in entry {missing[0]}")
    try:
        classes, codes = np.unique(labels, return_inverse=True)
    except TypeError:
        return y, None  # labels of kinds that have no order; `_labels` has words for them
    return codes.reshape(-1).astype(np.float64), classes


def _labels(y: Any) -> Array:
    labels = as_array(from_frame(y), "y")
    if labels.dtype.kind not in "biuf":
        raise TypeError(f"y: expected numbers, got dtype {labels.dtype}; give each class a number")
    if labels.ndim != 1:
        raise ValueError(f"y: expected shape (m,), one label for each row, got shape {labels.shape}")
    return np.array(labels, dtype=np.float64)


def _signs(labels: Array) -> Array:
    """-1 and +1 in place of 0 and 1. Raises ValueError for other labels."""
    if np.all((labels == 0.0) | (labels == 1.0)):
        return 2.0 * labels - 1.0
    if not np.all(np.abs(labels) == 1.0):
        values = ", ".join(f"{value:g}" for value in np.unique(labels)[:4])
        raise ValueError(f"y: expected labels 0 and 1, or -1 and +1, got {values}{', ...' if np.unique(labels).size > 4 else ''}")
    return labels


def _match(X: Any, y: Array) -> None:
    if X.shape[0] != len(y):
        raise ValueError(f"y: expected {X.shape[0]} labels, one for each row of X, got {len(y)}")
