"""`mflow simulate`: a shear building on shaking ground, from the shell or from Python.

    response = respond(load_building(), half_sine(0.3, 0.5), "newmark", dt=0.01)
    print(table(response))

`mflow.cli.building` has the model; this module shows what it does.
"""

from __future__ import annotations

import argparse
import csv
import math
from pathlib import Path
from typing import Any

import numpy as np

from mflow.base.methods import as_method, get_method, methods
from mflow.base.result import COLUMNS
from mflow.base.telling import counted, tell
from mflow.cli.arguments import add_names, add_record_options, add_words, check_picture, finite, positive, record_of, records_in
from mflow.cli.building import NUMBERS, PULSE, Building, Response, half_sine, load_building, read_building, respond
from mflow.cli.output import each_record, print_warning, save_picture
from mflow.data.ground_motion import GRAVITY, GroundMotion
from mflow.plot.axes import new_figure
from mflow.plot.motion import displacements, energy

__all__ = ["picture", "table"]


def _peaks(response: Response) -> list[dict[str, Any]]:
    """A row a storey."""
    x, drift, a = response.result.x, response.drift, response.total_acceleration
    return [
        {
            "storey": i + 1, "name": response.building.storeys[i], "displacement": float(np.max(np.abs(x[i]))),
            "drift": float(np.max(np.abs(drift[i]))), "drift_ratio": float(np.max(np.abs(drift[i])) / response.building.height[i]),
            "acceleration": float(np.max(np.abs(a[i]))),
        }
        for i in range(len(x))
    ]  # fmt: skip


def table(response: Response) -> str:
    """Periods, peaks of each storey and the ledger, as text.

    Parameters
    ----------
    response : Response

    Examples
    --------
    >>> from mflow.cli.building import half_sine, load_building, respond
    >>> from mflow.cli.simulate import table
    >>> print(table(respond(load_building(), half_sine(0.3, 0.5))).splitlines()[0])
    uniform five-storey shear frame (A. Chopra, Dynamics of Structures, sections 12.8 and 13.2.6)
    """
    result, b = response.result, response.building
    method, motion, frequencies = response.method, response.motion, b.modes()[0]
    values = ", ".join(f"{name} = {value}" for name, value in method.parameters.items())
    wide = max(6, *map(len, b.storeys))
    lines = [
        f"{b.name} ({b.source})" if b.source != b.name else b.name,
        f"ground: {motion.name}, peak {motion.peak / GRAVITY:.4g} g; {method.name}{f' ({values})' if values else ''}, "
        f"dt = {response.dt:.4g} s, {counted(result.nsteps, 'step')} to {result.t[-1]:.4g} s; damping ratio {response.zeta:g}",
        "periods (s): " + ", ".join(f"{2.0 * math.pi / w:.4f}" for w in frequencies),
        "",
        f"{'storey':>{wide}}  peak displacement  peak drift  drift/height  peak acceleration",
        f"{'':>{wide}}                 mm          mm             %                  g",
    ]
    for row in reversed(_peaks(response)):
        ratio = _fixed(100 * row["drift_ratio"], 3) if math.isfinite(row["drift_ratio"]) else "-"
        lengths = f"{_fixed(1e3 * row['displacement'], 2):>17}  {_fixed(1e3 * row['drift'], 2):>10}"
        lines.append(f"{row['name']:>{wide}}  {lengths}  {ratio:>12}  {_fixed(row['acceleration'] / GRAVITY, 4):>17}")
    lines += [f"base shear: {response.base_shear / 1e3:.4g} kN", ""]
    ledger = response.ledger
    lines.append("energy (kJ), against the ground:  " + "  ".join(f"{name:>10}" for name in COLUMNS))
    for label, k in (("at its peak", int(np.argmax(ledger.kinetic + ledger.potential))), ("at the end", -1)):
        numbers = [f"{ledger[name][k] / 1e3:10.3g}" if math.isfinite(ledger[name][k]) else f"{'-':>10}" for name in COLUMNS]
        lines.append(f"{f'{label} (t = {result.t[k]:.4g} s)':<34}" + "  ".join(numbers))
    lines.append("(kinetic + potential = load - damping + numerical + residual: numerical is below 0 where the steps dissipate)")
    if np.all(np.isfinite(ledger.kinetic)) and not np.all(np.isfinite(ledger.numerical)):
        lines.append(f"({method.name} has no formula for the energy that it dissipates; that energy is part of the residual)")
    lines += [f"! {note}" for note in response.warnings]
    if not result.success:
        lines.append(f"! {result.reason}: {result.message}")
    return "\n".join(lines)


def _fixed(value: float, digits: int) -> str:
    """With so many digits behind the point; what has grown beyond a column, by its power of ten."""
    return f"{value:.{digits}f}" if abs(value) < 1e7 else f"{value:.4g}"


