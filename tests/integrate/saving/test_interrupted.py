"""A run with checkpoint= that Ctrl-C or an error ends long before step 1000 goes on from the file. Oracle: the run that nobody stops."""

import math
import time

import numpy as np
import pytest

import mflow


class Stops:
    """A function that raises once, when t has come so far. Its first calls take as long as those of runs that are worth a file."""

    def __init__(self, fun, t, error):
        self.fun, self.t, self.error, self.calls = fun, t, error, 0

    def __call__(self, t, *state):
        self.calls += 1
        if self.calls <= 16:
            time.sleep(0.002)
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
