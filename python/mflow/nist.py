"""The 27 NIST StRD nonlinear-regression problems: models and file reader.

Each model is written from the formula in the header of its data file, with
its analytic Jacobian. Models of one family share a form: the rationals, the
sums of exponentials, peaks and waves, the saturation curves, the sigmoids.

Source: NIST Statistical Reference Datasets, nonlinear regression.
"""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

__all__ = ["NistProblem", "nist_problem_from_text", "problem_names"]

Array: TypeAlias = npt.NDArray[np.float64]
Evaluation: TypeAlias = Callable[[Array, Array], Array]


@dataclass(frozen=True)
class ModelForm:
    """A model ``f(x, b)`` with its Jacobian ``df/db``, shape ``(n, n_par)``."""

    value: Evaluation
    jacobian: Evaluation
    log_response: bool = False


def _columns(*derivatives: Array) -> Array:
    return np.stack(derivatives, axis=1)


# --- terms that are added up in several models ------------------------------


def _sum_of(*terms: tuple[ModelForm, tuple[int, ...]]) -> ModelForm:
    """Add terms; each takes the parameters at its own positions in ``b``."""
    placed = [(form, list(positions)) for form, positions in terms]
    n_par = 1 + max(position for _, positions in placed for position in positions)

    def value(x: Array, b: Array) -> Array:
        total = np.zeros(x.shape[0])
        for form, positions in placed:
            total += form.value(x, b[positions])
        return total

    def jacobian(x: Array, b: Array) -> Array:
        result = np.empty((x.shape[0], n_par))
        for form, positions in placed:
            result[:, positions] = form.jacobian(x, b[positions])
        return result

    return ModelForm(value, jacobian)


def _constant_term() -> ModelForm:
    def value(x: Array, b: Array) -> Array:
        return np.full(x.shape[0], b[0])

    def jacobian(x: Array, b: Array) -> Array:
        return np.ones((x.shape[0], 1))

    return ModelForm(value, jacobian)


def _exponential_term() -> ModelForm:
    """``amplitude * exp(-rate * x)``."""

    def value(x: Array, b: Array) -> Array:
        amplitude, rate = b
        return np.asarray(amplitude * np.exp(-rate * x))

    def jacobian(x: Array, b: Array) -> Array:
        amplitude, rate = b
        decay = np.exp(-rate * x)
        return _columns(decay, -amplitude * x * decay)

    return ModelForm(value, jacobian)


def _peak_term() -> ModelForm:
    """``height * exp(-((x - centre) / width)**2)``."""

    def value(x: Array, b: Array) -> Array:
        height, centre, width = b
        return np.asarray(height * np.exp(-(((x - centre) / width) ** 2)))

    def jacobian(x: Array, b: Array) -> Array:
        height, centre, width = b
        distance = (x - centre) / width
        bell = np.exp(-(distance**2))
        slope = 2.0 * height * distance * bell / width
        return _columns(bell, slope, slope * distance)

    return ModelForm(value, jacobian)


def _fixed_wave_term(period: float) -> ModelForm:
    """``cosine * cos(angle) + sine * sin(angle)`` with ``angle = 2 pi x / period``."""

    def jacobian(x: Array, b: Array) -> Array:
        angle = 2.0 * math.pi * x / period
        return _columns(np.cos(angle), np.sin(angle))

    def value(x: Array, b: Array) -> Array:
        return np.asarray(jacobian(x, b) @ b)

    return ModelForm(value, jacobian)


def _free_wave_term() -> ModelForm:
    """``cosine * cos(angle) + sine * sin(angle)``, the period being the first parameter."""

    def value(x: Array, b: Array) -> Array:
        period, cosine, sine = b
        angle = 2.0 * math.pi * x / period
        return np.asarray(cosine * np.cos(angle) + sine * np.sin(angle))

    def jacobian(x: Array, b: Array) -> Array:
        period, cosine, sine = b
        angle = 2.0 * math.pi * x / period
        in_phase, quadrature = np.cos(angle), np.sin(angle)
        along_period = (cosine * quadrature - sine * in_phase) * angle / period
        return _columns(along_period, in_phase, quadrature)

    return ModelForm(value, jacobian)


