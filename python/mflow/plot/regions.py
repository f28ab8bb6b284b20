"""Where a method is stable, in the complex plane of z = lambda dt, and where the eigenvalues of a problem lie in it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mflow.base.checks import Array, check_fields, check_list, check_whole, complex_array, real_array
from mflow.base.methods import Method, as_method
from mflow.plot.axes import axes_for, dress, legend
from mflow.plot.palette import COLOURS, HATCHES, faint_hatches, stroke
from mflow.stability.amplification import amplification
from mflow.stability.quadratic import parameter_region as region_of
from mflow.stability.region import stability_region
from mflow.stability.results import StabilityRegion

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["eigenvalues", "parameter_region", "stability_regions"]

MOST_POINTS = 10_000  # along a side of the grid
WIDEST = 40.0  # how far from 0 the frame of a picture is looked for
EDGE = 1e-9  # eigenvalues whose |R| is above 1 by less count as on the boundary


def _integrators(methods: Any) -> dict[str, Method]:
    """Names and methods, integrators alone."""
    if isinstance(methods, (str, Method, StabilityRegion)):
        methods = [methods]
    pairs = methods.items() if isinstance(methods, Mapping) else [(None, m) for m in check_list(methods, "methods", "methods")]
    out: dict[str, Method] = {}
    for name, given in pairs:
        method = as_method(getattr(given, "method", given), {}, "methods")
        if method.kind != "step" or "second_order" in method.flags or "linear" not in method.flags:
            better = "plot.spectral_radius" if "second_order" in method.flags else "mflow.max_stable_dt or plot.parameter_region"
            raise ValueError(f"methods: {method.name} has no stability region in the plane of lambda dt; use {better}")
        out[str(name) if name is not None else method.name] = method
    if not out:
        raise ValueError("methods: expected at least one, got none")
    return out


def _grid(re: Sequence[float], im: Sequence[float], points: int) -> tuple[Array, Array, NDArray[np.complex128]]:
    x, y = np.linspace(re[0], re[1], points), np.linspace(im[0], im[1], points)
    return x, y, x[None, :] + 1j * y[:, None]


def _frame(methods: Sequence[Method]) -> tuple[tuple[float, float], tuple[float, float]]:
    """The box around the boundaries of all regions, found on a coarse grid, and around 0."""
    low, high, tall = -0.5, 0.5, 0.5
    for method in methods:
        for reach in (6.0, WIDEST):
            x, y, z = _grid((-reach, reach), (0.0, reach), 97)
            with np.errstate(all="ignore"):
                stable = np.abs(amplification(method, z)) <= 1.0 + EDGE
            across = np.zeros(stable.shape, dtype=bool)
            across[:, :-1] |= stable[:, 1:] != stable[:, :-1]
            across[:-1] |= stable[1:] != stable[:-1]
            rows, columns = np.nonzero(across)
            if rows.size and (reach == WIDEST or max(-x[columns.min()], y[rows.max()], x[columns.max()]) < 0.9 * reach):
                break
            if rows.size and y[rows[np.abs(x[columns]) > reach / 50]].max(initial=0.0) == 0.0:
                break  # the boundary is the imaginary axis itself
        if rows.size:
            off_axis = np.abs(x[columns]) > reach / 50
            low, high = min(low, float(x[columns].min())), max(high, float(x[columns].max()))
            tall = max(tall, float(y[rows[off_axis]].max(initial=0.0)))
    if tall < 1.0:  # nothing but the imaginary axis
        low, high, tall = min(low, -3.0), max(high, 3.0), 3.0
    width = high - low
    return (low - 0.12 * width, high + 0.12 * width), (-1.15 * tall, 1.15 * tall)


def stability_regions(
    methods: str | Method | StabilityRegion | Sequence[str | Method | StabilityRegion] | Mapping[str, Any],
    *,
    ax: Axes | None = None,
    re: Sequence[float] | None = None,
    im: Sequence[float] | None = None,
    points: int = 400,
) -> Axes:
    """Draw where |R(z)| <= 1, z = lambda dt: the step is stable for these eigenvalues.

    Parameters
    ----------
    methods : name or instance of an integrator, a sequence of such, or a dict of label -> such
        A StabilityRegion, from `mflow.stability_region`, stands for its method and its part of the plane.
    ax : matplotlib Axes, optional
        Where to draw; a new figure if not given.
    re, im : (float, float), optional
        The part of the plane; chosen around the boundaries if not given.
    points : int
        Of the grid along each axis.

    Returns
    -------
    matplotlib.axes.Axes
        Stable sides are shaded, one method's whole region, several with their boundaries in different dashes.

    Raises
    ------
    ValueError
        A method without such a region (optimizers, second-order methods), or an empty range.
    ImportError
        matplotlib is not installed.

    See Also
    --------
    mflow.stability_region, mflow.stability_limit

    Examples
    --------
    >>> from mflow import plot
    >>> ax = plot.stability_regions(["euler", "rk2", "rk4"])
    >>> [text.get_text() for text in ax.get_legend().get_texts()]
    ['euler', 'rk2', 'rk4']

    References
    ----------
    E. Hairer and G. Wanner, Solving Ordinary Differential Equations II (1996), IV.2.
    """
    integrators = _integrators(methods)
    points = check_whole(points, "points", 2, MOST_POINTS)
    if isinstance(methods, StabilityRegion):
        re, im = methods.re if re is None else re, methods.im if im is None else im
    if re is None or im is None:
        wide, tall = _frame(list(integrators.values()))
        re, im = wide if re is None else re, tall if im is None else im
    regions = {name: stability_region(method, re, im, (points, points)) for name, method in integrators.items()}
    ax = axes_for(ax, (6.4, 4.8))
    from matplotlib.lines import Line2D

    handles = []
    for k, (name, region) in enumerate(regions.items()):
        x, y = region.z.real[0], region.z.imag[:, 0]
        with np.errstate(all="ignore"):
            size = np.log(region.abs_R)
        size = np.clip(np.nan_to_num(size, nan=9.0), -9.0, 9.0)
        look = stroke(k)
        alone = len(integrators) == 1
        ax.contourf(x, y, size, levels=[-10.0, EDGE], colors=[look["color"]], alpha=0.28 if alone else 0.10, zorder=1)
        ax.contour(x, y, size, levels=[EDGE], colors=[look["color"]], linestyles=[look["linestyle"]], linewidths=1.7, zorder=3)
        handles.append(Line2D([], [], linewidth=1.7, label=name, **look))
    for draw in (ax.axhline, ax.axvline):
        draw(0.0, color="black", linewidth=0.7, zorder=2)
    ax.set_xlim(*re)
    ax.set_ylim(*im)
    if 0.25 < (re[1] - re[0]) / (im[1] - im[0]) < 4.0:
        ax.set_aspect("equal")
    dress(ax, r"Re $\lambda\,dt$", r"Im $\lambda\,dt$")
    legend(ax, handles=handles)
    return ax


def _along(path: Any) -> tuple[Array | None, NDArray[np.complex128]]:
    values = path.eigenvalues if hasattr(path, "eigenvalues") else path
    values = complex_array(values, "path")
    if values.ndim == 1:
        values = values[None, :]
    if values.ndim != 2 or not values.size:
        raise ValueError(f"path: expected eigenvalues of shape (n,) or (points, n), got shape {values.shape}")
    t = np.atleast_1d(np.asarray(path.t, dtype=np.float64)) if hasattr(path, "t") else None
    return t, values


def eigenvalues(path: Any, method: str | Method | None = None, dt: ArrayLike | None = None, *, ax: Axes | None = None) -> Axes:
    """Draw a problem's eigenvalues, times dt, against a method's stability region.

    Parameters
    ----------
    path : PosednessPath, Posedness or array_like of complex
        From `mflow.posedness`, at a point or along a path; or eigenvalues, (n,) or (points, n).
    method : name or instance of an integrator, optional
        By default that of the run whose PosednessPath is given.
    dt : float or array_like (points,), optional
        The step; by default that of the run.
    ax : matplotlib Axes, optional

    Returns
    -------
    matplotlib.axes.Axes
        Dots darken along the path. A cross marks z outside the region although the solution decays, |R| > 1 with Re z <= 0: the step is
        unstable there. A hollow dot marks growth of the problem's own, Re z > 0.

    Raises
    ------
    ValueError
        No method or no dt, or they do not fit.
    ImportError
        matplotlib is not installed.

    See Also
    --------
    mflow.max_stable_dt, mflow.plot.stability_regions

    Examples
    --------
    >>> from mflow import plot
    >>> ax = plot.eigenvalues([-1.0, -4.0, -10.0], "euler", dt=0.25)
    >>> [text.get_text() for text in ax.get_legend().get_texts()]
    ['stable', 'unstable: lower dt', 'euler']
    """
    t, values = _along(path)
    method = getattr(path, "method", None) if method is None else method
    dt = getattr(path, "dt", None) if dt is None else dt
    if method is None or dt is None:
        raise ValueError("method, dt: expected both, as the path does not hold those of its run")
    integrator = as_method(method, {})
    ((name, _),) = _integrators(integrator).items()
    steps = real_array(dt, "dt")
    if steps.ndim > 1 or (steps.ndim == 1 and len(steps) not in (1, len(values))):
        raise ValueError(f"dt: expected a number or {len(values)} numbers, got shape {steps.shape}")
    z = values * (steps if steps.ndim == 0 else steps[:, None])
    shown = z[np.isfinite(z)]
    if not shown.size:
        raise ValueError("path: expected finite eigenvalues, got none")
    wide, tall = _frame([integrator])
    left, right, up = float(shown.real.min()), float(shown.real.max()), float(np.abs(shown.imag).max())
    margin = 0.08 * max(right - left, wide[1] - wide[0])
    re = (min(wide[0], left - margin), max(wide[1], right + margin))
    high = max(tall[1], 1.1 * up)
    ax = stability_regions({name: integrator}, ax=ax, re=re, im=(-high, high))
    _dots(ax, z, integrator, t)
    return ax


def _dots(ax: Axes, z: NDArray[np.complex128], method: Method, t: Array | None) -> None:
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import LinearSegmentedColormap, Normalize

    with np.errstate(all="ignore"):
        out = np.abs(amplification(method, z)) > 1.0 + EDGE
    grows = z.real > EDGE
    at = np.arange(len(z), dtype=np.float64) if t is None or len(t) != len(z) else t
    norm = Normalize(at[0], at[-1] if at[-1] != at[0] else at[0] + 1.0)
    darken = LinearSegmentedColormap.from_list("darken", ["#c8d7e2", COLOURS[0], "#00213a"])
    colour = np.broadcast_to(at[:, None], z.shape)
    finite = np.isfinite(z)
    kinds: tuple[tuple[str, Any, dict[str, Any]], ...] = (
        ("stable", ~out & ~grows, {"marker": "o", "s": 22, "linewidths": 0.4, "edgecolors": "black"}),
        ("unstable: lower dt", out & ~grows, {"marker": "x", "s": 40, "linewidths": 1.8}),
        ("grows by itself", grows, {"marker": "o", "s": 26, "linewidths": 1.4}),
    )
    old_legend = ax.get_legend()
    region = list(old_legend.legend_handles) if old_legend is not None else []
    handles = []
    for label, kind, look in kinds:
        which = kind & finite
        if not np.any(which):
            continue
        dots = z[which]
        if look["marker"] == "x":
            handles.append(ax.scatter(dots.real, dots.imag, color=COLOURS[1], label=label, zorder=5, **look))
        elif label == "stable":
            given = {"c": colour[which], "cmap": darken, "norm": norm}
            handles.append(ax.scatter(dots.real, dots.imag, label=label, zorder=4, **given, **look))
        else:
            handles.append(ax.scatter(dots.real, dots.imag, facecolors="white", edgecolors=COLOURS[1], label=label, zorder=4, **look))
    legend(ax, handles=[*handles, *region], handlelength=None)
    if len(z) > 1:
        bar = ax.figure.colorbar(ScalarMappable(norm, darken), ax=ax, location="top", shrink=0.9, aspect=40, pad=0.02)
        bar.set_label("t along the path" if t is not None else "point of the path", fontsize="small")
        bar.ax.tick_params(labelsize="small")


def parameter_region(region: Any, *, curvature: float = 1.0, ax: Axes | None = None) -> Axes:
    """Draw where an optimizer is stable on a quadratic, and how fast, over lr and momentum.

    Parameters
    ----------
    region : name or instance of an optimizer with momentum, or ParameterRegion
        The second from `mflow.parameter_region`: lr (columns,), momentum (rows,), radius (rows, columns), curvature, method.
    curvature : float
        Of the quadratic, where region is a method.
    ax : matplotlib Axes, optional

    Returns
    -------
    matplotlib.axes.Axes
        Lines of equal spectral radius, the factor by which the error shrinks in a step; what lies beyond 1 is hatched.

    Raises
    ------
    ValueError
        The method has no momentum or no linear amplification, or the shapes do not fit.
    ImportError
        matplotlib is not installed.

    See Also
    --------
    mflow.parameter_region

    Examples
    --------
    >>> from mflow import plot
    >>> plot.parameter_region("nesterov").get_ylabel()
    'momentum'

    References
    ----------
    N. Qian, Neural Networks 12 (1999) 145-151.
    """
    if isinstance(region, (str, Method)):
        region = region_of(region, curvature)
    check_fields(region, "region", ("lr", "momentum", "radius"), "a method, or a result of mflow.parameter_region")
    lr, momentum, radius = (np.asarray(v, dtype=np.float64) for v in (region.lr, region.momentum, region.radius))
    if radius.shape != (momentum.size, lr.size):
        raise ValueError(f"region: radius of shape {radius.shape} does not fit {momentum.size} momenta and {lr.size} learning rates")
    ax = axes_for(ax)
    method = getattr(region, "method", None)
    physical = method is not None and "friction" in method.parameters
    scaled = lr * (math.sqrt(region.curvature) if physical else float(region.curvature))
    shown = np.where(np.isfinite(radius), radius, 10.0)
    levels = [0.0, 0.5, 0.7, 0.8, 0.9, 0.95, 1.0]
    greys = [str(round(v, 3)) for v in np.linspace(0.62, 0.96, len(levels) - 1)]
    bands = ax.contourf(scaled, momentum, shown, levels=levels, colors=greys, zorder=1)
    faint_hatches(ax.contourf(scaled, momentum, shown, levels=[1.0 + 1e-9, math.inf], colors="none", hatches=[HATCHES[1]], zorder=1))
    ax.contour(scaled, momentum, shown, levels=levels[1:-1], colors="black", linewidths=0.6, zorder=2)
    ax.contour(scaled, momentum, shown, levels=[1.0 + 1e-9], colors=[COLOURS[1]], linewidths=2.2, zorder=3)
    bar = ax.figure.colorbar(bands, ax=ax, ticks=levels)
    bar.set_label("a step multiplies the error by" + (f" ({method.name})" if method is not None else ""))
    x = "lr $\\sqrt{L}$ (step times frequency)" if physical else "lr L (learning rate times curvature)"
    dress(ax, x, "1 - friction lr" if physical else "momentum", grid=False)
    return ax
