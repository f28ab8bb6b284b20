"""`mflow simulate`: a shear building on shaking ground, from the shell or from Python.

    found = respond(load_building(), half_sine(0.3, 0.5), "newmark", dt=0.01)
    print(table(found))

One degree of freedom a storey, x its displacement against the ground: M x'' + C x' + K x = -M 1 a_ground(t). K has a spring between
neighbouring floors; C gives every mode the same damping ratio. The energies are those of the motion against the ground.
"""

from __future__ import annotations

import argparse
import csv
import importlib.util
import json
import math
import sys
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from mflow.base.checks import Array
from mflow.base.methods import Method, as_method, methods
from mflow.base.result import COLUMNS, DynamicsResult, Result
from mflow.data.ground_motion import GRAVITY, UNITS, GroundMotion, read_record
from mflow.dynamics.solve import solve_dynamics
from mflow.plot.motion import displacements, energy

__all__ = ["Building", "Response", "half_sine", "load_building", "picture", "read_building", "respond", "table"]

KIP = 4448.2216152605  # N: 1000 pounds of 0.45359237 kg times the standard gravity
INCH, FOOT = 0.0254, 0.3048  # m
PULSE = (0.3, 0.5)  # g, s
AFTER = 6.0  # periods that are followed after the ground has come to rest
PER_PERIOD = 100  # steps of the longest period, where nothing is said


@dataclass(frozen=True, eq=False)
class Building:
    """Storeys from the ground up.

    Attributes
    ----------
    name, source : str
    mass : ndarray (n,)
        Of each floor, kg.
    stiffness : ndarray (n,)
        Of each storey against the floor below, N/m.
    height : ndarray (n,)
        m; NaN where it is not known.
    """

    name: str
    source: str
    mass: Array
    stiffness: Array
    height: Array

    def matrix(self) -> Array:
        """Stiffness matrix (n, n), N/m."""
        k = self.stiffness
        above = np.append(k[1:], 0.0)
        out: Array = np.diag(k + above) - np.diag(k[1:], 1) - np.diag(k[1:], -1)
        return out

    def modes(self) -> tuple[Array, Array]:
        """Frequencies (n,) in rad/s, smallest first, and shapes (n, n), a column each, with shape' M shape = 1."""
        root = np.sqrt(self.mass)
        values, vectors = np.linalg.eigh(self.matrix() / np.outer(root, root))
        return np.sqrt(values), vectors / root[:, None]

    def damping(self, ratio: float) -> Array:
        """The matrix (n, n) that gives every mode this damping ratio, N s/m."""
        omega, shapes = self.modes()
        columns = self.mass[:, None] * shapes
        out: Array = (columns * (2.0 * ratio * omega)) @ columns.T
        return out


def load_building() -> Building:
    """Chopra's uniform five-storey shear frame.

    Returns
    -------
    Building

    Examples
    --------
    >>> import numpy as np
    >>> from mflow.cli.simulate import load_building
    >>> omega, _ = load_building().modes()
    >>> np.round(2 * np.pi / omega, 2).tolist()
    [2.0, 0.69, 0.43, 0.34, 0.3]

    References
    ----------
    A. Chopra, Dynamics of Structures, Prentice Hall, sections 12.8 and 13.2.6. The file `datasets/SOURCES.md` says more.
    """
    text = (files("mflow.data") / "datasets" / "shear_building.csv").read_text(encoding="utf-8")
    rows = list(csv.DictReader(text.splitlines()))
    weight, stiffness, height = (
        np.array([float(row[name]) for row in rows]) for name in ("weight_kip", "stiffness_kip_per_in", "height_ft")
    )
    source = "A. Chopra, Dynamics of Structures, sections 12.8 and 13.2.6"
    return Building("uniform five-storey shear frame", source, weight * (KIP / GRAVITY), stiffness * (KIP / INCH), height * FOOT)


