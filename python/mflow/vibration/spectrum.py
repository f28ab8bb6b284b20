"""Response spectra: the peaks of oscillators of many periods, shaken by one record."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from mflow_core.dynamics import spectrum as core

from mflow.base.checks import Array, as_array, check_choice, check_number, real_array
from mflow.base.methods import as_method
from mflow.base.pace import interruptible
from mflow.base.tables import Readable, Table, frame, shortened
from mflow.base.telling import knows_other_words, tell
from mflow.data.ground_motion import GroundMotion
from mflow.dynamics.solve import solve_dynamics

__all__ = ["ResponseSpectrum", "response_spectrum"]

EVEN = 1e-6  # of the sampling interval: how far one may be off the others
SHORT = 0.5  # to which a step is halved before the exponential's series is summed
TERMS = 16
LONG = 20_000  # parts of a record, whose blocks of oscillators go through it one by one from there on
PART = 0.02  # of a radian: parts of an interval in which extrema are those of cubics, to about 1e-9
CLOSE = 1e-9  # of the peaks: how far cubics may be from the curve
FINEST = 100  # parts; where nothing moves no number would do


@knows_other_words
@dataclass(frozen=True, eq=False)
class ResponseSpectrum(Readable):
    """Peaks of oscillators under a record, one for each period. ``print`` shows them as a table, a notebook too.

    Attributes
    ----------
    periods : ndarray (n,)
        Natural periods, s.
    damping : float
        Damping ratio.
    sd, sv, sa : ndarray (n,)
        Largest displacement and velocity against the ground, and largest absolute acceleration, of ground and oscillator together.
    psv, psa : ndarray (n,)
        Pseudo-velocity omega sd and pseudo-acceleration omega^2 sd.
    peak : float
        The record's own largest acceleration.
    name, method, peaks : str
    unit : str
        Of length: "m" for a record of `mflow.data`, whose accelerations are in m/s^2; "" for samples, whose unit only you know.
    units : dict
        Of each column: sd in m, sv and psv in m/s, sa and psa in m/s^2; "" where unit is. A DataFrame has it as ``attrs["units"]``.

    See Also
    --------
    mflow.response_spectrum, mflow.modes, mflow.plot.spectrum

    Examples
    --------
    >>> import numpy as np, mflow
    >>> t = np.linspace(0.0, 2.0, 201)
    >>> s = mflow.response_spectrum((0.01, np.sin(6 * t)), periods=[0.5, 1.0], damping=0.05)
    >>> s.periods.tolist(), s.sd.shape
    ([0.5, 1.0], (2,))
    """

    periods: Array
    damping: float
    sd: Array
    sv: Array
    sa: Array
    peak: float
    name: str
    method: str
    peaks: str
    unit: str = ""

    @property
    def units(self) -> dict[str, str]:
        """The unit of each column."""
        length = self.unit
        of = {"sd": length, "sv": f"{length}/s", "sa": f"{length}/s^2", "psv": f"{length}/s", "psa": f"{length}/s^2"}
        return {"period": "s"} | {name: unit if length else "" for name, unit in of.items()}

    @property
    def psv(self) -> Array:
        """omega sd."""
        return self._omega() * self.sd

    @property
    def psa(self) -> Array:
        """omega^2 sd; the record's peak for a rigid oscillator (period 0)."""
        out: Array = np.where(self.periods == 0.0, self.peak, self._omega() ** 2 * self.sd)
        return out

    def to_frame(self) -> Any:
        """A pandas DataFrame with a row a period, and ``attrs["units"]``. ImportError without pandas."""
        out = frame(self._columns())
        out.attrs["units"] = self.units
        return out

    def _columns(self) -> dict[str, Any]:
        return {"period": self.periods, "sd": self.sd, "sv": self.sv, "sa": self.sa, "psv": self.psv, "psa": self.psa}

    def _parts(self) -> list[str | Table]:
        rows = [[f"{number:.5g}" for number in row] for row in zip(*self._columns().values(), strict=True)]
        said = f"{self.name}: damping {100.0 * self.damping:.4g} %, peak of the record {self.peak:.5g}"
        said += f"; method: {self.method}, peaks: {self.peaks}, up to the record's end"
        return [said, Table([f"{name} {unit}".rstrip() for name, unit in self.units.items()], shortened(rows))]

    def _omega(self) -> Array:
        out: Array = np.where(self.periods == 0.0, 0.0, 2.0 * math.pi / np.where(self.periods == 0.0, 1.0, self.periods))
        return out


