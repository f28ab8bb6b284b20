"""The `mflow` command, run in process: what it prints, writes and refuses."""

import builtins
import json
import math
import platform
import re
import struct
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mflow
from mflow.__main__ import main as entry_point
from mflow.cli.commands import main
from mflow.experiments import compare as job

METHODS = [m for m in mflow.methods() if job.applicable(m)]
LARGE = [m.name for m in METHODS if m.kind == "step" and m.is_implicit]  # all of them are A-stable
UPDATES = [m.name for m in METHODS if m.kind == "update"]
ONE_OF_EACH = [word for name in {m.family: m.name for m in METHODS}.values() for word in ("--method", name)]  # family
PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture(autouse=True)
def in_tmp_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    return tmp_path


def run_json(*arguments: str) -> Any:
    """What --json writes, without a picture."""
    assert main(["compare", "--no-plot", "--json", "result.json", *arguments]) == 0
    return json.loads(Path("result.json").read_text())


def by_key(result: Any) -> dict[tuple[str, str], Any]:
    return {(run["method"], run["batch"]): run for run in result["runs"]}


def table_rows(text: str) -> list[list[str]]:
    names = {m.name for m in mflow.methods()}
    return [line.split() for line in text.splitlines() if line.split()[:1] and line.split()[0] in names]


# ---- the default job ----------------------------------------------------------------------------------------------------------------