def read_building(path: str | Path) -> Building:
    """Read a building of your own: a CSV file with the columns mass (kg), stiffness (N/m) and, if wanted, height (m).

    Parameters
    ----------
    path : str or path
        One line a storey, from the ground up, below a line with the names of the columns.

    Raises
    ------
    OSError
        The file cannot be read.
    ValueError
        It is no such table; the text names the line.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from mflow.cli.simulate import read_building
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "tower.csv")
    ...     _ = path.write_text("mass,stiffness\\n2e4,3e7\\n1e4,2e7\\n")
    ...     building = read_building(path)
    >>> building.stiffness.tolist()
    [30000000.0, 20000000.0]
    """
    file = Path(path)
    rows = csv.reader(line for line in file.read_text(encoding="utf-8").splitlines() if line.strip() and not line.startswith("#"))
    names = [name.strip().lower() for name in next(rows, [])]
    if not {"mass", "stiffness"} <= set(names) <= {"mass", "stiffness", "height"}:
        raise ValueError(
            f"{file}: its first line must name the columns mass (kg), stiffness (N/m) and, if wanted, height (m), and no others; it holds "
            f"{', '.join(map(repr, names)) or 'nothing'}"
        )
    columns: dict[str, list[float]] = {name: [] for name in names}
    for number, row in enumerate(rows, 2):
        if len(row) != len(names):
            raise ValueError(f"{file}, row {number}: {len(row)} entries for the {len(names)} columns {', '.join(names)}")
        for name, text in zip(names, row, strict=True):
            try:
                value = float(text)
            except ValueError:
                value = math.nan
            if not 0.0 < value < math.inf:
                raise ValueError(f"{file}, row {number}: {name} = {text.strip()!r}; a finite number above 0 is wanted")
            columns[name].append(value)
    n = len(columns["mass"])
    if n == 0:
        raise ValueError(f"{file}: it names no storeys")
    height = columns.get("height", [math.nan] * n)
    return Building(file.name, str(file), np.array(columns["mass"]), np.array(columns["stiffness"]), np.array(height))


def half_sine(peak: float, duration: float) -> GroundMotion:
    """Half a wave of ground acceleration.

    Parameters
    ----------
    peak : float
        g, the standard gravity.
    duration : float
        s.

    Returns
    -------
    GroundMotion
        With 200 times.

    Examples
    --------
    >>> from mflow.cli.simulate import half_sine
    >>> round(half_sine(0.5, 1.0).peak, 3)
    4.903
    """
    t = np.linspace(0.0, duration, 201)
    return GroundMotion(f"half sine, {peak:g} g, {duration:g} s", t, peak * GRAVITY * np.sin(math.pi * t / duration))


@dataclass(frozen=True, eq=False)
class Response:
    """What a building did.

    Attributes
    ----------
    building, motion, method, dt, zeta
        What was asked for.
    result : DynamicsResult
        t, x, v, a against the ground, energy.
    ground : ndarray (m,)
        Its acceleration at the times of the result, m/s^2.
    warnings : list of str
        What was said on the way: that dt exceeds a stability limit.
    """

    building: Building
    motion: GroundMotion
    method: Method
    dt: float
    zeta: float
    result: DynamicsResult
    ground: Array
    warnings: list[str]

    @property
    def drift(self) -> Array:
        """Of each storey, (n, m): displacement against the floor below, m."""
        out: Array = np.diff(self.result.x, axis=0, prepend=np.zeros((1, self.result.t.size)))
        return out

    @property
    def total_acceleration(self) -> Array:
        """Of each floor, (n, m), m/s^2."""
        out: Array = self.result.a + self.ground
        return out

    @property
    def ledger(self) -> Result:
        """The energies of the result: a building's stiffness is symmetric, so they exist."""
        assert self.result.energy is not None
        return self.result.energy

    @property
    def base_shear(self) -> float:
        """The largest force in the lowest storey's columns, N."""
        return float(self.building.stiffness[0] * np.max(np.abs(self.drift[0])))