@knows_other_words
def response_spectrum(
    record: GroundMotion | tuple[float, Any], periods: Any, damping: float = 0.05, method: Any = "exact", *, peaks: str = "samples"
) -> ResponseSpectrum:
    """Response spectrum of a record of ground acceleration.

    Each oscillator, x'' + 2 zeta omega x' + omega^2 x = -a(t) from rest, goes through the record, whose acceleration is linear between its
    samples; its vibration after the end is not looked at (append zeros for that).

    Parameters
    ----------
    record : GroundMotion, (dt, acceleration) or (t, acceleration)
        What `mflow.data.read_record` returns, or samples with their interval or their times, evenly spaced.
    periods : array_like (n,)
        Natural periods in s; 0 stands for a rigid oscillator. Below twice the sampling interval a RuntimeWarning says that the record has
        nothing to tell there.
    damping : float
        Damping ratio, 0 or more: 0.05 is 5 %.
    method : "exact", or a name or an instance of a method of `mflow.solve_dynamics`
        "exact": the recursion that is exact for the record. A method takes steps of the sampling interval, for comparison.
    peaks : "samples" or "continuous"
        Whether peaks are looked for at the samples alone, or between them too ("exact" only), to about 1e-9 of them.

    Returns
    -------
    ResponseSpectrum
        ``periods``, ``sd``, ``sv``, ``sa``, ``psv``, ``psa``, in the record's units: of a `GroundMotion` sd in m, sv and psv in m/s, sa
        and psa in m/s^2; of samples in g, say, psa in g and sd in g s^2. ``units`` says them where they are known.

    Raises
    ------
    TypeError, ValueError
        An argument does not fit; the record is not evenly sampled.

    See Also
    --------
    mflow.plot.spectrum : its picture.
    mflow.data.read_record : records from files.

    References
    ----------
    N. Nigam and P. Jennings, Bull. Seismol. Soc. Am. 59 (1969) 909-922.

    Examples
    --------
    >>> import mflow, numpy as np
    >>> pulse = 0.01, np.sin(np.pi * np.linspace(0, 1, 51)) ** 2
    >>> s = mflow.response_spectrum(pulse, [0.0, 0.5, 2.0], damping=0.05)
    >>> s.psa.round(3).tolist()
    [1.0, 1.589, 0.511]
    """
    check_choice(peaks, "peaks", ("samples", "continuous"))
    step, samples, name = _samples(record)
    given = np.atleast_1d(real_array(periods, "periods"))
    if given.ndim != 1 or not given.size or not np.all(np.isfinite(given)) or np.any(given < 0.0):
        raise ValueError(f"periods: expected one or more finite numbers from 0 on, in s, got {periods!r}")
    if (many := as_array(damping, "damping")).ndim > 0:
        raise ValueError(f"damping: expected one ratio, got {many.size} of them; call it once for each")
    zeta = check_number(damping, "damping", low=0.0)
    tell_of_percent("response_spectrum", zeta)
    least = 2.0 * step
    short = given[(given > 0.0) & (given < least)]
    if short.size:
        tell(
            f"response_spectrum: {short.size} of {given.size} periods are below {least:g} s, twice the sampling interval of {name}, such "
            f"as {short.min():g} s: the record does not hold what would shake them"
        )
    peak, moves = float(np.max(np.abs(samples))), given > 0.0
    three = np.zeros((3, given.size))
    three[2] = peak
    exact = isinstance(method, str) and method == "exact"
    if not exact and peaks == "continuous":
        raise ValueError('peaks: "continuous" goes with method="exact"; with a method of steps give "samples"')
    if np.any(moves):
        omega = 2.0 * math.pi / given[moves]
        three[:, moves] = _exact(samples, step, omega, zeta, peaks) if exact else _stepped(samples, step, omega, zeta, method)
    label = "exact" if exact else as_method(method, {}).name
    unit = "m" if isinstance(record, GroundMotion) else ""
    return ResponseSpectrum(given, zeta, three[0], three[1], three[2], peak, name, label, peaks, unit)


