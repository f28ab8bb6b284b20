"""The remainder test: is this the derivative of that function?

    R(h) = f(x + h d) - f(x) - h J d        shrinks as h^2 where J is the Jacobian of f, as h where it is not

No length of differences has to be chosen: R is looked at on both sides over steps from 0.1 down to 1e-9. A derivative is called wrong where
the slope it claims lies outside of those that both sides show, by the same amount over factors of 64 in h, far above rounding, with
nothing at shorter steps to the contrary. So kinks, walls, noise, values that move in jumps, and costs that are too curved or too flat to
tell, do not count as wrong. `quick` needs two evaluations where the derivative is right.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from mflow_core.problems.gradients import NEAR, SEEN, SHARE, agrees, judged_sides
from mflow_core.problems.signatures import Recoverable
from numpy.typing import NDArray

from mflow.base.checks import OUTSIDE, Array
from mflow.derivatives.differences import EPS, along, digits_of

__all__ = [
    "RIGHT",
    "GradientWarning",
    "Model",
    "Verdict",
    "gradient_model",
    "jacobian_model",
    "ladder",
    "quick",
    "quick_gradient",
    "said_of",
]

RUNGS = 0.1 * 8.0 ** -np.arange(10.0)
SHARES = (0.371, 0.829)  # of the rungs, where a ladder says "wrong"
SPAN = 3  # rungs over which a discrepancy must stay
FAR = 1e-5  # where the mean of both sides alone tells, it is not that of a point so far from x
CLEAR = 20.0  # times the noise
LONGER = (1e-3, 1e-2, 0.1)  # steps of central differences where rounding hides such an error in shorter ones
JUMPS = 1e-4  # a step below which values may move in jumps, beside a part that is smooth
LOST = 500.0  # times the curvature over a step that is eight times shorter: that of x^4 grows 64 times
ROUGH = "its values are too rough, or carry too few digits, to tell"
BEYOND = (0.8, 0.4)  # steps longer than the rungs
FAINT = 0.05  # of a slope: a discrepancy below it may be a part's that the rest is so much steeper than
MOSTLY = 0.3  # of it, that is left over those steps
AGREES = 0.1  # of a discrepancy over short steps: what is left of it over long ones, where it is one of jumps
SMALL = 0.1  # parameters below this are looked at in steps of their own size as well


class GradientWarning(RuntimeWarning):
    """The gradient, or the Jacobian, given with a function is not the function's.

    See Also
    --------
    mflow.check_gradient, mflow.minimize

    Examples
    --------
    >>> import warnings, mflow
    >>> with warnings.catch_warnings(record=True) as told:
    ...     warnings.simplefilter("always")
    ...     r = mflow.minimize(lambda x: (x[0] - 1) ** 2, [0.0], jac=lambda x: [x[0] - 1], method="sgd", lr=0.1)
    >>> told[0].category is mflow.GradientWarning, r.success, r.reason
    (True, False, 'wrong_gradient')
    """


class Verdict(NamedTuple):
    """kind: "right", "wrong" or "unknown".

    claimed, measured : the derivative along the direction, in the entry that is furthest off. entry : its number. text : why it is not
    known. ncheck : evaluations. sign : whether it is right but for its sign. share : of a right one, the error that may stay
    unseen, where that is much.
    """

    kind: str
    ncheck: int
    claimed: float = 0.0
    measured: float = 0.0
    entry: int = 0
    text: str = ""
    sign: bool = False
    share: float = 0.0


def said_of(verdict: Verdict, word: str, owner: str, where: str = "x0") -> str:
    """A derivative that is wrong, in words."""
    text = f"the {word} is not that of the {owner} at {where}: along a fixed direction it says {verdict.claimed:.6g}, and the values of the"
    return f"{text} {owner} show {verdict.measured:.6g}" + (": it has the wrong sign" if verdict.sign else "")


class Model:
    """A function and its derivative at x: values(x), the change dx |-> J dx that is claimed, and dx |-> |J| |dx|, the size of its terms.

    known : values at the points that are asked for next.
    """

    def __init__(
        self, values: Callable[[Array], Any], x: Array, at: Any, product: Callable[[Array], Any], size: Callable[[Array], Any]
    ) -> None:
        self.values, self.x, self.product, self.size = values, x, product, size
        self.at = None if at is None else np.asarray(at, dtype=np.float64).ravel()
        self.count = 0
        self.seen: list[Any] = []
        self.known: list[Any] = []

    def value(self, x: Array) -> Array | None:
        """The values there, counted; None where they are not finite, or the function raises what says that it has none.

        The caller has turned NumPy's warnings off: here they would be turned off again at every point.
        """
        self.count += 1
        try:
            raw = self.known.pop(0) if self.known else self.values(x.copy())
            out = np.asarray(raw, dtype=np.float64).ravel()
        except (*OUTSIDE, Recoverable):
            return None
        if not (math.isfinite(out[0]) if out.size == 1 else np.isfinite(out).all()):
            return None
        self.seen.append(raw)
        return out

    def moved(self, d: Array, h: float) -> tuple[Array, Array, Array]:
        """(claimed change, size of its terms, step) from x to x + h d, by the numbers that x + h d really has."""
        step = (self.x + h * d) - self.x
        return np.asarray(self.product(step), dtype=np.float64).ravel(), np.asarray(self.size(step), dtype=np.float64).ravel(), step


def gradient_model(values: Callable[[Array], Any], x: Array, at: Any, grad: Array) -> Model:
    """The model of a cost."""
    g = grad.ravel()
    return Model(values, x, at, lambda step: g @ step, lambda step: np.abs(g) @ np.abs(step))


def jacobian_model(values: Callable[[Array], Any], x: Array, at: Any, J: Any) -> Model:
    """The model of m values with their Jacobian (m, n), dense or sparse."""
    return Model(values, x, at, lambda step: J @ step, lambda step: abs(J) @ np.abs(step))


def quick(model: Model, d: Array | None = None) -> Verdict:
    """Two evaluations where the derivative is right and nothing stands in the way; a ladder of them otherwise."""
    with np.errstate(all="ignore"):
        out = _quick(model, d)
        if out.kind == "wrong" and abs(out.claimed + out.measured) <= 0.05 * abs(out.measured):
            other = Model(model.values, model.x, model.at, lambda step: -np.asarray(model.product(step)), model.size)
            move = np.maximum(1.0, np.abs(model.x)) * along(model.x.size)
            digits = digits_of(model.seen)
            eps = EPS if digits is None else digits.eps
            sign = all(_agrees(other, one, eps) == "right" for one in (move, move * np.roll(along(model.x.size), 1)))
            out = out._replace(sign=sign, ncheck=model.count + other.count)
        return out


RIGHT = Verdict("right", 2)


def quick_gradient(values: Callable[[Array], Any], x: Array, at: float | None, grad: Array) -> Verdict:
    """`quick` of the model of a cost, with little beside the two evaluations of a gradient that is right. The caller has turned NumPy's
    warnings off."""
    g = np.ascontiguousarray(grad, np.float64).ravel()
    right, sides = agrees(values, np.ascontiguousarray(x, np.float64), at, g, along(x.size), SMALL)
    if right:
        return RIGHT
    model = gradient_model(values, x, at, grad)
    model.known = sides
    return quick(model)


def _quick(model: Model, d: Array | None) -> Verdict:
    x = model.x
    move: Array = np.maximum(1.0, np.abs(x)) * along(x.size) if d is None else d
    eps = EPS
    for _ in range(2):
        look = _agrees(model, move, eps)
        if look == "right":
            return Verdict("right", model.count, share=0.0 if eps == EPS else SEEN)
        digits = digits_of(model.seen)
        if digits is None or eps > EPS:
            break
        eps = digits.eps
    for h in LONGER if look == "unseen" else ():
        look = _agrees(model, move, eps, h)
        if look == "right":
            return Verdict("right", model.count, share=SEEN)
        if look == "off":
            break
    out = _twice(model, move, eps)
    small = np.abs(x[x != 0.0])
    if not small.size or small.min() >= SMALL:
        return out
    scaled: Array = np.minimum(1.0, np.where(x != 0.0, np.abs(x), small.min())) * move
    again = _twice(model, scaled, eps)
    if out.kind == "wrong" and again.kind == "right":
        return again._replace(kind="unknown", text="it changes too fast beside x to tell")
    return out._replace(ncheck=model.count) if out.kind == "right" and again.kind == "unknown" else again


def _twice(model: Model, d: Array, eps: float) -> Verdict:
    """A ladder; one that says "wrong" must say so on other rungs too, as waves much shorter than the rungs may fool one."""
    out = ladder(model, d, eps)
    for share in SHARES:
        if out.kind == "wrong" and ladder(model, share * d, eps).kind != "wrong":
            return Verdict("unknown", model.count, text=ROUGH)
    return out._replace(ncheck=model.count)


def _agrees(model: Model, d: Array, eps: float, longer: float = 0.0) -> str:
    """Whether a central difference agrees with the claim: "right", "off", or "unseen" where rounding could hide an error of SEEN.

    It is taken over the length that suits eps, or over a longer one, where it has to agree to SEEN alone.
    """
    h = longer or eps ** (1 / 3)
    above, below = model.x + h * d, model.x - h * d
    up: Any = model.value(above)
    down: Any = model.value(below)
    if up is None or down is None:
        return "off"
    at: Any = model.at
    if up.size == 1:
        up, down, at = float(up[0]), float(down[0]), None if at is None else float(at[0])
    step, change = above - below, up - down
    error, terms = _length(change - model.product(step)), _length(model.size(step))
    size = max(_length(up), _length(down))
    spread = 0.0 if isinstance(up, float) else _length(model.size(model.x))
    rounding = 8.0 * eps * (size + spread)
    bend = 0.0 if at is None else _length(up - 2.0 * at + down)
    near = lambda: bool(((model.x != 0.0) & (np.abs(model.x) < SMALL)).any())  # noqa: E731
    return judged_sides(error, _length(change), terms, rounding, bend, eps, near, longer)


def _length(values: Any) -> float:
    if isinstance(values, float):
        return abs(values)
    a = np.asarray(values, dtype=np.float64).ravel()
    return abs(float(a[0])) if a.size == 1 else float(np.linalg.norm(a))


class _Rungs(NamedTuple):
    """What a ladder has seen, a row a rung: h, claims, slopes on both sides, the largest values, whether anything moved."""

    h: Array
    claim: Array
    plus: Array
    minus: Array
    terms: Array
    size: Array
    second: Array
    moved: Any


def ladder(model: Model, d: Array, eps: float = EPS) -> Verdict:
    """The remainder over all rungs."""
    with np.errstate(all="ignore"):
        return _climbed(model, d, eps)


def _climbed(model: Model, d: Array, eps: float) -> Verdict:
    if not any(model.moved(d, h)[2].any() for h in RUNGS):
        return Verdict("unknown", model.count, text="steps are lost in the rounding of x")
    first = model.at if model.at is not None else model.value(model.x)
    again = [model.value(model.x), model.value(model.x)]
    if first is None or any(other is None for other in again):
        return Verdict("unknown", model.count, text="its value is not finite")
    wobble = np.max([np.abs(other - first) for other in again if other is not None], axis=0)
    if (wobble > max(1e-10, 16.0 * eps) * np.abs(first)).any():
        return Verdict("unknown", model.count, text="its values do not repeat at one point")
    rows = [row for h in RUNGS if (row := _rung(model, d, h, first)) is not None]
    if len(rows) < SPAN:
        return Verdict("unknown", model.count, text="its values are not finite on both sides")
    out = _judged(_Rungs(*(np.array(column) for column in zip(*rows, strict=True))), wobble, eps, model.count)
    if out.kind == "wrong" and _lost_in_jumps(model, d, first, out):
        return Verdict("unknown", model.count, text=ROUGH)
    return out._replace(ncheck=model.count)


def _lost_in_jumps(model: Model, d: Array, first: Array, wrong: Verdict) -> bool:
    """Whether a small discrepancy is that of a part of the values which moves in jumps as long as the rungs, beside a steeper smooth one:
    over steps that are longer yet the claim is right for the most part, as it is for no other claim but by chance."""
    off = abs(wrong.claimed - wrong.measured)
    if not off <= FAINT * max(abs(wrong.claimed), abs(wrong.measured)):
        return False
    rows = [_rung(model, d, h, first) for h in BEYOND]
    return all(row is not None and abs(0.5 * (row[2] + row[3])[wrong.entry]) <= MOSTLY * off for row in rows)


def _rung(model: Model, d: Array, h: float, first: Array) -> tuple[Any, ...] | None:
    up, down = model.value(model.x + h * d), model.value(model.x - h * d)
    if up is None or down is None:
        return None
    claim, terms, step = model.moved(d, h)
    back = model.moved(d, -h)[0]
    if not step.any():
        return None
    size = np.maximum(np.abs(first), np.maximum(np.abs(up), np.abs(down)))
    plus, minus = (up - first - claim) / h, (first - down + back) / h
    return h, claim / h, plus, minus, terms / h, size, np.abs(up - 2.0 * first + down), (up != first) | (down != first)


def _judged(r: _Rungs, wobble: Array, eps: float, count: int) -> Verdict:
    """Whether a discrepancy stays the same as h shrinks."""
    h = r.h[:, None]
    noise = (4.0 * eps * r.size + 2.0 * np.max(r.second[-4:], axis=0) + 8.0 * wobble) / h
    bend = np.abs(r.plus - r.minus)
    off = np.maximum(0.0, np.maximum(np.minimum(r.plus, r.minus), -np.maximum(r.plus, r.minus)))
    measured = r.claim + 0.5 * (r.plus + r.minus)
    allowed = max(SHARE, 1000.0 * eps) * np.maximum(r.terms, np.abs(measured)) + NEAR * bend / h
    clear = r.moved & (off > CLEAR * noise) & (off > allowed)
    worst, jumps = _central(r, noise, measured, bend), False
    for i in range(len(r.h) - SPAN + 1):
        part = off[i : i + SPAN]
        last, low, high = i + SPAN - 1, part.min(axis=0), part.max(axis=0)
        steady = clear[i : i + SPAN].all(axis=0) & (high <= 1.1 * low) & (bend[last] <= 4.0 * off[last])
        grain = 8.0 * eps * r.size[last] / r.h[last]
        calm = (bend[i + 1 : last + 1] <= 1.5 * bend[i] + grain).all(axis=0)
        calm &= (np.abs(measured[i + 1 : last + 1]) <= 2.0 * np.abs(measured[i]) + grain).all(axis=0)
        shorter = r.moved[last + 1 :] & (0.05 * low > noise[last + 1 :])
        contrary = (shorter & (np.abs(off[last + 1 :] - low) > 0.2 * low)).any(axis=0)
        contrary |= _by_jumps(r, i, low, bend, noise)
        wrong = np.flatnonzero(steady & calm & ~contrary)
        jumps = jumps or bool((steady & calm & contrary).any())
        if wrong.size:
            entry = int(wrong[np.argmax(off[last][wrong])])
            if worst is None or off[last][entry] > worst[0]:
                worst = (float(off[last][entry]), entry, last)
    if worst is not None:
        _, entry, last = worst
        return Verdict("wrong", count, float(r.claim[last, entry]), float(measured[last, entry]), entry)
    best = np.min(np.where(off - noise > allowed, off / np.maximum(allowed, 1e-300), 0.0), axis=0, initial=np.inf)
    if jumps or (best > 1.0).any():
        return Verdict("unknown", count, text=ROUGH)
    return _seen(r, noise, measured, bend, count)


def _central(r: _Rungs, noise: Array, measured: Array, bend: Array) -> tuple[float, int, int] | None:
    """(discrepancy, entry, rung) where the mean of both sides is off by the same amount over long steps, and the sides part no more than
    those of a smooth function do: rounding may hide short ones, and a curve long ones on either side."""
    middle = 0.5 * (r.plus + r.minus)
    size = np.abs(middle)
    far = r.moved & (size > CLEAR * noise) & (size > SHARE * np.maximum(r.terms, np.abs(measured)) + FAR * bend / r.h[:, None])
    for i in range(len(r.h) - SPAN + 1):
        last = i + SPAN - 1
        part = middle[i : last + 1]
        steady = far[i : last + 1].all(axis=0) & (np.ptp(part, axis=0) <= 0.05 * size[last])
        smooth = (bend[i] >= size[last]) & (bend[i + 1 : last + 1] <= 0.25 * bend[i:last] + noise[i + 1 : last + 1]).all(axis=0)
        contrary = (np.abs(middle[last + 1 :] - middle[last]) > 0.2 * size[last] + noise[last + 1 :]).any(axis=0)
        contrary |= _by_jumps(r, i, size[last], bend, noise)
        wrong = np.flatnonzero(steady & smooth & ~contrary)
        if wrong.size:
            entry = int(wrong[np.argmax(size[last][wrong])])
            return float(size[last][entry]), entry, last
    return None


def _seen(r: _Rungs, noise: Array, measured: Array, bend: Array, count: int) -> Verdict:
    """ "right" where a rung on which an error of SEEN would show has none: one where both sides, on the average, have the slope claimed."""
    if not r.moved.any() and not r.terms.any():
        return Verdict("right", count)
    slope = np.linalg.norm(np.maximum(r.terms, np.abs(measured)), axis=1)
    middle, turn = np.linalg.norm(0.5 * (r.plus + r.minus), axis=1), np.linalg.norm(bend, axis=1)
    room = np.linalg.norm(noise, axis=1)
    clear = room <= 0.5 * SEEN * np.maximum(slope, turn)
    sharp = turn[turn > CLEAR * room]
    kink = sharp.size >= SPAN and sharp[-1] > 0.5 * sharp[0]
    if not kink and (clear & (middle <= SEEN * np.maximum(slope, np.where(slope > SEEN * turn, 0.0, turn)))).any():
        return Verdict("right", count, share=SEEN)
    if kink:
        return Verdict("unknown", count, text="its slopes on both sides of x differ, as at a kink")
    return Verdict("unknown", count, text=ROUGH)


def _by_jumps(r: _Rungs, first: int, low: Array, bend: Array, noise: Array) -> NDArray[np.bool_]:
    """Whether a discrepancy `low` from this rung on is that of a part of the values alone, as the rest moves in jumps that are longer than
    these steps (float32 beside float64): over two long steps, one after the other, the mean of both sides agrees with the claim; or the
    curvature is lost from one rung to the next, where it would be far above the noise."""
    long, out = r.h >= 10.0 * JUMPS, np.zeros(low.shape, bool)
    if r.h[first] <= JUMPS and long.sum() > 1:
        agrees = np.abs(0.5 * (r.plus + r.minus)) <= AGREES * low
        out |= (agrees[:-1] & agrees[1:])[long[1:]].any(axis=0)
    h = r.h[: first + 1, None]
    curved = bend[: first + 1] / h
    lost = (curved[:-1] > LOST * curved[1:]) & (curved[:-1] * h[1:] > CLEAR * noise[1 : first + 1])
    out |= lost.any(axis=0)
    return out
