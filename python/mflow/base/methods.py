"""Methods as Python sees them: read-only views of the method records of `mflow_core`.

Each record has a class, made here at import and named as the literature names the method (`RK4`, `TVDRK3`, `Adam`): an instance is the
method with its parameters. Names, defaults, bounds and texts all come from the record. Parameters called ``betas[0]``, ``betas[1]`` in a
record are one tuple ``betas`` in Python; a choice is its word; None stands for infinity where a parameter may be infinite.
"""

from __future__ import annotations

import difflib
import functools
import inspect
import itertools
import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import TYPE_CHECKING, Any, ClassVar, Unpack

import numpy as np
from mflow_core import registry

from mflow.base.checks import as_number, check_instance, check_number, check_whole, shown
from mflow.base.telling import knows_other_words

if TYPE_CHECKING:
    from mflow_core.registry import MethodRecord

    from mflow.base._records import MethodOptions

__all__ = ["Method", "Parameter", "get_method", "methods"]


@dataclass(frozen=True)
class Parameter:
    """One parameter of a method: its name, default value, bounds ``(lower, upper)`` as text, and what it means."""

    name: str
    default: Any
    bounds: str
    doc: str
    record_names: tuple[str, ...]
    kinds: tuple[str, ...]
    choices: tuple[str, ...]
    may_be_infinite: bool


def _bounds(lower: float, upper: float, open_: tuple[bool, bool]) -> str:
    left = "(" if open_[0] or math.isinf(lower) else "["
    right = ")" if open_[1] or math.isinf(upper) else "]"
    return f"{left}{lower:g}, {upper:g}{right}"


@functools.cache
def parameters_of(record: Any) -> tuple[Parameter, ...]:
    """The record's parameters with ``name[0]``, ``name[1]`` joined."""
    joined: dict[str, list[Any]] = {}
    for entry in record.parameters_:
        joined.setdefault(entry[0].partition("[")[0], []).append(entry)
    out = []
    for name, entries in joined.items():
        _, _, lower, upper, kind, open_, choices, _ = entries[0]
        values = tuple(_public(e[1], e[4], e[6]) for e in entries)
        out.append(
            Parameter(
                name=name,
                default=values if len(values) > 1 else values[0],
                bounds=", ".join(map(repr, choices)) if choices else "bool" if kind == "bool" else _bounds(lower, upper, open_),
                doc="; ".join(e[7] for e in entries),
                record_names=tuple(e[0] for e in entries),
                kinds=tuple(e[4] for e in entries),
                choices=choices,
                may_be_infinite=math.isinf(upper) and not open_[1],
            )
        )
    return tuple(out)


@functools.cache
def _by_name(record: Any) -> dict[str, Parameter]:
    return {p.name: p for p in parameters_of(record)}


@functools.cache
def _defaults(record: Any) -> tuple[dict[str, Any], dict[str, float]]:
    """Of the public parameters, and of the numbers that stand for them in the record."""
    return {p.name: p.default for p in parameters_of(record)}, {entry[0]: entry[1] for entry in record.parameters_}


def _public(value: float, kind: str, choices: tuple[str, ...]) -> Any:
    if kind == "choice":
        return choices[int(value)]
    if kind == "bool":
        return bool(value)
    if kind == "int":
        return int(value)
    return None if math.isinf(value) else value


def _number(method: str, p: Parameter, value: Any, kind: str) -> float:
    """One value as the number that stands for it in the record."""
    if kind == "choice":
        if not isinstance(value, str):
            raise TypeError(f"{p.name}: expected one of {', '.join(map(repr, p.choices))} for {method}, got {shown(value)}")
        if value not in p.choices:
            raise ValueError(registry.unknown(f"{p.name}: expected a choice of {method}, got", value, list(p.choices)))
        return float(p.choices.index(value))
    if value is None and p.may_be_infinite:
        return math.inf
    if kind == "int":
        return float(check_whole(value, p.name, expected=f"a whole number in {p.bounds} for {method}"))
    expected = f"{'True or False' if kind == 'bool' else f'a number in {p.bounds}'} for {method}"
    number = float(value) if kind == "bool" and isinstance(value, (bool, np.bool_)) else as_number(value, p.name, expected)
    if kind == "bool" and number not in (0.0, 1.0):
        raise ValueError(f"{p.name}: expected {expected}, got {shown(value)}")
    if math.isinf(number) and not isinstance(value, (float, np.floating)):
        raise ValueError(f"{p.name}: expected {expected}, got {shown(value)}")
    return number  # the core checks the bounds


