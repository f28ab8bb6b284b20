"""Schedules that are made as torch's are, but without the optimizer: what is missing, and what stands in its place."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable

import pytest

from mflow import schedules


class Halving(schedules.Schedule):
    def __call__(self, step: int) -> float:
        return 0.5**step


class Slower(schedules.StepLR):
    """A user's own, with the constructor of ours."""


class Tenth(schedules.StepLR):
    """A user's own, with a constructor of its own."""

    def __init__(self, every: int = 3) -> None:
        super().__init__(0.1, every)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: schedules.LinearLR(start_factor=0.1), r"^lr: expected LinearLR\(lr, .*, got LinearLR\(start_factor=0.1\); lr is first"),
        (lambda: schedules.StepLR(30, gamma=0.1), r"^step_size: expected StepLR\(lr, step_size, .*\(30, gamma=0.1\); lr is first"),
        (schedules.StepLR, r"^lr: expected StepLR\(lr, step_size, \.\.\.\), got StepLR\(\); lr is first"),
        (Slower, r"^lr: expected Slower\(lr, step_size, \.\.\.\), got Slower\(\); lr is first"),
        (schedules.SequentialLR, r"^schedules: expected SequentialLR\(.*, got SequentialLR\(\)$"),
        (lambda: schedules.SequentialLR(milestones=[3]), r"^schedules: expected SequentialLR\(.*, got SequentialLR\(milestones=\[3\]\)$"),
        (lambda: Halving(rate=3), "^Halving: expected no argument, as it has no __init__, got 1; remove it"),  # it was taken
    ],
)
def test_what_is_missing_is_named(call: Callable[[], object], words: str) -> None:
    with pytest.raises(TypeError, match=words):
        call()


def test_copies_are_made() -> None:
    for one in (Halving(), schedules.StepLR(0.1, 3), Slower(0.1, step_size=3), Tenth(), Tenth(4), schedules.StepLR(lr=0.1, step_size=3)):
        assert copy.deepcopy(one)(3) == pickle.loads(pickle.dumps(one))(3) == one(3)


@pytest.mark.parametrize("name", sorted(schedules.__all__))
def test_none_needs_an_argument_that_only_python_names(name: str) -> None:
    kind = getattr(schedules, name)
    if not isinstance(kind, type) or kind is schedules.Schedule:
        return
    with pytest.raises(TypeError, match=rf"expected {name}\("):
        kind()