def tell_of_percent(driver: str, zeta: float) -> None:
    """Warns of a damping ratio above 1, which may be meant in per cent."""
    if zeta > 1.0:
        tell(f"{driver}: damping = {zeta:g} is {100.0 * zeta:g} % of the critical one; for {zeta:g} % give {zeta / 100.0:g}")


def _samples(record: Any) -> tuple[float, Array, str]:
    """The sampling interval, accelerations and a name."""
    if isinstance(record, GroundMotion):
        step, given, name = _interval(record.t, record.name), record.a, record.name
    elif isinstance(record, tuple) and len(record) == 2:
        first, given, name = record[0], record[1], "the record"
        if np.ndim(first) == 0:
            step = check_number(first, "record[0], its sampling interval", low=0.0)
        else:
            times = real_array(first, "record[0], its times")
            if times.ndim != 1 or times.shape != np.shape(given) or times.size < 2:
                raise ValueError(
                    f"record: expected (t, acceleration) with two or more times and as many samples, got shapes {times.shape} and "
                    f"{np.shape(given)}"
                )
            gaps = np.diff(times)
            if not (rises := (gaps > 0.0) & np.isfinite(gaps)).all():
                k = int(np.argmin(rises))
                raise ValueError(f"record[0]: expected finite times that increase, got t[{k + 1}] = {times[k + 1]:g} after {times[k]:g}")
            step = _interval(times, name)
    else:
        kind = type(record).__name__
        raise TypeError(f"record: expected what read_record returns, (dt, acceleration) or (t, acceleration), got {kind}")
    samples = np.ascontiguousarray(real_array(given, "record"), dtype=np.float64)
    if not step > 0.0 or samples.ndim != 1 or samples.size < 2 or not np.all(np.isfinite(samples)):
        raise ValueError(
            f"record: expected a sampling interval above 0 and two or more finite samples, got {step:g} s and shape {samples.shape}"
        )
    return step, samples, name


def _interval(t: Array, name: str) -> float:
    """Between samples. Raises ValueError where they are not even."""
    gaps = np.diff(t)
    step = float((t[-1] - t[0]) / max(len(gaps), 1))
    if gaps.size and float(np.max(np.abs(gaps - step))) > EVEN * step:
        raise ValueError(
            f"record: expected samples at equal intervals, got {name} with intervals from {gaps.min():g} to {gaps.max():g} s: "
            "interpolate it first, numpy.interp(np.arange(0, t[-1], dt), t, a)"
        )
    return step


def recursion(step: float | Array, omega: Array, zeta: float | Array) -> Array:
    """(n, 8): e_xx, e_xu, e_ux, e_uu, b_x, c_x, b_u, c_u of `mflow_core.dynamics.spectra`, whose state is (x, step x').

    From the exponential less 1 of the equations with p and its change as two states more, by its series at a step that is halved until
    it is short, and then doubled: 2 E + E^2 loses no digit of a small E.
    """
    N = np.zeros((omega.size, 4, 4))
    N[:, 0, 1] = N[:, 1, 2] = N[:, 2, 3] = 1.0
    N[:, 1, 0], N[:, 1, 1] = -((omega * step) ** 2), -2.0 * zeta * omega * step
    size = np.maximum(np.abs(N[:, 1, 0]), np.abs(N[:, 1, 1]))
    halvings = np.maximum(np.ceil(np.log2(np.maximum(size, 1e-300) / SHORT)), 1.0).astype(int)
    N *= (0.5**halvings)[:, None, None]
    E = N / TERMS
    for k in range(TERMS - 1, 0, -1):
        E = (N + N @ E) / k
    for count in range(int(halvings.max())):
        E = np.where((count < halvings)[:, None, None], 2.0 * E + E @ E, E)
    h2 = np.asarray(step) ** 2
    return np.stack([E[:, 0, 0], E[:, 0, 1], E[:, 1, 0], E[:, 1, 1], *(h2 * E[:, i, j] for i in (0, 1) for j in (2, 3))], axis=1)


