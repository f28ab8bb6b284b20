"""A function and a start from the arguments of a shell command: FILE.py:FUNCTION, "1,2,3"."""

from __future__ import annotations

import contextlib
import importlib.util
import inspect
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mflow_core import registry

from mflow.base.checks import Array
from mflow.base.result import place_of, words_of

__all__ = ["load_function", "parse_numbers"]


def load_function(target: str, option: str, forms: Sequence[str]) -> tuple[str, Callable[..., Any]]:
    """(name, function) of FILE.py:FUNCTION. Raises ValueError, with the option's name and the fix, where there is none.

    forms : the arguments that it may take, such as "x" and "t, y".
    """
    file, _, name = target.rpartition(":")
    if not file or not name.isidentifier():
        raise ValueError(f"{option} {target}: expected FILE.py:FUNCTION, as in {option} costs.py:bowl")
    path = Path(file)
    if not path.is_file():
        raise ValueError(
            f"{option} {target}: " + (f"expected a file, got {file}, a folder" if path.is_dir() else f"there is no file {file}")
        )
    spec = importlib.util.spec_from_file_location("mflow_objective", path)
    if spec is None or spec.loader is None:
        raise ValueError(f"{option} {target}: expected a Python file whose name ends in .py, got {file}")
    module = importlib.util.module_from_spec(spec)
    folder = str(path.absolute().parent)
    sys.path.insert(0, folder)  # as if the file had been started: it may import its neighbours
    sys.modules[spec.name] = module  # data classes and pickle look themselves up there
    try:
        spec.loader.exec_module(module)
    except KeyboardInterrupt:
        raise
    except SystemExit as error:
        raise ValueError(f"{option} {target}: {file} ends the program when it is imported, with {error.code!r}") from error
    except BaseException as error:
        place = place_of(error, folder)
        raise ValueError(f"{option} {target}: {file} raised {words_of(error)}" + (f" ({place})" if place else "")) from error
    finally:
        sys.path.remove(folder)
    function = getattr(module, name, None)
    if not callable(function):
        known = [key for key, value in vars(module).items() if callable(value) and not key.startswith("_")]
        raise ValueError(f"{option}: " + registry.unknown(f"{file} has no function", name, known or ["none"]))
    _check_signature(function, f"{option} {target}", forms)
    return name, function


def _check_signature(function: Any, argument: str, forms: Sequence[str]) -> None:
    """ValueError, with the place of the user's function, where it takes other arguments."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # one that tells nothing of them
        return
    for form in forms:
        with contextlib.suppress(TypeError):
            signature.bind(*form.split(", "))
            return
    code = getattr(inspect.unwrap(function), "__code__", None)
    place = f" ({os.path.basename(code.co_filename)}, line {code.co_firstlineno})" if code is not None else ""
    name = getattr(function, "__name__", type(function).__name__)
    wanted = " or ".join(f"{name}({form})" for form in forms)
    raise ValueError(f"{argument}: expected a function {wanted}, got {name}{signature}{place}")


def parse_numbers(text: str, option: str) -> Array:
    """The numbers of "1,2,3". Raises ValueError for anything else."""
    try:
        out = np.array([float(part) for part in text.strip().strip("[]()").split(",")])
    except ValueError:
        out = np.array([np.nan])
    if not np.all(np.isfinite(out)):
        raise ValueError(f'{option} {text!r}: expected finite numbers separated by commas, as in {option} "1,2,3"')
    return out
