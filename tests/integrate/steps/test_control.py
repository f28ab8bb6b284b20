"""What steers a run from outside: each argument accepted, turned, or refused with its name; the callback; the progress line."""

import builtins
import dataclasses
import importlib
import inspect
import math
import sys
from typing import Any

import numpy as np
import pytest

from mflow.base.progress import Progress, Watcher
from mflow.integrate.control import Settings, check_first_step, check_max_step, check_min_step, check_tolerances

EPS = float(np.finfo(float).eps)


def test_tolerances_become_one_number_or_one_for_each() -> None:
    rtol, atol = check_tolerances(1e-3, 1e-6, (3,))
    assert (rtol.tolist(), atol.tolist()) == ([1e-3], [1e-6])
    rtol, atol = check_tolerances(100 * EPS, [[0, 1, math.inf], [4, 5, 6]], (2, 3))
    assert (rtol.tolist(), atol.tolist()) == ([100 * EPS], [1e-300, 1, math.inf, 4, 5, 6])
    rtol, atol = check_tolerances(np.full(6, 1e-5), 0, (2, 3))
    assert (rtol.shape, atol.tolist(), rtol.dtype) == ((6,), [1e-300], np.float64)  # of 0 no difference has a length
    given = np.array([1e-3, 1e-4])
    rtol, _ = check_tolerances(given, 0.0, (2,))
    given[:] = 1.0  # a copy is kept
    assert rtol.tolist() == [1e-3, 1e-4]


