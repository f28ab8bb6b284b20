"""Arrays that are used where they lie, without a copy: which arrays of the user's can be, and what to do about one that cannot."""
import numpy as np


def shared_array(value, str argument):
    """NumPy's view of the memory of any array: NumPy's own, DLPack's (torch tensors on the CPU) or the buffer protocol's. No copy.

    A value that has none of these is returned as it is; `checked` refuses it.
    """
    if type(value) is np.ndarray:
        return value
    if isinstance(value, np.ndarray):
        return value.view(np.ndarray)
    if hasattr(value, "__dlpack__"):
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
    if not isinstance(array, np.ndarray):
        fix = "pass the gradient itself, not its function" if callable(array) else "np.asarray(..., dtype=float) makes one of numbers"
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
