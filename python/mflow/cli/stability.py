"""`mflow stability NAME...`: the facts of methods as a table, and a picture of their stability regions."""

from __future__ import annotations

import argparse
import math
from importlib import import_module
from typing import Any

from mflow_core import registry

from mflow.base.methods import Method, get_method
from mflow.base.tables import Table
from mflow.cli.arguments import add_names, check_picture
from mflow.cli.output import save_picture
from mflow.stability.conditions import order_from_conditions, principal_error_norm
from mflow.stability.facts import is_a_stable, is_l_stable, limit_at_infinity, ssp_coefficient
from mflow.stability.limits import stability_limit
from mflow.stability.oscillation import oscillation

__all__ = ["facts"]

DESCRIPTION = "Stability of methods: limits, order, A- and L-stability, SSP coefficient, computed from their coefficients and kernels."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `mflow stability`."""
    add_names(parser, "names", nargs="+", help="names or aliases of methods")
    parser.add_argument("--out", default="stability.png", metavar="FILE", help="the picture: .png, .svg or .pdf (default: %(default)s)")
    parser.add_argument("--no-plot", action="store_true", help="the table alone")


def check_arguments(arguments: argparse.Namespace) -> None:
    """Raise ValueError, with a text for the user, for a mistake in the arguments."""
    for name in arguments.names:
        method = get_method(name)
        if "linear" not in method.flags:
            stability_limit(method)  # its error says what to use instead
    check_picture(arguments.out, arguments.no_plot)


def facts(method: Method) -> list[tuple[str, Any]]:
    """What can be computed of a method: (name, value).

    Examples
    --------
    >>> from mflow import get_method
    >>> from mflow.cli.stability import facts
    >>> [name for name, value in facts(get_method("sgd"))]
    ['order', 'limit on lr L']
    """
    out: list[tuple[str, Any]] = [("order", method.sizes["order"])]
    if method.kind == "update":
        return [*out, ("limit on lr L" if "friction" not in method.parameters else "limit on lr, at L = 1", stability_limit(method))]
    if "second_order" in method.flags:
        out += [("limit on omega dt", stability_limit(method)), ("with damping 0.1", stability_limit(method, zeta=0.1))]
        small = oscillation(method, [0.1])
        return [
            *out,
            ("spectral radius at infinity", limit_at_infinity(method)),
            ("period error at omega dt = 0.1", float(small.period_error[0])),
            ("damping ratio added there", float(small.algorithmic_damping[0])),
        ]
    out += [("real limit", stability_limit(method)), ("imaginary limit", stability_limit(method, axis="imaginary"))]
    if "multistep" in method.flags:
        out += [("A-stable", bool(is_a_stable(method))), ("L-stable", bool(is_l_stable(method)))]
        return [*out, ("largest root at infinity", limit_at_infinity(method))]
    if method.tableau is None:
        return out
    out.insert(1, ("order by its conditions", order_from_conditions(method)))
    out.insert(2, ("principal error norm", principal_error_norm(method)))
    return [
        *out,
        ("SSP coefficient", ssp_coefficient(method)),
        ("A-stable", bool(is_a_stable(method))),
        ("L-stable", bool(is_l_stable(method))),
        ("R at infinity", limit_at_infinity(method)),
    ]


def _text(name: str, value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if not math.isfinite(value):
        return "-inf" if value < 0.0 else "inf" if "at infinity" in name else "no limit"
    if "error" in name:
        return f"{value:.4e}"
    return f"{value:.10g}" if abs(value) > 1e-12 else "0"


def command(arguments: argparse.Namespace) -> int:
    """Run `mflow stability`; the exit code."""
    selected = list({method.name: method for method in map(get_method, arguments.names)}.values())  # an alias does not count twice
    print(report(selected))
    arguments.write_json(lambda: {method.name: dict(facts(method)) for method in selected})
    planar = [m for m in selected if m.kind == "step" and "second_order" not in m.flags]
    waves = [m for m in selected if "second_order" in m.flags]
    if arguments.no_plot or not (planar or waves):
        return 0
    plot: Any = import_module("mflow.plot")
    axis = plot.stability_regions(planar) if planar else plot.spectral_radius(waves)
    save_picture(axis.figure, arguments.out, dpi=120)
    content = "stability regions" if planar else "spectral radii"
    print(f"\nPicture of the {content}: {arguments.out}")
    return 0


def report(selected: list[Method]) -> str:
    """The facts of some methods, those of one kind side by side."""
    kinds: dict[tuple[str, ...], list[tuple[str, dict[str, Any]]]] = {}
    for method in selected:
        kinds.setdefault((method.kind, str("second_order" in method.flags)), []).append((method.name, dict(facts(method))))
    parts = []
    for group in kinds.values():
        heads = list(dict.fromkeys(head for _, values in group for head in values))
        rows = [[head, *(_text(head, values[head]) if head in values else "-" for _, values in group)] for head in heads]
        parts.append(str(Table(["", *(name for name, _ in group)], rows)))
    parts.append("Computed from the coefficients, or probed from the kernels (" + registry.LEVEL + "); z = lambda dt.")
    return "\n\n".join(parts)