# --- forms shared by several problems ---------------------------------------


def _rational(numerator_degree: int, denominator_degree: int) -> ModelForm:
    """Ratio of polynomials; the denominator's constant term is fixed at 1."""
    numerator_powers = np.arange(numerator_degree + 1)
    denominator_powers = np.arange(1, denominator_degree + 1)
    split = numerator_degree + 1

    def parts(x: Array, b: Array) -> tuple[Array, Array, Array, Array]:
        above = x[:, None] ** numerator_powers
        below = x[:, None] ** denominator_powers
        denominator = 1.0 + below @ b[split:]
        return above, below, denominator, (above @ b[:split]) / denominator

    def value(x: Array, b: Array) -> Array:
        return parts(x, b)[3]

    def jacobian(x: Array, b: Array) -> Array:
        above, below, denominator, ratio = parts(x, b)
        return np.hstack([above, -ratio[:, None] * below]) / denominator[:, None]

    return ModelForm(value, jacobian)


def _saturation_exponential() -> ModelForm:
    """``b1 * (1 - exp(-b2 * x))``, by ``expm1`` so that small ``b2 * x`` is exact."""

    def value(x: Array, b: Array) -> Array:
        return np.asarray(-b[0] * np.expm1(-b[1] * x))

    def jacobian(x: Array, b: Array) -> Array:
        return _columns(-np.expm1(-b[1] * x), b[0] * x * np.exp(-b[1] * x))

    return ModelForm(value, jacobian)


def _saturation_power(order: float) -> ModelForm:
    """``b1 * (1 - (1 + b2 * x / order)**(-order))``.

    Orders 2, 1/2 and 1 are Misra1b, Misra1c and Misra1d; an infinite order is
    the exponential form.
    """

    def value(x: Array, b: Array) -> Array:
        return np.asarray(b[0] * (1.0 - (1.0 + b[1] * x / order) ** -order))

    def jacobian(x: Array, b: Array) -> Array:
        base = 1.0 + b[1] * x / order
        return _columns(1.0 - base**-order, b[0] * x * base ** (-order - 1.0))

    return ModelForm(value, jacobian)


def _sigmoid(with_shape: bool) -> ModelForm:
    """``b1 / (1 + exp(b2 - b3 * x))**(1 / b4)``; without a shape, ``b4`` is 1.

    Written with ``log(1 + exp(u))``: the plain quotient gives ``inf / inf`` in
    the Jacobian once ``exp(u)`` overflows, which far-off trial points reach.
    """

    def parts(x: Array, b: Array) -> tuple[Array, Array, Array, float]:
        exponent = b[1] - b[2] * x
        shape = float(b[3]) if with_shape else 1.0
        softplus = np.logaddexp(0.0, exponent)
        return np.exp(-softplus / shape), softplus, exponent, shape

    def value(x: Array, b: Array) -> Array:
        return np.asarray(b[0] * parts(x, b)[0])

    def jacobian(x: Array, b: Array) -> Array:
        curve, softplus, exponent, shape = parts(x, b)
        along_exponent = -b[0] * curve / shape * np.exp(-np.logaddexp(0.0, -exponent))
        derivatives = [curve, along_exponent, -x * along_exponent]
        if with_shape:
            derivatives.append(b[0] * curve * softplus / shape**2)
        return _columns(*derivatives)

    return ModelForm(value, jacobian)


# --- forms used by one study ------------------------------------------------


