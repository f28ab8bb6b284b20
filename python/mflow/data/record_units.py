"""What the words of a record's header say: units of time and of acceleration, and whether it is an acceleration history at all.

Units stand after UNITS OF, UNITS:, UNITS ARE or IN, in brackets, or at the end of a column's name (acc_g). They are read in any spelling of
their parts: M/S/S, m/s^2, M/SEC2, CM/SEC**2, (cm/s/s), Gal. Two that differ contradict each other.
"""

from __future__ import annotations

import re
from collections.abc import Collection

import numpy as np

from mflow.base.checks import Array

__all__ = [
    "ACCELERATIONS",
    "GRAVITY",
    "OBSPY_READS",
    "TIMES",
    "foreign_format",
    "history_of",
    "kind_of",
    "other_quantity",
    "plain_number",
    "raw_unit",
    "spacing_of",
    "stated_step",
    "stated_times",
    "stated_units",
    "time_unit",
    "units_of_column",
]

ROUND, ROUNDINGS = 12, 8.0  # digits of a round number; how many roundings of the last time a time may be off
GRAVITY = 9.80665  # m/s^2, the standard acceleration of gravity
ACCELERATIONS = {
    "g": GRAVITY, "m/s2": 1.0, "cm/s2": 0.01, "mm/s2": 1e-3, "in/s2": 0.0254, "ft/s2": 0.3048, "mg": 1e-3 * GRAVITY, "%g": 1e-2 * GRAVITY,
}  # fmt: skip
TIMES = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "min": 60.0}
LENGTHS = ("m", "cm", "mm", "in", "ft", "km")

_SAME = {"gal": "cm/s2", "gals": "cm/s2", "gs": "g", "g's": "g", "gn": "g", "gravity": "g", "grav": "g"}
_TIME_WORDS = {
    "s": ("s", "sec", "secs", "second", "seconds"), "ms": ("ms", "msec", "msecs", "millisec", "millisecond", "milliseconds", "milli"),
    "us": ("us", "usec", "microsec", "microsecond", "microseconds"), "min": ("min", "mins", "minute", "minutes"),
}  # fmt: skip
_PER_SQUARE = r"\s+s(?:ec)?\s*\^?\s*[-\u2212]2\b"  # the end of M S-2
_SLASHED = r"/s(?:ec)?(?:/s(?:ec)?|\s*(?:\^|\*\*)?\s*2)\b"  # the end of CM/SEC/SEC, M/S2, CM/S**2
_UNIT = rf"[A-Za-z%][\w/^*.'%²·-]*(?:{_PER_SQUARE}|(?:\s*/\s*\w+)*)"

_OTHER_UNIT = (  # FURLONGS/S/S, or ACCELERATION IN VOLTS at the end of its line
    rf"(?<![\w/])([a-z]+{_SLASHED})|\bacc\w*\.?(?:\s+(?:time\s+)?(?:series|history))?\s+in\s+([a-z]+)\s*$"
)
_RAW = re.compile(  # numbers of an instrument where the unit of accelerations would stand; (V) is a vertical component
    r"(?:[(\[]|\bin\b|\bacc\w*\.?[^\n]*,)\s*(?:raw\s+)?(counts?|digits|digital\s+units?|lsbs?|(?:micro|milli)?volts?|[\u00b5um]v"
    r"|(?:micro)?strains?|furlongs?)\b",
    re.I,
)
_NUMBER = r"(?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)"
_STEP = re.compile(
    rf"\b(?:dt|delta[\s_]*t|time[\s_-]*step|(?:sampl\w*|time)[\s_-]*(?:interval|step|period))\b\s*(?:[(\[]\s*(?P<before>[A-Za-z]+)\s*[)\]])?"
    rf"\s*(?:=|:|is|of)?\s*{_NUMBER}\s*[(\[]?(?P<after>[A-Za-z]*)",
    re.I,
)
_RATES = (
    re.compile(rf"\b(?:sampl\w*[\s_-]*(?:rate|freq\w*)|fs)\b\s*(?:[(\[][^)\]]*[)\]])?\s*(?:=|:|is|of)?\s*{_NUMBER}\s*(?P<kilo>k?)", re.I),
    re.compile(rf"{_NUMBER}\s*(?P<kilo>)(?:sps\b|(?:samples?|points?)\s*(?:/|per)\s*s)", re.I),
)
_SPECTRA = r"spectr(?:um|a|al)\b|\bpsa\b|fourier|periodogram|\bs[avd]\s*[(\[]|\b(?:vs\.?|versus|against|over|by)\s+(?:period|freq)"
_OTHERS = {"vel": "velocity", "pgv": "velocity", "dis": "displacement", "pgd": "displacement", "jer": "jerk"}

