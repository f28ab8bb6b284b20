"""Records in the formats of seismologists, read by ObsPy: K-NET, KiK-net, MiniSEED, SAC and many more.

ObsPy gives traces of counts or of physical numbers with a sampling rate. K-NET's come with a factor to m/s^2 in `calib`; the others do
not say what their numbers are, so that the caller has to.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np

from mflow.base.checks import Array, shown
from mflow.data.record_units import ACCELERATIONS, OBSPY_READS

__all__ = ["read_traces"]

STATED = {"KNET": "m/s2"}  # formats of ObsPy that have a unit: what calib leads to


def read_traces(file: Path, content: bytes, foreign: str | None, unit: str | None, channel: str | None) -> tuple[Array, Array] | None:
    """(t, a) of a file in a format that is not ours; None where it may be one of ours. foreign: the name of the format, where it is known.

    Raises ImportError without ObsPy, ValueError where neither reads it.
    """
    if foreign is None and channel is None:
        return None
    if foreign is not None and foreign not in OBSPY_READS:
        raise ValueError(
            f"{file}: expected an AT2 file, a table of time and acceleration or a format that ObsPy reads, got {foreign}, which is not "
            "read: convert it"
        )
    try:
        import obspy
    except ImportError as error:
        raise ImportError(
            f"{file}: {foreign or 'a file with channels'} is read by ObsPy: pip install 'momentum-flow[records]', or convert it"
            + ("" if foreign else "; of a text with several columns give column= in place of channel=")
        ) from error
    try:
        traces = obspy.read(io.BytesIO(content))
    except Exception as error:  # what readers raise has no common class
        raise ValueError(f"{file}: expected a record that ObsPy reads, got {foreign or 'another file'}: {error}") from error
    return _one(file, traces, unit, channel)


def _one(file: Path, traces: Any, unit: str | None, channel: str | None) -> tuple[Array, Array]:
    chosen = [one for one in traces if channel is None or channel in (one.stats.channel, one.id)]
    if len(chosen) != 1:
        names = ", ".join(one.stats.channel or one.id for one in traces)
        if channel is None:
            raise ValueError(f"{file}: expected one trace, got {len(chosen)}: {names}; give channel=")
        raise ValueError(f"channel: expected one trace of {names} in {file}, got {len(chosen)} for {shown(channel)}")
    trace = chosen[0]
    stated = STATED.get(str(getattr(trace.stats, "_format", "")))
    if stated is None and unit is None:
        raise ValueError(f"{file}: expected unit=, since {trace.stats._format} does not say what its numbers are")
    if stated is not None and unit is not None and unit != stated:
        raise ValueError(f"unit: expected {stated!r}, as {file} states, got {unit!r}; omit unit")
    data = np.asarray(np.ma.filled(np.ma.asarray(trace.data, dtype=np.float64), np.nan))
    if data.size < 2 or not np.all(np.isfinite(data)):
        missing = np.count_nonzero(~np.isfinite(data))
        raise ValueError(f"{file}: expected two or more accelerations without gaps, got {data.size} numbers, {missing} of them missing")
    factor = ACCELERATIONS[stated or str(unit)] * (trace.stats.calib if stated else 1.0)
    return trace.stats.delta * np.arange(data.size, dtype=np.float64), factor * data
