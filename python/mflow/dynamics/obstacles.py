"""What stands in the way of a motion, as its user says it: contacts and dry friction, and the checks of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from mflow.base.checks import check_choice, check_number, check_whole, shown
from mflow.structures.supports import Supports

__all__ = ["Contact", "Friction", "contacts_of", "friction_of"]


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
    A gap between two degrees of freedom is none of these: a contact knows one. With their distance d = x2 - x1 as a degree of freedom in
    place of x2 it is: x = T q with T = [[1, 0], [1, 1]] and q = (x1, d), masses T' M T, stiffness T' K T, loads T' f, and
    ``Contact(1, gap, stiffness=k)``; a rigid stop would need a mass that does not couple them.

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
    if not one and not isinstance(given, list | tuple):
        raise TypeError(f"{name}: expected a mflow.{kind.__name__}(dof, ...) or a list of them, got {shown(given)}")
    items = [(given, name)] if one else [(item, f"{name}[{j}]") for j, item in enumerate(given)]
    for item, label in items:
        if not isinstance(item, kind):
            raise TypeError(f"{label}: expected a mflow.{kind.__name__}(dof, ...), got {shown(item)}")
    return items


def _checked_dof(dof: Any, name: str, supports: Supports) -> int:
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
    force = check_number(one.force, f"{name}.force", low=0.0)
    static = force if one.static is None else check_number(one.static, f"{name}.static", low=force)
    return Friction(_checked_dof(one.dof, name, supports), force, static)


def contacts_of(given: Any, supports: Supports) -> list[Contact]:
    """Those of ``contacts=``, checked. Raises TypeError or ValueError."""
    return [_checked_contact(one, name, supports) for one, name in _each(given, "contacts", Contact)]


def friction_of(given: Any, supports: Supports) -> list[Friction]:
    """Those of ``friction=``, checked. Raises TypeError or ValueError."""
    return [_checked_friction(one, name, supports) for one, name in _each(given, "friction", Friction)]