def _chwirut() -> ModelForm:
    """``exp(-b1 * x) / (b2 + b3 * x)``."""

    def value(x: Array, b: Array) -> Array:
        return np.asarray(np.exp(-b[0] * x) / (b[1] + b[2] * x))

    def jacobian(x: Array, b: Array) -> Array:
        ratio = value(x, b)
        along_denominator = -ratio / (b[1] + b[2] * x)
        return _columns(-x * ratio, along_denominator, x * along_denominator)

    return ModelForm(value, jacobian)


def _danwood() -> ModelForm:
    """``b1 * x**b2``."""

    def value(x: Array, b: Array) -> Array:
        return np.asarray(b[0] * x ** b[1])

    def jacobian(x: Array, b: Array) -> Array:
        power = x ** b[1]
        return _columns(power, b[0] * power * np.log(x))

    return ModelForm(value, jacobian)


def _mgh09() -> ModelForm:
    """``b1 * (x**2 + b2 * x) / (x**2 + b3 * x + b4)``."""

    def value(x: Array, b: Array) -> Array:
        return np.asarray(b[0] * x * (x + b[1]) / (x * (x + b[2]) + b[3]))

    def jacobian(x: Array, b: Array) -> Array:
        denominator = x * (x + b[2]) + b[3]
        ratio = x * (x + b[1]) / denominator
        along_b4 = -b[0] * ratio / denominator
        return _columns(ratio, b[0] * x / denominator, x * along_b4, along_b4)

    return ModelForm(value, jacobian)


def _mgh10() -> ModelForm:
    """``b1 * exp(b2 / (x + b3))``."""

    def value(x: Array, b: Array) -> Array:
        return np.asarray(b[0] * np.exp(b[1] / (x + b[2])))

    def jacobian(x: Array, b: Array) -> Array:
        shifted = x + b[2]
        growth = np.exp(b[1] / shifted)
        along_b2 = b[0] * growth / shifted
        return _columns(growth, along_b2, -along_b2 * b[1] / shifted)

    return ModelForm(value, jacobian)


def _eckerle() -> ModelForm:
    """``b1 / b2 * exp(-((x - b3) / b2)**2 / 2)``."""

    def value(x: Array, b: Array) -> Array:
        return np.asarray(b[0] / b[1] * np.exp(-0.5 * ((x - b[2]) / b[1]) ** 2))

    def jacobian(x: Array, b: Array) -> Array:
        distance = (x - b[2]) / b[1]
        density = np.exp(-0.5 * distance**2) / b[1]
        scaled = b[0] * density / b[1]
        return _columns(density, scaled * (distance**2 - 1.0), scaled * distance)

    return ModelForm(value, jacobian)


def _bennett() -> ModelForm:
    """``b1 * (b2 + x)**(-1 / b3)``."""

    def value(x: Array, b: Array) -> Array:
        return np.asarray(b[0] * (b[1] + x) ** (-1.0 / b[2]))

    def jacobian(x: Array, b: Array) -> Array:
        shifted = b[1] + x
        power = shifted ** (-1.0 / b[2])
        scaled = b[0] * power / b[2]
        return _columns(power, -scaled / shifted, scaled * np.log(shifted) / b[2])

    return ModelForm(value, jacobian)


def _roszman() -> ModelForm:
    """``b1 - b2 * x - arctan(b3 / (x - b4)) / pi``."""

    def value(x: Array, b: Array) -> Array:
        return np.asarray(b[0] - b[1] * x - np.arctan(b[2] / (x - b[3])) / math.pi)

    def jacobian(x: Array, b: Array) -> Array:
        shifted = x - b[3]
        scale = math.pi * (shifted**2 + b[2] ** 2)
        return _columns(np.ones_like(x), -x, -shifted / scale, -b[2] / scale)

    return ModelForm(value, jacobian)


