"""mflow's optimizers as torch's: drop-in classes for float64 tensors on the CPU. Imported on request; needs torch.

    opt = mflow.torch.Adam(model.double().parameters(), lr=1e-3)

One class for each method, as in `mflow.optim`, with torch's protocol: `step(closure)`, `zero_grad`, `param_groups` (learning-rate
schedulers set `group["lr"]`), `add_param_group`, `state_dict` and `load_state_dict`. The tensors' memory is updated in place, nothing is
copied.

Autograd is told of the change, so that `backward` through a graph from before the step raises, as with torch's own optimizers.

Torch leaves out parameters without a gradient, each of which counts its own steps; here parameters that have had the same history
are one *cohort*, a `mflow.optim` optimizer. A cohort of which only some have a gradient is divided, the state with it.

`load_state_dict` also takes the states of torch's own optimizers, so that a run can move over in the middle.
"""

from __future__ import annotations

import inspect
import math
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import numpy as np
from mflow_core.optimize.updater import WILD, StepRefused, Updater

from mflow import optim
from mflow.adapters.torch_states import check_entry, converted, is_torchs, refuse_complex, returned, settings_of
from mflow.base.checks import check_whole
from mflow.base.methods import formula_of

try:
    import torch
    from torch.autograd.graph import increment_version
except ImportError:
    raise ImportError("mflow.torch needs torch, which is not installed: pip install torch") from None

from mflow.adapters.torch_cohorts import Cohort, SGDCohort


def _checked(tensor: torch.Tensor, argument: str) -> torch.Tensor:
    if tensor.dtype != torch.float64:
        raise TypeError(f"{argument}: expected float64, got {tensor.dtype}; model.double() converts it")
    if not tensor.is_cpu:
        raise TypeError(f"{argument}: expected a tensor on the CPU, got one on {tensor.device}; model.cpu() moves it")
    if tensor.layout != torch.strided:
        raise TypeError(f"{argument}: expected a dense tensor, got {tensor.layout}; .to_dense() converts it")
    return tensor


def _points(made: optim.Optimizer) -> tuple[list[Any], list[Any]]:
    """Where an optimizer wants its gradients, and its arrays."""
    return Updater.ask(made), made.arrays


class _Entry(dict[str, Any]):
    """The state of one parameter."""

    def __missing__(self, name: str) -> Any:
        raise KeyError(f"{name}: here a parameter's state has {', '.join(self) or 'nothing before its first step'}")


