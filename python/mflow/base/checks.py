"""Checks of arguments, one for each kind. Every error names the argument, what was expected, what was given.

Messages read ``argument: expected a number above 0, got -1.0``. Something of the wrong kind is a TypeError, a wrong value a ValueError.
"""

from __future__ import annotations

import datetime
import math
import os
import re
import sys
import types
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from mflow_core.arithmetic.starts import is_finite, new_start
from mflow_core.problems.sparse import check_sparse, check_unmasked, is_sparse
from numpy.typing import NDArray

__all__ = [
    "OUTSIDE",
    "any_given",
    "as_array",
    "as_number",
    "as_tuple",
    "check_choice",
    "check_fields",
    "check_flags",
    "check_flat",
    "check_function",
    "check_instance",
    "check_list",
    "check_number",
    "check_path",
    "check_range",
    "check_saved",
    "check_start",
    "check_times",
    "check_vector",
    "check_whole",
    "complex_array",
    "dense_array",
    "entry_words",
    "finite_array",
    "in_range",
    "length_of",
    "operator_words",
    "random_generator",
    "real_array",
    "refuse_dates",
    "refuse_models",
    "shown",
    "stored_entries",
    "string_in",
]

# what a function raises where it has no value: by Python's own math, a table, or its own checks
OUTSIDE = (ArithmeticError, AssertionError, LookupError, TypeError, ValueError)

Array = NDArray[np.float64]
FLOAT64 = np.dtype(np.float64)
COMPLEX_STATES = ", or take mflow.solve_ivp, whose y0 may be complex"  # what a driver without them adds to what `real_array` says

WORDS = (bool, np.bool_, str, bytes)  # Python takes them for numbers, users do not mean them as such
MOST_WHOLE = 2**62  # counts that the core's 64 bits hold with room
LONG = 60  # characters of a value in a message


def check_saved(value: Any, argument: str) -> str:
    """The name of a file that is there. Raises TypeError, ValueError for a folder, FileNotFoundError."""
    if not isinstance(value, (str, bytes, os.PathLike)):
        raise TypeError(f"{argument}: expected the path of a file, got {shown(value)}")
    path = os.fsdecode(value)
    if not path or "\0" in path or os.path.isdir(path):
        raise ValueError(
            f"{argument}: expected the path of a file, got {shown(path)}{', a folder' if path and os.path.isdir(path) else ''}"
        )
    if not os.path.exists(path):
        raise FileNotFoundError(f"{argument}: there is no file {path!r}")
    return path


def random_generator(seed: Any, argument: str = "seed") -> np.random.Generator:
    """A generator from a seed: a whole number, a Generator (itself), or None for a fresh one. Raises TypeError or ValueError."""
    if isinstance(seed, np.random.Generator | np.random.BitGenerator | np.random.SeedSequence | None):
        return np.random.default_rng(seed)
    return np.random.default_rng(check_whole(seed, argument, high=2**128))


def shown(value: Any) -> str:
    """A value for a message, in one short line.

    Examples
    --------
    >>> from mflow.base.checks import shown
    >>> shown(10**400)
    'a whole number of 401 digits'
    """
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 10**40:
        return f"a whole number of {int(abs(value).bit_length() * math.log10(2.0)) + 1} digits"
    if isinstance(value, dict) and type(value) is not dict and len(value) > 4:
        return f"an instance of {type(value).__name__}"
    if isinstance(value, np.ndarray) and value.size > 4:
        return f"an array of shape {value.shape} and dtype {value.dtype}"
    try:
        text = " ".join(repr(value).split())
    except Exception:
        text = ""  # a class whose own repr fails
    return text if 0 < len(text) <= LONG else f"{text[:LONG]}..." if text else f"an instance of {type(value).__name__}"


def check_flags(**flags: Any) -> None:
    """Each of them True or False, 0 and 1 included. Raises TypeError that names the first that is neither.

    Examples
    --------
    >>> from mflow.base.checks import check_flags
    >>> check_flags(shuffle=True, progress=0)
    """
    for name, value in flags.items():
        if (
            value is not False
            and value is not True
            and not (isinstance(value, (bool, np.bool_)) or (isinstance(value, (int, np.integer)) and value in (0, 1)))
        ):
            raise TypeError(f"{name}: expected True or False, got {shown(value)}")