def test_default_lists_every_applicable_method_and_draws(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", "--max-iter", "2"]) == 0
    out, err = capsys.readouterr()
    full, mini = out.split("Minibatches of 32 rows")
    full, large = full.split("Full batch, large steps")
    assert [row[0] for row in table_rows(large)] == LARGE
    assert all("100/L" in row for row in table_rows(large))
    assert [row[0] for row in table_rows(full)] == [m.name for m in METHODS]
    assert [row[0] for row in table_rows(mini)] == UPDATES
    assert max(map(len, out.splitlines())) <= 101  # the line that describes the problem may be a little longer than a table
    assert all(word in full for word in ("loss", "accuracy", "evals", "steps", "time", "max lr", "ended"))
    assert "Integrators" in mini
    assert err == ""
    picture = Path("compare.png").read_bytes()
    assert picture[:8] == PNG
    width, height = struct.unpack(">II", picture[16:24])
    assert 1000 < width < 3000
    assert 500 < height < 3000


def test_picture_is_not_blank() -> None:
    from matplotlib.image import imread

    assert main(["compare", "--problem", "quadratic", "--max-iter", "20", "--out", "q.png", *ONE_OF_EACH]) == 0
    pixels = imread("q.png")[..., :3]
    coloured = np.ptp(pixels, axis=2) > 0.2
    assert 0.005 < np.mean(coloured) < 0.5
    assert np.mean(np.all(pixels > 0.99, axis=2)) > 0.5
    middle = pixels.shape[1] // 2
    assert coloured[:, :middle].any()
    assert coloured[:, middle:].any()


def test_implicit_methods_at_large_steps_and_the_paths_of_two_parameters(capsys: pytest.CaptureFixture[str]) -> None:
    """A hundred times 1/L: a step of backward Euler on a quadratic divides by 1 + dt lambda."""
    pytest.importorskip("matplotlib")
    arguments = ["--problem", "rosenbrock", "--max-iter", "60", "--json", "result.json", "--out", "r.png"]
    assert main(["compare", *arguments, *ONE_OF_EACH, "--method", "backward_euler"]) == 0
    assert "Picture of the paths through the plane of the two parameters: r-paths.png" in capsys.readouterr().out
    assert Path("r-paths.png").read_bytes()[:8] == PNG
    runs = by_key(json.loads(Path("result.json").read_text()))
    small, large = runs["backward_euler", "full"], runs["backward_euler", "large"]
    assert large["lr"] == pytest.approx(100.0 * small["lr"])
    assert (large["rule"], large["loss"] < 1e-2 * small["loss"]) == ("100/L", True)
    assert len(large["history"]["x"]) == len(large["history"]["loss"])
    assert large["history"]["x"][-1] == large["x"]
    given = run_json("--problem", "quadratic", "--lr", "0.1", "--max-iter", "2", "--method", "backward_euler")
    assert set(by_key(given)) == {("backward_euler", "full")}


def test_json_has_settings_versions_and_histories() -> None:
    result = run_json("--max-iter", "3", "--seed", "5")
    assert set(result["versions"]) == {"mflow", "numpy", "python"}
    assert result["isa"]
    assert result["settings"]["seed"] == 5
    assert result["settings"]["batch_size"] == 32
    assert result["problem"]["name"] == "penguins"
    runs = by_key(result)
    assert set(runs) == {(m.name, "full") for m in METHODS} | {(m, "large") for m in LARGE} | {(m, "minibatch") for m in UPDATES}
    for run in runs.values():
        history = run["history"]
        assert history.pop("x") == []  # of two parameters alone
        assert len({len(column) for column in history.values()}) == 1
        assert history["loss"][0] == result["problem"]["start_loss"]
        assert history["loss"][-1] == run["loss"]
        assert history["calls"] == sorted(history["calls"])
        assert history["seconds"] == sorted(history["seconds"])
        assert 0.0 <= run["score"] <= 1.0
    steps_a_pass = math.ceil(result["problem"]["n_rows"] / 32)
    for name in UPDATES:
        run = runs[name, "minibatch"]
        assert (run["passes"], run["steps"], run["calls"]) == (3.0, 3 * steps_a_pass, 3 * steps_a_pass)


def test_evaluations_are_counted_as_calls_of_the_cost() -> None:
    runs = by_key(run_json("--problem", "quadratic", "--max-iter", "4"))
    for m in METHODS:
        run = runs[m.name, "full"]
        if m.kind == "step" and m.flags <= {"linear", "ssp"}:
            assert run["calls"] == 4 * m.stages + 1, m.name
        assert run["passes"] == run["calls"]


def test_json_to_standard_output_is_json_alone(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", "--problem", "rosenbrock", "--method", "sgd", "--max-iter", "3", "--json", "-"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["problem"]["name"] == "rosenbrock"
    assert "sgd" in err
    assert "compare.png" in err


def test_same_seed_same_losses_and_another_seed_others() -> None:
    def losses(seed: str) -> list[Any]:
        result = run_json("--max-iter", "3", "--seed", seed, *ONE_OF_EACH)
        return [(run["method"], run["batch"], run["history"]["loss"], run["x"]) for run in result["runs"]]

    first = losses("3")
    assert first == losses("3")
    assert first != losses("4")


@pytest.mark.parametrize("name", ["longley", "engel", "rosenbrock", "quadratic", "misra1a"])
def test_every_kind_of_problem_runs(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", "--problem", name, "--max-iter", "3", "--no-plot"]) == 0
    out = capsys.readouterr().out
    assert [row[0] for row in table_rows(out)][: len(METHODS)] == [m.name for m in METHODS]
    assert ("Minibatches" in out) == (name in ("longley", "engel"))
    assert not Path("compare.png").exists()


def test_gradients_of_the_problems_agree_with_differences() -> None:
    rng = np.random.default_rng(0)
    for name in ("penguins", "longley", "engel", "rosenbrock", "quadratic"):
        problem = job.problem(name)
        x = problem.start + 0.3 * rng.standard_normal(problem.start.shape)
        direction = rng.standard_normal(x.shape)
        slope = (problem.cost(x + 1e-6 * direction)[0] - problem.cost(x - 1e-6 * direction)[0]) / 2e-6
        assert np.vdot(problem.cost(x)[1], direction) == pytest.approx(slope, rel=1e-6), name


def test_batch_costs_average_to_the_whole() -> None:
    problem = job.problem("penguins")
    assert problem.batch_cost is not None
    x = np.random.default_rng(1).standard_normal(problem.start.shape)
    half = len(problem.rows[0]) // 2
    parts = [problem.batch_cost(x, *(a[s] for a in problem.rows)) for s in (slice(0, half), slice(half, None))]
    assert np.mean([value for value, _ in parts]) == pytest.approx(problem.cost(x)[0], rel=1e-12)
    np.testing.assert_allclose(np.mean([g for _, g in parts], axis=0), problem.cost(x)[1], rtol=1e-10, atol=1e-14)


# ---- steps and endings --------------------------------------------------------------------------------------------------------------


def test_default_step_is_half_the_limit_or_the_methods_own() -> None:
    runs = by_key(run_json("--problem", "quadratic", "--max-iter", "1"))
    for m in METHODS:
        run = runs[m.name, "full"]
        if run["rule"] == "half":
            assert run["lr"] == 0.5 * run["largest_stable"]
        elif run["rule"] == "found":
            assert run["lr"] in job.RATES
            assert run["largest_stable"] is None
    assert runs["euler", "full"]["lr"] == pytest.approx(0.1, rel=1e-9)  # half of 2/L with L = 10
    assert runs["adam", "full"]["rule"] == "found"


def test_a_picture_shows_the_best_of_each_kind_above_the_lowest_loss() -> None:
    """At most eight curves, all kinds among them; the axis is the loss less the lowest of all."""
    pytest.importorskip("matplotlib")
    from mflow.plot import loss_curves

    runs = list(job.compare(job.problem("penguins"), max_iter=8))
    some = job.chosen(runs)
    for batch in ("full", "minibatch"):
        all_of, members = ([run for run in group if run.batch == batch] for group in (runs, some))
        assert 3 <= len(members) <= 8
        assert {job.kind_of(run) for run in members} == {job.kind_of(run) for run in all_of}
        best = min(all_of, key=lambda run: run.loss)
        assert best.method in {run.method for run in members}
    full = [run for run in some if run.batch == "full"]
    axes = loss_curves(full).axes
    lowest = min(loss for run in full for loss in run.history.loss)
    lines = {line.get_label(): line for line in axes[0].lines}
    for run in full:
        drawn = np.array(lines[run.method].get_ydata())
        np.testing.assert_allclose(drawn, [loss - lowest for loss in run.history.loss if loss > lowest][: len(drawn)])
    assert axes[0].get_yscale() == "log"
    assert "the lowest" in axes[0].get_ylabel()


def test_friction_is_one_where_a_method_has_it() -> None:
    having = [m.name for m in METHODS if "friction" in m.parameters]
    assert having
    result = run_json("--max-iter", "1", *(word for name in having for word in ("--method", name)))
    assert {run["method"] for run in result["runs"]} == set(having)
    assert all(run["parameters"]["friction"] == 1.0 for run in result["runs"] if run["method"] in having)


def test_diverging_step_is_shown_as_such(capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["compare", "--problem", "quadratic", "--lr", "1", "--method", "euler", "--method", "momentum", "--max-iter", "100"])
    out = capsys.readouterr().out
    assert code == 0
    rows = {row[0]: row for row in table_rows(out)}
    for name in ("euler", "momentum"):
        assert rows[name][-2:] == ["diverged", "!"]
        assert float(rows[name][1]) > 1e10
        assert "given" in rows[name]
    assert re.search(r"! .*euler", out)
    assert Path("compare.png").read_bytes()[:8] == PNG


def test_diverging_until_overflow_stays_finite_in_json() -> None:
    result = run_json("--problem", "quadratic", "--dt", "5", "--method", "sgd", "--method", "rk4", "--max-iter", "3000")
    for run in result["runs"]:
        assert run["reason"] == "diverged"
        assert run["loss"] > 1e100
        assert "limit" in run["message"]


def test_diverging_minibatches(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", "--problem", "engel", "--method", "sgd", "--lr", "50", "--max-iter", "300", "--no-plot"]) == 0
    assert [row[-2:] for row in table_rows(capsys.readouterr().out)] == [["diverged", "!"]] * 2


def test_aliases_and_repeats_are_one_method(capsys: pytest.CaptureFixture[str]) -> None:
    names = ["--method", "heavy_ball", "--method", "momentum"]
    assert main(["compare", "--problem", "rosenbrock", *names, "--max-iter", "2", "--no-plot"]) == 0
    assert [row[0] for row in table_rows(capsys.readouterr().out)] == ["momentum"]


def test_narrow_terminal_drops_columns(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "75")
    assert main(["compare", "--max-iter", "1", "--no-plot", *ONE_OF_EACH, "--method", "euler"]) == 0
    out = capsys.readouterr().out
    rows = [line for line in out.splitlines() if line.split()[:1] == ["euler"]]
    assert len(rows) == 1
    assert len(rows[0]) <= 75
    assert "calls" not in out.split("Minibatches")[0]


def test_progress_without_a_terminal_is_shown_where_it_is_asked_for(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = ["compare", "--problem", "engel", "--method", "sgd", "--max-iter", "1", "--no-plot"]
    monkeypatch.setattr(sys.stderr, "isatty", lambda: False)
    assert main([*arguments, "--progress"]) == 0
    err = capsys.readouterr().err
    assert "100%" in err
    assert "2/2 sgd, minibatches" in err
    assert main([*arguments, "--no-progress"]) == 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("with_tqdm", [True, False])
def test_progress_on_a_terminal(with_tqdm: bool, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    if with_tqdm:
        pytest.importorskip("tqdm")
    else:
        hide(monkeypatch, "tqdm")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert main(["compare", "--problem", "engel", "--method", "sgd", "--max-iter", "1", "--no-plot"]) == 0
    err = capsys.readouterr().err
    last = err.split("\r")[-1]
    assert "100%" in last
    assert "2/2 sgd, minibatches" in last
    assert with_tqdm or "0%, 1/2 sgd, full batch" in err


def test_ctrl_c_keeps_the_runs_so_far(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    real = job.compare

    def interrupted(*args: Any, **kwargs: Any) -> Any:
        yield next(iter(real(*args, **kwargs)))
        raise KeyboardInterrupt

    monkeypatch.setattr(job, "compare", interrupted)
    assert main(["compare", "--problem", "quadratic", "--max-iter", "2", "--no-plot"]) == 130
    out, err = capsys.readouterr()
    assert [row[0] for row in table_rows(out)] == [METHODS[0].name]
    assert f"after 1 of {len(METHODS) + len(LARGE)} runs" in err


# ---- one's own cost -----------------------------------------------------------------------------------------------------------------

COSTS = """
import math
from neighbour import SHIFT

def bowl(x):
    return float(((x - SHIFT) ** 2).sum())

def bowl_grad(x):
    return float(((x - SHIFT) ** 2).sum()), 2 * (x - SHIFT)

def cliff(x):
    return math.exp(x[0] ** 2), 2 * x * math.exp(x[0] ** 2)

def below(x):
    return float((x ** 2).sum()) - 5.0, 2 * x

def wrong(x):
    return 1.0, [1.0]

def broken(x):
    raise RuntimeError("no such luck")

number = 3
"""


@pytest.fixture
def costs(in_tmp_path: Path) -> None:
    (in_tmp_path / "costs.py").write_text(COSTS)
    (in_tmp_path / "neighbour.py").write_text("SHIFT = 1.5\n")


@pytest.fixture(autouse=True)
def forget_neighbour() -> Any:
    yield
    sys.modules.pop("neighbour", None)


@pytest.mark.usefixtures("costs")
@pytest.mark.parametrize("function", ["bowl", "bowl_grad"])
def test_own_objective(function: str, capsys: pytest.CaptureFixture[str]) -> None:
    path = list(sys.path)
    own = ["--objective", f"costs.py:{function}", "--x0", "-1,2,.5"]
    result = run_json(*own, "--max-iter", "400", "--method", "rk4", "--method", "momentum")
    assert sys.path == path
    assert result["problem"]["curvature"] == pytest.approx(2.0, rel=1e-3)
    for run in result["runs"]:
        assert run["reason"] == "converged"
        np.testing.assert_allclose(run["x"], 1.5, atol=1e-4)
        assert run["score"] is None
    assert ("finite differences" in capsys.readouterr().out) == (function == "bowl")


@pytest.mark.usefixtures("costs")
def test_exception_of_a_diverging_cost_ends_its_run_alone(capsys: pytest.CaptureFixture[str]) -> None:
    names = ["--method", "euler", "--method", "adam"]
    assert main(["compare", "--objective", "costs.py:cliff", "--x0", "2", "--lr", "0.5", "--max-iter", "5", *names]) == 0
    rows = {row[0]: row for row in table_rows(capsys.readouterr().out)}
    assert rows["euler"][-2:] == ["raised", "!"]
    assert rows["adam"][-1] != "!"


@pytest.mark.usefixtures("costs")
def test_negative_cost_is_drawn() -> None:
    assert main(["compare", "--objective", "costs.py:below", "--x0", "3,4", "--max-iter", "10", "--out", "below.svg", *ONE_OF_EACH]) == 0
    assert "<svg" in Path("below.svg").read_text()


# ---- mistakes -----------------------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("costs")
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["compare", "--method", "backward_eulr"], ["backward_eulr", "did you mean 'backward_euler'"]),
        (["methods", "backward_eulr"], ["backward_eulr", "did you mean 'backward_euler'"]),
        (["compare", "--problem", "pinguins"], ["pinguins", "'penguins'"]),
        (["compare", "--problem", "Misra1"], ["'Misra1d'"]),
        (["compare", "--x0", "1"], ["--objective"]),
        (["compare", "--objective", "costs.py:bowl"], ["--x0"]),
        (["compare", "--objective", "costs.py:bowl", "--x0", "1,a"], ["'1,a'", "1,2,3"]),
        (["compare", "--objective", "costs.py:bowl", "--x0", "1,inf"], ["finite"]),
        (["compare", "--objective", "costs.py:bow", "--x0", "1"], ["'bow'", "'bowl'"]),
        (["compare", "--objective", "costs.py:number", "--x0", "1"], ["'number'"]),
        (["compare", "--objective", "costs.py", "--x0", "1"], ["FILE.py:FUNCTION"]),
        (["compare", "--objective", "nowhere.py:bowl", "--x0", "1"], ["no file nowhere.py"]),
        (["compare", "--objective", "costs.py:wrong", "--x0", "1,2"], ["(1,)", "(2,)"]),
        (["compare", "--objective", "costs.py:broken", "--x0", "1"], ["RuntimeError", "no such luck"]),
        (["compare", "--out", "nowhere/compare.png"], ["no folder nowhere"]),
        (["compare", "--json", "nowhere/out.json"], ["no folder nowhere"]),
        (["compare", "--out", "compare.bmp"], [".png"]),
        (["compare", "--out", "."], ["folder"]),
        (["compare", "--problem", "engel", "--batch-size", "1000"], ["176"]),
    ],
)
def test_mistakes_exit_with_2_and_say_what_to_do(arguments: list[str], words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("mflow: error: ")
    assert len(err.splitlines()) == 1
    assert all(word in err for word in words), err


@pytest.mark.parametrize("text", ["--lr 0", "--lr fast", "--dt nan", "--max-iter 0", "--seed -1", "--nonsense"])
def test_argparse_refuses(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = text.split()
    with pytest.raises(SystemExit) as stopped:
        main(["compare", *arguments])
    assert stopped.value.code == 2
    assert arguments[0] in capsys.readouterr().err


def test_broken_file_of_ones_own(in_tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (in_tmp_path / "broken.py").write_text("def f(x) return x\n")
    assert main(["compare", "--objective", "broken.py:f", "--x0", "1"]) == 2
    assert "SyntaxError" in capsys.readouterr().err


def hide(monkeypatch: pytest.MonkeyPatch, package: str) -> None:
    """As if it were not installed."""
    for name in list(sys.modules):
        if name.split(".")[0] == package or (package == "matplotlib" and name == "mflow.plot"):
            monkeypatch.delitem(sys.modules, name)
    real = builtins.__import__

    def without(name: str, *args: Any, **kwargs: Any) -> Any:
        if name == package or name.startswith(f"{package}."):
            raise ImportError(f"No module named {name!r}")
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)


def test_without_matplotlib_the_table_still_comes(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    hide(monkeypatch, "matplotlib")
    assert main(["compare", "--problem", "quadratic", "--max-iter", "2", "--json", "r.json"]) == 2
    out, err = capsys.readouterr()
    assert [row[0] for row in table_rows(out)] == [*(m.name for m in METHODS), *LARGE]
    assert "pip install 'momentum-flow[plot]'" in err
    assert not Path("compare.png").exists()
    assert Path("r.json").exists()
    assert main(["compare", "--problem", "quadratic", "--max-iter", "2", "--no-plot"]) == 0


# ---- methods and the rest -----------------------------------------------------------------------------------------------------------


def test_methods_lists_every_method(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    assert main(["methods"]) == 0
    out = capsys.readouterr().out
    lines = {line.split()[0]: line for line in out.splitlines() if line}
    for m in mflow.methods():
        assert m.family in lines[m.name]
        assert all(alias in lines[m.name] for alias in m.aliases)
    assert "2.785" in lines["rk4"]
    assert "lr L <= 3.8" in lines["momentum"]
    assert "at L=1" in lines["consistent_momentum"]
    assert lines["adam"].endswith("-")
    assert mflow.__version__ in out


def test_one_method_in_full(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["methods", "rk4"]) == 0
    out = capsys.readouterr().out
    rk4 = mflow.get_method("rk4")
    for words in (rk4.formula, rk4.doc, rk4.reference, "order 4, stages 4", "linear", "0.166667", "2.78529", "2.82843"):
        assert words in out
    assert "Butcher" in out


def test_shu_osher_coefficients_and_parameters(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["methods", "ssprk33"]) == 0
    out = capsys.readouterr().out
    assert "Shu and Osher's alpha" in out
    assert "0.75  0.25" in out
    assert main(["methods", "adam"]) == 0
    out = capsys.readouterr().out
    for p in mflow.get_method("adam").parameters_:
        assert f"{p.name} : {p.bounds}, default {p.default!r}" in out


@pytest.mark.parametrize("name", [m.name for m in mflow.methods()])
def test_every_method_can_be_described(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["methods", name]) == 0
    assert mflow.get_method(name).formula in capsys.readouterr().out


def test_version_and_help(capsys: pytest.CaptureFixture[str]) -> None:
    import mflow_core

    with pytest.raises(SystemExit) as stopped:
        main(["--version"])
    assert stopped.value.code == 0
    out = capsys.readouterr().out
    assert mflow.__version__ in out
    assert mflow_core.isa() in out
    assert f"Python {platform.python_version()}, NumPy {np.__version__}" in out
    assert entry_point([]) == 0
    assert "compare" in capsys.readouterr().out


def test_pictures_on_axes_of_ones_own() -> None:
    figures = pytest.importorskip("matplotlib.figure")
    from mflow.plot import loss_curves

    runs = list(job.compare(job.problem("engel"), ["sgd", "rk4"], max_iter=3))
    figure = figures.Figure()
    axes = figure.subplots(1, 2)
    assert loss_curves(runs, axes) is figure
    assert [len(axis.lines) for axis in axes] == [3, 3]
    with pytest.raises(ValueError, match="expected 2 axes, got 1"):
        loss_curves(runs, axes[:1])
    with pytest.raises(ValueError, match="at least one"):
        loss_curves([])