def respond(
    building: Building, motion: GroundMotion, method: str | Method = "newmark", *, dt: float | None = None, zeta: float = 0.05,
    time: float | None = None, **parameters: Any,
) -> Response:  # fmt: skip
    """Let the ground move under a building that is at rest.

    Parameters
    ----------
    building : Building
    motion : GroundMotion
        After its last time the ground is at rest.
    method : name or instance
        See ``mflow.methods(family="second_order")``.
    dt : float, optional
        The record's own step, or a hundredth of the longest period, whichever is shorter.
    zeta : float
        Damping ratio of every mode.
    time : float, optional
        How long; the record and six periods, where not given.
    **parameters
        The method's own.

    Returns
    -------
    Response

    Raises
    ------
    ValueError, TypeError
        As `mflow.solve_dynamics`; or zeta is below 0.

    Examples
    --------
    >>> from mflow.cli.simulate import half_sine, load_building, respond
    >>> found = respond(load_building(), half_sine(0.3, 0.5), dt=0.01)
    >>> bool(abs(found.result.energy.residual[-1]) < 1e-9 * found.result.energy.load[-1])
    True

    References
    ----------
    A. Chopra, Dynamics of Structures, chapter 13.
    """
    if not 0.0 <= zeta < math.inf:
        raise ValueError(f"zeta = {zeta!r}: a damping ratio from 0 on is wanted (0.05: five per cent)")
    chosen = as_method(method, parameters)
    period = 2.0 * math.pi / float(building.modes()[0][0])
    dt = min(motion.spacing, period / PER_PERIOD) if dt is None else dt
    time = float(motion.t[-1]) + AFTER * period if time is None else time
    at_rest = motion.t[-1] + min(1e-6, 1e-3 * motion.spacing)
    times, ground = np.append(motion.t, at_rest), np.append(motion.a, 0.0)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always", RuntimeWarning)
        result = solve_dynamics(
            building.mass, building.damping(zeta), building.matrix(), load=(times, ground, -building.mass), t_span=(0.0, time),
            method=chosen, dt=dt,
        )  # fmt: skip
    notes = [str(one.message).removeprefix("solve_dynamics: ") for one in said]
    return Response(building, motion, chosen, dt, zeta, result, np.interp(result.t, times, ground), notes)


# ---- what it shows ---------------------------------------------------------------------------------------------------------------------


def _peaks(found: Response) -> list[dict[str, float]]:
    """A row a storey."""
    x, drift, a = found.result.x, found.drift, found.total_acceleration
    return [
        {
            "storey": i + 1, "displacement": float(np.max(np.abs(x[i]))), "drift": float(np.max(np.abs(drift[i]))),
            "drift_ratio": float(np.max(np.abs(drift[i])) / found.building.height[i]), "acceleration": float(np.max(np.abs(a[i]))),
        }
        for i in range(len(x))
    ]  # fmt: skip


def table(found: Response) -> str:
    """Periods, peaks of each storey and the ledger, as text.

    Parameters
    ----------
    found : Response

    Examples
    --------
    >>> from mflow.cli.simulate import half_sine, load_building, respond, table
    >>> print(table(respond(load_building(), half_sine(0.3, 0.5))).splitlines()[0])
    uniform five-storey shear frame (A. Chopra, Dynamics of Structures, sections 12.8 and 13.2.6)
    """
    result, b = found.result, found.building
    values = ", ".join(f"{name} = {value}" for name, value in found.method.parameters.items())
    lines = [
        f"{b.name} ({b.source})" if b.source != b.name else b.name,
        f"ground: {found.motion.name}, peak {found.motion.peak / GRAVITY:.4g} g; {found.method.name}{f' ({values})' if values else ''}, "
        f"dt = {found.dt:.4g} s, {result.nsteps} steps to {result.t[-1]:.4g} s; damping ratio {found.zeta:g}",
        "periods (s): " + ", ".join(f"{2.0 * math.pi / w:.4f}" for w in b.modes()[0]),
        "",
        "storey  peak displacement  peak drift  drift/height  peak acceleration",
        "                       mm          mm             %                  g",
    ]
    for row in reversed(_peaks(found)):
        ratio = f"{100 * row['drift_ratio']:.3f}" if math.isfinite(row["drift_ratio"]) else "-"
        lengths = f"{1e3 * row['displacement']:17.2f}  {1e3 * row['drift']:10.2f}"
        lines.append(f"{row['storey']:>6}  {lengths}  {ratio:>12}  {row['acceleration'] / GRAVITY:17.4f}")
    lines += [f"base shear: {found.base_shear / 1e3:.4g} kN", ""]
    ledger = found.ledger
    lines.append("energy (kJ), against the ground:  " + "  ".join(f"{name:>10}" for name in COLUMNS))
    for label, k in (("at its peak", int(np.argmax(ledger.kinetic + ledger.potential))), ("at the end", -1)):
        numbers = [f"{ledger[name][k] / 1e3:10.3g}" if math.isfinite(ledger[name][k]) else f"{'-':>10}" for name in COLUMNS]
        lines.append(f"{f'{label} (t = {result.t[k]:.4g} s)':<34}" + "  ".join(numbers))
    if not np.all(np.isfinite(ledger.numerical)):
        lines.append(f"({found.method.name} has no formula for what it dissipates: that stands in the residual)")
    lines += [f"! {note}" for note in found.warnings]
    if not result.success:
        lines.append(f"! {result.reason}: {result.message}")
    return "\n".join(lines)


