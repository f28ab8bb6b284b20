"""Real data sets, the NIST regression problems, and minibatches of rows.

The data ship with the package; `datasets/SOURCES.md` gives the origin,
citation and licence of each. Nothing is downloaded.
"""

import csv
import difflib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Final, Generic, TypeVar, cast, overload

import numpy as np
import numpy.typing as npt

from mflow.data.nist import NistProblem, nist_problem_from_text, problem_names

__all__ = [
    "Dataset",
    "Minibatches",
    "NistProblem",
    "load_engel",
    "load_longley",
    "load_nist",
    "load_penguins",
    "minibatches",
    "nist_names",
    "standardize",
    "train_test_split",
]

Target = TypeVar("Target", bound=np.generic)
Feature = TypeVar("Feature", bound=np.generic)
Batch = TypeVar("Batch")

_PENGUIN_FEATURES: Final = ("bill_length_mm", "bill_depth_mm", "flipper_length_mm", "body_mass_g")


@dataclass(frozen=True, eq=False)
class Dataset(Generic[Target]):
    """A table of features with one target per row.

    Attributes
    ----------
    X : ndarray, float64, C-contiguous, shape (n_rows, n_features)
        Features.
    y : ndarray, int64 or float64, shape (n_rows,)
        Class codes (classification) or measured values (regression).
    feature_names : tuple of str
        Column names of `X`.
    target_names : tuple of str
        Class names in the order of their codes; for regression, the name of
        the response.
    description, source, licence : str
        What the data are, where they come from, and on what terms.
    """

    X: npt.NDArray[np.float64]
    y: npt.NDArray[Target]
    feature_names: tuple[str, ...]
    target_names: tuple[str, ...]
    description: str
    source: str
    licence: str


def _read_text(*path: str) -> str:
    resource = files("mflow.data") / "datasets"
    for part in path:
        resource = resource / part
    return resource.read_text(encoding="utf-8")


def _read_table(name: str) -> list[dict[str, str]]:
    return list(csv.DictReader(_read_text(name).splitlines()))


def _read_regression(
    name: str,
    features: tuple[str, ...],
    target: str,
    *,
    description: str,
    source: str,
    licence: str,
) -> Dataset[np.float64]:
    rows = _read_table(name)
    return Dataset(
        X=np.array([[float(row[column]) for column in features] for row in rows]),
        y=np.array([float(row[target]) for row in rows]),
        feature_names=features,
        target_names=(target,),
        description=description,
        source=source,
        licence=licence,
    )


def load_penguins() -> Dataset[np.int64]:
    """Load the Palmer penguins: three species, four body measurements.

    The two birds with no measurements are left out of the file's 344.

    Returns
    -------
    Dataset
        `X` float64, shape (342, 4): bill length and depth and flipper length
        in millimetres, body mass in grams. `y` int64, shape (342,): 0 Adelie
        (151 birds), 1 Chinstrap (68), 2 Gentoo (123).

    References
    ----------
    Gorman, K. B., Williams, T. D. and Fraser, W. R. (2014). Ecological sexual
    dimorphism and environmental variability within a community of Antarctic
    penguins (genus Pygoscelis). PLoS ONE 9(3), e90081.

    Examples
    --------
    >>> from mflow.data import load_penguins
    >>> penguins = load_penguins()
    >>> penguins.X.shape, penguins.target_names
    ((342, 4), ('Adelie', 'Chinstrap', 'Gentoo'))
    """
    complete = [row for row in _read_table("penguins.csv") if all(row[feature] != "NA" for feature in _PENGUIN_FEATURES)]
    species = sorted({row["species"] for row in complete})
    return Dataset(
        X=np.array([[float(row[feature]) for feature in _PENGUIN_FEATURES] for row in complete]),
        y=np.array([species.index(row["species"]) for row in complete], dtype=np.int64),
        feature_names=_PENGUIN_FEATURES,
        target_names=tuple(species),
        description=("Body measurements of adult penguins of three species, Palmer Archipelago, Antarctica, 2007 to 2009."),
        source=("Gorman, Williams and Fraser (2014), PLoS ONE 9(3), e90081; by way of the PyPI package palmerpenguins 0.1.4."),
        licence="CC0",
    )


