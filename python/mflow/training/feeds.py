"""The data that `mflow.train` reads (rows of arrays in batches, an iterable of batches, or none), and the user's cost on a batch.

A feed gives the batches of one epoch, from any of them on, each as (arguments for the cost, weight). The weight is the number of rows,
so that means over batches of unequal length are means over rows.
"""

from __future__ import annotations

import inspect
import itertools
import math
import sys
import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
from mflow_core.objectives.objective import Objective
from mflow_core.problems.sparse import check_unmasked

from mflow.base.checks import as_tuple, shown
from mflow.data.rows import Minibatches, minibatches, row_count
from mflow.derivatives.elsewhere import names_of

__all__ = ["Args", "Cost", "Feed", "IndexSets", "check_fits", "checked_parts", "feed_of", "index_sets"]

ROWS = 32  # the default batch size
AT_ONCE = 8192  # rows of a validation set that are evaluated together
SAMPLE = 64  # rows, spread over all, by which a checkpoint knows its data

Args = tuple[Any, ...]


class Feed:
    """No data: the cost is a function of the parameters alone, and an epoch is one step."""

    seed: int | None = None
    batches: int | None = 1  # in an epoch, where that is known
    rows: int | None = None
    batch_size: int | None = None
    objective: Objective | None = None
    drawn = False  # whether the user makes the batches, so that none can be had twice

    def epoch(self, generator: np.random.Generator, epoch: int, first: int) -> Iterator[tuple[Args, float]]:
        """The batches of one epoch from number ``first`` on."""
        if first == 0:
            yield (), 1.0

    def refuse_epochs(self, epochs: int) -> None:
        """Raises ValueError where the data cannot be gone through so many times."""

    def whole(self) -> Iterator[tuple[Args, float]]:
        """All the data once, in order, as (arguments, weight); nothing is drawn."""
        yield (), 1.0

    def some(self) -> Args | None:
        """The arguments of a batch that is the same whenever it is asked for, of rows spread over all; None: there is none to be had."""
        return ()

    def skip(self, generator: np.random.Generator, epochs: int) -> None:
        """The generator goes on by what it has drawn in so many epochs."""

    def sample(self) -> list[Any] | None:
        """Numbers that tell these data from others of the same size, as JSON can hold them; None where there are none."""
        if self.objective is None:
            return None
        return [f"{self.objective(1.0 / np.arange(2.0, self.objective.n + 2.0)):.8e}"]  # libm may give other last digits elsewhere


class Rows(Feed):
    """Rows of arrays, gathered batch by batch; of a memory-mapped file no others are read."""

    def __init__(
        self, arrays: Args, batch_size: int, seed: int | None, shuffle: bool, drop_last: bool, given: Callable[[Args], Args] = tuple
    ) -> None:  # fmt: skip
        self.given = given  # turns the arrays of a batch into what the user gave
        self.source: Minibatches[Any] = minibatches(*arrays, batch_size=batch_size, seed=seed, shuffle=shuffle, drop_last=drop_last)
        self.single, self.arrays = len(arrays) == 1, arrays
        self.seed, self.batches, self.rows, self.batch_size = (
            self.source.seed, self.source.batches_per_epoch, self.source.n_rows, self.source.batch_size,
        )  # fmt: skip

    def epoch(self, generator: np.random.Generator, epoch: int, first: int) -> Iterator[tuple[Args, float]]:
        for batch in self.source.epoch(generator, first):
            args = (batch,) if self.single else batch
            yield self.given(args), float(len(args[0]))

    def whole(self) -> Iterator[tuple[Args, float]]:
        for args, rows in in_parts(self.arrays):
            yield self.given(args), rows

    def some(self) -> Args | None:
        return self.given(tuple(np.asarray(a[self.spread]) for a in self.arrays))

    @property
    def spread(self) -> Any:
        """The numbers of as many rows as a batch has, spread over all."""
        rows, size = self.source.n_rows, self.source.batch_size
        return slice(None) if size >= rows else np.unique(np.linspace(0, rows - 1, size).astype(np.int64))

    def skip(self, generator: np.random.Generator, epochs: int) -> None:
        self.source.skip(generator, epochs)

    def sample(self) -> list[Any] | None:
        rows = self.source.n_rows
        some = np.unique(np.linspace(0, rows - 1, min(rows, SAMPLE)).astype(np.int64))
        return [[str(a.dtype), None if a.dtype.hasobject else zlib.crc32(np.ascontiguousarray(a[some]).tobytes())] for a in self.arrays]


