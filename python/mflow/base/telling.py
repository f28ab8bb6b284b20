"""Words for users: warnings that point at their line that called mflow, however deep they come up; answers to other words; counts."""

from __future__ import annotations

import contextlib
import contextvars
import functools
import math
import sys
import warnings
from collections.abc import Collection, Iterator, Mapping
from types import FunctionType
from typing import Any, TypeVar

__all__ = [
    "LIBRARIES", "Told", "about", "answer_others", "counted", "heard", "knows_other_words", "public_name", "tell", "tell_of_errors",
    "tell_of_members", "tell_of_order",
]  # fmt: skip

Item = TypeVar("Item")

NAMED = 5  # members of a batch that a warning names

# Whose frames are not the user's code.
LIBRARIES = ("mflow", "mflow_core", "numpy", "scipy", "matplotlib", "sklearn", "torch", "contextlib", "threading", "concurrent")


def counted(count: int | str, noun: str) -> str:
    """A number, or one as it is written, with its noun.

    Examples
    --------
    >>> from mflow.base.telling import counted
    >>> counted(1, "step"), counted(0, "step"), counted("1.5", "step")
    ('1 step', '0 steps', '1.5 steps')
    """
    return f"{count} {noun}" if str(count) == "1" else f"{count} {noun}s"


def about(t: float, width: float) -> str:
    """A time that is known to within `width`, with the digits that say something.

    Examples
    --------
    >>> from mflow.base.telling import about
    >>> about(0.500142532, 0.005), about(2000.9991, 0.01), about(0.500000163, 0.0)
    ('0.5', '2001', '0.500000163')
    """
    return f"{round(t, -math.floor(math.log10(2.0 * width))) if 0.0 < width < math.inf else t:.9g}"


Told = tuple[str, type[Warning]]
_heard: contextvars.ContextVar[list[Told] | None] = contextvars.ContextVar("heard", default=None)


@contextlib.contextmanager
def heard() -> Iterator[list[Told]]:
    """What `tell` would warn of inside, for one who says it later, as of which member of a batch it is.

    Examples
    --------
    >>> from mflow.base.telling import heard, tell
    >>> with heard() as words:
    ...     tell("the step is long")
    >>> words[0][0]
    'the step is long'
    """
    words: list[Told] = []
    token = _heard.set(words)
    try:
        yield words
    finally:
        _heard.reset(token)


def tell_of_members(told: Mapping[Told, list[int]], noun: str) -> None:
    """Warns of each text once, with the numbers of the members of a batch that it is about."""
    for (text, category), members in sorted(((text, sorted(members)) for text, members in told.items()), key=lambda one: one[1]):
        named = ", ".join(map(str, members[:NAMED])) + (", ..." if len(members) > NAMED else "")
        tell(f"{noun}{'' if len(members) == 1 else 's'} {named}: {text}", category)


def tell(text: str, category: type[Warning] = RuntimeWarning) -> None:
    """Warns at the nearest line outside of the libraries; the core calls back from any depth, so that nobody counts frames by hand.

    category : RuntimeWarning for what a run has met; UserWarning for a doubt whether an argument is meant as it is given.
    """
    words = _heard.get()
    if words is not None:
        words.append((text, category))
        return
    level, frame = 1, sys._getframe(0)
    while frame.f_back is not None and str(frame.f_globals.get("__name__", "")).partition(".")[0] in LIBRARIES:
        level, frame = level + 1, frame.f_back
    warnings.warn(text, category, stacklevel=level)


def tell_of_order(fun: Any, argument: str, expected: str) -> None:
    """Warns of a Python function that names its parameters with the time behind the state, as SciPy's `odeint` calls it.

    Called with the time first it would be another equation, whose numbers look like an answer. expected: how it is called, "t, y".

    Examples
    --------
    >>> from mflow.base.telling import tell_of_order
    >>> tell_of_order(lambda t, y, k: -k * y, "fun", "t, y")
    """
    plain = type(fun) is FunctionType  # as most are
    code = fun.__code__ if plain else getattr(fun, "__code__", None)
    if code is None:
        return
    own = not plain and getattr(fun, "__self__", None) is not None  # of a method, whose first parameter is its object
    last = expected.count(",") + own
    if code.co_argcount > last and (names := code.co_varnames)[last] == "t" != names[own]:
        given = ", ".join(names[own : last + 1])
        tell(
            f"{argument}: called as {argument}({expected}), but its parameters are named ({given}), the time last as odeint has it; "
            f"write ({expected}), or rename t if it is no time",
            UserWarning,
        )