def load_longley() -> Dataset[np.float64]:
    """Load Longley's US economy series, a hard test of linear least squares.

    The six predictors are nearly collinear: with an intercept, the condition
    number of the design matrix is about 5e9.

    Returns
    -------
    Dataset
        `X` float64, shape (16, 6): GNP deflator, GNP, unemployed, armed
        forces, population, year. `y` float64, shape (16,): total employment.

    References
    ----------
    Longley, J. W. (1967). An appraisal of least squares programs for the
    electronic computer from the point of view of the user. Journal of the
    American Statistical Association 62(319), 819-841.

    Examples
    --------
    >>> from mflow.data import load_longley
    >>> longley = load_longley()
    >>> longley.X.shape, longley.target_names
    ((16, 6), ('TOTEMP',))
    """
    return _read_regression(
        "longley.csv",
        ("GNPDEFL", "GNP", "UNEMP", "ARMED", "POP", "YEAR"),
        "TOTEMP",
        description="US macroeconomic variables, yearly from 1947 to 1962; highly collinear.",
        source=(
            "Longley (1967), Journal of the American Statistical Association 62(319), 819-841; "
            "by way of the PyPI package statsmodels 0.15.0."
        ),
        licence="Public domain",
    )


def load_engel() -> Dataset[np.float64]:
    """Load Engel's household budgets, the classic quantile-regression set.

    Returns
    -------
    Dataset
        `X` float64, shape (235, 1): yearly household income. `y` float64,
        shape (235,): yearly expenditure on food. Both in Belgian francs.

    References
    ----------
    Koenker, R. and Bassett, G. (1982). Robust tests of heteroscedasticity
    based on regression quantiles. Econometrica 50(1), 43-61.

    Examples
    --------
    >>> from mflow.data import load_engel
    >>> engel = load_engel()
    >>> engel.X.shape, engel.target_names
    ((235, 1), ('foodexp',))
    """
    return _read_regression(
        "engel.csv",
        ("income",),
        "foodexp",
        description="Income and food expenditure of 235 Belgian working-class households, 1857.",
        source=(
            "Engel (1857), as used by Koenker and Bassett (1982), Econometrica 50(1), 43-61; by way of the PyPI package statsmodels 0.15.0."
        ),
        licence="Public domain",
    )


def nist_names() -> tuple[str, ...]:
    """Names that `load_nist` takes, from lower to higher difficulty.

    Examples
    --------
    >>> from mflow.data import nist_names
    >>> len(nist_names()), nist_names()[0]
    (27, 'Misra1a')
    """
    return problem_names()


def load_nist(name: str) -> NistProblem:
    """Load one of the 27 NIST StRD nonlinear-regression problems.

    Parameters
    ----------
    name : str
        NIST's name of the problem; `nist_names` lists them.

    Returns
    -------
    NistProblem
        Data, starting points and certified answer as float64 arrays, with the
        model, its residuals, Jacobian, cost (half the sum of squares) and
        gradient.

    Raises
    ------
    ValueError
        The name is not one of the 27; the message lists the nearest ones.

    References
    ----------
    NIST/ITL Statistical Reference Datasets (StRD), nonlinear regression.

    Examples
    --------
    >>> from mflow.data import load_nist
    >>> problem = load_nist("Misra1a")
    >>> problem.starts.shape, problem.certified_residual_sum_of_squares
    ((2, 2), 0.12455138894)
    >>> bool(problem.cost(problem.starts[0]) > problem.cost(problem.certified_parameters))
    True
    """
    names = problem_names()
    if name not in names:
        by_lower_case = {known.lower(): known for known in names}
        near = difflib.get_close_matches(str(name).lower(), by_lower_case, n=4, cutoff=0.5)
        choices = [by_lower_case[match] for match in near] or list(names)
        raise ValueError(f"name is {name!r}, not a NIST problem; use one of {', '.join(choices)}")
    return nist_problem_from_text(name, _read_text("nist", f"{name}.dat"))


