"""How PyInstaller freezes the packages: the entry point `pyinstaller40` leads to the hooks in this folder.

A hook is for what imports do not show: the libraries that hold the compiled modules (`mflow_core._levels.LIBRARIES`), the modules that
`mflow` imports by name when they are asked for, and its data sets.
"""

from pathlib import Path

__all__ = ["hook_dirs"]


def hook_dirs() -> list[str]:
    """The folder of the hooks."""
    return [str(Path(__file__).parent)]
