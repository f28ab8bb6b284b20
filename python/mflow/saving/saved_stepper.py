"""How a `Stepper` is kept: in a file, pickled, copied. Every field of a file is checked when it is read."""

from __future__ import annotations

import os
from collections.abc import Callable
from operator import attrgetter
from typing import Any, ClassVar, Self

import numpy as np

from mflow.base.checks import Array, check_path
from mflow.base.methods import AUTO, Method, as_method, asks_for_auto, public_values
from mflow.base.telling import counted, tell
from mflow.saving.fields import CONTROL, GROWTH, check_names, read_start
from mflow.saving.savefile import misfit_of, numbers_of, write_state

__all__ = ["Kept"]


class Given:
    """An argument of a stepper, as an attribute of its name: what it was made with, and not to be set, as that would change nothing."""

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, stepper: Any, owner: type | None = None) -> Any:
        if stepper is None:
            return self
        call = stepper._given or stepper._call
        if self.name not in call:
            raise AttributeError(f"{self.name}: steppers of {stepper.method.name} have none")
        return call[self.name]

    def __set__(self, stepper: Any, value: Any) -> None:
        way = "; or let fun read what changes from an object among its args, and say stepper.y = stepper.y, which begins anew there"
        raise AttributeError(_kept(stepper, self.name) + way * (self.name == "args"))


def _kept(stepper: Any, name: str) -> str:
    start = "x0=stepper.x, v0=stepper.v" if stepper._start_name == "x0" else f"{stepper._start_name}=stepper.y"
    return f"{name}: a stepper keeps what it was made with: make another from here, with {start}, t0=stepper.t and this {name}"


def _refuse_method(stepper: Any, value: Any) -> None:
    raise AttributeError(_kept(stepper, "method"))


class EachStep(Given):
    """What is given to each step, and is no attribute."""

    def __set__(self, stepper: Any, value: Any) -> None:
        raise AttributeError(f"{self.name}: each step takes its own: stepper.step(dt), stepper.advance(n, dt), stepper.advance_to(t, dt)")


class Loads(classmethod):  # type: ignore[type-arg]
    """`Kept.load` of steppers whose load is an argument, too, and no attribute to be set."""

    def __set__(self, stepper: Any, value: Any) -> None:
        raise AttributeError(_kept(stepper, "load"))


class OfKinds:
    """A class that makes, in place of itself, the one of its subclasses that is for the method it is asked for.

    _kinds, _fitting : of this class, its subclasses by a flag of their methods, or their kind; and by what they were asked for with.
    """

    _kinds: ClassVar[dict[str, Any]]
    _fitting: ClassVar[dict[Any, Any]]

    def __init_subclass__(cls, *, flag: str = "", **more: Any) -> None:
        """A subclass for methods with a flag, or of a kind."""
        super().__init_subclass__(**more)
        if flag:
            cls._kinds[flag] = cls
            cls._fitting.clear()

    @classmethod
    def _kind_for(cls, method: Any, asked: Any) -> Any:
        """The class for a method, which is known from now on by `asked`, its name or its type."""
        kind: Any = cls
        if isinstance(method, (str, Method)) and not asks_for_auto(method):
            record = as_method(method, {}).record
            kind = next((kind for flag, kind in cls._kinds.items() if flag in record.flags or flag == record.kind), cls)
        cls._fitting[asked] = kind
        return kind


