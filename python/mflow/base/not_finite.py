"""Which entry of a matrix is not finite, in words."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

__all__ = ["entry_words"]


def entry_words(value: Any) -> str:
    """ "its entry (i, j) is nan" of a matrix, dense or of scipy.sparse; "" where all entries are finite, or no numbers."""
    entries = np.asarray(value.data if hasattr(value, "tocsc") else value)
    if entries.dtype.kind not in "fc" or np.isfinite(entries).all():
        return ""
    place: tuple[int, ...]
    if hasattr(value, "tocoo"):
        coo = value.tocoo()
        k = int(np.flatnonzero(~np.isfinite(coo.data))[0])
        place, number = (int(coo.row[k]), int(coo.col[k])), coo.data[k]
    else:
        place = tuple(int(k) for k in np.argwhere(~np.isfinite(entries))[0])
        number = entries[place]
    where = f"({', '.join(map(str, place))})" if len(place) > 1 else f"{place[0] if place else 0}"
    return f"its entry {where} is {_shown(number)}"


def _shown(number: Any) -> str:
    return f"{complex(number):g}" if np.iscomplexobj(number) else "nan" if math.isnan(number) else f"{float(number):g}"