def check_flat(arrays: Any, argument: str) -> None:
    """A list, tuple or dict of arrays, none of whose entries is again a list or dict of arrays. Raises TypeError for one that is."""
    entries = arrays.items() if isinstance(arrays, dict) else enumerate(arrays if isinstance(arrays, (list, tuple)) else ())
    for i, entry in entries:
        inner = list(entry.values()) if isinstance(entry, dict) else entry
        if isinstance(inner, (list, tuple)) and any(hasattr(a, "shape") for a in inner):
            kind = "dict" if isinstance(arrays, dict) else "list"
            raise TypeError(
                f"{argument}: expected a flat {kind} of arrays, got a {type(entry).__name__} of arrays as entry {i!r}; put all arrays into "
                'one list or dict, or give groups of them, [{"params": arrays, "lr": ...}, ...]'
            )


def any_given(arguments: Mapping[str, Any]) -> bool:
    """Whether one of these is not None."""
    for value in arguments.values():  # noqa: SIM110  (calls pay for this, and a generator takes twice as long)
        if value is not None:
            return True
    return False


def check_function(value: Any, argument: str, expected: str = "a function") -> Any:
    """Something to call. Raises TypeError otherwise."""
    if not callable(value):
        raise TypeError(f"{argument}: expected {expected}, got {shown(value)}")
    return value


def check_instance(value: Any, argument: str, kinds: type | tuple[type, ...], expected: str) -> Any:
    """One of these classes. Raises TypeError otherwise."""
    if not isinstance(value, kinds):
        raise TypeError(f"{argument}: expected {expected}, got {shown(value)}")
    return value


def check_fields(value: Any, argument: str, fields: Iterable[str], expected: str, lead: str = "") -> Any:
    """Something with all of these attributes, as the results of a function have them. Raises TypeError otherwise, which ends with lead."""
    missing = [name for name in fields if not hasattr(value, name)]
    if missing:
        raise TypeError(f"{argument}: expected {expected}, got {shown(value)}, which has no {missing[0]}{lead}")
    return value


def check_list(value: Any, argument: str, expected: str) -> list[Any]:
    """The entries of a list, tuple or another iterable, but of no text, number or dict. Raises TypeError otherwise."""
    if isinstance(value, (str, bytes, dict)) or not isinstance(value, Iterable) or getattr(value, "ndim", 1) == 0:
        raise TypeError(f"{argument}: expected {expected}, got {shown(value)}")
    return list(value)


def check_path(value: Any, argument: str) -> str:
    """The name of a file that can be written: no folder, in one that exists and can be written to. TypeError, ValueError or OSError."""
    if not isinstance(value, (str, bytes, os.PathLike)):
        raise TypeError(f"{argument}: expected the path of a file, got {shown(value)}")
    path = os.fsdecode(value)
    if not path or "\0" in path:
        raise ValueError(f"{argument}: expected the path of a file, got {shown(path)}")
    if os.path.isdir(path):
        raise ValueError(f"{argument}: expected the path of a file, got the folder {path!r}")
    folder, name = os.path.split(os.path.realpath(path))  # of what a link leads to
    if not os.path.isdir(folder):
        raise FileNotFoundError(f"{argument}: there is no folder {folder!r} for the file {name!r}; make it first")
    if not os.access(folder, os.W_OK):
        raise PermissionError(f"{argument}: the folder {folder!r} cannot be written to; give a file in one that can")
    return path


def check_number(
    value: Any,
    argument: str,
    expected: str = "",
    *,
    low: float = -math.inf,
    high: float = math.inf,
    open_low: bool = False,
    open_high: bool = False,
) -> float:
    """A finite float between `low` and `high`; `open_low`, `open_high`: which of them it may not be.

    `expected` replaces the words for what is expected. Raises TypeError where value is no number, ValueError where it is not finite or
    out of range.

    Examples
    --------
    >>> from mflow.base.checks import check_number
    >>> check_number(2, "dt", low=0.0, open_low=True)
    2.0
    """
    if type(value) is float and low < value < high:
        return value
    expected = expected or in_range("a finite number", low, high, open_low, open_high)
    number = as_number(value, argument, expected)
    above = number > low if open_low else number >= low
    below = number < high if open_high else number <= high
    if not (math.isfinite(number) and above and below):
        raise ValueError(f"{argument}: expected {expected}, got {shown(value)}")
    return number


def as_number(value: Any, argument: str, expected: str) -> float:
    """The float nearest to a value, infinities and NaN included; a whole number beyond all floats is infinite.

    True, text and what float() does not take are no numbers: TypeError.
    """
    try:
        if isinstance(value, WORDS) or getattr(getattr(value, "dtype", None), "kind", "f") not in "iuf":
            raise TypeError
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf
    except Exception:
        raise TypeError(f"{argument}: expected {expected}, got {shown(value)}") from None


