"""How many digits the values of a user's function carry, difference steps that suit them, and what differences of exactly 0 mean.

Differences over the usual steps vanish where values carry 7 digits (float32 inside, results that are rounded), where x is rounded on the
way in, and where a cost is large beside its changes. So

    values that carry few digits    central differences over the cube root of what is lost
    a derivative of exactly 0       the same difference over 1e2 ... 1e6 times longer steps: a slope that shows there is used from then on;
                                    a cost that rises on both sides is at a minimum; one that moves nowhere is insensitive

`cost_look.CostLook` does this for gradients that `mflow_core.problems.problem` differences, `scan` and `digits_of` for Jacobians.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from mflow_core.problems.signatures import Recoverable
from numpy.typing import NDArray

from mflow.base.checks import OUTSIDE, Array, check_start

__all__ = [
    "FALL",
    "SLOPED",
    "STEEP",
    "UNLIKE",
    "Digits",
    "Scan",
    "along",
    "central_jacobian",
    "check_diff_step",
    "digits_of",
    "falls_along",
    "falls_anywhere",
    "falls_aside",
    "fitting_length",
    "moves_from",
    "number_tried",
    "scan",
    "scans_of",
    "slope_digits",
    "tried",
    "verdict_of",
]

EPS = 2.0**-52
LONGER = tuple(EPS**0.5 * 10.0**k for k in (2, 3, 4, 5, 6))  # relative lengths at which a derivative of exactly 0 is looked at again
SINGLE = 24  # significant bits of float32
FULL = 45  # significant bits from which on values count as those of float64
SOME = 8  # bits below which values are too short to tell anything: small whole numbers, halves
ENTRIES = 400  # of values, and of the entries of each, that are looked at
FALL = 1e-3  # of a cost: by which it does not fall within x's own size where it has converged; of that size
UNLIKE = 1e3  # lengths that differ by so much are of different units
STEEP = 0.01  # of the gradient at a start: where one that is larger ends a run, its gtol may be too large for these units
SLOPED = 1e-4  # of it: where one that is larger ends a run, some iterations more may tell whether the cost falls
ASIDE = 0.00137 * 2.0**0.5  # a step to a point whose coordinates are no short numbers, binary or decimal
DECIMALS = 10  # significant decimal digits up to which values count as rounded
EACH = 64  # parameters up to which each is looked at
ASIDES = LONGER[2:]  # relative lengths over which a point is looked at from both sides,
GROWS = 4.0  # and what a fall grows by at least from one to the next, ten times as long;
GROWS_ALONE = 30.0  # on the one side that bounds leave: faster than along a slope, so that no convex cost does
NEAR = 1e-2  # of the size of a state: over lengths up to it no function of that size bends
BENT = 0.1  # relative: what differences over two lengths are apart by where a function bends in between
FARTHER = 10.0  # times the shorter length, over which it is confirmed
SLIGHT = 1e-6  # relative to the usual difference: a shorter one below it counts unless the usual one is the same over a tenth of its length
TINY = 1e-4  # a number below it may bend a cost within the usual lengths of differences
OWN = EPS ** (1 / 3)  # of the number itself: the length of a difference that does not leave its size
APART = 0.1  # of a slope: what another one is off by that does not point the same way
NAMES = {24: "float32", 11: "float16", 8: "bfloat16"}


class Digits(NamedTuple):
    """What values carry: the relative error of one, and its kind in words; quantum: that of which all are multiples, 0 where there is none
    (float32: their distances grow with them)."""

    eps: float
    kind: str
    quantum: float = 0.0

    @property
    def text(self) -> str:
        """As in "values carry about 7 digits (float32)"."""
        kind = f"{self.kind}, multiples of {self.quantum:.6g}" if self.quantum else self.kind
        count = max(1, int(-math.log10(2.0 * self.eps) + 0.3))
        return f"about {count} digit{'s' if count > 1 else ''} ({kind})"

    @property
    def step(self) -> float:
        """The relative length of a central difference."""
        return float(min(self.eps ** (1 / 3), 0.1))

    def after(self, values: Any) -> Digits | None:
        """Those of values that were multiples of a quantum, after these: the same where these are, too; None: nothing is told."""
        parts = np.asarray(values, dtype=np.float64) / self.quantum
        if not np.any(np.abs(parts - np.round(parts)) > 1e-6):
            return self
        finer = digits_of([values], 1)
        quantum = 0.0 if finer is None else min(finer.quantum, self.quantum)
        return self._replace(quantum=quantum, eps=self.eps * quantum / self.quantum) if quantum else None


def digits_of(values: Sequence[Any], some: int = SOME) -> Digits | None:
    """What these values of one function, as it returned them, carry; None where it is all of float64, or nothing can be told.

    some : bits below which values are taken for numbers that happen to be short.
    """
    arrays = [np.asarray(value).ravel()[:ENTRIES] for value in values[:ENTRIES]]
    if not arrays or any(a.dtype.kind not in "biuf" for a in arrays):
        return None
    numbers = np.concatenate([a.astype(np.float64) for a in arrays])
    numbers = np.array(sorted({*numbers[np.isfinite(numbers) & (numbers != 0.0)].tolist()}))  # np.unique would import numpy.ma first
    short = [a.dtype for a in arrays if a.dtype.kind == "f" and a.dtype.itemsize < 8]
    if len(short) == len(arrays):
        kind = min(short, key=lambda dtype: dtype.itemsize)
        return Digits(0.5 * float(np.finfo(kind).eps), str(kind))
    if numbers.size < 2:
        return None
    bits = _bits(numbers)
    if some <= bits <= SINGLE:
        quantum = _quantum(numbers, bits)
        return Digits(2.0**-bits, "rounded values" if quantum else NAMES.get(bits, "rounded values"), quantum)
    return _decimals(numbers) if bits >= FULL else None


def _quantum(numbers: Array, bits: int) -> float:
    """The power of two of which all are multiples, where small ones carry no more digits after the point than large ones; else 0."""
    exponents = np.frexp(numbers)[1]
    last = exponents - _bits_of(numbers)
    if bits == SINGLE:  # differences of float32 numbers of one size look so, too
        return 0.0
    fixed = np.max(exponents) - np.min(last) <= bits + 2 and (np.max(exponents) - np.min(exponents) >= 4 or bits not in NAMES)
    return float(2.0 ** np.min(last)) if fixed else 0.0


def _bits_of(numbers: Array) -> Array:
    """The count of significant bits of each."""
    whole = (np.abs(np.frexp(numbers)[0]) * 2.0**53).astype(np.int64)
    return np.asarray(53.0 - np.log2((whole & -whole).astype(np.float64)))


def _bits(numbers: Array) -> int:
    """The most bits that one of these numbers has."""
    return int(np.max(_bits_of(numbers)))


def _decimals(numbers: Array) -> Digits | None:
    """Of values with few decimal digits: half a unit of the last one, relative to the largest value."""
    places = -math.inf
    spread = (np.modf(0.6180339887498949 * np.arange(100))[0] * numbers.size).astype(int)  # in step with nothing
    for number in numbers[spread] if numbers.size > 100 else numbers:
        mantissa, _, exponent = f"{abs(number):.16e}".partition("e")
        plain = repr(float(abs(number)))
        digits = (plain.partition("e")[0]).replace(".", "").strip("0")
        if len(digits) > DECIMALS or not mantissa:
            return None
        places = max(places, len(digits) - 1 - int(exponent))
    return Digits(0.5 * 10.0**-places / max(1e-300, float(np.max(np.abs(numbers)))), "rounded values", float(10.0**-places))


@functools.lru_cache(maxsize=8)
def along(n: int) -> Array:
    """A fixed direction of length 1 in which no entry is small beside the others; read-only."""
    j = np.arange(n, dtype=np.float64)
    u = np.where(np.cos(2.4 * j + 0.3) > 0.0, 1.0, -1.0) * (0.6 + 0.4 * np.modf(0.6180339887498949 * j)[0])
    out: Array = u / math.sqrt(float(u @ u)) if n else u
    out.flags.writeable = False
    return out


def central_jacobian(fun: Callable[[Array], Array], x: Array, lengths: Array) -> Array:
    """The Jacobian of a function of a flat array by central differences, of these lengths to both sides."""
    out = np.empty((x.size, x.size))
    for j in range(x.size):
        ahead, behind = x.copy(), x.copy()
        ahead[j], behind[j] = x[j] + lengths[j], x[j] - lengths[j]
        out[:, j] = (fun(ahead) - fun(behind)) / (ahead[j] - behind[j])
    return out


def slope_digits(bits: int) -> Digits | None:
    """What slopes carry of which none has more significant bits than this: those of float32. None where it is all of float64, and where
    they are short numbers, as a constant 1e5 is, which are exact."""
    return Digits(2.0**-SINGLE, NAMES[SINGLE]) if bits in (SINGLE - 1, SINGLE) else None


class Scan(NamedTuple):
    """What longer differences show. kind: "flat" nothing moves, "even" no slope, "slope"; step: the relative length that shows it best.

    noise : the relative error of values that the slopes over shorter steps tell of. rises, falls : whether the sum of squares, or the value
    itself where there is one, does so on both sides. seen : values as returned. calls : of the function.
    """

    kind: str
    step: float
    noise: float
    rises: bool
    falls: bool
    seen: list[Any]
    calls: int


def scan(values: Callable[[Array], Any], x: Array, move: Array, at: Any, eps: float = EPS, squares: bool = False) -> Scan:
    """Central differences of `values`, as they are returned, from x along `move` over longer and longer steps.

    at: the value at x. squares: whether the cost is the sum of the values' squares.
    """
    first = np.asarray(at, dtype=np.float64).ravel()
    steps: list[float] = []
    slopes: list[Array] = []
    seen: list[Any] = [at]
    rises = falls = clear = False
    count, size = 0, 0.0
    for h in LONGER:
        up, down = tried(values, x + h * move), tried(values, x - h * move)
        count += 2
        ends = [np.asarray(end, dtype=np.float64).ravel() for end in (up, down) if end is not None]
        if len(ends) < 2 or not all(np.isfinite(end).all() for end in ends):
            continue
        seen += [up, down]
        if all((end == first).all() for end in ends):
            continue
        costs = [float(end @ end) if squares else float(end[0]) for end in (first, *ends)]
        rises = rises or (costs[1] > costs[0] and costs[2] > costs[0])
        falls = falls or (costs[1] < costs[0] and costs[2] < costs[0])
        size = max(size, *(float(np.max(np.abs(end), initial=0.0)) for end in (first, *ends)))
        change = ends[0] - ends[1]
        clear = clear or float(np.max(np.abs(change), initial=0.0)) > 8.0 * eps * size
        steps.append(h)
        slopes.append(change / (2.0 * h))
        if len(steps) == 3:
            break
    if not steps:
        return Scan("flat", 0.0, 0.0, False, False, seen, count)
    step = _steady(steps, slopes) if clear else 0.0
    if not step:
        return Scan("even", 0.0, 0.0, rises, falls, seen, count)
    best = slopes[steps.index(step)]
    lost = [h * float(np.max(np.abs(slope - best))) / size for h, slope in zip(steps, slopes, strict=True) if h < step]
    noise = max([eps, *lost])
    return Scan("slope", max(step, min(noise ** (1 / 3), 0.1)), noise, False, False, seen, count)


def fitting_length(
    product: Callable[[float], Array], step: float, size: float, *, near: float = NEAR, rounding: float | None = None, bent: float = BENT
) -> float:  # fmt: skip
    """The length of a difference at a state of this size: ``step * max(1, size)``, or ``step * size`` where the function bends in between.

    Parameters
    ----------
    product : callable
        ``product(length)`` -> the derivative along one direction by differences over this length. It is not called where the usual length
        is at most `near` of the size, or the size is 0, which tells nothing.
    rounding : float, optional
        In the norm of the product over the shorter length. Where it is not known the shorter difference counts if one over ten times its
        length is the same: rounding is not.
    bent : float
        Relative to the shorter difference: what the two differ by at least.
    """
    usual, own = step * max(1.0, size), step * size
    if not 0.0 < size < math.inf or usual <= near * size or own >= usual:
        return usual
    long, short = (tried(product, length) for length in (usual, own))
    if short is None or not np.all(np.isfinite(short)):
        return usual
    with np.errstate(all="ignore"):  # what is not finite over a length tells that it is too long
        apart = math.nan if long is None else float(np.linalg.norm(long - short))
        across = float(np.linalg.norm(short))
        if rounding is not None:
            return usual if apart <= 2.0 * rounding + bent * across else own
        if not across > 0.0 or apart <= bent * across:
            return usual
        confirmed = tried(product, FARTHER * own)
        far = math.inf if confirmed is None else float(np.linalg.norm(confirmed - short))
    if not far <= BENT * (apart if apart < math.inf else across):
        return usual
    if long is None or not across < SLIGHT * apart < math.inf:
        return own
    settled = tried(product, usual / FARTHER)  # what is left over short lengths may be what rounding has not lost
    return usual if settled is not None and float(np.linalg.norm(settled - long)) <= BENT * apart else own


def scans_of(
    values: Callable[[Array], Any], x: Array, at: Any, scale: Array, some: Any, eps: float, noisy: Callable[[int, float], bool],
    hides: Callable[[Array], bool],
) -> list[tuple[Scan, float]]:  # fmt: skip
    """Scans from x, and the unit of their steps: of each of some coordinates, or of all at once where there are many.

    Coordinates are moved by shares of `scale`; by shares of 1 where that moves nothing, where something `hides` what a step moves, or where
    the noise of coordinate j is that of one which begins at 0, and says nothing of its size.
    """
    if len(some) > EACH:
        return [(scan(values, x, np.maximum(scale, 1.0) * along(x.size), at, eps, squares=True), 1.0)]
    out = []
    for j in some:
        unit = float(scale[j])
        scanned = scan(values, x, unit * (np.arange(x.size) == j), at, eps, squares=True)
        blank = scanned.kind == "flat" or (scanned.kind == "even" and not (scanned.rises or scanned.falls))
        blank = blank or (unit < 1.0 and scanned.kind == "slope" and hides(scanned.step * unit * (np.arange(x.size) == j)))
        if unit < 1.0 and (blank or noisy(j, scanned.noise)):
            other = scan(values, x, 1.0 * (np.arange(x.size) == j), at, eps, squares=True)
            if blank or other.kind == "slope":
                scanned, unit = other, 1.0
        out.append((scanned, unit))
    return out


def _steady(steps: list[float], slopes: list[Array]) -> float:
    """The step whose slope is nearest to the one before; 0 where they grow as those of a power above 1 do, for the slope is 0 then."""
    sizes = [float(np.linalg.norm(slope)) for slope in slopes]
    if len(steps) == 1:
        return steps[0] if sizes[0] > 0.0 else 0.0
    if sizes[-1] > 10.0 * sizes[-2] or sizes[-1] == 0.0:
        return 0.0
    errors = [float(np.linalg.norm(b - a)) for a, b in itertools.pairwise(slopes)]
    return steps[1 + int(np.argmin(errors))]


def tried(values: Callable[[Any], Any], x: Any) -> Any:
    """The values there; None where the user's function raises what says that it has none. Its other errors come through."""
    try:
        with np.errstate(all="ignore"):
            return values(x)
    except (*OUTSIDE, Recoverable):
        return None


