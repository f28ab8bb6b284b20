"""Pages that are written from mflow itself, before Sphinx reads the sources: one for each method, from its record, and the reference.

Nothing is listed here: methods are those of the registry, public names those of `mflow.__all__` and of its public modules, and a name
stands under the folder that defines it, whose first docstring line is the heading. The folders docs/methods and docs/reference are not
kept.
"""

from __future__ import annotations

import ast
import functools
import importlib
import importlib.util
import inspect
import io
import itertools
import shutil
from contextlib import redirect_stdout
from pathlib import Path
from types import ModuleType
from typing import Any

import matplotlib as mpl
from sphinx.application import Sphinx

import mflow
from mflow.base.methods import Method, formula_of
from mflow.cli.commands import main
from mflow.cli.methods import summary

FAMILIES = {method.family: None for method in mflow.methods()}  # in the order of the registry


def code(text: str, language: str = "text") -> str:
    """A block of code, fenced."""
    return f"```{language}\n{text.strip()}\n```\n"


def facts(text: str) -> str:
    """What the command says of a method; tables of coefficients are blocks of their own, whose lines stay whole on a phone."""
    out = []
    for is_table, parts in itertools.groupby(text.strip("\n").split("\n\n"), key=lambda part: " | " in part):
        block = "\n\n".join(parts)
        out.append(f"```{{code-block}} text\n:class: columns\n\n{block}\n```\n" if is_table else code(block))
    return "\n".join(out)


def picture_of_region(method: Method, folder: Path) -> str:
    """Where a step of a first-order method is stable; nothing for other kinds."""
    if "linear" not in method.flags or method.kind != "step" or "second_order" in method.flags:
        return ""
    axes = mflow.plot.stability_regions([method.name])
    axes.figure.savefig(folder / f"{method.name}_region.png", dpi=80)
    return f"## Where a step is stable\n\n![Stability region of {method.name} in the plane of z = lambda dt]({method.name}_region.png)\n"


def picture_of_order(method: Method, folder: Path) -> str:
    """The error against the step, measured; nothing for methods without an order of accuracy."""
    if method.kind != "step":
        return ""
    measured = mflow.convergence(method.name)
    axes = mflow.plot.convergence(measured)
    axes.figure.savefig(folder / f"{method.name}_order.png", dpi=80)
    return f"## Its order, measured\n\n![Error of {method.name} against the step on logarithmic axes]({method.name}_order.png)\n"


def parameters(method: Method) -> str:
    """The table of parameters."""
    if not method.parameters_:
        return "No parameters.\n"
    rows = [f"| `{p.name}` | {p.default} | {p.bounds.replace('|', ' ')} | {p.doc} |" for p in method.parameters_]
    return "| parameter | default | bounds | |\n|---|---|---|---|\n" + "\n".join(rows) + "\n"


def call(method: Method) -> str:
    """How it is asked for, by the kind of its record."""
    record = method.record
    if method.kind == "update":
        text = f'mflow.minimize(cost, x0, jac=grad, method="{method.name}")\nmflow.optim.{record.class_name}(params)'
    elif method.kind == "sweep":
        text = "mflow.ImplicitSGD(loss, lr=1.0).fit(X, y)"
    elif "second_order" in method.flags:
        text = f'mflow.solve_dynamics(mass=M, stiffness=K, t_span=(0, T), x0=x0, method="{method.name}", dt=dt)'
    else:
        steps = "rtol=1e-6, atol=1e-9" if "embedded" in method.flags else "dt=0.01"
        text = f'mflow.solve_ivp(fun, (t0, t1), y0, method="{method.name}", {steps})'
    return code(text, "python")


def instance(method: Method) -> str:
    """The class, where `mflow` shows one: what links, the index and the search lead to."""
    name = type(method).__name__
    if getattr(mflow, name, None) is not type(method):
        return ""
    text = f"An instance, which every ``method=`` takes as it takes the name ``{method.name!r}``."
    return f"```{{eval-rst}}\n.. py:class:: mflow.{name}{inspect.signature(type(method))}\n\n   {text}\n```\n"