def in_range(kind: str, low: float, high: float = math.inf, open_low: bool = False, open_high: bool = False) -> str:
    """What is expected, in words: "a finite number above 0", "a whole number from 1 to 64", "a finite number of at least 0"."""
    if math.isinf(low) and math.isinf(high):
        return kind
    if math.isinf(high):
        return f"{kind} above {low:g}" if open_low else f"{kind} of at least {low:g}"
    if math.isinf(low):
        return f"{kind} below {high:g}" if open_high else f"{kind} of at most {high:g}"
    if not (open_low or open_high):
        return f"{kind} from {low:g} to {high:g}"
    return f"{kind} in {'(' if open_low else '['}{low:g}, {high:g}{')' if open_high else ']'}"


def check_whole(value: Any, argument: str, low: int = 0, high: float = MOST_WHOLE, expected: str = "") -> int:
    """A whole number from `low` to `high` as an int. 3, 3.0 and NumPy's integers are; True is not.

    `expected` replaces the words for what is expected. Raises TypeError where value is no number, ValueError otherwise.

    Examples
    --------
    >>> from mflow.base.checks import check_whole
    >>> check_whole(3.0, "steps", 1)
    3
    """
    if type(value) is int and low <= value <= high:
        return value
    expected = expected or in_range("a whole number", low, math.inf if high >= 2**53 else high)
    try:
        number = int(value)
        whole = bool(number == value) and not isinstance(value, WORDS)
    except Exception:
        if not isinstance(value, (float, np.floating)):  # NaN and infinities are numbers
            raise TypeError(f"{argument}: expected {expected}, got {shown(value)}") from None
        whole, number = False, 0
    if not whole or number < low or number > high:
        above = f", at most {high}" if whole and number > high >= MOST_WHOLE else ""
        raise ValueError(f"{argument}: expected {expected}{above}, got {shown(value)}")
    return number


def check_choice(value: Any, argument: str, choices: Iterable[str]) -> str:
    """One of the words in `choices`. Raises ValueError otherwise.

    Examples
    --------
    >>> from mflow.base.checks import check_choice
    >>> check_choice("min", "mode", ("min", "max"))
    'min'
    """
    if type(value) is str and type(choices) is tuple and value in choices:
        return value
    words = list(choices)
    if not isinstance(value, str) or value not in words:
        quoted = [repr(word) for word in words]
        expected = " or ".join(quoted) if len(words) < 3 else f"one of {', '.join(quoted)}"
        raise ValueError(f"{argument}: expected {expected}, got {shown(value)}")
    return value


def as_tuple(args: Any, fun: Any = None) -> tuple[Any, ...]:
    """Extra arguments of a user's function: ``args=(a, b)``, ``args=[a, b]``, or one that is no tuple, ``args=a``.

    Raises TypeError for a dict whose keys are names of parameters of `fun`, which would be one argument.
    """
    if type(args) is tuple:
        return args
    if isinstance(args, dict) and args and (code := getattr(fun, "__code__", None)) and {*args} <= {*code.co_varnames[: code.co_argcount]}:
        order = [name for name in code.co_varnames if name in args]
        values = "".join(f"d[{name!r}], " for name in order)
        words = "expected values in the order of the function's parameters, got a dict"
        raise TypeError(f"args: {words}; of a dict d give args=({values.rstrip()})")
    return tuple(args) if isinstance(args, (tuple, list)) else (args,)


def real_array(value: Any, argument: str, elsewhere: str = "") -> Array:
    """Numbers as float64. Raises TypeError for complex numbers, whose imaginary parts NumPy would drop; elsewhere: what takes them."""
    if type(value) is np.ndarray and value.dtype is FLOAT64:  # what most calls give
        return value
    if isinstance(value, Mapping):
        raise TypeError(
            f"{argument}: expected one array of numbers, got a dict of {', '.join(map(repr, list(value)[:5])) or 'nothing'}; "
            "np.concatenate([np.ravel(a) for a in d.values()]) makes one of it, which the function takes apart"
        )
    array = as_array(value, argument)
    if array.dtype.kind == "c":
        raise TypeError(f"{argument}: expected real numbers, got {array.dtype}; stack real and imaginary parts{elsewhere}")
    if array.dtype.kind == "O" and hasattr(value, "matvec"):
        raise ValueError(operator_words(argument))  # as SciPy
    if array.dtype.kind == "O" and array.ndim == 0:
        refuse_models(value, argument)
    if array.dtype.kind == "O":  # Fraction, Decimal, whole numbers of any length
        refuse_dates(array, argument)
        flat = [as_number(entry, argument, "real numbers") for entry in array.ravel().tolist()]
        array = np.array(flat, dtype=np.float64).reshape(array.shape)
    if array.dtype.kind not in "biuf":
        refuse_dates(array, argument)
        if array.dtype.kind in "US" and array.size:
            raise TypeError(f"{argument}: expected real numbers, got {string_in(array)}")
        given = f" ({shown(value)})" if array.ndim == 0 else ""
        raise TypeError(f"{argument}: expected real numbers, got {array.dtype}{given}")
    return np.asarray(array, dtype=np.float64)


