"""Shipped data: NIST problems and tables.

The oracle for the NIST models is the formula printed in each NIST file,
evaluated and differentiated in 50-digit arithmetic; it shares no code with
the models under test.
"""

import doctest
import functools
import math
import re
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

import mpmath  # type: ignore[import-untyped]
import numpy as np
import numpy.typing as npt
import pytest

from mflow import data
from mflow.data import (
    GroundMotion,
    load_engel,
    load_longley,
    load_nist,
    load_penguins,
    nist_names,
)
from mflow.data.nist import NistProblem, nist_problem_from_text

Array = npt.NDArray[np.float64]

# Observations, parameters and level, from NIST's summary table of the problems.
NIST_TABLE = {
    "Misra1a": (14, 2, "lower"),
    "Chwirut2": (54, 3, "lower"),
    "Chwirut1": (214, 3, "lower"),
    "Lanczos3": (24, 6, "lower"),
    "Gauss1": (250, 8, "lower"),
    "Gauss2": (250, 8, "lower"),
    "DanWood": (6, 2, "lower"),
    "Misra1b": (14, 2, "lower"),
    "Kirby2": (151, 5, "average"),
    "Hahn1": (236, 7, "average"),
    "Nelson": (128, 3, "average"),
    "MGH17": (33, 5, "average"),
    "Lanczos1": (24, 6, "average"),
    "Lanczos2": (24, 6, "average"),
    "Gauss3": (250, 8, "average"),
    "Misra1c": (14, 2, "average"),
    "Misra1d": (14, 2, "average"),
    "Roszman1": (25, 4, "average"),
    "ENSO": (168, 9, "average"),
    "MGH09": (11, 4, "higher"),
    "Thurber": (37, 7, "higher"),
    "BoxBOD": (6, 2, "higher"),
    "Rat42": (9, 3, "higher"),
    "MGH10": (16, 3, "higher"),
    "Eckerle4": (35, 3, "higher"),
    "Rat43": (15, 4, "higher"),
    "Bennett5": (154, 3, "higher"),
}

every_problem = pytest.mark.parametrize("name", NIST_TABLE)


@functools.cache
def problem(name: str) -> NistProblem:
    return load_nist(name)


def nist_text(name: str) -> str:
    return (files("mflow.data") / "datasets" / "nist" / f"{name}.dat").read_text(encoding="utf-8")


def half_last_digit(values: Array) -> Array:
    """Half a unit in the eleventh significant digit, the last one NIST prints."""
    return np.asarray(0.5 * 10.0 ** (np.floor(np.log10(np.abs(values))) - 10.0))


def printed_formula(name: str) -> Callable[[Any, Any], Any]:
    """NIST's printed formula as a function of one observation's x and of b."""
    pattern = r"^Model:.*?(?:y|log\[y\])\s+=(.*?)\+\s*e\b"
    match = re.search(pattern, nist_text(name), re.DOTALL | re.MULTILINE)
    assert match is not None
    expression = " ".join(match.group(1).split()).replace("[", "(").replace("]", ")")
    code = compile(expression, name, "eval")
    functions = {
        "exp": mpmath.exp,
        "cos": mpmath.cos,
        "sin": mpmath.sin,
        "arctan": mpmath.atan,
        "pi": mpmath.pi,
    }

    def evaluate(x: Any, b: Any) -> Any:
        predictors = {"x": x[0], **{f"x{i}": value for i, value in enumerate(x, 1)}}
        parameters = {f"b{i}": value for i, value in enumerate(b, 1)}
        return eval(code, functions | predictors | parameters)

    return evaluate


def exact_rows(selected: NistProblem) -> list[list[Any]]:
    table = selected.x.reshape(selected.n_observations, -1)
    return [[mpmath.mpf(float(entry)) for entry in row] for row in table]


def oracle_values(name: str, rows: list[list[Any]], b: list[Any]) -> list[Any]:
    formula = printed_formula(name)
    return [formula(x, b) for x in rows]


def oracle_jacobian(name: str, rows: list[list[Any]], b: list[Any]) -> list[list[Any]]:
    """Central differences; at 50 digits and a step of 1e-15 the error is near 1e-30."""
    columns = []
    for position in range(len(b)):
        step = (abs(b[position]) or 1) * mpmath.mpf("1e-15")
        up, down = list(b), list(b)
        up[position] += step
        down[position] -= step
        pairs = zip(oracle_values(name, rows, up), oracle_values(name, rows, down), strict=True)
        columns.append([(high - low) / (2 * step) for high, low in pairs])
    return [list(row) for row in zip(*columns, strict=True)]