def number_tried(values: Callable[[Any], Any], x: Any) -> float:
    """The value there as a number; NaN where there is none."""
    value = tried(values, x)
    return math.nan if value is None else float(np.asarray(value, dtype=np.float64).reshape(()))


def verdict_of(scans: Sequence[Scan]) -> str:
    """Of a point where all derivatives are 0: "flat", "maximum", "minimum", "slope" (they are not), else "level"."""
    kinds = {one.kind for one in scans}
    if "slope" in kinds:
        return "slope"
    if kinds == {"flat"}:
        return "flat"
    return "maximum" if any(one.falls for one in scans) else "minimum" if all(one.rises for one in scans) else "level"


def moves_from(x: Array) -> list[Array]:
    """The directions, in units of max(1, |x_j|), in which a point is looked at: each parameter, or one for many."""
    scale = np.maximum(1.0, np.abs(x))
    return [scale * along(x.size)] if x.size > EACH else [scale * (np.arange(x.size) == j) for j in range(x.size)]


def falls_anywhere(
    values: Callable[[Array], Any],
    x: Array,
    at: float,
    small: NDArray[np.bool_],
    slight: NDArray[np.bool_],
    eps: float,
    fits: Callable[[Array], bool],
) -> tuple[str, int]:
    """(where a cost falls from x, at which it is `at`, in some direction: on "both sides", on "one side" or "", evaluations).

    small : the entries that are looked at. slight : those of them without a slope, which may not fall on one side either. eps : the
    relative rounding of the cost. fits : whether a point may be asked; where one side alone is looked at, a fall on it that is steeper the
    farther it goes says that x is no minimum.
    """
    count, noise = 0, 8.0 * eps * abs(at)
    if x.size > EACH:
        moves: Iterable[Array] = moves_from(x) if np.all(small) else ()
    else:
        moves = itertools.chain((max(1.0, abs(x[j])) * (np.arange(x.size) == j) for j in np.flatnonzero(small)), across(x, small & slight))
    for move in moves:
        falls, calls = falls_along(values, x, move, at, noise, fits, bool(np.all(slight[move != 0.0])))
        count += calls
        if falls:
            return falls, count
    return "", count


