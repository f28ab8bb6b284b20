"""Calls of public functions with one argument replaced. The calls are the examples of their docstrings, the arguments those of their
signatures: nobody keeps a list of functions here.
"""

from __future__ import annotations

import ast
import contextlib
import doctest
import functools
import inspect
import io
import re
import signal
import types
import warnings
from collections.abc import Iterator
from importlib import import_module
from typing import Any

import numpy as np

import mflow

MODULES = ("mflow", *(f"mflow.{name}" for name in mflow._MODULES if name != "torch"))
SECONDS = 20.0  # a hang; a compiler takes seconds where the machine is busy

# None of these is what an argument means, but where it may be None, a flag, a text or a number; then the call must run.
VALUES: dict[str, Any] = {
    "None": lambda: None,
    "True": lambda: True,
    "text": lambda: "x",
    "3": lambda: 3,
    "-1": lambda: -1,
    "0": lambda: 0,
    "nan": lambda: float("nan"),
    "inf": lambda: float("inf"),
    "huge": lambda: 10**400,
    "list": list,
    "dict": dict,
    "object": object,
    "seven numbers": lambda: np.arange(7.0),
    "a table": lambda: np.ones((2, 3)),
    "texts": lambda: np.array(["a", "b"]),
    "an array of objects": lambda: np.array([object()]),
    "NaN among numbers": lambda: np.array([np.nan, 1.0]),
    "complex": lambda: 1j,
    "complex numbers": lambda: np.ones(2) * 1j,
    "bytes": lambda: b"x",
}


class TooSlow(Exception):
    """A call took longer than SECONDS."""


def public() -> dict[int, tuple[str, Any]]:
    """By identity: names and functions, classes and methods of classes that users see."""
    out: dict[int, tuple[str, Any]] = {}
    for module in map(import_module, MODULES):
        for name in getattr(module, "__all__", ()):
            thing = getattr(module, name)
            if not callable(thing) or not getattr(thing, "__module__", "").startswith("mflow"):
                continue
            out.setdefault(id(thing), (f"{module.__name__}.{name}", thing))
            if inspect.isclass(thing):
                for method, value in vars(thing).items():
                    plain = getattr(value, "__func__", value)
                    if not method.startswith("_") and isinstance(plain, types.FunctionType):
                        out.setdefault(id(plain), (f"{module.__name__}.{name}.{method}", plain))
    return out


class Call:
    """A call in an example: what comes before it, and the call itself."""

    def __init__(self, name: str, before: list[str], node: ast.Call) -> None:
        self.name, self.before, self.node = name, before, node

    def prepared(self) -> tuple[Any, inspect.BoundArguments, list[int]]:
        """(function, its arguments in the example, calls of the user's functions so far)."""
        space: dict[str, Any] = {"__name__": "user", "mflow": mflow, "np": np}
        for source in self.before:
            exec(compile(source, "<user>", "single"), space)
        value = lambda node: eval(compile(ast.Expression(node), "<user>", "eval"), space)  # noqa: E731
        fun = value(self.node.func)
        args: list[Any] = []
        for node in self.node.args:
            args += value(node.value) if isinstance(node, ast.Starred) else [value(node)]
        bound = inspect.signature(fun).bind(*args, **{word.arg: value(word.value) for word in self.node.keywords if word.arg})
        calls = [0]
        for name, given in bound.arguments.items():
            if isinstance(given, types.FunctionType) and given.__module__ == "user" and "compile" not in self.name:
                bound.arguments[name] = counted(given, calls)
        return fun, bound, calls

    def with_value(self, parameter: str, value: Any) -> str:
        """What is wrong with the answer to this value; "" where the call ran, or refused it in words."""
        with quiet():
            fun, bound, calls = self.prepared()
            names = list(inspect.signature(fun).parameters)
            bound.arguments[parameter] = value
            bound.arguments = {name: bound.arguments[name] for name in names if name in bound.arguments}
            args, kwargs = positional(fun, bound)
            try:
                with limited():
                    fun(*args, **kwargs)
            except (TypeError, ValueError, OSError) as error:
                if of_the_user(error):
                    return ""
                text = str(error)
                heads = re.findall(r"\w+", text.partition(":")[0])
                if not text.startswith(parameter) and not set(heads) & {parameter, *names}:
                    return f"{type(error).__name__} without an argument's name: {text[:150]}"
                return "" if calls[0] <= 1 or callable(value) else f"refused after {calls[0]} calls of the user's function: {text[:100]}"
            except TooSlow:
                return f"took more than {SECONDS:g} s"
            except Exception as error:
                return "" if of_the_user(error) else f"{type(error).__name__}: {str(error)[:150]}"
        return ""


def positional(fun: Any, bound: inspect.BoundArguments) -> tuple[list[Any], dict[str, Any]]:
    """The arguments of a call; by name from the first one on that is left out."""
    args: list[Any] = []
    kwargs: dict[str, Any] = {}
    gap = False
    for name, parameter in inspect.signature(fun).parameters.items():
        if name not in bound.arguments:
            gap = gap or parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD)
        elif parameter.kind == parameter.VAR_POSITIONAL:
            args += bound.arguments[name]
        elif parameter.kind == parameter.VAR_KEYWORD:
            kwargs |= bound.arguments[name]
        elif gap or parameter.kind == parameter.KEYWORD_ONLY:
            kwargs[name] = bound.arguments[name]
        else:
            args.append(bound.arguments[name])
    return args, kwargs


def counted(fun: Any, calls: list[int]) -> Any:
    @functools.wraps(fun)
    def count(*args: Any, **kwargs: Any) -> Any:
        calls[0] += 1
        return fun(*args, **kwargs)

    return count


def of_the_user(error: BaseException) -> bool:
    """Whether the user's own function raised it, or could not be called so: its words are Python's, or its own."""
    if re.match(r"(<lambda>|\w+)\(\) (takes|missing|got)", str(error)):
        return True
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return trace is not None and trace.tb_frame.f_code.co_filename in ("<user>", "<string>")


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@contextlib.contextmanager
def limited() -> Iterator[None]:
    """TooSlow inside after SECONDS."""

    def late(*_: Any) -> None:
        raise TooSlow

    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, before)


def calls_of_examples() -> list[Call]:
    """The first call in its own example of every public function that has one."""
    known, out, seen = public(), [], set()
    parser = doctest.DocTestParser()
    for _, thing in known.values():
        sources = [example.source for example in parser.get_examples(inspect.getdoc(thing) or "")]
        for k, source in enumerate(sources):
            for node in (n for n in ast.walk(ast.parse(source)) if isinstance(n, ast.Call)):
                text = ast.unparse(node.func).rpartition(".")[2]
                names = [(key, name) for key, (name, _) in known.items() if name.rpartition(".")[2] == text and key not in seen]
                for key, name in names:
                    call = Call(name, sources[:k], node)
                    try:
                        with quiet():
                            fun = call.prepared()[0]
                    except Exception:
                        continue
                    if id(getattr(fun, "__func__", fun)) == key:
                        seen.add(key)
                        out.append(call)
                        break
    return out


def parameters(call: Call) -> list[str]:
    with quiet():
        signature = inspect.signature(call.prepared()[0])
    return [name for name, p in signature.parameters.items() if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
