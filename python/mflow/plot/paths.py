"""Paths through the plane of two parameters, over the contours of the cost: still, moving, and sorted by where they end.

A path is an array (2, n_points), or anything with such a `y` (`mflow.gradient_flow`) or `x` (`mflow.solve_dynamics`), or the path that
`mflow.minimize` kept; `trace` records the points of any minimisation.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mflow.base.checks import Array, check_function, check_list, check_range, check_whole, real_array, shown
from mflow.base.result import OptimizeResult
from mflow.optimize.minimize import minimize
from mflow.plot.axes import axes_for, dress, legend
from mflow.plot.palette import COLOURS, HATCHES, MARKERS, SHADE, faint_hatches, shade, stroke

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["animate", "basins", "contours", "paths", "trace"]

MARKS = 25  # a path with more points shows a marker at every so many-th
MOST_LEVELS, MOST_POINTS = 1000, 10_000  # of a picture of a cost
MEET = 1e-3  # of the picture's size: nearer points are drawn as one


def trace(fun: Any, x0: ArrayLike, method: Any = "adam", jac: Any = None, *, maxiter: int = 100, **options: Any) -> Array:
    """The points that a minimisation passes through.

    Parameters
    ----------
    fun, x0, method, jac, maxiter, **options
        As `mflow.minimize`.

    Returns
    -------
    float64 array (n, n_points)
        x0 first; a run that diverges ends with its last good point.

    Raises
    ------
    TypeError, ValueError
        As `mflow.minimize`.

    See Also
    --------
    mflow.plot.paths, mflow.minimize

    Examples
    --------
    >>> import numpy as np
    >>> from mflow import plot
    >>> plot.trace(lambda x: (x @ x, 2 * x), np.ones(2), "sgd", jac=True, lr=0.25, maxiter=3)
    array([[1.   , 0.5  , 0.25 , 0.125],
           [1.   , 0.5  , 0.25 , 0.125]])
    """
    start = real_array(x0, "x0").ravel()
    points = [start.copy()]
    settings = {"check_gradient": False, **options}
    minimize(
        fun,
        x0,
        method=method,
        jac=jac,
        maxiter=maxiter,
        callback=lambda x: points.append(np.array(x, dtype=np.float64).ravel()),
        **settings,
    )
    return np.stack(points, axis=1)


def _path(source: Any, name: str) -> Array:
    if isinstance(source, OptimizeResult):
        if "path" not in source:
            raise ValueError(
                f"{name}: expected a result with a path, got none; run minimize(..., line_search=..., path=True), or use trace()"
            )
        source = source.path.x.reshape(len(source.path.x), -1).T
    for field in ("y", "x"):
        if hasattr(source, field) and np.ndim(getattr(source, field)) == 2:
            source = getattr(source, field)
            break
    try:
        path = real_array(source, name)
    except (TypeError, ValueError):
        raise TypeError(f"{name}: expected an array of shape (2, n_points) or a result, got {type(source).__name__}") from None
    if path.ndim != 2 or len(path) != 2 or not path.shape[1]:
        hint = "; transpose it" if path.ndim == 2 and path.shape[1:] == (2,) else ""
        raise ValueError(f"{name}: expected a path of shape (2, n_points), got shape {path.shape}{hint}")
    return path


def _all_paths(paths: Any) -> dict[str, Array]:
    named = isinstance(paths, Mapping) and not hasattr(paths, "y") and not hasattr(paths, "x")
    out = {str(name): _path(one, f"paths[{name!r}]" if named else "paths") for name, one in (paths if named else {"": paths}).items()}
    if not out:
        raise ValueError("paths: expected at least one, got none")
    return out


def _points(given: Any, argument: str) -> Array:
    """Points of the plane, (m, 2). Raises TypeError or ValueError."""
    points = real_array(given, argument)
    if points.size % 2 or points.ndim == 0 or points.ndim > 2 or points.shape[-1] != 2:
        raise ValueError(f"{argument}: expected a point (x, y), or several of shape (m, 2), got shape {points.shape}")
    return points.reshape(-1, 2)


def _limits(paths: Mapping[str, Array], limits: Any, minimum: Any = None) -> tuple[tuple[float, float], tuple[float, float]]:
    """Around the starts, the minima and the paths; what runs away, four times further than the middles of most, is left outside."""
    if limits is not None:
        sides = check_list(limits, "limits", "((x low, x high), (y low, y high))")
        if len(sides) != 2:
            raise ValueError(f"limits: expected ((x low, x high), (y low, y high)), got {shown(limits)}")
        return check_range(sides[0], "limits[0]"), check_range(sides[1], "limits[1]")
    whole = [p[:, np.all(np.isfinite(p), axis=0)] for p in paths.values()]
    whole = [p for p in whole if p.size]
    if not whole:
        raise ValueError("paths: expected finite points, got none")
    fixed = [p[:, :1] for p in whole]
    if minimum is not None:
        fixed.append(_points(minimum, "minimum").T)
    core = np.concatenate(fixed, axis=1)
    centre = core.mean(axis=1, keepdims=True)
    middles = [float(np.median(np.linalg.norm(p - p[:, :1], axis=0))) for p in whole]
    reach = 4.0 * max(float(np.linalg.norm(core - centre, axis=0).max()), float(np.median(middles)))
    points = np.concatenate([core, *whole], axis=1)
    near = points[:, np.linalg.norm(points - centre, axis=0) <= reach] if reach > 0.0 else points
    low, high = near.min(axis=1), near.max(axis=1)
    longest = float(np.max(high - low)) or 1.0
    size, middle = np.maximum(high - low, 0.25 * longest), 0.5 * (low + high)
    low, high = middle - 0.58 * size, middle + 0.58 * size
    return (float(low[0]), float(high[0])), (float(low[1]), float(high[1]))


def contours(cost: Callable[[Array], Any], limits: Any, *, ax: Axes | None = None, levels: int = 18, points: int = 160) -> Axes:
    """Draw a cost of two parameters as level lines, closer where it is low.

    Parameters
    ----------
    cost : callable
        ``cost(x)`` for an array of two numbers; or a pair (cost, gradient).
    limits : ((float, float), (float, float))
    ax : matplotlib Axes, optional
    levels, points : int
        Lines, and points of the grid along each axis.

    Returns
    -------
    matplotlib.axes.Axes

    See Also
    --------
    mflow.plot.paths

    Examples
    --------
    >>> from mflow import plot
    >>> plot.contours(lambda x: x @ x, ((-1, 1), (-1, 1))).get_xlabel()
    '$c_1$'
    """
    check_function(cost, "cost", "a function of x")
    levels, points = check_whole(levels, "levels", 1, MOST_LEVELS), check_whole(points, "points", 2, MOST_POINTS)
    if limits is None:
        raise TypeError("limits: expected ((x low, x high), (y low, y high)), got None")
    (a, b), (c, d) = _limits({}, limits)
    ax = axes_for(ax, (6.0, 4.8))
    x, y = np.linspace(a, b, points), np.linspace(c, d, points)
    z = np.empty((points, points))
    with np.errstate(all="ignore"):
        for j, q in enumerate(y):
            for i, p in enumerate(x):
                value = cost(np.array([p, q]))
                z[j, i] = value[0] if isinstance(value, tuple) else value
    good = z[np.isfinite(z)]
    if good.size and np.ptp(good) > 0:
        low, high = float(good.min()), float(np.quantile(good, 0.98))
        at = low + (high - low) * np.linspace(0.0, 1.0, levels + 1)[1:] ** 2.5
        ax.contour(x, y, z, levels=at, colors=SHADE, linewidths=0.7, zorder=1)
    ax.set_xlim(a, b)
    ax.set_ylim(c, d)
    dress(ax, "$c_1$", "$c_2$", keep=True, grid=False)
    return ax


def paths(
    paths: Any,
    cost: Callable[[Array], Any] | None = None,
    *,
    ax: Axes | None = None,
    limits: Any = None,
    minimum: ArrayLike | None = None,
) -> Axes:
    """Draw paths through the plane of two parameters, over the contours of the cost.

    Parameters
    ----------
    paths : dict of name -> path, or one path
        Arrays (2, n_points), for instance from `trace`, or results of `mflow.gradient_flow`, `mflow.solve_dynamics` and, with
        ``path=True``, `mflow.minimize`.
    cost : callable, optional
        ``cost(x)``; or a pair (cost, gradient).
    ax : matplotlib Axes, optional
    limits : ((float, float), (float, float)), optional
        Of the two parameters; around the paths if not given.
    minimum : array_like (2,) or (k, 2), optional
        Marked with a star.

    Returns
    -------
    matplotlib.axes.Axes
        Markers are the points of a path, thinned where there are many.

    Raises
    ------
    TypeError, ValueError
        A path has another shape, or there is none.
    ImportError
        matplotlib is not installed.

    See Also
    --------
    mflow.minimize, mflow.plot.contours

    Examples
    --------
    >>> import numpy as np
    >>> from mflow import plot
    >>> cost = lambda x: (x[0] ** 2 + 9 * x[1] ** 2, np.array([2 * x[0], 18 * x[1]]))
    >>> runs = {m: plot.trace(cost, [3.0, 1.0], m, jac=True, lr=0.05) for m in ("sgd", "momentum")}
    >>> ax = plot.paths(runs, cost, minimum=[0, 0])
    >>> [text.get_text() for text in ax.get_legend().get_texts()]
    ['sgd', 'momentum']
    """
    if cost is not None:
        check_function(cost, "cost", "a function of x")
    members = _all_paths(paths)
    frame = _limits(members, limits, minimum)
    ax = _stage(frame, cost, ax, minimum)
    for k, (name, path) in enumerate(members.items()):
        every = max(1, -(-path.shape[1] // MARKS))
        ax.plot(*path, label=name, linewidth=1.4, markersize=4.2, markevery=every, zorder=3, marker=MARKERS[k % len(MARKERS)], **stroke(k))
    for start in {tuple(np.round(p[:, 0] / _size(frame) / MEET).astype(int)): p[:, 0] for p in members.values()}.values():
        ax.plot(*start, marker="o", markersize=9, markerfacecolor="white", markeredgecolor="black", markeredgewidth=1.6, zorder=5)
    if list(members) != [""]:
        legend(ax)
    return ax


def _size(frame: Any) -> float:
    return float(max(high - low for low, high in frame))


def _stage(frame: Any, cost: Any, ax: Axes | None, minimum: Any) -> Axes:
    """Contours, limits, and the minima as stars."""
    ax = contours(cost, frame, ax=ax) if cost is not None else axes_for(ax, (6.0, 4.8))
    ax.set_xlim(*frame[0])
    ax.set_ylim(*frame[1])
    dress(ax, "$c_1$", "$c_2$", keep=True, grid=False)
    if minimum is not None:
        _stars(ax, minimum)
    return ax


def _stars(ax: Axes, minima: Any) -> None:
    stars = np.asarray(minima, dtype=np.float64).reshape(-1, 2)
    look: dict[str, Any] = {"marker": "*", "markersize": 15, "markerfacecolor": "white", "markeredgecolor": "black"}
    ax.plot(stars[:, 0], stars[:, 1], linestyle="none", zorder=6, **look)


def basins(
    basins: Any,
    labels: ArrayLike | None = None,
    minima: ArrayLike | None = None,
    *,
    cost: Callable[[Array], Any] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw which minimum each start reaches.

    Parameters
    ----------
    basins : BasinsResult, or (x, y)
        From `mflow.basins` over a grid; or the grid's coordinates, (nx,) and (ny,), with ``labels``.
    labels : array_like of int (ny, nx), optional
        The number of the minimum reached, -1 where none was.
    minima : array_like (k, 2), optional
        Marked with stars.
    cost : callable, optional
        Its contours are drawn on top.
    ax : matplotlib Axes, optional

    Returns
    -------
    matplotlib.axes.Axes
        Each basin in a tint and a hatch of its own, the boundaries black, white with crosses where no minimum was reached.

    Raises
    ------
    ValueError
        The shapes do not fit, or the starts are no grid of the plane.
    ImportError
        matplotlib is not installed.

    See Also
    --------
    mflow.basins

    Examples
    --------
    >>> import numpy as np
    >>> from mflow import plot
    >>> x = np.linspace(-2, 2, 21)
    >>> ax = plot.basins((x, x), np.where(x > 0, 1, 0) * np.ones((21, 1), dtype=int), [[-1, 0], [1, 0]])
    >>> ax.get_ylabel()
    '$c_2$'
    """
    if cost is not None:
        check_function(cost, "cost", "a function of x")
    if hasattr(basins, "labels"):
        labels = basins.labels if labels is None else labels
        minima = basins.minima if minima is None else minima
        if basins.axes is None:
            raise ValueError("basins: expected starts on a grid of the plane, got others; give mflow.basins a grid=(x, y)")
        basins = basins.axes
    sides = check_list(basins, "basins", "a result of mflow.basins, or the two sides (x, y) of its grid")
    if len(sides) != 2:
        raise ValueError(f"basins: expected a result of mflow.basins, or the two sides (x, y) of its grid, got {shown(basins)}")
    x, y = (real_array(side, f"basins[{k}]") for k, side in enumerate(sides))
    minima = None if minima is None or not np.size(minima) else _points(minima, "minima")
    reached = np.asarray(labels)
    if reached.shape != (y.size, x.size) or min(reached.shape) < 2:
        raise ValueError(f"labels: expected shape (ny, nx) = ({y.size}, {x.size}), at least 2 each, got shape {reached.shape}")
    ax = axes_for(ax, (6.0, 4.8))
    for label in np.unique(reached):
        tint: Any = "white" if label < 0 else shade(int(label))
        hatch = HATCHES[4] if label < 0 else HATCHES[int(label) % len(HATCHES)]
        inside = (reached == label).astype(np.float64)
        if np.all(inside == 1.0):
            ax.set_facecolor(tint)
            continue
        filled = ax.contourf(x, y, inside, levels=[0.5, 1.5], colors=[tint], hatches=[hatch], zorder=1)
        faint_hatches(filled)
        ax.contour(x, y, inside, levels=[0.5], colors="black", linewidths=1.1, zorder=2)
    if cost is not None:
        contours(cost, ((x[0], x[-1]), (y[0], y[-1])), ax=ax)
    ax.set_xlim(x[0], x[-1])
    ax.set_ylim(y[0], y[-1])
    ax.set_xlabel(ax.get_xlabel() or "$c_1$")
    ax.set_ylabel(ax.get_ylabel() or "$c_2$")
    if minima is not None and np.size(minima):
        _stars(ax, minima)
    return ax


