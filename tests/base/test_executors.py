"""Work in pieces on an executor: the same numbers as here, and a lost piece costs its own entries alone, whatever the batch is of."""

from __future__ import annotations

import pickle
import threading
from concurrent import futures
from multiprocessing.reduction import ForkingPickler
from typing import Any

import numpy as np
import pytest

import mflow
from mflow.base.executors import Lost, in_pieces
from mflow.base.progress import Progress

COUNT = 12


class Losing(futures.Executor):
    """Sends work through pickle and runs it at once; the piece of this number is lost, as with a worker that was killed."""

    _max_workers = 1

    def __init__(self, lost: int | None = None) -> None:
        self.lost, self.sent = lost, 0

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> futures.Future[Any]:
        future: futures.Future[Any] = futures.Future()
        number, self.sent = self.sent, self.sent + 1
        if number == self.lost:
            future.set_exception(RuntimeError("the worker was killed"))
            return future
        fn, args, kwargs = pickle.loads(pickle.dumps((fn, args, kwargs)))
        try:
            future.set_result(pickle.loads(pickle.dumps(fn(*args, **kwargs))))
        except Exception as error:
            future.set_exception(error)
        return future


def decay(t: float, y: Any) -> Any:
    return -y


def trajectories(**where: Any) -> Any:
    return mflow.solve_ivp_batch(decay, (0, 1), np.linspace(1, 2, COUNT)[:, None], "rk4", dt=0.1, **where)


def descents(**where: Any) -> Any:
    starts = np.linspace(0.5, 1.5, COUNT)[:, None] * np.ones(2)
    return mflow.minimize_batch(mflow.objectives.Rosenbrock(2), starts, "adam", lr=1e-2, maxiter=20, **where)


def fits(**where: Any) -> Any:
    t, rates = np.linspace(0, 4, 30), np.linspace(0.5, 2, COUNT)
    data = 2 * np.exp(-rates[:, None] * t) + 0.5
    curve = mflow.objectives.curve("exponential", t, data[0])
    return mflow.least_squares_batch(curve, np.ones((COUNT, 3)), batch_data={"y": data}, errors=True, **where)


def motions(**where: Any) -> Any:
    each = {"stiffness": list(np.linspace(1, 4, COUNT))}
    return mflow.solve_dynamics_batch(1.0, t_span=(0, 1), x0=np.ones((COUNT, 1)), dt=0.05, each=each, **where)


BATCHES = [trajectories, descents, fits, motions]


@pytest.mark.parametrize("run", BATCHES)
def test_the_same_numbers(run: Any) -> None:
    here, sent = run(), run(executor=Losing())
    assert pickle.dumps({name: value for name, value in sent.items() if isinstance(value, np.ndarray)}) == pickle.dumps(
        {name: value for name, value in here.items() if isinstance(value, np.ndarray)}
    )
    assert sent.reason == here.reason
    assert sent.message == here.message


@pytest.mark.parametrize("run", BATCHES)
def test_a_lost_piece_costs_its_entries_alone(run: Any) -> None:
    here, sent = run(), run(executor=Losing(2))
    lost = np.array([reason == "executor_failed" for reason in sent.reason])
    assert 0 < lost.sum() < COUNT / 2
    assert np.array_equal(np.flatnonzero(lost), np.arange(2 * lost.sum(), 3 * lost.sum()))
    assert [reason for reason in sent.reason if reason != "executor_failed"] == [
        reason for reason, gone in zip(here.reason, lost, strict=True) if not gone
    ]
    for name in ("x", "y"):
        if name in here:
            assert np.array_equal(sent[name][~lost], here[name][~lost])
    assert not sent.success


def test_basins_say_which_starts_were_lost() -> None:
    grid = np.linspace(-2, 2, 4)
    arguments = (lambda c: (c**2 - 1) * c, (grid, grid))
    here = mflow.basins(*arguments, dt=0.1)
    with futures.ThreadPoolExecutor(2) as pool:
        threads = mflow.basins(*arguments, dt=0.1, executor=pool)
    assert np.array_equal(here.labels, threads.labels)
    with pytest.warns(RuntimeWarning, match="the executor lost 4 of 16 starts") as told:
        sent = mflow.basins(mflow.objectives.Rosenbrock(2), (grid, grid), method="euler", dt=1e-3, executor=Losing(0))
    assert len(told) == 1
    assert sent.reasons[:4] == ["executor_failed"] * 4
    assert "executor_failed" not in sent.reasons[4:]
    assert (sent.labels.ravel()[:4] == -1).all()