def as_exact(values: Array) -> list[Any]:
    return [mpmath.mpf(float(value)) for value in values]


def as_floats(values: Any) -> Array:
    return np.array(values, dtype=np.float64)


# --- NIST problems ----------------------------------------------------------


def test_nist_names_are_the_documented_27() -> None:
    assert nist_names() == tuple(NIST_TABLE)
    shipped = {Path(entry.name).stem for entry in (files("mflow.data") / "datasets" / "nist").iterdir()}
    assert shipped == set(NIST_TABLE)


@every_problem
def test_nist_shapes_types_and_counts(name: str) -> None:
    selected = problem(name)
    n_observations, n_parameters, level = NIST_TABLE[name]
    b = selected.starts[1]
    shapes = {
        "x": (selected.x, (n_observations, 2) if name == "Nelson" else (n_observations,)),
        "y": (selected.y, (n_observations,)),
        "starts": (selected.starts, (2, n_parameters)),
        "certified": (selected.certified_parameters, (n_parameters,)),
        "deviations": (selected.certified_standard_deviations, (n_parameters,)),
        "model": (selected.model(b), (n_observations,)),
        "residual": (selected.residual(b), (n_observations,)),
        "jacobian": (selected.jacobian(b), (n_observations, n_parameters)),
        "gradient": (selected.gradient(b), (n_parameters,)),
    }
    for label, (array, shape) in shapes.items():
        assert (array.shape, array.dtype.name) == (shape, "float64"), label
        assert array.flags.c_contiguous, label
        assert np.isfinite(array).all(), label
    assert selected.level == level
    assert selected.degrees_of_freedom == n_observations - n_parameters
    assert selected.description
    assert selected.reference


@every_problem
def test_nist_residual_standard_deviation_confirms_degrees_of_freedom(name: str) -> None:
    # Rat43's file prints 9 degrees of freedom; only 11 gives its printed deviation.
    match = re.search(r"Residual Standard Deviation:\s*(\S+)", nist_text(name))
    assert match is not None
    selected = problem(name)
    expected = math.sqrt(selected.certified_residual_sum_of_squares / selected.degrees_of_freedom)
    assert float(match.group(1)) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("name", [name for name in NIST_TABLE if name != "Lanczos1"])
def test_nist_certified_sum_of_squares(name: str) -> None:
    selected = problem(name)
    computed = 2.0 * selected.cost(selected.certified_parameters)
    assert computed == pytest.approx(selected.certified_residual_sum_of_squares, rel=1e-9)


def test_lanczos1_sum_of_squares_within_the_printed_digits() -> None:
    # At the minimum the gradient vanishes, so rounding the parameters by delta
    # adds |J delta|^2 to the sum of squares. The residuals are near 1e-13 and
    # the printed digits of b allow |J delta| of several 1e-11: the sum cannot
    # come out at 1.4e-25, only below this bound (doubled for second order).
    selected = problem("Lanczos1")
    b = selected.certified_parameters
    lengths = np.linalg.norm(selected.jacobian(b), axis=0)
    bound = float(half_last_digit(b) @ lengths) ** 2
    assert bound < 1e-19
    excess = 2.0 * selected.cost(b) - selected.certified_residual_sum_of_squares
    assert 0.0 < excess <= 2.0 * bound


@pytest.mark.parametrize("name", ["Lanczos1", "Lanczos2", "Lanczos3"])
def test_lanczos_refined_in_high_precision(name: str) -> None:
    # Gauss-Newton on the printed decimals themselves, not on their doubles.
    selected = problem(name)
    with mpmath.workdps(50):
        lines = [line.split() for line in nist_text(name).splitlines()[60:84]]
        y = mpmath.matrix([mpmath.mpf(line[0]) for line in lines])
        rows = [[mpmath.mpf(line[1])] for line in lines]
        b = as_exact(selected.certified_parameters)
        for _ in range(4):
            slopes = mpmath.matrix(oracle_jacobian(name, rows, b))
            residual = mpmath.matrix(oracle_values(name, rows, b)) - y
            step = mpmath.lu_solve(slopes.T * slopes, -(slopes.T * residual))
            b = [value + change for value, change in zip(b, step, strict=True)]
        residual = mpmath.matrix(oracle_values(name, rows, b)) - y
        sum_of_squares = float(mpmath.fsum(r**2 for r in residual))
        refined, exact_residual = as_floats(b), as_floats(list(residual))
    certified = selected.certified_residual_sum_of_squares
    assert sum_of_squares == pytest.approx(certified, rel=1e-10)
    shift = np.abs(refined - selected.certified_parameters)
    assert (shift <= 1.001 * half_last_digit(selected.certified_parameters)).all()
    # In double precision a residual keeps the rounding of values up to 2.5.
    assert np.abs(selected.residual(refined) - exact_residual).max() < 4e-15