LETTERS = ("alpha", "beta", "dt")
OF_LETTERS = "c+ = c + alpha v - beta g with v = (c+ - c)/dt: lr = beta, momentum = alpha/dt; without dt, dt = beta"


@functools.cache
def takes_letters(record: Any) -> bool:
    """Whether a method is c+ = c + alpha v - beta g, v = (c+ - c)/dt, so that it can be given by these letters."""
    return record.kind == "update" and "linear" in record.flags and {"lr", "momentum"} <= {p.name for p in parameters_of(record)}


def from_letters(record: Any, given: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters with alpha, beta and dt put into lr and momentum: lr = beta, momentum = alpha/dt; without dt, dt = beta.

    Raises TypeError or ValueError where they do not fit; parameters without letters are returned as they are.
    """
    if not takes_letters(record):
        return dict(given)
    out = {name: value for name, value in given.items() if name not in LETTERS}
    alpha, beta, dt = (given.get(name) for name in LETTERS)
    if alpha is None and beta is None:
        if dt is not None:
            raise TypeError(f"dt: it belongs to alpha and beta of {record.name}, got neither; give alpha= and beta=, or lr= and momentum=")
        return out
    for letter, value, name in (("beta", beta, "lr"), ("alpha", alpha, "momentum")):
        if value is not None and out.get(name) is not None:
            raise TypeError(f"{name}, {letter}: they set one thing, got both; give lr and momentum, or alpha, beta and dt")
    if beta is not None:
        out["lr"] = beta if callable(beta) else check_number(beta, "beta", low=0.0)
    if alpha is not None:
        if dt is None and (beta is None or callable(beta)):
            raise TypeError("dt: expected the step that alpha belongs to, as momentum = alpha/dt, got None; give dt=, or a number as beta=")
        time = check_number(beta if dt is None else dt, "beta" if dt is None else "dt", low=0.0, open_low=True)
        out["momentum"] = check_number(alpha, "alpha", low=0.0) / time
    return out


def record_values(record: Any, given: Mapping[str, Any], beside: Sequence[str] = ()) -> dict[str, float]:
    """Public parameters by the names and as the numbers that the record has, checked.

    beside: what the caller takes beside them, which an error lists too.

    Raises TypeError for an unknown name or a value that is no number, ValueError for one outside its bounds.
    """
    known = _by_name(record)
    out: dict[str, float] = {}
    for name, value in given.items():
        if name not in known:
            if not known:
                raise TypeError(f"{name}: the method {record.name} has no parameters, and no argument has this name; remove it")
            from mflow.base.foreign import no_argument, own_method  # few calls need it

            raise TypeError(own_method(name, record) or no_argument(f"{record.name}: no parameter", name, [*known, *beside]))
        p = known[name]
        values = (value,)
        if len(p.record_names) > 1:
            if not isinstance(value, (tuple, list)) or len(value) != len(p.record_names):
                count = len(p.record_names)
                raise TypeError(f"{name}: expected {count} numbers for {record.name}, as in {p.default}, got {shown(value)}")
            values = tuple(value)
        for record_name, one, kind in zip(p.record_names, values, p.kinds, strict=True):
            out[record_name] = _number(record.name, p, one, kind)
    if out:
        try:
            record.sizes(out)  # checks bounds, and parameters against each other
        except ValueError as error:
            from mflow.base.foreign import other_scale  # seldom needed

            raise ValueError(f"{error}{other_scale(record.name, out)}") from None
    return out


def public_values(record: Any, values: Mapping[str, float]) -> dict[str, Any]:
    """The inverse of `record_values`."""
    out = {}
    for p in parameters_of(record):
        public = tuple(_public(values[n], k, p.choices) for n, k in zip(p.record_names, p.kinds, strict=True))
        out[p.name] = public if len(public) > 1 else public[0]
    return out


def _fact(name: str, doc: str) -> Any:
    """What an instance says of its record, as a property: `__getattr__` would make every look at an attribute slow."""
    return property(attrgetter(f"record.{name}"), doc=doc)


class Method:
    """A numerical method: one record of the library, with values for its parameters.

    Attributes are read-only. Instances are made by the classes of the records (``mflow.RK4()``) or by `get_method`, compare equal when
    record and parameters are equal, and pickle.

    See Also
    --------
    mflow.get_method, mflow.methods

    Examples
    --------
    >>> import mflow
    >>> (method := mflow.get_method("newmark", beta=0.3)), method.order, method.is_implicit
    (Newmark(beta=0.3), 2, True)
    """

    record: ClassVar[MethodRecord]
    name: ClassVar[str]
    flags: ClassVar[frozenset[str]]
    kind: ClassVar[str]
    stages: ClassVar[int]
    is_implicit: ClassVar[bool]

    def __init__(self, *args: Any, **parameters: Any) -> None:
        if not hasattr(self, "record"):
            raise TypeError('Method: expected one of its classes; use mflow.RK4() or mflow.get_method("rk4")')
        names = list(_by_name(self.record)) if args else []
        if len(args) > len(names):
            raise TypeError(f"{type(self).__name__}: expected at most {len(self.parameters_)} parameters, got {len(args)}")
        for name, value in zip(names, args, strict=False):
            if name in parameters:
                raise TypeError(f"{type(self).__name__}: got {name} twice, by position and by name")
            parameters[name] = value
        parameters = from_letters(self.record, parameters)
        self.numbers = record_values(self.record, parameters)
        self._given = parameters

    @property
    def all_numbers(self) -> dict[str, float]:
        """The number of every parameter in the record."""
        return _defaults(self.record)[1] | self.numbers

    @property
    def parameters_(self) -> tuple[Parameter, ...]:
        """What can be set: a `Parameter` each."""
        return parameters_of(self.record)

    @classmethod
    def takes(cls, name: str) -> bool:
        """Whether it has a parameter of this name."""
        return name in _by_name(cls.record)

    @property
    def parameters(self) -> dict[str, Any]:
        """Value of every parameter."""
        return _defaults(self.record)[0] | self._given

    @property
    def given(self) -> dict[str, Any]:
        """The parameters that were set when this instance was made."""
        return dict(self._given)

    aliases: tuple[str, ...] = _fact("aliases", "Other names that `get_method` knows it by.")
    family: str = _fact("family", "The family that it belongs to, a word that `mflow.methods` takes.")
    formula: str = _fact("formula", "What a step does, as one line.")
    doc: str = _fact("doc", "What the method is, in a sentence.")
    reference: str = _fact("reference", "Where it was published.")
    order_hat: int | None = _fact("order_hat", "Order of the embedded method that estimates errors; None where there is none.")
    vectors: tuple[str, ...] = _fact("vectors", "Names of the vectors that a step carries, the visible ones first.")
    tableau: dict[str, Any] | None = _fact("tableau", "Coefficients of a Runge-Kutta method by their letters; None for others.")

    @property
    def order(self) -> int:
        """Order of accuracy, for these parameters."""
        return int(self.sizes["order"])

    @property
    def is_one_equation(self) -> bool:
        """Whether a step is one implicit equation from y alone: the steady state, where it is infinite; proximal along gradient flow."""
        return self.record.kind == "step" and self.is_implicit and self.record.stages == 1 and "multistep" not in self.record.flags

    @property
    def butcher(self) -> tuple[list[list[float]], list[float], list[float]] | None:
        """(A, b, c) of a Runge-Kutta method, derived where it is stored in Shu-Osher form; None for others.

        Of a Rosenbrock method the alpha_ij, b_i and c_i; its gamma_ij are `tableau["G"]`.
        """
        tableau = self.record.tableau
        if tableau is None:
            return None
        if "A" in tableau:
            return tableau["A"], tableau["b"], tableau["c"]
        s = len(tableau["c"])
        slopes: list[list[float]] = [[0.0] * s]  # u_i = y + h sum_j slopes[i][j] K_j
        for i in range(1, s + 1):
            alpha, beta = tableau["alpha"][i], tableau["beta"][i]
            slopes.append([math.fsum(alpha[k] * slopes[k][j] for k in range(i)) + beta[j] for j in range(s)])
        return slopes[:s], slopes[s], tableau["c"]

    @property
    def sizes(self) -> dict[str, int]:
        """How many vectors the method carries and works with, for these parameters."""
        sizes: dict[str, int] = self.record.sizes(self.numbers)
        return sizes

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and isinstance(other, Method) and self.all_numbers == other.all_numbers

    @functools.cached_property
    def _hash(self) -> int:
        return hash((self.record.name, tuple(sorted(self.all_numbers.items()))))

    def __hash__(self) -> int:
        return self._hash

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{k}={v!r}' for k, v in self._given.items())})"

    def __reduce__(self) -> tuple[Any, ...]:
        return _remake, (self.record.name, self._given)


def _remake(name: str, given: dict[str, Any]) -> Method:
    return get_method(name, **given)


def choices_of(method: Method, name: str) -> tuple[str, ...]:
    """The words that a parameter of the method takes; none where it has no such parameter, or one of another kind."""
    return _by_name(method.record)[name].choices if method.takes(name) else ()


@functools.cache
def positional(record: Any) -> list[str]:
    """Parameters that an optimizer takes by position: the first ones, whose order is torch's in every class; the rest go by name."""
    names = [p.name for p in parameters_of(record)]
    return list(itertools.takewhile(lambda name: name in ("lr", "betas", "eps"), names))


def signature_of(record: Any, first: tuple[inspect.Parameter, ...] = (), last: tuple[inspect.Parameter, ...] = ()) -> inspect.Signature:
    """Call signature of a record's class; with `last`, an optimizer's."""
    settable = parameters_of(record)
    kinds = dict.fromkeys(positional(record) if last else [p.name for p in settable], inspect.Parameter.POSITIONAL_OR_KEYWORD)
    parameters = [inspect.Parameter(p.name, kinds.get(p.name, inspect.Parameter.KEYWORD_ONLY), default=p.default) for p in settable]
    if takes_letters(record):
        parameters += [inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None) for name in LETTERS]
    return inspect.Signature([*first, *parameters, *last])


