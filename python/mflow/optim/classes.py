"""Optimizers for a training loop of your own: torch.optim's names, compiled steps on NumPy arrays.

    opt = mflow.optim.Adam(c, lr=1e-3)        # binds c
    opt.step(grad(c))                         # c changes in place

Each optimizer of the library has a class, made here at import; formula, defaults, bounds and source are in its docstring, from the method
record. Every class takes, beyond the parameters of its method,

    maximize     climb instead of descend (per group)
    clip_norm    scale all gradients by clip_norm/(norm + 1e-6), as torch does, where their common norm is above this
    check_finite refuse gradients that are not finite (the default); False saves the test
    threads      how many share a step on long arrays; the bits do not depend on it
    lr           a number, or a function of the step number; one of `mflow.schedules` scales the lr of a group that has its own

and parameters as one array, a list, tuple or dict of arrays, or a list of groups ``{"params": ..., "lr": ...}``. Arrays of other libraries
that share their memory, by DLPack (torch tensors on the CPU) or the buffer protocol (array.array), are used as they are, as parameters and
as gradients: nothing is copied.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from typing import TYPE_CHECKING, Any, ClassVar, Unpack

import numpy as np
from mflow_core import registry
from mflow_core.optimize import updater
from mflow_core.optimize.arrangement import Arrangement
from mflow_core.optimize.arrays import SparseGradient
from mflow_core.optimize.training import step_rows
from mflow_core.optimize.updater import Updater

from mflow.base.checks import as_number, check_flags, check_instance, check_number, check_whole
from mflow.base.methods import describe, from_letters, positional, public_values, record_values, signature_of
from mflow.base.telling import counted, knows_other_words, tell
from mflow.base.threads import MOST
from mflow.optim.effective import effective_lr, never_negative
from mflow.optim.states import parameter, spread

if TYPE_CHECKING:
    from mflow.base._records import SGDOptions

IMPLEMENTATIONS = ("foreach", "fused", "capturable", "differentiable")  # torch's, of one and the same step
knows_other_words(SparseGradient)  # its class is in the core, which knows no other library's words
OF_ALL = ("clip_norm", "check_finite", "threads")  # of an optimizer, not of one of its groups


@knows_other_words
class Group(MutableMapping[str, Any]):
    """Parameters of one group of arrays, as torch's ``param_groups`` has them: ``opt.param_groups[0]["lr"] = 1e-4``.

    Attributes
    ----------
    lr, maximize, ...
        The entries: every parameter of the method by its name, and maximize. They can be set, not removed. Where a schedule was given,
        it is what stands at lr; ``opt.rates`` has the numbers of all groups.

    See Also
    --------
    mflow.optim.Adam, mflow.schedules.Schedule

    Examples
    --------
    >>> import numpy as np, mflow
    >>> opt = mflow.optim.Adam([np.zeros(2)], lr=1e-3)
    >>> group = opt.param_groups[0]
    >>> group["lr"] = 1e-4
    >>> group["lr"], group["betas"]
    (0.0001, (0.9, 0.999))
    """

    def __init__(self, owner: Optimizer, index: int) -> None:
        self._owner, self._index = owner, index

    def _values(self) -> dict[str, Any]:
        owner = self._owner
        values = public_values(owner.record, owner.parameters_of(self._index))
        schedule = owner.schedule_of(self._index)
        if schedule is not None:
            values["lr"] = schedule
        return {**values, "maximize": owner.maximizes(self._index)}

    def __getitem__(self, name: str) -> Any:
        return self._values()[name]

    def __setitem__(self, name: str, value: Any) -> None:
        owner = self._owner
        if name == "maximize":
            owner.set_group(self._index, owner.parameters_of(self._index), bool(value))
            return
        number = value(owner.steps) if callable(value) and name == "lr" else value
        changed = {**owner.parameters_of(self._index), **record_values(owner.record, {name: number})}
        owner.set_group(self._index, changed, owner.maximizes(self._index))
        if name == "lr":
            owner.set_schedule(self._index, value if callable(value) else None)

    def __delitem__(self, name: str) -> None:
        raise TypeError(f"{name}: a group's parameters can be set, not removed")

    def __iter__(self) -> Iterator[str]:
        return iter(self._values())

    def __len__(self) -> int:
        return len(self._values())

    def __repr__(self) -> str:
        return repr(self._values())


def in_group(given: Mapping[str, Any], entry: Mapping[str, Any]) -> dict[str, Any]:
    """A group's entries before what is given for all; its number for lr is the base of a schedule of all groups, as in torch."""
    both, lr = {**given, **entry}, given.get("lr")
    if callable(with_lr := getattr(lr, "with_lr", None)) and isinstance(entry.get("lr"), (int, float, np.integer, np.floating)):
        both["lr"] = with_lr(float(entry["lr"]))
    return both