def _nelson() -> ModelForm:
    """``b1 - b2 * x1 * exp(-b3 * x2)``, fitted to the logarithm of the response."""

    def value(x: Array, b: Array) -> Array:
        return np.asarray(b[0] - b[1] * x[:, 0] * np.exp(-b[2] * x[:, 1]))

    def jacobian(x: Array, b: Array) -> Array:
        decay = x[:, 0] * np.exp(-b[2] * x[:, 1])
        return _columns(np.ones(x.shape[0]), -decay, b[1] * x[:, 1] * decay)

    return ModelForm(value, jacobian, log_response=True)


_EXPONENTIAL: Final = _exponential_term()
_PEAK: Final = _peak_term()
_FREE_WAVE: Final = _free_wave_term()
_THREE_EXPONENTIALS: Final = _sum_of((_EXPONENTIAL, (0, 1)), (_EXPONENTIAL, (2, 3)), (_EXPONENTIAL, (4, 5)))
_EXPONENTIAL_AND_TWO_PEAKS: Final = _sum_of((_EXPONENTIAL, (0, 1)), (_PEAK, (2, 3, 4)), (_PEAK, (5, 6, 7)))
_CONSTANT_AND_TWO_EXPONENTIALS: Final = _sum_of((_constant_term(), (0,)), (_EXPONENTIAL, (1, 3)), (_EXPONENTIAL, (2, 4)))
_CONSTANT_AND_THREE_WAVES: Final = _sum_of(
    (_constant_term(), (0,)),
    (_fixed_wave_term(12.0), (1, 2)),
    (_FREE_WAVE, (3, 4, 5)),
    (_FREE_WAVE, (6, 7, 8)),
)

# In the order NIST lists them: lower, then average, then higher difficulty.
_FORMS: Final[dict[str, ModelForm]] = {
    "Misra1a": _saturation_exponential(),
    "Chwirut2": _chwirut(),
    "Chwirut1": _chwirut(),
    "Lanczos3": _THREE_EXPONENTIALS,
    "Gauss1": _EXPONENTIAL_AND_TWO_PEAKS,
    "Gauss2": _EXPONENTIAL_AND_TWO_PEAKS,
    "DanWood": _danwood(),
    "Misra1b": _saturation_power(2.0),
    "Kirby2": _rational(2, 2),
    "Hahn1": _rational(3, 3),
    "Nelson": _nelson(),
    "MGH17": _CONSTANT_AND_TWO_EXPONENTIALS,
    "Lanczos1": _THREE_EXPONENTIALS,
    "Lanczos2": _THREE_EXPONENTIALS,
    "Gauss3": _EXPONENTIAL_AND_TWO_PEAKS,
    "Misra1c": _saturation_power(0.5),
    "Misra1d": _saturation_power(1.0),
    "Roszman1": _roszman(),
    "ENSO": _CONSTANT_AND_THREE_WAVES,
    "MGH09": _mgh09(),
    "Thurber": _rational(3, 3),
    "BoxBOD": _saturation_exponential(),
    "Rat42": _sigmoid(with_shape=False),
    "MGH10": _mgh10(),
    "Eckerle4": _eckerle(),
    "Rat43": _sigmoid(with_shape=True),
    "Bennett5": _bennett(),
}


