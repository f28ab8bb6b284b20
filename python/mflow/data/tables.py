"""Real data sets and the NIST regression problems.

The data ship with the package; `datasets/SOURCES.md` gives the origin,
citation and licence of each. Nothing is downloaded.
"""

import csv
import difflib
from dataclasses import dataclass
from importlib.resources import files
from typing import Final, Generic, TypeVar

import numpy as np
import numpy.typing as npt

from mflow.base.checks import shown
from mflow.base.tables import Readable, Table, shortened
from mflow.base.telling import knows_other_words
from mflow.data.nist import NistProblem, nist_problem_from_text, problem_names

__all__ = [
    "Dataset",
    "NistProblem",
    "load_engel",
    "load_longley",
    "load_nist",
    "load_penguins",
    "nist_names",
]

Target = TypeVar("Target", bound=np.generic)

_PENGUIN_FEATURES: Final = ("bill_length_mm", "bill_depth_mm", "flipper_length_mm", "body_mass_g")


@knows_other_words
@dataclass(frozen=True, eq=False)
class Dataset(Readable, Generic[Target]):
    """A table of features with one target per row.

    Attributes
    ----------
    X : ndarray, float64, C-contiguous, shape (n_rows, n_features)
        Features.
    y : ndarray, int64 or float64, shape (n_rows,)
        Class codes (classification) or measured values (regression).
    feature_names : tuple of str
        Column names of `X`.
    target_names : tuple of str
        Class names in the order of their codes; for regression, the name of
        the response.
    description, source, licence : str
        What the data are, where they come from, and on what terms.

    See Also
    --------
    mflow.data.load_penguins, mflow.data.load_longley, mflow.data.train_test_split

    Examples
    --------
    >>> from mflow.data import load_penguins
    >>> d = load_penguins()
    >>> d.X.shape, d.y.shape, d.target_names[0]
    ((342, 4), (342,), 'Adelie')
    """

    X: npt.NDArray[np.float64]
    y: npt.NDArray[Target]
    feature_names: tuple[str, ...]
    target_names: tuple[str, ...]
    description: str
    source: str
    licence: str

    def _parts(self) -> list[str | Table]:
        of_classes = self.y.dtype.kind == "i"
        last = [self.target_names[code] for code in self.y] if of_classes else [f"{value:.6g}" for value in self.y]
        rows = [[*(f"{number:.6g}" for number in row), text] for row, text in zip(self.X, last, strict=True)]
        heads = [*self.feature_names, "class" if of_classes else self.target_names[0]]
        return [f"{self.description} ({len(rows)} rows; {self.licence})", Table(heads, shortened(rows))]


def _read_text(*path: str) -> str:
    resource = files("mflow.data") / "datasets"
    for part in path:
        resource = resource / part
    return resource.read_text(encoding="utf-8")


def _read_table(name: str) -> list[dict[str, str]]:
    return list(csv.DictReader(_read_text(name).splitlines()))


def _read_regression(
    name: str,
    features: tuple[str, ...],
    target: str,
    *,
    description: str,
    source: str,
    licence: str,
) -> Dataset[np.float64]:
    rows = _read_table(name)
    return Dataset(
        X=np.array([[float(row[column]) for column in features] for row in rows]),
        y=np.array([float(row[target]) for row in rows]),
        feature_names=features,
        target_names=(target,),
        description=description,
        source=source,
        licence=licence,
    )


@knows_other_words
def load_penguins() -> Dataset[np.int64]:
    """Load the Palmer penguins: three species, four body measurements.

    The two birds with no measurements are left out of the file's 344.

    Returns
    -------
    Dataset
        `X` float64, shape (342, 4): bill length and depth and flipper length
        in millimetres, body mass in grams. `y` int64, shape (342,): 0 Adelie
        (151 birds), 1 Chinstrap (68), 2 Gentoo (123).

    See Also
    --------
    mflow.data.train_test_split, mflow.train

    References
    ----------
    Gorman, K. B., Williams, T. D. and Fraser, W. R. (2014). Ecological sexual
    dimorphism and environmental variability within a community of Antarctic
    penguins (genus Pygoscelis). PLoS ONE 9(3), e90081.

    Examples
    --------
    >>> from mflow.data import load_penguins
    >>> penguins = load_penguins()
    >>> penguins.X.shape, penguins.target_names
    ((342, 4), ('Adelie', 'Chinstrap', 'Gentoo'))
    """
    complete = [row for row in _read_table("penguins.csv") if all(row[feature] != "NA" for feature in _PENGUIN_FEATURES)]
    species = sorted({row["species"] for row in complete})
    return Dataset(
        X=np.array([[float(row[feature]) for feature in _PENGUIN_FEATURES] for row in complete]),
        y=np.array([species.index(row["species"]) for row in complete], dtype=np.int64),
        feature_names=_PENGUIN_FEATURES,
        target_names=tuple(species),
        description=("Body measurements of adult penguins of three species, Palmer Archipelago, Antarctica, 2007 to 2009."),
        source=("Gorman, Williams and Fraser (2014), PLoS ONE 9(3), e90081; by way of the PyPI package palmerpenguins 0.1.4."),
        licence="CC0",
    )