def _integer(value: object, name: str, minimum: int) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise TypeError(f"{name} is {value!r} of type {type(value).__name__}; pass an integer of at least {minimum}")
    if value < minimum:
        raise ValueError(f"{name} is {value}; pass an integer of at least {minimum}")
    return int(value)


def _row_count(arrays: tuple[npt.NDArray[Any], ...], names: tuple[str, ...]) -> int:
    """Count the rows the arrays share, or raise an error that says which disagree."""
    for array, name in zip(arrays, names, strict=True):
        if array.ndim == 0:
            raise ValueError(f"{name} is a scalar; pass an array whose first axis counts the rows")
    lengths = [int(array.shape[0]) for array in arrays]
    if len(set(lengths)) != 1:
        found = ", ".join(f"{name} has {n}" for name, n in zip(names, lengths, strict=True))
        raise ValueError(f"the first axes differ: {found} rows; pass arrays of one length")
    if lengths[0] == 0:
        raise ValueError(f"{names[0]} has 0 rows; pass at least one row")
    return lengths[0]


class Minibatches(Generic[Batch]):
    """Batches of rows over a number of epochs; made by `minibatches`.

    ``len`` is the number of batches over all epochs. Each new iteration starts
    again and gives the same batches.

    Attributes
    ----------
    n_rows, batch_size, epochs, batches_per_epoch : int
        Sizes of the sequence.
    seed : int
        Seed in use; when none was given, the one drawn, so a run can be
        repeated.
    """

    def __init__(
        self,
        arrays: tuple[npt.NDArray[Any], ...],
        *,
        batch_size: int,
        epochs: int,
        seed: int | None,
        shuffle: bool,
        drop_last: bool,
    ) -> None:
        names = tuple(f"array {position}" for position in range(len(arrays)))
        self._arrays = arrays
        self._shuffle = shuffle
        self.n_rows = _row_count(arrays, names)
        self.batch_size = _integer(batch_size, "batch_size", 1)
        self.epochs = _integer(epochs, "epochs", 0)
        if self.batch_size > self.n_rows:
            raise ValueError(
                f"batch_size is {self.batch_size} but there are only {self.n_rows} rows; pass batch_size={self.n_rows} or less"
            )
        # Drawn once, so that an unseeded sequence can still be iterated again.
        drawn = np.random.SeedSequence().generate_state(1)[0] if seed is None else seed
        self.seed = _integer(drawn, "seed", 0)
        full, left_over = divmod(self.n_rows, self.batch_size)
        self.batches_per_epoch = full if drop_last or left_over == 0 else full + 1

    def __len__(self) -> int:
        return self.epochs * self.batches_per_epoch

    def __iter__(self) -> Iterator[Batch]:
        generator = np.random.default_rng(self.seed)
        for _ in range(self.epochs):
            yield from self.epoch(generator)

    def epoch(self, generator: np.random.Generator, first: int = 0) -> Iterator[Batch]:
        """Yield the batches of one epoch, from batch ``first`` on; the generator draws their order and goes on."""
        order = generator.permutation(self.n_rows) if self._shuffle else None
        for position in range(first, self.batches_per_epoch):
            rows = slice(position * self.batch_size, (position + 1) * self.batch_size)
            yield self._batch(rows if order is None else order[rows])

    def _batch(self, rows: slice | npt.NDArray[np.intp]) -> Batch:
        # Copies in both cases: a slice would be a view, and a caller who scales
        # a batch in place would change the data only when not shuffling.
        batch = tuple(_gather(array, rows) for array in self._arrays)
        return cast(Batch, batch[0] if len(batch) == 1 else batch)


def _gather(array: npt.NDArray[Any], rows: slice | npt.NDArray[np.intp]) -> npt.NDArray[Any]:
    """Copy some rows into a C-contiguous array, and touch no other: `take` would first copy the whole of one laid out otherwise."""
    if not isinstance(rows, slice) and array.flags.c_contiguous and array.flags.aligned and array.dtype.isnative:
        return array.take(rows, axis=0)
    return np.array(array[rows], order="C")