def other_orders(record: Any) -> dict[str, int]:
    """Which parameters give a method another order than it has by default, in words, and that order: {"gamma != 0.5": 1}."""
    out: dict[str, int] = {}
    for p in parameters_of(record):
        name = p.record_names[0]
        if p.choices:
            of = {f'{p.name} = "{word}"': record.sizes({name: float(k)})["order"] for k, word in enumerate(p.choices)}
        elif p.kinds == ("real",):
            lower, upper = next(entry[2:4] for entry in record.parameters_ if entry[0] == name)
            inside = [v for v in (0.75 * lower + 0.25 * upper, 0.25 * lower + 0.75 * upper) if math.isfinite(v) and v != p.default]
            of = {f"{p.name} != {p.default:g}": record.sizes({name: v})["order"] for v in inside}
        else:
            continue
        out |= {words: order for words, order in of.items() if order != record.order}
    return out


def formula_of(record: Any) -> str:
    """The formula, with the decay of the parameters where it is there by default: Adam's kernel with one is AdamW.

    Examples
    --------
    >>> from mflow_core import registry
    >>> from mflow.base.methods import formula_of
    >>> formula_of(registry.find("adamw"))[:40]
    'c -= lr weight_decay c, m = beta1 m + (1'
    """
    defaults = {p.name: p.default for p in parameters_of(record)} if record.kind == "update" else {}
    decays = defaults.get("weight_decay") and defaults.get("decoupled_weight_decay")
    return f"{'c -= lr weight_decay c, ' if decays else ''}{record.formula}"


