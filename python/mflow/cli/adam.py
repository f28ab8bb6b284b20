"""`mflow adam`: the comparison of the Adam paper, Adam beside AdaGrad, RMSprop and SGD with Nesterov momentum, on a real set.

Multinomial logistic regression by minibatches, as in section 6.1 of the paper: lr/sqrt(t) for all methods, the same grid of lr for all,
some seeds each, every method otherwise at its defaults. Nobody is presumed to win: each method is shown at every rate, and its best one is
that with the least median training loss over seeds. The set is scikit-learn's handwritten digits where scikit-learn is installed (they
come with it), else the penguins that come with this library.

D. P. Kingma and J. Ba, Adam: A Method for Stochastic Optimization (2015).
"""

from __future__ import annotations

import argparse
import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mflow.base.checks import Array
from mflow.data.tables import load_penguins, standardize
from mflow.experiments.sweep import SweepResult, sweep
from mflow.experiments.tasks import Training
from mflow.optim.schedules import InverseSqrtLR
from mflow.plot.training import curves
from mflow.plot.training import sweep as draw_sweep

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["METHODS", "Table", "cost", "load", "picture", "run"]

METHODS = {
    "Adam": ("adam", {}),
    "AdaGrad": ("adagrad", {}),
    "RMSprop": ("rmsprop", {}),
    "SGD, Nesterov momentum": ("nesterov", {"momentum": 0.9}),
}
GRID = tuple(float(f"{10.0 ** (k / 2):.3g}") for k in range(-8, 4))  # 1e-4 to about 32, two a decade
DECAY = 1e-4  # L2 on the weights, so that the least loss is at a finite place


@dataclass(frozen=True, eq=False)
class Table:
    """Rows of a classification.

    Attributes
    ----------
    name : str
    X : float64 array (n, features + 1)
        The last column is ones.
    onehot : float64 array (n, classes)
    """

    name: str
    X: Array
    onehot: Array


def load(name: str = "auto") -> Table:
    """The set to classify.

    Parameters
    ----------
    name : "auto", "digits" or "penguins"
        Digits come with scikit-learn, which must be installed; "auto" takes them where it is, else the penguins.

    Returns
    -------
    Table

    Raises
    ------
    ValueError
        There is no such set, or scikit-learn is not installed.

    Examples
    --------
    >>> from mflow.cli.adam import load
    >>> load("penguins").X.shape
    (342, 5)
    """
    if name not in ("auto", "digits", "penguins"):
        raise ValueError(f"{name!r}: there are auto, digits and penguins")
    there = importlib.util.find_spec("sklearn") is not None
    if name == "digits" and not there:
        raise ValueError("digits come with scikit-learn, which is not installed: pip install scikit-learn, or take penguins")
    X: Array
    if name == "penguins" or not there:
        birds = load_penguins()
        X, y, text = standardize(birds.X), birds.y, f"{len(birds.y)} penguins of 3 species, 4 measurements"
    else:
        from sklearn.datasets import load_digits

        digits = load_digits()
        X, y = np.asarray(digits.data, dtype=np.float64) / 16.0, np.asarray(digits.target)
        text = f"{len(y)} handwritten digits of {X.shape[1]} pixels"
    return Table(text, np.ascontiguousarray(np.hstack([X, np.ones((len(X), 1))])), np.eye(int(y.max()) + 1)[y])


def cost(c: Array, X: Array, onehot: Array) -> tuple[float, Array]:
    """Mean cross-entropy of softmax(X c) plus L2 on all of c but its last row, the bias; and its gradient.

    Examples
    --------
    >>> import numpy as np
    >>> from mflow.cli.adam import cost
    >>> value, gradient = cost(np.zeros((2, 2)), np.ones((3, 2)), np.eye(2)[[0, 1, 1]])
    >>> bool(np.isclose(value, np.log(2.0))), gradient.shape
    (True, (2, 2))
    """
    z = X @ c
    z -= z.max(axis=1, keepdims=True)
    share = np.exp(z)
    total = share.sum(axis=1, keepdims=True)
    value = float(np.mean(np.log(total[:, 0]) - np.einsum("ij,ij->i", z, onehot)))
    share /= total
    share -= onehot
    gradient = X.T @ share / len(X)
    gradient[:-1] += DECAY * c[:-1]
    return value + 0.5 * DECAY * float(np.vdot(c[:-1], c[:-1])), gradient