class Kept(OfKinds):
    """What a stepper does to be saved, loaded, pickled and copied; and what it was made with."""

    dt, lr = EachStep(), EachStep()

    method: Method = property(attrgetter("_method"), _refuse_method, doc="The method that steps; another one needs another stepper.")  # type: ignore[assignment]
    _method: Method
    _run: Any
    _call: dict[str, Any]
    _start: Array
    _t0: float
    _controlled: bool
    _pair: Any
    _pairs: Any
    _given: dict[str, Any] | None
    _stops: Any
    _algebraic: Any
    _past: Any
    _way: Any
    _jac_open = False  # a function jac= is in use, of which nothing has been told
    _rebuilt: tuple[int, ...] = (0, 0, 0)  # by a stepper that this one was loaded or copied from
    _start_name: ClassVar[str]

    def __init_subclass__(cls, **more: Any) -> None:
        """Each argument that mflow's own steppers are made with is an attribute that cannot be set."""
        super().__init_subclass__(**more)
        if not cls.__module__.startswith("mflow."):  # a user's __init__ may be compiled
            return
        code = cls.__init__.__code__
        for name in code.co_varnames[1 : code.co_argcount + code.co_kwonlyargcount]:
            if not hasattr(cls, name):
                given = Given()
                given.__set_name__(cls, name)
                setattr(cls, name, given)
            elif name == "load":
                cls.load = Loads(Kept.load.__func__)  # type: ignore[attr-defined, method-assign, assignment]

    @staticmethod
    def _check_tolerances(rtol: Any, atol: Any, shape: tuple[int, ...]) -> None:
        """Raises TypeError or ValueError where tolerances, one of which may be None, do not fit a state of this shape."""
        raise NotImplementedError

    def _even(self) -> list[str]:
        """Names of an optimizer's vectors of squares, which may overflow."""
        return []

    def _redone(self) -> tuple[int, ...]:
        """Evaluations, Jacobians and factorisations that rebuilt, after `load`, what was at hand at `save`."""
        raise NotImplementedError

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the state to a file: at once or not at all, with a checksum, without pickle. `load` goes on with the same bits."""
        facts = {
            "method": self._name, "parameters": public_values(self.method.record, self.method.all_numbers) if not self._pair else {},
            "shape": list(self._run.shape if self._pairs is None else self._pairs.shape), "t0": self._t0, "control": self._settings(),
            "rebuilt": self._redone(), "problem_bytes": self._run.problem.saved_bytes, **({} if self._pairs is None else {"complex": True}),
            **self._more_facts(),
        }  # fmt: skip
        path = check_path(path, "path")
        write_state(path, "stepper", facts, {"run": self._run.pack(), "start": self._start.tobytes(), **self._more_blocks()})

    def _more_blocks(self) -> dict[str, bytes]:
        state = self._events_state()
        return {} if state is None else {"events": state.tobytes()}

    def _events_state(self) -> Array | None:
        """Hits, signs and last values of the events."""
        return self._stops.events.pack() if self._stops is not None and self._stops.events is not None else None

    def _restore_events(self, state: Any) -> None:
        """What `_events_state` gave. Raises ValueError where it does not fit. Doses where the stepper stands are behind it."""
        mine = self._events_state()
        if (mine is None) != (state is None):
            raise ValueError(f"events: expected {'those' if mine is None else 'none, as it was'} that the stepper was saved with")
        if self._stops is not None:
            self._stops.clear()
            self._stops.taken = self._run.t
            if self._stops.events is not None and mine is not None:
                self._stops.events.unpack(state.reshape(mine.shape) if state.size == mine.size else state)

    def _more_facts(self) -> dict[str, Any]:
        past = None if self._past is None else self._past.pack()
        way = None if self._way is None else self._way.pack()
        facts = {"past": past, "ahead": way, "mass": None if self._algebraic is None else self._algebraic.mass.checksum}
        return {name: value for name, value in facts.items() if value is not None}

    def _take_facts(self, facts: dict[str, Any]) -> None:
        """What `_more_facts` wrote. Raises ValueError where it does not fit."""
        mine, saved = self._more_facts().get("mass"), facts.get("mass")
        if mine != saved:
            raise ValueError(f"mass: expected the matrix of the saved stepper{', which has none' if saved is None else ''}, got "
                             f"{'none' if mine is None else 'another'}")  # fmt: skip
        self._restore_looks(facts.get("ahead"))
        if self._past is not None and (wrong := self._past.misfit(facts.get("past"))):
            raise ValueError(wrong)

    def _looks(self) -> Any:
        """What looks at the way of a stepper under error control."""
        return None

    def _restore_looks(self, saved: Any) -> None:
        """What `_looks` had packed. Raises ValueError where it does not fit."""
        if saved is not None:
            way = self._looks()
            if way is None:
                raise ValueError("ahead: expected none without error control")
            way.unpack(saved)

    def _settings(self) -> dict[str, Any]:
        """What error control was asked for, as JSON has it."""
        values = {name: (self._given or self._call)[name] for name in CONTROL}
        return {name: np.asarray(v).tolist() if v is not None else None for name, v in values.items()}

    @classmethod
    def load(cls, path: str | os.PathLike[str], fun: Callable[..., Any] | Any = None, **call: Any) -> Self:
        """The stepper that `save` wrote, on the same ``fun``; args, inplace, jac and the like as it was made with.

        It goes on from the checkpoints of `mflow.minimize` and `mflow.train` too, with ``fun`` the gradient of an optimizer, and from the
        bytes that a host of the C API saved (rtol and the like are then given as they were).

        A Jacobian that was at hand is made once more, where it was made: `nfev`, `njev` and `nlu` count that too.

        Raises ValueError where the file is damaged or something else, or where its fields do not fit together.
        """
        from mflow.saving.saved_run import stepper_fields

        facts, blocks = stepper_fields(path)
        kind: Any = cls
        try:
            method, start, t0, control = read_start(facts, blocks)
            cls._check_tolerances(control["rtol"], control["atol"], start.shape)
            control = {name: value for name, value in control.items() if name not in call}  # of a C host's bytes they are the caller's
            more: dict[str, Any] = {"v0": numbers_of(blocks, "v0", start.shape)} if "second_order" in getattr(method, "flags", ()) else {}
            _check_fields(method, {"run", "start", *more}, set(blocks) - {"events"}, "energy" in facts["control"])
        except (KeyError, AttributeError, TypeError, ValueError, OverflowError) as error:
            raise _misfit(path, error) from error
        try:
            if getattr(method, "kind", "") == "update":
                made = kind(method, grad=fun, y0=start, t0=t0, **call)
            else:
                made = kind(method, fun, start, t0=t0, **control, **more, **call)
            if (after := made._run.problem.saved_bytes) != facts.get("problem_bytes", after):
                raise ValueError(f"problem_bytes: expected {after}, got {facts['problem_bytes']!r}")
            made._run.unpack(blocks["run"])
            _look_at_vectors(made, path)
            made._take_facts(facts)
            made._restore_events(numbers_of(blocks, "events", (len(blocks["events"]) // 8,)) if "events" in blocks else None)
            made._check_next_step()
        except ValueError as error:
            raise _misfit(path, error) from error
        made._rebuilt = tuple(facts.get("rebuilt", (0, 0, 0)))
        out: Self = made
        return out

    def _check_next_step(self) -> None:
        """ValueError where no steps of error control, each at most GROWTH times the one before, end with this one as the next."""
        h, (_, begun, t_begun) = float(self._run.h), self._run.grid
        if not self._controlled:
            return
        if h * self._call["direction"] < 0.0:
            raise ValueError(f"h: expected a step in the direction {self._call['direction']!r}, got {h!r}")
        way = abs(self._run.t - t_begun)
        if self._run.k > begun and not 0.0 < abs(h) <= 1.001 * GROWTH * way:
            raise ValueError(
                f"h: expected a next step of at most {GROWTH:g} times the way {way:g} of {counted(self._run.k - begun, 'step')}, got {h!r}"
            )

    def __reduce__(self) -> tuple[Any, ...]:
        method = AUTO if self._pair else self.method
        start = self._start if self._pairs is None else self._pairs.state(self._start)
        call = self._given or self._call
        return _remake, (
            type(self),
            method,
            start,
            self._t0,
            call,
            self._run.pack(),
            self._redone(),
            self._events_state(),
            None if self._way is None else self._way.pack(),
        )

    @property
    def _name(self) -> str:
        return AUTO if self._pair else str(self.method.name)

    def __copy__(self) -> Self:
        remake, given = self.__reduce__()
        made: Self = remake(*given)
        return made


def _remake(
    cls: type[Kept], method: Method, start: Array, t0: float, call: dict[str, Any], state: bytes, rebuilt: tuple[int, ...] = (0, 0, 0),
    events: Array | None = None, ahead: Any = None,
) -> Any:  # fmt: skip
    given: dict[str, Any] = {cls._start_name: start, "t0": t0, **call}
    made: Any = cls(method, **given)  # type: ignore[call-arg]
    made._run.unpack(state)
    made._rebuilt = rebuilt
    made._restore_looks(ahead)
    made._restore_events(events)
    return made


def _check_fields(method: Method | str, known: set[str], blocks: set[str], energy: bool) -> None:
    """ValueError where a saved stepper has other fields than one of this method."""
    name = method if isinstance(method, str) else method.name
    check_names(f"blocks of {name}", blocks, known)
    if energy != ("v0" in known):
        raise ValueError(f"control: expected {'energy' if 'v0' in known else 'no energy'} for {name}, got {'one' if energy else 'none'}")


def _look_at_vectors(made: Any, path: str | os.PathLike[str]) -> None:
    """What the method carries beside the state. Raises ValueError where a vector holds a number that no step leaves in it; warns of one
    that is not finite in another, as a slope of a run that has failed, or a square that has overflowed."""
    record = made.method.record
    updates, count = record.kind == "update", made.method.sizes["n_vec"]
    squares = made._even()
    for j, name in enumerate(record.vectors):
        vector = made._run.vector(j).ravel() if j < count else np.empty(0)
        bad = np.flatnonzero(~np.isfinite(vector))
        if not bad.size:
            continue
        k = int(bad[0])
        if j == 0 or (updates and (name not in squares or not vector[k] > 0.0)):
            raise ValueError(f"{name}: expected finite numbers, got {vector[k]} in entry {k}")
        tell(f"{os.fspath(path)}: {name} is {vector[k]} in entry {k}, as it was saved: the next step may not be finite, or not move it")


def _misfit(path: str | os.PathLike[str], error: Exception) -> ValueError:
    return ValueError(f"{os.fspath(path)}: it is damaged, or holds another state ({misfit_of(error)})")
