"""The 27 NIST StRD nonlinear-regression problems: file reader, and problems with their models.

The models are compiled (`mflow_core.objectives.objectives_nist`): each has a record there, and these records are the list of problems.

Source: NIST Statistical Reference Datasets, nonlinear regression.
"""

import re
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
import numpy.typing as npt
from mflow_core.objectives.objective import Objective, records

from mflow.base.checks import Array, real_array
from mflow.base.tables import Readable, Table
from mflow.base.telling import knows_other_words

__all__ = ["NistProblem", "nist_problem_from_text", "problem_names"]


@knows_other_words
@dataclass(frozen=True, eq=False)
class NistProblem(Readable):
    """One NIST nonlinear least-squares problem with its certified answer.

    The cost is **half** the sum of squared residuals, so that its gradient is
    ``J.T @ r``; `certified_residual_sum_of_squares` is NIST's figure, the full
    sum, which is twice the cost at the certified parameters.

    A formula that overflows or leaves its domain at some ``b`` gives ``inf``
    or ``nan``; a solver should reject such a point.

    Attributes
    ----------
    name : str
        NIST's name of the problem, for example ``"Misra1a"``.
    level : str
        Difficulty by NIST's grading: ``"lower"``, ``"average"`` or ``"higher"``.
    x : ndarray, float64, shape (n_observations,) or (n_observations, 2)
        Predictor values; two columns for Nelson only.
    y : ndarray, float64, shape (n_observations,)
        Response as fitted: for Nelson it is the logarithm of the measured one.
    starts : ndarray, float64, shape (2, n_parameters)
        NIST's two starting points, the far one first.
    certified_parameters : ndarray, float64, shape (n_parameters,)
        Least-squares estimate, to 11 significant digits.
    certified_standard_deviations : ndarray, float64, shape (n_parameters,)
        Standard deviations of the estimate, to 11 significant digits.
    certified_residual_sum_of_squares : float
        Sum of squared residuals at the estimate.
    degrees_of_freedom : int
        ``n_observations - n_parameters``.
    description, reference : str
        What was measured and where it was published, in NIST's words.

    See Also
    --------
    mflow.data.load_nist, mflow.data.nist_names, mflow.objectives.nist

    Examples
    --------
    >>> from mflow.data import load_nist
    >>> p = load_nist("Misra1a")
    >>> p.level, p.starts.shape, p.y.size - p.certified_parameters.size == p.degrees_of_freedom
    ('lower', (2, 2), True)
    """

    name: str
    level: str
    x: Array
    y: Array
    starts: Array
    certified_parameters: Array
    certified_standard_deviations: Array
    certified_residual_sum_of_squares: float
    degrees_of_freedom: int
    description: str
    reference: str

    def _parts(self) -> list[str | Table]:
        columns = self.certified_parameters, self.certified_standard_deviations, *self.starts
        rows = [[f"b{k}", *(f"{number:.11g}" for number in row)] for k, row in enumerate(zip(*columns, strict=True), 1)]
        said = f"{self.name}: {self.level} difficulty, {len(self.y)} observations; certified residual sum of squares "
        said += f"{self.certified_residual_sum_of_squares:.11g}, {self.degrees_of_freedom} degrees of freedom"
        return [said, Table(["", "certified", "standard deviation", "far start", "near start"], rows)]

    @cached_property
    def objective(self) -> Objective:
        """The cost as a compiled objective, with its residuals and Jacobian; its start is the nearer one."""
        return _compiled(self.name, self.x, self.y, self.starts[1])

    @cached_property
    def _model(self) -> Objective:
        return _compiled(self.name, self.x, None, self.starts[1])

    @property
    def n_observations(self) -> int:
        """Number of observations."""
        return int(self.y.shape[0])

    @property
    def n_parameters(self) -> int:
        """Number of parameters."""
        return int(self.certified_parameters.shape[0])

    def _parameters(self, b: npt.ArrayLike) -> Array:
        parameters = real_array(b, "b")
        if parameters.shape != (self.n_parameters,):
            raise ValueError(f"b: expected shape ({self.n_parameters},), the parameters of {self.name}, got shape {parameters.shape}")
        return parameters

    def model(self, b: npt.ArrayLike) -> Array:
        """Model values at `x`, shape (n_observations,); `ValueError` on a wrong shape."""
        return self._model.residuals(self._parameters(b))

    def residual(self, b: npt.ArrayLike) -> Array:
        """Residuals ``model(b) - y``, shape (n_observations,)."""
        return self.objective.residuals(self._parameters(b))

    def jacobian(self, b: npt.ArrayLike) -> Array:
        """Jacobian of the residuals, C-contiguous, shape (n_observations, n_parameters)."""
        return self._model.jac(self._parameters(b))

    def cost(self, b: npt.ArrayLike) -> float:
        """Half the sum of squared residuals, ``0.5 * sum(residual(b)**2)``."""
        return self.objective(self._parameters(b))

    def gradient(self, b: npt.ArrayLike) -> Array:
        """Gradient of `cost`, ``jacobian(b).T @ residual(b)``, shape (n_parameters,)."""
        return self.objective.grad(self._parameters(b))


