"""Rows of arrays: minibatches, random splits and scaling."""

from collections.abc import Iterator
from typing import Any, Generic, Never, TypeVar, cast, overload

import numpy as np
import numpy.typing as npt

from mflow.base.checks import as_array, check_flags, check_number, check_whole, finite_array, real_array
from mflow.base.telling import knows_other_words

__all__ = ["Minibatches", "minibatches", "standardize", "train_test_split"]

Target = TypeVar("Target", bound=np.generic)
Feature = TypeVar("Feature", bound=np.generic)
Batch = TypeVar("Batch")


def row_count(arrays: tuple[npt.NDArray[Any], ...], names: tuple[str, ...]) -> int:
    """Count the rows that the arrays share; ValueError where they differ or there are none."""
    for array, name in zip(arrays, names, strict=True):
        if array.ndim == 0:
            raise ValueError(f"{name}: expected an array whose first axis counts the rows, got a scalar")
    lengths = [int(array.shape[0]) for array in arrays]
    if len(set(lengths)) != 1:
        raise ValueError(f"{', '.join(names)}: expected arrays of one length, got {', '.join(map(str, lengths))} rows")
    if lengths[0] == 0:
        raise ValueError(f"{names[0]}: expected at least one row, got 0")
    return lengths[0]


@knows_other_words
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

    See Also
    --------
    mflow.minibatches, mflow.train

    Examples
    --------
    >>> import numpy as np, mflow
    >>> batches = mflow.minibatches(np.arange(10.0), batch_size=4, epochs=2, seed=0)
    >>> len(batches), batches.batches_per_epoch, [len(b) for b in batches]
    (6, 3, [4, 4, 2, 4, 4, 2])
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
        check_flags(shuffle=shuffle, drop_last=drop_last)
        names = tuple(f"array {position}" for position in range(len(arrays)))
        self._arrays = arrays
        self._shuffle = shuffle
        self.n_rows = row_count(arrays, names)
        asked = check_whole(batch_size, "batch_size", 1)
        if drop_last and asked > self.n_rows:
            raise ValueError(f"batch_size: expected at most {self.n_rows}, the rows of the data, with drop_last=True, got {asked}")
        self.batch_size = min(asked, self.n_rows)
        self.epochs = check_whole(epochs, "epochs")
        # Drawn once, so that an unseeded sequence can still be iterated again.
        drawn = np.random.SeedSequence().generate_state(1)[0] if seed is None else seed
        self.seed = check_whole(drawn, "seed")
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

    def skip(self, generator: np.random.Generator, epochs: int) -> None:
        """Draw what so many epochs draw, without their batches."""
        for _ in range(epochs if self._shuffle else 0):
            generator.permutation(self.n_rows)

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