FORMATS = (  # what the first lines of other public formats hold
    (re.compile(r"\(format\s+v\d|integer-header\s+values\s+follow", re.I), "a COSMOS file"),
    (re.compile(r"\A\s*[1-9]\s+(?:(?:un)?corrected\s+accelero|velocity|displacement|response\s+spectr|fourier)", re.I), "an SMC file"),
    (re.compile(r"\buncorrected\s+accelero|^uncorrected\s+acceleration\s+data", re.I | re.M), "a CSMIP volume 1"),
    (re.compile(r"\bcorrected\s+accelero|^corrected\s+acceleration\s+data", re.I | re.M), "a CSMIP volume 2"),
    (re.compile(r"^origin\s+time\s+\d.*?^(?:lat|station)", re.I | re.M | re.S), "a K-NET or KiK-net file"),
    (re.compile(r"^\s*site\s+code\s*=.*?^\s*sampling\s+rate\s*=", re.I | re.M | re.S), "a JMA file"),
    (re.compile(r"^event_name\s*:.*?^(?:event_id|station_code|sampling_interval)", re.I | re.M | re.S), "an ESM (DYNA ASC) file"),
)
OBSPY_READS = ("a K-NET or KiK-net file", "a binary file")  # of these, and of what is not text


def foreign_format(text: str) -> str | None:
    """The name of a format that is neither AT2 nor a table, by the first lines of a file; None where it is none of those that are known."""
    if "\0" in text:
        return "a binary file"
    return next((name for pattern, name in FORMATS if pattern.search(text)), None)


def _plain(text: str) -> str:
    """A unit in lower case, its seconds as s and its powers as 2."""
    text = text.lower().replace("²", "2").replace("\u2212", "-").strip(" \t.,;:")
    text = re.sub(r"[\s^*·]", "", text).replace("(", "").replace(")", "")
    text = re.sub(r"seconds?|secs?", "s", text).replace("squared", "2")
    text = re.sub(r"\.?s-2$", "/s2", text)
    text = re.sub(r"^(m|cm|mm|in|ft)s2$", r"\1/s2", text)
    return text.replace("inches", "in").replace("inch", "in").replace("feet", "ft")


def kind_of(text: str) -> tuple[str, str] | None:
    """("acceleration", its unit), ("velocity", ...), ("displacement", ...), ("jerk", ...) or None for what is no such unit."""
    plain = _plain(text.replace("_", "/"))
    plain = _SAME.get(plain, plain)
    if plain in ACCELERATIONS:
        return "acceleration", plain
    match = re.fullmatch(r"(m|cm|mm|in|ft)/s(/s|2)?", plain)
    if match:
        return ("acceleration", f"{match[1]}/s2") if match[2] else ("velocity", plain)
    if re.fullmatch(r"(m|cm|mm|in|ft)/s(3|/s/s)|g/s", plain):
        return "jerk", plain
    return ("displacement", plain) if plain in LENGTHS else None


def time_unit(text: str) -> str | None:
    """The unit of time that a word is."""
    word = re.sub("[\u00b5\u03bc]", "u", text.lower()).strip(" \t.,;:()[]")  # the micro sign and the Greek letter
    return next((unit for unit, words in _TIME_WORDS.items() if word in words), None)


def stated_times(text: str) -> list[str]:
    """The units of time that words about a table state, as "time in milliseconds", "units of time: ms" or "units: ms, g"."""
    joint = r"(?:\s|is|are|in|given|measured|units?|of|[:=(\[-])*"
    after = [match[1] for match in re.finditer(rf"\b(?:t|times?)\b,?{joint}\b([a-z]+)", text, re.I)]
    first = [match[1] for match in re.finditer(r"\bunits?\b(?:\s*(?:are|is|[:=(\[]))+\s*([a-z]+)\s*(?:[,;]|\band\b)", text, re.I)]
    return [unit for unit in map(time_unit, [*after, *first]) if unit is not None]


def stated_units(text: str) -> tuple[list[tuple[str, str]], str | None]:
    """(kinds of all units that a header states, a word after UNITS that is none)."""
    found: list[tuple[str, str]] = []
    unknown = None
    said = re.finditer(rf"(?<!no )\bunits?\b\s*(?:of|are|is|in|[:=-])*\s*[(\[]?\s*({_UNIT})", text, re.I)
    for match in said:
        kind = kind_of(match[1])
        if kind is not None:
            found.append(kind)
        elif match[1].lower() not in ("of", "are", "is", "in", "the", "and", "time"):
            unknown = match[1].strip(".,;")
    for match in re.finditer(rf"(?<!\d)(?<!\d\s)\b(?:m|cm|mm|in|ft)(?:{_PER_SQUARE}|{_SLASHED})", text, re.I):  # 341 CM/S/S is a peak
        found += [kind for kind in [kind_of(match[0])] if kind is not None]
    for match in re.finditer(rf"\bin\s+(?:units\s+of\s+)?[(\[]?\s*({_UNIT})", text, re.I):
        kind = kind_of(match[1])
        if kind is not None and kind[0] != "displacement":  # distances are in km
            found.append(kind)
    words = [match[1] or match[2] for match in re.finditer(_OTHER_UNIT, text, re.I | re.M)]
    unknown = unknown or next((word for word in words if kind_of(word) is None), None)
    for inside in re.findall(r"[(\[]([^)\]]*)[)\]]", text):
        kind = kind_of(inside)
        if kind is not None and kind[0] != "displacement":  # (15 km) and (m) are distances to the fault and magnitudes
            found.append(kind)
    return list(dict.fromkeys(found)), unknown or raw_unit(text, found)


