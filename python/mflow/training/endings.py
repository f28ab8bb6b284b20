"""How a training run ends: why, in words, and what it returns."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from mflow import optim
from mflow.base.result import CurvatureResult, Examined, keep_origin
from mflow.base.telling import counted
from mflow.optim.averages import EMA
from mflow.optim.effective import effective_lr, never_negative

if TYPE_CHECKING:
    from mflow.training.history import TrainHistory
    from mflow.training.trainer import Trainer

__all__ = ["Ending", "TrainResult", "early_stopped", "finished", "held", "not_finite", "refused", "result", "stopped"]

GROWTH = 1e6  # a gradient that has grown by this on the way to a number that is not finite: the training diverged
FAR_OFF = 1e10  # times its start, and more than 1: a loss that ends there, higher than ever, has run off
RISE, RISE_OF_BATCHES = 0.01, 9.0  # of a loss that has gone up, as a share of its start
GAP = 1e4  # between the gradients of a tenth of the steps at most and all others: those few make up the second moments
STILL = 1e-4  # of its step without those few: a parameter that moves less is held
REMEMBERED, FORGOTTEN = 0.1, 0.01  # shares of an exponential mean that its first point has: what is told of, and what is advised
STATUS = {"finished": 0, "converged": 0, "early_stopped": 0, "max_steps": 1, "callback": 2}


class TrainResult(Examined):
    """Result of `mflow.train`.

    params : arranged as they were given: the best ones, by validation loss, else by the mean training loss of an epoch; without a loss,
        the last.
    last_params : likewise, as training left them.
    averaged_params : with ``average``: likewise, the mean of the parameters after each step.
    fun : the monitored loss of ``params``; best_epoch : its epoch, from 0 on; -1: params are those of the start. The training loss of an
        epoch of one step is that of the parameters before the step: those are ``params`` then, or the last ones where their loss, evaluated
        once more after the run (and not counted in nfev), is less than all others.
    success, status : 0 all epochs done or stopped early, 1 max_steps, 2 stopped by a callback, -1 the rest.
    reason : "finished", "converged" and "line_search_failed" (of a line search), "early_stopped", "max_steps", "callback",
        "non_finite", "diverged" (also where the loss is at the end beyond 1e10 times its start), "rhs_failed" (fun, metric
        or a schedule raised), "callback_failed", "interrupted".
    message : what happened, in words.
    epochs, nit, nfev : epochs begun, steps, evaluations of the gradient. ncheck : evaluations that checked the gradient, or
        after the run looked for the cause of its divergence.
    history : a TrainHistory of float64 arrays, with `to_frame(per="epoch")` for pandas. An entry an epoch: loss (mean over its rows),
        val_loss, lr, grad_norm (before clipping, mean), time (s), step (their number so far), effective_lr (with track_lr; smallest,
        median, largest). An entry a step: step_loss, step_lr, step_grad_norm.
    optimizer : the optimizer, bound to the arrays of last_params. seed : of the shuffling.
    curvature : with ``monitor="curvature"``: a Result of float64 arrays, an entry a look: step, largest (curvature, in the metric of the
        method's second moments where it has them), limit (the largest that the method bears), lr; and nfev, gradients that the looks took.

    See Also
    --------
    mflow.train, mflow.plot.history

    Examples
    --------
    >>> import numpy as np, mflow
    >>> r = mflow.train(lambda c: (c @ c, 2 * c), np.array([1.0, 2.0]), jac=True, optimizer="sgd", lr=0.1, epochs=30)
    >>> r.epochs, r.history.loss.shape, r.fun < 1e-3
    (30, (30,), True)
    """

    params: Any
    last_params: Any
    fun: float
    best_epoch: int
    success: bool
    status: int
    reason: str
    message: str
    epochs: int
    nit: int
    nfev: int
    ncheck: int
    history: TrainHistory
    optimizer: optim.Optimizer
    averaged_params: Any
    curvature: CurvatureResult
    seed: int | None

    def to_frame(self, per: str = "epoch") -> Any:
        """The history as a pandas DataFrame: see `to_frame` of ``history``. ImportError without pandas."""
        return self.history.to_frame(per)


class Ending(NamedTuple):
    """Why a run ended: the reason of its result, and its message."""

    reason: str
    message: str


def finished(run: Trainer) -> Ending:
    """All epochs are done."""
    text = f"{counted(run.epochs, 'epoch')}, {counted(run.nit, 'step')}"
    if run.epoch > run.epochs:
        text = f"{counted(run.epoch, 'epoch')}, {counted(run.nit, 'step')} were done before, and epochs = {run.epochs} asks for no more"
    return _unless_far_off(run, Ending("finished", text + _least(run) + _above_start(run)))


def _start_in_mean(run: Trainer) -> str:
    """Words on an exponential mean in which the first point still has a large share, or ""."""
    if not isinstance(run.mean, EMA):
        return ""
    decay, count = run.mean.decay, run.mean.n_averaged
    if count < 2 or (share := decay ** (count - 1)) < REMEMBERED:  # the first point is taken as it is
        return ""
    return (
        f"; averaged_params are to {share:.0%} the parameters after the first step, as the mean has a decay of {decay:g} and saw {count} "
        f'steps: give a smaller decay, as average={FORGOTTEN ** (1.0 / count):.3g}, or "swa"'
    )


def early_stopped(run: Trainer) -> Ending:
    """The monitored loss has not fallen for `patience` epochs."""
    rises = run.monitor.best_epoch == 0 and _judged_by(run) == "metric" and run.monitor.best < run.val_loss
    hint = "; train looks for the least: of a metric that is better when higher give the negative" if rises else ""
    text = f"the {_judged_by(run)} has not fallen for {run.monitor.waited} epochs" + _least(run) + hint
    return _unless_far_off(run, Ending("early_stopped", text + _above_start(run)))


def stopped(run: Trainer, by_callback: bool) -> Ending:
    """Stopped after a step, by a callback or by max_steps."""
    where = f"in epoch {run.epoch}, after {counted(run.nit, 'step')}"
    if by_callback:
        return Ending("callback", f"the callback stopped it {where}")
    return _unless_far_off(run, Ending("max_steps", f"max_steps = {run.max_steps} were taken, {where}" + _above_start(run)))


def not_finite(run: Trainer, problem: str, batches: int | None) -> Ending:
    """A number is not finite, so many batches after the last step; None: at the end of the epoch, with the validation data."""
    batch, data = ("", "the validation data") if batches is None else (f", batch {run.batch + max(batches - 1, 0)}", "that batch")
    where, kept = f"in epoch {run.epoch}{batch}, after {counted(run.nit, 'step')}", _kept(run)
    norms = run.history.steps["step_grad_norm"]
    if not run.binding.finite or (len(norms) and norms[-1] > GROWTH * max(norms[0], 1e-300)):
        advice = _advice(run, ": lower lr, or give clip_norm=")
        text = f"{problem} {where}, and the gradients have grown beyond bounds{advice}; {kept}"
        return Ending("diverged", text)
    if not _was_finite_before(run, batches is None):
        return Ending("non_finite", f"{problem} {where}: look at {data} for what the loss cannot take; {kept}")
    advice = _advice(run, ": lower lr, or see mflow.lr_find")
    text = f"{problem} {where}, and {_place(run)} the loss of {data} is finite, so the steps led there{advice}; {kept}"
    return Ending("non_finite", text)


def _was_finite_before(run: Trainer, validates: bool) -> bool:
    """Whether what is not finite now is finite at the parameters that are kept: the data are not to blame, then. One evaluation."""
    if not run.nit or (run.failing is None and not validates) or not all(np.isfinite(a).all() for a in run.monitor.best_flat):
        return False
    try:
        return run.is_finite_at(run.monitor.best_flat, None if validates else run.failing)
    except Exception:  # the run has ended: what the loss raises there says nothing of it
        return False


def _advice(run: Trainer, otherwise: str) -> str:
    """What to do about a loss that has grown: what is wrong with the gradient, the limit that lr has passed, or else these words."""
    run.doubt()
    if run.wrong:
        return f"; {run.wrong}"
    return f": {passed}; lower lr" if (passed := _passed(run)) else otherwise


def _passed(run: Trainer) -> str:
    """The limit that lr has passed, by the curvature at the parameters that are kept, or at the start where the loss there is less, in
    words; looked for once, after the run."""
    at, place = run.monitor.best_flat, _place(run)
    if _kept_above_start(run):  # the curvature there is that of where the steps have led
        at, place = run.monitor.start_flat, "at the start"
    if run.passed is None and not at:
        run.passed = ""
    if run.passed is None:
        lr, name = max(run.history.steps["step_lr"], default=0.0), run.opt.record.name
        found = run.probe.passed(at, lr, run.args or run.failing or ())
        run.spend(found if isinstance(found, int) else found.taken)
        of = "" if run.feed.batches == 1 else "of a batch "
        run.passed = "" if isinstance(found, int) else found.words(lr, name, f"{of}{place}")
    return run.passed


def _kept_above_start(run: Trainer) -> bool:
    """Whether the training loss of the epoch whose parameters are kept lies clearly above the first one."""
    losses, epoch = run.history.steps["step_loss"], run.monitor.best_epoch
    if epoch < 0 or not len(losses) or epoch >= len(run.history.epochs["loss"]):
        return False
    return bool(run.history.epochs["loss"][epoch] > losses[0] + (RISE if run.feed.batches == 1 else 1.0) * abs(losses[0]))


def _place(run: Trainer) -> str:
    return "at the start" if run.monitor.best_epoch < 0 else "at the params that are kept"


def refused(run: Trainer, problem: str, batches: int) -> Ending:
    """A step would have left a number that is not finite, so many batches after the last one; it was not taken."""
    where = f"in epoch {run.epoch}, batch {run.batch + max(batches - 1, 0)}, after {counted(run.nit, 'step')}"
    return Ending("non_finite", f"{problem} ({where}); {_kept(run)}")


def _kept(run: Trainer) -> str:
    """Which parameters the result has where the training broke off."""
    if run.monitor.best_epoch < 0:
        return "no epoch was completed: params are those of the start"
    if run.is_one_step(run.monitor.best_epoch):
        return f"params are those before the step of epoch {run.monitor.best_epoch}, whose loss is the least"
    return f"params are those of epoch {run.monitor.best_epoch}, the best"


def _judged_by(run: Trainer) -> str:
    """What the best parameters are chosen by, the less the better: the user's metric, or a loss."""
    if run.validation is None:
        return "training loss"
    return "validation loss" if run.validation.metric is None else "metric"


def _least(run: Trainer) -> str:
    monitor, kind = run.monitor, _judged_by(run) if run.validation is not None else "loss"
    if not math.isfinite(monitor.best):
        return ""
    if run.validation is None and monitor.best < run.history.epochs["loss"][monitor.best_epoch]:
        return f"; the least loss, {monitor.best:.6g}, is that of the last parameters"
    return f"; the least {kind}, {monitor.best:.6g}, was in epoch {monitor.best_epoch}"


def _above_start(run: Trainer) -> str:
    """Words where the loss ends clearly above its start: of single batches, which differ among themselves, a greater rise is asked for."""
    losses = run.history.steps["step_loss"]
    if len(losses) < 2 or run.wrong:
        return ""
    first, last = losses[0], losses[-1] if run.feed.batches == 1 else run.history.last_loss
    if not last > first + (RISE if run.feed.batches == 1 else RISE_OF_BATCHES) * abs(first):
        return ""
    advice = _advice(run, ": lower lr, or see mflow.lr_find")
    advice = "" if run.wrong else advice  # `result` says it first
    return f"; but the loss ends above its start: {first:.4g} in the first step, {last:.4g} at the end{advice}"


def held(run: Trainer) -> str:
    """Words where a few gradients were so large that what the method keeps of their squares holds parameters where they are."""
    norms = np.array(run.history.steps["step_grad_norm"])
    order = np.sort(norms[norms > 0.0])
    first = len(order) - 1 - max(1, len(order) // 10)
    gaps = [j for j in range(max(first, 0), len(order) - 1) if order[j + 1] / GAP > order[j]]
    if not gaps:
        return ""
    few, usual = len(order) - 1 - gaps[0], float(order[gaps[0]])
    count, vector = _held_by(run.binding.opt, max(usual, usual**2))
    steered = 0 if count else _steered_by(run.binding.opt, GAP * usual)
    if not count and not steered:
        return ""
    large = f"the gradient of step {int(np.argmax(norms))} is of norm {order[-1]:.3g}"
    large += f", as are {few} in all" if few > 1 else ""
    name, total = run.binding.opt.record.name, sum(a.size for a in run.flat)
    what = (
        f"{vector} of {name} keeps it, and {count} of {total} parameters move by less than {STILL:g} of what they would without it"
        if count
        else f"m of {name} keeps it, and {steered} of {total} parameters go on in its direction"
    )
    return (
        f"{large}, those of the other steps at most {usual:.3g}: {what}; look at the data of that step, and give clip_norm= or clip_value="
    )


def _held_by(opt: optim.Optimizer, bound: float) -> tuple[int, str]:
    """(how many parameters what is kept of squares beyond `bound` holds, its name)."""
    count, name, place = 0, "", 0
    for g, size in enumerate(opt.arrangement.sizes):
        squares, coef = never_negative(opt.record, dict(opt.parameters_of(g))), opt._coefficients(g)
        for i in range(place, place + size if squares else place):
            vectors = opt._vectors(i)
            bounded = [np.minimum(v, bound) if n in squares else v for n, v in vectors.items()]
            now, free = (effective_lr(opt.record, coef, v, opt.steps_of(g)) for v in (list(vectors.values()), bounded))
            count, name = count + int(np.sum(now < STILL * free)), squares[0]
        place += size
    return count, name


def _steered_by(opt: optim.Optimizer, bound: float) -> int:
    """How many parameters have a mean of gradients beyond `bound`, where the method keeps one."""
    means = [vectors["m"] for i in range(len(opt.arrays)) if "m" in (vectors := opt._vectors(i))]
    return sum(int(np.sum(np.abs(m) > bound)) for m in means)


def _unless_far_off(run: Trainer, ending: Ending) -> Ending:
    """The ending; of a loss that has grown without bound, and only for want of time not beyond the finite numbers, or falls again from
    far beyond its start, that."""
    losses, one = run.history.steps["step_loss"], run.feed.batches == 1
    last, all_of_them = (losses[-1], losses) if one and len(losses) else (run.history.last_loss, run.history.epochs["loss"])
    if not len(losses) or not last > FAR_OFF * max(1.0, abs(losses[0])):
        return ending
    run.doubt()
    most = max(all_of_them, default=last)
    back = f" to {most:.3g}, in step {all_of_them.index(most)}, and has not come back" if one and last < most else ""
    return Ending("diverged", f"the loss has grown beyond bounds{back}; {ending.message}; {_kept(run)}")


def result(run: Trainer, ending: Ending) -> TrainResult:
    """The result of a run as it stands now."""
    reason, message = ending
    if run.wrong and run.wrong not in message:
        message = f"{run.wrong}; {message}"
    elif run.verdict.text and run.verdict.ncheck:
        message += f"; whether the gradient is the loss's is not known, as {run.verdict.text}"
    binding, monitor = run.binding, run.monitor
    status = STATUS.get(reason, -1)
    if status >= 0 and run.tell_held():
        message += f"; {run.held}"
    last = [a.copy() for a in binding.flat]
    best, fun = [a.copy() for a in monitor.best_flat], monitor.best
    if monitor.best_epoch < 0 and reason in ("interrupted", "rhs_failed", "callback_failed") and run.nit and binding.finite:
        best, fun = [a.copy() for a in last], math.nan  # an exception in the first epoch: the last point is the only one there is
    out = TrainResult(
        params=binding.like(best), last_params=binding.like(last), fun=fun if math.isfinite(fun) else math.nan,
        best_epoch=monitor.best_epoch, success=status == 0, status=status, reason=reason, message=message,
        epochs=len(run.history.epochs["loss"]), nit=run.nit, nfev=run.nfev, ncheck=run.verdict.ncheck,
        history=run.history.result(), optimizer=binding.opt, seed=run.feed.seed,
    )  # fmt: skip
    if run.mean is not None:
        out.message += _start_in_mean(run)
        out.averaged_params = binding.like([np.array(a) for a in run.mean.params])
    if run.watch is not None:
        out.curvature = run.watch.result()
    landscape = run.probe.landscape(best)
    keep_origin(out, lambda: landscape)
    return out