def method_page(method: Method, folder: Path) -> str:
    """The page of one method."""
    record = method.record
    others = f"Also called {', '.join(f'`{alias}`' for alias in method.aliases)}.\n" if method.aliases else ""
    said = io.StringIO()
    with redirect_stdout(said):
        print(summary(method))
    parts = [
        f"# {method.name}\n",
        record.doc + "\n",
        others,
        code(formula_of(record)),
        "## Call\n\n" + call(method),
        instance(method),
        "## Parameters\n\n" + parameters(method),
        "## Facts\n\n" + facts(said.getvalue()),
        picture_of_region(method, folder),
        picture_of_order(method, folder),
        f"## Reference\n\n{record.reference}\n",
    ]
    return "\n".join(part for part in parts if part)


def flags() -> str:
    """A table of the flags that some methods have, and which do."""
    found: dict[str, list[str]] = {}
    for method in mflow.methods():
        for flag in method.flags:
            found.setdefault(flag, []).append(f"[{method.name}]({method.name}.md)")
    rows = [f"| `{flag}` | {', '.join(names)} |" for flag, names in sorted(found.items()) if len(names) < len(mflow.methods()) // 2]
    return (
        '`[m.name for m in mflow.methods() if "symplectic" in m.flags]` gives a row of them.\n\n| flag | methods |\n|---|---|\n'
        + "\n".join(rows)
        + "\n"
    )


def write_methods(folder: Path) -> None:
    """docs/methods: the page of each method and the table that leads to them."""
    table = io.StringIO()
    with redirect_stdout(table):
        main(["methods"])
    parts = ["# Methods\n", "Each page is written from the record that the kernels themselves read.\n"]
    for family in FAMILIES:
        members = [method for method in mflow.methods() if method.family == family]
        parts.append(
            f"## {family.replace('_', ' ').capitalize()}\n\n```{{toctree}}\n:maxdepth: 1\n\n"
            + "\n".join(m.name for m in members)
            + "\n```\n"
        )
        for method in members:
            (folder / f"{method.name}.md").write_text(method_page(method, folder), encoding="utf-8")
    parts.append("## By what they are\n\n" + flags())
    parts.append("## In one table\n\n" + code(table.getvalue()))
    (folder / "index.md").write_text("\n".join(parts), encoding="utf-8")


def owner(item: Any) -> str:
    """The folder of python/mflow that defines a public object; "" for what the core defines."""
    parts = getattr(item, "__module__", "").split(".")
    return parts[1] if parts[0] == "mflow" and len(parts) > 1 else ""


@functools.cache
def paged() -> frozenset[type]:
    """Public classes, which have pages of their own."""
    modules = [mflow, *(importlib.import_module(f"mflow.{name}") for name in mflow._ROOMS)]
    return frozenset(item for module in modules for name in module.__all__ if inspect.isclass(item := getattr(module, name)))


def said(name: str, member: Any) -> str:
    """The docstring of a member, without the signature that compiled ones begin with."""
    first, _, rest = (member.__doc__ or "").strip().partition("\n")
    return rest.strip() if f"{name}(" in first else f"{first}{rest}"


def inherited(item: type) -> str:
    """The option that lists what a class has from bases without pages, up to the first base that has one or is not ours."""
    bases = item.__mro__[1:]
    end = next(k for k, base in enumerate(bases) if base in paged() or base.__module__.partition(".")[0] not in ("mflow", "mflow_core"))
    members = {name: value for base in bases[:end] for name, value in vars(base).items() if not name.startswith("_")}
    silent = sorted(name for name, value in members.items() if not said(name, value))  # meant for inside
    silent += sorted(name for name in dir(item) if name.startswith("set_") and name.endswith("_request"))  # scikit-learn's, which it writes
    without = f"   :exclude-members: {', '.join(silent)}\n" if silent else ""
    return f"   :inherited-members: {bases[end].__name__}\n{without}" if members else without


def stub(name: str, item: Any) -> str:
    """The page of one public name."""
    title = name.removeprefix("mflow.")
    if inspect.isclass(item):
        return f"# {title}\n\n```{{eval-rst}}\n.. autoclass:: {name}\n   :members:\n{inherited(item)}   :show-inheritance:\n```\n"
    return f"# {title}\n\n```{{eval-rst}}\n.. autofunction:: {name}\n```\n"


def write_group(folder: Path, title: str, names: dict[str, Any], head: str = "") -> str:
    """A page that lists some public names, and a page for each; the name of the first."""
    slug = title.lower().replace(" ", "_").replace(".", "_")
    for name, item in names.items():
        (folder / f"{name}.md").write_text(stub(name, item), encoding="utf-8")
    toctree = "```{toctree}\n:maxdepth: 1\n\n" + "\n".join(sorted(names)) + "\n```\n"
    (folder / f"{slug}.md").write_text(f"# {title}\n\n{head}\n\n{toctree}", encoding="utf-8")
    return slug


def members(module: ModuleType) -> dict[str, Any]:
    """Public classes and functions of a public module."""
    found = {f"{module.__name__}.{name}": getattr(module, name) for name in module.__all__}
    return {name: item for name, item in found.items() if inspect.isclass(item) or inspect.isroutine(item)}


def write_absent(folder: Path, module: str) -> str:
    """The page of a public module whose package is not installed here, in the words of its source; the name of the page.

    Its classes are those of mflow.optim, which have their own pages.
    """
    spec = importlib.util.find_spec(module)
    assert spec is not None
    assert spec.origin is not None
    text = ast.get_docstring(ast.parse(Path(spec.origin).read_text(encoding="utf-8"))) or ""
    names = sorted(name for name in mflow.optim.__all__ if issubclass(getattr(mflow.optim, name), mflow.optim.Optimizer))
    links = ", ".join(f"[{name}](mflow.optim.{name}.md)" for name in names)
    slug = module.replace(".", "_")
    (folder / f"{slug}.md").write_text(f"# {module}\n\n{text}\n\nThe parameters are those of {links}.\n", encoding="utf-8")
    return slug


def write_reference(folder: Path) -> None:
    """docs/reference: the public names of mflow by the folder that defines them, then its public modules."""
    groups: dict[str, dict[str, Any]] = {}
    modules: dict[str, ModuleType] = {}
    for name in mflow.__all__:
        item = getattr(mflow, name)
        if inspect.ismodule(item):
            modules[name] = item
        elif not (inspect.isclass(item) and issubclass(item, Method) and item is not Method):  # those have pages of their own
            groups.setdefault(owner(item), {})[f"mflow.{name}"] = item
    for name in mflow._ESTIMATORS:
        item = getattr(mflow, name)
        groups.setdefault(owner(item), {})[f"mflow.{name}"] = item
    slugs, shown = [], set[int]()
    for name in mflow._MODULES:
        try:
            modules.setdefault(name, importlib.import_module(f"mflow.{name}"))
        except ImportError:  # an extra that is not installed here
            slugs.append(write_absent(folder, f"mflow.{name}"))
    for place, names in sorted(groups.items()):
        shown |= {id(item) for item in names.values()}
        words = (importlib.import_module(f"mflow.{place}").__doc__ or "") if place else "What the core defines."
        slugs.append(write_group(folder, place.capitalize() or "Core", names, words.split("\n\n")[0]))
    for name, module in sorted(modules.items()):
        names = {name: item for name, item in members(module).items() if id(item) not in shown}
        slugs.append(write_group(folder, f"mflow.{name}", names, (module.__doc__ or "").split("\n\n")[0]))
    toctree = "```{toctree}\n:maxdepth: 1\n\n" + "\n".join(slugs) + "\n```\n"
    text = "# Reference\n\nEvery public name. Those of `mflow` itself stand first, by subject; then the public modules.\n\n"
    text += "Their text is put in when the site is built; on a host of source code the pages are stubs: ask ``help(mflow.curve_fit)``.\n\n"
    (folder / "index.md").write_text(text + toctree, encoding="utf-8")


def write_pages(app: Sphinx) -> None:
    """Write both folders anew."""
    mpl.use("agg")
    for name, write in (("methods", write_methods), ("reference", write_reference)):
        folder = Path(app.srcdir) / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        write(folder)


def setup(app: Sphinx) -> dict[str, Any]:
    """Write the pages before the sources are read."""
    app.connect("builder-inited", write_pages)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
