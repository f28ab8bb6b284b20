"""Files of `minimize` with a right checksum and false contents: refused by name, or without consequence."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mflow
from support.hostile import altered

SHARE = 5  # of the altered files: one in so many, others for each way
PLAUSIBLE = {"('counts', 0) = 20"}  # a number that nobody can tell from the right one


def valley(x: Any) -> Any:
    a, b = x[1] - x[0] ** 2, 1.0 - x[0]
    return float(100.0 * a**2 + b**2), np.array([-400.0 * x[0] * a - 2.0 * b, 200.0 * a])


WAYS: list[dict[str, Any]] = [
    {"method": "lbfgs"},
    {"method": "bfgs"},
    {"method": "cg"},
    {"method": "trust_ncg"},
    {"method": "adam", "lr": 0.01},
    {"method": "backward_euler", "dt": 0.05},
    {"method": "newmark", "dt": 0.05, "friction": 1.0},
]


def saved(way: int, path: Path) -> dict[str, Any]:
    how = {"jac": True, "gtol": 1e-10, **WAYS[way]}
    mflow.minimize(valley, [-1.2, 1.0], maxiter=8, checkpoint=path, **how)
    return how


@pytest.mark.parametrize("way", range(len(WAYS)))
def test_no_field_is_believed(way: int, tmp_path: Path) -> None:
    good, bad, named = tmp_path / "good", tmp_path / "bad", list[bool]()
    how = {**saved(way, good), "maxiter": 12}
    whole, magic = mflow.minimize(valley, [-1.2, 1.0], resume=good, **how), altered.read(good)[0]
    cases = altered.cases(good, lambda name: name == "start")
    for words, facts, blocks in cases[way % SHARE :: SHARE]:
        if words in PLAUSIBLE:
            continue
        altered.write(bad, magic, facts, blocks)
        try:
            r = mflow.minimize(valley, [-1.2, 1.0], resume=bad, **how)
        except ValueError as error:
            named.append("bad" in str(error))
            continue
        assert (r.reason, r.nit, r.nfev, r.njev) == (whole.reason, whole.nit, whole.nfev, whole.njev), words
        assert np.array_equal(r.x, whole.x), words
    assert all(named)
    assert len(named) > 30


@pytest.mark.parametrize("way", [0, 3])
@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("shape",), [3]),
        (("shape",), None),
        (("method",), "cg_"),
        (("control", "rtol"), -1.0),
        (("control",), None),
        (("counts",), [0, 7]),  # eight steps took eight gradients at least
        (("more",), 1),
    ],
)
def test_the_field_is_named(way: int, place: tuple[str, ...], value: Any, tmp_path: Path) -> None:
    """A line search's file was believed where it named another method or another shape."""
    how = saved(way, tmp_path / "good")
    magic, facts, blocks = altered.read(tmp_path / "good")
    altered.write(tmp_path / "bad", magic, altered.put(facts, place, value), blocks)
    with pytest.raises(ValueError, match=rf"^resume: .*bad .*{place[0]}"):
        mflow.minimize(valley, [-1.2, 1.0], resume=tmp_path / "bad", **how)


def test_steps_and_searches_are_told_apart(tmp_path: Path) -> None:
    saved(4, tmp_path / "steps")
    saved(0, tmp_path / "search")
    with pytest.raises(ValueError, match="descent: expected the state of a search by lbfgs, got that of steps by adam"):
        mflow.minimize(valley, [-1.2, 1.0], jac=True, resume=tmp_path / "steps")
    with pytest.raises(ValueError, match="run: expected the state of steps, got that of a line search"):
        mflow.minimize(valley, [-1.2, 1.0], jac=True, method="adam", lr=0.01, resume=tmp_path / "search")