def describe(record: Any) -> str:
    """The docstring of a method: formula, parameters, facts and source."""
    lines = [record.doc, "", f"    {formula_of(record)}", ""]
    if record.parameters_:
        lines += ["Parameters", "----------"]
        for p in parameters_of(record):
            lines += [f"{p.name} : {p.bounds}, default {p.default!r}", f"    {p.doc}"]
        if takes_letters(record):
            lines += ["alpha, beta, dt : (0, inf), in place of lr and momentum", f"    {OF_LETTERS}"]
        lines.append("")
    if record.kind == "step":
        others = "".join(f" ({order} with {words})" for words, order in other_orders(record).items())
        lines += [f"Order {record.order}{others}, {record.stages} stage{'s' if record.stages != 1 else ''}.", ""]
    if record.aliases:
        lines += [f"Also called {', '.join(record.aliases)}.", ""]
    lines += ["References", "----------", record.reference]
    return "\n".join(lines)


def in_use(record: Any) -> str:
    """The end of the docstring of a class that drivers take: what goes with the method, and a call."""
    name = record.class_name
    if record.kind == "direction":
        near = "mflow.minimize, mflow.line_search"
        call = f"mflow.minimize(lambda x: (x @ x, 2 * x), [1.0, -2.0], jac=True, method=mflow.{name}())"
    elif "second_order" in record.flags:
        near = "mflow.solve_dynamics, mflow.stability_limit, mflow.energy_ledger"
        call = f"mflow.solve_dynamics(mass=2.0, load=[-19.62], t_span=(0, 1), x0=[5.0], method=mflow.{name}(), dt=0.01)"
    else:
        near = f"mflow.solve_ivp, mflow.gradient_flow, mflow.stability_limit, mflow.scipy.{name}"
        steps = "rtol=1e-6, atol=1e-9" if "embedded" in record.flags else "dt=0.01"
        call = f"mflow.solve_ivp(lambda t, y: -y, (0, 1), [1.0], mflow.{name}(), {steps})"
    return f"\n\nSee Also\n--------\n{near}\n\nExamples\n--------\n>>> import mflow\n>>> {call}.success\nTrue"


