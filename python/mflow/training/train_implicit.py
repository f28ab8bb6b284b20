"""Training by implicit steps: fun returns the residuals of a batch and jac their Jacobian, and each batch is one backward Euler step.

The equation of a step is in `mflow_core.implicit.proximal`. The optimizer of the run is an `SGD` that holds lr, its schedules and the
number of steps; it moves nothing.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from mflow_core import registry
from mflow_core.implicit import proximal
from mflow_core.objectives.objective import Objective

from mflow.base.checks import Array, check_function, real_array
from mflow.base.methods import Method
from mflow.derivatives.elsewhere import names_of
from mflow.implicit.linear import NAME, no_squares
from mflow.training import endings
from mflow.training.endings import Ending
from mflow.training.feeds import ROWS, Args, Cost, Feed, IndexSets, feed_of
from mflow.training.trainer import Trainer

__all__ = ["implicit_trainer"]


class Residuals(Cost):
    """Residuals of a batch and their Jacobian; the loss is the mean of r^2/2."""

    def __init__(self, fun: Any, jac: Any) -> None:
        if isinstance(fun, Objective):
            if "squares" not in fun.flags:
                raise TypeError(f"fun: expected a sum of squares for {NAME}, {no_squares(fun)}")
        else:
            check_function(fun, "fun", f"a function of (params, *batch) that returns residuals for {NAME}")
            check_function(jac, "jac", f"a function of (params, *batch) that returns the Jacobian of the residuals, {names_of()}")
        self.fun, self.jac, self.has_loss = fun, jac, True
        self.binding: Any = None  # of the trainer, which knows how parameters are arranged

    def loss(self, params: Any, args: Args) -> float:
        """The mean of r^2/2."""
        r = self.residuals(params, args)
        return 0.5 * float(np.mean(r * r))

    def both(self, params: Any, args: Args) -> tuple[float, Any]:
        """(the mean of r^2/2, its gradient J' r/m), for looks at the cost."""
        r = self.residuals(params, args)
        slope, place, parts = self.jacobian(params, args, r.size).T @ r / r.size, 0, []
        for a in self.binding.flat:
            parts.append(slope[place : place + a.size].reshape(a.shape))
            place += a.size
        return 0.5 * float(np.mean(r * r)), self.binding.like(parts)

    def jacobian(self, params: Any, args: Args, count: int) -> Array:
        """J of a function's residuals, (b, n)."""
        J = self.jac(params, *args)
        return np.concatenate([real_array(part, "jac").reshape(count, -1) for part in self.binding.gathered(J, "the Jacobian")], axis=1)

    def residuals(self, params: Any, args: Args) -> Array:
        """r (b,)."""
        if isinstance(self.fun, Objective):
            return np.asarray((self.fun.batch(args[0]) if args else self.fun).residuals(params))
        r = real_array(self.fun(params, *args), "fun").ravel()
        if not r.size:
            raise ValueError("fun: expected at least one residual, got none")
        return np.asarray(r, dtype=np.float64)


class ImplicitTrainer(Trainer):
    """A `Trainer` whose steps are implicit."""

    one_each = False

    def __init__(self, fun: Any, jac: Any, feed: Feed, params: Any, parameters: dict[str, Any], schedule_per: str) -> None:
        unknown = [name for name in parameters if name not in ("lr", "l1", "l2")]
        if unknown:
            raise TypeError(registry.unknown(f"train: {NAME} has no parameter", unknown[0], ["lr", "l1", "l2"]))
        penalties = {name: parameters.pop(name, 0.0) for name in ("l1", "l2")}
        self.penalties = {name: float(real_array(value, name)) for name, value in penalties.items()}
        if any(not 0.0 <= value < np.inf for value in self.penalties.values()):
            raise ValueError(f"l1, l2: expected finite numbers of at least 0, got {penalties}")
        model = Residuals(fun, jac)
        super().__init__(model, feed, params, "sgd", {"lr": 1.0, **parameters}, schedule_per)
        model.binding, self.probe.implicit = self.binding, NAME
        self.facts["steps"] = [NAME, self.penalties]
        self.steps: proximal.ProximalSteps | None = None
        self.args: Args = ()

    def check_gradient(self, check: Any) -> None:
        """The first Jacobian is not compared: `mflow.check_jacobian` does that."""
        super().check_gradient(check)
        self.checks = self.checks_late = False

    def configure(
        self, epochs: Any, accumulate: Any, max_steps: Any, validation: Any, metric: Any, patience: Any, min_delta: Any, track_lr: bool
    ) -> None:
        """As a `Trainer`, without accumulated gradients, of which there are none."""
        super().configure(epochs, accumulate, max_steps, validation, metric, patience, min_delta, track_lr)
        if self.accumulate != 1:
            raise ValueError(f"accumulate: expected 1 for {NAME}, whose batches are solved one by one, got {accumulate}; raise batch_size")

    def _one_epoch(self) -> Ending | None:
        """The batches of one epoch, from where it stands."""
        seen = False
        for args, rows in self.feed.epoch(self.generator, self.epoch, self.batch):
            seen = True
            ending = self._implicit_step(args, rows)
            if ending is not None:
                return ending
        if not seen and self.batch == 0:
            raise ValueError(f"data: expected at least one batch, got no batch in epoch {self.epoch}")
        return None

    def _implicit_step(self, args: Args, rows: float) -> Ending | None:
        self.args = args
        self.opt.apply_schedules()
        lr, c = self.opt.lr_of(0), np.concatenate([a.ravel() for a in self.flat])
        count = int(len(args[0]) if args else self.model.fun.m) if isinstance(self.model.fun, Objective) else self._count(args)
        if self.steps is None or self.steps.most < count:
            source = self.model.fun if isinstance(self.model.fun, Objective) else self._rows
            self.steps = proximal.ProximalSteps(source, c, count)
            self.steps.l1, self.steps.l2 = self.penalties["l1"], self.penalties["l2"]
        self.steps.set(c)
        order = np.asarray(args[0], dtype=np.int64) if isinstance(self.model.fun, Objective) and args else np.arange(count)
        before, self.steps.nfev = c, 0
        values, kinds = self.steps.run(np.ascontiguousarray(order, dtype=np.int64), count, np.array([lr]))
        self.nfev += self.steps.nfev
        self.loss = float(values[0, 0])
        if kinds[0] == proximal.SKIPPED:
            return endings.not_finite(self, "the residuals are not finite", 1)
        self.opt.step(self._nothing())  # counts the step; the point is set below
        self._put(self.steps.last)
        self.norm = float(np.linalg.norm(self.steps.last - before)) / lr if lr > 0.0 else 0.0
        self.nit, self.batch = self.nit + 1, self.batch + 1
        self.history.add_step(self.loss, lr, self.norm, rows)
        return None if self.quiet and self.nit < self.max_steps else self._after(lr)

    def _count(self, args: Args) -> int:
        return int(self.model.residuals(self.params, args).size)  # type: ignore[attr-defined]

    def _nothing(self) -> Any:
        return self.binding.like([np.zeros_like(a) for a in self.flat])

    def _put(self, c: Array) -> None:
        """The parameters from a flat vector."""
        place = 0
        for a in self.flat:
            a[...] = c[place : place + a.size].reshape(a.shape)
            place += a.size

    def _rows(self, c: Array, _: Any, jacobian: bool) -> tuple[Array, Array | None]:
        """(residuals, Jacobian) of the batch under way at other parameters."""
        flat, place = [], 0
        for a in self.flat:
            flat.append(c[place : place + a.size].reshape(a.shape).copy())
            place += a.size
        params = self.binding.like(flat)
        r = self.model.residuals(params, self.args)  # type: ignore[attr-defined]
        if not jacobian:
            return r, None
        return r, self.model.jacobian(params, self.args, r.size)  # type: ignore[attr-defined]


def implicit_trainer(
    fun: Any, params: Any, data: Any, optimizer: Any, jac: Any, parameters: dict[str, Any], schedule_per: str, batches: dict[str, Any]
) -> Trainer:
    """The trainer of `mflow.train` for implicit steps; batches: batch_size, seed, shuffle, drop_last."""
    own = optimizer.given if isinstance(optimizer, Method) else {}
    if isinstance(fun, Objective):
        if data is not None or jac is not None:
            raise TypeError(f"data, jac: {fun!r} holds its own data and has its own Jacobian; omit them")
        size = batches.pop("batch_size")
        feed: Feed = IndexSets(fun.m, min(ROWS, fun.m) if size is None else size, **batches)
        feed.objective = fun
    else:
        feed = feed_of(data, **batches)
    return ImplicitTrainer(fun, jac, feed, params, {**own, **parameters}, schedule_per)
