"""Pictures show what was computed, on anybody's axes, and look as they did: the last against small images in tests/support/baseline.

    PYTHONPATH=tests python tests/plot/test_pictures.py    draws those images again; look at them before they are committed

Text and legends are taken out before images are compared, so that fonts and layouts do not count; what is left may differ by how
edges are smoothed.
"""

from __future__ import annotations

import io
import itertools
import math
import pickle
import sys
import warnings
from types import SimpleNamespace

import numpy as np
import pytest

import mflow

matplotlib = pytest.importorskip("matplotlib")

from matplotlib.figure import Figure  # noqa: E402
from matplotlib.image import imread  # noqa: E402
from matplotlib.text import Text  # noqa: E402

from mflow import plot  # noqa: E402
from mflow.plot import palette  # noqa: E402
from support.places import SUPPORT  # noqa: E402

BASELINE = SUPPORT / "baseline"
CLOSE = 3.0  # root mean square difference of 8-bit colours; another marker or width of one curve makes more
FIRST_ORDER = [m.name for m in mflow.methods() if m.kind == "step" and "linear" in m.flags and "second_order" not in m.flags]
T = np.linspace(0.0, 2.0, 40)


def bowl(c):
    return 0.5 * (c[0] ** 2 + 9 * c[1] ** 2), np.array([c[0], 9 * c[1]])


def family():
    return plot.family([(T, c0 * np.exp(T)) for c0 in (-1.0, -0.4, 0.4, 1.0)], lambda t, y: y, highlight=2)


def direction_field():
    return plot.direction_field(lambda t, y: np.array([y[1], -np.sin(y[0])]), (-4, 4), (-3, 3), plane=True, count=(12, 8))


def iterates():
    with warnings.catch_warnings(action="ignore"):  # that dt = 3 is past the limit
        runs = {dt: mflow.solve_ivp(lambda t, y: -y, (0, 9), [1.0], "euler", dt=dt) for dt in (0.5, 3.0)}
    return plot.iterates(runs, lambda t: np.exp(-t))


def stability_regions():
    return plot.stability_regions(["euler", "rk2", "rk4"], points=150)


def stability_region_implicit():
    return plot.stability_regions("backward_euler", points=150)


def eigenvalues():
    return plot.eigenvalues(np.array([[-1.0 + 4j * s, -1.0 - 4j * s, 1.0 - 10 * s] for s in np.linspace(0, 1, 8)]), "rk4", dt=0.6)


def parameter_region():
    return plot.parameter_region("momentum")


def paths():
    runs = {m: plot.trace(bowl, [3.0, 1.0], m, jac=True, lr=0.05, maxiter=40) for m in ("sgd", "momentum")}
    return plot.paths(runs, bowl, minimum=[0, 0])


def basins():
    x, y = np.linspace(-2, 2, 60), np.linspace(-1, 1, 40)
    labels = np.where(x[None, :] > y[:, None], 1, 0)
    labels[:8, :8] = -1
    return plot.basins((x, y), labels, [[-1, 0], [1, 0]])


def convergence():
    dt = 0.5 ** np.arange(1.0, 7.0)
    return plot.convergence({"euler": (dt, 0.2 * dt), "rk4": (dt, 0.01 * dt**4)})


def newmark():
    return {"average": mflow.Newmark(0.25, 0.5), "linear": mflow.Newmark(1 / 6, 0.5), "central": "central_difference"}


def spectral_radius():
    return plot.spectral_radius({**newmark(), "hht": mflow.get_method("hht", alpha=-0.3)})


def period_error():
    return plot.period_error(newmark())


KINDS = (
    family, direction_field, iterates, stability_regions, stability_region_implicit, eigenvalues, parameter_region, paths, basins,
    convergence, spectral_radius, period_error,
)  # fmt: skip


def pixels(ax) -> np.ndarray:
    """The picture, small and without text or what is laid out around text, (rows, columns, 3) in 0 ... 255."""
    figure = ax.figure
    for other in figure.axes[1:]:  # a colour bar
        other.remove()
    if ax.get_legend() is not None:
        ax.get_legend().remove()
    figure.set_layout_engine("none")
    figure.set_size_inches(2.4, 2.0)
    ax.set_position((0.05, 0.05, 0.9, 0.9))
    for text in figure.findobj(Text):
        text.set_visible(False)
    ax.tick_params(which="both", length=0)
    buffer = io.BytesIO()
    figure.savefig(buffer, dpi=60, format="png")
    buffer.seek(0)
    return 255.0 * imread(buffer, format="png")[..., :3]


def difference(a: np.ndarray, b: np.ndarray) -> float:
    return math.inf if a.shape != b.shape else float(np.sqrt(np.mean((a - b) ** 2)))