def _class_of(record: Any) -> type[Method]:
    facts = {name: getattr(record, name) for name in ("name", "flags", "kind", "stages")}  # what every call of a driver asks for
    facts["is_implicit"] = "implicit" in record.flags
    text = describe(record) + in_use(record)
    cls = type(record.class_name, (Method,), {"record": record, "__doc__": text, "__module__": "mflow", **facts})
    cls.__signature__ = signature_of(record)  # type: ignore[attr-defined]
    return cls


_CLASSES: dict[str, type[Method]] = {record.name: _class_of(record) for record in registry.records()}


def classes() -> dict[str, type[Method]]:
    """The class of each method, by the method's name."""
    return dict(_CLASSES)


@knows_other_words
def methods(family: str | None = None) -> list[Method]:
    """All methods with their default parameters, or those of one family.

    Parameters
    ----------
    family : str, optional

    Returns
    -------
    list of Method
        ValueError where there is no such family; the text lists them.

    See Also
    --------
    mflow.get_method, mflow.Method

    Examples
    --------
    >>> import mflow
    >>> [m.name for m in mflow.methods(family="runge_kutta")][:3]
    ['euler', 'rk2', 'midpoint']
    """
    families = list(dict.fromkeys(record.family for record in registry.records()))
    if family is not None:
        check_instance(family, "family", str, f"one of {', '.join(map(repr, families))}")
    if family is not None and family not in families:
        raise ValueError(registry.unknown("family: no family", family, families))
    return [cls() for cls in _CLASSES.values() if family is None or cls.record.family == family]


def plain_name(name: str) -> str:
    """A name as it is looked up: without case, hyphens, underscores and spaces ("L-BFGS" and "lbfgs" are one)."""
    return "".join(c for c in name.lower() if c not in "-_ ")


_NAMES = {plain_name(name): record.name for record in registry.records() for name in (record.name, *record.aliases)}
OFFERED = 8  # names that an error lists where none is near
AUTO = "auto"
TAKE_AUTO = "mflow.solve_ivp, solve_ivp_batch, gradient_flow and Stepper take it under error control, SciPy's drivers as mflow.scipy.AUTO"


def asks_for_auto(method: Any) -> bool:
    """Whether a driver's ``method`` argument is "auto": two methods by turns (`mflow.course.legs`)."""
    return isinstance(method, str) and method.lower() == AUTO