class IndexSets(Rows):
    """Rows of a compiled objective by their numbers: the objective gathers nothing."""

    def __init__(self, rows: int, batch_size: int, seed: int | None, shuffle: bool, drop_last: bool) -> None:
        super().__init__((np.arange(rows),), batch_size, seed, shuffle, drop_last)
        self.shuffle = shuffle

    def sample(self) -> list[Any] | None:
        """Of the objective: the numbers of its rows tell nothing."""
        return Feed.sample(self)

    def order(self, generator: np.random.Generator) -> Any:
        """The rows of one epoch in the order in which its batches come; the generator draws it and goes on."""
        rows = self.source.n_rows
        return generator.permutation(rows) if self.shuffle else np.arange(rows)


class Stream(Feed):
    """Batches that the user makes: an iterable, an iterator, or a function of the epoch that returns one."""

    drawn = True

    def __init__(self, data: Iterable[Any] | Callable[[int], Iterable[Any]], argument: str = "data") -> None:
        self.data, self.argument = data, argument
        self.once = not callable(data) and iter(data) is data
        try:
            self.batches = len(data)  # type: ignore[arg-type]
        except TypeError:
            self.batches = None

    def refuse_epochs(self, epochs: int) -> None:
        if self.once and epochs > 1:
            raise ValueError(
                f"data: an iterator can be gone through once, got epochs = {epochs}; give epochs=1, or a list of batches, or a function of "
                "the epoch that returns an iterator"
            )

    def whole(self) -> Iterator[tuple[Args, float]]:
        if self.once:
            raise ValueError("data: an iterator was gone through; give a list of batches, or arrays, to look at all the data again")
        yield from self.epoch(np.random.default_rng(0), 0, 0)

    def some(self) -> Args | None:
        return None  # making a batch may draw from a stream of the user's

    def epoch(self, generator: np.random.Generator, epoch: int, first: int) -> Iterator[tuple[Args, float]]:
        batches = self.data(epoch) if callable(self.data) else self.data
        if not isinstance(batches, Iterable):
            what = "a function of the epoch that returns its batches, one after the other"
            raise TypeError(f"{self.argument}: expected {what}, got {shown(batches)}")
        for batch in itertools.islice(batches, first, None):
            args = as_tuple(batch)
            yield args, _weight(args)


def _weight(args: Args) -> float:
    try:
        return float(max(len(args[0]), 1))
    except (TypeError, IndexError):
        return 1.0


def feed_of(data: Any, batch_size: int | None, seed: int | None, shuffle: bool, drop_last: bool) -> Feed:
    """The feed of the argument ``data``. Raises TypeError or ValueError, naming the argument."""
    if _is_whole(data):
        given, data = _as_given(data), _whole_arrays(data, "data")
        rows = row_count(data, tuple(f"data[{i}]" for i in range(len(data))))
        return Rows(data, min(ROWS, rows) if batch_size is None else batch_size, seed, shuffle, drop_last, given)
    if data is not None:
        _check_stream(data, "data", " or None")
    if batch_size is not None:
        raise ValueError("batch_size: it is for arrays (a tuple of them), and an iterable makes its own batches; omit it")
    if data is None:
        return Feed()
    return Stream(data)


def _is_tensor(array: Any) -> bool:
    """Whether it is one of torch's; torch is not imported for this."""
    return type(array).__module__.partition(".")[0] == "torch" and hasattr(array, "numpy")


def _as_given(data: Any) -> Callable[[Args], Args]:
    """What makes tensors of the arrays of a batch where the data are tensors of torch's."""
    tensors = [_is_tensor(a) for a in (data if isinstance(data, tuple) else (data,))]
    if not any(tensors):
        return tuple
    from_numpy = sys.modules["torch"].from_numpy
    return lambda args: tuple(from_numpy(a) if tensor else a for a, tensor in zip(args, tensors, strict=True))