@dataclass(frozen=True, eq=False)
class NistProblem:
    """One NIST nonlinear least-squares problem with its certified answer.

    The cost is **half** the sum of squared residuals, so that its gradient is
    ``J.T @ r``; `certified_residual_sum_of_squares` is NIST's figure, the full
    sum, which is twice the cost at the certified parameters.

    A formula that overflows or leaves its domain at some ``b`` gives ``inf``
    or ``nan``, with numpy's own warnings; a solver should reject such a point.

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
    _form: ModelForm = field(repr=False)

    @property
    def n_observations(self) -> int:
        """Number of observations."""
        return int(self.y.shape[0])

    @property
    def n_parameters(self) -> int:
        """Number of parameters."""
        return int(self.certified_parameters.shape[0])

    def _parameters(self, b: npt.ArrayLike) -> Array:
        parameters = np.asarray(b, dtype=np.float64)
        if parameters.shape != (self.n_parameters,):
            raise ValueError(
                f"b has shape {parameters.shape}, but {self.name} takes "
                f"{self.n_parameters} parameters; pass an array of shape "
                f"({self.n_parameters},)"
            )
        return parameters

    def model(self, b: npt.ArrayLike) -> Array:
        """Model values at `x`, shape (n_observations,); `ValueError` on a wrong shape."""
        return self._form.value(self.x, self._parameters(b))

    def residual(self, b: npt.ArrayLike) -> Array:
        """Residuals ``model(b) - y``, shape (n_observations,)."""
        return np.asarray(self.model(b) - self.y)

    def jacobian(self, b: npt.ArrayLike) -> Array:
        """Jacobian of the residuals, C-contiguous, shape (n_observations, n_parameters)."""
        return np.ascontiguousarray(self._form.jacobian(self.x, self._parameters(b)))

    def cost(self, b: npt.ArrayLike) -> float:
        """Half the sum of squared residuals, ``0.5 * sum(residual(b)**2)``."""
        residual = self.residual(b)
        return 0.5 * float(residual @ residual)

    def gradient(self, b: npt.ArrayLike) -> Array:
        """Gradient of `cost`, ``jacobian(b).T @ residual(b)``, shape (n_parameters,)."""
        return np.asarray(self.jacobian(b).T @ self.residual(b))


# --- reading NIST's files ---------------------------------------------------

_LEVEL: Final = re.compile(r"(Lower|Average|Higher) Level of Difficulty")
_PARAMETER: Final = re.compile(r"^[ \t]*b(\d+)[ \t]*=[ \t]*(\S+)[ \t]+(\S+)[ \t]+(\S+)[ \t]+(\S+)[ \t]*$", re.MULTILINE)
_SUM_OF_SQUARES: Final = re.compile(r"^Residual Sum of Squares:\s*(\S+)", re.MULTILINE)
_PARAMETER_COUNT: Final = re.compile(r"^[ \t]*(\d+) Parameters", re.MULTILINE)
_OBSERVATIONS: Final = re.compile(r"^Number of Observations:\s*(\d+)", re.MULTILINE)
_DATA_HEADING: Final = re.compile(r"^Data:[ \t]+y[ \t]+x.*$", re.MULTILINE)


def problem_names() -> tuple[str, ...]:
    """Names of the 27 problems, from lower to higher difficulty."""
    return tuple(_FORMS)


def _find(pattern: re.Pattern[str], text: str, what: str, name: str) -> re.Match[str]:
    match = pattern.search(text)
    if match is None:
        raise ValueError(f"the file of NIST problem {name} has no {what}; use NIST's file unchanged")
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
    form = _FORMS[name]
    parameters = _PARAMETER.findall(text)
    numbers = np.array([[float(entry) for entry in row[1:]] for row in parameters]).reshape(-1, 4)
    heading = _find(_DATA_HEADING, text, "'Data: y x' heading", name)
    rows = [line.split() for line in text[heading.end() :].splitlines() if line.strip()]
    data = np.array([[float(entry) for entry in row] for row in rows])
    observations = int(_find(_OBSERVATIONS, text, "number of observations", name).group(1))
    stated = int(_find(_PARAMETER_COUNT, text, "number of parameters", name).group(1))

    if [int(row[0]) for row in parameters] != list(range(1, len(parameters) + 1)):
        raise ValueError(f"the parameters of NIST problem {name} are not numbered b1, b2, ...")
    if data.shape[0] != observations or len(parameters) != stated:
        raise ValueError(
            f"the file of NIST problem {name} states {observations} observations and "
            f"{stated} parameters but holds {data.shape[0]} and {len(parameters)}; "
            "use NIST's file unchanged"
        )
    response = np.log(data[:, 0]) if form.log_response else data[:, 0].copy()
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
        _form=form,
    )