@knows_other_words
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
        Rows in a batch, from 1 on; all of them are one batch where there are fewer.
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
        No array is given, or `batch_size`, `epochs` or `seed` is no number.
    ValueError
        The arrays are empty, scalar or of unequal length, `batch_size` is no
        whole number from 1 on, or above ``n_rows`` with `drop_last`, or
        `epochs` or `seed` none from 0 on.

    See Also
    --------
    mflow.train, mflow.data.train_test_split

    Examples
    --------
    >>> import numpy as np
    >>> from mflow.data import minibatches
    >>> X, y = np.arange(10.0).reshape(5, 2), np.arange(5)
    >>> [xb.shape for xb, yb in minibatches(X, y, batch_size=2, seed=0)]
    [(2, 2), (2, 2), (1, 2)]
    """
    if not arrays:
        raise TypeError("arrays: expected at least one, as in minibatches(X, y, ...), got none")
    for position, array in enumerate(arrays):
        if isinstance(array, tuple) and array and all(isinstance(part, np.ndarray) for part in array):
            raise TypeError(
                f"array {position}: expected arrays one by one, as in minibatches(X, y, ...), got a tuple of {len(array)} arrays; write a "
                "star before it"
            )
        if hasattr(array, "toarray"):
            raise TypeError(
                f"array {position}: expected a dense array, got {type(array).__name__}; .toarray() makes one; mflow.objectives.Softmax, "
                "Logistic and LeastSquares take sparse X, as fun of mflow.train and mflow.minimize"
            )
    return Minibatches(
        tuple(as_array(array, f"array {k}") for k, array in enumerate(arrays)),
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
    count = min(max(round(test_fraction * rows.size), 1), rows.size - 1)
    return generator.permutation(rows)[:count]


def train_test_split(
    X: npt.NDArray[Feature],
    y: npt.NDArray[Target],
    *,
    test_fraction: float = 0.25,
    seed: int | None = 0,
    stratify: bool = False,
    **others: Never,
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
        `seed` or `test_fraction` is no number; an argument has another name, as scikit-learn's `test_size`.
    ValueError
        Lengths differ, fewer than two rows (with `stratify`, in a class),
        `test_fraction` outside (0, 1), or `seed` no whole number from 0 on.

    See Also
    --------
    mflow.data.standardize, mflow.data.minibatches

    Examples
    --------
    >>> from mflow.data import load_penguins, train_test_split
    >>> penguins = load_penguins()
    >>> X_train, X_test, y_train, y_test = train_test_split(penguins.X, penguins.y)
    >>> X_train.shape, X_test.shape
    ((256, 4), (86, 4))
    """
    if others:
        from mflow.base.methods import refuse_unknown  # not for those who load data alone

        refuse_unknown("data.train_test_split", others, None, ("X", "y", "test_fraction", "seed", "stratify"))
    check_flags(stratify=stratify)
    X, y = as_array(X, "X"), as_array(y, "y")
    n_rows = row_count((X, y), ("X", "y"))
    test_fraction = check_number(test_fraction, "test_fraction", low=0.0, high=1.0, open_low=True, open_high=True)
    if stratify and y.ndim != 1:
        raise ValueError(f"y: expected shape ({n_rows},), one class for each row, with stratify=True, got shape {y.shape}")
    generator = np.random.default_rng(None if seed is None else check_whole(seed, "seed"))
    classes = np.unique(y, return_inverse=True)[1] if stratify else np.zeros(n_rows, dtype=np.intp)
    in_test = np.zeros(n_rows, dtype=np.bool_)
    for code in range(int(classes.max()) + 1):
        rows = np.flatnonzero(classes == code)
        if rows.size < 2:
            kind = f"rows of class {y[rows[0]]!r}" if stratify else "rows"
            raise ValueError(f"{'y' if stratify else 'X, y'}: expected at least 2 {kind}, one for each part, got 1")
        in_test[_draw_test_rows(rows, test_fraction, generator)] = True
    return X[~in_test], X[in_test], y[~in_test], y[in_test]


@overload
def standardize(X_train: npt.ArrayLike, /) -> npt.NDArray[np.float64]: ...


@overload
def standardize(X_train: npt.ArrayLike, first: npt.ArrayLike, /, *others: npt.ArrayLike) -> tuple[npt.NDArray[np.float64], ...]: ...


@knows_other_words
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

    See Also
    --------
    mflow.data.train_test_split

    Examples
    --------
    >>> import numpy as np
    >>> from mflow.data import standardize
    >>> X_train, X_test = standardize(np.array([[1.0], [3.0]]), np.array([[5.0]]))
    >>> X_train.ravel().tolist(), X_test.ravel().tolist()
    ([-1.0, 1.0], [3.0])
    """
    train = real_array(X_train, "X_train")
    row_count((train,), ("X_train",))
    finite_array(train, "X_train")
    constant = np.ptp(train, axis=0) == 0.0
    if constant.any():
        raise ValueError(
            f"X_train: expected columns that vary, got constant column {np.argwhere(constant).squeeze().tolist()}; drop it, "
            "and add a column of ones for an intercept after scaling"
        )
    mean, deviation = train.mean(axis=0), train.std(axis=0)
    scaled = []
    for position, other in enumerate((train, *others)):
        array = real_array(other, f"others[{position - 1}]")
        if array.shape[1:] != train.shape[1:] or array.ndim != train.ndim:
            raise ValueError(
                f"others[{position - 1}]: expected the columns of X_train, which has shape {train.shape}, got shape {array.shape}"
            )
        scaled.append(np.ascontiguousarray((array - mean) / deviation))
    return scaled[0] if len(scaled) == 1 else tuple(scaled)