def _is_whole(data: Any) -> bool:
    """Whether the data are all rows at once (a tuple, an array, a data frame, a matrix), and not an iterable of batches."""
    if isinstance(data, (tuple, np.ndarray)) or _is_tensor(data):
        return True
    return hasattr(data, "toarray") or (hasattr(data, "iloc") and hasattr(data, "__array__"))


def _whole_arrays(data: Any, argument: str) -> Args:
    """NumPy arrays of one array, or of a tuple of them, data frames and tensors included. Raises TypeError or ValueError."""
    arrays = []
    for position, array in enumerate(data if isinstance(data, tuple) else (data,)):
        got = f"got {type(array).__name__}"
        if hasattr(array, "toarray"):
            raise TypeError(
                f"{argument}[{position}]: expected a dense array, {got}; .toarray() makes one, or give batches of it; "
                "mflow.objectives.Softmax, Logistic and LeastSquares take sparse X, as fun of train and minimize"
            )
        if not hasattr(array, "shape") or not hasattr(array, "__array__"):
            raise TypeError(f"{argument}[{position}]: expected an array, as in (X, y), {got}; give a sequence of batches as a list")
        check_unmasked(array, f"{argument}[{position}]")
        arrays.append(array if isinstance(array, np.ndarray) else np.asarray(array.detach() if _is_tensor(array) else array))
        if arrays[-1].dtype == object and not isinstance(array, np.ndarray):
            raise TypeError(f"{argument}[{position}]: expected columns of numbers, {got} of mixed columns; make numbers of them all first")
    if not arrays:
        raise ValueError(f"{argument}: expected a tuple of arrays of equal length, as in (X, y), got an empty tuple")
    return tuple(arrays)


def _check_stream(data: Any, argument: str, more: str) -> None:
    if isinstance(data, (str, bytes, dict)) or (not callable(data) and not isinstance(data, Iterable)):
        fix = "; its .tensors are such a tuple" if isinstance(getattr(data, "tensors", None), tuple) else ""
        if not fix and hasattr(type(data), "__len__") and hasattr(type(data), "__getitem__") and not isinstance(data, Iterable):
            fix = ", which has items and no batches; torch.utils.data.DataLoader(it, batch_size=32, shuffle=True) makes them"
        raise TypeError(f"{argument}: expected a tuple of arrays, an iterable of batches{more}, got {type(data).__name__}{fix}")


def checked_parts(data: Any) -> Any:
    """A validation set as `in_parts` takes it. Raises TypeError or ValueError for anything else."""
    if data is None or isinstance(data, Objective):
        return data
    if not _is_whole(data):
        _check_stream(data, "validation", " like data")
        if isinstance(data, list) and not data:
            raise ValueError("validation: expected at least one batch, got none")
        return data
    arrays = _whole_arrays(data, "validation")
    rows = [len(a) if a.ndim else 0 for a in arrays]
    if min(rows) != max(rows):
        raise ValueError(f"validation: expected arrays of one length, got {', '.join(map(str, rows))} rows")
    if rows[0] == 0:
        raise ValueError("validation: expected at least one row, got 0 rows; omit it to train without")
    given = data if isinstance(data, tuple) else (data,)
    return given if any(map(_is_tensor, given)) else arrays


def check_fits(fun: Any, args: Args, argument: str) -> None:
    """TypeError, with the name of the argument, where a function does not take the parameters and so many arguments."""
    try:
        signature = inspect.signature(fun)
    except (TypeError, ValueError):  # it has none to be read
        return
    try:
        signature.bind(None, *args)
    except TypeError as error:
        name, count = getattr(fun, "__name__", "the function"), f"{len(args)} array{'s' if len(args) != 1 else ''}"
        raise TypeError(f"{argument}: expected what {name}{signature} takes after the parameters, got {count}: {error}") from None