@pytest.fixture(scope="module")
def drawn():
    return {kind.__name__: pixels(kind()) for kind in KINDS}


@pytest.mark.parametrize("name", [kind.__name__ for kind in KINDS])
def test_looks_as_it_did(drawn, name):
    baseline = 255.0 * imread(BASELINE / f"{name}.png")[..., :3]
    assert difference(drawn[name], baseline) < CLOSE


def test_other_pictures_are_told_apart(drawn):
    """What the tolerance is worth: no two kinds pass for each other, nor does a picture without one of its curves."""
    for a, b in itertools.combinations(drawn, 2):
        assert difference(drawn[a], drawn[b]) > 2 * CLOSE, (a, b)
    for change in ({"marker": "o"}, {"linestyle": "--"}, {"linewidth": 2.0}, {"visible": False}):
        ax = convergence()
        ax.get_lines()[1].set(**change)
        assert difference(pixels(ax), drawn["convergence"]) > CLOSE


def test_baselines_are_small():
    sizes = {path.name: path.stat().st_size for path in BASELINE.glob("*.png")}
    assert set(sizes) == {f"{kind.__name__}.png" for kind in KINDS}
    assert max(sizes.values()) < 8_000


def test_on_axes_of_ones_own():
    figure = Figure(figsize=(12, 6))
    axes = iter(figure.subplots(3, 4).ravel())
    stable = {"points": 40}
    calls = [
        lambda ax: plot.family([(T, np.exp(T))], ax=ax),
        lambda ax: plot.direction_field(lambda t, y: y, (0, 1), (0, 1), ax=ax),
        lambda ax: plot.iterates((T, np.exp(T)), ax=ax),
        lambda ax: plot.stability_regions("rk2", ax=ax, **stable),
        lambda ax: plot.eigenvalues([-1.0], "euler", 0.1, ax=ax),
        lambda ax: plot.paths(np.ones((2, 3)) * np.arange(3.0), ax=ax),
        lambda ax: plot.contours(bowl, ((-1, 1), (-1, 1)), ax=ax, points=10),
        lambda ax: plot.basins(([0, 1], [0, 1]), [[0, 1], [0, 1]], ax=ax),
        lambda ax: plot.convergence({"a": (np.array([0.1, 0.2]), np.array([1.0, 2.0]))}, ax=ax),
        lambda ax: plot.spectral_radius("newmark", ax=ax),
        lambda ax: plot.period_error("newmark", ax=ax),
    ]
    for call in calls:
        ax = next(axes)
        assert call(ax) is ax
        assert ax.has_data()
    figure.savefig(io.BytesIO(), format="png", dpi=30)


def test_no_window_and_no_global_state():
    """A figure of pyplot would be kept alive by it, and belong to whatever backend is in use."""
    before = sys.modules.get("matplotlib.pyplot")
    settings = matplotlib.rcParams.copy()
    stability_regions()
    assert sys.modules.get("matplotlib.pyplot") is before
    assert matplotlib.rcParams.copy() == settings


def test_without_matplotlib(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match=r"pip install 'momentum-flow\[plot\]'"):
        plot.stability_regions("rk4")


# ---- what is drawn is what was computed ------------------------------------------------------------------------------------------------


def test_iterates_are_the_powers_of_the_factor():
    _, fine, coarse = iterates().get_lines()
    assert np.allclose(fine.get_ydata(), 0.5 ** np.arange(19))
    assert np.allclose(coarse.get_ydata(), (-2.0) ** np.arange(4))


def test_solution_draws_the_dense_output():
    r = mflow.solve_ivp(lambda t, y: [y[1], -y[0]], (0, 10), [0.0, 1.0], rtol=1e-9, atol=1e-9, dense_output=True)
    for log in ("", "x"):
        sine, cosine = plot.solution(r, labels=["place", "speed"], log=log).lines
        t = sine.get_xdata()
        assert sine.get_label() == "place"
        assert t.size > 400
        assert np.abs(sine.get_ydata() - np.sin(t)).max() < 1e-6
        assert np.abs(cosine.get_ydata() - np.cos(t)).max() < 1e-6
    coarse = mflow.solve_ivp(lambda t, y: [y[1], -y[0]], (0, 10), [0.0, 1.0])
    assert plot.solution(coarse, index=[1]).lines[0].get_xdata().size == coarse.t.size


def test_a_run_far_outside_is_cut_off():
    t = np.arange(30.0)
    _, line = plot.iterates((t, (-3.0) ** t), lambda t: np.exp(-t)).get_lines()
    assert np.abs(line.get_ydata()).max() == 3.0**6


