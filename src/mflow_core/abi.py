"""mflow.h for those who speak neither C nor Cython: numba, ctypes, cffi.

The installed header itself is read, so nothing here is a second list of what it says:

    cdef()            its declarations, for `cffi.FFI().cdef()`
    dtype(name)       a struct as a NumPy dtype, pointers as integers
    table()           address of the table of functions, `mf_api`
    function(name)    one function of that table, called with integers for pointers: by ctypes, or inside numba's @njit
    structs(), enums(), callbacks()    the other declarations in it

`tools/abi.py` holds the offsets against a C compiler's, and against the frozen list.
"""

from __future__ import annotations

import ctypes
import re
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

__all__ = ["Field", "Function", "callbacks", "cdef", "dtype", "enums", "function", "functions", "structs", "table"]

HEADER = Path(__file__).with_name("include") / "mflow" / "mflow.h"


class Field(NamedTuple):
    """A field of a struct: its name, and its type as it is written."""

    name: str
    type: str


class Function(NamedTuple):
    """What a function returns, and its arguments in order; an argument that has no name in the header is called after its type."""

    returns: str
    arguments: tuple[Field, ...]


def spaced(text: str) -> str:
    return re.sub(r"\s*\*\s*", " *", re.sub(r"\s+", " ", text)).replace("* *", "**").strip()


@cache
def cdef(header: Path = HEADER) -> str:
    """The declarations of mflow.h without comments and directives.

    Examples
    --------
    >>> from mflow_core import abi
    >>> "typedef struct mf_frame" in abi.cdef()
    True
    """
    text = re.sub(r"/\*.*?\*/", "", header.read_text(encoding="utf-8"), flags=re.S)
    text = re.sub(r"#ifdef __cplusplus.*?#endif", "", text, flags=re.S)
    return re.sub(r"\n\s*\n+", "\n", re.sub(r"^#.*$", "", text, flags=re.M)).strip()


def argument(text: str) -> Field:
    text = spaced(text)
    match = re.fullmatch(r"(.*?[\s*])(\w+)", text)
    if match and match[2] not in ("int", "double", "char") and not re.fullmatch(r"(const )?", match[1]):
        return Field(match[2], match[1].strip())
    return Field(re.sub(r"\W|const", "", text).removeprefix("mf_"), text)


def arguments(text: str) -> tuple[Field, ...]:
    return () if text.strip() in ("", "void") else tuple(argument(part) for part in text.split(","))


@cache
def structs(header: Path = HEADER) -> dict[str, tuple[Field, ...]]:
    """{name: fields} of every struct, in order."""
    out = {}
    for match in re.finditer(r"(?:typedef )?struct (\w+) \{(.*?)\}", cdef(header), re.S):
        fields = []
        for declaration in filter(None, (part.strip() for part in match[2].split(";"))):
            pointer = re.fullmatch(r"(.*?)\(\*(\w+)\)\((.*)\)", declaration, re.S)
            if pointer:
                fields.append(Field(pointer[2], f"{spaced(pointer[1])} (*)({spaced(pointer[3])})"))
                continue
            first, *more = declaration.split(",")
            split = re.fullmatch(r"((?:const )?\w+)(.*?)(\w+)", spaced(first))
            assert split, declaration
            base = split[1]
            fields.append(Field(split[3], spaced(base + split[2])))
            fields += [Field(re.sub(r"\W", "", text), spaced(base + re.sub(r"\w+\s*$", "", text.strip()))) for text in more]
        out[match[1]] = tuple(fields)
    return out


@cache
def enums(header: Path = HEADER) -> dict[str, int]:
    """{name: value} of every constant, MF_ABI and MF_API_VERSION among them."""
    out = {name: int(value) for name, value in re.findall(r"#define (MF_\w+) (\d+)", header.read_text(encoding="utf-8"))}
    for body in re.findall(r"enum \{(.*?)\}", cdef(header), re.S):
        out.update({name: int(value) for name, value in re.findall(r"(\w+)\s*=\s*(-?\d+)", body)})
    return out


@cache
def callbacks(header: Path = HEADER) -> dict[str, Function]:
    """{name: function} of every function type."""
    return {name: Function(spaced(returns), arguments(text))
            for returns, name, text in re.findall(r"typedef (\w+) \(\*(\w+)\)\((.*?)\);", cdef(header), re.S)}  # fmt: skip


@cache
def functions(header: Path = HEADER) -> dict[str, Function]:
    """{name: function} of the table."""
    out = {}
    for name, text in structs(header)["mf_api"]:
        match = re.fullmatch(r"(.*?) ?\(\*\)\((.*)\)", text)
        if match:
            out[name] = Function(match[1], arguments(match[2]))
    return out


@cache
def dtype(name: str) -> Any:
    """A struct as an aligned NumPy dtype: fields by name, pointers as integers.

    Parameters
    ----------
    name : str
        "mf_frame", "mf_problem", "mf_sizes", ...

    Raises
    ------
    ValueError
        The header has no such struct.

    Examples
    --------
    >>> import numpy as np
    >>> from mflow_core import abi
    >>> frame = np.zeros((), abi.dtype("mf_frame"))
    >>> frame["size"], frame["h"] = frame.itemsize, 0.1
    """
    import numpy as np

    if name not in structs():
        raise ValueError(f"name: expected a struct of mflow.h ({', '.join(structs())}), got {name!r}")
    numbers = {"double": "f8", "int32_t": "i4", "uint32_t": "u4", "int64_t": "i8", "ptrdiff_t": "intp"}
    fields = [
        (field.name, "uintp" if "*" in field.type or field.type.endswith("_fn") else numbers.get(field.type) or dtype(field.type))
        for field in structs()[name]
    ]
    return np.dtype(fields, align=True)


def table() -> int:
    """Address of the table of functions: `ffi.cast("mf_api *", table())` in cffi."""
    from mflow_core import api

    get = ctypes.PYFUNCTYPE(ctypes.c_size_t, ctypes.py_object, ctypes.c_char_p)(("PyCapsule_GetPointer", ctypes.pythonapi))
    return int(get(api._C_API, b"mflow_core.api._C_API"))


def native(text: str) -> Any:
    """A C type as ctypes has it, pointers as integers."""
    if "*" in text:
        return ctypes.c_size_t
    return {"int": ctypes.c_int, "double": ctypes.c_double, "int64_t": ctypes.c_int64, "ptrdiff_t": ctypes.c_ssize_t, "void": None}[text]


@cache
def function(name: str) -> Any:
    """One function of the table, for ctypes and numba: `function("update")(record.address, ...)`, addresses as integers.

    Parameters
    ----------
    name : str
        A field of `mf_api`: "find", "step", "begin", "update", ...

    Raises
    ------
    ValueError
        The table has no such function.

    Examples
    --------
    >>> from mflow_core import abi, registry
    >>> abi.function("defaults")(registry.find("rk4").address, 0)
    0
    """
    if name not in functions():
        raise ValueError(f"name: expected a function of the table ({', '.join(functions())}), got {name!r}")
    returns, given = functions()[name]
    address = ctypes.c_size_t.from_address(table() + int(dtype("mf_api").fields[name][1])).value
    return ctypes.CFUNCTYPE(native(returns), *(native(field.type) for field in given))(address)