def run(
    what: Table, *, lrs: tuple[float, ...] = GRID, seeds: int = 5, epochs: int = 20, batch_size: int = 128, constant: bool = False,
    progress: bool = False,
) -> SweepResult:  # fmt: skip
    """Every method at every rate, from weights of zero.

    Parameters
    ----------
    what : Table
    lrs : floats above 0
        The same for all methods.
    seeds : int
        How many; they draw the batches.
    epochs, batch_size : int
        Of the paper: 128 rows in a batch.
    constant : bool
        lr as it is, in place of the paper's lr/sqrt(t).
    progress : bool

    Returns
    -------
    SweepResult

    Examples
    --------
    >>> from mflow.cli.adam import load, run
    >>> run(load("penguins"), lrs=(0.01, 0.1), seeds=2, epochs=2, batch_size=32).loss.shape
    (4, 2, 2)
    """
    start = np.zeros((what.X.shape[1], what.onehot.shape[1]))
    schedule: Any = None if constant else InverseSqrtLR
    task = Training(cost, start, (what.X, what.onehot), epochs=epochs, batch_size=min(batch_size, len(what.X)), schedule=schedule)
    return sweep(task, METHODS, lrs, range(seeds), progress=progress)


def picture(result: SweepResult, title: str = "") -> Figure:
    """Final loss against lr on the left; loss against epochs at each method's best lr on the right.

    Examples
    --------
    >>> from mflow.cli.adam import load, picture, run
    >>> found = run(load("penguins"), lrs=(0.01, 0.1), seeds=1, epochs=2, batch_size=32)
    >>> [axis.get_xlabel() for axis in picture(found).axes]
    ['learning rate (x above: ended badly)', 'epoch']
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12.5, 4.8), layout="constrained")
    left, right = figure.subplots(1, 2)
    draw_sweep(result, ax=left)
    left.get_legend().remove()
    curves(result, ax=right)
    if title:
        figure.suptitle(title, fontsize="medium")
    return figure


# ---- the command -----------------------------------------------------------------------------------------------------------------------

DESCRIPTION = (
    "The comparison of the Adam paper: Adam, AdaGrad, RMSprop and SGD with Nesterov momentum on multinomial logistic regression, the same "
    "learning rates for all, as a table and a picture."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `mflow adam`."""
    add = parser.add_argument
    add("--data", default="auto", metavar="NAME", help="digits (of scikit-learn), penguins, or auto: digits where they are (default)")
    add("--lrs", nargs="+", type=float, default=list(GRID), metavar="LR", help="the grid for all (default: 1e-4 to 32, two a decade)")
    add("--seeds", type=int, default=5, metavar="N", help="how many (default: %(default)s)")
    add("--epochs", type=int, default=20, metavar="N", help="passes over the data (default: %(default)s)")
    add("--batch-size", type=int, default=128, metavar="N", help="rows in a batch (default: %(default)s, the paper's)")
    add("--constant", action="store_true", help="lr as it is, in place of the paper's lr/sqrt(t)")
    add("--out", default="adam.png", metavar="FILE", help="the picture: .png, .svg or .pdf (default: %(default)s)")
    add("--no-plot", action="store_true", help="draw no picture")
    add("--progress", action="store_true", help="show progress on stderr")


def check_arguments(arguments: argparse.Namespace) -> None:
    """Raise ValueError, with a text for the user, for what can be seen to be wrong before any work is done."""
    if arguments.data not in ("auto", "digits", "penguins"):
        raise ValueError(f"--data {arguments.data}: there are auto, digits and penguins")
    if arguments.data == "digits" and importlib.util.find_spec("sklearn") is None:
        raise ValueError("--data digits: they come with scikit-learn, which is not installed: pip install scikit-learn")
    if not all(0.0 < lr < np.inf for lr in arguments.lrs):
        raise ValueError(f"--lrs {' '.join(map(str, arguments.lrs))}: numbers above 0 are wanted")
    for name in ("seeds", "epochs", "batch_size"):
        if getattr(arguments, name) < 1:
            raise ValueError(f"--{name.replace('_', '-')} {getattr(arguments, name)}: a whole number from 1 on is wanted")
    if arguments.no_plot:
        return
    if importlib.util.find_spec("matplotlib") is None:
        raise ValueError("matplotlib is not installed: pip install 'mflow[plot]', or give --no-plot")
    path = Path(arguments.out)
    if path.suffix.lower() not in (".png", ".svg", ".pdf"):
        raise ValueError(f"--out {arguments.out}: the name must end in .png, .svg, .pdf")
    if not path.absolute().parent.is_dir():
        raise ValueError(f"--out {arguments.out}: there is no folder {path.parent}")


def command(arguments: argparse.Namespace) -> int:
    """Run `mflow adam`; the exit code."""
    what = load(arguments.data)
    result = run(
        what, lrs=tuple(arguments.lrs), seeds=arguments.seeds, epochs=arguments.epochs, batch_size=arguments.batch_size,
        constant=arguments.constant, progress=arguments.progress,
    )  # fmt: skip
    rate = "lr" if arguments.constant else "lr/sqrt(t)"
    title = f"Logistic regression of {what.name}: {arguments.epochs} epochs in batches of {arguments.batch_size}, {rate}"
    print(f"{title}\n")
    print(result.table())
    if not arguments.no_plot:
        picture(result, title).savefig(arguments.out, dpi=110)
        print(f"Picture: {arguments.out}")
    return 0
