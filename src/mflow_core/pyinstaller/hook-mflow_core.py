"""The libraries of compiled modules, which are found by the names of their parts."""

from PyInstaller.utils.hooks import collect_submodules

hiddenimports = collect_submodules("mflow_core")
