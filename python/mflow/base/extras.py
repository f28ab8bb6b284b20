"""Optional packages: imported where they are used, with a message that says what to install where one is missing or too old.

Which packages there are, and from which version on, stands in pyproject.toml alone; the installed distribution knows it.
"""

from __future__ import annotations

import functools
import importlib
import re
from typing import Any, NamedTuple

__all__ = ["DISTRIBUTION", "Extra", "extras", "need", "numbers"]

DISTRIBUTION = "momentum-flow"
DEVELOPERS = ("bench", "dev", "docs", "test")  # extras that no user needs
MODULES = {"sklearn": "scikit-learn", "sksparse": "scikit-sparse"}  # modules that are not named as their distribution


class Extra(NamedTuple):
    """A package that an extra of the distribution installs; lowest is empty where no version is too old, below where none is too new."""

    extra: str
    package: str
    lowest: str
    below: str = ""

    @property
    def needs(self) -> str:
        """Which versions it may have, as pip writes it; "" for all of them."""
        return ",".join(f"{sign}{bound}" for sign, bound in ((">=", self.lowest), ("<", self.below)) if bound)

    def fits(self, version: str) -> bool:
        """Whether this version is one of them."""
        old = self.lowest and numbers(version) < numbers(self.lowest)
        return not old and not (self.below and numbers(version) >= numbers(self.below))

    @property
    def words(self) -> str:
        """The package with its versions, as a sentence has it."""
        newer = f" {self.lowest} or newer" if self.lowest else ""
        return f"{self.package}{newer}{' and' * bool(newer and self.below)}{f' below {self.below}' if self.below else ''}"

    @property
    def advice(self) -> str:
        """The command that installs it."""
        return f"pip install '{DISTRIBUTION}[{self.extra}]'"


def extras() -> list[Extra]:
    """The optional packages of the installed distribution, without those of developers; none where mflow was not installed."""
    import importlib.metadata

    try:
        lines = importlib.metadata.requires(DISTRIBUTION) or []
    except importlib.metadata.PackageNotFoundError:
        return []
    pattern = r"([A-Za-z0-9_.-]+)(?:\[[^\]]*\])?([^;]*);.*extra\s*==\s*['\"](\w+)['\"]"
    found = [match for match in (re.match(pattern, line) for line in lines) if match and match[3] not in DEVELOPERS]
    bounds = [dict(re.findall(r"(>=|<)\s*([0-9.]+)", match[2])) for match in found]
    return [Extra(match[3], match[1], bound.get(">=", ""), bound.get("<", "")) for match, bound in zip(found, bounds, strict=True)]


def need(module: str, purpose: str) -> Any:
    """Import an optional package, or a module of it.

    Parameters
    ----------
    module : str
        As in an import statement, e.g. ``"scipy.sparse.linalg"``.
    purpose : str
        What needs it: the first words of the message.

    Returns
    -------
    module
        The one named, so that of ``"scipy.sparse.linalg"`` it is linalg.

    Raises
    ------
    ImportError
        If it is missing, or its version is none that mflow works with; the message has the command that mends it.

    Examples
    --------
    >>> from mflow.base.extras import need
    >>> need("scipy.sparse", "a sparse Jacobian").__name__
    'scipy.sparse'
    >>> need("no_such_package", "this example")
    Traceback (most recent call last):
    ...
    ImportError: this example needs no_such_package, which is not installed: pip install no_such_package
    """
    top = module.partition(".")[0]
    try:
        found = importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != top:  # a package that the optional one lacks
            raise
        extra = _extra_of(top)
        raise ImportError(f"{purpose} needs {extra.words}, which is not installed: {_advice(extra)}") from None
    _check_version(top, purpose)
    return found


def numbers(text: str) -> tuple[int, ...]:
    """A version as numbers, up to the first part that is none."""
    parts = re.match(r"\d+(?:\.\d+)*", text)
    return tuple(map(int, parts[0].split("."))) if parts else ()


@functools.lru_cache(maxsize=64)  # a success only: an error is raised anew
def _check_version(top: str, purpose: str) -> None:
    extra = _extra_of(top)
    if not extra.needs:
        return
    import importlib.metadata

    try:
        here = importlib.metadata.version(extra.package)
    except importlib.metadata.PackageNotFoundError:  # a module that no installer put there
        return
    if not extra.fits(here):
        raise ImportError(f"{purpose} needs {extra.words}, got {here}: {_advice(extra)}")


def _extra_of(top: str) -> Extra:
    name = MODULES.get(top, top)
    return next((extra for extra in extras() if extra.package == name), Extra("", name, ""))


def _advice(extra: Extra) -> str:
    return extra.advice if extra.extra else f"pip install {extra.package}"