class Optimizer(torch.optim.Optimizer):
    """What all of them share. Take one of the classes of `mflow.torch`, such as `mflow.torch.Adam`.

    Parameters
    ----------
    params : iterable of float64 tensors, or of groups
        As torch takes them.
    *args, **parameters
        Those of the class of `mflow.optim` with the same name, without clip_norm.
    check_finite : bool
        As there.

    See Also
    --------
    mflow.torch.Adam, mflow.optim.Optimizer

    Examples
    --------
    >>> import torch, mflow.torch
    >>> w = torch.ones(3, dtype=torch.float64, requires_grad=True)
    >>> isinstance(mflow.torch.Adam([w]), (mflow.torch.Optimizer, torch.optim.Optimizer))
    True
    """

    _class: type[optim.Optimizer]
    _cohort: type[Cohort] = Cohort
    _states: defaultdict[Any, dict[str, Any]]
    _shown: bool  # whether they, and not the cohorts, are the truth

    def __init__(self, params: Any, *args: Any, check_finite: bool = True, **parameters: Any) -> None:
        if callable(parameters.get("lr", args[0] if args else None)):
            raise TypeError("lr: expected a number, got a function; for a schedule take one of torch.optim.lr_scheduler")
        if "clip_norm" in parameters:
            raise TypeError("clip_norm: with torch, torch.nn.utils.clip_grad_norm_ does this before the step")
        probe = self._class([np.zeros(1)], *args, **parameters)  # finds mistakes, and the method that the options choose
        self._made_by, defaults = settings_of(self._class, probe)
        self._names, self._check_finite = tuple(defaults), check_finite
        self._cohorts: list[tuple[int, Cohort]] = []
        self._seen: set[int] = set()
        self._aside: dict[Any, dict[str, Any]] = {}  # states of parameters that are in no group now: they may come back
        self._members: list[list[int]] = []  # when the cohorts were made: parameters and groups can be taken out, replaced and moved
        super().__init__(params, defaults)
        self._drop_states()

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a group, as in torch."""
        super().add_param_group(param_group)
        group = self.param_groups[-1]
        unknown = sorted(set(group) - {*self._names, *self.defaults} - {"params", "param_names"})
        if unknown:
            cls = type(self).__name__
            own = [name for name in unknown if name in inspect.signature(self._class).parameters]
            fix = f" in a group alone: give {cls}(...) {own[0]}= as well, and each other group its own" if own else ""
            raise TypeError(f"params: a group has {', '.join(unknown)}, which {cls} does not take{fix}")
        for i, tensor in enumerate(group["params"]):
            _checked(tensor, f"params[{i}]")
            if tensor.is_neg():
                raise ValueError(
                    f"params[{i}]: expected numbers as they lie in memory, got a view of their negatives; .resolve_neg() copies it"
                )
            if not tensor.is_contiguous():
                raise ValueError(f"params[{i}]: expected contiguous memory, got strides {tensor.stride()}; .contiguous() makes a copy")

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One step of every parameter that has a gradient. closure: reevaluates the model and returns the loss, which is returned."""
        loss = None
        if self._shown or self._members != self._ids():
            self._states = self.state
            self._rebuild()
        if closure is not None:
            loss = self._evaluated(closure)
        elif self._looks_ahead():
            raise TypeError(
                f"closure: {type(self).__name__} takes its gradient ahead of the parameters: expected a function that reevaluates the "
                "model and returns the loss, got None"
            )
        self._arrange()
        moving = [(g, cohort) for g, cohort in self._cohorts if cohort.tensors[0].grad is not None]
        gradients = [[self._gradient(t, i) for i, t in enumerate(cohort.tensors)] for _, cohort in moving]
        for (_, cohort), part in zip(moving, gradients, strict=True):
            if any(isinstance(grad, optim.SparseGradient) for grad in part):
                cohort.made._check_lazy(0)  # before any cohort has changed
        risky = self._check_finite and len(moving) > 1 and (self._any_wild(gradients) or self._divides(moving))
        stepped: list[tuple[Cohort, dict[str, Any], list[torch.Tensor]]] = []
        try:
            for (g, cohort), given in zip(moving, gradients, strict=True):
                cohort.follow(self.param_groups[g])
                cohort.stay()
                if risky:
                    stepped.append((cohort, cohort.made.state_dict(), [t.clone() for t in cohort.tensors]))
                cohort.made.step(given)
                for tensor in cohort.tensors:
                    increment_version(tensor)
        except StepRefused:  # all cohorts or none
            for cohort, state, before in stepped:
                cohort.made.load_state_dict(state)
                for tensor, value in zip(cohort.tensors, before, strict=True):
                    tensor.copy_(value)
            raise
        return loss

    def _ids(self) -> list[list[int]]:
        """Of the parameters of each group."""
        return [[id(tensor) for tensor in group["params"]] for group in self.param_groups]

    def _looks_ahead(self) -> bool:
        """Whether the method takes its gradient at another point than the parameters."""
        if not self._made_by.method_record.asks:
            return False
        return any(not np.array_equal(point, a) for _, cohort in self._cohorts for point, a in zip(*_points(cohort.made), strict=True))

    def _evaluated(self, closure: Callable[[], Any]) -> Any:
        """The loss, from where the method wants the gradient."""
        kept = []
        if self._made_by.method_record.asks:
            for g, cohort in self._cohorts:
                cohort.follow(self.param_groups[g])
                cohort.stay()
                for point, a in zip(*_points(cohort.made), strict=True):
                    kept.append((a, a.copy()))
                    a[...] = point
        try:
            with torch.enable_grad():
                loss = closure()
        finally:
            for a, value in kept:
                a[...] = value
        if loss is None:
            raise TypeError("closure: expected the loss returned, got None: return it")
        return loss

    @staticmethod
    def _any_wild(gradients: list[list[Any]]) -> bool:
        """Whether the square of a gradient may overflow. Raises FloatingPointError where one is not finite, before any cohort has changed;
        by itself, each cohort checks only its own."""
        wild = False
        given = (g.values if isinstance(g, optim.SparseGradient) else g for part in gradients for g in part)
        for grad in (grad for grad in given if grad.size):
            largest = float(np.abs(grad).max())
            if not largest < math.inf:
                raise FloatingPointError(
                    f"the gradient of a parameter of shape {tuple(grad.shape)} is not finite: nothing was changed. Look for the cause "
                    "in the cost function or lower lr; check_finite=False turns this test off"
                )
            wild |= largest >= WILD
        return wild

    def _divides(self, moving: list[tuple[int, Cohort]]) -> bool:
        return any(self.param_groups[g].get("eps") == 0.0 for g, _ in moving)

    @staticmethod
    def _gradient(tensor: torch.Tensor, i: int) -> Any:
        grad = tensor.grad
        assert grad is not None
        if grad.layout == torch.sparse_coo and grad.sparse_dim() == 1:
            grad = grad.coalesce()
            return optim.SparseGradient(grad.indices()[0].numpy(), grad.values().numpy())
        return _checked(grad, f"params[{i}].grad").contiguous().numpy(force=True)  # 3 us; as a tensor, by dlpack, it would be 9

    def _arrange(self) -> None:
        """Cohorts of which all or none have a gradient, and new ones for parameters that have one for the first time."""
        arranged: list[tuple[int, Cohort]] = []
        for g, cohort in self._cohorts:
            having = [i for i, t in enumerate(cohort.tensors) if t.grad is not None]
            if len(having) in (0, len(cohort.tensors)):
                arranged.append((g, cohort))
            else:
                lacking = [i for i, t in enumerate(cohort.tensors) if t.grad is None]
                arranged += [(g, cohort.part(having)), (g, cohort.part(lacking))]
        for g, group in enumerate(self.param_groups):
            fresh = [t for t in group["params"] if t.grad is not None and id(t) not in self._seen]
            if fresh:
                self._seen |= {id(t) for t in fresh}
                arranged.append((g, self._cohort(self._made_by, fresh, self._options(group))))
        self._cohorts = arranged

    def _options(self, group: dict[str, Any]) -> dict[str, Any]:
        return {**{name: group[name] for name in self._names}, "check_finite": self._check_finite}

    # ---- state: torch's form, a dict a parameter -----------------------------------------------------------------------------------

    @property
    def state(self) -> defaultdict[Any, dict[str, Any]]:
        """What each parameter carries, by parameter, as torch has it: read, changed, cleared or assigned, the next step goes on from it.

        It is a copy, made when it is asked for after a step; its names are mflow's ("m", "v"), not torch's ("exp_avg").
        """
        if not self._shown:
            for _, cohort in self._cohorts:
                self._states.update(zip(cohort.tensors, map(_Entry, cohort.entries()), strict=True))
            self._shown = True
        return self._states

    @state.setter
    def state(self, states: Any) -> None:
        self._states, self._shown = states, True

    def _drop_states(self) -> None:
        """Drops the copy that `state` hands out: what the cohorts hold counts again."""
        self._states, self._shown = defaultdict(_Entry), False

    def _rebuild(self) -> None:
        """Cohorts from the states."""
        cohorts: list[tuple[int, Cohort]] = []
        seen: set[int] = set()
        for g, group in enumerate(self.param_groups):
            self._cohort.make(self._made_by, [np.zeros(1)], self._options(group))  # finds what does not fit where no parameter has a state
            alike: dict[tuple[Any, ...], list[torch.Tensor]] = {}
            for tensor in group["params"]:
                if carried := self._states.get(tensor) or self._aside.get(tensor):
                    self._states[tensor] = carried
                    check_entry(carried, len(seen), self._check_finite)
                    scalars = tuple(map(float, carried["scalars"]))
                    alike.setdefault((check_whole(carried["step"], "state: step"), scalars, frozenset(carried)), []).append(tensor)
                    seen.add(id(tensor))
            for (steps, scalars, names), tensors in alike.items():
                cohort = self._cohort(self._made_by, tensors, self._options(group))
                own = names - {"step", "scalars"}
                cohort.restore(steps, list(scalars), [{name: self._states[t][name].numpy() for name in own} for t in tensors])
                cohorts.append((g, cohort))
        self._cohorts, self._seen, self._members = cohorts, seen, self._ids()
        inside = {one for ids in self._members for one in ids}
        self._aside = {t: entry for t, entry in {**self._aside, **self._states}.items() if entry and id(t) not in inside}
        self._drop_states()

    def state_dict(self) -> dict[str, Any]:
        """As torch arranges it, the state of every parameter by its number, and the groups; copies.

        The entries of a parameter have mflow's names ("m", "v") and not torch's ("exp_avg"): `load_state_dict` here takes either, torch's
        own optimizers take theirs alone, which `torch_state_dict` writes.
        """
        shown = self._shown
        out: dict[str, Any] = super().state_dict()
        out["state"] = {number: dict(entry) for number, entry in out["state"].items()}
        if not shown:
            self._drop_states()
        return out

    def torch_state_dict(self) -> dict[str, Any]:
        """The state as torch's own optimizer of this name writes it, for its `load_state_dict`: a run moves back in the middle.

        Raises
        ------
        TypeError
            torch has no such optimizer.
        ValueError
            A setting that torch's has not is in use.

        Examples
        --------
        >>> import torch, mflow.torch
        >>> w = torch.ones(3, dtype=torch.float64, requires_grad=True)
        >>> ours = mflow.torch.Adam([w], lr=0.1)
        >>> (w @ w).backward()
        >>> loss = ours.step()
        >>> theirs = torch.optim.Adam([w])
        >>> theirs.load_state_dict(ours.torch_state_dict())
        >>> theirs.param_groups[0]["lr"], sorted(theirs.state[w])
        (0.1, ['exp_avg', 'exp_avg_sq', 'step'])
        """
        return returned(self.state_dict(), self._made_by)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Load what `state_dict` gave, or that of torch's own optimizer of this name, for the same arrangement of parameters.

        All of it is loaded, or nothing: where it does not fit, an error is raised and the optimizer is as before.
        """
        groups = state_dict.get("param_groups") if isinstance(state_dict, dict) and "state" in state_dict else None
        if not isinstance(groups, list) or not all(isinstance(group, dict) for group in groups):
            raise ValueError("state_dict: expected what state_dict() of an optimizer of torch or mflow.torch gave")
        defaults: dict[str, Any] = self.__dict__["defaults"]
        kept = {
            name: self.__dict__[name]
            for name in ("_made_by", "_names", "_cohorts", "_seen", "_members", "_aside", "_states", "_shown", "defaults", "param_groups")
        }
        try:
            refuse_complex(state_dict)
            if is_torchs(state_dict):
                made_by, state_dict = converted(state_dict, self._class, self._made_by, defaults)
                if made_by is not self._made_by:
                    known = dict(made_by([np.zeros(1)]).param_groups[0])
                    self._made_by, self._names, self.defaults = made_by, tuple(known), known
            super().load_state_dict(state_dict)  # which calls __setstate__
        except BaseException as error:
            self.__dict__.update(kept)
            if isinstance(error, (KeyError, TypeError, AttributeError, RuntimeError)):
                raise ValueError(
                    f"state_dict: expected a state of {self._class.__name__}, got one that does not fit it ({error!r})"
                ) from error
            raise

    def __getstate__(self) -> dict[str, Any]:
        settings = {name: self.__dict__[name] for name in ("_made_by", "_names", "_check_finite")}
        shown = self._shown
        out = {**super().__getstate__(), **settings}
        out["state"] = {tensor: dict(entry) for tensor, entry in out["state"].items()}
        if not shown:
            self._drop_states()
        return out

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__({name: value for name, value in state.items() if name != "state"})
        self.state, self._aside = state["state"], {}
        self._rebuild()


def _class_of(cls: type[optim.Optimizer]) -> type[Optimizer]:
    loop = ">>> for _ in range(10):\n...     opt.zero_grad()\n...     (w @ w).backward()\n...     loss = opt.step()\n"
    if cls.method_record.asks:
        loop = (
            ">>> def closure():\n...     opt.zero_grad()\n...     loss = w @ w\n...     loss.backward()\n...     return loss\n"
            ">>> for _ in range(10):\n...     loss = opt.step(closure)\n"
        )
    text = (
        f"`mflow.optim.{cls.__name__}` as a torch optimizer, for float64 tensors on the CPU.\n\n"
        f"    {formula_of(cls.method_record)}\n\n"
        "Parameters\n----------\nparams : iterable of float64 tensors, or of groups\n    As torch takes them.\n"
        f"*args, **parameters\n    Those of `mflow.optim.{cls.__name__}{inspect.signature(cls)}`, without clip_norm.\n"
        "check_finite : bool, default True\n    Refuse gradients that are not finite, and steps that would leave a number that is not.\n\n"
        f"See Also\n--------\nmflow.optim.{cls.__name__}, mflow.train\n\nReferences\n----------\n{cls.method_record.reference}\n\n"
        "Examples\n--------\n>>> import torch, mflow.torch\n>>> w = torch.ones(3, dtype=torch.float64, requires_grad=True)\n"
        f">>> opt = mflow.torch.{cls.__name__}([w], lr=0.1)\n{loop}>>> bool((w < 1).all())\nTrue\n"
    )
    own: dict[str, Any] = {"_cohort": SGDCohort} if cls is optim.SGD else {}
    return type(cls.__name__, (Optimizer,), {"_class": cls, "__doc__": text, "__module__": "mflow.torch", **own})


_CLASSES = {
    name: _class_of(cls)
    for name, cls in ((name, getattr(optim, name)) for name in optim.__all__)
    if issubclass(cls, optim.Optimizer) and cls is not optim.Optimizer
}
globals().update(_CLASSES)
__all__ = sorted(["Optimizer", *_CLASSES])  # noqa: PLE0605
