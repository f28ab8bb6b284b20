"""What a function of the user raises before there is a run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from mflow.base.checks import Array
from mflow.base.result import IVPResult, attach, place_of

__all__ = ["preparing"]


@contextmanager
def preparing(start: Array, t0: float, name: str) -> Iterator[None]:
    """What a function of the user raises before there is a run, as a Jacobian that is asked for its form, takes the start along."""
    try:
        yield
    except BaseException as error:
        interrupted = isinstance(error, KeyboardInterrupt)
        if interrupted or place_of(error):
            reason = "interrupted" if interrupted else "rhs_failed"
            message = f"{type(error).__name__} at t = {t0:g} after 0 steps" + (f": {error}" if str(error) else "")
            out = IVPResult(
                t=np.array([t0]), y=start[..., None].copy(), sol=None, t_events=None, y_events=None, nfev=0, njev=0, nlu=0, nsteps=0,
                nrejected=0, status=-1, reason=reason, message=message, success=False,
            )  # fmt: skip
            attach(error, lambda: out, f"in mflow.{name}, before the first step from t = {t0:g}; .partial_result holds the start")
        raise