def across(x: Array, flat: NDArray[np.bool_]) -> Iterable[Array]:
    """Two directions along all of several entries, with signs alike and by turns: a saddle of two falls in two of its four quarters."""
    where = np.flatnonzero(flat)
    for signs in ((1.0, 1.0), (1.0, -1.0)) if where.size > 1 else ():
        move = np.zeros(x.size)
        move[where] = np.resize(signs, where.size) * (np.maximum(1.0, np.abs(x)) * np.abs(along(x.size)))[where]
        yield move


def falls_along(
    values: Callable[[Array], Any], x: Array, move: Array, at: float, noise: float, fits: Callable[[Array], bool], one_side: bool = True
) -> tuple[str, int]:
    """The same along `move`; one_side: whether it may not fall on one side either."""
    falls, count = falls_aside(values, x, move, at, noise, fits)
    if falls:
        return "both sides", count
    for side in (move, -move) if one_side else ():
        falls, calls = falls_aside(values, x, side, at, noise, lambda y, side=side: fits(y) and (y - x) @ side > 0.0)  # type: ignore[misc]
        count += calls
        if falls:
            return "one side", count
    return "", count


def falls_aside(
    values: Callable[[Array], Any], x: Array, move: Array, at: float, noise: float, fits: Callable[[Array], bool]
) -> tuple[bool, int]:
    """The same along `move`: over two lengths, by more than `noise`, and farther over the longer one. One evaluation is enough where it
    rises, as beside a minimum."""
    count, least = 0, 0.0
    for h in ASIDES:
        ends = [end for end in (x + h * move, x - h * move) if fits(end)]
        if not ends:
            break
        falls = []
        for end in ends:
            falls.append(at - number_tried(values, end))
            count += 1
            if not falls[-1] >= -noise:
                return False, count
        fall = min(falls)
        if least > 0.0:
            return fall > (GROWS if len(ends) == 2 else GROWS_ALONE) * least, count
        least = fall if fall > noise else 0.0
    return False, count


def check_diff_step(value: Any, n: int) -> Array | None:
    """The argument ``diff_step``: n relative lengths, or None. Raises TypeError or ValueError."""
    if value is None:
        return None
    steps = check_start(value, "diff_step").ravel()
    if steps.size not in (1, n) or not np.all(steps > 0.0):
        raise ValueError(f"diff_step: expected a number above 0, or {n} of them, one for each parameter, got {value!r}")
    return np.array(np.broadcast_to(steps, (n,)))
