"""Steps that follow the state and can be run backwards: what keeps symplectic and symmetric methods from drifting when their steps vary.

Steps of sizes h(x, v) make the energy of a symmetric method drift, for from the end of a step the same rule does not lead back to its
start. With the density of steps z = 1/h between the points at which the size is asked for,

    z_(q+1/2) + z_(q-1/2) = 2/h(x_q, v_q),

it does: read backwards, the rule is itself (W. Huang and B. Leimkuhler, SIAM J. Sci. Comput. 18 (1997) 239-256, with their step function
at the ends of steps). One size a step is all it costs. z_(1/2) is 1/h in the middle of the first step, so that z does not swing about 1/h.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from mflow_core.stepping import probe

from mflow.base.checks import Array, check_number
from mflow.base.methods import Method
from mflow.base.telling import knows_other_words, tell

__all__ = ["SymmetricSteps"]

FAR = 2.0  # from 1/h, as a factor: the size changes too fast for its steps, and the rule begins anew


@knows_other_words
class SymmetricSteps:
    """Variable steps for long runs of symmetric methods: ``solve_dynamics(..., method="leapfrog", dt=SymmetricSteps(size))``.

    The step follows ``size``, by a rule that is its own reverse, so that energies of bound motions do not drift. It is for
    methods that are symmetric themselves: leapfrog, its compositions and splittings, average acceleration.

    Parameters
    ----------
    size : callable
        ``size(x, v)`` returns the step that suits a state, a number above 0; on a Kepler orbit ``lambda x, v: 0.03 * np.hypot(*x) ** 1.5``.
        Where it changes by more than twofold within a step, the rule begins anew, and a RuntimeWarning says so.

    Raises
    ------
    TypeError
        ``size`` is no function, or what it returns no number.
    ValueError
        It returns no finite number above 0, or, once the run begins, the method is not symmetric.

    See Also
    --------
    mflow.solve_dynamics, mflow.solve_ivp

    Notes
    -----
    With 1/h between two points where ``size`` is asked for, 1/h_(q+1/2) = 2/size(x_q, v_q) - 1/h_(q-1/2).

    References
    ----------
    W. Huang and B. Leimkuhler, SIAM J. Sci. Comput. 18 (1997) 239-256; E. Hairer, C. Lubich and G. Wanner, Geometric Numerical
    Integration (2006), VIII.3.2.

    Examples
    --------
    An orbit of eccentricity 0.95, twenty times around in some 310 steps each:

    >>> import numpy as np
    >>> import mflow
    >>> def pull(t, x, v):
    ...     return -x / np.hypot(*x) ** 3
    >>> steps = mflow.SymmetricSteps(lambda x, v: 0.03 * np.hypot(*x) ** 1.5)
    >>> s = mflow.solve_dynamics(force=pull, velocity_free=True, x0=[0.05, 0], v0=[0, 39**0.5], t_span=(0, 40 * np.pi),
    ...                          method="leapfrog", dt=steps, energy=False)
    >>> energy = 0.5 * np.sum(s.v**2, axis=0) - 1 / np.hypot(*s.x)
    >>> s.nsteps, bool(np.max(np.abs(energy + 0.5)) < 4e-3)
    (6290, True)
    """

    def __init__(self, size: Callable[[Array, Array], float]) -> None:
        if not callable(size):
            raise TypeError(f"size: expected a function of (x, v) that returns a step, got {type(size).__name__}")
        self.size = size

    def __repr__(self) -> str:
        return f"SymmetricSteps({getattr(self.size, '__name__', self.size)!s})"

    def _at(self, x: Array, v: Array) -> float:
        return check_number(self.size(x, v), "size(x, v)", low=0.0, open_low=True)

    def bound(self, method: Method, last_step: Callable[[], float]) -> Callable[[int, float, Array, Array], float]:
        """dt(q, t, x, v) of a run; last_step tells the size of the step that led to where it stands. Raises ValueError for a method that is
        not symmetric."""
        if not _is_symmetric(method):
            raise ValueError(
                f"dt: SymmetricSteps keep symmetric methods from drifting, and {method.name} is not one as it is given: use "
                "velocity_verlet, a composition, newmark with gamma = 1/2, or another dt"
            )
        told = False

        def dt(q: int, t: float, x: Array, v: Array) -> float:
            nonlocal told
            usual = 1.0 / self._at(x, v)
            if q == 0:
                h = math.copysign(0.5 / usual, last_step())
                return self._at(x + h * v, v)
            z = 2.0 * usual - 1.0 / abs(last_step())
            if usual <= FAR * z <= FAR * FAR * usual:
                return 1.0 / z
            if not told:
                told = True
                tell(
                    f"solve_dynamics: dt: the size changes more than twofold within a step at t = {t:g}, and the rule of SymmetricSteps "
                    "begins anew there, which costs its symmetry: let size return smaller steps"
                )
            return 1.0 / usual

        return dt


def _is_symmetric(method: Method) -> bool:
    """Whether a step of the method, run back from where it ended, leads to its start: of x'' = -k x, in the plane of x and v."""
    k = 0.37
    images = probe.oscillator_matrices(method.record, method.numbers, np.array([k]), np.zeros(1))[0]
    step = images[:2, :2] - k * np.outer(images[:2, 2], [1.0, 0.0])
    back = step * np.array([[1.0, -1.0], [-1.0, 1.0]])
    return bool(np.max(np.abs(back @ step - np.eye(2))) < 1e-12)
