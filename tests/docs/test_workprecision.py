"""`bench/workprecision.py`: what it measures, what it says, what it draws, and what it refuses."""

from __future__ import annotations

import importlib.util
import math
import sys

import pytest

from mflow import methods
from mflow.testproblems import get_problem
from support.places import ROOT

spec = importlib.util.spec_from_file_location("workprecision", ROOT / "bench" / "workprecision.py")
workprecision = importlib.util.module_from_spec(spec)
sys.modules["workprecision"] = workprecision  # its dataclass looks there for its annotations
spec.loader.exec_module(workprecision)
Point, at_error, contenders, main = (getattr(workprecision, name) for name in ("Point", "at_error", "contenders", "main"))
measure, picture, table = (getattr(workprecision, name) for name in ("measure", "picture", "table"))

pytest.importorskip("matplotlib")


def ladder(*pairs, method="RK45", library="SciPy", problem="A1"):
    return [Point(problem, method, library, 0.1**k, error, seconds, int(1e3 * seconds)) for k, (error, seconds) in enumerate(pairs)]


def test_every_method_with_an_error_estimate_takes_part():
    names = {m.name for m in methods() if "embedded" in m.flags and "second_order" not in m.flags}
    found = set(contenders(stiff=False)) | set(contenders(stiff=True))
    assert names <= found
    assert not {m.name for m in methods(family="second_order")} & found  # they do not solve y' = f
    assert not set(contenders(stiff=False)) & set(contenders(stiff=True)) - {"LSODA"}
    assert all({"implicit", "needs_rho"} & m.flags for m in methods() if m.name in contenders(stiff=True))


def test_points_are_what_scipy_computes():
    from scipy.integrate import solve_ivp

    points = list(measure(["B5"], ["RK45"], [1e-6, 1e-4]))
    assert [p.tol for p in points] == [1e-4, 1e-6]
    what = get_problem("B5")
    for point in points:
        r = solve_ivp(what.fun, what.t_span, what.y0, rtol=point.tol, atol=point.tol)
        assert point.nfev == r.nfev
        assert point.error == pytest.approx(what.error(r.y[:, -1]), rel=1e-9)
        assert 0 < point.seconds < 10


def test_a_run_that_fails_is_no_point_but_a_note():
    """SciPy's Radau loses Robertson's problem at this tolerance."""
    (point,) = measure(["robertson"], ["Radau"], [1e-3])
    assert math.isnan(point.error)
    assert "! Radau on robertson" in table([point])


def test_at_error():
    runs = ladder((1e-2, 1.0), (1e-4, 4.0), (1e-6, 64.0))
    assert at_error(runs, 1e-3) == pytest.approx(2.0)
    assert at_error(runs, 1e-4) == pytest.approx(4.0)
    assert at_error(runs, 1e-5, "nfev") == pytest.approx(16_000)
    assert math.isnan(at_error(runs, 1e-7))
    assert math.isnan(at_error(runs, 1e-1))
    runs = ladder((1e-2, 1.0), (1e-5, 9.0), (1e-3, 10.0), (1e-5, 12.0))  # the cheapest of the crossings counts
    assert 1.0 < at_error(runs, 1e-4) < 9.0


def test_table_and_picture(tmp_path):
    points = [*ladder((1e-3, 0.01), (1e-5, 0.02)), *ladder((1e-3, 0.001), (1e-9, 2.0), method="dopri5", library="mflow")]
    text = table(points)
    assert text.splitlines()[0] == "A1: exponential decay"
    assert "14.14 ms" in text
    figure = picture(points)
    left, right = figure.axes
    assert [axis.get_xlabel() for axis in (left, right)] == ["time (s)", "evaluations of the right-hand side"]
    scipy, own = left.get_lines()
    assert scipy.get_color() == own.get_color()  # the same pair
    assert scipy.get_marker() == own.get_marker()
    assert scipy.get_linestyle() != own.get_linestyle()
    assert scipy.get_markerfacecolor() != own.get_markerfacecolor()
    assert {text.get_text() for text in right.get_legend().get_texts()} == {"RK45 (SciPy)", "dopri5"}
    figure.savefig(tmp_path / "x.png")


def test_looks_differ():
    points = [p for k in range(11) for p in ladder((1e-3, 1.0), (1e-5, 2.0), method=f"m{k}", library="mflow")]
    lines = picture(points).axes[0].get_lines()
    looks = {(line.get_color(), line.get_marker()) for line in lines}
    assert len(looks) == len(lines) == 11
    assert len({line.get_marker() for line in lines}) == 11  # in grey too


def test_the_defaults_can_run():
    """Each method that would take part on each problem does, down to one loose tolerance."""
    for name in workprecision.PROBLEMS:
        stiff = get_problem(name).stiff
        own = [m.name for m in workprecision.adaptive() if m.name in contenders(stiff)]
        points = list(measure([name], own, [1e-2]))
        assert [point.method for point in points] == own


def test_command(tmp_path, capsys):
    out = tmp_path / "wp.png"
    assert main(["--problems", "A1", "--methods", "RK45", "--quick", "--out", str(out)]) == 0
    assert out.read_bytes().startswith(b"\x89PNG")
    assert "A1: exponential decay" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--problems", "nothing"], "--problems nothing: there are lorenz"),
        (["--methods", "rk4"], "--methods rk4: no adaptive method; there are"),
        (["--problems", "hires", "--methods", "RK45"], "none of them suits"),
        (["--out", "x.txt"], "must end in .png"),
        (["--out", "nowhere/x.png"], "there is no folder nowhere"),
    ],
)
def test_mistakes_are_named_before_the_work(arguments, said, capsys):
    assert main([*arguments]) == 2
    assert said in capsys.readouterr().err


def test_without_scipy(monkeypatch, capsys):
    found = importlib.util.find_spec
    monkeypatch.setattr(workprecision.importlib.util, "find_spec", lambda name: None if name == "scipy" else found(name))
    assert main([]) == 2
    assert "scipy is not installed" in capsys.readouterr().err
