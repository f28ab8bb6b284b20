"""Training by the directions of a line search: L-BFGS, BFGS and conjugate gradients on full batches.

A search compares the cost at one point with that at another, so all the data have to be one batch. An epoch is one iteration of the core's
`LineDescent`, by default with strong Wolfe; it evaluates the batch as often as the search needs. The optimizer of the run is an `SGD` that
counts the steps and has the rate 1; it moves nothing.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from mflow_core.objectives.objective import Objective
from mflow_core.optimize.line_descent import FAILED, KINDS, LineDescent
from mflow_core.problems.problem import objective_problem
from mflow_core.stepping.stepper import CONVERGED

from mflow.base.checks import Array, check_number, real_array
from mflow.base.methods import Method, as_method
from mflow.base.telling import counted
from mflow.curvature.landscape import GTOL
from mflow.derivatives.differences import STEEP
from mflow.derivatives.own_units import allows, finer_gtol
from mflow.saving.savefile import numbers_of
from mflow.training import endings
from mflow.training.endings import Ending
from mflow.training.feeds import Args, Cost, Feed, Rows, feed_of
from mflow.training.trainer import Trainer

__all__ = ["direction_of", "direction_trainer"]


def direction_of(optimizer: Any) -> Method | None:
    """The method, where ``optimizer`` names a direction of a line search."""
    if not isinstance(optimizer, (str, Method)):
        return None
    try:
        method = as_method(optimizer, {})
    except ValueError:
        return None
    return method if method.kind == "direction" and "trust_region" not in method.flags else None


class DirectionTrainer(Trainer):
    """A `Trainer` whose epochs are iterations of a line search on all the data."""

    one_each = loss_before = False

    def __init__(self, model: Cost, feed: Feed, params: Any, method: Method, gtol: float) -> None:
        super().__init__(model, feed, params, "sgd", {"lr": 1.0}, "step")
        self.method, self.gtol, self.asked = method, gtol, gtol
        self.passed = ""  # the search chooses its steps
        self.facts["steps"] = [method.name, dict(method.all_numbers), gtol]
        self.args: Args = ()
        self.usual, self.fall = False, 0.0  # whether nobody asked for this gtol; by which share the loss still fell where it was too large
        self.descent: LineDescent | None = None

    def configure(
        self, epochs: Any, accumulate: Any, max_steps: Any, validation: Any, metric: Any, patience: Any, min_delta: Any, track_lr: bool
    ) -> None:
        """As a `Trainer`, without accumulated gradients."""
        super().configure(epochs, accumulate, max_steps, validation, metric, patience, min_delta, track_lr)
        if self.accumulate != 1:
            raise ValueError(f"accumulate: expected 1 for {self.method.name}, whose epochs are one batch, got {accumulate}")

    def _begin(self) -> LineDescent:
        """The descent from where the parameters stand."""
        x = np.concatenate([a.ravel() for a in self.flat])
        problem = objective_problem(self._both, True, x.shape)
        return LineDescent(self.method.record, problem, x, KINDS["strong_wolfe"], {}, self.method.numbers)

    def _both(self, x: Array) -> tuple[float, Array]:
        """(loss, gradient) of the whole batch at a flat vector."""
        params = self.binding.like(self._parts(x))
        self.nfev += 1
        loss, grads = self.model.both(params, self.args)
        flat = self.binding.gathered(grads, "the gradient")
        return loss, np.concatenate([real_array(g, "the gradient").ravel() for g in flat]).astype(np.float64)

    def _parts(self, x: Array) -> list[Array]:
        ends = np.cumsum([a.size for a in self.flat])[:-1]
        return [part.reshape(a.shape).copy() for part, a in zip(np.split(x, ends), self.flat, strict=True)]

    def _one_epoch(self) -> Ending | None:
        for args, rows in self.feed.epoch(self.generator, self.epoch, self.batch):
            self.args = args
            if self.descent is None:
                self.descent = self._begin()
            before = self.descent.k
            status = self.descent.advance(1, self.gtol)
            if status == CONVERGED and self._goes_on(self.descent):
                status = self.descent.advance(1, self.gtol) if self.descent.k == before else 0
            at, grad = self.descent.here()
            with np.errstate(over="ignore"):
                self.loss, self.norm = float(self.descent.value), float(np.linalg.norm(grad))
            if not math.isfinite(self.loss):
                return endings.not_finite(self, f"the loss is {self.loss}", 1)
            if not np.isfinite(grad).all():
                return endings.not_finite(self, "the gradient is not finite", 1)
            if not math.isfinite(self.norm):
                return self._overflown(grad)
            if self.descent.k > before:
                self._put(at)
                self.opt.step(self.binding.like([np.zeros_like(a) for a in self.flat]))  # counts the step
                self.nit, self.batch = self.nit + 1, self.batch + 1
                self.history.add_step(self.loss, 1.0, self.norm, rows)
                ending = None if self.quiet and self.nit < self.max_steps else self._after(1.0)
                if ending is not None:
                    return ending
            if status in (CONVERGED, FAILED):
                return (self._end_epoch() if self.descent.k > before else None) or self._settled(status, grad)
            if status != 0:
                return endings.not_finite(self, "the search met a number that is not finite", 1)
        return None

    def _goes_on(self, descent: LineDescent) -> bool:
        """Whether gtol, which nobody asked for, allows a gradient along which the loss falls by a part of itself, as in SI units: on to one
        in the units of loss and parameters, once."""
        (first, last), (at, grad), loss = descent.largest_slope, descent.here(), float(descent.value)
        if self.fall > 0.0 or not self.usual or not last >= STEEP * first > 0.0:
            return False
        finer = finer_gtol(self.gtol, lambda x: self._both(x)[0], at.ravel(), loss, grad.ravel())
        if not finer.fall > 0.0:
            return False
        self.gtol, self.fall = finer.gtol, finer.fall
        return True

    @property
    def gone_on(self) -> str:
        """Words on a finer gtol than was asked for; "" where there was none."""
        if not self.fall > 0.0:
            return ""
        return f"; {allows(self.asked, self.fall, 'loss')}, so that the run went on to {self.gtol:.2g}"

    def _settled(self, status: int, grad: Array) -> Ending:
        """Nothing is left to gain: the gradient is small, or the search finds no lower point."""
        largest = f"the largest entry of the gradient is {np.max(np.abs(grad), initial=0.0):.3g}"
        if status == CONVERGED:
            return Ending("converged", f"{largest}, at most gtol = {self.gtol:g}, after {counted(self.nit, 'step')}{self.gone_on}")
        text = f"no step along the direction lowers the loss after {counted(self.nit, 'step')}; {largest}{self.gone_on}"
        return Ending("line_search_failed", text)

    def _overflown(self, grad: Array) -> Ending:
        """Loss and gradient are numbers; the products that a direction takes of the gradient are not."""
        largest = float(np.max(np.abs(grad)))
        where = f"in epoch {self.epoch}, after {counted(self.nit, 'step')}"
        fix = f"its largest entry is {largest:.3g}; scale the loss, as by {1.0 / largest:.0e}"
        return Ending("non_finite", f"products of the gradient overflow {where}: {fix}")

    def _put(self, x: Array) -> None:
        for a, part in zip(self.flat, self._parts(x), strict=True):
            a[...] = part

    def own_blocks(self) -> dict[str, bytes]:
        """What the method remembers of the way."""
        went = {"gone on": np.array([self.gtol, self.fall]).tobytes()} if self.fall > 0.0 else {}
        return {} if self.descent is None else {"descent": self.descent.save(), **went}

    def take_blocks(self, blocks: dict[str, bytes]) -> None:
        """Goes on from what `blocks` of a file holds."""
        if self.nit:
            self.descent = self._begin()
            self.descent.restore(blocks["descent"])
        if self.usual and "gone on" in blocks:
            gtol, fall = numbers_of(blocks, "gone on", (2,))
            self.gtol = check_number(float(gtol), "gtol", low=0.0)
            self.fall = check_number(float(fall), "gone on", low=0.0)


def direction_trainer(
    fun: Any, params: Any, data: Any, method: Method, jac: Any, parameters: dict[str, Any], batches: dict[str, Any]
) -> Trainer:
    """The trainer of `mflow.train` for a direction; batches: batch_size, seed, shuffle, drop_last.

    Raises ValueError where the data are not one batch, TypeError where there is no loss.
    """
    usual = "gtol" not in parameters
    gtol = check_number(parameters.pop("gtol", GTOL), "gtol", low=0.0)
    if parameters:
        method = as_method(method.name, {**method.given, **parameters})
    if isinstance(fun, Objective):
        if data is not None or (jac is not None and jac is not True):
            raise TypeError(f"data, jac: {fun!r} holds its own data and has its own gradient; omit them")
        feed, model = Feed(), Cost(fun.value_and_grad, True)
        feed.objective = fun
        rows = fun.m if "labelled" in fun.flags else None
    else:
        model, feed = Cost(fun, jac), feed_of(data, None, batches["seed"], False, False)
        rows = feed.rows
        if isinstance(feed, Rows):
            feed = feed_of(data, rows, batches["seed"], False, False)
    size = batches["batch_size"]
    if feed.batches != 1 or (size is not None and rows is not None and size < rows):
        given = f"batch_size = {size}" if size is not None else f"{feed.batches or 'many'} batches"
        raise ValueError(
            f"optimizer: {method.name} searches along lines, for which all the data have to be one batch, got {given} "
            f"of {rows or 'unknown'} rows; omit batch_size, or take an optimizer such as 'adam'"
        )
    if not model.has_loss:
        raise TypeError(f"jac: {method.name} compares losses: expected jac=True (fun returns loss and gradient) or a function, got None")
    trainer = DirectionTrainer(model, feed, params, method, gtol)
    trainer.usual = usual
    return trainer