def string_in(array: NDArray[Any]) -> str:
    """The first string that is no number, else the first, and what makes numbers of them."""
    flat = [str(one, "latin-1") if isinstance(one, bytes) else str(one) for one in array.ravel().tolist()]
    commas = [k for k, text in enumerate(flat) if re.fullmatch(r"\s*[-+]?\d*,\d+(e[-+]?\d+)?\s*", text, re.I)]
    k = commas[0] if commas else 0
    fix = "with a point for the decimal comma: float(text.replace(',', '.'))" if commas else "np.asarray(..., dtype=float) reads numbers"
    where = f" in entry {k if array.ndim == 1 else tuple(int(j) for j in np.unravel_index(k, array.shape))}" if array.ndim else ""
    return f"the string {flat[k]!r}{where}; {fix}"


def refuse_models(value: Any, argument: str) -> None:
    """Raises TypeError, which tells how one array is made of it, for a model of torch, its parameters, and any other iterator."""
    fix = "of a torch model torch.nn.utils.parameters_to_vector(model.parameters()).detach().numpy() makes one"
    if hasattr(value, "__next__"):
        beside = f", and {fix}" if "torch" in sys.modules else ""
        got = "a generator" if isinstance(value, types.GeneratorType) else f"an iterator ({type(value).__name__})"
        raise TypeError(f"{argument}: expected one array of numbers, got {got}; np.array(list(...)) makes one of its numbers{beside}")
    if callable(getattr(value, "parameters", None)):
        raise TypeError(f"{argument}: expected one array of numbers, got the model {type(value).__name__}; {fix}")


def refuse_dates(array: NDArray[Any], argument: str) -> None:
    """Raises TypeError, which tells how numbers are made of them, for dates and times: NumPy's, pandas' and those of `datetime`."""
    first = array.flat[0] if array.dtype.kind == "O" and array.size else None
    spans = array.dtype.kind == "m" or isinstance(first, datetime.timedelta)
    if spans or array.dtype.kind == "M" or isinstance(first, datetime.date):
        given = f"{type(first).__name__} objects" if first is not None else str(array.dtype)
        made = "t = np.asarray(t, 'timedelta64[us]'); t" if spans else "t = np.asarray(t, 'datetime64[us]'); (t - t[0])"
        raise TypeError(f"{argument}: expected real numbers, got {given}; {made} / np.timedelta64(1, 's') makes seconds of them")


def operator_words(argument: str) -> str:
    """The message of a SciPy LinearOperator where the entries of a matrix are needed."""
    given = "got a LinearOperator, whose entries are not known; op @ np.eye(op.shape[1]) gives them"
    return f"{argument}: expected a dense or sparse array, {given}"


def complex_array(value: Any, argument: str) -> NDArray[np.complex128]:
    """Numbers, complex ones included, as complex128. Raises TypeError for anything else."""
    array = as_array(value, argument)
    if array.dtype.kind == "c":
        return np.asarray(array, dtype=np.complex128)
    return real_array(array, argument).astype(np.complex128)


def dense_array(value: Any, argument: str) -> Array:
    """Real numbers as float64; a sparse matrix, after a look at its structure, as an array. Raises TypeError or ValueError."""
    return real_array(check_sparse(value, argument).toarray() if is_sparse(value) else value, argument)


def as_array(value: Any, argument: str) -> NDArray[Any]:
    """What NumPy makes of a value. Raises ValueError where it is a ragged list, or has a mask, which NumPy would drop; TypeError where
    NumPy cannot take it at all."""
    check_unmasked(value, argument)
    try:
        return np.asarray(value)
    except ValueError:
        raise ValueError(f"{argument}: expected an array, got rows of different lengths") from None
    except Exception as error:
        raise TypeError(f"{argument}: expected an array, got {shown(value)} ({error})") from None


def length_of(value: Any, argument: str) -> int:
    """How many entries an array or a sparse matrix has along its first axis; 0 for a number and for None."""
    if value is None or type(value) is float:
        return 0
    if hasattr(value, "tocsr"):
        return int(value.shape[0])
    array = as_array(value, argument)
    return len(array) if array.ndim else 0