def square(part: list[int]) -> list[int]:
    if 7 in part:
        raise ZeroDivisionError("seven")
    return [k * k for k in part]


def test_what_the_work_raises_comes_through_and_the_rest_is_called_off() -> None:
    with futures.ThreadPoolExecutor(1) as pool, pytest.raises(ZeroDivisionError, match="seven"):
        list(in_pieces(pool, square, lambda part: list(range(part.start, part.stop)), 100, Progress(0.0, 0.0, shown=False)))


def test_pieces_cover_everything_once_in_whole_multiples() -> None:
    with futures.ThreadPoolExecutor(3) as pool:
        answers = list(in_pieces(pool, len, lambda part: range(part.start, part.stop), 101, Progress(0.0, 0.0, shown=False), multiple=8))
    assert sorted(k for part, _ in answers for k in range(part.start, part.stop)) == list(range(101))
    assert all(part.start % 8 == 0 for part, _ in answers)
    assert all(count == part.stop - part.start for part, count in answers)


def test_a_broken_pool_gives_lost_pieces() -> None:
    pool = futures.ThreadPoolExecutor(1)
    pool._broken = "gone"  # as after a failed initializer
    answers = list(in_pieces(pool, len, lambda part: range(part.start, part.stop), 4, Progress(0.0, 0.0, shown=False)))
    assert len(answers) == 4
    assert all(isinstance(answer, Lost) and "gone" in answer.message for _, answer in answers)


@pytest.mark.parametrize("run", BATCHES)
def test_no_executor_is_named(run: Any) -> None:
    with pytest.raises(TypeError, match=r"executor: expected a concurrent\.futures\.Executor \(an object with submit\), got 4"):
        run(executor=4)


def fails_at_once(part: range) -> None:
    raise ZeroDivisionError("at once")


def test_a_pool_of_processes_ends_after_an_error() -> None:
    """It waited for ever for pieces that had been called off, in one of some runs."""
    for _ in range(8):
        with futures.ProcessPoolExecutor(2) as pool, pytest.raises(ZeroDivisionError):
            list(in_pieces(pool, fails_at_once, lambda part: range(part.start, part.stop), 64, Progress(0.0, 0.0, shown=False)))


def shifted(t: float, y: Any, by: Any) -> Any:
    return -y


class OfPools:
    def __reduce__(self) -> Any:
        raise pickle.PicklingError("pickle cannot")


def test_what_does_not_pickle_is_named_and_never_meets_the_pool() -> None:
    """Inside the pool its queue's thread would find out, and may then wait for ever with the one that shuts it down."""

    class Watched(futures.ProcessPoolExecutor):
        def submit(self, *args: object, **kwargs: object) -> futures.Future:
            pytest.fail("submitted")

    with Watched(1) as pool, pytest.raises(TypeError, match=r"executor: fun, events, jac, .*top level of a module"):
        mflow.solve_ivp_batch(lambda t, y: -y, (0, 1), np.ones((3, 3)), "rk4", dt=0.1, executor=pool)
    ForkingPickler.register(OfPools, lambda one: (OfPools, ()))  # of the pool's own pickler alone, as sockets are
    with futures.ProcessPoolExecutor(1) as pool:
        assert mflow.solve_ivp_batch(shifted, (0, 1), np.ones((3, 3)), "rk4", dt=0.1, args=(OfPools(),), executor=pool).success
    late: list[object] = [0.0, 0.0, threading.Lock()]  # the first pieces could be sent
    with futures.ProcessPoolExecutor(1) as pool, pytest.raises(TypeError, match=r"cannot be sent to another process \(cannot pickle"):
        mflow.solve_ivp_batch(shifted, (0, 1), np.ones((3, 3)), "rk4", dt=0.1, batch_args=late, executor=pool)