def _exact(samples: Array, step: float, omega: Array, zeta: float, peaks: str) -> Array:
    """(3, n): sd, sv, sa, in blocks of oscillators whose intervals are cut alike, the fastest first."""
    order = np.argsort(-omega, kind="stable")
    w, whole = omega[order], np.ones(-(-omega.size // core.BLOCK), dtype=np.int32)
    out = np.empty((3, omega.size))
    if peaks == "samples":
        out[:, order] = _of_parts(samples, step, w, zeta, whole, False)
    else:
        parts = np.maximum(np.ceil(w[:: core.BLOCK] * (step / PART)), 1).astype(np.int32)
        at_ends = _of_parts(samples, step, w, zeta, whole, False)
        finer = np.ceil(np.maximum.reduceat(_cuts(samples, step, w, zeta, at_ends), np.arange(0, w.size, core.BLOCK)))
        out[:, order] = _of_parts(samples, step, w, zeta, np.maximum(parts, np.minimum(finer, FINEST).astype(np.int32)), True)
    return out


def _cuts(samples: Array, step: float, w: Array, zeta: float, found: Array) -> Array:
    """(n,): parts of an interval in which no cubic is further than CLOSE of its peak from the curve: h^4/384 of its fourth derivative."""
    sd, sv, sa = found
    c, k = 2.0 * zeta * w, w * w
    jerk = np.abs(np.diff(samples)).max() / step + k * sv + c * (np.abs(samples).max() + sa)
    fourth = c * jerk + k * (np.abs(samples).max() + sa)  # of x; that of v is c fourth + k jerk
    fifth = c * fourth + k * jerk
    with np.errstate(divide="ignore", invalid="ignore"):
        errors = [fourth / sd, fifth / sv, (k * fourth + c * fifth) / sa]
    return np.asarray(np.nanmax([step * (error / (384.0 * CLOSE)) ** 0.25 for error in errors], axis=0, initial=1.0))


def _of_parts(samples: Array, step: float, w: Array, zeta: float, parts: Any, between: bool) -> Array:
    """(3, n): the peaks of sorted oscillators, the intervals of each block cut into so many parts."""
    count, blocks = w.size, parts.size
    h = np.repeat(step / parts, core.BLOCK)[:count]
    rows = np.zeros((11, blocks * core.BLOCK))
    rows[:, :count] = [*recursion(h, w, zeta).T, w * w, 2.0 * zeta * w / h, h * h]
    if between:
        rows[8:10, :count] *= h * h
    coefficients = np.ascontiguousarray(rows.reshape(11, blocks, core.BLOCK).transpose(1, 0, 2))
    x, u, z = _peaks(-samples, parts, coefficients, between).transpose(1, 0, 2).reshape(3, -1)[:, :count]
    return np.stack([x, u / h, z / (h * h) if between else z])


def _peaks(record: Array, parts: Any, coefficients: Array, between: bool) -> Array:
    """Of all blocks; those of a long record one by one, so that Ctrl-C need not wait for the end of one."""
    if record.size * int(np.max(parts, initial=1)) < LONG:
        return np.asarray(core.peaks(record, parts, coefficients, between))
    out = np.empty((len(parts), 3, core.BLOCK))
    for b in range(len(parts)):
        work = 50.0 * record.size * int(parts[b]) * core.BLOCK
        out[b] = interruptible(work, core.peaks, record, parts[b : b + 1], coefficients[b : b + 1], between)[0]
    return out


def _stepped(samples: Array, step: float, omega: Array, zeta: float, method: Any) -> Array:
    """The same at the ends of a method's steps."""
    t = step * np.arange(samples.size)
    s = solve_dynamics(
        damping=2.0 * zeta * omega, stiffness=omega * omega, load=(t, samples, np.full(omega.size, -1.0)), after="zero",
        t_span=(0.0, float(t[-1])), x0=np.zeros(omega.size), dt=step, method=method, energy=False,
    )  # fmt: skip
    if not s.success:
        raise ValueError(f"method: {s.message}")
    ground = samples[: s.t.size]
    return np.stack([np.max(np.abs(a), axis=1) for a in (s.x, s.v, s.a + ground)])