def animate(
    paths: Any,
    cost: Callable[[Array], Any] | None = None,
    filename: str | os.PathLike[str] = "paths.gif",
    *,
    frames: int = 60,
    fps: int = 15,
    dpi: int = 80,
    limits: Any = None,
    minimum: ArrayLike | None = None,
    size: Sequence[float] = (5.2, 4.0),
) -> Path:
    """Write an animation of paths that grow side by side over the contours of the cost.

    Parameters
    ----------
    paths, cost, limits, minimum
        As `paths`. A frame shows equally many points of each path, or, where all of them have a ``t``, all up to one time.
    filename : path ending in .gif
    frames, fps, dpi : int
    size : (float, float)
        Of the figure, in inches.

    Returns
    -------
    pathlib.Path
        The file that was written.

    Raises
    ------
    ValueError
        As `paths`; another ending than .gif, or fewer than two frames.
    ImportError
        matplotlib is not installed.

    See Also
    --------
    mflow.minimize, mflow.plot.paths

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import numpy as np
    >>> from mflow import plot
    >>> spiral = np.array([np.cos(np.arange(20.0)), np.sin(np.arange(20.0))]) * np.linspace(1, 0, 20)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     plot.animate({"spiral": spiral}, lambda x: x @ x, Path(folder) / "spiral.gif", frames=3, dpi=40).name
    'spiral.gif'
    """
    members = _all_paths(paths)
    target = Path(filename)
    if target.suffix.lower() != ".gif":
        raise ValueError(f"filename: expected a name that ends in .gif, got {str(target)!r}")
    frames = check_whole(frames, "frames", 2)
    ax = _stage(_limits(members, limits, minimum), cost, axes_for(None, (float(size[0]), float(size[1]))), minimum)
    clocks = _clocks(paths, members)
    lines, heads = [], []
    for k, name in enumerate(members):
        lines += ax.plot([], [], linewidth=1.6, label=name, animated=True, **stroke(k))
        dot: dict[str, Any] = {"marker": MARKERS[k % len(MARKERS)], "color": COLOURS[k % len(COLOURS)]}
        heads += ax.plot([], [], linestyle="none", markersize=7, animated=True, **dot)
    if list(members) != [""]:
        handles = list(zip(lines, heads, strict=True))
        legend(ax, "above", handles=handles, labels=list(members))
    pictures = []
    draw = _still(ax, dpi, [*lines, *heads])
    for now in np.linspace(0.0, max(float(clock[-1]) for clock in clocks), frames):
        for path, clock, line, head in zip(members.values(), clocks, lines, heads, strict=True):
            count = int(np.searchsorted(clock, now * (1 + 1e-12), side="right"))
            line.set_data(path[0, :count], path[1, :count])
            head.set_data(path[0, count - 1 : count], path[1, count - 1 : count])
        pictures.append(draw())
    _write_gif(pictures, target, fps)
    return target