def test_euler_region_is_the_disc():
    ax = plot.stability_regions("euler", points=200)
    boundary = [c for c in ax.collections if not len(c.get_facecolor())]
    points = np.concatenate([p.vertices for c in boundary for p in c.get_paths()])
    assert len(points) > 100
    assert np.allclose(np.hypot(points[:, 0] + 1.0, points[:, 1]), 1.0, atol=2e-4)
    (low, high), (down, up) = ax.get_xlim(), ax.get_ylim()
    assert low < -2.0 < 0.0 < high
    assert down < -1.0 < 1.0 < up


@pytest.mark.parametrize("name", FIRST_ORDER)
def test_frame_holds_the_region(name):
    method = mflow.RKC2(stages=4) if name == "rkc2" else mflow.get_method(name)
    ax = plot.stability_regions(method, points=30)
    real, imaginary = mflow.stability_limit(method), mflow.stability_limit(method, axis="imaginary")
    assert math.isinf(real) or ax.get_xlim()[0] < -real
    assert math.isinf(imaginary) or ax.get_ylim()[1] > imaginary


def test_eigenvalues_are_sorted_by_what_they_mean():
    ax = plot.eigenvalues(SimpleNamespace(t=[0.0, 1.0], eigenvalues=[[-1.0, -30.0], [2.0, -5.0 + 1j]], method="euler", dt=0.1))
    kinds = {
        c.get_label(): np.asarray(c.get_offsets()) for c in ax.collections if len(c.get_offsets()) and not c.get_label().startswith("_")
    }
    assert np.allclose(kinds["stable"], [[-0.1, 0.0], [-0.5, 0.1]])
    assert np.allclose(kinds["unstable: lower dt"], [[-3.0, 0.0]])
    assert np.allclose(kinds["grows by itself"], [[0.2, 0.0]])


def test_period_error_is_the_closed_form():
    for line, beta in zip(period_error().get_lines(), (0.25, 1 / 6, 0.0), strict=False):
        at, percent = line.get_data()
        w = 2 * np.pi * np.asarray(at)
        with np.errstate(invalid="ignore"):
            exact = w / np.arccos(1 - 0.5 * w * w / (1 + beta * w * w)) - 1
        good = np.isfinite(exact) & (w > 0.1) & (w < 1.99)  # at 2 the pair of the last meets
        assert np.count_nonzero(good) > 100
        assert np.allclose(np.asarray(percent)[good], 100 * exact[good], rtol=1e-6)


def test_spectral_radius_tends_to_rho_inf():
    ax = plot.spectral_radius([mflow.get_method("generalized_alpha", rho_inf=r) for r in (0.2, 0.8)], omega_dt=np.geomspace(1e-3, 1e5, 50))
    ends = [line.get_ydata()[-1] for line in ax.get_lines()[:2]]
    assert ends == pytest.approx([0.2, 0.8], abs=1e-3)


def test_convergence_reads_the_order():
    dt = 0.5 ** np.arange(8.0)
    error = 0.3 * dt**3 + 1e-7  # rounding at the small end
    label = plot.convergence({"x": (dt, error)}).get_legend().get_texts()[0].get_text()
    assert label == "x: order 3.00" or abs(float(label.split()[-1]) - 3) < 0.1


def test_unstable_steps_leave_the_picture():
    dt = 0.5 ** np.arange(8.0)
    ax = plot.convergence({"x": (dt, np.where(dt > 0.3, 1e40, 0.1 * dt))})
    assert ax.get_ylim()[1] < 10.0
    assert ax.get_lines()[0].get_ydata().max() == 1e40  # drawn, and outside
    ax = plot.convergence({"x": (dt, 0.1 * dt**4)})
    assert ax.get_ylim()[1] > 0.1


def test_trace_is_the_iteration():
    path = plot.trace(bowl, [3.0, 1.0], "sgd", jac=True, lr=0.1, maxiter=5)
    assert np.allclose(path, [3 * 0.9 ** np.arange(6), 0.1 ** np.arange(6)])


def test_path_that_runs_away_does_not_shrink_the_others():
    runs = {lr: plot.trace(bowl, [3.0, 1.0], "sgd", jac=True, lr=lr, maxiter=25) for lr in (0.05, 0.1, 0.3)}
    assert np.abs(runs[0.3]).max() > 50
    low, high = plot.paths(runs, bowl).get_ylim()
    assert high - low < 50


def test_animation(tmp_path):
    from PIL import Image

    circle = SimpleNamespace(t=T, y=np.stack([np.cos(T), np.sin(T)]))
    target = plot.animate({"a": circle}, bowl, tmp_path / "a.gif", frames=5, fps=10, dpi=40)
    with Image.open(target) as image:
        assert image.n_frames == 5
        assert image.info["duration"] == 100
        frames = []
        for k in range(5):
            image.seek(k)
            frames.append(np.asarray(image.convert("RGB"), dtype=float))
    blue = np.array([int(palette.COLOURS[0][i : i + 2], 16) for i in (1, 3, 5)])
    count = [int(np.sum(np.all(np.abs(frame - blue) < 60, axis=-1))) for frame in frames]
    assert all(a < b for a, b in itertools.pairwise(count))  # the path grows, in its own colour


