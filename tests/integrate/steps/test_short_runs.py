"""Runs that are asked for their steps alone begin without what longer ones need. Whatever they meet, they are as those that have it all."""

import contextlib
import inspect
import math
import warnings

import numpy as np
import pytest
from scipy.integrate import solve_ivp as by_scipy

import mflow
import mflow.integrate.ivp

PLAIN = {"rtol": 1e-6, "atol": 1e-9}


def root(t, y):
    return -np.sqrt(y)


def gives_up(t, y):
    if t > 0.3:
        raise ZeroDivisionError("no more")
    return -y


def shorter(t, y):
    if y[0] < 0.5:
        raise mflow.Recoverable
    return -y


RUNS = {
    "short": (lambda t, y: -y, (0.0, 1e-3), [1.0, 2.0, 3.0]),
    "longer": (lambda t, y: [y[1], -y[0]], (0.0, 200.0), [1.0, 0.0]),
    "backwards": (lambda t, y: y * np.cos(t), (2.0, -1.0), [1.0]),
    "nowhere": (lambda t, y: y, (1.0, 1.0), [1.0, 2.0]),
    "stiff": (lambda t, y: -1e4 * (y - math.cos(t)), (0.0, 2.0), [0.0]),
    "runs off": (lambda t, y: y * y, (0.0, 2.0), [1.0]),
    "no slope at the start": (lambda t, y: y / (t - t), (0.0, 1.0), [1.0]),
    "leaves the domain": (root, (0.0, 4.0), [1.0]),
    "a shelf": (shorter, (0.0, 2.0), [1.0]),
    "a pole of the rate": (lambda t, s: -s / (1e-3 + s), (0.0, 3.0), [1.0]),
    "a relay": (lambda t, y: 0.5 - np.sign(y), (0.0, 3.0), [1.0]),
    "a matrix": (lambda t, y: y @ [[0.0, 1.0], [-1.0, 0.0]], (0.0, 1.0), [[1.0, 0.0], [0.0, 1.0]]),
    "single precision": (lambda t, y: np.float32(-1.0) * y.astype(np.float32), (0.0, 3.0), [1.0]),
}


def told(**more):
    with warnings.catch_warnings(record=True) as seen, np.errstate(all="ignore"):
        warnings.simplefilter("always")
        found = mflow.solve_ivp(**more)
    # where a run is looked at depends on its pace
    return found, [(one.category, "" if one.category is mflow.StiffnessWarning else str(one.message)) for one in seen]


@pytest.mark.parametrize("tolerances", [PLAIN, {}, {"rtol": 1e-9, "atol": 1e-12, "method": "dop853"}, {"method": "bs32"}])
@pytest.mark.parametrize("name", RUNS)
def test_a_run_is_the_same_with_everything_that_longer_ones_need(name, tolerances):
    fun, span, y0 = RUNS[name]
    asked = []

    def counted(t, y):
        asked.append(t)
        return fun(t, y)

    short, words = told(fun=counted, t_span=span, y0=y0, **tolerances)
    count = len(asked)
    full, same_words = told(fun=counted, t_span=span, y0=y0, max_steps=10**9, **tolerances)
    assert words == same_words
    assert count == len(asked) - count
    assert sorted(short) == sorted(full)
    for field in full:
        np.testing.assert_array_equal(short[field], full[field], err_msg=field)


def test_an_exception_on_the_way_takes_what_was_computed_along():
    for more in ({}, {"max_steps": 10**9}):
        with pytest.raises(ZeroDivisionError, match="no more") as caught:
            mflow.solve_ivp(gives_up, (0.0, 1.0), [1.0, 2.0], max_step=None, **PLAIN, **more)
        partial = caught.value.partial_result
        assert partial.reason == "rhs_failed"
        assert 0.0 < partial.t[-1] <= 0.3
        assert np.allclose(partial.y, np.array([[1.0], [2.0]]) * np.exp(-partial.t), rtol=1e-6)
        assert any("in mflow.solve_ivp" in note for note in caught.value.__notes__)


def test_a_run_of_a_few_steps_can_be_examined():
    found = mflow.solve_ivp(lambda t, y: y, (0.0, 1.0), [1.0], **PLAIN)
    assert found.nsteps < 30
    assert found.posedness().verdict == "ill-posed"
    assert math.isclose(found.y[0, -1], math.e, rel_tol=1e-5)


def test_any_other_argument_makes_a_run_that_has_it_all(monkeypatch):
    """A short run takes these alone: another that it does not know of would be without effect."""
    taken = {"fun", "t_span", "y0", "method", "rtol", "atol", "args", "inplace", "parameters"}
    short = []
    monkeypatch.setattr(mflow.integrate.ivp, "_short", lambda *given: short.append(given))
    mflow.solve_ivp(lambda t, y: -y, (0.0, 1.0), [1.0])
    assert len(short) == 1
    for name in [one for one in inspect.signature(mflow.solve_ivp).parameters if one not in taken]:
        with contextlib.suppress(Exception):  # what it is refused with is not asked here
            mflow.solve_ivp(lambda t, y: -y, (0.0, 1.0), [1.0], **{name: object()})
        assert len(short) == 1, name


def test_arguments_of_functions_and_functions_that_fill():
    def into(t, y, out, k):
        out[:] = -k * y

    found = mflow.solve_ivp(into, (0.0, 1.0), [1.0, 3.0], args=(2.0,), inplace=True, **PLAIN)
    theirs = by_scipy(lambda t, y: -2.0 * y, (0.0, 1.0), [1.0, 3.0], rtol=1e-10, atol=1e-12)
    assert np.allclose(found.y[:, -1], theirs.y[:, -1], rtol=1e-5)
    with pytest.raises(TypeError, match="method: expected a name or an instance"):
        mflow.solve_ivp(into, (0.0, 1.0), [1.0], mflow.RK4)
    with pytest.raises(ValueError, match="rtol"):
        mflow.solve_ivp(into, (0.0, 1.0), [1.0], rtol=-1.0)
    with pytest.raises(TypeError, match="no argument"):
        mflow.solve_ivp(into, (0.0, 1.0), [1.0], rtoll=1.0)