def index_sets(fun: Objective, data: Any, jac: Any, batch_size: int | None, seed: int | None, shuffle: bool, drop_last: bool) -> Feed:
    """The feed of a compiled objective: index sets of a mean over rows, else the whole. Raises TypeError or ValueError."""
    if data is not None:
        raise TypeError(f"data: {fun!r} holds its own data; omit it, or make the objective of these data")
    if jac is not None and jac is not True:
        raise TypeError(f"jac: {fun!r} has its own gradient, got jac = {jac!r}; omit it")
    if "labelled" in fun.flags:
        sets = IndexSets(fun.m, min(ROWS, fun.m) if batch_size is None else batch_size, seed, shuffle, drop_last)
        sets.objective = fun
        return sets
    if batch_size is not None:
        raise ValueError(f"batch_size: {fun!r} is no mean over rows, and an epoch is one step on the whole; omit it")
    feed = Feed()
    feed.objective = fun
    return feed


def in_parts(data: Any) -> Iterator[tuple[Args, float]]:
    """A validation set in batches: arrays in order, or what an iterable gives."""
    if data is None:
        yield (), 1.0
        return
    if _is_whole(data):
        arrays, given = _whole_arrays(data, "data"), _as_given(data)
        for at in range(0, len(arrays[0]), AT_ONCE):
            yield given(tuple(np.asarray(a[at : at + AT_ONCE]) for a in arrays)), float(len(arrays[0][at : at + AT_ONCE]))
        return
    yield from Stream(data, "validation").epoch(np.random.default_rng(0), 0, 0)


class Cost:
    """The user's cost and gradient in the form that ``jac`` says. ``has_loss``: whether there is a value at all."""

    def __init__(self, fun: Any, jac: Any) -> None:
        if jac is not None and jac is not True and not callable(jac):
            raise TypeError(
                "jac: expected True (fun returns the loss and the gradient), a function (the gradient; fun is the loss), None (fun is the "
                f"gradient) or where it comes from, {names_of()} (fun is the loss), got {shown(jac)}"
            )
        if not callable(fun):
            raise TypeError(f"fun: expected a function fun(params, *batch), got {type(fun).__name__}")
        self.fun, self.jac = fun, jac
        self.has_loss = jac is not None

    def both(self, params: Any, args: Args) -> tuple[float, Any]:
        """(loss, gradient); the loss is nan where there is none."""
        try:
            return self._both(params, args)
        except TypeError as error:
            if isinstance(params, np.ndarray) and any(_is_tensor(a) for a in args) and not hasattr(error, "__notes__"):
                error.add_note(
                    "fun got tensors of torch, as a DataLoader makes them: of a cost in NumPy a.numpy() makes arrays; one in torch takes "
                    'them with jac="torch"'
                )
            raise

    def _both(self, params: Any, args: Args) -> tuple[float, Any]:
        if self.jac is True:
            out = self.fun(params, *args)
            if not isinstance(out, tuple) or len(out) != 2:
                raise TypeError(f"fun returned {_kind(out)}: expected, with jac=True, the pair (loss, gradient)")
            loss, grads = out
            return loss if type(loss) is float else _real(loss), grads
        if self.jac is not None:
            return _real(self.fun(params, *args)), self.jac(params, *args)
        out = self.fun(params, *args)
        if not (isinstance(out, (np.ndarray, list, tuple, dict)) or _is_tensor(out)) or (
            isinstance(out, tuple) and np.ndim(out[0]) == 0 and len(out) == 2
        ):
            raise TypeError(
                f"fun returned {_kind(out)}: expected, without jac=, the gradient; for a loss give jac=gradient, for the pair (loss, "
                "gradient) jac=True"
            )
        return float("nan"), out

    def loss(self, params: Any, args: Args) -> float:
        """The loss alone."""
        if self.jac is True:
            return self.both(params, args)[0]
        return _real(self.fun(params, *args))


def _real(value: Any) -> float:
    try:
        return float(value)
    except OverflowError:  # a whole number beyond all floats
        return math.inf if value > 0 else -math.inf
    except (TypeError, ValueError):
        raise TypeError(f"fun returned {_kind(value)} as loss: expected a number") from None


def _kind(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"an array of shape {value.shape}"
    return f"a tuple of {len(value)}" if isinstance(value, tuple) else f"a {type(value).__name__}"
