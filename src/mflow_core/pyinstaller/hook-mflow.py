"""The modules of the face and the data sets."""

from PyInstaller.utils.hooks import collect_data_files, collect_submodules

hiddenimports = collect_submodules("mflow")
datas = collect_data_files("mflow")