def _still(ax: Axes, dpi: int, over: Sequence[Any]) -> Callable[[], NDArray[np.uint8]]:
    """What stands still is drawn once; each call draws what moves over it."""
    figure: Any = ax.figure
    figure.set_dpi(dpi)
    canvas = figure.canvas
    canvas.draw()
    behind = canvas.copy_from_bbox(figure.bbox)

    def draw() -> NDArray[np.uint8]:
        canvas.restore_region(behind)
        for artist in over:
            ax.draw_artist(artist)
        return np.array(canvas.buffer_rgba())[..., :3]

    return draw


def _write_gif(pictures: Sequence[NDArray[np.uint8]], target: Path, fps: int) -> None:
    """One palette for all frames: greys, and each colour of ours in steps to white, as smooth edges have it. Small, without flicker."""
    from PIL import Image

    solid = np.array([[int(colour[i : i + 2], 16) for i in (1, 3, 5)] for colour in COLOURS], dtype=np.float64)
    white = np.linspace(0.0, 1.0, 12, endpoint=False)[:, None, None]
    pale = (solid + (255.0 - solid) * white).reshape(-1, 3)
    greys = np.repeat(np.linspace(0.0, 255.0, 32)[:, None], 3, axis=1)
    palette = Image.new("P", (1, 1))
    palette.putpalette(np.concatenate([greys, pale]).round().astype(np.uint8).tobytes())
    shared = [Image.fromarray(picture).quantize(palette=palette, dither=Image.Dither.NONE) for picture in pictures]
    shared[0].save(target, save_all=True, append_images=shared[1:], duration=round(1000 / fps), loop=0)


def _clocks(paths: Any, members: Mapping[str, Array]) -> list[Array]:
    """When each point of each path is reached."""
    given = list(paths.values()) if isinstance(paths, Mapping) and not hasattr(paths, "t") else [paths]
    if all(hasattr(one, "t") for one in given):
        return [np.abs(np.asarray(one.t, dtype=np.float64) - float(one.t[0])) for one in given]
    return [np.arange(path.shape[1], dtype=np.float64) for path in members.values()]
