"""Arrays that are used where they lie, without a copy: which arrays of the user's can be, and what to do about one that cannot; and
gradients of a few rows."""
cimport numpy as cnp

import numpy as np

from mflow_core.problems.sparse import check_unmasked, plain_array

cnp.import_array()

STEPPING = ("this optimizer is already stepping in another thread, or in its own schedule (or was in another thread when this process was "
            "forked): give each its own")
MID_STEP = ("this optimizer is in the middle of a step (or was in another thread when this process was forked): do this before or after "
            "it, in a forked process with an optimizer that is made there")


def shared_array(value, str argument):
    """NumPy's view of the memory of any array: NumPy's own, DLPack's (torch tensors on the CPU) or the buffer protocol's. No copy.

    A value that has none of these is returned as it is; `checked` refuses it.
    """
    if type(value) is np.ndarray:
        return value
    if isinstance(value, np.ndarray):
        check_unmasked(value, argument)
        return value.view(np.ndarray)
    if hasattr(value, "__dlpack__"):
        if hasattr(value, "is_neg") and value.is_neg():      # which torch lends as if it were none
            raise TypeError(f"{argument}: expected numbers as they lie in memory, got a view of their negatives; .resolve_neg() copies it")
        try:
            if getattr(value, "requires_grad", False):
                value = value.detach()       # torch lends no memory that it watches; the parameters change outside its graph
            array = np.from_dlpack(value)
            return array if array.flags.writeable or not hasattr(value, "numpy") else value.numpy()      # NumPy before 2.1
        except (BufferError, RuntimeError, TypeError, ValueError) as error:
            raise TypeError(f"{argument}: expected a dense float64 array on the CPU, got a {type(value).__name__} whose memory cannot be "
                            f"shared ({error})") from None
    try:
        return np.asarray(memoryview(value))
    except TypeError:
        return value


def checked(array, str argument, bint writeable=True):
    """The array, if it can be used where it lies; otherwise an error that names the argument, what was given and the fix."""
    if isinstance(array, np.ndarray) and cnp.PyArray_TYPE(<cnp.ndarray> array) == cnp.NPY_DOUBLE:
        if cnp.PyArray_ISCARRAY(array) or (not writeable and cnp.PyArray_ISCARRAY_RO(array)):
            return array
    if not isinstance(array, np.ndarray):
        fix = "pass the gradient itself, not its function" if callable(array) else "np.asarray(..., dtype=float) makes one of numbers"
        if isinstance(array, tuple) and len(array) == 2 and not writeable:
            fix = "mflow.optim.SparseGradient(indices, values) is that of some rows"
        raise TypeError(f"{argument}: expected a NumPy array, got {type(array).__name__}; {fix}")
    keep = ". Keep that copy: it is the array that changes" if writeable else ""
    if array.dtype != np.float64:
        raise TypeError(f"{argument}: expected dtype float64, got {array.dtype}; .astype(np.float64) makes a copy of that type{keep}")
    if not array.flags.c_contiguous:
        raise ValueError(f"{argument}: expected a C-contiguous array, got strides {array.strides}; np.ascontiguousarray makes a copy that "
                         f"is{keep}")
    if not array.flags.aligned or not array.dtype.isnative:
        raise ValueError(f"{argument}: expected an aligned array in native byte order, got one that is not; np.array(..., "
                         f"dtype=np.float64) makes a copy that is{keep}")
    if writeable and not array.flags.writeable:
        raise ValueError(f"{argument}: expected a writeable array, because it is updated in place, got a read-only one; .copy() makes "
                         f"a writeable one{keep}")
    return array


class SparseGradient:
    """The gradient of some rows of an array; all other rows have the gradient 0.

    A step of it costs as much as its rows do. `SGD` without momentum and `Adagrad`, both without weight decay, take the very step of the
    dense gradient; `SparseAdam` moves the rows that are named, and what it carries of them, alone.

    Parameters
    ----------
    indices : array_like of int (m,)
        The rows, entries of the array's first axis; one that is named twice has the sum of both.
    values : array_like of float (m, ...)
        Their gradients.

    Raises
    ------
    TypeError, ValueError
        They are no whole numbers, no real numbers, or not as many of one as of the other.

    See Also
    --------
    mflow.optim.SparseAdam, mflow.optim.Adagrad, mflow.optim.SGD

    Examples
    --------
    >>> import numpy as np, mflow
    >>> table = np.ones((1000, 2))
    >>> mflow.optim.SGD(table, lr=0.5).step(mflow.optim.SparseGradient([7, 3, 7], np.ones((3, 2))))
    >>> table[3].tolist(), table[7].tolist(), table[8].tolist()
    ([0.5, 0.5], [0.0, 0.0], [1.0, 1.0])
    """

    def __init__(self, indices, values):
        rows, numbers = plain_array(indices, "indices"), plain_array(values, "values")
        if rows.size == 0:
            rows = rows.astype(np.int64)
        if rows.ndim != 1 or rows.dtype.kind not in "iu":
            raise TypeError(f"indices: expected whole numbers, shape (m,), got shape {rows.shape} and dtype {rows.dtype}")
        if numbers.dtype.kind not in "biuf":
            raise TypeError(f"values: expected real numbers, got dtype {numbers.dtype}")
        if numbers.ndim == 0 or len(numbers) != rows.size:
            raise ValueError(f"values: expected {rows.size} rows, one for each index, got shape {numbers.shape}")
        self.indices, self.values = rows.astype(np.int64), np.array(numbers, dtype=np.float64, order="C")

    def __repr__(self):
        return f"SparseGradient(indices={self.indices!r}, values={self.values!r})"

    def _rows(self, shape, str argument):
        """(rows in rising order, each once, with the sums of what is named twice) for an array of this shape. Raises IndexError, ValueError."""
        if not shape or self.values.shape[1:] != tuple(shape[1:]):
            raise ValueError(f"{argument}: expected values of shape {('m', *shape[1:])} for parameters of shape {tuple(shape)}, got "
                             f"{self.values.shape}")
        bad = np.flatnonzero((self.indices < 0) | (self.indices >= shape[0]))
        if bad.size:
            raise IndexError(f"{argument}: expected indices from 0 to {shape[0] - 1}, the rows of the parameters, got {self.indices[bad[0]]} "
                             f"in entry {bad[0]}")
        rows, place = np.unique(self.indices, return_inverse=True)
        if rows.size == self.indices.size and np.array_equal(rows, self.indices):
            return rows, self.values
        sums = np.zeros((rows.size, *shape[1:]))
        np.add.at(sums, place.reshape(-1), self.values)
        return rows, sums


def names_rows(list gradients):
    """Whether there is a gradient of a few rows among these."""
    for g in gradients:
        if type(g) is SparseGradient:
            return True
    return False


def no_gradient(optimizer):
    """What a step raises that has no gradient, nor one that is bound. optimizer : of torch's tensors, where it watches any."""
    fix = "call opt.step(g), or opt.bind(g) once"
    if getattr(optimizer, "_watched", None):
        fix = f"mflow.torch.{type(optimizer).__name__} takes those that backward() leaves with torch's tensors"
    return TypeError(f"g: expected a gradient, got None, and none is bound; {fix}")
