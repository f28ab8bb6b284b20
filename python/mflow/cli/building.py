"""A shear building on shaking ground: its model, the ground acceleration, and its response.

One degree of freedom a storey, x its displacement against the ground: M x'' + C x' + K x = -M 1 a_ground(t). K has a spring between
neighbouring floors; C gives every mode the same damping ratio. The energies are those of the motion against the ground.
"""

from __future__ import annotations

import csv
import math
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from mflow.base.checks import Array, check_number
from mflow.base.methods import Method, as_method
from mflow.base.result import DynamicsResult, EnergyResult
from mflow.base.telling import heard
from mflow.data.ground_motion import GRAVITY, GroundMotion
from mflow.dynamics.solve import solve_dynamics
from mflow.stability.structural import structure_modes
from mflow.vibration.spectrum import tell_of_percent

__all__ = ["PULSE", "Building", "Response", "half_sine", "load_building", "read_building", "respond"]

KIP = 4448.2216152605  # N: 1000 pounds of 0.45359237 kg times the standard gravity
INCH, FOOT = 0.0254, 0.3048  # m
PULSE = (0.3, 0.5)  # g, s
NUMBERS = ("mass", "stiffness", "height")  # columns of a model
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
    storeys : tuple of str
        Their names: numbers from 1 where the model has none.
    """

    name: str
    source: str
    mass: Array
    stiffness: Array
    height: Array
    storeys: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "storeys", self.storeys or tuple(map(str, range(1, len(self.mass) + 1))))

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
    >>> from mflow.cli.building import load_building
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
    """Read a building of your own: a CSV file with the columns mass (kg), stiffness (N/m) and, optionally, height (m) and name.

    Parameters
    ----------
    path : str or path
        One line a storey, from the ground up, below a line with the names of the columns.

    Raises
    ------
    OSError
        The file cannot be read.
    ValueError
        The file is no such table; the text names the line.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from mflow.cli.building import read_building
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "tower.csv")
    ...     _ = path.write_text("mass,stiffness\\n2e4,3e7\\n1e4,2e7\\n")
    ...     building = read_building(path)
    >>> building.stiffness.tolist()
    [30000000.0, 20000000.0]
    """
    file = Path(path)
    rows = csv.reader(line for line in file.read_text(encoding="utf-8-sig").splitlines() if line.strip() and not line.startswith("#"))
    names = [name.strip().lower() for name in next(rows, [])]
    if not {"mass", "stiffness"} <= set(names) <= {*NUMBERS, "name"} or len(set(names)) < len(names):
        others = [name for name in names if name not in (*NUMBERS, "name")]
        extra = f"; write them without units, and remove what is none of them: {', '.join(map(repr, others))}" if others else ""
        raise ValueError(
            f"{file}: expected a first line with the columns mass (kg), stiffness (N/m) and, if known, height (m) and name, once each, got "
            f"{', '.join(map(repr, names)) or 'nothing'}{extra}"
        )
    columns: dict[str, list[float]] = {name: [] for name in names if name in NUMBERS}
    storeys: list[str] = []
    for number, row in enumerate(rows, 2):
        if len(row) != len(names):
            raise ValueError(f"{file}, row {number}: {len(row)} entries for the {len(names)} columns {', '.join(names)}")
        for name, text in zip(names, row, strict=True):
            if name == "name":
                storeys.append(_name_of(text, storeys, f"{file}, row {number}"))
                continue
            try:
                value = float(text)
            except ValueError:
                value = math.nan
            if not 0.0 < value < math.inf:
                raise ValueError(f"{file}, row {number}: {name}: expected a finite number above 0, got {text.strip()!r}")
            columns[name].append(value)
    n = len(columns["mass"])
    if n == 0:
        raise ValueError(f"{file}: expected a line for each storey, got none")
    height = columns.get("height", [math.nan] * n)
    return Building(file.name, str(file), np.array(columns["mass"]), np.array(columns["stiffness"]), np.array(height), tuple(storeys))


def _name_of(text: str, others: list[str], where: str) -> str:
    """Of a storey. Raises ValueError where it is empty, or that of another one."""
    name = text.strip()
    if not name.isprintable() or not name or name in others:
        raise ValueError(f"{where}: name: expected a name of its own for each storey, got {name!r}")
    return name


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
    >>> from mflow.cli.building import half_sine
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
        The arguments of `respond`.
    result : DynamicsResult
        t, x, v, a against the ground, energy.
    ground : ndarray (m,)
        Its acceleration at the times of the result, m/s^2.
    warnings : list of str
        Warnings of the run, as that dt exceeds a stability limit.
    stable : bool
        Whether dt is within that limit.
    """

    building: Building
    motion: GroundMotion
    method: Method
    dt: float
    zeta: float
    result: DynamicsResult
    ground: Array
    warnings: list[str]
    stable: bool

    @property
    def trusted(self) -> bool:
        """Whether the run reached its end, with steps inside the stability limit."""
        return bool(self.result.success) and self.stable

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
    def ledger(self) -> EnergyResult:
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
    >>> from mflow.cli.building import half_sine, load_building, respond
    >>> response = respond(load_building(), half_sine(0.3, 0.5), dt=0.01)
    >>> bool(abs(response.result.energy.residual[-1]) < 1e-9 * response.result.energy.load[-1])
    True

    References
    ----------
    A. Chopra, Dynamics of Structures, chapter 13.
    """
    zeta = check_number(zeta, "zeta", "a damping ratio of at least 0 (0.05: five per cent)", low=0.0)
    tell_of_percent("respond", zeta)
    method = as_method(method, parameters)
    period = 2.0 * math.pi / float(building.modes()[0][0])
    dt = min(motion.spacing, period / PER_PERIOD) if dt is None else dt
    time = float(motion.t[-1]) + AFTER * period if time is None else time
    matrices = building.mass, building.damping(zeta), building.matrix()
    stable = structure_modes(len(building.mass), *matrices).stable(method, dt)
    with heard() as words:
        result = solve_dynamics(
            *matrices, load=(motion.t, motion.a, -building.mass), after="zero",
            t_span=(0.0, time), method=method, dt=dt,
        )  # fmt: skip
    notes = [text.removeprefix("solve_dynamics: ") for text, _ in words]
    ground = np.interp(result.t, motion.t, motion.a, left=0.0, right=0.0)
    return Response(building, motion, method, dt, zeta, result, ground, notes, stable)
