"""How Sphinx builds the site: `nox -s docs`. It needs no network: formulas become MathML, which browsers draw themselves."""

from __future__ import annotations

import sys
from pathlib import Path

import mflow

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "_extensions"))

project = "mflow"
author = "the mflow authors"
copyright = "2026, the mflow authors"
version = release = mflow.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.intersphinx",
    "numpydoc",
    "myst_nb",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
    "mathml",
    "plain_docstrings",
    "record_pages",
]
exclude_patterns = ["_build", "gallery/*", "pictures/*.ipynb"]  # what sphinx-gallery reads and what it offers
root_doc = "index"

myst_enable_extensions = ["colon_fence", "deflist", "dollarmath", "fieldlist"]
myst_heading_anchors = 3
nb_execution_mode = "cache"
nb_execution_raise_on_error = True
nb_execution_timeout = 120
html_math_renderer = "mathml"

default_role = "py:obj"  # `mflow.minimize` in a docstring is a link
autodoc_typehints = "none"  # numpydoc shows the types that the docstrings name, which say shapes too
autodoc_member_order = "bysource"
numpydoc_show_class_members = False
numpydoc_class_members_toctree = False
numpydoc_xref_param_type = True
numpydoc_xref_ignore = "all"  # words of a type that are not below stay words
numpydoc_xref_aliases = {word: word for word in ("bool", "callable", "dict", "float", "int", "list", "str", "tuple")}
numpydoc_xref_aliases |= dict.fromkeys(("array", "array_like", "ndarray"), "numpy.ndarray")
numpydoc_xref_aliases |= {
    "generator": "collections.abc.Generator",
    "iterable": "collections.abc.Iterable",
    "sequence": "collections.abc.Sequence",
}
numpydoc_xref_aliases |= {word: word for word in ("True", "False", "None")}  # no links, whose targets numpydoc would print
numpydoc_xref_aliases |= {word: word for word in ("concurrent.futures.Executor", "scipy.sparse.linalg.LinearOperator")}

# Where the names of others stand in their documentation: those that ours meet, kept here, as the site is built without a network.
intersphinx_mapping = {
    "python": ("https://docs.python.org/3/", "inventories/python.txt"),
    "numpy": ("https://numpy.org/doc/stable/", "inventories/numpy.txt"),
    "scipy": ("https://docs.scipy.org/doc/scipy/", "inventories/scipy.txt"),
    "torch": ("https://docs.pytorch.org/docs/stable/", "inventories/torch.txt"),
}

suppress_warnings = ["misc.highlighting_failure"]  # the lexer of Meson knows less than Meson

# docs/gallery: each script is run, and has a page with the picture that it writes. The folder docs/pictures is not kept.
sphinx_gallery_conf = {
    "examples_dirs": "gallery",
    "gallery_dirs": "pictures",
    "filename_pattern": r"/\d\d_",
    "within_subsection_order": "FileNameSortKey",
    "image_scrapers": ("written_pictures.moved",),
    "abort_on_example_error": True,
    "download_all_examples": False,
    "write_computation_times": False,
    "min_reported_time": 600,
}

html_theme = "pydata_sphinx_theme"
html_title = "mflow"
html_static_path = ["_static"]
html_css_files = ["mflow.css"]
html_show_sourcelink = False
html_sidebars = {page.stem: [] for page in HERE.glob("*.md")}  # they stand in no section
html_theme_options = {
    "show_prev_next": True,
    "navigation_with_keys": False,
    "header_links_before_dropdown": 6,
    "secondary_sidebar_items": ["page-toc"],
}