def _compiled(name: str, x: Array, y: Array | None, start: Array) -> Objective:
    objective = Objective()
    objective.fill(name, start.shape, start, x, y, factor=0.5)
    return objective


# --- reading NIST's files ---------------------------------------------------

LOG_RESPONSE: Final = frozenset({"Nelson"})  # fitted to the logarithm of the response
_LEVEL: Final = re.compile(r"(Lower|Average|Higher) Level of Difficulty")
_PARAMETER: Final = re.compile(r"^[ \t]*b(\d+)[ \t]*=[ \t]*(\S+)[ \t]+(\S+)[ \t]+(\S+)[ \t]+(\S+)[ \t]*$", re.MULTILINE)
_SUM_OF_SQUARES: Final = re.compile(r"^Residual Sum of Squares:\s*(\S+)", re.MULTILINE)
_PARAMETER_COUNT: Final = re.compile(r"^[ \t]*(\d+) Parameters", re.MULTILINE)
_OBSERVATIONS: Final = re.compile(r"^Number of Observations:\s*(\d+)", re.MULTILINE)
_DATA_HEADING: Final = re.compile(r"^Data:[ \t]+y[ \t]+x.*$", re.MULTILINE)


def problem_names() -> tuple[str, ...]:
    """Names of the 27 problems, from lower to higher difficulty."""
    return tuple(name for name, family, *_ in records() if family == "nist")


def _find(pattern: re.Pattern[str], text: str, part: str, name: str) -> re.Match[str]:
    match = pattern.search(text)
    if match is None:
        raise ValueError(f"text: expected a {part} in the file of NIST problem {name}, found none; use NIST's file unchanged")
    return match


def _section(heading: str, text: str) -> str:
    """Text from a heading at the margin to the next, its white space run together."""
    match = re.search(rf"^{heading}:(.*?)(?=^\S)", text, re.MULTILINE | re.DOTALL)
    return "" if match is None else " ".join(match.group(1).split())


def nist_problem_from_text(name: str, text: str) -> NistProblem:
    """Build a problem from the text of NIST's file for it.

    Parameters
    ----------
    name : str
        One of `problem_names`.
    text : str
        Contents of NIST's ``.dat`` file.

    Returns
    -------
    NistProblem

    Raises
    ------
    KeyError
        No model is known under `name`.
    ValueError
        A part is missing from the text, or the counts it states do not agree
        with the rows it holds (a truncated or edited file).
    """
    if name not in problem_names():
        raise KeyError(name)
    parameters = _PARAMETER.findall(text)
    numbers = np.array([[float(entry) for entry in row[1:]] for row in parameters]).reshape(-1, 4)
    heading = _find(_DATA_HEADING, text, "'Data: y x' heading", name)
    rows = [line.split() for line in text[heading.end() :].splitlines() if line.strip()]
    data = np.array([[float(entry) for entry in row] for row in rows])
    observations = int(_find(_OBSERVATIONS, text, "number of observations", name).group(1))
    stated = int(_find(_PARAMETER_COUNT, text, "number of parameters", name).group(1))

    if [int(row[0]) for row in parameters] != list(range(1, len(parameters) + 1)):
        raise ValueError(
            f"text: expected parameters b1, b2, ... in the file of NIST problem {name}, got other numbers; use NIST's file unchanged"
        )
    if data.shape[0] != observations or len(parameters) != stated:
        raise ValueError(
            f"text: expected {observations} observations and {stated} parameters, as the file of NIST problem {name} states, "
            f"got {data.shape[0]} and {len(parameters)}; use NIST's file unchanged"
        )
    response = np.log(data[:, 0]) if name in LOG_RESPONSE else data[:, 0].copy()
    return NistProblem(
        name=name,
        level=_find(_LEVEL, text, "level of difficulty", name).group(1).lower(),
        x=np.ascontiguousarray(data[:, 1] if data.shape[1] == 2 else data[:, 1:]),
        y=response,
        starts=np.ascontiguousarray(numbers[:, :2].T),
        certified_parameters=numbers[:, 2].copy(),
        certified_standard_deviations=numbers[:, 3].copy(),
        certified_residual_sum_of_squares=float(_find(_SUM_OF_SQUARES, text, "residual sum of squares", name).group(1)),
        # Counted, not read: the file of Rat43 misprints 9 for 15 - 4 = 11, which
        # its own residual standard deviation confirms.
        degrees_of_freedom=observations - len(parameters),
        description=_section("Description", text),
        reference=_section("Reference", text),
    )