def contents(response: Response) -> dict[str, Any]:
    """What `--json` writes: numbers in SI units."""
    result, b = response.result, response.building
    return {
        "building": {"name": b.name, "source": b.source} | {part: getattr(b, part).tolist() for part in NUMBERS}
        | {"storeys": list(b.storeys)},
        "ground": {"name": response.motion.name, "peak": response.motion.peak, "duration": float(response.motion.t[-1])},
        "method": response.method.name, "parameters": dict(response.method.parameters), "dt": response.dt, "damping_ratio": response.zeta,
        "periods": (2.0 * math.pi / b.modes()[0]).tolist(), "peaks": _peaks(response), "base_shear": response.base_shear,
        "success": bool(result.success), "reason": result.reason, "message": result.message, "warnings": response.warnings,
        "stable": response.stable,
        "t": result.t.tolist(), "x": result.x.tolist(), "acceleration": response.total_acceleration.tolist(),
        "energy": {name: response.ledger[name].tolist() for name in COLUMNS},
    }  # fmt: skip


def _heads_of(response: Response) -> list[str]:
    """Of the columns of `_motion`."""
    names = response.building.storeys
    parts = [f"{part} {name} ({unit})" for part, unit in (("displacement", "m"), ("acceleration", "m/s^2")) for name in names]
    return ["time (s)", "ground (m/s^2)", *parts, *(f"{name} (J)" for name in COLUMNS)]


def _motion(response: Response) -> list[list[float]]:
    """A row a time: displacements against the ground, total accelerations, energies."""
    result, ledger = response.result, response.ledger
    ground = np.broadcast_to(response.ground, (1, result.t.size))
    energies = np.array([ledger[name] for name in COLUMNS])
    rows: list[list[float]] = np.vstack([result.t, ground, result.x, response.total_acceleration, energies]).T.tolist()
    return rows


HEADS = ("record", "peak (m/s^2)", "roof displacement (m)", "drift/height", "base shear (N)", "energy lost (J)", "ends", "stable")


def _row(name: str, r: Response) -> list[Any]:
    """Of a record, in the columns `HEADS`."""
    peaks = _peaks(r)
    ratio, roof = max(row["drift_ratio"] for row in peaks), peaks[-1]["displacement"]
    return [name, float(r.motion.peak), roof, ratio, r.base_shear, float(r.ledger.damping[-1]), r.result.reason, r.stable]


def picture(response: Response) -> Any:
    """Displacements above, energies below.

    Parameters
    ----------
    response : Response

    Returns
    -------
    matplotlib.figure.Figure
        Raises ImportError without matplotlib.

    Examples
    --------
    >>> from mflow.cli.building import half_sine, load_building, respond
    >>> from mflow.cli.simulate import picture
    >>> len(picture(respond(load_building(), half_sine(0.3, 0.5))).axes)
    2
    """
    figure = new_figure((10, 7.6))
    upper, lower = figure.subplots(2, 1, sharex=True)
    names = [f"storey {name}" if name.isdigit() else name for name in response.building.storeys]
    displacements(response.result, ax=upper, labels=names, unit="m")
    energy(response.result, ax=lower, unit="J")
    upper.set_xlabel("")
    lower.set_xlabel("t (s)")
    upper.set_title(
        f"{response.building.name}: {response.motion.name}, {response.method.name}, dt = {response.dt:.4g} s", loc="left", fontsize="medium"
    )
    return figure


# ---- the command -----------------------------------------------------------------------------------------------------------------------

DESCRIPTION = (
    "A shear building on shaking ground: peaks of each storey, the energy ledger, and a picture of displacement and energy. "
    "Without --record the ground moves by half a sine wave."
)


