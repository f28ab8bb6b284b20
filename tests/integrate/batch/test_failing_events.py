"""What an event, or its action, raises: the reason and the words say so; and a batch in which all do is printed in short."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import mflow

pytestmark = pytest.mark.filterwarnings("ignore:no trajectory took a step:RuntimeWarning")  # where all members are made to fail


def half(t: float, y: Any) -> Any:
    return y[0] - 0.5


def acting(t: float, y: Any) -> Any:
    return y[0] - 0.5


def refuses(t: float, y: Any) -> Any:
    raise KeyError("no")


acting.action = refuses  # type: ignore[attr-defined]


@pytest.mark.parametrize("how", [{}, {"method": "rk4", "dt": 0.1}, {"method": "radau5"}], ids=str)
@pytest.mark.parametrize(
    ("event", "args", "words"),
    [
        (half, (1.0,), "an event raised TypeError at t = 0 after 0 steps: half"),
        (refuses, (), "an event raised KeyError at t = "),
        (acting, (), "the action of an event raised KeyError at t = "),
    ],
)
def test_the_event_is_blamed(event: Any, args: Any, words: str, how: Any) -> None:
    """It was "rhs_failed", without a word on events."""
    with pytest.raises((TypeError, KeyError)) as caught:
        mflow.solve_ivp(lambda t, y, *k: -y, (0, 2), [1.0], args=args, events=event, **how)
    found = caught.value.partial_result  # type: ignore[union-attr]
    assert found.reason == "event_failed"
    assert found.message.startswith(words)


def test_a_right_hand_side_beside_an_event_is_blamed_for_its_own() -> None:
    def broken(t: float, y: Any) -> Any:
        raise KeyError("no")

    with pytest.raises(KeyError) as caught:
        mflow.solve_ivp(broken, (0, 2), [1.0], events=half)
    assert caught.value.partial_result.reason == "rhs_failed"  # type: ignore[attr-defined]
    assert caught.value.partial_result.message.startswith("KeyError at t = 0")  # type: ignore[attr-defined]


def test_a_batch_says_event_and_is_printed_in_short() -> None:
    """It printed each of its messages and errors, 9 kB of 50 trajectories."""
    r = mflow.solve_ivp_batch(lambda t, y, k: -k * y, (0, 2), np.ones((50, 1)), batch_args=np.linspace(0.5, 2.0, 50), events=half)
    assert r.reason == ["event_failed"] * 50
    assert "50 event_failed" in r.message
    assert isinstance(r.errors[7], TypeError)
    assert len(r.messages) == 50
    assert "0: 'an event raised TypeError" in str(r)
    assert "49: 'an event raised TypeError" in str(r)
    assert "20: " not in str(r)
    assert len(str(r)) < 2500


def test_a_batch_whose_trajectories_all_end_at_an_event_says_that() -> None:
    """It was "0 of 3 trajectories finished; 3 event (...)", which reads as a failure."""

    def ends(t: float, y: Any, k: float) -> Any:
        return y[0] - 0.5

    ends.terminal = True  # type: ignore[attr-defined]
    r = mflow.solve_ivp_batch(lambda t, y, k: -k * y, (0, 5), np.ones((3, 1)), batch_args=[1.0, 2.0, 3.0], events=ends, rtol=1e-8)
    assert r.success
    assert r.message.startswith("3 of 3 trajectories ended at an event (trajectory 0: ")
    np.testing.assert_allclose(r.t, np.log(2.0) / np.array([1.0, 2.0, 3.0]), rtol=1e-6)
    some = mflow.solve_ivp_batch(lambda t, y, k: -k * y, (0, 0.5), np.ones((3, 1)), batch_args=[1.0, 2.0, 3.0], events=ends)
    assert some.message.startswith("1 of 3 trajectories finished; 2 event (trajectories 1, 2: ")


@pytest.mark.parametrize("args", [[1.0, 2.0, 3.0], ([1.0, 2.0, 3.0],), (np.array([1.0, 2.0, 3.0]),)], ids=str)
def test_arguments_of_each_trajectory_given_as_args_lead_to_batch_args(args: Any) -> None:
    """The habit of a sweep: each trajectory failed with words about shapes or numbers of arguments alone."""
    r = mflow.solve_ivp_batch(lambda t, y, k: -k * y, (0, 1), np.ones((3, 1)), args=args)
    assert r.reason == ["rhs_failed"] * 3
    assert "give what each has of its own by batch_args=" in r.message


def test_other_failures_do_not_speak_of_batch_args() -> None:
    r = mflow.solve_ivp_batch(lambda t, y, k: refuses(t, y), (0, 1), np.ones((3, 1)), args=(1.0,))
    assert r.reason == ["rhs_failed"] * 3
    assert "batch_args" not in r.message


def test_outputs_that_fail_are_in_the_message() -> None:
    r = mflow.solve_ivp_batch(lambda t, y: -y, (0, 1), np.ones((3, 1)), "tsit5", outputs=lambda t, y: "text")
    assert r.reason == ["finished"] * 3
    assert sorted(r.errors) == [0, 1, 2]
    assert "3 without outputs (trajectories 0, 1, 2: TypeError: outputs: expected numbers" in r.message