# ---- told apart without colour ---------------------------------------------------------------------------------------------------------


def test_looks_differ_in_grey():
    assert len({str(palette.stroke(k)["linestyle"]) for k in range(6)}) == 6
    assert len({str(palette.stroke(k)) for k in range(42)}) == 42
    light = [np.dot(palette.shade(k), (0.299, 0.587, 0.114)) for k in range(6)]
    assert all(abs(a - b) > 0.03 for a, b in itertools.pairwise(light))
    assert len(set(palette.HATCHES)) == len(palette.HATCHES)


# ---- what does not fit -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: plot.family([]), "at least one"),
        (lambda: plot.family([3]), r"solutions\[0\]"),
        (lambda: plot.family([(T, T[:-1])]), "does not fit t"),
        (lambda: plot.iterates((T, np.ones((2, 40))), component=2), "component: expected a whole number from 0 to 1, got 2"),
        (lambda: plot.solution((T, T * 1j)), "real components"),
        (lambda: plot.solution((T, T), labels=["a", "b"]), "labels: expected 1 names"),
        (lambda: plot.solution((T, T), log="z"), "log: "),
        (lambda: plot.direction_field(lambda t, y: [1, 2], (0, 1), (0, 1)), "got 2; plane=True"),
        (lambda: plot.direction_field(lambda t, y: y, (1, 0), (0, 1)), "x_range"),
        (lambda: plot.stability_regions("adam"), "adam has no stability region"),
        (lambda: plot.stability_regions("newmark"), "spectral_radius"),
        (lambda: plot.stability_regions([]), "at least one"),
        (lambda: plot.stability_regions("rk4", re=(1, -1), im=(0, 1)), "re: "),
        (lambda: plot.eigenvalues([-1.0]), "method, dt"),
        (lambda: plot.eigenvalues([-1.0], "rk4", dt=[1.0, 2.0]), "dt: expected a number or 1 numbers"),
        (lambda: plot.eigenvalues([math.nan], "rk4", dt=1.0), "finite"),
        (lambda: plot.paths(np.ones((5, 2))), "transpose"),
        (lambda: plot.paths({}), "at least one"),
        (lambda: plot.paths(np.full((2, 3), math.nan)), "finite"),
        (lambda: plot.paths(np.ones((2, 3)), limits=((1, 0), (0, 1))), "limits"),
        (lambda: plot.basins(([0, 1], [0, 1, 2]), np.zeros((2, 3), dtype=int)), r"\(ny, nx\) = \(3, 2\)"),
        (lambda: plot.convergence({"a": (T, T[1:])}), "steps and errors of one length"),
        (lambda: plot.convergence({}), "at least one"),
        (lambda: plot.spectral_radius("sgd"), "expected an integrator, got the optimizer sgd"),
        (lambda: plot.parameter_region("sgd"), "no momentum"),
        (lambda: plot.period_error("newmark", omega_dt=[0.0, 1.0]), "omega_dt"),
        (lambda: plot.animate(np.ones((2, 3)), filename="a.mp4"), ".gif"),
        (lambda: plot.animate(np.ones((2, 3)), filename="a.gif", frames=1), "frames"),
    ],
)
def test_errors_say_what_to_do(call, text):
    with pytest.raises((TypeError, ValueError), match=text):
        call()


def test_a_notebook_shows_a_figure_of_its_own():
    figure = plot.stability_regions("rk4").figure
    for one in (figure, pickle.loads(pickle.dumps(figure))):
        assert imread(io.BytesIO(one._repr_png_())).shape[2] == 4


def write_baselines():
    from PIL import Image

    BASELINE.mkdir(exist_ok=True)
    for kind in KINDS:
        image = Image.fromarray(pixels(kind()).round().astype(np.uint8))
        image.quantize(256, dither=Image.Dither.NONE).save(BASELINE / f"{kind.__name__}.png", optimize=True)


if __name__ == "__main__":
    write_baselines()


def test_a_run_whose_curvature_was_never_looked_at_is_no_empty_picture():
    settings = {"method": "adam", "lr": 0.1, "monitor": "curvature"}
    none, five = (mflow.minimize(lambda x: (float(x @ x), 2 * x), np.ones(3), jac=True, maxiter=k, **settings) for k in (0, 5))
    assert plot.curvature({"five": five}).lines
    with pytest.raises(ValueError, match=r"results\['none'\]: expected a run whose curvature was looked at, got none of 0 steps"):
        plot.curvature({"five": five, "none": none})
