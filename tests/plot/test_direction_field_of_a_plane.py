"""`plot.direction_field` of a function of two components without plane=True: the function's own error, with what to give."""

from __future__ import annotations

import pytest

import mflow

pytest.importorskip("matplotlib")


def test_the_argument_is_named() -> None:
    with pytest.raises(IndexError) as told:
        mflow.plot.direction_field(lambda t, y: [y[1], -y[0]], (-3, 3), (-3, 3))
    assert told.value.__notes__ == ["direction_field: y has 1 component; plane=True gives it two"]
    assert mflow.plot.direction_field(lambda t, y: [y[1], -y[0]], (-3, 3), (-3, 3), plane=True) is not None