def finite_array(array: Array, argument: str) -> Array:
    """The array itself. Raises ValueError where an entry is not finite."""
    if is_finite(array):
        return array
    bad = np.flatnonzero(~np.isfinite(array))
    if bad.size:
        raise ValueError(f"{argument}: expected finite numbers, got {array.flat[bad[0]]} in entry {bad[0]}")
    return array


def stored_entries(value: Any) -> Array:
    """The numbers of a matrix, dense or of scipy.sparse, whose indices are not read: they may not have been checked. Formats that keep
    numbers otherwise, as dok and lil, have none that lead anywhere."""
    data = getattr(value, "data", None) if hasattr(value, "tocsc") else value
    if hasattr(value, "tocsc") and not (isinstance(data, np.ndarray) and data.dtype.kind in "biufc"):
        data = value.tocoo().data
    return np.asarray(data)


def entry_words(value: Any) -> str:
    """ "its entry (i, j) is nan" of a matrix, dense or of scipy.sparse; "" where all entries are finite, or no numbers."""
    entries = stored_entries(value)
    if entries.dtype.kind not in "fc" or np.isfinite(entries).all():
        return ""
    place: tuple[int, ...]
    if hasattr(value, "tocoo"):
        coo = value.tocoo()
        k = int(np.flatnonzero(~np.isfinite(coo.data))[0])
        place, number = (int(coo.row[k]), int(coo.col[k])), coo.data[k]
    else:
        place = tuple(int(k) for k in np.argwhere(~np.isfinite(entries))[0])
        number = entries[place]
    where = f"({', '.join(map(str, place))})" if len(place) > 1 else f"{place[0] if place else 0}"
    return f"its entry {where} is {complex(number) if np.iscomplexobj(number) else float(number):g}"


def check_range(value: Any, argument: str, low: float = -math.inf) -> tuple[float, float]:
    """Two finite numbers of at least `low`, the smaller one first. Raises TypeError or ValueError.

    Examples
    --------
    >>> from mflow.base.checks import check_range
    >>> check_range([-6, 2], "re")
    (-6.0, 2.0)
    """
    expected = f"two {in_range('finite numbers', low, math.inf)}, the smaller one first"
    try:
        lower, upper = (as_number(number, argument, expected) for number in value)
    except (TypeError, ValueError):
        raise TypeError(f"{argument}: expected {expected}, got {shown(value)}") from None
    if not (low <= lower < upper < math.inf and math.isfinite(lower)):
        raise ValueError(f"{argument}: expected {expected}, got {shown(value)}")
    return lower, upper


def check_start(value: Any, argument: str, elsewhere: str = "") -> Array:
    """A start state as a new C-contiguous float64 array of its own shape. elsewhere: as of `real_array`.

    Raises TypeError for anything but real numbers, ValueError where one is not finite.
    """
    start = new_start(value)
    return start if start is not None else finite_array(np.array(real_array(value, argument, elsewhere), order="C"), argument)


def check_vector(value: Any, argument: str, n: int | None = None) -> Array:
    """Finite numbers of shape (n,), n any number where it is None, as a C-contiguous float64 array. Raises TypeError or ValueError."""
    array = check_start(value, argument)
    if array.ndim != 1 or (n is not None and array.size != n):
        raise ValueError(f"{argument}: expected an array of shape ({'n' if n is None else n},), got shape {array.shape}")
    return array


def check_times(value: Any, t0: float, t1: float) -> Array:
    """``t_eval``: sorted in the direction of integration and inside the span."""
    times = np.array(real_array(value, "t_eval"), order="C")
    if times.ndim != 1:
        raise ValueError(f"t_eval: expected an array of shape (m,), got shape {times.shape}")
    if not np.all(np.isfinite(times)):
        raise ValueError("t_eval: expected finite times, got NaN or an infinity")
    if times.size and abs(times[-1] - t1) <= 4.5e-16 * abs(t1):
        times[-1] = t1  # 0.1 + 0.2 against a span that ends at 0.3
    lower, upper = min(t0, t1), max(t0, t1)
    outside = np.flatnonzero((times < lower) | (times > upper))
    if outside.size:
        raise ValueError(f"t_eval: expected times inside t_span = ({t0!r}, {t1!r}), got {float(times[outside[0]])!r} in entry {outside[0]}")
    steps = np.diff(times) if t1 >= t0 else -np.diff(times)
    wrong = np.flatnonzero(steps <= 0)
    if wrong.size:
        raise ValueError(
            f"t_eval: expected times sorted from t0 to t_end without repeats, got entries {wrong[0]} and {wrong[0] + 1} out of order"
        )
    return times