def class_named(name: str, argument: str = "method", fits: Callable[[Any], int] | None = None) -> type[Method]:
    """The class of the method of this name or alias. fits: which records the driver takes, for it offers no others (2: those before 1).

    Raises ValueError, with the nearest names that fit, if there is none.
    """
    registered = _NAMES.get(plain_name(name))
    if registered is not None:
        return _CLASSES[registered]
    from mflow.base import foreign  # few calls need it

    foreign.refuse_method(name, plain_name(name), argument, fits, TAKE_AUTO)
    if asks_for_auto(name):
        raise ValueError(f"{argument}: expected one method here, got 'auto', which is two: {TAKE_AUTO}")
    kind = [record for record in registry.records() if fits is None or fits(record)]
    kind.sort(key=lambda record: 0 if fits is None else -int(fits(record)))
    names = {plain_name(n): n for record in kind for n in (*record.aliases, record.name)}
    near = [names[key] for key in difflib.get_close_matches(plain_name(name), names, n=3, cutoff=0.6)]
    more = " and others, which `mflow methods` prints" if len(kind) > OFFERED else ""
    offer = (
        f"did you mean {' or '.join(map(repr, near))}?"
        if near
        else f"there are {', '.join(repr(one.name) for one in kind[:OFFERED])}{more}"
    )
    raise ValueError(f"{argument}: no method {name!r}; {offer}")


_AS_THEY_ARE: dict[str, Method] = {}  # methods without parameters, by the names that they were asked for: an instance never changes


def _as_it_is(name: str, argument: str, fits: Callable[[Any], int] | None) -> Method:
    """The method of this name or alias with the parameters of its record."""
    if name not in _AS_THEY_ARE:
        _AS_THEY_ARE[name] = class_named(name, argument, fits)()
    return _AS_THEY_ARE[name]


def get_method(name: str, **parameters: Unpack[MethodOptions]) -> Method:
    """The method of this name or alias, with parameters. Case, hyphens and underscores of the name do not matter.

    Parameters
    ----------
    name : str
    **parameters
        The method's own.

    Returns
    -------
    Method
        ValueError, with the nearest names, where there is none; TypeError or ValueError for a parameter that does not fit.

    See Also
    --------
    mflow.methods, mflow.Method

    Examples
    --------
    >>> import mflow
    >>> mflow.get_method("heun").order
    2
    >>> mflow.get_method("adam", betas=(0.8, 0.99)).parameters["betas"]
    (0.8, 0.99)
    """
    return as_method(check_instance(name, "name", str, "the name of a method"), parameters)


def as_method(method: Any, parameters: Mapping[str, Any], argument: str = "method", fits: Callable[[Any], int] | None = None) -> Method:
    """A `Method` from what a driver's ``method`` argument may be; ``parameters`` come on top of those that an instance was given.

    fits: which records the driver takes: an unknown name is answered with the nearest of these.
    """
    if not parameters and type(method) is str and method in _AS_THEY_ARE:  # what most calls give
        return _AS_THEY_ARE[method]
    if isinstance(method, type) and issubclass(method, Method):
        raise TypeError(f"{argument}: expected a name or an instance, got the class {method.__name__}; write {method.__name__}()")
    if isinstance(method, Method):
        return type(method)(**{**method.given, **from_letters(method.record, parameters)}) if parameters else method
    if isinstance(method, str):
        return class_named(method, argument, fits)(**parameters) if parameters else _as_it_is(method, argument, fits)
    record = getattr(method, "method_record" if isinstance(method, type) else "record", None)
    if isinstance(record, registry.MethodRecord):
        raise TypeError(f"{argument}: expected a name or an instance, got mflow.optim.{record.class_name}; give its name, {record.name!r}")
    raise TypeError(f"{argument}: expected a name or an instance such as mflow.RK4(), got {type(method).__name__}")


def refuse_unknown(
    driver: str, given: Any, method: str | Method | None, arguments: Collection[str], own: Mapping[str, str] | None = None
) -> None:
    """TypeError for a name in the dict `given` that is neither an argument of the driver nor a parameter of the method.

    Other libraries' words are answered, or taken out of it where they ask for nothing: see `mflow.base.foreign`, which says what `own` is.
    """
    if not given or not any(name not in arguments for name in given):
        return
    chosen = None if method is None else as_method(method, {})
    parameters = () if chosen is None else (*chosen.parameters, *(LETTERS if takes_letters(chosen.record) else ()))
    known = [*dict.fromkeys([*arguments, *parameters])]
    from mflow.base import foreign  # few calls need it

    foreign.refuse(driver, given, known, own or foreign.OWN.get(driver, {}))
    for name in given:
        if name not in known:
            text = foreign.no_argument_of(driver, name, known)
            raise TypeError((foreign.own_method(name, chosen.record) if chosen is not None else "") or text)
