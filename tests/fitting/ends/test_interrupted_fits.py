"""Ctrl-C inside of the linear algebra of a fit."""

import signal

import numpy as np
import pytest

import mflow


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="signals of POSIX")
def test_a_long_factorization_of_a_fit_answers_an_interrupt():
    """The handler runs inside of the factorization, not when the next call of Python comes; what was found is kept."""
    rng = np.random.default_rng(0)
    X, b, frames = rng.normal(size=(1600, 800)), rng.normal(size=1600), []

    def answer(number, frame):
        frames.append(frame.f_code.co_name)
        raise KeyboardInterrupt

    def residuals(p):
        return np.tanh(X @ p) - b

    def jacobian(p):
        J = X / np.cosh(X @ p)[:, None] ** 2
        signal.setitimer(signal.ITIMER_REAL, 0.02)
        return J

    before = signal.signal(signal.SIGALRM, answer)
    try:
        with pytest.raises(KeyboardInterrupt) as raised:
            mflow.least_squares(residuals, np.full(800, 0.01), jac=jacobian, check_gradient=False)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, before)
    assert len(frames) == 1
    assert frames[0] not in ("residuals", "jacobian")
    assert raised.value.partial_result.x.shape == (800,)
    assert np.isfinite(raised.value.partial_result.cost)