class Optimizer(Updater):
    """The base class of all optimizers. Use one of the classes of `mflow.optim`.

    Parameters
    ----------
    params : float64 array, list, tuple or dict of them, or list of groups
        As in `mflow.optim.Adam`.
    *args, **parameters
        Of the class's method: lr, betas and eps by position too, the others by name.
    clip_norm : float, optional
    check_finite : bool
    threads : int, optional
        As in `mflow.optim.Adam`.

    See Also
    --------
    mflow.optim.Adam, mflow.Stepper, mflow.train

    Examples
    --------
    >>> import numpy as np, mflow
    >>> isinstance(mflow.optim.Adam(np.zeros(2)), mflow.optim.Optimizer)
    True
    """

    method_record: ClassVar[Any] = None

    def __init__(
        self, params: Any, *args: Any, clip_norm: float | None = None, check_finite: bool = True, threads: int | None = None,
        **parameters: Any,
    ) -> None:  # fmt: skip
        record = self._choose(parameters)
        if type(params) is not np.ndarray and hasattr(params, "__next__"):
            params = list(params)
        names = positional(record) if args else []
        if len(args) > len(names):
            raise TypeError(
                f"{type(self).__name__}: expected only params, {', '.join(names)} by position, got {len(args) + 1} arguments; "
                "name the others, as in weight_decay=0.1"
            )
        for name, value in zip(names, args, strict=False):
            if name in parameters:
                raise TypeError(f"{type(self).__name__}: got {name} twice, by position and by name")
            parameters[name] = value
        self._given = dict(parameters)
        grouped = isinstance(params, (list, tuple)) and bool(params) and all(isinstance(g, dict) and "params" in g for g in params)
        entries = [in_group(parameters, entry) for entry in params] if grouped else [{**parameters, "params": params}]
        self._take(record, entries, grouped, clip_norm, check_finite, threads)

    def _take(
        self, record: Any, entries: list[dict[str, Any]], grouped: bool, clip_norm: float | None, check_finite: bool, threads: int | None
    ) -> None:
        """Binds the arrays of all groups."""
        if clip_norm is not None:
            clip_norm = check_number(clip_norm, "clip_norm", "a number above 0, or None", low=0.0, open_low=True)
        if check_finite is not True:
            check_flags(check_finite=check_finite)
        width = 0 if threads is None else check_whole(threads, "threads", 1, MOST)
        groups, forms = [], []
        watched: list[Any] = []  # torch's own, whose gradients `zero_grad` lets go
        self._watched = watched
        for i, entry in enumerate(entries):
            options, argument = dict(entry), f"params[{i}]" if grouped else "params"
            params, form = options.pop("params"), None
            if type(params) is np.ndarray:
                arrays = [parameter(params, argument)]
            else:
                params = list(params) if hasattr(params, "__next__") else params
                arrays, form = spread(params, argument)
                tensors = params.values() if isinstance(params, dict) else params if isinstance(params, (list, tuple)) else [params]
                watched += [tensor for tensor in tensors if getattr(tensor, "requires_grad", False)]
            forms.append(form)
            groups.append(self._group(record, arrays, options))
        self._bind(record, Arrangement(forms, grouped), groups, clip_norm, check_finite, width)

    @classmethod
    def _choose(cls, parameters: dict[str, Any]) -> Any:
        if cls.method_record is None:
            raise TypeError("Optimizer: expected one of its classes; use mflow.optim.Adam, for instance")
        return cls.method_record

    @staticmethod
    def _group(record: Any, arrays: list[Any], options: dict[str, Any]) -> tuple[Any, ...]:
        if not options:
            return arrays, {}, False, None
        maximize = options.pop("maximize", False)
        check_flags(maximize=maximize)
        asked = [name for name in IMPLEMENTATIONS if options.pop(name, None)]
        if asked:
            tell(f"{', '.join(asked)}: ignored, as every step is one compiled pass here; omit it", UserWarning)
        maximize = bool(maximize)
        options = from_letters(record, options)
        lr = options.get("lr")
        if isinstance(lr, str) and lr == "auto":
            raise ValueError(
                f"lr: expected a number or a schedule for {record.name}, got 'auto': steps that are chosen along the way are those of "
                'mflow.minimize(lr="auto"); mflow.lr_find finds a rate for minibatches, and mflow.max_stable_dt the limit for a curvature'
            )
        schedule: Callable[[int], float] | None = lr if callable(lr) else None
        if schedule is not None:
            options["lr"] = schedule(0)
        for name in [name for name in OF_ALL if name in options]:
            raise TypeError(f"params: {name} is one for all groups; give it beside them, as in {name}={options[name]!r}")
        return arrays, record_values(record, options, ("maximize", *OF_ALL)), maximize, schedule

    def add_param_group(self, param_group: Mapping[str, Any]) -> None:
        """Add a group of parameters, as in torch; gradients are then a list, one entry a group.

        Parameters
        ----------
        param_group : dict
            ``{"params": arrays, "lr": ...}``; what it leaves out is as the optimizer was made with. Its bias corrections count from now on.

        Raises
        ------
        TypeError, ValueError
            It does not fit, or shares memory with parameters that are there; nothing is changed then. Gradients that were bound are let go.

        Examples
        --------
        >>> import numpy as np, mflow
        >>> a, b = np.ones(2), np.ones(3)
        >>> opt = mflow.optim.SGD(a, lr=0.5)
        >>> opt.add_param_group({"params": b, "lr": 0.25})
        >>> opt.step([np.ones(2), np.ones(3)])
        >>> a.tolist(), b.tolist()
        ([0.5, 0.5], [0.75, 0.75, 0.75])
        """
        check_instance(param_group, "param_group", Mapping, 'a dict {"params": ..., "lr": ...}')
        if "params" not in param_group:
            raise ValueError(f"param_group: expected the entry 'params', got {sorted(map(str, param_group))}")
        recipe, record, steps = self._recipe(), self.record, self.steps
        chosen = {name: value for name, value in self._given.items() if name in recipe["groups"][0]} if recipe["groups"] else self._given
        params = param_group["params"]
        group = {**in_group(chosen, param_group), "params": list(params) if hasattr(params, "__next__") else params}
        entries = [*recipe["groups"], group]
        how = (record, entries, True, recipe["clip_norm"], recipe["check_finite"], recipe["threads"])
        fresh = type(self).__new__(type(self))
        fresh._take(*how)  # says what does not fit, while nothing has changed
        state, place = recipe["state"], len(self.arrays)
        last = fresh.state_dict()
        before = self._watched  # the recipe holds arrays alone
        self._part()
        self._take(*how)
        self._watched = before + fresh._watched
        state["groups"].append({**last["groups"][-1], "since": steps})
        state["vectors"] += last["vectors"][place:]
        self.load_state_dict(state)

    def _step_by(self, closure: Callable[[], Any]) -> Any:
        """A step by a function that evaluates the cost where the method asks for it; its loss."""
        kept = [a.copy() for a in self.arrays] if self.record.asks else []
        try:
            if kept:
                for a, point in zip(self.arrays, Updater.ask(self), strict=True):
                    a[...] = point
            out = closure()
        finally:
            for a, value in zip(self.arrays, kept, strict=bool(kept)):
                a[...] = value
        pair = isinstance(out, tuple) and len(out) == 2 and np.ndim(out[0]) == 0
        if out is None or isinstance(out, (list, dict)) or (isinstance(out, np.ndarray) and out.ndim):
            raise TypeError(
                f"closure: expected (loss, gradient), or the loss where gradients are bound, got {type(out).__name__}: return them"
            )
        loss = out[0] if pair else out
        self.step(out[1] if pair else None)
        return loss

    def _step_rows(self, gradients: list[Any]) -> None:
        step_rows(self, gradients, self._check_lazy)

    def _check_lazy(self, g: int) -> None:
        """Raises ValueError where group g moves entries whose gradient is 0, and does not say that it is lazy."""
        numbers = self.parameters_of(g)
        if numbers.get("lazy"):
            return
        vectors = [np.full(1, 0.5) for _ in range(self.record.sizes(numbers)["n_vec"])]
        updater.update(self.record, updater.begin(self.record, numbers, self.steps_of(g)), 1.0, vectors, np.zeros(1))
        if any(v[0] != 0.5 for v in vectors):
            raise ValueError(
                f"g: expected a dense gradient, got a SparseGradient: {self.record.name}, as it is set up, moves entries whose gradient is "
                "0. SGD without momentum and Adagrad, both without weight decay, do not; SparseAdam is lazy"
            )

    @property
    def param_groups(self) -> list[Group]:
        """The groups: read and set parameters by name."""
        return [Group(self, g) for g in range(len(self.arrangement.forms))]

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            from mflow.base.foreign import no_field

            raise no_field("Optimizer", self, name)

    @property
    def rates(self) -> list[float]:
        """The learning rates of the next step, one a group, as numbers; of a schedule that has ended, that of its last step."""
        schedules = [(self.schedule_of(g), self.lr_of(g)) for g in range(len(self.param_groups))]
        return [
            float(lr if schedule is None or self.steps >= getattr(schedule, "ends", np.inf) else schedule(self.steps))
            for schedule, lr in schedules
        ]

    @property
    def lr(self) -> float:
        """Learning rate of the first group, with a schedule that of the last step taken (see `rates`); setting it sets all groups'. A
        function of the step number makes a schedule."""
        return float(self.parameters_of(0)["lr"])

    @lr.setter
    def lr(self, value: float | Callable[[int], float]) -> None:
        for group in self.param_groups:
            group["lr"] = value

    def state_dict(self) -> dict[str, Any]:
        """All that is needed to go on with the same bits: plain numbers and copies of arrays.

        Schedules are code, and are left out, but for what they know beside the step number: the rate of a `ReduceLROnPlateau`."""
        from mflow.optim.schedules_base import schedule_state

        return {
            "method": self.record.name,
            "steps": self.steps,
            "groups": [
                {"parameters": dict(self.parameters_of(g)), "maximize": self.maximizes(g), "scalars": self._scalars(g)}
                | ({"since": self.steps - self.steps_of(g)} if self.steps_of(g) != self.steps else {})
                | ({"schedule": kept} if (kept := schedule_state(self.schedule_of(g))) else {})
                for g in range(len(self.param_groups))
            ],
            "vectors": [self._vectors(i) for i in range(len(self.arrays))],
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` returned. The caller restores the parameter arrays themselves.

        A schedule that follows a loss goes on from where it was; where lr is a number now, it is the rate that the schedule had come to.
        Raises ValueError, and changes nothing, if it belongs to another method, other shapes or another number of arrays, or where a mean
        of squares is negative or the scalars are not those of so many steps; TypeError where a field is of another kind.
        """
        from mflow.optim.states import carried_scalars, check_form, check_scalars, checked_groups, checked_vectors, fitting, take_schedule

        check_form(state, type(self).__name__)
        groups, vectors = checked_groups(state["groups"]), checked_vectors(state["vectors"])
        check_instance(state["method"], "state: method", str, "the name of a method")
        if state["method"] != self.record.name:
            raise ValueError(f"state: method: expected one of {self.record.name}, got one of {state['method']}")
        if len(groups) != len(self.param_groups) or len(vectors) != len(self.arrays):
            given = f"{len(groups)} and {len(vectors)}"
            raise ValueError(f"state: expected {len(self.param_groups)} groups and {len(self.arrays)} arrays, got {given}")
        fresh = [
            fitting(by_name, i, array, list(self.record.vectors[1 : self._n_vectors(i)]),
                    never_negative(self.record, self._parameters_at(i)), self.check_finite)
            for i, (array, by_name) in enumerate(zip(self.arrays, vectors, strict=True))
        ]  # fmt: skip
        steps = check_whole(state["steps"], "state: steps")
        scalars = [carried_scalars(self.record, self.parameters_of(g), entry, g) for g, entry in enumerate(groups)]
        since = [check_whole(entry.get("since", 0), "state: since", 0) for entry in groups]
        if since and max(since) > steps:
            raise ValueError(f"state: since: expected at most the {steps} steps taken, got {max(since)}")
        for g, entry in enumerate(groups):
            check_scalars(self.record, entry["parameters"], steps - since[g], scalars[g], g)
            take_schedule(self.schedule_of(g), entry, g, only_check=True)
        for g, entry in enumerate(groups):
            self.set_group(g, take_schedule(self.schedule_of(g), entry, g), entry["maximize"])
            self._join_at(g, since[g])
        self._restore(steps, scalars, fresh)

    def _parameters_at(self, i: int) -> dict[str, Any]:
        """The parameters of the group that array i belongs to."""
        return dict(self.parameters_of(int(np.searchsorted(np.cumsum(self.arrangement.sizes), i, side="right"))))

    def ask(self) -> Any:
        """The point at which the next step needs the gradient: new arrays, arranged as the parameters are.

        For most methods these are copies of the parameters; for `Nesterov` in pull form and `ConsistentMomentum` with look-ahead, the
        point ahead.
        """
        points = super().ask()
        return self.arrangement.arrange(points)

    def effective_lr(self) -> Any:
        """The step per unit of gradient, for each parameter: new arrays, arranged as the parameters are.

        As the state stands, for a small gradient that was the same in all steps so far: lr/(sqrt(s) + eps) for `Adagrad`,
        lr/(sqrt(v/bc2) + eps) for `Adam`, lr (1 - mu^k)/(1 - mu) after k steps for `Momentum`, lr for `SGD`. It is measured by running
        the method's kernel on copies (see `mflow.optim.effective`); weight decay, clipping and maximize are left out. With a schedule,
        lr is that of the last step taken.

        Examples
        --------
        >>> import numpy as np, mflow
        >>> c = np.zeros(2)
        >>> opt = mflow.optim.Adagrad(c, lr=0.1, eps=0.0)
        >>> for _ in range(4):
        ...     opt.step(np.array([1.0, 2.0]))
        >>> opt.effective_lr()
        array([0.05 , 0.025])
        """
        out, place = [], 0
        for g, size in enumerate(self.arrangement.sizes):
            coef = self._coefficients(g)
            for i in range(place, place + size):
                rate = effective_lr(self.record, coef, list(self._vectors(i).values()), self.steps_of(g))
                out.append(np.broadcast_to(rate.reshape(-1), (self.arrays[i].size,)).reshape(self.arrays[i].shape).copy())
            place += size
        return self.arrangement.arrange(out)

    def _recipe(self) -> dict[str, Any]:
        """All that is needed to make this optimizer again, its arrays included."""
        groups = [{**group, "params": part} for group, part in zip(self.param_groups, self.arrangement.groups(self.arrays), strict=True)]
        return {
            "row": self.record.name,
            "groups": groups,
            "grouped": self.arrangement.grouped,
            "clip_norm": self.clip_norm,
            "check_finite": self.check_finite,
            "threads": self.threads,
            "state": self.state_dict(),
            "given": {name: value for name, value in self._given.items() if name != "lr" or not callable(value)},
        }

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickles and deep copies hold copies of the arrays, and a schedule where it can be pickled. Bound gradients are left out."""
        return _remake, (type(self), self._recipe())

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Let go of the gradients that torch keeps with its parameters: ``.grad`` becomes None, or 0 where set_to_none is False.

        For arrays it does nothing, as their gradients are arguments of `step`.
        """
        for tensor in self._watched:
            if set_to_none or tensor.grad is None:
                tensor.grad = None
            else:
                tensor.grad.zero_()

    def __repr__(self) -> str:
        return f"<mflow.optim.{type(self).__name__} {self.param_groups!r}, {counted(self.steps, 'step')}>"


def _remake(cls: type[Optimizer], recipe: dict[str, Any]) -> Optimizer:
    made = cls.__new__(cls)
    made._take(
        registry.find(recipe["row"]),
        recipe["groups"],
        recipe["grouped"],
        recipe["clip_norm"],
        recipe["check_finite"],
        recipe.get("threads"),
    )
    made.load_state_dict(recipe["state"])
    made._given = recipe["given"]
    return made


_LAST = (
    inspect.Parameter("maximize", inspect.Parameter.KEYWORD_ONLY, default=False),
    *(
        p.replace(annotation=inspect.Parameter.empty)
        for p in inspect.signature(Optimizer.__init__).parameters.values()
        if p.kind is inspect.Parameter.KEYWORD_ONLY
    ),
)
_FIRST = (inspect.Parameter("params", inspect.Parameter.POSITIONAL_OR_KEYWORD),)


_PARAMS = """\
params : float64 array, list, tuple or dict of them, or list of groups {"params": ..., "lr": ...}
    C-contiguous, NumPy's or any that shares its memory (DLPack, buffer protocol); changed in place by `step`, which takes the
    gradients in the same arrangement. A group's entries come before the arguments; its lr, where it is a number, is the base of a schedule
    that is given as lr for all.
"""
_SHARED = """\
maximize : bool, default False
    climb; per group
clip_norm : (0, inf), default None
    where the Euclidean norm of all gradients together is above this, they are scaled by clip_norm/(norm + 1e-6), torch's factor, so that it
    is at most this; gradients at or below the limit are left as they are
foreach, fused, capturable, differentiable : torch's, which are ignored with a warning
check_finite : bool, default True
    refuse gradients that are not finite, and steps that would leave a number that is not: 0/0 at eps = 0, or the overflowing square of a
    gradient beyond 1e154, after which a parameter would never move again (FloatingPointError; nothing changed up to 16384 numbers in all,
    above that all but the blocks of 512 with such a number may have)
threads : int, optional
    how many share a step on an array of 50 000 numbers and more, with the same bits; default: 1, or MFLOW_THREADS, or `mflow.threads`
"""


def _class_of(record: Any) -> type[Optimizer]:
    example = "\n".join(
        ["", "See Also", "--------", "mflow.train, mflow.minimize, mflow.lr_find, mflow.schedules.Schedule", "",
         "Examples", "--------", ">>> import numpy as np, mflow", ">>> c = np.ones(3)",
         f">>> opt = mflow.optim.{record.class_name}(c, lr=0.1)", ">>> for _ in range(10):", "...     opt.step(2 * c)",
         ">>> bool(np.all(c < 1))", "True"]
    )  # fmt: skip
    before, _, after = describe(record).partition("Parameters\n----------\n")
    own, _, facts = after.partition("\n\n")
    text = f"{before}Parameters\n----------\n{_PARAMS}{own}\n{_SHARED}\n{facts}\n{example}"
    cls = type(record.class_name, (Optimizer,), {"method_record": record, "__doc__": text, "__module__": "mflow.optim"})
    cls.__signature__ = signature_of(record, _FIRST, _LAST)  # type: ignore[attr-defined]
    return cls


class SGD(Optimizer):
    """Steepest descent, with torch's options: ``momentum`` selects the method momentum, ``nesterov=True`` nesterov (push form).

    Parameters
    ----------
    params, lr, momentum, dampening, weight_decay, nesterov, maximize
        As torch.optim.SGD. ``nesterov`` needs a momentum above 0 and no dampening.
    **options
        clip_norm, clip_value, check_finite, threads and decoupled_weight_decay, as in `mflow.optim.Adam`.

    See Also
    --------
    mflow.optim.Momentum, mflow.optim.Nesterov, mflow.train, mflow.minimize

    Examples
    --------
    >>> import numpy as np, mflow
    >>> c = np.ones(3)
    >>> mflow.optim.SGD(c, lr=0.25).step(2 * c)
    >>> c
    array([0.5, 0.5, 0.5])
    """

    method_record = registry.find("sgd")

    def __init__(
        self, params: Any, lr: float | Callable[[int], float] = 1e-3, momentum: float = 0.0, dampening: float = 0.0,
        weight_decay: float = 0.0, nesterov: bool = False, *, maximize: bool = False, **options: Unpack[SGDOptions],
    ) -> None:  # fmt: skip
        check_flags(nesterov=nesterov)
        settings: dict[str, Any] = {**options}
        momentum, dampening = as_number(momentum, "momentum", "a number in [0, 1)"), as_number(dampening, "dampening", "a number")
        settings.update(lr=lr, weight_decay=weight_decay, maximize=maximize)
        if momentum or nesterov:
            settings["momentum"] = momentum
        if nesterov and (momentum <= 0 or dampening != 0):
            given = f"momentum = {momentum}, dampening = {dampening}"
            raise ValueError(f"nesterov: expected a momentum above 0 and dampening = 0 with it, got {given}")
        if dampening and not momentum:
            raise ValueError(f"dampening: expected a momentum above 0 with it, got dampening = {dampening} without; set momentum")
        if momentum and not nesterov:
            settings["dampening"] = dampening
        super().__init__(params, **settings)

    @classmethod
    def _choose(cls, parameters: dict[str, Any]) -> Any:
        if "momentum" not in parameters:
            return cls.method_record
        return registry.find("momentum" if "dampening" in parameters else "nesterov")


if TYPE_CHECKING:
    from mflow.optim._optimizers import *  # noqa: F403

_CLASSES = {record.class_name: _class_of(record) for record in registry.records() if record.kind == "update" and record.class_name != "SGD"}
globals().update(_CLASSES)
Nadam = _CLASSES["NAdam"]

__all__ = sorted(["Group", "Nadam", "Optimizer", "SGD", "SparseGradient", *_CLASSES])  # noqa: PLE0605
