"""What stands in the way of a motion, as its user says it: contacts and dry friction, and the checks of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from mflow.base.checks import Array, check_choice, check_number, check_whole, shown
from mflow.base.telling import knows_other_words, tell
from mflow.structures.supports import Supports

__all__ = ["Contact", "Friction", "contacts_of", "friction_of", "pushed_in"]


@knows_other_words
class Contact(NamedTuple):
    """An obstacle in the way of one degree of freedom, for ``contacts=`` of `mflow.solve_dynamics`.

    Parameters
    ----------
    dof : int
        The degree of freedom, an index of the flat x0.
    gap : float
        The x where contact begins.
    side : "above" or "below"
        "above" (default): there is contact where x > gap. "below": where x < gap, as on a floor.
    stiffness : float, optional
        Of a spring that is pushed together in contact, ``-stiffness (x - gap)``, and never pulls. None: a rigid stop.
    restitution : float
        Of a rigid stop, from 0 to 1: v behind an impact is ``-restitution v``. A rebound below 1e-6 of the fastest impact on this stop is
        taken for none: the body rests there until it is pulled away.

    Notes
    -----
    A contact knows one degree of freedom. For two bodies that may meet make their relative motion d = x2 - x1 a degree of freedom in place
    of x2: x = T q with T = [[1, 0], [1, 1]] and q = (x1, d), masses T' M T, stiffness T' K T, loads T' f. Body 2 stands on the positive
    side of body 1, with a clearance of gap > 0 between them at x1 = x2 = 0: they meet where d falls below -gap, which is
    ``Contact(1, -gap, side="below", stiffness=k)``. (``Contact(1, gap, stiffness=k)`` is a slack cable between them, which is tight where
    d > gap.) A rigid stop would need a mass that does not couple them.

    A spring that pushes at the start on an x0 of 0, where neither other springs nor a force balance it, is taken after a RuntimeWarning.

    Beside contacts ``potential=`` is taken at the points that are saved; what the steps' quadrature of the force is off by stands in load
    then, not in the residual. ``constraints=`` do not go with contacts. Explicit methods bear steps up to
    a limit that is the one with all springs in contact; several steps in half a period of the spring see its contact.

    See Also
    --------
    mflow.Friction, mflow.Event

    Examples
    --------
    >>> import mflow
    >>> floor = mflow.Contact(0, side="below", restitution=0.5)
    >>> r = mflow.solve_dynamics(load=[-2.0], t_span=(0, 4), x0=[1.0], dt=0.1, contacts=floor)
    >>> r.switches[0], r.switches[-1][2], bool(abs(r.switches[-1][0] - 3.0) < 1e-5), float(r.x[0, -1])
    ((1.0, 0, 'impact'), 'rests', True, 0.0)

    References
    ----------
    B. Brogliato, Nonsmooth Mechanics, 3rd ed., Springer 2016, ch. 1 and 2.
    """

    dof: int
    gap: float = 0.0
    side: str = "above"
    stiffness: float | None = None
    restitution: float = 1.0


@knows_other_words
class Friction(NamedTuple):
    """Dry (Coulomb) friction at one degree of freedom, for ``friction=`` of `mflow.solve_dynamics`.

    Parameters
    ----------
    dof : int
        The degree of freedom, an index of the flat x0.
    force : float
        Against the motion while it slips: the coefficient of friction times the normal force.
    static : float, optional
        What holds it while it sticks, at most; at least ``force``, which it is where not given.

    See Also
    --------
    mflow.Contact, mflow.Event

    Notes
    -----
    A slider behind a spring of stiffness k, as of a spring that yields, has a period of 2 pi sqrt(mass/k) of its own: give it about
    k (dt/2)^2 or more of mass.

    Examples
    --------
    >>> import mflow
    >>> r = mflow.solve_dynamics(stiffness=[1.0], t_span=(0, 10), x0=[2.5], dt=0.01, friction=mflow.Friction(0, 0.5))
    >>> [what for _, _, what in r.switches], bool(abs(r.x[0, -1] - 0.5) < 1e-4)
    (['turns', 'turns', 'sticks'], True)

    References
    ----------
    J. P. Den Hartog, Trans. ASME 53 (1931) APM-107-115.
    """

    dof: int
    force: float
    static: float | None = None


def _each(given: Any, name: str, kind: type) -> Sequence[tuple[Any, str]]:
    """One of the kind or a sequence of them, with their names in messages."""
    if given is None:
        return []
    one = isinstance(given, kind)
    written = "" if one else _written(given, kind)
    if written or (not one and not isinstance(given, list | tuple)):
        raise TypeError(f"{name}: expected a mflow.{kind.__name__}(dof, ...) or a list of them, got {shown(given)}{written}")
    items = [(given, name)] if one else [(item, f"{name}[{j}]") for j, item in enumerate(given)]
    for item, label in items:
        if not isinstance(item, kind):
            raise TypeError(f"{label}: expected a mflow.{kind.__name__}(dof, ...), got {shown(item)}{_written(item, kind)}")
    return items


def _written(item: Any, kind: type) -> str:
    """How numbers in the place of one of the kind are written; "" for anything else."""
    numbers = isinstance(item, list | tuple) and len(item) > 1 and all(np.isscalar(number) for number in item)
    return f"; write mflow.{kind.__name__}({', '.join(map(repr, item))})" if numbers else ""


def _checked_dof(dof: Any, name: str, supports: Supports) -> int:
    if isinstance(dof, list | tuple):
        raise TypeError(
            f"{name}.dof: expected one degree of freedom, got {shown(dof)}; for two masses that may meet make their distance one: see the "
            "notes of mflow.Contact"
        )
    i = check_whole(dof, f"{name}.dof", 0, supports.n - 1)
    if i in supports.held:
        raise ValueError(f"{name}.dof: degree of freedom {i} is fixed; expected one that moves")
    return i


def _checked_contact(one: Contact, name: str, supports: Supports) -> Contact:
    check_choice(one.side, f"{name}.side", ("above", "below"))
    i, gap = _checked_dof(one.dof, name, supports), check_number(one.gap, f"{name}.gap")
    if one.stiffness is None:
        return Contact(i, gap, one.side, None, check_number(one.restitution, f"{name}.restitution", low=0.0, high=1.0))
    if one.restitution != 1.0:
        raise ValueError(
            f"{name}.restitution: it belongs to rigid stops, and stiffness = {shown(one.stiffness)} is given: omit one of them"
        )
    return Contact(i, gap, one.side, check_number(one.stiffness, f"{name}.stiffness", low=0.0, open_low=True))


def _checked_friction(one: Friction, name: str, supports: Supports) -> Friction:
    if callable(one.force):
        fix = "give what changes with time to solve_dynamics as force=lambda t, x, v: -mu * N(t) * np.tanh(v / eps), eps a small speed"
        raise TypeError(f"{name}.force: expected a finite number of at least 0, got a function; {fix}")
    force = check_number(one.force, f"{name}.force", low=0.0)
    static = force if one.static is None else check_number(one.static, f"{name}.static", low=force)
    return Friction(_checked_dof(one.dof, name, supports), force, static)


def contacts_of(given: Any, supports: Supports) -> list[Contact]:
    """Those of ``contacts=``, checked. Raises TypeError or ValueError."""
    return [_checked_contact(one, name, supports) for one, name in _each(given, "contacts", Contact)]


def friction_of(given: Any, supports: Supports) -> list[Friction]:
    """Those of ``friction=``, checked. Raises TypeError or ValueError."""
    return [_checked_friction(one, name, supports) for one, name in _each(given, "friction", Friction)]


def pushed_in(springs: Sequence[Any], place: Array, forces: Callable[[], Array]) -> list[str]:
    """Words on springs that push at the start on a degree of freedom at 0, where the forces there do not balance them; each a warning.

    springs : with i, gap, sign and k of the contact, and whether it is closed. forces : of springs and of the user, at the start.
    """
    out = []
    for one in springs:
        push = one.k * abs(place[one.i] - one.gap)
        if one.closed and place[one.i] == 0.0 and push > 0.0 and abs(forces()[one.i]) > 0.5 * push:
            other = "below" if one.sign > 0.0 else "above"
            out.append(
                f"contacts: at the start, x0 = 0, the spring at degree of freedom {one.i} is pushed in by {abs(one.gap):g}, with a force "
                f"of {push:g}: for a contact where x is {other} {one.gap:g} give side={other!r}; for one that pushes give x0 too, or load"
            )
            tell(f"solve_dynamics: {out[-1]}")
    return out
