"""The cost that `explain` examines: its values, its gradients, counted, and its curvatures by products."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from mflow_core.problems.signatures import check_size, is_compiled

from mflow.base.checks import Array, real_array
from mflow.base.telling import tell
from mflow.curvature.frozen import Bearing
from mflow.curvature.hessian import CENTRAL, FORWARD, Hessian
from mflow.curvature.landscape import scaled
from mflow.derivatives.agreement import SHORT, own_lengths
from mflow.derivatives.differences import APART, ASIDE, OWN, TINY, Digits, digits_of
from mflow.derivatives.remainder import GradientWarning, Verdict, gradient_model, quick, said_of
from mflow.spectra import krylov

__all__ = ["FEW", "MISS", "ExaminedCost", "checked"]

FEW = 20  # parameters up to which the whole Hessian is differenced
MISS = 0.1  # of a bound from one start
MOST = 1000  # parameters up to which gradients may be made by differences of the cost
LENGTH = 1e-5  # of a difference of gradients, relative to max(1, |x|), or to |x| where that tells more


class ExaminedCost:
    """A cost with its gradient, which is counted."""

    def __init__(self, fun: Any, jac: Any, args: tuple[Any, ...], start: Array) -> None:
        if is_compiled(fun):
            check_size(fun, "fun", start.size)
            jac = True if jac is None and isinstance(fun(start), tuple) else jac  # a compiled cost has a gradient
        self.fun, self.jac, self.args, self.shape, self.count = fun, jac, args, start.shape, 0
        self.digits: Digits | None = None
        self.seen: list[Any] | None = []
        self.first: Any = None  # the cost given along with the first gradient
        self.lengths: Array | None = None  # of second differences along each parameter, where they are not the usual ones
        self.unknown = False  # whether there are directions along which no two lengths agree
        self.own = np.zeros(start.size, bool)  # small numbers whose differences are taken over shares of themselves
        if jac is None and start.size > MOST:
            raise ValueError(f"jac: expected the gradient, as {start.size} variables are too many for differences of the cost, got None")

    def value(self, x: Array) -> float:
        """The cost at a flat x."""
        value = self.fun(x.reshape(self.shape).copy(), *self.args)
        if isinstance(value, tuple) and self.jac is None:
            raise TypeError("fun: expected one number returned, got a tuple; where it is the pair (cost, gradient), give jac=True")
        if self.seen is not None:
            self.seen.append(value)
        return one_number(value)

    def gradient(self, x: Array) -> Array:
        """The gradient at a flat x, flat too."""
        self.count += 1
        if self.jac is None:
            out = self.differences(x, 6e-6 if self.digits is None else self.digits.step)
            if self.seen is not None:  # the first one
                aside = self.value(x + ASIDE * np.maximum(1.0, np.abs(x))) if digits_of(self.seen) is not None else 0.0
                self.digits, self.seen = digits_of(self.seen), None
                if self.digits is not None and math.isfinite(aside):
                    out = self.differences(x, self.digits.step)
                elif self._bends(x, out):
                    out = self.differences(x, OWN)
                elif self._find_lengths(x):
                    out = self.differences(x, 6e-6)
        else:
            at = x.reshape(self.shape)
            out = self._gradient(at)
            if out.shape != self.shape:
                raise ValueError(f"the gradient: expected the shape {self.shape} of x0, got shape {out.shape}")
            out = out.reshape(-1)
        if not np.all(np.isfinite(out)):
            what = "fun: expected finite costs" if self.jac is None else "the gradient: expected finite numbers"
            raise ValueError(f"{what} at x0 and near it, got NaN or an infinity")
        return out

    def differences(self, x: Array, step: float) -> Array:
        """The gradient by central differences; step : their length, relative to x beyond 1."""
        lengths = step * np.where(self.own & (x != 0.0), np.abs(x), np.maximum(1.0, np.abs(x)))
        return self._over(x, lengths if self.lengths is None else np.minimum(lengths, SHORT * self.lengths))

    def _find_lengths(self, x: Array) -> bool:
        """Whether second differences over the usual lengths are others than over shorter ones, so that each parameter has its own."""
        if self.own.any():
            return False
        calls = [0]

        def counted(at: Array) -> float:
            calls[0] += 1
            return self.value(at)

        self.lengths = own_lengths(counted, x)
        self.count += -(-calls[0] // (2 * x.size))  # in gradients
        return self.lengths is not None

    def _over(self, x: Array, h: Array) -> Array:
        """The gradient by central differences of the lengths h."""
        out = np.empty(x.size)
        for j in range(x.size):
            up, down = x.copy(), x.copy()
            up[j] += h[j]
            down[j] -= h[j]
            out[j] = (self.value(up) - self.value(down)) / (up[j] - down[j])
        return out

    def _bends(self, x: Array, usual: Array) -> bool:
        """Whether small numbers show other slopes over shares of themselves, and the same over ten times those: noise does not."""
        size = np.abs(x)
        small = (size < TINY) & (size > 0.0)
        if not small.any():
            return False
        lengths = [np.where(small, share * size, OWN * np.maximum(1.0, size)) for share in (OWN, 10.0 * OWN)]
        short, longer = (self._over(x, h) for h in lengths)
        noise = 2.0 * 2.0**-52 * abs(self.value(x)) / lengths[0]
        apart = np.abs(short - usual) > APART * np.abs(short) + 2.0 * noise
        self.own = small & apart & (np.abs(short - longer) <= APART * np.abs(short))
        return bool(self.own.any())

    def _gradient(self, at: Array) -> Array:
        if self.jac is not True:
            return real_array(self.jac(at.copy(), *self.args), "jac")
        cost, gradient = self.pair(at)
        self.first = cost if self.first is None else self.first
        return real_array(gradient, "fun (its gradient)")

    def pair(self, at: Array) -> Any:
        """(cost, gradient), as fun returns them with jac=True."""
        pair = self.fun(at.copy(), *self.args)
        if not isinstance(pair, (tuple, list)) or len(pair) != 2:
            raise TypeError(f"fun: expected the pair (cost, gradient) returned with jac=True, got {type(pair).__name__}; omit jac")
        return pair

    def look(self, x: Array) -> int:
        """How many costs were asked for. Raises ValueError where the cost, beside a gradient of its own that was taken at x first, is not
        finite there: no step can be said to lead down then."""
        value = self.value(x) if self.jac is not True else one_number(self.first)
        if not math.isfinite(value):
            raise ValueError(f"fun: expected a finite cost at x0, got {value}: start elsewhere")
        return int(self.jac is not True)

    def curvatures(self, x: Array, base: Array, products: int, starts: int = 1, metric: Bearing | None = None) -> krylov.Ritz:
        """Ritz values of the Hessian at x, or of it in the metric of an optimizer."""
        relative = LENGTH if self.digits is None else min(0.3, 25.0 * self.digits.step)
        if self.jac is None and self.digits is None:
            relative *= 100.0
            self._find_lengths(x)
        central = self.lengths is not None
        longer = relative / (CENTRAL if central else FORWARD)
        times = Hessian(
            x,
            self.gradient,
            None,
            base,
            central,
            longer,
            self.lengths,
            compare=self.digits is None and (self.jac is not None or bool(self.own.any())),
        )
        across = times if metric is None else scaled(times, metric)
        if x.size <= FEW:
            H = np.stack([across(unit) for unit in np.eye(x.size)], axis=1)
            self.unknown = self.unknown or times.unknown
            values = np.linalg.eigvalsh(0.5 * (H + H.T))
            return krylov.Ritz(values.astype(np.complex128), np.zeros(x.size), x.size, True, (float(values[0]), float(values[-1])))
        runs = [krylov.lanczos(across, x.size, products, nothing=1e-8, stream=k, miss=MISS) for k in range(starts)]
        self.unknown = self.unknown or times.unknown
        noise = 4.0 * 2.0**-52 * float(np.linalg.norm(base)) / times.length
        noise *= 1.0 if metric is None or metric.root is None else float(np.max(metric.root)) ** 2
        return krylov.joined(runs, noise)


def one_number(value: Any) -> float:
    """What a cost returned; an int beyond the largest float is an infinity."""
    out = real_array(value, "fun")
    if out.size != 1:
        raise ValueError(f"fun: expected one number returned, got shape {out.shape}; for a right-hand side fun(t, y) give kind='rhs'")
    return float(out.reshape(()))


def checked(cost: ExaminedCost, x: Array, g: Array) -> tuple[int, str, bool]:
    """(evaluations, words, whether it is noisy) of the gradient beside the cost's values; no words where it is right."""

    def values(at: Array) -> Any:
        at = at.reshape(cost.shape)
        return cost.pair(at)[0] if cost.jac is True else cost.fun(at.copy(), *cost.args)

    verdict: Verdict = quick(gradient_model(values, x, None, g))
    if verdict.kind == "wrong" and not np.array_equal(cost.gradient(x), g):
        return verdict.ncheck, "The gradient is another one at each call at the same point: it is noisy, as that of a minibatch.", True
    if verdict.kind == "wrong":
        text = f"{said_of(verdict, 'gradient', 'cost')}; mflow.check_gradient names the entry"
        tell(f"explain: {text}", GradientWarning)
        return verdict.ncheck, text[0].upper() + text[1:] + ".", False
    return verdict.ncheck, f"Whether the gradient is the cost's is not known, as {verdict.text}." if verdict.text else "", False
