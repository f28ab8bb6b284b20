"""A result in a picture of another kind: the error names the picture that is made for it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import mflow
from mflow.plot.axes import PICTURES

pytest.importorskip("matplotlib")


@pytest.fixture(scope="module")
def results() -> dict[str, Any]:
    return {
        "solution": mflow.solve_ivp(lambda t, y: -y, (0, 1), [1.0]),
        "displacements": mflow.solve_dynamics(stiffness=4.0, t_span=(0, 1), x0=[1.0], dt=0.1),
        "history": mflow.train(lambda w, x: (float(w @ w), 2 * w), np.ones(2), np.ones((4, 1)), "sgd", jac=True, epochs=1),
    }


@pytest.mark.parametrize("picture", ["solution", "displacements", "energy", "history", "effective_lr", "lr_find", "sweep", "curves"])
@pytest.mark.parametrize("right", ["solution", "displacements", "history"])
def test_the_right_picture_is_named(picture: str, right: str, results: dict[str, Any]) -> None:
    result = results[right]
    if picture == right or (picture, right) == ("energy", "displacements"):
        assert getattr(mflow.plot, picture)(result) is not None
        return
    if (picture, right) == ("effective_lr", "history"):
        pytest.skip("its own lead, track_lr=True")
    with pytest.raises(TypeError, match=rf"; mflow\.plot\.{right} draws an? {type(result).__name__}$") as told:
        getattr(mflow.plot, picture)(result)
    assert "['" not in str(told.value)  # the entries of a result are no runs by label


def test_pictures_and_kinds_are_there() -> None:
    for kind, picture in PICTURES.items():
        assert callable(getattr(mflow.plot, picture))
        assert isinstance(getattr(mflow, kind), type)