@every_problem
def test_nist_certified_standard_deviations(name: str) -> None:
    selected = problem(name)
    jacobian = selected.jacobian(selected.certified_parameters)
    lengths = np.linalg.norm(jacobian, axis=0)
    inverse = np.linalg.pinv(jacobian / lengths, rcond=1e-14)
    variance = selected.certified_residual_sum_of_squares / selected.degrees_of_freedom
    computed = np.sqrt(variance) * np.linalg.norm(inverse, axis=1) / lengths
    np.testing.assert_allclose(computed, selected.certified_standard_deviations, rtol=2e-6)


@every_problem
@pytest.mark.parametrize("start", [0, 1])
def test_nist_model_jacobian_and_gradient_against_printed_formula(name: str, start: int) -> None:
    selected = problem(name)
    b = selected.starts[start]
    with mpmath.workdps(50):
        exact_b = as_exact(b)
        values = oracle_values(name, exact_rows(selected), exact_b)
        slopes = oracle_jacobian(name, exact_rows(selected), exact_b)
        residuals = [value - y for value, y in zip(values, as_exact(selected.y), strict=True)]
        gradient = [mpmath.fsum(r * slope for r, slope in zip(residuals, column, strict=True)) for column in zip(*slopes, strict=True)]
        half_squares = float(mpmath.fsum(r**2 for r in residuals) / 2)
        model, jacobian = as_floats(values), as_floats(slopes)
        expected_gradient, expected_residual = as_floats(gradient), as_floats(residuals)

    np.testing.assert_allclose(selected.model(b), model, rtol=1e-12, atol=1e-13 * abs(model).max())
    scale = np.linalg.norm(jacobian, axis=0)
    assert (scale > 0.0).all()
    difference = np.abs(selected.jacobian(b) - jacobian)
    assert (difference <= 1e-12 * np.abs(jacobian) + 1e-13 * scale).all()
    computed = selected.gradient(b)
    size = scale * np.linalg.norm(expected_residual)
    assert (np.abs(computed - expected_gradient) <= 1e-12 * size).all()
    # The sums run in different orders: entries that nearly cancel differ by what was lost in their terms.
    assert (np.abs(computed - selected.jacobian(b).T @ selected.residual(b)) <= 1e-14 * size).all()
    assert selected.cost(b) == pytest.approx(half_squares, rel=1e-11)


@pytest.mark.parametrize("name", ["Rat42", "Rat43"])
def test_sigmoid_stays_finite_where_the_exponential_overflows(name: str) -> None:
    selected = problem(name)
    b = selected.starts[1].copy()
    b[1] = 5000.0
    with np.errstate(all="raise", under="ignore"):
        assert np.abs(selected.model(b)).max() == 0.0
        assert np.isfinite(selected.jacobian(b)).all()


def test_nelson_response_is_the_logarithm() -> None:
    selected = problem("Nelson")
    assert selected.y[0] == math.log(15.0)
    assert selected.x[0].tolist() == [1.0, 180.0]


def test_load_nist_gives_fresh_arrays() -> None:
    load_nist("BoxBOD").y[:] = 0.0
    assert load_nist("BoxBOD").y[0] == 109.0


@pytest.mark.parametrize(("wrong", "near"), [("BOXBOD", "BoxBOD"), ("Lanczos", "Lanczos1")])
def test_unknown_nist_name_lists_near_names(wrong: str, near: str) -> None:
    with pytest.raises(ValueError, match=f"{wrong}.*{near}") as caught:
        load_nist(wrong)
    assert "Bennett5" not in str(caught.value)


def test_unknown_nist_name_near_to_none_lists_all() -> None:
    with pytest.raises(ValueError, match="zzzz") as caught:
        load_nist("zzzz")
    assert all(name in str(caught.value) for name in NIST_TABLE)