@overload
def minibatches(
    array: npt.ArrayLike,
    /,
    *,
    batch_size: int,
    epochs: int = ...,
    seed: int | None = ...,
    shuffle: bool = ...,
    drop_last: bool = ...,
) -> Minibatches[npt.NDArray[Any]]: ...


@overload
def minibatches(
    first: npt.ArrayLike,
    second: npt.ArrayLike,
    /,
    *others: npt.ArrayLike,
    batch_size: int,
    epochs: int = ...,
    seed: int | None = ...,
    shuffle: bool = ...,
    drop_last: bool = ...,
) -> Minibatches[tuple[npt.NDArray[Any], ...]]: ...


def minibatches(
    *arrays: npt.ArrayLike,
    batch_size: int,
    epochs: int = 1,
    seed: int | None = None,
    shuffle: bool = True,
    drop_last: bool = False,
) -> Minibatches[Any]:
    """Iterate over batches of rows, every row once an epoch.

    Parameters
    ----------
    *arrays : array_like, any dtype, shape (n_rows, ...)
        A `numpy.memmap` is read batch by batch, never as a whole.
    batch_size : int
        Rows in a batch, from 1 to ``n_rows``.
    epochs : int, default 1
        Passes over the data.
    seed : int, optional
        For ``numpy.random.default_rng``; without one, a seed is drawn and kept.
    shuffle : bool, default True
        Draw a new order each epoch; otherwise keep the order of the arrays.
    drop_last : bool, default False
        Leave out an epoch's last batch when it is short.

    Returns
    -------
    Minibatches
        Iterable of batches: a tuple of C-contiguous copies, or one array when
        one was given. ``len`` counts the batches of all epochs; iterating
        again gives the same batches.

    Raises
    ------
    TypeError
        No array is given, or an integer argument is not an integer.
    ValueError
        The arrays are empty, scalar or of unequal length, `batch_size` is
        below 1 or above ``n_rows``, or `epochs` or `seed` is negative.

    Examples
    --------
    >>> import numpy as np
    >>> from mflow.data import minibatches
    >>> X, y = np.arange(10.0).reshape(5, 2), np.arange(5)
    >>> [xb.shape for xb, yb in minibatches(X, y, batch_size=2, seed=0)]
    [(2, 2), (2, 2), (1, 2)]
    """
    if not arrays:
        raise TypeError("no array was given; pass at least one, as in minibatches(X, y, ...)")
    return Minibatches(
        tuple(np.asarray(array) for array in arrays),
        batch_size=batch_size,
        epochs=epochs,
        seed=seed,
        shuffle=shuffle,
        drop_last=drop_last,
    )


def _draw_test_rows(
    rows: npt.NDArray[np.intp],
    test_fraction: float,
    generator: np.random.Generator,
) -> npt.NDArray[np.intp]:
    """Draw the nearest whole number of rows, keeping one at least on each side."""
    wanted = min(max(round(test_fraction * rows.size), 1), rows.size - 1)
    return generator.permutation(rows)[:wanted]


