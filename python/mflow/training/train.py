"""`train`: epochs over data in batches, by any optimizer, until they are done, the loss falls no more, or something goes wrong.

A cost in Python is called batch by batch; a compiled objective runs from one callback to the next without Python. The loop is in
`mflow.training.trainer`, checkpoints in `mflow.training.checkpoint`. Nothing is random but the batches: `mflow.minibatches` with the same
seed gives the same ones.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Unpack

from mflow_core.objectives.objective import Objective

from mflow import optim
from mflow.base.checks import check_flags
from mflow.base.methods import Method
from mflow.base.progress import reason_of
from mflow.base.result import attach
from mflow.base.threads import shared_among
from mflow.curvature.watch import EVERY
from mflow.derivatives.elsewhere import with_batch_derivative
from mflow.implicit.linear import is_implicit_sgd
from mflow.training.binding import check_names, in_groups
from mflow.training.endings import Ending, TrainResult
from mflow.training.feeds import Cost, Rows, check_fits, feed_of, index_sets
from mflow.training.train_compiled import CompiledTrainer
from mflow.training.train_directions import direction_of, direction_trainer
from mflow.training.train_implicit import implicit_trainer
from mflow.training.trainer import Trainer

if TYPE_CHECKING:
    from mflow.base._records import TrainOptions

__all__ = ["TrainResult", "train"]


def train(
    fun: Callable[..., Any],
    params: Any,
    data: Any = None,
    optimizer: str | type[optim.Optimizer] | Method | optim.Optimizer = "adam",
    epochs: int = 10,
    batch_size: int | None = None,
    *,
    jac: Callable[..., Any] | bool | str | None = None,
    seed: int | None = None,
    shuffle: bool = True,
    drop_last: bool = False,
    accumulate: int = 1,
    schedule_per: str = "step",
    max_steps: int | None = None,
    validation: Any = None,
    metric: Callable[..., Any] | None = None,
    patience: int | None = None,
    min_delta: float = 0.0,
    callback: Callable[..., Any] | None = None,
    step_callback: Callable[..., Any] | None = None,
    progress: bool = False,
    checkpoint: Any = None,
    checkpoint_every: int | None = None,
    resume: Any = None,
    track_lr: bool = False,
    check_gradient: bool = True,
    monitor: str | None = None,
    monitor_every: int = EVERY,
    monitor_data: Any = None,
    average: str | float | None = None,
    log: Callable[[dict[str, float]], Any] | None = None,
    log_per: str = "epoch",
    threads: int | None = None,
    **parameters: Unpack[TrainOptions],
) -> TrainResult:
    """Train parameters on data.

    Parameters
    ----------
    fun : callable, or compiled objective of `mflow.objectives`
        ``fun(params, *batch)``: the gradient, arranged as the parameters; with ``jac`` the loss, a mean over the rows of the batch. An
        objective holds its data (omit ``data`` and ``jac``) and runs without Python from one callback to the next, in threads side
        by side: regressions draw index sets of their rows, all others are one batch. Its bits are those of
        ``lambda c, rows: fun.batch(rows).value_and_grad(c)`` over ``np.arange(fun.m)``.
    params : array, list, tuple or dict of them, list of groups, or None
        Where to start. They are copied as float64, unless ``optimizer`` is bound to them already; then they change in place. Groups are
        torch's, ``[{"params": arrays, "lr": ...}, ...]``; ``fun`` and the result have them as a list, what each group has, and a
        gradient lies likewise, as in `step` of an optimizer with groups. None: those of the optimizer, as they lie in it; a flat list of
        its arrays does too.
    data : tuple of arrays, array, iterable, function of the epoch, or None
        Arrays of equal length, whose rows are drawn (a `numpy.memmap` is read batch by batch, never as a whole). Or batches: a list, a
        loader, an iterator (once) or ``data(epoch)``; a batch that is a tuple or list is spread over the arguments of ``fun``. Or None:
        ``fun(params)``, a step an epoch.
    optimizer : name, class or instance of a class of `mflow.optim`
        Or "implicit_sgd": then fun returns the residuals of a batch and jac their Jacobian (an objective has its own), each batch is one
        step of backward Euler on the mean of r^2/2 over its rows, solved with a matrix of the batch's size, and no lr makes it diverge. Its
        parameters are lr (1 by default), l1 and l2, the elastic net by its proximal map. Or "lbfgs", "bfgs" or "cg", for a loss whose data
        are one batch: an epoch is an iteration of their line search (strong Wolfe), until the largest entry of the gradient is at most
        ``gtol`` (1e-5; where it was not given, and is too large for the units of loss and parameters, on to a smaller one); parameters as
        in `mflow.minimize`.
    epochs : int
    batch_size : int, optional
        Rows in a batch of arrays; all of them are one batch where there are fewer. Default: 32.
    jac : None, True, callable, "jax", "autograd", "torch" or "cs"
        None: fun is the gradient. True: fun returns (loss, gradient). A function: ``jac(params, *batch)`` is the gradient. A name: fun is
        the loss of one array of parameters, and its gradient comes from that library, in float64, as in `mflow.minimize`;
        of "torch" the numbers of a batch are float64, too.
    seed, shuffle, drop_last
        As in `mflow.minibatches`, whose batches these are.
    accumulate : int, default 1
        Batches whose gradients make one step: their mean over rows. The batches left at the end of an epoch make a step too.
    schedule_per : "step" (default) or "epoch"
        What a function given as ``lr`` counts.
    max_steps : int, optional
    validation : as data, or the arguments of ``metric``
        Evaluated after each epoch: arrays in their order, an iterable of batches, or a compiled objective.
    metric : callable, optional
        ``metric(params, *validation)``, lower is better; the loss if not given. Batches, as of a DataLoader, it gets as they are, as one
        argument, ``metric(params, batches)``: it goes over them itself.
    patience, min_delta : int and float
        Stop when the monitored loss (validation, else training) has not fallen by more than min_delta for so many epochs.
    callback, step_callback : callable, optional
        ``callback(state)`` after each epoch, and after each step: a Result with params (the arrays in training: copy what you keep),
        loss, val_loss, lr, grad_norm, epoch, nit. True, or StopIteration raised, stops.
    progress : bool
        A bar with the loss on stderr: by tqdm where that is installed, else one plain line.
    checkpoint, checkpoint_every, resume : path, int and path, optional
        The file to write, atomically, after each epoch or each ``checkpoint_every`` steps; the file to go on from, with the same bits.
        ``epochs`` may be raised. Batches from an iterable must be the same ones again. From the file of a `mflow.Stepper`, of
        `mflow.minimize` or of a C host, of the same optimizer, the parameters and its state are taken, and the epochs begin.
    track_lr : bool
        Keep the effective learning rates of each epoch in the history.
    check_gradient : bool
        Whether the first gradient is compared with the loss of its own batch along a fixed direction, by two evaluations of ``fun`` on
        that batch (more where these do not agree), counted as ``ncheck`` alone; no batch is drawn for it. A ``fun`` that draws numbers
        itself (dropout) draws them there as well: False leaves its stream as it is.
    monitor, monitor_every : "curvature" and int, optional
        Measures the largest curvature of the loss (in the metric of its second moments, for a method that rescales) at the start, every
        ``monitor_every`` steps (100) and at the end, and holds it against the largest that the method bears: ``result.curvature``, the
        progress bar, a warning where it is first exceeded. It draws nothing, and the trained bits are those without it.
    monitor_data : tuple of arrays, or a compiled objective, optional
        The arguments of ``fun`` on which it is measured: by default a fixed batch, rows spread over all (the first one of an iterable).
    average : "swa", "ema" or float in (0, 1), optional
        A mean of the parameters after each step, returned as ``averaged_params``: the plain one (`mflow.optim.SWA`), or an exponential one
        (`mflow.optim.EMA`) with a decay of 0.999 or this number, which remembers about 1/(1 - decay) steps: runs of fewer steps need
        a smaller one.
    log, log_per : callable, and "epoch" (default) or "step"; optional
        ``log(numbers)`` with a plain dict: epoch, step, loss, val_loss (with ``validation``), lr, grad_norm and time after each epoch;
        without val_loss and time after each step where ``log_per="step"``. ``print``, and the log functions of experiment trackers, fit as
        they are.
    threads : int, optional
        How many share the steps of an optimizer on long arrays, and the sums of an objective over batches of many numbers: see
        `mflow.threads`. The bits do not depend on it.
    **parameters
        The optimizer's own, where it is a name or a class: lr (a number or one of `mflow.schedules`), clip_norm, clip_value, ...

    Returns
    -------
    TrainResult

    Raises
    ------
    TypeError, ValueError
        An argument does not fit; the text names it. What ``fun`` and callbacks raise is passed on, with the result so far as its
        ``partial_result``; so is KeyboardInterrupt.

    Warns
    -----
    mflow.GradientWarning
        The gradient is not that of the loss; the message says so too.
    RuntimeWarning
        With ``monitor``: the largest curvature has exceeded what the method bears.

    See Also
    --------
    mflow.minimize, mflow.lr_find, mflow.sweep, mflow.optim.Adam

    Examples
    --------
    >>> import numpy as np, mflow
    >>> X = np.random.default_rng(0).normal(size=(200, 3))
    >>> y = X @ [1.0, -2.0, 0.5]
    >>> def cost(w, X, y):
    ...     r = X @ w - y
    ...     return 0.5 * np.mean(r**2), X.T @ r / len(y)
    >>> result = mflow.train(cost, np.zeros(3), (X, y), "adam", epochs=60, jac=True, lr=0.05, seed=0)
    >>> result.reason, result.params.round(3)
    ('finished', array([ 1. , -2. ,  0.5]))
    >>> compiled = mflow.train(mflow.objectives.LeastSquares(X, y), np.zeros(3), None, "adam", epochs=60, lr=0.05, seed=0)
    >>> compiled.params.round(3)
    array([ 1. , -2. ,  0.5])
    >>> large = mflow.train(lambda w, X, y: X @ w - y, np.zeros(3), (X, y), "implicit_sgd", jac=lambda w, X, y: X, lr=100.0, seed=0)
    >>> large.params.round(3)
    array([ 1. , -2. ,  0.5])
    """
    check_flags(shuffle=shuffle, drop_last=drop_last)
    check_names(optimizer, parameters, ARGUMENTS)
    sharing = shared_among(threads)
    batches = {"batch_size": batch_size, "seed": seed, "shuffle": shuffle, "drop_last": drop_last}
    trainer = _trainer_of(fun, params, data, optimizer, jac, dict(parameters), schedule_per, batches)
    feed = trainer.feed
    try:
        trainer.configure(epochs, accumulate, max_steps, validation, metric, patience, min_delta, track_lr)
        trainer.check_gradient(check_gradient)
        trainer.listen(callback, step_callback, progress, checkpoint, checkpoint_every)
        trainer.average(average)
        trainer.tell_log(log, log_per)
        trainer.look_at(monitor, monitor_every, monitor_data)
        trainer.facts["data"] = {
            "rows": feed.rows, "batch_size": feed.batch_size, "shuffle": shuffle, "drop_last": drop_last, "accumulate": accumulate,
            "sample": feed.sample() if checkpoint is not None or resume is not None else None,
        }  # fmt: skip
        if resume is not None:
            trainer.resume(resume, seed)
        trainer.check_rates()
    except BaseException:
        trainer.close()  # a schedule by epochs belongs to the optimizer again
        raise
    try:
        with sharing:
            ending = trainer.go()
    except BaseException as error:
        where = f"epoch {trainer.epoch}, step {trainer.nit}"
        reason, who = reason_of(error)
        text = f"{who}{type(error).__name__} in {where}" + (f": {error}" if str(error) else "")
        attach(error, lambda: trainer.result(Ending(reason, text)), f"in mflow.train, {where}; .partial_result holds the result so far")
        raise
    finally:
        trainer.close()
    return trainer.result(ending)


def _trainer_of(
    fun: Any, params: Any, data: Any, optimizer: Any, jac: Any, parameters: dict[str, Any], schedule_per: str, batches: dict[str, Any]
) -> Trainer:
    """The trainer that the method and the cost ask for; batches: batch_size, seed, shuffle, drop_last."""
    if hasattr(type(fun), "parameters") and hasattr(type(fun), "zero_grad"):
        raise TypeError(
            f"fun: expected a function of the parameters and a batch, got the model {type(fun).__name__}; "
            "a loop of torch trains it, with mflow.torch.Adam(model.parameters()) as its optimizer"
        )
    direction = direction_of(optimizer)
    if (direction is not None or is_implicit_sgd(optimizer) or isinstance(fun, Objective)) and in_groups(params):
        why = f"{fun!r} is a function of one array" if isinstance(fun, Objective) else f"{optimizer!r} has no groups"
        raise TypeError(f"params: expected one array, or a list or dict of arrays, got groups, and {why}; give the arrays alone")
    fun, jac = with_batch_derivative(fun, jac, params, direction is None and is_implicit_sgd(optimizer))
    if direction is not None:
        return direction_trainer(fun, params, data, direction, jac, parameters, batches)
    if is_implicit_sgd(optimizer):
        return implicit_trainer(fun, params, data, optimizer, jac, parameters, schedule_per, batches)
    if isinstance(fun, Objective):
        return CompiledTrainer(fun, index_sets(fun, data, jac, **batches), params, optimizer, parameters, schedule_per)
    model, feed = Cost(fun, jac), feed_of(data, **batches)
    if isinstance(feed, Rows):
        check_fits(fun, feed.arrays, "data")
    return Trainer(model, feed, params, optimizer, parameters, schedule_per)


ARGUMENTS = tuple(name for name in inspect.signature(train).parameters if name != "parameters")
