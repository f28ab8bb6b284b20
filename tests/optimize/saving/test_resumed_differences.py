"""A minimisation by differences with a file takes the way of one without, and goes on from its file to the same end, bits and counts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.optimize import rosen

import mflow
from support.hostile import altered

Cost = Callable[[Any], float]
FIELDS = ("nit", "nfev", "njev", "nrestarts", "fun", "reason", "message")
# numbers that nobody can tell from the right ones
PLAUSIBLE = ("('going', 'earlier') = 20", "('counts', 0) = 20", "('began',) = 20", "('began',) = 1000000000000000000000000000000")


def brown(x: Any) -> float:
    """Badly scaled, of Brown; its minimum of 0 is at (1e6, 2e-6)."""
    return float((x[0] - 1e6) ** 2 + (x[1] - 2e-6) ** 2 + (x[0] * x[1] - 2.0) ** 2)


def kinked(x: Any) -> float:
    return float(np.sum(np.abs(x - 1.0)) + 0.5 * x @ x)


def short(x: Any) -> float:
    """With few digits."""
    return float(np.float32(rosen(np.asarray(x, np.float32))))


def noisy(x: Any) -> float:
    return float(rosen(x) + 1e-9 * np.sin(1e9 * np.sum(x)))


def small(x: Any) -> float:
    """Bends within the usual lengths of differences."""
    return float((1e6 * x[0] - 1.0) ** 2 + (x[1] - 2.0) ** 4)


def away(x: Any) -> float:
    """Far from 0 in one parameter."""
    u = x[0] - 1e6
    return float((u - 1.0) ** 2 * (1.0 + u**2) + (x[1] - 1.0) ** 2)


def stalls(x: Any) -> float:
    """Its last digits are spent where it bends, and it falls by little before."""
    return float(1.0 + 1e-3 * np.sum((x - 2.0) ** 4) + 1e-9 * np.sum(np.abs(np.sin(1e6 * x))))


CASES: list[tuple[Cost, list[float], dict[str, Any]]] = [
    (rosen, [-1.2, 1.0, 0.5], {}),
    (rosen, [-1.2, 1.0, 0.5], {"method": "cg"}),
    (rosen, [-1.2, 1.0], {"bounds": [(-2.0, 0.7), (None, None)]}),
    (rosen, [-1.2, 1.0], {"diff_step": 1e-5}),
    (rosen, [-1.2, 1.0], {"method": "steepest_descent", "line_search": "armijo", "maxiter": 110}),
    (brown, [1.0, 1.0], {}),
    (brown, [1.0, 1.0], {"method": "trust_ncg"}),
    (kinked, [-1.2, 1.0, 0.5], {}),
    (kinked, [-1.2, 1.0, 0.5], {"jac": "3-point"}),
    (short, [-1.2, 1.0], {"method": "bfgs"}),
    (noisy, [-1.2, 1.0], {}),
    (noisy, [-1.2, 1.0], {"method": "cg"}),
    (small, [1e-7, 1.0], {}),
    (away, [1e6, 0.0], {}),
    (stalls, [0.0, 0.5, 1.0], {}),
]


def assert_same(one: Any, other: Any) -> None:
    assert [one[name] for name in FIELDS] == [other[name] for name in FIELDS]
    assert one.x.tobytes() == other.x.tobytes()
    assert one.jac.tobytes() == other.jac.tobytes()


@pytest.mark.parametrize(("cost", "start", "how"), CASES)
def test_with_a_file_and_from_it_a_run_ends_as_without(cost: Cost, start: list[float], how: dict[str, Any], tmp_path: Path) -> None:
    how = {"maxiter": 200, **how}
    plain = mflow.minimize(cost, start, **how)
    assert_same(mflow.minimize(cost, start, checkpoint=tmp_path / "whole", checkpoint_every=7, **how), plain)
    for cut in {2, *range(10, plain.nit, 10), plain.nit - 1}:
        file = tmp_path / f"{cut}"
        mflow.minimize(cost, start, checkpoint=file, **{**how, "maxiter": cut})
        if file.exists():  # it had not come to an end before
            assert_same(mflow.minimize(cost, np.zeros(len(start)) if cut % 20 == 0 else start, resume=file, **how), plain)


class Killed(Exception):
    pass


@pytest.mark.parametrize("cut", [49, 50, 51, 100])
def test_a_run_that_was_killed_where_it_is_looked_at_goes_on_alike(cut: int, tmp_path: Path) -> None:
    """Every 50 iterations it is seen whether the cost still falls; the file of that iteration may come before that or after."""
    how: dict[str, Any] = {"method": "steepest_descent", "line_search": "armijo", "maxiter": 130}
    plain, file = mflow.minimize(rosen, [-1.2, 1.0], **how), tmp_path / "run"

    def kill(intermediate_result: Any) -> None:
        if intermediate_result.nit > cut:
            raise Killed

    with pytest.raises(Killed):
        mflow.minimize(rosen, [-1.2, 1.0], callback=kill, checkpoint=file, checkpoint_every=cut, **how)
    assert_same(mflow.minimize(rosen, [-1.2, 1.0], resume=file, **how), plain)


@pytest.mark.parametrize("method", ["lbfgs", "bfgs", "cg"])
def test_a_descent_with_a_file_does_not_fail_where_one_without_converges(method: str, tmp_path: Path) -> None:
    r = mflow.minimize(brown, [1.0, 1.0], method=method, checkpoint=tmp_path / "run")
    assert r.reason == "converged"
    np.testing.assert_allclose(r.x, [1e6, 2e-6], rtol=1e-9)


def test_a_file_of_differences_serves_a_run_with_a_gradient_and_other_differences(tmp_path: Path) -> None:
    file = tmp_path / "run"
    mflow.minimize(brown, [1.0, 1.0], maxiter=15, checkpoint=file)
    for more in ({"jac": "3-point"}, {"diff_step": 1e-6}):
        assert mflow.minimize(brown, [0.0, 0.0], resume=file, **more).nit > 15

    def gradient(x: Any) -> Any:
        both = 2.0 * (x[0] * x[1] - 2.0)
        return np.array([2.0 * (x[0] - 1e6) + both * x[1], 2.0 * (x[1] - 2e-6) + both * x[0]])

    r = mflow.minimize(brown, [0.0, 0.0], jac=gradient, resume=file)
    assert r.success
    assert r.nit >= 15
    np.testing.assert_allclose(r.x, [1e6, 2e-6], rtol=1e-9)


@pytest.mark.parametrize(("cost", "start", "cut", "share"), [(noisy, [-1.2, 1.0], 38, 0), (small, [1e-7, 1.0], 10, 1)])
def test_no_field_is_believed(cost: Cost, start: list[float], cut: int, share: int, tmp_path: Path) -> None:
    good, bad, named = tmp_path / "good", tmp_path / "bad", list[bool]()
    mflow.minimize(cost, start, maxiter=cut, checkpoint=good)
    whole, magic = mflow.minimize(cost, start, resume=good), altered.read(good)[0]
    cases = [case for case in altered.cases(good) if case[0] not in PLAUSIBLE]
    for words, facts, blocks in cases[share::2]:
        altered.write(bad, magic, facts, blocks)
        try:
            r = mflow.minimize(cost, start, resume=bad)
        except ValueError as error:
            named.append("bad" in str(error))
            continue
        assert (r.reason, r.nit, r.x.tobytes()) == (whole.reason, whole.nit, whole.x.tobytes()), words
    assert all(named)
    assert len(named) > 90


LEARNING: list[tuple[Cost, list[float], dict[str, Any]]] = [
    (short, [-1.2, 1.0], {"method": "adam", "lr": 0.01}),
    (short, [-1.2, 1.0], {"method": "rk4", "dt": 1e-3}),
    (small, [1e-7, 1.0], {"method": "backward_euler", "dt": 0.05}),
    (away, [1e6, 0.0], {"method": "sgd", "lr": 1e-4}),
]


@pytest.mark.parametrize(("cost", "start", "how"), LEARNING)
def test_steps_by_differences_go_on_with_the_same_bits(cost: Cost, start: list[float], how: dict[str, Any], tmp_path: Path) -> None:
    """Lengths were chosen anew where the file stood."""
    file = tmp_path / "run"
    plain = mflow.minimize(cost, start, maxiter=60, **how)
    mflow.minimize(cost, start, maxiter=30, checkpoint=file, **how)
    again = mflow.minimize(cost, np.zeros(2), maxiter=60, resume=file, **how)
    for name in ("nit", "fun", "reason", "message"):
        assert again[name] == plain[name]
    assert again.x.tobytes() == plain.x.tobytes()
    assert plain.njev <= again.njev <= plain.njev + 4  # a run that goes on evaluates where it stands, as does its Jacobian
    if how["method"] == "adam":  # the file is a stepper's, too
        assert mflow.Stepper.load(file, lambda x: x).k == 30