def test_wrong_number_of_parameters_is_refused() -> None:
    with pytest.raises(ValueError, match=r"b: expected shape \(2,\), the parameters of Misra1a, got shape \(3,\)"):
        problem("Misra1a").cost([1.0, 2.0, 3.0])


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda text: text.rstrip().rsplit("\n", 1)[0], "expected 14 observations and 2 parameters, .*, got 13 and 2"),
        (lambda text: text.replace("  b2 =  ", "  b3 =  "), "expected parameters b1, b2, ..."),
        (lambda text: re.sub(r"(?m)^  b2 = .*$", "", text), "expected 14 observations and 2 parameters, .*, got 14 and 1"),
        (lambda text: text.replace("Residual Sum", "Sum"), "expected a residual sum of squares"),
        (lambda text: text.replace("Data:   y", "Table: y"), "expected a 'Data: y x' heading"),
    ],
)
def test_damaged_nist_file_is_refused(damage: Callable[[str], str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        nist_problem_from_text("Misra1a", damage(nist_text("Misra1a")))


# --- tables -----------------------------------------------------------------


def test_penguins() -> None:
    penguins = load_penguins()
    assert (penguins.X.shape, penguins.X.dtype.name) == ((342, 4), "float64")
    assert (penguins.y.shape, penguins.y.dtype.name) == ((342,), "int64")
    assert penguins.X.flags.c_contiguous
    assert penguins.X[0].tolist() == [39.1, 18.7, 181.0, 3750.0]
    assert penguins.target_names == ("Adelie", "Chinstrap", "Gentoo")
    assert np.bincount(penguins.y).tolist() == [151, 68, 123]
    # Mean body mass by species, as published with the data (grams).
    masses = [round(float(penguins.X[penguins.y == code, 3].mean())) for code in range(3)]
    assert masses == [3701, 3733, 5076]
    assert penguins.licence == "CC0"


def test_longley_gives_the_certified_regression() -> None:
    longley = load_longley()
    assert (longley.X.shape, longley.y.dtype.name) == ((16, 6), "float64")
    assert longley.X.flags.c_contiguous
    centred = longley.X - longley.X.mean(axis=0)
    scale = np.linalg.norm(centred, axis=0)
    response = longley.y - longley.y.mean()
    scaled, squares, _, _ = np.linalg.lstsq(centred / scale, response, rcond=None)
    slopes = scaled / scale
    intercept = longley.y.mean() - longley.X.mean(axis=0) @ slopes
    # NIST StRD linear regression, Longley: certified values.
    certified = [
        -3482258.63459582,
        15.0618722713733,
        -0.0358191792925910,
        -2.02022980381683,
        -1.03322686717359,
        -0.0511041056535807,
        1829.15146461355,
    ]
    np.testing.assert_allclose([intercept, *slopes], certified, rtol=1e-9)
    assert squares[0] == pytest.approx(836424.055505915, rel=1e-10)


def test_engel_gives_the_published_line() -> None:
    engel = load_engel()
    assert (engel.X.shape, engel.X.dtype.name, engel.y.shape) == ((235, 1), "float64", (235,))
    slope, intercept = np.polyfit(engel.X[:, 0], engel.y, 1)
    # Least-squares line of food expenditure on income, as the literature gives it.
    assert (round(float(intercept), 4), round(float(slope), 4)) == (147.4754, 0.4852)


def test_every_shipped_file_has_its_source_stated() -> None:
    folder = files("mflow.data") / "datasets"
    sources = (folder / "SOURCES.md").read_text(encoding="utf-8")
    tables = [entry.name for entry in folder.iterdir() if entry.name.endswith(".csv")]
    assert sorted(tables) == ["engel.csv", "longley.csv", "penguins.csv", "shear_building.csv"]
    assert all(f"`{name}`" in sources for name in [*tables, "nist/"])


def test_documented_examples() -> None:
    outcomes = [doctest.testmod(module) for module in (data.tables, data.rows)]
    assert sum(outcome.attempted for outcome in outcomes) >= 20
    assert sum(outcome.failed for outcome in outcomes) == 0


def test_what_a_notebook_shows_of_data():
    """Arrays of 342 rows were printed as they are stored."""
    page = load_penguins()._repr_html_()
    assert page.count("<tr>") == 22  # heads, ten rows, dots, ten rows
    assert page.count("Adelie") == 10
    problem = load_nist("Misra1a")
    for value in ("238.94212918", "2.7070075241", "0.12455138894"):  # NIST's certified values, as they stand in its file
        assert value in problem._repr_html_()
    record = GroundMotion("shake", np.array([0.0, 0.1, 0.2]), np.array([0.0, -9.80665, 1.0]))
    assert str(record) == "shake: 3 accelerations to 0.2 s, peak 9.8066 m/s^2 (1 g)"
    assert "(1 g)" in record._repr_html_()