def _parameter(text: str) -> tuple[str, Any]:
    name, mark, value = text.partition("=")
    if not mark or not name.isidentifier():
        raise argparse.ArgumentTypeError(f"expected NAME=VALUE, as in beta=0.25, got {text!r}")
    try:
        return name, float(value)
    except ValueError:
        return name, value


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `mflow simulate`."""
    add = parser.add_argument
    add("--record", metavar="FILE",
        help="ground acceleration: PEER's AT2, or lines of time and acceleration; a folder: all of them, a row each")  # fmt: skip
    add_record_options(add)
    add("--pulse", nargs=2, type=positive, default=PULSE, metavar=("PEAK", "SECONDS"),
        help="without a record: peak in g, and how long half a wave lasts (default: 0.3 0.5)")  # fmt: skip
    add("--model", metavar="FILE", help="a building of your own: CSV with the columns mass (kg), stiffness (N/m), height (m), name")
    add_names(parser, "--method", family="second_order", default="newmark", help="any method of second order (default: %(default)s)")
    add_words(add, "--set", words=lambda given: [f"{name}=" for name in get_method(given.method).parameters],
        action="append", default=[], type=_parameter, metavar="NAME=VALUE", help="a parameter of the method; may be repeated")  # fmt: skip
    add("--dt", type=positive, metavar="SECONDS", help="step (default: the shorter of the record's and a hundredth of the longest period)")
    add("--damping", type=finite(0.0), default=0.05, metavar="RATIO", help="of every mode (default: %(default)s)")
    add("--time", type=positive, metavar="SECONDS", help="how long (default: the record and six periods)")
    add("--csv", metavar="FILE", help="write the motion as a table, a row a time; of a folder, a row a record; - for standard output")
    add("--out", default="simulate.png", metavar="FILE", help="the picture: .png, .svg or .pdf (default: %(default)s)")
    add("--no-plot", action="store_true", help="draw no picture")


def check_arguments(arguments: argparse.Namespace) -> None:
    """Raise ValueError, with a text for the user, for a mistake in the arguments."""
    for option in ("unit", "record_dt", "column", "channel"):
        if getattr(arguments, option) is not None and arguments.record is None:
            raise ValueError(f"--{option.replace('_', '-')} belongs to --record FILE")
    known = [name for m in methods(family="second_order") for name in (m.name, *m.aliases)]
    if arguments.method not in known:
        raise ValueError(f"--method {arguments.method}: there are {', '.join(m.name for m in methods(family='second_order'))}")
    try:
        as_method(arguments.method, dict(arguments.set))
    except (TypeError, ValueError) as error:
        raise ValueError(f"--set: {error}") from None
    check_picture(arguments.out, arguments.no_plot)
    for option in ("record", "model"):
        path = getattr(arguments, option)
        if path is not None and not Path(path).is_file() and not (option == "record" and Path(path).is_dir()):
            found = "there is no such file" if not Path(path).exists() else "expected a file, got a folder or a device"
            raise ValueError(f"--{option} {path}: {found}")
    if arguments.record is None or Path(arguments.record).is_file():
        _inputs(arguments)
    else:
        records_in(arguments.record)


def draws(arguments: argparse.Namespace) -> bool:
    """Of one record, not of a folder."""
    return arguments.record is None or not Path(arguments.record).is_dir()


def _inputs(arguments: argparse.Namespace) -> tuple[Building, GroundMotion]:
    """Building and ground motion. Raises ValueError where a file does not hold what it should."""
    building = load_building() if arguments.model is None else _read("--model", arguments.model, read_building, arguments.model)
    if arguments.record is None:
        return building, half_sine(*arguments.pulse)
    return building, record_of(arguments, arguments.record)


def _read(option: str, path: str, reader: Any, *given: Any) -> Any:
    """What a file holds. Raises ValueError, with the option and the file, where it cannot be read, or holds something else."""
    try:
        return reader(*given)
    except UnicodeError:
        raise ValueError(f"{option} {path}: expected a text file in UTF-8, got other bytes") from None
    except (OSError, csv.Error, ArithmeticError, MemoryError) as error:
        raise ValueError(f"{option} {path}: {error}") from None


def rows_of(responses: list[tuple[str, Response | str]]) -> str:
    """A row for each record: its name and peak, and the largest answers of the building; or why it could not be read."""
    width = max(len(name) for name, _ in responses)
    lines = [f"{'record':<{width}}    peak  roof displacement  drift/height  base shear  energy lost  ends"]
    lines.append(f"{'':<{width}}       g                 mm             %          kN           kJ")
    for name, r in responses:
        if isinstance(r, str):
            lines.append(f"{name:<{width}}  ! {r}")
            continue
        _, peak, roof, ratio, shear, lost, ends, stable = _row(name, r)
        drift = f"{100 * ratio:12.3f}" if math.isfinite(ratio) else f"{'-':>12}"
        lines.append(
            f"{name:<{width}}  {peak / GRAVITY:6.4f}  {1e3 * roof:17.2f}  {drift}  {shear / 1e3:10.4g}  {lost / 1e3:11.4g}  "
            + (ends if stable else f"{ends}, past the stability limit")
        )
    return "\n".join(lines)


def _all_of(arguments: argparse.Namespace) -> int:
    """Run every record of a folder; those that cannot be read are named."""
    building = load_building() if arguments.model is None else _read("--model", arguments.model, read_building, arguments.model)
    method = as_method(arguments.method, dict(arguments.set))

    def response_to(record: GroundMotion) -> Response:
        response = respond(building, record, method, dt=arguments.dt, zeta=arguments.damping, time=arguments.time)
        for note in response.warnings:
            tell(note)
        return response

    responses = each_record(arguments, response_to)
    found = [r for _, r in responses if not isinstance(r, str)]
    print(rows_of(responses))
    arguments.write_json(lambda: [contents(r) for r in found])
    arguments.write_csv(HEADS, lambda: [_row(name, r) for name, r in responses if not isinstance(r, str)])
    return 0 if len(found) == len(responses) and all(r.trusted for r in found) else 1


def command(arguments: argparse.Namespace) -> int:
    """Run `mflow simulate`; the exit code."""
    if arguments.record is not None and Path(arguments.record).is_dir():
        return _all_of(arguments)
    building, motion = _inputs(arguments)
    method = as_method(arguments.method, dict(arguments.set))
    response = respond(building, motion, method, dt=arguments.dt, zeta=arguments.damping, time=arguments.time)
    print(table(response))
    if arguments.quiet:  # which holds the table back
        for note in response.warnings:
            print_warning(note)
    arguments.write_json(lambda: contents(response))
    arguments.write_csv(_heads_of(response), lambda: _motion(response))
    if not arguments.no_plot:
        save_picture(picture(response), arguments.out)
        print(f"Picture of displacement and energy: {arguments.out}")
    return 0 if response.trusted else 1
