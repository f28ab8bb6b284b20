"""`mflow spectrum`: the response spectrum of a record, as a table, a picture or a file."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from mflow.base.telling import heard
from mflow.cli.arguments import add_record_options, check_picture, finite, positive, record_of, whole
from mflow.cli.output import save_picture
from mflow.data.ground_motion import GRAVITY, GroundMotion
from mflow.plot.axes import new_figure
from mflow.plot.motion import spectrum as draw
from mflow.vibration.spectrum import ResponseSpectrum, response_spectrum

__all__ = ["table"]

DESCRIPTION = "The response spectrum of a record of ground acceleration: a table, a picture of the pseudo-acceleration, and JSON."
ROWS = 20  # of the table


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `mflow spectrum`."""
    add = parser.add_argument
    add("--record", metavar="FILE", required=True, help="ground acceleration: PEER's AT2, or lines of time and acceleration")
    add_record_options(add)
    add("--periods", nargs=2, type=positive, default=(0.05, 5.0), metavar=("FIRST", "LAST"), help="in s (default: 0.05 5)")
    add(
        "--count", type=whole(2), default=200, metavar="N", help="how many periods, evenly spaced in their logarithm (default: %(default)s)"
    )
    add("--damping", action="append", type=finite(0.0), metavar="RATIO", help="may be repeated (default: 0.05)")
    add("--peaks", choices=("samples", "continuous"), default="samples", help="where peaks are looked for (default: %(default)s)")
    add("--csv", metavar="FILE", help="write the spectra as a table, a row a period; - for standard output")
    add("--out", default="spectrum.png", metavar="FILE", help="the picture: .png, .svg or .pdf (default: %(default)s)")
    add("--no-plot", action="store_true", help="draw no picture")


def check_arguments(arguments: argparse.Namespace) -> None:
    """Raise ValueError, with a text for the user, for a mistake in the arguments."""
    if not arguments.periods[0] < arguments.periods[1]:
        raise ValueError(f"--periods: expected FIRST below LAST, got {arguments.periods[0]:g} and {arguments.periods[1]:g}")
    check_picture(arguments.out, arguments.no_plot)
    _record(arguments)


def _record(arguments: argparse.Namespace) -> GroundMotion:
    if not Path(arguments.record).is_file():
        found = "expected a file, got a folder or a device" if Path(arguments.record).exists() else "there is no such file"
        raise ValueError(f"--record {arguments.record}: {found}")
    return record_of(arguments, arguments.record)


def table(spectrum: ResponseSpectrum) -> str:
    """Some of the periods, as text: displacements in m, velocities in m/s, accelerations in g.

    Examples
    --------
    >>> import mflow, numpy as np
    >>> from mflow.cli.spectrum import table
    >>> print(table(mflow.response_spectrum((0.01, np.ones(200)), [0.5, 1.0])).splitlines()[0])
    the record: peak 0.102 g; damping ratio 0.05, peaks at samples
    """
    where = "samples" if spectrum.peaks == "samples" else "samples and between"
    lines = [
        f"{spectrum.name}: peak {spectrum.peak / GRAVITY:.4g} g; damping ratio {spectrum.damping:g}, peaks at {where}",
        "",
        "period (s)      sd (m)  psv (m/s)   psa (g)    sa (g)",
    ]
    for k in sorted({round(j) for j in np.linspace(0, spectrum.periods.size - 1, min(spectrum.periods.size, ROWS))}):
        lines.append(
            f"{spectrum.periods[k]:10.4g}  {spectrum.sd[k]:10.4g}  {spectrum.psv[k]:9.4g}  {spectrum.psa[k] / GRAVITY:8.4f}  "
            f"{spectrum.sa[k] / GRAVITY:8.4f}"
        )
    return "\n".join(lines)


def command(arguments: argparse.Namespace) -> int:
    """Run `mflow spectrum`; the exit code."""
    record = _record(arguments)
    first, last = arguments.periods
    periods = np.geomspace(float(first), float(last), int(arguments.count))
    with heard() as words:
        spectra = [response_spectrum(record, periods, zeta, peaks=arguments.peaks) for zeta in arguments.damping or [0.05]]
    print("\n\n".join(table(one) for one in spectra))
    for text, _ in dict.fromkeys(words):
        print(f"! {text}")
    names = ("damping", "sd", "sv", "sa", "psv", "psa")
    parts = [{name: getattr(s, name) for name in names} for s in spectra]
    arguments.write_json(lambda: {"ground": {"name": record.name, "peak": record.peak}, "periods": periods, "spectra": parts})
    columns = [(s, name, unit) for s in spectra for name, unit in s.units.items() if name != "period"]
    heads = [f"{name} at {s.damping:g} ({unit})" for s, name, unit in columns]
    rows = np.column_stack([periods, *(getattr(s, name) for s, name, _ in columns)])
    arguments.write_csv(["period (s)", *heads], rows.tolist)
    if not arguments.no_plot:
        figure = new_figure((8, 4.8))
        draw(spectra, ax=figure.subplots())
        save_picture(figure, arguments.out)
        print(f"Picture of the pseudo-acceleration: {arguments.out}")
    return 0
