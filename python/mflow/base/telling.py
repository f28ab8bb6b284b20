"""Warnings that point at the line of the user's that called mflow, however deep in the library they come up."""

from __future__ import annotations

import sys
import warnings

__all__ = ["LIBRARIES", "tell"]

# Whose frames are not the user's code.
LIBRARIES = ("mflow", "mflow_core", "numpy", "scipy", "matplotlib", "sklearn", "torch", "contextlib", "threading", "concurrent")


def tell(text: str, category: type[Warning] = RuntimeWarning) -> None:
    """Warns at the nearest line outside of the libraries; the core calls back from any depth, so that nobody counts frames by hand."""
    level, frame = 1, sys._getframe(0)
    while frame.f_back is not None and str(frame.f_globals.get("__name__", "")).partition(".")[0] in LIBRARIES:
        level, frame = level + 1, frame.f_back
    warnings.warn(text, category, stacklevel=level)