def train_test_split(
    X: npt.NDArray[Feature],
    y: npt.NDArray[Target],
    *,
    test_fraction: float = 0.25,
    seed: int | None = 0,
    stratify: bool = False,
) -> tuple[npt.NDArray[Feature], npt.NDArray[Feature], npt.NDArray[Target], npt.NDArray[Target]]:
    """Split rows at random into a training and a test part.

    Parameters
    ----------
    X, y : ndarray, any dtype, shape (n_rows, ...)
        Features and targets; `stratify` needs class labels, shape (n_rows,).
    test_fraction : float, default 0.25
        Share of the rows in the test part, strictly between 0 and 1.
    seed : int or None, default 0
        Seed of the draw; None draws a fresh one.
    stratify : bool, default False
        Draw that share of each class.

    Returns
    -------
    X_train, X_test, y_train, y_test : ndarray
        Copies, each with its rows in their original order.

    Raises
    ------
    TypeError
        `seed` is neither an integer nor None.
    ValueError
        Lengths differ, fewer than two rows (with `stratify`, in a class),
        `test_fraction` outside (0, 1), or `seed` negative.

    Examples
    --------
    >>> from mflow.data import load_penguins, train_test_split
    >>> penguins = load_penguins()
    >>> X_train, X_test, y_train, y_test = train_test_split(penguins.X, penguins.y)
    >>> X_train.shape, X_test.shape
    ((256, 4), (86, 4))
    """
    X, y = np.asarray(X), np.asarray(y)
    n_rows = _row_count((X, y), ("X", "y"))
    if not 0.0 < test_fraction < 1.0:
        raise ValueError(f"test_fraction is {test_fraction!r}; pass a number between 0 and 1")
    if stratify and y.ndim != 1:
        raise ValueError(f"y has shape {y.shape}; pass one class label a row to stratify")
    generator = np.random.default_rng(None if seed is None else _integer(seed, "seed", 0))
    classes = np.unique(y, return_inverse=True)[1] if stratify else np.zeros(n_rows, dtype=np.intp)
    in_test = np.zeros(n_rows, dtype=np.bool_)
    for code in range(int(classes.max()) + 1):
        rows = np.flatnonzero(classes == code)
        if rows.size < 2:
            where = f"class {y[rows[0]]!r} of y has" if stratify else "X and y have"
            raise ValueError(f"{where} 1 row; pass at least 2, one for each part")
        in_test[_draw_test_rows(rows, test_fraction, generator)] = True
    return X[~in_test], X[in_test], y[~in_test], y[in_test]


@overload
def standardize(X_train: npt.ArrayLike, /) -> npt.NDArray[np.float64]: ...


@overload
def standardize(X_train: npt.ArrayLike, first: npt.ArrayLike, /, *others: npt.ArrayLike) -> tuple[npt.NDArray[np.float64], ...]: ...


def standardize(X_train: npt.ArrayLike, /, *others: npt.ArrayLike) -> npt.NDArray[np.float64] | tuple[npt.NDArray[np.float64], ...]:
    """Scale columns by the mean and standard deviation of the training rows.

    Nothing of the other rows enters the scaling.

    Parameters
    ----------
    X_train : array_like, shape (n_rows, ...)
        Training rows; each column gets mean 0 and standard deviation 1
        (divisor ``n_rows``).
    *others : array_like, shape (any, ...)
        Arrays with the same columns.

    Returns
    -------
    ndarray or tuple of ndarray, float64, C-contiguous
        The scaled arrays in the order given; one array when one was given.

    Raises
    ------
    ValueError
        `X_train` is empty, holds a value that is not finite or a constant
        column, or another array has different columns.

    Examples
    --------
    >>> import numpy as np
    >>> from mflow.data import standardize
    >>> X_train, X_test = standardize(np.array([[1.0], [3.0]]), np.array([[5.0]]))
    >>> X_train.ravel().tolist(), X_test.ravel().tolist()
    ([-1.0, 1.0], [3.0])
    """
    train = np.asarray(X_train, dtype=np.float64)
    _row_count((train,), ("X_train",))
    if not np.isfinite(train).all():
        raise ValueError("X_train holds a nan or an infinity; remove or fill those rows first")
    constant = np.ptp(train, axis=0) == 0.0
    if constant.any():
        raise ValueError(
            f"X_train is constant in column {np.argwhere(constant).squeeze().tolist()}; drop it, "
            "and add a column of ones for an intercept after scaling"
        )
    mean, deviation = train.mean(axis=0), train.std(axis=0)
    scaled = []
    for position, other in enumerate((train, *others)):
        array = np.asarray(other, dtype=np.float64)
        if array.shape[1:] != train.shape[1:] or array.ndim != train.ndim:
            raise ValueError(f"array {position} has shape {array.shape} but X_train has {train.shape}; pass arrays with the same columns")
        scaled.append(np.ascontiguousarray((array - mean) / deviation))
    return scaled[0] if len(scaled) == 1 else tuple(scaled)