@knows_other_words
def load_longley() -> Dataset[np.float64]:
    """Load Longley's US economy series, a hard test of linear least squares.

    The six predictors are nearly collinear: with an intercept, the condition
    number of the design matrix is about 5e9.

    Returns
    -------
    Dataset
        `X` float64, shape (16, 6): GNP deflator, GNP, unemployed, armed
        forces, population, year. `y` float64, shape (16,): total employment.

    See Also
    --------
    mflow.data.load_engel, mflow.least_squares

    References
    ----------
    Longley, J. W. (1967). An appraisal of least squares programs for the
    electronic computer from the point of view of the user. Journal of the
    American Statistical Association 62(319), 819-841.

    Examples
    --------
    >>> from mflow.data import load_longley
    >>> longley = load_longley()
    >>> longley.X.shape, longley.target_names
    ((16, 6), ('TOTEMP',))
    """
    return _read_regression(
        "longley.csv",
        ("GNPDEFL", "GNP", "UNEMP", "ARMED", "POP", "YEAR"),
        "TOTEMP",
        description="US macroeconomic variables, yearly from 1947 to 1962; highly collinear.",
        source=(
            "Longley (1967), Journal of the American Statistical Association 62(319), 819-841; "
            "by way of the PyPI package statsmodels 0.15.0."
        ),
        licence="Public domain",
    )


@knows_other_words
def load_engel() -> Dataset[np.float64]:
    """Load Engel's household budgets, the classic quantile-regression set.

    Returns
    -------
    Dataset
        `X` float64, shape (235, 1): yearly household income. `y` float64,
        shape (235,): yearly expenditure on food. Both in Belgian francs.

    See Also
    --------
    mflow.data.load_longley

    References
    ----------
    Koenker, R. and Bassett, G. (1982). Robust tests of heteroscedasticity
    based on regression quantiles. Econometrica 50(1), 43-61.

    Examples
    --------
    >>> from mflow.data import load_engel
    >>> engel = load_engel()
    >>> engel.X.shape, engel.target_names
    ((235, 1), ('foodexp',))
    """
    return _read_regression(
        "engel.csv",
        ("income",),
        "foodexp",
        description="Income and food expenditure of 235 Belgian working-class households, 1857.",
        source=(
            "Engel (1857), as used by Koenker and Bassett (1982), Econometrica 50(1), 43-61; by way of the PyPI package statsmodels 0.15.0."
        ),
        licence="Public domain",
    )


@knows_other_words
def nist_names() -> tuple[str, ...]:
    """Names that `load_nist` takes, from lower to higher difficulty.

    Returns
    -------
    tuple of str

    See Also
    --------
    mflow.data.load_nist

    Examples
    --------
    >>> from mflow.data import nist_names
    >>> len(nist_names()), nist_names()[0]
    (27, 'Misra1a')
    """
    return problem_names()


@knows_other_words
def load_nist(name: str) -> NistProblem:
    """Load one of the 27 NIST StRD nonlinear-regression problems.

    Parameters
    ----------
    name : str
        NIST's name of the problem; `nist_names` lists them.

    Returns
    -------
    NistProblem
        Data, starting points and certified answer as float64 arrays, with the
        model, its residuals, Jacobian, cost (half the sum of squares) and
        gradient.

    Raises
    ------
    ValueError
        The name is not one of the 27; the message lists the nearest ones.
    FileNotFoundError
        The installation is one without NIST's files, which a distributor may leave out.

    See Also
    --------
    mflow.data.nist_names, mflow.curve_fit

    References
    ----------
    NIST/ITL Statistical Reference Datasets (StRD), nonlinear regression.

    Examples
    --------
    >>> from mflow.data import load_nist
    >>> problem = load_nist("Misra1a")
    >>> problem.starts.shape, problem.certified_residual_sum_of_squares
    ((2, 2), 0.12455138894)
    >>> bool(problem.cost(problem.starts[0]) > problem.cost(problem.certified_parameters))
    True
    """
    names = problem_names()
    if not isinstance(name, str):
        raise TypeError(f"name: expected the name of a NIST problem, got {shown(name)}")
    if name not in names:
        by_lower_case = {known.lower(): known for known in names}
        near = difflib.get_close_matches(str(name).lower(), by_lower_case, n=4, cutoff=0.5)
        choices = [by_lower_case[match] for match in near] or list(names)
        raise ValueError(f"name: expected a NIST problem, got {name!r}; use one of {', '.join(choices)}")
    try:
        text = _read_text("nist", f"{name}.dat")
    except FileNotFoundError:
        raise FileNotFoundError(
            f"name: {name}.dat is not in this installation, whose distributor has left NIST's files out; the source archive and wheels of "
            "momentum-flow have them, in mflow/data/datasets/nist, and https://www.itl.nist.gov/div898/strd/nls/nls_main.shtml"
        ) from None
    return nist_problem_from_text(name, text)