def record_of(found: Response) -> dict[str, Any]:
    """What `--json` writes: numbers in SI units."""
    result, b = found.result, found.building
    return {
        "building": {"name": b.name, "source": b.source} | {part: getattr(b, part).tolist() for part in ("mass", "stiffness", "height")},
        "ground": {"name": found.motion.name, "peak": found.motion.peak, "duration": float(found.motion.t[-1])},
        "method": found.method.name, "parameters": dict(found.method.parameters), "dt": found.dt, "damping_ratio": found.zeta,
        "periods": (2.0 * math.pi / b.modes()[0]).tolist(), "peaks": _peaks(found), "base_shear": found.base_shear,
        "success": bool(result.success), "reason": result.reason, "message": result.message, "warnings": found.warnings,
        "t": result.t.tolist(), "x": result.x.tolist(), "acceleration": found.total_acceleration.tolist(),
        "energy": {name: found.ledger[name].tolist() for name in COLUMNS},
    }  # fmt: skip


def picture(found: Response) -> Any:
    """Displacements above, energies below.

    Parameters
    ----------
    found : Response

    Returns
    -------
    matplotlib.figure.Figure
        Raises ImportError without matplotlib.

    Examples
    --------
    >>> from mflow.cli.simulate import half_sine, load_building, picture, respond
    >>> len(picture(respond(load_building(), half_sine(0.3, 0.5))).axes)
    2
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 7.6), layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True)
    names = [f"storey {i + 1}" for i in range(len(found.building.mass))]
    displacements(found.result, ax=upper, labels=names, unit="m")
    energy(found.result, ax=lower, unit="J")
    upper.set_xlabel("")
    lower.set_xlabel("t (s)")
    upper.set_title(
        f"{found.building.name}: {found.motion.name}, {found.method.name}, dt = {found.dt:.4g} s", loc="left", fontsize="medium"
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
        raise argparse.ArgumentTypeError(f"NAME=VALUE is wanted, as in beta=0.25, not {text!r}")
    try:
        return name, float(value)
    except ValueError:
        return name, value


def _number(least: float, above: bool) -> Callable[[str], float]:
    def convert(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not (least < value if above else least <= value) or not value < math.inf:
            raise argparse.ArgumentTypeError(
                f"a finite number {'above' if above else 'from'} {least:g}{'' if above else ' on'} is wanted, not {text!r}"
            )
        return value

    return convert


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `mflow simulate`."""
    add, positive = parser.add_argument, _number(0.0, True)
    add("--record", metavar="FILE", help="ground acceleration: PEER's AT2, or lines of time and acceleration")
    add("--unit", choices=list(UNITS), help="of a record that does not say")
    add("--scale", type=_number(0.0, True), default=1.0, metavar="FACTOR", help="for the record's acceleration (default: %(default)s)")
    add("--pulse", nargs=2, type=positive, default=PULSE, metavar=("PEAK", "SECONDS"),
        help="without a record: peak in g, and how long half a wave lasts (default: 0.3 0.5)")  # fmt: skip
    add("--model", metavar="FILE", help="a building of your own: CSV with the columns mass (kg), stiffness (N/m) and height (m)")
    add("--method", default="newmark", metavar="NAME", help="any method of second order (default: %(default)s)")
    add("--set", action="append", default=[], type=_parameter, metavar="NAME=VALUE", help="a parameter of the method; may be repeated")
    add("--dt", type=positive, metavar="SECONDS", help="step (default: the record's, or a hundredth of the longest period)")
    add("--damping", type=_number(0.0, False), default=0.05, metavar="RATIO", help="of every mode (default: %(default)s)")
    add("--time", type=positive, metavar="SECONDS", help="how long (default: the record and six periods)")
    add("--out", default="simulate.png", metavar="FILE", help="the picture: .png, .svg or .pdf (default: %(default)s)")
    add("--no-plot", action="store_true", help="draw no picture")
    add("--json", metavar="FILE", help="write everything as JSON; - for standard output (the table then goes to stderr)")