@pytest.mark.parametrize(
    ("rtol", "atol", "error", "text"),
    [
        (0.0, 1e-6, ValueError, r"rtol: .*100 eps.*, got 0\.0"),
        (1e-14, 1e-6, ValueError, "rtol: .*, got 1e-14"),
        (-1.0, 1e-6, ValueError, "rtol"),
        (math.nan, 1e-6, ValueError, "rtol: .*, got nan"),
        (math.inf, 1e-6, ValueError, "rtol: .*, got inf"),
        (1e-3, -1e-9, ValueError, "atol: .*, got -1e-09"),
        (1e-3, math.nan, ValueError, "atol: .*, got nan"),
        (1e-3, math.inf, ValueError, "atol: .*, got infinities alone"),
        ([1e-3, 1e-20], 1e-6, ValueError, r"rtol\[1\]: .*, got 1e-20"),
        (1e-3, [1e-6, -1.0], ValueError, r"atol\[1\]: .*, got -1\.0"),
        (1e-3, [1e-6] * 3, ValueError, r"atol: .* shape \(2,\), got shape \(3,\)"),
        ("small", 1e-6, TypeError, "rtol: .*, got 'small'"),
        (1e-3, None, TypeError, "atol: .*, got None"),
        (True, 1e-6, TypeError, "rtol: .*, got True"),
        (1e-3j, 1e-6, TypeError, "rtol"),
    ],
)
def test_tolerances_that_are_refused(rtol: Any, atol: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        check_tolerances(rtol, atol, (2,))


def test_first_step() -> None:
    assert check_first_step(None, 0, 1) is None
    assert check_first_step(0.5, 1, 0) == 0.5
    assert check_first_step(1, 0, 1) == 1.0
    assert check_first_step(0.5, 3, 3) == 0.5
    for bad in (0, -0.1, math.nan, math.inf, 1.5):
        with pytest.raises(ValueError, match="first_step"):
            check_first_step(bad, 0, 1)
    with pytest.raises(TypeError, match=r"first_step: .*, got 'x'"):
        check_first_step("x", 0, 1)


def test_max_step() -> None:
    assert check_max_step(None) == check_max_step(math.inf) == math.inf
    assert check_max_step(2) == 2.0
    bound = check_max_step(lambda t, y: t + y[0])
    assert callable(bound)
    assert bound(1.0, np.array([2.0])) == 3.0
    with pytest.raises(ValueError, match=r"max_step\(t, y\) at t = -3: .*, got -2\.0"):
        bound(-3.0, np.array([1.0]))
    for bad in (0, -1, math.nan):
        with pytest.raises(ValueError, match="max_step"):
            check_max_step(bad)
    for worse in ("x", [1.0, 2.0]):
        with pytest.raises(TypeError, match="max_step"):
            check_max_step(worse)
    nothing = check_max_step(lambda t, y: None)
    assert callable(nothing)
    with pytest.raises(TypeError, match=r"at t = 0: .*, got None"):
        nothing(0.0, np.zeros(1))


def test_min_step() -> None:
    assert check_min_step(None) == check_min_step(0) == 0.0
    assert check_min_step(0.5, 0.5) == 0.5
    assert check_min_step(5, lambda t, y: 1.0) == 5.0
    for bad, largest in ((-1, math.inf), (math.nan, math.inf), (math.inf, math.inf), (2.0, 1.0)):
        with pytest.raises(ValueError, match="min_step"):
            check_min_step(bad, largest)


def test_the_callback_sees_a_read_only_state_and_says_when_to_stop() -> None:
    seen = []

    def callback(t: float, y: Any) -> Any:
        seen.append((t, y))
        return {1.0: None, 2.0: False, 3.0: True, 4.0: np.True_, 5.0: np.False_}[t]

    watcher = Watcher(callback)
    assert [watcher(t, np.array([t])) for t in (1.0, 2.0, 3.0, 4.0, 5.0)] == [False, False, True, True, False]
    assert [y[0] for _, y in seen] == [1.0, 2.0, 3.0, 4.0, 5.0]
    with pytest.raises(ValueError, match="read-only"):
        seen[0][1][0] = 7.0


def test_callbacks_that_stop_otherwise_or_err() -> None:
    def stops(t: float, y: Any) -> None:
        raise StopIteration

    assert Watcher(stops)(0.0, np.zeros(1))
    for answer in (1, np.zeros(1), "yes"):
        with pytest.raises(TypeError, match=r"True \(stop\)"):
            Watcher(lambda t, y, answer=answer: answer)(0.0, np.zeros(1))
    with pytest.raises(TypeError, match="got int"):
        Watcher(3)  # type: ignore[arg-type]
    with pytest.raises(ZeroDivisionError):
        Watcher(lambda t, y: 1 / 0)(0.0, np.zeros(1))


def test_the_plain_progress_line(capsys: pytest.CaptureFixture[str]) -> None:
    bar = Progress(2.0, 0.0, "run", plain=True)
    for t in np.linspace(2.0, 1.0, 5000):
        bar.update(float(t))
    assert bar.share == 0.5
    bar.update(1.5)  # never back
    assert bar.share == 0.5
    bar.close(0.5)
    bar.close()
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("\rrun:   0%, t = 2")
    assert err.endswith("run:  75%, t = 0.5\n")
    assert err.count("\r") < 50  # not a line for each call


def test_progress_that_was_never_told_anything_prints_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with Progress(0.0, 1.0, plain=True):
        pass
    with Progress(1.0, 1.0, plain=True) as bar:
        bar.update(1.0)
        assert bar.share == 1.0
    assert capsys.readouterr().err == "\rsolve_ivp: 100%, t = 1\n"


def test_tqdm_is_used_where_it_is_installed(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("tqdm")
    with Progress(0.0, 4.0, "run") as bar:
        for t in (1.0, 2.0, 4.0):
            bar.update(t)
    err = capsys.readouterr().err
    assert "run: 100%|" in err
    assert "t = 4" in err


def test_without_tqdm_the_plain_line_is_written(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    real = builtins.__import__

    def importer(name: str, *args: Any, **kwargs: Any) -> Any:
        if name == "tqdm":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.delitem(sys.modules, "tqdm", raising=False)
    monkeypatch.setattr(builtins, "__import__", importer)
    with Progress(0.0, 1.0, "run") as bar:
        bar.update(0.25)
    assert capsys.readouterr().err == "\rrun:  25%, t = 0.25\n"


# ---- what drivers hand over ------------------------------------------------------------------------------------------------------------

MADE_OVER = {"mass", "solver"}  # what a run is told of these is another object
FIELDS = {field.name for field in dataclasses.fields(Settings)} - MADE_OVER
DRIVERS = {
    "solve_ivp": ("mflow.integrate.ivp", "Drive", {"fun": lambda t, y: -y, "t_span": (0.0, 1.0), "y0": [1.0], "first_step": 0.1}),
    "solve_dynamics": ("mflow.dynamics.solve", "Motion", {"stiffness": 1.0, "t_span": (0.0, 1.0)}),
}
ARGUMENTS = [
    (driver, name)
    for driver, (module, _, _) in DRIVERS.items()
    for name in inspect.signature(getattr(importlib.import_module(module), driver)).parameters
    if name in FIELDS
]


class SeenError(Exception):
    """In place of a run."""


@pytest.mark.parametrize(("driver", "name"), ARGUMENTS)
def test_every_argument_of_a_driver_reaches_its_run(monkeypatch: pytest.MonkeyPatch, driver: str, name: str) -> None:
    module, drive, call = DRIVERS[driver]
    seen: list[Settings] = []

    def stop(*given: Any, **more: Any) -> None:
        seen.extend(one for one in given if isinstance(one, Settings))
        raise SeenError

    monkeypatch.setattr(f"{module}.{drive}", stop)
    default = inspect.signature(getattr(importlib.import_module(module), driver)).parameters[name].default
    value: Any = True if default is False else object()
    with pytest.raises(SeenError):
        getattr(importlib.import_module(module), driver)(**{**call, name: value})
    assert getattr(seen[0], name) is value


FLAGS = [
    (driver, name)
    for driver, (module, _, _) in DRIVERS.items()
    for name, one in inspect.signature(getattr(importlib.import_module(module), driver)).parameters.items()
    if one.default is False
]


@pytest.mark.parametrize(("driver", "name"), FLAGS)
def test_every_flag_is_true_or_false(driver: str, name: str) -> None:
    module, _, call = DRIVERS[driver]
    with pytest.raises(TypeError, match=f"{name}: expected True or False, got None"):
        getattr(importlib.import_module(module), driver)(**call, **{name: None})


def test_settings_have_no_other_names() -> None:
    with pytest.raises(TypeError, match="steps_between"):
        Settings(steps_between=3)  # type: ignore[call-arg]
