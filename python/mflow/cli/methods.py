"""`mflow methods`: the list of all methods, or one of them in full."""

from __future__ import annotations

import argparse
import math
from typing import Any

from mflow.base.methods import Method, describe, get_method, methods, other_orders
from mflow.cli.arguments import add_names, add_words
from mflow.cli.output import number, table
from mflow.stability.limits import max_stable_dt, stability_limit

__all__: list[str] = []

DESCRIPTION = "List the methods, or describe one."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `mflow methods`."""
    add_names(parser, "name", nargs="?", help="name or alias of a method")
    families = dict.fromkeys(method.family for method in methods())
    text = f"list the methods of one family alone: {', '.join(families)}"
    add_words(parser.add_argument, "--family", words=lambda _: families, help=text)


def check_arguments(arguments: argparse.Namespace) -> None:
    """Raise ValueError, with a text for the user, where there is no such method."""
    if arguments.name is not None and arguments.family is not None:
        raise ValueError("--family: it belongs to the list; omit it, or the name")
    if arguments.name is not None:
        get_method(arguments.name)
    methods(arguments.family)


def command(arguments: argparse.Namespace) -> int:
    """Run `mflow methods`; the exit code."""
    if arguments.name is not None:
        method = get_method(arguments.name)
        print(summary(method))
        arguments.write_json(lambda: {**contents(method), "text": summary(method)})
        return 0
    listed = methods(arguments.family)
    rows = [[m.name, ", ".join(m.aliases) or "-", m.family, _order_cell(m), str(m.stages), _limit_cell(m)] for m in listed]
    print(table(["method", "also called", "family", "order", "stages", "stable up to"], rows, ("also called",), (0, 1, 2, 5)))
    print("\nz = lambda dt on the negative real axis; omega: angular frequency of an undamped oscillation, which grows at any dt where the")
    print("limit is 0; L: largest curvature; at default parameters; -: no such limit (nonlinear).")
    print("order 2/1: the parameters decide, the first is that of the defaults.")
    print(f"mflow methods NAME tells more. {version()}")
    arguments.write_json(lambda: [contents(method) for method in listed])
    return 0


def contents(method: Method) -> dict[str, Any]:
    """What `--json` writes of a method, at its default parameters; the limit is that of the table.

    ``limit_of`` says what it bounds, None where there is no such limit ("adam"); a limit of None beside it is none at all: any step is
    stable ("backward_euler").

    Examples
    --------
    >>> from mflow import get_method
    >>> from mflow.cli.methods import contents
    >>> contents(get_method("rk4"))["order"]
    4
    """
    return {
        "name": method.name, "aliases": list(method.aliases), "family": method.family, "kind": method.kind, "order": method.order,
        "stages": method.stages, "flags": sorted(method.flags), "parameters": method.parameters, "limit": _limit(method),
        "limit_of": _bounded(method),
    }  # fmt: skip


def version() -> str:
    """The version of mflow and the instruction set of its kernels."""
    import mflow_core

    from mflow import __version__

    return f"mflow {__version__} (kernels: {mflow_core.isa()})"


def _limit(method: Method, axis: str | None = None) -> float | None:
    """Stability limit, None where the method has none of this kind."""
    if "linear" not in method.flags:
        return None
    try:
        return stability_limit(method, axis)
    except ValueError:  # a family that has other axes
        return None


def _scales(method: Method, limit: float) -> bool:
    """Whether an optimizer's limit is one of lr L alone: not so where a friction has a time of its own."""
    return math.isclose(100.0 * max_stable_dt(method, curvature=100.0), limit, rel_tol=1e-6)


def _order_cell(method: Method) -> str:
    """The order, and others that parameters give."""
    return "/".join(map(str, dict.fromkeys([method.order, *other_orders(method.record).values()])))


def _bounded(method: Method) -> str | None:
    """What the limit of the table bounds."""
    limit = _limit(method)
    if limit is None:
        return None
    if method.kind == "step":
        return "omega dt" if "second_order" in method.flags else "|lambda| dt"
    return "lr L" if _scales(method, limit) else "lr at L = 1"


def _limit_cell(method: Method) -> str:
    limit = _limit(method)
    if limit is None:
        return "-"
    if "second_order" in method.flags:
        return f"omega dt <= {limit:.4g}"
    if method.kind == "step":
        return f"|z| <= {limit:.4g}"
    return f"lr L <= {limit:.4g}" if _scales(method, limit) else f"lr <= {limit:.4g} at L=1"


def _coefficients(method: Method) -> list[str]:
    """Tables of a Runge-Kutta method: Butcher's, and Shu and Osher's where that is how it is stored."""
    butcher = method.butcher
    if butcher is None:
        return []
    A, b, c = butcher
    tableau = method.tableau or {}
    rows = [[number(c[i], 6), "|", *(number(v, 6) for v in A[i])] for i in range(len(c))]
    table = "the table (c | alpha, and b below)" if "G" in tableau else "Butcher's table (c | A, and b below)"
    lines = ["", table, *_matrix([*rows, ["", "|", *(number(v, 6) for v in b)]])]
    if "G" in tableau:
        lines += ["", "gamma", *_matrix([[number(v, 6) for v in row] for row in tableau["G"]])]
    for name in ("alpha", "beta"):
        if name in tableau:
            lines += ["", f"Shu and Osher's {name}", *_matrix([[number(v, 6) for v in row] for row in tableau[name]])]
    return lines


def _matrix(rows: list[list[str]]) -> list[str]:
    sizes = [max(len(row[j]) for row in rows) for j in range(len(rows[0]))]
    return ["    " + "  ".join(cell.rjust(size) for cell, size in zip(row, sizes, strict=True)).rstrip() for row in rows]


def _stability(method: Method) -> list[str]:
    limit = _limit(method)
    if limit is None:
        return ["no limit in closed form: the step depends on more than the curvature" if method.kind == "update" else "not known"]
    grows = ", so that it grows at any dt"
    if "second_order" in method.flags:
        return [f"omega dt <= {limit:.6g} for an undamped oscillation of angular frequency omega{'' if limit else grows}"]
    if method.kind == "step":
        lines = [f"|lambda| dt <= {limit:.6g} on the negative real axis (gradient flow)"]
        imaginary = _limit(method, "imaginary")
        if imaginary is not None:
            lines.append(f"|lambda| dt <= {imaginary:.6g} on the imaginary axis (an undamped oscillation{'' if imaginary else grows})")
        return lines
    if _scales(method, limit):
        return [f"lr L <= {limit:.6g}, L the largest curvature of the cost"]
    return [f"lr <= {limit:.6g} for the curvature L = 1; the limit does not depend on lr L alone, mflow.max_stable_dt gives it for other L"]


def summary(method: Method) -> str:
    """Everything that its record says of a method, as text."""
    others = "".join(f" ({order} with {words})" for words, order in other_orders(method.record).items())
    lines = [
        f"{method.name}: a method of the family {method.family}", "", describe(method.record), "",
        f"order {method.order}{others}, stages {method.stages}, carried vectors {', '.join(method.vectors)}",
        f"flags {', '.join(sorted(method.flags)) or 'none'}",
    ]  # fmt: skip
    lines += _coefficients(method)
    lines += ["", "Stability, at default parameters", *(f"    {text}" for text in _stability(method)), "", version()]
    return "\n".join(lines)