def check_arguments(arguments: argparse.Namespace) -> None:
    """Raise ValueError, with a text for the user, for what can be seen to be wrong before any work is done."""
    if not arguments.no_plot and importlib.util.find_spec("matplotlib") is None:
        raise ValueError("matplotlib is not installed, and the picture needs it: pip install 'momentum-flow[plot]', or --no-plot")
    if arguments.unit is not None and arguments.record is None:
        raise ValueError("--unit belongs to --record FILE")
    known = [name for m in methods(family="second_order") for name in (m.name, *m.aliases)]
    if arguments.method not in known:
        raise ValueError(f"--method {arguments.method}: there are {', '.join(m.name for m in methods(family='second_order'))}")
    try:
        as_method(arguments.method, dict(arguments.set))
    except (TypeError, ValueError) as error:
        raise ValueError(f"--set: {error}") from None
    if not arguments.no_plot and Path(arguments.out).suffix.lower() not in (".png", ".svg", ".pdf"):
        raise ValueError(f"--out {arguments.out}: the name must end in .png, .svg, .pdf")
    targets: Mapping[str, str | None] = {"--out": None if arguments.no_plot else arguments.out, "--json": arguments.json}
    for option, target in targets.items():
        if target not in (None, "-") and not Path(str(target)).absolute().parent.is_dir():
            raise ValueError(f"{option} {target}: there is no folder {Path(str(target)).parent}")
    for option in ("record", "model"):
        path = getattr(arguments, option)
        if path is not None and not Path(path).is_file():
            raise ValueError(f"--{option} {path}: there is no such file")
    _inputs(arguments)


def _inputs(arguments: argparse.Namespace) -> tuple[Building, GroundMotion]:
    """ValueError where a file does not hold what it should."""
    try:
        building = load_building() if arguments.model is None else read_building(arguments.model)
        if arguments.record is None:
            return building, half_sine(*arguments.pulse)
        return building, read_record(arguments.record, arguments.unit, arguments.scale)
    except OSError as error:
        raise ValueError(str(error)) from None


def command(arguments: argparse.Namespace) -> int:
    """Run `mflow simulate`; the exit code."""
    building, motion = _inputs(arguments)
    method = as_method(arguments.method, dict(arguments.set))
    found = respond(building, motion, method, dt=arguments.dt, zeta=arguments.damping, time=arguments.time)
    print(table(found), file=sys.stderr if arguments.json == "-" else sys.stdout)
    if arguments.json is not None:
        text = json.dumps(_plain(record_of(found)), allow_nan=False)
        if arguments.json == "-":
            print(text)
        else:
            Path(arguments.json).write_text(text + "\n", encoding="utf-8")
    if not arguments.no_plot:
        picture(found).savefig(arguments.out, dpi=110)
        print(f"Picture of displacement and energy: {arguments.out}", file=sys.stderr if arguments.json == "-" else sys.stdout)
    return 0 if found.result.success else 1


def _plain(value: Any) -> Any:
    """Numbers that JSON has no word for become null."""
    if isinstance(value, dict):
        return {name: _plain(part) for name, part in value.items()}
    if isinstance(value, list):
        return [_plain(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
