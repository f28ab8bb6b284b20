"""Means of the parameters along the way, beside an optimizer: `EMA` and `SWA`.

    opt, mean = mflow.optim.Adam(c, lr=1e-3), mflow.optim.EMA(c, decay=0.999)
    opt.step(grad(c)); mean.update()          # mean.params: for evaluation

Steps with noise scatter about a minimum, and a mean of them lies nearer to it. Both are those of torch.optim.swa_utils.AveragedModel.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from mflow.base.checks import Array, check_instance, check_list, check_number, check_whole, real_array
from mflow.base.telling import knows_other_words
from mflow.optim.states import spread

__all__ = ["EMA", "SWA", "Average"]


class Average:
    """What both share: a copy of the parameters that follows them. n_averaged : int, points in the mean."""

    def __init__(self, params: Any, start: int = 0) -> None:
        self._arrays, self._form = spread(params, "params")
        self._means: list[Array] = [np.array(a) for a in self._arrays]
        self._room: list[Array] = [np.empty_like(a) for a in self._arrays]
        self.start = check_whole(start, "start", 0)
        self.seen = self.n_averaged = 0

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            from mflow.base.foreign import no_field

            raise no_field("Average", self, name)

    def _weight(self) -> float:
        """What the new point counts, where the mean counts the rest."""
        raise NotImplementedError("Average: expected one of its classes; use EMA or SWA")

    def update(self) -> None:
        """Takes the parameters as they are now into the mean; before ``start`` updates, it only follows them."""
        self.seen += 1
        begun = self.seen > self.start
        weight = self._weight() if begun and self.n_averaged else 1.0
        self.n_averaged += begun
        for a, mean, room in zip(self._arrays, self._means, self._room, strict=True):
            if weight == 1.0:
                mean[...] = a
            else:  # mean + weight (a - mean)
                np.multiply(np.subtract(a, mean, out=room), weight, out=room)
                np.add(mean, room, out=mean)

    @property
    def params(self) -> Any:
        """The mean, arranged as the parameters are: the arrays that `update` changes; copy what you keep."""
        if self._form is None:
            return self._means[0]
        return dict(zip(self._form, self._means, strict=True)) if isinstance(self._form, list) else list(self._means)

    def copy_to_params(self) -> None:
        """Puts the mean into the parameters themselves."""
        for a, mean in zip(self._arrays, self._means, strict=True):
            a[...] = mean

    def state_dict(self) -> dict[str, Any]:
        """All that is needed to go on with the same bits."""
        return {"seen": self.seen, "n_averaged": self.n_averaged, "means": [mean.copy() for mean in self._means]}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restores what `state_dict` returned. Raises ValueError, and changes nothing, where it is of other arrays."""
        check_instance(state, "state", Mapping, "the dict that state_dict returned")
        if set(state) != {"seen", "n_averaged", "means"}:
            raise ValueError(f"state: expected seen, n_averaged and means, got {sorted(state)}")
        means = [real_array(mean, "state: means") for mean in check_list(state["means"], "state: means", "a list of arrays")]
        if [m.shape for m in means] != [m.shape for m in self._means]:
            raise ValueError(f"state: expected means of shapes {[m.shape for m in self._means]}, got {[m.shape for m in means]}")
        seen, count = check_whole(state["seen"], "state: seen", 0), check_whole(state["n_averaged"], "state: n_averaged", 0)
        self.seen, self.n_averaged = seen, count
        for mean, value in zip(self._means, means, strict=True):
            mean[...] = value


@knows_other_words
class EMA(Average):
    """An exponential moving average: mean = decay mean + (1 - decay) c, from the first point on.

    Parameters
    ----------
    params : float64 array, or list, tuple or dict of them
        The arrays that an optimizer steps. They are read by `update`, and copied.
    decay : float in [0, 1), default 0.999
        torch's. About 1/(1 - decay) points are in the mean.
    start : int, default 0
        Updates before which the mean is the last point.

    See Also
    --------
    mflow.optim.SWA
    mflow.train : ``average=`` names one, from the first step on; for a later start call ``update`` in a ``step_callback``.

    References
    ----------
    B. Polyak and A. Juditsky, SIAM J. Control Optim. 30 (1992) 838-855, of means; torch.optim.swa_utils.get_ema_avg_fn.

    Examples
    --------
    >>> import numpy as np, mflow
    >>> c = np.zeros(1)
    >>> mean = mflow.optim.EMA(c, decay=0.5)
    >>> for value in (1.0, 2.0, 4.0):
    ...     c[:] = value
    ...     mean.update()
    >>> mean.params, mean.n_averaged
    (array([2.75]), 3)
    """

    def __init__(self, params: Any, decay: float = 0.999, start: int = 0) -> None:
        super().__init__(params, start)
        self.decay = check_number(decay, "decay", low=0.0, high=1.0, open_high=True)

    def _weight(self) -> float:
        return 1.0 - self.decay


@knows_other_words
class SWA(Average):
    """The plain mean of all points, Polyak and Ruppert's: mean += (c - mean)/n.

    Parameters
    ----------
    params, start
        As in `EMA`.

    See Also
    --------
    mflow.optim.EMA
    mflow.train : ``average=`` names one, from the first step on; for a later start call ``update`` in a ``step_callback``.

    References
    ----------
    B. Polyak and A. Juditsky, SIAM J. Control Optim. 30 (1992) 838-855; D. Ruppert, Cornell technical report 781 (1988); P. Izmailov et
    al., Averaging Weights Leads to Wider Optima and Better Generalization (2018); torch.optim.swa_utils.get_swa_avg_fn.

    Examples
    --------
    >>> import numpy as np, mflow
    >>> c = np.zeros(1)
    >>> mean = mflow.optim.SWA(c, start=1)
    >>> for value in (100.0, 2.0, 4.0):
    ...     c[:] = value
    ...     mean.update()
    >>> mean.params, mean.n_averaged
    (array([3.]), 2)
    """

    def _weight(self) -> float:
        return 1.0 / (self.n_averaged + 1)