def raw_unit(text: str, found: Collection[object] = ()) -> str | None:
    """The word for numbers of an instrument, as counts or volts, in a text where no unit was found; else None."""
    match = None if found else _RAW.search(text)
    return match[1] if match else None


# What a line that names the numbers, by their unit or as "of acceleration", says of what is made of accelerations.
_MADE = re.compile(
    r"\b(\w*correlation|transform|integral|histogram|derivative)\s+of\b|\b(husid)\s+(?:plot|diagram|curve|function|of|in)\b", re.I
)


def history_of(text: str) -> str | None:
    """What a header says of its numbers, where it is no acceleration in time."""
    named = [line for line in text.splitlines() if re.search(r"\bunits?\b|\bof\s+(?:the\s+)?acc", line, re.I)]
    made = [(line, _MADE.search(line)) for line in named]
    plain = any(match is None and re.search(r"\bacc(?:eleration|el)?\s+time\b", line, re.I) for line, match in made)
    if not plain and (match := next((match for _, match in made if match), None)):
        return f"what is made of accelerations ({(match[1] or match[2]).lower()})"
    history = re.search(r"\bacc(?:eleration|el)?\b[^\n]*\btime\b", text, re.I)
    if not history and re.search(_SPECTRA, text, re.I):
        return "a spectrum"
    if not history and re.search(r"\barias\b", text, re.I):
        return "an Arias intensity"
    if re.search(r"\bacc(?:eleration|elerations|el|elerogram)?\b", text, re.I):
        return None
    other = re.search(r"\b(velocity|displacement)\b", text, re.I)
    return f"a {other[1].lower()}" if other else None


def stated_step(text: str) -> float | None:
    """The time between two values, s, that a header states, as DT = 0.01 or as a sampling rate; None where it states none."""
    step = _STEP.search(text)
    if step is not None:
        units = [time_unit(word) for word in (step["before"], step["after"]) if word]
        return float(step["number"]) * TIMES[next((unit for unit in units if unit is not None), "s")]
    rate = next((match for match in (pattern.search(text) for pattern in _RATES) if match), None)
    if rate is None or not float(rate["number"]) > 0.0:
        return None
    return 1.0 / (float(rate["number"]) * (1000.0 if rate["kilo"] else 1.0))


def other_quantity(name: str) -> str | None:
    """ "velocity", "displacement" or "jerk" where the name of a column, as v (cm/s), says that; None of all others."""
    if re.search(r"(?<![a-z])acc", name, re.I):
        return None
    word = re.search(r"(?<![a-z])(?:vel|disp|jerk|pgv|pgd)", name, re.I)
    if word:
        return _OTHERS[word[0][:3].lower()]
    words, bracketed = units_of_column(name)
    kinds = [kind for kind in map(kind_of, words) if kind is not None]
    if not kinds or any(kind == "acceleration" for kind, _ in kinds):
        return None
    kind, unit = kinds[-1]
    if kind == "displacement":  # d (m): behind longer names m is a magnitude, and km are distances
        return kind if bracketed and unit != "km" and re.match(r"\W*\w{1,4}\s*[(\[]", name) else None
    return kind


def units_of_column(name: str) -> tuple[list[str], bool]:
    """What may be the unit in the name of a column, and whether that stands in brackets."""
    inside = [part.strip() for part in re.findall(r"[(\[]([^)\]]*)[)\]]", name) if part.strip()]
    if inside:
        return inside, True
    words = [word for word in re.split(r"[\s_/]+", name.strip(), maxsplit=1) if word]
    tail = [words[1]] if len(words) == 2 else []
    last = re.split(r"[\s_]+", name.strip())[-1]
    return [*tail, *([last] if last != name.strip() and last not in tail else [])], False


def plain_number(text: str) -> str:
    """Fortran's 1.5D-3 as Python's 1.5e-3; Python's 1_000 is no number of a record."""
    return text.replace("D", "E").replace("d", "e").replace("_", "?")


def spacing_of(t: Array) -> float:
    """The distance of times, the smallest where they are at different ones; a round number that they have but for their rounding.

    Examples
    --------
    >>> import numpy as np
    >>> from mflow.data.record_units import spacing_of
    >>> t = 0.01 * np.arange(2000)
    >>> float(np.min(np.diff(t))), spacing_of(t)
    (0.00999999999999801, 0.01)
    """
    steps, k = np.diff(t), np.arange(t.size)
    mean, rounding = float(t[-1] - t[0]) / max(t.size - 1, 1), ROUNDINGS * float(np.spacing(np.max(np.abs(t))))
    for candidate in (*(float(f"{mean:.{digits}g}") for digits in range(1, ROUND)), float(steps[0])):
        if np.max(np.abs(t - t[0] - candidate * k)) <= rounding:
            return candidate
    return float(np.min(steps))
