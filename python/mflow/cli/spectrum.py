"""`mflow spectrum`: the response spectrum of a record, as a table, a picture or a file."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from mflow.base.telling import heard
from mflow.cli.arguments import add_record_options, check_picture, finite, positive, record_of, records_in, whole
from mflow.cli.output import each_record, save_picture
from mflow.cli.output import table as text_table
from mflow.data.ground_motion import GRAVITY, GroundMotion
from mflow.plot.axes import new_figure
from mflow.plot.motion import spectrum as draw
from mflow.vibration.spectrum import ResponseSpectrum, response_spectrum

__all__ = ["table"]

DESCRIPTION = "The response spectrum of a record of ground acceleration: a table, a picture of the pseudo-acceleration, and JSON."
ROWS = 20  # of the table
CURVES = 12  # whose names fit into a picture


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `mflow spectrum`."""
    add = parser.add_argument
    add("--record", metavar="FILE", required=True,
        help="ground acceleration: PEER's AT2, or lines of time and acceleration; a folder: all of them, a row each")  # fmt: skip
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
    path = Path(arguments.record)
    if path.is_dir():
        records_in(arguments.record)
    elif path.is_file():
        record_of(arguments, path)
    else:
        raise ValueError(f"--record {path}: {'expected a file or a folder, got a device' if path.exists() else 'there is no such file'}")


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


def rows_of(found: list[tuple[str, list[ResponseSpectrum] | str]]) -> str:
    """A row for each record and damping ratio: where its pseudo-acceleration is largest; below, what is no record, and why."""
    rows, unread = [], []
    for name, spectra in found:
        if isinstance(spectra, str):
            unread.append(f"! {name}: {spectra}")
            continue
        for s in spectra:
            k = int(np.argmax(s.psa))
            rows.append([name, f"{s.peak / GRAVITY:.4f}", f"{s.damping:g}", f"{s.psa[k] / GRAVITY:.4f}", f"{s.periods[k]:.4g}"])
    return "\n".join([text_table(["record", "peak (g)", "damping", "largest psa (g)", "at period (s)"], rows), *unread])


def _spectra(arguments: argparse.Namespace, record: GroundMotion) -> list[ResponseSpectrum]:
    """Of a record, one for each damping ratio."""
    first, last = arguments.periods
    periods = np.geomspace(float(first), float(last), int(arguments.count))
    return [response_spectrum(record, periods, zeta, peaks=arguments.peaks) for zeta in arguments.damping or [0.05]]


def contents(spectra: list[ResponseSpectrum]) -> dict[str, Any]:
    """What `--json` writes of a record: numbers in SI units."""
    names = ("damping", "sd", "sv", "sa", "psv", "psa")
    parts = [{name: getattr(s, name) for name in names} for s in spectra]
    return {"ground": {"name": spectra[0].name, "peak": spectra[0].peak}, "periods": spectra[0].periods, "spectra": parts}


def _write(arguments: argparse.Namespace, found: list[tuple[str, list[ResponseSpectrum]]]) -> None:
    """The table of `--csv`, a row a period, and the picture; of several records their columns and curves have their names."""
    columns = [
        (getattr(s, name), f"{name}{f' of {file}' if file else ''} at {s.damping:g} ({unit})")
        for file, spectra in found for s in spectra for name, unit in s.units.items() if name != "period"
    ]  # fmt: skip
    periods = found[0][1][0].periods
    arguments.write_csv(
        ["period (s)", *(head for _, head in columns)], np.column_stack([periods, *(values for values, _ in columns)]).tolist
    )
    if arguments.no_plot:
        return
    figure = new_figure((8, 4.8))
    ax = figure.subplots()
    labels = [f"{file or s.name}, damping {s.damping:g}" for file, spectra in found for s in spectra]
    draw([s for _, spectra in found for s in spectra], ax=ax, labels=labels)
    legend, unnamed = ax.get_legend(), ""
    if legend is not None and len(labels) > CURVES:
        legend.remove()
        unnamed = f" (its {len(labels)} curves are not named, as they are more than {CURVES}; --csv FILE has each with its name)"
    save_picture(figure, arguments.out)
    print(f"Picture of the pseudo-acceleration: {arguments.out}{unnamed}")


def _all_of(arguments: argparse.Namespace) -> int:
    """The spectra of every record of a folder; those that cannot be read are named."""
    found = each_record(arguments, lambda record: _spectra(arguments, record))
    print(rows_of(found))
    read = [(name, spectra) for name, spectra in found if not isinstance(spectra, str)]
    arguments.write_json(lambda: [contents(spectra) for _, spectra in read])
    if read:
        _write(arguments, read)
    return 0 if len(read) == len(found) else 1


def command(arguments: argparse.Namespace) -> int:
    """Run `mflow spectrum`; the exit code."""
    if Path(arguments.record).is_dir():
        return _all_of(arguments)
    with heard() as words:
        spectra = _spectra(arguments, record_of(arguments, arguments.record))
    print("\n\n".join(table(one) for one in spectra), *(f"! {text}" for text, _ in dict.fromkeys(words)), sep="\n")
    arguments.write_json(lambda: contents(spectra))
    _write(arguments, [("", spectra)])
    return 0
