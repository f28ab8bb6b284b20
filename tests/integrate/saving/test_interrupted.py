"""A run with checkpoint= that Ctrl-C or an error ends long before step 1000 goes on from the file. Oracle: the run that nobody stops."""

import math

import numpy as np
import pytest

import mflow
from mflow.integrate import checkpoint
from mflow.integrate.drive import Drive


@pytest.fixture(autouse=True)
def in_pieces_of_four(monkeypatch):
    """Without this the clock decides where a run is cut: a short one is over before a file is due."""
    steps = Drive._steps
    monkeypatch.setattr(Drive, "_steps", lambda self, count: steps(self, min(count, 4)))


class Stops:
    """A function that raises once, when t has come so far."""

    def __init__(self, fun, t, error):
        self.fun, self.t, self.error = fun, t, error

    def __call__(self, t, *state):
        if t > self.t:
            self.t = math.inf
            raise self.error
        return self.fun(t, *state)


def swing(t, y):
    return np.array([y[1], -math.sin(y[0]) - 0.1 * y[1]])


@pytest.mark.parametrize("options", [{"method": "dopri5"}, {"method": "radau5"}, {"method": "auto"}, {"method": "rk4", "dt": 0.05}])
@pytest.mark.parametrize("error", [KeyboardInterrupt(), ZeroDivisionError()])
def test_it_has_the_same_bits(tmp_path, options, error):
    path = tmp_path / "run"
    whole = mflow.solve_ivp(swing, (0, 9), [2.0, 0.0], **options)
    with pytest.raises(type(error)):
        mflow.solve_ivp(Stops(swing, 4.0, error), (0, 9), [2.0, 0.0], checkpoint=path, **options)
    again = mflow.solve_ivp(swing, (0, 9), [2.0, 0.0], resume=path, **options)
    for name in ("t", "y", "nfev", "nsteps"):
        assert np.array_equal(again[name], whole[name]), name


def test_so_has_a_motion(tmp_path):
    path = tmp_path / "run"

    def force(t, x, v):
        return -np.sin(x)

    call, options = ([1.0], None, None, None, (0, 9), [1.0], [0.0]), {"dt": 0.1, "method": "leapfrog"}
    whole = mflow.solve_dynamics(*call, force=force, **options)
    with pytest.raises(KeyboardInterrupt):
        mflow.solve_dynamics(*call, force=Stops(force, 4.0, KeyboardInterrupt()), checkpoint=path, **options)
    again = mflow.solve_dynamics(*call, force=force, resume=path, **options)
    assert again.x.tobytes() == whole.x.tobytes()


@pytest.mark.parametrize(("writing", "apart"), [(0.0, 5.0), (0.1, 5.0), (1.0, 20.0)])
def test_files_are_five_seconds_apart_and_take_a_twentieth_of_the_time_at_most(tmp_path, monkeypatch, writing, apart):
    """By a clock of its own: half a second an evaluation, two a step, and `writing` for each file."""
    now, written = [0.0], []

    def write(*given):
        written.append(now[0])
        now[0] += writing

    def slope(t, y):
        now[0] += 0.5
        return -y

    monkeypatch.setattr(checkpoint.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(checkpoint, "write_state", write)
    mflow.solve_ivp(slope, (0, 6), [1.0], "rk2", dt=0.05, checkpoint=tmp_path / "run")
    first, *rest, last = written
    assert first <= 4.5  # behind the first piece
    assert last == now[0] - writing  # at the end
    between = np.diff([first, *rest]) - writing
    assert len(between) >= 4
    assert np.all((apart <= between) & (between < apart + 4.0 + 0.5))  # a piece is four seconds