def knows_other_words(item: Item) -> Item:
    """Decorator of a function, or of a class for its constructor: an argument that it does not have is answered as by drivers with options.

    Nothing is looked at before Python itself has refused the call. The constructor is ``__new__`` of a tuple, ``__init__`` of others.

    Examples
    --------
    >>> from mflow.base.telling import knows_other_words
    >>> @knows_other_words
    ... def search(fun, maxiter=10):
    ...     return maxiter
    >>> search(abs, max_iter=3)
    Traceback (most recent call last):
    ...
    TypeError: max_iter: here it is maxiter=; see help(mflow.search)
    """
    constructor = "__new__" if isinstance(item, type) and issubclass(item, tuple) else "__init__"
    function: Any = getattr(item, constructor) if isinstance(item, type) else item

    @functools.wraps(function)
    def called(*args: Any, **given: Any) -> Any:
        try:
            return function(*args, **given)
        except TypeError as error:
            import inspect

            inside = error.__traceback__ is None or error.__traceback__.tb_next is not None
            if not inside and "positional argument" in str(error):
                raise _with_their_order(error, item) from None
            if not given or (inside and inspect.isfunction(function)):  # a compiled one has its own line in any traceback
                raise
            kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
            known = [one.name for one in inspect.signature(item).parameters.values() if one.kind in kinds]  # type: ignore[arg-type]
            if not answer_others(public_name(item.__name__), given, known):  # type: ignore[attr-defined]
                raise
        return function(*args, **given)

    if isinstance(item, type):
        setattr(item, constructor, called)
        return item
    return called  # type: ignore[return-value]


def _with_their_order(error: TypeError, item: Any) -> TypeError:
    """An error of too many or too few arguments without a name, with their order."""
    import inspect

    free = [one.name for one in inspect.signature(item).parameters.values() if one.kind == inspect.Parameter.POSITIONAL_OR_KEYWORD]
    return TypeError(f"{error}; the order is ({', '.join(free)}): see help(mflow.{public_name(item.__name__)})")


def tell_of_errors(errors: Mapping[int, BaseException], member: str, steps: Any) -> None:
    """Warns of a batch in which functions of the user raised in every member before its first step, as a wrong call does.

    errors : by the number of the member. member : a word for one. steps : of each.

    Examples
    --------
    >>> import warnings
    >>> from mflow.base.telling import tell_of_errors
    >>> with warnings.catch_warnings(record=True) as seen:
    ...     warnings.simplefilter("always")
    ...     tell_of_errors({0: KeyError("a"), 1: KeyError("a")}, "trajectory", [0, 0])
    >>> print(seen[0].message)
    no trajectory took a step, as a function raised in each: KeyError: 'a'; the result has them as .errors
    """
    if errors and len(errors) == len(steps) and not any(steps):
        first = errors[min(errors)]
        words = f"no {member} took a step, as a function raised in each"
        tell(f"{words}: {type(first).__name__}: {first}; the result has them as .errors")


def public_name(name: str) -> str:
    """A function or class of mflow by the name that follows ``mflow.``, as in ``help(mflow.objectives.Huber)``.

    Examples
    --------
    >>> import mflow
    >>> from mflow.base.telling import public_name
    >>> public_name("Huber"), public_name("Contact")
    ('objectives.Huber', 'Contact')
    """
    faces = sorted((face for face in sys.modules if face.partition(".")[0] == "mflow" and face.count(".") < 2), key=len)
    face = next((face for face in faces if name in getattr(sys.modules[face], "__all__", ())), "mflow")
    return f"{face}.{name}".partition(".")[2]


def answer_others(driver: str, given: dict[str, Any], known: Collection[str]) -> bool:
    """TypeError for a name in `given` that is not among the known and asks for something; True where others were taken out of the dict.

    Examples
    --------
    >>> from mflow.base.telling import answer_others
    >>> given = {"n_jobs": 1, "maxiter": 5}
    >>> answer_others("search", given, ["maxiter"]), given
    (True, {'maxiter': 5})
    """
    from mflow.base import foreign  # few calls need it

    before = len(given)
    foreign.refuse(driver, given, known, foreign.OWN.get(driver, {}))
    for name in given:
        if name not in known:
            raise TypeError(foreign.no_argument_of(driver, name, known)) from None
    return len(given) < before
